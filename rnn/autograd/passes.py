"""Backward passes: backward() and grad() (torch.autograd.backward, torch.autograd.grad)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from rnn import _c
from rnn._c import E, Handle, adopt, check, fail, ffi, gradient_of, handles, lib
from rnn.autograd import linked

if TYPE_CHECKING:
    from rnn.tensor import Tensor
    from rnn.value import Value

SLICE = 20_000_000  # nanoseconds that C works before Python looks for signals
RETAIN_GRAPH, KEEP, PRIVATE = 1, 2, 4

# ---- running ------------------------------------------------------------------------------------


class Running:
    """A pass that runs: what Functions know it by. Nothing of it is left when it has ended."""


class _Current(threading.local):
    running: Running | None = None


current = _Current()


def run(
    roots: Sequence[Any],
    seeds: Sequence[Any],
    inputs: Sequence[Any],
    flags: int,
    collect: Callable[[], Any] | None = None,
    until: int = 0,
) -> Any:
    """Runs a pass to its end, in slices; `collect` reads gradients before inputs' own come back.
    A private pass may end at the span `until`: then they are all there to be read.
    """
    begun = lib.rnn_backward_begin(
        E, len(roots), handles(roots), handles(seeds), len(inputs), handles(inputs), flags
    )
    if begun == ffi.NULL:
        fail(lib.rnn_failure())
    if until:
        lib.rnn_pass_until(begun, until)
    step, code, me = lib.rnn_backward_step, 1, Running()
    try:
        while code:
            code = step(E, begun, SLICE)
            if code > 1:
                _python_turn(begun, code, me)
            elif code == _c.EANOMALY:
                _explain_anomaly(begun, roots, seeds, inputs)
            elif code < 0:
                fail(code)
        return collect() if collect else None
    finally:
        lib.rnn_backward_end(E, begun)
        _c.drain()


def _python_turn(begun: Any, code: int, me: Running) -> None:
    """A hook or an autograd.Function, whose object knows what to do with the span at the head."""
    turn = _c.object_at(lib.rnn_pass_key(begun))
    was, outer = lib.rnn_set_grad_mode(0), current.running
    current.running = me
    try:
        turn(lib.rnn_pass_span(begun), code)
    finally:
        current.running = outer
        lib.rnn_set_grad_mode(was)


def _explain_anomaly(begun: Any, roots: Sequence[Any], seeds: Any, inputs: Any) -> NoReturn:
    """A gradient has become NaN: says where it came from, while the pass stands there. Gradients
    that it has dropped are made again first.
    """
    from rnn.inspect.anomaly import backward_error

    found = ffi.new("rnn_anomaly *")
    gone = lib.rnn_pass_anomaly(begun, found)

    def explain() -> NoReturn:
        raise backward_error(found)

    was = lib.rnn_set_checking(0)
    try:
        if gone:
            run(roots, seeds, inputs, RETAIN_GRAPH | KEEP | PRIVATE, explain, found.user)
        explain()
    except MemoryError:
        raise backward_error(found, gone=True) from None
    finally:
        lib.rnn_set_checking(was)


# ---- backward -----------------------------------------------------------------------------------


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """Adds the gradients of `tensors` to the leaves that they were made from
    (torch.autograd.backward).

    Args:
        tensors: a tensor or a sequence of them.
        grad_tensors: what to start from, of the tensors' shapes; one-element tensors need none.
        retain_graph: keep the graph for another pass.
        create_graph: .grad is part of the graph, and can be differentiated in turn; see grad, which
            is to be preferred. It keeps the graph.
        inputs: only these tensors' .grad gains anything; the rest of the graph is not visited.

    Raises:
        RuntimeError: a tensor requires no gradient, its graph was freed, a value that is needed was
            overwritten, a starting gradient does not fit, or an input is no tensor.
        TypeError: what it starts from is no tensor.
        NotImplementedError: create_graph, and an operation whose gradient has none.

    Example:
        >>> x = rnn.tensor([1.0, 2.0], requires_grad=True)
        >>> rnn.autograd.backward((x * x).sum())
        >>> x.grad
        tensor([2., 4.])
    """
    roots = _sequence(tensors)
    given = _sequence(grad_variables if grad_tensors is None else grad_tensors)
    seeds = _check_seeds(roots, given if given != [None] else [None] * len(roots))
    only = [] if inputs is None else _sequence(inputs)
    if inputs is not None:
        _check_inputs("backward", only)
    if any(not t.requires_grad for t in only):
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    if create_graph:
        linked.backward(roots, seeds, only)
    else:
        run(roots, seeds, only, RETAIN_GRAPH if retain_graph else 0)
        linked.forget()


def _sequence(x: Any) -> list[Any]:
    return list(x) if isinstance(x, (list, tuple)) else [x]


def _check_inputs(function: str, inputs: list[Any]) -> None:
    if not inputs:
        raise RuntimeError(f"`inputs` argument to `{function}()` cannot be empty.")
    for t in inputs:
        if not isinstance(t, Handle):
            kind = type(t).__name__
            raise RuntimeError(f"all inputs have to be Tensors or GradientEdges, but got {kind}")


def _check_seeds(roots: list[Any], seeds: list[Any]) -> list[Any]:
    """The starting gradients: given ones must fit, and only one element may go without."""
    if len(seeds) != len(roots):
        raise RuntimeError(f"got {len(roots)} tensors and {len(seeds)} gradients")
    return [_check_seed(i, t, seed) for i, (t, seed) in enumerate(zip(roots, seeds))]


def _check_seed(i: int, t: Any, seed: Any) -> Any:
    from rnn.ops._core import as_node, dtype_of, no_tensor

    if not isinstance(t, Handle):
        raise no_tensor(i, t)
    if not t._h or not lib.rnn_requires_grad(E, t._h):
        raise RuntimeError(
            f"element {i} of tensors does not require grad and does not have a grad_fn"
        )
    if seed is None:
        if t.numel() != 1:
            raise RuntimeError("grad can be implicitly created only for scalar outputs")
        return None
    if not isinstance(seed, Handle):
        raise TypeError(f"gradients can be either Tensors or None, but got {type(seed).__name__}")
    if seed._shape != t._shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[{i}] has a shape of {seed.shape} and output[{i}] "
            f"has a shape of {t.shape}."
        )
    return seed if dtype_of(seed) is dtype_of(t) else as_node(seed, lib.rnn_dtype(t._h))


def backward_value(v: Value, gradient: float | None, retain_graph: bool) -> None:
    """Value.backward."""
    from rnn.ops._core import constant

    root = adopt(_c.ref_of(v))
    seed = None if gradient is None else constant(gradient, v._dtype_code)
    run([root], [seed], [], RETAIN_GRAPH if retain_graph else 0)


# ---- grad ---------------------------------------------------------------------------------------


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of `outputs` with respect to `inputs`; no .grad changes (torch.autograd.grad).

    The gradient of a view is that of its nodes, whichever way it came to them.

    Args:
        outputs: a tensor, a Value, or a sequence of them.
        inputs: tensors or Values that require gradients, leaves or not. A Value's is a Value.
        grad_outputs: what to start from; one-element outputs need none.
        retain_graph: keep the graph for another pass; create_graph keeps it anyway.
        create_graph: the gradients are part of the graph, and can be differentiated in turn. The
            pass runs in Python then, and is slower.
        allow_unused: None for an input that the outputs do not depend on, instead of an error.
        materialize_grads: zeros for such an input.

    Raises:
        RuntimeError, TypeError: see backward; or an input was not used.
        NotImplementedError: is_grads_batched.

    Example:
        >>> x = rnn.tensor(3.0, requires_grad=True)
        >>> (slope,) = rnn.autograd.grad(x**3, x, create_graph=True)
        >>> slope
        tensor(27., grad_fn=<MulBackward0>)
        >>> rnn.autograd.grad(slope, x)
        (tensor(18.),)
    """
    if is_grads_batched:
        raise NotImplementedError("is_grads_batched=True is not supported: call grad() in a loop")
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: "
            "allow_unused=False."
        )
    roots = [_as_tensor(t) for t in _sequence(outputs)]
    asked = _sequence(inputs)
    wanted = [_as_tensor(t) for t in asked]
    given = _sequence(grad_outputs)
    seeds = _check_seeds(roots, given if given != [None] else [None] * len(roots))
    _check_inputs("grad", wanted)
    if any(not t.requires_grad for t in wanted):
        raise RuntimeError("One of the differentiated Tensors does not require grad")
    if create_graph:
        found = _recorded(roots, seeds, wanted)
    else:
        flags = KEEP | (RETAIN_GRAPH if retain_graph else 0)
        found = run(roots, seeds, wanted, flags, lambda: [gradient_of(t) for t in wanted])
    if materialize_grads:
        found = [_zeros(t) if g is None else g for t, g in zip(wanted, found)]
    for i, g in enumerate(found):
        if g is None and not allow_unused:
            raise RuntimeError(
                f"The differentiated Tensor at index {i} appears to not have been used in the "
                f"graph. "
                "Set allow_unused=True if this is the desired behavior."
            )
    return tuple([_like(t, g) for t, g in zip(asked, found)])


def _as_tensor(t: Any) -> Any:
    """A Value's node as a tensor; what is none stays."""
    return adopt(_c.ref_of(t)) if isinstance(t, _c.ValueBase) else t


def _like(t: Any, g: Any) -> Any:
    """A Value's gradient as a Value."""
    return g.value() if g is not None and isinstance(t, _c.ValueBase) else g


def _recorded(roots: list[Any], seeds: list[Any], wanted: list[Any]) -> list[Any]:
    from rnn.autograd.second import gradients

    was = lib.rnn_set_grad_mode(1)
    try:
        return gradients(roots, seeds, wanted)
    finally:
        lib.rnn_set_grad_mode(was)


def _zeros(t: Any) -> Any:
    shape = t._shape
    return adopt(check(lib.rnn_full(E, lib.rnn_dtype(t._h), len(shape), _c.dims(shape), 0.0)))

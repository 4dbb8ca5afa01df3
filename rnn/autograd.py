"""Autograd: backward passes, gradients of chosen tensors, grad mode, custom functions (torch.autograd)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from rnn import _c
from rnn._c import E, adopt, fail, ffi, lib

if TYPE_CHECKING:
    from rnn.tensor import Tensor
    from rnn.value import Value

SLICE = 50_000_000  # nanoseconds that C works before Python looks for signals
RETAIN_GRAPH, KEEP_LEAVES = 1, 2

_Callable = TypeVar("_Callable", bound=Callable[..., Any])

# ---- passes ---------------------------------------------------------------------------------------


def run(begun: Any, collect: Callable[[], Any] | None = None) -> Any:
    """Runs a pass to its end, in slices; `collect` reads gradients before the pass puts leaves' own back."""
    if begun == ffi.NULL:
        fail(-4)
    step, code = lib.rnn_backward_step, 1
    try:
        while code:
            code = step(E, begun, SLICE)
            if code == 2:
                _python_turn(begun)
            elif code < 0:
                fail(code)
        return collect() if collect else None
    finally:
        lib.rnn_backward_end(E, begun)


def _python_turn(begun: Any) -> None:
    """A hook or an autograd.Function, whose object knows what to do with the span at the head of the pass."""
    turn = _c.object_at(lib.rnn_pass_key(begun))
    turn(lib.rnn_pass_span(begun))


def _handles(tensors: Sequence[Any]) -> Any:
    return ffi.new("rnn_ref[]", [0 if t is None else t._h for t in tensors])


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """torch.autograd.backward: adds the gradients of `tensors` to the leaves that they were made from."""
    tensors = [tensors] if not isinstance(tensors, (list, tuple)) else list(tensors)
    if not isinstance(grad_tensors, (list, tuple)):
        grad_tensors = [grad_tensors] * len(tensors) if grad_tensors is None else [grad_tensors]
    if create_graph:
        raise NotImplementedError("create_graph: rnn has no gradients of gradients")
    seeds = _check_seeds(tensors, list(grad_tensors))
    roots = _handles(tensors)
    run(
        lib.rnn_backward_begin(
            E, len(tensors), roots, _handles(seeds), RETAIN_GRAPH if retain_graph else 0
        )
    )


def _check_seeds(tensors: list[Any], seeds: list[Any]) -> list[Any]:
    """The starting gradients: given ones must fit, and only one element may go without."""
    from rnn.ops._core import as_node, dtype_of

    if len(seeds) != len(tensors):
        raise RuntimeError(f"got {len(tensors)} tensors and {len(seeds)} gradients")
    checked: list[Any] = []
    for i, (t, seed) in enumerate(zip(tensors, seeds)):
        if not t._h or not lib.rnn_requires_grad(E, t._h):
            raise RuntimeError(
                f"element {i} of tensors does not require grad and does not have a grad_fn"
            )
        if seed is None:
            if t.numel() != 1:
                raise RuntimeError("grad can be implicitly created only for scalar outputs")
        elif tuple(seed._shape) != tuple(t._shape):
            raise RuntimeError(
                f"Mismatch in shape: grad_output[{i}] has a shape of {seed.shape} and output[{i}] "
                f"has a shape of {t.shape}."
            )
        elif dtype_of(seed) is not dtype_of(t):
            seed = as_node(seed, lib.rnn_dtype(t._h))
        checked.append(seed)
    return checked


def backward_value(v: Value, gradient: float | None, retain_graph: bool) -> None:
    """Value.backward."""
    root = adopt(_c.ref_of(v))
    seed = None
    if gradient is not None:
        from rnn.ops._core import constant

        seed = constant(gradient, v._dtype_code)
    roots, grads = _handles([root]), _handles([seed])
    run(lib.rnn_backward_begin(E, 1, roots, grads, RETAIN_GRAPH if retain_graph else 0))


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """torch.autograd.grad: the gradients of `outputs` with respect to `inputs`; no .grad changes."""
    outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    inputs = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    if create_graph:
        raise NotImplementedError("create_graph: rnn has no gradients of gradients")
    if not isinstance(grad_outputs, (list, tuple)):
        grad_outputs = [grad_outputs] * (len(outputs) if grad_outputs is None else 1)
    seeds = _check_seeds(outputs, list(grad_outputs))
    for t in inputs:
        if not t._h or not lib.rnn_requires_grad(E, t._h):
            raise RuntimeError("One of the differentiated Tensors does not require grad")

    def collect() -> list[Any]:
        found = []
        for t in inputs:
            h = lib.rnn_grad(E, t._h)
            found.append(adopt(h) if h > 0 else fail(h) if h < 0 else None)
        return found

    flags = KEEP_LEAVES | (RETAIN_GRAPH if retain_graph else 0)
    roots, grads = _handles(outputs), _handles(seeds)
    found = run(lib.rnn_backward_begin(E, len(outputs), roots, grads, flags), collect)
    for i, g in enumerate(found):
        if g is None and materialize_grads:
            found[i] = inputs[i].detach() * 0
        elif g is None and not allow_unused:
            raise RuntimeError(
                "One of the differentiated Tensors appears to not have been used in the graph. "
                "Set allow_unused=True if this is the desired behavior."
            )
    return tuple(found)


# ---- grad mode ------------------------------------------------------------------------------------


def is_grad_enabled() -> bool:
    """Whether operations are recorded, in this thread."""
    return bool(lib.rnn_grad_mode())


class _Mode:
    """A context manager and decorator that sets grad mode in this thread."""

    def __init__(self, on: bool) -> None:
        self._on = on
        self._was: list[int] = []

    def __enter__(self) -> None:
        self._was.append(lib.rnn_set_grad_mode(self._on))

    def __exit__(self, *exception: object) -> None:
        lib.rnn_set_grad_mode(self._was.pop())

    def __call__(self, function: _Callable) -> _Callable:
        mode = self._on

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with _Mode(mode):
                return function(*args, **kwargs)

        return wrapped  # type: ignore[return-value]

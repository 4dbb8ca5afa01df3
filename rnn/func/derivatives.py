"""grad, vjp, jvp, jacobians and Hessians as functions of functions (torch.func).

Each runs the function on new nodes for its arguments, and a backward pass from the results. Where
something else that the function reads requires a gradient, an argument of an outer grad() or a
parameter, the pass is recorded (create_graph), so that they nest.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from rnn._c import E, Handle, check, handles, lib
from rnn.autograd.functional import _grad, _jacobian, _pushed_forward, _zeros_for_none
from rnn.autograd.modes import enable_grad, is_grad_enabled
from rnn.func import trees

Argnums = int | tuple[int, ...]

# ---- arguments -----------------------------------------------------------------------------------


def _argnum(i: Any, count: int) -> int:
    if not isinstance(i, int):
        raise RuntimeError(f"argnum must be int, got: {type(i)}")
    if not -count <= i < count:
        raise RuntimeError(f"Got argnum={i}, but only {count} positional inputs")
    return i % count


def _chosen(argnums: Argnums, count: int) -> list[int]:
    if not isinstance(argnums, (int, tuple)):
        raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    if argnums == ():
        raise RuntimeError("argnums must be non-empty")
    found = [_argnum(i, count) for i in (argnums if isinstance(argnums, tuple) else (argnums,))]
    if len(set(found)) != len(found):
        raise RuntimeError(f"argnums elements must be unique, got {argnums}")
    return found


def _opened(x: Any, attached: bool) -> Any:
    """New nodes with its values: part of its graph, or leaves."""
    if not isinstance(x, Handle):
        raise ValueError(f"Thing passed to transform API must be Tensor, got {type(x)}")
    if attached and x.requires_grad:
        return x.clone()
    return x.detach().requires_grad_()


class _Run:
    """One run of a function, and passes back through it.

    Attributes:
        inputs: the new nodes of the arguments that derivatives are asked of, flat.
        out, aux: what the function gave. outputs: `out`, flat.
        recorded: whether something else requires a gradient.
    """

    def __init__(
        self, func: Callable[..., Any], args: Sequence[Any], chosen: Sequence[int], has_aux: bool,
        where: str, kwargs: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        attached = is_grad_enabled()
        given = list(args)
        with enable_grad():
            for i in chosen:
                given[i] = trees.mapped(lambda x: _opened(x, attached), given[i])
            self.inputs = trees.leaves([given[i] for i in chosen])
            self.out, self.aux = func(*given, **(kwargs or {})), None
        if has_aux:
            if not (isinstance(self.out, tuple) and len(self.out) == 2):
                raise RuntimeError(
                    f"{where}: output of function f should be a tuple: (output, aux) if has_aux is "
                    "True"
                )
            self.out, self.aux = self.out
        self.outputs = trees.leaves(self.out)
        for t in self.outputs:
            if not isinstance(t, Handle):
                raise RuntimeError(f"{where}: expected f to return Tensors, got {type(t)}")
        self.recorded = attached and self._reads_more()

    def _reads_more(self) -> bool:
        roots = handles([t for t in self.outputs if t.requires_grad])
        own = handles(self.inputs)
        return bool(check(lib.rnn_flows_elsewhere(E, len(roots), roots, len(own), own)))

    def result(self, tree: Any) -> Any:
        """What the caller gets of it: without the nodes that were made here, unless it is part of
        a graph that is not ours."""
        if self.recorded:
            return tree
        return trees.mapped(lambda x: x.detach() if isinstance(x, Handle) else x, tree)

    def gradients(self, seeds: Sequence[Any], again: bool) -> list[Any]:
        """d (the sum of outputs * seeds) / d inputs; again: the graph is kept."""
        record = self.recorded or (is_grad_enabled() and any(map(_wants_grad, seeds)))
        found = _grad(self.outputs, self.inputs, seeds, record, again)
        return [*_zeros_for_none(found, self.inputs, False, "")]


def _wants_grad(t: Any) -> bool:
    return t is not None and bool(t.requires_grad)


# ---- gradients -----------------------------------------------------------------------------------


def grad(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Any:
    """The gradient of a function whose result is one number, as a function (torch.func.grad).

    Args:
        func: takes tensors, or nested lists, tuples and dicts of them; returns a tensor of shape
            (), with has_aux a pair of that and of anything.
        argnums: the argument, or a tuple of arguments, whose gradient is wanted.

    Returns:
        A function of the same arguments: the gradient in the form of the argument, a tuple of them
        for a tuple of argnums; with has_aux a pair of that and of the other result.

    Raises:
        ValueError: (from that function) an argument by which to differentiate holds no tensor.
        RuntimeError: (from that function) the result is no tensor of shape (), or argnums does not
            fit.

    Example:
        >>> rnn.func.grad(rnn.func.grad(rnn.sin))(rnn.tensor(1.0))
        tensor(-0.8415)
    """
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        found, value = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def grad_and_value(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Any:
    """grad, whose function also returns what func does: (gradient, value), with has_aux
    (gradient, (value, aux)) (torch.func.grad_and_value).

    Raises:
        ValueError, RuntimeError: (from that function) as grad's.

    Example:
        >>> grad_and_value(lambda x: (x * x).sum())(rnn.tensor([1.0, 2.0]))
        (tensor([2., 4.]), tensor(5.))
    """

    @functools.wraps(func)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        where = "grad_and_value(f)(*args)"
        chosen = _chosen(argnums, len(args))
        run = _Run(func, args, chosen, has_aux, where, kwargs)
        if not isinstance(run.out, Handle):
            raise RuntimeError(
                f"{where}: Expected f(*args) to return a Tensor, got {type(run.out)}"
            )
        if run.out.dim() != 0:
            raise RuntimeError(
                f"{where}: Expected f(*args) to return a scalar Tensor, got tensor with "
                f"{run.out.dim()} dims. Maybe you wanted to use the vjp or jacrev APIs instead?"
            )
        value = run.result(run.out)
        aux = run.result(run.aux) if has_aux else None
        found = trees.rebuilt([args[i] for i in chosen], run.gradients([None], False))
        found = tuple(found) if isinstance(argnums, tuple) else found[0]
        return found, ((value, aux) if has_aux else value)

    return gradient


# ---- products ------------------------------------------------------------------------------------


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """A function's results, and its vector-Jacobian product as a function (torch.func.vjp).

    Args:
        func: takes tensors, or nested lists, tuples and dicts of them, and returns such.
        primals: its arguments.

    Returns:
        (results, product), with has_aux (results, product, aux). product(cotangents), which has
        the form of the results, is a tuple with the gradient of each argument; it may be called
        again.

    Raises:
        ValueError: an argument is no tensor.
        RuntimeError: a result is none; or (from product) the cotangents have another form.

    Example:
        >>> value, product = rnn.func.vjp(lambda x: x * x, rnn.tensor([1.0, 3.0]))
        >>> product(rnn.tensor([1.0, 10.0]))
        (tensor([ 2., 60.]),)
    """
    run = _Run(func, primals, range(len(primals)), has_aux, "vjp(f, *primals)")

    def product(cotangents: Any) -> Any:
        if trees.structure(cotangents) != trees.structure(run.out):
            raise RuntimeError(
                "Expected pytree structure of cotangents to be the same as pytree structure of "
                f"outputs to the function. cotangents: {trees.structure(cotangents)}, primal "
                f"output: {trees.structure(run.out)}"
            )
        return tuple(trees.rebuilt(list(primals), run.gradients(trees.leaves(cotangents), True)))

    out = run.result(run.out)
    return (out, product, run.result(run.aux)) if has_aux else (out, product)


def jvp(
    func: Callable[..., Any],
    primals: Any,
    tangents: Any,
    *,
    strict: bool = False,
    has_aux: bool = False,
) -> Any:
    """A function's results, and the Jacobian-vector product with tangents (torch.func.jvp).

    The product is the derivative of a vector-Jacobian product by its vector: two backward passes.

    Args:
        primals: the arguments, a tuple. tangents: the vector, of the same form.
        strict: an output that does not depend on the inputs is an error instead of zeros.

    Raises:
        RuntimeError: the forms differ; or see strict.

    Example:
        >>> rnn.func.jvp(rnn.sin, (rnn.tensor(0.0),), (rnn.tensor(2.0),))
        (tensor(0.), tensor(2.))
    """
    where = "jvp(f, primals, tangents)"
    if not isinstance(primals, tuple):
        raise RuntimeError(
            f"{where}: Expected primals to be a tuple. E.g. it should be valid to call f(*primals)."
        )
    if trees.structure(primals) != trees.structure(tangents):
        raise RuntimeError(
            f"{where}: Expected primals and tangents to have the same python structure. For "
            "example, if primals is a tuple of 3 tensors, tangents also must be. Got primals with "
            f"structure {trees.structure(primals)} and tangents with structure "
            f"{trees.structure(tangents)}"
        )
    run = _Run(func, primals, range(len(primals)), has_aux, where)
    found = trees.rebuilt(run.out, _pushed(run, trees.leaves(tangents), strict))
    out = run.result(run.out)
    return (out, found, run.result(run.aux)) if has_aux else (out, found)


def _pushed(run: _Run, tangents: list[Any], strict: bool) -> list[Any]:
    if strict and not all(t.requires_grad for t in run.outputs):
        raise RuntimeError(
            "jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs. "
            "This is not allowed with strict=True."
        )
    record = run.recorded or (is_grad_enabled() and any(map(_wants_grad, tangents)))
    found = _pushed_forward(run.outputs, run.inputs, tangents, record)
    return [*_zeros_for_none(found, run.outputs, False, "")]


# ---- matrices ------------------------------------------------------------------------------------


def jacrev(
    func: Callable[..., Any],
    argnums: Argnums = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
) -> Any:
    """The Jacobian of a function, as a function: one backward pass for each element of the results
    (torch.func.jacrev).

    Args:
        argnums: the argument, or a tuple of arguments, by which to differentiate.
        chunk_size: for PyTorch's sake; elements are taken one by one.

    Returns:
        A function of the same arguments. For a result of shape S and an argument of shape T: a
        tensor of shape (*S, *T), in nests of the results' form, and within them of the arguments'.

    Raises:
        ValueError: chunk_size is not positive.
        RuntimeError: (from that function) a result is no tensor, or argnums does not fit.

    Example:
        >>> rnn.func.jacrev(rnn.sin)(rnn.zeros(2))
        tensor([[1., 0.],
                [0., 1.]])
    """
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    @functools.wraps(func)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        chosen = _chosen(argnums, len(args))
        run = _Run(func, args, chosen, has_aux, "jacrev(f)(*args)", kwargs)
        form = [args[i] for i in chosen]
        rows = [
            trees.rebuilt(form, _jacobian(out, run.inputs, False, run.recorded))
            for out in run.outputs
        ]
        many = isinstance(argnums, tuple)
        made = trees.rebuilt(run.out, [tuple(row) if many else row[0] for row in rows])
        return (made, run.result(run.aux)) if has_aux else made

    return jacobian


def jacfwd(
    func: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    randomness: str = "error",
) -> Any:
    """jacrev under another name: the engine has backward passes only (torch.func.jacfwd). What
    randomness says of forward mode has no meaning here.

    Example:
        >>> jacfwd(lambda x: x * x)(rnn.tensor([1.0, 2.0]))
        tensor([[2., 0.],
                [0., 4.]])
    """
    return jacrev(func, argnums, has_aux=has_aux)


def hessian(func: Callable[..., Any], argnums: Argnums = 0) -> Any:
    """The Hessian of a function, as a function: jacfwd(jacrev(func)) (torch.func.hessian). Its
    arguments, results and errors are jacrev's, with the shape of the argument twice.

    Example:
        >>> rnn.func.hessian(lambda x: (x**3).sum())(rnn.tensor([1.0, 2.0]))
        tensor([[ 6.,  0.],
                [ 0., 12.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)

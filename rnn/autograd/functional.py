"""Jacobians and products with them, by repeated backward passes (torch.autograd.functional)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rnn import _config
from rnn._c import E, Handle, adopt, check, lib
from rnn.autograd.modes import enable_grad
from rnn.autograd.passes import _CREATE_GRAPH, grad


def _leaves(inputs: Any, name: str) -> tuple[Any, ...]:
    """Copies of the inputs that require gradients, so that nothing else is touched."""
    found = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    for i, t in enumerate(found):
        if not isinstance(t, Handle):
            raise TypeError(
                f"The inputs given to {name} must be either a Tensor or a tuple of Tensors but "
                f"the value at index "
                f"{i} has type {type(t)}."
            )
    return tuple(_copy(t).requires_grad_() for t in found)


def _copy(t: Any) -> Any:
    constant = t.detach()
    return adopt(check(lib.rnn_clone(E, constant._h)))


def _call(func: Callable[..., Any], inputs: Any, name: str) -> tuple[Any, Any, bool]:
    leaves = _leaves(inputs, name)
    with enable_grad():
        out = func(*leaves)
    return leaves, out if isinstance(out, tuple) else (out,), isinstance(out, tuple)


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian of func at inputs: shape (*output, *input), one backward pass an output element.

    Args:
        func: takes tensors, returns a tensor or a tuple of them.
        inputs: a tensor or a tuple of them.
        strict: an output that does not depend on an input is an error instead of zeros.

    Returns:
        A tensor; a tuple where there are several inputs or outputs, of tuples where there are
        several of both.

    Raises:
        NotImplementedError: create_graph.
        RuntimeError: strict, and an output does not depend on an input.

    Example:
        >>> rnn.autograd.functional.jacobian(lambda x: x * x, rnn.tensor([1.0, 2.0]))
        tensor([[2., 0.],
                [0., 4.]])
    """
    if create_graph:
        raise NotImplementedError(_CREATE_GRAPH)
    leaves, outputs, many = _call(func, inputs, "jacobian")
    found = tuple(tuple(_rows(out, leaves, strict, i)) for i, out in enumerate(outputs))
    if isinstance(inputs, (tuple, list)):
        return found if many else found[0]
    return tuple(row[0] for row in found) if many else found[0][0]


def _rows(out: Any, leaves: tuple[Any, ...], strict: bool, i: int) -> list[Any]:
    """One output's Jacobian for every input."""
    n, shape = out.numel(), tuple(out._shape)
    code = lib.rnn_dtype(out._h)
    parts = [_zeros(code, (n, *t._shape)) for t in leaves]
    for k in range(n if out.requires_grad else 0):
        seed = _zeros(code, (n,))
        one = adopt(check(lib.rnn_select(E, seed._h, 0, k)))
        check(lib.rnn_fill(E, one._h, 1.0))
        seed = _reshape(seed, shape)
        found = grad(out, leaves, seed, retain_graph=True, allow_unused=True)
        for j, g in enumerate(found):
            if g is None and strict:
                raise RuntimeError(
                    f"Output {i} of the user-provided function is independent of input {j}. This "
                    f"is not allowed "
                    "in strict mode."
                )
            if g is not None:
                row = adopt(check(lib.rnn_select(E, parts[j]._h, 0, k)))
                check(lib.rnn_assign(E, row._h, g._h))
    return [_reshape(part, shape + tuple(t._shape)) for part, t in zip(parts, leaves)]


def _zeros(code: int, shape: tuple[int, ...]) -> Any:
    return adopt(check(lib.rnn_full(E, code, len(shape), shape, 0.0)))


def _reshape(t: Any, shape: tuple[int, ...]) -> Any:
    return adopt(check(lib.rnn_reshape(E, t._h, len(shape), shape, 0)))


def vjp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """(func's output, the product of v with its Jacobian): one backward pass
    (torch.autograd.functional.vjp).

    Args:
        v: of the output's shape; may be left out where that is one element.

    Raises:
        NotImplementedError: create_graph.
        RuntimeError: v is missing or does not fit.
    """
    if create_graph:
        raise NotImplementedError(_CREATE_GRAPH)
    leaves, outputs, many = _call(func, inputs, "vjp")
    if v is None and (len(outputs) != 1 or outputs[0].numel() != 1):
        raise RuntimeError(
            "The vector v can only be None if the user-provided function returns a single Tensor "
            "with a single element."
        )
    found = grad(outputs, leaves, v, allow_unused=not strict, materialize_grads=not strict)
    plain = tuple(out.detach() for out in outputs)
    several = isinstance(inputs, (tuple, list))
    return plain if many else plain[0], found if several else found[0]


def hessian(*args: Any, **kwargs: Any) -> Any:
    """Not supported.

    Raises:
        NotImplementedError: always: it needs gradients of gradients.
    """
    raise NotImplementedError(_CREATE_GRAPH)


if not TYPE_CHECKING:  # type checkers are to see what is absent

    def __getattr__(name: str) -> Any:
        raise _config.absent(__name__, name)

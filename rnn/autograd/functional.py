"""Jacobians, Hessians and products with them, by repeated backward passes
(torch.autograd.functional).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import rnn
from rnn import _config
from rnn._c import Handle
from rnn.autograd.modes import enable_grad
from rnn.autograd.passes import grad


def _leaves(inputs: Any, name: str, attached: bool) -> tuple[Any, ...]:
    """Copies of the inputs that require gradients, so that nothing else is touched; attached: part
    of the inputs' graph.
    """
    found = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    for i, t in enumerate(found):
        if not isinstance(t, Handle):
            raise TypeError(
                f"The inputs given to {name} must be either a Tensor or a tuple of Tensors but the "
                f"value at index {i} has type {type(t)}."
            )
    return tuple(
        t.clone() if attached and t.requires_grad else t.detach().clone().requires_grad_()
        for t in found
    )


def _call(
    func: Callable[..., Any], inputs: Any, name: str, attached: bool, strict: bool
) -> tuple[Any, Any, bool]:
    """Copies of the inputs, func's outputs of them, and whether these came as a tuple."""
    with enable_grad():
        leaves = _leaves(inputs, name, attached)
        out = func(*leaves)
    many = isinstance(out, tuple)
    outputs = out if isinstance(out, tuple) else (out,)
    for i, t in enumerate(outputs):
        if not isinstance(t, Handle):
            raise TypeError(
                f"The outputs of the user-provided function given to {name} must be either a "
                f"Tensor or a tuple of Tensors but the given outputs of the user-provided function "
                f"has type {type(out)}."
                if not many
                else f"The outputs of the user-provided function given to {name} must be either a "
                f"Tensor or a tuple of Tensors but the value at index {i} has type {type(t)}."
            )
        if strict and not t.requires_grad:
            raise RuntimeError(
                f"Output {i} of the user-provided function does not require gradients. The outputs "
                "must be computed in a differentiable manner from the input when running in strict "
                "mode."
            )
    return leaves, outputs, many


# ---- whole matrices ------------------------------------------------------------------------------


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
        create_graph: the result can be differentiated.
        strict: an output that does not depend on an input is an error instead of zeros.

    Returns:
        A tensor; a tuple where there are several inputs or outputs, of tuples where there are
        several of both.

    Raises:
        RuntimeError: strict, and an output does not depend on an input.

    Example:
        >>> rnn.autograd.functional.jacobian(lambda x: x * x, rnn.tensor([1.0, 2.0]))
        tensor([[2., 0.],
                [0., 4.]])
    """
    leaves, outputs, many = _call(func, inputs, "jacobian", create_graph, strict)
    with enable_grad():
        found = tuple(
            tuple(_jacobian(out, leaves, strict, create_graph, i))
            for i, out in enumerate(outputs)
        )
    if isinstance(inputs, (tuple, list)):
        return found if many else found[0]
    return tuple(row[0] for row in found) if many else found[0][0]


def _jacobian(
    out: Any, leaves: Sequence[Any], strict: bool, create_graph: bool, i: int = 0
) -> list[Any]:
    """The Jacobian of one output, the i-th, by every leaf: shape (*output, *leaf)."""
    n = out.numel()
    rows: list[list[Any]] = [[] for _ in leaves]
    for k in range(n):
        seed = rnn.zeros(n, dtype=out.dtype)
        seed[k] = 1.0
        found: Any = [None] * len(leaves)
        if out.requires_grad:
            seed = seed.reshape(out.shape)
            found = grad(out, leaves, seed, True, create_graph, allow_unused=True)
        for j, (t, g) in enumerate(zip(leaves, found)):
            if g is None and strict:
                raise RuntimeError(
                    f"Output {i} of the user-provided function is independent of input {j}. This "
                    "is not allowed in strict mode."
                )
            rows[j].append(rnn.zeros_like(t, requires_grad=False) if g is None else g)
    parts = [rnn.stack(r) if r else t.new_zeros(0, *t.shape) for r, t in zip(rows, leaves)]
    return [part.reshape(*out.shape, *t.shape) for part, t in zip(parts, leaves)]


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of func, which returns one element, at inputs: shape (*input, *input);
    a tuple of tuples of blocks where there are several inputs.

    Raises:
        RuntimeError: func returns more than one element; strict, and something does not depend on
            an input.

    Example:
        >>> rnn.autograd.functional.hessian(lambda x: (x**3).sum(), rnn.tensor([1.0, 2.0]))
        tensor([[ 6.,  0.],
                [ 0., 12.]])
    """
    several = isinstance(inputs, (tuple, list))

    def slopes(*leaves: Any) -> Any:
        def one(*x: Any) -> Any:
            out = func(*x)
            many = isinstance(out, tuple)
            return _only(out if many else (out,), many, "hessian").reshape(())

        found = jacobian(one, leaves, True, strict)
        _refuse_linear(found, strict)
        return tuple(found) if several else found[0]

    return jacobian(slopes, inputs, create_graph, strict)


def _only(outputs: tuple[Any, ...], many: bool, name: str) -> Any:
    """The output of a function that must have one, of one element."""
    if many:
        raise RuntimeError(f"The function given to {name} should return a single Tensor")
    if outputs[0].numel() != 1:
        raise RuntimeError(
            f"The Tensor returned by the function given to {name} should contain a single element"
        )
    return outputs[0]


def _refuse_linear(slopes: Any, strict: bool) -> None:
    for i, g in enumerate(slopes):
        if strict and not g.requires_grad:
            raise RuntimeError(
                "While computing the hessian, found that the jacobian of the user-provided "
                f"function with respect to input {i} is independent of the input. This is not "
                "allowed in strict mode. You should ensure that your function is twice "
                "differentiable and that the jacobian depends on the inputs (this would be "
                "violated by a linear function for example)."
            )


# ---- products ------------------------------------------------------------------------------------


def _vector(v: Any, like: tuple[Any, ...], several: bool, of: str) -> tuple[Any, ...] | None:
    """v as a tuple that fits; None for None, which one element alone may do without."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(
                f"The vector v can only be None if the {of} a single Tensor with a single element."
            )
        return None
    found = tuple(v) if isinstance(v, (tuple, list)) else (v,)
    if len(found) != len(like):
        raise RuntimeError(
            f"v is a tuple of invalid length: should be {len(like)} but got {len(found)}."
            if several
            else "The given v should contain a single Tensor."
        )
    for i, (given, t) in enumerate(zip(found, like)):
        if given.shape != t.shape:
            entry = f"Entry {i} in " if several else ""
            raise RuntimeError(
                f"{entry}v has invalid size: should be {t.shape} but got {given.shape}."
            )
    return found


def _zeros_for_none(found: Any, like: Sequence[Any], strict: bool, message: str) -> Any:
    made = []
    for i, (g, t) in enumerate(zip(found, like)):
        if g is None and strict:
            raise RuntimeError(message.format(i) + " This is not allowed in strict mode.")
        made.append(rnn.zeros_like(t, requires_grad=False) if g is None else g)
    return tuple(made)


_INDEPENDENT = "The output of the user-provided function is independent of input {}."

def _given_back(found: Any, several: bool, create_graph: bool) -> Any:
    made = tuple(t if create_graph else t.detach() for t in found)
    return made if several else made[0]


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
        RuntimeError: v is missing or does not fit; strict, and an output does not depend on an
            input.

    Example:
        >>> vjp(lambda x: x**2, rnn.tensor([1.0, 2.0]), rnn.ones(2))
        (tensor([1., 4.]), tensor([2., 4.]))
    """
    leaves, outputs, many = _call(func, inputs, "vjp", create_graph, strict)
    seeds = _vector(v, outputs, many, "user-provided function returns")
    found = _grad(outputs, leaves, seeds, create_graph)
    found = _zeros_for_none(found, leaves, strict, _INDEPENDENT)
    several = isinstance(inputs, (tuple, list))
    return _given_back(outputs, many, create_graph), _given_back(found, several, create_graph)


def _grad(
    outputs: Any, leaves: Any, seeds: Any, create_graph: bool, retain_graph: bool = True
) -> Any:
    """grad, of those outputs that depend on something."""
    pairs = list(zip(outputs, seeds or [None] * len(outputs)))
    pairs = [(out, seed) for out, seed in pairs if out.requires_grad]
    if not pairs:
        return [None] * len(leaves)
    with enable_grad():
        outs, given = [out for out, _ in pairs], [seed for _, seed in pairs]
        return grad(outs, leaves, given, retain_graph, create_graph, allow_unused=True)


def _pushed_forward(
    outputs: Sequence[Any], leaves: Sequence[Any], v: Sequence[Any] | None, create_graph: bool
) -> Sequence[Any]:
    """The Jacobian's product with v (None: ones) for each output; None where it depends on no leaf.
    A vector-Jacobian product is linear in its vector: this is its derivative by that.
    """
    begin = [rnn.zeros_like(out, requires_grad=True) for out in outputs]
    slopes = _grad(outputs, leaves, begin, True)
    pairs = [(i, g) for i, g in enumerate(slopes) if g is not None and g.requires_grad]
    if not pairs:
        return [None] * len(outputs)
    given = [None if v is None else v[i] for i, _ in pairs]
    with enable_grad():
        return grad([g for _, g in pairs], begin, given, True, create_graph, allow_unused=True)


def jvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """(func's output, the product of its Jacobian with v): two backward passes, the second through
    the first, which is linear in the gradient that it begins with
    (torch.autograd.functional.jvp).

    Args:
        v: of the inputs' shapes; may be left out where that is one element.

    Raises:
        RuntimeError: v is missing or does not fit; strict, and an output does not depend on an
            input.

    Example:
        >>> x = rnn.tensor([1.0, 2.0])
        >>> rnn.autograd.functional.jvp(lambda x: x * x, x, rnn.tensor([1.0, 10.0]))[1]
        tensor([ 2., 40.])
    """
    several = isinstance(inputs, (tuple, list))
    leaves, outputs, many = _call(func, inputs, "jvp", create_graph, strict)
    seeds = _vector(v, leaves, several, "input to the user-provided function is")
    found: Any = _pushed_forward(outputs, leaves, seeds, create_graph)
    message = (
        "The gradient with respect to the input is independent of entry {} in the grad_outputs "
        "when using the double backward trick to compute forward mode gradients."
    )
    found = _zeros_for_none(found, outputs, strict, message)
    return _given_back(outputs, many, create_graph), _given_back(found, many, create_graph)


def vhp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """(func's output, the product of v with the Hessian of func, which returns one element)
    (torch.autograd.functional.vhp).

    Raises:
        RuntimeError: v is missing or does not fit; func returns more than one element.

    Example:
        >>> vhp(lambda x: (x**3).sum(), rnn.tensor([1.0, 2.0]), rnn.ones(2))
        (tensor(9.), tensor([ 6., 12.]))
    """
    return _hessian_product("vhp", func, inputs, v, create_graph, strict)


def hvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """(func's output, the product of the Hessian of func with v): the Hessian is symmetric, so this
    is vhp (torch.autograd.functional.hvp).

    Example:
        >>> hvp(lambda x: (x**3).sum(), rnn.tensor([1.0, 2.0]), rnn.ones(2))
        (tensor(9.), tensor([ 6., 12.]))
    """
    return _hessian_product("hvp", func, inputs, v, create_graph, strict)


def _hessian_product(
    name: str, func: Callable[..., Any], inputs: Any, v: Any, create_graph: bool, strict: bool
) -> tuple[Any, Any]:
    several = isinstance(inputs, (tuple, list))
    leaves, outputs, many = _call(func, inputs, name, create_graph, strict)
    out = _only(outputs, many, name)
    seeds = _vector(v, leaves, several, "input to the user-provided function is")
    slopes = _zeros_for_none(_grad([out], leaves, None, True), leaves, strict, _INDEPENDENT)
    _refuse_linear(slopes, strict)
    found = _grad(slopes, leaves, seeds, create_graph)
    message = "The jacobian of the user-provided function is independent of input {}."
    found = _zeros_for_none(found, leaves, strict, message)
    return _given_back([out], False, create_graph), _given_back(found, several, create_graph)


if not TYPE_CHECKING:  # type checkers are to see what is absent

    def __getattr__(name: str) -> Any:
        raise _config.absent(__name__, name)

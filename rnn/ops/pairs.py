"""Functions of two or three tensors, element by element: lerp, addcmul, atan2, hypot and others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _dtypes, _shapes
from rnn._c import E, Handle, check_room, lib, op
from rnn._shown import show_as
from rnn.ops import _core
from rnn.ops._core import Number
from rnn.ops.elementwise import (
    add,
    add_,
    binary,
    div,
    in_place,
    mul,
    of_tensors,
    pow,
    write_out,
)
from rnn.ops.selection import where

if TYPE_CHECKING:
    from rnn.tensor import Tensor

_ATAN2, _HYPOT, _LOGADDEXP, _XLOGY = op("atan2"), op("hypot"), op("logaddexp"), op("xlogy")
_LERP, _COPYSIGN = op("lerp"), op("copysign")


def lerp(input: Tensor, end: Tensor, weight: Any, *, out: Tensor | None = None) -> Tensor:
    """input + weight * (end - input) (torch.lerp).

    Args:
        weight: a number, or a tensor that broadcasts.

    Raises:
        RuntimeError: the dtypes differ.
        NotImplementedError: they are no floats.

    Example:
        >>> rnn.lerp(rnn.tensor([0.0, 10.0]), rnn.tensor([4.0, 20.0]), 0.25)
        tensor([ 1.0000, 12.5000])
    """
    if out is not None:
        return write_out(out, lerp, input, end, weight)
    _check_lerp(input, end, weight)
    if isinstance(weight, Handle):
        step = end - input
        return where(weight < 0.5, input + weight * step, end - step * (1 - weight))
    return binary(_LERP, input, end, weight)


def _check_lerp(input: Tensor, end: Tensor, weight: Any) -> None:
    d = _core.dtype_of(input)
    tensor = isinstance(weight, Handle)
    for name, t in (("end", end), ("weight", weight if tensor and weight._shape else input)):
        if _core.dtype_of(t) is not d:
            raise RuntimeError(
                f"expected dtype {_core.c_name(d)} for `{name}` but got dtype "
                f"{_core.c_name(_core.dtype_of(t))}"
            )
    if not d.is_floating_point:
        kind = "tensor" if tensor else "scalar"
        raise NotImplementedError(
            f"\"lerp_kernel_{kind}\" not implemented for '{_core.type_name(d)}'"
        )


def lerp_(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """lerp, in place (torch.Tensor.lerp_)."""
    if not isinstance(weight, Handle) and not lib.rnn_binary_into(
        E, _LERP, input._h, input._h, end._h, weight
    ):
        return input
    return in_place(input, lerp(input, end, weight))


def addcmul(
    input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1, out: Tensor | None = None
) -> Tensor:
    """input + value * tensor1 * tensor2 (torch.addcmul).

    Example:
        >>> rnn.addcmul(rnn.ones(2), rnn.tensor([1.0, 2.0]), rnn.tensor([3.0, 4.0]), value=0.5)
        tensor([2.5000, 5.0000])
    """
    if out is not None:
        return write_out(out, addcmul, input, tensor1, tensor2, value=value)
    product = mul(tensor1, tensor2)
    made = add(input, product, alpha=_value(_core.result_dtype(input, product), value))
    return show_as(made, "AddcmulBackward0")


def addcdiv(
    input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1, out: Tensor | None = None
) -> Tensor:
    """input + value * tensor1 / tensor2 (torch.addcdiv).

    Raises:
        RuntimeError: tensor1 and tensor2 are integers.

    Example:
        >>> rnn.addcdiv(rnn.ones(2), rnn.tensor([1.0, 2.0]), rnn.tensor([2.0, 4.0]), value=0.5)
        tensor([1.2500, 1.2500])
    """
    if out is not None:
        return write_out(out, addcdiv, input, tensor1, tensor2, value=value)
    return show_as(add(input, _quotient(tensor1, tensor2), alpha=value), "AddcdivBackward0")


def _value(result: _dtypes.dtype, value: Number) -> Number:
    """The factor of addcmul, in the result's dtype."""
    if result is _dtypes.bool_:
        raise NotImplementedError("\"addcmul_cpu_out\" not implemented for 'Bool'")
    return value if result.is_floating_point else int(value)


def _quotient(a: Tensor, b: Tensor) -> Tensor:
    if not (_core.dtype_of(a).is_floating_point or _core.dtype_of(b).is_floating_point):
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future  release "
            "addcdiv will perform a true division of tensor1 and tensor2. The historic addcdiv "
            "behavior can be implemented as (input + value * rnn.trunc(tensor1 / tensor2))"
            ".to(input.dtype) for integer inputs and as (input + value * tensor1 / tensor2) for "
            "float inputs. The future addcdiv behavior is just the latter implementation: (input + "
            "value * tensor1 / tensor2), for all dtypes."
        )
    return div(a, b)


def addcmul_(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Tensor:
    """addcmul, in place (torch.Tensor.addcmul_)."""
    product = mul(tensor1, tensor2)
    return add_(input, product, alpha=_value(_core.result_dtype(input, product), value))


def addcdiv_(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Tensor:
    """addcdiv, in place (torch.Tensor.addcdiv_)."""
    return add_(input, _quotient(tensor1, tensor2), alpha=value)


def atan2(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The angle of the point (other, input), from -pi to pi (torch.atan2).

    Example:
        >>> rnn.atan2(rnn.tensor([1.0, -1.0]), rnn.tensor([-1.0, -1.0]))
        tensor([ 2.3562, -2.3562])
    """
    if out is not None:
        return write_out(out, atan2, input, other)
    return of_tensors("atan2", _ATAN2, None, input, other)


def hypot(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """sqrt(input^2 + other^2), without overflow on the way (torch.hypot).

    Example:
        >>> rnn.hypot(rnn.tensor([3.0]), rnn.tensor([4.0]))
        tensor([5.])
    """
    if out is not None:
        return write_out(out, hypot, input, other)
    return of_tensors("hypot", _HYPOT, None, input, other)


def logaddexp(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """log(exp(input) + exp(other)), without overflow on the way (torch.logaddexp).

    Example:
        >>> rnn.logaddexp(rnn.tensor([0.0]), rnn.tensor([0.0]))
        tensor([0.6931])
    """
    if out is not None:
        return write_out(out, logaddexp, input, other)
    return of_tensors("logaddexp", _LOGADDEXP, None, input, other)


def logaddexp2(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """log2(2^input + 2^other), without overflow on the way (torch.logaddexp2).

    Example:
        >>> rnn.logaddexp2(rnn.tensor([1.0]), rnn.tensor([1.0]))
        tensor([2.])
    """
    if out is not None:
        return write_out(out, logaddexp2, input, other)
    ln2 = math.log(2)
    return logaddexp(input * ln2, other * ln2) / ln2


def xlogy(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
    """input * log(other), 0 where input is 0 (torch.xlogy).

    Example:
        >>> rnn.xlogy(rnn.tensor([0.0, 2.0]), rnn.tensor([0.0, 1.0]))
        tensor([0., 0.])
    """
    if out is not None:
        return write_out(out, xlogy, input, other)
    return binary(_XLOGY, input, other)


def copysign(input: Tensor, other: Any, *, out: Tensor | None = None) -> Tensor:
    """The size of input with the sign of other (torch.copysign).

    Example:
        >>> rnn.copysign(rnn.tensor([1.0, 2.0]), rnn.tensor([-0.0, 3.0]))
        tensor([-1.,  2.])
    """
    if out is not None:
        return write_out(out, copysign, input, other)
    return binary(_COPYSIGN, input, other)


def ldexp(input: Tensor, other: Any, *, out: Tensor | None = None) -> Tensor:
    """input * 2^other (torch.ldexp).

    Example:
        >>> rnn.ldexp(rnn.tensor([1.0, 3.0]), rnn.tensor([2, 1]))
        tensor([4., 6.])
    """
    if out is not None:
        return write_out(out, ldexp, input, other)
    return mul(input, pow(2.0, other))


def heaviside(input: Tensor, values: Tensor, *, out: Tensor | None = None) -> Tensor:
    """0 below 0, 1 above it, values at it (torch.heaviside).

    Example:
        >>> rnn.heaviside(rnn.tensor([-1.0, 0.0, 2.0]), rnn.tensor([0.5]))
        tensor([0.0000, 0.5000, 1.0000])
    """
    if out is not None:
        return write_out(out, heaviside, input, values)
    _core.check_tensors("heaviside", input=input, values=values)
    x, y = _core.array_of(input), _core.array_of(values)
    check_room("heaviside", _shapes.broadcast_shapes(x.shape, y.shape), y.itemsize)
    return _core.wrap(np.heaviside(x, y).astype(y.dtype))

"""The larger, the smaller and the chosen: maximum, minimum, clamp and their kind, where.

Ties and NaN are PyTorch's, in the gradients too: maximum of two equal numbers gives each half,
clamp at its bound gives all, fmax prefers a number to NaN.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _c, _shapes
from rnn._c import E, Handle, adopt, check, check_room, ffi, lib, op
from rnn.ops import _core
from rnn.ops._core import as_node
from rnn.ops.elementwise import in_place, of_tensors, unary, unary_in_place, write_out

if TYPE_CHECKING:
    from rnn.tensor import Tensor

_MAXIMUM, _MINIMUM, _FMAX, _FMIN = op("maximum"), op("minimum"), op("fmax"), op("fmin")
_CLAMP = op("clamp")


def maximum(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The larger of two, or NaN where one is; equal ones share the gradient (torch.maximum).

    Example:
        >>> rnn.maximum(rnn.tensor([1.0, 4.0]), rnn.tensor([3.0, 2.0]))
        tensor([3., 4.])
    """
    if out is not None:
        return write_out(out, maximum, input, other)
    return of_tensors("maximum", _MAXIMUM, np.maximum, input, other)


def minimum(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The smaller of two, or NaN where one is; equal ones share the gradient (torch.minimum).

    Example:
        >>> rnn.minimum(rnn.tensor([1.0, 4.0]), rnn.tensor([3.0, 2.0]))
        tensor([1., 2.])
    """
    if out is not None:
        return write_out(out, minimum, input, other)
    return of_tensors("minimum", _MINIMUM, np.minimum, input, other)


def fmax(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The larger of two; NaN only where both are (torch.fmax).

    Example:
        >>> rnn.fmax(rnn.tensor([1.0, float("nan")]), rnn.tensor([2.0, 3.0]))
        tensor([2., 3.])
    """
    if out is not None:
        return write_out(out, fmax, input, other)
    return of_tensors("fmax", _FMAX, np.fmax, input, other)


def fmin(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The smaller of two; NaN only where both are (torch.fmin).

    Example:
        >>> rnn.fmin(rnn.tensor([1.0, float("nan")]), rnn.tensor([2.0, 3.0]))
        tensor([1., 3.])
    """
    if out is not None:
        return write_out(out, fmin, input, other)
    return of_tensors("fmin", _FMIN, np.fmin, input, other)


def _is_number(x: Any) -> bool:
    return x is None or isinstance(x, (int, float, np.number))


def clamp(input: Tensor, min: Any = None, max: Any = None, *, out: Tensor | None = None) -> Tensor:
    """Elements below min become min, then those above max become max (torch.clamp).

    Args:
        min, max: numbers, tensors that broadcast, or None; not both None.

    Raises:
        RuntimeError: both are None.

    Example:
        >>> rnn.tensor([-2.0, 0.5, 3.0]).clamp(0, 1)
        tensor([0.0000, 0.5000, 1.0000])
    """
    if min is None and max is None:
        raise RuntimeError("rnn.clamp: At least one of 'min' or 'max' must not be None")
    if out is not None:
        return write_out(out, clamp, input, min, max)
    if not (_is_number(min) and _is_number(max)):
        return _clamp_tensors(input, min, max)
    low, high = -math.inf if min is None else min, math.inf if max is None else max
    if input._h:
        return unary(_CLAMP, input, low, high)
    bounds = [x for x in (min, max) if x is not None]
    result = _core.result_dtype(input, *bounds)
    if result in _core.CODES:
        return unary(_CLAMP, as_node(input, _core.CODES[result]), low, high)
    check_room("clamp", input._shape, result.itemsize)
    return _core.wrap(np.clip(_core.as_array(input, result), min, max).astype(result.storage))


def _clamp_tensors(input: Tensor, low: Any, high: Any) -> Tensor:
    """One bound after the other, each a choice; NaN bounds win."""
    bounds = [x for x in (low, high) if x is not None]
    result = _core.result_dtype(input, *bounds)
    if result in _core.CODES:
        input = as_node(input, _core.CODES[result])
    for bound, is_low in ((low, True), (high, False)):
        if bound is not None:
            x, y = _core.as_array(input, result), _core.as_array(bound, result)
            check_room("clamp", _shapes.broadcast_shapes(x.shape, y.shape), 3)
            beyond = (x < y if is_low else x > y) | (y != y)
            input = where(_core.wrap(beyond & (x == x)), bound, input)
    return input


def clamp_min(input: Tensor, min: Any, *, out: Tensor | None = None) -> Tensor:
    """Elements below min become min (torch.clamp_min).

    Example:
        >>> rnn.clamp_min(rnn.tensor([-1.0, 3.0]), 0.0)
        tensor([0., 3.])
    """
    return clamp(input, min, out=out)


def clamp_max(input: Tensor, max: Any, *, out: Tensor | None = None) -> Tensor:
    """Elements above max become max (torch.clamp_max).

    Example:
        >>> rnn.clamp_max(rnn.tensor([-1.0, 3.0]), 2.0)
        tensor([-1.,  2.])
    """
    return clamp(input, max=max, out=out)


def clip(input: Tensor, min: Any = None, max: Any = None, *, out: Tensor | None = None) -> Tensor:
    """clamp (torch.clip).

    Example:
        >>> rnn.clip(rnn.tensor([-1.0, 0.5, 3.0]), 0.0, 1.0)
        tensor([0.0000, 0.5000, 1.0000])
    """
    return clamp(input, min, max, out=out)


def clamp_(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """clamp, in place (torch.Tensor.clamp_)."""
    if not (_is_number(min) and _is_number(max)) or min is max is None:
        return in_place(input, clamp(input, min, max))
    low, high = -math.inf if min is None else min, math.inf if max is None else max
    return unary_in_place(_CLAMP, clamp, input, min, max, p0=low, p1=high)


def clamp_min_(input: Tensor, min: Any) -> Tensor:
    """clamp_min, in place (torch.Tensor.clamp_min_)."""
    return clamp_(input, min)


def clamp_max_(input: Tensor, max: Any) -> Tensor:
    """clamp_max, in place (torch.Tensor.clamp_max_)."""
    return clamp_(input, max=max)


def clip_(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """clamp, in place (torch.Tensor.clip_)."""
    return clamp_(input, min, max)


def where(
    condition: Tensor, input: Any = None, other: Any = None, *, out: Tensor | None = None
) -> Any:
    """input where condition is True, other where it is not (torch.where).

    Args:
        condition: a bool tensor; the three shapes broadcast.
        input, other: tensors or numbers. Without them: condition.nonzero(as_tuple=True).

    Raises:
        RuntimeError: condition is not bool, or the shapes do not broadcast.

    Example:
        >>> rnn.where(rnn.tensor([True, False]), rnn.ones(2), 0.0)
        tensor([1., 0.])
    """
    if out is not None:
        return write_out(out, where, condition, input, other)
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    if condition._h or condition._array.dtype not in (np.bool_, np.uint8):
        raise RuntimeError(
            "where expected condition to be a boolean tensor, but got a tensor with dtype "
            f"{_core.type_name(_core.dtype_of(condition))}"
        )
    mask = condition._array
    shapes = [x._shape for x in (input, other) if isinstance(x, Handle)]
    shape = _shapes.broadcast_shapes(mask.shape, *shapes) if shapes else mask.shape
    result = _core.result_dtype(input, other)
    code = _core.CODES.get(result)
    if code is None:
        check_room("where", shape, result.itemsize)
        made = np.where(mask, _core.as_array(input, result), _core.as_array(other, result))
        return _core.wrap(made)
    a, b = as_node(input, code), as_node(other, code)
    check_room("where", shape, 1)
    mask = np.ascontiguousarray(np.broadcast_to(mask, shape), np.bool_)
    pointer = ffi.cast("uint8_t *", mask.ctypes.data)
    return adopt(check(lib.rnn_where(E, pointer, len(shape), _c.dims(shape), a._h, b._h)))


def where_of(input: Tensor, condition: Tensor, other: Any) -> Tensor:
    """input where condition is True, other where it is not (torch.Tensor.where).

    Example:
        >>> rnn.tensor([1, 2]).where(rnn.tensor([True, False]), rnn.tensor(0))
        tensor([1, 0])
    """
    return where(condition, input, other)

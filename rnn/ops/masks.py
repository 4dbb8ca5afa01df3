"""masked_fill: one value where a mask is True (csrc/masks.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _dtypes
from rnn._c import E, Handle, adopt, check, check_room, fail, ffi, lib
from rnn._shapes import broadcast_shapes
from rnn.ops import _core
from rnn.ops._core import dtype_of, wrap
from rnn.ops.create import held
from rnn.ops.elementwise import in_place
from rnn.ops.shape import expand, own

if TYPE_CHECKING:
    from rnn.tensor import Tensor

Shape = tuple[int, ...]


def mask_array(mask: Tensor, function: str) -> Any:
    """The mask as a NumPy array of bools.

    Raises:
        RuntimeError: it has another dtype; the message names the function.
    """
    if dtype_of(mask) is not _dtypes.bool_:
        name = _core.c_name(dtype_of(mask))
        raise RuntimeError(
            f"{function} only supports boolean masks, but got mask with dtype {name}"
        )
    return mask._array


def _period(mask: Any, shape: Shape) -> Any:
    """A contiguous mask that, repeated, covers `shape` in row-major order: copied only where it
    must be.
    """
    lead = 0
    while lead < mask.ndim and mask.shape[lead] == 1:
        lead += 1
    mask = mask.reshape(mask.shape[lead:])
    if mask.shape != shape[len(shape) - mask.ndim :]:
        whole = next(
            d for d in range(mask.ndim + 1) if mask.shape[d:] == shape[len(shape) - mask.ndim + d :]
        )
        first = next((d for d in range(whole) if mask.shape[d] != 1), whole)
        mask = np.broadcast_to(mask[(0,) * first], shape[len(shape) - mask.ndim + first :])
    check_room("masked_fill", mask.shape, 1)
    return np.ascontiguousarray(mask)


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """input, with value where mask is True; both broadcast (torch.masked_fill).

    Raises:
        RuntimeError: the mask is not boolean, or value is a tensor with dimensions.

    Example:
        >>> rnn.tensor([1.0, 2.0]).masked_fill(rnn.tensor([True, False]), 0)
        tensor([0., 2.])
    """
    array = mask_array(mask, "masked_fill_")
    if isinstance(value, Handle):
        if value._shape:
            raise RuntimeError(
                "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
                f"{len(value._shape)} dimension(s)."
            )
        if input._h and value._h and lib.rnn_requires_grad(E, value._h):
            return _where(array, value, input)
        value = value.item()
    shape = input._shape if array.ndim == 0 else broadcast_shapes(array.shape, input._shape)
    if not input._h:
        number = np.asarray(held(value, dtype_of(input)), input._array.dtype)
        check_room("masked_fill", shape, number.itemsize)
        return wrap(np.where(array, number, input._array))
    source = input if shape == input._shape else expand(input, shape)
    period = _period(array, shape)
    h = lib.rnn_masked_fill(E, source._h, ffi.from_buffer("uint8_t[]", period), period.size, value)
    return adopt(h) if h > 0 else fail(h)


def _where(mask: Any, a: Tensor, b: Tensor) -> Tensor:
    """mask ? a : b, of float tensors of b's dtype."""
    shape = broadcast_shapes(mask.shape, b._shape)
    check_room("where", shape, 1)
    bytes_ = np.ascontiguousarray(np.broadcast_to(mask, shape))
    a = _core.as_node(a, lib.rnn_dtype(b._h))
    h = lib.rnn_where(E, ffi.from_buffer("uint8_t[]", bytes_), len(shape), shape, a._h, b._h)
    return adopt(h) if h > 0 else fail(h)


def masked_fill_(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """masked_fill, in place (torch.Tensor.masked_fill_)."""
    own(input, value)
    if input._h:
        check(lib.rnn_check_inplace(E, input._h))
    made = masked_fill(input, mask, value)
    return in_place(input, made)

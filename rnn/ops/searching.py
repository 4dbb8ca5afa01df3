"""Where elements are: in a sorted sequence (NumPy's), and those that are not 0 (rnn_nonzero in
csrc/masks.c).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rnn._c import E, Handle, check, check_copy_room, check_room, ffi, lib
from rnn._dtypes import prefix
from rnn.ops import _core
from rnn.ops._core import array_of

if TYPE_CHECKING:
    from rnn.tensor import Tensor


def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Where input's elements would go along the last dimension (torch.searchsorted).

    Args:
        sorted_sequence: 1-d, or of input's shape but for the last dimension.
        input: a tensor or a number.
        right, side: before ("left", the default) or behind ("right") equal elements.
        sorter: what sorts the sequence, where it is not sorted.

    Raises:
        RuntimeError: the shapes do not fit.

    Example:
        >>> rnn.searchsorted(rnn.tensor([1.0, 2.0, 3.0]), rnn.tensor([0.5, 2.0, 9.0]))
        tensor([0, 1, 3])
    """
    _core.check_tensors("searchsorted", sorted_sequence=sorted_sequence)
    sequence = array_of(sorted_sequence)
    values = array_of(input) if isinstance(input, Handle) else np.asarray(input)
    if side not in (None, "left", "right"):
        raise RuntimeError(
            f"{prefix}searchsorted(): side can only be 'left' or 'right' but got {side}"
        )
    if side is not None and right and side != "right":
        raise RuntimeError(
            f"{prefix}searchsorted(): side and right can't be set to opposites, "
            f"got side of {side} while right was True"
        )
    to: Any = "right" if right or side == "right" else "left"
    if sorter is not None:
        sequence = np.take_along_axis(sequence, array_of(sorter), -1)
    kind = np.int32 if out_int32 else np.int64
    check_copy_room("searchsorted", values, 8)
    if sequence.ndim == 1:
        made = np.searchsorted(sequence, values, to)
    elif sequence.shape[:-1] != values.shape[:-1]:
        raise RuntimeError(
            f"{prefix}searchsorted(): boundaries tensor should be 1 dimension or the first N-1 "
            "dimensions of boundaries tensor and input value tensor must match, but we got "
            f"boundaries tensor {list(sequence.shape)} and input value tensor {list(values.shape)}"
        )
    else:
        made = np.empty(values.shape, kind)
        for at in np.ndindex(values.shape[:-1]):
            made[at] = np.searchsorted(sequence[at], values[at], to)
    return _core.view_as_result(_core.wrap(np.asarray(made, kind)), out)


def bucketize(
    input: Any,
    boundaries: Tensor,
    *,
    out_int32: bool = False,
    right: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """Between which of the 1-d boundaries each element of input lies (torch.bucketize).

    Example:
        >>> rnn.bucketize(rnn.tensor([0.5, 2.0, 9.0]), rnn.tensor([1.0, 2.0, 3.0]))
        tensor([0, 1, 3])
    """
    if len(boundaries._shape) != 1:
        raise RuntimeError(
            f"boundaries tensor must be 1 dimension, but got dim({len(boundaries._shape)})"
        )
    return searchsorted(boundaries, input, out_int32=out_int32, right=right, out=out)


def nonzero(input: Tensor, *, as_tuple: bool = False, out: Tensor | None = None) -> Any:
    """Where the elements are that are not 0 (torch.nonzero).

    Returns:
        int64: a row for each; as_tuple: a 1-d tensor for each dimension, which indexes input.

    Example:
        >>> rnn.nonzero(rnn.tensor([[0, 1], [2, 0]]))
        tensor([[0, 1],
                [1, 0]])
    """
    if as_tuple:
        return tuple([_core.wrap(i) for i in _nonzero("nonzero", array_of(input), True)])
    return _core.view_as_result(_core.wrap(_nonzero("nonzero", array_of(input), False)), out)


def _nonzero(name: str, array: Any, by_dim: bool) -> Any:
    """int64 (count, dimensions), or by_dim (dimensions, count)."""
    if array.dtype != np.bool_:
        array = array != 0
    count = int(np.count_nonzero(array))
    check_room(name, (count, array.ndim), 8)
    if not array.ndim:
        return np.zeros((1, count) if by_dim else (count, 0), np.int64)
    mask = np.ascontiguousarray(array)
    out = np.empty((array.ndim, count) if by_dim else (count, array.ndim), np.int64)
    at, bytes_ = ffi.from_buffer("int64_t[]", out), ffi.from_buffer("uint8_t[]", mask)
    check(lib.rnn_nonzero(E, bytes_, array.ndim, array.shape, count, by_dim, at))
    return out


def argwhere(input: Tensor) -> Tensor:
    """nonzero, without as_tuple (torch.argwhere).

    Example:
        >>> rnn.argwhere(rnn.tensor([[0, 1], [2, 0]]))
        tensor([[0, 1],
                [1, 0]])
    """
    return _core.wrap(_nonzero("argwhere", array_of(input), False))

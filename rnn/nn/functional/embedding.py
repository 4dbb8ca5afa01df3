"""Rows picked by integers: embedding, embedding_bag; one_hot is rnn/ops/join.py's
(torch.nn.functional).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import rnn
from rnn import _dtypes
from rnn._c import check_copy_room, check_room, lib
from rnn._shown import shown_as
from rnn._warn import warn_user
from rnn.autograd.function import Function
from rnn.nn.functional._common import gather_flat
from rnn.ops import _core

if TYPE_CHECKING:
    from rnn.tensor import Tensor


def _indices(input: Tensor, rows: int, function: str) -> Any:
    """The int64 array of indices.

    Raises:
        IndexError: one is outside 0 .. rows - 1.
        RuntimeError: they are not integers.
    """
    if input._h or input._array.dtype not in (np.int64, np.int32):
        name = _dtypes.prefix + _core.dtype_of(input).tensor_type
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: "
            f"Long, Int; but got {name} instead (while checking arguments for {function})"
        )
    index = np.asarray(check_copy_room(function, input._array, 8), np.int64, order="C")
    if index.size and (index.min() < 0 or index.max() >= rows):
        raise IndexError("index out of range in self")
    return index


def _renormalise(weight: Tensor, index: Any, max_norm: float, norm_type: float) -> None:
    """Scales the rows that are used down to max_norm, in place, outside of the graph."""
    table = _core.array_of(weight)
    rows = np.unique(index)
    norms = np.linalg.norm(table[rows], norm_type, axis=1)
    large = norms > max_norm
    scale = (max_norm / (norms[large] + 1e-7)).astype(table.dtype)
    table[rows[large]] *= scale[:, None]
    lib.rnn_touch(rnn._c.E, weight._h)


def _row_of_padding(padding_idx: int | None, rows: int) -> int | None:
    """padding_idx, counted from the front.

    Raises:
        AssertionError: it is outside the table.
    """
    if padding_idx is None or 0 <= padding_idx < rows:
        return padding_idx
    assert -rows <= padding_idx < 0, "Padding_idx must be within num_embeddings"
    return padding_idx + rows


def _by_frequency(rows: Tensor, index: Any, counted: Any) -> Tensor:
    """rows as they are; what goes back through each is divided by how often its index is there
    among those that are counted.
    """
    _, places, counts = np.unique(index[counted], return_inverse=True, return_counts=True)
    factors = np.ones(index.shape)
    factors[counted] = 1 / counts[places.reshape(-1)]
    made: Tensor = _Scaled.apply(rows, rnn.tensor(factors[..., None], dtype=rows.dtype))
    return made


class _Scaled(Function):
    """The identity whose gradient is multiplied by factors."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, factors: Tensor) -> Tensor:
        ctx.save_for_backward(factors)
        return rows.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (factors,) = ctx.saved_tensors
        return grad * factors, None


@shown_as("EmbeddingBackward0")
def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of weight picked by integers (torch.nn.functional.embedding).

    Args:
        input: (*) int64 or int32; weight: (V, D).
        padding_idx: a row that passes no gradient back.
        max_norm: rows that are used and larger are scaled down to it, in place.
        scale_grad_by_freq: a row's gradient is divided by how often it is picked.
        sparse: has no effect: gradients are dense.

    Returns:
        (*, D)

    Raises:
        IndexError: an index is outside the table.
        RuntimeError: the indices are not integers.

    Example:
        >>> F.embedding(rnn.tensor([2, 0]), rnn.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]))
        tensor([[4., 5.],
                [0., 1.]])
    """
    if len(weight._shape) != 2:
        raise RuntimeError("'weight' must be 2-D")
    rows, width = weight._shape
    index = _indices(input, rows, "embedding")
    padding_idx = _row_of_padding(padding_idx, rows)
    if max_norm is not None:
        _renormalise(weight, index, max_norm, norm_type)
    out = gather_flat(weight, index, index.shape + (width,), width)
    if scale_grad_by_freq and out.requires_grad:
        out = _by_frequency(out, index, index != (-1 if padding_idx is None else padding_idx))
    if padding_idx is not None and out.requires_grad:
        padded = index == padding_idx
        if padded.any():
            return rnn.where(_core.wrap(padded[..., None]), out.detach(), out)
    return out


@shown_as("EmbeddingBagBackward0")
def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Sums, means or maxima over bags of rows of weight (torch.nn.functional.embedding_bag).

    Args:
        input: (B, L), a bag a row; or (N,), cut into bags by offsets.
        offsets: (B,), where each bag begins.
        scale_grad_by_freq: as embedding's; not for "max".
        mode: "sum", "mean" or "max".
        per_sample_weights: factors of the rows, of the input's shape; for "sum".
        padding_idx: a row that counts for nothing.

    Returns:
        (B, D)

    Raises:
        ValueError: mode, or the shapes of input and offsets, do not fit.

    Example:
        >>> F.embedding_bag(rnn.tensor([[0, 2]]), rnn.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]))
        tensor([[2., 3.]])
    """
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if mode == "max" and scale_grad_by_freq:
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported "
            f"for mode='sum' (got mode='{mode}'). Please open a feature request on GitHub."
        )
    if weight.dtype is rnn.int64 and input._h:
        warn_user(
            "Argument order of nn.functional.embedding_bag was changed. Usage "
            "`embedding_bag(weight, input, ...)` is deprecated, and should now be "
            "`embedding_bag(input, weight, ...)`.",
        )
        input, weight = weight, input
    bags, count = _bags(input, offsets, include_last_offset)
    flat = input.reshape(-1)[: len(bags)]  # what lies behind the last offset is in no bag
    rows = embedding(flat, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.reshape(-1)[: len(bags)].unsqueeze(1)
    padding_idx = _row_of_padding(padding_idx, weight._shape[0])
    if padding_idx is not None:
        kept = np.flatnonzero(flat._array != padding_idx)
        rows, bags = rows[_core.wrap(kept)], bags[kept]
    width = weight._shape[1]
    if mode == "max":
        return _largest(rows, bags, count, width)
    sums = rnn.zeros(count, width, dtype=weight.dtype).index_add(0, _core.wrap(bags), rows)
    if mode == "sum":
        return sums
    each = np.maximum(np.bincount(bags, minlength=count), 1)
    return sums / _core.wrap(each[:, None])


def _bags(input: Tensor, offsets: Tensor | None, include_last_offset: bool) -> tuple[Any, int]:
    """The bag of each index, and how many bags there are."""
    if len(input._shape) == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch "
                f"of fixed length sequences. However, found offsets of type {type(offsets)}"
            )
        check_room("embedding_bag", input._shape, 24)
        return np.repeat(np.arange(input._shape[0]), input._shape[1]), input._shape[0]
    if len(input._shape) != 1:
        raise ValueError(
            f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}"
        )
    if offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None")
    if len(offsets._shape) != 1:
        raise ValueError("offsets has to be a 1D Tensor")
    starts, count = offsets._array, input._shape[0]
    if len(starts) and starts[0]:
        raise RuntimeError(
            "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from "
            f"position 0. However, got {starts[0]}"
        )
    if len(starts) and starts[-1] > count:
        raise RuntimeError(
            f"offsets[-1] can not be greater than input's length {count} but got offsets[-1] of "
            f"{starts[-1]}"
        )
    if include_last_offset:
        starts, count = starts[:-1], int(starts[-1])
    bags = np.searchsorted(starts, np.arange(count), "right") - 1
    return bags, len(starts)


def _largest(rows: Tensor, bags: Any, count: int, width: int) -> Tensor:
    """The maximum of each bag (0 where it is empty), picked from rows by place."""
    values = _core.array_of(rows)
    picked = np.zeros((count, width), np.int64)
    empty = np.ones(count, np.bool_)
    for bag in range(count):
        own = np.flatnonzero(bags == bag)
        if own.size:
            empty[bag] = False
            picked[bag] = own[values[own].argmax(0)] * width + np.arange(width)
    if not len(values):
        return rnn.zeros(count, width, dtype=rows.dtype)
    largest = gather_flat(rows, picked, (count, width))
    return largest.masked_fill(_core.wrap(empty[:, None]), 0.0)

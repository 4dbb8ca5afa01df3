"""Reductions of what several indices send to one place: scatter_reduce and index_reduce.

Places that as many elements come to, to a power of two, are reduced together: their elements are
gathered as rows of one table, with a neutral one where there are fewer, and reduced along it. So
gradients are those of the gather and of the reduction, at both resolutions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _dtypes
from rnn._c import Handle
from rnn._shapes import normalize_dim
from rnn._shown import show_as
from rnn.ops._core import Array, dtype_of, wrap
from rnn.ops.convert import to
from rnn.ops.create import full
from rnn.ops.elementwise import div
from rnn.ops.extremes import amax, amin
from rnn.ops.gather import _elementwise_rows, _scatter_source, scatter_, scatter_add_
from rnn.ops.index import put_rows, take_rows
from rnn.ops.join import cat
from rnn.ops.reduce import prod
from rnn.ops.shape import clone, expand, own, reshape

if TYPE_CHECKING:
    from rnn.tensor import Tensor

_REDUCTIONS = {"prod": prod, "amax": amax, "amin": amin}


def _neutral(reduce: str, dtype: _dtypes.dtype) -> Any:
    if reduce == "prod":
        return 1
    low, high = -math.inf, math.inf
    if dtype is _dtypes.bool_:
        low, high = False, True
    elif not dtype.is_floating_point:
        limits = np.iinfo(dtype.storage)
        low, high = limits.min, limits.max
    return low if reduce == "amax" else high


def _groups(targets: Array) -> Iterator[tuple[Array, Array]]:
    """(places, members): rows of the indices into targets that send to each place, -1 behind."""
    order = np.argsort(targets, kind="stable")
    places, first, count = np.unique(targets[order], return_index=True, return_counts=True)
    width = np.ceil(np.log2(count)).astype(np.int64)
    for w in np.unique(width):
        chosen = width == w
        at = first[chosen, None] + np.arange(1 << int(w))
        members = np.where(
            np.arange(1 << int(w)) < count[chosen, None], order[np.minimum(at, len(order) - 1)], -1
        )
        yield places[chosen], members


def _reduce_groups(input: Tensor, targets: Array, src: Tensor, reduce: str, itself: bool) -> None:
    """Each place of input that is among targets becomes the reduction of what comes to it."""
    fill = full((1,), _neutral(reduce, dtype_of(input)), dtype=dtype_of(input))
    pool = cat([reshape(src, -1), fill, reshape(clone(input), -1)])
    behind = len(targets)
    for places, members in _groups(targets):
        table = np.where(members < 0, behind, members)
        if itself:
            table = np.concatenate([behind + 1 + places[:, None], table], axis=1)
        rows = np.ascontiguousarray(table.reshape(-1), np.int64)
        found = _REDUCTIONS[reduce](take_rows(pool, rows, 1, table.shape), dim=1)
        if dtype_of(found) is not dtype_of(input):
            found = to(found, dtype_of(input))
        put_rows(input, np.ascontiguousarray(places, np.int64), 1, found, found._shape)


def _mean(
    input: Tensor, dim: int, index: Tensor, targets: Array, src: Tensor, itself: bool
) -> None:
    count = np.bincount(targets, minlength=math.prod(input._shape)).reshape(input._shape)
    count = count + 1 if itself else np.maximum(count, 1)
    start = clone(input) if itself else scatter_(clone(input), dim, index, 0)
    total = scatter_add_(start, dim, index, src)
    counts = wrap(count)
    if dtype_of(input).is_floating_point:
        input.copy_(div(total, to(counts, dtype_of(input))))
    else:
        input.copy_(div(total, counts, rounding_mode="floor"))


def scatter_reduce_(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """input[index[i][j]][j] becomes the reduction of what it holds and of every src[i][j] that is
    sent there, for dim 0, and so on, in place (torch.Tensor.scatter_reduce_).

    Args:
        index: int64 or int32, with as many dimensions as input, and no larger than src.
        src: of input's dtype.
        reduce: "sum", "prod", "mean", "amax" or "amin". A maximum that several elements reach
            shares its gradient among them equally.
        include_self: False leaves out what a place holds, where something comes to it. (In
            PyTorch it still takes its share of the gradient where it equals the maximum.)

    Raises:
        RuntimeError: another reduction or dtype; the index is out of range, or larger than src.
        TypeError: src is no tensor.

    Example:
        >>> x = rnn.tensor([1.0, 2.0, 3.0, 4.0])
        >>> rnn.zeros(2).scatter_reduce_(0, rnn.tensor([0, 1, 0, 1]), x, "amax")
        tensor([3., 4.])
    """
    if reduce not in ("sum", "mean", *_REDUCTIONS):
        raise RuntimeError(
            f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}"
        )
    if not isinstance(src, Handle):
        raise TypeError(
            f"scatter_reduce(): argument 'src' (position 3) must be Tensor, not "
            f"{type(src).__name__}"
        )
    source = _scatter_source("scatter", input, index, dim, src)
    targets = _elementwise_rows("scatter", input._shape, dim, index)
    own(input, source)
    if reduce == "sum" or not len(targets):
        if not include_self:
            scatter_(input, dim, index, 0)
        return scatter_add_(input, dim, index, src)
    if reduce == "mean":
        _mean(input, dim, index, targets, source, include_self)
    else:
        _reduce_groups(input, targets, source, reduce, include_self)
    return input


def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """scatter_reduce_ into a copy (torch.scatter_reduce).

    Example:
        >>> place = rnn.tensor([0, 0, 1])
        >>> rnn.scatter_reduce(rnn.zeros(2), 0, place, rnn.tensor([1.0, 2.0, 5.0]), "amax")
        tensor([2., 5.])
    """
    made = scatter_reduce_(clone(input), dim, index, src, reduce, include_self=include_self)
    return show_as(made, "ScatterReduceBackward0")


def index_reduce_(
    input: Tensor,
    dim: int,
    index: Tensor,
    source: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
) -> Tensor:
    """scatter_reduce_ of whole slices: slice index[i] of a dimension takes slice i of source in
    (torch.Tensor.index_reduce_).

    Args:
        index: a vector of int64 or int32, as long as source's dimension.
        source: of input's dtype and, but for that dimension, shape.
        reduce: "prod", "mean", "amax" or "amin".

    Raises:
        RuntimeError: another reduction; index has another length, or is out of range.
        IndexError: index is no vector.

    Example:
        >>> x = rnn.ones(2, 2)
        >>> rnn.zeros(2, 2).index_reduce_(0, rnn.tensor([1, 1]), x, "mean", include_self=False)
        tensor([[0., 0.],
                [1., 1.]])
    """
    if reduce not in ("mean", *_REDUCTIONS):
        raise RuntimeError(
            "index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got "
            f"{reduce}."
        )
    if len(index._shape) > 1:
        raise IndexError(
            f"index_reduce_(): Index is supposed to be a vector, but got dim: {len(index._shape)} "
            f"with type: {'Int' if dtype_of(index) is _dtypes.int32 else 'Long'} and size: "
            f"{list(index._shape)}"
        )
    at = normalize_dim(dim, len(source._shape))
    count = math.prod(index._shape)
    if source._shape and source._shape[at] != count:
        raise RuntimeError(
            f"index_reduce_(): Number of indices ({count}) should be equal to source.size(dim): "
            f"({source._shape[at]}), for dim: {at}"
        )
    lined = reshape(index, [count if d == at else 1 for d in range(len(source._shape))])
    spread = expand(lined, source._shape)
    return scatter_reduce_(input, dim, spread, source, reduce, include_self=include_self)


def index_reduce(
    input: Tensor,
    dim: int,
    index: Tensor,
    source: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
) -> Tensor:
    """index_reduce_ into a copy (torch.index_reduce).

    Example:
        >>> rnn.index_reduce(rnn.ones(2), 0, rnn.tensor([0, 0]), rnn.tensor([2.0, 3.0]), "prod")
        tensor([6., 1.])
    """
    made = index_reduce_(clone(input), dim, index, source, reduce, include_self=include_self)
    return show_as(made, "IndexReduceBackward0")

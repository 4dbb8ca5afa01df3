"""Order (sort, topk, medians, quantiles), sets and counts (unique, histograms), searching.

The places are NumPy's to find; the values are gathered from the nodes (rnn_pick in csrc/pick.c),
so gradients go where the values came from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _shapes, return_types
from rnn._c import COMPOSE, E, Handle, adopt, check, check_copy_room, check_room, fail, ffi, lib, op
from rnn._dtypes import prefix
from rnn._shapes import normalize_dim
from rnn.ops import _core, compose_reduce
from rnn.ops._core import array_of, dtype_of, type_name
from rnn.ops.create import linspace
from rnn.ops.elementwise import write_out
from rnn.ops.extremes import refuse_keepdim
from rnn.ops.index import pick
from rnn.ops.masks import masked_fill
from rnn.ops.reduce import mean, refuse_empty_dim, refuse_no_flag
from rnn.ops.shape import movedim, reshape

if TYPE_CHECKING:
    from rnn.tensor import Tensor

_GATHER, _SORT, _STABLE_SORT, _TOPK, _KTHVALUE, _MODE = (
    op(n) for n in ("gather", "sort", "stable_sort", "topk", "kthvalue", "mode")
)
_MEDIAN, _NANMEDIAN, _MEDIAN_DIM, _NANMEDIAN_DIM = (
    op(n) for n in ("median", "nanmedian", "median_dim", "nanmedian_dim")
)
_SMALL = 64  # up to here everything is sorted, which makes the first of equal elements win

# ---- what the functions below share --------------------------------------------------------------


def _order(array: Any, dim: int, descending: bool) -> Any:
    """What sorts along dim: equal elements keep their order, NaN is the largest."""
    if not descending:
        return _stable_order(array, dim)
    order = _stable_order(np.flip(array, dim), dim)
    return array.shape[dim] - 1 - np.flip(order, dim)


def _stable_order(array: Any, dim: int) -> Any:
    """argsort that keeps equal elements in order: NumPy's fastest, and its stable one where that
    shows.
    """
    if array.size <= _SMALL or array.dtype.itemsize < 4:
        return np.argsort(array, axis=dim, kind="stable")
    order = np.moveaxis(np.argsort(array, axis=dim), dim, -1)
    values = np.take_along_axis(np.moveaxis(array, dim, -1), order, -1)
    again = ~(values[..., 1:] > values[..., :-1]).all(-1)  # equal elements, or NaNs
    if again.any():
        order = order.copy()
        order[again] = np.argsort(np.moveaxis(array, dim, -1)[again], axis=-1, kind="stable")
    return np.moveaxis(order, -1, dim)


def _at(input: Tensor, dim: Any) -> tuple[int, Any]:
    """(dim from the front, the elements with one dimension at least)"""
    array = check_copy_room("sort", array_of(input), 8)
    return _shapes.normalize_dim(dim, array.ndim), np.atleast_1d(array)


def _picked(
    kind: Any, number: int, input: Tensor, dim: int, index: Any, keepdim: bool, out: Any
) -> Any:
    """(values, indices) for an index of size 1 along dim."""
    refuse_no_flag(kind.__name__, keepdim)
    drop = not keepdim
    values = pick(number, input, dim, index, drop)
    return kind(_core.view_as_results((values, _core.wrap(index.reshape(values._shape))), out))


# ---- sorting -------------------------------------------------------------------------------------


def sort(
    input: Tensor,
    dim: int | None = None,
    descending: bool = False,
    stable: bool = False,
    *,
    out: Any = None,
    axis: int | None = None,
) -> return_types.sort:
    """The elements in order along a dimension, and where they were (torch.sort).

    Args:
        input: of any shape and dtype.
        dim: default -1.
        descending: the largest first. NaN is larger than all numbers.
        stable: equal elements keep their order (they do in any case).

    Returns:
        (values, indices)

    Raises:
        IndexError: the dimension is out of range.

    Example:
        >>> rnn.tensor([3.0, 1.0, 2.0]).sort().indices
        tensor([1, 2, 0])
    """
    dim = axis if dim is None else dim
    dim, array = _at(input, -1 if dim is None else dim)
    index = _order(array, dim, descending).reshape(input._shape)
    values = pick(_STABLE_SORT if stable else _SORT, input, dim, index)
    return return_types.sort(_core.view_as_results((values, _core.wrap(index)), out))


def msort(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """sort(input, 0).values (torch.msort).

    Example:
        >>> rnn.msort(rnn.tensor([[3, 1], [2, 4]]))
        tensor([[2, 1],
                [3, 4]])
    """
    return _core.view_as_result(sort(input, 0).values, out)


def argsort(
    input: Tensor,
    dim: int = -1,
    descending: bool = False,
    stable: bool = False,
    *,
    axis: int | None = None,
) -> Tensor:
    """What sorts the elements along a dimension, int64 (torch.argsort). See sort.

    Example:
        >>> rnn.argsort(rnn.tensor([3.0, 1.0, 2.0]), descending=True)
        tensor([0, 2, 1])
    """
    dim, array = _at(input, dim if axis is None else axis)
    return _core.wrap(_order(array, dim, descending).reshape(input._shape))


def topk(
    input: Tensor,
    k: int,
    dim: int = -1,
    largest: bool = True,
    sorted: bool = True,
    *,
    out: Any = None,
    axis: int | None = None,
) -> return_types.topk:
    """The k largest elements along a dimension, in order, and where they are (torch.topk).

    Args:
        k: how many.
        largest: False: the smallest.
        sorted: they come in order in any case.

    Returns:
        (values, indices): which ones of equal elements is not defined, as in PyTorch.

    Raises:
        RuntimeError: k is negative, or larger than the dimension.

    Example:
        >>> rnn.topk(rnn.tensor([1.0, 3.0, 2.0]), 2).values
        tensor([3., 2.])
    """
    k = _shapes.integer("topk", "k", 1, k)
    dim, array = _at(input, dim if axis is None else axis)
    n = array.shape[dim]
    if not input._shape and k == 0:
        k = 1  # PyTorch gives the scalar itself
    if array.dtype == np.bool_:
        raise RuntimeError("topk does not support bool dtypes on CPU")
    if not 0 <= k <= n:
        raise RuntimeError("selected index k out of range")
    if n <= _SMALL or k == 0 or 4 * k >= n:
        index = _order(array, dim, largest).take(np.arange(k), dim)
    else:
        part = np.argpartition(array, n - k if largest else k - 1, axis=dim)
        part = part.take(np.arange(n - k, n) if largest else np.arange(k), dim)
        part.sort(axis=dim)
        order = _order(np.take_along_axis(array, part, dim), dim, largest)
        index = np.take_along_axis(part, order, dim)
    if not input._shape and k == 1:
        index = index.reshape(())
    values = pick(_TOPK, input, dim, index)
    return return_types.topk(_core.view_as_results((values, _core.wrap(index)), out))


def kthvalue(
    input: Tensor, k: int, dim: int = -1, keepdim: bool = False, *, out: Any = None
) -> return_types.kthvalue:
    """The k-th smallest element along a dimension (k from 1), and where it is (torch.kthvalue).

    Raises:
        RuntimeError: there are not as many.

    Example:
        >>> rnn.kthvalue(rnn.tensor([3.0, 1.0, 2.0]), 2).values
        tensor(2.)
    """
    k, (dim, array) = _shapes.integer("kthvalue", "k", 1, k), _at(input, dim)
    refuse_empty_dim("kthvalue", array.shape, dim)
    if array.dtype == np.bool_:
        raise NotImplementedError("\"kthvalue_cpu\" not implemented for 'Bool'")
    if not 1 <= k <= array.shape[dim]:
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {dim}")
    index = _ranked(array, dim, k - 1)
    return _picked(return_types.kthvalue, _KTHVALUE, input, dim, index, keepdim, out)


def _ranked(array: Any, dim: int, rank: int) -> Any:
    """Where the element of this rank is, of size 1 along dim."""
    if array.shape[dim] <= _SMALL:
        return _order(array, dim, False).take([rank], dim)
    return np.argpartition(array, rank, axis=dim).take([rank], dim)


# ---- medians, modes, quantiles -------------------------------------------------------------------


def _median_places(array: Any, dim: int, ignore_nan: bool) -> Any:
    """Where the lower median is; without ignore_nan the first NaN, where there is one."""
    n = array.shape[dim]
    if array.dtype.kind != "f" or not np.isnan(array).any():
        return _ranked(array, dim, (n - 1) // 2)
    nan, order = np.isnan(array), _order(array, dim, False)
    numbers = n - nan.sum(axis=dim, keepdims=True)
    if ignore_nan:
        return np.take_along_axis(order, np.maximum(numbers - 1, 0) // 2, dim)
    median = order.take([(n - 1) // 2], dim)
    return np.where(numbers < n, nan.argmax(axis=dim, keepdims=True), median)


def _median(name: str, input: Tensor, dim: Any, keepdim: bool, out: Any) -> Any:
    ignore_nan = name == "nanmedian"
    if not input._h and input._array.dtype == np.bool_:
        raise NotImplementedError("\"median_cpu\" not implemented for 'Bool'")
    if dim is not None:
        dim, array = _at(input, dim)
        refuse_empty_dim("median", array.shape, dim)
        index = _median_places(array, dim, ignore_nan)
        number = _NANMEDIAN_DIM if ignore_nan else _MEDIAN_DIM
        return _picked(getattr(return_types, name), number, input, dim, index, keepdim, out)
    refuse_keepdim(name, keepdim)
    flat = check_copy_room("median", array_of(input)).reshape(-1)
    if not flat.size:
        return (
            mean(input)
            if input._h
            else _core.wrap(np.asarray(np.iinfo(flat.dtype).min, flat.dtype))
        )
    value = flat[_median_places(flat, 0, ignore_nan)[0]]
    if not input._h:
        return _core.wrap(np.asarray(value))
    number = _NANMEDIAN if ignore_nan else _MEDIAN
    h = lib.rnn_reduce(E, number, input._h, 0, ffi.NULL, 0, value)
    if h > 0:
        return adopt(h)
    if h != COMPOSE:
        fail(h)
    over = tuple(range(len(input._shape)))
    return compose_reduce.reductions[number](input, over, False, value)


def median(
    input: Tensor,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    out: Any = None,
    axis: int | None = None,
) -> Any:
    """The lower median of all elements, or along a dimension, and where it is (torch.median).

    NaN where there is one.

    Returns:
        without dim a 0-d tensor (equal elements share its gradient), else (values, indices).

    Raises:
        IndexError: the dimension has no elements.

    Example:
        >>> rnn.median(rnn.tensor([3.0, 1.0, 2.0, 9.0]))
        tensor(2.)
    """
    return _median("median", input, axis if dim is None else dim, keepdim, out)


def nanmedian(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, out: Any = None
) -> Any:
    """median, of the elements that are not NaN (torch.nanmedian).

    Example:
        >>> rnn.nanmedian(rnn.tensor([1.0, float("nan"), 3.0]))
        tensor(1.)
    """
    return _median("nanmedian", input, dim, keepdim, out)


def mode(
    input: Tensor, dim: int = -1, keepdim: bool = False, *, out: Any = None
) -> return_types.mode:
    """The element that occurs most along a dimension, and its last place (torch.mode).

    Of several, the smallest.

    Raises:
        IndexError: the dimension has no elements.

    Example:
        >>> rnn.mode(rnn.tensor([1, 2, 2, 3])).values
        tensor(2)
    """
    dim, array = _at(input, dim)
    refuse_empty_dim("mode", array.shape, dim)
    order = _order(array, dim, False)
    ordered = np.moveaxis(np.take_along_axis(array, order, dim), dim, -1)
    places = np.arange(array.shape[dim])
    starts = np.ones(ordered.shape, np.bool_)
    starts[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    runs = places - np.maximum.accumulate(np.where(starts, places, 0), axis=-1)
    last = np.expand_dims(runs.argmax(-1), dim)
    index = np.take_along_axis(order, last, dim)
    return _picked(return_types.mode, _MODE, input, dim, index, keepdim, out)


def _quantile(
    name: str, input: Tensor, q: Any, dim: Any, keepdim: bool, interpolation: str, ignore_nan: bool
) -> Tensor:
    if not dtype_of(input).is_floating_point:
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype")
    if input.numel() == 0:
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    if interpolation not in ("linear", "lower", "higher", "midpoint", "nearest"):
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, "
            f"but got {interpolation}"
        )
    many = isinstance(q, Handle) and bool(q._shape)
    wanted = np.atleast_1d(array_of(q) if isinstance(q, Handle) else np.asarray(q, float))
    if not ((wanted >= 0) & (wanted <= 1)).all():
        if isinstance(q, Handle):
            raise RuntimeError(f"{name}() q values must be in the range [0, 1]")
        raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q}")
    shape = input._shape
    at = normalize_dim(0 if dim is None else dim, len(shape))
    if dim is None or not shape:
        input = reshape(input, -1)
    array = array_of(input)
    n = array.shape[at]
    nan = np.isnan(array)
    last = n - 1 - (nan.sum(axis=at, keepdims=True) if ignore_nan else 0)
    lone = [-1 if d == at else 1 for d in range(array.ndim)]
    farthest = np.asarray(np.maximum(last, 0), array.dtype)
    ranks, recorded = wanted.astype(array.dtype).reshape(lone) * farthest, None
    if isinstance(q, Handle) and q.requires_grad:
        recorded = reshape(q, lone) * _core.nodes(farthest)
    if not ignore_nan:
        lost = nan.any(axis=at, keepdims=True)
        ranks = np.where(lost, n - 1, ranks)
        if recorded is not None:
            recorded = masked_fill(recorded, _core.wrap(lost), n - 1)
    made = _between(input, at, _order(array, at, False), ranks, interpolation, recorded)
    kept = [1 if dim is None or d == at else size for d, size in enumerate(shape)]
    if not keepdim:
        kept = [size for d, size in enumerate(shape) if dim is not None and d != at]
    front = [len(wanted)] if many else []
    if made._shape:
        made = movedim(made, at, 0)
    return reshape(made, front + kept)


def _between(
    input: Tensor, dim: int, order: Any, ranks: Any, interpolation: str, recorded: Tensor | None
) -> Tensor:
    """The elements of these ranks along dim, or what lies between two; recorded: the ranks as a
    tensor, where they are to have gradients.
    """
    below = np.floor(ranks) if interpolation != "nearest" else np.round(ranks)
    if interpolation == "higher":
        below = np.ceil(ranks)
    low = np.take_along_axis(order, below.astype(np.int64), dim)
    values = pick(_GATHER, input, dim, low)
    if interpolation not in ("linear", "midpoint"):
        return values
    high = np.take_along_axis(order, np.ceil(ranks).astype(np.int64), dim)
    if recorded is not None and interpolation == "linear":
        weight = recorded - _core.nodes(below)
    else:
        weight = _core.nodes(ranks - below if interpolation == "linear" else 0 * ranks + 0.5)
    return values.lerp(pick(_GATHER, input, dim, high), weight)


def quantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
    out: Tensor | None = None,
) -> Tensor:
    """Below which a share q of the elements lies, of all or along a dimension (torch.quantile).

    Args:
        input: a float tensor.
        q: a number from 0 to 1, or a tensor of several, which become the first dimension.
        interpolation: between two elements: "linear", "lower", "higher", "midpoint" or "nearest".

    Raises:
        RuntimeError: input is empty or of integers, or q is out of range.

    Example:
        >>> rnn.quantile(rnn.tensor([1.0, 2.0, 4.0]), rnn.tensor([0.25, 0.5]))
        tensor([1.5000, 2.0000])
    """
    if out is not None:
        return write_out(out, quantile, input, q, dim, keepdim, interpolation=interpolation)
    return _quantile("quantile", input, q, dim, keepdim, interpolation, False)


def nanquantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
    out: Tensor | None = None,
) -> Tensor:
    """quantile, of the elements that are not NaN (torch.nanquantile).

    Example:
        >>> rnn.nanquantile(rnn.tensor([1.0, float("nan"), 3.0]), 0.5)
        tensor(2.)
    """
    if out is not None:
        return write_out(out, nanquantile, input, q, dim, keepdim, interpolation=interpolation)
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, True)


# ---- sets and counts -----------------------------------------------------------------------------


def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The different elements, in order; with dim, the different slices (torch.unique).

    Args:
        return_inverse: also where each element of input is among them.
        return_counts: also how often each occurs.

    Returns:
        a tensor, or a tuple of those asked for. No gradient goes through.

    Example:
        >>> rnn.unique(rnn.tensor([3, 1, 3]), return_counts=True)
        (tensor([1, 3]), tensor([1, 2]))
    """
    array = check_copy_room("unique", array_of(input))
    if dim is not None:
        normalize_dim(dim, array.ndim)
    found = np.unique(
        array if array.ndim or dim is None else array.reshape(1),
        return_inverse=True,
        return_counts=True,
        axis=dim,
        equal_nan=False,
    )
    values, inverse, counts = found
    inverse = inverse.reshape(array.shape if dim is None else -1)
    return _asked(values, inverse, counts, return_inverse, return_counts)


def _asked(values: Any, inverse: Any, counts: Any, with_inverse: bool, with_counts: bool) -> Any:
    made = [_core.wrap(values)]
    if with_inverse:
        made.append(_core.wrap(np.asarray(inverse, np.int64)))
    if with_counts:
        made.append(_core.wrap(np.asarray(counts, np.int64)))
    return made[0] if len(made) == 1 else tuple(made)


def unique_consecutive(
    input: Tensor,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The elements (or slices) that differ from the one before (torch.unique_consecutive).

    See unique.

    Example:
        >>> rnn.unique_consecutive(rnn.tensor([1, 1, 2, 1]))
        tensor([1, 2, 1])
    """
    array = check_copy_room("unique_consecutive", array_of(input), 8)
    rows = array.reshape(-1) if dim is None else np.moveaxis(array, dim, 0)
    n = len(rows)
    starts = np.ones(n, np.bool_)
    if n > 1:
        starts[1:] = (rows[1:] != rows[:-1]).reshape(n - 1, -1).any(1)
    values = rows[starts]
    inverse = np.cumsum(starts) - 1
    counts = np.diff(np.append(np.flatnonzero(starts), n))
    if dim is None:
        inverse = inverse.reshape(array.shape)
    else:
        values = np.moveaxis(values, 0, dim)
    return _asked(values, inverse, counts, return_inverse, return_counts)


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, 2, ... occurs, int64; or the sum of its weights (torch.bincount).

    Args:
        input: 1-d, integers that are not negative.
        weights: of input's shape; the result is float64, or float32 for float32.
        minlength: how many counts there are at least.

    Raises:
        RuntimeError: input has another shape or holds floats or negative numbers.

    Example:
        >>> rnn.bincount(rnn.tensor([0, 1, 1, 3]))
        tensor([1, 2, 0, 1])
    """
    array = array_of(input)
    if array.dtype.kind == "f":
        raise NotImplementedError(
            f"\"bincount_cpu\" not implemented for '{type_name(dtype_of(input))}'"
        )
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if array.ndim != 1 or (array.size and array.min() < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    given = None if weights is None else array_of(weights)
    if given is not None and given.shape != array.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    check_room("bincount", (max(minlength, int(array.max()) + 1 if array.size else 0),), 8)
    counts = np.bincount(array.astype(np.int64, copy=False), given, minlength)
    if given is None:
        return _core.wrap(counts.astype(np.int64))
    return _core.wrap(counts.astype(np.float32 if given.dtype == np.float32 else np.float64))


def _edges(array: Any, low: float, high: float, widen: float, name: str) -> tuple[float, float]:
    if low == high and array.size:
        low, high = float(array.min()), float(array.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"{name}: range of [{low}, {high}] is not finite")
    if low > high:
        raise RuntimeError(f"{name}: max must be larger than min")
    return (low - widen, high + widen) if low == high else (low, high)


def histc(
    input: Tensor, bins: int = 100, min: float = 0, max: float = 0, *, out: Tensor | None = None
) -> Tensor:
    """How many elements lie in each of `bins` equal bins, in input's dtype (torch.histc).

    Args:
        min, max: where the bins begin and end; what lies outside is not counted. Both 0: input's
            smallest and largest element.

    Raises:
        RuntimeError: bins is not positive, or min above max.

    Example:
        >>> rnn.histc(rnn.tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
        tensor([0., 2., 1., 0.])
    """
    if not input._h:
        raise NotImplementedError(
            f"\"histogram_cpu\" not implemented for '{type_name(dtype_of(input))}'"
        )
    if bins <= 0:
        raise RuntimeError(f"{prefix}histogram(): bins must be > 0, but got {bins} for dimension 0")
    array = check_copy_room("histc", array_of(input)).reshape(-1)
    low, high = map(array.dtype.type, _edges(array, min, max, 1, f"{prefix}histc"))
    inside = array[(array >= low) & (array <= high)]
    places = ((inside - low) / (high - low) * bins).astype(np.int64)
    check_room("histc", (bins,), 8 + array.itemsize)
    counts = np.bincount(np.minimum(places, bins - 1), minlength=bins)
    return _core.view_as_result(_core.wrap(counts.astype(array.dtype)), out)


def histogram(
    input: Tensor,
    bins: Any = 100,
    *,
    range: Sequence[float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
    out: Any = None,
) -> return_types.histogram:
    """How many elements lie in each bin, and the bins' edges (torch.histogram).

    Args:
        input: a float tensor, of any shape.
        bins: how many equal ones, or a 1-d tensor of edges.
        range: (low, high) of equal bins; else input's smallest and largest element.
        weight: what each element counts for, of input's shape.
        density: whether the histogram's area becomes 1.

    Returns:
        (hist, bin_edges), in input's dtype.

    Example:
        >>> rnn.histogram(rnn.tensor([1.0, 2.0, 1.0]), 2).hist
        tensor([2., 1.])
    """
    array = check_copy_room("histogram", array_of(input))
    if isinstance(bins, Handle):
        edges = array_of(bins)
    else:
        if bins <= 0:
            raise RuntimeError(
                f"{prefix}histogram(): bins must be > 0, but got {bins} for dimension 0"
            )
        if range is not None and len(range) != 2:
            raise RuntimeError(
                f"{prefix}histogramdd: for a 1-dimensional histogram range should have 2 elements, "
                f"but got {len(range)}"
            )
        low, high = range if range is not None else (0.0, 0.0 if array.size else 1.0)
        low, high = _edges(array, low, high, 0.5, "histogram")
        edges = array_of(linspace(low, high, bins + 1, dtype=dtype_of(input)))
    weights = None if weight is None else array_of(weight).reshape(-1)
    options: Any = {"weights": weights, "density": density}
    hist, _ = np.histogram(array.reshape(-1), edges, **options)
    made = _core.wrap(hist.astype(array.dtype)), _core.wrap(edges.astype(array.dtype))
    return return_types.histogram(_core.view_as_results(made, out))


# ---- searching -----------------------------------------------------------------------------------


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

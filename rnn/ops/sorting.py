"""Order: sort, topk, medians, modes, quantiles.

The places are NumPy's to find; the values are gathered from the nodes (rnn_pick in csrc/pick.c),
so gradients go where the values came from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _shapes, return_types
from rnn._c import COMPOSE, E, Handle, adopt, check_copy_room, fail, ffi, lib, op
from rnn._shapes import normalize_dim
from rnn.ops import _core, compose_reduce
from rnn.ops._core import array_of, dtype_of
from rnn.ops.axes import movedim
from rnn.ops.elementwise import write_out
from rnn.ops.extremes import refuse_keepdim
from rnn.ops.index import pick
from rnn.ops.masks import masked_fill
from rnn.ops.reduce import mean, refuse_empty_dim, refuse_no_flag
from rnn.ops.shape import reshape

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

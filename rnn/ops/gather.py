"""Parts of tensors by index tensors: gather, scatter, index_select, masked_select and their kin.

Each works out which rows of the row-major tensor it means, and hands them to `take_rows` or
`put_rows` (index.py): all have their gradients from the operations of csrc/gather.c
and scatter.c.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _dtypes
from rnn._c import E, Handle, adopt, check, check_copy_room, check_room, ffi, lib, op
from rnn._shapes import broadcast_shapes, compute_strides, expand_sizes, normalize_dim
from rnn._shown import show_as
from rnn.ops import _core
from rnn.ops._core import array_of, dtype_of, wrap
from rnn.ops.index import NONE, getitem, put_rows, take_rows, write
from rnn.ops.masks import mask_array
from rnn.ops.shape import clone, expand, own, reshape

if TYPE_CHECKING:
    from rnn.tensor import Tensor

Shape = tuple[int, ...]
_GATHER = op("gather")

# ---- masks ---------------------------------------------------------------------------------------


def masked_select(input: Tensor, mask: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The elements where mask is True, in one dimension; both broadcast (torch.masked_select).

    Example:
        >>> rnn.masked_select(rnn.tensor([1, 2, 3]), rnn.tensor([True, False, True]))
        tensor([1, 3])
    """
    if dtype_of(mask) is not _dtypes.bool_:
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    shape = broadcast_shapes(mask._shape, input._shape)
    check_room("masked_select", shape, 1)
    chosen = np.broadcast_to(mask._array, shape)
    check_room("masked_select", (int(np.count_nonzero(chosen)),), 8)
    rows = np.flatnonzero(chosen).astype(np.int64, copy=False)
    source = input if shape == input._shape else expand(input, shape)
    made = show_as(take_rows(source, rows, 1, (len(rows),)), "MaskedSelectBackward0")
    return _core.view_as_result(made, out)


def masked_scatter_(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """The elements where mask is True become source's, in order, in place
    (torch.Tensor.masked_scatter_).

    Raises:
        RuntimeError: source has too few elements, or another dtype.
    """
    array = mask_array(mask, "masked_scatter_")
    if dtype_of(source) is not dtype_of(input):
        have, given = [_core.type_name(dtype_of(t)) for t in (input, source)]
        raise RuntimeError(
            f"masked_scatter: expected self and source to have same dtypes but got{have} and "
            f"{given}"
        )
    expand_sizes(input._shape, array.shape, "CPUBoolType")
    rows = np.flatnonzero(np.broadcast_to(array, input._shape)).astype(np.int64, copy=False)
    if math.prod(source._shape) < len(rows):
        raise RuntimeError("Number of elements of source < number of ones in mask")
    own(input, source)
    flat = reshape(source, -1) if source._shape != (0,) else source
    put_rows(input, rows, 1, getitem(flat, slice(0, len(rows))), (len(rows),))
    return input


def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """masked_scatter_ into a copy (torch.masked_scatter).

    Example:
        >>> mask = rnn.tensor([True, False, True])
        >>> rnn.masked_scatter(rnn.zeros(3), mask, rnn.tensor([1.0, 2.0]))
        tensor([1., 0., 2.])
    """
    shape = broadcast_shapes(mask._shape, input._shape)
    made = masked_scatter_(clone(expand(input, shape)), mask, source)
    return show_as(made, "MaskedScatterBackward0")


# ---- one index for each element: gather, scatter -------------------------------------------------


def _elementwise_rows(
    name: str, shape: Shape, dim: int, index: Tensor, check_sizes: bool = True
) -> Any:
    """Places in a row-major tensor of `shape` where index[i][j].. stands for coordinate `dim` and
    the rest stay.

    Raises:
        RuntimeError: the index has the wrong dtype, dimensions or values.
    """
    array = index._array
    if index._h or array.dtype not in (np.int64, np.int32):
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")
    ndim, at = max(len(shape), 1), normalize_dim(dim, len(shape))
    wide, array = shape or (1,), array if array.ndim else array.reshape(1)
    if array.ndim != ndim:
        raise RuntimeError("Index tensor must have the same number of dimensions as input tensor")
    if not array.size:
        return NONE
    for d in range(ndim):
        if check_sizes and d != at and array.shape[d] > wide[d]:
            raise RuntimeError(
                f"Size does not match at dimension {d} expected index {list(index._shape)} to be "
                f"no larger than self {list(shape)} apart from dimension {at}"
            )
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >= wide[at]:
        wrong = low if low < 0 else int(array[array >= wide[at]][0])
        raise RuntimeError(
            f"index {wrong} is out of bounds for dimension {at} with size {wide[at]}"
        )
    strides = compute_strides(wide)
    check_room(name, array.shape, 8)
    places = array.astype(np.int64, copy=False) * strides[at]
    for d in range(ndim):
        if d != at and array.shape[d] > 1:
            along = np.arange(array.shape[d], dtype=np.int64) * strides[d]
            places = places + along.reshape((-1,) + (1,) * (ndim - 1 - d))
    return np.ascontiguousarray(places.reshape(-1))


def gather(
    input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False, out: Tensor | None = None
) -> Tensor:
    """out[i][j] = input[index[i][j]][j] for dim 0, input[i][index[i][j]] for dim 1, and so on
    (torch.gather).

    Raises:
        RuntimeError: the index is out of range, or has another number of dimensions or a larger
            size.

    Example:
        >>> rnn.gather(rnn.tensor([[1, 2], [3, 4]]), 1, rnn.tensor([[0, 0], [1, 0]]))
        tensor([[1, 1],
                [4, 3]])
    """
    made = show_as(_gather(input, dim, index), "GatherBackward0")
    return _core.view_as_result(made, out, same=True)


def _places(name: str, shape: Shape, dim: int, index: Tensor) -> tuple[int, Any] | None:
    """(dimension, contiguous array) of an int64 index with this shape but for `dim`, and elements;
    None for any other.
    """
    array = None if index._h else index._array
    if not shape or array is None or not array.size or array.dtype != np.int64:
        return None
    at = normalize_dim(dim, len(shape))
    if array.ndim != len(shape) or _with_size(array.shape, at, 0) != _with_size(shape, at, 0):
        return None
    return at, np.ascontiguousarray(check_copy_room(name, array))


def _gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    found = _places("gather", input._shape, dim, index) if input._h else None
    if found:
        at, array = found
        places = ffi.from_buffer("int64_t[]", array)
        h = lib.rnn_pick(E, _GATHER, input._h, at, places, array.shape[at], False)
        if h > 0:
            return adopt(h)  # else an index is out of range, or memory is short
    rows = _elementwise_rows("gather", input._shape, dim, index)
    return take_rows(input, rows, 1, index._shape)


def _scatter(input: Tensor, dim: int, index: Tensor, source: Any, add: bool) -> None:
    """input's elements at index become, or gain, source's: of index's shape, or a number."""
    found = _places("scatter", input._shape, dim, index) if input._h else None
    if found and _along(input, *found, True, source, add) >= 0:
        return  # else an index is out of range, or memory is short
    rows = _elementwise_rows("scatter", input._shape, dim, index)
    put_rows(input, rows, 1, source, index._shape, add)


def _along(input: Tensor, at: int, array: Any, each: bool, source: Any, add: bool) -> int:
    """Writes, or adds, along dimension `at`, at places for each element or for whole slices: a code
    of C.
    """
    count = array.shape[at] if each else len(array)
    shape = array.shape if each else _with_size(input._shape, at, count)
    values = expand(_core.as_node(source, lib.rnn_dtype(input._h)), shape)
    places = ffi.from_buffer("int64_t[]", array)
    code: int = lib.rnn_scatter_along(E, input._h, at, places, count, each, values._h, add)
    return code


def take_along_dim(
    input: Tensor, indices: Tensor, dim: int | None = None, *, out: Tensor | None = None
) -> Tensor:
    """gather, with input and indices broadcast against each other (torch.take_along_dim). With
    dim, negative indices count from the end.

    Example:
        >>> rnn.take_along_dim(rnn.tensor([[3, 1], [2, 4]]), rnn.tensor([[1], [0]]), 1)
        tensor([[1],
                [2]])
    """
    if dim is None:
        return gather(reshape(input, -1), 0, reshape(indices, -1), out=out)
    if len(input._shape) != len(indices._shape):
        raise RuntimeError(
            f"{_dtypes.prefix}take_along_dim(): input and indices should have the same number of "
            f"dimensions, but got {len(input._shape)} dimensions for input, and "
            f"{len(indices._shape)} dimensions for indices"
        )
    at = normalize_dim(dim, len(input._shape))
    a, b = list(input._shape), list(indices._shape)
    a[at] = b[at] = 1
    common = list(broadcast_shapes(tuple(a), tuple(b)))
    a, b = common.copy(), common.copy()
    a[at], b[at] = input._shape[at], indices._shape[at]
    indices = _from_the_front(indices, input._shape[at])
    return gather(expand(input, a), at, expand(indices, b), out=out)


def _from_the_front(index: Tensor, size: int) -> Tensor:
    """Integer indices, with size added to the negative ones."""
    if index._h or not index._array.size or index._array.min() >= 0:
        return index
    array = check_copy_room("index", index._array)
    return _core.wrap(np.where(array < 0, array + size, array).astype(array.dtype))


def _scatter_source(name: str, input: Tensor, index: Tensor, dim: int, src: Any) -> Any:
    """The part of src that is used, or the number."""
    if not isinstance(src, Handle):
        return src
    if dtype_of(src) is not dtype_of(input):
        raise RuntimeError(f"{name}(): Expected self.dtype to be equal to src.dtype")
    if any(n > have for n, have in zip(index._shape, src._shape)) or len(src._shape) != len(
        index._shape
    ):
        raise RuntimeError(
            f"Expected index {list(index._shape)} to be no larger than self {list(input._shape)} "
            f"apart from dimension {normalize_dim(dim, len(input._shape))} and to be no larger "
            f"size than src {list(src._shape)}"
        )
    if src._shape != index._shape:
        src = getitem(src, tuple([slice(0, n) for n in index._shape]))
    return src


def scatter_(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Any = None,
    *,
    value: Any = None,
    reduce: str | None = None,
) -> Tensor:
    """input[index[i][j]][j] = src[i][j] for dim 0, and so on, in place (torch.Tensor.scatter_).

    Args:
        src: a tensor no smaller than index, or a number.
        reduce: "add" or "multiply" instead of writing.
    """
    src = value if src is None else src
    if reduce not in (None, "add", "multiply"):
        raise RuntimeError("reduce argument must be either add or multiply.")
    source = _scatter_source("scatter", input, index, dim, src)
    own(input, source)
    if reduce == "multiply":
        rows = _elementwise_rows("scatter", input._shape, dim, index)
        return _scatter_multiply(input, rows, source, index._shape)
    _scatter(input, dim, index, source, reduce == "add")
    return input


def _scatter_multiply(input: Tensor, rows: Any, source: Any, shape: Shape) -> Tensor:
    if input.requires_grad or (isinstance(source, Handle) and source.requires_grad):
        raise NotImplementedError("scatter_ with reduce='multiply' has no gradient")
    flat = np.ascontiguousarray(array_of(input)).reshape(-1)
    factors = array_of(source) if isinstance(source, Handle) else source
    np.multiply.at(flat, rows, np.broadcast_to(factors, shape).reshape(-1))
    write(input, wrap(flat.reshape(input._shape)))
    return input


def scatter(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Any = None,
    *,
    value: Any = None,
    reduce: str | None = None,
) -> Tensor:
    """scatter_ into a copy (torch.scatter).

    Example:
        >>> rnn.scatter(rnn.zeros(2, 2), 1, rnn.tensor([[1], [0]]), rnn.tensor([[5.0], [6.0]]))
        tensor([[0., 5.],
                [6., 0.]])
    """
    made = scatter_(clone(input), dim, index, src, value=value, reduce=reduce)
    return show_as(made, "ScatterBackward0")


def scatter_add_(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """input[index[i][j]][j] += src[i][j] for dim 0, and so on, in place
    (torch.Tensor.scatter_add_).
    """
    if not isinstance(src, Handle):
        raise TypeError(
            f"scatter_add(): argument 'src' (position 3) must be Tensor, not {type(src).__name__}"
        )
    source = _scatter_source("scatter", input, index, dim, src)
    own(input, source)
    _scatter(input, dim, index, source, True)
    return input


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """scatter_add_ into a copy (torch.scatter_add).

    Example:
        >>> rnn.scatter_add(rnn.zeros(2), 0, rnn.tensor([0, 0, 1]), rnn.tensor([1.0, 2.0, 5.0]))
        tensor([3., 5.])
    """
    return scatter_add_(clone(input), dim, index, src)


# ---- one index for each slice: index_select, index_add, ... --------------------------------------


def _slices(shape: Shape, dim: int, index: Tensor, message: str) -> tuple[int, Any]:
    """(dimension, indices) of whole slices along a dimension.

    Raises:
        IndexError, RuntimeError: the index is no vector of integers, or is out of range (with this
        message).
    """
    array = check_copy_room("index", index._array, 8).reshape(-1).astype(np.int64, copy=False)
    at, wide = normalize_dim(dim, len(shape)), shape or (1,)
    if array.size:
        wrong = array[(array < 0) | (array >= wide[at])]
        if wrong.size:
            kind = RuntimeError if message.startswith("!") else IndexError
            raise kind(message.lstrip("!").format(wrong[0], wide[at]))
    return at, np.ascontiguousarray(array)


def _take_slices(input: Tensor, at: int, array: Any) -> Tensor:
    shape = _with_size(input._shape, at, len(array)) if input._shape else ()
    if 0 in shape or not input._shape:
        return take_rows(input, NONE if 0 in shape else array, 1, shape)
    if not input._h:
        check_room("index", shape, input._array.itemsize)
        return wrap(np.take(check_copy_room("index", input._array), array, at))
    places = ffi.from_buffer("int64_t[]", array)
    return adopt(check(lib.rnn_index_select(E, input._h, at, places, len(array))))


def _put_slices(input: Tensor, at: int, array: Any, value: Any, add: bool = False) -> None:
    wide = input._shape or (1,)
    if input._h and input._shape and 0 not in wide and len(array):
        check(_along(input, at, array, False, value, add))
        return
    inner, outer = math.prod(wide[at + 1 :]), math.prod(wide[:at])
    check_room("index", (outer, len(array)), 8)
    rows = (np.arange(outer, dtype=np.int64)[:, None] * wide[at] + array).reshape(-1)
    shape = _with_size(wide, at, len(array)) if input._shape else ()
    put_rows(input, rows, inner, value, shape, add)


_OUT_OF_BOUNDS = "index {} is out of bounds for dimension 0 with size {}"


def _with_size(shape: Shape, at: int, size: int) -> Shape:
    return (*shape[:at], size, *shape[at + 1 :])


def index_select(input: Tensor, dim: int, index: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The slices of a dimension that index names (torch.index_select).

    Raises:
        IndexError: index is no vector, or is out of range.

    Example:
        >>> rnn.index_select(rnn.tensor([[1, 2], [3, 4]]), 1, rnn.tensor([1, 1]))
        tensor([[2, 2],
                [4, 4]])
    """
    if len(index._shape) > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    if index._h or index._array.dtype not in (np.int64, np.int32):
        raise RuntimeError("index_select(): Expected dtype int32 or int64 for index")
    count = math.prod(index._shape)
    if not input._shape and count != 1:
        raise RuntimeError(
            f"index_select(): Index to scalar can have only 1 value, got {count} value(s)"
        )
    several = len(input._shape) > 1
    if count and several and not input._shape[normalize_dim(dim, len(input._shape))]:
        raise RuntimeError("index_select(): self indexing axis dim should be positive")
    at, array = _slices(input._shape, dim, index, "index out of range in self")
    made = show_as(_take_slices(input, at, array), "IndexSelectBackward0")
    return _core.view_as_result(made, out, same=True)


def index_add_(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """Slices of a dimension gain alpha times source's, in place (torch.Tensor.index_add_)."""
    at, array = _slices(input._shape, dim, index, "!" + _OUT_OF_BOUNDS)
    count = math.prod(index._shape)
    if dtype_of(source) is not dtype_of(input):
        have, given = [_core.type_name(dtype_of(t)) for t in (input, source)]
        raise RuntimeError(
            f"index_add_(): self ({have}) and source ({given}) must have the same scalar type"
        )
    if source._shape and source._shape[at] != count:
        raise RuntimeError(
            f"index_add_(): Number of indices ({count}) should be equal to source.size(dim): "
            f"({source._shape[at]}), for dim: {at}"
        )
    if source._shape != _with_size(input._shape, at, count) and input._shape:
        raise RuntimeError(
            "source tensor shape must match self tensor shape, excluding the specified dimension. "
            f"Got self.shape = {list(input._shape)} source.shape = {list(source._shape)}"
        )
    own(input, source)
    _put_slices(input, at, array, source if alpha == 1 else source * alpha, True)
    return input


def index_add(
    input: Tensor,
    dim: int,
    index: Tensor,
    source: Tensor,
    *,
    alpha: Any = 1,
    out: Tensor | None = None,
) -> Tensor:
    """index_add_ into a copy (torch.index_add).

    Example:
        >>> rnn.index_add(rnn.zeros(3), 0, rnn.tensor([0, 0, 2]), rnn.tensor([1.0, 2.0, 5.0]))
        tensor([3., 0., 5.])
    """
    made = index_add_(clone(input), dim, index, source, alpha=alpha)
    return _core.view_as_result(show_as(made, "IndexAddBackward0"), out)


def index_copy_(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """Slices of a dimension become those of source, in place (torch.Tensor.index_copy_)."""
    check(lib.rnn_check_inplace(E, input._h) if input._h else 0)
    count = math.prod(index._shape)
    if dtype_of(source) is not dtype_of(input):
        have, given = [_core.type_name(dtype_of(t)) for t in (input, source)]
        raise RuntimeError(
            "index_copy_(): self and source expected to have the same dtype, but got (self) "
            f"{have} and (source) {given}"
        )
    at = normalize_dim(dim, len(input._shape))
    if source._shape and source._shape[at] != count:
        raise IndexError(
            f"index_copy_(): Number of indices ({count}) should be equal to source.size(dim) "
            f"({source._shape[at]})"
        )
    at, array = _slices(input._shape, dim, index, "index_copy_(): " + _OUT_OF_BOUNDS)
    own(input, source)
    _put_slices(input, at, array, source)
    return input


def index_copy(
    input: Tensor, dim: int, index: Tensor, source: Tensor, *, out: Tensor | None = None
) -> Tensor:
    """index_copy_ into a copy (torch.index_copy).

    Example:
        >>> rnn.index_copy(rnn.zeros(3), 0, rnn.tensor([0, 2]), rnn.tensor([1.0, 5.0]))
        tensor([1., 0., 5.])
    """
    made = index_copy_(clone(input), dim, index, source)
    return _core.view_as_result(show_as(made, "IndexCopyBackward0"), out)


def index_fill_(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """Slices of a dimension become a number, in place (torch.Tensor.index_fill_)."""
    if isinstance(value, Handle) and value._shape:
        raise RuntimeError(
            "index_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{len(value._shape)} dimension(s)."
        )
    if input._shape:
        index = _from_the_front(index, input._shape[normalize_dim(dim, len(input._shape))])
    at, array = _slices(input._shape, dim, index, _OUT_OF_BOUNDS)
    own(input, value)
    _put_slices(input, at, array, value)
    return input


def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """index_fill_ into a copy (torch.index_fill).

    Example:
        >>> rnn.index_fill(rnn.zeros(3), 0, rnn.tensor([0, 2]), 7.0)
        tensor([7., 0., 7.])
    """
    return show_as(index_fill_(clone(input), dim, index, value), "IndexFillBackward0")


# ---- places in the flattened tensor --------------------------------------------------------------


def _flat_rows(name: str, input: Tensor, index: Tensor) -> Any:
    if index._h or index._array.dtype != np.int64:
        kind = _core.type_name(dtype_of(index))
        raise RuntimeError(f"{name}(): Expected a long tensor for index, but got {kind}")
    rows, n = check_copy_room(name, index._array).reshape(-1), math.prod(input._shape)
    wrong = rows[(rows < -n) | (rows >= n)]
    if wrong.size:
        raise IndexError(
            f"out of range: tried to access index {wrong[0]} on a tensor of {n} elements."
        )
    return np.ascontiguousarray(np.where(rows < 0, rows + n, rows))


def take(input: Tensor, index: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The elements at places of the flattened tensor, in index's shape (torch.take).

    Example:
        >>> rnn.take(rnn.tensor([[1, 2], [3, 4]]), rnn.tensor([0, 3]))
        tensor([1, 4])
    """
    made = take_rows(input, _flat_rows("take", input, index), 1, index._shape)
    return _core.view_as_result(show_as(made, "TakeBackward0"), out, same=True)


def put_(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """Elements at places of the flattened tensor become source's, in place (torch.Tensor.put_)."""
    if dtype_of(source) is not dtype_of(input):
        have, given = [_core.type_name(dtype_of(t)) for t in (input, source)]
        raise RuntimeError(
            f"put_(): self and source expected to have the same dtype, but got self.dtype = {have} "
            f"and source.dtype = {given}"
        )
    counts = math.prod(source._shape), math.prod(index._shape)
    if counts[0] != counts[1]:
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got "
            f"source.numel() = {counts[0]}, index.numel() = {counts[1]}"
        )
    own(input, source)
    put_rows(input, _flat_rows("put_", input, index), 1, source, source._shape, accumulate)
    return input


def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """put_ into a copy (torch.Tensor.put).

    Example:
        >>> rnn.zeros(2, 2).put(rnn.tensor([0, 3]), rnn.tensor([1.0, 2.0]))
        tensor([[1., 0.],
                [0., 2.]])
    """
    return put_(clone(input), index, source, accumulate)

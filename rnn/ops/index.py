"""Indexing: reading and writing parts of tensors, by `x[...]` and by the functions that take index
tensors.

What an index means is worked out by rnn/_indexing.py, from the index and the shape alone. Here the
plan is carried out: a view for basic indices, then a gather or a scatter of rows (csrc/gather.c)
for index arrays and masks. Writing is recorded where gradients are wanted: it makes the tensor part
of the graph.

Integer and boolean tensors go the same way with NumPy in the place of C.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _c, _dtypes
from rnn._c import E, Handle, adopt, check, fail, ffi, lib
from rnn._indexing import Plan, parse
from rnn._shapes import broadcast_shapes, compute_strides, normalize_dim
from rnn.ops import _core
from rnn.ops._core import array_of, dtype_of, wrap
from rnn.ops.create import held
from rnn.ops.shape import clone, expand, reshape, strided, strides_of, unbind

if TYPE_CHECKING:
    from rnn.tensor import Tensor

Shape = tuple[int, ...]
SELECT, SLICE, UNSQUEEZE, ALIAS = (
    lib.RNN_V_SELECT,
    lib.RNN_V_SLICE,
    lib.RNN_V_UNSQUEEZE,
    lib.RNN_V_ALIAS,
)
_END = 2**63 - 1
_NONE = np.zeros(0, np.int64)

# ---- reading -------------------------------------------------------------------------------------


def _fast(h: int, index: Any) -> int:
    """The handle of t[i], t[i, j] or t[a:b]; 0 for every other index, and for what is out of range.
    """
    kind = type(index)
    if kind is int:
        out: int = lib.rnn_select(E, h, 0, index)
        return out
    if kind is slice:
        start, stop, step = index.start, index.stop, index.step
        if (
            step is None
            and (start is None or type(start) is int)
            and (stop is None or type(stop) is int)
        ):
            out = lib.rnn_slice(
                E, h, 0, 0 if start is None else start, _END if stop is None else stop, 1
            )
            return out
    elif kind is tuple and len(index) == 2 and type(index[0]) is int and type(index[1]) is int:
        out = lib.rnn_select_leading(E, h, 2, index)
        return out
    return 0


def _view_name(index: Any) -> int:
    """The view function that PyTorch would have called last for a basic index."""
    items = index if type(index) is tuple else (index,)
    for item in reversed(items):
        if item is None:
            return UNSQUEEZE
        if isinstance(item, slice):
            if item != slice(None):
                return SLICE
        elif item is not Ellipsis:
            return SELECT
    return ALIAS


def _view(input: Tensor, index: Any, plan: Plan) -> Tensor:
    """The view that a plan begins with."""
    return strided(input, _view_name(index), *plan.apply(strides_of(input)))


def getitem(input: Tensor, index: Any) -> Any:
    """input[index]: a view for ints, slices, None and Ellipsis; a copy for index arrays and masks.

    Args:
        index: as PyTorch and NumPy take it; steps are positive.

    Raises:
        IndexError: it is out of range, or there are too many indices.

    Example:
        >>> rnn.tensor([[1, 2], [3, 4]])[:, [1, 0]].tolist()
        [[2, 1], [4, 3]]
    """
    h = input._h
    if h:
        out = _fast(h, index)
        if out > 0:
            return adopt(out)
    elif type(index) is int and input._array.ndim == 1:  # N[i], of a vector of counts
        try:
            return wrap(input._array[index, ...])
        except IndexError:
            pass
    plan = parse(index, input._shape)
    if plan.is_basic:
        return _view(input, index, plan)
    return _take(_whole_or_view(input, index, plan), plan)


def _whole_or_view(input: Tensor, index: Any, plan: Any) -> Tensor:
    """The view that an advanced plan begins with: most often the tensor itself."""
    if plan.view_shape == input._shape and not any(plan.starts):
        return input
    return _view(input, index, plan)


def _rows(plan: Any) -> tuple[Any, int]:
    """(rows, inner) of an advanced plan; none where the result is empty."""
    return (_NONE, 1) if 0 in plan.out_shape else (plan.positions, plan.inner)


def _take(view: Tensor, plan: Any) -> Tensor:
    rows, inner = _rows(plan)
    return take_rows(view, rows, inner, plan.out_shape)


def take_rows(view: Tensor, rows: Any, inner: int, shape: Shape) -> Tensor:
    """Row-major `view` read as rows of `inner` elements: those of the int64 array `rows`, in this
    shape.
    """
    if view._h:
        index = ffi.from_buffer("int64_t[]", rows)
        h = lib.rnn_gather(E, view._h, index, len(rows), inner, len(shape), shape)
        return adopt(h) if h > 0 else fail(h)
    if not len(rows):
        return wrap(np.empty(shape, view._array.dtype))
    return wrap(view._array.reshape(-1, inner)[rows].reshape(shape))


# ---- writing -------------------------------------------------------------------------------------


def setitem(input: Tensor, index: Any, value: Any) -> None:
    """input[index] = value, broadcast, in the dtype of input; recorded where input or value require
    gradients.

    Raises:
        IndexError: the index is out of range.
        RuntimeError: value does not broadcast, or input is a leaf that requires gradients.
        TypeError: value is neither a tensor nor a number.
    """
    if not isinstance(value, (Handle, int, float, np.number, np.bool_, _c.ValueBase)):
        name, kind = type(value).__name__, dtype_of(input).tensor_type
        name = f"numpy.{name}" if isinstance(value, np.ndarray) else name
        raise TypeError(f"can't assign a {name} to a {_dtypes.prefix}{kind}")
    h = input._h
    if h:
        if isinstance(value, Handle):
            if value._h and lib.rnn_requires_grad(E, value._h):
                check(lib.rnn_own(E, h))
        elif _fills_mask(input, index):
            masked_fill_(input, index, value)
            return
        place = _fast(h, index)
        if place > 0:
            write(adopt(place), value)
            return
    plan = parse(index, input._shape)
    if plan.is_basic:
        write(_view(input, index, plan), value)
    else:
        _write_rows(_whole_or_view(input, index, plan), plan, value)


def _fills_mask(input: Tensor, index: Any) -> bool:
    """Whether x[index] = number is masked_fill_: the index is one mask of input's shape."""
    return (
        isinstance(index, Handle)
        and not index._h
        and index._array.dtype == np.bool_
        and index._shape == input._shape
        and bool(index._shape)
    )


def write(place: Tensor, value: Any) -> None:
    """place[...] = value, which is a tensor of any dtype or a number."""
    if not place._h:
        place._array[...] = as_ints(value, dtype_of(place))
        return
    code: int
    if isinstance(value, Handle):
        if value._h:
            code = lib.rnn_assign(E, place._h, value._h)
            if not code:
                return
        value = _strip(_core.as_node(value, lib.rnn_dtype(place._h)), len(place._shape))
        code = lib.rnn_assign(E, place._h, value._h)
    elif isinstance(value, _c.ValueBase):
        node = _core.as_node(value, lib.rnn_dtype(place._h))
        code = lib.rnn_assign(E, place._h, node._h)
    else:
        code = lib.rnn_fill(E, place._h, value)
    check(code)


def as_ints(value: Any, to: _dtypes.dtype) -> Any:
    """A tensor or number as a NumPy array of an integer or boolean dtype, without leading
    dimensions of size 1.

    Raises:
        RuntimeError: a number does not fit the dtype.
    """
    if isinstance(value, Handle):
        return _dtypes.cast(array_of(value), to)
    return np.array(held(value, to) if to.storage.kind in "iub" else value, to.storage)


def _strip(value: Tensor, ndim: int) -> Tensor:
    """Without the leading dimensions of size 1 that are too many for a place of `ndim` dimensions.
    """
    shape = value._shape
    extra = 0
    while len(shape) - extra > ndim and shape[extra] == 1:
        extra += 1
    return reshape(value, shape[extra:]) if extra else value


def _write_rows(view: Tensor, plan: Any, value: Any, accumulate: bool = False) -> None:
    """The rows of an advanced plan become, or gain, value."""
    to = dtype_of(view)
    if isinstance(value, Handle):
        if dtype_of(value) is not to:
            have, given = [d.tensor_type.removesuffix("Tensor") for d in (to, dtype_of(value))]
            raise RuntimeError(
                "Index put requires the source and destination dtypes match, "
                f"got {have} for the destination and {given} for the source."
            )
        plan.check_value(value._shape)
        value = _strip(value, len(plan.out_shape))
    rows, inner = _rows(plan)
    put_rows(view, rows, inner, value, plan.out_shape, accumulate)


def put_rows(
    view: Tensor, rows: Any, inner: int, value: Any, shape: Shape, accumulate: bool = False
) -> None:
    """Row-major `view` read as rows of `inner` elements: those of `rows` become, or gain, value
    broadcast to `shape`.
    """
    if view._h:
        source = expand(_core.as_node(value, lib.rnn_dtype(view._h)), shape)
        index = ffi.from_buffer("int64_t[]", rows)
        check(lib.rnn_scatter_into(E, view._h, index, len(rows), inner, source._h, accumulate))
        return
    array = view._array
    values = np.broadcast_to(as_ints(value, dtype_of(view)), shape).reshape(-1, inner)
    flat = array.reshape(-1, inner)
    if accumulate:
        np.add.at(flat, rows, values)
    else:
        flat[rows] = values
    if not np.shares_memory(flat, array):
        array[...] = flat.reshape(array.shape)


def index_put_(
    input: Tensor, indices: Sequence[Any], values: Tensor, accumulate: bool = False
) -> Tensor:
    """input[indices] = values; with accumulate, += for each occurrence of an index
    (torch.Tensor.index_put_).
    """
    for place, item in enumerate(indices):
        if not isinstance(item, Handle):
            raise TypeError(
                f"expected Tensor as element {place} in argument 0, but got {type(item).__name__}"
            )
    own(input, values)
    index = tuple(
        [wrap(np.atleast_1d(i._array)) if not i._h and not i._shape else i for i in indices]
    )
    plan = parse(index, input._shape)
    _write_rows(_whole_or_view(input, index, plan), plan, values, accumulate)
    return input


def index_put(
    input: Tensor, indices: Sequence[Any], values: Tensor, accumulate: bool = False
) -> Tensor:
    """index_put_ into a copy (torch.index_put)."""
    return index_put_(clone(input), indices, values, accumulate)


def own(input: Tensor, *values: Any) -> None:
    """A detached tensor that is to be written in the graph stops sharing its nodes with what it was
    detached from.
    """
    if input._h and any(
        isinstance(v, Handle) and v._h and lib.rnn_requires_grad(E, v._h) for v in values
    ):
        check(lib.rnn_own(E, input._h))


# ---- as a container ------------------------------------------------------------------------------


def length(input: Tensor) -> int:
    """len(input): the size of the first dimension."""
    shape = input._shape
    if not shape:
        raise TypeError("len() of a 0-d tensor")
    return int(shape[0])


def iterate(input: Tensor) -> Iterator[Any]:
    """iter(input): its parts along the first dimension, as views."""
    if not input._shape:
        raise TypeError("iteration over a 0-d tensor")
    return iter(unbind(input, 0))


def contains(input: Tensor, element: Any) -> bool:
    """element in input: whether some element equals it.

    Raises:
        RuntimeError: element is neither a tensor nor a number.
    """
    if not isinstance(element, (Handle, int, float, np.number, np.bool_)):
        raise RuntimeError(
            "Tensor.__contains__ only supports Tensor or scalar, but you passed in a "
            f"{type(element)}."
        )
    other = array_of(element) if isinstance(element, Handle) else element
    return bool((array_of(input) == other).any())


# ---- masks ---------------------------------------------------------------------------------------


def _mask_array(mask: Tensor, name: str) -> Any:
    kind = dtype_of(mask)
    if kind is not _dtypes.bool_:
        names = {
            "int64": "long int",
            "int32": "int",
            "float32": "float",
            "float64": "double",
            "uint8": "unsigned char",
        }
        raise RuntimeError(
            f"{name} only supports boolean masks, but got mask with dtype "
            f"{names.get(kind.name, kind.name)}"
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
    return np.ascontiguousarray(mask)


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """input, with value where mask is True; both broadcast (torch.masked_fill).

    Raises:
        RuntimeError: the mask is not boolean, or value is a tensor with dimensions.

    Example:
        >>> rnn.tensor([1., 2.]).masked_fill(rnn.tensor([True, False]), 0)
        rnn.tensor([0., 2.])
    """
    array = _mask_array(mask, "masked_fill_")
    if isinstance(value, Handle):
        if value._shape:
            raise RuntimeError(
                "masked_fill_ only supports a 0-dimensional value tensor, but got tensor "
                f"with {len(value._shape)} dimension(s)."
            )
        if input._h and value._h and lib.rnn_requires_grad(E, value._h):
            return _where(array, value, input)
        value = value.item()
    shape = input._shape if array.ndim == 0 else broadcast_shapes(array.shape, input._shape)
    if not input._h:
        return wrap(np.where(array, as_ints(value, dtype_of(input)), input._array))
    source = input if shape == input._shape else expand(input, shape)
    period = _period(array, shape)
    h = lib.rnn_masked_fill(E, source._h, ffi.from_buffer("uint8_t[]", period), period.size, value)
    return adopt(h) if h > 0 else fail(h)


def _where(mask: Any, a: Tensor, b: Tensor) -> Tensor:
    """mask ? a : b, of float tensors of b's dtype."""
    shape = broadcast_shapes(mask.shape, b._shape)
    bytes_ = np.ascontiguousarray(np.broadcast_to(mask, shape))
    a = _core.as_node(a, lib.rnn_dtype(b._h))
    h = lib.rnn_where(E, ffi.from_buffer("uint8_t[]", bytes_), len(shape), shape, a._h, b._h)
    return adopt(h) if h > 0 else fail(h)


def take_over(input: Tensor, made: Tensor) -> Tensor:
    """input's elements become made's, in place and recorded where made is (the end of an in-place
    function).
    """
    if input._h:
        h, made._h = made._h, 0
        check(lib.rnn_take_over(E, input._h, h))
    else:
        input._array[...] = made._array
    return input


def masked_fill_(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """masked_fill, in place (torch.Tensor.masked_fill_)."""
    own(input, value)
    if input._h:
        check(lib.rnn_check_inplace(E, input._h))
    made = masked_fill(input, mask, value)
    if made._shape != input._shape:
        raise RuntimeError(
            f"output with shape {list(input._shape)} doesn't match the broadcast shape "
            f"{list(made._shape)}"
        )
    return take_over(input, made)


def masked_select(input: Tensor, mask: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The elements where mask is True, in one dimension; both broadcast (torch.masked_select)."""
    if dtype_of(mask) is not _dtypes.bool_:
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    shape = broadcast_shapes(mask._shape, input._shape)
    rows = np.flatnonzero(np.broadcast_to(mask._array, shape)).astype(np.int64, copy=False)
    source = input if shape == input._shape else expand(input, shape)
    return _core.view_as_result(take_rows(source, rows, 1, (len(rows),)), out)


def masked_scatter_(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """The elements where mask is True become source's, in order, in place
    (torch.Tensor.masked_scatter_).

    Raises:
        RuntimeError: source has too few elements, or another dtype.
    """
    array = _mask_array(mask, "masked_scatter_")
    if dtype_of(source) is not dtype_of(input):
        have, given = [dtype_of(t).tensor_type.removesuffix("Tensor") for t in (input, source)]
        raise RuntimeError(
            f"masked_scatter: expected self and source to have same dtypes but got{have} and "
            f"{given}"
        )
    rows = np.flatnonzero(np.broadcast_to(array, input._shape)).astype(np.int64, copy=False)
    if math.prod(source._shape) < len(rows):
        raise RuntimeError("Number of elements of source < number of ones in mask")
    own(input, source)
    flat = reshape(source, -1) if source._shape != (0,) else source
    put_rows(input, rows, 1, getitem(flat, slice(0, len(rows))), (len(rows),))
    return input


def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """masked_scatter_ into a copy (torch.masked_scatter)."""
    shape = broadcast_shapes(mask._shape, input._shape)
    return masked_scatter_(clone(expand(input, shape)), mask, source)


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
        return _NONE
    for d in range(ndim):
        if check_sizes and d != at and array.shape[d] > wide[d]:
            raise RuntimeError(
                f"Size does not match at dimension {d} expected index {list(index._shape)} to be "
                "no larger than self "
                f"{list(shape)} apart from dimension {at}"
            )
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >= wide[at]:
        wrong = low if low < 0 else int(array[array >= wide[at]][0])
        raise RuntimeError(
            f"index {wrong} is out of bounds for dimension {at} with size {wide[at]}"
        )
    strides = compute_strides(wide)
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
    """
    rows = _elementwise_rows("gather", input._shape, dim, index)
    return _core.view_as_result(take_rows(input, rows, 1, index._shape), out)


def take_along_dim(
    input: Tensor, indices: Tensor, dim: int | None = None, *, out: Tensor | None = None
) -> Tensor:
    """gather, with input and indices broadcast against each other (torch.take_along_dim)."""
    if dim is None:
        return gather(reshape(input, -1), 0, reshape(indices, -1), out=out)
    if len(input._shape) != len(indices._shape):
        raise RuntimeError(
            f"{_dtypes.prefix}take_along_dim(): input and indices should have the same number of "
            "dimensions, but got "
            f"{len(input._shape)} dimensions for input, and {len(indices._shape)} dimensions for "
            "indices"
        )
    at = normalize_dim(dim, len(input._shape))
    a, b = list(input._shape), list(indices._shape)
    a[at] = b[at] = 1
    common = list(broadcast_shapes(tuple(a), tuple(b)))
    a, b = common.copy(), common.copy()
    a[at], b[at] = input._shape[at], indices._shape[at]
    return gather(expand(input, a), at, expand(indices, b), out=out)


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
            "apart from dimension "
            f"{normalize_dim(dim, len(input._shape))} and to be no larger size than src "
            f"{list(src._shape)}"
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
    rows = _elementwise_rows("scatter", input._shape, dim, index)
    own(input, source)
    if reduce == "multiply":
        return _scatter_multiply(input, rows, source, index._shape)
    put_rows(input, rows, 1, source, index._shape, reduce == "add")
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
    """scatter_ into a copy (torch.scatter)."""
    return scatter_(clone(input), dim, index, src, value=value, reduce=reduce)


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
    put_rows(
        input, _elementwise_rows("scatter", input._shape, dim, index), 1, source, index._shape, True
    )
    return input


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """scatter_add_ into a copy (torch.scatter_add)."""
    return scatter_add_(clone(input), dim, index, src)


def scatter_reduce_(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """scatter_add_ by its general name: reduce="sum" only (torch.Tensor.scatter_reduce_).

    Raises:
        NotImplementedError: another reduction.
    """
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(
            f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}"
        )
    if reduce != "sum":
        raise NotImplementedError(f"scatter_reduce: rnn has reduce='sum' only, not {reduce!r}")
    if not include_self:
        scatter_(input, dim, index, 0)
    return scatter_add_(input, dim, index, src)


def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """scatter_reduce_ into a copy (torch.scatter_reduce)."""
    return scatter_reduce_(clone(input), dim, index, src, reduce, include_self=include_self)


# ---- one index for each slice: index_select, index_add, ... --------------------------------------


def _slice_rows(shape: Shape, dim: int, index: Tensor, message: str) -> tuple[int, Any, int]:
    """(dimension, rows, inner) of whole slices along a dimension.

    Raises:
        IndexError, RuntimeError: the index is no vector of integers, or is out of range (with this
            message).
    """
    array = index._array.reshape(-1).astype(np.int64, copy=False)
    at, wide = normalize_dim(dim, len(shape)), shape or (1,)
    if array.size:
        wrong = array[(array < 0) | (array >= wide[at])]
        if wrong.size:
            kind = RuntimeError if message.startswith("!") else IndexError
            raise kind(message.lstrip("!").format(wrong[0], wide[at]))
    inner, outer = math.prod(wide[at + 1 :]), math.prod(wide[:at])
    if outer == 1:
        return at, np.ascontiguousarray(array), inner
    steps = np.arange(outer, dtype=np.int64)[:, None] * wide[at]
    return at, np.ascontiguousarray((steps + array).reshape(-1)), inner


_OUT_OF_BOUNDS = "index {} is out of bounds for dimension 0 with size {}"


def _with_size(shape: Shape, at: int, size: int) -> Shape:
    return (*shape[:at], size, *shape[at + 1 :])


def index_select(input: Tensor, dim: int, index: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The slices of a dimension that index names (torch.index_select).

    Raises:
        IndexError: index is no vector, or is out of range.
    """
    if len(index._shape) > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    if index._h or index._array.dtype not in (np.int64, np.int32):
        raise RuntimeError("index_select(): Expected dtype int32 or int64 for index")
    at, rows, inner = _slice_rows(input._shape, dim, index, "index out of range in self")
    count = math.prod(index._shape)
    shape = _with_size(input._shape, at, count) if input._shape else ()
    if 0 in shape:
        rows, inner = _NONE, 1
    return _core.view_as_result(take_rows(input, rows, inner, shape), out)


def index_add_(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """Slices of a dimension gain alpha times those of source, in place (torch.Tensor.index_add_).
    """
    at, rows, inner = _slice_rows(input._shape, dim, index, "!" + _OUT_OF_BOUNDS)
    count = math.prod(index._shape)
    if dtype_of(source) is not dtype_of(input):
        have, given = [dtype_of(t).tensor_type.removesuffix("Tensor") for t in (input, source)]
        raise RuntimeError(
            f"index_add_(): self ({have}) and source ({given}) must have the same scalar type"
        )
    if source._shape and source._shape[at] != count:
        raise RuntimeError(
            f"index_add_(): Number of indices ({count}) should be equal to source.size(dim): "
            f"({source._shape[at]}), "
            f"for dim: {at}"
        )
    if source._shape != _with_size(input._shape, at, count) and input._shape:
        raise RuntimeError(
            "source tensor shape must match self tensor shape, excluding the specified dimension. "
            f"Got self.shape = {list(input._shape)} source.shape = {list(source._shape)}"
        )
    own(input, source)
    put_rows(input, rows, inner, source if alpha == 1 else source * alpha, source._shape, True)
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
    """index_add_ into a copy (torch.index_add)."""
    return _core.view_as_result(index_add_(clone(input), dim, index, source, alpha=alpha), out)


def index_copy_(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """Slices of a dimension become those of source, in place (torch.Tensor.index_copy_)."""
    count = math.prod(index._shape)
    if dtype_of(source) is not dtype_of(input):
        have, given = [dtype_of(t).tensor_type.removesuffix("Tensor") for t in (input, source)]
        raise RuntimeError(
            "index_copy_(): self and source expected to have the same dtype, but got "
            f"(self) {have} and (source) {given}"
        )
    at = normalize_dim(dim, len(input._shape))
    if source._shape and source._shape[at] != count:
        raise IndexError(
            f"index_copy_(): Number of indices ({count}) should be equal to source.size(dim) "
            f"({source._shape[at]})"
        )
    at, rows, inner = _slice_rows(input._shape, dim, index, "index_copy_(): " + _OUT_OF_BOUNDS)
    own(input, source)
    put_rows(
        input, rows, inner, source, _with_size(input._shape, at, count) if input._shape else ()
    )
    return input


def index_copy(
    input: Tensor, dim: int, index: Tensor, source: Tensor, *, out: Tensor | None = None
) -> Tensor:
    """index_copy_ into a copy (torch.index_copy)."""
    return _core.view_as_result(index_copy_(clone(input), dim, index, source), out)


def index_fill_(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """Slices of a dimension become a number, in place (torch.Tensor.index_fill_)."""
    if isinstance(value, Handle) and value._shape:
        raise RuntimeError(
            "index_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{len(value._shape)} dimension(s)."
        )
    at, rows, inner = _slice_rows(input._shape, dim, index, _OUT_OF_BOUNDS)
    own(input, value)
    shape = _with_size(input._shape, at, math.prod(index._shape)) if input._shape else ()
    put_rows(input, rows, inner, value, shape)
    return input


def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """index_fill_ into a copy (torch.index_fill)."""
    return index_fill_(clone(input), dim, index, value)


# ---- places in the flattened tensor --------------------------------------------------------------


def _flat_rows(name: str, input: Tensor, index: Tensor) -> Any:
    if index._h or index._array.dtype != np.int64:
        kind = dtype_of(index).tensor_type.removesuffix("Tensor")
        raise RuntimeError(f"{name}(): Expected a long tensor for index, but got {kind}")
    rows, n = index._array.reshape(-1), math.prod(input._shape)
    wrong = rows[(rows < -n) | (rows >= n)]
    if wrong.size:
        raise IndexError(
            f"out of range: tried to access index {wrong[0]} on a tensor of {n} elements."
        )
    return np.ascontiguousarray(np.where(rows < 0, rows + n, rows))


def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at places of the flattened tensor, in index's shape (torch.take)."""
    return take_rows(input, _flat_rows("take", input, index), 1, index._shape)


def put_(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """The elements at places of the flattened tensor become source's, in place (torch.Tensor.put_).
    """
    if dtype_of(source) is not dtype_of(input):
        have, given = [dtype_of(t).tensor_type.removesuffix("Tensor") for t in (input, source)]
        raise RuntimeError(
            "put_(): self and source expected to have the same dtype, but got "
            f"self.dtype = {have} and source.dtype = {given}"
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
    """put_ into a copy (torch.Tensor.put)."""
    return put_(clone(input), index, source, accumulate)

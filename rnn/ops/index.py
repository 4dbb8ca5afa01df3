"""Indexing: reading and writing parts of tensors, `x[...]`.

What an index means is worked out by rnn/_indexing.py, from the index and the shape alone. Here the
plan is carried out: a view for basic indices, then a gather or a scatter of rows (csrc/gather.c,
scatter.c) for index arrays and masks. Writing is recorded where gradients are wanted: it makes the
tensor part of the graph.

Integer and boolean tensors go the same way with NumPy in the place of C. The functions that take
index tensors by name are in gather.py and masks.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _c, _dtypes
from rnn._c import E, Handle, adopt, check, check_copy_room, check_room, fail, ffi, lib
from rnn._indexing import Plan, parse
from rnn.ops import _core
from rnn.ops._core import array_of, check_elements, dtype_of, wrap
from rnn.ops.create import held
from rnn.ops.masks import masked_fill_
from rnn.ops.parts import unbind
from rnn.ops.shape import clone, expand, own, reshape, strided, strides_of

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
NONE = np.zeros(0, np.int64)
_INTS, _INT64 = {int}, np.dtype(np.int64).char

# ---- reading -------------------------------------------------------------------------------------


def _fast(h: int, index: Any) -> int:
    """The handle of t[i], t[a:b], t[i, j] or t[:, a:b, -1]; 0 or less for every other index, and
    out of range.
    """
    kind = type(index)
    try:
        if kind is int:
            out: int = lib.rnn_select(E, h, 0, index)
            return out
        if kind is slice:
            return _slice(h, 0, index)
        if kind is tuple:
            if len(index) == 2 and type(index[0]) is int and type(index[1]) is int:
                out = lib.rnn_select_leading(E, h, 2, index)
                return out
            return _parts(h, index)
    except OverflowError:  # a number that does not fit 64 bits
        pass
    return 0


def _slice(h: int, dim: int, part: slice) -> int:
    """The handle of a slice of a dimension; 0 where its bounds are not plain, or it has a step."""
    start, stop = part.start, part.stop
    if (
        part.step is None
        and (start is None or type(start) is int)
        and (stop is None or type(stop) is int)
    ):
        out: int = lib.rnn_slice(
            E, h, dim, 0 if start is None else start, _END if stop is None else stop, 1
        )
        return out
    return 0


def _parts(h: int, index: tuple[Any, ...]) -> int:
    """The handle of t[a:b, i, :, ...]: a call for each item that is not a whole slice."""
    out, dim = 0, 0
    for item in index:
        kind = type(item)
        if kind is slice and item.start is None and item.stop is None and item.step is None:
            dim += 1
            continue
        try:
            if kind is slice:
                part = _slice(out or h, dim, item)
                dim += 1
            else:
                part = lib.rnn_select(E, out or h, dim, item) if kind is int else 0
        except OverflowError:
            part = 0
        if out:
            lib.rnn_release(E, out)
        if part <= 0:
            return 0
        out = part
    if out and dim > lib.rnn_ndim(out):  # whole slices of dimensions that are not there
        lib.rnn_release(E, out)
        return 0
    return out


def _points(index: Any, shape: Shape) -> tuple[Any, int] | None:
    """Of t[[i, ...]] and t[[i, ...], [j, ...]], index arrays of one length for the first dimensions
    (lists of ints, ranges, int64 tensors): their places in row-major order, int64, and how many
    dimensions they are for. None for every other index, and out of range.
    """
    arrays = index if type(index) is tuple else (index,)
    if not 0 < len(arrays) <= len(shape) or 0 in shape:
        return None
    rows: Any = None
    for items, size in zip(arrays, shape):
        array = _from_front(items, size)
        if array is None or (rows is not None and len(array) != len(rows)):
            return None
        rows = array if rows is None else rows * size + array
    return rows, len(arrays)


def _from_front(items: Any, size: int) -> Any:
    """A list of ints, a range or an int64 vector as an int64 array of indices from 0 to size - 1;
    None for anything else, where it is empty, and out of range.
    """
    kind = type(items)
    if kind is list or kind is range:
        if set(map(type, items)) != _INTS or max(items) >= size or min(items) < -size:
            return None
        array = np.array(items, np.int64)
        return array + size * (array < 0) if min(items) < 0 else array
    if isinstance(items, Handle) and not items._h and items._array.dtype.char == _INT64:
        array = items._array
        if array.ndim == 1 and array.size and int(array.view(np.uint64).max()) < size:
            return np.ascontiguousarray(array)
    return None


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
    points = _points(index, input._shape)
    if points is not None:
        rows, known = points
        rest = input._shape[known:]
        return take_rows(input, rows, math.prod(rest), (len(rows), *rest))
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
    return (NONE, 1) if 0 in plan.out_shape else (plan.positions, plan.inner)


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
        check_room("index", shape, view._array.itemsize)
        return wrap(np.empty(shape, view._array.dtype))
    check_room("index", (len(rows), inner), view._array.itemsize)
    array = check_copy_room("index", view._array)
    return wrap(array.reshape(-1, inner)[rows].reshape(shape))


def pick(number: int, input: Tensor, dim: int, index: Any, drop: bool = False) -> Tensor:
    """input's elements at `index` along dim (from the front), recorded as operation `number`.

    Args:
        index: int64, of input's shape but for dim.
        drop: whether dim, where index has size 1, goes.
    """
    index = np.ascontiguousarray(index, np.int64)
    if not input._shape:
        index = index.reshape(1)
    if not input._h:
        array = np.atleast_1d(input._array)
        made = np.take_along_axis(array, index, dim)
        return _core.wrap(made.squeeze(dim) if drop or not input._shape else made)
    count = index.shape[dim]
    h = lib.rnn_pick(E, number, input._h, dim, ffi.from_buffer("int64_t[]", index), count, drop)
    return adopt(check(h))


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
        if isinstance(value, Handle) and value._shape != place._shape:
            value = expand(_strip(value, len(place._shape)), place._shape)
        array = _core.writable(place) if isinstance(value, Handle) else place._array
        array[...] = as_ints(value, dtype_of(place))
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
    """Without the leading dimensions of size 1 that a place of `ndim` dimensions has no use for."""
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
            have, given = [_core.type_name(dtype_of(t)) for t in (view, value)]
            raise RuntimeError(
                f"Index put requires the source and destination dtypes match, got {have} for the "
                f"destination and {given} for the source."
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
    if not isinstance(indices, (tuple, list)):
        raise TypeError(
            "index_put_(): argument 'indices' (position 1) must be tuple of Tensors, not "
            f"{type(indices).__name__}"
        )
    if not indices:
        raise RuntimeError("index_put_(): there is no index")
    check_elements(indices)
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
    """index_put_ into a copy (torch.index_put).

    Example:
        >>> place = rnn.tensor([0, 1]), rnn.tensor([1, 0])
        >>> rnn.index_put(rnn.zeros(2, 2), place, rnn.tensor(5.0))
        tensor([[0., 5.],
                [5., 0.]])
    """
    return index_put_(clone(input), indices, values, accumulate)


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

"""Index expressions: what ``x[...]`` means, worked out from the index and the shape alone.

This file is the parser. It knows no tensor, no graph and of memory the limit alone: it turns an
index and a shape into a `Plan`, which the Tensor class carries out for reading and for writing
alike. The rules are PyTorch's, which are NumPy's where NumPy has them too.

Every index is first a view and then, where arrays or masks take part, a gather of that view::

    parse((0, slice(1, 3)), (4, 5, 6))        # x[0, 1:3]: a view only        Plan
    parse((None, [2, 0]), (4, 5))             # x[None, [2, 0]]               AdvancedPlan

The view says where each of its dimensions comes from, in steps of the source's strides. The
gather is written for blocks of memory. With ``B`` the broadcast shape of the index arrays::

    view = view.reshape(outer, span, inner)           # contiguous order of the view
    out  = out.reshape(outer, len(rows), inner)
    out[o, k] = view[o, rows[k]]                      # each a block of `inner` elements

Three rules that surprise people, all of them PyTorch's:

- An integer, or an integer tensor without dimensions, is not an array: it selects at once.
- The dimensions ``B`` stay where the arrays stood if these were neighbours, else they go in front.
- ``x[True]`` and ``x[False]`` put a dimension of size 1 or 0 in front.
"""

from __future__ import annotations

import itertools
import math
import operator
import warnings
from collections.abc import Sequence
from types import EllipsisType
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from rnn._c import check_copy_room, check_room

__all__ = ["AdvancedPlan", "Plan", "parse"]

Shape = tuple[int, ...]
IntArray = npt.NDArray[np.int64]
#: An index array or mask, and the dimensions of the view that it indexes: (first, how many, array).
#: For a mask the array holds positions in its flattened dimensions.
Group = tuple[int, int, IntArray]
#: starts, src, steps and view_shape of a plan.
ViewFields = tuple[Shape, Shape, Shape, Shape]

_INT64 = np.dtype(np.int64)
_UINT64 = np.dtype(np.uint64)
_NO_ROW = np.zeros(0, np.int64)
_ROW_ZERO = np.zeros(1, np.int64)
_NO_ROW.flags.writeable = _ROW_ZERO.flags.writeable = False
#: A step beyond this one never takes two elements; capped so that stride * step fits in 64 bits.
_LONGEST_STEP = 2**31
#: Lists up to this length may mean a tuple (see `_means_tuple`); the limit is NumPy's old one.
_LONGEST_TUPLE_LIKE = 32
_UINT8_MASK = (
    "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead."
)
_max = np.maximum.reduce


def _index_array(obj: object) -> npt.NDArray[Any] | None:
    """The NumPy array behind a tensor or array used as an index; None if `obj` is neither.

    A tensor is anything with ``__array__``. Raises IndexError where its dtype cannot index.
    """
    if type(obj) is np.ndarray:
        kind = obj.dtype.kind
        # np.array([]) is float64 only for want of a number that says otherwise.
        if kind not in "iub" and obj.size:
            raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
        return obj if kind in "iub" else obj.astype(np.int64)
    if isinstance(obj, np.generic) or not hasattr(obj, "__array__"):
        return None
    # Asked before the conversion: a tensor that needs gradients may refuse __array__().
    if getattr(getattr(obj, "dtype", None), "is_floating_point", False):
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    array: npt.NDArray[Any] = obj.__array__()
    if array.dtype.char not in "?B" and array.dtype.itemsize < 4 and array.ndim:
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    return _index_array(array)


class Plan:
    """A basic index: the view ``x[index]``, without reference to any memory.

    starts      per source dimension from the first, where the view starts; the source dimensions
                beyond them are not indexed, and are the view's last ones
    src, steps  per view dimension before those: the source dimension that it walks and how many
                of its elements it goes at a time. A new dimension (None) names the source
                dimension that follows it, with that one's size as its step: the stride which
                PyTorch's unsqueeze gives. src is -1 where nothing follows: stride 1.
    view_shape  the shape of the view
    """

    __slots__ = ("src", "starts", "steps", "view_shape")

    #: True: the result is a view of the source. False: elements are gathered (`AdvancedPlan`).
    is_basic = True

    def __init__(self, starts: Shape, src: Shape, steps: Shape, view_shape: Shape) -> None:
        self.starts = starts
        self.src = src
        self.steps = steps
        self.view_shape = view_shape

    @property
    def out_shape(self) -> Shape:
        """The shape of ``x[index]``."""
        return self.view_shape

    def apply(self, strides: Shape) -> tuple[int, Shape, Shape]:
        """(offset, shape, strides) of the view for a source of these strides, all in elements.

        The offset is to be added to the source's own.
        """
        starts = self.starts
        if not self.src:
            if len(starts) == 1:
                return starts[0] * strides[0], self.view_shape, strides[1:]
            return sum(map(operator.mul, starts, strides)), self.view_shape, strides[len(starts) :]
        head = tuple([strides[d] * step if d >= 0 else 1 for d, step in zip(self.src, self.steps)])
        offset = sum(map(operator.mul, starts, strides))
        return offset, self.view_shape, head + strides[len(starts) :]

    def check_value(self, shape: Sequence[int]) -> Shape:
        """The shape, without leading ones, that a value of `shape` is assigned with.

        RuntimeError, with PyTorch's words, where it does not broadcast to ``x[index]``.

        >>> parse(0, (2, 3)).check_value((1, 1, 3))
        (3,)
        """
        value, out = _without_leading_ones(shape), self.view_shape
        lead = len(out) - len(value)
        if lead < 0:
            raise RuntimeError(
                f"expand(torch.FloatTensor{{{_list(value)}}}, size={_list(out)}): the number of "
                f"sizes provided ({len(out)}) must be greater or equal to the number of "
                f"dimensions in the tensor ({len(value)})"
            )
        for d in range(len(value) - 1, -1, -1):
            if value[d] != 1 and value[d] != out[lead + d]:
                raise RuntimeError(
                    f"The expanded size of the tensor ({out[lead + d]}) must match the existing "
                    f"size ({value[d]}) at non-singleton dimension {lead + d}.  "
                    f"Target sizes: {_list(out)}.  Tensor sizes: {_list(value)}"
                )
        return value

    def __repr__(self) -> str:
        names = [name for cls in reversed(type(self).__mro__) for name in _slots(cls)]
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({fields})"


class AdvancedPlan(Plan):
    """A basic index followed by a gather with index arrays or masks.

    out_shape           the shape of ``x[index]``
    outer, span, inner  the view seen as blocks, ``view.reshape(outer, span, inner)``
    rows                int64, flat: the blocks that each of the `outer` parts of the result takes.
                        May share memory with the index array: copy it to keep it.
    groups              the index arrays, in range and in the order of the dimensions they index

    Where 0 is in `out_shape` there is nothing to gather, and `rows` may be out of range.
    """

    __slots__ = ("groups", "inner", "out_shape", "outer", "rows", "span")

    is_basic = False
    out_shape: Shape

    def __init__(
        self,
        view: ViewFields,
        out_shape: Shape,
        outer: int,
        span: int,
        inner: int,
        rows: IntArray,
        groups: list[Group],
    ) -> None:
        self.starts, self.src, self.steps, self.view_shape = view
        self.out_shape = out_shape
        self.outer = outer
        self.span = span
        self.inner = inner
        self.rows = rows
        self.groups = groups

    @property
    def positions(self) -> IntArray:
        """``out.reshape(-1, inner)[k] == view.reshape(-1, inner)[positions[k]]``."""
        if self.outer == 1:
            return self.rows
        return _positions([(self.rows, 1)], [(self.outer, self.span)], 1)

    @property
    def indices(self) -> list[tuple[int, IntArray]]:
        """(view dimension, index array in range), masks as their ``nonzero()``."""
        pairs: list[tuple[int, IntArray]] = []
        for first, count, array in self.groups:
            if count == 1:
                pairs.append((first, array))
            else:
                parts = np.unravel_index(array, self.view_shape[first : first + count])
                pairs += [(first + d, _as_int64(part)) for d, part in enumerate(parts)]
        return pairs

    def gather(self, strides: Shape) -> tuple[int, IntArray, int]:
        """(offset, positions, inner) in elements of the source's memory, whatever its strides.

        The result is, block by block of `inner` elements, what lies at
        ``offset + positions[k]`` from where the source starts: the view is never made contiguous.
        """
        offset, shape, at = self.apply(strides)
        pairs = self.indices
        stop = pairs[-1][0] + 1
        last, inner = len(shape), 1
        while last > stop and (at[last - 1] == inner or shape[last - 1] == 1):
            last -= 1
            inner *= shape[last]
        taken = {dim for dim, _ in pairs}
        free = [(shape[d], at[d]) for d in range(last) if d not in taken]
        lead = pairs[0][0] if _adjacent(self.groups) else 0
        return offset, _positions([(array, at[d]) for d, array in pairs], free, lead), inner

    def check_value(self, shape: Sequence[int]) -> Shape:
        """As `Plan.check_value`; the words are those of PyTorch's index_put."""
        value, out = _without_leading_ones(shape), self.out_shape
        lead = len(out) - len(value)
        if lead < 0 or any(v != 1 and v != n for v, n in zip(value, out[lead:])):
            raise RuntimeError(
                f"shape mismatch: value tensor of shape {_list(value)} cannot be broadcast to "
                f"indexing result of shape {_list(out)}"
            )
        return value


def parse(index: object, shape: Shape) -> Plan:
    """The plan of ``x[index]`` for an `x` of this shape.

    The index is an int, a slice with a positive step, None, Ellipsis, a bool, an integer or bool
    array, tensor, list or range, or a tuple of these. Integers may be NumPy's, or tensors without
    dimensions; so may the bounds of slices. The shape is best a plain tuple: slicing a Size is
    slower.

    Raises IndexError for what does not fit, ValueError for a step below 1, TypeError for a slice
    bound that is no integer, in PyTorch's words. Warns (UserWarning) of uint8 masks and of lists
    that mean tuples, as PyTorch does.

    >>> parse(-1, (3, 4)).apply((4, 1))
    (8, (4,), (1,))
    >>> parse([2, 0], (3, 4)).out_shape
    (2, 4)

    PyTorch: ``Tensor.__getitem__``, ``Tensor.__setitem__``.
    """
    kind = type(index)
    if kind is int:
        if not shape:
            raise IndexError(
                "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or "
                "`tensor.item<T>()` in C++ to convert a 0-dim tensor to a number"
            )
        return Plan((_select(index, shape[0], 0),), (), (), shape[1:])  # type: ignore[arg-type]
    if kind is tuple:
        return _parse_tuple(index, shape)  # type: ignore[arg-type]
    if kind is slice:
        if not shape:
            raise IndexError("slice() cannot be applied to a 0-dim tensor.")
        start, step, length = _slice(index, shape[0])  # type: ignore[arg-type]
        return Plan((start,), (0,), (step,), (length, *shape[1:]))
    if index is None or index is Ellipsis or kind is bool:
        return _parse_tuple((index,), shape)
    array = _index_array(index)
    if array is not None and array.ndim and array.dtype.char not in "?B":
        if not shape:
            raise IndexError("too many indices for tensor of dimension 0")
        return _take(((), (), (), shape), (0, 1, _as_int64(array)))
    if array is None and _means_tuple(index):
        warnings.warn(
            "A list that holds sequences, tensors, slices, None or Ellipsis is taken as a tuple "
            "of indices: use x[tuple(index)] to say so, or x[tensor(index)] for one index array",
            UserWarning,
            stacklevel=3,
        )
        return _parse_tuple(tuple(index), shape)  # type: ignore[arg-type]
    return _parse_tuple((index if array is None else array,), shape)


def _parse_tuple(index: tuple[object, ...], shape: Shape) -> Plan:
    """The plan of a tuple of indices."""
    ndim = len(shape)
    if len(index) <= ndim:
        starts: list[int] = []
        for item, size in zip(index, shape):
            if type(item) is not int:
                break
            starts.append(_select(item, size, len(starts)))
        else:
            return Plan(tuple(starts), (), (), shape[len(starts) :])
    items, specified = _resolve(index)
    if specified > ndim:
        raise IndexError(f"too many indices for tensor of dimension {ndim}")
    return _walk(items, shape, ndim - specified)


def _walk(items: Sequence[object], shape: Shape, unspecified: int) -> Plan:
    """Builds the plan from resolved items; an Ellipsis stands for `unspecified` dimensions."""
    ndim = len(shape)
    d = 0  # the next source dimension
    starts: list[int] = []
    src: list[int] = []
    steps: list[int] = []
    sizes: list[int] = []
    found: list[tuple[int, npt.NDArray[Any] | bool]] = []  # arrays, by view dimension
    for place, item in enumerate(items):
        kind = type(item)
        if kind is int:
            starts.append(_select(item, shape[d], place))  # type: ignore[arg-type]
            d += 1
        elif kind is slice:
            start, step, length = _slice(item, shape[d])  # type: ignore[arg-type]
            starts.append(start)
            src.append(d)
            steps.append(step)
            sizes.append(length)
            d += 1
        elif item is None or kind is bool:
            if kind is bool:
                found.append((len(src), item))  # type: ignore[arg-type]
            src.append(d if d < ndim else -1)
            steps.append(shape[d] if d < ndim else 1)
            sizes.append(1)
        else:
            count = 1
            if item is Ellipsis:
                count, unspecified = unspecified, 0  # a second one stands for nothing
            else:
                array: npt.NDArray[Any] = item  # type: ignore[assignment]
                found.append((len(src), array))
                if array.dtype.char in "?B":
                    count = array.ndim
                if array.dtype.char == "B":
                    warnings.warn(_UINT8_MASK, UserWarning, stacklevel=5)
            starts += [0] * count
            src += range(d, d + count)
            steps += [1] * count
            sizes += shape[d : d + count]
            d += count
    view = (tuple(starts), tuple(src), tuple(steps), (*sizes, *shape[d:]))
    return _advanced(view, found) if found else Plan(*view)


def _resolve(index: tuple[object, ...]) -> tuple[Sequence[object], int]:
    """The items as int, slice, None, Ellipsis, bool or array, and the dimensions they name."""
    specified = 0
    items: list[object] | None = None
    for place, item in enumerate(index):
        kind = type(item)
        if kind is int or kind is slice:
            specified += 1
        elif item is None or item is Ellipsis or kind is bool:
            pass
        else:
            items = list(index) if items is None else items
            item = items[place] = _resolve_object(item)
            if type(item) is not bool:
                is_mask = type(item) is np.ndarray and item.dtype.char in "?B"
                specified += item.ndim if is_mask else 1  # type: ignore[union-attr]
    return (index if items is None else items), specified


def _resolve_object(item: object) -> int | bool | npt.NDArray[Any]:
    """An index that is none of the plain kinds, as int, bool or array of at least one dimension."""
    if isinstance(item, (int, np.integer)):
        return int(item)
    array = _index_array(item)
    if array is None and _is_sequence(item):
        array = _sequence_array(item)  # type: ignore[arg-type]
    if array is not None:
        if array.ndim:
            return array
        return bool(array) if array.dtype.char in "?B" else int(array)
    try:
        return operator.index(item)  # type: ignore[arg-type]
    except TypeError:
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are "
            f"valid indices (got {type(item).__name__})"
        ) from None


def _is_sequence(item: object) -> bool:
    """Whether PyTorch would take it for a list: anything that can be subscripted but a dict."""
    return hasattr(item, "__getitem__") and not isinstance(item, (dict, np.generic))


def _sequence_array(items: Sequence[Any]) -> npt.NDArray[Any]:
    """A list, tuple or range of integers or bools, nested or not, as an array."""
    if type(items) is range:
        return np.arange(items.start, items.stop, items.step, dtype=np.int64)
    if isinstance(items, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{type(items).__name__}'")
    array: npt.NDArray[Any] = np.array(items)
    if array.dtype.kind not in "iub":
        if not array.size:
            return array.astype(np.int64)
        if array.dtype.kind in "USO":
            raise TypeError(f"an index list holds integers or bools, not {items!r}")
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    return array


def _means_tuple(index: object) -> bool:
    """Whether a list is a tuple in disguise: NumPy's old rule, which PyTorch still follows."""
    if type(index) is range or not _is_sequence(index) or isinstance(index, (str, bytes)):
        return False
    items: Sequence[Any] = index  # type: ignore[assignment]
    return len(items) < _LONGEST_TUPLE_LIKE and any(
        item is None
        or isinstance(item, (slice, EllipsisType))
        or (hasattr(item, "__array__") and not isinstance(item, np.generic))
        or (_is_sequence(item) and not isinstance(item, (str, bytes)))
        for item in items
    )


def _select(item: int, size: int, place: int) -> int:
    """An integer index from the front, checked."""
    if 0 <= item < size:
        return item
    if -size <= item < 0:
        return item + size
    raise IndexError(f"index {item} is out of bounds for dimension {place} with size {size}")


def _slice(item: slice, size: int) -> tuple[int, int, int]:
    """(start, step, length) of a slice of a dimension."""
    start, stop, step = item.indices(size)
    if step < 1:
        raise ValueError("step must be greater than zero")
    length = (stop - start + step - 1) // step
    return start, min(step, _LONGEST_STEP), max(length, 0)


def _take(view: ViewFields, group: Group) -> AdvancedPlan:
    """The gather of a view by one index array: the commonest, kept short."""
    shape = view[3]
    dim, count, array = group
    stop = dim + count
    outer = math.prod(shape[:dim])
    span = math.prod(shape[dim:stop])
    inner = math.prod(shape[stop:])
    if not span and array.size:
        _raise_size_zero()
    if outer and inner:
        array = _in_range(array, span, 0)
    rows = array if array.ndim == 1 else array.reshape(-1)
    out_shape = shape[:dim] + array.shape + shape[stop:]
    return AdvancedPlan(view, out_shape, outer, span, inner, rows, [(dim, count, array)])


def _advanced(view: ViewFields, found: list[tuple[int, npt.NDArray[Any] | bool]]) -> AdvancedPlan:
    """The gather that follows the view, from the arrays and the view dimensions they index."""
    shape = view[3]
    groups = [_group(dim, array, shape) for dim, array in found]
    if len(groups) == 1:
        return _take(view, groups[0])
    try:
        common = np.broadcast(*[array for _, _, array in groups]).shape
    except ValueError:
        shapes = ", ".join(_list(array.shape) for _, count, array in groups for _ in range(count))
        raise IndexError(
            f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes}"
        ) from None
    first = groups[0][0]
    stop = groups[-1][0] + groups[-1][1]
    inner = math.prod(shape[stop:])
    taken = {d for dim, count, _ in groups for d in range(dim, dim + count)}
    if 0 not in common and any(shape[d] == 0 for d in taken):
        _raise_size_zero()
    begin = first if _adjacent(groups) else 0
    gaps = [d for d in range(begin, stop) if d not in taken]
    out_shape = (*shape[:begin], *common, *[shape[d] for d in gaps], *shape[stop:])
    if 0 not in out_shape:
        groups = _all_in_range(groups, shape)

    step = [0] * stop  # strides of the view's dimensions, in blocks
    span = 1
    for d in range(stop - 1, begin - 1, -1):
        step[d] = span
        span *= shape[d]
    terms = [(array, step[dim + count - 1]) for dim, count, array in groups]
    rows = _positions(terms, [(shape[d], step[d]) for d in gaps], 0)
    outer = math.prod(shape[:begin])
    return AdvancedPlan(view, out_shape, outer, span, inner, rows, groups)


def _group(dim: int, array: npt.NDArray[Any] | bool, shape: Shape) -> Group:
    """One index array with the view dimensions that it indexes; masks become positions."""
    if isinstance(array, bool):
        return dim, 1, _ROW_ZERO if array else _NO_ROW
    if array.dtype.char not in "?B":
        return dim, 1, _as_int64(array)
    for d, size in enumerate(array.shape):
        if size != shape[dim + d]:
            raise IndexError(
                f"The shape of the mask {_list(array.shape)} at index {d} does not match the "
                f"shape of the indexed tensor {_list(shape)} at index {dim + d}"
            )
    check_copy_room("index", array)
    return dim, array.ndim, np.flatnonzero(array).astype(np.int64, copy=False)


def _adjacent(groups: list[Group]) -> bool:
    """Whether the indexed dimensions are neighbours."""
    return all(a[0] + a[1] == b[0] for a, b in itertools.pairwise(groups))


def _all_in_range(groups: list[Group], shape: Shape) -> list[Group]:
    """The groups with negative indices counted from the front; IndexError where out of range."""
    ordinal = 0  # PyTorch counts the index arrays in its message, a mask as one a dimension
    checked: list[Group] = []
    for dim, count, array in groups:
        size = math.prod(shape[dim : dim + count])
        checked.append((dim, count, _in_range(array, size, ordinal)))
        ordinal += count
    return checked


def _in_range(array: IntArray, size: int, ordinal: int) -> IntArray:
    """The array, with negative indices counted from the front; IndexError where out of range."""
    # Negative numbers are the largest unsigned ones: one reduction looks for both mistakes.
    if not array.size or int(_max(array.view(_UINT64), axis=None)) < size:
        return array
    low = array < -size
    bad = array[low | (array >= size)]
    if bad.size:
        raise IndexError(
            f"index {bad[0]} is out of bounds for dimension {ordinal} with size {size}"
        )
    return np.where(array < 0, array + size, array)


def _positions(
    terms: list[tuple[IntArray, int]], free: list[tuple[int, int]], lead: int
) -> IntArray:
    """Sums of index * stride over all that the index arrays and the free dimensions run through.

    terms  index arrays and strides; their broadcast shape stands after `lead` of the free ones
    free   sizes and strides of the dimensions that are taken whole
    """
    common = max(array.ndim for array, _ in terms)
    behind = (1,) * (len(free) - lead)
    parts = [
        (array if stride == 1 else array * stride).reshape(array.shape + behind)
        for array, stride in terms
    ]
    for i, (size, stride) in enumerate(free):
        after = len(free) - 1 - i + (common if i < lead else 0)
        parts.append((np.arange(size, dtype=np.int64) * stride).reshape((size,) + (1,) * after))
    if len(parts) > 1:
        check_room("index", np.broadcast(*parts).shape, _INT64.itemsize)
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return np.ascontiguousarray(total.reshape(-1))


def _as_int64(array: npt.NDArray[Any]) -> IntArray:
    """The array itself where it is int64 and contiguous."""
    if array.dtype == _INT64 and array.flags.c_contiguous:
        return array
    return np.ascontiguousarray(array, _INT64)


def _without_leading_ones(shape: Sequence[int]) -> Shape:
    """An assigned value may have more dimensions than its place if the first ones are 1."""
    for d, size in enumerate(shape):
        if size != 1:
            return tuple(shape[d:])
    return ()


def _raise_size_zero() -> NoReturn:
    raise IndexError("index is out of bounds for dimension with size 0")


def _list(shape: Sequence[int]) -> str:
    """A shape as PyTorch's messages print it: [2, 3]."""
    return str(list(shape))


def _slots(cls: type) -> tuple[str, ...]:
    return getattr(cls, "__slots__", ()) if cls is not object else ()

"""Tensors put together, repeated and turned round, and the grids that vectors span: results are
new, unlike the views of shape.py.

Joining is one operation in C (csrc/cat.c); the rest are views that are then copied: `flip` is a
copy of a view with negative strides, `repeat` one of an expanded view. So every function here has
its gradient for free.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _dtypes
from rnn._c import EDTYPE, ETYPE, E, Handle, adopt, check_room, fail, lib
from rnn._shapes import as_size_args, integer, normalize_dim, normalize_dims, out_of_range
from rnn._shown import show_as
from rnn.ops import _core
from rnn.ops._core import as_node, dtype_of, view_as_result, wrap
from rnn.ops.axes import transpose
from rnn.ops.gather import index_select
from rnn.ops.index import getitem, take_rows, write
from rnn.ops.parts import narrow
from rnn.ops.shape import (
    STRIDED,
    atleast_1d,
    atleast_2d,
    atleast_3d,
    clone,
    expand,
    reshape,
    strided,
    strides_of,
)

if TYPE_CHECKING:
    from rnn.tensor import Tensor

Shape = tuple[int, ...]

# ---- joining -------------------------------------------------------------------------------------


def _checked(tensors: Any, name: str) -> list[Any]:
    """A list of tensors.

    Raises:
        TypeError: it is none.
    """
    if isinstance(tensors, Handle) or not isinstance(tensors, (tuple, list)):
        raise TypeError(
            f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not "
            f"{type(tensors).__name__}"
        )
    every = list(tensors)
    if not every and name not in ("cat", "stack", "concat", "concatenate"):
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    for place, x in enumerate(every):
        if isinstance(x, Handle):
            continue
        if not hasattr(x, "_node"):
            raise _core.no_tensor(place, x)
        every[place] = as_node(x, x._dtype_code)  # a Value
    return every


def _promoted(tensors: Sequence[Tensor]) -> _dtypes.dtype:
    """The dtype that tensors promote to."""
    return functools.reduce(_dtypes.promote_types, map(dtype_of, tensors))


def _join(parts: list[Any], dim: int, stack: bool) -> Tensor:
    """cat or stack, of tensors of any dtypes."""
    try:
        h = lib.rnn_cat(E, len(parts), [x._h for x in parts], dim, stack)
    except OverflowError:
        raise out_of_range(dim, len(parts[0]._shape) + stack) from None
    if h > 0:
        return adopt(h)
    if h not in (ETYPE, EDTYPE):
        fail(h)
    to = _promoted(parts)
    if to in _core.CODES:
        return _join([as_node(x, _core.CODES[to]) for x in parts], dim, stack)
    arrays = [_dtypes.cast(x._array, to) for x in parts]
    if not stack:
        arrays = [a for a in arrays if a.shape != (0,)] or arrays[:1]
    _check_shapes(arrays, dim, stack)
    check_room("stack" if stack else "cat", (sum([a.size for a in arrays]),), to.itemsize)
    return wrap(np.stack(arrays, dim) if stack else np.concatenate(arrays, dim))


def _check_shapes(arrays: list[Any], dim: int, stack: bool) -> None:
    """Raises what C raises for shapes that do not fit."""
    first = arrays[0].shape
    at = normalize_dim(dim, len(first) + stack)
    for place, array in enumerate(arrays):
        if stack and array.shape != first:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(first)} at entry 0 and "
                f"{list(array.shape)} at entry {place}"
            )
        if not stack and not array.ndim:
            raise RuntimeError(
                f"zero-dimensional tensor (at position {place}) cannot be concatenated"
            )
        if array.ndim != len(first):
            raise RuntimeError(
                f"Tensors must have same number of dimensions: got {len(first)} and {array.ndim}"
            )
        for d, (have, want) in enumerate(zip(array.shape, first)):
            if not stack and d != at and have != want:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {at}. Expected size {want} "
                    f"but got size {have} for tensor number {place} in the list."
                )


def cat(tensors: Sequence[Tensor], dim: int = 0, *, out: Tensor | None = None) -> Tensor:
    """Tensors one after the other along a dimension (torch.cat).

    Vectors without elements fit everywhere, as in PyTorch. Dtypes are promoted.

    Raises:
        RuntimeError: the other dimensions differ.

    Example:
        >>> rnn.cat([rnn.zeros(2, 3), rnn.ones(1, 3)]).shape
        rnn.Size([3, 3])
    """
    every = _checked(tensors, "cat")
    if not every:
        raise ValueError(f"{_dtypes.prefix}cat(): expected a non-empty list of Tensors")
    made = _join(every, dim, False)
    if out is None:
        return made
    if not _dtypes.can_cast(dtype_of(made), dtype_of(out)):
        name = _core.type_name(dtype_of(out))
        raise TypeError(
            f"{_dtypes.prefix}cat(): input types can't be cast to the desired output type {name}"
        )
    return view_as_result(made, out)


def concat(tensors: Sequence[Tensor], dim: int = 0, *, out: Tensor | None = None) -> Tensor:
    """cat (torch.concat).

    Example:
        >>> rnn.concat([rnn.zeros(2), rnn.ones(1)])
        tensor([0., 0., 1.])
    """
    return cat(tensors, dim, out=out)


def concatenate(
    tensors: Sequence[Tensor], axis: int = 0, out: Tensor | None = None, *, dim: int | None = None
) -> Tensor:
    """cat by NumPy's name (torch.concatenate).

    Example:
        >>> rnn.concatenate([rnn.zeros(2), rnn.ones(1)])
        tensor([0., 0., 1.])
    """
    return cat(tensors, axis if dim is None else dim, out=out)


def stack(tensors: Sequence[Tensor], dim: int = 0, *, out: Tensor | None = None) -> Tensor:
    """Tensors of one shape side by side along a new dimension (torch.stack).

    Raises:
        RuntimeError: the shapes differ.

    Example:
        >>> rnn.stack([rnn.tensor([1, 2]), rnn.tensor([3, 4])])
        tensor([[1, 2],
                [3, 4]])
    """
    every = _checked(tensors, "stack")
    if not every:
        raise RuntimeError("stack expects a non-empty TensorList")
    return view_as_result(_join(every, dim, True), out)


def hstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """cat along columns: dimension 1, or 0 of vectors (torch.hstack).

    Example:
        >>> rnn.hstack((rnn.tensor([1, 2]), rnn.tensor([3])))
        tensor([1, 2, 3])
    """
    every = list(atleast_1d(_checked(tensors, "hstack")))
    return cat(every, 1 if len(every[0]._shape) > 1 else 0, out=out)


def vstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """cat along rows (torch.vstack).

    Example:
        >>> rnn.vstack((rnn.tensor([1, 2]), rnn.tensor([3, 4])))
        tensor([[1, 2],
                [3, 4]])
    """
    return cat(list(atleast_2d(_checked(tensors, "vstack"))), 0, out=out)


def dstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """cat along dimension 2 (torch.dstack).

    Example:
        >>> rnn.dstack((rnn.tensor([1, 2]), rnn.tensor([3, 4])))
        tensor([[[1, 3],
                 [2, 4]]])
    """
    return cat(list(atleast_3d(_checked(tensors, "dstack"))), 2, out=out)


def column_stack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """hstack, with vectors as columns (torch.column_stack).

    Example:
        >>> rnn.column_stack((rnn.tensor([1, 2]), rnn.tensor([3, 4])))
        tensor([[1, 3],
                [2, 4]])
    """
    every = [
        reshape(x, -1, 1) if len(x._shape) <= 1 else x for x in _checked(tensors, "column_stack")
    ]
    return cat(every, 1, out=out)


def block_diag(*tensors: Tensor) -> Tensor:
    """Matrices along the diagonal of one that is zero elsewhere (torch.block_diag).

    Example:
        >>> rnn.block_diag(rnn.ones(1, 2), rnn.tensor([[3.0]]))
        tensor([[1., 1., 0.],
                [0., 0., 3.]])
    """
    _core.check_elements(tensors)
    for place, x in enumerate(tensors):
        if len(x._shape) > 2:
            raise RuntimeError(
                f"{_dtypes.prefix}block_diag: Input tensors must have 2 or fewer dimensions. Input "
                f"{place} has {len(x._shape)} dimensions"
            )
    every = [x if len(x._shape) == 2 else reshape(x, 1, -1) for x in tensors]
    rows, columns = sum(x._shape[0] for x in every), sum(x._shape[1] for x in every)
    out = zeros_of(_promoted(every), rows, columns)
    top = left = 0
    for x in every:
        height, width = x._shape
        write(getitem(out, (slice(top, top + height), slice(left, left + width))), x)
        top, left = top + height, left + width
    return out


def zeros_of(to: _dtypes.dtype, *shape: int) -> Tensor:
    """Zeros of a dtype, to be written to."""
    check_room("zeros", shape, to.itemsize)
    return wrap(np.zeros(shape, to.storage))


# ---- repeating -----------------------------------------------------------------------------------


def repeat(input: Tensor, *repeats: Any) -> Tensor:
    """The whole tensor, so many times along each dimension (torch.Tensor.repeat).

    Raises:
        RuntimeError: there are fewer numbers than dimensions.

    Example:
        >>> rnn.tensor([1, 2]).repeat(2, 2).tolist()
        [[1, 2, 1, 2], [1, 2, 1, 2]]
    """
    times = as_size_args(repeats, "repeat", "repeats")
    shape = input._shape
    if len(times) < len(shape):
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of "
            "tensor"
        )
    shape = (1,) * (len(times) - len(shape)) + shape
    target = tuple([n * size for n, size in zip(times, shape)])
    if min(target, default=0) < 0:
        raise RuntimeError(
            f"Trying to create tensor with negative dimension {min(target)}: {list(target)}"
        )
    paired = tuple(itertools.chain.from_iterable([(1, size) for size in shape]))
    wide = tuple(itertools.chain.from_iterable(zip(times, shape)))
    if paired == wide:
        return show_as(clone(reshape(input, target)), "RepeatBackward0")
    made = reshape(expand(reshape(input, paired), wide), target)
    if _same_memory(made, input):  # never a view: it may be written
        made = clone(made)
    return show_as(made, "RepeatBackward0")


def _same_memory(a: Tensor, b: Tensor) -> bool:
    if a._h and b._h:
        return bool(lib.rnn_span_of(a._h) == lib.rnn_span_of(b._h))
    return bool(np.may_share_memory(a._array, b._array))


def tile(input: Tensor, *dims: Any) -> Tensor:
    """repeat, with numbers counted from the last dimension (torch.tile).

    Example:
        >>> rnn.tile(rnn.tensor([1, 2]), (2, 2))
        tensor([[1, 2, 1, 2],
                [1, 2, 1, 2]])
    """
    times = as_size_args(dims, "tile", "dims")
    return repeat(input, (1,) * (len(input._shape) - len(times)) + times)


def _repeats(input: Tensor) -> Any:
    """The counts of repeat_interleave(counts), as an array; or PyTorch's errors."""
    if input._h or dtype_of(input) not in (_dtypes.int32, _dtypes.int64):
        name = _core.type_name(dtype_of(input))
        raise NotImplementedError(f"\"repeat_interleave_cpu\" not implemented for '{name}'")
    if len(input._shape) != 1:
        raise RuntimeError("repeat_interleave only accept 1D vector as repeat")
    if input._array.size and input._array.min() < 0:
        raise RuntimeError("repeats can not be negative")
    return input._array


def repeat_interleave(
    input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each slice of a dimension so many times in a row (torch.repeat_interleave).

    Args:
        repeats: a number, or a tensor with one number for each slice.
        dim: without it, of the flattened tensor.

    Example:
        >>> rnn.repeat_interleave(rnn.tensor([1, 2]), rnn.tensor([1, 3]))
        tensor([1, 2, 2, 2])
    """
    if repeats is None:
        counts = _repeats(input)
        check_room("repeat_interleave", (int(counts.sum()),), 8)
        return wrap(np.repeat(np.arange(len(counts)), counts))
    source = reshape(input, -1) if dim is None else input
    at = normalize_dim(0 if dim is None else dim, len(source._shape))
    size = source._shape[at] if source._shape else 1
    counts = np.asarray(repeats._array if isinstance(repeats, Handle) else repeats).reshape(-1)
    if counts.size not in (1, size):
        raise RuntimeError(
            "repeats must have the same size as input along dim, but got repeats.size(0) = "
            f"{counts.size} and input.size({at}) = {size}"
        )
    if counts.size and counts.min() < 0:
        raise RuntimeError(
            "Repeats must be non-negative" if counts.size == 1 else "repeats can not be negative"
        )
    total = int(counts.sum()) if counts.size == size else int(counts.sum()) * size
    check_room("repeat_interleave", (total,), 8)
    rows = np.repeat(np.arange(size), counts)
    return (
        index_select(source, at, wrap(rows))
        if source._shape
        else reshape(source, 1).expand(len(rows)).clone()
    )


# ---- turning -------------------------------------------------------------------------------------


def flip(input: Tensor, *turned: Any, dims: Any = None) -> Tensor:
    """Some dimensions in reverse order (torch.flip).

    Example:
        >>> rnn.flip(rnn.tensor([[1, 2], [3, 4]]), (0, 1))
        tensor([[4, 3],
                [2, 1]])
    """
    shape, strides = input._shape, strides_of(input)
    named = turned if dims is None else (dims,)
    turned = normalize_dims(as_size_args(named, "flip", "dims"), len(shape))
    if not shape or 0 in shape:
        return show_as(clone(input), "FlipBackward0")
    start = sum((shape[d] - 1) * strides[d] for d in turned)
    steps = tuple([-s if d in turned else s for d, s in enumerate(strides)])
    return show_as(clone(strided(input, STRIDED, start, shape, steps)), "FlipBackward0")


def fliplr(input: Tensor) -> Tensor:
    """flip along dimension 1 (torch.fliplr).

    Example:
        >>> rnn.fliplr(rnn.tensor([[1, 2], [3, 4]]))
        tensor([[2, 1],
                [4, 3]])
    """
    if len(input._shape) < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return flip(input, 1)


def flipud(input: Tensor) -> Tensor:
    """flip along dimension 0 (torch.flipud).

    Example:
        >>> rnn.flipud(rnn.tensor([[1, 2], [3, 4]]))
        tensor([[3, 4],
                [1, 2]])
    """
    if not input._shape:
        raise RuntimeError("Input must be >= 1-d.")
    return flip(input, 0)


def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Elements moved along dimensions; what leaves at the end comes in at the start (torch.roll).

    Raises:
        RuntimeError: shifts and dims differ in number.

    Example:
        >>> rnn.roll(rnn.arange(4), 1)
        tensor([3, 0, 1, 2])
    """
    moves = list(shifts) if isinstance(shifts, (tuple, list)) else [shifts]
    along = [] if dims is None else [dims] if isinstance(dims, int) else list(dims)
    if not moves:
        raise RuntimeError("`shifts` required")
    if not along and len(moves) == 1:
        made = reshape(roll(reshape(input, -1), moves[0], 0), input._shape)
        return show_as(made, "RollBackward0")
    if along and not input._shape:
        raise IndexError(f"Dimension specified as {along[0]} but tensor has no dimensions")
    if len(moves) != len(along):
        raise RuntimeError(
            f"shifts and dimensions must align. shifts: {len(moves)}, dims:{len(along)}"
        )
    out = input
    for move, d in zip(moves, along):
        at = normalize_dim(d, len(input._shape))
        size = input._shape[at] if input._shape else 1
        by = move % size if size else 0
        if by:
            out = _join([narrow(out, at, size - by, by), narrow(out, at, 0, size - by)], at, False)
    return show_as(clone(input) if out is input else out, "RollBackward0")


def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned by k quarters, from the first of two dimensions towards the second (torch.rot90).

    Example:
        >>> rnn.rot90(rnn.tensor([[1, 2], [3, 4]]))
        tensor([[2, 4],
                [1, 3]])
    """
    ndim = len(input._shape)
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {ndim}")
    if dims[0] == dims[1] or abs(dims[0] - dims[1]) == ndim:
        raise RuntimeError(
            f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}"
        )
    first, second = normalize_dim(dims[0], ndim), normalize_dim(dims[1], ndim)
    quarter = k % 4
    if quarter == 1:
        return show_as(transpose(flip(input, second), first, second), "Rot90Backward0")
    if quarter == 2:
        return show_as(flip(input, first, second), "Rot90Backward0")
    if quarter == 3:
        return show_as(transpose(flip(input, first), first, second), "Rot90Backward0")
    return show_as(clone(input), "Rot90Backward0")


# ---- grids and choices ---------------------------------------------------------------------------


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """Vectors expanded to the grid that they span (torch.meshgrid).

    Args:
        indexing: "ij" (default): the i-th vector runs along dimension i; "xy": the first two change
            places.

    Example:
        >>> x, y = rnn.meshgrid(rnn.tensor([1, 2]), rnn.tensor([3, 4, 5]), indexing="ij")
        >>> x
        tensor([[1, 1, 1],
                [2, 2, 2]])
    """
    every = (
        list(tensors[0])
        if len(tensors) == 1 and isinstance(tensors[0], (tuple, list))
        else list(tensors)
    )
    if not every:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    for x in _core.check_elements(every):
        if len(x._shape) > 1:
            raise RuntimeError(
                f"{_dtypes.prefix}meshgrid: Expected 0D or 1D tensor in the tensor list but got: "
                f"{x}"
            )
        if dtype_of(x) is not dtype_of(every[0]):
            raise RuntimeError("meshgrid expects all tensors to have the same dtype")
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(
            f'{_dtypes.prefix}meshgrid: indexing must be one of "xy" or "ij", '
            f"but received: {indexing}"
        )
    turn = indexing == "xy" and len(every) > 1
    if turn:
        every[0], every[1] = every[1], every[0]
    shape = tuple([math.prod(x._shape) for x in every])
    grids = [
        expand(reshape(x, (1,) * d + (-1,) + (1,) * (len(every) - 1 - d)), shape)
        for d, x in enumerate(every)
    ]
    if turn:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All combinations of the elements of vectors, one a row (torch.cartesian_prod).

    Example:
        >>> rnn.cartesian_prod(rnn.tensor([1, 2]), rnn.tensor([3, 4]))
        tensor([[1, 3],
                [1, 4],
                [2, 3],
                [2, 4]])
    """
    _core.check_elements(tensors)
    for x in tensors:
        if len(x._shape) != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(x._shape)}")
    if len(tensors) == 1:
        return tensors[0]
    return stack([reshape(g, -1) for g in meshgrid(*tensors)], 1)


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All choices of r elements of a vector, one a row (torch.combinations).

    Example:
        >>> rnn.combinations(rnn.tensor([1, 2, 3]))
        tensor([[1, 2],
                [1, 3],
                [2, 3]])
    """
    if len(input._shape) != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input._shape)}")
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    n = input._shape[0]
    count = math.comb(n + r - 1, r) if with_replacement and n + r else math.comb(n, r)
    check_room("combinations", (count, r), 8)
    rows = np.fromiter(itertools.chain.from_iterable(choose(range(n), r)), np.int64, count * r)
    return take_rows(input, rows, 1, (count, r))


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 ones where the last dimension is the class, zeros elsewhere
    (torch.nn.functional.one_hot).

    Args:
        num_classes: the size of the new dimension; -1: the largest class + 1.

    Example:
        >>> F.one_hot(rnn.tensor([0, 2]), 3)
        tensor([[1, 0, 0],
                [0, 0, 1]])
    """
    if dtype_of(tensor) is not _dtypes.int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    num_classes, classes = integer("one_hot", "num_classes", 2, num_classes), tensor._array
    if not classes.size and num_classes <= 0:
        raise RuntimeError("Can not infer total number of classes from empty tensor.")
    if classes.size and classes.min() < 0:
        raise RuntimeError("Class values must be non-negative.")
    if num_classes == -1:
        num_classes = int(classes.max()) + 1
    elif num_classes < 1:
        raise RuntimeError("num_classes should be positive")
    elif classes.size and classes.max() >= num_classes:
        raise RuntimeError("Class values must be smaller than num_classes.")
    check_room("one_hot", (*classes.shape, num_classes), 9)
    made = np.zeros((classes.size, num_classes), np.int64)
    made[np.arange(classes.size), classes.reshape(-1)] = 1
    return wrap(made.reshape(*classes.shape, num_classes))

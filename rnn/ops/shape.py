"""Views: another shape, other strides, the same memory. No node is made, except where `reshape`
must copy.

Float tensors: one call into C, which works out shape and strides (csrc/views.c). Integer and
boolean tensors: NumPy's views of the same array. Both share memory with their source, so a write
through a view is seen there, in the graph too.

What it is not: other orders of the dimensions (axes.py), parts of tensors (parts.py, index.py), and
everything that moves elements (join.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _dtypes
from rnn._c import E, Handle, adopt, check, check_room, fail, lib
from rnn._shapes import (
    as_size_args,
    broadcast_shapes,
    compute_strides,
    expand_sizes,
    infer_view_size,
    normalize_dim,
    normalize_dims,
    out_of_range,
)
from rnn._size import Size
from rnn.ops import _core
from rnn.ops._core import wrap

if TYPE_CHECKING:
    from rnn.tensor import Tensor

STRIDED = lib.RNN_V_STRIDED
Shape = tuple[int, ...]

# ---- the two ways to make a view -----------------------------------------------------------------


class _Window:
    """What NumPy makes a strided array from; keeps the array that it looks into."""

    def __init__(self, interface: dict[str, Any], base: Any) -> None:
        self.__array_interface__ = interface
        self.base = base


def strided_array(array: Any, offset: int, shape: Shape, strides: Shape) -> Any:
    """A NumPy array over the same memory, `offset` elements further on; strides in elements."""
    size = array.itemsize
    interface = dict(array.__array_interface__)
    address, read_only = interface["data"]
    interface["data"] = (address + offset * size, read_only)
    interface["shape"] = shape
    interface["strides"] = tuple([s * size for s in strides])
    return np.asarray(_Window(interface, array))


def strided(t: Tensor, view_op: int, offset: int, shape: Shape, strides: Shape) -> Tensor:
    """The view of t that starts `offset` elements after t's first, with this shape and these
    strides.
    """
    if t._h:
        h = lib.rnn_as_view(
            E, t._h, view_op, lib.rnn_offset(t._h) + offset, len(shape), shape, strides
        )
        return adopt(h) if h > 0 else fail(h)
    return wrap(strided_array(t._array, offset, shape, strides))


def strides_of(t: Tensor) -> Shape:
    """Strides in elements, of a tensor of any dtype."""
    if t._h:
        return t._strides
    array = t._array
    if not array.size:  # NumPy gives any
        return compute_strides(array.shape)
    return tuple([s // array.itemsize for s in array.strides])


def named(view: Tensor, view_op: int) -> Tensor:
    """Tells grad_fn which view function made it."""
    if view._h:
        lib.rnn_set_view_op(view._h, view_op)
    return view


# ---- what it looks like --------------------------------------------------------------------------


def size(input: Tensor, dim: int | None = None) -> Any:
    """The shape, or one size of it (torch.Tensor.size).

    Example:
        >>> rnn.ones(2, 3).size(), rnn.ones(2, 3).size(1)
        (rnn.Size([2, 3]), 3)
    """
    shape = input._shape
    if dim is None:
        return tuple.__new__(Size, shape)
    return shape[normalize_dim(dim, len(shape))] if shape else fail_dim(dim)


def fail_dim(dim: int) -> Any:
    """A tensor without dimensions has no size along one."""
    raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")


def stride(input: Tensor, dim: int | None = None) -> Any:
    """The strides, or one of them: how many elements apart neighbours lie (torch.Tensor.stride).

    Example:
        >>> rnn.ones(2, 3).stride(), rnn.ones(2, 3).t().stride()
        ((3, 1), (1, 3))
    """
    strides = strides_of(input)
    if dim is None:
        return strides
    return strides[normalize_dim(dim, len(strides))] if strides else fail_dim(dim)


def storage_offset(input: Tensor) -> int:
    """How many elements after the start of its memory it starts (torch.Tensor.storage_offset).

    Example:
        >>> rnn.arange(4)[1:].storage_offset()
        1
    """
    return storage_of(input)[0]


def storage_of(input: Tensor) -> tuple[int, int]:
    """(where in its memory a tensor starts, how much memory there is), in elements."""
    if input._h:
        return int(lib.rnn_offset(input._h)), int(lib.rnn_storage_nodes(E, input._h))
    root = array = input._array
    while isinstance(root.base, (np.ndarray, _Window)):
        root = root.base
    return (array.ctypes.data - root.ctypes.data) // array.itemsize, int(root.size)


def numel(input: Tensor) -> int:
    """How many elements it has (torch.numel).

    Example:
        >>> rnn.numel(rnn.ones(2, 3))
        6
    """
    return int(lib.rnn_count(input._h)) if input._h else int(input._array.size)


def dim(input: Tensor) -> int:
    """How many dimensions it has (torch.Tensor.dim).

    Example:
        >>> rnn.ones(2, 3).dim()
        2
    """
    return int(lib.rnn_ndim(input._h)) if input._h else int(input._array.ndim)


def is_contiguous(input: Tensor, memory_format: Any = None) -> bool:
    """Whether its elements lie in row-major order without gaps (torch.Tensor.is_contiguous).

    Example:
        >>> x = rnn.ones(2, 3)
        >>> x.is_contiguous(), x.t().is_contiguous()
        (True, False)
    """
    if input._h:
        return bool(lib.rnn_is_contiguous(E, input._h))
    return bool(input._array.flags.c_contiguous)


def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A contiguous copy, in the graph (torch.clone).

    Example:
        >>> x = rnn.ones(2, requires_grad=True)
        >>> x.clone()
        tensor([1., 1.], grad_fn=<CloneBackward0>)
    """
    if input._h:
        h = lib.rnn_clone(E, input._h)
        return adopt(h) if h > 0 else fail(h)
    return wrap(_copy(input._array, "clone"))


def _copy(array: Any, what: str) -> Any:
    """A contiguous copy, under the memory limit."""
    check_room(what, array.shape, array.itemsize)
    return array.copy()


def contiguous(input: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor itself where it is contiguous, else a copy that is (torch.Tensor.contiguous).

    Example:
        >>> rnn.arange(6).view(2, 3).t().contiguous().stride()
        (2, 1)
    """
    if input._h:
        if lib.rnn_is_contiguous(E, input._h):
            return input
        h = lib.rnn_clone(E, input._h)
        return adopt(h) if h > 0 else fail(h)
    array = input._array
    return input if array.flags.c_contiguous else wrap(_copy(array, "contiguous"))


# ---- other shapes --------------------------------------------------------------------------------


def view(input: Tensor, *shape: Any, dtype: Any = None, size: Any = None) -> Tensor:
    """The same elements in another shape (torch.Tensor.view).

    Args:
        shape: sizes, or one tuple of them; one may be -1. Or a dtype: the same bytes read as that.

    Raises:
        RuntimeError: the shape has another number of elements, or the strides do not allow it (use
            reshape). At scalar resolution, where sums and products are the last of running sums
            and lie apart, a copy is made where need be.

    Example:
        >>> rnn.zeros(2, 6).view(3, -1).shape
        rnn.Size([3, 4])
    """
    if dtype is not None or (shape and isinstance(shape[0], _dtypes.dtype)):
        return _view_dtype(input, shape[0] if dtype is None else dtype)
    sizes = as_size_args(shape if size is None else (size,), "view")
    if input._h:
        try:
            h = lib.rnn_reshape(E, input._h, len(sizes), sizes, 1)
        except OverflowError:
            raise _too_large(sizes) from None
        if h > 0:
            return adopt(h)
        return reshape(input, sizes) if _lies_apart(input) else fail(h)
    array = _reshaped(input._array, sizes, "view")
    if array.size and not np.may_share_memory(array, input._array):  # it had to be copied
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one "
            "dimension spans across two contiguous subspaces). Use .reshape(...) instead."
        )
    return wrap(array)


def _lies_apart(input: Tensor) -> bool:
    """Whether a tensor, in the order of memory, may be contiguous at the other resolution."""
    if not lib.rnn_resolution():
        return False
    strides = [s for s, n in zip(input._strides, input._shape) if n != 1]
    return all(a >= b > 0 for a, b in pairwise(strides))


def _view_dtype(input: Tensor, dtype: _dtypes.dtype) -> Tensor:
    """The bytes of a tensor, read as another dtype: shared, but for results of a floating-point
    dtype, which are copied.
    """
    have = _core.dtype_of(input)
    if dtype is have:
        return view(input, input._shape)
    names = [d.tensor_type.removesuffix("Tensor") for d in (have, dtype)]
    small, large = have.itemsize, dtype.itemsize
    if small != large:
        if not input._shape:
            raise RuntimeError(
                f"self.dim() cannot be 0 to view {names[0]} as {names[1]} (different element sizes)"
            )
        if large > small and input._shape[-1] % (large // small):
            raise RuntimeError(
                f"self.size(-1) must be divisible by {large // small} to view {names[0]} as "
                f"{names[1]} (different element sizes), but got {input._shape[-1]}"
            )
        if strides_of(input)[-1] != 1:
            raise RuntimeError(
                f"self.stride(-1) must be 1 to view {names[0]} as {names[1]} (different element "
                f"sizes), but got {strides_of(input)[-1]}"
            )
    return wrap(_core.array_of(input).view(dtype.storage))


def reshape(input: Tensor, *sizes: Any, shape: Any = None) -> Tensor:
    """The same elements in another shape: a view where the strides allow it, else a copy
    (torch.reshape).

    Raises:
        RuntimeError: the shape has another number of elements.

    Example:
        >>> rnn.reshape(rnn.arange(6), (2, -1))
        tensor([[0, 1, 2],
                [3, 4, 5]])
    """
    sizes = as_size_args(sizes if shape is None else (shape,), "reshape", "shape")
    if input._h:
        try:
            h = lib.rnn_reshape(E, input._h, len(sizes), sizes, 0)
        except OverflowError:
            raise _too_large(sizes) from None
        return adopt(h) if h > 0 else fail(h)
    return wrap(_reshaped(input._array, sizes, "reshape"))


def _reshaped(array: Any, sizes: Any, what: str) -> Any:
    """array.reshape, which may have to copy, under the memory limit."""
    target = infer_view_size(sizes, array.size)
    if 0 in array.strides and not array.flags.c_contiguous:  # expanded: the copy is larger
        check_room(what, array.shape, array.itemsize)
    return array.reshape(target)


def _too_large(sizes: Sequence[int]) -> ValueError:
    return ValueError(f"a size in shape {list(sizes)} does not fit 64 bits")


def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """reshape to other's shape (torch.Tensor.reshape_as).

    Example:
        >>> rnn.arange(6).reshape_as(rnn.ones(2, 3)).shape
        rnn.Size([2, 3])
    """
    return reshape(input, other._shape)


def view_as(input: Tensor, other: Tensor) -> Tensor:
    """view with other's shape (torch.Tensor.view_as).

    Example:
        >>> rnn.arange(6).view_as(rnn.ones(2, 3)).shape
        rnn.Size([2, 3])
    """
    return view(input, other._shape)


def ravel(input: Tensor) -> Tensor:
    """All elements in one dimension; a view where it can be (torch.ravel).

    Example:
        >>> rnn.ravel(rnn.tensor([[1, 2], [3, 4]]))
        tensor([1, 2, 3, 4])
    """
    made = reshape(input, -1) if numel(input) else reshape(input, 0)
    return made if made.is_contiguous() else contiguous(made)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from start_dim to end_dim as one (torch.flatten).

    Raises:
        RuntimeError: start_dim comes after end_dim.

    Example:
        >>> rnn.zeros(2, 3, 4).flatten(1).shape
        rnn.Size([2, 12])
    """
    shape = input._shape
    start, end = normalize_dim(start_dim, len(shape)), normalize_dim(end_dim, len(shape))
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if not shape:
        return reshape(input, 1)
    if start == end:
        return input
    return reshape(input, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """One dimension as several, whose product it is; one may be -1 (torch.unflatten).

    Raises:
        RuntimeError: the sizes do not multiply up to the dimension's.

    Example:
        >>> rnn.unflatten(rnn.ones(2, 6), 1, (2, 3)).shape
        rnn.Size([2, 2, 3])
    """
    shape = input._shape
    at = normalize_dim(dim, len(shape))
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    have = shape[at] if shape else 1
    try:
        inferred = infer_view_size(as_size_args((sizes,), "unflatten", "sizes", 2), have)
    except RuntimeError as error:
        if "is invalid for input" not in str(error):
            raise
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {at} "
            f"({have}) in the input tensor"
        ) from None
    return view(input, (*shape[:at], *inferred, *shape[at + 1 :]))


# ---- dimensions of size 1, and broadcasting ------------------------------------------------------


def squeeze(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Without its dimensions of size 1, or those of `dim` that have size 1 (torch.squeeze).

    Example:
        >>> rnn.squeeze(rnn.ones(1, 3, 1)).shape
        rnn.Size([3])
    """
    if input._h and (dim is None or isinstance(dim, int)):
        try:
            h = lib.rnn_squeeze(E, input._h, dim or 0, dim is None)
        except OverflowError:
            raise out_of_range(dim, len(input._shape)) from None
        return adopt(h) if h > 0 else fail(h)
    shape, strides = input._shape, strides_of(input)
    dims = range(len(shape)) if dim is None else normalize_dims(dim, len(shape))
    kept = [d for d, n in enumerate(shape) if n != 1 or d not in dims]
    return strided(
        input,
        lib.RNN_V_SQUEEZE if dim is None else lib.RNN_V_SQUEEZE_DIMS,
        0,
        tuple([shape[d] for d in kept]),
        tuple([strides[d] for d in kept]),
    )


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a new dimension of size 1 at `dim` (torch.unsqueeze).

    Example:
        >>> rnn.unsqueeze(rnn.ones(3), 0).shape
        rnn.Size([1, 3])
    """
    if input._h:
        try:
            h = lib.rnn_unsqueeze(E, input._h, dim)
        except OverflowError:
            raise out_of_range(dim, len(input._shape) + 1) from None
        return adopt(h) if h > 0 else fail(h)
    return wrap(np.expand_dims(input._array, normalize_dim(dim, input._array.ndim + 1)))


def expand(input: Tensor, *sizes: Any, size: Any = None, implicit: bool = False) -> Tensor:
    """Dimensions of size 1 seen as larger ones, without copying; -1 keeps a size
    (torch.Tensor.expand).

    Raises:
        RuntimeError: a size that is not 1 would change.

    Example:
        >>> rnn.zeros(3, 1).expand(3, 4).stride()
        (1, 0)
    """
    if size is not None:
        sizes = (size,)
    sizes = as_size_args(sizes, "expand") if sizes else ()
    if input._h:
        try:
            h = lib.rnn_expand(E, input._h, len(sizes), sizes)
        except OverflowError:
            raise _too_large(sizes) from None
        return adopt(h) if h > 0 else fail(h)
    shape, strides = input._shape, strides_of(input)
    target = expand_sizes(sizes, shape, _dtypes.prefix + _core.dtype_of(input).tensor_type)
    lead = len(target) - len(shape)
    steps = [0 if shape[d] != target[lead + d] else strides[d] for d in range(len(shape))]
    return wrap(strided_array(input._array, 0, target, (0,) * lead + tuple(steps)))


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """expand to other's shape (torch.Tensor.expand_as).

    Example:
        >>> rnn.tensor([[1], [2]]).expand_as(rnn.zeros(2, 2))
        tensor([[1, 1],
                [2, 2]])
    """
    return expand(input, other._shape)


def sum_to_size(input: Tensor, *size: Any) -> Tensor:
    """What expand does, undone: the sums over the dimensions that broadcasting `size` to the
    input's shape would add or stretch (torch.Tensor.sum_to_size).

    Raises:
        RuntimeError: `size` does not broadcast to the input's shape.

    Example:
        >>> rnn.ones(3, 2).sum_to_size(1, 2)
        tensor([[3., 3.]])
    """
    target = tuple(as_size_args(size, "sum_to_size")) if size else ()
    shape = input._shape
    lead = len(shape) - len(target)
    if lead < 0 or any(n not in (1, m) for n, m in zip(target, shape[lead:])):
        raise RuntimeError(f"size {{{list(target)}}} is not expandable to size {{{list(shape)}}}.")
    over = [d for d, m in enumerate(shape) if d < lead or (target[d - lead] == 1 and m != 1)]
    if not target:
        return input.sum()  # of a number too, as PyTorch does it: of integers it is int64
    return reshape(input.sum(over, keepdim=True), target) if over else input


def broadcast_to(input: Tensor, *size: Any) -> Tensor:
    """expand by NumPy's name (torch.broadcast_to).

    Example:
        >>> rnn.broadcast_to(rnn.tensor([1, 2]), (2, 2))
        tensor([[1, 2],
                [1, 2]])
    """
    return expand(input, *size)


def broadcast_sizes(*shapes: Any) -> Size:
    """The shape that shapes, or sizes of one dimension, broadcast to (torch.broadcast_shapes).

    Raises:
        RuntimeError: they do not broadcast.

    >>> rnn.broadcast_shapes((2, 1), (3,), 1)
    rnn.Size([2, 3])
    """
    given = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    return Size(broadcast_shapes(*given))


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """All tensors expanded to their common shape (torch.broadcast_tensors).

    Example:
        >>> x, y = rnn.broadcast_tensors(rnn.ones(3, 1), rnn.ones(2))
        >>> x.shape, y.shape
        (rnn.Size([3, 2]), rnn.Size([3, 2]))
    """
    every = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    shape = broadcast_shapes(*[x._shape for x in _core.check_elements(every)])
    return tuple([expand(x, shape) for x in every])


def atleast_1d(*tensors: Any) -> Any:
    """A scalar as a vector of one element; others as they are (torch.atleast_1d).

    Example:
        >>> rnn.atleast_1d(rnn.tensor(2.0))
        tensor([2.])
    """
    return _each(tensors, lambda x: x if x._shape else reshape(x, 1))


def atleast_2d(*tensors: Any) -> Any:
    """With dimensions of size 1 in front, up to two (torch.atleast_2d).

    Example:
        >>> rnn.atleast_2d(rnn.tensor([1.0, 2.0]))
        tensor([[1., 2.]])
    """
    return _each(
        tensors, lambda x: x if len(x._shape) > 1 else reshape(x, (1, -1) if x._shape else (1, 1))
    )


def atleast_3d(*tensors: Any) -> Any:
    """With dimensions of size 1 around, up to three (torch.atleast_3d).

    Example:
        >>> rnn.atleast_3d(rnn.ones(2, 3)).shape
        rnn.Size([2, 3, 1])
    """
    wide = {0: (1, 1, 1), 1: (1, -1, 1)}

    def one(x: Tensor) -> Tensor:
        ndim = len(x._shape)
        return x if ndim > 2 else unsqueeze(x, 2) if ndim == 2 else reshape(x, wide[ndim])

    return _each(tensors, one)


def _each(tensors: tuple[Any, ...], one: Any) -> Any:
    """One tensor for one; a tuple for several or for a sequence."""
    if len(tensors) == 1 and not isinstance(tensors[0], (tuple, list)):
        return one(_core.check_elements(tensors)[0])
    every = tensors[0] if len(tensors) == 1 else tensors
    return tuple([one(x) for x in _core.check_elements(every)])


# ---- in place: the tensor itself looks elsewhere -------------------------------------------------


def _become(input: Tensor, view: Tensor) -> Tensor:
    """`input` looks where `view` looks.

    Raises:
        RuntimeError: input is a leaf that requires gradients.
    """
    if input._h:
        check(lib.rnn_check_inplace(E, input._h))
        input._h, view._h = view._h, input._h
    else:
        input._array = view._array
    return input


def turn(input: Tensor, view: Callable[..., Tensor], *args: Any) -> Tensor:
    """`input` looks at itself through view(input, *args). Under no_grad it goes on requiring
    gradients, and a leaf stays one.
    """
    if not input._h:
        return _become(input, view(input, *args))
    leaf = input.is_leaf
    was = lib.rnn_set_grad_mode(1)  # a view that is made under no_grad is a constant
    try:
        made = view(input, *args)
    finally:
        lib.rnn_set_grad_mode(was)
    if leaf:
        lib.rnn_set_view_op(made._h, 0)
    return _become(input, made)


def own(input: Tensor, *values: Any) -> None:
    """A detached tensor that is to be written in the graph stops sharing its nodes with what it was
    detached from.
    """
    if input._h and any(
        isinstance(v, Handle) and v._h and lib.rnn_requires_grad(E, v._h) for v in values
    ):
        check(lib.rnn_own(E, input._h))


def unsqueeze_(input: Tensor, dim: int) -> Tensor:
    """unsqueeze, in place (torch.Tensor.unsqueeze_)."""
    return turn(input, unsqueeze, dim)


def squeeze_(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """squeeze, in place (torch.Tensor.squeeze_)."""
    return turn(input, squeeze, dim)


def resize_(input: Tensor, *sizes: Any, memory_format: Any = None) -> Tensor:
    """Another shape, in place: what memory there is, kept; what more is needed, undefined
    (torch.Tensor.resize_).

    Raises:
        RuntimeError: it requires gradients.
    """
    shape = as_size_args(sizes, "resize_") if sizes else ()
    if input._h and lib.rnn_requires_grad(E, input._h):
        raise RuntimeError("cannot resize variables that require grad")
    if min(shape, default=0) < 0:
        raise RuntimeError("numel: integer multiplication overflow")
    need = math.prod(shape)
    start, have = storage_of(input)
    if start + need <= have:
        return _become(input, strided(input, STRIDED, 0, shape, compute_strides(shape)))
    if not input._h:
        check_room("resize_", shape, input._array.itemsize)
        larger = np.zeros(need, input._array.dtype)
        larger[: input._array.size] = input._array.reshape(-1)
        return _become(input, wrap(larger.reshape(shape)))
    h = lib.rnn_empty(E, lib.rnn_dtype(input._h), len(shape), shape)
    fresh: Tensor = adopt(h) if h > 0 else fail(h)
    _core.array_of(fresh).reshape(-1)[: numel(input)] = _core.array_of(input).reshape(-1)
    return _become(input, fresh)

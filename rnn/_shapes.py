"""Shape arithmetic: from the arguments of a method to sizes, dimensions and strides.

Pure functions on tuples of integers, with PyTorch's rules and PyTorch's words where they refuse.
They read the arguments of Tensor methods. They compute no element, and the engine checks again
whatever it is given: a shape that passes here may still be too large for memory.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, SupportsIndex

__all__ = [
    "as_size_args",
    "broadcast_shapes",
    "chunk_sizes",
    "compute_strides",
    "expand_sizes",
    "infer_view_size",
    "normalize_dim",
    "normalize_dims",
    "permute_dims",
    "reduce_dims",
    "split_sizes",
    "tensor_split_sizes",
]

Shape = tuple[int, ...]
#: One part of a dimension: (start, length).
Part = tuple[int, int]


def normalize_dim(dim: SupportsIndex, ndim: int) -> int:
    """A dimension counted from the front; negative ones count from the back.

    A scalar has one dimension here, as in PyTorch: 0 and -1 are allowed for `ndim` 0. For
    unsqueeze and stack, `ndim` is that of the result. Raises IndexError out of range.

    >>> normalize_dim(-1, 3)
    2
    """
    number = dim if type(dim) is int else operator.index(dim)
    span = ndim or 1
    if 0 <= number < span:
        return number
    if -span <= number < 0:
        return number + span
    raise IndexError(
        f"Dimension out of range (expected to be in range of [{-span}, {span - 1}], "
        f"but got {number})"
    )


def normalize_dims(dims: Iterable[SupportsIndex] | SupportsIndex, ndim: int) -> Shape:
    """One dimension or several, counted from the front, in the order given.

    Raises IndexError out of range, RuntimeError where one occurs twice.

    >>> normalize_dims((-1, 0), 3)
    (2, 0)
    """
    if not isinstance(dims, (tuple, list)):
        return (normalize_dim(dims, ndim),)  # type: ignore[arg-type]
    found = tuple([normalize_dim(dim, ndim) for dim in dims])
    for place, number in enumerate(found):
        if number in found[:place]:
            raise RuntimeError(f"dim {number} appears multiple times in the list of dims")
    return found


def integer(function: str, argument: str, position: int, value: SupportsIndex) -> int:
    """An argument as an int.

    Raises:
        TypeError: it is a float, or no number, in PyTorch's words.
    """
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(
            f"{function}(): argument '{argument}' (position {position}) must be int, not "
            f"{type(value).__name__}"
        ) from None


def out_of_range(dims: Any, ndim: int) -> Exception:
    """The error of dimensions of which one does not fit 64 bits: for C, which cannot take it."""
    try:
        normalize_dims(dims, ndim)
    except (IndexError, RuntimeError) as error:
        return error
    raise AssertionError(f"{dims} are dimensions of {ndim}")


def permute_dims(dims: Iterable[SupportsIndex], ndim: int) -> Shape:
    """The dimensions of a permutation, counted from the front, each exactly once.

    >>> permute_dims((2, 0, -2), 3)
    (2, 0, 1)
    """
    given = tuple(dims)
    if len(given) != ndim:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the "
            "length of the desired ordering of dimensions i.e. "
            f"input.dim() = {ndim} is not equal to len(dims) = {len(given)}"
        )
    found: list[int] = []
    for dim in given:
        number = normalize_dim(dim, ndim)
        if number in found:
            raise RuntimeError("permute(): duplicate dims are not allowed.")
        found.append(number)
    return tuple(found)


def reduce_dims(
    dim: Iterable[SupportsIndex] | SupportsIndex | None, shape: Shape, keepdim: bool = False
) -> tuple[Shape, Shape]:
    """(dimensions, shape of the result) of a reduction; None or () mean all of them.

    A scalar's dimension is an imagined one: 0 and -1 are allowed, and nothing is left to reduce.

    >>> reduce_dims(-1, (2, 3), keepdim=True)
    ((1,), (2, 1))
    """
    ndim = len(shape)
    if dim is None or (isinstance(dim, (tuple, list)) and not dim):
        dims = tuple(range(ndim))
    else:
        dims = normalize_dims(dim, ndim)
        dims = dims if ndim else ()
    if keepdim:
        return dims, tuple([1 if d in dims else size for d, size in enumerate(shape)])
    return dims, tuple([size for d, size in enumerate(shape) if d not in dims])


def as_size_args(
    args: Sequence[Any], function: str = "view", name: str = "size", position: int = 1
) -> Shape:
    """The sizes in ``f(2, 3)``, ``f((2, 3))``, ``f([2, 3])`` and ``f(x.shape)``.

    An integer may be NumPy's, or a tensor with one element. Raises TypeError for what is none;
    the message names the function, the argument and its position.

    >>> as_size_args(((2, 3),))
    (2, 3)
    >>> as_size_args((2, -1))
    (2, -1)
    """
    if not args:
        raise TypeError(f'{function}() missing {position} required positional arguments: "{name}"')
    first = args[0]
    sizes = first if len(args) == 1 and isinstance(first, (tuple, list)) else args
    found: list[int] = []
    for place, size in enumerate(sizes):
        if type(size) is int:
            found.append(size)
            continue
        try:
            if isinstance(size, bool):
                raise TypeError
            found.append(operator.index(size))
        except TypeError:
            kind = type(size).__name__
            what = f"not {kind}"
            if sizes is first or place:
                what = f"but found element of type {kind} at pos {place}"
            raise TypeError(
                f"{function}(): argument '{name}' (position {position}) must be tuple of ints, "
                f"{what}"
            ) from None
    return tuple(found)


def compute_strides(shape: Sequence[int]) -> Shape:
    """The strides of a contiguous tensor, in elements. Where a size is 0 they count it as 1.

    >>> compute_strides((2, 3, 4))
    (12, 4, 1)
    """
    strides: list[int] = []
    step = 1
    for size in reversed(shape):
        strides.append(step)
        step *= size or 1
    return tuple(reversed(strides))


def infer_view_size(sizes: Sequence[int], numel: int) -> Shape:
    """The shape that `view` and `reshape` are asked for, its -1 replaced.

    Raises RuntimeError where it does not have `numel` elements.

    >>> infer_view_size((2, -1), 6)
    (2, 3)
    """
    shape = tuple(sizes)
    if -1 not in shape and min(shape, default=0) >= 0:
        if math.prod(shape) == numel:
            return shape
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {numel}")
    known, unknown = 1, -1
    for d, size in enumerate(shape):
        if size >= 0:
            known *= size
        elif size != -1:
            raise RuntimeError(
                f"invalid shape dimension {size} at index {d} of shape {list(shape)}"
            )
        elif unknown >= 0:
            raise RuntimeError("only one dimension can be inferred")
        else:
            unknown = d
    if not known and not numel:
        raise RuntimeError(
            f"cannot reshape tensor of 0 elements into shape {list(shape)} because the "
            "unspecified dimension size -1 can be any value and is ambiguous"
        )
    if not known or numel % known:
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {numel}")
    return (*shape[:unknown], numel // known, *shape[unknown + 1 :])


def broadcast_shapes(*shapes: Shape) -> Shape:
    """The shape that shapes broadcast to.

    Raises RuntimeError where two sizes differ and neither is 1.

    >>> broadcast_shapes((2, 1), (3,))
    (2, 3)
    """
    out: Shape = ()
    for shape in shapes:
        if shape == out:
            continue
        behind, before = (shape, out) if len(shape) <= len(out) else (out, shape)
        lead = len(before) - len(behind)
        merged = list(before)
        for d in range(len(before) - 1, lead - 1, -1):
            size, other = before[d], behind[d - lead]
            if size == 1:
                merged[d] = other
            elif other not in (1, size):
                a, b = (size, other) if before is out else (other, size)
                raise RuntimeError(
                    f"The size of tensor a ({a}) must match the size of tensor b ({b}) at "
                    f"non-singleton dimension {d}"
                )
        out = tuple(merged)
    return out


def expand_sizes(sizes: Sequence[int], shape: Shape, kind: str = "torch.FloatTensor") -> Shape:
    """The shape that `expand` is asked for, its -1 replaced by the sizes that are there.

    >>> expand_sizes((4, -1, 3), (2, 1))
    (4, 2, 3)
    """
    target = list(sizes)
    lead = len(target) - len(shape)
    if lead < 0:
        raise RuntimeError(
            f"expand({kind}{{{list(shape)}}}, size={target}): the number of sizes "
            f"provided ({len(target)}) must be greater or equal to the number of dimensions in "
            f"the tensor ({len(shape)})"
        )
    for d in range(len(target) - 1, -1, -1):
        size = target[d]
        if d < lead:
            if size < 0:
                raise RuntimeError(
                    f"The expanded size of the tensor ({size}) isn't allowed in a leading, "
                    f"non-existing dimension {d}"
                )
        elif size == -1:
            target[d] = shape[d - lead]
        elif size != shape[d - lead] and (shape[d - lead] != 1 or size < 0):
            raise RuntimeError(
                f"The expanded size of the tensor ({size}) must match the existing size "
                f"({shape[d - lead]}) at non-singleton dimension {d}.  "
                f"Target sizes: {list(sizes)}.  Tensor sizes: {list(shape)}"
            )
    return tuple(target)


def split_sizes(
    shape: Shape, sections: SupportsIndex | Sequence[SupportsIndex], dim: SupportsIndex = 0
) -> tuple[int, list[Part]]:
    """`Tensor.split`: (dimension, its parts), the parts as (start, length).

    `sections` is the length of each part (the last may be shorter), or a list of all lengths.

    >>> split_sizes((5,), 2)
    (0, [(0, 2), (2, 2), (4, 1)])
    """
    if not shape:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    if isinstance(sections, (tuple, list)):
        d = normalize_dim(dim, len(shape))
        return d, _parts(_split_lengths(sections, shape[d], dim))
    try:
        length = operator.index(sections)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(
            "split_with_sizes(): argument 'split_sizes' (position 2) must be tuple of ints, not "
            f"{type(sections).__name__}"
        ) from None
    if length < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={length}")
    d = normalize_dim(dim, len(shape))
    if not length and shape[d]:
        raise RuntimeError(
            f"split_size can only be 0 if dimension size is 0, but got dimension size of {shape[d]}"
        )
    return d, _equal_parts(length, shape[d])


def _split_lengths(sections: Sequence[SupportsIndex], size: int, dim: SupportsIndex) -> Shape:
    """The lengths of all parts, which must make up the dimension."""
    lengths = as_size_args((sections,), "split_with_sizes", "split_sizes", position=2)
    if any(length < 0 for length in lengths):
        raise RuntimeError(
            "split_with_sizes expects split_sizes have only non-negative entries, but got "
            f"split_sizes={list(lengths)}"
        )
    if sum(lengths) != size:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {size} (input tensor's size "
            f"at dimension {dim}), but got split_sizes={list(lengths)}"
        )
    return lengths


def chunk_sizes(
    shape: Shape, chunks: SupportsIndex, dim: SupportsIndex = 0
) -> tuple[int, list[Part]]:
    """`Tensor.chunk`: (dimension, its parts), at most `chunks` of them, the last the shortest.

    >>> chunk_sizes((6,), 4)
    (0, [(0, 2), (2, 2), (4, 2)])
    """
    if not shape:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    count = operator.index(chunks)
    if count <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {count}")
    d = normalize_dim(dim, len(shape))
    if not shape[d]:
        return d, [(0, 0)] * count
    return d, _equal_parts(-(-shape[d] // count), shape[d])


def tensor_split_sizes(
    shape: Shape, sections: SupportsIndex | Sequence[SupportsIndex], dim: SupportsIndex = 0
) -> tuple[int, list[Part]]:
    """`Tensor.tensor_split`: (dimension, its parts).

    `sections` is the number of parts, as equal as can be, the longer ones first; or a list of
    the places to cut at, read as the bounds of slices.

    >>> tensor_split_sizes((5,), 3)
    (0, [(0, 2), (2, 2), (4, 1)])
    >>> tensor_split_sizes((5,), (1, 3))
    (0, [(0, 1), (1, 2), (3, 2)])
    """
    if not shape:
        raise RuntimeError(
            "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims"
        )
    d = normalize_dim(dim, len(shape))
    size = shape[d]
    if isinstance(sections, (tuple, list)):
        cuts: list[Any] = [0, *sections, size]
        bounds = [slice(a, b).indices(size) for a, b in pairwise(cuts)]
        return d, [(start, max(stop - start, 0)) for start, stop, _ in bounds]
    count = operator.index(sections)  # type: ignore[arg-type]
    if count <= 0:
        raise RuntimeError(f"number of sections must be larger than 0, got {count}")
    if count > 2**31:
        raise MemoryError(f"tensor_split: no memory for {count} parts")
    short, longer = divmod(size, count)
    return d, _parts([short + 1] * longer + [short] * (count - longer))


def _equal_parts(length: int, size: int) -> list[Part]:
    """Parts of one length; the last has what is left. A dimension of size 0 is one part."""
    if not size:
        return [(0, 0)]
    return [(start, min(length, size - start)) for start in range(0, size, length)]


def _parts(lengths: Iterable[int]) -> list[Part]:
    """Parts of these lengths, one after the other."""
    parts: list[Part] = []
    start = 0
    for length in lengths:
        parts.append((start, length))
        start += length
    return parts

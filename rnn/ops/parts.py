"""Parts of tensors as views of the same memory: select, split, diagonal, windows (see shape.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rnn import _dtypes
from rnn._c import E, Handle, adopt, fail, lib
from rnn._shapes import chunk_sizes, integer, normalize_dim, split_sizes, tensor_split_sizes
from rnn.ops import _core
from rnn.ops._core import wrap
from rnn.ops.shape import STRIDED, fail_dim, named, storage_of, strided, strides_of

if TYPE_CHECKING:
    from rnn.tensor import Tensor

# ---- parts ---------------------------------------------------------------------------------------


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The part at one index of a dimension, which goes (torch.select).

    Raises:
        IndexError: the index is out of range.

    Example:
        >>> rnn.select(rnn.tensor([[1, 2], [3, 4]]), 1, 0)
        tensor([1, 3])
    """
    if input._h:
        try:
            h = lib.rnn_select(E, input._h, dim, integer("select", "index", 2, index))
        except OverflowError:
            at = normalize_dim(dim, len(input._shape))
            text = f"select(): index {index} out of range for tensor of size"
            raise IndexError(f"{text} {list(input._shape)} at dimension {at}") from None
        return adopt(h) if h > 0 else fail(h)
    array = input._array
    if not array.ndim:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    at, size = normalize_dim(dim, array.ndim), array.shape[normalize_dim(dim, array.ndim)]
    if not -size <= index < size:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(array.shape)} at "
            f"dimension {at}"
        )
    return wrap(array[(slice(None),) * at + (int(index), ...)])


def _part(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """`length` elements of a dimension from `start` on, all in range."""
    if input._h:
        h = lib.rnn_slice(E, input._h, dim, start, start + length, 1)
        return adopt(h) if h > 0 else fail(h)
    return wrap(input._array[(slice(None),) * dim + (slice(start, start + length),)])


def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """`length` elements of a dimension, from `start` on (torch.narrow).

    Raises:
        IndexError, RuntimeError: the part is not in the dimension.

    Example:
        >>> rnn.narrow(rnn.arange(5), 0, 1, 3)
        tensor([1, 2, 3])
    """
    shape = input._shape
    if not shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    at = normalize_dim(dim, len(shape))
    if isinstance(start, Handle) and (start._h or start._shape or start._array.dtype.kind == "b"):
        raise RuntimeError("start must be an 0-dim integral Tensor.")
    begin = int(start) if isinstance(start, Handle) else integer("narrow", "start", 2, start)
    size = shape[at]
    if not -size <= begin <= size:
        raise IndexError(
            f"start out of range (expected to be in range of [{-size}, {size}], but got {begin})"
        )
    begin += size if begin < 0 else 0
    if begin + length > size:
        raise RuntimeError(f"start ({begin}) + length ({length}) exceeds dimension size ({size}).")
    return _part(input, at, begin, length)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """All parts along a dimension, without it (torch.unbind). Iterating a tensor gives these.

    Example:
        >>> rnn.unbind(rnn.tensor([[1, 2], [3, 4]]))
        (tensor([1, 2]), tensor([3, 4]))
    """
    shape = input._shape
    if not shape:
        return fail_dim(dim)
    at = normalize_dim(dim, len(shape))
    if not input._h:
        return tuple([select(input, at, i) for i in range(shape[at])])
    chosen, source = lib.rnn_select, input._h
    parts = [adopt(chosen(E, source, at, i)) for i in range(shape[at])]
    for part in parts:
        lib.rnn_set_view_op(part._h, lib.RNN_V_UNBIND)
    return tuple(parts)


def _parts(input: Tensor, dim: int, parts: list[tuple[int, int]]) -> tuple[Tensor, ...]:
    return tuple([named(_part(input, dim, *part), lib.RNN_V_SPLIT) for part in parts])


def split(
    tensor: Tensor, split_size_or_sections: Any = None, dim: int = 0, *, split_size: Any = None
) -> tuple[Tensor, ...]:
    """Parts of one length (the last may be shorter), or of the lengths of a list (torch.split).

    Example:
        >>> [len(p) for p in rnn.arange(5).split(2)]
        [2, 2, 1]
    """
    sections = split_size_or_sections if split_size is None else split_size
    return _parts(tensor, *split_sizes(tensor._shape, sections, dim))


def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Parts of these lengths (torch.split_with_sizes).

    Example:
        >>> [part.tolist() for part in rnn.split_with_sizes(rnn.arange(5), [1, 4])]
        [[0], [1, 2, 3, 4]]
    """
    return split(input, list(split_sizes), dim)


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` parts of one length, the last perhaps shorter (torch.chunk).

    Example:
        >>> [part.tolist() for part in rnn.chunk(rnn.arange(5), 2)]
        [[0, 1, 2], [3, 4]]
    """
    return _parts(input, *chunk_sizes(input._shape, chunks, dim))


def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Parts as equal as can be, or cut at the places of a list (torch.tensor_split).

    Example:
        >>> [part.tolist() for part in rnn.tensor_split(rnn.arange(5), 2)]
        [[0, 1, 2], [3, 4]]
    """
    sections = indices_or_sections
    if _core.is_tensor(sections):
        sections = sections.tolist()
    return _parts(input, *tensor_split_sizes(input._shape, sections, dim))


def _named_split(
    input: Tensor, sections: Any, name: str, least: int, dim: int
) -> tuple[Tensor, ...]:
    shape = input._shape
    if len(shape) < least:
        raise RuntimeError(
            f"{_dtypes.prefix}{name} requires a tensor with at least {least} dimension, but got a "
            f"tensor with {len(shape)} dimensions!"
        )
    if isinstance(sections, int) and (sections < 1 or shape[dim] % sections):
        raise RuntimeError(
            f"{_dtypes.prefix}{name} attempted to split along dimension {dim}, but the size of the "
            f"dimension {shape[dim]} is not divisible by the split_size {sections}!"
        )
    return tensor_split(input, sections, dim)


def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """tensor_split along columns: dimension 1, or 0 of a vector (torch.hsplit).

    Example:
        >>> [part.tolist() for part in rnn.hsplit(rnn.arange(4), 2)]
        [[0, 1], [2, 3]]
    """
    return _named_split(input, indices_or_sections, "hsplit", 1, 1 if len(input._shape) > 1 else 0)


def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """tensor_split along rows, dimension 0 (torch.vsplit).

    Example:
        >>> [part.tolist() for part in rnn.vsplit(rnn.tensor([[1, 2], [3, 4]]), 2)]
        [[[1, 2]], [[3, 4]]]
    """
    return _named_split(input, indices_or_sections, "vsplit", 2, 0)


def dsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """tensor_split along dimension 2 (torch.dsplit).

    Example:
        >>> [part.shape for part in rnn.dsplit(rnn.ones(1, 2, 4), 2)]
        [rnn.Size([1, 2, 2]), rnn.Size([1, 2, 2])]
    """
    return _named_split(input, indices_or_sections, "dsplit", 3, 2)


# ---- strides -------------------------------------------------------------------------------------


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of two dimensions, as the last dimension (torch.diagonal).

    Example:
        >>> rnn.diagonal(rnn.tensor([[1, 2], [3, 4]]))
        tensor([1, 4])
    """
    shape, strides = input._shape, strides_of(input)
    first, second = normalize_dim(dim1, len(shape)), normalize_dim(dim2, len(shape))
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    down, right = max(-offset, 0), max(offset, 0)
    length = max(min(shape[first] - down, shape[second] - right), 0)
    start = down * strides[first] + right * strides[second] if length else 0
    rest = [d for d in range(len(shape)) if d not in (first, second)]
    return strided(
        input,
        lib.RNN_V_DIAGONAL,
        start,
        (*[shape[d] for d in rest], length),
        (*[strides[d] for d in rest], strides[first] + strides[second]),
    )


def as_strided(
    input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """A view with any shape and strides of the memory that input looks into (torch.as_strided).

    Raises:
        RuntimeError: it would reach beyond that memory.

    Example:
        >>> rnn.as_strided(rnn.arange(6.0), (2, 2), (1, 2), 1)
        tensor([[1., 3.],
                [2., 4.]])
    """
    sizes, strides = tuple(size), tuple(stride)
    if len(sizes) != len(strides):
        raise RuntimeError("mismatch in length of strides and shape")
    if min(strides, default=0) < 0:
        raise RuntimeError(
            "as_strided: Negative strides are not supported at the moment, got strides: "
            f"{list(strides)}"
        )
    if min(sizes, default=0) < 0:
        raise RuntimeError(
            f"Storage size calculation overflowed with sizes={list(sizes)} and "
            f"strides={list(strides)}"
        )
    here, have = storage_of(input)
    offset = here if storage_offset is None else storage_offset
    if offset < 0:
        raise RuntimeError(f"Tensor: invalid storage offset {offset}")
    reach = sum((n - 1) * s for n, s in zip(sizes, strides)) + 1 if 0 not in sizes else 0
    if reach and offset + reach > have:
        item = _core.dtype_of(input).itemsize
        raise RuntimeError(
            f"setStorage: sizes {list(sizes)}, strides {list(strides)}, storage offset {offset}, "
            f"and itemsize {item} requiring a storage size of {(offset + reach) * item} are out of "
            f"bounds for storage of size {have * item}"
        )
    return strided(input, STRIDED, offset - here, sizes, strides)


def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows of `size` elements of a dimension, one every `step`, in a new last dimension
    (torch.Tensor.unfold).

    Example:
        >>> rnn.arange(5).unfold(0, 3, 1).tolist()
        [[0, 1, 2], [1, 2, 3], [2, 3, 4]]
    """
    shape, strides = input._shape, strides_of(input)
    at = normalize_dim(dimension, len(shape))
    have, move = (shape[at], strides[at]) if shape else (1, 1)
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if size > have:
        raise RuntimeError(
            f"maximum size for tensor at dimension {at} is {have} but size is {size}"
        )
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    windows = (have - size) // step + 1 if shape else 1
    lead = (*shape[:at], windows, *shape[at + 1 :]) if shape else ()
    steps = (*strides[:at], step * move, *strides[at + 1 :]) if shape else ()
    return strided(input, lib.RNN_V_UNFOLD, 0, (*lead, size), (*steps, move))

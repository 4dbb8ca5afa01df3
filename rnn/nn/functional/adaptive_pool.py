"""Adaptive pooling: means and maxima over as many parts as are asked for (torch.nn.functional)."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _c
from rnn._shown import show_as, shown_as
from rnn.nn.functional._common import several
from rnn.nn.functional.pool import Sizes, avg_pool2d, taken
from rnn.ops import _core

if TYPE_CHECKING:
    from rnn.tensor import Tensor


def _sizes(input: Tensor, output_size: Any, dims: int, kind: str = "avg") -> Sizes:
    """The size of each dimension; None keeps it.

    Raises:
        RuntimeError, NotImplementedError: the input's shape or dtype does not fit.
    """
    rank, name = len(input._shape), f"adaptive_{kind}_pool{dims}d"
    if dims > 1 and output_size is None:
        raise TypeError("object of type 'NoneType' has no len()")
    if isinstance(output_size, (tuple, list)) and rank <= len(output_size) > 1:
        raise ValueError(f"Input dimension should be at least {len(output_size) + 1}")
    if dims == 2 and kind == "avg" and output_size in (1, (1, 1), [1, 1]) and rank > 4:
        return 1, 1  # PyTorch's is a mean then, of whatever stands in front
    if rank not in (dims + 1, dims + 2):
        raise RuntimeError(
            f"Expected 2 to 3 dimensions, but got {rank}-dimensional tensor for argument #1 'self' "
            f"(while checking arguments for {name})"
            if dims == 1
            else f"{name}(): Expected {dims + 1}D or {dims + 2}D tensor, but got"
            f"{':' if kind == 'max' else ''} {list(input._shape)}"
        )
    given = several(output_size, dims, "output_size")
    sizes = tuple([n if o is None else int(o) for o, n in zip(given, input._shape[-dims:])])
    shape, wide = list(input._shape), sizes
    if dims == 1:  # PyTorch's is the 2-d one of a single row
        shape, wide, name = [*shape[:-1], 1, shape[-1]], (1, *sizes), f"adaptive_{kind}_pool2d"
    if min(sizes) < 0:
        if kind == "max":
            raise RuntimeError(
                f"Trying to create tensor with negative dimension {min(sizes)}: "
                f"{[*shape[: -len(wide)], *wide]}"
            )
        shown = "{%d, %d}" if len(wide) == 2 else "{%d, %d,%d}"
        raise RuntimeError(
            f"{name}: elements of output_size must be greater than or equal to 0 but received "
            f"{shown % wide}"
        )
    if kind == "avg" and sizes == (1,) * dims:
        return sizes
    if 0 in shape[1 if rank == dims + 2 else 0 :]:
        raise RuntimeError(
            f"{name}(): Expected input to have non-zero size for non-batch dimensions, but input "
            f"has sizes {shape} with dimension {shape.index(0, rank - dims - 1)} being empty"
        )
    _core.floats_only(f"{name}_cpu" if dims == 3 else name, input)
    return sizes


def _apply_matrices(x: Tensor, matrices: Sequence[Any]) -> Tensor:
    """Each of the last dimensions multiplied by a constant (out, size) matrix."""
    dims = len(matrices)
    for i, matrix in enumerate(matrices):
        constant = _core.nodes(matrix.astype(_core.array_of(x).dtype))
        d = len(x._shape) - dims + i
        x = (x.transpose(d, -1) @ constant.t()).transpose(d, -1)
    return x


@functools.lru_cache(maxsize=64)
def _parts(size: int, out: int) -> tuple[Any, Any]:
    """Where each of `out` parts of a dimension begins and ends; they may overlap."""
    _c.check_room("adaptive_pool", (out,), 24)
    at = np.arange(out)
    return at * size // out, -(-(at + 1) * size // out)


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """Means over as many parts as are asked for (torch.nn.functional.adaptive_avg_pool2d).

    Args:
        input: (N, C, H, W) or (C, H, W); output_size: (OH, OW), or one number for both; None keeps
            a size.

    Raises:
        RuntimeError: the input's shape does not fit, or a size is negative.
        NotImplementedError: the input holds integers.

    Example:
        >>> F.adaptive_avg_pool2d(rnn.ones(1, 3, 8, 6), (2, 2)).shape
        rnn.Size([1, 3, 2, 2])
    """
    sizes = _sizes(input, output_size, 2)
    made = _means(input, sizes)
    return made if sizes == (1, 1) else show_as(made, "AdaptiveAvgPool2DBackward0")


def _means(input: Tensor, sizes: Sizes) -> Tensor:
    """(..., *sizes): a mean, a pooling where the parts are of one size, else a product for each
    dimension.
    """
    dims = len(sizes)
    old = input._shape[-dims:]
    if all(o == 1 for o in sizes):
        return input.mean(tuple(range(-dims, 0)), keepdim=True)
    if dims == 2 and all(o and n % o == 0 for n, o in zip(old, sizes)):
        return avg_pool2d(input, tuple([n // o for n, o in zip(old, sizes)]))
    matrices = []
    for n, o in zip(old, sizes):
        low, high = _parts(n, o)
        _c.check_room("adaptive_avg_pool", (o, n), 10)
        at = np.arange(n)
        inside = (at >= low[:, None]) & (at < high[:, None])
        matrices.append(inside / (high - low)[:, None])
    return _apply_matrices(input, matrices)


@shown_as("SqueezeBackward1")
def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """Means over as many parts as are asked for of (N, C, L) or (C, L) (torch.nn.functional's of
    this name).

    Raises:
        RuntimeError: the input's shape does not fit, or a size is negative.
        NotImplementedError: the input holds integers.

    Example:
        >>> F.adaptive_avg_pool1d(rnn.tensor([[[1.0, 2.0, 3.0, 4.0]]]), 2)
        tensor([[[1.5000, 3.5000]]])
    """
    return _means(input, _sizes(input, output_size, 1))


def _maxima(input: Tensor, sizes: Sizes, indices: bool) -> Any:
    """Maxima of parts, gathered from where NumPy finds them."""
    dims = len(sizes)
    outer, old = input._shape[:-dims], input._shape[-dims:]
    planes = _core.array_of(input).reshape(math.prod(outer), *old)
    _c.check_room("adaptive_max_pool", (len(planes), *sizes), 24)
    number = np.arange(math.prod(old)).reshape(old)
    at = np.empty((len(planes), *sizes), np.int64)
    parts = [[slice(*part) for part in zip(*_parts(n, o))] for n, o in zip(old, sizes)]
    for cell in np.ndindex(*sizes):
        part: Any = tuple([slices[i] for slices, i in zip(parts, cell)])
        inside = number[part].reshape(-1)
        best = planes[:, *part].reshape(len(planes), inside.size).argmax(1)
        at[:, *cell] = inside[best]
    at = at.reshape(*outer, *sizes)
    out = taken(input, at, dims)
    return (out, _core.wrap(at)) if indices else out


@shown_as("AdaptiveMaxPool2DBackward0")
def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima over as many parts as are asked for (torch.nn.functional.adaptive_max_pool2d).

    Args:
        input: (N, C, H, W) or (C, H, W).
        output_size: (OH, OW), or one number for both; None keeps a size.
        return_indices: give the place of each maximum in its plane too.

    Raises:
        RuntimeError: the input's shape does not fit, or a size is negative.
        NotImplementedError: the input holds integers.

    Example:
        >>> F.adaptive_max_pool2d(rnn.ones(1, 3, 8, 6), 2).shape
        rnn.Size([1, 3, 2, 2])
    """
    return _maxima(input, _sizes(input, output_size, 2, "max"), return_indices)


@shown_as("SqueezeBackward1")
def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima over as many parts as are asked for of (N, C, L) or (C, L)
    (torch.nn.functional.adaptive_max_pool1d).

    Raises:
        RuntimeError: the input's shape does not fit, or a size is negative.
        NotImplementedError: the input holds integers.

    Example:
        >>> F.adaptive_max_pool1d(rnn.tensor([[[1.0, 2.0, 3.0, 4.0]]]), 2)
        tensor([[[2., 4.]]])
    """
    return _maxima(input, _sizes(input, output_size, 1, "max"), return_indices)


@shown_as("AdaptiveMaxPool3DBackward0")
def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima over as many parts as are asked for (torch.nn.functional.adaptive_max_pool3d).

    Args:
        input: (N, C, D, H, W) or (C, D, H, W).
        output_size: (OD, OH, OW), or one number for all; None keeps a size.
        return_indices: give the place of each maximum in its volume too.

    Raises:
        RuntimeError: the input's shape does not fit, or a size is negative.
        NotImplementedError: the input holds integers.

    Example:
        >>> F.adaptive_max_pool3d(rnn.arange(8.0).reshape(1, 1, 2, 2, 2), (1, 1, 2))
        tensor([[[[[6., 7.]]]]])
    """
    return _maxima(input, _sizes(input, output_size, 3, "max"), return_indices)


def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """Means over as many parts as are asked for (torch.nn.functional.adaptive_avg_pool3d).

    Args:
        input: (N, C, D, H, W) or (C, D, H, W).
        output_size: (OD, OH, OW), or one number for all; None keeps a size.

    Raises:
        RuntimeError: the input's shape does not fit, or a size is negative.
        NotImplementedError: the input holds integers.

    Example:
        >>> F.adaptive_avg_pool3d(rnn.ones(1, 3, 4, 8, 6), (2, None, 2)).shape
        rnn.Size([1, 3, 2, 8, 2])
    """
    sizes = _sizes(input, output_size, 3)
    made = _means(input, sizes)
    return made if sizes == (1, 1, 1) else show_as(made, "AdaptiveAvgPool3DBackward0")

"""Triangles and diagonals of matrices. A triangle is a mask, a diagonal a view, which is copied or
written to; so every function here has its gradient for free.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _dtypes
from rnn._c import check_room
from rnn._shapes import integer, normalize_dim
from rnn._shown import show_as
from rnn.ops._core import dtype_of, view_as_result, wrap
from rnn.ops.axes import permute
from rnn.ops.elementwise import in_place
from rnn.ops.index import write
from rnn.ops.join import zeros_of
from rnn.ops.masks import masked_fill
from rnn.ops.parts import diagonal as _diagonal
from rnn.ops.shape import clone, reshape

if TYPE_CHECKING:
    from rnn.tensor import Tensor


def _triangle(input: Tensor, diagonal: int, name: str) -> Tensor:
    shape, diagonal = input._shape, integer(name, "diagonal", 1, diagonal)
    if len(shape) < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
    check_room(name, shape[-2:], 1)
    lower = np.tri(shape[-2], shape[-1], diagonal if name == "tril" else diagonal - 1, dtype=bool)
    return masked_fill(input, wrap(~lower if name == "tril" else lower), 0)


def tril(input: Tensor, diagonal: int = 0, *, out: Tensor | None = None) -> Tensor:
    """Matrices with zeros above a diagonal (torch.tril).

    Example:
        >>> rnn.tril(rnn.ones(3, 3))
        tensor([[1., 0., 0.],
                [1., 1., 0.],
                [1., 1., 1.]])
    """
    made = _triangle(input, diagonal, "tril")
    return show_as(view_as_result(made, out, same=True), "TrilBackward0")


def triu(input: Tensor, diagonal: int = 0, *, out: Tensor | None = None) -> Tensor:
    """Matrices with zeros below a diagonal (torch.triu).

    Example:
        >>> rnn.triu(rnn.ones(3, 3), 1)
        tensor([[0., 1., 1.],
                [0., 0., 1.],
                [0., 0., 0.]])
    """
    made = _triangle(input, diagonal, "triu")
    return show_as(view_as_result(made, out, same=True), "TriuBackward0")


def tril_(input: Tensor, diagonal: int = 0) -> Tensor:
    """tril, in place (torch.Tensor.tril_)."""
    return in_place(input, _triangle(input, diagonal, "tril"))


def triu_(input: Tensor, diagonal: int = 0) -> Tensor:
    """triu, in place (torch.Tensor.triu_)."""
    return in_place(input, _triangle(input, diagonal, "triu"))


def _lower(name: str, row: int, col: int, offset: int) -> Any:
    """Where the lower triangle of a matrix is."""
    for size, what in ((row, "row"), (col, "col")):
        if size < 0:
            raise RuntimeError(f"{what} must be non-negative, got{size}")
    check_room(name, (max(row, 0), max(col, 0)), 1)
    return np.tri(row, col, offset, dtype=bool)


def _indices(name: str, mask: Any, dtype: Any) -> Tensor:
    check_room(name, (2, int(np.count_nonzero(mask))), 16)  # for a moment there are two of it
    to = _dtypes.int64 if dtype is None else _dtypes.dtype_argument(dtype)
    return wrap(np.stack(np.nonzero(mask)).astype(to.storage))


def tril_indices(
    row: int,
    col: int,
    offset: int = 0,
    *,
    dtype: Any = None,
    device: Any = None,
    layout: Any = None,
) -> Tensor:
    """Rows and columns of the lower triangle of a matrix, shape (2, n) (torch.tril_indices).

    Raises:
        RuntimeError: row or col is negative.

    Example:
        >>> rnn.tril_indices(2, 2)
        tensor([[0, 1, 1],
                [0, 0, 1]])
    """
    return _indices("tril_indices", _lower("tril_indices", row, col, offset), dtype)


def triu_indices(
    row: int,
    col: int,
    offset: int = 0,
    *,
    dtype: Any = None,
    device: Any = None,
    layout: Any = None,
) -> Tensor:
    """Rows and columns of the upper triangle of a matrix, shape (2, n) (torch.triu_indices).

    Raises:
        RuntimeError: row or col is negative.

    Example:
        >>> rnn.triu_indices(2, 2)
        tensor([[0, 0, 1],
                [0, 1, 1]])
    """
    return _indices("triu_indices", ~_lower("triu_indices", row, col, offset - 1), dtype)


def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Zeros, with the last dimension of input along a diagonal of two new dimensions
    (torch.diag_embed).

    Example:
        >>> rnn.diag_embed(rnn.ones(2, 3)).shape
        rnn.Size([2, 3, 3])
    """
    shape = input._shape
    if not shape:
        raise RuntimeError("diag_embed: expected an input of at least one dimension")
    ndim, side = len(shape) + 1, shape[-1] + abs(offset)
    first, second = normalize_dim(dim1, ndim), normalize_dim(dim2, ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    out = zeros_of(dtype_of(input), *shape[:-1], side, side)
    order = list(range(ndim - 2))
    for d, old in sorted([(first, ndim - 2), (second, ndim - 1)]):
        order.insert(d, old)
    out = permute(out, order)
    write(_diagonal(out, offset, first, second), input)
    return out


def diag(input: Tensor, diagonal: int = 0, *, out: Tensor | None = None) -> Tensor:
    """The diagonal of a matrix, or the matrix with this diagonal (torch.diag).

    Example:
        >>> rnn.diag(rnn.tensor([1, 2]))
        tensor([[1, 0],
                [0, 2]])
        >>> rnn.diag(rnn.tensor([[1, 2], [3, 4]]), 1)
        tensor([2])
    """
    ndim = len(input._shape)
    if ndim not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {ndim}D")
    if ndim == 1:
        made = show_as(diag_embed(input, diagonal), "DiagEmbedBackward0")
    else:
        made = clone(_diagonal(input, diagonal))
    return view_as_result(made, out)


def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The flattened tensor as a diagonal (torch.diagflat).

    Example:
        >>> rnn.diagflat(rnn.tensor([1, 2]))
        tensor([[1, 0],
                [0, 2]])
    """
    return diag(reshape(input, -1), offset)


def trace(input: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix (torch.trace).

    Example:
        >>> rnn.tensor([[1, 2], [3, 4]]).trace()
        tensor(5)
    """
    if len(input._shape) != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {len(input._shape)}")
    return show_as(_diagonal(input).sum(), "TraceBackward0")

"""What is composed of other operations: matrix_exp, diagonal, vecdot and multi_dot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rnn._shown import show_as
from rnn.linalg import _lapack
from rnn.ops._core import array_of
from rnn.ops.parts import diagonal as _diagonal

if TYPE_CHECKING:
    from rnn.tensor import Tensor


def matrix_exp(A: Tensor) -> Tensor:
    """The exponential of square matrices (..., n, n): the sum of A^k / k! (torch.linalg).

    A is halved until its 1-norm is below 1/2; there the series is short, and its sum is squared as
    often as A was halved.

    Example:
        >>> rnn.matrix_exp(rnn.tensor([[0.0, 1.0], [0.0, 0.0]]))
        tensor([[1., 1.],
                [0., 1.]])
    """
    _lapack.matrices("matrix_exp", A, square=True)
    size = np.abs(array_of(A)).sum(-2).max(initial=0.0)
    halved = max(0, int(np.frexp(size)[1]) + 1) if np.isfinite(size) else 0
    step = A / 2**halved
    one = A.new_ones(A.shape[-1]).diag().expand(A.shape)
    series = one
    for k in range(15, 0, -1):
        series = one + step @ series / k
    for _ in range(halved):
        series = series @ series
    return show_as(series, "LinalgMatrixExpBackward0")


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of matrices, as views (torch.linalg.diagonal).

    Example:
        >>> diagonal(rnn.tensor([[1, 2], [3, 4]]))
        tensor([1, 4])
    """
    return _diagonal(A, offset, dim1, dim2)


def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The dot products along a dimension (torch.linalg.vecdot).

    Example:
        >>> vecdot(rnn.tensor([[1.0, 2.0]]), rnn.tensor([[3.0, 4.0]]))
        tensor([11.])
    """
    return (x * y).sum(dim)


def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of several matrices, from the left (torch.linalg.multi_dot).

    Raises:
        RuntimeError: there are fewer than two, or shapes do not fit.

    Example:
        >>> multi_dot([rnn.ones(2, 3), rnn.ones(3, 4), rnn.ones(4, 1)]).shape
        rnn.Size([2, 1])
    """
    if len(tensors) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(tensors)}")
    product = tensors[0]
    for t in tensors[1:]:
        product = product @ t
    return product

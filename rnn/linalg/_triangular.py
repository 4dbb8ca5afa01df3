"""Triangular systems, and what is solved with Cholesky's factor (torch.linalg.solve_triangular)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rnn._shown import show_as
from rnn.autograd.function import Function
from rnn.linalg import _lapack
from rnn.ops import _core
from rnn.ops._core import array_of

if TYPE_CHECKING:
    from rnn.tensor import Tensor

_BLOCK = 32


def _substitute(a: Any, b: Any, upper: bool) -> Any:
    """X of A X = B, A triangular: halves of A, whose corner is a product, down to small blocks."""
    n = a.shape[-1]
    if n <= _BLOCK:
        return _small(a, b, upper)
    h = n // 2
    low, high = slice(None, h), slice(h, None)
    first, then = (high, low) if upper else (low, high)
    x = np.empty(np.broadcast_shapes(a.shape[:-2], b.shape[:-2]) + b.shape[-2:], a.dtype)
    x[..., first, :] = _substitute(a[..., first, first], b[..., first, :], upper)
    rest = b[..., then, :] - a[..., then, first] @ x[..., first, :]
    x[..., then, :] = _substitute(a[..., then, then], rest, upper)
    return x


def _small(a: Any, b: Any, upper: bool) -> Any:
    """One block; row by row, with infinities, where LAPACK would refuse a 0 on the diagonal."""
    try:
        return np.linalg.solve(a, b)
    except np.linalg.LinAlgError:
        pass
    n = a.shape[-1]
    x = np.zeros(np.broadcast_shapes(a.shape[:-2], b.shape[:-2]) + b.shape[-2:], a.dtype)
    with np.errstate(all="ignore"):
        for i in reversed(range(n)) if upper else range(n):
            done = slice(i + 1, None) if upper else slice(None, i)
            known = (a[..., i, None, done] @ x[..., done, :])[..., 0, :]
            x[..., i, :] = (b[..., i, :] - known) / a[..., i, i, None]
    return x


class _SolveTriangular(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, upper: bool) -> Tensor:
        x = _core.wrap(np.array(_substitute(array_of(a), array_of(b), upper), order="C"))
        ctx.save_for_backward(a, x)
        ctx.upper = upper
        return x

    @staticmethod
    def backward(ctx: Any, dx: Any) -> Any:
        a, x = ctx.saved_tensors
        db = solve_triangular(a.mT, dx, upper=not ctx.upper)
        return -(db @ x.mT), db, None


def solve_triangular(
    A: Tensor,
    B: Tensor,
    *,
    upper: bool,
    left: bool = True,
    unitriangular: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """X of A X = B, A (..., n, n) triangular, B (..., n, k) (torch.linalg.solve_triangular).

    Args:
        upper: which triangle of A counts; the other is not read.
        left: False: X of X A = B, B (..., k, n).
        unitriangular: A's diagonal counts as ones and is not read.

    Raises:
        RuntimeError: shapes or dtypes do not fit. A 0 on the diagonal gives infinities.

    >>> a = rnn.tensor([[2.0, 0.0], [1.0, 1.0]])
    >>> rnn.linalg.solve_triangular(a, rnn.ones(2, 1), upper=False)
    tensor([[0.5000],
            [0.5000]])
    """
    _lapack.matrices("solve_triangular", A, square=True)
    _lapack.matrices("solve_triangular", B)
    off = int(unitriangular)
    A = A.triu(off) if upper else A.tril(-off)
    if unitriangular:
        A = A + A.new_ones(A.shape[-1]).diag()
    a, b = _lapack.system("solve_triangular", A, B, left)
    x = _SolveTriangular.apply(a, b, bool(upper) == left)
    x = show_as(x if left else x.mT, "LinalgSolveTriangularBackward0")
    return _core.view_as_result(x, out)


def cholesky_solve(
    input: Tensor, input2: Tensor, upper: bool = False, *, out: Tensor | None = None
) -> Tensor:
    """X of (L Lᵀ) X = input, L = input2 (..., n, n), input (..., n, k) (torch.cholesky_solve).

    Args:
        upper: input2 is U of Uᵀ U.

    Raises:
        RuntimeError: shapes or dtypes do not fit.

    Example:
        >>> rnn.ones(2, 1).cholesky_solve(rnn.tensor([[2.0, 0.0], [0.0, 1.0]]))
        tensor([[0.2500],
                [1.0000]])
    """
    first = input2.mT if upper else input2
    y = solve_triangular(first, input, upper=False)
    x = show_as(solve_triangular(first.mT, y, upper=True), "CholeskySolveBackward0")
    return _core.view_as_result(x, out)


def cholesky_inverse(input: Tensor, upper: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The inverse of L Lᵀ, L = input (..., n, n) (torch.cholesky_inverse).

    Example:
        >>> rnn.tensor([[2.0, 0.0], [1.0, 1.0]]).cholesky_inverse()
        tensor([[ 0.5000, -0.5000],
                [-0.5000,  1.0000]])
    """
    _lapack.matrices("cholesky_inverse", input, square=True)
    one = input.new_ones(input.shape[-1]).diag().expand(input.shape)
    x = show_as(cholesky_solve(one, input, upper), "CholeskyInverseBackward0")
    return _core.view_as_result(x, out)

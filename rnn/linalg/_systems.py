"""Square systems: inverse, solution, determinant and Cholesky's factor, with their gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import return_types
from rnn._shown import show_as
from rnn.autograd.function import Function
from rnn.linalg import _lapack
from rnn.ops._core import array_of
from rnn.ops.parts import diagonal

if TYPE_CHECKING:
    from rnn.tensor import Tensor


class _Inv(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        x: Tensor = _lapack.run("inv", np.linalg.inv, array_of(a))
        ctx.save_for_backward(x)
        return x

    @staticmethod
    def backward(ctx: Any, dx: Any) -> Any:
        (x,) = ctx.saved_tensors
        return -(x.mT @ dx @ x.mT)


def inv(A: Tensor) -> Tensor:
    """The inverse of square matrices (..., n, n) (torch.linalg.inv).

    Raises:
        LinAlgError: a matrix is singular. RuntimeError: A is not square or not floating-point.

    >>> rnn.linalg.inv(rnn.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    _lapack.matrices("inv", A, square=True)
    return show_as(_Inv.apply(A), "LinalgInvExBackward0")


class _Solve(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        x: Tensor = _lapack.run("solve", np.linalg.solve, array_of(a), array_of(b))
        ctx.save_for_backward(a, x)
        return x

    @staticmethod
    def backward(ctx: Any, dx: Any) -> Any:
        a, x = ctx.saved_tensors
        db = _Solve.apply(a.mT, dx)
        da = -(db @ x.mT)
        return da, db


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X of A X = B, A (..., n, n), B (..., n, k), (..., n) or (n,) (torch.linalg.solve).

    Args:
        left: False: X of X A = B, B (..., k, n).

    Raises:
        LinAlgError: A is singular. RuntimeError: shapes or dtypes do not fit.

    Example:
        >>> solve(rnn.tensor([[2.0, 0.0], [0.0, 4.0]]), rnn.tensor([2.0, 2.0]))
        tensor([1.0000, 0.5000])
    """
    _lapack.matrices("solve", A, square=True)
    vectors = B.dim() == 1 or tuple(B.shape) == tuple(A.shape[:-1])
    a, b = _lapack.system("solve", A, B.unsqueeze(-1) if vectors else B, left)
    x = _Solve.apply(a, b)
    # Only the last view of the solution's nodes may be alive, to bear the name.
    if not left:
        x = x.mT
    if vectors:
        x = x.squeeze(-1)
    return show_as(x, "LinalgSolveExBackward0")


class _Det(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        d: Tensor = _lapack.run("det", np.linalg.det, array_of(a))
        ctx.save_for_backward(a, d)
        return d

    @staticmethod
    def backward(ctx: Any, dd: Any) -> Any:
        a, d = ctx.saved_tensors
        return (dd * d)[..., None, None] * _Inv.apply(a).mT


def det(A: Tensor) -> Tensor:
    """The determinant of square matrices (..., n, n) (torch.linalg.det).

    Raises:
        RuntimeError: A is not square or not floating-point. LinAlgError: in backward, where A is
            singular.

    Example:
        >>> rnn.det(rnn.tensor([[1.0, 2.0], [3.0, 5.0]]))
        tensor(-1.)
    """
    _lapack.matrices("det", A, square=True)
    return show_as(_Det.apply(A), "LinalgDetBackward0")


class _Slogdet(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Any:
        ctx.save_for_backward(a)
        return _lapack.run("slogdet", lambda x: tuple(np.linalg.slogdet(x)), array_of(a))

    @staticmethod
    def backward(ctx: Any, dsign: Any, dlogabsdet: Any) -> Any:
        (a,) = ctx.saved_tensors
        return dlogabsdet[..., None, None] * _Inv.apply(a).mT


def slogdet(A: Tensor) -> Any:
    """(sign, logabsdet), (...), of square matrices (..., n, n) (torch.linalg.slogdet).

    Raises:
        RuntimeError: A is not square or not floating-point. LinAlgError: in backward, where A is
            singular.

    Example:
        >>> rnn.slogdet(rnn.tensor([[0.0, 2.0], [2.0, 0.0]])).sign
        tensor(-1.)
    """
    _lapack.matrices("slogdet", A, square=True)
    return return_types.linalg_slogdet(
        [show_as(t, "LinalgSlogdetBackward0") for t in _Slogdet.apply(A)]
    )


def logdet(input: Tensor) -> Tensor:
    """log(det(input)): NaN where the determinant is negative (torch.logdet).

    Example:
        >>> rnn.logdet(rnn.tensor([[2.0, 0.0], [0.0, 2.0]]))
        tensor(1.3863)
    """
    sign, size = slogdet(input)
    return size.masked_fill(sign < 0, float("nan"))


class _Cholesky(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        factor: Tensor = _lapack.run("cholesky", np.linalg.cholesky, array_of(a))
        ctx.save_for_backward(factor)
        return factor

    @staticmethod
    def backward(ctx: Any, dl: Any) -> Any:
        (factor,) = ctx.saved_tensors
        middle = (factor.mT @ dl).tril()
        middle = middle - diagonal(middle, 0, -2, -1).diag_embed() / 2
        inverse = _Inv.apply(factor)
        da = inverse.mT @ middle @ inverse
        return (da + da.mT) / 2


def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """L, lower triangular, of A = L L^T, A (..., n, n) (torch.linalg.cholesky); its transpose if
    `upper`.

    Raises:
        LinAlgError: A is not positive-definite. RuntimeError: it is not square.

    Example:
        >>> rnn.cholesky(rnn.tensor([[4.0, 2.0], [2.0, 5.0]]))
        tensor([[2., 0.],
                [1., 2.]])
    """
    _lapack.matrices("cholesky", A, square=True)
    factor: Tensor = _Cholesky.apply(A)
    return show_as(factor.mT if upper else factor, "LinalgCholeskyExBackward0")

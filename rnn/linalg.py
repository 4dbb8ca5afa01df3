"""torch.linalg: norms, and what is worked out of square systems and factorisations.

The factorisations are LAPACK's, by NumPy, over batches of matrices (..., m, n) in float32 or
float64. inv, det, slogdet, solve and cholesky have gradients; the others have none, and say so
where one is asked for. None has a scalar resolution: each is one operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _config, return_types
from rnn._arguments import tensor_functions as _tensor_functions
from rnn._shown import show_as
from rnn.autograd.function import Function
from rnn.autograd.modes import is_grad_enabled
from rnn.ops import _core
from rnn.ops._core import array_of
from rnn.ops.linalg import cross as cross
from rnn.ops.linalg import matmul as matmul
from rnn.ops.linalg import matrix_power as matrix_power
from rnn.ops.norms import linalg_norm as norm
from rnn.ops.norms import matrix_norm as matrix_norm
from rnn.ops.norms import vector_norm as vector_norm
from rnn.ops.parts import diagonal as _diagonal

if TYPE_CHECKING:
    from rnn.tensor import Tensor

__all__ = [
    "cholesky",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "lstsq",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "vecdot",
    "vector_norm",
]


class LinAlgError(RuntimeError):
    """A matrix that is singular, or not positive-definite (torch.linalg.LinAlgError)."""


def _matrices(name: str, *tensors: Tensor, square: bool = False) -> None:
    """Checks what every function here takes.

    Raises:
        RuntimeError: a tensor is not floating-point, has less than two dimensions, or is not
            square where it must be.
    """
    for a in tensors:
        shape = tuple(a.shape)
        if not a._h:
            raise RuntimeError(
                f"linalg.{name}: Expected a floating point or complex tensor as input. "
                f"Got {a.dtype}"
            )
        if len(shape) < 2:
            raise RuntimeError(
                f"linalg.{name}: The input tensor A must have at least 2 dimensions."
            )
        if square and shape[-1] != shape[-2]:
            raise RuntimeError(
                f"linalg.{name}: A must be batches of square matrices, but they are "
                f"{shape[-2]} by {shape[-1]} matrices"
            )


def _run(name: str, function: Any, *arrays: Any) -> Any:
    """The function's results, as tensors of the first array's dtype; LinAlgError where it fails."""
    try:
        made = function(*arrays)
    except np.linalg.LinAlgError as error:
        raise LinAlgError(f"linalg.{name}: {error}") from None
    dtype = arrays[0].dtype
    if isinstance(made, tuple):
        return tuple(_core.wrap(np.array(x, dtype, order="C")) for x in made)
    return _core.wrap(np.array(made, dtype, order="C"))


def _without_gradient(name: str, *tensors: Tensor) -> None:
    """NotImplementedError where a gradient is asked for."""
    if is_grad_enabled() and any(t.requires_grad for t in tensors):
        raise NotImplementedError(
            f'linalg.{name} has no gradient in rnn (see the README, "What is there"): call it '
            "under no_grad() or on x.detach()"
        )


# ---- with gradients ------------------------------------------------------------------------------


class _Inv(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        x: Tensor = _run("inv", np.linalg.inv, array_of(a))
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
    _matrices("inv", A, square=True)
    return show_as(_Inv.apply(A), "LinalgInvExBackward0")


class _Solve(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        x: Tensor = _run("solve", np.linalg.solve, array_of(a), array_of(b))
        ctx.save_for_backward(a, x)
        return x

    @staticmethod
    def backward(ctx: Any, dx: Any) -> Any:
        a, x = ctx.saved_tensors
        db = _Solve.apply(a.mT, dx)
        da = -(db @ x.mT)
        return da, db


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X of A X = B, A (..., n, n), B (..., n, k) or (n,) (torch.linalg.solve); or of X A = B.

    Raises:
        LinAlgError: A is singular. RuntimeError: shapes or dtypes do not fit.
    """
    _matrices("solve", A, square=True)
    if A.dtype != B.dtype:
        raise RuntimeError(
            "linalg.solve: Expected A and B to have the same dtype, but found A of type "
            f"{A.dtype} and B of type {B.dtype} instead"
        )
    if B.dim() == 1 or tuple(B.shape) == tuple(A.shape[:-1]):
        if not left:
            raise RuntimeError("linalg.solve: left=False needs a matrix B")
        if B.shape[-1] != A.shape[-1]:
            raise RuntimeError(_mismatch(A, B.unsqueeze(-1), left))
        return show_as(solve(A, B.unsqueeze(-1)).squeeze(-1), "LinalgSolveExBackward0")
    if not left:
        return show_as(solve(A.mT, B.mT).mT, "LinalgSolveExBackward0")
    if B.shape[-2] != A.shape[-1]:
        raise RuntimeError(_mismatch(A, B, left))
    batch = np.broadcast_shapes(tuple(A.shape[:-2]), tuple(B.shape[:-2]))
    A, B = A.expand(*batch, *A.shape[-2:]), B.expand(*batch, *B.shape[-2:])
    return show_as(_Solve.apply(A, B), "LinalgSolveExBackward0")


def _mismatch(a: Tensor, b: Tensor, left: bool) -> str:
    shapes = "x".join(map(str, a.shape[-2:])), "x".join(map(str, b.shape[-2:]))
    return (
        f"linalg.solve: Incompatible shapes of A and B for the equation {'AX' if left else 'XA'} = "
        f"B ({shapes[0]} and {shapes[1]})"
    )


class _Det(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        d: Tensor = _run("det", np.linalg.det, array_of(a))
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
    """
    _matrices("det", A, square=True)
    return show_as(_Det.apply(A), "LinalgDetBackward0")


class _LogAbsDet(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        ctx.save_for_backward(a)
        out: Tensor = _run("slogdet", lambda x: np.linalg.slogdet(x)[1], array_of(a))
        return out

    @staticmethod
    def backward(ctx: Any, dd: Any) -> Any:
        (a,) = ctx.saved_tensors
        return dd[..., None, None] * _Inv.apply(a).mT


def slogdet(A: Tensor) -> Any:
    """(sign, logabsdet) of square matrices (..., n, n) (torch.linalg.slogdet)."""
    _matrices("slogdet", A, square=True)
    sign = _run("slogdet", lambda x: np.linalg.slogdet(x)[0], array_of(A))
    return return_types.linalg_slogdet((sign, _LogAbsDet.apply(A)))


def logdet(input: Tensor) -> Tensor:
    """log(det(input)): NaN where the determinant is negative (torch.logdet)."""
    sign, size = slogdet(input)
    return size.masked_fill(sign < 0, float("nan"))


class _Cholesky(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        factor: Tensor = _run("cholesky", np.linalg.cholesky, array_of(a))
        ctx.save_for_backward(factor)
        return factor

    @staticmethod
    def backward(ctx: Any, dl: Any) -> Any:
        (factor,) = ctx.saved_tensors
        middle = (factor.mT @ dl).tril()
        middle = middle - _diagonal(middle, 0, -2, -1).diag_embed() / 2
        inverse = _Inv.apply(factor)
        da = inverse.mT @ middle @ inverse
        return (da + da.mT) / 2


def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """L, lower triangular, of A = L L^T, A (..., n, n) (torch.linalg.cholesky); its transpose if
    `upper`.

    Raises:
        LinAlgError: A is not positive-definite. RuntimeError: it is not square.
    """
    _matrices("cholesky", A, square=True)
    factor: Tensor = _Cholesky.apply(A)
    return show_as(factor.mT if upper else factor, "LinalgCholeskyExBackward0")


# ---- without gradients ---------------------------------------------------------------------------


def svd(A: Tensor, full_matrices: bool = True) -> Any:
    """(U, S, Vh) with A = U diag(S) Vh (torch.linalg.svd); no gradient."""
    _matrices("svd", A)
    _without_gradient("svd", A)
    made = _run("svd", lambda a: tuple(np.linalg.svd(a, full_matrices)), array_of(A))
    return return_types.linalg_svd(made)


def svdvals(A: Tensor) -> Tensor:
    """The singular values, largest first (torch.linalg.svdvals); no gradient."""
    _matrices("svdvals", A)
    _without_gradient("svdvals", A)
    values: Tensor = _run("svdvals", lambda a: np.linalg.svd(a, compute_uv=False), array_of(A))
    return values


def qr(A: Tensor, mode: str = "reduced") -> Any:
    """(Q, R) with A = Q R (torch.linalg.qr); no gradient.

    Raises:
        RuntimeError: mode is neither "reduced" nor "complete".
    """
    _matrices("qr", A)
    _without_gradient("qr", A)
    if mode not in ("reduced", "complete"):
        raise RuntimeError(f"qr received unrecognized mode '{mode}': 'reduced' or 'complete'")
    return return_types.linalg_qr(
        _run("qr", lambda a: tuple(np.linalg.qr(a, mode)), array_of(A))  # type: ignore[call-overload]
    )


def eigh(A: Tensor, UPLO: Any = "L") -> Any:
    """(eigenvalues, eigenvectors) of symmetric matrices (torch.linalg.eigh); no gradient."""
    _matrices("eigh", A, square=True)
    _without_gradient("eigh", A)
    made = _run("eigh", lambda a: tuple(np.linalg.eigh(a, UPLO)), array_of(A))
    return return_types.linalg_eigh(made)


def eigvalsh(A: Tensor, UPLO: Any = "L") -> Tensor:
    """Eigenvalues of symmetric matrices, smallest first (torch.linalg.eigvalsh); no gradient."""
    _matrices("eigvalsh", A, square=True)
    _without_gradient("eigvalsh", A)
    values: Tensor = _run("eigvalsh", lambda a: np.linalg.eigvalsh(a, UPLO), array_of(A))
    return values


def pinv(A: Tensor, rtol: float | None = None) -> Tensor:
    """The pseudoinverse, (..., n, m) of (..., m, n) (torch.linalg.pinv); no gradient.

    Singular values below rtol times the largest count as 0; rtol is max(m, n) eps by default.
    """
    _matrices("pinv", A)
    _without_gradient("pinv", A)
    return _run("pinv", lambda a: np.linalg.pinv(a, _rtol(a, rtol)), array_of(A))


def matrix_rank(A: Tensor, rtol: float | None = None) -> Tensor:
    """How many singular values exceed rtol times the largest (torch.linalg.matrix_rank)."""
    _matrices("matrix_rank", A)
    a = array_of(A)
    s = np.linalg.svd(a, compute_uv=False)
    return _core.wrap(np.asarray((s > _rtol(a, rtol) * s[..., :1]).sum(-1), np.int64))


def _rtol(a: Any, rtol: float | None) -> float:
    return max(a.shape[-2:]) * float(np.finfo(a.dtype).eps) if rtol is None else rtol


def cond(A: Tensor) -> Tensor:
    """The largest singular value over the smallest (torch.linalg.cond); no gradient."""
    values = svdvals(A)
    return values[..., 0] / values[..., -1]


def lstsq(A: Tensor, B: Tensor) -> Any:
    """The solution X (n, k) that minimises |A X - B|, A (m, n), B (m, k) (torch.linalg.lstsq).

    No gradient, no batches. Gives (solution, residuals, rank, singular_values); residuals and
    singular values are empty, as PyTorch leaves them.

    Raises:
        RuntimeError: shapes do not fit.
    """
    _matrices("lstsq", A)
    _without_gradient("lstsq", A, B)
    if A.dim() != 2 or B.dim() not in (1, 2) or A.shape[0] != B.shape[0]:
        raise RuntimeError(
            f"linalg.lstsq: takes matrices A (m, n) and B (m, k) or (m,), but got "
            f"{tuple(A.shape)} and {tuple(B.shape)}"
        )
    a, b = array_of(A), array_of(B)
    x, _, rank, _ = np.linalg.lstsq(a, b, _rtol(a, None))
    empty = np.empty(0, a.dtype)
    parts = [np.asarray(x, a.dtype), empty, np.asarray(rank, np.int64), empty]
    return return_types.linalg_lstsq([_core.wrap(np.array(t, order="C")) for t in parts])


# ---- compositions --------------------------------------------------------------------------------


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of matrices, as views (torch.linalg.diagonal)."""
    return _diagonal(A, offset, dim1, dim2)


def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The dot products along a dimension (torch.linalg.vecdot)."""
    return (x * y).sum(dim)


def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of several matrices, from the left (torch.linalg.multi_dot).

    Raises:
        RuntimeError: there are fewer than two, or shapes do not fit.
    """
    if len(tensors) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(tensors)}")
    product = tensors[0]
    for t in tensors[1:]:
        product = product @ t
    return product


if not TYPE_CHECKING:  # type checkers are to see what is absent
    _tensor_functions(globals())

    def __getattr__(name: str) -> Any:
        raise _config.absent(__name__, name)

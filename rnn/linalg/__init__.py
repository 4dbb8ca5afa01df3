"""torch.linalg: norms, and what is worked out of square systems and factorisations.

The factorisations are LAPACK's, by NumPy, over batches of matrices (..., m, n) in float32 or
float64. They have gradients, of every order; what has none (matrix_rank, the factors of lu, a
complete or wide qr) says so where one is asked for. None has a scalar resolution: each is one
operation.
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
from rnn.linalg._lapack import LinAlgError as LinAlgError
from rnn.linalg._lapack import constant as _constant
from rnn.linalg._lapack import matrices as _matrices
from rnn.linalg._lapack import run as _run
from rnn.linalg._lapack import without_gradient as _without_gradient
from rnn.linalg._lu import lu as lu
from rnn.linalg._lu import lu_factor as lu_factor
from rnn.linalg._lu import lu_solve as lu_solve
from rnn.linalg._triangular import solve_triangular as solve_triangular
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
    "lu",
    "lu_factor",
    "lu_solve",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
    "vecdot",
    "vector_norm",
]


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

    Example:
        >>> solve(rnn.tensor([[2.0, 0.0], [0.0, 4.0]]), rnn.tensor([2.0, 2.0]))
        tensor([1.0000, 0.5000])
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

    Example:
        >>> rnn.det(rnn.tensor([[1.0, 2.0], [3.0, 5.0]]))
        tensor(-1.)
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
    """(sign, logabsdet) of square matrices (..., n, n) (torch.linalg.slogdet).

    Example:
        >>> rnn.slogdet(rnn.tensor([[0.0, 2.0], [2.0, 0.0]])).sign
        tensor(-1.)
    """
    _matrices("slogdet", A, square=True)
    sign = _run("slogdet", lambda x: np.linalg.slogdet(x)[0], array_of(A))
    return return_types.linalg_slogdet((sign, _LogAbsDet.apply(A)))


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

    Example:
        >>> rnn.cholesky(rnn.tensor([[4.0, 2.0], [2.0, 5.0]]))
        tensor([[2., 0.],
                [1., 2.]])
    """
    _matrices("cholesky", A, square=True)
    factor: Tensor = _Cholesky.apply(A)
    return show_as(factor.mT if upper else factor, "LinalgCholeskyExBackward0")


class _Svd(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Any:
        parts = _run("svd", lambda x: tuple(np.linalg.svd(x, full_matrices=False)), array_of(a))
        ctx.save_for_backward(*parts)
        return parts

    @staticmethod
    def backward(ctx: Any, du: Any, ds: Any, dvh: Any) -> Any:
        """The inner rotations, the singular values, and what leaves the spans of u and of v."""
        u, s, vh = ctx.saved_tensors
        v, dv = vh.mT, dvh.mT
        gaps = _gaps(s * s)
        turn_u, turn_v = u.mT @ du, v.mT @ dv
        inner = (turn_u - turn_u.mT) / gaps * s.unsqueeze(-2)
        inner = inner + s.unsqueeze(-1) * ((turn_v - turn_v.mT) / gaps) + ds.diag_embed()
        da = u @ inner @ vh
        if u.shape[-2] > s.shape[-1]:
            da = da + (du - u @ turn_u) / s.unsqueeze(-2) @ vh
        if v.shape[-2] > s.shape[-1]:
            da = da + (u / s.unsqueeze(-2)) @ (dv - v @ turn_v).mT
        return da


def _gaps(values: Tensor) -> Tensor:
    """values[j] - values[i] at (i, j), and 1 on the diagonal."""
    n = values.shape[-1]
    return values.unsqueeze(-2) - values.unsqueeze(-1) + values.new_ones(n).diag()


class _SingularValues(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        u, s, vh = _run("svd", lambda x: tuple(np.linalg.svd(x, full_matrices=False)), array_of(a))
        ctx.save_for_backward(a, u, vh)
        values: Tensor = s
        return values

    @staticmethod
    def backward(ctx: Any, ds: Any) -> Any:
        a, u, vh = ctx.saved_tensors
        if is_grad_enabled():  # recorded: the vectors depend on a
            u, _, vh = _Svd.apply(a)
        return u * ds.unsqueeze(-2) @ vh


def svd(A: Tensor, full_matrices: bool = True) -> Any:
    """(U, S, Vh), A = U diag(S) Vh, of matrices (..., m, n) (torch.linalg.svd).

    The gradients of U and Vh are those of a function that does not depend on the signs of their
    columns; they are infinite or NaN where two singular values are equal.

    Raises:
        RuntimeError: A is not floating-point; gradients are wanted of U and Vh that are larger
            than A's rank, with full_matrices.

    Example:
        >>> svd(rnn.tensor([[3.0, 0.0], [0.0, 4.0]])).S
        tensor([4., 3.])
    """
    _matrices("svd", A)
    m, n = A.shape[-2:]
    if full_matrices and m != n and not _constant(A):
        raise RuntimeError(
            "linalg.svd: The singular vectors in the gradient are not unique where full_matrices "
            "adds some: call it with full_matrices=False, or on x.detach()"
        )
    if full_matrices and m != n:
        parts = _run("svd", lambda a: tuple(np.linalg.svd(a)), array_of(A))
    else:
        parts = [show_as(t, "LinalgSvdBackward0") for t in _Svd.apply(A)]
    return return_types.linalg_svd(parts)


def svdvals(A: Tensor) -> Tensor:
    """The singular values of matrices (..., m, n), largest first (torch.linalg.svdvals).

    Example:
        >>> svdvals(rnn.tensor([[3.0, 0.0], [0.0, 4.0]]))
        tensor([4., 3.])
    """
    _matrices("svd", A)
    if _constant(A):
        values: Tensor = _run("svd", lambda a: np.linalg.svd(a, compute_uv=False), array_of(A))
        return values
    return show_as(_SingularValues.apply(A), "LinalgSvdBackward0")


class _Qr(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Any:
        parts = _run("qr", lambda x: tuple(np.linalg.qr(x)), array_of(a))
        ctx.save_for_backward(*parts)
        return parts

    @staticmethod
    def backward(ctx: Any, dq: Any, dr: Any) -> Any:
        q, r = ctx.saved_tensors
        if r.shape[-2] < r.shape[-1]:
            raise NotImplementedError(
                "linalg.qr: matrices that are wider than high have no gradient in rnn"
            )
        m = r @ dr.mT - dq.mT @ q
        low = m.tril(-1)
        symmetric = low + low.mT + _diagonal(m, 0, -2, -1).diag_embed()
        return solve_triangular(r, (dq + q @ symmetric).mT, upper=True).mT


def qr(A: Tensor, mode: str = "reduced") -> Any:
    """(Q, R), A = Q R, of matrices (..., m, n) (torch.linalg.qr).

    Gradients are there for mode "reduced" and m >= n.

    Raises:
        RuntimeError: the mode is neither "reduced", "complete" nor "r". NotImplementedError:
            a gradient is asked for and not there.

    Example:
        >>> q, r = qr(rnn.tensor([[3.0, 1.0], [4.0, 2.0]]))
        >>> q.shape, r.shape
        (rnn.Size([2, 2]), rnn.Size([2, 2]))
    """
    _matrices("qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), "
            "'r', or 'complete'"
        )
    if mode == "reduced":
        return return_types.linalg_qr([show_as(t, "LinalgQrBackward0") for t in _Qr.apply(A)])
    _without_gradient(f"qr with mode {mode!r}", A)
    if mode == "r":
        r = _run("qr", lambda a: np.linalg.qr(a, mode="r"), array_of(A))
        return return_types.linalg_qr((A.new_empty(0), r))
    return return_types.linalg_qr(
        _run("qr", lambda a: tuple(np.linalg.qr(a, "complete")), array_of(A))
    )


class _Eigh(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, uplo: Any) -> Any:
        parts = _run("eigh", lambda x: tuple(np.linalg.eigh(x, uplo)), array_of(a))
        ctx.save_for_backward(*parts)
        return parts

    @staticmethod
    def backward(ctx: Any, dvalues: Any, dvectors: Any) -> Any:
        values, v = ctx.saved_tensors
        inner = v.mT @ dvectors / _gaps(values)
        inner = inner - _diagonal(inner, 0, -2, -1).diag_embed() + dvalues.diag_embed()
        return v @ inner @ v.mT, None


def eigh(A: Tensor, UPLO: Any = "L") -> Any:
    """(eigenvalues, eigenvectors) of symmetric matrices (torch.linalg.eigh).

    The eigenvectors' gradients are those of a function that does not depend on their signs; they
    are infinite or NaN where two eigenvalues are equal.

    Example:
        >>> values, vectors = eigh(rnn.tensor([[2.0, 0.0], [0.0, 1.0]]))
        >>> values
        tensor([1., 2.])
    """
    _matrices("eigh", A, square=True)
    return return_types.linalg_eigh(
        [show_as(t, "LinalgEighBackward0") for t in _Eigh.apply(A, UPLO)]
    )


def eigvalsh(A: Tensor, UPLO: Any = "L") -> Tensor:
    """Eigenvalues of symmetric matrices, smallest first (torch.linalg.eigvalsh).

    Example:
        >>> eigvalsh(rnn.tensor([[2.0, 0.0], [0.0, 1.0]]))
        tensor([1., 2.])
    """
    _matrices("eigvalsh", A, square=True)
    if _constant(A):
        values: Tensor = _run("eigvalsh", lambda a: np.linalg.eigvalsh(a, UPLO), array_of(A))
        return values
    found: Tensor = eigh(A, UPLO)[0]
    return found


class _Pinv(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, rtol: Any) -> Tensor:
        p: Tensor = _run("pinv", lambda x: np.linalg.pinv(x, _rtol(x, rtol)), array_of(a))
        ctx.save_for_backward(a, p)
        return p

    @staticmethod
    def backward(ctx: Any, dp: Any) -> Any:
        a, p = ctx.saved_tensors
        return _pinv_backward(a, p, dp), None


def _pinv_backward(a: Tensor, p: Tensor, dp: Tensor) -> Tensor:
    """The gradient of a, whose pseudoinverse is p, from p's."""
    up, pt = dp.mT, p.mT
    left = up - a @ (p @ up)  # what lies outside of the span of a's columns
    right = up - (up @ p) @ a  # and of its rows
    return left @ p @ pt + pt @ p @ right - pt @ dp @ pt


def pinv(A: Tensor, rtol: float | None = None) -> Tensor:
    """The pseudoinverse, (..., n, m) of (..., m, n) (torch.linalg.pinv).

    Singular values below rtol times the largest count as 0; rtol is max(m, n) eps by default.
    The gradient is that of matrices whose rank stays as it is.

    Example:
        >>> rnn.linalg.pinv(rnn.tensor([[2.0, 0.0], [0.0, 4.0]]))
        tensor([[0.5000, 0.0000],
                [0.0000, 0.2500]])
    """
    _matrices("pinv", A)
    return show_as(_Pinv.apply(A, rtol), "LinalgPinvBackward0")


def matrix_rank(A: Tensor, rtol: float | None = None) -> Tensor:
    """How many singular values exceed rtol times the largest (torch.linalg.matrix_rank).

    Example:
        >>> matrix_rank(rnn.tensor([[1.0, 2.0], [2.0, 4.0]]))
        tensor(1)
    """
    _matrices("matrix_rank", A)
    a = array_of(A)
    s = np.linalg.svd(a, compute_uv=False)
    return _core.wrap(np.asarray((s > _rtol(a, rtol) * s[..., :1]).sum(-1), np.int64))


def _rtol(a: Any, rtol: float | None) -> float:
    return max(a.shape[-2:]) * float(np.finfo(a.dtype).eps) if rtol is None else rtol


def cond(A: Tensor) -> Tensor:
    """The largest singular value over the smallest (torch.linalg.cond).

    Example:
        >>> cond(rnn.tensor([[2.0, 0.0], [0.0, 0.5]]))
        tensor(4.)
    """
    values = svdvals(A)
    return values[..., 0] / values[..., -1]


class _Lstsq(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, ranks: list[int]) -> Tensor:
        """The matrices one by one, as NumPy has it; their ranks go to the list."""
        left, right = array_of(a), array_of(b)
        m, n, k = left.shape[-2], left.shape[-1], right.shape[-1]
        made = np.empty((*left.shape[:-2], n, k), left.dtype)
        rows = zip(made.reshape(-1, n, k), left.reshape(-1, m, n), right.reshape(-1, m, k))
        for x, one_a, one_b in rows:
            x[...], _, rank, _ = np.linalg.lstsq(one_a, one_b, _rtol(one_a, None))
            ranks.append(int(rank))
        ctx.save_for_backward(a, b)
        return _core.wrap(made)

    @staticmethod
    def backward(ctx: Any, dx: Any) -> Any:
        a, b = ctx.saved_tensors
        p = pinv(a)
        return _pinv_backward(a, p, dx @ b.mT), p.mT @ dx, None


def lstsq(A: Tensor, B: Tensor) -> Any:
    """The solution X (..., n, k) that minimises |A X - B|, A (..., m, n), B (..., m, k) or, of one
    matrix, (m,) (torch.linalg.lstsq).

    Gives (solution, residuals, rank, singular_values); residuals and singular values are empty, as
    PyTorch leaves them.

    Raises:
        RuntimeError: shapes do not fit.

    Example:
        >>> a = rnn.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
        >>> lstsq(a, rnn.ones(3, 1)).solution.shape
        rnn.Size([2, 1])
    """
    _matrices("lstsq", A)
    column = B.dim() == 1
    b = B.unsqueeze(-1) if column else B
    if b.dim() < 2 or A.shape[-2] != b.shape[-2] or A.shape[:-2] != b.shape[:-2]:
        raise RuntimeError(
            f"linalg.lstsq: takes matrices A (..., m, n) and B (..., m, k) or (m,), but got "
            f"{tuple(A.shape)} and {tuple(B.shape)}"
        )
    ranks: list[int] = []
    x = show_as(_Lstsq.apply(A, b, ranks), "LinalgLstsqBackward0")
    rank = _core.wrap(np.array(ranks, np.int64).reshape(A.shape[:-2]))
    solution = x.squeeze(-1) if column else x
    return return_types.linalg_lstsq([solution, A.new_empty(0), rank, A.new_empty(0)])


# ---- compositions --------------------------------------------------------------------------------


def matrix_exp(A: Tensor) -> Tensor:
    """The exponential of square matrices (..., n, n): the sum of A^k / k! (torch.linalg).

    A is halved until its 1-norm is below 1/2; there the series is short, and its sum is squared as
    often as A was halved.

    Example:
        >>> rnn.matrix_exp(rnn.tensor([[0.0, 1.0], [0.0, 0.0]]))
        tensor([[1., 1.],
                [0., 1.]])
    """
    _matrices("matrix_exp", A, square=True)
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


if not TYPE_CHECKING:  # type checkers are to see what is absent
    _tensor_functions(globals())

    def __getattr__(name: str) -> Any:
        raise _config.absent(__name__, name)

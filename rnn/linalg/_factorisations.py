"""Factorisations: svd, qr and eigh, what is found by them, and least squares; with gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import return_types
from rnn._shown import show_as
from rnn.autograd.function import Function
from rnn.autograd.modes import is_grad_enabled
from rnn.linalg import _lapack
from rnn.linalg._triangular import solve_triangular
from rnn.ops import _core
from rnn.ops._core import array_of
from rnn.ops.parts import diagonal

if TYPE_CHECKING:
    from rnn.tensor import Tensor


def _reduced_svd(a: Tensor) -> Any:
    return _lapack.run("svd", lambda x: tuple(np.linalg.svd(x, full_matrices=False)), array_of(a))


class _Svd(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Any:
        parts = _reduced_svd(a)
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
        u, s, vh = _reduced_svd(a)
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
    _lapack.matrices("svd", A)
    m, n = A.shape[-2:]
    if full_matrices and m != n and not _lapack.constant(A):
        raise RuntimeError(
            "linalg.svd: The singular vectors in the gradient are not unique where full_matrices "
            "adds some: call it with full_matrices=False, or on x.detach()"
        )
    if full_matrices and m != n:
        parts = _lapack.run("svd", lambda a: tuple(np.linalg.svd(a)), array_of(A))
    else:
        parts = [show_as(t, "LinalgSvdBackward0") for t in _Svd.apply(A)]
    return return_types.linalg_svd(parts)


def svdvals(A: Tensor) -> Tensor:
    """The singular values of matrices (..., m, n), largest first (torch.linalg.svdvals).

    Example:
        >>> svdvals(rnn.tensor([[3.0, 0.0], [0.0, 4.0]]))
        tensor([4., 3.])
    """
    _lapack.matrices("svd", A)
    if _lapack.constant(A):
        values: Tensor = _lapack.run(
            "svd", lambda a: np.linalg.svd(a, compute_uv=False), array_of(A)
        )
        return values
    return show_as(_SingularValues.apply(A), "LinalgSvdBackward0")


class _Qr(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Any:
        parts = _lapack.run("qr", lambda x: tuple(np.linalg.qr(x)), array_of(a))
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
        symmetric = low + low.mT + diagonal(m, 0, -2, -1).diag_embed()
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
    _lapack.matrices("qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), "
            "'r', or 'complete'"
        )
    if mode == "reduced":
        return return_types.linalg_qr([show_as(t, "LinalgQrBackward0") for t in _Qr.apply(A)])
    _lapack.without_gradient(f"qr with mode {mode!r}", A)
    if mode == "r":
        r = _lapack.run("qr", lambda a: np.linalg.qr(a, mode="r"), array_of(A))
        return return_types.linalg_qr((A.new_empty(0), r))
    return return_types.linalg_qr(
        _lapack.run("qr", lambda a: tuple(np.linalg.qr(a, "complete")), array_of(A))
    )


class _Eigh(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, uplo: Any) -> Any:
        parts = _lapack.run("eigh", lambda x: tuple(np.linalg.eigh(x, uplo)), array_of(a))
        ctx.save_for_backward(*parts)
        return parts

    @staticmethod
    def backward(ctx: Any, dvalues: Any, dvectors: Any) -> Any:
        values, v = ctx.saved_tensors
        inner = v.mT @ dvectors / _gaps(values)
        inner = inner - diagonal(inner, 0, -2, -1).diag_embed() + dvalues.diag_embed()
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
    _lapack.matrices("eigh", A, square=True)
    return return_types.linalg_eigh(
        [show_as(t, "LinalgEighBackward0") for t in _Eigh.apply(A, UPLO)]
    )


def eigvalsh(A: Tensor, UPLO: Any = "L") -> Tensor:
    """Eigenvalues of symmetric matrices, smallest first (torch.linalg.eigvalsh).

    Example:
        >>> eigvalsh(rnn.tensor([[2.0, 0.0], [0.0, 1.0]]))
        tensor([1., 2.])
    """
    _lapack.matrices("eigvalsh", A, square=True)
    if _lapack.constant(A):
        values: Tensor = _lapack.run("eigvalsh", lambda a: np.linalg.eigvalsh(a, UPLO), array_of(A))
        return values
    found: Tensor = eigh(A, UPLO)[0]
    return found


class _Pinv(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, rtol: Any) -> Tensor:
        p: Tensor = _lapack.run("pinv", lambda x: np.linalg.pinv(x, _rtol(x, rtol)), array_of(a))
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
    _lapack.matrices("pinv", A)
    return show_as(_Pinv.apply(A, rtol), "LinalgPinvBackward0")


def matrix_rank(A: Tensor, rtol: float | None = None) -> Tensor:
    """How many singular values exceed rtol times the largest (torch.linalg.matrix_rank).

    Example:
        >>> matrix_rank(rnn.tensor([[1.0, 2.0], [2.0, 4.0]]))
        tensor(1)
    """
    _lapack.matrices("matrix_rank", A)
    s = array_of(svdvals(A.detach()))
    return _core.wrap(np.asarray((s > _rtol(array_of(A), rtol) * s[..., :1]).sum(-1), np.int64))


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
    _lapack.matrices("lstsq", A)
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

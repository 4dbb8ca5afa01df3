"""LU: P L U of matrices, with partial pivoting (torch.linalg.lu and its kind); no gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import return_types
from rnn.linalg import _lapack
from rnn.linalg._triangular import solve_triangular
from rnn.ops import _core
from rnn.ops._core import array_of

if TYPE_CHECKING:
    from rnn.tensor import Tensor


def _factor(a: Any, pivot: bool) -> tuple[Any, Any, Any]:
    """L (below the diagonal) and U in one array, the rows exchanged (from 1), and the first 0 on
    U's diagonal (from 1; 0: there is none), of matrices (batch, m, n).
    """
    made, (m, n) = np.array(a, order="C"), a.shape[-2:]
    pivots = np.zeros((len(a), min(m, n)), np.int32)
    info = np.zeros(len(a), np.int32)
    for number, x in enumerate(made):
        for k in range(min(m, n)):
            best = k + int(np.abs(x[k:, k]).argmax()) if pivot else k
            pivots[number, k] = best + 1
            if best != k:
                x[[k, best]] = x[[best, k]]
            if x[k, k] == 0:
                info[number] = info[number] or k + 1
                continue
            x[k + 1 :, k] /= x[k, k]
            x[k + 1 :, k + 1 :] -= np.outer(x[k + 1 :, k], x[k, k + 1 :])
    return made, pivots, info


def factors(name: str, a: Tensor, pivot: bool) -> tuple[Tensor, Tensor, Tensor]:
    _lapack.matrices(name, a)
    _lapack.without_gradient(name, a)
    batch, (m, n) = tuple(a.shape[:-2]), a.shape[-2:]
    made, pivots, info = _factor(array_of(a).reshape(-1, m, n), pivot)
    return (
        _core.wrap(made.reshape(*batch, m, n)),
        _core.wrap(pivots.reshape(*batch, -1)),
        _core.wrap(info.reshape(batch)),
    )


def lu_factor(A: Tensor, *, pivot: bool = True) -> Any:
    """(LU, pivots) of matrices (..., m, n): L below the diagonal, U on and above it, and which row
    each row was exchanged with, from 1, (..., min(m, n)) (torch.linalg.lu_factor); no gradient.

    Args:
        pivot: False: no row is exchanged.

    Raises:
        LinAlgError: a pivot is 0. RuntimeError: A is not floating-point or has less than two
            dimensions. NotImplementedError: a gradient is asked for.

    Example:
        >>> made, pivots = lu_factor(rnn.tensor([[1.0, 2.0], [2.0, 8.0]]))
        >>> made
        tensor([[ 2.0000,  8.0000],
                [ 0.5000, -2.0000]])
        >>> pivots
        tensor([2, 2], dtype=rnn.int32)
    """
    made, pivots, info = factors("lu_factor", A, pivot)
    failed = int(array_of(info).max(initial=0))
    if failed:
        raise _lapack.LinAlgError(
            f"linalg.lu_factor: U[{failed},{failed}] is zero and using it on lu_solve would "
            "result in a division by zero"
        )
    return return_types.linalg_lu_factor((made, pivots))


def lu(A: Tensor, *, pivot: bool = True) -> Any:
    """(P, L, U), A = P L U, of matrices (..., m, n) (torch.linalg.lu); no gradient.

    P is (..., m, m), L (..., m, k) and U (..., k, n), k = min(m, n).

    Raises:
        RuntimeError: A is not floating-point or has less than two dimensions.
            NotImplementedError: a gradient is asked for.

    Example:
        >>> p, low, high = lu(rnn.tensor([[1.0, 2.0], [2.0, 8.0]]))
        >>> low
        tensor([[1.0000, 0.0000],
                [0.5000, 1.0000]])
        >>> high
        tensor([[ 2.,  8.],
                [ 0., -2.]])
    """
    made, pivots, _ = factors("lu", A, pivot)
    return return_types.linalg_lu(tuple(lu_unpack(made, pivots)))


def lu_unpack(
    LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True
) -> Any:
    """(P, L, U) of what lu_factor gives, (..., m, n) and (..., min(m, n)) (torch.lu_unpack).

    Args:
        unpack_data: False: L and U are empty.
        unpack_pivots: False: P is empty.

    Example:
        >>> rnn.lu_unpack(*rnn.linalg.lu_factor(rnn.tensor([[1.0, 2.0], [2.0, 8.0]]))).P
        tensor([[0., 1.],
                [1., 0.]])
    """
    m, n = LU_data.shape[-2:]
    k = min(m, n)
    p = low = high = LU_data.new_empty(0)
    if unpack_data:
        low = LU_data[..., :, :k].tril(-1)
        low = low + low.new_zeros(m, k).fill_diagonal_(1)
        high = LU_data[..., :k, :].triu()
    if unpack_pivots:
        places = array_of(LU_pivots).reshape(-1, k) - 1
        made = np.zeros((len(places), m, m), array_of(LU_data).dtype)
        for number, exchanged in enumerate(places):
            order = np.arange(m)
            for i, j in enumerate(exchanged):
                order[[i, j]] = order[[j, i]]
            made[number, order, np.arange(m)] = 1
        p = _core.wrap(made.reshape(*LU_data.shape[:-2], m, m))
    return return_types.lu_unpack((p, low, high))


def lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X of A X = B, from LU (..., n, n) and pivots (..., n) of A, B (..., n, k)
    (torch.linalg.lu_solve).

    Args:
        left: False: X of X A = B, B (..., k, n).

    Raises:
        RuntimeError: shapes or dtypes do not fit.

    Example:
        >>> a = rnn.tensor([[1.0, 2.0], [2.0, 8.0]])
        >>> lu_solve(*lu_factor(a), rnn.tensor([[3.0], [10.0]]))
        tensor([[1.],
                [1.]])
    """
    p, low, high = lu_unpack(LU, pivots)
    if left:
        y = solve_triangular(low, p.mT @ B, upper=False, unitriangular=True)
        return solve_triangular(high, y, upper=True)
    y = solve_triangular(high, B, upper=True, left=False)
    return solve_triangular(low, y, upper=False, left=False, unitriangular=True) @ p.mT

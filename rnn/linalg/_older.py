"""torch's older names for what rnn.linalg has, with their own arguments and results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnn import linalg, return_types
from rnn.linalg._lu import factors
from rnn.ops._core import view_as_result

if TYPE_CHECKING:
    from rnn.tensor import Tensor


def svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> Any:
    """(U, S, V), input = U diag(S) Vᵀ (torch.svd): linalg.svd, reduced if `some`.

    Args:
        compute_uv: False: U and V are zeros, (..., m, m) and (..., n, n).

    Example:
        >>> rnn.tensor([[3.0, 0.0], [0.0, 4.0]]).svd().S
        tensor([4., 3.])
    """
    if not compute_uv:
        m, n = input.shape[-2:]
        u, v = (input.new_zeros(*input.shape[:-2], k, k) for k in (m, n))
        return return_types.svd((u, linalg.svdvals(input), v))
    u, s, vh = linalg.svd(input, full_matrices=not some)
    return return_types.svd((u, s, vh.mT))


def qr(input: Tensor, some: bool = True) -> Any:
    """(Q, R), input (..., m, n) = Q R (torch.qr): linalg.qr, reduced if `some`, else complete.

    Example:
        >>> rnn.ones(3, 2).qr(some=False).Q.shape
        rnn.Size([3, 3])
    """
    return return_types.qr(linalg.qr(input, "reduced" if some else "complete"))


def lu(A: Tensor, pivot: bool = True, get_infos: bool = False) -> Any:
    """(LU, pivots) of matrices (..., m, n) (torch.lu): linalg.lu_factor, without its error where a
    pivot is 0; no gradient.

    Args:
        get_infos: gives a third, (...): the number of the first pivot that is 0, or 0.

    Example:
        >>> rnn.ones(2, 2).lu(get_infos=True)[2]
        tensor(2, dtype=rnn.int32)
    """
    made = factors("lu_factor", A, pivot)
    return made if get_infos else made[:2]


def lu_solve(input: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """X of A X = input, from A's LU and pivots (torch.lu_solve): linalg.lu_solve.

    Example:
        >>> a = rnn.tensor([[1.0, 2.0], [2.0, 8.0]])
        >>> rnn.tensor([[3.0], [10.0]]).lu_solve(*a.lu())
        tensor([[1.],
                [1.]])
    """
    return linalg.lu_solve(LU_data, LU_pivots, input)


def triangular_solve(
    input: Tensor,
    A: Tensor,
    upper: bool = True,
    transpose: bool = False,
    unitriangular: bool = False,
) -> Any:
    """(solution, cloned_coefficient) of A X = input, or Aᵀ X = input, A (..., n, n), input
    (..., n, k) (torch.triangular_solve): linalg.solve_triangular.

    Example:
        >>> rnn.ones(2, 1).triangular_solve(rnn.tensor([[2.0, 0.0], [0.0, 1.0]])).solution
        tensor([[0.5000],
                [1.0000]])
    """
    a, high = (A.mT, not upper) if transpose else (A, upper)
    x = linalg.solve_triangular(a, input, upper=high, unitriangular=unitriangular)
    return return_types.triangular_solve((x, A.clone()))


def cholesky(input: Tensor, upper: bool = False, *, out: Tensor | None = None) -> Tensor:
    """L, lower triangular, of input = L Lᵀ, (..., n, n) (torch.cholesky): linalg.cholesky.

    Example:
        >>> rnn.cholesky(rnn.tensor([[4.0, 2.0], [2.0, 5.0]]))
        tensor([[2., 0.],
                [1., 2.]])
    """
    return view_as_result(linalg.cholesky(input, upper=upper), out)


def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """The pseudoinverse, (..., n, m) of (..., m, n) (torch.pinverse): linalg.pinv, to which fewer
    singular values count as 0.

    Example:
        >>> rnn.tensor([[2.0, 0.0], [0.0, 4.0]]).pinverse()
        tensor([[0.5000, 0.0000],
                [0.0000, 0.2500]])
    """
    return linalg.pinv(input, rtol=rcond)


def slogdet(input: Tensor) -> Any:
    """(sign, logabsdet) of matrices (..., n, n) (torch.slogdet): linalg.slogdet.

    Example:
        >>> rnn.slogdet(rnn.tensor([[0.0, 2.0], [2.0, 0.0]])).sign
        tensor(-1.)
    """
    return return_types.slogdet(linalg.slogdet(input))

"""Scalar resolution of the matrix product: the multiplications and the running sums that it means.

    (a[:, :, None] * b[None]).cumsum(1)[:, -1]

2 n^3 nodes for n x n matrices: n^3 products, and n^3 partial sums of which the last of each row is
the result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnn._c import E, adopt, check, lib, op

if TYPE_CHECKING:
    from rnn.tensor import Tensor

_MUL = op("mul")


def _sum_of_products(a: Tensor, b: Tensor, dim: int) -> Tensor:
    """(a * b).cumsum(dim).select(dim, -1)"""
    products = adopt(check(lib.rnn_binary(E, _MUL, a._h, b._h, 1.0)))
    sums = adopt(check(lib.rnn_cumsum(E, products._h, dim)))
    return adopt(check(lib.rnn_select(E, sums._h, dim, -1)))


def _unsqueezed(t: Tensor, dim: int) -> Tensor:
    return adopt(check(lib.rnn_unsqueeze(E, t._h, dim)))


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """a @ b for shapes that fit, at least one product to add up, of one float dtype."""
    if len(b._shape) == 1:  # (..., k) (k): nothing but the sum's dimension
        return _sum_of_products(a, b, -1)
    columns = b if len(a._shape) == 1 else _unsqueezed(b, -3)  # (..., 1, k, n)
    return _sum_of_products(_unsqueezed(a, -1), columns, -2)  # of (..., m, k, 1) and those

"""Scalar resolution of the matrix product: the multiplications and the running sums that it means.

    (a[:, :, None] * b[None]).cumsum(1)[:, -1]

2 n^3 nodes for n x n matrices: n^3 products, and n^3 partial sums of which the last of each row is
the result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnn._c import E, adopt, fail, lib, op
from rnn.ops import elementwise
from rnn.ops.parts import select
from rnn.ops.shape import unsqueeze

if TYPE_CHECKING:
    from rnn.tensor import Tensor

_MUL = op("mul")


def _running_sum(a: Tensor, dim: int) -> Tensor:
    h = lib.rnn_cumsum(E, a._h, dim)
    return adopt(h) if h > 0 else fail(h)


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """a @ b for shapes that fit, at least one product to add up, of one float dtype."""
    if len(b._shape) == 1:  # (..., k) (k): nothing but the sum's dimension
        return select(_running_sum(elementwise.binary(_MUL, a, b), -1), -1, -1)
    rows = unsqueeze(a, -1)  # (..., m, k, 1)
    columns = b if len(a._shape) == 1 else unsqueeze(b, -3)  # (..., 1, k, n)
    return select(_running_sum(elementwise.binary(_MUL, rows, columns), -2), -2, -1)

"""Scalar resolution of the matrix product: the multiplications and the running sums that it means.

    (a[:, :, None] * b[None]).cumsum(1)[:, -1]

2 n^3 nodes for n x n matrices: n^3 products, and n^3 partial sums of which the last of each row is
the result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnn._c import E, adopt, check, lib

if TYPE_CHECKING:
    from rnn.tensor import Tensor


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """a @ b for shapes that fit, at least one product to add up, of one float dtype.

    csrc/compose.c records it: a network at scalar resolution is little else.
    """
    return adopt(check(lib.rnn_compose_matmul(E, a._h, b._h)))

"""The gamma function's logarithm and its derivatives: lgamma, digamma, polygamma, mvlgamma.

Values are csrc/gamma.h's; each is one row of csrc/ops.h, whose gradient is the next one of the
family: lgamma' = digamma = polygamma(0), polygamma(n)' = polygamma(n + 1).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rnn._c import op
from rnn._shapes import integer
from rnn.ops import _core
from rnn.ops.elementwise import in_place, unary, unary_in_place, write_out
from rnn.ops.ranges import arange

if TYPE_CHECKING:
    from rnn.tensor import Tensor

_LGAMMA, _DIGAMMA, _POLYGAMMA = op("lgamma"), op("digamma"), op("polygamma")


def lgamma(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """log |gamma(input)|: of n + 1, the logarithm of n! (torch.lgamma).

    Example:
        >>> rnn.lgamma(rnn.tensor([0.5, 1.0, 5.0]))
        tensor([0.5724, 0.0000, 3.1781])
    """
    return unary(_LGAMMA, input) if out is None else write_out(out, lgamma, input)


def digamma(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The derivative of lgamma (torch.digamma).

    Example:
        >>> rnn.digamma(rnn.tensor([1.0, 0.5]))
        tensor([-0.5772, -1.9635])
    """
    return unary(_DIGAMMA, input) if out is None else write_out(out, digamma, input)


def polygamma(n: int, input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The n-th derivative of digamma (torch.polygamma).

    Raises:
        RuntimeError: n is negative.

    Example:
        >>> rnn.polygamma(1, rnn.tensor([1.0, 0.5]))
        tensor([1.6449, 4.9348])
    """
    if out is not None:
        return write_out(out, polygamma, n, input)
    order = integer("polygamma", "n", 1, n)
    if order < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return unary(_POLYGAMMA, input, order)


def mvlgamma(input: Tensor, p: int, *, out: Tensor | None = None) -> Tensor:
    """The logarithm of the gamma function of p dimensions (torch.mvlgamma).

    Raises:
        RuntimeError: p is not positive.

    Example:
        >>> rnn.mvlgamma(rnn.tensor([2.0, 3.0]), 2)
        tensor([0.4516, 1.5502])
    """
    if out is not None:
        return write_out(out, mvlgamma, input, p)
    order = integer("mvlgamma", "p", 2, p)
    if order < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    x = _core.as_floats(input)
    shifts = arange(order, dtype=x.dtype) / -2
    total: Tensor = lgamma(x.unsqueeze(-1) + shifts).sum(-1)
    return total + order * (order - 1) / 4 * math.log(math.pi)


def lgamma_(input: Tensor) -> Tensor:
    """lgamma, in place (torch.Tensor.lgamma_)."""
    return unary_in_place(_LGAMMA, lgamma, input)


def digamma_(input: Tensor) -> Tensor:
    """digamma, in place (torch.Tensor.digamma_)."""
    return unary_in_place(_DIGAMMA, digamma, input)


def polygamma_of(input: Tensor, n: int) -> Tensor:
    """polygamma of a tensor's method (torch.Tensor.polygamma)."""
    return polygamma(n, input)


def polygamma_(input: Tensor, n: int) -> Tensor:
    """polygamma, in place (torch.Tensor.polygamma_)."""
    return in_place(input, polygamma(n, input))


def mvlgamma_(input: Tensor, p: int) -> Tensor:
    """mvlgamma, in place (torch.Tensor.mvlgamma_)."""
    return in_place(input, mvlgamma(input, p))

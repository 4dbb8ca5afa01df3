"""The gamma function's logarithm and its derivatives: lgamma, digamma, polygamma, mvlgamma.

Values are reckoned in float64 by NumPy; each is one operation, whose gradient is the next one of
the family: lgamma' = digamma = polygamma(0), polygamma(n)' = polygamma(n + 1). None has a scalar
resolution.

After S. L. Moshier's Cephes (psi.c, zeta.c), from which PyTorch's values are too.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn._c import Handle, check_copy_room
from rnn._shapes import integer
from rnn._shown import show_as
from rnn.autograd.function import Function
from rnn.ops import _core
from rnn.ops.elementwise import in_place, write_out

if TYPE_CHECKING:
    from rnn.tensor import Tensor

# ---- values --------------------------------------------------------------------------------------


def _log_gamma(x: Any) -> Any:
    """log |gamma(x)| of a float64 array."""

    def one(number: float) -> float:
        try:
            return math.lgamma(number)
        except (ValueError, OverflowError):  # a pole, or too large
            return math.inf

    return np.fromiter(map(one, x.ravel().tolist()), np.float64, x.size).reshape(x.shape)


def _cotangent(x: Any) -> Any:
    """pi / tan(pi x), of what x is beyond an integer: exact where x is large."""
    turn = np.pi * (x - np.trunc(x))
    return np.pi / np.tan(turn)


def _digamma(x: Any) -> Any:
    low = x <= 0
    a = np.where(low, 1 - x, x)
    total = np.zeros_like(a)
    while (small := a < 10).any():
        total = np.where(small, total - 1 / a, total)
        a = np.where(small, a + 1, a)
    square = 1 / (a * a)
    series = np.zeros_like(a)
    for c in (1 / 12, -691 / 32760, 1 / 132, -1 / 240, 1 / 252, -1 / 120, 1 / 12):
        series = series * square + c
    series = np.where(a < 1e17, series * square, 0)
    made = total + np.log(a) - 0.5 / a - series
    made = np.where(low, made - _cotangent(x), made)
    made = np.where((x < 0) & (x == np.floor(x)), np.nan, made)
    return np.where(x == 0, -np.copysign(np.inf, x), made)


#: (2k)! / B(2k), the divisors of Euler and Maclaurin's sum
_DIVISORS = (
    12.0, -720.0, 30240.0, -1209600.0, 47900160.0, -1307674368000 / 691, 74724249600.0,
    -10670622842880000 / 3617, 5109094217170944000 / 43867, -802857662698291200000 / 174611,
    14101100039391805440000 / 77683, -1693824136731743669452800000 / 236364091,
)  # fmt: skip


def _zeta_above(s: int, q: Any) -> Any:
    """The sum of (q + k)^-s over k = 0, 1, ..., q > 0."""
    total, a = np.zeros_like(q), q
    for _ in range(10):
        total, a = total + a**-s, a + 1.0
    b = a**-s
    total = total + b * a / (s - 1) + b / 2
    factor, k = float(s), 0
    for divisor in _DIVISORS:
        b = b / a
        total = total + factor * b / divisor
        factor *= (s + k + 1) * (s + k + 2)
        b, k = b / a, k + 2
    return np.where(np.isposinf(q), 0.0, total)


def _zeta(s: int, q: Any) -> Any:
    """The same for all q; where q < 0, what lies between q and 0 is summed from the other side."""
    up = np.where(q < 0, q - np.floor(q), q)
    made = _zeta_above(s, up)
    beyond = _zeta_above(s, 1 - up) - _zeta_above(s, np.where(q < 0, 1 - q, 1.0))
    made = np.where(q < 0, made + (-1) ** s * beyond, made)
    return np.where((q <= 0) & (q == np.floor(q)), np.inf, made)


def _polygamma(n: int, x: Any) -> Any:
    if n == 0:
        return _digamma(x)
    return (-1) ** (n + 1) * math.factorial(n) * _zeta(n + 1, x)


# ---- functions -----------------------------------------------------------------------------------


class _LogGamma(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return _of("lgamma", x, _log_gamma)

    @staticmethod
    def backward(ctx: Any, dz: Any) -> Any:
        return dz * digamma(ctx.saved_tensors[0])


class _PolyGamma(Function):
    @staticmethod
    def forward(ctx: Any, n: int, x: Tensor) -> Tensor:
        ctx.n = n
        ctx.save_for_backward(x)
        return _of("polygamma", x, lambda a: _polygamma(n, a))

    @staticmethod
    def backward(ctx: Any, dz: Any) -> Any:
        return None, dz * _PolyGamma.apply(ctx.n + 1, ctx.saved_tensors[0])


def _of(name: str, x: Tensor, function: Any) -> Tensor:
    array = check_copy_room(name, _core.array_of(x), 8 * 8)
    with np.errstate(all="ignore"):
        made = function(array.astype(np.float64))
        return _core.nodes(np.asarray(made, array.dtype))


def _floats(name: str, input: Any) -> Tensor:
    if not isinstance(input, Handle):
        raise TypeError(
            f"{name}(): argument 'input' (position 1) must be Tensor, not {_core.kind_of(input)}"
        )
    return _core.as_node(input, _core.float_code(input))


def lgamma(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """log |gamma(input)|: of n + 1, the logarithm of n! (torch.lgamma).

    Example:
        >>> rnn.lgamma(rnn.tensor([0.5, 1.0, 5.0]))
        tensor([0.5724, 0.0000, 3.1781])
    """
    if out is not None:
        return write_out(out, lgamma, input)
    return show_as(_LogGamma.apply(_floats("lgamma", input)), "LgammaBackward0")


def digamma(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The derivative of lgamma (torch.digamma).

    Example:
        >>> rnn.digamma(rnn.tensor([1.0, 0.5]))
        tensor([-0.5772, -1.9635])
    """
    if out is not None:
        return write_out(out, digamma, input)
    return show_as(_PolyGamma.apply(0, _floats("digamma", input)), "DigammaBackward0")


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
    return show_as(_PolyGamma.apply(order, _floats("polygamma", input)), "PolygammaBackward0")


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
    x = _floats("mvlgamma", input)
    shifts = _core.nodes(np.arange(order, dtype=_core.array_of(x).dtype) / -2)
    total: Tensor = lgamma(x.unsqueeze(-1) + shifts).sum(-1)
    return total + order * (order - 1) / 4 * math.log(math.pi)


def lgamma_(input: Tensor) -> Tensor:
    """lgamma, in place (torch.Tensor.lgamma_)."""
    return in_place(input, lgamma(input))


def digamma_(input: Tensor) -> Tensor:
    """digamma, in place (torch.Tensor.digamma_)."""
    return in_place(input, digamma(input))


def polygamma_of(input: Tensor, n: int) -> Tensor:
    """polygamma of a tensor's method (torch.Tensor.polygamma)."""
    return polygamma(n, input)


def polygamma_(input: Tensor, n: int) -> Tensor:
    """polygamma, in place (torch.Tensor.polygamma_)."""
    return in_place(input, polygamma(n, input))


def mvlgamma_(input: Tensor, p: int) -> Tensor:
    """mvlgamma, in place (torch.Tensor.mvlgamma_)."""
    return in_place(input, mvlgamma(input, p))

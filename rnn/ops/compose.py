"""Scalar resolution: every composite function as the additions, multiplications, powers,
exponentials, logarithms, maxima, cumulative sums and gathers that it means.

The engine asks for a composition (code COMPOSE) where a row of csrc/ops.h says so (`C_`) and
`rnn.resolution("scalar")` is on. Values are those of the fused kernels to rounding, and so are
gradients, at ties and far from 0 too: an exponential is taken of negative numbers only, and `where`
(a gather: it picks nodes) keeps what overflows out of the graph. sin, cos, asin, acos, atan, atan2,
erf, fmod and the steps (floor, sign, ...) mean nothing simpler here: they are primitive.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from rnn._c import lib, op
from rnn.ops import _core
from rnn.ops import elementwise as ew

if TYPE_CHECKING:
    from rnn.tensor import Tensor

Unary: TypeAlias = "Callable[[Tensor, float, float], Tensor]"
Binary: TypeAlias = "Callable[[Tensor, Tensor, float], Tensor]"

#: by operation number
unary: dict[int, Unary] = {}
binary: dict[int, Binary] = {}

_ADD_SCALAR, _MUL_SCALAR, _POW_SCALAR = op("add_scalar"), op("mul_scalar"), op("pow_scalar")
_POW = op("pow")


def _unary(name: str) -> Callable[[Unary], Unary]:
    """What the row `name` of one operand means, of the operand and the row's two parameters."""

    def register(function: Unary) -> Unary:
        unary[op(name)] = function
        return function

    return register


def _binary(name: str) -> Callable[[Binary], Binary]:
    """What the row `name` of two operands means, of both and the row's parameter."""

    def register(function: Binary) -> Binary:
        binary[op(name)] = function
        return function

    return register


def _scale(t: Tensor, factor: float) -> Tensor:
    return ew.unary(_MUL_SCALAR, t, factor)


def _shift(t: Tensor, term: float) -> Tensor:
    return ew.unary(_ADD_SCALAR, t, term)


def _power(t: Tensor, exponent: float) -> Tensor:
    return ew.unary(_POW_SCALAR, t, exponent, 1.0)


def _choose(condition: Tensor, t: Any, other: Any) -> Tensor:
    from rnn.ops import selection  # which stands on elementwise, and that on this file

    return selection.where(condition, t, other)


def _fold(t: Tensor) -> Tensor:
    """-|t|, with the derivative 1 at 0."""
    return _choose(t > 0, -t, t)


def _near_zero(
    t: Tensor, bounds: tuple[float, float], factors: tuple[float, ...], rest: Callable[..., Tensor]
) -> Tensor:
    """rest(t); but nearer to 0 than bounds (of float32 and float64), where rest takes a difference
    of numbers that are almost equal, x (1 + x (factors[0] + x (factors[1] + ...))), which keeps the
    digits, the sign of zero and denormals.
    """
    x = _core.array_of(t)
    near = np.abs(x) < bounds[x.dtype == np.float64]
    if not near.any():
        return rest(t)
    small = _choose(_core.wrap(near), t, 0.0)
    sum_ = _scale(small, factors[-1])
    for factor in factors[-2::-1]:
        sum_ = (_shift(sum_, factor) if factor else sum_) * small
    made = small * _shift(sum_, 1.0)
    return made if near.all() else _choose(_core.wrap(near), made, rest(t))


def _extreme(t: Tensor) -> Tensor | None:
    """Factors for numbers whose reciprocals overflow or are denormal: with them they do not, or are
    not; None where there are no such numbers.
    """
    x = np.abs(_core.array_of(t))
    limits = np.finfo(x.dtype)
    low, high = (x < limits.tiny) & (x > 0), (x > 0.25 / limits.tiny) & np.isfinite(x)
    if not (low.any() or high.any()):
        return None
    power = 2.0 ** (limits.nmant + 2)
    factors = np.where(low, power, np.where(high, 1 / power, 1.0)).astype(x.dtype)
    return _core.nodes(np.asarray(factors))


# ---- arithmetic ----------------------------------------------------------------------------------


@_unary("sub_scalar")
def _sub_scalar(t: Tensor, p0: float, p1: float) -> Tensor:
    return _shift(t, -p0)


@_unary("rsub_scalar")
def _rsub_scalar(t: Tensor, p0: float, p1: float) -> Tensor:
    return _shift(_scale(t, -1.0), p0)


@_unary("div_scalar")
def _div_scalar(t: Tensor, p0: float, p1: float) -> Tensor:
    if p0 and _extreme(divisor := _core.constant(p0, lib.rnn_dtype(t._h))) is not None:
        return _div(t, divisor, 1.0)
    return _scale(t, 1.0 / p0 if p0 else math.copysign(math.inf, p0))


@_unary("rdiv_scalar")
def _rdiv_scalar(t: Tensor, p0: float, p1: float) -> Tensor:
    return _scale(_power(t, -1.0), p0)


@_unary("rpow_scalar")
def _rpow_scalar(t: Tensor, p0: float, p1: float) -> Tensor:
    return ew.binary(_POW, p0, t)


@_unary("neg")
def _neg(t: Tensor, p0: float, p1: float) -> Tensor:
    return _scale(t, -1.0)


@_unary("square")
def _square(t: Tensor, p0: float, p1: float) -> Tensor:
    return _power(t, 2.0)


@_unary("cube")
def _cube(t: Tensor, p0: float, p1: float) -> Tensor:
    return _power(t, 3.0)


@_unary("reciprocal")
def _reciprocal(t: Tensor, p0: float, p1: float) -> Tensor:
    return _power(t, -1.0)


@_unary("sqrt")
def _sqrt(t: Tensor, p0: float, p1: float) -> Tensor:
    return _power(t, 0.5)


@_unary("rsqrt")
def _rsqrt(t: Tensor, p0: float, p1: float) -> Tensor:
    return _power(t, -0.5)


@_unary("abs")
def _abs(t: Tensor, p0: float, p1: float) -> Tensor:
    return t.relu() + (-t).relu()


@_binary("sub")
def _sub(a: Tensor, b: Tensor, p0: float) -> Tensor:
    return a + _scale(b, -p0)


@_binary("div")
def _div(a: Tensor, b: Tensor, p0: float) -> Tensor:
    """a b^-1; where b is denormal or so large that b^-1 is, both are scaled first."""
    factors = _extreme(b)
    if factors is not None:
        a, b = a * factors, b * factors
    return a * _power(b, -1.0)


@_binary("lerp")
def _lerp(a: Tensor, b: Tensor, p0: float) -> Tensor:
    return a + _scale(b - a, p0)


@_binary("hypot")
def _hypot(a: Tensor, b: Tensor, p0: float) -> Tensor:
    """The larger one, held constant, is taken out: nothing overflows; the gradient is the same."""
    x, y = np.abs(_core.array_of(a)), np.abs(_core.array_of(b))
    top = np.maximum(np.maximum(x, y), 4 * np.finfo(x.dtype).tiny)
    scale = _core.nodes(np.asarray(np.where(np.isfinite(top), top, 1.0), top.dtype))
    made = _power((a / scale) ** 2 + (b / scale) ** 2, 0.5) * scale
    infinite = np.isinf(x) | np.isinf(y)
    return _choose(_core.wrap(infinite), math.inf, made) if infinite.any() else made


# ---- the larger, the smaller, and between --------------------------------------------------------


@_binary("minimum")
def _minimum(a: Tensor, b: Tensor, p0: float) -> Tensor:
    from rnn.ops import selection

    return -selection.maximum(-a, -b)


@_binary("fmax")
def _fmax(a: Tensor, b: Tensor, p0: float) -> Tensor:
    return _choose((a >= b) | (b != b), a, b)


@_binary("fmin")
def _fmin(a: Tensor, b: Tensor, p0: float) -> Tensor:
    return _choose((a <= b) | (b != b), a, b)


@_unary("clamp")
def _clamp(t: Tensor, p0: float, p1: float) -> Tensor:
    x = _core.array_of(t)
    with np.errstate(invalid="ignore"):
        bounds = np.minimum(np.maximum(x, x.dtype.type(p0)), x.dtype.type(p1))  # NaN stays
        inside = (x >= p0) & (x <= p1)
    return _choose(_core.wrap(inside), t, _core.nodes(np.asarray(bounds)))


@_unary("hardtanh")
def _hardtanh(t: Tensor, p0: float, p1: float) -> Tensor:
    x = _core.array_of(t)
    bounds = np.where(x < p0, x.dtype.type(p0), np.where(x > p1, x.dtype.type(p1), x))
    return _choose(_core.wrap(~((x <= p0) | (x >= p1))), t, _core.nodes(np.asarray(bounds)))


@_unary("hardsigmoid")
def _hardsigmoid(t: Tensor, p0: float, p1: float) -> Tensor:
    return _choose(t <= -3, 0.0, _choose(t >= 3, 1.0, _scale(_shift(t, 3.0), 1 / 6)))


@_unary("hardswish")
def _hardswish(t: Tensor, p0: float, p1: float) -> Tensor:
    """x / 6 times x + 3, which is held between 0 and 6."""
    return _scale(t * _choose(t <= -3, 0.0, _choose(t >= 3, 6.0, _shift(t, 3.0))), 1 / 6)


@_unary("leaky_relu")
def _leaky_relu(t: Tensor, p0: float, p1: float) -> Tensor:
    return _choose(t > 0, t, _scale(t, p0))


@_binary("prelu")
def _prelu(a: Tensor, b: Tensor, p0: float) -> Tensor:
    return _choose(a > 0, a, b * a)


@_unary("threshold")
def _threshold(t: Tensor, p0: float, p1: float) -> Tensor:
    return _choose(t <= p0, p1, t)


@_unary("hardshrink")
def _hardshrink(t: Tensor, p0: float, p1: float) -> Tensor:
    return _choose((t >= -p0) & (t <= p0), 0.0, t)


@_unary("softshrink")
def _softshrink(t: Tensor, p0: float, p1: float) -> Tensor:
    moved = _choose(t > p0, _shift(t, -p0), _choose(t < -p0, _shift(t, p0), t))
    return _choose((t >= -p0) & (t <= p0), t.detach() * 0.0, moved)


# ---- exponentials and logarithms -----------------------------------------------------------------


@_unary("exp2")
def _exp2(t: Tensor, p0: float, p1: float) -> Tensor:
    return _scale(t, math.log(2)).exp()


@_unary("expm1")
def _expm1(t: Tensor, p0: float, p1: float) -> Tensor:
    """e^x - 1; x + x^2 / 2 + ... near 0."""
    terms = (1 / 2, 1 / 6, 1 / 24)
    return _near_zero(t, (0.05, 3e-4), terms, lambda t: _shift(t.exp(), -1.0))


@_unary("log2")
def _log2(t: Tensor, p0: float, p1: float) -> Tensor:
    return _scale(t.log(), 1 / math.log(2))


@_unary("log10")
def _log10(t: Tensor, p0: float, p1: float) -> Tensor:
    return _scale(t.log(), 1 / math.log(10))


@_unary("log1p")
def _log1p(t: Tensor, p0: float, p1: float) -> Tensor:
    """log(1 + x); x - x^2 / 2 + ... near 0."""
    terms = (-1 / 2, 1 / 3, -1 / 4)
    return _near_zero(t, (0.02, 1e-4), terms, lambda t: _shift(t, 1.0).log())


@_unary("sinh")
def _sinh(t: Tensor, p0: float, p1: float) -> Tensor:
    terms = (0.0, 1 / 6)
    return _near_zero(t, (0.05, 3e-4), terms, lambda t: _scale(t.exp() - (-t).exp(), 0.5))


@_unary("cosh")
def _cosh(t: Tensor, p0: float, p1: float) -> Tensor:
    return _scale(t.exp() + (-t).exp(), 0.5)


@_unary("tanh")
def _tanh(t: Tensor, p0: float, p1: float) -> Tensor:
    """(e^2x - 1) / (e^2x + 1) of -|x|, its sign changed back."""
    return _near_zero(t, (0.025, 1e-4), (0.0, -1 / 3), _tanh_by_exp)


def _tanh_by_exp(t: Tensor) -> Tensor:
    e = _scale(_fold(t), 2.0).exp()
    low = _shift(e, -1.0) * _power(_shift(e, 1.0), -1.0)
    return _choose(t > 0, -low, low)


@_unary("asinh")
def _asinh(t: Tensor, p0: float, p1: float) -> Tensor:
    """log(y + sqrt(y^2 + 1)) of y = |x|, and log(2 y) where y^2 would overflow."""
    return _near_zero(t, (0.02, 1e-4), (0.0, -1 / 6), _asinh_by_log)


def _asinh_by_log(t: Tensor) -> Tensor:
    y = _choose(t < 0, -t, t)
    large = y > 1e9
    near, far = _choose(large, 1.0, y), _choose(large, y, 1.0)
    near = (near + _power(_shift(_power(near, 2.0), 1.0), 0.5)).log()
    size = _choose(large, _shift(far.log(), math.log(2)), near)
    return _choose(t < 0, -size, size)


@_unary("acosh")
def _acosh(t: Tensor, p0: float, p1: float) -> Tensor:
    """log(x + sqrt(x^2 - 1)), and log(2 x) where x^2 would overflow."""
    large = t > 1e9
    if not large._array.any():
        return (t + _power(_shift(t, -1.0), 0.5) * _power(_shift(t, 1.0), 0.5)).log()
    far = _shift(_choose(large, t, 1.0).log(), math.log(2))
    return _choose(large, far, _acosh(_choose(large, 2.0, t), p0, p1))


@_unary("atanh")
def _atanh(t: Tensor, p0: float, p1: float) -> Tensor:
    return _near_zero(t, (0.02, 1e-4), (0.0, 1 / 3), _atanh_by_log)


def _atanh_by_log(t: Tensor) -> Tensor:
    return _scale(_shift(t, 1.0).log() - _shift(-t, 1.0).log(), 0.5)


@_unary("sigmoid")
def _sigmoid(t: Tensor, p0: float, p1: float) -> Tensor:
    """1 / (1 + e^-x), above and below by e^-x where x is negative."""
    e = _fold(t).exp()
    return _choose(t > 0, 1.0, e) * _power(_shift(e, 1.0), -1.0)


@_unary("softplus")
def _softplus(t: Tensor, p0: float, p1: float) -> Tensor:
    """max(x, 0) + log(1 + e^-|x|) of x = p0 t, over p0; t itself where x > p1."""
    x = _scale(t, p0) if p0 != 1 else t
    soft = x.relu() + _log1p(_fold(x).exp(), 0.0, 0.0)
    return _choose(x > p1, t, soft / p0 if p0 != 1 else soft)


@_unary("logsigmoid")
def _logsigmoid(t: Tensor, p0: float, p1: float) -> Tensor:
    """min(x, 0) - log(1 + e^-|x|)"""
    low = _choose(t > 0, 0.0, t)
    return low - _log1p(_fold(t).exp(), 0.0, 0.0)


@_unary("elu")
def _elu(t: Tensor, p0: float, p1: float) -> Tensor:
    low = _expm1(_choose(t > 0, 0.0, t), 0.0, 0.0)
    return _choose(t > 0, _scale(t, p1), _scale(low, p0 * p1))


@_unary("silu")
def _silu(t: Tensor, p0: float, p1: float) -> Tensor:
    return t * t.sigmoid()


@_unary("mish")
def _mish(t: Tensor, p0: float, p1: float) -> Tensor:
    """x tanh(softplus(x)); x itself where that is 1."""
    large = t > 50
    if not large._array.any():
        return t * _softplus(t, 1.0, 20.0).tanh()
    return _choose(large, t, _mish(_choose(large, 0.0, t), p0, p1))


@_unary("gelu")
def _gelu(t: Tensor, p0: float, p1: float) -> Tensor:
    return _scale(t, 0.5) * _shift(_scale(t, math.sqrt(0.5)).erf(), 1.0)


@_unary("gelu_tanh")
def _gelu_tanh(t: Tensor, p0: float, p1: float) -> Tensor:
    inner = _scale(t + _scale(_power(t, 3.0), 0.044715), math.sqrt(2 / math.pi))
    return _scale(t, 0.5) * _shift(inner.tanh(), 1.0)


@_binary("logaddexp")
def _logaddexp(a: Tensor, b: Tensor, p0: float) -> Tensor:
    """The larger one + log(1 + e^-|a - b|)."""
    larger = a >= b
    top = _choose(larger, a, b)
    low = _choose(larger, b, a)
    gap = low - top
    alone = np.isinf(_core.array_of(top)) & ~np.isnan(_core.array_of(low))
    if alone.any():  # an infinity stays what it is
        gap = _choose(_core.wrap(alone), -math.inf, gap)
    return top + _log1p(gap.exp(), 0.0, 0.0)


@_binary("xlogy")
def _xlogy(a: Tensor, b: Tensor, p0: float) -> Tensor:
    """a log(b); where a is 0, +0 (0 is added there, and -0, which changes nothing, elsewhere)."""
    zero = a == 0
    made = a * _choose(zero & ((b <= 0) | (b == math.inf)), 1.0, b).log()
    if not zero._array.any():
        return made
    plus = np.where(zero._array, 0.0, -0.0).astype(_core.array_of(a).dtype)
    return made + _core.nodes(np.asarray(plus))


# ---- what is left --------------------------------------------------------------------------------


@_unary("tan")
def _tan(t: Tensor, p0: float, p1: float) -> Tensor:
    return t.sin() * _power(t.cos(), -1.0)


@_unary("erfc")
def _erfc(t: Tensor, p0: float, p1: float) -> Tensor:
    return _shift(-t.erf(), 1.0)

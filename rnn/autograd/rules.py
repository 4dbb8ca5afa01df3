"""What each operation does to a gradient, written in tensor operations, so that gradients can be
differentiated again (second.py).

A rule takes an application of its operation and the gradient of its result, and gives (operand,
gradient) pairs; second.py sums a gradient over what was broadcast. An operation whose result is
linear in its operands, piece by piece (sums, copies, gathers, the larger of two), needs no rule of
its own: its derivatives are constants, which the engine's `edges` give. What is left is computed
again as its composition, and that differentiated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

import rnn
from rnn._c import op
from rnn.ops import _core, compose, compose_reduce

if TYPE_CHECKING:
    from rnn.autograd.second import Application
    from rnn.tensor import Tensor

Gradients: TypeAlias = "Iterable[tuple[int, Tensor]]"
Rule: TypeAlias = "Callable[[Application, Tensor], Gradients]"

#: by operation number
RULES: dict[int, Rule] = {}
#: operations whose derivatives are constants: `edges` has them
LINEAR = frozenset(
    op(name)
    for name in (
        "assign", "gather", "max_dim", "min_dim", "median_dim", "nanmedian_dim", "mode", "kthvalue",
        "sort", "stable_sort", "topk", "cummax", "cummin", "scatter", "scatter_add", "where",
        "masked_fill", "amax", "amin", "max", "min", "median", "nanmedian", "max_pool2d",
        "avg_pool2d", "maximum", "minimum", "fmax", "fmin", "copysign",
    )
)  # fmt: skip


def _rule(*names: str) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        for name in names:
            RULES[op(name)] = rule
        return rule

    return register


# ---- one operand, element by element -------------------------------------------------------------

Unary: TypeAlias = "Callable[[Application, Tensor], Tensor | None]"


def _exp_below_0(a: Tensor) -> Tensor:
    """exp(a) where a is negative, else 1: nothing overflows."""
    return rnn.where(a > 0, 0.0, a).exp()


def _still(a: Tensor, g: Tensor) -> Tensor:
    """g, which does not change with a: its derivative by a is 0, as PyTorch has it, not missing."""
    return rnn.where(_core.wrap(np.zeros((), np.bool_)), a, g)


def _beyond(s: Application, dz: Tensor) -> Tensor:
    """dz where x is further from 0 than the parameter."""
    return _still(s.x, rnn.where((s.x >= -s.p[0]) & (s.x <= s.p[0]), 0.0, dz))


def _power(s: Application, dz: Tensor) -> Tensor | None:
    n = s.p[0]  # of 1 too it depends on x: further derivatives are zeros, no errors
    return None if n == 0 else dz * (n * s.x ** (n - 1))


def _power_of_number(s: Application, dz: Tensor) -> Tensor | None:
    return dz * (s.z * math.log(s.p[0])) if s.p[0] > 0 else None if s.p[0] == 0 else dz * math.nan


_LN2, _LN10, _ERF = math.log(2), math.log(10), 2 / math.sqrt(math.pi)

#: the gradient of the operand; None: it is 0 everywhere
UNARY: dict[str, Unary] = {
    "clone": lambda s, dz: dz,
    "cast": lambda s, dz: dz,
    "add_scalar": lambda s, dz: dz,
    "sub_scalar": lambda s, dz: dz,
    "rsub_scalar": lambda s, dz: -dz,
    "mul_scalar": lambda s, dz: dz * s.p[0],
    "div_scalar": lambda s, dz: dz / s.p[0],
    "rdiv_scalar": lambda s, dz: -(dz * s.p[0]) * s.x.reciprocal().square(),
    "pow_scalar": _power,
    "rpow_scalar": _power_of_number,
    "neg": lambda s, dz: -dz,
    "exp": lambda s, dz: dz * s.z,
    "exp2": lambda s, dz: dz * s.z * _LN2,
    "expm1": lambda s, dz: dz * (s.z + 1),
    "log": lambda s, dz: dz / s.x,
    "log2": lambda s, dz: dz / (s.x * _LN2),
    "log10": lambda s, dz: dz / (s.x * _LN10),
    "log1p": lambda s, dz: dz / (s.x + 1),
    "sqrt": lambda s, dz: dz / (2 * s.z),
    "rsqrt": lambda s, dz: -0.5 * dz * s.z**3,
    "sign": lambda s, dz: None,
    "floor": lambda s, dz: None,
    "ceil": lambda s, dz: None,
    "round": lambda s, dz: None,
    "trunc": lambda s, dz: None,
    "frac": lambda s, dz: dz,
    "sin": lambda s, dz: dz * s.x.cos(),
    "cos": lambda s, dz: -dz * s.x.sin(),
    "tan": lambda s, dz: dz * (1 + s.z.square()),
    "asin": lambda s, dz: dz * (1 - s.x.square()).rsqrt(),
    "acos": lambda s, dz: -dz * (1 - s.x.square()).rsqrt(),
    "atan": lambda s, dz: dz / (s.x.square() + 1),
    "sinh": lambda s, dz: dz * s.x.cosh(),
    "cosh": lambda s, dz: dz * s.x.sinh(),
    "tanh": lambda s, dz: dz * (1 - s.z.square()),
    "asinh": lambda s, dz: dz * (s.x.square() + 1).rsqrt(),
    "acosh": lambda s, dz: dz * (s.x.square() - 1).rsqrt(),
    "atanh": lambda s, dz: dz / (1 - s.x.square()),
    "sigmoid": lambda s, dz: dz * ((1 - s.z) * s.z),
    "logsigmoid": lambda s, dz: dz * (-s.x).sigmoid(),
    "relu": lambda s, dz: rnn.where(s.z <= 0, s.z * 0.0, dz),
    "abs": lambda s, dz: dz * s.x.sign(),
    "leaky_relu": lambda s, dz: _still(s.x, rnn.where(s.x > 0, dz, dz * s.p[0])),
    "clamp": lambda s, dz: rnn.where((s.x >= s.p[0]) & (s.x <= s.p[1]), dz, 0.0),
    "hardtanh": lambda s, dz: _still(
        s.x, rnn.where((s.x <= s.p[0]) | (s.x >= s.p[1]), 0.0, dz)
    ),
    "hardshrink": _beyond,
    "softshrink": _beyond,
    "threshold": lambda s, dz: _still(s.x, rnn.where(s.x <= s.p[0], 0.0, dz)),
    "elu": lambda s, dz: dz * rnn.where(s.x > 0, s.p[1], s.p[0] * s.p[1] * _exp_below_0(s.x)),
    "erf": lambda s, dz: dz * (_ERF * (-s.x.square()).exp()),
    "erfc": lambda s, dz: -dz * (_ERF * (-s.x.square()).exp()),
    "erfinv": lambda s, dz: dz * (s.z.square().exp() / _ERF),
    "lgamma": lambda s, dz: dz * s.x.digamma(),
    "digamma": lambda s, dz: dz * s.x.polygamma(1),
    "polygamma": lambda s, dz: dz * s.x.polygamma(int(s.p[0]) + 1),
    "square": lambda s, dz: dz * (2 * s.x**1),
    "cube": lambda s, dz: dz * (3 * s.x.square()),
    "reciprocal": lambda s, dz: -dz * s.z.square(),
}


def _unary(function: Unary) -> Rule:
    def rule(s: Application, dz: Tensor) -> Gradients:
        found = function(s, dz)
        return [(0, rnn.zeros_like(dz) if found is None else found)]

    return rule


RULES.update({op(name): _unary(function) for name, function in UNARY.items()})

# ---- two operands, element by element ------------------------------------------------------------


def _power_of_two(s: Application, dz: Tensor) -> Gradients:
    a, b = s.operands
    still = (a == 0) & (b >= 0)
    yield 0, dz * rnn.where(b == 0, 0.0, b * a ** rnn.where(b == 0, 1.0, b - 1))
    yield 1, dz * rnn.where(still, 0.0, s.z * rnn.where(still, 1.0, a).log())


def _prelu(s: Application, dz: Tensor) -> Gradients:
    a, b = s.operands
    above = a > 0
    return [(0, rnn.where(above, dz, b * dz)), (1, rnn.where(above, 0.0, a * dz))]


def _xlogy(s: Application, dz: Tensor) -> Gradients:
    a, b = s.operands
    nothing = (a == 0) & (b <= 0)
    yield 0, dz * rnn.where(nothing, 0.0, rnn.where(nothing, 1.0, b).log())
    yield 1, dz * a / b


def _atan2(s: Application, dz: Tensor) -> Gradients:
    a, b = s.operands
    origin = (a == 0) & (b == 0)
    scale = rnn.where(origin, 0.0, rnn.where(origin, 1.0, a * a + b * b).reciprocal())
    return [(0, dz * b * scale), (1, -dz * a * scale)]


def _difference(slope: Callable[[Application, Any], Any]) -> Rule:
    """Of a loss that is a function of a - b, whose derivative is `slope`."""

    def rule(s: Application, dz: Tensor) -> Gradients:
        a, b = s.operands
        g = dz * slope(s, a - b)
        return [(0, g), (1, -g)]

    return rule


def _smooth_l1(s: Application, d: Tensor) -> Tensor:
    return (d / s.p[0]).clamp(-1, 1) if s.p[0] else d.sign()


def _cross_entropy_of_two(s: Application, dz: Tensor) -> Gradients:
    a, b = s.operands
    yield 0, dz * (a - b) / ((1 - a) * a).clamp(min=1e-12)
    yield 1, dz * ((-a).log1p().clamp(min=-100) - a.log().clamp(min=-100))


def _cross_entropy_of_logits(s: Application, dz: Tensor) -> Gradients:
    return [(0, dz * (s.x.sigmoid() - s.operands[1])), (1, -dz * s.x)]


def _quotient(s: Application, dz: Tensor) -> Gradients:
    a, b = s.operands
    return [(0, dz / b), (1, -dz * (a / b / b))]


def _logaddexp(s: Application, dz: Tensor) -> Gradients:
    d = s.operands[0] - s.operands[1]
    return [(0, dz * d.sigmoid()), (1, dz * (-d).sigmoid())]


def _steps(of: Callable[[Tensor], Tensor]) -> Rule:
    """a - b times a whole number, which is a constant."""

    def rule(s: Application, dz: Tensor) -> Gradients:
        a, b = s.operands
        return [(0, dz), (1, -dz * of(a.detach() / b.detach()))]

    return rule


def _nothing(s: Application, dz: Tensor) -> Gradients:
    return [(0, rnn.zeros_like(dz)), (1, rnn.zeros_like(dz))]


BINARY: dict[str, Rule] = {
    "add": lambda s, dz: [(0, dz), (1, dz * s.p[0] if s.p[0] != 1 else dz)],
    "sub": lambda s, dz: [(0, dz), (1, dz * -s.p[0])],
    "mul": lambda s, dz: [(0, dz * s.operands[1]), (1, dz * s.operands[0])],
    "div": _quotient,
    "div_trunc": _nothing,
    "div_floor": _nothing,
    "pow": _power_of_two,
    "prelu": _prelu,
    "lerp": lambda s, dz: [(0, dz * (1 - s.p[0])), (1, dz * s.p[0])],
    "hypot": lambda s, dz: [(0, dz * (s.operands[0] / s.z)), (1, dz * (s.operands[1] / s.z))],
    "logaddexp": _logaddexp,
    "xlogy": _xlogy,
    "atan2": _atan2,
    "fmod": _steps(lambda q: q.trunc()),
    "remainder": _steps(lambda q: q.floor()),
    "mse_loss": _difference(lambda s, d: 2 * d),
    "smooth_l1_loss": _difference(_smooth_l1),
    "huber_loss": _difference(lambda s, d: d.clamp(-s.p[0], s.p[0])),
    "binary_cross_entropy": _cross_entropy_of_two,
    "binary_cross_entropy_with_logits": _cross_entropy_of_logits,
}
RULES.update({op(name): rule for name, rule in BINARY.items()})

# ---- sums, and what is put together --------------------------------------------------------------


def _over(mask: int, rank: int) -> tuple[int, ...]:
    return tuple(d for d in range(rank) if mask >> d & 1)


@_rule("sum", "sum_dim", "mean", "mean_dim")
def _sum(s: Application, dz: Tensor) -> Gradients:
    shape = s.shape_of(0)
    over = _over(s.numbers[0], len(shape))
    kept = [1 if d in over else n for d, n in enumerate(shape)]
    g = dz.reshape(kept).expand(shape)
    return [(0, g if s.p[0] == 1 else g * s.p[0])]


@_rule("cumsum")
def _cumsum(s: Application, dz: Tensor) -> Gradients:
    if not dz.ndim:
        return [(0, dz)]
    dim = s.numbers[0]
    return [(0, dz.flip(dim).cumsum(dim).flip(dim))]


@_rule("cat")
def _cat(s: Application, dz: Tensor) -> Gradients:
    at, dim = 0, s.numbers[0]
    for k in range(s.count):
        shape = s.shape_of(k)
        if shape == (0,):  # as cat has it, whatever the others' rank is
            continue
        yield k, dz.narrow(dim, at, shape[dim])
        at += shape[dim]


@_rule("stack")
def _stack(s: Application, dz: Tensor) -> Gradients:
    return [(k, dz.narrow(s.numbers[0], k, 1)) for k in range(s.count)]


# ---- products ------------------------------------------------------------------------------------


@_rule("matmul")
def _matmul(s: Application, dz: Tensor) -> Gradients:
    a, b = s.operands
    left, right = a.ndim == 1, b.ndim == 1
    a, b = a.unsqueeze(0) if left else a, b.unsqueeze(1) if right else b
    dz = dz.unsqueeze(-1) if right else dz
    dz = dz.unsqueeze(-2) if left else dz
    if s.wants(0):
        g = (dz @ b.mT).sum_to_size(a.shape)
        yield 0, g.squeeze(0) if left else g
    if s.wants(1):
        g = (a.mT @ dz).sum_to_size(b.shape)
        yield 1, g.squeeze(1) if right else g


@_rule("linear")
def _linear(s: Application, dz: Tensor) -> Gradients:
    """x @ weight + bias; F.linear's weight comes transposed."""
    x, weight = s.operands[:2]
    rows = dz.reshape(-1, weight.shape[1])
    if s.wants(0):
        yield 0, (rows @ weight.mT).reshape(x.shape)
    if s.wants(1):
        yield 1, x.reshape(-1, weight.shape[0]).mT @ rows
    if s.count > 2 and s.wants(2):
        yield 2, rows


# ---- softmax and its losses ----------------------------------------------------------------------


@_rule("softmax")
def _softmax(s: Application, dz: Tensor) -> Gradients:
    g = dz * s.z
    return [(0, g - s.z * g.sum(s.numbers[0], True) if g.ndim else g - s.z * g)]


@_rule("log_softmax")
def _log_softmax(s: Application, dz: Tensor) -> Gradients:
    return [(0, dz - s.z.exp() * (dz.sum(s.numbers[0], True) if dz.ndim else dz))]


@_rule("cross_entropy")
def _cross_entropy(s: Application, dz: Tensor) -> Gradients:
    """From the derivatives, scale * (softmax - 1 at the target), comes which class is meant: where
    they fall short of softmax. Rows that do not count have none."""
    rows, classes, reduction, counted = s.numbers
    scale = 1.0 if reduction != 1 else 1 / counted if counted else 0.0
    _, at, local, _ = s.edges()
    local_of = np.zeros((rows, classes))
    operand = s.places(0)
    where = np.full(int(operand.max(initial=0)) + 1, -1)
    where[operand] = np.arange(rows * classes)
    local_of.reshape(-1)[where[at - s.first_of(0)]] = local
    counts = np.zeros(rows, np.bool_)
    counts[np.unique(where[at - s.first_of(0)] // classes)] = True
    p = s.x.softmax(1)
    target = np.argmax(_core.array_of(p) - local_of / (scale or 1.0), 1)
    hit = np.eye(classes)[target] * counts[:, None]
    factor = rnn.tensor(scale * counts[:, None].astype(np.float64), dtype=dz.dtype)
    constant = rnn.tensor(scale * hit, dtype=dz.dtype)
    return [(0, dz.reshape(-1, 1) * (p * factor - constant))]


# ---- what is computed again ----------------------------------------------------------------------


def _again(function: Callable[..., Any]) -> Rule:
    """Of function(application, *copies of the operands): its composition, differentiated."""

    def rule(s: Application, dz: Tensor) -> Gradients:
        return s.through(function, dz)

    return rule


for _name in (
    "gelu", "gelu_tanh", "silu", "mish", "softplus", "hardsigmoid", "hardswish",
):  # fmt: skip
    RULES[op(_name)] = _again(lambda s, a: compose.unary[s.op](a, s.p[0], s.p[1]))


@_rule("var", "std", "vector_norm", "logsumexp", "prod", "prod_dim")
def _reduction(s: Application, dz: Tensor) -> Gradients:
    over = _over(s.numbers[0], len(s.shape_of(0)))
    compute = compose_reduce.reductions[s.op]
    return s.through(lambda s, a: compute(a, over, False, s.p[1]).reshape(s.shape), dz)


@_rule("cumprod", "logcumsumexp")
def _scan(s: Application, dz: Tensor) -> Gradients:
    return s.through(lambda s, a: compose_reduce.scans[s.op](a, s.numbers[0]), dz)


def _given(flags: list[int], rest: tuple[Any, ...], shape: tuple[int, ...]) -> list[Any]:
    """The weight and the bias, each None where it is not given, in a shape."""
    parameters = iter(rest)
    return [next(parameters).reshape(shape) if flag else None for flag in flags]


@_rule("layer_norm", "rms_norm")
def _row_norm(s: Application, dz: Tensor) -> Gradients:
    from rnn.nn.functional.norm import _compose_layer_norm, _compose_rms_norm

    rows, length, *flags = s.numbers
    compose = _compose_layer_norm if s.op == op("layer_norm") else _compose_rms_norm

    def compute(s: Application, x: Tensor, *rest: Any) -> Tensor:
        weight, bias = _given(flags, rest, (length,))
        return compose(x.reshape(rows, length), 1, weight, bias, s.p[0]).reshape(s.shape)

    return s.through(compute, dz)


@_rule("batch_norm")
def _batch_norm(s: Application, dz: Tensor) -> Gradients:
    """By given statistics an element depends on itself and the parameters alone."""
    from rnn.nn.functional.norm import _by_channel, _compose_batch_norm

    training, *flags = s.numbers[:3]

    def compute(s: Application, x: Tensor, *rest: Any) -> Tensor:
        weight, bias = _given(flags, rest, (-1,))
        if training:
            return _compose_batch_norm(x, None, None, weight, bias, True, 0.0, s.p[0])
        bits = np.array(s.numbers[3:], np.int64).view(np.float64).reshape(-1, 2)
        mean, rstd, weight, bias = (
            t if t is None else _by_channel(t, x.ndim)
            for t in (*[rnn.tensor(bits[:, i], dtype=x.dtype) for i in (0, 1)], weight, bias)
        )
        out = (x - mean) * rstd
        out = out if weight is None else out * weight
        return out if bias is None else out + bias

    return s.through(compute, dz)


@_rule("conv2d")
def _conv2d(s: Application, dz: Tensor) -> Gradients:
    from rnn.nn.functional.conv import _compose_conv2d

    n = s.numbers

    def compute(s: Application, x: Tensor, weight: Tensor, bias: Any = None) -> Tensor:
        return _compose_conv2d(x, weight, bias, tuple(n[0:2]), tuple(n[2:4]), tuple(n[4:6]), n[6])

    return s.through(compute, dz)


@_rule("attention")
def _attention(s: Application, dz: Tensor) -> Gradients:
    """The span is (B, T, heads, D); queries are (B, heads, T, D)."""
    from rnn.nn.functional.attention import _weights

    def compute(s: Application, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        weights = _weights(q, k, None, 0.0, bool(s.numbers[0]), s.p[0])
        return (weights @ v).transpose(1, 2)

    return s.through(compute, dz)


@_rule("rnn_tanh", "rnn_relu", "lstm", "gru")
def _recurrent(s: Application, dz: Tensor) -> Gradients:
    from rnn.nn.functional._recurrent import _compose

    reverse, packed, bias, h0, c0, _, *sizes = s.numbers

    def compute(s: Application, *t: Tensor) -> Tensor:
        b, h, c = (t[place] if place else None for place in (bias, h0, c0))
        return _compose(s.op, t[0], t[1], b, h, c, bool(reverse), sizes if packed else None)

    return s.through(compute, dz)

"""What one element of a fused operation is, as a program on the numbers that it was made from.

An opener takes the operation's span, the element's index and the operand elements that the engine's
`edges` lists, in their order, as a 1-d tensor; at scalar resolution it computes the element again,
and so records it as additions, multiplications, powers, exponentials and logarithms.

What it is not: it looks at no graph, and records in no graph of the user's (opened.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import rnn
from rnn._c import lib, op
from rnn.inspect.span import Span
from rnn.nn import functional as F
from rnn.ops import elementwise
from rnn.ops._core import Array, array_of


@dataclass(frozen=True)
class Element:
    """The element that is opened."""

    span: Span
    index: tuple[int, ...]
    local: Array
    """its derivatives by the operand elements, in their order"""
    own: int
    """which of these is the element of the first operand at the same index; -1: none"""


Opener = Callable[[Element, Any], Any]
"""(element, operand elements) -> a tensor of one element"""

OPENERS: dict[int, Opener] = {}


def _opens(*names: str) -> Callable[[Opener], Opener]:
    def register(function: Opener) -> Opener:
        for name in names:
            OPENERS[op(name)] = function
        return function

    return register


def opener_of(span: Span) -> Opener | None:
    """The opener of a span's operation; None where it only moves values, or is not known."""
    number: int = span._info.op
    if lib.rnn_op_elementwise(number):
        return _elementwise
    return OPENERS.get(number)


# ---- element by element --------------------------------------------------------------------------


def _elementwise(e: Element, x: Any) -> Any:
    number, p = e.span._info.op, e.span._info.p
    if lib.rnn_op_arity(number) == 1:
        return elementwise.unary(number, x[0], p[0], p[1])
    return elementwise.binary(number, x[0], x[1], p[0])


# ---- reductions ----------------------------------------------------------------------------------

_REDUCTIONS: dict[str, Callable[[Any, float], Any]] = {
    "sum": lambda x, p: x.sum(),
    "sum_dim": lambda x, p: x.sum(),
    "mean": lambda x, p: x.mean(),
    "mean_dim": lambda x, p: x.mean(),
    "var": lambda x, p: x.var(correction=p),
    "std": lambda x, p: x.std(correction=p),
    "vector_norm": lambda x, p: x.norm(p=p),
    "logsumexp": lambda x, p: x.logsumexp(0),
    "prod": lambda x, p: x.prod(),
    "prod_dim": lambda x, p: x.prod(),
    "amax": lambda x, p: x.amax(),
    "amin": lambda x, p: x.amin(),
    "max": lambda x, p: x.max(),
    "min": lambda x, p: x.min(),
    "median": lambda x, p: x.median(),
    "nanmedian": lambda x, p: x.nanmedian(),
}


@_opens(*_REDUCTIONS)
def _reduction(e: Element, x: Any) -> Any:
    return _REDUCTIONS[e.span.op](x, e.span._info.p[1])


@_opens("scatter_add")
def _added(e: Element, x: Any) -> Any:
    """What was there, and all that was added to it."""
    return x.sum()


@_opens("cumsum", "cumprod", "logcumsumexp")
def _running(e: Element, x: Any) -> Any:
    """From the running value before and the new element, as edges has it."""
    if len(x) == 1:
        return x.cumsum(0)[0]
    return {"cumsum": x.sum, "cumprod": x.prod}.get(e.span.op, lambda: x.logsumexp(0))()


# ---- products ------------------------------------------------------------------------------------


@_opens("matmul", "linear", "conv2d")
def _product(e: Element, x: Any) -> Any:
    """Pairs of factors, then perhaps a bias."""
    pairs = x[: len(x) // 2 * 2].view(-1, 2)
    bias = x[-1:] if len(x) % 2 else None
    return F.linear(pairs[:, 0].view(1, -1), pairs[:, 1].view(1, -1), bias)


@_opens("avg_pool2d")
def _average(e: Element, x: Any) -> Any:
    return x.sum() * float(e.local[0])


@_opens("max_pool2d")
def _taken(e: Element, x: Any) -> Any:
    """Its composition is a gather from where the maximum was found."""
    return x[[0]]


# ---- normalisations ------------------------------------------------------------------------------


@_opens("softmax", "log_softmax")
def _softmax(e: Element, x: Any) -> Any:
    return (x.softmax(0) if e.span.op == "softmax" else x.log_softmax(0))[e.own]


@_opens("layer_norm", "rms_norm")
def _row_norm(e: Element, x: Any) -> Any:
    n, eps = len(x) - len(e.span.operands) + 1, e.span._info.p[0]
    norm = F.layer_norm if e.span.op == "layer_norm" else F.rms_norm
    return _affine(norm(x[:n], (n,), eps=eps)[e.own], x[n:])


def _affine(z: Any, numbers: Any) -> Any:
    """z times the first number plus the second, where they are given."""
    z = z * numbers[0] if len(numbers) else z
    return z + numbers[1] if len(numbers) > 1 else z


@_opens("batch_norm")
def _batch_norm(e: Element, x: Any) -> Any:
    """Weight and bias come first; then the channel's elements, or the one that is normalised by
    given statistics, which are constants."""
    affine, eps = len(e.span.operands) - 1, e.span._info.p[0]
    numbers, row = x[:affine], x[affine:]
    if len(row) > 1:
        z = F.batch_norm(row.view(-1, 1), None, None, training=True, eps=eps)[e.own - affine, 0]
        return _affine(z, numbers)
    scale = float(e.local[affine]) / (float(numbers[0]) if affine else 1.0)
    z = float(e.local[0]) if affine else float(e.span.values()[e.index])
    return _affine(row[0] * scale + (z - float(row[0]) * scale), numbers)


# ---- losses and attention ------------------------------------------------------------------------


@_opens("cross_entropy")
def _cross_entropy(e: Element, x: Any) -> Any:
    """The rows that count. Which class is meant is where softmax and derivative differ most."""
    classes = e.span.operands[0].shape[1]
    rows = x.view(-1, classes)
    if not len(rows):
        return x.sum()
    values = array_of(rows.detach())
    p = np.exp(values - values.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    mean, target = 1.0 / len(rows), None
    for scale in (mean, 1.0):
        target = np.argmax(p - e.local.reshape(p.shape) / scale, 1)
        if np.allclose(e.local.reshape(p.shape), scale * (p - np.eye(classes)[target]), 1e-3, 1e-6):
            break
    reduction = "mean" if scale == mean else "sum"
    return F.cross_entropy(rows, rnn.tensor(target), reduction=reduction)


@_opens("attention")
def _attention(e: Element, x: Any) -> Any:
    """For each key that is seen: the value's element, then (key, query) element by element."""
    depth = e.span.operands[0].shape[-1]
    rows = x.view(-1, 1 + 2 * depth)
    v, pairs = rows[:, :1], rows[:, 1:].reshape(-1, depth, 2)
    q, k = pairs[:1, :, 1], pairs[:, :, 0]
    z = F.scaled_dot_product_attention(q[None, None], k[None, None], v[None, None],
                                       scale=e.span._info.p[0])  # fmt: skip
    return z.view(1)


# ---- recurrent cells -----------------------------------------------------------------------------


class _Gates:
    """The sums of a cell's gates, taken one by one from the operand elements."""

    def __init__(self, x: Any, sums: int, hidden: int, before: int) -> None:
        """before: how many elements come before the sums."""
        self.x, self.at = x, before
        each = (len(x) - before) // sums
        self.bias = (each - 1) % (2 * hidden)
        self.pairs = (each - 1 - self.bias) // 2

    def take(self, count: int) -> Any:
        self.at += count
        return self.x[self.at - count : self.at]

    def state(self) -> Any:
        """The state's share: a bias, and weights times states; None where there is neither."""
        bias = self.take(self.bias)
        pairs = self.take(2 * self.pairs).view(-1, 2)
        z = (pairs[:, 0] * pairs[:, 1]).sum() if self.pairs else None
        return z if not self.bias else bias[0] if z is None else bias[0] + z

    def sum(self) -> Any:
        x, state = self.take(1)[0], self.state()
        return x if state is None else x + state


@_opens("rnn_tanh", "rnn_relu")
def _elman(e: Element, x: Any) -> Any:
    z = _Gates(x, 1, e.span.shape[-1], 0).sum()
    return z.tanh() if e.span.op == "rnn_tanh" else z.relu()


@_opens("lstm")
def _lstm(e: Element, x: Any) -> Any:
    hidden = e.span.shape[-1]
    if e.index[-2]:  # h = sigmoid(o) tanh(c)
        return _Gates(x, 1, hidden, 1).sum().sigmoid() * x[0].tanh()
    before = len(x) % 3
    gates = _Gates(x, 3, hidden, before)
    i, f, g = gates.sum().sigmoid(), gates.sum().sigmoid(), gates.sum().tanh()
    return f * x[0] + i * g if before else i * g


@_opens("gru")
def _gru(e: Element, x: Any) -> Any:
    before = len(x) % 3
    gates = _Gates(x, 3, e.span.shape[-1], before)
    r, z = gates.sum().sigmoid(), gates.sum().sigmoid()
    new, state = gates.take(1)[0], gates.state()
    n = (new if state is None else new + r * state).tanh()
    return (1 - z) * n + z * x[0] if before else (1 - z) * n

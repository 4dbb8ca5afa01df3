"""One direction of one recurrent layer over all steps: what nn.RNN, LSTM, GRU and their cells call.

The input's share is one product for all steps; from state to state it is one span, fused in C
(recurrent.c). The composition goes step by step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rnn
from rnn import _c
from rnn._c import COMPOSE, EDTYPE, ETYPE, E, adopt, fail, ffi, lib, op
from rnn.nn.functional._common import handle
from rnn.nn.functional.linear import linear, refuse_dtypes

if TYPE_CHECKING:
    from rnn.tensor import Tensor

OPS = {"RNN_TANH": op("rnn_tanh"), "RNN_RELU": op("rnn_relu"), "LSTM": op("lstm"), "GRU": op("gru")}
_LSTM = OPS["LSTM"]


def layer(
    number: int,
    x: Tensor,
    weights: tuple[Tensor, Tensor, Tensor | None, Tensor | None],
    h0: Tensor | None,
    c0: Tensor | None = None,
    reverse: bool = False,
    sizes: list[int] | None = None,
    batch_first: bool = False,
) -> Tensor:
    """The states after every step.

    Args:
        number: the operation, of OPS.
        x: (T, B, I); with sizes (rows, I).
        weights: w_ih (G H, I), w_hh (G H, H), and biases (G H,) or None.
        h0, c0: (B, H), or None for zeros.
        reverse: from the last step to the first; the result is in the order in which it was made.
        sizes: how many rows of the batch are left at each step, never more than before.
        batch_first: x is (B, T, I).

    Returns:
        (T, B, H), or (rows, H); of an LSTM (.., 2, H), c before h.
    """
    w_ih, w_hh, b_ih, b_hh = weights
    sums = linear(x, w_ih, b_ih)
    if batch_first:
        sums = sums.transpose(0, 1)
    numbers = ffi.NULL if sizes is None else _c.dims(sizes)
    steps = 0 if sizes is None else len(sizes)
    h = lib.rnn_recurrent(
        E, number, sums._h, w_hh._h, handle(b_hh), handle(h0), handle(c0), reverse, steps, numbers
    )
    if h > 0:
        return adopt(h)
    if h == COMPOSE:
        return _compose(number, sums, w_hh, b_hh, h0, c0, reverse, sizes)
    if h in (EDTYPE, ETYPE):
        for state in (h0, c0):
            if state is not None and state.dtype is not w_hh.dtype:
                refuse_dtypes(state, w_hh, b_hh)
    fail(h)


def _compose(
    number: int, sums: Tensor, weight: Tensor, bias: Any, h: Any, c: Any, reverse: bool, sizes: Any
) -> Tensor:
    steps = list(sums.unbind(0)) if sizes is None else list(sums.split(sizes))
    if reverse:
        steps.reverse()
    zeros = None
    if h is None or (c is None and number == _LSTM):
        batch = sums._shape[1] if sizes is None else sizes[0]
        zeros = rnn.zeros(batch, weight._shape[1], dtype=sums.dtype)
    h, c = zeros if h is None else h, zeros if c is None else c
    states = []
    for x in steps:
        rows = x._shape[0]
        h, c = (t if t is None or t._shape[0] == rows else t[:rows] for t in (h, c))
        if number == _LSTM:
            h, c = lstm_step(x + linear(h, weight, bias), c)
            states.append(rnn.stack([c, h], 1))
            continue
        s = linear(h, weight, bias)
        if number == OPS["GRU"]:
            h = gru_step(x, s, h)
        else:
            h = (x + s).tanh() if number == OPS["RNN_TANH"] else (x + s).relu()
        states.append(h)
    return rnn.stack(states) if sizes is None else rnn.cat(states)


def lstm_step(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """h and c after a step, from the gates' sums (B, 4 H) and the c before (Hochreiter and
    Schmidhuber 1997).
    """
    i, f, g, o = gates.chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def gru_step(x: Tensor, s: Tensor, h: Tensor) -> Tensor:
    """h after a step, from the input's and the state's share of the sums (B, 3 H) (Cho et al.
    2014).
    """
    (x_r, x_z, x_n), (s_r, s_z, s_n) = x.chunk(3, 1), s.chunk(3, 1)
    n = (x_n + (x_r + s_r).sigmoid() * s_n).tanh()
    return n + (x_z + s_z).sigmoid() * (h - n)

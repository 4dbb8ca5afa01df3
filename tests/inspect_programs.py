"""Random small programs for the tests of rnn.inspect: the same steps in rnn and in torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from helpers import to_rnn
from hypothesis import strategies as st

import rnn

Step = Callable[[Any, Any, Any, Any], Any]  # module, h, x, w -> h, all but w of shape (2, 3)

STEPS: dict[str, Step] = {
    "matmul": lambda m, h, x, w: h @ w,
    "linear": lambda m, h, x, w: m.nn.functional.linear(h, w, w[0]),
    "tanh": lambda m, h, x, w: h.tanh(),
    "softmax": lambda m, h, x, w: h.softmax(-1),
    "log_softmax": lambda m, h, x, w: h.log_softmax(0),
    "square": lambda m, h, x, w: h * h,
    "add x": lambda m, h, x, w: h + x,
    "mul x": lambda m, h, x, w: h * x,
    "centre": lambda m, h, x, w: h - h.mean(-1, keepdim=True),
    "spread": lambda m, h, x, w: h[:, :1].expand(2, 3) + h.var(),
    "layer_norm": lambda m, h, x, w: m.nn.functional.layer_norm(h, (3,), w[0], w[1]),
    "relu": lambda m, h, x, w: m.relu(h - 0.1),
    "cumsum": lambda m, h, x, w: h.cumsum(1),
    "rows": lambda m, h, x, w: h[[1, 1]],
    "transpose": lambda m, h, x, w: h.T.reshape(2, 3),
    "where": lambda m, h, x, w: m.where(x > 0, h, -x),
    "cat": lambda m, h, x, w: m.cat([h[:, 1:], x[:, :1]], 1),
    "attention": lambda m, h, x, w: m.nn.functional.scaled_dot_product_attention(
        h.view(1, 1, 2, 3), x.view(1, 1, 2, 3), h.view(1, 1, 2, 3), is_causal=True
    ).reshape(2, 3),
}  # fmt: skip

programs = st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=6)


def run(module: Any, names: list[str], seed: int, shift: float = 0) -> tuple[Any, Any, Any]:
    """x (2, 3), w (3, 3), both leaves, and the loss that the steps and a weighted sum make; x[1, 1]
    is shifted.
    """
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=(2, 3)), rng.normal(size=(3, 3)), rng.normal(size=(2, 3))]
    arrays[0][1, 1] += shift
    make = to_rnn if module is rnn else torch.tensor
    x, w = (make(a, requires_grad=True) for a in arrays[:2])
    h = x
    for name in names:
        h = STEPS[name](module, h, x, w)
    return x, w, (h * make(arrays[2])).sum()


def gradients(names: list[str], seed: int) -> list[np.ndarray]:
    """torch's, of x and of w; zeros where there are none."""
    x, w, loss = run(torch, names, seed)
    found = torch.autograd.grad(loss, [x, w], allow_unused=True, materialize_grads=True)
    return [g.numpy() for g in found]

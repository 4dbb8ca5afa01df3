"""Activations that are more than one row of the table: softmax and its kind, gumbel_softmax, rrelu
(torch.nn.functional).

The others are rnn/ops/activation.py's and rnn/ops/unary.py's; __init__.py exports them beside
these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import rnn
from rnn._shown import shown_as
from rnn._warn import warn_user
from rnn.ops import _core, unary
from rnn.ops.elementwise import in_place

if TYPE_CHECKING:
    from rnn.tensor import Tensor


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """x where it is positive, else 0 (torch.nn.functional.relu).

    Example:
        >>> F.relu(rnn.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """
    return unary.relu_(input) if inplace else unary.relu(input)


def _dim(name: str, ndim: int) -> int:
    """PyTorch's choice where no dim is given, with its warning."""
    warn_user(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include "
        "dim=X as an argument.",
    )
    return 0 if ndim in (0, 1, 3) else 1


def softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """exp(input), divided by its sum over dim (torch.nn.functional.softmax).

    Example:
        >>> F.softmax(rnn.tensor([[0.0, 0.0], [1.0, 3.0]]), 1)
        tensor([[0.5000, 0.5000],
                [0.1192, 0.8808]])
    """
    if dim is None:
        dim = _dim("softmax", len(input._shape))
    return input.softmax(dim, dtype=dtype)


def softmin(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """softmax(-input) (torch.nn.functional.softmin).

    Example:
        >>> F.softmin(rnn.tensor([1.0, 3.0]), 0)
        tensor([0.8808, 0.1192])
    """
    if dim is None:
        dim = _dim("softmin", len(input._shape))
    return (-input).softmax(dim, dtype=dtype)


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """The logarithm of softmax, without its underflow (torch.nn.functional.log_softmax).

    Example:
        >>> F.log_softmax(rnn.tensor([[0.0, 0.0]]), 1)
        tensor([[-0.6931, -0.6931]])
    """
    if dim is None:
        dim = _dim("log_softmax", len(input._shape))
    return input.log_softmax(dim, dtype=dtype)


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """A random choice by softmax(logits) that gradients pass through (Jang et al. 2017;
    torch.nn.functional.gumbel_softmax).

    Args:
        tau: the temperature; near 0 the choice is nearly one-hot.
        hard: one-hot in value, soft in gradient.
        eps: has no effect.

    Example:
        >>> float(F.gumbel_softmax(rnn.zeros(3), hard=True).sum())
        1.0
    """
    noise = -rnn.empty_like(logits, requires_grad=False).exponential_().log()
    soft = ((logits + noise) / tau).softmax(dim)
    if not hard:
        return soft
    index = soft.detach().argmax(dim, keepdim=True)
    chosen = rnn.zeros_like(soft.detach()).scatter_(dim, index, 1.0)
    return chosen - soft.detach() + soft


@shown_as("RreluWithNoiseBackward0")
def rrelu(
    input: Tensor,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """x where it is positive, else x times a slope: random between lower and upper in training,
    their mean else (Xu et al. 2015; torch.nn.functional.rrelu).

    Example:
        >>> F.rrelu(rnn.tensor([-1.0, 2.0]), 0.1, 0.3)
        tensor([-0.2000,  2.0000])
    """
    if lower > upper:
        raise RuntimeError("Lower bound should be less than or equal to the upper bound")
    if not training:
        return rnn.nn.functional.leaky_relu(input, (lower + upper) / 2, inplace)
    _core.floats_only("rrelu_with_noise_out_cpu", input)
    values = _core.array_of(input)
    slopes = np.ones(values.shape)
    below = values <= 0
    drawn = rnn.empty(int(below.sum()), dtype=rnn.float64).uniform_(lower, upper)
    slopes[below] = _core.array_of(drawn)
    made: Tensor = input * _core.nodes(slopes.astype(values.dtype))
    return in_place(input, made) if inplace else made


def rrelu_(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False
) -> Tensor:
    """rrelu, in place (torch.nn.functional.rrelu_)."""
    return rrelu(input, lower, upper, training, True)

"""Losses of numbers and of probabilities (torch.nn.functional). Each takes reduction "mean", "sum"
or "none", and PyTorch's older size_average, reduce. Of classes: class_loss.py; of margins:
margin_loss.py.

mse_loss, smooth_l1_loss, huber_loss and the binary cross-entropies are a row of csrc/ops.h and a
mean. What those rows mean at scalar resolution stands at the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import rnn
from rnn._c import op
from rnn._shown import show_as
from rnn._warn import warn_user
from rnn.nn.functional._common import check_reduction, elementwise_loss, reduced, reduction_of
from rnn.ops import _core, compose
from rnn.ops.activation import logsigmoid
from rnn.ops.elementwise import binary
from rnn.ops.selection import where

if TYPE_CHECKING:
    from rnn.tensor import Tensor

_MSE, _SMOOTH_L1, _HUBER = op("mse_loss"), op("smooth_l1_loss"), op("huber_loss")
_BCE, _BCE_LOGITS = op("binary_cross_entropy"), op("binary_cross_entropy_with_logits")


def _warn_of_sizes(input: Tensor, target: Tensor) -> None:
    """PyTorch's warning where shapes differ and will be broadcast."""
    if input._shape != target._shape:
        warn_user(
            f"Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}). This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size.",
        )


def _some_floats(kernel: str, input: Tensor, target: Tensor) -> None:
    """PyTorch's kernel of this name computes floats only.

    Raises:
        NotImplementedError: input and target both hold integers.
    """
    if not (input._h or target._h):
        kind = _core.type_name(_core.result_dtype(input, target))
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{kind}'")


def written(losses: Tensor, like: Tensor) -> Tensor:
    """losses in the dtype of `like`: PyTorch writes some losses into a tensor made as that one."""
    return losses if losses.dtype == like.dtype else losses.to(like.dtype)


def _check_weight(input: Tensor, weight: Tensor | None) -> None:
    """Raises:
    ValueError: weight has not the input's shape.
    """
    if weight is not None and weight._shape != input._shape:
        raise ValueError("Weights and input must have the same size.")


def _weigh(losses: Tensor, input: Tensor, weight: Any, reduction: str) -> Tensor:
    """losses times weight, reduced; "mean" divides by the weights.

    Raises:
        ValueError: weight has not the input's shape.
    """
    _check_weight(input, weight)
    losses = losses * weight
    if reduction != "mean":
        return reduced(losses, reduction)
    return losses.sum() / weight.sum()


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(input - target)^2 (torch.nn.functional.mse_loss).

    Args:
        input, target: any shapes that broadcast; weight: the input's shape.

    Raises:
        ValueError: weight has another shape, or reduction is unknown.
        NotImplementedError: input and target both hold integers.

    Example:
        >>> F.mse_loss(rnn.tensor([1.0, 4.0]), rnn.tensor([2.0, 2.0]))
        tensor(2.5000)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    _warn_of_sizes(input, target)
    if weight is not None:
        floats = input._h and target._h
        losses = binary(_MSE, input, target) if floats else (input - target) ** 2
        return _weigh(losses, input, weight, reduction)
    _some_floats("mse_cpu", input, target)
    return elementwise_loss(_MSE, input, target, reduction)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """|input - target| (torch.nn.functional.l1_loss).

    Args:
        input, target: any shapes that broadcast; weight: the input's shape.

    Raises:
        ValueError: weight has another shape, or reduction is unknown.

    Example:
        >>> F.l1_loss(rnn.tensor([1.0, 4.0]), rnn.tensor([2.0, 2.0]))
        tensor(1.5000)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    _warn_of_sizes(input, target)
    losses = (input - target).abs()
    if weight is None:
        return reduced(losses, reduction)
    return _weigh(losses, input, weight, reduction)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """d^2 / (2 beta) where |d| < beta, else |d| - beta / 2 (torch.nn.functional.smooth_l1_loss).

    Args:
        input, target: any shapes that broadcast.

    Raises:
        RuntimeError: beta is negative.

    Example:
        >>> F.smooth_l1_loss(rnn.tensor([0.5, 3.0]), rnn.zeros(2), reduction="none")
        tensor([0.1250, 2.5000])
    """
    reduction = reduction_of(reduction, size_average, reduce)
    _warn_of_sizes(input, target)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    if beta == 0:
        return reduced((input - target).abs(), reduction)
    _some_floats("smooth_l1_cpu", input, target)
    return elementwise_loss(_SMOOTH_L1, input, target, reduction, beta)


def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2) (Huber 1964;
    torch.nn.functional.huber_loss).

    Args:
        input, target: any shapes that broadcast; weight: the input's shape.

    Raises:
        RuntimeError: delta is not positive.
        ValueError: weight has another shape, or reduction is unknown.

    Example:
        >>> F.huber_loss(rnn.tensor([0.5, 3.0]), rnn.zeros(2), reduction="none")
        tensor([0.1250, 2.5000])
    """
    reduction = reduction_of(reduction)
    _warn_of_sizes(input, target)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    _check_weight(input, weight)
    if not input._h:
        _core.check_cast(_core.result_dtype(input, target), input.dtype)
    _some_floats("huber_cpu", input, target)
    if weight is None and input.dtype == target.dtype:
        return elementwise_loss(_HUBER, input, target, reduction, delta)
    losses = written(binary(_HUBER, input, target, delta), input)
    return reduced(losses if weight is None else losses * weight, reduction)


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """-(target log input + (1 - target) log(1 - input)), logarithms no less than -100
    (torch.nn.functional.binary_cross_entropy).

    Args:
        input, target: of one shape; weight: broadcast.

    Raises:
        ValueError: the shapes differ.
        RuntimeError: an input is outside 0 .. 1, or the dtypes differ.

    Example:
        >>> F.binary_cross_entropy(rnn.tensor([0.5, 0.9]), rnn.tensor([1.0, 1.0]))
        tensor(0.3993)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if input._shape != target._shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}) is deprecated. Please ensure they have the same size."
        )
    kinds = [_core.type_name(_core.dtype_of(t)) for t in (input, target)]
    if kinds[0] != kinds[1]:
        raise RuntimeError(f"Found dtype {kinds[1]} but expected {kinds[0]}")
    _core.floats_only("binary_cross_entropy", input)
    values = _core.array_of(input)
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise RuntimeError("all elements of input should be between 0 and 1")
    if weight is None:
        return elementwise_loss(_BCE, input, target, reduction)
    return reduced(written(binary(_BCE, input, target) * weight, input), reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """binary_cross_entropy of sigmoid(input), without its overflow (torch.nn.functional's of this
    name).

    Args:
        input, target: of one shape; weight: broadcast.
        pos_weight: a factor for the part of the positive targets, broadcast.

    Raises:
        ValueError: the shapes differ.
        RuntimeError, NotImplementedError: target, or input, holds integers.

    Example:
        >>> F.binary_cross_entropy_with_logits(rnn.tensor([0.0]), rnn.tensor([1.0]))
        tensor(0.6931)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if input._shape != target._shape:
        raise ValueError(
            f"Target size ({target.shape}) must be the same as input size ({input.shape})"
        )
    _core.floats_only("log_sigmoid_cpu", input)
    if not target._h:
        target = rnn.ones_like(target) - target  # an error for bool
        kinds = [_core.type_name(_core.dtype_of(t)) for t in (input, target)]
        raise RuntimeError(
            f"result type {kinds[0]} can't be cast to the desired output type {kinds[1]}"
        )
    if pos_weight is None and weight is None and input.dtype == target.dtype:
        return elementwise_loss(_BCE_LOGITS, input, target, reduction)
    if pos_weight is None:
        losses = binary(_BCE_LOGITS, input, target)
    else:
        losses = (1 - target) * input - ((pos_weight - 1) * target + 1) * logsigmoid(input)  # type: ignore[assignment]
    losses = written(losses if weight is None else losses * weight, target)
    return show_as(reduced(losses, reduction), "BinaryCrossEntropyWithLogitsBackward0")


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """target (log target - input), input being log-probabilities (torch.nn.functional.kl_div).

    Args:
        input, target: any shapes that broadcast.
        reduction: also "batchmean": the sum over the first dimension's size.
        log_target: target holds log-probabilities too.

    Raises:
        RuntimeError: input or target holds integers.

    Example:
        >>> F.kl_div(rnn.tensor([0.5, 0.5]).log(), rnn.tensor([0.25, 0.75]), reduction="sum")
        tensor(0.1308)
    """
    if reduction != "batchmean":
        reduction = reduction_of(reduction, size_average, reduce)
    _core.check_tensors("kl_div", input=input, target=target)
    if not (input._h and target._h):
        raise RuntimeError("kl_div: Integral inputs not supported.")
    if reduction == "mean":
        warn_user(
            "reduction: 'mean' divides the total loss by both the batch size and the support "
            "size.'batchmean' divides only by the batch size, and aligns with the KL div math "
            "definition.'mean' will be changed to behave the same as 'batchmean' in the next major "
            "release.",
        )
    losses = (
        target.exp() * (target - input) if log_target else target.xlogy(target) - target * input
    )
    if reduction == "batchmean":
        total: Tensor = losses.sum()
        return total / input._shape[0] if input._shape else total
    return reduced(losses, reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: Any = None,
    eps: float = 1e-8,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """exp(input) - target input, or input - target log(input + eps)
    (torch.nn.functional.poisson_nll_loss).

    Args:
        input, target: any shapes that broadcast.
        full: add Stirling's approximation of log(target!).

    Example:
        >>> F.poisson_nll_loss(rnn.zeros(1), rnn.tensor([2.0]))
        tensor(1.)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    losses = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        safe = where(target > 1, target, 1.0)
        stirling = target * safe.log() - target + (safe * (2 * math.pi)).log() * 0.5
        losses = losses + where(target > 1, stirling, 0.0)
    return reduced(losses, reduction)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Any,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """0.5 (log var + (input - target)^2 / var), var at least eps
    (torch.nn.functional.gaussian_nll_loss).

    Args:
        input, target: any shapes that broadcast.
        var: of the input's shape, or without its last dimension, or a number.

    Raises:
        ValueError: var is negative somewhere, or its shape does not fit.
        RuntimeError: var holds integers.

    Example:
        >>> F.gaussian_nll_loss(rnn.tensor([1.0]), rnn.tensor([3.0]), rnn.tensor([4.0]))
        tensor(1.1931)
    """
    if isinstance(var, float):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = rnn.full_like(input, var, requires_grad=False)
    elif _core.array_of(var).size and _core.array_of(var).min() < 0:
        raise ValueError("var has negative entry/entries")
    if var._shape != input._shape:
        if input._shape[:-1] == var._shape:
            var = var.unsqueeze(-1)
        elif (
            len(input._shape) != len(var._shape)
            or sum(m for n, m in zip(input._shape, var._shape) if n != m) != 1
        ):
            raise ValueError("var is of incorrect size")
    check_reduction(reduction)
    if not var._h:  # PyTorch clamps it in place, to a float
        raise RuntimeError(
            f"result type Float can't be cast to the desired output type {_core.c_name(var.dtype)}"
        )
    raised = var.detach().clamp(min=eps) - var.detach()
    safe = var + raised  # at least eps, with the gradient of var
    losses = (safe.log() + (input - target) ** 2 / safe) * 0.5
    if full:
        losses = losses + 0.5 * math.log(2 * math.pi)
    return reduced(losses, reduction)


# ---- scalar resolution of the rows --------------------------------------------------------------


def _register(number: int) -> Callable[[compose.Binary], compose.Binary]:
    def register(function: compose.Binary) -> compose.Binary:
        compose.binary[number] = function
        return function

    return register


@_register(_MSE)
def _compose_mse(a: Tensor, b: Tensor, p0: float) -> Tensor:
    return (a - b) ** 2


@_register(_SMOOTH_L1)
def _compose_smooth_l1(a: Tensor, b: Tensor, p0: float) -> Tensor:
    size = (a - b).abs()
    return where(size < p0, size**2 * (0.5 / p0), size - 0.5 * p0)


@_register(_HUBER)
def _compose_huber(a: Tensor, b: Tensor, p0: float) -> Tensor:
    size = (a - b).abs()
    return where(size <= p0, size**2 * 0.5, (size - 0.5 * p0) * p0)


@_register(_BCE)
def _compose_bce(a: Tensor, b: Tensor, p0: float) -> Tensor:
    return (b - 1) * (1 - a).log().clamp_min(-100) - b * a.log().clamp_min(-100)  # type: ignore[attr-defined]


@_register(_BCE_LOGITS)
def _compose_bce_logits(a: Tensor, b: Tensor, p0: float) -> Tensor:
    return (1 - b) * a - logsigmoid(a)  # type: ignore[return-value]

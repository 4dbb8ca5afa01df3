"""Losses (torch.nn.functional). Each takes reduction "mean", "sum" or "none", and PyTorch's older
size_average, reduce.

cross_entropy is fused in C (loss.c); mse_loss, smooth_l1_loss, huber_loss and the binary
cross-entropies are a row of csrc/ops.h and a mean. What those rows mean at scalar resolution stands
at the end.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

import rnn
from rnn._c import E, ffi, lib, op
from rnn._shown import show_as, shown_as
from rnn.nn.functional._common import (
    elementwise_loss,
    gather_flat,
    reduced,
    reduction_of,
    result,
)
from rnn.nn.functional.distance import pairwise_distance
from rnn.ops import _core, compose
from rnn.ops.activation import logsigmoid, softplus
from rnn.ops.elementwise import binary
from rnn.ops.selection import where

if TYPE_CHECKING:
    from rnn.tensor import Tensor

# ---- classes ------------------------------------------------------------------------------------


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(input) at the target class (torch.nn.functional.cross_entropy).

    Args:
        input: logits (C,), (N, C) or (N, C, d1, ...).
        target: class indices (), (N,), (N, d1, ...), or class probabilities of the input's shape.
        weight: (C,): a factor for each class.
        ignore_index: a target that counts for nothing.
        reduction: "mean" (over the weights of the targets that count), "sum" or "none".
        label_smoothing: how much of each target is spread over all classes, 0 to 1.

    Raises:
        ValueError, RuntimeError, IndexError: as PyTorch's, where shapes, dtypes or indices do not
        fit.
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if target._h and input._shape == target._shape and ignore_index >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target")
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing:g}")
    if input._shape == target._shape:
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    if input._shape:
        last = "_lastdim" if len(input._shape) < 3 else ""
        _core.floats_only(f"log_softmax{last}_kernel_impl", input)
    classes = _class_indices(input, target)
    _check_weight(input, weight)
    if label_smoothing == 0.0:
        plain = weight is None
        losses = _fused(input, classes, ignore_index, reduction if plain else "none")
        if losses is not None:
            if not plain:
                losses = _weighted(losses, classes, weight, ignore_index, reduction)
            return losses if plain and len(input._shape) < 3 else _shown(losses, input)
    logs = input.log_softmax(0 if len(input._shape) == 1 else 1)
    if label_smoothing == 0.0:
        return _shown(_pick(logs, classes, weight, ignore_index, reduction), input)
    return _smoothed(logs, classes, weight, ignore_index, reduction, label_smoothing)


def _shown(losses: Tensor, input: Tensor) -> Tensor:
    return show_as(losses, "NllLoss2DBackward0" if len(input._shape) > 2 else "NllLossBackward0")


_REDUCTIONS = {"none": 0, "mean": 1, "sum": 2}


def _class_indices(input: Tensor, target: Tensor) -> Any:
    """The int64 array of target classes.

    Raises:
        RuntimeError, ValueError: the shapes do not fit, or the target holds no class indices.
    """
    shape, given = input._shape, target._shape
    if not shape:
        raise ValueError("Expected 1 or more dimensions (got 0)")
    if len(shape) == 1 and given not in ((), (1,)):
        raise ValueError(
            f"For 1D input, 1D target must have size 1, but got target size: {given[0]}"
        )
    if len(shape) > 1 and shape[:1] != given[:1]:
        raise ValueError(
            f"Expected input batch_size ({shape[0]}) to match target batch_size "
            f"({given[0] if given else 0})."
        )
    if len(shape) == 2 and len(given) > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if len(shape) == 4 and len(given) != 3:
        raise RuntimeError(
            "only batches of spatial targets supported (3D tensors) but got targets of dimension: "
            f"{len(given)}"
        )
    if len(shape) == 4 and given != shape[:1] + shape[2:]:
        raise RuntimeError(f"size mismatch (got input: {list(shape)} , target: {list(given)}")
    if len(shape) > 1 and given != shape[:1] + shape[2:]:
        raise RuntimeError(f"Expected target size {list(shape[:1] + shape[2:])}, got {list(given)}")
    if target._h or target._array.dtype not in (np.int64, np.uint8):
        kind = _core.type_name(_core.dtype_of(target))
        raise RuntimeError(f"expected target dtype to be Long or Byte, but got {kind}")
    return np.asarray(target._array, np.int64, order="C")


def _check_weight(input: Tensor, weight: Tensor | None, hard: bool = True) -> None:
    count = input._shape[0 if len(input._shape) == 1 else 1]
    if weight is None:
        return
    if weight._shape != (count,):
        raise RuntimeError(
            "weight tensor should be defined either for all or no classes"
            if len(input._shape) > 2
            else f"weight tensor should be defined either for all {count} classes or no classes "
            f"but got weight tensor of shape: {list(weight._shape)}"
        )
    if hard and weight.dtype != input.dtype:
        kinds = [_core.type_name(t.dtype) for t in (input, weight)]
        raise RuntimeError(f"expected scalar type {kinds[0]} but found {kinds[1]}")


def _fused(input: Tensor, classes: Any, ignore_index: int, reduction: str) -> Tensor | None:
    """One span; None at scalar resolution."""
    rank = len(input._shape)
    logits = input
    if rank != 2:
        rows = input.movedim(1, -1) if rank > 2 else input
        logits = rows.reshape(-1, rows._shape[-1])
    pointer = ffi.cast("int64_t *", classes.ctypes.data)
    out = result(lib.rnn_cross_entropy(E, logits._h, pointer, ignore_index, _REDUCTIONS[reduction]))
    return (
        out.reshape(classes.shape) if out is not None and reduction == "none" and rank != 2 else out
    )


def _weighted(
    losses: Tensor, classes: Any, weight: Any, ignore_index: int, reduction: str
) -> Tensor:
    """losses times their classes' weights; "mean" divides by those."""
    counted = classes != ignore_index
    factors = _rows(weight, np.where(counted, classes, 0))
    if not counted.all():
        factors = factors * _core.wrap(counted)
    losses = losses * factors
    if reduction != "mean":
        return reduced(losses, reduction)
    return losses.sum() / factors.sum()


def _rows(table: Tensor, index: Any) -> Tensor:
    return gather_flat(table, index, index.shape)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Minus the log-probability at the target class (torch.nn.functional.nll_loss); shapes as
    cross_entropy's.
    """
    reduction = reduction_of(reduction, size_average, reduce)
    classes = _class_indices(input, target)
    frame = "nll_loss_out_frame" if len(input._shape) < 3 else "nll_loss2d_forward_out_frame"
    _core.floats_only(frame, input)
    _check_weight(input, weight)
    return _shown(_pick(input, classes, weight, ignore_index, reduction), input)


def _pick(logs: Tensor, classes: Any, weight: Any, ignore_index: int, reduction: str) -> Tensor:
    """-logs at the classes (a gather), weighted and reduced."""
    shape = logs._shape
    count = shape[0 if len(shape) == 1 else 1]
    counted = classes != ignore_index
    every = counted.all()
    picked = classes if every else np.where(counted, classes, 0)
    wrong = (picked < 0) | (picked >= count)
    if wrong.any():
        raise IndexError(f"Target {picked[wrong].flat[0]} is out of bounds.")
    if len(shape) == 1:
        index = picked
    elif len(shape) == 2:
        index = np.arange(0, picked.size * count, count) + picked
    else:  # row-major (N, C, places)
        places = math.prod(shape[2:])
        flat = picked.reshape(shape[0], places)
        index = (np.arange(shape[0])[:, None] * count + flat) * places + np.arange(places)
    losses = -gather_flat(logs, index, classes.shape)
    if not every:
        losses = losses.masked_fill(_core.wrap(~counted), 0.0)
    if weight is not None:
        return _weighted(losses, classes, weight, ignore_index, reduction)
    if reduction != "mean" or every:
        return reduced(losses, reduction)
    kept = int(counted.sum())
    return losses.sum() / (kept if kept else math.nan)


def _smoothed(
    logs: Tensor, classes: Any, weight: Any, ignore_index: int, reduction: str, smoothing: float
) -> Tensor:
    """(1 - s) nll + s / C times the sum over classes, weighted by class; averaged as the hard loss
    is.
    """
    dim = 0 if len(logs._shape) == 1 else 1
    count = logs._shape[dim]
    parts = "sum" if reduction == "mean" else reduction
    hard = _pick(logs, classes, weight, ignore_index, parts)
    shape = [1] * len(logs._shape)
    shape[dim] = count
    each = (
        -(logs if weight is None else logs * weight.reshape(shape)).sum(dim).reshape(classes.shape)
    )
    counted = classes != ignore_index
    if not counted.all():
        each = each.masked_fill(_core.wrap(~counted), 0.0)
    losses: Tensor = hard * (1 - smoothing) + reduced(each, parts) * (smoothing / count)
    if reduction != "mean":
        return losses
    if weight is None:
        kept = int(counted.sum())
        return losses / (kept if kept else math.nan)
    return losses / _rows(weight, classes[counted]).sum()


def _soft_cross_entropy(
    input: Tensor, target: Tensor, weight: Any, reduction: str, smoothing: float
) -> Tensor:
    """Targets that are class probabilities."""
    if not target._h:
        kind = _core.type_name(_core.dtype_of(target))
        raise RuntimeError(
            f"Expected floating point type for target with class probabilities, got {kind}"
        )
    _check_weight(input, weight, hard=False)
    dim = 0 if len(input._shape) == 1 else 1
    count = input._shape[dim]
    if smoothing > 0:
        target = target * (1 - smoothing) + smoothing / count
    product = input.log_softmax(dim) * target
    if weight is not None:
        shape = [1] * len(input._shape)
        shape[dim] = count
        product = product * weight.reshape(shape)
    losses = -product.sum(dim)
    if reduction == "mean":
        return losses.sum() / (input.numel() // count)
    return reduced(losses, reduction)


# ---- numbers ------------------------------------------------------------------------------------

_MSE, _SMOOTH_L1, _HUBER = op("mse_loss"), op("smooth_l1_loss"), op("huber_loss")
_BCE, _BCE_LOGITS = op("binary_cross_entropy"), op("binary_cross_entropy_with_logits")


def _warn_of_sizes(input: Tensor, target: Tensor) -> None:
    """PyTorch's warning where shapes differ and will be broadcast."""
    if input._shape != target._shape:
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}). This will "
            "likely lead to incorrect results due to broadcasting. Please ensure they have the "
            "same size.",
            stacklevel=3,
        )


def _some_floats(kernel: str, input: Tensor, target: Tensor) -> None:
    """PyTorch's kernel of this name computes floats only.

    Raises:
        NotImplementedError: input and target both hold integers.
    """
    if not (input._h or target._h):
        kind = _core.type_name(_core.result_dtype(input, target))
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{kind}'")


def _written(losses: Tensor, like: Tensor) -> Tensor:
    """losses in the dtype of `like`: PyTorch writes some losses into a tensor made as that one."""
    return losses if losses.dtype == like.dtype else losses.to(like.dtype)


def _weigh(losses: Tensor, input: Tensor, weight: Any, reduction: str) -> Tensor:
    """losses times weight, reduced; "mean" divides by the weights.

    Raises:
        ValueError: weight has not the input's shape.
    """
    if weight._shape != input._shape:
        raise ValueError("Weights and input must have the same size.")
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
    """(input - target)^2 (torch.nn.functional.mse_loss)."""
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
    """|input - target| (torch.nn.functional.l1_loss)."""
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

    Raises:
        RuntimeError: beta is negative.
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

    Raises:
        RuntimeError: delta is not positive.
    """
    reduction = reduction_of(reduction)
    _warn_of_sizes(input, target)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    if weight is not None and weight._shape != input._shape:
        raise ValueError("Weights and input must have the same size.")
    if not input._h:
        _core.check_cast(_core.result_dtype(input, target), input.dtype)
    _some_floats("huber_cpu", input, target)
    if weight is None and input.dtype == target.dtype:
        return elementwise_loss(_HUBER, input, target, reduction, delta)
    losses = _written(binary(_HUBER, input, target, delta), input)
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

    Raises:
        ValueError: the shapes differ.
        RuntimeError: an input is outside 0 .. 1, or the dtypes differ.
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if input._shape != target._shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}) is deprecated. "
            "Please ensure they have the same size."
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
    return reduced(_written(binary(_BCE, input, target) * weight, input), reduction)


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
        pos_weight: a factor for the part of the positive targets, broadcast.

    Raises:
        ValueError: the shapes differ.
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
    losses = _written(losses if weight is None else losses * weight, target)
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
        reduction: also "batchmean": the sum over the first dimension's size.
        log_target: target holds log-probabilities too.
    """
    if reduction != "batchmean":
        reduction = reduction_of(reduction, size_average, reduce)
    _core.check_tensors("kl_div", input=input, target=target)
    if not (input._h and target._h):
        raise RuntimeError("kl_div: Integral inputs not supported.")
    if reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support "
            "size.'batchmean' divides "
            "only by the batch size, and aligns with the KL div math definition.'mean' will be "
            "changed to behave the "
            "same as 'batchmean' in the next major release.",
            stacklevel=2,
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
        full: add Stirling's approximation of log(target!).
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
        var: of the input's shape, or without its last dimension, or a number.

    Raises:
        ValueError: var is negative somewhere, or its shape does not fit.
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
        elif len(input._shape) != len(var._shape) or sum(
            m for n, m in zip(input._shape, var._shape) if n != m
        ) != 1:
            raise ValueError("var is of incorrect size")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
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


# ---- pairs, triplets, margins -------------------------------------------------------------------


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos where target is 1, max(0, cos - margin) where it is -1 (torch.nn.functional's of this
    name).

    Args:
        input1, input2: (N, D) or (D,); target: (N,) or ().
    """
    reduction = reduction_of(reduction, size_average, reduce)
    dims = len(target._shape)
    if dims > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if dims == 1 and not len(input1._shape) == len(input2._shape) == 2:
        raise RuntimeError(
            "1D target tensor expects 2D input tensors, but found inputs with sizes "
            f"{list(input1._shape)} and {list(input2._shape)}."
        )
    if dims == 0 and not len(input1._shape) == len(input2._shape) == 1:
        raise RuntimeError(
            "0D target tensor expects 1D input tensors, but found inputs with sizes "
            f"{list(input1._shape)} and {list(input2._shape)}."
        )
    eps = 1e-12  # on the squares of the norms
    squares = [(t * t).sum(dims) + eps for t in (input1, input2)]
    similarity = (input1 * input2).sum(dims) / (squares[0] * squares[1]).sqrt()
    apart = (similarity - margin).clamp_min(0)
    losses = where(target == 1, 1 - similarity, where(target == -1, apart, 0.0))
    return reduced(losses, reduction)


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, -target (input1 - input2) + margin) (torch.nn.functional.margin_ranking_loss).

    Raises:
        RuntimeError: the inputs have different numbers of dimensions.
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if len({input1.dim(), input2.dim(), target.dim()}) != 1:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.shape}, input2: {input2.shape}, target: {target.shape} "
        )
    return reduced((-target * (input1 - input2) + float(margin)).clamp_min(0), reduction)


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """input where target is 1, max(0, margin - input) where it is -1 (torch.nn.functional's of this
    name).
    """
    reduction = reduction_of(reduction, size_average, reduce)
    _core.check_tensors("hinge_embedding_loss", input=input, target=target)
    far = margin if input._h else rnn.full_like(input, margin)  # integers stay integers
    zero = 0.0 if input._h else 0
    away = where(target != 1, (far - input).clamp_min(0), zero)  # type: ignore[union-attr]
    return reduced(away + where(target != -1, input, zero), reduction)


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """log(1 + exp(-target input)) (torch.nn.functional.soft_margin_loss)."""
    reduction = reduction_of(reduction, size_average, reduce)
    if target.requires_grad and rnn.is_grad_enabled():
        raise RuntimeError(
            "The function 'soft_margin_loss' is not differentiable with respect to argument "
            "'target'. This input cannot have requires_grad True."
        )
    product = -input * target
    if not input._h:
        _core.check_cast(target.dtype if target._h else rnn.get_default_dtype(), input.dtype)
    losses = _written(softplus(product, 1.0, math.inf), input)
    if losses._shape != input._shape:  # torch computes in a tensor of the input's shape
        raise RuntimeError(
            f"output with shape {list(input._shape)} doesn't match the broadcast shape "
            f"{list(losses._shape)}"
        )
    return reduced(losses, reduction)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """Binary cross-entropy of each class, averaged over classes (torch.nn.functional's of this
    name).
    """
    if size_average is not None or reduce is not None:
        reduction = reduction_of(reduction, size_average, reduce)
    losses = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        losses = losses * weight
    if not input._shape:
        raise IndexError("Dimension specified as -1 but tensor has no dimensions")
    last = len(input._shape) - 1
    losses = losses.sum(last) / input._shape[last]
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    return reduced(losses, reduction)


def _rows_of_classes(input: Tensor) -> Tensor:
    """(N, C), or one row of it, as (N, C).

    Raises:
        RuntimeError: the input is neither.
    """
    shape = input._shape
    if len(shape) > 2 or (shape and not shape[-1]):
        raise RuntimeError(
            "Expected non-empty vector or matrix with optional 0-dim batch size, but got: "
            f"{list(shape)}"
        )
    return input if len(shape) == 2 else input.reshape(1, -1)


def _listed(target: Tensor) -> Any:
    """The int64 array of classes.

    Raises:
        RuntimeError: the target has another dtype.
    """
    if target._h or target._array.dtype != np.int64:
        kind = _core.type_name(_core.dtype_of(target))
        raise RuntimeError(f"expected scalar type Long but found {kind}")
    return target._array


@shown_as("MultiMarginLossBackward0")
def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over wrong classes of max(0, margin - input[target] + input)^p
    (torch.nn.functional's of this name).

    Args:
        input: (N, C) or (C,); target: (N,) or ().
        p: 1 or 2.

    Raises:
        ValueError: p is neither.
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    single = len(input._shape) < 2
    rows = _rows_of_classes(input)
    n, count = rows._shape
    if target.numel() != n:
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input "
            f"samples (batch size). Expected target size [{n}], but got {list(target._shape)}. "
            f"Input has shape {list(input._shape)}."
        )
    if weight is not None and weight._shape != (count,):
        raise RuntimeError(
            f"inconsistent weight size, expected {count} but got {list(weight._shape)}"
        )
    _core.floats_only("multi_margin_loss_cpu_kernel", input)
    classes = _listed(target).reshape(-1)
    _check_weight(rows, weight)
    if classes.size and not 0 <= classes.min() <= classes.max() < count:
        raise RuntimeError("target out of range")
    right = gather_flat(rows, np.arange(n) * count + classes, (n, 1))
    losses = (margin - right + rows).clamp_min(0)  # type: ignore[attr-defined]
    losses = losses * losses if p == 2 else losses
    if weight is not None:
        losses = losses * _rows(weight, classes).unsqueeze(1)
    wrong = classes[:, None] != np.arange(count)
    each = where(_core.wrap(wrong), losses, 0.0).sum(1) / count
    return reduced(each.squeeze(0) if single else each, reduction)


def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean of max(0, 1 - input[right] + input[wrong]) over all such pairs
    (torch.nn.functional's of this name).

    Args:
        input: (N, C) or (C,); target: the same shape: right classes, then -1.
    """
    reduction = reduction_of(reduction, size_average, reduce)
    single = len(input._shape) < 2
    rows = _rows_of_classes(input)
    n, count = rows._shape
    if target.numel() != input.numel() or (target._shape != input._shape and input._shape):
        raise RuntimeError(
            f"inconsistent target size: {list(target._shape)} for input of size: "
            f"{list(input._shape)}"
        )
    _core.floats_only("multilabel_margin_loss_forward_out_frame", input)
    listed = _listed(target).reshape(n, count)
    if listed.size and not -1 <= listed.min() <= listed.max() < count:
        raise RuntimeError("argument #2 'target' is out of range")
    right = np.zeros((n, count), np.int64)  # how often each class is listed
    for row, classes in zip(right, listed):
        stop = (classes < 0).argmax() if (classes < 0).any() else count
        np.add.at(row, classes[:stop], 1)
    pairs = (1 - rows.unsqueeze(2) + rows.unsqueeze(1)).clamp_min(0)  # type: ignore[attr-defined]
    factors = right[:, :, None] * (right[:, None, :] == 0)
    each = where(_core.wrap(factors > 0), pairs * _core.wrap(factors), 0.0).sum((1, 2)) / count
    return reduced(each.squeeze(0) if single else each, reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin)
    (torch.nn.functional.triplet_margin_loss).
    """

    def distance(a: Tensor, b: Tensor) -> Tensor:
        return pairwise_distance(a, b, p, eps)

    reduction = reduction_of(reduction, size_average, reduce)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    return _triplets(anchor, positive, negative, distance, margin, swap, reduction)


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """triplet_margin_loss with a distance of one's own (torch.nn.functional's of this name)."""
    reduction = reduction_of(reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    distance = pairwise_distance if distance_function is None else distance_function
    return _triplets(anchor, positive, negative, distance, margin, swap, reduction)


def _triplets(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    distance: Callable[[Tensor, Tensor], Tensor],
    margin: float,
    swap: bool,
    reduction: str,
) -> Tensor:
    ranks = [len(t._shape) for t in (anchor, positive, negative)]
    if len(set(ranks)) > 1:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of "
            f"dimensions, but got: anchor {ranks[0]}D, positive {ranks[1]}D, and negative "
            f"{ranks[2]}D inputs"
        )
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = rnn.minimum(far, distance(positive, negative))
    return reduced((near - far + margin).clamp_min(0), reduction)


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

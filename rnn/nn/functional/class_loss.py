"""Losses of classes (torch.nn.functional): cross_entropy, which csrc/loss.c fuses, and nll_loss.

Both take reduction "mean", "sum" or "none", and PyTorch's older size_average, reduce.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn._c import E, ffi, lib
from rnn._shown import show_as
from rnn.nn.functional._common import gather_flat, reduced, reduction_of, result
from rnn.ops import _core

if TYPE_CHECKING:
    from rnn.tensor import Tensor


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

    Example:
        >>> F.cross_entropy(rnn.tensor([[0.0, 0.0], [0.0, 9.0]]), rnn.tensor([0, 1]))
        tensor(0.3466)
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
    check_weight(input, weight)
    if label_smoothing == 0.0:
        plain = weight is None
        losses = _fused(input, classes, ignore_index, reduction if plain else "none")
        if losses is not None:
            if not plain:
                losses = _weighted(losses, classes, weight, ignore_index, reduction)
            return losses if plain and len(input._shape) < 3 else _shown(losses, input)
    logs = input.log_softmax(_class_dim(input))
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


def _class_dim(x: Tensor) -> int:
    """The dimension of the classes: (C,), (N, C) or (N, C, d1, ...)."""
    return 0 if len(x._shape) == 1 else 1


def check_weight(input: Tensor, weight: Tensor | None, hard: bool = True) -> None:
    """Raises:
    RuntimeError: there is not one weight a class or, where targets are classes (hard), its dtype
        is not the input's.
    """
    if weight is None:
        return
    count = input._shape[_class_dim(input)]
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
    factors = take_rows(weight, np.where(counted, classes, 0))
    if not counted.all():
        factors = factors * _core.wrap(counted)
    losses = losses * factors
    if reduction != "mean":
        return reduced(losses, reduction)
    return losses.sum() / factors.sum()


def _along_classes(weight: Tensor, x: Tensor) -> Tensor:
    """weight (C,) in a shape that broadcasts along the classes of x."""
    shape = [1] * len(x._shape)
    shape[_class_dim(x)] = -1
    return weight.reshape(shape)


def _mean_of(total: Tensor, counted: Any) -> Tensor:
    """total over the number of targets that count; NaN where none does."""
    kept = int(counted.sum())
    return total / (kept if kept else math.nan)


def take_rows(table: Tensor, index: Any) -> Tensor:
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

    Raises:
        ValueError, RuntimeError, IndexError: as cross_entropy's.

    Example:
        >>> F.nll_loss(rnn.tensor([[-0.5, -1.0]]), rnn.tensor([1]))
        tensor(1.)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    classes = _class_indices(input, target)
    frame = "nll_loss_out_frame" if len(input._shape) < 3 else "nll_loss2d_forward_out_frame"
    _core.floats_only(frame, input)
    check_weight(input, weight)
    return _shown(_pick(input, classes, weight, ignore_index, reduction), input)


def _pick(logs: Tensor, classes: Any, weight: Any, ignore_index: int, reduction: str) -> Tensor:
    """-logs at the classes (a gather), weighted and reduced."""
    shape = logs._shape
    count = shape[_class_dim(logs)]
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
    return _mean_of(losses.sum(), counted)


def _smoothed(
    logs: Tensor, classes: Any, weight: Any, ignore_index: int, reduction: str, smoothing: float
) -> Tensor:
    """(1 - s) nll + s / C times the sum over classes, weighted by class; averaged as the hard loss
    is.
    """
    dim = _class_dim(logs)
    parts = "sum" if reduction == "mean" else reduction
    hard = _pick(logs, classes, weight, ignore_index, parts)
    weighted = logs if weight is None else logs * _along_classes(weight, logs)
    each = -weighted.sum(dim).reshape(classes.shape)
    counted = classes != ignore_index
    if not counted.all():
        each = each.masked_fill(_core.wrap(~counted), 0.0)
    losses: Tensor = hard * (1 - smoothing) + reduced(each, parts) * (smoothing / logs._shape[dim])
    if reduction != "mean":
        return losses
    if weight is None:
        return _mean_of(losses, counted)
    return losses / take_rows(weight, classes[counted]).sum()


def _soft_cross_entropy(
    input: Tensor, target: Tensor, weight: Any, reduction: str, smoothing: float
) -> Tensor:
    """Targets that are class probabilities."""
    if not target._h:
        kind = _core.type_name(_core.dtype_of(target))
        raise RuntimeError(
            f"Expected floating point type for target with class probabilities, got {kind}"
        )
    if not input._shape:
        raise IndexError("Dimension specified as 1 but tensor has no dimensions")
    check_weight(input, weight, hard=False)
    dim = _class_dim(input)
    count = input._shape[dim]
    if smoothing > 0:
        target = target * (1 - smoothing) + smoothing / count
    product = input.log_softmax(dim) * target
    if weight is not None:
        product = product * _along_classes(weight, input)
    losses = -product.sum(dim)
    if reduction == "mean":
        return losses.sum() / (input.numel() // count)
    return reduced(losses, reduction)

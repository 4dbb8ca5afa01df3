"""Losses of pairs, of triplets and of margins between classes (torch.nn.functional). Each takes
reduction "mean", "sum" or "none", and PyTorch's older size_average, reduce.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

import rnn
from rnn._shown import shown_as
from rnn.nn.functional._common import (
    check_reduction,
    gather_flat,
    overridden,
    reduced,
    reduction_of,
)
from rnn.nn.functional.class_loss import check_weight, take_rows
from rnn.nn.functional.distance import pairwise_distance
from rnn.nn.functional.loss import written
from rnn.ops import _core
from rnn.ops.activation import logsigmoid, softplus
from rnn.ops.selection import where

if TYPE_CHECKING:
    from rnn.tensor import Tensor


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

    Raises:
        RuntimeError: the shapes are others.

    Example:
        >>> F.cosine_embedding_loss(rnn.ones(1, 2), rnn.ones(1, 2), rnn.tensor([-1.0]))
        tensor(1.)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    dims = len(target._shape)
    if dims > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if not len(input1._shape) == len(input2._shape) == dims + 1:
        raise RuntimeError(
            f"{dims}D target tensor expects {dims + 1}D input tensors, but found inputs with sizes "
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

    Args:
        input1, input2, target: any shapes that broadcast; target: 1 or -1.

    Raises:
        RuntimeError: the inputs have different numbers of dimensions.

    Example:
        >>> F.margin_ranking_loss(rnn.tensor([1.0]), rnn.tensor([3.0]), rnn.tensor([1.0]))
        tensor(2.)
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

    Args:
        input, target: any shapes that broadcast; target: 1 or -1.

    Example:
        >>> F.hinge_embedding_loss(rnn.tensor([0.5, 0.2]), rnn.tensor([1.0, -1.0]))
        tensor(0.6500)
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
    """log(1 + exp(-target input)) (torch.nn.functional.soft_margin_loss).

    Args:
        input: any shape; target: one that broadcasts to it, 1 or -1.

    Raises:
        RuntimeError: the target requires a gradient, or does not broadcast to the input.

    Example:
        >>> F.soft_margin_loss(rnn.zeros(1), rnn.tensor([1.0]))
        tensor(0.6931)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if target.requires_grad and rnn.is_grad_enabled():
        raise RuntimeError(
            "The function 'soft_margin_loss' is not differentiable with respect to argument "
            "'target'. This input cannot have requires_grad True."
        )
    product = -input * target
    if not input._h:
        _core.check_cast(target.dtype if target._h else rnn.get_default_dtype(), input.dtype)
    losses = written(softplus(product, 1.0, math.inf), input)
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

    Args:
        input, target: (N, C) or (C,); weight: (C,).

    Raises:
        IndexError: the input has no dimensions.
        ValueError: reduction is unknown.

    Example:
        >>> F.multilabel_soft_margin_loss(rnn.zeros(1, 2), rnn.tensor([[1.0, 0.0]]))
        tensor(0.6931)
    """
    reduction = overridden(reduction, size_average, reduce)
    losses = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        losses = losses * weight
    if not input._shape:
        raise IndexError("Dimension specified as -1 but tensor has no dimensions")
    last = len(input._shape) - 1
    losses = losses.sum(last) / input._shape[last]
    check_reduction(reduction)
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
        input: (N, C) or (C,); target: (N,) or (); weight: (C,).
        p: 1 or 2.

    Raises:
        ValueError: p is neither, or weight has not one dimension.
        RuntimeError: the shapes or dtypes do not fit, or a class is out of range.

    Example:
        >>> F.multi_margin_loss(rnn.tensor([[0.1, 0.8]]), rnn.tensor([1]))
        tensor(0.1500)
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
    if weight is not None and len(weight._shape) != 1:
        raise ValueError("weight must be one-dimensional")
    if weight is not None and weight._shape != (count,):
        raise RuntimeError(
            f"inconsistent weight size, expected {count} but got {list(weight._shape)}"
        )
    _core.floats_only("multi_margin_loss_cpu_kernel", input)
    classes = _listed(target).reshape(-1)
    check_weight(rows, weight)
    if classes.size and not 0 <= classes.min() <= classes.max() < count:
        raise RuntimeError("target out of range")
    right = gather_flat(rows, np.arange(n) * count + classes, (n, 1))
    losses = (margin - right + rows).clamp_min(0)  # type: ignore[attr-defined]
    losses = losses * losses if p == 2 else losses
    if weight is not None:
        losses = losses * take_rows(weight, classes).unsqueeze(1)
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

    Raises:
        RuntimeError: the shapes differ, or a class is out of range.

    Example:
        >>> F.multilabel_margin_loss(rnn.tensor([[0.1, 0.8]]), rnn.tensor([[1, -1]]))
        tensor(0.1500)
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

    Args:
        anchor, positive, negative: (N, D) or (D,).
        swap: take the negative's distance from the positive, where it is smaller.

    Raises:
        ValueError: the margin is not positive.
        RuntimeError: the inputs have different numbers of dimensions.

    Example:
        >>> F.triplet_margin_loss(rnn.zeros(1, 2), rnn.zeros(1, 2), rnn.tensor([[0.3, 0.4]]))
        tensor(0.5000)
    """

    def distance(a: Tensor, b: Tensor) -> Tensor:
        return pairwise_distance(a, b, p, eps)

    reduction = reduction_of(reduction, size_average, reduce)
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
    """triplet_margin_loss with a distance of one's own (torch.nn.functional's of this name).

    Args:
        anchor, positive, negative: (N, D) or (D,).
        distance_function: of two of them; default: pairwise_distance.

    Raises:
        ValueError, RuntimeError: as triplet_margin_loss's.

    Example:
        >>> far = rnn.tensor([[0.3, 0.4]])
        >>> F.triplet_margin_with_distance_loss(rnn.zeros(1, 2), rnn.zeros(1, 2), far)
        tensor(0.5000)
    """
    reduction = reduction_of(reduction)
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
    """Raises:
    ValueError: the margin is not positive.
    RuntimeError: the inputs have different numbers of dimensions.
    """
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
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

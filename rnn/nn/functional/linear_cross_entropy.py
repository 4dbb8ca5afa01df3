"""A last layer and its loss in one call (torch.nn.functional.linear_cross_entropy)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rnn.nn.functional.class_loss import cross_entropy
from rnn.nn.functional.linear import linear

if TYPE_CHECKING:
    from rnn.tensor import Tensor


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
) -> Tensor:
    """cross_entropy(linear(input, linear_weight, linear_bias), target).

    Args:
        input: (N, K) or (K,).
        linear_weight: (C, K), or (C, d1, ..., K) for a loss at each of d1, ... places.
        target: classes (N, d1, ...), or their probabilities (N, C, d1, ...).
        linear_bias: (C, d1, ...).
        weight, reduction, label_smoothing: as cross_entropy's.
        ignore_index: a class that counts for nothing; None: -100.
        options: how PyTorch cuts the work into pieces; only None is there.

    Returns:
        (), or of the targets' shape (N, d1, ...) for reduction "none"

    Raises:
        RuntimeError: the shapes do not fit, or ignore_index is given with probabilities.
        NotImplementedError: options are given.

    Example:
        >>> F.linear_cross_entropy(rnn.ones(2, 4), rnn.zeros(3, 4), rnn.tensor([0, 2]))
        tensor(1.0986)
    """
    if options is not None:
        raise NotImplementedError("linear_cross_entropy: options are not supported")
    shape = input._shape
    if not 1 <= len(shape) <= 2:
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {len(shape)}")
    if len(linear_weight._shape) < 2:
        raise RuntimeError(
            "expected linear_weight with dimensionality at least 2, got "
            f"{len(linear_weight._shape)}"
        )
    count, *places, features = linear_weight._shape
    if shape[-1] != features:
        raise RuntimeError(
            "expected equal input and linear_weight last dimensions (in_features), got "
            f"{shape[-1]} and {features}, respectively"
        )
    classes = (count, *places)
    if linear_bias is not None and tuple(linear_bias._shape) != classes:
        raise RuntimeError(f"expected linear_bias shape {classes}, got {tuple(linear_bias._shape)}")
    if places and len(shape) == 1:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {tuple(linear_weight._shape)} "
            f"requires batched input, (N, {features}), got unbatched input with shape "
            f"{tuple(shape)}"
        )
    full = (*shape[:-1], *classes)
    if tuple(target._shape) == full and ignore_index is not None:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    flat = linear_weight.reshape(math.prod(classes), features) if places else linear_weight
    bias = linear_bias.reshape(-1) if linear_bias is not None and places else linear_bias
    logits = linear(input, flat, bias)
    return cross_entropy(
        logits.reshape(full) if places else logits,
        target,
        weight,
        ignore_index=-100 if ignore_index is None else ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )

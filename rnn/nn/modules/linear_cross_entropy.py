"""A last layer and its loss as one module (torch.nn.LinearCrossEntropyLoss)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rnn.nn import functional as F
from rnn.nn.modules.linear import Linear
from rnn.nn.modules.loss import _WeightedLoss

if TYPE_CHECKING:
    from rnn.tensor import Tensor


class LinearCrossEntropyLoss(_WeightedLoss):
    """Cross-entropy of the logits that a linear layer of its own makes.

    Args:
        in_features: K; num_classes: C.
        out_features: (d1, ...): the loss is taken at each of these places.
        bias: whether the layer has one.
        weight, reduction, ignore_index, label_smoothing, options: as
            nn.functional.linear_cross_entropy's.

    Shape:
        input (N, K) or (K,), target (N, d1, ...) or (N, C, d1, ...).

    Raises:
        RuntimeError: weight is not of shape (C,), or label_smoothing not in 0 .. 1.

    Example:
        >>> m = LinearCrossEntropyLoss(4, 10)
        >>> m(rnn.ones(3, 4), rnn.tensor([1, 2, 9])).shape
        rnn.Size([])
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        reduction: str = "mean",
        weight: Tensor | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: Any = None,
    ) -> None:
        if weight is not None and tuple(weight.shape) != (num_classes,):
            raise RuntimeError(
                f"expected weight shape to be {(num_classes,)}, got {tuple(weight.shape)}"
            )
        if not 0 <= label_smoothing <= 1:
            raise RuntimeError(
                f"expected label_smoothing to be in range [0, 1], got {label_smoothing}"
            )
        super().__init__(weight, None, None, reduction)
        self.num_classes = num_classes
        self.out_features = out_features
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        count = math.prod(out_features, start=num_classes)
        self.linear = Linear(in_features, count, bias=bias, device=device, dtype=dtype)
        self.options = options

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        layer, classes = self.linear, (self.num_classes, *self.out_features)
        return F.linear_cross_entropy(
            input,
            layer.weight.reshape(*classes, layer.in_features),
            target,
            linear_bias=None if layer.bias is None else layer.bias.reshape(classes),
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            options=self.options,
        )

    def extra_repr(self) -> str:
        names = "reduction", "ignore_index", "label_smoothing", "options"
        return (
            f"in_features={self.linear.in_features}, num_classes={self.num_classes}, "
            f"out_features={self.out_features}, bias={self.linear.bias is not None}, "
            + ", ".join(f"{name}={getattr(self, name)}" for name in names)
        )

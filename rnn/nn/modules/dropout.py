"""Dropout as modules (torch.nn): active in training mode only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnn.nn import functional as F
from rnn.nn.module import Module

if TYPE_CHECKING:
    from rnn.tensor import Tensor


class _Dropout(Module):
    """What all kinds share.

    Args:
        p: the probability of a zero.
        inplace: write over the input.

    Raises:
        ValueError: p is not in 0 .. 1.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if p < 0 or p > 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """Each element is 0 with probability p, else 1 / (1 - p) times itself (torch.nn.Dropout).

    Example:
        >>> Dropout(0.5).eval()(rnn.ones(2))
        tensor([1., 1.])
        >>> set(Dropout(0.5)(rnn.ones(100)).tolist()) <= {0.0, 2.0}
        True
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, True, self.inplace) if self.training else input


class Dropout1d(_Dropout):
    """Dropout of whole channels of (N, C, L) or (C, L) (torch.nn.Dropout1d).

    Example:
        >>> Dropout1d(0.5)(rnn.ones(2, 3, 4)).shape
        rnn.Size([2, 3, 4])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_Dropout):
    """Dropout of whole channels of (N, C, H, W) (torch.nn.Dropout2d).

    Example:
        >>> Dropout2d(0.5)(rnn.ones(2, 3, 4, 4)).shape
        rnn.Size([2, 3, 4, 4])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_Dropout):
    """Dropout of whole channels of (N, C, D, H, W) or (C, D, H, W) (torch.nn.Dropout3d).

    Example:
        >>> Dropout3d(0.5)(rnn.ones(2, 3, 4, 4, 4)).shape
        rnn.Size([2, 3, 4, 4, 4])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_Dropout):
    """Dropout that keeps mean and variance of SELU's outputs (torch.nn.AlphaDropout).

    Example:
        >>> AlphaDropout(0.2).eval()(rnn.ones(3))
        tensor([1., 1., 1.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(_Dropout):
    """AlphaDropout of whole channels (torch.nn.FeatureAlphaDropout).

    Example:
        >>> FeatureAlphaDropout(0.2).eval()(rnn.ones(1, 2, 2)).shape
        rnn.Size([1, 2, 2])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.feature_alpha_dropout(input, self.p, self.training)

"""Exponential: waiting times (torch.distributions.Exponential)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import rnn
from rnn.distributions import constraints
from rnn.distributions.distribution import Distribution, broadcast_all
from rnn.tensor import Tensor


class Exponential(Distribution):
    """Waiting times at a rate, one over their mean.

    Raises:
        ValueError: the rate is not positive.

    >>> rnn.distributions.Exponential(rnn.tensor([0.5, 2.0])).mean
    tensor([2.0000, 0.5000])
    """

    has_rsample = True
    support = constraints.nonnegative
    arg_constraints: ClassVar = {"rate": constraints.positive}

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        (self.rate,) = broadcast_all(rate)
        super().__init__(self.rate.size(), validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.rate.reciprocal()

    stddev = mean

    @property
    def mode(self) -> Tensor:
        return rnn.zeros_like(self.rate)

    @property
    def variance(self) -> Tensor:
        return self.rate.pow(-2)

    def rsample(self, sample_shape: Iterable[int] = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return rnn.empty(shape, dtype=self.rate.dtype).exponential_() / self.rate

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return self.rate.log() - self.rate * value

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return -(-self.rate * value).exp() + 1

    def icdf(self, value: Tensor) -> Tensor:
        return -(-value).log1p() / self.rate

    def entropy(self) -> Tensor:
        return -self.rate.log() + 1.0

"""Uniform: the rectangle (torch.distributions.Uniform)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import rnn
from rnn.distributions import constraints
from rnn.distributions.distribution import Distribution, broadcast_all
from rnn.tensor import Tensor


class Uniform(Distribution):
    """Numbers in [low, high); numbers or tensors that broadcast.

    Raises:
        ValueError: low is not below high. RuntimeError: they do not broadcast.

    >>> rnn.distributions.Uniform(-1.0, 3.0).mean
    tensor(1.)
    """

    has_rsample = True

    def __init__(self, low: Any, high: Any, validate_args: bool | None = None) -> None:
        self.low, self.high = broadcast_all(low, high)
        super().__init__(self.low.size(), validate_args=validate_args)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """Each bound is the other's limit."""
        if "high" not in self.__dict__:  # while repr is asked for a half-made object
            return {}
        return {
            "low": constraints.LessThan(self.high),
            "high": constraints.GreaterThan(self.low),
        }

    @property
    def support(self) -> constraints.Constraint:
        return constraints.Interval(self.low, self.high)

    @property
    def mean(self) -> Tensor:
        return (self.high + self.low) / 2

    @property
    def stddev(self) -> Tensor:
        return (self.high - self.low) / 12**0.5

    @property
    def variance(self) -> Tensor:
        return (self.high - self.low).pow(2) / 12

    def rsample(self, sample_shape: Iterable[int] = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return self.low + rnn.rand(shape, dtype=self.low.dtype) * (self.high - self.low)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        inside = (self.low <= value) & (self.high > value)
        return inside.to(self.low.dtype).log() - (self.high - self.low).log()

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return ((value - self.low) / (self.high - self.low)).clamp(0, 1)

    def icdf(self, value: Tensor) -> Tensor:
        return value * (self.high - self.low) + self.low

    def entropy(self) -> Tensor:
        return (self.high - self.low).log()

"""Normal: the Gaussian (torch.distributions.Normal)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, ClassVar

import rnn
from rnn.autograd import no_grad
from rnn.distributions import constraints
from rnn.distributions.distribution import Distribution, broadcast_all
from rnn.tensor import Tensor


class Normal(Distribution):
    """Mean loc and standard deviation scale; numbers or tensors that broadcast.

    Raises:
        ValueError: loc is NaN or scale is not positive. RuntimeError: they do not broadcast.

    >>> q = rnn.distributions.Normal(rnn.zeros(3), 0.5)
    >>> q.rsample((4,)).shape
    rnn.Size([4, 3])
    """

    support = constraints.real
    arg_constraints: ClassVar = {"loc": constraints.real, "scale": constraints.positive}
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.size(), validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc

    mode = mean

    @property
    def stddev(self) -> Tensor:
        return self.scale

    @property
    def variance(self) -> Tensor:
        return self.stddev.pow(2)

    def sample(self, sample_shape: Iterable[int] = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        with no_grad():
            return rnn.normal(self.loc.expand(shape), self.scale.expand(shape))

    def rsample(self, sample_shape: Iterable[int] = ()) -> Tensor:
        noise = rnn.randn(self._extended_shape(sample_shape), dtype=self.loc.dtype)
        return self.loc + noise * self.scale

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        distance = (value - self.loc) ** 2 / (2 * self.scale**2)
        return -distance - self.scale.log() - math.log(math.sqrt(2 * math.pi))

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return (((value - self.loc) / (self.scale * math.sqrt(2))).erf() + 1) * 0.5

    def icdf(self, value: Tensor) -> Tensor:
        return self.loc + self.scale * (value * 2 - 1).erfinv() * math.sqrt(2)

    def entropy(self) -> Tensor:
        return self.scale.log() + (0.5 + 0.5 * math.log(2 * math.pi))

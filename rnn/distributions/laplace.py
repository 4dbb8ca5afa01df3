"""Laplace: the double exponential (torch.distributions.Laplace)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import rnn
from rnn.distributions import constraints
from rnn.distributions.distribution import Distribution, broadcast_all
from rnn.tensor import Tensor


class Laplace(Distribution):
    """Mean loc, and scale, the mean distance from it; numbers or tensors that broadcast.

    Raises:
        ValueError: scale is not positive. RuntimeError: they do not broadcast.

    >>> rnn.distributions.Laplace(0.0, 1.0).log_prob(rnn.tensor([0.0, 1.0]))
    tensor([-0.6931, -1.6931])
    """

    has_rsample = True
    support = constraints.real
    arg_constraints: ClassVar = {"loc": constraints.real, "scale": constraints.positive}

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.size(), validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc

    mode = mean

    @property
    def variance(self) -> Tensor:
        return self.scale.pow(2) * 2

    @property
    def stddev(self) -> Tensor:
        return self.scale * 2**0.5

    def rsample(self, sample_shape: Iterable[int] = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        eps = rnn.finfo(self.loc.dtype).eps
        u = rnn.empty(shape, dtype=self.loc.dtype).uniform_(eps - 1, 1)
        return self.loc - self.scale * u.sign() * (-u.abs()).log1p()

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return -(self.scale * 2).log() - (value - self.loc).abs() / self.scale

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        far = value - self.loc
        return far.sign() * (-far.abs() / self.scale).expm1() * -0.5 + 0.5

    def icdf(self, value: Tensor) -> Tensor:
        term = value - 0.5
        return self.loc - self.scale * term.sign() * (term.abs() * -2).log1p()

    def entropy(self) -> Tensor:
        return (self.scale * 2).log() + 1

"""Bernoulli: 1 or 0 (torch.distributions.Bernoulli)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import rnn
from rnn._size import Size
from rnn.autograd import no_grad
from rnn.distributions import constraints
from rnn.distributions.distribution import ProbsOrLogits, broadcast_all, clamp_probs, one_of
from rnn.nn import functional as F
from rnn.tensor import Tensor


class Bernoulli(ProbsOrLogits):
    """1 with probability probs, or with log-odds logits; else 0.

    Args:
        probs: a number or a tensor, in [0, 1].
        logits: a number or a tensor; sigmoid(logits) is the probability.

    Raises:
        ValueError: both or neither are given, or they are not valid.

    >>> rnn.distributions.Bernoulli(0.25).mean
    tensor(0.2500)
    """

    support = constraints.boolean
    arg_constraints: ClassVar = {"probs": constraints.unit_interval, "logits": constraints.real}
    has_enumerate_support = True

    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        name, given = one_of(probs, logits)
        (self.__dict__[name],) = broadcast_all(given)
        super().__init__(self.__dict__[name].size(), validate_args=validate_args)

    def _probs_of_logits(self) -> Tensor:
        return self.logits.sigmoid()

    def _logits_of_probs(self) -> Tensor:
        odds = clamp_probs(self.probs)
        return odds.log() - (-odds).log1p()

    @property
    def param_shape(self) -> Size:
        """The shape of probs and logits."""
        return self._batch_shape

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        mode = (self.probs >= 0.5).to(self.probs.dtype)
        return mode.masked_fill(self.probs == 0.5, float("nan"))

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Iterable[int] = ()) -> Tensor:
        with no_grad():
            return rnn.bernoulli(self.probs.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        return -F.binary_cross_entropy_with_logits(logits, value, reduction="none")

    def entropy(self) -> Tensor:
        return F.binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        return self._enumerated(rnn.arange(2, dtype=self._param.dtype), expand)

"""Categorical: one of n classes (torch.distributions.Categorical)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import rnn
from rnn._size import Size
from rnn.distributions import constraints
from rnn.distributions.distribution import ProbsOrLogits, clamp_probs, one_of
from rnn.tensor import Tensor


class Categorical(ProbsOrLogits):
    """0 to n - 1, by probabilities or by unnormalised log-probabilities, (..., n).

    Args:
        probs: not negative; normalised over the last dimension.
        logits: any numbers; their log_softmax counts.

    Raises:
        ValueError: both or neither are given, they are 0-dimensional, or not valid.

    >>> policy = rnn.distributions.Categorical(logits=rnn.zeros(2, 3))
    >>> action = policy.sample()              # (2,)
    >>> loss = -policy.log_prob(action).sum()
    """

    arg_constraints: ClassVar = {"probs": constraints.simplex, "logits": constraints.real_vector}
    has_enumerate_support = True

    def __init__(
        self,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        name, given = one_of(probs, logits)
        if given.dim() < 1:
            raise ValueError(f"`{name}` parameter must be at least one-dimensional.")
        if name == "probs":
            self.__dict__["probs"] = given / given.sum(-1, keepdim=True)
        else:
            self.__dict__["logits"] = given - given.logsumexp(-1, keepdim=True)
        self._num_events = given.shape[-1]
        super().__init__(given.shape[:-1], validate_args=validate_args)

    def _probs_of_logits(self) -> Tensor:
        return self.logits.softmax(-1)

    def _logits_of_probs(self) -> Tensor:
        return clamp_probs(self.probs).log()

    @property
    def param_shape(self) -> Size:
        """The shape of probs and logits."""
        return self._param.size()

    @property
    def support(self) -> constraints.Constraint:
        return constraints.IntegerInterval(0, self._num_events - 1)

    @property
    def mean(self) -> Tensor:
        return self.probs.new_full(self._extended_shape(), float("nan"))

    variance = mean

    @property
    def mode(self) -> Tensor:
        return self.probs.argmax(-1)

    def sample(self, sample_shape: Iterable[int] = ()) -> Tensor:
        shape = Size(sample_shape)
        rows = self.probs.detach().reshape(-1, self._num_events)
        drawn = rnn.multinomial(rows, shape.numel(), True).T
        return drawn.reshape(self._extended_shape(shape))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        index = value.long().unsqueeze(-1)
        index, log_pmf = rnn.broadcast_tensors(index, self.logits)
        return log_pmf.gather(-1, index[..., :1]).squeeze(-1)

    def entropy(self) -> Tensor:
        logits = self.logits.clamp(min=rnn.finfo(self.logits.dtype).min)  # 0 * -inf would be NaN
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        return self._enumerated(rnn.arange(self._num_events), expand)

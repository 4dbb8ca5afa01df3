"""OneHotCategorical: one of n classes as a vector, and its smooth relatives."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, ClassVar

import rnn
from rnn._size import Size
from rnn.distributions import constraints
from rnn.distributions.categorical import Categorical
from rnn.distributions.distribution import Distribution, clamp_probs
from rnn.distributions.transformed_distribution import TransformedDistribution
from rnn.distributions.transforms import ExpTransform
from rnn.nn.functional import one_hot
from rnn.tensor import Tensor


class OneHotCategorical(Distribution):
    """Vectors of n zeros but for a one, by probs or logits (..., n), as Categorical takes them.

    >>> rnn.distributions.OneHotCategorical(rnn.tensor([0.0, 1.0])).sample()
    tensor([0., 1.])
    """

    support = constraints.one_hot
    arg_constraints: ClassVar = {"probs": constraints.simplex, "logits": constraints.real_vector}
    has_enumerate_support = True

    def __init__(
        self,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self._categorical = Categorical(probs, logits, validate_args)
        super().__init__(
            self._categorical.batch_shape, self._categorical.param_shape[-1:], validate_args
        )

    @property
    def probs(self) -> Tensor:
        """The classes' probabilities."""
        probs: Tensor = self._categorical.probs
        return probs

    @property
    def logits(self) -> Tensor:
        """Their logarithms."""
        logits: Tensor = self._categorical.logits
        return logits

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        return one_hot(self.probs.argmax(-1), self._event_shape[0]).to(self.probs.dtype)

    @property
    def variance(self) -> Tensor:
        return self.probs * (-self.probs + 1)

    @property
    def param_shape(self) -> Size:
        """The shape of probs and logits."""
        return self._categorical.param_shape

    def _expanded_parts(self, batch_shape: Size) -> dict[str, Distribution]:
        return {"_categorical": self._categorical.expand(batch_shape)}

    def sample(self, sample_shape: Iterable[int] = ()) -> Tensor:
        index = self._categorical.sample(sample_shape)
        return one_hot(index, self._event_shape[0]).to(self._categorical._param.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return self._categorical.log_prob(value.max(-1).indices)

    def entropy(self) -> Tensor:
        return self._categorical.entropy()

    def enumerate_support(self, expand: bool = True) -> Tensor:
        values = rnn.eye(self._event_shape[0], dtype=self._categorical._param.dtype)
        return self._enumerated(values, expand)


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """OneHotCategorical whose samples pass gradients to probs as if they were probs.

    >>> probs = rnn.tensor([0.0, 1.0], requires_grad=True)
    >>> rnn.distributions.OneHotCategoricalStraightThrough(probs).rsample()[1].backward()
    >>> probs.grad
    tensor([-1.,  0.])
    """

    has_rsample = True

    def rsample(self, sample_shape: Iterable[int] = ()) -> Tensor:
        return self.sample(sample_shape) + (self.probs - self.probs.detach())


class _ExpRelaxedCategorical(Distribution):
    """The logarithms of RelaxedOneHotCategorical's samples."""

    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        temperature: Any,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self._categorical = Categorical(probs, logits)
        self.temperature = temperature
        shape = self._categorical.param_shape
        super().__init__(self._categorical.batch_shape, shape[-1:], validate_args)

    def _expanded_parts(self, batch_shape: Size) -> dict[str, Distribution]:
        return {"_categorical": self._categorical.expand(batch_shape)}

    def rsample(self, sample_shape: Iterable[int] = ()) -> Tensor:
        logits: Tensor = self._categorical.logits
        uniform = clamp_probs(rnn.rand(self._extended_shape(sample_shape), dtype=logits.dtype))
        scores = (logits - (-uniform.log()).log()) / self.temperature
        return scores - scores.logsumexp(-1, keepdim=True)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        n = self._event_shape[0]
        logits, value = rnn.broadcast_tensors(self._categorical.logits, value)
        scale = rnn.full_like(rnn.as_tensor(self.temperature), math.lgamma(n))
        scale = scale + rnn.as_tensor(self.temperature).log() * (n - 1)
        score = logits - value * self.temperature
        return (score - score.logsumexp(-1, keepdim=True)).sum(-1) + scale


class RelaxedOneHotCategorical(TransformedDistribution):
    """Points of the simplex that are near its corners where temperature is low: one-hot vectors
    made smooth, so that gradients pass (the Concrete, or Gumbel-softmax, distribution).

    >>> d = rnn.distributions.RelaxedOneHotCategorical(rnn.tensor(0.5), logits=rnn.zeros(4, 3))
    >>> d.rsample().shape
    rnn.Size([4, 3])
    """

    support = constraints.simplex
    has_rsample = True

    def __init__(
        self,
        temperature: Any,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        base = _ExpRelaxedCategorical(temperature, probs, logits, validate_args)
        super().__init__(base, ExpTransform(), validate_args)

    @property
    def temperature(self) -> Any:
        """How smooth."""
        return self.base_dist.temperature  # type: ignore[attr-defined]

    @property
    def logits(self) -> Tensor:
        """The logarithms of the corners' probabilities."""
        logits: Tensor = self.base_dist._categorical.logits  # type: ignore[attr-defined]
        return logits

    @property
    def probs(self) -> Tensor:
        """The corners' probabilities."""
        probs: Tensor = self.base_dist._categorical.probs  # type: ignore[attr-defined]
        return probs

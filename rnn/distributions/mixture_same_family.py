"""MixtureSameFamily: several distributions of one kind, mixed (torch.distributions)."""

from __future__ import annotations

from collections.abc import Iterable

import rnn
from rnn import _dtypes
from rnn._size import Size
from rnn.autograd import no_grad
from rnn.distributions import constraints
from rnn.distributions.categorical import Categorical
from rnn.distributions.distribution import Distribution
from rnn.tensor import Tensor


class MixtureSameFamily(Distribution):
    """A Categorical that chooses, and a distribution whose last batch dimension are the components.

    Raises:
        ValueError: the first is no Categorical, or their batch shapes do not fit.

    >>> D = rnn.distributions
    >>> two = D.Normal(rnn.tensor([-1.0, 1.0]), rnn.ones(2))
    >>> D.MixtureSameFamily(D.Categorical(rnn.ones(2)), two).mean
    tensor(0.)
    """

    has_rsample = False

    def __init__(
        self,
        mixture_distribution: Categorical,
        component_distribution: Distribution,
        validate_args: bool | None = None,
    ) -> None:
        self._mixture, self._component = mixture_distribution, component_distribution
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(
                " The Mixture distribution needs to be an  instance of "
                f"{_dtypes.prefix}distributions.Categorical"
            )
        if not isinstance(component_distribution, Distribution):
            raise ValueError(
                "The Component distribution need to be an instance of "
                f"{_dtypes.prefix}distributions.Distribution"
            )
        shape = component_distribution.batch_shape[:-1]
        for a, b in zip(reversed(mixture_distribution.batch_shape), reversed(shape)):
            if a != 1 and b != 1 and a != b:
                raise ValueError(
                    f"`mixture_distribution.batch_shape` ({mixture_distribution.batch_shape}) is "
                    "not compatible with `component_distribution.batch_shape`"
                    f"({component_distribution.batch_shape})"
                )
        km, kc = mixture_distribution.param_shape[-1], component_distribution.batch_shape[-1]
        if km != kc:
            raise ValueError(
                f"`mixture_distribution component` ({km}) does not equal "
                f"`component_distribution.batch_shape[-1]` ({kc})"
            )
        self._events = len(component_distribution.event_shape)
        super().__init__(shape, component_distribution.event_shape, validate_args)

    @property
    def mixture_distribution(self) -> Categorical:
        """What chooses."""
        return self._mixture

    @property
    def component_distribution(self) -> Distribution:
        """What is chosen from."""
        return self._component

    @property
    def support(self) -> constraints.Constraint:
        return self._component.support

    def _weights(self) -> Tensor:
        probs: Tensor = self._mixture.probs
        return probs.reshape(probs.shape + (1,) * self._events)

    @property
    def mean(self) -> Tensor:
        return (self._weights() * self._component.mean).sum(-1 - self._events)

    @property
    def variance(self) -> Tensor:
        """That within the components, and that between their means (law of total variance)."""
        weights, at = self._weights(), -1 - self._events
        within = (weights * self._component.variance).sum(at)
        between = (self._component.mean - self.mean.unsqueeze(at)).pow(2.0)
        return within + (weights * between).sum(at)

    def _expanded_parts(self, batch_shape: Size) -> dict[str, Distribution]:
        component = self._component.expand(batch_shape + self._mixture.param_shape[-1:])
        return {"_mixture": self._mixture.expand(batch_shape), "_component": component}

    def cdf(self, x: Tensor) -> Tensor:
        return (self._component.cdf(self._padded(x)) * self._mixture.probs).sum(-1)

    def _padded(self, value: Tensor) -> Tensor:
        return value.unsqueeze(-1 - self._events)

    def log_prob(self, x: Tensor) -> Tensor:
        self._validate_sample(x)
        of_each = self._component.log_prob(self._padded(x))
        return (of_each + self._mixture.logits.log_softmax(-1)).logsumexp(-1)

    def sample(self, sample_shape: Iterable[int] = ()) -> Tensor:
        with no_grad():
            shape = Size(sample_shape)
            at = len(shape) + len(self._batch_shape)
            chosen = self._mixture.sample(shape)
            drawn = self._component.sample(shape)
            index = chosen.reshape(chosen.shape + (1,) * (self._events + 1))
            index = index.expand(*drawn.shape[:at], 1, *self._event_shape)
            return rnn.gather(drawn, at, index).squeeze(at)

    def __repr__(self) -> str:
        return f"MixtureSameFamily(\n  {self._mixture!r},\n  {self._component!r})"

"""Independent: batch dimensions taken as one event (torch.distributions.Independent)."""

from __future__ import annotations

from collections.abc import Iterable

from rnn._size import Size
from rnn.distributions import constraints
from rnn.distributions.distribution import Distribution, sum_rightmost
from rnn.tensor import Tensor


class Independent(Distribution):
    """The last reinterpreted_batch_ndims batch dimensions of a distribution as its event.

    log_prob and entropy are summed over them.

    Raises:
        ValueError: the distribution has fewer batch dimensions.

    >>> d = rnn.distributions.Independent(rnn.distributions.Normal(rnn.zeros(2, 3), 1.0), 1)
    >>> d.batch_shape, d.event_shape
    (rnn.Size([2]), rnn.Size([3]))
    """

    def __init__(
        self,
        base_distribution: Distribution,
        reinterpreted_batch_ndims: int,
        validate_args: bool | None = None,
    ) -> None:
        n, shape = reinterpreted_batch_ndims, base_distribution.batch_shape
        if n > len(shape):
            raise ValueError(
                "Expected reinterpreted_batch_ndims <= len(base_distribution.batch_shape), "
                f"actual {n} vs {len(shape)}"
            )
        self.base_dist = base_distribution
        self.reinterpreted_batch_ndims = n
        self.has_rsample = base_distribution.has_rsample
        split = len(shape) - n
        event = shape[split:] + base_distribution.event_shape
        super().__init__(shape[:split], event, validate_args)

    @property
    def support(self) -> constraints.Constraint:
        n = self.reinterpreted_batch_ndims
        base = self.base_dist.support
        return constraints.IndependentConstraint(base, n) if n else base

    @property
    def mean(self) -> Tensor:
        return self.base_dist.mean

    @property
    def mode(self) -> Tensor:
        return self.base_dist.mode

    @property
    def variance(self) -> Tensor:
        return self.base_dist.variance

    def _expanded_parts(self, batch_shape: Size) -> dict[str, Distribution]:
        taken = self._event_shape[: self.reinterpreted_batch_ndims]
        return {"base_dist": self.base_dist.expand(batch_shape + taken)}

    def sample(self, sample_shape: Iterable[int] = ()) -> Tensor:
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape: Iterable[int] = ()) -> Tensor:
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.summed(self.base_dist.log_prob(value))

    def entropy(self) -> Tensor:
        return self.summed(self.base_dist.entropy())

    def summed(self, of_each: Tensor) -> Tensor:
        """of_each, summed over the dimensions that have become the event."""
        return sum_rightmost(of_each, self.reinterpreted_batch_ndims)

    def __repr__(self) -> str:
        return f"Independent({self.base_dist!r}, {self.reinterpreted_batch_ndims})"

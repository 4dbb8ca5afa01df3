"""TransformedDistribution: the distribution of t(x) (torch.distributions.TransformedDistribution),
and those that are one: LogNormal, HalfNormal, Gumbel.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, ClassVar

import rnn
from rnn._size import Size
from rnn.autograd import no_grad
from rnn.distributions import constraints
from rnn.distributions.distribution import Distribution, broadcast_all, sum_rightmost
from rnn.distributions.independent import Independent
from rnn.distributions.normal import Normal
from rnn.distributions.transforms import (
    AbsTransform,
    AffineTransform,
    ComposeTransform,
    ExpTransform,
    Transform,
)
from rnn.distributions.uniform import Uniform
from rnn.tensor import Tensor


class TransformedDistribution(Distribution):
    """What transforms make of the samples of base_distribution, the first transform first.

    Raises:
        ValueError: transforms is neither a Transform nor a list of them, or takes points of more
            dimensions than the base has.

    >>> D, T = rnn.distributions, rnn.distributions.transforms
    >>> squashed = D.TransformedDistribution(D.Normal(0.0, 1.0), T.TanhTransform(cache_size=1))
    >>> squashed.log_prob(rnn.tensor(0.5))
    tensor(-0.7821)
    """

    def __init__(
        self,
        base_distribution: Distribution,
        transforms: Any,
        validate_args: bool | None = None,
    ) -> None:
        self.transforms = [transforms] if isinstance(transforms, Transform) else transforms
        if not isinstance(self.transforms, list):
            raise ValueError(f"transforms must be a Transform or list, but was {transforms}")
        if not all(isinstance(t, Transform) for t in self.transforms):
            raise ValueError("transforms must be a Transform or a list of Transforms")
        base = base_distribution
        shape = base.batch_shape + base.event_shape
        whole = ComposeTransform(self.transforms)
        if len(shape) < whole.domain.event_dim:
            raise ValueError(
                "base_distribution needs to have shape with size at least "
                f"{whole.domain.event_dim}, but got {shape}."
            )
        forward = whole.forward_shape(shape)
        wanted = whole.inverse_shape(forward)
        if tuple(shape) != tuple(wanted):
            split = len(wanted) - len(base.event_shape)
            base = base.expand(wanted[:split])
        more = whole.domain.event_dim - len(base.event_shape)
        self.base_dist = Independent(base, more, validate_args=False) if more > 0 else base
        kept = max(len(self.base_dist.event_shape) - whole.domain.event_dim, 0)
        split = len(forward) - whole.codomain.event_dim - kept
        super().__init__(tuple(forward[:split]), tuple(forward[split:]), validate_args)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return self.base_dist.has_rsample

    @property
    def support(self) -> constraints.Constraint:
        if not self.transforms:
            return self.base_dist.support
        support: constraints.Constraint = self.transforms[-1].codomain
        more = len(self._event_shape) - support.event_dim
        return constraints.independent(support, more) if more > 0 else support

    def _expanded_parts(self, batch_shape: Size) -> dict[str, Distribution]:
        before = ComposeTransform(self.transforms).inverse_shape(batch_shape + self._event_shape)
        batch = before[: len(before) - len(self.base_dist.event_shape)]
        return {"base_dist": self.base_dist.expand(batch)}

    def _through(self, x: Tensor) -> Tensor:
        for transform in self.transforms:
            x = transform(x)
        return x

    def sample(self, sample_shape: Iterable[int] = ()) -> Tensor:
        with no_grad():
            return self._through(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape: Iterable[int] = ()) -> Tensor:
        return self._through(self.base_dist.rsample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        dims, y = len(self._event_shape), value
        total: Any = 0.0
        for transform in reversed(self.transforms):
            x = transform.inv(y)
            dims += transform.domain.event_dim - transform.codomain.event_dim
            stretched = transform.log_abs_det_jacobian(x, y)
            total = total - sum_rightmost(stretched, dims - transform.domain.event_dim)
            y = x
        base = self.base_dist.log_prob(y)
        made: Tensor = total + sum_rightmost(base, dims - len(self.base_dist.event_shape))
        return made

    def _sign(self) -> Any:
        return math.prod(t.sign for t in self.transforms)

    def cdf(self, value: Tensor) -> Tensor:
        """Of transforms that rise or fall throughout."""
        for transform in reversed(self.transforms):
            value = transform.inv(value)
        sign = self._sign()
        made: Tensor = sign * (self.base_dist.cdf(value) - 0.5) + 0.5
        return made

    def icdf(self, value: Tensor) -> Tensor:
        """Of transforms that rise or fall throughout."""
        return self._through(self.base_dist.icdf(self._sign() * (value - 0.5) + 0.5))


class LogNormal(TransformedDistribution):
    """exp of a Gaussian of mean loc and standard deviation scale.

    >>> rnn.distributions.LogNormal(0.0, 1.0).mean
    tensor(1.6487)
    """

    support = constraints.positive
    arg_constraints: ClassVar = {"loc": constraints.real, "scale": constraints.positive}
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        super().__init__(Normal(loc, scale, validate_args), ExpTransform(), validate_args)

    @property
    def loc(self) -> Tensor:
        """The mean of the logarithm."""
        loc: Tensor = self.base_dist.loc  # type: ignore[attr-defined]
        return loc

    @property
    def scale(self) -> Tensor:
        """The standard deviation of the logarithm."""
        return self.base_dist.stddev

    @property
    def mean(self) -> Tensor:
        return (self.loc + self.scale.pow(2) / 2).exp()

    @property
    def mode(self) -> Tensor:
        return (self.loc - self.scale.square()).exp()

    @property
    def variance(self) -> Tensor:
        squared = self.scale.pow(2)
        return squared.expm1() * (self.loc * 2 + squared).exp()

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() + self.loc


class HalfNormal(TransformedDistribution):
    """The size of a Gaussian of mean 0 and standard deviation scale.

    >>> rnn.distributions.HalfNormal(1.0).mean
    tensor(0.7979)
    """

    support = constraints.nonnegative
    arg_constraints: ClassVar = {"scale": constraints.positive}
    has_rsample = True

    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        super().__init__(Normal(0, scale, validate_args=False), AbsTransform(), validate_args)

    @property
    def scale(self) -> Tensor:
        """The Gaussian's standard deviation."""
        return self.base_dist.stddev

    @property
    def mean(self) -> Tensor:
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def mode(self) -> Tensor:
        return rnn.zeros_like(self.scale)

    @property
    def variance(self) -> Tensor:
        return self.scale.pow(2) * (1 - 2 / math.pi)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        made = self.base_dist.log_prob(value) + math.log(2)
        return rnn.where(value >= 0, made, -math.inf)

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return self.base_dist.cdf(value) * 2 - 1

    def icdf(self, prob: Tensor) -> Tensor:
        return self.base_dist.icdf((prob + 1) / 2)

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() - math.log(2)


class Gumbel(TransformedDistribution):
    """The largest of many: location loc and scale; numbers or tensors that broadcast.

    >>> rnn.distributions.Gumbel(0.0, 1.0).mean
    tensor(0.5772)
    """

    support = constraints.real
    arg_constraints: ClassVar = {"loc": constraints.real, "scale": constraints.positive}

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast_all(loc, scale)
        info = rnn.finfo(self.loc.dtype)
        low, high = rnn.full_like(self.loc, info.tiny), rnn.full_like(self.loc, 1 - info.eps)
        steps = [
            ExpTransform().inv,
            AffineTransform(loc=0, scale=-rnn.ones_like(self.scale)),
            ExpTransform().inv,
            AffineTransform(loc=self.loc, scale=-self.scale),
        ]
        super().__init__(Uniform(low.detach(), high.detach(), False), steps, validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc + self.scale * 0.57721566490153286060  # Euler's constant

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def stddev(self) -> Tensor:
        return self.scale * (math.pi / math.sqrt(6))

    @property
    def variance(self) -> Tensor:
        return self.stddev.pow(2)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        y = (self.loc - value) / self.scale
        return (y - y.exp()) - self.scale.log()

    def entropy(self) -> Tensor:
        return self.scale.log() + (1 + 0.57721566490153286060)

"""Distribution: shapes, checks and what every distribution has (torch.distributions)."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, ClassVar, Self

import rnn
from rnn._size import Size
from rnn.autograd import no_grad
from rnn.distributions.constraints import Constraint
from rnn.tensor import Tensor


class Distribution:
    """The base class (torch.distributions.Distribution).

    One distribution object is a batch of distributions: samples have shape
    sample_shape + batch_shape + event_shape, log_prob has sample_shape + batch_shape.

    Args:
        validate_args: whether parameters and values are checked; None: as
            set_default_validate_args has said, at first yes.

    Raises:
        ValueError: a parameter is outside of its constraint.
    """

    has_rsample = False
    has_enumerate_support = False
    _validate_args: ClassVar[bool] = True

    def __init__(
        self,
        batch_shape: tuple[int, ...] = (),
        event_shape: tuple[int, ...] = (),
        validate_args: bool | None = None,
    ) -> None:
        self._batch_shape = Size(batch_shape)
        self._event_shape = Size(event_shape)
        self._checks = Distribution._validate_args if validate_args is None else validate_args
        if self._checks:
            for name, value in self._parameters().items():
                self._check_parameter(name, value)

    def _parameters(self) -> dict[str, Tensor]:
        """Those that arg_constraints names, by name: what was given or has been worked out."""
        return {name: self.__dict__[name] for name in self.arg_constraints if name in self.__dict__}

    def _check_parameter(self, name: str, value: Tensor) -> None:
        constraint = self.arg_constraints[name]
        if not constraint.check(value).all():
            raise ValueError(
                f"Expected parameter {name} ({type(value).__name__} of shape "
                f"{tuple(value.shape)}) of distribution {self!r} to satisfy the constraint "
                f"{constraint!r}, but found invalid values:\n{value}"
            )

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions check what they are given.

        Raises:
            ValueError: value is neither True nor False.
        """
        if value not in (True, False):
            raise ValueError(f"True or False is expected, not {value!r}")
        Distribution._validate_args = value

    # ---- shapes

    @property
    def batch_shape(self) -> Size:
        """The shape of the batch of distributions."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of one sample of one of them."""
        return self._event_shape

    def _extended_shape(self, sample_shape: Iterable[int] = ()) -> Size:
        return Size(sample_shape) + self._batch_shape + self._event_shape

    # ---- what subclasses define

    @property
    def arg_constraints(self) -> dict[str, Constraint]:
        """The parameters' constraints, by name."""
        return {}

    @property
    def support(self) -> Constraint:
        """Where samples lie."""
        raise NotImplementedError(f"{type(self).__name__} has no support")

    @property
    def mean(self) -> Tensor:
        """The mean, of shape batch_shape + event_shape."""
        raise NotImplementedError(f"{type(self).__name__} has no mean")

    @property
    def mode(self) -> Tensor:
        """The most likely value, of shape batch_shape + event_shape."""
        raise NotImplementedError(f"{type(self).__name__} does not implement mode")

    @property
    def variance(self) -> Tensor:
        """The variance, of shape batch_shape + event_shape."""
        raise NotImplementedError(f"{type(self).__name__} has no variance")

    @property
    def stddev(self) -> Tensor:
        """The root of the variance."""
        return self.variance.sqrt()

    def expand(self, batch_shape: Iterable[int], _instance: Any = None) -> Self:
        """The same distribution over a larger batch_shape (parameters are expanded).

        Raises:
            RuntimeError: the present batch_shape does not expand to it.
            NotImplementedError: arg_constraints names no parameters.
        """
        n, new = len(self._batch_shape), copy.copy(self)
        shape = new._batch_shape = Size(batch_shape)
        for name, value in self._parameters().items():
            new.__dict__[name] = value.expand(shape + value.size()[n:])
        new.__dict__.update(self._expanded_parts(shape))
        return new

    def _expanded_parts(self, batch_shape: Size) -> dict[str, Distribution]:
        """The distributions that this one is made of, by attribute, for another batch_shape."""
        if not self.arg_constraints:
            raise NotImplementedError(f"{type(self).__name__} has no expand")
        return {}

    def rsample(self, sample_shape: Iterable[int] = ()) -> Tensor:
        """sample, through which gradients flow to the parameters (reparametrized)."""
        raise NotImplementedError(f"{type(self).__name__} has no rsample")

    def sample(self, sample_shape: Iterable[int] = ()) -> Tensor:
        """Samples of shape sample_shape + batch_shape + event_shape, without gradients."""
        with no_grad():
            return self.rsample(sample_shape)

    def sample_n(self, n: int) -> Tensor:
        """sample((n,)); PyTorch's older name for it."""
        return self.sample((n,))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density or mass at value.

        Args:
            value: of a shape that broadcasts with batch_shape + event_shape.

        Returns:
            Of the shape that they broadcast to, without event_shape.

        Raises:
            ValueError: value is no tensor, has another shape or lies outside of the support
                (cdf raises it too; neither does with validate_args=False).
        """
        raise NotImplementedError(f"{type(self).__name__} has no log_prob")

    def cdf(self, value: Tensor) -> Tensor:
        """The cumulative distribution function at value."""
        raise NotImplementedError(f"{type(self).__name__} has no cdf")

    def icdf(self, value: Tensor) -> Tensor:
        """The inverse of cdf at value."""
        raise NotImplementedError(f"{type(self).__name__} has no icdf")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values that a discrete distribution can have: (n,) + batch_shape + event_shape.

        Args:
            expand: False: with ones for batch_shape.
        """
        raise NotImplementedError(f"{type(self).__name__} has no enumerate_support")

    def _enumerated(self, values: Tensor, expand: bool) -> Tensor:
        """enumerate_support of these values, (n,) + event_shape."""
        n, batch = values.size()[:1], self._batch_shape
        values = values.view(n + (1,) * len(batch) + self._event_shape)
        return values.expand(n + batch + self._event_shape) if expand else values

    def entropy(self) -> Tensor:
        """The entropy in nats, of shape batch_shape."""
        raise NotImplementedError(f"{type(self).__name__} has no entropy")

    def perplexity(self) -> Tensor:
        """exp of the entropy."""
        return self.entropy().exp()

    # ---- checks

    def _validate_sample(self, value: Any) -> None:
        """ValueError where log_prob and its kind cannot take value; nothing without validation."""
        if not self._checks:
            return
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        have, want = tuple(value.shape), tuple(self._extended_shape())
        for i, j in zip(reversed(have), reversed(want)):
            if i != j and i != 1 and j != 1:
                raise ValueError(
                    "Value is not broadcastable with batch_shape+event_shape: "
                    f"{value.shape} vs {self._extended_shape()}."
                )
        if not self.support.check(value).all():
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {have}) to be within "
                f"the support ({self.support!r}) of the distribution {self!r}, but found invalid "
                f"values:\n{value}"
            )

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}: {p if p.numel() == 1 else p.size()}" for name, p in self._parameters().items()
        )
        return f"{type(self).__name__}({shown})"


def broadcast_all(*values: Any) -> list[Tensor]:
    """Numbers and tensors as tensors of one shape; numbers take the tensors' dtype.

    Raises:
        ValueError: a value is neither. RuntimeError: the shapes do not fit together.
    """
    for v in values:
        if not isinstance(v, (Tensor, int, float)):
            raise ValueError(
                f"Input arguments must all be instances of Number or Tensor, not {type(v).__name__}"
            )
    first = next((v for v in values if isinstance(v, Tensor)), None)
    dtype = rnn.get_default_dtype() if first is None else first.dtype
    tensors = [v if isinstance(v, Tensor) else rnn.tensor(v, dtype=dtype) for v in values]
    return list(rnn.broadcast_tensors(*tensors))


class ProbsOrLogits(Distribution):
    """A distribution of probs or of logits: the other is worked out when first asked for."""

    def _probs_of_logits(self) -> Tensor:
        raise NotImplementedError

    def _logits_of_probs(self) -> Tensor:
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:
        if name == "probs" and "logits" in self.__dict__:
            found = self._probs_of_logits()
        elif name == "logits" and "probs" in self.__dict__:
            found = self._logits_of_probs()
        else:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        self.__dict__[name] = found
        return found

    @property
    def _param(self) -> Tensor:
        given: Tensor = self.__dict__["probs" if "probs" in self.__dict__ else "logits"]
        return given


def one_of(probs: Any, logits: Any) -> tuple[str, Any]:
    """The name and the value of the one that is given; ValueError where both or neither are."""
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")
    return ("probs", probs) if logits is None else ("logits", logits)


def sum_rightmost(value: Tensor, dims: int) -> Tensor:
    """The sum over the last dims dimensions."""
    return value.sum(tuple(range(-dims, 0))) if dims else value


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities, kept off 0 and 1 by their dtype's epsilon: their logarithms are finite."""
    eps = rnn.finfo(probs.dtype).eps
    return probs.clamp(eps, 1 - eps)

"""Transforms: maps of samples that know how they stretch space (torch.distributions.transforms)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import rnn
from rnn._size import Size
from rnn.distributions import constraints
from rnn.distributions.distribution import sum_rightmost
from rnn.nn.functional import softplus
from rnn.ops.shape import broadcast_sizes as broadcast_shapes
from rnn.tensor import Tensor


class Transform:
    """A map y = t(x), and the logarithm of the determinant of its derivative.

    A subclass defines domain, codomain, _call, _inverse (where the map is bijective) and
    log_abs_det_jacobian.

    Args:
        cache_size: 1: the last x and y are kept, so that t.inv(t(x)) is x itself, exactly.

    Raises:
        ValueError: cache_size is neither 0 nor 1.

    >>> t = rnn.distributions.transforms.ExpTransform()
    >>> t(rnn.tensor([0.0])), t.inv(rnn.tensor([1.0]))
    (tensor([1.]), tensor([0.]))
    """

    bijective = False
    sign: Any = 1
    domain: Any = constraints.real
    codomain: Any = constraints.real

    def __init__(self, cache_size: int = 0) -> None:
        if cache_size not in (0, 1):
            raise ValueError("cache_size must be 0 or 1")
        self._cache_size = cache_size
        self._kept: tuple[Any, Any] = (None, None)

    @property
    def event_dim(self) -> int:
        """How many last dimensions one point spans.

        Raises:
            ValueError: points span more before or after.
        """
        if self.domain.event_dim != self.codomain.event_dim:
            raise ValueError("Please use either .domain.event_dim or .codomain.event_dim")
        dims: int = self.domain.event_dim
        return dims

    @property
    def inv(self) -> Transform:
        """The inverse map."""
        return _Inverse(self)

    def __call__(self, x: Tensor) -> Tensor:
        if self._cache_size and x is self._kept[0]:
            return self._kept[1]
        y = self._call(x)
        self._keep(x, y)
        return y

    def _inv_call(self, y: Tensor) -> Tensor:
        if self._cache_size and y is self._kept[1]:
            return self._kept[0]
        x = self._inverse(y)
        self._keep(x, y)
        return x

    def _keep(self, x: Tensor, y: Tensor) -> None:
        if self._cache_size:
            self._kept = x, y

    def _call(self, x: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no _call")

    def _inverse(self, y: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no _inverse")

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log |dy / dx|, of shape x.shape without the event's dimensions."""
        raise NotImplementedError(f"{type(self).__name__} has no log_abs_det_jacobian")

    def forward_shape(self, shape: Any) -> Any:
        """The shape of t(x) of an x of this shape."""
        return shape

    def inverse_shape(self, shape: Any) -> Any:
        """The shape of x where t(x) has this shape."""
        return shape

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class _Inverse(Transform):
    def __init__(self, of: Transform) -> None:
        super().__init__()
        self._inv = of
        self.bijective, self.sign = of.bijective, of.sign
        self.domain, self.codomain = of.codomain, of.domain

    @property
    def inv(self) -> Transform:
        return self._inv

    def __call__(self, x: Tensor) -> Tensor:
        return self._inv._inv_call(x)

    def _inv_call(self, y: Tensor) -> Tensor:
        return self._inv(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -self._inv.log_abs_det_jacobian(y, x)

    def forward_shape(self, shape: Any) -> Any:
        return self._inv.inverse_shape(shape)

    def inverse_shape(self, shape: Any) -> Any:
        return self._inv.forward_shape(shape)

    def __repr__(self) -> str:
        return f"_InverseTransform({self._inv!r})"


class ComposeTransform(Transform):
    """Several transforms, the first one first.

    >>> d = rnn.distributions.transforms
    >>> d.ComposeTransform([d.ExpTransform(), d.AffineTransform(1.0, 2.0)])(rnn.zeros(1))
    tensor([3.])
    """

    def __init__(self, parts: Sequence[Transform], cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.parts = list(parts)
        self.bijective = all(p.bijective for p in self.parts)
        self.sign = math.prod(getattr(p, "sign", 1) for p in self.parts)
        first, last = (
            (self.parts[0].domain, self.parts[-1].codomain)
            if self.parts
            else (constraints.real, constraints.real)
        )
        self.domain = _raised(first, self._event_dims(reversed(self.parts), last.event_dim, True))
        self.codomain = _raised(last, self._event_dims(self.parts, first.event_dim, False))

    @staticmethod
    def _event_dims(parts: Any, dims: int, backward: bool) -> int:
        """How many dimensions a point spans at the other end."""
        for p in parts:
            here, there = p.domain.event_dim, p.codomain.event_dim
            if backward:
                here, there = there, here
            dims = max(dims, here) - here + there
        return dims

    def __call__(self, x: Tensor) -> Tensor:
        for p in self.parts:
            x = p(x)
        return x

    def _inv_call(self, y: Tensor) -> Tensor:
        for p in reversed(self.parts):
            y = p.inv(y)
        return y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        if not self.parts:
            return rnn.zeros_like(x)
        total: Any = 0
        dims = self.domain.event_dim
        for p in self.parts:
            after = p(x)
            total = total + sum_rightmost(
                p.log_abs_det_jacobian(x, after), dims - p.domain.event_dim
            )
            dims += p.codomain.event_dim - p.domain.event_dim
            x = after
        made: Tensor = total
        return made

    def forward_shape(self, shape: Any) -> Any:
        for p in self.parts:
            shape = p.forward_shape(shape)
        return shape

    def inverse_shape(self, shape: Any) -> Any:
        for p in reversed(self.parts):
            shape = p.inverse_shape(shape)
        return shape

    def __repr__(self) -> str:
        inner = ",\n    ".join(map(repr, self.parts))
        return f"ComposeTransform(\n    {inner}\n)"


def _raised(constraint: Any, dims: int) -> Any:
    """The constraint, of points of so many dimensions."""
    more = dims - constraint.event_dim
    return constraints.independent(constraint, more) if more > 0 else constraint


class AffineTransform(Transform):
    """y = loc + scale x; numbers or tensors.

    >>> rnn.distributions.transforms.AffineTransform(1.0, 2.0)(rnn.tensor([0.0, 1.0]))
    tensor([1., 3.])
    """

    bijective = True

    def __init__(self, loc: Any, scale: Any, event_dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.loc, self.scale = loc, scale
        self.domain = self.codomain = _raised(constraints.real, event_dim)

    @property
    def sign(self) -> Any:
        return self.scale.sign() if isinstance(self.scale, Tensor) else math.copysign(1, self.scale)

    def _call(self, x: Tensor) -> Tensor:
        y: Tensor = self.loc + self.scale * x
        return y

    def _inverse(self, y: Tensor) -> Tensor:
        x: Tensor = (y - self.loc) / self.scale
        return x

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        if isinstance(self.scale, Tensor):
            made = self.scale.abs().log()
        else:
            made = rnn.full_like(x, math.log(abs(self.scale)))
        dims = self.event_dim
        if not dims:
            return made.expand(broadcast_shapes(made.shape, x.shape))
        return sum_rightmost(made.expand(x.shape), dims)

    def forward_shape(self, shape: Any) -> Any:
        sizes = [t.shape for t in (self.loc, self.scale) if isinstance(t, Tensor)]
        return broadcast_shapes(Size(shape), *sizes)

    inverse_shape = forward_shape


class ExpTransform(Transform):
    """y = exp(x).

    >>> rnn.distributions.transforms.ExpTransform()(rnn.zeros(2))
    tensor([1., 1.])
    """

    bijective = True
    codomain = constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return x.exp()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x


class PowerTransform(Transform):
    """y = x ** exponent, of positive numbers.

    >>> rnn.distributions.transforms.PowerTransform(rnn.tensor(2.0))(rnn.tensor([3.0]))
    tensor([9.])
    """

    bijective = True
    domain = codomain = constraints.positive

    def __init__(self, exponent: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.exponent = exponent if isinstance(exponent, Tensor) else rnn.tensor(exponent)

    @property
    def sign(self) -> Any:
        return self.exponent.sign()

    def _call(self, x: Tensor) -> Tensor:
        y: Tensor = x.pow(self.exponent)
        return y

    def _inverse(self, y: Tensor) -> Tensor:
        x: Tensor = y.pow(1 / self.exponent)
        return x

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return (self.exponent * y / x).abs().log()

    def forward_shape(self, shape: Any) -> Any:
        return broadcast_shapes(Size(shape), self.exponent.shape)

    inverse_shape = forward_shape


class SigmoidTransform(Transform):
    """y = 1 / (1 + exp(-x)), kept off 0 and 1.

    >>> rnn.distributions.transforms.SigmoidTransform()(rnn.zeros(1))
    tensor([0.5000])
    """

    bijective = True
    codomain = constraints.unit_interval

    def _call(self, x: Tensor) -> Tensor:
        info = rnn.finfo(x.dtype)
        return x.sigmoid().clamp(info.tiny, 1.0 - info.eps)

    def _inverse(self, y: Tensor) -> Tensor:
        info = rnn.finfo(y.dtype)
        y = y.clamp(info.tiny, 1.0 - info.eps)
        return y.log() - (-y).log1p()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -softplus(-x) - softplus(x)


class SoftplusTransform(Transform):
    """y = log(1 + exp(x)).

    >>> rnn.distributions.transforms.SoftplusTransform()(rnn.zeros(1))
    tensor([0.6931])
    """

    bijective = True
    codomain = constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return softplus(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return (-y).expm1().neg().log() + y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -softplus(-x)


class TanhTransform(Transform):
    """y = tanh(x). Its inverse is not exact near -1 and 1: cache_size=1 keeps x.

    >>> rnn.distributions.transforms.TanhTransform(cache_size=1)(rnn.zeros(1))
    tensor([0.])
    """

    bijective = True
    codomain = constraints.interval(-1.0, 1.0)

    def _call(self, x: Tensor) -> Tensor:
        return x.tanh()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.atanh()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return (-x + math.log(2.0) - softplus(x * -2.0)) * 2.0


class AbsTransform(Transform):
    """y = |x|; its inverse is taken to be y.

    >>> rnn.distributions.transforms.AbsTransform()(rnn.tensor([-2.0]))
    tensor([2.])
    """

    codomain = constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return x.abs()

    def _inverse(self, y: Tensor) -> Tensor:
        return y

"""MultivariateNormal: the Gaussian of vectors (torch.distributions.MultivariateNormal)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, ClassVar

import rnn
from rnn.distributions import constraints
from rnn.distributions.distribution import Distribution
from rnn.ops.shape import broadcast_sizes as broadcast_shapes
from rnn.tensor import Tensor

_NAMES = ("covariance_matrix", "precision_matrix", "scale_tril")


def _from_precision(p: Tensor) -> Tensor:
    """The Cholesky factor of P's inverse, without the inverse: P is factored from its end."""
    factor = rnn.linalg.cholesky(p.flip((-2, -1))).flip((-2, -1)).mT
    one = rnn.eye(p.shape[-1], dtype=p.dtype)
    return rnn.linalg.solve_triangular(factor, one, upper=False)


def _distance(factor: Tensor, difference: Tensor) -> Tensor:
    """The squared Mahalanobis length of vectors (..., n), factor (..., n, n)."""
    if factor.dim() > 2:
        inner = rnn.linalg.solve_triangular(factor, difference.unsqueeze(-1), upper=False)
        return inner.square().sum((-2, -1))
    columns = difference.reshape(-1, factor.shape[-1]).mT  # one system, however many vectors
    inner = rnn.linalg.solve_triangular(factor, columns, upper=False)
    return inner.square().sum(0).reshape(difference.shape[:-1])


class MultivariateNormal(Distribution):
    """Mean loc (..., n), and one of three: covariance_matrix, precision_matrix (its inverse) or
    scale_tril (its Cholesky factor), (..., n, n).

    Raises:
        ValueError: not exactly one is given; it has less than two dimensions, is not
            positive-definite, or not lower triangular with a positive diagonal.

    >>> d = rnn.distributions.MultivariateNormal(rnn.zeros(2), rnn.eye(2))
    >>> d.log_prob(rnn.zeros(3, 2))
    tensor([-1.8379, -1.8379, -1.8379])
    """

    has_rsample = True
    support = constraints.real_vector
    arg_constraints: ClassVar = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }

    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        given = dict(zip(_NAMES, (covariance_matrix, precision_matrix, scale_tril)))
        found = [(name, t) for name, t in given.items() if t is not None]
        if len(found) != 1:
            raise ValueError(
                "Exactly one of covariance_matrix or precision_matrix or scale_tril may be "
                "specified."
            )
        name, matrix = found[0]
        if matrix.dim() < 2:
            raise ValueError(
                f"{name} must be at least two-dimensional, with optional leading batch dimensions"
            )
        batch = broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        self.loc = loc.expand(*batch, loc.shape[-1])
        self.__dict__[name] = matrix.expand(*batch, *matrix.shape[-2:])
        super().__init__(batch, self.loc.shape[-1:], validate_args)
        if name == "scale_tril":
            self._factor = matrix
        elif name == "precision_matrix":
            self._factor = _from_precision(matrix)
        else:
            self._factor = rnn.linalg.cholesky(matrix)

    def __getattr__(self, name: str) -> Any:
        """The two matrices that were not given: worked out when first asked for."""
        if name not in _NAMES or "_factor" not in self.__dict__:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        factor = self._factor
        if name == "covariance_matrix":
            factor = factor @ factor.mT
        elif name == "precision_matrix":
            factor = rnn.cholesky_inverse(factor)
        n = self._event_shape[0]
        self.__dict__[name] = factor.expand(*self._batch_shape, n, n)
        return self.__dict__[name]

    @property
    def mean(self) -> Tensor:
        return self.loc

    mode = mean

    @property
    def variance(self) -> Tensor:
        return self._factor.square().sum(-1).expand(self._batch_shape + self._event_shape)

    def rsample(self, sample_shape: Iterable[int] = ()) -> Tensor:
        noise = rnn.randn(self._extended_shape(sample_shape), dtype=self.loc.dtype)
        return self.loc + (self._factor @ noise.unsqueeze(-1)).squeeze(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        distance = _distance(self._factor, value - self.loc)
        whole = distance + self._event_shape[0] * math.log(2 * math.pi)
        return whole * -0.5 - self._half_log_det

    @property
    def _half_log_det(self) -> Tensor:
        return self._factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def entropy(self) -> Tensor:
        of_one = 0.5 * (1 + math.log(2 * math.pi))
        return (self._half_log_det + self._event_shape[0] * of_one).expand(self._batch_shape)


def divergence(p: MultivariateNormal, q: MultivariateNormal) -> Tensor:
    """kl_divergence of two of them.

    Raises:
        ValueError: their vectors have different lengths.
    """
    if p.event_shape != q.event_shape:
        raise ValueError(
            "KL-divergence between two Multivariate Normals with different event shapes cannot be "
            "computed"
        )
    spread = rnn.linalg.solve_triangular(q._factor, p._factor, upper=False).square().sum((-2, -1))
    distance = _distance(q._factor, q.loc - p.loc)
    return q._half_log_det - p._half_log_det + (spread + distance - p.event_shape[0]) * 0.5

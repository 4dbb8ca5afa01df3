"""The parametrization by orthogonal matrices (torch.nn.utils.parametrizations.orthogonal)."""

from __future__ import annotations

from enum import Enum, auto
from typing import Any, TypeVar

import numpy as np

import rnn
from rnn.autograd.modes import no_grad
from rnn.nn.module import Module
from rnn.nn.utils import parametrize
from rnn.ops._core import array_of, nodes
from rnn.tensor import Tensor

M = TypeVar("M", bound=Module)


class _OrthMaps(Enum):
    matrix_exp = auto()
    cayley = auto()
    householder = auto()


def _is_orthogonal(q: Tensor) -> bool:
    n, k = q.shape[-2:]
    one = rnn.eye(k, dtype=q.dtype)
    return rnn.allclose(q.mT @ q, one, atol=10.0 * n * rnn.finfo(q.dtype).eps)


def _made_orthogonal(a: Tensor) -> Tensor:
    """The Q of A = Q R whose R has a diagonal that is not negative."""
    q, r = rnn.linalg.qr(a)
    return q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)


def _reflectors(q: Tensor) -> Any:
    """(the Householder vectors below the diagonal, their factors) of Q R, as LAPACK packs them."""
    raw, tau = np.linalg.qr(array_of(q), "raw")
    return np.swapaxes(raw, -1, -2).copy(), tau


def _product(a: Tensor, tau: Any) -> Tensor:
    """The first columns of the product of the reflections 1 - tau v vᵀ; v is a column of a, which
    is zero above the diagonal and taken as one on it.
    """
    n, k = a.shape[-2:]
    one = rnn.eye(n, k, dtype=a.dtype)
    v, q = a + one, one.expand(*a.shape)
    for i in reversed(range(k)):
        column = v[..., i : i + 1]
        q = q - tau[..., i, None, None] * column @ (column.mT @ q)
    return q


class _Orthogonal(Module):
    base: Any

    def __init__(
        self, weight: Tensor, orthogonal_map: _OrthMaps, *, use_trivialization: bool = True
    ) -> None:
        super().__init__()
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X: Tensor) -> Tensor:
        wide = X.shape[-2] < X.shape[-1]
        x = X.mT if wide else X
        if self.orthogonal_map is _OrthMaps.householder:
            a = x.tril(-1)
            q = _product(a, 2.0 / (1.0 + (a * a).sum(-2)))
            q = q * x.diagonal(dim1=-2, dim2=-1).int().unsqueeze(-2)
        else:
            q = self._of_skew_symmetric(x.tril())
        if hasattr(self, "base"):
            q = self.base @ q
        return q.mT if wide else q

    def _of_skew_symmetric(self, x: Tensor) -> Tensor:
        n, k = x.shape[-2:]
        if n != k:
            x = rnn.cat([x, x.new_zeros(n, n - k).expand(*x.shape[:-2], -1, -1)], dim=-1)
        a = x - x.mT
        if self.orthogonal_map is _OrthMaps.matrix_exp:
            q = rnn.matrix_exp(a)
        else:
            one = rnn.eye(n, dtype=a.dtype)
            q = rnn.linalg.solve(one - 0.5 * a, one + 0.5 * a)
        return q if n == k else q[..., :k]

    @no_grad()
    def right_inverse(self, Q: Tensor) -> Tensor:
        if Q.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {self.shape}. "
                f"Got a tensor of shape {Q.shape}."
            )
        wide = Q.shape[-2] < Q.shape[-1]
        q = Q.mT if wide else Q
        if not hasattr(self, "base"):
            a = self._inverse_of_householder(q)
            return a.mT if wide else a
        n, k = q.shape[-2:]
        if n != k:
            rest = rnn.randn(*q.shape[:-2], n, n - k, dtype=q.dtype)
            q = _made_orthogonal(rnn.cat([q, rest], dim=-1))
        else:
            q = q.clone() if _is_orthogonal(q) else _made_orthogonal(q)
        self.base = q
        negative = rnn.zeros_like(Q)
        negative.diagonal(dim1=-2, dim2=-1).fill_(-1.0)
        return negative

    def _inverse_of_householder(self, q: Tensor) -> Tensor:
        if self.orthogonal_map is not _OrthMaps.householder:
            raise NotImplementedError(
                "It is not possible to assign to the matrix exponential "
                "or the Cayley parametrizations when use_trivialization=False."
            )
        a, tau = _reflectors(q)
        i = np.arange(a.shape[-1])
        a[..., i, i] = np.sign(a[..., i, i]) * np.where(tau == 0, -1, 1)
        return nodes(a)


def orthogonal(
    module: M,
    name: str = "weight",
    orthogonal_map: str | None = None,
    *,
    use_trivialization: bool = True,
) -> M:
    """Keeps a weight (..., m, n) orthogonal: its columns, or its rows where m < n, are orthonormal.

    Args:
        module: changed in place.
        name: of the parameter.
        orthogonal_map: "matrix_exp" (of square matrices the default) or "cayley", of a
            skew-symmetric matrix; or "householder", a product of reflections.
        use_trivialization: whether the map starts from a matrix `base`, which is kept as a buffer.

    Returns:
        The module.

    Raises:
        ValueError: the parameter is not there, has less than two dimensions, or the map is unknown.

    Example:
        >>> layer = orthogonal(rnn.nn.Linear(3, 3))
        >>> rnn.allclose(layer.weight @ layer.weight.T, rnn.eye(3), atol=1e-5)
        True

    Source: Lezcano-Casado, https://arxiv.org/abs/1909.09501.
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if weight.ndim < 2:
        raise ValueError(
            f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions."
        )
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.shape[-2] == weight.shape[-1] else "householder"
    chosen = getattr(_OrthMaps, orthogonal_map, None)
    if chosen is None:
        raise ValueError(
            'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". '
            f"Got: {orthogonal_map}"
        )
    made = _Orthogonal(weight, chosen, use_trivialization=use_trivialization)
    parametrize.register_parametrization(module, name, made, unsafe=True)
    return module

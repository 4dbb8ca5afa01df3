"""Parametrizations that are often used (torch.nn.utils.parametrizations)."""

from __future__ import annotations

from typing import Any, TypeVar

from rnn import autograd
from rnn.nn.functional import normalize
from rnn.nn.module import Module
from rnn.nn.utils import parametrize
from rnn.nn.utils.orthogonal import orthogonal as orthogonal
from rnn.nn.utils.spectral_norm import (
    as_matrix,
    check_iterations,
    default_dim,
    random_direction,
)
from rnn.nn.utils.weight_norm import norm_except_dim, scaled
from rnn.tensor import Tensor

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]

M = TypeVar("M", bound=Module)


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return scaled(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except_dim(weight, self.dim), weight


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Trains a weight as its norms, `original0`, times its direction, `original1`.

    State dicts of torch.nn.utils.weight_norm can be loaded.

    Args:
        module: changed in place.
        name: of the parameter.
        dim: the dimension along which there is a norm each; None: one norm of the whole.

    Returns:
        The module.

    Example:
        >>> sorted(weight_norm(rnn.nn.Linear(2, 3)).state_dict())
        ['bias', 'parametrizations.weight.original0', 'parametrizations.weight.original1']

    Source: Salimans and Kingma, https://arxiv.org/abs/1602.07868.
    """
    parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def rename(state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
        old = f"{prefix}{name}_g", f"{prefix}{name}_v"
        if all(key in state_dict for key in old):
            for i, key in enumerate(old):
                new = f"{prefix}parametrizations.{name}.original{i}"
                state_dict[new] = state_dict.pop(key)

    module._register_load_state_dict_pre_hook(rename)
    return module


class _SpectralNorm(Module):
    def __init__(
        self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12
    ) -> None:
        super().__init__()
        ndim = weight.ndim
        if dim >= ndim or dim < -ndim:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{ndim}, {ndim - 1}] "
                f"but got {dim})"
            )
        check_iterations(n_power_iterations)
        self.dim = dim if dim >= 0 else dim + ndim
        self.eps = eps
        if ndim > 1:
            self.n_power_iterations = n_power_iterations
            matrix = as_matrix(weight.detach(), self.dim)
            rows, columns = matrix.shape
            u, v = (random_direction(matrix, n, eps) for n in (rows, columns))
            self.register_buffer("_u", u)
            self.register_buffer("_v", v)
            self._power_method(matrix, 15)

    def _power_method(self, matrix: Tensor, n_power_iterations: int) -> None:
        with autograd.no_grad():
            for _ in range(n_power_iterations):
                self._u.copy_(normalize(matrix.mv(self._v), dim=0, eps=self.eps))
                self._v.copy_(normalize(matrix.t().mv(self._u), dim=0, eps=self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._power_method(matrix, self.n_power_iterations)
        # a graph keeps these, and the next forward changes the buffers
        u, v = self._u.clone(), self._v.clone()
        made: Tensor = weight / u.dot(matrix.mv(v))
        return made

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def spectral_norm(
    module: M,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> M:
    """Divides a weight by an estimate of its largest singular value.

    In training mode each use of the weight makes steps of the power method.

    Args:
        module: changed in place.
        name: of the parameter or buffer.
        n_power_iterations: how many steps.
        eps: the least norm in it.
        dim: the dimension of the outputs; None: 1 for transposed convolutions, else 0.

    Returns:
        The module.

    Raises:
        ValueError: there is no such tensor, or n_power_iterations is not positive.
        IndexError: the tensor has no dimension dim.

    Source: Miyato et al., https://arxiv.org/abs/1802.05957.

    Example:
        >>> m = spectral_norm(rnn.nn.Linear(3, 3))
        >>> [name for name, _ in m.named_parameters()]
        ['bias', 'parametrizations.weight.original']
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    along = default_dim(module) if dim is None else dim
    made = _SpectralNorm(weight, n_power_iterations, along, eps)
    parametrize.register_parametrization(module, name, made)
    return module

"""A weight over its largest singular value, by a hook before forward
(torch.nn.utils.spectral_norm).

parametrizations.spectral_norm is the same as a parametrization.
"""

from __future__ import annotations

from typing import Any, TypeVar

from rnn import autograd
from rnn.nn.functional import normalize
from rnn.nn.module import Module
from rnn.nn.modules.conv import _ConvTranspose
from rnn.nn.parameter import Parameter
from rnn.nn.utils.weight_norm import _refuse_lazy, hook_of, remove_hook
from rnn.tensor import Tensor

M = TypeVar("M", bound=Module)


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """weight with dimension dim first and all others as the second."""
    if dim != 0:
        weight = weight.permute(dim, *[d for d in range(weight.ndim) if d != dim])
    made: Tensor = weight.reshape(weight.shape[0], -1)
    return made


def random_direction(like: Tensor, n: int, eps: float) -> Tensor:
    """A random vector of n elements and norm 1."""
    return normalize(like.new_empty(n).normal_(0, 1), dim=0, eps=eps)


def check_iterations(count: int) -> int:
    """count itself.

    Raises:
        ValueError: it is not positive.
    """
    if count <= 0:
        raise ValueError(
            f"Expected n_power_iterations to be positive, but got n_power_iterations={count}"
        )
    return count


def default_dim(module: Module) -> int:
    """Where a module's outputs are in its weight."""
    return 1 if isinstance(module, _ConvTranspose) else 0


class SpectralNorm:
    """The hook of spectral_norm. `name`_u and `name`_v tend to the singular vectors."""

    _version = 1

    def __init__(
        self, name: str = "weight", n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12
    ) -> None:
        self.name = name
        self.dim = dim
        self.n_power_iterations = check_iterations(n_power_iterations)
        self.eps = eps

    def compute_weight(self, module: Module, do_power_iteration: bool) -> Tensor:
        """The weight over its norm, after steps of the power method that change u and v."""
        weight = getattr(module, self.name + "_orig")
        u, v = getattr(module, self.name + "_u"), getattr(module, self.name + "_v")
        matrix = as_matrix(weight, self.dim)
        if do_power_iteration:
            with autograd.no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(normalize(matrix.t().mv(u), dim=0, eps=self.eps))
                    u.copy_(normalize(matrix.mv(v), dim=0, eps=self.eps))
                # a graph keeps these, and the next forward changes u and v
                u, v = u.clone(), v.clone()
        made: Tensor = weight / u.dot(matrix.mv(v))
        return made

    def remove(self, module: Module) -> None:
        """Makes the weight a parameter again."""
        with autograd.no_grad():
            weight = self.compute_weight(module, do_power_iteration=False)
        for suffix in ("", "_u", "_v", "_orig"):
            delattr(module, self.name + suffix)
        module.register_parameter(self.name, Parameter(weight.detach()))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module, module.training))

    @staticmethod
    def apply(
        module: Module, name: str, n_power_iterations: int, dim: int, eps: float
    ) -> SpectralNorm:
        """Replaces a parameter of the module, and registers the hooks."""
        if hook_of(module, SpectralNorm, name) is not None:
            raise RuntimeError(
                f"Cannot register two spectral_norm hooks on the same parameter {name}"
            )
        fn = SpectralNorm(name, n_power_iterations, dim, eps)
        weight = module._parameters[name]
        if weight is None:
            raise ValueError(f"`SpectralNorm` cannot be applied as parameter `{name}` is None")
        _refuse_lazy(weight, "SpectralNorm", "spectral")
        rows, columns = as_matrix(weight.detach(), dim).shape
        u, v = (random_direction(weight, n, eps) for n in (rows, columns))
        delattr(module, name)
        module.register_parameter(name + "_orig", weight)
        setattr(module, name, weight.data)  # an attribute, for code that looks for it
        module.register_buffer(name + "_u", u)
        module.register_buffer(name + "_v", v)
        module.register_forward_pre_hook(fn)
        module._register_state_dict_hook(SpectralNormStateDictHook(fn))
        return fn


class SpectralNormStateDictHook:
    """Writes the version of the format into a state dict's metadata."""

    def __init__(self, fn: SpectralNorm) -> None:
        self.fn = fn

    def __call__(self, module: Module, state_dict: Any, prefix: str, local_metadata: Any) -> None:
        versions = local_metadata.setdefault("spectral_norm", {})
        key = self.fn.name + ".version"
        if key in versions:
            raise RuntimeError(f"Unexpected key in metadata['spectral_norm']: {key}")
        versions[key] = self.fn._version


def spectral_norm(
    module: M,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> M:
    """Divides a weight by an estimate of its largest singular value.

    Args:
        module: changed in place; a hook works its weight out before each forward().
        name: of the parameter.
        n_power_iterations: how many steps of the power method a forward() in training mode makes.
        eps: the least norm in it.
        dim: the dimension of the outputs; None: 1 for transposed convolutions, else 0.

    Returns:
        The module.

    Raises:
        RuntimeError: the parameter has such a hook.
        ValueError: the parameter is None or has no shape yet, or n_power_iterations is not
            positive.

    Example:
        >>> sorted(spectral_norm(rnn.nn.Linear(20, 40)).state_dict())
        ['bias', 'weight_orig', 'weight_u', 'weight_v']

    Source: Miyato et al., https://arxiv.org/abs/1802.05957.
    """
    along = default_dim(module) if dim is None else dim
    SpectralNorm.apply(module, name, n_power_iterations, along, eps)
    return module


def remove_spectral_norm(module: M, name: str = "weight") -> M:
    """Undoes spectral_norm: the weight is a parameter again, with its present values.

    Raises:
        ValueError: the parameter has no such hook.

    Example:
        >>> m = spectral_norm(rnn.nn.Linear(2, 3))
        >>> remove_spectral_norm(m)
        Linear(in_features=2, out_features=3, bias=True)
        >>> [name for name, _ in m.named_parameters()]
        ['bias', 'weight']
    """
    remove_hook(module, SpectralNorm, name, "spectral_norm")
    for key, saver in module._state_dict_hooks.items():
        if isinstance(saver, SpectralNormStateDictHook) and saver.fn.name == name:
            del module._state_dict_hooks[key]
            break
    return module

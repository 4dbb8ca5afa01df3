"""A weight as a length times a direction, by a hook before forward (torch.nn.utils.weight_norm).

parametrizations.weight_norm is the same as a parametrization.
"""

from __future__ import annotations

import warnings
from typing import Any, TypeVar

from rnn.nn.module import Module
from rnn.nn.modules.lazy import UninitializedParameter
from rnn.nn.parameter import Parameter
from rnn.tensor import Tensor

M = TypeVar("M", bound=Module)


def norm_except_dim(v: Tensor, dim: int) -> Tensor:
    """The 2-norms of v over all dimensions but one, which broadcast with v; -1: of all v, 0-d."""
    if dim == -1:
        return v.norm()
    moved = v.transpose(0, dim)
    n = moved.shape[0]
    norms = moved.reshape(n, -1).norm(2, 1)
    made: Tensor = norms.reshape(n, *[1] * (v.ndim - 1)).transpose(0, dim)
    return made


def scaled(v: Tensor, g: Tensor, dim: int) -> Tensor:
    """v with the norms g."""
    made: Tensor = v * (g / norm_except_dim(v, dim))
    return made


def hook_of(module: Module, kind: Any, name: str) -> int | None:
    """The key of the hook of this kind that makes a module's parameter `name` before forward()."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, kind) and hook.name == name:
            return key
    return None


def remove_hook(module: Module, kind: Any, name: str, what: str) -> None:
    """Makes the parameter a plain one again.

    Raises:
        ValueError: there is no such hook.
    """
    key = hook_of(module, kind, name)
    if key is None:
        raise ValueError(f"{what} of '{name}' not found in {module}")
    hook: Any = module._forward_pre_hooks[key]
    hook.remove(module)
    del module._forward_pre_hooks[key]


class WeightNorm:
    """The hook of weight_norm."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name = name
        self.dim = -1 if dim is None else dim

    def compute_weight(self, module: Module) -> Tensor:
        """The weight that `name`_g and `name`_v mean."""
        v, g = getattr(module, self.name + "_v"), getattr(module, self.name + "_g")
        return scaled(v, g, self.dim)

    @staticmethod
    def apply(module: Module, name: str, dim: int | None) -> WeightNorm:
        """Splits a parameter of the module, and registers the hook."""
        if hook_of(module, WeightNorm, name) is not None:
            raise RuntimeError(
                f"Cannot register two weight_norm hooks on the same parameter {name}"
            )
        fn = WeightNorm(name, dim)
        weight = getattr(module, name)
        _refuse_lazy(weight, "WeightNorm", "weight")
        norms = norm_except_dim(weight.detach(), fn.dim)
        del module._parameters[name]
        module.register_parameter(name + "_g", Parameter(norms))
        module.register_parameter(name + "_v", Parameter(weight.data))
        setattr(module, name, fn.compute_weight(module))
        module.register_forward_pre_hook(fn)
        return fn

    def remove(self, module: Module) -> None:
        """Makes the weight a parameter again."""
        weight = self.compute_weight(module)
        delattr(module, self.name)
        del module._parameters[self.name + "_g"]
        del module._parameters[self.name + "_v"]
        setattr(module, self.name, Parameter(weight.data))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def _refuse_lazy(weight: Any, what: str, kind: str) -> None:
    if isinstance(weight, UninitializedParameter):
        raise ValueError(
            f"The module passed to `{what}` can't have uninitialized parameters. "
            f"Make sure to run the dummy forward before applying {kind} normalization"
        )


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Trains a weight as `name`_g, its norms, times `name`_v, its direction.

    Args:
        module: changed in place; a hook works its weight out before each forward().
        name: of the parameter.
        dim: the dimension along which there is a norm each; None: one norm of the whole.

    Returns:
        The module.

    Raises:
        RuntimeError: the parameter has such a hook.
        ValueError: the parameter of a lazy module has no shape yet.

    Example:
        >>> sorted(weight_norm(rnn.nn.Linear(20, 40)).state_dict())
        ['bias', 'weight_g', 'weight_v']

    Source: Salimans and Kingma, https://arxiv.org/abs/1602.07868.
    """
    warnings.warn(
        "`torch.nn.utils.weight_norm` is deprecated "
        "in favor of `torch.nn.utils.parametrizations.weight_norm`.",
        FutureWarning,
        stacklevel=2,
    )
    WeightNorm.apply(module, name, dim)
    return module


def remove_weight_norm(module: M, name: str = "weight") -> M:
    """Undoes weight_norm: the weight is a parameter again, with its present values.

    Raises:
        ValueError: the parameter has no such hook.

    Example:
        >>> m = weight_norm(rnn.nn.Linear(2, 3))
        >>> remove_weight_norm(m)
        Linear(in_features=2, out_features=3, bias=True)
        >>> [name for name, _ in m.named_parameters()]
        ['bias', 'weight']
    """
    remove_hook(module, WeightNorm, name, "weight_norm")
    return module

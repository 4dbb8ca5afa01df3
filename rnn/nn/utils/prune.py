"""Pruning: parameters with some of their elements held at 0 by a mask (torch.nn.utils.prune).

A pruned `weight` is worked out before each forward pass as weight_orig * weight_mask: weight_orig
is the parameter, weight_mask a buffer. `remove` makes it a parameter again, with its zeros.
"""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import rnn
from rnn.nn.module import Module
from rnn.tensor import Tensor

# ---- how many, and which -------------------------------------------------------------------------


def _check_amount(amount: Any) -> None:
    if not isinstance(amount, numbers.Real):
        raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
    whole = isinstance(amount, numbers.Integral)
    if (whole and amount < 0) or (not whole and not 0.0 <= float(amount) <= 1.0):
        raise ValueError(
            f"amount={amount} should either be a float in the range [0, 1] or a non-negative "
            "integer"
        )


def _how_many(amount: Any, size: int) -> int:
    """amount, or that share of size.

    Raises:
        ValueError: there are not so many.
    """
    if isinstance(amount, numbers.Integral):
        if int(amount) > size:
            raise ValueError(
                f"amount={amount} should be smaller than the number of parameters to prune={size}"
            )
        return int(amount)
    return round(amount * size)


def _check_structured(t: Tensor, dim: int) -> None:
    """Raises:
    ValueError, IndexError: t has one dimension, or not this one.
    """
    if t.dim() <= 1:
        raise ValueError(
            "Structured pruning can only be applied to multidimensional tensors. Found tensor of "
            f"shape {t.shape} with {t.dim()} dims"
        )
    if dim >= t.dim():
        raise IndexError(f"Invalid index {dim} for tensor of size {t.shape}")


def _norms(t: Tensor, n: Any, dim: int) -> Tensor:
    """The n-norm of each slice along dim."""
    dim %= t.dim()
    return rnn.norm(t, p=n, dim=[d for d in range(t.dim()) if d != dim])


# ---- methods -------------------------------------------------------------------------------------


class BasePruningMethod(ABC):
    """One way to choose what is pruned. It is a forward pre-hook of the module whose parameter it
    prunes.

    A subclass says its PRUNING_TYPE ("unstructured", "structured" or "global") and defines
    compute_mask.

    >>> class Negative(rnn.nn.utils.prune.BasePruningMethod):
    ...     PRUNING_TYPE = "unstructured"
    ...
    ...     def compute_mask(self, t, default_mask):
    ...         return default_mask * (t > 0)
    >>> hook = Negative.apply(rnn.nn.Linear(4, 3), "weight")
    """

    PRUNING_TYPE: str
    _tensor_name: str

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self._tensor_name, self.apply_mask(module))

    @abstractmethod
    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask, of t's shape: default_mask with more zeros.

        Args:
            t: what tells how important each element is.
            default_mask: what earlier prunings have left.
        """

    def apply_mask(self, module: Module) -> Tensor:
        """The pruned tensor: the parameter times its mask."""
        mask = getattr(module, self._tensor_name + "_mask")
        original = getattr(module, self._tensor_name + "_orig")
        pruned: Tensor = mask.to(dtype=original.dtype) * original
        return pruned

    @classmethod
    def apply(
        cls,
        module: Module,
        name: str,
        *args: Any,
        importance_scores: Tensor | None = None,
        **kwargs: Any,
    ) -> BasePruningMethod:
        """Prunes module's parameter `name`: again, where it has been pruned before.

        Args:
            args, kwargs: the method's.
            importance_scores: what compute_mask is to see in the parameter's place.

        Raises:
            AssertionError: importance_scores has another shape.
        """
        method: Any = cls(*args, **kwargs)
        method._tensor_name = name
        before = [
            (key, hook)
            for key, hook in module._forward_pre_hooks.items()
            if isinstance(hook, BasePruningMethod) and hook._tensor_name == name
        ]
        for key, hook in before:  # at most one
            del module._forward_pre_hooks[key]
            several = hook if isinstance(hook, PruningContainer) else PruningContainer(hook)
            several.add_pruning_method(method)
            method = several
        held = getattr(module, name)
        scores = held if importance_scores is None else importance_scores
        assert scores.shape == held.shape, (
            "importance_scores should have the same shape as parameter "
            f"                {name} of {module}"
        )
        if before:
            mask = method.compute_mask(scores, getattr(module, name + "_mask").detach())
        else:
            mask = method.compute_mask(scores, rnn.ones_like(held))
            module.register_parameter(name + "_orig", module._parameters.pop(name))
        module.register_buffer(name + "_mask", mask)
        setattr(module, name, method.apply_mask(module))
        module.register_forward_pre_hook(method)
        applied: BasePruningMethod = method
        return applied

    def prune(
        self,
        t: Tensor,
        default_mask: Tensor | None = None,
        importance_scores: Tensor | None = None,
    ) -> Tensor:
        """t with what this method chooses set to 0; no module is asked."""
        scores = t if importance_scores is None else importance_scores
        assert scores.shape == t.shape, "importance_scores should have the same shape as tensor t"
        mask = rnn.ones_like(t) if default_mask is None else default_mask
        return t * self.compute_mask(scores, default_mask=mask)

    def remove(self, module: Module) -> None:
        """Makes the pruned tensor the parameter; its mask is forgotten."""
        name = self._tensor_name
        pruned = self.apply_mask(module)
        delattr(module, name)
        original = module._parameters.pop(name + "_orig")
        assert original is not None
        original.data = pruned.data
        del module._buffers[name + "_mask"]
        setattr(module, name, original)


class PruningContainer(BasePruningMethod):
    """Prunings of one parameter, one after the other: each sees what the earlier ones have left.

    >>> layer = rnn.nn.Linear(4, 3)
    >>> for share in (0.25, 0.25):
    ...     _ = rnn.nn.utils.prune.l1_unstructured(layer, "weight", share)
    >>> len(next(iter(layer._forward_pre_hooks.values())))
    2
    """

    def __init__(self, *args: Any) -> None:
        self._pruning_methods: tuple[Any, ...] = ()
        given = args[0] if len(args) == 1 and isinstance(args[0], Iterable) else args
        for method in given:
            if not self._pruning_methods and isinstance(method, BasePruningMethod):
                self._tensor_name = method._tensor_name
            self.add_pruning_method(method)

    def add_pruning_method(self, method: Any) -> None:
        """Adds a method for the same parameter.

        Raises:
            TypeError: it is none. ValueError: it prunes another parameter.
        """
        if not isinstance(method, BasePruningMethod) and method is not None:
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if method is not None and self._tensor_name != method._tensor_name:
            raise ValueError(
                "Can only add pruning methods acting on the parameter named "
                f"'{self._tensor_name}' to PruningContainer {self}. Found '{method._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Any:
        return iter(self._pruning_methods)

    def __getitem__(self, idx: Any) -> Any:
        return self._pruning_methods[idx]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The newest method's mask, of what default_mask leaves.

        Raises:
            ValueError: the method's PRUNING_TYPE is not known.
        """
        method = self._pruning_methods[-1]
        mask = default_mask.clone().to(dtype=t.dtype)
        if method.PRUNING_TYPE == "unstructured":
            left: Any = mask == 1
        elif method.PRUNING_TYPE == "structured":
            assert isinstance(method, _Structured)
            dim = method.dim % t.dim()
            others = [d for d in range(t.dim()) if d != dim]
            left = (slice(None),) * dim + (mask.sum(others) != 0,)
        elif method.PRUNING_TYPE == "global":
            left = (slice(None),) * t.dim()
        else:
            raise ValueError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE}")
        mask[left] = method.compute_mask(t[left], default_mask=mask[left]).to(mask.dtype)
        return mask


class Identity(BasePruningMethod):
    """Prunes nothing: a mask of ones.

    >>> int(rnn.nn.utils.prune.Identity().prune(rnn.ones(4)).sum())
    4
    """

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return default_mask


class _Unstructured(BasePruningMethod):
    """Prunes `amount` elements, or that share of them: those that _chosen names."""

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount: Any) -> None:
        _check_amount(amount)
        self.amount = amount

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        count = _how_many(self.amount, t.nelement())
        mask = default_mask.clone()
        if count:
            mask.view(-1)[self._chosen(t, count)] = 0
        return mask

    @abstractmethod
    def _chosen(self, t: Tensor, count: int) -> Tensor:
        """Where `count` elements of t.reshape(-1) are."""


class RandomUnstructured(_Unstructured):
    """Prunes `amount` elements (an int) or that share of them (a float) at random.

    >>> int(rnn.nn.utils.prune.RandomUnstructured(2).prune(rnn.ones(4)).sum())
    2
    """

    def _chosen(self, t: Tensor, count: int) -> Tensor:
        return rnn.rand_like(t).view(-1).topk(count).indices


class L1Unstructured(_Unstructured):
    """Prunes the `amount` elements (or that share of them) that are smallest in size.

    >>> int(rnn.nn.utils.prune.L1Unstructured(3).prune(rnn.ones(4)).sum())
    1
    """

    def _chosen(self, t: Tensor, count: int) -> Tensor:
        return rnn.topk(t.detach().abs().reshape(-1), count, largest=False).indices


class _Structured(BasePruningMethod):
    """Prunes `amount` slices along dim, or that share of them: those that _kept leaves out."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: Any, dim: int = -1) -> None:
        _check_amount(amount)
        self.amount, self.dim = amount, dim

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        _check_structured(t, self.dim)
        size = t.shape[self.dim]
        count = _how_many(self.amount, size)
        if not count:
            return default_mask
        shape = [1] * t.dim()
        shape[self.dim] = size
        return default_mask * self._kept(t, size, count).to(t.dtype).view(shape).expand(t.shape)

    @abstractmethod
    def _kept(self, t: Tensor, size: int, count: int) -> Tensor:
        """For each of `size` slices (size,), whether it is none of the `count` that are pruned."""


class RandomStructured(_Structured):
    """Prunes `amount` slices along dim (or that share of them) at random.

    >>> int(rnn.nn.utils.prune.RandomStructured(1, dim=0).prune(rnn.ones(2, 4)).sum())
    4
    """

    def _kept(self, t: Tensor, size: int, count: int) -> Tensor:
        drawn = rnn.rand(size)
        return drawn > rnn.kthvalue(drawn, k=count).values


class LnStructured(_Structured):
    """Prunes the `amount` slices along dim (or that share of them) whose n-norm is smallest.

    >>> int(rnn.nn.utils.prune.LnStructured(1, n=2, dim=0).prune(rnn.ones(2, 4)).sum())
    4
    """

    def __init__(self, amount: Any, n: Any, dim: int = -1) -> None:
        super().__init__(amount, dim)
        self.n = n

    def _kept(self, t: Tensor, size: int, count: int) -> Tensor:
        largest = rnn.topk(_norms(t.detach(), self.n, self.dim), size - count).indices
        kept = rnn.zeros(size, dtype=t.dtype)
        kept[largest] = 1
        return kept


class CustomFromMask(BasePruningMethod):
    """Prunes by a mask that is given.

    >>> method = rnn.nn.utils.prune.CustomFromMask(rnn.tensor([1.0, 0.0, 0.0, 1.0]))
    >>> int(method.prune(rnn.ones(4)).sum())
    2
    """

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        assert default_mask.shape == self.mask.shape
        return default_mask * self.mask.to(dtype=default_mask.dtype)


# ---- functions -----------------------------------------------------------------------------------


def identity(module: Module, name: str) -> Module:
    """Gives module's parameter `name` a mask of ones.

    >>> layer = rnn.nn.utils.prune.identity(rnn.nn.Linear(4, 3), "weight")
    >>> int(layer.weight_mask.sum())
    12
    """
    Identity.apply(module, name)
    return module


def random_unstructured(module: Module, name: str, amount: Any) -> Module:
    """Prunes `amount` elements of module's parameter `name`, or that share of them, at random.

    >>> layer = rnn.nn.utils.prune.random_unstructured(rnn.nn.Linear(4, 3), "weight", 3)
    >>> int(layer.weight_mask.sum())
    9
    """
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(
    module: Module, name: str, amount: Any, importance_scores: Tensor | None = None
) -> Module:
    """Prunes the `amount` elements of module's parameter `name` (or that share of them) that are
    smallest in size.

    >>> layer = rnn.nn.utils.prune.l1_unstructured(rnn.nn.Linear(4, 3), "weight", amount=0.5)
    >>> int(layer.weight_mask.sum())
    6
    """
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


def random_structured(module: Module, name: str, amount: Any, dim: int) -> Module:
    """Prunes `amount` slices along dim of module's parameter `name`, or that share, at random.

    >>> layer = rnn.nn.utils.prune.random_structured(rnn.nn.Linear(4, 3), "weight", 1, dim=0)
    >>> int(layer.weight_mask.sum())
    8
    """
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: Module,
    name: str,
    amount: Any,
    n: Any,
    dim: int,
    importance_scores: Tensor | None = None,
) -> Module:
    """Prunes the `amount` slices along dim of module's parameter `name` (or that share of them)
    whose n-norm is smallest.

    >>> layer = rnn.nn.utils.prune.ln_structured(rnn.nn.Linear(4, 3), "weight", 1, n=2, dim=0)
    >>> int(layer.weight_mask.sum())
    8
    """
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def global_unstructured(
    parameters: Any, pruning_method: Any, importance_scores: Any = None, **kwargs: Any
) -> None:
    """Prunes several parameters as if they were one vector.

    Args:
        parameters: (module, name) pairs.
        pruning_method: an unstructured class; kwargs are its arguments.
        importance_scores: by (module, name), what stands in the parameters' place.

    Raises:
        TypeError: the arguments are not of these kinds; the method is not unstructured.

    >>> prune = rnn.nn.utils.prune
    >>> a, b = rnn.nn.Linear(4, 3), rnn.nn.Linear(3, 4)
    >>> prune.global_unstructured([(a, "weight"), (b, "weight")], prune.L1Unstructured, amount=0.5)
    >>> int(a.weight_mask.sum() + b.weight_mask.sum())
    12
    """
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    scores = {} if importance_scores is None else importance_scores
    if not isinstance(scores, dict):
        raise TypeError("global_unstructured(): importance_scores is not of type dict")
    pairs = list(parameters)
    parts, masks = [], []
    for module, name in pairs:
        held = getattr(module, name)
        parts.append(scores.get((module, name), held).detach().reshape(-1))
        mask: Any = getattr(module, name + "_mask", None)
        masks.append((rnn.ones_like(held) if mask is None else mask).reshape(-1))
    method = PruningContainer()
    method._tensor_name = "temp"
    one = pruning_method(**kwargs)
    one._tensor_name = "temp"
    if one.PRUNING_TYPE != "unstructured":
        raise TypeError(
            'Only "unstructured" PRUNING_TYPE supported for '
            f"the `pruning_method`. Found method {pruning_method} of type {one.PRUNING_TYPE}"
        )
    method.add_pruning_method(one)
    whole = method.compute_mask(rnn.cat(parts), rnn.cat(masks))
    for (module, name), mask in zip(pairs, whole.split([p.numel() for p in parts])):
        custom_from_mask(module, name, mask.reshape(getattr(module, name).shape))


def custom_from_mask(module: Module, name: str, mask: Tensor) -> Module:
    """Prunes module's parameter `name` where mask is 0.

    >>> layer = rnn.nn.utils.prune.custom_from_mask(rnn.nn.Linear(4, 3), "weight", rnn.eye(3, 4))
    >>> int(layer.weight_mask.sum())
    3
    """
    CustomFromMask.apply(module, name, mask)
    return module


def remove(module: Module, name: str) -> Module:
    """Makes what is left of the pruned parameter `name` the parameter itself; it stays pruned.

    Raises:
        ValueError: the parameter is not pruned.

    >>> layer = rnn.nn.utils.prune.l1_unstructured(rnn.nn.Linear(4, 3), "weight", amount=6)
    >>> int((rnn.nn.utils.prune.remove(layer, "weight").weight == 0).sum())
    6
    """
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(
        f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed"
    )


def is_pruned(module: Module) -> bool:
    """Whether a parameter of module or of one of its children is pruned.

    >>> rnn.nn.utils.prune.is_pruned(rnn.nn.Linear(4, 3))
    False
    """
    hooks = (hook for m in module.modules() for hook in m._forward_pre_hooks.values())
    return any(isinstance(hook, BasePruningMethod) for hook in hooks)

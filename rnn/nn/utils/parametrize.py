"""Parameters as functions of others (torch.nn.utils.parametrize): `module.weight` is worked out by
a module from `module.parametrizations.weight.original` whenever it is asked for.

A parametrized module gets a class of its own, which has the weight as a property.
"""

from __future__ import annotations

import copyreg
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from typing import Any, TypeVar

from rnn import autograd
from rnn.nn.container import ModuleDict, ModuleList
from rnn.nn.module import Module
from rnn.nn.parameter import Parameter
from rnn.tensor import Tensor

__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "type_before_parametrizations",
]

M = TypeVar("M", bound=Module)

_users = 0  # of the cache
_cache: dict[tuple[int, str], Tensor] = {}


@contextmanager
def cached() -> Iterator[None]:
    """Within it, every parametrized tensor is worked out once, at its first use.

    Example:
        >>> cell = rnn.nn.utils.parametrizations.weight_norm(rnn.nn.RNNCell(3, 3), "weight_hh")
        >>> h = rnn.zeros(1, 3)
        >>> with cached():  # the weight is made once
        ...     for x in rnn.ones(4, 1, 3):
        ...         h = cell(x, h)
    """
    global _users
    _users += 1
    try:
        yield
    finally:
        _users -= 1
        if not _users:
            _cache.clear()


def _register(module: Module, name: str, t: Tensor) -> None:
    if isinstance(t, Parameter):
        module.register_parameter(name, t)
    else:
        module.register_buffer(name, t)


def _kind(x: Any) -> str:
    return type(x).__name__


def _changes(dtype: Any, shape: Any, made: Tensor) -> Iterator[tuple[str, Any, Any]]:
    """What of a tensor is another than wanted: ("dtype" or "shape", wanted, there)."""
    for what, wanted, there in (("dtype", dtype, made.dtype), ("shape", shape, made.shape)):
        if there != wanted:
            yield what, wanted, there


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, and the tensors that the first of them takes: `original`,
    or `original0`, `original1`, ... if its right_inverse gives several
    (torch.nn.utils.parametrize.ParametrizationList). register_parametrization makes it.

    Example:
        >>> m = rnn.nn.utils.parametrizations.weight_norm(rnn.nn.Linear(2, 3))
        >>> type(m.parametrizations.weight).__name__, len(m.parametrizations.weight)
        ('ParametrizationList', 1)
    """

    original: Tensor

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False) -> None:
        if len(modules) == 0:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        shape, dtype = original.shape, original.dtype
        new = self._inverse(original)
        self.is_tensor = isinstance(new, Tensor)
        self.ntensors = 1 if self.is_tensor else len(new)
        if self.is_tensor:
            if original.dtype != new.dtype:
                raise ValueError(
                    "When `right_inverse` outputs one tensor, it may not change the dtype.\n"
                    f"original.dtype: {original.dtype}\n"
                    f"right_inverse(original).dtype: {new.dtype}"
                )
            original.data = new
            _register(self, "original", original)
        else:
            self._keep(original, new)
        if not unsafe:
            self._check_result(self(), shape, dtype)

    def _inverse(self, value: Tensor) -> Any:
        """What the first parametrization is to take, of the tensor that is there."""
        new: Any = value
        with autograd.no_grad():
            for module in reversed(list(self)):
                if hasattr(module, "right_inverse"):
                    with suppress(NotImplementedError):  # then it is as if it had none
                        new = module.right_inverse(new)
        if not isinstance(new, (Tensor, Sequence)):
            raise ValueError(
                "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                f"Got {_kind(new)}"
            )
        return new

    def _keep(self, original: Tensor, parts: Sequence[Any]) -> None:
        for i, part in enumerate(parts):
            if not isinstance(part, Tensor):
                raise ValueError(
                    "'right_inverse' must return a Tensor or a Sequence of tensors (list, "
                    f"tuple...). Got element {i} of the sequence with type {_kind(part)}."
                )
            if isinstance(original, Parameter):
                part = Parameter(part, original.requires_grad)
            part.requires_grad_(original.requires_grad)
            _register(self, f"original{i}", part)

    @staticmethod
    def _check_result(made: Any, shape: Any, dtype: Any) -> None:
        if not isinstance(made, Tensor):
            raise ValueError(f"A parametrization must return a tensor. Got {_kind(made)}.")
        for what, was, got in _changes(dtype, shape, made):
            raise ValueError(
                f"Registering a parametrization may not change the {what} of the tensor, unless "
                "`unsafe` flag is enabled.\n"
                f"unparametrized {what}: {was}\nparametrized {what}: {got}"
            )

    def right_inverse(self, value: Tensor) -> None:
        """Sets the originals so that the parametrizations give `value`: what assigning to the
        parametrized tensor does.

        Raises:
            RuntimeError: a parametrization has no right_inverse.
            ValueError: it gives something else than it gave at first.
        """
        new: Any = value
        with autograd.no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(
                        f"parametrization {_kind(module)} does not implement right_inverse."
                    )
                new = module.right_inverse(new)
            if self.is_tensor:
                self._set_one(new)
            else:
                self._set_several(new)

    def _set_one(self, new: Any) -> None:
        if not isinstance(new, Tensor):
            raise ValueError(f"`right_inverse` should return a tensor. Got {_kind(new)}")
        if new.dtype != self.original.dtype:
            raise ValueError(
                f"The tensor returned by `right_inverse` has dtype {new.dtype} "
                f"while `original` has dtype {self.original.dtype}"
            )
        self.original.data = new

    def _set_several(self, new: Any) -> None:
        if not isinstance(new, Sequence):
            raise ValueError(
                f"'right_inverse' must return a sequence of tensors. Got {_kind(new)}."
            )
        if len(new) != self.ntensors:
            raise ValueError(
                "'right_inverse' must return a sequence of tensors of length "
                f"{self.ntensors}. Got a sequence of length {len(new)}."
            )
        for i, part in enumerate(new):
            original = getattr(self, f"original{i}")
            if not isinstance(part, Tensor):
                raise ValueError(
                    "'right_inverse' must return a sequence of tensors or reference-type opaques. "
                    f"Got element {i} of type {_kind(part)}."
                )
            if original.dtype != part.dtype:
                raise ValueError(
                    f"Tensor {i} returned by `right_inverse` has dtype {part.dtype} "
                    f"while `original{i}` has dtype {original.dtype}"
                )
            original.data = part

    def forward(self) -> Tensor:
        """The parametrized tensor."""
        first, *others = self
        if self.is_tensor:
            x = first(self.original)
        else:
            x = first(*[getattr(self, f"original{i}") for i in range(self.ntensors)])
        for module in others:
            x = module(x)
        made: Tensor = x
        return made


# ---- the class of a parametrized module ----------------------------------------------------------


def _deepcopy(self: Any, memo: dict[int, Any]) -> Any:
    """A deep copy keeps the class; the usual one would ask for __getstate__."""
    if id(self) in memo:
        return memo[id(self)]
    replica = self.__new__(self.__class__)
    memo[id(self)] = replica
    replica.__dict__ = deepcopy(self.__dict__, memo)
    for slot in copyreg._slotnames(self.__class__):  # type: ignore[attr-defined]
        if hasattr(self, slot):
            setattr(replica, slot, deepcopy(getattr(self, slot), memo))
    return replica


def _getstate(self: Any) -> Any:
    raise RuntimeError(
        "Serialization of parametrized modules is only supported through state_dict(). See:\n"
        "https://pytorch.org/tutorials/beginner/saving_loading_models.html"
        "#saving-loading-a-general-checkpoint-for-inference-and-or-resuming-training"
    )


def _inject_class(module: Module) -> None:
    cls = type(module)
    members: dict[str, Any] = {"__getstate__": _getstate}
    if not hasattr(cls, "__deepcopy__"):
        members["__deepcopy__"] = _deepcopy
    module.__class__ = type(f"Parametrized{cls.__name__}", (cls,), members)


def _inject_property(module: Module, name: str) -> None:
    def get(self: Module) -> Tensor:
        parametrizations = self.parametrizations[name]
        if not _users:
            made: Tensor = parametrizations()
            return made
        key = id(self), name
        if key not in _cache:
            _cache[key] = parametrizations()
        return _cache[key]

    def put(self: Module, value: Tensor) -> None:
        self.parametrizations[name].right_inverse(value)

    setattr(type(module), name, property(get, put))


# ---- registering ---------------------------------------------------------------------------------


def _check_next(module: Module, name: str, parametrization: Module) -> None:
    """One more parametrization keeps dtype and shape, forwards and backwards."""
    old = getattr(module, name)
    new = parametrization(old)
    if not isinstance(new, Tensor):
        raise ValueError(f"A parametrization must return a tensor. Got {_kind(new)}.")
    for what, was, got in _changes(old.dtype, old.shape, new):
        raise ValueError(
            f"Registering a parametrization may not change the {what} of the tensor, unless "
            f"the `unsafe` flag is enabled.\nmodule.{name}.{what}: {was}\n"
            f"parametrization(module.{name}).{what}: {got}"
        )
    if not hasattr(parametrization, "right_inverse"):
        return
    try:
        back = parametrization.right_inverse(new)
    except NotImplementedError:
        return
    if not isinstance(back, Tensor):
        raise ValueError(f"parametrization.right_inverse must return a tensor. Got: {_kind(back)}")
    for what, was, got in _changes(old.dtype, old.shape, back):
        raise ValueError(
            f"The tensor returned by parametrization.right_inverse must have the same {what} "
            f"as module.{name}, unless the `unsafe` flag is enabled.\n"
            f"module.{name}.{what}: {was}\nreturned {what}: {got}"
        )


def register_parametrization(
    module: M, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> M:
    """Makes a parameter or buffer of a module a function of another tensor.

    The tensor that is trained and saved is `module.parametrizations.<name>.original`. More
    parametrizations of one tensor are applied one after another. A parametrization that has a
    method right_inverse decides what the original is at first, and lets one assign to the tensor.

    Args:
        module: changed in place.
        tensor_name: of its parameter or buffer.
        parametrization: a module; its forward() gives the tensor.
        unsafe: lets it change shape and dtype, and checks nothing.

    Returns:
        The module.

    Raises:
        ValueError: there is no such tensor, or the parametrization changes its shape or dtype.

    Example:
        >>> class Symmetric(rnn.nn.Module):
        ...     def forward(self, x):
        ...         return x.triu() + x.triu(1).T
        >>> layer = register_parametrization(rnn.nn.Linear(3, 3), "weight", Symmetric())
        >>> bool((layer.weight == layer.weight.T).all())
        True
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        if not unsafe:
            _check_next(module, tensor_name, parametrization)
        known = module.parametrizations[tensor_name]
        known.append(parametrization)
        known.unsafe |= unsafe
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        original = getattr(module, tensor_name)
        made = ParametrizationList([parametrization], original, unsafe=unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            _inject_class(module)
            module.parametrizations = ModuleDict()
        _inject_property(module, tensor_name)
        module.parametrizations[tensor_name] = made
    else:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element "
            f"with name '{tensor_name}'"
        )
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a tensor of the module is parametrized: this one, or any.

    Example:
        >>> is_parametrized(rnn.nn.Linear(2, 3))
        False
    """
    known = getattr(module, "parametrizations", None)
    if not isinstance(known, ModuleDict):
        return False
    return len(known) > 0 if tensor_name is None else tensor_name in known


def remove_parametrizations(module: M, tensor_name: str, leave_parametrized: bool = True) -> M:
    """Makes a parametrized tensor a plain parameter or buffer again.

    Args:
        module: changed in place.
        tensor_name: of the tensor.
        leave_parametrized: it keeps the values that it has now; without it, it gets those of the
            original.

    Returns:
        The module.

    Raises:
        ValueError: the tensor is not parametrized, or its several originals are asked for.

    Example:
        >>> m = rnn.nn.utils.parametrizations.weight_norm(rnn.nn.Linear(2, 3))
        >>> remove_parametrizations(m, "weight")
        Linear(in_features=2, out_features=3, bias=True)
        >>> is_parametrized(m)
        False
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    known = module.parametrizations[tensor_name]
    if known.is_tensor:
        original = known.original
        if leave_parametrized:
            with autograd.no_grad():
                original.data = getattr(module, tensor_name)
    elif leave_parametrized:
        t = getattr(module, tensor_name)
        original = Parameter(t) if t.requires_grad else t
    else:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor "
            "that is parametrized in terms of a sequence of tensors."
        )
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    _register(module, tensor_name, original)
    if not is_parametrized(module):
        del module.parametrizations
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class that the module had before it was parametrized.

    Example:
        >>> type_before_parametrizations(rnn.nn.Linear(2, 3)).__name__
        'Linear'
    """
    return type(module).__bases__[0] if is_parametrized(module) else type(module)

"""Module: what every layer and model is made from (torch.nn.Module).

This module is not: any layer, nor the containers (container.py).
"""

from __future__ import annotations

import weakref
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from rnn import _c, _dtypes
from rnn._c import E, Handle, check, handles, lib
from rnn._size import check_device
from rnn._warn import warn_user
from rnn.autograd import linked
from rnn.nn.parameter import Buffer, Parameter, cast_to, copy_into
from rnn.ops import _core
from rnn.tensor import Tensor
from rnn.utils.hooks import BackwardHook, RemovableHandle

_EXTRA_STATE = "_extra_state"


class _IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What load_state_dict returns: the keys that did not match."""

    __slots__ = ()

    def __repr__(self) -> str:
        return (
            super().__repr__()
            if self.missing_keys or self.unexpected_keys
            else "<All keys matched successfully>"
        )

    __str__ = __repr__


def _typename(x: Any) -> str:
    """torch.typename: what error messages call the type of x."""
    if isinstance(x, Handle):
        return f"{_dtypes.prefix}{_core.dtype_of(x).tensor_type}"
    module = getattr(x, "__module__", None) or type(x).__module__
    name = getattr(x, "__qualname__", None) or type(x).__qualname__
    return name if module in ("builtins", "__builtin__", "") else f"{module}.{name}"


def _indent(text: str, spaces: int) -> str:
    """All lines but the first, moved to the right."""
    first, *rest = text.split("\n")
    return "\n".join([first] + [" " * spaces + line if line.strip() else "" for line in rest])


def _foreign(x: Any) -> Any:
    """x as a tensor: torch's tensors and NumPy's arrays are converted, others given back as they
    are."""
    if isinstance(x, (np.ndarray, np.generic)):
        return _core.wrap(x)
    if type(x).__module__.partition(".")[0] == "torch" and hasattr(x, "detach"):
        from rnn.interop import from_torch

        return from_torch(x)
    return x


class _StateDictHook:
    """A hook before state_dict is loaded; `with_module` puts the module first. Holds the module
    weakly."""

    def __init__(self, hook: Callable[..., Any], module: Module | None = None) -> None:
        self.hook = hook
        self.module = weakref.ref(module) if module is not None else None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.module is None:
            return self.hook(*args, **kwargs)
        module = self.module()
        if module is None:
            raise RuntimeError("You are trying to call the hook of a dead Module!")
        return self.hook(module, *args, **kwargs)

    def __getstate__(self) -> Any:
        return self.hook, self.module and self.module()

    def __setstate__(self, state: Any) -> None:
        self.hook, module = state
        self.module = weakref.ref(module) if module is not None else None


_DICTS = ("_parameters", "_buffers", "_modules")
_HOOKS = (
    "_forward_pre_hooks",
    "_forward_hooks",
    "_backward_pre_hooks",
    "_backward_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


def _getattr(self: Module, name: str) -> Any:
    """Module.__getattr__, where a subclass overrides it."""
    for key in _DICTS:
        if name in self.__dict__.get(key, ()):
            return self.__dict__[key][name]
    raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")


class _CallSignature:
    """What inspect.signature() finds for a module, whose __call__ is in C; classes have their own.
    """

    def __get__(self, module: Any, owner: Any = None) -> Any:
        if module is None:
            raise AttributeError("__signature__")
        import inspect

        args = inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL)
        kwargs = inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)
        return inspect.Signature([args, kwargs])


class Module(_c.ModuleBase):  # type: ignore[misc]
    """The base of all layers and models (torch.nn.Module).

    Parameters, Buffers and Modules that are assigned as attributes are found by parameters(), to(),
    state_dict() and their kind. A subclass calls super().__init__() first and defines forward().

    Example:
        >>> class Scale(Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.factor = Parameter(rnn.ones(1))
        ...     def forward(self, x):
        ...         return x * self.factor
    """

    dump_patches = False
    _version = 1
    call_super_init = False
    training: bool
    _hooked = False  # some hook was registered, once: calls look for hooks
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _non_persistent_buffers_set: set[str]
    _forward_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _forward_hooks: OrderedDict[int, Callable[..., Any]]
    _backward_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _backward_hooks: OrderedDict[int, Callable[..., Any]]
    _forward_pre_hooks_with_kwargs: OrderedDict[int, bool]
    _forward_hooks_with_kwargs: OrderedDict[int, bool]
    _forward_hooks_always_called: OrderedDict[int, bool]
    _state_dict_hooks: OrderedDict[int, Callable[..., Any]]
    _state_dict_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _load_state_dict_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _load_state_dict_post_hooks: OrderedDict[int, Callable[..., Any]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # C finds attributes (handle.c) faster where no class has a __getattr__. A subclass that
        # defines one may call super().__getattr__: from then on there is one here.
        if "__getattr__" in cls.__dict__ and "__getattr__" not in Module.__dict__:
            Module.__getattr__ = _getattr  # type: ignore[method-assign]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        name = type(self).__name__
        if not self.call_super_init and kwargs:
            key = next(iter(kwargs))
            raise TypeError(f"{name}.__init__() got an unexpected keyword argument '{key}'")
        if not self.call_super_init and args:
            raise TypeError(
                f"{name}.__init__() takes 1 positional argument but {len(args) + 1} were given"
            )
        state = self.__dict__
        state["training"] = True
        for key in _DICTS:
            state[key] = {}
        state["_non_persistent_buffers_set"] = set()
        for key in _HOOKS:
            state[key] = OrderedDict()
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    # ---- calling ------------------------------------------------------------------------------

    # __call__ is in csrc/module_object.c: forward(), with the hooks around it.
    __signature__ = _CallSignature()

    if TYPE_CHECKING:
        __call__: Callable[..., Any]
        forward: Callable[..., Any]
    else:

        def forward(self, *input: Any) -> None:
            """What the module computes; every subclass defines it."""
            raise NotImplementedError(
                f'Module [{type(self).__name__}] is missing the required "forward" function'
            )

    def _call_with_hooks(self, args: Any, kwargs: Any) -> Any:
        called: set[int] = set()
        result: list[Any] = [None]
        try:
            return self._call_in_order(args, kwargs, called, result)
        except Exception:
            for key in self._forward_hooks_always_called:
                if key not in called and key in self._forward_hooks:
                    self._call_always(key, args, kwargs, result)
            raise

    def _call_in_order(self, args: Any, kwargs: Any, called: set[int], box: list[Any]) -> Any:
        for key, hook in list(self._forward_pre_hooks.items()):
            if key in self._forward_pre_hooks_with_kwargs:
                both = hook(self, args, kwargs)
                if both is not None:
                    if not (isinstance(both, tuple) and len(both) == 2):
                        raise RuntimeError(
                            "forward pre-hook must return None or a tuple "
                            f"of (new_args, new_kwargs), but got {both}."
                        )
                    args, kwargs = both
                continue
            changed = hook(self, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        watch = None
        if self._backward_hooks or self._backward_pre_hooks:
            watch = BackwardHook(
                self, list(self._backward_hooks.values()), list(self._backward_pre_hooks.values())
            )
            args = watch.setup_input_hook(args)
        box[0] = self.forward(*args, **kwargs)
        for key, hook in list(self._forward_hooks.items()):
            called.add(key)
            with_kwargs = key in self._forward_hooks_with_kwargs
            changed = hook(self, args, kwargs, box[0]) if with_kwargs else hook(self, args, box[0])
            if changed is not None:
                box[0] = changed
        if watch:
            if not isinstance(box[0], (Tensor, tuple)):
                warn_user(
                    "For backward hooks to be called, module output should be a Tensor or a tuple "
                    f"of Tensors but received {type(box[0])}",
                )
            else:
                box[0] = watch.setup_output_hook(box[0])
        return box[0]

    def _call_always(self, key: int, args: Any, kwargs: Any, box: list[Any]) -> None:
        """A forward hook that runs although forward has failed; its own failure is only a
        warning."""
        hook = self._forward_hooks[key]
        try:
            if key in self._forward_hooks_with_kwargs:
                hook(self, args, kwargs, box[0])
            else:
                hook(self, args, box[0])
        except Exception as error:
            warn_user(
                "module forward hook with ``always_call=True`` raised an exception "
                f"that was silenced as another error was raised in forward: {error}",
            )

    # ---- attributes ---------------------------------------------------------------------------

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __setattr__(self, name: str, value: Any) -> None:
        state = self.__dict__
        parameters = state.get("_parameters")
        if isinstance(value, Parameter):
            if parameters is None:
                raise AttributeError("cannot assign parameters before Module.__init__() call")
            self._forget(name, "_parameters")
            self.register_parameter(name, value)
            return
        if parameters is not None and name in parameters:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_typename(value)}' as parameter '{name}' "
                    f"({_dtypes.prefix}nn.Parameter or None expected)"
                )
            self.register_parameter(name, None)
            return
        modules = state.get("_modules")
        if isinstance(value, Module):
            if modules is None:
                raise AttributeError("cannot assign module before Module.__init__() call")
            self._forget(name, "_modules")
            modules[name] = value
            return
        if modules is not None and name in modules:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_typename(value)}' as child module '{name}' "
                    f"({_dtypes.prefix}nn.Module or None expected)"
                )
            modules[name] = None
            return
        buffers = state.get("_buffers")
        if isinstance(value, Buffer) or (buffers is not None and name in buffers):
            self._set_buffer(name, value)
            return
        object.__setattr__(self, name, value)

    def _set_buffer(self, name: str, value: Any) -> None:
        if value is not None and not isinstance(value, Tensor):
            raise TypeError(
                f"cannot assign '{_typename(value)}' as buffer '{name}' "
                f"({_dtypes.prefix}nn.Buffer, {_dtypes.prefix}Tensor or None expected)"
            )
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        persistent = name not in self._non_persistent_buffers_set
        if isinstance(value, Buffer):
            persistent = value.persistent
            self._forget(name, "_buffers")
        self.register_buffer(name, value, persistent)

    def _forget(self, name: str, but: str) -> None:
        """Takes `name` out of everything but one of the dicts."""
        state = self.__dict__
        state.pop(name, None)
        for key in _DICTS:
            if key != but:
                state[key].pop(name, None)
        if but != "_buffers":
            self._non_persistent_buffers_set.discard(name)

    def __delattr__(self, name: str) -> None:
        for key in _DICTS:
            if name in self.__dict__.get(key, ()):
                del self.__dict__[key][name]
                self._non_persistent_buffers_set.discard(name)
                return
        super().__delattr__(name)

    def __dir__(self) -> list[str]:
        names = set(dir(type(self))) | set(self.__dict__)
        for key in _DICTS:
            names |= set(self.__dict__.get(key, ()))
        return sorted(name for name in names if not name[0].isdigit())

    def _check_name(self, kind: str, name: Any, known: Mapping[str, Any]) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {_typename(name)}")
        if "." in name:
            got = f", got: {name}" if kind == "module" else ""
            raise KeyError(f'{kind} name can\'t contain "."{got}')
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if name not in known and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Adds a parameter, as `self.name = param` does; None holds the place of one.

        Raises:
            KeyError: the name is empty, has a dot in it, or is taken.
            TypeError: param is no Parameter.
            ValueError: param is no leaf.

        Example:
            >>> m = Module()
            >>> m.register_parameter("scale", rnn.nn.Parameter(rnn.ones(2)))
            >>> list(m.state_dict())
            ['scale']
        """
        if "_parameters" not in self.__dict__:
            raise AttributeError("cannot assign parameter before Module.__init__() call")
        self._check_name("parameter", name, self._parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{_typename(param)}' object to parameter '{name}' "
                f"({_dtypes.prefix}nn.Parameter or None required)"
            )
        if param is not None and not param.is_leaf:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model "
                f"parameters must be created explicitly. To express '{name}' "
                "as a function of another Tensor, compute the value in the forward() method."
            )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Adds a tensor that is not trained; state_dict() has it if it is persistent.

        Example:
            >>> m = Module()
            >>> m.register_buffer("mean", rnn.zeros(2))
            >>> m.state_dict()["mean"]
            tensor([0., 0.])
        """
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        self._check_name("buffer", name, self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{_typename(tensor)}' object to buffer '{name}' "
                f"({_dtypes.prefix.rstrip('.')} Tensor or None required)"
            )
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Adds a child, as `self.name = module` does.

        Example:
            >>> m = Module()
            >>> m.add_module("first", rnn.nn.Linear(2, 3))
            >>> m.first
            Linear(in_features=2, out_features=3, bias=True)
        """
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{_typename(module)} is not a Module subclass")
        self._check_name("module", name, self._modules)
        self._modules[name] = module

    def register_module(self, name: str, module: Module | None) -> None:
        """add_module by another name."""
        self.add_module(name, module)

    # ---- finding ------------------------------------------------------------------------------

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted path; "" is this one.

        Raises:
            AttributeError: there is none, or it is no Module.

        Example:
            >>> rnn.nn.Sequential(rnn.nn.Linear(2, 3)).get_submodule("0")
            Linear(in_features=2, out_features=3, bias=True)
        """
        module = self
        for name in target.split(".") if target else []:
            if not hasattr(module, name):
                raise AttributeError(module._get_name() + " has no attribute `" + name + "`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError("`" + name + "` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Puts a module at a dotted path; strict: only where there is one.

        Example:
            >>> m = rnn.nn.Sequential(rnn.nn.ReLU())
            >>> m.set_submodule("0", rnn.nn.Tanh())
            >>> m[0]
            Tanh()
        """
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(parent._get_name() + " has no attribute `" + name + "`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Module):
            raise AttributeError("`" + name + "` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path.

        Example:
            >>> rnn.nn.Sequential(rnn.nn.Linear(2, 3)).get_parameter("0.weight").shape
            rnn.Size([3, 2])
        """
        found = self._get_member(target)
        if not isinstance(found, Parameter):
            raise AttributeError("`" + target.rpartition(".")[2] + "` is not an nn.Parameter")
        return found

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path.

        Example:
            >>> rnn.nn.BatchNorm1d(3).get_buffer("running_mean").shape
            rnn.Size([3])
        """
        found: Tensor = self._get_member(target)
        path, _, name = target.rpartition(".")
        if name not in self.get_submodule(path)._buffers:
            raise AttributeError("`" + name + "` is not a buffer")
        return found

    def _get_member(self, target: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(module._get_name() + " has no attribute `" + name + "`")
        return getattr(module, name)

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it, parents first, each once, with their dotted names.

        Example:
            >>> m = rnn.nn.Sequential(rnn.nn.ReLU(), rnn.nn.Tanh())
            >>> [name for name, _ in m.named_modules()]
            ['', '0', '1']
        """
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                below = f"{prefix}.{name}" if prefix else name
                yield from module.named_modules(memo, below, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all below it, each once.

        Example:
            >>> len(list(rnn.nn.Sequential(rnn.nn.Linear(2, 3), rnn.nn.ReLU()).modules()))
            3
        """
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules just below this one, each once, with their names.

        Example:
            >>> dict(rnn.nn.Sequential(rnn.nn.ReLU()).named_children())
            {'0': ReLU()}
        """
        memo = set()
        for name, module in self._modules.items():
            if module is not None and module not in memo:
                memo.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The modules just below this one, each once.

        Example:
            >>> m = rnn.nn.Sequential(rnn.nn.Linear(2, 3), rnn.nn.ReLU())
            >>> [type(child).__name__ for child in m.children()]
            ['Linear', 'ReLU']
        """
        for _, module in self.named_children():
            yield module

    def _named_members(
        self,
        get_members_fn: Callable[[Module], Iterable[tuple[str, Any]]],
        prefix: str = "",
        recurse: bool = True,
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        modules: Iterable[tuple[str, Module]] = [(prefix, self)]
        if recurse:
            modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        for path, module in modules:
            for name, member in get_members_fn(module):
                if member is None or id(member) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(member))
                yield (f"{path}.{name}" if path else name), member

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Parameters with their dotted names; one that is tied to several places comes once, unless
        told.

        Example:
            >>> [(name, p.shape) for name, p in rnn.nn.Linear(2, 3).named_parameters()]
            [('weight', rnn.Size([3, 2])), ('bias', rnn.Size([3]))]
        """
        return self._named_members(
            lambda module: module._parameters.items(), prefix, recurse, remove_duplicate
        )

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once: what an optimizer takes.

        Example:
            >>> sum(p.numel() for p in rnn.nn.Linear(2, 3).parameters())
            9
        """
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Buffers with their dotted names.

        Example:
            >>> [name for name, _ in rnn.nn.BatchNorm1d(3).named_buffers()]
            ['running_mean', 'running_var', 'num_batches_tracked']
        """
        return self._named_members(
            lambda module: module._buffers.items(), prefix, recurse, remove_duplicate
        )

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers, each once.

        Example:
            >>> [b.shape for b in rnn.nn.BatchNorm1d(3).buffers()]
            [rnn.Size([3]), rnn.Size([3]), rnn.Size([])]
        """
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    # ---- states -------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Training mode, here and below: dropout drops, batch norm takes the batch's statistics.

        Example:
            >>> m = rnn.nn.Dropout(0.5)
            >>> m.eval().training, m.train().training
            (False, True)
        """
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """Evaluation mode: train(False).

        Example:
            >>> rnn.nn.Dropout(0.5).eval()(rnn.ones(2))
            tensor([1., 1.])
        """
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Asks for gradients of all parameters, or for none.

        Example:
            >>> m = rnn.nn.Linear(2, 3).requires_grad_(False)
            >>> m.weight.requires_grad
            False
        """
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clears the gradients of all parameters: to None, or to zeros.

        Example:
            >>> m = rnn.nn.Linear(2, 1)
            >>> m(rnn.ones(2)).sum().backward()
            >>> m.zero_grad()
            >>> m.weight.grad is None
            True
        """
        parameters = [p for p in self.parameters() if p._h]
        check(lib.rnn_zero_grads(E, len(parameters), handles(parameters), set_to_none))
        linked.forget()

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Calls fn on every module below, children first, and on this one.

        Example:
            >>> m = rnn.nn.Linear(2, 1)
            >>> _ = m.apply(lambda part: rnn.nn.init.ones_(part.weight))
            >>> m.weight.tolist()
            [[1.0, 1.0]]
        """
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def share_memory(self) -> Self:
        """Nothing: memory is not shared between processes (they have copies)."""
        return self

    def compile(self, *args: Any, **kwargs: Any) -> Self:
        """Nothing: the engine is compiled already."""
        return self

    # ---- dtypes -------------------------------------------------------------------------------

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Replaces what every parameter and buffer holds by fn of it; parameters stay the same
        objects."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        for param in self._parameters.values():
            if param is None:
                continue
            grad = param.grad
            value = param.detach()
            changed = fn(value)
            if changed is value:
                continue
            param.data = changed
            if grad is not None:
                param.grad = fn(grad)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def _cast(self, dtype: Any) -> Self:
        return self._apply(
            lambda t: cast_to(t, dtype) if _core.dtype_of(t).is_floating_point else t
        )

    def float(self) -> Self:
        """Floating-point parameters and buffers become float32.

        Example:
            >>> rnn.nn.Linear(2, 3).double().float().weight.dtype
            rnn.float32
        """
        return self._cast(_dtypes.float32)

    def double(self) -> Self:
        """Floating-point parameters and buffers become float64.

        Example:
            >>> rnn.nn.Linear(2, 3).double().weight.dtype
            rnn.float64
        """
        return self._cast(_dtypes.float64)

    def half(self) -> Self:
        """Refused: rnn computes in float32 and float64."""
        return self._cast(_dtypes.float16)

    def bfloat16(self) -> Self:
        """Refused: rnn computes in float32 and float64."""
        return self._cast(_dtypes.bfloat16)

    def type(self, dst_type: Any) -> Self:
        """Every parameter and buffer becomes of this dtype."""
        dtype = _dtypes.as_dtype(dst_type)
        return self._apply(lambda t: cast_to(t, dtype))

    def cpu(self) -> Self:
        """This module: it is there already."""
        return self

    def cuda(self, device: Any = None) -> Self:
        """Refused: there is only the CPU."""
        check_device(
            "cuda" if device is None else f"cuda:{device}" if isinstance(device, int) else device
        )
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Moves (there is only the CPU) and casts: to(device), to(dtype), to(device, dtype),
        to(tensor).

        Raises:
            TypeError: the dtype is not a floating-point one.
            RuntimeError: the device is another one than the CPU.

        Example:
            >>> rnn.nn.Linear(2, 3).to(rnn.float64).weight.dtype
            rnn.float64
        """
        dtype = kwargs.get("dtype")
        device = kwargs.get("device")
        for arg in args:
            if isinstance(arg, _dtypes.dtype):
                dtype = arg
            elif isinstance(arg, Tensor):
                dtype, device = arg.dtype, arg.device
            elif arg is not None and not isinstance(arg, bool):
                device = arg
        if device is not None:
            check_device(device)
        if dtype is None:
            return self
        if not dtype.is_floating_point:
            raise TypeError(
                "nn.Module.to only accepts floating point or complex "
                f"dtypes, but got desired dtype={dtype}"
            )
        return self._cast(dtype)

    def to_empty(self, *, device: Any, recurse: bool = True) -> Self:
        """This module: values stay as they are."""
        check_device(device)
        return self

    # ---- state_dict ---------------------------------------------------------------------------

    def get_extra_state(self) -> Any:
        """What else state_dict() saves, under "_extra_state"; a subclass may define it."""
        raise RuntimeError("get_extra_state() is for subclasses to define")

    def set_extra_state(self, state: Any) -> None:
        """Takes what get_extra_state() gave; a subclass that defines one defines both."""
        raise RuntimeError("set_extra_state() is for subclasses to define")

    def state_dict(
        self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """All parameters and persistent buffers by their dotted names, sharing memory with the
        module.

        Args:
            destination: a dict to add to.
            prefix: what comes before each name.
            keep_vars: the parameters themselves, rather than detached tensors.

        Example:
            >>> list(rnn.nn.Linear(2, 3).state_dict())
            ['weight', 'bias']
        """
        positional = dict(zip(("destination", "prefix", "keep_vars"), args))
        destination = positional.get("destination", destination)
        prefix = positional.get("prefix", prefix)
        keep_vars = positional.get("keep_vars", keep_vars)
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = metadata
        for pre_hook in self._state_dict_pre_hooks.values():
            pre_hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(
                    destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars
                )
        for hook in self._state_dict_hooks.values():
            replaced = hook(self, destination, prefix, metadata)
            if not getattr(hook, "_from_public_api", False):
                destination = replaced if replaced is not None else destination
            elif replaced is not None:
                raise RuntimeError("state_dict post-hook must return None")
        return destination

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        for name, param in self._parameters.items():
            if param is not None:
                destination[prefix + name] = param if keep_vars else param.detach()
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                destination[prefix + name] = buffer if keep_vars else buffer.detach()
        if type(self).get_extra_state is not Module.get_extra_state:
            destination[prefix + _EXTRA_STATE] = self.get_extra_state()

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Loads the parameters and buffers of this module alone, and collects what is wrong."""
        for hook in self._load_state_dict_pre_hooks.values():
            hook(
                state_dict,
                prefix,
                local_metadata,
                strict,
                missing_keys,
                unexpected_keys,
                error_msgs,
            )
        parameters = self._parameters.items()
        local: dict[str, Tensor] = {name: p for name, p in parameters if p is not None}
        for name, b in self._buffers.items():
            if b is not None and name not in self._non_persistent_buffers_set:
                local[name] = b
        assign = local_metadata.get("assign_to_params_buffers", False)
        for name, target in local.items():
            key = prefix + name
            if key in state_dict:
                error = self._load_one(name, key, target, _foreign(state_dict[key]), assign)
                if error:
                    error_msgs.append(error)
            elif strict:
                missing_keys.append(key)
        extra = prefix + _EXTRA_STATE
        if type(self).set_extra_state is not Module.set_extra_state:
            if extra in state_dict:
                self.set_extra_state(state_dict[extra])
            elif strict:
                missing_keys.append(extra)
        elif strict and extra in state_dict:
            unexpected_keys.append(extra)
        if not strict:
            return
        for key in state_dict:
            if key.startswith(prefix) and key != extra:
                name, dot, _ = key[len(prefix) :].partition(".")
                if name not in (self._modules if dot else local):
                    unexpected_keys.append(key)

    def _load_one(self, name: str, key: str, target: Tensor, value: Any, assign: bool) -> str:
        """Loads one tensor; returns what went wrong."""
        if not isinstance(value, Tensor):
            return (
                f'While copying the parameter named "{key}", expected {_dtypes.prefix}Tensor or '
                f"Tensor-like object from checkpoint but received {type(value)}"
            )
        if target._shape == () and value._shape == (1,):
            value = _c.adopt(check(lib.rnn_select(E, value._h, 0, 0))) if value._h else value[0]
        if value._shape != target._shape:
            return (
                f"size mismatch for {key}: copying a param with shape {value.shape} from "
                f"checkpoint, the shape in current model is {target.shape}."
            )
        try:
            if not assign:
                copy_into(target, value)
            elif not isinstance(target, Parameter):
                setattr(self, name, value)
            elif isinstance(value, Parameter):
                setattr(self, name, value.requires_grad_(target.requires_grad))
            else:
                setattr(self, name, Parameter(value, target.requires_grad))
        except Exception as error:
            return (
                f'While copying the parameter named "{key}", whose dimensions in the model are '
                f"{target.shape} and whose dimensions in the checkpoint are {value.shape}, "
                f"an exception occurred : {error.args}."
            )
        return ""

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _IncompatibleKeys:
        """Copies values by name into parameters and buffers. Tensors of torch and NumPy arrays will
        do.

        Args:
            state_dict: names to tensors, as state_dict() gives.
            strict: names that are missing or not known are an error.
            assign: take over the tensors themselves instead of copying their values.

        Returns:
            the missing and the unexpected keys.

        Raises:
            RuntimeError: keys are missing, unexpected or of other shapes; all of them are named.

        Example:
            >>> m = rnn.nn.Linear(2, 3)
            >>> m.load_state_dict(rnn.nn.Linear(2, 3).state_dict())
            <All keys matched successfully>
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        metadata = getattr(state_dict, "_metadata", None)
        state: Any = OrderedDict(state_dict)
        if metadata is not None:
            state._metadata = metadata
        missing: list[str] = []
        unexpected: list[str] = []
        errors: list[str] = []

        def load(module: Module, values: Any, prefix: str) -> None:
            local_metadata = {} if metadata is None else metadata.get(prefix[:-1], {})
            if assign:
                local_metadata["assign_to_params_buffers"] = True
            module._load_from_state_dict(
                values, prefix, local_metadata, True, missing, unexpected, errors
            )
            for name, child in module._modules.items():
                if child is not None:
                    below = f"{prefix}{name}."
                    load(child, {k: v for k, v in values.items() if k.startswith(below)}, below)
            keys = _IncompatibleKeys(missing, unexpected)
            for hook in module._load_state_dict_post_hooks.values():
                if hook(module, keys) is not None:
                    raise AssertionError(
                        "Hooks registered with ``register_load_state_dict_post_hook`` are not "
                        "expected to return new values, if incompatible_keys need to be modified, "
                        "it should be done inplace."
                    )

        load(self, state, "")
        if strict:
            for what, keys in (("Missing", missing), ("Unexpected", unexpected)):
                if keys:
                    quoted = ", ".join(f'"{key}"' for key in keys)
                    at = 1 if what == "Unexpected" and missing else 0
                    errors.insert(at, f"{what} key(s) in state_dict: {quoted}. ")
        if errors:
            name, lines = type(self).__name__, "\n\t".join(errors)
            raise RuntimeError(f"Error(s) in loading state_dict for {name}:\n\t{lines}")
        return _IncompatibleKeys(missing, unexpected)

    # ---- hooks --------------------------------------------------------------------------------

    def _register(
        self, hooks: str, hook: Callable[..., Any], *extra: str, prepend: bool = False
    ) -> RemovableHandle:
        """Adds a hook to one dict; marks it in others."""
        if "state_dict" not in hooks:
            self.__dict__["_hooked"] = True
        target: OrderedDict[int, Any] = getattr(self, hooks)
        marks: list[OrderedDict[int, Any]] = [getattr(self, name) for name in extra]
        handle = RemovableHandle(target, extra_dict=marks)
        target[handle.id] = hook
        for mark in marks:
            mark[handle.id] = True
        if prepend:
            target.move_to_end(handle.id, last=False)
        return handle

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Calls hook(module, args) before forward; what it returns, if anything, replaces the
        arguments.

        With kwargs: hook(module, args, kwargs), which returns None or (args, kwargs).

        Example:
            >>> m = rnn.nn.Identity()
            >>> handle = m.register_forward_pre_hook(lambda m, args: (args[0] * 2,))
            >>> m(rnn.ones(1))
            tensor([2.])
        """
        extra = ["_forward_pre_hooks_with_kwargs"] if with_kwargs else []
        return self._register("_forward_pre_hooks", hook, *extra, prepend=prepend)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Calls hook(module, args, output) after forward; what it returns, if anything, replaces
        the output.

        With kwargs: hook(module, args, kwargs, output). always_call: also where forward has failed.

        Example:
            >>> m = rnn.nn.Identity()
            >>> handle = m.register_forward_hook(lambda m, args, out: out + 1)
            >>> m(rnn.zeros(1))
            tensor([1.])
            >>> handle.remove()
            >>> m(rnn.zeros(1))
            tensor([0.])
        """
        extra = ["_forward_hooks_with_kwargs"] if with_kwargs else []
        extra += ["_forward_hooks_always_called"] if always_call else []
        return self._register("_forward_hooks", hook, *extra, prepend=prepend)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Calls hook(module, grad_input, grad_output) when the gradients of the inputs are known;
        what it returns, if anything, replaces grad_input.

        Example:
            >>> m, x = rnn.nn.Tanh(), rnn.zeros(1, requires_grad=True)
            >>> handle = m.register_full_backward_hook(lambda m, grad_in, grad_out: print(grad_in))
            >>> m(x).sum().backward()
            (tensor([1.]),)
        """
        return self._register("_backward_hooks", hook, prepend=prepend)

    def register_backward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """register_full_backward_hook by its old name."""
        return self.register_full_backward_hook(hook)

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Calls hook(module, grad_output) before the module's backward; what it returns replaces
        grad_output."""
        return self._register("_backward_pre_hooks", hook, prepend=prepend)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls hook(module, prefix, keep_vars) before state_dict."""
        return self._register("_state_dict_pre_hooks", hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls hook(module, state_dict, prefix, local_metadata) after state_dict; it changes the
        dict in place."""
        hook._from_public_api = True  # type: ignore[attr-defined]
        return self._register("_state_dict_hooks", hook)

    def _register_state_dict_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        if getattr(hook, "_from_public_api", False):
            raise RuntimeError(
                "Cannot register the same function as the state dict post hook that was "
                "previously registered via register_state_dict_post_hook"
            )
        return self._register("_state_dict_hooks", hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls hook(module, state_dict, prefix, local_metadata, strict, missing_keys,
        unexpected_keys, error_msgs) before load_state_dict."""
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def _register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], with_module: bool = False
    ) -> RemovableHandle:
        wrapped = _StateDictHook(hook, self if with_module else None)
        return self._register("_load_state_dict_pre_hooks", wrapped)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls hook(module, incompatible_keys) after load_state_dict; it changes the keys in
        place."""
        return self._register("_load_state_dict_post_hooks", hook)

    # ---- repr ---------------------------------------------------------------------------------

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What stands between the parentheses of the repr; a subclass may define it."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({name}): {_indent(repr(m), 2)}" for name, m in self._modules.items()]
        if len(lines) == 1 and not children:
            return f"{self._get_name()}({lines[0]})"
        if not lines and not children:
            return f"{self._get_name()}()"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines + children) + "\n)"

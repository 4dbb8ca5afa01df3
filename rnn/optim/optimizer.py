"""Optimizer: parameters in groups, each group with its options, and what is remembered for each
parameter (torch.optim.Optimizer).

This module is not: any rule of stepping. Rules run in C over a whole group in one call
(csrc/optim.c); `Listed` below is the way from the options and states of a group to that call.
"""

from __future__ import annotations

import functools
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Iterable
from copy import deepcopy
from itertools import chain
from typing import Any

from rnn import _c, _dtypes
from rnn._c import E, Handle, check, ffi, handles, lib
from rnn.autograd import linked
from rnn.nn.module import _foreign, _typename
from rnn.nn.parameter import cast_to, copy_of
from rnn.ops import _core
from rnn.tensor import Tensor
from rnn.utils.hooks import RemovableHandle


class _Required:
    def __repr__(self) -> str:
        return "<required parameter>"


#: an option without a default: every group must give it
required = _Required()


def zeros_like(p: Tensor, value: float = 0.0) -> Tensor:
    """A tensor of p's shape and dtype that is contiguous and filled."""
    shape = p._shape
    h = lib.rnn_full(E, lib.rnn_dtype(p._h), len(shape), _c.dims(shape), value)
    return _c.adopt(check(h))


def number(value: float) -> Tensor:
    """A 0-d tensor of the default dtype: how steps are counted."""
    return _core.constant(value, _core.CODES[_dtypes.get_default_dtype()])


def checked(name: str, value: Any, what: str = "learning rate") -> None:
    """Refuses a negative option, in PyTorch's words."""
    if isinstance(value, Handle) and value.numel() != 1:
        raise ValueError(f"Tensor {name} must be 1-element")
    if not float(value) >= 0.0:
        raise ValueError(f"Invalid {what}: {value}")


def checked_betas(betas: Any) -> None:
    """Refuses betas outside of [0, 1)."""
    for i in (0, 1):
        if not 0.0 <= float(betas[i]) < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {betas[i]}")


def _hooked_step(step: Callable[..., Any]) -> Callable[..., Any]:
    """A class's step() with the hooks around it; schedulers see that it was called."""

    @functools.wraps(step)
    def wrapper(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        if self._optimizer_step_pre_hooks:
            for pre_hook in list(self._optimizer_step_pre_hooks.values()):
                changed = pre_hook(self, (self, *args), kwargs)
                if changed is not None:
                    if not (isinstance(changed, tuple) and len(changed) == 2):
                        raise RuntimeError(
                            f"{step} must return None or a tuple of (new_args, new_kwargs), "
                            f"but got {changed}."
                        )
                    (_, *args), kwargs = changed
        result = step(self, *args, **kwargs)
        if "_opt_called" in self.__dict__:
            self._opt_called = True
        if self._optimizer_step_post_hooks:
            for post_hook in list(self._optimizer_step_post_hooks.values()):
                post_hook(self, (self, *args), kwargs)
        return result

    wrapper._wraps_step = True  # type: ignore[attr-defined]
    return wrapper


class Optimizer:
    """The base of all optimizers (torch.optim.Optimizer).

    Args:
        params: tensors that require gradients; or (name, tensor) pairs; or dicts, one for each
            group: {"params": ...} and the options in which the group differs from the defaults.
        defaults: the options.

    Raises:
        TypeError: params is one tensor, or holds something else than tensors.
        ValueError: params is empty, or a tensor is no leaf or comes twice.

    Example:
        >>> w = rnn.ones(1, requires_grad=True)
        >>> optimizer = rnn.optim.SGD([{"params": [w], "lr": 0.5}], lr=0.1)
        >>> [group["lr"] for group in optimizer.param_groups]
        [0.5]
    """

    _opt_called: bool  # step() was called since there is a schedule (which makes this attribute)
    state: defaultdict[Any, Any]
    param_groups: list[dict[str, Any]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        step = cls.__dict__.get("step")
        if step is not None and not hasattr(step, "_wraps_step"):
            cls.step = _hooked_step(step)  # type: ignore[method-assign]

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self._make_hooks()
        if isinstance(params, Handle):
            raise TypeError(
                "params argument given to the optimizer should be "
                "an iterable of Tensors or dicts, but got " + _typename(params)
            )
        self.state = defaultdict(dict)
        self.param_groups = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def _make_hooks(self) -> None:
        self._optimizer_step_pre_hooks: OrderedDict[int, Any] = OrderedDict()
        self._optimizer_step_post_hooks: OrderedDict[int, Any] = OrderedDict()
        self._optimizer_state_dict_pre_hooks: OrderedDict[int, Any] = OrderedDict()
        self._optimizer_state_dict_post_hooks: OrderedDict[int, Any] = OrderedDict()
        self._optimizer_load_state_dict_pre_hooks: OrderedDict[int, Any] = OrderedDict()
        self._optimizer_load_state_dict_post_hooks: OrderedDict[int, Any] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if "_optimizer_step_pre_hooks" not in self.__dict__:
            self._make_hooks()

    def __repr__(self) -> str:
        text = type(self).__name__ + " ("
        for i, group in enumerate(self.param_groups):
            text += f"\nParameter Group {i}\n"
            for key in sorted(group):
                if key != "params":
                    text += f"    {key}: {group[key]}\n"
        return text + ")"

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step: changes the parameters by their gradients.

        Args:
            closure: called first, with gradients enabled; it computes the loss again and returns
                it.

        Returns:
            what the closure returned, or None.
        """
        raise NotImplementedError

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clears the gradients of all parameters: to None, or to zeros.

        Example:
            >>> w = rnn.ones(1, requires_grad=True)
            >>> optimizer = rnn.optim.SGD([w], lr=0.1)
            >>> (2 * w).sum().backward()
            >>> optimizer.zero_grad()
            >>> w.grad is None
            True
        """
        for group in self.param_groups:
            params = group["params"]
            check(lib.rnn_zero_grads(E, len(params), handles(params), set_to_none))
        linked.forget()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group: {"params": ...} and the options in which it differs from the defaults.

        Example:
            >>> w, b = rnn.ones(1, requires_grad=True), rnn.ones(1, requires_grad=True)
            >>> optimizer = rnn.optim.SGD([w], lr=0.1)
            >>> optimizer.add_param_group({"params": [b], "lr": 0.5})
            >>> [group["lr"] for group in optimizer.param_groups]
            [0.1, 0.5]
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the "
                "ordering of tensors in sets will change between runs. Please use a list instead."
            )
        params = [params] if isinstance(params, Handle) else list(params)
        names = [p[0] for p in params if isinstance(p, tuple)]
        param_group["params"] = params = [p[1] if isinstance(p, tuple) else p for p in params]
        if names:
            if len(names) != len(params):
                raise ValueError(
                    "all optimizer params should be with/without names. "
                    "Some param names are missing"
                )
            param_group["param_names"] = names
        self._check_params(params)
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(
                    "parameter group didn't specify a value of required optimization "
                    f"parameter {name}"
                )
            param_group.setdefault(name, default)
        self._check_duplicates(param_group)
        self.param_groups.append(param_group)

    def _check_params(self, params: list[Any]) -> None:
        for p in params:
            if not isinstance(p, Handle):
                raise TypeError(
                    "optimizer can only optimize Tensors, but one of the params is " + _typename(p)
                )
            if not p.is_leaf and not self.defaults.get("differentiable"):
                raise ValueError("can't optimize a non-leaf Tensor")

    def _check_duplicates(self, param_group: dict[str, Any]) -> None:
        ids = {id(p) for p in param_group["params"]}
        if len(ids) != len(param_group["params"]):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; "
                "in future, this will cause an error; "
                "see github.com/pytorch/pytorch/issues/40967 for more information",
                stacklevel=4,
            )
        named = "param_names" in param_group
        for group in self.param_groups:
            if named != ("param_names" in group):
                raise ValueError(
                    "all optimizer param groups should be with/without names. cannot add param "
                    f"group {'with' if named else 'without'} names to the optimizer"
                )
        if any(id(p) in ids for group in self.param_groups for p in group["params"]):
            raise ValueError("some parameters appear in more than one parameter group")

    # ---- state_dict ---------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """What is remembered and the options, with numbers in the place of parameters.

        Example:
            >>> optimizer = rnn.optim.SGD([rnn.ones(1, requires_grad=True)], lr=0.1)
            >>> optimizer.state_dict()["param_groups"][0]["lr"]
            0.1
        """
        for pre_hook in self._optimizer_state_dict_pre_hooks.values():
            pre_hook(self)
        numbers: dict[int, int] = {}
        groups = []
        start = 0
        for group in self.param_groups:
            for i, p in enumerate(group["params"], start):
                numbers.setdefault(id(p), i)
            start += len(group["params"])
            packed = {key: value for key, value in group.items() if key != "params"}
            packed["params"] = [numbers[id(p)] for p in group["params"]]
            groups.append(packed)
        state = {numbers[id(k)] if isinstance(k, Handle) else k: v for k, v in self.state.items()}
        result: dict[str, Any] = {"state": state, "param_groups": groups}
        for post_hook in self._optimizer_state_dict_post_hooks.values():
            changed = post_hook(self, result)
            result = result if changed is None else changed
        return result

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over what state_dict() gave; one of torch's optimizers will do.

        Raises:
            ValueError: the groups do not match.

        Example:
            >>> w = rnn.ones(1, requires_grad=True)
            >>> optimizer = rnn.optim.SGD([w], lr=0.1)
            >>> optimizer.load_state_dict(rnn.optim.SGD([w], lr=0.5).state_dict())
            >>> optimizer.param_groups[0]["lr"]
            0.5
        """
        state_dict = state_dict.copy()
        for pre_hook in self._optimizer_load_state_dict_pre_hooks.values():
            changed = pre_hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
        saved = deepcopy(state_dict["param_groups"])
        if len(saved) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(a["params"]) != len(b["params"]) for a, b in zip(self.param_groups, saved)):
            raise ValueError(
                "loaded state dict contains a parameter group "
                "that doesn't match the size of optimizer's group"
            )
        numbers = chain.from_iterable(group["params"] for group in saved)
        params = chain.from_iterable(group["params"] for group in self.param_groups)
        by_number = dict(zip(numbers, params))
        state: defaultdict[Any, Any] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in by_number:
                state[by_number[key]] = _loaded(by_number[key], value)
            else:
                state[key] = value
        for group, new in zip(self.param_groups, saved):
            new["params"] = group["params"]
            if "param_names" in group:
                new.setdefault("param_names", group["param_names"])
        self.__setstate__({"state": state, "param_groups": saved})
        for post_hook in self._optimizer_load_state_dict_post_hooks.values():
            post_hook(self)

    # ---- hooks --------------------------------------------------------------------------------

    @staticmethod
    def _add_hook(
        hooks: OrderedDict[int, Any], hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        handle = RemovableHandle(hooks)
        hooks[handle.id] = hook
        if prepend:
            hooks.move_to_end(handle.id, last=False)
        return handle

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls hook(optimizer, args, kwargs) before each step."""
        return self._add_hook(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls hook(optimizer, args, kwargs) after each step."""
        return self._add_hook(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Calls hook(optimizer) before state_dict."""
        return self._add_hook(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Calls hook(optimizer, state_dict) after state_dict; what it returns, if anything,
        replaces the dict."""
        return self._add_hook(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Calls hook(optimizer, state_dict) before load_state_dict; what it returns replaces the
        dict."""
        return self._add_hook(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Calls hook(optimizer) after load_state_dict."""
        return self._add_hook(self._optimizer_load_state_dict_post_hooks, hook, prepend)


def _loaded(p: Tensor, value: Any, key: Hashable = None) -> Any:
    """A state value for p: copied, and cast to p's dtype (but steps are counted in their own)."""
    value = _foreign(value)
    if isinstance(value, Handle):
        if key != "step" and p._h:
            value = cast_to(value, _core.dtype_of(p))
        return copy_of(value)
    if isinstance(value, dict):
        return {k: _loaded(p, v, k) for k, v in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return type(value)(_loaded(p, v) for v in value)  # type: ignore[call-arg]
    return value


def evaluate(closure: Callable[[], Any] | None) -> Any:
    """Calls the closure with gradients enabled."""
    if closure is None:
        return None
    was = lib.rnn_set_grad_mode(1)
    try:
        return closure()
    finally:
        lib.rnn_set_grad_mode(was)


def one_way(fused: Any, foreach: Any, differentiable: Any) -> None:
    """Whether an optimizer's ways go together.

    Raises:
        RuntimeError: fused goes with no other.
    """
    if fused and differentiable:
        raise RuntimeError("`fused` does not support `differentiable`")
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


class Listed(Optimizer):
    """An optimizer whose rule is in C. A subclass says which, and gives the names of its states in
    rnn_step's order, a group's options, and the first state of a parameter."""

    _rule: int
    _states: tuple[str, ...]
    _scalars: tuple[str, ...] = ("step",)  # states that are one number

    def _new_state(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        raise NotImplementedError

    def _options(self, group: dict[str, Any]) -> list[float]:
        raise NotImplementedError

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name, default in self.defaults.items():
                group.setdefault(name, default)
        for values in self.state.values():
            for name in self._scalars:
                if name in values and not isinstance(values[name], Handle):
                    values[name] = number(float(values[name]))

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step over all parameters that have a gradient. See Optimizer.step."""
        loss = evaluate(closure)
        for group in self.param_groups:
            self._step_group(group)
        return loss

    def _step_group(self, group: dict[str, Any]) -> None:
        params, state = group["params"], self.state
        for p in params:
            if not state.get(p) and p.grad is not None:
                state[p] = self._new_state(group, p)
        known = [state.get(p) or {} for p in params]
        options = [float(group["lr"]), float(group["weight_decay"]), group["maximize"]]
        lists = [handles([s.get(name) for s in known]) for name in ("step", *self._states)]
        lists += [ffi.NULL] * (4 - len(lists))
        options += self._options(group)
        check(
            lib.rnn_step(
                E, self._rule, len(params), handles(params), *lists, ffi.new("double[]", options)
            )
        )

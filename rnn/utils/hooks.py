"""Handles of hooks, and what backward hooks of modules stand on (torch.utils.hooks)."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from rnn import _c
from rnn._c import E, Handle, check, lib


class RemovableHandle:
    """What register_*hook returns: remove() takes the hook away again; so does leaving a `with`
    block."""

    id: int
    next_id = 0

    def __init__(self, hooks_dict: Any, *, extra_dict: Any = None) -> None:
        self.hooks_dict_ref = weakref.ref(hooks_dict)
        self.id = RemovableHandle.next_id
        RemovableHandle.next_id += 1
        extra = extra_dict if isinstance(extra_dict, (list, tuple)) else [extra_dict]
        self.extra_dict_ref = tuple(weakref.ref(d) for d in extra if d is not None)

    def remove(self) -> None:
        """Takes the hook away; harmless where it has gone."""
        for ref in (self.hooks_dict_ref, *self.extra_dict_ref):
            hooks = ref()
            if hooks is not None:
                hooks.pop(self.id, None)

    def __getstate__(self) -> Any:
        return self.hooks_dict_ref(), self.id, tuple(ref() for ref in self.extra_dict_ref)

    def __setstate__(self, state: Any) -> None:
        hooks, self.id, extra = state
        self.hooks_dict_ref = weakref.ref(OrderedDict() if hooks is None else hooks)
        self.extra_dict_ref = tuple(weakref.ref(OrderedDict() if d is None else d) for d in extra)
        RemovableHandle.next_id = max(RemovableHandle.next_id, self.id + 1)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


def _copied(t: Any) -> Any:
    """The same values as nodes of their own, so that a hook sees the gradient of this use alone."""
    return _c.adopt(check(lib.rnn_clone(E, t._h)))


def _replace(gradients: list[Any], changed: Any, hook: str, what: str) -> None:
    """What a hook returned takes the gradients' place; None leaves them.

    Raises:
        RuntimeError: it returned another number of them.
    """
    if changed is None:
        return
    changed = changed if isinstance(changed, tuple) else (changed,)
    if len(changed) != len(gradients):
        raise RuntimeError(
            f"{hook} returned an invalid number of {what}, got {len(changed)}, but expected "
            f"{len(gradients)}"
        )
    gradients[:] = changed


class BackwardHook:
    """The full backward hooks of one call of a module: it watches the gradients of what went in and
    what came out.

    Where several tensors went in, the hooks run when the last gradient of those that required one
    has come.
    """

    def __init__(
        self,
        module: Any,
        user_hooks: Sequence[Callable[..., Any]],
        user_pre_hooks: Sequence[Callable[..., Any]],
    ) -> None:
        self.module = module
        self.user_hooks = user_hooks
        self.user_pre_hooks = user_pre_hooks
        self.grad_inputs: list[Any] = []
        self.grad_outputs: list[Any] = []
        self.waiting = 0

    def setup_input_hook(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments, with those that require gradients watched."""
        self.grad_inputs = [None] * len(args)
        if not lib.rnn_grad_mode():
            return args
        watched = list(args)
        for i, arg in enumerate(args):
            if isinstance(arg, Handle) and arg._h and lib.rnn_requires_grad(E, arg._h):
                watched[i] = _copied(arg)
                self.waiting += 1
                watched[i].register_hook(self._input_hook(i))
        return tuple(watched)

    def setup_output_hook(self, result: Any) -> Any:
        """The result (a tensor or a tuple), watched."""
        outputs = list(result) if isinstance(result, tuple) else [result]
        self.grad_outputs = [None] * len(outputs)
        self.n_inputs_waiting = self.waiting
        for i, out in enumerate(outputs):
            if isinstance(out, Handle) and out._h and lib.rnn_requires_grad(E, out._h):
                outputs[i] = _copied(out)
                outputs[i].register_hook(self._output_hook(i))
        if not isinstance(result, tuple):
            return outputs[0]
        if hasattr(result, "_fields"):
            return type(result)(*outputs)
        return tuple(outputs)

    def _output_hook(self, i: int) -> Callable[[Any], Any]:
        def hook(grad: Any) -> Any:
            self.grad_outputs[i] = grad
            for user_hook in self.user_pre_hooks:
                changed = user_hook(self.module, tuple(self.grad_outputs))
                _replace(self.grad_outputs, changed, "Backward pre hook", "grad_output")
            if not self.n_inputs_waiting:
                self._call_user_hooks()
            return self.grad_outputs[i]

        return hook

    def _input_hook(self, i: int) -> Callable[[Any], Any]:
        def hook(grad: Any) -> Any:
            self.grad_inputs[i] = grad
            self.waiting -= 1
            if self.waiting == 0:
                self._call_user_hooks()
            return self.grad_inputs[i]

        return hook

    def _call_user_hooks(self) -> None:
        for user_hook in self.user_hooks:
            changed = user_hook(self.module, tuple(self.grad_inputs), tuple(self.grad_outputs))
            _replace(self.grad_inputs, changed, "Backward hook", "grad_input")
        self.waiting = self.n_inputs_waiting

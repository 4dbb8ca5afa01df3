"""Tensor hooks: Python functions that backward calls with a gradient on its way.

A hook belongs to the nodes that the tensor sees when it is registered. For a view that means: the
gradient of those nodes, whichever way it came to them (PyTorch: what came through the view alone).
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rnn import _c
from rnn._c import E, Handle, adopt, check, lib

if TYPE_CHECKING:
    from rnn.tensor import Tensor
    from rnn.utils.hooks import RemovableHandle

HOOKS, POST_ACCUMULATE = 2, 4  # what rnn_backward_step asks for


class _Hooks:
    """All hooks of one span. The engine keeps it, for as long as the span has its graph.

    It must not hold a tensor of the span, which would live longer than it is wanted for.
    """

    def __init__(self) -> None:
        self.before: OrderedDict[int, tuple[Callable[[Any], Any], Any]] = OrderedDict()
        self.after: OrderedDict[int, tuple[Callable[[Any], Any], Any]] = OrderedDict()

    def __call__(self, span: int, code: int) -> None:
        if code == HOOKS:
            for hook, place in list(self.before.values()):
                _run(hook, span, place)
            return
        self.run_after()

    def run_after(self) -> None:
        """Those of a leaf whose gradient has been added up."""
        for hook, leaf in list(self.after.values()):
            tensor = leaf()
            changed = None if tensor is None else hook(tensor)
            if changed is not None and not isinstance(changed, Handle):
                raise _no_tensor(changed)


def _run(hook: Callable[[Any], Any], span: int, place: Any) -> None:
    grad = _view(check(lib.rnn_span_tensor(E, span, 1)), place)
    changed = hook(grad)
    if changed is None or changed is grad:
        return
    if not isinstance(changed, Handle):
        raise _no_tensor(changed)
    if changed._shape != grad._shape:
        raise RuntimeError(f"hook '{_name(hook)}' has changed the size of value")
    if not changed._h or lib.rnn_dtype(changed._h) != lib.rnn_dtype(grad._h):
        raise RuntimeError(
            f"hook '{_name(hook)}' has changed the type of value "
            f"(was {grad.type()} got {changed.type()})"
        )
    nodes = _view(check(lib.rnn_span_tensor(E, span, 0)), place)
    check(lib.rnn_add_grad(E, nodes._h, changed._h, 1))


def _no_tensor(changed: Any) -> TypeError:
    return TypeError(f"expected Variable, but hook returned '{type(changed).__name__}'")


def _name(hook: Any) -> str:
    return str(getattr(hook, "__name__", type(hook).__name__))


def _view(flat: int, place: Any) -> Any:
    """The elements of a span's flat tensor that a handle sees."""
    whole = adopt(flat)
    offset, shape, strides = place
    was = lib.rnn_set_grad_mode(1)  # a view that is made under no_grad is a constant
    try:
        return adopt(
            check(
                lib.rnn_as_view(
                    E, whole._h, 0, offset, len(shape), _c.dims(shape), _c.dims(strides)
                )
            )
        )
    finally:
        lib.rnn_set_grad_mode(was)


def _hooks_of(t: Tensor) -> _Hooks:
    if not t.requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    there = lib.rnn_hook(E, t._h)
    if there:
        hooks: _Hooks = _c.object_at(there)
        return hooks
    made = _Hooks()
    kept = _c.retain(made)
    code = lib.rnn_set_hook(E, t._h, kept)
    if code < 0:
        _c.forget(kept)
        _c.fail(code)
    return made


def register_hook(self: Tensor, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
    """Calls hook(gradient) in every backward pass, when this tensor's gradient is complete
    (torch.Tensor.register_hook).

    Args:
        hook: gets the gradient; what it returns, unless None, takes its place. Hooks run in the
            order in which they were registered, of a leaf before the gradient is added to .grad.

    The graph holds the hook. One that holds this tensor in turn goes when nobody else holds the
    tensor; one that holds a tensor which was made from this one, or a view of it, keeps both alive
    until a pass has freed the graph, or until it is removed.

    Returns:
        A handle whose remove() takes the hook away.

    Raises:
        RuntimeError: the tensor requires no gradient.

    Example:
        >>> x = rnn.tensor([1.0, 2.0], requires_grad=True)
        >>> handle = x.register_hook(lambda grad: grad * 10)
        >>> (x * x).sum().backward()
        >>> x.grad
        tensor([20., 40.])
    """
    from rnn.utils.hooks import RemovableHandle

    hooks = _hooks_of(self)
    handle = RemovableHandle(hooks.before)
    place = (lib.rnn_offset(self._h), self._shape, self._strides)
    hooks.before[handle.id] = (hook, place)
    return handle


def register_post_accumulate_grad_hook(
    self: Tensor, hook: Callable[[Tensor], None]
) -> RemovableHandle:
    """Calls hook(tensor) after a pass has added to this leaf's .grad
    (torch.Tensor.register_post_accumulate_grad_hook).

    Raises:
        RuntimeError: the tensor requires no gradient, or is no leaf.

    Example:
        >>> w = rnn.ones(1, requires_grad=True)
        >>> handle = w.register_post_accumulate_grad_hook(lambda p: print(p.grad))
        >>> (3 * w).sum().backward()
        tensor([3.])
    """
    from rnn.utils.hooks import RemovableHandle

    if self.requires_grad and not self.is_leaf:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    hooks = _hooks_of(self)
    handle = RemovableHandle(hooks.after)
    hooks.after[handle.id] = (hook, weakref.ref(self))
    return handle


def retain_grad(self: Tensor) -> None:
    """Lets .grad add up over passes, as a leaf's does (torch.Tensor.retain_grad). Reading .grad
    needs no such call.

    Raises:
        RuntimeError: the tensor requires no gradient.

    Example:
        >>> x = rnn.ones(2, requires_grad=True)
        >>> y = x * 2
        >>> y.retain_grad()
        >>> y.sum().backward()
        >>> y.grad
        tensor([1., 1.])
    """
    if not self._h:
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    check(lib.rnn_retain_grad(E, self._h))

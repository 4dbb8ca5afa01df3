"""backward(create_graph=True): .grad as a tensor of the graph.

The engine keeps gradients as numbers. Those of a gradient that is part of the graph are the values
of a tensor, which stands here, found by the first node of what it is the gradient of. The engine
gives a leaf numbers of its own before it changes them in place (rnn_span_grad_unlink); None or
other numbers may also take their place. A tensor here whose memory is no more the gradient's is
forgotten.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn._c import E, check, fail, ffi, gradient_of, handles, lib, object_at
from rnn.autograd import modes
from rnn.autograd.graph import _describe, nodes_of

if TYPE_CHECKING:
    from rnn.tensor import Tensor

#: (all nodes of a leaf, its gradient) by the id of its first node
_linked: dict[int, tuple[Any, Any]] = {}

_CYCLE = (
    "Using backward() with create_graph=True will create a reference cycle between the parameter "
    "and its gradient which can cause a memory leak. We recommend using autograd.grad when "
    "creating the graph to avoid this. If you have to use this function, make sure to reset the "
    ".grad fields of your parameters to None after use to break the cycle and avoid the leak."
)


def _first(t: Any) -> int:
    return int(_describe(lib.rnn_span_of(t._h)).first)


def _is_whole(t: Any) -> bool:
    """Whether it is all nodes of its span, in their order."""
    whole: bool = lib.rnn_storage_nodes(E, t._h) == t.numel() and t.is_contiguous()
    return whole


def forget() -> None:
    """Lets go of the tensors that are no gradients any more."""
    for first, (nodes, g) in list(_linked.items()):
        now = gradient_of(nodes)
        if now is None or not lib.rnn_same_memory(E, now._h, g._h):
            _linked.pop(first, None)


def found(t: Tensor, numbers: Any) -> Any:
    """The gradient of t: the tensor of the graph whose values these numbers are, or they."""
    if not _linked:
        return numbers
    first = _first(t)
    nodes, g = _linked.get(first, (None, None))
    if g is None:
        return numbers
    if not g.requires_grad or not lib.rnn_same_memory(E, numbers._h, g._h):
        _linked.pop(first, None)  # detach_(), or other numbers
        return numbers
    if g._shape == t._shape and g._strides == t._strides:
        return g
    with modes.enable_grad():
        if not _is_whole(t):
            return g.reshape(-1).as_strided(t.shape, t.stride(), t.storage_offset())
        g = g.view(t.shape)
    _linked[first] = nodes, g
    return g


def put(t: Tensor, g: Any) -> None:
    """After g, or None, has become t.grad: as part of the graph, if it is that."""
    records = g is not None and g.requires_grad
    if not _linked and not records:
        return
    first, numbers = _first(t), gradient_of(t)
    _linked.pop(first, None)
    if records and _is_whole(t) and lib.rnn_same_memory(E, numbers._h, g._h):
        _linked[first] = nodes_of(lib.rnn_span_of(t._h)), g


def backward(roots: Sequence[Any], seeds: Sequence[Any], inputs: Sequence[Any]) -> None:
    """The pass; every gradient that comes to a leaf, or to an input, is part of the graph."""
    from rnn.autograd.second import gradients

    warnings.warn(_CYCLE, UserWarning, stacklevel=4)
    forget()
    if inputs:
        targets = {lib.rnn_span_of(t._h): True for t in inputs}
        wanted = [(nodes_of(span), adds) for span, adds in targets.items()]
    else:
        wanted = _behind(roots)
    with modes.enable_grad():
        grads = gradients(roots, seeds, [t for t, _ in wanted])
        for (t, adds), g in zip(wanted, grads):
            if g is not None:
                _gain(t, g.reshape(-1), adds)
    for t, _ in wanted:
        _call_hooks(t)


def _behind(roots: Sequence[Any]) -> list[tuple[Any, bool]]:
    """All nodes of each span behind the roots that gets a gradient, and whether it adds up."""
    from rnn.inspect.graph import spans_of

    held = lib.rnn_graph_new(E, len(roots), handles(roots))
    if held == ffi.NULL:
        fail(lib.rnn_failure())
    try:
        numbers = spans_of(held)
        flags = np.empty(len(numbers), np.uint8)
        lib.rnn_graph_columns(
            E, held, ffi.NULL, ffi.NULL, ffi.NULL, ffi.from_buffer("uint8_t[]", flags)
        )
        found = []
        for span in numbers[(flags & lib.RNN_C_NEEDS_GRAD) != 0].tolist():
            check(lib.rnn_check_freed(E, span))
            t = nodes_of(span)
            found.append((t, bool(lib.rnn_is_leaf(E, t._h) or lib.rnn_retains_grad(E, t._h))))
        return found
    finally:
        lib.rnn_graph_free(E, held)


def _gain(t: Any, g: Any, adds: bool) -> None:
    if not adds:  # within the graph: the numbers alone
        numbers = g.detach()
        check(lib.rnn_set_grad(E, t._h, numbers._h))
        return
    old = t.grad
    t.grad = g.clone() if old is None else old + g


def _call_hooks(t: Any) -> None:
    hooks = lib.rnn_hook(E, t._h)
    if hooks and lib.rnn_is_leaf(E, t._h):
        object_at(hooks).run_after()

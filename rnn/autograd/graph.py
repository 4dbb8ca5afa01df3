"""The recorded graph as PyTorch shows it: grad_fn objects with a name and next_functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import numpy as np

from rnn import _c
from rnn._c import E, adopt, check, ffi, lib
from rnn._shown import names

if TYPE_CHECKING:
    from rnn.tensor import Tensor


class Node:
    """One recorded operation, or the view through which a tensor sees its result
    (torch.autograd.graph.Node)."""

    __slots__ = ("__weakref__", "_key", "_tensor")
    _tensor: Tensor
    _key: Any

    def name(self) -> str:
        """Its name, as 'MulBackward0'."""
        return type(self).__name__

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
        """The nodes of its operands, each with 0; (None, 0) for those that take no gradient.

        These are rnn's own operations: where one of them does the work of several of PyTorch's (a
        linear layer, a cross entropy), or several do that of one (a scatter), a walk meets other
        names than in PyTorch. The gradients are the same.

        Raises:
            RuntimeError: the graph behind it was freed by backward().
        """
        if lib.rnn_view_op(self._tensor._h):
            return ((_node_of(self._tensor, 0), 0),)
        return _operands(lib.rnn_span_of(self._tensor._h))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object at {id(self):#x}>"


class AccumulateGrad(Node):
    """The end of a branch: where a leaf's gradient is added up."""

    __slots__ = ()

    def name(self) -> str:
        """'torch::autograd::AccumulateGrad', PyTorch's name."""
        return "torch::autograd::AccumulateGrad"

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
        """Nothing."""
        return ()

    @property
    def variable(self) -> Tensor:
        """The leaf."""
        known = _leaves.get(lib.rnn_span_of(self._tensor._h))
        if known is not None and lib.rnn_span_of(known._h) == lib.rnn_span_of(self._tensor._h):
            return known
        return self._tensor


_types: dict[str, type[Node]] = {}
#: nodes that somebody holds, so that `t.grad_fn is t.grad_fn`
_nodes: WeakValueDictionary[Any, Node] = WeakValueDictionary()
#: by span: leaves that were made to require gradients, as the objects that their owner knows
_leaves: WeakValueDictionary[int, Tensor] = WeakValueDictionary()


def remember_leaf(t: Tensor) -> None:
    """AccumulateGrad.variable will be this object."""
    _leaves[lib.rnn_span_of(t._h)] = t


def leaf(t: Tensor) -> Tensor:
    """t, newly made, which from now on requires gradients."""
    check(lib.rnn_set_requires_grad(E, t._h, 1))
    remember_leaf(t)
    return t


def grad_fn(self: Tensor) -> Node | None:
    """The operation that made this tensor, None for leaves (torch.Tensor.grad_fn).

    Example:
        >>> (rnn.ones(1, requires_grad=True) * 2).grad_fn.name()
        'MulBackward0'
    """
    if not self._h or lib.rnn_is_leaf(E, self._h):
        return None
    return _node_of(self, lib.rnn_view_op(self._h))


def grad_fn_name(t: Tensor) -> str | None:
    """What repr shows: the type of grad_fn."""
    if not t._h or lib.rnn_is_leaf(E, t._h):
        return None
    view = lib.rnn_view_op(t._h)
    return _view_name(view, t) if view else _span_name(lib.rnn_span_of(t._h))


def _node_of(t: Tensor, view: int) -> Node:
    """The node of what t sees: as a view, or (view 0) of its span."""
    span = lib.rnn_span_of(t._h)
    info = _describe(span)
    leaf = bool(info.is_leaf)
    place = (lib.rnn_offset(t._h), t._shape, t._strides) if view else None
    key = (info.first, view, place)
    node = _nodes.get(key)
    if node is not None:
        return node
    name = _view_name(view, t) if view else "AccumulateGrad" if leaf else _span_name(span)
    node = object.__new__(_type(name))
    node._key = key
    node._tensor = _handle(t, view)
    _nodes[key] = node
    return node


def _handle(t: Tensor, view: int) -> Tensor:
    """A handle of the node's own on the same view, or on all of the span."""
    if view:
        return adopt(check(lib.rnn_alias(E, t._h)))
    return _whole(lib.rnn_span_of(t._h))


def nodes_of(span: int) -> Any:
    """All nodes of a span, flat, in their order."""
    return adopt(check(lib.rnn_span_tensor(E, span, 0)))


def _whole(span: int) -> Tensor:
    info, flat = _describe(span), nodes_of(span)
    shape = tuple(info.shape[0 : info.ndim])
    was = lib.rnn_set_grad_mode(1)
    try:
        strides = _contiguous(shape)
        dims = _c.dims(shape), _c.dims(strides)
        return adopt(check(lib.rnn_as_view(E, flat._h, 0, 0, len(shape), *dims)))
    finally:
        lib.rnn_set_grad_mode(was)


def _contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def _describe(span: int) -> Any:
    info = ffi.new("rnn_span_info *")
    check(lib.rnn_describe(E, span, info))
    return info


def _type(name: str) -> type[Node]:
    if name == "AccumulateGrad":
        return AccumulateGrad
    if name not in _types:
        _types[name] = type(name, (Node,), {"__slots__": ()})
    return _types[name]


def edge_list(
    spans: Any, check_count: Callable[[int], None] = lambda count: None
) -> tuple[Any, Any, Any, Any]:
    """All edges of all nodes of some spans: four arrays of one length.

    Args:
        spans: their numbers, uint32, contiguous.
        check_count: is told how many edges there are before there is room for all of them.

    Returns:
        (ids of the users, ids of the operands, local derivatives, whether a gradient flows): int64,
        int64, float64, bool.

    Raises:
        RuntimeError: a graph was freed, or an autograd.Function is among them.
    """
    room, count = 1024, -1
    while count < 0:
        users, operands = np.empty(room, np.int64), np.empty(room, np.int64)
        locals_, flows = np.empty(room), np.empty(room, np.uint8)
        count = check(
            lib.rnn_edge_list_of(
                E,
                len(spans),
                ffi.from_buffer("uint32_t[]", spans),
                room,
                ffi.from_buffer("int64_t[]", users),
                ffi.from_buffer("int64_t[]", operands),
                ffi.from_buffer("double[]", locals_),
                ffi.from_buffer("uint8_t[]", flows),
            )
        )
        check_count(count)
        if count > room:
            room, count = count, -1
    return users[:count], operands[:count], locals_[:count], flows[:count].astype(bool)


# ---- operands -----------------------------------------------------------------------------------

#: operations with a number, for which PyTorch shows the number's place too
_WITH_NUMBER = frozenset(
    lib.rnn_op_find(name) for name in (b"add_scalar", b"mul_scalar", b"div_scalar")
)
_CUSTOM = lib.rnn_op_find(b"custom")
#: whose fourth parameter is the loss that they reduce, where there is one (rnn_name_reduction)
_REDUCTIONS = frozenset(lib.rnn_op_find(name) for name in (b"sum", b"mean"))


def _operands(span: int) -> tuple[tuple[Node | None, int], ...]:
    info = _describe(span)
    if info.passed:
        raise RuntimeError(
            f"the graph behind this {_span_name(span)} was freed by backward(); "
            "call backward(retain_graph=True) to keep it"
        )
    if info.op in _REDUCTIONS and info.p[3]:
        losses = _operand(span, 0)  # held: its handle goes with it
        return _operands(lib.rnn_span_of(losses._h))
    found: list[tuple[Node | None, int]] = []
    for k in range(info.operands):
        t = adopt(check(lib.rnn_operand_tensor(E, span, k)))
        if not lib.rnn_requires_grad(E, t._h):
            found.append((None, 0))
            continue
        if info.op == _CUSTOM and _is_core(lib.rnn_span_of(t._h)):
            return _operands(lib.rnn_span_of(t._h))
        found.append((_node_of(t, lib.rnn_view_op(t._h)), 0))
    if info.op in _WITH_NUMBER:
        found.append((None, 0))
    return tuple(found)


def _is_core(span: int) -> bool:
    info = _describe(span)
    return info.op == _CUSTOM and bool(info.key) and bool(_c.object_at(info.key).is_core)


# ---- names --------------------------------------------------------------------------------------


def _view_name(view: int, t: Tensor) -> str:
    name: bytes = ffi.string(lib.rnn_view_name(view))
    return name.decode()


def _span_name(span: int) -> str:
    info = _describe(span)
    if info.shown:
        return names[info.shown]
    if info.op == _CUSTOM:
        return names[info.name]
    if info.op in _REDUCTIONS and info.p[3]:
        return _op_name(int(info.p[3]))
    given = _BY_SHAPE.get(info.op)
    if given is not None and not info.passed:
        ranks = [len(_operand(span, k)._shape) for k in range(info.operands)]
        return str(given(info.ndim, ranks))
    return _op_name(info.op)


def _op_name(op: int) -> str:
    name: bytes = ffi.string(lib.rnn_op_torch_name(op))
    return name.decode()


def _operand(span: int, k: int) -> Tensor:
    return adopt(check(lib.rnn_operand_tensor(E, span, k)))


def _matmul_name(ndim: int, ranks: list[int]) -> str:
    a, b = ranks
    if (a, b) == (1, 1):
        return "DotBackward0"
    if a <= 2 and b <= 2:
        return "MvBackward0" if b == 1 else "MmBackward0" if a == 2 else "SqueezeBackward4"
    return "BmmBackward0" if a == b == 3 else "UnsafeViewBackward0"


def _linear_name(ndim: int, ranks: list[int]) -> str:
    if len(ranks) == 2:
        return _matmul_name(ndim, ranks)
    return "AddmmBackward0" if ndim == 2 else "ViewBackward0"


_BY_SHAPE: dict[int, Any] = {
    lib.rnn_op_find(b"matmul"): _matmul_name,
    lib.rnn_op_find(b"linear"): _linear_name,
    lib.rnn_op_find(b"sum"): lambda ndim, ranks: "SumBackward1" if ndim else "SumBackward0",
    lib.rnn_op_find(b"mean"): lambda ndim, ranks: "MeanBackward1" if ndim else "MeanBackward0",
}

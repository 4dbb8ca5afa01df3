"""Backward passes that are recorded: grad(create_graph=True), gradients of gradients.

The engine's pass computes numbers. Here the same pass runs in Python, over the same graph, and
every gradient is computed by tensor operations (rules.py); so the gradients are part of the graph,
and can be differentiated, and looked at, like anything else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import rnn
from rnn import _c
from rnn._c import E, adopt, check, ffi, lib, op
from rnn.autograd.function import _fit
from rnn.autograd.graph import _contiguous, _describe, _op_name, _whole, edge_list, nodes_of
from rnn.nn.functional._common import gather_flat, scatter_flat
from rnn.ops import _core
from rnn.ops._core import places, places_of

if TYPE_CHECKING:
    from rnn.tensor import Tensor

_CUSTOM = op("custom")


class Application:
    """One application of one operation, as a rule sees it.

    Attributes:
        op: the operation's number.
        operands: the tensors that it was given, part of the graph.
        p: the numbers that it was given. shape: of its result.
    """

    def __init__(self, span: int, info: Any) -> None:
        """info: the span's description."""
        self.span, self.first, self.nodes = span, int(info.first), int(info.nodes)
        self.op, self.key = int(info.op), info.key
        self.p: tuple[float, ...] = tuple(info.p)
        self.shape: tuple[int, ...] = tuple(info.shape[0 : info.ndim])
        count = 0 if info.is_leaf or info.passed else info.operands
        self.operands: list[Any] = [
            adopt(check(lib.rnn_operand_tensor(E, span, k))) for k in range(count)
        ]
        self._leads = [False] * count

    @property
    def count(self) -> int:
        """How many operands it has."""
        return len(self.operands)

    @property
    def x(self) -> Any:
        """Its first operand."""
        return self.operands[0]

    @property
    def z(self) -> Any:
        """Its result, in its shape, part of the graph."""
        return _whole(self.span)

    def wants(self, k: int) -> bool:
        """Whether operand k's gradient is asked for."""
        return self._leads[k]

    def shape_of(self, k: int) -> tuple[int, ...]:
        """The shape of operand k."""
        shape: tuple[int, ...] = self.operands[k]._shape
        return shape

    @property
    def numbers(self) -> list[int]:
        """The whole numbers that it was given (rnn_span_numbers)."""
        count = check(lib.rnn_span_numbers(E, self.span, 0, ffi.NULL))
        out = ffi.new("int64_t[]", count)
        check(lib.rnn_span_numbers(E, self.span, count, out))
        return list(out)

    def places(self, k: int) -> Any:
        """Where in its span the elements of operand k are: int64, flat."""
        return places_of(self.operands[k]).reshape(-1)

    def first_of(self, k: int) -> int:
        """The id of the first node of operand k's span."""
        return int(_describe(lib.rnn_span_of(self.operands[k]._h)).first)

    def edges(self) -> tuple[Any, Any, Any, Any]:
        """(place in the result, id of the operand node, local derivative, does a gradient flow)."""
        users, *rest = edge_list(np.array([self.span], np.uint32))
        return (users - self.first, *rest)

    def through(self, function: Callable[..., Any], dz: Tensor) -> list[tuple[int, Tensor]]:
        """The gradients of function(self, *operands), which is computed for it.

        Each operand is cloned first: what one is made from, another may be made from too.
        """
        copies = [adopt(check(lib.rnn_clone(E, t._h))) for t in self.operands]
        result = function(self, *copies)
        wanted = [k for k in range(self.count) if self.wants(k)]
        found = gradients([result], [dz], [copies[k] for k in wanted])
        return [(k, g) for k, g in zip(wanted, found) if g is not None]


# ---- gradients of spans --------------------------------------------------------------------------


def _spread(g: Any, t: Any, of: Application) -> Any:
    """The gradient of the view t as that of its span: broadcast elements add up."""
    g = g.sum_to_size(t._shape) if g._shape != t._shape else g
    shape, strides = t._shape, t._strides
    over = [d for d, (n, step) in enumerate(zip(shape, strides)) if step == 0 and n > 1]
    if over:
        g = g.sum(over, keepdim=True)
        shape = g._shape
    code = lib.rnn_dtype(t._h)
    g = _core.as_node(g, code)
    if math.prod(shape) == of.nodes and _is_whole(shape, strides):
        return _in_shape(g, of.shape)
    at = places(lib.rnn_offset(t._h), shape, strides)
    return scatter_flat(_zeros(of.nodes, code), at, g, True).reshape(of.shape)


def _in_shape(g: Any, shape: tuple[int, ...]) -> Any:
    return g if g._shape == shape else g.reshape(shape)


def _is_whole(shape: tuple[int, ...], strides: Sequence[int]) -> bool:
    return all(n == 1 or a == b for n, a, b in zip(shape, strides, _contiguous(shape)))


def _zeros(nodes: int, code: int) -> Any:
    return adopt(check(lib.rnn_full(E, code, 1, _c.dims((nodes,)), 0.0)))


def _pick(g: Any, at: Any) -> Any:
    """Elements of a span's gradient, in the shape of `at`."""
    return gather_flat(g, at, at.shape)


# ---- the pass ------------------------------------------------------------------------------------


def gradients(roots: Sequence[Any], seeds: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
    """The gradients of `roots` by `inputs`, recorded, each of its input's shape and dtype; None
    where there is none.

    Args:
        seeds: the roots' gradients, of their shapes; None means ones.

    Raises:
        RuntimeError: a graph was freed, or a value that is needed was overwritten.
        NotImplementedError: an operation between them has no rule.
    """
    found = _Pass(roots, inputs)
    for root, seed in zip(roots, seeds):
        found.begin(root, rnn.ones_like(root) if seed is None else seed)
    return found.run()


class _Pass:
    """A backward pass, from what was made last to the inputs."""

    def __init__(self, roots: Sequence[Any], inputs: Sequence[Any]) -> None:
        self.inputs = inputs
        self.found: list[Any] = [None] * len(inputs)
        self.grads: dict[int, Any] = {}  # by span, in its shape
        self.outputs: dict[int, list[Any]] = {}  # of a Function, by the span of its core
        self.asked: dict[int, list[int]] = {}
        for i, t in enumerate(inputs):
            self.asked.setdefault(lib.rnn_span_of(t._h), []).append(i)
        lowest = min(_describe(span).first for span in self.asked)
        self.spans = self._search([lib.rnn_span_of(t._h) for t in roots], lowest)
        self._look_ahead()

    def _search(self, todo: list[int], lowest: int) -> dict[int, Application]:
        """All spans behind the roots that are no older than the oldest input."""
        spans: dict[int, Application] = {}
        while todo:
            span = todo.pop()
            if span in spans:
                continue
            info = _describe(span)
            if info.first < lowest:
                continue
            spans[span] = made = Application(span, info)
            todo += [lib.rnn_span_of(t._h) for t in made.operands if lib.rnn_requires_grad(E, t._h)]
        return spans

    def _look_ahead(self) -> None:
        """Which spans, and which of their operands, lead to an input: a span's operands are older
        than it is."""
        leads: dict[int, bool] = {}
        for span, s in sorted(self.spans.items(), key=lambda item: item[1].first):
            for k, t in enumerate(s.operands):
                flows = bool(lib.rnn_requires_grad(E, t._h))
                s._leads[k] = flows and leads.get(lib.rnn_span_of(t._h), False)
            if span not in self.asked:
                check(lib.rnn_check_freed(E, span))
            leads[span] = span in self.asked or any(s._leads)

    def begin(self, root: Any, seed: Any) -> None:
        """A gradient to start from."""
        span = lib.rnn_span_of(root._h)
        if span in self.spans:
            self._add(span, _spread(seed, root, self.spans[span]))

    def _add(self, span: int, g: Any) -> None:
        there = self.grads.get(span)
        self.grads[span] = g if there is None else there + g

    def run(self) -> list[Any]:
        """Comes to each span when all that were made from it have been."""
        for s in sorted(self.spans.values(), key=lambda s: -s.first):
            if s.span in self.grads:
                self._visit(s)
        return self.found

    def _visit(self, s: Application) -> None:
        dz = self._hooked(s, self.grads.pop(s.span))
        for i in self.asked.get(s.span, ()):
            t = self.inputs[i]
            if math.prod(t._shape) == s.nodes and _is_whole(t._shape, t._strides):
                self.found[i] = _in_shape(dz, t._shape)
            else:
                self.found[i] = _pick(dz, places_of(t))
        if not any(s._leads):
            return
        check(lib.rnn_check_values(E, s.span, False))
        if s.op == _CUSTOM:
            self._custom(s, dz)
            return
        from rnn.autograd.rules import LINEAR, RULES

        if s.op in LINEAR:
            self._linear(s, dz)
        elif s.op in RULES:
            for k, g in RULES[s.op](s, dz):
                self._give(s, k, g)
        else:
            raise NotImplementedError(
                f"create_graph=True: {_op_name(s.op)} has no gradient that can be differentiated"
            )

    def _give(self, s: Application, k: int, g: Any) -> None:
        if s.wants(k):
            t = s.operands[k]
            span = lib.rnn_span_of(t._h)
            self._add(span, _spread(g, t, self.spans[span]))

    def _linear(self, s: Application, dz: Any) -> None:
        """Constants times the gradient, added up: a sparse product."""
        users, nodes, locals_, flows = s.edges()
        for span in {lib.rnn_span_of(t._h) for k, t in enumerate(s.operands) if s.wants(k)}:
            to = self.spans[span]
            mine = flows & (nodes >= to.first) & (nodes < to.first + to.nodes) & (locals_ != 0)
            code = lib.rnn_dtype(dz._h)
            g = _pick(dz, users[mine])
            if not (locals_[mine] == 1).all():
                g = g * _core.nodes(locals_[mine].astype(_core.NUMPY_NODE_DTYPES[code]))
            flat = scatter_flat(_zeros(to.nodes, code), nodes[mine] - to.first, g, True)
            self._add(span, _in_shape(flat, to.shape))

    def _hooked(self, s: Application, dz: Any) -> Any:
        """The gradient, as the span's hooks leave it."""
        flat = nodes_of(s.span)
        hooks = lib.rnn_hook(E, flat._h)
        if not hooks:
            return dz
        for hook, (offset, shape, strides) in list(_c.object_at(hooks).before.values()):
            at = places(offset, shape, strides)
            changed = hook(_pick(dz, at))
            if changed is not None:
                dz = _in_shape(scatter_flat(dz, at, changed, False), s.shape)
        return dz

    def _custom(self, s: Application, dz: Any) -> None:
        """An autograd.Function: its backward, recorded."""
        turn = _c.object_at(s.key)
        core = getattr(turn, "core", None)
        if core is not None:  # one of several outputs: the core comes when all have been
            span = lib.rnn_span_of(s.x._h)
            waiting = self.outputs.setdefault(span, [None] * len(core.like))
            there = waiting[turn.i]  # an output that backward needed is there twice
            waiting[turn.i] = dz if there is None else there + dz
            self._add(span, rnn.zeros_like(s.x))
            return
        grads = self.outputs.pop(s.span, None) or [None] * len(turn.like)
        if not turn.is_core:
            grads[turn.only] = dz
        for k, g in turn.recorded_gradients(grads, s.z, s.operands):
            self._give(s, k, _fit(turn.name, turn.operands[k], g, s.operands[k]))

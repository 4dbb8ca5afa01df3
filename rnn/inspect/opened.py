"""One element of a fused operation, opened into the scalar operations that it stands for.

They are recorded apart, on copies of just the numbers that the element was made from, in float64:
the graph that it is in gains no node.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from rnn._c import E, check, ffi, lib
from rnn.autograd.graph import edge_list
from rnn.autograd.modes import enable_grad
from rnn.inspect.graph import Graph, handle, node_of
from rnn.inspect.names import first_of
from rnn.inspect.node import CUSTOM, Node
from rnn.inspect.openers import Element, opener_of
from rnn.inspect.span import Span
from rnn.inspect.tables import Table, number
from rnn.ops._core import Array, array_of, nodes
from rnn.resolution import resolution


class Opened:
    """The scalar operations that a node stands for.

    Attributes:
        node: the node that was opened.
        graph: a Graph of their own: additions, multiplications, powers, exponentials, logarithms.
        result: the node of that graph which is the opened one again, to rounding.
        inputs: {copy: original}: the graph's leaves that stand for nodes of the real graph.
        locals: {original: d node / d original}, by the chain rule through the operations.

    Example:
        >>> x = rnn.tensor(0.5, requires_grad=True)
        >>> opened = rnn.inspect.node(x.tanh()).open()
        >>> round(opened.value, 6), len(opened.graph) > 3
        (0.462117, True)
    """

    def __init__(self, node: Node, result: Any, copies: Any, originals: list[Node]) -> None:
        self.node = node
        first = first_of(lib.rnn_span_of(copies._h))
        self._originals, self._first = originals, first
        self.graph = Graph([result], {})
        self.result = node_of(result, (), self.graph)
        used = [span for span in self.graph.spans if span.id == first]
        self.inputs = {Node(s, i): n for s in used for i, n in enumerate(originals)}
        self.locals: dict[Node, float] = {}
        for n, local in zip(originals, _gradient(result, copies)):
            self.locals[n] = self.locals.get(n, 0.0) + float(local)

    @property
    def value(self) -> float:
        """The result's value, float64."""
        return self.result.value

    def original(self, n: Node) -> Node | None:
        """The node that a leaf of the graph is a copy of; None for constants and results."""
        at = n.id - self._first
        return self._originals[at] if 0 <= at < len(self._originals) else None

    def label(self, n: Node) -> str:
        """What a node of the graph is called: a copy like its original."""
        original = self.original(n)
        return n.label if original is None else original.label

    def __len__(self) -> int:
        """How many operations there are."""
        return sum(int(here.sum()) for span, here in self._behind if not span.is_leaf)

    def nodes(self, leaves: bool = False) -> list[Node]:
        """The operations' nodes, and the leaves too if asked, operands before users."""
        return [
            Node(span, i)
            for span, here in self._behind
            if leaves or not span.is_leaf
            for i in np.flatnonzero(here).tolist()
        ]

    @functools.cached_property
    def _behind(self) -> list[tuple[Span, Array]]:
        """Each span, and which of its nodes the result was made from: a row was computed where one
        element of it is asked for.
        """
        listed = edge_list(np.ascontiguousarray(self.graph._numbers))
        order = np.argsort(listed[0], kind="stable")
        spans = self.graph.spans
        start = spans[0].id
        users, operands = (ids[order] - start for ids in listed[:2])
        found = np.zeros(spans[-1].id + spans[-1].count - start, bool)
        found[self.result.id - start] = True
        parts: list[tuple[Span, Array]] = []
        for span in reversed(spans):
            first = span.id - start
            mine = slice(*np.searchsorted(users, (first, first + span.count)))
            if (operands[mine] >= first).any():  # a running sum: its nodes are made from others
                for user, operand in zip(users[mine][::-1].tolist(), operands[mine][::-1].tolist()):
                    found[operand] |= found[user]
            else:
                found[operands[mine][found[users[mine]]]] = True
            parts.append((span, found[first : first + span.count]))
        return parts[::-1]

    def table(self, limit: int = 24) -> Table:
        """An operation a line; of many the first and the last."""
        title = f"{self.node.label} = {number(self.node.value)}, opened: {len(self):,} operations"
        out = Table(title, ("node", "operation", "of", "value"), left=range(3))
        every = self.nodes()
        shown = (
            every if len(every) <= limit else [*every[: limit // 2], None, *every[-limit // 2 :]]
        )
        for n in shown:
            if n is None:
                out.add(f"... {len(every) - limit // 2 * 2:,} more", "", "", "")
                continue
            of = ", ".join(self.label(edge.node) for edge in n.operands)
            numbers = ", ".join(number(p) for p in n.span.parameters)
            out.add(n.label, n.op, f"{of}; {numbers}" if numbers else of, number(n.value))
        return out

    def __repr__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()


def open_node(node: Node) -> Opened:
    """Node.open().

    Raises:
        ValueError: the node is a leaf; or its operation only moves values, or is an
            autograd.Function, of which no operations are known.
        RuntimeError: backward() has freed the graph behind it, or a value that it was made from was
            overwritten.
    """
    opener = None if node.is_leaf else opener_of(node.span)
    if opener is None and node.span._info.op == CUSTOM:
        raise ValueError(
            f"{node.label} is made by {node.op}, an autograd.Function: what its forward computes "
            "is not recorded, so there is nothing to be opened; Node.operands has its derivatives"
        )
    if opener is None:
        what = "a leaf" if node.is_leaf else f"made by {node.op}"
        raise ValueError(
            f"{node.label} is {what}: there are no scalar operations within it to be opened"
        )
    originals, locals_ = _edges(node)
    for span in {n.span for n in originals}:
        if span.written_after(node.span.id):
            raise RuntimeError(
                f"{node.label} was made from values of {span.name or span.op} that were "
                "overwritten in place since: there is nothing left to be opened"
            )
    element = Element(node.span, node.index, locals_, _own(node, originals))
    values = np.array([n.value for n in originals], np.float64)
    with enable_grad(), resolution("scalar"):
        copies = nodes(values).requires_grad_(True)
        result = opener(element, copies)
    return Opened(node, handle(result), copies, originals)


def _own(node: Node, originals: list[Node]) -> int:
    """Which of them is the element of the first operand at the node's index."""
    first = node.span.operands[0]
    if first.shape != node.shape:
        return -1
    at = first.offset + sum(i * step for i, step in zip(node.index, first.strides))
    own = Node(first.span, at)
    return originals.index(own) if own in originals else -1


def _edges(node: Node) -> tuple[list[Node], Array]:
    """The operand nodes as the engine lists them, doubles and all, and the local derivatives."""
    here = node.span._number, node.offset
    count = check(lib.rnn_edges(E, *here, 0, ffi.NULL, ffi.NULL, ffi.NULL, ffi.NULL))
    spans, at = ffi.new("uint32_t[]", count + 1), ffi.new("int64_t[]", count + 1)
    locals_, flows = np.zeros(count), ffi.new("uint8_t[]", count + 1)
    room = ffi.from_buffer("double[]", locals_) if count else ffi.NULL
    check(lib.rnn_edges(E, *here, count, spans, at, room, flows))
    of = node.span._source._span
    return [Node(of(spans[i]), at[i]) for i in range(count)], locals_


def _gradient(result: Any, copies: Any) -> Array:
    from rnn.autograd.passes import grad

    if not lib.rnn_requires_grad(E, result._h):
        return np.zeros(copies._shape)
    [found] = grad(result, copies, retain_graph=True, allow_unused=True)
    return np.zeros(copies._shape) if found is None else array_of(found)

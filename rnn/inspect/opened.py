"""One element of a fused operation, opened into the scalar operations that it stands for.

They are recorded apart, on copies of just the numbers that the element was made from, in float64:
the graph that it is in gains no node.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnn._c import E, check, ffi, lib
from rnn.autograd.modes import enable_grad
from rnn.inspect.graph import Graph, handle, node_of
from rnn.inspect.names import first_of
from rnn.inspect.node import Node
from rnn.inspect.openers import Element, opener_of
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
        return sum(span.count for span in self.graph.spans if not span.is_leaf)

    def nodes(self) -> list[Node]:
        """The operations' nodes, operands before users."""
        spans = self.graph.spans
        return [Node(s, i) for s in spans if not s.is_leaf for i in range(s.count)]

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
        ValueError: the node is a leaf; or its operation only moves values, or cannot be opened.
        RuntimeError: backward() has freed the graph behind it, or a value that it was made from was
            overwritten.
    """
    opener = None if node.is_leaf else opener_of(node.span)
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

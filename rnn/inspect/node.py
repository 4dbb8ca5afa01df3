"""Node: one scalar of the graph; Edge: one of the nodes it was made from, with its derivative."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rnn import _dtypes
from rnn._c import E, check, ffi, lib
from rnn.inspect.span import Span
from rnn.inspect.tables import Table, number
from rnn.ops._core import Array
from rnn.value import Value

if TYPE_CHECKING:
    from rnn.inspect.opened import Opened

CUSTOM: int = lib.rnn_op_find(b"custom")


class Edge(NamedTuple):
    """From a node to one of its operands, or (in Node.users) to one of its users.

    Example:
        >>> a, b = rnn.Value(2.0), rnn.Value(-3.0)
        >>> [(e.node.value, e.local, e.flows) for e in rnn.inspect.node(a * b).operands]
        [(2.0, -3.0, True), (-3.0, 2.0, True)]
    """

    node: Node
    local: float
    """d user / d operand, exact; nan where a value that it needs was overwritten since"""
    flows: bool
    """whether a gradient goes along it: not to constants and detached tensors"""


class Node:
    """One scalar: a number, the operation that made it, and the numbers it was made from.

    Attributes:
        id: unique for ever; an operand's is always below its user's.
        op, dtype, module, line, requires_grad: its span's.
        span, offset: which node of which span it is.
        shape, index: of the tensor that its operation made, and its place in it.
        value: a float.
        grad: a float, or None where no backward pass has come here.
        name: "w[0, 1]" where its tensor has a name, else None.
        label: the name, or what else it may be called: "mul[0, 1]".
        operands: a tuple of Edges, in the operation's order; x * x has two.
        users: a list of Edges to the nodes that were made from it.

    Example:
        >>> x = rnn.tensor([1.0, 2.0], requires_grad=True)
        >>> n = rnn.inspect.node(x * x, 1)
        >>> n.op, n.value, n.index, [edge.local for edge in n.operands]
        ('mul', 4.0, (1,), [2.0, 2.0])
    """

    __slots__ = ("offset", "span")

    def __init__(self, span: Span, offset: int) -> None:
        self.span = span
        self.offset = offset

    @property
    def id(self) -> int:
        return self.span.id + self.offset

    @property
    def op(self) -> str:
        return self.span.op

    @property
    def dtype(self) -> _dtypes.dtype:
        return self.span.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.span.shape

    @property
    def index(self) -> tuple[int, ...]:
        index, rest = [], self.offset
        for size in reversed(self.span.shape):
            index.append(rest % size)
            rest //= size
        return tuple(reversed(index))

    @property
    def module(self) -> str | None:
        return self.span.module

    @property
    def line(self) -> str | None:
        return self.span.line

    @property
    def requires_grad(self) -> bool:
        return self.span.requires_grad

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made it: a Parameter, an input, a constant."""
        return self.span.is_leaf

    @property
    def value(self) -> float:
        return self._look()[0]

    @property
    def grad(self) -> float | None:
        return self._look()[1]

    def _look(self) -> tuple[float, float | None]:
        value, grad = ffi.new("double *"), ffi.new("double *")
        has = check(lib.rnn_look(E, self.span._number, self.offset, value, grad))
        return float(value[0]), float(grad[0]) if has else None

    @property
    def name(self) -> str | None:
        name = self.span._source.names.get(self.span.id)
        index = name.index_of(self.offset) if name else None
        return subscript(name.text, index) if name and index is not None else None

    @property
    def label(self) -> str:
        return self.name or subscript(self.op, self.index)

    @property
    def as_value(self) -> Value:
        """The same node as a rnn.Value."""
        from rnn._c import value_of

        found: Value = value_of(self.span._number, self.offset)
        return found

    @property
    def operands(self) -> tuple[Edge, ...]:
        """Its operands, each with the local derivative d self / d operand.

        An arithmetic operation has an Edge for each operand (x * x has two to x); others have one
        for each node that they read.

        Raises:
            RuntimeError: backward() has freed the graph behind it.
        """
        made_from, locals_, flows = edges(self)
        found: list[Edge] = []
        known: dict[tuple[int, int], int] = {}
        apart = lib.rnn_op_elementwise(self.span._info.op)
        for i, local in enumerate(locals_.tolist()):
            at = int(made_from.which[i]), int(made_from.nodes[i])
            if at in known and not apart:
                old = found[known[at]]
                found[known[at]] = old._replace(local=old.local + local)
                continue
            known[at] = len(found)
            found.append(Edge(made_from.node(i), local, bool(flows[i])))
        return tuple(found)

    @property
    def users(self) -> list[Edge]:
        """The nodes that were made from it, each with d user / d self: one Edge for each use."""
        return [edge for user in self.span.users for edge in self.uses_in(user)]

    def open(self) -> Opened:
        """The scalar operations that it stands for, where its operation is a fused one: an element
        of a matrix product as multiplications and additions. Recorded apart: the graph that the
        node is in gains nothing.

        Raises:
            ValueError: there is nothing within it: a leaf, or a value that was only moved.
            RuntimeError: backward() has freed the graph behind it, or a value that it was made from
                was overwritten.

        Example:
            >>> x = rnn.tensor([1.0, 2.0], requires_grad=True)
            >>> opened = rnn.inspect.node(x.softmax(0), 0).open()
            >>> sorted({n.op for n in opened.nodes()} & {"exp", "cumsum", "pow_scalar", "mul"})
            ['cumsum', 'exp', 'mul', 'pow_scalar']
            >>> round(opened.value, 6)
            0.268941
        """
        from rnn.inspect.opened import open_node

        return open_node(self)

    def uses_in(self, user: Span) -> list[Edge]:
        """The nodes of one span that were made from it.

        Raises:
            RuntimeError: backward() has freed the graph behind the span.
        """
        return [
            Edge(Node(user, int(at)), float(local), bool(flows))
            for at, local, flows in zip(*uses(user, self))
        ]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def table(self, limit: int = 12) -> Table:
        """The node with its operands and its users, an edge a line.

        Args:
            limit: how many operands and how many users are shown.
        """
        value, grad = self._look()
        made = self.span.place or ("" if self.is_leaf else f"made by {self.op}")
        title = f"{self.label} = {number(value)}, gradient {number(grad)}"
        out = Table(
            f"{title}   {made}".rstrip(), ("", "node", "value", "gradient", "derivative"), range(2)
        )
        freed = self.span.freed
        sides: list[tuple[str, Sequence[Edge]]] = []
        try:
            sides = [("made from", () if freed else self.operands), ("used in", self.users)]
        except RuntimeError as error:  # an autograd.Function that cannot be asked
            out.notes.append(str(error))
        for what, edges in sides:
            for edge in edges[:limit]:
                n = edge.node
                local = number(edge.local) if edge.flows else f"{number(edge.local)} (constant)"
                out.add(what, n.label, number(n.value), number(n.grad), local)
            if len(edges) > limit:
                out.add(what, f"... {len(edges) - limit:,} more", "", "", "")
        if self.span.overwritten:
            out.notes.append(
                "its tensor was written in place since: the value may be one that came later"
            )
        if freed:
            out.notes.append(
                "what it was made from was freed: backward(retain_graph=True) keeps it"
            )
        return out

    def __str__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()

    def __repr__(self) -> str:
        value, grad = self._look()
        text = "" if grad is None else f", grad {number(grad)}"
        return f"<Node {self.id} {self.label}: {self.op} = {number(value)}{text}>"


class MadeFrom(NamedTuple):
    """Operand nodes as columns: node `nodes[i]` of `spans[which[i]]`."""

    spans: list[Span]
    which: Array
    nodes: Array

    def node(self, i: int) -> Node:
        return Node(self.spans[int(self.which[i])], int(self.nodes[i]))


def _custom_edges(n: Node) -> tuple[MadeFrom, Array, Array]:
    """As edges(), for an output of an autograd.Function, in the order of its arguments;
    derivatives of 0 are left out.
    """
    from rnn.inspect import custom

    spans, nodes, found = custom.row(n.span, n.offset)
    arguments = [operand.span._number for operand in n.span.operands]
    numbers, which = np.unique(spans, return_inverse=True)
    places = np.array([arguments.index(int(number)) for number in numbers], np.int64)
    order = np.lexsort((nodes, places[which.reshape(-1)]))
    return _made_from(n, spans[order], nodes[order]), found[order], np.ones(len(nodes), bool)


def _made_from(n: Node, spans: Array, nodes: Array) -> MadeFrom:
    numbers, which = np.unique(spans, return_inverse=True)
    of = [n.span._source._span(int(number)) for number in numbers]
    return MadeFrom(of, which.reshape(-1), nodes)


def edges(n: Node) -> tuple[MadeFrom, Array, Array]:
    """What a node was made from as the engine lists it (an operand that is read twice has two
    entries), the local derivatives and whether gradients flow.

    Raises:
        RuntimeError: backward() has freed the graph behind it.
    """
    if n.span._info.op == CUSTOM:
        return _custom_edges(n)
    spans, nodes, locals_, flows = listed_edges(n)
    if lib.rnn_check_values(E, n.span._number, True) < 0:
        locals_[:] = nan
    return _made_from(n, spans, nodes), locals_, flows.astype(bool)


def listed_edges(n: Node) -> tuple[Array, Array, Array, Array]:
    """A node's edges as the engine lists them: the numbers of spans, nodes in them, local
    derivatives, and 1 where a gradient flows.

    Raises:
        RuntimeError: backward() has freed the graph behind it.
    """
    count, room = -1, 16
    while count < 0:
        spans, nodes = np.empty(room, np.uint32), np.empty(room, np.int64)
        locals_, flows = np.empty(room), np.empty(room, np.uint8)
        count = check(
            lib.rnn_edges(
                E,
                n.span._number,
                n.offset,
                room,
                ffi.from_buffer("uint32_t[]", spans),
                ffi.from_buffer("int64_t[]", nodes),
                ffi.from_buffer("double[]", locals_),
                ffi.from_buffer("uint8_t[]", flows),
            )
        )
        if count > room:
            count, room = -1, count
    return spans[:count], nodes[:count], locals_[:count], flows[:count]


def uses(user: Span, n: Node, through: bool = False) -> tuple[Array, Array, Array]:
    """Where a node is used in a span: the span's nodes, their local derivatives by it, and whether
    a gradient flows back.

    Args:
        through: with what the span hands on from node to node itself (a running sum), as the span's
            gradients are meant.

    Raises:
        RuntimeError: backward() has freed the graph behind the span.
    """
    if user._info.op == CUSTOM:
        from rnn.inspect import custom

        return custom.uses(user, n.span._number, n.offset)
    count, room = -1, 16
    while count < 0:
        nodes, locals_ = np.empty(room, np.int64), np.empty(room)
        flows = np.empty(room, np.uint8)
        count = check(
            (lib.rnn_effects if through else lib.rnn_uses)(
                E,
                user._number,
                n.span._number,
                n.offset,
                room,
                ffi.from_buffer("int64_t[]", nodes),
                ffi.from_buffer("double[]", locals_),
                ffi.from_buffer("uint8_t[]", flows),
            )
        )
        if count > room:
            count, room = -1, count
    return nodes[:count], locals_[:count], flows[:count].astype(bool)


def subscript(text: str, index: tuple[int, ...]) -> str:
    """'w' and (0, 1) as 'w[0, 1]'; 'loss' and () as 'loss'."""
    return f"{text}[{', '.join(map(str, index))}]" if index else text

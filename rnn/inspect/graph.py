"""The graph as public data: spans in tape order, nodes by id, selections, columns, exports."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, overload
from weakref import WeakValueDictionary

import numpy as np

from rnn._c import E, Handle, ValueBase, adopt, check, fail, ffi, lib, ref_of
from rnn.inspect.export import MOST, columns, edges, read, to_json, to_networkx
from rnn.inspect.names import Names, find_names
from rnn.inspect.node import Node
from rnn.inspect.span import Span, position
from rnn.inspect.tables import Table

#: a bit of Graph._flags
LEAF: int = lib.RNN_C_LEAF
#: spans of one node that are looked at together
_STRETCH = 1 << 20


def graph(*roots: Any, names: Mapping[str, Any] | None = None, modules: Any = None) -> Graph:
    """The recorded graph behind some results: every span and every node of it, as data.

    Args:
        roots: float Tensors and Values.
        names: {"x": x}: what nodes are called; by default the caller's variables are looked at.
        modules: a Module, or a dict of them, whose Parameters name their nodes by their paths; by
            default those among the caller's variables.

    Raises:
        TypeError: a root is no Tensor or Value, or an integer one.

    Example:
        >>> w = rnn.tensor([1.0, 2.0], requires_grad=True)
        >>> g = rnn.inspect.graph((w * w).sum())
        >>> len(g), g.nodes, [span.op for span in g.spans]
        (3, 5, ['leaf', 'mul', 'sum'])
    """
    return Graph([handle(x) for x in roots], find_names(names, modules, sys._getframe(1)))


def node(x: Any, *index: int, names: Mapping[str, Any] | None = None, modules: Any = None) -> Node:
    """One scalar: an element of a Tensor by its index, or a Value.

    Args:
        x: a float Tensor, a Value or a Node.
        index: an int per dimension; none for a Value and for a one-element Tensor.
        names, modules: as for `graph`.

    Raises:
        TypeError: x is none of these, or an integer tensor.
        IndexError: there is no such element.

    Example:
        >>> a, b = rnn.Value(2.0), rnn.Value(-3.0)
        >>> c = a * b
        >>> [(edge.node.value, edge.local) for edge in rnn.inspect.node(c).operands]
        [(2.0, -3.0), (-3.0, 2.0)]
    """
    if isinstance(x, Node) and not index:
        return x
    found = find_names(names, modules, sys._getframe(1))
    return node_of(x, index, Living(found))


def node_of(x: Any, index: tuple[int, ...], source: Any) -> Node:
    """The node of an element, seen from a source."""
    if isinstance(x, Node):
        return Node(source._span(x.span._number), x.offset)
    t = handle(x)
    shape = t._shape
    if not index and all(size == 1 for size in shape):
        index = (0,) * len(shape)
    position(index, shape)
    at = lib.rnn_offset(t._h) + sum(
        i % size * stride for i, size, stride in zip(index, shape, t._strides)
    )
    return Node(source._span(lib.rnn_span_of(t._h)), at)


def handle(x: Any) -> Any:
    """A Tensor with nodes for a Tensor, a Value or a Node.

    Raises:
        TypeError: it is none of these, or an integer tensor.
    """
    if isinstance(x, ValueBase):
        return adopt(ref_of(x))
    if isinstance(x, Node):
        return handle(x.as_value)
    if not isinstance(x, Handle):
        raise TypeError(f"expected a Tensor, a Value or a Node, but got {type(x).__name__}")
    if not x._h:
        raise TypeError(f"the elements of a {x.dtype} tensor are not nodes: it has no graph")
    return x


def spans_of(held: Any) -> Any:
    """The engine's numbers of a list of spans: its own memory, to be read while the list lives."""
    size = lib.rnn_graph_count(held) * np.dtype(np.uint32).itemsize
    numbers = np.frombuffer(ffi.buffer(lib.rnn_graph_spans(held), size), np.uint32)
    numbers.flags.writeable = False
    return numbers


class Living:
    """The source of a node that was looked at alone: its users are sought in all that lives."""

    def __init__(self, names: Names) -> None:
        self.names = names

    def _span(self, number: int) -> Span:
        return Span(number, self)

    def _users_of(self, span: Span) -> list[Span]:
        held = lib.rnn_graph_users(E, span._number)
        if held == ffi.NULL:
            fail(lib.rnn_failure())
        try:
            users = [Span(int(n), self) for n in spans_of(held)]
        finally:
            _free(held)
        return sorted(users, key=lambda s: s.id)


class Spans(Sequence[Span]):
    """The spans of a graph in tape order; each is made when it is asked for."""

    def __init__(self, g: Graph) -> None:
        self._graph = g

    def __len__(self) -> int:
        return len(self._graph._numbers)

    @overload
    def __getitem__(self, i: int) -> Span: ...
    @overload
    def __getitem__(self, i: slice) -> list[Span]: ...
    def __getitem__(self, i: int | slice) -> Span | list[Span]:
        if isinstance(i, slice):
            return [self._graph._span(int(n)) for n in self._graph._numbers[i]]
        return self._graph._span(int(self._graph._numbers[i]))

    def __iter__(self) -> Iterator[Span]:
        return (self._graph._span(int(n)) for n in self._graph._numbers)

    def __contains__(self, span: object) -> bool:
        if not isinstance(span, Span):
            return False
        i = self._graph._find(span.id)
        return i >= 0 and int(self._graph._numbers[i]) == span._number

    def __repr__(self) -> str:
        return f"[{len(self)} spans]"


class Graph:
    """The spans and nodes behind some results. It holds what it shows: ids stay valid while it
    lives, whatever becomes of the tensors.

    Attributes:
        spans: in tape order (an operand before its users); len(graph) of them.
        nodes: how many scalars there are.
        roots: the nodes' tensors that it was asked for.
        names: what spans are called.

    Example:
        >>> x = rnn.tensor([1.0, 2.0], requires_grad=True)
        >>> graph = rnn.inspect.graph((x * x).sum())
        >>> [(span.op, span.count) for span in graph.spans], graph.nodes
        ([('leaf', 2), ('mul', 2), ('sum', 1)], 5)
    """

    def __init__(self, roots: Sequence[Any], names: Names) -> None:
        if not roots:
            raise TypeError("graph() takes at least one Tensor or Value")
        self.roots = tuple(roots)
        self.names = names
        held = lib.rnn_graph_new(E, len(roots), [t._h for t in roots])
        if held == ffi.NULL:
            fail(lib.rnn_failure())
        self._held = ffi.gc(held, _free)
        self._numbers = spans_of(self._held)  # of all spans, in tape order
        self.nodes = int(lib.rnn_graph_nodes(self._held))
        self._known: WeakValueDictionary[int, Span] = WeakValueDictionary()

    # Columns over all spans are read when they are asked for: a graph may have ten million.

    @cached_property
    def _first(self) -> Any:
        return self._column("first", np.int64)

    @cached_property
    def _count(self) -> Any:
        return self._column("nodes", np.int64)

    @cached_property
    def _op(self) -> Any:
        return self._column("op", np.uint8)

    @cached_property
    def _flags(self) -> Any:
        return self._column("flags", np.uint8)

    def _column(self, which: str, dtype: Any) -> Any:
        column = np.empty(len(self), dtype)
        room = dict.fromkeys(("first", "nodes", "op", "flags"), ffi.NULL)
        room[which] = ffi.from_buffer("int64_t[]" if dtype is np.int64 else "uint8_t[]", column)
        lib.rnn_graph_columns(E, self._held, *room.values())
        return column

    @cached_property
    def _users(self) -> tuple[Any, Any]:
        """(begin, users): the spans made from the i-th are users[begin[i]:begin[i + 1]]."""
        begin, users = np.empty(len(self) + 1, np.int64), np.empty(0, np.uint32)
        room = 3 * len(self)
        while room > len(users):
            users = np.empty(room, np.uint32)
            of_all = ffi.from_buffer("int64_t[]", begin), ffi.from_buffer("uint32_t[]", users)
            check(lib.rnn_graph_users_of_all(E, self._held, room, *of_all))
            room = int(begin[-1])
        return begin, users

    # ---- spans and nodes -------------------------------------------------------------------------

    @property
    def spans(self) -> Sequence[Span]:
        return Spans(self)

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[Span]:
        return iter(self.spans)

    def _span(self, number: int) -> Span:
        span = self._known.get(number)
        if span is None:
            span = self._known[number] = Span(number, self)
        return span

    def node(self, x: Any, *index: int) -> Node:
        """A node by its id, or of an element of a Tensor, or of a Value.

        Raises:
            KeyError: it is not in this graph.

        Example:
            >>> a = rnn.Value(2.0)
            >>> graph = rnn.inspect.graph(a * 3)
            >>> graph.node(a).value
            2.0
        """
        if not isinstance(x, (int, np.integer)):
            found = node_of(x, index, self)
            self._place(found.span._number, found.span.id)
            return found
        i = self._find(int(x))
        span = self._span(int(self._numbers[i])) if i >= 0 else None
        if span is None or not span.count:
            raise KeyError(f"node {x} is not in this graph")
        return Node(span, int(x) - span.id)

    def _find(self, node: int) -> int:
        """Where in tape order the span of a node is, by the node's id; -1: in no span."""
        return int(lib.rnn_graph_find(E, self._held, node)) if abs(node) < 1 << 63 else -1

    def _place(self, number: int, first: int) -> int:
        i = self._find(first)
        if i < 0 or self._numbers[i] != number:
            raise KeyError(f"span {first} is not in this graph")
        return i

    def _refuse_freed(self, what: str) -> None:
        """For a scalar that is not in the graph, where backward() may have cut it off.

        Raises:
            RuntimeError: a part of the graph was freed.
        """
        freed = np.flatnonzero(self._flags & lib.RNN_C_FREED)
        if len(freed):
            span = self.spans[int(freed[0])]
            place = f" ({span.place})" if span.place else ""
            raise RuntimeError(
                f"{what} is not in what is left of the graph: a part of it, behind {span.op}"
                f"{place}, was freed by a backward() of something else; call that one with "
                "retain_graph=True to keep it"
            )

    def users(self, n: Node) -> list[Node]:
        """The nodes of this graph that were made from a node.

        Example:
            >>> a = rnn.Value(2.0)
            >>> graph = rnn.inspect.graph(a * 3)
            >>> [user.op for user in graph.users(a)]
            ['mul_scalar']
        """
        return [edge.node for edge in self.node(n).users]

    def _users_of(self, span: Span) -> list[Span]:
        i = self._find(span.id)
        if i < 0 or self._numbers[i] != span._number:
            return []
        begin, users = self._users
        return [self._span(int(n)) for n in users[begin[i] : begin[i + 1]]]

    def __contains__(self, n: object) -> bool:
        if not isinstance(n, Node):
            return False
        try:
            self.node(n.id)
        except KeyError:
            return False
        return True

    # ---- selecting -------------------------------------------------------------------------------

    def where(
        self,
        *,
        op: str | None = None,
        module: str | None = None,
        name: str | None = None,
        value: Callable[[Any], Any] | float | None = None,
        grad: Callable[[Any], Any] | float | None = None,
    ) -> Iterator[Node]:
        """The nodes that fulfil all conditions, in tape order, one at a time.

        Args:
            op: the operation's name, "relu".
            module: the path of a module within the outermost one that was called; what lies in it
                counts. Where several modules are among the variables, "a.lin" has a's Parameters.
            name: the name of a tensor, as "h.0.attn.c_attn.weight"; of one node, as "w[0, 1]".
            value: a condition on values, one by one: takes a NumPy array, gives booleans, as
                numpy.isnan does; or a number that they equal.
            grad: the same on gradients; nodes without a gradient do not fulfil it.

        Example:
            >>> x = rnn.tensor([-1.0, 2.0], requires_grad=True)
            >>> g = rnn.inspect.graph(x.relu().sum())
            >>> [n.index for n in g.where(op="relu", value=lambda v: v == 0)]
            [(0,)]
        """
        for i, j in self._stretches(self._chosen(op, module, name)):
            if j - i > 1:  # many spans of one node
                yield from self._single_where(i, j, op, module, name, value, grad)
                continue
            span = self.spans[i]
            if not self._fits(span, op, module, name):
                continue
            chosen = np.ones(span.count, bool)
            if value is not None:
                chosen &= _mask(value, span.values())
            if grad is not None:
                grads = span.grads()
                chosen &= False if grads is None else _mask(grad, grads)
            for offset in np.flatnonzero(chosen):
                found = Node(span, int(offset))
                if name is None or name in (span.name, found.name):
                    yield found

    def _chosen(self, op: str | None, module: str | None, name: str | None) -> Any:
        """The places of the spans that may fulfil what is asked of spans."""
        chosen = np.ones(len(self), bool)
        if op is not None:
            custom = lib.rnn_op_find(b"custom")
            chosen &= (self._op == lib.rnn_op_find(op.encode())) | (self._op == custom)
        if name is not None:
            firsts = [first for first, x in self.names.items() if _may_be(name, x.text)]
            chosen &= np.isin(self._first, firsts)
        return chosen

    def _stretches(self, chosen: Any) -> Iterator[tuple[int, int]]:
        """[i, j): a chosen span, or many spans of one node with a chosen one among them."""
        single = self._count == 1
        bounds = np.flatnonzero(~single[1:] | ~single[:-1]) + 1
        for i, end in zip([0, *bounds.tolist()], [*bounds.tolist(), len(self)]):
            for at in range(i, end, _STRETCH):
                stop = min(at + _STRETCH, end)
                if chosen[at:stop].any():
                    yield at, stop

    def _single_where(
        self, i: int, j: int, op: Any, module: Any, name: Any, value: Any, grad: Any
    ) -> Iterator[Node]:
        values, grads, has = read(self._numbers[i:j], j - i)
        chosen = self._chosen(op, module, name)[i:j]
        if value is not None:
            chosen &= _mask(value, values)
        if grad is not None:
            chosen &= has & _mask(grad, grads)
        for at in np.flatnonzero(chosen):
            span = self.spans[i + int(at)]
            if self._fits(span, op, module, name):
                yield Node(span, 0)

    def _fits(self, span: Span, op: str | None, module: str | None, name: str | None) -> bool:
        if op is not None and span.op != op:
            return False
        if module is not None and not _within(span.module, module):
            owner = (span.name or "").rpartition(".")[0]
            if not _within(owner, module):
                return False
        return name is None or (span.name is not None and _may_be(name, span.name))

    # ---- for other programs ----------------------------------------------------------------------

    def columns(self) -> dict[str, Any]:
        """All nodes as NumPy columns: id, op, value, grad (nan where there is none), span (its
        id), offset (in the span), requires_grad; and its span's name, module and line (strings,
        None where there is none).

        Example:
            >>> x = rnn.tensor([1.0, 2.0], requires_grad=True)
            >>> columns = rnn.inspect.graph((x * x).sum()).columns()
            >>> sorted(columns)[:4]
            ['grad', 'id', 'line', 'module']
        """
        return columns(self)

    def edges(self, limit: int = MOST) -> dict[str, Any]:
        """All edges as NumPy columns: user and operand (ids), local (d user / d operand), flows.

        Raises:
            ValueError: there are more than `limit`.
            RuntimeError: backward() has freed the graph.
        """
        return edges(self, limit)

    def to_json(self, limit: int = 1_000_000) -> str:
        """{"nodes": [...], "edges": [...]} as valid JSON: nan and infinities are strings.

        Raises:
            ValueError: there are more than `limit` nodes or edges.

        Example:
            >>> x = rnn.tensor([1.0, 2.0], requires_grad=True)
            >>> import json
            >>> sorted(json.loads(rnn.inspect.graph((x * x).sum()).to_json()))
            ['edges', 'nodes']
        """
        return to_json(self, limit)

    def to_networkx(self, limit: int = 1_000_000) -> Any:
        """A networkx.MultiDiGraph from operands to users: nodes by id, with what to_json has as
        attributes; edges with local and flows. x * x has two edges.

        Raises:
            ImportError: NetworkX is not installed.
            ValueError: there are more than `limit` nodes or edges.
        """
        return to_networkx(self, limit)

    # ---- for people ------------------------------------------------------------------------------

    def table(self, limit: int = 60) -> Table:
        """A span a line, in tape order; of many the first and the last."""
        title = f"{len(self):,} spans, {self.nodes:,} nodes"
        out = Table(title, ("id", "operation", "shape", "name", "made in", "nodes"), left=range(5))
        half = limit // 2
        short = len(self) <= limit
        for span in self.spans if short else self.spans[:half]:
            out.add(*_row(span))
        if not short:
            out.add(f"... {len(self) - 2 * half:,} more", "", "", "", "", "")
            for span in self.spans[-half:]:
                out.add(*_row(span))
        return out

    def __str__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()

    def __repr__(self) -> str:
        return f"<Graph of {len(self):,} spans and {self.nodes:,} nodes>"


def _row(span: Span) -> tuple[str, ...]:
    place = span.place
    return str(span.id), span.op, str(list(span.shape)), span.name or "", place, f"{span.count:,}"


def _free(held: Any, free: Any = lib.rnn_graph_free, engine: Any = E) -> None:
    """Without the module's names, which are gone at the interpreter's end."""
    free(engine, held)


def _mask(condition: Callable[[Any], Any] | float, values: Any) -> Any:
    if not callable(condition):
        return (values == condition).ravel()
    return np.broadcast_to(np.asarray(condition(values), bool), values.shape).ravel()


def _within(path: str | None, module: str) -> bool:
    return path is not None and (path == module or path.startswith(module + "."))


def _may_be(name: str, text: str) -> bool:
    return name == text or name.startswith(text + "[")

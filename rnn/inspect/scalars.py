"""The scalars of a drawing: all of a small graph, with every edge; of a large one those that matter
most: the largest gradients of each span, and what is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rnn._c import E, check, ffi, lib
from rnn.inspect.custom import find_all
from rnn.inspect.graph import Graph
from rnn.inspect.node import CUSTOM, Node, listed_edges, uses
from rnn.inspect.rows import Array, Row
from rnn.inspect.span import Operand, Span

#: scalars whose values and gradients a scene holds in full
NODES = 50_000
#: scalar edges that a scene holds in full
EDGES = 100_000
#: scalars of a large span that a scene holds, and edges of one scalar
CHOSEN, CHOSEN_EDGES = 6, 24
#: stretches in which the largest gradients of a span are sought
STRETCHES = 4096


@dataclass
class Chosen:
    """A scalar of a graph that is not held in full, with its edges and its uses."""

    id: int
    row: int
    value: float
    grad: float | None
    operands: list[tuple[int, float, bool]]  # id, local, whether gradient flows
    uses: list[tuple[int, float, float | None]] | None  # id, local, gradient of the user
    operand_count: int
    use_count: int


@dataclass
class Edges:
    """Every scalar edge of a graph held in full: indices into the scene's arrays."""

    user: Array
    operand: Array
    local: Array
    flows: Array


def numbers(rows: Sequence[Row]) -> tuple[Array, Array]:
    """Values and gradients of the smallest spans, as many as NODES allows, one after another."""
    values: list[Array] = []
    grads: list[Array] = []
    total = 0
    for row in sorted(rows, key=lambda row: row.count):
        if row.span is None or total + row.count > NODES:
            continue
        row.dense = total
        total += row.count
        values.append(row.span.values().ravel().astype(np.float64))
        found = row.span.grads()
        grads.append(
            np.full(row.count, np.nan) if found is None else found.ravel().astype(np.float64)
        )
    if not values:
        return np.empty(0), np.empty(0)
    return np.concatenate(values), np.concatenate(grads)


def all_edges(rows: Sequence[Row]) -> Edges | None:
    """Every scalar edge, or None where there are too many."""
    if any(row.dense < 0 for row in rows):
        return None
    expected = 0
    for row in rows:
        if row.span is not None and not row.leaf and row.count:
            expected += row.count * len(row.span.node(row.count // 2).operands)
            if _running(row.span):
                expected += row.count * sum(o.span.count for o in _different(row.span))
    if expected > EDGES:
        return None
    for row in rows:
        if row.span is not None and not row.leaf and row.span._info.op == CUSTOM:
            find_all(row.span)
    at = {row.id: row.dense for row in rows}
    found: list[tuple[int, int, float, bool]] = []
    for row in rows:
        if row.leaf or row.span is None:
            continue
        if _running(row.span):
            found += _effects(row, at)
            continue
        for k in range(row.count):
            for edge in Node(row.span, k).operands:
                operand = at[edge.node.span.id] + edge.node.offset
                found.append((row.dense + k, operand, edge.local, edge.flows))
        if len(found) > EDGES:
            return None
    user, operands, local, flows = zip(*found) if found else ((), (), (), ())
    return Edges(
        np.array(user, np.uint32),
        np.array(operands, np.uint32),
        np.array(local, np.float64),
        np.array(flows, np.uint8),
    )


def _running(span: Span) -> bool:
    """Whether it is made from itself step by step, and its gradients are those of the whole."""
    return bool(lib.rnn_is_running(E, span._number))


def _different(span: Span) -> list[Operand]:
    return list({operand.span.id: operand for operand in span.operands}.values())


def _effects(row: Row, at: dict[int, int]) -> list[tuple[int, int, float, bool]]:
    """The edges of a running span (a cumsum, an RNN's states), with whole derivatives: from each
    operand to all nodes that depend on it."""
    assert row.span is not None
    found = []
    for operand in _different(row.span):
        for k in range(operand.span.count):
            nodes, local, flows = uses(row.span, Node(operand.span, k), through=True)
            here = at[operand.span.id] + k
            edges = zip(nodes.tolist(), local.tolist(), flows.tolist())
            found += [(row.dense + node, here, d, flow) for node, d, flow in edges]
    return sorted(found, key=lambda edge: edge[0])


def choose(graph: Graph, rows: Sequence[Row], focus: Iterable[Node]) -> dict[int, Chosen]:
    """The scalars of a large graph that a scene holds with their edges, by id."""
    row_of = {row.id: i for i, row in enumerate(rows) if row.span is not None}
    look = _Reader(row_of)
    nodes: dict[int, Node] = {}
    for node in (*focus, *_largest(rows, look)):
        if node.span.id in row_of:
            nodes.setdefault(node.id, node)
    if any(row.spans > 1 for row in rows):
        look.known = ledgers(graph, list(nodes.values()))
    return {node.id: look.at(node) for node in nodes.values()}


#: some uses: ids, local derivatives, gradients of the users; and how many there are
Uses = tuple[Array, Array, Array, int]


def ledgers(graph: Graph, nodes: Sequence[Node]) -> dict[int, Uses]:
    """The uses of some nodes that add most to their gradients, by the nodes' ids: found by the
    engine in one pass over the tape; of nodes that Functions use, here. Nodes whose uses are not
    known are left out."""
    count = len(nodes)
    best, total = ffi.new("rnn_use[]", count * CHOSEN_EDGES + 1), ffi.new("int64_t[]", count + 1)
    spans = [node.span._number for node in nodes]
    offsets = [node.offset for node in nodes]
    check(lib.rnn_graph_ledgers(E, graph._held, count, spans, offsets, CHOSEN_EDGES, best, total))
    kind = np.dtype([("user", np.int64), ("local", np.float64), ("grad", np.float64)])
    every = np.frombuffer(ffi.buffer(best), kind)
    found: dict[int, Uses] = {}
    for t, node in enumerate(nodes):
        if total[t] >= 0:
            at = t * CHOSEN_EDGES
            some = every[at : at + min(int(total[t]), CHOSEN_EDGES)]
            found[node.id] = some["user"], some["local"], some["grad"], int(total[t])
            continue
        here = Node(graph._span(node.span._number), node.offset)
        known = _used(here.span.users, here, _flat_grads)
        if known is not None:
            found[node.id] = known
    return found


def _flat_grads(span: Span) -> Array | None:
    grads = span.grads()
    return None if grads is None else grads.ravel()


#: nodes around what is in focus: of those made from it, and in all
USERS, AROUND = 40, 120


def around(graph: Graph, focus: Sequence[Node]) -> list[Node]:
    """What one sees around scalars of a graph of very many spans: the uses that add most to their
    gradients, those of these, and what all of them were made from, the nearest first."""
    found = {node.id: node for node in focus}
    level = list(found.values())
    for _ in range(2):
        known = ledgers(graph, level) if level else {}
        ids = [int(user) for node in level if node.id in known for user in known[node.id][0]]
        level = [graph.node(i) for i in dict.fromkeys(ids) if i not in found][: USERS // 2]
        found.update({node.id: node for node in level})
    queue = [node.span for node in found.values()]
    seen = {span.id for span in queue}
    for span in queue:
        for operand in () if span.freed else span.operands:
            if operand.span.id not in seen and len(found) < AROUND:
                seen.add(operand.span.id)
                queue.append(operand.span)
                found[operand.span.id] = Node(operand.span, 0)
    return list(found.values())


def _largest(rows: Sequence[Row], look: _Reader) -> Iterable[Node]:
    """The scalars with the largest gradients of every span."""
    for row in rows:
        if row.span is None or not row.count:
            continue
        grads = look.grads(row.span)
        if grads is None:
            yield Node(row.span, 0)
            continue
        for offset in peaks(grads, CHOSEN):
            yield Node(row.span, offset)


def peaks(x: Array, count: int) -> list[int]:
    """Where the largest magnitudes are (NaN counts as the largest), largest first; in a long array,
    the largest of the `count` stretches that have the largest ones."""
    length = max(1, x.size // STRETCHES)
    starts = np.arange(0, x.size, length)
    low, high = np.minimum.reduceat(x, starts), np.maximum.reduceat(x, starts)
    size = np.maximum(-low, high)
    size[np.isnan(size)] = np.inf
    found = []
    for k in np.argsort(-size, kind="stable")[:count]:
        part = np.abs(x[starts[k] : starts[k] + length])
        found.append(int(starts[k] + np.argmax(part)))  # argmax finds NaN first
    return found


class _Reader:
    """Reads scalars and their edges, each span's memory once."""

    def __init__(self, row_of: dict[int, int]) -> None:
        self.row_of = row_of
        self.known: dict[int, Uses] | None = None  # where they were sought for all nodes at once
        self._grads: dict[int, Array | None] = {}

    def grads(self, span: Span) -> Array | None:
        if span.id not in self._grads:
            found = span.grads()
            self._grads[span.id] = None if found is None else found.ravel()
        return self._grads[span.id]

    def at(self, node: Node) -> Chosen:
        """A scalar with the largest of its edges and of its uses."""
        made_from, local, flows = self._edges(node)
        kept = np.arange(len(made_from))
        if len(kept) > CHOSEN_EDGES:
            kept = np.sort(np.argsort(-np.abs(local), kind="stable")[:CHOSEN_EDGES])
        known = self._uses(node) if self.known is None else self.known.get(node.id)
        none = np.empty(0)
        ids, locals_, grads, total = (none, none, none, 0) if known is None else known
        return Chosen(
            node.id,
            self.row_of[node.span.id],
            node.value,
            node.grad,
            [(int(made_from[k]), float(local[k]), bool(flows[k])) for k in kept],
            None
            if known is None
            else [(int(u), float(d), _known(g)) for u, d, g in zip(ids, locals_, grads)],
            len(made_from),
            total,
        )

    def _edges(self, node: Node) -> tuple[Array, Array, Array]:
        """(ids, local derivatives, whether a gradient flows) of a scalar's operands."""
        if node.span._info.op == CUSTOM:
            try:
                made = node.operands
            except RuntimeError:
                made = ()
            ids = np.array([edge.node.id for edge in made], np.int64)
            return ids, np.array([e.local for e in made]), np.array([e.flows for e in made], bool)
        spans, nodes, local, flows = listed_edges(node)
        numbers, which = np.unique(spans, return_inverse=True)
        first = [node.span._source._span(int(n)).id for n in numbers]
        return nodes + np.array(first, np.int64)[which], local, flows

    def _uses(self, node: Node) -> Uses | None:
        return _used([user for user in node.span.users if user.id in self.row_of], node, self.grads)


def _used(users: Iterable[Span], node: Node, read: Callable[[Span], Array | None]) -> Uses | None:
    """The uses that a gradient flows back from: those that add most, and how many there are; None
    where they are not known.

    Args:
        read: a span's gradients, flat.
    """
    ids: list[Array] = [np.empty(0, np.int64)]
    locals_: list[Array] = [np.empty(0)]
    grads: list[Array] = [np.empty(0)]
    for user in users:
        if user == node.span and lib.rnn_is_running(E, user._number):
            continue  # its gradients are those of the whole
        try:
            nodes, local, flows = uses(user, node, through=True)
        except RuntimeError:  # a Function whose derivatives cannot be found one by one
            return None
        flowing = flows.astype(bool)
        nodes, local = nodes[flowing], local[flowing]
        found = read(user)
        ids.append(user.id + nodes)
        locals_.append(local)
        grads.append(np.full(len(nodes), np.nan) if found is None else found[nodes])
    every = np.concatenate(ids), np.concatenate(locals_), np.concatenate(grads)
    gains = np.abs(every[1] * np.where(np.isnan(every[2]), 0.0, every[2]))
    top = np.argsort(-np.where(np.isnan(gains), np.inf, gains), kind="stable")[:CHOSEN_EDGES]
    return every[0][top], every[1][top], every[2][top], len(gains)


def _known(x: float) -> float | None:
    return None if x != x else float(x)

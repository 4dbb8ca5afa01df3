"""The scalars of a drawing: all of a small graph, with every edge; of a large one those that matter
most: the largest gradients of each span, and what is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rnn._c import E, check, ffi, lib
from rnn.inspect.node import CUSTOM, Node, uses
from rnn.inspect.rows import Array, Row
from rnn.inspect.span import Span

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
    if expected > EDGES:
        return None
    at = {row.id: row.dense for row in rows}
    found: list[tuple[int, int, float, bool]] = []
    for row in rows:
        if row.leaf or row.span is None:
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


def choose(rows: Sequence[Row], focus: Iterable[Node]) -> dict[int, Chosen]:
    """The scalars of a large graph that a scene holds with their edges, by id."""
    row_of = {row.id: i for i, row in enumerate(rows)}
    look = _Reader(row_of)
    chosen: dict[int, Chosen] = {}
    for node in (*focus, *_largest(rows, look)):
        if node.id not in chosen and node.span.id in row_of:
            chosen[node.id] = look.at(node)
    return chosen


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
        known = self._uses(node)
        none = np.empty(0)
        ids, locals_, grads = (none, none, none) if known is None else known
        gains = np.abs(locals_ * np.where(np.isnan(grads), 0.0, grads))
        top = np.argsort(-np.where(np.isnan(gains), np.inf, gains), kind="stable")[:CHOSEN_EDGES]
        return Chosen(
            node.id,
            self.row_of[node.span.id],
            node.value,
            node.grad,
            [(int(made_from[k]), float(local[k]), bool(flows[k])) for k in kept],
            None
            if known is None
            else [(int(ids[i]), float(locals_[i]), _known(grads[i])) for i in top],
            len(made_from),
            len(ids),
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
        count, room = -1, 64
        while count < 0:
            spans, nodes = np.empty(room, np.uint32), np.empty(room, np.int64)
            local, flows = np.empty(room), np.empty(room, np.uint8)
            count = check(
                lib.rnn_edges(
                    E,
                    node.span._number,
                    node.offset,
                    room,
                    ffi.from_buffer("uint32_t[]", spans),
                    ffi.from_buffer("int64_t[]", nodes),
                    ffi.from_buffer("double[]", local),
                    ffi.from_buffer("uint8_t[]", flows),
                )
            )
            if count > room:
                count, room = -1, count
        numbers, which = np.unique(spans[:count], return_inverse=True)
        first = [node.span._source._span(int(n)).id for n in numbers]
        ids = nodes[:count] + np.array(first, np.int64)[which]
        return ids, local[:count], flows[:count]

    def _uses(self, node: Node) -> tuple[Array, Array, Array] | None:
        """(ids, local derivatives, the users' gradients) of all uses that a gradient flows back
        from; None where they are not known."""
        ids: list[Array] = [np.empty(0, np.int64)]
        locals_: list[Array] = [np.empty(0)]
        grads: list[Array] = [np.empty(0)]
        for user in node.span.users:
            if user.id not in self.row_of:
                continue
            try:
                nodes, local, flows = uses(user, node)
            except RuntimeError:  # a Function whose derivatives are not known one by one
                return None
            flowing = flows.astype(bool)
            nodes, local = nodes[flowing], local[flowing]
            found = self.grads(user)
            ids.append(user.id + nodes)
            locals_.append(local)
            grads.append(np.full(len(nodes), np.nan) if found is None else found[nodes])
        return np.concatenate(ids), np.concatenate(locals_), np.concatenate(grads)


def _known(x: float) -> float | None:
    return None if x != x else float(x)

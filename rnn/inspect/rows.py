"""Rows of a drawing: spans, or runs of them where there are very many, each with a summary."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnn._c import E, check, ffi, lib
from rnn.inspect import words
from rnn.inspect.graph import Graph
from rnn.inspect.node import Node, subscript
from rnn.inspect.span import Operand, Span
from rnn.nn.scopes import Scope, scope

Array = np.ndarray[Any, Any]

LEAF_OP: int = lib.rnn_op_find(b"leaf")
#: spans that have a row each; more are drawn in runs
ROWS = 4_000
#: changes from one module's call to another's that are looked at
CALLS = 100_000
#: buckets of the small pictures of a tensor's values and gradients
BUCKETS: int = lib.RNN_STRIP


@dataclass
class Row:
    """One box of the finest folding: a span, or a run of spans where there are very many."""

    id: int  # the first node's
    count: int
    op: str
    shape: tuple[int, ...]
    dtype: str = "float64"
    leaf: bool = False
    requires_grad: bool = True
    name: str | None = None
    module: str | None = None
    scope: Scope | None = None  # the call of a module in which it was made
    line: str | None = None
    torch: str | None = None
    parameters: tuple[float, ...] = ()
    spans: int = 1
    span: Span | None = None
    largest_value: float = 0.0
    largest_grad: float | None = None
    value_strip: list[float] = field(default_factory=list)
    grad_strip: list[float] | None = None
    dense: int = -1  # where its scalars begin in the scene's arrays
    title: str = ""  # its name, a short expression, or its number
    short: str = ""  # the title within its module
    note: str = ""  # its shape, or how it was made
    caption: str = ""  # of a run: the operations in it
    last: int = -1  # of a run: its last node's id,
    leaves: int = 0  # how many of its spans are leaves,
    freed: bool = False  # and whether backward() has freed any
    glyph: str = ""  # what stands in its bubble: a sign, or the operation

    @property
    def scalar(self) -> bool:
        return self.count == 1 and self.spans == 1


def row_of(span: Span) -> Row:
    row = Row(
        span.id,
        span.count,
        span.op,
        span.shape,
        str(span.dtype).removeprefix("rnn.").removeprefix("torch."),
        span.is_leaf,
        span.requires_grad,
        span.name,
        span.module,
        line=span.line,
        torch=span.torch_name if not span.is_leaf else None,
        parameters=span.parameters,
        scope=scope(int(span._info.scope)),
        span=span,
    )
    values, grads = span.values().ravel(), span.grads()
    row.largest_value = _largest(values)
    row.value_strip = histogram(values) if row.count > 1 else []
    if grads is not None:
        row.largest_grad = _largest(grads.ravel())
        row.grad_strip = strip(grads.ravel()) if row.count > 1 else []
    return row


def entitle(rows: Sequence[Row], links: Iterable[tuple[int, int]]) -> None:
    """What is written in the boxes."""
    operands: dict[int, list[int]] = {}
    for a, b in links:
        operands.setdefault(b, []).append(a)
    number = {row.id: i for i, row in enumerate(rows) if row.spans == 1}
    made = [""] * len(rows)
    for i, row in enumerate(rows):
        if row.leaf or row.spans > 1:
            pass
        elif row.span is None:  # a scalar within an operation
            of = [rows[a].name or made[a] for a in operands.get(i, [])]
            made[i] = words.expression(row.op, row.parameters, of)
        elif i in operands:
            read = [(number.get(o.span.id), o) for o in row.span.operands]
            of = ["" if a is None else _written(rows[a], made[a], o) for a, o in read]
            made[i] = words.expression(row.op, row.parameters, of)
        row.title = row.name or made[i] or f"#{row.id}"
        row.short = row.title
        if row.module:
            before, found, own = row.title.rpartition(row.module + ".")
            row.short = own if found and before[-1:] in ("", ".") else row.short
        row.glyph = "" if row.leaf else words.glyph(row.op, row.parameters)
        if row.scalar:
            row.note = made[i] if row.name and len(made[i]) <= 13 else ""
        elif row.spans > 1:
            row.title = row.short = f"from #{row.id}"
            ops, leaves = row.spans - row.leaves, row.leaves
            kinds = ((ops, "operation", "operations"), (leaves, "leaf", "leaves"))
            parts = [f"{words.count(n)} {one if n == 1 else more}" for n, one, more in kinds if n]
            row.note = ", ".join(parts)
            row.glyph = row.glyph if ops else ""
        else:
            row.note = words.shape(row.shape)


def _written(row: Row, made: str, operand: Operand) -> str:
    """An operand as a reader writes it: "x", its transpose "x\u1d40", its element "x[0, 1]"; "" of
    another view, which is more than a few letters.
    """
    text, shape = row.name or made, row.shape
    steps = [math.prod(shape[d + 1 :]) for d in range(len(shape))]
    own = [(n, step) for n, step in zip(shape, steps) if n != 1]
    read = [(n, step) for n, step in zip(operand.shape, operand.strides) if n != 1 and step]
    flat = [(row.count, 1)] if row.count != 1 else []
    if operand.offset == 0 and read in (own, flat):  # broadcast, too
        return text
    if not text or " " in text:
        return ""
    if operand.offset == 0 and len(own) == 2 and read == own[::-1]:
        return text + "\u1d40"
    return "" if read else subscript(text, Node(operand.span, operand.offset).index)


def _largest(x: Array) -> float:
    """The largest finite magnitude; infinity or NaN where there is one, NaN first."""
    if not x.size:
        return 0.0
    return float(max(abs(float(x.min())), abs(float(x.max()))))


def strip(x: Array) -> list[float]:
    """The signed extreme of each of at most BUCKETS equal stretches of a tensor."""
    if x.size <= BUCKETS:
        return [float(v) for v in x]
    edges = np.linspace(0, x.size, BUCKETS + 1).astype(np.int64)[:-1]
    low, high = np.minimum.reduceat(x, edges), np.maximum.reduceat(x, edges)
    return [float(v) for v in np.where(-low > high, low, high)]


def histogram(x: Array) -> list[float]:
    """How many of a tensor's finite values lie in each of BUCKETS bins, the fullest bin being 1."""
    if x.size > 1_000_000:
        x = x[:: x.size // 500_000]
    x = x[np.isfinite(x)]
    if not x.size:
        return [0.0] * BUCKETS
    low, high = float(x.min()), float(x.max())
    if not high > low:
        return [1.0 if i == BUCKETS // 2 else 0.0 for i in range(BUCKETS)]
    scale = BUCKETS / (high - low)
    if not np.isfinite(scale):
        return [0.0] * BUCKETS
    bins = np.minimum(((x.astype(np.float64) - low) * scale).astype(np.int64), BUCKETS - 1)
    counts = np.bincount(bins, minlength=BUCKETS)
    return [round(float(c), 3) for c in counts / counts.max()]


def links_of(graph: Graph, rows: Sequence[Row]) -> list[tuple[int, int]]:
    number = {row.id: i for i, row in enumerate(rows)}
    links: list[tuple[int, int]] = []
    for user, row in enumerate(rows):
        assert row.span is not None
        if row.leaf or row.span.freed:
            continue
        for operand in row.span.operands:
            links.append((number[operand.span.id], user))
    return links


def runs_of_spans(graph: Graph, focus: Sequence[Node]) -> tuple[list[Row], list[tuple[int, int]]]:
    """Rows of a graph of very many spans: the last ones, the named ones and those in focus have a
    row each; the rest share rows in stretches of the tape, cut where modules are called as far as
    there are not too many calls. Summaries and links are found by the engine in one pass over the
    tape (csrc/summary.c)."""
    spans = len(graph)
    calls = _calls(graph)
    begin = np.array(sorted(_starts(graph, focus) | {place for place, _ in calls} | {0}))
    count, ends = len(begin), np.append(begin, spans)
    known, links = _fold(graph, ends)
    rows, at = [], -1
    for k in range(count):
        i, j = int(ends[k]), int(ends[k + 1])
        if j - i == 1:
            rows.append(row_of(graph.spans[i]))
            continue
        row = _run(known[0][k], known[1][k], j - i)
        while at + 1 < len(calls) and calls[at + 1][0] <= i:
            at += 1
        row.scope = calls[at][1] if at >= 0 else None
        row.module = row.scope.path or None if row.scope else None
        rows.append(row)
    return rows, links


def _starts(graph: Graph, focus: Sequence[Node]) -> set[int]:
    """Where rows begin: around spans that have one each, and at equal stretches of the tape."""
    spans = len(graph)
    asked = [n.span.id for n in focus]
    found = (graph._find(first) for first in [*asked, *graph.names])
    alone = list(dict.fromkeys(i for i in found if i >= 0))[: ROWS // 2]
    starts = {i for at in alone for i in (at, at + 1) if i < spans}
    starts.update(range(spans - ROWS // 8, spans))
    starts.update(range(0, spans, max(1, spans // (ROWS // 8))))
    return starts


def _calls(graph: Graph) -> list[tuple[int, Scope | None]]:
    """Where on the tape a module's call begins or ends, and the scope from there on: as deep as
    there are not more of them than rows can be cut at."""
    if scope(1) is None:  # no module was ever called
        return []
    place, number = np.empty(CALLS, np.int64), np.empty(CALLS, np.uint32)
    room = ffi.from_buffer("int64_t[]", place), ffi.from_buffer("uint32_t[]", number)
    count = lib.rnn_graph_scopes(E, graph._held, CALLS, *room)
    if not 0 < count <= CALLS:
        return []
    around: dict[int, list[Scope]] = {0: []}
    for n in np.unique(number[:count]).tolist():
        inner, chain = scope(n), []
        while inner is not None:
            chain.append(inner)
            inner = inner.outer
        around[n] = chain[::-1]
    for depth in range(max(map(len, around.values())), 0, -1):
        calls: list[tuple[int, Scope | None]] = []
        for i, n in zip(place[:count].tolist(), number[:count].tolist()):
            here = around[n][:depth][-1] if around[n] else None
            if not calls or calls[-1][1] is not here:
                calls.append((i, here))
        if len(calls) <= ROWS // 8:
            return calls
    return []


def _fold(graph: Graph, ends: Array) -> tuple[tuple[Any, Array], list[tuple[int, int]]]:
    """The engine's summaries of rows, how many spans of each operation they hold, their links."""
    count, ops = len(ends) - 1, lib.rnn_op_count()
    infos, of_op = ffi.new("rnn_row[]", count), np.empty((count, ops), np.int64)
    found, room = 0, 16 * ROWS
    while found == 0 or found > room:
        room = max(room, found)
        a, b = np.empty(room, np.int32), np.empty(room, np.int32)
        found = check(
            lib.rnn_graph_fold(
                E,
                graph._held,
                count,
                ffi.from_buffer("int64_t[]", ends),
                infos,
                ffi.from_buffer("int64_t[]", of_op),
                room,
                ffi.from_buffer("int32_t[]", a),
                ffi.from_buffer("int32_t[]", b),
            )
        )
        if not found:
            break
    return (infos, of_op), list(zip(a[:found].tolist(), b[:found].tolist()))


def _run(info: Any, of_op: Array, spans: int) -> Row:
    caption = ", ".join(
        f"{words.count(int(of_op[k]))} {ffi.string(lib.rnn_op_name(int(k))).decode()}"
        for k in np.argsort(-of_op, kind="stable")[:5]
        if of_op[k] and k != LEAF_OP
    )
    row = Row(int(info.first), int(info.nodes), "run", (int(info.nodes),), spans=spans)
    row.last, row.caption, row.leaves = int(info.last), caption, int(info.leaves)
    row.largest_value, row.freed = float(info.value), bool(info.freed)
    if info.has_grad:
        row.largest_grad, row.grad_strip = float(info.grad), list(info.strip)
    return row

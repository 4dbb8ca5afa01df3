"""Rows of a drawing: spans, or runs of them where there are very many, each with a summary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnn._c import ffi, lib
from rnn.inspect import words
from rnn.inspect.graph import Graph
from rnn.inspect.node import Node
from rnn.inspect.span import Span
from rnn.nn.scopes import Scope, scope

Array = np.ndarray[Any, Any]

#: spans that have a row each; more are drawn in runs
ROWS = 4_000
#: buckets of the small pictures of a tensor's values and gradients
BUCKETS = 24


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
    operands: dict[int, list[str]] = {}
    for a, b in links:
        operands.setdefault(b, []).append(rows[a].name or "")
    for i, row in enumerate(rows):
        made = words.expression(row.op, row.parameters, operands.get(i, []))
        row.title = row.name or made or f"#{row.id}"
        row.short = row.title
        if row.module and row.title.startswith(row.module + "."):
            row.short = row.title[len(row.module) + 1 :]
        row.glyph = "" if row.leaf else words.glyph(row.op, row.parameters)
        if row.scalar:
            row.note = made if row.name else ""
        elif row.spans > 1:
            row.note = f"{words.count(row.spans)} spans"
        else:
            row.note = words.shape(row.shape)


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
    row each; the rest share rows in stretches of the tape."""
    spans, first = len(graph), graph._first
    alone = np.zeros(spans, bool)
    alone[-ROWS // 8 :] = True
    named = np.fromiter(graph.names, np.int64, len(graph.names))
    wanted = np.concatenate([named, np.array([n.span.id for n in focus], np.int64)])
    at = np.searchsorted(first, wanted)
    at = at[at < spans]
    alone[at[np.isin(first[at], wanted)][: ROWS // 2]] = True
    length = max(1, spans // (ROWS // 8))
    starts = alone.copy()
    starts[1:] |= alone[:-1]
    starts[::length] = True
    begin = np.flatnonzero(starts)
    place = np.cumsum(starts, dtype=np.int32) - np.int32(1)
    rows = []
    for i, j in zip(begin, [*begin[1:], spans]):
        rows.append(row_of(graph.spans[int(i)]) if j - i == 1 else _run(graph, int(i), int(j)))
    places, operands, users = graph._links()
    position = np.empty(int(graph._numbers.max()) + 1, np.int32)
    position[graph._numbers] = np.arange(spans, dtype=np.int32)
    a, b = place[position[operands]], place[position[users]]
    across = np.flatnonzero(a != b)
    a, b, places = a[across], b[across], places[across]
    single = np.array([row.spans == 1 for row in rows])[b]
    order = np.lexsort((places[single], b[single]))  # a user's operands in their order
    pairs = list(zip(a[single][order].tolist(), b[single][order].tolist()))
    bundles = np.unique(a[~single].astype(np.int64) * len(rows) + b[~single])
    pairs += zip((bundles // len(rows)).tolist(), (bundles % len(rows)).tolist())
    return rows, pairs


def _run(graph: Graph, i: int, j: int) -> Row:
    nodes = int(graph._count[i:j].sum())
    ops, counts = np.unique(graph._op[i:j], return_counts=True)
    caption = ", ".join(
        f"{words.count(int(counts[k]))} {ffi.string(lib.rnn_op_name(int(ops[k]))).decode()}"
        for k in np.argsort(-counts, kind="stable")[:4]
    )
    return Row(int(graph._first[i]), nodes, "run", (nodes,), spans=j - i, caption=caption)

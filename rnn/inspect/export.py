"""A graph for other programs: NumPy columns, an edge list, JSON, NetworkX."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn._c import E, ffi, lib
from rnn.autograd.graph import edge_list
from rnn.inspect.trace import line
from rnn.nn import scopes
from rnn.ops._core import Array

if TYPE_CHECKING:
    from rnn.inspect.graph import Graph

CUSTOM: int = lib.rnn_op_find(b"custom")
#: edges that are listed unless more are asked for
MOST = 10_000_000


def read(numbers: Array, count: int) -> tuple[Array, Array, Array]:
    """Values and gradients of all `count` nodes of some spans (nan: none), and for each span
    whether it has a gradient."""
    values, grads = np.empty(count), np.empty(count)
    has = np.empty(len(numbers), np.uint8)
    spans = np.ascontiguousarray(numbers)
    lib.rnn_read(
        E,
        len(spans),
        ffi.from_buffer("uint32_t[]", spans),
        ffi.from_buffer("double[]", values),
        ffi.from_buffer("double[]", grads),
        ffi.from_buffer("uint8_t[]", has),
    )
    return values, grads, has.astype(bool)


def columns(g: Graph) -> dict[str, Array]:
    """Graph.columns()."""
    values, grads, _ = read(g._numbers, g.nodes)
    span = np.repeat(g._first, g._count)
    starts = np.cumsum(g._count) - g._count
    offset = np.arange(g.nodes) - np.repeat(starts, g._count)
    names = [ffi.string(lib.rnn_op_name(i)).decode() for i in range(lib.rnn_op_count())]
    op = g._op.astype(np.int64)
    for i in np.flatnonzero(op == CUSTOM):  # each Function has a name of its own
        op[i] = len(names)
        names.append(g.spans[int(i)].op)
    return {
        "id": span + offset,
        "op": np.array(names)[np.repeat(op, g._count)],
        "value": values,
        "grad": grads,
        "span": span,
        "offset": offset,
        "requires_grad": np.repeat(g._flags & lib.RNN_C_NEEDS_GRAD != 0, g._count),
        **{key: np.repeat(column, g._count) for key, column in _places(g).items()},
    }


def _places(g: Graph) -> dict[str, Array]:
    """Of each span its name, its module and its line, None where there is none."""
    scope, site = np.empty(len(g), np.uint32), np.empty(len(g), np.uint32)
    room = [ffi.from_buffer("uint32_t[]", column) for column in (scope, site)]
    lib.rnn_graph_origins(E, g._held, *room)
    name, module = np.full(len(g), None, object), _texts(scope, scopes.scope)
    for i in np.flatnonzero(np.isin(g._first, list(g.names))).tolist():
        known = g.names[int(g._first[i])]
        name[i] = known.text
        if known.module is not None:
            module[i] = known.module
    return {"name": name, "module": module, "line": _texts(site, line)}


def _texts(numbers: Array, text: Callable[[int], Any]) -> Array:
    """What the numbers stand for, each looked up once."""
    known, which = np.unique(numbers, return_inverse=True)
    found = np.empty(len(known), object)
    found[:] = [None if text(int(n)) is None else str(text(int(n))) for n in known]
    return found[which.reshape(-1)]


Columns = tuple[Array, Array, Array, Array]  # user, operand, local, flows


def edges(g: Graph, limit: int = MOST) -> dict[str, Array]:
    """Graph.edges()."""
    numbers = np.ascontiguousarray(g._numbers)
    made_in_python = np.flatnonzero((g._op == CUSTOM) & (g._flags & lib.RNN_C_LEAF == 0))
    parts: list[Columns] = []
    at = count = 0
    for i in [*made_in_python.tolist(), len(numbers)]:
        if at < i or not parts:
            parts.append(_listed(numbers[at:i], count, limit))
            count += len(parts[-1][0])
        if i < len(numbers):
            parts.append(_of_function(g, int(numbers[i])))
            count += len(parts[-1][0])
        if count > limit:
            raise _too_many(count, limit)
        at = i + 1
    found = (np.concatenate(column) for column in zip(*parts))
    return dict(zip(("user", "operand", "local", "flows"), found))


def _too_many(count: int, limit: int) -> ValueError:
    return ValueError(f"the graph has at least {count:,} edges, more than the limit of {limit:,}")


def _of_function(g: Graph, number: int) -> Columns:
    """The edges of a span that an autograd.Function made."""
    from rnn.inspect.custom import derivatives

    span = g._span(number)
    known = derivatives(span)
    found = known.rows(np.arange(span.count))
    first = {int(n): g._span(int(n)).id for n in np.unique(known.spans)}
    ids = known.nodes + np.array([first[n] for n in known.spans.tolist()], np.int64)
    users = span.id + np.repeat(np.arange(span.count), np.diff(found.begin))
    return users, ids[found.columns], found.values, np.ones(len(users), bool)


def _listed(numbers: Array, before: int, limit: int) -> Columns:
    """The edges of some spans that the engine knows."""

    def check_count(count: int) -> None:
        if before + count > limit:
            raise _too_many(before + count, limit)

    return edge_list(numbers, check_count)


def records(g: Graph, limit: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Nodes and edges as dicts of Python's own types."""
    if g.nodes > limit:
        raise ValueError(f"the graph has {g.nodes:,} nodes, more than the limit of {limit:,}")
    nodes = []
    for span in g.spans:
        for offset in range(span.count):
            n = g.node(span.id + offset)
            nodes.append(
                {
                    "id": n.id,
                    "op": n.op,
                    "value": n.value,
                    "grad": n.grad,
                    "dtype": n.dtype.name,
                    "requires_grad": n.requires_grad,
                    "span": span.id,
                    "shape": list(n.shape),
                    "index": list(n.index),
                    "name": n.name,
                    "module": n.module,
                    "line": n.line,
                }
            )
    listed = edges(g, limit)
    rows = zip(*(listed[key].tolist() for key in listed))
    return nodes, [dict(zip(listed, row)) for row in rows]


def to_json(g: Graph, limit: int) -> str:
    """Graph.to_json()."""
    nodes, listed = records(g, limit)
    return json.dumps(_plain({"nodes": nodes, "edges": listed}), allow_nan=False)


def _plain(x: Any) -> Any:
    """JSON has no nan and no infinities: they become strings."""
    if isinstance(x, dict):
        return {key: _plain(value) for key, value in x.items()}
    if isinstance(x, list):
        return [_plain(value) for value in x]
    return str(x) if isinstance(x, float) and not math.isfinite(x) else x


def to_networkx(g: Graph, limit: int) -> Any:
    """Graph.to_networkx()."""
    import networkx

    nodes, listed = records(g, limit)
    out = networkx.MultiDiGraph()
    for n in nodes:
        out.add_node(n.pop("id"), **n)
    for edge in listed:
        out.add_edge(edge["operand"], edge["user"], local=edge["local"], flows=edge["flows"])
    return out

"""Scalars of fused operations, opened: small scenes within a scene, one box a scalar operation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rnn._c import E, ffi, lib
from rnn.inspect.node import Node
from rnn.inspect.opened import Opened
from rnn.inspect.openers import opener_of
from rnn.inspect.rows import Row, entitle
from rnn.inspect.scalars import Edges, peaks
from rnn.inspect.scene import Group, Scene

#: scalars that a scene holds opened
INSIDES = 24
#: operands that one of them may have, and operations: of those that are asked for, and of others
WANTED, OTHERS = (400, 1_000), (64, 300)
#: scalars that are tried
TRIED = 120
#: in a graph of no more scalars than this all are candidates
ALL = 60


@dataclass
class Inside:
    """A scalar, opened."""

    id: int
    label: str
    op: str
    scene: Scene
    operations: int


def insides(scene: Scene, wanted: Iterable[Node]) -> list[Inside]:
    """The scalars that are wanted, then those with the largest gradients of the fused operations,
    opened as far as they can be."""
    found: dict[int, Inside] = {}
    asked = list(wanted)
    for i, node in enumerate((*asked, *_candidates(scene))):
        operands, operations = WANTED if i < len(asked) else OTHERS
        if len(found) == INSIDES or i - len(asked) == TRIED:
            break
        if node.id in found or node.is_leaf or _operand_count(node) > operands:
            continue
        opened = _opened(node, operations)
        if opened is not None:
            inner, many = _flat(opened), len(opened)
            found[node.id] = Inside(node.id, node.label, node.op, inner, many)
    return list(found.values())


def openable(scene: Scene, opened: Sequence[Inside]) -> set[int]:
    """The rows whose scalars `insides` opens where they are wanted, if it did not open them all.
    One scalar is tried of each operation and number of operands."""
    if scene.nodes <= ALL and len(opened) < INSIDES:
        return set()
    known: dict[tuple[str, int], bool] = {}
    found = set()
    for i, row in enumerate(scene.rows):
        if row.span is None or row.leaf or not row.count or opener_of(row.span) is None:
            continue
        node = Node(row.span, row.count - 1)  # of running sums the first is a copy
        key = row.op, _operand_count(node)
        if key not in known:
            known[key] = key[1] <= WANTED[0] and _opened(node, WANTED[1]) is not None
        if known[key]:
            found.add(i)
    return found


def _opened(node: Node, most: int) -> Opened | None:
    """A node, opened into more than one operation but no more than `most`; else None."""
    try:
        opened = node.open()
    except (ValueError, RuntimeError):
        return None  # a leaf, a value that was only moved, or one that cannot be opened
    return opened if 1 < len(opened) <= most else None


def _operand_count(node: Node) -> int:
    here = node.span._number, node.offset
    return int(lib.rnn_edges(E, *here, 0, ffi.NULL, ffi.NULL, ffi.NULL, ffi.NULL))


def _candidates(scene: Scene) -> Iterator[Node]:
    for row in scene.rows:
        if row.span is None or row.leaf or not row.count:
            continue
        grads = row.span.grads()
        if scene.nodes <= ALL:
            yield from (Node(row.span, k) for k in range(row.count))
        elif grads is None:
            yield Node(row.span, 0)
        else:
            yield Node(row.span, peaks(grads.ravel(), 1)[0])


def _flat(opened: Opened) -> Scene:
    """A scene with a box for every scalar operation, with the gradients that flow through it."""
    grad = opened.node.grad
    if grad is not None and math.isfinite(grad):
        root = opened.graph.roots[0]
        root.backward(root.new_full(root.shape, grad), retain_graph=True)
    nodes = opened.nodes(leaves=True)
    at = {node.id: i for i, node in enumerate(nodes)}
    edges = [(i, at[e.node.id], e) for i, node in enumerate(nodes) for e in node.operands]
    links = [(operand, user) for user, operand, _ in edges]
    rows = []
    for i, node in enumerate(nodes):
        value, gradient = node.value, node.grad
        original = opened.original(node)
        name = original.label if original is not None else None
        if node == opened.result:
            name = opened.node.label
        op, leaf = node.op, node.is_leaf
        parameters = node.span.parameters
        row = Row(node.id, 1, op, (), leaf=leaf, name=name, parameters=parameters, dense=i)
        row.largest_value = abs(value)
        row.largest_grad = None if gradient is None else abs(gradient)
        rows.append(row)
    entitle(rows, links)
    for user, _, edge in edges:
        if rows[user].op == "cumsum":
            rows[user].glyph = "+" if edge.node.op == "cumsum" else rows[user].glyph
    return Scene(
        rows,
        links,
        [at[opened.result.id]],
        Group("", "graph", list(range(len(rows))), list(range(len(rows)))),
        set(),
        set(),
        len(nodes),
        len(nodes),
        np.array([node.value for node in nodes]),
        np.array([math.nan if node.grad is None else node.grad for node in nodes]),
        Edges(
            np.array([user for user, _, _ in edges], np.uint32),
            np.array([operand for _, operand, _ in edges], np.uint32),
            np.array([edge.local for _, _, edge in edges], np.float64),
            np.array([edge.flows for _, _, edge in edges], np.uint8),
        ),
        root_nodes=[opened.result.id],
    )

"""What a drawing shows: rows (spans, or runs of them), links, a tree of groups, numbers.

A graph of any size becomes a scene of bounded size. Small graphs are in it whole, every scalar with
its edges; of larger ones each span has a row with a summary, and the scalars that matter most: the
largest gradients, those asked for by `focus`, and those on the paths that carry most. What is left
out says so in the drawing. What it is not: no coordinates, no colours, no text of a file format.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnn.inspect import words
from rnn.inspect.graph import Graph
from rnn.inspect.node import Node
from rnn.inspect.span import Span

Array = np.ndarray[Any, Any]

#: scalars whose values and gradients a scene holds in full
NODES = 50_000
#: scalar edges that a scene holds in full
EDGES = 100_000
#: spans that have a row each; more are drawn in runs
ROWS = 4_000
#: boxes that one group holds before it is cut into runs
CROWD = 400
#: boxes that a drawing shows at first, about
VISIBLE = 28
#: buckets of the small pictures of a tensor's values and gradients
BUCKETS = 24
#: scalars of a large span that a scene holds, and edges of one scalar
CHOSEN, CHOSEN_EDGES = 6, 24


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
    note: str = ""  # its shape, or how it was made
    glyph: str = ""  # what stands in its bubble: a sign, or the operation

    @property
    def scalar(self) -> bool:
        return self.count == 1 and self.spans == 1


@dataclass
class Group:
    """A module's call, or a run of boxes in tape order. `members`: rows (int) and groups."""

    name: str
    kind: str  # "module" or "run"
    members: list[int | Group]
    rows: list[int] = field(default_factory=list)


@dataclass
class Chosen:
    """A scalar of a graph that is not held in full, with its edges and its uses."""

    node: Node
    row: int
    operands: list[tuple[int, float, bool]]  # id, local, whether gradient flows
    uses: list[tuple[int, float, float | None]]  # id, local, gradient of the user
    operand_count: int
    use_count: int


@dataclass
class Edges:
    """Every scalar edge of a graph held in full: indices into the scene's arrays."""

    user: Array
    operand: Array
    local: Array
    flows: Array


@dataclass
class Scene:
    """See the module."""

    rows: list[Row]
    links: list[tuple[int, int]]  # (operand row, user row), a user's in its order
    roots: list[int]
    top: Group
    open: set[int]  # groups that are open at first, by id(); and
    open_rows: set[int]  # rows that are
    nodes: int
    spans: int
    values: Array
    grads: Array  # NaN where there is none
    edges: Edges | None = None
    chosen: dict[int, Chosen] = field(default_factory=dict)
    focus: list[int] = field(default_factory=list)
    paths: list[dict[str, Any]] = field(default_factory=list)
    freed: bool = False

    @property
    def largest_grad(self) -> float:
        return max((row.largest_grad or 0.0 for row in self.rows), default=0.0)


def make_scene(graph: Graph, focus: Sequence[Node] = ()) -> Scene:
    """The scene of a graph."""
    if len(graph) <= ROWS:
        rows = [_row(span) for span in graph.spans]
        links = _links(graph, rows)
    else:
        rows, links = _runs_of_spans(graph, focus)
    _entitle(rows, links)
    number = {row.id: i for i, row in enumerate(rows)}
    root_ids = {_first_of(graph, t) for t in graph.roots}
    roots = sorted(number[i] for i in root_ids if i in number)
    top = _tree(rows, links, roots)
    values, grads = _numbers(rows)
    scene = Scene(rows, links, roots, top, set(), set(), graph.nodes, len(graph), values, grads)
    scene.freed = any(row.span is not None and row.span.freed for row in rows if not row.leaf)
    if not scene.freed:
        scene.edges = _edges(scene)
        if scene.edges is None:
            _choose(scene, focus)
    scene.focus = [node.id for node in focus]
    _open_at_first(scene)
    return scene


# ---- rows ---------------------------------------------------------------------------------------


def _row(span: Span) -> Row:
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
        span.line,
        span.torch_name if not span.is_leaf else None,
        span.parameters,
        span=span,
    )
    values, grads = span.values().ravel(), span.grads()
    row.largest_value = _largest(values)
    row.value_strip = histogram(values) if row.count > 1 else []
    if grads is not None:
        row.largest_grad = _largest(grads.ravel())
        row.grad_strip = strip(grads.ravel()) if row.count > 1 else []
    return row


def _entitle(rows: Sequence[Row], links: Iterable[tuple[int, int]]) -> None:
    """What is written in the boxes."""
    operands: dict[int, list[str]] = {}
    for a, b in links:
        operands.setdefault(b, []).append(rows[a].name or "")
    for i, row in enumerate(rows):
        made = words.expression(row.op, row.parameters, operands.get(i, []))
        row.title = row.name or made or f"#{row.id}"
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


def _first_of(graph: Graph, t: Any) -> int:
    from rnn._c import lib
    from rnn.inspect.names import first_of

    return first_of(lib.rnn_span_of(t._h))


def _links(graph: Graph, rows: Sequence[Row]) -> list[tuple[int, int]]:
    number = {row.id: i for i, row in enumerate(rows)}
    links: list[tuple[int, int]] = []
    for user, row in enumerate(rows):
        assert row.span is not None
        if row.leaf or row.span.freed:
            continue
        for operand in row.span.operands:
            links.append((number[operand.span.id], user))
    return links


def _runs_of_spans(graph: Graph, focus: Sequence[Node]) -> tuple[list[Row], list[tuple[int, int]]]:
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
    row_of = np.cumsum(starts) - 1
    rows = []
    for i, j in zip(begin, [*begin[1:], spans]):
        rows.append(_row(graph.spans[int(i)]) if j - i == 1 else _run(graph, int(i), int(j)))
    places, operands, users = graph._links()
    position = np.empty(int(graph._numbers.max()) + 1, np.int64)
    position[graph._numbers] = np.arange(spans)
    a, b = row_of[position[operands]], row_of[position[users]]
    order = np.lexsort((places, position[users]))
    a, b = a[order], b[order]
    pairs, seen = [], set()
    for pair in zip(a[a != b].tolist(), b[a != b].tolist()):
        if pair not in seen or rows[pair[1]].spans == 1:
            seen.add(pair)
            pairs.append(pair)
    return rows, pairs


def _run(graph: Graph, i: int, j: int) -> Row:
    nodes = int(graph._count[i:j].sum())
    return Row(int(graph._first[i]), nodes, "run", (nodes,), spans=j - i)


def _numbers(rows: Sequence[Row]) -> tuple[Array, Array]:
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


# ---- scalar edges -------------------------------------------------------------------------------


def _edges(scene: Scene) -> Edges | None:
    """Every scalar edge, or None where there are too many."""
    if any(row.dense < 0 for row in scene.rows):
        return None
    expected = 0
    for row in scene.rows:
        if row.span is not None and not row.leaf and row.count:
            expected += row.count * len(row.span.node(row.count // 2).operands)
    if expected > EDGES:
        return None
    at = {row.id: row.dense for row in scene.rows}
    found: list[tuple[int, int, float, bool]] = []
    for row in scene.rows:
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


def _choose(scene: Scene, focus: Iterable[Node]) -> None:
    """The scalars of a large graph that a scene holds with their edges."""
    row_of = {row.id: i for i, row in enumerate(scene.rows)}
    wanted: list[Node] = [node for node in focus if node.span.id in row_of]
    for row in scene.rows:
        if row.span is None or not row.count:
            continue
        grads = row.span.grads()
        if grads is None:
            wanted.append(Node(row.span, 0))
            continue
        flat = np.abs(grads.ravel())
        flat = np.where(np.isnan(flat), np.inf, flat)
        k = min(CHOSEN, row.count)
        top = np.argpartition(flat, row.count - k)[row.count - k :]
        wanted += [Node(row.span, int(o)) for o in top[np.argsort(-flat[top], kind="stable")]]
    for node in wanted:
        add_chosen(scene, node, row_of)


def add_chosen(scene: Scene, node: Node, row_of: dict[int, int] | None = None) -> None:
    """Holds one more scalar, with the largest of its edges and of its uses."""
    if node.id in scene.chosen:
        return
    if row_of is None:
        row_of = {row.id: i for i, row in enumerate(scene.rows)}
    operands = node.operands
    largest = sorted(operands, key=lambda edge: -abs(edge.local * (edge.node.value or 1e-300)))
    kept = largest[:CHOSEN_EDGES] if len(operands) > CHOSEN_EDGES else operands
    uses = [(e.node.id, e.local, e.node.grad) for e in node.users if e.node.span.id in row_of]
    uses.sort(key=lambda use: -abs(use[1] * (use[2] or 0.0)))
    scene.chosen[node.id] = Chosen(
        node,
        row_of[node.span.id],
        [(edge.node.id, edge.local, edge.flows) for edge in kept],
        uses[:CHOSEN_EDGES],
        len(operands),
        len(uses),
    )


# ---- the tree of groups -------------------------------------------------------------------------


def _tree(rows: Sequence[Row], links: Sequence[tuple[int, int]], roots: Sequence[int]) -> Group:
    """Groups by module, each one call of it: a stretch of the tape, so that folding it makes no
    cycle. A leaf goes where it is used first; one that belongs to no module stays outside."""
    first_user: dict[int, int] = {}
    for operand, user in links:
        first_user[operand] = min(user, first_user.get(operand, user))
    homes: list[tuple[str, ...]] = []
    place: list[float] = []
    for i, row in enumerate(rows):
        module = row.module
        at = float(i)
        if row.leaf and i in first_user:
            at = first_user[i] - 0.5
            module = rows[first_user[i]].module if module is not None else None
        homes.append(_segments(module))
        place.append(at)
    outside = [i for i, row in enumerate(rows) if row.leaf and not homes[i]]
    inside = [i for i in sorted(range(len(rows)), key=place.__getitem__) if i not in set(outside)]
    top = Group("", "module", [])
    top.members = [*outside, *_members(inside, homes, 0)]
    top.rows = list(range(len(rows)))
    _cut(top, rows, place, roots)
    return top


def _segments(module: str | None) -> tuple[str, ...]:
    """'h.0.attn' as ('h.0', 'attn'): a list of modules is not a level of its own."""
    segments: list[str] = []
    for part in module.split(".") if module else []:
        if part.isdigit() and segments:
            segments[-1] += "." + part
        else:
            segments.append(part)
    return tuple(segments)


def _members(
    rows: Sequence[int], homes: Sequence[tuple[str, ...]], depth: int
) -> list[int | Group]:
    members: list[int | Group] = []
    i = 0
    while i < len(rows):
        home = homes[rows[i]]
        if len(home) <= depth:
            members.append(rows[i])
            i += 1
            continue
        j = i
        while j < len(rows) and homes[rows[j]][: depth + 1] == home[: depth + 1]:
            j += 1
        within = _members(rows[i:j], homes, depth + 1)
        name = home[depth]
        if len(within) == 1 and isinstance(within[0], Group):
            name, within = f"{name}.{within[0].name}", within[0].members
        if j - i == 1:
            members.extend(within)
        else:
            members.append(Group(name, "module", within, list(rows[i:j])))
        i = j
    return members


def _cut(group: Group, rows: Sequence[Row], place: Sequence[float], roots: Sequence[int]) -> None:
    """Cuts the members of a crowded group into runs of the tape, in as many levels as it takes."""
    for member in group.members:
        if isinstance(member, Group):
            _cut(member, rows, place, roots)
    if len(group.members) <= CROWD:
        return

    def at(member: int | Group) -> float:
        return place[member] if isinstance(member, int) else place[member.rows[0]]

    members = sorted(group.members, key=at)
    while len(members) > CROWD:
        size = max(2, min(40, -(-len(members) // 40)))
        runs: list[int | Group] = []
        for i in range(0, len(members), size):
            part = members[i : i + size]
            held = [r for m in part for r in ([m] if isinstance(m, int) else m.rows)]
            runs.append(Group(_run_name(held, rows), "run", part, held))
        members = runs
    group.members = members


def _run_name(held: Sequence[int], rows: Sequence[Row]) -> str:
    return f"#{rows[held[0]].id} \u2026 #{rows[held[-1]].id}"


def _open_at_first(scene: Scene) -> None:
    """Opens groups from the outside in, then small tensors, while the drawing stays readable."""
    shown = len(scene.top.members)
    queue: list[Group] = [m for m in scene.top.members if isinstance(m, Group)]
    if scene.top.members and isinstance(scene.top.members[-1], Group):
        queue.insert(0, queue.pop())  # the end of the tape first
    while queue:
        group = queue.pop(0)
        if shown + len(group.members) - 1 > VISIBLE:
            continue
        scene.open.add(id(group))
        shown += len(group.members) - 1
        queue += [m for m in group.members if isinstance(m, Group)]
    if scene.nodes <= 150:
        scene.open_rows = {
            i
            for i, row in enumerate(scene.rows)
            if 1 < row.count <= 32 and row.dense >= 0 and row.shape[-1] <= 8
        }

"""What a drawing shows: rows (spans, or runs of them), links, a tree of groups, numbers.

A graph of any size becomes a scene of bounded size. Small graphs are in it whole, every scalar with
its edges; of larger ones each span has a row with a summary, and the scalars that matter most: the
largest gradients, those asked for by `focus`, and those on the paths that carry most. What is left
out says so in the drawing. What it is not: no coordinates, no colours, no text of a file format.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from rnn._c import lib
from rnn.inspect.graph import Graph
from rnn.inspect.names import first_of
from rnn.inspect.node import Node
from rnn.inspect.rows import ROWS, Array, Row, entitle, links_of, row_of, runs_of_spans
from rnn.inspect.scalars import Chosen, Edges, all_edges, around, choose, numbers
from rnn.inspect.sparse import allowed
from rnn.nn.scopes import Scope

#: boxes that one group holds before it is cut into runs, and that a run then holds at most
CROWD, FAN = 400, 12
#: calls of one class, one after another, from which on they have a group around them
ALIKE = 6
#: boxes that a drawing shows at first, about
VISIBLE = 16
#: numbers that may be computed to ask autograd.Functions for their derivatives: a second or two
FUNCTIONS = 1 << 27


@dataclass
class Group:
    """A module's call, or a run of boxes in tape order. `members`: rows (int) and groups."""

    name: str
    kind: str  # the module's class, or "run"
    members: list[int | Group]
    rows: list[int] = field(default_factory=list)


@dataclass
class Marked:
    """A path, by its nodes' ids."""

    nodes: list[int]
    product: float
    share: float | None


@dataclass
class Scene:
    """See the module. What it holds is copied: once `let_go` is called no graph lives by it."""

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
    paths: list[Marked] = field(default_factory=list)
    root_nodes: list[int] = field(default_factory=list)  # the scalars asked for, where known
    freed: bool = False
    reasons: dict[int, str] = field(default_factory=dict)  # why gradients are zero, by node
    openable: set[int] = field(default_factory=set)  # rows whose scalars a focus opens

    @cached_property
    def largest_grad(self) -> float:
        """What colours are measured against: NaN is no size."""
        known = (row.largest_grad or 0.0 for row in self.rows)
        return max((size for size in known if size == size), default=0.0)

    def let_go(self) -> None:
        """Forgets the graph."""
        for row in self.rows:
            row.span = None


def make_scene(
    graph: Graph,
    focus: Sequence[Node] = (),
    more: Sequence[Node] = (),
) -> Scene:
    """The scene of a graph.

    Args:
        focus: scalars that it must hold with their edges.
        more: others that it holds, and their spans: those on the paths.
    """
    with allowed(FUNCTIONS):
        return _made(graph, focus, more)


def _made(graph: Graph, focus: Sequence[Node], more: Sequence[Node]) -> Scene:
    if len(graph) <= ROWS:
        rows = [row_of(span) for span in graph.spans]
        links = links_of(graph, rows)
    else:
        rows, links = runs_of_spans(graph, [*around(graph, focus), *more])
    entitle(rows, links)
    number = {row.id: i for i, row in enumerate(rows)}
    root_ids = {first_of(lib.rnn_span_of(t._h)) for t in graph.roots}
    roots = sorted(number[i] for i in root_ids if i in number)
    top = _tree(rows, links)
    root_nodes = [graph.node(t, *(0,) * t.ndim).id for t in graph.roots if t.numel() == 1]
    values, grads = numbers(rows)
    scene = Scene(rows, links, roots, top, set(), set(), graph.nodes, len(graph), values, grads)
    scene.freed = any(
        row.freed or (row.span is not None and not row.leaf and row.span.freed) for row in rows
    )
    if not scene.freed:
        with allowed(FUNCTIONS), contextlib.suppress(RuntimeError):  # a Function cannot be asked
            scene.edges = all_edges(rows)
        if scene.edges is None:
            scene.chosen = choose(graph, rows, [*focus, *more])
    scene.focus = [node.id for node in focus]
    if len(root_nodes) == len(graph.roots):
        scene.root_nodes = root_nodes
    _open_at_first(scene)
    return scene


# ---- the tree of groups -------------------------------------------------------------------------


def _tree(rows: Sequence[Row], links: Sequence[tuple[int, int]]) -> Group:
    """Groups by module, each one call of it: a stretch of the tape, so that folding it makes no
    cycle. A leaf goes where it is used first; one that belongs to no module stays outside."""
    first_user: dict[int, int] = {}
    for operand, user in links:
        first_user[operand] = min(user, first_user.get(operand, user))
    several = len({row.scope.root for row in rows if row.scope is not None}) > 1
    homes: list[Home] = []
    place: list[float] = []
    for i, row in enumerate(rows):
        scope, at = row.scope, float(i)
        if row.leaf:
            scope = None
            if i in first_user:
                at = first_user[i] - 0.5
                scope = rows[first_user[i]].scope if row.module is not None else None
        homes.append(_home(scope, several))
        place.append(at)
    outside = {i for i, row in enumerate(rows) if row.leaf and not homes[i]}
    inside = [i for i in sorted(range(len(rows)), key=place.__getitem__) if i not in outside]
    top = Group("", "graph", [])
    top.members = [*sorted(outside), *_members(inside, homes, 0)]
    top.rows = list(range(len(rows)))
    _cut(top, rows, place)
    return top


#: names and classes of the modules around a row, from the outside: (("h.0", "Block"), ...)
Home = tuple[tuple[str, str], ...]


def _home(scope: Scope | None, several: bool) -> Home:
    """The modules around what was made in a scope. The outermost one is a level of its own where
    there are several; a list of modules is none: 'h.0.attn' is in 'h.0' and 'attn'."""
    home: list[tuple[str, str]] = []
    while scope is not None:
        outer = scope.outer
        path = scope.path
        if outer is not None and outer.path and path.startswith(outer.path + "."):
            path = path[len(outer.path) + 1 :]
        if path or several:
            home.append((path or scope.root, scope.kind))
        scope = outer
    return tuple(reversed(home))


def _members(rows: Sequence[int], homes: Sequence[Home], depth: int) -> list[int | Group]:
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
        name, kind = home[depth]
        if len(within) == 1 and isinstance(within[0], Group):
            name, kind, within = f"{name}.{within[0].name}", within[0].kind, within[0].members
        if j - i == 1:
            members.extend(within)
        else:
            members.append(Group(name, kind, within, list(rows[i:j])))
        i = j
    return _alike(members)


def _alike(members: list[int | Group]) -> list[int | Group]:
    """Many calls of one class one after another, a deep model's blocks, are one group as well."""
    together: list[int | Group] = []
    i = 0
    while i < len(members):
        j, first = i, members[i]
        while j < len(members) and _kind(members[j]) == _kind(first) is not None:
            j += 1
        blocks = [m for m in members[i:j] if isinstance(m, Group)]
        if ALIKE <= len(blocks) < len(members):
            name = f"{blocks[0].name} \u2026 {blocks[-1].name}"
            held = [row for block in blocks for row in block.rows]
            kind = f"{len(blocks)} calls of {blocks[0].kind}"
            together.append(Group(name, kind, list(blocks), held))
        else:
            together += members[i : max(j, i + 1)]
        i = max(j, i + 1)
    return together


def _kind(member: int | Group) -> str | None:
    return member.kind if isinstance(member, Group) else None


def _cut(group: Group, rows: Sequence[Row], place: Sequence[float]) -> None:
    """Cuts the members of a crowded group into runs of the tape, in as many levels as it takes for
    each to be seen at a glance."""
    for member in group.members:
        if isinstance(member, Group):
            _cut(member, rows, place)
    if len(group.members) <= CROWD:
        return

    def at(member: int | Group) -> float:
        return place[member] if isinstance(member, int) else place[member.rows[0]]

    members = sorted(group.members, key=at)
    levels = math.ceil(math.log(len(members), FAN) - 1e-9)
    size = math.ceil(len(members) ** (1 / levels) - 1e-9)
    while len(members) > FAN:
        runs: list[int | Group] = []
        for i in range(0, len(members), size):
            part = members[i : i + size]
            held = [r for m in part for r in ([m] if isinstance(m, int) else m.rows)]
            runs.append(Group(f"from #{rows[held[0]].id}", "run", part, held))
        members = runs
    group.members = members


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

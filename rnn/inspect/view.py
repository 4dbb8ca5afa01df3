"""Where everything of a scene stands on the page: boxes within boxes, and the edges between them.

Each open group is a layered drawing of its own (layout.py) and a box of the drawing around it.
What it is not: no SVG, no colours. `assets/show.js` holds the same, for what is opened in the page.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

from rnn.inspect import words
from rnn.inspect.layout import BEND, Link, layered
from rnn.inspect.rows import Row
from rnn.inspect.scene import Group, Scene

#: sizes of the parts of a box
SCALAR_W, SCALAR_H = 124.0, 54.0
ROW_W, ROW_H, ROW_MOST = 186.0, 84.0, 260.0
GROUP_W, GROUP_H = 186.0, 70.0
HEAD, PAD, CELL_W, CELL_H = 26.0, 12.0, 60.0, 34.0
PILL_H, STEM = 24.0, 9.0
#: how far from a bubble's middle an edge may enter
ENTRY = 8.0
#: between ranks, downwards and from left to right: where edges show no derivatives, where they do,
#: and where so many leave a box that these need room
CLOSE, APART, FAR = (28.0, 38.0), (46.0, 58.0), (64.0, 84.0)
CROWDED = 3
#: a drawing from left to right that is wider than this runs downwards
WIDE = 1500.0
#: edges from one scalar to another that are drawn apart; more share the last
TWINS = 3
#: rows and columns that an open tensor shows at once
GRID = 8
#: room that a name gets at most
LONG = 280.0


@dataclass
class Item:
    """A box on the page: a row, or a group with what is in it. x, y: its upper left corner."""

    row: int = -1
    scalar: bool = False
    group: Group | None = None
    open: bool = False
    w: float = 0.0
    h: float = 0.0
    pill: str = ""
    pill_w: float = 0.0
    title: str = ""
    note: str = ""
    x: float = 0.0
    y: float = 0.0
    parent: Item | None = None
    children: list[Item] = field(default_factory=list)
    hops: dict[tuple[int, int, int, int], Hop] = field(default_factory=dict)
    # where edges come in and go out, from its middle, by id() of the box in which they begin
    entries: dict[int, float] = field(default_factory=dict)
    exits: dict[int, float] = field(default_factory=dict)


@dataclass
class Hop:
    """A stretch of an edge within one open group: from a child (or from outside: None) to a child
    (or to the outside). Edges from the same box share it. source: where the edge begins."""

    a: Item | None
    b: Item | None
    source: Item
    points: list[tuple[float, float]] = field(default_factory=list)


@dataclass
class Wire:
    """An edge on the page: from one box to another, for `links` of the scene."""

    a: Item
    b: Item
    links: list[int]
    twin: int = 0  # 0, 1, ... among the edges of the same two boxes
    hops: list[Hop] = field(default_factory=list)
    points: list[tuple[float, float]] = field(default_factory=list)


@dataclass
class View:
    """A scene on the page."""

    scene: Scene
    top: Item
    wires: list[Wire]
    items: list[Item]
    w: float
    h: float
    down: bool


def make_view(scene: Scene, down: bool | None = None) -> View:
    """Arranges a scene as it is open now.

    Args:
        down: whether the tape runs downwards; by default where that fits a screen better.
    """
    if down is None:
        across = make_view(scene, False)
        if across.w <= WIDE:
            return across
        along = make_view(scene, True)
        return along if along.h < across.w else across
    top = Item(group=scene.top, open=True)
    visible: dict[int, Item] = {}
    _grow(scene, top, visible)
    wires = _wires(scene, visible)
    _arrange(top, down)
    items: list[Item] = []
    _settle(top, 0.0, 0.0, items)
    for wire in wires:
        _ends(wire, down)
    return View(scene, top, wires, items, top.w, top.h, down)


# ---- what stands in the boxes -------------------------------------------------------------------


def _grow(scene: Scene, item: Item, visible: dict[int, Item]) -> None:
    """Makes the boxes within an open group, and says where each row can be seen."""
    stack = [item]
    while stack:
        parent = stack.pop()
        assert parent.group is not None
        for member in parent.group.members:
            if isinstance(member, int):
                child = _row_item(scene, member, parent.parent is not None)
                visible[member] = child
            else:
                child = Item(group=member, open=id(member) in scene.open, title=member.name)
                _size_group(child, scene)
                if child.open:
                    stack.append(child)
                else:
                    visible.update(dict.fromkeys(member.rows, child))
            child.parent = parent
            parent.children.append(child)


def _row_item(scene: Scene, i: int, within: bool) -> Item:
    row = scene.rows[i]
    item = Item(row=i, title=row.short if within else row.title, note=row.note, pill=row.glyph)
    if item.pill:
        bold = words.BOLD if len(item.pill) > 2 else 1
        item.pill_w = max(PILL_H, words.width(item.pill, 13 * bold) + 14)
    item.scalar = row.scalar
    if row.scalar:
        item.h = SCALAR_H
        needed = words.width(item.title, 15) + words.width(item.note, 11) + 32
        item.w = min(max(SCALAR_W, needed), 190.0)
    elif i in scene.open_rows:
        item.open = True
        rows, columns = grid(row)
        heading = min(words.width(item.title, 14), LONG) + words.width(item.note, 11) + 44
        item.w = max(columns * CELL_W, heading) + 2 * PAD
        item.h = HEAD + rows * CELL_H + PAD
    else:
        item.w, item.h = ROW_W, ROW_H
        if row.spans == 1:
            needed = words.width(item.title, 13 * words.BOLD) + words.width(item.note, 11) + 50
            item.w = min(max(ROW_W, needed), ROW_MOST)
    return item


def grid(row: Row) -> tuple[int, int]:
    """Rows and columns of an open tensor, as many as are shown."""
    columns = row.shape[-1] if row.shape else 1
    return min(row.count // max(columns, 1), GRID), min(columns, GRID)


def _size_group(item: Item, scene: Scene) -> None:
    assert item.group is not None
    rows = [scene.rows[i] for i in item.group.rows]
    item.w, item.h = GROUP_W, GROUP_H
    operations = sum(row.spans - row.leaves for row in rows if not row.leaf)
    nodes = sum(row.count for row in rows)
    ops = "op" if operations == 1 else "ops"
    item.note = f"{words.count(operations)} {ops} \u00b7 {words.count(nodes)} nodes"


# ---- edges --------------------------------------------------------------------------------------


def _wires(scene: Scene, visible: dict[int, Item]) -> list[Wire]:
    """One wire for each pair of boxes (two where a scalar uses another twice)."""
    found: dict[tuple[int, int, int], Wire] = {}
    for k, (operand, user) in enumerate(scene.links):
        a, b = visible[operand], visible[user]
        if a is b:
            continue
        twice = 0
        if b.row >= 0 and a.row >= 0 and scene.rows[b.row].scalar and scene.rows[a.row].scalar:
            while (id(a), id(b), twice) in found and twice < TWINS - 1:
                twice += 1
        wire = found.get((id(a), id(b), twice))
        if wire is not None:
            wire.links.append(k)
            continue
        wire = found[(id(a), id(b), twice)] = Wire(a, b, [k], twice)
        _route(wire)
    return list(found.values())


def _route(wire: Wire) -> None:
    """The way of a wire: out of the groups around its first box, and into those around its last."""
    above = set()
    box = wire.b.parent
    while box is not None:
        above.add(id(box))
        box = box.parent
    child, box = wire.a, wire.a.parent
    while box is not None and id(box) not in above:
        _hop(wire, box, child, None)
        child, box = box, box.parent
    inwards = [wire.b]
    while inwards[-1].parent is not box:
        parent = inwards[-1].parent
        assert parent is not None
        inwards.append(parent)
    assert box is not None
    _hop(wire, box, child, inwards[-1])
    while len(inwards) > 1:
        group = inwards.pop()
        _hop(wire, group, None, inwards[-1])


def _hop(wire: Wire, group: Item, a: Item | None, b: Item | None) -> None:
    twin = wire.twin if a is wire.a and b is wire.b else 0
    key = id(a), id(b), id(wire.a), twin
    if key not in group.hops:
        group.hops[key] = Hop(a, b, wire.a)
    wire.hops.append(group.hops[key])


# ---- places -------------------------------------------------------------------------------------


def outer(item: Item, down: bool) -> tuple[float, float]:
    """(along the ranks, across them): a box with its bubble."""
    if down:
        stem = PILL_H + STEM if item.pill else 0.0
        return item.h + stem, max(item.w, item.pill_w)
    return item.w + (item.pill_w + STEM if item.pill else 0.0), item.h


def _arrange(item: Item, down: bool) -> None:
    """Sizes an open group and places its children in it, from the innermost group outwards."""
    for child in item.children:
        if child.children:
            _arrange(child, down)
    hops = list(item.hops.values())
    entries = {id(hop.source): k for k, hop in _first(hops, "a")}
    exits = {id(hop.source): k for k, hop in _first(hops, "b")}
    number = {id(child): len(entries) + i for i, child in enumerate(item.children)}
    total = len(entries) + len(item.children)
    links = []
    for hop in hops:
        source = id(hop.source)
        a = entries[source] if hop.a is None else number[id(hop.a)]
        b = total + exits[source] if hop.b is None else number[id(hop.b)]
        at_a = 0.0 if hop.a is None else hop.a.exits.get(source, 0.0)
        at_b = 0.0 if hop.b is None else hop.b.entries.get(source, 0.0)
        links.append(Link(a, b, at_a, at_b))
    labelled = [h for h in hops if h.a and h.a.scalar and (h.b is None or h.b.scalar)]
    most = max(Counter(id(h.a) for h in labelled).values(), default=0)
    gap = (FAR if most >= CROWDED else APART if most else CLOSE)[not down]
    space = 22.0 if down else 18.0
    sizes = [(0.0, BEND)] * len(entries)
    sizes += [outer(child, down) for child in item.children]
    sizes += [(0.0, BEND)] * len(exits)
    placed = layered(sizes, links, gap, space, len(entries), len(exits))
    top = item.parent is None
    head, pad = (0.0, 0.0) if top else (HEAD + 8, 16.0)
    wide, high = (placed.breadth, placed.length) if down else (placed.length, placed.breadth)
    item.w, item.h = wide + 2 * pad, high + head + pad
    if not top:
        item.w = max(item.w, min(words.width(item.title, 14), LONG) + 60)
    before, aside = (head, pad) if down else (pad, head)
    middle = (item.w if down else item.h) / 2
    for i, child in enumerate(item.children):
        k = len(entries) + i
        length, breadth = sizes[k]
        along = placed.along[k] - length / 2 + before
        across = placed.across[k] - breadth / 2 + aside
        child.x, child.y = (across, along) if down else (along, across)
    item.entries = {s: placed.across[k] + aside - middle for s, k in entries.items()}
    item.exits = {s: placed.across[total + k] + aside - middle for s, k in exits.items()}
    far = item.h if down else item.w
    for hop, link, bends in zip(hops, links, placed.bends):
        way = [(along + before, at) for start, stop, at in bends for along in (start, stop)]
        if hop.a is None:
            at = placed.across[link.a]
            way = [(0.0, at), (placed.first + before, at), *way]
        if hop.b is None:
            at = placed.across[link.b]
            way += [(placed.last + before, at), (far, at)]
        hop.points = [(at + aside, along) if down else (along, at + aside) for along, at in way]


def _first(hops: list[Hop], end: str) -> list[tuple[int, Hop]]:
    """The hops that come from outside (end "a") or go there ("b"), one for each source."""
    found: dict[int, Hop] = {}
    for hop in hops:
        if getattr(hop, end) is None:
            found.setdefault(id(hop.source), hop)
    return list(enumerate(found.values()))


def _settle(item: Item, x: float, y: float, items: list[Item]) -> None:
    """From places within the parent to places on the page."""
    item.x += x
    item.y += y
    items.append(item)
    for hop in item.hops.values():
        hop.points = [(px + item.x, py + item.y) for px, py in hop.points]
    for child in item.children:
        _settle(child, item.x, item.y, items)


def card(item: Item, down: bool) -> tuple[float, float]:
    """The upper left corner of a box itself, beside or below its bubble."""
    if not item.pill:
        return item.x, item.y
    if down:
        return item.x + max(0.0, (item.pill_w - item.w) / 2), item.y + PILL_H + STEM
    return item.x + item.pill_w + STEM, item.y


def bubble(item: Item, down: bool) -> tuple[float, float]:
    """The middle of a box's bubble."""
    x, y = card(item, down)
    if down:
        return x + item.w / 2, item.y + PILL_H / 2
    return item.x + item.pill_w / 2, y + item.h / 2


def _ends(wire: Wire, down: bool) -> None:
    """The whole way of a wire, from where it leaves its first box to where it enters its last."""
    x, y = card(wire.a, down)
    start = (x + wire.a.w / 2, y + wire.a.h) if down else (x + wire.a.w, y + wire.a.h / 2)
    wire.points = [start, *(point for hop in wire.hops for point in hop.points)]
    wire.points.append(_entry(wire, down))


def _entry(wire: Wire, down: bool) -> tuple[float, float]:
    """Where a wire enters: at the bubble, a little to the side that it comes from."""
    item = wire.b
    x, y = bubble(item, down) if item.pill else (item.x + item.w / 2, item.y + item.h / 2)
    from_x, from_y = wire.points[-1]
    aside = 0.12 * (from_x - x if down else from_y - y)
    aside = min(max(aside, -ENTRY), ENTRY) + (7.0 * wire.twin if wire.twin else 0.0)
    if not item.pill:
        return (x + aside, item.y) if down else (item.x, y + aside)
    bow = 0.0
    if item.pill_w <= PILL_H:  # a circle
        bow = PILL_H / 2 - ((PILL_H / 2) ** 2 - min(abs(aside), PILL_H / 2) ** 2) ** 0.5
    return (x + aside, item.y + bow) if down else (item.x + bow, y + aside)


def curve(points: list[tuple[float, float]], down: bool) -> str:
    """A smooth SVG path through points, leaving and entering along the ranks."""
    parts = [f"M{_n(points[0][0])} {_n(points[0][1])}"]
    for (x0, y0), (x1, y1) in pairwise(points):
        if (abs(x0 - x1) if down else abs(y0 - y1)) < 0.5:
            parts.append(f"L{_n(x1)} {_n(y1)}")
        elif down:
            middle = (y0 + y1) / 2
            parts.append(f"C{_n(x0)} {_n(middle)} {_n(x1)} {_n(middle)} {_n(x1)} {_n(y1)}")
        else:
            middle = (x0 + x1) / 2
            parts.append(f"C{_n(middle)} {_n(y0)} {_n(middle)} {_n(y1)} {_n(x1)} {_n(y1)}")
    return "".join(parts)


def _n(x: float) -> str:
    return f"{x:.1f}".rstrip("0").rstrip(".")

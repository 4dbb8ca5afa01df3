"""Where everything of a scene stands on the page: boxes within boxes, and the edges between them.

Each open group is a layered drawing of its own (layout.py) and a box of the drawing around it.
What it is not: no SVG, no colours. `assets/show.js` holds the same, for what is opened in the page.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from rnn.inspect import words
from rnn.inspect.layout import Link, layered
from rnn.inspect.scene import Group, Row, Scene

#: sizes of the parts of a box
SCALAR_W, SCALAR_H = 124.0, 54.0
ROW_W, ROW_H = 172.0, 84.0
GROUP_W, GROUP_H = 180.0, 70.0
HEAD, PAD, CELL_W, CELL_H = 26.0, 12.0, 60.0, 34.0
PILL_H, STEM = 24.0, 9.0
#: how far from a bubble's middle an edge may enter
ENTRY = 8.0
#: a drawing from left to right that is wider than this runs downwards
WIDE = 1500.0
#: rows and columns that an open tensor shows at once
GRID = 8


@dataclass
class Item:
    """A box on the page: a row, or a group with what is in it. x, y: its upper left corner."""

    row: int = -1
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
    at: float = 0.0  # its middle across the ranks, from its parent's middle
    parent: Item | None = None
    children: list[Item] = field(default_factory=list)
    links: list[tuple[Item, Item, Wire]] = field(default_factory=list)


@dataclass
class Wire:
    """An edge on the page: from one box to another, for `links` of the scene."""

    a: Item
    b: Item
    links: list[int]
    twin: int = 0  # 0, 1, ... among the edges of the same two boxes
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
                child = _row_item(scene, member)
                visible[member] = child
            else:
                child = Item(group=member, open=id(member) in scene.open, title=member.name)
                if child.open:
                    stack.append(child)
                else:
                    _size_group(child, scene)
                    visible.update(dict.fromkeys(member.rows, child))
            child.parent = parent
            parent.children.append(child)


def _row_item(scene: Scene, i: int) -> Item:
    row = scene.rows[i]
    item = Item(row=i, title=row.title, note=row.note, pill=row.glyph)
    if item.pill:
        item.pill_w = max(PILL_H, words.width(item.pill, 13) + 14)
    if row.scalar:
        item.h = SCALAR_H
        needed = words.width(item.title, 15) + words.width(item.note, 11) + 32
        item.w = min(max(SCALAR_W, needed), 190.0)
    elif i in scene.open_rows:
        item.open = True
        rows, columns = grid(row)
        heading = words.width(item.title, 14) + words.width(item.note, 11) + 20
        item.w = max(columns * CELL_W, heading) + 2 * PAD
        item.h = HEAD + rows * CELL_H + PAD
    else:
        item.w, item.h = ROW_W, ROW_H
    return item


def grid(row: Row) -> tuple[int, int]:
    """Rows and columns of an open tensor, as many as are shown."""
    columns = row.shape[-1] if row.shape else 1
    return min(row.count // max(columns, 1), GRID), min(columns, GRID)


def _size_group(item: Item, scene: Scene) -> None:
    assert item.group is not None
    rows = [scene.rows[i] for i in item.group.rows]
    item.w, item.h = GROUP_W, GROUP_H
    operations = sum(row.spans for row in rows if not row.leaf)
    nodes = sum(row.count for row in rows)
    item.note = f"{words.count(operations)} ops \u00b7 {words.count(nodes)} nodes"


# ---- edges --------------------------------------------------------------------------------------


def _wires(scene: Scene, visible: dict[int, Item]) -> list[Wire]:
    """One wire for each pair of boxes (two where a scalar uses another twice), given to the
    innermost open group that holds both ends."""
    found: dict[tuple[int, int, int], Wire] = {}
    for k, (operand, user) in enumerate(scene.links):
        a, b = visible[operand], visible[user]
        if a is b:
            continue
        twice = 0
        if b.row >= 0 and a.row >= 0 and scene.rows[b.row].scalar and scene.rows[a.row].scalar:
            while (id(a), id(b), twice) in found:
                twice += 1
        wire = found.get((id(a), id(b), twice))
        if wire is not None:
            wire.links.append(k)
            continue
        wire = found[(id(a), id(b), twice)] = Wire(a, b, [k], twice)
        start, end = a, b
        depth_a, depth_b = _depth(a), _depth(b)
        while depth_a > depth_b and start.parent is not None:
            start, depth_a = start.parent, depth_a - 1
        while depth_b > depth_a and end.parent is not None:
            end, depth_b = end.parent, depth_b - 1
        while start.parent is not end.parent:
            assert start.parent is not None and end.parent is not None
            start, end = start.parent, end.parent
        assert start.parent is not None
        start.parent.links.append((start, end, wire))
    return list(found.values())


def _depth(item: Item) -> int:
    depth = 0
    while item.parent is not None:
        item, depth = item.parent, depth + 1
    return depth


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
    number = {id(child): i for i, child in enumerate(item.children)}
    links = [
        Link(number[id(a)], number[id(b)], _within(wire.a, a), _within(wire.b, b))
        for a, b, wire in item.links
    ]
    gap, space = (46.0, 22.0) if down else (58.0, 18.0)
    placed = layered([outer(child, down) for child in item.children], links, gap, space)
    top = item.parent is None
    head, pad = (0.0, 0.0) if top else (HEAD + 8, 16.0)
    wide, high = (placed.breadth, placed.length) if down else (placed.length, placed.breadth)
    item.w, item.h = wide + 2 * pad, high + head + pad
    if not top:
        item.w = max(item.w, words.width(item.title, 14) + 60)
    middle = (head - pad) / 2 if not down else 0.0
    for i, child in enumerate(item.children):
        length, breadth = outer(child, down)
        along, across = placed.along[i] - length / 2, placed.across[i] - breadth / 2
        child.x, child.y = (across + pad, along + head) if down else (along + pad, across + head)
        child.at = placed.across[i] - placed.breadth / 2 + middle
    for (_, _, wire), bends in zip(item.links, placed.bends):
        for start, end, across in bends:
            for along in (start, end):
                point = (across + pad, along + head) if down else (along + pad, across + head)
                wire.points.append(point)


def _within(item: Item, ancestor: Item) -> float:
    """How far a box's middle lies from an ancestor's, across the ranks."""
    at = 0.0
    while item is not ancestor:
        at += item.at
        assert item.parent is not None
        item = item.parent
    return at


def _settle(item: Item, x: float, y: float, items: list[Item]) -> None:
    """From places within the parent to places on the page."""
    item.x += x
    item.y += y
    items.append(item)
    for _, _, wire in item.links:
        wire.points = [(px + item.x, py + item.y) for px, py in wire.points]
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
    """Adds where a wire leaves its first box and its groups, and where it enters its last."""
    x, y = card(wire.a, down)
    start = (x + wire.a.w / 2, y + wire.a.h) if down else (x + wire.a.w, y + wire.a.h / 2)
    first = [start]
    common = _common(wire.a, wire.b)
    box = wire.a.parent
    while box is not None and box is not common:
        first.append((start[0], box.y + box.h) if down else (box.x + box.w, start[1]))
        box = box.parent
    wire.points = first + wire.points
    end = _entry(wire, down)
    last = [end]
    box = wire.b.parent
    while box is not None and box is not common:
        last.append((end[0], box.y) if down else (box.x, end[1]))
        box = box.parent
    wire.points += last[::-1]


def _common(a: Item, b: Item) -> Item | None:
    above = set()
    box = a.parent
    while box is not None:
        above.add(id(box))
        box = box.parent
    box = b.parent
    while box is not None and id(box) not in above:
        box = box.parent
    return box


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

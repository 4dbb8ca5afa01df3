"""Where the local derivatives of a drawing stand: each beside its own edge, upon nothing else.

A label has a few places along the first two stretches of its edge: on either side of it and, where
these are crowded, upon it. It takes the one that costs least: free of boxes and of other labels,
crossed by no other edge, and nearer to its own edge than to any other. What it is not: no SVG.
`assets/show.js` holds the same, line for line; a test holds one to the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from rnn.inspect import words
from rnn.inspect.view import PILL_H, View, bubble, card

#: a text's size, and how far it reaches above and below the line that it is written on
SIZE, ASCENT, DESCENT = 11.0, 8.5, 2.5
#: between two points at which an edge is looked at
STEP = 4.0
#: how far around a label edges are looked for, and the squares in which they are found
AROUND, SQUARE = 24.0, 32.0
#: rounds over all labels: in the second it is known where all others stand
ROUNDS = 2
#: what it costs to lie upon a box or a label, across another edge, and no nearer to its own than to
#: another; to have another almost as near
UPON, CROSSED, ASTRAY, NEAR = 100.0, 20.0, 30.0, 4.0
#: what it costs to stand further along the edge; on the side to which it turns; further away; and
#: to hide a step of its own edge
FURTHER, INSIDE, AWAY, HIDDEN = 0.5, 0.3, 2.0, 1.5
#: where upon the first stretch of an edge a label may lie
PARTS = (0.5, 0.65, 0.35, 0.8)

#: left, top, right, bottom
Area = tuple[float, float, float, float]
Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Label:
    """A place of a text: where it is anchored ("", "middle", "end"), and what it covers."""

    x: float
    y: float
    anchor: str
    area: Area
    cost: float


class _Field:
    """What stands on the page: boxes, edges and the labels so far."""

    def __init__(self, view: View) -> None:
        self.down = view.down
        self.boxes: list[Area] = []
        for item in view.items[1:]:
            if item.children:
                continue
            x, y = card(item, view.down)
            self.boxes.append((x, y, x + item.w, y + item.h))
            if item.pill:
                x, y = bubble(item, view.down)
                half, high = item.pill_w / 2, PILL_H / 2
                self.boxes.append((x - half, y - high, x + half, y + high))
        self.ways = [list(_points(wire.points, view.down)) for wire in view.wires]
        self.squares: dict[tuple[int, int], list[tuple[int, float, float]]] = {}
        for k, way in enumerate(self.ways):
            for x, y in way:
                at = math.floor(x / SQUARE), math.floor(y / SQUARE)
                self.squares.setdefault(at, []).append((k, x, y))
        self.labels: dict[int, Label] = {}

    def best(self, k: int, places: list[Label]) -> Label:
        """The place that costs the edge `k` least."""
        found, least = places[0], math.inf
        lefts, tops, rights, bottoms = zip(*(label.area for label in places))
        whole = min(lefts), min(tops), max(rights), max(bottoms)
        others = (other.area for i, other in self.labels.items() if i != k)
        taken = [area for area in (*self.boxes, *others) if _meet(whole, area)]
        for label in sorted(places, key=lambda label: label.cost):
            if label.cost >= least:
                break
            cost = label.cost + UPON * sum(_meet(label.area, area) for area in taken)
            if cost < least:
                cost += self.cost(k, label.area)
            if cost < least:
                found, least = label, cost
        return found

    def cost(self, k: int, area: Area) -> float:
        """What the edges around cost a label of the edge `k`."""
        left, top, right, bottom = area
        x, y = (left + right) / 2, (top + bottom) / 2
        own = nearest = math.inf
        cost = 0.0
        crossed = set()
        for i, px, py in self._near(area):
            inside = left - 1 < px < right + 1 and top - 1 < py < bottom + 1
            far = math.hypot(px - x, py - y)
            if i == k:
                own = min(own, far)
                cost += HIDDEN * inside
                continue
            nearest = min(nearest, far)
            if inside:
                crossed.add(i)
        astray = ASTRAY if nearest < own + 1 else NEAR if nearest < own + 5 else 0.0
        return cost + CROSSED * len(crossed) + astray

    def _near(self, area: Area) -> Iterator[tuple[int, float, float]]:
        left, top = (math.floor((at - AROUND) / SQUARE) for at in area[:2])
        right, bottom = (math.floor((at + AROUND) / SQUARE) for at in area[2:])
        for i in range(left, right + 1):
            for j in range(top, bottom + 1):
                yield from self.squares.get((i, j), ())


def place_labels(view: View, texts: Mapping[int, str]) -> dict[int, Label]:
    """The places of texts beside edges, by the edges' numbers among the view's wires."""
    if not texts:
        return {}
    field = _Field(view)
    for _ in range(ROUNDS):
        for k, text in texts.items():
            points, w, way = view.wires[k].points[:3], words.width(text, SIZE), field.ways[k]
            beside = _left_and_right if view.down else _above_and_below
            places = [*beside(points, w, way), *_upon(points, w, way, view.down)]
            field.labels[k] = field.best(k, places)
    return field.labels


def _above_and_below(points: Points, w: float, way: Points) -> Iterator[Label]:
    """Places above and below an edge that goes from left to right."""
    (x0, y0), (x1, y1) = points[:2]
    places = [(x0 + 6, ""), (x1 - 4, "end"), ((x0 + x1) / 2, "middle")]
    if len(points) > 2:
        places.append((x1 + 8, ""))
    for further, (x, anchor) in enumerate(places):
        left = x - (w if anchor == "end" else w / 2 if anchor else 0.0)
        near = [py for px, py in way if left - 2 <= px <= left + w + 2] or [y0]
        for above in (True, False):
            inside = INSIDE if above == (y1 < y0 - 0.5) else 0.0
            for away in (0.0, 8.0):
                y = min(near) - 6 - away if above else max(near) + 15 + away
                area = left, y - ASCENT, left + w, y + DESCENT
                yield Label(x, y, anchor, area, further * FURTHER + inside + away / 8 * AWAY)


def _left_and_right(points: Points, w: float, way: Points) -> Iterator[Label]:
    """Places at the right and at the left of an edge that goes downwards."""
    (x0, y0), (x1, y1) = points[:2]
    places = [y0 + 15, y1 - 5, (y0 + y1) / 2 + 4]
    if len(points) > 2:
        places.append(y1 + 15)
    for further, y in enumerate(places):
        near = [px for px, py in way if y - ASCENT - 2 <= py <= y + DESCENT + 2] or [x0]
        for right in (True, False):
            inside = INSIDE if right == (x1 > x0 + 0.5) else 0.0
            for away in (0.0, 8.0):
                x = max(near) + 7 + away if right else min(near) - 7 - away
                left = x if right else x - w
                area = left, y - ASCENT, left + w, y + DESCENT
                cost = further * FURTHER + inside + away / 8 * AWAY
                yield Label(x, y, "" if right else "end", area, cost)


def _upon(points: Points, w: float, way: Points, down: bool) -> Iterator[Label]:
    """Places upon an edge."""
    start, end, *rest = (point[down] for point in points)
    places = [start + (end - start) * part for part in PARTS] + [(end + far) / 2 for far in rest]
    for further, at in enumerate(places):
        x, y = min(way, key=lambda p: abs(p[down] - at))
        area = x - w / 2, y + 3 - ASCENT, x + w / 2, y + 3 + DESCENT
        yield Label(x, y + 3, "middle", area, further * FURTHER)


def _meet(a: Area, b: Area) -> bool:
    return a[0] < b[2] + 2 and b[0] < a[2] + 2 and a[1] < b[3] and b[1] < a[3]


def _points(points: Points, down: bool) -> Iterator[tuple[float, float]]:
    """Points of an edge's curve (view.curve), no further than a step from each other."""
    for (x0, y0), (x1, y1) in pairwise(points):
        n = math.ceil(max(abs(x1 - x0), abs(y1 - y0)) / STEP) + 1
        for i in range(n + 1):
            t = i / n
            ahead = 1.5 * t * (1 - t) + t * t * t  # both control points are in the middle
            aside = t * t * (3 - 2 * t)
            u, v = (aside, ahead) if down else (ahead, aside)
            yield x0 + (x1 - x0) * u, y0 + (y1 - y0) * v

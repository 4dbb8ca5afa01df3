"""A scene as a static SVG: no script, no identifier, nothing fetched; light and dark by itself.

`assets/show.js` draws the same boxes for the page. What it is not: no layout (view.py).
"""

from __future__ import annotations

import html
import re
import secrets
from importlib import resources

from rnn.inspect import words
from rnn.inspect.labels import place_labels
from rnn.inspect.rows import Row
from rnn.inspect.scene import Scene
from rnn.inspect.view import (
    CELL_H,
    HEAD,
    PAD,
    PILL_H,
    Item,
    View,
    Wire,
    bubble,
    card,
    curve,
    grid,
)

MARGIN, LEGEND = 24.0, 40.0
#: a drawing of no more wires than this shows their local derivatives
LABELLED = 80


def to_svg(view: View) -> str:
    """The SVG text of a view."""
    scene, name = view.scene, "rnn-" + secrets.token_hex(5)
    w, h = max(view.w, 340.0) + 2 * MARGIN, view.h + 2 * MARGIN + LEGEND
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="rnn {name}" role="img" '
        f'width="{w:.0f}" height="{h:.0f}" viewBox="0 0 {w:.0f} {h:.0f}" '
        f'style="max-width:100%;height:auto" aria-label="{escape(summary(scene))}">',
        f"<title>{escape(summary(scene))}</title>",
        f"<style>{_style(name)}</style>",
        f'<rect class="paper" width="{w:.0f}" height="{h:.0f}" rx="12"/>',
        f'<g transform="translate({MARGIN + max(0.0, (340 - view.w) / 2):.1f} {MARGIN})">',
    ]
    boxes = view.items[1:]
    groups = [item for item in boxes if item.group is not None and item.open]
    parts += [_open_group(item) for item in groups]
    known, nothing = flows(view), (None, None)
    parts += [_wire(wire, view, known.get(id(wire), nothing)[1]) for wire in view.wires]
    parts += [_head(item) for item in groups]
    parts += [_box(item, view) for item in boxes if not (item.group is not None and item.open)]
    if len(view.wires) <= LABELLED:
        parts += _locals(view, known)
    parts.append("</g>")
    parts.append(_legend(scene, MARGIN, h - MARGIN))
    parts.append("</svg>")
    return "".join(parts)


def summary(scene: Scene) -> str:
    """A sentence about the graph, for those who do not see it."""
    root = scene.rows[scene.roots[0]] if scene.roots else None
    name = f" of {root.name}" if root is not None and root.name else ""
    nodes = "1 scalar node" if scene.nodes == 1 else f"{scene.nodes:,} scalar nodes"
    if scene.spans == 1:
        return f"Computation graph{name}: {nodes}, a leaf"
    return f"Computation graph{name}: {nodes} in {scene.spans:,} operations and leaves"


def escape(text: str) -> str:
    """A text as XML and HTML hold it, in an element or in quotes."""
    return html.escape(words.printable(text))


def _style(name: str) -> str:
    """The rules of show.css that a static drawing needs, colours written out, for this one only."""
    sheet = resources.files("rnn.inspect").joinpath("assets/show.css").read_text()
    palettes = [dict(re.findall(r"(--[\w-]+): (#\w+);", sheet.split(f"/* palette {theme} */")[1]
                                .split("}")[0])) for theme in ("light", "dark")]  # fmt: skip
    rules = sheet.split("/* drawing */")[1].split("/* page */")[0]
    rules = re.sub(r"\s+", " ", rules).replace(".rnn ", "")

    def themed(palette: dict[str, str], rules: str) -> str:
        return re.sub(r"var\((--[\w-]+)\)", lambda m: palette[m[1]], rules)

    def scoped(rules: str) -> str:
        return re.sub(
            r"([^{}]+)\{([^{}]*)\}",
            lambda m: ",".join(f".{name} {s.strip()}" for s in m[1].split(",")) + f"{{{m[2]}}}",
            rules,
        )

    coloured = "".join(
        f"{selector}{{{';'.join(c for c in body.split(';') if 'var(' in c)}}}"
        for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", rules)
        if "var(" in body
    )
    dark = scoped(themed(palettes[1], coloured))
    return scoped(themed(palettes[0], rules)) + f"@media(prefers-color-scheme:dark){{{dark}}}"


# ---- boxes --------------------------------------------------------------------------------------


def _box(item: Item, view: View) -> str:
    scene = view.scene
    x, y = card(item, view.down)
    parts = [f"<g><title>{escape(_tooltip(item, view))}</title>"]
    if item.pill:
        parts.append(_bubble(item, view.down))
    if item.group is not None:
        parts.append(_closed_group(item, scene, x, y))
    else:
        row = scene.rows[item.row]
        root = " root" if item.row in scene.roots else ""
        parts.append(_rect(x, y, item.w, item.h, 9, "card" + root))
        if row.scalar:
            parts.append(_scalar(item, row, scene, x, y))
        elif item.open:
            parts.append(_grid(item, row, scene, x, y))
        else:
            parts.append(_folded(item, row, scene, x, y))
    parts.append("</g>")
    return "".join(parts)


def _tooltip(item: Item, view: View) -> str:
    if item.group is not None:
        return f"{item.title} ({item.group.kind}): {item.note}"
    row = view.scene.rows[item.row]
    parts = [f"{item.title}: {row.op}", f"node {row.id}"]
    if not row.scalar:
        parts.append(f"shape {list(row.shape)}")
    if row.scalar and row.dense >= 0:
        grad = float(view.scene.grads[row.dense])
        parts.append(f"value {float(view.scene.values[row.dense])!r}")
        parts.append(f"gradient {grad!r}" if grad == grad or row.largest_grad is not None else "")
    parts += [p for p in (row.module, row.line) if p]
    return ", ".join(p for p in parts if p)


def _bubble(item: Item, down: bool) -> str:
    x, y = bubble(item, down)
    left, top = x - item.pill_w / 2, y - PILL_H / 2
    stem = (x, y + PILL_H / 2, x, y + PILL_H / 2 + 9) if down else (
        left + item.pill_w, y, left + item.pill_w + 9, y)  # fmt: skip
    kind = "glyph sign" if item.pill in "+\u2212\u00d7\u00f7\u00b1\u03a3\u221a" else "glyph"
    return (
        _path(f"M{stem[0]:.1f} {stem[1]:.1f}L{stem[2]:.1f} {stem[3]:.1f}", "stem")
        + _rect(left, top, item.pill_w, PILL_H, PILL_H / 2, "bubble")
        + _text(x, y + (5.5 if "sign" in kind else 4.5), item.pill, f"{kind} middle")
    )


def _title(title: str, x: float, y: float, room: float) -> str:
    """A short name as mathematics writes it, a longer one as a program does."""
    if len(title) <= 3 and title[:1].isalpha() and "." not in title:
        return _text(x, y + 1, title, "math")
    return _text(x, y, words.shorten(title, room, 13 * words.BOLD), "title")


def _scalar(item: Item, row: Row, scene: Scene, x: float, y: float) -> str:
    value = float(scene.values[row.dense]) if row.dense >= 0 else row.largest_value
    grad = None if row.largest_grad is None or row.dense < 0 else float(scene.grads[row.dense])
    middle, rule, bottom = x + item.w / 2, y + 25, y + item.h
    right = x + item.w
    corner = f"M{middle:.1f} {rule:.1f}H{right:.1f}V{bottom - 9:.1f}q0 9 -9 9H{middle:.1f}Z"
    note, room = words.shorten(item.note, item.w - 30, 11), item.w / 2 - 6
    return (
        _tint(corner, grad, scene)
        + _path(f"M{x:.1f} {rule:.1f}H{right:.1f}M{middle:.1f} {rule:.1f}V{bottom:.1f}", "rule")
        + _title(item.title, x + 10, y + 17, item.w - 20 - words.width(note, 11))
        + (_text(right - 10, y + 17, note, "note end") if note else "")
        + _text(x + item.w / 4, rule + 19.5, words.fitting(value, room, 14), "middle")
        + _text(
            x + item.w * 3 / 4, rule + 19.5, words.fitting(grad, room, 14), _ink(grad) + " middle"
        )
    )


def _folded(item: Item, row: Row, scene: Scene, x: float, y: float) -> str:
    inner = item.w - 2 * PAD
    note_w = words.width(item.note, 11)
    if row.spans > 1:
        parts = [
            _title(item.title, x + PAD, y + 18, inner),
            _text(x + PAD, y + 33, words.shorten(item.note, inner, 11), "note"),
            _text(x + PAD, y + 46, words.shorten(row.caption, inner, 10), "tiny"),
        ]
    else:
        parts = [
            _title(item.title, x + PAD, y + 18, inner - note_w - 8),
            _text(x + item.w - PAD, y + 18, item.note, "note end"),
            histogram(row.value_strip, x + PAD, y + 27, inner, 20.0),
        ]
    parts += [
        strip(row.grad_strip, x + PAD, y + 51, inner, 9.0, scene),
        _text(x + PAD, y + 75, f"|x| \u2264 {words.number(row.largest_value)}", "tiny"),
        _text(x + item.w - PAD, y + 75, _most(row.largest_grad), "tiny end"),
    ]
    return "".join(parts)


def _most(grad: float | None) -> str:
    return "no gradient" if grad is None else f"|\u2207| \u2264 {words.number(grad)}"


def _grid(item: Item, row: Row, scene: Scene, x: float, y: float) -> str:
    rows, columns = grid(row)
    width = row.shape[-1] if row.shape else 1
    inner = item.w - 2 * PAD
    cell_w = inner / columns
    parts = [
        _title(item.title, x + PAD, y + 18, inner - words.width(item.note, 11) - 8),
        _text(x + item.w - PAD, y + 18, item.note, "note end"),
    ]
    for i in range(rows):
        for j in range(columns):
            at = row.dense + i * width + j
            value, grad = float(scene.values[at]), float(scene.grads[at])
            left, top = x + PAD + j * cell_w, y + HEAD + i * CELL_H
            shown = None if row.largest_grad is None else grad
            box = f"M{left:.1f} {top:.1f}h{cell_w:.1f}v{CELL_H}h{-cell_w:.1f}Z"
            parts.append(_tint(box, shown, scene))
            parts.append(_path(box, "rule"))
            middle, kind = left + cell_w / 2, f"tiny {_ink(shown)} middle"
            above, below = (
                words.fitting(x, cell_w - 4, size, 3) for x, size in ((value, 12), (shown, 10))
            )
            parts.append(_text(middle, top + 15, above, "small middle"))
            parts.append(_text(middle, top + 28, below, kind))
    return "".join(parts)


def _closed_group(item: Item, scene: Scene, x: float, y: float) -> str:
    assert item.group is not None
    rows = [scene.rows[i] for i in item.group.rows]
    grads = [row.largest_grad for row in rows if row.largest_grad is not None]
    largest = max(grads, default=None)
    inner = item.w - 2 * PAD
    return (
        _rect(x + 6, y + 6, item.w, item.h, 9, "behind")
        + _rect(x + 3, y + 3, item.w, item.h, 9, "behind")
        + _rect(x, y, item.w, item.h, 9, "card")
        + _title(item.title, x + PAD, y + 19, inner)
        + _text(x + PAD, y + 36, item.note, "note")
        + strip(profile(grads), x + PAD, y + 44, inner, 7.0, scene)
        + _text(x + item.w - PAD, y + 63, _most(largest), "tiny end")
        + _text(x + PAD, y + 63, "folded", "tiny")
    )


def profile(grads: list[float]) -> list[float]:
    """The largest gradients of a group's rows in tape order, in at most 24 buckets."""
    if len(grads) <= 24:
        return grads
    return [max(grads[i * len(grads) // 24 : (i + 1) * len(grads) // 24]) for i in range(24)]


def _open_group(item: Item) -> str:
    box = _rect(item.x, item.y, item.w, item.h, 12, "group")
    return f"<g><title>{escape(item.title)}</title>{box}</g>"


def _head(item: Item) -> str:
    """What is written in an open group, above the edges that pass."""
    title = words.shorten(item.title, item.w - 28, 13 * words.BOLD)
    taken = words.width(title, 13 * words.BOLD)
    fits = taken + words.width(item.note, 11) < item.w - 70
    note = _text(item.x + item.w - 14, item.y + 20, item.note, "note head end") if fits else ""
    return _text(item.x + 14, item.y + 20, title, "title head") + note


# ---- small pictures -----------------------------------------------------------------------------


def histogram(bins: list[float], x: float, y: float, w: float, h: float) -> str:
    """The distribution of a tensor's values."""
    step = w / max(len(bins), 1)
    path = ""
    for i, b in enumerate(bins):
        if b > 0:
            high = max(b * h, 1.0)
            path += f"M{x + i * step:.1f} {y + h:.1f}v{-high:.1f}h{step - 1:.1f}v{high:.1f}Z"
    return _path(path, "bar") if path else ""


def strip(grads: list[float] | None, x: float, y: float, w: float, h: float, scene: Scene) -> str:
    """A tensor's gradients in order, by colour."""
    if not grads:
        return _path(f"M{x:.1f} {y + h / 2:.1f}h{w:.1f}", "rule")
    step = w / len(grads)
    parts = [_path(f"M{x:.1f} {y:.1f}h{w:.1f}v{h:.1f}h{-w:.1f}Z", "rule")]
    for i, grad in enumerate(grads):
        box = f"M{x + i * step:.1f} {y:.1f}h{step:.2f}v{h:.1f}h{-step:.2f}Z"
        parts.append(_tint(box, grad, scene, 0.95))
    return "".join(parts)


def strength(grad: float, largest: float) -> float:
    """How strongly a gradient is coloured, 0 to 1: its cube root, so that small ones are seen."""
    if not largest > 0 or grad == 0:
        return 0.0
    if largest == float("inf"):
        return 1.0 if abs(grad) == largest else 0.3
    return float(min(1.0, (abs(grad) / largest) ** (1 / 3)))


def _tint(path: str, grad: float | None, scene: Scene, most: float = 0.42) -> str:
    if grad is None or grad == 0:
        return ""
    if grad != grad:
        return f'<path class="bad" fill-opacity=".3" d="{path}"/>'
    opacity = most * strength(grad, scene.largest_grad)
    return f'<path class="{"pos" if grad > 0 else "neg"}" fill-opacity="{opacity:.3f}" d="{path}"/>'


def _ink(grad: float | None) -> str:
    if grad is None:
        return "gnone"
    return "gbad" if grad != grad else "gpos" if grad > 0 else "gneg" if grad < 0 else "gnone"


# ---- edges --------------------------------------------------------------------------------------


#: by a wire's id(): its local derivative, and what it adds to the operand's gradient
Flows = dict[int, tuple[float | None, float | None]]


def flows(view: View) -> Flows:
    """(local derivative, what it adds to the operand's gradient) of the wires between scalars, by
    the wire's id(); the derivative is None where no gradient flows."""
    scene = view.scene
    edges = scene.edges
    if edges is None:
        return {}
    at = {row.dense: i for i, row in enumerate(scene.rows) if row.scalar}
    between: dict[tuple[int, int], list[int]] = {}
    for k, (user, operand) in enumerate(zip(edges.user.tolist(), edges.operand.tolist())):
        if user in at and operand in at:
            between.setdefault((at[operand], at[user]), []).append(k)
    found: Flows = {}
    for wire in view.wires:
        known = between.get((wire.a.row, wire.b.row), [])
        if wire.twin >= len(known):
            continue
        k = known[wire.twin]
        local, grad = float(edges.local[k]), float(scene.grads[int(edges.user[k])])
        if not edges.flows[k]:
            found[id(wire)] = None, 0.0
        else:
            found[id(wire)] = local, None if grad != grad else local * grad
    return found


def _wire(wire: Wire, view: View, gain: float | None) -> str:
    path, scene = curve(wire.points, view.down), view.scene
    if gain is None:
        stroke = 1.5 + min(1.5, 0.25 * (len(wire.links) - 1))
        return f'<path class="wire" stroke-width="{stroke:.2f}" d="{path}"/>'
    kind = "pos" if gain > 0 else "neg" if gain < 0 else "dead"
    strong = strength(gain, scene.largest_grad)
    return (
        f'<path class="wire {kind}" stroke-opacity="{0.35 + 0.5 * strong:.2f}" '
        f'stroke-width="{1.4 + 2.6 * strong:.2f}" d="{path}"/>'
    )


def _locals(view: View, known: Flows) -> list[str]:
    """The local derivatives, beside their edges."""
    flowing = [(k, known.get(id(wire), (None,))[0]) for k, wire in enumerate(view.wires)]
    texts = {k: f"\u00d7{words.number(local)}" for k, local in flowing if local is not None}
    places = place_labels(view, texts)
    return [_text(p.x, p.y, texts[k], f"local {p.anchor}") for k, p in places.items()]


# ---- parts --------------------------------------------------------------------------------------


def _legend(scene: Scene, x: float, y: float) -> str:
    text = "value | gradient" if scene.nodes <= 200 else "values, gradients"
    parts = [_text(x, y, text, "tiny")]
    if scene.largest_grad:
        start, step = x + 104, 9.0
        shown = words.number(scene.largest_grad)
        start += words.width(shown, 10)
        parts.append(_text(start - 6, y, f"\u2212{shown}", "tiny end"))
        for i in range(12):
            t = (i - 5.5) / 5.5
            kind = "pos" if t > 0 else "neg"
            box = f"M{start + i * step:.1f} {y - 8:.1f}h{step}v9h{-step}Z"
            parts.append(f'<path class="{kind}" fill-opacity="{abs(t) ** 0.8:.2f}" d="{box}"/>')
        parts.append(_text(start + 12 * step + 6, y, f"+{shown}", "tiny"))
    return "".join(parts)


def _rect(x: float, y: float, w: float, h: float, r: float, kind: str) -> str:
    size = f'width="{w:.1f}" height="{h:.1f}"'
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" {size} rx="{r:g}"/>'


def _path(d: str, kind: str) -> str:
    return f'<path class="{kind}" d="{d}"/>'


def _text(x: float, y: float, text: str, kind: str) -> str:
    kind = f' class="{kind.strip()}"' if kind.strip() else ""
    return f'<text{kind} x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'

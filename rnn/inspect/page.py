"""A scene as HTML: for a notebook's cell, or a file of its own. Nothing is fetched from anywhere.

The drawing works by assets/show.js. Where scripts do not run (GitHub, a notebook that is not
trusted), the static SVG stands in its place.
"""

from __future__ import annotations

import base64
import json
import math
import secrets
from collections.abc import Sequence
from importlib import resources
from typing import Any

import numpy as np

from rnn.inspect.inside import Inside
from rnn.inspect.rows import Row
from rnn.inspect.scene import Group, Scene
from rnn.inspect.svg import escape, summary, to_svg
from rnn.inspect.view import View


def fragment(view: View, insides: Sequence[Inside] = (), standalone: bool = False) -> str:
    """HTML that draws a view where it stands: an element, its data, and the script."""
    name = "rnn-" + secrets.token_hex(6)
    image = base64.b64encode(to_svg(view).encode()).decode()
    alt = escape(summary(view.scene))
    data = {**scene_data(view.scene), "css": _asset("show.css"), "down": view.down}
    data["standalone"] = standalone
    data["insides"] = {inside.id: _inside(inside) for inside in insides}
    return (
        f'<div data-rnn-drawing="{name}"><img alt="{alt}" style="max-width:100%" '
        f'src="data:image/svg+xml;base64,{image}"></div>\n'
        f'<script type="application/json" data-rnn-data="{name}">{_json(data)}</script>\n'
        f"<script>{_asset('show.js').replace('RNN_DRAWING_NAME', name)}</script>"
    )


def page(view: View, insides: Sequence[Inside] = ()) -> str:
    """One self-contained HTML file."""
    title = escape(summary(view.scene))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
        f"<title>{title}</title>\n<style>html,body{{margin:0;height:100%}}"
        "body>div{height:100%}</style>\n</head>\n<body>\n"
        f"{fragment(view, insides, True)}\n</body>\n</html>\n"
    )


def _asset(name: str) -> str:
    return resources.files("rnn.inspect").joinpath("assets", name).read_text(encoding="utf-8")


def _json(data: Any) -> str:
    """JSON that may stand in a script element: no `<`, no `&`, no bare NaN."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


# ---- the data -----------------------------------------------------------------------------------


def scene_data(scene: Scene) -> dict[str, Any]:
    """What show.js draws: rows, links, the tree, and the scalars with their edges."""
    groups: dict[int, int] = {}
    data: dict[str, Any] = {
        "summary": summary(scene),
        "nodes": scene.nodes,
        "spans": scene.spans,
        "rows": [_row(row) for row in scene.rows],
        "links": _packed(np.array(scene.links, np.uint32).reshape(-1)),
        "roots": scene.roots,
        "reasons": scene.reasons,
        "rootNodes": scene.root_nodes,
        "tree": _tree(scene.top, groups),
        "open": sorted(groups[g] for g in scene.open if g in groups),
        "openRows": sorted(scene.open_rows),
        "openable": sorted(scene.openable),
        "largest": _number(scene.largest_grad),
        "values": _packed(scene.values),
        "grads": _packed(scene.grads),
        "focus": scene.focus,
        "paths": [
            {
                "from": path.nodes[0],
                "product": _number(path.product),
                "share": _number(path.share),
                "nodes": path.nodes,
            }
            for path in scene.paths
        ],
    }
    if scene.edges is not None:
        data["edges"] = {
            "user": _packed(scene.edges.user),
            "operand": _packed(scene.edges.operand),
            "local": _packed(scene.edges.local),
            "flows": _packed(scene.edges.flows),
        }
    data["chosen"] = [
        {
            "id": c.id,
            "row": c.row,
            "value": _number(c.value),
            "grad": _number(c.grad),
            "operands": [[i, _number(local), int(flows)] for i, local, flows in c.operands],
            "uses": None
            if c.uses is None
            else [[i, _number(local), _number(grad)] for i, local, grad in c.uses],
            "operandCount": c.operand_count,
            "useCount": c.use_count,
        }
        for c in scene.chosen.values()
    ]
    return data


def _row(row: Row) -> dict[str, Any]:
    strip = None if row.grad_strip is None else [_number(g) for g in row.grad_strip]
    given = {
        "id": row.id, "n": row.count, "op": row.op, "shape": list(row.shape), "title": row.title,
        "short": row.short, "note": row.note, "pill": row.glyph, "leaf": row.leaf,
        "constant": not row.requires_grad,
        "dense": row.dense, "spans": row.spans, "value": _number(row.largest_value),
        "grad": _number(row.largest_grad), "bins": row.value_strip, "strip": strip,
        "caption": row.caption, "last": row.last if row.spans > 1 else None,
        "leaves": row.leaves or None, "module": row.module, "line": row.line,
        "torch": row.torch, "dtype": row.dtype,
    }  # fmt: skip
    return {k: x for k, x in given.items() if x is not None and x != "" and x is not False}


def _inside(inside: Inside) -> dict[str, Any]:
    data = scene_data(inside.scene)
    data["summary"] = f"{inside.label}, opened: {inside.operations:,} scalar operations"
    return data


def _tree(group: Group, groups: dict[int, int]) -> dict[str, Any]:
    number = groups[id(group)] = len(groups)
    members: Sequence[Any] = [
        member if isinstance(member, int) else _tree(member, groups) for member in group.members
    ]
    return {"id": number, "name": group.name, "kind": group.kind, "members": members}


def _number(x: float | None) -> float | str | None:
    """A number for JSON, which has no infinity: those are strings."""
    if x is None or math.isfinite(x):
        return x
    return "NaN" if x != x else "Infinity" if x > 0 else "-Infinity"


def _packed(array: np.ndarray[Any, Any]) -> str:
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return base64.b64encode(little.tobytes()).decode()

"""A scene in the DOT language, for Graphviz and what reads it: every row, modules as clusters."""

from __future__ import annotations

from rnn.inspect import words
from rnn.inspect.rows import Row
from rnn.inspect.scene import Group, Scene


def to_dot(scene: Scene) -> str:
    """The DOT text of a scene."""
    lines = ["digraph graph_ {", "  rankdir=LR;", '  node [shape=record, fontname="sans-serif"];']
    _group(scene.top, scene, lines, "  ")
    for a, b in scene.links:
        lines.append(f"  n{scene.rows[a].id} -> n{scene.rows[b].id};")
    return "\n".join([*lines, "}", ""])


def _group(group: Group, scene: Scene, lines: list[str], indent: str) -> None:
    for member in group.members:
        if isinstance(member, int):
            row = scene.rows[member]
            lines.append(f'{indent}n{row.id} [label="{_label(row, scene)}"];')
            continue
        lines.append(f"{indent}subgraph cluster_{member.rows[0]}_{len(indent)} {{")
        lines.append(f'{indent}  label="{_escape(member.name)}";')
        _group(member, scene, lines, indent + "  ")
        lines.append(indent + "}")


def _label(row: Row, scene: Scene) -> str:
    parts = [_record(row.title)]
    if not row.leaf:
        parts.append(_record(row.glyph))
    if row.scalar and row.dense >= 0:
        parts.append("data " + words.number(float(scene.values[row.dense])))
        if row.largest_grad is not None:
            parts.append("grad " + words.number(float(scene.grads[row.dense])))
    else:
        parts.append(_record(row.caption or row.note))
        if row.largest_grad is not None:
            parts.append("largest grad " + words.number(row.largest_grad))
    return " | ".join(parts)


def _escape(text: str) -> str:
    text = words.printable(text).replace("\\", "\\\\").replace('"', '\\"')
    return text.replace("\n", " ")


def _record(text: str) -> str:
    text = _escape(text)
    for sign in "{}|<>":
        text = text.replace(sign, "\\" + sign)
    return text

"""A scene as lines of text, for terminals: the tape, folded as the drawing is."""

from __future__ import annotations

from rnn.inspect import words
from rnn.inspect.scene import Group, Scene
from rnn.inspect.svg import strength, summary

BAR = 10


def to_text(scene: Scene) -> str:
    """A line for each box, in tape order: number, name, operation, value, gradient and its size."""
    operands: dict[int, list[str]] = {}
    for a, b in scene.links:
        operands.setdefault(b, []).append(scene.rows[a].name or f"#{scene.rows[a].id}")
    table: list[tuple[str, str, str, str, float | None]] = []
    _group(scene.top, scene, operands, table, "")
    texts = [line[:4] for line in table]
    widths = [max((len(line[k]) for line in texts), default=0) for k in range(4)]
    lines = [summary(scene), ""]
    for number, name, value, grad, size in table:
        bar = "" if size is None else _bar(size, scene.largest_grad)
        text = f"{number:>{widths[0]}}  {name:<{widths[1]}}  {value:>{widths[2]}}"
        lines.append(f"{text}  {grad:>{widths[3]}}  {bar}".rstrip())
    return "\n".join(lines)


def _group(
    group: Group,
    scene: Scene,
    operands: dict[int, list[str]],
    table: list[tuple[str, str, str, str, float | None]],
    indent: str,
) -> None:
    for member in group.members:
        if isinstance(member, int):
            row = scene.rows[member]
            if row.leaf:
                name = row.name or "leaf"
            else:
                made = f"{row.op}({', '.join(operands.get(member, []))})"
                name = f"{row.name} = {made}" if row.name else made
            name = indent + name
            if row.scalar and row.dense >= 0:
                value: float | None = float(scene.values[row.dense])
                grad = None if row.largest_grad is None else float(scene.grads[row.dense])
                texts = words.number(value), words.number(grad)
            else:
                grad = row.largest_grad
                if row.spans > 1:
                    name = f"{indent}\u25b8 {row.caption or row.note}"
                    most = "\u2013" if grad is None else f"|\u2207| \u2264 {words.number(grad)}"
                    table.append((f"#{row.id}", name, row.note, most, grad))
                    continue
                name += f"  [{words.shape(row.shape)}]"
                texts = (
                    f"|x| \u2264 {words.number(row.largest_value)}",
                    ("\u2013" if grad is None else f"|\u2207| \u2264 {words.number(grad)}"),
                )
            table.append((f"#{row.id}", name, *texts, grad))
        else:
            opened = id(member) in scene.open
            rows = [scene.rows[i] for i in member.rows]
            grads = [row.largest_grad for row in rows if row.largest_grad is not None]
            count = f"{words.count(sum(row.count for row in rows))} nodes"
            if opened:
                table.append(("", f"{indent}\u25be {member.name}", "", "", None))
                _group(member, scene, operands, table, indent + "  ")
            else:
                largest = max(grads, default=None)
                text = "\u2013" if largest is None else f"|\u2207| \u2264 {words.number(largest)}"
                table.append(("", f"{indent}\u25b8 {member.name}", count, text, largest))


def _bar(grad: float, largest: float) -> str:
    if grad != grad:
        return "!" * BAR
    full = strength(grad, largest) * BAR
    return "\u2588" * int(full) + ("\u258c" if full - int(full) >= 0.5 else "")

"""Tables for people: numbers in columns, as text and as HTML in which everything is escaped."""

from __future__ import annotations

from collections.abc import Container, Sequence
from html import escape


def number(x: float | None) -> str:
    """Six digits, and never a bare integer: '4.0', '-0.333333', '1.2e-07', 'None'."""
    if x is None:
        return "None"
    text = f"{x:.6g}"
    return text if any(c in text for c in ".en") else text + ".0"


def percent(x: float | None) -> str:
    """A share: '25 %', '0.1 %', '' for None."""
    return "" if x is None else f"{100 * x + 0.0:.3g} %"


class Table:
    """Rows of texts under headings.

    Args:
        title: what stands above.
        headings: of the columns.
        left: the columns that are set flush left; the others, of numbers, are set flush right.
    """

    def __init__(self, title: str, headings: Sequence[str], left: Container[int] = (0,)) -> None:
        self.title, self.headings, self.left = title, tuple(headings), left
        self.rows: list[tuple[str, ...]] = []
        self.foot: list[tuple[str, ...]] = []
        self.notes: list[str] = []

    def add(self, *cells: str) -> None:
        """A row."""
        self.rows.append(cells)

    def add_foot(self, *cells: str) -> None:
        """A row below the line."""
        self.foot.append(cells)

    def text(self) -> str:
        """For a terminal."""
        rows = [self.headings, *self.rows, *self.foot]
        widths = [max(len(row[i]) for row in rows) for i in range(len(self.headings))]
        lines = [self._line(row, widths) for row in rows]
        rule = "  " + "-" * (max(map(len, lines)) - 2)
        body = [lines[0], rule, *lines[1 : 1 + len(self.rows)]]
        if self.foot:
            body += [rule, *lines[1 + len(self.rows) :]]
        if not self.rows and not self.foot:
            body = []
        return "\n".join([self.title, *body, *(f"  {note}" for note in self.notes)])

    def _line(self, row: Sequence[str], widths: Sequence[int]) -> str:
        cells = [
            cell.ljust(width) if i in self.left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths))
        ]
        return ("  " + "   ".join(cells)).rstrip()

    def html(self) -> str:
        """For a notebook: no script, no style sheet, every text escaped."""
        head = self._cells("th", self.headings)
        body = "".join(f"<tr>{self._cells('td', row)}</tr>" for row in self.rows)
        foot = "".join(f"<tr>{self._cells('th', row)}</tr>" for row in self.foot)
        notes = "".join(f"<div>{escape(note)}</div>" for note in self.notes)
        caption = f'<caption style="text-align:left">{escape(self.title)}</caption>'
        table = f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
        return f"{table}<tfoot>{foot}</tfoot></table>{notes}"

    def _cells(self, tag: str, row: Sequence[str]) -> str:
        sides = ["left" if i in self.left else "right" for i in range(len(row))]
        return "".join(
            f'<{tag} style="text-align:{side}">{escape(cell)}</{tag}>'
            for side, cell in zip(sides, row)
        )

"""The words and numbers of a drawing: names, expressions, glyphs, short numbers, widths of text."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

MINUS = "\u2212"

#: what an operation's bubble shows
GLYPHS = {
    "add": "+", "add_scalar": "+", "sub": MINUS, "sub_scalar": MINUS, "rsub_scalar": MINUS,
    "mul": "\u00d7", "mul_scalar": "\u00d7", "div": "\u00f7", "div_scalar": "\u00f7",
    "rdiv_scalar": "\u00f7", "neg": "\u00b1", "pow": "x\u207f", "pow_scalar": "x\u207f",
    "rpow_scalar": "a\u02e3", "sum": "\u03a3", "matmul": "matmul", "square": "x\u00b2",
    "cube": "x\u00b3", "sqrt": "\u221a", "cumsum": "\u03a3\u2026", "reciprocal": "1/x",
    "run": "\u2026",
}  # fmt: skip
_SUPERSCRIPTS = str.maketrans(
    "-.0123456789",
    "\u207b\u00b7\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079",
)


def number(x: float | None, digits: int = 4) -> str:
    """Some digits of a number, as a reader writes it: 0.8814, \u22126.0, 1.2e-5."""
    if x is None:
        return "\u2013"
    if x != x:
        return "NaN"
    sign = MINUS if x < 0 else ""
    x = abs(x)
    if x == math.inf:
        return sign + "\u221e"
    if x == 0:
        return sign + "0.0"
    if x < 1e-3 or x >= 1e6 or (digits < 3 and x >= 1e4):
        mantissa, exponent = f"{x:.{min(digits - 1, 2)}e}".split("e")
        return sign + _tidy(mantissa) + "e" + str(int(exponent)).replace("-", MINUS)
    if x >= 1e4:
        return sign + f"{x:.0f}"
    exponent10 = math.floor(math.log10(x))
    return sign + _tidy(f"{x:.{max(digits - 1 - exponent10, 0)}f}")


def fitting(x: float | None, room: float, size: float, most: int = 4) -> str:
    """As many digits of a number, `most` at most, as there is room for."""
    for digits in range(most, 0, -1):
        text = number(x, digits)
        if width(text, size) <= room:
            break
    return text


def _tidy(text: str) -> str:
    """Without zeros at the end, but with one digit after the point."""
    if "." not in text:
        return text
    text = text.rstrip("0")
    return text + "0" if text.endswith(".") else text


def count(n: int) -> str:
    """A count in few characters: 950, 16.0 k, 124 M."""
    if n < 10_000:
        return f"{n:,}".replace(",", "\u2009")
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if n >= size:
            x = n / size
            return f"{x:.0f}\u2009{unit}" if x >= 100 else f"{x:.1f}\u2009{unit}"
    return str(n)


def shape(sizes: tuple[int, ...]) -> str:
    """'3x4', with the sign of multiplication."""
    return "\u00d7".join(map(str, sizes)) if sizes else "scalar"


def glyph(op: str, parameters: tuple[float, ...]) -> str:
    """What stands in an operation's bubble: a sign, or its name."""
    if op == "pow_scalar" and parameters:
        power = f"{parameters[0]:g}"
        return "x" + power.translate(_SUPERSCRIPTS)
    if op in ("add_scalar", "sub_scalar", "mul_scalar", "div_scalar") and parameters:
        x = parameters[0]
        if op == "add_scalar" and x < 0:
            return MINUS + number(-x)
        return GLYPHS[op] + number(x)
    return GLYPHS.get(op, op)


_SIGNS = {"add": "+", "sub": MINUS, "mul": "\u00b7", "div": "/", "matmul": "@"}
_SUMS = ("+", MINUS)


def expression(
    op: str, parameters: tuple[float, ...], operands: list[str], longest: int = 17
) -> str:
    """'a \u00b7 b' for a product of a and b, where it is short enough, else ''. An operand may be
    an expression itself: 'x1\u00b7w1 + x2\u00b7w2'."""
    text = ""
    sums = op in ("add", "sub", "add_scalar", "sub_scalar")
    if op in _SIGNS and len(operands) == 2:
        a, b = (_operand(x, sums, k == 1) for k, x in enumerate(operands))
        text = f"{a} {_SIGNS[op]} {b}"
    elif op == "pow_scalar" and len(operands) == 1 and parameters:
        text = _operand(operands[0], False, True) + f"{parameters[0]:g}".translate(_SUPERSCRIPTS)
    elif op in ("add_scalar", "sub_scalar", "mul_scalar", "div_scalar") and parameters:
        sign, x = _SIGNS[op.removesuffix("_scalar")], parameters[0]
        if sums and x < 0:
            sign, x = _SUMS[sign == "+"], -x
        if operands:
            text = f"{_operand(operands[0], sums, False)} {sign} {number(x)}"
    elif len(operands) == 1 and op not in GLYPHS:
        text = f"{op}({operands[0]})"
    return text if all(operands) and len(text) <= longest else ""


def _operand(text: str, in_sum: bool, last: bool) -> str:
    """An operand within an expression: closed up, in brackets where the reader needs them."""
    depth, signs = 0, set()
    for k, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if not depth and 0 < k < len(text) - 1 and text[k - 1] == text[k + 1] == " ":
            signs.add(c)
    if not signs:
        return text
    closed = text.replace(" ", "")
    needs = bool(signs & set(_SUMS)) if in_sum and last else not in_sum
    return f"({closed})" if needs else closed


#: what no file format can hold: control characters, halves of surrogate pairs, noncharacters
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    """A text that XML allows and a terminal prints as it is: of control characters the pictures
    (\u241b for an escape), of what has none \ufffd."""
    return _UNPRINTABLE.sub(lambda m: _picture(ord(m[0])), text)


def _picture(code: int) -> str:
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else "\ufffd"


def width(text: str, size: float) -> float:
    """About how wide a text is in a wide sans-serif face (DejaVu's), in the unit of its size."""
    return size * sum(_WIDTHS(c) for c in text)


#: how much wider the letters of a title are than others of its size
BOLD = 1.12


def _make_widths() -> Callable[[str], float]:
    table = dict.fromkeys("ijl.,:;|!'()[]\u2009 ", 0.33) | dict.fromkeys("0123456789", 0.64)
    table |= dict.fromkeys("ftrI/-", 0.42) | {"\u2026": 0.98}
    table |= dict.fromkeys("+=\u2212\u00d7\u2264", 0.88) | dict.fromkeys("mwMW@%", 0.98)
    table |= dict.fromkeys("ABCDEFGHKLNOPQRSTUVXYZ", 0.7)
    return lambda c: table.get(c, 0.61)


_WIDTHS = _make_widths()


def shorten(text: str, room: float, size: float) -> str:
    """The text, or its beginning and its end where it takes more room than there is."""
    if width(text, size) <= room:
        return text
    keep = len(text)
    while keep > 2 and width(text[:keep], size) > room - size * 0.9:
        keep -= 1
    tail = min(keep // 2, 10)
    return text[: keep - tail] + "\u2026" + (text[-tail:] if tail else "")

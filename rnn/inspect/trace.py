"""Where a span was made: the line of Python and the call of a module.

Modules are always known: a span keeps the number of the innermost Module call (rnn/nn/scopes.py).
Lines are known of spans that were made while this thread traced:

    with rnn.trace():
        loss = model(x).square().mean()
    print(rnn.inspect.node(loss).line)  # train.py:31: loss = model(x).square().mean()
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from rnn import _c
from rnn._c import E, check, ffi, lib
from rnn.nn import scopes
from rnn.ops.triangles import trace as diagonal_sum

_Callable = TypeVar("_Callable", bound=Callable[..., Any])


class trace:
    """Lets every node remember the line of Python that makes it, in this thread: a switch, a
    context manager and a decorator.

    The line is that of the innermost frame outside the rnn package. A node's `line`, `explain`,
    `why` and the errors of backward() name it. What was made before has none.

    rnn.trace(matrix), of a Tensor, is the sum of its diagonal, as torch.trace(matrix) is.

    Args:
        lines: False switches it off.

    Example:
        >>> with rnn.trace():
        ...     x = rnn.ones(2, requires_grad=True)
        ...     y = x * 2
        >>> rnn.trace(lines=False)  # a switch: off from here on
        trace(lines=False)
    """

    def __new__(cls, lines: Any = True, *, input: Any = None) -> Any:
        if input is not None or isinstance(lines, _c.Handle):
            return diagonal_sum(lines if input is None else input)
        made = super().__new__(cls)
        if not callable(lines):
            return made
        made.__init__()  # type: ignore[misc]
        return made(lines)

    def __init__(self, lines: bool = True) -> None:
        self.lines = bool(lines)
        self._before = lib.rnn_set_tracing(self.lines)
        self._was: list[int] = []

    def __enter__(self) -> trace:
        was = lib.rnn_set_tracing(self.lines)
        self._was.append(was if self._was else self._before)
        return self

    def __exit__(self, *exception: object) -> None:
        lib.rnn_set_tracing(self._was.pop())
        self._before = lib.rnn_tracing()

    def __call__(self, function: _Callable) -> _Callable:
        lib.rnn_set_tracing(self._before)  # the decorated function alone is traced
        lines = self.lines

        @functools.wraps(function)
        def traced(*args: Any, **kwargs: Any) -> Any:
            was = lib.rnn_set_tracing(lines)
            try:
                return function(*args, **kwargs)
            finally:
                lib.rnn_set_tracing(was)

        return traced  # type: ignore[return-value]

    def __repr__(self) -> str:
        return f"trace(lines={self.lines})"


def is_tracing() -> bool:
    """Whether nodes remember their lines now, in this thread.

    Example:
        >>> with rnn.trace():
        ...     rnn.inspect.is_tracing()
        True
    """
    return bool(lib.rnn_tracing())


# ---- lines --------------------------------------------------------------------------------------


class Line(NamedTuple):
    """A line of Python. str() gives "train.py:31: loss = model(x).mean()"."""

    file: str
    number: int
    function: str

    @property
    def text(self) -> str:
        """Its source, without indentation; "" where it is not to be found."""
        import linecache

        return linecache.getline(self.file, self.number).strip()

    def __str__(self) -> str:
        place = f"{Path(self.file).name}:{self.number}"
        return f"{place}: {self.text}" if self.text else place


#: (file, line, function) -> number, from 1, in that order; csrc/site.c adds to it
_sites: dict[tuple[str, int, str], int] = {}
_lines: list[Line] = []


def line(site: int) -> Line | None:
    """The line of a number that the engine kept; None for 0."""
    if site > len(_lines):
        _lines[:] = [Line(*key) for key in list(_sites)]
    return _lines[site - 1] if site else None


def _text(site: int) -> str:
    return str(line(site) or "")


_c.register_sites(_sites, str(Path(__file__).parents[1]) + os.sep, _text)

# ---- of a span ----------------------------------------------------------------------------------


def describe(span: int) -> Any:
    """What the engine knows of a living span (rnn_span_info of csrc/rnn.h), by its number."""
    info = ffi.new("rnn_span_info *")
    check(lib.rnn_describe(E, span, info))
    return info


def line_of(span: int) -> str | None:
    """The line that made a living span ("train.py:31: loss = ..."), by its number; None where it
    was not traced.
    """
    found = line(describe(span).site)
    return None if found is None else str(found)


def module_of(span: int) -> str | None:
    """The path of the module call in which a living span was made ("h.0.attn.c_proj"; of the
    outermost module's own operations its class name), by its number; None outside of modules.
    """
    found = scopes.scope(describe(span).scope)
    return None if found is None else str(found)


def parameter_names() -> dict[int, str]:
    """Names of the Parameters and buffers of all living modules that were called outermost, by the
    number of their span: "h.0.attn.c_proj.weight".
    """
    names: dict[int, str] = {}
    for root in scopes.roots():
        for path, tensor in [*root.named_parameters(), *root.named_buffers()]:
            if tensor._h:
                names.setdefault(lib.rnn_span_of(tensor._h), path)
    return names

"""What grad_fn shows for a result that several of the engine's operations make: PyTorch's name.

The operations stay what they are (rnn.inspect sees each of them); the last one bears the name, at
tensor resolution, where a user of PyTorch expects it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from rnn._c import E, lib

_P = ParamSpec("_P")
_T = TypeVar("_T")

#: of autograd.Functions and of shown operations, by the number that the engine keeps; 0 is none
names: list[str] = ["CustomBackward", "MulBackward0"]
#: dropout's product, which rnn.inspect knows by this number
DROPOUT = 1
_numbers: dict[str, int] = {}


def number_of(name: str) -> int:
    """The number of a name, which is entered where it is new."""
    if name not in _numbers:
        _numbers[name] = len(names)
        names.append(name)
    return _numbers[name]


def show_as(out: _T, name: str) -> _T:
    """out (a tensor, or a tuple that begins with it), whose grad_fn bears this name from now on.

    Unless others see its nodes too: then it is a view of an operand, and has a name of its own.
    """
    h: Any = getattr(out[0] if isinstance(out, tuple) else out, "_h", 0)
    if h and not lib.rnn_resolution():
        lib.rnn_name_result(E, h, number_of(name))
    return out


def shown_as(name: str) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]:
    """A decorator: show_as for what a function returns. Not for what is also a method: mypy cannot
    follow a decorated function through Tensor's circle of imports.
    """

    def decorate(function: Callable[_P, _T]) -> Callable[_P, _T]:
        @functools.wraps(function)
        def shown(*args: _P.args, **kwargs: _P.kwargs) -> _T:
            return show_as(function(*args, **kwargs), name)

        return shown

    return decorate

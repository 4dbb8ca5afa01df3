"""Resolution: composite functions recorded whole, or as the scalar operations that they mean.

    with rnn.resolution("scalar"):
        y = x.tanh()  # (e^2x - 1) / (e^2x + 1), addition by addition

It belongs to a thread, as grad mode does. Values and gradients are the same at both, to rounding.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from rnn._c import lib

_NAMES = ("tensor", "scalar")
_Callable = TypeVar("_Callable", bound=Callable[..., Any])


def _number(name: str) -> int:
    if name not in _NAMES:
        raise ValueError(f'resolution is "tensor" or "scalar", not {name!r}')
    return _NAMES.index(name)


def get_resolution() -> str:
    """This thread's resolution: "tensor" or "scalar".

    Example:
        >>> rnn.get_resolution()
        'tensor'
    """
    return _NAMES[lib.rnn_resolution()]


def set_resolution(name: str) -> None:
    """Sets this thread's resolution.

    Args:
        name: "tensor" (a composite function is one operation) or "scalar" (it is its parts).

    Raises:
        ValueError: name is neither.

    Example:
        >>> rnn.set_resolution("scalar")
        >>> rnn.get_resolution()
        'scalar'
        >>> rnn.set_resolution("tensor")
    """
    lib.rnn_set_resolution(_number(name))


class resolution:
    """Sets this thread's resolution for a block or a function: a context manager and a decorator.

    Args:
        name: "tensor" or "scalar".

    Raises:
        ValueError: name is neither.

    Example:
        >>> with rnn.resolution("scalar"):
        ...     y = rnn.ones(2, requires_grad=True).sigmoid()
    """

    def __init__(self, name: str) -> None:
        self._scalar = _number(name)
        self._was: list[int] = []

    def __enter__(self) -> None:
        self._was.append(lib.rnn_set_resolution(self._scalar))

    def __exit__(self, *exception: object) -> None:
        lib.rnn_set_resolution(self._was.pop())

    def __call__(self, function: _Callable) -> _Callable:
        name = _NAMES[self._scalar]

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with resolution(name):
                return function(*args, **kwargs)

        return wrapped  # type: ignore[return-value]

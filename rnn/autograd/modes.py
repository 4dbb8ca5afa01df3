"""Grad mode: whether operations are recorded, in this thread (torch.no_grad and its kind).

Each is a context manager and a decorator, of functions, methods and generators.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from rnn._c import lib

_Callable = TypeVar("_Callable", bound=Callable[..., Any])


def is_grad_enabled() -> bool:
    """Whether operations are recorded, in this thread (torch.is_grad_enabled).

    Example:
        >>> with rnn.no_grad():
        ...     rnn.is_grad_enabled()
        False
    """
    return bool(lib.rnn_grad_mode())


def is_inference_mode_enabled() -> bool:
    """Whether this thread is within inference_mode (torch.is_inference_mode_enabled).

    Example:
        >>> rnn.is_inference_mode_enabled()
        False
    """
    return bool(lib.rnn_inference_mode())


class _Mode:
    """A context manager that can be entered again and again, and a decorator."""

    def __enter__(self) -> Any:
        raise NotImplementedError

    def __exit__(self, *exception: object) -> None:
        raise NotImplementedError

    def _again(self) -> _Mode:
        """Another of the same, for one call of a decorated function."""
        return type(self)()

    def __call__(self, function: _Callable) -> _Callable:
        if inspect.isgeneratorfunction(function):
            return _decorate_generator(self._again, function)  # type: ignore[return-value]

        @functools.wraps(function)
        def decorated(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        return decorated  # type: ignore[return-value]


def _decorate_generator(
    again: Callable[[], _Mode], function: Callable[..., Any]
) -> Callable[..., Any]:
    """The mode is on while the generator's body runs, and off while it is suspended."""

    @functools.wraps(function)
    def decorated(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        body = function(*args, **kwargs)
        resume: Callable[[], Any] = functools.partial(next, body)
        while True:
            try:
                with again():
                    given = resume()
            except StopIteration as stop:
                return stop.value
            try:
                sent = yield given
                resume = functools.partial(body.send, sent)
            except GeneratorExit:
                with again():
                    body.close()
                raise
            except BaseException:
                resume = functools.partial(body.throw, sys.exc_info()[1])

    return decorated


class _GradMode(_Mode):
    """Sets grad mode to `_on`; the bare class decorates too: @no_grad as well as @no_grad()."""

    _on = False

    def __new__(cls, function: Any = None) -> Any:
        mode = super().__new__(cls)
        return mode if function is None else mode(function)

    def __init__(self) -> None:
        self._was: list[int] = []

    def __enter__(self) -> None:
        self._was.append(lib.rnn_set_grad_mode(self._on))

    def __exit__(self, *exception: object) -> None:
        lib.rnn_set_grad_mode(self._was.pop())


class no_grad(_GradMode):
    """Nothing is recorded, in this thread (torch.no_grad).

    Example:
        >>> x = rnn.ones(2, requires_grad=True)
        >>> with rnn.no_grad():
        ...     (x * 2).requires_grad
        False
    """


class enable_grad(_GradMode):
    """Operations are recorded again, within no_grad (torch.enable_grad).

    Example:
        >>> x = rnn.ones(1, requires_grad=True)
        >>> with rnn.no_grad(), rnn.enable_grad():
        ...     (2 * x).requires_grad
        True
    """

    _on = True


class set_grad_enabled(_Mode):
    """Sets grad mode at once; as a context manager or decorator, for its extent
    (torch.set_grad_enabled).

    Args:
        mode: whether operations are recorded.

    Example:
        >>> x = rnn.ones(1, requires_grad=True)
        >>> with rnn.set_grad_enabled(False):
        ...     (2 * x).requires_grad
        False
    """

    def __init__(self, mode: bool) -> None:
        if not isinstance(mode, bool):
            raise TypeError(
                "set_grad_enabled(): argument 'enabled' (position 1) must be bool, not "
                + type(mode).__name__
            )
        self.mode = mode
        self.prev = is_grad_enabled()
        lib.rnn_set_grad_mode(self.mode)

    def __call__(self, function: _Callable) -> _Callable:
        lib.rnn_set_grad_mode(self.prev)  # the decorated function alone runs in it
        return super().__call__(function)

    def _again(self) -> _Mode:
        return set_grad_enabled(self.mode)

    def __enter__(self) -> None:
        lib.rnn_set_grad_mode(self.mode)

    def __exit__(self, *exception: object) -> None:
        lib.rnn_set_grad_mode(self.prev)

    def __repr__(self) -> str:
        return f"set_grad_enabled(mode={self.mode})"


class inference_mode(_Mode):
    """Records nothing, as no_grad, and what is made in it belongs to no graph later either
    (torch.inference_mode): outside, a floating-point tensor that was made in it is not written in
    place, does not ask for gradients, and is no operand whose values a backward pass would need.
    A clone is. It is no faster than no_grad.

    Args:
        mode: False switches it off within another inference_mode.

    Example:
        >>> with rnn.inference_mode():
        ...     rnn.ones(1).is_inference()
        True
    """

    def __new__(cls, mode: Any = True) -> Any:
        made = super().__new__(cls)
        if not callable(mode):
            return made
        made.__init__()  # type: ignore[misc]
        return made(mode)

    def __init__(self, mode: bool = True) -> None:
        self.mode = bool(mode)
        self._was: list[tuple[int, int]] = []

    def _again(self) -> _Mode:
        return inference_mode(self.mode)

    def __enter__(self) -> None:
        was = lib.rnn_set_inference_mode(self.mode)
        self._was.append((was, lib.rnn_set_grad_mode(not self.mode)))

    def __exit__(self, *exception: object) -> None:
        inference, grad = self._was.pop()
        lib.rnn_set_inference_mode(inference)
        lib.rnn_set_grad_mode(grad)

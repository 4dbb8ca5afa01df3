"""torch.jit, so that programs with its decorators run: there is nothing to compile here, and each
gives back what it was given. Nothing is saved in its format: torch.save keeps models.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from rnn import _config

_T = TypeVar("_T")


def script(obj: _T, *args: Any, **kwargs: Any) -> _T:
    """Its argument, a function or a module (torch.jit.script); also as a decorator.

    Example:
        >>> @rnn.jit.script
        ... def double(x):
        ...     return x * 2
        >>> double(rnn.ones(2))
        tensor([2., 2.])
    """
    return obj


def trace(func: _T, example_inputs: Any = None, *args: Any, **kwargs: Any) -> _T:
    """Its argument, after one run on example_inputs: a tensor, or a tuple of arguments
    (torch.jit.trace). Branches stay branches, where PyTorch records the one that was taken.

    Raises:
        whatever the run raises.

    Example:
        >>> rnn.jit.trace(rnn.nn.Linear(2, 1), rnn.ones(3, 2))
        Linear(in_features=2, out_features=1, bias=True)
    """
    call: Any = func
    if example_inputs is not None:
        call(*(example_inputs if isinstance(example_inputs, tuple) else (example_inputs,)))
    return func


def ignore(fn: Any = None, drop: bool = False, **kwargs: Any) -> Any:
    """Its argument (torch.jit.ignore), or a decorator that gives back its own.

    Example:
        >>> rnn.jit.ignore(len)([1, 2])
        2
    """
    return fn if isinstance(fn, Callable) else lambda f: f  # type: ignore[arg-type]


def unused(fn: _T) -> _T:
    """Its argument (torch.jit.unused).

    Example:
        >>> rnn.jit.unused(len)([1, 2])
        2
    """
    return fn


def export(fn: _T) -> _T:
    """Its argument (torch.jit.export).

    Example:
        >>> rnn.jit.export(len)([1, 2])
        2
    """
    return fn


def script_if_tracing(fn: _T) -> _T:
    """Its argument (torch.jit.script_if_tracing).

    Example:
        >>> rnn.jit.script_if_tracing(len)([1, 2])
        2
    """
    return fn


def freeze(mod: _T, *args: Any, **kwargs: Any) -> _T:
    """Its argument (torch.jit.freeze).

    Example:
        >>> rnn.jit.freeze(rnn.nn.ReLU())
        ReLU()
    """
    return mod


def is_scripting() -> bool:
    """False (torch.jit.is_scripting).

    Example:
        >>> rnn.jit.is_scripting()
        False
    """
    return False


def is_tracing() -> bool:
    """False (torch.jit.is_tracing).

    Example:
        >>> rnn.jit.is_tracing()
        False
    """
    return False


if not TYPE_CHECKING:  # type checkers are to see what is absent

    def __getattr__(name: str) -> Any:
        raise _config.absent(__name__, name)

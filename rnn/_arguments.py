"""What functions of tensors say when they are given something else: PyTorch's words, where Python's
would be about an attribute that users do not know. Tensors pay for a call, and no check.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

from rnn._c import Handle

#: of a first parameter that is a tensor
_TENSORS = frozenset("input self tensor x x1 vec mat A query input1 anchor".split())


def tensor_functions(namespace: dict[str, Any]) -> None:
    """Replaces the functions of tensors in a module's namespace by ones that name a wrong
    argument.
    """
    for name, f in list(namespace.items()):
        if name.startswith("_") or not isinstance(f, FunctionType):
            continue
        code = inspect.unwrap(f).__code__
        if "warn" in code.co_names:
            continue  # a warning names the line of the caller, who must be the user
        if code.co_varnames and code.co_varnames[0] in _TENSORS:
            namespace[name] = _named(f, namespace["__name__"])


def _named(f: Callable[..., Any], module: str) -> Callable[..., Any]:
    @functools.wraps(f)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return f(*args, **kwargs)
        except AttributeError as error:
            wrong = _wrong(f, args, kwargs, error)
            if wrong is None:
                raise
            raise TypeError(wrong) from None

    call.__module__, call.__qualname__ = module, f.__name__
    return call


def _wrong(f: Callable[..., Any], args: Any, kwargs: Any, error: AttributeError) -> str | None:
    """What to say; None: the error is not about an argument."""
    lacks = error.obj
    if isinstance(lacks, (Handle, type)):
        return None
    name, kind = f.__name__, type(lacks).__name__
    parameters = list(inspect.signature(f).parameters)
    given = {**dict(zip(parameters, args)), **kwargs}
    for parameter, value in given.items():
        if value is lacks:
            place = parameters.index(parameter) + 1 if parameter in parameters else 0
            return f"{name}(): argument '{parameter}' (position {place}) must be Tensor, not {kind}"
    return None

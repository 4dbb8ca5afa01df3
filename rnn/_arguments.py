"""What functions of tensors say when they are given something else: PyTorch's words, where Python's
would be about an attribute that users do not know; and NumPy's names of arguments, which PyTorch
takes too. Tensors pay for a call, and no check.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

from rnn._c import Handle

#: names of a first parameter that is a tensor
_TENSORS = frozenset("input self tensor x x1 y vec mat A query input1 anchor condition".split())
#: methods that take masks and places
_METHODS = (
    "addcdiv addcdiv_ addcmul addcmul_ addmm addmm_ addmv addmv_ addr addr_ baddbmm baddbmm_ cross "
    "expand_as inner is_same_size kron lerp_ mv outer put reshape_as type_as view_as "
    "gather index_add index_add_ index_copy index_copy_ index_fill index_fill_ index_select lerp "
    "masked_fill masked_fill_ masked_scatter masked_scatter_ masked_select put_ scatter scatter_ "
    "scatter_add scatter_add_ take take_along_dim where"
).split()
#: NumPy's names of arguments, and PyTorch's
_NUMPY = {"axis": "dim", "keepdims": "keepdim", "x": "input", "x1": "input", "x2": "other"}
_HOT = ("size", "stride")  # methods that stay as they are
_named_already: set[Callable[..., Any]] = set()


def tensor_functions(namespace: dict[str, Any]) -> None:
    """Replaces the functions of tensors in a module's namespace by ones that name a wrong
    argument.
    """
    made: dict[Any, Any] = {}  # a function may have several names
    before: dict[str, Any] = namespace.copy()
    for name, f in before.items():
        if name.startswith("_") or not isinstance(f, FunctionType) or f in _named_already:
            continue
        code = inspect.unwrap(f).__code__
        if "warn" in code.co_names:
            continue  # a warning names the line of the caller, who must be the user
        if code.co_varnames and code.co_varnames[0] in _TENSORS:
            if f not in made:
                own_name: str = f.__name__
                known_as = own_name if before.get(own_name) is f else name
                made[f] = _named(f, known_as, namespace["__name__"])
            namespace[name] = made[f]


def tensor_methods(cls: type) -> None:
    """The same for the methods that take masks and places, for which lists are often given, and
    for those that do not know NumPy's names themselves.
    """
    for name, method in [*vars(cls).items()]:
        if name.startswith("_") or name in _HOT or not isinstance(method, FunctionType):
            continue
        known = inspect.signature(method).parameters
        lacks = any(_NUMPY[n] in known and n not in known for n in ("axis", "keepdims"))
        if name in _METHODS or lacks:
            setattr(cls, name, _named(method, name, method.__module__, own=1))


def _named(f: Callable[..., Any], name: str, module: str, own: int = 0) -> Callable[..., Any]:
    """f as module.name; own: how many parameters PyTorch does not count: a method's tensor."""

    @functools.wraps(f)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return f(*args, **kwargs)
        except AttributeError as error:
            wrong = _wrong(f, args, kwargs, error, own)
            if wrong is None:
                raise
            raise TypeError(f"{name}(): {wrong}") from None
        except TypeError:
            renamed = _renamed(f, kwargs) if kwargs else None
            if renamed is None:
                raise
        return f(*args, **renamed)

    call.__module__, call.__name__, call.__qualname__ = module, name, name
    _named_already.add(call)
    return call


def _renamed(f: Callable[..., Any], kwargs: dict[str, Any]) -> dict[str, Any] | None:
    """The arguments by PyTorch's names, where f did not run because it does not know NumPy's."""
    known = inspect.signature(f).parameters
    given = {name: _NUMPY[name] for name in kwargs if name in _NUMPY and name not in known}
    if not given or any(name not in known or name in kwargs for name in given.values()):
        return None
    return {given.get(name, name): value for name, value in kwargs.items()}


def _wrong(
    f: Callable[..., Any], args: Any, kwargs: Any, error: AttributeError, own: int
) -> str | None:
    """What to say; None: the error is not about an argument."""
    lacks = error.obj
    if isinstance(lacks, (Handle, type)):
        return None
    kind = type(lacks).__name__
    parameters = list(inspect.signature(f).parameters)
    given = {**dict(zip(parameters, args)), **kwargs}
    for parameter, value in given.items():
        if value is lacks:
            place = parameters.index(parameter) + 1 - own if parameter in parameters else 0
            return f"argument '{parameter}' (position {place}) must be Tensor, not {kind}"
    return None

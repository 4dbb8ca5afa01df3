"""What functions of tensors say when they are given something else: PyTorch's words, where
Python's would be about an attribute that users do not know; NumPy's and other names of arguments,
and numbers in the places where PyTorch once had them, which it takes still.

All of this happens where a call has failed: tensors pay for a call, and no check. An argument that
is of another type than its annotation says is what the error is about.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

from rnn._c import Handle
from rnn._warn import warn_user
from rnn.ops._core import kind_of

#: NumPy's names of arguments, and PyTorch's
_NUMPY = {"axis": "dim", "keepdims": "keepdim", "x": "input", "x1": "input", "x2": "other"}
#: the same, of some functions; "*": the argument that takes any number of positions
_SPLIT = {
    "indices": "indices_or_sections",
    "sections": "indices_or_sections",
    "tensor_indices_or_sections": "indices_or_sections",
}
_SWAP = {"axis0": "dim0", "axis1": "dim1", "dim0": "axis0", "dim1": "axis1"}
_OTHER_NAMES: dict[str, dict[str, str]] = {
    **dict.fromkeys(("tensor_split", "hsplit", "vsplit", "dsplit"), _SPLIT),
    **dict.fromkeys(("swapaxes", "swapdims", "swapaxes_", "swapdims_"), _SWAP),
    **{key: {"dims": "*"} for key in ("tile", "permute", "flip")},
    **{key: {"size": "*"} for key in ("broadcast_to", "sum_to_size")},
    "repeat": {"repeats": "*"},
    "isin": {"element": "elements", "test_element": "test_elements"},
}
#: functions whose factors may stand before what they multiply: those of input and of the product
_FACTORS = ("beta", "alpha")
_VALUE = ("addcmul", "addcmul_", "addcdiv", "addcdiv_")
_BETA = [f + end for f in ("addmm", "addmv", "addr", "addbmm", "baddbmm") for end in ("", "_")]
#: methods that stay as they are: often called, and clear about what they are given
_HOT = frozenset(
    "size stride view reshape transpose permute add add_ sub sub_ mul mul_ div div_ matmul mm sum "
    "mean backward clone to float long fill_ expand contiguous requires_grad_ is_contiguous "
    "register_hook numpy softmax".split()
)
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
        if _takes_tensors(f):
            if f not in made:
                own_name: str = f.__name__
                known_as = own_name if before.get(own_name) is f else name
                made[f] = _named(f, known_as, namespace["__name__"])
            namespace[name] = made[f]


def _takes_tensors(f: FunctionType) -> bool:
    """Whether an argument is a tensor, by its annotation."""
    kinds = f.__annotations__.items()
    return any("Tensor" in str(kind) for key, kind in kinds if key != "return")


def tensor_methods(cls: type) -> None:
    """The same for the methods that take something."""
    for name, method in [*vars(cls).items()]:
        if name.startswith("_") or name in _HOT or not isinstance(method, FunctionType):
            continue
        if "_getframe" in method.__code__.co_names:  # it asks for its caller, who must be the user
            continue
        if {*list(inspect.signature(method).parameters)[1:]} - {"out"}:
            setattr(cls, name, _named(method, name, method.__module__, own=1))


def _named(f: Callable[..., Any], name: str, module: str, own: int = 0) -> Callable[..., Any]:
    """f as module.name; own: how many parameters PyTorch does not count: a method's tensor."""

    @functools.wraps(f)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return f(*args, **kwargs)
        except AttributeError as error:
            wrong = _wrong(f, args, kwargs, error.obj, own) or _mistyped(f, args, kwargs, own)
            if wrong is None:
                raise
            raise TypeError(f"{name}(): {wrong}") from None
        except TypeError:
            changed = _as_it_is_now(name, f, args, kwargs, own)
            if changed is None:
                raise
        except (RuntimeError, ValueError, IndexError, AssertionError) as error:
            wrong = None if type(error) in _OWN_MATTER else _mistyped(f, args, kwargs, own)
            if wrong is None:
                raise
            raise TypeError(f"{name}(): {wrong}") from None
        return f(*changed[0], **changed[1])

    call.__module__, call.__name__, call.__qualname__ = module, name, name
    _named_already.add(call)
    return call


#: errors that are about no argument's type
_OWN_MATTER = (RecursionError, UnicodeError)


def _as_it_is_now(
    name: str, f: Callable[..., Any], args: Any, kwargs: dict[str, Any], own: int
) -> tuple[Any, dict[str, Any]] | None:
    """The arguments by the names and in the places that f knows; None: these are not the matter."""
    moved = _moved(name, args, kwargs, own)
    if moved is not None:
        return moved
    parameters = inspect.signature(f).parameters
    known = [key for key, p in parameters.items() if p.kind is not p.VAR_POSITIONAL]
    names = {**_NUMPY, **_OTHER_NAMES.get(name, {})}
    given = {key: names[key] for key in kwargs if key in names and key not in known}
    if not given:
        return None
    rest = {key: value for key, value in kwargs.items() if key not in given}
    for key, other in given.items():
        if other == "*" and len(args) == 1:
            args = (*args, kwargs[key])
        elif other in known and other not in kwargs:
            rest[other] = kwargs[key]
        else:
            return None
    return args, rest


def _moved(name: str, args: Any, kwargs: Any, own: int) -> tuple[Any, dict[str, Any]] | None:
    """PyTorch's former places of numbers: addcmul(input, value, tensor1, tensor2), and
    addmm(beta, input, alpha, mat1, mat2), without the input where it is a method's.
    """
    found: dict[str, Any] = {}
    if name in _VALUE and len(args) == 4 and not isinstance(args[1], Handle):
        found, args = {"value": args[1]}, (args[0], *args[2:])
    elif name in _BETA and len(args) in (4, 5):
        tensors = [x for x in args if isinstance(x, Handle)]
        numbers = [x for x in args if isinstance(x, (int, float))]
        if len(tensors) != 3 or len(tensors) + len(numbers) != len(args):
            return None
        found, args = dict(zip(_FACTORS, numbers)), tuple(tensors)
    if not found or any(key in kwargs for key in found):
        return None
    said = ", ".join(found)
    warn_user(f"{name}: give {said} by name; this order is deprecated")
    return args, {**kwargs, **found}


# ---- types ---------------------------------------------------------------------------------------


def _is_int(x: Any) -> bool:
    if isinstance(x, Handle):
        return bool(x._shape == () and not x.is_floating_point())
    return hasattr(x, "__index__") and not getattr(x, "ndim", 0)


def _is_number(x: Any) -> bool:
    return isinstance(x, Handle) or (hasattr(x, "__float__") and not getattr(x, "ndim", 0))


def _is_ints(x: Any) -> bool:
    return all(map(_is_int, x)) if isinstance(x, (tuple, list)) else _is_int(x)


_TESTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "int": (_is_int, "int"),
    "bool": (lambda x: isinstance(x, bool) or type(x).__name__ == "bool", "bool"),
    "float": (_is_number, "float"),
    "Number": (_is_number, "Number"),
    "Tensor": (lambda x: isinstance(x, Handle), "Tensor"),
    "str": (lambda x: isinstance(x, str), "str"),
    "Dim": (_is_ints, "tuple of ints"),
    "Sequence[int]": (_is_ints, "tuple of ints"),
    "int | Sequence[int]": (_is_ints, "tuple of ints"),
}
#: what is annotated as anything, by its name
_BY_NAME = {"dim": "Dim", "keepdim": "bool"}


def _mistyped(f: Callable[..., Any], args: Any, kwargs: Any, own: int) -> str | None:
    """The first argument that is not of the type of its annotation."""
    parameters = list(inspect.signature(f).parameters.values())
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    places = {p.name: place for place, p in enumerate(parameters)}
    given = [*zip(parameters, args), *((parameters[places[k]], kwargs[k]) for k in kwargs)]
    for p, value in given:
        kind, _, optional = str(p.annotation).partition(" | None")
        kind = _BY_NAME.get(p.name, kind) if kind == "Any" else kind
        may_be_none = optional or " | None" in str(p.annotation) or p.default is None
        second = isinstance(value, Handle) and f.__name__ in ("max", "min")  # not a dimension
        if kind not in _TESTS or (value is None and may_be_none) or second:
            continue
        test, wanted = _TESTS[kind]
        if not test(value):
            place = places[p.name] + 1 - own
            return f"argument '{p.name}' (position {place}) must be {wanted}, not {kind_of(value)}"
    return None


def _wrong(f: Callable[..., Any], args: Any, kwargs: Any, lacks: Any, own: int) -> str | None:
    """What to say of what lacks an attribute; None: it is no argument."""
    if isinstance(lacks, (Handle, type)):
        return None
    parameters = list(inspect.signature(f).parameters)
    given = {**dict(zip(parameters, args)), **kwargs}
    for parameter, value in given.items():
        if value is lacks:
            place = parameters.index(parameter) + 1 - own if parameter in parameters else 0
            return f"argument '{parameter}' (position {place}) must be Tensor, not {kind_of(lacks)}"
    return None

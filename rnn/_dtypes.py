"""dtypes: the element types of tensors, PyTorch's promotion rules, and Python data to NumPy arrays.

This module is not: storage, kernels or the Tensor class. It knows NumPy and nothing of rnn.
`rnn.bool` is called `bool_` here, and the aliases (`float`, `double`, `int`, `long`, ...) are made
in `rnn/__init__.py`, so that Python's own names keep their meaning in this file.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable
from functools import cache
from itertools import chain
from typing import Any

import numpy as np

prefix = "rnn."
"""What stands before a name in a repr: `rnn.float32`, `rnn.Size([2])`. A program that is run with
rnn in the place of torch sets it to "torch." to print the same."""


class dtype:
    """The type of a tensor's elements (`torch.dtype`). One object of each, compared by `is`.

    name               "float32"
    is_floating_point  True for float16, bfloat16, float32, float64
    is_signed          False for uint8 and bool
    itemsize           bytes of one element
    numpy              np.dtype, or None for bfloat16, which NumPy does not have
    storage            np.dtype of the array that holds them: `numpy`, or float32 for bfloat16
    tensor_type        PyTorch's old name of a tensor of this type: "FloatTensor"
    """

    __slots__ = (
        "name",
        "is_floating_point",
        "is_signed",
        "itemsize",
        "numpy",
        "storage",
        "tensor_type",
        "_index",
    )

    name: str
    is_floating_point: bool
    is_signed: bool
    itemsize: int
    numpy: np.dtype[Any] | None
    storage: np.dtype[Any]
    tensor_type: str
    _index: int  # row of _PROMOTED

    is_complex = False  # there are no complex dtypes

    def __new__(cls, *args: Any, **kwargs: Any) -> dtype:
        raise TypeError(f"cannot create '{prefix}dtype' instances")

    def to_real(self) -> dtype:
        """The dtype of the real part: itself, as there are no complex dtypes."""
        return self

    def __repr__(self) -> str:
        return prefix + self.name

    def __reduce__(self) -> tuple[Callable[[Any], dtype], tuple[str]]:
        return as_dtype, (self.name,)


_ALL: list[dtype] = []


def _define(name: str, tensor_type: str, storage: str) -> dtype:
    new: dtype = object.__new__(dtype)
    new.name = name
    new.tensor_type = tensor_type
    new.storage = np.dtype(storage)
    new.numpy = None if name == "bfloat16" else new.storage
    new.itemsize = 2 if name == "bfloat16" else new.storage.itemsize
    new.is_floating_point = new.storage.kind == "f"
    new.is_signed = new.storage.kind in "fi"
    new._index = len(_ALL)
    _ALL.append(new)
    return new


bool_ = _define("bool", "BoolTensor", "bool")
uint8 = _define("uint8", "ByteTensor", "uint8")
int8 = _define("int8", "CharTensor", "int8")
int16 = _define("int16", "ShortTensor", "int16")
int32 = _define("int32", "IntTensor", "int32")
int64 = _define("int64", "LongTensor", "int64")
float16 = _define("float16", "HalfTensor", "float16")
bfloat16 = _define("bfloat16", "BFloat16Tensor", "float32")
float32 = _define("float32", "FloatTensor", "float32")
float64 = _define("float64", "DoubleTensor", "float64")

DTYPES = tuple(_ALL)
_FLOATS_AND_BOOL = (float16, bfloat16, float32, float64, bool_)


# ---- names and types to dtypes -------------------------------------------------------------------

_OF_PYTHON: dict[Any, dtype] = {float: float64, int: int64, bool: bool_}
_OF_NUMPY = {d.numpy: d for d in DTYPES if d.numpy is not None}
_OF_NAME = {name: d for d in DTYPES for name in (d.name, d.tensor_type)} | {
    "float": float32,
    "double": float64,
    "half": float16,
    "short": int16,
    "int": int32,
    "long": int64,
}


def as_dtype(what: Any) -> dtype:
    """The dtype that `what` names: a dtype, a Python type, a NumPy dtype or type, or a string.

    `float` is float64 and `int` is int64, as where PyTorch is given `dtype=float`; the strings are
    PyTorch's names, with or without prefix ("float32", "torch.long", "rnn.FloatTensor"), so "float"
    is float32 and "int" is int32. Raises TypeError for anything else.
    """
    if isinstance(what, dtype):
        return what
    if isinstance(what, str):
        found = _OF_NAME.get(what.rpartition(".")[2])
        if found is not None:
            return found
    elif isinstance(what, type) and what in _OF_PYTHON:
        return _OF_PYTHON[what]
    elif isinstance(what, np.dtype) or (isinstance(what, type) and issubclass(what, np.generic)):
        return from_numpy(np.dtype(what))
    raise TypeError(f"dtype must be an {prefix}dtype, not {what!r}")


def dtype_argument(what: Any) -> dtype:
    """as_dtype of what is given as `dtype=`, where PyTorch refuses names: TypeError for a str."""
    if isinstance(what, str):
        raise TypeError(f"argument 'dtype' must be {prefix}dtype, not str")
    return as_dtype(what)


def from_numpy(numpy_dtype: np.dtype[Any]) -> dtype:
    """The dtype of a NumPy dtype of either byte order. TypeError for uint16, object and such."""
    found = _OF_NUMPY.get(numpy_dtype) or _OF_NUMPY.get(numpy_dtype.newbyteorder("="))
    if found is None:
        raise TypeError(
            f"can't convert np.ndarray of type numpy.{numpy_dtype.type.__name__}. The only "
            "supported types are: "
            "float64, float32, float16, int64, int32, int16, int8, uint8, and bool."
        )
    return found


# ---- the default dtype ---------------------------------------------------------------------------

_default = float32


def get_default_dtype() -> dtype:
    """The dtype of tensors made from Python floats: float32, or what `set_default_dtype` set.

    Example:
        >>> rnn.get_default_dtype()
        rnn.float32
    """
    return _default


def set_default_dtype(d: dtype) -> None:
    """Make float32 or float64 the default (`torch.set_default_dtype`). TypeError for any other.

    Example:
        >>> rnn.set_default_dtype(rnn.float64)
        >>> rnn.ones(1).dtype
        rnn.float64
        >>> rnn.set_default_dtype(rnn.float32)
    """
    global _default
    if d is not float32 and d is not float64:
        raise TypeError(
            f"only {float32!r} and {float64!r} are supported as the default dtype, not {d!r}"
        )
    _default = d
    _results.clear()


# ---- promotion -----------------------------------------------------------------------------------


def _promote(a: dtype, b: dtype) -> dtype:
    """The rule behind the table of `promote_types`: bool < integers < floats, then by size."""
    if a is b or b is bool_:
        return a
    if a is bool_:
        return b
    if a.is_floating_point != b.is_floating_point:
        return a if a.is_floating_point else b
    if a.itemsize == b.itemsize:  # neither holds the other: float16 and bfloat16, uint8 and int8
        return float32 if a.is_floating_point else int16
    return a if a.itemsize > b.itemsize else b


_PROMOTED = [[_promote(a, b) for b in DTYPES] for a in DTYPES]


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The smallest dtype that `type1` and `type2` both go into (`torch.promote_types`).

    >>> promote_types(uint8, int8), promote_types(int64, float16)
    (rnn.int16, rnn.float16)
    """
    if not (isinstance(type1, dtype) and isinstance(type2, dtype)):
        raise TypeError(f"promote_types() takes two {prefix}dtype, not {type1!r} and {type2!r}")
    return _PROMOTED[type1._index][type2._index]


# kinds of operand: a tensor with dimensions, a 0-d tensor, a Python number
TENSOR, ZERO_DIM, SCALAR = 0, 1, 2

Operand = tuple[dtype, int]

_results: dict[tuple[Operand, ...], dtype] = {}


def result_dtype(operands: tuple[Operand, ...]) -> dtype:
    """The dtype of an arithmetic operation on pairs (dtype, TENSOR | ZERO_DIM | SCALAR).

    PyTorch's rule (`torch.result_type`): tensors with dimensions decide together; a 0-d tensor
    counts only if it is of a higher kind (bool < integer < float) than all of those, a Python
    number only if it is of a higher kind than all tensors. A Python float brings the default dtype
    and an int brings int64, whatever dtype of their kind is given with them.

    >>> result_dtype(((int32, TENSOR), (float64, ZERO_DIM)))
    rnn.float64
    >>> result_dtype(((float32, TENSOR), (float64, ZERO_DIM), (float64, SCALAR)))
    rnn.float32

    Raises ValueError if there is no operand.
    """
    found = _results.get(operands)
    if found is None:
        found = _result_dtype(operands)
        if len(operands) <= 2:  # 900 keys at most
            _results[operands] = found
    return found


def _result_dtype(operands: tuple[Operand, ...]) -> dtype:
    by_kind: list[dtype | None] = [None, None, None]
    for d, kind in operands:
        if kind == SCALAR and d is not bool_:
            d = _default if d.is_floating_point else int64
        before = by_kind[kind]
        by_kind[kind] = d if before is None else _PROMOTED[before._index][d._index]
    lower = _combine(by_kind[ZERO_DIM], by_kind[SCALAR])
    result = _combine(by_kind[TENSOR], lower)
    if result is None:
        raise ValueError("result_dtype() needs at least one operand")
    return result


def _combine(higher: dtype | None, lower: dtype | None) -> dtype | None:
    """Let `lower` raise the kind of `higher`, but not its size within its kind."""
    if higher is None or lower is None:
        return higher or lower
    if not higher.is_floating_point and (higher is bool_ or lower.is_floating_point):
        return _PROMOTED[higher._index][lower._index]
    return higher


def scalar_dtype(value: bool | int | float | np.number[Any] | np.bool_) -> dtype:
    """The dtype of a Python number as an operand: bool, int64 or the default; else TypeError."""
    if isinstance(value, (bool, np.bool_)):
        return bool_
    if isinstance(value, (int, np.integer)):
        return int64
    if isinstance(value, (float, np.floating)):
        return _default
    raise TypeError(f"expected a number, got {type(value).__name__}")


def can_cast(from_: dtype, to: dtype) -> bool:
    """Whether an in-place operation may write a result of `from_` into `to` (`torch.can_cast`).

    Sizes and signs may shrink; a float does not go into an integer, and only bool goes into bool.
    TypeError for what is no dtype.

    Example:
        >>> rnn.can_cast(rnn.int64, rnn.float32), rnn.can_cast(rnn.float32, rnn.int64)
        (True, False)
    """
    if not (isinstance(from_, dtype) and isinstance(to, dtype)):
        raise TypeError(f"can_cast() takes two {prefix}dtype, not {from_!r} and {to!r}")
    if from_.is_floating_point and not to.is_floating_point:
        return False
    return to is not bool_ or from_ is bool_


# ---- finfo and iinfo -----------------------------------------------------------------------------

# bits of the fraction, largest exponent
_FLOAT_FORMAT = {float16: (10, 15), bfloat16: (7, 127), float32: (23, 127), float64: (52, 1023)}


class finfo:
    """The limits of a float dtype (`torch.finfo`): bits, eps, max, min, tiny, resolution.

    >>> finfo(float32).eps
    1.1920928955078125e-07
    """

    __slots__ = ("bits", "eps", "max", "min", "tiny", "smallest_normal", "resolution", "dtype")

    def __init__(self, type: Any = None) -> None:
        d = _default if type is None else dtype_argument(type)
        if not d.is_floating_point:
            raise TypeError(
                f"{prefix}finfo() requires a floating point input type. "
                f"Use {prefix}iinfo to handle '{prefix}finfo'"
            )
        fraction, exponent = _FLOAT_FORMAT[d]
        self.bits = 8 * d.itemsize
        self.eps = 2.0**-fraction
        self.max = (2.0 - self.eps) * 2.0**exponent
        self.min = -self.max
        self.tiny = self.smallest_normal = 2.0 ** (1 - exponent)
        self.resolution = float(f"1e-{math.floor(fraction * math.log10(2))}")
        self.dtype = d.name

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, "
            f"eps={self.eps:g}, smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, "
            f"dtype={self.dtype})"
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, finfo) and self.dtype == other.dtype

    def __hash__(self) -> int:
        return hash(("finfo", self.dtype))


class iinfo:
    """The limits of an integer dtype (`torch.iinfo`): bits, max, min.

    >>> iinfo(int8)
    iinfo(min=-128, max=127, dtype=int8)
    """

    __slots__ = ("bits", "max", "min", "dtype")

    def __init__(self, type: Any) -> None:
        d = dtype_argument(type)
        if d.is_floating_point:
            raise TypeError(
                f"{prefix}iinfo() requires an integer input type. "
                f"Use {prefix}finfo to handle '{prefix}iinfo'"
            )
        if d is bool_:
            raise TypeError(f"{prefix}bool is not supported by {prefix}iinfo")
        self.bits = 8 * d.itemsize
        self.max = 2 ** (self.bits - d.is_signed) - 1
        self.min = -self.max - 1 if d.is_signed else 0
        self.dtype = d.name

    def __repr__(self) -> str:
        # rounded to six digits, as PyTorch prints them
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, iinfo) and self.dtype == other.dtype

    def __hash__(self) -> int:
        return hash(("iinfo", self.dtype))


# ---- arrays from dtype to dtype ------------------------------------------------------------------


def cast(array: np.ndarray[Any, Any], to: dtype) -> np.ndarray[Any, Any]:
    """`array` in dtype `to`, converted as `Tensor.to(dtype)` does; itself if it is in `to` already.

    Floats lose their fraction on the way to integers and wrap around; everything but zero is True.
    For bfloat16 the result is a float32 array of values rounded to bfloat16.
    """
    if to is bfloat16:
        return round_to_bfloat16(cast(array, float32))
    if array.dtype == to.storage:
        return array
    with np.errstate(over="ignore", invalid="ignore"):
        if to is float16 and array.dtype.kind in "fiu":
            array = array.astype(np.float32)  # PyTorch rounds twice: to float32, then to float16
        elif array.dtype.kind == "f" and to in (uint8, int8, int16):
            array = array.astype(np.int64)  # C defines no wrapping from floats, only from integers
        return array.astype(to.storage)


def round_to_bfloat16(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A float32 array rounded to bfloat16, the upper half of a float32; ties go to even."""
    bits = array.view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = (bits + np.uint32(0x7FFF) + odd) & np.uint32(0xFFFF0000)
    # rounding up would carry a NaN with a long payload over into -0
    return np.asarray(np.where(np.isnan(array), np.float32(np.nan), rounded.view(np.float32)))


# ---- Python data to arrays -----------------------------------------------------------------------

MAX_DIMS = 64  # NumPy's limit

IsNode = Callable[[Any], bool]
Shape = tuple[int, ...]


def _never(_: Any) -> bool:
    return False


def infer(
    data: Any,
    dtype: Any = None,
    is_node: IsNode = _never,
    room: Callable[[Shape], None] | None = None,
) -> np.ndarray[Any, Any]:
    """A new NumPy array of what `rnn.tensor(data, dtype=dtype)` holds: `torch.tensor`'s rules.

    data     a number, a nested sequence of numbers (lists, tuples, ranges, NumPy arrays, ...), a
             NumPy array or scalar, or any object with `__array__`
    dtype    anything that `as_dtype` takes but a str. Without it Python floats give the default
             dtype, ints int64, bools bool; NumPy arrays and scalars and nodes keep theirs; mixed
             data gives what `promote_types` does
    is_node  is_node(x) is True for Tensors and Values: numbers, if of one element. They have
             `.item()`, perhaps `.dtype` (or they count as float64) and perhaps `.numel()`
    room     is asked, with the shape, before the elements are looked at: it may raise

    The array is of `dtype.storage`, C-contiguous and writable.

    >>> infer([[1, 2], [3, 4.5]]).dtype
    dtype('float32')

    Raises, in PyTorch's words, ValueError (lengths that differ, too many dimensions, an int beyond
    64 bits), TypeError (what is no number) and RuntimeError (what has no dtype; a number that the
    dtype does not hold).
    """
    target = None if dtype is None else dtype_argument(dtype)
    if hasattr(data, "__array__") and not is_node(data) and not isinstance(data, np.generic):
        array = np.asarray(data)
        kept = from_numpy(array.dtype)
        converted = cast(array, target or kept)
        return (
            np.array(array, order="C") if converted is array else np.asarray(converted, order="C")
        )
    if isinstance(data, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{type(data).__name__}'")
    if _are_alike(data):
        found = target or _promote_all(from_numpy(x.dtype) for x in data)
        if found.is_floating_point or target is None:
            return np.stack([cast(x, found) for x in data])
    shape = _sizes(data, is_node)
    if room is not None:
        room(shape)
    try:
        leaves = _leaves(data, shape, is_node)
    except (TypeError, ValueError):
        if target is None:
            # PyTorch finds the dtype first: that error goes before this, but where lists hold
            # themselves, and there is none
            with contextlib.suppress(RecursionError):
                _dtype_of(data, is_node)
        raise
    if not leaves:
        return np.zeros(shape, dtype=(target or _default).storage)
    target = target or _common(leaves, is_node)
    return _store(_numbers(leaves, is_node, target), target).reshape(shape)


def flatten(data: Any, is_node: IsNode = _never) -> tuple[tuple[int, ...], list[Any]]:
    """The shape of a nested sequence and its elements in order; ((), [data]) for no sequence.

    >>> flatten([[1, 2], (3, 4)])
    ((2, 2), [1, 2, 3, 4])

    The first element at each depth says what the others must be. Raises ValueError where lengths
    differ or the nesting is deeper than MAX_DIMS, TypeError where a sequence is missing.
    """
    shape = _sizes(data, is_node)
    return shape, _leaves(data, shape, is_node)


def _sizes(data: Any, is_node: IsNode) -> tuple[int, ...]:
    """The lengths of the sequence, of its first element, of that one's first element, and so on."""
    shape: list[int] = []
    while _is_sequence(data, is_node):
        if isinstance(data, (str, bytes)) or len(shape) == MAX_DIMS:
            name = "str" if isinstance(data, str) else type(data).__name__
            raise ValueError(f"too many dimensions '{name}'")
        shape.append(len(data))
        if not shape[-1]:
            break
        data = data[0]
    return tuple(shape)


def _leaves(data: Any, shape: tuple[int, ...], is_node: IsNode) -> list[Any]:
    """The elements of a nested sequence: it is joined level by level, each held to its length."""
    if 0 in shape:
        return []  # and no closer look at what is beside the empty sequence
    level = [data]
    for length in shape:
        known = set(map(type, level)) <= {list, tuple}  # much faster than asking each
        if not known and not all(_is_sequence(x, is_node) for x in level):
            _refuse(data, shape, is_node)
        if set(map(len, level)) != {length}:
            _refuse(data, shape, is_node)
        level = list(chain.from_iterable(level))
    return level


def _refuse(x: Any, shape: tuple[int, ...], is_node: IsNode, dim: int = 0) -> None:
    """Raises what PyTorch raises for ragged data: it walks to the first wrong place, depth first.
    """
    if dim == len(shape):
        if _is_sequence(x, is_node):
            raise TypeError(f"must be real number, not {type(x).__name__}")
        return
    if not _is_sequence(x, is_node):
        raise TypeError("not a sequence")
    if len(x) != shape[dim]:
        length = shape[dim]
        raise ValueError(f"expected sequence of length {length} at dim {dim} (got {len(x)})")
    for part in x:
        _refuse(part, shape, is_node, dim + 1)


def _is_sequence(x: Any, is_node: IsNode) -> bool:
    if isinstance(x, (list, tuple, str)):
        return True
    if isinstance(x, np.ndarray):
        return x.ndim > 0
    if isinstance(x, (int, float, np.generic, dict)) or is_node(x):
        return False
    return hasattr(x, "__len__") and hasattr(x, "__getitem__")


def _are_alike(data: Any) -> bool:
    """Whether `data` is a list of NumPy arrays of one shape."""
    if not isinstance(data, (list, tuple)) or not data or not isinstance(data[0], np.ndarray):
        return False
    return all(isinstance(x, np.ndarray) and x.shape == data[0].shape for x in data)


def _promote_all(dtypes: Iterable[dtype]) -> dtype:
    result, *others = dtypes
    for d in others:
        result = _PROMOTED[result._index][d._index]
    return result


def _common(leaves: list[Any], is_node: IsNode) -> dtype:
    """The dtype that the elements promote to."""
    types = set(map(type, leaves))
    if types <= {bool, int, float}:
        return _promote_all(_default if t is float else _OF_PYTHON[t] for t in types)
    return _promote_all({_dtype_of(x, is_node) for x in leaves})


def _dtype_of(x: Any, is_node: IsNode) -> dtype:
    """The dtype of a number, or what a sequence's elements promote to. Raises for what has none."""
    if isinstance(x, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{type(x).__name__}'")
    if isinstance(x, (np.generic, np.ndarray)):
        return from_numpy(x.dtype)
    if is_node(x):
        return getattr(x, "dtype", float64)
    if isinstance(x, (bool, int, float)):
        return scalar_dtype(x)
    if isinstance(x, complex):
        raise TypeError("complex numbers are not supported")
    if _is_sequence(x, is_node):
        return _promote_all({_dtype_of(part, is_node) for part in x}) if len(x) else _default
    raise RuntimeError(f"Could not infer dtype of {type(x).__name__}")


def _numbers(leaves: list[Any], is_node: IsNode, target: dtype) -> list[bool | int | float]:
    """The elements as Python numbers. TypeError for what is none."""
    if set(map(type, leaves)) <= {bool, int, float}:
        return leaves
    return [_number(x, is_node, target) for x in leaves]


def _number(x: Any, is_node: IsNode, target: dtype) -> bool | int | float:
    if is_node(x):
        if hasattr(x, "numel") and x.numel() != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        x = x.item()
    elif isinstance(x, np.generic) or (isinstance(x, np.ndarray) and x.ndim == 0):
        x = x.item()
    if isinstance(x, (bool, int, float)):
        return x
    name = type(x).__name__
    if isinstance(x, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{name}'")
    if target.is_floating_point:
        raise TypeError(f"must be real number, not {name}")
    raise TypeError(f"'{name}' object cannot be interpreted as an integer")


def _store(values: list[bool | int | float], target: dtype) -> np.ndarray[Any, Any]:
    """Python numbers as a 1-d array of dtype `target`, checked as PyTorch checks them."""
    if target.is_floating_point:
        return cast(np.array(values, dtype=np.float64), target)
    if target is bool_:
        return np.fromiter(map(bool, values), dtype=np.bool_, count=len(values))
    if float in set(map(type, values)) or not all(isinstance(v, int) for v in values):
        values = [_truncate(v, target) for v in values]
    try:
        array = np.array(values, dtype=np.int64)
    except OverflowError:
        raise ValueError("Overflow when unpacking long long") from None
    low, high = limits(target)
    if target is uint8:
        low = -high  # PyTorch lets negative integers wrap around
    if array.min() < low or array.max() > high:
        raise _overflow(target)
    return array.astype(target.storage)


def _truncate(value: bool | int | float, target: dtype) -> int:
    """A float without its fraction, if the dtype's range holds it; an int as it is."""
    if isinstance(value, int):
        return value
    low, high = limits(target)
    if not low <= value <= high:  # NaN too
        raise _overflow(target)
    return int(value)


@cache
def limits(target: dtype) -> tuple[int, int]:
    """The least and the greatest number of an integer dtype."""
    info = iinfo(target)
    return info.min, info.max


def _overflow(target: dtype) -> RuntimeError:
    return RuntimeError(f"value cannot be converted to type {target.name} without overflow")

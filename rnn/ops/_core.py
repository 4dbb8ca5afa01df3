"""What every family of operations stands on: tensors to handles, to NumPy arrays and back.

Floating-point tensors (float32, float64) are handles of the engine. Every other dtype is a NumPy
array behind the same class: `t._h` is 0 and `t._array` holds it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from rnn import _c, _dtypes
from rnn._c import E, Handle, adopt, fail, ffi, lib
from rnn._dtypes import dtype

if TYPE_CHECKING:
    from rnn.tensor import Tensor

Number: TypeAlias = "int | float | bool | np.number[Any] | np.bool_"
Array: TypeAlias = "np.ndarray[Any, Any]"

F32, F64 = 0, 1
NODE_DTYPES = (_dtypes.float32, _dtypes.float64)
NUMPY_NODE_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
CODES = {_dtypes.float32: F32, _dtypes.float64: F64}

_classes: list[Any] = []


def set_tensor_class(cls: Any) -> None:
    """Tells which class `wrap` makes (rnn/tensor.py calls it)."""
    _classes[:] = [cls]


def tensor_class() -> Any:
    """The class Tensor."""
    return _classes[0]


def is_tensor(x: object) -> bool:
    """Whether x is a Tensor.

    Example:
        >>> rnn.is_tensor(rnn.ones(1)), rnn.is_tensor([1.0])
        (True, False)
    """
    return isinstance(x, Handle)


def check_tensors(function: str, **arguments: Any) -> None:
    """Whether all arguments are tensors, or TypeError in PyTorch's words."""
    for i, (name, t) in enumerate(arguments.items()):
        if not isinstance(t, Handle):
            raise TypeError(
                f"{function}(): argument '{name}' (position {i + 1}) must be Tensor, "
                f"not {kind_of(t)}"
            )


def check_elements(tensors: Sequence[Any]) -> Sequence[Any]:
    """The sequence, all of whose elements are tensors.

    Raises:
        TypeError: one is not (no_tensor).
    """
    for place, x in enumerate(tensors):
        if not isinstance(x, Handle):
            raise no_tensor(place, x)
    return tensors


def no_tensor(place: int, x: Any) -> TypeError:
    """What to raise for an element of a sequence of tensors that is none, in PyTorch's words."""
    return TypeError(f"expected Tensor as element {place} in argument 0, but got {kind_of(x)}")


def kind_of(x: object) -> str:
    """The name of its type, as PyTorch writes it."""
    kind = type(x)
    return f"numpy.{kind.__name__}" if kind.__module__ == "numpy" else kind.__name__


def dtype_of(t: Tensor) -> dtype:
    """The dtype of a tensor."""
    return NODE_DTYPES[lib.rnn_dtype(t._h)] if t._h else _dtypes.from_numpy(t._array.dtype)


def wrap(array: Any) -> Tensor:
    """A tensor over a NumPy array of an integer or boolean dtype (shared); floats are copied into
    nodes.
    """
    array = np.asarray(array)
    if array.dtype in NUMPY_NODE_DTYPES:
        return nodes(array)
    t: Tensor = Handle.__new__(_classes[0])
    t._array = array
    return t


def nodes(array: Array) -> Tensor:
    """A leaf with a copy of a float32 or float64 array (other dtypes become float32)."""
    code = 1 if array.dtype == np.float64 else 0
    array = np.asarray(array, NUMPY_NODE_DTYPES[code], order="C")
    h = lib.rnn_from_memory(E, code, array.ndim, array.shape, ffi.from_buffer(array))
    return adopt(h) if h > 0 else fail(h)


def array_of(t: Tensor) -> Array:
    """A NumPy array that shares the tensor's memory, whatever its dtype; the graph is not asked."""
    if not t._h:
        array: Array = t._array
        return array
    shape, code, memory, offset, strides = _c.array_parts(t._h)
    if 0 in shape:
        return np.empty(shape, NUMPY_NODE_DTYPES[code])
    return np.ndarray(shape, NUMPY_NODE_DTYPES[code], memory, offset, strides)


def places(offset: int, shape: tuple[int, ...], strides: Sequence[int]) -> Array:
    """Where in its span each element of a view is: int64, in the view's shape."""
    at = np.full(shape, offset, np.int64)
    for d, (n, step) in enumerate(zip(shape, strides)):
        at += (np.arange(n, dtype=np.int64) * step).reshape(-1, *[1] * (len(shape) - d - 1))
    return at


def places_of(t: Tensor) -> Array:
    """`places` of a tensor of nodes."""
    return places(lib.rnn_offset(t._h), t._shape, t._strides)


def constant(value: Number, code: int) -> Tensor:
    """A 0-d constant node."""
    h = lib.rnn_full(E, code, 0, ffi.NULL, value)
    return adopt(h) if h > 0 else fail(h)


def as_node(x: Any, code: int) -> Tensor:
    """x (a tensor of any dtype, a number) as a float tensor of dtype code, recorded where it is
    cast.

    Raises:
        TypeError: x is neither.
    """
    if isinstance(x, Handle):
        if x._h:
            if lib.rnn_dtype(x._h) == code:
                return x
            h = lib.rnn_cast(E, x._h, code)
            return adopt(h) if h > 0 else fail(h)
        _c.check_room("to", x._array.shape, NUMPY_NODE_DTYPES[code].itemsize)
        return nodes(x._array.astype(NUMPY_NODE_DTYPES[code]))
    if isinstance(x, (int, float, np.number, np.bool_)):
        return constant(x, code)
    if isinstance(x, _c.ValueBase):
        h = _c.ref_of(x)
        return as_node(adopt(h), code)
    raise TypeError(f"expected a Tensor or a number, but got {type(x).__name__}")


def operand(x: Any) -> tuple[dtype, int]:
    """x as result_dtype wants it: (dtype, kind).

    Raises:
        TypeError: x is neither a tensor nor a number.
    """
    if isinstance(x, Handle):
        return dtype_of(x), 0 if x._shape else 1
    if isinstance(x, (bool, int, float, np.number, np.bool_)):
        return _dtypes.scalar_dtype(x), 2
    if isinstance(x, _c.ValueBase):
        return NODE_DTYPES[x._dtype_code], 1
    raise TypeError(f"expected a Tensor or a number, but got {type(x).__name__}")


def result_dtype(*operands: Any) -> dtype:
    """PyTorch's result type of tensors and Python numbers.

    Example:
        >>> rnn.result_type(rnn.tensor([1, 2]), 1.5)
        rnn.float32
    """
    return _dtypes.result_dtype(tuple([operand(x) for x in operands]))


def as_array(x: Any, to: dtype) -> Any:
    """x (tensor or number) for NumPy arithmetic in dtype `to`."""
    if isinstance(x, Handle):
        array = array_of(x)
        if array.dtype != to.storage:
            _c.check_room("to", array.shape, to.itemsize)
        return _dtypes.cast(array, to)
    return np.asarray(x).astype(to.storage)


def float_code(t: Any) -> int:
    """The dtype code of a float computation on t: its own, or the default dtype's for integers."""
    if t._h:
        return int(lib.rnn_dtype(t._h))
    return CODES[_dtypes.get_default_dtype()]


def as_floats(t: Tensor) -> Tensor:
    """t, or its integers as floats of the default dtype."""
    return t if t._h else as_node(t, float_code(t))


def type_name(d: dtype) -> str:
    """PyTorch's C++ name of a dtype, as its errors have it: "Float", "Long"."""
    return d.tensor_type.removesuffix("Tensor")


#: dtypes as C++ names them
_C_NAMES = {
    "float64": "double", "float32": "float", "float16": "c10::Half", "bfloat16": "c10::BFloat16",
    "int64": "long int", "int32": "int", "int16": "short int", "int8": "signed char",
    "uint8": "unsigned char", "bool": "bool",
}  # fmt: skip


def c_name(d: dtype) -> str:
    """PyTorch's other name of a dtype, as the rest of its errors have it: "float", "long int"."""
    return _C_NAMES[d.name]


def floats_only(kernel: str, *tensors: Any) -> None:
    """PyTorch's kernel of this name computes floats only.

    Raises:
        NotImplementedError: a tensor holds integers.
    """
    for t in tensors:
        if isinstance(t, Handle) and not t._h:
            kind = type_name(dtype_of(t))
            raise NotImplementedError(f"\"{kernel}\" not implemented for '{kind}'")


def check_cast(result: dtype, to: dtype) -> None:
    """Whether a result may be written into a tensor of dtype `to`, or RuntimeError in PyTorch's
    words.
    """
    if not _dtypes.can_cast(result, to):
        raise RuntimeError(
            f"result type {type_name(result)} can't be cast to the desired output type "
            f"{type_name(to)}"
        )


def writable(t: Tensor) -> Array:
    """The array of an integer or boolean tensor that is to be written.

    Raises:
        RuntimeError: it is expanded: elements of it share memory.
    """
    array: Array = t._array
    if array.size and any(s == 0 and n > 1 for n, s in zip(array.shape, array.strides)):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a "
            "single memory location. Please clone() the tensor before performing the operation."
        )
    return array


def _public_caller() -> str:
    frame: Any = sys._getframe()
    while frame.f_code.co_name[0] in "_<" or frame.f_globals is globals():
        frame = frame.f_back
    name: str = frame.f_code.co_name
    return name


def view_as_results(made: Sequence[Tensor], out: Any) -> tuple[Tensor, ...]:
    """`out=` of several results: see view_as_result.

    Raises:
        TypeError: it is neither None nor a tuple of as many tensors.
    """
    if out is None:
        return tuple(made)
    if not isinstance(out, (tuple, list)) or len(out) != len(made):
        raise TypeError(
            f"{_public_caller()}(): argument 'out' must be tuple of {len(made)} Tensors, not "
            + (f"of {len(out)}" if isinstance(out, (tuple, list)) else type(out).__name__)
        )
    return tuple(view_as_result(t, o, same=True) for t, o in zip(made, out))


def view_as_result(t: Tensor, out: Tensor | None, name: str = "", same: bool = False) -> Tensor:
    """`out=`: writes t into it and returns it; t itself where it is None.

    Args:
        name: of the function, for errors; else the public one that called.
        same: whether out must have the result's dtype.

    Raises:
        RuntimeError: the dtype of the result cannot be cast to out's, or is not out's where it must
            be, or a gradient would have to flow.
    """
    if out is None:
        return t
    if (t.requires_grad or out.requires_grad) and lib.rnn_grad_mode():
        raise RuntimeError(
            f"{name or _public_caller()}(): functions with out=... arguments don't support "
            "automatic differentiation, but one of the arguments requires grad."
        )
    if same and dtype_of(t) is not dtype_of(out):
        raise RuntimeError(
            f"Expected out tensor to have dtype {c_name(dtype_of(t))}, but got "
            f"{c_name(dtype_of(out))} instead"
        )
    check_cast(dtype_of(t), dtype_of(out))
    if out._shape != t._shape:
        out.resize_(t._shape)
    out.copy_(t)
    return out

"""Tensors from data: Python's numbers and lists, Values, NumPy arrays and buffers.

What is made of nothing but sizes and rules is in create.py.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _c, _dtypes
from rnn._c import E, Handle, ValueBase, adopt, check, check_room, ffi, lib
from rnn._dtypes import dtype as Dtype
from rnn._size import CPU, Size, check_device
from rnn.autograd.graph import leaf
from rnn.ops import _core
from rnn.ops._core import CODES, array_of, dtype_of
from rnn.ops.create import integers, real_dtype, sizes, uninitialised
from rnn.ops.shape import clone

if TYPE_CHECKING:
    from rnn.tensor import Tensor

_NUMBERS = {float, int, bool}
_SEQUENCES = {list, tuple}
_CODES: dict[Any, int] = {np.dtype(np.float32): 0, np.dtype(np.float64): 1}

# ---- copies --------------------------------------------------------------------------------------


def copied(array: Any, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of a NumPy array's floats, or over integers that nobody else keeps."""
    if array.dtype not in _core.NUMPY_NODE_DTYPES:
        return integers(array, requires_grad)
    t = _core.nodes(array)
    return leaf(t) if requires_grad else t


def tensor(
    data: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A new tensor with a copy of the data (torch.tensor); of Values: a tensor of those very nodes.

    Args:
        data: a number, nested lists or tuples of numbers, a NumPy array or scalar, a Tensor; or a
            Value, or nested lists with Values, to which the gradients then flow.
        dtype: None keeps NumPy's and Values' types; Python's floats become the default dtype, ints
            int64.

    Raises:
        ValueError: lists of one depth differ in length.
        TypeError, RuntimeError: an element is no number.

    Example:
        >>> a = rnn.Value(3.0)
        >>> rnn.tensor([[a, 2.0], [a * a, 1.0]]).sum().backward()
        >>> a.grad
        7.0
    """
    if device is not None and device is not CPU:
        check_device(device)
    to = None if dtype is None else real_dtype(dtype)
    kind = type(data)
    if kind is float or (kind in _NUMBERS and to in CODES):
        code = CODES.get(to or _dtypes.get_default_dtype())
        if code is not None:
            t: Tensor = adopt(lib.rnn_full(E, code, 0, ffi.NULL, data))
            return leaf(t) if requires_grad else t
    elif kind in _SEQUENCES:
        array = _of_lists(data, to)
        if array is not None:
            return copied(array, requires_grad)
        if _has_value(data):
            return _of_values(data, to, requires_grad)
    elif isinstance(data, Handle):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use "
            "sourceTensor.detach().clone() or sourceTensor.detach().clone().requires_grad_(True), "
            f"rather than {_dtypes.prefix}tensor(sourceTensor).",
            stacklevel=2,
        )
        source = array_of(data)
        return copied(_dtypes.cast(source, to or dtype_of(data)).copy(order="C"), requires_grad)
    elif isinstance(data, ValueBase):
        return _of_values(data, to, requires_grad)
    elif kind is np.ndarray:
        _check_strides(data)
        check_room("tensor", data.shape, (to.storage if to else data).itemsize)
        if data.dtype in _CODES and (to is None or to.storage == data.dtype):
            return copied(data, requires_grad)
    elif kind in _NUMBERS and (to is None or to is _dtypes.int64) and -(2**63) <= data < 2**63:
        return integers(np.array(data, None if to is None else to.storage), requires_grad)
    array = _dtypes.infer(data, to, _is_node, _room)
    real_dtype(_dtypes.from_numpy(array.dtype))
    return copied(array, requires_grad)


def _room(shape: tuple[int, ...]) -> None:
    check_room("tensor", shape, 16)  # an array, and before it a list of the elements


def _is_node(x: Any) -> bool:
    return isinstance(x, (Handle, ValueBase))


def _of_lists(data: Any, to: Dtype | None) -> Any:
    """A NumPy array of nested lists of Python's numbers, quickly; None where there is more."""
    first, depth = data, 0
    while type(first) in _SEQUENCES and first:
        first, depth = first[0], depth + 1
        if depth > 64:  # a list that holds itself, perhaps
            return None
    level, kinds = data, set(map(type, data))
    while kinds and kinds <= _SEQUENCES:
        level = list(chain.from_iterable(level))
        kinds = set(map(type, level))
    if not kinds or not kinds <= _NUMBERS:
        return None
    if to is None:
        to = _dtypes.int64 if int in kinds else _dtypes.bool_
        to = _dtypes.get_default_dtype() if float in kinds else to
    elif to not in CODES and (float in kinds or to is not _dtypes.int64):
        return None  # values have to be checked
    check_room("tensor", (len(level),), to.itemsize)
    try:
        return np.array(data, to.storage)
    except (ValueError, OverflowError):
        return None


def _has_value(data: Any) -> bool:
    """Whether nested lists and tuples, which may hold themselves, hold a Value."""
    waiting, seen = [data], set()
    while waiting:
        lists = waiting.pop()
        if id(lists) in seen:
            continue
        seen.add(id(lists))
        for x in lists:
            if isinstance(x, ValueBase):
                return True
            if type(x) in _SEQUENCES:
                waiting.append(x)
    return False


def _of_values(data: Any, to: Dtype | None, requires_grad: bool) -> Tensor:
    """A tensor of Values' nodes (recorded by cat) and of constants for the numbers among them."""
    shape, leaves = _dtypes.flatten(data, _is_node)
    array = _dtypes.infer(data, to, _is_node)
    code = CODES.get(_dtypes.from_numpy(array.dtype))
    if code is None:
        return integers(array, requires_grad)
    values = array.ravel().tolist()
    parts = [
        _core.as_node(x if isinstance(x, ValueBase) else value, code)
        for x, value in zip(leaves, values)
    ]
    if not isinstance(data, ValueBase):
        flat = [adopt(check(lib.rnn_reshape(E, t._h, 1, (1,), 1))) for t in parts]
        whole = adopt(check(lib.rnn_cat(E, len(flat), [t._h for t in flat], 0, 0)))
        t = (
            adopt(check(lib.rnn_reshape(E, whole._h, len(shape), shape, 1)))
            if len(shape) > 1
            else whole
        )
    else:
        t = parts[0]
    return t.requires_grad_() if requires_grad else t


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """The data as a tensor, copied only where it must be: arrays are shared (torch.as_tensor).

    Example:
        >>> rnn.as_tensor([1.0, 2.0], dtype=rnn.float64)
        tensor([1., 2.], dtype=rnn.float64)
    """
    check_device(device)
    if isinstance(data, Handle):
        return data if dtype is None else data.to(dtype)
    if isinstance(data, np.ndarray):
        to = real_dtype(dtype, _dtypes.from_numpy(data.dtype))
        return from_numpy(data) if data.dtype == to.storage else tensor(data, dtype=to)
    return tensor(data, dtype=dtype)


def asarray(
    obj: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    copy: bool | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """The object as a tensor that shares its memory where it can (torch.asarray).

    Args:
        copy: True: always a copy; False: never (ValueError where it must be); None: where needed.

    Example:
        >>> rnn.asarray([[1, 2], [3, 4]], dtype=rnn.float32)
        tensor([[1., 2.],
                [3., 4.]])
    """
    check_device(device)
    t: Tensor
    if isinstance(obj, (Handle, np.ndarray)) or hasattr(obj, "__dlpack__"):
        if isinstance(obj, Handle):
            shared = obj if obj.requires_grad and requires_grad else obj.detach()
        else:
            shared = from_numpy(obj) if isinstance(obj, np.ndarray) else from_dlpack(obj)
        t = shared if dtype is None else shared.to(dtype)
        if t is not shared and copy is False:
            names = f"'{shared.dtype}' into dtype '{t.dtype}'"
            raise ValueError(f"can't alias tensor with dtype {names}.")
        t = clone(t) if copy and t is shared else t
    elif isinstance(obj, (bytes, bytearray, memoryview)):
        t = frombuffer(obj, dtype=real_dtype(dtype))
        t = clone(t) if copy else t
    else:
        if copy is False:
            raise ValueError(
                f"can't alias arbitrary sequence into a tensor. ({type(obj).__name__})"
            )
        t = tensor(obj, dtype=dtype)
    return t.requires_grad_() if requires_grad and not t.requires_grad else t


# ---- shared memory -------------------------------------------------------------------------------


def _check_strides(array: Any) -> None:
    strides = array.strides
    if strides and min(strides) < 0:
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative "
            "strides are not currently supported. (You can probably work around this by making a "
            "copy of your array  with array.copy().) "
        )
    if not array.flags.c_contiguous and any(s % array.itemsize for s in strides):
        raise ValueError(
            "given numpy array strides not a multiple of the element byte size. Copy the numpy "
            "array to reallocate the memory."
        )
    if not array.dtype.isnative:
        raise ValueError(
            "given numpy array has byte order different from the native byte order. Conversion "
            "between byte orders is currently not supported."
        )


def share(array: Any) -> Tensor:
    """A tensor over a NumPy array's own memory, which it keeps alive.

    Raises:
        TypeError: tensors of the array's dtype there are none.
        ValueError: negative strides, strides that split elements, foreign byte order.
    """
    code = _CODES.get(array.dtype)
    if code is None:
        real_dtype(_dtypes.from_numpy(array.dtype))
    _check_strides(array)
    if code is None:
        return _core.wrap(array)
    shape, size, nodes = array.shape, array.itemsize, array.size
    stride = [s // size for s in array.strides]
    if array.flags.c_contiguous:
        data = ffi.from_buffer(array)
    else:
        nodes = 1 + sum([(n - 1) * s for n, s in zip(shape, stride)])
        data = ffi.cast("void *", array.__array_interface__["data"][0])
    owner = _c.retain(array)
    return adopt(check(lib.rnn_borrow(E, code, len(shape), shape, stride, data, 0, nodes, owner)))


def from_numpy(ndarray: Any) -> Tensor:
    """A tensor over a NumPy array's memory: writes show on both sides (torch.from_numpy).

    Raises:
        TypeError: it is no array, or of a dtype that tensors do not have.
        ValueError: a stride is negative.

    Example:
        >>> array = np.array([1.0, 2.0])
        >>> x = rnn.from_numpy(array)
        >>> array[0] = 5
        >>> x
        tensor([5., 2.], dtype=rnn.float64)
    """
    if not isinstance(ndarray, np.ndarray):
        name = type(ndarray).__name__
        name = f"numpy.{name}" if isinstance(ndarray, np.generic) else name
        raise TypeError(f"expected np.ndarray (got {name})")
    if not ndarray.flags.writeable:
        warnings.warn(
            "The given NumPy array is not writable, and a tensor cannot be told so: writing to it "
            "is undefined behavior. You may want to copy the array before converting it.",
            stacklevel=2,
        )
    return share(ndarray)


def frombuffer(
    buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Tensor:
    """A 1-d tensor over the memory of a bytes-like object (torch.frombuffer).

    Args:
        count: elements (negative: all that are there); offset: bytes to skip.

    Raises:
        ValueError: it is no buffer, or holds less than was asked for.

    Example:
        >>> rnn.frombuffer(bytearray([1, 0, 2, 0]), dtype=rnn.int16)
        tensor([1, 2], dtype=rnn.int16)
    """
    to = real_dtype(dtype)
    try:
        view = memoryview(buffer)
    except TypeError:
        raise ValueError("object does not implement Python buffer protocol.") from None
    length, size = view.nbytes, to.itemsize
    if not length or not count:
        raise ValueError(f"both buffer length ({length}) and count ({count}) must not be 0")
    if not 0 <= offset < length:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length "
            f"({length} bytes) minus 1"
        )
    if count > 0 and offset + count * size > length:
        raise ValueError(
            f"requested buffer length ({count} * {size} bytes) after offset ({offset} bytes) must "
            f"not be greater than actual buffer length ({length} bytes)"
        )
    if count < 0 and (length - offset) % size:
        raise ValueError(
            f"buffer length ({length - offset} bytes) after offset ({offset} bytes) must be a "
            f"multiple of element size ({size})"
        )
    t = share(np.frombuffer(buffer, to.storage, max(count, -1), offset))
    return t.requires_grad_() if requires_grad else t


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor over the memory of an object with `__dlpack__` (torch.from_dlpack).

    Example:
        >>> rnn.from_dlpack(np.array([1.0, 2.0], np.float32))
        tensor([1., 2.])
    """
    check_device(device)
    t = share(np.from_dlpack(ext_tensor))
    return clone(t) if copy else t


def new_tensor(
    self: Tensor,
    data: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor with a copy of data, of this one's dtype (torch.Tensor.new_tensor).

    Example:
        >>> rnn.ones(1, dtype=rnn.float64).new_tensor([1, 2])
        tensor([1., 2.], dtype=rnn.float64)
    """
    to = real_dtype(dtype, dtype_of(self))
    if isinstance(data, Handle):
        data = array_of(data)
    return tensor(data, dtype=to, device=device, requires_grad=requires_grad)


# ---- the old constructors ------------------------------------------------------------------------


def legacy(to: Dtype, args: Sequence[Any]) -> Tensor:
    """Tensor(2, 3), FloatTensor([1, 2]), LongTensor(): sizes are uninitialised, sequences are data.

    Raises:
        TypeError: an argument is neither.
    """
    if not args:
        return uninitialised((0,), to, None, False)
    first = args[0]
    if len(args) == 1 and not isinstance(first, (int, np.integer, Size)):
        if isinstance(first, Handle):
            if dtype_of(first) is not to and to is not _dtypes.get_default_dtype():
                raise TypeError(f"expected a tensor of {to} (got {dtype_of(first)})")
            return first.detach()
        if isinstance(first, (str, bytes)):
            raise TypeError(f"new(): invalid data type '{type(first).__name__}'")
        if not hasattr(first, "__len__"):
            raise TypeError(f"new(): data must be a sequence (got {type(first).__name__})")
        return tensor(first, dtype=to)
    return uninitialised(sizes(args, None, "new"), to, None, False)


class TensorType:
    """An old name of a dtype's tensors (torch.FloatTensor): makes them; isinstance knows them."""

    def __init__(self, dtype: Dtype) -> None:
        self.dtype = dtype
        self.__name__ = self.__qualname__ = dtype.tensor_type
        self.__module__ = "rnn"

    def __call__(self, *args: Any) -> Tensor:
        return legacy(self.dtype, args)

    def __instancecheck__(self, x: object) -> bool:
        return isinstance(x, Handle) and dtype_of(x) is self.dtype

    def __repr__(self) -> str:
        return f"<class '{_dtypes.prefix}{self.__name__}'>"

    def __reduce__(self) -> str:
        return self.__name__


FloatTensor = TensorType(_dtypes.float32)
DoubleTensor = TensorType(_dtypes.float64)
LongTensor = TensorType(_dtypes.int64)
IntTensor = TensorType(_dtypes.int32)
ShortTensor = TensorType(_dtypes.int16)
CharTensor = TensorType(_dtypes.int8)
ByteTensor = TensorType(_dtypes.uint8)
BoolTensor = TensorType(_dtypes.bool_)


def new(self: Tensor, *args: Any) -> Tensor:
    """The constructor of this one's type: sizes or data (torch.Tensor.new)."""
    return legacy(dtype_of(self), args)

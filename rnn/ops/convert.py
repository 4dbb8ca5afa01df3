"""Tensors to other dtypes, to Python, to NumPy, to bytes; and their data and copies.

Each function here is a method of Tensor of the same name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _dtypes, _repr
from rnn._c import EDTYPE, E, Handle, adopt, check, check_room, fail, ffi, lib
from rnn._dtypes import dtype as Dtype
from rnn._size import check_device
from rnn.autograd.graph import remember_leaf
from rnn.ops import _core
from rnn.ops._core import CODES, array_of, dtype_of
from rnn.ops.create import real_dtype
from rnn.ops.from_data import TensorType, share
from rnn.ops.shape import clone, expand

if TYPE_CHECKING:
    from rnn.tensor import Tensor

# ---- dtypes --------------------------------------------------------------------------------------


def cast(input: Tensor, to: Dtype) -> Tensor:
    """The tensor in dtype `to`, recorded between floats; itself where it is in it already."""
    code = CODES.get(to)
    if code is not None:
        return _core.as_node(input, code)
    array = array_of(input)
    if array.dtype != to.storage:
        check_room("to", array.shape, to.itemsize)
    converted = _dtypes.cast(array, to)
    return input if converted is array and not input._h else _core.wrap(converted)


def to(
    self: Tensor,
    *args: Any,
    dtype: Any = None,
    device: Any = None,
    other: Tensor | None = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """The tensor with another dtype (torch.Tensor.to).

    to(dtype), to(device), to(device, dtype), to(other tensor), or by keywords.

    Args:
        copy: a copy even where nothing changes.

    Raises:
        RuntimeError: the device is not the CPU.
        NotImplementedError: the dtype is float16 or bfloat16.

    Example:
        >>> rnn.ones(1).to(rnn.float64)
        tensor([1.], dtype=rnn.float64)
    """
    rest = list(args)
    if rest and isinstance(rest[0], Handle):
        other = rest.pop(0)
    elif rest and not _is_dtype(rest[0]):
        device = rest.pop(0)
    if rest and (_is_dtype(rest[0]) or rest[0] is None):
        dtype = rest.pop(0)
    if rest and isinstance(rest[-1], bool):
        copy = rest[1] if len(rest) > 1 else copy
        rest = []
    if rest:
        raise TypeError(f"to() received an invalid combination of arguments - got {args}")
    if device is not None:
        check_device(device)
    wanted = dtype_of(self) if other is None else dtype_of(other)
    wanted = real_dtype(dtype, wanted)
    if wanted is dtype_of(self):
        return clone(self) if copy else self
    return cast(self, wanted)


def _is_dtype(x: Any) -> bool:
    return isinstance(x, (Dtype, np.dtype)) or x in (float, int, bool)


def double(self: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor in float64 (torch.Tensor.double).

    Example:
        >>> rnn.ones(1).double()
        tensor([1.], dtype=rnn.float64)
    """
    return cast(self, _dtypes.float64)


def float_(self: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor in float32 (torch.Tensor.float).

    Example:
        >>> rnn.arange(2).float()
        tensor([0., 1.])
    """
    return cast(self, _dtypes.float32)


def long(self: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor in int64 (torch.Tensor.long).

    Example:
        >>> rnn.tensor([1.7, -1.7]).long()
        tensor([ 1, -1])
    """
    return cast(self, _dtypes.int64)


def int_(self: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor in int32 (torch.Tensor.int).

    Example:
        >>> rnn.tensor([1.7]).int()
        tensor([1], dtype=rnn.int32)
    """
    return cast(self, _dtypes.int32)


def short(self: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor in int16 (torch.Tensor.short).

    Example:
        >>> rnn.tensor([1.7]).short()
        tensor([1], dtype=rnn.int16)
    """
    return cast(self, _dtypes.int16)


def char(self: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor in int8 (torch.Tensor.char).

    Example:
        >>> rnn.tensor([1.7]).char()
        tensor([1], dtype=rnn.int8)
    """
    return cast(self, _dtypes.int8)


def byte(self: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor in uint8 (torch.Tensor.byte).

    Example:
        >>> rnn.tensor([1.7]).byte()
        tensor([1], dtype=rnn.uint8)
    """
    return cast(self, _dtypes.uint8)


def bool_(self: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor in bool: what is not zero (torch.Tensor.bool).

    Example:
        >>> rnn.tensor([0.0, 0.5]).bool()
        tensor([False,  True])
    """
    return cast(self, _dtypes.bool_)


def half(self: Tensor, memory_format: Any = None) -> Tensor:
    """float16 is only a name here (torch.Tensor.half). NotImplementedError."""
    return cast(self, real_dtype(_dtypes.float16))


def bfloat16(self: Tensor, memory_format: Any = None) -> Tensor:
    """bfloat16 is only a name here (torch.Tensor.bfloat16). NotImplementedError."""
    return cast(self, real_dtype(_dtypes.bfloat16))


def _refuse_gradients(name: str, *tensors: Tensor) -> None:
    if any(t.requires_grad for t in tensors):
        raise RuntimeError(
            f"Can't call {name}() on Variable that requires grad. "
            f"Use var.detach().{name}() instead."
        )


def _each(target: Tensor, made: Callable[[Any, Any], Any]) -> Tensor:
    """Every element x at its place becomes made(place, x), in order."""
    check(lib.rnn_check_inplace(E, target._h) if target._h else 0)
    array = array_of(target)
    kind = {"f": float, "b": bool}.get(array.dtype.kind, int)
    for at in np.ndindex(array.shape):
        array[at] = kind(made(at, array[at].item()))
    check(lib.rnn_touch(E, target._h) if target._h else 0)
    return target


def apply_(self: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """Every element x becomes callable(x), one by one in Python, in place (torch.Tensor.apply_).

    Raises:
        RuntimeError: it requires grad.
    """
    _refuse_gradients("apply_", self)
    return _each(self, lambda at, x: callable(x))


def map_(self: Tensor, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
    """Every element x becomes callable(x, y), of tensor's y at its place, one by one in Python, in
    place (torch.Tensor.map_).

    Raises:
        RuntimeError: one requires grad, or tensor does not broadcast to self.
        TypeError: the dtypes differ.
    """
    _refuse_gradients("map_", self, tensor)
    if dtype_of(tensor) is not dtype_of(self):
        wanted, given = dtype_of(self).tensor_type, dtype_of(tensor).tensor_type
        raise TypeError(
            f"map_: expected {_dtypes.prefix}{wanted} for 'other' (got {_dtypes.prefix}{given})"
        )
    others = array_of(expand(tensor, self._shape))
    return _each(self, lambda at, x: callable(x, others[at].item()))


def type_(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The name of the tensor's type, or the tensor in another (torch.Tensor.type).

    Args:
        dtype: None, a dtype, "rnn.LongTensor" or rnn.LongTensor.

    Raises:
        ValueError: there is no such type.

    Example:
        >>> rnn.ones(1).type()
        'rnn.FloatTensor'
    """
    if dtype is None:
        return _dtypes.prefix + dtype_of(self).tensor_type
    if isinstance(dtype, TensorType):
        dtype = dtype.dtype
    try:
        return cast(self, real_dtype(_dtypes.as_dtype(dtype)))
    except TypeError:
        name = getattr(dtype, "__name__", dtype)
        raise ValueError(f"invalid type: '{name}'") from None


def type_as(self: Tensor, other: Tensor) -> Tensor:
    """The tensor in another one's dtype (torch.Tensor.type_as).

    Example:
        >>> rnn.ones(1).type_as(rnn.tensor(2))
        tensor([1])
    """
    return cast(self, dtype_of(other))


def is_floating_point(input: Tensor) -> bool:
    """Whether the dtype is a floating-point one (torch.is_floating_point).

    Example:
        >>> rnn.is_floating_point(rnn.ones(2)), rnn.is_floating_point(rnn.arange(2))
        (True, False)
    """
    return input._h != 0


def is_signed(input: Tensor) -> bool:
    """Whether the dtype has negative numbers (torch.is_signed).

    Example:
        >>> rnn.is_signed(rnn.tensor([1], dtype=rnn.uint8))
        False
    """
    return dtype_of(input).is_signed


def real(input: Tensor) -> Tensor:
    """Itself: there are no complex tensors (torch.real).

    Example:
        >>> rnn.real(rnn.tensor([1.0, 2.0]))
        tensor([1., 2.])
    """
    return input


def conj(input: Tensor) -> Tensor:
    """Itself: there are no complex tensors (torch.conj).

    Example:
        >>> rnn.conj(rnn.tensor([1.0, 2.0]))
        tensor([1., 2.])
    """
    return input


def is_conj(input: Tensor) -> bool:
    """No: there are no complex tensors (torch.is_conj).

    Example:
        >>> rnn.is_conj(rnn.ones(2))
        False
    """
    return False


def is_complex(input: Tensor) -> bool:
    """No: there are no complex tensors (torch.is_complex).

    Example:
        >>> rnn.is_complex(rnn.ones(2))
        False
    """
    return False


def element_size(self: Tensor) -> int:
    """Bytes of one element (torch.Tensor.element_size).

    Example:
        >>> rnn.ones(2).element_size()
        4
    """
    return dtype_of(self).itemsize


# ---- devices -------------------------------------------------------------------------------------


def cpu(self: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor itself: it is on the CPU (torch.Tensor.cpu).

    Example:
        >>> rnn.ones(2).cpu().device
        device(type='cpu')
    """
    return self


def cuda(self: Tensor, device: Any = None, non_blocking: bool = False) -> Tensor:
    """There is no GPU here (torch.Tensor.cuda). RuntimeError."""
    check_device("cuda")
    return self


def pin_memory(self: Tensor, device: Any = None) -> Tensor:
    """The tensor itself: all memory is the CPU's (torch.Tensor.pin_memory)."""
    return self


def data_ptr(self: Tensor) -> int:
    """The address of the first element (torch.Tensor.data_ptr)."""
    if self._h:
        return int(ffi.cast("uintptr_t", lib.rnn_data(E, self._h)))
    return int(self._array.__array_interface__["data"][0])


# ---- to Python and NumPy -------------------------------------------------------------------------


def item(self: Tensor) -> Any:
    """The one element as a Python number (torch.Tensor.item).

    Raises:
        RuntimeError: there is not exactly one.

    Example:
        >>> rnn.tensor([2.5]).item()
        2.5
    """
    if self._h:
        n = lib.rnn_count(self._h)
        if n == 1:
            return lib.rnn_item(E, self._h, 0)
    else:
        n = self._array.size
        if n == 1:
            return self._array.item()
    raise RuntimeError(f"a Tensor with {n} elements cannot be converted to Scalar")


def tolist(self: Tensor) -> Any:
    """Nested lists of Python numbers; a number for a 0-d tensor (torch.Tensor.tolist).

    Example:
        >>> rnn.tensor([[1, 2], [3, 4]]).tolist()
        [[1, 2], [3, 4]]
    """
    return array_of(self).tolist()


_WITH_GRADIENTS = (
    "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
)


def numpy(self: Tensor, *, force: bool = False) -> Any:
    """A NumPy array that shares this tensor's memory (torch.Tensor.numpy).

    Args:
        force: also where it requires gradients.

    Raises:
        RuntimeError: it requires gradients (use .detach().numpy()).

    Example:
        >>> x = rnn.zeros(2)
        >>> x.numpy()[0] = 1
        >>> x
        tensor([1., 0.])
    """
    if self._h and not force and lib.rnn_requires_grad(E, self._h):
        raise RuntimeError(_WITH_GRADIENTS)
    return array_of(self)


def __array__(self: Tensor, dtype: Any = None, copy: Any = None) -> Any:
    """What numpy.asarray(t) and NumPy's functions call: numpy(), cast or copied as they wish."""
    array = numpy(self)
    if dtype is not None and array.dtype != dtype:
        if copy is False:
            raise ValueError("a tensor of another dtype cannot become an array without a copy")
        return array.astype(dtype)
    return array.copy() if copy else array


def __array_wrap__(
    self: Tensor, array: Any, context: Any = None, return_scalar: bool = False
) -> Tensor:
    """What NumPy's functions return when a tensor is given to them: a tensor."""
    return share(np.asarray(array))


def __dlpack__(self: Tensor, **options: Any) -> Any:
    """The memory for other libraries (numpy.from_dlpack, torch.from_dlpack).

    Raises:
        BufferError: it requires gradients.
    """
    if self._h and lib.rnn_requires_grad(E, self._h):
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    options.pop("stream", None)
    return array_of(self).__dlpack__(**options)


def __dlpack_device__(self: Tensor) -> tuple[int, int]:
    """Where the memory is: (1, 0), the CPU."""
    return (1, 0)


def __format__(self: Tensor, spec: str) -> str:
    """f"{t:.4f}" of a 0-d tensor, as its number prints."""
    if not self._shape and type(self) is _core.tensor_class():
        return _repr.format_scalar(item(self), dtype_of(self), spec)
    return object.__format__(self, spec)


# ---- data, copies, bytes -------------------------------------------------------------------------


def exchange(t: Tensor, other: Tensor) -> None:
    """The two Python objects exchange what they hold; everything else that holds it goes on."""
    t._h, other._h = other._h, t._h
    t._array, other._array = other._array, t._array


def get_data(self: Tensor) -> Tensor:
    """The same nodes as constants, whose writes backward() does not notice (torch.Tensor.data).

    Example:
        >>> w = rnn.ones(2, requires_grad=True)
        >>> w.data *= 3
        >>> w
        tensor([3., 3.], requires_grad=True)
    """
    if not self._h:
        return _core.wrap(self._array)
    return adopt(check(lib.rnn_detach(E, self._h, 1)))


def set_data(self: Tensor, value: Tensor) -> None:
    """Takes over the memory of another tensor, whatever its shape; gradients stay wanted."""
    if not isinstance(value, Handle):
        raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
    if self._h and value._h:
        code = lib.rnn_set_data(E, self._h, value._h)
        if code != EDTYPE:
            check(code)
            return
    wants = self._h != 0 and lib.rnn_requires_grad(E, self._h)
    if wants and not value._h:
        raise RuntimeError(
            "data set to a tensor that requires gradients must be floating point or complex dtype"
        )
    fresh = detach(value)
    if wants:
        check(lib.rnn_set_requires_grad(E, fresh._h, 1))
    exchange(self, fresh)
    if wants:
        remember_leaf(self)


def detach(self: Tensor) -> Tensor:
    """The same nodes, as constants (torch.Tensor.detach).

    Example:
        >>> x = rnn.ones(2, requires_grad=True)
        >>> (2 * x).detach().requires_grad
        False
    """
    if not self._h:
        return _core.wrap(self._array)
    h = lib.rnn_detach(E, self._h, 0)
    return adopt(h) if h > 0 else fail(h)


def detach_(self: Tensor) -> Tensor:
    """Cuts the tensor off from what it was made from, in place (torch.Tensor.detach_).

    Raises:
        RuntimeError: it is a view.
    """
    if self._h:
        if lib.rnn_view_op(self._h):
            raise RuntimeError(
                "Can't detach views in-place. Use detach() instead. If you are using "
                "DistributedDataParallel (DDP) for training, and gradient_as_bucket_view is set as "
                "True, gradients are views of DDP buckets, and hence detach_() cannot be called on "
                "these gradients. To fix this error, please refer to the Optimizer.zero_grad() "
                "function in torch/optim/optimizer.py as the solution."
            )
        exchange(self, detach(self))
    return self


def __copy__(self: Tensor) -> Tensor:
    """copy.copy: another Python object for the same nodes."""
    if not self._h:
        return _core.wrap(self._array)
    t: Tensor = detach(self)
    if lib.rnn_requires_grad(E, self._h):
        t.requires_grad_()
    return t


def __deepcopy__(self: Tensor, memo: Any) -> Tensor:
    """copy.deepcopy: new nodes with the same values, and a copy of the gradient.

    Raises:
        RuntimeError: it is no leaf.
    """
    if id(self) in memo:
        return memo[id(self)]
    if not self.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
            "protocol at the moment.  If you were attempting to deepcopy a module, this may be "
            f"because of a {_dtypes.prefix}nn.utils.weight_norm usage, see "
            "https://github.com/pytorch/pytorch/pull/103001"
        )
    t = clone(detach(self))
    if self.requires_grad:
        t.requires_grad_()
        if self.grad is not None:
            t.grad = clone(self.grad)
    t.__class__ = self.__class__
    t.__dict__.update(self.__dict__)
    memo[id(self)] = t
    return t


def rebuild(array: Any, requires_grad: bool) -> Tensor:
    """What pickle calls: a tensor of an array that nobody else has."""
    t = share(array)
    return t.requires_grad_() if requires_grad else t


def __reduce_ex__(self: Tensor, protocol: Any) -> Any:
    """pickle: the values and whether gradients are wanted; not the graph, not the gradient."""
    array = array_of(self)
    return rebuild, (array.copy(), self.requires_grad)

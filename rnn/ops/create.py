"""Making tensors of sizes: filled, and like others.

Ranges: ranges.py. From data: from_data.py. Random ones: rnn/random.py. A float tensor is one call
into C; an integer or boolean one is a NumPy array.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _dtypes, _shapes
from rnn._c import E, Handle, ValueBase, adopt, check, check_room, fail, lib
from rnn._dtypes import dtype as Dtype
from rnn._size import CPU, check_device
from rnn.autograd.graph import leaf
from rnn.ops import _core
from rnn.ops._core import CODES, array_of, dtype_of, view_as_result
from rnn.ops.shape import is_contiguous

if TYPE_CHECKING:
    from rnn.tensor import Tensor

_FLOAT32_MAX = float(np.finfo(np.float32).max)
_GRADLESS = "Only Tensors of floating point and complex dtype can require gradients"

# ---- what the functions below share --------------------------------------------------------------


def real_dtype(dtype: Any, default: Dtype | None = None) -> Dtype:
    """The dtype that was asked for (None: `default`, or the default dtype), if tensors can have it.

    Raises:
        TypeError: it is no dtype.
        NotImplementedError: it is float16 or bfloat16.
    """
    if dtype is None:
        return default or _dtypes.get_default_dtype()
    found = _dtypes.dtype_argument(dtype)
    if found is _dtypes.float16 or found is _dtypes.bfloat16:
        raise NotImplementedError(
            f"{found} is only a name here: tensors of floats are float32 or float64"
        )
    return found


def sizes(args: Sequence[Any], size: Any, function: str, position: int = 1) -> Sequence[int]:
    """The shape in f(2, 3), f((2, 3)), f(size=(2, 3)).

    Raises:
        TypeError: there is none, or a size is no integer.
    """
    if size is not None:
        args = (size,)
    given: Sequence[Any] = (
        args[0] if len(args) == 1 and isinstance(args[0], (tuple, list)) else args
    )
    for n in given:
        if type(n) is not int:
            return _shapes.as_size_args(args, function, position=position)
    return given if args else _shapes.as_size_args(args, function, position=position)


def refuse(shape: Iterable[int], code: int = -2) -> Any:
    """Raises for a shape that no tensor can have."""
    shape = list(shape)
    for n in shape:
        if n < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {n}: {shape}")
    if any(n >= 2**63 for n in shape):
        raise ValueError(f"a size in shape {shape} does not fit 64 bits")
    if code < 0:
        fail(code)


def integers(array: Any, requires_grad: bool) -> Tensor:
    """A tensor over a NumPy array that is not of a float dtype."""
    if requires_grad:
        raise RuntimeError(_GRADLESS)
    return _core.wrap(array)


def _array(make: Any, shape: Sequence[int], *args: Any) -> Any:
    """make(shape, *args) in NumPy, with our errors and under the memory limit."""
    try:
        count = math.prod(shape)
        check_room(make.__name__, shape, np.dtype(args[-1]).itemsize)
        return make(shape, *args)
    except (ValueError, MemoryError):
        refuse(shape, 0)
        if count >= 2**60:
            raise ValueError(f"shape {list(shape)} has more elements than can be counted") from None
        raise


def _filled(
    shape: Sequence[int], value: Any, dtype: Any, device: Any, requires_grad: bool
) -> Tensor:
    """A tensor of one value."""
    if device is not None and device is not CPU:
        check_device(device)
    to = real_dtype(dtype)
    code = CODES.get(to)
    if code is None:
        if value == 0:
            return integers(_array(np.zeros, shape, to.storage), requires_grad)
        return integers(_array(np.full, shape, value, to.storage), requires_grad)
    try:
        h = lib.rnn_full(E, code, len(shape), shape, value)
    except OverflowError:
        refuse(shape)
    if h < 0:
        refuse(shape, h)
    return leaf(adopt(h)) if requires_grad else adopt(h)


def uninitialised(shape: Sequence[int], dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    if device is not None and device is not CPU:
        check_device(device)
    to = real_dtype(dtype)
    code = CODES.get(to)
    if code is None:
        return integers(_array(np.empty, shape, to.storage), requires_grad)
    try:
        h = lib.rnn_empty(E, code, len(shape), shape)
    except OverflowError:
        refuse(shape)
    if h < 0:
        refuse(shape, h)
    return leaf(adopt(h)) if requires_grad else adopt(h)


def number(x: Any, function: str, name: str, position: int) -> Any:
    """x as a Python number: a number of Python's or NumPy's, a tensor of one element, a Value.

    Raises:
        TypeError: it is none.
    """
    if isinstance(x, (int, float)):
        return x
    if isinstance(x, (Handle, np.number, np.bool_, ValueBase)) or (
        isinstance(x, np.ndarray) and x.size == 1
    ):
        return x.item()
    kind = type(x).__name__
    raise TypeError(
        f"{function}(): argument '{name}' (position {position}) must be Number, not {kind}"
    )


# ---- filled --------------------------------------------------------------------------------------


def zeros(
    *args: Any,
    size: Any = None,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of zeros, of the sizes given one by one or as a tuple (torch.zeros).

    Raises:
        RuntimeError: a size is negative.
        ValueError: there are more elements than can be counted.
        MemoryError: they do not fit the memory limit.

    Example:
        >>> rnn.zeros(2, 3)
        tensor([[0., 0., 0.],
                [0., 0., 0.]])
    """
    dtype = dtype_of(out) if out is not None and dtype is None else dtype
    made = _filled(sizes(args, size, "zeros"), 0, dtype, device, requires_grad)
    return view_as_result(made, out)


def ones(
    *args: Any,
    size: Any = None,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of ones (torch.ones); see zeros.

    Example:
        >>> rnn.ones(2, 2)
        tensor([[1., 1.],
                [1., 1.]])
    """
    dtype = dtype_of(out) if out is not None and dtype is None else dtype
    made = _filled(sizes(args, size, "ones"), 1, dtype, device, requires_grad)
    return view_as_result(made, out)


def empty(
    *args: Any,
    size: Any = None,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """A tensor whose values are whatever is in its memory (torch.empty); see zeros.

    Example:
        >>> rnn.empty(2, 3).shape
        rnn.Size([2, 3])
    """
    dtype = dtype_of(out) if out is not None and dtype is None else dtype
    made = uninitialised(sizes(args, size, "empty"), dtype, device, requires_grad)
    return view_as_result(made, out)


def full(
    size: Any,
    fill_value: Any,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of one value (torch.full); an int makes int64, a float the default dtype.

    Raises:
        TypeError: size is no tuple of ints, or the value no number.
        RuntimeError: the dtype does not hold the value.

    Example:
        >>> rnn.full((2, 2), 0.5)
        tensor([[0.5000, 0.5000],
                [0.5000, 0.5000]])
    """
    if not isinstance(size, (tuple, list)):
        raise TypeError(
            f"full(): argument 'size' (position 1) must be tuple of ints, not {type(size).__name__}"
        )
    value = number(fill_value, "full", "fill_value", 2)
    if dtype is None:
        dtype = _dtypes.scalar_dtype(value) if out is None else dtype_of(out)
    made = _full(sizes((size,), None, "full"), value, dtype, device, requires_grad)
    return view_as_result(made, out)


def _full(shape: Sequence[int], value: Any, dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    """_filled with a number of the user's, which the dtype must hold."""
    to = real_dtype(dtype)
    return _filled(shape, held(value, to), to, device, requires_grad)


def held(value: Any, to: Dtype) -> Any:
    """A number as a dtype holds it.

    Raises:
        RuntimeError: it does not.
    """
    if to in CODES:
        if to is _dtypes.float32 and math.isfinite(value) and abs(value) > _FLOAT32_MAX:
            raise RuntimeError("value cannot be converted to type float without overflow")
        return value
    if to is _dtypes.bool_:
        return bool(value)
    low, high = _dtypes.limits(to)
    low = -high if to is _dtypes.uint8 else low
    if not low <= value <= high:
        raise RuntimeError(f"value cannot be converted to type {to.name}_t without overflow")
    return int(value) % 256 if to is _dtypes.uint8 else int(value)


def eye(
    n: int,
    m: int | None = None,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """Ones on the diagonal, else zeros: (n, m), or (n, n) (torch.eye).

    Example:
        >>> rnn.eye(2, 3)
        tensor([[1., 0., 0.],
                [0., 1., 0.]])
    """
    check_device(device)
    m = n if m is None else m
    for position, (name, x) in enumerate((("n", n), ("m", m)), 1):
        if not isinstance(x, (int, np.integer)) or isinstance(x, bool):
            kind = type(x).__name__
            raise TypeError(
                f"eye(): argument '{name}' (position {position}) must be int, not {kind}"
            )
        if x < 0:
            raise RuntimeError(f"{name} must be greater or equal to 0, got {x}")
    dtype = dtype_of(out) if out is not None and dtype is None else dtype
    t = _filled((int(n), int(m)), 0, dtype, None, requires_grad)
    array_of(t).reshape(-1)[: min(n, m) * (m + 1) : m + 1] = 1
    return view_as_result(t, out)


def scalar_tensor(
    s: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A 0-d tensor of a number, of the default dtype (torch.scalar_tensor).

    Example:
        >>> rnn.scalar_tensor(3)
        tensor(3.)
    """
    return _full((), number(s, "scalar_tensor", "s", 1), real_dtype(dtype), device, requires_grad)


def empty_strided(
    size: Any,
    stride: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """An uninitialised tensor with given strides (torch.empty_strided).

    Example:
        >>> rnn.empty_strided((2, 3), (1, 2)).stride()
        (1, 2)
    """
    check_device(device)
    return strided(
        sizes((size,), None, "empty_strided"),
        sizes((stride,), None, "empty_strided", 2),
        real_dtype(dtype),
        requires_grad,
    )


def strided(
    shape: Sequence[int], stride: Sequence[int], dtype: Dtype, requires_grad: bool = False
) -> Tensor:
    """An uninitialised tensor of a dtype with strides, in elements."""
    code = CODES.get(dtype)
    if code is not None:
        t: Tensor = adopt(check(lib.rnn_empty_strided(E, code, len(shape), shape, stride)))
        return t.requires_grad_() if requires_grad else t
    nodes = 1 + sum([(n - 1) * s for n, s in zip(shape, stride)])
    check_room("empty", (nodes,), dtype.itemsize)
    flat = np.empty(nodes, dtype.storage)
    in_bytes = [s * flat.itemsize for s in stride]
    return integers(np.lib.stride_tricks.as_strided(flat, shape, in_bytes), requires_grad)


# ---- like another tensor -------------------------------------------------------------------------


def _is_dense(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether the strides, in some order, step over every element once."""
    step = 1
    for stride, n in sorted([(s, n) for n, s in zip(shape, strides) if n != 1]):
        if stride != step:
            return False
        step *= n
    return True


def memory_order(shape: Sequence[int], strides: Sequence[int]) -> list[int]:
    """The dimensions from the closest in memory to the farthest, as torch sorts them."""
    order: list[int] = []
    for d in reversed(range(len(shape))):
        order.append(d)
        at = len(order) - 1
        for before in reversed(range(at)):
            other, stride = strides[order[before]], strides[d]
            if other and stride and other < stride:
                break
            if other and stride and (other > stride or shape[order[before]] > shape[d]):
                order[before], order[at] = d, order[before]
                at = before
    return order


def dense_strides(shape: Sequence[int], strides: Sequence[int]) -> list[int]:
    """Strides without holes for `shape`, in the order of `strides` (torch's preserve_format)."""
    if _is_dense(shape, strides):
        return list(strides)
    found, step = [0] * len(shape), 1
    for d in memory_order(shape, strides):
        found[d] = step
        step *= max(shape[d], 1)
    return found


def element_strides(t: Tensor) -> Sequence[int]:
    """The strides of a tensor, in elements."""
    if t._h:
        return t._strides
    return [s // t._array.itemsize for s in t._array.strides]


def empty_like(
    input: Tensor,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """An uninitialised tensor of input's shape, dtype and order of memory (torch.empty_like).

    Example:
        >>> rnn.empty_like(rnn.ones(2, 3)).shape
        rnn.Size([2, 3])
    """
    to = real_dtype(dtype, dtype_of(input))
    if is_contiguous(input) or str(memory_format).endswith("contiguous_format"):
        return uninitialised(input._shape, to, device, requires_grad)
    check_device(device)
    shape = input._shape
    return strided(shape, dense_strides(shape, element_strides(input)), to, requires_grad)


def full_like(
    input: Tensor,
    fill_value: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor of one value, of input's shape and dtype (torch.full_like).

    Example:
        >>> rnn.full_like(rnn.ones(2), 7.0)
        tensor([7., 7.])
    """
    value = number(fill_value, "full_like", "fill_value", 2)
    value = held(value, real_dtype(dtype, dtype_of(input)))
    return _like(input, value, dtype, device, requires_grad, memory_format)


def _like(
    t: Tensor, value: Any, dtype: Any, device: Any, requires_grad: bool, memory_format: Any
) -> Tensor:
    """A tensor of one value, which the dtype holds, like another."""
    to = real_dtype(dtype, dtype_of(t))
    if is_contiguous(t) or str(memory_format).endswith("contiguous_format"):
        return _filled(t._shape, value, to, device, requires_grad)
    new = empty_like(t, dtype=to, device=device)
    array_of(new)[...] = value
    return new.requires_grad_() if requires_grad else new


def zeros_like(
    input: Tensor,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """Zeros of input's shape and dtype (torch.zeros_like).

    Example:
        >>> rnn.zeros_like(rnn.tensor([3, 4]))
        tensor([0, 0])
    """
    return _like(input, 0, dtype, device, requires_grad, memory_format)


def ones_like(
    input: Tensor,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """Ones of input's shape and dtype (torch.ones_like).

    Example:
        >>> rnn.ones_like(rnn.tensor([3, 4]))
        tensor([1, 1])
    """
    return _like(input, 1, dtype, device, requires_grad, memory_format)


def new_zeros(
    self: Tensor,
    *args: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """Zeros of this one's dtype (torch.Tensor.new_zeros).

    Example:
        >>> rnn.tensor([5]).new_zeros(2)
        tensor([0, 0])
    """
    return _filled(
        sizes(args, size, "new_zeros"), 0, dtype or dtype_of(self), device, requires_grad
    )


def new_ones(
    self: Tensor,
    *args: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """Ones of this one's dtype (torch.Tensor.new_ones).

    Example:
        >>> rnn.tensor([5]).new_ones(2)
        tensor([1, 1])
    """
    return _filled(sizes(args, size, "new_ones"), 1, dtype or dtype_of(self), device, requires_grad)


def new_empty(
    self: Tensor,
    *args: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """An uninitialised tensor of this one's dtype (torch.Tensor.new_empty).

    Example:
        >>> rnn.ones(2, dtype=rnn.float64).new_empty(3).dtype
        rnn.float64
    """
    return uninitialised(
        sizes(args, size, "new_empty"), dtype or dtype_of(self), device, requires_grad
    )


def new_full(
    self: Tensor,
    size: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """One value in this one's dtype (torch.Tensor.new_full).

    Example:
        >>> rnn.ones(2).new_full((2,), 7)
        tensor([7., 7.])
    """
    shape, value = sizes((size,), None, "new_full"), number(fill_value, "new_full", "fill_value", 2)
    return _full(shape, value, dtype or dtype_of(self), device, requires_grad)

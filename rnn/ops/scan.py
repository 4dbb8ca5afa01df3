"""Each element with those before it: cumulative sums, products and extremes; differences.

csrc/scan.c does the arithmetic; integers are NumPy's.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _dtypes, _shapes, return_types
from rnn._c import COMPOSE, E, Handle, adopt, check_copy_room, check_room, fail, ffi, lib, op
from rnn.ops import _core, compose_reduce
from rnn.ops._core import array_of, dtype_of, type_name
from rnn.ops.convert import to
from rnn.ops.create import ones
from rnn.ops.elementwise import in_place, write_out
from rnn.ops.index import pick
from rnn.ops.join import cat, flip
from rnn.ops.parts import narrow
from rnn.ops.reduce import converted, sum_dtype
from rnn.ops.shape import expand, unsqueeze

if TYPE_CHECKING:
    from rnn.tensor import Tensor

_CUMSUM, _CUMPROD, _LOGCUMSUMEXP = op("cumsum"), op("cumprod"), op("logcumsumexp")
_CUMMAX, _CUMMIN = op("cummax"), op("cummin")


def _scan(
    number: int, name: str, numpy: Any, input: Tensor, dim: Any, dtype: Any, axis: Any
) -> Tensor:
    dim = axis if dim is None else dim
    if dim is None:
        raise TypeError(f'{name}() missing 1 required positional arguments: "dim"')
    input = converted(input, dtype)
    if input._h:
        try:
            h = lib.rnn_cumulate(E, number, input._h, dim)
        except OverflowError:
            raise _shapes.out_of_range(dim, len(input._shape)) from None
        if h > 0:
            return adopt(h)
        if h != COMPOSE:
            fail(h)
        return compose_reduce.scans[number](input, _shapes.normalize_dim(dim, len(input._shape)))
    array = input._array
    wide = sum_dtype(array, dtype)
    dim = _shapes.normalize_dim(dim, array.ndim)
    check_room(name, array.shape, wide.itemsize)
    made = numpy(np.atleast_1d(array), axis=dim, dtype=wide)
    return _core.wrap(made.reshape(array.shape))


def cumsum(
    input: Tensor,
    dim: int | None = None,
    *,
    dtype: Any = None,
    out: Tensor | None = None,
    axis: int | None = None,
) -> Tensor:
    """The sum of each element and those before it along a dimension (torch.cumsum).

    Args:
        input: of any shape and dtype; integers and booleans give int64.
        dtype: what to convert input to first.

    Raises:
        IndexError: the dimension is out of range.

    Example:
        >>> rnn.tensor([1.0, 2.0, 3.0]).cumsum(0)
        tensor([1., 3., 6.])
    """
    if out is not None:
        dtype = dtype_of(out) if dtype is None else dtype
        return write_out(out, cumsum, input, dim, dtype=dtype, axis=axis)
    return _scan(_CUMSUM, "cumsum", np.cumsum, input, dim, dtype, axis)


def cumprod(
    input: Tensor,
    dim: int | None = None,
    *,
    dtype: Any = None,
    out: Tensor | None = None,
    axis: int | None = None,
) -> Tensor:
    """The product of each element and those before it (torch.cumprod). See cumsum.

    Example:
        >>> rnn.cumprod(rnn.tensor([1.0, 2.0, 3.0]), 0)
        tensor([1., 2., 6.])
    """
    if out is not None:
        dtype = dtype_of(out) if dtype is None else dtype
        return write_out(out, cumprod, input, dim, dtype=dtype, axis=axis)
    return _scan(_CUMPROD, "cumprod", np.cumprod, input, dim, dtype, axis)


def cumsum_(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """cumsum, in place (torch.Tensor.cumsum_)."""
    return in_place(input, cumsum(input, dim, dtype=dtype))


def cumprod_(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """cumprod, in place (torch.Tensor.cumprod_)."""
    return in_place(input, cumprod(input, dim, dtype=dtype))


def logcumsumexp(input: Tensor, dim: int, *, out: Tensor | None = None) -> Tensor:
    """log(cumsum(exp(input))), with no overflow on the way (torch.logcumsumexp).

    Raises:
        NotImplementedError: of integers.

    Example:
        >>> rnn.logcumsumexp(rnn.zeros(3), 0)
        tensor([0.0000, 0.6931, 1.0986])
    """
    if out is not None:
        return write_out(out, logcumsumexp, input, dim)
    if not input._h:
        raise NotImplementedError(
            f"\"logcumsumexp_out_cpu\" not implemented for '{type_name(dtype_of(input))}'"
        )
    return _scan(_LOGCUMSUMEXP, "logcumsumexp", None, input, dim, None, None)


def _best(number: int, numpy: Any, input: Tensor, dim: Any, out: Any) -> tuple[Tensor, ...]:
    """Where the best element until here is: the last of equal ones, and NaN is best."""
    dim = _shapes.normalize_dim(dim, len(input._shape))
    smallest = number == _CUMMIN
    name = "cummin" if smallest else "cummax"
    array = np.atleast_1d(check_copy_room(name, array_of(input), 8))
    if input._h:
        index = np.empty(array.shape, np.int64)
        outer, inner = math.prod(array.shape[:dim]), math.prod(array.shape[dim + 1 :])
        values = ffi.from_buffer(np.ascontiguousarray(array))
        into = ffi.from_buffer("int64_t[]", index)
        code = lib.rnn_dtype(input._h)
        lib.rnn_running_extreme(E, code, smallest, outer, array.shape[dim], inner, values, into)
    else:
        index = _best_integers(numpy, array, dim)
    index = index.reshape(input._shape)
    return _core.view_as_results((pick(number, input, dim, index), _core.wrap(index)), out)


def _best_integers(numpy: Any, array: Any, dim: int) -> Any:
    hit = array == numpy.accumulate(array, axis=dim)
    at = np.arange(array.shape[dim]).reshape([-1 if d == dim else 1 for d in range(array.ndim)])
    return np.maximum.accumulate(np.where(hit, at, 0), axis=dim)


def cummax(input: Tensor, dim: int, *, out: Any = None) -> return_types.cummax:
    """The largest of each element and those before it, and where it is (torch.cummax).

    Returns:
        (values, indices): of equal elements, the last.

    Example:
        >>> rnn.cummax(rnn.tensor([1.0, 3.0, 2.0]), 0).values
        tensor([1., 3., 3.])
    """
    return return_types.cummax(_best(_CUMMAX, np.maximum, input, dim, out))


def cummin(input: Tensor, dim: int, *, out: Any = None) -> return_types.cummin:
    """The smallest of each element and those before it, and where (torch.cummin). See cummax.

    Example:
        >>> rnn.cummin(rnn.tensor([3.0, 1.0, 2.0]), 0).indices
        tensor([0, 1, 1])
    """
    return return_types.cummin(_best(_CUMMIN, np.minimum, input, dim, out))


# ---- differences ---------------------------------------------------------------------------------


def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of each element from N - 1 down to 0, or from 0 up, as a row (torch.vander).

    Args:
        N: how many; as many as x has elements without it.

    Raises:
        RuntimeError: x is no vector, or N is negative.

    Example:
        >>> rnn.vander(rnn.tensor([1, 2, 3]))
        tensor([[1, 1, 1],
                [4, 2, 1],
                [9, 3, 1]])
    """
    if len(x._shape) != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    count = x._shape[0] if N is None else N
    if count < 0:
        raise RuntimeError("N must be non-negative.")
    if not x._h:
        x = to(x, _dtypes.int64)
    first = ones((x._shape[0], min(count, 1)), dtype=dtype_of(x))
    more = expand(unsqueeze(x, 1), (x._shape[0], max(count - 1, 0)))
    powers = cumprod(cat([first, more], 1), 1)
    return powers if increasing else flip(powers, 1)


def diff(
    input: Tensor,
    n: int = 1,
    dim: int = -1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Each element less the one before it along a dimension, n times over (torch.diff).

    Args:
        prepend, append: tensors to put before and behind input along the dimension first.

    Raises:
        RuntimeError: input has no dimensions, or n is negative.

    Example:
        >>> rnn.diff(rnn.tensor([1.0, 4.0, 9.0]))
        tensor([3., 5.])
    """
    if out is not None:
        return write_out(out, diff, input, n, dim, prepend, append)
    if not input._shape:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    dim = _shapes.normalize_dim(dim, len(input._shape))
    parts = [t for t in (prepend, input, append) if isinstance(t, Handle)]
    if len(parts) > 1 and n > 0:
        input = cat(parts, dim)
    for _ in range(min(n, input._shape[dim])):
        size = input._shape[dim]
        after, before = narrow(input, dim, 1, size - 1), narrow(input, dim, 0, size - 1)
        bools = not input._h and input._array.dtype == np.bool_
        input = after ^ before if bools else after - before
    return input if n else input.clone()

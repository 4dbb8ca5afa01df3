"""Reductions: sums, means, variances, products, logsumexp, softmax, any, all. One call into C each;
max, min and their like are in extremes.py.

The way of `x.sum(0)`: Tensor.sum is `sum` below; it calls rnn_reduce in csrc/statistics.c; that
folds the rows with the loops of csrc/fold.inc. Integers and booleans are NumPy's. At scalar
resolution: compose_reduce.py.

NumPy's names `axis` and `keepdims` are taken for `dim` and `keepdim`, as PyTorch takes them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from rnn import _dtypes, _shapes
from rnn._c import COMPOSE, E, adopt, check_copy_room, check_room, fail, ffi, lib, op
from rnn.ops import _core, compose_reduce
from rnn.ops._core import array_of, dtype_of, type_name
from rnn.ops.convert import cast
from rnn.ops.elementwise import write_out
from rnn.ops.masks import masked_fill

if TYPE_CHECKING:
    from rnn.tensor import Tensor

Dim: TypeAlias = "int | tuple[int, ...] | list[int] | None"

_reduce = lib.rnn_reduce
_SUM, _SUM_DIM, _MEAN, _MEAN_DIM = op("sum"), op("sum_dim"), op("mean"), op("mean_dim")
_VAR, _STD, _LOGSUMEXP = op("var"), op("std"), op("logsumexp")
_PROD, _PROD_DIM = op("prod"), op("prod_dim")

_UNBIASED_FIRST = ("var", "std", "kthvalue")  # keepdim is the third argument

# ---- what the functions below share --------------------------------------------------------------


def reduce(
    number: int, a: Tensor, dim: Any, keepdim: Any, p: float = 0.0, name: str = ""
) -> Tensor:
    """A reduction of the table over one dimension, several, or all (None, ()) of a float tensor.

    Raises:
        IndexError: a dimension is out of range.
        RuntimeError: one is named twice.
        TypeError: it is no int.
    """
    if keepdim.__class__ is not bool:
        refuse_no_flag(name, keepdim)
    if dim is None:
        h = _reduce(E, number, a._h, 0, ffi.NULL, keepdim, p)
    else:
        over = dim if isinstance(dim, (tuple, list)) else (dim,)
        try:
            h = _reduce(E, number, a._h, len(over), over, keepdim, p)
        except TypeError:
            raise _invalid(name, dim) from None
        except OverflowError:
            raise _shapes.out_of_range(over, len(a._shape)) from None
    if h > 0:
        return adopt(h)
    if h != COMPOSE:
        fail(h)
    shape = a._shape
    over = (dim % len(shape),) if type(dim) is int and shape else _shapes.reduce_dims(dim, shape)[0]
    return compose_reduce.reductions[number](a, over, bool(keepdim), p)


def _invalid(name: str, *given: Any) -> TypeError:
    kinds = ", ".join([type(x).__name__ for x in given])
    return TypeError(
        f"{name}() received an invalid combination of arguments - got ({kinds}), "
        "but expected one of:"
    )


def refuse_no_flag(name: str, keepdim: Any) -> None:
    """TypeError for a keepdim that is not True or False: x.mean(1, 2) means x.mean((1, 2))."""
    if not isinstance(keepdim, (bool, np.bool_)):
        raise TypeError(
            f"{name}(): argument 'keepdim' (position {3 if name in _UNBIASED_FIRST else 2}) must "
            f"be bool, not {type(keepdim).__name__}"
        )


def _left_over(shape: tuple[int, ...], over: tuple[int, ...]) -> list[int]:
    """The sizes that are left when dimensions are reduced."""
    return [n for d, n in enumerate(shape) if d not in over]


def of_integers(
    numpy: Callable[..., Any], name: str, input: Tensor, dim: Any, keepdim: Any, **more: Any
) -> Tensor:
    """numpy over dimensions of a tensor that is no node."""
    refuse_no_flag(name, keepdim)
    try:
        over = _shapes.reduce_dims(dim, input._shape)[0]
    except TypeError:
        raise _invalid(name, dim) from None
    check_room(name, _left_over(input._shape, over), 8)
    with np.errstate(all="ignore"):
        return _core.wrap(
            np.asarray(numpy(input._array, axis=over, keepdims=bool(keepdim), **more))
        )


def converted(input: Tensor, dtype: Any) -> Tensor:
    """input in a dtype that was asked for; itself where none was.

    Raises:
        RuntimeError: gradients would have to flow through integers.
    """
    if dtype is None:
        return input
    wanted = _dtypes.dtype_argument(dtype)
    if not wanted.is_floating_point and input.requires_grad and lib.rnn_grad_mode():
        raise RuntimeError(f"Autograd not support dtype: {type_name(wanted)}")
    return cast(input, wanted)


def sum_dtype(array: Any, dtype: Any) -> Any:
    """NumPy's dtype for sums and products of an array: int64 of integers, if none was asked for."""
    return array.dtype if dtype is not None or array.dtype.kind == "f" else np.dtype(np.int64)


def left_shape(shape: tuple[int, ...], dim: int, keepdim: Any) -> tuple[int, ...]:
    """What is left of a shape without one dimension."""
    dim = _shapes.normalize_dim(dim, len(shape))
    return shape[:dim] + (1,) * (bool(keepdim) and bool(shape)) + shape[dim + 1 :]


def refuse_empty_dim(name: str, shape: tuple[int, ...], dim: int) -> None:
    """IndexError for a dimension without elements, none of which is the largest, say."""
    if shape and shape[dim] == 0:
        raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")


def refuse_no_int(name: str, dim: Any) -> None:
    """TypeError for a dim that is no integer."""
    if not isinstance(dim, (int, np.integer)) and not hasattr(dim, "__index__"):
        raise _invalid(name, dim)


# ---- sum and mean --------------------------------------------------------------------------------


def sum(
    input: Tensor,
    dim: Dim = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    out: Tensor | None = None,
    axis: Dim = None,
    keepdims: bool = False,
) -> Tensor:
    """The sum of the elements, over the dimensions that are given or all (torch.sum).

    Args:
        input: of any shape and dtype; integers and booleans give int64.
        dim: an int, several, or None.
        keepdim: whether the dimensions stay, with size 1.
        dtype: what to convert input to first.

    Raises:
        IndexError: a dimension is out of range.
        RuntimeError: one is named twice.

    Example:
        >>> rnn.tensor([[1.0, 2.0], [3.0, 4.0]]).sum(0)
        tensor([4., 6.])
    """
    if dim is None and axis is None and dtype is None and out is None:
        h = _reduce(E, _SUM, input._h, 0, ffi.NULL, keepdims or keepdim, 0.0)
        if h > 0:
            return adopt(h)
    if out is not None:
        dtype = dtype_of(out) if dtype is None else dtype
        return write_out(out, sum, input, dim, keepdim, dtype=dtype, axis=axis, keepdims=keepdims)
    dim = axis if dim is None else dim
    keepdim = keepdims or keepdim
    input = converted(input, dtype)
    if input._h:
        return reduce(_SUM if dim is None else _SUM_DIM, input, dim, keepdim, 0.0, "sum")
    wide = sum_dtype(input._array, dtype)
    return of_integers(np.sum, "sum", input, dim, keepdim, dtype=wide)


def mean(
    input: Tensor,
    dim: Dim = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    out: Tensor | None = None,
    axis: Dim = None,
    keepdims: bool = False,
) -> Tensor:
    """The mean of the elements, over the dimensions that are given or all (torch.mean).

    Args: see sum. The mean of no elements is NaN.

    Raises:
        RuntimeError: the dtype is not a floating-point one.

    Example:
        >>> rnn.tensor([1.0, 2.0, 4.0]).mean()
        tensor(2.3333)
    """
    if dim is None and axis is None and dtype is None and out is None:
        h = _reduce(E, _MEAN, input._h, 0, ffi.NULL, keepdims or keepdim, 0.0)
        if h > 0:
            return adopt(h)
    if out is not None:
        return write_out(out, mean, input, dim, keepdim, dtype=dtype, axis=axis, keepdims=keepdims)
    dim = axis if dim is None else dim
    wanted = dtype_of(input) if dtype is None else _dtypes.dtype_argument(dtype)
    if not wanted.is_floating_point:
        which = "Input" if dtype is None else "Optional"
        raise RuntimeError(
            f"mean(): could not infer output dtype. {which} dtype must be either a floating point "
            f"or complex dtype. Got: {type_name(wanted)}"
        )
    input = cast(input, wanted)
    if not input._h:
        return of_integers(np.mean, "mean", input, dim, keepdims or keepdim)
    return reduce(_MEAN if dim is None else _MEAN_DIM, input, dim, keepdims or keepdim, 0.0, "mean")


def nansum(
    input: Tensor,
    dim: Dim = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    out: Tensor | None = None,
) -> Tensor:
    """The sum of the elements that are not NaN (torch.nansum).

    Example:
        >>> rnn.nansum(rnn.tensor([1.0, float("nan"), 3.0]))
        tensor(4.)
    """
    if out is not None:
        return write_out(out, nansum, input, dim, keepdim, dtype=dtype)
    refuse_no_flag("nansum", keepdim)
    return sum(_without_nan(input), dim, keepdim, dtype=dtype)


def nanmean(
    input: Tensor,
    dim: Dim = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    out: Tensor | None = None,
) -> Tensor:
    """The mean of the elements that are not NaN (torch.nanmean).

    Raises:
        RuntimeError: the dtype is not a floating-point one.

    Example:
        >>> rnn.nanmean(rnn.tensor([1.0, float("nan"), 3.0]))
        tensor(2.)
    """
    if out is not None:
        return write_out(out, nanmean, input, dim, keepdim, dtype=dtype)
    if not dtype_of(input).is_floating_point:
        raise RuntimeError(
            "nanmean(): expected input to have floating point or complex dtype but got "
            + type_name(dtype_of(input))
        )
    numbers = _core.wrap(~np.isnan(check_copy_room("nanmean", array_of(input), 1)))
    refuse_no_flag("nanmean", keepdim)
    total = nansum(input, dim, keepdim, dtype=dtype)
    return total / cast(sum(numbers, dim, keepdim), dtype_of(total))


def _without_nan(input: Tensor) -> Tensor:
    """input with 0 for NaN."""
    if not dtype_of(input).is_floating_point:
        return input
    nan = np.isnan(check_copy_room("isnan", array_of(input), 1))
    return masked_fill(input, _core.wrap(nan), 0.0) if nan.any() else input


# ---- variance ------------------------------------------------------------------------------------


def _spread(
    number: int,
    input: Tensor,
    dim: Any,
    unbiased: Any,
    keepdim: Any,
    correction: Any,
    axis: Any,
    keepdims: Any,
) -> Tensor:
    if isinstance(dim, bool):  # var(unbiased)
        dim, unbiased = None, dim
    name = "std" if number == _STD else "var"
    if unbiased is not None and correction is not None:
        raise _invalid(name, dim)
    if not input._h:
        raise RuntimeError("std and var only support floating point and complex dtypes")
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    dim = axis if dim is None else dim
    over = None if dim == () else dim
    return reduce(number, input, over, keepdims or keepdim, float(correction), name)


def var(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    out: Tensor | None = None,
    axis: Dim = None,
    keepdims: bool = False,
) -> Tensor:
    """The variance of the elements, over the dimensions that are given or all (torch.var).

    Args:
        input: a float tensor.
        dim: an int, several, or None. var(False) is var(unbiased=False).
        unbiased: True (the default) divides by n - 1, False by n.
        keepdim: whether the dimensions stay, with size 1.
        correction: divides by n - correction instead.

    Raises:
        RuntimeError: the dtype is not a floating-point one.

    Example:
        >>> rnn.tensor([1.0, 2.0, 4.0]).var()
        tensor(2.3333)
    """
    if out is not None:
        names = {"correction": correction, "axis": axis, "keepdims": keepdims}
        return write_out(out, var, input, dim, unbiased, keepdim, **names)
    return _spread(_VAR, input, dim, unbiased, keepdim, correction, axis, keepdims)


def std(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    out: Tensor | None = None,
    axis: Dim = None,
    keepdims: bool = False,
) -> Tensor:
    """The standard deviation, the root of var, with the same arguments (torch.std).

    Where it is 0, no gradient flows.

    Example:
        >>> rnn.std(rnn.tensor([1.0, 2.0, 3.0]))
        tensor(1.)
    """
    if out is not None:
        names = {"correction": correction, "axis": axis, "keepdims": keepdims}
        return write_out(out, std, input, dim, unbiased, keepdim, **names)
    return _spread(_STD, input, dim, unbiased, keepdim, correction, axis, keepdims)


def var_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """(var, mean) of the elements, with var's arguments (torch.var_mean).

    Example:
        >>> rnn.var_mean(rnn.tensor([1.0, 2.0, 3.0]))
        (tensor(1.), tensor(2.))
    """
    first = _spread(_VAR, input, dim, unbiased, keepdim, correction, None, False)
    return first, mean(input, None if isinstance(dim, bool) else dim, keepdim)


def std_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """(std, mean) of the elements, with var's arguments (torch.std_mean).

    Example:
        >>> rnn.std_mean(rnn.tensor([1.0, 2.0, 3.0]))
        (tensor(1.), tensor(2.))
    """
    first = _spread(_STD, input, dim, unbiased, keepdim, correction, None, False)
    return first, mean(input, None if isinstance(dim, bool) else dim, keepdim)


# ---- products, and logarithms of sums ------------------------------------------------------------


def prod(
    input: Tensor,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    out: Tensor | None = None,
    axis: int | None = None,
    keepdims: bool = False,
) -> Tensor:
    """The product of the elements, over one dimension or all (torch.prod).

    Its gradient is right where elements are 0. Integers and booleans give int64.

    Example:
        >>> rnn.prod(rnn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
        tensor([ 2., 12.])
    """
    if out is not None:
        dtype = dtype_of(out) if dtype is None else dtype
        return write_out(out, prod, input, dim, keepdim, dtype=dtype, axis=axis, keepdims=keepdims)
    dim, keepdim = axis if dim is None else dim, keepdims or keepdim
    if dim is not None:
        refuse_no_int("prod", dim)
    input = converted(input, dtype)
    if input._h:
        return reduce(_PROD if dim is None else _PROD_DIM, input, dim, keepdim, 0.0, "prod")
    wide = sum_dtype(input._array, dtype)
    return of_integers(np.prod, "prod", input, dim, keepdim, dtype=wide)


def logsumexp(
    input: Tensor,
    dim: Any = None,
    keepdim: bool = False,
    *,
    out: Tensor | None = None,
    axis: Dim = None,
    keepdims: bool = False,
) -> Tensor:
    """log(sum(exp(input))) over dimensions, with no overflow on the way (torch.logsumexp).

    Example:
        >>> rnn.logsumexp(rnn.zeros(2, 2), 1)
        tensor([0.6931, 0.6931])
    """
    if out is not None:
        return write_out(out, logsumexp, input, dim, keepdim, axis=axis, keepdims=keepdims)
    dim = axis if dim is None else dim
    if dim is None:
        raise TypeError('logsumexp() missing 1 required positional arguments: "dim"')
    return reduce(_LOGSUMEXP, _core.as_floats(input), dim, keepdims or keepdim, 0.0, "logsumexp")


def _softmax(name: str, log: bool, input: Tensor, dim: Any, dtype: Any, axis: Any) -> Tensor:
    dim = axis if dim is None else dim
    if dim is None:
        raise TypeError(f"{name}(): argument 'dim' must be int, not NoneType")
    input = converted(input, dtype)
    if not input._h:
        rank = len(input._shape) or 1
        last = "_lastdim" if _shapes.normalize_dim(dim, rank) == rank - 1 else ""
        if not input.numel():
            return input.clone()
        _core.floats_only(f"{'log_' if log else ''}softmax{last}_kernel_impl", input)
    try:
        h = lib.rnn_softmax(E, input._h, dim, log)
    except OverflowError:
        raise _shapes.out_of_range(dim, len(input._shape)) from None
    if h > 0:
        return adopt(h)
    if h != COMPOSE:
        fail(h)
    return (compose_reduce.log_softmax if log else compose_reduce.softmax)(input, dim)


def softmax(
    input: Tensor,
    dim: int | None = None,
    dtype: Any = None,
    *,
    out: Tensor | None = None,
    axis: int | None = None,
) -> Tensor:
    """exp(input) over its sum along a dimension (torch.softmax).

    Raises:
        IndexError: the dimension is out of range.
        NotImplementedError: of integers, where no dtype is given.

    Example:
        >>> rnn.softmax(rnn.tensor([0.0, 0.0]), 0)
        tensor([0.5000, 0.5000])
    """
    if out is not None:
        return write_out(out, softmax, input, dim, dtype, axis=axis)
    return _softmax("softmax", False, input, dim, dtype, axis)


def log_softmax(
    input: Tensor,
    dim: int | None = None,
    dtype: Any = None,
    *,
    out: Tensor | None = None,
    axis: int | None = None,
) -> Tensor:
    """The logarithm of softmax, computed as one (torch.log_softmax).

    Example:
        >>> rnn.log_softmax(rnn.tensor([0.0, 0.0]), 0)
        tensor([-0.6931, -0.6931])
    """
    if out is not None:
        return write_out(out, log_softmax, input, dim, dtype, axis=axis)
    return _softmax("log_softmax", True, input, dim, dtype, axis)


# ---- questions about all elements ----------------------------------------------------------------


def _truth(method: Any, input: Tensor, dim: Any, keepdim: Any) -> Tensor:
    refuse_no_flag(method.__name__, keepdim)
    array = array_of(input)
    if dim is None and not keepdim:
        made = method(array)
    elif isinstance(dim, (tuple, list)) and not dim:  # of no dimension: each element's own
        made = array != 0
    else:
        over = _shapes.reduce_dims(dim, array.shape)[0]
        check_room(method.__name__, _left_over(array.shape, over), 2)
        made = method(array, axis=over, keepdims=bool(keepdim))
    return _core.wrap(np.asarray(made, np.uint8 if array.dtype == np.uint8 else np.bool_))


def any(
    input: Tensor,
    dim: Dim = None,
    keepdim: bool = False,
    *,
    out: Tensor | None = None,
    axis: Dim = None,
    keepdims: bool = False,
) -> Tensor:
    """Whether some element is not 0, bool (uint8 of uint8) (torch.any).

    Example:
        >>> rnn.any(rnn.tensor([[False, True], [False, False]]), 1)
        tensor([ True, False])
    """
    if out is not None:
        return write_out(out, any, input, dim, keepdim, axis=axis, keepdims=keepdims)
    return _truth(np.ndarray.any, input, axis if dim is None else dim, keepdims or keepdim)


def all(
    input: Tensor,
    dim: Dim = None,
    keepdim: bool = False,
    *,
    out: Tensor | None = None,
    axis: Dim = None,
    keepdims: bool = False,
) -> Tensor:
    """Whether no element is 0, bool (uint8 of uint8) (torch.all).

    Example:
        >>> rnn.all(rnn.tensor([[True, True], [True, False]]), 1)
        tensor([ True, False])
    """
    if out is not None:
        return write_out(out, all, input, dim, keepdim, axis=axis, keepdims=keepdims)
    return _truth(np.ndarray.all, input, axis if dim is None else dim, keepdims or keepdim)


def count_nonzero(input: Tensor, dim: Dim = None) -> Tensor:
    """How many elements are not 0, int64 (torch.count_nonzero).

    Example:
        >>> rnn.count_nonzero(rnn.tensor([[0, 1], [2, 3]]), 1)
        tensor([1, 2])
    """
    array = array_of(input)
    over = _shapes.reduce_dims(dim, array.shape)[0]
    check_room("count_nonzero", _left_over(array.shape, over), 8)
    return _core.wrap(np.asarray(np.count_nonzero(array, axis=over), np.int64))

"""The smallest and the largest elements, and where they are: rnn_extreme in csrc/statistics.c.

`maximum` and `minimum`, of two tensors, are in selection.py. NumPy's names `axis` and `keepdims`
are taken for `dim` and `keepdim`, as PyTorch takes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rnn import _shapes, return_types
from rnn._c import E, Handle, adopt, check_copy_room, fail, ffi, lib, op
from rnn.ops import _core, selection
from rnn.ops.elementwise import write_out
from rnn.ops.reduce import (
    left_shape,
    of_integers,
    reduce,
    refuse_empty_dim,
    refuse_no_flag,
    refuse_no_int,
)

if TYPE_CHECKING:
    from rnn.tensor import Tensor

_extreme = lib.rnn_extreme
_AMAX, _AMIN = op("amax"), op("amin")


def _many(number: int, numpy: Any, name: str, input: Tensor, dim: Any, keepdim: Any) -> Tensor:
    """amax, amin, and max and min of all elements: equal ones share the gradient."""
    dim = None if isinstance(dim, (tuple, list)) and not dim else dim
    if input._h:
        return reduce(number, input, dim, keepdim, 0.0, name)
    if input._array.size == 0:
        _refuse_empty(name, input, dim)
    return of_integers(numpy, name, input, dim, keepdim)


def _refuse_empty(name: str, input: Tensor, dim: Any) -> None:
    if dim is None:
        raise RuntimeError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. "
            "Specify the reduction dim with the 'dim' argument."
        )
    for d in _shapes.reduce_dims(dim, input._shape)[0]:
        refuse_empty_dim(name, input._shape, d)


def amax(
    input: Tensor,
    dim: Any = (),
    keepdim: bool = False,
    *,
    out: Tensor | None = None,
    axis: Any = (),
    keepdims: bool = False,
) -> Tensor:
    """The largest elements over dimensions; equal ones share the gradient (torch.amax).

    NaN where there is one.

    Raises:
        IndexError: a dimension has no elements.

    Example:
        >>> rnn.amax(rnn.tensor([[1.0, 3.0], [4.0, 2.0]]), 1)
        tensor([3., 4.])
    """
    if out is not None:
        return write_out(out, amax, input, dim, keepdim, axis=axis, keepdims=keepdims)
    return _many(_AMAX, np.max, "amax", input, axis if dim == () else dim, keepdims or keepdim)


def amin(
    input: Tensor,
    dim: Any = (),
    keepdim: bool = False,
    *,
    out: Tensor | None = None,
    axis: Any = (),
    keepdims: bool = False,
) -> Tensor:
    """The smallest elements over dimensions; equal ones share the gradient (torch.amin).

    Example:
        >>> rnn.amin(rnn.tensor([[1.0, 3.0], [4.0, 2.0]]), (0, 1))
        tensor(1.)
    """
    if out is not None:
        return write_out(out, amin, input, dim, keepdim, axis=axis, keepdims=keepdims)
    return _many(_AMIN, np.min, "amin", input, axis if dim == () else dim, keepdims or keepdim)


def aminmax(
    input: Tensor, *, dim: int | None = None, keepdim: bool = False, out: Any = None
) -> return_types.aminmax:
    """(min, max) over one dimension or all (torch.aminmax).

    Raises:
        RuntimeError, IndexError: there are no elements.

    Example:
        >>> low, high = rnn.aminmax(rnn.tensor([3.0, 1.0, 2.0]))
        >>> low, high
        (tensor(1.), tensor(3.))
    """
    if dim is None and input.numel() == 0:
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no "
            "identity."
        )
    if dim is not None and input._shape and input._shape[dim] == 0:
        raise IndexError(f"aminmax: Expected reduction dim {dim} to have non-zero size.")
    over = () if dim is None else dim
    made = amin(input, over, keepdim), amax(input, over, keepdim)
    return return_types.aminmax(_core.view_as_results(made, out))


class _Kind(NamedTuple):
    """What max and min differ in."""

    of_all: int
    along: int
    numpy: Any
    arg: Any
    of_two: Any
    result: Any


_OF_MAX = _Kind(op("max"), op("max_dim"), np.max, np.argmax, selection.maximum, return_types.max)
_OF_MIN = _Kind(op("min"), op("min_dim"), np.min, np.argmin, selection.minimum, return_types.min)


def _extremes(
    function: Any, kind: _Kind, input: Tensor, dim: Any, keepdim: Any, other: Any, out: Any
) -> Any:
    """max and min in their three forms: with another tensor, along a dimension, of all elements."""
    if isinstance(dim, Handle) or other is not None:
        return kind.of_two(input, dim if isinstance(dim, Handle) else other, out=out)
    if dim is not _NOTHING:
        return _along(function.__name__, kind, input, dim, keepdim, out)
    refuse_keepdim(function.__name__, keepdim)
    if out is not None:
        return write_out(out, function, input)
    return _many(kind.of_all, kind.numpy, function.__name__, input, None, False)


def _along(name: str, kind: _Kind, input: Tensor, dim: Any, keepdim: Any, out: Any) -> Any:
    """Those along one dimension, with where they are."""
    refuse_no_int(name, dim)
    refuse_no_flag(name, keepdim)
    if input._h:
        index = np.empty(left_shape(input._shape, dim, keepdim), np.int64)
        pointer = ffi.from_buffer("int64_t[]", index)
        h = _extreme(E, kind.along, input._h, dim, keepdim, pointer)
        made = adopt(h) if h > 0 else fail(h), _core.wrap(index)
    else:
        dim = _shapes.normalize_dim(dim, len(input._shape))
        refuse_empty_dim(name, input._shape, dim)
        array = input._array if input._shape else input._array.reshape(1)
        check_copy_room(name, array)  # arg copies what is expanded
        over = {"axis": dim, "keepdims": bool(keepdim) and bool(input._shape)}
        values, index = kind.numpy(array, **over), kind.arg(array, **over)
        made = _core.wrap(values), _core.wrap(np.asarray(index, np.int64))
    return kind.result(_core.view_as_results(made, out))


def refuse_keepdim(name: str, keepdim: Any) -> None:
    """keepdim= without dim, where PyTorch has no such form: TypeError."""
    if keepdim:
        raise TypeError(f'{name}() missing 1 required positional arguments: "dim"')


_NOTHING: Any = object()


def max(
    input: Tensor,
    dim: Any = _NOTHING,
    keepdim: bool = False,
    *,
    other: Any = None,
    out: Any = None,
    axis: Any = _NOTHING,
    keepdims: bool = False,
) -> Any:
    """The largest element; or those along a dimension, and where; or of two tensors (torch.max).

    max(input): a 0-d tensor; equal elements share its gradient.
    max(input, dim, keepdim=False): (values, indices), the first ones of equal elements.
    max(input, other): see maximum.

    Raises:
        RuntimeError, IndexError: there are no elements.

    Example:
        >>> rnn.tensor([[1.0, 3.0, 2.0]]).max(1).indices
        tensor([1])
    """
    dim, keepdim = axis if dim is _NOTHING else dim, keepdims or keepdim
    return _extremes(max, _OF_MAX, input, dim, keepdim, other, out)


def min(
    input: Tensor,
    dim: Any = _NOTHING,
    keepdim: bool = False,
    *,
    other: Any = None,
    out: Any = None,
    axis: Any = _NOTHING,
    keepdims: bool = False,
) -> Any:
    """The smallest element, as max finds the largest (torch.min). See max.

    Example:
        >>> rnn.min(rnn.tensor([[1.0, 3.0], [4.0, 2.0]]), 1).values
        tensor([1., 2.])
    """
    dim, keepdim = axis if dim is _NOTHING else dim, keepdims or keepdim
    return _extremes(min, _OF_MIN, input, dim, keepdim, other, out)


def _arg(name: str, numpy: Any, input: Tensor, dim: Any, keepdim: Any) -> Tensor:
    refuse_no_flag(name, keepdim)
    ndim = len(input._shape)
    if dim is not None:
        dim = _shapes.normalize_dim(dim, ndim)
    if input._h:
        every = (1,) * ndim * bool(keepdim)
        shape = every if dim is None else left_shape(input._shape, dim, keepdim)
        index = np.empty(shape, np.int64)
        pointer = ffi.from_buffer("int64_t[]", index)
        code = lib.rnn_arg_extreme(E, input._h, dim or 0, dim is None, name == "argmin", pointer)
        return _core.wrap(index) if code >= 0 else fail(code)
    array = input._array
    if array.dtype == np.bool_:
        raise RuntimeError(f"{name}(): does not support bool input")
    if array.size == 0 and dim is None:
        raise IndexError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0."
        )
    if dim is not None:
        refuse_empty_dim(name, array.shape, dim)
    check_copy_room(name, array)  # NumPy copies what is expanded
    index = numpy(array, axis=dim if ndim else None, keepdims=bool(keepdim))
    return _core.wrap(np.asarray(index, np.int64))


def argmax(
    input: Tensor,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    out: Tensor | None = None,
    axis: int | None = None,
    keepdims: bool = False,
) -> Tensor:
    """Where the largest element is, the first of equal ones, int64 (torch.argmax).

    Args:
        dim: None: in the flattened tensor.

    Raises:
        IndexError: there are no elements.

    Example:
        >>> rnn.argmax(rnn.tensor([[1.0, 3.0], [4.0, 2.0]]), 1)
        tensor([1, 0])
    """
    if out is not None:
        made = argmax(input, dim, keepdim, axis=axis, keepdims=keepdims)
        return _core.view_as_result(made, out, same=True)
    return _arg("argmax", np.argmax, input, axis if dim is None else dim, keepdims or keepdim)


def argmin(
    input: Tensor,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    out: Tensor | None = None,
    axis: int | None = None,
    keepdims: bool = False,
) -> Tensor:
    """Where the smallest element is, the first of equal ones, int64 (torch.argmin). See argmax.

    Example:
        >>> rnn.argmin(rnn.tensor([[1.0, 3.0], [4.0, 2.0]]))
        tensor(0)
    """
    if out is not None:
        made = argmin(input, dim, keepdim, axis=axis, keepdims=keepdims)
        return _core.view_as_result(made, out, same=True)
    return _arg("argmin", np.argmin, input, axis if dim is None else dim, keepdims or keepdim)

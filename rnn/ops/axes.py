"""Other orders of the dimensions: transpose, permute and their kind; views all, see shape.py."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rnn._c import E, adopt, fail, lib
from rnn._shapes import as_size_args, normalize_dim, out_of_range, permute_dims
from rnn.ops._core import wrap
from rnn.ops.shape import turn

if TYPE_CHECKING:
    from rnn.tensor import Tensor


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions swapped (torch.transpose).

    Example:
        >>> rnn.transpose(rnn.ones(2, 3, 4), 0, 2).shape
        rnn.Size([4, 3, 2])
    """
    if input._h:
        try:
            h = lib.rnn_transpose(E, input._h, dim0, dim1)
        except OverflowError:
            raise out_of_range((dim0, dim1), len(input._shape)) from None
        return adopt(h) if h > 0 else fail(h)
    array = input._array
    first, second = normalize_dim(dim0, array.ndim), normalize_dim(dim1, array.ndim)
    return wrap(array.swapaxes(first, second) if array.ndim else array[...])


def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """transpose by NumPy's name (torch.swapaxes).

    Example:
        >>> rnn.swapaxes(rnn.ones(2, 3, 4), 0, 2).shape
        rnn.Size([4, 3, 2])
    """
    return transpose(input, axis0, axis1)


def permute(input: Tensor, *order: Any, dims: Any = None) -> Tensor:
    """The dimensions in another order (torch.permute).

    Raises:
        RuntimeError: dims is no permutation of all dimensions.

    Example:
        >>> rnn.zeros(2, 3, 4).permute(2, 0, 1).shape
        rnn.Size([4, 2, 3])
    """
    if dims is not None:
        order = (dims,)
    order = as_size_args(order, "permute", "dims") if order else ()
    if input._h:
        try:
            h = lib.rnn_permute(E, input._h, len(order), order)
        except OverflowError:
            raise out_of_range(order, len(input._shape)) from None
        return adopt(h) if h > 0 else fail(h)
    return wrap(input._array.transpose(permute_dims(order, input._array.ndim)))


def movedim(input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Dimensions moved to other places; the rest keep their order (torch.movedim).

    Example:
        >>> rnn.movedim(rnn.ones(2, 3, 4), 0, -1).shape
        rnn.Size([3, 4, 2])
    """
    ndim = len(input._shape)
    given: tuple[Any, Any] = source, destination
    froms, tos = [list(d) if isinstance(d, (tuple, list)) else [d] for d in given]
    if len(froms) != len(tos):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({froms} dims) should contain "
            f"the same number of dims as destination ({tos} dims)"
        )
    places = [[normalize_dim(d, ndim) for d in dims] for dims in (froms, tos)]
    for dims, named, name in ((places[0], froms, "source"), (places[1], tos, "destination")):
        if len(set(dims)) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({named})")
    if not ndim:
        return transpose(input, 0, 0)
    order = [d for d in range(ndim) if d not in places[0]]
    for to, at in sorted(zip(places[1], places[0])):
        order.insert(to, at)
    return permute(input, order)


def t(input: Tensor) -> Tensor:
    """A matrix transposed; vectors and scalars as they are (torch.t).

    Example:
        >>> rnn.t(rnn.ones(2, 3)).shape
        rnn.Size([3, 2])
    """
    if input._h:
        h = lib.rnn_t(E, input._h)
        return adopt(h) if h > 0 else fail(h)
    ndim = len(input._shape)
    if ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {ndim}D")
    return transpose(input, 0, ndim - 1 if ndim else 0)


def numpy_T(input: Tensor) -> Tensor:
    """All dimensions in reverse order (torch.Tensor.T).

    Example:
        >>> rnn.ones(2, 3).T.shape
        rnn.Size([3, 2])
    """
    ndim = len(input._shape)
    if ndim == 2:
        h = lib.rnn_permute(E, input._h, 2, (1, 0)) if input._h else 0
        return adopt(h) if h > 0 else permute(input, 1, 0)
    if ndim == 0:
        warnings.warn(
            "Tensor.T is deprecated on 0-D tensors. This function is the identity in these cases.",
            stacklevel=2,
        )
    else:
        warnings.warn(
            "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is "
            "deprecated and it will throw an error in a future release. Consider `x.mT` to "
            "transpose batches of matrices or `x.permute(*torch.arange(x.ndim - 1, -1, -1))` to "
            "reverse the dimensions of a tensor.",
            stacklevel=2,
        )
    return permute(input, list(range(ndim - 1, -1, -1)))


def matrix_transpose(input: Tensor, name: str = "mT") -> Tensor:
    """The last two dimensions swapped (torch.Tensor.mT, .mH).

    Example:
        >>> rnn.ones(4, 2, 3).mT.shape
        rnn.Size([4, 3, 2])
    """
    ndim = len(input._shape)
    if ndim == 1:
        raise RuntimeError(
            f"tensor.{name} is only supported on matrices or batches of matrices. Got 1-D tensor."
        )
    return transpose(input, -2, -1) if ndim else transpose(input, 0, 0)


def hermitian(input: Tensor) -> Tensor:
    """A matrix transposed: there are no complex numbers to conjugate (torch.Tensor.H)."""
    ndim = len(input._shape)
    if ndim not in (0, 2):
        more = " For batches of matrices, consider using tensor.mH" if ndim > 2 else ""
        raise RuntimeError(
            f"tensor.H is only supported on matrices (2-D tensors). Got {ndim}-D tensor.{more}"
        )
    return transpose(input, 0, 1 if ndim else 0)


# ---- in place ------------------------------------------------------------------------------------


def t_(input: Tensor) -> Tensor:
    """t, in place (torch.Tensor.t_)."""
    return turn(input, t)


def transpose_(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """transpose, in place (torch.Tensor.transpose_)."""
    return turn(input, transpose, dim0, dim1)

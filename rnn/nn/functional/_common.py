"""What the functions of this package share: handles into tensors, sizes given as one number or
several, reductions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _c
from rnn._c import COMPOSE, E, Handle, adopt, check_room, fail, ffi, lib
from rnn.ops import _core
from rnn.ops.elementwise import binary

if TYPE_CHECKING:
    from rnn.tensor import Tensor


def result(h: int) -> Tensor | None:
    """The tensor of a handle; None where scalar resolution asks for the composition."""
    if h > 0:
        return adopt(h)
    return None if h == COMPOSE else fail(h)


def handle(t: Any) -> Any:
    """The engine's handle of a tensor; 0 for None, and -1, which it refuses, for integers."""
    return 0 if t is None else t._h or -1


def same_floats(*tensors: Any) -> bool:
    """Whether all tensors (None counts for nothing) are nodes of one dtype."""
    codes = {lib.rnn_dtype(t._h) if t._h else -1 for t in tensors if t is not None}
    return len(codes) == 1 and -1 not in codes


_C_NAMES = {
    "Long": "long int",
    "Short": "short int",
    "Byte": "unsigned char",
    "Char": "signed char",
    "Half": "c10::Half",
    "BFloat16": "c10::BFloat16",
}


def c_name(t: Any) -> str:
    """A tensor's dtype as C names it, which some of PyTorch's messages do."""
    kind = _core.type_name(_core.dtype_of(t))
    return _C_NAMES.get(kind, kind.lower())


def expect_tensor(x: Any, function: str, argument: str = "input", position: int = 1) -> None:
    """Raises:
    TypeError: x is no tensor.
    """
    if not isinstance(x, Handle):
        kind = "numpy.ndarray" if isinstance(x, np.ndarray) else type(x).__name__
        raise TypeError(
            f"{function}(): argument '{argument}' (position {position}) must be Tensor, not {kind}"
        )


def several(x: Any, n: int, name: str = "size") -> tuple[int, ...]:
    """One number, or a sequence of one or n numbers, as n numbers.

    Raises:
        RuntimeError: the sequence has another length.
    """
    if not isinstance(x, Sequence):
        return (x,) * n
    if len(x) == 1:
        return (x[0],) * n
    if len(x) != n:
        raise RuntimeError(f"{name} must be a single int or a tuple of {n} ints, but got {list(x)}")
    return tuple(x)


def reduction_of(reduction: str, size_average: Any = None, reduce: Any = None) -> str:
    """The reduction, which PyTorch's old arguments override.

    Raises:
        ValueError: it is none of "none", "mean" and "sum".
    """
    if size_average is not None or reduce is not None:
        return overridden(reduction, size_average, reduce)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def overridden(reduction: str, size_average: Any, reduce: Any) -> str:
    """The reduction, or what PyTorch's old arguments say, where one of them is given."""
    if size_average is None and reduce is None:
        return reduction
    if reduce is not None and not reduce:
        return "none"
    return "mean" if size_average is None or size_average else "sum"


def check_reduction(reduction: str) -> None:
    """What reduction_of asks, in the words of the functions that ask when the losses are there.

    Raises:
        ValueError: reduction is none of "none", "mean" and "sum".
    """
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")


def reduced(losses: Tensor, reduction: str) -> Tensor:
    """The mean or sum of losses, or all of them."""
    if reduction == "mean":
        return losses.mean()
    return losses.sum() if reduction == "sum" else losses


def elementwise_loss(
    number: int, input: Any, target: Any, reduction: str, p0: float = 1.0
) -> Tensor:
    """A loss that is a row of csrc/ops.h, reduced; both are one node for grad_fn."""
    out = reduced(binary(number, input, target, p0), reduction)
    if reduction != "none":
        lib.rnn_name_reduction(E, out._h, number)
    return out


def gather_flat(input: Tensor, index: Any, shape: Sequence[int], inner: int = 1) -> Tensor:
    """Elements (rows of `inner` elements) of the row-major input at int64 indices, in a new shape:
    one gather.

    index[i] is the place of output row i; the caller has checked that it is inside.
    """
    flat = np.ascontiguousarray(index, np.int64)
    pointer = ffi.cast("int64_t *", flat.ctypes.data)
    h = lib.rnn_gather(E, input._h, pointer, flat.size, inner, len(shape), _c.dims(tuple(shape)))
    return adopt(h) if h > 0 else fail(h)


def scatter_flat(onto: Tensor, index: Any, source: Tensor, add: bool) -> Tensor:
    """onto with the source's elements at int64 places of the row-major tensor, in its place or
    (add) added to it: one scatter, flat. The caller has checked that index is inside.
    """
    flat = np.ascontiguousarray(index, np.int64).reshape(-1)
    pointer = ffi.cast("int64_t *", flat.ctypes.data)
    h = lib.rnn_scatter(E, onto._h, pointer, flat.size, 1, source._h, add)
    return adopt(h) if h > 0 else fail(h)


def in_planes(index: Any, planes: int, size: int) -> Any:
    """Places in one plane of `size` elements, as places in `planes` of them: (planes,
    *index.shape).
    """
    check_room("index", (planes, *index.shape), 8)
    first = np.arange(planes, dtype=np.int64) * size
    return first.reshape((planes,) + (1,) * index.ndim) + index


def as_batch(function: Callable[..., Any], input: Tensor, *args: Any) -> Any:
    """What a function of (N, ...) makes of an input without N: a batch of one, taken away again."""
    made = function(input.unsqueeze(0), *args)
    if isinstance(made, tuple):
        return tuple([t.squeeze(0) for t in made])
    return made.squeeze(0)

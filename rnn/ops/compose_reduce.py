"""Reductions at scalar resolution: cumulative sums, products, powers, logarithms, gathers.

A sum is the last element of a cumulative sum. What is subtracted for precision (the maximum under
an exponential) and which elements are the extreme ones are constants, as in PyTorch's gradients.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn._c import E, adopt, check, dims, ffi, lib, op
from rnn.ops import _core
from rnn.ops._core import array_of
from rnn.ops.join import cat
from rnn.ops.parts import narrow, select
from rnn.ops.shape import clone, reshape

if TYPE_CHECKING:
    from rnn.tensor import Tensor

Dims = tuple[int, ...]
_ADD, _POW = op("add"), op("pow_scalar")
_maximum: Any = np.maximum.reduce

# ---- views, and constants beside a tensor --------------------------------------------------------


def _constant(array: Any, like: Tensor) -> Tensor:
    """A constant of like's dtype."""
    return _core.nodes(np.asarray(array, _core.NUMPY_NODE_DTYPES[lib.rnn_dtype(like._h)]))


def _power(t: Tensor, exponent: float) -> Tensor:
    return adopt(check(lib.rnn_unary(E, _POW, t._h, exponent, 0.0)))


def _masked(t: Tensor, mask: Any) -> Tensor:
    """t, with constant zeros where the mask is set: no gradient goes there."""
    mask = np.asarray(mask, order="C")
    h = lib.rnn_masked_fill(E, t._h, ffi.from_buffer("uint8_t[]", mask), mask.size, 0.0)
    return adopt(check(h))


def _without_zeros(t: Tensor) -> Tensor:
    """t, with constants where it is 0."""
    zero = array_of(t) == 0
    return _masked(t, zero) if zero.any() else t


def _size(a: Tensor, over: Dims) -> int:
    return math.prod([a._shape[d] for d in over])


def _kept(a: Tensor, over: Dims, keepdim: bool) -> Dims:
    sizes = [1 if d in over else n for d, n in enumerate(a._shape)]
    return tuple([n for d, n in enumerate(sizes) if keepdim or d not in over])


# ---- sums ----------------------------------------------------------------------------------------


def _padded(a: Tensor, dim: int, value: float) -> Tensor:
    """a; where it has nothing along dim, a slice of `value` into which nothing of a is written."""
    if not a._shape or a._shape[dim]:
        return a
    one = _constant(np.full([1 if d == dim else n for d, n in enumerate(a._shape)], value), a)
    return adopt(check(lib.rnn_scatter(E, one._h, ffi.new("int64_t[1]"), 0, 1, a._h, 0)))


def sum(a: Tensor, over: Dims, keepdim: bool) -> Tensor:
    """The last elements of cumulative sums."""
    if len(over) == 1 and a._shape and a._shape[over[0]]:
        return adopt(check(lib.rnn_compose_sum(E, a._h, over[0], keepdim)))
    shape, t = _kept(a, over, keepdim), a
    if len(over) == len(a._shape) > 1 and lib.rnn_is_contiguous(E, a._h):
        t, over = (
            reshape(a, (-1,)) if 0 not in a._shape else a,
            (0,) if 0 not in a._shape else over,
        )
    if not a._shape:
        return adopt(check(lib.rnn_cumsum(E, a._h, 0)))
    for d in sorted(over, reverse=True):
        t = _padded(t, d, 0.0)
        t = adopt(check(lib.rnn_compose_sum(E, t._h, d, False)))
    return t if t._shape == shape else reshape(t, shape)


def mean(a: Tensor, over: Dims, keepdim: bool) -> Tensor:
    """The sum times 1 / n."""
    n = _size(a, over)
    return sum(a, over, keepdim) * (1 / n if n else math.nan)


def var(a: Tensor, over: Dims, keepdim: bool, correction: float) -> Tensor:
    """The sum of (a - mean) ** 2 over n - correction."""
    n = _size(a, over) - correction
    away = a - mean(a, over, True)
    return sum(_power(away, 2.0), over, keepdim) * (1 / n if n > 0 else math.inf)


def std(a: Tensor, over: Dims, keepdim: bool, correction: float) -> Tensor:
    """The variance to the power of 0.5."""
    return _power(_without_zeros(var(a, over, keepdim, correction)), 0.5)


def vector_norm(a: Tensor, over: Dims, keepdim: bool, p: float) -> Tensor:
    """The sum of |a| ** p, to the power of 1 / p."""
    if p == 2:
        powers = _power(a, 2.0)
    else:
        powers = abs(a)
        if p < 1:
            powers = _without_zeros(powers)
        powers = powers if p == 1 else _power(powers, p)
    total = sum(powers, over, keepdim)
    return total if p == 1 else _power(_without_zeros(total), 1 / p)


def _largest(a: Tensor, over: Dims, keepdim: bool) -> Any:
    """The largest elements, as a constant."""
    array: Any = array_of(a)
    with np.errstate(all="ignore"):
        if array.size:
            return _maximum(array, axis=over, keepdims=keepdim)
        return array.max(axis=over, keepdims=keepdim, initial=-np.inf)


def _top(a: Tensor, over: Dims, keepdim: bool) -> Any:
    """The largest elements, as a constant; 0 where they are infinite."""
    top = _largest(a, over, keepdim)
    infinite = np.isinf(top)
    return np.where(infinite, 0, top) if infinite.any() else top


def _below(a: Tensor, top: Any) -> Tensor:
    """a - top, a constant."""
    below = _constant(-top, a)
    return adopt(check(lib.rnn_binary(E, _ADD, a._h, below._h, 1.0)))


def _below_largest(a: Tensor, dim: int) -> Tensor:
    """a minus the largest along a dimension, a constant."""
    return adopt(check(lib.rnn_below_largest(E, a._h, dim)))


def logsumexp(a: Tensor, over: Dims, keepdim: bool) -> Tensor:
    """log(sum(exp(a - m))) + m, with the maximum m a constant."""
    powers = _below(a, _top(a, over, True)).exp()
    return sum(powers, over, keepdim).log() + _constant(_top(a, over, keepdim), a)


def softmax(a: Tensor, dim: int) -> Tensor:
    """exp(a - m) times its sum to the power of -1, with the maximum m a constant."""
    over = (dim % len(a._shape),) if a._shape else ()
    powers = _below_largest(a, dim).exp()
    return powers * _power(sum(powers, over, True), -1.0)


def log_softmax(a: Tensor, dim: int) -> Tensor:
    """a - m - log(sum(exp(a - m))), with the maximum m a constant."""
    over = (dim % len(a._shape),) if a._shape else ()
    shifted = _below_largest(a, dim)
    return shifted + sum(shifted.exp(), over, True).log() * -1.0


# ---- products ------------------------------------------------------------------------------------


def prod(a: Tensor, over: Dims, keepdim: bool) -> Tensor:
    """n - 1 multiplications of halves along each dimension."""
    shape, t = _kept(a, over, keepdim), a
    for d in sorted(over, reverse=True):
        t = _padded(t, d, 1.0)
        while t._shape[d] > 1:
            half = t._shape[d] // 2
            rest = narrow(t, d, 2 * half, 1) if t._shape[d] % 2 else None
            t = narrow(t, d, 0, half) * narrow(t, d, half, half)
            t = t if rest is None else cat([t, rest], d)
        t = select(t, d, 0)
    t = t if t._shape == shape else reshape(t, shape)
    same = lib.rnn_span_of(t._h) == lib.rnn_span_of(a._h)
    return clone(t) if same else t


def _chain(a: Tensor, dim: int, step: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    if 0 in a._shape or not a._shape or a._shape[dim] == 1:
        return clone(a)
    links = [narrow(a, dim, 0, 1)]
    for i in range(1, a._shape[dim]):
        links.append(step(links[-1], narrow(a, dim, i, 1)))
    return cat(links, dim)


def cumprod(a: Tensor, dim: int) -> Tensor:
    """A chain of multiplications."""
    return _chain(a, dim, lambda x, y: x * y)


def logcumsumexp(a: Tensor, dim: int) -> Tensor:
    """A chain of log(exp(x) + exp(y))."""
    return _chain(a, dim, lambda x, y: x.logaddexp(y))


# ---- extremes ------------------------------------------------------------------------------------


def _rows(array: Any, over: Dims) -> Any:
    """(rows, elements of each)"""
    kept = [d for d in range(array.ndim) if d not in over]
    sizes = [math.prod([array.shape[d] for d in which]) for which in (kept, over)]
    return array.transpose(*kept, *over).reshape(sizes)


def equal_to(a: Tensor, over: Dims, keepdim: bool, found: Any) -> Tensor:
    """The elements that equal `found`, a value a row: gathered, or the mean of several."""
    shape = _kept(a, over, keepdim)
    array = array_of(a)
    values = np.asarray(found).reshape([1 if d in over else n for d, n in enumerate(array.shape)])
    mask = (array == values) | ((array != array) & (values != values))
    count = mask.sum(axis=over, keepdims=True)
    if (count == 1).all():
        places = _rows(np.arange(array.size).reshape(array.shape), over)[_rows(mask, over)]
        places = np.ascontiguousarray(places, np.int64)
        pointer = ffi.from_buffer("int64_t[]", places)
        h = lib.rnn_gather(E, a._h, pointer, len(places), 1, len(shape), dims(shape))
        return adopt(check(h))
    shares = _masked(a, ~mask) * _constant(1 / count, a)
    return sum(shares, over, keepdim)


def amax(a: Tensor, over: Dims, keepdim: bool) -> Tensor:
    """The largest elements."""
    return equal_to(a, over, keepdim, array_of(a).max(axis=over))


def amin(a: Tensor, over: Dims, keepdim: bool) -> Tensor:
    """The smallest elements."""
    return equal_to(a, over, keepdim, array_of(a).min(axis=over))


# ---- by operation number -------------------------------------------------------------------------

#: (tensor, dimensions counted from the front, keepdim, the number that rnn_reduce is given)
reductions: dict[int, Callable[[Tensor, Dims, bool, float], Tensor]] = {
    op("sum"): lambda a, over, keep, p: sum(a, over, keep),
    op("sum_dim"): lambda a, over, keep, p: sum(a, over, keep),
    op("mean"): lambda a, over, keep, p: mean(a, over, keep),
    op("mean_dim"): lambda a, over, keep, p: mean(a, over, keep),
    op("var"): var,
    op("std"): std,
    op("vector_norm"): vector_norm,
    op("logsumexp"): lambda a, over, keep, p: logsumexp(a, over, keep),
    op("prod"): lambda a, over, keep, p: prod(a, over, keep),
    op("prod_dim"): lambda a, over, keep, p: prod(a, over, keep),
    op("amax"): lambda a, over, keep, p: amax(a, over, keep),
    op("amin"): lambda a, over, keep, p: amin(a, over, keep),
    op("max"): lambda a, over, keep, p: amax(a, over, keep),
    op("min"): lambda a, over, keep, p: amin(a, over, keep),
    op("median"): equal_to,
    op("nanmedian"): equal_to,
}
scans: dict[int, Callable[[Tensor, int], Tensor]] = {
    op("cumprod"): cumprod,
    op("logcumsumexp"): logcumsumexp,
}

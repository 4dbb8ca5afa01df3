"""What is there, and how often: unique elements, counts, histograms. All of it is NumPy's; no
gradient goes through.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import return_types
from rnn._c import Handle, check_copy_room, check_room
from rnn._dtypes import prefix
from rnn._shapes import normalize_dim
from rnn.ops import _core
from rnn.ops._core import array_of, dtype_of, type_name
from rnn.ops.ranges import linspace

if TYPE_CHECKING:
    from rnn.tensor import Tensor


def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The different elements, in order; with dim, the different slices (torch.unique).

    Args:
        return_inverse: also where each element of input is among them.
        return_counts: also how often each occurs.

    Returns:
        a tensor, or a tuple of those asked for. No gradient goes through.

    Example:
        >>> rnn.unique(rnn.tensor([3, 1, 3]), return_counts=True)
        (tensor([1, 3]), tensor([1, 2]))
    """
    array = check_copy_room("unique", array_of(input))
    if dim is not None:
        normalize_dim(dim, array.ndim)
    found = np.unique(
        array if array.ndim or dim is None else array.reshape(1),
        return_inverse=True,
        return_counts=True,
        axis=dim,
        equal_nan=False,
    )
    values, inverse, counts = found
    inverse = inverse.reshape(array.shape if dim is None else -1)
    return _asked(values, inverse, counts, return_inverse, return_counts)


def _asked(values: Any, inverse: Any, counts: Any, with_inverse: bool, with_counts: bool) -> Any:
    made = [_core.wrap(values)]
    if with_inverse:
        made.append(_core.wrap(np.asarray(inverse, np.int64)))
    if with_counts:
        made.append(_core.wrap(np.asarray(counts, np.int64)))
    return made[0] if len(made) == 1 else tuple(made)


def unique_consecutive(
    input: Tensor,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The elements (or slices) that differ from the one before (torch.unique_consecutive).

    See unique.

    Example:
        >>> rnn.unique_consecutive(rnn.tensor([1, 1, 2, 1]))
        tensor([1, 2, 1])
    """
    array = check_copy_room("unique_consecutive", array_of(input), 8)
    rows = array.reshape(-1) if dim is None else np.moveaxis(array, dim, 0)
    n = len(rows)
    starts = np.ones(n, np.bool_)
    if n > 1:
        starts[1:] = (rows[1:] != rows[:-1]).reshape(n - 1, -1).any(1)
    values = rows[starts]
    inverse = np.cumsum(starts) - 1
    counts = np.diff(np.append(np.flatnonzero(starts), n))
    if dim is None:
        inverse = inverse.reshape(array.shape)
    else:
        values = np.moveaxis(values, 0, dim)
    return _asked(values, inverse, counts, return_inverse, return_counts)


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, 2, ... occurs, int64; or the sum of its weights (torch.bincount).

    Args:
        input: 1-d, integers that are not negative.
        weights: of input's shape; the result is float64, or float32 for float32.
        minlength: how many counts there are at least.

    Raises:
        RuntimeError: input has another shape or holds floats or negative numbers.

    Example:
        >>> rnn.bincount(rnn.tensor([0, 1, 1, 3]))
        tensor([1, 2, 0, 1])
    """
    array = array_of(input)
    if array.dtype.kind == "f":
        raise NotImplementedError(
            f"\"bincount_cpu\" not implemented for '{type_name(dtype_of(input))}'"
        )
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if array.ndim != 1 or (array.size and array.min() < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    given = None if weights is None else array_of(weights)
    if given is not None and given.shape != array.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    check_room("bincount", (max(minlength, int(array.max()) + 1 if array.size else 0),), 8)
    counts = np.bincount(array.astype(np.int64, copy=False), given, minlength)
    if given is None:
        return _core.wrap(counts.astype(np.int64))
    return _core.wrap(counts.astype(np.float32 if given.dtype == np.float32 else np.float64))


def _edges(array: Any, low: float, high: float, widen: float, name: str) -> tuple[float, float]:
    if low == high and array.size:
        low, high = float(array.min()), float(array.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"{name}: range of [{low}, {high}] is not finite")
    if low > high:
        raise RuntimeError(f"{name}: max must be larger than min")
    return (low - widen, high + widen) if low == high else (low, high)


def histc(
    input: Tensor, bins: int = 100, min: float = 0, max: float = 0, *, out: Tensor | None = None
) -> Tensor:
    """How many elements lie in each of `bins` equal bins, in input's dtype (torch.histc).

    Args:
        min, max: where the bins begin and end; what lies outside is not counted. Both 0: input's
            smallest and largest element.

    Raises:
        RuntimeError: bins is not positive, or min above max.

    Example:
        >>> rnn.histc(rnn.tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
        tensor([0., 2., 1., 0.])
    """
    if not input._h:
        raise NotImplementedError(
            f"\"histogram_cpu\" not implemented for '{type_name(dtype_of(input))}'"
        )
    if bins <= 0:
        raise RuntimeError(f"{prefix}histogram(): bins must be > 0, but got {bins} for dimension 0")
    array = check_copy_room("histc", array_of(input)).reshape(-1)
    low, high = map(array.dtype.type, _edges(array, min, max, 1, f"{prefix}histc"))
    inside = array[(array >= low) & (array <= high)]
    places = ((inside - low) / (high - low) * bins).astype(np.int64)
    check_room("histc", (bins,), 8 + array.itemsize)
    counts = np.bincount(np.minimum(places, bins - 1), minlength=bins)
    return _core.view_as_result(_core.wrap(counts.astype(array.dtype)), out)


def histogram(
    input: Tensor,
    bins: Any = 100,
    *,
    range: Sequence[float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
    out: Any = None,
) -> return_types.histogram:
    """How many elements lie in each bin, and the bins' edges (torch.histogram).

    Args:
        input: a float tensor, of any shape.
        bins: how many equal ones, or a 1-d tensor of edges.
        range: (low, high) of equal bins; else input's smallest and largest element.
        weight: what each element counts for, of input's shape.
        density: whether the histogram's area becomes 1.

    Returns:
        (hist, bin_edges), in input's dtype.

    Example:
        >>> rnn.histogram(rnn.tensor([1.0, 2.0, 1.0]), 2).hist
        tensor([2., 1.])
    """
    array = check_copy_room("histogram", array_of(input))
    if isinstance(bins, Handle):
        edges = array_of(bins)
    else:
        if bins <= 0:
            raise RuntimeError(
                f"{prefix}histogram(): bins must be > 0, but got {bins} for dimension 0"
            )
        if range is not None and len(range) != 2:
            raise RuntimeError(
                f"{prefix}histogramdd: for a 1-dimensional histogram range should have 2 elements, "
                f"but got {len(range)}"
            )
        low, high = range if range is not None else (0.0, 0.0 if array.size else 1.0)
        low, high = _edges(array, low, high, 0.5, "histogram")
        edges = array_of(linspace(low, high, bins + 1, dtype=dtype_of(input)))
    weights = None if weight is None else array_of(weight).reshape(-1)
    options: Any = {"weights": weights, "density": density}
    hist, _ = np.histogram(array.reshape(-1), edges, **options)
    made = _core.wrap(hist.astype(array.dtype)), _core.wrap(edges.astype(array.dtype))
    return return_types.histogram(_core.view_as_results(made, out))

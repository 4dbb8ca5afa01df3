"""Convolution and pooling of volumes: conv3d, conv_transpose3d, max_pool3d and avg_pool3d
(torch.nn.functional).

All are compositions: a convolution is a sum of conv2d over the kernel's depth, a mean adds up
shifted slices, a maximum is gathered from where it was found.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

import rnn
from rnn import _c
from rnn._shown import shown_as
from rnn.nn.functional._common import as_batch, several
from rnn.nn.functional.conv import (
    check_channels,
    check_output_padding,
    check_reach,
    conv2d,
    conv_transpose2d,
    lacks_batch,
    paddings,
)
from rnn.nn.functional.pad import pad
from rnn.nn.functional.pool import (
    Windows,
    check_rank,
    mean_of,
    of_integers,
    taken,
    window_sizes,
)
from rnn.ops import _core

if TYPE_CHECKING:
    from rnn.tensor import Tensor

# ---- convolution ---------------------------------------------------------------------------------


def _check_filters(weight: Tensor) -> None:
    """Raises:
    RuntimeError: the weight is no filter of volumes.
    """
    if len(weight._shape) != 5:
        raise RuntimeError(
            f"Expected 5-dimensional weight of filters, but got size {list(weight._shape)}"
        )


def _planes(x: Tensor) -> Tensor:
    """(N, D, C, H, W) -> (N * D, C, H, W)"""
    return x.reshape(x._shape[0] * x._shape[1], *x._shape[2:])


def _volumes(x: Tensor, n: int, bias: Tensor | None) -> Tensor:
    """(N * D, C, H, W) -> (N, C, D, H, W), and the bias."""
    made = x.reshape(n, x._shape[0] // n if n else 0, *x._shape[1:]).transpose(1, 2).contiguous()
    return made if bias is None else made + bias.reshape(-1, 1, 1, 1)


@shown_as("ConvolutionBackward0")
def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Each window's product with each filter (torch.nn.functional.conv3d).

    Args:
        input: (N, C, D, H, W) or (C, D, H, W); weight: (O, C / groups, KD, KH, KW); bias: (O,).
        stride, padding, dilation: a number, or one for each dimension; padding also "same" or
            "valid".

    Returns:
        (N, O, OD, OH, OW)

    Raises:
        RuntimeError: the shapes or dtypes do not fit.

    Example:
        >>> F.conv3d(rnn.ones(1, 3, 5, 5, 5), rnn.ones(8, 3, 3, 3, 3), padding=1).shape
        rnn.Size([1, 8, 5, 5, 5])
    """
    if lacks_batch(input, 3, "conv3d"):
        return as_batch(conv3d, input, weight, bias, stride, padding, dilation, groups)
    strides, dilations = several(stride, 3, "stride"), several(dilation, 3, "dilation")
    if min(strides) <= 0:
        raise RuntimeError("non-positive stride is not supported")
    _check_filters(weight)
    check_channels(input, weight, groups)
    x, pads = paddings(input, padding, weight._shape[2:], strides, dilations)
    size = [n + 2 * p for n, p in zip(x._shape[2:], pads)]
    reach = [d * (k - 1) + 1 for k, d in zip(weight._shape[2:], dilations)]
    check_reach(size, reach)
    x = pad(x, (0, 0, 0, 0, pads[0], pads[0])) if pads[0] else x
    x = x.transpose(1, 2)
    last = (size[0] - reach[0]) // strides[0] * strides[0] + 1
    total: Any = None
    for a in range(weight._shape[2]):
        at = a * dilations[0]
        planes = _planes(x[:, at : at + last : strides[0]])
        made = conv2d(planes, weight[:, :, a], None, strides[1:], pads[1:], dilations[1:], groups)
        total = made if total is None else total + made
    return _volumes(total, input._shape[0], bias)


@shown_as("ConvolutionBackward0")
def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """Each element spread over a window by its filter (torch.nn.functional.conv_transpose3d).

    Args:
        input: (N, C, D, H, W) or (C, D, H, W); weight: (C, O / groups, KD, KH, KW); bias: (O,).

    Returns:
        (N, O, OD, OH, OW), OD = (D - 1) stride - 2 padding + dilation (KD - 1) + output_padding + 1

    Raises:
        RuntimeError: the shapes do not fit, or output_padding is no smaller than both stride and
            dilation.

    Example:
        >>> F.conv_transpose3d(rnn.ones(1, 3, 2, 4, 4), rnn.ones(3, 8, 2, 2, 2), stride=2).shape
        rnn.Size([1, 8, 4, 8, 8])
    """
    if lacks_batch(input, 3, "conv_transpose3d"):
        args = bias, stride, padding, output_padding, groups, dilation
        return as_batch(conv_transpose3d, input, weight, *args)
    strides, pads = several(stride, 3, "stride"), several(padding, 3, "padding")
    dilations, more = several(dilation, 3, "dilation"), several(output_padding, 3, "output_padding")
    _check_filters(weight)
    check_channels(input, weight)
    check_output_padding(more, strides, dilations)
    n, _, depth = input._shape[:3]
    whole = (depth - 1) * strides[0] + dilations[0] * (weight._shape[2] - 1) + 1
    end = whole - 2 * pads[0] + more[0]
    if end <= 0:
        raise RuntimeError(f"Calculated output depth {end}. Output size is too small")
    planes = _planes(input.transpose(1, 2))
    total: Any = None
    for a in range(weight._shape[2]):
        made = conv_transpose2d(
            planes, weight[:, :, a], None, strides[1:], pads[1:], more[1:], groups, dilations[1:]
        )
        made = made.reshape(n, depth, *made._shape[1:])
        if total is None:
            total = rnn.zeros(n, whole, *made._shape[2:], dtype=made.dtype)
        places = np.arange(depth) * strides[0] + a * dilations[0]
        total = total.index_add(1, _core.wrap(places), made)
    behind = end + pads[0] - whole
    if pads[0] or behind:
        total = pad(total, (0, 0, 0, 0, 0, 0, -pads[0], behind))
    return _volumes(_planes(total), n, bias)


# ---- windows ------------------------------------------------------------------------------------


def _windows(
    input: Tensor, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil: bool
) -> Windows:
    """Raises:
    RuntimeError: the padding is negative or more than half of the kernel, or no window fits.
    """
    size = input._shape[-3:]
    windows = Windows(size, *window_sizes(kernel_size, stride, padding, dilation, 3), ceil)
    for p, k, d in zip(windows.pads, windows.kernel, windows.dilation):
        if p < 0:
            raise RuntimeError(f"pad must be non-negative, but got pad: {p}")
        if p > k // 2:
            raise RuntimeError(
                "pad should be at most half of effective kernel size, but got "
                f"pad={p}, kernel_size={k} and dilation={d}"
            )
    if min(windows.out) < 1:
        shown = ["x".join(map(str, (input._shape[-4], *t))) for t in (size, windows.out)]
        raise RuntimeError(
            f"Given input size: ({shown[0]}). Calculated output size: ({shown[1]}). Output size is "
            "too small"
        )
    return windows


# ---- maxima --------------------------------------------------------------------------------------


def _where_largest(planes: Any, windows: Windows) -> Any:
    """For each window (planes, *out) the place of its maximum, or of a NaN, in its volume."""
    sides = [(p, max(windows.ends(d), 0)) for d, p in enumerate(windows.pads)]
    padded = np.pad(planes, [(0, 0), *sides], constant_values=-np.inf)
    places = np.arange(math.prod(windows.size)).reshape(windows.size)
    at = np.pad(places, sides, constant_values=-1)
    best = np.full((len(planes), *windows.out), -np.inf, planes.dtype)
    found = np.full(best.shape, -1, np.int64)
    for k in np.ndindex(*windows.kernel):
        cut: Any = tuple([windows.slice(d, i) for d, i in enumerate(k)])
        number, place = padded[:, *cut], at[cut]
        better = ((number > best) | np.isnan(number) | (found < 0)) & (place >= 0)
        best = np.where(better, number, best)
        found = np.where(better, place, found)
    return found


@shown_as("MaxPool3DWithIndicesBackward0")
def max_pool3d_with_indices(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """max_pool3d, and where in its volume each maximum was found (torch.nn.functional's of this
    name).

    Args:
        input: (N, C, D, H, W) or (C, D, H, W).

    Returns:
        (N, C, OD, OH, OW), and int64 places of the same shape in the flat volume.

    Raises:
        RuntimeError: the sizes do not fit.

    Example:
        >>> _, where = F.max_pool3d_with_indices(rnn.arange(8.0).reshape(1, 1, 2, 2, 2), 2)
        >>> where
        tensor([[[[[7]]]]])
    """
    check_rank(input, 3, "max_pool3d")
    args = kernel_size, stride, padding, dilation, ceil_mode
    if not input._h:
        return of_integers(max_pool3d_with_indices, input, *args)
    windows = _windows(input, *args)
    outer = input._shape[:-3]
    planes = math.prod(outer)
    _c.check_room("max_pool3d", (planes, *windows.out), 64)
    places = _where_largest(_core.array_of(input).reshape(planes, *windows.size), windows)
    places = places.reshape(*outer, *windows.out)
    return taken(input, places, 3), _core.wrap(places)


def max_pool3d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window (torch.nn.functional.max_pool3d).

    Args:
        input: (N, C, D, H, W) or (C, D, H, W).
        stride: default: the kernel's size.
        ceil_mode: windows may hang over the end.
        return_indices: give the place of each maximum in its volume too.

    Raises:
        RuntimeError: the sizes do not fit.

    Example:
        >>> F.max_pool3d(rnn.arange(8.0).reshape(1, 1, 2, 2, 2), 2)
        tensor([[[[[7.]]]]])
    """
    args = kernel_size, stride, padding, dilation, ceil_mode
    made = max_pool3d_with_indices(input, *args)
    return made if return_indices else made[0]


# ---- means ---------------------------------------------------------------------------------------


@shown_as("AvgPool3DBackward0")
def avg_pool3d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window (torch.nn.functional.avg_pool3d).

    Args:
        input: (N, C, D, H, W) or (C, D, H, W).
        count_include_pad: padding counts as zeros.
        divisor_override: divide by this instead of by the number of elements.

    Raises:
        RuntimeError: the sizes do not fit.

    Example:
        >>> F.avg_pool3d(rnn.arange(8.0).reshape(1, 1, 2, 2, 2), 2)
        tensor([[[[[3.5000]]]]])
    """
    check_rank(input, 3, "avg_pool3d")
    if not input._h:
        args = kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        return of_integers(avg_pool3d, input, *args)
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    windows = _windows(input, kernel_size, stride, padding, 1, ceil_mode)
    sums = windows.padded(input)
    for d in range(3):
        sums = _added_up(sums, windows, d)
    return mean_of(sums, windows.areas(count_include_pad, divisor_override))


def _added_up(x: Tensor, windows: Windows, d: int) -> Tensor:
    """The sums over the windows along one dimension."""
    total: Any = None
    for k in range(windows.kernel[d]):
        part = x[(..., windows.slice(d, k), *[slice(None)] * (2 - d))]
        total = part if total is None else total + part
    return total

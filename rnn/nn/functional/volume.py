"""Convolution and pooling of volumes: conv3d, conv_transpose3d, max_pool3d, avg_pool3d and the
adaptive ones (torch.nn.functional).

All are compositions: a convolution is a sum of conv2d over the kernel's depth, a mean adds up
shifted slices, a maximum is gathered from where it was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import rnn
from rnn import _c
from rnn._shown import shown_as
from rnn.nn.functional._common import gather_flat, in_planes, several, with_batch
from rnn.nn.functional.conv import _paddings, _unbatched, conv2d, conv_transpose2d
from rnn.nn.functional.pad import pad
from rnn.nn.functional.pool import _adaptive_avg, _of_integers, _parts
from rnn.ops import _core

if TYPE_CHECKING:
    from rnn.tensor import Tensor

# ---- convolution ---------------------------------------------------------------------------------


def _check_channels(input: Tensor, weight: Tensor, expected: int, groups: int, how: int) -> None:
    """Raises:
    RuntimeError: the weight is no filter of volumes, or of another number of channels.
    """
    if len(weight._shape) != 5:
        raise RuntimeError(
            f"Expected 5-dimensional weight of filters, but got size {list(weight._shape)}"
        )
    if expected != input._shape[1]:
        what = f"transposed={how}" if how else f"groups={groups}"
        raise RuntimeError(
            f"Given {what}, weight of size {list(weight._shape)}, expected "
            f"input{list(input._shape)} to have {expected} channels, but got {input._shape[1]} "
            "channels instead"
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
    if _unbatched(input, 3, "conv3d"):
        args = bias, stride, padding, dilation, groups
        return conv3d(input.unsqueeze(0), weight, *args).squeeze(0)
    strides, dilations = several(stride, 3, "stride"), several(dilation, 3, "dilation")
    if min(strides) <= 0:
        raise RuntimeError("non-positive stride is not supported")
    expected = weight._shape[1] * groups if len(weight._shape) > 1 else 0
    _check_channels(input, weight, expected, groups, 0)
    x, pads = _paddings(input, padding, weight._shape[2:], strides, dilations)
    size = [n + 2 * p for n, p in zip(x._shape[2:], pads)]
    reach = [d * (k - 1) + 1 for k, d in zip(weight._shape[2:], dilations)]
    if any(n < r for n, r in zip(size, reach)):
        shown = [" x ".join(map(str, t)) for t in (size, reach)]
        raise RuntimeError(
            f"Calculated padded input size per channel: ({shown[0]}). Kernel size: ({shown[1]}). "
            "Kernel size can't be greater than actual input size"
        )
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
    if _unbatched(input, 3, "conv_transpose3d"):
        args = bias, stride, padding, output_padding, groups, dilation
        return conv_transpose3d(input.unsqueeze(0), weight, *args).squeeze(0)
    strides, pads = several(stride, 3, "stride"), several(padding, 3, "padding")
    dilations, more = several(dilation, 3, "dilation"), several(output_padding, 3, "output_padding")
    _check_channels(input, weight, weight._shape[0], groups, 1)
    if any(e >= s and e >= d for e, s, d in zip(more, strides, dilations)):
        raise RuntimeError(
            "output padding must be smaller than either stride or dilation, but got "
            f"output_padding_depth: {more[0]} output_padding_height: {more[1]} "
            f"output_padding_width: {more[2]} stride_depth: {strides[0]} stride_height: "
            f"{strides[1]} stride_width: {strides[2]} dilation_depth: {dilations[0]} "
            f"dilation_height: {dilations[1]} dilation_width: {dilations[2]}"
        )
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


# ---- windows -------------------------------------------------------------------------------------


class _Windows:
    """The windows of a pooling, along each of the last three dimensions."""

    def __init__(
        self, input: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool
    ) -> None:
        self.kernel = several(kernel, 3, "kernel_size")
        none = stride is None or stride == () or stride == []
        self.stride = self.kernel if none else several(stride, 3, "stride")
        self.pads, self.dilation = several(padding, 3, "padding"), several(dilation, 3, "dilation")
        self.size = input._shape[-3:]
        if min(self.stride) == 0:
            raise RuntimeError("stride should not be zero")
        if any(p > k // 2 for p, k in zip(self.pads, self.kernel)):
            raise RuntimeError(
                "pad should be at most half of effective kernel size, but got "
                f"pad={max(self.pads)}, kernel_size={self.kernel} and dilation={self.dilation}"
            )
        self.out = tuple([self._count(d, ceil) for d in range(3)])
        if min(self.out) < 1:
            channels = input._shape[-4]
            shown = ["x".join(map(str, (channels, *t))) for t in (self.size, self.out)]
            raise RuntimeError(
                f"Given input size: ({shown[0]}). Calculated output size: ({shown[1]}). Output "
                "size is too small"
            )

    def _count(self, d: int, ceil: bool) -> int:
        n, step, p = self.size[d], self.stride[d], self.pads[d]
        room = n + 2 * p - self.dilation[d] * (self.kernel[d] - 1) - 1
        out = (-(-room // step) if ceil else room // step) + 1
        return out - 1 if ceil and (out - 1) * step >= n + p else out  # it begins in the input

    def ends(self, d: int) -> int:
        """How many places behind the input the last window reaches."""
        reach = (self.out[d] - 1) * self.stride[d] + self.dilation[d] * (self.kernel[d] - 1) + 1
        return reach - self.size[d] - self.pads[d]

    def slice(self, d: int, k: int) -> slice:
        """The k-th place of every window, in what is padded."""
        first = k * self.dilation[d]
        return slice(first, first + (self.out[d] - 1) * self.stride[d] + 1, self.stride[d])


def _check_volumes(input: Tensor, name: str) -> None:
    if len(input._shape) not in (4, 5):
        raise RuntimeError(
            f"non-empty 4D or 5D (batch mode) tensor expected for input, but {name} got a tensor "
            f"of {len(input._shape)} dimensions"
        )


# ---- maxima --------------------------------------------------------------------------------------


def _where_largest(values: Any, windows: _Windows) -> Any:
    """For each window the place of its maximum, or of a NaN, in its volume."""
    ends = [windows.ends(d) for d in range(3)]
    sides = [(0, 0)] * 2 + [(p, max(e, 0)) for p, e in zip(windows.pads, ends)]
    padded = np.pad(values, sides, constant_values=-np.inf)
    places = np.arange(int(np.prod(windows.size))).reshape(windows.size)
    at = np.pad(places, sides[2:], constant_values=-1)
    best = np.full((*values.shape[:2], *windows.out), -np.inf, values.dtype)
    found = np.full(best.shape, -1, np.int64)
    for k in np.ndindex(*windows.kernel):
        cut: Any = tuple([windows.slice(d, i) for d, i in enumerate(k)])
        number, place = padded[:, :, *cut], at[cut]
        better = ((number > best) | np.isnan(number) | (found < 0)) & (place >= 0)
        best = np.where(better, number, best)
        found = np.where(better, place, found)
    return found


def _taken(input: Tensor, places: Any) -> Tensor:
    planes = input._shape[0] * input._shape[1]
    size = int(np.prod(input._shape[2:]))
    flat = places.reshape(planes, -1) + in_planes(np.zeros(1, np.int64), planes, size)
    return gather_flat(input, flat, places.shape)


@with_batch(3)
def _max_pool3d(input: Tensor, *args: Any) -> Any:
    windows = _Windows(input, *args)
    planes = input._shape[0] * input._shape[1]
    _c.check_room("max_pool3d", (planes, *windows.out), 64)
    places = _where_largest(_core.array_of(input), windows)
    return _taken(input, places), _core.wrap(places)


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

    Example:
        >>> _, where = F.max_pool3d_with_indices(rnn.arange(8.0).reshape(1, 1, 2, 2, 2), 2)
        >>> where
        tensor([[[[[7]]]]])
    """
    _check_volumes(input, "max_pool3d")
    if not input._h:
        args = kernel_size, stride, padding, dilation, ceil_mode
        return _of_integers(max_pool3d_with_indices, input, *args)
    return _max_pool3d(input, kernel_size, stride, padding, dilation, ceil_mode)


@shown_as("MaxPool3DWithIndicesBackward0")
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


@shown_as("AdaptiveMaxPool3DBackward0")
def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima over as many parts as are asked for (torch.nn.functional.adaptive_max_pool3d).

    Example:
        >>> F.adaptive_max_pool3d(rnn.arange(8.0).reshape(1, 1, 2, 2, 2), (1, 1, 2))
        tensor([[[[[6., 7.]]]]])
    """
    _core.floats_only("adaptive_max_pool3d_cpu", input)
    sizes = _sizes(input, output_size)
    made = _adaptive_max3d(input, sizes)
    return made if return_indices else made[0]


@with_batch(3)
def _adaptive_max3d(input: Tensor, sizes: tuple[int, ...]) -> Any:
    n, c, *size = input._shape
    values = _core.array_of(input)
    at = np.empty((n, c, *sizes), np.int64)
    places = np.arange(int(np.prod(size))).reshape(size)
    parts = [list(zip(*_parts(old, new))) for old, new in zip(size, sizes)]
    for cell in np.ndindex(*sizes):
        cut: Any = tuple([slice(*parts[d][i]) for d, i in enumerate(cell)])
        inside = values[:, :, *cut].reshape(n, c, -1)
        at[:, :, *cell] = places[cut].reshape(-1)[inside.argmax(-1)]
    return _taken(input, at), _core.wrap(at)


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
    _check_volumes(input, "avg_pool3d")
    if not input._h:
        args = kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        return _of_integers(avg_pool3d, input, *args)
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    windows = _Windows(input, kernel_size, stride, padding, 1, ceil_mode)
    made, areas = input, np.ones((1, 1, 1))
    for d in range(3):
        size, p, end = windows.size[d], windows.pads[d], windows.ends(d)
        first = np.arange(windows.out[d]) * windows.stride[d] - p
        last = first + windows.kernel[d]
        counted = last.clip(max=size + p) - first
        if not count_include_pad:
            counted = last.clip(max=size) - first.clip(0)
        areas = areas * counted.reshape([-1 if k == d else 1 for k in range(3)])
        made = _added_up(pad(made, [0, 0] * (2 - d) + [p, end]), windows, d)
    if divisor_override is not None:
        areas = np.full(areas.shape, divisor_override)
    return made * _core.nodes((1 / areas).astype(_core.array_of(input).dtype))


def _added_up(x: Tensor, windows: _Windows, d: int) -> Tensor:
    """The sums over the windows along one dimension."""
    total: Any = None
    for k in range(windows.kernel[d]):
        part = x[(..., windows.slice(d, k), *[slice(None)] * (2 - d))]
        total = part if total is None else total + part
    return total


@shown_as("AdaptiveAvgPool3DBackward0")
def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """Means over as many parts as are asked for (torch.nn.functional.adaptive_avg_pool3d).

    Example:
        >>> F.adaptive_avg_pool3d(rnn.ones(1, 3, 4, 8, 6), (2, None, 2)).shape
        rnn.Size([1, 3, 2, 8, 2])
    """
    _core.floats_only("adaptive_avg_pool3d_cpu", input)
    return _adaptive_avg(input, _sizes(input, output_size))


def _sizes(input: Tensor, output_size: Any) -> tuple[int, ...]:
    if len(input._shape) < 4 and isinstance(output_size, (tuple, list)):
        raise ValueError("Input dimension should be at least 4")
    _check_volumes(input, "adaptive pooling")
    given: Sequence[Any] = several(output_size, 3, "output_size")
    sizes = tuple([n if o is None else int(o) for o, n in zip(given, input._shape[-3:])])
    if min(sizes) < 0:
        raise RuntimeError(
            "adaptive pooling: elements of output_size must be greater than or equal to 0 but "
            f"received {sizes}"
        )
    return sizes

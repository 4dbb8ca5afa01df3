"""Convolutions, and the windows that they are made of: conv1d, conv2d, their transposes, unfold,
fold (torch.nn.functional).

conv2d is fused in C (conv.c). Its composition, and all else here, is a gather of windows and a
matrix product.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

import rnn
from rnn import _c
from rnn._c import EDTYPE, ETYPE, E, lib
from rnn._shapes import normalize_dim
from rnn._shown import shown_as
from rnn.nn.functional._common import (
    as_batch,
    c_name,
    expect_tensor,
    gather_flat,
    handle,
    in_planes,
    result,
    scatter_flat,
    several,
)
from rnn.nn.functional.pad import pad
from rnn.ops import _core

if TYPE_CHECKING:
    from rnn.tensor import Tensor

Pair = tuple[int, ...]  # of two

# ---- windows ------------------------------------------------------------------------------------


def _windows(size: int, kernel: int, stride: int, dilation: int) -> int:
    """How many windows fit."""
    return (size - dilation * (kernel - 1) - 1) // stride + 1


@functools.lru_cache(maxsize=64)
def window_places(size: Pair, kernel: Pair, stride: Pair, dilation: Pair) -> Any:
    """For each place in a kernel and each window, the element of an (H, W) plane: (KH * KW, OH *
    OW), read-only.
    """
    rows, columns = [
        np.arange(k)[:, None] * d + np.arange(max(_windows(n, k, s, d), 0))[None] * s
        for n, k, s, d in zip(size, kernel, stride, dilation)
    ]
    _c.check_room("windows", (rows.size, columns.size), 8)
    at = rows[:, None, :, None] * size[1] + columns[None, :, None, :]
    places = at.reshape(kernel[0] * kernel[1], -1).astype(np.int64, copy=False)
    places.flags.writeable = False
    return places


def gather_windows(x: Tensor, kernel: Pair, stride: Pair, dilation: Pair) -> Tensor:
    """(N, C, H, W) -> (N, C, KH * KW, OH * OW)"""
    n, c, *size = x._shape
    places = window_places((size[0], size[1]), kernel, stride, dilation)
    index = in_planes(places, n * c, size[0] * size[1])
    return gather_flat(x, index, (n, c, *places.shape))


def lacks_batch(input: Tensor, dims: int, name: str) -> bool:
    """Whether the input lacks its batch dimension.

    Raises:
        RuntimeError: it has another number of dimensions.
    """
    expect_tensor(input, name)
    rank = len(input._shape)
    if rank not in (dims + 1, dims + 2):
        raise RuntimeError(
            f"Expected {dims + 1}D (unbatched) or {dims + 2}D (batched) input to {name}, but got "
            f"input of size: {list(input._shape)}"
        )
    return rank == dims + 1


@shown_as("Im2ColBackward0")
def unfold(
    input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """Every window as a column (torch.nn.functional.unfold): (N, C, H, W) -> (N, C * KH * KW,
    windows).

    Raises:
        RuntimeError: the input has not 3 or 4 dimensions, or no window fits.

    Example:
        >>> F.unfold(rnn.ones(1, 3, 4, 4), 2).shape
        rnn.Size([1, 12, 9])
    """
    kernel, dilations, strides = several(kernel_size, 2), several(dilation, 2), several(stride, 2)
    if len(input._shape) < 3:
        normalize_dim(2, len(input._shape))
    if min(strides) <= 0:
        raise RuntimeError(
            f"stride should be greater than zero, but got stride_height: {strides[0]} "
            f"stride_width: {strides[1]}"
        )
    if len(input._shape) == 3:
        return as_batch(unfold, input, kernel_size, dilation, padding, stride)
    if len(input._shape) != 4:
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero "
            f"dimensions for input, but got: {list(input._shape)}"
        )
    _core.floats_only("im2col_out_cpu", input)
    height, width = several(padding, 2)
    x = pad(input, (width, width, height, height)) if height or width else input
    n, c, h, w = x._shape
    counts = [_windows(*four) for four in zip((h, w), kernel, strides, dilations)]
    if min(counts) < 1:
        raise RuntimeError(
            f"Given input with spatial size ({input._shape[2]}, {input._shape[3]}), "
            f"kernel_size={kernel}, dilation={dilations}, padding={(height, width)}, calculated "
            f"shape of the array of sliding blocks as ({counts[0]}, {counts[1]}), but its "
            "components must be at least one."
        )
    columns = gather_windows(x, kernel, strides, dilations)
    return columns.reshape(n, c * kernel[0] * kernel[1], columns._shape[-1])


@shown_as("Col2ImBackward0")
def fold(
    input: Tensor,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Tensor:
    """Columns added into the windows that they came from: unfold's transpose
    (torch.nn.functional.fold).

    Args:
        input: (N, C * KH * KW, windows) or (C * KH * KW, windows).

    Returns:
        (N, C, *output_size)

    Raises:
        RuntimeError: the sizes do not fit.

    Example:
        >>> F.fold(rnn.ones(1, 4, 4), (3, 3), (2, 2))
        tensor([[[[1., 2., 1.],
                  [2., 4., 2.],
                  [1., 2., 1.]]]])
    """
    if len(input._shape) == 2:
        return as_batch(fold, input, output_size, kernel_size, dilation, padding, stride)
    kernel, size, pads = several(kernel_size, 2), several(output_size, 2), several(padding, 2)
    strides, dilations = several(stride, 2), several(dilation, 2)
    if len(input._shape) != 3:
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and "
            f"non-zero dimensions for input, but got: {list(input._shape)}"
        )
    n, rows, count = input._shape
    area = kernel[0] * kernel[1]
    if rows % area:
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, "
            f"but got input.size(1)={rows} and kernel_size={kernel}."
        )
    whole = (size[0] + 2 * pads[0], size[1] + 2 * pads[1])
    places = window_places(whole, kernel, strides, dilations)
    if places.shape[1] != count:
        counts = [_windows(*four) for four in zip(whole, kernel, strides, dilations)]
        raise RuntimeError(
            f"Given output_size={size}, kernel_size={kernel}, dilation={dilations}, "
            f"padding={pads}, stride={strides}, expected size of input's dimension 2 to match the "
            f"calculated number of sliding blocks {counts[0]} * {counts[1]} = "
            f"{counts[0] * counts[1]}, but got input.size(2)={count}."
        )
    _core.floats_only("col2im_out_cpu", input)
    planes = n * (rows // area)
    index = in_planes(places, planes, whole[0] * whole[1])
    zeros = rnn.zeros(n, rows // area, *whole, dtype=input.dtype)
    made = scatter_flat(zeros, index, input, True)
    return made[:, :, pads[0] : pads[0] + size[0], pads[1] : pads[1] + size[1]]


# ---- convolution --------------------------------------------------------------------------------


def check_channels(input: Tensor, weight: Tensor, groups: int | None = None) -> None:
    """Whether a weight (O, C / groups, ...), or without groups (C, ...) of a transposed
    convolution, is one for an input (N, C, ...).

    Raises:
        RuntimeError: it is for another number of channels.
    """
    shape, found = weight._shape, input._shape[1]
    expected = shape[0] if groups is None else shape[1] * groups
    if expected != found:
        how = "transposed=1" if groups is None else f"groups={groups}"
        raise RuntimeError(
            f"Given {how}, weight of size {list(shape)}, expected input{list(input._shape)} to "
            f"have {expected} channels, but got {found} channels instead"
        )


def check_reach(sizes: Sequence[int], reach: Sequence[int]) -> None:
    """Raises:
    RuntimeError: the padded input is smaller than what the kernel reaches over.
    """
    if any(map(operator.lt, sizes, reach)):
        shown = [" x ".join(map(str, t)) for t in (sizes, reach)]
        raise RuntimeError(
            f"Calculated padded input size per channel: ({shown[0]}). Kernel size: ({shown[1]}). "
            "Kernel size can't be greater than actual input size"
        )


def check_output_padding(
    more: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> None:
    """Raises:
    RuntimeError: output_padding is no smaller than both stride and dilation.
    """
    if any(map(operator.ge, more, map(max, strides, dilations))):
        given = {"output_padding": more, "stride": strides, "dilation": dilations}
        shown = [
            f"{what}_{side}: {n}"
            for what, sizes in given.items()
            for side, n in zip(("depth", "height", "width")[-len(sizes) :], sizes)
        ]
        raise RuntimeError(
            "output padding must be smaller than either stride or dilation, but got "
            f"{' '.join(shown)}"
        )


def paddings(
    input: Tensor,
    padding: Any,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[Tensor, tuple[int, ...]]:
    """The input and the padding as numbers; "same" may add one more place to the input's end.

    Raises:
        RuntimeError: padding is a string other than "same" and "valid", or "same" with strides.
    """
    count = len(kernel)
    if not isinstance(padding, str):
        return input, several(padding, count, "padding")
    if padding == "valid":
        return input, (0,) * count
    if padding != "same":
        raise RuntimeError(
            f"Invalid padding string: '{padding}'" if padding else "Invalid padding string: ''"
        )
    if any(s != 1 for s in stride):
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    totals = [d * (k - 1) for k, d in zip(kernel, dilation)]
    more = [total % 2 for total in totals]
    if any(more):
        input = pad(input, [n for m in reversed(more) for n in (0, m)])
    return input, tuple([total // 2 for total in totals])


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Each window's product with each filter (torch.nn.functional.conv2d).

    Args:
        input: (N, C, H, W) or (C, H, W); weight: (O, C / groups, KH, KW); bias: (O,).
        stride, padding, dilation: a number, or (height, width); padding also "same" or "valid".

    Returns:
        (N, O, OH, OW)

    Raises:
        RuntimeError: the shapes or dtypes do not fit.

    Example:
        >>> F.conv2d(rnn.ones(1, 3, 5, 5), rnn.ones(8, 3, 3, 3), padding=1).shape
        rnn.Size([1, 8, 5, 5])
    """
    if lacks_batch(input, 2, "conv2d"):
        return as_batch(conv2d, input, weight, bias, stride, padding, dilation, groups)
    strides, dilations = several(stride, 2, "stride"), several(dilation, 2, "dilation")
    kernel = weight._shape[2:]
    x, pads = paddings(input, padding, kernel, strides, dilations)
    numbers = _c.dims((*strides, *pads, *dilations, groups))
    h = lib.rnn_conv2d(E, x._h, weight._h, handle(bias), numbers)
    if h in (ETYPE, EDTYPE):
        _fail_types(input, weight, bias)
    out = result(h)
    return (
        _compose_conv2d(x, weight, bias, strides, pads, dilations, groups) if out is None else out
    )


def _fail_types(input: Tensor, weight: Tensor, bias: Any) -> NoReturn:
    if bias is not None:
        raise RuntimeError(
            f"Input type ({c_name(input)}) and bias type ({c_name(bias)}) should be the same"
        )
    kinds = [_core.type_name(_core.dtype_of(t)) for t in (input, weight)]
    raise RuntimeError(f"expected scalar type {kinds[0]} but found {kinds[1]}")


def _compose_conv2d(
    x: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Tensor:
    if any(padding):
        x = pad(x, (padding[1], padding[1], padding[0], padding[0]))
    n, c, h, w = x._shape
    o, _, kh, kw = weight._shape
    columns = gather_windows(x, (kh, kw), stride, dilation)
    columns = columns.reshape(n, groups, c // groups * kh * kw, columns._shape[-1])
    out = weight.reshape(groups, o // groups, c // groups * kh * kw) @ columns
    out = out.reshape(
        n, o, _windows(h, kh, stride[0], dilation[0]), _windows(w, kw, stride[1], dilation[1])
    )
    return out if bias is None else out + bias.reshape(-1, 1, 1)


@shown_as("ConvolutionBackward0")
def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Each window's product with each filter (torch.nn.functional.conv1d): conv2d over one row.

    Args:
        input: (N, C, L) or (C, L); weight: (O, C / groups, K); bias: (O,).

    Returns:
        (N, O, windows)

    Raises:
        RuntimeError: the shapes or dtypes do not fit.

    Example:
        >>> F.conv1d(rnn.tensor([[[1.0, 2.0, 3.0]]]), rnn.tensor([[[1.0, -1.0]]]))
        tensor([[[-1., -1.]]])
    """
    if len(weight._shape) < 3:
        raise RuntimeError("weight should have at least three dimensions")
    if lacks_batch(input, 1, "conv1d"):
        return as_batch(conv1d, input, weight, bias, stride, padding, dilation, groups)
    if len(weight._shape) == 3:
        check_channels(input, weight, groups)
    strides, dilations = several(stride, 1, "stride"), several(dilation, 1, "dilation")
    x, pads = paddings(input, padding, weight._shape[2:], strides, dilations)
    check_reach((x._shape[2] + 2 * pads[0],), (dilations[0] * (weight._shape[2] - 1) + 1,))
    out = conv2d(
        x.unsqueeze(2),
        weight.unsqueeze(2),
        bias,
        (1, *strides),
        (0, *pads),
        (1, *dilations),
        groups,
    )
    return out.squeeze(2)


# ---- transposed convolution: what conv2d's backward does to its input ---------------------------


@shown_as("ConvolutionBackward0")
def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """Each element spread over a window by its filter (torch.nn.functional.conv_transpose2d).

    Args:
        input: (N, C, H, W) or (C, H, W); weight: (C, O / groups, KH, KW); bias: (O,).

    Returns:
        (N, O, OH, OW), OH = (H - 1) stride - 2 padding + dilation (KH - 1) + output_padding + 1

    Raises:
        RuntimeError: the shapes do not fit, or output_padding is no smaller than both stride and
            dilation.

    Example:
        >>> F.conv_transpose2d(rnn.ones(1, 3, 4, 4), rnn.ones(3, 8, 2, 2), stride=2).shape
        rnn.Size([1, 8, 8, 8])
    """
    if lacks_batch(input, 2, "conv_transpose2d"):
        args = bias, stride, padding, output_padding, groups, dilation
        return as_batch(conv_transpose2d, input, weight, *args)
    strides, pads = several(stride, 2, "stride"), several(padding, 2, "padding")
    dilations, more = several(dilation, 2, "dilation"), several(output_padding, 2, "output_padding")
    n, c, *size = input._shape
    kernel = weight._shape[2:]
    check_channels(input, weight)
    check_output_padding(more, strides, dilations)
    if any(t is not None and t.dtype is not input.dtype for t in (weight, bias)):
        _fail_types(input, weight, bias)
    filters = weight._shape[1] * groups
    out_size = [
        (i - 1) * s - 2 * p + d * (k - 1) + e + 1
        for i, s, p, d, k, e in zip(size, strides, pads, dilations, kernel, more)
    ]
    if min(out_size) <= 0:
        raise RuntimeError(
            f"Given input size per channel: ({size[0]} x {size[1]}). Calculated output size per "
            f"channel: ({out_size[0]} x {out_size[1]}). Output size is too small"
        )
    matrix = weight.reshape(groups, c // groups, -1).transpose(
        1, 2
    )  # (groups, O / groups * area, C / groups)
    columns = matrix @ input.reshape(n, groups, c // groups, size[0] * size[1])
    columns = columns.reshape(n, filters * kernel[0] * kernel[1], size[0] * size[1])
    # fold counts the windows of its whole output: what output_padding adds lies behind the last one
    whole = tuple(
        [(i - 1) * s + d * (k - 1) + 1 for i, s, d, k in zip(size, strides, dilations, kernel)]
    )
    out = fold(columns, whole, kernel, dilations, 0, strides)
    ends = [o + p - w for o, p, w in zip(out_size, pads, whole)]
    if any(pads) or any(ends):
        out = pad(out, (-pads[1], ends[1], -pads[0], ends[0]))
    return out if bias is None else out + bias.reshape(-1, 1, 1)


@shown_as("ConvolutionBackward0")
def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """conv_transpose2d over one row (torch.nn.functional.conv_transpose1d): (N, C, L), (C, O /
    groups, K) -> (N, O, OL).

    Raises:
        RuntimeError: as conv_transpose2d's.

    Example:
        >>> F.conv_transpose1d(rnn.tensor([[[1.0, 2.0]]]), rnn.ones(1, 1, 2), stride=2)
        tensor([[[1., 1., 2., 2.]]])
    """
    if len(weight._shape) < 3:
        raise RuntimeError("weight should have at least three dimensions")
    if lacks_batch(input, 1, "conv_transpose1d"):
        args = bias, stride, padding, output_padding, groups, dilation
        return as_batch(conv_transpose1d, input, weight, *args)
    strides, pads, dilations, more = [
        several(x, 1) for x in (stride, padding, dilation, output_padding)
    ]
    if len(weight._shape) == 3:
        check_channels(input, weight)
    out = conv_transpose2d(
        input.unsqueeze(2),
        weight.unsqueeze(2),
        bias,
        (1, *strides),
        (0, *pads),
        (0, *more),
        groups,
        (1, *dilations),
    )
    return out.squeeze(2)

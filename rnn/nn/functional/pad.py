"""Padding, resizing and rearranging of images: pad, interpolate, pixel_shuffle and their kind
(torch.nn.functional).
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

import rnn
from rnn._c import check_copy_room, check_room, lib
from rnn._shown import show_as, shown_as
from rnn._warn import warn_user
from rnn.nn.functional._common import gather_flat, in_planes
from rnn.ops import _core

if TYPE_CHECKING:
    from rnn.tensor import Tensor

# ---- pad ----------------------------------------------------------------------------------------


def pad(
    input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """Places before and after the last dimensions (torch.nn.functional.pad).

    Args:
        input: any shape; (N, C, ...) or (C, ...) for the modes other than "constant".
        pad: (before, after) of the last dimension, then of the one before it, ...; negative: cut
            off. mode: "constant", "reflect", "replicate" or "circular". value: of "constant";
            default 0.

    Raises:
        RuntimeError, ValueError, NotImplementedError: as PyTorch's.

    Example:
        >>> F.pad(rnn.tensor([[1.0, 2.0]]), (1, 1))
        tensor([[0., 1., 2., 0.]])
        >>> F.pad(rnn.tensor([[1.0, 2.0, 3.0]]), (2, 0), mode="reflect")
        tensor([[3., 2., 1., 2., 3.]])
    """
    sides = [int(n) for n in pad]
    if len(sides) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(sides) > 2 * len(input._shape):
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got "
            f"padding length {len(sides)} and input of dimension {len(input._shape)}"
        )
    pairs = [(sides[i], sides[i + 1]) for i in range(0, len(sides), 2)][::-1]
    if mode == "constant":
        padded = _constant(input, pairs, 0.0 if value is None else value)
        return show_as(padded, "ConstantPadNdBackward0")
    if value is not None and value != 0:
        raise ValueError(f'Padding mode "{mode}" doesn\'t take in value argument')
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if len(input._shape) - len(pairs) not in (1, 2):
        raise NotImplementedError(
            f"Padding size {len(sides)} is not supported for {len(input._shape)}D input tensor."
        )
    made = _by_index(input, pairs, mode)
    if mode == "circular":
        return made
    kind = "Reflection" if mode == "reflect" else "Replication"
    return show_as(made, f"{kind}Pad{len(pairs)}DBackward0")


def _constant(input: Tensor, pairs: list[tuple[int, int]], value: float) -> Tensor:
    first = len(input._shape) - len(pairs)
    shape = list(input._shape)
    inner, outer = input, []
    for d, (before, after) in enumerate(pairs, first):
        size = shape[d]
        shape[d] = size + before + after
        if shape[d] < 0:
            raise RuntimeError(
                f"The input size {size}, plus negative padding {before} and {after} resulted in a "
                f"negative output size, which is invalid. Check dimension {d} of your input."
            )
        start, stop = max(-before, 0), size - max(-after, 0)
        if before < 0 or after < 0:
            inner = inner.narrow(d, start, max(stop - start, 0))
        outer.append((d, max(before, 0), stop - start))
    if all(before <= 0 and after <= 0 for before, after in pairs):
        return inner.clone()
    made = rnn.full(shape, value, dtype=input.dtype)
    room = made
    for d, at, count in outer:
        room = room.narrow(d, at, max(count, 0))
    room.copy_(inner)
    return made


def _index(size: int, before: int, after: int, mode: str, dim: int, argument: int) -> Any:
    """Which element each place of a padded dimension takes.

    Raises:
        RuntimeError: there are too few elements to take.
    """
    at = np.arange(-before, size + after)
    if mode == "replicate":
        return at.clip(0, size - 1)
    if mode == "circular":
        if before > size or after > size:
            raise RuntimeError("Padding value causes wrapping around more than once.")
        cut = max(-before, 0)  # what is cut off is gone before the rest is wrapped around
        rest = size - cut - max(-after, 0)
        if rest < 0 or (not rest and at.size):
            raise RuntimeError("Negative padding value is resulting in an empty dimension")
        return cut + (at - cut) % (rest or 1)
    if before >= size or after >= size:
        raise RuntimeError(
            f"Argument #{argument}: Padding size should be less than the corresponding input "
            f"dimension, but got: padding ({before}, {after}) at dimension {dim} of input {{}}"
        )
    return size - 1 - np.abs(size - 1 - np.abs(at))


def _by_index(input: Tensor, pairs: list[tuple[int, int]], mode: str) -> Tensor:
    first = len(input._shape) - len(pairs)
    sizes = input._shape[first:]
    try:
        each: list[Any] = []
        for i in reversed(range(len(pairs))):  # PyTorch looks at the last dimension first
            argument = 4 + 2 * (len(pairs) - 1 - i)
            each.insert(0, _index(sizes[i], *pairs[i], mode, first + i, argument))
    except RuntimeError as error:
        raise RuntimeError(str(error).replace("{}", str(list(input._shape)))) from None
    check_room("pad", [len(index) for index in each], 8)
    places = np.zeros((), np.int64)
    for size, index in zip(sizes, each):
        places = places[..., None] * size + index
    outer = math.prod(input._shape[:first])
    shape = (*input._shape[:first], *places.shape)
    if not input._h:
        check_room("pad", shape, input._array.itemsize)
        flat = np.ascontiguousarray(check_copy_room("pad", input._array))
        taken = flat.reshape(outer, math.prod(sizes))[:, places.ravel()]
        return _core.wrap(np.ascontiguousarray(taken).reshape(shape))
    return gather_flat(input, in_planes(places, outer, math.prod(sizes)), shape)


# ---- interpolate --------------------------------------------------------------------------------


@functools.lru_cache(maxsize=64)
def _nearest(size: int, out: int, scale: float | None, exact: bool) -> Any:
    """The element that each place takes. PyTorch reckons in float32."""
    step = np.float32(size / out if scale is None else 1 / scale)
    at = (np.arange(out, dtype=np.float32) + np.float32(0.5 if exact else 0)) * step
    return np.minimum(np.floor(at).astype(np.int64), size - 1)


def cubic_weights(t: Any) -> Any:
    """The weights of the four neighbours, t behind the second of them (Keys 1981, a = -0.75)."""
    a = -0.75

    def near(x: Any) -> Any:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: Any) -> Any:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


@functools.lru_cache(maxsize=64)
def _taps(
    size: int, out: int, scale: float | None, align: bool, cubic: bool
) -> list[tuple[Any, Any]]:
    """For each of a place's neighbours: where it is, and the weight with which it is taken."""
    if align:
        at = np.arange(out) * ((size - 1) / (out - 1) if out > 1 else 0.0)
    else:
        at = (np.arange(out) + 0.5) * (size / out if scale is None else 1 / scale) - 0.5
        at = at if cubic else np.maximum(at, 0)
    low = np.floor(at).astype(np.int64)
    t = at - low
    weights = cubic_weights(t) if cubic else [1 - t, t]
    return [
        (np.clip(low + shift, 0, size - 1), weight)
        for shift, weight in enumerate(weights, -1 if cubic else 0)
    ]


def _resized(x: Tensor, d: int, taps: Sequence[tuple[Any, Any]]) -> Tensor:
    """Dimension d of x, each new place made of its neighbours."""
    shape = (-1, *(1,) * (len(x._shape) - d - 1))
    dtype = _core.NUMPY_NODE_DTYPES[lib.rnn_dtype(x._h)]
    parts = [
        x.index_select(d, _core.wrap(places)) * _core.nodes(weight.astype(dtype).reshape(shape))
        for places, weight in taps
    ]
    return functools.reduce(operator.add, parts)


#: how many dimensions each mode takes, behind the channels
_DIMS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}


def _out_sizes(input: Tensor, size: Any, scale: Any, recompute: Any) -> tuple[list[int], list[Any]]:
    """The size of each dimension, and the scales where they are to be used as given.

    Raises:
        ValueError: neither or both of size and scale are given, or one has another length.
    """
    dims = len(input._shape) - 2
    if (size is None) == (scale is None):
        raise ValueError(
            "only one of size or scale_factor should be defined"
            if size is not None
            else "either size or scale_factor should be defined"
        )
    given = size if scale is None else scale
    if isinstance(given, (tuple, list)):
        if len(given) != dims:
            what, of, letter = ("output", "output size", "o")
            if scale is not None:
                what, of, letter = ("scale_factor", "scale_factor", "s")
            shown = f"{of} of{'' if scale is None else ' shape'} {given}"
            raise ValueError(
                f"Input and {what} must have the same number of spatial dimensions, but got input "
                f"with spatial dimensions of {list(input._shape[2:])} and {shown}. Please provide "
                f"input tensor in (N, C, d1, d2, ...,dK) format and {of} in ({letter}1, {letter}2, "
                f"...,{letter}K) format."
            )
        several = list(given)
    else:
        several = [given] * dims
    if scale is None:
        return [int(n) for n in several], [None] * dims
    sizes = [math.floor(n * float(s)) for n, s in zip(input._shape[2:], several)]
    return sizes, [None] * dims if recompute else [float(s) for s in several]


def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resizes (N, C, ...) images (torch.nn.functional.interpolate).

    Args:
        size: of each dimension behind the channels; or scale_factor, by which to multiply it.
        mode: "nearest", "nearest-exact", "linear" (3-D input), "bilinear", "bicubic" (4-D),
            "trilinear" (5-D), "area".
        align_corners: the corners' centres stay where they are.

    Raises:
        ValueError, NotImplementedError: as PyTorch's.

    Example:
        >>> x = rnn.tensor([[[1.0, 3.0]]])
        >>> F.interpolate(x, scale_factor=2, mode="linear", align_corners=True)
        tensor([[[1.0000, 1.6667, 2.3333, 3.0000]]])
    """
    if antialias:
        raise NotImplementedError("interpolate: antialias is not supported")
    linear = mode not in ("nearest", "nearest-exact", "area")
    if not linear and align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear "
            "| bicubic | trilinear"
        )
    sizes, scales = _out_sizes(input, size, scale_factor, recompute_scale_factor)
    dims = len(sizes)
    if (linear and _DIMS.get(mode) != dims) or dims < 1:
        _refuse_mode(mode, len(input._shape))
    if mode == "area":
        from rnn.nn.functional import adaptive_pool

        if dims > 3:
            _refuse_mode(mode, len(input._shape))
        area = (
            adaptive_pool.adaptive_avg_pool1d,
            adaptive_pool.adaptive_avg_pool2d,
            adaptive_pool.adaptive_avg_pool3d,
        )
        return area[dims - 1](input, sizes)
    if not (mode in ("nearest", "nearest-exact") and input.dtype is rnn.uint8):
        letters = "bicubic" if mode == "bicubic" else "linear" if linear else "nearest"
        _core.floats_only(f"compute_indices_weights_{letters}", input)
    if mode in ("nearest", "nearest-exact"):
        made = _take_nearest(input, sizes, scales, mode == "nearest-exact")
        kind = "Nearest" if mode == "nearest" else "NearestExact"
        return show_as(made, f"Upsample{kind}{dims}DBackward0")
    for out in sizes:
        check_room("interpolate", (out, 12), 8)
    made = input
    for d, (n, out, scale) in enumerate(zip(input._shape[2:], sizes, scales), 2):
        made = _resized(made, d, _taps(n, out, scale, bool(align_corners), mode == "bicubic"))
    return show_as(made, f"Upsample{mode.capitalize()}{dims}DBackward0")


def _refuse_mode(mode: str, rank: int) -> NoReturn:
    needed = _DIMS[mode] + 2 if mode in _DIMS and mode != "bicubic" else None
    if needed and rank in (3, 4, 5) and rank != needed:
        raise NotImplementedError(f"Got {rank}D input, but {mode} mode needs {needed}D input")
    raise NotImplementedError(
        f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {rank}D) for the modes: "
        "nearest | linear | bilinear | bicubic | trilinear | lanczos | area | nearest-exact "
        f"(got {mode})"
    )


def _take_nearest(input: Tensor, sizes: list[int], scales: list[Any], exact: bool) -> Tensor:
    old = input._shape[2:]
    check_room("interpolate", sizes, 8)
    places = np.zeros((), np.int64)
    for n, out, scale in zip(old, sizes, scales):
        places = places[..., None] * n + _nearest(n, out, scale, exact)
    planes, shape = input._shape[0] * input._shape[1], (*input._shape[:2], *places.shape)
    if not input._h:
        flat = check_copy_room("interpolate", input._array).reshape(planes, math.prod(old))
        return _core.wrap(flat[:, places.ravel()].reshape(shape))
    return gather_flat(input, in_planes(places, planes, math.prod(old)), shape)


def upsample(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: Any = None,
) -> Tensor:
    """interpolate by its old name (torch.nn.functional.upsample).

    Example:
        >>> F.upsample(rnn.tensor([[[1.0, 3.0]]]), scale_factor=2)
        tensor([[[1., 1., 3., 3.]]])
    """
    warn_user(
        "`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.",
    )
    return interpolate(input, size, scale_factor, mode, align_corners)


# ---- pixels and channels ------------------------------------------------------------------------


@shown_as("PixelShuffleBackward0")
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(*, C r^2, H, W) -> (*, C, H r, W r) (Shi et al. 2016; torch.nn.functional.pixel_shuffle).

    Raises:
        RuntimeError: the channels are not divisible by r^2.

    Example:
        >>> F.pixel_shuffle(rnn.ones(1, 8, 2, 2), 2).shape
        rnn.Size([1, 2, 4, 4])
    """
    *outer, c, h, w = _image(input, "pixel_shuffle")
    r = upscale_factor
    if r <= 0 or c % (r * r):
        raise RuntimeError(
            f"pixel_shuffle expects a positive upscale_factor, but got {r}"
            if r <= 0
            else "pixel_shuffle expects its input's 'channel' dimension to be divisible by the "
            f"square of upscale_factor, but input.size(-3)={c} is not divisible by {r * r}"
        )
    n = len(outer)
    x = input.reshape(*outer, c // (r * r), r, r, h, w)
    x = x.permute(*range(n), n, n + 3, n + 1, n + 4, n + 2)
    made = x.reshape(*outer, c // (r * r), h * r, w * r)
    return made if r > 1 else made.clone()


@shown_as("PixelUnshuffleBackward0")
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(*, C, H r, W r) -> (*, C r^2, H, W): pixel_shuffle undone
    (torch.nn.functional.pixel_unshuffle).

    Raises:
        RuntimeError: height or width is not divisible by r.

    Example:
        >>> F.pixel_unshuffle(rnn.ones(1, 2, 4, 4), 2).shape
        rnn.Size([1, 8, 2, 2])
    """
    *outer, c, h, w = _image(input, "pixel_unshuffle")
    r = downscale_factor
    if r <= 0:
        raise RuntimeError(f"pixel_unshuffle expects a positive downscale_factor, but got {r}")
    for size, name, at in ((h, "height", -2), (w, "width", -1)):
        if size % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {name} to be divisible by downscale_factor, but "
                f"input.size({at})={size} is not divisible by {r}"
            )
    n = len(outer)
    x = input.reshape(*outer, c, h // r, r, w // r, r)
    x = x.permute(*range(n), n, n + 2, n + 4, n + 1, n + 3)
    made = x.reshape(*outer, c * r * r, h // r, w // r)
    return made if r > 1 else made.clone()


def _image(input: Tensor, name: str) -> tuple[int, ...]:
    if len(input._shape) < 3:
        raise RuntimeError(
            f"{name} expects input to have at least 3 dimensions, but got input with "
            f"{len(input._shape)} dimension(s)"
        )
    return input._shape


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Channels dealt out over groups (Zhang et al. 2018; torch.nn.functional.channel_shuffle).

    Raises:
        RuntimeError: the channels are not divisible by groups.

    Example:
        >>> F.channel_shuffle(rnn.arange(4.0).reshape(1, 4, 1, 1), 2).flatten()
        tensor([0., 2., 1., 3.])
    """
    if len(input._shape) < 3:
        raise RuntimeError(
            "channel_shuffle expects input with > 2 dims, but got input with sizes "
            f"{list(input._shape)}"
        )
    if groups <= 0:
        raise RuntimeError(
            f"Number of groups to divide channels in must be positive. Value of groups:{groups}"
        )
    n, c, *rest = input._shape
    if c % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {c} channels and {groups} groups."
        )
    return input.reshape(n, groups, c // groups, *rest).transpose(1, 2).reshape(input._shape)

"""Images and volumes sampled at places that a grid names, and grids of affine maps (spatial
transformers).

Both are compositions: their scalar resolution is their tensor resolution, opened.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn._shown import show_as
from rnn._warn import warn_user
from rnn.nn.functional.pad import cubic_weights
from rnn.ops import _core
from rnn.ops._core import Array, dtype_of, wrap
from rnn.ops.axes import transpose
from rnn.ops.create import ones, zeros
from rnn.ops.elementwise import mul, sub
from rnn.ops.gather import gather
from rnn.ops.join import stack
from rnn.ops.linalg import matmul
from rnn.ops.ranges import linspace
from rnn.ops.selection import where
from rnn.ops.shape import expand, reshape, unsqueeze

if TYPE_CHECKING:
    from rnn.tensor import Tensor

_MODES = ("bilinear", "nearest", "bicubic")
_PADDING = ("zeros", "border", "reflection")


def _default_corners() -> bool:
    """align_corners where it is not given, with PyTorch's warning."""
    warn_user(
        "Default grid_sample and affine_grid behavior has changed to align_corners=False since "
        "1.3.0. Please specify align_corners=True if the old behavior is desired. See the "
        "documentation of grid_sample for details.",
    )
    return False


# ---- affine maps ---------------------------------------------------------------------------------


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """Where each pixel of an output comes from under an affine map, for grid_sample
    (torch.nn.functional.affine_grid).

    Args:
        theta: (N, 2, 3), or (N, 3, 4) for volumes.
        size: of the output: (N, C, H, W), or (N, C, D, H, W).
        align_corners: whether -1 and 1 are the middles of the corner pixels, or their outer edges.

    Returns:
        (N, H, W, 2), or (N, D, H, W, 3): x first.

    Raises:
        ValueError: theta is of integers or of another shape; a size is not positive.
        NotImplementedError: size has another length.

    Example:
        >>> theta = rnn.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
        >>> F.affine_grid(theta, (1, 1, 1, 2), align_corners=False)
        tensor([[[[-0.5000,  0.0000],
                  [ 0.5000,  0.0000]]]])
    """
    if align_corners is None:
        align_corners = _default_corners()
    if not dtype_of(theta).is_floating_point:
        raise ValueError(f"Expected theta to have floating point type, but got {dtype_of(theta)}")
    if len(size) not in (4, 5):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, "
            f"respectively. Got size {size}."
        )
    d = len(size) - 2
    if len(theta._shape) != 3 or theta._shape[1:] != (d, d + 1):
        raise ValueError(
            f"Expected a batch of {d}D affine matrices of shape Nx{d}x{d + 1} for size {size}. "
            f"Got {theta.shape}."
        )
    if align_corners and min(size[-d:]) == 1:
        warn_user(
            "Since version 1.3.0, affine_grid behavior has changed for unit-size grids when "
            "align_corners=True. This is not an intended use case of affine_grid. See the "
            "documentation of affine_grid for details.",
        )
    elif min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    places = [_places(n, align_corners, dtype_of(theta)) for n in reversed(size[2:])]
    wide = [
        expand(reshape(p, [-1 if k == d - 1 - at else 1 for k in range(d)]), size[2:])
        for at, p in enumerate(places)
    ]
    base = stack([*wide, ones(tuple(size[2:]), dtype=dtype_of(theta))], -1)
    rows = matmul(reshape(base, (-1, d + 1)), transpose(theta, 1, 2))
    return show_as(reshape(rows, (size[0], *size[2:], d)), "AffineGridGeneratorBackward0")


def _places(count: int, align_corners: bool, dtype: Any) -> Tensor:
    """The middles of `count` pixels between -1 and 1."""
    if count <= 1:
        return zeros(count, dtype=dtype)
    line = linspace(-1, 1, count, dtype=dtype)
    return line if align_corners else mul(line, (count - 1) / count)


# ---- sampling ------------------------------------------------------------------------------------


def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """Images, or volumes, read at the places of a grid (torch.nn.functional.grid_sample).
    Differentiable in both; the gradient of the grid is 0 in mode "nearest".

    Args:
        input: (N, C, H, W), or (N, C, D, H, W).
        grid: (N, H_out, W_out, 2): x and y, of which -1 and 1 are the borders of the image; or (N,
            D_out, H_out, W_out, 3): x, y and z.
        mode: "bilinear", of volumes too; "nearest"; or "bicubic", of images.
        padding_mode: what is beyond the borders: "zeros", "border" (the pixel there) or
            "reflection".
        align_corners: whether -1 and 1 are the middles of the corner pixels, or their outer edges.

    Returns:
        (N, C, H_out, W_out), or (N, C, D_out, H_out, W_out)

    Raises:
        ValueError: another mode.
        RuntimeError: the shapes or dtypes do not fit, or the mode is "bicubic" of volumes.

    Example:
        >>> image = rnn.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
        >>> F.grid_sample(image, rnn.zeros(1, 1, 1, 2), align_corners=False)
        tensor([[[[2.5000]]]])
    """
    if mode not in _MODES:
        raise ValueError(
            "nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', "
            f"but got: '{mode}'"
        )
    if padding_mode not in _PADDING:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or "
            f"'reflection', but got: '{padding_mode}'"
        )
    if align_corners is None:
        align_corners = _default_corners()
    _check(input, grid)
    sizes = input._shape[:1:-1]  # x first
    if mode == "bicubic":
        if len(sizes) == 3:
            raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
        return show_as(_bicubic(input, grid, padding_mode, align_corners), "GridSampler2DBackward0")
    at = [_source(grid[..., k], n, padding_mode, align_corners) for k, n in enumerate(sizes)]
    if mode == "bilinear":
        made = _linear(input, at)
    else:
        made = _picked(input, [np.rint(_core.array_of(place)) for place in at])
        if grid.requires_grad:
            made = where(wrap(np.ones((), np.bool_)), made, unsqueeze(at[0] + at[1], 1))
    return show_as(made, f"GridSampler{len(sizes)}DBackward0")


def _check(input: Tensor, grid: Tensor) -> None:
    a, b = input._shape, grid._shape
    sizes = f"but got input with sizes {list(a)} and grid with sizes {list(b)}"
    if a[0] != b[0]:
        raise RuntimeError(
            f"grid_sampler(): expected grid and input to have same batch size, {sizes}"
        )
    if b[-1] != len(a) - 2:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {len(a) - 2} in last dimension, but got "
            f"grid with sizes {list(b)}"
        )
    for d, n in enumerate(a[2:], 2):
        if n <= 0:
            raise RuntimeError(
                "grid_sampler(): expected input to have non-empty spatial dimensions, but input "
                f"has sizes {list(a)} with dimension {d} being empty"
            )
    if len(a) not in (4, 5) or len(a) != len(b):
        raise RuntimeError(
            f"grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, "
            f"{sizes}"
        )
    if dtype_of(input) is not dtype_of(grid):
        raise RuntimeError(
            f"expected scalar type {_core.type_name(dtype_of(input))} but found "
            f"{_core.type_name(dtype_of(grid))}"
        )
    if not dtype_of(input).is_floating_point:
        raise NotImplementedError(
            f"\"grid_sampler_2d_cpu\" not implemented for '{_core.type_name(dtype_of(input))}'"
        )


def _source(place: Tensor, size: int, padding: str, align_corners: bool) -> Tensor:
    """Places between -1 and 1 as places of pixels, moved into the image where padding does so."""
    at = _pixels(place, size, align_corners)
    return _moved(at, size, padding, align_corners)


def _pixels(place: Tensor, size: int, align_corners: bool) -> Tensor:
    """Places between -1 and 1 as places of pixels."""
    if align_corners:
        return mul(place + 1, (size - 1) / 2)
    return mul(mul(place + 1, size) - 1, 0.5)


def _moved(at: Tensor, size: int, padding: str, align_corners: bool) -> Tensor:
    """Moved into the image where padding does so."""
    if padding == "reflection":
        at = _reflected(at, 0 if align_corners else -1, 2 * size - (2 if align_corners else 1))
    return at if padding == "zeros" else _clipped(at, size)


def _clipped(at: Tensor, size: int) -> Tensor:
    """Into the image; no gradient flows at its borders or from beyond them."""
    values = _core.array_of(at)
    inside = wrap((values > 0) & (values < size - 1))
    limits = _core.nodes(np.minimum(np.fmax(values, 0), size - 1))
    return where(inside, at, limits)


def _reflected(at: Tensor, twice_low: int, twice_high: int) -> Tensor:
    """Reflected between two lines, as often as it takes."""
    if twice_low == twice_high:
        return mul(at, 0)
    low, span = twice_low / 2, (twice_high - twice_low) / 2
    away = at - low
    values = _core.array_of(away)
    sign = np.where(values < 0, -1, 1).astype(values.dtype)
    times = np.floor(np.abs(values) / values.dtype.type(span))
    with np.errstate(invalid="ignore"):  # infinite ones
        back = times % 2 == 1
    # |away| less whole spans, and from the other end after an odd number of them
    whole = _core.nodes((times * span).astype(values.dtype))
    extra = sub(mul(away, _core.nodes(sign)), whole)
    return where(wrap(back), sub(span, extra) + low, extra + low)


def _picked(input: Tensor, at: Sequence[Array]) -> Tensor:
    """The pixels at whole places, x first, 0 beyond the image: (N, C, *sizes of the grid)."""
    n, c, *sizes = input._shape
    inside: Any = True
    flat: Any = 0
    for size, place in zip(sizes, reversed(at)):
        inside = inside & (place >= 0) & (place < size)
        flat = flat * size + place
    flat = np.where(inside, flat, 0).astype(np.int64)
    shape, count = (n, c, *flat.shape[1:]), math.prod(flat.shape[1:])
    index = expand(reshape(wrap(flat), (n, 1, count)), (n, c, count))
    found = reshape(gather(reshape(input, (n, c, math.prod(sizes))), 2, index), shape)
    return where(wrap(inside[:, None]), found, zeros((), dtype=dtype_of(input)))


def _linear(input: Tensor, at: Sequence[Tensor]) -> Tensor:
    """The pixels around each place, weighted by how near they are."""
    first = [np.floor(_core.array_of(place)) for place in at]
    from_first = [sub(place, _core.nodes(low)) for place, low in zip(at, first)]
    made: Any = 0
    for corner in itertools.product((0, 1), repeat=len(at)):
        steps = corner[::-1]  # x goes fastest
        near = [f if step else 1 - f for f, step in zip(from_first, steps)]
        weight: Any = functools.reduce(mul, near)
        pixels = _picked(input, [low + step for low, step in zip(first, steps)])
        made = made + mul(pixels, unsqueeze(weight, 1))
    return made


def _bicubic(input: Tensor, grid: Tensor, padding: str, align_corners: bool) -> Tensor:
    """The four times four pixels around each place, by Keys' weights."""
    taps, weights = [], []
    for k, size in enumerate(input._shape[:1:-1]):
        place = _pixels(grid[..., k], size, align_corners)
        low = np.floor(_core.array_of(place))
        weights.append(cubic_weights(sub(place, _core.nodes(low))))
        pixels = [_core.nodes(low + step) for step in (-1, 0, 1, 2)]
        taps.append([_core.array_of(_moved(p, size, padding, align_corners)) for p in pixels])
    made: Any = 0
    for y, of_y in zip(taps[1], weights[1]):
        row: Any = 0
        for x, of_x in zip(taps[0], weights[0]):
            row = row + mul(_picked(input, [x, y]), unsqueeze(of_x, 1))
        made = made + mul(row, unsqueeze(of_y, 1))
    return made

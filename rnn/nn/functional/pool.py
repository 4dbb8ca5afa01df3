"""Pooling: max, avg and lp over windows, adaptive ones, max_unpool (torch.nn.functional).

max_pool2d and avg_pool2d are fused in C (pool.c). A maximum's composition is a gather from where it
was found.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import rnn
from rnn import _c
from rnn._c import E, adopt, check, ffi, lib
from rnn._shown import show_as, shown_as
from rnn.nn.functional._common import gather_flat, in_planes, result, several
from rnn.nn.functional.conv import gather_windows
from rnn.nn.functional.pad import pad
from rnn.ops import _core

if TYPE_CHECKING:
    from rnn.tensor import Tensor


def _numbers(kernel_size: Any, stride: Any, padding: Any, dilation: Any, *flags: int) -> Any:
    """rnn_pool2d's parameters. A stride that is None or empty is the kernel's size."""
    kernel = several(kernel_size, 2, "kernel_size")
    steps = (
        kernel if stride is None or stride == () or stride == [] else several(stride, 2, "stride")
    )
    pads, dilations = several(padding, 2, "padding"), several(dilation, 2, "dilation")
    if min(steps) == 0:
        raise RuntimeError("stride should not be zero")
    flags = (*flags, 0, 0)[:3]
    return _c.dims((*kernel, *steps, *pads, *dilations, *[int(f) for f in flags]))


def _check_rank(input: Tensor, dims: int, name: str, indices: bool = False) -> None:
    """Raises:
    RuntimeError, IndexError: the input has another number of dimensions.
    """
    rank = len(input._shape)
    if rank in (dims + 1, dims + 2):
        return
    if name == "max_pool1d" and not indices:
        raise RuntimeError(
            "max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for "
            f"input, but got:{list(input._shape)}"
        )
    if name == "max_pool2d":
        raise RuntimeError("non-empty 3D or 4D (batch mode) tensor expected for input")
    if dims == 1:
        raise RuntimeError(
            f"Expected 2 to 3 dimensions, but got {rank}-dimensional tensor for argument #1 'self' "
            f"(while checking arguments for {name})"
        )
    if rank <= dims:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-rank}, {rank - 1}], but got "
            f"{-dims - 1})"
        )
    raise RuntimeError(
        "Expected 3D or 4D (batch mode) tensor with optional 0 dim batch size for input, but got:"
        f"{list(input._shape)}"
    )


def _of_integers(function: Any, input: Tensor, *args: Any) -> Any:
    """A pooling function on integers: through float64, and back."""
    made = function(input.double(), *args)
    if isinstance(made, tuple):
        return made[0].to(input.dtype), made[1]
    return made.to(input.dtype)


# ---- maxima -------------------------------------------------------------------------------------


def max_pool2d_with_indices(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:
    """max_pool2d, and where in its plane each maximum was found (torch.nn.functional's of this
    name).

    Example:
        >>> _, where = F.max_pool2d_with_indices(rnn.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), 2)
        >>> where
        tensor([[[[3]]]])
    """
    _check_rank(input, 2, "max_pool2d")
    if len(input._shape) == 3:
        out, at = max_pool2d_with_indices(
            input.unsqueeze(0), kernel_size, stride, padding, dilation, ceil_mode
        )
        return out.squeeze(0), at.squeeze(0)
    numbers = _numbers(kernel_size, stride, padding, dilation, ceil_mode)
    return _max_pool(input, numbers, True)


def _max_pool(x: Tensor, numbers: Any, indices: bool) -> Any:
    """rnn_pool2d, with the places of the maxima where they are asked for or needed to compose."""
    if not x._h:
        return _of_integers(_max_pool, x, numbers, indices)
    compose = bool(lib.rnn_resolution())
    if not indices and not compose:
        return adopt(check(lib.rnn_pool2d(E, x._h, numbers, 1, ffi.NULL)))
    # the places take no more room than one for each element and its padding
    kernel, stride, pads, ceil = numbers[0:2], numbers[2:4], numbers[4:6], numbers[8]
    size = [
        (n + 2 * p - (k - 1) + (s if ceil else 0)) // s + 2
        for n, k, s, p in zip(x._shape[2:], kernel, stride, pads)
    ]
    taken = np.empty(x._shape[0] * x._shape[1] * max(size[0], 1) * max(size[1], 1), np.int64)
    pointer = ffi.cast("int64_t *", taken.ctypes.data)
    if not compose:
        out = adopt(check(lib.rnn_pool2d(E, x._h, numbers, 1, pointer)))
    else:
        with rnn.no_grad():
            out = adopt(check(lib.rnn_pool2d(E, x._h, numbers, 1, pointer)))
    shape = out._shape
    places = taken[: out.numel()].reshape(shape).copy()
    if compose:
        n, c, h, w = x._shape
        index = places.reshape(n * c, -1) + (np.arange(n * c) * h * w)[:, None]
        out = gather_flat(x, index, shape)
    return (out, _core.wrap(places)) if indices else out


def max_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window (torch.nn.functional.max_pool2d).

    Args:
        input: (N, C, H, W) or (C, H, W).
        stride: default: the kernel's size.
        ceil_mode: windows may hang over the end.
        return_indices: give the place of each maximum in its plane too.

    Raises:
        RuntimeError: the sizes do not fit.

    Example:
        >>> F.max_pool2d(rnn.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), 2)
        tensor([[[[4.]]]])
    """
    _check_rank(input, 2, "max_pool2d")
    if len(input._shape) == 3:
        made = max_pool2d(
            input.unsqueeze(0), kernel_size, stride, padding, dilation, ceil_mode, return_indices
        )
        return tuple([t.squeeze(0) for t in made]) if return_indices else made.squeeze(0)
    return _max_pool(
        input, _numbers(kernel_size, stride, padding, dilation, ceil_mode), return_indices
    )


def _one_row(x: Any, name: str) -> tuple[int, int]:
    return (1 if name != "padding" else 0, several(x, 1, name)[0])


def _check_window(
    input: Tensor, kernel: int, step: int, pad: int, dilation: int, ceil: bool
) -> None:
    """max_pool1d's own words for what does not fit.

    Raises:
        RuntimeError: the padding is more than half of the kernel, or no window fits.
    """
    if pad > kernel // 2:
        raise RuntimeError(
            "max_pool1d() padding should be at most half of kernel size, but got "
            f"padding={pad} and kernel_size={kernel}"
        )
    room = input._shape[-1] + 2 * pad - dilation * (kernel - 1) - 1 + (step - 1 if ceil else 0)
    if step > 0 and room < 0:
        raise RuntimeError(f"max_pool1d() Invalid computed output size: {room // step + 1}")


def max_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """max_pool2d of (N, C, L) or (C, L), over one row (torch.nn.functional.max_pool1d).

    Example:
        >>> F.max_pool1d(rnn.tensor([[[1.0, 2.0, 3.0, 4.0]]]), 2)
        tensor([[[2., 4.]]])
    """
    _check_rank(input, 1, "max_pool1d", return_indices)
    steps = None if stride is None or stride == () else _one_row(stride, "stride")
    kernel, rows, pads = (several(t, 1)[0] for t in (kernel_size, dilation, padding))
    if not return_indices:
        _check_window(input, kernel, kernel if steps is None else steps[1], pads, rows, ceil_mode)
        _core.floats_only("max_pool1d_impl", input)
    made = max_pool2d(
        input.unsqueeze(-2),
        _one_row(kernel_size, "kernel_size"),
        steps,
        _one_row(padding, "padding"),
        _one_row(dilation, "dilation"),
        ceil_mode,
        return_indices,
    )
    return tuple([t.squeeze(-2) for t in made]) if return_indices else made.squeeze(-2)


def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Tensor:
    """Maxima put back where they were found, zeros elsewhere (torch.nn.functional.max_unpool2d).

    Example:
        >>> x, where = F.max_pool2d(rnn.rand(1, 1, 4, 4), 2, return_indices=True)
        >>> F.max_unpool2d(x, where, 2).shape
        rnn.Size([1, 1, 4, 4])
    """
    kernel, pads = several(kernel_size, 2), several(padding, 2)
    steps = kernel if stride is None else several(stride, 2)
    default = [
        (n - 1) * s - 2 * p + k for n, s, p, k in zip(input._shape[-2:], steps, pads, kernel)
    ]
    size = default if output_size is None else list(output_size)[-2:]
    return _unpool(input, indices, 2, size)


def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Tensor:
    """Maxima put back where they were found, zeros elsewhere (torch.nn.functional.max_unpool1d).

    Example:
        >>> x, where = F.max_pool1d(rnn.tensor([[[1.0, 5.0, 3.0, 4.0]]]), 2, return_indices=True)
        >>> F.max_unpool1d(x, where, 2)
        tensor([[[0., 5., 0., 4.]]])
    """
    kernel, pad = several(kernel_size, 1)[0], several(padding, 1)[0]
    step = kernel if stride is None else several(stride, 1)[0]
    default = (input._shape[-1] - 1) * step - 2 * pad + kernel
    return _unpool(input, indices, 1, [default] if output_size is None else list(output_size)[-1:])


def _unpool(input: Tensor, indices: Tensor, dims: int, size: Sequence[int]) -> Tensor:
    shape = list(input._shape) if dims == 2 else [*input._shape, 1]  # PyTorch's is the 2-d one
    if len(shape) not in (3, 4):
        raise RuntimeError(
            "Input to max_unpooling2d should be a 3d or 4d Tensor, but got a tensor with "
            f"{len(shape)} dimensions."
        )
    if indices._shape != input._shape:
        raise RuntimeError(
            "Expected shape of indices to be same as that of the input tensor "
            f"({shape}) but got indices tensor with shape: "
            f"{list(indices._shape) if dims == 2 else [*indices._shape, 1]}"
        )
    _core.floats_only("max_unpool2d", input)
    outer = input._shape[:-dims]
    room = int(np.prod(size))
    zeros = rnn.zeros(*outer, room, dtype=input.dtype)
    flat = zeros.scatter(-1, indices.reshape(*outer, -1), input.reshape(*outer, -1))
    return flat.reshape(*outer, *size)


# ---- averages -----------------------------------------------------------------------------------


def avg_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window (torch.nn.functional.avg_pool2d).

    Args:
        input: (N, C, H, W) or (C, H, W).
        count_include_pad: padding counts as zeros.
        divisor_override: divide by this instead of by the number of elements.

    Raises:
        RuntimeError: the sizes do not fit.

    Example:
        >>> F.avg_pool2d(rnn.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), 2)
        tensor([[[[2.5000]]]])
    """
    _check_rank(input, 2, "avg_pool2d")
    if len(input._shape) == 3:
        made = avg_pool2d(
            input.unsqueeze(0),
            kernel_size,
            stride,
            padding,
            ceil_mode,
            count_include_pad,
            divisor_override,
        )
        return made.squeeze(0)
    if not input._h:
        args = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
        return _of_integers(avg_pool2d, input, *args)
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    divisor = divisor_override or 0
    numbers = _numbers(kernel_size, stride, padding, 1, ceil_mode, count_include_pad, divisor)
    out = result(lib.rnn_pool2d(E, input._h, numbers, 0, ffi.NULL))
    return _compose_avg_pool2d(input, numbers) if out is None else out


def _compose_avg_pool2d(x: Tensor, numbers: Any) -> Tensor:
    """Windows gathered from the padded planes, summed, and divided each by its own number of
    elements.
    """
    kernel, stride, pads = tuple(numbers[0:2]), tuple(numbers[2:4]), tuple(numbers[4:6])
    ceil, count_pad, divisor = numbers[8:11]
    counts, ends = [], []
    for n, k, s, p in zip(x._shape[2:], kernel, stride, pads):
        room = n + 2 * p - k
        out = -(-room // s) + 1 if ceil else room // s + 1
        if ceil and (out - 1) * s >= n + p:
            out -= 1
        first = np.arange(out) * s - p
        inside = (first + k).clip(max=n) - first.clip(0)
        counts.append((first + k).clip(max=n + p) - first if count_pad else inside)
        ends.append((out - 1) * s + k - (n + p))
    areas = np.full((len(counts[0]), len(counts[1])), divisor) if divisor else np.outer(*counts)
    padded = pad(x, (pads[1], ends[1], pads[0], ends[0]))
    sums = (
        gather_windows(padded, kernel, stride, (1, 1)).sum(2).reshape(*x._shape[:2], *areas.shape)
    )
    return sums * _core.nodes((1 / areas).astype(_core.array_of(x).dtype))


def avg_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of (N, C, L) or (C, L) (torch.nn.functional.avg_pool1d).

    Example:
        >>> F.avg_pool1d(rnn.tensor([[[1.0, 2.0, 3.0, 4.0]]]), 2)
        tensor([[[1.5000, 3.5000]]])
    """
    _check_rank(input, 1, "avg_pool1d")
    steps = None if stride is None or stride == () else _one_row(stride, "stride")
    made = avg_pool2d(
        input.unsqueeze(-2),
        _one_row(kernel_size, "kernel_size"),
        steps,
        _one_row(padding, "padding"),
        ceil_mode,
        count_include_pad,
    )
    return made.squeeze(-2)


def lp_pool2d(
    input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """The norm_type-norm of each window (torch.nn.functional.lp_pool2d).

    Example:
        >>> F.lp_pool2d(rnn.ones(1, 1, 2, 2), 2.0, 2)
        tensor([[[[2.]]]])
    """
    kernel = several(kernel_size, 2)
    means = avg_pool2d(input.pow(norm_type), kernel, stride, 0, ceil_mode)
    sums = means.sign() * means.abs().relu() * (kernel[0] * kernel[1])
    return sums.pow(1.0 / norm_type)


def lp_pool1d(
    input: Tensor, norm_type: float, kernel_size: int, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """The norm_type-norm of each window of (N, C, L) (torch.nn.functional.lp_pool1d).

    Example:
        >>> F.lp_pool1d(rnn.tensor([[[3.0, 4.0]]]), 2.0, 2)
        tensor([[[5.]]])
    """
    means = avg_pool1d(input.pow(norm_type), kernel_size, stride, 0, ceil_mode)
    sums = means.sign() * means.abs().relu() * several(kernel_size, 1)[0]
    return sums.pow(1.0 / norm_type)


# ---- adaptive: the size of the result is given --------------------------------------------------


def _adaptive_sizes(
    input: Tensor, output_size: Any, dims: int, kind: str = "avg"
) -> tuple[int, ...]:
    """The size of each dimension; None keeps it.

    Raises:
        RuntimeError, NotImplementedError: the input's shape or dtype does not fit.
    """
    rank, name = len(input._shape), f"adaptive_{kind}_pool{dims}d"
    if dims == 2 and output_size is None:
        raise TypeError("object of type 'NoneType' has no len()")
    if isinstance(output_size, (tuple, list)) and rank <= len(output_size) > 1:
        raise ValueError(f"Input dimension should be at least {len(output_size) + 1}")
    if dims == 2 and kind == "avg" and output_size in (1, (1, 1), [1, 1]) and rank > 4:
        return 1, 1  # PyTorch's is a mean then, of whatever stands in front
    if rank not in (dims + 1, dims + 2):
        raise RuntimeError(
            f"{name}(): Expected 3D or 4D tensor, but got"
            f"{':' if kind == 'max' else ''} {list(input._shape)}"
            if dims == 2
            else f"Expected 2 to 3 dimensions, but got {rank}-dimensional tensor for argument #1 "
            f"'self' (while checking arguments for {name})"
        )
    given = several(output_size, dims, "output_size")
    sizes = tuple([n if o is None else int(o) for o, n in zip(given, input._shape[-dims:])])
    if dims == 1:  # PyTorch's is the 2-d one of a single row
        shape, name = [*input._shape[:-1], 1, input._shape[-1]], f"adaptive_{kind}_pool2d"
    else:
        shape = list(input._shape)
    if min(sizes) < 0:
        wide = (1, *sizes) if dims == 1 else sizes
        if kind == "max":
            raise RuntimeError(
                f"Trying to create tensor with negative dimension {min(sizes)}: "
                f"{[*shape[:-2], *wide]}"
            )
        raise RuntimeError(
            f"{name}: elements of output_size must be greater than or equal to 0 but received "
            f"{{{wide[0]}, {wide[1]}}}"
        )
    if kind == "avg" and sizes == (1,) * dims:
        return sizes
    if 0 in shape[1 if rank == dims + 2 else 0 :]:
        raise RuntimeError(
            f"{name}(): Expected input to have non-zero size for non-batch dimensions, but input "
            f"has sizes {shape} with dimension {shape.index(0, rank - dims - 1)} being empty"
        )
    _core.floats_only(name, input)
    return sizes


def _apply_matrices(x: Tensor, matrices: Sequence[Any]) -> Tensor:
    """Each of the last dimensions multiplied by a constant (out, size) matrix."""
    dims = len(matrices)
    for i, matrix in enumerate(matrices):
        constant = _core.nodes(matrix.astype(_core.array_of(x).dtype))
        d = len(x._shape) - dims + i
        x = (x.transpose(d, -1) @ constant.t()).transpose(d, -1)
    return x


@functools.lru_cache(maxsize=64)
def _parts(size: int, out: int) -> tuple[Any, Any]:
    """Where each of `out` parts of a dimension begins and ends; they may overlap."""
    _c.check_room("adaptive_pool", (out,), 24)
    at = np.arange(out)
    return at * size // out, -(-(at + 1) * size // out)


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """Means over as many parts as are asked for (torch.nn.functional.adaptive_avg_pool2d).

    Args:
        input: (N, C, H, W) or (C, H, W); output_size: (OH, OW), or one number for both; None keeps
            a size.

    Example:
        >>> F.adaptive_avg_pool2d(rnn.ones(1, 3, 8, 6), (2, 2)).shape
        rnn.Size([1, 3, 2, 2])
    """
    sizes = _adaptive_sizes(input, output_size, 2)
    made = _adaptive_avg(input, sizes)
    return made if sizes == (1, 1) else show_as(made, "AdaptiveAvgPool2DBackward0")


def _adaptive_avg(input: Tensor, sizes: tuple[int, ...]) -> Tensor:
    dims = len(sizes)
    old = input._shape[-dims:]
    if all(o == 1 for o in sizes):
        return input.mean(tuple(range(-dims, 0)), keepdim=True)
    if dims == 2 and all(o and n % o == 0 for n, o in zip(old, sizes)):
        return avg_pool2d(input, tuple([n // o for n, o in zip(old, sizes)]))
    matrices = []
    for n, o in zip(old, sizes):
        low, high = _parts(n, o)
        _c.check_room("adaptive_avg_pool", (o, n), 10)
        at = np.arange(n)
        inside = (at >= low[:, None]) & (at < high[:, None])
        matrices.append(inside / (high - low)[:, None])
    return _apply_matrices(input, matrices)


@shown_as("SqueezeBackward1")
def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """Means over as many parts as are asked for of (N, C, L) or (C, L) (torch.nn.functional's of
    this name).

    Example:
        >>> F.adaptive_avg_pool1d(rnn.tensor([[[1.0, 2.0, 3.0, 4.0]]]), 2)
        tensor([[[1.5000, 3.5000]]])
    """
    return _adaptive_avg(input, _adaptive_sizes(input, output_size, 1))


def _adaptive_max(input: Tensor, sizes: tuple[int, ...], indices: bool) -> Any:
    """Maxima of parts, gathered from where NumPy finds them."""
    dims = len(sizes)
    outer, old = input._shape[:-dims], input._shape[-dims:]
    grid = (1, *old) if dims == 1 else old
    planes = _core.array_of(input).reshape(-1, *grid)
    _c.check_room("adaptive_max_pool", (len(planes), *sizes), 24)
    parts = [_parts(n, o) for n, o in zip(grid, (1, *sizes)[-2:] if dims == 1 else sizes)]
    at = np.empty((len(planes), len(parts[0][0]), len(parts[1][0])), np.int64)
    for i, (top, bottom) in enumerate(zip(*parts[0])):
        for j, (left, right) in enumerate(zip(*parts[1])):
            best = planes[:, top:bottom, left:right].reshape(len(planes), -1).argmax(1)
            at[:, i, j] = (best // (right - left) + top) * grid[1] + best % (right - left) + left
    flat = at.reshape(len(planes), -1)
    size = grid[0] * grid[1]
    index = flat + in_planes(np.zeros(1, np.int64), len(planes), size)
    out = gather_flat(input, index, (*outer, *sizes))
    return (out, _core.wrap(flat.reshape(*outer, *sizes))) if indices else out


@shown_as("AdaptiveMaxPool2DBackward0")
def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima over as many parts as are asked for (torch.nn.functional.adaptive_max_pool2d).

    Example:
        >>> F.adaptive_max_pool2d(rnn.ones(1, 3, 8, 6), 2).shape
        rnn.Size([1, 3, 2, 2])
    """
    return _adaptive_max(input, _adaptive_sizes(input, output_size, 2, "max"), return_indices)


@shown_as("SqueezeBackward1")
def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima over as many parts as are asked for of (N, C, L) or (C, L)
    (torch.nn.functional.adaptive_max_pool1d).

    Example:
        >>> F.adaptive_max_pool1d(rnn.tensor([[[1.0, 2.0, 3.0, 4.0]]]), 2)
        tensor([[[2., 4.]]])
    """
    return _adaptive_max(input, _adaptive_sizes(input, output_size, 1, "max"), return_indices)

"""Pooling: max, avg and lp over windows, max_unpool (torch.nn.functional). Into a given number of
parts: adaptive_pool.py.

max_pool2d and avg_pool2d are fused in C (pool.c). A maximum's composition is a gather from where it
was found.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

import rnn
from rnn import _c
from rnn._c import E, adopt, check, ffi, lib
from rnn.nn.functional._common import as_batch, gather_flat, result, several
from rnn.nn.functional.conv import gather_windows
from rnn.nn.functional.pad import pad
from rnn.ops import _core

if TYPE_CHECKING:
    from rnn.tensor import Tensor


# ---- windows ------------------------------------------------------------------------------------

Sizes = tuple[int, ...]


def window_sizes(
    kernel_size: Any, stride: Any, padding: Any, dilation: Any, dims: int
) -> tuple[Sizes, Sizes, Sizes, Sizes]:
    """Kernel, stride, padding and dilation, `dims` numbers each. A stride that is None or empty is
    the kernel's size.

    Raises:
        RuntimeError: one of them is of another length, or a stride is 0.
    """
    kernel = several(kernel_size, dims, "kernel_size")
    steps = kernel if _is_default(stride) else several(stride, dims, "stride")
    pads, dilations = several(padding, dims, "padding"), several(dilation, dims, "dilation")
    if min(steps) == 0:
        raise RuntimeError("stride should not be zero")
    return kernel, steps, pads, dilations


def _is_default(stride: Any) -> bool:
    return stride is None or stride == () or stride == []


def _numbers(
    kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil: Any, *more: int
) -> Any:
    """rnn_pool2d's parameters."""
    kernel, steps, pads, dilations = window_sizes(kernel_size, stride, padding, dilation, 2)
    count_pad, divisor = more or (0, 0)
    return _c.dims((*kernel, *steps, *pads, *dilations, int(ceil), int(count_pad), int(divisor)))


class Windows:
    """The windows of a pooling, along each dimension that it pools.

    Args:
        size: of the input; the others as window_sizes gives them.
        ceil: windows may hang over the end.
    """

    def __init__(
        self,
        size: Sizes,
        kernel: Sizes,
        stride: Sizes,
        pads: Sizes,
        dilation: Sizes,
        ceil: Any,
    ) -> None:
        self.size, self.kernel, self.stride = size, kernel, stride
        self.pads, self.dilation = pads, dilation
        self.out = tuple([self._count(d, ceil) for d in range(len(size))])

    def _count(self, d: int, ceil: Any) -> int:
        n, step, p = self.size[d], self.stride[d], self.pads[d]
        room = n + 2 * p - self.dilation[d] * (self.kernel[d] - 1) - 1
        out = (-(-room // step) if ceil else room // step) + 1
        return out - 1 if ceil and (out - 1) * step >= n + p else out  # it begins in the input

    def ends(self, d: int) -> int:
        """How many places behind the input the last window reaches."""
        reach = (self.out[d] - 1) * self.stride[d] + self.dilation[d] * (self.kernel[d] - 1) + 1
        return reach - self.size[d] - self.pads[d]

    def padded(self, x: Tensor) -> Tensor:
        """x from where the first window begins to where the last one ends."""
        dims = reversed(range(len(self.size)))
        return pad(x, [n for d in dims for n in (self.pads[d], self.ends(d))])

    def slice(self, d: int, k: int) -> slice:
        """The k-th place of every window, in what is padded."""
        first = k * self.dilation[d]
        return slice(first, first + (self.out[d] - 1) * self.stride[d] + 1, self.stride[d])

    def areas(self, count_pad: Any, divisor: int | None) -> Any:
        """What the sum of each window is divided by, (*out,): the number of its elements, or the
        divisor.
        """
        if divisor:
            return np.full(self.out, divisor)
        counts = []
        for n, k, s, p, out in zip(self.size, self.kernel, self.stride, self.pads, self.out):
            first = np.arange(out) * s - p
            last = first + k
            inside = last.clip(max=n) - first.clip(0)
            counts.append(last.clip(max=n + p) - first if count_pad else inside)
        return functools.reduce(np.multiply.outer, counts)


def check_rank(input: Tensor, dims: int, name: str, indices: bool = False) -> None:
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
    if name == "max_pool2d" or dims == 3:
        raise RuntimeError(
            f"non-empty {dims + 1}D or {dims + 2}D (batch mode) tensor expected for input"
        )
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


def of_integers(function: Any, input: Tensor, *args: Any) -> Any:
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

    Args:
        input: (N, C, H, W) or (C, H, W).

    Returns:
        (N, C, OH, OW), and int64 places of the same shape in the flat plane.

    Raises:
        RuntimeError: the sizes do not fit.

    Example:
        >>> _, where = F.max_pool2d_with_indices(rnn.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), 2)
        >>> where
        tensor([[[[3]]]])
    """
    check_rank(input, 2, "max_pool2d")
    if len(input._shape) == 3:
        args = kernel_size, stride, padding, dilation, ceil_mode
        pair: tuple[Tensor, Tensor] = as_batch(max_pool2d_with_indices, input, *args)
        return pair
    numbers = _numbers(kernel_size, stride, padding, dilation, ceil_mode)
    return _max_pool(input, numbers, True)


def _max_pool(x: Tensor, numbers: Any, indices: bool) -> Any:
    """rnn_pool2d, with the places of the maxima where they are asked for or needed to compose."""
    if not x._h:
        return of_integers(_max_pool, x, numbers, indices)
    compose = bool(lib.rnn_resolution())
    if not indices and not compose:
        return adopt(check(lib.rnn_pool2d(E, x._h, numbers, 1, ffi.NULL)))
    # the places take no more room than one for each element and its padding
    kernel, stride, pads, ceil = numbers[0:2], numbers[2:4], numbers[4:6], numbers[8]
    size = [
        (n + 2 * p - (k - 1) + (s if ceil else 0)) // s + 2
        for n, k, s, p in zip(x._shape[2:], kernel, stride, pads)
    ]
    found = np.empty(x._shape[0] * x._shape[1] * max(size[0], 1) * max(size[1], 1), np.int64)
    pointer = ffi.cast("int64_t *", found.ctypes.data)
    if not compose:
        out = adopt(check(lib.rnn_pool2d(E, x._h, numbers, 1, pointer)))
    else:
        with rnn.no_grad():
            out = adopt(check(lib.rnn_pool2d(E, x._h, numbers, 1, pointer)))
    places = found[: out.numel()].reshape(out._shape).copy()
    if compose:
        out = taken(x, places, 2)
    return (out, _core.wrap(places)) if indices else out


def taken(input: Tensor, places: Any, dims: int) -> Tensor:
    """The elements at places (..., *out) of each plane, the last `dims` dimensions: one gather."""
    planes, size = math.prod(input._shape[:-dims]), math.prod(input._shape[-dims:])
    flat = places.reshape(planes, math.prod(places.shape[-dims:]))
    return gather_flat(input, flat + np.arange(planes)[:, None] * size, places.shape)


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
    check_rank(input, 2, "max_pool2d")
    if len(input._shape) == 3:
        args = kernel_size, stride, padding, dilation, ceil_mode, return_indices
        return as_batch(max_pool2d, input, *args)
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

    Raises:
        RuntimeError: the sizes do not fit.
        NotImplementedError: the input holds integers.

    Example:
        >>> F.max_pool1d(rnn.tensor([[[1.0, 2.0, 3.0, 4.0]]]), 2)
        tensor([[[2., 4.]]])
    """
    check_rank(input, 1, "max_pool1d", return_indices)
    steps = None if _is_default(stride) else _one_row(stride, "stride")
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

    Args:
        input, indices: (N, C, H, W) or (C, H, W), of one shape.
        output_size: (OH, OW), or the whole shape; default: what the windows reach over.

    Raises:
        RuntimeError: the shapes differ.

    Example:
        >>> x, where = F.max_pool2d(rnn.rand(1, 1, 4, 4), 2, return_indices=True)
        >>> F.max_unpool2d(x, where, 2).shape
        rnn.Size([1, 1, 4, 4])
    """
    return _unpool(input, indices, 2, kernel_size, stride, padding, output_size)


def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Tensor:
    """Maxima put back where they were found, zeros elsewhere (torch.nn.functional.max_unpool1d).

    Args:
        input, indices: (N, C, L) or (C, L), of one shape.
        output_size: (OL,), or the whole shape; default: what the windows reach over.

    Raises:
        RuntimeError: the shapes differ.

    Example:
        >>> x, where = F.max_pool1d(rnn.tensor([[[1.0, 5.0, 3.0, 4.0]]]), 2, return_indices=True)
        >>> F.max_unpool1d(x, where, 2)
        tensor([[[0., 5., 0., 4.]]])
    """
    return _unpool(input, indices, 1, kernel_size, stride, padding, output_size)


def _unpool(
    input: Tensor,
    indices: Tensor,
    dims: int,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    output_size: Any,
) -> Tensor:
    kernel, pads = several(kernel_size, dims), several(padding, dims)
    steps = kernel if stride is None else several(stride, dims)
    if output_size is None:
        sizes = zip(input._shape[-dims:], steps, pads, kernel)
        size = [(n - 1) * s - 2 * p + k for n, s, p, k in sizes]
    else:
        size = list(output_size)[-dims:]
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
    check_rank(input, 2, "avg_pool2d")
    args = kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    if len(input._shape) == 3:
        batched: Tensor = as_batch(avg_pool2d, input, *args)
        return batched
    if not input._h:
        return of_integers(avg_pool2d, input, *args)
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
    kernel, stride, pads, dilation = [tuple(numbers[i : i + 2]) for i in (0, 2, 4, 6)]
    windows = Windows(x._shape[2:], kernel, stride, pads, dilation, numbers[8])
    areas = windows.areas(numbers[9], numbers[10])
    parts = gather_windows(windows.padded(x), kernel, stride, dilation)
    return mean_of(parts.sum(2).reshape(*x._shape[:2], *areas.shape), areas)


def mean_of(sums: Tensor, areas: Any) -> Tensor:
    """sums (..., *out) over areas (*out,), an array: one product."""
    return sums * _core.nodes((1 / areas).astype(_core.array_of(sums).dtype))


def avg_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of (N, C, L) or (C, L) (torch.nn.functional.avg_pool1d).

    Raises:
        RuntimeError: the sizes do not fit.

    Example:
        >>> F.avg_pool1d(rnn.tensor([[[1.0, 2.0, 3.0, 4.0]]]), 2)
        tensor([[[1.5000, 3.5000]]])
    """
    check_rank(input, 1, "avg_pool1d")
    steps = None if _is_default(stride) else _one_row(stride, "stride")
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

    Args:
        input: (N, C, H, W) or (C, H, W).
        norm_type: the p of the norm; stride: default: the kernel's size.

    Raises:
        RuntimeError: the sizes do not fit.

    Example:
        >>> F.lp_pool2d(rnn.ones(1, 1, 2, 2), 2.0, 2)
        tensor([[[[2.]]]])
    """
    kernel = several(kernel_size, 2)
    means = avg_pool2d(input.pow(norm_type), kernel, stride, 0, ceil_mode)
    return _root_of_sums(means, kernel[0] * kernel[1], norm_type)


def _root_of_sums(means: Tensor, count: int, norm_type: float) -> Tensor:
    sums = means.sign() * means.abs().relu() * count
    return sums.pow(1.0 / norm_type)


def lp_pool1d(
    input: Tensor, norm_type: float, kernel_size: int, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """The norm_type-norm of each window of (N, C, L) (torch.nn.functional.lp_pool1d).

    Raises:
        RuntimeError: the sizes do not fit.

    Example:
        >>> F.lp_pool1d(rnn.tensor([[[3.0, 4.0]]]), 2.0, 2)
        tensor([[[5.]]])
    """
    means = avg_pool1d(input.pow(norm_type), kernel_size, stride, 0, ceil_mode)
    return _root_of_sums(means, several(kernel_size, 1)[0], norm_type)

"""Normalisation: by rows, channels, groups and neighbours (torch.nn.functional).

layer_norm, rms_norm and batch_norm are fused in C (norm.c, batch_norm.c); `_compose_...` is what
they mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import rnn
from rnn._c import COMPOSE, E, adopt, fail, lib
from rnn._shown import shown_as
from rnn.nn.functional._common import handle
from rnn.ops import _core

if TYPE_CHECKING:
    from rnn.tensor import Tensor


def _normalized(
    input: Tensor, normalized_shape: Sequence[int], separator: str = ", "
) -> tuple[int, ...]:
    """The shape to normalise over.

    Raises:
        RuntimeError: it is not the end of the input's shape.
    """
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one "
            "element, but got normalized_shape = []"
        )
    if tuple(input._shape[max(len(input._shape) - len(shape), 0) :]) != shape:
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [*{separator}"
            f"{', '.join(map(str, shape))}], but got input of size{list(input._shape)}"
        )
    return shape


def _result(h: int, kernel: str, input: Tensor, *parameters: Tensor | None) -> Tensor | None:
    """The tensor of a handle; None at scalar resolution.

    Raises:
        RuntimeError, NotImplementedError: the dtypes do not fit, in PyTorch's words.
    """
    if h > 0:
        return adopt(h)
    if h == COMPOSE:
        return None
    if kernel == "batch_norm":
        _core.floats_only(kernel, input)
    _check_dtypes(kernel, input, *parameters)
    fail(h)


def _check_dtypes(kernel: str, input: Tensor, *parameters: Tensor | None) -> None:
    for dtype in [t.dtype for t in parameters if t is not None]:
        if dtype != input.dtype:
            raise RuntimeError(
                "mixed dtype (CPU): all inputs must share same datatype."
                if dtype is rnn.float32
                else "mixed dtype (CPU): expect parameter to have scalar type of Float"
            )
    _core.floats_only(kernel, input)


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalises over the last dimensions to mean 0 and variance 1, then weight and bias (Ba et al.
    2016; torch.nn.functional.layer_norm).

    Raises:
        RuntimeError: normalized_shape is not the end of the input's shape.

    Example:
        >>> F.layer_norm(rnn.tensor([[1.0, 3.0], [2.0, 2.0]]), (2,))
        tensor([[-1.0000,  1.0000],
                [ 0.0000,  0.0000]])
    """
    shape = _normalized(input, normalized_shape)
    h = lib.rnn_layer_norm(E, input._h, len(shape), handle(weight), handle(bias), eps)
    if h > 0:
        return adopt(h)
    out = _result(h, "LayerNormKernelImpl", input, weight, bias)
    return _compose_layer_norm(input, len(shape), weight, bias, eps) if out is None else out


def _compose_layer_norm(x: Tensor, count: int, weight: Any, bias: Any, eps: float) -> Tensor:
    dims = tuple(range(-count, 0))
    centred = x - x.mean(dims, keepdim=True)
    out = centred * ((centred * centred).mean(dims, keepdim=True) + eps) ** -0.5
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """input / sqrt(mean(input^2) + eps) * weight over the last dimensions (Zhang and Sennrich 2019;
    torch.nn.functional.rms_norm). eps: None is the smallest of the dtype.

    Raises:
        RuntimeError: normalized_shape is not the end of the input's shape.

    Example:
        >>> F.rms_norm(rnn.tensor([3.0, 4.0]), (2,))
        tensor([0.8485, 1.1314])
    """
    shape = _normalized(input, normalized_shape, "")
    _core.floats_only("rms_norm", input)
    if eps is None:
        eps = rnn.finfo(input.dtype).eps
    if weight is not None and weight.dtype is not input.dtype:
        return (rms_norm(input, shape, None, eps) * weight).to(input.dtype)
    out = _result(lib.rnn_rms_norm(E, input._h, len(shape), handle(weight), eps), "rms_norm", input)
    if out is not None:
        return out
    return _compose_rms_norm(input, len(shape), weight, None, eps)


def _compose_rms_norm(x: Tensor, count: int, weight: Any, bias: Any, eps: float) -> Tensor:
    squares = (x * x).mean(tuple(range(-count, 0)), keepdim=True)
    out = x * (squares + eps) ** -0.5
    return out if weight is None else out * weight


def _by_channel(t: Tensor, ndim: int) -> Tensor:
    """A (C,) tensor, to be broadcast over (N, C, ...)."""
    return t.reshape(-1, *[1] * (ndim - 2))


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalises each channel over all else (Ioffe and Szegedy 2015;
    torch.nn.functional.batch_norm).

    Args:
        input: (N, C, ...).
        running_mean, running_var: (C,); in training they move towards the batch's own by
            `momentum`, in place. training: normalise by the batch's own statistics, not by the
            running ones.

    Raises:
        ValueError: training with one value a channel.
        RuntimeError: the shapes do not fit, or there is nothing to normalise by.

    Example:
        >>> F.batch_norm(rnn.tensor([[1.0], [3.0]]), None, None, training=True)
        tensor([[-1.0000],
                [ 1.0000]])
    """
    shape = input._shape
    if training and len(shape) >= 2 and input.numel() == shape[1] > 0:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {input.shape}"
        )
    if not training and (running_mean is None or running_var is None):
        raise RuntimeError(
            "Expected running_mean and running_var to be defined when training=False"
        )
    if eps < 0 or (training and not eps):
        what = "positive during training" if training else "non-negative"
        raise ValueError(f"batch_norm eps must be {what}, but got {eps}")
    h = lib.rnn_batch_norm(
        E,
        input._h,
        handle(weight),
        handle(bias),
        handle(running_mean),
        handle(running_var),
        training,
        momentum,
        eps,
    )
    out = _result(h, "batch_norm", input, running_mean, running_var, weight, bias)
    if out is None:
        return _compose_batch_norm(
            input, running_mean, running_var, weight, bias, training, momentum, eps
        )
    return out


def _compose_batch_norm(
    x: Tensor,
    mean: Any,
    variance: Any,
    weight: Any,
    bias: Any,
    training: bool,
    momentum: float,
    eps: float,
) -> Tensor:
    ndim = len(x._shape)
    centre, spread = mean, variance
    if training:
        dims = [d for d in range(ndim) if d != 1]
        centre = x.mean(dims)
        offsets = x - _by_channel(centre, ndim)
        spread = (offsets * offsets).mean(dims)
        if x.numel():
            move_statistics(mean, variance, centre, spread, x.numel() // x._shape[1], momentum)
    else:
        offsets = x - _by_channel(centre, ndim)
    out = offsets * _by_channel((spread + eps) ** -0.5, ndim)
    out = out if weight is None else out * _by_channel(weight, ndim)
    return out if bias is None else out + _by_channel(bias, ndim)


def move_statistics(
    mean: Any, variance: Any, new_mean: Tensor, new_variance: Tensor, count: int, momentum: float
) -> None:
    """Running statistics move towards those of `count` values, in place, outside of the graph."""
    unbiased = new_variance.detach() * (count / (count - 1))
    for running, new in ((mean, new_mean.detach()), (variance, unbiased)):
        if running is not None:
            running.copy_(running * (1 - momentum) + new * momentum)


@shown_as("NativeGroupNormBackward0")
def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalises each group of channels of each sample (Wu and He 2018;
    torch.nn.functional.group_norm).

    Args:
        input: (N, C, ...); weight, bias: (C,).

    Raises:
        RuntimeError: C is not divisible by num_groups, or the input has fewer than 2 dimensions.
        ValueError: there is one value a group.

    Example:
        >>> F.group_norm(rnn.tensor([[1.0, 3.0, 2.0, 6.0]]), 2)
        tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """
    shape = input._shape
    if len(shape) < 2:
        raise RuntimeError(
            f"Expected at least 2 dimensions for input tensor but received {len(shape)}"
        )
    if num_groups < 1 or shape[1] % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of "
            f"shape {list(shape)} and num_groups={num_groups}"
        )
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and t._shape != shape[1:2]:
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, "
                f"but got {name} of shape {list(t._shape)} and input of shape {list(shape)}"
            )
    _check_dtypes("GroupNormKernelImpl", input, weight, bias)
    each = input.numel() // (shape[0] * num_groups) if shape[0] else 1
    if each == 1 and shape[0] == 1:
        # PyTorch counts N * C / groups and the places
        raise ValueError(
            "Expected more than 1 value per channel when training, got input size "
            f"{[shape[0] * shape[1] // num_groups, num_groups, *shape[2:]]}"
        )
    rows = input.reshape(shape[0], num_groups, each)
    out = layer_norm(rows, (each,), None, None, eps).reshape(shape)
    if weight is not None:
        out = out * _by_channel(weight, len(shape))
    return out if bias is None else out + _by_channel(bias, len(shape))


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalises each channel of each sample over its places (Ulyanov et al. 2016;
    torch.nn.functional.instance_norm).

    Args:
        input: (N, C, ...); running_mean, running_var, weight, bias: (C,).
        use_input_stats: normalise by each sample's own statistics, towards whose means the running
            ones move.

    Raises:
        ValueError: a channel of a sample has one value.

    Example:
        >>> F.instance_norm(rnn.tensor([[[1.0, 3.0]]]))
        tensor([[[-1.0000,  1.0000]]])
    """
    shape = input._shape
    _core.floats_only("batch_norm", input)
    places = input.numel() // (shape[0] * shape[1]) if shape[0] * shape[1] else 0
    if use_input_stats and places == 1:
        raise ValueError(
            f"Expected more than 1 spatial element when training, got input size {input.shape}"
        )
    for name, t in (("running_mean", running_mean), ("running_var", running_var)):
        if t is not None and input.numel() and t.numel() != shape[1]:
            raise RuntimeError(
                f"{name} should contain {shape[0] * shape[1]} elements not {shape[0] * t.numel()}"
            )
    if not use_input_stats:
        mean, variance = (
            None if t is None else t.to(input.dtype) for t in (running_mean, running_var)
        )
        return batch_norm(input, mean, variance, weight, bias, False, momentum, eps)
    _check_dtypes("batch_norm", input, weight, bias)
    rows = input.reshape(shape[0], shape[1], places)
    out = layer_norm(rows, (places,), None, None, eps).reshape(shape)
    if places and (running_mean is not None or running_var is not None):
        values = rows.detach()
        variance = values.var(-1, correction=0).mean(0)
        move_statistics(running_mean, running_var, values.mean((0, 2)), variance, places, momentum)
    if weight is not None:
        out = out * _by_channel(weight, len(shape))
    return out if bias is None else out + _by_channel(bias, len(shape))


def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """input / (k + alpha * mean of the squares of `size` neighbouring channels)^beta (Krizhevsky et
    al. 2012; torch.nn.functional.local_response_norm).

    Raises:
        ValueError: the input has fewer than 3 dimensions.

    Example:
        >>> F.local_response_norm(rnn.ones(1, 2, 2), 2, alpha=1.0)
        tensor([[[0.7378, 0.7378],
                 [0.5946, 0.5946]]])
    """
    if len(input._shape) < 3:
        raise ValueError(
            "Expected 3D or higher dimensionality                          input (got "
            f"{len(input._shape)} dimensions)"
        )
    squares = input * input
    sums = rnn.zeros_like(squares)
    channels = input._shape[1]
    for shift in range(-(size // 2), (size - 1) // 2 + 1):
        low, high = max(0, -shift), min(channels, channels - shift)
        if low < high:
            here = squares.narrow(1, low + shift, high - low)
            shape = list(input._shape)
            parts = [here]
            for count, at in ((low, 0), (channels - high, 1)):
                if count:
                    shape[1] = count
                    parts.insert(at * len(parts), rnn.zeros(shape, dtype=input.dtype))
            sums = sums + (rnn.cat(parts, 1) if len(parts) > 1 else here)
    return input / (sums * (alpha / size) + k) ** beta


def normalize(
    input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Tensor:
    """input / max(its p-norm over dim, eps) (torch.nn.functional.normalize).

    Args:
        input: any shape; dim: one or several of its dimensions.

    Example:
        >>> F.normalize(rnn.tensor([[3.0, 4.0]]))
        tensor([[0.6000, 0.8000]])
    """
    made: Tensor = input / input.norm(p, dim, keepdim=True).clamp_min(eps)
    return _core.view_as_result(made, out)

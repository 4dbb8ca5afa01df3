"""First values of parameters (torch.nn.init): the same numbers as PyTorch's from the same seed.

Each function writes into a tensor and returns it; no graph sees it. `generator` draws from another
stream than the default one. The random stream itself is csrc/random.h.
"""

from __future__ import annotations

import contextlib
import functools
import math
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _config
from rnn._c import E, check, lib
from rnn._warn import warn_user
from rnn.ops import _core, create
from rnn.tensor import Tensor

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]


_thread = threading.local()


@contextlib.contextmanager
def skipped() -> Iterator[None]:
    """The functions of this module do nothing in it, on this thread (nn.utils.skip_init)."""
    _thread.skipping = True
    try:
        yield
    finally:
        _thread.skipping = False


def _unrecorded(fill: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Runs a function with nothing recorded, so that leaves may be written; not where `skipped`."""

    @functools.wraps(fill)
    def wrapper(*args: Any, **kwargs: Any) -> Tensor:
        if getattr(_thread, "skipping", False):
            tensor: Tensor = args[0] if args else kwargs["tensor"]
            return tensor
        was = lib.rnn_set_grad_mode(0)
        try:
            return fill(*args, **kwargs)
        finally:
            lib.rnn_set_grad_mode(was)

    return wrapper


def _write(tensor: Tensor, values: Any) -> Tensor:
    """Writes a NumPy array into a tensor of its shape."""
    _core.array_of(tensor)[...] = values
    if tensor._h:
        check(lib.rnn_touch(E, tensor._h))
    return tensor


def calculate_gain(nonlinearity: str, param: Any = None) -> float:
    """What a nonlinearity asks the spread of weights to be multiplied with.

    Args:
        nonlinearity: linear, conv1d and its kind, sigmoid, tanh, relu, leaky_relu, selu.
        param: leaky_relu's slope.

    Raises:
        ValueError: the nonlinearity is unknown, or the slope is no number.

    Example:
        >>> calculate_gain("relu")
        1.4142135623730951
    """
    gains = {"sigmoid": 1, "tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 3.0 / 4}
    if nonlinearity == "linear" or nonlinearity in _CONVOLUTIONS:
        return 1
    if nonlinearity in gains:
        return gains[nonlinearity]
    if nonlinearity != "leaky_relu":
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}")
    slope = 0.01 if param is None else param
    if isinstance(slope, bool) or not isinstance(slope, (int, float)):
        raise ValueError(f"negative_slope {param} not a valid number")
    return math.sqrt(2.0 / (1 + slope**2))


_CONVOLUTIONS = [f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3)]

# ---- plain fills ------------------------------------------------------------------------------


@_unrecorded
def uniform_(tensor: Any, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Evenly between a and b.

    Example:
        >>> uniform_(rnn.empty(2, 3), 0.0, 0.1).shape
        rnn.Size([2, 3])
    """
    tensor.uniform_(a, b, generator=generator)
    return tensor


@_unrecorded
def normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Normal around mean.

    Example:
        >>> normal_(rnn.empty(2, 3), std=0.02).shape
        rnn.Size([2, 3])
    """
    tensor.normal_(mean, std, generator=generator)
    return tensor


def constant_(tensor: Tensor, val: float) -> Tensor:
    """One value everywhere.

    Example:
        >>> constant_(rnn.empty(2), 0.5)
        tensor([0.5000, 0.5000])
    """
    return _write(tensor, val)


def ones_(tensor: Tensor) -> Tensor:
    """Ones.

    Example:
        >>> ones_(rnn.empty(2))
        tensor([1., 1.])
    """
    return _write(tensor, 1)


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros.

    Example:
        >>> zeros_(rnn.empty(2))
        tensor([0., 0.])
    """
    return _write(tensor, 0)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix.

    Raises:
        ValueError: the tensor is no matrix.

    Example:
        >>> eye_(rnn.empty(2, 3))
        tensor([[1., 0., 0.],
                [0., 1., 0.]])
    """
    if len(tensor._shape) != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    return _write(tensor, np.eye(*tensor._shape))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """For a convolution's weight: as many inputs as can be come out as they went in.

    Raises:
        ValueError: the tensor is no such weight, or its outputs cannot be divided into groups.

    Example:
        >>> dirac_(rnn.empty(1, 1, 3))
        tensor([[[0., 1., 0.]]])
    """
    shape = tensor._shape
    if len(shape) not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    if shape[0] % groups != 0:
        raise ValueError("dim 0 must be divisible by groups")
    each = shape[0] // groups
    middle = [size // 2 for size in shape[2:]]
    values = np.zeros(shape)
    for group in range(groups):
        for d in range(min(each, shape[1])):
            values[(group * each + d, d, *middle)] = 1
    return _write(tensor, values)


# ---- by the number of inputs and outputs ------------------------------------------------------


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """How many numbers go into one output, and come from one input."""
    shape = tensor._shape
    if len(shape) < 2:
        raise ValueError(
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions"
        )
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of {['fan_in', 'fan_out']}")
    return _calculate_fan_in_and_fan_out(tensor)[mode == "fan_out"]


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Glorot and Bengio's: evenly, with std = gain * sqrt(2 / (fan_in + fan_out)).

    Example:
        >>> bool((xavier_uniform_(rnn.empty(3, 3)).abs() <= 1).all())
        True
    """
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    a = math.sqrt(3.0) * (gain * math.sqrt(2.0 / float(fan_in + fan_out)))
    return uniform_(tensor, -a, a, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Glorot and Bengio's: normal, with std = gain * sqrt(2 / (fan_in + fan_out)).

    Example:
        >>> xavier_normal_(rnn.empty(3, 5)).shape
        rnn.Size([3, 5])
    """
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / float(fan_in + fan_out)), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    """0: the tensor has no elements."""
    if 0 in tensor._shape:
        warn_user("Initializing zero-element tensors is a no-op")
        return 0.0
    fan = _calculate_correct_fan(tensor, mode)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """He's: evenly, with std = gain / sqrt(fan).

    Args:
        a: leaky_relu's slope.
        mode: "fan_in" keeps the size of what goes forward, "fan_out" of gradients.
        nonlinearity: what follows; see calculate_gain.

    Example:
        >>> kaiming_uniform_(rnn.empty(3, 5), nonlinearity="relu").shape
        rnn.Size([3, 5])
    """
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound, generator) if std else tensor


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """He's: normal, with std = gain / sqrt(fan). See kaiming_uniform_.

    Example:
        >>> kaiming_normal_(rnn.empty(3, 5), mode="fan_out").shape
        rnn.Size([3, 5])
    """
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    return normal_(tensor, 0, std, generator) if std else tensor


# ---- the others -------------------------------------------------------------------------------


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Any = None,
) -> Tensor:
    """Normal around mean, but within [a, b]: what lies outside is drawn again.

    Example:
        >>> bool((trunc_normal_(rnn.empty(100), a=-1.0, b=1.0).abs() <= 1).all())
        True
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warn_user(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
            "The distribution of values may be incorrect.",
        )

    def below(x: float) -> float:
        return (1.0 + math.erf((x - mean) / std / math.sqrt(2.0))) / 2.0

    if below(b) - below(a) > 0.3:
        return _redraw(tensor, mean, std, a, b, generator)
    return _reject(tensor, mean, std, a, b, generator)


def _redraw(tensor: Tensor, mean: float, std: float, a: float, b: float, generator: Any) -> Tensor:
    """Normals, of which those outside of [a, b] are taken from further ones."""
    values = _core.array_of(normal_(tensor, mean, std, generator))
    low, high = values.dtype.type(a), values.dtype.type(b)
    while True:
        outside = (values < low) | (values > high)
        if not outside.any():
            return _write(tensor, values)
        more = _core.array_of(normal_(create.empty_like(tensor), mean, std, generator))
        values = np.where(outside, more, values)


def _reject(tensor: Tensor, mean: float, std: float, a: float, b: float, generator: Any) -> Tensor:
    """Even candidates, each accepted as often as the normal is high there: for narrow or far [a,
    b]."""
    mode = max(a, min(mean, b))
    log_peak = -0.5 * ((mode - mean) / std) ** 2

    def rejected(candidates: Any) -> Any:
        with np.errstate(divide="ignore"):
            luck = np.log(_core.array_of(uniform_(create.empty_like(tensor), 0, 1, generator)))
        return luck > ((candidates - mean) / std) ** 2 * -0.5 - log_peak

    values = _core.array_of(uniform_(tensor, a, b, generator))
    pending = rejected(values)
    while pending.any():
        candidates = _core.array_of(uniform_(create.empty_like(tensor), a, b, generator))
        values = np.where(pending, candidates, values)
        pending &= rejected(candidates)
    return _write(tensor, values)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Any = None) -> Tensor:
    """An orthogonal matrix of normal numbers' (rows, or columns, of length 1 at right angles),
    times gain.

    Raises:
        ValueError: the tensor has fewer than two dimensions.

    Example:
        >>> w = orthogonal_(rnn.empty(2, 2))
        >>> rnn.allclose(w @ w.T, rnn.eye(2), atol=1e-6)
        True
    """
    if len(tensor._shape) < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    count = math.prod(tensor._shape)
    if count == 0:
        return tensor
    rows = tensor._shape[0]
    matrix = create.new_empty(tensor, (rows, count // rows))
    drawn = _core.array_of(normal_(matrix, 0, 1, generator))
    wide = rows < count // rows
    q, r = np.linalg.qr(drawn.T if wide else drawn)
    q = q * np.sign(np.diag(r))
    return _write(tensor, (q.T if wide else q).reshape(tensor._shape) * q.dtype.type(gain))


def sparse_(tensor: Any, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """Normal, with a part (sparsity) of each column set to 0.

    Raises:
        ValueError: the tensor is no matrix.

    Example:
        >>> int((sparse_(rnn.empty(4, 3), 0.5) == 0).sum())
        6
    """
    import rnn

    if len(tensor._shape) != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    rows, columns = tensor._shape
    zeros = math.ceil(sparsity * rows)
    values = _core.array_of(normal_(tensor, 0, std, generator))
    for column in range(columns):
        values[_core.array_of(rnn.randperm(rows))[:zeros], column] = 0
    return _write(tensor, values)


if not TYPE_CHECKING:  # type checkers are to see what is absent

    def __getattr__(name: str) -> Any:
        raise _config.absent(__name__, name)

"""Activation functions, which nn.functional exports: a row of csrc/ops.h each, or a line of those.

relu and sigmoid stand in unary.py, tanh in trig.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnn import _dtypes, _shapes
from rnn._c import op
from rnn._shown import show_as
from rnn.ops import _core
from rnn.ops._core import floats_only
from rnn.ops.elementwise import binary, in_place, unary, unary_in_place
from rnn.ops.selection import where
from rnn.ops.trig import tanh
from rnn.ops.unary import relu, relu_, sigmoid

if TYPE_CHECKING:
    from rnn.tensor import Tensor

_GELU, _GELU_TANH, _SILU, _MISH = op("gelu"), op("gelu_tanh"), op("silu"), op("mish")
_LEAKY_RELU, _ELU, _SOFTPLUS, _LOGSIGMOID = (
    op("leaky_relu"),
    op("elu"),
    op("softplus"),
    op("logsigmoid"),
)
_HARDTANH, _HARDSIGMOID, _HARDSWISH = op("hardtanh"), op("hardsigmoid"), op("hardswish")
_HARDSHRINK, _SOFTSHRINK = op("hardshrink"), op("softshrink")
_THRESHOLD, _PRELU = op("threshold"), op("prelu")

SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def _row(
    name: str, number: int, input: Tensor, inplace: bool, p0: float = 0.0, p1: float = 0.0
) -> Tensor:
    floats_only(name, input)
    if inplace:
        return unary_in_place(number, lambda t: unary(number, t, p0, p1), input, p0=p0, p1=p1)
    return unary(number, input, p0, p1)


def relu_of(input: Tensor, inplace: bool = False) -> Tensor:
    """x where it is positive, else 0 (torch.nn.functional.relu)."""
    return relu_(input) if inplace else relu(input)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x times the normal distribution's integral up to x (torch.nn.functional.gelu).

    Args:
        approximate: "none" (by erf), or "tanh" (GPT-2's approximation).

    Raises:
        RuntimeError: approximate is neither.

    Example:
        >>> F.gelu(rnn.tensor([-1.0, 2.0]))
        tensor([-0.1587,  1.9545])
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    return _row("GeluKernelImpl", _GELU if approximate == "none" else _GELU_TANH, input, False)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x sigmoid(x) (torch.nn.functional.silu).

    Example:
        >>> F.silu(rnn.tensor([-1.0, 2.0]))
        tensor([-0.2689,  1.7616])
    """
    return _row("silu_cpu", _SILU, input, inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x tanh(softplus(x)) (torch.nn.functional.mish).

    Example:
        >>> F.mish(rnn.tensor([-1.0, 2.0]))
        tensor([-0.3034,  1.9440])
    """
    return _row("mish_cpu", _MISH, input, inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where it is positive, else negative_slope * x (torch.nn.functional.leaky_relu).

    Example:
        >>> F.leaky_relu(rnn.tensor([-1.0, 2.0]), 0.1)
        tensor([-0.1000,  2.0000])
    """
    return _row("leaky_relu_cpu", _LEAKY_RELU, input, inplace, negative_slope)


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """leaky_relu, in place (torch.nn.functional.leaky_relu_)."""
    return leaky_relu(input, negative_slope, True)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where it is positive, else weight * x (torch.nn.functional.prelu).

    Args:
        input: (N, C, ...); weight: one number, or (C,).

    Raises:
        RuntimeError: the dtypes differ, or weight has neither one element nor one a channel.

    Example:
        >>> F.prelu(rnn.tensor([-2.0, 3.0]), rnn.tensor([0.25]))
        tensor([-0.5000,  3.0000])
    """
    if input.dtype != weight.dtype:
        kinds = [_core.type_name(_core.dtype_of(t)) for t in (input, weight)]
        raise RuntimeError(f"prelu: Type promoting not supported. Got {' and '.join(kinds)}")
    if weight.numel() == 1:
        weight = weight if input._shape else weight.reshape(())
    else:
        if not input._shape:
            raise RuntimeError("Not allow zero-dim input tensor.")
        channels = input._shape[1] if len(input._shape) > 1 else 1
        if weight.numel() != channels:
            raise RuntimeError(
                "Mismatch of parameter numbers and input channel size. Found parameter numbers = "
                f"{weight.numel()} and channel size = {channels}."
            )
        weight = weight.reshape([1 if d != 1 else -1 for d in range(max(len(input._shape), 2))])
    return binary(_PRELU, input, weight)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where it is positive, else alpha (exp(x) - 1) (torch.nn.functional.elu).

    Example:
        >>> F.elu(rnn.tensor([-1.0, 2.0]))
        tensor([-0.6321,  2.0000])
    """
    return _row("elu_cpu", _ELU, input, inplace, alpha, 1.0)


def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """elu, in place (torch.nn.functional.elu_)."""
    return elu(input, alpha, True)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """elu with the alpha and scale that keep mean and variance (torch.nn.functional.selu).

    Example:
        >>> rnn.selu(rnn.tensor([-1.0, 2.0]))
        tensor([-1.1113,  2.1014])
    """
    return _row("elu_cpu", _ELU, input, inplace, SELU_ALPHA, SELU_SCALE)


def selu_(input: Tensor) -> Tensor:
    """selu, in place (torch.nn.functional.selu_)."""
    return selu(input, True)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where it is positive, else alpha (exp(x / alpha) - 1) (torch.nn.functional.celu).

    Example:
        >>> rnn.celu(rnn.tensor([-1.0, 2.0]), 0.5)
        tensor([-0.4323,  2.0000])
    """
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    floats_only("elu_cpu", input)
    made = unary(_ELU, input / alpha, 1.0, alpha)
    return show_as(in_place(input, made) if inplace else made, "CeluBackward0")


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """celu, in place (torch.nn.functional.celu_)."""
    return celu(input, alpha, True)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta x)) / beta; x where beta x > threshold (torch.nn.functional.softplus).

    Example:
        >>> F.softplus(rnn.tensor([0.0, 2.0]))
        tensor([0.6931, 2.1269])
    """
    return _row("softplus_cpu", _SOFTPLUS, input, False, beta, threshold)


def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(x)), exact far from 0 (torch.nn.functional.logsigmoid).

    Example:
        >>> F.logsigmoid(rnn.tensor([0.0, 2.0]))
        tensor([-0.6931, -0.1269])
    """
    return _row("log_sigmoid_cpu", _LOGSIGMOID, input, False)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|) (torch.nn.functional.softsign).

    Example:
        >>> F.softsign(rnn.tensor([-1.0, 3.0]))
        tensor([-0.5000,  0.7500])
    """
    return input / (input.abs() + 1)


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x) (torch.nn.functional.tanhshrink).

    Example:
        >>> F.tanhshrink(rnn.tensor([-1.0, 2.0]))
        tensor([-0.2384,  1.0360])
    """
    return input - tanh(input)


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """x between min_val and max_val, else the nearer of them (torch.nn.functional.hardtanh).

    Raises:
        ValueError: min_val > max_val.

    Example:
        >>> F.hardtanh(rnn.tensor([-4.0, 0.5, 1.5]))
        tensor([-1.0000,  0.5000,  1.0000])
    """
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    if not input._h:
        made = input.clamp(int(min_val), int(max_val))
        return in_place(input, made) if inplace else made
    return _row("hardtanh_cpu", _HARDTANH, input, inplace, min_val, max_val)


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """hardtanh, in place (torch.nn.functional.hardtanh_)."""
    return hardtanh(input, min_val, max_val, True)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """x between 0 and 6, else the nearer of them (torch.nn.functional.relu6).

    Example:
        >>> F.relu6(rnn.tensor([-1.0, 7.0]))
        tensor([0., 6.])
    """
    return hardtanh(input, 0.0, 6.0, inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """x / 6 + 1 / 2, between 0 and 1 (torch.nn.functional.hardsigmoid).

    Example:
        >>> F.hardsigmoid(rnn.tensor([-4.0, 0.0, 1.5]))
        tensor([0.0000, 0.5000, 0.7500])
    """
    return _row("hardsigmoid_cpu", _HARDSIGMOID, input, inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x hardsigmoid(x) (torch.nn.functional.hardswish).

    Example:
        >>> F.hardswish(rnn.tensor([-4.0, 0.0, 1.5]))
        tensor([-0.0000, 0.0000, 1.1250])
    """
    return _row("hardswish_cpu", _HARDSWISH, input, inplace)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where it is above threshold, else value (torch.nn.functional.threshold).

    Returns:
        of input's shape and dtype; of integers, threshold and value are cut to ints.

    Example:
        >>> rnn.threshold(rnn.tensor([-1.0, 2.0]), 0.5, 9.0)
        tensor([9., 2.])
    """
    return _threshold(input, threshold, value, inplace)


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """threshold, in place (torch.nn.functional.threshold_)."""
    return _threshold(input, threshold, value, True)


def _threshold(input: Tensor, bound: float, value: float, inplace: bool) -> Tensor:
    if input._h:
        return _row("threshold_cpu", _THRESHOLD, input, inplace, bound, value)
    made: Tensor = where(input <= int(bound), int(value), input)
    return in_place(input, made) if inplace else made


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x where |x| is above lambd, else 0 (torch.nn.functional.hardshrink), of input's shape.

    Raises:
        TypeError: input is no tensor. NotImplementedError: it is not floating-point.

    Example:
        >>> rnn.hardshrink(rnn.tensor([-1.0, 0.3, 2.0]))
        tensor([-1.,  0.,  2.])
    """
    _core.check_tensors("hardshrink", input=input)
    return _row("hardshrink_cpu", _HARDSHRINK, input, False, lambd)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved by lambd towards 0, 0 where |x| is up to lambd (torch.nn.functional.softshrink).

    Raises:
        RuntimeError: lambd is negative, or more than the dtype holds. NotImplementedError: input is
            not floating-point.

    Example:
        >>> F.softshrink(rnn.tensor([-1.0, 0.3, 2.0]))
        tensor([-0.5000,  0.0000,  1.5000])
    """
    floats_only("softshrink_check", input)
    if not 0 <= lambd <= _dtypes.finfo(input.dtype).max:
        raise RuntimeError(
            f"lambda must be in range [0, {_dtypes.finfo(input.dtype).max:g}] for input dtype "
            f"{_core.type_name(input.dtype)}, but found {lambd:g}"
        )
    return _row("softshrink_cpu", _SOFTSHRINK, input, False, lambd)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half of dim times the sigmoid of the second (torch.nn.functional.glu).

    Raises:
        RuntimeError: dim's size is odd.

    Example:
        >>> F.glu(rnn.tensor([1.0, 2.0, 0.0, 0.0]))
        tensor([0.5000, 1.0000])
    """
    if not input._shape:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    dim = _shapes.normalize_dim(dim, len(input._shape))
    if input._shape[dim] % 2:
        raise RuntimeError(
            f"Halving dimension must be even, but dimension {dim} is size {input._shape[dim]}"
        )
    floats_only("glu_cpu", input)
    a, b = input.chunk(2, dim)
    return show_as(a * sigmoid(b), "GluBackward0")

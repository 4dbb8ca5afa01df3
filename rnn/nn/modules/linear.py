"""Linear maps as modules (torch.nn): Identity, Linear, Bilinear."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import rnn
from rnn.nn import functional as F
from rnn.nn import init
from rnn.nn.module import Module
from rnn.nn.parameter import Parameter

if TYPE_CHECKING:
    from rnn.tensor import Tensor


class Identity(Module):
    """Gives back its input; takes any arguments and ignores them (torch.nn.Identity).

    Example:
        >>> Identity()(rnn.tensor([1.0, 2.0]))
        tensor([1., 2.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input


class Linear(Module):
    """x weight^T + bias (torch.nn.Linear): (*, in_features) -> (*, out_features).

    weight  (out_features, in_features), even between -1 / sqrt(in_features) and 1 /
    sqrt(in_features) bias    (out_features,), likewise; None if bias=False

    Example:
        >>> Linear(3, 2)(rnn.ones(5, 3)).shape
        rnn.Size([5, 2])
    """

    in_features: int
    out_features: int
    weight: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(rnn.empty((out_features, in_features), device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(rnn.empty(out_features, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class NonDynamicallyQuantizableLinear(Linear):
    """Linear, by the name that PyTorch gives it within MultiheadAttention.

    Example:
        >>> NonDynamicallyQuantizableLinear(2, 3)(rnn.ones(4, 2)).shape
        rnn.Size([4, 3])
    """


class Bilinear(Module):
    """x1^T weight[n] x2 + bias[n] (torch.nn.Bilinear): (*, in1), (*, in2) -> (*, out).

    weight  (out_features, in1_features, in2_features), even within 1 / sqrt(in1_features)
    bias    (out_features,), likewise; None if bias=False

    Raises:
        ValueError: in1_features is not positive.

    Example:
        >>> Bilinear(3, 4, 5)(rnn.ones(2, 3), rnn.ones(2, 4)).shape
        rnn.Size([2, 5])
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if in1_features <= 0:
            raise ValueError(f"in1_features must be > 0, but got (in1_features={in1_features})")
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        shape = (out_features, in1_features, in2_features)
        self.weight = Parameter(rnn.empty(shape, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(rnn.empty(out_features, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws weight and bias anew."""
        bound = 1 / math.sqrt(self.weight.size(1))
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )

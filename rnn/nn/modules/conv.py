"""Convolutions of rows, planes and volumes as modules (torch.nn), and transposed ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import rnn
from rnn.nn import functional as F
from rnn.nn import init
from rnn.nn.functional._common import several
from rnn.nn.module import Module
from rnn.nn.parameter import Parameter

if TYPE_CHECKING:
    from rnn.tensor import Tensor

_MODES = {"zeros", "reflect", "replicate", "circular"}


class _ConvNd(Module):
    """What they share.

    weight  (out_channels, in_channels / groups, *kernel_size), transposed: (in, out / groups,
    *kernel_size);
            even within 1 / sqrt(its fan-in)
    bias    (out_channels,), likewise; None if bias=False

    Raises:
        ValueError: channels, groups, padding or padding_mode do not fit.
    """

    _dims: int
    _transposed = False
    bias: Tensor | None

    def _build(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        output_padding: Any,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
    ) -> None:
        n = self._dims
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = several(kernel_size, n, "kernel_size")
        self.stride = several(stride, n, "stride")
        self.padding = padding if isinstance(padding, str) else several(padding, n, "padding")
        self.dilation = several(dilation, n, "dilation")
        self.transposed = self._transposed
        self.output_padding = several(output_padding, n, "output_padding")
        self.groups = groups
        self.padding_mode = padding_mode
        self._check()
        self._pad = self._sides()
        shape = [out_channels, in_channels // groups]
        if self.transposed:
            shape = [in_channels, out_channels // groups]
        self.weight = Parameter(rnn.empty((*shape, *self.kernel_size), device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(rnn.empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def _check(self) -> None:
        if self.groups <= 0:
            raise ValueError("groups must be a positive integer")
        if self.in_channels % self.groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        if self.out_channels % self.groups != 0:
            raise ValueError("out_channels must be divisible by groups")
        if isinstance(self.padding, str):
            valid = {"same", "valid"}
            if self.padding not in valid:
                raise ValueError(
                    f"Invalid padding string {self.padding!r}, should be one of {valid}"
                )
            if self.padding == "same" and any(s != 1 for s in self.stride):
                raise ValueError("padding='same' is not supported for strided convolutions")
        if self.padding_mode not in _MODES:
            raise ValueError(
                f"padding_mode must be one of {_MODES}, but got padding_mode='{self.padding_mode}'"
            )

    def _sides(self) -> list[int]:
        """The padding as functional.pad takes it."""
        sides: list[int] = []
        for i in reversed(range(self._dims)):
            if self.padding == "same":
                total = self.dilation[i] * (self.kernel_size[i] - 1)
                sides += [total // 2, total - total // 2]
            else:
                sides += [0, 0] if isinstance(self.padding, str) else [self.padding[i]] * 2
        return sides

    def reset_parameters(self) -> None:
        """Draws weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in = self.weight[0].numel() if self.weight.numel() else 0
            bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        )
        none = (0,) * self._dims
        if self.padding != none:
            text += f", padding={self.padding}"
        if self.dilation != (1,) * self._dims:
            text += f", dilation={self.dilation}"
        if self.output_padding != none:
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        return text + (
            f", padding_mode={self.padding_mode}" if self.padding_mode != "zeros" else ""
        )


class _Conv(_ConvNd):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self._build(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            0,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        raise NotImplementedError

    def _padded(self, input: Tensor) -> tuple[Tensor, Any]:
        """The input and the padding that is left to do."""
        if self.padding_mode == "zeros":
            return input, self.padding
        return F.pad(input, self._pad, mode=self.padding_mode), 0


class Conv1d(_Conv):
    """Each window of (N, C, L) or (C, L) times each filter (torch.nn.Conv1d).

    Example:
        >>> Conv1d(3, 8, 5, padding=2)(rnn.ones(2, 3, 10)).shape
        rnn.Size([2, 8, 10])
    """

    _dims = 1

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x, padding = self._padded(input)
        return F.conv1d(x, weight, bias, self.stride, padding, self.dilation, self.groups)


class Conv2d(_Conv):
    """Each window of (N, C, H, W) or (C, H, W) times each filter (torch.nn.Conv2d).

    Example:
        >>> Conv2d(1, 8, 3, padding=1)(rnn.ones(2, 1, 28, 28)).shape
        rnn.Size([2, 8, 28, 28])
    """

    _dims = 2

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x, padding = self._padded(input)
        return F.conv2d(x, weight, bias, self.stride, padding, self.dilation, self.groups)


class Conv3d(_Conv):
    """Each window of a volume times each filter (torch.nn.Conv3d).

    Example:
        >>> Conv3d(1, 8, 3, padding=1)(rnn.ones(2, 1, 4, 5, 6)).shape
        rnn.Size([2, 8, 4, 5, 6])
    """

    _dims = 3

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x, padding = self._padded(input)
        return F.conv3d(x, weight, bias, self.stride, padding, self.dilation, self.groups)


class _ConvTranspose(_ConvNd):
    _transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        self._build(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            output_padding,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _arguments(self, input: Tensor, output_size: Sequence[int] | None) -> tuple[Any, ...]:
        more = self._more(input, output_size)
        return (
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            more,
            self.groups,
            self.dilation,
        )

    def _more(self, input: Tensor, output_size: Sequence[int] | None) -> tuple[int, ...]:
        """The output_padding that gives output_size.

        Raises:
            ValueError: none does.
        """
        if output_size is None:
            return self.output_padding
        n = self._dims
        batched = input.dim() == n + 2
        given = output_size
        if len(given) == n + (2 if batched else 1):
            given = given[2 if batched else 1 :]
        if len(given) != n:
            raise ValueError(
                f"ConvTranspose{n}D: for {input.dim()}D input, output_size must have {n} or "
                f"{n + (2 if batched else 1)} elements (got {len(output_size)})"
            )
        sizes = input._shape[-n:]
        low = [
            (sizes[d] - 1) * self.stride[d]
            - 2 * self.padding[d]
            + self.dilation[d] * (self.kernel_size[d] - 1)
            + 1
            for d in range(n)
        ]
        high = [a + s - 1 for a, s in zip(low, self.stride)]
        if any(not a <= o <= b for a, o, b in zip(low, given, high)):
            raise ValueError(
                f"requested an output size of {given}, but valid sizes range from {low} to {high} "
                f"(for an input of {input.shape[2:]})"
            )
        return tuple([o - a for o, a in zip(given, low)])


class ConvTranspose1d(_ConvTranspose):
    """Each element of (N, C, L) or (C, L) spread over a window (torch.nn.ConvTranspose1d).

    Example:
        >>> ConvTranspose1d(3, 8, 2, stride=2)(rnn.ones(2, 3, 10)).shape
        rnn.Size([2, 8, 20])
    """

    _dims = 1

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        return F.conv_transpose1d(input, *self._arguments(input, output_size))


class ConvTranspose2d(_ConvTranspose):
    """Each element of (N, C, H, W) or (C, H, W) spread over a window (torch.nn.ConvTranspose2d).

    Example:
        >>> ConvTranspose2d(3, 8, 2, stride=2)(rnn.ones(2, 3, 4, 4)).shape
        rnn.Size([2, 8, 8, 8])
    """

    _dims = 2

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        return F.conv_transpose2d(input, *self._arguments(input, output_size))


class ConvTranspose3d(_ConvTranspose):
    """Each element of a volume spread over a window (torch.nn.ConvTranspose3d).

    Example:
        >>> ConvTranspose3d(3, 8, 2, stride=2)(rnn.ones(2, 3, 2, 4, 4)).shape
        rnn.Size([2, 8, 4, 8, 8])
    """

    _dims = 3

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        return F.conv_transpose3d(input, *self._arguments(input, output_size))

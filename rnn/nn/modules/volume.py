"""Convolution and pooling of volumes as modules (torch.nn): (N, C, D, H, W) or (C, D, H, W)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rnn.nn import functional as F
from rnn.nn.modules.conv import _Conv, _ConvTranspose
from rnn.nn.modules.pooling import AvgPool2d, _AdaptiveAvgPoolNd, _AdaptiveMaxPoolNd, _MaxPoolNd
from rnn.nn.modules.shape import _Pad

if TYPE_CHECKING:
    from rnn.tensor import Tensor


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


class ConvTranspose3d(_ConvTranspose):
    """Each element of a volume spread over a window (torch.nn.ConvTranspose3d).

    Example:
        >>> ConvTranspose3d(3, 8, 2, stride=2)(rnn.ones(2, 3, 2, 4, 4)).shape
        rnn.Size([2, 8, 4, 8, 8])
    """

    _dims = 3

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        more = self._more(input, output_size)
        return F.conv_transpose3d(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            more,
            self.groups,
            self.dilation,
        )


class MaxPool3d(_MaxPoolNd):
    """The largest element of each window of a volume (torch.nn.MaxPool3d).

    Example:
        >>> MaxPool3d(2)(rnn.ones(1, 3, 4, 8, 6)).shape
        rnn.Size([1, 3, 2, 4, 3])
    """

    def forward(self, input: Tensor) -> Any:
        return F.max_pool3d(input, *self._arguments())


class AvgPool3d(AvgPool2d):
    """The mean of each window of a volume (torch.nn.AvgPool3d).

    Example:
        >>> AvgPool3d(2)(rnn.ones(1, 3, 4, 8, 6)).shape
        rnn.Size([1, 3, 2, 4, 3])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool3d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class AdaptiveAvgPool3d(_AdaptiveAvgPoolNd):
    """Means over as many parts of D, H and W as are asked for (torch.nn.AdaptiveAvgPool3d).

    Example:
        >>> AdaptiveAvgPool3d((2, None, 3))(rnn.ones(1, 3, 4, 8, 6)).shape
        rnn.Size([1, 3, 2, 8, 3])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool3d(input, self.output_size)


class AdaptiveMaxPool3d(_AdaptiveMaxPoolNd):
    """Maxima over as many parts of D, H and W as are asked for (torch.nn.AdaptiveMaxPool3d).

    Example:
        >>> AdaptiveMaxPool3d(2)(rnn.ones(1, 3, 4, 8, 6)).shape
        rnn.Size([1, 3, 2, 2, 2])
    """

    def forward(self, input: Tensor) -> Any:
        return F.adaptive_max_pool3d(input, self.output_size, self.return_indices)


class ReflectionPad3d(_Pad):
    """A mirror at each end of the last three dimensions (torch.nn.ReflectionPad3d).

    Example:
        >>> ReflectionPad3d(1)(rnn.ones(1, 3, 3, 3)).shape
        rnn.Size([1, 5, 5, 5])
    """

    _dims, _mode = 3, "reflect"


class ReplicationPad3d(_Pad):
    """The outermost elements of the last three dimensions, repeated (torch.nn.ReplicationPad3d).

    Example:
        >>> ReplicationPad3d(1)(rnn.ones(1, 3, 3, 3)).shape
        rnn.Size([1, 5, 5, 5])
    """

    _dims, _mode = 3, "replicate"


class CircularPad3d(_Pad):
    """The last three dimensions, gone round once more (torch.nn.CircularPad3d).

    Example:
        >>> CircularPad3d(1)(rnn.ones(1, 3, 3, 3)).shape
        rnn.Size([1, 5, 5, 5])
    """

    _dims, _mode = 3, "circular"

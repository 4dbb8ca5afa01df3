"""Pooling of rows, planes and volumes as modules (torch.nn)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnn.nn import functional as F
from rnn.nn.functional._common import several
from rnn.nn.module import Module

if TYPE_CHECKING:
    from rnn.tensor import Tensor


class _MaxPoolNd(Module):
    """What max pooling shares. stride: default: kernel_size; ceil_mode: windows may hang over the
    end.
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def _arguments(self) -> tuple[Any, ...]:
        return (
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPoolNd):
    """The largest element of each window of (N, C, L) or (C, L) (torch.nn.MaxPool1d).

    Example:
        >>> MaxPool1d(2)(rnn.tensor([[[1.0, 2.0, 3.0, 4.0]]]))
        tensor([[[2., 4.]]])
    """

    def forward(self, input: Tensor) -> Any:
        return F.max_pool1d(input, *self._arguments())


class MaxPool2d(_MaxPoolNd):
    """The largest element of each window of (N, C, H, W) or (C, H, W) (torch.nn.MaxPool2d).

    Example:
        >>> MaxPool2d(2)(rnn.ones(1, 3, 8, 6)).shape
        rnn.Size([1, 3, 4, 3])
    """

    def forward(self, input: Tensor) -> Any:
        return F.max_pool2d(input, *self._arguments())


class MaxPool3d(_MaxPoolNd):
    """The largest element of each window of a volume (torch.nn.MaxPool3d).

    Example:
        >>> MaxPool3d(2)(rnn.ones(1, 3, 4, 8, 6)).shape
        rnn.Size([1, 3, 2, 4, 3])
    """

    def forward(self, input: Tensor) -> Any:
        return F.max_pool3d(input, *self._arguments())


class _MaxUnpoolNd(Module):
    _dims: int

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        self.kernel_size = several(kernel_size, self._dims)
        self.stride = several(stride if stride is not None else kernel_size, self._dims)
        self.padding = several(padding, self._dims)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpoolNd):
    """Maxima put back where MaxPool1d found them, zeros elsewhere (torch.nn.MaxUnpool1d).

    Example:
        >>> x, where = F.max_pool1d(rnn.tensor([[[1.0, 5.0, 3.0, 4.0]]]), 2, return_indices=True)
        >>> MaxUnpool1d(2)(x, where)
        tensor([[[0., 5., 0., 4.]]])
    """

    _dims = 1

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        return F.max_unpool1d(
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )


class MaxUnpool2d(_MaxUnpoolNd):
    """Maxima put back where MaxPool2d found them, zeros elsewhere (torch.nn.MaxUnpool2d).

    Example:
        >>> x, where = F.max_pool2d(rnn.rand(1, 1, 4, 4), 2, return_indices=True)
        >>> MaxUnpool2d(2)(x, where).shape
        rnn.Size([1, 1, 4, 4])
    """

    _dims = 2

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        return F.max_unpool2d(
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )


class AvgPool1d(Module):
    """The mean of each window of (N, C, L) or (C, L) (torch.nn.AvgPool1d).

    Example:
        >>> AvgPool1d(2)(rnn.tensor([[[1.0, 2.0, 3.0, 4.0]]]))
        tensor([[[1.5000, 3.5000]]])
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = several(kernel_size, 1)
        self.stride = several(stride if stride is not None else kernel_size, 1)
        self.padding = several(padding, 1)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPoolNd(Module):
    """Mean pooling of planes and volumes. stride: default: kernel_size; divisor_override: default:
    the number of elements.
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def _arguments(self) -> tuple[Any, ...]:
        return (
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_AvgPoolNd):
    """The mean of each window of (N, C, H, W) or (C, H, W) (torch.nn.AvgPool2d).

    Example:
        >>> AvgPool2d(2)(rnn.ones(1, 3, 8, 6)).shape
        rnn.Size([1, 3, 4, 3])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(input, *self._arguments())


class AvgPool3d(_AvgPoolNd):
    """The mean of each window of (N, C, D, H, W) or (C, D, H, W) (torch.nn.AvgPool3d).

    Example:
        >>> AvgPool3d(2)(rnn.ones(1, 3, 4, 8, 6)).shape
        rnn.Size([1, 3, 2, 4, 3])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool3d(input, *self._arguments())


class _LPPoolNd(Module):
    def __init__(
        self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPoolNd):
    """The norm_type-norm of each window of (N, C, L) (torch.nn.LPPool1d).

    Example:
        >>> LPPool1d(2.0, 2)(rnn.tensor([[[3.0, 4.0]]]))
        tensor([[[5.]]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.lp_pool1d(
            input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode
        )


class LPPool2d(_LPPoolNd):
    """The norm_type-norm of each window of (N, C, H, W) (torch.nn.LPPool2d).

    Example:
        >>> LPPool2d(2.0, 2)(rnn.ones(1, 1, 2, 2))
        tensor([[[[2.]]]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.lp_pool2d(
            input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode
        )


class _AdaptiveAvgPoolNd(Module):
    """output_size: a number for each dimension, or one for all; None keeps a size."""

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPoolNd):
    """Means over as many parts of L as are asked for (torch.nn.AdaptiveAvgPool1d).

    Example:
        >>> AdaptiveAvgPool1d(2)(rnn.tensor([[[1.0, 2.0, 3.0, 4.0]]]))
        tensor([[[1.5000, 3.5000]]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_AdaptiveAvgPoolNd):
    """Means over as many parts of H and W as are asked for (torch.nn.AdaptiveAvgPool2d).

    Example:
        >>> AdaptiveAvgPool2d((2, None))(rnn.ones(1, 3, 8, 6)).shape
        rnn.Size([1, 3, 2, 6])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool3d(_AdaptiveAvgPoolNd):
    """Means over as many parts of D, H and W as are asked for (torch.nn.AdaptiveAvgPool3d).

    Example:
        >>> AdaptiveAvgPool3d((2, None, 3))(rnn.ones(1, 3, 4, 8, 6)).shape
        rnn.Size([1, 3, 2, 8, 3])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool3d(input, self.output_size)


class _AdaptiveMaxPoolNd(Module):
    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPoolNd):
    """Maxima over as many parts of L as are asked for (torch.nn.AdaptiveMaxPool1d).

    Example:
        >>> AdaptiveMaxPool1d(2)(rnn.tensor([[[1.0, 2.0, 3.0, 4.0]]]))
        tensor([[[2., 4.]]])
    """

    def forward(self, input: Tensor) -> Any:
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(_AdaptiveMaxPoolNd):
    """Maxima over as many parts of H and W as are asked for (torch.nn.AdaptiveMaxPool2d).

    Example:
        >>> AdaptiveMaxPool2d(2)(rnn.ones(1, 3, 8, 6)).shape
        rnn.Size([1, 3, 2, 2])
    """

    def forward(self, input: Tensor) -> Any:
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool3d(_AdaptiveMaxPoolNd):
    """Maxima over as many parts of D, H and W as are asked for (torch.nn.AdaptiveMaxPool3d).

    Example:
        >>> AdaptiveMaxPool3d(2)(rnn.ones(1, 3, 4, 8, 6)).shape
        rnn.Size([1, 3, 2, 2, 2])
    """

    def forward(self, input: Tensor) -> Any:
        return F.adaptive_max_pool3d(input, self.output_size, self.return_indices)

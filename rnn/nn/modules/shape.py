"""Shapes, edges and sizes of images as modules (torch.nn): Flatten, padding, Upsample, pixels,
windows, distances.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnn.nn import functional as F
from rnn.nn.functional._common import several
from rnn.nn.module import Module

if TYPE_CHECKING:
    from rnn.tensor import Tensor

# ---- flat and back ------------------------------------------------------------------------------


class Flatten(Module):
    """Dimensions start_dim to end_dim as one (torch.nn.Flatten).

    Example:
        >>> Flatten()(rnn.ones(2, 3, 4)).shape
        rnn.Size([2, 12])
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Dimension dim as several (torch.nn.Unflatten).

    Raises:
        TypeError: dim is no number, or the sizes are none.

    Example:
        >>> Unflatten(1, (2, 3))(rnn.ones(4, 6)).shape
        rnn.Size([4, 2, 3])
    """

    def __init__(self, dim: Any, unflattened_size: Any) -> None:
        super().__init__()
        if not isinstance(dim, (int, str)):
            raise TypeError("invalid argument type for dim parameter")
        if not isinstance(unflattened_size, (tuple, list)):
            raise TypeError(
                "unflattened_size must be a tuple of ints, but found type "
                f"{type(unflattened_size).__name__}"
            )
        for at, size in enumerate(unflattened_size):
            if not isinstance(size, int):
                raise TypeError(
                    "unflattened_size must be tuple of ints, but found element of type "
                    f"{type(size).__name__} at pos {at}"
                )
        self.dim: Any = dim
        self.unflattened_size = unflattened_size

    def forward(self, input: Tensor) -> Tensor:
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


# ---- padding ------------------------------------------------------------------------------------


class _Pad(Module):
    """padding: places at each side of the last dimensions (before, after, the last one first), or
    one number for all.
    """

    _dims: int
    _mode: str

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = several(padding, 2 * self._dims, "padding")

    def forward(self, input: Tensor) -> Tensor:
        rank, dims = len(input._shape), self._dims
        if self._mode == "circular" and rank not in (dims + 1, dims + 2):
            raise ValueError(f"expected {dims + 1}D or {dims + 2}D input (got {rank}D input)")
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(Module):
    _dims: int

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__()
        self.padding = several(padding, 2 * self._dims, "padding")
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """A value around the last dimension (torch.nn.ConstantPad1d).

    Example:
        >>> ConstantPad1d(1, 9.0)(rnn.tensor([[1.0, 2.0]]))
        tensor([[9., 1., 2., 9.]])
    """

    _dims = 1


class ConstantPad2d(_ConstantPad):
    """A value around the last two dimensions (torch.nn.ConstantPad2d).

    Example:
        >>> ConstantPad2d((1, 0, 1, 0), 9.0)(rnn.ones(1, 1, 1))
        tensor([[[9., 9.],
                 [9., 1.]]])
    """

    _dims = 2


class ConstantPad3d(_ConstantPad):
    """A value around the last three dimensions (torch.nn.ConstantPad3d).

    Example:
        >>> ConstantPad3d(1, 0.0)(rnn.ones(1, 2, 2, 2)).shape
        rnn.Size([1, 4, 4, 4])
    """

    _dims = 3


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_ZeroPad, ConstantPad1d):
    """Zeros around the last dimension (torch.nn.ZeroPad1d).

    Example:
        >>> ZeroPad1d(1)(rnn.tensor([[1.0, 2.0]]))
        tensor([[0., 1., 2., 0.]])
    """


class ZeroPad2d(_ZeroPad, ConstantPad2d):
    """Zeros around the last two dimensions (torch.nn.ZeroPad2d).

    Example:
        >>> ZeroPad2d(1)(rnn.ones(1, 1, 2)).shape
        rnn.Size([1, 3, 4])
    """


class ZeroPad3d(_ZeroPad, ConstantPad3d):
    """Zeros around the last three dimensions (torch.nn.ZeroPad3d).

    Example:
        >>> ZeroPad3d(1)(rnn.ones(1, 2, 2, 2)).shape
        rnn.Size([1, 4, 4, 4])
    """


class ReflectionPad1d(_Pad):
    """A mirror at each end of the last dimension (torch.nn.ReflectionPad1d).

    Example:
        >>> ReflectionPad1d(2)(rnn.tensor([[1.0, 2.0, 3.0]]))
        tensor([[3., 2., 1., 2., 3., 2., 1.]])
    """

    _dims, _mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """A mirror at each end of the last two dimensions (torch.nn.ReflectionPad2d).

    Example:
        >>> ReflectionPad2d(1)(rnn.ones(1, 3, 3)).shape
        rnn.Size([1, 5, 5])
    """

    _dims, _mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """A mirror at each end of the last three dimensions (torch.nn.ReflectionPad3d).

    Example:
        >>> ReflectionPad3d(1)(rnn.ones(1, 3, 3, 3)).shape
        rnn.Size([1, 5, 5, 5])
    """

    _dims, _mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """The outermost elements of the last dimension, repeated (torch.nn.ReplicationPad1d).

    Example:
        >>> ReplicationPad1d(2)(rnn.tensor([[1.0, 2.0, 3.0]]))
        tensor([[1., 1., 1., 2., 3., 3., 3.]])
    """

    _dims, _mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """The outermost elements of the last two dimensions, repeated (torch.nn.ReplicationPad2d).

    Example:
        >>> ReplicationPad2d(1)(rnn.ones(1, 3, 3)).shape
        rnn.Size([1, 5, 5])
    """

    _dims, _mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """The outermost elements of the last three dimensions, repeated (torch.nn.ReplicationPad3d).

    Example:
        >>> ReplicationPad3d(1)(rnn.ones(1, 3, 3, 3)).shape
        rnn.Size([1, 5, 5, 5])
    """

    _dims, _mode = 3, "replicate"


class CircularPad1d(_Pad):
    """The other end of the last dimension (torch.nn.CircularPad1d).

    Example:
        >>> CircularPad1d(1)(rnn.tensor([[1.0, 2.0, 3.0]]))
        tensor([[3., 1., 2., 3., 1.]])
    """

    _dims, _mode = 1, "circular"


class CircularPad2d(_Pad):
    """The other end of the last two dimensions (torch.nn.CircularPad2d).

    Example:
        >>> CircularPad2d(1)(rnn.ones(1, 1, 2, 2)).shape
        rnn.Size([1, 1, 4, 4])
    """

    _dims, _mode = 2, "circular"


class CircularPad3d(_Pad):
    """The last three dimensions, gone round once more (torch.nn.CircularPad3d).

    Example:
        >>> CircularPad3d(1)(rnn.ones(1, 3, 3, 3)).shape
        rnn.Size([1, 5, 5, 5])
    """

    _dims, _mode = 3, "circular"


# ---- sizes --------------------------------------------------------------------------------------


class Upsample(Module):
    """(N, C, ...) images of another size (torch.nn.Upsample): nn.functional.interpolate.

    Args:
        size: of each dimension behind the channels; or scale_factor.
        mode: "nearest", "linear", "bilinear" or "bicubic".

    Example:
        >>> Upsample(scale_factor=2)(rnn.tensor([[[1.0, 3.0]]]))
        tensor([[[1., 1., 3., 3.]]])
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        self.name = type(self).__name__
        self.size = size
        several = isinstance(scale_factor, tuple)
        self.scale_factor = (
            tuple([float(s) for s in scale_factor])
            if several
            else float(scale_factor)
            if scale_factor
            else None
        )
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.interpolate(
            input,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            self.recompute_scale_factor,
        )

    def extra_repr(self) -> str:
        if self.scale_factor is not None:
            text = f"scale_factor={self.scale_factor!r}"
        else:
            text = f"size={self.size!r}"
        return f"{text}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Each element repeated (torch.nn.UpsamplingNearest2d).

    Example:
        >>> UpsamplingNearest2d(scale_factor=2)(rnn.ones(1, 1, 2, 2)).shape
        rnn.Size([1, 1, 4, 4])
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """Between elements, corners kept (torch.nn.UpsamplingBilinear2d).

    Example:
        >>> UpsamplingBilinear2d(scale_factor=2)(rnn.ones(1, 1, 2, 2)).shape
        rnn.Size([1, 1, 4, 4])
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)


class PixelShuffle(Module):
    """(*, C r^2, H, W) -> (*, C, H r, W r) (torch.nn.PixelShuffle).

    Example:
        >>> PixelShuffle(2)(rnn.ones(1, 8, 2, 2)).shape
        rnn.Size([1, 2, 4, 4])
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """(*, C, H r, W r) -> (*, C r^2, H, W) (torch.nn.PixelUnshuffle).

    Example:
        >>> PixelUnshuffle(2)(rnn.ones(1, 2, 4, 4)).shape
        rnn.Size([1, 8, 2, 2])
    """

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """Channels dealt out over groups (torch.nn.ChannelShuffle).

    Example:
        >>> ChannelShuffle(2)(rnn.arange(4.0).reshape(1, 4, 1, 1)).flatten()
        tensor([0., 2., 1., 3.])
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"


# ---- windows ------------------------------------------------------------------------------------


class Unfold(Module):
    """Every window as a column (torch.nn.Unfold).

    Example:
        >>> Unfold(2)(rnn.ones(1, 3, 4, 4)).shape
        rnn.Size([1, 12, 9])
    """

    def __init__(
        self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, "
            f"stride={self.stride}"
        )


class Fold(Module):
    """Columns added into the windows that they came from (torch.nn.Fold).

    Example:
        >>> Fold((3, 3), (2, 2))(rnn.ones(1, 4, 4)).shape
        rnn.Size([1, 1, 3, 3])
    """

    def __init__(
        self,
        output_size: Any,
        kernel_size: Any,
        dilation: Any = 1,
        padding: Any = 0,
        stride: Any = 1,
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        return F.fold(
            input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride
        )

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, "
            f"dilation={self.dilation}, padding={self.padding}, stride={self.stride}"
        )


# ---- distances ----------------------------------------------------------------------------------


class CosineSimilarity(Module):
    """The cosine of the angle between vectors along dim (torch.nn.CosineSimilarity).

    Example:
        >>> CosineSimilarity()(rnn.tensor([[1.0, 0.0]]), rnn.tensor([[3.0, 4.0]]))
        tensor([0.6000])
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """The p-norm of the difference of vectors (torch.nn.PairwiseDistance).

    Example:
        >>> PairwiseDistance()(rnn.tensor([[0.0, 0.0]]), rnn.tensor([[3.0, 4.0]]))
        tensor([5.0000])
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)

"""Modules that learn how many inputs they have from the first batch (torch.nn's Lazy modules).

Each is its ordinary class with 0 inputs. The first call, or load_state_dict, gives the parameters
their shapes (in place: an optimizer that has them keeps them), draws them, and turns the module
into its ordinary class.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import rnn
from rnn._size import Size
from rnn.nn.module import Module
from rnn.nn.modules.batchnorm import BatchNorm1d, BatchNorm2d, BatchNorm3d, _NormBase
from rnn.nn.modules.conv import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    _ConvNd,
)
from rnn.nn.modules.linear import Linear
from rnn.nn.parameter import Parameter

if TYPE_CHECKING:
    from rnn.tensor import Tensor


class UninitializedParameter(Parameter):
    """A parameter whose shape is not known yet (torch.nn.parameter.UninitializedParameter).

    Example:
        >>> m = rnn.nn.LazyLinear(3)
        >>> type(m.weight).__name__
        'UninitializedParameter'
        >>> m(rnn.ones(4, 2)).shape, type(m.weight).__name__
        (rnn.Size([4, 3]), 'Parameter')
    """

    def _refuse(self) -> NoReturn:
        raise ValueError(
            "Attempted to use an uninitialized parameter. This error happens when you are using a "
            "`LazyModule` or explicitly manipulating `rnn.nn.parameter.UninitializedParameter` "
            "objects. When using LazyModules Call `forward` with a dummy batch to initialize the "
            "parameters before calling other functions"
        )

    @property
    def shape(self) -> Size:
        """RuntimeError: it has none yet."""
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually "
            "happens in `load_state_dict` when trying to load an uninitialized parameter into an "
            "initialized one. Call `forward` to initialize the parameters before accessing their "
            "attributes."
        )

    def numel(self) -> int:
        self._refuse()

    def size(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse()

    def materialize(self, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Takes the shape, with values that mean nothing yet, and is a Parameter from then on."""
        self.__class__ = Parameter
        self.data = rnn.empty(shape, device=device, dtype=dtype or self.dtype)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class _Lazy(Module):
    """What they share. `_ordinary` is the class that they become."""

    _ordinary: type[Module]

    def _wait(self) -> None:
        """Lets every parameter wait for its shape."""
        for p in self.parameters():
            p.__class__ = UninitializedParameter

    def has_uninitialized_params(self) -> bool:
        """Whether a parameter waits for its shape."""
        return any(isinstance(p, UninitializedParameter) for p in self.parameters())

    def reset_parameters(self) -> None:
        """Draws the parameters anew, once they have shapes."""
        if not self.has_uninitialized_params():
            super().reset_parameters()

    def forward(self, input: Tensor, *args: Any) -> Tensor:
        self._become(self._inputs_of(input))
        self.reset_parameters()
        self.__class__ = self._ordinary
        return self.forward(input, *args)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        given = state_dict.get(prefix + "weight")
        if given is not None and self.has_uninitialized_params():
            self._become(self._inputs_of_weight(given.shape))
            self.__class__ = self._ordinary
            self._load_from_state_dict(state_dict, prefix, *rest)
        else:
            super()._load_from_state_dict(state_dict, prefix, *rest)

    def _inputs_of(self, input: Tensor) -> int:
        raise NotImplementedError

    def _inputs_of_weight(self, shape: Any) -> int:
        raise NotImplementedError

    def _become(self, inputs: int) -> None:
        """Gives the parameters their shapes."""
        raise NotImplementedError


class LazyLinear(_Lazy, Linear):
    """Linear(the last dimension of the first input, out_features) (torch.nn.LazyLinear).

    Example:
        >>> layer = LazyLinear(2)
        >>> layer(rnn.ones(5, 3)).shape, layer
        (rnn.Size([5, 2]), Linear(in_features=3, out_features=2, bias=True))
    """

    _ordinary = Linear

    def __init__(
        self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        Module.__init__(self)
        self.in_features, self.out_features = 0, out_features
        self.weight = UninitializedParameter(rnn.empty(0, device=device, dtype=dtype))
        if bias:
            self.bias = UninitializedParameter(rnn.empty(0, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)

    def _inputs_of(self, input: Tensor) -> int:
        return input.shape[-1]

    def _inputs_of_weight(self, shape: Any) -> int:
        return int(shape[1])

    def _become(self, inputs: int) -> None:
        self.in_features = inputs
        self.weight.materialize((self.out_features, inputs))
        if self.bias is not None:
            self.bias.materialize((self.out_features,))


class _LazyConv(_Lazy, _ConvNd):
    """A convolution whose in_channels are those of the first input."""

    def __init__(
        self,
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
        **transposed: Any,
    ) -> None:
        super().__init__(
            0,
            out_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=bias,
            padding_mode=padding_mode,
            device=device,
            dtype=dtype,
            **transposed,
        )

    def reset_parameters(self) -> None:
        """Draws the parameters anew, once they have shapes."""
        if self.in_channels:
            super().reset_parameters()
        else:
            self._wait()

    def _inputs_of(self, input: Tensor) -> int:
        if input.dim() not in (self._dims + 1, self._dims + 2):
            raise RuntimeError(
                f"Expected {self._dims + 1}D (unbatched) or {self._dims + 2}D (batched) input to "
                f"{type(self).__name__}, but got input of size: {input.shape}"
            )
        return input.shape[-self._dims - 1]

    def _inputs_of_weight(self, shape: Any) -> int:
        return int(shape[0] if self.transposed else shape[1] * self.groups)

    def _become(self, inputs: int) -> None:
        self.in_channels = inputs
        self._check()
        shape = (self.out_channels, inputs // self.groups)
        if self.transposed:
            shape = (inputs, self.out_channels // self.groups)
        self.weight.materialize((*shape, *self.kernel_size))
        if self.bias is not None:
            self.bias.materialize((self.out_channels,))


class _LazyConvTranspose(_LazyConv):
    """A transposed one: its arguments stand in another order."""

    def __init__(
        self,
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
        super().__init__(
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
            output_padding=output_padding,
        )


class LazyConv1d(_LazyConv, Conv1d):
    """Conv1d with the first input's channels (torch.nn.LazyConv1d).

    Example:
        >>> m = LazyConv1d(8, 3)
        >>> m(rnn.ones(2, 5, 10)).shape, m.in_channels
        (rnn.Size([2, 8, 8]), 5)
    """

    _ordinary = Conv1d


class LazyConv2d(_LazyConv, Conv2d):
    """Conv2d with the first input's channels (torch.nn.LazyConv2d).

    Example:
        >>> m = LazyConv2d(8, 3)
        >>> m(rnn.ones(2, 5, 6, 6)).shape, m.in_channels
        (rnn.Size([2, 8, 4, 4]), 5)
    """

    _ordinary = Conv2d


class LazyConv3d(_LazyConv, Conv3d):
    """Conv3d with the first input's channels (torch.nn.LazyConv3d).

    Example:
        >>> m = LazyConv3d(8, 3)
        >>> m(rnn.ones(2, 5, 4, 6, 6)).shape, m.in_channels
        (rnn.Size([2, 8, 2, 4, 4]), 5)
    """

    _ordinary = Conv3d


class LazyConvTranspose1d(_LazyConvTranspose, ConvTranspose1d):
    """ConvTranspose1d with the first input's channels (torch.nn.LazyConvTranspose1d).

    Example:
        >>> m = LazyConvTranspose1d(8, 3)
        >>> m(rnn.ones(2, 5, 10)).shape, m.in_channels
        (rnn.Size([2, 8, 12]), 5)
    """

    _ordinary = ConvTranspose1d


class LazyConvTranspose2d(_LazyConvTranspose, ConvTranspose2d):
    """ConvTranspose2d with the first input's channels (torch.nn.LazyConvTranspose2d).

    Example:
        >>> m = LazyConvTranspose2d(8, 3)
        >>> m(rnn.ones(2, 5, 6, 6)).shape, m.in_channels
        (rnn.Size([2, 8, 8, 8]), 5)
    """

    _ordinary = ConvTranspose2d


class LazyConvTranspose3d(_LazyConvTranspose, ConvTranspose3d):
    """ConvTranspose3d with the first input's channels (torch.nn.LazyConvTranspose3d).

    Example:
        >>> m = LazyConvTranspose3d(8, 3)
        >>> m(rnn.ones(2, 5, 4, 6, 6)).shape, m.in_channels
        (rnn.Size([2, 8, 6, 8, 8]), 5)
    """

    _ordinary = ConvTranspose3d


class _LazyBatchNorm(_Lazy, _NormBase):
    """Batch norm of the first input's channels."""

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(0, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def reset_parameters(self) -> None:
        """Forgets all batches; ones and zeros again, once there are shapes."""
        if self.num_features:
            super().reset_parameters()
        else:
            self._wait()

    def _inputs_of(self, input: Tensor) -> int:
        self._check_input_dim(input)
        return input.shape[1]

    def _inputs_of_weight(self, shape: Any) -> int:
        return int(shape[0])

    def _become(self, inputs: int) -> None:
        self.num_features = inputs
        for p in self.parameters():
            p.materialize((inputs,))
        if self.running_mean is not None and self.running_var is not None:
            self.running_mean = self.running_mean.new_zeros(inputs)
            self.running_var = self.running_var.new_ones(inputs)


class LazyBatchNorm1d(_LazyBatchNorm, BatchNorm1d):
    """BatchNorm1d of the first input's channels (torch.nn.LazyBatchNorm1d).

    Example:
        >>> m = LazyBatchNorm1d()
        >>> m(rnn.rand(4, 3)).shape, m.num_features
        (rnn.Size([4, 3]), 3)
    """

    _ordinary = BatchNorm1d


class LazyBatchNorm2d(_LazyBatchNorm, BatchNorm2d):
    """BatchNorm2d of the first input's channels (torch.nn.LazyBatchNorm2d).

    Example:
        >>> m = LazyBatchNorm2d()
        >>> m(rnn.rand(4, 3, 2, 2)).shape, m.num_features
        (rnn.Size([4, 3, 2, 2]), 3)
    """

    _ordinary = BatchNorm2d


class LazyBatchNorm3d(_LazyBatchNorm, BatchNorm3d):
    """BatchNorm3d of the first input's channels (torch.nn.LazyBatchNorm3d).

    Example:
        >>> m = LazyBatchNorm3d()
        >>> m(rnn.rand(4, 3, 2, 2, 2)).shape, m.num_features
        (rnn.Size([4, 3, 2, 2, 2]), 3)
    """

    _ordinary = BatchNorm3d

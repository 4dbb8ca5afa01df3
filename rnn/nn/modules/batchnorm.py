"""Normalisation of channels as modules (torch.nn): BatchNorm, InstanceNorm, with running
statistics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rnn
from rnn._warn import warn_user
from rnn.nn import functional as F
from rnn.nn import init
from rnn.nn.module import Module
from rnn.nn.parameter import Parameter

if TYPE_CHECKING:
    from rnn.tensor import Tensor


class _NormBase(Module):
    """What they share: weight, bias and running statistics, (num_features,) each.

    weight, bias                       ones and zeros; None if affine=False (bias also if
    bias=False) running_mean, running_var          zeros and ones; None if track_running_stats=False
    num_batches_tracked                how many batches they have seen
    """

    _version = 2
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        if affine:
            self.weight = Parameter(rnn.empty(num_features, device=device, dtype=dtype))
        else:
            self.register_parameter("weight", None)
        if affine and bias:
            self.bias = Parameter(rnn.empty(num_features, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        if track_running_stats:
            zeros, ones = (
                f(num_features, device=device, dtype=dtype) for f in (rnn.zeros, rnn.ones)
            )
            self.register_buffer("running_mean", zeros)
            self.register_buffer("running_var", ones)
            self.register_buffer(
                "num_batches_tracked", rnn.tensor(0, dtype=rnn.int64, device=device)
            )
        else:
            for name in ("running_mean", "running_var", "num_batches_tracked"):
                self.register_buffer(name, None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forgets all batches."""
        if self.track_running_stats:
            self.running_mean.zero_()  # type: ignore[union-attr]
            self.running_var.fill_(1)  # type: ignore[union-attr]
            self.num_batches_tracked.zero_()  # type: ignore[union-attr]

    def reset_parameters(self) -> None:
        """Forgets all batches; ones and zeros again."""
        self.reset_running_stats()
        if self.affine:
            init.ones_(self.weight)
            if self.bias is not None:
                init.zeros_(self.bias)

    def _check_input_dim(self, input: Tensor) -> None:
        raise NotImplementedError

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: Any, *rest: Any
    ) -> None:
        version = local_metadata.get("version", None)
        if (version is None or version < 2) and self.track_running_stats:
            # old checkpoints do not have it
            state_dict.setdefault(prefix + "num_batches_tracked", self.num_batches_tracked)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)


def _expect_dims(input: Tensor, dims: tuple[int, ...]) -> None:
    """Raises:
    ValueError: the input has another number of dimensions.
    """
    if input.dim() not in dims:
        names = " or ".join(f"{d}D" for d in dims)
        raise ValueError(f"expected {names} input (got {input.dim()}D input)")


class _BatchNorm(_NormBase):
    """Each channel of a batch to mean 0 and variance 1; in eval mode by the running statistics."""

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        factor = 0.0 if self.momentum is None else self.momentum
        tracked = self.track_running_stats
        if self.training and tracked and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:  # the mean over all batches
                factor = 1.0 / float(self.num_batches_tracked)
        mean, variance = self.running_mean, self.running_var
        by_batch = self.training or (mean is None and variance is None)
        if self.training and not tracked:
            mean = variance = None
        return F.batch_norm(
            input, mean, variance, self.weight, self.bias, by_batch, factor, self.eps
        )


class BatchNorm1d(_BatchNorm):
    """Channels of (N, C) or (N, C, L) (torch.nn.BatchNorm1d).

    Example:
        >>> BatchNorm1d(1, affine=False)(rnn.tensor([[1.0], [3.0]]))
        tensor([[-1.0000],
                [ 1.0000]])
    """

    def _check_input_dim(self, input: Tensor) -> None:
        _expect_dims(input, (2, 3))


class BatchNorm2d(_BatchNorm):
    """Channels of (N, C, H, W) (torch.nn.BatchNorm2d).

    Example:
        >>> BatchNorm2d(3)(rnn.rand(2, 3, 4, 4)).shape
        rnn.Size([2, 3, 4, 4])
    """

    def _check_input_dim(self, input: Tensor) -> None:
        _expect_dims(input, (4,))


class BatchNorm3d(_BatchNorm):
    """Channels of (N, C, D, H, W) (torch.nn.BatchNorm3d).

    Example:
        >>> BatchNorm3d(3)(rnn.rand(2, 3, 4, 4, 4)).shape
        rnn.Size([2, 3, 4, 4, 4])
    """

    def _check_input_dim(self, input: Tensor) -> None:
        _expect_dims(input, (5,))


class _InstanceNorm(_NormBase):
    """Each channel of each sample to mean 0 and variance 1."""

    _rank: int  # without a batch

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )

    def _check_input_dim(self, input: Tensor) -> None:
        _expect_dims(input, (self._rank, self._rank + 1))

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        dim = input.dim() - self._rank
        if input.size(dim) != self.num_features:
            if self.affine:
                raise ValueError(
                    f"expected input's size at dim={dim} to match num_features "
                    f"({self.num_features}), but got: {input.size(dim)}."
                )
            warn_user(
                f"input's size at dim={dim} does not match num_features. You can silence this "
                "warning by not passing in num_features, which is not used because affine=False",
            )
        if dim == 0:
            return self._normalise(input.unsqueeze(0)).squeeze(0)
        return self._normalise(input)

    def _normalise(self, input: Tensor) -> Tensor:
        return F.instance_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self.momentum if self.momentum is not None else 0.0,
            self.eps,
        )


class InstanceNorm1d(_InstanceNorm):
    """Channels of each sample of (N, C, L) or (C, L) (torch.nn.InstanceNorm1d).

    Example:
        >>> InstanceNorm1d(1)(rnn.tensor([[[1.0, 3.0]]]))
        tensor([[[-1.0000,  1.0000]]])
    """

    _rank = 2


class InstanceNorm2d(_InstanceNorm):
    """Channels of each sample of (N, C, H, W) or (C, H, W) (torch.nn.InstanceNorm2d).

    Example:
        >>> InstanceNorm2d(3)(rnn.rand(2, 3, 4, 4)).shape
        rnn.Size([2, 3, 4, 4])
    """

    _rank = 3


class InstanceNorm3d(_InstanceNorm):
    """Channels of each sample of (N, C, D, H, W) or (C, D, H, W) (torch.nn.InstanceNorm3d).

    Example:
        >>> InstanceNorm3d(3)(rnn.rand(2, 3, 4, 4, 4)).shape
        rnn.Size([2, 3, 4, 4, 4])
    """

    _rank = 4

"""Dropout: random zeros, from PyTorch's random stream (torch.nn.functional).

One mask is drawn, of zeros and 1 / (1 - p), and multiplied with: that is also its scalar
resolution.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import rnn
from rnn._c import E, lib
from rnn._shown import DROPOUT
from rnn._warn import warn_user
from rnn.ops import _core
from rnn.ops.elementwise import in_place
from rnn.random import dropout_mask

if TYPE_CHECKING:
    from rnn.tensor import Tensor


def _check(p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _refuse_integers(input: Tensor, p: float) -> None:
    if p != 1 and not input._h:
        kind = _core.type_name(input.dtype)
        raise RuntimeError(f"result type Float can't be cast to the desired output type {kind}")


def _drop(input: Tensor, p: float, training: bool, inplace: bool, shape: Any = None) -> Tensor:
    """input times a mask of its own shape, or of one that broadcasts to it."""
    if not training or p == 0 or input.numel() == 0:
        return input
    _refuse_integers(input, p)
    if p == 1:
        made: Tensor = input * 0
    else:
        like = input if shape is None else rnn.empty(shape, dtype=input.dtype)
        made = input * dropout_mask(like, p)
    lib.rnn_name_result(E, made._h, DROPOUT)
    return in_place(input, made) if inplace else made


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Each element is 0 with probability p, else 1 / (1 - p) times what it was (Srivastava et al.
    2014; torch.nn.functional.dropout).

    Raises:
        ValueError: p is not in 0 .. 1.

    Example:
        >>> F.dropout(rnn.ones(4), 0.5, training=False)
        tensor([1., 1., 1., 1.])
        >>> set(F.dropout(rnn.ones(100), 0.5).tolist()) <= {0.0, 2.0}
        True
    """
    _check(p)
    return _drop(input, p, training, inplace)


def _channels(input: Tensor) -> tuple[int, ...]:
    return input._shape[:2] + (1,) * (len(input._shape) - 2)


def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """dropout of whole channels of (N, C, L) or (C, L) (torch.nn.functional.dropout1d).

    Raises:
        ValueError: p is not in 0 .. 1.
        RuntimeError: the input has another number of dimensions.

    Example:
        >>> F.dropout1d(rnn.ones(2, 3, 4), training=False).shape
        rnn.Size([2, 3, 4])
    """
    _check(p)
    dims = len(input._shape)
    if dims not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {dims}D input. Note that "
            "dropout1d exists to provide channel-wise dropout on inputs with 1 spatial dimension, "
            "a channel dimension, and an optional batch dimension (i.e. 2D or 3D inputs)."
        )
    if dims == 3:
        return _drop(input, p, training, inplace, _channels(input))
    made = _drop(input.unsqueeze(0), p, training, False, (1, input._shape[0], 1)).squeeze(0)
    return in_place(input, made) if inplace else made


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """dropout of whole channels of (N, C, H, W) (Tompson et al. 2015;
    torch.nn.functional.dropout2d).

    Raises:
        ValueError: p is not in 0 .. 1.

    Example:
        >>> F.dropout2d(rnn.ones(2, 3, 4, 4), training=False).shape
        rnn.Size([2, 3, 4, 4])
    """
    _check(p)
    dims = len(input._shape)
    if dims not in (3, 4):
        warn_user(
            f"dropout2d: Received a {dims}-D input to dropout2d, which is deprecated and will "
            "result in an error in a future release. To retain the behavior and silence this "
            "warning, please use dropout instead. Note that dropout2d exists to provide "
            "channel-wise dropout on inputs with 2 spatial dimensions, a channel dimension, and an "
            "optional batch dimension (i.e. 3D or 4D inputs).",
        )
    if dims == 3:
        warn_user(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout "
            "behavior is desired - input is interpreted as shape (N, C, L), where C is the channel "
            "dim. This behavior will change in a future release to interpret the input as one "
            "without a batch dimension, i.e. shape (C, H, W). To maintain the 1D channel-wise "
            "dropout behavior, please switch to using dropout1d instead.",
        )
    return _drop(input, p, training, inplace, _channels(input))


def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """dropout of whole channels of (N, C, D, H, W) or (C, D, H, W) (torch.nn.functional.dropout3d).

    Raises:
        ValueError: p is not in 0 .. 1.

    Example:
        >>> F.dropout3d(rnn.ones(2, 3, 4, 4, 4), training=False).shape
        rnn.Size([2, 3, 4, 4, 4])
    """
    _check(p)
    if len(input._shape) == 5:
        return _drop(input, p, training, inplace, _channels(input))
    one = input.unsqueeze(0)
    made = _drop(one, p, training, False, _channels(one)).squeeze(0)
    return in_place(input, made) if inplace else made


_SATURATED = 1.7580993408473766  # -scale alpha of selu: what its inputs tend to on the left


def _alpha_drop(
    input: Tensor, p: float, training: bool, inplace: bool, shape: Any = None
) -> Tensor:
    """Dropped elements become selu's lower limit; all are moved so that mean and variance stay 0
    and 1.
    """
    if not training or p == 0 or input.numel() == 0:
        return input
    _refuse_integers(input, p)
    if p == 1:
        made: Tensor = input * 0
    else:
        like = input if shape is None else rnn.empty(shape, dtype=input.dtype)
        kept = dropout_mask(like, p) * (1 - p)  # ones and zeros
        a = 1 / math.sqrt((_SATURATED**2 * p + 1) * (1 - p))
        made = input * (kept * a) + ((kept - 1) * (_SATURATED * a) + _SATURATED * a * p)
    return in_place(input, made) if inplace else made


def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """dropout that keeps mean and variance of selu's outputs (Klambauer et al. 2017;
    torch.nn.functional's of this name).

    Raises:
        ValueError: p is not in 0 .. 1.

    Example:
        >>> F.alpha_dropout(rnn.ones(3), training=False)
        tensor([1., 1., 1.])
    """
    _check(p)
    return _alpha_drop(input, p, training, inplace)


def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """alpha_dropout of whole channels (torch.nn.functional.feature_alpha_dropout).

    Raises:
        ValueError: p is not in 0 .. 1.

    Example:
        >>> F.feature_alpha_dropout(rnn.ones(1, 2, 2), training=False).shape
        rnn.Size([1, 2, 2])
    """
    _check(p)
    return _alpha_drop(input, p, training, inplace, _channels(input))

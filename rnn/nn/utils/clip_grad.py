"""Clipping gradients (torch.nn.utils.clip_grad): whole lists in one call into C (csrc/optim.c)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from rnn import _dtypes
from rnn._c import E, Handle, check, ffi, handles, lib
from rnn._warn import warn_user
from rnn.ops import _core
from rnn.tensor import Tensor


def _listed(tensors: Any) -> list[Any]:
    found = [tensors] if isinstance(tensors, Handle) else list(tensors)
    for t in found:
        if not isinstance(t, Handle):
            raise TypeError(f"gradients are clipped of Tensors, but found {type(t).__name__}")
    return found


def _norm(tensors: list[Any], norm_type: Any, of_grads: bool) -> Tensor:
    """The norm of the norms, as a 0-d tensor."""
    order = float(norm_type)
    norms = ffi.new("double[]", len(tensors))
    found = check(lib.rnn_norms(E, len(tensors), handles(tensors), of_grads, order, norms))
    code = max((lib.rnn_dtype(t._h) for t in tensors if t._h), default=0) if found else 0
    values = np.frombuffer(ffi.buffer(norms), np.float64)[:found].astype(
        _core.NUMPY_NODE_DTYPES[code]
    )
    if not found:
        total = 0.0
    elif order == math.inf:
        total = float(values.max())
    elif order == -math.inf:
        total = float(values.min())
    elif order == 0:
        total = float(np.count_nonzero(values))
    else:
        total = float((values.astype(np.float64) ** order).sum() ** (1 / order))
    return _core.constant(total, code)


def get_total_norm(
    tensors: Any,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all tensors as if they were one vector.

    Raises:
        RuntimeError: it is not finite, and error_if_nonfinite.

    Example:
        >>> get_total_norm([rnn.tensor([3.0]), rnn.tensor([4.0])])
        tensor(5.)
    """
    total = _norm(_listed(tensors), norm_type, False)
    _check_finite(total, norm_type, error_if_nonfinite)
    return total


def _check_finite(total: Tensor, norm_type: float, error_if_nonfinite: bool) -> None:
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise RuntimeError(
            f"The total norm of order {float(norm_type)} for gradients from `parameters` is "
            "non-finite, so it cannot be clipped. To disable this error and scale the gradients by "
            "the non-finite norm anyway, set `error_if_nonfinite=False`"
        )


def clip_grads_with_norm_(
    parameters: Any, max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scales gradients, whose norm is total_norm, down to max_norm; smaller ones stay."""
    params = _listed(parameters)
    total = _core.array_of(total_norm)  # its dtype is what PyTorch works the factor out in
    scale = total.dtype.type(max_norm) / (total + total.dtype.type(1e-6))
    if not scale >= 1.0:
        check(lib.rnn_change_grads(E, len(params), handles(params), 0, scale, 0))


def clip_grad_norm_(
    parameters: Iterable[Tensor] | Tensor,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scales the gradients so that their norm, taken together, is at most max_norm.

    Returns:
        the norm before.

    Raises:
        RuntimeError: it is not finite, and error_if_nonfinite.
    """
    if not isinstance(parameters, Handle):
        given = parameters
        parameters = list(parameters)
        if not parameters and not isinstance(given, (list, tuple)):
            warn_user(
                "`parameters` is an empty generator, no gradient clipping will occur.",
            )
    params = _listed(parameters)
    total = _norm(params, norm_type, True)
    _check_finite(total, norm_type, error_if_nonfinite)
    clip_grads_with_norm_(params, max_norm, total)
    return total


def clip_grad_norm(
    parameters: Any,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """clip_grad_norm_ by its old name.

    Example:
        >>> p = rnn.nn.Parameter(rnn.zeros(2))
        >>> p.grad = rnn.tensor([3.0, 4.0])
        >>> clip_grad_norm([p], 1.0)
        tensor(5.)
        >>> p.grad
        tensor([0.6000, 0.8000])
    """
    warnings.warn(
        f"`{_dtypes.prefix}nn.utils.clip_grad_norm` is now deprecated "
        f"in favor of `{_dtypes.prefix}nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


def clip_grad_value_(parameters: Any, clip_value: float, foreach: bool | None = None) -> None:
    """Cuts each element of the gradients to [-clip_value, clip_value]."""
    params, limit = _listed(parameters), float(clip_value)
    check(lib.rnn_change_grads(E, len(params), handles(params), 1, -limit, limit))

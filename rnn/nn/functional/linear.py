"""Linear maps: linear, bilinear (torch.nn.functional)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnn._c import COMPOSE, ETYPE, E, adopt, fail, lib
from rnn.ops import _core

if TYPE_CHECKING:
    from rnn.tensor import Tensor

_linear = lib.rnn_linear


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input @ weight.T + bias (torch.nn.functional.linear).

    Args:
        input: (*, K); weight: (N, K) or (K,); bias: (N,) or ().

    Returns:
        (*, N)

    Raises:
        RuntimeError: the shapes or dtypes do not fit.
    """
    if len(weight._shape) == 2:
        h = _linear(E, input._h, weight._h, 0 if bias is None else bias._h, 1)
        if h > 0:
            return adopt(h)  # type: ignore[no-any-return]
        if h == ETYPE:
            names = [_core.type_name(_core.dtype_of(t)) for t in (input, weight)]
            raise RuntimeError(f"mat1 and mat2 must have the same dtype, but got {' and '.join(names)}")
        if h != COMPOSE:
            fail(h)
    product: Tensor = input @ weight.t()
    return product if bias is None else product + bias


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input1^T weight[n] input2 + bias for each n (torch.nn.functional.bilinear).

    Args:
        input1: (*, I); input2: (*, J); weight: (N, I, J); bias: (N,).

    Returns:
        (*, N)

    Raises:
        RuntimeError: the shapes do not fit.
    """
    n, i, j = weight._shape
    for at, (t, size) in enumerate(((input1, i), (input2, j)), 1):
        if t._shape[-1] != size:
            raise RuntimeError(
                f"bilinear(): input{at} size does not match weight size: got {t._shape[-1]} but expected {size}"
            )
    outer = input1.unsqueeze(-1) * input2.unsqueeze(-2)
    rows = outer.reshape(*outer._shape[:-2], i * j)
    return linear(rows, weight.reshape(n, i * j), bias)

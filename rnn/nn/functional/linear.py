"""Linear maps: linear, bilinear (torch.nn.functional)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from rnn._c import COMPOSE, E, adopt, fail, lib
from rnn._shown import shown_as
from rnn.nn.functional._common import c_name, expect_tensor
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

    Example:
        >>> F.linear(rnn.tensor([[1.0, 2.0]]), rnn.tensor([[3.0, 4.0]]), rnn.tensor([0.5]))
        tensor([[11.5000]])
    """
    try:
        h = _linear(E, input._h, weight._h, 0 if bias is None else bias._h or -1, 1)
    except AttributeError:
        expect_tensor(input, "linear")
        expect_tensor(weight, "linear", "weight", 2)
        raise
    if h > 0:
        return adopt(h)
    if h == COMPOSE:
        product: Tensor = input @ weight.t()
        return product if bias is None else product + bias
    return _other_linear(input, weight, bias, h)


def _other_linear(input: Tensor, weight: Tensor, bias: Tensor | None, code: int) -> Tensor:
    """What C does not do: weights of one dimension, biases that broadcast; or its error, in
    PyTorch's words.
    """
    if _core.dtype_of(input) is not _core.dtype_of(weight):
        refuse_dtypes(input, weight, bias)
    if len(weight._shape) == 2 and input._h and (bias is None or bias._shape == weight._shape[:1]):
        if bias is None or _core.dtype_of(bias) is _core.dtype_of(weight):
            fail(code)
        kinds = [_core.type_name(_core.dtype_of(t)) for t in (bias, weight)]
        raise RuntimeError(f"self and mat2 must have the same dtype, but got {' and '.join(kinds)}")
    product = linear(input, weight) if len(weight._shape) == 2 and input._h else input @ weight.t()
    return product if bias is None else product + bias.expand(product._shape)


def refuse_dtypes(input: Tensor, weight: Tensor, bias: Tensor | None) -> NoReturn:
    """PyTorch's words for an input and a weight of different dtypes.

    Raises:
        RuntimeError: always.
    """
    if bias is None:
        raise RuntimeError(
            f"expected m1 and m2 to have the same dtype, but got: {c_name(input)} != "
            f"{c_name(weight)}"
        )
    kinds = [_core.type_name(_core.dtype_of(t)) for t in (input, weight)]
    raise RuntimeError(f"mat1 and mat2 must have the same dtype, but got {' and '.join(kinds)}")


@shown_as("AddBackward0")
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input1^T weight[n] input2 + bias for each n (torch.nn.functional.bilinear).

    Args:
        input1: (*, I); input2: (*, J); weight: (N, I, J); bias: (N,).

    Returns:
        (*, N)

    Raises:
        RuntimeError: the shapes do not fit.

    Example:
        >>> rnn.bilinear(rnn.ones(2, 3), rnn.ones(2, 4), rnn.ones(5, 3, 4)).shape
        rnn.Size([2, 5])
    """
    n, i, j = weight._shape
    if len(input1._shape) != len(input2._shape):
        raise RuntimeError(
            f"bilinear(): input dimensions do not match: got {len(input1._shape)} and "
            f"{len(input2._shape)}"
        )
    for at, (a, b) in enumerate(zip(input1._shape[:-1], input2._shape[:-1])):
        if a != b:
            raise RuntimeError(
                f"bilinear(): input batch dimensions do not match at dim {at}: got {a} and {b}"
            )
    for at, (t, size) in enumerate(((input1, i), (input2, j)), 1):
        if t._shape[-1] != size:
            raise RuntimeError(
                f"bilinear(): input{at} size does not match weight size: got {t._shape[-1]} but "
                f"expected {size}"
            )
    given = {"input1": input1, "input2": input2, "weight": weight, "bias": bias}
    kinds = {name: t.dtype for name, t in given.items() if t is not None}
    if len(set(kinds.values())) > 1:
        listed = ", ".join(f"{name}: {_core.c_name(kind)}" for name, kind in kinds.items())
        raise RuntimeError(f"All tensors must have the same dtype, got {listed}")
    outer = input1.unsqueeze(-1) * input2.unsqueeze(-2)
    rows = outer.reshape(*outer._shape[:-2], i * j)
    return linear(rows, weight.reshape(n, i * j), bias)

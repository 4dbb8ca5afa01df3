"""Parameters as one vector, and back (torch.nn.utils.parameters_to_vector,
vector_to_parameters)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rnn import _dtypes
from rnn.nn.module import _typename
from rnn.tensor import Tensor


def parameters_to_vector(parameters: Iterable[Any]) -> Tensor:
    """All parameters one after the other, flat; recorded, so gradients flow back.

    Example:
        >>> parameters_to_vector(rnn.nn.Linear(2, 3).parameters()).shape
        rnn.Size([9])
    """
    import rnn

    return rnn.cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec: Any, parameters: Iterable[Any]) -> None:
    """Sets parameters to views of one vector, in order.

    Raises:
        TypeError: vec is no tensor.

    Example:
        >>> p = rnn.nn.Parameter(rnn.zeros(2))
        >>> vector_to_parameters(rnn.tensor([1.0, 2.0]), [p])
        >>> p.tolist()
        [1.0, 2.0]
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected {_dtypes.prefix}Tensor, but got: {_typename(vec)}")
    start = 0
    for p in parameters:
        count = p.numel()
        p.data = vec[start : start + count].view_as(p).detach()
        start += count

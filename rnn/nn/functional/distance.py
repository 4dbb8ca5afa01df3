"""How far vectors are from each other: cosine_similarity, pairwise_distance, pdist
(torch.nn.functional).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import rnn
from rnn._c import check_room
from rnn._shown import shown_as
from rnn.ops import _core

if TYPE_CHECKING:
    from rnn.tensor import Tensor


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The dot product over the product of the norms, each at least eps
    (torch.nn.functional.cosine_similarity).

    Args:
        x1, x2: any shapes that broadcast.

    Returns:
        that shape without dim.

    Example:
        >>> F.cosine_similarity(rnn.tensor([[1.0, 0.0]]), rnn.tensor([[3.0, 4.0]]))
        tensor([0.6000])
    """
    floats = _core.result_dtype(x1, x2)
    floats = floats if floats.is_floating_point else rnn.get_default_dtype()
    x1, x2 = rnn.broadcast_tensors(x1.to(floats), x2.to(floats))
    norms = [_at_least(eps, t.norm(2, dim, keepdim=True)) for t in (x1, x2)]
    return ((x1 / norms[0]) * (x2 / norms[1])).sum(dim)


def _at_least(eps: float, norm: Tensor) -> Tensor:
    """The norm, raised to eps where it is smaller: with the gradient of the norm even there, as
    PyTorch has it.
    """
    values = _core.array_of(norm)
    if not (values < eps).any():
        return norm
    return norm + _core.nodes(np.maximum(eps - values, 0).astype(values.dtype))


@shown_as("NormBackward1")
def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The p-norm of x1 - x2 + eps over the last dimension
    (torch.nn.functional.pairwise_distance).

    Args:
        x1, x2: (N, D) or (D,), or any shapes that broadcast.

    Returns:
        that shape without its last dimension, or with 1 for it (keepdim).

    Example:
        >>> F.pairwise_distance(rnn.tensor([[0.0, 0.0]]), rnn.tensor([[3.0, 4.0]]))
        tensor([5.0000])
    """
    return (x1 - x2 + eps).norm(p, -1, keepdim=keepdim)


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The p-norm distances between all pairs of rows (torch.nn.functional.pdist): (N, M) -> (N (N -
    1) / 2,).

    Example:
        >>> F.pdist(rnn.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]))
        tensor([5.0000, 1.0000, 4.2426])
    """
    n = input._shape[0]
    check_room("pdist", (n, n), 9)  # a mask, and half of it twice as places
    first, second = np.triu_indices(n, 1)
    difference = input[_core.wrap(first)] - input[_core.wrap(second)]
    return difference.norm(p, -1)

"""Softmax over many classes, rare ones in clusters of their own
(torch.nn.AdaptiveLogSoftmaxWithLoss)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import rnn
from rnn.nn.container import ModuleList, Sequential
from rnn.nn.module import Module
from rnn.nn.modules.linear import Linear
from rnn.ops import _core

if TYPE_CHECKING:
    from rnn.tensor import Tensor


class _ASMoutput(NamedTuple):
    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-probabilities of classes that are sorted by frequency: the head has the frequent ones and
    one class for each cluster of rarer ones, whose layers are smaller.

    Args:
        in_features: K.
        n_classes: C.
        cutoffs: where the clusters begin: the head has classes 0 to cutoffs[0] - 1.
        div_value: a cluster's inner layer is narrower than that of the cluster before by this.
        head_bias: whether the head has one.

    Shape:
        input (N, K) or (K,), target (N,) or () of class indices; output as target, the
        log-probability of each target; loss (), minus its mean.

    Raises:
        ValueError: the cutoffs are not unique positive integers in increasing order below C.

    Source: Grave et al. 2017, https://arxiv.org/abs/1609.04309.

    Example:
        >>> m = AdaptiveLogSoftmaxWithLoss(8, 10, [2, 5])
        >>> m.log_prob(rnn.ones(4, 8)).shape
        rnn.Size([4, 10])
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        ends = list(cutoffs)
        if not ends:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        rising = all(a < b for a, b in pairwise(ends))
        if not rising or ends[0] <= 0 or ends[-1] >= n_classes or any(int(c) != c for c in ends):
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an increasing "
                "order, where each value is between 1 and n_classes-1"
            )
        made: dict[str, Any] = {"device": device, "dtype": dtype}
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*ends, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = ends[0]
        self.n_clusters = len(ends)
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, bias=head_bias, **made)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(pairwise(self.cutoffs), 1):
            inner = int(in_features // div_value**i)
            layers = (in_features, inner), (inner, high - low)
            self.tail.append(Sequential(*[Linear(*sizes, bias=False, **made) for sizes in layers]))

    def reset_parameters(self) -> None:
        """Initial weights again."""
        self.head.reset_parameters()
        for layers in self.tail:
            for layer in layers:
                layer.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> _ASMoutput:
        _check_sizes(input_, target_)
        single = target_.dim() == 0
        x = input_.unsqueeze(0) if single else input_
        target = np.atleast_1d(_core.array_of(target_)).astype(np.int64)
        if target.size and not 0 <= target.min() <= target.max() < self.n_classes:
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range "
                f"[{target.min()}, {target.max()}] were found. "
            )
        cluster = np.searchsorted(self.cutoffs, target, "right")  # 0: in the head
        place = np.where(cluster == 0, target, self.shortlist_size + cluster - 1)
        output = _picked(self.head(x), place)
        for i in np.unique(cluster[cluster > 0]).tolist():
            rows = np.flatnonzero(cluster == i)
            at = _core.wrap(rows)
            logits = self.tail[i - 1](x.index_select(0, at))
            inner = _picked(logits, target[rows] - self.cutoffs[i - 1])
            output = output.index_add(0, at, inner)
        return _ASMoutput(output.squeeze(0) if single else output, (-output).mean())

    def log_prob(self, input: Tensor) -> Tensor:
        """(N, K) -> (N, C): the log-probabilities of all classes."""
        head = self.head(input).log_softmax(1)
        parts = [head[:, : self.shortlist_size]]
        for i, layers in enumerate(self.tail, self.shortlist_size):
            parts.append(layers(input).log_softmax(1) + head[:, i : i + 1])
        return rnn.cat(parts, 1)

    def predict(self, input: Tensor) -> Tensor:
        """(N, K) -> (N,): the most probable class of each."""
        return self.log_prob(input).argmax(1)


def _picked(logits: Tensor, places: Any) -> Tensor:
    """(N, n) -> (N,): the log-probabilities at places."""
    made: Tensor = logits.log_softmax(1).gather(1, _core.wrap(places[:, None])).squeeze(1)
    return made


def _check_sizes(input: Tensor, target: Tensor) -> None:
    dims, wanted = target.dim(), {1: 2, 0: 1}
    if dims not in wanted:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if dims == 1 and input.size(0) != target.size(0):
        raise RuntimeError("Input and target should have the same size in the batch dimension.")
    if input.dim() != wanted[dims]:
        raise RuntimeError(
            f"{dims}D target tensor expects {wanted[dims]}D input tensors, but found inputs with "
            f"size {input.size()}"
        )

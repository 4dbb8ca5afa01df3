"""grad_fn of what several of the engine's operations make: PyTorch's names."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

import rnn


def leaf(m: Any, *shape: int) -> Any:
    count = math.prod(shape)
    return (m.arange(1, 1 + count, dtype=m.float32).reshape(*shape) / 10).requires_grad_()


def logs(m: Any, *shape: int) -> Any:
    return leaf(m, *shape).log_softmax(1)


def ids(m: Any, *values: Any) -> Any:
    return m.tensor(list(values))


CASES: dict[str, Callable[[Any, Any], Any]] = {
    "embedding": lambda m, F: F.embedding(ids(m, 0, 1), leaf(m, 3, 4)),
    "Embedding": lambda m, F: m.nn.Embedding(3, 4, padding_idx=0)(ids(m, 0, 1)),
    "embedding_bag": lambda m, F: F.embedding_bag(ids(m, [0, 1]), leaf(m, 3, 4)),
    "group_norm": lambda m, F: F.group_norm(leaf(m, 2, 4, 3), 2),
    "nll_loss": lambda m, F: F.nll_loss(logs(m, 2, 3), ids(m, 0, 1)),
    "nll_loss none": lambda m, F: F.nll_loss(logs(m, 2, 3), ids(m, 0, 1), reduction="none"),
    "nll_loss 4d": lambda m, F: F.nll_loss(logs(m, 1, 3, 1, 2), ids(m, [[0, 1]])),
    "cross_entropy": lambda m, F: F.cross_entropy(leaf(m, 2, 3), ids(m, 0, 1)),
    "cross_entropy 4d": lambda m, F: F.cross_entropy(leaf(m, 1, 3, 1, 2), ids(m, [[0, 1]])),
    "bce pos_weight": lambda m, F: F.binary_cross_entropy_with_logits(
        leaf(m, 3), m.ones(3), pos_weight=m.ones(3) * 2
    ),
    "multi_margin": lambda m, F: F.multi_margin_loss(leaf(m, 2, 3), ids(m, 0, 1)),
    "conv1d": lambda m, F: F.conv1d(leaf(m, 1, 2, 5), leaf(m, 3, 2, 2)),
    "conv_transpose1d": lambda m, F: F.conv_transpose1d(leaf(m, 1, 2, 5), leaf(m, 2, 3, 2)),
    "conv_transpose2d": lambda m, F: F.conv_transpose2d(leaf(m, 1, 2, 3, 3), leaf(m, 2, 3, 2, 2)),
    "RNNCell": lambda m, F: m.nn.RNNCell(3, 4)(leaf(m, 2, 3)),
    "GRUCell": lambda m, F: m.nn.GRUCell(3, 4)(leaf(m, 2, 3)),
    "bilinear": lambda m, F: m.nn.Bilinear(2, 3, 4)(leaf(m, 5, 2), leaf(m, 5, 3)),
    "adaptive_avg_pool1d": lambda m, F: F.adaptive_avg_pool1d(leaf(m, 1, 2, 4), 2),
    "adaptive_avg_pool2d": lambda m, F: F.adaptive_avg_pool2d(leaf(m, 1, 2, 4, 4), 2),
    "adaptive_avg_pool2d 1": lambda m, F: F.adaptive_avg_pool2d(leaf(m, 1, 2, 4, 4), 1),
    "adaptive_max_pool1d": lambda m, F: F.adaptive_max_pool1d(leaf(m, 1, 2, 4), 2),
    "adaptive_max_pool2d": lambda m, F: F.adaptive_max_pool2d(leaf(m, 1, 2, 4, 4), 2),
    "max_pool1d": lambda m, F: F.max_pool1d(leaf(m, 1, 2, 4), 2),
    "max_pool3d": lambda m, F: F.max_pool3d(leaf(m, 1, 2, 4, 4), 2),
    "max_pool3d_with_indices": lambda m, F: F.max_pool3d_with_indices(leaf(m, 2, 4, 4, 4), 2)[0],
    "adaptive_avg_pool3d": lambda m, F: F.adaptive_avg_pool3d(leaf(m, 1, 4, 4, 4), 2),
    "adaptive_avg_pool3d 1": lambda m, F: F.adaptive_avg_pool3d(leaf(m, 1, 4, 4, 4), 1),
    "celu": lambda m, F: F.celu(leaf(m, 3)),
    "softshrink": lambda m, F: F.softshrink(leaf(m, 3)),
    "hardshrink": lambda m, F: F.hardshrink(leaf(m, 3)),
    "glu": lambda m, F: F.glu(leaf(m, 2, 4)),
    "prelu": lambda m, F: F.prelu(leaf(m, 2, 4), leaf(m, 1)),
    "threshold": lambda m, F: F.threshold(leaf(m, 3), 0.1, 0.0),
    "rrelu": lambda m, F: F.rrelu(leaf(m, 3)),
    "attention with a mask": lambda m, F: F.scaled_dot_product_attention(
        *[leaf(m, 1, 2, 3, 4) for _ in range(3)], attn_mask=m.ones(3, 3, dtype=m.bool)
    ),
    "pad": lambda m, F: F.pad(leaf(m, 2, 3), (1, 1)),
    "pad reflect": lambda m, F: F.pad(leaf(m, 1, 2, 3), (1, 1), "reflect"),
    "pad replicate": lambda m, F: F.pad(leaf(m, 1, 1, 2, 3), (1, 1, 0, 1), "replicate"),
    "interpolate": lambda m, F: F.interpolate(leaf(m, 1, 1, 2, 2), scale_factor=2),
    "interpolate linear": lambda m, F: F.interpolate(leaf(m, 1, 1, 3), size=5, mode="linear"),
    "interpolate bilinear": lambda m, F: F.interpolate(
        leaf(m, 1, 1, 2, 2), size=5, mode="bilinear"
    ),
    "unfold": lambda m, F: F.unfold(leaf(m, 1, 1, 4, 4), 2),
    "fold": lambda m, F: F.fold(leaf(m, 1, 4, 9), (4, 4), 2),
    "pixel_shuffle": lambda m, F: F.pixel_shuffle(leaf(m, 1, 4, 2, 2), 2),
    "pixel_unshuffle": lambda m, F: F.pixel_unshuffle(leaf(m, 1, 1, 4, 4), 2),
    "pairwise_distance": lambda m, F: F.pairwise_distance(leaf(m, 2, 3), leaf(m, 2, 3) + 1),
    "cdist": lambda m, F: m.cdist(leaf(m, 2, 3), leaf(m, 2, 3) + 1),
    "index_select": lambda m, F: leaf(m, 2, 3).index_select(0, ids(m, 0, 1)),
    "gather": lambda m, F: leaf(m, 2, 3).gather(1, ids(m, [0], [1])),
    "take": lambda m, F: leaf(m, 2, 3).take(ids(m, 0, 1)),
    "take_along_dim": lambda m, F: m.take_along_dim(leaf(m, 2, 3), ids(m, [0], [1]), 1),
    "masked_select": lambda m, F: leaf(m, 2).masked_select(m.ones(2, dtype=m.bool)),
    "index_add": lambda m, F: leaf(m, 2, 3).index_add(0, ids(m, 0, 1), leaf(m, 2, 3)),
    "index_copy": lambda m, F: leaf(m, 2, 3).index_copy(0, ids(m, 0, 1), leaf(m, 2, 3)),
    "index_fill": lambda m, F: leaf(m, 2, 3).index_fill(0, ids(m, 0), 1.0),
    "scatter": lambda m, F: leaf(m, 2, 3).scatter(1, ids(m, [0], [1]), leaf(m, 2, 1)),
    "masked_scatter": lambda m, F: leaf(m, 2).masked_scatter(m.ones(2) > 0, leaf(m, 2)),
    "repeat": lambda m, F: leaf(m, 2, 3).repeat(2, 1),
    "tile": lambda m, F: leaf(m, 2, 3).tile(2),
    "flip": lambda m, F: leaf(m, 2, 3).flip(0),
    "roll": lambda m, F: leaf(m, 2, 3).roll(1, 0),
    "rot90": lambda m, F: leaf(m, 2, 3).rot90(),
    "tril": lambda m, F: leaf(m, 2, 3).tril(),
    "triu": lambda m, F: leaf(m, 2, 3).triu(),
    "diag": lambda m, F: leaf(m, 3).diag(),
    "trace": lambda m, F: leaf(m, 2, 2).trace(),
    "addmm": lambda m, F: m.addmm(leaf(m, 2), leaf(m, 2, 3), leaf(m, 3, 2)),
    "addmv": lambda m, F: m.addmv(leaf(m, 2), leaf(m, 2, 3), leaf(m, 3)),
    "baddbmm": lambda m, F: m.baddbmm(leaf(m, 1), leaf(m, 1, 2, 3), leaf(m, 1, 3, 2)),
    "addcmul": lambda m, F: m.addcmul(leaf(m, 2), leaf(m, 2), leaf(m, 2)),
    "addcdiv": lambda m, F: m.addcdiv(leaf(m, 2), leaf(m, 2), leaf(m, 2)),
    "logit": lambda m, F: leaf(m, 3).logit(),
    "inv": lambda m, F: m.linalg.inv(leaf(m, 2, 2)),
    "solve": lambda m, F: m.linalg.solve(leaf(m, 2, 2), leaf(m, 2)),
    "solve from the right": lambda m, F: m.linalg.solve(
        leaf(m, 2, 2), leaf(m, 3, 2), left=False
    ),
    "det": lambda m, F: m.linalg.det(leaf(m, 2, 2)),
    "slogdet": lambda m, F: m.linalg.slogdet(leaf(m, 2, 2)).logabsdet,
    "cholesky": lambda m, F: m.linalg.cholesky(leaf(m, 1, 1)),
    "linear of a vector": lambda m, F: F.linear(leaf(m, 3), leaf(m, 2, 3), leaf(m, 2)),
    "squeeze": lambda m, F: leaf(m, 1, 2).squeeze(),
    "squeeze dim": lambda m, F: leaf(m, 1, 2).squeeze(0),
    "squeeze dims": lambda m, F: leaf(m, 1, 2, 1).squeeze((0, 2)),
    "reshape that copies": lambda m, F: leaf(m, 2, 3).t().reshape(6),
    "matmul 3d 2d": lambda m, F: leaf(m, 2, 2, 3) @ leaf(m, 3, 2),
}

#: whose names depend on shapes that a backward pass forgets
OF_SHAPES = {"linear of a vector", "matmul 3d 2d"}


def name(t: Any) -> str:
    return type(t.grad_fn).__name__


@pytest.mark.parametrize("case", CASES)
def test_the_name_is_pytorchs(case: str) -> None:
    make = CASES[case]
    ours, theirs = make(rnn, rnn.nn.functional), make(torch, torch.nn.functional)
    assert name(ours) == name(theirs)
    assert f"grad_fn=<{name(theirs)}>" in repr(ours)
    ours.sum().backward()  # a name is no more than that
    if case not in OF_SHAPES:
        assert name(ours) == name(theirs)


def test_scalar_resolution_shows_what_was_recorded() -> None:
    with rnn.resolution("scalar"):
        assert name(rnn.nn.functional.glu(leaf(rnn, 2, 4))) == "MulBackward0"


def test_a_view_of_an_operand_keeps_its_name() -> None:
    x = leaf(rnn, 1, 1, 2, 2) * 2
    same = rnn.nn.functional.pixel_shuffle(x, 1)
    assert name(x) == "MulBackward0" and name(same) == "PixelShuffleBackward0"


def test_operands_of_a_named_result_are_found() -> None:
    x = leaf(rnn, 2, 3)
    node = x.index_select(0, ids(rnn, 1)).grad_fn
    ((operand, place),) = node.next_functions[:1]
    assert type(operand).__name__ == "AccumulateGrad" and place == 0 and operand.variable is x

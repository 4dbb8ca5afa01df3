"""Losses that have layers of their own, beside torch's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers import compare_programs

import rnn


def seen_in(loss: Any, out: Any, x: Any) -> dict[str, Any]:
    out.backward()
    gradients = {f"gradient of {name}": p.grad for name, p in loss.named_parameters()}
    kept = {name: t for name, t in gradients.items() if t is not None}
    return {"repr": repr(loss), "keys": str(list(loss.state_dict())), "x": x.grad, **kept}


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("targets", [[0, 3, 5, 9, 1, 4], [0, 1, 2, 0, 1, 2], [9, 8, 9, 8, 9, 8]])
def test_adaptive_softmax(bias: bool, targets: list[int]) -> None:
    def run(m: Any) -> dict[str, Any]:
        loss = m.nn.AdaptiveLogSoftmaxWithLoss(8, 10, [3, 5], div_value=2.0, head_bias=bias)
        x = m.randn(6, 8, requires_grad=True)
        output, value = loss(x, m.tensor(targets))
        made = {"output": output, "loss": value, "all": loss.log_prob(x)}
        made |= {"best": loss.predict(x), "first": loss(x[0].detach(), m.tensor(targets[0]))[0]}
        return {**made, **seen_in(loss, value, x)}

    compare_programs(run)


@pytest.mark.parametrize(
    ("cutoffs", "sizes", "target"),
    [
        ([], (2, 8), [0, 1]),
        ([3, 3], (2, 8), [0, 1]),
        ([0, 3], (2, 8), [0, 1]),
        ([5, 3], (2, 8), [0, 1]),
        ([3, 10], (2, 8), [0, 1]),
        ([3], (2, 8), [0, 10]),
        ([3], (2, 8), [-1, 2]),
        ([3], (3, 8), [0, 1]),
        ([3], (8,), [0]),
        ([3], (2, 8), [[0, 1]]),
        ([3], (2, 8), 1),
    ],
)
def test_errors_of_adaptive_softmax(cutoffs: Any, sizes: Any, target: Any) -> None:
    said = []
    for m in (torch, rnn):
        with pytest.raises((ValueError, RuntimeError)) as raised:
            m.nn.AdaptiveLogSoftmaxWithLoss(8, 10, cutoffs)(m.ones(sizes), m.tensor(target))
        said.append((type(raised.value), str(raised.value).replace("torch.", "rnn.")))
    assert said[0] == said[1]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("places", [(), (2,), (2, 3)])
@pytest.mark.parametrize(
    "options",
    [{}, {"reduction": "sum", "label_smoothing": 0.1}, {"ignore_index": 1, "reduction": "none"}],
)
def test_linear_cross_entropy(bias: bool, places: Any, options: dict[str, Any]) -> None:
    def run(m: Any) -> dict[str, Any]:
        made = {"weight": m.tensor([1.0, 2, 3, 4]), "out_features": places, "bias": bias}
        loss = m.nn.LinearCrossEntropyLoss(5, 4, **made, **options)
        x = m.randn(3, 5, requires_grad=True)
        out = loss(x, m.randint(0, 4, (3, *places)))
        return {"out": out, **seen_in(loss, out.sum(), x)}

    compare_programs(run)


def test_linear_cross_entropy_of_probabilities() -> None:
    def run(m: Any) -> dict[str, Any]:
        loss = m.nn.LinearCrossEntropyLoss(5, 4, out_features=(2,))
        x = m.randn(3, 5, requires_grad=True)
        out = loss(x, m.rand(3, 4, 2).softmax(1))
        return {"out": out, **seen_in(loss, out, x)}

    compare_programs(run)


WRONG: list[Callable[[Any], Any]] = [
    lambda m: m.nn.LinearCrossEntropyLoss(2, 3, weight=m.ones(2)),
    lambda m: m.nn.LinearCrossEntropyLoss(2, 3, label_smoothing=2.0),
    lambda m: m.nn.functional.linear_cross_entropy(m.ones(1, 1, 2), m.ones(3, 2), m.tensor([0])),
    lambda m: m.nn.functional.linear_cross_entropy(m.ones(1, 2), m.ones(2), m.tensor([0])),
    lambda m: m.nn.functional.linear_cross_entropy(m.ones(1, 2), m.ones(3, 4), m.tensor([0])),
    lambda m: m.nn.functional.linear_cross_entropy(m.ones(2), m.ones(3, 4, 2), m.tensor(0)),
    lambda m: m.nn.functional.linear_cross_entropy(
        m.ones(1, 2), m.ones(3, 2), m.tensor([0]), linear_bias=m.ones(2)
    ),
    lambda m: m.nn.functional.linear_cross_entropy(
        m.ones(1, 2), m.ones(3, 2), m.ones(1, 3), ignore_index=0
    ),
]


@pytest.mark.parametrize("call", WRONG)
def test_errors_of_linear_cross_entropy(call: Callable[[Any], Any]) -> None:
    said = []
    for m in (torch, rnn):
        with pytest.raises(RuntimeError) as raised:
            call(m)
        said.append(str(raised.value))
    assert said[0] == said[1]

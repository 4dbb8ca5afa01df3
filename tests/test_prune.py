"""rnn.nn.utils.prune against torch.nn.utils.prune."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.utils.prune
from helpers import to_numpy

import rnn

MODULES = (torch, rnn)


def convolution(m: Any) -> Any:
    m.manual_seed(0)
    return m.nn.Conv2d(2, 6, 3)


def net(m: Any) -> Any:
    m.manual_seed(0)
    return m.nn.Sequential(m.nn.Linear(4, 5), m.nn.Tanh(), m.nn.Linear(5, 3))


def state(module: Any) -> dict[str, Any]:
    return {name: to_numpy(t) for name, t in module.state_dict().items()}


def same(ours: Any, theirs: Any) -> None:
    assert list(ours) == list(theirs)
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    "steps",
    [
        lambda p, c: p.identity(c, "weight"),
        lambda p, c: p.l1_unstructured(c, "weight", 0.3),
        lambda p, c: p.l1_unstructured(c, "bias", amount=2),
        lambda p, c: p.random_unstructured(c, "weight", 0.5),
        lambda p, c: p.random_structured(c, "weight", 2, dim=0),
        lambda p, c: p.ln_structured(c, "weight", 0.5, n=2, dim=0),
        lambda p, c: p.ln_structured(c, "weight", 1, n=float("inf"), dim=-1),
        lambda p, c: p.l1_unstructured(c, "weight", 0.2, importance_scores=c.weight**-1),
        lambda p, c: [p.l1_unstructured(c, "weight", 0.3), p.l1_unstructured(c, "weight", 0.5)],
        lambda p, c: [p.ln_structured(c, "weight", 2, 1, 0), p.random_unstructured(c, "weight", 9)],
        lambda p, c: [
            p.l1_unstructured(c, "weight", 20),
            p.ln_structured(c, "weight", 0.5, 2, dim=1),
            p.custom_from_mask(c, "weight", (c.weight > 0).float()),
        ],
    ],
)
def test_masks_and_what_comes_after(steps: Any) -> None:
    seen = []
    for m in MODULES:
        p = m.nn.utils.prune
        c = convolution(m)
        steps(p, c)
        name = next(iter(c.named_buffers()))[0].removesuffix("_mask")
        x = m.arange(50.0).view(1, 2, 5, 5) / 10
        c(x).square().sum().backward()
        grad = to_numpy(getattr(c, name + "_orig").grad)
        with m.no_grad():
            getattr(c, name + "_orig").add_(1.0)
        out = to_numpy(c(x))
        found = state(c), grad, out, [n for n, _ in c.named_parameters()], p.is_pruned(c)
        kept = copy.deepcopy(c.state_dict())
        p.remove(c, name)
        fresh = convolution(m)
        p.identity(fresh, name)
        fresh.load_state_dict(kept)
        seen.append((*found, state(c), to_numpy(fresh(x)), p.is_pruned(c)))
    (a, ag, ao, an, ap, ar, af, ai), (b, bg, bo, bn, bp, br, bf, bi) = seen
    same(b, a)
    same(br, ar)
    np.testing.assert_allclose(bg, ag, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(bo, ao, rtol=1e-5)
    np.testing.assert_allclose(bf, af, rtol=1e-5)
    assert (bn, bp, bi) == (an, ap, ai) == (an, True, False)


def test_globally_and_by_a_method_of_one_s_own() -> None:
    seen = []
    for m in MODULES:
        p = m.nn.utils.prune

        class EveryOther(p.BasePruningMethod):  # type: ignore[misc, name-defined]
            PRUNING_TYPE = "unstructured"

            def compute_mask(self, t: Any, default_mask: Any) -> Any:
                mask = default_mask.clone()
                mask.view(-1)[::2] = 0
                return mask

        n = net(m)
        p.global_unstructured(
            ((n[0], "weight"), (n[2], "weight")), p.L1Unstructured, amount=0.4
        )
        EveryOther.apply(n[0], "bias")
        kept = [hook._tensor_name for hook in n[0]._forward_pre_hooks.values()]
        once = p.RandomUnstructured(3).prune(m.ones(4, 2))
        seen.append((state(n), kept, to_numpy(once), p.is_pruned(n)))
    same(seen[1][0], seen[0][0])
    assert seen[1][1] == seen[0][1] == ["weight", "bias"]
    np.testing.assert_array_equal(seen[1][2], seen[0][2])
    assert seen[1][3] is seen[0][3] is True


@pytest.mark.parametrize(
    "wrong",
    [
        lambda p, m: p.l1_unstructured(net(m)[0], "weight", 1.5),
        lambda p, m: p.l1_unstructured(net(m)[0], "weight", -1),
        lambda p, m: p.l1_unstructured(net(m)[0], "weight", "all"),
        lambda p, m: p.l1_unstructured(net(m)[0], "weight", 100),
        lambda p, m: p.l1_unstructured(net(m)[0], "weights", 1),
        lambda p, m: p.random_structured(net(m)[0], "bias", 1, 0),
        lambda p, m: p.ln_structured(net(m)[0], "weight", 1, 2, 5),
        lambda p, m: p.remove(net(m)[0], "weight"),
        lambda p, m: p.global_unstructured(3, p.L1Unstructured, amount=1),
        lambda p, m: p.global_unstructured(((net(m)[0], "weight"),), p.LnStructured, amount=1, n=2),
        lambda p, m: p.BasePruningMethod(),
    ],
)
def test_errors(wrong: Any) -> None:
    raised = []
    for m in MODULES:
        with pytest.raises(Exception) as caught:
            wrong(m.nn.utils.prune, m)
        text = str(caught.value).replace("torch.", "rnn.")
        raised.append((caught.type, text))
    assert raised[1] == raised[0]


def test_a_container_takes_methods() -> None:
    with pytest.raises(TypeError, match="is not a BasePruningMethod"):
        rnn.nn.utils.prune.PruningContainer(3)

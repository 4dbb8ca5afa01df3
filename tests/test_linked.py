"""backward(create_graph=True): .grad as a tensor of the graph, beside PyTorch's."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import rnn
from rnn._c import drain

pytestmark = pytest.mark.filterwarnings("ignore:Using backward:UserWarning")


def _numbers(found: list[Any]) -> list[Any]:
    return [None if t is None else t.detach().numpy().copy() for t in found]


def _same(program: Callable[[Any], list[Any]]) -> None:
    """The program gives the same tensors, or None, with torch and at both resolutions."""
    want = _numbers(program(torch))
    for resolution in ("tensor", "scalar"):
        with rnn.resolution(resolution):
            got = _numbers(program(rnn))
        for w, g in zip(want, got, strict=True):
            assert (w is None) == (g is None)
            if w is not None:
                assert w.shape == g.shape
                np.testing.assert_allclose(g, w, 1e-4, 1e-6)


def _net(lib: Any) -> tuple[Any, Any]:
    lib.manual_seed(0)
    nn = lib.nn
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)), lib.randn(5, 3)


def test_the_second_derivative() -> None:
    def program(lib: Any) -> list[Any]:
        x = lib.tensor(2.0, requires_grad=True)
        (x**3).backward(create_graph=True)
        slope = x.grad
        assert slope.requires_grad and slope.grad_fn is not None and slope is x.grad
        x.grad = None
        slope.backward()
        assert not x.grad.requires_grad
        return [slope, x.grad]

    _same(program)


@pytest.mark.parametrize("zero", [True, False])
def test_a_penalty_of_gradients(zero: bool) -> None:
    def program(lib: Any) -> list[Any]:
        net, x = _net(lib)
        net(x).square().mean().backward(create_graph=True)
        penalty = sum((p.grad * p).sum().tanh() for p in net.parameters())
        if zero:
            net.zero_grad()
        penalty.backward()
        return [penalty, *(p.grad for p in net.parameters())]

    _same(program)


def test_two_passes_add_up_within_the_graph() -> None:
    def program(lib: Any) -> list[Any]:
        net, x = _net(lib)
        net(x).square().mean().backward(create_graph=True)
        net(x).exp().mean().backward(create_graph=True)
        grads = [p.grad for p in net.parameters()]
        total = sum(g.square().sum() for g in grads)
        return [*grads, *lib.autograd.grad(total, list(net.parameters()))]

    _same(program)


def test_inputs_retain_grad_and_hooks() -> None:
    def program(lib: Any) -> list[Any]:
        x = lib.tensor([1.0, 2.0], requires_grad=True)
        z = lib.tensor([3.0, 4.0], requires_grad=True)
        ((x * z) ** 3).sum().backward(create_graph=True, inputs=[x])
        found = [x.grad.clone(), z.grad]
        y = z * z
        y.retain_grad()
        seen: list[float] = []
        z.register_hook(lambda g: g * 2)
        z.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.sum().item()))
        (y**2).sum().backward(create_graph=True)
        assert y.grad.requires_grad
        return [*found, y.grad, z.grad, lib.tensor(seen)]

    _same(program)


def test_leaves_of_every_layout() -> None:
    def program(lib: Any) -> list[Any]:
        lib.manual_seed(0)
        w = lib.randn(2, 3).t().requires_grad_()
        empty = lib.zeros(0, 2, requires_grad=True)
        table = lib.nn.Embedding(5, 3)
        loss = (w @ lib.ones(2)).pow(3).sum() + (empty * empty).sum()
        (loss + table(lib.tensor([1, 2, 1])).pow(3).sum()).backward(create_graph=True)
        found = [w.grad, empty.grad, table.weight.grad]
        assert all(g.requires_grad for g in found)
        w.grad = table.weight.grad = None
        (found[0].sum() + found[2].sum()).backward()
        return [*found, w.grad, table.weight.grad]

    _same(program)


def test_a_slope_that_is_constant_is_no_graph() -> None:
    for lib in (rnn, torch):
        x = lib.tensor([1.0, 2.0], requires_grad=True)
        (x * 2).sum().backward(create_graph=True)
        assert x.grad.tolist() == [2.0, 2.0] and not x.grad.requires_grad


def test_under_no_grad() -> None:
    def program(lib: Any) -> list[Any]:
        x = lib.tensor([1.0, 2.0], requires_grad=True)
        y = (x**3).sum()
        with lib.no_grad():
            y.backward(create_graph=True)
            assert x.grad.requires_grad
        return [x.grad, *lib.autograd.grad(x.grad.sum(), x)]

    _same(program)


def test_assigned() -> None:
    def program(lib: Any) -> list[Any]:
        a, b = (lib.tensor(v, requires_grad=True) for v in ([1.0, 2.0], [2.0, 3.0]))
        a.grad = b * b
        assert a.grad.requires_grad
        a.grad.sum().backward()
        a.grad = a.grad.detach()
        assert not a.grad.requires_grad
        return [a.grad, b.grad]

    _same(program)


def test_detached_in_place() -> None:
    x = rnn.tensor([1.0, 2.0], requires_grad=True)
    (x**3).sum().backward(create_graph=True)
    x.grad.detach_()
    assert not x.grad.requires_grad and x.grad.tolist() == [3.0, 12.0]


CHANGES: dict[str, Callable[[Any], None]] = {
    "backward": lambda x: (x * 2).sum().backward(),
    "clip_grad_norm_": lambda x: rnn.nn.utils.clip_grad_norm_([x], 0.5),
    "clip_grad_value_": lambda x: rnn.nn.utils.clip_grad_value_([x], 0.5),
    "zero_grad": lambda x: rnn.optim.SGD([x], 0.1).zero_grad(set_to_none=False),
    "part": lambda x: setattr(x[:1], "grad", rnn.ones(1)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_the_gradient_leaves_the_graph_as_it_was(change: str) -> None:
    x = rnn.tensor([1.0, 2.0], requires_grad=True)
    (x**3).sum().backward(create_graph=True)
    slope = x.grad
    square = slope**2  # reads the slope again in its backward
    CHANGES[change](x)
    assert slope.tolist() == [3.0, 12.0] and x.grad.tolist() != [3.0, 12.0]
    assert not x.grad.requires_grad
    x.grad = None
    square.sum().backward()
    assert x.grad.tolist() == [36.0, 288.0]  # d (3 x^2)^2 / dx = 36 x^3


def test_a_leaf_that_a_pass_reads_and_adds_to() -> None:
    """The slope is read by the pass that adds to what it is the value of."""

    def program(lib: Any) -> list[Any]:
        x = lib.tensor([1.0, 2.0], requires_grad=True)
        w = lib.tensor([0.5, -1.0], requires_grad=True)
        (x**3 * w).sum().backward(create_graph=True)
        gx, gw = x.grad, w.grad
        x.grad = w.grad = None
        x.grad = gx
        ((gx * x) * (gw * gx)).exp().log().sum().backward()
        return [x.grad, w.grad]

    want = _numbers(program(torch))
    got = _numbers(program(rnn))
    for w, g in zip(want, got, strict=True):
        np.testing.assert_allclose(g, w, 1e-5)


def test_it_warns_and_a_freed_graph_is_refused() -> None:
    x = rnn.tensor([1.0, 2.0], requires_grad=True)
    loss = (x**3).sum()
    with pytest.warns(UserWarning, match="reference cycle"):
        loss.backward(create_graph=True)
    loss.backward()  # the graph was kept
    with pytest.raises(RuntimeError, match="a second time"):
        loss.backward(create_graph=True)
    assert x.grad.tolist() == [6.0, 24.0]


def test_graphs_go_with_the_gradients() -> None:
    net, x = _net(rnn)
    optimizer = rnn.optim.SGD(net.parameters(), 0.1)
    counts = []
    for clear in itertools.islice(itertools.cycle((optimizer.zero_grad, net.zero_grad)), 8):
        net(x).square().mean().backward(create_graph=True)
        sum(p.grad.square().sum() for p in net.parameters()).backward()
        optimizer.step()
        clear()
        gc.collect()
        drain()
        counts.append(rnn.memory_stats()["spans"])
    assert len(set(counts[2:])) == 1


@pytest.mark.parametrize("how", ["None", "del", "numbers", "a plain pass"])
def test_a_graph_goes_at_once_with_its_gradient(how: str) -> None:
    x = rnn.tensor([1.0, 2.0], requires_grad=True)
    gc.collect()
    drain()
    before = rnn.memory_stats()["spans"]
    (x**3).sum().backward(create_graph=True)
    assert x.grad.requires_grad
    if how == "None":
        x.grad = None
    elif how == "del":
        del x.grad
    elif how == "numbers":
        x.grad = rnn.ones(2)
    else:
        (x * 2).sum().backward()
        assert x.grad.tolist() == [5.0, 14.0]
    gc.collect()
    drain()
    assert rnn.memory_stats()["spans"] == before

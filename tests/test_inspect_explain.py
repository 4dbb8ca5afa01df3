"""rnn.inspect.explain: the ledger of a gradient, and that looking changes nothing."""

from __future__ import annotations

import math
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inspect_programs import gradients, programs, run

import rnn
from rnn.inspect import explain


def assert_adds_up(ledger: rnn.inspect.Ledger) -> None:
    """Contributions, rounding and seed are the gradient, to the last bit."""
    parts = [entry.contribution for entry in ledger]
    assert math.fsum([*parts, ledger.seed, ledger.rounding]) == ledger.gradient
    assert math.fsum([*parts, ledger.seed]) == ledger.total


def test_two_uses_of_one_value() -> None:
    a = rnn.Value(3.0)
    loss = a * a + a
    ledger = explain(a, loss)
    assert [(e.user.op, e.user_grad, e.local, e.contribution) for e in ledger] == [
        ("mul", 1.0, 3.0, 3.0),
        ("mul", 1.0, 3.0, 3.0),
        ("add", 1.0, 1.0, 1.0),
    ]
    assert (ledger.gradient, ledger.total, ledger.rounding, ledger.seed) == (7.0, 7.0, 0.0, 0.0)
    assert str(ledger).splitlines()[0] == "d loss / d a = 7.0   where a = 3.0"
    assert_adds_up(ledger)


def test_the_loss_itself_is_the_seed() -> None:
    loss = rnn.Value(3.0) * 2
    ledger = explain(loss, loss)
    assert (len(ledger), ledger.seed, ledger.gradient) == (0, 1.0, 1.0)
    assert_adds_up(ledger)


def test_every_way_to_name_an_element() -> None:
    w = rnn.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    loss = (w @ w).sum()
    loss.backward(retain_graph=True)
    expected = float(w.grad[0, 1])
    n = rnn.inspect.node(w, 0, 1)
    for ledger in (
        explain(w[0, 1], loss),
        explain(w, loss, index=(0, 1)),
        explain(w, loss, index=(0, -1)),
        explain(w.value(0, 1), loss),
        explain(n, loss),
        explain(w.T[1, 0], loss),
    ):
        assert ledger.node == n and ledger.gradient == expected == ledger.total
        assert ledger.node.name == "w[0, 1]"
        assert_adds_up(ledger)


def test_looking_changes_nothing() -> None:
    x = rnn.randn(4, 3, requires_grad=True)
    w = rnn.randn(3, 2, requires_grad=True)
    calls: list[int] = []
    h = (x @ w).tanh()
    h.register_hook(lambda g: calls.append(1))
    loss = h.square().mean()
    loss.backward(retain_graph=True)
    (x.sum() + h.sum()).backward(retain_graph=True)
    kept = [t.grad.numpy().copy() for t in (x, w, h, loss)]
    values = [t.detach().numpy().copy() for t in (x, w, h, loss)]
    versions = [s._info.version for s in rnn.inspect.graph(loss).spans]
    size, count = loss.graph_size(), len(calls)
    ledger = explain(w[1, 1], loss, depth=3)
    assert_adds_up(ledger)
    for t, g, v in zip((x, w, h, loss), kept, values):
        np.testing.assert_array_equal(t.grad.numpy(), g)
        np.testing.assert_array_equal(t.detach().numpy(), v)
    assert [s._info.version for s in rnn.inspect.graph(loss).spans] == versions
    assert (loss.graph_size(), len(calls)) == (size, count)
    # what .grad holds from other passes is said, not mixed in
    assert ledger.stored != pytest.approx(ledger.gradient, 1e-3)
    assert "not of this loss alone" in str(ledger)


def test_gradients_that_are_not_there_stay_so() -> None:
    w = rnn.randn(3, requires_grad=True)
    h = w.exp()
    loss = h.sum()
    explain(w[0], loss)
    assert w.grad is None and h.grad is None and loss.grad is None
    v = rnn.Value(2.0)
    end = v.exp() * v
    explain(v, end)
    assert not rnn.inspect.node(v).span.has_grad and not rnn.inspect.node(end).span.has_grad


def test_children_explain_the_uses() -> None:
    x = rnn.tensor([0.5, -1.0], dtype=rnn.float64, requires_grad=True)
    loss = (x * 2).tanh().sum()
    ledger = explain(x[0], loss, depth=3)
    [entry] = ledger
    [inner] = entry.children
    [last] = inner.children
    assert [e.user.op for e in (entry, inner, last)] == ["mul_scalar", "tanh", "sum"]
    assert last.children is None and last.user_grad == 1.0
    assert entry.children.gradient == entry.user_grad


def test_a_ledger_goes_as_deep_in_html_as_in_text() -> None:
    layer = rnn.nn.Linear(2, 2)
    x = rnn.tensor([[1.0, 2.0]], requires_grad=True)
    with rnn.trace():
        loss = layer(x).square().sum()
    ledger = explain(x[0, 0], loss, depth=3)
    html = ledger._repr_html_()
    assert html.count("<table>") == 5 and html.count("<details") == 4 == html.count("</details>")
    assert html.count("d loss / d square[0, 1]</summary>") == 1
    assert explain(x[0, 0], loss)._repr_html_().count("<table>") == 1
    assert "Linear, test_inspect_explain.py:" in str(ledger)
    assert "d loss / d square[0, 1]" in str(ledger)


def test_no_graph_no_ledger() -> None:
    x = rnn.randn(3, requires_grad=True)
    loss = x.exp().sum()
    loss.backward()
    with pytest.raises(RuntimeError, match=r"retain_graph=True"):
        explain(x[0], loss)


def test_what_another_loss_has_freed_is_not_called_unused() -> None:
    a = rnn.tensor([2.0], requires_grad=True)
    shared = a * a
    loss = (shared * 5).sum()
    (shared * 3).sum().backward()
    for look in (explain, rnn.inspect.paths):
        with pytest.raises(RuntimeError, match=r"behind mul, was freed by.*retain_graph"):
            look(a, loss)
    assert rnn.inspect.why(a, loss).kind == "freed"
    ledger = explain(shared, loss)
    assert ledger.gradient == 5.0
    assert_adds_up(ledger)
    b = rnn.tensor([1.0], requires_grad=True)
    assert explain(b, (b * 2).sum()).gradient == 2.0 and explain(b, (a * 2).sum()).reason


def test_overwritten_values_are_refused() -> None:
    x = rnn.randn(3, requires_grad=True)
    y = x * 1.0
    loss = (y * y).sum()
    with rnn.no_grad():
        y.detach().mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        explain(x[0], loss)


def test_bad_arguments() -> None:
    x = rnn.randn(3, requires_grad=True)
    loss = x.sum()
    with pytest.raises(ValueError, match=r"shape \[3\] has many gradients"):
        explain(x, loss)
    with pytest.raises(ValueError, match="loss must have one element"):
        explain(x[0], x * 2)
    with pytest.raises(ValueError, match="depth"):
        explain(x[0], loss, depth=0)
    with pytest.raises(IndexError, match="out of bounds"):
        explain(x, loss, index=(3,))
    with pytest.raises(TypeError, match="int64"):
        explain(x[0], rnn.arange(3)[0])
    with pytest.raises(IndexError, match="shape \\[3\\] takes 1 indices, not 2"):
        explain(rnn.arange(3), loss, index=(0, 1))


def test_an_integer_has_no_gradient() -> None:
    x = rnn.randn(3, requires_grad=True)
    index = rnn.tensor([0, 2])
    loss = x[index].sum()
    for ledger in (explain(index[0], loss), explain(index, loss, index=(1,)), index.explain(loss)):
        assert (len(ledger), ledger.gradient, ledger.total, ledger.node) == (0, None, 0.0, None)
        said = str(ledger)
        assert "rnn.int64, and an integer has no gradient" in said and "x.float()" in said
        assert ledger.reason in said and ledger.stored is None
    assert "rnn.bool, and bool has no gradient" in str(explain(x > 0, loss))


def test_methods() -> None:
    w = rnn.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    loss = (w @ w).sum()
    n = w.node(0, 1)
    assert n == rnn.inspect.node(w, 0, 1) and n.name == "w[0, 1]"
    assert loss.node().label == "loss"
    for ledger in (w[0, 1].explain(loss), w.explain(loss, 2, index=(0, 1))):
        assert ledger.gradient == 11.0 and ledger.node == n
        assert ledger.node.name == "w[0, 1]"
    a = rnn.Value(3.0)
    b = a * a
    assert (a.node().name, b.node().op, len(a.explain(b, depth=2))) == ("a", "mul", 2)
    with pytest.raises(TypeError, match="not nodes"):
        rnn.arange(3).node(0)
    with pytest.raises(IndexError, match="takes 2 indices, not 1"):
        w.node(1)


@settings(max_examples=30, deadline=None)
@given(programs, st.integers(0, 9), st.integers(0, 5), st.integers(0, 8), st.booleans())
def test_ledgers_add_up_to_torchs_gradient(
    names: list[str], seed: int, i: int, j: int, scalar: bool
) -> None:
    with rnn.resolution("scalar" if scalar else "tensor"):
        x, w, loss = run(rnn, names, seed)
    for t, at, expected in zip((x, w), (i, j), gradients(names, seed)):
        index = np.unravel_index(at, t._shape)
        ledger = explain(t[index], loss)
        if ledger.gradient is None:
            assert expected[index] == 0 and ledger.total == 0
            continue
        assert_adds_up(ledger)
        np.testing.assert_allclose(ledger.total, expected[index], 1e-9, 1e-12)
        assert abs(ledger.rounding) <= 1e-12 * (1 + abs(ledger.total))


@settings(max_examples=15, deadline=None)
@given(programs, st.integers(0, 9))
def test_ledgers_add_up_to_finite_differences(names: list[str], seed: int) -> None:
    x, _, loss = run(rnn, names, seed)
    step, at = 1e-6, (1, 1)
    up, down = (float(run(rnn, names, seed, sign * step)[2]) for sign in (1, -1))
    np.testing.assert_allclose(explain(x[at], loss).total, (up - down) / (2 * step), 1e-4, 1e-6)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_recurrent_layers_are_followed_through_their_steps(kind: str) -> None:
    rnn.manual_seed(1)
    layer = getattr(rnn.nn, kind)(2, 3, dtype=rnn.float64)
    x = rnn.randn(4, 2, 2, dtype=rnn.float64, requires_grad=True)
    loss = layer(x)[0].square().sum()
    loss.backward(retain_graph=True)
    for t, index in [(layer.weight_hh_l0, (1, 2)), (layer.bias_hh_l0, (0,)), (x, (1, 0, 1))]:
        ledger = explain(t, loss, index=index)
        assert_adds_up(ledger)
        np.testing.assert_allclose(ledger.total, float(t.grad[index]), 1e-9)
        np.testing.assert_allclose(rnn.inspect.paths(t[index], loss).total, ledger.total, 1e-9)


def test_an_autograd_function_is_run_for_its_derivatives() -> None:
    class Cube(rnn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx, g):
            return 3 * ctx.saved_tensors[0] ** 2 * g

    x = rnn.tensor([1.0, 2.0], requires_grad=True)
    loss = Cube.apply(x).sum()
    [entry] = explain(x[1], loss)
    assert (entry.user.op, entry.user.index, entry.local) == ("Cube", (1,), 12.0)


def test_nothing_and_zero_have_a_reason() -> None:
    x = rnn.tensor([-1.0, 2.0], requires_grad=True)
    y = rnn.tensor(1.0, requires_grad=True)
    loss = x.relu().sum()
    dead, apart = explain(x[0], loss), explain(y, loss)
    assert dead.gradient == 0.0 and "dead ReLU" in str(dead)
    assert apart.gradient is None and apart.reason in str(apart)
    assert explain(x[1], loss).reason is None
    assert "dead ReLU" in str(rnn.inspect.paths(x[0], loss))


def test_a_detached_use_contributes_nothing() -> None:
    x = rnn.tensor([3.0, 2.0], requires_grad=True)
    loss = (x.detach() * x).sum()
    ledger = explain(x[0], loss)
    assert [(e.flows, e.local, e.contribution) for e in ledger] == [
        (False, 3.0, 0.0),
        (True, 3.0, 3.0),
    ]
    assert ledger.gradient == 3.0 and "detached" in str(ledger)
    with rnn.no_grad():  # the view is detached, the node is not
        assert explain(x[0], loss).gradient == 3.0


def test_within_a_hook_and_beside_other_threads() -> None:
    w = rnn.randn(4, 3, dtype=rnn.float64, requires_grad=True)
    loss = (w * w).sum()
    seen: list[float] = []
    h = w * 3
    h.register_hook(lambda g: seen.append(explain(w[1, 1], loss).gradient))
    (h.sum() + loss).backward(retain_graph=True)
    assert seen == [2 * float(w[1, 1])]
    np.testing.assert_allclose(w.grad.numpy(), 3 + 2 * w.detach().numpy())

    def look() -> None:
        for _ in range(20):
            end = (w * rnn.randn(4, 3, dtype=rnn.float64)).tanh().sum()
            end.backward(retain_graph=True)
            assert_adds_up(explain(w[0, 0], end))
            assert len(rnn.inspect.paths(w[0, 0], end)) == 1
            assert rnn.inspect.node(w, 0, 0).users

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(look) for _ in range(3)]:
            done.result()


def test_every_gradient_of_the_shipped_gpt2_adds_up() -> None:
    from gpt2 import files

    model = files.load(Path(__file__).parent.parent / "examples" / "gpt2" / "shakespeare")
    ids = np.random.default_rng(0).integers(0, 2048, (1, 9))
    loss = model.loss(files.tensor_of(ids[:, :-1]), files.tensor_of(ids[:, 1:]))
    loss.backward(retain_graph=True)
    rng = np.random.default_rng(1)
    kept = {name: p.grad.numpy().copy() for name, p in model.named_parameters()}
    for name, p in model.named_parameters():
        index = tuple(int(rng.integers(n)) for n in p.shape)
        if name == "wte.weight":
            index = (int(ids[0, 2]), 5)
        ledger = explain(p, loss, index=index)
        assert ledger.node.name == f"{name}[{', '.join(map(str, index))}]"
        assert_adds_up(ledger)
        scale = float(np.abs(kept[name]).max()) + 1e-8
        assert abs(ledger.total - kept[name][index]) < 1e-4 * scale, name
    for name, p in model.named_parameters():
        np.testing.assert_array_equal(p.grad.numpy(), kept[name])


F = rnn.nn.functional
INFINITE: dict[str, Any] = {
    "relu": lambda x: x.relu(), "relu6": F.relu6, "hardtanh": F.hardtanh,
    "hardsigmoid": F.hardsigmoid, "hardswish": F.hardswish, "hardshrink": F.hardshrink,
    "softshrink": F.softshrink, "threshold": lambda x: F.threshold(x, 0.3, 9.0),
    "clamp": lambda x: x.clamp(-0.5, 2), "floor": lambda x: x.floor(), "sign": lambda x: x.sign(),
    "round": lambda x: x.round(), "trunc": lambda x: x.trunc(), "frac": lambda x: x.frac(),
    "maximum": lambda x: x.maximum(rnn.ones(7)), "minimum": lambda x: x.minimum(rnn.ones(7)),
    "fmax": lambda x: rnn.fmax(x, rnn.ones(7)), "fmin": lambda x: rnn.fmin(x, rnn.ones(7)),
    "mul": lambda x: x * rnn.tensor([0.0, 1, 0, 2, 0, -1, 0]), "mul_scalar": lambda x: x * 0,
    "prelu": lambda x: F.prelu(x, rnn.zeros(1)), "leaky": lambda x: F.leaky_relu(x, 0.0),
    "abs": lambda x: x.abs(), "square": lambda x: x.square(), "cube": lambda x: x**3,
    "smooth_l1": lambda x: F.smooth_l1_loss(x, rnn.ones(7), reduction="none"),
    "huber": lambda x: F.huber_loss(x, rnn.ones(7), reduction="none"), "exp": lambda x: x.exp(),
    "div": lambda x: rnn.zeros(7) / x, "sigmoid": lambda x: (x * 1e4).sigmoid(),
    "elu": lambda x: F.elu(x * 1e4), "gelu": lambda x: F.gelu(x * 1e4), "cos": lambda x: x.cos(),
    "amax": lambda x: x.amax(), "max": lambda x: x.max(0)[0], "prod": lambda x: x.prod(),
    "where": lambda x: rnn.where(x > 0, x, 0.0), "cumsum": lambda x: x.cumsum(0),
    "median": lambda x: x.median(), "topk": lambda x: x.topk(2)[0],
    "softmax": lambda x: x.softmax(0),
}  # fmt: skip


@pytest.mark.parametrize("resolution", ["tensor", "scalar"])
@pytest.mark.parametrize("name", INFINITE)
def test_infinite_gradients_add_up(name: str, resolution: str) -> None:
    """Where an infinite gradient meets a derivative of 0, the ledger says what backward says."""
    x = rnn.tensor([-4.0, -1.0, -0.0, 0.25, 1.0, 2.0, 7.0], requires_grad=True)
    with warnings.catch_warnings(), rnn.resolution(resolution):
        warnings.simplefilter("error")
        y = INFINITE[name](x)
        loss = (y * math.inf).sum()
        (want,) = rnn.autograd.grad(loss, x, retain_graph=True)
        for i, gradient in enumerate(want.tolist()):
            ledger = explain(x, loss, index=(i,))
            found = [ledger.gradient, ledger.total, sum(e.contribution for e in ledger)]
            np.testing.assert_array_equal(found, [gradient] * 3, f"{name} at {x[i].item()}")
            assert ledger.rounding == 0

"""autograd.Functions in the inspected graph: their local derivatives, ledgers and paths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers import to_rnn
from hypothesis import given, settings
from hypothesis import strategies as st
from inspect_programs import STEPS
from test_inspect_paths import every_path

import rnn
from rnn.inspect import explain, node, paths, sparse


def functions(m: Any) -> dict[str, Any]:
    """Steps for inspect_programs.run, each an autograd.Function of module m."""

    class Sine(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.sin()

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * x.cos()

    class Both(m.autograd.Function):
        """Several outputs, one of them no tensor of the graph, and an argument that is a number."""

        @staticmethod
        def forward(ctx, x, w, scale):
            ctx.save_for_backward(x, w)
            ctx.scale = scale
            mask = x > 0
            ctx.mark_non_differentiable(mask)
            return x @ w * scale, (x * x).sum(), mask

        @staticmethod
        def backward(ctx, a, b, mask):
            x, w = ctx.saved_tensors
            assert ctx.needs_input_grad == (True, True, False)
            return ctx.scale * (a @ w.T) + 2 * b * x, ctx.scale * (x.T @ a), None

    class Softmax(m.autograd.Function):
        """A full block of derivatives a row, from NumPy, which cannot be differentiated."""

        @staticmethod
        def forward(ctx, x):
            x = x.detach().numpy()
            e = np.exp(x - x.max(-1, keepdims=True))
            ctx.y = e / e.sum(-1, keepdims=True)
            return m.from_numpy(ctx.y.copy())

        @staticmethod
        def backward(ctx, g):
            g = g.numpy()
            return m.from_numpy(ctx.y * (g - (g * ctx.y).sum(-1, keepdims=True)))

    class Halves(m.autograd.Function):
        """Outputs of which only one may be used; None for the other."""

        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x[:, :1] * 2, x[:, 1:] * 3

        @staticmethod
        @m.autograd.function.once_differentiable
        def backward(ctx, a, b):
            out = m.zeros(2, 3, dtype=m.float64)
            if a is not None:
                out[:, :1] = 2 * a
            if b is not None:
                out[:, 1:] += 3 * b
            return out

    class Outer(m.autograd.Function):
        """A Function within a Function's backward, and one argument given twice."""

        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(x, y)
            return x * y

        @staticmethod
        def backward(ctx, g):
            x, y = ctx.saved_tensors
            return Sine.apply(y) * g + g * (y - y.sin()), x * g

    class InPlace(m.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            x.mul_(2).add_(y)
            ctx.mark_dirty(x)
            return x, y.sum()

        @staticmethod
        def backward(ctx, a, b):
            return 2 * a, a + b

    class View(m.autograd.Function):
        """Outputs that look at the argument's memory."""

        @staticmethod
        def forward(ctx, x):
            return x.view_as(x), x.T

        @staticmethod
        def backward(ctx, a, b):
            return a + b.T

    def both(h, x, w):
        a, b, _ = Both.apply(h, w, 0.5)
        return a + b / 10

    def in_place(h, x, w):
        a, b = InPlace.apply(h * 1, x[:, :1].expand(2, 3))
        return a.tanh() * b

    def view(h, x, w):
        a, b = View.apply(h)
        return a * b.T

    return {
        "sine": lambda h, x, w: Sine.apply(h),
        "both": both,
        "softmax": lambda h, x, w: Softmax.apply(h),
        "halves": lambda h, x, w: m.cat(Halves.apply(h), 1),
        "first half": lambda h, x, w: h * Halves.apply(h)[0],
        "outer": lambda h, x, w: Outer.apply(h.T, h.T).T,
        "in place": in_place,
        "view": view,
    }


CALLS = {m: functions(m) for m in (rnn, torch)}
NAMES = sorted(CALLS[torch])
OURS = {name: lambda m, h, x, w, name=name: CALLS[m][name](h, x, w) for name in NAMES}
plain = ["matmul", "tanh", "square", "add x", "mul x", "rows", "where", "cumsum", "spread"]
mixed = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).flatmap(
    lambda ours: st.permutations(ours + plain[: len(ours)])
)


def run(m: Any, names: list[str], seed: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    make = to_rnn if m is rnn else torch.tensor
    x, w = (make(rng.normal(size=s), requires_grad=True) for s in ((2, 3), (3, 3)))
    h = x
    for name in names:
        h = (OURS.get(name) or STEPS[name])(m, h, x, w)
    return x, w, (h * make(rng.normal(size=(2, 3)))).sum()


def torch_gradients(names: list[str], seed: int) -> list[np.ndarray]:
    x, w, loss = run(torch, names, seed)
    found = torch.autograd.grad(loss, [x, w], allow_unused=True, materialize_grads=True)
    return [g.numpy() for g in found]


@settings(max_examples=60, deadline=None)
@given(mixed, st.integers(0, 9), st.integers(0, 5), st.integers(0, 8), st.booleans())
def test_ledgers_and_paths_sum_to_torchs_gradient(
    names: list[str], seed: int, i: int, j: int, scalar: bool
) -> None:
    with rnn.resolution("scalar" if scalar else "tensor"):
        x, w, loss = run(rnn, names, seed)
    before = loss.item()
    for t, at, expected in zip((x, w), (i, j), torch_gradients(names, seed)):
        index = np.unravel_index(at, t._shape)
        ledger = explain(t[index], loss, depth=2)
        np.testing.assert_allclose(ledger.gradient or 0, expected[index], 1e-8, 1e-11)
        np.testing.assert_allclose(ledger.total, expected[index], 1e-8, 1e-11)
        for entry in ledger:
            inner = entry.children
            np.testing.assert_allclose(inner.total, entry.user_grad, 1e-8, 1e-11)
        found = paths(t[index], loss, k=3)
        np.testing.assert_allclose(found.total, expected[index], 1e-8, 1e-11)
        for path in found:
            np.testing.assert_allclose(np.prod(path.locals), path.product, 1e-9)
    assert loss.item() == before and x.grad is None and w.grad is None


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=2), st.integers(0, 9))
def test_the_best_paths_are_those_of_brute_force(names: list[str], seed: int) -> None:
    x, _, loss = run(rnn, names, seed)
    everything = every_path(node(x, 0, 1), node(loss))
    found = paths(x[0, 1], loss, k=7)
    assert found.count == len(everything)
    expected = sorted((abs(product) for _, product in everything), reverse=True)[:7]
    np.testing.assert_allclose([abs(path.product) for path in found], expected, 1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_operands_are_users_the_other_way(name: str) -> None:
    _, _, loss = run(rnn, [name, "square"], 3)
    graph = rnn.inspect.graph(loss)
    down: dict[tuple[int, int], float] = {}
    up: dict[tuple[int, int], float] = {}
    for span in graph.spans:
        for offset in range(span.count):
            n = graph.node(span.id + offset)
            for edge in n.operands:
                key = n.id, edge.node.id
                down[key] = down.get(key, 0) + edge.local
            for edge in n.users:
                key = edge.node.id, n.id
                up[key] = up.get(key, 0) + edge.local
    down = {key: local for key, local in down.items() if local}
    up = {key: local for key, local in up.items() if local}
    assert down.keys() == up.keys()
    np.testing.assert_allclose([up[key] for key in down], list(down.values()), 1e-12)


# ---- the search of sparse.py -------------------------------------------------------------------


def matrices() -> dict[str, np.ndarray]:
    rng, n = np.random.default_rng(0), 200
    band = sum(np.eye(n, k=k) * rng.normal(size=n) for k in (-1, 0, 1))
    column = np.diag(rng.normal(size=n))
    column[:, 7] = rng.normal(size=n)
    return {
        "diagonal": np.diag(rng.normal(size=n)),
        "full": rng.normal(size=(n, n)),
        "triangle": np.tril(rng.normal(size=(n, n))),
        "differences": np.eye(n) - np.eye(n, k=1),
        "band": band,
        "blocks": np.kron(np.eye(20), rng.normal(size=(10, 10))),
        "permutation": np.eye(n)[rng.permutation(n)],
        "sparse": rng.normal(size=(n, n)) * (rng.random((n, n)) < 3 / n),
        "a full column": column,
        "zero": np.zeros((n, n)),
    }


#: products that are enough
MOST = {"diagonal": 40, "full": 410, "triangle": 410, "differences": 80, "band": 80, "blocks": 120,
        "permutation": 40, "sparse": 250, "a full column": 80, "zero": 10}  # fmt: skip


@pytest.mark.parametrize("name", sorted(MOST))
@pytest.mark.parametrize("double", [True, False])
def test_every_entry_is_found_exactly(name: str, double: bool) -> None:
    matrix = matrices()[name].astype(np.float64 if double else np.float32)
    count = 0

    def product(seed: np.ndarray) -> np.ndarray:
        nonlocal count
        count += 1
        return (seed.astype(matrix.dtype) @ matrix).astype(np.float64)

    for rows in (np.arange(200), np.arange(0, 200, 3), np.array([4, 150])):
        count = 0
        found = sparse.entries(
            product, 200, rows, sparse.Allowance(sparse.WORK), double,
            (lambda c: matrix[:, c].astype(np.float64)) if name == "a full column" else None,
        )  # fmt: skip
        dense = np.zeros((len(rows), 200))
        dense[np.repeat(np.arange(len(rows)), np.diff(found.begin)), found.columns] = found.values
        assert (dense == matrix[rows]).all()
        assert count <= MOST[name] * (1 if double else 2)


def test_what_is_not_a_matrix_is_noticed() -> None:
    rng = np.random.default_rng(0)
    for product in (
        lambda seed: np.clip(seed, -1, 1.2),
        lambda seed: seed + 1,
        lambda seed: seed * rng.normal(),
        np.sign,
    ):
        for rows in (np.arange(100), np.array([3])):
            with pytest.raises(sparse.NotLinear):
                sparse.entries(product, 100, rows, sparse.Allowance(sparse.WORK), True)
    with pytest.raises(sparse.TooMuch):
        full = rng.normal(size=(100, 100))
        sparse.entries(
            lambda seed: seed @ full, 100, np.arange(100), sparse.Allowance(1_000_000), True
        )


# ---- sizes -------------------------------------------------------------------------------------


class Scaled(rnn.autograd.Function):
    """w x^3: by x one output, by w all."""

    calls = 0

    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x**3 * w

    @staticmethod
    def backward(ctx, g):
        Scaled.calls += 1
        x, w = ctx.saved_tensors
        return 3 * x * x * g * w, (g * x**3).sum()


def test_three_hundred_thousand_outputs() -> None:
    x = (rnn.rand(300_000) + 0.5).requires_grad_()
    w = rnn.tensor(0.5, requires_grad=True)
    loss = (Scaled.apply(x * 2, w) + 1).sum()
    gx, gw = rnn.autograd.grad(loss, [x, w], retain_graph=True)
    for element, expected in ((x[5], gx[5]), (w, gw)):
        Scaled.calls = 0
        found, ledger = paths(element, loss), explain(element, loss)
        np.testing.assert_allclose(found.total, float(expected), 1e-3)
        np.testing.assert_allclose(ledger.total, float(expected), 1e-3)
        assert Scaled.calls < 200
    assert (found.count, len(ledger)) == (300_000, 300_000)
    assert len(node(x, 5).users) == 1 and len(node(w).users) == 300_000


def test_too_many_derivatives_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse, "WORK", 1 << 24)

    class Sums(rnn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.cumsum(0)

        @staticmethod
        def backward(ctx, g):
            return rnn.tensor(np.cumsum(g.numpy()[::-1])[::-1].copy())

    x = rnn.ones(30_000, requires_grad=True)
    loss = (Sums.apply(x) * 2).sum()
    for ask in (paths, explain):
        with pytest.raises(RuntimeError, match="too many to be found one by one"):
            ask(x[0], loss)
    assert explain(x[29_998], loss).gradient == 4.0
    assert paths(x[29_990], (Sums.apply(x) * 2)[29_995]).total == 2.0


# ---- all that reads the graph --------------------------------------------------------------------


def test_columns_json_and_networkx() -> None:
    x, _, loss = run(rnn, ["both", "in place"], 0)
    loss.backward(retain_graph=True)
    graph = rnn.inspect.graph(loss)
    assert {"Both", "InPlace"} <= set(graph.columns()["op"])
    assert len(list(graph.where(op="Both"))) == 7  # (2, 3) and (): nothing beside the outputs
    edges = graph.edges()
    listed = {
        (n.id, edge.node.id): edge.local
        for span in graph.spans
        for n in (graph.node(span.id + i) for i in range(span.count))
        for edge in n.operands
    }
    keys = list(zip(edges["user"].tolist(), edges["operand"].tolist()))
    assert set(keys) == set(listed)
    grads = dict(zip(graph.columns()["id"].tolist(), graph.columns()["grad"].tolist()))
    found = np.zeros(6)
    first = node(x, 0, 0).id
    for user, operand, local in zip(edges["user"], edges["operand"], edges["local"]):
        if first <= operand < first + 6:
            found[operand - first] += grads[user] * local
    np.testing.assert_allclose(found, x.grad.numpy().ravel(), 1e-9)
    assert graph.to_networkx().number_of_edges() == len(keys)
    assert '"Both"' in graph.to_json()
    with pytest.raises(ValueError, match="more than the limit of 20"):
        graph.edges(20)


def test_next_functions_and_grads_are_as_they_were() -> None:
    for m in (rnn, torch):
        x, w, _ = run(m, ["sine"], 0)
        a, _, mask = CALLS_BOTH[m](x, w)
        assert [f[0].name() for f in a.grad_fn.next_functions[:2]] == [
            "torch::autograd::AccumulateGrad"
        ] * 2
        assert not mask.requires_grad


CALLS_BOTH = {
    m: lambda x, w, m=m: CALLS[m]["both"].__closure__[0].cell_contents.apply(x, w, 0.5)
    for m in (rnn, torch)
}


class Doubled(rnn.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = rnn.nn.Parameter(rnn.tensor([1.0, 2.0, 3.0], dtype=rnn.float64))

    def forward(self, x: Any) -> Any:
        return CALLS_BOTH[rnn](x, self.weight.expand(3, 3) * 1)[0]


def test_in_a_module_and_drawn() -> None:
    net = rnn.nn.Sequential(Doubled(), Doubled())
    x = rnn.ones(2, 3, dtype=rnn.float64, requires_grad=True)
    loss = net(x).sum()
    loss.backward(retain_graph=True)
    ledger = explain(net[0].weight[1], loss, modules=net)
    np.testing.assert_allclose(ledger.total, float(net[0].weight.grad[1]))
    assert {span.module for span in rnn.inspect.graph(loss, modules=net).where(op="Both")} == {
        "0", "1"
    }  # fmt: skip
    drawing = rnn.show(loss)
    assert "Both" in drawing.text() and drawing._scene.edges is not None
    assert drawing.to_html() and drawing.to_svg()
    assert "Both" in str(node(x, 0, 0))


def test_a_large_drawing_knows_the_uses_in_functions() -> None:
    x = rnn.rand(100, 100).requires_grad_()
    h = x * 1
    for _ in range(5000):
        h = h + 0.001
    loss = (Scaled.apply(h, rnn.tensor(0.5)) + h).sum()
    loss.backward(retain_graph=True)
    scene = rnn.show(loss, focus=[(h, 3, 4)])._scene
    chosen = scene.chosen[node(h, 3, 4).id]
    assert chosen.use_count == 2 and len(chosen.uses) == 2


def test_a_freed_graph_says_so() -> None:
    x, w, _ = run(rnn, ["both"], 0)
    a, b, _ = CALLS_BOTH[rnn](x, w)
    (a.sum() + b).backward()
    for ask in (lambda: node(a, 0, 0).operands, lambda: rnn.inspect.graph(a).edges()):
        with pytest.raises(RuntimeError, match=r"retain_graph=True"):
            ask()
    for ask in (explain, paths):
        with pytest.raises(RuntimeError, match=r"retain_graph=True"):
            ask(x[0, 0], b)


def test_why_names_the_function_that_passes_nothing_on() -> None:
    class Stops(rnn.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            return x + y

        @staticmethod
        def backward(ctx, g):
            return None, g

    x, y = (rnn.ones(3, requires_grad=True) for _ in range(2))
    loss = Stops.apply(x * 2, y).sum()
    reason = rnn.inspect.why(x, loss)
    assert "Stops" in str(reason) and "backward" in str(reason)
    assert explain(y[0], loss).gradient == 1.0
    ledger = explain(x[0], loss)
    assert ledger.total == 0 and ledger.reason
    assert len(paths(x[0], loss)) == 0


# ---- backwards that are no derivatives -----------------------------------------------------------


def made(backward: Any) -> tuple[Any, Any]:
    class Odd(rnn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * 2

    Odd.backward = staticmethod(backward)
    x = rnn.ones(40, requires_grad=True)
    return x, (Odd.apply(x * 1) * 3).sum()


@pytest.mark.parametrize(
    "backward, text",
    [
        (lambda ctx, g: 1 / 0, "raised ZeroDivisionError: division by zero"),
        (lambda ctx, g: (g, g, g), "returned an incorrect number of gradients"),
        (lambda ctx, g: g.clamp(max=0.5), "not linear"),
        (lambda ctx, g: g * rnn.rand(40), "differs from run to run"),
        (lambda ctx, g: g + 1, "not linear"),
    ],
)
def test_a_backward_that_is_no_derivative(backward: Any, text: str) -> None:
    x, loss = made(backward)
    h = loss.grad_fn
    before, random = rnn.memory_stats()["spans"], rnn.get_rng_state().tolist()
    last = rnn.inspect.graph(loss)
    custom = next(iter(last.where(op="Odd")))
    with pytest.raises(RuntimeError, match=text):
        custom.operands  # noqa: B018
    with pytest.raises(RuntimeError, match=text):
        paths(x[0], loss)
    with pytest.raises(RuntimeError, match=text):
        last.edges()
    assert text in str(custom)
    del last, custom
    assert rnn.memory_stats()["spans"] == before and h is loss.grad_fn
    assert rnn.get_rng_state().tolist() == random and x.grad is None
    assert rnn.is_grad_enabled() and rnn.show(loss).to_html()


def test_overwritten_saved_tensors() -> None:
    x = rnn.ones(3, dtype=rnn.float64, requires_grad=True)
    h = x * 1
    y = CALLS[rnn]["sine"](h, None, None)
    assert len(node(y, 0).operands) == 1
    h.detach().mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        node(y, 0).operands  # noqa: B018


def test_a_pass_that_ended_within_a_function_leaves_no_gradient_behind() -> None:
    class Two(rnn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, a, b):
            return 2 * a + 3 * b

    x = rnn.ones(2, requires_grad=True)
    a, b = Two.apply(x)
    fails = True

    def hook(g: Any) -> None:
        if fails:
            raise KeyError("stop")

    a.register_hook(hook)
    with pytest.raises(KeyError):  # b's gradient has come by then
        (a + b).sum().backward(retain_graph=True)
    fails = False
    a.sum().backward(retain_graph=True)
    assert x.grad.tolist() == [2.0, 2.0]


def test_infinite_derivatives() -> None:
    class Log(rnn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.log()

        @staticmethod
        def backward(ctx, g):
            return g / ctx.saved_tensors[0]

    for n in (3, 100):
        x = rnn.ones(n, requires_grad=True)
        with rnn.no_grad():
            x[1] = 0.0
        y = Log.apply(x)
        assert [e.local for e in explain(x[1], y.sum())] == [np.inf]
        assert [e.local for e in node(y, 1).operands] == [np.inf]
        assert [e.local for e in node(y, 0).operands] == [1.0]
        assert explain(x[0], y.sum()).total == 1.0
        assert paths(x[0], y.sum()).total == 1.0


def test_an_element_of_a_function_as_a_value() -> None:
    class Both(rnn.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any) -> Any:
            ctx.save_for_backward(x, y)
            return x * y, x**3

        @staticmethod
        def backward(ctx: Any, g: Any, h: Any) -> Any:
            x, y = ctx.saved_tensors
            return g * y + h * 3 * x**2, g * x

    x = rnn.tensor([2.0, 3.0], requires_grad=True)
    y = rnn.tensor([5.0, 7.0], requires_grad=True)
    product, cube = (t.value(1) for t in Both.apply(x, y))
    assert product.op == product._op == product.node().op == "Both"
    assert [v.id for v in product.children] == [x.value(1).id, y.value(1).id]
    other = Both.apply(y, x)[0].value(1)  # the order is that of the arguments
    assert [v.id for v in other.children] == [y.value(1).id, x.value(1).id]
    assert cube._prev == {x.value(1)}
    product.grad, cube.grad = 1.0, 10.0
    product._backward()
    cube._backward()
    assert x.grad.tolist() == [0.0, 7.0 + 270.0] and y.grad.tolist() == [0.0, 3.0]


def test_what_is_opened_is_what_the_element_was_made_from() -> None:
    x = rnn.randn(4, requires_grad=True)
    opened = rnn.inspect.node(x.softmax(0), 2).open()
    assert len(opened) == len(opened.nodes()) == 14
    assert [n.label for n in opened.nodes() if n.op == "mul"] == ["mul[2]"]
    assert sum(n.is_leaf for n in opened.nodes(leaves=True)) == 5  # and the largest, a constant


def test_what_was_added_is_opened() -> None:
    x, y = rnn.tensor([1.0, 5.0], requires_grad=True), rnn.tensor([3.0, 4.0], requires_grad=True)
    for made in (
        x.scatter_add(0, rnn.tensor([0, 0]), y),
        x.index_add(0, rnn.tensor([0, 0]), y),
        x.index_put((rnn.tensor([0, 0]),), y, accumulate=True),
    ):
        opened = rnn.inspect.node(made, 0).open()
        assert opened.value == 8 and sorted(n.value for n in opened.inputs) == [1, 3, 4]
        assert set(opened.locals.values()) == {1.0}


def test_an_autograd_function_is_not_opened() -> None:
    m = rnn.eye(2, requires_grad=True)
    with pytest.raises(ValueError, match=r"an autograd\.Function: what its forward computes"):
        rnn.inspect.node(rnn.linalg.inv(m), 0, 0).open()

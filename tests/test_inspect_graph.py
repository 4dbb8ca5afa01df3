"""rnn.inspect's graph and nodes: public data, exact local derivatives, names, lifetimes."""

from __future__ import annotations

import doctest
import gc
import importlib
import json
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from typing import Any

import networkx
import numpy as np
import pytest

import rnn
from rnn._c import E, ffi, lib
from rnn.inspect import rows, scalars


def test_micrograd_example() -> None:
    a, b = rnn.Value(2.0), rnn.Value(-3.0)
    c = (a * b + 10) ** 2
    c.backward()
    n = rnn.inspect.node(c)
    assert (n.op, n.value, n.grad, n.name, n.label) == ("pow_scalar", 16.0, 1.0, "c", "c")
    assert n.span.parameters == (2.0,)
    [plus] = n.operands
    assert (plus.node.op, plus.node.value, plus.local) == ("add_scalar", 4.0, 8.0)
    [times] = plus.node.operands
    assert [(x.node.name, x.node.value, x.local) for x in times.node.operands] == [
        ("a", 2.0, -3.0),
        ("b", -3.0, 2.0),
    ]
    [use] = rnn.inspect.node(a).users
    assert (use.node.op, use.local) == ("mul", -3.0)
    assert str(rnn.inspect.node(a * b)).splitlines() == [
        "mul = -6.0, gradient None   made by mul",
        "              node   value   gradient   derivative",
        "  ------------------------------------------------",
        "  made from   a        2.0      -24.0         -3.0",
        "  made from   b       -3.0       16.0          2.0",
    ]


def test_graph_of_tensors() -> None:
    w = rnn.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    loss = (w * w).T.sum()
    loss.backward(retain_graph=True)
    g = rnn.inspect.graph(loss)
    assert (len(g), g.nodes) == (3, 9) and g.nodes == loss.graph_size()
    assert [(s.op, s.shape, s.name) for s in g.spans] == [
        ("leaf", (2, 2), "w"),
        ("mul", (2, 2), None),
        ("sum", (), "loss"),
    ]
    n = g.node(w, 1, 0)
    assert (n.name, n.value, n.grad, n.index, n.shape) == ("w[1, 0]", 3.0, 6.0, (1, 0), (2, 2))
    assert [(u.node.op, u.node.index, u.local) for u in n.users] == [("mul", (1, 0), 3.0)] * 2
    assert g.node(n.id) == n and n in g
    np.testing.assert_array_equal(g.spans[0].grads(), 2 * w.detach().numpy())
    assert [x.index for x in g.where(op="mul", value=lambda v: v > 4)] == [(1, 0), (1, 1)]


def test_a_graph_holds_what_it_shows() -> None:
    w = rnn.tensor([1.0, 2.0], requires_grad=True)
    loss = w.exp().sum()
    g = rnn.inspect.graph(loss)
    ids = [s.id for s in g.spans]
    loss.backward()
    del w, loss
    gc.collect()
    assert [s.id for s in g.spans] == ids and g.spans[0].name == "w"
    np.testing.assert_allclose(g.spans[1].values(), np.exp([1.0, 2.0]), 1e-6)
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        _ = g.node(ids[1]).operands


def test_where_looks_at_values_together() -> None:
    values = [rnn.Value(float(i)) for i in range(5)]
    total = rnn.Value(0.0)
    for v in values:
        total = total + (v - 2).relu()
    total.backward()
    g = rnn.inspect.graph(total, names={"third": values[3]})
    dead = list(g.where(op="relu", value=lambda v: v == 0))
    assert [n.op for n in dead] == ["relu"] * 3 and dead == sorted(dead, key=lambda n: n.id)
    assert [n.name for n in g.where(name="third")] == ["third"]
    assert len(list(g.where(op="leaf", grad=lambda d: d == 1))) == 3  # the first 0.0, 3 and 4
    assert len(list(g.where())) == g.nodes == len(g)
    assert not list(g.where(op="no such operation"))


def test_where_a_number_stands_for_itself() -> None:
    x = rnn.tensor([-1.0, 2.0, 3.0], requires_grad=True)
    y = x.relu()
    y.sum().backward(retain_graph=True)
    g = rnn.inspect.graph(y)
    assert [n.label for n in g.where(value=0)] == ["y[0]"]
    assert [n.label for n in g.where(op="leaf", grad=1.0)] == ["x[1]", "x[2]"]


def test_where_by_module_and_name() -> None:
    model = rnn.nn.Sequential(rnn.nn.Linear(2, 3), rnn.nn.ReLU(), rnn.nn.Linear(3, 1))
    loss = model(rnn.ones(4, 2)).sum()
    g = rnn.inspect.graph(loss)
    assert {s.name for s in g.spans if s.is_leaf} >= {"0.weight", "0.bias", "2.weight", "2.bias"}
    assert [n.name for n in g.where(name="0.weight[1, 0]")] == ["0.weight[1, 0]"]
    assert len(list(g.where(name="0.weight"))) == 6
    assert {n.span.name for n in g.where(module="2", op="leaf")} == {"2.weight", "2.bias"}
    loss.backward(retain_graph=True)
    for n in g.where(op="relu", grad=lambda d: d != 0):
        assert n.grad != 0


def test_columns_and_edges_are_the_chain_rule() -> None:
    x = rnn.randn(3, 4, dtype=rnn.float64, requires_grad=True)
    w = rnn.randn(4, 2, dtype=rnn.float64, requires_grad=True)
    loss = ((x @ w).tanh().softmax(1) * x[:, :2].detach()).sum()
    loss.backward(retain_graph=True)
    g = rnn.inspect.graph(loss)
    nodes, edges = g.columns(), g.edges()
    assert len(nodes["id"]) == g.nodes and set(nodes["op"]) >= {"matmul", "tanh", "softmax"}
    place = {int(n): i for i, n in enumerate(nodes["id"])}
    grads = np.zeros(g.nodes)
    grads[place[g.node(loss).id]] = 1.0
    order = np.argsort(-edges["user"], kind="stable")
    for user, operand, local, flows in zip(*(edges[key][order] for key in edges)):
        if flows:
            grads[place[int(operand)]] += grads[place[int(user)]] * local
    for t in (x, w):
        first = place[g.node(t, 0, 0).id]
        np.testing.assert_allclose(grads[first : first + t.numel()], t.grad.numpy().ravel(), 1e-12)
    at = place[g.node(x, 1, 2).id]
    assert (nodes["value"][at], nodes["grad"][at]) == (float(x[1, 2]), float(x.grad[1, 2]))
    with pytest.raises(ValueError, match="more than the limit of 10"):
        g.edges(limit=10)


def test_columns_know_names_modules_and_lines() -> None:
    model = rnn.nn.Sequential(rnn.nn.Linear(2, 3), rnn.nn.ReLU())
    x = rnn.ones(1, 2)
    with rnn.trace():
        y = model(x)
    g = rnn.inspect.graph(y.sum())
    rows = list(zip(*(g.columns()[key] for key in ("op", "name", "module", "line"))))
    assert len(rows) == g.nodes
    for row, node in zip(rows, g.where()):
        assert row == (node.op, node.span.name, node.module, node.line)
    line = "test_inspect_graph.py"
    named = {(op, name, module, text and text[: len(line)]) for op, name, module, text in rows}
    assert named == {
        ("leaf", "0.weight", "0", None), ("leaf", "0.bias", "0", None), ("leaf", "x", None, None),
        ("linear", None, "0", line), ("relu", "y", "1", line), ("sum", None, None, None),
    }  # fmt: skip


def test_json_is_valid_where_numbers_are_not() -> None:
    x = rnn.tensor([0.0, -1.0], requires_grad=True)
    g = rnn.inspect.graph(x.log().sum(), names={"x": x})
    read = json.loads(g.to_json(), parse_constant=lambda text: pytest.fail(text))
    assert [n["value"] for n in read["nodes"]] == [0.0, -1.0, "-inf", "nan", "nan"]
    assert [n["name"] for n in read["nodes"]][:2] == ["x[0]", "x[1]"]
    last = read["nodes"][-1]
    assert (last["shape"], last["index"], last["requires_grad"]) == ([], [], True)
    assert [(e["user"], e["operand"], e["local"]) for e in read["edges"]][:2] == [
        (g.spans[1].id, g.spans[0].id, "inf"),
        (g.spans[1].id + 1, g.spans[0].id + 1, -1.0),
    ]


def test_networkx() -> None:
    a = rnn.Value(3.0)
    g = rnn.inspect.graph(a * a + 1)
    drawn = g.to_networkx()
    assert networkx.is_directed_acyclic_graph(drawn)
    start = rnn.inspect.node(a).id
    assert [d["local"] for _, _, d in drawn.out_edges(start, data=True)] == [3.0, 3.0]
    assert drawn.nodes[start]["name"] == "a" and drawn.nodes[start]["value"] == 3.0


def test_what_is_not_there_is_an_error() -> None:
    x = rnn.randn(2, requires_grad=True)
    g = rnn.inspect.graph(x.exp())
    with pytest.raises(KeyError, match="not in this graph"):
        g.node(10**15)
    with pytest.raises(KeyError, match="not in this graph"):
        g.node(rnn.randn(2), 0)
    with pytest.raises(IndexError, match="index 2 is out of bounds"):
        g.node(x, 2)
    with pytest.raises(TypeError, match="not nodes"):
        rnn.inspect.graph(rnn.arange(3))
    with pytest.raises(TypeError, match="expected a Tensor"):
        rnn.inspect.graph("loss")
    with pytest.raises(TypeError, match="at least one"):
        rnn.inspect.graph()


def test_derivatives_of_overwritten_values_are_not_made_up() -> None:
    x = rnn.tensor([2.0, 3.0], requires_grad=True)
    y = (x * 1.0) * x
    n = rnn.inspect.node(y, 0)
    assert [edge.local for edge in n.operands] == [2.0, 2.0]
    with rnn.no_grad():
        x.mul_(10)
    assert all(np.isnan(edge.local) for edge in n.operands)


def test_names_follow_views_and_labels() -> None:
    x = rnn.arange(6.0).reshape(2, 3).requires_grad_()
    flipped = (x * 2).T
    assert rnn.inspect.node(flipped, 2, 0).name == "flipped[2, 0]"
    assert rnn.inspect.node(x, 1, 2).name == "x[1, 2]"
    v = rnn.Value(1.0, label="<b>")
    assert rnn.inspect.node(v).name == "<b>"
    assert "&lt;b&gt;" in rnn.inspect.explain(v, v * 2)._repr_html_()


@pytest.mark.parametrize(
    "module",
    ["explain", "export", "graph", "names", "node", "opened", "openers", "paths", "span", "tables"],
)
def test_examples_in_docstrings(module: str) -> None:
    found = doctest.testmod(
        importlib.import_module(f"rnn.inspect.{module}"), extraglobs={"rnn": rnn}
    )
    assert found.failed == 0


def test_a_graph_prints_as_a_table_of_its_spans() -> None:
    w = rnn.ones(2, 3, requires_grad=True)
    g = rnn.inspect.graph((w * w).sum(), names={"w": w})
    lines = str(g).splitlines()
    assert lines[0] == "3 spans, 13 nodes"
    assert [line.split()[1] for line in lines[3:]] == ["leaf", "mul", "sum"]
    assert lines[3].split()[2:] == ["[2,", "3]", "w", "6"]
    assert repr(g) == "<Graph of 3 spans and 13 nodes>" and "<table>" in g._repr_html_()
    v = rnn.Value(1.0)
    for _ in range(200):
        v = v + 1
    assert "... 141 more" in str(rnn.inspect.graph(v))


def test_uses_in_a_span_that_has_none() -> None:
    x = rnn.randn(3, requires_grad=True)
    n = rnn.inspect.node(x * 2, 0)
    assert n.uses_in(n.span) == [] and n.uses_in(rnn.inspect.node(x, 0).span) == []


def test_a_graph_that_is_alive_at_the_end_says_nothing() -> None:
    program = "import rnn; x = rnn.Value(1.0); g = rnn.inspect.graph(x * x); n = g.node(x)"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (out.returncode, out.stdout, out.stderr) == (0, "", "")


# ---- very many spans ----------------------------------------------------------------------------


def jumbled(apart: int) -> rnn.Value:
    """A graph whose records lie in the order in which others were let go."""
    order = np.random.default_rng(0).permutation(600)
    others = [rnn.Value(float(i)) for i in range(600)]
    for i in order:
        others[i] = None  # type: ignore[call-overload]
    values = [rnn.Value(1.0 + i / 8) for i in range(8)]
    for i in range(500):
        rnn.zeros(apart)  # takes ids
        a, b = values[(7 * i) % len(values)], values[(i * i) % len(values)]
        values.append((a * b).tanh() if i % 3 else a + b)
    return sum(values, rnn.Value(0.0))


@pytest.mark.parametrize("apart", [0, 100_000])
def test_the_tape_is_in_order_whatever_memory_it_lies_in(apart: int) -> None:
    loss = jumbled(apart)
    g = rnn.inspect.graph(loss)
    numbers, ids = g._numbers.tolist(), [span.id for span in g]
    assert numbers != sorted(numbers)  # what is tested
    assert ids == sorted(set(ids)) == g.columns()["id"].tolist()
    assert len(g) == g.nodes == loss.graph_size()
    for i in (0, 1, 250, len(g) - 1):
        assert g.node(ids[i]).span.id == ids[i] and g.spans[i] in g.spans
    if apart:
        with pytest.raises(KeyError):
            g.node(ids[7] + 1)


def test_users_are_those_whose_operand_it_is() -> None:
    loss = jumbled(0)
    g = rnn.inspect.graph(loss)
    expected: dict[int, list[int]] = {span.id: [] for span in g}
    for span in g:
        for operand in {o.span.id for o in span.operands}:
            expected[operand].append(span.id)
    assert {span.id: [user.id for user in span.users] for span in g} == expected


def test_a_fold_sums_up_what_lies_in_each_stretch_of_the_tape() -> None:
    x = rnn.randn(3, 4, requires_grad=True)
    loss = jumbled(0) + rnn.Value(2.0)
    whole = x.square().sum() + rnn.tensor([loss, loss * loss]).sum()
    whole.backward(retain_graph=True)
    g = rnn.inspect.graph(whole)
    begin = np.array([0, 1, 2, 30, 31, 300, len(g) - 3, len(g)])
    (infos, ops), links = rows._fold(g, begin)
    spans = list(g.spans)
    row_of = {s.id: r for r, (i, j) in enumerate(pairwise(begin)) for s in spans[i:j]}
    for r, (i, j) in enumerate(pairwise(begin)):
        part, info = spans[i:j], infos[r]
        assert info.nodes == sum(s.count for s in part) and info.first == part[0].id
        assert info.last == part[-1].id + part[-1].count - 1
        assert info.leaves == sum(s.is_leaf for s in part)
        assert info.value == max(np.abs(s.values()).max() for s in part)
        grads = [s.grads() for s in part if s.has_grad]
        assert bool(info.has_grad) == bool(grads)
        assert info.grad == max((np.abs(x).max() for x in grads), default=0)
        assert max(map(abs, info.strip)) == info.grad
        names = {ffi.string(lib.rnn_op_name(k)).decode(): n for k, n in enumerate(ops[r]) if n}
        assert names == Counter(s.op for s in part)
        into = [(row_of[o.span.id], r) for s in part for o in s.operands]
        into = [link for link in into if link[0] != r]
        assert [link for link in links if link[1] == r] == (
            into if j - i == 1 else list(dict.fromkeys(into))
        )


def test_ledgers_found_together_are_those_found_one_by_one() -> None:
    x = rnn.randn(5, requires_grad=True)
    loss = rnn.tensor([jumbled(0)]).sum() + (x.cumsum(0) * x).sum() + x.detach().sum()
    loss.backward(retain_graph=True)
    g = rnn.inspect.graph(loss)
    nodes = [g.node(x, i) for i in range(5)] + [g.spans[i].node(0) for i in range(0, len(g), 7)]
    found = scalars.ledgers(g, nodes)
    look = scalars._Reader({span.id: i for i, span in enumerate(g)})
    for n in nodes:
        ids, locals_, grads, count = found[n.id]
        one_by_one = look._uses(n)
        assert one_by_one is not None and count == one_by_one[3]
        for ours, theirs in zip((ids, locals_, grads), one_by_one):
            np.testing.assert_array_equal(ours, theirs)
        assert (np.diff(np.nan_to_num(np.abs(locals_ * grads))) <= 0).all()
        if count <= scalars.CHOSEN_EDGES and n.id != g.node(loss).id and n.grad is not None:
            assert np.nansum(locals_ * grads) == pytest.approx(n.grad, rel=1e-4, abs=1e-7)


def test_nan_is_the_largest_of_a_stretch() -> None:
    v = rnn.Value(-1.0)
    for _ in range(10):
        v = (v * 2.0).tanh()
    v = v.log() * 2.0  # nan, and a gradient of nan at v
    v = v * v
    v.backward(retain_graph=True)
    g = rnn.inspect.graph(v)
    (infos, _), _ = rows._fold(g, np.array([0, len(g)]))
    assert np.isnan([infos[0].value, infos[0].grad]).all()
    assert np.isnan(list(infos[0].strip)).any() and list(infos[0].strip)[-1] == 1.0


def test_without_memory_nothing_is_left_behind() -> None:
    loss = jumbled(100_000)
    before = rnn.memory_stats()["spans"]
    roots = list(rnn.inspect.graph(loss).roots)

    def look() -> None:
        g = rnn.inspect.Graph(roots, {})
        g._users  # noqa: B018
        rows._fold(g, np.array([0, 1, len(g)]))
        scalars.ledgers(g, [g.spans[0].node(0)])

    for n in range(1, 60):
        lib.rnn_fail_after(E, n)
        try:
            look()
            break
        except MemoryError:
            pass
        finally:
            lib.rnn_fail_after(E, 0)
            gc.collect()
    assert 5 < n < 59  # it failed at each allocation, and then did not
    roots.clear()
    gc.collect()
    assert rnn.memory_stats()["spans"] == before
    loss.backward()  # the search has left no mark


def test_modules_of_two_models() -> None:
    """Parameters belong to the module in which their operations are made."""

    class Model(rnn.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lin = rnn.nn.Linear(2, 2)

        def forward(self, x: Any) -> Any:
            return self.lin(x).sum()

    a, b = Model(), Model()
    g = rnn.inspect.graph(a(rnn.ones(1, 2)) + b(rnn.ones(1, 2)))
    assert {n.op for n in g.where(module="lin")} == {"leaf", "linear"}
    names = {"a.lin.weight", "a.lin.bias", "b.lin.weight", "b.lin.bias"}
    assert {n.span.name for n in g.where(module="lin", op="leaf")} == names
    assert {n.span.name for n in g.where(module="a.lin")} == {"a.lin.weight", "a.lin.bias"}
    assert {m for m in g.columns()["module"] if m} == {"lin", "Model"}

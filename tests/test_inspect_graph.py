"""rnn.inspect's graph and nodes: public data, exact local derivatives, names, lifetimes."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import rnn


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

"""Node.open(): an element of a fused operation as the scalar operations that it stands for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_table import ELEMENTWISE, ROWS, call, points

import rnn
from rnn._c import lib, op
from rnn.inspect import Node
from rnn.nn import functional as F

COMPOSITE = [name for name in ROWS if lib.rnn_op_composite(op(name))]
#: rows that a composition may be made of
SCALAR = {name for name in ROWS if not lib.rnn_op_composite(op(name))}


OTHERS: dict[str, Any] = {
    "sum": lambda x, y: x.sum(),
    "sum_dim": lambda x, y: x.sum(1),
    "mean": lambda x, y: x.mean(),
    "mean_dim": lambda x, y: x.T.mean(0),
    "var": lambda x, y: x.var(1),
    "std": lambda x, y: x.std(0, correction=0),
    "vector_norm": lambda x, y: x.norm(p=3, dim=1),
    "logsumexp": lambda x, y: x.logsumexp(1),
    "prod": lambda x, y: x.prod(),
    "prod_dim": lambda x, y: x.prod(1),
    "amax": lambda x, y: x.amax(1),
    "amin": lambda x, y: x.amin(0),
    "max": lambda x, y: x.max(),
    "min": lambda x, y: x.min(),
    "median": lambda x, y: x.median(),
    "nanmedian": lambda x, y: x.nanmedian(),
    "cumprod": lambda x, y: x.cumprod(1),
    "logcumsumexp": lambda x, y: x.logcumsumexp(0),
    "matmul": lambda x, y: x @ y,
    "linear": lambda x, y: F.linear(x, y.T, y[0]),
    "layer_norm": lambda x, y: F.layer_norm(x, (4,), y[:, 0], y[:, 1], eps=0.1),
    "rms_norm": lambda x, y: F.rms_norm(x.T, (3,), y[:3, 0]),
    "batch_norm": lambda x, y: F.batch_norm(x, None, None, y[:, 0], y[:, 1], training=True),
    "cross_entropy": lambda x, y: F.cross_entropy(x, rnn.tensor([1, -100, 3])),
    "attention": lambda x, y: F.scaled_dot_product_attention(
        x[None, None], y[None, None, :3], y[None, None, 1:], is_causal=True
    ),
    "conv2d": lambda x, y: F.conv2d(x[None, None], y[None, None, :2, :2], y[0, :1], padding=1),
    "max_pool2d": lambda x, y: F.max_pool2d(x[None, None], 2, 1),
    "avg_pool2d": lambda x, y: F.avg_pool2d(x[None, None], 2, 1, padding=1),
    "rnn_tanh": lambda x, y: recurrent(rnn.nn.RNN(4, 2), x),
    "rnn_relu": lambda x, y: recurrent(rnn.nn.RNN(4, 2, nonlinearity="relu", bias=False), x),
    "lstm": lambda x, y: recurrent(rnn.nn.LSTM(4, 2), x),
    "gru": lambda x, y: recurrent(rnn.nn.GRU(4, 2), x),
    "softmax": lambda x, y: x.softmax(1),
    "log_softmax": lambda x, y: x.log_softmax(0),
}  # fmt: skip


def recurrent(layer: Any, x: Any) -> Any:
    rnn.manual_seed(3)
    for p in layer.parameters():
        p.data = rnn.randn(*p.shape, dtype=rnn.float64)
    return layer.double()(x)[0]


def made(name: str) -> rnn.inspect.Span:
    """A span of the operation, behind a tensor of float64."""
    if name in ELEMENTWISE:
        tensors = [
            rnn.tensor(x, requires_grad=True) for x in points(name, lib.rnn_op_arity(op(name)))
        ]
        g = rnn.inspect.graph(call(name)(*tensors), names={})
    else:
        rng = np.random.default_rng(11)
        x, y = (rnn.tensor(rng.normal(size=s), requires_grad=True) for s in ((3, 4), (4, 4)))
        g = rnn.inspect.graph(OTHERS[name](x, y), names={})
    return [span for span in g.spans if span.op == name][-1]


def assert_is(opened: rnn.inspect.Opened, node: Node) -> None:
    """The same value and the same derivatives, by scalar operations alone."""
    np.testing.assert_allclose(opened.value, node.value, 1e-9, 1e-12)
    assert {n.op for n in opened.nodes()} <= SCALAR
    expected: dict[Node, float] = {}
    for edge in node.operands:
        expected[edge.node] = expected.get(edge.node, 0.0) + edge.local
    assert opened.locals.keys() == expected.keys()
    for n, local in expected.items():
        np.testing.assert_allclose(opened.locals[n], local, 1e-7, 1e-9, err_msg=n.label)


@pytest.mark.parametrize("name", sorted({*COMPOSITE, *ELEMENTWISE}))
def test_every_composite_opens_into_scalars(name: str) -> None:
    span = made(name)
    for offset in {0, span.count // 2, span.count - 1}:
        node = Node(span, offset)
        assert_is(node.open(), node)


def test_the_graph_gains_nothing() -> None:
    x = rnn.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x.softmax(0)
    loss = y[0] * 2
    size, users = loss.graph_size(), len(rnn.inspect.node(x, 1).users)
    opened = rnn.inspect.node(y, 0).open()
    assert loss.graph_size() == size and len(rnn.inspect.node(x, 1).users) == users
    assert x.grad is None and y.grad is None
    assert rnn.get_resolution() == "tensor"
    [copy] = [c for c, n in opened.inputs.items() if n == rnn.inspect.node(x, 1)]
    assert copy.value == 2.0 and opened.original(copy) == rnn.inspect.node(x, 1)
    assert opened.label(copy) == "x[1]" and "x[1]" in repr(opened)


def test_a_product_is_multiplications_and_additions() -> None:
    a = rnn.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    b = rnn.tensor([[5.0, 6.0], [7.0, 8.0]])
    opened = rnn.inspect.node(a @ b, 0, 1).open()
    assert [(n.op, n.value) for n in opened.nodes()] == [
        ("mul", 6.0),
        ("mul", 16.0),
        ("cumsum", 6.0),
        ("cumsum", 22.0),
    ]
    locals_ = {n.label: local for n, local in opened.locals.items()}
    assert locals_ == {"a[0, 0]": 6.0, "a[0, 1]": 8.0, "b[0, 1]": 1.0, "b[1, 1]": 2.0}


def test_values_open_too() -> None:
    v = rnn.Value(0.5)
    node = rnn.inspect.node(v.tanh() - v)
    assert_is(node.open(), node)
    assert_is(node.operands[0].node.open(), node.operands[0].node)


def test_extremes_of_softmax_and_given_statistics() -> None:
    x = rnn.tensor([[-800.0, 0.0, 800.0]], requires_grad=True)
    for i in range(3):
        node = rnn.inspect.node(x.softmax(1), 0, i)
        assert node.open().value == node.value
    mean, var = rnn.tensor([0.5, 1.0]), rnn.tensor([2.0, 3.0])
    y = rnn.randn(3, 2, requires_grad=True)
    node = rnn.inspect.node(F.batch_norm(y, mean, var), 2, 1)
    assert node.open().value == pytest.approx(node.value, 1e-5)


def test_what_cannot_be_opened_says_so() -> None:
    x = rnn.randn(3, requires_grad=True)
    with pytest.raises(ValueError, match=r"x\[0\] is a leaf"):
        rnn.inspect.node(x, 0).open()
    with pytest.raises(ValueError, match="made by gather"):
        rnn.inspect.node(x[[1, 0]], 0).open()
    y = x.tanh().sum()
    n = rnn.inspect.graph(y).spans[1].node(0)
    y.backward()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        n.open()


def test_what_was_overwritten_is_not_opened_but_said() -> None:
    x = rnn.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    before = rnn.inspect.node(y, 0)
    assert not before.span.overwritten and "written in place" not in str(before)
    y[0] = 7.0
    assert before.span.overwritten and "written in place" in str(before)
    after = rnn.inspect.node(y, 0)
    assert (after.op, after.value, after.span.overwritten) == ("assign", 7.0, False)
    assert before.open().value == 2.0  # x is as it was
    y.exp_()
    assert after.span.overwritten
    [exp] = [s for s in rnn.inspect.graph(y.sum()).spans if s.op == "exp"]
    with pytest.raises(RuntimeError, match="overwritten in place since"):
        exp.node(0).open()

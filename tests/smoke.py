"""A short program over the whole engine, for running under sanitizers: values, tensors, views,
gradients, failures.
"""

import gc

import numpy as np

import rnn


def values() -> None:
    a, b = rnn.Value(2.0), rnn.Value(-3.0)
    c = ((a * b + 10) ** 2 / a - b).tanh() + (a / 3).exp().log() - b.relu()
    c.backward()
    assert a.grad == a.grad


def tensors() -> None:
    x = rnn.randn(6, 5, requires_grad=True)
    w = rnn.randn(5, 4, requires_grad=True)
    bias = rnn.randn(4, requires_grad=True)
    for scalar in (False, True):
        with rnn.resolution("scalar" if scalar else "tensor"):
            y = (x @ w + bias).tanh()
            z = (
                y.softmax(-1)[:, 1:3].t().contiguous().sum()
                + y.max(1).values.mean()
                + (y[[0, 2]] * 2).sum()
            )
            z.backward()
    assert x.grad is not None and np.isfinite(x.grad.numpy()).all()


def in_place() -> None:
    out = rnn.zeros(3, 4)
    w = rnn.randn(4, requires_grad=True)
    out[1] = w * 2
    out[:, 2] += 1
    out.sum().backward()
    shared = out.detach().numpy()
    del out
    gc.collect()
    assert shared.shape == (3, 4)


def retained() -> None:
    """A retained gradient moves with its tensor when that is written in place."""
    w = rnn.ones(3, requires_grad=True)
    a = w * 1
    a.retain_grad()
    (a * 2).sum().backward(retain_graph=True)
    a.mul_(3)
    (a * 5).sum().backward()
    assert a.grad.tolist() == [7.0] * 3


def overwritten_element() -> None:
    x = rnn.ones(2, requires_grad=True)
    v = x.value(0) * x.value(0)
    with rnn.no_grad():
        x.add_(1)
    v.backward()


def inspection() -> None:
    """Uses, ledgers, paths and openings of spans of every family, and private passes that fail."""
    F = rnn.nn.functional
    x = rnn.randn(3, 4, dtype=rnn.float64, requires_grad=True)
    y = rnn.randn(4, 4, dtype=rnn.float64, requires_grad=True)
    image = x[None, None]
    opened = set("softmax layer_norm linear attention conv2d cross_entropy lstm gru std".split())
    for made in (
        x.softmax(1) + x.log_softmax(0) + x.cumprod(1) + x.logcumsumexp(0),
        F.layer_norm(x, (4,), y[0], y[1]) + F.batch_norm(x, None, None, y[0], y[1], training=True),
        F.linear(x, y.T, y[0]) @ y + F.rms_norm(x, (4,), y[2]),
        F.cross_entropy(x, rnn.tensor([1, -100, 3])) + x.std() + x.prod() + x.norm() + x.amax(),
        F.scaled_dot_product_attention(image, y[None, None, :3], y[None, None, 1:], is_causal=True),
        F.conv2d(image, y[None, None, :2, :2], y[0, :1], padding=1).sum() + x.logsumexp(1).sum(),
        F.max_pool2d(image, 2, 1).sum() + F.avg_pool2d(image, 2, 1, padding=1).sum(),
        *(getattr(rnn.nn, kind)(4, 2).double()(x)[0] for kind in ("RNN", "LSTM", "GRU")),
        rnn.where(x > 0, x, 2.0).masked_fill(x > 1, 0) + rnn.cat([x[:, 1:], y[:3, :1]], 1),
        y.index_add(0, rnn.tensor([0, 0, 1]), x) + y.clone().masked_fill_(y > 0, 1.0),
    ):
        loss = (made * 1.5).sum() + (x[[0, 0]] @ y).cumsum(0).sum() + x.expand(2, 3, 4).std()
        g = rnn.inspect.graph(loss)
        for leaf in (x, y):
            ledger = rnn.inspect.explain(leaf, loss, depth=2, index=(1, 1))
            assert ledger.gradient is None or abs(ledger.rounding) < 1e-9, made
            rnn.inspect.paths(leaf[1, 1], loss, k=3)
        g.edges()
        for span in g.spans:
            if span.op in opened:
                span.node(span.count - 1).open()
    freed = x.exp()
    g = rnn.inspect.graph(freed)
    del freed, loss
    gc.collect()
    assert len(g.columns()["id"]) == 24
    for count in range(1, 40):
        z = (x @ y).tanh().sum()
        rnn._c.lib.rnn_fail_after(rnn._c.E, count)
        try:
            rnn.inspect.explain(x, z, index=(0, 0))
            rnn.inspect.paths(x[0, 0], z)
        except MemoryError:
            pass
        finally:
            rnn._c.lib.rnn_fail_after(rnn._c.E, 0)
        assert x.grad is None and z.grad is None


def drawings() -> None:
    """A long graph in records that lie out of order: its list, its fold, its ledgers."""
    for apart in (0, 10_000):
        values = [rnn.Value(float(i)) for i in range(3_000)]
        del values[::3], values[1::2]
        x = v = rnn.Value(1.0)
        for i in range(5_000):
            if i < 500:
                rnn.zeros(apart)
            v = (v * x).tanh() if i % 7 else v + x
        v.backward(retain_graph=True)
        g = rnn.inspect.graph(v)
        assert [span.id for span in g] == sorted(g.columns()["id"].tolist())
        assert len(g.node(x).users) == 5_001  # x + x is two uses
        drawing = rnn.show(v, focus=[x, g.spans[4_000].id])
        assert drawing._scene.spans == len(g) and drawing.to_html() and drawing.to_svg()


def provenance() -> None:
    """Module scopes, traced lines and the words for a NaN: numbers and handles that C keeps."""
    x = rnn.tensor([[1.0, -1.0], [0.0, 2.0]], requires_grad=True)
    with rnn.trace():
        for _ in range(200):  # modules come and go: the table of their calls grows and is cleared
            y = rnn.nn.Sequential(rnn.nn.Linear(2, 2), rnn.nn.ReLU())(x)
        v = rnn.Value(2.0) * 3
    assert rnn.inspect.node(y, 0, 0).module == "1" and rnn.inspect.node(v).line
    with rnn.no_grad():
        cut = (x * 2).exp()
    assert rnn.inspect.why(x, (cut * y).sum()).kind in ("nonzero", "no_backward", "dead_relu")
    assert rnn.inspect.why(x, (cut.detach() * rnn.nn.Parameter(cut)).sum()).kind == "no_grad"
    for run in (
        lambda: x.t().log(),
        lambda: (rnn.Value(0.0) - 1).log(),
        lambda: rnn.where(x > 0, x.sqrt(), rnn.zeros(2, 2)).sum().backward(),
        lambda: rnn.ones(2).mul_(-1).sqrt_(),
    ):
        try:
            with rnn.detect_anomaly():
                run()
        except rnn.autograd.anomaly_mode.AnomalyError:
            continue
        raise AssertionError("no error")


def failing_hook() -> None:
    """Of a leaf that only the pass keeps."""

    def fails(g: rnn.Tensor) -> None:
        raise ValueError("hook")

    x = rnn.ones(3, requires_grad=True)
    x.register_hook(fails)
    y = (x * 2).sum()
    del x
    y.backward()


def failures() -> None:
    for bad in (
        overwritten_element,
        failing_hook,
        lambda: rnn.zeros(2, 3) @ rnn.zeros(4, 5),
        lambda: rnn.zeros(2**62, 2**62),
        lambda: rnn.zeros(3)[5],
        lambda: rnn.zeros(3).backward(),
        lambda: rnn.zeros(2, 3).view(7),
    ):
        try:
            bad()
        except (RuntimeError, ValueError, IndexError):
            continue
        raise AssertionError("no error")


for test in (values, tensors, in_place, retained, inspection, drawings, provenance, failures):
    test()
    gc.collect()
print("smoke passed")

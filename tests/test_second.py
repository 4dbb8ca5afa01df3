"""Gradients of gradients: grad(create_graph=True) and what stands on it, against PyTorch."""

import numpy as np
import pytest
import torch
from helpers import RESOLUTIONS
from test_autograd import live

import rnn
from rnn._c import lib
from rnn.autograd.rules import LINEAR, RULES
from rnn.ops._core import array_of


def _with_bias(m, x, w, b):
    return m.nn.functional.linear(x, w, b)


def _batch_norm(m, x, w, b, training):
    mean, var = m.full((4,), 0.3, dtype=m.float64), m.full((4,), 2.0, dtype=m.float64)
    return m.nn.functional.batch_norm(x, mean, var, w, b, training)


def _written(m, x):
    y = x * 2
    y[1:] = x[:2] ** 2
    z = y * x
    z[0] = 3.0
    return z.view(-1)[1:] ** 2


def f(name):
    return lambda m, *x: getattr(m.nn.functional, name)(*x)


#: name: (function of the module and tensors, shapes)
CASES = {
    "mul": (lambda m, a, b: a * b, (3, 4), (4,)),
    "sub": (lambda m, a, b: (a - b) ** 3, (3, 1), (4,)),
    "add alpha": (lambda m, a, b: m.add(a, b, alpha=3) ** 2, (3, 4), ()),
    "rsub": (lambda m, a: (2 - a) ** 3 / 5 + 7, (3,)),
    "rdiv": (lambda m, a: 2 / (a + 9), (3,)),
    "rpow": (lambda m, a: 2.5**a, (3,)),
    "0-d": (lambda m, a: a.exp() * a.sin(), ()),
    "empty": (lambda m, a: a.exp() * a, (0, 3)),
    "div": (lambda m, a, b: a / (b + 9), (3, 4), (3, 1)),
    "pow": (lambda m, a, b: (a + 9) ** b, (3,), (3,)),
    "pow 0": (lambda m, a: (a * 0) ** 3 + a**0, (3,)),
    "matmul": (lambda m, a, b: a @ b, (3, 4), (4, 2)),
    "matrix vector": (lambda m, a, b: a @ b, (3, 4), (4,)),
    "vector matrix": (lambda m, a, b: a @ b, (4,), (4, 3)),
    "dot": (lambda m, a, b: a @ b, (4,), (4,)),
    "batches": (lambda m, a, b: a @ b, (5, 1, 3, 4), (2, 4, 2)),
    "batches vector": (lambda m, a, b: a @ b, (2, 3, 4), (4,)),
    "linear": (_with_bias, (2, 3, 4), (5, 4), (5,)),
    "linear, no bias": (f("linear"), (4,), (5, 4)),
    "addmm": (lambda m, a, b, c: m.addmm(a, b, c), (3, 2), (3, 4), (4, 2)),
    "einsum": (lambda m, a, b: m.einsum("bij,bkj->bik", a, b), (2, 3, 4), (2, 5, 4)),
    "softmax": (lambda m, a: a.softmax(0), (3, 4)),
    "log_softmax": (lambda m, a: a.log_softmax(-1), (3, 4)),
    "cross_entropy": (
        lambda m, a: m.nn.functional.cross_entropy(a, m.tensor([1, -100, 3])), (3, 4),
    ),
    "cross_entropy sum": (
        lambda m, a: m.nn.functional.cross_entropy(a, m.tensor([1, 0, 3]), reduction="sum"),
        (3, 4),
    ),
    "cross_entropy none": (
        lambda m, a: m.nn.functional.cross_entropy(a, m.tensor([1, -100, 3]), reduction="none"),
        (3, 4),
    ),
    "cross_entropy smoothed": (
        lambda m, a: m.nn.functional.cross_entropy(a, m.tensor([1, 0, 3]), label_smoothing=0.1),
        (3, 4),
    ),
    "cross_entropy of places": (
        lambda m, a: m.nn.functional.cross_entropy(a, m.tensor([[1, 0], [3, 3]])),
        (2, 4, 2),
    ),
    "nll_loss": (
        lambda m, a: m.nn.functional.nll_loss(a.log_softmax(1) * a, m.tensor([1, 0, 3])),
        (3, 4),
    ),
    "kl_div": (lambda m, a, b: m.nn.functional.kl_div(a, b.softmax(0)), (3, 4), (3, 4)),
    "layer_norm": (
        lambda m, a, w, b: m.nn.functional.layer_norm(a, (4,), w, b), (3, 4), (4,), (4,),
    ),
    "layer_norm 2": (lambda m, a: m.nn.functional.layer_norm(a, (3, 4)), (2, 3, 4)),
    "rms_norm": (lambda m, a, w: m.nn.functional.rms_norm(a, (4,), w, 1e-5), (3, 4), (4,)),
    "group_norm": (lambda m, a, w: m.nn.functional.group_norm(a, 2, w), (3, 4, 2), (4,)),
    "batch_norm": (lambda m, *t: _batch_norm(m, *t, True), (6, 4, 2), (4,), (4,)),
    "batch_norm, fixed": (lambda m, *t: _batch_norm(m, *t, False), (6, 4, 2), (4,), (4,)),
    "conv2d": (
        lambda m, x, w, b: m.nn.functional.conv2d(x, w, b, stride=2, padding=1),
        (2, 4, 7, 6), (6, 4, 3, 3), (6,),
    ),
    "conv2d groups": (
        lambda m, x, w: m.nn.functional.conv2d(x, w, groups=2, dilation=2),
        (2, 4, 7, 6), (6, 2, 3, 3),
    ),
    "conv1d": (f("conv1d"), (2, 4, 7), (6, 4, 3)),
    "conv_transpose2d": (
        lambda m, x, w: m.nn.functional.conv_transpose2d(x, w, stride=2),
        (2, 4, 3, 3), (4, 2, 3, 3),
    ),
    "embedding": (
        lambda m, w: m.nn.functional.embedding(m.tensor([[0, 2], [1, 1]]), w) ** 3, (3, 4),
    ),
    "relu": (lambda m, a: a.relu() ** 2 * a, (9,)),
    "abs": (lambda m, a: a.abs() ** 3, (9,)),
    "clamp": (lambda m, a: a.clamp(-0.5, 0.5) ** 3, (9,)),
    "leaky_relu": (lambda m, a: m.nn.functional.leaky_relu(a, 0.2) ** 2, (9,)),
    "hardshrink": (lambda m, a: m.nn.functional.hardshrink(a) ** 3, (9,)),
    "softshrink": (lambda m, a: m.nn.functional.softshrink(a, 0.2) ** 3, (9,)),
    "threshold": (lambda m, a: m.nn.functional.threshold(a, 0.1, 2.0) ** 3, (9,)),
    "prelu": (lambda m, a, w: m.nn.functional.prelu(a, w) ** 3, (2, 3, 4), (3,)),
    "hardtanh": (lambda m, a: m.nn.functional.hardtanh(a) ** 3, (9,)),
    "softplus": (lambda m, a: m.nn.functional.softplus(a, 2.0), (9,)),
    "hardswish": (lambda m, a: m.nn.functional.hardswish(a * 3), (9,)),
    "gelu tanh": (lambda m, a: m.nn.functional.gelu(a, approximate="tanh"), (9,)),
    "elu far": (lambda m, a: m.nn.functional.elu(a * 1000), (9,)),
    "sum": (lambda m, a: a.sum(1) ** 3, (3, 4)),
    "mean": (lambda m, a: (a.mean(0, keepdim=True) * a) ** 2, (3, 4)),
    "var": (lambda m, a: a.var(1), (3, 4)),
    "std": (lambda m, a: a.std(), (3, 4)),
    "norm": (lambda m, a: a.norm(), (3, 4)),
    "norm 3": (lambda m, a: a.norm(3, 1), (3, 4)),
    "logsumexp": (lambda m, a: a.logsumexp(1), (3, 4)),
    "prod": (lambda m, a: a.prod(1), (3, 4)),
    "cumsum": (lambda m, a: a.cumsum(1) ** 2, (3, 4)),
    "cumprod": (lambda m, a: a.cumprod(1), (3, 4)),
    "logcumsumexp": (lambda m, a: a.logcumsumexp(1), (3, 4)),
    "max": (lambda m, a: a.max(1)[0] ** 3, (3, 4)),
    "amax": (lambda m, a: a.amax(1) ** 3, (3, 4)),
    "median": (lambda m, a: a.median() ** 3, (3, 3)),
    "sort": (lambda m, a: a.sort(1)[0] ** 3, (3, 4)),
    "topk": (lambda m, a: a.topk(2)[0] ** 3, (3, 4)),
    "cat": (lambda m, a, b: m.cat([a, b, a], 1) ** 2, (3, 4), (3, 2)),
    "stack": (lambda m, a, b: m.stack([a, b], 1) ** 3, (3, 4), (3, 4)),
    "index": (lambda m, a: a[m.tensor([0, 2, 0])] ** 3, (3, 4)),
    "gather": (lambda m, a: a.gather(1, m.tensor([[0, 2], [1, 1]])) ** 3, (3, 4)),
    "scatter_add": (
        lambda m, a, b: a.scatter_add(1, m.tensor([[0, 2], [1, 1]]), b) ** 3, (3, 4), (2, 2),
    ),
    "view": (lambda m, a: a[1:, ::2].t() ** 3, (3, 4)),
    "expand": (lambda m, a: a.expand(3, 4).contiguous() ** 3, (3, 1)),
    "where": (lambda m, a, b: m.where(a > b, a, b) ** 3, (3, 4), (3, 4)),
    "masked_fill": (lambda m, a: a.masked_fill(a > 0, 2.0) ** 3, (3, 4)),
    "max_pool2d": (lambda m, a: m.nn.functional.max_pool2d(a, 2) ** 3, (1, 2, 4, 4)),
    "avg_pool2d": (lambda m, a: m.nn.functional.avg_pool2d(a, 2) ** 3, (1, 2, 4, 4)),
    "bce": (
        lambda m, a, b: m.nn.functional.binary_cross_entropy(a.sigmoid(), b.sigmoid()), (5,), (5,),
    ),
    "bce logits": (
        lambda m, a, b: m.nn.functional.binary_cross_entropy_with_logits(a, b.sigmoid()),
        (5,), (5,),
    ),
    "huber": (lambda m, a, b: m.nn.functional.huber_loss(a, b, delta=0.7), (5,), (5,)),
    "xlogy": (lambda m, a, b: m.xlogy(a, b.exp()), (5,), (5,)),
    "lerp": (lambda m, a, b: m.lerp(a, b, 0.3) ** 3, (5,), (5,)),
    "asin": (lambda m, a: m.asin(a.tanh()) + m.acos(a.tanh()) ** 2 + m.atanh(a.tanh()), (5,)),
    "acosh": (lambda m, a: m.acosh(a.exp() + 1.1), (5,)),
    "erfinv": (lambda m, a: m.erfinv(a.tanh()), (5,)),
    "lgamma": (lambda m, a: m.lgamma(a.exp()) + m.digamma(a) ** 2, (3,)),
    "inv": (lambda m, a: m.linalg.inv(a + 4 * m.eye(3)), (2, 3, 3)),
    "det": (lambda m, a: m.linalg.det(a + 4 * m.eye(3)), (2, 3, 3)),
    "logdet": (lambda m, a: m.logdet(a + 4 * m.eye(3)), (2, 3, 3)),
    "solve": (lambda m, a, b: m.linalg.solve(a + 4 * m.eye(3), b), (3, 3), (3, 2)),
    "solve right": (
        lambda m, a, b: m.linalg.solve(a + 4 * m.eye(3), b, left=False), (2, 3, 3), (2, 2, 3),
    ),
    "cholesky": (lambda m, a: m.linalg.cholesky(a @ a.mT + m.eye(3)), (2, 3, 3)),
    "svdvals": (lambda m, a: m.linalg.svdvals(a), (3, 4)),
    "cond": (lambda m, a: m.linalg.cond(a), (3, 3)),
    "svd": (
        lambda m, a: (lambda u, s, v: u**2 @ (s**2).diag() @ v**2)(*m.linalg.svd(a, False)), (4, 3),
    ),
    "eigvalsh": (lambda m, a: m.linalg.eigvalsh(a + a.mT), (3, 3)),
    "eigh": (lambda m, a: (lambda w, v: v**2 @ w)(*m.linalg.eigh(a + a.mT)), (3, 3)),
    "qr": (lambda m, a: (lambda q, r: q**2 @ r**2)(*m.linalg.qr(a)), (4, 3)),
    "pinv": (lambda m, a: m.linalg.pinv(a), (4, 3)),
    "lstsq": (lambda m, a, b: m.linalg.lstsq(a, b).solution, (4, 3), (4, 2)),
    "solve_triangular": (
        lambda m, a, b: m.linalg.solve_triangular(a + 4 * m.eye(3), b, upper=True), (3, 3), (3, 2),
    ),
    "cholesky_solve": (
        lambda m, b, a: m.cholesky_solve(b, m.linalg.cholesky(a @ a.mT + m.eye(3))), (3, 2), (3, 3),
    ),
    "matrix_exp": (lambda m, a: m.matrix_exp(a), (3, 3)),
    "matrix_power": (lambda m, a: m.matrix_power(a + 4 * m.eye(3), -2), (3, 3)),
    "quantile": (lambda m, a, q: m.quantile(a, q.sigmoid()), (7,), (2,)),
    "conv3d": (f("conv3d"), (1, 2, 3, 3, 2), (2, 2, 2, 2, 2)),
    "cast": (lambda m, a: (a.float() ** 2).double() * a, (5,)),
    "in place": (_written, (3, 4)),
}  # fmt: skip
for _name in "exp exp2 expm1 sin cos tan tanh sigmoid sinh cosh asinh atan erf erfc square".split():
    CASES[_name] = (lambda m, a, name=_name: getattr(m, name)(a), (5,))
for _name in "log log2 log10 log1p sqrt rsqrt reciprocal".split():
    CASES[_name] = (lambda m, a, name=_name: getattr(m, name)(a.abs() + 0.3), (5,))
for _name in "gelu silu mish elu selu celu logsigmoid tanhshrink softsign".split():
    CASES[_name] = (f(_name), (9,))
for _name in "atan2 hypot logaddexp fmod remainder maximum fmin".split():
    CASES[_name] = (lambda m, a, b, name=_name: getattr(m, name)(a, b) ** 3, (5,), (5,))
for _name in "mse_loss smooth_l1_loss l1_loss".split():
    CASES[_name] = (f(_name), (3, 4), (3, 4))


#: PyTorch gives some zeros without memory
_FORCE = {torch.Tensor: {"force": True}, rnn.Tensor: {}}


def _numbers(tensors):
    return [None if t is None else t.detach().numpy(**_FORCE[type(t)]) for t in tensors]


def _first_and_second(m, fn, arrays):
    """The gradients of fn, weighted at random, and the gradients of a function of those."""
    x = [m.tensor(a, requires_grad=True) for a in arrays]
    y = fn(m, *x)
    weights = m.tensor(np.random.default_rng(1).standard_normal(tuple(y.shape)))
    slopes = m.autograd.grad((y * weights).sum(), x, create_graph=True, allow_unused=True)
    total = sum((g**2).sum() + g.cos().sum() for g in slopes if g is not None)
    second = [None] * len(x)
    if total.requires_grad:
        second = m.autograd.grad(total, x, allow_unused=True)
    return _numbers(slopes), _numbers(second)


@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize("name", CASES)
def test_second_derivatives(name, resolution):
    fn, *shapes = CASES[name]
    rng = np.random.default_rng(0)
    arrays = [np.asarray(rng.standard_normal(shape)) for shape in shapes]
    expected = _first_and_second(torch, fn, arrays)
    with rnn.resolution(resolution):
        found = _first_and_second(rnn, fn, arrays)
    for shape, *numbers in zip(shapes * 2, expected[0] + expected[1], found[0] + found[1]):
        want, got = [np.zeros(shape) if a is None else a for a in numbers]
        np.testing.assert_allclose(got, want, 1e-6, 1e-8)


@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize(
    "fn, shapes",
    [  # PyTorch has no second derivative of these
        (
            lambda q, k, v: rnn.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True),
            [(1, 2, 4, 3)] * 3,
        ),
        (lambda q: rnn.nn.functional.scaled_dot_product_attention(q, q, q * 2), [(2, 3, 4)]),
        (lambda x: rnn.nn.functional.hardsigmoid(x) ** 3, [(4,)]),
    ],
)
def test_against_differences(fn, shapes, resolution):
    rnn.manual_seed(0)
    x = [rnn.randn(shape, dtype=rnn.float64, requires_grad=True) for shape in shapes]
    with rnn.resolution(resolution):
        assert rnn.autograd.gradgradcheck(fn, x)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize(
    "options",
    [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False, "batch_first": True}],
    ids=["plain", "both ways", "no bias"],
)
def test_recurrent(kind, options):
    found = []
    for m in (torch, rnn):
        m.manual_seed(0)
        layer = getattr(m.nn, kind)(3, 4, **options).double()
        x = m.randn(5, 2, 3, dtype=m.float64, requires_grad=True)
        wanted = [x, *layer.parameters()]
        out, state = layer(x)
        state = state[0] * state[1] if kind == "LSTM" else state
        slopes = m.autograd.grad((out**2).sum() + state.sum(), wanted, create_graph=True)
        found.append(_numbers(m.autograd.grad(sum((g**2).sum() for g in slopes), wanted)))
    for want, got in zip(*found):
        np.testing.assert_allclose(got, want, 1e-7, 1e-9)


def test_packed_sequences():
    found = []
    for m in (torch, rnn):
        m.manual_seed(0)
        layer = m.nn.GRU(3, 4).double()
        x = m.randn(5, 3, 3, dtype=m.float64, requires_grad=True)
        packed = m.nn.utils.rnn.pack_padded_sequence(x, m.tensor([5, 3, 2]))
        out = m.nn.utils.rnn.pad_packed_sequence(layer(packed)[0])[0]
        (slope,) = m.autograd.grad((out**2).sum(), x, create_graph=True)
        found.append(_numbers(m.autograd.grad((slope**2).sum(), [x, *layer.parameters()])))
    for want, got in zip(*found):
        np.testing.assert_allclose(got, want, 1e-7, 1e-9)


def test_every_differentiable_operation_has_a_rule():
    leaf, custom = 0, lib.rnn_op_find(b"custom")
    every = set(range(lib.rnn_op_count())) - {leaf, custom}
    assert not every - set(RULES) - LINEAR
    assert not set(RULES) & LINEAR


# ---- the graph of the gradients ------------------------------------------------------------------


def both(fn):
    """What fn gives under PyTorch and here."""
    return fn(torch), fn(rnn)


def test_higher_orders():
    def orders(m):
        x = m.tensor([0.3, 1.2], dtype=m.float64, requires_grad=True)
        y, found = (x.sin() * x**2).sum(), []
        for _ in range(5):
            (g,) = m.autograd.grad(y, x, create_graph=True)
            found.append(g.tolist())
            y = g.sum()
        return found

    want, got = both(orders)
    np.testing.assert_allclose(got, want, 1e-12)


def test_gradients_are_tensors_of_the_graph():
    def described(m):
        x = m.tensor([1.0, 2.0], requires_grad=True)
        a = m.autograd.grad((x**3).sum(), x, create_graph=True)
        b = m.autograd.grad((x * 2).sum(), x, create_graph=True)
        return repr(a), repr(b), b[0].requires_grad

    want, got = both(described)
    assert got == want


def test_a_gradient_can_be_explained():
    x = rnn.tensor([1.0, 2.0], requires_grad=True)
    (g,) = rnn.autograd.grad((x**3).sum(), x, create_graph=True)
    g.sum().backward(retain_graph=True)
    ledger = rnn.inspect.explain(x.value(1), g.sum())
    assert x.grad.tolist() == [6.0, 12.0]
    assert sum(entry.contribution for entry in ledger) == 12.0


def test_backward_through_a_gradient_penalty():
    def trained(m):
        m.manual_seed(0)
        critic = m.nn.Sequential(
            m.nn.Linear(4, 8), m.nn.LeakyReLU(0.2), m.nn.LayerNorm(8), m.nn.Linear(8, 1)
        )
        optimizer = m.optim.Adam(critic.parameters(), 0.01)
        for _ in range(5):
            x = m.randn(6, 4, requires_grad=True)
            out = critic(x)
            (slope,) = m.autograd.grad(out, x, m.ones_like(out), create_graph=True)
            loss = ((slope.norm(2, dim=1) - 1) ** 2).mean() + out.mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return loss.item()

    want, got = both(trained)
    assert got == pytest.approx(want, abs=1e-5)


def test_inputs_inside_the_graph_and_views():
    def found(m):
        w = m.tensor(np.arange(12.0).reshape(3, 4), requires_grad=True)
        v = w * 2
        u = v[1:].t()
        loss = (u**3).sum()
        slopes = m.autograd.grad(loss, [w, v, u], create_graph=True)
        return _numbers(slopes) + _numbers(m.autograd.grad(slopes[0].sum(), w))

    for want, got in zip(*both(found)):
        np.testing.assert_allclose(got, want)


def test_a_path_from_one_input_to_another_counts_for_both():
    def found(m):
        x = m.tensor([0.5, 2.0], requires_grad=True)
        y = x.exp()
        slopes = m.autograd.grad((y * x).sum(), [x, y], create_graph=True)
        return _numbers(slopes) + _numbers(m.autograd.grad(slopes[0].sum(), x))

    for want, got in zip(*both(found)):
        np.testing.assert_allclose(got, want, 1e-6)


def test_grad_outputs_take_gradients_too():
    def found(m):
        x = m.tensor([1.0, 2.0], requires_grad=True)
        v = m.tensor([3.0, 4.0], requires_grad=True)
        (g,) = m.autograd.grad(x**2, x, v, create_graph=True)
        return _numbers(m.autograd.grad(g.sum(), [x, v]))

    for want, got in zip(*both(found)):
        np.testing.assert_allclose(got, want)


def test_hooks_and_dtype():
    def found(m):
        x = m.tensor([1.0, 2.0], requires_grad=True)
        h = x * x
        h.register_hook(lambda g: g * x)
        (g,) = m.autograd.grad((h.double() ** 2).sum(), x, create_graph=True)
        assert g.dtype is m.float32
        return _numbers([g]) + _numbers(m.autograd.grad(g.sum(), x))

    for want, got in zip(*both(found)):
        np.testing.assert_allclose(got, want)


def test_functions():
    def found(m):
        class Two(m.autograd.Function):
            @staticmethod
            def forward(ctx, x, y, factor):
                ctx.save_for_backward(x, y)
                ctx.factor = factor
                return x * y * factor, x + y

            @staticmethod
            def backward(ctx, d1, d2):
                x, y = ctx.saved_tensors
                return d1 * y * ctx.factor + d2, d1 * x * ctx.factor + d2, None

        class Once(m.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x**3

            @staticmethod
            @m.autograd.function.once_differentiable
            def backward(ctx, d):
                (x,) = ctx.saved_tensors
                return d * 3 * x**2

        x = m.tensor([1.0, 2.0], requires_grad=True)
        a, b = Two.apply(x, x * 2, 3.0)
        (g,) = m.autograd.grad((a * b).sum(), x, create_graph=True)
        (second,) = m.autograd.grad(g.sum(), x)
        (once,) = m.autograd.grad(Once.apply(x).sum(), x, create_graph=True)
        assert not once.requires_grad
        (twice,) = m.autograd.grad((Once.apply(x) ** 2).sum(), x, create_graph=True)
        with pytest.raises(RuntimeError, match="differentiate twice a function"):
            twice.sum().backward()
        return _numbers([g, second, once, twice])

    for want, got in zip(*both(found)):
        np.testing.assert_allclose(got, want)


def test_functions_that_save_their_outputs():
    """What backward reads of an output depends on the arguments."""

    def orders(m, apply, x):
        y, found = apply(x), []
        for _ in range(3):
            (g,) = m.autograd.grad(y.sum(), x, create_graph=True)
            found.append(g.tolist())
            y = g
        return found

    def classes(m):
        class Exp(m.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                y = x.exp()
                ctx.save_for_backward(y)
                return y

            @staticmethod
            def backward(ctx, d):
                return d * ctx.saved_tensors[0]

        class Apart(Exp):
            @staticmethod
            def forward(x):
                return x.exp()

            @staticmethod
            def setup_context(ctx, inputs, output):
                ctx.save_for_backward(output)

        class Both(m.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                y, z = x.exp(), x.sin()
                ctx.save_for_backward(x, y, z)
                return y, z

            @staticmethod
            def backward(ctx, d, e):
                x, y, z = ctx.saved_tensors
                return d * y + e * x.cos() * (z**2 + x.cos() ** 2)

        return Exp, Apart, Both

    def found(m, classes):
        one, apart, two = classes
        x = m.tensor([0.5, 1.0], dtype=m.float64, requires_grad=True)
        ways = [
            one.apply,
            apart.apply,
            lambda t: one.apply(one.apply(t) * t),
            lambda t: two.apply(t)[0],
            lambda t: two.apply(t)[1],
            lambda t: (lambda y, z: y * z + y)(*two.apply(t)),
        ]
        return [orders(m, way, x) for way in ways]

    ours = classes(rnn)
    np.testing.assert_allclose(found(rnn, ours), found(torch, classes(torch)), 1e-12)
    before = live()
    found(rnn, ours)
    assert live() == before


def test_values():
    def found(m, number):
        a, b = number(2.0), number(3.0)
        y = (a * b + a**3).tanh() * a.exp()
        ga, gb = m.autograd.grad(y, [a, b], create_graph=True)
        return [float(g) for g in (ga, gb, *m.autograd.grad(ga, [a, b]))]

    want = found(torch, lambda x: torch.tensor(x, dtype=torch.float64, requires_grad=True))
    got = found(rnn, rnn.Value)
    np.testing.assert_allclose(got, want, 1e-12)


def test_what_cannot_be():
    x = rnn.tensor([1.0, 2.0], requires_grad=True)
    loss = (x * x).sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="a second time"):
        rnn.autograd.grad(loss, x, create_graph=True)
    with pytest.raises(RuntimeError, match="not have been used"):
        rnn.autograd.grad((x * 2).sum(), rnn.ones(2, requires_grad=True), create_graph=True)
    y = x.exp()
    loss = (y * x).sum()
    with rnn.no_grad():
        y.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        rnn.autograd.grad(loss, x, create_graph=True)


def test_nothing_is_left_behind():
    x = rnn.randn(100, requires_grad=True)

    def step():
        (g,) = rnn.autograd.grad((x.tanh() ** 2).sum(), x, create_graph=True)
        (g**2).sum().backward()
        x.grad = None

    step()
    before = live()
    for _ in range(20):
        step()
    assert live() == before


# ---- torch.autograd.functional -------------------------------------------------------------------


def _flat(x):
    return [a for t in x for a in _flat(t)] if isinstance(x, tuple) else _numbers([x])


def _two(a, b):
    return (a.exp() * b).sum() + (a * a * a).sum()


@pytest.mark.parametrize(
    "fn",
    [
        lambda F, x, y: F.hessian(_two, (x, y)),
        lambda F, x, y: F.hessian(lambda a: (a**3).prod(), x),
        lambda F, x, y: F.hvp(_two, (x, y), (y, x)),
        lambda F, x, y: F.vhp(_two, (x, y), (y, x)),
        lambda F, x, y: F.hvp(lambda a: (a**3).sum(), x, y),
        lambda F, x, y: F.jvp(lambda a, b: (a * b, a.sum()), (x, y), (y, x)),
        lambda F, x, y: F.jvp(lambda a: a.sin(), x, y),
        lambda F, x, y: F.vjp(lambda a, b: a * b, (x, y), x),
        lambda F, x, y: F.vjp(lambda a: (a.exp(), a * 2), x, (x, y)),
        lambda F, x, y: F.jacobian(lambda a, b: (a * b, a.sum()), (x, y)),
        lambda F, x, y: F.jacobian(lambda a: a * 0 + 1, x, create_graph=True),
        lambda F, x, y: F.hessian(lambda a: a.sum(), x),
    ],
)
def test_functional(fn):
    def found(m):
        x = m.tensor([0.5, -1.0, 2.0], dtype=m.float64)
        y = m.tensor([1.0, 3.0, -2.0], dtype=m.float64)
        return _flat(fn(m.autograd.functional, x, y))

    want, got = both(found)
    assert len(want) == len(got)
    for a, b in zip(want, got):
        np.testing.assert_allclose(b, a, 1e-10)


@pytest.mark.parametrize(
    "fn",
    [
        lambda F, x: F.hessian(lambda a: a * 2, x),
        lambda F, x: F.hessian(lambda a: (a.sum(), a.sum()), x),
        lambda F, x: F.hvp(lambda a: a.sum(), x),
        lambda F, x: F.hvp(lambda a: a.sum(), x, x[:2]),
        lambda F, x: F.hvp(lambda a: a.sum(), x, (x, x)),
        lambda F, x: F.vjp(lambda a: a * 2, x),
        lambda F, x: F.jvp(lambda a: a * 2, x),
        lambda F, x: F.jacobian(lambda a: x * 2, x, strict=True),
        lambda F, x: F.jacobian(lambda a: (a.sum(), x * 2), x, strict=True),
        lambda F, x: F.jacobian(lambda a, b: a * 2, (x, x), strict=True),
        lambda F, x: F.hessian(lambda a: a.sum(), x, strict=True),
        lambda F, x: F.hessian(lambda a: x.sum(), x, strict=True),
        lambda F, x: F.vjp(lambda a: x * 2, x, x, strict=True),
        lambda F, x: F.vjp(lambda a, b: a * 2, (x, x), x, strict=True),
        lambda F, x: F.jvp(lambda a: x * 2, x, x, strict=True),
        lambda F, x: F.jvp(lambda a: a * 2, x, x[:2]),
        lambda F, x: F.jvp(lambda a, b: a * 2, (x, x), (x, x[:2])),
        lambda F, x: F.hvp(lambda a: x.sum(), x, x, strict=True),
        lambda F, x: F.hvp(lambda a: a.sum(), x, x, strict=True),
        lambda F, x: F.hvp(lambda a: 3.0, x, x),
        lambda F, x: F.vhp(lambda a: (a.sum(), a.sum()), x, x),
    ],
)
def test_functional_errors(fn):
    for m in (torch, rnn):
        with pytest.raises((RuntimeError, TypeError)) as raised:
            fn(m.autograd.functional, m.tensor([1.0, 2.0, 3.0]))
        text = str(raised.value).replace("torch.", "rnn.")
        if m is torch:
            want = type(raised.value), text
    assert (type(raised.value), text) == want


def test_the_result_can_be_differentiated():
    def found(m):
        x = m.tensor([0.5, -1.0], dtype=m.float64, requires_grad=True)
        h = m.autograd.functional.hessian(lambda a: (a**4).sum(), x, create_graph=True)
        return _numbers(m.autograd.grad(h.sum(), x))

    want, got = both(found)
    np.testing.assert_allclose(got, want)


def test_gradgradcheck_finds_a_wrong_second_derivative():
    class Wrong(rnn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, d):
            (x,) = ctx.saved_tensors
            return d * rnn.tensor(3 * array_of(x) ** 2)  # right, but a constant

    x = rnn.randn(3, dtype=rnn.float64, requires_grad=True)
    assert rnn.autograd.gradcheck(Wrong.apply, x)
    with pytest.raises(rnn.autograd.GradcheckError):
        rnn.autograd.gradgradcheck(Wrong.apply, x)
    assert rnn.autograd.gradgradcheck(lambda x: x**3, x)


@pytest.mark.parametrize("name", "div mul pow exp tanh sigmoid sqrt reciprocal".split())
def test_second_derivatives_within_the_graph(name):
    """By a result, and through a hook on it: what a derivative reads, PyTorch's reads too."""

    def run(lib, hook):
        x, y = (lib.tensor([a, 2.0], requires_grad=True) for a in (0.5, 1.5))
        given = (x, y) if name in ("div", "mul", "pow") else (x,)
        z = getattr(lib, name)(*given)
        if hook:
            z.register_hook(lambda g: 2 * g)
        first = lib.autograd.grad((z * z).sum(), given, create_graph=True)
        loss = sum((g * g).sum() for g in first)
        if hook:
            return [g.tolist() for g in lib.autograd.grad(loss, given)]
        return [g.tolist() for g in lib.autograd.grad(loss, [z, *given])]

    for hook in (False, True):
        for ours, theirs in zip(run(rnn, hook), run(torch, hook)):
            assert ours == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize("power", [1, 2, 3, 4])
def test_derivatives_of_a_power_until_they_are_0(power):
    def run(lib):
        x = lib.tensor([1.5, -0.5], requires_grad=True)
        y, found = x**power, []
        while y.requires_grad:
            (y,) = lib.autograd.grad(y.sum(), x, create_graph=True)
            found.append(y.tolist())
        return found

    ours, theirs = run(rnn), run(torch)
    assert ours[-1] == [0.0, 0.0]
    assert len(ours) <= len(theirs)  # PyTorch's go on for a while: zeros
    for a, b in zip(ours, theirs):
        assert a == pytest.approx(b)


def test_the_second_derivative_of_abs_is_0():
    x = rnn.tensor([1.5, -0.5], requires_grad=True)
    (g,) = rnn.autograd.grad(x.abs().sum(), x, create_graph=True)
    assert g.tolist() == [1.0, -1.0]
    assert rnn.autograd.grad(g.sum(), x)[0].tolist() == [0.0, 0.0]


def test_a_factor_that_is_not_read_may_be_overwritten():
    """The gradient of a product by one factor reads the other alone."""

    def found(m):
        x = m.tensor([1.0, 2.0], requires_grad=True)
        y = x * x
        loss = (y * m.tensor([3.0, 4.0])).sum() + (y @ m.tensor([1.0, 2.0]))
        with m.no_grad():
            y.mul_(2)
        (g,) = m.autograd.grad(loss, x, create_graph=True)
        return _numbers([g]) + _numbers(m.autograd.grad(g.sum(), x))

    for want, got in zip(*both(found)):
        np.testing.assert_allclose(got, want)
    x = rnn.tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    loss = (y * y).sum()
    with rnn.no_grad():
        y.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        rnn.autograd.grad(loss, x, create_graph=True)


@pytest.mark.parametrize(
    "name", "relu leaky_relu hardtanh relu6 elu softshrink hardshrink".split()
)
def test_the_second_derivative_of_lines_is_0(name):
    """Of a network of them by its input: a zero, where it is found in PyTorch, and no error."""

    def found(m):
        x = m.tensor([[0.5, -2.0, 7.0, 1e30]], requires_grad=True)
        w = m.tensor([[2.0, 1.0, 3.0, 1.0]], requires_grad=True)
        y = getattr(m.nn.functional, name)(x * w)
        (g,) = m.autograd.grad(y.sum(), x, create_graph=True)
        return _numbers([g]) + _numbers(m.autograd.grad(g.sum(), [x, w]))

    for want, got in zip(*both(found)):
        np.testing.assert_allclose(got, want, 1e-6)

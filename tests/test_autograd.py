"""Grad modes, passes, grad(), grad_fn: what a program sees of autograd, beside PyTorch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import helpers
import numpy as np
import pytest
import torch

import rnn

BOTH = pytest.mark.parametrize("m", [torch, rnn], ids=["torch", "rnn"])


def same(fn: Callable[[Any], Any]) -> None:
    """fn(module) gives the same under torch and under rnn: numbers, texts, lists, tensors."""
    theirs, ours = plain(fn(torch)), plain(fn(rnn))
    assert equal(ours, theirs), f"{ours}, not {theirs}"


def plain(x: Any) -> Any:
    if isinstance(x, (list, tuple)):
        return [plain(y) for y in x]
    return helpers.to_numpy(x).tolist() if helpers._is_tensor(x) else x


def equal(a: Any, b: Any) -> bool:
    if isinstance(b, list):
        return isinstance(a, list) and len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b))
    if isinstance(b, float):
        return isinstance(a, float) and bool(np.isclose(a, b, rtol=1e-5, equal_nan=True))
    return type(a) is type(b) and bool(a == b)


def leaf(m: Any, *shape: int, seed: int = 0, dtype: str = "float32") -> Any:
    values = np.random.default_rng(seed).uniform(0.5, 2, shape).astype(dtype)
    return m.from_numpy(values).clone().requires_grad_()


# ---- grad mode -----------------------------------------------------------------------------------


@BOTH
def test_no_grad_and_enable_grad_nest(m):
    x = leaf(m, 2)
    with m.no_grad():
        assert not m.is_grad_enabled()
        assert not (x * 2).requires_grad
        with m.enable_grad():
            assert m.is_grad_enabled()
            assert (x * 2).requires_grad
            with m.no_grad():
                assert not m.is_grad_enabled()
            assert m.is_grad_enabled()
        assert not m.is_grad_enabled()
    assert m.is_grad_enabled()


@BOTH
def test_modes_end_with_exceptions(m):
    for mode in (m.no_grad, m.inference_mode, lambda: m.set_grad_enabled(False)):
        with pytest.raises(ZeroDivisionError), mode():
            assert not m.is_grad_enabled()
            raise ZeroDivisionError
        assert m.is_grad_enabled()
        assert not m.is_inference_mode_enabled()


@BOTH
@pytest.mark.parametrize("bare", [True, False], ids=["bare", "called"])
@pytest.mark.parametrize("name", ["no_grad", "enable_grad", "inference_mode"])
def test_decorators_of_functions_methods_and_generators(m, name, bare):
    mode = getattr(m, name)
    decorate = mode if bare else mode()
    inside = name == "enable_grad"

    @decorate
    def function(a, *, b=2):
        """Its text."""
        assert m.is_grad_enabled() is inside
        return a + b

    class Thing:
        @decorate
        def method(self, x):
            assert m.is_grad_enabled() is inside
            return self, x

    @decorate
    def generator(n):
        for i in range(n):
            assert m.is_grad_enabled() is inside
            got = yield i
            assert got is None or got == 10 * i
        return "end"

    with m.set_grad_enabled(not inside):
        outside = m.is_grad_enabled()
        assert function(1, b=5) == 6
        assert (function.__name__, function.__doc__) == ("function", "Its text.")
        thing = Thing()
        assert thing.method(3) == (thing, 3)
        body = generator(3)
        assert next(body) == 0
        assert m.is_grad_enabled() is outside
        assert body.send(0) == 1
        assert body.send(10) == 2
        with pytest.raises(StopIteration) as stop:
            body.send(20)
        assert stop.value.value == "end"
        assert m.is_grad_enabled() is outside
    assert m.is_grad_enabled()


@BOTH
def test_decorated_generators_get_exceptions_and_close(m):
    seen = []

    @m.no_grad()
    def generator():
        try:
            while True:
                try:
                    yield m.is_grad_enabled()
                except KeyError:
                    seen.append(m.is_grad_enabled())
        finally:
            seen.append(("closed", m.is_grad_enabled()))

    body = generator()
    assert next(body) is False
    assert body.throw(KeyError("x")) is False
    assert m.is_grad_enabled()
    body.close()
    assert seen == [False, ("closed", False)]
    assert m.is_grad_enabled()


@BOTH
def test_a_decorated_function_may_recur(m):
    @m.no_grad()
    def down(n):
        assert not m.is_grad_enabled()
        return 0 if n == 0 else 1 + down(n - 1)

    assert down(5) == 5
    assert m.is_grad_enabled()


@BOTH
def test_set_grad_enabled_is_a_call_a_context_and_a_decorator(m):
    try:
        m.set_grad_enabled(False)
        assert not m.is_grad_enabled()
        m.set_grad_enabled(True)
        assert m.is_grad_enabled()
        with m.set_grad_enabled(False) as _:
            assert not m.is_grad_enabled()
        assert m.is_grad_enabled()

        @m.set_grad_enabled(False)
        def function():
            return m.is_grad_enabled()

        assert m.is_grad_enabled()
        assert function() is False
        assert m.is_grad_enabled()
    finally:
        m.set_grad_enabled(True)


@BOTH
def test_inference_mode(m):
    x = leaf(m, 2)
    with m.inference_mode():
        assert m.is_inference_mode_enabled()
        assert not (x * 2).requires_grad
        with m.inference_mode(False):
            assert not m.is_inference_mode_enabled()
            assert m.is_grad_enabled()
            assert (x * 2).requires_grad
        assert m.is_inference_mode_enabled()
    assert not m.is_inference_mode_enabled()

    @m.inference_mode(mode=True)
    def function():
        return m.is_inference_mode_enabled()

    assert function()


@BOTH
@pytest.mark.parametrize("resolution", ["tensor", "scalar"])
def test_inference_tensors(m, resolution):
    """What inference_mode made belongs to no graph afterwards; a clone of it does."""
    normal, x = m.ones(3), leaf(m, 3)
    with rnn.resolution(resolution), m.inference_mode():
        made, product, inside = m.ones(3), normal * x, m.ones(2, requires_grad=True)
        made.add_(1)
        normal.mul_(2)
        with m.enable_grad():
            assert not (x * 2).requires_grad
        with m.inference_mode(False):
            assert (x * 2).requires_grad and not (x * 2).is_inference()
        assert all(t.is_inference() for t in (made, product, made[1:], inside, m.randn(3), x + 1))
        assert not any(t.is_inference() for t in (normal, x, normal[1:], x.detach()))
    with rnn.resolution(resolution):
        assert all(t.is_inference() for t in (made, made[1:], made.view(1, 3), made.detach()))
        assert not any(t.is_inference() for t in (made.clone(), made + 1, made.double(), normal))
        for refused in (made.requires_grad_, lambda: m.nn.Parameter(made)):
            with pytest.raises(RuntimeError, match=r"^Setting requires_grad=True on inference"):
                refused()
        for write in (
            lambda: made.add_(1),
            lambda: made.mul_(made),
            lambda: made[1:].exp_(),
            lambda: made.__setitem__(0, 1.0),
            lambda: made.zero_(),
            lambda: made.copy_(normal),
            lambda: made.uniform_(),
            lambda: made.masked_fill_(normal > 0, 1.0),
            lambda: made.index_add_(0, m.tensor([0]), normal[:1]),
        ):
            for mode in (m.enable_grad, m.no_grad):
                with mode(), pytest.raises(RuntimeError, match=r"^Inplace update to inference"):
                    write()
        for use in (
            lambda: x * made,
            lambda: made * x,
            lambda: x @ made,
            lambda: (x * 2).mul_(made),
            lambda: m.nn.Linear(3, 2)(made),
            *(
                (lambda: x / made[0], lambda: m.nn.functional.mse_loss(x, made))
                if resolution == "tensor"  # their parts: what made[0] ** -1 gives is kept, not it
                else ()
            ),
        ):
            with pytest.raises(RuntimeError, match=r"^Inference tensors cannot be saved"):
                use()
        made.requires_grad_(False)
        total = (x + made).sum() + (made - x).sum() + m.cat([made, x]).sum() + made.exp().sum()
        (total + (x * made.clone().fill_(2)).sum()).backward()
        assert x.grad.tolist() == [3.0] * 3
        normal.add_(1)
        assert normal.requires_grad_().requires_grad
        layer = inside * m.ones(2)
        layer.sum().backward()
    with m.inference_mode():
        made.add_(1)
        assert not made.requires_grad_(False).requires_grad


@BOTH
def test_modes_belong_to_the_thread(m):
    found = []

    def work():
        found.append(m.is_grad_enabled())
        with m.no_grad():
            found.append(m.is_grad_enabled())
            started.set()
            go.wait(5)
        found.append(m.is_grad_enabled())

    started, go = threading.Event(), threading.Event()
    with m.no_grad():
        thread = threading.Thread(target=work)
        thread.start()
        started.wait(5)
    assert m.is_grad_enabled()
    go.set()
    thread.join()
    assert found == [True, False, True]


# ---- backward ------------------------------------------------------------------------------------


def test_gradients_add_up_over_passes():
    def fn(m):
        x = leaf(m, 3)
        for _ in range(3):
            (x * x).sum().backward()
        first = x.grad
        (x * 2).sum().backward()
        return x.grad, first is not None, first

    same(fn)


def test_several_roots_and_seeds():
    def fn(m):
        x, y = leaf(m, 3), leaf(m, 3, seed=1)
        a, b = x * y, (x + y).sum()
        m.autograd.backward([a, b], [m.ones(3) * 2, None])
        return x.grad, y.grad

    same(fn)


def test_the_same_root_twice():
    def fn(m):
        x = leaf(m, 3)
        y = (x * x).sum()
        m.autograd.backward([y, y])
        return x.grad

    same(fn)


def test_a_root_that_another_root_uses():
    def fn(m):
        x = leaf(m, 3)
        y = x * x
        z = (y * x).sum()
        m.autograd.backward((z, y), (None, m.ones(3)))
        return x.grad

    same(fn)


def test_a_leaf_as_root():
    def fn(m):
        x = leaf(m, 3)
        x.backward(m.ones(3) * 3)
        x[1].backward()
        return x.grad

    same(fn)


def test_a_view_as_root():
    def fn(m):
        x = leaf(m, 3, 4)
        y = x * x
        y[1].backward(m.ones(4), retain_graph=True)
        y.t()[2:].backward(m.ones(2, 3) * 2)
        return x.grad

    same(fn)


def test_a_graph_of_diamonds():
    def fn(m):
        x = leaf(m, 2, dtype="float64")
        y = x
        for _ in range(40):  # 2^40 paths
            y = y * 0.5 + y * 0.5
        (y * x).sum().backward()
        return x.grad

    same(fn)


def test_constants_and_detached_parts_take_nothing():
    def fn(m):
        x, y = leaf(m, 3), leaf(m, 3, seed=1)
        constant = m.ones(3)
        z = x.detach() * y + constant * x
        z.sum().backward()
        return x.grad, y.grad, constant.grad, x.detach().grad

    same(fn)


def test_retain_graph():
    def fn(m):
        x = leaf(m, 3)
        y = (x * x).sum()
        y.backward(retain_graph=True)
        y.backward()
        return x.grad

    same(fn)
    helpers.compare_errors(twice, (3,), grad=True, text=False)


def twice(x):
    y = (x * x).sum()
    y.backward()
    y.backward()


def test_the_second_time_says_so():
    x = leaf(rnn, 3)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(
        RuntimeError, match=r"^Trying to backward through the graph a second time"
    ) as e:
        y.backward()
    assert "SumBackward0" in str(e.value)
    z = (y * 2).exp()
    with pytest.raises(RuntimeError, match="SumBackward0"):
        z.backward()
    assert x.grad is not None


def test_what_is_held_keeps_value_and_gradient():
    x = leaf(rnn, 3)
    h = x * x
    y = h.sum()
    y.backward()
    assert h.grad.tolist() == [1, 1, 1]
    assert h.tolist() == (x * x).tolist()


def test_inner_gradients_are_those_of_the_last_pass():
    x = leaf(rnn, 3)
    h = x * x
    (h * 2).sum().backward(retain_graph=True)
    (h * 3).sum().backward()
    assert h.grad.tolist() == [3, 3, 3]
    np.testing.assert_allclose(x.grad.numpy(), 10 * x.detach().numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    "fn",
    [
        lambda m, x: x.backward(),
        lambda m, x: x.detach().backward(),
        lambda m, x: (x * 2).backward(m.ones(4)),
        lambda m, x: x.sum().backward(inputs=[]),
        lambda m, x: x.sum().backward(inputs=[x.detach()]),
        lambda m, x: m.autograd.backward([x, x], [m.ones(3)]),
        lambda m, x: m.autograd.grad(x.sum(), x.detach()),
        lambda m, x: m.autograd.grad(x.sum(), []),
        lambda m, x: m.autograd.grad((x * 2).sum(), [x, m.ones(1, requires_grad=True)]),
        lambda m, x: m.autograd.grad((x * 2), x),
        lambda m, x: m.autograd.grad(x.sum(), x, allow_unused=False, materialize_grads=True),
        lambda m, x: m.zeros(3, dtype=m.int64).requires_grad_(),
        lambda m, x: (x * 2).requires_grad_(False),
        lambda m, x: x.detach().retain_grad(),
        lambda m, x: x.detach().register_hook(print),
        lambda m, x: x.detach().register_post_accumulate_grad_hook(print),
        lambda m, x: (x * 2).register_post_accumulate_grad_hook(print),
    ],
)
def test_errors(fn):
    helpers.compare_errors(fn, (3,), grad=True, text=True)


def test_backward_with_inputs():
    def fn(m):
        x, y, z = leaf(m, 3), leaf(m, 3, seed=1), leaf(m, 3, seed=2)
        out = (x * y * z).sum()
        out.backward(inputs=[x, z], retain_graph=True)
        found = [x.grad.clone(), y.grad, z.grad.clone()]
        out.backward(inputs=x)
        return [*found, x.grad, y.grad, z.grad]

    same(fn)


def test_backward_with_inputs_that_are_no_leaves():
    def fn(m):
        x = leaf(m, 3)
        h = x * x
        h.retain_grad()
        out = (h * x).sum()
        out.backward(inputs=[h], retain_graph=True)
        assert x.grad is None
        out.backward(inputs=[h])
        return h.grad

    same(fn)


# ---- grad ----------------------------------------------------------------------------------------


def test_grad_leaves_grad_alone():
    def fn(m):
        x, y = leaf(m, 3), leaf(m, 3, seed=1)
        (x * 3).sum().backward()
        kept = x.grad
        g = m.autograd.grad((x * y * y).sum(), [y, x])
        assert x.grad is not None
        assert y.grad is None
        return g, kept, x.grad, isinstance(g, tuple)

    same(fn)


def test_grad_of_inner_tensors():
    def fn(m):
        x = leaf(m, 3)
        h = x * x
        k = h.exp()
        out = (k * h).sum()
        return m.autograd.grad(out, [h, k, x, out])

    same(fn)


def test_grad_with_seeds_and_several_outputs():
    def fn(m):
        x = leaf(m, 3)
        a, b = x * x, x.exp()
        return m.autograd.grad([a, b], x, [m.ones(3) * 2, m.ones(3)])

    same(fn)


def test_grad_of_unused_inputs():
    def fn(m):
        x, y = leaf(m, 3), leaf(m, 2, seed=1)
        out = (x * x).sum()
        a = m.autograd.grad(out, [x, y], allow_unused=True, retain_graph=True)
        b = m.autograd.grad(out, [x, y], materialize_grads=True)
        return a, b

    same(fn)


def test_grad_of_an_input_that_an_earlier_pass_reached():
    def fn(m):
        x = leaf(m, 3)
        h = x * x
        h.retain_grad()
        h.sum().backward(retain_graph=True)
        other = (x * 2).sum()
        return m.autograd.grad(other, [h], allow_unused=True), h.grad

    same(fn)


def test_grad_frees_the_graph_unless_it_is_retained():
    x = leaf(rnn, 3)
    out = (x * x).sum()
    rnn.autograd.grad(out, x, retain_graph=True)
    rnn.autograd.grad(out, x)
    with pytest.raises(RuntimeError, match="second time"):
        rnn.autograd.grad(out, x)


def test_grad_goes_only_where_it_must():
    """What does not lead to an input is not run: neither its hooks nor its Functions."""

    class Never(rnn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            raise AssertionError

    x, y = leaf(rnn, 3), leaf(rnn, 3)
    y.register_hook(lambda g: 1 / 0)
    out = (x * 2 + Never.apply(y)).sum()
    assert rnn.autograd.grad(out, x)[0].tolist() == [2, 2, 2]


# ---- gradients as tensors ------------------------------------------------------------------------


def test_grad_is_assignable():
    def fn(m):
        x = leaf(m, 3)
        (x * 2).sum().backward()
        x.grad = None
        assert x.grad is None
        (x * 2).sum().backward()
        x.grad.zero_()
        (x * 3).sum().backward()
        mine = m.ones(3)
        x.grad = mine
        (x * 4).sum().backward()
        return x.grad, mine, x.grad.requires_grad, x.grad.is_leaf

    same(fn)


@pytest.mark.parametrize(
    "fn",
    [
        lambda m, x: setattr(x, "grad", 1.0),
        lambda m, x: setattr(x, "grad", m.ones(4)),
        lambda m, x: setattr(x, "grad", m.ones(3, dtype=m.float64)),
    ],
)
def test_what_grad_cannot_be(fn):
    helpers.compare_errors(fn, (3,), grad=True, text=False)


def test_retain_grad_adds_up():
    def fn(m):
        x = leaf(m, 3)
        h = x * x
        assert not h.retains_grad
        h.retain_grad()
        h.retain_grad()
        (h * 2).sum().backward(retain_graph=True)
        (h * 3).sum().backward()
        x.retain_grad()
        return h.grad, x.grad, h.retains_grad, x.retains_grad

    same(fn)


def test_optimiser_style_updates_between_passes():
    def fn(m):
        w = leaf(m, 4)
        losses = []
        for step in range(4):
            loss = ((w * w).exp() * 0.1).sum()
            loss.backward()
            with m.no_grad():
                if step == 0:
                    w -= 0.1 * w.grad
                elif step == 1:
                    w.sub_(w.grad, alpha=0.1)
                else:
                    w.copy_(w - 0.1 * w.grad)
            w.data -= 0.01 * w.grad
            w.data = w.data * 0.99
            w.grad = None
            losses.append(loss.item())
        return losses, w.detach()

    same(fn)


# ---- versions ------------------------------------------------------------------------------------

OVERWRITES = {
    "operand of mul": lambda m, x, c: ((x * c), c.add_(1)),
    "operand of a view": lambda m, x, c: ((x * c[None]), c.zero_()),
    "a slice of an operand": lambda m, x, c: ((x * c), c[1:].fill_(3)),
    "matrix operand": lambda m, x, c: ((x[None] @ c[:, None]), c.mul_(2)),
    "under no_grad": lambda m, x, c: ((x * c), no_grad_add(m, c)),
    "a leaf": lambda m, x, c: ((x * x), no_grad_add(m, x)),
    "through detach": lambda m, x, c: ((x * c), c.detach().add_(1)),
    "the result of exp": lambda m, x, c: ((y := x.exp()), no_grad_add(m, y)),
}


def no_grad_add(m, t):
    with m.no_grad():
        t.add_(1)


@BOTH
@pytest.mark.parametrize("how", OVERWRITES)
def test_overwriting_what_backward_needs(m, how):
    x, c = leaf(m, 3), leaf(m, 3, seed=1).detach()
    y, _ = OVERWRITES[how](m, x, c)
    text = "one of the variables needed for gradient computation has been modified by an inplace"
    with pytest.raises(RuntimeError, match=f"^{text} operation: ") as e:
        y.sum().backward()
    if m is rnn:
        assert "Backward0" in str(e.value)


@pytest.mark.parametrize(
    "fn",
    [
        lambda m, x, c: ((x * c), c.data.add_(1)),
        lambda m, x, c: ((x + c), c.add_(1)),
        lambda m, x, c: ((x * 2), no_grad_add(m, x)),
        lambda m, x, c: ((x * c.clone()), c.add_(1)),
        lambda m, x, c: ((y := x + 1), no_grad_add(m, y)),
    ],
)
def test_overwriting_what_backward_does_not_need(fn):
    def run(m):
        x, c = leaf(m, 3), leaf(m, 3, seed=1).detach()
        y, _ = fn(m, x, c)
        y.sum().backward()
        return x.grad

    same(run)


@pytest.mark.parametrize("wants", [0, 1])
@pytest.mark.parametrize("written", [0, 1, 2])
@pytest.mark.parametrize("name", ["mul", "div", "matmul", "linear"])
def test_overwriting_an_operand_whose_partner_wants_no_gradient(name, wants, written):
    """A derivative that is nobody's needs no value: of x @ w, x is data and w may be stepped."""

    def run(m):
        x, y = leaf(m, 3, 3), leaf(m, 3, 3, seed=1)
        (y if wants == 0 else x).requires_grad_(False)
        z = (m.nn.functional.linear if name == "linear" else getattr(m, name))(x, y)
        with m.no_grad():
            (x, y, z)[written].mul_(2)
        try:
            z.sum().backward()
        except RuntimeError as e:
            return str(e)[:60]
        return (x, y)[wants].grad

    same(run)


def test_recorded_writes_keep_the_old_nodes():
    """PyTorch refuses here; rnn's old nodes are still there, and the gradient is right."""
    x = leaf(rnn, 3, dtype="float64")
    y = x * 1
    z = y * y
    y.exp_()
    (z.sum() + y.sum()).backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * x.detach().numpy() + np.exp(x.detach().numpy()))


# ---- views, detach -------------------------------------------------------------------------------


def test_detach_and_leaves():
    def fn(m):
        x = leaf(m, 3)
        y = x * 2
        d = y.detach()
        return (
            [x.is_leaf, y.is_leaf, d.is_leaf, m.ones(2).is_leaf, x[0].is_leaf],
            [x.requires_grad, y.requires_grad, d.requires_grad, x[0].requires_grad],
            [m.ones(3).requires_grad_().is_leaf, d.grad_fn, x.grad_fn, m.ones(3).grad_fn],
        )

    same(fn)


def test_requires_grad_of_a_view_of_a_constant():
    def fn(m):
        base = m.ones(4)
        v = base[1:3].requires_grad_()
        (v * 3).sum().backward()
        return v.grad, base.grad, base.requires_grad, v.is_leaf

    same(fn)


# ---- grad_fn -------------------------------------------------------------------------------------

NAMES = [
    "x * x", "x + 1", "1 + x", "x - x", "x * 2", "x / 2", "x / x", "-x", "x ** 2", "x ** x",
    "x.exp()", "x.log()", "x.tanh()", "x.sigmoid()", "x.relu()", "x.sqrt()", "x.abs()",
    "x.t()", "x.mT", "x.transpose(0, 1)", "x.permute(1, 0)", "x.view(-1)", "x.reshape(2, 6)",
    "x[0]", "x[0:2]", "x[None]", "x.expand(2, 3, 4)", "x.unsqueeze(0)", "x.clone()",
    "x @ w", "x @ v", "v @ v", "b @ b.mT", "b @ w", "x.sum()", "x.sum(0)", "x.mean()", "x.mean(0)",
    "x.softmax(-1)", "x.log_softmax(-1)", "m.cat([x, x])", "m.maximum(x, x)", "x.t().exp()",
    "(x * 2)[0]", "x.unbind()[0]", "x.split(1)[0]", "x.as_strided((2,), (1,))", "x.double()",
    "m.nn.functional.mse_loss(x, c)", "m.nn.functional.mse_loss(x, c, reduction='sum')",
    "m.nn.functional.mse_loss(x, c, reduction='none')", "((x - c) ** 2).mean()",
    "m.nn.functional.smooth_l1_loss(x, c)", "m.nn.functional.huber_loss(x, c)",
    "m.nn.functional.binary_cross_entropy(x.sigmoid(), c)", "m.nn.functional.l1_loss(x, c)",
    "m.nn.functional.binary_cross_entropy_with_logits(x, c)",
]  # fmt: skip
#: where rnn knows better, or the matrix product does not go the way around that PyTorch's goes
OTHER_NAMES = {"b @ b.mT": "BmmBackward0"}


@pytest.mark.parametrize("text", NAMES)
def test_names_and_reprs(text):
    found = []
    for m in (torch, rnn):
        names = {
            "m": m,
            "x": leaf(m, 3, 4),
            "w": leaf(m, 4, 5),
            "v": leaf(m, 4),
            "b": leaf(m, 2, 3, 4),
            "c": m.ones(3, 4),
        }
        t = eval(text, names)
        fn = t.grad_fn
        name = type(fn).__name__
        assert fn.name() == name
        assert repr(fn).startswith(f"<{name} object at 0x")
        assert repr(t).endswith(f"grad_fn=<{name}>)")
        assert t.grad_fn is t.grad_fn
        found.append(name)
    assert found[1] == OTHER_NAMES.get(text, found[0])


TREES = [
    "x * x",
    "x + 1",
    "(x * 2).exp()",
    "x.t() * 2",
    "(x * x.exp()).sum()",
    "x[0]",
    "x.t()",
    "c * x",
    "-(x @ w)",
    "m.nn.functional.mse_loss(x @ w, x @ w * 2)",
    "m.nn.functional.mse_loss(x * 2, c, reduction='sum')",
]


@pytest.mark.parametrize("text", TREES)
def test_next_functions(text):
    def walk(fn):
        if fn is None:
            return None
        return [fn.name(), *[[walk(f), i] for f, i in fn.next_functions]]

    found = []
    for m in (torch, rnn):
        names = {"m": m, "x": leaf(m, 3, 4), "w": leaf(m, 4, 5), "c": m.ones(3, 4)}
        found.append(walk(eval(text, names).grad_fn))
    assert found[0] == found[1]


@BOTH
def test_accumulate_grad_knows_its_variable(m):
    x = leaf(m, 3)
    y = x * x
    (node, index), _ = y.grad_fn.next_functions
    assert index == 0
    assert type(node).__name__ == "AccumulateGrad"
    assert node.variable is x
    assert node.next_functions == ()
    assert y.grad_fn.next_functions[1][0] is node


def test_every_way_to_a_leaf_is_known_by_its_graph():
    data = rnn.ones(3)
    for x in (
        rnn.ones(3, requires_grad=True),
        rnn.randn(3, requires_grad=True),
        rnn.arange(3.0, requires_grad=True),
        rnn.tensor([1.0, 2.0, 3.0], requires_grad=True),
        rnn.tensor(1.0, requires_grad=True),
        rnn.empty(3, requires_grad=True),
        rnn.nn.Parameter(data),
        data.clone().requires_grad_(),
    ):
        assert (x * 2).grad_fn.next_functions[0][0].variable is x
    x.data = rnn.zeros(2)
    assert (x * 2).grad_fn.next_functions[0][0].variable is x


def test_a_graph_is_walked_by_identity():
    """As torchviz does it."""
    x = leaf(rnn, 3)
    y = x * 2
    z = (y + y.exp()).sum()
    seen = set()

    def walk(fn):
        if fn is None or fn in seen:
            return
        seen.add(fn)
        for f, _ in fn.next_functions:
            walk(f)

    walk(z.grad_fn)
    assert sorted(fn.name() for fn in seen) == sorted(
        [
            "SumBackward0",
            "AddBackward0",
            "ExpBackward0",
            "MulBackward0",
            "torch::autograd::AccumulateGrad",
        ]
    )


def test_next_functions_of_a_freed_graph():
    x = leaf(rnn, 3)
    y = (x * x).sum()
    fn = y.grad_fn
    y.backward()
    with pytest.raises(RuntimeError, match=r"freed by backward"):
        _ = fn.next_functions


def test_a_grad_fn_holds_no_more_than_its_graph():
    before = live()
    x = leaf(rnn, 3)
    y = (x * x).sum()
    fn = y.grad_fn.next_functions[0][0]
    del y
    assert fn.next_functions[0][0].variable is x
    del fn, x
    assert live() == before


def live() -> int:
    import gc

    from rnn._c import E, drain, ffi, lib

    gc.collect()
    drain()
    out = ffi.new("uint64_t[6]")
    lib.rnn_memory(E, out)
    return int(out[4])


# ---- functional ----------------------------------------------------------------------------------


def test_jacobian():
    def fn(m):
        x, y = leaf(m, 3).detach(), leaf(m, 2, seed=1).detach()
        j = m.autograd.functional.jacobian
        return (
            j(lambda x: x * x, x),
            j(lambda x: (x * x).sum(), x),
            j(lambda x, y: x[:2] * y, (x, y)),
            j(lambda x: (x * 2, x.exp()), x),
            j(lambda x, y: (x * 2, y.exp()), (x, y)),
            j(lambda x: m.ones(2), x),
        )

    same(fn)


def test_jacobian_touches_nothing():
    w, x = leaf(rnn, 3), leaf(rnn, 3)
    rnn.autograd.functional.jacobian(lambda x: w * x, x)
    assert w.grad is None
    assert x.grad is None
    with pytest.raises(RuntimeError, match="independent of input"):
        rnn.autograd.functional.jacobian(lambda x: w * 2, x, strict=True)


def test_vjp():
    def fn(m):
        x = leaf(m, 3).detach()
        return (
            m.autograd.functional.vjp(lambda x: x * x, x, m.ones(3)),
            m.autograd.functional.vjp(lambda x: (x * x).sum(), x),
        )

    same(fn)


@pytest.mark.parametrize(
    "write",
    [
        lambda a: a.mul_(3),
        lambda a: a.tanh_(),
        lambda a: a[:1].mul_(2),
        lambda a: a.__setitem__(0, 3.0),
        lambda a: a.mul_(2).add_(1),
    ],
)
def test_a_retained_gradient_adds_up_across_writes_in_place(write):
    def fn(m):
        w = m.tensor([1.0, 2.0], requires_grad=True)
        a = w * 1
        a.retain_grad()
        seen = []
        (a * 2).sum().backward(retain_graph=True)
        write(a)
        seen.append(a.grad.tolist())
        for _ in range(2):
            (a * 5).sum().backward(retain_graph=True)
            seen += [a.grad.tolist(), w.grad.tolist()]
        return [*seen, a.retains_grad]

    same(fn)


def test_the_gradient_of_a_span_that_another_pass_has_freed() -> None:
    def grads(m: Any) -> list[Any]:
        a, b = (m.tensor([x], requires_grad=True) for x in (2.0, 3.0))
        shared = a * a
        product = shared * b
        (shared * 3).sum().backward()
        loss = (shared * 5 + product).sum()
        found: list[Any] = []
        for inputs in ([shared], [shared, b], [product, shared], [a], [shared, a]):
            try:
                of = m.autograd.grad(loss, inputs, retain_graph=True)
                found.append([g.tolist() for g in of])
            except RuntimeError as error:
                assert "backward through the graph a second time" in str(error)
                found.append("freed")
        with pytest.raises(RuntimeError, match="backward through the graph a second time"):
            loss.backward(inputs=[shared], retain_graph=True)
        return found

    assert grads(rnn) == grads(torch) == [[[8.0]], [[8.0], [4.0]], [[1.0], [8.0]], "freed", "freed"]


@pytest.mark.parametrize("lib", [rnn, torch])
def test_del_grad(lib):
    x = lib.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    del x.grad
    assert x.grad is None
    x.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]

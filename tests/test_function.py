"""autograd.Function beside PyTorch's."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from test_autograd import BOTH, leaf, live, same

import rnn


def exp(m: Any) -> Any:
    class Exp(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            assert not m.is_grad_enabled()
            y = x.exp()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, dy):
            assert not m.is_grad_enabled()
            (y,) = ctx.saved_tensors
            return dy * y

    return Exp


def test_one_input_one_output():
    def fn(m):
        x = leaf(m, 3)
        y = exp(m).apply(x * 2)
        (y * y).sum().backward()
        return y, x.grad, type(y.grad_fn).__name__, y.requires_grad, y.is_leaf

    same(fn)


def test_repr_shows_it():
    for m in (torch, rnn):
        assert repr(exp(m).apply(leaf(m, 2))).endswith("grad_fn=<ExpBackward>)")


def test_setup_context_style():
    def fn(m):
        class Power(m.autograd.Function):
            @staticmethod
            def forward(x, n):
                return x**n

            @staticmethod
            def setup_context(ctx, inputs, output):
                x, ctx.n = inputs
                ctx.save_for_backward(x, output)

            @staticmethod
            def backward(ctx, g):
                x, y = ctx.saved_tensors
                assert ctx.needs_input_grad == (True, False)
                return g * ctx.n * y / x, None

        x = leaf(m, 3)
        Power.apply(x, 3).sum().backward()
        return x.grad

    same(fn)


def many(m: Any) -> Any:
    class Many(m.autograd.Function):
        @staticmethod
        def forward(ctx, x, y, scale, z=None):
            ctx.save_for_backward(x, y)
            ctx.scale = scale
            return x * y * scale, x + y, "text", (x * 10).long()

        @staticmethod
        def backward(ctx, dp, ds, dtext, dlong):
            x, y = ctx.saved_tensors
            assert dtext is None
            return dp * y * ctx.scale + ds, dp * x * ctx.scale + ds, None, None

    return Many


def test_several_inputs_and_outputs():
    def fn(m):
        x, y = leaf(m, 3), leaf(m, 3, seed=1)
        p, s, text, long = many(m).apply(x, y, 2.0, None)
        (p * s).sum().backward()
        return p, s, text, long, x.grad, y.grad, long.requires_grad

    same(fn)


def test_one_of_several_outputs_is_used():
    def fn(m):
        found = []
        for k in range(2):
            x, y = leaf(m, 3), leaf(m, 3, seed=1)
            out = many(m).apply(x, y, 2.0)[k]
            out.sum().backward()
            found += [x.grad, y.grad]
        return found

    same(fn)


def test_several_outputs_in_one_graph_twice():
    def fn(m):
        x, y = leaf(m, 3), leaf(m, 3, seed=1)
        p, s, *_ = many(m).apply(x * 2, y, 2.0)
        a, b, *_ = many(m).apply(p, s, 0.5)
        out = (a + b + p).sum()
        out.backward(retain_graph=True)
        out.backward()
        return x.grad, y.grad

    same(fn)


def test_autograd_grad_through_functions():
    def fn(m):
        x, y = leaf(m, 3), leaf(m, 3, seed=1)
        p, s, *_ = many(m).apply(x, y, 2.0)
        return m.autograd.grad((exp(m).apply(p) + s).sum(), [x, p])

    same(fn)


def test_next_functions_skip_what_only_the_engine_knows():
    def fn(m):
        x, y = leaf(m, 3), leaf(m, 3, seed=1)
        p, _, *_ = many(m).apply(x * 2, y, 2.0)
        return [f and type(f).__name__ for f, _ in p.grad_fn.next_functions][:2], p.grad_fn.name()

    same(fn)


@BOTH
def test_what_needs_gradients(m):
    seen = []

    class Note(m.autograd.Function):
        @staticmethod
        def forward(ctx, *args):
            return sum(a for a in args if isinstance(a, m.Tensor))

        @staticmethod
        def backward(ctx, g):
            seen.append(ctx.needs_input_grad)
            return tuple(g if needs else None for needs in ctx.needs_input_grad)

    x = leaf(m, 3)
    Note.apply(x, m.ones(3), 3, x.detach()).sum().backward()
    assert seen == [(True, False, False, False)]
    assert x.grad.tolist() == [1, 1, 1]
    assert not Note.apply(m.ones(3)).requires_grad
    with m.no_grad():
        assert not Note.apply(x).requires_grad


def test_gradients_are_materialized_unless_refused():
    def fn(m):
        seen = []

        def make(on):
            class Two(m.autograd.Function):
                @staticmethod
                def forward(ctx, x):
                    if not on:
                        ctx.set_materialize_grads(False)
                    return x * 2, x * 3

                @staticmethod
                def backward(ctx, a, b):
                    seen.append([a, b])
                    return a * 2 if b is None else a * 2 + b * 3

            return Two

        x = leaf(m, 3)
        for on in (True, False):
            make(on).apply(x)[0].sum().backward()
        return seen, x.grad

    same(fn)


def test_non_differentiable_outputs():
    def fn(m):
        class Sort(m.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                order = x.argsort()
                sign = x.sign()
                ctx.mark_non_differentiable(order, sign)
                ctx.save_for_backward(order)
                return x[order], order, sign

            @staticmethod
            def backward(ctx, g, g_order, g_sign):
                (order,) = ctx.saved_tensors
                back = m.zeros_like(g)
                back[order] = g
                return back

        x = leaf(m, 4)
        y, order, sign = Sort.apply(x)
        (y * m.arange(4.0)).sum().backward()
        return y, order, sign, x.grad, [t.requires_grad for t in (y, order, sign)]

    same(fn)


def test_in_place():
    def fn(m):
        class Double(m.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                x.mul_(2)
                ctx.mark_dirty(x)
                return x

            @staticmethod
            def backward(ctx, g):
                return g * 2

        x = leaf(m, 3)
        h = x + 1
        y = Double.apply(h)
        assert y is h
        (y * y).sum().backward()
        return h, x.grad

    same(fn)


def test_the_result_may_be_the_argument():
    def fn(m):
        class Reverse(m.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x.view_as(x)

            @staticmethod
            def backward(ctx, g):
                return -g

        x = leaf(m, 3)
        Reverse.apply(x * 1).sum().backward()
        Reverse.apply(x).sum().backward()
        return x.grad

    same(fn)


def test_views_and_other_dtypes_go_in():
    def fn(m):
        class Scale(m.autograd.Function):
            @staticmethod
            def forward(ctx, x, w):
                ctx.save_for_backward(x, w)
                return x.double() * w

            @staticmethod
            def backward(ctx, g):
                x, w = ctx.saved_tensors
                return g * w, (g * x)

        x, w = leaf(m, 2, 3), leaf(m, 3, dtype="float64")
        Scale.apply(x.t()[:2], w[:2]).sum().backward()
        return x.grad, w.grad

    same(fn)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (
            lambda g: (g,),
            r"WrongBackward returned an incorrect number of gradients \(expected 2, got 1\)",
        ),
        (lambda g: (g, None, g), r"incorrect number of gradients \(expected 2, got 3\)"),
        (
            lambda g: (g, g),
            "returned a gradient different than None at position 2, but the corresponding forward",
        ),
        (
            lambda g: (g[:2], None),
            r"[Ff]unction WrongBackward returned an invalid gradient at index 0 - got \[2\] but ",
        ),
        (lambda g: (2.0, None), r"expected Variable or None \(got float\)"),
    ],
)
@BOTH
def test_wrong_gradients(m, found, text):
    class Wrong(m.autograd.Function):
        @staticmethod
        def forward(ctx, x, n):
            return x * n

        @staticmethod
        def backward(ctx, g):
            return found(g)

    with pytest.raises((RuntimeError, TypeError), match=text):
        Wrong.apply(leaf(m, 3), 2).sum().backward()


@BOTH
def test_more_nones_than_arguments_are_fine(m):
    class Generous(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2, None, None

    x = leaf(m, 3)
    Generous.apply(x).sum().backward()
    assert x.grad.tolist() == [2, 2, 2]


@BOTH
def test_a_smaller_shape_is_summed_to(m):
    class Add(m.autograd.Function):
        @staticmethod
        def forward(ctx, x, b):
            return x + b

        @staticmethod
        def backward(ctx, g):
            return g, g

    x, b = leaf(m, 2, 3), leaf(m, 1, 3)
    Add.apply(x, b).sum().backward()
    assert b.grad.tolist() == [[2, 2, 2]]


@BOTH
def test_missing_methods(m):
    class Nothing(m.autograd.Function):
        pass

    class Forward(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    with pytest.raises(NotImplementedError, match="forward"):
        Nothing.apply(leaf(m, 3))
    with pytest.raises(NotImplementedError, match="backward"):
        Forward.apply(leaf(m, 3)).sum().backward()


def test_once_differentiable():
    def fn(m):
        class Square(m.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x * x

            @staticmethod
            @m.autograd.function.once_differentiable
            def backward(ctx, g):
                (x,) = ctx.saved_tensors
                return 2 * g * x

        x = leaf(m, 3)
        Square.apply(x).sum().backward()
        return x.grad

    same(fn)


@BOTH
def test_what_was_saved_must_not_change(m):
    x = leaf(m, 3)
    y = exp(m).apply(x)
    with m.no_grad():
        y.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@BOTH
def test_a_second_pass_needs_the_graph(m):
    x = leaf(m, 3)
    y = exp(m).apply(x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
        y.backward()


@BOTH
def test_exceptions_come_through(m):
    class Bad(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            raise KeyError("mine")

    x = leaf(m, 3)
    with pytest.raises(KeyError, match="mine"):
        Bad.apply(x).sum().backward()
    (x * x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * x.detach().numpy())


# ---- passes within passes ------------------------------------------------------------------------


def checkpoint(m: Any, run: Any, *args: Any) -> Any:
    """As torch.utils.checkpoint does it: forward again, within backward."""

    class Checkpoint(m.autograd.Function):
        @staticmethod
        def forward(ctx, *args):
            ctx.save_for_backward(*args)
            return run(*args)

        @staticmethod
        def backward(ctx, g):
            inputs = [t.detach().requires_grad_(t.requires_grad) for t in ctx.saved_tensors]
            with m.enable_grad():
                out = run(*inputs)
            m.autograd.backward(out, g)
            return tuple(t.grad for t in inputs)

    return Checkpoint.apply(*args)


def test_checkpoints():
    def fn(m):
        w = leaf(m, 4, 4)
        x = leaf(m, 2, 4)

        def layer(x):
            return (x @ w).tanh()

        h = x
        for _ in range(3):
            h = checkpoint(m, layer, h)
        (h * (x @ w)).sum().backward()
        return w.grad, x.grad

    same(fn)


def test_checkpoints_within_checkpoints():
    def fn(m):
        w = leaf(m, 4, 4)
        x = leaf(m, 2, 4)

        def inner(x):
            return (x @ w).tanh()

        def outer(x):
            return checkpoint(m, inner, checkpoint(m, inner, x * 2)) + x

        checkpoint(m, outer, x).sum().backward()
        return w.grad, x.grad

    same(fn)


# ---- lifetimes -----------------------------------------------------------------------------------


def test_nothing_is_left_behind():
    before = live()
    x = leaf(rnn, 3)
    contexts = []

    class Watched(rnn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x.exp()
            ctx.save_for_backward(x, y)
            ctx.y = y
            contexts.append(weakref.ref(ctx))
            return y, x * 2

        @staticmethod
        def backward(ctx, a, b):
            return a * ctx.y + b * 2

    for with_backward in (True, False):
        a, b = Watched.apply(x * 1)
        out = (a + b).sum()
        if with_backward:
            out.backward()
        del a, b, out
    del x
    gc.collect()
    assert live() == before
    assert [ref() for ref in contexts] == [None, None]


def test_the_context_goes_with_the_graph_though_the_result_stays():
    contexts = []

    class Watched(rnn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            contexts.append(weakref.ref(ctx))
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    y = Watched.apply(leaf(rnn, 3))
    assert contexts[0]() is not None
    y.sum().backward()
    assert contexts[0]() is None
    assert y.grad.tolist() == [1, 1, 1]


def test_a_function_that_writes_in_place_goes_with_its_output():
    class Twice(rnn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x.mul_(2)

        @staticmethod
        def backward(ctx, g):
            return g * 2

    before = live()
    x = leaf(rnn, 3)
    for _ in range(5):
        Twice.apply(x * 1)
    del x
    assert live() == before


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_ctx_that_holds_its_output_goes_when_nobody_else_does(outputs):
    class Keeps(rnn.autograd.Function):
        @staticmethod
        def forward(ctx, x, box):
            ctx.box = box
            return tuple(x * k for k in (2, 3)[:outputs])

        @staticmethod
        def backward(ctx, *g):
            return g[0], None

    before = live()
    x, box = leaf(rnn, 3), []
    made = Keeps.apply(x, box)
    box.append(made[0])
    box[0].sum().backward(retain_graph=True)
    del x, box, made
    assert live() == before


@pytest.mark.parametrize("view", ["x", "x[::2]", "x[0]", "x.T", "x.detach()"])
def test_a_view_that_forward_writes_in_place(view):
    """Its base and the other views see the output too."""

    def run(m):
        class TanhInPlace(m.autograd.Function):
            @staticmethod
            def forward(ctx, x, w):
                x.tanh_()
                ctx.mark_dirty(x)
                ctx.save_for_backward(x)
                return x

            @staticmethod
            def backward(ctx, g):
                (y,) = ctx.saved_tensors
                return g * (1 - y * y), g.sum()

        w, one = leaf(m, 3, 4), m.tensor(1.0, requires_grad=True)
        x = w * 0.5
        other, v = x[:, 1:], eval(view, {"x": x})
        TanhInPlace.apply(v, one)
        ((x * x).sum() + (other * v.sum()).sum()).backward()
        return x, other, v, one.grad, w.grad

    same(run)


def test_a_saved_tensor_written_in_place_later_is_not_held_by_itself():
    class Square(rnn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * x * g

    class ExpInPlace(rnn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            x.exp_()
            ctx.mark_dirty(x)
            ctx.save_for_backward(x)
            return x

        @staticmethod
        def backward(ctx, g):
            (y,) = ctx.saved_tensors
            return g * y

    before = live()
    w = leaf(rnn, 3, 4)
    for _ in range(3):
        x = w * 1
        x[0] = Square.apply(x)[1]
        ExpInPlace.apply(w * 1)
    del x
    y = ExpInPlace.apply(w * 1)
    y.sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), np.exp(w.detach().numpy()), rtol=1e-6)
    del w, y
    gc.collect()
    assert live() == before


def test_a_leaf_is_saved_as_itself():
    saved = []

    class Square(rnn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            saved.extend(ctx.saved_tensors)
            return 2 * saved[0] * g

    w = leaf(rnn, 3)
    Square.apply(w).sum().backward()
    assert saved[0] is w


def test_a_long_chain_of_functions_goes_without_recursion():
    Exp = exp(rnn)
    before = live()
    x = leaf(rnn, 1)
    y = x
    for _ in range(20_000):
        y = Exp.apply(y * 0)
    y.sum().backward()
    z = x
    for _ in range(20_000):
        z = Exp.apply(z * 0)
    del x, y, z
    assert live() == before


def test_only_tensors_are_saved():
    class Double(rnn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x, 2)
            return x * 2

    with pytest.raises(TypeError, match="argument 1 is of type int"):
        Double.apply(rnn.ones(2, requires_grad=True))

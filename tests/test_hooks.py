"""Tensor hooks beside PyTorch's."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from test_autograd import BOTH, leaf, live, same
from test_withstand import memory

import rnn


def test_a_hook_sees_the_whole_gradient_of_a_leaf_before_it_is_added():
    def fn(m):
        x = leaf(m, 3)
        seen = []
        x.register_hook(lambda g: seen.append(g.clone()))
        for _ in range(3):
            (x * x + x).sum().backward()
        return seen, x.grad

    same(fn)


def test_a_hook_of_an_inner_tensor():
    def fn(m):
        x = leaf(m, 3)
        h = x * x
        seen = []
        h.register_hook(lambda g: seen.append(g.clone()))
        (h * 2 + h.exp()).sum().backward()
        return seen, x.grad

    same(fn)


def test_hooks_run_in_order_and_replace():
    def fn(m):
        x = leaf(m, 3)
        h = x * x
        seen = []

        def note(name, change):
            def hook(g):
                seen.append((name, g.clone()))
                return change(g)

            return hook

        for t, name in ((x, "x"), (h, "h")):
            t.register_hook(note(f"{name}1", lambda g: g * 2))
            t.register_hook(note(f"{name}2", lambda g: None))
            t.register_hook(note(f"{name}3", lambda g: g + 1))
        h.retain_grad()
        (h * 2).sum().backward()
        return seen, x.grad, h.grad

    same(fn)


def test_a_hook_that_writes_its_gradient():
    def fn(m):
        x = leaf(m, 3)
        x.register_hook(lambda g: g.mul_(0.5))
        (x * x).sum().backward()
        return x.grad

    same(fn)


def test_a_kept_gradient_stays_what_it_was():
    def fn(m):
        x = leaf(m, 3)
        kept = []
        x.register_hook(kept.append)
        x.register_hook(lambda g: g * 2)
        for _ in range(3):
            (x * x).sum().backward()
            x.grad.mul_(2)
        return kept, x.grad

    same(fn)


def test_removal():
    def fn(m):
        x = leaf(m, 3)
        seen = []
        first = x.register_hook(lambda g: seen.append(1))
        second = x.register_hook(lambda g: seen.append(2))
        (x * x).sum().backward()
        first.remove()
        first.remove()
        (x * x).sum().backward()
        second.remove()
        (x * x).sum().backward()
        with x.register_hook(lambda g: seen.append(3)):
            (x * x).sum().backward()
        (x * x).sum().backward()
        return seen, x.grad

    same(fn)


def test_removal_within_a_hook():
    def fn(m):
        x = leaf(m, 3)
        seen = []
        handles = []

        def hook(g):
            seen.append(g.clone())
            handles.pop().remove()

        handles.append(x.register_hook(hook))
        for _ in range(2):
            (x * x).sum().backward()
        return seen

    same(fn)


def test_roots_and_views_have_hooks():
    def fn(m):
        x = leaf(m, 2, 3)
        seen = []
        y = (x * x).view(3, 2)
        y.register_hook(lambda g: seen.append(g.clone()))
        z = (y * 2).sum()
        z.register_hook(lambda g: g * 10)
        z.backward()
        t = (x * 1).t()
        t.register_hook(lambda g: g * m.arange(6.0).view(3, 2))
        t.sum().backward()
        return seen, x.grad

    same(fn)


def test_hooks_and_autograd_grad():
    def fn(m):
        x, y = leaf(m, 3), leaf(m, 3, seed=1)
        h = x * y
        seen = []
        x.register_hook(lambda g: seen.append("x") or g * 2)
        y.register_hook(lambda g: seen.append("y"))
        h.register_hook(lambda g: seen.append("h") or g * 3)
        x.register_post_accumulate_grad_hook(lambda t: seen.append("post"))
        out = h.sum()
        found = [m.autograd.grad(out, t, retain_graph=True) for t in (x, h)]
        return found, seen, x.grad

    same(fn)


def test_post_accumulate_hooks():
    def fn(m):
        x = leaf(m, 3)
        seen = []

        def hook(t):
            seen.append((t is x, t.grad.clone()))
            with m.no_grad():
                t -= 0.1 * t.grad
            t.grad = None

        x.register_hook(lambda g: g * 2)
        handle = x.register_post_accumulate_grad_hook(hook)
        for _ in range(3):
            (x * x).sum().backward()
        handle.remove()
        (x * x).sum().backward()
        return seen, x.grad, x.detach()

    same(fn)


@BOTH
def test_what_a_hook_may_not_return(m):
    cases = (
        (lambda g: 3, TypeError),
        (lambda g: m.ones(4), RuntimeError),
        (lambda g: g.double(), RuntimeError),
    )
    for wrong, error in cases:
        x = leaf(m, 3)
        x.register_hook(wrong)
        with pytest.raises(error):
            (x * x).sum().backward()
    x = leaf(m, 3)
    x.register_post_accumulate_grad_hook(lambda t: 3)
    with pytest.raises(TypeError):
        (x * x).sum().backward()


@BOTH
def test_an_exception_in_a_hook_ends_the_pass(m):
    x = leaf(m, 3)
    h = x * x
    handle = h.register_hook(lambda g: 1 / 0)
    out = h.sum()
    with pytest.raises(ZeroDivisionError):
        out.backward(retain_graph=True)
    assert x.grad is None
    handle.remove()
    out.backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * x.detach().numpy())


@BOTH
def test_a_leaf_whose_hook_failed_has_the_gradient_that_it_had(m):
    x = leaf(m, 3)
    handle = x.register_hook(lambda g: 1 / 0)
    for had in (None, m.ones(3)):
        x.grad = had
        with pytest.raises(ZeroDivisionError):
            (x * x).sum().backward()
        assert x.grad is None if had is None else x.grad.tolist() == [1, 1, 1]
    handle.remove()
    x.sum().backward()
    assert x.grad.tolist() == [2, 2, 2]


@BOTH
def test_nothing_is_recorded_in_a_hook(m):
    x = leaf(m, 3)
    seen = []
    x.register_hook(lambda g: seen.append((m.is_grad_enabled(), (x * 2).requires_grad)))
    (x * x).sum().backward()
    assert seen == [(False, False)]
    assert m.is_grad_enabled()


# ---- passes within passes ------------------------------------------------------------------------


def test_a_pass_within_a_hook_over_another_graph():
    def fn(m):
        x, w = leaf(m, 3), leaf(m, 3, seed=1)
        other = (w.exp() * 2).sum()
        h = x * w
        h.register_hook(lambda g: other.backward())
        (h * w).sum().backward()
        return x.grad, w.grad

    same(fn)


def test_a_pass_within_a_hook_over_the_same_graph():
    def fn(m):
        x = leaf(m, 3)
        a = x * x
        b = a.exp()
        c = a + b
        inner = b.sum()

        def hook(g):
            inner.backward(retain_graph=True)

        c.register_hook(hook)
        (c * a).sum().backward(retain_graph=True)
        return x.grad

    same(fn)


def test_grad_within_a_hook_of_grad():
    def fn(m):
        x, y = leaf(m, 3), leaf(m, 3, seed=1)
        a = x * y
        found = []

        def hook(g):
            with m.enable_grad():
                found.append(m.autograd.grad((y * y).sum(), y)[0])

        a.register_hook(hook)
        return m.autograd.grad((a * x).sum(), x)[0], found

    same(fn)


def test_the_graph_is_freed_under_the_outer_pass():
    x = leaf(rnn, 3)
    a = x * x
    b = a.exp()
    c = b * b
    inner = b.sum()
    c.register_hook(lambda g: inner.backward())
    with pytest.raises(RuntimeError, match="freed the graph behind ExpBackward0"):
        c.sum().backward()
    y = leaf(rnn, 3)
    (y * y).sum().backward()
    assert y.grad is not None


# ---- lifetimes -----------------------------------------------------------------------------------


def test_hooks_go_with_the_tensor():
    class Hook:
        def __call__(self, g):
            return None

    before = live()
    hook = Hook()
    gone = weakref.ref(hook)
    x = leaf(rnn, 3)
    h = x * x
    x.register_hook(hook)
    h.register_hook(hook)
    h.sum().backward()
    del hook, x, h
    gc.collect()
    assert live() == before
    assert gone() is None


def test_a_hook_that_knows_its_inner_tensor_goes_with_the_graph():
    before = live()
    x = leaf(rnn, 3)
    h = x * x
    knows = [h]
    h.register_hook(lambda g, knows=knows: None)
    h.sum().backward()
    del x, h, knows
    assert live() == before


def test_a_hook_that_knows_its_tensor_goes_when_nobody_else_does():
    """Without a pass: the collector sees through the graph."""
    before = live()
    x = leaf(rnn, 3)
    h = x * x
    x.register_hook(lambda g, knows=x: None)
    x.register_post_accumulate_grad_hook(lambda t, knows=x: None)
    h.register_hook(lambda g, knows=h: None)
    loss = h.sum()
    del x, h
    assert live() > before  # the loss needs them
    del loss
    gc.collect()  # h, whose span held x's
    assert live() == before


def test_the_collector_leaves_what_a_pass_has_yet_to_come_to():
    x = leaf(rnn, 3)
    seen = []

    def build():
        h = x * 2
        h.register_hook(lambda g, knows=h: seen.append(knows.tolist()))
        last = h * 3
        last.register_hook(lambda g: [gc.collect(), None][1])
        return last.sum()

    build().backward()
    assert seen == [(x * 2).tolist()]


def test_a_hook_may_fail_on_a_leaf_that_only_the_pass_keeps():
    def fails(g):
        raise KeyError("hook")

    before = memory()
    for gradient in (None, rnn.ones(3)):
        x = leaf(rnn, 3)
        x.grad = gradient
        x.register_hook(fails)
        y = (x * 2).sum()
        del x, gradient
        with pytest.raises(KeyError):
            y.backward()
    del y
    assert memory() == before


def test_a_pass_that_fails_within_a_function_leaves_other_gradients():
    class Fails(rnn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            with rnn.enable_grad():
                u = leaf(rnn, 3)
                (u * u).sum().backward()
            raise KeyError("backward")

    w, u = leaf(rnn, 3), leaf(rnn, 3)
    s = u * 3
    s.retain_grad()
    s.sum().backward(retain_graph=True)
    y = (Fails.apply(w * 1) * s).sum()
    with pytest.raises(KeyError):
        rnn.autograd.grad(y, w)
    assert s.grad.tolist() == [1, 1, 1] and u.grad.tolist() == [3, 3, 3] and w.grad is None


def test_handles_outlive_what_they_belong_to():
    x = leaf(rnn, 3)
    h = x * x
    handle = h.register_hook(print)
    del h
    gc.collect()
    handle.remove()

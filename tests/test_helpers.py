"""The checkers themselves: each must pass what is right, and fail what is wrong."""

from __future__ import annotations

import helpers
import numpy as np
import pytest
import torch

import rnn
from rnn._c import op
from rnn.ops import elementwise

MUL, EXP, ADD = op("mul"), op("exp"), op("add")


def mul(m, x, y):
    return torch.mul(x, y) if m is torch else elementwise.binary(MUL, x, y)


def exp(m, x):
    return torch.exp(x) if m is torch else elementwise.unary(EXP, x)


def test_compare_passes_what_is_right():
    helpers.compare(mul, (3, 4), (3, 4), elementwise=True)
    helpers.compare(mul, (3, 4), (4,))
    helpers.compare(exp, (3, 4), elementwise=True)


class TwiceTheGradient(rnn.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return elementwise.binary(ADD, x, x, 0.0)  # x + 0 * x

    @staticmethod
    def backward(ctx, g):
        return elementwise.binary(ADD, g, g)


def twice_the_gradient(m, x):
    """y = x with a derivative of 2: wrong."""
    return x * 1 if m is torch else TwiceTheGradient.apply(x)


def test_compare_fails_on_a_wrong_derivative():
    with pytest.raises(AssertionError, match="gradient 0"):
        helpers.compare(twice_the_gradient, (3, 4), edges=False)
    with pytest.raises(AssertionError, match="against differences"):
        helpers.check_numeric(lambda x: twice_the_gradient(rnn, x), np.ones((2, 3)))


def test_compare_fails_on_wrong_values_shapes_and_types():
    with pytest.raises(AssertionError, match="output 0"):
        helpers.compare(lambda m, x: exp(m, x) if m is torch else x, (3,))
    with pytest.raises(AssertionError, match="shape"):
        helpers.compare(lambda m, x: x[None] if m is torch else x, (3,))
    with pytest.raises(AssertionError, match="dtype"):
        helpers.compare(lambda m, x: x.double() if m is torch else x, (3,), dtypes=["float32"])
    with pytest.raises(AssertionError, match="requires_grad"):
        helpers.compare(lambda m, x: x if m is torch else x.detach(), (3,))


def test_compare_errors():
    def fail(words, other):
        def run(m, x):
            raise ValueError(words if m is torch else other)

        return run

    helpers.compare_errors(fail("torch.x", "rnn.x"), (3,))
    with pytest.raises(AssertionError):
        helpers.compare_errors(fail("one", "other"), (3,))
    with pytest.raises(AssertionError, match="raised nothing"):
        helpers.compare_errors(exp, (3,))


def test_edges_agree_and_their_checker_fails_on_a_wrong_edge(monkeypatch):
    x, y = np.linspace(-1, 1, 6).reshape(2, 3), np.linspace(1, 2, 3)
    fn = lambda x, y: mul(rnn, exp(rnn, x), mul(rnn, y, x))  # noqa: E731
    helpers.check_edges(fn, x, y)
    helpers.check_numeric(fn, x, y)
    right = helpers.edges_of
    wrong = lambda span, node: [(s, n, 2 * d, f) for s, n, d, f in right(span, node)]  # noqa: E731
    monkeypatch.setattr(helpers, "edges_of", wrong)
    with pytest.raises(AssertionError, match="kernels against edges"):
        helpers.check_edges(fn, x, y)


def test_uses_agree_and_their_checker_fails_on_a_wrong_one(monkeypatch):
    x, y = np.linspace(-1, 1, 6).reshape(2, 3), np.linspace(1, 2, 3)
    fn = lambda x, y: mul(rnn, exp(rnn, x), mul(rnn, y, x))  # noqa: E731
    right = helpers.uses_of
    monkeypatch.setattr(helpers, "uses_of", lambda *at: {n: 2 * d for n, d in right(*at).items()})
    with pytest.raises(AssertionError, match="not"):
        helpers.check_edges(fn, x, y)
    monkeypatch.setattr(helpers, "uses_of", lambda *at: {})
    with pytest.raises(AssertionError, match="node"):
        helpers.check_edges(fn, x, y)


def test_resolution():
    assert rnn.get_resolution() == "tensor"
    with rnn.resolution("scalar"):
        assert rnn.get_resolution() == "scalar"
        with rnn.resolution("tensor"):
            assert rnn.get_resolution() == "tensor"
        assert rnn.get_resolution() == "scalar"
    assert rnn.get_resolution() == "tensor"
    assert rnn.resolution("scalar")(rnn.get_resolution)() == "scalar"
    rnn.set_resolution("scalar")
    assert rnn.get_resolution() == "scalar"
    rnn.set_resolution("tensor")
    with pytest.raises(ValueError, match="fine"):
        rnn.set_resolution("fine")

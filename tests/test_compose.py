"""Scalar resolution: what composite functions are recorded as, and that they are safe far from 0.

That each composition has the values and gradients of its fused kernel is in test_table.py; that it
has PyTorch's, in the tests of every family (compare runs both resolutions).
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import compare
from test_table import rows_behind

import rnn
from rnn._c import lib, op
from rnn.ops import activation, compose, elementwise

# the operations that scalar resolution may use for these functions
PRIMITIVE = {
    "leaf", "add", "mul", "pow", "exp", "log", "relu", "maximum", "add_scalar", "mul_scalar",
    "pow_scalar", "where",
}  # fmt: skip

SMOOTH = [
    "neg", "square", "reciprocal", "sqrt", "rsqrt", "abs", "exp2", "expm1", "log2", "log10",
    "log1p", "sinh", "cosh", "tanh", "asinh", "acosh", "sigmoid", "atanh", "clamp",
]  # fmt: skip


@pytest.mark.parametrize("name", SMOOTH)
def test_recorded_as_primitives(name):
    x = rnn.tensor([0.3, 0.7] if name != "acosh" else [1.5, 2.5], requires_grad=True)
    arguments = (0.4, 0.5) if name == "clamp" else ()
    with rnn.resolution("scalar"):
        y = getattr(x, name)(*arguments)
    assert rows_behind(y) <= PRIMITIVE
    assert rows_behind(getattr(x, name)(*arguments)) == {"leaf", name}


def test_operators_are_recorded_as_primitives():
    x = rnn.tensor([1.5, 2.5], requires_grad=True)
    y = rnn.tensor([0.5, 2.0], requires_grad=True)
    with rnn.resolution("scalar"):
        z = ((x - y) / (x + 1) - 2 / y + (3 - x) / 4 - 1) ** 2 + x**y + 2**x
        z = z + rnn.minimum(x, y) + rnn.fmax(x, y) + rnn.lerp(x, y, 0.3) + rnn.hypot(x, y)
        z = z + rnn.add(x, y, alpha=2) - rnn.sub(x, y, alpha=3)
    assert rows_behind(z) <= PRIMITIVE


def test_graph_grows_by_what_is_recorded():
    x = rnn.ones(4, requires_grad=True)
    assert x.tanh().graph_size() == 8
    with rnn.resolution("scalar"):
        assert x.tanh().graph_size() > 8 * 4
        assert (x * x + x).graph_size() == 12  # primitive already
        assert (x - x).graph_size() == 12


def test_nothing_is_composed_where_a_result_is_written_in_place():
    x = rnn.ones(4)
    with rnn.resolution("scalar"):
        x.tanh_()
        x.sub_(rnn.ones(4))
        x /= 2
    np.testing.assert_allclose(x.numpy(), (np.tanh(1) - 1) / 2, 1e-6)


FAR = np.array([1e-4, -1e-4, 20, -20, 40, -40, 87, -87, 100, -100, 300, -300, 1e4, -1e4])


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "asinh", "abs", "relu", "neg"])
def test_far_from_zero(name):
    compare(lambda m, x: getattr(m, name)(x), FAR, layouts=["contiguous"], rtol={"float32": 1e-5})
    compare(
        lambda m, x: getattr(m, name)(x), FAR * 1e8, layouts=["contiguous"], rtol={"float32": 1e-5}
    )


@pytest.mark.parametrize("name", ["softplus", "logsigmoid", "silu", "elu", "selu", "mish", "gelu"])
def test_activations_far_from_zero(name):
    def fn(m, x):
        return getattr(torch.nn.functional if m is torch else activation, name)(x)

    compare(fn, FAR, layouts=["contiguous"], rtol={"float32": 1e-5})


def test_two_operands_far_from_zero():
    x, y = (a.ravel() for a in np.meshgrid(FAR, FAR))
    for name in ("hypot", "logaddexp", "maximum", "minimum", "fmax", "fmin"):
        compare(
            lambda m, x, y, n=name: getattr(m, n)(x, y),
            x,
            y,
            layouts=["contiguous"],
            rtol={"float32": 1e-5},
        )
    compare(
        lambda m, x, y: m.hypot(x, y),
        np.array([1e30, 3e-30]),
        np.array([-1e30, 4e-30]),
        dtypes=["float32"],
    )
    big = np.array([3e38, -1e30])
    compare(lambda m, x: m.asinh(x), big, dtypes=["float32"], layouts=["contiguous"])


def test_nan_stays():
    x = rnn.tensor([np.nan, 1.0], requires_grad=True)
    for name in ("tanh", "sigmoid", "abs", "neg", "sqrt", "expm1", "log1p"):
        with rnn.resolution("scalar"):
            y = getattr(x, name)()
        assert np.isnan(y.detach().numpy()).tolist() == [True, False], name


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_infinite_elements(name):
    rows = [[1, np.inf], [np.inf, np.inf], [-np.inf, -np.inf], [1, -np.inf], [np.inf, -np.inf]]
    compare(lambda x: getattr(x, name)(1), np.array(rows), edges=False)


def test_every_composite_elementwise_row_has_a_composition():
    for number in range(lib.rnn_op_count()):
        if lib.rnn_op_elementwise(number) and lib.rnn_op_composite(number):
            table = compose.unary if lib.rnn_op_arity(number) == 1 else compose.binary
            assert number in table


def test_resolution_belongs_to_the_block():
    x = rnn.ones(2, requires_grad=True)
    with rnn.resolution("scalar"):
        inner = x.sigmoid()
    outer = x.sigmoid()
    assert "sigmoid" not in rows_behind(inner)
    assert "sigmoid" in rows_behind(outer)
    direct = elementwise.unary(op("sigmoid"), x)
    assert "sigmoid" in rows_behind(direct)

"""Activation functions against torch.nn.functional: values, gradients, ties, far points."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import compare, compare_errors

from rnn.ops import activation

NAN, INF = float("nan"), float("inf")
# PyTorch's constants of hardsigmoid and celu are floats, in float64 too
COARSE = {"float32": 5e-5, "float64": 1e-7}


def limit(name):
    return COARSE if name in ("hardsigmoid", "celu 0.7") else {"float32": 5e-5}


def functional(m):
    """torch's functions, or ours."""
    return torch.nn.functional if m is torch else activation


CALLS = {
    "gelu": {},
    "gelu tanh": {"approximate": "tanh"},
    "silu": {},
    "mish": {},
    "leaky_relu": {},
    "leaky_relu 0.2": {"negative_slope": 0.2},
    "elu": {},
    "elu 1.3": {"alpha": 1.3},
    "selu": {},
    "celu": {},
    "celu 0.7": {"alpha": 0.7},
    "softplus": {},
    "softplus 2": {"beta": 2.0, "threshold": 1.5},
    "logsigmoid": {},
    "softsign": {},
    "tanhshrink": {},
    "hardtanh": {},
    "hardtanh 0.5": {"min_val": -0.5, "max_val": 0.25},
    "relu6": {},
    "hardsigmoid": {},
    "hardswish": {},
    "hardshrink": {},
    "softshrink": {},
    "softshrink 0.2": {"lambd": 0.2},
    "threshold": {"threshold": 0.3, "value": 7.0},
    "glu": {},
}
TAKES_INPLACE = [
    "silu",
    "mish",
    "leaky_relu",
    "elu",
    "selu",
    "celu",
    "hardtanh",
    "relu6",
    "hardsigmoid",
    "hardswish",
]

# corners and ties of all of them
CORNERS = [0.0, -0.0, 1.0, -1.0, 6.0, 3.0, -3.0, 0.5, -0.5, 0.25, 0.3, 0.75]
FAR = [20.0, -20.0, 21.0, 50.0, -50.0, 88.0, -88.0, 200.0, -200.0, 1e4, -1e4, 10.3]


def call(name):
    return lambda m, x: getattr(functional(m), name.split()[0])(x, **CALLS[name])


@pytest.mark.parametrize("name", CALLS)
def test_activation(name):
    compare(call(name), (3, 4), low=-4, high=4, rtol=limit(name))
    compare(call(name), (2, 0, 4), rtol=limit(name))
    if name != "glu":
        compare(call(name), (), low=-4, high=4, rtol=limit(name))


@pytest.mark.parametrize("name", CALLS)
def test_corners_and_far_points(name):
    compare(call(name), np.array(CORNERS), layouts=["contiguous"], rtol=limit(name))
    compare(call(name), np.array(FAR), layouts=["contiguous"], rtol=limit(name))


@pytest.mark.parametrize("name", sorted(set(CALLS) - {"gelu", "softsign", "glu", "tanhshrink"}))
def test_nan_and_infinity(name):
    compare(
        call(name),
        np.array([NAN, INF]),
        resolutions=["tensor"],
        edges=False,
        layouts=["contiguous"],
    )


@pytest.mark.parametrize("name", TAKES_INPLACE)
def test_in_place(name):
    def run(m, x):
        y = x * 1
        made = getattr(functional(m), name)(y, inplace=True)
        assert made is y
        return made

    compare(run, (3, 4), low=-4, high=4, rtol=limit(name), edges=False)
    compare(run, (3, 4), low=-4, high=4, rtol=limit(name), edges=False, grad=False)


@pytest.mark.parametrize("name", ["celu", "elu", "hardtanh", "leaky_relu", "selu", "threshold"])
def test_in_place_by_name(name):
    args = (0.1, -2.0) if name == "threshold" else ()

    def run(m, x):
        y = x * 1
        assert getattr(functional(m), name + "_")(y, *args) is y
        return y

    compare(run, (3, 4), low=-4, high=4, rtol=limit(name) if name in CALLS else None, edges=False)


def test_prelu():
    compare(lambda m, x, w: functional(m).prelu(x, w), (2, 3, 4), (3,))
    compare(lambda m, x, w: functional(m).prelu(x, w), (2, 3), (1,))


def test_relu():
    compare(lambda m, x: functional(m).relu(x) if m is torch else activation.relu_of(x), (3, 4))


def test_errors():
    for name in ("gelu", "silu", "leaky_relu", "elu", "softplus"):
        compare_errors(lambda m, x, n=name: getattr(functional(m), n)(x), np.arange(3))
    compare_errors(lambda m, x: functional(m).gelu(x, approximate="fast"), (3,))
    compare_errors(lambda m, x: functional(m).hardtanh(x, 2.0, 1.0), (3,))
    compare_errors(lambda m, x: functional(m).glu(x), (3,))
    compare(
        lambda m, x: (functional(m).relu6(x), functional(m).hardtanh(x, -1, 2)), np.arange(-2, 9)
    )

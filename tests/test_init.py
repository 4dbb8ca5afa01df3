"""nn.init: the same numbers as torch's from the same seed, for every shape and layout."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from test_module import same

import rnn
from rnn.nn import init

SHAPES = ((3, 5), (5, 3), (1, 1), (2, 3, 4), (4, 2, 3, 3), (17, 16), (3, 2, 2, 2, 3))


def both(name, shape, *args, dtype="float32", rtol=2e-6, atol=2e-7, **options):
    """An initialiser gives the same numbers, and leaves the stream at the same place."""
    results = []
    for m in (torch, rnn):
        m.manual_seed(5)
        t = m.empty(shape, dtype=getattr(m, dtype))
        assert getattr(m.nn.init, name)(t, *args, **options) is t
        results.append((t.numpy().copy(), m.rand(3).numpy()))
    (theirs, their_next), (ours, our_next) = results
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol, atol)
    np.testing.assert_array_equal(our_next, their_next)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_random_ones(shape, dtype):
    both("uniform_", shape, -2, 3, dtype=dtype)
    both("normal_", shape, 1, 0.5, dtype=dtype)
    both("xavier_uniform_", shape, 1.5, dtype=dtype)
    both("xavier_normal_", shape, dtype=dtype)
    both("kaiming_uniform_", shape, 5**0.5, dtype=dtype)
    both("kaiming_normal_", shape, mode="fan_out", nonlinearity="relu", dtype=dtype)
    both("trunc_normal_", shape, dtype=dtype)
    both("trunc_normal_", shape, std=0.02, dtype=dtype)
    both("trunc_normal_", shape, 0.3, 1.0, -0.5, 0.5, dtype=dtype)
    both("trunc_normal_", shape, 0.0, 1.0, 1.5, 1.9, dtype=dtype)  # by rejection
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {}
    both("orthogonal_", shape, 2, dtype=dtype, **tolerance)


def test_more_normals_than_a_block():
    for shape in ((100, 33), (7, 3), (15,), (16,), (31,)):
        both("normal_", shape)
        both("uniform_", shape)


def test_sparse():
    both("sparse_", (10, 6), 0.35)
    both("sparse_", (3, 4), 0.9, std=2)


@pytest.mark.parametrize("shape", SHAPES)
def test_plain_ones(shape):
    for name in ("ones_", "zeros_"):
        both(name, shape)
    both("constant_", shape, 0.3)
    if len(shape) == 2:
        both("eye_", shape)
    elif shape[0] % 2 == 0:
        both("dirac_", shape, 2)
    else:
        both("dirac_", shape)


def test_generators():
    results = []
    for m in (torch, rnn):
        m.manual_seed(1)
        g = m.Generator().manual_seed(9)
        t = m.empty(5, 4)
        results.append([])
        for fill in (
            m.nn.init.normal_, m.nn.init.uniform_, m.nn.init.xavier_uniform_,
            m.nn.init.kaiming_normal_, m.nn.init.trunc_normal_, m.nn.init.xavier_normal_,
            m.nn.init.kaiming_uniform_,
        ):  # fmt: skip
            results[-1].append(fill(t, generator=g).numpy().copy())
        results[-1].append(m.rand(2).numpy())
    for theirs, ours in zip(*results):
        np.testing.assert_allclose(ours, theirs, 2e-6, 2e-7)


def test_parameters_and_views():
    """Leaves that require gradients are written; of a view, only the view."""
    for name in ("normal_", "zeros_", "eye_", "orthogonal_", "trunc_normal_", "xavier_uniform_"):
        results = []
        for m in (torch, rnn):
            m.manual_seed(3)
            p = m.nn.Parameter(m.ones(4, 6))
            getattr(m.nn.init, name)(p)
            getattr(m.nn.init, name)(p.detach()[1:3, 2:5])
            q = m.nn.Parameter(m.ones(6, 4).t())
            getattr(m.nn.init, name)(q)
            assert p.requires_grad and p.is_leaf and p.grad is None
            results.append((p.detach().numpy(), q.detach().numpy()))
        for theirs, ours in zip(*results):
            np.testing.assert_allclose(ours, theirs, 1e-4, 1e-5)


def test_gains_and_errors():
    for fn in (
        lambda m: [m.nn.init.calculate_gain(n) for n in ("linear", "conv2d", "sigmoid", "tanh")],
        lambda m: [m.nn.init.calculate_gain(n) for n in ("relu", "leaky_relu", "selu")],
        lambda m: m.nn.init.calculate_gain("leaky_relu", 0.2),
        lambda m: m.nn.init.calculate_gain("conv_transpose3d"),
        lambda m: m.nn.init.calculate_gain("leaky_relu", True),
        lambda m: m.nn.init.calculate_gain("leaky_relu", "a"),
        lambda m: m.nn.init.calculate_gain("nothing"),
        lambda m: m.nn.init.xavier_uniform_(m.zeros(3)),
        lambda m: m.nn.init.kaiming_normal_(m.zeros(3)),
        lambda m: m.nn.init.kaiming_normal_(m.zeros(3, 3), mode="out"),
        lambda m: m.nn.init.kaiming_normal_(m.zeros(3, 3), nonlinearity="nothing"),
        lambda m: m.nn.init.eye_(m.zeros(3)),
        lambda m: m.nn.init.dirac_(m.zeros(3, 3)),
        lambda m: m.nn.init.dirac_(m.zeros(3, 3, 3), 2),
        lambda m: m.nn.init.orthogonal_(m.zeros(3)),
        lambda m: m.nn.init.sparse_(m.zeros(3), 0.5),
        lambda m: m.nn.init._calculate_fan_in_and_fan_out(m.zeros(2, 3, 4)),
    ):
        same(fn, may_fail=True)


def test_warnings():
    with pytest.warns(UserWarning, match="no-op"):
        init.kaiming_uniform_(rnn.zeros(0, 3))
    with pytest.warns(UserWarning, match="more than 2 std"):
        init.trunc_normal_(rnn.zeros(3), 9.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert init.orthogonal_(rnn.zeros(0, 3)).numel() == 0


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("Linear", (3, 2)),
        ("Conv2d", (1, 2, 3)),
        ("GRUCell", (2, 3)),
        ("TransformerEncoderLayer", (4, 2, 8)),
    ],
)
def test_skip_init(name, args):
    """The same parameters, of any values, and no random numbers drawn."""
    found = []
    for m in (torch, rnn):
        m.manual_seed(0)
        layer = m.nn.utils.skip_init(getattr(m.nn, name), *args)
        parameters = [(n, tuple(p.shape), p.requires_grad) for n, p in layer.named_parameters()]
        found.append((parameters, m.rand(1).item()))
        m.nn.init.ones_(next(layer.parameters()))
        assert next(layer.parameters()).min() == 1
    assert found[0] == found[1]
    assert rnn.nn.Linear(3, 2).weight.abs().max() <= 3**-0.5
    for wrong in (rnn.nn.ReLU, int):
        with pytest.raises(RuntimeError, match=r"Expected a Module|must support a 'device'"):
            rnn.nn.utils.skip_init(wrong)

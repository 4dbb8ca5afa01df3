"""Normalisation against torch: functions and modules, running statistics, both resolutions, edges,
errors.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import compare, compare_errors, to_numpy, to_rnn
from hypothesis import given, settings
from hypothesis import strategies as st

import rnn

# a variance over few values is rough in float32, and expanded inputs have none at all
LAYOUTS = ("contiguous", "transposed", "strided")
ROUGH = {"float32": 1e-4}


def run(call, *inputs, **options) -> None:
    options.setdefault("layouts", LAYOUTS)
    options.setdefault("rtol", ROUGH)
    options.setdefault("atol", {"float32": 2e-5})
    compare(lambda m, *t: call(m.nn.functional, *t), *inputs, **options)


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 4), (4, 300)])
def test_layer_norm(shape) -> None:
    row = shape[-1:]
    run(lambda f, x: f.layer_norm(x, row), shape)
    run(lambda f, x, w: f.layer_norm(x, row, w), shape, row)
    run(lambda f, x, b: f.layer_norm(x, row, None, b), shape, row)
    run(lambda f, x, w, b: f.layer_norm(x, row, w, b, 0.1), shape, row, row)


def test_layer_norm_over_several_dimensions() -> None:
    run(lambda f, x, w, b: f.layer_norm(x, (3, 4), w, b), (2, 3, 4), (3, 4), (3, 4))
    run(lambda f, x: f.layer_norm(x, (2, 3, 4)), (2, 3, 4))
    run(lambda f, x, w: f.layer_norm(x, (4,), w), (0, 4), (4,))


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 4)])
def test_rms_norm(shape) -> None:
    row = shape[-1:]
    run(lambda f, x: f.rms_norm(x, row), shape)
    run(lambda f, x, w: f.rms_norm(x, row, w, eps=0.1), shape, row)
    if len(shape) == 3:
        run(lambda f, x, w: f.rms_norm(x, shape[1:], w), shape, shape[1:])


@pytest.mark.parametrize("shape", [(3, 4), (2, 4, 5), (2, 4, 3, 2), (1, 4, 3)])
@pytest.mark.parametrize("groups", [1, 2])
def test_group_norm(shape, groups) -> None:
    options = {} if len(shape) > 2 else {"dtypes": ("float64",)}  # of two values: rough in float32
    run(lambda f, x: f.group_norm(x, groups), shape, **options)
    run(lambda f, x, w, b: f.group_norm(x, groups, w, b), shape, (4,), (4,), **options)


CHANNELS = [
    (5, 3), (9, 130), (4, 3, 2), (3, 2, 4, 5), (2, 3, 33), (64, 20), (1, 3, 4, 2), (2, 2, 2, 2, 2),
]  # fmt: skip


@pytest.mark.parametrize("shape", CHANNELS)
@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_batch_norm(shape, running, training) -> None:
    if not training and not running:
        return
    count = shape[1]

    def fn(m, x, *affine):
        statistics = []
        if running:
            mean = m.arange(count, dtype=x.dtype) * 0.1
            statistics = [mean, m.arange(count, dtype=x.dtype) * 0.3 + 0.5]
        made = m.nn.functional.batch_norm(
            x, *(statistics or (None, None)), *affine, training=training, momentum=0.3
        )
        return (made, *statistics)

    options = {"layouts": LAYOUTS, "rtol": ROUGH, "atol": {"float32": 2e-5}}
    compare(fn, shape, **options)
    compare(fn, shape, (count,), (count,), **options)


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 3, 4, 5)])
def test_instance_norm(shape) -> None:
    run(lambda f, x: f.instance_norm(x), shape)
    run(lambda f, x, w, b: f.instance_norm(x, weight=w, bias=b), shape, (3,), (3,))

    def fn(m, x):
        mean, variance = m.zeros(3, dtype=x.dtype), m.ones(3, dtype=x.dtype)
        y = m.nn.functional.instance_norm(x, mean, variance, momentum=0.3)
        z = m.nn.functional.instance_norm(x, mean, variance, use_input_stats=False)
        return y, z, mean, variance

    compare(fn, shape, layouts=("contiguous",), rtol=ROUGH, atol={"float32": 2e-5})


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_norms_of_any_shape(data) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 5), min_size=2, max_size=5)))
    dims = data.draw(st.integers(1, len(shape)))
    eps = data.draw(st.sampled_from([1e-5, 1e-3, 0.1]))
    options = {"layouts": ("contiguous",), "rtol": {"float32": 1e-3, "float64": 1e-7},
               "atol": {"float32": 1e-3, "float64": 1e-8}}  # fmt: skip
    run(lambda f, x: f.layer_norm(x, shape[-dims:], eps=eps), shape, **options)
    run(lambda f, x: f.rms_norm(x, shape[-dims:], eps=eps), shape, **options)
    if np.prod(shape) > shape[1]:
        run(
            lambda f, x, w: f.batch_norm(x, None, None, w, training=True, eps=eps),
            shape,
            shape[1:2],
            **options,
        )


# ---- modules
# ------------------------------------------------------------------------------------------


def pair(make):
    """The same module under both libraries, ours with torch's values."""
    theirs, ours = make(torch), make(rnn)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


MODULES = {
    "BatchNorm1d": (lambda m: m.nn.BatchNorm1d(3), (5, 3)),
    "BatchNorm1d, 3d": (lambda m: m.nn.BatchNorm1d(3, eps=0.1, momentum=0.5), (5, 3, 4)),
    "BatchNorm2d": (lambda m: m.nn.BatchNorm2d(3), (2, 3, 4, 5)),
    "BatchNorm2d, plain": (lambda m: m.nn.BatchNorm2d(3, affine=False), (2, 3, 4, 5)),
    "BatchNorm2d, untracked": (
        lambda m: m.nn.BatchNorm2d(3, track_running_stats=False),
        (2, 3, 4, 5),
    ),
    "BatchNorm1d, cumulative": (lambda m: m.nn.BatchNorm1d(3, momentum=None), (5, 3)),
    "BatchNorm3d": (lambda m: m.nn.BatchNorm3d(3, bias=False), (2, 3, 2, 2, 2)),
    "InstanceNorm1d": (lambda m: m.nn.InstanceNorm1d(3), (2, 3, 4)),
    "InstanceNorm2d": (lambda m: m.nn.InstanceNorm2d(3, affine=True), (2, 3, 4, 5)),
    "InstanceNorm2d, tracked": (
        lambda m: m.nn.InstanceNorm2d(3, track_running_stats=True),
        (3, 4, 5),
    ),
    "LayerNorm": (lambda m: m.nn.LayerNorm(5), (2, 5)),
    "LayerNorm, list": (lambda m: m.nn.LayerNorm([4, 5], bias=False), (2, 4, 5)),
    "RMSNorm": (lambda m: m.nn.RMSNorm(5), (2, 5)),
    "GroupNorm": (lambda m: m.nn.GroupNorm(2, 4), (2, 4, 3)),
    "LocalResponseNorm": (lambda m: m.nn.LocalResponseNorm(2), (2, 4, 3)),
}


@pytest.mark.parametrize("name", MODULES)
def test_module(name: str) -> None:
    """Three batches in training, one in eval; then the statistics, and the state crosses back."""
    make, shape = MODULES[name]
    theirs, ours = pair(make)
    assert repr(ours) == repr(theirs)
    rng = np.random.default_rng(0)
    for step in range(4):
        if step == 3:
            theirs.eval(), ours.eval()
        x = rng.normal(1, 2, shape).astype(np.float32)
        a, b = torch.from_numpy(x).requires_grad_(), to_rnn(x, requires_grad=True)
        y, z = theirs(a), ours(b)
        np.testing.assert_allclose(to_numpy(z), to_numpy(y), 1e-4, 2e-5)
        y.square().sum().backward(), (z * z).sum().backward()
        np.testing.assert_allclose(to_numpy(b.grad), to_numpy(a.grad), 1e-3, 1e-3)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(to_numpy(ours.state_dict()[key]), to_numpy(value), 1e-5, 1e-6)
    for p, q in zip(theirs.parameters(), ours.parameters()):
        np.testing.assert_allclose(to_numpy(q.grad), to_numpy(p.grad), 1e-3, 1e-3)


def test_old_checkpoints_lack_the_count_of_batches() -> None:
    layer = rnn.nn.BatchNorm1d(2)
    state = {k: v for k, v in layer.state_dict().items() if k != "num_batches_tracked"}
    layer.load_state_dict(state)


ERRORS = {
    "layer_norm": (lambda f, x: f.layer_norm(x, (3,)), [(2, 4)]),
    "layer_norm, weight": (lambda f, x, w: f.layer_norm(x, (4,), w), [(2, 4), (3,)]),
    "layer_norm, nothing": (lambda f, x: f.layer_norm(x, ()), [(2, 4)]),
    "batch_norm, mean": (lambda f, x, r: f.batch_norm(x, r, r), [(2, 4), (3,)]),
    "batch_norm, weight": (
        lambda f, x, w: f.batch_norm(x, None, None, w, training=True),
        [(2, 4), (3,)],
    ),
    "batch_norm, one": (lambda f, x: f.batch_norm(x, None, None, training=True), [(1, 4)]),
    "group_norm": (lambda f, x: f.group_norm(x, 3), [(2, 4)]),
    "group_norm, weight": (lambda f, x, w: f.group_norm(x, 2, w), [(2, 4), (3,)]),
    "group_norm, one": (lambda f, x: f.group_norm(x, 4), [(1, 4)]),
    "instance_norm": (lambda f, x: f.instance_norm(x), [(2, 3, 1)]),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    call, inputs = ERRORS[name]
    compare_errors(lambda m, *t: call(m.nn.functional, *t), *inputs)


def test_errors_of_modules() -> None:
    for call in (
        lambda m: m.nn.BatchNorm1d(3)(m.zeros(2, 3, 2, 2)),
        lambda m: m.nn.BatchNorm2d(3)(m.zeros(2, 3, 2)),
        lambda m: m.nn.BatchNorm1d(3)(m.zeros(2, 4)),
        lambda m: m.nn.BatchNorm1d(3)(m.zeros(1, 3)),
        lambda m: m.nn.InstanceNorm2d(3)(m.zeros(2, 3)),
        lambda m: m.nn.InstanceNorm2d(3, affine=True)(m.zeros(2, 4, 3, 3)),
        lambda m: m.nn.GroupNorm(2, 3),
    ):
        compare_errors(call)

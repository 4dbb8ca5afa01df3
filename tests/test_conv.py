"""Convolutions and pooling against torch: functions and modules, both resolutions, edges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import compare, compare_errors
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import rnn

F32 = ("float32",)


def run(call, *inputs, **options) -> None:
    options.setdefault("layouts", ("contiguous", "transposed"))
    compare(lambda m, *t: call(m.nn.functional, *t), *inputs, **options)


CONV2D = [
    {},
    {"stride": 2},
    {"padding": 1},
    {"padding": (1, 2), "stride": (2, 1)},
    {"dilation": 2},
    {"dilation": (1, 2), "padding": (0, 2)},
    {"padding": "same"},
    {"padding": "same", "dilation": 2},
    {"padding": "valid"},
]


@pytest.mark.parametrize("options", CONV2D, ids=str)
def test_conv2d(options) -> None:
    run(lambda f, x, w, b: f.conv2d(x, w, b, **options), (2, 3, 6, 7), (4, 3, 2, 3), (4,))


def test_conv2d_shapes() -> None:
    run(lambda f, x, w: f.conv2d(x, w, groups=2), (2, 4, 4, 5), (6, 2, 3, 2))
    run(lambda f, x, w, b: f.conv2d(x, w, b, groups=4), (2, 4, 4, 5), (4, 1, 3, 3), (4,))
    run(lambda f, x, w, b: f.conv2d(x, w, b), (3, 4, 5), (2, 3, 3, 3), (2,))  # no batch
    run(lambda f, x, w, b: f.conv2d(x, w, b), (2, 3, 4, 5), (4, 3, 1, 1), (4,))  # pointwise
    run(lambda f, x, w, b: f.conv2d(x, w, b), (0, 3, 4, 5), (4, 3, 2, 2), (4,))
    run(lambda f, x, w, b: f.conv2d(x, w, b), (9, 1, 3, 3), (2, 1, 2, 2), (2,))  # uneven chunks


@pytest.mark.parametrize(
    "options", [{}, {"stride": 2}, {"padding": 2}, {"dilation": 2}, {"padding": "same"}], ids=str
)
def test_conv1d(options) -> None:
    run(lambda f, x, w, b: f.conv1d(x, w, b, **options), (2, 3, 7), (4, 3, 2), (4,))
    run(lambda f, x, w: f.conv1d(x, w, groups=2, **options), (2, 4, 7), (4, 2, 3))
    run(lambda f, x, w: f.conv1d(x, w, **options), (3, 7), (4, 3, 3))


TRANSPOSED = [
    {},
    {"stride": 2},
    {"padding": 1},
    {"stride": 2, "padding": 1, "output_padding": 1},
    {"stride": (3, 2), "output_padding": (2, 0)},
    {"dilation": 2, "padding": (1, 2)},
    {"groups": 2, "stride": 2},
]


@pytest.mark.parametrize("options", TRANSPOSED, ids=str)
def test_conv_transpose2d(options) -> None:
    filters = 3
    groups = options.get("groups", 1)
    run(
        lambda f, x, w, b: f.conv_transpose2d(x, w, b, **options),
        (2, 4, 3, 4),
        (4, filters, 3, 2),
        (filters * groups,),
    )


def test_conv_transpose1d() -> None:
    for options in ({}, {"stride": 2, "padding": 1, "output_padding": 1}, {"dilation": 2}):
        run(
            lambda f, x, w, b, o=options: f.conv_transpose1d(x, w, b, **o),
            (2, 3, 5),
            (3, 4, 3),
            (4,),
        )
    run(lambda f, x, w: f.conv_transpose1d(x, w), (3, 5), (3, 4, 3))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_conv2d_of_any_arguments(data) -> None:
    small = st.integers(1, 3)
    groups, each, filters = data.draw(small), data.draw(small), data.draw(small)
    kernel = data.draw(st.tuples(small, small))
    stride, dilation = data.draw(st.tuples(small, small)), data.draw(st.tuples(small, small))
    padding = data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    size = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    for n, k, p, d in zip(size, kernel, padding, dilation):
        assume(n + 2 * p >= d * (k - 1) + 1)
    images = data.draw(st.integers(1, 3))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    x, w = (images, groups * each, *size), (groups * filters, each, *kernel)
    run(
        lambda f, x, w, b: f.conv2d(x, w, b, **options),
        x,
        w,
        (groups * filters,),
        layouts=("contiguous",),
    )
    run(
        lambda f, x, w: f.conv_transpose2d(x, w, **options),
        (images, groups * filters, *size),
        w,
        layouts=("contiguous",),
        edges=False,
    ) if all(
        (n - 1) * s - 2 * p + d * (k - 1) + 1 > 0
        for n, k, s, p, d in zip(size, kernel, stride, padding, dilation)
    ) else None


# ---- pooling
# ----------------------------------------------------------------------------------------

POOL = [
    (2, {}),
    (3, {"stride": 1}),
    ((2, 3), {"stride": (1, 2), "padding": (1, 1)}),
    (3, {"stride": 2, "padding": 1, "ceil_mode": True}),
    (2, {"ceil_mode": True}),
]


@pytest.mark.parametrize(("kernel", "options"), POOL, ids=str)
def test_pool2d(kernel, options) -> None:
    run(lambda f, x: f.max_pool2d(x, kernel, **options), (2, 3, 7, 6))
    run(lambda f, x: f.max_pool2d(x, kernel, return_indices=True, **options), (2, 3, 7, 6))
    run(lambda f, x: f.max_pool2d(x, kernel, **options), (3, 7, 6))
    run(lambda f, x: f.avg_pool2d(x, kernel, **options), (2, 3, 7, 6))
    run(lambda f, x: f.avg_pool2d(x, kernel, count_include_pad=False, **options), (2, 3, 7, 6))
    run(lambda f, x: f.avg_pool2d(x, kernel, divisor_override=5, **options), (3, 7, 6))


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_max_pool2d_of_wide_rows(stride: int) -> None:
    """More outputs in a row than are made in step, with ties, NaN and a plane of -infinity."""
    x = np.random.default_rng(0).integers(0, 4, (2, 2, 5, 220)).astype("float64")
    x[0, 0, 1, 1] = np.nan
    x[1, 1] = -np.inf
    for array in (x, x.astype("float32")):
        ours = rnn.nn.functional.max_pool2d(rnn.tensor(array), 3, stride, 1, return_indices=True)
        theirs = torch.nn.functional.max_pool2d(
            torch.tensor(array), 3, stride, 1, return_indices=True
        )
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_max_pool2d_dilated() -> None:
    run(lambda f, x: f.max_pool2d(x, 2, dilation=2), (2, 3, 7, 6))
    run(lambda f, x: f.max_pool2d(x, 3, 2, 1, (1, 2), return_indices=True), (2, 3, 7, 6))


@pytest.mark.parametrize(
    "options", [{}, {"stride": 1}, {"padding": 1}, {"ceil_mode": True}], ids=str
)
def test_pool1d(options) -> None:
    run(lambda f, x: f.max_pool1d(x, 3, **options), (2, 3, 7))
    run(lambda f, x: f.max_pool1d(x, 3, return_indices=True, **options), (3, 7))
    run(lambda f, x: f.avg_pool1d(x, 3, **options), (2, 3, 7))
    run(lambda f, x: f.avg_pool1d(x, 3, count_include_pad=False, **options), (3, 7))


def test_ties_and_nan() -> None:
    """The first of equal elements takes the gradient; nan is the largest."""
    ties = np.zeros((1, 1, 4, 4))
    run(lambda f, x: f.max_pool2d(x, 2, return_indices=True), ties)
    holes = np.arange(16.0).reshape(1, 1, 4, 4)
    holes[0, 0, 1, 1] = np.nan
    run(lambda f, x: f.max_pool2d(x, 2, return_indices=True), holes, edges=False)
    run(lambda f, x: f.adaptive_max_pool2d(x, 2, return_indices=True), holes, edges=False)


@pytest.mark.parametrize("size", [1, 2, 3, (2, 4), (None, 2), (7, 6)], ids=str)
def test_adaptive2d(size) -> None:
    run(lambda f, x: f.adaptive_avg_pool2d(x, size), (2, 3, 7, 6))
    run(lambda f, x: f.adaptive_avg_pool2d(x, size), (3, 8, 4))
    run(lambda f, x: f.adaptive_max_pool2d(x, size), (2, 3, 7, 6))
    run(lambda f, x: f.adaptive_max_pool2d(x, size, return_indices=True), (3, 8, 4))


@pytest.mark.parametrize("size", [1, 2, 3, 9])
def test_adaptive1d(size) -> None:
    run(lambda f, x: f.adaptive_avg_pool1d(x, size), (2, 3, 7))
    run(lambda f, x: f.adaptive_max_pool1d(x, size, return_indices=True), (3, 7))


def test_lp_pool_and_unpool() -> None:
    run(lambda f, x: f.lp_pool2d(x, 2.0, 2, stride=1), (2, 3, 5, 4), low=0.1)
    run(lambda f, x: f.lp_pool1d(x, 3.0, 2), (2, 3, 6), low=0.1)
    run(lambda f, x: f.max_unpool2d(*f.max_pool2d(x, 2, return_indices=True), 2), (2, 3, 4, 6))
    run(
        lambda f, x: f.max_unpool2d(
            *f.max_pool2d(x, 2, return_indices=True), 2, output_size=(5, 7)
        ),
        (2, 3, 5, 7),
    )
    run(lambda f, x: f.max_unpool1d(*f.max_pool1d(x, 2, return_indices=True), 2), (2, 3, 6))


def test_pooling_of_integers() -> None:
    x = np.random.default_rng(0).integers(-9, 9, (2, 3, 4, 6))
    run(lambda f, x: f.max_pool2d(x, 2, return_indices=True), x)
    run(lambda f, x: f.avg_pool2d(x, 2), x)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_pooling_of_any_arguments(data) -> None:
    kernel = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    padding = tuple([data.draw(st.integers(0, k // 2)) for k in kernel])
    size = data.draw(st.tuples(st.integers(1, 8), st.integers(1, 8)))
    assume(all(n + 2 * p >= k for n, p, k in zip(size, padding, kernel)))
    ceil, count = data.draw(st.booleans()), data.draw(st.booleans())
    shape = (2, 2, *size)
    run(
        lambda f, x: f.max_pool2d(x, kernel, stride, padding, ceil_mode=ceil, return_indices=True),
        shape,
        layouts=("contiguous",),
    )
    run(
        lambda f, x: f.avg_pool2d(x, kernel, stride, padding, ceil, count),
        shape,
        layouts=("contiguous",),
    )


# ---- errors
# -------------------------------------------------------------------------------------------

ERRORS = {
    "channels": (lambda f, x, w: f.conv2d(x, w), [(2, 4, 5, 5), (4, 3, 3, 3)]),
    "dimensions": (lambda f, x, w: f.conv2d(x, w), [(2, 5), (4, 3, 3, 3)]),
    "kernel": (lambda f, x, w: f.conv2d(x, w), [(2, 3, 2, 2), (4, 3, 3, 3)]),
    "bias": (lambda f, x, w, b: f.conv2d(x, w, b), [(2, 3, 5, 5), (4, 3, 3, 3), (3,)]),
    "stride": (lambda f, x, w: f.conv2d(x, w, stride=0), [(2, 3, 5, 5), (4, 3, 3, 3)]),
    "dilation": (lambda f, x, w: f.conv2d(x, w, dilation=0), [(2, 3, 5, 5), (4, 3, 3, 3)]),
    "padding": (lambda f, x, w: f.conv2d(x, w, padding=-1), [(2, 3, 5, 5), (4, 3, 3, 3)]),
    "padding name": (lambda f, x, w: f.conv2d(x, w, padding="no"), [(2, 3, 5, 5), (4, 3, 3, 3)]),
    "groups": (lambda f, x, w: f.conv2d(x, w, groups=0), [(2, 3, 5, 5), (4, 3, 3, 3)]),
    "filters": (lambda f, x, w: f.conv2d(x, w, groups=2), [(2, 4, 5, 5), (3, 2, 3, 3)]),
    "conv1d channels": (lambda f, x, w: f.conv1d(x, w), [(2, 4, 5), (4, 3, 3)]),
    "conv1d kernel": (lambda f, x, w: f.conv1d(x, w), [(2, 3, 2), (4, 3, 3)]),
    "transpose channels": (lambda f, x, w: f.conv_transpose2d(x, w), [(2, 4, 5, 5), (3, 4, 3, 3)]),
    "output_padding": (
        lambda f, x, w: f.conv_transpose2d(x, w, output_padding=1),
        [(2, 3, 5, 5), (3, 4, 3, 3)],
    ),
    "max dimensions": (lambda f, x: f.max_pool2d(x, 2), [(2, 5)]),
    "max kernel": (lambda f, x: f.max_pool2d(x, 7), [(2, 3, 5, 5)]),
    "max padding": (lambda f, x: f.max_pool2d(x, 2, padding=2), [(2, 3, 5, 5)]),
    "max stride": (lambda f, x: f.max_pool2d(x, 2, stride=0), [(2, 3, 5, 5)]),
    "max1d dimensions": (lambda f, x: f.max_pool1d(x, 2), [(2, 3, 5, 5)]),
    "max1d kernel": (lambda f, x: f.max_pool1d(x, 8), [(2, 3, 5)]),
    "max1d padding": (lambda f, x: f.max_pool1d(x, 2, padding=2), [(2, 3, 5)]),
    "avg dimensions": (lambda f, x: f.avg_pool2d(x, 2), [(2, 5)]),
    "avg kernel": (lambda f, x: f.avg_pool2d(x, 7, stride=1), [(2, 3, 5, 5)]),
    "adaptive": (lambda f, x: f.adaptive_avg_pool2d(x, 2), [(2, 3)]),
    "adaptive1d": (lambda f, x: f.adaptive_avg_pool1d(x, 2), [(2,)]),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    call, inputs = ERRORS[name]
    compare_errors(lambda m, *t: call(m.nn.functional, *t), *inputs)


def test_dtype_errors() -> None:
    for bias in (True, False):
        compare_errors(lambda m, b=bias: m.nn.Conv2d(1, 1, 1, bias=b)(m.zeros(1, 1, 2, 2).double()))
        compare_errors(lambda m, b=bias: m.nn.Conv1d(1, 1, 1, bias=b)(m.zeros(1, 1, 2).double()))
    with pytest.raises(TypeError, match=r"must be Tensor, not numpy.ndarray"):
        rnn.nn.Conv2d(1, 1, 1)(np.zeros((1, 1, 2, 2), np.float32))


def test_output_size_of_transposed_convolutions() -> None:
    torch.manual_seed(0), rnn.manual_seed(0)
    for m in (torch, rnn):
        layer = m.nn.ConvTranspose2d(1, 1, 3, stride=2, padding=1)
        assert tuple(layer(m.zeros(1, 1, 4, 4), output_size=(8, 8)).shape) == (1, 1, 8, 8)
        assert tuple(layer(m.zeros(1, 1, 4, 4), output_size=(1, 1, 7, 8)).shape) == (1, 1, 7, 8)
    compare_errors(
        lambda m: m.nn.ConvTranspose2d(1, 1, 3, stride=2)(m.zeros(1, 1, 4, 4), output_size=(3, 3))
    )

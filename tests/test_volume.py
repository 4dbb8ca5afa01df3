"""Convolution and pooling of volumes against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers import compare, compare_errors, compare_programs

import rnn

CASES: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (lambda f, x, w, b: f.conv3d(x, w, b), ((2, 2, 3, 4, 3), (4, 2, 2, 3, 2), (4,))),
    (
        lambda f, x, w: f.conv3d(x, w, None, (2, 1, 2), (1, 0, 2), (1, 2, 1), 2),
        ((1, 4, 4, 5, 4), (4, 2, 2, 2, 3)),
    ),
    (lambda f, x, w: f.conv3d(x, w, padding="same"), ((2, 3, 4, 3), (3, 2, 2, 3, 1))),
    (
        lambda f, x, w, b: f.conv_transpose3d(x, w, b, 2, 1, (1, 0, 1)),
        ((2, 2, 2, 3, 2), (2, 3, 3, 2, 3), (3,)),
    ),
    (
        lambda f, x, w: f.conv_transpose3d(x, w, None, (1, 2, 1), 0, 0, 2, (2, 1, 1)),
        ((4, 2, 2, 3), (4, 1, 2, 2, 2)),
    ),
    (lambda f, x: f.max_pool3d(x, 2), ((2, 2, 4, 5, 4),)),
    (
        lambda f, x: f.max_pool3d(x, (2, 3, 2), (1, 2, 2), (1, 1, 0), (2, 1, 1), True),
        ((2, 4, 6, 5),),
    ),
    (lambda f, x: f.max_pool3d(x, 2, return_indices=True), ((1, 2, 4, 3, 5),)),
    (lambda f, x: f.avg_pool3d(x, 2), ((2, 2, 4, 5, 4),)),
    (
        lambda f, x: f.avg_pool3d(x, 3, 2, (1, 0, 1), True, count_include_pad=False),
        ((2, 4, 6, 5),),
    ),
    (lambda f, x: f.avg_pool3d(x, 3, 2, 1, True), ((2, 4, 6, 5),)),
    (lambda f, x: f.avg_pool3d(x, 2, divisor_override=3), ((1, 1, 4, 4, 4),)),
    (lambda f, x: f.adaptive_avg_pool3d(x, (2, None, 3)), ((2, 2, 4, 3, 4),)),
    (lambda f, x: f.adaptive_max_pool3d(x, (2, 3, None), True), ((2, 2, 4, 4, 2),)),
    (lambda f, x: f.interpolate(x, (3, 5, 2), mode="trilinear"), ((2, 2, 2, 3, 4),)),
    (
        lambda f, x: f.interpolate(x, None, 2, "trilinear", align_corners=True),
        ((1, 1, 2, 3, 2),),
    ),
    (lambda f, x: f.interpolate(x, (3, 2, 2), mode="area"), ((2, 2, 4, 4, 2),)),
    (
        lambda f, x: f.interpolate(x, (4, 3), mode="nearest-exact"),
        (np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3),),
    ),
    (lambda f, x: f.max_pool3d(x, 2), (np.arange(27).reshape(1, 3, 3, 3),)),
    (lambda f, x: f.avg_pool3d(x, 2), (np.arange(27).reshape(1, 3, 3, 3),)),
    (lambda f, x: f.max_pool3d(x, 2, return_indices=True), ((0, 2, 4, 3, 5),)),
    (lambda f, x: f.adaptive_max_pool3d(x, 2, True), ((0, 2, 4, 3, 5),)),
    (lambda f, x: f.adaptive_max_pool2d(x, 2, True), ((0, 2, 4, 3),)),
    (lambda f, x: f.max_pool2d(x, 2), ((0, 2, 4, 3),)),
]


@pytest.mark.parametrize(("function", "inputs"), CASES)
def test_functions(function: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
    two = {"layouts": ["contiguous", "transposed"], "rtol": {"float32": 2e-5, "float64": 1e-9}}
    compare(lambda m, *x: function(m.nn.functional, *x), *inputs, atol=1e-5, **two)


MODULES: list[Callable[[Any], Any]] = [
    lambda n: n.Conv3d(2, 4, (2, 3, 1), stride=(1, 2, 1), padding=1, groups=2),
    lambda n: n.Conv3d(2, 3, 3, padding="same", padding_mode="reflect", bias=False),
    lambda n: n.ConvTranspose3d(2, 3, 2, stride=2, output_padding=1, dilation=2),
    lambda n: n.MaxPool3d((2, 3, 1), ceil_mode=True),
    lambda n: n.AvgPool3d(2, padding=1),
    lambda n: n.AdaptiveAvgPool3d((1, None, 2)),
    lambda n: n.AdaptiveMaxPool3d(2),
    lambda n: n.ReflectionPad3d(1),
    lambda n: n.ReplicationPad3d((1, 0, 2, 1, 0, 1)),
    lambda n: n.CircularPad3d((1, 2, 0, 1, 1, 0)),
]


@pytest.mark.parametrize("make", MODULES)
def test_modules(make: Callable[[Any], Any]) -> None:
    def run(m: Any) -> dict[str, Any]:
        layer = make(m.nn)
        x = m.randn(2, 2, 4, 4, 3, requires_grad=True)
        y = layer(x)
        (y**2).sum().backward()
        state = {f"{name}.grad": p.grad for name, p in layer.named_parameters()}
        return {"text": repr(layer), "y": y, "dx": x.grad, **layer.state_dict(), **state}

    compare_programs(run, rtol=1e-4, atol=1e-5)


def test_errors() -> None:
    def of(name: str, *args: Any, **options: Any) -> Callable[..., Any]:
        return lambda m, *x: getattr(m.nn.functional, name)(*x, *args, **options)

    compare_errors(of("conv3d"), (1, 2, 3, 3, 3), (4, 3, 2, 2, 2))
    compare_errors(of("conv3d"), (1, 2, 3, 3, 3), (4, 2, 4, 2, 2))
    compare_errors(of("conv3d"), (3, 3, 3), (4, 2, 2, 2, 2))
    compare_errors(of("conv3d", stride=0), (1, 1, 3, 3, 3), (1, 1, 2, 2, 2))
    compare_errors(of("conv_transpose3d"), (1, 2, 3, 3, 3), (3, 2, 2, 2, 2))
    compare_errors(of("conv_transpose3d", output_padding=1), (1, 1, 2, 2, 2), (1, 1, 2, 2, 2))
    for name in ("max_pool3d", "avg_pool3d"):
        compare_errors(of(name, 3), (1, 2, 2, 2), text=False)
        compare_errors(of(name, 2, padding=2), (1, 4, 4, 4))
        compare_errors(of(name, 2, padding=-1), (1, 4, 4, 4))
        compare_errors(of(name, 2), (2, 2, 2))
    compare_errors(of("avg_pool3d", 2, divisor_override=0), (1, 4, 4, 4))
    for name in ("adaptive_avg_pool3d", "adaptive_max_pool3d"):
        compare_errors(of(name, (1, 1, -1)), (1, 4, 4, 4))
        compare_errors(of(name, (1, 1, 1)), (4, 4, 4))
        compare_errors(of(name, 2), (4, 4, 4))
        compare_errors(of(name, 2), (2, 3, 4, 0, 4))
        compare_errors(of(name, None), (3, 4, 4, 4))
        compare_errors(of(name, 2), np.zeros((3, 4, 4, 4), np.int64))


def test_a_nan_is_the_largest() -> None:
    x = np.zeros((1, 1, 2, 2, 4), np.float32)
    x[0, 0, 1, 0, 1] = np.nan
    x[..., 2:] = -np.inf
    compare(lambda m, x: m.nn.functional.max_pool3d(x, 2, return_indices=True), x, grad=False)
    assert rnn.nn.functional.avg_pool3d(rnn.tensor(x), 2).isnan().tolist() == [[[[[True, False]]]]]

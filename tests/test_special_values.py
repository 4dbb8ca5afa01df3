"""Zeros of both signs, infinities, NaN, denormals, the largest numbers: every function of one
tensor, and those of two, as PyTorch has them, at both resolutions: values with their signs, and
gradients.

PyTorch is asked about one number at a time: what it makes of NaN, and of ties of 0 and -0, depends
on whether an element falls into a vector register or behind the last whole one.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import rnn

NAMES = (
    "exp exp2 expm1 log log2 log10 log1p sqrt rsqrt reciprocal sin cos tan asin acos atan sinh "
    "cosh tanh asinh acosh atanh sigmoid erf erfc erfinv lgamma frac "
    "logit sinc deg2rad rad2deg neg abs sign square relu floor ceil trunc round positive "
    "nan_to_num signbit isnan isinf isfinite isposinf isneginf logical_not"
).split()
ACTIVATIONS = (
    "relu6 elu selu celu leaky_relu gelu silu mish softplus softsign hardtanh hardswish "
    "hardsigmoid hardshrink softshrink tanhshrink logsigmoid"
).split()


def _named(name: str) -> Callable[..., Any]:
    return lambda m, *given: getattr(m, name)(*given)


def _activation(name: str, **options: Any) -> Callable[..., Any]:
    return lambda m, x: getattr(m.nn.functional, name)(x, **options)


UNARY: dict[str, Callable[..., Any]] = {
    **{name: _named(name) for name in NAMES},
    **{name: _activation(name) for name in ACTIVATIONS},
    "gelu tanh": _activation("gelu", approximate="tanh"),
    "elu 2": _activation("elu", alpha=2.0),
    "softplus 2 3": _activation("softplus", beta=2, threshold=3),
    "threshold": _activation("threshold", threshold=0.1, value=20.0),
    "clamp": lambda m, x: x.clamp(-0.5, 0.5),
    "clamp 0": lambda m, x: x.clamp(min=0.0),
    **{f"x ** {k}": lambda m, x, k=k: x**k for k in (0, 2, 3, 4, 0.5, 1.5, -0.5, -1, -2)},
    **{f"{k} ** x": lambda m, x, k=k: k**x for k in (0.0, 0.5, 2.0, -1.0)},
    **{f"x / {k}": lambda m, x, k=k: x / k for k in (3, 0, 1e-39)},
    **{f"{k} / x": lambda m, x, k=k: k / x for k in (3, 0, -0.0)},
    **{f"x + {k}": lambda m, x, k=k: x + k for k in (0.0, -0.0, 1)},
    **{f"{k} - x": lambda m, x, k=k: k - x for k in (0.0, 1)},
    **{f"x % {k}": lambda m, x, k=k: x % k for k in (2, -2)},
    "x * 0": lambda m, x: x * 0,
    "fmod": lambda m, x: x.fmod(2),
}
BINARY = (
    "xlogy atan2 hypot maximum minimum fmax fmin copysign logaddexp logaddexp2 add sub mul div pow"
).split()
#: their results are differences, exact in the digits of what they are differences of
CANCELS = {"tanhshrink", "erfc", "gelu tanh", "logaddexp2", "gelu"}


def numbers(dtype: Any) -> Any:
    info = np.finfo(dtype)
    sizes = [0, info.smallest_subnormal, info.tiny / 4, info.tiny, info.eps, 1e-10, 1e-5, 1e-3]
    sizes += [0.015, 0.03, 0.1, 0.5, 1, 1.5, 2, 3, 20.5, 50, 100, 1e5, 1e9, 1e10, 1e20, info.max]
    with np.errstate(over="ignore"):
        return np.array([s * x for x in [*sizes, math.inf] for s in (1, -1)] + [math.nan], dtype)


#: gradients that differ, at these numbers (of both signs): the function's own derivative, not a
#: composition's; and where the value is NaN the gradient may be any
SMALL = "a reciprocal of the composition overflows"
GRADIENTS: dict[tuple[str, str], str] = {
    ("hardsigmoid", "tensor"): "float64: PyTorch's 1 / 6 is that of float32",
    ("hardsigmoid", "scalar"): "as at tensor resolution",
    ("log10", "scalar"): "1 / x of a denormal overflows before it is scaled",
    ("sinc", "tensor"): "near 0 PyTorch's is a difference of numbers that are almost equal",
    ("sinc", "scalar"): "as at tensor resolution",
    ("gelu", "tensor"): "float32 at infinity: PyTorch has inf * 0",
    ("mish", "scalar"): "at infinity: 1; PyTorch has inf * 0",
    ("xlogy", "scalar"): SMALL,
    ("hypot", "scalar"): "of denormals the true one; largest beside infinity: NaN",
    ("logaddexp", "scalar"): "of two equal infinities: 1 and 0",
    ("logaddexp2", "scalar"): "as logaddexp",
    ("div", "scalar"): SMALL,
}


@functools.cache
def expected(name: str, dtype: Any) -> tuple[Any, Any]:
    """PyTorch's values, and gradients by operand (None: there are none)."""
    fn = UNARY.get(name) or _named(name)
    values, gradients = [], []
    for row in operands(name, dtype).T:
        given = [torch.tensor([x]).requires_grad_() for x in row]
        out = fn(torch, *given)
        if out.requires_grad:
            out.backward(torch.ones_like(out))
            gradients.append([0.0 if t.grad is None else t.grad.item() for t in given])
        values.append(out.detach().numpy()[0])
    return np.array(values), np.array(gradients, dtype).T if gradients else None


@functools.cache
def operands(name: str, dtype: Any) -> Any:
    """One row for each operand."""
    x = numbers(dtype)
    return x[None] if name in UNARY else np.stack([np.repeat(x, len(x)), np.tile(x, len(x))])


def close(got: Any, want: Any, name: str, dtype: Any, absolute: float = 0.0) -> Any:
    """Where they are equal to rounding, with equal signs."""
    relative = 1e-11 if dtype == np.float64 else 2e-5
    underflow = np.finfo(dtype).tiny / 1024
    absolute = max(absolute, 4 * np.finfo(dtype).eps * (name in CANCELS))
    with np.errstate(invalid="ignore"):
        near = np.abs(got - want) <= np.maximum(relative * np.abs(want), max(absolute, underflow))
    both_nan = np.isnan(got) & np.isnan(want)
    same_sign = (np.signbit(got) == np.signbit(want)) | (want != 0) | (absolute > 0)
    return both_nan | (((got == want) | near) & same_sign)


def described(name: str, dtype: Any, wrong: Any, got: Any, want: Any) -> str:
    rows = operands(name, dtype).T
    return "\n".join(
        f"{name}{tuple(rows[i].tolist())}: rnn {got[i]}, torch {want[i]}"
        for i in np.flatnonzero(wrong)[:8]
    )


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=lambda d: d.__name__)
@pytest.mark.parametrize("resolution", ["tensor", "scalar"])
@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_values_and_gradients(name: str, resolution: str, dtype: Any) -> None:
    fn = UNARY.get(name) or _named(name)
    want, want_gradients = expected(name, dtype)
    given = [rnn.tensor(x).requires_grad_() for x in operands(name, dtype)]
    with rnn.resolution(resolution):
        out = fn(rnn, *given)
        if want_gradients is not None:
            out.backward(rnn.ones_like(out))
    got = out.detach().numpy()
    if want.dtype == np.bool_:
        assert (got == want).all()
        return
    wrong = ~close(got, want, name, dtype)
    if name == "log1p":  # PyTorch has 0 of the smallest denormal below 0
        wrong &= operands(name, dtype)[0] != -np.finfo(dtype).smallest_subnormal
    assert not wrong.any(), described(name, dtype, wrong, got, want)
    if want_gradients is None or (name, resolution) in GRADIENTS:
        return
    for x, expect in zip(given, want_gradients):
        rounding = 1e-13 if dtype == np.float64 else 1e-6
        wrong = ~close(x.grad.numpy(), expect, name, dtype, rounding) & ~np.isnan(want)
        assert not wrong.any(), described(name, dtype, wrong, x.grad.numpy(), expect)


def test_listed_differences_are_there() -> None:
    """What is listed as different is: no entry outlives its reason."""
    for name, resolution in GRADIENTS:
        differs = False
        for dtype in (np.float64, np.float32):
            want, want_gradients = expected(name, dtype)
            given = [rnn.tensor(x).requires_grad_() for x in operands(name, dtype)]
            with rnn.resolution(resolution):
                out = (UNARY.get(name) or _named(name))(rnn, *given)
                out.backward(rnn.ones_like(out))
            rounding = 1e-13 if dtype == np.float64 else 1e-6
            for x, expect in zip(given, want_gradients):
                wrong = ~close(x.grad.numpy(), expect, name, dtype, rounding) & ~np.isnan(want)
                differs = differs or wrong.any()
        assert differs, (name, resolution)


#: what becomes of a gradient that is not finite, where it differs
COMING = {
    "logit": "of -0: the two infinities of its logarithms",
    "sinc": "of 0: times 0; PyTorch masks it",
    "nan_to_num": "of an infinity: masked; PyTorch multiplies by 0",
}


@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_gradients_that_are_not_finite(name: str) -> None:
    """An infinity or a NaN that comes in is lost, or becomes a NaN, where it is in PyTorch."""
    fn = UNARY.get(name) or _named(name)
    some = np.array([0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 3.0, -20.0, math.inf, -math.inf])
    coming = np.array([math.nan, math.inf, -math.inf, 0.0])
    x = some[None] if name in UNARY else np.stack([a.ravel() for a in np.meshgrid(some, some)])
    x, g = np.repeat(x, len(coming), 1), np.tile(coming, x.shape[1])
    found = []
    for lib in (rnn, torch):
        given = [lib.tensor(row).requires_grad_() for row in x]
        out = fn(lib, *given)
        if not out.requires_grad:
            return
        out.backward(lib.tensor(g))
        found.append([np.zeros(len(g)) if t.grad is None else t.grad.numpy() for t in given])
    for k, (got, want) in enumerate(zip(*found)):
        wrong = ~np.isclose(got, want, equal_nan=True) & ~np.isnan(out.detach().numpy())
        told = [(x[:, i], g[i], k, got[i], want[i]) for i in np.flatnonzero(wrong)]
        assert wrong.any() == (name in COMING), told

"""Elementwise functions against PyTorch: values, gradients, dtypes, special points, in place."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest
import torch
from helpers import compare, compare_errors, to_numpy, to_rnn

import rnn

NAN, INF = float("nan"), float("inf")
LOOSE = {"float32": 1e-4}  # where float32 rounds more than once, or PyTorch does
SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.0, NAN, INF, -INF, 1e-30, -2.5, 2.5, 3.5, 0.5, -3.0, 6.0, 30.0]
)

# ---- functions of one tensor ---------------------------------------------------------------------

UNARY = {
    "exp": (-2, 2), "exp2": (-2, 2), "expm1": (-2, 2), "log": (0.1, 3), "log2": (0.1, 3),
    "log10": (0.1, 3), "log1p": (-0.9, 3), "sqrt": (0.1, 3), "rsqrt": (0.1, 3),
    "reciprocal": (0.1, 3), "sin": (-9, 9), "cos": (-9, 9), "tan": (-1.4, 1.4),
    "asin": (-0.99, 0.99), "acos": (-0.99, 0.99), "atan": (-5, 5), "sinh": (-3, 3),
    "cosh": (-3, 3), "tanh": (-3, 3), "asinh": (-5, 5), "acosh": (1.1, 5), "atanh": (-0.9, 0.9),
    "sigmoid": (-6, 6), "erf": (-3, 3), "erfc": (-2, 2), "erfinv": (-0.95, 0.95),
    "lgamma": (-3.4, 9),
    "frac": (-3, 3), "neg": (-2, 2),
    "abs": (-2, 2), "sign": (-2, 2), "square": (-2, 2), "relu": (-2, 2), "floor": (-3, 3),
    "ceil": (-3, 3), "trunc": (-3, 3), "round": (-3, 3), "logit": (0.1, 0.9), "sinc": (-2, 2),
    "deg2rad": (-90, 90), "rad2deg": (-3, 3), "nan_to_num": (-2, 2), "negative": (-2, 2),
    "absolute": (-2, 2), "arcsin": (-0.99, 0.99), "arccos": (-0.99, 0.99), "arctan": (-5, 5),
    "arcsinh": (-5, 5), "arccosh": (1.1, 5), "arctanh": (-0.9, 0.9), "fix": (-3, 3),
}  # fmt: skip
IN_PLACE = [n for n in UNARY if hasattr(torch.Tensor, n + "_") and hasattr(rnn.Tensor, n + "_")]


@pytest.mark.parametrize("name", UNARY)
def test_unary(name):
    low, high = UNARY[name]
    compare(
        lambda m, x: getattr(m, name)(x), (3, 4), low=low, high=high, elementwise=True, rtol=LOOSE
    )
    compare(
        lambda x: getattr(x, name)(), (5,), low=low, high=high, layouts=["contiguous"], rtol=LOOSE
    )


SPECIAL_UNARY = sorted(set(UNARY) - {"sinc", "logit"})


@pytest.mark.parametrize("name", SPECIAL_UNARY)
def test_unary_at_special_points(name):
    fn = lambda m, x: getattr(m, name)(x)  # noqa: E731
    compare(fn, SPECIAL, resolutions=["tensor"], layouts=["contiguous"], edges=False, rtol=LOOSE)


@pytest.mark.parametrize(
    "name", ["exp", "sigmoid", "tanh", "log1p", "expm1", "erf", "sin", "cos", "tan"]
)
def test_unary_of_large_arguments(name):
    x = np.array([1e3, -1e3, 88.0, -87.5, 1e5, 3e9, -7e12, 1e30, 5e-39, 700.0, -745.0])
    fn = lambda m, x: getattr(m, name)(x)  # noqa: E731
    compare(fn, x, resolutions=["tensor"], layouts=["contiguous"], edges=False)


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.bool_])
def test_unary_of_integers(name, dtype):
    x = np.array([0, 1, 3, 1]).astype(dtype)
    fn = lambda m, x: getattr(m, name)(x)  # noqa: E731
    try:
        expected = fn(torch, torch.from_numpy(x))
    except (RuntimeError, NotImplementedError) as error:
        if name not in ("frac",):  # PyTorch lacks a kernel where there is no reason against one
            with pytest.raises(type(error)):
                fn(rnn, to_rnn(x))
        return
    assert expected.dtype is not None
    compare(fn, x, edges=False, resolutions=["tensor"], dtypes=["float32"], rtol=LOOSE)


@pytest.mark.parametrize("name", IN_PLACE)
def test_unary_in_place(name):
    low, high = UNARY[name]
    step = lambda x: getattr(x * 1.0, name + "_")()  # noqa: E731
    view = lambda x: (y := x * 1.0, getattr(y[1:], name + "_")())[0] * 2  # noqa: E731
    # PyTorch has no derivative for these three, in place
    without = name.replace("arc", "a") in ("asinh", "acosh", "atanh")
    for grad in (False,) if without else (False, True):
        compare(step, (3, 4), low=low, high=high, edges=False, grad=grad, rtol=LOOSE)
        compare(view, (3, 4), low=low, high=high, edges=False, grad=grad, rtol=LOOSE)


def test_round_decimals():
    x = np.array([1.25, -1.35, 123.456, 0.5, 1.5, 2.5, -0.5])
    for decimals in (0, 1, 2, -1):
        compare(
            lambda m, x, d=decimals: m.round(x, decimals=d), x, resolutions=["tensor"], edges=False
        )


def test_nan_to_num():
    compare(lambda m, x: m.nan_to_num(x), SPECIAL, edges=False, resolutions=["tensor"])
    compare(
        lambda m, x: m.nan_to_num(x, 1.0, 2.0, 3.0), SPECIAL, edges=False, resolutions=["tensor"]
    )


# ---- functions of two tensors --------------------------------------------------------------------

BINARY = {
    "add": (-2, 2), "sub": (-2, 2), "mul": (-2, 2), "div": (0.3, 2), "true_divide": (0.3, 2),
    "pow": (0.2, 2), "maximum": (-2, 2), "minimum": (-2, 2), "fmax": (-2, 2), "fmin": (-2, 2),
    "atan2": (-2, 2), "fmod": (0.3, 2), "remainder": (0.3, 2), "hypot": (-2, 2),
    "logaddexp": (-2, 2), "logaddexp2": (-2, 2), "xlogy": (0.2, 2), "copysign": (-2, 2),
    "subtract": (-2, 2), "multiply": (-2, 2), "divide": (0.3, 2), "rsub": (-2, 2),
}  # fmt: skip


@pytest.mark.parametrize("name", BINARY)
def test_binary(name):
    low, high = BINARY[name]
    fn = lambda m, x, y: getattr(m, name)(x, y)  # noqa: E731
    compare(fn, (3, 4), (3, 4), low=low, high=high, elementwise=True, rtol=LOOSE)
    for shapes in [
        ((3, 4), (4,)),
        ((1, 4), (3, 1)),
        ((), (2, 3)),
        ((2, 3), ()),
        ((2, 1, 3), (4, 1)),
        ((0, 3), (1, 3)),
    ]:
        compare(fn, *shapes, low=low, high=high, layouts=["contiguous"], rtol=LOOSE)


@pytest.mark.parametrize("name", BINARY)
def test_binary_at_special_points(name):
    x, y = (a.ravel() for a in np.meshgrid(SPECIAL, SPECIAL))
    fn = lambda m, x, y: getattr(m, name)(x, y)  # noqa: E731
    limits = (
        {"rtol": LOOSE, "dtypes": ["float64"]} if name in ("fmod", "remainder") else {"rtol": LOOSE}
    )
    if name in ("hypot", "logaddexp", "logaddexp2"):
        x, y = x[np.isfinite(x) & np.isfinite(y)], y[np.isfinite(x) & np.isfinite(y)]
    compare(fn, x, y, resolutions=["tensor"], layouts=["contiguous"], edges=False, **limits)


SCALARS = [2, 3.0, -1, 0.5, 1, 0, True, 2.7, -0.5, -2, 1e-3]


@pytest.mark.parametrize("scalar", SCALARS, ids=repr)
@pytest.mark.parametrize("op", ["add", "sub", "mul", "truediv", "pow", "mod"])
def test_operators_with_numbers(op, scalar):
    if (op == "mod" and scalar == 0) or (op in ("sub", "pow") and scalar is True):
        return  # PyTorch refuses x - True, and fails at x ** True
    fn = getattr(operator, op)
    compare(lambda x: fn(x, scalar), (3, 4), low=0.1, elementwise=True, rtol=LOOSE)
    if op != "mod":
        compare(lambda x: fn(scalar, x), (3, 4), low=0.1, elementwise=True, rtol=LOOSE)
    else:
        compare(lambda x: fn(scalar, x), (3, 4), low=0.1, grad=False, rtol=LOOSE)
    if scalar in (2, 3, 3.0, 0.5, -1, 0, -0.5):
        compare(lambda x: fn(x, scalar), SPECIAL, resolutions=["tensor"], edges=False, rtol=LOOSE)


def test_operators_of_tensors():
    compare(lambda x, y: (x + y) * (x - y) / (x * x + y * y + 1) ** 2, (3, 4), (4,), rtol=LOOSE)
    compare(lambda x, y: -x + +y - abs(x * y), (3, 4), (4,))
    compare(lambda x, y: (x // y, x % y, x // 2, 2 // y, 3 % y), (3, 4), (4,), low=0.3, grad=False)


def test_one_tensor_twice():
    compare(lambda x: x * x + x / x - x**x, (3, 4), low=0.3, elementwise=True)


def test_alpha():
    compare(lambda m, x, y: m.add(x, y, alpha=2.5), (3, 4), (4,), elementwise=True)
    compare(lambda m, x, y: m.sub(x, y, alpha=0.3), (3, 4), (4,), elementwise=True)
    compare(lambda m, x: m.add(x, 1.5, alpha=2), (3, 4))
    compare(lambda m, x: m.rsub(x, 1.5, alpha=2), (3, 4))
    compare(lambda x, y: x.add(y, alpha=3), np.arange(3), np.arange(3))
    compare(lambda x, y: x.add(y, alpha=3), np.array([True, False]), np.array([True, True]))
    compare(lambda x, y: (x * 1).add_(y, alpha=-0.1).sub_(y, alpha=3), (3, 4), (4,), edges=False)
    compare(lambda x, y: (x * 1).add_(y, alpha=-0.1).sub_(2, alpha=3), (3, 4), (4,), grad=False)


def test_rounded_division():
    for mode in ("floor", "trunc"):
        fn = lambda m, x, y, mode=mode: m.div(x, y, rounding_mode=mode)  # noqa: E731
        compare(fn, (3, 4), (4,), low=0.1)
        compare(fn, (3, 4), (4,), low=-2, high=-0.1)
        compare(fn, np.array([7, -7, 8]), np.array([2, 2, -3]))
    x, y = (a.ravel() for a in np.meshgrid(SPECIAL, SPECIAL))
    compare(lambda x, y: x // y, x, y, grad=False, resolutions=["tensor"])


def _dividends_and_divisors(dtype: str) -> list[Any]:
    """Pairs of arrays: quotients small and large, next to whole numbers, of any two numbers, and of
    few that are 0, infinite or NaN among many that are not.
    """
    rng, size = np.random.default_rng(0), 3000
    info, unsigned = np.finfo(dtype), dtype.replace("float", "uint")
    special = np.array([*SPECIAL, info.max, -info.tiny, 7 * info.smallest_subnormal], dtype)
    pairs = [[a.ravel() for a in np.meshgrid(special, special)]]
    pairs.append(list(rng.integers(0, np.iinfo(unsigned).max, (2, size), unsigned).view(dtype)))
    for largest in (1, 10, 1e3, 4e6, 2e7, 1e12, 1e17):
        y = rng.standard_normal(size).astype(dtype)
        whole = (y * np.floor(rng.uniform(-largest, largest, size))).astype(dtype)
        steps = rng.integers(-1, 2, size).astype(dtype)
        pairs.append([(y * rng.uniform(-largest, largest, size)).astype(dtype), y])
        pairs.append([np.nextafter(whole, whole + steps).astype(dtype), y])
    pairs.append([rng.integers(-1000, 1000, size).astype(dtype) for _ in "ab"])
    return pairs


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_remainders_are_exact(dtype):
    """fmod has the bits of C's; what is made of it, and the gradients, are PyTorch's."""
    functions = [
        lambda m, x, y: m.fmod(x, y),
        lambda m, x, y: m.remainder(x, y),
        lambda m, x, y: m.div(x, y, rounding_mode="floor"),
    ]
    with np.errstate(all="ignore"):
        for a, b in _dividends_and_divisors(dtype):
            exact = np.fmod(a, b)
            np.testing.assert_array_equal(rnn.fmod(rnn.tensor(a), rnn.tensor(b)).numpy(), exact)
            known = ~np.isfinite(exact) | np.isfinite(a / b)  # PyTorch has NaN where a / b is inf
            for fn in functions:
                for got, want in zip(*[_with_gradients(m, fn, a, b) for m in (rnn, torch)]):
                    np.testing.assert_array_equal(got[known], want[known])
                    zeros = known & (want == 0)
                    np.testing.assert_array_equal(np.signbit(got[zeros]), np.signbit(want[zeros]))


def _with_gradients(m, fn, a, b):
    x, y = (m.tensor(array, requires_grad=True) for array in (a, b))
    z = fn(m, x, y)
    z.sum().backward()
    return [z.detach().numpy(), *(np.asarray(t.grad) for t in (x, y))]


def test_clamp():
    for low, high in [
        (-0.5, 0.5),
        (None, 0.5),
        (-0.5, None),
        (0.5, -0.5),
        (0, 1),
        (-INF, INF),
        (NAN, 1.0),
    ]:
        compare(lambda x, a=low, b=high: x.clamp(a, b), (3, 4), elementwise=True)
        compare(lambda x, a=low, b=high: x.clamp(a, b), SPECIAL, edges=False)
        compare(lambda x, a=low, b=high: (x * 1).clamp_(a, b), (3, 4), edges=False)
    compare(lambda m, x: m.clamp_min(m.clamp_max(x, 0.5), -0.5), (3, 4))
    compare(lambda m, x: m.clip(x, max=0.5), (3, 4))
    compare(lambda x, a, b: x.clamp(a, b), (3, 4), (4,), (3, 1))
    compare(lambda x, a: x.clamp(max=a), (3, 4), (4,))
    compare(lambda x: x.clamp(1, 2), np.arange(4))
    compare(lambda x: x.clamp(min=0.5), np.arange(4))
    compare(lambda x: x.clamp(0, 1), np.array([True, False]))


def test_where():
    mask = np.array([[True, False, True, False]] * 3)
    compare(lambda m, c, x, y: m.where(c, x, y), mask, (3, 4), (3, 4))
    compare(lambda m, c, x, y: m.where(c, x, y), mask[0], (3, 4), ())
    compare(lambda m, c, x: m.where(c, x, 0.0), mask, (4,))
    compare(lambda m, c, x: m.where(c, 1, x), mask, (3, 1))
    compare(lambda m, c: m.where(c, 1, 0), mask)
    compare(lambda m, c: m.where(c, 1.5, 0), mask)
    compare(lambda m, c, x: x.where(c, -x), mask, (3, 4))
    compare(lambda m, c, x, y: m.where(c, x, y), mask, np.arange(4), np.arange(4, dtype=np.int32))
    compare(lambda m, x: m.where(x > 0, x, x * 0.1), (3, 4), elementwise=True)


def test_lerp_addcmul_addcdiv():
    compare(lambda m, x, y: m.lerp(x, y, 0.3), (3, 4), (3, 4), elementwise=True)
    compare(lambda m, x, y: m.lerp(x, y, 0.7), (3, 4), (4,))
    compare(lambda m, x, y, w: m.lerp(x, y, w), (3, 4), (3, 4), (4,))
    compare(lambda m, x, y, z: m.addcmul(x, y, z, value=0.5), (3, 4), (4,), (3, 1))
    compare(lambda m, x, y, z: m.addcdiv(x, y, z, value=-0.5), (3, 4), (4,), (3, 1), low=0.5)
    for grad in (False, True):
        compare(lambda x, y: (x * 1).lerp_(y, 0.3), (3, 4), (3, 4), grad=grad, edges=False)
        compare(
            lambda x, y, z: (x * 1).addcmul_(y, z, value=2),
            (3, 4),
            (4,),
            (4,),
            grad=grad,
            edges=False,
        )
        compare(
            lambda x, y, z: (x * 1).addcdiv_(y, z, value=2),
            (3, 4),
            (4,),
            (4,),
            low=0.5,
            grad=grad,
            edges=False,
        )


def test_ldexp_heaviside_float_power():
    compare(lambda m, x: m.ldexp(x, m.tensor([1, 2, 0, 3])), (3, 4))
    compare(
        lambda m, x, y: m.heaviside(x, y), np.array([-1.0, 0.0, 2.0]), np.array([0.5]), grad=False
    )
    compare(lambda m, x: m.float_power(x, 2), (3, 4))
    compare(lambda m, x: m.float_power(x, 2), np.arange(3))


# ---- dtypes --------------------------------------------------------------------------------------

NUMBERS = {
    "bool": np.array([True, False, True]),
    "uint8": np.array([1, 2, 255], np.uint8),
    "int8": np.array([1, -2, 127], np.int8),
    "int32": np.array([1, -2, 3], np.int32),
    "int64": np.array([1, -2, 3], np.int64),
    "float16": np.array([1, -2, 0.5], np.float16),
    "0-d int64": np.array(3),
    "0-d bool": np.array(True),
}


@pytest.mark.parametrize("op", ["add", "mul", "truediv", "sub", "pow", "floordiv", "mod"])
@pytest.mark.parametrize("a", NUMBERS)
def test_promotion(op, a):
    fn = getattr(operator, op)
    for b, y in NUMBERS.items():
        x = NUMBERS[a]
        if op in ("pow", "floordiv", "mod"):
            y = np.asarray(np.abs(y))
        _same_or_same_error(fn, x, y, what=f"{a} {op} {b}")
    for scalar in (2, 1.5, -1):
        _same_or_same_error(lambda x, s=scalar: fn(x, s), NUMBERS[a], what=f"{a} {op} {scalar}")
        _same_or_same_error(lambda x, s=scalar: fn(s, x), NUMBERS[a], what=f"{scalar} {op} {a}")


def _same_or_same_error(fn, *arrays, what=""):
    try:
        expected = fn(*[torch.from_numpy(x) for x in arrays])
    except (RuntimeError, NotImplementedError) as error:
        with pytest.raises(type(error)) as caught:
            fn(*[to_rnn(x) for x in arrays])
        if "not implemented for" not in str(error):
            assert str(caught.value) == str(error), what
        return
    got = fn(*[to_rnn(x) for x in arrays])
    assert str(got.dtype).partition(".")[2] == str(expected.dtype).partition(".")[2], what
    np.testing.assert_allclose(to_numpy(got), to_numpy(expected), 2e-3, err_msg=what)


@pytest.mark.parametrize("a", [(3,), ()])
@pytest.mark.parametrize("b", [(3,), ()])
def test_promotion_of_floats(a, b):
    """float32 and float64, with and without dimensions; each gets its gradient in its own dtype."""
    x, y = np.full(a, 1.5), np.full(b, 2.5)
    for m in (torch, rnn):
        p = m.tensor(x, dtype=m.float32, requires_grad=True)
        q = m.tensor(y, dtype=m.float64, requires_grad=True)
        z = p * q + q / p
        z.sum().backward() if m is torch else z.backward(m.ones_like(z))
        if m is torch:
            expected = z, p.grad, q.grad
    for ours, theirs in zip((z, p.grad, q.grad), expected):
        assert str(ours.dtype)[4:] == str(theirs.dtype)[6:]
        np.testing.assert_allclose(to_numpy(ours), to_numpy(theirs), 1e-6)


def test_floats_with_integers():
    for array in NUMBERS.values():
        if array.dtype != np.float16:
            compare(lambda x, i: x * i + i, (3,), array, layouts=["contiguous"])
            compare(lambda m, x, i: m.maximum(x, i), (3,), array, layouts=["contiguous"])


def test_numpy_operands():
    x = rnn.ones(3)
    for y in (np.float32(2), np.float64(2), np.int64(2), np.ones(3), np.ones(3, np.float32)):
        for op in (operator.add, operator.mul, operator.truediv, operator.sub):
            expected = op(torch.ones(3), y)
            got = op(x, y)
            assert str(got.dtype)[4:] == str(expected.dtype)[6:]
            assert to_numpy(got).tolist() == expected.tolist()
    assert isinstance(np.float32(2) * x, rnn.Tensor)
    assert isinstance(np.float64(2) - x, rnn.Tensor)
    assert (np.float64(2) - x).dtype is rnn.float32


def test_values_mix_with_tensors():
    v, t = rnn.Value(3.0), rnn.ones(2, dtype=rnn.float64, requires_grad=True)
    (t * v).backward(rnn.ones(2, dtype=rnn.float64))
    assert v.grad == 2.0
    assert t.grad.tolist() == [3.0, 3.0]


# ---- comparisons, logic, bits --------------------------------------------------------------------


@pytest.mark.parametrize("op", ["eq", "ne", "lt", "le", "gt", "ge"])
def test_comparisons(op):
    fn = getattr(operator, op)
    x, y = (a.ravel() for a in np.meshgrid(SPECIAL, SPECIAL))
    compare(fn, x, y)
    compare(lambda x: (fn(x, 0.5), fn(0.5, x), fn(x, 1), fn(x, True)), SPECIAL)
    compare(lambda m, x, y: getattr(m, op)(x, y), (3, 4), (4,), elementwise=True)
    compare(lambda x: getattr(x, op)(0.1), np.array([0.1, 0.2]))
    compare(
        lambda x, y: (fn(x, y), fn(x, 2), fn(y, 0.5)),
        np.arange(4),
        np.array([1, 0, 2, 3], np.int32),
    )
    compare(lambda x, y: fn(x, y), (3,), np.arange(3))
    compare_errors(fn, (3,), (2,))


def test_comparisons_with_what_is_no_number():
    x = rnn.ones(2)
    assert (x == None) is False  # noqa: E711
    assert (x != None) is True  # noqa: E711
    assert (x == "a") is False
    for op in (operator.lt, operator.ge):
        compare_errors(lambda x, op=op: op(x, None), (3,))
        compare_errors(lambda x, op=op: op(x, "a"), (3,))
    compare_errors(lambda m, x: m.eq(x, "a"), (3,), text=False)


def test_closeness():
    pairs = [([1.0, NAN, INF, -INF], [1.0 + 1e-9, NAN, INF, INF]), ([1.0, 2.0], [1.1, 2.0])]
    for x, y in pairs:
        for kwargs in ({}, {"equal_nan": True}, {"rtol": 0.2}, {"atol": 1.0}):
            compare(
                lambda m, a, b, k=kwargs: m.isclose(a, b, **k),
                np.array(x),
                np.array(y),
                dtypes=["float64"],
            )
            compare(
                lambda m, a, b, k=kwargs: m.allclose(a, b, **k),
                np.array(x),
                np.array(y),
                dtypes=["float64"],
            )
    compare(lambda m, a, b: (m.isclose(a, b), m.equal(a, b)), np.arange(3), np.arange(3))
    compare(lambda m, a, b: m.equal(a, b), (3,), (2,))
    compare(lambda m, a: m.equal(a, a), (3,))
    compare_errors(lambda m, a: m.isclose(a, a.double()), (3,))
    compare_errors(lambda m, a: m.equal(1, a), (3,))


def test_logic_and_bits():
    a, b = np.array([True, True, False, False]), np.array([True, False, True, False])
    for name in ("logical_and", "logical_or", "logical_xor"):
        compare(lambda m, x, y, n=name: getattr(m, n)(x, y), a, b)
        compare(lambda m, x, y, n=name: getattr(m, n)(x, y), SPECIAL[:4], np.arange(4))
        compare_errors(lambda m, x, n=name: getattr(m, n)(x, 3), (3,))
        compare_errors(lambda m, x, y, n=name: getattr(m, n)(x, y), (3,), (4,))
    compare_errors(lambda m, x: m.isclose(x, 3), (3,))
    compare_errors(lambda m, x: m.allclose(x, 3), (3,))
    compare_errors(lambda m, x: m.heaviside(x, 3), (3,))
    compare(lambda m, x: m.logical_not(x), SPECIAL)
    compare(lambda x, y: (x & y, x | y, x ^ y, ~x, x & True, True | x), a, b)
    i, j = np.array([5, -3, 12]), np.array([1, 2, 3], np.int32)
    compare(
        lambda x, y: (x & y, x | y, x ^ y, ~x, x << y, x >> y, x & 4, 4 | x, 1 << y, 64 >> y), i, j
    )
    for name in (
        "bitwise_and",
        "bitwise_or",
        "bitwise_xor",
        "bitwise_left_shift",
        "bitwise_right_shift",
    ):
        compare(lambda m, x, y, n=name: getattr(m, n)(x, y), i, j)
    compare(lambda m, x: m.bitwise_not(x), i)
    compare_errors(lambda x: x & x, (3,))
    compare_errors(lambda x: x << 1, (3,))
    compare_errors(lambda x: ~x, (3,))

    def in_place(x, y):
        x = x + 0
        x &= y
        x |= 8
        x ^= y
        x <<= 1
        x >>= 2
        return x

    compare(in_place, i, j)


def test_questions():
    for name in ("isnan", "isinf", "isfinite", "isposinf", "isneginf", "signbit", "isreal"):
        compare(lambda m, x, n=name: getattr(m, n)(x), SPECIAL)
        compare(lambda m, x, n=name: getattr(m, n)(x), np.arange(3))


def test_python_numbers():
    for m in (torch, rnn):
        assert float(m.tensor([1.5])) == 1.5
        assert int(m.tensor(3.7)) == 3
        assert complex(m.tensor(1.5)) == 1.5 + 0j
        assert bool(m.tensor([0.0])) is False
        assert bool(m.tensor(2)) is True
        assert [10, 20, 30][m.tensor(1)] == 20
        assert operator.index(m.tensor([2])) == 2
    compare_errors(lambda x: bool(x), (3,))
    compare_errors(lambda x: bool(x), (0,))
    compare_errors(lambda x: int(x), (3,))
    compare_errors(lambda x: operator.index(x), ())
    compare_errors(lambda x: int(x), np.array(NAN))


# ---- in place ------------------------------------------------------------------------------------


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("op", ["iadd", "isub", "imul", "itruediv", "ipow"])
def test_in_place_operators(op, grad):
    fn = getattr(operator, op)
    for scalar in (2, 0.5, 1.7):
        compare(lambda x, s=scalar: fn(x * 1, s), (3, 4), low=0.3, grad=grad, edges=False)
    compare(lambda x, y: fn(x * 1, y), (3, 4), (4,), low=0.3, grad=grad, edges=False)
    compare(lambda x, y: fn(x * 1, y), (3, 4), (3, 4), low=0.3, grad=grad, edges=False)

    def of_a_view(x, y):
        z = x * 1
        part = z[1]
        fn(part, y.detach())
        return z * 1, part * 2

    if op != "ipow" or not grad:  # PyTorch refuses: pow wants the old values
        compare(of_a_view, (3, 4), (4,), low=0.3, grad=grad, edges=False)

    def of_itself(x):
        z = x * 1
        fn(z, z)
        return z

    compare(of_itself, (3, 4), low=0.3, grad=grad and op in ("iadd", "isub"), edges=False)


def test_in_place_rounding_operators():
    for op in (operator.ifloordiv, operator.imod):
        compare(lambda x, y, op=op: op(x * 1, y), (3, 4), (4,), low=0.3, grad=False)
        compare(lambda x, op=op: op(x * 1, 0.7), (3, 4), low=0.3, grad=False)
        compare(lambda x, op=op: op(x * 1, 2), np.array([7, -7, 3]))
    compare(lambda x, y: (x * 1).fmod_(y), (3, 4), (4,), low=0.3, grad=False)
    compare(lambda x, y: (x * 1).div_(y, rounding_mode="floor"), (3, 4), (4,), low=0.3, grad=False)


def test_in_place_in_a_graph():
    def steps(x, b):
        out = x * 3
        out += b
        out *= 2
        y = out * 3
        y[0] += out[1]
        return y * out

    compare(steps, (3, 4), (4,), edges=False)


def test_in_place_of_integers():
    compare(lambda x: (x + 0).add_(1).mul_(2).sub_(x), np.arange(4))
    compare(lambda x: (x + 0).pow_(2), np.arange(4))
    compare(lambda x: (x + 0).neg_().abs_().clamp_(1, 2), np.arange(4))
    compare(lambda x, y: (x * 1).add_(y), (3,), np.arange(3), grad=False)


def test_in_place_writes_the_memory_that_numpy_shares():
    x = rnn.zeros(3)
    seen = x.numpy()
    x += 1
    x.mul_(rnn.tensor([1.0, 2.0, 3.0]))
    x.exp_().log_()
    np.testing.assert_allclose(seen, [1, 2, 3], 1e-6)
    i = rnn.zeros(3, dtype=rnn.int64)
    seen = i.numpy()
    i += 2
    assert seen.tolist() == [2, 2, 2]


def test_parameters_are_updated_in_every_style():
    for m in (torch, rnn):
        p = m.ones(3, requires_grad=True)
        same = p
        with m.no_grad():
            p -= 0.1 * m.ones(3)
            p.add_(m.ones(3), alpha=-0.5)
            p.mul_(2).addcdiv_(m.ones(3), m.full((3,), 2.0), value=-1)
        p.data += 1
        p.data.add_(m.ones(3), alpha=0.25)
        assert p is same and p.requires_grad and p.is_leaf
        np.testing.assert_allclose(to_numpy(p), [1.55] * 3, 1e-6)


def test_copy_fill_zero():
    compare(lambda x, y: (x * 1).copy_(y), (3, 4), (4,), edges=False)
    compare(lambda x, y: (x * 1).copy_(y), (3, 4), np.arange(4), edges=False)
    compare(lambda x: (x * 1).copy_(x.double()), (3, 4), edges=False)
    compare(lambda x, y: (x + 0).copy_(y), np.arange(3), np.array([1.7, -1.7, 3]))
    compare(lambda x: (x * 1).fill_(2), (3, 4), edges=False)
    compare(lambda x, y: (x * 1).fill_(y), (3, 4), (), edges=False)
    compare(lambda x: (x * 1).zero_(), (3, 4), edges=False)
    compare(lambda x: ((x + 0).fill_(1.7), (x + 0).zero_()), np.arange(3))
    for number in (3, 2.5, True, -7.9):
        for dtype in ("float32", "int64", "bool"):
            made = [m.zeros(3, dtype=getattr(m, dtype)).copy_(number) for m in (torch, rnn)]
            assert repr(made[0]) == repr(made[1]).replace("rnn.", "torch.")
    compare_errors(lambda m, x: x.copy_(m.ones(2)), (3,))
    compare_errors(lambda m, x: x.copy_([1.0]), (3,))
    compare_errors(lambda m, x: x.copy_(m.ones(2, 3)), (3,))
    compare_errors(lambda m, x: x.fill_(m.ones(2)), (3,))
    compare_errors(lambda m, x: x.fill_("a"), (3,), text=False)


def test_in_place_errors():
    compare_errors(lambda x: x.add_(1), (3,), grad=True)
    compare_errors(lambda x: x.exp_(), (3,), grad=True)
    compare_errors(lambda x: x[:2].mul_(2), (3,), grad=True)
    compare_errors(lambda x: x.zero_(), (3,), grad=True)
    compare_errors(lambda m, x: x.add_(m.ones(2, 3)), (3,))
    compare_errors(lambda m, x: x.add_(m.ones(2)), (3,))
    compare_errors(lambda x: x.expand(2, 3).add_(1), (3,))
    compare_errors(lambda x: x.add_(1.5), np.arange(3))
    compare_errors(lambda x: x.div_(2), np.arange(3))
    compare_errors(lambda x: x.exp_(), np.arange(3))
    compare_errors(lambda x: x.add_(1), np.array([True]))


# ---- out= ----------------------------------------------------------------------------------------


def test_out():
    def run(m, x, y):
        out = m.zeros(3, 4)
        given = m.exp(x, out=out)
        assert given is out
        m.add(out, y, alpha=2, out=out)
        m.mul(out, 2, out=out)
        m.clamp(out, 0, 5, out=out)
        return out, m.gt(x, 0, out=m.zeros(3, 4, dtype=m.bool))

    compare(run, (3, 4), (4,), grad=False, dtypes=["float32"])
    compare_errors(lambda m, x: m.exp(x, out=m.zeros(3, dtype=m.int64)), (3,))
    compare_errors(lambda m, x: m.exp(x, out=m.zeros(3)), (3,), grad=True)
    compare_errors(lambda m, x: m.mul(x, x, out=m.zeros(3)), (3,), grad=True)


def test_out_with_gradients():
    """Refused, but where no gradient could flow."""
    for refused in (
        lambda m, x: m.add(x.detach(), 1, out=x * 1),
        lambda m, x: m.matmul(x, x, out=m.zeros(3, 3)),
        lambda m, x: m.mv(x, x[0], out=m.zeros(3)),
        lambda m, x: m.cat([x, x], out=m.zeros(6, 3)),
        lambda m, x: m.stack([x], out=m.zeros(1, 3, 3)),
        lambda m, x: m.index_select(x, 0, m.tensor([0]), out=m.zeros(1, 3)),
        lambda m, x: m.sort(x, out=(m.zeros(3, 3), m.zeros(3, 3, dtype=m.int64))),
        lambda m, x: m.max(x, 0, out=(m.zeros(3), m.zeros(3, dtype=m.int64))),
    ):
        compare_errors(refused, (3, 3), grad=True)

    def fine(m, x):
        m.matmul(x.detach(), x.detach(), out=x.new_zeros(3, 3))
        with m.no_grad():
            product = m.matmul(x, x, out=x.new_zeros(3, 3))
        bools = m.zeros(3, 3, dtype=m.bool)
        at = m.argmax(x, 0, out=m.zeros(3, dtype=m.int64))
        return product, m.lt(x, 0, out=bools).clone(), m.eq(x, 0, out=bools), at

    compare(fine, (3, 3))


# ---- errors --------------------------------------------------------------------------------------


def test_errors():
    compare_errors(lambda x, y: x + y, (3,), (2,))
    compare_errors(lambda x, y: x + y, (2, 3, 4), (2, 4))
    compare_errors(lambda x, y: x - y, np.arange(3), np.arange(2))
    compare_errors(lambda x: x * None, (3,), text=False)
    compare_errors(lambda x: x.mul("a"), (3,))
    compare_errors(lambda x: x.mul(None), (3,))
    compare_errors(lambda m, x: m.exp(2.0), (3,))
    compare_errors(lambda m, x: m.maximum(x, 1), (3,))
    compare_errors(lambda x: x.clamp(), (3,))
    compare_errors(lambda x: x // 0, np.arange(3))
    compare_errors(lambda x: x % 0, np.arange(3))
    compare_errors(lambda m, x: m.fmod(x, 0), np.arange(3))
    compare_errors(lambda m, x: m.div(x, 0, rounding_mode="trunc"), np.arange(3))
    compare_errors(lambda m, x: m.div(x, 2, rounding_mode="up"), (3,))
    compare_errors(lambda x: x**-1, np.arange(3))
    compare_errors(lambda x: x - x, np.array([True]))
    compare_errors(lambda x: 1 - x, np.array([True]))
    compare_errors(lambda x: -x, np.array([True]))
    compare_errors(lambda x: +x, np.array([True]))
    compare_errors(lambda x: x.abs(), np.array([True]))
    compare_errors(lambda x: x.add(1, alpha=1.5), np.arange(3))
    compare_errors(lambda m, x: m.where(x, x, x), (3,))
    compare_errors(lambda m, c, x: m.where(c, x, x), np.array([True, False]), (3,))


def test_integer_powers():
    compare(lambda x, y: x**y, np.array([2, 1, -1, 3]), np.array([-1, -2, -3, 4]))
    compare(lambda x: (2**x, 2.5**x, x**2, x**0, x**2.0), np.arange(4))


def test_unrelated_types_get_their_turn():
    class Other:
        def __radd__(self, t):
            return "radd"

        def __rmul__(self, t):
            return "rmul"

        def __lt__(self, t):
            return "lt"

    x = rnn.ones(2)
    assert x + Other() == "radd"
    assert x * Other() == "rmul"
    assert (x > Other()) == "lt"


def test_recorded_in_place_results_are_seen_by_all_who_share_the_memory():
    for m in (torch, rnn):
        w = m.ones(3, requires_grad=True)
        x = m.zeros(3)
        seen, constant = x.numpy(), (w * 1).detach()
        same = constant.detach()
        x += w * 2
        constant += w
        array = np.zeros(3, np.float32)
        borrowed = m.from_numpy(array)
        borrowed *= 3
        borrowed += w
        assert seen.tolist() == [2.0] * 3
        assert array.tolist() == [1.0] * 3
        assert same.tolist() == [2.0] * 3
        assert x.requires_grad and borrowed.requires_grad and constant.requires_grad
        (x.sum() + borrowed.sum() * 2 + constant.sum()).backward()
        assert w.grad.tolist() == [5.0] * 3


ACCURATE = {
    "exp": (-87, 88), "exp2": (-125, 127), "expm1": (-20, 88), "log": (1e-30, 1e30),
    "log2": (1e-30, 1e30), "log10": (1e-30, 1e30), "log1p": (-0.99, 100), "sin": (-1e9, 1e9),
    "cos": (-1e9, 1e9), "tan": (-1e9, 1e9), "asin": (-1, 1), "acos": (-1, 1), "atan": (-1e3, 1e3),
    "sinh": (-89, 89), "cosh": (-89, 89), "tanh": (-10, 10), "asinh": (-1e12, 1e12),
    "acosh": (1, 1e12), "atanh": (-1, 1), "sigmoid": (-80, 80), "erf": (-4, 4), "erfc": (-4, 9),
    "rsqrt": (1e-30, 1e30), "sqrt": (1e-30, 1e30), "erfinv": (-1, 1), "lgamma": (-9, 1e5),
    "digamma": (-9, 1e5),
}  # fmt: skip


@pytest.mark.parametrize("name", ACCURATE)
def test_float32_is_accurate_to_a_few_units_in_the_last_place(name):
    low, high = ACCURATE[name]
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [rng.uniform(low, high, 20000), rng.uniform(max(low, -3), min(high, 3), 20000)]
    )
    x = np.clip(x.astype(np.float32), np.float32(low), np.float32(high))
    exact = getattr(torch, name)(torch.from_numpy(x).double()).numpy()
    got = getattr(rnn, name)(rnn.from_numpy(x)).numpy().astype(np.float64)
    with np.errstate(over="ignore"):
        unit = np.spacing(np.abs(exact.astype(np.float32))).astype(np.float64)
    finite = np.isfinite(exact) & (np.abs(exact) < 3.4e38)
    error = np.abs(got - exact)[finite] / unit[finite]
    assert error.max() < 4, (x[finite][error.argmax()], error.max())


def test_other_names() -> None:
    """Names that are another's: what they do is tested under that one's."""
    compare(lambda m, x, y: [m.greater(x, y), x.less(y), m.not_equal(x, x)], (3,), (3,))
    compare(lambda m, x, y: [x.greater_equal(y), m.less_equal(x, y), m.arctan2(x, y)], (3,), (3,))
    compare(lambda m, x: (x * 0.5).clone().arcsin_(), (3,), low=-1, high=1)
    compare(lambda m, x: (x * 0.5).clone().negative_().absolute_(), (3,))
    compare(lambda m, x: m.isin(m.tensor([1, 2, 3]), m.tensor([3, 1])), (1,))
    for m in (torch, rnn):
        assert m.is_same_size(m.ones(2), m.zeros(2)) and not m.is_nonzero(m.zeros(1))
        assert tuple(m.broadcast_shapes((2, 1), (3,), 1)) == (2, 3)
        with pytest.raises(RuntimeError):
            m.broadcast_shapes((2, 3), (4,))
        t = m.ones(2).share_memory_()
        assert t.is_cpu and not t.is_pinned()


def test_reversed() -> None:
    compare(lambda x: reversed(x), (2, 3))
    compare(lambda x: reversed(x), ())


# ---- forms that are their function, written into its first argument ------------------------------

FORMS = {
    **{n: [(3, 4), (4,)] for n in "eq_ ne_ lt_ le_ gt_ ge_ greater_ less_equal_".split()},
    **{n: [(3, 4), (4,)] for n in "atan2_ arctan2_ hypot_ copysign_ ldexp_ xlogy_".split()},
    **{n: [(3, 4), (4,)] for n in "logical_and_ logical_or_ logical_xor_ heaviside_".split()},
    **{n: [(3, 4)] for n in "deg2rad_ rad2deg_ sinc_ logit_".split()},
    "float_power_": [(3, 4), 2.0],
    "renorm_": [(3, 4), 2, 0, 0.5],
    "addmm_": [(3, 4), (3, 2), (2, 4)],
    "addmv_": [(3,), (3, 4), (4,)],
    "addr_": [(3, 4), (3,), (4,)],
    "addbmm_": [(3, 4), (2, 3, 5), (2, 5, 4)],
    "baddbmm_": [(2, 3, 4), (2, 3, 5), (2, 5, 4)],
    "fill_diagonal_": [(5, 2), 3.0, True],
}


@pytest.mark.parametrize("name", FORMS)
def test_written_forms(name):
    shapes = [a for a in FORMS[name] if isinstance(a, tuple)]
    rest = FORMS[name][len(shapes) :]

    def run(m, x, *others):
        y = x * 1
        assert getattr(y, name)(*others, *rest) is y
        return y

    only = {"dtypes": ["float64"]} if name == "float_power_" else {}
    smooth = FORMS[name][1:] != [(4,)] or name[:3] in ("ata", "arc", "hyp", "xlo")
    compare(
        run, *shapes, low=0.1, high=0.9, edges=False, grad=smooth, layouts=["contiguous"], **only
    )


def test_written_forms_of_integers():
    i, j = np.array([[5, -3, 0], [7, 1, 2]]), np.array([1, 2, 3])
    flat: Any = {"layouts": ["contiguous"]}
    for name in ("and", "or", "xor", "left_shift", "right_shift"):
        compare(lambda m, x, y, n=f"bitwise_{name}_": getattr(x, n)(y), i, j, **flat)
    compare(lambda m, x: x.bitwise_not_(), i, **flat)
    compare(lambda m, x, y: x.gt_(y), i, j, **flat)
    compare(lambda m, x: x.fill_diagonal_(9), i, **flat)
    compare(lambda m, x: x.fill_diagonal_(9), np.zeros((3, 3, 3), np.int64), **flat)
    compare_errors(lambda m, x: x.fill_diagonal_(9), (3, 4, 4))
    compare_errors(lambda m, x: x.fill_diagonal_(9), (3,))
    compare_errors(lambda m, x, y: x.gt_(y), (3,), (2, 3))


def test_integers_that_have_no_such_function():
    i, u = np.array([[1, 2], [3, 4]]), np.array([1, 2, 3], np.uint8)
    for dim in (0, -1, 5):
        compare_errors(lambda m, x, d=dim: x.softmax(d), i)
        compare_errors(lambda m, x, d=dim: x.log_softmax(d), i)
    compare_errors(lambda m, x: x << True, u > 1)
    compare_errors(lambda m, x: m.zeros(0).narrow(0, 1, 1), u)
    compare(lambda m, x: m.cross(x, x.flip(0), dim=0), u, layouts=["contiguous"])


def test_lerp_and_its_kind_are_particular_about_dtypes():
    i, d = np.array([1, 2]), np.array([1.0, 2.0])
    compare_errors(lambda m, x, y: m.lerp(x.float(), y.double(), 0.5), d, d)
    compare_errors(lambda m, x, y: m.lerp(x.double(), x.double(), y.float()), d, d)
    compare_errors(lambda m, x: m.lerp(x, x, 0.5), i)
    compare_errors(lambda m, x: m.addcdiv(x, x, x), i)
    compare_errors(lambda m, x: m.addcmul(x, x, x), i > 1)
    compare(lambda m, x: m.addcmul(x, x, x, value=1.9), i)
    compare(lambda m, x: x.addcmul_(x, x, value=1.9), i, layouts=["contiguous"])
    compare_errors(lambda m, x, y: m.add(x, y, out=x), (3,), (2, 3))
    compare_errors(lambda m, x: x[0:].detach_(), (3,))

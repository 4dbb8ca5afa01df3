"""The trapezoid rule, powers in rows, common divisors, and what is left of complex numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import compare, compare_errors

import rnn

LONGS = np.array([[1, 2, 4], [3, -5, 6]])


@pytest.mark.parametrize("name", ["trapezoid", "cumulative_trapezoid"])
def test_trapezoid(name):
    def run(*args, **kwargs):
        return lambda m, *tensors: getattr(m, name)(*tensors, *args, **kwargs)

    compare(run(), (5,), edges=False)
    compare(run(dx=0.5, dim=0), (4, 3), edges=False)
    compare(run(dim=1), (2, 4, 3), (2, 4, 3), edges=False)
    compare(run(dim=1), (2, 4, 3), (4,), edges=False)
    compare(run(dim=-2), (2, 4, 3), (4, 3), edges=False)
    compare(run(), LONGS)
    compare(run(dx=2), LONGS)
    compare(run(), LONGS, LONGS)
    for shape in ((1,), (0,), (2, 0), (2, 1)):
        compare(run(), shape, edges=False)
    compare_errors(run(dim=2), (2, 3))
    compare_errors(run(), (), text=False)
    compare_errors(run(), np.array([True, False]))
    compare_errors(run(), (3,), np.array([True, False, True]))
    compare_errors(run(), (3,), (2,))
    compare_errors(run(dx=1), (3,), (3,), text=False)


def test_trapz():
    compare(lambda m, y: (m.trapz(y), m.trapz(y, dx=0.5, dim=0)), (4, 3), edges=False)
    compare(lambda m, y, x: m.trapz(y, x), (4, 3), (3,), edges=False)


def test_vander():
    for more in ((), (2,), (5,), (0,), (1,), (3, True)):
        compare(lambda m, x, more=more: m.vander(x, *more), (4,), grad=False)
        for x in (np.arange(4), np.array([True, False]), np.arange(3, dtype=np.int8)):
            compare(lambda m, x, more=more: m.vander(x, *more), x)
    compare(lambda m, x: m.vander(x), (0,), grad=False)
    # PyTorch refuses this gradient: vander writes in place what it needs
    x = rnn.tensor([2.0, 3.0], requires_grad=True)
    rnn.vander(x, 4).sum().backward()
    assert x.grad.tolist() == [1 + 4 + 12, 1 + 6 + 27]
    compare_errors(lambda m, x: m.vander(x), (2, 2))
    compare_errors(lambda m, x: m.vander(x, -1), (2,))


def test_gcd_and_lcm():
    small = np.array([4, -6, 0], np.int8)
    for name in ("gcd", "lcm"):
        for a, b in ((LONGS, LONGS[:, ::-1].copy()), (LONGS, small), (small, np.array(6))):
            compare(lambda m, a, b, f=name: (getattr(m, f)(a, b), getattr(a, f)(b)), a, b)
        compare(lambda m, a, f=name: getattr(a.clone(), f + "_")(a.flip(0)), LONGS)
        compare(lambda m, a, f=name: getattr(m, f)(a, a, out=m.zeros(0, dtype=m.int64)), LONGS)
        for wrong in ((2,), np.array([True, False])):
            compare_errors(lambda m, a, f=name: getattr(m, f)(a, a), wrong)
        compare_errors(lambda m, a, f=name: getattr(m, f)(a, 2), LONGS)
        compare_errors(lambda m, a, f=name: getattr(a, f)(2), LONGS, text=False)


def test_real_numbers_are_their_own():
    for x in (rnn.ones(2, requires_grad=True), rnn.arange(3), rnn.tensor(True)):
        assert x.real is x and rnn.real(x) is x and rnn.conj(x) is x and x.conj() is x
        assert x.resolve_conj() is x.conj_physical() is x
        assert not x.is_conj() and not rnn.is_conj(x)
    for name in ("bool", "uint8", "int8", "int64", "float32", "float64"):
        theirs, ours = (m.zeros(1, dtype=getattr(m, name)) for m in (torch, rnn))
        assert ours.is_signed() == rnn.is_signed(ours) == theirs.is_signed()


def test_apply_and_map():
    for dtype in ("float32", "float64", "int64", "uint8", "bool"):
        found = []
        for m in (torch, rnn):
            x = m.arange(6).reshape(2, 3).t().to(getattr(m, dtype))
            y = m.tensor([3, 0], dtype=getattr(m, dtype))
            results = [x.clone().apply_(lambda v: v * 1.5), x.clone().map_(y, lambda a, b: a * b)]
            assert x.apply_(lambda v: not v) is x
            x[:, 1].map_(x[:, 0], lambda a, b: a or b)
            kinds: list[type] = []
            y.apply_(lambda v, kinds=kinds: kinds.append(type(v)) or v)
            found.append((repr([*results, x]).replace("rnn.", "torch."), kinds))
        assert found[0] == found[1]
    compare_errors(lambda m, x: x.apply_(abs), (3,), grad=True)
    compare_errors(lambda m, x: m.ones(3).map_(x, max), (3,), grad=True)
    compare_errors(lambda m, x: x.map_(x.long(), max), (3,))
    compare_errors(lambda m, x: x.apply_(3), (3,))
    with pytest.raises(ZeroDivisionError):
        rnn.ones(3).apply_(lambda v: 1 / 0)
    # what a graph needs of it is seen to have been written
    w = rnn.ones(3, requires_grad=True)
    x = rnn.ones(3)
    product = (w * x).sum()
    x.apply_(lambda v: 2 * v)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.backward()

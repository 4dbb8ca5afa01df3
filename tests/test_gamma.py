"""lgamma and its derivatives against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import check_numeric, compare, compare_errors

import rnn

X = np.array([[-3.7, -1.2, -0.4, 0.3], [0.9, 1.6, 4.2, 25.0]])
EVERY: dict[str, Any] = {"edges": False, "rtol": {"float32": 2e-5, "float64": 1e-8}}


def test_values_and_gradients() -> None:
    compare(lambda m, x: [m.lgamma(x), x.lgamma()], X, **EVERY)
    compare(lambda m, x: [m.digamma(x), x.digamma()], X, **EVERY)
    compare(lambda m, x: (x * 1).lgamma_() + (x * 1).digamma_(), X, **EVERY)
    for n in (0, 1, 2, 3):
        compare(lambda m, x, n=n: [m.polygamma(n, x), x.polygamma(n)], X[1], **EVERY)
    compare(lambda m, x: m.polygamma(1, x), X, **EVERY)
    compare(lambda m, x: m.polygamma(2, x), X, grad=False, **EVERY)
    for p in (1, 2, 3):
        compare(lambda m, x, p=p: [m.mvlgamma(x, p), x.mvlgamma(p)], X[1] + 2, **EVERY)
    compare(lambda m, x: m.lgamma(x), np.arange(1, 6), **EVERY)
    compare(lambda m, x: m.lgamma(x, out=m.empty(0, dtype=x.dtype)), X, grad=False, **EVERY)
    check_numeric(lambda x: rnn.lgamma(x), X)


@pytest.mark.filterwarnings("ignore")
def test_far_and_at_the_poles() -> None:
    x = np.array([0.0, -0.0, 1, 2, -1, -2, 1e-5, -1e-5, 30, 170, 1e3, 1e17, 1e300, np.inf, np.nan])
    one: dict[str, Any] = {"dtypes": ["float64"], "grad": False, "rtol": 1e-9}
    compare(lambda m, x: [m.lgamma(x), m.digamma(x)], x, **one)
    compare(lambda m, x: m.polygamma(3, x), x[2:-2], **one)


def test_errors() -> None:
    compare_errors(lambda m: m.lgamma(3.0))
    compare_errors(lambda m: m.digamma([1.0]))
    compare_errors(lambda m, x: m.polygamma(-1, x), (3,))
    compare_errors(lambda m, x: m.polygamma("a", x), (3,))
    compare_errors(lambda m: m.mvlgamma(m.tensor([0.5]), 0))

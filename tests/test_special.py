"""rnn.special against torch.special."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import compare

import rnn

SAME = (
    "expit erf erfc erfinv exp2 expm1 gammaln log1p logit sinc round digamma psi entr ndtri"
).split()


@pytest.mark.parametrize("name", SAME)
def test_of_one_tensor(name: str) -> None:
    inside = {"low": 0.05, "high": 0.95, "rtol": 1e-4, "edges": False}
    compare(lambda m, x: getattr(m.special, name)(x), (3, 5), **inside)


def test_of_more() -> None:
    loose = {"edges": False, "rtol": 1e-4}
    compare(lambda m, x: m.special.ndtr(x), (3, 5), **loose)
    compare(lambda m, x, y: m.special.xlogy(x, y.exp()), (3, 5), (5,), **loose)
    compare(lambda m, x, y: m.special.xlog1py(x, y.exp()), (3, 5), (5,), **loose)
    compare(lambda m, x: [m.special.softmax(x, 1), m.special.log_softmax(x, 0)], (3, 5), **loose)
    compare(lambda m, x: m.special.logsumexp(x, 1), (3, 5), **loose)
    compare(lambda m, x: m.special.polygamma(1, x.exp()), (3, 5), **loose)
    compare(lambda m, x: m.special.multigammaln(x.exp() + 1, 2), (3, 5), **loose)


def test_ends() -> None:
    ends = np.array([0.0, 1.0, -1.0, 2.0, np.inf, -np.inf, np.nan])
    for name in ("entr", "ndtr", "ndtri"):
        compare(lambda m, x: getattr(m.special, name)(x), ends, grad=False)
    zeros = np.zeros(3), np.array([-1.0, -2.0, np.nan])
    compare(lambda m, x, y: m.special.xlog1py(x, y), *zeros, grad=False)


def test_what_is_absent_says_so() -> None:
    assert hasattr(torch.special, "i0") and not hasattr(rnn.special, "i0")
    with pytest.raises(AttributeError, match="README"):
        rnn.special.i0  # noqa: B018

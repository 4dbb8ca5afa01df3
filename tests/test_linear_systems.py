"""rnn.linalg's systems and factorisations against torch.linalg."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers import check_numeric, compare, compare_errors, to_numpy

import rnn

BATCH = np.random.default_rng(0).standard_normal((2, 3, 3)) + 3 * np.eye(3)
TALL = np.random.default_rng(1).standard_normal((5, 3))
ONE: dict[str, Any] = {
    "edges": False,  # a Function has none
    "layouts": ("contiguous", "transposed"),  # an expanded matrix is singular
    "rtol": 1e-3,
    "atol": 1e-4,
}


def spd(m: Any, x: Any) -> Any:
    return x @ x.mT + m.eye(3, dtype=x.dtype)


def test_with_gradients() -> None:
    compare(lambda m, a: m.linalg.inv(a), BATCH, **ONE)
    compare(lambda m, a: m.linalg.det(a), BATCH, **ONE)
    compare(lambda m, a: m.linalg.slogdet(a).logabsdet, -BATCH, **ONE)
    compare(lambda m, a: m.slogdet(a).sign, -BATCH, grad=False, **ONE)
    compare(lambda m, a: m.linalg.cholesky(spd(m, a)), BATCH, **ONE)
    compare(lambda m, a: m.linalg.cholesky(spd(m, a), upper=True), BATCH, **ONE)
    compare(lambda m, a, b: m.linalg.solve(a, b), BATCH, (2, 3, 4), **ONE)
    compare(lambda m, a, b: m.linalg.solve(a, b), BATCH, (3, 4), **ONE)
    compare(lambda m, a, b: m.linalg.solve(a, b), BATCH[0], (3,), **ONE)
    compare(lambda m, a, b: m.linalg.solve(a, b, left=False), BATCH, (2, 4, 3), **ONE)
    compare(lambda m, a: m.linalg.multi_dot([a, a, a.mT]), BATCH[0])
    compare(lambda m, a, b: m.linalg.vecdot(a, b), (2, 3), (2, 3))
    check_numeric(lambda a: rnn.linalg.inv(a), BATCH)
    check_numeric(lambda a, b: rnn.linalg.solve(a, b), BATCH[0], np.ones((3, 2)))


def test_torch_s_own_names() -> None:
    compare(lambda m, a: [m.inverse(a), a.inverse(), m.det(a), a.det(), m.logdet(a)], BATCH, **ONE)
    compare(lambda m, a: [m.pinverse(a), a.pinverse()], TALL, grad=False, **ONE)


def test_without_gradients() -> None:
    none: dict[str, Any] = {"grad": False, **ONE}
    compare(lambda m, a: m.linalg.svdvals(a), TALL, **none)
    compare(lambda m, a: m.linalg.cond(a), TALL, **none)
    compare(lambda m, a: m.linalg.pinv(a), TALL, **none)
    compare(lambda m, a: m.linalg.matrix_rank(a), TALL, **none)
    compare(lambda m, a: m.linalg.matrix_rank(a), np.ones((2, 3, 3)), **none)
    compare(lambda m, a: m.linalg.eigvalsh(spd(m, a)), BATCH, **none)
    compare(lambda m, a: m.linalg.lstsq(a, a[:, :1] * 2 + 1).solution, TALL, **none)
    compare(lambda m, a: m.linalg.lstsq(a, a[:, :1] * 2 + 1).residuals, TALL, **none)
    # signs are LAPACK's: compare what the factors make
    for full in (True, False):
        u, s, vh = rnn.linalg.svd(rnn.from_numpy(TALL), full_matrices=full)
        theirs = torch.linalg.svd(torch.from_numpy(TALL), full_matrices=full)
        assert [tuple(t.shape) for t in (u, s, vh)] == [tuple(t.shape) for t in theirs]
        np.testing.assert_allclose(to_numpy(u[:, :3] * s @ vh), TALL, atol=1e-12)
    values, vectors = rnn.linalg.eigh(spd(rnn, rnn.from_numpy(BATCH)))
    made = vectors * values.unsqueeze(-2) @ vectors.mT
    np.testing.assert_allclose(to_numpy(made), to_numpy(spd(rnn, rnn.from_numpy(BATCH))))
    for mode in ("reduced", "complete"):
        q, r = rnn.linalg.qr(rnn.from_numpy(TALL), mode)
        np.testing.assert_allclose(to_numpy(q @ r), TALL, atol=1e-12)


def test_results_print_as_torch_s() -> None:
    shown = []
    for m in (torch, rnn):
        shown.append(repr(m.linalg.slogdet(m.eye(2))).replace("torch.", "rnn."))
    assert shown[1] == shown[0]


def test_errors() -> None:
    compare_errors(lambda m: m.linalg.inv(m.ones(2, 3)))
    compare_errors(lambda m: m.linalg.inv(m.ones(3)))
    compare_errors(lambda m: m.linalg.solve(m.eye(2), m.ones(3, 1)))
    for singular in (rnn.linalg.inv, lambda a: rnn.linalg.solve(a, a), rnn.linalg.cholesky):
        with pytest.raises(rnn.linalg.LinAlgError, match="linalg"):
            singular(rnn.zeros(2, 2))
    with pytest.raises(RuntimeError, match="floating point"):
        rnn.linalg.det(rnn.ones(2, 2, dtype=rnn.int64))
    x = rnn.eye(3, requires_grad=True)
    for f in (rnn.linalg.svd, rnn.linalg.qr, rnn.linalg.eigh, rnn.linalg.pinv):
        with pytest.raises(NotImplementedError, match=r"has no gradient in rnn \(see the README"):
            f(x)
        with rnn.no_grad():
            f(x)

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
    compare(lambda m, a: [*m.linalg.slogdet(a)], -BATCH, **ONE)
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


def test_factorisations_have_gradients() -> None:
    """Of what does not depend on the signs that LAPACK chooses."""
    turned = np.swapaxes(TALL, 0, 1)

    def by_svd(m: Any, a: Any) -> Any:
        u, s, vh = m.linalg.svd(a, full_matrices=False)
        return [(u * s.sin().unsqueeze(-2)) @ vh, s, u.square(), vh.square()]

    for a in (TALL, turned, BATCH):
        compare(by_svd, a, **ONE)
        compare(lambda m, a: m.linalg.svdvals(a), a, **ONE)
        compare(lambda m, a: m.linalg.cond(a), a, **ONE)
        compare(lambda m, a: m.linalg.pinv(a), a, **ONE)
    compare(lambda m, a: m.linalg.pinv(a[:, :1] @ a[:1], rtol=1e-5), BATCH[0], **ONE)

    def by_qr(m: Any, a: Any) -> Any:
        q, r = m.linalg.qr(a)
        return [q.square(), r.abs(), (q * m.arange(3.0, dtype=a.dtype)) @ r]

    compare(by_qr, TALL, **ONE)
    compare(by_qr, BATCH, **ONE)

    def by_eigh(m: Any, a: Any) -> Any:
        values, v = m.linalg.eigh(spd(m, a))
        return [values, v.square(), (v * values.log().unsqueeze(-2)) @ v.mT]

    compare(by_eigh, BATCH, **ONE)
    compare(lambda m, a: m.linalg.eigvalsh(spd(m, a)), BATCH, **ONE)
    compare(lambda m, a, b: m.linalg.lstsq(a, b).solution, TALL, (5, 2), **ONE)
    two = np.stack([TALL, -TALL])
    compare(lambda m, a, b: m.linalg.lstsq(a, b).solution, two, (2, 5, 2), **ONE)
    compare(lambda m, a: m.linalg.lstsq(a, a * 2).rank, two, grad=False, **ONE)
    for scale in (0.01, 1.0, 5.0):
        compare(lambda m, a: m.linalg.matrix_exp(a * scale) / np.exp(4 * scale), BATCH, **ONE)


def test_gradients_of_factorisations_have_gradients() -> None:
    def second(m: Any, f: Any, given: Any) -> Any:
        a = m.from_numpy(given.copy()).requires_grad_()
        (g,) = m.autograd.grad(f(m, a).square().sum(), a, create_graph=True)
        return to_numpy(m.autograd.grad(g.square().sum(), a)[0])

    for f, given in (
        (lambda m, a: m.linalg.svdvals(a), TALL),
        (lambda m, a: m.linalg.svd(a, full_matrices=False)[0] ** 2, TALL),
        (lambda m, a: m.linalg.pinv(a), TALL),
        (lambda m, a: m.linalg.qr(a)[1].abs(), TALL),
        (lambda m, a: m.linalg.eigh(spd(m, a))[1] ** 2, BATCH[0]),
        (lambda m, a: m.linalg.lstsq(a, a[:, :1].exp()).solution, TALL),
        (lambda m, a: m.linalg.solve_triangular(a, a.exp(), upper=True), BATCH[0]),
        (lambda m, a: m.cholesky_solve(a.exp(), a.tril()), BATCH[0]),
        (lambda m, a: m.linalg.matrix_exp(a / 3), BATCH[0]),
    ):
        np.testing.assert_allclose(second(rnn, f, given), second(torch, f, given), rtol=1e-6)


@pytest.mark.filterwarnings("ignore:.*is deprecated in favor of:UserWarning")
def test_triangular_systems() -> None:
    for upper in (True, False):
        for unit in (True, False):
            how: dict[str, Any] = {"upper": upper, "unitriangular": unit}
            compare(lambda m, a, b: m.linalg.solve_triangular(a, b, **how), BATCH, (2, 3, 4), **ONE)
            compare(
                lambda m, a, b: m.linalg.solve_triangular(a, b, left=False, **how),
                BATCH,
                (4, 3),
                **ONE,
            )
            compare(
                lambda m, a, b: m.triangular_solve(b, a, upper, True, unit).solution,
                BATCH[0],
                (3, 2),
                **ONE,
            )

        def half(a: Any) -> Any:  # torch's gradient has numbers in the triangle that is not read
            return a.triu() if upper else a.tril()

        compare(lambda m, a, b: m.cholesky_solve(b, half(a), upper), BATCH, (2, 3, 4), **ONE)
        compare(lambda m, a: m.cholesky_inverse(half(a), upper), BATCH[0], **ONE)
    big = np.tril(np.random.default_rng(2).standard_normal((150, 150)) / 20) + np.eye(150)
    for m, given in ((False, big), (True, big.T.copy())):
        x = rnn.linalg.solve_triangular(rnn.from_numpy(given), rnn.from_numpy(big), upper=m)
        np.testing.assert_allclose(given @ to_numpy(x), big, atol=1e-12)
    compare(  # as LAPACK's substitution: no error, infinities
        lambda m, b: m.linalg.solve_triangular(m.ones(3, 3).type_as(b).tril(-1), b, upper=False),
        np.ones((3, 2), np.float32),
        grad=False,
        layouts=("contiguous",),
    )


@pytest.mark.filterwarnings("ignore:.*is deprecated in favor of:UserWarning")
def test_lu() -> None:
    for a in (TALL, TALL.T.copy(), BATCH, np.ones((3, 3))):
        compare(lambda m, x: list(m.linalg.lu(x)), a, grad=False, **ONE)
        compare(lambda m, x: list(m.lu_unpack(*x.lu())), a, grad=False, **ONE)
        compare(lambda m, x: list(m.lu(x, get_infos=True)), a, grad=False, **ONE)
    compare(lambda m, x: m.linalg.lu_factor(x).pivots, BATCH, grad=False, **ONE)
    compare(lambda m, x, b: m.lu_solve(b, *m.lu(x)), BATCH, (2, 3, 2), grad=False, **ONE)
    compare(
        lambda m, x, b: m.linalg.lu_solve(*m.linalg.lu_factor(x), b, left=False),
        BATCH,
        (2, 2, 3),
        grad=False,
        **ONE,
    )


@pytest.mark.filterwarnings("ignore:.*is deprecated in favor of:UserWarning")
def test_torch_s_own_names() -> None:
    compare(lambda m, a: [m.svd(a)[1], a.svd(compute_uv=False).S, m.qr(a).R.abs()], TALL, **ONE)
    compare(lambda m, a: [t.shape[1] for t in m.svd(a, some=False)[::2]], TALL, grad=False, **ONE)
    compare(lambda m, a: m.svd(a).V.square(), TALL.T.copy(), **ONE)
    compare(lambda m, a: [m.inverse(a), a.inverse(), m.det(a), a.det(), m.logdet(a)], BATCH, **ONE)
    compare(lambda m, a: [m.pinverse(a), a.pinverse()], TALL, **ONE)


def test_without_gradients() -> None:
    none: dict[str, Any] = {"grad": False, **ONE}
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
    for left in (True, False):
        for rows, columns in ((3, 1), (1, 3)):
            how = {"left": left}
            compare_errors(lambda m: m.linalg.solve(m.eye(2), m.ones(rows, columns), **how))
            compare_errors(
                lambda m: m.linalg.solve_triangular(
                    m.eye(2), m.ones(rows, columns), upper=True, **how
                )
            )
    compare_errors(lambda m: m.linalg.solve(m.eye(2), m.ones(2), left=False))
    with pytest.raises(RuntimeError, match="same dtype"):  # torch reads the one as the other
        rnn.linalg.solve_triangular(rnn.eye(2), rnn.ones(2, 1).double(), upper=True)
    with pytest.raises(rnn.linalg.LinAlgError, match=r"U\[2,2\] is zero"):
        rnn.linalg.lu_factor(rnn.ones(2, 2))
    x = rnn.ones(2, 3, requires_grad=True)
    for f in (rnn.linalg.lu, lambda a: rnn.linalg.qr(a, "complete")):
        with pytest.raises(NotImplementedError, match=r"has no gradient in rnn \(see the README"):
            f(x)
        with rnn.no_grad():
            f(x)
    with pytest.raises(RuntimeError, match="full_matrices=False"):
        rnn.linalg.svd(x)
    with pytest.raises(NotImplementedError, match="wider than high"):
        rnn.linalg.qr(x)[1].sum().backward()

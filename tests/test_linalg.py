"""Matrix products: values, gradients and errors as PyTorch has them, in every layout and at both
resolutions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers import LAYOUTS, check_numeric, compare, compare_errors
from hypothesis import given, settings
from hypothesis import strategies as st

import rnn

CASES: list[tuple[Any, tuple[Any, ...]]] = [
    (lambda a, b: a @ b, ((2, 3), (3, 4))),
    (lambda a, b: a @ b, ((3,), (3,))),
    (lambda a, b: a @ b, ((3,), (3, 4))),
    (lambda a, b: a @ b, ((2, 3), (3,))),
    (lambda a, b: a @ b, ((5, 2, 3), (3,))),
    (lambda a, b: a @ b, ((3,), (5, 3, 2))),
    (lambda a, b: a @ b, ((5, 2, 3), (3, 4))),
    (lambda a, b: a @ b, ((2, 3), (5, 3, 4))),
    (lambda a, b: a @ b, ((5, 2, 3), (5, 3, 4))),
    (lambda a, b: a @ b, ((1, 2, 3), (5, 3, 4))),
    (lambda a, b: a @ b, ((5, 2, 3), (1, 3, 4))),
    (lambda a, b: a @ b, ((2, 1, 2, 3), (1, 3, 3, 4))),
    (lambda a, b: a @ b, ((2, 5, 2, 3), (5, 3, 1))),
    (lambda a, b: a @ b, ((2, 2, 1, 3), (2, 2, 3, 2))),
    (lambda a, b: a @ b, ((0, 3), (3, 4))),
    (lambda a, b: a @ b, ((2, 3), (3, 0))),
    (lambda a, b: a @ b, ((2, 0), (0, 4))),
    (lambda a, b: a @ b, ((0,), (0,))),
    (lambda a, b: a @ b, ((2, 0), (0,))),
    (lambda a, b: a @ b, ((0, 2, 3), (3, 4))),
    (lambda a, b: a @ b, ((0, 2, 3), (0, 3, 4))),
    (lambda a, b: a @ b, ((4, 2, 0), (4, 0, 3))),
    (lambda a, b: a @ b, ((1, 1), (1, 1))),
    (lambda a, b: a @ b, ((1, 7), (7, 1))),
    (lambda a: a @ a, ((3, 3),)),
    (lambda a: a @ a.t(), ((2, 3),)),
    (lambda a: a.mT @ a, ((4, 2, 3),)),
    (lambda a: a[0] @ a[1], ((2, 3, 3),)),
    (lambda a: a[:, 0] @ a[:, :, 1].t(), ((2, 3, 3),)),
    (lambda a: a[0].expand(3, 3) @ a, ((3, 3),)),
    (lambda a, b: a.expand(4, 3) @ b.expand(3, 2), ((1, 3), (3, 1))),
    (lambda a, b: a.expand(2, 4, 3) @ b, ((4, 3), (2, 3, 2))),
    (lambda a, b: a[::2] @ b[:, ::3], ((4, 3), (3, 7))),
    (lambda a, b: a.flip(0) @ b, ((2, 3), (3, 2))),
    (lambda a, b: a.permute(2, 0, 1) @ b.permute(2, 1, 0), ((2, 3, 4), (5, 3, 4))),
    (lambda a: a.diagonal() @ a, ((3, 3),)),
    (lambda a: a.unfold(0, 3, 1) @ a[:3], ((6,),)),
    (lambda m, a, b: m.matmul(a, b), ((2, 3), (3, 4))),
    (lambda m, a, b: m.mm(a, b), ((2, 3), (3, 4))),
    (lambda m, a, b: m.bmm(a, b), ((5, 2, 3), (5, 3, 4))),
    (lambda m, a, b: m.mv(a, b), ((2, 3), (3,))),
    (lambda m, a, b: m.dot(a, b), ((3,), (3,))),
    (lambda a, b: a.vdot(b), ((3,), (3,))),
    (lambda m, a, b: m.inner(a, b), ((2, 3), (4, 3))),
    (lambda m, a, b: m.inner(a, b), ((2, 3), (3,))),
    (lambda m, a, b: m.inner(a, b), ((3,), (3,))),
    (lambda m, a, b: m.inner(a, b), ((), (2, 3))),
    (lambda m, a, b: m.outer(a, b), ((2,), (3,))),
    (lambda a, b: a.ger(b), ((2,), (3,))),
    (lambda m, a, b: m.kron(a.contiguous(), b.contiguous()), ((2, 3), (1, 2))),
    (lambda m, a, b: m.kron(a.contiguous(), b.contiguous()), ((3,), (2, 2))),
    (lambda m, a, b: m.cross(a, b, dim=1), ((2, 3), (2, 3))),
    (lambda m, a, b: m.cross(a, b, dim=0), ((3, 2), (3, 1))),
    (lambda m, a, b: m.tensordot(a, b), ((2, 3, 4), (3, 4, 5))),
    (lambda m, a, b: m.tensordot(a, b, 1), ((2, 3), (3, 4))),
    (lambda m, a, b: m.tensordot(a, b, ([0, 1], [2, 0])), ((1, 1, 3), (2, 1, 2))),
    (lambda m, a, b: m.tensordot(a, b, 0), ((2,), (3,))),
    (lambda m, a, b: m.tensordot(a, b, ([0, 2], [1, 0])), ((2, 3, 4), (4, 2, 5))),
    (lambda m, c, a, b: m.addmm(c, a, b), ((4,), (2, 3), (3, 4))),
    (lambda m, c, a, b: m.addmm(c, a, b, beta=0.5, alpha=-2), ((2, 1), (2, 3), (3, 4))),
    (lambda c, a, b: c.addmm(a, b, beta=0), ((2, 4), (2, 3), (3, 4))),
    (lambda m, c, a, b: m.addmv(c, a, b, alpha=2), ((2,), (2, 3), (3,))),
    (lambda m, c, a, b: m.addr(c, a, b, beta=3), ((2, 3), (2,), (3,))),
    (lambda m, c, a, b: m.baddbmm(c, a, b, beta=2, alpha=3), ((2, 4), (5, 2, 3), (5, 3, 4))),
    (lambda m, c, a, b: m.addbmm(c, a, b), ((2, 4), (5, 2, 3), (5, 3, 4))),
    (lambda m, a: m.matrix_power(a, 3), ((3, 3),)),
    (lambda m, a: m.matrix_power(a, 1), ((2, 3, 3),)),
    (lambda m, a, b: m.einsum("ij,jk->ik", a, b), ((2, 3), (3, 4))),
    (lambda m, a, b: m.einsum("bhqd,bhkd->bhqk", a, b), ((2, 2, 3, 4), (2, 2, 5, 4))),
    (lambda m, a, b: m.einsum("bij,bj->bi", [a, b]), ((2, 3, 4), (2, 4))),
    (lambda m, a, b: m.einsum("...ij,jk", a, b), ((2, 3, 4), (4, 5))),
    (lambda m, a: m.einsum("ii->i", a), ((3, 3),)),
    (lambda m, a: m.einsum("ij->ji", a), ((2, 3),)),
    (lambda m, a, b: m.einsum("i,j->ij", a, b), ((2,), (3,))),
    (lambda m, a, b: m.einsum(a, [0, 1], b, [1, 2], [0, 2]), ((2, 3), (3, 4))),
    (lambda m, a, b: m.einsum(a, [..., 0], b, [0, 1]), ((2, 3), (3, 4))),
]
SUMS: list[tuple[Any, tuple[Any, ...]]] = [
    (lambda m, a: m.einsum("ii", a), ((3, 3),)),
    (lambda m, a: m.einsum("ij->j", a), ((2, 3),)),
    (lambda m, a, b: m.einsum("ijk,jl->il", a, b), ((2, 3, 4), (3, 5))),
    (lambda m, a, b, c: m.einsum("ij,jk,kl->il", a, b, c), ((2, 3), (3, 4), (4, 2))),
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_products(case: int) -> None:
    fn, shapes = CASES[case]
    compare(fn, *shapes)


@pytest.mark.parametrize("case", range(len(SUMS)))
def test_products_with_sums(case: int) -> None:
    fn, shapes = SUMS[case]
    compare(fn, *shapes)


@pytest.mark.parametrize("case", range(len(CASES)))
def test_products_of_integers(case: int) -> None:
    fn, shapes = CASES[case]
    arrays = [np.arange(np.prod(s, dtype=int)).reshape(s) - 3 for s in shapes]
    if "beta" not in fn.__code__.co_consts and case not in (58,):
        compare(fn, *arrays, dtypes=("float32",), resolutions=("tensor",))


def test_numeric_gradients() -> None:
    rng = np.random.default_rng(0)
    check_numeric(lambda a, b: a @ b, rng.normal(size=(2, 3, 4)), rng.normal(size=(4, 2)))
    check_numeric(lambda a, b: a @ b, rng.normal(size=(3, 4)), rng.normal(size=(2, 4, 2)))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "shapes",
    [((65, 33), (33, 70)), ((3, 40, 50), (50, 20)), ((4, 30, 17), (4, 17, 9)), ((300,), (300, 50))],
)
def test_larger_products(layout: str, shapes: Any) -> None:
    compare(lambda a, b: a @ b, *shapes, layouts=(layout,), edges=False, rtol=1e-4, atol=1e-4)


def test_gradients_add_up() -> None:
    compare(lambda a, b: (a @ b, a @ b.relu(), b.t() @ a.t()), (3, 4), (4, 2))
    compare(lambda a: ((a @ a) @ a.t(), a.expand(2, 3, 3) @ a), (3, 3))


def test_no_graph_without_gradients() -> None:
    compare(lambda a, b: a @ b, (2, 3), (3, 4), grad=False)
    assert not (rnn.ones(2, 2) @ rnn.ones(2, 2)).requires_grad


def test_nodes_at_scalar_resolution() -> None:
    """2 n^3 nodes: as many products, and as many partial sums."""
    a, b = rnn.ones(5, 4).requires_grad_(), rnn.ones(4, 3).requires_grad_()
    with rnn.resolution("scalar"):
        c = a @ b
    assert c.graph_size() == 5 * 4 + 4 * 3 + 2 * 5 * 4 * 3
    assert (a @ b).graph_size() == 5 * 4 + 4 * 3 + 5 * 3


def test_infinities_and_nan() -> None:
    for value in (np.inf, np.nan):
        a = np.array([[1.0, value], [0.0, 2.0]])
        compare(
            lambda x, y: x @ y,
            a,
            np.array([[0.0, 1.0], [2.0, 3.0]]),
            edges=False,
            resolutions=("tensor",),
        )


def test_out() -> None:
    for m in (rnn, torch):
        a, out = m.arange(6.0).reshape(2, 3), m.zeros(2, 2)
        assert m.matmul(a, a.t(), out=out) is out
        assert out.tolist() == [[5, 14], [14, 50]]
        assert m.mm(a, a.t(), out=m.zeros(2, 2)).tolist() == out.tolist()
        assert m.mv(a, a[0], out=m.zeros(2)).tolist() == [5, 14]
        assert m.dot(a[0], a[1], out=m.zeros(())).item() == 14
        assert m.addmm(a[:, :2], a, a.t(), out=m.zeros(2, 2)).tolist() == [[5, 15], [17, 54]]


ERRORS: list[Any] = [
    lambda m, x, w: x @ w,
    lambda m, x, w: x @ x.to(m.float64).t(),
    lambda m, x, w: x @ m.ones(3, 2, dtype=m.int64),
    lambda m, x, w: x @ 3,
    lambda m, x, w: 3 @ x,
    lambda m, x, w: m.matmul(x, 3),
    lambda m, x, w: m.mm(x, 3),
    lambda m, x, w: x @ x[0, 0],
    lambda m, x, w: x[0, 0] @ x,
    lambda m, x, w: x[0] @ w[0],
    lambda m, x, w: x @ w[0],
    lambda m, x, w: x[0] @ x,
    lambda m, x, w: x[0] @ w,
    lambda m, x, w: x[None] @ w,
    lambda m, x, w: x[None] @ w[0],
    lambda m, x, w: m.zeros(2, 3, 4) @ m.zeros(3, 4, 5),
    lambda m, x, w: m.zeros(2, 3, 4) @ m.zeros(2, 3, 5),
    lambda m, x, w: m.mm(x, x[0]),
    lambda m, x, w: m.mm(x[0], x),
    lambda m, x, w: m.mm(x, w),
    lambda m, x, w: m.mm(x, x.to(m.float64).t()),
    lambda m, x, w: m.bmm(x, x),
    lambda m, x, w: m.bmm(x[None], x),
    lambda m, x, w: m.bmm(x[None], w[None]),
    lambda m, x, w: m.bmm(x[None], w[None].to(m.float64)),
    lambda m, x, w: m.bmm(x[None], x[None].mT.to(m.float64)),
    lambda m, x, w: m.mv(x, x),
    lambda m, x, w: m.mv(x, w[0]),
    lambda m, x, w: m.mv(x[0], x[0]),
    lambda m, x, w: m.dot(x, x[0]),
    lambda m, x, w: m.dot(x[0], w[0]),
    lambda m, x, w: m.dot(x[0], x[0].to(m.float64)),
    lambda m, x, w: m.vdot(x[0], w[0]),
    lambda m, x, w: m.inner(x, w),
    lambda m, x, w: m.inner(x, x.to(m.float64)),
    lambda m, x, w: m.outer(x, x[0]),
    lambda m, x, w: m.addmm(x[0], x, w),
    lambda m, x, w: m.addmm(x, x, x.t()),
    lambda m, x, w: m.addmm(x[0], x, x[0]),
    lambda m, x, w: m.addmm(m.tensor(1), x, x.t()),
    lambda m, x, w: m.addmv(x[0], x, x[0]),
    lambda m, x, w: m.addmv(x[0], x, w[0]),
    lambda m, x, w: m.addmv(x, x, x[0]),
    lambda m, x, w: m.baddbmm(x, x[None], x[None]),
    lambda m, x, w: m.baddbmm(x, x[None], x[None].mT),
    lambda m, x, w: m.einsum("ij,jk", x, w),
    lambda m, x, w: m.einsum("ij,jk", x, m.ones(3, 2, dtype=m.int64)),
    lambda m, x, w: m.einsum("ii", x),
    lambda m, x, w: m.tensordot(x, w, 1),
    lambda m, x, w: m.tensordot(x, x, ([1], [0])),
    lambda m, x, w: m.tensordot(x, x, -1),
    lambda m, x, w: m.tensordot(x, x, 3),
    lambda m, x, w: m.tensordot(x, x, ([0, 1], [1])),
    lambda m, x, w: m.tensordot(x, x.to(m.float64), 2),
    lambda m, x, w: m.cross(w, w, dim=1),
    lambda m, x, w: m.matmul(x, x.t(), out=m.zeros(2, 2, dtype=m.float64)),
]


@pytest.mark.parametrize("case", range(len(ERRORS)))
def test_errors(case: int) -> None:
    compare_errors(ERRORS[case], (2, 3), (4, 5))


def test_errors_of_integers() -> None:
    x, w = np.arange(6).reshape(2, 3), np.arange(20).reshape(4, 5)
    for case in (0, 7, 9, 10, 12, 13, 15, 19, 23, 27, 30):
        compare_errors(ERRORS[case], x, w)
    compare_errors(lambda m, x: (x > 2) @ (x > 2).t(), x)


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_any_product(data: Any) -> None:
    k, m, n = (data.draw(st.integers(0, 5)) for _ in range(3))
    batch = data.draw(st.lists(st.integers(0, 3), max_size=3))
    batches = [[1 if data.draw(st.booleans()) else size for size in batch] for _ in range(2)]
    batches = [b[data.draw(st.integers(0, len(b))) :] for b in batches]
    a = (k,) if data.draw(st.booleans()) and not batches[0] else (*batches[0], m, k)
    b = (k,) if data.draw(st.booleans()) and not batches[1] else (*batches[1], k, n)
    layout = data.draw(st.sampled_from(LAYOUTS))
    mixed = data.draw(
        st.sampled_from(
            [lambda x, y: x @ y, lambda x, y: (x @ y) @ (x @ y).mT if (x @ y).dim() > 1 else x @ y]
        )
    )
    compare(mixed, a, b, dtypes=("float64",), layouts=(layout,))


@pytest.mark.parametrize("blas", [False, True])
def test_with_and_without_a_blas(blas: bool) -> None:
    lib, ffi = rnn._c.lib, rnn._c.ffi
    had = lib.rnn_has_blas(rnn._c.E)
    try:
        if not blas:
            lib.rnn_set_blas(rnn._c.E, ffi.NULL, ffi.NULL)
        elif rnn._c._load_blas() is None:
            pytest.skip("OpenBLAS's wheel is not installed")
        assert bool(lib.rnn_has_blas(rnn._c.E)) == blas
        for shapes in (((65, 33), (33, 70)), ((3, 40, 50), (50, 20)), ((2, 3), (3, 4))):
            compare(
                lambda a, b: a @ b,
                *shapes,
                edges=False,
                resolutions=("tensor",),
                rtol=1e-4,
                atol=1e-4,
            )
        for shapes in (((150, 300), (300, 170)), ((40, 530), (530, 600))):  # shared by threads
            compare(
                lambda a, b: a @ b.sin(),
                *shapes,
                edges=False,
                resolutions=("tensor",),
                rtol=1e-4,
                atol=2e-3,
            )
    finally:
        lib.rnn_set_blas(rnn._c.E, ffi.NULL, ffi.NULL)
        if had:
            rnn._c._load_blas()


def test_cdist() -> None:
    compare(lambda m, a, b: m.cdist(a, b), (4, 3), (5, 3))
    compare(lambda m, a, b: m.cdist(a, b, p=1), (2, 4, 3), (5, 3))
    compare(lambda m, a: m.cdist(a, a + 0), (4, 3), rtol=1e-3, atol=1e-3, layouts=("contiguous",))
    compare_errors(lambda m: m.cdist(m.ones(2), m.ones(2, 2)))
    compare_errors(lambda m: m.cdist(m.ones(2, 3), m.ones(2, 2)))
    compare_errors(lambda m: m.cdist(m.ones(2, 3), m.ones(2, 3), p=-1))

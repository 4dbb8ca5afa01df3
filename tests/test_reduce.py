"""Reductions against PyTorch: values, gradients, dims, dtypes, precision, special points, errors;
the rows of csrc/ops.h against their edges and against differences."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from helpers import check_edges, check_numeric, compare, compare_errors, to_rnn
from hypothesis import given, settings
from hypothesis import strategies as st

import rnn
from rnn._c import lib, op
from rnn.ops.compose_reduce import reductions, scans

NAN, INF = float("nan"), float("inf")

# ---- every reduction, over every choice of dimensions --------------------------------------------

MANY = {
    "sum": lambda m, x, d, k: x.sum(d, k),
    "mean": lambda m, x, d, k: x.mean(d, k),
    "var": lambda m, x, d, k: x.var(d, keepdim=k),
    "std": lambda m, x, d, k: x.std(d, unbiased=False, keepdim=k),
    "amax": lambda m, x, d, k: x.amax(d, k),
    "amin": lambda m, x, d, k: x.amin(d, k),
    "logsumexp": lambda m, x, d, k: x.logsumexp(d, k),
    "norm": lambda m, x, d, k: x.norm(2, d, k),
    "norm1": lambda m, x, d, k: m.linalg.vector_norm(x, 1, d, k),
    "norm3": lambda m, x, d, k: m.linalg.vector_norm(x, 3, d, k),
    "norm_inf": lambda m, x, d, k: m.linalg.vector_norm(x, INF, d, k),
    "nansum": lambda m, x, d, k: x.nansum(d, k),
    "nanmean": lambda m, x, d, k: x.nanmean(d, k),
}
DIMS = [d for n in (1, 2, 3) for d in itertools.combinations(range(3), n)]


@pytest.mark.parametrize("name", MANY)
def test_over_dimensions(name):
    for i, d in enumerate(DIMS):
        compare(lambda m, x: MANY[name](m, x, d, i % 2 == 0), (3, 2, 4), edges=i in (1, 4))
    compare(lambda m, x: MANY[name](m, x, -1, False), (5,), layouts=["contiguous"])
    compare(lambda m, x: MANY[name](m, x, [0, -1], True), (2, 3), layouts=["contiguous"])


WHOLE = ["sum", "mean", "var", "std", "max", "min", "amax", "amin", "prod", "norm", "median"]
WHOLE += ["nansum", "nanmean", "nanmedian"]


@pytest.mark.parametrize("name", WHOLE)
def test_of_everything(name):
    compare(lambda m, x: getattr(x, name)(), (3, 4))
    compare(lambda m, x: getattr(m, name)(x), (7,), layouts=["contiguous"])
    if name not in ("var", "std"):
        compare(lambda m, x: getattr(x, name)(), (), layouts=["contiguous"])


ONE = {
    "prod": lambda m, x, d, k: x.prod(d, k),
    "max": lambda m, x, d, k: x.max(d, k),
    "min": lambda m, x, d, k: x.min(d, k),
    "argmax": lambda m, x, d, k: x.argmax(d, k),
    "argmin": lambda m, x, d, k: x.argmin(d, k),
    "median": lambda m, x, d, k: x.median(d, k),
    "nanmedian": lambda m, x, d, k: x.nanmedian(d, k),
    "aminmax": lambda m, x, d, k: m.aminmax(x, dim=d, keepdim=k),
    "all": lambda m, x, d, k: (x > -1).all(d, k),
    "any": lambda m, x, d, k: (x > 1).any(d, k),
}


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_over_one_dimension(name, dim):
    layouts = ["contiguous", "transposed", "strided"]  # an expanded one has ties
    compare(lambda m, x: ONE[name](m, x, dim, False), (3, 2, 5), layouts=layouts)
    compare(lambda m, x: ONE[name](m, x, dim, True), (4, 3, 2), layouts=layouts, edges=False)


@pytest.mark.filterwarnings("ignore:.*degrees of freedom.*")
@settings(max_examples=60, deadline=None)
@given(
    shape=st.lists(st.integers(0, 5), min_size=0, max_size=4).map(tuple),
    data=st.data(),
    name=st.sampled_from(["sum", "mean", "logsumexp", "norm", "std"]),
    keepdim=st.booleans(),
)
def test_any_shape(shape, data, name, keepdim):
    ndim = len(shape)
    dims = data.draw(st.lists(st.integers(0, max(ndim - 1, 0)), min_size=1, unique=True))
    dims = tuple([d - (ndim or 1) if data.draw(st.booleans()) else d for d in dims])
    fn = lambda m, x: MANY[name](m, x, dims, keepdim)  # noqa: E731
    layouts = ["contiguous", "transposed"]
    compare(fn, shape, layouts=layouts, dtypes=["float64"], edges=False)


# long enough for every way through csrc/fold.c: runs, blocks of columns, gathered tiles, pieces
@pytest.mark.parametrize(
    ("shape", "dim"),
    [
        ((70000,), 0),
        ((40000, 3), 0),
        ((3, 40000), 1),
        ((300, 40), 0),
        ((40, 300), 1),
        ((70, 5, 6), (0, 2)),
        ((8, 16, 7, 7), (0, 2, 3)),
        ((5, 65, 16), 1),
        ((2, 300, 3), 1),
        ((1000, 2), 1),
        ((33, 129), 0),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large(shape, dim, dtype):
    rng = np.random.default_rng(0)
    values = rng.uniform(-1, 1, shape).astype(dtype)
    fns = [lambda m, x, f=f: f(m, x, dim, False) for f in MANY.values()]
    if isinstance(dim, int):
        fns += [lambda m, x, f=f: f(m, x, dim, False) for f in ONE.values()]
    for fn in fns:
        for layout in ("contiguous", "transposed"):
            compare(
                fn, values, dtypes=[dtype], resolutions=["tensor"], layouts=[layout], edges=False
            )


@pytest.mark.parametrize("dim", [0, 1])
def test_large_indices_are_the_first(dim):
    rng = np.random.default_rng(1)
    for shape in ((500, 40), (40, 500), (3, 70000), (70000, 3)):
        values = rng.integers(0, 9, shape).astype(np.float32)
        x = to_rnn(values)
        assert np.array_equal(x.argmax(dim).numpy(), values.argmax(dim))
        assert np.array_equal(x.min(dim).indices.numpy(), values.argmin(dim))
    values[33000, 1] = NAN
    assert to_rnn(values).argmax(0).tolist()[1] == 33000
    assert to_rnn(values).argmax().item() == 33000 * 3 + 1


# ---- precision -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4_000_000,), (1_000_000, 3), (2000, 1000), (1000, 2000)])
@pytest.mark.parametrize("dim", [None, 0, -1])
def test_float32_sums_are_exact_to_rounding(shape, dim):
    values = np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)
    exact = values.astype(np.float64).sum(dim)
    got = to_rnn(values).sum(dim).numpy()
    np.testing.assert_allclose(got, exact, rtol=1.2e-7)


def test_var_of_large_numbers():
    values = np.random.default_rng(0).uniform(0, 1, (3, 100_000)) + 1e6
    got, expected = to_rnn(values).var(1).numpy(), values.var(1, ddof=1)
    np.testing.assert_allclose(got, expected, rtol=1e-9)
    tall = to_rnn(np.ascontiguousarray(values.T)).var(0).numpy()
    np.testing.assert_allclose(tall, expected, rtol=1e-9)


def test_cumsum_in_double():
    values = np.random.default_rng(0).uniform(0, 1, (100_000, 2)).astype(np.float32)
    exact = values.astype(np.float64).cumsum(0)
    np.testing.assert_allclose(to_rnn(values).cumsum(0).numpy(), exact, rtol=1e-7)
    one = to_rnn(values[:, 0].copy()).cumsum(0).numpy()
    np.testing.assert_allclose(one, exact[:, 0], rtol=1e-7)


def test_running_rows_side_by_side():
    """Rows go four at a time, the rest alone; NaN, infinities and ties among them."""
    x = np.random.default_rng(0).integers(-3, 4, (11, 37)).astype(np.float64) / 2
    x[2, 5], x[3, 4], x[10, 7], x[8, 1] = NAN, INF, NAN, -INF
    for fn in (
        lambda x: x.cumsum(1),
        lambda x: x.cumprod(1),
        lambda x: x.cummax(1),
        lambda x: x.cummin(1),
        lambda x: x + x.cumsum(1),
    ):
        compare(fn, (11, 37), edges=False, resolutions=["tensor"])
        compare(fn, x, edges=False, grad=False, resolutions=["tensor"])
    compare(lambda x: x.cumsum(0).cummax(0), (1000,), edges=False, resolutions=["tensor"])


def test_logsumexp_of_large_numbers():
    compare(lambda x: x.logsumexp(0), np.array([1e2, 99.5, -1e2]), rtol=1e-4)
    compare(
        lambda x: x.logsumexp(-1), np.array([[-INF, -INF], [INF, 1.0], [-INF, 2.0]]), grad=False
    )
    compare(lambda x: x.logsumexp(0), np.array([-INF, 2.0, 3.0]), edges=False)


# ---- special points ------------------------------------------------------------------------------

ZEROS = np.array([[1.0, 2.0, 3.0], [0.0, 2.0, 3.0], [0.0, 0.0, 3.0], [0.0, -0.0, 0.0]])


def test_prod_with_zeros():
    compare(lambda x: x.prod(1), ZEROS)
    compare(lambda x: x.prod(0), ZEROS)
    compare(lambda x: x.prod(), ZEROS)
    compare(lambda x: x.prod(), ZEROS[1])
    compare(lambda x: x.prod(), ZEROS[0])
    compare(lambda x: x.cumprod(1), ZEROS)
    compare(lambda x: x.cumprod(0), ZEROS)


def test_ties_share_the_gradient():
    ties = np.array([[1.0, 3.0, 3.0, 3.0], [2.0, 2.0, 2.0, 2.0], [5.0, 4.0, 5.0, 1.0]])
    for fn in (
        lambda x: x.max(),
        lambda x: x.min(),
        lambda x: x.amax(1),
        lambda x: x.amin(0),
        lambda x: x.amax((0, 1)),
        lambda x: x.median(),
        lambda x: x.norm(INF, 1),
        lambda m, x: m.aminmax(x),
        lambda x: x.max(1),
        lambda x: x.min(0),
    ):
        compare(fn, ties)


def test_nan():
    x = np.array([[1.0, NAN, 3.0], [4.0, 5.0, 6.0], [NAN, NAN, 0.0]])
    for fn in (
        lambda x: x.max(1),
        lambda x: x.min(1),
        lambda x: x.amax(1),
        lambda x: x.argmax(1),
        lambda x: x.argmin(),
        lambda x: x.median(1),
        lambda x: x.nanmedian(1),
        lambda x: x.nansum(1),
        lambda x: x.nanmean(0),
        lambda x: x.sum(0),
        lambda x: x.var(0),
        lambda x: x.prod(1),
        lambda x: x.logsumexp(1),
        lambda x: x.norm(2, 1),
        lambda x: x.cummax(1),
        lambda x: x.cummin(0),
        lambda x: x.median(),
        lambda x: x.nanmedian(),
    ):
        compare(fn, x, edges=False, grad=False)


def test_norm_at_zero():
    x = np.array([[0.0, 0.0], [3.0, -4.0], [0.0, 2.0]])
    for p in (0, 0.5, 1, 1.5, 2, 3, INF, -INF):
        # of order 0, PyTorch has no gradient and rnn has zeros
        compare(lambda m, x: m.linalg.vector_norm(x, p, 1), x, grad=p != 0)
        compare(lambda m, x: m.norm(x, p), np.zeros(3), grad=p != 0)
    compare(lambda m, x, y: m.dist(x, y), np.ones(3), np.ones(3))


def test_std_of_a_constant():
    compare(lambda x: x.std(1), np.array([[2.0, 2.0, 2.0], [1.0, 2.0, 4.0]]))
    compare(lambda x: x.std(), np.ones(4))


def test_infinities():
    x = np.array([[INF, 1.0], [-INF, 2.0], [3.0, INF]])
    for name in ("sum", "mean", "amax", "amin", "prod", "cumsum", "cumprod"):
        dims = 0 if name[0] != "a" else (0,)
        compare(lambda x: getattr(x, name)(dims), x, grad=False)


# ---- var, std and their arguments ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["var", "std"])
@pytest.mark.filterwarnings("ignore:.*degrees of freedom.*")
def test_corrections(name):
    for call in (
        lambda x, f: f(x, unbiased=False),
        lambda x, f: f(x, False),
        lambda x, f: f(x, 0, False),
        lambda x, f: f(x, 1, True, True),
        lambda x, f: f(x, (0, 1), correction=2),
        lambda x, f: f(x, dim=0, correction=0, keepdim=True),
        lambda x, f: f(x, axis=1, keepdims=True),
        lambda x, f: f(x, None, correction=0),
    ):
        compare(lambda m, x: call(x, getattr(m, name)), (3, 4))
    compare(lambda m, x: getattr(m, name)(x, 1, correction=5), (3, 4), grad=False)
    compare(lambda m, x: getattr(m, name)(x, 1), (3, 1), grad=False)
    compare(lambda m, x: getattr(m, f"{name}_mean")(x, 1, keepdim=True), (3, 4))
    compare(lambda m, x: getattr(m, f"{name}_mean")(x), (3, 4))


# ---- dtypes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int16, np.uint8, np.int8, np.bool_])
def test_integers(dtype):
    x = np.array([[3, 1, 2], [0, 5, 5]]).astype(dtype)
    for fn in (
        lambda m, x: x.sum(),
        lambda m, x: x.sum(0),
        lambda m, x: x.sum((0, 1), True),
        lambda m, x: x.prod(1),
        lambda m, x: x.prod(),
        lambda m, x: x.cumsum(1),
        lambda m, x: x.cumprod(0),
        lambda m, x: x.max(),
        lambda m, x: x.max(1),
        lambda m, x: x.min(0, True),
        lambda m, x: x.amax((0, 1)),
        lambda m, x: x.aminmax(),
        lambda m, x: x.any(),
        lambda m, x: x.all(1),
        lambda m, x: x.any((0, 1)),
        lambda m, x: x.any(()),
        lambda m, x: x.count_nonzero(),
        lambda m, x: m.count_nonzero(x, 1),
        lambda m, x: x.logsumexp(0),
        lambda m, x: x.cummax(1),
        lambda m, x: x.sum(dtype=m.float32),
        lambda m, x: x.mean(dtype=m.float64),
        lambda m, x: x.prod(0, dtype=m.int16),
        lambda m, x: m.softmax(x, 1, m.float32),
        lambda m, x: x.mode(),
    ):
        compare(fn, x, resolutions=["tensor"], dtypes=["float32"])
    if dtype != np.bool_:
        compare(lambda x: x.argmax(1), x, dtypes=["float32"])
        compare(lambda x: x.argmin(), x, dtypes=["float32"])
        compare(lambda x: x.median(), x, dtypes=["float32"])
        compare(lambda x: x.median(1), x, dtypes=["float32"])


def test_dtype_argument():
    for fn in (
        lambda m, x: x.sum(dtype=m.float64),
        lambda m, x: x.sum(1, dtype=m.float32),
        lambda m, x: x.mean(0, dtype=m.float64),
        lambda m, x: x.prod(dtype=m.float64),
        lambda m, x: x.cumsum(0, dtype=m.float64),
        lambda m, x: x.softmax(0, m.float64),
        lambda m, x: m.log_softmax(x, 0, dtype=m.float64),
        lambda m, x: m.linalg.vector_norm(x, dtype=m.float64),
        lambda m, x: x.detach().sum(dtype=m.int64),
    ):
        compare(fn, (3, 4), rtol=2e-6, atol=1e-6, edges=False)


# ---- max and min of two, out=, aliases, results with names ---------------------------------------


def test_forms():
    for fn in (
        lambda m, x, y: m.max(x, y),
        lambda m, x, y: x.min(y),
        lambda m, x, y: m.max(x, other=y),
        lambda m, x, y: x.max(dim=1),
        lambda m, x, y: m.max(x, dim=0, keepdim=True),
        lambda m, x, y: x.max(axis=1).values,
        lambda m, x, y: x.min(1, keepdims=True).indices,
        lambda m, x, y: x.sum(axis=0),
        lambda m, x, y: x.sum(axis=(0, 1), keepdims=True),
        lambda m, x, y: x.sum(None),
        lambda m, x, y: x.mean(None, True),
        lambda m, x, y: x.sum(()),
        lambda m, x, y: x.amax(axis=1),
        lambda m, x, y: x.argmax(None, True),
        lambda m, x, y: x.argmin(keepdim=True),
        lambda m, x, y: x.prod(axis=0),
        lambda m, x, y: m.softmax(x, dim=0),
        lambda m, x, y: x.log_softmax(axis=1),
    ):
        compare(fn, (3, 4), (3, 4), layouts=["contiguous"])


def test_out():
    x = rnn.tensor([[1.0, 2.0], [4.0, 3.0]])
    out = rnn.empty(2)
    assert rnn.sum(x, 0, out=out) is out and out.tolist() == [5.0, 5.0]
    values, indices = rnn.empty(0), rnn.empty(0, dtype=rnn.int64)
    rnn.max(x, 1, out=(values, indices))
    assert values.tolist() == [2.0, 4.0] and indices.tolist() == [1, 0]
    rnn.cumsum(x, 0, out=x)
    assert x.tolist() == [[1.0, 2.0], [5.0, 5.0]]
    with pytest.raises(RuntimeError, match="automatic differentiation"):
        rnn.sum(x.clone().requires_grad_(), 0, out=out)


def test_named_results():
    x = rnn.tensor([[1.0, 2.0]])
    found = x.max(1)
    assert isinstance(found, tuple) and len(found) == 2
    assert found.values is found[0] and found.indices is found[1]
    expected = "rnn.return_types.max(\nvalues=tensor([2.]),\nindices=tensor([1]))"
    assert repr(found) == expected
    low, high = rnn.aminmax(x)
    assert (low.item(), high.item()) == (1.0, 2.0)
    assert rnn.aminmax(x).max.item() == 2.0


# ---- softmax, cumulative functions, differences --------------------------------------------------


@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "cumsum", "cumprod", "logcumsumexp"])
def test_along_a_dimension(name, dim):
    compare(lambda x: getattr(x, name)(dim), (3, 2, 4))
    compare(lambda x: getattr(x, name)(0), (), layouts=["contiguous"])
    compare(lambda x: getattr(x, name)(0), (0,), layouts=["contiguous"])
    compare(lambda x: getattr(x, name)(1), (2, 0, 3), layouts=["contiguous"])
    compare(lambda x: getattr(x, name)(1), (70, 90), resolutions=["tensor"], edges=False)
    compare(lambda x: getattr(x, name)(1), (2, 90, 70), resolutions=["tensor"], edges=False)


@pytest.mark.parametrize("name", ["cummax", "cummin"])
def test_cumulative_extremes(name):
    compare(lambda x: getattr(x, name)(0), (4, 3))
    compare(lambda x: getattr(x, name)(-1), np.array([[1.0, 3.0, 3.0, 2.0], [2.0, 1.0, 1.0, 5.0]]))
    compare(lambda x: getattr(x, name)(0), (), layouts=["contiguous"])


def test_cumulative_in_place():
    compare(lambda x: (x * 1.0).cumsum_(0), (3, 4), edges=False)
    compare(lambda x: (x * 1.0).cumprod_(1), (3, 4), edges=False)


def test_gradient_of_a_cumulative_sum_stays_its_own():
    """At tensor resolution y.grad is what came to y, not what later elements passed on."""
    for name in ("cumsum", "cumprod"):
        x = rnn.tensor([1.0, 2.0, 3.0], requires_grad=True)
        y = getattr(x, name)(0)
        loss = (y * rnn.tensor([1.0, 2.0, 4.0])).sum()
        assert rnn.autograd.grad(loss, y)[0].tolist() == [1.0, 2.0, 4.0]


def test_diff():
    compare(lambda x: x.diff(), (5,))
    compare(lambda x: x.diff(2, 0), (4, 3))
    compare(lambda x: x.diff(9), (4,), layouts=["contiguous"])
    compare(lambda x, y: x.diff(dim=1, prepend=y, append=y), (2, 3), (2, 2))
    compare(lambda x: x.diff(), np.array([1, 5, 2]))
    compare(lambda x: x.diff(), np.array([True, False, False]))


def test_covariances():
    for name in ("cov", "corrcoef"):
        compare(lambda x: getattr(x, name)(), (3, 6))
        compare(lambda x: getattr(x, name)(), (6,), layouts=["contiguous"])
    compare(lambda x: x.cov(correction=0), (3, 6))
    f, a = np.array([1, 2, 1, 3, 1, 1]), np.linspace(0.5, 1.5, 6).astype(np.float64)
    compare(lambda m, x, f: x.cov(fweights=f), (3, 6), f)
    compare(lambda m, x, f, a: m.cov(x, fweights=f, aweights=a.detach()), (3, 6), f, a)


def test_matrix_norms():
    for ord in (None, "fro", 1, -1, INF, -INF):
        compare(lambda m, x: m.linalg.norm(x, ord), (3, 4))
        compare(lambda m, x: m.linalg.norm(x, ord, (2, 0), True), (3, 4, 2))
    compare(lambda m, x: m.linalg.matrix_norm(x), (2, 3, 4))
    compare(lambda m, x: m.linalg.matrix_norm(x, 1, (0, 2)), (2, 3, 4))
    compare(lambda m, x: m.linalg.norm(x, 3), (5,))
    compare(lambda m, x: m.renorm(x, 2, 0, 1.0), (3, 4), rtol=1e-4)


# ---- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: x.sum(5),
        lambda x: x.sum((0, 0)),
        lambda x: x.mean((0, -2)),
        lambda x: x.var(3),
        lambda x: x.max(5),
        lambda x: x.argmax(-3),
        lambda x: x.prod(2),
        lambda x: x.cumsum(2),
        lambda x: x.cumprod(-3),
        lambda x: x.softmax(2),
        lambda x: x.logsumexp(2),
        lambda x: x.sum("a"),
        lambda x: x.sum(1.5),
        lambda x: x.max((0, 1)),
        lambda x: x.max("a"),
        lambda x: x.prod((0, 1)),
        lambda x: x.cumsum(),
        lambda x: x.long().mean(),
        lambda x: x.mean(dtype=x.long().dtype),
        lambda x: x.long().var(),
        lambda x: x.long().std(0),
        lambda x: x.long().norm(),
        lambda x: x.long().softmax(0),
        lambda x: (x > 0).mean(),
        lambda x: (x > 0).argmax(),
        lambda x: x[:0].max(),
        lambda x: x[:0].max(0),
        lambda x: x[:0].amax(),
        lambda x: x[:0].amax(0),
        lambda x: x[:0].argmax(),
        lambda x: x[:0].argmin(0),
        lambda x: x[:0].long().max(),
        lambda x: x[:0].long().argmax(0),
        lambda x: x[:0].long().min(0),
        lambda x: x[:0].aminmax(),
        lambda x: x[:0].norm(INF),
        lambda x: x[:0].norm(INF, 0),
        lambda x: x.long().logcumsumexp(0),
        lambda x: x.diff(-1),
        lambda x: x.sum().diff(),
        lambda m, x: m.softmax(x, dim=None),
        lambda m, x: m.cov(x.reshape(1, 2, 3)),
    ],
)
def test_errors(fn):
    compare_errors(fn, (2, 3))


@pytest.mark.parametrize(
    "name",
    "sum mean prod amax amin max min argmax argmin logsumexp median mode nansum nanmean".split(),
)
def test_two_dimensions_need_a_tuple(name):
    compare_errors(lambda m, x: getattr(x, name)(1, 2), (2, 3, 4))
    if name not in ("mean", "logsumexp", "nanmean"):
        integers = np.ones((2, 3), np.int64)  # torch counts the tensor as an argument here
        compare_errors(lambda m, x: getattr(m, name)(x, 1, 0), integers, text=False)


@pytest.mark.parametrize("name", ["var", "std", "any", "all"])
def test_two_dimensions_are_refused_in_words_of_their_own(name):
    compare_errors(lambda m, x: getattr(x, name)(1, 2, 1), (2, 3, 4), text=False)


def test_of_nothing():
    for fn in (
        lambda x: x.sum(),
        lambda x: x.sum(1),
        lambda x: x.mean(),
        lambda x: x.prod(),
        lambda x: x.prod(1),
        lambda x: x.norm(),
        lambda x: x.norm(2, 1),
        lambda x: x.logsumexp(1),
        lambda x: x.amax(0),
        lambda x: x.max(0),
        lambda x: x.argmax(0),
        lambda x: x.all(),
        lambda x: x.any(1),
        lambda x: x.median(),
        lambda x: x.cummax(1),
        lambda x: x.count_nonzero(),
    ):
        compare(fn, (2, 0), layouts=["contiguous"])


# ---- the rows ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MANY)
def test_edges_and_differences(name):
    rng = np.random.default_rng(2)
    x = rng.uniform(0.5, 2, (3, 2, 4)) * rng.choice([-1, 1], (3, 2, 4))
    for d in ((0,), (2,), (0, 2), (0, 1, 2)):
        check_edges(lambda m, x: MANY[name](m, x, d, False), x)
        check_numeric(lambda m, x: MANY[name](m, x, d, True), x)


@pytest.mark.parametrize("name", ["prod", "cumprod", "cumsum", "logcumsumexp", "softmax"])
def test_edges_and_differences_along_a_dimension(name):
    rng = np.random.default_rng(2)
    x = rng.uniform(0.5, 2, (3, 2, 4)) * rng.choice([-1, 1], (3, 2, 4))
    for d in (0, 1, 2):
        check_edges(lambda x: getattr(x, name)(d), x)
        check_numeric(lambda x: getattr(x, name)(d), x)


def test_every_composite_has_a_composition():
    for names, made in ((MANY, reductions), (("cumprod", "logcumsumexp"), scans)):
        for name in names:
            number = lib.rnn_op_find(name.encode())
            if number >= 0 and lib.rnn_op_composite(number):
                assert number in made
    assert op("max") in reductions


def test_scalar_resolution_is_scalar():
    """A sum of n is n partial sums; a product n - 1 products."""
    x = rnn.ones(10, requires_grad=True)
    with rnn.resolution("scalar"):
        assert x.sum().graph_size() == 20
        assert x.prod().graph_size() >= 19


def test_accumulates_into_gradients_that_are_there():
    for fn in (
        lambda x: x.var(0).sum() + x.std() + x.prod(1).sum() + x.logsumexp((0, 1)),
        lambda x: x.amax(0).sum() + x.max() + x.norm() + x.norm(1) + x.cumprod(0).sum(),
        lambda x: x.t().var(0).sum() + x[:, 1:].norm() + x[::2].prod(0).sum() + x[1].max(),
    ):
        compare(fn, (3, 4))


def test_threads_do_not_change_the_sum():
    values = np.random.default_rng(0).uniform(0, 1, (300_001,)).astype(np.float32)
    x = to_rnn(values)
    assert len({x.sum().item() for _ in range(20)}) == 1
    assert torch.tensor(values).sum().item() == pytest.approx(x.sum().item(), rel=1e-6)


# ---- sums of broadcast gradients (csrc/box.c) ----------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "operand"),
    [
        ((3000, 3), (3,)),
        ((40000, 3), (3,)),
        ((300, 70), (70,)),
        ((600, 100), (1, 100)),
        ((40, 6000), (6000,)),
        ((70, 5, 3), (5, 1)),
        ((50, 4, 60, 3), (4, 1, 3)),
        ((50, 40, 60), (40, 1)),
        ((4, 50, 60), (4, 1, 60)),
        ((4, 5000, 2), (4, 1, 1)),
        ((100, 5, 70), (5, 70)),
    ],
)
@pytest.mark.parametrize("layout", ["contiguous", "transposed", "strided"])
def test_gradients_of_broadcast_operands(shape, operand, layout):
    compare(
        lambda x, b: x * b + b,
        shape,
        operand,
        dtypes=["float64"],
        resolutions=["tensor"],
        layouts=[layout],
        edges=False,
    )


@pytest.mark.parametrize("shape", [(400_000, 3), (40_000, 30), (2000, 5000)])
def test_float32_gradients_of_broadcast_operands_are_exact_to_rounding(shape):
    x = np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)
    b = rnn.zeros(shape[1], requires_grad=True)
    (to_rnn(x) + b).backward(to_rnn(x))
    np.testing.assert_allclose(b.grad.numpy(), x.astype(np.float64).sum(0), rtol=1.2e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("row", [[-1e30] * 3, [1e8, 1e8 + 8, 1e8 - 8], [1e4, 1e4 + 0.5, 0.0]])
def test_derivatives_of_logsumexp_of_large_numbers(row: list[float], dtype: str) -> None:
    """They are the softmax, though the rounding of the value is larger than what is looked for;
    PyTorch's are exp(x - value), whose sum is not 1 there."""
    want = torch.tensor(row, dtype=getattr(torch, dtype)).softmax(0).numpy()
    for resolution in ("tensor", "scalar"):
        x = rnn.tensor(row, dtype=getattr(rnn, dtype), requires_grad=True)
        with rnn.resolution(resolution):
            value = x.logsumexp(0)
        value.backward(retain_graph=True)
        tolerance = 4 * np.finfo(want.dtype).eps
        np.testing.assert_allclose(x.grad.numpy(), want, tolerance)
        locals_ = {edge.node.index: edge.local for edge in rnn.inspect.node(value).operands}
        if resolution == "tensor":
            np.testing.assert_allclose([locals_[(i,)] for i in range(3)], want, tolerance)

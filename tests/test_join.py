"""Joining, repeating, turning and cutting: values, gradients and errors as PyTorch has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers import compare, compare_errors, to_numpy
from hypothesis import given, settings
from hypothesis import strategies as st

import rnn

CASES: list[tuple[Any, tuple[Any, ...]]] = [
    (lambda m, x, y: m.cat([x, y]), ((2, 3), (1, 3))),
    (lambda m, x, y: m.cat((x, y), 1), ((2, 3), (2, 2))),
    (lambda m, x, y: m.cat((x, y, x), dim=-1), ((2, 3), (2, 2))),
    (lambda m, x: m.cat([x]), ((2, 3),)),
    (lambda m, x, y: m.cat([x, y], 1), ((2, 3), (2, 0))),
    (lambda m, x, y: m.cat([x, y]), ((2, 3), (0,))),
    (lambda m, x, y: m.cat([y, x], 1), ((2, 3), (0,))),
    (lambda m, x, y: m.cat([x, y]), ((0,), (0,))),
    (lambda m, x, y: m.concat([x, y]), ((2, 3), (1, 3))),
    (lambda m, x, y: m.concatenate([x, y], axis=1), ((2, 3), (2, 1))),
    (lambda m, x, y: m.concatenate([x, y], dim=1), ((2, 3), (2, 1))),
    (lambda m, x, y: m.cat([x[0], y.t()[0]]), ((2, 3), (4, 2))),
    (lambda m, x: m.stack([x, x * 2]), ((2, 3),)),
    (lambda m, x, y: m.stack((x, y), 1), ((2, 3), (2, 3))),
    (lambda m, x, y: m.stack((x, y), dim=-1), ((2, 3), (2, 3))),
    (lambda m, x, y: m.stack([x, y]), ((), ())),
    (lambda m, x: m.stack(list(x)), ((2, 3),)),
    (lambda m, x, y: m.hstack([x, y]), ((2, 3), (2, 1))),
    (lambda m, x, y: m.hstack([x, y]), ((2,), (3,))),
    (lambda m, x, y: m.hstack([x, y]), ((), ())),
    (lambda m, x, y: m.vstack([x, y]), ((2, 3), (3,))),
    (lambda m, x, y: m.dstack([x, y]), ((2, 3), (2, 3))),
    (lambda m, x, y: m.column_stack([x, y]), ((3,), (3, 2))),
    (lambda m, x, y: m.block_diag(x, y), ((2, 3), (1, 2))),
    (lambda m, x, y: m.block_diag(x, y), ((3,), ())),
    (lambda m, x: x.repeat(2, 3), ((2, 2),)),
    (lambda m, x: x.repeat((2, 1, 2)), ((2, 2),)),
    (lambda m, x: x.repeat(2), ((),)),
    (lambda m, x: x.repeat(2, 3).mul_(m.arange(6, dtype=x.dtype).view(2, 3)), ((),)),
    (lambda m, x: x.repeat(1, 1), ((2, 3),)),
    (lambda m, x: x.repeat(0, 2), ((2, 3),)),
    (lambda m, x: m.tile(x, (2,)), ((2, 3),)),
    (lambda m, x: x.tile(2, 1, 2), ((2, 3),)),
    (lambda m, x: x.repeat_interleave(2), ((2, 3),)),
    (lambda m, x: m.repeat_interleave(x, 3, 0), ((2, 3),)),
    (lambda m, x: x.repeat_interleave(2, dim=-1), ((2, 3),)),
    (lambda m, x: x.repeat_interleave(m.tensor([2, 0, 1]), 1), ((2, 3),)),
    (lambda m, x: x.repeat_interleave(m.tensor([2]), 1), ((2, 3),)),
    (lambda m, x: x.repeat_interleave(2), ((),)),
    (lambda m, x: m.flip(x, (0,)), ((3, 2),)),
    (lambda m, x: x.flip(0, -1), ((3, 2, 2),)),
    (lambda m, x: x.flip([1]), ((3, 2),)),
    (lambda m, x: x.flip(0), ((0, 2),)),
    (lambda m, x: x.fliplr(), ((3, 2),)),
    (lambda m, x: m.flipud(x), ((3, 2),)),
    (lambda m, x: x.roll(1), ((3, 2),)),
    (lambda m, x: m.roll(x, -1, 0), ((3, 2),)),
    (lambda m, x: x.roll((1, -2), (0, 1)), ((3, 4),)),
    (lambda m, x: x.roll(7, 1), ((3, 4),)),
    (lambda m, x: x.roll(0, 1), ((3, 4),)),
    (lambda m, x: x.roll(shifts=2, dims=0), ((0, 4),)),
    (lambda m, x: m.rot90(x), ((3, 2),)),
    (lambda m, x: x.rot90(2), ((3, 2),)),
    (lambda m, x: x.rot90(-1, (1, 2)), ((2, 3, 2),)),
    (lambda m, x: x.rot90(4), ((3, 2),)),
    (lambda m, x: m.diag(x), ((3,),)),
    (lambda m, x: x.diag(1), ((3,),)),
    (lambda m, x: m.diag(x, -1), ((3, 4),)),
    (lambda m, x: m.diagflat(x, 1), ((2, 2),)),
    (lambda m, x: m.diag_embed(x), ((2, 3),)),
    (lambda m, x: x.diag_embed(-1, 0, 2), ((2, 3),)),
    (lambda m, x: m.diag_embed(x, 1, -1, -2), ((2, 3),)),
    (lambda m, x: m.trace(x), ((3, 4),)),
    (lambda m, x: x.trace(), ((0, 4),)),
    (lambda m, x, y: m.meshgrid(x, y, indexing="ij"), ((3,), (2,))),
    (lambda m, x, y: m.meshgrid([x, y, x[0]], indexing="xy"), ((3,), (2,))),
    (lambda m, x, y: m.cartesian_prod(x, y), ((3,), (2,))),
    (lambda m, x: m.cartesian_prod(x), ((3,),)),
    (lambda m, x: m.combinations(x), ((4,),)),
    (lambda m, x: m.combinations(x, 3, with_replacement=True), ((3,),)),
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_functions(case: int) -> None:
    fn, shapes = CASES[case]
    compare(fn, *shapes)
    arrays = [np.arange(np.prod(s, dtype=int)).reshape(s) for s in shapes]
    compare(fn, *arrays, dtypes=("float32",), resolutions=("tensor",))


def test_cat_of_many_and_large() -> None:
    compare(
        lambda m, x: m.cat([x[i] for i in range(30)], 1),
        (30, 40, 50),
        edges=False,
        layouts=("contiguous", "strided"),
    )
    compare(
        lambda m, x: m.stack([x[i] * i for i in range(30)], 2),
        (30, 40, 50),
        edges=False,
        layouts=("contiguous",),
    )


def test_dtypes_are_promoted() -> None:
    integers = np.arange(6).reshape(2, 3)
    compare(lambda m, x, y: m.cat([x, y]), (2, 3), integers)
    compare(lambda m, x, y: m.cat([y, y > 1]), (2, 3), integers, grad=False)
    compare(
        lambda m, x, y: m.stack([x.to(m.float64), x.to(m.float32), y]),
        (2, 3),
        integers,
        edges=False,
    )
    compare(lambda m, x, y: m.cat([m.zeros(0, dtype=m.float64), x]), (2, 3), integers, edges=False)
    compare(lambda m, x, y: m.cat([y.to(m.int16), y.to(m.uint8)]), (2, 3), integers, grad=False)


def test_values_are_joined() -> None:
    a, b = rnn.Value(2.0), rnn.Value(3.0)
    joined = rnn.stack([a, b])
    (joined * joined).sum().backward()
    assert (a.grad, b.grad) == (4.0, 6.0)


def test_out() -> None:
    for m in (rnn, torch):
        x, out = m.arange(6.0).reshape(2, 3), m.zeros(4, 3)
        assert m.cat([x, x], out=out) is out
        assert out.tolist() == [[0, 1, 2], [3, 4, 5]] * 2
        assert m.stack([x, x], out=m.zeros(0)).shape == (2, 2, 3)
        assert m.tril(x, out=m.zeros(2, 3)).tolist() == [[0, 0, 0], [3, 4, 0]]


def test_indices_of_triangles() -> None:
    for args in ((3, 3), (4, 3, 1), (2, 5, -1), (3, 3, -5), (0, 3)):
        for name in ("tril_indices", "triu_indices"):
            ours, theirs = getattr(rnn, name)(*args), getattr(torch, name)(*args)
            assert ours.tolist() == theirs.tolist() and ours.shape == tuple(theirs.shape)
            assert ours.dtype is rnn.int64


def test_one_hot() -> None:
    from rnn.ops.join import one_hot

    for array in ([0, 2, 1], [[0, 1], [3, 0]], 2):
        for classes in (-1, 5):
            ours = one_hot(rnn.tensor(array), classes)
            theirs = torch.nn.functional.one_hot(torch.tensor(array), classes)
            np.testing.assert_array_equal(to_numpy(ours), theirs.numpy())
            assert ours.dtype is rnn.int64
    for array, classes in (([0, -1], -1), ([0, 3], 2), ([0.5], -1)):
        with pytest.raises(RuntimeError) as ours_error:
            one_hot(rnn.tensor(array), classes)
        with pytest.raises(RuntimeError) as theirs_error:
            torch.nn.functional.one_hot(torch.tensor(array), classes)
        assert str(ours_error.value) == str(theirs_error.value).partition(" Got")[0]


def test_repeat_interleave_of_counts() -> None:
    for m in (rnn, torch):
        assert m.repeat_interleave(m.tensor([1, 0, 3])).tolist() == [0, 2, 2, 2]


ERRORS: list[Any] = [
    lambda m, x: m.cat([]),
    lambda m, x: m.cat([x, x[0]]),
    lambda m, x: m.cat([x, x[:, :2]]),
    lambda m, x: m.cat([x[0, 0], x[0, 0]]),
    lambda m, x: m.cat([x[0], x[0, 0]]),
    lambda m, x: m.cat([x], 2),
    lambda m, x: m.cat([x, x], -3),
    lambda m, x: m.cat(x),
    lambda m, x: m.cat([x, 3]),
    lambda m, x: m.stack([]),
    lambda m, x: m.stack([x, x[0]]),
    lambda m, x: m.stack([x, x[:, :2]]),
    lambda m, x: m.stack([x, x], 3),
    lambda m, x: m.stack([x, None]),
    lambda m, x: m.hstack([x, x[0]]),
    lambda m, x: x.repeat(2),
    lambda m, x: x.repeat(-1, 1),
    lambda m, x: x.repeat_interleave(m.tensor([1, 2, 3]), 0),
    lambda m, x: x.repeat_interleave(-1),
    lambda m, x: x.flip(0, 0),
    lambda m, x: x.flip(2),
    lambda m, x: x[0].fliplr(),
    lambda m, x: x[0, 0].flipud(),
    lambda m, x: x.roll((1, 2), 0),
    lambda m, x: x.roll(1, 2),
    lambda m, x: x.roll((1, 2)),
    lambda m, x: x.rot90(1, (0, 0)),
    lambda m, x: x[0].rot90(),
    lambda m, x: x[0].tril(),
    lambda m, x: x[0, 0].triu(),
    lambda m, x: m.diag(x[None]),
    lambda m, x: x[None].trace(),
    lambda m, x: m.meshgrid(x[0], x[0], indexing="zz"),
    lambda m, x: m.meshgrid(x[0], m.arange(3), indexing="ij"),
    lambda m, x: m.combinations(x),
    lambda m, x: m.cat([x, x], out=m.zeros(4, 3, dtype=m.int64)),
]


def test_dimensions_that_are_not_there() -> None:
    compare_errors(lambda m, x: x.roll(1, 0), np.array(1.0))
    for shape in ((0, 3), (0,)):
        compare_errors(lambda m, x: x.index_select(0, m.tensor([0])), shape)


@pytest.mark.parametrize("counts", [[1.0], [True], [[1]], [-1], 2])
def test_counts_that_are_none(counts: Any) -> None:
    compare_errors(lambda m, x: m.repeat_interleave(m.tensor(counts)), (1,))


@pytest.mark.parametrize("case", range(len(ERRORS)))
def test_errors(case: int) -> None:
    compare_errors(ERRORS[case], (2, 3))
    if case < 33:
        compare_errors(ERRORS[case], np.arange(6).reshape(2, 3))


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_any_cat(data: Any) -> None:
    ndim = data.draw(st.integers(1, 4))
    dim = data.draw(st.integers(-ndim, ndim - 1))
    shape = data.draw(st.lists(st.integers(0, 3), min_size=ndim, max_size=ndim))
    parts = []
    for _ in range(data.draw(st.integers(1, 4))):
        shape[dim] = data.draw(st.integers(0, 3))
        parts.append(tuple(shape))
    layout = data.draw(st.sampled_from(["contiguous", "transposed", "strided"]))
    compare(
        lambda m, *x: m.cat(list(x), dim) * 2,
        *parts,
        dtypes=("float64",),
        resolutions=("tensor",),
        layouts=(layout,),
    )

"""Indexing: values, gradients and errors as PyTorch has them, for reading and for writing, inside
the graph and outside.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers import compare, compare_errors, to_numpy, to_rnn
from hypothesis import given, settings
from hypothesis import strategies as st

import rnn

I = np.array  # noqa: E741

# ---- reading -------------------------------------------------------------------------------------

READS: list[Any] = [
    lambda m, x: x[1],
    lambda m, x: x[-1],
    lambda m, x: x[1, 2],
    lambda m, x: x[1, 2, 3],
    lambda m, x: x[0:2],
    lambda m, x: x[1:],
    lambda m, x: x[:-1],
    lambda m, x: x[5:2],
    lambda m, x: x[::2],
    lambda m, x: x[:, 1],
    lambda m, x: x[:, 1:, ::2],
    lambda m, x: x[:1, :, 1:3],
    lambda m, x: x[:, -1, :-2],
    lambda m, x: x[1, :, -9:9],
    lambda m, x: x[-1:, 5:2, 0],
    lambda m, x: x[..., 0],
    lambda m, x: x[..., 1:2, :],
    lambda m, x: x[None],
    lambda m, x: x[:, None, 1],
    lambda m, x: x[..., None],
    lambda m, x: x[:],
    lambda m, x: x[...],
    lambda m, x: x[()],
    lambda m, x: x[m.tensor(1)],
    lambda m, x: x[: m.tensor(1), m.tensor(-1)],
    lambda m, x: x[np.int64(1), np.int32(2)],
    lambda m, x: x[[0, 1, 1]],
    lambda m, x: x[[-1]],
    lambda m, x: x[m.tensor([1, 0, 1])],
    lambda m, x: x[m.tensor([[1, 0], [0, 1]])],
    lambda m, x: x[:, [2, 0]],
    lambda m, x: x[:, [-1], :],
    lambda m, x: x[:, :, m.tensor([3, 3, 0])],
    lambda m, x: x[[0, 1], [2, 1]],
    lambda m, x: x[m.tensor([0, 1]), :, m.tensor([3, 2])],
    lambda m, x: x[range(2), m.tensor([1, 2])],
    lambda m, x: x[[0, 1], 1],
    lambda m, x: x[1, [0, 2]],
    lambda m, x: x[0, :, [1, 2]],
    lambda m, x: x[m.tensor([[0], [1]]), m.tensor([0, 2])],
    lambda m, x: x[1:, [0, 2], ::2],
    lambda m, x: x[..., [1, 1]],
    lambda m, x: x[None, [1], None],
    lambda m, x: x[m.tensor([True, False])],
    lambda m, x: x[m.tensor([False, False])],
    lambda m, x: x[:, m.tensor([True, False, True])],
    lambda m, x: x[m.tensor([[True, False, True], [False, True, False]])],
    lambda m, x: x[m.tensor([True, True]), [0, 2]],
    lambda m, x: x[x > 0],
    lambda m, x: x[x > 99],
    lambda m, x: x[True],
    lambda m, x: x[False],
    lambda m, x: x[m.tensor(True)],
    lambda m, x: x[m.zeros(0, dtype=m.int64)],
    lambda m, x: x[np.array([1, 0])],
    lambda m, x: x[np.array([True, False])],
    lambda m, x: x.transpose(0, 2)[[1, 2]],
    lambda m, x: x.transpose(0, 2)[:, [1, 2], 0],
    lambda m, x: x[1].t()[[3, 0]],
    lambda m, x: x[:, 1:][[1, 0], [0, 1]],
    lambda m, x: [row * 2 for row in x],
    lambda m, x: [len(x), len(x[0])],
]


@pytest.mark.parametrize("case", range(len(READS)))
def test_reading(case: int) -> None:
    compare(READS[case], (2, 3, 4))
    compare(
        READS[case], np.arange(24).reshape(2, 3, 4), dtypes=("float32",), resolutions=("tensor",)
    )


def test_embedding() -> None:
    compare(lambda m, table: table[m.tensor([[1, 4, 1], [0, 0, 2]])] ** 2, (5, 3))
    compare(lambda m, table, x: table[x].tanh(), (5, 3), np.array([[4, 0], [4, 1]]))


def test_names_of_views() -> None:
    x, y = rnn.zeros(2, 3, 4).requires_grad_(), torch.zeros(2, 3, 4, requires_grad=True)
    for index in (
        1,
        (1, 2),
        slice(1, None),
        (slice(None), 1),
        None,
        (0, slice(1, 2)),
        (slice(1, 2), 0),
        (slice(None), slice(None)),
        ...,
        slice(None),
        (0, None),
    ):
        view = x[index]
        name = rnn._c.lib.rnn_view_name(rnn._c.lib.rnn_view_op(view._h))
        ours = rnn._c.ffi.string(name).decode()
        assert ours == type(y[index].grad_fn).__name__, index


READ_ERRORS: list[Any] = [
    lambda m, x: x[5],
    lambda m, x: x[-3],
    lambda m, x: x[0, 5],
    lambda m, x: x[0, 0, 0],
    lambda m, x: x[:, :, 0],
    lambda m, x: x[0:1, :, :],
    lambda m, x: x[:, 1:, :2],
    lambda m, x: x[:1, -4],
    lambda m, x: x[0, 0][0],
    lambda m, x: x[0, 0][0:1],
    lambda m, x: x[1.0],
    lambda m, x: x["a"],
    lambda m, x: x[::-1],
    lambda m, x: x[:, ::-2],
    lambda m, x: x[[5]],
    lambda m, x: x[:, [0, 7]],
    lambda m, x: x[[0, 1], [0, 1, 2]],
    lambda m, x: x[m.tensor([True, False, True])],
    lambda m, x: x[m.tensor([[True, False]])],
    lambda m, x: x[x],
    lambda m, x: len(x[0, 0]),
    lambda m, x: list(x[0, 0]),
    lambda m, x: None in x,
]


@pytest.mark.parametrize("case", range(len(READ_ERRORS)))
def test_reading_errors(case: int) -> None:
    compare_errors(READ_ERRORS[case], (2, 3))
    if case != 19:
        compare_errors(READ_ERRORS[case], np.arange(6).reshape(2, 3))


def test_contains() -> None:
    x = rnn.tensor([1.0, 2.0])
    assert 2 in x and 3 not in x and rnn.tensor(1) in x
    assert 2 in rnn.tensor([1, 2]) and True in rnn.tensor([False, True])


# ---- writing -------------------------------------------------------------------------------------


def _set(index: Any) -> Any:
    """A function of (m, x, v) that writes v and gives what x is then, and what is made of it."""

    def fn(m: Any, x: Any, v: Any) -> Any:
        y = x * 1
        y[index(m, y)] = v
        return y, y * y

    return fn


WRITES: list[tuple[Any, tuple[int, ...]]] = [
    (lambda m, x: 1, (4,)),
    (lambda m, x: 1, (3, 4)),
    (lambda m, x: 1, (1, 1, 3, 4)),
    (lambda m, x: 1, ()),
    (lambda m, x: (1, 2), (4,)),
    (lambda m, x: (1, 2, 3), ()),
    (lambda m, x: (1, 2, 3), (1,)),
    (lambda m, x: slice(0, 1), (3, 1)),
    (lambda m, x: slice(None), (2, 1, 4)),
    (lambda m, x: ..., (1,)),
    (lambda m, x: (slice(None), 1), (4,)),
    (lambda m, x: (slice(None), slice(None), slice(0, 4, 2)), (3, 2)),
    (lambda m, x: (..., 0), (2, 3)),
    (lambda m, x: None, (3, 4)),
    (lambda m, x: m.tensor(1), (4,)),
    (lambda m, x: [0, 1], (4,)),
    (lambda m, x: [1], (1, 3, 4)),
    (lambda m, x: m.tensor([1, 0]), (2, 3, 4)),
    (lambda m, x: (slice(None), [2, 0]), (2, 4)),
    (lambda m, x: ([0, 1], [2, 1]), (2, 4)),
    (lambda m, x: (range(2), m.tensor([1, 2]), m.tensor([3, 0])), (2,)),
    (lambda m, x: (m.tensor([0, 1]), slice(None), m.tensor([3, 2])), (3,)),
    (lambda m, x: (0, slice(None), [1, 2]), (3, 2)),
    (lambda m, x: m.tensor([True, False]), (3, 4)),
    (lambda m, x: m.tensor([True, False]), ()),
    (lambda m, x: (slice(None), m.tensor([True, False, True])), (2, 4)),
    (lambda m, x: m.tensor([[True, False, True], [False, True, False]]), (4,)),
    (lambda m, x: m.arange(24).reshape(2, 3, 4) % 3 == 0, (8,)),
    (lambda m, x: m.arange(24).reshape(2, 3, 4) % 3 == 0, ()),
    (lambda m, x: m.zeros(2, 3, 4) > 1, (0,)),
    (lambda m, x: True, (3, 4)),
    (lambda m, x: m.zeros(0, dtype=m.int64), (3, 4)),
]


@pytest.mark.parametrize("case", range(len(WRITES)))
def test_writing(case: int) -> None:
    index, value = WRITES[case]
    compare(_set(index), (2, 3, 4), value)
    compare(_set(index), (2, 3, 4), value, grad=False)
    size = int(np.prod(value))
    compare(
        _set(index),
        np.arange(24).reshape(2, 3, 4),
        np.arange(size).reshape(value) + 50,
        dtypes=("float32",),
    )


@pytest.mark.parametrize("case", range(len(WRITES)))
@pytest.mark.parametrize("value", [2, -1.5, True, float("nan")])
def test_writing_numbers(case: int, value: Any) -> None:
    index = WRITES[case][0]

    def fn(m: Any, x: Any) -> Any:
        y = x * 1
        y[index(m, y)] = value
        return y, y * 2

    compare(fn, (2, 3, 4))
    compare(fn, (2, 3, 4), grad=False)
    if value == value:
        compare(fn, np.arange(24).reshape(2, 3, 4), dtypes=("float32",))
        compare(fn, np.arange(24).reshape(2, 3, 4) % 2 == 0, dtypes=("float32",))


def test_writing_through_views_of_views() -> None:
    def written(m: Any, x: Any) -> Any:
        y = x * 1
        y[0][1] = 5
        y.t()[2] = 7
        y[1:][:, [0, 1]] = 3
        y[:, 1:3][y[:, 1:3] > 6] = -1
        return y, y.t() * 2

    compare(written, (3, 4), layouts=("contiguous", "strided"))
    compare(written, (3, 4), grad=False)
    compare(written, np.arange(12).reshape(3, 4), dtypes=("float32",))


def test_a_plain_tensor_enters_the_graph() -> None:
    def fn(m: Any, w: Any, x: Any) -> Any:
        out = m.zeros(3, 2, 2, dtype=w.dtype)
        for i in range(3):
            out[i] = x * w[i]
        logits = m.zeros(4, dtype=w.dtype)
        logits[[1, 3]] = w[0, 0]
        logits[m.tensor([True, False, False, False])] = x[0, 1]
        return out, logits, out[1] * out[2]

    compare(fn, (3, 2, 2), (2, 2))


def test_detached_tensors_enter_the_graph_alone() -> None:
    def fn(m: Any, w: Any, x: Any) -> Any:
        y = x * 2
        d = y.detach()
        d[0] = w
        e = x.detach()
        e[1] += w
        return d, d * d, y, e

    for layout in ("contiguous", "strided"):
        compare(fn, (3,), (2, 3), layouts=(layout,))


def test_writes_in_the_graph_share_memory() -> None:
    """As in PyTorch: a recorded write is a write, and a loop of them takes no more memory than its
    results.
    """
    weight = rnn.ones(1000).requires_grad_()
    out = rnn.zeros(100, 1000)
    before = rnn._c.lib.rnn_data(rnn._c.E, out._h)
    rows = [out[i] for i in range(100)]
    for i in range(100):
        out[i] = weight * i
    assert rnn._c.lib.rnn_data(rnn._c.E, out._h) == before
    sizes = rnn._c.ffi.new("uint64_t[6]")
    rnn._c.lib.rnn_memory(rnn._c.E, sizes)
    live = sizes[1]
    out[3] = weight
    rnn._c.lib.rnn_memory(rnn._c.E, sizes)
    assert sizes[1] - live < 8000
    assert rows[7].tolist() == [7.0] * 1000 and rows[7].requires_grad
    (out * out).sum().backward()
    assert weight.grad.tolist()[:2] == [sum(2 * i * i for i in range(100) if i != 3) + 2] * 2


def test_an_overwritten_value_that_is_needed() -> None:
    """PyTorch refuses the backward pass; a recorded write keeps what the gradient needs."""
    x = rnn.tensor([1.0, 2.0, 3.0]).requires_grad_()
    y = x * 2
    z, w = y * y, y.exp()
    y[0] = 1
    w[1:] = y[1:]
    (z.sum() + w.sum()).backward()
    assert x.grad.tolist() == pytest.approx([8 + 2 * np.exp(2), 16 + 2, 24 + 2])
    with rnn.no_grad():
        x = rnn.tensor([1.0, 2.0]).requires_grad_()
    y = (x * 2).exp()
    with rnn.no_grad():
        y[0] = 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_updating_in_place() -> None:
    def fn(m: Any, x: Any, y: Any) -> Any:
        z = x * 1
        z[:, 1] += y
        z[0] *= 2
        z[[0, 2]] -= 1
        z[range(3), m.tensor([0, 1, 1])] += y
        z[z > 1] = 0
        z[1, 1] = z[0, 0]
        z[2] = z[1]
        return z, z * z

    compare(fn, (3, 2), (3,))
    compare(fn, (3, 2), (3,), grad=False)
    compare(fn, np.arange(6).reshape(3, 2), np.arange(3), dtypes=("float32",))


def test_the_manual_backward_of_makemore() -> None:
    def fn(m: Any, logits: Any) -> Any:
        n, y = 4, m.tensor([2, 0, 1, 1])
        d = m.softmax(logits, 1)
        d[range(n), y] -= 1
        d /= n
        return d

    compare(fn, (4, 3), grad=False)


def test_counting() -> None:
    ours, theirs = rnn.zeros((3, 3), dtype=rnn.int32), torch.zeros((3, 3), dtype=torch.int32)
    for n in (ours, theirs):
        for i, j in [(0, 1), (2, 2), (0, 1), (1, 0)]:
            n[i, j] += 1
    assert ours.tolist() == theirs.tolist()
    assert ours.dtype is rnn.int32


def test_overlapping_writes_read_first() -> None:
    """PyTorch refuses these."""

    def fn(m: Any, x: Any) -> Any:
        y = x * 1
        y[1:] = y[:-1] if m is rnn else y[:-1].clone()
        y[:, :2] = y[:, 1:] if m is rnn else y[:, 1:].clone()
        return y

    compare(fn, (4, 3))
    compare(fn, (4, 3), grad=False)
    compare(fn, np.arange(12).reshape(4, 3), dtypes=("float32",))


def test_values_of_other_dtypes() -> None:
    def basic(m: Any, x: Any, y: Any) -> Any:
        z = x.to(m.float32) * 1
        z[0] = y
        z[1, 1] = m.tensor(3)
        z[2] = m.tensor([True, False])
        return z

    compare(basic, (3, 2), (2,), edges=False)
    compare(basic, (3, 2), np.array([4, 5]), edges=False)
    for dtype in ("uint8", "int8", "int16", "int32", "int64", "bool"):

        def integers(m: Any, y: Any, dtype: str = dtype) -> Any:
            n = m.zeros(3, 2, dtype=getattr(m, dtype))
            n[0] = y
            n[1] = 1.75
            n[2] = m.tensor([7, 0])
            return n

        compare(integers, np.array([1.75, 0.0]), grad=False)
    compare_errors(lambda m, x: x.__setitem__([0, 1], m.ones(3, dtype=m.float64)), (2, 3))
    compare_errors(lambda m, x: x.__setitem__([0, 1], m.arange(3)), (2, 3))
    compare_errors(lambda m, x: x.__setitem__(x > 1, x[x > 1].to(m.float32)), np.arange(4))


WRITE_ERRORS: list[Any] = [
    lambda m, x: x.__setitem__(0, [1, 2, 3]),
    lambda m, x: x.__setitem__(0, "a"),
    lambda m, x: x.__setitem__(0, None),
    lambda m, x: x.__setitem__(0, np.zeros(3)),
    lambda m, x: x.__setitem__(0, m.ones(2, 3)),
    lambda m, x: x.__setitem__(0, m.ones(4)),
    lambda m, x: x.__setitem__([0, 1], m.ones(4)),
    lambda m, x: x.__setitem__((slice(None), [0, 1]), m.ones(2, 3)),
    lambda m, x: x.__setitem__(x > 2, m.ones(20)),
    lambda m, x: x.__setitem__(7, 1),
    lambda m, x: x.__setitem__((0, 7), 1),
    lambda m, x: x.__setitem__([0, 7], 1),
]


@pytest.mark.parametrize("case", range(len(WRITE_ERRORS)))
def test_writing_errors(case: int) -> None:
    compare_errors(WRITE_ERRORS[case], (2, 3), text=case != 4)


def test_integers_out_of_range() -> None:
    for dtype, value in (
        ("uint8", 300),
        ("int8", -1000),
        ("int64", float("nan")),
        ("uint8", -256),
        ("int16", 1e9),
    ):
        compare_errors(
            lambda m, d=dtype, v=value: m.zeros(2, dtype=getattr(m, d)).__setitem__(0, v)
        )


def test_leaves_are_not_written() -> None:
    compare_errors(lambda x: x.__delitem__(0), (2, 3))
    compare_errors(lambda x: x.__setitem__(0, 1), (2, 3), grad=True)
    compare_errors(lambda x: x.__setitem__([0], 1), (2, 3), grad=True)
    compare_errors(lambda m, x: x.__setitem__(x > 0, 1), (2, 3), grad=True)
    compare_errors(lambda x: x.masked_fill_(x > 0, 1), (2, 3), grad=True)
    compare_errors(lambda m, x: x.index_add_(0, m.tensor([0]), m.ones(1, 3)), (2, 3), grad=True)
    x = rnn.zeros(2).requires_grad_()
    with rnn.no_grad():
        x[0] = 5
        x[[1]] = 3
        x[x > 4] = 1
    assert x.tolist() == [1, 3] and x.is_leaf


# ---- index tensors -------------------------------------------------------------------------------

FUNCTIONS: list[tuple[Any, tuple[Any, ...]]] = [
    (lambda m, x, i: m.gather(x, 0, i), ((3, 4), I([[0, 2, 1, 0], [1, 1, 2, 2]]))),
    (lambda m, x, i: x.gather(1, i), ((3, 4), I([[3], [0], [0]]))),
    (lambda m, x, i: x.gather(-1, i), ((2, 3, 2), I([[[1, 1], [0, 1]]]))),
    (lambda m, x, i: x.gather(0, i), ((3,), I([2, 2, 0, 1]))),
    (lambda m, x, i: x.gather(0, i), ((), I([0, 0]))),
    (lambda m, x, i: x.gather(0, i), ((3,), I(1))),
    (lambda m, x, i: x.gather(1, i.to(m.int32)), ((2, 3), I([[0, 1], [2, 2]]))),
    (lambda m, x, i: x.gather(1, i), ((2, 3), np.zeros((2, 0), np.int64))),
    (lambda m, x, i: m.take_along_dim(x, i, 1), ((3, 4), I([[0, 3], [1, 1], [2, 0]]))),
    (lambda m, x, i: m.take_along_dim(x, i, 1), ((3, 4), I([[-1, 3], [1, -4], [2, 0]]))),
    (lambda m, x, i: x.take_along_dim(i, dim=0), ((3, 4), I([[0], [2]]))),
    (lambda m, x, i: x.contiguous().take_along_dim(i), ((3, 4), I([0, 11, 5]))),
    (lambda m, x, i, v: m.scatter(x, 0, i, v), ((3, 4), I([[0, 2, 1, 0], [1, 1, 2, 2]]), (2, 4))),
    (lambda m, x, i, v: x.scatter(1, i, v[:, :2]), ((3, 4), I([[3, 0], [0, 2], [0, 1]]), (3, 3))),
    (lambda m, x, i: x.scatter(1, i, 2.5), ((3, 4), I([[3, 0], [0, 2], [0, 1]]))),
    (lambda m, x, i: x.scatter(1, i, value=2), ((3, 4), I([[3, 0], [0, 2], [0, 1]]))),
    (
        lambda m, x, i: x.detach().scatter(1, i, 2.0, reduce="add"),
        ((3, 4), I([[3, 3], [0, 2], [0, 1]])),
    ),
    (
        lambda m, x, i: x.detach().scatter(1, i, 2.0, reduce="multiply"),
        ((3, 4), I([[3, 3], [0, 2], [0, 1]])),
    ),
    (lambda m, x, i: (x * 1).scatter_(1, i, 1), ((3, 4), I([[3, 0], [0, 2], [0, 1]]))),
    (
        lambda m, x, i, v: m.scatter_add(x, 0, i, v),
        ((3, 4), I([[0, 2, 1, 0], [0, 1, 2, 2]]), (2, 4)),
    ),
    (
        lambda m, x, i, v: (x * 1).scatter_add_(1, i, v),
        ((3, 4), I([[3, 3], [0, 2], [0, 1]]), (3, 2)),
    ),
    (lambda m, x, i, v: x.scatter_add(0, i, v), ((3,), I([2, 2, 0, 1]), (4,))),
    (lambda m, x, i, v: m.scatter_reduce(x, 0, i, v, "sum"), ((3,), I([2, 2, 0, 1]), (4,))),
    (
        lambda m, x, i, v: x.scatter_reduce(0, i, v, reduce="sum", include_self=False),
        ((4,), I([2, 2, 0]), (3,)),
    ),
    *(
        (
            lambda m, x, i, v, r=reduce, s=itself: m.scatter_reduce(x, 1, i, v, r, include_self=s),
            ((2, 3), I([[2, 2, 0, 2, 0], [1, 1, 1, 1, 1]]), (2, 5)),
        )
        for reduce in ("sum", "prod", "mean", "amax", "amin")
        for itself in (True, False)
    ),
    *(
        (
            lambda m, x, i, v, r=reduce: (x * 1).index_reduce_(-1, i, v, r),
            ((2, 3, 4), I([3, 1, 3]), (2, 3, 3)),
        )
        for reduce in ("prod", "mean", "amax", "amin")
    ),
    (  # zeros in a product, and elements that share a maximum
        lambda m, x, i: m.cat(
            [(x * 0 + 1).scatter_reduce(0, i, (x > 0) * x, r) for r in ("prod", "amax")]
        ),
        ((6,), I([1, 1, 0, 4, 4, 4])),
    ),
    (lambda m, x, i: x.scatter_reduce(0, i, x, "amax"), ((), I(0))),
    (lambda m, x, i, v: x.scatter_reduce(0, i, v, "amin"), ((3,), np.zeros(0, np.int64), (0,))),
    (lambda m, x, i: m.index_select(x, 0, i), ((3, 4), I([2, 0, 2]))),
    (lambda m, x, i: x.index_select(1, i), ((3, 4), I([3, 3]))),
    (lambda m, x, i: x.index_select(-2, i), ((2, 3, 4), I([1, 0, 1, 2]))),
    (lambda m, x, i: x.index_select(0, i), ((), I([0]))),
    (lambda m, x, i: x.index_select(0, i), ((3, 4), I(1))),
    (lambda m, x, i: x.index_select(1, i), ((3, 0), np.zeros(0, np.int64))),
    (lambda m, x, i, v: m.index_add(x, 0, i, v), ((3, 4), I([2, 0, 2]), (3, 4))),
    (lambda m, x, i, v: x.index_add(1, i, v, alpha=-2), ((3, 4), I([2, 0]), (3, 2))),
    (lambda m, x, i, v: (x * 1).index_add_(-1, i, v), ((2, 3, 4), I([1, 1]), (2, 3, 2))),
    (lambda m, x, i, v: m.index_copy(x, 1, i, v), ((3, 4), I([2, 0]), (3, 2))),
    (lambda m, x, i, v: (x * 1).index_copy_(0, i, v), ((3, 4), I([2, 0]), (2, 4))),
    (lambda m, x, i: m.index_fill(x, 1, i, 3), ((3, 4), I([2, 0]))),
    (lambda m, x, i: m.index_fill(x, 1, i, 3), ((3, 4), I([2, -4]))),
    (lambda m, x, i: (x * 1).index_fill_(0, i, -1.5), ((3, 4), I([2, 0]))),
    (lambda m, x, i, v: x.index_fill(0, i, v), ((3, 4), I([2, 0]), ())),
    (lambda m, x, i, v: m.index_put(x, (i,), v), ((3, 4), I([2, 0]), (2, 4))),
    (
        lambda m, x, i, v: (x * 1).index_put_((i, i), v, accumulate=True),
        ((3, 4), I([2, 0, 2]), (3,)),
    ),
    (lambda m, x, i, v: x.index_put((i,), v, True), ((3, 4), I([2, 2, 2]), (4,))),
    (lambda m, x, i, v: x.index_put((x > 0,), v), ((3, 4), I(0), ())),
    (lambda m, x, i: m.take(x, i), ((3, 4), I([[0, 11], [-1, 5]]))),
    (lambda m, x, i: x.take(i), ((3, 4), I(7))),
    (lambda m, x, i, v: (x * 1).put_(i, v), ((3, 4), I([[0, 11], [-2, 5]]), (4,))),
    (lambda m, x, i, v: x.put(i, v, accumulate=True), ((3, 4), I([0, 0, 3]), (3,))),
]


@pytest.mark.parametrize("case", range(len(FUNCTIONS)))
def test_index_functions(case: int) -> None:
    fn, inputs = FUNCTIONS[case]
    compare(fn, *inputs, layouts=("contiguous", "transposed", "strided"))
    sizes = [
        a if isinstance(a, np.ndarray) else np.arange(np.prod(a, dtype=int)).reshape(a)
        for a in inputs
    ]
    if case not in (13, 14, 32, 34, 35, 36):
        compare(fn, *sizes, dtypes=("float32",), resolutions=("tensor",))


def test_large_scatters_and_gathers() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 50, 4000)
    compare(lambda m, x, i: x[i].tanh(), (50, 3), rows, layouts=("contiguous",), edges=False)
    compare(
        lambda m, x, i, v: x.index_add(0, i, v),
        (50, 3),
        rows,
        (4000, 3),
        layouts=("contiguous",),
        edges=False,
        rtol=1e-4,
    )
    compare(lambda m, x, i: x.take(i), (50, 60), rows, layouts=("contiguous",), edges=False)


FUNCTION_ERRORS: list[Any] = [
    lambda m, x, i: x.gather(0, i),
    lambda m, x, i: x.gather(0, i.to(m.int16)),
    lambda m, x, i: x.gather(0, i[0]),
    lambda m, x, i: x.gather(1, m.zeros(3, 2, dtype=m.int64)),
    lambda m, x, i: x.gather(2, i),
    lambda m, x, i: x.gather(0, x),
    lambda m, x, i: x.scatter(0, m.tensor([[0, 1]]), m.ones(1, 1)),
    lambda m, x, i: x.scatter(0, m.tensor([[0, 1]]), m.ones(1, 2, dtype=m.float64)),
    lambda m, x, i: x.scatter(0, m.tensor([[0, 5]]), 1.0),
    lambda m, x, i: x.scatter(0, m.tensor([[0, 1]]), 2.0, reduce="foo"),
    lambda m, x, i: x.scatter_add(0, m.tensor([[0, 1]]), 2.0),
    lambda m, x, i: x.scatter_reduce(0, m.tensor([[0, 1]]), m.ones(1, 2), "foo"),
    lambda m, x, i: x.scatter_reduce(0, m.tensor([[0, 1]]), 2.0, "sum"),
    lambda m, x, i: x.scatter_reduce(0, m.tensor([[0, 5]]), m.ones(1, 2), "amax"),
    lambda m, x, i: x.index_reduce(0, m.tensor([[0, 1]]), m.ones(2, 3), "mean"),
    lambda m, x, i: x.index_reduce(0, m.tensor([0]), m.ones(2, 3), "mean"),
    lambda m, x, i: x.index_reduce(0, m.tensor([0, 1]), m.ones(2, 3), "sum"),
    lambda m, x, i: x.index_select(0, m.tensor([0, 5])),
    lambda m, x, i: x.index_select(0, i),
    lambda m, x, i: x.index_add(0, m.tensor([0, 1]), m.ones(3, 3)),
    lambda m, x, i: x.index_add(0, m.tensor([0, 1]), m.ones(2, 2)),
    lambda m, x, i: x.index_add(0, m.tensor([0, 5]), m.ones(2, 3)),
    lambda m, x, i: x.index_add(0, m.tensor([0, 1]), m.ones(2, 3, dtype=m.float64)),
    lambda m, x, i: x.index_fill(0, m.tensor([0]), m.tensor([5.0])),
    lambda m, x, i: x.index_fill(0, m.tensor([7]), 5),
    lambda m, x, i: x.index_copy(0, m.tensor([0]), m.ones(2, 3)),
    lambda m, x, i: x.index_copy(0, m.tensor([0]), m.ones(1, 3, dtype=m.float64)),
    lambda m, x, i: x.index_copy(0, m.tensor([9]), m.ones(1, 3)),
    lambda m, x, i: x.take(m.tensor([0, 9])),
    lambda m, x, i: x.take(x),
    lambda m, x, i: m.take_along_dim(x, m.tensor([0, 1]), dim=1),
    lambda m, x, i: x.put_(m.tensor([0, 1]), m.tensor([9.0])),
    lambda m, x, i: x.put_(m.tensor([0, 1]), m.tensor([9, 8])),
    lambda m, x, i: x.index_put_((m.tensor([0]), None), m.tensor([1.0])),
    lambda m, x, i: x.index_put_((m.tensor([0]),), m.tensor([1.0], dtype=m.float64)),
    lambda m, x, i: x.masked_fill(x, 5),
    lambda m, x, i: x.masked_fill(i, 5),
    lambda m, x, i: x.masked_fill(x > 2, m.tensor([5.0])),
    lambda m, x, i: x.masked_fill(m.tensor([True, False]), 5),
    lambda m, x, i: x[0].masked_fill_(x > 2, 5),
    lambda m, x, i: i.masked_fill(i > 2, float("inf")),
    lambda m, x, i: x.masked_select(i),
    lambda m, x, i: x.masked_scatter(x > 99, m.ones(5, dtype=m.float64)),
]


@pytest.mark.parametrize("case", range(len(FUNCTION_ERRORS)))
def test_index_function_errors(case: int) -> None:
    compare_errors(FUNCTION_ERRORS[case], (2, 3), np.arange(6).reshape(2, 3))


# ---- masks ---------------------------------------------------------------------------------------

MASKS: list[tuple[Any, tuple[Any, ...]]] = [
    (
        lambda m, x, k: m.masked_fill(x, k, 5),
        ((2, 3), I([[True, False, True], [False, True, False]])),
    ),
    (lambda m, x, k: x.masked_fill(k, float("-inf")), ((2, 3), I([True, False, True]))),
    (lambda m, x, k: x.masked_fill(k, -2.5), ((2, 3, 4), I([[True], [False], [True]]))),
    (lambda m, x, k: x.masked_fill(k, 1), ((2, 3, 4), I([[[True]], [[False]]]))),
    (
        lambda m, x, k: x.masked_fill(k, 1),
        ((2, 2, 3, 3), np.triu(np.ones((3, 3), bool), 1)[None, None]),
    ),
    (lambda m, x, k: x.masked_fill(k, 1), ((3,), I([[True, False, True], [False, True, False]]))),
    (lambda m, x, k: x.masked_fill(k, 1), ((2, 3), I(True))),
    (lambda m, x, k: x.masked_fill(k, 1), ((), I(True))),
    (lambda m, x, k: x.masked_fill(k, 1), ((), I([True, False]))),
    (lambda m, x, k: x.masked_fill(k, 1), ((2, 0), I([[True], [False]]))),
    (lambda m, x, k, v: x.masked_fill(k, v), ((2, 3), I([True, False, True]), ())),
    (
        lambda m, x, k: (x * 1).masked_fill_(k, 5),
        ((2, 3), I([[True, False, True], [False, True, False]])),
    ),
    (lambda m, x, k: (x * 1).t().masked_fill_(k, 5), ((3, 2), I([True, False, True]))),
    (
        lambda m, x, k: m.masked_select(x, k),
        ((2, 3), I([[True, False, True], [False, True, False]])),
    ),
    (lambda m, x, k: x.masked_select(k), ((2, 3), I([True, False, True]))),
    (lambda m, x, k: x.masked_select(k), ((3,), I([[True], [False]]))),
    (lambda m, x, k: x.masked_select(k), ((), I(True))),
    (
        lambda m, x, k, v: m.masked_scatter(x, k, v),
        ((2, 3), I([[True, False, True], [False, True, False]]), (2, 2)),
    ),
    (lambda m, x, k, v: (x * 1).masked_scatter_(k, v), ((2, 3), I([True, False, True]), (6,))),
    (lambda m, x, k: m.tril(x) + m.triu(x, 1), ((3, 4), I(True))),
    (lambda m, x, k: x.tril(-1), ((2, 3, 3), I(True))),
    (lambda m, x, k: x.triu(2), ((4, 3), I(True))),
    (lambda m, x, k: (x * 1).tril_(), ((3, 3), I(True))),
    (lambda m, x, k: (x * 1).triu_(-1), ((3, 3), I(True))),
]


@pytest.mark.parametrize("case", range(len(MASKS)))
def test_masks(case: int) -> None:
    fn, inputs = MASKS[case]
    layouts = (
        ("contiguous", "transposed", "strided") if case not in (11, 22, 23) else ("contiguous",)
    )
    compare(fn, *inputs, layouts=layouts)
    compare(fn, *inputs, grad=False, layouts=layouts)
    sizes = [
        a if isinstance(a, np.ndarray) else np.arange(np.prod(a, dtype=int)).reshape(a)
        for a in inputs
    ]
    if case != 1:
        compare(fn, *sizes, dtypes=("float32",), resolutions=("tensor",))


def test_a_masked_infinity_gives_no_gradient() -> None:
    def fn(m: Any, x: Any) -> Any:
        y = x / 0
        return y.masked_fill(y == m.inf, 0), m.tril(y)

    compare(fn, np.array([[1.0, 2.0], [-1.0, 3.0]]), edges=False)


def test_large_masks() -> None:
    mask = np.random.default_rng(0).uniform(size=(100, 120)) < 0.5
    compare(
        lambda m, x, k: x.masked_fill(k, 3),
        (4, 100, 120),
        mask,
        layouts=("contiguous", "strided"),
        edges=False,
    )
    compare(
        lambda m, x, y, k: m.where(k, x, y),
        (4, 100, 120),
        (4, 1, 120),
        mask,
        layouts=("contiguous", "strided"),
        edges=False,
    )


# ---- any index, any sequence ---------------------------------------------------------------------


@st.composite
def indices(draw: Any, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """An index that fits: ints, slices, None, Ellipsis, lists (of one length), masks."""
    items: list[Any] = []
    d, length = 0, draw(st.integers(1, 3))
    while d < len(shape):
        kind = draw(
            st.sampled_from(["int", "slice", "slice", "none", "list", "mask", "stop", "ellipsis"])
        )
        size = shape[d]
        if kind == "stop" and not any(i is Ellipsis for i in items):
            break
        if kind == "ellipsis" and not any(i is Ellipsis for i in items):
            rest = draw(st.integers(0, len(shape) - d))
            items.append(Ellipsis)
            d += rest
            if d < len(shape):
                continue
            break
        if kind == "none":
            items.append(None)
            continue
        if kind == "int" and size:
            items.append(draw(st.integers(-size, size - 1)))
        elif kind == "list" and size:
            items.append(
                draw(st.lists(st.integers(-size, size - 1), min_size=length, max_size=length))
            )
        elif kind == "mask" and not any(isinstance(i, list) for i in items):
            items.append(
                np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size)), bool)
            )
        else:
            bound = st.none() | st.integers(-size - 1, size + 1)
            items.append(slice(draw(bound), draw(bound), draw(st.none() | st.integers(1, 3))))
        d += 1
    masks = sum(isinstance(i, np.ndarray) for i in items)
    if masks and (masks > 1 or any(isinstance(i, list) for i in items)):
        items = [slice(None) if isinstance(i, np.ndarray) else i for i in items]
    return tuple(items)


def _for(m: Any, index: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        [m.tensor(i.tolist(), dtype=m.bool) if isinstance(i, np.ndarray) else i for i in index]
    )


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_index(data: Any) -> None:
    shape = tuple(data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=4)))
    index = data.draw(indices(shape))
    layouts = ("contiguous", "transposed", "strided")
    try:
        torch.zeros(shape)[_for(torch, index)]
    except IndexError:
        with pytest.raises(IndexError):
            rnn.zeros(shape)[_for(rnn, index)]
        return
    compare(
        lambda m, x: x[_for(m, index)] * 2,
        shape,
        dtypes=("float64",),
        resolutions=("tensor",),
        layouts=layouts,
    )
    made = torch.zeros(shape)[_for(torch, index)].shape
    value = tuple([1 if data.draw(st.booleans()) else n for n in made])[
        data.draw(st.integers(0, len(made))) :
    ]

    def write(m: Any, x: Any, v: Any) -> Any:
        y = x * 1
        y[_for(m, index)] = v
        return y, y * y

    # where an index names an element twice, PyTorch's gradients are not defined
    unique = not any(isinstance(i, list) for i in index)
    compare(
        write,
        shape,
        value,
        dtypes=("float64",),
        resolutions=("tensor",),
        layouts=layouts[:1],
        grad=unique,
    )
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    ours, theirs = to_rnn(array), torch.from_numpy(array.copy())
    np.testing.assert_array_equal(
        to_numpy(ours[_for(rnn, index)]), theirs[_for(torch, index)].numpy()
    )
    ours[_for(rnn, index)] = 77
    theirs[_for(torch, index)] = 77
    np.testing.assert_array_equal(to_numpy(ours), theirs.numpy())


STEPS: list[Any] = [
    lambda m, x, v: x.__setitem__(0, v[0]),
    lambda m, x, v: x.__setitem__((slice(None), 1), v[:, 0]),
    lambda m, x, v: x.__setitem__((slice(1, None), slice(0, 2)), 3),
    lambda m, x, v: x.__setitem__([2, 0], v[:2] * 2),
    lambda m, x, v: x.__setitem__(m.arange(9).reshape(3, 3) % 2 == 0, 0.5),
    lambda m, x, v: x[1].add_(v[2]),
    lambda m, x, v: x.t()[0].mul_(2),
    lambda m, x, v: x.mul_(v),
    lambda m, x, v: x.add_(1),
    lambda m, x, v: x.diagonal().copy_(v[0]),
    lambda m, x, v: x.masked_fill_(m.tensor([True, False, True]), -1),
    lambda m, x, v: x.index_add_(0, m.tensor([1, 1]), v[:2]),
    lambda m, x, v: x.scatter_(1, m.tensor([[1], [0], [2]]), v[:, :1]),
    lambda m, x, v: x.view(-1)[2:7].zero_(),
    lambda m, x, v: x[:2].copy_(x[1:].clone()),
    lambda m, x, v: x.tril_(),
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, len(STEPS) - 1), max_size=6), st.booleans())
def test_sequences_of_writes(steps: list[int], grad: bool) -> None:
    def fn(m: Any, x: Any, v: Any) -> Any:
        y = x + 0
        row, column = y[0], y[:, 2]
        seen = []
        for step in steps:
            STEPS[step](m, y, v)
            seen.append(y + 1)
        return y, row, column * 2, *seen

    compare(
        fn,
        (3, 3),
        (3, 3),
        dtypes=("float64",),
        resolutions=("tensor",),
        layouts=("contiguous",),
        grad=grad,
    )


def test_integers_are_written_under_the_same_rules() -> None:
    for index in (..., 0, (0, 1), slice(1, None), None):
        for value in (np.ones(4), np.ones((3, 4)), np.zeros(0), np.arange(4)):
            compare_errors(
                lambda x, v, i=index: x.__setitem__(i, v), np.zeros((2, 3), np.int64), value
            )
    compare(
        lambda x, v: (x.__setitem__(0, v), x)[1], np.zeros((2, 3), np.int64), np.ones((1, 1, 3))
    )


# ---- as many that threads share them -------------------------------------------------------------

ALONG: dict[str, Any] = {
    "gather": lambda m, x, y, d, each, one: x.gather(d, each),
    "scatter": lambda m, x, y, d, each, one: x.scatter(d, each, y),
    "scatter, once each": lambda m, x, y, d, each, one: x.scatter(
        d, each.argsort(dim=d, stable=True), y
    ),
    "scatter a number": lambda m, x, y, d, each, one: x.scatter(d, each, 2.5),
    "scatter_add": lambda m, x, y, d, each, one: x.scatter_add(d, each, y),
    "index_select": lambda m, x, y, d, each, one: x.index_select(d, one),
    "index_add": lambda m, x, y, d, each, one: x.index_add(d, one, y, alpha=2),
    "index_fill": lambda m, x, y, d, each, one: x.index_fill(d, one, 3.0),
    "of a view": lambda m, x, y, d, each, one: (x.mT * 1).mT.scatter_add(d, each, y.mT.mT),
}


def _run_along(m: Any, name: str, given: list[Any], d: int, grad: bool) -> list[Any]:
    x, y = (m.tensor(a, requires_grad=grad) for a in given[:2])
    z = ALONG[name](m, x, y, d, *[m.tensor(a) for a in given[2:]])
    if grad:
        (z * z).sum().backward()
    return [to_numpy(t) for t in (z.detach(), x.grad, y.grad) if t is not None]


@pytest.mark.parametrize("shape, d", [((300, 250), 0), ((300, 250), 1), ((6, 40, 300), 1)])
@pytest.mark.parametrize("name", ALONG)
def test_places_along_a_dimension_on_threads(name: str, shape: tuple[int, ...], d: int) -> None:
    """PyTorch's values and gradients, and the same bits whatever the number of threads."""
    rng = np.random.default_rng(0)
    given: list[Any] = [rng.standard_normal(shape).astype(np.float32) for _ in "xy"]
    given += [rng.integers(0, shape[d], shape), rng.integers(0, shape[d], shape[d])]
    threads, made = rnn.get_num_threads(), []
    try:
        for n in (1, 2, 3):
            rnn.set_num_threads(n)
            made.append(_run_along(rnn, name, given, d, True))
            made.append(_run_along(rnn, name, given, d, False))
    finally:
        rnn.set_num_threads(threads)
    for other in made:
        for a, b in zip(made[0], other):
            np.testing.assert_array_equal(a, b)
    if name != "scatter":  # of several for one place PyTorch's last is not defined
        for a, b in zip(made[0], _run_along(torch, name, given, d, True), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)

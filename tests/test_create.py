"""Making tensors: from sizes, rules, data, NumPy's memory and Values, as PyTorch does."""

from __future__ import annotations

import gc
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers import compare, compare_errors
from hypothesis import given, settings
from hypothesis import strategies as st

import rnn
from rnn import _c
from rnn.ops import create

Case = Callable[[Any], Any]


def exact(fn: Case) -> None:
    """The same values to the last bit, dtype, shape and requires_grad."""
    compare(fn, rtol=0, atol=0, layouts=("contiguous",), dtypes=("float32",), edges=False)


def cases(*functions: Case) -> Any:
    return pytest.mark.parametrize("fn", functions, ids=map(str, range(len(functions))))


# ---- filled --------------------------------------------------------------------------------------


@cases(
    lambda m: m.zeros(2, 3),
    lambda m: m.zeros((2, 3)),
    lambda m: m.zeros([2, 3]),
    lambda m: m.zeros(size=(2, 3)),
    lambda m: m.zeros(m.Size([2, 3])),
    lambda m: m.zeros(()),
    lambda m: m.zeros(0),
    lambda m: m.zeros(2, 0, 3),
    lambda m: m.zeros(np.int64(3), 2),
    lambda m: m.zeros(m.tensor(3)),
    lambda m: m.zeros(2, dtype=m.int64),
    lambda m: m.zeros(2, dtype=m.bool),
    lambda m: m.zeros(2, dtype=float),
    lambda m: m.zeros(2, dtype=int),
    lambda m: m.zeros(2, requires_grad=True),
    lambda m: m.zeros(2, device="cpu", layout=m.strided, pin_memory=False),
    lambda m: m.zeros(2, device=m.device("cpu")),
    lambda m: m.ones(3, dtype=m.float64),
    lambda m: m.ones(2, 2, dtype=m.uint8),
    lambda m: m.full((2,), 3),
    lambda m: m.full((2,), True),
    lambda m: m.full((2,), 2.5),
    lambda m: m.full((), 1),
    lambda m: m.full((2,), 3.7, dtype=m.int64),
    lambda m: m.full((2,), 3, dtype=m.float64),
    lambda m: m.full(size=(2,), fill_value=1),
    lambda m: m.full((2,), m.tensor(3.5)),
    lambda m: m.full((2,), np.float64(2)),
    lambda m: m.full((2,), math.nan),
    lambda m: m.full((2,), -0.0),
    lambda m: m.full([2, 2], 7, dtype=m.float32, requires_grad=True),
    lambda m: m.eye(3),
    lambda m: m.eye(3, 2),
    lambda m: m.eye(2, 4, dtype=m.bool),
    lambda m: m.eye(0),
    lambda m: m.eye(3, dtype=m.int32),
    lambda m: m.scalar_tensor(3),
    lambda m: m.empty(2, 3).shape,
    lambda m: m.empty((2, 0), dtype=m.int16),
    lambda m: m.empty(0, memory_format=m.contiguous_format),
    lambda m: m.zeros(3).new_zeros(2, 2),
    lambda m: m.zeros(3, dtype=m.int8).new_ones((2, 2)),
    lambda m: m.zeros(3).new_full((2,), 2),
    lambda m: m.zeros(3).new_full((2,), 2, dtype=m.int64),
    lambda m: m.zeros(3).new_empty(2, 0, requires_grad=True),
    lambda m: m.zeros(3).new_tensor([1, 2]),
    lambda m: m.zeros(3, dtype=m.int64).new_tensor([1.5, 2]),
    lambda m: m.zeros(3).new([1, 2]),
    lambda m: m.zeros_like(m.tensor([1, 2])),
    lambda m: m.ones_like(m.tensor([1.0, 2])),
    lambda m: m.ones_like(m.tensor([1, 2]), dtype=m.float64, requires_grad=True),
    lambda m: m.full_like(m.tensor([1, 2]), 2.5),
    lambda m: m.full_like(m.tensor([1.0, 2]), 2.5),
    lambda m: m.empty_like(m.zeros(2, 0)),
    lambda m: m.zeros_like(m.zeros(2, 3, requires_grad=True)),
)
def test_filled(fn: Case) -> None:
    exact(fn)


@cases(
    lambda m: m.zeros(2.5),
    lambda m: m.zeros("a"),
    lambda m: m.zeros(True),
    lambda m: m.zeros(None),
    lambda m: m.zeros(),
    lambda m: m.ones(-1),
    lambda m: m.rand(2, -3),
    lambda m: m.empty(-1, dtype=m.int64),
    lambda m: m.zeros(2, dtype=m.int64, requires_grad=True),
    lambda m: m.full(2, 3),
    lambda m: m.full((2,), "a"),
    lambda m: m.full((2,), 300, dtype=m.uint8),
    lambda m: m.full_like(m.tensor([1]), 2**63),
    lambda m: m.full((2,), 1e39),
    lambda m: m.eye(-1),
    lambda m: m.eye(2, -1),
    lambda m: m.eye(2.0),
    lambda m: m.zeros(2, device="foo"),
)
def test_filled_wrongly(fn: Case) -> None:
    compare_errors(fn)


@pytest.mark.parametrize("dtype", (rnn.float32, rnn.float64, rnn.int64, rnn.bool))
def test_sizes_that_no_tensor_has(dtype: Any) -> None:
    for make in (rnn.zeros, rnn.ones, rnn.empty):
        for shape in ((2**63,), (2**31, 2**31, 2**31), (2**62, 4), (1 << 70, 0)):
            with pytest.raises(ValueError, match=r"shape|size"):
                make(shape, dtype=dtype)
        with pytest.raises(MemoryError):
            make(2**46, dtype=dtype)
    with pytest.raises(ValueError):
        rnn.rand(2**31, 2**31, 2**31)
    assert rnn.zeros(2**31, 0, dtype=dtype).numel() == 0


def test_devices_and_dtypes_that_are_names_only() -> None:
    with pytest.raises(RuntimeError, match="CPU only"):
        rnn.zeros(2, device="cuda")
    with pytest.raises(RuntimeError, match="CPU only"):
        rnn.tensor([1.0], device=rnn.device("mps"))
    for dtype in (rnn.float16, rnn.bfloat16):
        for make in (lambda d: rnn.zeros(2, dtype=d), lambda d: rnn.tensor([1], dtype=d)):
            with pytest.raises(NotImplementedError, match="only a name"):
                make(dtype)
    with pytest.raises(NotImplementedError):
        rnn.from_numpy(np.zeros(2, np.float16))


def test_default_dtype() -> None:
    try:
        for module in (rnn, torch):
            module.set_default_dtype(module.float64)
        for fn in (
            lambda m: m.zeros(2),
            lambda m: m.tensor([1.5, 2]),
            lambda m: m.tensor(1.5),
            lambda m: m.arange(0, 1, 0.25),
            lambda m: m.full((1,), 2.0),
            lambda m: m.linspace(0, 1, 3),
            lambda m: m.Tensor([1, 2]),
        ):
            exact(fn)
    finally:
        for module in (rnn, torch):
            module.set_default_dtype(module.float32)


def strides(t: Any) -> list[int]:
    """The strides that matter."""
    steps = t.stride() if isinstance(t, torch.Tensor) else create.element_strides(t)
    return [step for n, step in zip(t.shape, steps) if n != 1]


def layouts(dtype: str) -> list[np.ndarray]:
    """Arrays in many orders, with and without holes."""
    base = np.zeros((4, 5, 6), dtype)
    return [
        base,
        base.transpose(2, 0, 1),
        base.transpose(1, 0, 2),
        base[:, ::2],
        base.transpose(2, 1, 0)[::2, :, 1:],
        base[:1].transpose(1, 0, 2),
        base[0].T,
        base[:, 1:2, :],
        np.broadcast_to(base[:, :1], (4, 5, 6)),
        base[1, 2, 3],
        base[:0].T,
    ]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", ("float32", "float64", "int64", "bool"))
def test_like_keeps_the_order_of_memory(dtype: str) -> None:
    for array in layouts(dtype):
        array = np.asarray(array)
        theirs, ours = torch.from_numpy(array), rnn.from_numpy(array)
        if not array.size:
            continue
        for name in ("empty_like", "zeros_like", "ones_like"):
            like = getattr(rnn, name)(ours)
            assert strides(like) == strides(getattr(torch, name)(theirs)), (array.strides, name)
            plain = getattr(rnn, name)(ours, memory_format=rnn.contiguous_format)
            assert strides(plain) == strides(torch.zeros(array.shape))
        assert (rnn.ones_like(ours).numpy() == 1).all()
        like = rnn.full_like(ours, 3)
        np.testing.assert_array_equal(like.numpy(), torch.full_like(theirs, 3).numpy())
    leaf = rnn.ones_like(rnn.from_numpy(np.zeros((3, 4), "f4").T), requires_grad=True)
    assert leaf.is_leaf and leaf.requires_grad


def test_empty_strided() -> None:
    for dtype in ("float32", "int64"):
        t = rnn.empty_strided((2, 3), (1, 2), dtype=getattr(rnn, dtype))
        assert strides(t) == [1, 2] and t.shape == (2, 3)
        t.numpy()[...] = 7
        assert t.tolist() == [[7] * 3] * 2
    with pytest.raises(ValueError):
        rnn.empty_strided((2, 2**62), (1, 2**62))


# ---- ranges --------------------------------------------------------------------------------------


@cases(
    lambda m: m.arange(5),
    lambda m: m.arange(5.0),
    lambda m: m.arange(1, 4),
    lambda m: m.arange(1, 10, 3),
    lambda m: m.arange(5, 0, -2),
    lambda m: m.arange(-7.0, 50_000.0, 1.0),
    lambda m: m.arange(0.25, 9_000.0, 0.3),
    lambda m: m.arange(2.0**24 - 9, 2.0**24 + 20_000, 1.0),
    lambda m: m.arange(0, 1, 0.1),
    lambda m: m.arange(start=1, end=4),
    lambda m: m.arange(1, end=4),
    lambda m: m.arange(end=4),
    lambda m: m.arange(4, dtype=m.float64),
    lambda m: m.arange(4, dtype=float),
    lambda m: m.arange(0, 300, 100, dtype=m.uint8),
    lambda m: m.arange(1.5, 8, 2, dtype=m.int64),
    lambda m: m.arange(1.5, 8, 2.5, dtype=m.int32),
    lambda m: m.arange(np.int64(3)),
    lambda m: m.arange(m.tensor(3)),
    lambda m: m.arange(m.tensor(3.0)),
    lambda m: m.arange(True),
    lambda m: m.arange(3.0, requires_grad=True),
    lambda m: m.arange(0, 2**62, 2**60),
    lambda m: m.arange(0),
    lambda m: m.arange(3, 3),
    lambda m: m.arange(-1.5, 1.5, 0.5),
    lambda m: m.linspace(0, 1, 5),
    lambda m: m.linspace(0, 10, steps=11),
    lambda m: m.linspace(3, 7, 1),
    lambda m: m.linspace(3, 7, 0),
    lambda m: m.linspace(0, 1, 2),
    lambda m: m.linspace(-3.7, 9.9, 11, dtype=m.int64),
    lambda m: m.linspace(0, 5, steps=3, dtype=m.uint8),
    lambda m: m.linspace(m.tensor(0), m.tensor(1.0), 3),
    lambda m: m.linspace(0, 1, 7, dtype=m.float64, requires_grad=True),
    lambda m: m.linspace(1, -1, 101),
)
def test_ranges(fn: Case) -> None:
    exact(fn)


@cases(
    lambda m: m.arange(5, 0),
    lambda m: m.arange(0, 5, -1),
    lambda m: m.arange(0, 1, 0),
    lambda m: m.arange(0, math.nan),
    lambda m: m.arange(0, math.inf),
    lambda m: m.arange("a"),
    lambda m: m.arange(None),
    lambda m: m.arange(2, dtype=m.bool),
    lambda m: m.arange(1, 2.5, 0.5, dtype=m.int64),
    lambda m: m.arange(3, requires_grad=True),
    lambda m: m.linspace(0, 1, -1),
    lambda m: m.linspace(0, 1, 3, dtype=m.bool),
    lambda m: m.linspace(m.tensor([0, 1.0]), 1, 3),
)
def test_ranges_wrongly(fn: Case) -> None:
    compare_errors(fn)


def test_ranges_with_other_words() -> None:
    for fn in (
        lambda m: m.arange(),
        lambda m: m.arange(0, 5, None),
        lambda m: m.arange(1, 2, 3, 4),
        lambda m: m.linspace(0, 1),
        lambda m: m.linspace(0, 1, 3.0),
    ):
        compare_errors(fn, text=False)


@cases(
    lambda m: m.logspace(0, 3, 4),
    lambda m: m.logspace(-2, 2, 9, dtype=m.float64),
    lambda m: m.logspace(0.1, 1, 5, base=2),
    lambda m: m.logspace(0, 3, 4, dtype=m.int64),
)
def test_logspace(fn: Case) -> None:
    compare(fn, layouts=("contiguous",), dtypes=("float32",), edges=False)


numbers = st.floats(-1e6, 1e6, allow_nan=False) | st.integers(-1000, 1000)


@settings(max_examples=300, deadline=None)
@given(
    start=numbers,
    step=st.floats(1e-3, 1e3) | st.integers(1, 50),
    count=st.integers(0, 300),
    down=st.booleans(),
    dtype=st.sampled_from((None, "float32", "float64", "int64", "int16")),
)
def test_arange_is_torchs(start: Any, step: Any, count: int, down: bool, dtype: str | None) -> None:
    step = -step if down else step
    end = start + step * count - step / 2 if count else start
    if dtype and dtype[0] == "i" and (int(step) == 0 or not -3e4 < min(start, end) < 3e4):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = [{} if dtype is None else {"dtype": getattr(m, dtype)} for m in (rnn, torch)]
        theirs = torch.arange(start, end, step, **options[1]).numpy()
        ours = rnn.arange(start, end, step, **options[0]).numpy()
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


@settings(max_examples=300, deadline=None)
@given(
    start=numbers,
    end=numbers,
    steps=st.integers(0, 300),
    dtype=st.sampled_from(("float32", "float64", "int64", "int32")),
)
def test_linspace_is_torchs(start: Any, end: Any, steps: int, dtype: str) -> None:
    theirs = torch.linspace(start, end, steps, dtype=getattr(torch, dtype)).numpy()
    ours = rnn.linspace(start, end, steps, dtype=getattr(rnn, dtype)).numpy()
    np.testing.assert_array_equal(ours, theirs)


# ---- data ----------------------------------------------------------------------------------------

DATA: list[Any] = [
    3,
    2.5,
    True,
    -0.0,
    math.nan,
    1e400,
    [],
    [[]],
    (),
    [1, 2, 3],
    [1.5, 2],
    [True, False],
    [True, 2],
    [True, 2.5],
    [[1, 2], [3, 4]],
    ([1, 2], (3, 4.5)),
    [[[1.0]]],
    range(4),
    [range(2), range(2)],
    2**62,
    [16777217, 0.5],
    np.float64(3),
    np.float32(3),
    np.int32(7),
    np.bool_(True),
    np.array(3.5),
    np.array([1, 2], np.int8),
    np.arange(6.0).reshape(2, 3),
    np.arange(6.0, dtype=np.float32).reshape(2, 3).T,
    np.arange(6).reshape(2, 3)[:, ::2],
    [np.float64(1)],
    [np.float32(1), 2.0],
    [np.float64(1), 2],
    [np.array([1, 2]), np.array([3, 4])],
    [np.array([1.0, 2]), [3, 4]],
    [np.array(1), np.array(2)],
]

WRONG: list[Any] = [
    None,
    "a",
    b"ab",
    {1: 2},
    {1, 2},
    [1, "a"],
    [[1, 2], [3]],
    [1, [2]],
    [[1], 2],
    [None],
    2**63,
    [2**64],
    object(),
    np.arange(3)[::-1],
    np.array([1, 2], ">i4"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("data", DATA, ids=lambda d: str(d)[:20])
@pytest.mark.parametrize("dtype", (None, "float32", "float64", "int64", "bool"))
def test_tensor(data: Any, dtype: str | None) -> None:
    try:
        torch.tensor(data, dtype=dtype and getattr(torch, dtype))
    except (TypeError, RuntimeError):  # NumPy's scalars and 0-d arrays: more works here
        return
    exact(lambda m: m.tensor(data, dtype=dtype and getattr(m, dtype)))
    exact(lambda m: m.as_tensor(data, dtype=dtype and getattr(m, dtype)))


@pytest.mark.parametrize("data", WRONG, ids=lambda d: str(d)[:20])
def test_tensor_of_no_numbers(data: Any) -> None:
    compare_errors(lambda m: m.tensor(data))


@pytest.mark.filterwarnings("ignore:To copy construct")
@cases(
    lambda m: m.tensor([1.0, 2], requires_grad=True),
    lambda m: m.tensor([1.5, -2.5], dtype=m.int64),
    lambda m: m.tensor([-1], dtype=m.uint8),
    lambda m: m.tensor([0.5, 0], dtype=m.bool),
    lambda m: m.tensor([1e39]),
    lambda m: m.tensor(data=[1]),
    lambda m: m.tensor(m.tensor([1.0, 2])),
    lambda m: m.tensor(m.tensor([1.0, 2], requires_grad=True)),
    lambda m: m.tensor(m.tensor([1, 2]), dtype=m.float64),
    lambda m: m.tensor([m.tensor(1.5), 2]),
    lambda m: m.tensor([m.tensor([1.5]), 2]),
    lambda m: m.tensor([[m.tensor(1), 2], [3, 4]]),
    lambda m: m.tensor([m.tensor(1.5, requires_grad=True), 2]),
    lambda m: m.asarray([1, 2.5]),
    lambda m: m.asarray(np.arange(3)),
    lambda m: m.asarray(np.arange(3), dtype=m.float32),
    lambda m: m.asarray(b"abcd", dtype=m.uint8),
    lambda m: m.asarray(m.tensor([1.0]), requires_grad=True),
)
def test_tensor_of_tensors_and_options(fn: Case) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exact(fn)


@cases(
    lambda m: m.tensor([1], requires_grad=True),
    lambda m: m.tensor([300], dtype=m.uint8),
    lambda m: m.tensor(math.nan, dtype=m.int64),
    lambda m: m.tensor([m.tensor([1.5, 2]), 2]),
    lambda m: m.from_numpy([1]),
    lambda m: m.from_numpy(np.float32(3)),
    lambda m: m.from_numpy(np.arange(3.0)[::-1]),
    lambda m: m.from_numpy(np.zeros(3, dtype=[("a", "f4"), ("b", "i1")])["a"]),
    lambda m: m.from_numpy(np.array([1.0], ">f4")),
    lambda m: m.frombuffer(bytearray(7), dtype=m.int16),
    lambda m: m.frombuffer(bytearray(8), dtype=m.int16, count=9),
    lambda m: m.frombuffer(bytearray(8), dtype=m.int16, offset=9),
    lambda m: m.frombuffer(bytearray(0), dtype=m.int16),
    lambda m: m.frombuffer(bytearray(8), dtype=m.int16, count=0),
    lambda m: m.frombuffer([1], dtype=m.int16),
    lambda m: m.Tensor(2.5),
    lambda m: m.Tensor("a"),
)
def test_data_wrongly(fn: Case) -> None:
    compare_errors(fn)


def test_tensor_copies() -> None:
    for dtype in ("f4", "f8", "i8", "?"):
        array = np.zeros(3, dtype)
        t = rnn.tensor(array)
        array[0] = 1
        assert t.tolist() == [0, 0, 0]
        other = rnn.tensor([0, 0])
        with pytest.warns(UserWarning, match="copy construct"):
            copy = rnn.tensor(other)
        other.numpy()[0] = 5
        assert copy.tolist() == [0, 0]


scalars = st.integers(-1000, 1000) | st.floats(width=32) | st.booleans()
nested = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=12)


@settings(max_examples=300, deadline=None)
@given(nested)
def test_tensor_of_any_nesting(data: Any) -> None:
    try:
        theirs = torch.tensor(data)
    except (ValueError, TypeError, RuntimeError) as error:
        with pytest.raises(type(error)):
            rnn.tensor(data)
        return
    ours = rnn.tensor(data)
    assert ours.dtype.name == str(theirs.dtype).removeprefix("torch.")
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


# ---- the old constructors ------------------------------------------------------------------------


@cases(
    lambda m: m.Tensor(),
    lambda m: m.Tensor(2, 0),
    lambda m: m.Tensor(m.Size([0, 2])),
    lambda m: m.Tensor((2, 3)),
    lambda m: m.Tensor([[1, 2], [3, 4]]),
    lambda m: m.Tensor(3).shape,
    lambda m: m.Tensor(2, 3).shape,
    lambda m: m.Tensor(np.array([1, 2])),
    lambda m: m.Tensor(range(3)),
    lambda m: m.Tensor(m.tensor([1.0, 2])),
    lambda m: m.LongTensor([1, 2.7]),
    lambda m: m.LongTensor([[True]]),
    lambda m: m.LongTensor(np.array([1, 2], np.int32)),
    lambda m: m.LongTensor(2, 0),
    lambda m: m.FloatTensor([1, 2]),
    lambda m: m.FloatTensor([[1, 2]]),
    lambda m: m.BoolTensor([1, 0]),
    lambda m: m.ByteTensor([1, 2]),
    lambda m: m.DoubleTensor([[1]]),
    lambda m: m.IntTensor([1]),
    lambda m: m.ShortTensor([1]),
    lambda m: m.CharTensor([1]),
)
def test_legacy(fn: Case) -> None:
    exact(fn)


def test_legacy_types() -> None:
    assert isinstance(rnn.zeros(2), rnn.FloatTensor)
    assert not isinstance(rnn.zeros(2), rnn.LongTensor)
    assert not isinstance(3, rnn.FloatTensor)
    assert repr(rnn.FloatTensor) == "<class 'rnn.FloatTensor'>"
    assert rnn.LongTensor.dtype is rnn.int64

    class Mine(rnn.Tensor):
        pass

    t = Mine([1, 2])
    assert type(t) is Mine and t.tolist() == [1, 2]


# ---- Values --------------------------------------------------------------------------------------


def test_a_tensor_of_values_is_of_their_nodes() -> None:
    a, b = rnn.Value(2.0), rnn.Value(-3.0)
    t = rnn.tensor([[a, b], [a * b, 1.5]])
    assert t.dtype is rnn.float64 and t.requires_grad
    assert t.tolist() == [[2, -3], [-6, 1.5]]
    assert [c.id for c in t.value(0, 0).children] == [a.id]
    t.backward(rnn.tensor([[1.0, 10], [100, 1000]], dtype=rnn.float64))
    assert (a.grad, b.grad) == (1 - 3 * 100, 10 + 2 * 100)


def test_a_tensor_of_one_value_is_that_node() -> None:
    a = rnn.Value(2.0)
    t = rnn.tensor(a)
    assert t.shape == () and t.value().id == a.id
    a.data = 5.0
    assert t.item() == 5
    t.backward()
    assert a.grad == 1


def test_values_in_other_dtypes() -> None:
    a, b = rnn.Value(2.0, dtype=rnn.float32), rnn.Value(3.0, requires_grad=False)
    assert rnn.tensor([a]).dtype is rnn.float32
    assert rnn.tensor([a, b]).dtype is rnn.float64
    t = rnn.tensor([b, a], dtype=rnn.float32)
    assert t.dtype is rnn.float32 and t.tolist() == [3, 2]
    t.backward(rnn.tensor([1.0, 7]))
    assert a.grad == 7
    assert not rnn.tensor([b]).requires_grad
    assert rnn.tensor([b], requires_grad=True).requires_grad
    assert rnn.tensor([a, b], dtype=rnn.int64).tolist() == [2, 3]
    with rnn.no_grad():
        assert not rnn.tensor([a]).requires_grad


def test_many_values() -> None:
    values = [[rnn.Value(i * 10.0 + j) for j in range(5)] for i in range(4)]
    t = rnn.tensor(values)
    assert t.tolist() == [[i * 10 + j for j in range(5)] for i in range(4)]
    t.backward(rnn.tensor(t.numpy(force=True) + 1))
    assert [[v.grad for v in row] for row in values] == (t.numpy(force=True) + 1).tolist()


# ---- memory that is shared -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ("float32", "float64", "int64", "uint8", "bool"))
def test_from_numpy_shares_both_ways(dtype: str) -> None:
    for source in layouts(dtype):
        array = np.array(np.asarray(source))  # writable
        t = rnn.from_numpy(array)
        assert t.dtype is getattr(rnn, dtype) and t.shape == array.shape
        array[...] = 1
        assert (t.numpy() == 1).all()
        t.numpy()[...] = 0
        assert (array == 0).all()
        if array.size:
            assert np.shares_memory(t.numpy(), array)


def test_lifetimes() -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    view = array[::2, 1:]
    t = rnn.from_numpy(view)
    expected = view.tolist()
    del array, view
    gc.collect()
    assert t.tolist() == expected
    back = t.numpy()
    del t
    gc.collect()
    assert back.tolist() == expected


class Tracked(np.ndarray):
    """An array that can be seen to go."""

    gone = 0

    def __array_finalize__(self, other: Any) -> None:
        self.counts = other is None or isinstance(other, np.ndarray)

    def __del__(self) -> None:
        Tracked.gone += 1


def test_no_leak() -> None:
    for dtype in (np.float32, np.float64):
        before = rnn.memory_stats()
        for _ in range(100):
            rnn.from_numpy(np.zeros(1000, dtype)).numpy()
            rnn.tensor(np.zeros(1000, dtype)).numpy()
            rnn.tensor([[1.0, 2], [3, 4]], requires_grad=True)
            rnn.tensor([rnn.Value(1.0), rnn.Value(2.0)])
            rnn.Tensor([1, 2])
        gc.collect()
        after = rnn.memory_stats()
        assert (after["live"], after["spans"]) == (before["live"], before["spans"])
    Tracked.gone = 0
    for _ in range(10):
        array = np.zeros(3, np.float32).view(Tracked)
        t = rnn.from_numpy(array)
        del array
        assert Tracked.gone == _
        del t
    gc.collect()
    rnn.zeros(1)
    assert Tracked.gone == 10


def test_gradients_reach_shared_memory() -> None:
    array = np.array([[1.0, 2], [3, 4]], np.float32)
    t = rnn.from_numpy(array[:, 1]).requires_grad_()
    assert t.is_leaf
    (t * t).backward(rnn.tensor([1.0, 1.0]))
    assert t.grad.tolist() == [4, 8]


def test_buffers() -> None:
    buffer = bytearray(np.arange(4, dtype=np.float32).tobytes())
    t = rnn.frombuffer(buffer, dtype=rnn.float32)
    assert t.tolist() == [0, 1, 2, 3]
    t.numpy()[0] = 9
    assert np.frombuffer(buffer, np.float32)[0] == 9
    assert rnn.frombuffer(buffer, dtype=rnn.float32, count=2, offset=4).tolist() == [1, 2]
    assert rnn.frombuffer(buffer, dtype=rnn.float32, requires_grad=True).requires_grad


def test_dlpack() -> None:
    for dtype in ("float32", "float64", "int64"):
        array = np.zeros((2, 3), dtype)
        t = rnn.from_dlpack(array)
        array[0, 0] = 5
        assert t.tolist()[0][0] == 5
        theirs = torch.from_dlpack(t)
        theirs[1, 1] = 7
        assert array[1, 1] == 7
        ours = rnn.from_dlpack(torch.ones(2, dtype=getattr(torch, dtype)))
        assert ours.tolist() == [1, 1]
        assert t.__dlpack_device__() == (1, 0)
    with pytest.raises(BufferError, match="require gradient"):
        np.from_dlpack(rnn.zeros(2, requires_grad=True))


def test_as_tensor_and_asarray_share() -> None:
    array = np.zeros(3, np.float32)
    for t in (rnn.as_tensor(array), rnn.asarray(array)):
        array[0] += 1
        assert t.tolist()[0] == array[0]
    assert rnn.asarray(array, copy=True).data_ptr() != array.ctypes.data
    t = rnn.zeros(2)
    assert rnn.as_tensor(t) is t
    with pytest.raises(ValueError, match="alias"):
        rnn.asarray(array, dtype=rnn.float64, copy=False)
    with pytest.raises(ValueError, match="alias"):
        rnn.asarray([1.0], copy=False)


def test_arrays_that_cannot_be_written() -> None:
    array = np.zeros(3, np.float32)
    array.flags.writeable = False
    with pytest.warns(UserWarning, match="not writable"):
        assert rnn.from_numpy(array).tolist() == [0, 0, 0]


# ---- failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    (
        lambda: rnn.tensor([[1.0, 2], [3, 4]]),
        lambda: rnn.tensor(1.5, requires_grad=True),
        lambda: rnn.tensor([rnn.Value(1.0), 2.0]),
        lambda: rnn.from_numpy(np.zeros((3, 4), np.float32)[:, ::2]),
        lambda: rnn.zeros(3).double(),
        lambda: rnn.arange(3.0),
        lambda: rnn.linspace(0, 1, 3),
        lambda: rnn.empty_strided((2, 3), (1, 2)),
        lambda: rnn.zeros_like(rnn.from_numpy(np.zeros((3, 4), np.float32).T)),
        lambda: rnn.randn(20),
        lambda: rnn.from_numpy(np.zeros((3, 4), np.float32).T).normal_(),
        lambda: rnn.multinomial(rnn.ones(5), 2),
        lambda: rnn.Generator(),
        lambda: rnn.zeros(2).requires_grad_().data,
    ),
)
def test_every_failed_allocation_leaves_the_engine_whole(make: Callable[[], Any]) -> None:
    make()
    gc.collect()
    before = rnn.memory_stats()
    for n in range(1, 100):
        _c.lib.rnn_fail_after(_c.E, n)
        try:
            make()
        except MemoryError:
            failed = True
        else:
            failed = False
        finally:
            _c.lib.rnn_fail_after(_c.E, 0)
        gc.collect()
        after = rnn.memory_stats()
        assert (after["live"], after["spans"]) == (before["live"], before["spans"]), n
        if not failed:
            assert n > 1
            return
    raise AssertionError("it never succeeded")


# ---- hostile arguments ---------------------------------------------------------------------------


def test_a_list_that_holds_itself() -> None:
    one: list[object] = []
    one.append(one)
    two: list[object] = []
    two += [two, two]
    three: list[object] = [[1.0]]
    three += [three, three]
    for held in (one, two, three):
        for make in (rnn.tensor, rnn.zeros(1).new_tensor):
            with pytest.raises((ValueError, TypeError)):
                make(held)


@pytest.mark.parametrize("n", [2**40, 2**60, 2**61, 2**62, 2**63 - 1])
def test_arange_of_more_than_fits(n: int) -> None:
    with pytest.raises(MemoryError, match="arange"):
        rnn.arange(n)


def test_a_size_beyond_64_bits() -> None:
    x = rnn.zeros(4)
    for fn in (x.view, x.reshape, x.expand, rnn.zeros, rnn.ones, rnn.rand):
        with pytest.raises(ValueError, match="does not fit 64 bits"):
            fn(2**63)

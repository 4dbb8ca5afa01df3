"""Tensors to other dtypes, to Python, NumPy, bytes; data, copies, pickles, formats."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers import compare, compare_errors

import rnn

Case = Callable[..., Any]
DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float32", "float64")
VALUES = [0.0, 1.0, -1.0, 2.7, -2.7, 127.0, 130.0, -129.0, 40000.0, 1e9]


def exact(fn: Case, *inputs: Any) -> None:
    compare(fn, *inputs, rtol=0, atol=0, layouts=("contiguous", "transposed"), edges=False)


def cases(*functions: Case) -> Any:
    return pytest.mark.parametrize("fn", functions, ids=map(str, range(len(functions))))


# ---- dtypes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("source, target", list(itertools.product(DTYPES, DTYPES)))
def test_every_dtype_to_every_other(source: str, target: str) -> None:
    narrow = source in ("uint8", "int8")
    values = [v for v in VALUES if not narrow or 0 <= v < 128]
    theirs = torch.tensor(values, dtype=torch.float64).to(torch.int64 if source[0] != "f" else None)
    theirs = theirs.to(getattr(torch, source))
    if target != "int64" and source[0] == "f":  # C leaves wide floats to small integers open
        theirs = theirs[theirs.abs() < 2**31]
    ours = rnn.tensor(theirs.numpy())
    expected = theirs.to(getattr(torch, target)).numpy()
    short = {"float32": "float", "float64": "double", "int64": "long", "int32": "int"}
    short |= {"int16": "short", "int8": "char", "uint8": "byte", "bool": "bool"}
    other = rnn.zeros(1, dtype=getattr(rnn, target))
    for got in (
        ours.to(getattr(rnn, target)),
        getattr(ours, short[target])(),
        ours.type(getattr(rnn, target)),
        ours.type_as(other),
        ours.to(other),
        ours.to("cpu", getattr(rnn, target)),
        ours.to(device="cpu", dtype=getattr(rnn, target)),
    ):
        assert got.dtype is getattr(rnn, target)
        np.testing.assert_array_equal(got.numpy(), expected)


@cases(
    lambda x: x.double(),
    lambda x: x.float(),
    lambda m, x: x.to(m.float64) * 2,
    lambda x: x.long(),
    lambda x: x.bool(),
    lambda x: x.to(copy=True),
    lambda x: x.detach(),
    lambda x: x.data,
    lambda x: x.cpu(),
    lambda x: x.tolist(),
    lambda x: [x.is_floating_point(), x.is_complex()],
    lambda m, x: [m.is_floating_point(x), m.is_tensor(x), m.is_tensor(3), m.is_complex(x)],
    lambda x: [x.element_size(), x.nbytes, x.itemsize],
)
def test_conversions(fn: Case) -> None:
    exact(fn, (3, 4))


@cases(
    lambda x: x.int(),
    lambda x: x.double(),
    lambda x: x.float(),
    lambda x: x.bool(),
    lambda x: x.to(copy=True),
    lambda x: x.detach(),
    lambda x: x.tolist(),
    lambda x: [x.element_size(), x.nbytes, x.is_floating_point()],
)
def test_conversions_of_integers(fn: Case) -> None:
    exact(fn, np.arange(-3, 3).reshape(2, 3))


def test_to_returns_the_tensor_itself_where_nothing_changes() -> None:
    for t in (rnn.zeros(2), rnn.tensor([1, 2]), rnn.tensor([True])):
        assert t.to(t.dtype) is t and t.to("cpu") is t and t.cpu() is t and t.pin_memory() is t
        assert t.to(rnn.device("cpu"), non_blocking=True) is t
        assert t.to(t) is t and t.to(t.dtype, copy=True) is not t
        copied = t.to(t.dtype, copy=True)
        copied.numpy()[0] = 1
        assert not t.tolist()[0] or t.dtype is not rnn.float32


def test_type_names() -> None:
    for dtype in DTYPES:
        t, theirs = (m.zeros(1, dtype=getattr(m, dtype)) for m in (rnn, torch))
        assert t.type() == theirs.type().replace("torch", "rnn")
        assert rnn.zeros(1).type(t.type()).dtype is t.dtype
        assert rnn.zeros(1).type(getattr(rnn, t.type().removeprefix("rnn."))).dtype is t.dtype
    compare_errors(lambda m: m.zeros(1).type("foo"))


def test_what_there_is_not() -> None:
    t = rnn.zeros(2)
    for fn in (lambda: t.half(), lambda: t.bfloat16(), lambda: t.to(rnn.float16)):
        with pytest.raises(NotImplementedError, match="only a name"):
            fn()
    for fn in (lambda: t.cuda(), lambda: t.to("cuda"), lambda: t.to(rnn.device("mps"), rnn.int64)):
        with pytest.raises(RuntimeError, match="CPU only"):
            fn()
    with pytest.raises(TypeError):
        t.to(rnn.float32, 3, "x")


# ---- Python and NumPy ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_item(dtype: str) -> None:
    for shape in ((), (1,), (1, 1, 1)):
        ours, theirs = (m.ones(shape, dtype=getattr(m, dtype)).item() for m in (rnn, torch))
        assert ours == theirs and type(ours) is type(theirs)
    for shape in ((0,), (2,), (2, 1)):
        compare_errors(lambda m, s=shape: m.ones(s, dtype=getattr(m, dtype)).item())
    assert math.isnan(rnn.tensor(math.nan).item())


def test_item_of_a_float32_is_its_double() -> None:
    assert rnn.tensor(0.1).item() == float(np.float32(0.1))
    assert rnn.tensor([[0.1]], requires_grad=True).item() == float(np.float32(0.1))


def test_numpy_shares() -> None:
    for dtype in DTYPES:
        t = rnn.zeros(2, 3, dtype=getattr(rnn, dtype))
        array = t.numpy()
        assert array.dtype == np.dtype(dtype) and array.flags.writeable
        array[1, 2] = 1
        assert t.tolist()[1][2] == 1
        assert np.asarray(t).ctypes.data == array.ctypes.data == t.data_ptr()
    assert rnn.zeros(0, 3).numpy().shape == (0, 3)


@pytest.mark.filterwarnings("ignore:__array")  # torch's own
@cases(
    lambda m: m.zeros(2, requires_grad=True).numpy(),
    lambda m: np.asarray(m.zeros(2, requires_grad=True)),
    lambda m: np.array(m.zeros(2, requires_grad=True).double()),
)
def test_numpy_refuses_gradients(fn: Case) -> None:
    compare_errors(fn)


def test_numpy_of_what_needs_gradients() -> None:
    t = rnn.zeros(2, requires_grad=True)
    assert t.numpy(force=True).tolist() == [0, 0]
    assert t.detach().numpy().tolist() == [0, 0]


def test_array_protocol() -> None:
    t = rnn.tensor([[1.5, 2], [3, 4]])
    assert np.asarray(t, np.float64).dtype == np.float64
    assert np.asarray(t, np.int64).tolist() == [[1, 2], [3, 4]]
    copied = np.array(t)
    copied[0, 0] = 9
    assert t.tolist()[0][0] == 1.5
    assert np.stack([t, t]).shape == (2, 2, 2)
    assert [float(x) for x in np.concatenate([t, t])[0]] == [1.5, 2]
    assert np.mean(t.numpy()) == 2.625
    if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
        with pytest.raises(ValueError):
            np.asarray(t, np.float64, copy=False)


@pytest.mark.filterwarnings("ignore:__array")  # torch's own
def test_numpys_functions_return_tensors() -> None:
    for fn in (np.sin, np.sqrt, np.abs, lambda t: np.add(t, 1), lambda t: np.multiply(t, t)):
        t, theirs = rnn.tensor([1.0, 4]), torch.tensor([1.0, 4])
        got = fn(t)
        assert isinstance(got, rnn.Tensor)
        np.testing.assert_allclose(got.numpy(), fn(theirs).numpy())


# ---- formats -------------------------------------------------------------------------------------


@cases(
    lambda m: f"{m.tensor(2.5):.3f}",
    lambda m: f"{m.tensor(2):5d}",
    lambda m: f"{m.tensor(True)}",
    lambda m: f"{m.tensor(3.14159)}",
    lambda m: f"{m.tensor(1.5, requires_grad=True):.2f}",
    lambda m: f"{m.tensor(1234.5):,.1f}|{m.tensor(7):>4}|{m.tensor(0.1):.2e}|{m.tensor(0.5):.0%}",
    lambda m: "%.2f %d" % (m.tensor(3.0), m.tensor(7)),  # noqa: UP031
    lambda m: str(m.tensor([1.0, 2])),
    lambda m: repr(m.tensor([[1, 2], [3, 4]])),
    lambda m: repr(m.zeros(2, requires_grad=True)),
    lambda m: str(m.tensor(2.5)),
    lambda m: repr(m.zeros(2, 0)),
    lambda m: repr(m.arange(2000)),
)
def test_format(fn: Case) -> None:
    assert fn(rnn).replace("rnn", "torch") == fn(torch)


def test_format_wrongly() -> None:
    compare_errors(lambda m: f"{m.tensor([1.0, 2]):.2f}", text=False)
    compare_errors(lambda m: f"{m.tensor(1.5):d}")


# ---- data and detach -----------------------------------------------------------------------------


def test_data_shares_and_is_not_recorded() -> None:
    p = rnn.tensor([1.0, 2], requires_grad=True)
    data = p.data
    assert not data.requires_grad and data.is_leaf
    data.numpy()[0] = 5
    assert p.tolist() == [5, 2]
    p.data -= 1
    assert p.tolist() == [4, 1] and p.requires_grad and p.is_leaf
    i = rnn.tensor([1, 2])
    i.data.numpy()[0] = 7
    assert i.tolist() == [7, 2]


def test_data_set() -> None:
    for m in (torch, rnn):
        p = m.tensor([1.0, 2], requires_grad=True)
        (p * p).sum().backward()
        p.data = p.data - p.grad
        assert p.tolist() == [-1, -2] and p.requires_grad and p.is_leaf
        assert p.grad.tolist() == [2, 4]
        p.data = m.zeros(3, 2)
        assert tuple(p.shape) == (3, 2) and p.requires_grad and p.is_leaf
        p.data = m.ones(2, dtype=m.float64)
        assert p.dtype is m.float64 and p.requires_grad
        p.grad = None
        (p * 3).sum().backward()
        assert p.grad.tolist() == [3, 3]
        q = m.zeros(2)
        other = m.ones(2)
        q.data = other
        other.numpy()[0] = 8
        assert q.tolist() == [8, 1] and not q.requires_grad
        i = m.tensor([1, 2])
        i.data = m.tensor([3, 4, 5])
        assert i.tolist() == [3, 4, 5]
        q.data = m.tensor([1, 2])
        assert q.dtype is m.int64
        with pytest.raises(TypeError):
            p.data = 3
        with pytest.raises(RuntimeError):
            p.data = m.tensor([1, 2])


def test_data_keeps_a_graph_usable() -> None:
    for m in (torch, rnn):
        p = m.tensor([1.0, 2], requires_grad=True)
        y = p.exp().sum()
        p.data.copy_(m.zeros(2))
        y.backward()  # what was changed through .data is not noticed
        assert p.grad is not None


def test_detach() -> None:
    x = rnn.tensor([1.0, 2], requires_grad=True)
    y = x * 2
    d = y.detach()
    assert not d.requires_grad and d.is_leaf
    d.numpy()[0] = 7
    assert y.tolist() == [7, 4]
    assert y.requires_grad
    y.detach_()
    assert not y.requires_grad and y.is_leaf and y.tolist() == [7, 4]
    y.requires_grad_()
    (y * 3).sum().backward()
    assert y.grad.tolist() == [3, 3] and x.grad is None
    i = rnn.tensor([1, 2])
    assert i.detach_() is i and i.detach().tolist() == [1, 2]


# ---- copies and pickles --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_copies(dtype: str) -> None:
    t = rnn.ones(2, 3, dtype=getattr(rnn, dtype))
    shallow, deep = copy.copy(t), copy.deepcopy(t)
    t.numpy()[0, 0] = 0
    assert shallow.tolist() == t.tolist()
    assert deep.tolist() == [[1] * 3] * 2 and deep.dtype is t.dtype


def test_deepcopy_keeps_gradients_and_identity() -> None:
    p = rnn.tensor([1.0, 2], requires_grad=True)
    (p * p).sum().backward()
    deep = copy.deepcopy({"a": p, "b": p})
    assert deep["a"] is deep["b"] and deep["a"] is not p
    assert deep["a"].requires_grad and deep["a"].is_leaf and deep["a"].grad.tolist() == [2, 4]
    deep["a"].grad.numpy()[0] = 9
    assert p.grad.tolist() == [2, 4]
    assert copy.copy(p).requires_grad

    class Mine(rnn.Tensor):
        pass

    mine = Mine([1, 2])
    mine.note = "x"
    again = copy.deepcopy(mine)
    assert type(again) is Mine and again.note == "x" and again.tolist() == [1, 2]
    compare_errors(lambda m: copy.deepcopy(m.ones(2, requires_grad=True) * 2))


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", DTYPES)
def test_pickle(dtype: str, protocol: int) -> None:
    t = rnn.ones(3, 2, dtype=getattr(rnn, dtype))
    if t.is_floating_point():
        t.requires_grad_()
    back = pickle.loads(pickle.dumps(t, protocol))
    assert back.dtype is t.dtype and back.tolist() == t.tolist()
    assert back.requires_grad == t.requires_grad and back.is_leaf
    back.detach().numpy()[0] = 0
    assert t.tolist() == [[1, 1]] * 3


def test_pickle_of_a_view_and_of_a_result() -> None:
    t = rnn.from_numpy(np.arange(6.0).reshape(2, 3).T)
    assert pickle.loads(pickle.dumps(t)).tolist() == t.tolist()
    y = rnn.ones(2, requires_grad=True) * 3
    assert pickle.loads(pickle.dumps(y)).tolist() == [3, 3]
    for x in (rnn.float32, rnn.Size([2, 3]), rnn.device("cpu")):
        assert pickle.loads(pickle.dumps(x)) == x


def test_names_and_probes() -> None:
    for name in ("float", "double", "half", "short", "int", "long", "bool", "uint8", "int8"):
        assert str(getattr(rnn, name)) == str(getattr(torch, name)).replace("torch", "rnn")
    for name in ("inf", "pi", "e"):
        assert getattr(rnn, name) == getattr(torch, name)
    assert math.isnan(rnn.nan) and rnn.newaxis is None
    assert rnn.result_type(rnn.tensor([1]), 2.5) is rnn.float32
    assert rnn.promote_types(rnn.int32, rnn.float32) is rnn.float32
    assert rnn.can_cast(rnn.float32, rnn.int64) is torch.can_cast(torch.float32, torch.int64)
    assert rnn.finfo(rnn.float32).eps == torch.finfo(torch.float32).eps
    assert rnn.iinfo(rnn.int8).max == 127


@pytest.mark.parametrize("shape", [(2, 3), (), (0,)])
def test_what_was_taken_from_data_stays_when_data_is_replaced(shape: tuple[int, ...]) -> None:
    def run(m: Any) -> list[Any]:
        p = m.nn.Parameter(m.ones(shape))
        optimizer = m.optim.SGD([p], lr=0.1)
        (p * 3).sum().backward()
        backup, detached, shadow = p.data, p.detach(), m.full(shape, 5.0)
        p.data = shadow  # as an average of weights is swapped in, and out again
        seen = [t.tolist() for t in (backup, detached, p, p.grad)]
        (p * p).sum().backward()
        p.data = backup
        seen += [p.tolist(), p.grad.tolist(), p.requires_grad, p.is_leaf]
        p.data.add_(1)
        seen += [backup.tolist(), detached.tolist(), shadow.tolist()]
        alias = p.detach()
        alias.data = m.zeros(shape)
        seen += [alias.tolist(), p.tolist(), alias.requires_grad]
        p.data = p.data
        p.data = p.data * 2
        (p * 2).sum().backward()
        optimizer.step()
        plain = m.ones(shape)
        view = plain.view(-1)
        plain.data = m.zeros(shape)
        return [*seen, p.tolist(), p.grad.tolist(), view.tolist(), plain.tolist()]

    assert run(rnn) == run(torch)


def test_views_keep_the_old_data_and_pass_their_gradients_on() -> None:
    def run(m: Any) -> list[Any]:
        p = m.nn.Parameter(m.ones(2, 3))
        view, backup = p.view(-1), p.data
        p.data = m.full((2, 3), 4.0)
        seen = [view.tolist(), backup.tolist(), view.requires_grad, backup.requires_grad]
        (view * m.arange(6.0)).sum().backward()
        seen.append(p.grad.tolist())
        (p * 2).sum().backward()
        x = m.ones(3, requires_grad=True)
        y = x * 2
        part, constant = y[1:], y.detach()
        y.data = m.zeros(3)
        (part * part).sum().backward()
        seen += [part.tolist(), constant.tolist(), y.tolist(), x.grad.tolist(), p.grad.tolist()]
        return seen

    assert run(rnn) == run(torch)

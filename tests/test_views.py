"""Views: shapes, strides, values, gradients and errors as PyTorch has them; memory that is shared,
and written through.
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

# ---- each function against PyTorch ---------------------------------------------------------------

VIEWS: list[tuple[Any, tuple[int, ...]]] = [
    (lambda x: x.reshape(3, -1), (2, 6)),
    (lambda x: x.reshape((4, 3)), (2, 6)),
    (lambda x: x.reshape([12]), (2, 6)),
    (lambda x: x.reshape(2, 3, 2, 1), (2, 6)),
    (lambda m, x: m.reshape(x, (-1,)), (2, 3, 2)),
    (lambda x: x.reshape(-1), ()),
    (lambda x: x.reshape(()), (1, 1)),
    (lambda x: x.reshape(0, 5), (2, 0)),
    (lambda x, y: x.reshape_as(y), (2, 6)),
    (lambda x: x.contiguous().view(3, 4), (2, 6)),
    (lambda x: x.contiguous().view(x.size()), (2, 6)),
    (lambda x: x.contiguous().view(torch.Size([12])), (2, 6)),
    (lambda x: x.ravel(), (2, 3)),
    (lambda m, x: m.ravel(x), (0, 3)),
    (lambda x: x.flatten(), (2, 3, 4)),
    (lambda x: x.flatten(1), (2, 3, 4)),
    (lambda x: x.flatten(0, 1), (2, 3, 4)),
    (lambda m, x: m.flatten(x, start_dim=1, end_dim=-1), (2, 3, 4)),
    (lambda x: x.flatten(), ()),
    (lambda x: x.flatten(1, 1), (2, 3)),
    (lambda x: x.unflatten(1, (3, -1)), (2, 6)),
    (lambda m, x: m.unflatten(x, -1, (2, 3)), (2, 6)),
    (lambda x: x.transpose(0, 1), (2, 3)),
    (lambda m, x: m.transpose(x, -1, 0), (2, 3, 4)),
    (lambda x: x.transpose(0, -1), ()),
    (lambda m, x: m.swapaxes(x, 0, 1), (2, 3)),
    (lambda m, x: m.swapdims(x, 0, 1), (2, 3)),
    (lambda x: x.permute(2, 0, 1), (2, 3, 4)),
    (lambda x: x.permute((1, -3, 2)), (2, 3, 4)),
    (lambda m, x: m.permute(x, (1, 0)), (2, 3)),
    (lambda m, x: m.movedim(x, 0, -1), (2, 3, 4)),
    (lambda m, x: m.movedim(x, (0, 1), (2, 0)), (2, 3, 4)),
    (lambda m, x: m.moveaxis(x, -1, 1), (2, 3, 4)),
    (lambda x: x.t(), (2, 3)),
    (lambda x: x.t(), (3,)),
    (lambda m, x: m.t(x), ()),
    (lambda x: x.T, (2, 3)),
    (lambda x: x.mT, (2, 3, 4)),
    (lambda x: x.mH, (2, 3)),
    (lambda x: x.H, (2, 3)),
    (lambda x: x.adjoint(), (4, 2, 3)),
    (lambda x: x.squeeze(), (1, 3, 1)),
    (lambda x: x.squeeze(0), (1, 3, 1)),
    (lambda x: x.squeeze(1), (1, 3, 1)),
    (lambda m, x: m.squeeze(x, (0, -1)), (1, 3, 1)),
    (lambda x: x.squeeze((0, 1)), (1, 3, 1)),
    (lambda x: x.squeeze(), ()),
    (lambda x: x.squeeze(-1), ()),
    (lambda x: x.unsqueeze(0), (2, 3)),
    (lambda x: x.unsqueeze(-1), (2, 3)),
    (lambda m, x: m.unsqueeze(x, 1), (2, 3)),
    (lambda x: x.unsqueeze(0), ()),
    (lambda x: x.expand(4, 3), (1, 3)),
    (lambda x: x.expand(2, -1, 3), (4, 1)),
    (lambda x: x.expand((5, 2, 3)), (2, 3)),
    (lambda x: x.expand(2, 2), ()),
    (lambda x: x.expand(0, 3), (1, 3)),
    (lambda m, x: m.broadcast_to(x, (2, 3)), (3,)),
    (lambda x: x.broadcast_to((2, 3)), (2, 1)),
    (lambda m, x: m.broadcast_tensors(x, x[0], x[:, :1]), (2, 3)),
    (lambda m, x: m.atleast_1d(x), ()),
    (lambda m, x: m.atleast_2d(x), (3,)),
    (lambda m, x: m.atleast_3d(x), (2, 3)),
    (lambda m, x: m.atleast_3d(x, x[0]), (3,)),
    (lambda x: x.select(1, -2), (2, 3)),
    (lambda m, x: m.select(x, 0, 1), (2, 3)),
    (lambda x: x.narrow(1, 1, 2), (2, 4)),
    (lambda m, x: m.narrow(x, 0, -2, 1), (3, 2)),
    (lambda m, x: m.unbind(x), (3, 2)),
    (lambda x: x.unbind(1), (3, 2)),
    (lambda x: x.unbind(-1), (3, 0)),
    (lambda x: x.split(2), (5, 2)),
    (lambda x: x.split([1, 3, 1]), (5, 2)),
    (lambda m, x: m.split(x, 2, dim=1), (2, 4)),
    (lambda x: x.split(split_size=2, dim=-1), (2, 4)),
    (lambda x: x.split_with_sizes([1, 4]), (5, 2)),
    (lambda x: x.chunk(3), (7, 2)),
    (lambda m, x: m.chunk(x, 4, 1), (2, 6)),
    (lambda m, x: m.tensor_split(x, 3), (7, 2)),
    (lambda x: x.tensor_split((1, 5, 3), 0), (7, 2)),
    (lambda m, x: x.tensor_split(m.tensor([1, 2])), (7, 2)),
    (lambda m, x: m.hsplit(x, 2), (2, 4)),
    (lambda x: x.hsplit([1]), (4,)),
    (lambda x: x.vsplit(2), (2, 4)),
    (lambda x: x.dsplit(2), (2, 1, 4)),
    (lambda x: x.diagonal(), (3, 4)),
    (lambda x: x.diagonal(1), (3, 4)),
    (lambda x: x.diagonal(-1, 1, 2), (2, 3, 4)),
    (lambda m, x: m.diagonal(x, 0, -1, 0), (2, 3, 4)),
    (lambda x: x.diagonal(7), (3, 4)),
    (lambda x: x.unfold(0, 3, 1), (7,)),
    (lambda x: x.unfold(1, 2, 2), (2, 5)),
    (lambda x: x.unfold(0, 1, 1), ()),
    (lambda x: x.unfold(0, 0, 1), (3,)),
    (lambda m, x: m.as_strided(x.contiguous(), (2, 2), (1, 2), 1), (2, 3)),
    (lambda x: x.contiguous().as_strided((3, 2), (1, 1)), (2, 3)),
    (lambda x: x.clone(), (2, 3)),
    (lambda x: x.contiguous(), (2, 3)),
    (lambda x: x.t().contiguous() * 2, (2, 3)),
    (lambda m, x: m.numel(x), (2, 3)),
    (lambda x: [x.dim(), x.ndimension(), x.nelement(), x.numel()], (2, 3)),
    (lambda x: [list(x.size()), x.size(1), x.size(-1), x.size(dim=0)], (2, 3)),
    (lambda x: x.contiguous().transpose(0, 1).stride(), (2, 3)),
]


@pytest.mark.parametrize("case", range(len(VIEWS)))
def test_view_functions(case: int) -> None:
    fn, shape = VIEWS[case]
    inputs = (shape, (3, 4)) if fn.__code__.co_varnames[:2] == ("x", "y") else (shape,)
    compare(fn, *inputs)


@pytest.mark.parametrize("case", range(len(VIEWS)))
def test_view_functions_of_integers(case: int) -> None:
    fn, shape = VIEWS[case]
    inputs = (shape, (3, 4)) if fn.__code__.co_varnames[:2] == ("x", "y") else (shape,)
    arrays = [np.arange(np.prod(s, dtype=int)).reshape(s) for s in inputs]
    compare(fn, *arrays, dtypes=("float32",), resolutions=("tensor",))
    compare(fn, *[a % 3 == 0 for a in arrays], dtypes=("float32",), resolutions=("tensor",))


# ---- strides, offsets, contiguity ----------------------------------------------------------------

LAYOUT_CASES: list[Any] = [
    lambda x: x,
    lambda x: x[1:],
    lambda x: x[:, 1],
    lambda x: x[::2],
    lambda x: x[:, 1:2, ::3],
    lambda x: x[0:0],
    lambda x: x.transpose(0, 2),
    lambda x: x.permute(1, 2, 0)[1],
    lambda x: x.unsqueeze(0),
    lambda x: x.unsqueeze(2),
    lambda x: x.unsqueeze(-1),
    lambda x: x[:1].squeeze(0),
    lambda x: x.expand(3, 2, 3, 4),
    lambda x: x[:, :, :1].expand(2, 3, 5),
    lambda x: x.view(6, 4),
    lambda x: x.transpose(0, 1).reshape(3, 2, 2, 2),
    lambda x: x.transpose(1, 2).reshape(2, -1),
    lambda x: x[:, None, 1, :, None],
    lambda x: x.diagonal(0, 1, 2),
    lambda x: x.unfold(2, 2, 1),
    lambda x: x.narrow(2, 1, 2),
    lambda x: x.select(1, 2),
    lambda x: x.flatten(1),
    lambda x: x.as_strided((2, 3), (1, 2), 5),
    lambda x: x[1].as_strided((2, 2), (2, 1)),
    lambda x: x.transpose(0, 2).contiguous(),
    lambda x: x.split(2, 1)[1],
    lambda x: x.movedim(0, 2),
]


@pytest.mark.parametrize("case", range(len(LAYOUT_CASES)))
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_strides(case: int, dtype: str) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    theirs, ours = LAYOUT_CASES[case](torch.from_numpy(array)), LAYOUT_CASES[case](to_rnn(array))
    assert tuple(ours.shape) == tuple(theirs.shape)
    assert ours.stride() == theirs.stride()
    assert ours.storage_offset() == theirs.storage_offset()
    assert ours.is_contiguous() == theirs.is_contiguous()
    np.testing.assert_array_equal(to_numpy(ours), theirs.numpy())


def test_contiguous_is_itself() -> None:
    for x in (rnn.zeros(2, 3), rnn.zeros(2, 3, dtype=rnn.int64)):
        assert x.contiguous() is x
        assert x.t().contiguous() is not x
        assert x.T.is_contiguous() is False


def test_view_of_another_dtype() -> None:
    x = rnn.tensor([1.0, -2.0])
    bits = x.view(rnn.int32)
    assert bits.tolist() == torch.tensor([1.0, -2.0]).view(torch.int32).tolist()
    bits[0] = 0
    assert x.tolist() == [0.0, -2.0]
    assert rnn.zeros(2, 2).view(rnn.float32).shape == (2, 2)
    assert rnn.tensor([[1, 2]]).view(rnn.uint8).shape == (1, 16)
    for shape, dtype in [((2, 3), "float64"), ((), "float64"), ((), "int8")]:
        compare_errors(lambda m, x, d=dtype: x.view(getattr(m, d)), np.zeros(shape, "float32"))
    compare_errors(lambda m, x: x.t().view(m.int8), (2, 3))


# ---- errors --------------------------------------------------------------------------------------

ERRORS: list[Any] = [
    lambda x: x.view(4),
    lambda x: x.view(-1, -1),
    lambda x: x.view(-2, 3),
    lambda x: x.t().view(6),
    lambda x: x.reshape(4),
    lambda x: x[:0].reshape(-1, 0),
    lambda x: x.permute(0),
    lambda x: x.permute(0, 0),
    lambda x: x.permute(0, 2),
    lambda x: x.transpose(0, 2),
    lambda x: x.transpose(-3, 0),
    lambda x: x.squeeze(2),
    lambda x: x.squeeze((0, 0)),
    lambda x: x.unsqueeze(3),
    lambda x: x.unsqueeze(-4),
    lambda x: x.expand(3),
    lambda x: x.expand(2, 4),
    lambda x: x.expand(-1, 2, 3),
    lambda x: x.expand(5, 4),
    lambda m, x: m.broadcast_to(x, (4,)),
    lambda m, x: m.broadcast_tensors(x, x[:, :2]),
    lambda x: x.flatten(1, 0),
    lambda x: x.flatten(2),
    lambda x: x.unflatten(0, (3, 1)),
    lambda x: x.unflatten(1, (-1, 2)),
    lambda x: x.unflatten(1, ()),
    lambda x: x.unflatten(3, (1, 1)),
    lambda x: x.narrow(0, 1, 2),
    lambda x: x.narrow(2, 0, 1),
    lambda x: x.narrow(0, 0, -1),
    lambda x: x.narrow(0, 5, 0),
    lambda x: x.narrow(0, -3, 1),
    lambda x: x[0, 0].narrow(0, 0, 1),
    lambda x: x.select(0, 5),
    lambda x: x.select(2, 0),
    lambda x: x[0, 0].select(0, 0),
    lambda x: x.movedim(0, 2),
    lambda x: x.movedim((0, 1), (0,)),
    lambda x: x.movedim((0, 0), (0, 1)),
    lambda x: x.movedim((0, 1), (1, 1)),
    lambda x: x.unbind(2),
    lambda x: x[0, 0].unbind(),
    lambda x: x.chunk(0),
    lambda x: x.split(-1),
    lambda x: x.split(0),
    lambda x: x.split((1, 2)),
    lambda x: x[0, 0].split(1),
    lambda x: x.tensor_split(0),
    lambda x: x.hsplit(2),
    lambda x: x[0, 0].hsplit(1),
    lambda x: x[0].vsplit(1),
    lambda x: x.dsplit(1),
    lambda x: x.vsplit(3),
    lambda x: x[0].diagonal(),
    lambda x: x.diagonal(0, 0, 0),
    lambda x: x.as_strided((2, 2), (1,)),
    lambda x: x.as_strided((2, 2), (-1, 1)),
    lambda x: x.as_strided((2, 2), (10, 1)),
    lambda x: x.as_strided((-2, 2), (1, 1)),
    lambda x: x.as_strided((2, 2), (1, 1), -1),
    lambda x: x.unfold(0, 4, 1),
    lambda x: x.unfold(0, 2, 0),
    lambda x: x.unfold(0, -1, 1),
    lambda x: x.unfold(2, 1, 1),
    lambda x: x[0, 0].unfold(0, 2, 1),
    lambda x: x.stride(2),
    lambda x: x.size(2),
    lambda x: x[0, 0].size(0),
    lambda x: x.view_as(x[0]),
    lambda x: x[None].t(),
    lambda x: x[0].mT,
    lambda x: x[0].H,
    lambda x: x[None].H,
    lambda x: x.resize_(-1),
]


@pytest.mark.parametrize("case", range(len(ERRORS)))
def test_errors(case: int) -> None:
    compare_errors(ERRORS[case], (2, 3))
    names = ERRORS[
        case
    ].__code__.co_names  # PyTorch writes torch.FloatTensor there, whatever the dtype
    integers = np.arange(6).reshape(2, 3)
    compare_errors(
        ERRORS[case], integers, text="expand" not in names and "broadcast_to" not in names
    )


def test_wrong_sizes_are_type_errors() -> None:
    for fn in (
        lambda x: x.view(2.0),
        lambda x: x.view(),
        lambda x: x.reshape("a"),
        lambda x: x.expand(None),
    ):
        compare_errors(fn, (2, 3), text=False)


def test_shapes_too_large_are_refused() -> None:
    x = rnn.zeros(1)
    for fn in (
        lambda: x.expand(2**31, 2**31),
        lambda: x.expand(2**62, 4),
        lambda: x.view(2**70),
        lambda: x.reshape(2**62, 2**62),
    ):
        with pytest.raises((ValueError, RuntimeError, OverflowError)):
            fn()
    with pytest.raises(ValueError, match="16 dimensions"):
        x.view((1,) * 17)
    assert x.expand(2**40).shape == (2**40,)


# ---- writing through -----------------------------------------------------------------------------

WRITES: list[Any] = [
    lambda x: x.view(-1)[1:3].fill_(7),
    lambda x: x.t()[0].zero_(),
    lambda x: x.select(0, 1).copy_(x[0].clone()),
    lambda x: x.unsqueeze(0).transpose(1, 2)[0, 1].fill_(3),
    lambda x: x.diagonal().fill_(9),
    lambda x: x.split(1)[1].zero_(),
    lambda x: x.unbind(1)[2].zero_(),
    lambda x: x[:, ::2].fill_(5),
    lambda x: x.reshape(3, 2)[1].fill_(4),
    lambda x: x.flatten()[4:].zero_(),
    lambda x: x.narrow(1, 1, 1).fill_(8),
    lambda x: x.permute(1, 0)[1].fill_(2),
    lambda x: x.as_strided((2,), (4,)).fill_(6),
    lambda x: x.chunk(3, 1)[0].fill_(6),
]


@pytest.mark.parametrize("case", range(len(WRITES)))
def test_views_write_through(case: int) -> None:
    def fn(x: Any) -> Any:
        WRITES[case](x)
        return x

    compare(fn, (2, 3), grad=False, layouts=("contiguous",))
    compare(
        fn, np.arange(6).reshape(2, 3), grad=False, layouts=("contiguous",), dtypes=("float32",)
    )


# PyTorch refuses to write into one of several views that came together; here it is a write like any
# other.
@pytest.mark.parametrize("case", [i for i in range(len(WRITES)) if i not in (5, 6, 13)])
def test_views_write_through_the_graph(case: int) -> None:
    def fn(x: Any) -> Any:
        y = x * 2
        before = y + 1
        WRITES[case](y)
        return before, y * y, y.t()

    compare(fn, (2, 3), layouts=("contiguous", "expanded"))


def test_values_of_the_graph_enter_through_views() -> None:
    def fn(m: Any, w: Any, x: Any) -> Any:
        out = m.zeros(3, 4, dtype=w.dtype)
        column = out[:, 1]
        column.copy_(w[:, 0] * 2)
        out.t()[3].add_(x)
        out[2] *= w[2]
        return out, out[:, 1], column

    compare(fn, (3, 4), (3,))


LEAVES: list[Any] = [
    lambda m: m.arange(6.0).view(2, 3),
    lambda m: m.arange(6.0).reshape(2, 3),
    lambda m: (m.arange(6.0) * 2).reshape(3, 2).t(),
    lambda m: m.arange(6.0)[None],
    lambda m: m.arange(6.0).unsqueeze(1).squeeze(),
    lambda m: m.arange(6.0)[1:4],
    lambda m: m.arange(6.0).view(2, 3)[1],
    lambda m: m.arange(6.0).view(2, 3).flatten(),
    lambda m: m.eye(2).repeat(3, 1, 1),
    lambda m: m.eye(2).repeat(1, 3),
    lambda m: m.stack([m.ones(2), m.zeros(2)]).view(-1),
    lambda m: m.linspace(0, 1, 6).view(6, 1).double(),
    lambda m: m.ones(2, 3).mean(0, keepdim=True).view(3),
    lambda m: m.arange(6.0).expand(1, 6),
    lambda m: m.ones(1, 3).view_as(m.ones(3)),
]


@pytest.mark.parametrize("case", range(len(LEAVES)))
def test_a_view_that_asks_for_gradients_is_a_leaf(case: int) -> None:
    seen = []
    for m in (torch, rnn):
        x = LEAVES[case](m).requires_grad_()
        assert x.is_leaf and x.grad_fn is None
        optimizer = m.optim.SGD([x], lr=0.1)
        (x * x).sum().backward()
        optimizer.step()
        with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
            x += 1
        y = x.view(-1) if x.is_contiguous() else x.t()
        assert not y.is_leaf
        seen.append((x.tolist(), x.grad.tolist(), tuple(x.shape), y.tolist()))
    assert seen[1] == seen[0]
    for m in (torch, rnn):  # what it is a view of stays a constant
        base = m.arange(6.0)
        x = base.view(2, 3).requires_grad_()
        assert x.is_leaf and base.is_leaf and not base.requires_grad


#: functions whose result is no view, even where they have nothing to do
COPIES: list[Any] = [
    lambda m, x: x.repeat(2, 1, 1),
    lambda m, x: x.repeat(1, 1),
    lambda m, x: x.repeat(1, 2),
    lambda m, x: x[:1].repeat(3, 1),
    lambda m, x: m.tile(x, (2, 1, 1)),
    lambda m, x: m.matrix_power(x, 1),
    lambda m, x: m.diff(x, 0),
    lambda m, x: m.nn.functional.pixel_shuffle(x[None, None], 1),
    lambda m, x: m.nn.functional.pixel_unshuffle(x[None, None], 1),
]


@pytest.mark.parametrize("case", range(len(COPIES)))
def test_copies_are_no_views(case: int) -> None:
    for dtype in ("float32", "int64"):
        if dtype == "int64" and case >= 5:
            continue
        for m in (torch, rnn):
            x = m.arange(4, dtype=getattr(m, dtype)).view(2, 2)
            y = COPIES[case](m, x)
            expected = y.tolist()
            x.fill_(7)
            assert y.tolist() == expected
            y.view(-1)[0] = 9
            assert x.tolist() == [[7, 7], [7, 7]] and (y == 9).sum() == 1


def test_writing_a_leaf_is_refused() -> None:
    for fn in (
        lambda x: x.t_(),
        lambda x: x.unsqueeze_(0),
        lambda x: x.squeeze_(),
        lambda x: x.transpose_(0, 1),
        lambda x: x[0].unsqueeze_(0),
        lambda x: x.resize_(1),
        lambda x: x.view(-1).zero_(),
    ):
        compare_errors(fn, (2, 3), grad=True)


def test_writing_expanded_memory_is_refused() -> None:
    def writes(m: Any, x: Any) -> list[Any]:
        wide = x.expand(2, 3)
        return [
            lambda: wide.copy_(wide.clone() + 1),
            lambda: wide.add_(1),
            lambda: wide.__setitem__(..., m.ones(2, 3).to(x.dtype)),
        ]

    for kind in (np.float32, np.int64):
        for i in range(3):
            compare_errors(lambda m, x, i=i: writes(m, x)[i](), np.zeros((1, 3), kind))
        compare(lambda x: (x.expand(2, 3).fill_(7), x * 1), np.zeros((1, 3), kind), grad=False)
    compare_errors(lambda x: x.expand(2, 3).fill_(1), (1, 3), grad=True)


def test_filling_an_expanded_tensor() -> None:
    def fill(x: Any) -> Any:
        y = x * 2
        y[:, :1].expand(4, 2, 3).fill_(5)
        y.t()[2:].expand(4, 2).zero_()
        return y * x

    compare(fill, (2, 3), grad=False)
    x = rnn.ones(2, 3, requires_grad=True)  # PyTorch fails in this backward pass
    y = x * 2
    y[:, :1].expand(2, 4).fill_(5)
    y.sum().backward()
    assert x.grad.tolist() == [[0, 2, 2]] * 2


# ---- in place, of the handle ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: x.t_(),
        lambda x: x.unsqueeze_(-1),
        lambda x: x.transpose_(0, 1).unsqueeze_(0),
        lambda x: x.unsqueeze_(0).squeeze_(0),
        lambda x: x.unsqueeze_(0).squeeze_(),
    ],
)
def test_shape_in_place(fn: Any) -> None:
    def run(x: Any) -> Any:
        y = x * 3
        assert fn(y) is y
        return y, y + 1

    compare(run, (2, 3))
    compare(run, np.arange(6).reshape(2, 3), dtypes=("float32",))


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: x.t_(),
        lambda x: x.unsqueeze_(0),
        lambda x: x.squeeze_(),
        lambda x: x.transpose_(0, 1),
    ],
)
def test_a_leaf_that_is_turned_under_no_grad_stays_one(fn: Any) -> None:
    def run(m: Any, x: Any) -> Any:
        y = x.detach().clone().requires_grad_()
        with m.no_grad():
            assert fn(y) is y
        assert y.requires_grad
        assert y.is_leaf
        (y * x.detach().reshape(y.shape)).sum().backward()
        return y.detach(), y.grad

    compare(run, (1, 3))


def test_nothing_is_contiguous_whatever_its_strides() -> None:
    for array in (np.copy(np.zeros((2, 0, 3), np.float32)), np.zeros((4, 3, 0), np.float32).T):
        assert rnn.from_numpy(array).is_contiguous()


def test_resize() -> None:
    for make in (lambda m: m.arange(6.0), lambda m: m.arange(6)):
        for shape in ((2, 3), (2, 2), (4,)):
            ours, theirs = make(rnn), make(torch)
            assert ours.resize_(*shape) is ours and ours.stride() == theirs.resize_(*shape).stride()
            np.testing.assert_array_equal(to_numpy(ours), theirs.numpy())
        ours = make(rnn)
        assert ours.resize_((10,)).shape == (10,)
        assert ours[:6].tolist() == make(torch).tolist()


def test_numpy_shares_memory_of_views() -> None:
    x = rnn.zeros(2, 3)
    x.t()[1].numpy()[:] = 4
    assert x.tolist() == [[0, 4, 0], [0, 4, 0]]
    n = rnn.zeros(2, 3, dtype=rnn.int64)
    n.t()[1].numpy()[:] = 4
    assert n.tolist() == [[0, 4, 0], [0, 4, 0]]


def test_views_under_no_grad_are_constants() -> None:
    x = rnn.ones(2, 3).requires_grad_()
    with rnn.no_grad():
        y = x[0]
    assert not y.requires_grad
    assert x[0].requires_grad


# ---- any chain of views --------------------------------------------------------------------------


@st.composite
def chains(draw: Any) -> tuple[tuple[int, ...], list[tuple[str, tuple[Any, ...]]]]:
    """A shape, and view functions with arguments that fit."""
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=4)))
    steps: list[tuple[str, tuple[Any, ...]]] = []
    x = torch.zeros(shape)
    for _ in range(draw(st.integers(1, 5))):
        n = x.ndim
        options: list[tuple[str, tuple[Any, ...]]] = [
            ("unsqueeze", (draw(st.integers(-n - 1, n)),)),
            ("squeeze", ()),
        ]
        options.append(("reshape", (draw(st.sampled_from(_factorings(x.numel()))),)))
        options.append(("expand", ((*draw(st.lists(st.integers(0, 3), max_size=1)), *[-1] * n),)))
        if n:
            d = draw(st.integers(-n, n - 1))
            size = x.shape[d]
            options += [
                ("permute", (tuple(draw(st.permutations(range(n)))),)),
                ("transpose", (d, draw(st.integers(0, n - 1)))),
                ("flatten", (min(d % n, n - 1), n - 1)),
            ]
            start = draw(st.integers(0, size))
            options.append(("narrow", (d, start, draw(st.integers(0, size - start)))))
            if size:
                options.append(("select", (d, draw(st.integers(-size, size - 1)))))
                window = draw(st.integers(1, size))
                options.append(("unfold", (d, window, draw(st.integers(1, 3)))))
        if n > 1:
            pair = draw(st.permutations(range(n)))
            options.append(("diagonal", (draw(st.integers(-2, 2)), pair[0], pair[1])))
        name, args = draw(st.sampled_from(options))
        if x.numel() > 200:
            break
        x = getattr(x, name)(*args)
        steps.append((name, args))
    return shape, steps


def _factorings(n: int) -> list[tuple[int, ...]]:
    if n == 0:
        return [(0,), (2, 0), (0, 3, 1)]
    pairs = [(a, n // a) for a in range(1, n + 1) if n % a == 0]
    return [(n,), (-1,), *pairs, *[(a, 1, b) for a, b in pairs]]


@settings(max_examples=150, deadline=None)
@given(chains())
def test_chains_of_views(case: Any) -> None:
    shape, steps = case

    def fn(x: Any) -> Any:
        for name, args in steps:
            x = getattr(x, name)(*args)
        return x * x

    compare(
        fn,
        shape,
        dtypes=("float64",),
        resolutions=("tensor",),
        layouts=("contiguous", "transposed"),
        edges=False,
    )
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    ours, theirs = to_rnn(array), torch.from_numpy(array.copy())
    for name, args in steps:
        ours, theirs = getattr(ours, name)(*args), getattr(theirs, name)(*args)
        np.testing.assert_array_equal(to_numpy(ours), theirs.numpy())


@pytest.mark.parametrize(
    ("shape", "order"),
    [
        ((40, 33), (1, 0)),
        ((8, 9), (1, 0)),
        ((7, 70), (1, 0)),
        ((3, 17, 40), (2, 0, 1)),
        ((3, 17, 40), (0, 2, 1)),
        ((2, 9, 3, 65), (0, 3, 2, 1)),
        ((2, 3, 9, 10), (2, 3, 1, 0)),
    ],
)
def test_large_copies_between_two_orders(shape: tuple[int, ...], order: tuple[int, ...]) -> None:
    compare(lambda x: x.permute(order).contiguous(), shape, resolutions=["tensor"])
    # a gradient that is added to one there is, and a destination in the other order
    compare(lambda x: x.permute(order).clone() * 2 + x.permute(order), shape, edges=False)
    compare(lambda m, x: m.zeros_like(x.permute(order)).copy_(x.permute(order)), shape, edges=False)


def test_a_broadcast_copied_in_another_order() -> None:
    compare(lambda x: x.expand(40, 35).t().contiguous(), (40, 1), resolutions=["tensor"])
    compare(lambda x: x.expand(40, 35).t().contiguous(), (1, 35), resolutions=["tensor"])
    compare(lambda x: x.expand(3, 40, 35).permute(2, 0, 1).contiguous(), (40, 35), edges=False)


def test_sizes_and_dims_by_keyword():
    compare(lambda x: x.reshape(shape=(6, 2)), (3, 4))
    compare(lambda m, x: m.reshape(input=x, shape=(6, 2)), (3, 4))
    compare(lambda m, x: m.permute(x, dims=(1, 0)), (3, 4))
    compare(lambda m, x: m.flip(x, dims=(1,)), (3, 4))
    compare(lambda x: x.expand(size=(3, 4)), (3, 1))


@pytest.mark.parametrize(
    "run",
    [
        lambda m, x, w: (x @ w).view(-1),
        lambda m, x, w: (x @ w).view(2, 18).view(-1, 2),
        lambda m, x, w: x.sum(1).view(-1) * 2,
        lambda m, x, w: m.nn.functional.linear(x, w.t()).view(x.size(0), -1),
    ],
)
def test_results_are_viewed_at_both_resolutions(run: Any) -> None:
    compare(run, (2, 3, 4), (4, 6), layouts=("contiguous",))
    with rnn.resolution("scalar"), pytest.raises(RuntimeError, match="size is not compatible"):
        rnn.zeros(2, 3).t().view(-1)


@pytest.mark.parametrize("step", [1, 3])
def test_windows_that_overlap_add_up_whatever_threads_do(step: int) -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal(50_000)
    weights = rng.standard_normal((len(range(0, 50_000 - 15, step)), 16))
    compare(
        lambda x, w: x.unfold(0, 16, step).clone() * w,
        values,
        weights,
        dtypes=["float64"],
        resolutions=["tensor"],
        layouts=["contiguous"],
        edges=False,
    )
    compare(
        lambda x, w: x.as_strided((40, 50), (1, 1)).t().contiguous() * w[:50, :1],
        values[:100],
        weights[:50],
        dtypes=["float64"],
        layouts=["contiguous"],
        edges=False,
    )

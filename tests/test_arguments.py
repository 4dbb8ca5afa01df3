"""Functions of tensors that are given something else."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers import compare, compare_errors

import rnn
from rnn.nn import functional as F

CASES: list[tuple[Callable[[Any], Any], str]] = [
    (lambda m: m.sum([1.0]), "sum(): argument 'input' (position 1) must be Tensor, not list"),
    (lambda m: m.mean(3), "mean(): argument 'input' (position 1) must be Tensor, not int"),
    (lambda m: m.isnan(3.0), "isnan(): argument 'input' (position 1) must be Tensor, not float"),
    (lambda m: m.zeros_like([1]), "zeros_like(): argument 'input' (position 1) must be Tensor"),
    (lambda m: m.linalg.det([[1.0]]), "det(): argument 'A' (position 1) must be Tensor, not list"),
    (
        lambda m: m.nn.functional.cross_entropy(m.ones(1, 2), [0]),
        "cross_entropy(): argument 'target' (position 2) must be Tensor, not list",
    ),
    (
        lambda m: m.nn.functional.softmax(np.ones(2), 0),
        "softmax(): argument 'input' (position 1) must be Tensor, not numpy.ndarray",
    ),
    (
        lambda m: m.nn.functional.group_norm([1.0], 1),
        "group_norm(): argument 'input' (position 1) must be Tensor, not list",
    ),
    (
        lambda m: m.nn.functional.kl_div(m.ones(2), True),
        "kl_div(): argument 'target' (position 2) must be Tensor, not bool",
    ),
    (
        lambda m: m.nn.functional.hinge_embedding_loss(m.ones(2), True),
        "hinge_embedding_loss(): argument 'target' (position 2) must be Tensor, not bool",
    ),
    (
        lambda m: m.nn.functional.hardshrink([1.0]),
        "hardshrink(): argument 'input' (position 1) must be Tensor, not list",
    ),
    (lambda m: m.searchsorted((1, 2), (1,)), "searchsorted(): argument 'sorted_sequence' (posi"),
    (lambda m: m.can_cast(1, m.int64), "can_cast() takes two rnn.dtype, not 1 and rnn.int64"),
    (lambda m: m.ones(2).outer(None), "outer(): argument 'vec2' (position 1) must be Tensor, n"),
    # whatever the first argument is called, and beside a warning
    (lambda m: m.tensordot(m.ones(2, 2), [1, 2]), "tensordot(): argument 'b' (position 2) must be"),
    (
        lambda m: m.lu_unpack("a", "b"),
        "lu_unpack(): argument 'LU_data' (position 1) must be Tensor",
    ),
    (
        lambda m: m.normal(m.ones(2), out="a"),
        "normal(): argument 'out' (position 5) must be Tensor",
    ),
    (
        lambda m: m.cat([m.ones(2)], out="a"),
        "cat(): argument 'out' (position 3) must be Tensor, no",
    ),
    (
        lambda m: m.nn.functional.affine_grid([], (1, 1, 2, 2)),
        "affine_grid(): argument 'theta' (position 1) must be Tensor, not list",
    ),
    (
        lambda m: m.nn.functional.upsample(True, 3),
        "upsample(): argument 'input' (position 1) must be Tensor, not bool",
    ),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("call", "message"), CASES)
def test_what_is_no_tensor_is_named(call: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(TypeError) as raised:
        call(rnn)
    assert message in str(raised.value)
    with pytest.raises((TypeError, AttributeError)):
        call(torch)


#: what warns of how it was called
WARNS: list[Callable[[], Any]] = [
    lambda: F.softmax(rnn.ones(2, 2)),
    lambda: rnn.nn.Softmax()(rnn.ones(2, 2)),
    lambda: F.mse_loss(rnn.ones(2), rnn.ones(1)),
    lambda: rnn.nn.L1Loss()(rnn.ones(2), rnn.ones(1)),
    lambda: F.kl_div(rnn.ones(2), rnn.ones(2)),
    lambda: F.grid_sample(rnn.ones(1, 1, 2, 2), rnn.ones(1, 2, 2, 2)),
    lambda: F.affine_grid(rnn.ones(1, 2, 3), (1, 1, 2, 2)),
    lambda: F.upsample(rnn.ones(1, 1, 2), 4),
    lambda: F.dropout2d(rnn.ones(2, 2)),
    lambda: rnn.add(rnn.ones(2), 2, rnn.ones(2)),
    lambda: rnn.ones(2).addcmul(2, rnn.ones(2), rnn.ones(2)),
    lambda: rnn.ones(2).random_(2**30),
]


@pytest.mark.parametrize("call", WARNS)
def test_a_warning_names_the_users_line(call: Callable[[], Any]) -> None:
    with pytest.warns(UserWarning) as caught:
        call()
    assert {one.filename for one in caught} == {__file__}


def test_backward_of_what_is_no_tensor() -> None:
    x = rnn.ones(1, requires_grad=True)
    for roots in (0, (x, 0)):
        for start in (rnn.autograd.backward, lambda t: rnn.autograd.grad(t, x)):
            with pytest.raises(TypeError, match=r"expected Tensor as element . in argument 0"):
                start(roots)
    compare_errors(lambda m: m.autograd.backward(m.ones(1, requires_grad=True), inputs=[3]))
    assert x.grad is None


@pytest.mark.parametrize("inputs", ["a", [1]])
def test_grad_of_what_is_no_tensor(inputs: Any) -> None:
    said = []
    for m in (torch, rnn):
        with pytest.raises(RuntimeError) as raised:
            m.autograd.grad(m.ones(2, requires_grad=True).sum(), inputs)  # type: ignore[attr-defined]
        said.append(str(raised.value))
    assert said[0] == said[1]


METHODS: list[tuple[Callable[[Any], Any], str]] = [
    (lambda x: x.gather(0, [0]), "gather(): argument 'index' (position 2) must be Tensor, not li"),
    (lambda x: x.index_select(0, [0]), "index_select(): argument 'index' (position 2) must be Te"),
    (lambda x: x.masked_fill([True], 0), "masked_fill(): argument 'mask' (position 1) must be Ten"),
    (lambda x: x.scatter_(0, [0], 1.0), "scatter_(): argument 'index' (position 2) must be Tensor"),
    (lambda x: x.where([True], x), "where(): argument 'condition' (position 1) must be Tensor"),
    (lambda x: rnn.where([True], x, x), "where(): argument 'condition' (position 1) must be Tens"),
    (lambda x: x.expand_as(1), "expand_as(): argument 'other' (position 1) must be Tensor, not i"),
    (lambda x: x.view_as([1]), "view_as(): argument 'other' (position 1) must be Tensor, not list"),
    (lambda x: x.inner(1), "inner(): argument 'other' (position 1) must be Tensor, not int"),
    (lambda x: x.mv("a"), "mv(): argument 'vec' (position 1) must be Tensor, not str"),
    (lambda x: x.addmv(x, 2.0), "addmv(): argument 'vec' (position 2) must be Tensor, not float"),
    (lambda x: x.addcdiv(1, x), "addcdiv(): argument 'tensor1' (position 1) must be Tensor, not i"),
    (lambda x: x.add_("a", alpha=2**40), "argument 'other' (position 2) must be Tensor, not str"),
    (lambda x: rnn.add(x, "a", alpha=2**40), "argument 'other' (position 2) must be Tensor, not s"),
    (lambda x: rnn.atleast_2d(x, 3), "expected Tensor as element 1 in argument 0, but got int"),
    (lambda x: rnn.broadcast_tensors(1, x), "expected Tensor as element 0 in argument 0, but got"),
    (lambda x: rnn.cartesian_prod(x, 2), "expected Tensor as element 1 in argument 0, but got int"),
    (lambda x: rnn.meshgrid(x, 2), "expected Tensor as element 1 in argument 0, but got int"),
    (lambda x: rnn.block_diag(x, 2), "expected Tensor as element 1 in argument 0, but got int"),
]


@pytest.mark.parametrize(("call", "message"), METHODS)
def test_methods_name_it_too(call: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(TypeError) as raised:
        call(rnn.ones(2))
    assert message in str(raised.value)


#: of another type than the argument's annotation, whatever the function stumbles over
MISTYPED: list[Callable[[Any], Any]] = [
    lambda m: m.ones(2, 3).amax(m.ones(2, 3)),
    lambda m: m.cumsum(m.ones(2, 3), m.ones(2, 3)),
    lambda m: m.ones(2, 3).nanmean(m.ones(2, 3)),
    lambda m: m.logcumsumexp(m.arange(3), (0, 2)),
    lambda m: m.ones(3).diff("a"),
    lambda m: m.std_mean(m.arange(3), "a"),
    lambda m: m.ones(3).narrow(0, "a", 1),
    lambda m: m.tril(m.ones(2), "a"),
    lambda m: m.renorm(m.ones(2, 2), np.ones(3), 0, 1.0),
    lambda m: m.nn.functional.layer_norm(m.ones(3), "a"),
    lambda m: m.topk(m.ones(3), [1]),
    lambda m: m.exp(np.ones(2)),
    lambda m: m.stack([m.ones(1), np.ones(1)]),
    lambda m: m.index_select(m.ones(3), "a", m.tensor([0])),
    lambda m: m.ones(2).requires_grad_(3),
    lambda m: setattr(m.ones(2), "requires_grad", None),
    lambda m: m.set_grad_enabled("a"),
    lambda m: m.normal(m.zeros(2), m.ones(3)),
    lambda m: m.optim.Adam(m.nn.Linear(1, 1).parameters(), fused=True, foreach=True),
    lambda m: m.optim.SGD(m.nn.Linear(1, 1).parameters(), fused=True, differentiable=True),
]


@pytest.mark.parametrize("call", MISTYPED)
def test_an_argument_of_another_type(call: Callable[[Any], Any]) -> None:
    compare_errors(call, text=False)


#: values, shapes and dtypes that PyTorch refuses
REFUSED: list[Callable[[Any], Any]] = [
    lambda m: m.hstack([]),
    lambda m: m.dstack([]),
    lambda m: m.cov(m.ones(5), fweights=m.ones(5)),
    lambda m: m.cov(m.ones(5), fweights=-m.ones(5, dtype=m.int64)),
    lambda m: m.cov(m.ones(5), aweights=m.ones(5, 5)),
    lambda m: m.cov(m.ones(5), aweights=m.ones(4)),
    lambda m: m.isclose(m.ones(1), m.ones(1), rtol=-0.4),
    lambda m: m.ones(5).narrow(0, m.tensor([1, 2]), 1),
    lambda m: m.ones(5).narrow(0, m.tensor(True), 1),
    lambda m: m.ones(5).masked_scatter_(m.ones(5, 5) > 0, m.ones(5, 5)),
    lambda m: m.nn.functional.adaptive_avg_pool1d(m.ones(1, 1, 2), -1),
    lambda m: m.nn.functional.adaptive_max_pool2d(m.ones(1, 1, 2, 2), (-1, 1)),
    lambda m: m.nn.functional.conv1d(m.ones(1, 1, 4), m.ones(1, 2)),
    lambda m: m.nn.functional.multi_margin_loss(
        m.ones(5, 4), m.zeros(5, dtype=m.int64), weight=m.tensor(1.0)
    ),
    lambda m: m.matrix_power(m.ones(3), 0),
    lambda m: m.histogram(m.ones(3), -1),
    lambda m: m.histogram(m.ones(3), 2, range=(0.0,)),
    lambda m: m.bitwise_not(m.ones(2)),
    lambda m: m.roll(m.ones(5), ()),
    lambda m: m.searchsorted(m.ones(3), m.ones(2, 2), side="x"),
    lambda m: m.unique(m.ones(3), dim=4),
    lambda m: m.block_diag(m.ones(2, 2, 2)),
    lambda m: m.cartesian_prod(m.ones(2, 2)),
    lambda m: m.triu_indices(-1, 2),
    lambda m: m.nn.functional.batch_norm(m.ones(2, 3), None, None, training=True, eps=0),
    # out= of another dtype
    lambda m: m.argmax(m.ones(3), out=m.empty(0)),
    lambda m: m.gather(m.ones(2), 0, m.tensor([0]), out=m.empty(1).double()),
    lambda m: m.take(m.ones(2), m.tensor([0]), out=m.empty(1).double()),
    lambda m: m.sort(m.ones(2), out=(m.empty(2), m.empty(2))),
    lambda m: m.max(m.ones(2), 0, out=(m.empty(0), m.empty(0))),
    lambda m: m.tril(m.ones(2, 2), out=m.empty(2, 2).double()),
]


@pytest.mark.parametrize("call", REFUSED)
def test_what_is_refused(call: Callable[[Any], Any]) -> None:
    compare_errors(call, text=False)


#: NumPy's names beside out=
NAMED: dict[str, dict[str, Any]] = {
    **{f: {"axis": 1, "keepdims": True} for f in ("amax", "amin", "sum", "mean", "prod", "var")},
    **{f: {"axis": 1, "keepdims": True} for f in ("std", "logsumexp", "argmax", "argmin")},
    **{f: {"axis": 1, "keepdims": True} for f in ("any", "all")},
    **{f: {"axis": 1} for f in ("softmax", "log_softmax", "cumsum", "cumprod")},
}
_DTYPES_OF_OUT = {"argmax": "int64", "argmin": "int64", "any": "bool", "all": "bool"}


@pytest.mark.parametrize("name", NAMED)
def test_numpy_names_beside_out(name: str) -> None:
    def found(m: Any) -> list[Any]:
        x = m.tensor([[1.0, 5.0, 0.0], [3.0, 2.0, 2.5]])
        out = m.empty(0, dtype=getattr(m, _DTYPES_OF_OUT.get(name, "float32")))
        made = getattr(m, name)(x, **NAMED[name], out=out)
        assert made is out
        return [tuple(out.shape), out.numpy()]

    ours, theirs = found(rnn), found(torch)
    assert ours[0] == theirs[0]
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-5)


#: functions with out= that takes their shape, and refuses gradients and other dtypes
INTO: list[Callable[..., Any]] = [
    lambda m, **into: m.special.entr(m.full((2, 2), 0.5), **into),
    lambda m, **into: m.special.ndtr(m.full((2, 2), 0.5), **into),
    lambda m, **into: m.special.ndtri(m.full((2, 2), 0.5), **into),
    lambda m, **into: m.special.xlog1py(m.ones(2, 2), m.ones(2, 2), **into),
    lambda m, **into: m.cholesky_solve(m.ones(2, 2), m.eye(2), **into),
    lambda m, **into: m.cholesky_inverse(2 * m.eye(2), **into),
    lambda m, **into: m.linalg.solve_triangular(m.eye(2), m.ones(2, 2), upper=True, **into),
]


@pytest.mark.parametrize("call", INTO)
def test_out_takes_the_shape(call: Callable[..., Any]) -> None:
    out = rnn.empty(0)
    assert call(rnn, out=out) is out
    np.testing.assert_allclose(out.numpy(), call(torch).numpy(), rtol=1e-6)
    compare_errors(lambda m: call(m, out=m.empty(2, 2, dtype=m.int64)), text=False)
    compare_errors(lambda m: call(m, out=m.empty(2, 2, requires_grad=True)), text=False)


def test_sums_take_the_dtype_of_out() -> None:
    def found(m: Any) -> list[Any]:
        x = m.tensor([[1.7, 2.6], [0.2, 1.9]])
        options = {"out": m.empty(0, dtype=m.int64)}
        return [getattr(m, f)(x, 0, **options).tolist() for f in ("sum", "cumsum", "cumprod")]

    assert found(rnn) == found(torch)


def test_larger_and_smaller_of_two_tensors_are_no_dimensions() -> None:
    compare_errors(lambda m, x, y: m.max(x, y), (4,), (3, 3))
    compare_errors(lambda m, x, y: x.min(y), (4,), (3, 3))


#: by torch's other names, and numbers in their former places
FORMS: list[Callable[..., Any]] = [
    lambda m, x: x.clone().add_(-0.5, x),
    lambda m, x: m.add(x, 0.5, x),
    lambda m, x: x.clone().sub_(0.5, x),
    lambda m, x: m.sub(x, 2, x),
    lambda m, x: m.rsub(x, 3, 2),
    lambda m, x: x.clone().addcmul_(0.5, x, x),
    lambda m, x: m.addcdiv(x, 0.5, x, x),
    lambda m, x: x.addmm(2, 3, x, x),
    lambda m, x: m.addmm(2, x, 3, x, x),
    lambda m, x: m.addmm(2, x, x, x),
    lambda m, x: x.tile(dims=(2, 1)),
    lambda m, x: x.repeat(repeats=(2, 1)),
    lambda m, x: x.swapaxes(axis0=0, axis1=1),
    lambda m, x: m.swapdims(x, dim0=0, dim1=1),
    lambda m, x: m.tensor_split(x, sections=2),
    lambda m, x: m.hsplit(x, indices=(1,)),
    lambda m, x: m.isin(m.arange(3), test_element=1),
    lambda m, x: m.isin(element=1, test_elements=m.tensor([1])),
    lambda m, x: x[0, 0].broadcast_to(4),
    lambda m, x: x.movedim(np.int64(0), np.int64(1)),
    lambda m, x: x.roll(np.int64(1)),
    lambda m, x: m.cholesky(x @ x.mT + m.eye(2, dtype=x.dtype), True),
    lambda m, x: m.matrix_power(x, -2),
    lambda m, x: m.slogdet(x)[1],
    lambda m, x: m.histogram(x.detach()).hist.sum(),
    lambda m: m.isclose(m.tensor([True, False]), m.tensor([False, True]), 1.0),
    lambda m: m.isclose(m.tensor([1, 3], dtype=m.uint8), m.tensor([2, 2], dtype=m.uint8), 0.5),
    lambda m: m.add(m.tensor([1.0]), m.tensor([1], dtype=m.int8), alpha=200),
    lambda m: m.sub(m.tensor([1.0, 1.0]), m.tensor([1, 2], dtype=m.uint8), alpha=-1),
    lambda m: m.add(m.tensor([1, 1]), m.tensor([True, False]), alpha=2),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", FORMS)
def test_other_names_and_places(form: Callable[..., Any]) -> None:
    x = [np.array([[1.5, -0.5], [0.3, 2.0]])] if "x" in form.__code__.co_varnames else []
    one: dict[str, Any] = {"dtypes": ["float64"], "layouts": ["contiguous"], "edges": False}
    compare(form, *x, rtol=1e-6, atol=1e-9, **one)


def test_errors_about_other_things_stay() -> None:
    x = rnn.ones(1, 2)
    for wrong in (lambda a, b: object().rows, lambda a, b: a.rows):  # type: ignore[attr-defined]
        with pytest.raises(AttributeError, match="rows"):
            F.triplet_margin_with_distance_loss(x, x, x, distance_function=wrong)


def test_functions_are_pickled_by_name() -> None:
    functions = [F.relu, rnn.tanh, rnn.sum, rnn.linalg.det, rnn.absolute, rnn.inverse]
    for f in [*functions, rnn.linalg.norm]:
        assert pickle.loads(pickle.dumps(f)) is f
    layer = rnn.nn.TransformerEncoderLayer(4, 2, 8, activation=F.gelu)
    assert pickle.loads(pickle.dumps(layer)).activation is F.gelu

"""rnn.detect_anomaly: the first NaN stops the program and says where it came from."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
import torch

import rnn
from rnn import nn
from rnn.autograd.anomaly_mode import AnomalyError

inf = float("inf")


def _caught(run: Callable[[], Any]) -> AnomalyError:
    with pytest.raises(AnomalyError) as raised, rnn.detect_anomaly():
        run()
    assert not rnn.is_anomaly_enabled() and not rnn.inspect.is_tracing()
    error: AnomalyError = raised.value
    assert error.value != error.value
    return error


def _x(*values: float) -> Any:
    return rnn.tensor(values, requires_grad=True)


# ---- forward ------------------------------------------------------------------------------------


@pytest.mark.parametrize("grad", [True, False])
def test_forward(grad: bool) -> None:
    x = rnn.tensor([[1.0, 2.0], [3.0, -4.0]], requires_grad=grad)
    error = _caught(lambda: x.t().log())
    assert (error.phase, error.op, error.index) == ("forward", "log", (1, 1))
    assert [tuple(o) for o in error.operands] == [("x[1, 1]", -4.0)]
    assert "error = _caught(lambda: x.t().log())" in str(error.line)
    assert "log made nan at index [1, 1] of its result of shape [2, 2]" in str(error)
    assert "the logarithm of a negative number" in str(error)
    assert isinstance(error, RuntimeError)


OPERATIONS: list[tuple[Callable[[], Any], str, str]] = [
    (lambda: _x(0.0, 1.0) / 0.0, "div_scalar", "0 / 0"),
    (lambda: _x(1.0, 0.0) / _x(1.0, 0.0), "div", "0 / 0"),
    (lambda: _x(inf) - _x(inf), "sub", "inf - inf"),
    (lambda: _x(inf) * 0, "mul_scalar", "0 * inf"),
    (lambda: _x(-1.0) ** 0.5, "pow_scalar", "a power of a negative number"),
    (lambda: _x(2.0).asin(), "asin", "asin is defined from -1 to 1"),
    (lambda: _x(-1.0).sqrt(), "sqrt", "the square root of a negative number"),
    (lambda: _x(1.0).std(), "std", "0 / 0: the std of no more elements"),
    (lambda: _x(inf).sin(), "sin", "the sin of an infinity"),
    (lambda: _x(-inf, -inf).softmax(0), "softmax", "every element of the row is -inf"),
    (lambda: _x(inf, -inf).sum(), "sum", "inf - inf"),
    (lambda: _x(0.0, 1.0) @ _x(inf, 1.0), "matmul", "0 * inf"),
    (lambda: rnn.Value(-1.0).log(), "log", "the logarithm of a negative number"),
    (lambda: _x(float("nan")) + 1, "add_scalar", "an operand is nan already"),
    (lambda: rnn.ones(2).mul_(-1).sqrt_(), "sqrt", "in place"),
]


@pytest.mark.parametrize(("run", "op", "cause"), OPERATIONS)
def test_operations(run: Callable[[], Any], op: str, cause: str) -> None:
    error = _caught(run)
    assert error.op == op
    assert cause in str(error)


def test_path_to_the_origin() -> None:
    x = _x(1.0, 0.0, 2.0)

    def run() -> None:
        y = x.log()
        z = (y * 2 + 1).reshape(3, 1)
        (z * rnn.zeros(3, 2)).sum()

    error = _caught(run)
    assert error.op == "mul" and error.index == (1, 0)
    assert [(step.op, step.value) for step in error.path[:-1]] == [
        ("log", -inf), ("mul_scalar", -inf), ("add_scalar", -inf)
    ]  # fmt: skip
    assert error.path[0].operands[0] == ("x[1]", 0.0)
    assert error.path[0].cause == "the logarithm of 0"
    assert "y = x.log()" in str(error.path[0].line)


def test_module_and_parameter() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(2, 2)

        def forward(self, x: Any) -> Any:
            return self.fc(x)

    model = nn.Sequential(Net(), nn.ReLU())
    with rnn.no_grad():
        model[0].fc.weight[1, 0] = float("nan")
    error = _caught(lambda: model(rnn.ones(3, 2)))
    assert (error.op, error.module, error.index) == ("linear", "0.fc", (0, 1))
    assert error.operands[0].name == "0.fc.weight[1, 0]"
    assert error.path[0].cause == "it was there from the start"


def test_masks_do_not_stop() -> None:
    scores = rnn.zeros(2, 3, requires_grad=True)
    mask = rnn.tensor([[False, True, True], [False, False, True]])
    with rnn.detect_anomaly():
        loss = scores.masked_fill(mask, -inf).softmax(1).square().sum()
        loss.backward()
        moved = rnn.tensor([float("nan"), 1.0])
        assert moved[1:].item() == 1.0 and rnn.where(moved.isnan(), 0.0, moved).sum().item() == 1
    assert scores.grad is not None and bool(scores.grad.isfinite().all())


def test_fully_masked_row_is_followed_to_the_mask() -> None:
    scores = rnn.zeros(2, 3, requires_grad=True)
    mask = rnn.tensor([[False, True, True], [True, True, True]])
    error = _caught(lambda: scores.masked_fill(mask, -inf).softmax(1))
    assert [step.op for step in error.path] == ["masked_fill", "softmax"]
    assert error.index == (1, 0) and "all of it is masked" in str(error)


# ---- backward -----------------------------------------------------------------------------------


def test_dead_branch_of_where() -> None:
    x = _x(1.0, 0.0)

    def run() -> None:
        y = rnn.where(x > 0, x.log(), rnn.zeros(2))
        y.sum().backward()

    error = _caught(run)
    assert (error.phase, error.op, error.index) == ("backward", "log", (1,))
    assert "where does not choose log[1]: its mask takes the other branch there" in str(error)
    assert "does no harm to the value, but it kills the gradient" in str(error)
    assert "its gradient is 0, and 0 * inf is nan" in str(error)
    assert ("the gradient that came in", 0.0) in error.operands
    assert ("the derivative", inf) in error.operands and ("x[1]", 0.0) in error.operands
    assert "y = rnn.where" in str(error.line)


def test_dead_branch_that_is_nan_forward() -> None:
    """The forward pass ran without detection: its NaN is in the branch that was not chosen."""
    x = _x(1.0, -1.0)
    loss = rnn.where(x > 0, x.sqrt(), rnn.zeros(2)).sum()
    assert loss.item() == 1.0
    error = _caught(loss.backward)
    assert error.op == "sqrt" and error.index == (1,)
    assert "does no harm to the value, but it kills the gradient" in str(error)


def test_infinite_gradient_is_followed_up() -> None:
    w = _x(0.0)

    def run() -> None:
        square = w * w
        square.sqrt().sum().backward()

    error = _caught(run)
    assert error.op == "mul" and error.phase == "backward"
    assert "the gradient inf that came in times the derivative 0" in str(error)
    assert "The gradient had become infinite before" in str(error)
    assert error.path[0].value == inf and "square.sqrt()" in str(error.path[0].line)


def test_infinities_of_both_signs_meet() -> None:
    x = _x(0.0)
    error = _caught(lambda: (x.sqrt() - (x * 1).sqrt()).sum().backward())
    assert "inf - inf" in str(error) or "contribute inf and -inf" in str(error)


def test_values_backward() -> None:
    v = rnn.Value(0.0)
    error = _caught(lambda: ((v * 2).sqrt() * 0.0).backward())
    assert error.op == "sqrt" and "multiplies sqrt by the number 0" in str(error)


def test_gradient_that_was_given() -> None:
    x = _x(1.0)
    error = _caught(lambda: (x * 2).backward(rnn.tensor([float("nan")])))
    assert "it was given to backward() so, or by a hook" in str(error)


def test_grad_that_was_nan_before() -> None:
    x = _x(1.0)
    x.grad = rnn.tensor([float("nan")])
    error = _caught(lambda: (x * 2).sum().backward())
    assert "it was nan before" in str(error)


def test_functions_backward() -> None:
    class Bad(rnn.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 1

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return rnn.from_numpy((grad * 0).numpy() * float("nan"))

    x = _x(1.0, 2.0)
    error = _caught(lambda: Bad.apply(x).sum().backward())
    assert error.phase == "backward" and "Bad" in error.op


def test_strided_and_broadcast_operands() -> None:
    x = rnn.zeros(3, 4, requires_grad=True)
    error = _caught(lambda: (x[:, 1::2].t().sqrt() * 0).sum().backward())
    assert error.op == "sqrt" and error.index == (0, 1)
    bias = rnn.zeros(4, requires_grad=True)
    error = _caught(lambda: ((x + bias).sqrt() * 0).sum().backward())
    assert error.op == "sqrt"


# ---- the mode -----------------------------------------------------------------------------------


def test_nothing_changes_where_nothing_is_wrong() -> None:
    def run(lib: Any) -> tuple[list[float], list[float]]:
        x = lib.tensor([0.5, 2.0, -1.0], requires_grad=True)
        w = lib.tensor([1.0, -2.0, 0.25], requires_grad=True)
        with lib.autograd.detect_anomaly(check_nan=True):
            loss = ((x * w).tanh() + x.exp()).square().mean()
            loss.backward()
        with pytest.raises(RuntimeError, match="backward"):
            loss.backward()
        return x.grad.tolist(), w.grad.tolist()

    with pytest.warns(UserWarning, match="Anomaly Detection"):
        expected = run(torch)
    ours = run(rnn)
    for a, b in zip(ours, expected):
        assert a == pytest.approx(b, rel=1e-6)


def test_graph_and_memory_go() -> None:
    x = rnn.ones(1000, requires_grad=True)
    gc.collect()
    spans = rnn.memory_stats()["spans"]
    with rnn.detect_anomaly():
        for _ in range(20):
            (x * 2).exp().sum().backward()
            x.grad = None
        assert rnn.autograd.grad((x * 2).sum(), x)[0].tolist() == [2.0] * 1000
    assert rnn.memory_stats()["spans"] == spans
    for _ in range(20):
        _caught(lambda: (x - 2).log())
    gc.collect()  # errors hold their frames
    assert rnn.memory_stats()["spans"] == spans


def test_switch_decorator_and_nesting() -> None:
    x = _x(-1.0)

    @rnn.autograd.detect_anomaly()
    def checked() -> Any:
        return x.log()

    with pytest.raises(AnomalyError):
        checked()
    x.log()
    rnn.autograd.set_detect_anomaly(True)
    try:
        with pytest.raises(AnomalyError):
            x.log()
        with rnn.autograd.set_detect_anomaly(False):
            x.log()
        assert rnn.is_anomaly_enabled() and rnn.is_anomaly_check_nan_enabled()
    finally:
        rnn.autograd.set_detect_anomaly(False)
    with rnn.detect_anomaly(check_nan=False):
        assert rnn.inspect.is_tracing() and "y = x.log()" in str(_line_of(x))
    assert not rnn.inspect.is_tracing() and not rnn.is_anomaly_enabled()


def _line_of(x: Any) -> str | None:
    y = x.log()
    return rnn.inspect.node(y).line

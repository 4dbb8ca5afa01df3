"""rnn.detect_anomaly: the first NaN stops the program and says where it came from."""

from __future__ import annotations

import gc
import math
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch

import rnn
from rnn import nn
from rnn._c import drain
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
    assert [(step.op, step.value) for step in error.path[:-2]] == [
        ("log", -inf), ("mul_scalar", -inf), ("add_scalar", -inf)
    ]  # fmt: skip
    assert [step.op for step in error.path[-2:]] == ["mul", "sum"]
    assert "No where() has discarded it: sum has computed with it" in str(error)
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
    assert error.path[0].cause.startswith("it was written there in place")
    error = _caught(lambda: rnn.tensor([math.nan], requires_grad=True) * 2)
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


def _where(name: str, *values: float) -> Callable[[], Any]:
    """where() of an operation's result where x is above 0, its sum's backward."""

    def run() -> Any:
        x = _x(*values)
        y = getattr(x, name)()
        loss = rnn.where(x > 0, y * 2 + 1, rnn.zeros(len(values))).sum()
        loss.backward()
        return x.grad

    return run


DEAD: list[tuple[Callable[[], Any], str, str, str]] = [
    (_where("log", 1.0, 0.0), "log[1] = -inf", "x[1] = 0", "0 * inf"),
    (_where("sqrt", 1.0, 0.0), "sqrt[1] = 0", "x[1] = 0", "0 * inf"),
    (_where("sqrt", 1.0, -1.0), "sqrt[1] = nan", "x[1] = -1", "0 * nan"),
    (_where("rsqrt", 1.0, -1.0), "rsqrt[1] = nan", "x[1] = -1", "0 * nan"),
    (_where("acosh", 2.0, -3.0, 0.5), "acosh[1] = nan", "x[1] = -3", "0 * nan"),
]


@pytest.mark.parametrize(("run", "made", "operand", "product"), DEAD[:4])
def test_dead_branch_of_where(
    run: Callable[[], Any], made: str, operand: str, product: str
) -> None:
    error = _caught(run)
    op = made.partition("[")[0]
    assert (error.phase, error.op, error.index) == ("backward", op, (1,))
    made = made.replace(op, "y")  # the variable's name
    said = str(error)
    assert f"{made}, made from {operand}, is used only by the branch that is not taken" in said
    assert "where does not choose add_scalar[1]: its mask takes the other branch there" in said
    assert f"which comes back through {op} as {product} = nan" in said
    assert f"where(mask, {op}(safe), ...)" in said
    assert ("the gradient that came in", 0.0) in error.operands
    assert (operand.split(" = ")[0], float(operand.split(" = ")[1])) in error.operands
    assert "loss = rnn.where(x > 0" in said and "y = getattr(x, name)()" in str(error.line)


def test_dead_branch_of_a_division() -> None:
    def run() -> None:
        a, b = _x(0.0, 1.0), _x(0.0, 2.0)
        rnn.where(b != 0, a / b, 0 * a).sum().backward()

    error = _caught(run)
    assert (error.phase, error.op, error.index) == ("backward", "div", (0,))
    assert "div[0] = nan, made from a[0] = 0, is used only by the branch that" in str(error)
    assert error.path[0].cause == "0 / 0" and error.path[0].value != error.path[0].value


@pytest.mark.parametrize("lib", [rnn, torch])
def test_a_dead_branch_that_does_no_harm_does_not_stop(lib: Any) -> None:
    """log(-1) is nan, but its derivative is -1: 0 * -1 poisons nothing, and torch goes on too."""
    x = lib.tensor([-1.0, 2.0], requires_grad=True)
    with lib.autograd.detect_anomaly():
        y = lib.where(x > 0, x.log() * 3, 0 * x)
        y.sum().backward()
        assert lib.where(x > 0, x.sqrt(), lib.zeros(2))[0].item() == 0
    assert x.grad.tolist() == [0.0, 1.5]


def test_what_else_may_throw_a_nan_away() -> None:
    x = rnn.tensor([-1.0, 4.0])
    with rnn.detect_anomaly():
        assert x.log().masked_fill(x < 0, 0.0).sum().item() == pytest.approx(1.386294)
        y = x.sqrt() + 1
        y[x < 0] = 0
        assert y.sum().item() == 3.0
        assert x.sqrt()[x > 0].sum().item() == 2.0
        assert x.sqrt().nan_to_num().sum().item() == 2.0
        assert rnn.cat([x.sqrt(), x]).nansum().item() == 5.0
        z = x.sqrt()
        with rnn.no_grad():
            z[0] = 0.0  # in place: nothing is recorded, and nothing is left


@pytest.mark.parametrize("name", ["sqrt", "index"])
def test_only_the_chosen_branch_counts(name: str) -> None:
    """A NaN that where() lets through is found, wherever it comes to."""
    x = _x(-1.0, 4.0)

    def run() -> None:
        y = x.sqrt()
        z = rnn.where(x < 0, y, rnn.zeros(2))
        (z.sum() if name == "sqrt" else z[0].reshape(1, 1) @ rnn.ones(1, 1)).backward()

    error = _caught(run)
    assert (error.phase, error.op, error.index) == ("forward", "sqrt", (0,))
    assert "y = x.sqrt()" in str(error.line) and "No where() has discarded it" in str(error)


def test_used_elsewhere_too() -> None:
    """Not only the dead branch uses it: the words do not say so."""
    x = _x(1.0, 0.0)

    def run() -> None:
        y = x.sqrt()
        (rnn.where(x > 0, y, rnn.zeros(2)) + (y - y.detach()) * 0.0).sum().backward()

    said = str(_caught(run))
    assert "only by" not in said


def test_the_origin_is_kept_where_no_graph_is() -> None:
    x = rnn.tensor([1.0, -1.0])

    def run() -> Any:
        with rnn.no_grad():
            y = x.sqrt() + 2
            z = rnn.where(x > 0, y * 3, y)
            return z @ rnn.ones(2)

    error = _caught(run)
    assert (error.op, error.index) == ("sqrt", (1,)) and error.operands[0] == ("x[1]", -1.0)
    assert "y = x.sqrt() + 2" in str(error.line) and "matmul has computed with it" in str(error)


def test_a_nan_that_nothing_reads_is_found_at_the_end() -> None:
    x = _x(-1.0, 1.0)
    reached = []

    def run() -> None:
        x.log()
        reached.append(True)

    error = _caught(run)
    assert reached and error.op == "log" and "when detect_anomaly() ended" in str(error)
    with pytest.raises(ValueError, match="mine"), rnn.detect_anomaly():  # that is not hidden
        x.log()
        raise ValueError("mine")
    with rnn.detect_anomaly():
        pass  # and what was left then is forgotten


def test_backward_of_a_nan() -> None:
    x = _x(-1.0)
    error = _caught(lambda: x.log().backward())
    assert error.op == "log" and "backward() was called on it" in str(error)
    loss = x.sqrt().sum()  # made without detection
    error = _caught(loss.backward)
    assert (error.phase, error.op) == ("forward", "sqrt") and error.operands == (("x[0]", -1.0),)


def test_at_once() -> None:
    x = _x(1.0, -1.0)
    with rnn.detect_anomaly(at_once=True):
        with pytest.raises(AnomalyError, match="Where a later where\\(\\) discards") as raised:
            rnn.where(x > 0, x.sqrt(), rnn.zeros(2))
        assert raised.value.op == "sqrt"
    with rnn.autograd.set_detect_anomaly(True, at_once=True), pytest.raises(AnomalyError):
        x.log()


def test_very_many_nans_wait_no_longer() -> None:
    x = _x(-1.0)
    with pytest.raises(AnomalyError), rnn.detect_anomaly():
        kept = []
        for _ in range(1000):
            kept.append(x.log())
    assert len(kept) < 1000
    wide = rnn.full((300_000,), -1.0, requires_grad=True)
    error = _caught(lambda: wide.log().sum())
    assert error.op == "log" and error.index == (0,)


def test_dead_branch_that_is_nan_forward() -> None:
    """The forward pass ran without detection: its NaN is in the branch that was not chosen."""
    x = _x(1.0, -1.0)
    loss = rnn.where(x > 0, x.sqrt(), rnn.zeros(2)).sum()
    assert loss.item() == 1.0
    error = _caught(loss.backward)
    assert error.op == "sqrt" and error.index == (1,)
    assert "does no harm to the value, but it poisons the gradient" in str(error)


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


class Bad(rnn.autograd.Function):
    """Its backward makes a NaN of its own."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x * 1

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return rnn.from_numpy((grad * 0).numpy() * float("nan"))


class Within(rnn.autograd.Function):
    """The NaN is made by an operation within it."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x.sqrt()

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return grad


class Roots(rnn.autograd.Function):
    """The square root, and twice it."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = x.sqrt()
        ctx.save_for_backward(y)
        return y, 2 * y

    @staticmethod
    def backward(ctx: Any, a: Any, b: Any) -> Any:
        (y,) = ctx.saved_tensors
        return (a + 2 * b) / (2 * y)


def test_functions() -> None:
    x = _x(1.0, 2.0)
    error = _caught(lambda: Bad.apply(x).sum().backward())
    assert error.phase == "backward" and "Bad" in error.op
    error = _caught(lambda: Roots.apply(_x(4.0, -1.0)))
    assert (error.phase, error.op, error.index) == ("forward", "Roots", (1,))
    error = _caught(lambda: Within.apply(_x(4.0, -1.0)))  # where nothing is recorded
    assert [step.op for step in error.path] == ["sqrt", "Within"] and error.op == "sqrt"
    assert "return x.sqrt()" in str(error.line)


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
        assert a == pytest.approx(b, rel=1e-5, abs=1e-6)


def test_graph_and_memory_go() -> None:
    x = rnn.ones(1000, requires_grad=True)
    for _ in range(2):  # what earlier tests let go of may hold more
        gc.collect()
        drain()
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


@pytest.mark.parametrize("hook", [False, True])
def test_a_stopped_pass_has_added_once(hook: bool) -> None:
    """What was added before the NaN stays, as in torch; looking for its cause adds nothing."""
    x, late = _x(0.0, 4.0), _x(3.0)
    seen: list[float] = []
    inner = x * 2
    if hook:
        late.register_hook(lambda grad: seen.append(grad.item()))
    loss = (inner.sqrt() * 0.0).sum() + (late * 5).sum()
    held = inner.sqrt()
    error = _caught(loss.backward)
    assert error.op == "sqrt" and error.__context__ is None
    assert "multiplies sqrt[0] by the number 0" in str(error)
    assert late.grad is None or late.grad.tolist() == [5.0]
    assert x.grad is None and held.grad is None
    assert seen in ([], [5.0])
    graph = rnn.inspect.graph(loss)  # it is there still
    assert "sqrt" in {node.op for node in graph}


def test_what_lies_behind_the_nan_is_not_looked_at() -> None:
    """To explain the NaN, the pass is made again as far as it came: it never came to the value
    that was overwritten.
    """
    x = _x(1.0, 2.0)

    def run() -> None:
        y = x.exp()
        z = y * y
        with rnn.no_grad():
            y.mul_(2)
        ((z * 0).sqrt() * 0).sum().backward()

    assert _caught(run).op == "sqrt"


def test_no_memory_to_explain() -> None:
    """The NaN is told, though the gradients that led to it find no room a second time."""
    x = rnn.zeros(1 << 18, requires_grad=True)
    y = (x * 1).sqrt()
    for _ in range(6):
        y = y * 0.5
    loss = (y * 0.0).sum()
    x.grad = rnn.ones(1 << 18)
    stats = rnn.memory_stats()
    rnn.set_memory_limit(stats["live"] + (3 << 20))
    try:
        error = _caught(loss.backward)
    finally:
        rnn.set_memory_limit(stats["limit"])
    assert error.op == "sqrt" and "there is no memory to make the gradients" in str(error)
    assert bool((x.grad == 1).all())
    assert "The gradient that came in is 0 because mul_scalar" in str(_caught(loss.backward))


def test_another_anomaly_before_the_words_are_found() -> None:
    """As where a signal's handler has one of its own just then."""

    def dead(x: Any) -> Any:
        return ((x * 1).sqrt() * 0.0).sum()

    def other(frame: Any, event: str, _arg: object) -> None:
        if event == "call" and frame.f_code.co_name == "_explain_anomaly":
            sys.setprofile(None)
            with pytest.raises(AnomalyError):
                dead(_x(0.0)).backward()

    def run() -> None:
        loss = dead(_x(4.0, 0.0))
        sys.setprofile(other)
        loss.backward()

    error = _caught(run)
    assert sys.getprofile() is None
    assert error.index == (1,) and "multiplies sqrt[1]" in str(error)


def test_a_pass_while_the_words_are_found() -> None:
    """A signal's handler may pass over the same graph: it comes to all of it."""
    x = _x(4.0, 9.0)
    seen = []

    def other(frame: Any, event: str, _arg: object) -> None:
        if event == "call" and frame.f_code.co_name == "backward_error":
            sys.setprofile(None)
            seen.append(rnn.inspect.graph(loss).nodes)
            seen.append(rnn.autograd.grad(loss, x, retain_graph=True)[0].isnan().tolist())

    loss = ((x * 2 - x * 2).sqrt() * 0.0 + x * 3).sum()
    nodes = rnn.inspect.graph(loss).nodes

    def run() -> None:
        sys.setprofile(other)
        loss.backward()

    assert _caught(run).op == "sqrt" and sys.getprofile() is None
    assert seen == [nodes, [True, True]]
    assert x.grad is None or x.grad.tolist() == [3.0, 3.0]


def _passes(loss: Any, x: Any, inner: Any) -> list[Callable[[], Any]]:
    return [
        loss.backward,
        lambda: loss.backward(inputs=[x]),
        lambda: rnn.autograd.grad(loss, x),
        lambda: rnn.autograd.grad(loss, [inner, x]),
    ]


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("hook", [False, True])
def test_the_graph_goes_where_the_pass_has_been(which: int, hook: bool) -> None:
    """And only there: what a detached tensor came from stays, as does what leads to no input."""
    x, w = _x(1.0, 2.0), _x(3.0, 4.0)
    fake, side = x * x, w * w
    if hook:
        x.register_hook(lambda grad: grad)
    with rnn.detect_anomaly():
        (fake.detach() * w).sum().backward()
        assert w.grad.tolist() == [1.0, 4.0]
        loss = (fake * 3 + side).sum()
        run = _passes(loss, x, fake)[which]
        run()
        with pytest.raises(RuntimeError, match="a second time"):
            run()
        if which:
            side.sum().backward()  # no input is behind it
            assert w.grad.tolist() == [7.0, 12.0]


def test_gradients_of_tensors_that_are_held_stay() -> None:
    def run() -> list[Any]:
        x = _x(0.5, 2.0)
        inner = x * 3
        other = inner.tanh()
        loss = ((other + inner).exp() * 0.5).sum()
        used_again = inner * 2
        loss.backward()
        return [x.grad, inner.grad, other.grad, loss.grad, used_again.grad]

    def numbers(found: list[Any]) -> list[Any]:
        return [None if t is None else t.tolist() for t in found]

    plain = numbers(run())
    with rnn.detect_anomaly():
        assert numbers(run()) == plain
    assert sum(t is not None for t in plain) == 4


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
            x.log().sum()
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


def test_a_nan_that_an_infinite_leaf_leads_to_is_told_once() -> None:
    x = _x(float("inf"), 1.0)

    def run() -> None:
        (x - x).exp().sum()

    error = _caught(run)
    assert [step.op for step in error.path] == ["x", "sub", "exp", "sum"]
    assert error.op == "sub"


def test_a_function_whose_result_is_nan_is_let_go_once() -> None:
    class Nowhere(rnn.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return rnn.tensor([float("nan")])

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return grad

    x = _x(1.0)
    gc.collect()
    before = rnn.memory_stats()["spans"]
    for _ in range(100):
        assert _caught(lambda: Nowhere.apply(x)).op == "Nowhere"
        gc.collect()
    assert rnn.memory_stats()["spans"] == before


def test_a_path_names_each_step_once() -> None:
    """What the engine remembers of the origin is part of the path that the graph tells."""
    layers = nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 2))
    with rnn.no_grad():
        layers[0].weight[1, 1] = math.nan
    with rnn.resolution("scalar"), pytest.raises(AnomalyError) as caught, rnn.detect_anomaly():
        layers(rnn.tensor([0, 1])).sum()
    ops = [step.op for step in caught.value.path]
    assert ops[-3:] == ["gather", "mul", "cumsum"] and len(ops) == 4


def test_an_optimiser_that_wrote_the_nan() -> None:
    layer = nn.Linear(2, 1)
    layer(rnn.zeros(1, 2)).sum().backward()
    rnn.optim.SGD(layer.parameters(), lr=math.inf).step()  # the weight's gradient is 0
    error = _caught(lambda: layer(rnn.ones(1, 2)))
    assert error.path[0].op == "weight" and "an optimiser's step" in error.path[0].cause


def test_a_function_of_several_outputs_names_the_one_that_did_it() -> None:
    class Two(rnn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, a, b):
            return a * 2 + rnn.where(b == 0, 0.0, math.nan)

    def run() -> None:
        a, b = Two.apply(_x(1.0, 2.0))
        (a - 4 * b).sum().backward()

    error = _caught(run)
    assert (error.phase, error.op, error.index) == ("backward", "Two", (0,))
    known = dict(error.operands)
    assert known["the gradient that came in"] == -4 and math.isnan(known["the derivative"])
    assert "it is the backward of Two that made the nan" in str(error)


def test_a_mean_over_ignored_targets_only() -> None:
    logits, target = rnn.tensor([[1.0, 2.0]], requires_grad=True), rnn.tensor([-100])
    error = _caught(lambda: nn.functional.cross_entropy(logits, target).backward())
    assert "the target of every row is ignore_index" in str(error)


def test_a_backward_that_makes_nan_of_finite_values() -> None:
    class Bad(rnn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            return grad * math.nan

    x = rnn.tensor([1.0, 2.0], requires_grad=True)
    error = _caught(lambda: Bad.apply(x).sum().backward())
    assert "All values are finite: it is the backward of Bad" in str(error)

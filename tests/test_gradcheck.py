"""rnn.autograd.gradcheck: right derivatives pass; wrong ones are named, and told from noise and
kinks.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import rnn
from rnn import nn
from rnn.autograd import GradcheckError, gradcheck

F = nn.functional


def _x(*shape: int, dtype: Any = rnn.float64) -> Any:
    rnn.manual_seed(0)
    return rnn.randn(*shape, dtype=dtype).requires_grad_()


class Cube(rnn.autograd.Function):
    """x ** 3, whose backward is wrong for what is above 1."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        return grad * rnn.where(x > 1, 2 * x**2, 3 * x**2)


def _error(func: Callable[..., Any], inputs: Any, **options: Any) -> GradcheckError:
    with pytest.raises(GradcheckError) as raised:
        gradcheck(func, inputs, **options)
    assert not gradcheck(func, inputs, raise_exception=False, **options)
    error: GradcheckError = raised.value
    return error


# ---- what is right passes -----------------------------------------------------------------------

RIGHT: list[tuple[Callable[..., Any], Callable[[], Any]]] = [
    (lambda x: x.tanh(), lambda: _x(3, 2)),
    (lambda a, b: a @ b, lambda: (_x(2, 3), _x(3, 4))),
    (lambda a, b: (a * b).sum(0), lambda: (_x(2, 3), _x(3))),
    (lambda x: x.softmax(1), lambda: (_x(2, 3),)),
    (lambda x: (x.exp(), x.square().sum()), lambda: _x(3)),
    (lambda x: F.layer_norm(x, (4,)), lambda: _x(2, 4)),
    (lambda x, t: F.cross_entropy(x, t), lambda: (_x(3, 4), rnn.tensor([0, 3, 1]))),
    (lambda x, n: x * n, lambda: (_x(2), 3.0)),
    (lambda x: x.new_zeros(2), lambda: _x(2)),
]


@pytest.mark.parametrize(("func", "make"), RIGHT)
@pytest.mark.parametrize("fast", [False, True])
def test_right_gradients(func: Callable[..., Any], make: Callable[[], Any], fast: bool) -> None:
    assert gradcheck(func, make(), fast_mode=fast)


def test_strides_and_values() -> None:
    base = _x(4, 6)
    for view in (base.t(), base[:, ::2], base[1]):
        assert gradcheck(lambda x: x.sin() * 2, view)
    assert gradcheck(lambda a, b: a * b + a.tanh(), (rnn.Value(2.0), rnn.Value(-1.5)))
    assert base.tolist() == _x(4, 6).tolist()  # put back as it was


def test_a_module_and_its_parameters() -> None:
    layer = nn.Linear(3, 2, dtype=rnn.float64)
    assert gradcheck(layer, _x(4, 3))
    assert gradcheck(lambda w, b: F.linear(_x(4, 3).detach(), w, b), (layer.weight, layer.bias))


def test_functions_with_several_outputs() -> None:
    class Both(rnn.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * 2, x**2

        @staticmethod
        def backward(ctx: Any, a: Any, b: Any) -> Any:
            (x,) = ctx.saved_tensors
            return a * 2 + b * 2 * x

    assert gradcheck(Both.apply, _x(3))
    assert gradcheck(Both.apply, _x(3), check_undefined_grad=False)


# ---- what is wrong is named ---------------------------------------------------------------------


@pytest.mark.parametrize("fast", [False, True])
def test_wrong_formula(fast: bool) -> None:
    x = rnn.tensor([[0.5, -1.0], [0.25, 2.0]], dtype=rnn.float64, requires_grad=True)
    error = _error(lambda y, x: Cube.apply(x) * y, (2.0, x), fast_mode=fast)
    assert error.kind == "formula"
    assert (error.input, error.input_index) == (1, (1, 1))
    assert (error.output, error.output_index) == (0, (1, 1))
    assert error.analytic == pytest.approx(16.0)
    assert error.numeric == pytest.approx(24.0, rel=1e-6)
    assert "Jacobian mismatch for output 0 with respect to input 1," in str(error)
    assert "/ d input 1[1, 1]: analytic 16, numeric 24" in str(error)
    assert "a wrong formula: the one-sided derivatives" in str(error)
    assert issubclass(GradcheckError, RuntimeError)


def test_right_where_the_formula_is_right() -> None:
    x = rnn.tensor([0.5, -1.0], dtype=rnn.float64, requires_grad=True)
    assert gradcheck(Cube.apply, x)


def test_a_transposed_gradient() -> None:
    class Transpose(rnn.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 1

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return grad.t().contiguous()

    error = _error(Transpose.apply, _x(2, 2))
    assert error.kind == "formula" and {error.analytic, round(error.numeric or 0, 6)} == {0, 1}
    assert error.input_index != error.output_index or error.analytic == 0
    assert "It is the worst of 4 such pairs" in str(error)


def test_kink() -> None:
    x = rnn.tensor([1.0, 0.0, -1.0], dtype=rnn.float64, requires_grad=True)
    error = _error(lambda x: x.relu(), x)
    assert error.kind == "kink" and error.input_index == error.output_index == (1,)
    assert "the derivative is 0 on the left and 1 on the right" in str(error)
    near = rnn.tensor([2e-7], dtype=rnn.float64, requires_grad=True)
    assert _error(lambda x: x.abs(), near).kind == "kink"
    jump = rnn.tensor([0.0], dtype=rnn.float64, requires_grad=True)
    assert _error(lambda x: rnn.where(x >= 0, x + 1, x), jump).kind == "kink"


def test_the_edge_of_a_function() -> None:
    error = _error(rnn.log, rnn.tensor([1.0, 0.0], dtype=rnn.float64, requires_grad=True))
    assert error.kind == "kink" and error.output_index == (1,)
    assert "an edge of where the function is finite" in str(error)


def test_what_is_no_function() -> None:
    error = _error(lambda x: rnn.nn.functional.dropout(x), _x(20))
    assert error.kind == "nondeterministic" and "draws random numbers" in str(error)


def test_float32_noise() -> None:
    x = rnn.tensor([0.3, -1.7], requires_grad=True)
    with pytest.warns(UserWarning, match="Input #0 requires gradient and is not a double"):
        error = _error(lambda x: x.tanh(), x)
    assert error.kind == "noise" and "Check with inputs of dtype float64" in str(error)


def test_right_formulas_in_float32_are_noise() -> None:
    F = rnn.nn.functional
    functions: list[Callable[[Any], Any]] = [
        lambda x: (x * x + 1).sqrt(), lambda x: F.layer_norm(x, x.shape), lambda x: x.softmax(0),
        lambda x: (x + 1e3) - 1e3, lambda x: x.var(), lambda x: x.exp(), F.gelu,
    ]  # fmt: skip
    for seed, f in enumerate(functions * 4):
        rnn.manual_seed(seed)
        x = (rnn.randn(5) * 0.3).requires_grad_()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert _error(f, x).kind == "noise"


@pytest.mark.parametrize("dtype", [rnn.float32, rnn.float64])
def test_a_formula_that_is_wrong_by_one_percent(dtype: Any) -> None:
    class Off(rnn.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x**2

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return 2.02 * grad * ctx.saved_tensors[0]

    x = rnn.tensor([1.5, 3.0], dtype=dtype, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert _error(Off.apply, x).kind == "formula"


@pytest.mark.parametrize("at", [0.3, 0.7])
def test_curvature_is_no_kink(at: float) -> None:
    x = rnn.tensor([at], dtype=rnn.float64, requires_grad=True)
    error = _error(lambda x: (x * 2e5).sin(), x)
    assert error.kind == "curvature" and "a smaller eps" in str(error)
    assert gradcheck(lambda x: (x * 2e5).sin(), x, eps=1e-8)
    kinked = rnn.tensor([2e-7], dtype=rnn.float64, requires_grad=True)
    assert _error(lambda x: (x * 1e3).abs(), kinked).kind == "kink"


def test_wrong_formula_in_float32() -> None:
    x = rnn.tensor([0.5, 2.0], requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        error = _error(Cube.apply, x, eps=1e-2, atol=1e-2, rtol=1e-2)
    assert error.kind == "formula" and error.input_index == (1,)


def test_output_that_has_lost_its_graph() -> None:
    error = _error(lambda x: x.detach() * 3, _x(2))
    assert error.kind == "not_differentiable" and error.numeric == pytest.approx(3.0)
    assert "Numerical gradient for function expected to be zero" in str(error)


def test_backward_that_is_not_the_same_twice() -> None:
    calls: list[int] = []

    class Drifts(rnn.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 1

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            calls.append(1)
            return grad * (1 + 1e-7 * len(calls))

    error = _error(Drifts.apply, _x(2))
    assert error.kind == "nondeterministic" and "Backward is not reentrant" in str(error)
    calls.clear()
    assert gradcheck(Drifts.apply, _x(2), nondet_tol=1e-3)


def test_undefined_gradients() -> None:
    class NeedsBoth(rnn.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.set_materialize_grads(False)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx: Any, a: Any, b: Any) -> Any:
            return a * 2 + b * 3

    error = _error(NeedsBoth.apply, _x(2))
    assert error.kind == "undefined_grad" and "handle undefined output grads" in str(error)
    assert gradcheck(NeedsBoth.apply, _x(2), check_undefined_grad=False)


def test_it_checks_what_a_formula_of_ours_would_break(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checker sees a wrong derivative wherever it comes from: a hook that scales a gradient."""

    def scaled(x: Any) -> Any:
        y = x * 1
        y.register_hook(lambda grad: grad * 1.01)
        return y.exp()

    error = _error(scaled, _x(2))
    assert error.kind == "formula" and error.analytic is not None and error.numeric is not None
    assert error.analytic / error.numeric == pytest.approx(1.01, rel=1e-5)


# ---- what is refused ----------------------------------------------------------------------------


def test_refused() -> None:
    with pytest.raises(ValueError, match="at least one input tensor to require gradient"):
        gradcheck(lambda x: x, rnn.ones(2))
    with pytest.raises(RuntimeError, match="The 0th input has a dimension with stride 0"):
        gradcheck(lambda x: x * 2, _x(1, 2).expand(3, 2))
    with pytest.raises(TypeError, match="input 1 is complex"):
        gradcheck(lambda x, y: x * 2, (_x(2), np.ones(2, complex)))
    with pytest.raises(NotImplementedError, match="forward-mode"):
        gradcheck(lambda x: x * 2, _x(2), check_forward_ad=True)
    with pytest.raises(AssertionError):
        gradcheck(lambda x: x * 2, _x(2), check_backward_ad=False)


def test_signature() -> None:
    def names(f: Any) -> list[tuple[str, Any, Any]]:
        return [(p.name, p.kind, p.default) for p in inspect.signature(f).parameters.values()]

    assert names(gradcheck) == names(torch.autograd.gradcheck)

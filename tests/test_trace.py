"""Where spans come from: lines of Python (rnn.trace) and calls of modules."""

from __future__ import annotations

import gc
import inspect
import os
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest

import rnn
from rnn import nn
from rnn.inspect import trace as provenance
from rnn.nn import scopes


def _line(x: Any) -> str | None:
    index = (0,) * x.dim() if isinstance(x, rnn.Tensor) else ()
    return rnn.inspect.node(x, *index).line


def _module(x: rnn.Tensor) -> str | None:
    return rnn.inspect.node(x, *(0,) * x.dim()).module


def _here(back: int = 0) -> str:
    frame = inspect.currentframe()
    assert frame is not None and frame.f_back is not None
    return f"test_trace.py:{frame.f_back.f_lineno - back}: "


# ---- lines --------------------------------------------------------------------------------------


def test_line_of_tensors_and_values() -> None:
    x = rnn.ones(2, requires_grad=True)
    with rnn.trace(lines=True):
        y = x * 2
        v = rnn.Value(3.0) ** 2
        place = _here(2)
    assert _line(y) == place + "y = x * 2"
    assert _line(v) == place.replace(str(_number(place)), str(_number(place) + 1)) + (
        "v = rnn.Value(3.0) ** 2"
    )
    assert _line(x) is None
    assert _line(x * 3) is None


def _number(place: str) -> int:
    return int(place.split(":")[1])


def test_line_is_the_users_innermost() -> None:
    class Scale(nn.Module):
        def forward(self, x: Any) -> Any:
            return nn.functional.gelu(x) * 2

    def helper(x: Any) -> Any:
        return x.softmax(0)

    x = rnn.ones(3, requires_grad=True)
    model = nn.Sequential(nn.Linear(3, 3), Scale())
    with rnn.trace():
        out = helper(model(x))
    spans = {s.op: s.line for s in rnn.inspect.graph(out).spans if not s.is_leaf}
    assert spans["gelu"] == spans["mul_scalar"] is not None
    assert "return nn.functional.gelu(x) * 2" in spans["gelu"]
    assert "out = helper(model(x))" in str(spans["linear"])  # nn.Linear's own frames are rnn's
    assert "return x.softmax(0)" in str(spans["softmax"])


def test_lines_at_scalar_resolution() -> None:
    x = rnn.ones(2, requires_grad=True)
    with rnn.trace(), rnn.resolution("scalar"):
        y = x.tanh().sum()
    lines = {s.line for s in rnn.inspect.graph(y).spans if not s.is_leaf}
    assert len(lines) == 1 and "y = x.tanh().sum()" in str(lines.pop())


def test_switch_and_decorator() -> None:
    x = rnn.ones(2, requires_grad=True)

    @rnn.trace
    def bare(x: Any) -> Any:
        return x * 2

    @rnn.trace(lines=True)
    def called(x: Any) -> Any:
        return x * 2

    @rnn.trace(lines=False)
    def untraced(x: Any) -> Any:
        return x * 2

    assert not rnn.inspect.is_tracing()
    assert _line(bare(x)) and _line(called(x)) and not rnn.inspect.is_tracing()
    rnn.trace()
    try:
        assert rnn.inspect.is_tracing() and _line(x * 2)
        assert _line(untraced(x)) is None
        with rnn.trace(lines=False):
            assert _line(x * 2) is None
        assert rnn.inspect.is_tracing()
    finally:
        rnn.trace(lines=False)
    assert not rnn.inspect.is_tracing()


def test_one_object_is_entered_again_and_nested() -> None:
    t = rnn.trace()
    with t, t:
        assert rnn.inspect.is_tracing()
    assert not rnn.inspect.is_tracing()
    with pytest.raises(ZeroDivisionError), t:
        _ = 1 / 0
    assert not rnn.inspect.is_tracing()


def test_it_belongs_to_a_thread() -> None:
    seen: list[Any] = []
    with rnn.trace():
        thread = threading.Thread(target=lambda: seen.append(_line(rnn.ones(1) * 2)))
        thread.start()
        thread.join()
    assert seen == [None]


def test_matrix_trace_is_still_there() -> None:
    x = rnn.arange(9.0).reshape(3, 3).requires_grad_()
    y = rnn.trace(x)
    assert y.item() == 12.0 and rnn.trace(input=x).item() == 12.0
    y.backward()
    assert x.grad is not None and x.grad.tolist() == rnn.eye(3).tolist()
    assert not rnn.inspect.is_tracing()


def test_code_without_a_file() -> None:
    x = rnn.ones(1, requires_grad=True)
    with rnn.trace():
        space: dict[str, Any] = {"x": x}
        exec(compile("\ny = x * 2", "<made>", "exec"), space)
    assert _line(space["y"]) == "<made>:2"


def test_traced_steps_leave_nothing_behind() -> None:
    w, v = rnn.ones(3, requires_grad=True), rnn.Value(1.0)

    def steps(n: int) -> None:
        with rnn.trace():
            for i in range(n):
                y = w * 2
                u = v * 2
                if i % 50 == 0:
                    u.backward()
        y.sum().backward()

    steps(1000)
    gc.collect()
    lines, before, spans = len(provenance._sites), _resident(), rnn.memory_stats()["spans"]
    steps(100_000)
    gc.collect()
    assert len(provenance._sites) == lines
    assert rnn.memory_stats()["spans"] == spans
    assert _resident() - before < 4 << 20


def _resident() -> int:
    """Bytes of this process in memory; 0 where the system does not say so."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


# ---- the overwritten value ----------------------------------------------------------------------


@pytest.mark.parametrize("grad", [True, False])
def test_overwritten_value_names_both_lines(grad: bool) -> None:
    w = rnn.ones(3, requires_grad=True)
    with rnn.trace(), rnn.set_grad_enabled(True):
        a = w * 2
        y = a.exp()
        b = a * y
        with rnn.set_grad_enabled(grad):
            a.detach().add_(1)
        place = _here()
    with pytest.raises(RuntimeError, match="modified by an inplace operation") as raised:
        b.sum().backward()
    number = _number(place)
    assert f"was overwritten by test_trace.py:{number - 1}: a.detach().add_(1) after" in str(
        raised.value
    )
    assert f"MulBackward0 (test_trace.py:{number - 3}: b = a * y) had used it" in str(raised.value)


def test_overwritten_value_says_how_to_see_the_lines() -> None:
    w = rnn.ones(3, requires_grad=True)
    y = w.exp()
    y.detach().add_(1)
    with pytest.raises(RuntimeError, match=r"with rnn.trace\(\) on, this message names both"):
        y.sum().backward()


# ---- modules ------------------------------------------------------------------------------------


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c_proj = nn.Linear(4, 4)

    def forward(self, x: Any) -> Any:
        return self.c_proj(x).tanh()


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attn = Attention()
        self.mlp = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 4))

    def forward(self, x: Any) -> Any:
        return x + self.mlp(x + self.attn(x))


class Model(nn.Module):
    def __init__(self, blocks: int = 2) -> None:
        super().__init__()
        self.h = nn.ModuleList([Block() for _ in range(blocks)])

    def forward(self, x: Any) -> Any:
        for block in self.h:
            x = block(x)
        return x.square().mean()


def test_module_paths() -> None:
    model = Model()
    loss = model(rnn.randn(2, 4))
    made = [(s.op, s.module) for s in rnn.inspect.graph(loss).spans if not s.is_leaf]
    block = [
        ("linear", "h.{}.attn.c_proj"), ("tanh", "h.{}.attn"), ("add", "h.{}"),
        ("linear", "h.{}.mlp.0"), ("gelu", "h.{}.mlp.1"), ("linear", "h.{}.mlp.2"),
        ("add", "h.{}"),
    ]  # fmt: skip
    expected = [(op, path.format(i)) for i in range(2) for op, path in block]
    assert made == [*expected, ("square", "Model"), ("mean", "Model")]
    assert _module(loss * 2) is None


def test_hooks_run_in_their_modules_scope() -> None:
    model = Model()
    seen: list[Any] = []
    model.h[1].attn.register_forward_hook(lambda m, args, out: seen.append(out * 2))
    model(rnn.randn(2, 4))
    assert _module(seen[0]) == "h.1.attn"


def test_scope_ends_with_an_exception() -> None:
    class Fails(nn.Module):
        def forward(self, x: Any) -> Any:
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        nn.Sequential(Fails())(1)
    assert _module(rnn.ones(1, requires_grad=True) * 2) is None


def test_unregistered_modules() -> None:
    class Closure(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = [nn.Linear(2, 2)]  # not in a ModuleList: it has no name

        def forward(self, x: Any) -> Any:
            return self.hidden[0](x)

    assert _module(Closure()(rnn.ones(2))) == "Linear"
    assert _module(nn.Linear(2, 2)(rnn.ones(2))) == "Linear"
    inner = nn.Sequential(Closure())
    assert _module(inner(rnn.ones(2))) == "0.Linear"


def test_a_module_below_an_outer_one() -> None:
    """The caller does not own the module, but a module around it does."""

    class Calls(nn.Module):
        def forward(self, x: Any, other: nn.Module) -> Any:
            return other(x)

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.calls, self.fc = Calls(), nn.Linear(2, 2)

        def forward(self, x: Any) -> Any:
            return self.calls(x, self.fc)

    assert _module(Outer()(rnn.ones(2))) == "fc"


def test_two_models_of_a_class_and_a_replaced_layer() -> None:
    one, two = Model(1), Model(3)
    for model, last in ((one, "h.0"), (two, "h.2"), (one, "h.0")):
        out = model(rnn.randn(2, 4))
        assert [s.module for s in rnn.inspect.graph(out).spans if s.op == "add"][-1] == last
    one.h[0].mlp = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4)))
    spans = rnn.inspect.graph(one(rnn.randn(2, 4))).spans
    assert [s.module for s in spans if s.op == "linear"][-1] == "h.0.mlp.1.0"


def test_a_subclass_may_define_call() -> None:
    class Counts(nn.Linear):
        calls = 0

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            return super().__call__(*args, **kwargs)

    layer = Counts(2, 2)
    assert _module(layer(input=rnn.ones(2))) == "Counts" and layer.calls == 1


def test_a_call_is_as_python_knows_it() -> None:
    layer = nn.Linear(2, 2)
    assert str(inspect.signature(layer)) == "(*args, **kwargs)"
    assert list(inspect.signature(nn.Linear).parameters)[:2] == ["in_features", "out_features"]

    class Endless(nn.Module):
        def forward(self, x: Any) -> Any:
            return self(x)

    with pytest.raises(RecursionError):
        Endless()(1)
    layer.forward = lambda x: x * 3
    assert layer(rnn.ones(1)).item() == 3


def test_values_know_their_module() -> None:
    class Neuron(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = [rnn.Value(1.0), rnn.Value(2.0)]

        def forward(self, x: float) -> Any:
            return self.w[0] * x + self.w[1]

    out = Neuron()(3.0)
    assert rnn.inspect.node(out).module == "Neuron"
    assert rnn.inspect.node(out * 2).module is None
    with rnn.trace():
        traced = Neuron()(3.0) * 2
    assert "traced = Neuron()" in str(rnn.inspect.node(traced).line)


def test_scopes_keep_no_module_alive() -> None:
    x = rnn.ones(2)

    def run() -> weakref.ref[Any]:
        model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        model(x)
        return weakref.ref(model)

    run()
    known = len(scopes._scopes)
    gone = [run() for _ in range(300)]
    gc.collect()
    assert all(ref() is None for ref in gone)
    assert len(scopes._scopes) == known


def test_parameter_names() -> None:
    model = Model(1)
    model(rnn.randn(2, 4))
    names = provenance.parameter_names()
    numbers = {rnn._c.lib.rnn_span_of(p._h): name for name, p in model.named_parameters()}
    assert numbers and numbers.items() <= names.items()


def test_pickled_and_copied_modules_still_run() -> None:
    import copy
    import pickle

    model = nn.Sequential(nn.Linear(2, 2))
    x = rnn.ones(1, 2)
    expected = model(x).tolist()
    assert copy.deepcopy(model)(x).tolist() == expected
    assert pickle.loads(pickle.dumps(model))(x).tolist() == expected

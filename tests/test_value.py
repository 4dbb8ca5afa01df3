"""Value: micrograd's programs, with the class replaced, print the same to the last digit."""

from __future__ import annotations

import copy
import math
import pickle
import random
import threading
from itertools import pairwise
from typing import Any

import numpy as np
import plain
import pytest
from micrograd import engine, nn

import rnn
from rnn import Value


class Plain(plain.Value):
    """The same in plain Python, with the rest of micrograd's interface."""

    __slots__ = ()

    def tanh(self) -> Plain:
        t = math.tanh(self.data)
        return plain.Value(t, (self,), (1 - t * t,))

    def __radd__(self, other: Any) -> Any:
        return self + other


BOTH = (Plain, Value)


def both(program: Any) -> None:
    theirs, ours = [program(V) for V in BOTH]
    assert ours == theirs


# ---- arithmetic ----------------------------------------------------------------------------------


def test_every_mix_of_operators():
    def program(V):
        a, b = V(-4.0), V(2.0)
        c = a + b
        d = a * b + b**3
        c = c + c + 1
        c = c + 1 + c + (-a)
        d = d + d * 2 + (b + a).relu()
        d = d + 3 * d + (b - a).relu()
        e = c - d
        f = e**2
        g = f / 2.0
        g = g + 10.0 / f
        g = g - 5 + (1 - b) + b / 3 + 3 / b + (0.5 * b).exp() + (b + 2).log()
        g.backward()
        return [x.data for x in (a, b, c, d, e, f, g)], a.grad, b.grad

    both(program)


def test_a_value_used_twice_in_one_operation():
    def program(V):
        a = V(3.0)
        b = a * a + a
        c = b * b * a
        c.backward()
        return c.data, a.grad

    both(program)


def test_sum_and_max():
    def program(V):
        xs = [V(x) for x in (0.3, -2.0, 1.7)]
        top = max(x.data for x in xs)
        exps = [(x - top).exp() for x in xs]
        total = sum(exps)
        loss = -(exps[1] / total).log()
        loss.backward()
        best = max(xs, key=lambda x: x.data)
        return loss.data, [x.grad for x in xs], best is xs[2]

    both(program)


@pytest.mark.parametrize(
    "number", [2, 0.5, True, np.float64(2.0), np.float32(0.5), np.int64(3), 10**20]
)
def test_numbers_of_every_kind(number):
    a = Value(1.5)
    n = float(number)
    for made, expected in (
        (a + number, 1.5 + n),
        (number + a, n + 1.5),
        (a - number, 1.5 - n),
        (number - a, n - 1.5),
        (a * number, 1.5 * n),
        (number * a, n * 1.5),
        (a / number, 1.5 * n**-1),
        (number / a, n * 1.5**-1),
    ):
        assert isinstance(made, Value)
        assert made.data == expected
    assert (a ** min(n, 3.0)).data == 1.5 ** min(n, 3.0)
    assert (2**a).data == 2**1.5


def test_functions():
    x = Value(0.7)
    for name, fn in (
        ("exp", math.exp),
        ("log", math.log),
        ("ln", math.log),
        ("tanh", math.tanh),
        ("sin", math.sin),
        ("cos", math.cos),
        ("sqrt", math.sqrt),
    ):
        assert getattr(x, name)().data == fn(0.7)
    assert x.sigmoid().data == 1 / (1 + math.exp(-0.7))
    assert abs(Value(-2.0)).data == Value(-2.0).abs().data == 2
    assert (+x).data == 0.7
    assert (-x).data == -0.7


def test_what_is_not_a_number():
    a = Value(1.0)
    for wrong in ("1", None, [1], {}, 1j):
        with pytest.raises(TypeError):
            _ = a + wrong
        with pytest.raises(TypeError):
            _ = wrong * a if wrong != [1] else a * wrong
        with pytest.raises(TypeError):
            Value(wrong)
    with pytest.raises(TypeError):
        Value()
    with pytest.raises(TypeError):
        Value(1.0, dtype=rnn.int64)
    with pytest.raises(TypeError):
        pow(a, 2, 3)


def test_an_operation_of_ones_own_is_refused():
    """micrograd's own way of making one would be a leaf, and its derivative never asked for."""
    a = Value(2.0)
    assert Value(2.0, (), "").children == ()
    with pytest.raises(TypeError, match="knows no derivative"):
        Value(4.0, (a,), "double")
    with pytest.raises(AttributeError, match="cannot be replaced"):
        (a * 2)._backward = lambda: None


def test_special_numbers_are_those_of_ieee():
    inf, nan = Value(math.inf), Value(math.nan)
    assert (inf - inf).data != 0
    assert math.isnan((nan + 1).data)
    assert (Value(1.0) / 0).data == math.inf
    assert Value(1000.0).exp().data == math.inf
    assert Value(0.0).log().data == -math.inf
    assert math.copysign(1, (Value(-0.0) * 1).data) == -1
    assert (Value(5e-324) * 1).data == 5e-324


# ---- comparison, conversion, repr ----------------------------------------------------------------


def test_comparison_and_hash():
    a, b = Value(1.0), Value(1.0)
    assert a == b
    assert a == 1
    assert a < 2 <= Value(2.0) < Value(3.0)
    assert a != 2
    assert len({a, b}) == 2
    assert {a: 1}[a] == 1
    assert Value(math.nan) != Value(math.nan)
    assert (a == "x") is False


def test_conversion_and_repr():
    a = Value(2.5)
    assert float(a) == a.item() == a.data == 2.5
    assert int(float(a)) == 2
    assert bool(a)
    assert not Value(0.0)
    assert repr(a) == "Value(data=2.5, grad=0.0)"
    assert f"{a:.2f}" == "2.50"
    assert f"{a}" == repr(a)
    assert isinstance(a.data, float)


def test_attributes():
    a = Value(1.0, label="a")
    b = Value(2.0)
    assert (a.label, b.label) == ("a", "")
    b.label = "b"
    b.anything = [b]  # a cycle: the garbage collector sees it
    assert (b.label, b.anything) == ("b", [b])
    c = a * b
    c.label = "c"
    assert c._prev == {a, b}
    assert c.children == (a, b)
    assert (c._op, c.op, a._op, a._prev) == ("*", "mul", "", set())
    assert [x._op for x in (a + 1, a**2, a.relu(), a.tanh(), a.exp(), a - b)] == [
        "+", "**2", "ReLU", "tanh", "exp", "-",
    ]  # fmt: skip
    with pytest.raises(AttributeError):
        _ = a.missing
    with pytest.raises(AttributeError):
        del a.data
    with pytest.raises(TypeError):
        a.data = "x"


def test_cycles_are_collected():
    import gc
    import weakref

    class Thing:
        pass

    a = Value(1.0)
    thing = Thing()
    a.thing, thing.value = thing, a
    gone = weakref.ref(thing)
    del a, thing
    gc.collect()
    assert gone() is None


def test_copies_and_pickles_are_leaves():
    a = Value(1.5, label="a")
    b = a * 2
    b.backward()
    b.note = "b"
    for made in (copy.copy(b), copy.deepcopy(b), pickle.loads(pickle.dumps(b))):
        assert (made.data, made.grad, made.note, made.op) == (3.0, 1.0, "b", "")
    assert pickle.loads(pickle.dumps(a)).label == "a"
    layers = copy.deepcopy([[a, a]])
    assert layers[0][0] is layers[0][1]


def test_subclasses():
    class Mine(Value):
        def twice(self):
            return self * 2

    m = Mine(1.0)
    m.extra = 3
    assert m.twice().data == 2.0
    assert type(m.twice()) is Value


# ---- backward ------------------------------------------------------------------------------------


def trace(root: Any) -> tuple[list[Any], list[Any]]:
    """Karpathy's: all nodes and edges below a root."""
    nodes, edges = [], []
    seen = set()

    def build(v):
        if id(v) not in seen:
            seen.add(id(v))
            nodes.append(v)
            for child in v._prev:
                edges.append((id(child), id(v)))
                build(child)

    build(root)
    return nodes, edges


def test_drawing():
    x1, x2 = Value(2.0, label="x1"), Value(0.0, label="x2")
    w1, w2, b = Value(-3.0, label="w1"), Value(1.0, label="w2"), Value(6.88, label="b")
    n = x1 * w1 + x2 * w2 + b
    o = n.tanh()
    nodes, edges = trace(o)
    assert len(nodes) == 10
    assert len(edges) == 9
    assert sorted(v.label for v in nodes if v.label) == ["b", "w1", "w2", "x1", "x2"]
    o.backward()
    assert x1.grad == pytest.approx(-3 * (1 - o.data**2))
    assert {v.label: v.grad for v in nodes}["x2"] == x2.grad


def test_backward_by_hand():
    a, b = Value(2.0), Value(-3.0)
    c = a * b
    d = (c + a).tanh()
    d.grad = 1.0
    topo: list[Any] = []
    seen = set()

    def build(v):
        if v not in seen:
            seen.add(v)
            for child in v._prev:
                build(child)
            topo.append(v)

    build(d)
    for node in reversed(topo):
        node._backward()
    by_hand = a.grad, b.grad
    a.grad = b.grad = 0
    d.backward()
    assert by_hand == pytest.approx((a.grad, b.grad))


def test_leaves_add_up_and_can_be_cleared():
    a = Value(3.0)
    b = a * a
    b.backward()
    b.backward()
    assert a.grad == 12
    a.zero_grad()
    assert a.grad == 0
    a.grad = 1.5
    b.backward(gradient=2.0)
    assert a.grad == 1.5 + 12
    assert b.grad == 2.0
    b.backward(retain_graph=False)
    with pytest.raises(RuntimeError, match="second time"):
        b.backward()


def test_requires_grad():
    a, b = Value(2.0, requires_grad=False), Value(3.0)
    c = a * b
    c.backward()
    assert (a.grad, b.grad) == (0.0, 2.0)
    assert not (a * 2).requires_grad
    assert not c.detach().requires_grad
    with pytest.raises(RuntimeError, match="does not require grad"):
        a.backward()
    with pytest.raises(RuntimeError, match="leaf"):
        c.requires_grad = False
    with rnn.no_grad():
        assert not (b * 2).requires_grad
    a.requires_grad = True
    (a * b).backward()
    assert a.grad == 3.0


def neuron_program(V: Any) -> list[Any]:
    """An MLP as in micrograd's demo, trained on four points."""
    rng = random.Random(1337)
    sizes = [3, 4, 4, 1]
    layers = [
        [([V(rng.uniform(-1, 1)) for _ in range(n)], V(0.0)) for _ in range(m)]
        for n, m in pairwise(sizes)
    ]
    params = [p for layer in layers for w, b in layer for p in (*w, b)]
    xs = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
    ys = [1.0, -1.0, -1.0, 1.0]

    def call(x):
        for k, layer in enumerate(layers):
            x = [sum((wi * xi for wi, xi in zip(w, x)), b) for w, b in layer]
            x = [v.relu() for v in x] if k < 2 else x
        return x[0]

    out: list[Any] = []
    for step in range(20):
        predictions = [call(x) for x in xs]
        loss = sum((p - y) ** 2 for p, y in zip(predictions, ys))
        loss = loss * (1.0 / 4) + 1e-4 * sum(p * p for p in params)
        for p in params:
            p.grad = 0
        loss.backward()
        for p in params:
            p.data -= (0.1 - 0.001 * step) * p.grad
        out.append(f"step {step} loss {loss.data!r}")
    return [*out, [p.data for p in params], [p.grad for p in params]]


def test_an_mlp_prints_the_same_to_the_last_digit():
    both(neuron_program)


def test_micrograds_own_network():
    found = []
    kept = nn.Value
    try:
        for V in (engine.Value, Value):
            nn.Value = V
            random.seed(7)
            model = nn.MLP(2, [4, 4, 1])
            out = model([V(0.5), V(-1.5)])
            model.zero_grad()
            out.backward()
            found.append([out.data, *[p.grad for p in model.parameters()]])
    finally:
        nn.Value = kept
    # micrograd orders its passes by sets: gradients that add up agree to rounding only
    np.testing.assert_allclose(found[1], found[0], rtol=1e-13)
    assert found[1][0] == found[0][0]


def random_program(V: Any, seed: int) -> list[float]:
    """Forty random operations, each on anything before it: all values and gradients."""
    rng = random.Random(seed)
    xs = [V(rng.uniform(-2, 2)) for _ in range(4)]
    for _ in range(40):
        a, b, c = rng.choice(xs), rng.choice(xs), rng.uniform(-2, 2)
        power = rng.choice([2, 3, -1, 2.0, 1])
        made = rng.choice(
            [
                lambda: a + b, lambda: a * b, lambda: a - b, lambda: a / b, lambda: -a,
                lambda: a + c, lambda: c + a, lambda: a - c, lambda: c - a, lambda: a * c,
                lambda: c * a, lambda: a / c, lambda: c / a, lambda: a**power,
                lambda: a.relu(), lambda: a.exp(), lambda: (a * a + 1).log(),
            ]
        )  # fmt: skip
        try:
            v = made()
        except (OverflowError, ZeroDivisionError):  # the plain class's: ours goes on with infinity
            continue
        if 1e-6 < abs(v.data) < 1e6:
            xs.append(v)
    sum(xs[-6:]).backward()
    return [float(x.data) for x in xs] + [float(x.grad) for x in xs]


def test_random_programs_agree_to_the_last_digit():
    for seed in range(200):
        both(lambda V, seed=seed: random_program(V, seed))


def demo_program(V: Any) -> list[str]:
    """In the style of micrograd's demo: modules, a hinge loss, regularisation, accuracy."""
    rng = random.Random(1)

    class Module:
        def zero_grad(self):
            for p in self.parameters():
                p.grad = 0

        def parameters(self):
            return []

    class Neuron(Module):
        def __init__(self, nin, nonlin=True):
            self.w = [V(rng.uniform(-1, 1)) for _ in range(nin)]
            self.b = V(0)
            self.nonlin = nonlin

        def __call__(self, x):
            act = sum((wi * xi for wi, xi in zip(self.w, x)), self.b)
            return act.relu() if self.nonlin else act

        def parameters(self):
            return [*self.w, self.b]

    class Layer(Module):
        def __init__(self, nin, nout, **kwargs):
            self.neurons = [Neuron(nin, **kwargs) for _ in range(nout)]

        def __call__(self, x):
            out = [n(x) for n in self.neurons]
            return out[0] if len(out) == 1 else out

        def parameters(self):
            return [p for n in self.neurons for p in n.parameters()]

    class MLP(Module):
        def __init__(self, nin, nouts):
            sizes = [nin, *nouts]
            self.layers = [
                Layer(sizes[i], sizes[i + 1], nonlin=i != len(nouts) - 1) for i in range(len(nouts))
            ]

        def __call__(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

        def parameters(self):
            return [p for layer in self.layers for p in layer.parameters()]

    model = MLP(2, [6, 6, 1])
    angles = [rng.uniform(0, math.pi) for _ in range(16)]
    points = [[math.cos(a) + i % 2, math.sin(a) * (1 - 2 * (i % 2))] for i, a in enumerate(angles)]
    labels = [1 - 2 * (i % 2) for i in range(16)]
    printed = []
    for k in range(6):
        inputs = [list(map(V, row)) for row in points]
        scores = list(map(model, inputs))
        losses = [(1 + -yi * scorei).relu() for yi, scorei in zip(labels, scores)]
        data_loss = sum(losses) * (1.0 / len(losses))
        reg_loss = 1e-4 * sum(p * p for p in model.parameters())
        total_loss = data_loss + reg_loss
        accuracy = [(yi > 0) == (scorei.data > 0) for yi, scorei in zip(labels, scores)]
        model.zero_grad()
        total_loss.backward()
        learning_rate = 1.0 - 0.9 * k / 100
        for p in model.parameters():
            p.data -= learning_rate * p.grad
        right = sum(accuracy) / len(accuracy) * 100
        printed.append(f"step {k} loss {total_loss.data!r}, accuracy {right}%")
    return printed


def test_micrograds_demo_prints_the_same():
    both(demo_program)


def test_attention_on_values_prints_the_same():
    """microgpt's helpers: lists of lists, softmax by the largest .data, a norm, sums."""

    def program(V):
        rng = random.Random(3)

        def matrix(nout, nin, std=0.4):
            return [[V(rng.gauss(0, std)) for _ in range(nin)] for _ in range(nout)]

        def linear(x, w):
            return [sum(wi * xi for wi, xi in zip(wo, x)) for wo in w]

        def softmax(logits):
            top = max(val.data for val in logits)
            exps = [(val - top).exp() for val in logits]
            total = sum(exps)
            return [e / total for e in exps]

        def rmsnorm(x):
            scale = (sum(xi * xi for xi in x) / len(x) + 1e-5) ** -0.5
            return [xi * scale for xi in x]

        wte, wq, wk, wv, head = matrix(5, 4), *[matrix(4, 4) for _ in range(3)], matrix(5, 4)
        params = [p for m in (wte, wq, wk, wv, head) for row in m for p in row]
        m, v = [0.0] * len(params), [0.0] * len(params)
        printed = []
        for step in range(3):
            keys, values, losses = [], [], []
            for token, target in pairwise([0, 3, 1, 4, 0]):
                x = rmsnorm(wte[token])
                q, k = linear(x, wq), linear(x, wk)
                keys.append(k)
                values.append(linear(x, wv))
                scores = [sum(q[j] * k[j] for j in range(4)) / 4**0.5 for k in keys]
                weights = softmax(scores)
                mixed = [sum(w * u[j] for w, u in zip(weights, values)) for j in range(4)]
                x = [a + b for a, b in zip(x, mixed)]
                losses.append(-softmax(linear(x, head))[target].log())
            loss = (1 / len(losses)) * sum(losses)
            loss.backward()
            for i, p in enumerate(params):
                m[i] = 0.9 * m[i] + 0.1 * p.grad
                v[i] = 0.95 * v[i] + 0.05 * p.grad**2
                p.data -= 0.1 * m[i] / (v[i] ** 0.5 + 1e-8)
                p.grad = 0
            printed.append(f"step {step + 1} | loss {loss.data!r}")
        return printed

    both(program)


# ---- with tensors --------------------------------------------------------------------------------


def test_graph_size_counts_each_node_once():
    a, b = Value(2.0), Value(3.0)
    c = a * b
    assert a.graph_size() == 1
    assert c.graph_size() == 3
    assert (c + c).graph_size() == 4
    assert (rnn.ones(4, requires_grad=True).value(1) * a).graph_size() == 6  # a tensor is one span


def test_an_element_is_one_value():
    t = rnn.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    v = t.value(1, 0)
    assert v is t.value(1, 0)
    assert v is t.t().value(0, 1)
    assert v is not t.value(0, 0)
    assert v.data == 3.0
    (v * v).backward()
    assert t.grad.tolist() == [[0, 0], [6, 0]]
    assert v.grad == 6.0
    v.data = 10.0
    assert t.tolist() == [[1, 2], [10, 4]]
    with pytest.raises(IndexError):
        t.value(2, 0)


def test_an_element_that_was_overwritten_is_refused():
    x = rnn.tensor([1.0, 2.0], requires_grad=True)
    v = x.value(0) * x.value(0)
    with rnn.no_grad():
        x.add_(1)
    with pytest.raises(RuntimeError, match="a leaf, was overwritten after MulBackward0"):
        v.backward()


def test_values_and_tensors_mix():
    t = rnn.tensor([1.0, 2.0], requires_grad=True)
    v = Value(3.0)
    for out in (t * v, v * t, t + v, v - t):
        assert isinstance(out, rnn.Tensor)
        out.sum().backward()
    assert t.grad.tolist() == [3 + 3 + 1 - 1] * 2
    assert v.grad == 3 + 3 + 2 + 2


def test_a_tensor_of_values():
    a, b = Value(2.0), Value(3.0)
    t = rnn.tensor([[a, b], [b, a * b]])
    (t * t).sum().backward()
    assert (a.grad, b.grad) == (2 * 2.0 + 2 * 6 * 3, 4 * 3.0 + 2 * 6 * 2)


def test_numpy_arrays_of_values():
    xs = np.array([Value(1.0), Value(2.0)], dtype=object)
    out = (xs * xs).sum()
    out.backward()
    assert [x.grad for x in xs] == [2.0, 4.0]


# ---- threads -------------------------------------------------------------------------------------


def test_values_in_threads():
    right = neuron_program(Value)
    found: list[Any] = []

    def work():
        found.append(neuron_program(Value))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == [right] * 3


def test_shared_values_in_threads():
    shared = Value(2.0)

    def work():
        for _ in range(300):
            (shared * shared * 0.5).backward()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert shared.grad == 2.0 * 900

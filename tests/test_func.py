"""rnn.func: functions of functions, beside torch.func."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import rnn
from rnn.func import trees

Pair = namedtuple("Pair", "a b")


def _numbers(tree: Any) -> Any:
    return trees.mapped(lambda t: t.detach().numpy() if hasattr(t, "detach") else t, tree)


def _same(program: Callable[[Any], Any], tolerance: float = 1e-9) -> None:
    """The program gives the same nest of the same numbers with both libraries."""
    want, got = _numbers(program(torch)), _numbers(program(rnn))
    assert trees.structure(want) == trees.structure(got)
    for w, g in zip(trees.leaves(want), trees.leaves(got)):
        assert np.shape(w) == np.shape(g)
        np.testing.assert_allclose(g, w, tolerance, tolerance)


def _x(lib: Any, *shape: int, seed: int = 0) -> Any:
    values = np.random.default_rng(seed).normal(size=shape)
    return lib.tensor(values, dtype=lib.float64)


def _f(lib: Any, x: Any, y: Any) -> Any:
    return (x * y).tanh().sum() + (x**3 * y.exp()).sum()


PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "grad": lambda m: m.func.grad(lambda x, y: _f(m, x, y))(_x(m, 3), _x(m, 3, seed=1)),
    "grad of two": lambda m: m.func.grad(lambda x, y: _f(m, x, y), (1, 0))(
        _x(m, 3), _x(m, 3, seed=1)
    ),
    "grad of the last": lambda m: m.func.grad(lambda x, y: _f(m, x, y), -1)(
        _x(m, 3), _x(m, 3, seed=1)
    ),
    "thrice": lambda m: m.func.grad(m.func.grad(m.func.grad(lambda x: x**5 * m.sin(x))))(_x(m)),
    "unused": lambda m: m.func.grad(lambda x, y: (y * y).sum())(_x(m, 3), _x(m, 3, seed=1)),
    "constant": lambda m: m.func.grad(lambda x: m.tensor(1.0, dtype=m.float64))(_x(m, 3)),
    "nests": lambda m: m.func.grad(
        lambda p: (p["w"] * p["more"][0]).sum() + p["more"][1].a.exp() - p["more"][1].b
    )({"w": _x(m, 3), "more": [_x(m, 3, seed=1), Pair(_x(m, seed=2), _x(m, seed=3))]}),
    "value": lambda m: m.func.grad_and_value(lambda x: (x**2).sum())(_x(m, 4)),
    "aux": lambda m: m.func.grad_and_value(lambda x: ((x**2).sum(), {"x": x * 2}), has_aux=True)(
        _x(m, 4)
    ),
    "grad aux": lambda m: m.func.grad(lambda x: ((x**2).sum(), [x]), has_aux=True)(_x(m, 4)),
    "keyword": lambda m: m.func.grad(lambda x, k: (x**k).sum())(_x(m, 4), k=3),
    "vjp": lambda m: _vjp(m),
    "jvp": lambda m: m.func.jvp(
        lambda x, y: (x * y.exp(), {"s": x.sum()}, y * 0 + 1),
        (_x(m, 3), _x(m, 3, seed=1)), (_x(m, 3, seed=2), _x(m, 3, seed=3)),
    ),
    "jvp aux": lambda m: m.func.jvp(
        lambda x: (x.sin(), x + 1), (_x(m, 3),), (_x(m, 3, seed=2),), has_aux=True
    ),
    "jvp of a constant": lambda m: m.func.jvp(
        lambda x: m.ones(2, dtype=m.float64), (_x(m, 3),), (_x(m, 3, seed=2),)
    ),
    "jacrev": lambda m: m.func.jacrev(lambda x: x.outer(x).sin())(_x(m, 3)),
    "jacrev of two": lambda m: m.func.jacrev(
        lambda x, y: {"a": x * y, "b": (x.sum(),)}, argnums=(0, 1)
    )(_x(m, 3), _x(m, 3, seed=1)),
    "jacrev of a dict": lambda m: m.func.jacrev(lambda p: p["w"] * p["v"])(
        OrderedDict(w=_x(m, 2), v=_x(m, 2, seed=1))
    ),
    "jacrev aux": lambda m: m.func.jacrev(lambda x: (x**2, x), has_aux=True)(_x(m, 2)),
    "jacfwd": lambda m: m.func.jacfwd(lambda x: x.sin() * x.sum())(_x(m, 2, 2)),
    "hessian": lambda m: m.func.hessian(lambda x: (x.sin() * x.sum()).sum())(_x(m, 3)),
    "hessian of two": lambda m: m.func.hessian(lambda x, y: _f(m, x, y), (0, 1))(
        _x(m, 2), _x(m, 2, seed=1)
    ),
    "gradient of a jvp": lambda m: m.func.grad(
        lambda x: m.func.jvp(m.sin, (x,), (x * x,))[1].sum()
    )(_x(m, 3)),
    "gradient of a vjp by its vector": lambda m: m.func.grad(
        lambda v: m.func.vjp(lambda x: x**3, _x(m, 3))[1](v * v)[0].sum()
    )(_x(m, 3, seed=1)),
    "product with the Hessian": lambda m: m.func.jvp(
        m.func.grad(lambda x: (x**3).prod()), (_x(m, 3),), (_x(m, 3, seed=1),)
    )[1],
    "vmap": lambda m: m.func.vmap(m.dot)(_x(m, 4, 3), _x(m, 4, 3, seed=1)),
    "vmap dims": lambda m: m.func.vmap(
        lambda x, y: (x @ y, {"s": x.sum(0)}), (1, None), (1, {"s": -1})
    )(_x(m, 2, 4, 3), _x(m, 3, 5, seed=1)),
    "vmap of nests": lambda m: m.func.vmap(
        lambda p, k: p["a"] * k + p["b"], ({"a": 0, "b": None}, None)
    )({"a": _x(m, 4, 2), "b": _x(m, 2, seed=1)}, 3),
    "vmap of vmap": lambda m: m.func.vmap(m.func.vmap(m.dot, (None, 0)), (0, None))(
        _x(m, 4, 3), _x(m, 5, 3, seed=1)
    ),
    "a gradient for each sample": lambda m: m.func.vmap(
        m.func.grad(lambda w, x: (w @ x).tanh().sum()), (None, 0)
    )(_x(m, 2, 3), _x(m, 4, 3, seed=1)),
    "out_dims None": lambda m: m.func.vmap(lambda x: (x * 2, 5), out_dims=(0, None))(_x(m, 3)),
    "integers": lambda m: m.func.vmap(lambda i: i + 1)(m.arange(3)),
}  # fmt: skip


def _vjp(m: Any) -> Any:
    out, product, aux = m.func.vjp(
        lambda x, y: ((x * y, [x.sum()]), y + 1), _x(m, 3), _x(m, 3, seed=1), has_aux=True
    )
    first = product((_x(m, 3, seed=2), [_x(m, seed=3)]))
    return out, aux, first, product((_x(m, 3, seed=4), [_x(m, seed=5)]))


@pytest.mark.parametrize("name", PROGRAMS)
def test_like_torch(name: str) -> None:
    _same(PROGRAMS[name])


def test_what_it_gives_belongs_to_outer_graphs_alone() -> None:
    """A parameter that the function reads makes the gradient part of its graph; nothing else."""

    def program(m: Any) -> Any:
        w = _x(m, 3).requires_grad_()
        x = _x(m, 3, seed=1)
        g, value = m.func.grad_and_value(lambda t: (t * w).sin().sum())(x)
        assert g.requires_grad and value.requires_grad
        (g.sum() * value).backward()
        plain = m.func.grad(lambda t: (t * w.detach()).sin().sum())(x)
        assert not plain.requires_grad and not x.requires_grad
        with m.no_grad():
            off = m.func.grad(lambda t: (t * w).sin().sum())(x)
        assert not off.requires_grad
        own = m.func.grad(lambda t: (t**3).sum())(w)
        assert own.requires_grad
        return w.grad, plain, off, own

    _same(program)
    with pytest.warns(UserWarning, match="reference cycle"):  # .grad is left alone by func
        x = rnn.tensor(2.0, requires_grad=True)
        (x**3).backward(create_graph=True)
    rnn.func.grad(lambda t: t * t)(x)
    assert x.grad.item() == 12.0


def _module(m: Any) -> Any:
    m.manual_seed(0)
    nn = m.nn
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)).double()


def test_functional_call() -> None:
    def program(m: Any) -> Any:
        net, x = _module(m), _x(m, 5, 3)
        before = {k: v.clone() for k, v in net.state_dict().items()}
        parameters = {k: v.detach() * 2 for k, v in net.named_parameters()}
        buffers = {k: v.clone() for k, v in net.named_buffers()}

        def loss(p: Any) -> Any:
            return m.func.functional_call(net, (p, buffers), (x,)).square().mean()

        trained = loss(parameters)
        net.eval()
        grads = m.func.grad(loss)(parameters)
        for key, value in net.state_dict().items():
            assert m.equal(value, before[key])
        assert all(p.requires_grad and p.grad is None for p in net.parameters())
        some = m.func.functional_call(net, {"0.bias": m.ones(4, dtype=m.float64)}, x)
        return trained, grads, buffers, some

    _same(program)


def test_tied_weights_and_what_cannot_be() -> None:
    for m in (rnn, torch):
        net = m.nn.Sequential(m.nn.Linear(2, 2, bias=False), m.nn.Linear(2, 2, bias=False))
        net[1].weight = net[0].weight
        call, x, two = m.func.functional_call, m.ones(2), 2 * m.eye(2)
        assert call(net, {"0.weight": two}, x).tolist() == [4.0, 4.0]
        assert call(net, {"0.weight": two, "1.weight": two}, (x,)).tolist() == [4.0, 4.0]
        net[0].weight.data = m.eye(2)
        assert call(net, {"0.weight": two}, x, tie_weights=False).tolist() == [2.0, 2.0]
        with pytest.raises(ValueError, match="multiple values for keys"):
            call(net, {"0.weight": two, "1.weight": two * 1}, x)
        with pytest.raises(ValueError, match="appeared in multiple"):
            call(net, ({"0.weight": two}, {"0.weight": two}), x)
        with pytest.raises(ValueError, match="dict, or a list/tuple of dicts"):
            call(net, 3, x)
        with pytest.raises(RuntimeError, match=r"Unexpected key\(s\): 'no'"):
            call(net, {"no": two}, x, strict=True)
        with pytest.raises(RuntimeError, match=r"Missing key\(s\)"):
            call(net, {}, x, strict=True)
    with pytest.raises(KeyError, match="no parameter or buffer 'no'"):
        rnn.func.functional_call(net_of_rnn(), {"no": rnn.ones(2)}, rnn.ones(2))


def net_of_rnn() -> Any:
    return rnn.nn.Linear(2, 2)


def test_an_ensemble() -> None:
    def program(m: Any) -> Any:
        m.manual_seed(0)
        models = [m.nn.Linear(3, 2) for _ in range(4)]
        parameters, buffers = m.func.stack_module_state(models)
        assert all(p.requires_grad and p.is_leaf for p in parameters.values())
        x = m.arange(15.0).view(5, 3)
        out = m.func.vmap(
            lambda p, b: m.func.functional_call(models[0], (p, b), (x,)), randomness="different"
        )(parameters, buffers)
        out.square().sum().backward()
        return out, {k: p.grad for k, p in parameters.items()}

    _same(program, 1e-5)
    with pytest.raises(RuntimeError, match="at least one model"):
        rnn.func.stack_module_state([])
    with pytest.raises(RuntimeError, match="same class"):
        rnn.func.stack_module_state([rnn.nn.Linear(1, 1), rnn.nn.Tanh()])


ERRORS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "no scalar": (lambda m: m.func.grad(lambda x: x)(m.ones(2)), "scalar"),
    "no tensor": (lambda m: m.func.grad(lambda x: 1.0)(m.ones(2)), "Tensor"),
    "argnum": (lambda m: m.func.grad(lambda x: x.sum(), 1)(m.ones(2)), "only 1 positional"),
    "argnums": (lambda m: m.func.grad(lambda x: x.sum(), (0, 0))(m.ones(2)), "unique"),
    "empty": (lambda m: m.func.grad(lambda x: x.sum(), ())(m.ones(2)), "non-empty"),
    "argument": (lambda m: m.func.grad(lambda x: x.sum())(2.0), "must be Tensor"),
    "aux": (lambda m: m.func.grad(lambda x: x.sum(), has_aux=True)(m.ones(2)), "aux"),
    "cotangents": (lambda m: m.func.vjp(m.sin, m.ones(2))[1]((m.ones(2),)), "structure"),
    "primals": (lambda m: m.func.jvp(m.sin, m.ones(2), m.ones(2)), "to be a tuple"),
    "tangents": (lambda m: m.func.jvp(m.sin, (m.ones(2),), ()), "same python structure"),
    "strict": (
        lambda m: m.func.jvp(lambda x: m.ones(2), (m.ones(2),), (m.ones(2),), strict=True),
        "independent",
    ),
    "in_dims": (lambda m: m.func.vmap(m.sin, "a")(m.ones(2)), "expected `in_dims` to be int"),
    "no inputs": (lambda m: m.func.vmap(lambda: m.ones(2))(), "got no inputs"),
    "structure": (lambda m: m.func.vmap(m.sin, (0, 0))(m.ones(2)), "not compatible"),
    "dim": (lambda m: m.func.vmap(m.sin, 2)(m.ones(2)), "dimensionality 1"),
    "number": (lambda m: m.func.vmap(m.mul)(m.ones(2), 2), "non-Tensor"),
    "sizes": (lambda m: m.func.vmap(m.mul)(m.ones(2), m.ones(3)), r"got sizes \[2, 3\]"),
    "nothing": (lambda m: m.func.vmap(m.sin, None)(m.ones(2)), "vmap over|in_dims=None"),
    "result": (lambda m: m.func.vmap(lambda x: 1)(m.ones(2)), "must only return Tensors"),
    "out_dims": (lambda m: m.func.vmap(m.sin, out_dims=(0, 0))(m.ones(2)), "not compatible"),
    "random": (lambda m: m.func.vmap(lambda x: x + m.rand(1))(m.ones(2)), "randomness error mode"),
    "randomness": (lambda m: m.func.vmap(m.sin, randomness="no")(m.ones(2)), "Only allowed"),
    "chunk": (lambda m: m.func.jacrev(m.sin, chunk_size=0)(m.ones(2)), "greater than 0"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_torch_s(name: str) -> None:
    run, text = ERRORS[name]
    with pytest.raises(Exception) as theirs:
        run(torch)
    with pytest.raises(type(theirs.value), match=text):
        run(rnn)


def test_randomness() -> None:
    x = rnn.zeros(3)
    rnn.manual_seed(1)
    expected = rnn.rand(3)
    rnn.manual_seed(1)
    different = rnn.func.vmap(lambda t: t + rnn.rand(()), randomness="different")(x)
    assert different.tolist() == expected.tolist()
    same = rnn.func.vmap(lambda t: t + rnn.rand(()), randomness="same")(x)
    assert len(set(same.tolist())) == 1
    with pytest.raises(RuntimeError, match="size 0"):
        rnn.func.vmap(rnn.sin)(rnn.zeros(0))

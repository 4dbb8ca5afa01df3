"""Optimizers, clipping and vectors of parameters: the same numbers as torch's over many steps."""

from __future__ import annotations

import copy
import inspect
import itertools
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_module import plain, same

import rnn
from rnn import nn, optim
from rnn.optim.optimizer import required

RUNS = (torch, rnn)
SHAPES = ((3, 4), (5,), (), (40, 50), (0, 3))
TOLERANCE = {"float32": (1e-5, 5e-6), "float64": (1e-10, 1e-12)}

OPTIONS = {
    "SGD": [
        {}, {"lr": 0.1, "momentum": 0.9},
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "maximize": True, "weight_decay": 0.2},
    ],
    "Adam": [
        {}, {"weight_decay": 0.1}, {"amsgrad": True, "maximize": True, "lr": 0.1},
        {"betas": (0.3, 0.8), "lr": 0.1, "eps": 1e-3},
        {"weight_decay": 0.1, "decoupled_weight_decay": True},
    ],
    "AdamW": [{}, {"lr": 0.1, "amsgrad": True, "weight_decay": 0.3}, {"foreach": True}],
    "RMSprop": [
        {}, {"momentum": 0.9, "alpha": 0.7},
        {"centered": True, "momentum": 0.5, "weight_decay": 0.1}, {"maximize": True, "lr": 0.1},
    ],
    "Adagrad": [
        {}, {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5},
    ],
    "Adadelta": [{}, {"weight_decay": 0.1, "maximize": True, "rho": 0.5, "lr": 0.3}],
    "Adamax": [{}, {"weight_decay": 0.1, "maximize": True, "betas": (0.5, 0.6)}],
    "NAdam": [
        {}, {"weight_decay": 0.1}, {"weight_decay": 0.1, "decoupled_weight_decay": True},
        {"momentum_decay": 0.1, "lr": 0.1, "maximize": True},
    ],
    "Rprop": [{}, {"etas": (0.3, 1.5), "step_sizes": (1e-3, 0.05), "lr": 0.1, "maximize": True}],
    "ASGD": [
        {}, {"weight_decay": 0.1, "lr": 0.1}, {"t0": 3.0, "lambd": 0.1, "alpha": 0.5},
        {"maximize": True, "lr": 0.3},
    ],
    "RAdam": [
        {}, {"weight_decay": 0.1},
        {"weight_decay": 0.1, "decoupled_weight_decay": True, "betas": (0.5, 0.6)},
    ],
}  # fmt: skip
CASES = [(name, options) for name, many in OPTIONS.items() for options in many]


def parameters(dtype, shapes=SHAPES, seed=0):
    """The same parameters in both libraries; the last two are a transposed one and a view."""
    rng = np.random.default_rng(seed)
    pairs = []
    for shape in shapes:
        array = rng.standard_normal(shape).astype(dtype)
        pairs.append((torch.nn.Parameter(torch.tensor(array)), nn.Parameter(rnn.tensor(array))))
    array = rng.standard_normal((4, 7)).astype(dtype)
    pairs.append((torch.nn.Parameter(torch.tensor(array).t()), nn.Parameter(rnn.tensor(array).t())))
    pairs.append(
        (
            torch.nn.Parameter(torch.tensor(array)[1:3, ::2]),
            nn.Parameter(rnn.tensor(array)[1:3, ::2]),
        )
    )
    return pairs, rng


def give_gradients(pairs, rng, dtype, without=()):
    for i, (a, b) in enumerate(pairs):
        if i in without:
            a.grad = b.grad = None
            continue
        g = rng.standard_normal(a.shape).astype(dtype)
        a.grad, b.grad = torch.tensor(g), rnn.tensor(g)


def agree(pairs, dtype):
    rtol, atol = TOLERANCE[dtype]
    for a, b in pairs:
        np.testing.assert_allclose(b.detach().numpy(), a.detach().numpy(), rtol, atol)


def states_agree(theirs, ours, dtype):
    a, b = theirs.state_dict(), ours.state_dict()
    assert a["param_groups"] == b["param_groups"]
    assert list(a["state"]) == list(b["state"])
    rtol, atol = TOLERANCE[dtype]
    for key, values in a["state"].items():
        assert set(values) == set(b["state"][key])
        for name, value in values.items():
            mine = b["state"][key][name]
            assert str(mine.dtype).removeprefix("rnn.") == str(value.dtype).removeprefix("torch.")
            np.testing.assert_allclose(mine.numpy(), value.numpy(), rtol, atol)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name, options", CASES)
def test_steps(name, options, dtype):
    """12 steps; some parameters go without a gradient now and then, one begins late."""
    pairs, rng = parameters(dtype)
    theirs = getattr(torch.optim, name)([a for a, _ in pairs], **options)
    ours = getattr(optim, name)([b for _, b in pairs], **options)
    assert repr(theirs) == repr(ours)
    for i in range(12):
        without = ({1, 5} if i % 3 == 2 else set()) | ({0} if i < 4 else set())
        give_gradients(pairs, rng, dtype, without)
        theirs.step()
        ours.step()
        agree(pairs, dtype)
    states_agree(theirs, ours, dtype)


def test_steps_in_parallel():
    """Large parameters are shared among threads, in blocks."""
    for name in ("SGD", "AdamW"):
        pairs, rng = parameters("float32", ((300, 301), (7,), (16384,), (16385,), (1,), (123457,)))
        options = {"momentum": 0.9, "lr": 0.1} if name == "SGD" else {}
        theirs = getattr(torch.optim, name)([a for a, _ in pairs], **options)
        ours = getattr(optim, name)([b for _, b in pairs], **options)
        for _ in range(3):
            give_gradients(pairs, rng, "float32")
            theirs.step()
            ours.step()
        agree(pairs, "float32")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_options(data):
    """Options by chance, changed in between; groups; gradients that come and go."""
    draw = data.draw
    name = draw(st.sampled_from(list(OPTIONS)))
    small = st.floats(0, 0.99)
    options = {
        "lr": draw(st.floats(0, 0.5)),
        "weight_decay": draw(small),
        "maximize": draw(st.booleans()),
    }
    accepts = inspect.signature(getattr(torch.optim, name)).parameters
    options = {k: v for k, v in options.items() if k in accepts}
    if "betas" in accepts:
        options["betas"] = (draw(st.floats(0, 0.95)), draw(st.floats(0.01, 0.999)))
    for key in ("momentum", "alpha", "rho", "lr_decay", "dampening"):
        if key in accepts:
            options[key] = draw(small)
    for key in ("amsgrad", "centered", "decoupled_weight_decay"):
        if key in accepts:
            options[key] = draw(st.booleans())
    if options.get("centered"):
        # the variance is the difference of two means, whose root magnifies rounding; with no memory
        # of earlier gradients (alpha = 0) it is rounding alone, and in PyTorch too it may be a NaN
        options["eps"] = 0.1
        options["alpha"] = draw(st.floats(0.1, 0.99))
    pairs, rng = parameters("float64", ((3, 2), (4,)), draw(st.integers(0, 99)))
    groups = [
        [{"params": [p[k] for p in pairs[:2]]}, {"params": [p[k] for p in pairs[2:]], "lr": 0.05}]
        for k in (0, 1)
    ]
    theirs, ours = (
        getattr(torch.optim, name)(groups[0], **options),
        getattr(optim, name)(groups[1], **options),
    )
    for _ in range(draw(st.integers(1, 6))):
        give_gradients(pairs, rng, "float64", draw(st.sets(st.integers(0, len(pairs)), max_size=3)))
        if draw(st.booleans()):
            lr = draw(st.floats(0, 0.3))
            theirs.param_groups[1]["lr"] = ours.param_groups[1]["lr"] = lr
        theirs.step()
        ours.step()
    for a, b in pairs:
        np.testing.assert_allclose(b.detach().numpy(), a.detach().numpy(), 1e-7, 1e-9)


@pytest.mark.parametrize("name", list(OPTIONS))
def test_training_goes_the_same_way(name):
    """Ten steps of a small model, on its own gradients."""
    x = np.random.default_rng(1).standard_normal((8, 5)).astype(np.float32)
    weights = []
    for m in RUNS:
        m.manual_seed(0)
        model = m.nn.Sequential(m.nn.Linear(5, 8), m.nn.Tanh(), m.nn.Linear(8, 1))
        optimizer = getattr(m.optim, name)(model.parameters())
        for _ in range(10):
            optimizer.zero_grad()
            model(m.tensor(x)).pow(2).mean().backward()
            optimizer.step()
        weights.append([p.detach().numpy() for p in model.parameters()])
    for theirs, ours in zip(*weights):
        np.testing.assert_allclose(ours, theirs, 1e-5, 1e-6)


@pytest.mark.parametrize("name, options", CASES)
def test_state_dicts(name, options):
    """A state goes on where it was, here, through pickle, and over to torch and back."""
    pairs, rng = parameters("float32", ((3, 2), (4,)))
    ours = getattr(optim, name)([b for _, b in pairs], **options)
    theirs = getattr(torch.optim, name)([a for a, _ in pairs], **options)
    for _ in range(3):
        give_gradients(pairs, rng, "float32", {1})
        theirs.step()
        ours.step()
    fresh = getattr(optim, name)([b for _, b in pairs])
    fresh.load_state_dict(theirs.state_dict())  # torch's, as it is
    again = getattr(optim, name)([b for _, b in pairs])
    again.load_state_dict(pickle.loads(pickle.dumps(fresh.state_dict())))
    for _ in range(3):
        give_gradients(pairs, rng, "float32")
        theirs.step()
        again.step()
        agree(pairs, "float32")
    copied = copy.deepcopy(again)
    assert copied.param_groups[0]["params"][0] is not again.param_groups[0]["params"][0]
    assert plain(copied.state_dict()) == plain(again.state_dict())
    whole = pickle.loads(pickle.dumps(again))
    assert plain(whole.state_dict()) == plain(again.state_dict()) and repr(whole) == repr(again)
    whole.step()


def test_loaded_states_are_copies():
    p = nn.Parameter(rnn.zeros(2))
    first, second = optim.Adam([p]), optim.Adam([p])
    p.grad = rnn.ones(2)
    first.step()
    second.load_state_dict(first.state_dict())
    first.step()
    assert second.state[p]["step"].item() == 1 and first.state[p]["step"].item() == 2
    double = nn.Parameter(rnn.zeros(2, dtype=rnn.float64))
    other = optim.Adam([double])
    other.load_state_dict(first.state_dict())
    assert other.state[double]["exp_avg"].dtype is rnn.float64
    assert other.state[double]["step"].dtype is rnn.float32


def test_what_is_wrong_with_a_state_is_said():
    p = nn.Parameter(rnn.zeros(2))
    p.grad = rnn.ones(2)
    optimizer = optim.Adam([p])
    optimizer.step()
    before = p.tolist(), optimizer.state[p]["step"].item()
    saved = optimizer.state[p].pop("exp_avg_sq")
    with pytest.raises(RuntimeError, match="parameter 0 lacks"):
        optimizer.step()
    optimizer.state[p]["exp_avg_sq"] = rnn.zeros(3)
    with pytest.raises(RuntimeError, match="another dtype or size"):
        optimizer.step()
    optimizer.state[p]["exp_avg_sq"] = saved
    assert (p.tolist(), optimizer.state[p]["step"].item()) == before  # nothing has changed
    optimizer.step()
    assert optimizer.state[p]["step"].item() == 2


# ---- the base ---------------------------------------------------------------------------------


def test_groups_and_errors():
    def leaf(m):
        return m.zeros(2, requires_grad=True)

    def added(m, group):
        optimizer = m.optim.SGD([leaf(m)], lr=0.1)
        optimizer.add_param_group(group)
        return [len(g["params"]) for g in optimizer.param_groups], repr(optimizer)

    for fn in (
        lambda m: m.optim.SGD([], lr=0.1),
        lambda m: m.optim.SGD(leaf(m), lr=0.1),
        lambda m: m.optim.SGD([3], lr=0.1),
        lambda m: m.optim.SGD([leaf(m) * 2], lr=0.1),
        lambda m: m.optim.SGD([leaf(m)], lr=-0.1),
        lambda m: m.optim.SGD([leaf(m)], momentum=-1),
        lambda m: m.optim.SGD([leaf(m)], weight_decay=-1),
        lambda m: m.optim.SGD([leaf(m)], nesterov=True),
        lambda m: m.optim.SGD([{"params": {leaf(m)}}]),
        lambda m: m.optim.SGD([("a", leaf(m)), leaf(m)]),
        lambda m: m.optim.Adam([leaf(m)], betas=(1.0, 0.5)),
        lambda m: m.optim.Adam([leaf(m)], betas=(0.5, -0.1)),
        lambda m: m.optim.Adam([leaf(m)], eps=-1),
        lambda m: m.optim.NAdam([leaf(m)], momentum_decay=-1.0),
        lambda m: m.optim.Rprop([leaf(m)], etas=(1.5, 2.0)),
        lambda m: m.optim.ASGD([leaf(m)], weight_decay=-1.0),
        lambda m: m.optim.RMSprop([leaf(m)], alpha=-1),
        lambda m: m.optim.Adadelta([leaf(m)], rho=2),
        lambda m: m.optim.Adagrad([leaf(m)], lr_decay=-1),
        lambda m: m.optim.Adagrad([leaf(m)], initial_accumulator_value=-1),
        lambda m: m.optim.LBFGS([{"params": [leaf(m)]}, {"params": [leaf(m)]}]),
        lambda m: m.optim.Optimizer([leaf(m)], {}).step(),
        lambda m: added(m, {"params": [leaf(m)], "lr": 3}),
        lambda m: added(m, {"params": leaf(m)}),
        lambda m: added(m, [leaf(m)]),
        lambda m: added(m, {"params": [("a", leaf(m))]}),
        lambda m: (lambda p: m.optim.SGD([{"params": [p]}, {"params": [p]}]))(leaf(m)),
        lambda m: m.optim.SGD([("a", leaf(m))]).state_dict(),
        lambda m: m.optim.SGD([leaf(m)]).load_state_dict({"param_groups": [], "state": {}}),
        lambda m: m.optim.SGD([leaf(m)]).load_state_dict(
            {"param_groups": [{"params": [1, 2]}], "state": {}}
        ),
        lambda m: m.optim.SGD(m.nn.Linear(1, 1).named_parameters()).param_groups[0]["param_names"],
        lambda m: m.optim.SGD([leaf(m)], lr=m.tensor([0.1, 0.2])),
        lambda m: sorted(m.optim.AdamW([leaf(m)]).defaults),
    ):
        same(fn, may_fail=True)
    with pytest.warns(UserWarning, match="duplicate parameters"):
        p = leaf(rnn)
        optim.SGD([p, p])
    with pytest.raises(ValueError, match="required optimization parameter lr"):
        optim.Optimizer([leaf(rnn)], {"lr": required})


def test_signatures():
    """Programs look whether AdamW has `fused`."""
    assert "fused" in inspect.signature(optim.AdamW).parameters
    for name in [*OPTIONS, "LBFGS"]:
        ours = inspect.signature(getattr(optim, name)).parameters
        theirs = inspect.signature(getattr(torch.optim, name)).parameters
        assert list(ours) == list(theirs)
        assert [p.default for p in ours.values()] == [p.default for p in theirs.values()]
        assert [p.kind for p in ours.values()] == [p.kind for p in theirs.values()]


def test_fused_and_the_like_are_accepted():
    """(torch's fused steps are wrong for parameters that are transposed: those are left out.)"""
    for name in ("SGD", "Adam", "AdamW", "Adagrad"):
        pairs, rng = parameters("float32", ((3, 2), (5,)))
        pairs = pairs[:2]
        theirs = getattr(torch.optim, name)([a for a, _ in pairs], fused=True)
        ours = getattr(optim, name)([b for _, b in pairs], fused=True)
        for _ in range(3):
            give_gradients(pairs, rng, "float32")
            theirs.step()
            ours.step()
        agree(pairs, "float32")


def test_a_tensor_as_learning_rate():
    pairs, rng = parameters("float32", ((3,),))
    theirs = torch.optim.Adam([a for a, _ in pairs], lr=torch.tensor(0.1))
    ours = optim.Adam([b for _, b in pairs], lr=rnn.tensor(0.1))
    give_gradients(pairs, rng, "float32")
    theirs.step()
    ours.step()
    agree(pairs, "float32")


def test_zero_grad():
    p, q = nn.Parameter(rnn.ones(3)), nn.Parameter(rnn.ones(2, 2).t())
    optimizer = optim.SGD([p, q], lr=0.1)
    for set_to_none in (True, False):
        ((p * p).sum() + (q * q).sum()).backward()
        grad = p.grad
        optimizer.zero_grad(set_to_none=set_to_none)
        if set_to_none:
            assert p.grad is None and q.grad is None and grad.tolist() == [2, 2, 2]
        else:
            assert p.grad.tolist() == grad.tolist() == [0, 0, 0]


def test_closures_and_hooks():
    def fn(m):
        p = m.nn.Parameter(m.tensor([2.0]))
        optimizer, seen = m.optim.SGD([p], lr=0.1), []
        optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append(len(args)))
        handle = optimizer.register_step_post_hook(lambda o, a, k: seen.append(o is optimizer))
        optimizer.register_state_dict_pre_hook(lambda o: seen.append("pre"))
        optimizer.register_state_dict_post_hook(lambda o, state: {**state, "more": 1})
        optimizer.register_load_state_dict_pre_hook(lambda o, state: seen.append(sorted(state)))
        optimizer.register_load_state_dict_post_hook(lambda o: seen.append("post"))

        def closure():
            optimizer.zero_grad()
            loss = (p * p).sum()
            loss.backward()
            return loss

        with m.no_grad():
            losses = [optimizer.step(closure), optimizer.step(closure=closure)]
        handle.remove()
        optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
        return [losses, p, seen]

    same(fn)


def test_a_step_of_ones_own():
    """Teaching programs write their optimizer in tensor operations."""

    def fn(m):
        class Plain(m.optim.Optimizer):
            def __init__(self, params, lr=0.1):
                super().__init__(params, {"lr": lr})

            @m.no_grad()
            def step(self):
                for group in self.param_groups:
                    for p in group["params"]:
                        state = self.state[p]
                        state["n"] = state.get("n", 0) + 1
                        p -= group["lr"] * p.grad

        p = m.nn.Parameter(m.tensor([2.0, 3.0]))
        optimizer = Plain([p], lr=0.5)
        schedule = m.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        for _ in range(3):
            optimizer.zero_grad()
            (p * p).sum().backward()
            optimizer.step()
            schedule.step()
        return [p, optimizer.state_dict(), repr(optimizer)]

    same(fn)


def test_backward_notices_a_step():
    """A graph that needs values which a step has overwritten refuses, as torch's does."""
    for m in RUNS:
        p = m.nn.Parameter(m.ones(2))
        loss = (p * p).sum()
        loss.backward(retain_graph=True)
        m.optim.SGD([p], lr=0.1).step()
        with pytest.raises(RuntimeError):
            loss.backward()


def test_failed_allocations_change_nothing():
    from rnn._c import E, lib

    pairs, rng = parameters("float32", ((3, 2), (4,)))
    params = [b for _, b in pairs]
    optimizer = optim.Adam(params, amsgrad=True)
    give_gradients(pairs, rng, "float32")
    optimizer.step()
    before = [p.tolist() for p in params], plain(optimizer.state_dict())
    for n in itertools.count(1):
        lib.rnn_fail_after(E, n)
        try:
            optimizer._step_group(optimizer.param_groups[0])
        except MemoryError:
            lib.rnn_fail_after(E, 0)
            assert ([p.tolist() for p in params], plain(optimizer.state_dict())) == before
        else:
            break
        finally:
            lib.rnn_fail_after(E, 0)
    assert n > 3


# ---- LBFGS ------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [
    {}, {"line_search_fn": "strong_wolfe"}, {"lr": 0.3, "max_iter": 5, "history_size": 3},
    {"line_search_fn": "strong_wolfe", "history_size": 2, "max_iter": 4}, {"max_eval": 3},
])  # fmt: skip
@pytest.mark.parametrize("function", ["quadratic", "rosenbrock", "model"])
def test_lbfgs(function, options):
    def run(m):
        m.manual_seed(0)
        if function == "model":
            model = m.nn.Sequential(m.nn.Linear(3, 4), m.nn.Tanh(), m.nn.Linear(4, 1)).double()
            data = m.randn(10, 3).double()
            params, loss_of = (
                list(model.parameters()),
                lambda: (model(data) - data[:, :1]).pow(2).mean(),
            )
        else:
            x = m.nn.Parameter(m.tensor([-1.5, 2.0], dtype=m.float64))
            params = [x]

            def loss_of():
                if function == "quadratic":
                    return ((x - m.tensor([1.0, 3.0])) ** 2 * m.tensor([1.0, 10.0])).sum()
                return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2

        optimizer, losses = m.optim.LBFGS(params, **options), []

        def closure():
            optimizer.zero_grad()
            loss = loss_of()
            loss.backward()
            return loss

        for i in range(4):
            losses.append(float(optimizer.step(closure).item()))
            if i == 1:
                state = optimizer.state_dict()
                optimizer = m.optim.LBFGS(params, **options)
                optimizer.load_state_dict(pickle.loads(pickle.dumps(state)))
        state = optimizer.state[params[0]]
        return losses, [p.detach().numpy() for p in params], state["n_iter"], state["func_evals"]

    theirs, ours = run(torch), run(rnn)
    np.testing.assert_allclose(ours[0], theirs[0], 1e-3, 1e-12)  # rounding grows on Rosenbrock's
    assert ours[2:] == theirs[2:]
    for a, b in zip(theirs[1], ours[1]):
        np.testing.assert_allclose(b, a, 1e-3, 1e-8)


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_lbfgs_flattens(search):
    """Two dtypes, a parameter that is not contiguous, one without a gradient, and enough elements
    for two threads."""

    def run(m):
        shapes = [(3, 4), (300, 200), (5,), (2,)]
        dtypes = [m.float64, m.float32, m.float64, m.float64]
        random = np.random.default_rng(0)
        data = [random.normal(size=shape) for shape in shapes]
        params = [
            m.nn.Parameter(m.tensor(x, dtype=dtype).t() if x.ndim > 1 else m.tensor(x))
            for x, dtype in zip(data, dtypes)
        ]
        if m is torch:  # which refuses what is not contiguous
            params = [m.nn.Parameter(p.detach().contiguous()) for p in params]
        optimizer = m.optim.LBFGS(params, lr=0.5, max_iter=6, history_size=2, line_search_fn=search)

        def closure():
            optimizer.zero_grad()
            loss = sum((p.double() ** 2 * (i + 1) + (p.double() + 0.5) ** 4).sum()
                       for i, p in enumerate(params[:3]))  # fmt: skip
            loss.backward()
            return loss

        losses = [float(optimizer.step(closure).item()) for _ in range(3)]
        return losses, [p.detach().numpy() for p in params]

    theirs, ours = run(torch), run(rnn)
    np.testing.assert_allclose(ours[0], theirs[0], 1e-6)
    for a, b in zip(theirs[1], ours[1]):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(b, a, 1e-4, 1e-6)


def test_lbfgs_withstands():
    """A failed allocation leaves the parameters as they were or moved, never half; a state of
    another model is refused."""
    from rnn._c import E, lib

    p, q = nn.Parameter(rnn.ones(2)), nn.Parameter(rnn.ones(3))
    optimizer, other = optim.LBFGS([p], max_iter=3), optim.LBFGS([q], max_iter=3)

    def closure(o, x):
        o.zero_grad()
        loss = (x**4 + x).sum()
        loss.backward()
        return loss

    optimizer.step(lambda: closure(optimizer, p))
    other.load_state_dict(optimizer.state_dict())
    with pytest.raises(RuntimeError, match=r"3.*2|2.*3"):
        other.step(lambda: closure(other, q))
    assert q.tolist() == [1, 1, 1]
    for n in range(1, 2000):
        lib.rnn_fail_after(E, n)
        try:
            optimizer.step(lambda: closure(optimizer, p))
            break
        except MemoryError:
            pass
        finally:
            lib.rnn_fail_after(E, 0)
        assert p[0].item() == p[1].item()
    assert n > 3
    for _ in range(10):  # how far it came depends on what memory was free
        optimizer.step(lambda: closure(optimizer, p))
    assert p.tolist() == pytest.approx([-(0.25 ** (1 / 3))] * 2, abs=1e-2)


def test_lbfgs_refuses():
    p = nn.Parameter(rnn.ones(2))
    with pytest.raises(TypeError, match="closure"):
        optim.LBFGS([p]).step()
    with pytest.raises(RuntimeError, match="only 'strong_wolfe' is supported"):
        optim.LBFGS([p], line_search_fn="weak").step(lambda: _squares(p))


def _squares(p):
    p.grad = None
    loss = (p * p).sum()
    loss.backward()
    return loss


# ---- clipping ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("norm_type", [2, 1, 3.5, 0, math.inf, -math.inf, "inf"])
def test_clip_grad_norm(norm_type, dtype):
    for most in (0.5, 1e9):
        pairs, rng = parameters(dtype, ((3, 4), (5,), (200, 300), ()))
        give_gradients(pairs, rng, dtype, {1})
        theirs = torch.nn.utils.clip_grad_norm_([a for a, _ in pairs], most, norm_type)
        ours = nn.utils.clip_grad_norm_([b for _, b in pairs], most, norm_type)
        rtol = 1e-5 if dtype == "float32" else 1e-10
        np.testing.assert_allclose(ours.item(), theirs.item(), rtol)
        assert str(ours.dtype)[4:] == str(theirs.dtype)[6:] and ours.shape == theirs.shape
        for a, b in pairs:
            assert (a.grad is None) == (b.grad is None)
            if a.grad is not None:
                np.testing.assert_allclose(b.grad.numpy(), a.grad.numpy(), rtol, 1e-7)


def test_clip_grad_value():
    pairs, rng = parameters("float32")
    give_gradients(pairs, rng, "float32", {2})
    torch.nn.utils.clip_grad_value_([a for a, _ in pairs], 0.3)
    nn.utils.clip_grad_value_([b for _, b in pairs], 0.3)
    for a, b in pairs:
        if a.grad is not None:
            np.testing.assert_array_equal(b.grad.numpy(), a.grad.numpy())


def test_norms_of_nothing_and_of_nan():
    def with_grad(m, *values):
        p = m.nn.Parameter(m.zeros(len(values)))
        p.grad = m.tensor(values)
        return p

    inf, nan = math.inf, math.nan
    for fn in (
        lambda m: m.nn.utils.clip_grad_norm_([], 1.0),
        lambda m: m.nn.utils.clip_grad_norm_([m.nn.Parameter(m.zeros(2))], 1.0),
        lambda m: m.nn.utils.clip_grad_norm_(with_grad(m, 3.0, 4.0), 1.0),
        lambda m: m.nn.utils.clip_grad_norm_(iter([with_grad(m, 3.0, 4.0)]), 1.0),
        lambda m: m.nn.utils.clip_grad_norm_(with_grad(m, inf, 4.0), 1.0, error_if_nonfinite=True),
        lambda m: str(m.nn.utils.clip_grad_norm_(with_grad(m, nan, 4.0), 1.0)),
        lambda m: str(m.nn.utils.clip_grad_norm_(with_grad(m, 4.0, nan), 1.0, inf)),
        lambda m: (lambda p: [m.nn.utils.clip_grad_norm_(p, 1.0) and 0, str(p.grad)])(
            with_grad(m, nan, 4.0)
        ),
        lambda m: (lambda p: [m.nn.utils.clip_grad_norm_(p, 1.0) and 0, str(p.grad)])(
            with_grad(m, inf, 4.0)
        ),
        lambda m: m.nn.utils.get_total_norm([m.tensor([3.0]), m.tensor([[4.0]])]),
        lambda m: m.nn.utils.get_total_norm([m.tensor([3.0, -4.0])], 1),
        lambda m: m.nn.utils.get_total_norm([]),
        lambda m: (lambda p: [m.nn.utils.clip_grads_with_norm_([p], 1.0, m.tensor(10.0)), p.grad])(
            with_grad(m, 3.0, 4.0)
        ),
    ):
        same(fn, may_fail=True)
    with pytest.warns(UserWarning, match="empty generator"):
        nn.utils.clip_grad_norm_((p for p in []), 1.0)
    with pytest.raises(TypeError, match="found float"):
        nn.utils.clip_grad_norm_([1.0], 1.0)
    with pytest.warns(FutureWarning, match="deprecated"):
        nn.utils.clip_grad_norm([], 1.0)


def test_vectors_of_parameters():
    def fn(m):
        m.manual_seed(0)
        model = m.nn.Linear(3, 2)
        vector = m.nn.utils.parameters_to_vector(model.parameters())
        (vector * vector).sum().backward()
        grads = [p.grad for p in model.parameters()]
        m.nn.utils.vector_to_parameters(m.arange(8.0), model.parameters())
        return [vector, grads, list(model.parameters()), [p.is_leaf for p in model.parameters()]]

    same(fn)
    same(lambda m: m.nn.utils.vector_to_parameters([1.0], []), may_fail=True)

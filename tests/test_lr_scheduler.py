"""Schedules: the same digits as torch's, epoch by epoch."""

from __future__ import annotations

import pickle
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_module import plain, same

import rnn


class Halving:
    """A function of the epoch that is saved."""

    def __init__(self, factor=0.5):
        self.factor = factor

    def __call__(self, epoch):
        return self.factor**epoch


def optimizer_of(m, name="SGD", groups=2, **options):
    params = [{"params": [m.nn.Parameter(m.zeros(1))], "lr": 0.1 * (i + 1)} for i in range(groups)]
    options = {"momentum": 0.9} if name == "SGD" and not options else options
    return getattr(m.optim, name)(params, **options)


SCHEDULES = {
    "step": lambda s, o: s.StepLR(o, 3),
    "step gamma": lambda s, o: s.StepLR(o, step_size=1, gamma=0.7),
    "multistep": lambda s, o: s.MultiStepLR(o, [2, 5, 5, 9], 0.3),
    "constant": lambda s, o: s.ConstantLR(o, 0.25, 4),
    "constant default": lambda s, o: s.ConstantLR(o),
    "linear": lambda s, o: s.LinearLR(o, 0.2, 0.9, 7),
    "linear default": lambda s, o: s.LinearLR(o),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.8),
    "polynomial": lambda s, o: s.PolynomialLR(o, 6, 1.7),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, 5, 0.01),
    "cosine once": lambda s, o: s.CosineAnnealingLR(o, 30),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 2, 0.001),
    "restarts even": lambda s, o: s.CosineAnnealingWarmRestarts(o, 4),
    "lambda": lambda s, o: s.LambdaLR(o, lambda epoch: 0.9**epoch),
    "lambdas": lambda s, o: s.LambdaLR(o, [Halving(), Halving(0.3)]),
    "multiplicative": lambda s, o: s.MultiplicativeLR(o, lambda epoch: 1 / epoch),
    "one cycle": lambda s, o: s.OneCycleLR(o, 1.0, 25),
    "one cycle epochs": lambda s, o: s.OneCycleLR(
        o, [1.0, 2.0], epochs=5, steps_per_epoch=5, anneal_strategy="linear", pct_start=0.4
    ),
    "one cycle three": lambda s, o: s.OneCycleLR(
        o, 0.5, 30, three_phase=True, div_factor=10, final_div_factor=100
    ),
    "one cycle still": lambda s, o: s.OneCycleLR(o, 0.5, 30, cycle_momentum=False),
    "cyclic": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 4, 3),
    "cyclic 2": lambda s, o: s.CyclicLR(o, [0.01, 0.02], [0.1, 0.3], 3, mode="triangular2"),
    "cyclic exp": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 3, mode="exp_range", gamma=0.9),
    "cyclic own": lambda s, o: s.CyclicLR(
        o, 0.01, 0.1, 3, scale_fn=Halving(0.9), scale_mode="iterations", cycle_momentum=False
    ),
    "sequential": lambda s, o: s.SequentialLR(
        o, [s.ConstantLR(o, 0.1, 3), s.ExponentialLR(o, 0.9), s.StepLR(o, 2)], [3, 8]
    ),
    "warm up": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.01, 1.0, 5), s.CosineAnnealingLR(o, 15)], milestones=[5]
    ),
    "nested": lambda s, o: s.SequentialLR(
        o,
        [
            s.SequentialLR(o, [s.ConstantLR(o, 0.1, 3), s.StepLR(o, 2)], [4]),
            s.ExponentialLR(o, 0.9),
        ],
        [9],
    ),
    "chained": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 3), s.ExponentialLR(o, 0.9)]),
}


def rates(m, make, steps=20, name="SGD", again=None):
    """Rates and momenta after each step; `again` makes the schedule anew half way, and loads it."""
    o = optimizer_of(m, name)
    s = make(m.optim.lr_scheduler, o)
    seen = []
    for i in range(steps):
        momenta = [g.get("momentum", g.get("betas")) for g in o.param_groups]
        seen.append([[g["lr"] for g in o.param_groups], momenta, s.get_last_lr(), s.last_epoch])
        if again and i == steps // 2:
            state, groups = pickle.loads(pickle.dumps((s.state_dict(), o.state_dict())))
            o = optimizer_of(m, name)
            s = again(m.optim.lr_scheduler, o)
            o.load_state_dict(groups)
            s.load_state_dict(state)
        o.step()
        s.step()
    return seen


def _epoch_of(s):
    return getattr(s, "last_epoch", None)


@pytest.mark.parametrize("name", list(SCHEDULES))
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_rates(name, optimizer):
    make = SCHEDULES[name]
    if name == "chained":  # it has no last_epoch
        make = _chained
    same(lambda m: rates(m, make, name=optimizer))


def _chained(s, o):
    made = SCHEDULES["chained"](s, o)
    made.last_epoch = 0
    return made


@pytest.mark.parametrize("name", [n for n in SCHEDULES if n not in ("chained", "nested")])
def test_saved_schedules_go_on(name):
    if name in ("lambda", "multiplicative"):
        return  # functions are not saved
    same(lambda m: rates(m, SCHEDULES[name], again=SCHEDULES[name]))


def test_plateau():
    metrics = [
        1.0,
        0.9,
        0.9,
        0.9,
        0.9,
        0.95,
        0.8,
        0.8,
        0.8,
        0.8,
        0.8,
        float("nan"),
        0.8,
        0.7,
        0.7,
        0.7,
    ]
    for options in (
        {}, {"patience": 1}, {"patience": 1, "factor": 0.5, "cooldown": 2},
        {"mode": "max", "patience": 2},
        {"patience": 0, "threshold": 0.15, "threshold_mode": "abs"},
        {"patience": 0, "min_lr": [0.05, 0.01]},
        {"patience": 0, "threshold": 0.2}, {"patience": 0, "mode": "max", "threshold_mode": "abs"},
        {"patience": 0, "eps": 0.05},
    ):  # fmt: skip

        def fn(m, options=options):
            o = optimizer_of(m)
            s, seen = m.optim.lr_scheduler.ReduceLROnPlateau(o, **options), []
            for i, metric in enumerate(metrics):
                s.step(m.tensor(metric) if i % 2 else metric)
                seen.append(
                    [s.get_last_lr(), s.num_bad_epochs, s.last_epoch, s.best, s.in_cooldown]
                )
                if i == 6:
                    state = pickle.loads(pickle.dumps(s.state_dict()))
                    s = m.optim.lr_scheduler.ReduceLROnPlateau(o)
                    s.load_state_dict(state)
            return seen

        same(fn)


def test_given_epochs():
    """step(epoch): the closed forms."""

    def fn(m, name):
        o = optimizer_of(m)
        s = SCHEDULES[name](m.optim.lr_scheduler, o)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seen = []
            for epoch in (3, 1, 7, 0, 5):
                s.step(epoch)
                seen.append(s.get_last_lr())
            s.step()
            return [seen, s.get_last_lr(), s.last_epoch]

    for name in ("step", "multistep", "constant", "linear", "exponential", "polynomial", "cosine",
                 "restarts", "lambda"):  # fmt: skip
        same(lambda m, n=name: fn(m, n))

    def fractions(m):
        s = m.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer_of(m), 3, 2)
        seen = []
        for epoch in (0.5, 1.25, 3.5, 10, 0.1):
            s.step(epoch)
            seen.append([s.get_last_lr(), s.last_epoch])
        s.step()
        return [seen, s.get_last_lr()]

    same(fractions)


def test_last_epoch():
    """A schedule that is made in the middle of a training."""
    for name, make in {
        "step": lambda s, o: s.StepLR(o, 3, last_epoch=4),
        "cosine": lambda s, o: s.CosineAnnealingLR(o, 9, last_epoch=4),
        "linear": lambda s, o: s.LinearLR(o, total_iters=9, last_epoch=4),
        "exponential": lambda s, o: s.ExponentialLR(o, 0.5, last_epoch=4),
        "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, last_epoch=4),
        "cyclic": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 3, last_epoch=4, cycle_momentum=False),
    }.items():

        def fn(m, make=make, resumed=True):
            o = optimizer_of(m)
            for group in o.param_groups:
                if resumed:
                    group["initial_lr"] = 0.3
            s = make(m.optim.lr_scheduler, o)
            seen = [s.get_last_lr()]
            for _ in range(6):
                o.step()
                s.step()
                seen.append(s.get_last_lr())
            return seen

        same(fn)
        if name != "cyclic":
            same(lambda m, fn=fn: fn(m, resumed=False), may_fail=True)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0.01, 1), st.floats(0, 1), st.integers(1, 9), st.floats(0.1, 3), st.floats(0.05, 0.95)
)
def test_any_numbers(start, end, iters, power, gamma):
    for make in (
        lambda s, o: s.LinearLR(o, start, end, iters),
        lambda s, o: s.PolynomialLR(o, iters, power),
        lambda s, o: s.CosineAnnealingLR(o, iters, end / 10),
        lambda s, o: s.ConstantLR(o, start, iters),
        lambda s, o: s.OneCycleLR(o, start, 13 + iters, pct_start=gamma, div_factor=power),
        lambda s, o: s.CyclicLR(o, end / 10, start, iters, mode="exp_range", gamma=gamma),
    ):
        same(lambda m, make=make: rates(m, make, 12), may_fail=True)  # a phase of no steps


def test_errors():
    for fn in (
        lambda s, o, m: s.StepLR(3, 1),
        lambda s, o, m: s.CyclicLR(3, 0.1, 1.0),
        lambda s, o, m: s.OneCycleLR(3, 1.0, 3),
        lambda s, o, m: s.ReduceLROnPlateau(3),
        lambda s, o, m: s.ConstantLR(o, 1.5),
        lambda s, o, m: s.LinearLR(o, 0.0),
        lambda s, o, m: s.LinearLR(o, 0.5, -1.0),
        lambda s, o, m: s.LambdaLR(o, [abs]),
        lambda s, o, m: s.MultiplicativeLR(o, [abs]),
        lambda s, o, m: s.MultiplicativeLR(o, 3),
        lambda s, o, m: s.OneCycleLR(o, 1.0),
        lambda s, o, m: s.OneCycleLR(o, 1.0, 0),
        lambda s, o, m: s.OneCycleLR(o, 1.0, epochs=0, steps_per_epoch=3),
        lambda s, o, m: s.OneCycleLR(o, 1.0, epochs=2, steps_per_epoch=-3),
        lambda s, o, m: s.OneCycleLR(o, 1.0, 3, pct_start=2.0),
        lambda s, o, m: s.OneCycleLR(o, 1.0, 3, anneal_strategy="sine"),
        lambda s, o, m: s.OneCycleLR(o, [1.0], 3),
        lambda s, o, m: s.OneCycleLR(optimizer_of(m, "Adagrad"), 1.0, 3),
        lambda s, o, m: [x.step() for x in [s.OneCycleLR(o, 1.0, 3)] for _ in range(9)],
        lambda s, o, m: s.CyclicLR(o, 0.1, 1.0, mode="sine"),
        lambda s, o, m: s.CyclicLR(o, [0.1], 1.0),
        lambda s, o, m: s.CyclicLR(optimizer_of(m, "Adagrad"), 0.1, 1.0),
        lambda s, o, m: s.CosineAnnealingWarmRestarts(o, 0),
        lambda s, o, m: s.CosineAnnealingWarmRestarts(o, 2, 0),
        lambda s, o, m: s.CosineAnnealingWarmRestarts(o, 2, eta_min="a"),
        lambda s, o, m: s.CosineAnnealingWarmRestarts(o, 2).step(-1),
        lambda s, o, m: s.ReduceLROnPlateau(o, factor=1.0),
        lambda s, o, m: s.ReduceLROnPlateau(o, mode="up"),
        lambda s, o, m: s.ReduceLROnPlateau(o, threshold_mode="up"),
        lambda s, o, m: s.ReduceLROnPlateau(o, min_lr=[1]),
        lambda s, o, m: s.SequentialLR(o, [], []),
        lambda s, o, m: s.SequentialLR(o, [s.StepLR(o, 1)], [3]),
        lambda s, o, m: s.SequentialLR(o, [3], []),
        lambda s, o, m: s.SequentialLR(o, [s.ReduceLROnPlateau(o)], []),
        lambda s, o, m: s.ChainedScheduler([]),
        lambda s, o, m: s.ChainedScheduler([s.ReduceLROnPlateau(o)]),
        lambda s, o, m: s.ChainedScheduler(
            [s.StepLR(o, 1), s.StepLR(optimizer_of(m, groups=1), 1)]
        ),
        lambda s, o, m: s.LRScheduler(o),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            same(lambda m, fn=fn: fn(m.optim.lr_scheduler, optimizer_of(m), m), may_fail=True)


def test_a_group_that_came_later():
    def fn(m, min_lr):
        o = optimizer_of(m)
        s = m.optim.lr_scheduler.ReduceLROnPlateau(o, patience=0, min_lr=min_lr)
        o.add_param_group({"params": [m.nn.Parameter(m.zeros(1))], "lr": 1.0})
        for _ in range(3):
            s.step(1.0)
        return s.get_last_lr()

    same(lambda m: fn(m, 0.005))
    same(lambda m: fn(m, [0.1, 0.1]), may_fail=True)


def test_warnings():
    """The order of the two steps, and get_lr, are warned of in torch's words."""
    messages = []
    for m in (torch, rnn):
        o = optimizer_of(m)
        s = m.optim.lr_scheduler.StepLR(o, 1)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            s.step()  # before optimizer.step()
            s.step()
            s.get_lr()
            s.step(3)
        messages.append([str(w.message) for w in caught])
        o = optimizer_of(m)
        s = m.optim.lr_scheduler.StepLR(o, 1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            o.step()
            s.step()
    assert messages[0] == messages[1]


def test_a_schedule_of_ones_own():
    def fn(m):
        class Harmonic(m.optim.lr_scheduler.LRScheduler):
            def get_lr(self):
                return [lr / (1 + self.last_epoch) for lr in self.base_lrs]

        return [rates(m, lambda s, o: Harmonic(o)), Harmonic.__mro__[1].__name__]

    same(fn)
    assert rnn.optim.lr_scheduler._LRScheduler is rnn.optim.lr_scheduler.LRScheduler


def test_a_tensor_as_learning_rate():
    def fn(m):
        lr = m.tensor(0.5)
        o = m.optim.SGD([m.nn.Parameter(m.zeros(1))], lr=lr)
        s = m.optim.lr_scheduler.ExponentialLR(o, 0.5)
        seen = []
        for _ in range(3):
            o.step()
            s.step()
            seen.append([o.param_groups[0]["lr"] is lr, lr.item(), plain(s.get_last_lr())])
        return seen

    same(fn)

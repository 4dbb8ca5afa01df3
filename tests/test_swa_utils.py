"""Averaged models and their schedule: the same digits as torch's."""

from __future__ import annotations

import pickle

import pytest
from test_module import plain, same

import rnn


def model_of(m):
    return m.nn.Sequential(m.nn.Linear(3, 4), m.nn.BatchNorm1d(4), m.nn.Tanh(), m.nn.Linear(4, 2))


def train(m, averaged_of, steps=4):
    """Trains a small net and gives the state of the average after each step."""
    model = model_of(m)
    averaged = averaged_of(m, model)
    optimizer = m.optim.SGD(model.parameters(), lr=0.1)
    states = []
    for _ in range(steps):
        optimizer.zero_grad()
        model(m.randn(8, 3)).square().mean().backward()
        optimizer.step()
        averaged.update_parameters(model)
        states.append({k: (v * 1e4).round() for k, v in averaged.state_dict().items()})
    states.append(tuple(averaged.eval()(m.ones(2, 3)).shape))
    return states


AVERAGES = {
    "mean": lambda m, model: m.optim.swa_utils.AveragedModel(model),
    "device": lambda m, model: m.optim.swa_utils.AveragedModel(model, "cpu"),
    "ema": lambda m, model: m.optim.swa_utils.AveragedModel(
        model, avg_fn=m.optim.swa_utils.get_ema_avg_fn(0.9)
    ),
    "ema of lists": lambda m, model: m.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=m.optim.swa_utils.get_ema_multi_avg_fn(0.7)
    ),
    "ema of buffers": lambda m, model: m.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=m.optim.swa_utils.get_ema_multi_avg_fn(0.7), use_buffers=True
    ),
    "mean one by one": lambda m, model: m.optim.swa_utils.AveragedModel(
        model, avg_fn=m.optim.swa_utils.get_swa_avg_fn(), use_buffers=True
    ),
    "mean of buffers": lambda m, model: m.optim.swa_utils.AveragedModel(model, use_buffers=True),
    "mean of lists": lambda m, model: m.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=m.optim.swa_utils.get_swa_multi_avg_fn()
    ),
    "own": lambda m, model: m.optim.swa_utils.AveragedModel(
        model, avg_fn=lambda average, new, n: average + (new - average) / (n + 2)
    ),
}


@pytest.mark.parametrize("name", AVERAGES)
def test_averages(name):
    same(lambda m: train(m, AVERAGES[name]))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda u, net: u.AveragedModel(net, avg_fn=max, multi_avg_fn=max),
        lambda u, net: u.get_ema_avg_fn(1.5),
        lambda u, net: u.get_ema_multi_avg_fn(-0.1),
    ],
)
def test_errors(wrong):
    said = same(lambda m: wrong(m.optim.swa_utils, m.nn.Linear(1, 1)), may_fail=True)
    assert "Error" in said


def test_the_average_is_a_copy():
    net = rnn.nn.Linear(2, 2)
    averaged = rnn.optim.swa_utils.AveragedModel(net)
    averaged.update_parameters(net)
    with rnn.no_grad():
        net.weight.zero_()
    assert (averaged.module.weight != 0).all()
    assert averaged.n_averaged == 1
    assert "module.weight" in averaged.state_dict()


def test_update_bn():
    def run(m):
        net = model_of(m).eval()
        batches = [[m.randn(5, 3), m.zeros(5)] for _ in range(3)] + [m.randn(4, 3)]
        m.optim.swa_utils.update_bn(batches, net, "cpu")
        norm = net[1]
        return [
            (norm.running_mean * 1e4).round(),
            (norm.running_var * 1e4).round(),
            norm.num_batches_tracked,
            norm.momentum,
            net.training,
            norm.training,
        ]

    same(run)
    same(lambda m: m.optim.swa_utils.update_bn(None, m.nn.Linear(1, 1)))


SCHEDULES = {
    "default": lambda m, o: m.optim.swa_utils.SWALR(o, 0.01),
    "linear": lambda m, o: m.optim.swa_utils.SWALR(o, 0.01, 4, "linear"),
    "groups": lambda m, o: m.optim.swa_utils.SWALR(o, [0.5, 0.02], anneal_epochs=5),
    "at once": lambda m, o: m.optim.swa_utils.SWALR(o, swa_lr=0.3, anneal_epochs=0),
    "strategy": lambda m, o: m.optim.swa_utils.SWALR(o, 0.1, anneal_strategy="exp"),
    "epochs": lambda m, o: m.optim.swa_utils.SWALR(o, 0.1, anneal_epochs=-1),
    "epochs of a float": lambda m, o: m.optim.swa_utils.SWALR(o, 0.1, anneal_epochs=2.0),
    "lengths": lambda m, o: m.optim.swa_utils.SWALR(o, [0.1]),
}


def optimizer_of(m):
    groups = [{"params": [m.nn.Parameter(m.zeros(1))], "lr": 0.1 * (i + 1)} for i in range(2)]
    return m.optim.SGD(groups)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name):
    def run(m):
        optimizer = optimizer_of(m)
        schedule = SCHEDULES[name](m, optimizer)
        rates = [[g["lr"] for g in optimizer.param_groups]]
        for _ in range(14):
            optimizer.step()
            schedule.step()
            rates.append(schedule.get_last_lr())
        return rates, sorted(schedule.state_dict())

    same(run, may_fail=True)


def test_a_schedule_goes_on_from_its_state():
    optimizer = optimizer_of(rnn)
    schedule = rnn.optim.swa_utils.SWALR(optimizer, 0.01, 6)
    for _ in range(3):
        optimizer.step()
        schedule.step()
    state = pickle.loads(pickle.dumps(schedule.state_dict()))
    other = rnn.optim.swa_utils.SWALR(optimizer_of(rnn), 0.5, 6, "linear")
    other.load_state_dict(state)
    assert plain(other.state_dict()) == plain(schedule.state_dict())
    assert other.anneal_func(0.25) == schedule.anneal_func(0.25)

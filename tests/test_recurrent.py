"""RNN, LSTM, GRU and their cells against torch: layers, directions, packed sequences, both
resolutions, errors, training."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from helpers import compare_errors, to_numpy, to_rnn
from hypothesis import given, settings
from hypothesis import strategies as st

import rnn

pytestmark = pytest.mark.filterwarnings("ignore")


def loaded(make, double: bool = True):
    """The same module under both libraries, ours with torch's values."""
    torch.manual_seed(0)
    theirs = make(torch)
    ours = make(rnn)
    ours.load_state_dict(theirs.state_dict())
    return (theirs.double(), ours.double()) if double else (theirs, ours)


def same(theirs, ours, tolerance: float = 1e-9) -> None:
    if theirs is None or ours is None:
        assert theirs is ours
        return
    assert tuple(ours.shape) == tuple(theirs.shape)
    np.testing.assert_allclose(to_numpy(ours), to_numpy(theirs), tolerance, tolerance)


def flat(states) -> list:
    return list(states) if isinstance(states, tuple) else [states]


def both(theirs, ours, x, states=(), resolution="tensor", lengths=None, batch_first=False) -> None:
    """Outputs, last states, and the gradients of input, first states and parameters."""
    results = []
    for m, module in ((torch, theirs), (rnn, ours)):
        make = torch.from_numpy if m is torch else to_rnn
        with rnn.resolution(resolution):
            leaf = make(x.copy()).requires_grad_()
            first = [make(s.copy()).requires_grad_() for s in states]
            given_x = leaf
            if lengths is not None:
                given_x = m.nn.utils.rnn.pack_padded_sequence(
                    leaf, m.tensor(lengths), batch_first=batch_first, enforce_sorted=False
                )
            hx = tuple(first) if len(first) == 2 else first[0] if first else None
            out, last = module(given_x, hx) if hx is not None else module(given_x)
            if lengths is not None:
                out, _ = m.nn.utils.rnn.pad_packed_sequence(out, batch_first=batch_first)
            loss = (out**2).sum()
            for k, t in enumerate(flat(last)):
                loss = loss + (t**3).sum() * (k + 1)
            loss.backward()
        grads = [leaf.grad, *[s.grad for s in first], *[p.grad for p in module.parameters()]]
        results.append(([out, *flat(last)], grads))
        module.zero_grad()
    for a, b in zip(*[r[0] for r in results]):
        same(a, b)
    for a, b in zip(*[r[1] for r in results]):
        same(a, b, 1e-8)


MODES = ["RNN", "RNN relu", "LSTM", "GRU"]
OPTIONS = [
    {},
    {"num_layers": 2},
    {"bidirectional": True},
    {"num_layers": 2, "bidirectional": True, "batch_first": True},
    {"bias": False},
    {"batch_first": True},
]


def maker(mode: str, *sizes: int, **options):
    name, _, nonlinearity = mode.partition(" ")
    if nonlinearity:
        options["nonlinearity"] = nonlinearity
    return lambda m: getattr(m.nn, name)(*sizes, **options)


def first_states(mode: str, options, batch, hidden: int, projected: int = 0):
    rng = np.random.default_rng(1)
    count = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    shape = (count, hidden) if batch is None else (count, batch, hidden)
    sizes = [shape[:-1] + (projected or hidden,)] + ([shape] if mode == "LSTM" else [])
    return [rng.normal(size=s) for s in sizes]


@pytest.mark.parametrize("resolution", ["tensor", "scalar"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("mode", MODES)
def test_layers(mode: str, options, resolution: str) -> None:
    theirs, ours = loaded(maker(mode, 3, 4, **options))
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 5, 3) if options.get("batch_first") else (5, 2, 3))
    both(theirs, ours, x, resolution=resolution)
    both(theirs, ours, x, first_states(mode, options, 2, 4), resolution)
    both(theirs, ours, x[0], resolution=resolution)
    both(theirs, ours, x[0], first_states(mode, options, None, 4), resolution)


@pytest.mark.parametrize("mode", MODES)
def test_large_batches_are_shared_by_threads(mode: str) -> None:
    theirs, ours = loaded(maker(mode, 5, 70))
    x = np.random.default_rng(0).normal(size=(6, 67, 5))
    both(theirs, ours, x, first_states(mode, {}, 67, 70))


@pytest.mark.parametrize("resolution", ["tensor", "scalar"])
@pytest.mark.parametrize("options", OPTIONS[:4], ids=str)
@pytest.mark.parametrize("mode", MODES)
def test_packed_sequences(mode: str, options, resolution: str) -> None:
    theirs, ours = loaded(maker(mode, 3, 4, **options))
    batch_first = bool(options.get("batch_first"))
    x = np.random.default_rng(0).normal(size=(4, 6, 3) if batch_first else (6, 4, 3))
    for lengths in ([3, 6, 1, 6], [5, 2, 2, 1]):
        both(theirs, ours, x, (), resolution, lengths, batch_first)
        states = first_states(mode, options, 4, 4)
        both(theirs, ours, x, states, resolution, lengths, batch_first)


@pytest.mark.parametrize("options", OPTIONS[:4], ids=str)
def test_projections(options) -> None:
    theirs, ours = loaded(maker("LSTM", 3, 4, proj_size=2, **options))
    assert repr(ours) == repr(theirs)
    batch_first = bool(options.get("batch_first"))
    x = np.random.default_rng(0).normal(size=(2, 5, 3) if batch_first else (5, 2, 3))
    both(theirs, ours, x)
    both(theirs, ours, x, first_states("LSTM", options, 2, 4, 2))
    both(theirs, ours, x, first_states("LSTM", options, 2, 4, 2), "tensor", [4, 2], batch_first)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_any_arguments(data) -> None:
    mode = data.draw(st.sampled_from(MODES))
    options = {
        "num_layers": data.draw(st.integers(1, 3)),
        "bias": data.draw(st.booleans()),
        "batch_first": data.draw(st.booleans()),
        "bidirectional": data.draw(st.booleans()),
    }
    features, hidden, batch, steps = data.draw(st.tuples(*[st.integers(1, 5)] * 4))
    theirs, ours = loaded(maker(mode, features, hidden, **options))
    shape = (batch, steps, features) if options["batch_first"] else (steps, batch, features)
    x = np.random.default_rng(0).normal(size=shape)
    states = first_states(mode, options, batch, hidden) if data.draw(st.booleans()) else ()
    lengths = data.draw(st.none() | st.lists(st.integers(1, steps), min_size=batch, max_size=batch))
    both(theirs, ours, x, states, "tensor", lengths, options["batch_first"])


def test_dropout_between_layers_draws_as_torch() -> None:
    for mode in MODES:
        for batch_first in (False, True):
            make = maker(mode, 3, 4, num_layers=3, dropout=0.5, batch_first=batch_first)
            theirs, ours = loaded(make, double=False)
            torch.manual_seed(2), rnn.manual_seed(2)
            x = torch.randn(5, 2, 3)
            a, b = theirs(x)[0], ours(to_rnn(x.numpy()))[0]
            rnn.manual_seed(2), rnn.randn(5, 2, 3)
            b = ours(to_rnn(x.numpy()))[0]
            same(a, b, 1e-5)
            theirs.eval(), ours.eval()
            same(theirs(x)[0], ours(to_rnn(x.numpy()))[0], 1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_same_first_weights(mode: str) -> None:
    for options in OPTIONS:
        torch.manual_seed(4), rnn.manual_seed(4)
        theirs, ours = maker(mode, 3, 4, **options)(torch), maker(mode, 3, 4, **options)(rnn)
        for (name, p), (other, q) in zip(theirs.named_parameters(), ours.named_parameters()):
            assert name == other
            same(p, q, 1e-6)
        for one, other in zip(theirs.all_weights, ours.all_weights):
            assert [tuple(w.shape) for w in one] == [tuple(w.shape) for w in other]


def test_outputs_lie_as_torchs() -> None:
    """Contiguous, but for batch_first: programs call view on them."""
    x = rnn.randn(5, 2, 3)
    for mode in MODES:
        out, last = maker(mode, 3, 4)(rnn)(x)
        assert out.is_contiguous()
        assert all(t.is_contiguous() for t in flat(last))
        out.view(-1)
        out, _ = maker(mode, 3, 4, batch_first=True)(rnn)(x)
        assert out.stride() == (4, 20, 1)


def test_last_state_is_not_a_window_on_the_output() -> None:
    out, h = rnn.nn.GRU(3, 4)(rnn.randn(5, 2, 3))
    with rnn.no_grad():
        h.zero_()
    assert (out[-1] != 0).all()


def test_a_layer_without_gradients_leaves_no_graph() -> None:
    for mode in MODES:
        layer = maker(mode, 3, 4)(rnn)
        with rnn.no_grad():
            out, _ = layer(rnn.randn(5, 2, 3))
        assert not out.requires_grad


# ---- cells --------------------------------------------------------------------------------------


def run_cell(m, cell, xs, states):
    """Three steps, then backward."""
    for x in xs:
        states = cell(x, states)
    total = sum((t**2).sum() * (k + 1) for k, t in enumerate(flat(states)))
    total.backward()
    return flat(states)


@pytest.mark.parametrize("resolution", ["tensor", "scalar"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batch", [None, 2])
@pytest.mark.parametrize("mode", ["RNNCell", "RNNCell relu", "LSTMCell", "GRUCell"])
def test_cells(mode: str, batch, bias: bool, resolution: str) -> None:
    theirs, ours = loaded(maker(mode, 3, 4, bias=bias))
    assert repr(ours) == repr(theirs)
    shape = () if batch is None else (batch,)
    rng = np.random.default_rng(0)
    xs = [rng.normal(size=(*shape, 3)) for _ in range(3)]
    first = [rng.normal(size=(*shape, 4)) for _ in range(2 if "LSTM" in mode else 1)]
    for given_states in (first, None):
        results = []
        for m, cell in ((torch, theirs), (rnn, ours)):
            make = torch.from_numpy if m is torch else to_rnn
            with rnn.resolution(resolution):
                ins = [make(x.copy()).requires_grad_() for x in xs]
                hs = [make(s.copy()).requires_grad_() for s in given_states or ()]
                hx = None if not hs else tuple(hs) if len(hs) == 2 else hs[0]
                out = run_cell(m, cell, ins, hx)
            results.append(
                [*out, *[t.grad for t in ins + hs], *[p.grad for p in cell.parameters()]]
            )
            cell.zero_grad()
        for a, b in zip(*results):
            same(a, b, 1e-8)


# ---- training -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_ten_steps_of_training(mode: str) -> None:
    losses = []
    for m in (torch, rnn):
        m.manual_seed(0)
        layer = maker(mode, 3, 8, num_layers=2, bidirectional=True)(m)
        head = m.nn.Linear(16, 4)
        x, y = m.randn(6, 5, 3), m.randint(0, 4, (5,))
        own = []
        for _ in range(10):
            out, _ = layer(x)
            loss = m.nn.functional.cross_entropy(head(out[-1]), y)
            layer.zero_grad(), head.zero_grad()
            loss.backward()
            with m.no_grad():
                for p in [*layer.parameters(), *head.parameters()]:
                    p -= 0.5 * p.grad
            own.append(loss.item())
        losses.append(own)
    np.testing.assert_allclose(losses[1], losses[0], 1e-5)
    assert losses[1][-1] < losses[1][0]


def test_states_cross_both_ways() -> None:
    for mode in MODES:
        make = maker(mode, 3, 4, num_layers=2, bidirectional=True)
        theirs, ours = make(torch), make(rnn)
        ours.load_state_dict(theirs.state_dict())
        back = make(torch)
        back.load_state_dict({k: torch.from_numpy(v.numpy()) for k, v in ours.state_dict().items()})
        x = torch.randn(5, 2, 3)
        same(theirs(x)[0], ours(to_rnn(x.numpy()))[0], 1e-5)
        same(theirs(x)[0], to_rnn(back(x)[0].detach().numpy()), 1e-6)


# ---- errors -------------------------------------------------------------------------------------

ERRORS = [
    lambda m: m.nn.RNN(3, 4)(m.zeros(5, 2, 4)),
    lambda m: m.nn.RNN(3, 4)(m.zeros(5)),
    lambda m: m.nn.LSTM(3, 4)(m.zeros(5)),
    lambda m: m.nn.GRU(3, 4)(m.zeros(5)),
    lambda m: m.nn.RNN(3, 4)(m.zeros(5, 2, 3), m.zeros(1, 3, 4)),
    lambda m: m.nn.RNN(3, 4)(m.zeros(5, 2, 3), m.zeros(3, 4)),
    lambda m: m.nn.RNN(3, 4)(m.zeros(5, 3), m.zeros(1, 3, 4)),
    lambda m: m.nn.RNN(3, 4)(m.zeros(5, 2, 3, dtype=m.float64)),
    lambda m: m.nn.RNN(3, 4)(m.zeros(5, 2, 3), m.zeros(1, 2, 4, dtype=m.float64)),
    lambda m: m.nn.LSTM(3, 4)(m.zeros(5, 2, 3), (m.zeros(1, 2, 4), m.zeros(1, 2, 5))),
    lambda m: m.nn.LSTM(3, 4)(m.zeros(5, 2, 3), (m.zeros(1, 2, 5), m.zeros(1, 2, 4))),
    lambda m: m.nn.LSTM(3, 4)(m.zeros(5, 2, 3), (m.zeros(2, 4), m.zeros(2, 4))),
    lambda m: m.nn.LSTM(3, 4)(m.zeros(5, 2, 3), m.zeros(1, 2, 4)),
    lambda m: m.nn.RNN(3, 4, nonlinearity="sin"),
    lambda m: m.nn.RNN(3, 4, dropout=2),
    lambda m: m.nn.RNN(3, 0),
    lambda m: m.nn.RNN(3.0, 4),
    lambda m: m.nn.GRU(3, 4, proj_size=2),
    lambda m: m.nn.LSTM(3, 4, proj_size=5),
    lambda m: m.nn.LSTM(3, 4, bias=1),
    lambda m: m.nn.RNNCell(3, 4)(m.zeros(2, 4)),
    lambda m: m.nn.RNNCell(3, 4)(m.zeros(2, 3), m.zeros(3, 4)),
    lambda m: m.nn.RNNCell(3, 4)(m.zeros(2, 3), m.zeros(2, 5)),
    lambda m: m.nn.RNNCell(3, 4)(m.zeros(2, 3, 3)),
    lambda m: m.nn.LSTMCell(3, 4)(m.zeros(2, 3), (m.zeros(2, 4), m.zeros(2, 5))),
    lambda m: m.nn.LSTMCell(3, 4)(m.zeros(2, 3), (m.zeros(2, 2, 4), m.zeros(2, 4))),
    lambda m: m.nn.GRUCell(3, 4)(m.zeros(2, 3), m.zeros(2, 2, 4)),
]


@pytest.mark.parametrize("call", ERRORS)
def test_errors(call) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compare_errors(call)

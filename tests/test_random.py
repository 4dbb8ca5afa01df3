"""Random tensors: the numbers that torch gives for the same seed, for every dtype and layout."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import rnn
from rnn import random
from rnn.ops import create

Case = Callable[[Any], Any]
FLOATS = ("float32", "float64")
DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", *FLOATS)


def seed_both(seed: int = 7) -> None:
    torch.manual_seed(seed)
    rnn.manual_seed(seed)


def same(fn: Case) -> None:
    """The same numbers (floats to 1e-6), dtype, shape, order of memory, and state afterwards."""
    seed_both()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, ours = fn(torch), fn(rnn)
    assert tuple(ours.shape) == tuple(theirs.shape)
    assert ours.dtype.name == str(theirs.dtype).removeprefix("torch.")
    assert ours.requires_grad == theirs.requires_grad
    steps = [s for n, s in zip(ours.shape, create.element_strides(ours)) if n != 1]
    if theirs.numel():
        assert steps == [s for n, s in zip(theirs.shape, theirs.stride()) if n != 1]
    np.testing.assert_allclose(
        ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-6, atol=1e-6
    )
    assert rnn.get_rng_state().tolist() == torch.get_rng_state().tolist()


def same_error(fn: Case) -> None:
    """The same exception in the same words, and nothing drawn."""
    raised: list[Exception] = []
    seed_both()
    for module in (torch, rnn):
        with pytest.raises(Exception) as caught:
            fn(module)
        raised.append(caught.value)
    theirs, ours = raised
    assert type(ours) is type(theirs), (ours, theirs)
    words = str(theirs).partition("\n")[0].partition("  (Could")[0].replace("torch.", "rnn.")
    assert str(ours) == words
    assert rnn.get_rng_state().tolist() == torch.get_rng_state().tolist()


def cases(*functions: Case) -> Any:
    return pytest.mark.parametrize("fn", functions, ids=map(str, range(len(functions))))


# ---- new tensors ---------------------------------------------------------------------------------


@cases(
    lambda m: m.rand(3, 4),
    lambda m: m.rand((3, 4), dtype=m.float64),
    lambda m: m.rand(size=(5,)),
    lambda m: m.rand(()),
    lambda m: m.rand(0),
    lambda m: m.rand(3, requires_grad=True),
    lambda m: m.rand(3, device="cpu", layout=m.strided, pin_memory=False),
    lambda m: m.rand(3, out=m.zeros(3)),
    lambda m: m.randn(3),
    lambda m: m.randn(5, 5),
    lambda m: m.randn(100, dtype=m.float64),
    lambda m: m.randn(5, 5, out=m.zeros(5, 5)),
    lambda m: m.randn(4, 4, generator=None, requires_grad=True),
    lambda m: m.randint(10, (3, 4)),
    lambda m: m.randint(-5, 10, (30,)),
    lambda m: m.randint(low=0, high=10, size=(4,)),
    lambda m: m.randint(0, high=10, size=[4]),
    lambda m: m.randint(10, size=(4,)),
    lambda m: m.randint(0, 5, (4,), dtype=m.float32),
    lambda m: m.randint(0, 256, (40,), dtype=m.uint8),
    lambda m: m.randint(0, 2, (40,), dtype=m.bool),
    lambda m: m.randint(0, 2**40, (4,)),
    lambda m: m.randint(-(2**62), 2**62, (4,)),
    lambda m: m.randint(0, 10, ()),
    lambda m: m.randint(0, 5, (2,), out=m.zeros(2)),
    lambda m: m.randint(m.tensor(5), (3,)),
    lambda m: m.randperm(20),
    lambda m: m.randperm(0),
    lambda m: m.randperm(20, dtype=m.int32),
    lambda m: m.randperm(20, dtype=m.float32),
    lambda m: m.randperm(1000)[:5],
    lambda m: m.normal(1.0, 2.0, (3, 4)),
    lambda m: m.normal(2, 3, size=(20,)),
    lambda m: m.normal(mean=0.0, std=1.0, size=(3,), dtype=m.float64),
    lambda m: m.normal(m.arange(20.0), m.linspace(0.1, 2, 20)),
    lambda m: m.normal(m.arange(20.0), 2.0),
    lambda m: m.normal(m.arange(20.0)),
    lambda m: m.normal(1.5, m.linspace(0.1, 2, 20)),
    lambda m: m.normal(m.zeros(3, 1), m.ones(4)),
    lambda m: m.normal(m.zeros(3, 1, dtype=m.float64), m.ones(4)),
    lambda m: m.bernoulli(m.full((10,), 0.5)),
    lambda m: m.bernoulli(m.zeros(10), 0.3),
    lambda m: m.bernoulli(m.linspace(0, 1, 20, dtype=m.float64)),
    lambda m: m.full((10,), 0.5).bernoulli(),
    lambda m: m.multinomial(m.linspace(0.1, 1, 27), 10),
    lambda m: m.multinomial(m.linspace(0.1, 1, 27), 10, replacement=True),
    lambda m: m.multinomial(m.linspace(0.1, 1, 27), 1),
    lambda m: m.linspace(0.1, 1, 27, dtype=m.float64).multinomial(3),
    lambda m: m.multinomial(m.rand(3, 9), 5),
    lambda m: m.multinomial(m.rand(3, 9), num_samples=50, replacement=True),
    lambda m: m.rand_like(m.zeros(3, 4)),
    lambda m: m.rand_like(m.tensor([1, 2]), dtype=m.float64, requires_grad=True),
    lambda m: m.randn_like(m.zeros(5, 4)),
    lambda m: m.randn_like(m.zeros(5, 4), dtype=m.float64),
    lambda m: m.randn_like(m.zeros(5, 4, requires_grad=True)),
    lambda m: m.randint_like(m.zeros(5, 4), 10),
    lambda m: m.randint_like(m.zeros(5, 4, dtype=m.int64), 3, 10),
)
def test_new(fn: Case) -> None:
    same(fn)


@cases(
    lambda m: m.zeros(20).uniform_(),
    lambda m: m.zeros(20).uniform_(-1, 2),
    lambda m: m.zeros(20).uniform_(to=3),
    lambda m: m.zeros(20).uniform_(**{"from": -1.0}),
    lambda m: m.zeros(20, dtype=m.float64).uniform_(0, 1e300),
    lambda m: m.zeros(20).normal_(),
    lambda m: m.zeros(20).normal_(1, 3),
    lambda m: m.zeros(20).normal_(mean=1, std=0),
    lambda m: m.zeros(20).exponential_(),
    lambda m: m.zeros(20).exponential_(lambd=1.5),
    lambda m: m.zeros(20).cauchy_(1, 2),
    lambda m: m.zeros(20).log_normal_(),
    lambda m: m.zeros(20).geometric_(0.3),
    lambda m: m.zeros(20, dtype=m.int64).geometric_(0.3),
    lambda m: m.zeros(20).bernoulli_(),
    lambda m: m.zeros(2, 10).bernoulli_(m.full((10,), 0.5)),
    lambda m: m.zeros(2, 10).bernoulli_(m.full((10,), 0.5, dtype=m.float64)),
    lambda m: m.zeros(2, 10, dtype=m.int64).bernoulli_(m.full((10,), 0.5)),
)
def test_in_place(fn: Case) -> None:
    same(fn)


@pytest.mark.parametrize("dtype", DTYPES)
@cases(
    lambda t: t.random_(),
    lambda t: t.random_(2),
    lambda t: t.random_(0, 2),
    lambda t: t.random_(**{"from": 0, "to": 1}),
    lambda t: t.bernoulli_(0.4),
)
def test_in_place_of_every_dtype(fn: Case, dtype: str) -> None:
    same(lambda m: fn(m.zeros(40, dtype=getattr(m, dtype))))


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "transposed": lambda a: a.T,
    "permuted": lambda a: a.transpose(1, 2, 0),
    "columns": lambda a: a[:, ::2],
    "inner": lambda a: a[1:, 1:, 1:],
    "inner of the transposed": lambda a: a.T[1:, 1:],
    "one": lambda a: a[0, 0, 0:1],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_layouts(layout: str, dtype: str) -> None:
    def target(m: Any) -> Any:
        return m.from_numpy(LAYOUTS[layout](np.zeros((6, 5, 4), dtype)))

    fns: list[Case] = [
        lambda m: target(m).random_(),
        lambda m: target(m).random_(0, 2),
        lambda m: target(m).bernoulli_(0.4),
        lambda m: m.randint_like(target(m), 0, 2),
    ]
    if dtype in FLOATS:
        for name in ("uniform_", "normal_", "exponential_", "cauchy_", "log_normal_"):
            fns.append(lambda m, name=name: getattr(target(m), name)())  # type: ignore[misc]
        fns += [
            lambda m: m.rand_like(target(m)),
            lambda m: m.randn_like(target(m)),
            lambda m: m.bernoulli(target(m).uniform_()),
            lambda m: target(m).bernoulli_(m.rand_like(target(m))),
            lambda m: m.randn(target(m).shape, out=target(m)),
        ]
    for fn in fns:
        same(fn)


@pytest.mark.parametrize("dtype", FLOATS)
def test_multinomial_of_weights_that_lie_across(dtype: str) -> None:
    for cut in (lambda a: a.T, lambda a: a[:, ::2], lambda a: a[::2]):

        def weights(m: Any, cut: Any = cut) -> Any:
            return m.from_numpy(cut(np.ones((6, 8), dtype))).uniform_()

        for k in (1, 3):
            for replacement in (False, True):
                same(lambda m, k=k, r=replacement, w=weights: m.multinomial(w(m), k, r))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("p", (0.0, 0.3, 1.0))
def test_dropout_mask(p: float, dtype: str) -> None:
    for cut in (lambda a: a, lambda a: a.T, lambda a: a[:, ::2]):
        array = cut(np.ones((6, 8), dtype))
        seed_both()
        mask = random.dropout_mask(rnn.from_numpy(array), p)
        expected = torch.nn.functional.dropout(torch.from_numpy(array), p)
        np.testing.assert_array_equal(mask.numpy(), expected.numpy())
        assert rnn.get_rng_state().tolist() == torch.get_rng_state().tolist()
    with pytest.raises(ValueError, match=r"between 0 and 1, but got 1.5"):
        random.dropout_mask(rnn.ones(2), 1.5)


# ---- what is refused -----------------------------------------------------------------------------


@cases(
    lambda m: m.empty(3).uniform_(2, 1),
    lambda m: m.empty(3).uniform_(-3e38, 3e38),
    lambda m: m.empty(3).normal_(0, -1),
    lambda m: m.empty(3).exponential_(0),
    lambda m: m.empty(3).cauchy_(0, -1),
    lambda m: m.empty(3).log_normal_(0, -1),
    lambda m: m.empty(3).geometric_(1.5),
    lambda m: m.empty(3).bernoulli_(1.5),
    lambda m: m.bernoulli(m.tensor([1.5])),
    lambda m: m.bernoulli(m.tensor([1])),
    lambda m: m.empty(3).random_(5, 2),
    lambda m: m.randint(5, 2, (3,)),
    lambda m: m.randint(0, 500, (3,), dtype=m.int8),
    lambda m: m.randint(0, 3, (3,), dtype=m.bool),
    lambda m: m.zeros(3, dtype=m.uint8).random_(-1, 3),
    lambda m: m.randint(2.5, (3,)),
    lambda m: m.rand(-1),
    lambda m: m.randperm(-1),
    lambda m: m.randint(3, (-1,)),
    lambda m: m.multinomial(m.tensor([1.0, 2]), 3),
    lambda m: m.multinomial(m.tensor([1.0, -2]), 1),
    lambda m: m.multinomial(m.tensor([0.0, 0]), 1),
    lambda m: m.multinomial(m.tensor([1.0, float("inf")]), 1),
    lambda m: m.multinomial(m.tensor([1, 2]), 1),
    lambda m: m.multinomial(m.tensor(1.0), 1),
    lambda m: m.multinomial(m.ones(2), 0),
    lambda m: m.zeros(3, dtype=m.int64).normal_(),
    lambda m: m.zeros(3, dtype=m.int64).uniform_(),
    lambda m: m.zeros(3, dtype=m.int64).exponential_(),
    lambda m: m.zeros(3, dtype=m.int64).log_normal_(),
    lambda m: m.rand(3, dtype=m.int64),
    lambda m: m.randn(3, dtype=m.int64),
    lambda m: m.normal(0.0, -1.0, (2,)),
    lambda m: m.normal(m.zeros(2), m.tensor([-1.0, 1])),
    lambda m: m.normal(m.tensor([1, 2]), 1.0),
    lambda m: m.zeros(3, requires_grad=True).normal_(),
    lambda m: m.rand(2, out=m.zeros(2), dtype=m.float64),
    lambda m: m.set_rng_state(m.zeros(5056, dtype=m.uint8)),
    lambda m: m.set_rng_state(m.zeros(56, dtype=m.uint8)),
    lambda m: m.set_rng_state(m.zeros(56)),
    lambda m: m.manual_seed("a"),
    lambda m: m.manual_seed(2**64),
    lambda m: m.manual_seed(-(2**63) - 1),
    lambda m: m.Generator().manual_seed(2.7),
)
def test_refused(fn: Case) -> None:
    same_error(fn)


@cases(
    lambda m, x: m.bernoulli(x),
    lambda m, x: m.normal(x, 1.0),
    lambda m, x: m.normal(0.0, x),
    lambda m, x: m.normal(x, x.detach()),
    lambda m, x: m.normal(m.ones(3), x),
)
def test_gradients_of_what_is_drawn_by(fn: Any) -> None:
    names = []
    for m in (torch, rnn):
        x = m.full((2, 3), 0.5, requires_grad=True)
        drawn = fn(m, x)
        names.append(drawn.grad_fn.name())
        drawn.sum().backward()
        assert x.grad.tolist() == [[0.0] * 3] * 2
        with m.no_grad():
            assert not fn(m, x).requires_grad
    assert names[0] == names[1]


def test_refused_in_other_words() -> None:
    for fn in (
        lambda m: m.randint(3),
        lambda m: m.randint(0, 3, 3),
        lambda m: m.normal(0, 1),
        lambda m: m.normal(0, 1, 3),
        lambda m: m.rand(3, generator=5),
    ):
        for m in (torch, rnn):
            with pytest.raises(TypeError):
                fn(m)
    for fn in (lambda: rnn.Generator("cuda"), lambda: rnn.rand(2, device="cuda")):
        with pytest.raises(RuntimeError, match="CPU only"):
            fn()
    array = np.broadcast_to(np.zeros(3, np.float32), (2, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(RuntimeError, match="single memory location"):
            rnn.from_numpy(array).normal_()


def test_floats_that_hold_not_every_integer() -> None:
    for m in (torch, rnn):
        with pytest.warns(UserWarning, match="out of bounds"):
            m.zeros(2).random_(2**30)


# ---- generators ----------------------------------------------------------------------------------


def test_generator() -> None:
    ours, theirs = rnn.Generator(), torch.Generator()
    assert ours.initial_seed() == theirs.initial_seed()
    assert str(ours.device) == str(theirs.device) == "cpu"
    assert ours.manual_seed(42) is ours
    theirs.manual_seed(42)
    before = rnn.get_rng_state().tolist()
    for draw in (
        lambda m, g: m.rand(5, generator=g),
        lambda m, g: m.randn(20, generator=g),
        lambda m, g: m.randint(0, 9, (5,), generator=g),
        lambda m, g: m.randperm(9, generator=g),
        lambda m, g: m.zeros(5).normal_(generator=g),
        lambda m, g: m.zeros(5).uniform_(generator=g),
        lambda m, g: m.zeros(5, dtype=m.int64).random_(0, 10, generator=g),
        lambda m, g: m.normal(0.0, 1.0, (3,), generator=g),
        lambda m, g: m.bernoulli(m.full((5,), 0.5), generator=g),
        lambda m, g: m.multinomial(m.ones(5), 2, generator=g),
    ):
        a, b = draw(rnn, ours), draw(torch, theirs)
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6, atol=1e-6)
    assert ours.get_state().tolist() == theirs.get_state().tolist()
    assert rnn.get_rng_state().tolist() == before
    ours.set_state(rnn.tensor(theirs.manual_seed(3).get_state().numpy()))
    assert rnn.rand(1, generator=ours).item() == torch.rand(1, generator=theirs).item()
    assert ours.clone_state().get_state().tolist() == ours.get_state().tolist()
    again = pickle.loads(pickle.dumps(ours))
    assert again.get_state().tolist() == ours.get_state().tolist()


def test_seeds() -> None:
    for seed in (0, 1, 2**31, 2**63, 2**64 - 1, -1, -(2**63), 1337, 2.7, True):
        for m in (torch, rnn):
            g = m.manual_seed(seed)
            assert g is m.default_generator
        assert rnn.initial_seed() == torch.initial_seed()
        assert rnn.rand(1).item() == torch.rand(1).item()
    seeds = {rnn.seed() for _ in range(5)} | {rnn.Generator().seed() for _ in range(5)}
    assert len(seeds) == 10 and all(0 <= s < 2**64 for s in seeds)
    assert rnn.seed() == rnn.initial_seed()


def test_states() -> None:
    rnn.manual_seed(3)
    rnn.randn(3)  # leaves a spare
    state = rnn.get_rng_state()
    assert state.dtype is rnn.uint8 and state.shape == (5056,)
    a = rnn.randn(5)
    rnn.set_rng_state(state)
    assert rnn.randn(5).tolist() == a.tolist()
    with rnn.random.fork_rng():
        rnn.manual_seed(0)
    rnn.set_rng_state(state)
    with rnn.random.fork_rng():
        rnn.rand(100)
    assert rnn.randn(5).tolist() == a.tolist()


def test_the_default_generator_starts_anywhere() -> None:
    program = "import rnn; print(rnn.initial_seed(), rnn.rand(1).item())"
    command = [sys.executable, "-c", program]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    outputs = {process.communicate()[0] for process in running}
    assert len(outputs) == 2 and not any(process.returncode for process in running)


def test_threads_draw_without_harm() -> None:
    rnn.manual_seed(0)
    drawn: list[int] = []

    def draw() -> None:
        for _ in range(50):
            drawn.extend(rnn.randint(0, 2**31, (100,)).tolist())

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    rnn.manual_seed(0)
    one_after_the_other = rnn.randint(0, 2**31, (20000,)).tolist()
    assert sorted(drawn) == sorted(one_after_the_other)


def test_nothing_leaks() -> None:
    before = rnn.memory_stats()
    for _ in range(50):
        rnn.rand(100), rnn.randn(100), rnn.zeros(100).normal_(), rnn.randn_like(rnn.zeros(10))
        g = rnn.Generator().manual_seed(1)
        rnn.rand(3, generator=g)
        with pytest.raises(RuntimeError):
            rnn.normal(0.0, -1.0, (100,))
    after = rnn.memory_stats()
    assert (after["live"], after["spans"]) == (before["live"], before["spans"])


def test_writing_random_numbers_into_a_graph() -> None:
    """What was there gets no gradient; what is left of it does."""
    grads = []
    for m in (torch, rnn):
        seed_both()
        x = m.ones(4, requires_grad=True)
        y = x * 2
        y[:2].normal_()
        (y * y).sum().backward()
        grads.append(x.grad.tolist())
        z = m.ones(3, requires_grad=True) * 2
        z.uniform_()
        assert z.requires_grad and tuple(z.shape) == (3,)
    assert grads[0] == grads[1] == [0, 0, 8, 8]


def test_out_takes_another_shape() -> None:
    same(lambda m: m.rand(3, 4, out=m.zeros(0)))
    same(lambda m: m.randint(0, 9, (3,), out=m.zeros(0, dtype=m.int64)))

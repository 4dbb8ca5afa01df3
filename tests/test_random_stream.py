"""csrc/random*.c against the installed torch: the stream itself, and what random.h says of it.

The C files are compiled here into a library of their own, so that this test needs no engine;
tests/c/test_random.c holds torch's recorded numbers.
"""

from __future__ import annotations

import ctypes
import math
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

CSRC = Path(__file__).parent.parent / "csrc"
SIZES = (1, 2, 15, 16, 17, 31, 512, 1000, 1024, 1025, 20011)
REAL = {"f32": np.float32, "f64": np.float64}
TORCH = {"f32": torch.float32, "f64": torch.float64}
KINDS = ("f32", "f64")


class Stream:
    """One rnn_rng, seeded together with torch's default generator."""

    def __init__(self, library: ctypes.CDLL, seed: int) -> None:
        self.library = library
        self.rng = ctypes.create_string_buffer(8192)
        self.seed(seed)
        torch.manual_seed(seed)

    def seed(self, seed: int) -> None:
        self.library.rnn_rng_seed(self.rng, ctypes.c_uint64(seed))

    def fill(self, name: str, dtype: Any, n: int, *parameters: Any) -> np.ndarray:
        """rnn_<name>(rng, *parameters, n, out); floats go as double, integers as int64."""
        out = np.empty(n, dtype)
        function = getattr(self.library, "rnn_" + name)
        code = function(self.rng, *map(argument, parameters), argument(n), argument(out))
        assert function.restype is None or code == 0
        return out

    def multinomial(self, p: np.ndarray, k: int, replacement: bool) -> np.ndarray:
        rows, n = p.shape
        out, work = np.empty((rows, k), np.int64), np.empty(n)
        name = "rnn_multinomial_f32" if p.dtype == np.float32 else "rnn_multinomial_f64"
        arguments = map(argument, (p, rows, n, k))
        code = getattr(self.library, name)(
            self.rng, *arguments, ctypes.c_int(replacement), argument(work), argument(out)
        )
        assert code == 0
        return out

    def state(self) -> bytes:
        out = ctypes.create_string_buffer(5056)
        self.library.rnn_rng_get_state(self.rng, out)
        return out.raw


def argument(x: Any) -> Any:
    if isinstance(x, np.ndarray):
        return x.ctypes.data_as(ctypes.c_void_p)
    return ctypes.c_int64(x) if isinstance(x, int) else ctypes.c_double(x)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    compiler = os.environ.get("CC") or shutil.which("cc")
    assert compiler, "a C compiler"
    path = tmp_path_factory.mktemp("random") / "random.so"
    sources = map(str, sorted(CSRC.glob("random*.c")))
    flags = ["-std=gnu11", "-O3", "-ffp-contract=fast", "-shared", "-fPIC"]
    subprocess.run([*compiler.split(), *flags, "-o", str(path), *sources, "-lm"], check=True)
    library = ctypes.CDLL(str(path))
    for name in ("rand_f32", "rand_f64", "randn_f32", "randn_f64", "random_i64", "rng_words"):
        getattr(library, "rnn_" + name).restype = None
    return library


@pytest.fixture
def stream(library: ctypes.CDLL) -> Stream:
    return Stream(library, 1337)


def same(ours: np.ndarray, theirs: Any) -> None:
    """Equal to the last bit."""
    np.testing.assert_array_equal(ours, theirs.numpy().reshape(ours.shape))


def near(ours: np.ndarray, theirs: Any) -> None:
    """Equal but for libm's last bits."""
    tolerance = 5e-7 if ours.dtype == np.float32 else 1e-14
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=tolerance, atol=tolerance)


def same_state(stream: Stream) -> None:
    assert stream.state() == torch.get_rng_state().numpy().tobytes()


# ---- the stream ----


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_floats(stream: Stream, kind: str, n: int) -> None:
    dtype, ours = TORCH[kind], REAL[kind]

    def empty() -> Any:
        return torch.empty(n, dtype=dtype)

    same(stream.fill("rand_" + kind, ours, n), torch.rand(n, dtype=dtype))
    same(stream.fill("uniform_" + kind, ours, n, -0.3, 1.7), empty().uniform_(-0.3, 1.7))
    compare = same if kind == "f32" and n >= 16 else near
    compare(stream.fill("randn_" + kind, ours, n), torch.randn(n, dtype=dtype))
    compare(stream.fill("normal_" + kind, ours, n, -0.3, 1.7), empty().normal_(-0.3, 1.7))
    same(stream.fill("bernoulli_" + kind, ours, n, 0.3), empty().bernoulli_(0.3))
    p = torch.rand(n, dtype=dtype)
    stream.fill("rand_" + kind, ours, n)
    ones = np.empty(n, ours)
    array = getattr(stream.library, "rnn_bernoulli_array_" + kind)
    assert array(stream.rng, argument(p.numpy()), argument(n), argument(ones)) == 0
    same(ones, torch.bernoulli(p))
    near(stream.fill("exponential_" + kind, ours, n, 1.7), empty().exponential_(1.7))
    near(stream.fill("log_normal_" + kind, ours, n, 0.5, 0.7), empty().log_normal_(0.5, 0.7))
    near(stream.fill("geometric_" + kind, ours, n, 0.3), empty().geometric_(0.3))
    near(stream.fill("cauchy_" + kind, ours, n, 0.5, 1.7), empty().cauchy_(0.5, 1.7))
    same_state(stream)


@pytest.mark.parametrize("n", SIZES)
def test_integers(stream: Stream, n: int) -> None:
    for low, high in ((0, 2), (-7, 100), (0, 2**28 - 1), (0, 2**28), (-(2**62), 2**62 + 5)):
        same(stream.fill("randint_i64", np.int64, n, low, high), torch.randint(low, high, (n,)))
    same(stream.fill("randperm", np.int64, n), torch.randperm(n))
    same(stream.fill("random_i64", np.int64, n), torch.empty(n, dtype=torch.int64).random_())
    same_state(stream)


def test_random_of_other_dtypes(stream: Stream) -> None:
    n = 1000
    for dtype, limit in (
        (torch.int32, 2**31),
        (torch.int16, 2**15),
        (torch.int8, 2**7),
        (torch.uint8, 2**8),
        (torch.bool, 2),
        (torch.float32, 2**24 + 1),
    ):
        words = stream.fill("rng_words", np.uint32, n)
        same((words % limit).astype(np.float64), torch.empty(n, dtype=dtype).random_().double())
    words = stream.fill("rng_words", np.uint32, 2 * n).astype(np.uint64)
    whole = words[::2] << np.uint64(32) | words[1::2]
    ours = (whole % np.uint64(2**53 + 1)).astype(np.float64)
    same(ours, torch.empty(n, dtype=torch.float64).random_())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("p", (0.0, 0.1, 0.45, 0.5, 1.0))
def test_dropout(stream: Stream, kind: str, p: float) -> None:
    x = torch.arange(1000, dtype=TORCH[kind])
    ours = stream.fill("dropout_mask_" + kind, REAL[kind], 1000, p)
    same(x.numpy() * ours, torch.nn.functional.dropout(x, p))
    same_state(stream)
    channels = stream.fill("dropout_mask_" + kind, REAL[kind], 6, p)
    theirs = torch.nn.functional.dropout2d(torch.ones(2, 3, 4, 4, dtype=TORCH[kind]), p)
    same(channels.reshape(2, 3), theirs[:, :, 0, 0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", (1, 3))
@pytest.mark.parametrize(
    "n, k, replacement",
    (
        (1, 1, False),
        (27, 1, False),
        (27, 1, True),
        (27, 100, True),
        (27, 18, False),
        (999, 5, True),
    ),
)
def test_multinomial(
    stream: Stream, kind: str, rows: int, n: int, k: int, replacement: bool
) -> None:
    p = torch.rand(rows, n, dtype=TORCH[kind])
    stream.fill("rand_" + kind, REAL[kind], rows * n)
    if n > 1:
        p[:, ::3] = 0
    for _ in range(20):
        same(stream.multinomial(p.numpy(), k, replacement), torch.multinomial(p, k, replacement))
    same_state(stream)


def test_normal_of_tensors(stream: Stream) -> None:
    mean, std = torch.arange(40.0), torch.arange(40.0) / 7
    ours = stream.fill("normal_arrays_f32", np.float32, 40, mean.numpy(), std.numpy())
    same(ours, torch.normal(mean, std))
    same_state(stream)


def test_state_goes_both_ways(stream: Stream) -> None:
    for drawn in (0, 3, 623, 625, 1000):
        torch.manual_seed(drawn)
        torch.rand(drawn)
        torch.randn(3)
        state = torch.get_rng_state()
        assert stream.library.rnn_rng_set_state(stream.rng, state.numpy().tobytes()) == 0
        same_state(stream)
        near(stream.fill("randn_f32", np.float32, 7), torch.randn(7))
        stream.fill("rand_f64", np.float64, 99)
        torch.set_rng_state(torch.frombuffer(bytearray(stream.state()), dtype=torch.uint8))
        same(stream.fill("rand_f32", np.float32, 999), torch.rand(999))


# ---- what random.h says of the layers above ----


def uniform(stream: Stream, bound: float, n: int) -> np.ndarray:
    return stream.fill("uniform_f32", np.float32, n, -bound, bound)


def test_order_of_memory(stream: Stream) -> None:
    same(stream.fill("rand_f32", np.float32, 12), torch.empty(3, 4).t().uniform_().t())
    same(stream.fill("rand_f32", np.float32, 12), torch.rand_like(torch.empty(3, 4).t()).t())
    serial = stream.fill("normal_serial_f32", np.float32, 36, 0.0, 1.0)
    near(serial.reshape(6, 6), torch.randn_like(torch.empty(6, 6).t()).t())
    mask = stream.fill("dropout_mask_f32", np.float32, 30, 0.5)
    same(mask, torch.nn.functional.dropout(torch.ones(5, 6).t(), 0.5).t())
    same_state(stream)


def test_initialisers(stream: Stream) -> None:
    init, w = torch.nn.init, torch.empty(30, 20)
    same(
        uniform(stream, math.sqrt(3) * (1.5 * math.sqrt(2 / 50)), 600), init.xavier_uniform_(w, 1.5)
    )
    std = math.sqrt(2) / math.sqrt(20)
    same(uniform(stream, math.sqrt(3) * std, 600), init.kaiming_uniform_(w))
    same(stream.fill("normal_f32", np.float32, 600, 0.0, std), init.kaiming_normal_(w))
    std = math.sqrt(2 / 50)
    same(stream.fill("normal_f32", np.float32, 600, 0.0, std), init.xavier_normal_(w))
    ours = stream.fill("normal_f32", np.float32, 600, 0.0, 1.0)
    while (outside := np.abs(ours) > 1).any():
        ours = np.where(outside, stream.fill("normal_f32", np.float32, 600, 0.0, 1.0), ours)
    same(ours, init.trunc_normal_(w, a=-1, b=1))
    same_state(stream)


def test_layers(stream: Stream) -> None:
    linear = torch.nn.Linear(20, 30)
    bound = math.sqrt(3) * (math.sqrt(2 / 6) / math.sqrt(20))
    same(uniform(stream, bound, 600), linear.weight.detach())
    same(uniform(stream, 1 / math.sqrt(20), 30), linear.bias.detach())
    conv = torch.nn.Conv2d(2, 4, 3)
    same(
        uniform(stream, math.sqrt(3) * (math.sqrt(2 / 6) / math.sqrt(18)), 72), conv.weight.detach()
    )
    same(uniform(stream, 1 / math.sqrt(18), 4), conv.bias.detach())
    embedding = torch.nn.Embedding(10, 4)
    same(stream.fill("randn_f32", np.float32, 40), embedding.weight.detach())
    for p in torch.nn.LSTM(3, 4, num_layers=2).parameters():
        same(uniform(stream, 1 / math.sqrt(4), p.numel()), p.detach())
    attention = torch.nn.MultiheadAttention(8, 2)
    bound = math.sqrt(3) * (math.sqrt(2 / 6) / math.sqrt(8))
    same(uniform(stream, bound, 64), attention.out_proj.weight.detach())
    uniform(stream, 1 / math.sqrt(8), 8)  # the bias, which is zeroed later
    bound = math.sqrt(3) * math.sqrt(2 / (8 + 24))
    same(uniform(stream, bound, 192), attention.in_proj_weight.detach())
    same_state(stream)


def indices(loader: Any) -> Any:
    return torch.tensor([int(i) for batch in loader for i in batch])


def test_loaders(stream: Stream) -> None:
    data = torch.utils.data
    loader = data.DataLoader(list(range(100)), 7, shuffle=True)
    other = Stream(stream.library, 1337)
    for _ in range(2):
        base_seed, seed = other.fill("random_i64", np.int64, 2)
        assert base_seed != seed
        stream.seed(int(seed))
        same(stream.fill("randperm", np.int64, 100), indices(loader))
    same_state(other)
    indices(data.DataLoader(list(range(100)), 7))
    other.fill("random_i64", np.int64, 1)
    same_state(other)

    generator = torch.Generator().manual_seed(5)
    stream.seed(5)
    stream.fill("random_i64", np.int64, 1)
    loader = data.DataLoader(list(range(100)), 7, shuffle=True, generator=generator)
    same(stream.fill("randperm", np.int64, 100), indices(loader))
    stream.fill("randperm", np.int64, 100)  # the empty cut of RandomSampler's end
    assert stream.state() == generator.get_state().numpy().tobytes()


def test_samplers(stream: Stream) -> None:
    data = torch.utils.data
    split = data.random_split(range(10), [3, 7])
    same(
        stream.fill("randperm", np.int64, 10), torch.tensor([*split[0].indices, *split[1].indices])
    )
    again = data.RandomSampler(range(10), replacement=True, num_samples=40, generator=None)
    seed = int(stream.fill("random_i64", np.int64, 1)[0])
    theirs = torch.tensor(list(again))
    state = stream.state()
    stream.seed(seed)
    ours = [stream.fill("randint_i64", np.int64, k, 0, 10) for k in (32, 8)]
    same(np.concatenate(ours), theirs)
    stream.library.rnn_rng_set_state(stream.rng, state)
    weighted = data.WeightedRandomSampler([0.1, 3, 2, 0, 1], 9)
    weights = np.array([[0.1, 3, 2, 0, 1]])
    same(stream.multinomial(weights, 9, True), torch.tensor(list(weighted)))
    subset = data.SubsetRandomSampler(range(20))
    same(stream.fill("randperm", np.int64, 20), torch.tensor(list(subset)))
    same_state(stream)

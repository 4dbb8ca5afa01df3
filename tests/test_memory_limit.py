"""The memory limit holds for what is no node: integers, bools, masks, places. Each program would
take at least 64 MiB under a limit of 8, and is refused before it does, in the words of the engine.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import rnn

F = rnn.nn.functional
MIB = 2**20
N = 9_000  # pairs of these take 81 MB as bools
LARGE = 70 * MIB

v, f = rnn.arange(N), rnn.ones(N)
b = v >= 0
col, fcol, bcol = v[:, None], f[:, None], b[:, None]
at = rnn.zeros(N, dtype=rnn.int64)
m, fm = rnn.ones(3, 4, dtype=rnn.int64), rnn.ones(3, 4)
wide = rnn.ones(1, dtype=rnn.int64).expand(LARGE)  # eight bytes in memory
wide_f, wide_b = rnn.ones(1).expand(LARGE), rnn.ones(1, dtype=rnn.bool).expand(LARGE)
image = rnn.ones(1, 1, 4, 4)


class Numbers:
    """A sequence that takes no memory."""

    def __len__(self) -> int:
        return LARGE

    def __getitem__(self, i: int) -> int:
        return 1


PROGRAMS: dict[str, Callable[[], Any]] = {
    # made of sizes and numbers alone
    "zeros": lambda: rnn.zeros(LARGE, dtype=rnn.int64),
    "full": lambda: rnn.full((N, N), True),
    "empty": lambda: rnn.empty(LARGE, dtype=rnn.int32),
    "empty_strided": lambda: rnn.empty_strided((2,), (LARGE,), dtype=rnn.int32),
    "ones_like": lambda: rnn.ones_like(wide),
    "new_zeros": lambda: v.new_zeros(LARGE),
    "eye": lambda: rnn.eye(N, dtype=rnn.int32),
    "arange": lambda: rnn.arange(LARGE),
    "linspace": lambda: rnn.linspace(0, 5, LARGE, dtype=rnn.int32),
    "randint": lambda: rnn.randint(3, (LARGE,)),
    "randint_like": lambda: rnn.randint_like(wide, 3),
    "randperm": lambda: rnn.randperm(LARGE),
    "multinomial": lambda: rnn.ones(3).multinomial(LARGE, True),
    "tensor(range)": lambda: rnn.tensor(range(LARGE)),
    "tensor(sequence)": lambda: rnn.tensor(Numbers()),
    "tensor(array)": lambda: rnn.tensor(np.broadcast_to(np.int64(1), (LARGE,))),
    "tril_indices": lambda: rnn.tril_indices(N, N),
    "triu_indices": lambda: rnn.triu_indices(N, N),
    "resize_": lambda: rnn.ones(3, dtype=rnn.int64).resize_(LARGE),
    # counts, choices, copies
    "histc": lambda: f.histc(LARGE),
    "bincount": lambda: v.bincount(minlength=LARGE),
    "bincount of a large one": lambda: rnn.tensor([LARGE]).bincount(),
    "histogram": lambda: f.histogram(LARGE),
    "one_hot": lambda: F.one_hot(v),
    "one_hot(m, n)": lambda: F.one_hot(m, LARGE),
    "repeat": lambda: v.repeat(N),
    "tile": lambda: v.tile(N),
    "repeat_interleave": lambda: v.repeat_interleave(N),
    "repeat_interleave of floats": lambda: f.repeat_interleave(N),
    "repeat_interleave(counts)": lambda: rnn.repeat_interleave(rnn.tensor([LARGE])),
    "combinations": lambda: rnn.combinations(v),
    "combinations of floats": lambda: rnn.combinations(f, 2, True),
    "cartesian_prod": lambda: rnn.cartesian_prod(v, v),
    "diag": lambda: v.diag(),
    "block_diag": lambda: rnn.block_diag(col, v[None]),
    "tril of nothing": lambda: rnn.ones(0, N, N).tril(),
    "cat": lambda: rnn.cat([wide, wide]),
    "stack": lambda: rnn.stack([wide, wide]),
    "clone": lambda: wide.clone(),
    "contiguous": lambda: wide.contiguous(),
    "reshape": lambda: col.expand(N, N).reshape(-1),
    "flip": lambda: wide.flip(0),
    "to": lambda: wide.to(rnn.int32),
    "float": lambda: wide.float(),
    "long": lambda: wide_f.long(),
    "bool": lambda: wide_f.bool(),
    # two that broadcast
    "add": lambda: col + v,
    "div": lambda: col / v,
    "eq": lambda: col == v,
    "lt of floats": lambda: fcol < f,
    "lt of a number": lambda: wide_f < 1,
    "and": lambda: bcol & b,
    "logical_and": lambda: rnn.logical_and(bcol, b),
    "isclose": lambda: rnn.isclose(fcol, f),
    "maximum": lambda: rnn.maximum(col, v),
    "outer": lambda: rnn.outer(v, v),
    "kron": lambda: rnn.kron(v, v),
    "matmul": lambda: col @ v[None],
    "einsum": lambda: rnn.einsum("i,j->ij", v, v),
    "addmm": lambda: rnn.addmm(rnn.tensor(1), col, v[None]),
    "where": lambda: rnn.where(bcol, v, 0),
    "where of floats": lambda: rnn.where(bcol, f, 0.0),
    "masked_fill": lambda: v.masked_fill(bcol, 3),
    "masked_fill of floats": lambda: f.masked_fill(bcol, 3),
    "masked_select": lambda: f.masked_select(bcol),
    "clamp": lambda: f.clamp(fcol),
    "clamp of integers": lambda: wide.clamp(0, 3),
    "heaviside": lambda: rnn.heaviside(fcol, f),
    # places
    "x[i, j]": lambda: m[at[:, None], at],
    "x[i, j] of floats": lambda: fm[at[:, None], at],
    "x[i, j] = y": lambda: fm.__setitem__((at[:, None], at), 1.0),
    "x[:, i]": lambda: fcol[:, at],
    "x[rows]": lambda: v[None][at],
    "x[mask]": lambda: wide[wide_b],
    "index_select": lambda: fcol.index_select(1, at),
    "take": lambda: v.take(wide),
    "gather": lambda: f.gather(0, wide),
    "nonzero": lambda: wide_b.nonzero(),
    "argwhere": lambda: wide_b.argwhere(),
    "embedding": lambda: F.embedding(wide, fm),
    "pdist": lambda: F.pdist(rnn.ones(N, 2)),
    "unfold": lambda: F.unfold(rnn.ones(1, 1, 900, 900), 8),
    "interpolate": lambda: F.interpolate(image, scale_factor=N // 4),
    "interpolate, linear": lambda: F.interpolate(image, (4, LARGE), mode="bilinear"),
    "pad": lambda: F.pad(rnn.ones(N, 1, N, dtype=rnn.int64), (8, 8), "circular"),
    "adaptive_max_pool": lambda: F.adaptive_max_pool2d(image, N),
    # over elements
    "cumsum": lambda: wide_b.cumsum(0),
    "cummax": lambda: wide.cummax(0),
    "sum of nothing": lambda: rnn.zeros(0, LARGE, dtype=rnn.int64).sum(0),
    "count_nonzero": lambda: rnn.zeros(0, LARGE).count_nonzero(0),
    "all": lambda: rnn.zeros(0, LARGE).all(0),
    "sort": lambda: wide.sort(),
    "median": lambda: wide.median(),
    "argmax": lambda: wide.argmax(),
    "unique": lambda: wide.unique(),
    "searchsorted": lambda: rnn.searchsorted(v, wide),
    "isin": lambda: rnn.isin(wide, v),
    "abs": lambda: wide.abs(),
    "invert": lambda: ~wide_b,
    "isnan": lambda: wide_f.isnan(),
    "signbit": lambda: wide_f.signbit(),
    "nan_to_num": lambda: wide_f.nan_to_num(),
    "equal": lambda: rnn.equal(wide, wide),
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def traced() -> Iterator[None]:
    """NumPy tells tracemalloc of its arrays."""
    tracemalloc.start(1)
    yield
    tracemalloc.stop()


@pytest.mark.parametrize("name", PROGRAMS)
def test_refused_before_it_is_made(name: str) -> None:
    gc.collect()
    before = rnn.memory_stats()
    rnn.set_memory_limit(before["live"] + 8 * MIB)
    tracemalloc.reset_peak()
    start = tracemalloc.get_traced_memory()[0]
    try:
        with pytest.raises(MemoryError, match=r"^\w+: \d+ \w+ need \d+ bytes, but \d+ of the mem"):
            PROGRAMS[name]()
    finally:
        rnn.set_memory_limit(None)
    assert tracemalloc.get_traced_memory()[1] - start < 24 * MIB
    gc.collect()
    after = rnn.memory_stats()
    assert (after["live"], after["spans"]) == (before["live"], before["spans"])


def test_views_are_free() -> None:
    """What takes no memory is not refused, however large its shape is."""
    rnn.set_memory_limit(rnn.memory_stats()["live"] + MIB)
    try:
        assert int(wide_b.sum()) == LARGE and bool(wide_b.all())
        assert wide[None].transpose(0, 1).shape == (LARGE, 1)
        assert "1, 1, 1" in repr(wide)
        assert (v + 1).sum() == N * (N + 1) // 2  # and what fits is made
    finally:
        rnn.set_memory_limit(None)

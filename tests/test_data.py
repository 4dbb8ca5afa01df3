"""rnn.utils.data: the same samples in the same order as torch's, here and in worker processes."""

from __future__ import annotations

import collections
import itertools
import os
import random
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
import torch
from test_module import same

import rnn
from rnn.utils.data.worker import _numpy_seed

RUNS = (torch, rnn)
# A torch loader whose worker failed waits this long for each worker when it is collected.
torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL = 0.2


def tensors(m, n=10):
    return m.utils.data.TensorDataset(m.arange(float(n * 2)).reshape(n, 2), m.arange(n))


class Squares:
    """A map-style dataset of plain numbers."""

    def __init__(self, n=10):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        if i >= self.n:
            raise IndexError(i)
        return i * i


class Slow(Squares):
    def __getitem__(self, i):
        time.sleep(0.05 * (i % 3 == 0))
        return i


class Fails(Squares):
    def __getitem__(self, i):
        if i == 5:
            raise ValueError("sample five is bad")
        return i


class FailsWithKey(Squares):
    def __getitem__(self, i):
        return {}["a key"]


class Dies(Squares):
    def __getitem__(self, i):
        os._exit(3)


class Interrupted(Squares):
    def __getitem__(self, i):
        time.sleep(0.2)
        return i


class Unpicklable(Squares):
    def __getitem__(self, i):
        return lambda: i


def count(m, n=7):
    class Count(m.utils.data.IterableDataset):
        def __iter__(self):
            info = m.utils.data.get_worker_info()
            step = 1 if info is None else info.num_workers
            return iter(range(0 if info is None else info.id, n, step))

        def __len__(self):
            return n

    return Count()


# ---- datasets ---------------------------------------------------------------------------------


def test_datasets():
    for fn in (
        lambda m: [tensors(m)[3], tensors(m)[-1], len(tensors(m)), tensors(m)[2:4]],
        lambda m: m.utils.data.TensorDataset(m.zeros(2), m.zeros(3)),
        lambda m: m.utils.data.Dataset()[0],
        lambda m: (lambda d: [len(d), d[0], d[12], d[-1], d.cumulative_sizes])(
            tensors(m) + tensors(m, 5)
        ),
        lambda m: (tensors(m) + tensors(m))[-21],
        lambda m: m.utils.data.ConcatDataset([]),
        lambda m: m.utils.data.ConcatDataset([count(m)]),
        lambda m: list(count(m) + count(m)) + [len(count(m) + count(m))],
        lambda m: list(m.utils.data.ChainDataset([[1]])),
        lambda m: (lambda s: [len(s), s[1], s[[0, 1]], s.__getitems__([1, 0])])(
            m.utils.data.Subset(tensors(m), [4, 2, 7])
        ),
        lambda m: m.utils.data.StackDataset(tensors(m), Squares())[3],
        lambda m: m.utils.data.StackDataset(a=tensors(m), b=Squares())[3],
        lambda m: m.utils.data.StackDataset(a=tensors(m), b=Squares()).__getitems__([3, 1]),
        lambda m: m.utils.data.StackDataset(
            m.utils.data.Subset(tensors(m), range(9)), Squares(9)
        ).__getitems__([3, 1]),
        lambda m: len(m.utils.data.StackDataset(Squares(3), Squares(3))),
        lambda m: m.utils.data.StackDataset(Squares(3), Squares(4)),
        lambda m: m.utils.data.StackDataset(),
        lambda m: m.utils.data.StackDataset(Squares(3), b=Squares(3)),
        lambda m: m.utils.data.Dataset[int].__name__,
    ):
        same(fn, may_fail=True)


def test_random_split():
    for lengths in (
        [3, 7],
        [0.5, 0.5],
        [0.25, 0.75],
        [1 / 3, 1 / 3, 1 / 3],
        [4, 4],
        [1.5, -0.5],
        [10, 0],
    ):
        same(
            lambda m, n=lengths: [s.indices for s in m.utils.data.random_split(tensors(m), n)],
            may_fail=True,
        )
    same(
        lambda m: [
            list(s)
            for s in m.utils.data.random_split(
                range(10), [3, 7], generator=m.Generator().manual_seed(42)
            )
        ]
    )


# ---- samplers ---------------------------------------------------------------------------------


def test_samplers():
    for fn in (
        lambda u, m: list(u.SequentialSampler(range(5))),
        lambda u, m: list(u.RandomSampler(range(10))),
        lambda u, m: list(u.RandomSampler(range(10), num_samples=25)),
        lambda u, m: list(u.RandomSampler(range(10), num_samples=20)),
        lambda u, m: list(u.RandomSampler(range(10), replacement=True, num_samples=75)),
        lambda u, m: list(u.RandomSampler(range(10), generator=m.Generator().manual_seed(3))),
        lambda u, m: list(itertools.islice(u.RandomSampler(range(9), True, int(1e10)), 40)),
        lambda u, m: len(u.RandomSampler(range(9), True, int(1e10))),
        lambda u, m: list(u.SubsetRandomSampler([5, 6, 7, 8, 9])),
        lambda u, m: list(u.WeightedRandomSampler([0.1, 0.2, 0.7], 12)),
        lambda u, m: list(u.WeightedRandomSampler([1, 2, 3, 4], 3, replacement=False)),
        lambda u, m: list(u.BatchSampler(range(7), 3, False)),
        lambda u, m: list(u.BatchSampler(range(7), 3, True)),
        lambda u, m: [len(u.BatchSampler(range(7), 3, drop)) for drop in (True, False)],
        lambda u, m: u.RandomSampler([]),
        lambda u, m: u.RandomSampler([1], replacement=3),
        lambda u, m: u.RandomSampler([1], num_samples=0),
        lambda u, m: u.BatchSampler(range(3), 0, False),
        lambda u, m: u.BatchSampler(range(3), 2, 1),
        lambda u, m: u.WeightedRandomSampler([1, 2], 0),
        lambda u, m: u.WeightedRandomSampler([1, 2], 1, 3),
        lambda u, m: u.WeightedRandomSampler([[1, 2]], 1),
        lambda u, m: [len(u.SubsetRandomSampler([1])), len(u.WeightedRandomSampler([1], 3))],
    ):
        same(lambda m, fn=fn: fn(m.utils.data, m), may_fail=True)


# ---- collating --------------------------------------------------------------------------------

Point = collections.namedtuple("Point", "x y")


def test_collate():
    for samples in (
        lambda m: [m.ones(2), m.zeros(2)],
        lambda m: [m.tensor(1), m.tensor(2)],
        lambda m: [1, 2],
        lambda m: [1.5, 2],
        lambda m: [True, False],
        lambda m: ["a", "b"],
        lambda m: [b"a", b"b"],
        lambda m: [np.float32(1), np.float32(2)],
        lambda m: [np.int64(1), np.int64(2)],
        lambda m: [np.arange(3), np.arange(3)],
        lambda m: [np.array(["a"]), np.array(["b"])],
        lambda m: [{"a": 1, "b": [m.ones(1), 2]}, {"a": 3, "b": [m.zeros(1), 4]}],
        lambda m: [(1, m.ones(2)), (2, m.zeros(2))],
        lambda m: [[1, 2.5], [3, 4.5]],
        lambda m: [Point(1, 2.0), Point(3, 4.0)],
        lambda m: [[1, 2], [3]],
        lambda m: [object(), object()],
        lambda m: [m.ones(2), m.zeros(3)],
        lambda m: [None, None],
    ):
        same(lambda m, s=samples: m.utils.data.default_collate(s(m)), may_fail=True)
        same(
            lambda m, s=samples: str(getattr(m.utils.data.default_collate(s(m)), "dtype", None)),
            may_fail=True,
        )
    for data in (
        np.arange(3),
        {"a": np.ones(2), "b": "x"},
        (np.ones(1), 3),
        [np.ones(1)],
        Point(np.ones(1), 2),
        3.5,
    ):
        same(lambda m, d=data: m.utils.data.default_convert(d), may_fail=True)


# ---- loaders ----------------------------------------------------------------------------------


def epochs(m, dataset, n=2, **options):
    """n epochs of a loader, and the default generator's next number."""
    loader = m.utils.data.DataLoader(dataset, **options)
    return [*[list(loader) for _ in range(n)], m.rand(1)]


@pytest.mark.parametrize(
    "options",
    [
        {}, {"batch_size": 3}, {"batch_size": 3, "drop_last": True}, {"batch_size": None},
        {"batch_size": 3, "shuffle": True}, {"shuffle": True, "batch_size": None},
        {"batch_sampler": [[1, 2], [3], [9, 0]]}, {"sampler": [4, 2, 4]},
        {"batch_size": 4, "collate_fn": len}, {"pin_memory": False, "timeout": 0},
    ],
)  # fmt: skip
def test_loader(options):
    same(lambda m: epochs(m, tensors(m), **options))
    same(lambda m: epochs(m, Squares(), **options))
    same(lambda m: epochs(m, m.utils.data.Subset(tensors(m), list(range(9, -1, -1))), **options))
    same(lambda m: len(m.utils.data.DataLoader(Squares(), **options)))


def test_loader_with_a_generator():
    same(
        lambda m: epochs(
            m, Squares(), batch_size=3, shuffle=True, generator=m.Generator().manual_seed(5)
        )
    )


def test_loader_of_an_iterable():
    for options in (
        {},
        {"batch_size": 3},
        {"batch_size": 3, "drop_last": True},
        {"batch_size": None},
    ):
        same(lambda m, o=options: epochs(m, count(m), **o))
        same(lambda m, o=options: len(m.utils.data.DataLoader(count(m), **o)))


def test_loader_refuses():
    for fn in (
        lambda load, m: load(Squares(), num_workers=-1),
        lambda load, m: load(Squares(), timeout=-1),
        lambda load, m: load(Squares(), prefetch_factor=2),
        lambda load, m: load(Squares(), num_workers=1, prefetch_factor=-2),
        lambda load, m: load(Squares(), persistent_workers=True),
        lambda load, m: load(Squares(), sampler=[1], shuffle=True),
        lambda load, m: load(Squares(), batch_sampler=[[1]], batch_size=2),
        lambda load, m: load(Squares(), batch_size=None, drop_last=True),
        lambda load, m: load(Squares(), batch_size=0),
        lambda load, m: load(Squares(), multiprocessing_context="fork"),
        lambda load, m: load(Squares(), multiprocessing_context="knife", num_workers=1),
        lambda load, m: load(Squares(), multiprocessing_context=3, num_workers=1),
        lambda load, m: load(count(m), shuffle=True),
        lambda load, m: load(count(m), batch_sampler=[[1]]),
        lambda load, m: setattr(load(Squares()), "batch_size", 3),
        lambda load, m: next(iter(load(Fails(), sampler=[5]))),
        lambda load, m: list(load(Squares(), timeout=3)),
    ):
        same(lambda m, fn=fn: fn(m.utils.data.DataLoader, m), may_fail=True)


# ---- workers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 3, "shuffle": True}, {"batch_size": 3, "persistent_workers": True},
        {"batch_size": None}, {"batch_size": 3, "prefetch_factor": 1, "drop_last": True},
    ],
)  # fmt: skip
def test_workers(options):
    same(lambda m: epochs(m, Squares(), num_workers=2, **options))
    same(lambda m: epochs(m, tensors(m), num_workers=2, **options))


def test_workers_keep_the_order():
    loader = rnn.utils.data.DataLoader(Slow(12), batch_size=2, num_workers=2)
    assert [b.tolist() for b in loader] == [[i, i + 1] for i in range(0, 12, 2)]
    loader = rnn.utils.data.DataLoader(Slow(12), batch_size=2, num_workers=2, in_order=False)
    assert sorted(b.tolist() for b in loader) == [[i, i + 1] for i in range(0, 12, 2)]


def test_workers_of_an_iterable():
    for options in ({}, {"batch_size": 2}, {"batch_size": None}, {"persistent_workers": True}):
        same(lambda m, o=options: epochs(m, count(m, 9), num_workers=2, **o))


def test_an_epoch_may_be_left_half_way():
    loader = rnn.utils.data.DataLoader(
        Squares(), batch_size=2, num_workers=2, persistent_workers=True
    )
    for _ in range(3):
        assert next(iter(loader)).tolist() == [0, 1]
    assert len(list(loader)) == 5
    once = rnn.utils.data.DataLoader(Squares(), batch_size=2, num_workers=2)
    iterator = iter(once)
    next(iterator)
    processes = iterator._workers
    del iterator
    assert all(not process.is_alive() for process in processes)


def _seeds(m):
    class Seeds(m.utils.data.Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, i):
            info = m.utils.data.get_worker_info()
            return (
                info.id,
                info.num_workers,
                info.seed,
                random.random(),
                m.rand(1),
                np.random.rand(),
            )

    return Seeds()


def test_workers_are_seeded_as_torch_seeds_them():
    assert rnn.utils.data.get_worker_info() is None
    same(lambda m: list(m.utils.data.DataLoader(_seeds(m), num_workers=2)))
    from torch.utils.data._utils.worker import _generate_state

    for base_seed in (3, 2**40 + 5, 2**63 - 1):
        assert _numpy_seed(base_seed, 2).tolist() == _generate_state(base_seed, 2)


def test_worker_init_fn():
    def run(m):
        def init(worker_id):
            m.utils.data.get_worker_info().dataset.n = 3 + worker_id

        class Length(Squares):
            def __getitem__(self, i):
                return self.n

        loader = m.utils.data.DataLoader(Length(4), num_workers=2, worker_init_fn=init)
        return list(loader)

    same(run)


@pytest.mark.parametrize("dataset, kind, text", [
    (Fails(), ValueError, "sample five is bad"), (FailsWithKey(), KeyError, "a key"),
])  # fmt: skip
def test_failures_of_workers_arrive(dataset, kind, text):
    messages = []
    for m in RUNS:
        loader = m.utils.data.DataLoader(dataset, batch_size=2, num_workers=2)
        with pytest.raises(kind) as caught:
            list(loader)
        message = str(caught.value)
        assert "Traceback" in message and text in message
        messages.append(message.split("\n")[0])
    assert messages[0] == messages[1]


def test_what_cannot_be_pickled_is_a_failure():
    loader = rnn.utils.data.DataLoader(Unpicklable(), num_workers=1, collate_fn=list)
    with pytest.raises(Exception, match="pickle"):
        next(iter(loader))


def test_dead_workers_are_noticed(monkeypatch):
    monkeypatch.setattr("rnn.utils.data.dataloader.STATUS_INTERVAL", 0.2)
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        list(rnn.utils.data.DataLoader(Dies(), num_workers=1))
    with pytest.raises(RuntimeError, match=r"timed out after 0\.1 seconds"):
        list(rnn.utils.data.DataLoader(Interrupted(), num_workers=1, timeout=0.1))


def test_spawned_workers():
    loader = rnn.utils.data.DataLoader(
        Squares(), batch_size=5, num_workers=1, multiprocessing_context="spawn"
    )
    assert [b.tolist() for b in loader] == [[0, 1, 4, 9, 16], [25, 36, 49, 64, 81]]


def test_control_c(tmp_path):
    """One KeyboardInterrupt in the main process; the workers say nothing and go."""
    program = tmp_path / "program.py"
    program.write_text(
        "import signal, time, rnn\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # it may be ignored
        "class D:\n"
        "    def __len__(self): return 1000\n"
        "    def __getitem__(self, i): time.sleep(0.05); return i\n"
        "try:\n"
        "    for b in rnn.utils.data.DataLoader(D(), num_workers=2): print('batch', flush=True)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(program)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout.readline() == "batch\n"
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert out.endswith("interrupted\n") and err == ""


def test_warnings():
    with pytest.warns(UserWarning, match="will create 999 worker processes"):
        rnn.utils.data.DataLoader(Squares(), num_workers=999)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loader = rnn.utils.data.DataLoader(count(rnn))
        assert len(loader) == 7
        list(loader)


def test_checkpoint_calls():
    from rnn.utils.checkpoint import checkpoint, checkpoint_sequential

    assert checkpoint(lambda x, y: x + y, 1, y=2, use_reentrant=False) == 3
    assert checkpoint_sequential([lambda x: x + 1, lambda x: x * 2], 2, 3) == 8

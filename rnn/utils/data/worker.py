"""What a DataLoader's worker process does: takes lists of indices, sends batches back
(torch.utils.data._utils.worker).

This module is not: starting workers and putting their batches in order; dataloader.py does that.
"""

from __future__ import annotations

import os
import pickle
import queue
import random
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.reduction import ForkingPickler
from typing import Any, NoReturn

import numpy as np

import rnn
from rnn.ops import _core
from rnn.utils.data.collate import default_collate
from rnn.utils.data.dataset import IterableDataset, Subset, TensorDataset

STATUS_INTERVAL = 5.0  # seconds between looks at whether the other side lives


@dataclass(frozen=True)
class WorkerInfo:
    """What a worker knows of itself.

    id           its number, from 0
    num_workers  how many there are
    seed         what its random numbers started from
    dataset      its copy
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """What this worker knows of itself; None in the main process. An IterableDataset splits its
    samples by it.

    Example:
        >>> get_worker_info() is None
        True
    """
    return _info


class StopOf:
    """A worker's iterable dataset has ended."""

    def __init__(self, worker_id: int) -> None:
        self.worker_id = worker_id


class Resume:
    """A new epoch for persistent workers; the worker sends it back."""


class Failure:
    """An exception on its way to the main process, with its traceback as text."""

    def __init__(self, where: str) -> None:
        kind, error, trace = sys.exc_info()
        self.kind = kind
        self.text = "".join(traceback.format_exception(kind, error, trace))
        self.where = where

    def reraise(self) -> NoReturn:
        """Raises an exception of the same type whose message has the worker's traceback."""
        raise self._made()  # held by no name here: that would be a cycle through the traceback

    def _made(self) -> BaseException:
        kind: Any = self.kind
        message = _Shown(f"Caught {kind.__name__} {self.where}.\nOriginal {self.text}")
        try:
            made: BaseException = kind(message)
            return made
        except Exception:
            return RuntimeError(message)


class _Shown(str):
    """A text that KeyError, which shows its argument's repr, shows as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


# ---- fetching ---------------------------------------------------------------------------------


class Fetcher:
    """Indices to batches."""

    def __init__(
        self, dataset: Any, batched: bool, collate_fn: Callable[[Any], Any], drop_last: bool
    ) -> None:
        self.dataset = dataset
        self.batched = batched
        self.collate_fn = collate_fn
        self.drop_last = drop_last
        self.iterator = iter(dataset) if isinstance(dataset, IterableDataset) else None
        self.ended = False

    def fetch(self, index: Any) -> Any:
        """The batch of a list of indices, or (not batched) the sample of one.

        Raises:
            StopIteration: an iterable dataset has no more.
        """
        if self.iterator is not None:
            return self.collate_fn(self._next(index))
        if not self.batched:
            return self.collate_fn(self.dataset[index])
        if self.collate_fn is default_collate:
            rows = _rows(self.dataset, index)
            if rows is not None:
                return rows
        if callable(getattr(self.dataset, "__getitems__", None)):
            return self.collate_fn(self.dataset.__getitems__(index))
        return self.collate_fn([self.dataset[i] for i in index])

    def _next(self, index: Any) -> Any:
        if self.ended or self.iterator is None:
            raise StopIteration
        if not self.batched:
            return next(self.iterator)
        samples = []
        for _ in index:
            try:
                samples.append(next(self.iterator))
            except StopIteration:
                self.ended = True
                break
        if not samples or (self.drop_last and len(samples) < len(index)):
            raise StopIteration
        return samples


def _rows(dataset: Any, index: list[int]) -> Any:
    """What collating single samples of a TensorDataset gives, in one step for each tensor; None for
    other datasets."""
    while type(dataset) is Subset:
        indices = dataset.indices
        index = [indices[i] for i in index]
        dataset = dataset.dataset
    if type(dataset) is not TensorDataset or not all(type(i) is int for i in index):
        return None
    chosen = _core.wrap(np.asarray(index, np.int64))
    return [tensor[chosen] for tensor in dataset.tensors]


# ---- the process ------------------------------------------------------------------------------


def _numpy_seed(base_seed: int, worker_id: int) -> Any:
    """What PyTorch seeds a worker's NumPy with."""
    words = [worker_id, base_seed & 0xFFFFFFFF, base_seed >> 32, 0]
    return np.random.SeedSequence(words).generate_state(4)


def _start(dataset: Any, base_seed: int, worker_id: int, num_workers: int) -> None:
    """Seeds everything, and leaves Ctrl-C to the main process."""
    global _info
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rnn.set_num_threads(1)
    seed = base_seed + worker_id
    random.seed(seed)
    rnn.manual_seed(seed)
    np.random.seed(_numpy_seed(base_seed, worker_id))
    _info = WorkerInfo(worker_id, num_workers, seed, dataset)


def _dumps(number: Any, data: Any, where: str) -> Any:
    """Bytes for the queue; a batch that cannot be pickled becomes a failure."""
    try:
        return bytes(ForkingPickler.dumps((number, data), pickle.HIGHEST_PROTOCOL))
    except Exception:
        return bytes(ForkingPickler.dumps((number, Failure(where)), pickle.HIGHEST_PROTOCOL))


def run(
    dataset: Any,
    indices: Any,
    results: Any,
    batched: bool,
    collate_fn: Callable[[Any], Any],
    drop_last: bool,
    base_seed: int,
    init_fn: Callable[[int], Any] | None,
    worker_id: int,
    num_workers: int,
) -> None:
    """The worker's life: None on the queue of indices ends it, and so does the end of the main
    process."""
    parent, where = os.getppid(), f"in DataLoader worker process {worker_id}"
    fetcher: Fetcher | None = None
    failed: Any = None
    ended = False
    try:
        _start(dataset, base_seed, worker_id, num_workers)
        if init_fn is not None:
            init_fn(worker_id)
        fetcher = Fetcher(dataset, batched, collate_fn, drop_last)
    except Exception:
        failed = Failure(where)
    while os.getppid() == parent:
        try:
            task = indices.get(timeout=STATUS_INTERVAL)
        except queue.Empty:
            continue
        if task is None:
            break
        if isinstance(task, Resume):
            ended = False
            fetcher = Fetcher(dataset, batched, collate_fn, drop_last)
            results.put(_dumps(task, None, where))
            continue
        if ended:
            continue
        number, index = task
        data: Any = failed
        if failed is None and fetcher is not None:
            try:
                data = fetcher.fetch(index)
            except StopIteration:
                data, ended = StopOf(worker_id), fetcher.iterator is not None
                data = data if ended else Failure(where)
            except Exception:
                data = Failure(where)
        results.put(_dumps(number, data, where))
        del data, index, task
    results.cancel_join_thread()
    results.close()

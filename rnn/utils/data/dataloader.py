"""DataLoader: batches of a dataset, made here or by worker processes
(torch.utils.data.dataloader)."""

from __future__ import annotations

import itertools
import math
import multiprocessing
import os
import pickle
import queue
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from rnn.utils.data import worker
from rnn.utils.data.collate import default_collate as default_collate
from rnn.utils.data.collate import default_convert as default_convert
from rnn.utils.data.dataset import IterableDataset
from rnn.utils.data.sampler import BatchSampler, RandomSampler, SequentialSampler, draw_seed
from rnn.utils.data.worker import STATUS_INTERVAL, Failure, Fetcher, Resume, StopOf
from rnn.utils.data.worker import get_worker_info as get_worker_info

_Sample = TypeVar("_Sample", covariant=True)
_FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")


class _Endless:
    """The sampler of an iterable dataset: how many samples, not which."""

    def __iter__(self) -> Iterator[None]:
        return itertools.repeat(None)


class DataLoader(Generic[_Sample]):
    """Batches of a dataset, in order or shuffled (torch.utils.data.DataLoader).

    Args:
        dataset: with __getitem__ and __len__, or an IterableDataset.
        batch_size: samples in a batch; None: samples as they are, one by one.
        shuffle: in a new order every epoch, PyTorch's for the same seed.
        sampler: indices in another order; batch_sampler: lists of them.
        num_workers: processes that make batches ahead; 0: this one makes them when they are asked
            for.
        collate_fn: a list of samples to a batch (default: default_collate).
        drop_last: leaves out a last batch that is smaller.
        timeout: seconds to wait for a worker's batch; 0: for ever.
        worker_init_fn: called with its number in each worker.
        generator: where the order is drawn from.
        prefetch_factor: batches that each worker makes ahead.
        persistent_workers: keeps the workers from epoch to epoch.
        in_order: batches come in the sampler's order; else as they are ready.
        pin_memory, pin_memory_device: accepted; there is only the CPU.

    Raises:
        ValueError: options exclude each other.

    Example:
        >>> data = rnn.utils.data.TensorDataset(rnn.ones(10, 3), rnn.arange(10))
        >>> loader = DataLoader(data, batch_size=4, shuffle=True)
        >>> [x.shape[0] for x, y in loader]
        [4, 4, 2]
    """

    _made = False

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Any = None,
        batch_sampler: Any = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        self._iterable = isinstance(dataset, IterableDataset)
        if self._iterable:
            _check_iterable(shuffle, sampler, batch_sampler)
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive "
                    "with batch_size, shuffle, sampler, and drop_last"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError(
                "batch_size=None option disables auto-batching "
                "and is mutually exclusive with drop_last"
            )
        if sampler is None:
            if self._iterable:
                sampler = _Endless()
            elif shuffle:
                sampler = RandomSampler(dataset, generator=generator)
            else:
                sampler = SequentialSampler(dataset)
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.dataset = dataset
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.generator = generator
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = _context(multiprocessing_context, num_workers)
        self.in_order = in_order
        self.persistent_workers = persistent_workers
        convert = default_collate if self._auto_collation else default_convert
        self.collate_fn = convert if collate_fn is None else collate_fn
        self._iterator: Any = None
        self._promised: int | None = None  # the length that an iterable dataset was asked for
        self._made = True
        if num_workers:
            _warn_of_many(num_workers)

    def __setattr__(self, name: str, value: Any) -> None:
        if self._made and name in _FIXED:
            raise ValueError(
                f"{name} attribute should not be set after {type(self).__name__} is initialized"
            )
        super().__setattr__(name, value)

    @property
    def _auto_collation(self) -> bool:
        return self.batch_sampler is not None

    @property
    def _index_sampler(self) -> Any:
        return self.batch_sampler if self._auto_collation else self.sampler

    def __iter__(self) -> Iterator[Any]:
        if not self.num_workers:
            return _Here(self)
        if not self.persistent_workers:
            return _Elsewhere(self)
        if self._iterator is None:
            self._iterator = _Elsewhere(self)
        else:
            self._iterator.again(self)
        return self._iterator

    def __len__(self) -> int:
        """How many batches there are in an epoch (of an IterableDataset: if its __len__ is
        right)."""
        if not self._iterable:
            return len(self._index_sampler)
        count = self._promised = len(self.dataset)
        if self.batch_size is None:
            return count
        return count // self.batch_size if self.drop_last else math.ceil(count / self.batch_size)


# ---- checks -----------------------------------------------------------------------------------


def _check_workers(
    num_workers: int, timeout: float, prefetch_factor: int | None, persistent_workers: bool
) -> None:
    if num_workers < 0:
        raise ValueError(
            "num_workers option should be non-negative; "
            "use num_workers=0 to disable multiprocessing."
        )
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if num_workers == 0 and prefetch_factor is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing."
            "let num_workers > 0 to enable multiprocessing, otherwise set prefetch_factor to None."
        )
    if prefetch_factor is not None and prefetch_factor < 0:
        raise ValueError("prefetch_factor option should be non-negative")
    if persistent_workers and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


def _check_iterable(shuffle: Any, sampler: Any, batch_sampler: Any) -> None:
    given = {"shuffle": shuffle or None, "sampler": sampler, "batch_sampler": batch_sampler}
    for name, value in given.items():
        if value is not None:
            raise ValueError(
                f"DataLoader with IterableDataset: expected unspecified {name} option, "
                f"but got {name}={value}"
            )


def _context(given: Any, num_workers: int) -> Any:
    """How processes are started: forked where that can be, so that a dataset need not be
    pickled."""
    methods = multiprocessing.get_all_start_methods()
    if given is None:
        return multiprocessing.get_context("fork" if "fork" in methods else None)
    if not num_workers:
        raise ValueError(
            "multiprocessing_context can only be used with multi-process loading "
            f"(num_workers > 0), but got num_workers={num_workers}"
        )
    if isinstance(given, str):
        if given not in methods:
            raise ValueError(
                "multiprocessing_context option should specify a valid start method in "
                f"{methods!r}, but got multiprocessing_context={given!r}"
            )
        return multiprocessing.get_context(given)
    if not isinstance(given, multiprocessing.context.BaseContext):
        raise TypeError(
            "multiprocessing_context option should be a valid context object or a string "
            f"specifying the start method, but got multiprocessing_context={given}"
        )
    return given


def _warn_of_many(num_workers: int) -> None:
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if cpus is None or num_workers > cpus:
        warnings.warn(
            f"This DataLoader will create {num_workers} worker processes in total. Our suggested "
            f"max number of worker in current system is {cpus}, which is smaller than what this "
            "DataLoader is going to create. Please be aware that excessive worker creation might "
            "get DataLoader running slow or even freeze, lower the worker number to avoid "
            "potential slowness/freeze if necessary.",
            stacklevel=3,
        )


# ---- epochs -----------------------------------------------------------------------------------


class _Epoch:
    """An iterator over one epoch. Making it draws the base seed, from which workers are seeded."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._loader = loader
        self._indices = iter(loader._index_sampler)
        self._base_seed = draw_seed(loader.generator)
        self._yielded = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __len__(self) -> int:
        return len(self._loader._index_sampler)

    def __next__(self) -> Any:
        batch = self._next_batch()
        self._yielded += 1
        promised = self._loader._promised
        if promised is not None and self._yielded > promised:
            warnings.warn(
                f"Length of IterableDataset {self._loader.dataset} was reported to be {promised}"
                f"(when accessing len(dataloader)), but {self._yielded} samples have been "
                "fetched. ",
                stacklevel=2,
            )
        return batch

    def _next_batch(self) -> Any:
        raise NotImplementedError

    def __getstate__(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} cannot be pickled")


class _Here(_Epoch):
    """Batches are made in this process, when they are asked for."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        if loader.timeout:
            raise AssertionError("_SingleProcessDataLoaderIter requires timeout == 0")
        self._fetcher = Fetcher(
            loader.dataset, loader._auto_collation, loader.collate_fn, loader.drop_last
        )

    def _next_batch(self) -> Any:
        return self._fetcher.fetch(next(self._indices))


class _Elsewhere(_Epoch):
    """Batches are made ahead by worker processes, which get lists of indices in turn.

    A task is a list of indices with a number. Batches that come before their turn wait in `_done`.
    """

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        count, context = loader.num_workers, loader.multiprocessing_context
        self._workers: list[Any] = []
        self._queues: list[Any] = []
        self._results = context.Queue()
        # Called when this iterator goes. The queues outlive it: their threads have to say so.
        self.close = weakref.finalize(
            self, _stop, os.getpid(), self._workers, self._queues, self._results
        )
        for i in range(count):
            indices = context.Queue()
            indices.cancel_join_thread()
            process = context.Process(
                target=worker.run,
                daemon=True,
                args=(
                    loader.dataset, indices, self._results, loader._auto_collation,
                    loader.collate_fn, loader.drop_last, self._base_seed, loader.worker_init_fn,
                    i, count,
                ),
            )  # fmt: skip
            process.start()
            self._workers.append(process)
            self._queues.append(indices)
        self._begin()

    def _begin(self) -> None:
        count = self._loader.num_workers
        self._sent = 0  # tasks that were given out
        self._next_number = 0  # the task whose batch comes next
        self._waiting: dict[int, int] = {}  # tasks under way, and who has them
        self._done: dict[int, Any] = {}  # batches that came before their turn
        self._alive = [True] * count  # which workers still have samples
        self._turns = itertools.cycle(range(count))
        for _ in range((self._loader.prefetch_factor or 2) * count):
            self._give_task()

    def again(self, loader: DataLoader[Any]) -> None:
        """A new epoch with the same workers."""
        while self._waiting:  # an epoch that was left half way
            self._receive()
        self._indices = iter(loader._index_sampler)
        self._yielded = 0
        for indices in self._queues:
            indices.put(Resume())
        resumed = 0
        while resumed < len(self._queues):
            number, _ = self._get()
            resumed += isinstance(number, Resume)
        self._begin()

    def _give_task(self) -> None:
        """Gives the next list of indices to the next worker that has samples."""
        if not any(self._alive):
            return
        try:
            index = next(self._indices)
        except StopIteration:
            return
        who = next(i for i in self._turns if self._alive[i])
        self._queues[who].put((self._sent, index))
        self._waiting[self._sent] = who
        self._sent += 1

    def _get(self) -> tuple[Any, Any]:
        """What some worker sent; looks now and then whether all of them live."""
        timeout = self._loader.timeout
        while True:
            try:
                return pickle.loads(self._results.get(timeout=timeout or STATUS_INTERVAL))
            except queue.Empty:
                dead = [
                    process
                    for process, alive in zip(self._workers, self._alive)
                    if alive and not process.is_alive()
                ]
                if dead:
                    pids = ", ".join(str(process.pid) for process in dead)
                    self.close()
                    raise RuntimeError(
                        f"DataLoader worker (pid(s) {pids}) exited unexpectedly"
                    ) from None
                if timeout:
                    raise RuntimeError(f"DataLoader timed out after {timeout} seconds") from None

    def _receive(self) -> int:
        """Takes what comes next into `_done`; returns its number, or -1."""
        number, data = self._get()
        if isinstance(number, Resume) or number not in self._waiting:
            return -1
        who = self._waiting.pop(number)
        if isinstance(data, StopOf):
            self._alive[who] = False
            for other in [n for n, w in self._waiting.items() if w == who]:
                del self._waiting[other]  # it will not answer them
            if not self._loader.persistent_workers:
                self._queues[who].put(None)
            self._give_task()
            return -1
        self._done[number] = data
        return int(number)

    def _next_batch(self) -> Any:
        while True:
            if not self._loader.in_order and self._done:
                self._next_number = min(self._done)
            if self._next_number in self._done:
                break
            if not self._waiting and not self._done:
                if not self._loader.persistent_workers:
                    self.close()
                raise StopIteration
            if self._next_number not in self._waiting and self._loader.in_order:
                self._next_number += 1  # given to a worker whose samples had ended
            else:
                self._receive()
        data = self._done.pop(self._next_number)
        self._next_number += 1
        self._give_task()
        if isinstance(data, Failure):
            data.reraise()
        return data


def _stop(owner: int, workers: list[Any], queues: list[Any], results: Any) -> None:
    """Ends the workers; does nothing in a process that was forked since they were started."""
    if os.getpid() != owner:
        return
    for indices in queues:
        indices.put(None)
    for process in workers:
        process.join(timeout=STATUS_INTERVAL)
        if process.is_alive():
            process.terminate()
    for indices in [*queues, results]:
        indices.cancel_join_thread()
        indices.close()

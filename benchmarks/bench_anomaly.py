"""What rnn.detect_anomaly() and rnn.trace() cost: forward and backward with and without them,
beside PyTorch's, which looks at gradients alone.

The target: at most twice the time.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

import common

common.find_rnn()

import rnn  # noqa: E402

Case = Callable[[ModuleType], tuple[list[Any], Callable[[], Any]]]


def chain(n: int) -> Case:
    """((x * w).tanh() + x.exp() * 0.5).sum() of n elements."""

    def make(library: ModuleType) -> tuple[list[Any], Callable[[], Any]]:
        numbers = np.random.default_rng(0).normal(size=(2, n)).astype(np.float32)
        x, w = (library.from_numpy(row.copy()) for row in numbers)
        x.requires_grad_()
        return [x], lambda: ((x * w).tanh() + x.exp() * 0.5).sum()

    return make


def mlp(library: ModuleType) -> tuple[list[Any], Callable[[], Any]]:
    """784 - 256 - 256 - 10, a batch of 64."""
    nn = library.nn
    library.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)
    )
    x, y = library.randn(64, 784), library.randint(0, 10, (64,))
    return list(model.parameters()), lambda: nn.functional.cross_entropy(model(x), y)


CASES: dict[str, Case] = {
    "4 elements": chain(4),
    "10,000 elements": chain(10_000),
    "1,000,000 elements": chain(1_000_000),
    "a perceptron's step": mlp,
}
MODES = ("plain", "trace", "detect_anomaly")


def job(leaves: list[Any], forward: Callable[[], Any], context: Callable[[], Any]) -> common.Job:
    """Forward and backward, both within the context."""

    def run() -> tuple[Any, common.Timing]:
        for leaf in leaves:
            leaf.grad = None
        start = time.perf_counter()
        with context():
            loss = forward()
            middle = time.perf_counter()
            loss.backward()
        return loss, common.Timing(middle - start, time.perf_counter() - middle)

    def results() -> list[Any]:
        loss, _ = run()
        return [loss.item(), *(leaf.grad.numpy().copy() for leaf in leaves)]

    return common.Job(lambda: run()[1], results)


def jobs_of(libraries: dict[str, ModuleType], case: Case) -> dict[str, common.Job]:
    """A job for each library and mode."""
    jobs = {}
    for name, library in libraries.items():
        leaves, forward = case(library)
        modes: dict[str, Any] = {
            "plain": contextlib.nullcontext,
            "detect_anomaly": library.autograd.detect_anomaly,
        }
        if name == "rnn":
            modes["trace"] = rnn.trace
        for mode, context in modes.items():
            jobs[f"{name} {mode}"] = job(leaves, forward, context)
    return jobs


def main(argv: list[str] | None = None) -> None:
    arguments: argparse.Namespace = common.parser(__doc__, rounds=5).parse_args(argv)
    libraries = {"rnn": rnn, **common.peers(["torch"])}
    common.use_threads(arguments.threads)
    common.set_peer_threads(libraries, arguments.threads)
    report = common.Report(common.environment(libraries, arguments.threads))
    common.print_environment(report.environment)
    progress = common.Progress(len(CASES) * arguments.rounds * 5)
    rows = []
    for label, case in CASES.items():
        jobs = jobs_of(libraries, case)
        common.check_results(jobs, tolerance=1e-4)
        best = common.best_in_turns(jobs, arguments, progress=progress, label=label)
        times = {name: timing.total for name, timing in best.items()}
        report.rows.append({"label": label, **times})
        for name in libraries:
            plain = times[f"{name} plain"]
            cells = [common.seconds_text(plain)]
            for mode in MODES[1:]:
                took = times.get(f"{name} {mode}")
                cells.append("-" if took is None else f"{took / plain:.2f}x")
            rows.append([label, name, *cells])
        ratio = times["rnn detect_anomaly"] / times["rnn plain"]
        report.targets.append(common.Target(label, ratio, 2.0, "times the time"))
    progress.close()
    print(common.table(["work", "library", *MODES], rows))
    common.finish(report, arguments, lambda axes: None)


if __name__ == "__main__":
    main()

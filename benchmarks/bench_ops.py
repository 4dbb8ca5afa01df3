"""Tensor operations beside torch: the speed of elementwise kernels, and what an operation costs.

- elementwise: `((x*w).tanh() + x.exp()*0.5).sum()`, forward and backward, on 10^4 and 10^6 elements
- overhead: `x = x*a + b` on 4 elements, 1,000 operations (500 products, 500 sums), forward and
  backward; the arithmetic is nothing, so what is left is the cost of an operation

    python benchmarks/bench_ops.py
    python benchmarks/bench_ops.py --json ops.json --plot ops.png
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable
from types import ModuleType
from typing import Any

import common
from common import Contender, Job, Target, Timing

ELEMENTS = (10_000, 1_000_000)
OPERATIONS = 1_000
LIBRARIES = ("rnn", "torch")


def make_elementwise(library: ModuleType, size: int) -> Job:
    """x, w: (size,) float32, both with gradients."""
    import numpy as np

    numbers = np.random.default_rng(0).standard_normal((2, size), dtype=np.float32)
    x, w = (library.tensor(row).requires_grad_() for row in numbers)
    return common.tensor_job([x, w], lambda: ((x * w).tanh() + x.exp() * 0.5).sum())


def make_overhead(library: ModuleType, operations: int) -> Job:
    """x, a, b: (4,) float32, all with gradients; a is close to 1, so that nothing overflows."""
    x = library.tensor([0.5, -1.0, 2.0, 0.1]).requires_grad_()
    a = library.tensor([0.999, 1.001, 0.998, 1.0]).requires_grad_()
    b = library.tensor([0.001, 0.002, -0.001, 0.003]).requires_grad_()

    def forward() -> Any:
        y = x
        for _ in range(operations // 2):
            y = y * a + b
        return y.sum()

    return common.tensor_job([x, a, b], forward)


def contenders() -> dict[str, Contender]:
    """By the names that the processes which measure memory are asked for."""
    works = {"elementwise": make_elementwise, "overhead": make_overhead}
    return {
        f"{work} {library}": Contender(library, library, make)
        for work, make in works.items()
        for library in LIBRARIES
    }


def main() -> None:
    parser = common.parser("elementwise kernels and the overhead of an operation", rounds=7)
    arguments = parser.parse_args()
    common.use_threads(arguments.threads)
    common.find_rnn()
    if common.answer_memory_question(arguments, contenders(), warm_up_size=16):
        return
    modules = common.peers(LIBRARIES)
    common.set_peer_threads(modules, arguments.threads)
    report = common.Report(common.environment(modules, arguments.threads))
    common.print_environment(report.environment)

    works: list[tuple[str, Callable[[ModuleType, int], Job], int]] = [
        (f"elementwise, {size:,} elements", make_elementwise, size) for size in ELEMENTS
    ]
    works.append((f"overhead, {OPERATIONS:,} operations", make_overhead, OPERATIONS))
    turns = arguments.rounds + (0 if arguments.no_memory else 1)
    progress = common.Progress(len(works) * len(modules) * turns)
    for label, make, size in works:
        jobs = {name: make(module, size) for name, module in modules.items()}
        common.check_results(jobs, tolerance=1e-4)
        timings = common.best_in_turns(jobs, arguments, progress=progress, label=label)
        del jobs
        for name, timing in timings.items():
            peak = None
            if not arguments.no_memory:
                progress.step(f"{label} {name}, memory")
                question = f"{label.partition(',')[0]} {name}"
                peak = common.peak_bytes_apart(__file__, question, size, arguments.threads)
            report.rows.append(row(label, name, timing, peak, size, timings.get("torch")))
    progress.close()

    print_rows(report.rows)
    report.targets = targets(report.rows)
    common.finish(report, arguments, lambda axes: draw(axes, report.rows))


def row(
    label: str, name: str, timing: Timing, peak: float | None, size: int, torch: Timing | None
) -> dict[str, Any]:
    return {
        "work": label,
        "contender": name,
        "forward": timing.forward,
        "backward": timing.backward,
        "ns_each": timing.total / size * 1e9,
        "peak_bytes": peak,
        "ratio": torch and torch.total / timing.total,
        "ratio_to": "torch",
    }


def print_rows(rows: list[dict[str, Any]]) -> None:
    headers = ["work", "contender", "forward", "backward", "ns each", "peak", "ratio"]
    lines: list[list[str]] = []
    for work, group in itertools.groupby(rows, key=operator.itemgetter("work")):
        if lines:
            lines.append([])
        lines += [
            [
                work,
                one["contender"],
                common.seconds_text(one["forward"]),
                common.seconds_text(one["backward"]),
                common.figure_text(one["ns_each"]),
                common.bytes_text(one["peak_bytes"]),
                common.ratio_text(one["ratio"], one["ratio_to"]),
            ]
            for one in group
        ]
    print(common.table(headers, lines))
    print("\nns each: of one element or one operation. ratio: times as fast as torch.")


def targets(rows: list[dict[str, Any]]) -> list[Target]:
    ratios = {one["work"]: one["ratio"] for one in rows if one["contender"] == "rnn"}
    works = [f"elementwise, {size:,} elements" for size in ELEMENTS]
    found = [Target(work, ratios.get(work), 1.0, "x torch", at_least=True) for work in works]
    overhead = f"overhead, {OPERATIONS:,} operations"
    return [*found, Target(overhead, ratios.get(overhead), 3.0, "x torch", at_least=True)]


def draw(axes: Any, rows: list[dict[str, Any]]) -> None:
    """Time of each work by the time of torch, or of whoever is there without it."""
    bars = []
    for work, group in itertools.groupby(rows, key=operator.itemgetter("work")):
        timed = list(group)
        unit = timed[-1]["forward"] + timed[-1]["backward"]  # torch comes last
        for one in timed:
            passes = {key: one[key] / unit for key in ("forward", "backward")}
            bars.append({"label": f"{work}\n{one['contender']}", **passes})
    common.draw_bars(axes, bars, f"time, {rows[-1]['contender'] if rows else '-'} = 1")


if __name__ == "__main__":
    main()

"""Values, an operation a node, beside engines that do the same: micrograd, xad, plain Python.

- chain: `x = x*a + b`, 10^6 operations (5 * 10^5 products, as many sums) in one graph, forward and
  backward. micrograd runs a shorter chain, for it recurses once an operation, on a deepened stack.
- GPT: one training step of `examples/microgpt.py` (16 wide, 1 layer, 4 heads) on `rnn.Value` and on
  plain Python's (`examples/plain.py`), name by name in turns; the losses must be the same to 10
  digits.

    python benchmarks/bench_scalar.py
    python benchmarks/bench_scalar.py --steps 50 --json scalar.json --plot scalar.png
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import common
from common import Contender, Job, Target, Timing

START, FACTOR, TERM = 1.0, 0.999999, 0.000001  # x stays 1, and no gradient vanishes


def value_job(value: Callable[[float], Any], operations: int) -> Job:
    """A chain on any class with micrograd's interface."""

    def run() -> tuple[list[Any], Timing]:
        leaves = [value(START), value(FACTOR), value(TERM)]
        x, a, b = leaves
        start = time.perf_counter()
        for _ in range(operations // 2):
            x = x * a + b
        middle = time.perf_counter()
        x.backward()
        end = time.perf_counter()
        return [x.data, *(leaf.grad for leaf in leaves)], Timing(middle - start, end - middle)

    return Job(lambda: run()[1], lambda: run()[0])


def make_rnn(rnn: ModuleType, operations: int) -> Job:
    return value_job(rnn.Value, operations)


def make_plain(plain: ModuleType, operations: int) -> Job:
    return value_job(plain.Value, operations)


def make_micrograd(engine: ModuleType, operations: int) -> Job:
    job = value_job(engine.Value, operations)
    return Job(
        lambda: common.with_deep_stack(job.step), lambda: common.with_deep_stack(job.results)
    )


def make_xad(xad: ModuleType, operations: int) -> Job:
    """XAD's adjoint mode. One tape serves every repetition, so that its memory stays warm."""

    def run() -> tuple[list[float], Timing]:
        tape.activate()
        tape.clearAll()
        leaves = [xad.Real(START), xad.Real(FACTOR), xad.Real(TERM)]
        x, a, b = leaves
        for leaf in leaves:
            tape.registerInput(leaf)
        tape.newRecording()
        start = time.perf_counter()
        for _ in range(operations // 2):
            x = x * a + b
        middle = time.perf_counter()
        tape.registerOutput(x)
        x.derivative = 1.0
        tape.computeAdjoints()
        end = time.perf_counter()
        found = [x.value, *(leaf.derivative for leaf in leaves)]
        tape.deactivate()
        return found, Timing(middle - start, end - middle)

    tape = xad.Tape()
    return Job(lambda: run()[1], lambda: run()[0])


def contenders() -> dict[str, Contender]:
    listed = (
        Contender("rnn", "rnn", make_rnn),
        Contender("xad", "xad.adj_1st", make_xad),
        Contender("micrograd", "micrograd.engine", make_micrograd),
        Contender("plain Python", "plain", make_plain),
    )
    return {contender.name: contender for contender in listed}


def measure_chain(
    arguments: argparse.Namespace, listed: dict[str, Contender], modules: dict[str, ModuleType]
) -> list[dict[str, Any]]:
    """One row a contender: ns and bytes an operation."""
    here = {name: contender for name, contender in listed.items() if contender.module in modules}
    lengths = dict.fromkeys(here, arguments.operations)
    if "micrograd" in lengths:
        lengths["micrograd"] = min(arguments.operations, arguments.micrograd_operations)

    def jobs_of(lengths: dict[str, int]) -> dict[str, Job]:
        return {name: one.make(modules[one.module], lengths[name]) for name, one in here.items()}

    common.check_results(jobs_of(dict.fromkeys(here, 10_000)), tolerance=1e-9)
    jobs = jobs_of(lengths)
    progress = common.Progress(len(jobs) * (arguments.rounds + (0 if arguments.no_memory else 1)))
    timings = common.best_in_turns(jobs, arguments, progress=progress, label="chain")
    rows = []
    for name, timing in timings.items():
        length = lengths[name]
        peak = None
        if not arguments.no_memory:
            progress.step(f"chain {name}, memory")
            peak = common.peak_bytes_apart(__file__, name, length, arguments.threads)
        rows.append(
            {
                "contender": name,
                "operations": length,
                "forward_ns": timing.forward / length * 1e9,
                "backward_ns": timing.backward / length * 1e9,
                "total_ns": timing.total / length * 1e9,
                "peak_bytes": peak,
                "bytes_per_operation": peak and peak / length,
            }
        )
    progress.close()
    ours = next((row["total_ns"] for row in rows if row["contender"] == "rnn"), None)
    for row in rows:
        row["ratio"] = ours and row["total_ns"] / ours
    return rows


def print_chain(rows: list[dict[str, Any]]) -> None:
    headers = ["x = x*a + b", "operations", "forward ns", "backward ns", "total ns"]
    headers += ["peak", "bytes", "rnn is"]
    lines = [
        [
            row["contender"],
            f"{row['operations']:,}",
            common.figure_text(row["forward_ns"]),
            common.figure_text(row["backward_ns"]),
            common.figure_text(row["total_ns"]),
            common.bytes_text(row["peak_bytes"]),
            common.figure_text(row["bytes_per_operation"]),
            common.ratio_text(row["ratio"], "as fast"),
        ]
        for row in rows
    ]
    print(common.table(headers, lines))
    print("\nns and bytes are those of one operation.\n")


def measure_gpt(steps: int) -> list[dict[str, Any]]:
    """The same training on each class, step by step in turns: seconds and losses of every step.

    The first step is not timed. Python's garbage collector stays on, as in any program.
    """
    microgpt = common.peer("microgpt", "the GPT is skipped")
    if microgpt is None:
        return []
    forms = {"plain Python": microgpt.FORMS["plain Python"], "rnn": microgpt.FORMS["Values"]}
    runs = {name: microgpt.Training(form, steps + 1) for name, form in forms.items()}
    learned = microgpt.read_names()
    progress = common.Progress((steps + 1) * len(runs))
    for step in range(steps + 1):
        for name, run in runs.items():
            progress.step(f"GPT {name}")
            run.step(learned[step % len(learned)])
    progress.close()
    ours = sum(runs["rnn"].seconds[1:])
    return [
        {
            "contender": name,
            "seconds": run.seconds[1:],
            "losses": run.losses,
            "ratio": sum(run.seconds[1:]) / ours,
            "digits": agreement(runs["plain Python"].losses, run.losses),
        }
        for name, run in runs.items()
    ]


def agreement(losses: list[float], others: list[float]) -> int:
    """To how many digits all losses are the same, at most 16."""
    for digits in range(16, 0, -1):
        pairs = zip(losses, others, strict=True)
        if all(f"{one:.{digits - 1}e}" == f"{other:.{digits - 1}e}" for one, other in pairs):
            return digits
    return 0


def print_gpt(rows: list[dict[str, Any]]) -> None:
    headers = ["GPT on scalars", "steps", "mean", "fastest"]
    headers += ["first loss", "last loss", "same digits", "rnn is"]
    lines = [
        [
            row["contender"],
            str(len(row["seconds"])),
            common.seconds_text(statistics.mean(row["seconds"])),
            common.seconds_text(min(row["seconds"])),
            f"{row['losses'][0]:.10f}",
            f"{row['losses'][-1]:.10f}",
            str(row["digits"]),
            common.ratio_text(row["ratio"], "as fast"),
        ]
        for row in rows
    ]
    print(common.table(headers, lines))
    print("\nOne name a step. same digits: to how many every loss is that of the first row.")


def targets(chain: list[dict[str, Any]], gpt: list[dict[str, Any]]) -> list[Target]:
    by_name = {row["contender"]: row for row in chain}
    ours = by_name.get("rnn", {})
    step = next((row for row in gpt if row["contender"] == "plain Python"), {})
    learned = next((row for row in gpt if row["contender"] == "rnn"), {})
    work = "Value chain"
    return [
        Target(work, by_name.get("micrograd", {}).get("ratio"), 6.0, "x micrograd", at_least=True),
        Target(work, by_name.get("xad", {}).get("ratio"), 1.3, "x xad", at_least=True),
        Target(work, ours.get("bytes_per_operation"), 64.0, "bytes an operation"),
        Target("GPT step on Values", step.get("ratio"), 4.0, "x plain Python", at_least=True),
        Target("GPT losses on Values", learned.get("digits"), 10.0, "equal digits", at_least=True),
    ]


def draw(axes: Any, chain: list[dict[str, Any]]) -> None:
    bars = [
        {"label": row["contender"], "forward": row["forward_ns"], "backward": row["backward_ns"]}
        for row in chain
    ]
    common.draw_bars(axes, bars, "ns an operation, x = x*a + b")


def main() -> None:
    parser = common.parser("scalar engines: a long chain, and a GPT", rounds=3)
    parser.add_argument(
        "--operations", type=int, default=1_000_000, help="in the chain (%(default)s)"
    )
    parser.add_argument("--micrograd-operations", type=int, default=100_000, help="(%(default)s)")
    parser.add_argument("--steps", type=int, default=20, help="of the GPT (%(default)s)")
    arguments = parser.parse_args()
    common.use_threads(arguments.threads)
    common.find_rnn()
    sys.path.append(str(common.ROOT / "examples"))
    listed = contenders()
    if common.answer_memory_question(arguments, listed, warm_up_size=1_000):
        return
    modules = common.peers(contender.module for contender in listed.values())
    common.set_peer_threads(modules, arguments.threads)
    report = common.Report(common.environment(modules, arguments.threads))
    common.print_environment(report.environment)

    chain = measure_chain(arguments, listed, modules)
    print_chain(chain)
    gpt = measure_gpt(arguments.steps)
    if gpt:
        print_gpt(gpt)

    report.rows = [{"work": "chain", **row} for row in chain]
    report.rows += [{"work": "gpt", **row} for row in gpt]
    report.targets = targets(chain, gpt)
    common.finish(report, arguments, lambda axes: draw(axes, chain))


if __name__ == "__main__":
    main()

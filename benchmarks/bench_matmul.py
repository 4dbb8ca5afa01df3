"""One n x n matrix product, forward and backward, at both resolutions and beside its peers.

At scalar resolution the product is 2 n^3 nodes (n^3 multiplications, n^3 additions), each with a
value and a gradient, in one graph. At tensor resolution it is one node an element, made by one call
of a matrix kernel.

    python benchmarks/bench_matmul.py
    python benchmarks/bench_matmul.py --sizes 64 128 --json matmul.json --plot matmul.png

It is not a test: `tests/` proves the numbers. But a contender that disagrees with the others stops
the run.
"""

from __future__ import annotations

import argparse
import itertools
import operator
import time
from functools import reduce
from types import ModuleType
from typing import Any

import common
from common import Contender, Job, Target, Timing

SIZES = (32, 64, 128, 200, 256, 512, 1024)

# r-nn, rnn's ancestor in Rust, on one 2.4 GHz EPYC core: forward s, backward s, peak bytes.
ANCESTOR = "r-nn (recorded)"
RECORDED = {
    32: (0.029, 0.032, 15e6),
    64: (0.162, 0.313, 101e6),
    128: (3.26, 3.86, 783e6),
    200: (10.2, 20.8, 3015e6),
}

TARGET_SCALAR_NS, TARGET_SCALAR_BYTES = 4.0, 10.0  # per scalar node, n = 64 to 256
TARGET_TENSOR = {64: 2.0, 256: 1.0, 512: 1.0, 1024: 1.0}  # times as fast as torch


def inputs(n: int) -> list[Any]:
    """Two (n, n) float32 arrays of uniform numbers, the same for every contender."""
    import numpy as np

    return [np.random.default_rng(seed).random((n, n), dtype=np.float32) for seed in (1, 2)]


def make_tensor(library: ModuleType, n: int) -> Job:
    """torch, and rnn at tensor resolution."""
    a, b = (library.tensor(array).requires_grad_() for array in inputs(n))
    return common.tensor_job([a, b], lambda: (a @ b).sum())


def make_scalar(rnn: ModuleType, n: int) -> Job:
    """rnn at scalar resolution: the same lines, and a look whether the graph has all its nodes."""
    a, b = (rnn.tensor(array).requires_grad_() for array in inputs(n))
    job = common.tensor_job([a, b], lambda: (a @ b).sum(), lambda: rnn.resolution("scalar"))

    def results() -> list[Any]:
        with rnn.resolution("scalar"):
            recorded = (a @ b).sum().graph_size()
        if recorded < n**3 + n**2 * (n - 1):  # products and the sums between them
            raise SystemExit(f"rnn scalar: {recorded:,} nodes are not those of a {n} x {n} product")
        return job.results()

    return Job(job.step, results)


def make_numpy(_numpy: ModuleType, n: int) -> Job:
    """NumPy has no backward pass: what the forward product alone takes."""
    a, b = inputs(n)

    def step() -> Timing:
        start = time.perf_counter()
        (a @ b).sum()
        return Timing(time.perf_counter() - start, 0.0)

    return Job(step, lambda: [(a @ b).sum()])


def make_micrograd(engine: ModuleType, n: int) -> Job:
    """micrograd: a Python object a node. Its sort recurses along the n^2 additions of the sum."""
    value = engine.Value
    a, b = ([[value(float(x)) for x in row] for row in array] for array in inputs(n))
    columns = list(zip(*b, strict=True))

    def run() -> tuple[Any, Timing]:
        for leaf in itertools.chain(*a, *b):
            leaf.grad = 0
        start = time.perf_counter()
        products = (map(operator.mul, row, column) for row in a for column in columns)
        loss = reduce(operator.add, (reduce(operator.add, terms) for terms in products))
        middle = time.perf_counter()
        loss.backward()
        return loss, Timing(middle - start, time.perf_counter() - middle)

    def results() -> list[Any]:
        loss = common.with_deep_stack(run)[0]
        return [loss.data, *([[leaf.grad for leaf in row] for row in leaves] for leaves in (a, b))]

    return Job(lambda: common.with_deep_stack(lambda: run()[1]), results)


def contenders(arguments: argparse.Namespace) -> dict[str, Contender]:
    listed = (
        Contender("rnn scalar", "rnn", make_scalar, arguments.largest_scalar),
        Contender("rnn tensor", "rnn", make_tensor),
        Contender("torch", "torch", make_tensor),
        Contender("numpy forward", "numpy", make_numpy),
        Contender("micrograd", "micrograd.engine", make_micrograd, arguments.largest_micrograd),
    )
    return {contender.name: contender for contender in listed}


def measure(
    arguments: argparse.Namespace, listed: dict[str, Contender], modules: dict[str, ModuleType]
) -> list[dict[str, Any]]:
    """All sizes and contenders: one row each, r-nn's recorded figures among them."""
    here = [contender for contender in listed.values() if contender.module in modules]
    plan = {n: [contender for contender in here if n <= contender.largest] for n in arguments.sizes}
    turns = arguments.rounds + (0 if arguments.no_memory else 1)
    progress = common.Progress(sum(map(len, plan.values())) * turns)
    rows = []
    for n, running in plan.items():
        jobs = {
            contender.name: contender.make(modules[contender.module], n) for contender in running
        }
        common.check_results(jobs, tolerance=1e-3)
        timings = common.best_in_turns(jobs, arguments, progress=progress, label=f"n = {n}")
        del jobs
        found = []
        for name, timing in timings.items():
            peak = None
            if not arguments.no_memory:
                progress.step(f"n = {n} {name}, memory")
                peak = common.peak_bytes_apart(__file__, name, n, arguments.threads)
            found.append(row(n, name, timing, peak))
        if n in RECORDED:
            forward, backward, recorded_peak = RECORDED[n]
            found.append(row(n, ANCESTOR, Timing(forward, backward), recorded_peak))
        compare(found)
        rows += found
    progress.close()
    return rows


def row(n: int, name: str, timing: Timing, peak: float | None) -> dict[str, Any]:
    """One line of the table. Forward is 2 n^3 floating point operations, backward twice that.

    Nodes: 2 n^3 where each multiplication and addition is a node, 3 n^2 + 1 (a, b, their product
    and its sum) in rnn's tensors, none in torch and NumPy.
    """
    nodes = {"rnn tensor": 3 * n**2 + 1, "torch": None, "numpy forward": None}.get(name, 2 * n**3)
    flops = (2 if name == "numpy forward" else 6) * n**3
    return {
        "size": n,
        "contender": name,
        "forward": timing.forward,
        "backward": timing.backward or None,
        "nodes": nodes,
        "ns_per_node": nodes and timing.total / nodes * 1e9,
        "peak_bytes": peak,
        "bytes_per_node": nodes and peak and peak / nodes,
        "gflops": flops / timing.total / 1e9,
        "ratio": None,
        "ratio_to": "",
    }


def compare(rows: list[dict[str, Any]]) -> None:
    """Fills in how many times as fast each row of one size is as its reference.

    Engines of scalars stand beside r-nn, those of tensors beside torch; forward is compared with
    forward where there is no more. Between r-nn's recorded sizes the nearest serves, node for node.
    """
    n = rows[0]["size"] if rows else 0
    nearest = min(RECORDED, key=lambda size: abs(size - n))
    recorded_ns = sum(RECORDED[nearest][:2]) / (2 * nearest**3) * 1e9
    torch = next((other for other in rows if other["contender"] == "torch"), None)
    for one in rows:
        if one["contender"] in ("rnn scalar", "micrograd", ANCESTOR):
            one["ratio"] = recorded_ns / one["ns_per_node"]
            one["ratio_to"] = "r-nn" if nearest == n else f"r-nn at {nearest}"
        elif torch is not None:
            one["ratio_to"] = "torch"
            one["ratio"] = _seconds(torch, one) / _seconds(one, one)


def _seconds(timed: dict[str, Any], like: dict[str, Any]) -> float:
    """The time of `timed` over those passes that `like` has."""
    return float(timed["forward"] + (timed["backward"] if like["backward"] else 0.0))


def print_rows(rows: list[dict[str, Any]]) -> None:
    headers = "n contender forward backward nodes ns/node peak bytes/node GFLOP/s ratio".split()
    lines: list[list[str]] = []
    for n, group in itertools.groupby(rows, key=operator.itemgetter("size")):
        if lines:
            lines.append([])
        lines += [
            [
                str(n),
                one["contender"],
                common.seconds_text(one["forward"]),
                common.seconds_text(one["backward"]),
                "-" if one["nodes"] is None else f"{one['nodes']:,}",
                common.figure_text(one["ns_per_node"]),
                common.bytes_text(one["peak_bytes"]),
                common.figure_text(one["bytes_per_node"]),
                common.figure_text(one["gflops"]),
                common.ratio_text(one["ratio"], one["ratio_to"]),
            ]
            for one in group
        ]
    print(common.table(headers, lines))
    print(
        "\nratio: times as fast as r-nn's recorded figures (scalars) or as torch (tensors)."
        "\npeak: what one forward and backward pass adds to the memory of a process of its own."
    )


def targets(rows: list[dict[str, Any]]) -> list[Target]:
    by_key = {(one["size"], one["contender"]): one for one in rows}
    sizes = sorted({one["size"] for one in rows})
    found = []
    for n in sizes:
        if 64 <= n <= 256:
            scalar = by_key.get((n, "rnn scalar"), {})
            work = f"matmul at scalar resolution, n = {n}"
            found.append(Target(work, scalar.get("ns_per_node"), TARGET_SCALAR_NS, "ns a node"))
            found.append(
                Target(work, scalar.get("bytes_per_node"), TARGET_SCALAR_BYTES, "bytes a node")
            )
    for n in sizes:
        if n in TARGET_TENSOR:
            tensor = by_key.get((n, "rnn tensor"), {})
            work = f"matmul at tensor resolution, n = {n}"
            found.append(
                Target(work, tensor.get("ratio"), TARGET_TENSOR[n], "x torch", at_least=True)
            )
    return found


def draw(axes: Any, rows: list[dict[str, Any]]) -> None:
    """Seconds of forward and backward against n, a line a contender."""
    for name in dict.fromkeys(one["contender"] for one in rows):
        line = [one for one in rows if one["contender"] == name]
        seconds = [_seconds(one, one) for one in line]
        style = "--" if name == ANCESTOR else "-"
        axes.plot([one["size"] for one in line], seconds, style, marker="o", label=name)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel("n")
    axes.set_ylabel("seconds, forward + backward")
    axes.set_title("n x n matrix product")
    axes.grid(alpha=0.3)
    axes.legend()


def main() -> None:
    parser = common.parser("n x n matrix product, forward and backward", rounds=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), metavar="N")
    parser.add_argument(
        "--largest-scalar", type=int, default=256, metavar="N", help="(%(default)s)"
    )
    parser.add_argument(
        "--largest-micrograd", type=int, default=32, metavar="N", help="(%(default)s)"
    )
    arguments = parser.parse_args()
    common.use_threads(arguments.threads)
    common.find_rnn()
    listed = contenders(arguments)
    if common.answer_memory_question(arguments, listed, warm_up_size=16):
        return
    modules = common.peers(contender.module for contender in listed.values())
    common.set_peer_threads(modules, arguments.threads)
    report = common.Report(common.environment(modules, arguments.threads))
    common.print_environment(report.environment)
    report.rows = measure(arguments, listed, modules)
    print_rows(report.rows)
    report.targets = targets(report.rows)
    common.finish(report, arguments, lambda axes: draw(axes, report.rows))


if __name__ == "__main__":
    main()

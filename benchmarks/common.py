"""What the benchmarks share: finding peers, timing them in turn, memory, tables, targets, plots.

It measures nothing by itself and knows no library: each `bench_*.py` says what its contenders do.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import importlib
import importlib.metadata
import importlib.util
import io
import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

ROOT = Path(__file__).resolve().parent.parent
DEEP_STACK = 512 << 20  # bytes of stack for peers that recurse once per operation
SETTLE = 0.03  # seconds of rest before a turn, in which the last contender's threads stop spinning


# ---- what a contender is -------------------------------------------------------------------------


class Timing(NamedTuple):
    """Seconds of one forward and one backward pass; backward includes dropping the graph."""

    forward: float
    backward: float

    @property
    def total(self) -> float:
        return self.forward + self.backward


class Job(NamedTuple):
    """One contender with its inputs made: `step` runs and times it, `results` shows it is right.

    `results` returns the forward value and the gradients, which `check_results` compares.
    """

    step: Callable[[], Timing]
    results: Callable[[], list[Any]]


@dataclass(frozen=True)
class Contender:
    """A name, the module that must be importable, and how to set up a run of a given size."""

    name: str
    module: str
    make: Callable[[ModuleType, int], Job]
    largest: int = sys.maxsize


def tensor_job(
    leaves: Sequence[Any],
    forward: Callable[[], Any],
    context: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext,
) -> Job:
    """A job for libraries with PyTorch's interface: `forward()` makes a scalar from `leaves`."""

    def run() -> tuple[Any, float, float]:
        for leaf in leaves:
            leaf.grad = None
        with context():
            start = time.perf_counter()
            loss = forward()
            middle = time.perf_counter()
        loss.backward()
        return loss, start, middle

    def step() -> Timing:
        loss, start, middle = run()
        del loss
        return Timing(middle - start, time.perf_counter() - middle)

    def results() -> list[Any]:
        loss = run()[0]
        return [loss.item(), *(leaf.grad.numpy().copy() for leaf in leaves)]

    return Job(step, results)


# ---- peers ---------------------------------------------------------------------------------------


def peer(name: str, loss: str = "its rows are skipped") -> ModuleType | None:
    """The module `name`, or None, with a word on standard error, where it cannot be imported."""
    try:
        return importlib.import_module(name)
    except Exception as error:  # a peer that breaks while it is imported is as good as missing
        say(f"{name}: not here ({type(error).__name__}: {error}); {loss}")
        return None


def peers(names: Iterable[str]) -> dict[str, ModuleType]:
    """Those of `names` that can be imported, each looked up once."""
    found = {name: peer(name) for name in dict.fromkeys(names)}
    return {name: module for name, module in found.items() if module is not None}


def find_rnn() -> None:
    """Lets a script run from a checkout that was built in place but not installed."""
    if importlib.util.find_spec("rnn") is None and (ROOT / "rnn" / "__init__.py").exists():
        sys.path.append(str(ROOT))


def use_threads(count: int) -> None:
    """The same number of threads for every contender; for before the first peer is imported."""
    for library in ("OMP", "OPENBLAS", "MKL", "RNN"):
        os.environ[f"{library}_NUM_THREADS"] = str(count)


def set_peer_threads(modules: Mapping[str, ModuleType], count: int) -> None:
    """Says it again to the peers that have a call for it."""
    for module in modules.values():
        setter = getattr(module, "set_num_threads", None)
        if setter is not None:
            setter(count)


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def with_deep_stack(function: Callable[[], T]) -> T:
    """What `function` returns; it runs in a thread with a deep stack and no recursion limit."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def body() -> None:
        try:
            outcome.append(function())
        except BaseException as error:  # handed to the caller's thread
            failure.append(error)

    old_stack, old_limit = threading.stack_size(DEEP_STACK), sys.getrecursionlimit()
    sys.setrecursionlimit(2**30)
    try:
        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(old_stack)
        sys.setrecursionlimit(old_limit)
    if failure:
        raise failure[0]
    return outcome[0]


# ---- time ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Python's collector off, as `timeit` has it: it would run in whoever's turn comes."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def best_in_turns(
    jobs: Mapping[str, Job], arguments: argparse.Namespace, *, progress: Progress, label: str
) -> dict[str, Timing]:
    """The fastest step of each job. They take turns, so that a busy minute hits all of them alike.

    There are `arguments.rounds` turns. A turn is one step that is not counted (warm-up; where a
    step is slow only the first turn has it), then steps until `arguments.seconds` have passed.
    """
    best: dict[str, Timing] = {}
    seconds = arguments.seconds
    for turn in range(arguments.rounds):
        for name, job in jobs.items():
            progress.step(f"{label} {name}")
            gc.collect()
            time.sleep(SETTLE)
            with no_garbage_collection():
                if turn == 0 or best[name].total < seconds:
                    job.step()
                end = time.perf_counter() + seconds
                while True:
                    timing = job.step()
                    if name not in best or timing.total < best[name].total:
                        best[name] = timing
                    if time.perf_counter() >= end:
                        break
    return best


def check_results(jobs: Mapping[str, Job], *, tolerance: float) -> None:
    """Every job must return the first one's value and gradients, to `tolerance` of the largest.

    Raises SystemExit: the time of a wrong answer is worth nothing.
    """
    import numpy as np

    reference: list[Any] | None = None
    first = ""
    for name, job in jobs.items():
        got = [np.asarray(value, dtype=np.float64) for value in job.results()]
        if reference is None:
            reference, first = got, name
        for index, (one, other) in enumerate(zip(got, reference, strict=False)):
            what = "value" if index == 0 else f"gradient {index}"
            error = float(np.max(np.abs(one - other), initial=0.0))
            scale = float(np.max(np.abs(other), initial=0.0)) or 1.0
            if not error <= tolerance * scale:
                raise SystemExit(
                    f"{name} and {first} disagree: {what} differs by {error:.3g} of {scale:.3g}"
                )


class OtherWork:
    """How much of the machine other processes used since this was made. Linux only."""

    def __init__(self) -> None:
        self.start = self._now()

    def share(self) -> float | None:
        """Their part of all cores' time, 0 to 1; None where the system does not tell."""
        now = self._now()
        if self.start is None or now is None:
            return None
        wall, others = (after - before for after, before in zip(now, self.start, strict=True))
        return round(max(0.0, others / (wall * (os.cpu_count() or 1))), 3)

    @staticmethod
    def _now() -> tuple[float, float] | None:
        """Seconds on the wall, and seconds of all cores that went to others than us."""
        try:
            ticks = [int(field) for field in Path("/proc/stat").read_text().split(maxsplit=9)[1:9]]
        except (OSError, ValueError):
            return None
        user, nice, system, _idle, _wait, irq, soft_irq, stolen = ticks
        busy = (user + nice + system + irq + soft_irq + stolen) / os.sysconf("SC_CLK_TCK")
        ours = os.times()
        return time.perf_counter(), busy - sum(ours[:4])


# ---- memory --------------------------------------------------------------------------------------


def peak_bytes(warm_up: Job, job: Job) -> int | None:
    """By how many bytes one step of `job` raises the peak of this process's resident memory.

    `warm_up`, a tiny job of the same kind, runs first: threads, code and buffers that every size
    needs are not counted, the graph, its values and its gradients are. Linux: VmHWM, reset before
    the step. None where the system does not tell.
    """
    warm_up.step()
    gc.collect()
    _give_back_free_memory()
    # "5" resets the peak to what is resident now. Where that is not allowed the old peak stays, and
    # the figure is too small by what the warm-up gave back.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    before = _peak_resident()
    if before is None:
        return None
    with no_garbage_collection():
        job.step()
    after = _peak_resident()
    return None if after is None else after - before


def _give_back_free_memory() -> None:
    """What glibc's allocator (torch's, NumPy's) and the engine keep for reuse goes to the system.

    A step that finds free memory would seem to need less. Without glibc, only the engine's does.
    """
    if "rnn" in sys.modules:
        sys.modules["rnn"].empty_cache()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _peak_resident() -> int | None:
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def peak_bytes_apart(script: str, contender: str, size: int, threads: int) -> int | None:
    """`peak_bytes` in a process of its own, which runs `script --memory-of contender size`."""
    command = [sys.executable, script, "--memory-of", contender, str(size)]
    command += ["--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        say(f"{contender}, {size}: memory not measured: {reason}")
        return None
    value = json.loads(done.stdout)
    return None if value is None else int(value)


def answer_memory_question(
    arguments: argparse.Namespace, contenders: Mapping[str, Contender], warm_up_size: int
) -> bool:
    """The other side of `peak_bytes_apart`: True when it was asked, measured and printed."""
    if arguments.memory_of is None:
        return False
    name, size = arguments.memory_of
    contender = contenders[name]
    module = importlib.import_module(contender.module)
    set_peer_threads({contender.module: module}, arguments.threads)
    warm_up = contender.make(module, warm_up_size)
    print(json.dumps(peak_bytes(warm_up, contender.make(module, int(size)))))
    return True


# ---- telling -------------------------------------------------------------------------------------


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Progress:
    """Progress on standard error: tqdm's bar where installed, else one line that is rewritten.

    Says nothing where standard error is not a terminal.
    """

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self.shown = sys.stderr.isatty()
        self.bar: Any = None
        if self.shown:
            with contextlib.suppress(ImportError):
                self.bar = importlib.import_module("tqdm").tqdm(total=total, leave=False)

    def step(self, text: str) -> None:
        self.done += 1
        if self.bar is not None:
            self.bar.set_description(text)
            self.bar.update()
        elif self.shown:
            sys.stderr.write(f"\r\033[K[{self.done}/{self.total}] {text}")
            sys.stderr.flush()

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
        elif self.shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned, text to the left and figures to the right; an empty row is an empty line."""
    columns = list(zip(headers, *filter(None, rows), strict=True))
    widths = [max(map(len, column)) for column in columns]
    left = [not any(_is_figure(cell) for cell in column[1:]) for column in columns]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if to_left else cell.rjust(width)
            for cell, width, to_left in zip(cells, widths, left, strict=bool(cells))
        )
        return "  ".join(padded).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([line(headers), rule, *(line(row) for row in rows)])


def _is_figure(cell: str) -> bool:
    return cell[:1].isdigit()


def seconds_text(value: float | None) -> str:
    """A time with its unit: 3.21 ms."""
    if value is None:
        return "-"
    for factor, unit in ((1.0, "s "), (1e-3, "ms"), (1e-6, "us")):
        if value >= factor:
            return f"{_three(value / factor)} {unit}"
    return f"{_three(value / 1e-9)} ns"


def figure_text(value: float | None) -> str:
    """A number to three digits, `-` where there is none."""
    return "-" if value is None else _three(value)


def bytes_text(value: float | None) -> str:
    """An amount of memory in units of a million bytes."""
    return "-" if value is None else f"{_three(value / 1e6)} MB"


def ratio_text(value: float | None, to: str) -> str:
    """How many times as fast as `to`: 1.52x torch."""
    return "-" if value is None else f"{_three(value)}x {to}"


def _three(value: float) -> str:
    decimals = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{decimals}f}"


@dataclass(frozen=True)
class Target:
    """One line of the promise: what was measured, and the bound that it must keep."""

    work: str
    measured: float | None
    bound: float
    unit: str
    at_least: bool = False  # else at most

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "not measured"
        kept = self.measured >= self.bound if self.at_least else self.measured <= self.bound
        return "met" if kept else "MISSED"

    def row(self) -> list[str]:
        direction = "at least" if self.at_least else "at most"
        measured = "-" if self.measured is None else figure_text(self.measured)
        return [self.work, f"{direction} {self.bound:g} {self.unit}", measured, self.verdict]


@dataclass
class Report:
    """Everything that one run of a benchmark found, to be printed and written as JSON."""

    environment: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    usage: OtherWork = field(default_factory=lambda: OtherWork())

    def print_targets(self) -> None:
        if self.targets:
            print()
            headers = ["target", "bound", "measured", "this run"]
            print(table(headers, [target.row() for target in self.targets]))

    def print_other_work(self) -> None:
        """Says so where the figures were taken on a machine that had other things to do."""
        share = self.usage.share()
        self.environment["other_work"] = share
        if share is not None and share > 0.03:
            print(f"\nOther work took {share:.0%} of the cores during this run: do not quote it.")

    def write(self, path: str) -> None:
        targets = [{**asdict(target), "verdict": target.verdict} for target in self.targets]
        content = {"environment": self.environment, "rows": self.rows, "targets": targets}
        Path(path).write_text(json.dumps(content, indent=2) + "\n")
        say(f"wrote {path}")


def environment(modules: Mapping[str, ModuleType], threads: int) -> dict[str, Any]:
    """The machine and the versions that the figures belong to."""
    versions = {"numpy": _distribution_version("numpy")}
    for name, module in modules.items():
        top = name.partition(".")[0]
        if top != "plain":  # ours
            versions[top] = str(getattr(module, "__version__", None) or _distribution_version(top))
    facts: dict[str, Any] = {
        "cpu": _cpu_model(),
        "cores": available_cores(),
        "threads": threads,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
    }
    if "rnn" in modules:
        facts["rnn"] = _rnn_config(modules["rnn"])
    return facts


def print_environment(facts: Mapping[str, Any]) -> None:
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    print(f"{facts['cpu']}, {facts['cores']} cores, {facts['threads']} threads, {facts['system']}")
    print(f"Python {facts['python']}, {versions}")
    if "rnn" in facts:
        print("rnn.show_config():")
        print("\n".join("  " + line for line in facts["rnn"].splitlines()))
    print(flush=True)


def _distribution_version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "?"


def _rnn_config(rnn: ModuleType) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        returned = rnn.show_config()
    return printed.getvalue().strip() or str(returned)


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


# ---- the command line and pictures ---------------------------------------------------------------


def parser(description: str, rounds: int) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    result = argparse.ArgumentParser(description=description)
    result.add_argument("--threads", type=int, default=available_cores(), help="of each contender")
    result.add_argument("--rounds", type=int, default=rounds, help="turns of each (%(default)s)")
    result.add_argument("--seconds", type=float, default=0.1, help="of a turn (%(default)s)")
    result.add_argument("--json", metavar="FILE", help="write environment, rows and targets")
    result.add_argument("--plot", metavar="FILE", help="draw the table (needs matplotlib)")
    result.add_argument("--no-memory", action="store_true", help="do not measure peak memory")
    result.add_argument("--memory-of", nargs=2, help=argparse.SUPPRESS)
    return result


def finish(report: Report, arguments: argparse.Namespace, draw: Callable[[Any], None]) -> None:
    """Prints the targets, and writes the JSON file and the picture that were asked for.

    `draw` gets matplotlib's axes.
    """
    report.print_targets()
    report.print_other_work()
    if arguments.json:
        report.write(arguments.json)
    if arguments.plot:
        matplotlib = peer("matplotlib", "no picture is drawn")
        if matplotlib is not None:
            matplotlib.use("Agg")
            pyplot = importlib.import_module("matplotlib.pyplot")
            figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
            draw(axes)
            figure.savefig(arguments.plot, dpi=150)
            say(f"wrote {arguments.plot}")


def draw_bars(axes: Any, rows: Iterable[Mapping[str, Any]], unit: str) -> None:
    """Horizontal bars of forward and backward time, one per row: `label`, `forward`, `backward`."""
    rows = list(rows)
    labels = [row["label"] for row in rows]
    forward = [row["forward"] for row in rows]
    axes.barh(labels, forward, label="forward")
    axes.barh(labels, [row["backward"] for row in rows], left=forward, label="backward")
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    axes.legend()

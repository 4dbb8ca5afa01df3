"""Training steps beside torch: forward, backward and optimiser, on the models that courses use.

- mlp: 784-256-128-10, batch 64, SGD, cross-entropy
- gpt: 4 layers, 4 heads, width 128, context 64, batch 12, AdamW
- large-gpt: 6 layers, 6 heads, width 384, context 128, batch 4, vocabulary 5,000, AdamW
- gru: 64 to 128, 30 steps, batch 32, Adam
- char-rnn: the names tutorial's, one letter at a time, batch 1, 10 steps, hidden 128, SGD
- cnn: two 3x3 convolutions with pooling and a linear layer on 28x28, batch 64, SGD

Both libraries run the same functions of this file, from the same seed.

    python benchmarks/bench_train.py
    python benchmarks/bench_train.py --works mlp gpt --json train.json --plot train.png
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import bench_ops
import common
from common import Contender, Job, Target, Timing

LIBRARIES = ("rnn", "torch")


class Training(NamedTuple):
    """A model with its data: `loss()` runs it forward, `optimizer` changes it."""

    model: Any
    optimizer: Any
    loss: Callable[[], Any]


def training_job(training: Training) -> Job:
    """A step: gradients to None, forward, backward, update. Backward's time includes the update."""
    model, optimizer, loss_of = training

    def run() -> tuple[Any, float, float]:
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = loss_of()
        middle = time.perf_counter()
        loss.backward()
        optimizer.step()
        return loss, start, middle

    def step() -> Timing:
        loss, start, middle = run()
        del loss
        return Timing(middle - start, time.perf_counter() - middle)

    def results() -> list[Any]:
        """The first step's loss and gradients, and the loss after three."""
        loss = run()[0].item()
        gradients = [weight.grad.numpy().copy() for weight in model.parameters()]
        run()
        return [loss, *gradients, run()[0].item()]

    return Job(step, results)


# ---- the models ----------------------------------------------------------------------------------


def mlp(torch: ModuleType, batch: int) -> Training:
    nn = torch.nn
    model = nn.Sequential(
        nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)
    )
    x, y = torch.randn(batch, 784), torch.randint(0, 10, (batch,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    return Training(model, optimizer, lambda: nn.functional.cross_entropy(model(x), y))


def gpt_model(
    torch: ModuleType, vocabulary: int, context: int, width: int, layers: int, heads: int
) -> Any:
    """GPT-2's architecture: normalised before attention and before a GELU network of 4 x width."""
    nn, functional = torch.nn, torch.nn.functional

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.ln_1 = nn.LayerNorm(width)
            self.attention = nn.Linear(width, 3 * width)
            self.projection = nn.Linear(width, width)
            self.ln_2 = nn.LayerNorm(width)
            self.mlp = nn.Sequential(
                nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
            )

        def forward(self, x: Any) -> Any:  # (B, T, width)
            batch, steps, _ = x.shape
            q, k, v = (
                part.view(batch, steps, heads, width // heads).transpose(1, 2)
                for part in self.attention(self.ln_1(x)).split(width, dim=2)
            )
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.projection(y.transpose(1, 2).reshape(batch, steps, width))
            return x + self.mlp(self.ln_2(x))

    class GPT(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(vocabulary, width)
            self.positions = nn.Embedding(context, width)
            self.blocks = nn.ModuleList([Block() for _ in range(layers)])
            self.ln = nn.LayerNorm(width)
            self.head = nn.Linear(width, vocabulary, bias=False)

        def forward(self, ids: Any) -> Any:  # (B, T) -> (B, T, vocabulary)
            x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))
            for block in self.blocks:
                x = block(x)
            return self.head(self.ln(x))

    return GPT()


def gpt_training(
    torch: ModuleType, batch: int, vocabulary: int, context: int, width: int, depth: int
) -> Training:
    model = gpt_model(torch, vocabulary, context, width, layers=depth, heads=depth)
    ids = torch.randint(0, vocabulary, (batch, context))
    targets = torch.randint(0, vocabulary, (batch * context,))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)

    def loss() -> Any:
        logits = model(ids).view(batch * context, vocabulary)
        return torch.nn.functional.cross_entropy(logits, targets)

    return Training(model, optimizer, loss)


def gpt(torch: ModuleType, batch: int) -> Training:
    return gpt_training(torch, batch, vocabulary=65, context=64, width=128, depth=4)


def large_gpt(torch: ModuleType, batch: int) -> Training:
    return gpt_training(torch, batch, vocabulary=5000, context=128, width=384, depth=6)


def gru(torch: ModuleType, batch: int) -> Training:
    nn = torch.nn
    model = nn.GRU(64, 128)
    x, y = torch.randn(30, batch, 64), torch.randn(30, batch, 128)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return Training(model, optimizer, lambda: nn.functional.mse_loss(model(x)[0], y))


def char_rnn(torch: ModuleType, batch: int) -> Training:
    nn = torch.nn
    letters, hidden_size, classes, steps = 57, 128, 18, 10

    class RNN(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.i2h = nn.Linear(letters + hidden_size, hidden_size)
            self.h2o = nn.Linear(hidden_size, classes)
            self.softmax = nn.LogSoftmax(dim=1)

        def forward(self, letter: Any, hidden: Any) -> Any:
            hidden = torch.tanh(self.i2h(torch.cat((letter, hidden), 1)))
            return self.softmax(self.h2o(hidden)), hidden

    model, criterion = RNN(), nn.NLLLoss()
    line = torch.zeros(steps, batch, letters)
    for step, letter in enumerate(torch.randint(0, letters, (steps,)).tolist()):
        line[step, :, letter] = 1
    category = torch.randint(0, classes, (batch,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005)

    def loss() -> Any:
        hidden = torch.zeros(batch, hidden_size)
        output = hidden
        for step in range(steps):
            output, hidden = model(line[step], hidden)
        return criterion(output, category)

    return Training(model, optimizer, loss)


def cnn(torch: ModuleType, batch: int) -> Training:
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 5 * 5, 10),
    )  # fmt: skip
    x, y = torch.randn(batch, 1, 28, 28), torch.randint(0, 10, (batch,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return Training(model, optimizer, lambda: nn.functional.cross_entropy(model(x), y))


class Work(NamedTuple):
    make: Callable[[ModuleType, int], Training]
    batch: int
    bound: float  # times as fast as torch


WORKS = {
    "mlp": Work(mlp, 64, 1.5),
    "gpt": Work(gpt, 12, 1.2),
    "large-gpt": Work(large_gpt, 4, 1.0),
    "gru": Work(gru, 32, 1.5),
    "char-rnn": Work(char_rnn, 1, 3.0),
    "cnn": Work(cnn, 64, 1.0),
}


#: bytes: Linux counts a process's pages on each processor, and adds them up 32 at a time: on two
#: processors the figure that it tells is off by up to 64 pages.
PEAK_FLOOR = 256 << 10

# ---- the run -------------------------------------------------------------------------------------


def make(work: str) -> Callable[[ModuleType, int], Job]:
    def job(library: ModuleType, batch: int) -> Job:
        library.manual_seed(0)
        return training_job(WORKS[work].make(library, batch))

    return job


def contenders() -> dict[str, Contender]:
    """By the names that the processes which measure memory are asked for."""
    return {
        f"{work} {library}": Contender(library, library, make(work))
        for work in WORKS
        for library in LIBRARIES
    }


def main() -> None:
    parser = common.parser("training steps", rounds=7)
    parser.add_argument("--works", nargs="+", choices=WORKS, default=list(WORKS))
    arguments = parser.parse_args()
    common.use_threads(arguments.threads)
    common.find_rnn()
    if common.answer_memory_question(arguments, contenders(), warm_up_size=1):
        return
    modules = common.peers(LIBRARIES)
    common.set_peer_threads(modules, arguments.threads)
    report = common.Report(common.environment(modules, arguments.threads))
    common.print_environment(report.environment)

    turns = arguments.rounds + (0 if arguments.no_memory else 1)
    progress = common.Progress(len(arguments.works) * len(modules) * turns)
    for work in arguments.works:
        jobs = {name: make(work)(module, WORKS[work].batch) for name, module in modules.items()}
        common.check_results(jobs, tolerance=1e-3)
        timings = common.best_in_turns(jobs, arguments, progress=progress, label=work)
        del jobs
        for name, timing in timings.items():
            peak = None
            if not arguments.no_memory:
                progress.step(f"{work} {name}, memory")
                peak = common.peak_bytes_apart(
                    __file__, f"{work} {name}", WORKS[work].batch, arguments.threads
                )
            report.rows.append(row(work, name, timing, peak, timings.get("torch")))
    progress.close()

    print_rows(report.rows)
    report.targets = targets(report.rows)
    common.finish(report, arguments, lambda axes: bench_ops.draw(axes, report.rows))


def row(
    work: str, name: str, timing: Timing, peak: float | None, torch: Timing | None
) -> dict[str, Any]:
    return {
        "work": work,
        "contender": name,
        "forward": timing.forward,
        "backward": timing.backward,
        "step": timing.total,
        "peak_bytes": peak,
        "ratio": torch and torch.total / timing.total,
        "ratio_to": "torch",
    }


def print_rows(rows: list[dict[str, Any]]) -> None:
    headers = ["work", "contender", "forward", "backward, update", "step", "peak", "ratio"]
    lines: list[list[str]] = []
    for one in rows:
        if lines and lines[-1][0] != one["work"]:
            lines.append([])
        times = [common.seconds_text(one[key]) for key in ("forward", "backward", "step")]
        peak = common.bytes_text(one["peak_bytes"])
        ratio = common.ratio_text(one["ratio"], one["ratio_to"])
        lines.append([one["work"], one["contender"], *times, peak, ratio])
    print(common.table(headers, lines))
    print("\npeak: what a first step adds to model and data. ratio: times as fast as torch.")
    floor = common.bytes_text(PEAK_FLOOR)
    print(f"Peaks below {floor}, as exactly as Linux counts them, are compared as {floor}.")


def targets(rows: list[dict[str, Any]]) -> list[Target]:
    """Speed, and memory as a part of torch's."""
    found: list[Target] = []
    by_name = {(one["work"], one["contender"]): one for one in rows}
    for work, (_, _, bound) in WORKS.items():
        ours, theirs = by_name.get((work, "rnn")), by_name.get((work, "torch"))
        if ours is None:
            continue
        found.append(Target(work, ours["ratio"], bound, "x torch", at_least=True))
        peaks = [one["peak_bytes"] for one in (ours, theirs) if one]
        part = None
        if len(peaks) == 2 and None not in peaks:
            mine, other = (max(peak, PEAK_FLOOR) for peak in peaks)
            part = mine / other
        found.append(Target(f"{work}, memory", part, 1.0, "x torch's peak"))
    return found


if __name__ == "__main__":
    main()

"""A tiny GPT learns names, three times over: Values one by one, tensors as scalars, tensors.

The model is the one of Karpathy's microgpt: tokens are letters; 16 wide, 1 layer, 4 heads; a name a
step; Adam. It is written once, and runs

- on Values, each one a Python object (`Matrix` in plain.py says what a tensor's words mean then);
- on tensors at scalar resolution: the same additions and multiplications, recorded by the engine;
- on tensors: a product of matrices is one operation, and so is a softmax;
- with --plain first of all on the Values of plain.py, an engine in plain Python.

It prints time, nodes and losses of each: the losses are the same. Then the tensors learn on, and
invent names.

    python examples/microgpt.py                          # 10 seconds
    python examples/microgpt.py --plain --plot gpt.png   # 30 seconds: plain Python takes its time
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

import names
import plain
from tqdm import tqdm

import rnn

LETTERS = ".abcdefghijklmnopqrstuvwxyz"  # the point begins and ends a name
WIDTH, HEADS, CONTEXT, RATE = 16, 4, 16, 0.01
TURN = 10  # steps of one form before the next one's
Rows = list[list[float]]


class Form(NamedTuple):
    """What the model's matrices are, what joins them, and what they learn with."""

    matrix: Callable[[Rows, bool], Any]  # from numbers; learned, or constant
    cat: Callable[..., Any]
    optimiser: Callable[..., Any]
    resolution: str = "tensor"


def of_values(kind: type) -> Callable[[Rows, bool], plain.Matrix]:
    return lambda rows, learned: plain.Matrix([map(kind, row) for row in rows] if learned else rows)


def tensor(rows: Rows, learned: bool) -> rnn.Tensor:
    return rnn.tensor(rows, dtype=rnn.float64, requires_grad=learned)


FORMS = {
    "plain Python": Form(of_values(plain.Value), plain.cat, plain.Adam),
    "Values": Form(of_values(rnn.Value), plain.cat, plain.Adam),
    "tensors as scalars": Form(tensor, rnn.cat, rnn.optim.Adam, "scalar"),
    "tensors": Form(tensor, rnn.cat, rnn.optim.Adam),
}


class GPT:
    """The model, of whatever form. The same seed gives the same weights."""

    def __init__(self, form: Form, seed: int = 0) -> None:
        generator = random.Random(seed)

        def matrix(rows: int, columns: int) -> Any:
            made = [[generator.gauss(0, 0.08) for _ in range(columns)] for _ in range(rows)]
            return form.matrix(made, True)

        self.letters, self.places = matrix(len(LETTERS), WIDTH), matrix(CONTEXT, WIDTH)
        self.query, self.key, self.value, self.mix = (matrix(WIDTH, WIDTH) for _ in range(4))
        self.widen, self.narrow = matrix(WIDTH, 4 * WIDTH), matrix(4 * WIDTH, WIDTH)
        self.head = matrix(WIDTH, len(LETTERS))
        self.parameters = list(vars(self).values())
        # Added to scores, it hides from each place (a row) the places after it (columns).
        future = [[-math.inf if j > i else 0.0 for j in range(CONTEXT)] for i in range(CONTEXT)]
        self.mask, self.cat = form.matrix(future, False), form.cat

    def logits(self, tokens: list[int]) -> Any:
        """(places, letters): a score for each letter to come after each place."""
        n, size = len(tokens), WIDTH // HEADS
        x = norm(self.letters[tokens] + self.places[:n])  # (n, WIDTH), as every x
        y = norm(x)
        query, keys, value = y @ self.query * size**-0.5, (y @ self.key).T, y @ self.value
        mask, heads = self.mask[:n, :n], []
        for begin in range(0, WIDTH, size):
            part = slice(begin, begin + size)
            weights = (query[:, part] @ keys[part] + mask).softmax(-1)  # (n, n): whom each heeds
            heads.append(weights @ value[:, part])
        x = x + self.cat(heads, 1) @ self.mix
        x = x + (norm(x) @ self.widen).relu() @ self.narrow
        return x @ self.head

    def loss(self, name: str) -> Any:
        """The mean of -log(probability) over the letters of a name and its end."""
        tokens = [LETTERS.index(letter) for letter in f".{name}."][: CONTEXT + 1]
        logs = self.logits(tokens[:-1]).log_softmax(-1)
        return logs[list(range(len(tokens) - 1)), tokens[1:]].mean(-1) * -1.0


def norm(x: Any) -> Any:
    """Each row over the root of its mean square."""
    return x * ((x * x).mean(-1, keepdim=True) + 1e-5) ** -0.5


class Training:
    """A model in training, a name a step, and what that took."""

    def __init__(self, form: Form, steps: int, seed: int = 0) -> None:
        self.form, self.steps = form, steps
        self.model = GPT(form, seed)
        self.optimiser = form.optimiser(self.model.parameters, lr=RATE, betas=(0.9, 0.99))
        self.losses: list[float] = []
        self.seconds: list[float] = []
        self.nodes: list[int] = []

    def step(self, name: str) -> float:
        """Learns from a name; returns the loss before that."""
        with rnn.resolution(self.form.resolution):
            start = time.perf_counter()
            loss = self.model.loss(name)
            middle = time.perf_counter()
            self.nodes.append(loss.graph_size())  # is not timed
            begin = time.perf_counter()
            loss.backward()
            self.optimiser.param_groups[0]["lr"] = RATE * (1 - len(self.losses) / self.steps)
            self.optimiser.step()
            self.optimiser.zero_grad()
            self.seconds.append(middle - start + time.perf_counter() - begin)
        self.losses.append(float(loss.data))
        return self.losses[-1]


def read_names(seed: int = 0) -> list[str]:
    """First names of the US census of 1990, from the package `names`, shuffled."""
    files = [Path(names.FILES[f"first:{which}"]) for which in ("female", "male")]
    lines = [line for file in files for line in file.read_text().splitlines()]
    found = sorted({line.split()[0].lower() for line in lines})
    random.Random(seed).shuffle(found)
    return found


def invent(model: GPT, generator: random.Random, temperature: float = 0.6) -> str:
    """A new name, letter by letter, from a model on tensors."""
    tokens = [0]
    while len(tokens) <= CONTEXT:
        with rnn.no_grad():
            chances = (model.logits(tokens)[-1] / temperature).softmax(-1).tolist()
        tokens += generator.choices(range(len(LETTERS)), chances)
        if tokens[-1] == 0:
            break
    return "".join(LETTERS[token] for token in tokens).strip(".")


def report(runs: dict[str, Training], steps: int) -> None:
    """A table of the steps that all took; times and nodes are medians."""
    names_of = list(runs)
    first = runs[names_of[0]]
    print(f"\n{'':18}     a step    nodes  times as fast  loss at step {steps}")
    for name, run in runs.items():
        seconds, nodes = median(run.seconds[:steps]), median(run.nodes[:steps])
        ratio, loss = median(first.seconds[:steps]) / seconds, run.losses[steps - 1]
        print(f"{name:18}  {seconds * 1e3:6.2f} ms  {nodes:7,.0f}  {ratio:13.0f}  {loss:.15f}")
    pairs = [pair for run in runs.values() for pair in zip(first.losses[:steps], run.losses)]
    apart = max(abs(one - other) for one, other in pairs)
    print(f"No loss of these steps differs from that of {names_of[0]} by more than {apart:.0e}.")


def draw(runs: dict[str, Training], steps: int, file: str) -> None:
    """The losses of all, and the time of a step."""
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for index, (name, run) in enumerate(runs.items()):
        width, milliseconds = 8 - 2 * index, median(run.seconds[:steps]) * 1e3
        left.plot(range(1, steps + 1), run.losses[:steps], f"C{index}", lw=width, label=name)
        right.barh(name, milliseconds, color=f"C{index}")
        right.text(milliseconds, name, f" {milliseconds:.3g} ms", va="center")
    left.set(title="The same losses: each line lies on the others", xlabel="step", ylabel="loss")
    left.legend()
    right.set(title="Time of a step", xscale="log", xlabel="ms")
    right.invert_yaxis()
    right.margins(x=0.2)
    figure.savefig(file, dpi=150)
    print(f"wrote {file}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description="A tiny GPT on names: on Values, on tensors as scalars, on tensors.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--plain", action="store_true", help="run plain Python too")
    parser.add_argument("--compare", type=int, default=50, help="steps that every form takes")
    parser.add_argument("--steps", type=int, default=10_000, help="steps that the tensors take")
    parser.add_argument("--samples", type=int, default=20, help="names to invent")
    parser.add_argument("--seed", type=int, default=0, help="of weights and names")
    parser.add_argument("--plot", metavar="FILE", help="draw losses and times (matplotlib)")
    arguments = parser.parse_args()
    compare, steps = arguments.compare, max(arguments.steps, arguments.compare)

    learned = read_names(arguments.seed)
    runs = {name: Training(form, steps, arguments.seed) for name, form in FORMS.items()}
    if not arguments.plain:
        del runs["plain Python"]
    print(f"{len(learned):,} names; step by step on " + ", ".join(runs))
    for begin in tqdm(range(0, compare, TURN), "all", disable=None):  # in turns, to be fair
        for run in runs.values():
            for step in range(begin, min(begin + TURN, compare)):
                run.step(learned[step % len(learned)])
    report(runs, compare)

    tensors = runs["tensors"]
    for step in tqdm(range(compare, steps), "tensors", disable=None):
        tensors.step(learned[step % len(learned)])
    print(f"\n{steps:,} steps on tensors took {sum(tensors.seconds):.1f} s;", end=" ")
    last = tensors.losses[-500:]
    print(f"the mean loss of the last {len(last)} is {mean(last):.3f}. It invents:")
    generator = random.Random(arguments.seed)
    invented = [invent(tensors.model, generator) for _ in range(arguments.samples)]
    print(*(name + "*" * (name in learned) for name in invented), sep=", ", end=" (* is known)\n")
    if arguments.plot:
        draw(runs, compare, arguments.plot)


if __name__ == "__main__":
    main()

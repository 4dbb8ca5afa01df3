"""A character RNN learns names of the US census: it tells lists apart, and invents new names.

The lists are women's first names, men's first names and last names, from the package `names`. One
network does both: a GRU that is told the list and reads letter by letter how likely each next
letter is. Multiplied, these are the probability of the name in that list: Bayes' rule turns the
three of them into the probability of each list. Drawn from, letter by letter, they make new names.

    python examples/char_rnn.py --plot names.png           # a minute
    python examples/char_rnn.py --model names.pt --classify Lucinda Rodrigo Hutchinson
"""

from __future__ import annotations

import argparse
from itertools import chain
from pathlib import Path
from typing import Any

import names
import numpy as np
from tqdm import tqdm

import rnn
from rnn import Tensor, nn
from rnn.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

LISTS = {"woman": "first:female", "man": "first:male", "last name": "last"}
LETTERS = ".abcdefghijklmnopqrstuvwxyz"  # the point begins and ends a name
PAD = -100  # as a target: no letter, which cross_entropy leaves out
LONGEST = 14


class CharRNN(nn.Module):
    """Scores for the next letter, of the letters so far and the list that the name is from."""

    def __init__(self, width: int = 128, embedding: int = 32, dropout: float = 0.2) -> None:
        super().__init__()
        self.letters = nn.Embedding(len(LETTERS), embedding)
        self.lists = nn.Embedding(len(LISTS), embedding)
        self.gru = nn.GRU(embedding, width, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, len(LETTERS))

    def forward(
        self, letters: Tensor, lists: Tensor, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """letters (names, places), lists (names,) -> scores (names, places, LETTERS), state."""
        x = self.letters(letters) + self.lists(lists).unsqueeze(1)
        y, state = self.gru(self.dropout(x), state)
        return self.head(self.dropout(y)), state


def read_names(most: int) -> list[list[str]]:
    """The names of each list, the most frequent ones first; one on two lists is where it is more
    frequent.
    """
    shares: list[dict[str, float]] = []
    for file in LISTS.values():
        lines = Path(names.FILES[file]).read_text().splitlines()[:most]
        rows = [line.split() for line in lines]
        shares.append({name.lower(): float(percent) for name, percent, *_ in rows})

    def best(name: str) -> int:
        return max(range(len(shares)), key=lambda index: shares[index].get(name, 0.0))

    return [[name for name in share if best(name) == index] for index, share in enumerate(shares)]


def encode(words: list[str]) -> tuple[Tensor, Tensor]:
    """Letters, each name with its beginning, and the letters that follow; (names, LONGEST) both."""
    letters = np.zeros((len(words), LONGEST), np.int64)
    following = np.full((len(words), LONGEST), PAD)
    for row, word in enumerate(words):
        tokens = [LETTERS.index(letter) for letter in word]
        letters[row, 1 : len(word) + 1] = tokens
        following[row, : len(word) + 1] = [*tokens, 0]
    return rnn.from_numpy(letters), rnn.from_numpy(following)


def as_dataset(lists: list[list[str]]) -> TensorDataset:
    which = [index for index, words in enumerate(lists) for _ in words]
    return TensorDataset(*encode(list(chain(*lists))), rnn.tensor(which))


def surprise(model: CharRNN, letters: Tensor, following: Tensor, lists: Tensor) -> Tensor:
    """-log(probability) of each following letter, 0 behind the end; (names, places)."""
    scores, _ = model(letters, lists)
    losses = nn.functional.cross_entropy(
        scores.flatten(0, 1), following.flatten(), reduction="none"
    )
    return losses.view(letters.shape)


@rnn.no_grad()
def probabilities(model: CharRNN, letters: Tensor, following: Tensor) -> Tensor:
    """(names, lists): how likely each name is from each list, all lists as likely beforehand."""
    model.eval()
    logs = []
    for index in range(len(LISTS)):
        lists = rnn.full((len(letters),), index, dtype=rnn.int64)
        logs.append(-surprise(model, letters, following, lists).sum(1))
    return rnn.stack(logs, 1).softmax(1)


@rnn.no_grad()
def invent(model: CharRNN, which: int, count: int, temperature: float) -> list[str]:
    """New names of a list."""
    model.eval()
    letters, lists = rnn.zeros(count, 1, dtype=rnn.int64), rnn.full((count,), which)
    state, made = None, []
    for _ in range(LONGEST):
        scores, state = model(letters, lists, state)
        letters = rnn.multinomial((scores[:, -1] / temperature).softmax(1), 1)
        made.append(letters)
    words = ["".join(LETTERS[i] for i in row) for row in rnn.cat(made, 1).tolist()]
    return [word.split(".")[0] for word in words]


def train(
    model: CharRNN, learned: TensorDataset, held_out: TensorDataset, options: argparse.Namespace
) -> list[tuple[float, float, float]]:
    """Trains, and returns of each epoch: training and held-out loss a letter, held-out accuracy."""
    counts = np.bincount(learned.tensors[2].numpy())
    weights = (1 / counts)[learned.tensors[2].numpy()]  # so that each list is met as often
    sampler = WeightedRandomSampler(weights.tolist(), len(learned))
    loader: DataLoader[Any] = DataLoader(learned, options.batch, sampler=sampler)
    optimiser = rnn.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=0.01)
    steps = options.epochs * len(loader)
    schedule = rnn.optim.lr_scheduler.OneCycleLR(optimiser, options.lr, total_steps=steps)
    history = []
    for epoch in (bar := tqdm(range(1, options.epochs + 1), disable=None)):
        model.train()
        losses = []
        for letters, following, lists in loader:
            each = surprise(model, letters, following, lists)
            loss = each.sum() / (following != PAD).sum()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        history.append((float(np.mean(losses)), *evaluate(model, held_out)[:2]))
        loss_now, loss_apart, right = history[-1]
        bar.write(
            f"epoch {epoch:2d}  loss a letter {loss_now:.4f}  held out {loss_apart:.4f}"
            f"  accuracy {right:.1%}"
        )
    return history


def evaluate(model: CharRNN, dataset: TensorDataset) -> tuple[float, float, np.ndarray]:
    """Loss a letter, accuracy, and how many names of each list (row) are taken for each (column).

    Each list counts as much as any other.
    """
    letters, following, lists = dataset.tensors
    found = probabilities(model, letters, following).argmax(1).numpy()
    with rnn.no_grad():
        each = surprise(model, letters, following, lists).sum(1).numpy()
    truth, places = lists.numpy(), (following != PAD).sum(1).numpy()
    table = np.zeros((len(LISTS), len(LISTS)), int)
    np.add.at(table, (truth, found), 1)
    losses = [each[truth == k].sum() / places[truth == k].sum() for k in range(len(LISTS))]
    return float(np.mean(losses)), float(np.mean(table.diagonal() / table.sum(1))), table


def split(lists: list[list[str]], seed: int) -> tuple[TensorDataset, TensorDataset]:
    """Nine tenths of each list to learn from, the rest held out."""
    generator = np.random.default_rng(seed)
    parts: tuple[list[list[str]], list[list[str]]] = ([], [])
    for words in lists:
        order = [words[i] for i in generator.permutation(len(words))]
        cut = len(order) // 10
        parts[0].append(order[cut:])
        parts[1].append(order[:cut])
    return as_dataset(parts[0]), as_dataset(parts[1])


def draw(history: list[Any], table: np.ndarray, invented: list[list[str]], file: str) -> None:
    """Losses by epoch (none of a model from a file), which lists are taken for which, and names."""
    from matplotlib import pyplot

    figure, (losses, lists, text) = pyplot.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for column, label in enumerate(["training", "held out"]):
        losses.plot(range(1, len(history) + 1), [row[column] for row in history], label=label)
    losses.set(title="-log(probability) of a letter", xlabel="epoch")
    losses.legend()
    shares = table / table.sum(1, keepdims=True)
    lists.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(shares.shape):
        share = shares[row, column]
        colour = "white" if share > 0.5 else "black"
        lists.text(column, row, f"{share:.0%}", ha="center", va="center", color=colour)
    right = shares.diagonal().mean()
    lists.set(title=f"Held-out names: {right:.1%} right", xlabel="taken for", ylabel="is")
    lists.set_xticks(range(len(LISTS)), LISTS)
    lists.set_yticks(range(len(LISTS)), LISTS, rotation=90, va="center")
    text.axis("off")
    text.set_title("Invented (* is in the list)")
    for column, (name, words) in enumerate(zip(LISTS, invented, strict=True)):
        lines = "\n".join(["", *words[:12]])
        text.text(column / 3, 1, lines, va="top", linespacing=1.5, transform=text.transAxes)
        text.text(column / 3, 1, name, va="top", weight="bold", transform=text.transAxes)
    figure.savefig(file, dpi=150)
    print(f"wrote {file}")


def a_name(text: str) -> str:
    """A name on the command line, in the letters that the network knows."""
    name = text.lower()
    if not name or set(name) - set(LETTERS[1:]) or len(name) >= LONGEST:
        limit = f"1 to {LONGEST - 1} letters from a to z"
        raise argparse.ArgumentTypeError(f"{text!r} is not a name of {limit}")
    return name


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="A character RNN that classifies and invents names.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--classify", nargs="+", type=a_name, metavar="NAME", help="names to judge")
    parser.add_argument("--model", type=Path, metavar="FILE", help="read if there, else written")
    parser.add_argument("--top", type=int, default=5000, help="most frequent names of each list")
    parser.add_argument("--epochs", type=int, default=20, help="passes over the names")
    parser.add_argument("--batch", type=int, default=64, help="names a step")
    parser.add_argument("--lr", type=float, default=5e-3, help="learning rate at its height")
    parser.add_argument("--samples", type=int, default=12, help="names to invent for each list")
    parser.add_argument("--temperature", type=float, default=0.8, help="below 1: safer names")
    parser.add_argument("--seed", type=int, default=0, help="of the split, weights and batches")
    parser.add_argument("--plot", metavar="FILE", help="draw what was learned (matplotlib)")
    return parser.parse_args()


def main() -> None:
    options = parse()
    rnn.manual_seed(options.seed)
    lists = read_names(options.top)
    learned, held_out = split(lists, options.seed)
    model, history = CharRNN(), []
    parameters = sum(p.numel() for p in model.parameters())
    sizes = ", ".join(f"{len(words):,} ({name})" for name, words in zip(LISTS, lists, strict=True))
    print(f"names: {sizes}; {len(held_out):,} of them held out; {parameters:,} parameters")
    if options.model and options.model.exists():
        model.load_state_dict(rnn.load(options.model))
    else:
        history = train(model, learned, held_out, options)
        if options.model:
            rnn.save(model.state_dict(), options.model)

    _, accuracy, table = evaluate(model, held_out)
    print(f"\n{accuracy:.1%} of the held-out names are found in their list (by chance: 33.3%)")
    print(f"{'is / taken for':15}" + "".join(f"{name:>10}" for name in LISTS))
    for name, row in zip(LISTS, table, strict=True):
        print(f"{name:15}" + "".join(f"{count:10}" for count in row))
    print("\ninvented (* is in the list)")
    invented = []
    for index, (name, words) in enumerate(zip(LISTS, lists, strict=True)):
        made = invent(model, index, options.samples, options.temperature)
        invented.append([word.capitalize() + "*" * (word in words) for word in made])
        print(f"{name + ':':11}" + ", ".join(invented[-1]))
    if options.classify:
        print(f"\n{'':14}" + "".join(f"{name:>10}" for name in LISTS))
        shares = probabilities(model, *encode(options.classify)).tolist()
        for word, row in zip(options.classify, shares, strict=True):
            print(f"{word.capitalize():14}" + "".join(f"{share:10.1%}" for share in row))
    if options.plot:
        draw(history, table, invented, options.plot)


if __name__ == "__main__":
    main()

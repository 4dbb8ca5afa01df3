"""Text from a model: one token after another, picked by temperature, top-k and top-p.

What it is: the loop and the choice. What it is not: text (tokenizer.py) and the command
line (cli.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

import rnn

from .model import GPT2, Cache
from .program import InputError


@dataclass(frozen=True)
class Sampling:
    """How a token is picked. temperature 0 (or greedy): the most probable one."""

    temperature: float = 0.8
    top_k: int = 0  # 0: all
    top_p: float = 1.0
    greedy: bool = False
    seed: int | None = None


class Choice(NamedTuple):
    """A token that was picked, its probability in the model's eyes, and the most probable ones."""

    token: int
    probability: float
    alternatives: list[tuple[int, float]]


class Session:
    """A model, its cache and the tokens in it. Beyond the context it slides: the newest half is
    read again.
    """

    def __init__(self, model: GPT2, name: str = "model") -> None:
        """name: of the model, for errors."""
        self.model, self.name = model, name
        self.cache = Cache(model.config)
        self.window: list[int] = []

    def feed(self, tokens: Sequence[int]) -> np.ndarray:
        """Reads tokens behind those before them; the logits (V,) of the next.

        Raises:
            InputError: they are not numbers.
        """
        limit = self.model.config.n_positions
        window = [*self.window, *tokens]
        if len(window) > limit:
            window = tokens = window[-max(1, limit // 2) :]
            self.rewind(0)
        with rnn.no_grad():
            out = self.model(rnn.tensor([list(tokens)]), self.cache, last_only=True)
        logits = np.array(out.numpy()[0, -1])
        if not logits.max() < np.inf:
            raise InputError(self.name, "weights", "give logits that are not numbers")
        self.window = window  # at last: Ctrl-C leaves what has been read
        return logits

    def rewind(self, count: int) -> None:
        """Forgets all but the first `count` tokens; they must still be in the window."""
        self.window = self.window[:count]
        self.cache.length = count

    def keep(self, tokens: Sequence[int]) -> int:
        """Forgets what is not the beginning of these tokens; how many of them need not be fed, at
        most all but the last.
        """
        pairs = list(zip(self.window, tokens[:-1]))
        count = next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs))
        self.rewind(count)
        return count


def probabilities(logits: np.ndarray, how: Sampling) -> np.ndarray:
    """What the tokens are drawn by: softmax(logits / temperature), cut to the top k and to the
    share p.
    """
    with np.errstate(over="ignore"):
        z = (logits.astype(np.float64) - logits.max()) / how.temperature
    if 0 < how.top_k < z.size:
        z[z < np.partition(z, -how.top_k)[-how.top_k]] = -np.inf
    p = np.exp(z)
    p /= p.sum()
    if how.top_p < 1:
        likely = p[p > (1 - how.top_p) / (2 * p.size)]  # all below it make up less than 1 - top_p
        falling = np.sort(likely)[::-1]
        before = np.cumsum(falling) - falling  # the share of those more probable
        count = int(np.count_nonzero(before < how.top_p))
        least = falling[count - 1]
        equal = np.flatnonzero(p == least)  # of those the first are kept
        p[equal[count - np.count_nonzero(p > least) :]] = 0
        p[p < least] = 0
        p /= p.sum()
    return p


def pick(
    logits: np.ndarray, how: Sampling, random: np.random.Generator, alternatives: int
) -> Choice:
    """One token."""
    if how.greedy or how.temperature == 0:
        token = int(logits.argmax())
    else:
        shares = np.cumsum(probabilities(logits, how))
        last = int(shares.searchsorted(shares[-1]))  # the last token whose share is not 0
        token = min(int(shares.searchsorted(random.random() * shares[-1], "right")), last)
    if not alternatives:
        return Choice(token, 0.0, [])
    p = np.exp(logits.astype(np.float64) - logits.max())
    p /= p.sum()
    count = min(alternatives, p.size)
    best = np.flatnonzero(p >= np.partition(p, -count)[-count])
    best = best[np.argsort(-p[best], kind="stable")][:count]
    return Choice(token, float(p[token]), [(int(i), float(p[i])) for i in best])


def generate(
    session: Session,
    prompt: Sequence[int],
    how: Sampling,
    count: int,
    ends: Collection[int] = (),
    alternatives: int = 0,
) -> Iterator[Choice]:
    """Up to `count` tokens behind the prompt; stops before a token of `ends`."""
    logits = session.feed(prompt)
    yield from proceed(session, logits, how, count, ends, alternatives)


def proceed(
    session: Session,
    logits: np.ndarray,
    how: Sampling,
    count: int,
    ends: Collection[int] = (),
    alternatives: int = 0,
) -> Iterator[Choice]:
    """The same where the prompt has been read: `logits` are of its last token."""
    random = np.random.default_rng(how.seed)
    for left in range(count, 0, -1):
        choice = pick(logits, how, random, alternatives)
        if choice.token in ends:
            return
        yield choice
        if left > 1:
            logits = session.feed([choice.token])

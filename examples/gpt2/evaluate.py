"""Loss and perplexity of a model on text: python examples/gpt2/evaluate.py --model DIR FILE...

The text is cut into stretches of the context's length, each read from its first token on; every
token but the first counts once.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

if not __package__:  # run as a script
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    __package__ = "gpt2"

import rnn

from .files import find, load, tensor_of
from .model import GPT2
from .program import InputError, Parser, at_least, exit_code
from .tokenizer import Tokenizer

SHIPPED = Path(__file__).resolve().parent / "shakespeare"


def read_text(path: Path) -> str:
    """A UTF-8 file.

    Raises:
        InputError: it cannot be read, is empty or is not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise InputError(path, "file", problem.strerror or "cannot be read") from None
    except UnicodeDecodeError as problem:
        raise InputError(path, "file", f"is not UTF-8 at byte {problem.start}") from None
    if not text.strip():
        raise InputError(path, "file", "is empty")
    return text


def loss_of(
    model: GPT2,
    tokens: np.ndarray,
    batch: int = 8,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[float, int]:
    """The mean loss in nats a token, and of how many tokens (the first `limit` stretches only, if
    given).
    """
    length = model.config.n_positions
    starts = list(range(0, len(tokens) - 1, length))[:limit]
    whole = [s for s in starts if s + length < len(tokens)]
    rest = starts[len(whole) :]  # at most one
    groups = [whole[i : i + batch] for i in range(0, len(whole), batch)] + ([rest] if rest else [])
    total, count, training = 0.0, 0, model.training
    model.eval()
    with rnn.no_grad():
        for done, group in enumerate(groups, 1):
            rows = np.stack([tokens[s : s + length + 1] for s in group])
            total += model.loss(tensor_of(rows[:, :-1]), tensor_of(rows[:, 1:]), "sum").item()
            count += rows[:, 1:].size
            if progress is not None:
                progress(done, len(groups))
    model.train(training)
    return total / count, count


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = Parser(prog="evaluate.py", description="Loss and perplexity of a GPT-2 model on text.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="text files")
    parser.add_argument(
        "--model", default=str(SHIPPED), help="folder or owner/name (default: the shipped model)"
    )
    count = at_least(1, 1 << 31, int)
    parser.add_argument("--batch", type=count, default=8, help="stretches at a time (default: 8)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(arguments)
    return exit_code(lambda: evaluate(args))


def evaluate(args: argparse.Namespace) -> None:
    """Prints the loss of the model on the files.

    Raises:
        InputError: the model or a file cannot be used.
    """
    from tqdm import tqdm

    texts = [read_text(path) for path in args.files]
    folder = find(args.model)
    model = load(folder)
    tokenizer = Tokenizer(folder, model.config)
    ids = [
        token
        for path, text in zip(args.files, texts)
        for token in tokenizer.encode(text, str(path))
    ]
    if len(ids) < 2:
        raise InputError(args.files[0], "text", "has fewer than two tokens")
    with tqdm(unit="batch", disable=not sys.stderr.isatty(), leave=False) as bar:

        def progress(done: int, of: int) -> None:
            bar.total = of
            bar.update(done - bar.n)

        loss, count = loss_of(model, np.array(ids), args.batch, None, progress)
    if not math.isfinite(loss):
        raise InputError(args.model, "weights", f"give a loss of {loss}")
    size = sum(len(text.encode()) for text in texts)
    result = {
        "loss": loss,
        "perplexity": math.exp(min(loss, 700)),  # what a float holds
        "bits_per_byte": loss * count / size / math.log(2),
        "tokens": count,
    }
    if args.json:
        print(json.dumps(result))
    else:
        print(
            f"loss {loss:.4f} nats a token, perplexity {result['perplexity']:.2f}, "
            f"{result['bits_per_byte']:.3f} bits a byte; {count:,} tokens"
        )


if __name__ == "__main__":
    sys.exit(main())

"""The command line: python examples/gpt2 "Hello," (rnn-gpt2 where it is installed).

Text goes to standard output; progress, speed and errors to standard error. Exit code 2: the input
cannot be used.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .evaluate import SHIPPED, read_text
from .files import find, load
from .model import GPT2
from .program import InputError, Parser, at_least, exit_code
from .sample import Choice, Sampling, Session, proceed
from .tokenizer import Tokenizer


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    count = at_least(1, 1 << 31, int)
    parser = Parser(
        prog="rnn-gpt2",
        description="Text from a GPT-2 model, every number of which is a node of a scalar graph.",
    )
    add = parser.add_argument
    add("prompt", nargs="?", help="the beginning of the text; - or nothing: standard input")
    add("--file", type=Path, metavar="FILE", help="read the prompt from a file")
    add(
        "--interactive",
        action="store_true",
        help="read a prompt a line, again and again; the text goes on",
    )
    add(
        "--model",
        default=str(SHIPPED),
        help="folder, or owner/name on the Hub (default: the shipped model)",
    )
    add(
        "--max-new-tokens",
        type=count,
        default=100,
        metavar="N",
        help="at most (default: %(default)s)",
    )
    add(
        "--temperature",
        type=at_least(0),
        default=0.8,
        metavar="T",
        help="0: greedy (default: %(default)s)",
    )
    add(
        "--top-k",
        type=at_least(0, 1 << 31, int),
        default=0,
        metavar="K",
        help="of the K best tokens only (default: all)",
    )
    add(
        "--top-p",
        type=at_least(1e-9, 1),
        default=0.9,
        metavar="P",
        help="of the best that make up P; 1: all (default: %(default)s)",
    )
    add("--greedy", action="store_true", help="always the most probable token")
    add(
        "--seed",
        type=at_least(0, 1 << 63, int),
        help="of the random choices (default: another each time)",
    )
    add(
        "--num-samples",
        type=count,
        default=1,
        metavar="N",
        help="texts for the prompt (default: 1)",
    )
    add(
        "--stop",
        action="append",
        default=[],
        metavar="TEXT",
        help="end before this text; may be given again",
    )
    add("--explain", action="store_true", help="for each token, the most probable ones")
    add("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(arguments)
    if args.interactive and args.json:
        parser.error("--interactive and --json exclude each other")
    if args.interactive and (args.file or args.prompt is not None or args.num_samples > 1):
        parser.error("--interactive takes its prompts from the lines, and one sample of each")
    if args.file and args.prompt is not None:
        parser.error("a prompt and --file exclude each other")
    if "" in args.stop:
        parser.error("--stop needs a text")
    return args


def read_prompt(args: argparse.Namespace) -> tuple[str, str]:
    """The prompt and where it is from.

    Raises:
        InputError: it is empty or not UTF-8.
    """
    if args.file:
        return read_text(args.file).removesuffix("\n"), str(args.file)
    if args.prompt not in (None, "-"):
        text, source = args.prompt, "prompt"
    else:
        source = "standard input"
        if sys.stdin.isatty():
            print("Type the beginning of the text, then Ctrl-D.", file=sys.stderr)
        try:
            text = sys.stdin.buffer.read().decode("utf-8")
        except UnicodeDecodeError as problem:
            raise InputError(source, "text", f"is not UTF-8 at byte {problem.start}") from None
        text = text.removesuffix("\n")
    if not text:
        raise InputError(source, "text", "is empty")
    return text, source


def peak_bytes() -> int:
    """The most memory that this process has had, resident."""
    with contextlib.suppress(OSError):  # Linux: of this program alone, not of what started it
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def load_shown(folder: Path) -> GPT2:
    """The model, with a progress bar on a terminal."""
    try:
        from tqdm import tqdm
    except ImportError:
        return load(folder)
    if not sys.stderr.isatty():
        return load(folder)

    with tqdm(unit="B", unit_scale=True, desc=f"loading {folder.name}", leave=False) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return load(folder, progress)


class Program:
    """A model that is loaded, what was asked of it, and the clock."""

    def __init__(self, args: argparse.Namespace) -> None:
        start = time.perf_counter()
        self.args = args
        folder = find(args.model)
        self.model = load_shown(folder)
        self.tokenizer = Tokenizer(folder, self.model.config)
        self.session = Session(self.model, args.model)
        self.load_seconds = time.perf_counter() - start
        self.prompt_tokens = self.generated_tokens = 0
        self.prompt_seconds = self.generated_seconds = 0.0
        self.how = Sampling(args.temperature, args.top_k, args.top_p, args.greedy, args.seed)

    def encode(self, text: str, source: str) -> list[int]:
        """The prompt's tokens.

        Raises:
            InputError: there are none, or more than the context holds.
        """
        ids = self.tokenizer.encode(text, source)
        limit = self.model.config.n_positions
        if not ids:
            raise InputError(source, "text", "is empty")
        if len(ids) > limit:
            raise InputError(
                source,
                "text",
                f"has {len(ids)} tokens, but the model's context (n_positions) has {limit}",
            )
        return ids

    def read(self, ids: list[int]) -> Any:
        """Reads the tokens so far, those that are new; the logits behind them."""
        start = time.perf_counter()
        known = self.session.keep(ids)
        logits = self.session.feed(ids[known:])
        self.prompt_seconds += time.perf_counter() - start
        self.prompt_tokens += len(ids) - known
        return logits

    def choices(self, logits: Any, sample: int) -> Iterator[Choice]:
        """The tokens of one text, each timed."""
        how = (
            self.how
            if self.how.seed is None
            else dataclasses.replace(self.how, seed=self.how.seed + sample)
        )
        wanted = 5 if self.args.explain else 0
        made = proceed(
            self.session, logits, how, self.args.max_new_tokens, self.tokenizer.ends, wanted
        )
        start = time.perf_counter()
        for choice in made:
            self.generated_seconds += time.perf_counter() - start
            self.generated_tokens += 1
            yield choice
            start = time.perf_counter()
        self.generated_seconds += time.perf_counter() - start

    def write(
        self, logits: Any, sample: int, show: Callable[[str], None]
    ) -> tuple[str, list[Choice]]:
        """One text, shown as it grows, cut before a stop text."""
        made: list[Choice] = []

        def tokens() -> Iterator[int]:
            for choice in self.choices(logits, sample):
                made.append(choice)
                yield choice.token

        text, shown, stops = "", 0, self.args.stop
        longest = max((len(stop) for stop in stops), default=1)
        for piece in self.tokenizer.stream(tokens()):
            before = max(0, len(text) - longest + 1)  # a stop text may begin in the last piece
            text += piece
            found = [at for stop in stops if (at := text.find(stop, before)) >= 0]
            if found:
                text = text[: min(found)]
                break
            safe = max(shown, len(text) - longest + 1)
            show(text[shown:safe])
            shown = safe
        show(text[shown:])
        return text, made

    def explanation(self, choice: Choice) -> str:
        """One line: the token, its probability, the most probable ones."""
        best = "  ".join(f"{self.tokenizer.decode([t])!r} {p:.1%}" for t, p in choice.alternatives)
        return f"{self.tokenizer.decode([choice.token])!r:>14} {choice.probability:6.1%} | {best}"

    def closing(self) -> str:
        """What it took."""

        def rate(tokens: int, seconds: float) -> str:
            return (
                f"{tokens} tokens, {tokens / seconds:.1f} tokens/s"
                if seconds
                else f"{tokens} tokens"
            )

        return (
            f"loaded in {self.load_seconds:.2f} s; "
            f"prompt {rate(self.prompt_tokens, self.prompt_seconds)}; "
            f"generated {rate(self.generated_tokens, self.generated_seconds)}; "
            f"peak memory {peak_bytes() / 1e6:.0f} MB"
        )


def show(text: str, kept: list[str] | None = None) -> None:
    """Prints at once, without a line break; adds to what is kept of it."""
    sys.stdout.write(text)
    sys.stdout.flush()
    if kept is not None:
        kept.append(text)


def once(program: Program, text: str, source: str) -> None:
    """One prompt, one or more texts."""
    args = program.args
    ids = program.encode(text, source)
    logits = program.read(ids)
    results = []
    for sample in range(args.num_samples):
        if sample:
            if (
                len(program.session.window) < len(ids) or program.session.window[: len(ids)] != ids
            ):  # it has slid
                program.session = Session(program.model, args.model)
                program.session.feed(ids)
            program.session.rewind(len(ids))
        if not args.json:
            show(("\n" if sample else "") + text)
        written, made = program.write(logits, sample, (lambda _: None) if args.json else show)
        results.append((written, made))
        if not args.json:
            show("\n")
            for choice in made if args.explain else []:
                print(program.explanation(choice))
    if args.json:
        print(json.dumps(as_json(program, text, results)))


def as_json(
    program: Program, prompt: str, results: list[tuple[str, list[Choice]]]
) -> dict[str, Any]:
    """What --json prints: the first text, and all of them under `samples` where there are more."""

    def one(text: str, made: list[Choice]) -> dict[str, Any]:
        result: dict[str, Any] = {"text": text, "tokens": [choice.token for choice in made]}
        if program.args.explain:
            word = program.tokenizer.decode
            result["explain"] = [
                {
                    "token": c.token,
                    "text": word([c.token]),
                    "probability": c.probability,
                    "alternatives": [
                        {"token": t, "text": word([t]), "probability": p} for t, p in c.alternatives
                    ],
                }
                for c in made
            ]
        return result

    samples = [one(*result) for result in results]
    fields = (
        "prompt_tokens",
        "prompt_seconds",
        "generated_tokens",
        "generated_seconds",
        "load_seconds",
    )
    return {
        "prompt": prompt,
        **samples[0],
        **({"samples": samples} if len(samples) > 1 else {}),
        **{field: getattr(program, field) for field in fields},
        "peak_bytes": peak_bytes(),
    }


def interact(program: Program) -> None:
    """Line by line; each goes on from the text shown before it. An empty line starts anew; the end
    of input ends.
    """
    print(
        "A line is a prompt; the text goes on. An empty line starts anew, Ctrl-D ends.",
        file=sys.stderr,
    )
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 - lines can be edited
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")  # encode() refuses them
    limit = program.model.config.n_positions
    sign = "> " if sys.stdin.isatty() and sys.stdout.isatty() else ""
    text = ""
    while True:
        try:
            line = input(sign)
        except (EOFError, KeyboardInterrupt):
            return
        if not line:
            text = ""
            continue
        try:
            new = len(program.encode(line, "prompt"))
            ids = program.tokenizer.encode(text + line)
            if len(ids) > limit:  # slides, but keeps the line
                ids = ids[-max(new, limit // 2) :]
            logits = program.read(ids)
        except InputError as problem:
            print(problem, file=sys.stderr)
            continue
        text += line
        shown: list[str] = []
        keep = functools.partial(show, kept=shown)
        with contextlib.suppress(KeyboardInterrupt):
            _, made = program.write(logits, 0, keep)
            for choice in made if program.args.explain else []:
                print("\n" + program.explanation(choice), end="")
        show("\n")
        text += "".join(shown)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""

    def program() -> None:
        args = parse(arguments)
        text, source = ("", "") if args.interactive else read_prompt(args)
        loaded = Program(args)
        if args.interactive:
            interact(loaded)
        else:
            once(loaded, text, source)
        if not args.json:
            print(loaded.closing(), file=sys.stderr)

    return exit_code(program)

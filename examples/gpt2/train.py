"""Trains a GPT-2-format model from text files: python examples/gpt2/train.py --out DIR FILE...

The folder then holds config.json, model.safetensors and tokenizer.json (as Hugging Face lays them
out), validation.txt, training.json (what was done and the losses) and, with matplotlib, loss.png.
checkpoint.npz lets a killed run go on: give the same command again. It goes on exactly: batch n
depends on the seed and n only, and dropout's random state is kept.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

if not __package__:  # run as a script
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    __package__ = "gpt2"

import rnn
from rnn import nn, optim

from .evaluate import loss_of, read_text
from .files import load, save, tensor_of
from .model import GPT2, Config
from .program import InputError, Parser, at_least, exit_code
from .sample import Sampling, Session, generate
from .tokenizer import END_OF_TEXT, Tokenizer

FREE = {
    "out",
    "files",
    "steps",
    "steps_now",
    "eval_every",
    "eval_batches",
    "sample_every",
    "checkpoint_every",
    "prompt",
    "dtype",
    "fresh",
}


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = Parser(prog="train.py", description="Trains a GPT-2-format model from text files.")
    add = parser.add_argument

    def number(name: str, default: float | None, kind: Any, text: str) -> None:
        shown = "" if default is None else " (default: %(default)s)"
        add(name, type=kind, default=default, metavar="N", help=text + shown)

    count, share = at_least(1, 1 << 31, int), at_least(0, 1 - 1e-9)
    add("files", nargs="+", type=Path, metavar="FILE", help="text files, UTF-8; each is a document")
    help_out = "folder of the model; a killed run in it goes on"
    add("--out", type=Path, required=True, metavar="DIR", help=help_out)
    add("--fresh", action="store_true", help="start anew, whatever is in the folder")
    number("--vocab-size", 2048, at_least(257, 1 << 31, int), "tokens of the BPE, bytes and end")
    number("--layers", 4, count, "blocks")
    number("--heads", 4, count, "attention heads")
    number("--width", 128, count, "numbers a token")
    number("--context", 128, count, "tokens seen at once")
    number("--batch", 16, count, "stretches a step and micro-batch")
    number("--accumulate", 1, count, "micro-batches a step")
    number("--steps", 2000, count, "optimiser steps; may change when a run goes on")
    number("--steps-now", None, count, "stop after so many steps; the same command goes on")
    number("--lr", 1e-3, at_least(0, 100), "highest learning rate")
    number("--min-lr", None, at_least(0, 100), "learning rate at the end (default: lr / 10)")
    number("--warmup", 100, at_least(0, 1 << 31, int), "steps of warm-up")
    number("--weight-decay", 0.1, at_least(0, 100), "of matrices")
    number("--beta2", 0.99, share, "AdamW's second average")
    number("--clip", 1.0, at_least(1e-9), "largest norm of the gradient")
    number("--dropout", 0.0, share, "after embedding and blocks")
    number("--validation", 0.05, at_least(1e-9, 1 - 1e-9), "share of each file, its end")
    number("--eval-every", 200, count, "steps between evaluations")
    number("--eval-batches", 20, count, "batches of an evaluation; the last takes all")
    number("--sample-every", 500, count, "steps between samples")
    number("--checkpoint-every", 200, count, "steps between checkpoints")
    add("--prompt", default="\n", help="of the samples (default: a line break)")
    add("--dtype", choices=["float32", "float16"], default="float32", help="of model.safetensors")
    number("--seed", 1337, at_least(0, 1 << 63, int), "of weights and batches")
    args = parser.parse_args(arguments)
    if args.width % args.heads:
        parser.error("--heads must divide --width")
    if args.min_lr is None:
        args.min_lr = args.lr / 10
    if args.min_lr > args.lr:
        parser.error("--min-lr must not be above --lr")
    return args


# ---- text ----------------------------------------------------------------------------------------


def split(text: str, share: float) -> tuple[str, str]:
    """A document's beginning and its end, which is kept for validation; cut where a line ends."""
    at = text.find("\n", int(len(text) * (1 - share))) + 1
    return (text[:at], text[at:]) if at else (text, "")


def make_tokenizer(texts: list[str], size: int, path: Path) -> None:
    """Trains a byte-level BPE, GPT-2's kind, and writes tokenizer.json."""
    import tokenizers

    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    model.train_from_iterator(texts, trainer)
    model.save(str(path))


# ---- a run ---------------------------------------------------------------------------------------


class Run:
    """A model being trained: what a checkpoint keeps, and the steps."""

    def __init__(
        self, args: argparse.Namespace, config: Config, training: np.ndarray, validation: np.ndarray
    ) -> None:
        self.args, self.training, self.validation = args, training, validation
        rnn.manual_seed(args.seed)
        self.model = GPT2(config)
        parameters = list(self.model.parameters())
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": args.weight_decay},
            {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
        ]
        self.optimizer = optim.AdamW(groups, lr=args.lr, betas=(0.9, args.beta2))
        self.parameters = parameters
        self.step, self.seconds = 0, 0.0
        self.losses: list[list[float]] = []  # step, training loss
        self.validations: list[list[float]] = []  # step, validation loss

    def settings(self) -> dict[str, Any]:
        """What must be the same for a run to go on."""
        text = hashlib.sha256(self.training).hexdigest()
        return {"text": text} | {k: v for k, v in vars(self.args).items() if k not in FREE}

    def rate(self) -> float:
        """The learning rate of this step: up in a line, down along a cosine."""
        a = self.args
        if self.step < a.warmup:
            return float(a.lr * (self.step + 1) / a.warmup)
        done = (self.step - a.warmup) / max(1, a.steps - a.warmup)
        return float(a.min_lr + (a.lr - a.min_lr) * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))

    def batches(self) -> Iterator[tuple[rnn.Tensor, rnn.Tensor]]:
        """The micro-batches of this step. An epoch cuts the text anew, takes each stretch once."""
        a = self.args
        for micro in range(self.step * a.accumulate, (self.step + 1) * a.accumulate):
            epoch, place = divmod(micro, (len(self.training) // a.context - 1) // a.batch)
            random = np.random.default_rng((a.seed, epoch))
            first = random.integers(0, a.context)
            order = random.permutation((len(self.training) - 1 - first) // a.context)
            starts = first + a.context * order[place * a.batch : (place + 1) * a.batch]
            rows = self.training[starts[:, None] + np.arange(a.context + 1)]
            yield tensor_of(rows[:, :-1]), tensor_of(rows[:, 1:])

    def advance(self) -> float:
        """One step; its loss."""
        start = time.perf_counter()
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        self.optimizer.zero_grad()
        total = 0.0
        for tokens, targets in self.batches():
            loss = self.model.loss(tokens, targets) / self.args.accumulate
            loss.backward()
            total += loss.item()
        if not math.isfinite(total):
            raise InputError("--lr", f"step {self.step + 1}", f"the loss is {total}: lower it")
        nn.utils.clip_grad_norm_(self.parameters, self.args.clip)
        self.optimizer.step()
        self.step += 1
        self.losses.append([self.step, total])
        self.seconds += time.perf_counter() - start
        return total

    def evaluate(self) -> float:
        """The validation loss, of some batches."""
        a = self.args
        loss, _ = loss_of(self.model, self.validation, a.batch, a.eval_batches * a.batch)
        self.validations.append([self.step, loss])
        return loss

    def keep(self, path: Path) -> None:
        """Writes the checkpoint, whole or not at all."""
        arrays: dict[str, np.ndarray] = {"random": np.asarray(rnn.get_rng_state().numpy())}
        for i, p in enumerate(self.parameters):
            state = self.optimizer.state.get(p, {})
            arrays[f"{i}.value"] = p.detach().numpy()
            arrays |= {f"{i}.{name}": value.detach().numpy() for name, value in state.items()}
        about = {
            "settings": self.settings(),
            "step": self.step,
            "seconds": self.seconds,
            "losses": self.losses,
            "validations": self.validations,
        }
        arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
        draft = path.with_name("checkpoint.part.npz")
        np.savez(draft, **arrays)
        draft.replace(path)

    def restore(self, path: Path) -> None:
        """Goes on from a checkpoint.

        Raises:
            InputError: it is no checkpoint, or one of a run with other settings.
        """
        try:
            with np.load(path) as file:
                arrays = dict(file)
            about = json.loads(arrays["about"].tobytes())
            settings = about["settings"]
        except Exception as problem:  # NumPy's readers raise many kinds
            raise InputError(path, "file", f"is not a checkpoint: {problem}") from None
        for name, value in self.settings().items():
            had = settings.get(name)
            if had != value:
                raise InputError(path, name, f"was {had}, is {value} now; --fresh starts anew")
        try:
            self._take(arrays)
            self.step, self.seconds = about["step"], about["seconds"]
            self.losses, self.validations = about["losses"], about["validations"]
        except (KeyError, ValueError, RuntimeError) as problem:
            words = f"is not a checkpoint of this model: {problem}"
            raise InputError(path, "file", words) from None

    def _take(self, arrays: dict[str, np.ndarray]) -> None:
        """The parameters, the optimizer's averages and the random state of a checkpoint."""
        states = {}
        for i, p in enumerate(self.parameters):
            tables = {name: arrays[f"{i}.{name}"] for name in ("value", "exp_avg", "exp_avg_sq")}
            for name, table in tables.items():
                if table.shape != tuple(p.shape):
                    raise ValueError(f"{i}.{name} has shape {table.shape}, not {tuple(p.shape)}")
            p.detach().numpy()[...] = tables.pop("value")
            states[i] = {name: rnn.tensor(table) for name, table in tables.items()}
            states[i]["step"] = rnn.tensor(arrays[f"{i}.step"])
        order = {id(p): i for i, p in enumerate(self.parameters)}
        packed = self.optimizer.state_dict()
        flat = [p for group in self.optimizer.param_groups for p in group["params"]]
        packed["state"] = {n: states[order[id(p)]] for n, p in enumerate(flat)}
        self.optimizer.load_state_dict(packed)
        rnn.set_rng_state(rnn.tensor(arrays["random"]))


def sample(run: Run, tokenizer: Tokenizer, prompt: str, count: int = 100) -> str:
    """Some text of the model as it is; dropout's random state is left alone."""
    run.model.eval()
    ids = tokenizer.encode(prompt)
    how = Sampling(temperature=0.8, top_k=50, seed=run.step)
    tokens = [
        choice.token for choice in generate(Session(run.model), ids, how, count, tokenizer.ends)
    ]
    run.model.train()
    return prompt + tokenizer.decode(tokens)


def plot(run: Run, path: Path) -> None:
    """Draws both losses, where matplotlib is installed."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        print("no loss.png: it needs `pip install matplotlib`", file=sys.stderr)
        return
    figure, axes = plt.subplots(figsize=(7, 4))
    steps, losses = np.array(run.losses).T
    width = max(1, len(losses) // 100)
    smooth = np.convolve(losses, np.ones(width) / width, "valid")
    axes.plot(steps[width - 1 :], smooth, label=f"training (mean of {width} steps)")
    if run.validations:
        axes.plot(*np.array(run.validations).T, label="validation")
    axes.set(xlabel="step", ylabel="loss, nats a token")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def prepare(args: argparse.Namespace) -> tuple[Run, Tokenizer]:
    """Text, tokenizer and model, new or as a killed run left them."""
    args.out.mkdir(parents=True, exist_ok=True)
    pairs = [split(read_text(path), args.validation) for path in args.files]
    training, validation = ([part for part in parts if part] for parts in zip(*pairs))
    checkpoint, dictionary = args.out / "checkpoint.npz", args.out / "tokenizer.json"
    if args.fresh or not checkpoint.exists():
        checkpoint.unlink(missing_ok=True)
        make_tokenizer(training, args.vocab_size, dictionary)
    tokenizer = Tokenizer(args.out, Config(1 << 31))  # its own size is the limit
    config = Config(
        tokenizer.model.get_vocab_size(),
        args.context,
        args.width,
        args.layers,
        args.heads,
        dropout=args.dropout,
        eos_token_id=0,
    )
    if not tokenizer.encode(args.prompt, "--prompt"):
        raise InputError("--prompt", "text", "is empty")
    text = END_OF_TEXT.join(validation)
    (args.out / "validation.txt").write_text(text, encoding="utf-8")
    ids = [
        np.array(tokenizer.encode(END_OF_TEXT.join(part)), np.int32)
        for part in (training, validation)
    ]
    least = (args.context * (args.batch + 1) + 1, 2)
    for name, part, need in zip(("training text", "validation text"), ids, least):
        if len(part) < need:
            words = f"has {len(part)} tokens; --context, --batch and --validation ask for {need}"
            raise InputError(args.files[0], name, words)
    run = Run(args, config, *ids)
    if checkpoint.exists():
        run.restore(checkpoint)
    return run, tokenizer


def finish(run: Run) -> None:
    """Writes the model and what was done."""
    args = run.args
    save(run.model, args.out, args.dtype)
    final, _ = loss_of(load(args.out), run.validation, args.batch)  # of what was written
    last = [loss for _, loss in run.losses[-100:]]
    about = {
        "settings": run.settings(),
        "files": [path.name for path in args.files],
        "training_tokens": len(run.training),
        "validation_tokens": len(run.validation) - 1,
        "parameters": sum(p.numel() for p in run.parameters),
        "steps": run.step,
        "seconds": round(run.seconds, 1),
        "training_loss": sum(last) / len(last),
        "validation_loss": final,
        "validations": run.validations,
        "rnn": rnn.__version__,
    }
    (args.out / "training.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    plot(run, args.out / "loss.png")
    print(
        f"{run.step} steps, {run.seconds:.0f} s: training loss {about['training_loss']:.4f}, "
        f"validation loss {final:.4f}, perplexity {math.exp(min(final, 700)):.2f}; {args.out}"
    )


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return exit_code(lambda: train(*prepare(parse(arguments))))


def train(run: Run, tokenizer: Tokenizer) -> None:
    """The loop: steps, evaluations, samples, checkpoints, and at last the model."""
    from tqdm import tqdm

    args = run.args
    until = args.steps if args.steps_now is None else min(args.steps, run.step + args.steps_now)
    with tqdm(
        total=args.steps, initial=run.step, unit="step", disable=not sys.stderr.isatty()
    ) as bar:
        while run.step < until:
            loss = run.advance()
            bar.update(1)
            bar.set_postfix_str(f"loss {loss:.3f}")
            if run.step % args.eval_every == 0:
                tqdm.write(
                    f"step {run.step}: training {loss:.4f}, "
                    f"validation {run.evaluate():.4f}, "
                    f"{run.seconds:.0f} s"
                )
            if run.step % args.sample_every == 0:
                tqdm.write(sample(run, tokenizer, args.prompt) + "\n")
            if run.step % args.checkpoint_every == 0 or run.step == until:
                run.keep(args.out / "checkpoint.npz")
    finish(run)


if __name__ == "__main__":
    sys.exit(main())

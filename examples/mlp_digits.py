"""A multilayer perceptron reads handwritten digits: Linear, LayerNorm and ReLU, PyTorch's names.

It learns from scikit-learn's 1,797 digits of 8 x 8 pixels, or from MNIST in its own files (idx,
also as .gz) with --data. The learning rate is halved when the training loss stalls. It prints
loss and accuracy on the held-out digits, at least 96 % at the end; --plot draws both, and digits
that it got wrong.

    python examples/mlp_digits.py --plot digits.png       # 5 seconds
    python examples/mlp_digits.py --data mnist-folder --epochs 10
"""

from __future__ import annotations

import argparse
import gzip
import math
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import rnn
from rnn import nn
from rnn.optim.lr_scheduler import ReduceLROnPlateau
from rnn.utils.data import DataLoader, TensorDataset

Split = tuple[np.ndarray, np.ndarray]  # pictures (n, height, width) from 0 to 1; digits (n,)


def digits(seed: int) -> tuple[Split, Split]:
    """scikit-learn's digits, a fifth of them held out."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(seed).permutation(len(data.target))
    pictures, labels = data.images[order] / 16, data.target[order]
    cut = len(labels) // 5
    return (pictures[cut:], labels[cut:]), (pictures[:cut], labels[:cut])


def mnist(folder: Path) -> tuple[Split, Split]:
    """MNIST's 60,000 pictures to learn from, and its 10,000 held-out ones."""
    train, test = (
        (
            read_idx(folder, f"{part}-images-idx3-ubyte") / np.float32(255),
            read_idx(folder, f"{part}-labels-idx1-ubyte"),
        )
        for part in ("train", "t10k")
    )
    for pictures, labels in (train, test):
        if len(pictures) != len(labels):
            raise SystemExit(f"{folder} has {len(pictures)} pictures, but {len(labels)} labels")
    return train, test


def read_idx(folder: Path, name: str) -> np.ndarray:
    """An array of bytes from a file in MNIST's format: 0, 0, 8, the number of sizes, the sizes as
    big-endian 32-bit integers, then the elements.
    """
    for path in (folder / name, folder / f"{name}.gz"):
        if path.exists():
            break
    else:
        raise SystemExit(f"{folder} has neither {name} nor {name}.gz")
    content = path.read_bytes()
    if path.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error):
            raise SystemExit(f"{path} is no gzip file, or damaged") from None
    header = 4 + 4 * content[3] if len(content) > 3 else 4
    shape = [int.from_bytes(content[place : place + 4], "big") for place in range(4, header, 4)]
    if content[:3] != b"\0\0\x08" or len(content) != header + math.prod(shape):
        raise SystemExit(f"{path} is no idx file of bytes")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def network(sizes: list[int]) -> nn.Sequential:
    """Blocks of Linear, LayerNorm and ReLU, and a Linear at the end."""
    blocks: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise(sizes[:-1]):
        blocks += [nn.Linear(inputs, outputs), nn.LayerNorm(outputs), nn.ReLU()]
    return nn.Sequential(*blocks, nn.Linear(sizes[-2], sizes[-1]))


def as_dataset(split: Split) -> TensorDataset:
    pictures, labels = split
    return TensorDataset(
        rnn.from_numpy(pictures.astype(np.float32)), rnn.from_numpy(labels.astype(np.int64))
    )


@rnn.no_grad()
def evaluate(model: nn.Module, dataset: TensorDataset) -> tuple[float, Any]:
    """The loss over a dataset, and the digits that the model sees, (n,)."""
    model.eval()
    logits = rnn.cat([model(x) for x, _ in DataLoader(dataset, batch_size=1000)])
    return nn.functional.cross_entropy(logits, dataset.tensors[1]).item(), logits.argmax(1).numpy()


def train(
    model: nn.Module, learned: TensorDataset, held_out: TensorDataset, options: argparse.Namespace
) -> list[tuple[float, float, float]]:
    """Trains, and returns of each epoch: training loss, held-out loss, held-out accuracy."""
    optimiser = rnn.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=0.05)
    scheduler = ReduceLROnPlateau(optimiser, factor=0.5, patience=1, threshold=0.1)
    labels, history = held_out.tensors[1].numpy(), []
    for epoch in (bar := tqdm(range(1, options.epochs + 1), disable=None)):
        model.train()
        total = 0.0
        for x, y in DataLoader(learned, batch_size=options.batch, shuffle=True):
            loss = nn.functional.cross_entropy(model(x), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item() * len(y)
        loss_apart, seen = evaluate(model, held_out)
        accuracy = float((seen == labels).mean())
        history.append((total / len(learned), loss_apart, accuracy))
        rate = optimiser.param_groups[0]["lr"]
        scheduler.step(history[-1][0])
        bar.write(
            f"epoch {epoch:2d}  learning rate {rate:.5f}  loss {history[-1][0]:.4f}"
            f"  held out {loss_apart:.4f}  accuracy {accuracy:.2%}"
        )
    return history


def draw(history: list[Any], held_out: TensorDataset, seen: np.ndarray, file: str) -> None:
    """Loss and accuracy by epoch, and up to 15 digits that were read wrongly."""
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[3, 2])
    losses, accuracies = left.subplots(1, 2)
    learned, apart, accuracy = np.array(history).T
    epochs = np.arange(1, len(history) + 1)
    losses.semilogy(epochs, learned, label="training")
    losses.semilogy(epochs, apart, label="held out")
    losses.set(title="Loss", xlabel="epoch")
    losses.legend()
    accuracies.plot(epochs, 100 * accuracy, "C1")
    accuracies.set(title=f"Held-out accuracy: {accuracy[-1]:.1%}", xlabel="epoch", ylabel="%")
    pictures, labels = (tensor.numpy() for tensor in held_out.tensors)
    wrong = np.flatnonzero(seen != labels)
    shown = wrong[:16]
    columns = max(1, math.ceil(math.sqrt(len(shown))))
    right.suptitle(f"{len(shown)} of {len(wrong)} read wrongly")
    for place, which in enumerate(shown):
        axes = right.add_subplot(math.ceil(len(shown) / columns), columns, place + 1)
        axes.imshow(pictures[which], cmap="gray_r")
        axes.set_title(f"{labels[which]} as {seen[which]}", fontsize=9)
        axes.axis("off")
    figure.savefig(file, dpi=150)
    print(f"wrote {file}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description="A multilayer perceptron on handwritten digits.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", type=Path, help="a folder with MNIST's four idx files")
    parser.add_argument("--epochs", type=int, default=20, help="passes over the digits")
    parser.add_argument("--batch", type=int, default=64, help="digits a step")
    parser.add_argument("--hidden", type=int, nargs="*", default=[128, 64], help="block widths")
    parser.add_argument("--lr", type=float, default=3e-3, help="learning rate at first")
    parser.add_argument("--seed", type=int, default=0, help="of the split, weights and batches")
    parser.add_argument("--plot", metavar="FILE", help="draw what was learned (matplotlib)")
    options = parser.parse_args()

    rnn.manual_seed(options.seed)
    learned, held_out = map(
        as_dataset, mnist(options.data) if options.data else digits(options.seed)
    )
    pixels = learned.tensors[0][0].numel()
    model = network([pixels, *options.hidden, 10])
    count = sum(p.numel() for p in model.parameters())
    print(f"{len(learned):,} digits, {len(held_out):,} held out; {count:,} parameters")
    history = train(model, learned, held_out, options)
    seen = evaluate(model, held_out)[1]
    wrong = int((seen != held_out.tensors[1].numpy()).sum())
    print(
        f"{1 - wrong / len(held_out):.2%} of the held-out digits are read rightly, {wrong} wrongly"
    )
    if options.plot:
        draw(history, held_out, seen, options.plot)


if __name__ == "__main__":
    main()

"""micrograd's demonstration, on the Values of rnn: a network learns to tell two moons apart.

Every weight, every sum and every product is one Value, a node of the graph. The loss is that of a
support vector machine (max margin), with L2 regularisation; the optimiser is gradient descent, its
rate falling. It prints loss and accuracy, and draws the regions that the network tells apart.

    python examples/scalars.py --plot moons.png    # 10 seconds
"""

from __future__ import annotations

import argparse
import random
from itertools import pairwise
from typing import Any

import numpy as np
from tqdm import tqdm

from rnn import Value


class Neuron:
    """relu(w . x + b), or w . x + b alone."""

    def __init__(self, inputs: int, relu: bool, generator: random.Random) -> None:
        self.w = [Value(generator.uniform(-1, 1)) for _ in range(inputs)]
        self.b = Value(0.0)
        self.relu = relu

    def __call__(self, x: list[Any]) -> Value:
        total = self.b
        for wi, xi in zip(self.w, x, strict=True):
            total = total + wi * xi
        return total.relu() if self.relu else total


class Network:
    """Layers of neurons, every one fed with the whole layer before; the last is not cut by relu."""

    def __init__(self, sizes: list[int], generator: random.Random) -> None:
        self.layers = [
            [Neuron(inputs, layer < len(sizes) - 2, generator) for _ in range(outputs)]
            for layer, (inputs, outputs) in enumerate(pairwise(sizes))
        ]

    def __call__(self, x: list[Any]) -> Any:
        for layer in self.layers:
            x = [neuron(x) for neuron in layer]
        return x[0]

    def parameters(self) -> list[Value]:
        return [p for layer in self.layers for neuron in layer for p in [*neuron.w, neuron.b]]


def two_moons(count: int, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (count, 2) on two half circles, one in the other, and their labels, -1 or 1."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 2 * 2 - 1
    angles = generator.uniform(0, np.pi, count)
    upper = np.stack([np.cos(angles), np.sin(angles)], 1)
    points = np.where(labels[:, None] < 0, upper, [1, 0.5] - upper)
    return points + generator.normal(0, noise, points.shape), labels


def accuracy(scores: list[Value], labels: np.ndarray) -> float:
    """The share of scores that have their label's sign."""
    signs = [1 if score.data > 0 else -1 for score in scores]
    return float(np.mean(np.array(signs) == labels))


def loss_of(network: Network, scores: list[Value], labels: np.ndarray) -> Value:
    """How far scores miss a margin of 1 on the right side, and L2 regularisation."""
    pairs = zip(labels.tolist(), scores, strict=True)
    misses = [(1 - label * score).relu() for label, score in pairs]
    return sum(misses) / len(misses) + 1e-4 * sum(p * p for p in network.parameters())


def train(network: Network, points: np.ndarray, labels: np.ndarray, steps: int) -> list[float]:
    """Gradient descent on all points at once; prints some steps, returns the losses of all."""
    parameters, losses = network.parameters(), []
    for step in (bar := tqdm(range(steps), disable=None)):
        scores = [network(point) for point in points.tolist()]
        loss = loss_of(network, scores, labels)
        if step == 0:
            bar.write(
                f"{len(parameters)} parameters; the first loss has {loss.graph_size():,} nodes"
            )
        for p in parameters:
            p.grad = 0.0
        loss.backward()
        rate = 1.0 - 0.9 * step / steps
        for p in parameters:
            p.data -= rate * p.grad
        losses.append(loss.data)
        if step % 10 == 0 or step == steps - 1:
            right = accuracy(scores, labels)
            bar.write(f"step {step:3d}  loss {loss.data:.4f}  accuracy {right:6.1%}")
    return losses


def draw(
    network: Network, points: np.ndarray, labels: np.ndarray, losses: list[float], file: str
) -> None:
    """The regions with the points that were learned from, and the losses."""
    from matplotlib import pyplot

    low, high = points.min(0) - 0.5, points.max(0) + 0.5
    x, y = np.linspace(low[0], high[0], 80), np.linspace(low[1], high[1], 60)
    scores = np.array([[network([a, b]).data for a in x.tolist()] for b in y.tolist()])
    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(11, 4.5), width_ratios=[3, 2], layout="constrained"
    )
    shades = left.contourf(x, y, scores.clip(-4, 4), np.linspace(-4, 4, 17), cmap="RdBu", alpha=0.7)
    left.contour(x, y, scores, [-1, 0, 1], colors="k", linestyles=["--", "-", "--"], linewidths=1)
    left.scatter(*points.T, c=labels, cmap="RdBu", edgecolors="k", s=30)
    left.set(title="Two moons: where the score is 0 (line) and 1 or -1 (dashes)", aspect="equal")
    figure.colorbar(shades, ax=left, label="score")
    right.plot(losses)
    right.set(title="Learning", xlabel="step", ylabel="loss", ylim=(0, None))
    figure.savefig(file, dpi=150)
    print(f"wrote {file}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description="micrograd's two moons, on Values.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--points", type=int, default=100, help="points to learn from")
    parser.add_argument("--steps", type=int, default=100, help="steps of gradient descent")
    parser.add_argument("--hidden", type=int, nargs="*", default=[16, 16], help="neurons of layers")
    parser.add_argument("--noise", type=float, default=0.1, help="how far points stray")
    parser.add_argument("--seed", type=int, default=1337, help="of points and weights")
    parser.add_argument("--plot", metavar="FILE", help="draw regions and losses (matplotlib)")
    arguments = parser.parse_args()

    points, labels = two_moons(arguments.points, arguments.noise, arguments.seed)
    network = Network([2, *arguments.hidden, 1], random.Random(arguments.seed))
    losses = train(network, points, labels, arguments.steps)
    points_apart, labels_apart = two_moons(500, arguments.noise, arguments.seed + 1)
    right = accuracy([network(point) for point in points_apart.tolist()], labels_apart)
    print(f"of 500 points that it has not seen, {right:.1%} are on the right side")
    if arguments.plot:
        draw(network, points, labels, losses, arguments.plot)


if __name__ == "__main__":
    main()

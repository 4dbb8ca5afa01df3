"""rnn.show: from a graph to a page that can be read, by the size of the graph.

- ten: ten Values
- MLP: a step of micrograd's perceptron, drawn node by node
- product: an n x n matrix product at scalar resolution, 2 n^3 nodes (16 million for n = 200)
- chain: ten million operations on Values one after another, each a span of one node
- samples: the loss of micrograd's perceptron over so many samples that it has ten million Values

For each: rnn.inspect.graph alone, making the drawing (with a graph of its own), writing it as HTML,
its size, and (with `playwright` and chromium) opening the file in a headless browser until it is
drawn. Target: a graph of ten million nodes opens folded in less than 2 s, all in all.

    python benchmarks/bench_show.py
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import rnn


def ten() -> Any:
    a, b, c, f = (rnn.Value(x) for x in (2.0, -3.0, 10.0, -2.0))
    loss = ((a * b + c) * f).tanh() + a * f
    loss.backward()
    return loss


def layers(sizes: list[int]) -> list[Any]:
    """micrograd's perceptron: for each neuron a bias and its weights."""
    rnn.manual_seed(0)
    return [
        [[rnn.Value(x) for x in row] for row in rnn.randn(n, m + 1).tolist()]
        for m, n in pairwise(sizes)
    ]


def run(net: list[Any], x: list[Any]) -> list[Any]:
    for layer in net:
        made = []
        for bias, *weights in layer:
            total = bias
            for w, v in zip(weights, x):
                total = total + w * v
            made.append(total.tanh())
        x = made
    return x


def perceptron() -> Any:
    [loss] = run(layers([3, 4, 4, 1]), [rnn.Value(x) for x in (1.0, -2.0, 0.5)])
    loss.backward()
    return loss


def samples(nodes: int) -> Any:
    net, loss, seen = layers([3, 16, 16, 1]), rnn.Value(0.0), 0
    while seen < nodes:
        inputs = [0.1 * (seen % 7), -0.3, 0.2 * (seen % 5)]
        [y] = run(net, inputs)
        loss = loss + (y - 1.0) ** 2
        seen += 2 * (16 * 3 + 16 * 16 + 16) + 33 + 3
    loss.backward(retain_graph=True)
    return loss


def product(n: int) -> Any:
    rnn.manual_seed(0)
    a, b = rnn.randn(n, n, requires_grad=True), rnn.randn(n, n, requires_grad=True)
    with rnn.resolution("scalar"):
        loss = (a @ b).sum()
    loss.backward(retain_graph=True)
    return loss


def chain(operations: int) -> Any:
    x: Any = rnn.Value(1.0)
    for _ in range(operations // 2):
        x = x * 0.999999 + 0.000001
    x.backward(retain_graph=True)
    return x


def open_page(browser: Any, path: Path) -> float:
    """Seconds from asking for a file until its first box is drawn."""
    page = browser.new_page(viewport={"width": 1400, "height": 800})
    start = time.perf_counter()
    page.goto(path.as_uri())
    page.locator(".box").first.wait_for(state="attached")
    seconds = time.perf_counter() - start
    page.close()
    return seconds


def measure(name: str, root: Any, browser: Any, folder: Path) -> float:
    """Prints a line; returns the seconds from the loss to the page."""
    start = time.perf_counter()
    graph = rnn.inspect.graph(root, names={})
    listed, nodes = time.perf_counter() - start, graph.nodes
    del graph
    start = time.perf_counter()
    drawing = rnn.show(root, names={})
    shown = time.perf_counter() - start
    path = drawing.save(folder / f"{name}.html")
    written = time.perf_counter() - start - shown
    opened = open_page(browser, path) if browser else 0.0
    total = shown + written + opened
    print(
        f"{name:<10}{nodes:>12,}{listed:>10.3f}{shown:>10.3f}{written:>10.3f}{opened:>10.3f}"
        f"{total:>10.3f}{path.stat().st_size / 1e3:>10.0f}"
    )
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=200, help="n of the product")
    parser.add_argument("--nodes", type=int, default=10_000_000, help="of chain and samples")
    given = parser.parse_args()
    chromium, browser, driver = shutil.which("chromium"), None, None
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        chromium = None
    if chromium:
        driver = sync_playwright().start()
        browser = driver.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
    else:
        print("no chromium or no playwright: pages are written, not opened")
    heads = "".join(f"{h:>10}" for h in ("graph s", "show s", "write s", "open s", "all s", "kB"))
    print(f"{'':<10}{'nodes':>12}{heads}   (all: show, write and open)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measure("warm-up", ten(), browser, folder)
        measure("ten", ten(), browser, folder)
        measure("MLP", perceptron(), browser, folder)
        slowest = 0.0
        for case, make, size in (
            ("product", product, given.size),
            ("chain", chain, given.nodes),
            ("samples", samples, given.nodes),
        ):
            slowest = max(slowest, measure(case, make(size), browser, folder))
    print(f"the slowest of the large ones: {slowest:.2f} s, target 2 s")
    if browser and driver:
        browser.close()
        driver.stop()


if __name__ == "__main__":
    main()

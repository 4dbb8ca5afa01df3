"""rnn.show: from a graph to a page that can be read, by the size of the graph.

- ten: ten Values
- MLP: a step of micrograd's perceptron, drawn node by node
- product: an n x n matrix product at scalar resolution, 2 n^3 nodes (16 million for n = 200)
- chain: a million operations on Values, a span each

For each: making the drawing, writing it as HTML, its size, and (with `playwright` and chromium)
opening the file in a headless browser until it is drawn. Target: a graph of ten million nodes opens
folded in less than 2 s.

    python benchmarks/bench_show.py
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import rnn


def ten() -> Any:
    a, b, c, f = (rnn.Value(x) for x in (2.0, -3.0, 10.0, -2.0))
    loss = ((a * b + c) * f).tanh() + a * f
    loss.backward()
    return loss


def perceptron(width: int = 4) -> Any:
    rnn.manual_seed(0)
    values = [rnn.Value(float(x)) for x in rnn.randn(3)]
    for _ in range(2):
        weights = rnn.randn(width, len(values)).tolist()
        rows = [[rnn.Value(w) for w in row] for row in weights]
        values = [sum((w * v for w, v in zip(row, values)), rnn.Value(0.0)).tanh() for row in rows]
    loss: Any = sum(values, rnn.Value(0.0))
    loss.backward()
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
    x.backward()
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
    """Prints a line; returns the seconds from the graph to the page."""
    start = time.perf_counter()
    drawing = rnn.show(root, names={})
    shown = time.perf_counter() - start
    path = drawing.save(folder / f"{name}.html")
    written = time.perf_counter() - start - shown
    opened = open_page(browser, path) if browser else float("nan")
    nodes = rnn.inspect.graph(root, names={}).nodes
    print(
        f"{name:<10}{nodes:>12,}{shown:>10.3f}{written:>10.3f}{opened:>10.3f}"
        f"{path.stat().st_size / 1e3:>10.0f}"
    )
    return shown + written + (opened if browser else 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=200, help="n of the product")
    parser.add_argument("--operations", type=int, default=1_000_000, help="of the chain")
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
    print(f"{'graph':<10}{'nodes':>12}{'show s':>10}{'write s':>10}{'open s':>10}{'kB':>10}")
    with tempfile.TemporaryDirectory() as folder:
        measure("warm-up", ten(), browser, Path(folder))
        measure("ten", ten(), browser, Path(folder))
        measure("MLP", perceptron(), browser, Path(folder))
        seconds = measure("product", product(given.size), browser, Path(folder))
        measure("chain", chain(given.operations), browser, Path(folder))
    print(f"a product of {2 * given.size**3:,} nodes: {seconds:.2f} s, target 2 s")
    if browser and driver:
        browser.close()
        driver.stop()


if __name__ == "__main__":
    main()

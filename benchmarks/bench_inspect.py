"""rnn.inspect on whole models: explaining one scalar, beside the backward pass that it explains;
the best paths through the shipped GPT-2; a graph of ten million nodes.

`peak` is the engine's memory at its highest, in units of the highest of forward and backward.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import common

common.find_rnn()

import rnn  # noqa: E402


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what it returned."""
    start = time.perf_counter()
    out = function()
    return time.perf_counter() - start, out


def explain(name: str, model: Any, vocabulary: int, tokens: int, target: float) -> None:
    """One element of each kind of parameter, and of an activation that the whole head uses."""
    from gpt2 import files

    ids = np.random.default_rng(0).integers(0, vocabulary, (1, tokens + 1))
    rnn.reset_peak_memory()

    def train() -> Any:
        loss = model.loss(files.tensor_of(ids[:, :-1]), files.tensor_of(ids[:, 1:]))
        loss.backward(retain_graph=True)
        return loss

    base, loss = timed(train)
    highest = rnn.memory_stats()["peak"]
    parameters = dict(model.named_parameters())
    before = {key: p.grad.numpy().copy() for key, p in parameters.items()}
    last = rnn.inspect.graph(loss).spans[-2].operands[0].span  # what the head reads
    wanted: list[tuple[str, Any, tuple[int, ...] | None]] = [
        ("wte.weight", parameters["wte.weight"], (int(ids[0, 1]), 5)),
        ("h.0.attn.c_attn.weight", parameters["h.0.attn.c_attn.weight"], (3, 7)),
        ("h.1.mlp.c_fc.bias", parameters["h.1.mlp.c_fc.bias"], (3,)),
        ("ln_f", last.node(0, 1, 2), None),
    ]
    print(
        f"{name}, {tokens} tokens, {loss.graph_size():,} nodes; forward and backward {base:.2f} s"
    )
    for what, x, index in wanted:
        rnn.reset_peak_memory()
        seconds, ledger = timed(partial(rnn.inspect.explain, x, loss, index=index))
        peak = rnn.memory_stats()["peak"] / highest
        met = "met" if seconds < target and peak < 1.5 else "missed"
        print(
            f"  explain {what:24} {seconds:6.3f} s   {len(ledger):6,} uses   peak {peak:.2f}   "
            f"target {target:.0f} s, 1.5: {met}"
        )
    for key, p in parameters.items():
        assert np.array_equal(before[key], p.grad.numpy()), f"{key}.grad changed"


def paths(model: Any, vocabulary: int) -> None:
    """From one embedding scalar to one logit."""
    from gpt2 import files

    ids = np.random.default_rng(0).integers(0, vocabulary, (1, 20))
    logits = model(files.tensor_of(ids))
    x = model.wte.weight[int(ids[0, 3]), 5]
    seconds, found = timed(lambda: rnn.inspect.paths(x, logits[0, -1, 7]))
    print(f"  5 of {found.count:.1e} paths, 20 tokens   {seconds:6.3f} s")


def many(count: int) -> None:
    """The same number of nodes, as spans of one node and as few spans."""
    v: Any = rnn.Value(1.0)
    total: Any = v
    for _ in range(count // 2):
        total = total * 1.0 + v
    n = 2 ** round(np.log2(count) / 3)
    with rnn.resolution("scalar"):
        a = rnn.randn(n, n, requires_grad=True)
        product = (a @ a).sum()
    for kind, root in (("Values", total), (f"{n} x {n} product, scalar by scalar", product)):
        seconds, g = timed(partial(rnn.inspect.graph, root))
        print(f"graph of {g.nodes:,} nodes in {len(g):,} spans ({kind}): {seconds:.3f} s")
        seconds, found = timed(partial(count_large, g))
        print(f"  where(value > 1e9): {found} nodes, {seconds:.3f} s")


def count_large(g: rnn.inspect.Graph) -> int:
    """Every value is looked at."""
    return sum(1 for _ in g.where(value=lambda x: x > 1e9))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--nodes", type=int, default=10_000_000)
    parser.add_argument("--large", action="store_true", help="the 124M-parameter model too")
    args = parser.parse_args()
    sys.path.append(str(common.ROOT / "examples"))
    from gpt2 import files
    from gpt2.model import GPT2, Config

    small = files.load(common.ROOT / "examples" / "gpt2" / "shakespeare")
    explain("shipped GPT-2", small, small.config.vocab_size, args.tokens, 1.0)
    paths(small, small.config.vocab_size)
    if args.large:
        explain("GPT-2, 124M parameters", GPT2(Config()), 50257, args.tokens, 5.0)
    many(args.nodes)


if __name__ == "__main__":
    main()

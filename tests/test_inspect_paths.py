"""rnn.inspect.paths: the largest paths, exactly, and the sum over all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inspect_programs import gradients, programs, run

import rnn
from rnn.inspect import Node, paths


def every_path(source: Node, n: Node) -> list[tuple[list[int], float]]:
    """All paths by brute force: (ids from source to n, product), steps of derivative 0 left out."""
    if n == source:
        return [([n.id], 1.0)]
    locals_: dict[Node, float] = {}
    for edge in n.operands:
        if edge.flows:
            locals_[edge.node] = locals_.get(edge.node, 0.0) + edge.local
    return [
        ([*ids, n.id], product * local)
        for operand, local in locals_.items()
        if local and operand.id >= source.id
        for ids, product in every_path(source, operand)
    ]


def test_three_ways_from_x_to_y() -> None:
    x = rnn.Value(3.0)
    y = x * 2 + x.exp() + x * x
    found = paths(x, y)
    assert [[n.op for n in path.nodes] for path in found] == [
        ["leaf", "exp", "add", "add"],
        ["leaf", "mul", "add"],
        ["leaf", "mul_scalar", "add", "add"],
    ]
    assert [round(path.product, 6) for path in found] == [20.085537, 6.0, 2.0]
    assert found.count == 3.0 and found.total == pytest.approx(28.085537)
    assert sum(path.share for path in found) == pytest.approx(1.0)
    assert found[1].locals == (6.0, 1.0)
    assert str(found[1]).splitlines()[0] == "x -> y: product 6.0, 21.4 %"
    assert repr(found).startswith("d y / d x = 28.0855, the sum over 3 paths")


def test_ends() -> None:
    x = rnn.Value(3.0)
    y = x * 2
    [path] = paths(x, x)
    assert (path.nodes, path.product, path.share) == ((rnn.inspect.node(x),), 1.0, 1.0)
    backwards = paths(y, x)
    assert (len(backwards), backwards.total, backwards.count) == (0, 0.0, 0.0)
    for k in (0, 256):
        with pytest.raises(ValueError, match="between 1 and 255"):
            paths(x, y, k)
    with pytest.raises(TypeError, match="an integer has no gradient"):
        paths(rnn.arange(3)[1], y)
    y.backward(retain_graph=False)
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        paths(x, y)


def test_what_is_cut_off_carries_nothing() -> None:
    x = rnn.tensor([-1.0, 2.0], requires_grad=True)
    y = x.relu().sum() + (x.detach() * x).sum()
    found = paths(x[0], y)
    assert [path.product for path in found] == [-1.0] and found.total == -1.0
    assert [len(paths(x[i], x.relu()[i])) for i in (0, 1)] == [0, 1]


@settings(max_examples=30, deadline=None)
@given(programs, st.integers(0, 9), st.integers(0, 5), st.integers(0, 8), st.booleans())
def test_the_sum_over_all_paths_is_torchs_gradient(
    names: list[str], seed: int, i: int, j: int, scalar: bool
) -> None:
    with rnn.resolution("scalar" if scalar else "tensor"):
        x, w, loss = run(rnn, names, seed)
    for t, at, expected in zip((x, w), (i, j), gradients(names, seed)):
        index = np.unravel_index(at, t._shape)
        found = paths(t[index], loss, k=3)
        np.testing.assert_allclose(found.total, expected[index], 1e-9, 1e-12)
        sizes = [abs(path.product) for path in found]
        assert sizes == sorted(sizes, reverse=True)
        for path in found:
            assert path.nodes[-1].value == float(loss)
            np.testing.assert_allclose(np.prod(path.locals), path.product, 1e-12)


@settings(max_examples=25, deadline=None)
@given(programs.filter(lambda names: len(names) <= 3), st.integers(0, 9), st.integers(0, 5))
def test_the_best_are_those_of_brute_force(names: list[str], seed: int, i: int) -> None:
    x, _, loss = run(rnn, names, seed)
    element = x[np.unravel_index(i, (2, 3))]
    everything = every_path(rnn.inspect.node(element), rnn.inspect.node(loss))
    found = paths(element, loss, k=7)
    assert found.count == len(everything)
    expected = sorted((abs(product) for _, product in everything), reverse=True)[:7]
    np.testing.assert_allclose([abs(path.product) for path in found], expected, 1e-12)
    known = {tuple(ids): product for ids, product in everything}
    for path in found:
        np.testing.assert_allclose(known[tuple(n.id for n in path.nodes)], path.product, 1e-12)
    assert len({tuple(n.id for n in path.nodes) for path in found}) == len(found)


def test_a_long_chain_and_the_memory_limit() -> None:
    x = rnn.Value(1.0)
    y = x
    for _ in range(50_000):
        y = y + 1e-9
    [path] = paths(x, y)
    assert len(path) == 50_001 and path.product == 1.0
    was = rnn.get_memory_limit()
    big = rnn.zeros(1 << 20, requires_grad=True)
    end = big.exp().sum()
    try:
        rnn.set_memory_limit(rnn.memory_stats()["live"] + (1 << 22))
        with pytest.raises(MemoryError, match="paths"):
            paths(big[0], end, k=255)
    finally:
        rnn.set_memory_limit(was)


def test_from_an_embedding_to_a_logit_of_the_shipped_gpt2() -> None:
    from gpt2 import files

    model = files.load(Path(__file__).parent.parent / "examples" / "gpt2" / "shakespeare")
    ids = np.random.default_rng(0).integers(0, 2048, (1, 5))
    logits = model(files.tensor_of(ids))
    token = int(ids[0, 3])
    found = paths(model.wte.weight[token, 5], logits[0, -1, 7], k=3)
    [grad] = rnn.autograd.grad(logits[0, -1, 7], model.wte.weight, retain_graph=True)
    np.testing.assert_allclose(found.total, float(grad[token, 5]), 1e-4)
    assert len(found) == 3 and found.count > 1e30
    for path in found:
        assert path.nodes[0].name == f"wte.weight[{token}, 5]" and path.nodes[-1].op == "linear"
        np.testing.assert_allclose(np.prod(path.locals), path.product, 1e-9)

"""The table of operations: each row's backward kernel against its edges and differences.

A row that is added to csrc/ops.h is tested here without another line, at points where it is smooth.
"""

from __future__ import annotations

import numpy as np
import pytest
from helpers import check_edges, check_numeric

import rnn
from rnn._c import E, ffi, lib, op
from rnn.ops import compose, elementwise

ROWS = [ffi.string(lib.rnn_op_name(n)).decode() for n in range(lib.rnn_op_count())]
ELEMENTWISE = [name for name in ROWS if lib.rnn_op_elementwise(op(name))]

# where a row is smooth, where not everywhere between -2 and 2 and away from 0, 1 and -1
POSITIVE = (0.2, 2.0)
RANGES = {
    "pow_scalar": POSITIVE,
    "log": POSITIVE,
    "log2": POSITIVE,
    "log10": POSITIVE,
    "log1p": (-0.8, 2.0),
    "sqrt": POSITIVE,
    "rsqrt": POSITIVE,
    "asin": (-0.9, 0.9),
    "acos": (-0.9, 0.9),
    "acosh": (1.2, 3.0),
    "atanh": (-0.9, 0.9),
    "erfinv": (-0.9, 0.9),
    "lgamma": POSITIVE,
    "digamma": POSITIVE,
    "polygamma": POSITIVE,
    "tan": (-1.2, 1.2),
    "pow": POSITIVE,
    "xlogy": POSITIVE,
    "binary_cross_entropy": (0.1, 0.8),
}
# the numbers that a row takes
PARAMETERS = {
    "pow_scalar": (1.7, 1.0),
    "elu": (1.3, 1.1),
    "softplus": (1.5, 2.0),
    "clamp": (-0.55, 0.65),
    "hardtanh": (-0.55, 0.65),
    "polygamma": (2, 0),
}
DEFAULT = (0.3, 0.0)


def points(name: str, count: int) -> list[np.ndarray]:
    """Inputs for a row, none of them at a step or a corner (whole numbers, ties, bounds)."""
    low, high = RANGES.get(name, (-2.0, 2.0))
    rng = np.random.default_rng(5)
    out = []
    for _ in range(count):
        x = rng.uniform(low, high, (3, 4))
        near = np.abs(x - np.round(x)) < 0.05
        out.append(np.where(near, x + 0.1 if high <= 2 else x - 0.1, x))
    return out


def call(name: str):
    number = op(name)
    if lib.rnn_op_arity(number) == 2:
        return lambda a, b: elementwise.binary(number, a, b, 0.7)
    return lambda a: elementwise.unary(number, a, *PARAMETERS.get(name, DEFAULT))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_kernel_is_edges_is_differences(name: str) -> None:
    inputs = points(name, lib.rnn_op_arity(op(name)))
    check_edges(call(name), *inputs)
    check_numeric(call(name), *inputs)


@pytest.mark.parametrize("name", [n for n in ELEMENTWISE if lib.rnn_op_arity(op(n)) == 2])
@pytest.mark.parametrize(
    "shapes", [((3, 4), (4,)), ((1, 4), (3, 1)), ((), (3, 4)), ((2, 1, 4), (3, 1))]
)
def test_broadcast_operands_gain_sums(name: str, shapes: tuple) -> None:
    low, high = RANGES.get(name, (-2.0, 2.0))
    rng = np.random.default_rng(5)
    inputs = [rng.uniform(low, high, s) for s in shapes]
    check_edges(call(name), *inputs)


@pytest.mark.parametrize("name", [n for n in ELEMENTWISE if lib.rnn_op_composite(op(n))])
def test_compositions_are_recorded_without_composites(name: str) -> None:
    """At scalar resolution: the same values and gradients, and no composite row in the graph."""
    arity = lib.rnn_op_arity(op(name))
    assert op(name) in (compose.unary if arity == 1 else compose.binary), (
        f"{name} has no composition"
    )
    inputs = points(name, arity)
    fused = [rnn.tensor(x, requires_grad=True) for x in inputs]
    parts = [rnn.tensor(x, requires_grad=True) for x in inputs]
    expected = call(name)(*fused)
    with rnn.resolution("scalar"):
        got = call(name)(*parts)
    np.testing.assert_allclose(got.detach().numpy(), expected.detach().numpy(), 1e-12, 1e-14)
    composites = [n for n in rows_behind(got) if lib.rnn_op_composite(op(n))]
    assert not composites, f"{name} is recorded with {composites}"
    expected.backward(rnn.ones(3, 4, dtype=rnn.float64))
    got.backward(rnn.ones(3, 4, dtype=rnn.float64))
    for a, b in zip(fused, parts):
        np.testing.assert_allclose(b.grad.numpy(), a.grad.numpy(), 1e-10, 1e-12)
    with rnn.resolution("scalar"):
        check_edges(call(name), *inputs)


def rows_behind(t: rnn.Tensor) -> set[str]:
    """The names of all operations that a tensor was made by."""
    info = ffi.new("rnn_span_info *")
    seen: set[int] = set()
    names: set[str] = set()
    waiting = [lib.rnn_span_of(t._h)]
    while waiting:
        span = waiting.pop()
        if span in seen:
            continue
        seen.add(span)
        lib.rnn_describe(E, span, info)
        names.add(ffi.string(lib.rnn_op_name(info.op)).decode())
        for k in range(info.operands):
            h = lib.rnn_operand_tensor(E, span, k)
            waiting.append(lib.rnn_span_of(h))
            lib.rnn_release(E, h)
    return names


def test_every_row_has_a_name_of_its_own() -> None:
    assert len(set(ROWS)) == len(ROWS)
    for n, name in enumerate(ROWS):
        assert lib.rnn_op_find(name.encode()) == n
        assert lib.rnn_op_torch_name(n)

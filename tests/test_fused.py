"""The fused rows of the table: one span each; backward by kernels == by edges == by differences,
whatever the operands' layout, whichever of them want gradients, and where gradients are there
already. Failed allocations leave nothing behind.

A composite row that is added to csrc/ops.h and is not elementwise must come into CASES, or into
ELSEWHERE.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from helpers import check_edges, check_numeric, compare, edges_backward, to_numpy, to_rnn

from rnn._c import E, adopt, check, ffi, lib, op
from rnn.nn import functional as F

# test_linalg.py, test_reduce.py, test_sorting.py
ELSEWHERE = set(
    "matmul softmax log_softmax sum sum_dim mean mean_dim prod prod_dim var std vector_norm "
    "logsumexp max min amax amin median nanmedian cumprod logcumsumexp".split()
)
MEAN, VARIANCE = to_rnn(np.array([0.3, -0.2])), to_rnn(np.array([0.5, 2.0]))
CLASSES = np.array([1, 0, 3, 3, 2])


def recurrent(name: str, reverse: bool = False, sizes=None):
    def call(x, w, b, *states):
        numbers = ffi.NULL if sizes is None else ffi.new("int64_t[]", sizes)
        h0, c0 = [t._h for t in (*states, None, None)[:2] if t is not None] + [0] * (
            2 - len(states)
        )
        steps = 0 if sizes is None else len(sizes)
        h = lib.rnn_recurrent(E, op(name), x._h, w._h, b._h, h0, c0, reverse, steps, numbers)
        return adopt(check(h))

    return call


def pool(function, *args, **options):
    return lambda x: function(x, *args, **options)


# row: function, shapes of its operands
CASES = {
    "linear": (F.linear, [(2, 3, 4), (5, 4), (5,)]),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (3, 2), w, b), [(4, 3, 2), (3, 2), (3, 2)]),
    "rms_norm": (lambda x, w: F.rms_norm(x, (5,), w, 0.1), [(3, 5), (5,)]),
    "batch_norm": (
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        [(3, 2, 4), (2,), (2,)],
    ),
    "batch_norm, long": (
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        [(2, 2, 17), (2,), (2,)],
    ),
    "batch_norm, running": (
        lambda x, w, b: F.batch_norm(x, MEAN, VARIANCE, w, b),
        [(3, 2), (2,), (2,)],
    ),
    "cross_entropy": (lambda x: F.cross_entropy(x, to_rnn(CLASSES)), [(5, 4)]),
    "cross_entropy, none": (
        lambda x: F.cross_entropy(x, to_rnn(CLASSES), ignore_index=3, reduction="none"),
        [(5, 4)],
    ),
    "cross_entropy, sum": (
        lambda x: F.cross_entropy(x, to_rnn(CLASSES), ignore_index=3, reduction="sum"),
        [(5, 4)],
    ),
    "attention": (F.scaled_dot_product_attention, [(2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 3)]),
    "attention, causal": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        [(1, 2, 4, 3)] * 3,
    ),
    "conv2d": (
        lambda x, w, b: F.conv2d(x, w, b, stride=(2, 1), padding=(1, 0), groups=2),
        [(2, 4, 4, 3), (4, 2, 3, 2), (4,)],
    ),
    "conv2d, pointwise": (F.conv2d, [(2, 3, 2, 2), (4, 3, 1, 1), (4,)]),
    "max_pool2d": (pool(F.max_pool2d, 2, 1), [(2, 2, 4, 3)]),
    "avg_pool2d": (pool(F.avg_pool2d, 3, 2, 1, count_include_pad=False), [(2, 2, 4, 5)]),
    "rnn_tanh": (recurrent("rnn_tanh"), [(3, 2, 4), (4, 4), (4,), (2, 4)]),
    "rnn_relu": (recurrent("rnn_relu", True), [(3, 2, 4), (4, 4), (4,), (2, 4)]),
    "lstm": (recurrent("lstm"), [(3, 2, 8), (8, 2), (8,), (2, 2), (2, 2)]),
    "lstm, reversed": (recurrent("lstm", True), [(3, 2, 8), (8, 2), (8,)]),
    "lstm, packed": (
        recurrent("lstm", sizes=[3, 3, 1]),
        [(7, 8), (8, 2), (8,), (3, 2), (3, 2)],
    ),
    "gru": (recurrent("gru"), [(3, 2, 9), (9, 3), (9,), (2, 3)]),
    "gru, packed": (recurrent("gru", sizes=[3, 2, 2, 1]), [(8, 9), (9, 3), (9,), (3, 3)]),
}


def values(shapes, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=s) for s in shapes]


def test_every_fused_row_is_here() -> None:
    names = [ffi.string(lib.rnn_op_name(n)).decode() for n in range(lib.rnn_op_count())]
    fused = {n for n in names if lib.rnn_op_composite(op(n)) and not lib.rnn_op_elementwise(op(n))}
    covered = {name.partition(",")[0] for name in CASES}
    assert covered <= fused
    missing = fused - covered - ELSEWHERE
    assert not missing, f"add {missing} to CASES"


@pytest.mark.parametrize("name", CASES)
def test_kernel_is_edges_is_differences(name: str) -> None:
    call, shapes = CASES[name]
    check_edges(call, *values(shapes))
    check_numeric(call, *values(shapes), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_one_span(name: str) -> None:
    call, shapes = CASES[name]
    leaves = [to_rnn(v, requires_grad=True) for v in values(shapes)]
    out = call(*leaves)
    info = ffi.new("rnn_span_info *")
    check(lib.rnn_describe(E, lib.rnn_span_of(out._h), info))
    assert ffi.string(lib.rnn_op_name(info.op)).decode() == name.partition(",")[0]
    assert info.operands == len(leaves)
    assert out.graph_size() == info.nodes + sum(t.numel() for t in leaves)


def layouts_of(array: np.ndarray):
    """Leaves of which a view has these values, and that view: transposed, strided, a part."""
    flipped = to_rnn(np.ascontiguousarray(array.T), requires_grad=True)
    yield flipped, flipped.permute(tuple(reversed(range(array.ndim))))
    padded = np.random.default_rng(9).normal(size=[2 * n + 1 for n in array.shape])
    padded[tuple([slice(1, None, 2)] * array.ndim)] = array
    wide = to_rnn(padded, requires_grad=True)
    yield wide, wide[tuple([slice(1, None, 2)] * array.ndim)]
    line = to_rnn(np.concatenate([np.ones(3), array.ravel()]), requires_grad=True)
    yield line, line[3:].reshape(array.shape)


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("name", CASES)
def test_views_of_other_memory(name: str, which: int) -> None:
    """Every operand a view: values as of plain operands, gradients as by edges."""
    call, shapes = CASES[name]
    arrays = values(shapes)
    expected = call(*[to_rnn(a) for a in arrays])
    pairs = [list(layouts_of(a))[which] for a in arrays]
    out = call(*[view for _, view in pairs])
    np.testing.assert_allclose(to_numpy(out), to_numpy(expected), 1e-12, 1e-14)
    seed = np.random.default_rng(5).normal(size=tuple(out.shape))
    leaves = [leaf for leaf, _ in pairs]
    by_edges = edges_backward([out], [seed], leaves)
    out.backward(to_rnn(seed))
    for leaf, grad in zip(leaves, by_edges):
        np.testing.assert_allclose(to_numpy(leaf.grad), grad, 1e-9, 1e-11)


@pytest.mark.parametrize("name", CASES)
def test_only_some_operands_want_gradients(name: str) -> None:
    call, shapes = CASES[name]
    arrays = values(shapes)
    whole = [to_rnn(a, requires_grad=True) for a in arrays]
    (call(*whole) ** 2).sum().backward()
    for wanted in itertools.product([False, True], repeat=len(shapes)):
        leaves = [to_rnn(a, requires_grad=w) for a, w in zip(arrays, wanted)]
        out = call(*leaves)
        assert out.requires_grad == any(wanted)
        if not any(wanted):
            continue
        (out**2).sum().backward()
        for leaf, full in zip(leaves, whole):
            if leaf.requires_grad:
                np.testing.assert_array_equal(to_numpy(leaf.grad), to_numpy(full.grad))
            else:
                assert leaf.grad is None


@pytest.mark.parametrize("name", CASES)
def test_gradients_add_up(name: str) -> None:
    """Operands used twice, and a second pass over the same graph: gradients are there already."""
    call, shapes = CASES[name]
    leaves = [to_rnn(a, requires_grad=True) for a in values(shapes)]
    out = call(*leaves)
    seed = to_rnn(np.random.default_rng(5).normal(size=tuple(out.shape)))
    out.backward(seed, retain_graph=True)
    once = [to_numpy(t.grad) for t in leaves]
    out.backward(seed)
    for leaf, grad in zip(leaves, once):
        np.testing.assert_allclose(to_numpy(leaf.grad), 2 * grad, 1e-12)
    for leaf in leaves:
        leaf.grad = None
    made = [t * 1.0 for t in leaves]  # interior nodes, used by two spans
    (call(*made) + call(*made)).backward(seed)
    for leaf, grad in zip(leaves, once):
        np.testing.assert_allclose(to_numpy(leaf.grad), 2 * grad, 1e-12)


def test_operands_of_one_tensor() -> None:
    """query, key and value cut from one projection; a state that is the weight too."""
    x = to_rnn(np.random.default_rng(0).normal(size=(2, 3, 12)), requires_grad=True)

    def heads(t):
        q, k, v = t.reshape(2, 3, 3, 2, 2).permute(2, 0, 3, 1, 4).unbind(0)
        return F.scaled_dot_product_attention(q, k, v)

    out = heads(x)
    seed = np.ones(tuple(out.shape))
    expected = edges_backward([out], [seed], [x])[0]
    out.backward(to_rnn(seed))
    np.testing.assert_allclose(to_numpy(x.grad), expected, 1e-9)
    w = to_rnn(np.random.default_rng(0).normal(size=(3, 3)), requires_grad=True)
    b = to_rnn(np.zeros(3))
    check_edges(lambda x, w: recurrent("rnn_tanh")(x, w, b, w), np.ones((2, 3, 3)), to_numpy(w))


@pytest.mark.parametrize("name", CASES)
def test_failed_allocations(name: str) -> None:
    """The 1st, 2nd, ... allocation fails: MemoryError, nothing is left, the next call succeeds."""
    call, shapes = CASES[name]
    leaves = [to_rnn(a, requires_grad=True) for a in values(shapes)]
    call(*leaves)
    counts = ffi.new("uint64_t[6]")

    def spans() -> int:
        lib.rnn_memory(E, counts)
        return int(counts[4])

    before = spans()
    for n in range(1, 60):
        lib.rnn_fail_after(E, n)
        try:
            out = call(*leaves)
        except MemoryError:
            lib.rnn_fail_after(E, 0)
            assert spans() == before
            continue
        lib.rnn_fail_after(E, 0)
        break
    else:
        pytest.fail("it needs more than 60 allocations")
    seed = to_rnn(np.ones(tuple(out.shape)))
    for n in range(1, 80):
        lib.rnn_fail_after(E, n)
        try:
            out.backward(seed, retain_graph=True)
        except MemoryError:
            lib.rnn_fail_after(E, 0)
            continue
        lib.rnn_fail_after(E, 0)
        break
    else:
        pytest.fail("backward needs more than 80 allocations")
    for leaf in leaves:
        leaf.grad = None
    out.backward(seed)
    again = [to_rnn(a, requires_grad=True) for a in values(shapes)]
    call(*again).backward(seed)
    for a, b in zip(leaves, again):
        np.testing.assert_array_equal(to_numpy(a.grad), to_numpy(b.grad))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize(("shape", "dim"), [((5, 130), 0), ((3, 21, 9, 8), 1), ((2, 1, 70), 1)])
def test_softmax_of_rows_that_lie_side_by_side(name: str, shape: Any, dim: int) -> None:
    near: dict[str, Any] = {"edges": False, "atol": {"float32": 1e-5}}
    compare(lambda x: getattr(x, name)(dim), shape, **near)
    compare(lambda x: getattr(x, name)(dim) * 2 + x, shape, resolutions=["tensor"], **near)
    compare(lambda x: getattr(x.transpose(0, -1), name)(dim), shape, **near)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_of_columns_with_infinities_and_nans(name: str) -> None:
    values = np.random.default_rng(0).standard_normal((4, 70))
    values[0, :4] = [np.inf, -np.inf, np.nan, 1000]
    values[1:, 1] = -np.inf
    compare(lambda x: getattr(x, name)(0), values, grad=False, resolutions=["tensor"])

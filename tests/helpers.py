"""What the tests compare with: PyTorch, the engine's own `edges`, and finite differences.

    compare(lambda x, y: x * y, (3, 4), (4,))  values and gradients, under torch and under rnn
    compare(lambda m, x: m.exp(x), (3, 4))     a first parameter `m` gets the module
    compare_errors(lambda x: x.view(7), (3,))  the same exception, in the same words
    check_edges(fn, array, ...)                backward by kernels == backward by edges
    check_numeric(fn, array, ...)              backward by kernels == central differences

An input is a shape (random values, seeded), or a NumPy array or number (as it is, but floats take
the dtype under test).
"""

from __future__ import annotations

import heapq
import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch

import rnn
from rnn import autograd
from rnn._c import E, adopt, check, dims, ffi, lib
from rnn.ops import _core

LAYOUTS = ("contiguous", "transposed", "strided", "expanded")
RESOLUTIONS = ("tensor", "scalar")
DTYPES = ("float32", "float64")
# relative and absolute: sums are taken in another order than PyTorch takes them
TOLERANCE = {"float32": (2e-5, 2e-6), "float64": (1e-9, 1e-11)}

# ---- inputs --------------------------------------------------------------------------------------


def _is_shape(x: Any) -> bool:
    return isinstance(x, tuple) and all(isinstance(n, int) for n in x)


def _values(given: Any, low: float, high: float, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    if _is_shape(given):
        return np.asarray(rng.uniform(low, high, given))
    return np.asarray(given)


def _base(values: Any, layout: str, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """The leaf of which a view in `layout` has these values (expanded: its first row's)."""
    if layout == "transposed":
        return np.array(values.T, order="C")
    if layout == "strided":
        base = rng.uniform(-1, 1, [2 * n + 1 for n in values.shape]).astype(values.dtype)
        base[tuple([slice(1, None, 2)] * values.ndim)] = values
        return base
    if layout == "expanded" and values.ndim:
        return np.array(values[:1], order="C")
    return np.array(values, order="C")


def _torch_view(base: Any, layout: str, shape: tuple[int, ...]) -> Any:
    if layout == "transposed":
        return base.permute(tuple(reversed(range(base.ndim))))
    if layout == "strided":
        return base[tuple([slice(1, None, 2)] * base.ndim)]
    return base.expand(shape) if layout == "expanded" else base


def _rnn_view(base: Any, layout: str, shape: tuple[int, ...]) -> Any:
    """The same by the engine's own views: this needs none of rnn's Python functions."""
    ndim = len(shape)
    if not base._h:
        return _core.wrap(np.asarray(_torch_view(torch.from_numpy(base._array), layout, shape)))
    if layout == "transposed":
        return adopt(check(lib.rnn_permute(E, base._h, ndim, dims(tuple(reversed(range(ndim)))))))
    if layout == "strided":
        for d, n in enumerate(shape):
            base = adopt(check(lib.rnn_slice(E, base._h, d, 1, 2 * n + 1, 2)))
        return base
    if layout == "expanded":
        return adopt(check(lib.rnn_expand(E, base._h, ndim, dims(shape))))
    return base


def to_rnn(array: Any, requires_grad: bool = False) -> Any:
    """An rnn tensor with a copy of a NumPy array."""
    array = np.asarray(array)
    t = _core.wrap(array if array.dtype in _core.NUMPY_NODE_DTYPES else array.copy())
    return t.requires_grad_(True) if requires_grad else t


def to_numpy(t: Any) -> Any:
    """The values of an rnn or torch tensor, copied."""
    if isinstance(t, torch.Tensor):
        return t.detach().numpy().copy()
    return np.array(_core.array_of(t))


# ---- running a function under both ---------------------------------------------------------------


def _call(fn: Callable[..., Any], module: Any, inputs: Sequence[Any]) -> list[Any]:
    """fn's outputs as a list; a first parameter that is called m gets the module."""
    parameters = list(inspect.signature(fn).parameters)
    out = fn(module, *inputs) if parameters and parameters[0] == "m" else fn(*inputs)
    return list(out) if isinstance(out, (tuple, list)) else [out]


def _is_tensor(x: Any) -> bool:
    return isinstance(x, (torch.Tensor, rnn.Tensor))


def _dtype_name(t: Any) -> str:
    return str(t.dtype).rpartition(".")[2]


def _gradients(
    module: Any,
    fn: Callable[..., Any],
    bases: list[Any],
    layout: str,
    shapes: list[Any],
    grad: bool,
    inner: bool = False,
) -> tuple[list[Any], list[Any]]:
    """Outputs, and gradients of the leaves, with a cotangent from a fixed seed.

    inner: fn gets results that nobody holds instead of leaves; backward may use up their memory.
    """
    ours = module is rnn
    make = to_rnn if ours else (lambda a: torch.from_numpy(a.copy()))
    view = _rnn_view if ours else _torch_view
    leaves = [make(b) for b in bases]
    for t, b in zip(leaves, bases):
        if b.dtype.kind == "f" and grad:
            t.requires_grad_(True)
    given = [t * 1 if inner and t.requires_grad else t for t in leaves]
    given = [view(t, layout, s) for t, s in zip(given, shapes)]
    out = _call(fn, module, given)
    del given
    roots = [t for t in out if _is_tensor(t) and t.requires_grad]
    if roots:
        rng = np.random.default_rng(7)
        seeds = [rng.uniform(0.5, 1.5, tuple(t.shape)).astype(_dtype_name(t)) for t in roots]
        backward = autograd.backward if ours else torch.autograd.backward
        backward(roots, [make(s) for s in seeds])
    return out, [t.grad for t in leaves]


def _same(
    ours: Any, theirs: Any, tolerance: tuple[float, float], what: str, exact_dtype: bool
) -> None:
    if not _is_tensor(theirs):
        assert type(ours) is type(theirs), f"{what}: {type(ours)} for {type(theirs)}"
        np.testing.assert_allclose(ours, theirs, *tolerance, err_msg=what)
        return
    assert _is_tensor(ours), f"{what}: {type(ours)} for a tensor"
    assert tuple(ours.shape) == tuple(theirs.shape), (
        f"{what}: shape {ours.shape}, not {theirs.shape}"
    )
    if exact_dtype:
        names = _dtype_name(ours), _dtype_name(theirs)
        assert names[0] == names[1], f"{what}: dtype {names[0]}, not {names[1]}"
    a, b = to_numpy(ours), to_numpy(theirs)
    if b.dtype.kind == "f":
        np.testing.assert_allclose(a, b, *tolerance, err_msg=what)
        signs = (a == 0) & (b == 0) & (tolerance[1] == 0)
        np.testing.assert_array_equal(np.signbit(a[signs]), np.signbit(b[signs]), err_msg=what)
    else:
        np.testing.assert_array_equal(a, b, err_msg=what)


def _once(
    fn: Callable[..., Any],
    values: list[Any],
    layout: str,
    resolutions: Iterable[str],
    tolerance: tuple[float, float],
    grad: bool,
    where: str,
) -> None:
    shapes = [v.shape for v in values]
    fill = np.random.default_rng(3)
    bases = [_base(v, layout, fill) for v in values]
    expected, expected_grads = _gradients(torch, fn, bases, layout, shapes, grad)
    for resolution in resolutions:
        name = f"{where}, {resolution} resolution"
        with rnn.resolution(resolution):
            got, grads = _gradients(rnn, fn, bases, layout, shapes, grad)
        assert len(got) == len(expected), f"{name}: {len(got)} outputs, not {len(expected)}"
        for i, (a, b) in enumerate(zip(got, expected)):
            _same(a, b, tolerance, f"{name}: output {i}", True)
            if _is_tensor(b):
                assert a.requires_grad == b.requires_grad, f"{name}: requires_grad of output {i}"
        for i, (a, b) in enumerate(zip(grads, expected_grads)):
            assert (a is None) == (b is None), f"{name}: gradient {i} is {a}, not {b}"
            if b is not None:
                _same(a, b, tolerance, f"{name}: gradient {i}", True)
        if grad and resolution == "tensor" and bases and bases[0].dtype == np.float64:
            del got
            _, inner = _gradients(rnn, fn, bases, layout, shapes, grad, inner=True)
            for i, (a, b) in enumerate(zip(inner, expected_grads)):
                if b is not None:
                    _same(a, b, tolerance, f"{name}: gradient {i}, by an inner node", True)


def _limit(given: float | dict[str, float] | None, dtype: str, which: int) -> float:
    given = given.get(dtype) if isinstance(given, dict) else given
    return TOLERANCE[dtype][which] if given is None else given


def compare(
    fn: Callable[..., Any],
    *inputs: Any,
    low: float = -2.0,
    high: float = 2.0,
    grad: bool = True,
    rtol: float | dict[str, float] | None = None,
    atol: float | dict[str, float] | None = None,
    dtypes: Sequence[str] = DTYPES,
    resolutions: Sequence[str] = RESOLUTIONS,
    layouts: Sequence[str] = LAYOUTS,
    elementwise: bool = False,
    edges: bool = True,
    seed: int = 0,
) -> None:
    """Runs fn under torch and under rnn, and compares all that can be seen, or AssertionError.

    That is: values, dtypes, shapes, requires_grad, and the gradients of all float inputs.

    Args:
        fn: of tensors, or of a module (called `m`) and tensors; may return several.
        inputs: shapes, NumPy arrays or numbers, one for each tensor.
        low, high: the range of random values.
        grad: whether float inputs require gradients.
        rtol, atol: instead of TOLERANCE; a dict gives them for some dtypes.
        dtypes, resolutions, layouts: what to run.
        elementwise: runs once more with every shape 0-d, (0,) and (2, 0, 3).
        edges: in float64, checks the kernels' backward against backward by edges too.
        seed: of the random values.
    """
    runs = [list(inputs)]
    if elementwise:
        runs += [[s if _is_shape(x) else x for x in inputs] for s in ((), (0,), (2, 0, 3))]
    for dtype in dtypes:
        tolerance = _limit(rtol, dtype, 0), _limit(atol, dtype, 1)
        for run in runs:
            rng = np.random.default_rng(seed)
            values = [_values(x, low, high, rng) for x in run]
            values = [v.astype(dtype) if v.dtype.kind == "f" else v for v in values]
            for layout in layouts if run is runs[0] else layouts[:1]:
                where = f"{dtype}, {layout}, {[v.shape for v in values]}"
                _once(fn, values, layout, resolutions, tolerance, grad, where)
            if edges and grad and dtype == "float64":
                for resolution in resolutions:
                    with rnn.resolution(resolution):
                        check_edges(fn, *values)


def compare_programs(
    run: Callable[[Any], dict[str, Any]], rtol: float = 2e-5, atol: float = 2e-6
) -> None:
    """run(m) gives the same names, texts and nearly the same numbers under torch and under rnn, at
    both resolutions, from one seed, or AssertionError.
    """
    torch.manual_seed(0)
    theirs = run(torch)
    for resolution in RESOLUTIONS:
        rnn.manual_seed(0)
        with rnn.resolution(resolution):
            ours = run(rnn)
        assert list(ours) == list(theirs)
        for name, wanted in theirs.items():
            if isinstance(wanted, str):
                assert ours[name] == re.sub(r"\btorch\b", "rnn", wanted)
            else:
                a, b = (np.asarray(x.detach()) for x in (ours[name], wanted))
                np.testing.assert_allclose(a, b, rtol, atol, err_msg=f"{name}, {resolution}")


def compare_errors(
    fn: Callable[..., Any], *inputs: Any, text: bool = True, grad: bool = False
) -> None:
    """fn fails under torch and under rnn, with the same type of exception and in the same words."""
    rng = np.random.default_rng(0)
    values = [_values(x, -2, 2, rng) for x in inputs]
    values = [v.astype("float32") if v.dtype.kind == "f" else v for v in values]
    raised: list[Exception] = []
    for module in (torch, rnn):
        make = to_rnn if module is rnn else (lambda a: torch.from_numpy(a.copy()))
        tensors = [make(v) for v in values]
        for t, v in zip(tensors, values):
            if grad and v.dtype.kind == "f":
                t.requires_grad_(True)
        try:
            _call(fn, module, tensors)
        except Exception as error:
            raised.append(error)
        else:
            raise AssertionError(f"{module.__name__} raised nothing")
    theirs, ours = raised
    assert type(ours) is type(theirs), f"{ours!r}, not {theirs!r}"
    if text:
        # PyTorch's own names for itself do not count
        wanted = str(theirs).partition("\n")[0].replace("torch.", "rnn.")
        assert str(ours).partition("\n")[0] == wanted, f"{ours!r}, not {theirs!r}"


# ---- the engine's own second opinion -------------------------------------------------------------


def _strides_of(t: Any) -> tuple[int, np.ndarray[Any, Any]]:
    """A tensor's span, and the node of that span that each element is."""
    ndim = len(t._shape)
    shape, stride = ffi.new("int64_t[]", ndim or 1), ffi.new("int64_t[]", ndim or 1)
    offset = lib.rnn_dims(t._h, shape, stride)
    nodes = np.full(t._shape, offset, np.int64)
    for d in range(ndim):
        along = np.arange(shape[d]) * stride[d]
        nodes = nodes + along.reshape([-1 if i == d else 1 for i in range(ndim)])
    return lib.rnn_span_of(t._h), nodes


def edges_of(span: int, node: int) -> list[tuple[int, int, float, bool]]:
    """The edges of one node: (operand's span, its node, local derivative, do gradients flow)."""
    count = check(lib.rnn_edges(E, span, node, 0, ffi.NULL, ffi.NULL, ffi.NULL, ffi.NULL))
    spans, nodes = ffi.new("uint32_t[]", count + 1), ffi.new("int64_t[]", count + 1)
    locals_, flows = ffi.new("double[]", count + 1), ffi.new("uint8_t[]", count + 1)
    check(lib.rnn_edges(E, span, node, count, spans, nodes, locals_, flows))
    return [(spans[i], nodes[i], locals_[i], bool(flows[i])) for i in range(count)]


#: {user's span: {(operand's span, its node): {user's node: local derivative, added up}}}
Transposed = dict[int, dict[tuple[int, int], dict[int, float]]]


def edges_backward(
    roots: Sequence[Any],
    seeds: Sequence[Any],
    leaves: Sequence[Any],
    transposed: Transposed | None = None,
) -> list[Any]:
    """Gradients of leaves by the chain rule, node by node in decreasing id, over nothing but edges.

    Args:
        roots: tensors to start from; seeds: their gradients, as arrays. The graph must be whole.

    Returns:
        A float64 array for each leaf.
    """
    info = ffi.new("rnn_span_info *")
    grads: dict[int, Any] = {}
    queue: list[tuple[int, int]] = []

    def reach(span: int) -> Any:
        if span not in grads:
            check(lib.rnn_describe(E, span, info))
            grads[span] = np.zeros(info.nodes)
            heapq.heappush(queue, (-info.first, span))
        return grads[span]

    for t, seed in zip(roots, seeds):
        span, nodes = _strides_of(t)
        np.add.at(reach(span), nodes, seed)
    while queue:
        span = heapq.heappop(queue)[1]
        dz = grads[span]
        for node in range(len(dz) - 1, -1, -1):
            for operand, at, local, flows in edges_of(span, node):
                if transposed is not None:
                    by = transposed.setdefault(span, {}).setdefault((operand, at), {})
                    by[node] = by.get(node, 0.0) + local
                # 0 * inf: where no gradient comes in, none goes out
                if flows and dz[node] != 0:
                    reach(operand)[at] += dz[node] * local
                elif flows:
                    reach(operand)
    return [grads[s][n] if s in grads else None for s, n in map(_strides_of, leaves)]


def uses_of(user: int, span: int, node: int) -> dict[int, float]:
    """The transpose, as the engine has it: {node of the user: local derivative, added up}."""
    none = ffi.NULL, ffi.NULL, ffi.NULL
    count = check(lib.rnn_uses(E, user, span, node, 0, *none))
    nodes, locals_ = ffi.new("int64_t[]", count + 1), ffi.new("double[]", count + 1)
    assert check(lib.rnn_uses(E, user, span, node, count, nodes, locals_, ffi.NULL)) == count
    total: dict[int, float] = {}
    for i in range(count):
        total[nodes[i]] = total.get(nodes[i], 0.0) + locals_[i]
    return total


def check_uses(transposed: Transposed) -> None:
    """Spans' uses are their edges read from the other end (at most fifty or so nodes a span)."""
    info = ffi.new("rnn_span_info *")
    for user, by in transposed.items():
        check(lib.rnn_describe(E, user, info))
        op = ffi.string(lib.rnn_op_name(info.op)).decode()
        for (span, node), expected in list(by.items())[:: len(by) // 50 + 1]:
            got = uses_of(user, span, node)
            assert got.keys() == expected.keys(), f"{op}: node {node}"
            for i, local in expected.items():
                assert same_number(got[i], local), f"{op}: {got[i]}, not {local}"


def same_number(a: float, b: float) -> bool:
    """To twelve digits; nan is nan."""
    return a == b or (a != a and b != b) or abs(a - b) <= 1e-12 * abs(b)


def check_edges(
    fn: Callable[..., Any], *inputs: Any, rtol: float = 1e-9, atol: float = 1e-11
) -> None:
    """Gradients of fn at float64 arrays: kernels == edges, or AssertionError."""
    arrays = [np.asarray(x) for x in inputs]
    tensors = [to_rnn(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    out = [t for t in _call(fn, rnn, tensors) if _is_tensor(t) and t.requires_grad]
    if not out:
        return
    rng = np.random.default_rng(7)
    seeds = [rng.uniform(0.5, 1.5, tuple(t.shape)) for t in out]
    leaves = [t for t in tensors if t.requires_grad]
    transposed: Transposed = {}
    by_edges = edges_backward(out, seeds, leaves, transposed)
    starts = [to_rnn(s.astype(_dtype_name(t))) for s, t in zip(seeds, out)]
    autograd.backward(out, starts, retain_graph=True)
    for i, (t, expected) in enumerate(zip(leaves, by_edges)):
        got = np.zeros(t._shape) if t.grad is None else to_numpy(t.grad)
        expected = np.zeros(t._shape) if expected is None else expected
        np.testing.assert_allclose(
            got, expected, rtol, atol, err_msg=f"input {i}: kernels against edges"
        )
    check_uses(transposed)


def numeric_grad(fn: Callable[..., Any], *inputs: Any, step: float = 1e-6) -> list[Any]:
    """Gradients by central differences in float64, with the cotangent that check_edges takes."""
    arrays = [np.array(x, np.float64) for x in inputs]

    def total() -> float:
        rng = np.random.default_rng(7)
        out = _call(fn, rnn, [to_rnn(a) for a in arrays])
        seeds = [rng.uniform(0.5, 1.5, tuple(t.shape)) for t in out]
        return float(sum((to_numpy(t) * s).sum() for t, s in zip(out, seeds)))

    grads = [np.zeros(a.shape) for a in arrays]
    for a, g in zip(arrays, grads):
        for at in np.ndindex(a.shape):
            was = a[at]
            a[at] = was + step
            above = total()
            a[at] = was - step
            g[at] = (above - total()) / (2 * step)
            a[at] = was
    return grads


def check_numeric(
    fn: Callable[..., Any], *inputs: Any, rtol: float = 1e-5, atol: float = 1e-7
) -> None:
    """Gradients of fn at float64 arrays: kernels == differences, or AssertionError."""
    tensors = [to_rnn(np.asarray(x, np.float64), requires_grad=True) for x in inputs]
    out = _call(fn, rnn, tensors)
    rng = np.random.default_rng(7)
    seeds = [rng.uniform(0.5, 1.5, tuple(t.shape)) for t in out]
    flows = [i for i, t in enumerate(out) if t.requires_grad]
    if flows:
        autograd.backward([out[i] for i in flows], [to_rnn(seeds[i]) for i in flows])
    for i, (t, expected) in enumerate(zip(tensors, numeric_grad(fn, *inputs))):
        got = np.zeros(t._shape) if t.grad is None else to_numpy(t.grad)
        np.testing.assert_allclose(
            got, expected, rtol, atol, err_msg=f"input {i}: against differences"
        )

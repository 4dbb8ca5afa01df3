"""The repr of tensors: the same text as torch's, over dtypes, shapes, values and print options."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rnn import _dtypes, _repr
from rnn._dtypes import DTYPES, as_dtype
from rnn._repr import format_scalar, tensor_repr


@pytest.fixture(autouse=True)
def torch_prefix(monkeypatch):
    """With torch's prefix: the length of `dtype=torch.float64` decides where lines break."""
    monkeypatch.setattr(_dtypes, "prefix", "torch.")
    yield
    set_both(profile="default")


def set_both(**options):
    torch.set_printoptions(**options)
    _repr.set_printoptions(**options)


def to_numpy(t):
    t = t.detach()
    return (t.float() if t.dtype is torch.bfloat16 else t).numpy()


def check(t):
    """tensor_repr == torch's repr of `t`, whatever kind of tensor it is."""
    grad_fn = None if t.grad_fn is None else type(t.grad_fn).__name__
    name = "tensor" if type(t) in (torch.Tensor, torch.nn.Parameter) else type(t).__name__
    ours = tensor_repr(
        to_numpy(t),
        as_dtype(str(t.dtype)),
        t.requires_grad,
        grad_fn,
        class_name=name,
        parameter=isinstance(t, torch.nn.Parameter),
    )
    assert ours == repr(t)


# ---- examples of each rule -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        *(1.0, 1.5, 3, True, -0.0, 0.0, math.nan, math.inf, -math.inf, 1e9, 1e-5, 1e8, 123456.789),
        [],
        [[]],
        [1.0, 2.0],
        [1.0, math.nan],
        [1.5, math.nan, -math.inf],
        [0.0, math.inf],
        [1.0, -2.0, 0.0, 300.0],
        [1.0, 1000.0],
        [1.0, 1001.0],
        [1.5, 1001.5],
        [1e-4, 1e-5],
        [1e8, 1e8 + 1],
        [1e8 + 64.0, 1e8],
        [0.5, 0.0, -0.0],
        [1e38, 1e-38],
        [1e-45, 1.0],
        [5e-324, 1.7e308],
        [True, False],
        [1, -10, 100],
        [2**62, -(2**63)],
        list(range(1000)),
        list(range(1001)),
        [[1.0, 2.0], [3.0, 4.0]],
        [[[1, 2], [3, 4]], [[5, 6], [7, 8]]],
        [[[[1]]], [[[2]]]],
    ],
    ids=lambda data: str(data)[:30],
)
def test_examples(data):
    for dtype in (None, torch.float32, torch.float64, torch.float16, torch.bfloat16):
        check(torch.tensor(data, dtype=dtype))


@pytest.mark.parametrize("d", DTYPES, ids=lambda d: d.name)
def test_every_dtype(d):
    for shape in (
        (),
        (0,),
        (3,),
        (2, 0),
        (2, 3),
        (30,),
        (2000,),
        (50, 60),
        (2, 3, 4),
        (12, 11, 10),
    ):
        check(torch.arange(math.prod(shape)).to(getattr(torch, d.name)).reshape(shape))


def test_default_dtype_is_not_printed():
    try:
        torch.set_default_dtype(torch.float64)
        _dtypes.set_default_dtype(_dtypes.float64)
        for dtype in (torch.float32, torch.float64, torch.int64, torch.bool):
            check(torch.ones(3, dtype=dtype))
            check(torch.ones(0, dtype=dtype))
    finally:
        torch.set_default_dtype(torch.float32)
        _dtypes.set_default_dtype(_dtypes.float32)


def test_prefix_is_rnn(monkeypatch):
    monkeypatch.setattr(_dtypes, "prefix", "rnn.")
    text = tensor_repr(np.zeros(2, np.int32), _dtypes.int32)
    assert text == "tensor([0, 0], dtype=rnn.int32)"


@pytest.mark.parametrize("n", range(1, 14))
def test_suffixes_break_lines(n):
    x = torch.full((n,), 1.5, dtype=torch.float64, requires_grad=True)
    check(x)
    check(x * 2)
    check((x * 2).repeat(3, 1))
    check(x.sum())
    check(torch.nn.Parameter(x))
    check(torch.nn.Parameter(torch.arange(n), requires_grad=False))


def test_subclasses_print_their_name():
    class Longer(torch.Tensor):
        pass

    check(torch.rand(3, 30).as_subclass(Longer))


def test_views():
    x = torch.arange(6000.0).reshape(30, 200)
    for view in (x.T, x[::2, 1::3], x[:, None], x[0].expand(40, 200), x[3, 4]):
        check(view)


# ---- any tensor, any options ---------------------------------------------------------------------

NICE = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, 0.5, -0.25, 100.0, 1234.5, 1e-3, 1e4, 99999.5])
ROUND = st.integers(-2000, 2000).map(float)
ODD = st.floats() | st.sampled_from([math.nan, math.inf, -math.inf, 1e-4, 1e8, 9.99995, 0.99999])
SHAPES = st.lists(st.integers(0, 9), max_size=4) | st.lists(st.integers(1, 3), max_size=6)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "precision": st.integers(0, 9),
        "threshold": st.integers(0, 30) | st.just(math.inf),
        "edgeitems": st.integers(0, 4),
        "linewidth": st.integers(1, 130),
        "profile": st.sampled_from(["default", "short", "full"]),
        "sci_mode": st.sampled_from([None, True, False]),
    },
)


@settings(deadline=None, max_examples=400)
@given(
    shape=SHAPES,
    pool=st.lists(NICE, min_size=1)
    | st.lists(ROUND, min_size=1)
    | st.lists(NICE | ODD, min_size=1),
    dtype=st.sampled_from(DTYPES),
    options=OPTIONS,
    grad=st.sampled_from(["no", "leaf", "result", "parameter"]),
    transpose=st.booleans(),
)
@example([3, 4], [1.5], _dtypes.float32, {"edgeitems": 0, "threshold": 5}, "no", False)
@example([], [1.5], _dtypes.float32, {"edgeitems": 0, "threshold": 0}, "no", False)
@example([9], [1.5], _dtypes.float32, {"edgeitems": 0, "threshold": 9}, "no", False)
def test_any_tensor(shape, pool, dtype, options, grad, transpose):
    n = math.prod(shape)
    values = np.resize(np.array(pool), n)
    if not dtype.is_floating_point:
        values = np.nan_to_num(values).clip(-100, 1e6)
    t = torch.from_numpy(values).to(getattr(torch, dtype.name)).reshape(shape)
    if transpose and t.ndim >= 2:
        t = t.transpose(0, 1)
    if grad == "parameter":
        t = torch.nn.Parameter(t, requires_grad=dtype.is_floating_point)
    elif grad != "no" and dtype.is_floating_point:
        t.requires_grad_(True)
        t = t.exp() if grad == "result" else t
    try:
        set_both(**options)
        assert _repr.get_printoptions() == torch._tensor_str.get_printoptions()
        check(t)
    finally:
        set_both(profile="default")


def test_printoptions_come_back():
    before = _repr.get_printoptions()
    with _repr.printoptions(precision=2, sci_mode=True):
        assert (
            tensor_repr(np.array(1.0), _dtypes.float64) == "tensor(1.00e+00, dtype=torch.float64)"
        )
    assert _repr.get_printoptions() == before
    with pytest.raises(ValueError, match="default, short, full"):
        _repr.set_printoptions(profile="long")


# ---- format and speed ----------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["", ".4f", ".0f", "10.2e", "g", "d", "5", ">8", "05d", "s", "x"])
def test_format(spec):
    for t in (torch.tensor(0.1), torch.tensor(0.1).double(), torch.tensor(3), torch.tensor(True)):
        dtype = as_dtype(str(t.dtype))
        for value in (t.item(), t.numpy(), t.numpy()[()]):
            try:
                expected = format(t, spec)
            except ValueError as error:
                with pytest.raises(ValueError, match=str(error)):
                    format_scalar(value, dtype, spec)
            else:
                assert format_scalar(value, dtype, spec) == expected


def test_large_tensors_are_not_read_whole():
    huge = np.broadcast_to(np.float32(1.5), (2**20, 2**20))  # 4 TB, were it copied
    start = time.perf_counter()
    assert tensor_repr(huge, _dtypes.float32).count("...") == 7
    assert time.perf_counter() - start < 0.5

"""Size, device, layout, memory_format: the same results, reprs and errors as torch's."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch

from rnn import _dtypes, _size
from rnn._size import CPU, Size, check_device, device


def same(expression, **names):
    """An expression gives the same repr or error whether `m` has rnn's names or torch's."""
    results = []
    for module in (_size, torch):
        try:
            result = repr(eval(expression, {"m": module, "np": np, **names}))
        except Exception as error:
            result = f"{type(error).__name__}: {error}"
        results.append(result.replace("torch.", "rnn."))
    assert results[0] == results[1]


@pytest.mark.parametrize(
    "expression",
    """
    m.Size([2, 3]) | str(m.Size([2, 3])) | m.Size() | m.Size([]) | m.Size([7]) | m.Size([-1])
    m.Size([True]) | m.Size([np.int64(3)]) | m.Size(range(3)) | m.Size(m.Size([1, 2])) | m.Size(3)
    m.Size([1.5]) | m.Size([1, 'a']) | m.Size([2, 3])[1:] | m.Size([2, 3])[1] | m.Size([2, 3])[-1]
    m.Size([2, 3])[5] | m.Size([2, 3])[::-1] | m.Size([2, 3]) + (1,) | m.Size([2]) + m.Size([3])
    m.Size([2, 3]) + [1] | (1,) + m.Size([2, 3]) | m.Size([2]) + ('a',) | ('a',) + m.Size([2])
    m.Size([2, 3]) * 2 | 2 * m.Size([2, 3]) | m.Size([2, 3]).numel() | m.Size([]).numel()
    m.Size([2, 0]).numel() | m.Size([2, 3]) == (2, 3) | m.Size([2, 3]) == [2, 3]
    hash(m.Size([2, 3])) == hash((2, 3)) | m.Size([2, 3]).index(3) | (3,) in {m.Size([3])}
    list(m.Size([2, 3])) | len(m.Size([2, 3])) | tuple(m.Size([2, 3])) | [*m.Size([2]), 1]
    m.device('cpu') | m.device('cpu', 0) | m.device('cpu:0') | m.device('cpu:1') | m.device('cuda')
    m.device('cuda', 1) | m.device('cuda:12') | m.device('cuda:1', 1) | m.device('mps')
    m.device('foo') | m.device('foo:1') | m.device('') | m.device('cpu:') | m.device('cpu:01')
    m.device('cpu:-1') | m.device('cpu', -1) | m.device('cuda:a') | m.device('cpu:0:0')
    m.device(m.device('cpu')) | m.device(type='cuda', index=2)
    m.device(type='cuda') | m.device(0) | str(m.device('cpu', 0)) | str(m.device('cpu'))
    m.device('cpu') == m.device('cpu:0') | m.device('cpu') == 'cpu' | m.device('cpu').index
    m.device('cpu:3').index | m.device('cpu') == m.device('cpu')
    m.device('cuda') != m.device('cpu')
    len({m.device('cpu'), m.device('cpu'), m.device('cpu:0')}) | m.device('cpu').type
    m.strided | m.contiguous_format | m.preserve_format | m.device(None, 1)
    """.replace("\n", "|").split("|"),
)
def test_same_as_torch(expression):
    if expression.strip() == "m.device(0)" and torch.version.cuda is not None:
        with pytest.raises(RuntimeError, match="when none is available"):  # as its build for CPUs
            _size.device(0)
    elif expression.strip():
        same(expression.strip())


def test_size_takes_what_counts_as_an_int():
    assert Size(torch.tensor([2, 3])) == (2, 3)
    assert type(Size([np.int64(3)])[0]) is int


def test_results_are_sizes():
    s = Size([2, 3])
    for result in (s[:1], s + (1,), (1,) + s, s * 2, 2 * s, copy.deepcopy(s)):
        assert type(result) is Size
    assert type(pickle.loads(pickle.dumps(s))) is Size


def test_one_variable_changes_every_prefix(monkeypatch):
    monkeypatch.setattr(_dtypes, "prefix", "torch.")
    for ours, theirs in (
        (Size([2, 3]), torch.Size([2, 3])),
        (_size.strided, torch.strided),
        (_size.preserve_format, torch.preserve_format),
    ):
        assert repr(ours) == repr(theirs)


def test_devices_pickle_and_do_not_change():
    for d in (device("cpu"), device("cuda:1")):
        assert pickle.loads(pickle.dumps(d)) == d == copy.deepcopy(d)
        with pytest.raises(AttributeError):
            d.type = "cuda"
    assert copy.deepcopy(_size.strided) is _size.strided
    for wrong in (None, 3.5):
        with pytest.raises(TypeError):
            device(wrong)
    with pytest.raises(TypeError):
        device(CPU, 0)


def test_check_device():
    for cpu in (None, "cpu", "cpu:0", device("cpu"), device("cpu", 1), CPU):
        assert check_device(cpu) is CPU
    for other in ("cuda", "cuda:0", device("mps"), "meta", 0):
        with pytest.raises(RuntimeError, match="rnn runs on the CPU only"):
            check_device(other)
    with pytest.raises(RuntimeError, match="Expected one of cpu"):
        check_device("gpu")


def test_device_is_a_context_manager():
    with device("cpu") as d:
        assert d == CPU
    with pytest.raises(RuntimeError, match="CPU only"), device("cuda"):
        pass

"""Lazy modules against torch's: the same weights of the same seed, the same text, state dicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers import to_numpy

import rnn

CASES: dict[str, Any] = {
    "linear": (lambda nn: nn.LazyLinear(4), (3, 5)),
    "linear, no bias": (lambda nn: nn.LazyLinear(4, bias=False), (2, 3, 5)),
    "conv1d": (lambda nn: nn.LazyConv1d(4, 3, padding=1), (2, 6, 7)),
    "conv2d": (lambda nn: nn.LazyConv2d(4, (3, 2), stride=2, groups=2), (2, 6, 7, 8)),
    "conv2d, no bias": (lambda nn: nn.LazyConv2d(4, 3, bias=False), (6, 7, 8)),
    "transposed 1d": (lambda nn: nn.LazyConvTranspose1d(4, 3), (2, 6, 7)),
    "transposed 2d": (lambda nn: nn.LazyConvTranspose2d(4, 3, stride=2), (2, 6, 4, 4)),
    "conv3d": (lambda nn: nn.LazyConv3d(4, 2, groups=2), (2, 6, 3, 4, 3)),
    "transposed 3d": (lambda nn: nn.LazyConvTranspose3d(4, 2), (2, 6, 2, 3, 2)),
    "batch norm 1d": (lambda nn: nn.LazyBatchNorm1d(), (3, 5)),
    "batch norm 2d": (lambda nn: nn.LazyBatchNorm2d(momentum=0.3), (3, 5, 2, 2)),
    "batch norm 3d": (lambda nn: nn.LazyBatchNorm3d(affine=False), (3, 5, 2, 2, 1)),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_takes_its_shape_from_the_first_batch(name: str) -> None:
    make, shape = CASES[name]
    seen: list[Any] = []
    arrays: list[Any] = []
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    for m in (torch, rnn):
        m.manual_seed(2)
        layer = make(m.nn)
        before = repr(layer)
        parameters = list(layer.parameters())
        y = layer(m.from_numpy(x))
        assert [id(p) for p in layer.parameters()] == [id(p) for p in parameters]
        assert type(layer).__name__ == type(make(m.nn)).__name__.replace("Lazy", "")
        if parameters:
            m.optim.SGD(parameters, lr=0.1).step()
        y.sum().backward() if parameters else None
        seen.append((before, repr(layer), list(layer.state_dict()), m.rand(1).item()))
        arrays.append([y, *layer.state_dict().values(), *(p.grad for p in parameters)])
    assert seen[1] == seen[0]
    for ours, theirs in zip(arrays[1], arrays[0]):
        np.testing.assert_allclose(to_numpy(ours), to_numpy(theirs), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", sorted(set(CASES) - {"batch norm 3d"}))
def test_takes_its_shape_from_a_state_dict(name: str) -> None:
    make, shape = CASES[name]
    known, new = make(rnn.nn), make(rnn.nn)
    y = known(rnn.ones(shape))
    new.load_state_dict(known.state_dict())
    assert type(new) is type(known)
    assert repr(new) == repr(known)
    known.eval()
    new.eval()
    assert rnn.equal(new(rnn.ones(shape)), known(rnn.ones(shape)))
    assert y.shape == new(rnn.ones(shape)).shape


def test_cannot_be_measured_before() -> None:
    layer = rnn.nn.LazyLinear(3)
    assert layer.has_uninitialized_params()
    assert repr(layer.weight) == "<UninitializedParameter>"
    with pytest.raises(ValueError, match="uninitialized parameter"):
        layer.weight.numel()
    with pytest.raises(RuntimeError, match="shape of an uninitialized parameter"):
        layer.weight.shape  # noqa: B018
    with pytest.raises(RuntimeError, match=r"Expected 3D .unbatched. or 4D .batched. input"):
        rnn.nn.LazyConv2d(3, 3)(rnn.ones(2, 2))
    with pytest.raises(ValueError, match="in_channels must be divisible by groups"):
        rnn.nn.LazyConv2d(4, 3, groups=2)(rnn.ones(1, 3, 5, 5))

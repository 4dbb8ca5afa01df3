"""Random programs of views, arithmetic and in-place functions, run under PyTorch and under rnn."""

from __future__ import annotations

import numpy as np
import torch
from helpers import to_numpy
from hypothesis import given, settings
from hypothesis import strategies as st

import rnn

VIEWS = {
    "t": lambda x, i: x.transpose(0, -1),
    "select": lambda x, i: x.select(0, i % x.shape[0]),
    "narrow": lambda x, i: x.narrow(0, i % x.shape[0], x.shape[0] - i % x.shape[0]),
    "step": lambda x, i: x[:: i + 1],
    "unsqueeze": lambda x, i: x.unsqueeze(0),
    "reshape": lambda x, i: x.reshape(-1),
}
ALONE = {
    "add_": lambda x: x.add_(0.5),
    "mul_": lambda x: x.mul_(-0.7),
    "tanh_": lambda x: x.tanh_(),
    "sigmoid_": lambda x: x.sigmoid_(),
    "sin_": lambda x: x.sin_(),
    "clamp_": lambda x: x.clamp_(-0.5, 0.5),
    "zero_": lambda x: x.zero_(),
    "fill_": lambda x: x.fill_(0.3),
    "neg": lambda x: -x,
    "cos": lambda x: x.cos(),
    "square": lambda x: x**2,
}
TOGETHER = {
    "add_": lambda x, y: x.add_(y, alpha=0.5),
    "mul_": lambda x, y: x.mul_(y),
    "copy_": lambda x, y: x.copy_(y),
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "sub_": lambda x, y: x.sub_(y),
    "div": lambda x, y: x / (y.abs() + 1),
}

step = st.tuples(
    st.sampled_from(["view", "alone", "together"]),
    st.integers(0, 10),
    st.integers(0, 20),
    st.integers(0, 20),
    st.integers(0, 2),
)


def run(m, steps, grad):
    """The tensors that a program made, and the error that ended it, if one did."""
    rng = np.random.default_rng(1)
    leaf = m.tensor(rng.uniform(-1, 1, (3, 4)))
    other = m.tensor(rng.uniform(-1, 1, (4,)))
    if grad:
        leaf.requires_grad_()
        other.requires_grad_()
    made = [leaf * 1, other * 1, leaf, other]
    try:
        for kind, which, a, b, i in steps:
            x, y = made[a % len(made)], made[b % len(made)]
            if kind == "view":
                fn = list(VIEWS.values())[which % len(VIEWS)]
                made.append(fn(x, i) if x.ndim else x.unsqueeze(0))
            elif kind == "alone":
                made.append(list(ALONE.values())[which % len(ALONE)](x))
            else:
                made.append(list(TOGETHER.values())[which % len(TOGETHER)](x, y))
    except RuntimeError as error:
        return leaf, other, made, error
    return leaf, other, made, None


@settings(max_examples=300, deadline=None)
@given(st.lists(step, max_size=12), st.booleans())
def test_sequences(steps, grad):
    expected = run(torch, steps, grad)
    if "some elements of the input tensor and the written-to tensor" in str(expected[3]):
        return  # PyTorch refuses; rnn copies first
    got = run(rnn, steps, grad)
    assert (expected[3] is None) == (got[3] is None), (expected[3], got[3])
    assert len(expected[2]) == len(got[2])
    for ours, theirs in zip(got[2], expected[2]):
        np.testing.assert_allclose(to_numpy(ours), to_numpy(theirs), 1e-9, 1e-12)
        assert ours.requires_grad == theirs.requires_grad
    if not grad or expected[3]:
        return
    totals = [sum((t * t).sum() for t in part[2] if t.requires_grad) for part in (expected, got)]
    try:
        totals[0].backward()
    except RuntimeError:
        return  # PyTorch needs a value that was overwritten; rnn may have kept it
    totals[1].backward()
    for ours, theirs in zip(got[:2], expected[:2]):
        if theirs.grad is not None:
            np.testing.assert_allclose(to_numpy(ours.grad), to_numpy(theirs.grad), 1e-7, 1e-9)

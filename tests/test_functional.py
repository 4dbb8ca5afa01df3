"""nn.functional against torch: values, gradients, both resolutions, edges; losses, convolutions,
norms and attention have files of their own."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from helpers import compare, compare_errors, to_numpy, to_rnn

import rnn

IMAGE = (2, 4, 5, 6)  # N, C, H, W


def indices(*shape: int, below: int = 5) -> np.ndarray:
    return np.random.default_rng(0).integers(0, below, shape)


# name: call, inputs
CASES = {
    "relu": (lambda f, x: f.relu(x), [(3, 4)]),
    "relu6": (lambda f, x: f.relu6(x * 4), [(3, 4)]),
    "leaky_relu": (lambda f, x: f.leaky_relu(x, 0.2), [(3, 4)]),
    "prelu": (lambda f, x, w: f.prelu(x, w), [(2, 3, 4), (3,)]),
    "prelu, one weight": (lambda f, x, w: f.prelu(x, w), [(2, 3), (1,)]),
    "rrelu": (lambda f, x: f.rrelu(x), [(3, 4)]),
    "elu": (lambda f, x: f.elu(x, 1.3), [(3, 4)]),
    "selu": (lambda f, x: f.selu(x), [(3, 4)]),
    "celu": (lambda f, x: f.celu(x, 0.5), [(3, 4)]),
    "gelu": (lambda f, x: f.gelu(x), [(3, 4)]),
    "gelu, tanh": (lambda f, x: f.gelu(x, approximate="tanh"), [(3, 4)]),
    "silu": (lambda f, x: f.silu(x), [(3, 4)]),
    "mish": (lambda f, x: f.mish(x), [(3, 4)]),
    "softplus": (lambda f, x: f.softplus(x, 2, 3), [(3, 4)]),
    "softsign": (lambda f, x: f.softsign(x), [(3, 4)]),
    "tanhshrink": (lambda f, x: f.tanhshrink(x), [(3, 4)]),
    "hardtanh": (lambda f, x: f.hardtanh(x, -0.5, 0.7), [(3, 4)]),
    "hardsigmoid": (lambda f, x: f.hardsigmoid(x * 3), [(3, 4)]),
    "hardswish": (lambda f, x: f.hardswish(x * 3), [(3, 4)]),
    "hardshrink": (lambda f, x: f.hardshrink(x, 0.6), [(3, 4)]),
    "softshrink": (lambda f, x: f.softshrink(x, 0.6), [(3, 4)]),
    "threshold": (lambda f, x: f.threshold(x, 0.1, 20), [(3, 4)]),
    "logsigmoid": (lambda f, x: f.logsigmoid(x * 5), [(3, 4)]),
    "sigmoid": (lambda f, x: f.sigmoid(x), [(3, 4)]),
    "tanh": (lambda f, x: f.tanh(x), [(3, 4)]),
    "glu": (lambda f, x: f.glu(x), [(3, 4)]),
    "glu, dim": (lambda f, x: f.glu(x, 0), [(4, 3)]),
    "softmax": (lambda f, x: f.softmax(x, dim=1), [(3, 4)]),
    "softmax, dim 0": (lambda f, x: f.softmax(x, 0), [(3, 4)]),
    "log_softmax": (lambda f, x: f.log_softmax(x, dim=-1), [(2, 3, 4)]),
    "softmin": (lambda f, x: f.softmin(x, dim=1), [(3, 4)]),
    "linear": (lambda f, x, w, b: f.linear(x, w, b), [(2, 3, 4), (5, 4), (5,)]),
    "linear, no bias": (lambda f, x, w: f.linear(x, w), [(3, 4), (5, 4)]),
    "linear, one row": (lambda f, x, w, b: f.linear(x, w, b), [(4,), (5, 4), (5,)]),
    "linear, vector": (lambda f, x, w: f.linear(x, w), [(3, 4), (4,)]),
    "linear, broadcast bias": (lambda f, x, w, b: f.linear(x, w, b), [(3, 4), (5, 4), (1,)]),
    "bilinear": (
        lambda f, x, y, w, b: f.bilinear(x, y, w, b),
        [(2, 3), (2, 4), (5, 3, 4), (5,)],
    ),
    "embedding": (lambda f, w: f.embedding(i_of(f, indices(2, 3)), w), [(5, 4)]),
    "embedding, padding": (
        lambda f, w: f.embedding(i_of(f, indices(2, 3)), w, padding_idx=-2),
        [(5, 4)],
    ),
    "embedding_bag, mean": (lambda f, w: f.embedding_bag(i_of(f, indices(2, 3)), w), [(5, 4)]),
    "embedding_bag, sum, offsets": (
        lambda f, w: f.embedding_bag(
            i_of(f, indices(6)), w, i_of(f, np.array([0, 2, 2])), mode="sum"
        ),
        [(5, 4)],
    ),
    "embedding_bag, max": (
        lambda f, w: f.embedding_bag(i_of(f, indices(2, 3)), w, mode="max"),
        [(5, 4)],
    ),
    "embedding_bag, padding": (
        lambda f, w: f.embedding_bag(i_of(f, indices(2, 3)), w, padding_idx=3),
        [(5, 4)],
    ),
    "embedding_bag, weights": (
        lambda f, w, s: f.embedding_bag(
            i_of(f, indices(2, 3)), w, mode="sum", per_sample_weights=s
        ),
        [(5, 4), (2, 3)],
    ),
    "pad": (lambda f, x: f.pad(x, (1, 2, 0, 1), value=0.5), [(2, 3, 4)]),
    "pad, negative": (lambda f, x: f.pad(x, (-1, 2, 1, -1)), [(2, 3, 4)]),
    "pad, reflect": (lambda f, x: f.pad(x, (1, 2, 2, 1), mode="reflect"), [(2, 3, 4)]),
    "pad, reflect 1d": (lambda f, x: f.pad(x, (3, 2), mode="reflect"), [(2, 4)]),
    "pad, replicate": (lambda f, x: f.pad(x, (1, 2, 3, 1), mode="replicate"), [IMAGE]),
    "pad, circular": (lambda f, x: f.pad(x, (1, 2, 3, 1), mode="circular"), [IMAGE]),
    "pad, circular cut": (lambda f, x: f.pad(x, (-1, 2, 1, -2), mode="circular"), [IMAGE]),
    "interpolate, nearest": (lambda f, x: f.interpolate(x, scale_factor=2), [IMAGE]),
    "interpolate, nearest size": (lambda f, x: f.interpolate(x, size=(3, 11)), [IMAGE]),
    "interpolate, exact": (
        lambda f, x: f.interpolate(x, size=(3, 11), mode="nearest-exact"),
        [IMAGE],
    ),
    "interpolate, bilinear": (
        lambda f, x: f.interpolate(x, scale_factor=1.7, mode="bilinear"),
        [IMAGE],
    ),
    "interpolate, corners": (
        lambda f, x: f.interpolate(x, size=(9, 3), mode="bilinear", align_corners=True),
        [IMAGE],
    ),
    "interpolate, bicubic": (
        lambda f, x: f.interpolate(x, size=(9, 3), mode="bicubic"),
        [IMAGE],
    ),
    "interpolate, linear": (
        lambda f, x: f.interpolate(x, scale_factor=2, mode="linear"),
        [(2, 3, 5)],
    ),
    "interpolate, area": (lambda f, x: f.interpolate(x, size=(2, 4), mode="area"), [IMAGE]),
    "pixel_shuffle": (lambda f, x: f.pixel_shuffle(x, 2), [(2, 8, 3, 2)]),
    "pixel_unshuffle": (lambda f, x: f.pixel_unshuffle(x, 2), [(2, 3, 4, 6)]),
    "channel_shuffle": (lambda f, x: f.channel_shuffle(x, 2), [IMAGE]),
    "unfold": (lambda f, x: f.unfold(x, (2, 3), dilation=2, padding=1, stride=(1, 2)), [IMAGE]),
    "unfold, unbatched": (lambda f, x: f.unfold(x, 3), [(2, 5, 6)]),
    "fold": (lambda f, x: f.fold(x, (5, 6), (2, 3), padding=(1, 0), stride=2), [(2, 12, 6)]),
    "normalize": (lambda f, x: f.normalize(x, dim=-1), [(3, 4)]),
    "cosine_similarity": (lambda f, x, y: f.cosine_similarity(x, y), [(3, 4), (3, 4)]),
    "pairwise_distance": (lambda f, x, y: f.pairwise_distance(x, y), [(3, 4), (3, 4)]),
    "pdist": (lambda f, x: f.pdist(x), [(4, 3)]),
    "local_response_norm": (lambda f, x: f.local_response_norm(x, 3, 0.5), [IMAGE]),
    "local_response_norm, even": (lambda f, x: f.local_response_norm(x, 2, 0.5, k=2), [IMAGE]),
}


ROUGH = {"hardsigmoid"}  # torch's 1 / 6 is a float32


def i_of(f, array):
    """Integers as a tensor of the module that f belongs to."""
    return to_rnn(array) if f is rnn.nn.functional else torch.from_numpy(array)


@pytest.mark.parametrize("name", CASES)
def test_function(name: str) -> None:
    call, inputs = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # a view in other strides is enough here: strides are the engine's business, and its tests'
        layouts = ("contiguous", "transposed")
        rtol = {"float64": 1e-7} if name in ROUGH else None
        compare(lambda m, *t: call(m.nn.functional, *t), *inputs, layouts=layouts, rtol=rtol)


INPLACE = ["relu", "relu6", "leaky_relu", "elu", "selu", "celu", "silu", "mish", "hardtanh",
           "hardsigmoid", "hardswish", "dropout"]  # fmt: skip


@pytest.mark.parametrize("name", INPLACE)
def test_inplace(name: str) -> None:
    """inplace=True writes over its input, inside the graph too."""

    def call(m, x):
        y = x * 1.5
        m.manual_seed(0)
        z = getattr(m.nn.functional, name)(y, inplace=True)
        return y, z * y

    rtol = {"float64": 1e-7} if name in ROUGH else None
    compare(call, (3, 4), layouts=("contiguous",), edges=False, rtol=rtol)
    y = rnn.tensor([-1.0, 2.0])
    assert rnn.nn.functional.relu(y, inplace=True) is y
    assert y.tolist() == [0.0, 2.0]


DROPOUTS = {
    "dropout": (4, 5),
    "dropout1d": (3, 4, 5),
    "dropout2d": (3, 4, 2, 2),
    "dropout3d": (3, 4, 2, 2, 2),
    "alpha_dropout": (4, 5),
    "feature_alpha_dropout": (3, 4, 2),
}


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("name", DROPOUTS)
def test_dropout_draws_as_torch(name: str, p: float) -> None:
    def call(m, x):
        m.manual_seed(3)
        drop = getattr(m.nn.functional, name)
        return drop(x, p, training=True), drop(x, p, training=True), drop(x, p, training=False)

    compare(call, DROPOUTS[name], layouts=("contiguous",), edges=False)


def test_dropout_without_batch() -> None:
    for name, shape in (("dropout1d", (4, 5)), ("dropout3d", (4, 2, 2, 2))):
        compare(
            lambda m, x, name=name: [
                m.manual_seed(3),
                getattr(m.nn.functional, name)(x, 0.5, training=True),
            ][1],
            shape,
            layouts=("contiguous",),
            edges=False,
        )


def test_random_activations_draw_as_torch() -> None:
    def slopes(m, x):
        m.manual_seed(1)
        return m.nn.functional.rrelu(x, 0.1, 0.4, training=True)

    def gumbel(m, x):
        m.manual_seed(1)
        soft = m.nn.functional.gumbel_softmax(x, tau=0.7)
        return soft, m.nn.functional.gumbel_softmax(x, hard=True, dim=0) * 2

    compare(slopes, (6, 5), layouts=("contiguous",), edges=False)
    compare(gumbel, (6, 5), layouts=("contiguous",), edges=False)


def test_one_hot() -> None:
    classes = indices(3, 2)
    compare(lambda m, x: m.nn.functional.one_hot(x), classes)
    compare(lambda m, x: m.nn.functional.one_hot(x, 7), classes)
    compare_errors(lambda m, x: m.nn.functional.one_hot(x, 2), classes)


def test_pad_of_integers() -> None:
    x = indices(2, 3, 4)
    compare(lambda m, x: m.nn.functional.pad(x, (1, 2), value=7), x)
    compare(lambda m, x: m.nn.functional.pad(x, (1, 2), mode="reflect"), x)


@pytest.mark.parametrize("padding", [None, 1, -1])
def test_embedding_divides_gradients_by_frequency(padding) -> None:
    table = np.random.default_rng(0).standard_normal((5, 3))
    picked = np.array([[1, 1, 4, 0], [4, 4, 2, 1]])
    gradients = []
    for m, i in ((rnn, to_rnn(picked)), (torch, torch.from_numpy(picked))):
        w = m.tensor(table, requires_grad=True)
        out = m.nn.functional.embedding(i, w, padding, scale_grad_by_freq=True)
        (out * m.arange(24).reshape(2, 4, 3)).sum().backward()
        gradients.append(w.grad.numpy())
        assert np.array_equal(out.detach().numpy(), table[picked])
    np.testing.assert_allclose(*gradients)


def test_embedding_bag_divides_gradients_by_frequency() -> None:
    """As the documentation says; torch divides by the counts of other rows there."""
    w = rnn.ones(4, 2, requires_grad=True)
    bags = rnn.tensor([[0, 0, 2], [2, 2, 3]])
    rnn.nn.functional.embedding_bag(bags, w, mode="sum", scale_grad_by_freq=True).sum().backward()
    assert w.grad.tolist() == [[1, 1], [0, 0], [1, 1], [1, 1]]
    layer = rnn.nn.Embedding(4, 2, scale_grad_by_freq=True)
    layer(rnn.tensor([3, 3, 3])).sum().backward()
    assert layer.weight.grad[3].tolist() == [1, 1]
    with pytest.raises(ValueError, match="max mode does not support scaling the gradient"):
        rnn.nn.functional.embedding_bag(bags, w, mode="max", scale_grad_by_freq=True)


def test_embedding_scales_rows_down() -> None:
    table = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32) * 3
    ours, theirs = to_rnn(table), torch.from_numpy(table.copy())
    i = indices(3)
    a = rnn.nn.functional.embedding(to_rnn(i), ours, max_norm=1.0)
    b = torch.nn.functional.embedding(torch.from_numpy(i), theirs, max_norm=1.0)
    np.testing.assert_allclose(to_numpy(a), to_numpy(b), 1e-5)
    np.testing.assert_allclose(to_numpy(ours), to_numpy(theirs), 1e-5)


ERRORS = {
    "linear": (lambda f, x, w: f.linear(x, w), [(3, 4), (5, 3)]),
    "linear, bias": (lambda f, x, w, b: f.linear(x, w, b), [(3, 4), (5, 4), (4,)]),
    "linear, 3d": (lambda f, x, w: f.linear(x, w), [(2, 3, 4), (5, 3)]),
    "embedding, range": (lambda f, w: f.embedding(i_of(f, np.array([5])), w), [(5, 4)]),
    "embedding, negative": (lambda f, w: f.embedding(i_of(f, np.array([-1])), w), [(5, 4)]),
    "embedding, floats": (lambda f, x, w: f.embedding(x, w), [(2,), (5, 4)]),
    "dropout": (lambda f, x: f.dropout(x, 1.5), [(2,)]),
    "dropout1d": (lambda f, x: f.dropout1d(x), [(2,)]),
    "gelu": (lambda f, x: f.gelu(x, approximate="no"), [(2,)]),
    "glu": (lambda f, x: f.glu(x), [(2, 3)]),
    "pad, too many": (lambda f, x: f.pad(x, (1, 1, 1, 1)), [(2,)]),
    "pad, odd": (lambda f, x: f.pad(x, (1, 1, 1)), [(2, 2)]),
    "pad, mode": (lambda f, x: f.pad(x, (1, 1), mode="no"), [(2, 2)]),
    "pixel_shuffle": (lambda f, x: f.pixel_shuffle(x, 2), [(2, 3, 3, 2)]),
    "unfold": (lambda f, x: f.unfold(x, 9), [IMAGE]),
    "fold": (lambda f, x: f.fold(x, (5, 6), (2, 3)), [(2, 12, 7)]),
    "interpolate, nothing": (lambda f, x: f.interpolate(x), [IMAGE]),
    "interpolate, both": (lambda f, x: f.interpolate(x, 3, 2.0), [IMAGE]),
    "interpolate, corners": (lambda f, x: f.interpolate(x, 3, align_corners=True), [IMAGE]),
    "one_hot": (lambda f, x: f.one_hot(x), [(2,)]),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    call, inputs = ERRORS[name]
    compare_errors(lambda m, *t: call(m.nn.functional, *t), *inputs)


def test_implicit_dim_warns() -> None:
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
        rnn.nn.functional.softmax(rnn.ones(2, 3))


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_interpolate_keeps_infinities_where_they_are(mode: str) -> None:
    image = np.zeros((1, 1, 6, 6), np.float32)
    image[0, 0, 2, 3] = np.inf
    want = torch.nn.functional.interpolate(torch.tensor(image), scale_factor=2, mode=mode)
    got = rnn.nn.functional.interpolate(rnn.tensor(image), scale_factor=2, mode=mode)
    np.testing.assert_array_equal(got.numpy(), want.numpy())
    assert 0 < np.isfinite(got.numpy()).sum() < got.numel()


def test_interpolate_a_long_row() -> None:
    """Its time and memory grow with the row, not with its square."""
    row = np.random.default_rng(0).normal(size=(1, 1, 200_000)).astype(np.float32)
    want = torch.nn.functional.interpolate(torch.tensor(row), scale_factor=2, mode="linear")
    got = rnn.nn.functional.interpolate(rnn.tensor(row), scale_factor=2, mode="linear")
    np.testing.assert_allclose(got.numpy(), want.numpy(), 1e-5, 1e-6)

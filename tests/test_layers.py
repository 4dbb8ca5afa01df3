"""Layers against torch: repr, first weights, state dicts both ways, outputs, gradients, arguments
by position, training.

Recurrent layers, attention, norms and losses have files of their own.
"""

from __future__ import annotations

import copy
import inspect

import numpy as np
import pytest
import torch
from helpers import compare, compare_errors, to_numpy, to_rnn
from hypothesis import given, settings
from hypothesis import strategies as st

import rnn

pytestmark = pytest.mark.filterwarnings("ignore")

IMAGE = (2, 3, 6, 5)

# how to make it, shapes of its inputs; an int: indices below it
MODULES = {
    "Identity": (lambda n: n.Identity(54, unused=0.1), [(2, 3)]),
    "Linear": (lambda n: n.Linear(3, 4), [(2, 3)]),
    "Linear, no bias": (lambda n: n.Linear(3, 4, False), [(2, 5, 3)]),
    "Bilinear": (lambda n: n.Bilinear(3, 4, 5), [(2, 3), (2, 4)]),
    "Bilinear, no bias": (lambda n: n.Bilinear(3, 4, 5, bias=False), [(2, 3), (2, 4)]),
    "Embedding": (lambda n: n.Embedding(5, 4), [5]),
    "Embedding, padding": (lambda n: n.Embedding(5, 4, padding_idx=-1), [5]),
    "EmbeddingBag": (lambda n: n.EmbeddingBag(5, 4), [5]),
    "EmbeddingBag, sum": (lambda n: n.EmbeddingBag(5, 4, mode="sum", padding_idx=2), [5]),
    "Flatten": (lambda n: n.Flatten(), [IMAGE]),
    "Flatten, dims": (lambda n: n.Flatten(0, 1), [IMAGE]),
    "Unflatten": (lambda n: n.Unflatten(1, (2, 3)), [(2, 6)]),
    "Conv1d": (lambda n: n.Conv1d(3, 4, 3), [(2, 3, 7)]),
    "Conv1d, options": (
        lambda n: n.Conv1d(4, 6, 3, 2, 1, 2, 2, False),
        [(2, 4, 9)],
    ),
    "Conv1d, circular": (
        lambda n: n.Conv1d(3, 4, 3, padding=1, padding_mode="circular"),
        [(2, 3, 7)],
    ),
    "Conv2d": (lambda n: n.Conv2d(3, 4, 3), [IMAGE]),
    "Conv2d, options": (
        lambda n: n.Conv2d(3, 6, (3, 2), stride=(1, 2), padding=1, dilation=(2, 1), groups=3),
        [IMAGE],
    ),
    "Conv2d, same": (lambda n: n.Conv2d(3, 4, (3, 2), padding="same", bias=False), [IMAGE]),
    "Conv2d, reflect": (
        lambda n: n.Conv2d(3, 4, 3, padding=(1, 2), padding_mode="reflect"),
        [IMAGE],
    ),
    "Conv2d, replicate same": (
        lambda n: n.Conv2d(3, 4, (4, 3), padding="same", padding_mode="replicate"),
        [IMAGE],
    ),
    "ConvTranspose1d": (lambda n: n.ConvTranspose1d(3, 4, 3, 2, 1, 1), [(2, 3, 5)]),
    "ConvTranspose2d": (lambda n: n.ConvTranspose2d(3, 4, 3), [IMAGE]),
    "ConvTranspose2d, options": (
        lambda n: n.ConvTranspose2d(3, 6, 4, 2, 1, 1, 3, False, 2),
        [IMAGE],
    ),
    "MaxPool1d": (lambda n: n.MaxPool1d(2), [(2, 3, 7)]),
    "MaxPool2d": (lambda n: n.MaxPool2d(2, 1), [IMAGE]),
    "MaxPool2d, options": (lambda n: n.MaxPool2d((3, 2), 2, (1, 0), ceil_mode=True), [IMAGE]),
    "MaxPool2d, indices": (lambda n: n.MaxPool2d(2, return_indices=True), [IMAGE]),
    "AvgPool1d": (lambda n: n.AvgPool1d(3, 2, 1), [(2, 3, 7)]),
    "AvgPool2d": (lambda n: n.AvgPool2d(2), [IMAGE]),
    "AvgPool2d, options": (lambda n: n.AvgPool2d(3, 2, 1, True, False), [IMAGE]),
    "LPPool1d": (lambda n: n.LPPool1d(2, 3), [(2, 3, 7)]),
    "LPPool2d": (lambda n: n.LPPool2d(2, 3, stride=2), [IMAGE]),
    "AdaptiveAvgPool1d": (lambda n: n.AdaptiveAvgPool1d(3), [(2, 3, 7)]),
    "AdaptiveAvgPool2d": (lambda n: n.AdaptiveAvgPool2d((1, 1)), [IMAGE]),
    "AdaptiveAvgPool2d, None": (lambda n: n.AdaptiveAvgPool2d((None, 2)), [IMAGE]),
    "AdaptiveMaxPool1d": (lambda n: n.AdaptiveMaxPool1d(3), [(2, 3, 7)]),
    "AdaptiveMaxPool2d": (lambda n: n.AdaptiveMaxPool2d(2, True), [IMAGE]),
    "Upsample": (lambda n: n.Upsample(scale_factor=2), [IMAGE]),
    "Upsample, bilinear": (
        lambda n: n.Upsample((4, 9), mode="bilinear", align_corners=True),
        [IMAGE],
    ),
    "UpsamplingNearest2d": (lambda n: n.UpsamplingNearest2d(scale_factor=2), [IMAGE]),
    "UpsamplingBilinear2d": (lambda n: n.UpsamplingBilinear2d((4, 9)), [IMAGE]),
    "ZeroPad1d": (lambda n: n.ZeroPad1d(2), [(2, 3, 4)]),
    "ZeroPad2d": (lambda n: n.ZeroPad2d((1, 2, 0, 1)), [IMAGE]),
    "ConstantPad1d": (lambda n: n.ConstantPad1d(2, 3.5), [(2, 3, 4)]),
    "ConstantPad2d": (lambda n: n.ConstantPad2d((1, -1, 0, 1), 3.5), [IMAGE]),
    "ConstantPad3d": (lambda n: n.ConstantPad3d(1, 3.5), [IMAGE]),
    "ReflectionPad1d": (lambda n: n.ReflectionPad1d(2), [(2, 3, 4)]),
    "ReflectionPad2d": (lambda n: n.ReflectionPad2d(2), [IMAGE]),
    "ReplicationPad1d": (lambda n: n.ReplicationPad1d((3, 1)), [(2, 3, 4)]),
    "ReplicationPad2d": (lambda n: n.ReplicationPad2d(2), [IMAGE]),
    "CircularPad1d": (lambda n: n.CircularPad1d(2), [(2, 3, 4)]),
    "CircularPad2d": (lambda n: n.CircularPad2d(2), [IMAGE]),
    "PixelShuffle": (lambda n: n.PixelShuffle(2), [(2, 8, 3, 2)]),
    "PixelUnshuffle": (lambda n: n.PixelUnshuffle(2), [(2, 3, 4, 2)]),
    "ChannelShuffle": (lambda n: n.ChannelShuffle(3), [IMAGE]),
    "Unfold": (lambda n: n.Unfold(2, padding=1), [IMAGE]),
    "Fold": (lambda n: n.Fold((6, 5), 2), [(2, 12, 20)]),
    "CosineSimilarity": (lambda n: n.CosineSimilarity(dim=0), [(3, 4), (3, 4)]),
    "PairwiseDistance": (lambda n: n.PairwiseDistance(keepdim=True), [(3, 4), (3, 4)]),
    "Dropout": (lambda n: n.Dropout(0.3), [(3, 4)]),
    "Dropout1d": (lambda n: n.Dropout1d(0.3), [(3, 4, 2)]),
    "Dropout2d": (lambda n: n.Dropout2d(inplace=False), [IMAGE]),
    "Dropout3d": (lambda n: n.Dropout3d(0.3), [(2, 3, 2, 2, 2)]),
    "AlphaDropout": (lambda n: n.AlphaDropout(0.3), [(3, 4)]),
    "FeatureAlphaDropout": (lambda n: n.FeatureAlphaDropout(0.3), [(3, 4, 2)]),
    "ReLU": (lambda n: n.ReLU(), [(3, 4)]),
    "ReLU6": (lambda n: n.ReLU6(), [(3, 4)]),
    "LeakyReLU": (lambda n: n.LeakyReLU(0.2), [(3, 4)]),
    "PReLU": (lambda n: n.PReLU(), [(3, 4)]),
    "PReLU, channels": (lambda n: n.PReLU(4, 0.1), [(3, 4)]),
    "RReLU": (lambda n: n.RReLU(), [(3, 4)]),
    "ELU": (lambda n: n.ELU(0.5), [(3, 4)]),
    "CELU": (lambda n: n.CELU(0.5), [(3, 4)]),
    "SELU": (lambda n: n.SELU(), [(3, 4)]),
    "GELU": (lambda n: n.GELU(), [(3, 4)]),
    "GELU, tanh": (lambda n: n.GELU("tanh"), [(3, 4)]),
    "SiLU": (lambda n: n.SiLU(), [(3, 4)]),
    "Mish": (lambda n: n.Mish(), [(3, 4)]),
    "Hardtanh": (lambda n: n.Hardtanh(-0.5, 0.7), [(3, 4)]),
    "Hardsigmoid": (lambda n: n.Hardsigmoid(), [(3, 4)]),
    "Hardswish": (lambda n: n.Hardswish(), [(3, 4)]),
    "Hardshrink": (lambda n: n.Hardshrink(), [(3, 4)]),
    "Softshrink": (lambda n: n.Softshrink(0.3), [(3, 4)]),
    "Softplus": (lambda n: n.Softplus(2), [(3, 4)]),
    "Softsign": (lambda n: n.Softsign(), [(3, 4)]),
    "Tanhshrink": (lambda n: n.Tanhshrink(), [(3, 4)]),
    "Threshold": (lambda n: n.Threshold(0.1, 20), [(3, 4)]),
    "Sigmoid": (lambda n: n.Sigmoid(), [(3, 4)]),
    "LogSigmoid": (lambda n: n.LogSigmoid(), [(3, 4)]),
    "Tanh": (lambda n: n.Tanh(), [(3, 4)]),
    "GLU": (lambda n: n.GLU(), [(3, 4)]),
    "Softmax": (lambda n: n.Softmax(dim=1), [(3, 4)]),
    "Softmax, no dim": (lambda n: n.Softmax(), [(3, 4)]),
    "Softmin": (lambda n: n.Softmin(dim=0), [(3, 4)]),
    "LogSoftmax": (lambda n: n.LogSoftmax(dim=-1), [(3, 4)]),
    "Softmax2d": (lambda n: n.Softmax2d(), [IMAGE]),
}


def inputs(m, shapes):
    rng = np.random.default_rng(0)
    made = []
    for s in shapes:
        a = (
            rng.integers(0, s, (3, 2))
            if isinstance(s, int)
            else rng.normal(size=s).astype(np.float32)
        )
        t = to_rnn(a) if m is rnn else torch.from_numpy(a)
        made.append(t if isinstance(s, int) else t.requires_grad_())
    return made


def outputs(m, make, shapes, state=None):
    """The module, what it gives, and all gradients."""
    m.manual_seed(7)
    module = make(m.nn)
    if state is not None:
        module.load_state_dict(state)
    ins = inputs(m, shapes)
    m.manual_seed(8)
    out = module(*ins)
    whole = out if isinstance(out, tuple) else (out,)
    (whole[0] ** 2).sum().backward() if whole[0].requires_grad else None
    grads = [t.grad for t in ins] + [p.grad for p in module.parameters()]
    return module, whole, grads


def same(theirs, ours, tolerance: float = 2e-5) -> None:
    if theirs is None or ours is None:
        assert theirs is ours
        return
    assert tuple(ours.shape) == tuple(theirs.shape)
    np.testing.assert_allclose(to_numpy(ours), to_numpy(theirs), tolerance, tolerance)


@pytest.mark.parametrize("name", MODULES)
def test_module(name: str) -> None:
    """From one seed: the same repr, weights, outputs, gradients; then with torch's weights, and at
    scalar resolution."""
    make, shapes = MODULES[name]
    theirs, expected, grads = outputs(torch, make, shapes)
    for resolution in ("tensor", "scalar"):
        for state in (None, theirs.state_dict()):
            with rnn.resolution(resolution):
                ours, got, own = outputs(rnn, make, shapes, state)
            assert repr(ours) == repr(theirs)
            assert list(ours.state_dict()) == list(theirs.state_dict())
            for key, value in theirs.state_dict().items():
                same(value, ours.state_dict()[key], 1e-6)
            for a, b in zip(expected, got):
                same(a, b)
            for a, b in zip(grads, own):
                same(a, b)
    back = make(torch.nn)
    back.load_state_dict({k: torch.from_numpy(to_numpy(v)) for k, v in ours.state_dict().items()})
    for key, value in theirs.state_dict().items():
        assert torch.equal(back.state_dict()[key], value)


@pytest.mark.parametrize("name", MODULES)
def test_copies_and_eval(name: str) -> None:
    make, shapes = MODULES[name]
    torch.manual_seed(7), rnn.manual_seed(7)
    theirs, ours = make(torch.nn).eval(), copy.deepcopy(make(rnn.nn)).eval()
    a, b = theirs(*inputs(torch, shapes)), ours(*inputs(rnn, shapes))
    same(*[t[0] if isinstance(t, tuple) else t for t in (a, b)])


INPLACE = (
    "ReLU LeakyReLU ELU SiLU Hardtanh Hardswish ReLU6 SELU Threshold CELU RReLU Mish Hardsigmoid "
    "Dropout"
).split()


@pytest.mark.parametrize("name", INPLACE)
def test_inplace_modules(name: str) -> None:
    options = {"threshold": 0.1, "value": 2.0} if name == "Threshold" else {}
    theirs = getattr(torch.nn, name)(inplace=True, **options)
    ours = getattr(rnn.nn, name)(inplace=True, **options)
    assert repr(ours) == repr(theirs)
    theirs.eval(), ours.eval()
    x = rnn.tensor([-1.0, 2.0])
    y = ours(x)
    assert y.data_ptr() == x.data_ptr()
    same(theirs(torch.tensor([-1.0, 2.0])), x)


def names(namespace) -> set[str]:
    base = rnn.nn.Module if namespace is rnn.nn else torch.nn.Module
    return {n for n, c in vars(namespace).items() if inspect.isclass(c) and issubclass(c, base)}


def test_every_module_is_torchs() -> None:
    made = names(rnn.nn) - {"NonDynamicallyQuantizableLinear"}
    assert made <= names(torch.nn)


@pytest.mark.parametrize("name", sorted(names(rnn.nn) & names(torch.nn) - {"Module", "Sequential"}))
def test_arguments_are_torchs(name: str) -> None:
    """The same parameters, in the same order, with the same defaults."""

    def of(cls):
        # what *args, **kwargs hide is RNNBase's, which is compared by its own name
        return [
            (p.name, p.kind, getattr(p.default, "__name__", p.default))
            for p in list(inspect.signature(cls.__init__).parameters.values())[1:]
            if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        ]

    assert of(getattr(rnn.nn, name)) == of(getattr(torch.nn, name))


@pytest.mark.parametrize(
    "name", [n for n in dir(rnn.nn.functional) if hasattr(torch.nn.functional, n)]
)
def test_arguments_of_functions_are_torchs(name: str) -> None:
    ours = getattr(rnn.nn.functional, name)
    theirs = getattr(torch.nn.functional, name)
    if not inspect.isfunction(ours) or not inspect.isfunction(theirs):
        return
    given = list(inspect.signature(ours).parameters)
    wanted = list(inspect.signature(theirs).parameters)
    if wanted != ["args", "kwargs"] and name not in (
        "sigmoid",
        "tanh",
    ):  # they take out= as rnn.tanh does
        assert given[: len(wanted)] == wanted


def test_device_and_dtype_by_position() -> None:
    for m in (torch, rnn):
        for module in (
            m.nn.Linear(2, 3, True, "cpu", m.float64),
            m.nn.LayerNorm(2, 1e-5, True, True, "cpu", m.float64),
            m.nn.Conv2d(1, 1, 1, 1, 0, 1, 1, True, "zeros", "cpu", m.float64),
            m.nn.Embedding(2, 3, None, None, 2.0, False, False, None, False, "cpu", m.float64),
            m.nn.LSTM(2, 3, 1, True, False, 0.0, False, 0, "cpu", m.float64),
            m.nn.MultiheadAttention(
                2, 1, 0.0, True, False, False, None, None, False, "cpu", m.float64
            ),
            m.nn.BatchNorm1d(2, 1e-5, 0.1, True, True, "cpu", m.float64),
        ):
            assert {p.dtype for p in module.parameters()} == {m.float64}


def test_a_subclass_of_linear() -> None:
    """As programs write it: super().__init__ by position, a buffer, a forward of its own."""

    def build(m):
        class Masked(m.nn.Linear):
            def __init__(self, a, b, bias=True):
                super().__init__(a, b, bias)
                self.register_buffer("mask", m.ones(b, a))

            def forward(self, x):
                return m.nn.functional.linear(x, self.mask * self.weight, self.bias)

        return Masked(3, 4)

    torch.manual_seed(0), rnn.manual_seed(0)
    theirs, ours = build(torch), build(rnn)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x = torch.randn(2, 3)
    same(theirs(x), ours(to_rnn(x.numpy())))


def test_embeddings() -> None:
    table = [[1.0, 2.0], [3.0, 4.0]]
    for m in (torch, rnn):
        layer = m.nn.Embedding.from_pretrained(m.tensor(table))
        assert not layer.weight.requires_grad
        assert layer(m.tensor([1])).tolist() == [[3.0, 4.0]]
        free = m.nn.Embedding.from_pretrained(m.tensor(table), freeze=False, padding_idx=0)
        free(m.tensor([0, 1, 1])).sum().backward()
        assert free.weight.grad.tolist() == [[0.0, 0.0], [2.0, 2.0]]
        assert m.nn.Embedding(3, 2, padding_idx=1).weight[1].tolist() == [0.0, 0.0]
    compare(lambda m, w: m.nn.functional.embedding(m.tensor(1), w), (3, 4), layouts=("contiguous",))


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_linear_of_any_arguments(data) -> None:
    """Sizes, batch shapes and options: the same from the same seed."""
    features, outs = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    outer = tuple(data.draw(st.lists(st.integers(0, 3), max_size=3)))
    bias = data.draw(st.booleans())
    results = []
    for m in (torch, rnn):
        _, out, grads = outputs(m, lambda n: n.Linear(features, outs, bias), [(*outer, features)])
        results.append([*out, *grads])
    for a, b in zip(*results):
        same(a, b)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_conv_module_of_any_arguments(data) -> None:
    small = st.integers(1, 3)
    groups = data.draw(st.integers(1, 2))
    options = {
        "kernel_size": data.draw(small),
        "stride": data.draw(st.integers(1, 2)),
        "padding": data.draw(st.integers(0, 2)),
        "dilation": data.draw(st.integers(1, 2)),
        "groups": groups,
        "bias": data.draw(st.booleans()),
        "padding_mode": data.draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"])),
    }
    channels, filters = groups * data.draw(small), groups * data.draw(small)
    shape = (data.draw(small), channels, 6, 5)
    results = []
    for m in (torch, rnn):
        module, out, grads = outputs(m, lambda n: n.Conv2d(channels, filters, **options), [shape])
        results.append([repr(module), *out, *grads])
    assert results[0][0] == results[1][0]
    for a, b in zip(results[0][1:], results[1][1:]):
        same(a, b, 1e-4)


# ---- training -----------------------------------------------------------------------------------


def train(m, model, x, y, loss, steps: int = 10, rate: float = 0.1) -> list[float]:
    losses = []
    for _ in range(steps):
        value = loss(model(x), y)
        model.zero_grad()
        value.backward()
        with m.no_grad():
            for p in model.parameters():
                p -= rate * p.grad
        losses.append(value.item())
    return losses


PROGRAMS = {
    "mlp": lambda n: n.Sequential(
        n.Linear(12, 8), n.LayerNorm(8), n.ReLU(), n.Dropout(0.2), n.Linear(8, 3)
    ),
    "cnn": lambda n: n.Sequential(
        n.Unflatten(1, (1, 4, 3)),
        n.Conv2d(1, 4, 3, padding=1),
        n.BatchNorm2d(4),
        n.ReLU(),
        n.MaxPool2d((2, 1)),
        n.Conv2d(4, 4, 2),
        n.GELU(),
        n.AdaptiveAvgPool2d(1),
        n.Flatten(),
        n.Dropout(0.1),
        n.Linear(4, 3),
    ),
    "upsampler": lambda n: n.Sequential(
        n.Unflatten(1, (3, 2, 2)),
        n.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1),
        n.InstanceNorm2d(4),
        n.LeakyReLU(0.2),
        n.Upsample(scale_factor=2, mode="bilinear"),
        n.AvgPool2d(2),
        n.Dropout2d(0.2),
        n.Flatten(),
        n.Linear(64, 3),
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_ten_steps_of_training(name: str) -> None:
    """Everything from one seed, dropout included: the same ten losses."""
    losses = []
    for m in (torch, rnn):
        m.manual_seed(0)
        model = PROGRAMS[name](m.nn)
        x, y = m.randn(16, 12), m.randint(0, 3, (16,))
        losses.append(train(m, model, x, y, m.nn.CrossEntropyLoss()))
    np.testing.assert_allclose(losses[1], losses[0], 1e-5)
    assert losses[1][-1] < losses[1][0]


def test_training_at_scalar_resolution() -> None:
    losses = []
    for resolution in ("tensor", "scalar"):
        rnn.manual_seed(0)
        model = PROGRAMS["cnn"](rnn.nn)
        x, y = rnn.randn(6, 12), rnn.randint(0, 3, (6,))
        with rnn.resolution(resolution):
            losses.append(train(rnn, model, x, y, rnn.nn.CrossEntropyLoss(), 3))
    np.testing.assert_allclose(losses[1], losses[0], 1e-4)


# ---- errors -------------------------------------------------------------------------------------

ERRORS = [
    lambda m: m.nn.Linear(3, 4)(m.zeros(2, 3, dtype=m.float64)),
    lambda m: m.nn.Linear(3, 4, bias=False)(m.zeros(2, 3, dtype=m.float64)),
    lambda m: m.nn.Linear(3, 4)(m.zeros(2, 3, dtype=m.int64)),
    lambda m: m.nn.Linear(3, 4, bias=False)(m.zeros(2, 3, dtype=m.int64)),
    lambda m: m.nn.Linear(3, 4)(m.zeros(2, 4)),
    lambda m: m.nn.Linear(3, 4)(m.zeros(2, 2, 4)),
    lambda m: m.nn.Linear(3, 4)(m.zeros(4)),
    lambda m: m.nn.Linear(3, 4)(m.zeros(())),
    lambda m: m.nn.Linear(3, 4)([1, 2, 3]),
    lambda m: m.nn.Linear(3, 4)(np.zeros((2, 3))),
    lambda m: m.nn.Bilinear(3, 4, 5)(m.zeros(2, 3), m.zeros(2, 5)),
    lambda m: m.nn.Bilinear(3, 4, 5)(m.zeros(2, 3), m.zeros(3, 4)),
    lambda m: m.nn.Bilinear(0, 4, 5),
    lambda m: m.nn.Embedding(3, 4)(m.zeros(2)),
    lambda m: m.nn.Embedding(3, 4)(m.tensor([3])),
    lambda m: m.nn.Embedding(3, 4, padding_idx=4),
    lambda m: m.nn.Embedding.from_pretrained(m.zeros(3)),
    lambda m: m.nn.Dropout(2),
    lambda m: m.nn.Conv2d(3, 4, 3, padding="no"),
    lambda m: m.nn.Conv2d(3, 4, 3, groups=2),
    lambda m: m.nn.Conv2d(4, 3, 3, groups=2),
    lambda m: m.nn.Conv2d(4, 3, 3, groups=0),
    lambda m: m.nn.Conv2d(4, 3, 3, stride=2, padding="same"),
    lambda m: m.nn.Unflatten(1, (2, 4))(m.zeros(2, 6)),
    lambda m: m.nn.Unflatten(1, 3),
    lambda m: m.nn.Hardtanh(2, 1),
    lambda m: m.nn.Softmax2d()(m.zeros(2, 2)),
    lambda m: m.nn.TripletMarginLoss(margin=-1),
    lambda m: m.nn.MultiMarginLoss(p=3),
    lambda m: m.nn.ReflectionPad1d(5)(m.zeros(1, 2, 3)),
    lambda m: m.nn.ReflectionPad2d(5)(m.zeros(1, 2, 3, 3)),
    lambda m: m.nn.CircularPad1d(5)(m.zeros(1, 2, 3)),
    lambda m: m.nn.PixelShuffle(2)(m.zeros(2, 3)),
    lambda m: m.nn.PReLU(3)(m.zeros(2, 4)),
]


@pytest.mark.parametrize("call", ERRORS)
def test_errors(call) -> None:
    compare_errors(call)

"""Attention and transformers against torch: masks, heads, both resolutions, edges, errors, ten
steps of training.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from helpers import compare, compare_errors, to_numpy, to_rnn
from hypothesis import given, settings
from hypothesis import strategies as st

import rnn

pytestmark = pytest.mark.filterwarnings("ignore")


def bools(m, array):
    array = np.asarray(array, np.bool_)
    return to_rnn(array) if m is rnn else torch.from_numpy(array)


def run(fn, *inputs, **options) -> None:
    options.setdefault("layouts", ("contiguous", "transposed", "expanded"))
    compare(fn, *inputs, **options)


# ---- scaled_dot_product_attention
# -----------------------------------------------------------------------

SHAPES = [
    ((2, 3, 4, 5), (2, 3, 4, 5), (2, 3, 4, 5)),
    ((2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 7)),
    ((3, 4, 5), (3, 6, 5), (3, 6, 2)),
    ((4, 5), (6, 5), (6, 3)),
    ((1, 2, 70, 3), (1, 2, 70, 3), (1, 2, 70, 3)),
]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shapes", SHAPES)
def test_attention(shapes, causal) -> None:
    large = shapes[0][-2] > 64
    run(
        lambda m, q, k, v: m.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal),
        *shapes,
        edges=not large,
        resolutions=("tensor",) if large else ("tensor", "scalar"),
    )


def test_scale_and_grouped_queries() -> None:
    attend = "scaled_dot_product_attention"
    run(lambda m, q, k, v: getattr(m.nn.functional, attend)(q, k, v, scale=0.3), *SHAPES[0])
    run(
        lambda m, q, k, v: getattr(m.nn.functional, attend)(q, k, v, enable_gqa=True),
        (2, 4, 3, 5),
        (2, 2, 3, 5),
        (2, 2, 3, 5),
    )
    # keys of one batch for all
    run(
        lambda m, q, k, v: getattr(m.nn.functional, attend)(q, k, v),
        (2, 3, 4, 5),
        (1, 3, 4, 5),
        (1, 3, 4, 5),
    )


def test_masks() -> None:
    shapes = SHAPES[1]
    seen = np.random.default_rng(0).random((4, 6)) < 0.6
    seen[2] = False  # a query that sees nothing
    run(
        lambda m, q, k, v: m.nn.functional.scaled_dot_product_attention(
            q, k, v, attn_mask=bools(m, seen)
        ),
        *shapes,
    )
    run(
        lambda m, q, k, v, a: m.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=a),
        *shapes,
        (2, 1, 4, 6),
    )
    hidden = np.where(seen, 0.0, -np.inf)
    run(
        lambda m, q, k, v: m.nn.functional.scaled_dot_product_attention(
            q, k, v, attn_mask=m.tensor(hidden.tolist(), dtype=q.dtype)
        ),
        *shapes,
    )


def test_dropout_draws_as_torch() -> None:
    def fn(m, q, k, v):
        m.manual_seed(5)
        return m.nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=0.4)

    run(fn, *SHAPES[0], layouts=("contiguous",), edges=False)


def test_attention_is_one_span() -> None:
    q = rnn.randn(2, 3, 4, 5, requires_grad=True)
    out = rnn.nn.functional.scaled_dot_product_attention(q, q, q, is_causal=True)
    assert out.graph_size() == 2 * q.numel()


# ---- MultiheadAttention
# -----------------------------------------------------------------------------------


def loaded(make, scale: float = 1.0):
    """The same module under both libraries, ours with torch's values, in double precision."""
    torch.manual_seed(0)
    theirs = make(torch).double()
    for p in theirs.parameters():  # biases too
        p.data = torch.randn_like(p) * 0.3 * scale
    ours = make(rnn).double()
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def same(theirs, ours, tolerance: float = 1e-9) -> None:
    if theirs is None or ours is None:
        assert theirs is ours
        return
    assert tuple(ours.shape) == tuple(theirs.shape)
    np.testing.assert_allclose(to_numpy(ours), to_numpy(theirs), tolerance, tolerance)


def both(theirs, ours, shapes, resolution="tensor", **masks) -> None:
    """Outputs, and the gradients of inputs and parameters."""
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=s) for s in shapes]
    ins = [torch.from_numpy(a).requires_grad_() for a in arrays]
    own = [to_rnn(a, requires_grad=True) for a in arrays]
    if len(shapes) == 1:  # self-attention
        ins, own = ins * 3, own * 3
    out = theirs(
        *ins,
        **{k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in masks.items()},
    )
    with rnn.resolution(resolution):
        got = ours(
            *own, **{k: to_rnn(v) if isinstance(v, np.ndarray) else v for k, v in masks.items()}
        )
    same(out[0], got[0])
    same(out[1], got[1])
    loss = out[0].square().sum() + (0 if out[1] is None else (out[1] ** 3).sum())
    mine = got[0].square().sum() + (0 if got[1] is None else (got[1] ** 3).sum())
    loss.backward(), mine.backward()
    for a, b in zip(ins, own):
        same(a.grad, b.grad)
    for (name, p), (other, q) in zip(theirs.named_parameters(), ours.named_parameters()):
        assert name == other
        same(p.grad, q.grad)
        p.grad = q.grad = None


HEADS = [
    {},
    {"batch_first": True},
    {"bias": False},
    {"add_bias_kv": True},
    {"add_zero_attn": True},
    {"add_bias_kv": True, "add_zero_attn": True, "batch_first": True},
]


@pytest.mark.parametrize("resolution", ["tensor", "scalar"])
@pytest.mark.parametrize("options", HEADS, ids=str)
def test_multihead_attention(options, resolution) -> None:
    theirs, ours = loaded(lambda m: m.nn.MultiheadAttention(6, 2, **options))
    assert repr(ours) == repr(theirs)
    for need in (True, False):
        both(theirs, ours, [(4, 3, 6)], resolution, need_weights=need)
        both(theirs, ours, [(4, 3, 6)], resolution, need_weights=need, average_attn_weights=False)
    queries = [(3, 2, 6), (3, 5, 6)] if options.get("batch_first") else [(2, 3, 6), (5, 3, 6)]
    both(theirs, ours, [queries[0], queries[1], queries[1]], resolution, need_weights=False)
    both(theirs, ours, [(4, 6), (5, 6), (5, 6)], resolution)


def test_other_sizes_of_keys_and_values() -> None:
    theirs, ours = loaded(lambda m: m.nn.MultiheadAttention(6, 3, kdim=5, vdim=4))
    both(theirs, ours, [(4, 2, 6), (3, 2, 5), (3, 2, 4)])


@pytest.mark.parametrize("options", HEADS[:4], ids=str)
def test_masks_of_heads(options) -> None:
    theirs, ours = loaded(lambda m: m.nn.MultiheadAttention(6, 2, **options))
    rng = np.random.default_rng(0)
    shape = (3, 4, 6) if options.get("batch_first") else (4, 3, 6)
    padding = np.zeros((3, 4), np.bool_)
    padding[0, 3] = padding[1, 2:] = True
    causal = np.triu(np.ones((4, 4), np.bool_), 1)
    each = rng.random((6, 4, 4)) < 0.3
    each[:, :, 0] = False
    for masks in (
        {"key_padding_mask": padding},
        {"attn_mask": causal},
        {"attn_mask": causal, "key_padding_mask": padding},
        {"attn_mask": each},
        {"attn_mask": rng.normal(size=(4, 4))},
        {
            "attn_mask": rng.normal(size=(6, 4, 4)),
            "key_padding_mask": np.where(padding, -np.inf, 0.0),
        },
        {"attn_mask": causal, "is_causal": True},
    ):
        for need in (True, False):
            both(theirs, ours, [shape], need_weights=need, **masks)


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_heads_of_any_size(data) -> None:
    heads, depth = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4))
    options = {"bias": data.draw(st.booleans()), "batch_first": data.draw(st.booleans())}
    batch, t, s = data.draw(st.tuples(*[st.integers(1, 4)] * 3))
    theirs, ours = loaded(lambda m: m.nn.MultiheadAttention(heads * depth, heads, **options))
    q, k = (t, batch, heads * depth), (s, batch, heads * depth)
    if options["batch_first"]:
        q, k = (batch, t, heads * depth), (batch, s, heads * depth)
    both(theirs, ours, [q, k, k], need_weights=data.draw(st.booleans()))


def test_same_first_weights() -> None:
    for options in ({}, {"add_bias_kv": True}, {"kdim": 3, "bias": False}):
        torch.manual_seed(4), rnn.manual_seed(4)
        theirs = torch.nn.MultiheadAttention(6, 2, **options)
        ours = rnn.nn.MultiheadAttention(6, 2, **options)
        for (name, p), (other, q) in zip(theirs.named_parameters(), ours.named_parameters()):
            assert name == other
            same(p, q, 1e-6)


# ---- transformers
# -------------------------------------------------------------------------------------------

LAYERS = [
    {},
    {"batch_first": True},
    {"norm_first": True},
    {"activation": "gelu", "bias": False},
    {"norm_first": True, "batch_first": True, "activation": "relu"},
]


def outputs(module, convert, arrays, masks):
    ins = [convert(a) for a in arrays]
    for t in ins:
        t.requires_grad_()
    out = module(
        *ins, **{k: convert(v) if isinstance(v, np.ndarray) else v for k, v in masks.items()}
    )
    (out**2).sum().backward()
    return out, [t.grad for t in ins] + [p.grad for p in module.parameters()]


def same_module(theirs, ours, shapes, resolution="tensor", **masks) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=s) for s in shapes]
    expected, grads = outputs(theirs, lambda a: torch.from_numpy(a.copy()), arrays, masks)
    with rnn.resolution(resolution):
        got, own = outputs(ours, lambda a: to_rnn(a), arrays, masks)
    same(expected, got)
    for a, b in zip(grads, own):
        same(a, b, 1e-8)
    theirs.zero_grad(), ours.zero_grad()


@pytest.mark.parametrize("options", LAYERS, ids=str)
def test_encoder(options) -> None:
    def make(m):
        layer = m.nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, **options)
        return m.nn.TransformerEncoder(layer, 2, m.nn.LayerNorm(6))

    theirs, ours = loaded(make)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    shape = (3, 4, 6) if options.get("batch_first") else (4, 3, 6)
    padding = np.zeros((3, 4), np.bool_)
    padding[0, 3] = padding[1, 2:] = True
    causal = np.triu(np.full((4, 4), -np.inf), 1)
    same_module(theirs, ours, [shape])
    same_module(theirs, ours, [shape], "scalar")
    same_module(theirs, ours, [shape], src_key_padding_mask=padding)
    same_module(theirs, ours, [shape], mask=causal)
    same_module(theirs, ours, [shape], mask=causal, is_causal=True)
    same_module(
        theirs, ours, [shape], mask=causal, src_key_padding_mask=np.where(padding, -np.inf, 0.0)
    )
    # in eval mode torch leaves zeros at padded places
    theirs.eval(), ours.eval()
    x = np.random.default_rng(1).normal(size=shape)
    with torch.no_grad(), rnn.no_grad():
        a = theirs(torch.from_numpy(x), src_key_padding_mask=torch.from_numpy(padding))
        b = ours(to_rnn(x), src_key_padding_mask=to_rnn(padding))
    same(a, b)


@pytest.mark.parametrize("options", LAYERS, ids=str)
def test_decoder(options) -> None:
    def make(m):
        layer = m.nn.TransformerDecoderLayer(6, 2, 8, dropout=0.0, **options)
        return m.nn.TransformerDecoder(layer, 2)

    theirs, ours = loaded(make)
    assert repr(ours) == repr(theirs)
    first = options.get("batch_first")
    tgt, memory = ((3, 4, 6), (3, 5, 6)) if first else ((4, 3, 6), (5, 3, 6))
    causal = np.triu(np.full((4, 4), -np.inf), 1)
    padding = np.zeros((3, 5), np.bool_)
    padding[0, 3:] = True
    same_module(theirs, ours, [tgt, memory])
    same_module(theirs, ours, [tgt, memory], tgt_mask=causal, memory_key_padding_mask=padding)


def test_transformer() -> None:
    def make(m):
        return m.nn.Transformer(6, 2, 1, 1, 8, dropout=0.0)

    theirs, ours = loaded(make)
    assert repr(ours) == repr(theirs)
    mask = rnn.nn.Transformer.generate_square_subsequent_mask(4)
    np.testing.assert_array_equal(
        to_numpy(mask), to_numpy(torch.nn.Transformer.generate_square_subsequent_mask(4))
    )
    same_module(theirs, ours, [(5, 3, 6), (4, 3, 6)], tgt_mask=to_numpy(mask).astype(np.float64))
    torch.manual_seed(4), rnn.manual_seed(4)
    for p, q in zip(make(torch).parameters(), make(rnn).parameters()):
        same(p, q, 1e-6)


def test_ten_steps_of_training() -> None:
    """With dropout, from the same seed: the same losses."""
    losses = []
    for m in (torch, rnn):
        m.manual_seed(0)
        layer = m.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        model = m.nn.Sequential(m.nn.TransformerEncoder(layer, 2), m.nn.Linear(8, 3))
        x, y = m.randn(4, 5, 8), m.randint(0, 3, (20,))
        own = []
        for _ in range(10):
            loss = m.nn.functional.cross_entropy(model(x).reshape(-1, 3), y)
            model.zero_grad()
            loss.backward()
            with m.no_grad():
                for p in model.parameters():
                    p -= 0.1 * p.grad
            own.append(loss.item())
        losses.append(own)
    np.testing.assert_allclose(losses[1], losses[0], 1e-5)
    assert losses[1][-1] < losses[1][0]


# ---- errors
# --------------------------------------------------------------------------------------------------

ERRORS = [
    lambda m: m.nn.MultiheadAttention(5, 2),
    lambda m: m.nn.MultiheadAttention(0, 2),
    lambda m: m.nn.MultiheadAttention(4, 2)(m.zeros(2, 4, 4, 4), m.zeros(2, 4), m.zeros(2, 4)),
    lambda m: m.nn.MultiheadAttention(4, 2)(m.zeros(2, 3, 4), m.zeros(2, 4), m.zeros(2, 4)),
    lambda m: m.nn.MultiheadAttention(4, 2)(*[m.zeros(2, 3, 5)] * 3),
    lambda m: m.nn.MultiheadAttention(4, 2)(*[m.zeros(2, 3, 4)] * 3, attn_mask=m.zeros(3, 3)),
    lambda m: m.nn.MultiheadAttention(4, 2)(*[m.zeros(2, 3, 4)] * 3, attn_mask=m.zeros(3)),
    lambda m: m.nn.MultiheadAttention(4, 2)(
        *[m.zeros(2, 3, 4)] * 3, key_padding_mask=m.zeros(3, 3, dtype=m.bool)
    ),
    lambda m: m.nn.MultiheadAttention(4, 2)(
        *[m.zeros(2, 3, 4)] * 3, key_padding_mask=m.zeros(3, 2, dtype=m.int64)
    ),
    lambda m: m.nn.MultiheadAttention(4, 2)(*[m.zeros(2, 3, 4)] * 3, is_causal=True),
    lambda m: m.nn.Transformer(4, 2, 1, 1, 8)(m.zeros(2, 3, 4), m.zeros(2, 2, 4)),
    lambda m: m.nn.Transformer(4, 2, 1, 1, 8)(m.zeros(2, 3, 5), m.zeros(2, 3, 5)),
    lambda m: m.nn.TransformerEncoderLayer(4, 2, 8, activation="tanh"),
    lambda m: m.nn.functional.scaled_dot_product_attention(
        *[m.zeros(2, 3, 4)] * 3, attn_mask=m.zeros(3, 3), is_causal=True
    ),
    lambda m: m.nn.functional.scaled_dot_product_attention(
        *[m.zeros(2, 3, 4)] * 3, attn_mask=m.zeros(3, 3, dtype=m.int64)
    ),
]


@pytest.mark.parametrize("call", ERRORS)
def test_errors(call) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compare_errors(call)

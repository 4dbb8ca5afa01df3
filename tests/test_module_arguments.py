"""Every module with arguments by chance, good and bad, and inputs of shapes and dtypes by chance:
what torch gives, rnn gives.

A row of CASES draws a module's arguments and inputs from `p`, which picks one of what it is given
(the first is the simplest). Compared: the exception and its words, repr, state dict, outputs,
gradients of inputs and parameters; in training and in evaluation, at both resolutions.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from helpers import to_numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rnn


class F(NamedTuple):
    """A float input: its shape and range; grad: whether its gradient is wanted."""

    shape: tuple[int, ...]
    low: float = -2.0
    high: float = 2.0
    grad: bool = True


class Ints(NamedTuple):
    """An integer input, low <= x < high."""

    shape: tuple[int, ...]
    low: int
    high: int
    dtype: str = "int64"


class Signs(NamedTuple):
    """Floats of -1 and 1."""

    shape: tuple[int, ...]


class Bools(NamedTuple):
    """A mask: each true by chance, the first of a row false."""

    shape: tuple[int, ...]


class Given(NamedTuple):
    """Values as they are, or a function of the library."""

    value: Any


Pick = Callable[..., Any]
Case = Callable[[Pick], tuple[dict[str, Any], list[Any]]]

YES = (True, False)
NO = (False, True)


def batch(p: Pick) -> tuple[int, ...]:
    return p((2,), (), (3, 2), (1,), (0,))


def some(p: Pick, n: int, *values: Any) -> Any:
    """One value for all dimensions, or a tuple of n."""
    return p(values[0], tuple(p(*values) for _ in range(n)), p(*values))


def elementwise(**arguments: Any) -> Case:
    """A module of one tensor of any shape; arguments: what each may be."""

    def case(p: Pick) -> tuple[dict[str, Any], list[Any]]:
        shape = p((3, 4), (4,), (), (2, 3, 4), (0, 3), (2, 1, 3, 2))
        return {k: p(*v) for k, v in arguments.items()}, [F(shape)]

    return case


def dropout(n: int) -> Case:
    def case(p: Pick) -> tuple[dict[str, Any], list[Any]]:
        shape = p((2, 3), (3,), (2,)) + (4, 3, 2)[: p(n, n, n + 1, max(n - 1, 0))]
        return {"p": p(0.5, 0.0, 1.0, 0.3, 1, 1.5, -0.1), "inplace": False}, [F(shape)]

    return case


def linear(p: Pick) -> tuple[dict[str, Any], list[Any]]:
    n = p(3, 1, 2)
    options = {"in_features": n, "out_features": p(2, 1, 4), "bias": p(*YES)}
    return options, [F((*batch(p), n))]


def bilinear(p: Pick) -> tuple[dict[str, Any], list[Any]]:
    a, b, outer = p(3, 1, 2), p(2, 1), batch(p)
    options = {"in1_features": a, "in2_features": b, "out_features": p(2, 1), "bias": p(*YES)}
    return options, [F((*outer, a)), F((*outer, b))]


def conv(n: int, transposed: bool = False) -> Case:
    def case(p: Pick) -> tuple[dict[str, Any], list[Any]]:
        groups = p(1, 1, 2, 3)
        options = {
            "in_channels": groups * p(1, 2),
            "out_channels": groups * p(1, 2, 3) + p(0, 0, 0, 1),
            "kernel_size": some(p, n, 2, 1, 3),
            "stride": some(p, n, 1, 2, 3),
            "padding": some(p, n, 0, 1, 2),
            "dilation": some(p, n, 1, 2),
            "groups": groups,
            "bias": p(*YES),
            "padding_mode": p("zeros", "zeros", "reflect", "replicate", "circular", "constant"),
        }
        if transposed:
            options["padding"] = some(p, n, 0, 1)
            options["output_padding"] = some(p, n, 0, 0, 1)
            options["padding_mode"] = p("zeros", "zeros", "zeros", "reflect")
        elif p(*NO, False):
            options["padding"] = p("same", "valid", "full")
        outer, least = p((2,), (), (1,)), 3 if transposed else 2
        return options, [
            F((*outer, options["in_channels"], *(p(5, 4, 6, least) for _ in range(n))))
        ]

    return case


def pool(n: int, kind: str) -> Case:
    def case(p: Pick) -> tuple[dict[str, Any], list[Any]]:
        options = {"kernel_size": some(p, n, 2, 1, 3), "ceil_mode": p(*NO)}
        if p(*YES):
            options["stride"] = p(None, some(p, n, 1, 2, 3))
        if kind != "LP" and p(*YES):
            options["padding"] = some(p, n, 0, 1)
        if kind == "Max":
            options["dilation"] = some(p, n, 1, 1, 2)
            options["return_indices"] = p(*NO)
        if kind == "LP":
            options["norm_type"] = p(2, 1, 3.0)
            options["kernel_size"] = p(2, 1, 3) if n == 1 else options["kernel_size"]
        if kind == "Avg":
            options["count_include_pad"] = p(*YES)
            if n == 2:
                options["divisor_override"] = p(None, None, 3, 0)
        return options, [F((*p((2,), ()), 2, *(p(5, 4, 6, 2) for _ in range(n))), 0.1)]

    return case


def unpool(n: int) -> Case:
    def case(p: Pick) -> tuple[dict[str, Any], list[Any]]:
        places = np.arange(3) * 2 + p(0, 1)
        if n == 2:
            places = (places[:, None] * 6 + places[None]) + np.zeros((2, 1, 1), np.int64)
        shape = (2, 3, 3) if n == 2 else (2, 3)
        places = np.broadcast_to(places, shape).copy()
        options = {"kernel_size": some(p, n, 2), "stride": p(None, 2), "padding": 0}
        return options, [F(shape), Given(places)]

    return case


def adaptive(n: int, maximum: bool) -> Case:
    def case(p: Pick) -> tuple[dict[str, Any], list[Any]]:
        sizes = (2, 1, 3, 7) if n == 1 else (2, 1, 3, 7, None)
        options = {"output_size": some(p, n, *sizes)}
        if maximum:
            options["return_indices"] = p(*NO)
        return options, [F((*p((2,), ()), 2, *(p(5, 4, 6, 1) for _ in range(n))))]

    return case


def batch_norm(n: int) -> Case:
    def case(p: Pick) -> tuple[dict[str, Any], list[Any]]:
        c = p(3, 1, 2)
        options = {
            "num_features": c,
            "eps": p(1e-5, 1e-3, 0.1),
            "momentum": p(0.1, None, 0.5, 0.0),
            "affine": p(*YES),
            "track_running_stats": p(*YES),
        }
        return options, [F((p(4, 2, 1), c, *(p(3, 2, 1) for _ in range(p(n, n, n, n + 1)))))]

    return case


def instance_norm(n: int) -> Case:
    def case(p: Pick) -> tuple[dict[str, Any], list[Any]]:
        options, inputs = batch_norm(n)(p)
        options["affine"], options["track_running_stats"] = p(*NO), p(*NO)
        return options, [F(inputs[0].shape[p(0, 0, 1) :])]

    return case


def group_norm(p: Pick) -> tuple[dict[str, Any], list[Any]]:
    groups = p(2, 1, 3)
    c = groups * p(2, 1) + p(0, 0, 0, 1)
    options = {"num_groups": groups, "num_channels": c, "eps": p(1e-5, 0.1), "affine": p(*YES)}
    return options, [F((p(2, 1), c, *(3, 2)[: p(0, 1, 2)]))]


def layer_norm(rms: bool) -> Case:
    def case(p: Pick) -> tuple[dict[str, Any], list[Any]]:
        shape = p((4,), (2, 3), (1,), 3, [2])
        options = {
            "normalized_shape": shape,
            "eps": p(1e-5, 1e-3, *([None] if rms else [])),
            "elementwise_affine": p(*YES),
        }
        if not rms:
            options["bias"] = p(*YES)
        return options, [F((*batch(p), *((shape,) if isinstance(shape, int) else shape)))]

    return case


def local_response_norm(p: Pick) -> tuple[dict[str, Any], list[Any]]:
    options = {"size": p(2, 1, 3, 5), "alpha": p(1e-4, 0.5), "beta": p(0.75, 1.0), "k": p(1.0, 2.0)}
    return options, [F((2, p(3, 4), *(3, 2)[: p(1, 2, 0)]))]


def recurrent(kind: str) -> Case:
    def case(p: Pick) -> tuple[dict[str, Any], list[Any]]:
        d, h, layers, both = p(2, 1, 3), p(3, 1, 2), p(1, 2, 3), p(*NO)
        first, rows = p(*NO), p(2, 1, None)
        options = {
            "input_size": d,
            "hidden_size": h,
            "num_layers": layers,
            "bias": p(*YES),
            "batch_first": first,
            "dropout": p(0.0, 0.0, 0.5) if layers > 1 else 0.0,
            "bidirectional": both,
        }
        if kind == "RNN":
            options["nonlinearity"] = p("tanh", "relu", "gelu")
        if kind == "LSTM":
            options["proj_size"] = p(0, 0, 0, 1, 3)
        steps = p(3, 1, 5)
        shape = (steps,) if rows is None else ((rows, steps) if first else (steps, rows))
        inputs: list[Any] = [F((*shape, d))]
        states = (layers * (2 if both else 1), *(() if rows is None else (rows,)))
        given = p(*NO)
        if given and kind == "LSTM":
            real = options["proj_size"] or h
            inputs.append((F((*states, real)), F((*states, h))))
        elif given:
            inputs.append(F((*states, h)))
        return options, inputs

    return case


def cell(kind: str) -> Case:
    def case(p: Pick) -> tuple[dict[str, Any], list[Any]]:
        d, h, outer = p(2, 1, 3), p(3, 1), p((2,), (), (1,))
        options = {"input_size": d, "hidden_size": h, "bias": p(*YES)}
        if kind == "RNN":
            options["nonlinearity"] = p("tanh", "relu", "gelu")
        state = F((*outer, h))
        inputs: list[Any] = [F((*outer, d))]
        if p(*YES):
            inputs.append((state, state) if kind == "LSTM" else state)
        return options, inputs

    return case


def embedding(p: Pick) -> tuple[dict[str, Any], list[Any]]:
    n = p(5, 1, 3)
    options = {
        "num_embeddings": n,
        "embedding_dim": p(3, 1),
        "padding_idx": p(None, 0, -1, n - 1, n),
        "max_norm": p(None, None, 1.0),
        "norm_type": p(2.0, 1.0),
    }
    kinds = ("int64", "int32", *(["int16"] if options["max_norm"] is None else []))
    return options, [Ints(p((3,), (), (2, 3), (0,)), 0, n, p(*kinds))]


def embedding_bag(p: Pick) -> tuple[dict[str, Any], list[Any]]:
    n = p(5, 3)
    options = {
        "num_embeddings": n,
        "embedding_dim": p(3, 1),
        "mode": p("mean", "sum", "max", "last"),
        "padding_idx": p(None, 0, -1),
        "include_last_offset": p(*NO),
    }
    if p(*YES):
        inputs: list[Any] = [Ints((2, 3), 0, n)]
    else:
        starts = ([0, 2, 5], [0, 0, 5]) if options["include_last_offset"] else ([0, 2], [0, 0, 4])
        inputs = [Ints((5,), 0, n), Given(np.array(p(*starts)))]
    return options, inputs


def attention(p: Pick) -> tuple[dict[str, Any], list[Any]]:
    heads = p(2, 1, 3)
    e = heads * p(2, 1)
    first, rows, t, s = p(*NO), p(2, 1, None), p(3, 1), p(4, 2)
    options = {
        "embed_dim": e,
        "num_heads": p(heads, heads, heads, heads + 1),
        "bias": p(*YES),
        "add_bias_kv": p(*NO, False),
        "add_zero_attn": p(*NO, False),
        "kdim": p(None, None, 3),
        "vdim": p(None, None, 5),
        "batch_first": first,
    }

    def shape(n: int, d: int) -> tuple[int, ...]:
        return (n, d) if rows is None else ((rows, n, d) if first else (n, rows, d))

    inputs: list[Any] = [
        F(shape(t, e)),
        F(shape(s, options["kdim"] or e)),
        F(shape(s, options["vdim"] or e)),
        p(Given(None), Bools((s,) if rows is None else (rows, s))),
        Given(p(*YES)),
        p(Given(None), Bools((t, s)), F((t, s), grad=False)),
        Given(p(*YES)),
    ]
    return options, inputs


def encoder_layer(decoder: bool) -> Case:
    def case(p: Pick) -> tuple[dict[str, Any], list[Any]]:
        heads = p(2, 1)
        d, first, rows, t, s = heads * p(2, 3), p(*NO), p(2, None), p(3, 1), p(2, 4)
        options = {
            "d_model": d,
            "nhead": heads,
            "dim_feedforward": p(4, 3),
            "dropout": 0.0,
            "activation": p("relu", "gelu", "tanh"),
            "layer_norm_eps": p(1e-5, 1e-3),
            "batch_first": first,
            "norm_first": p(*NO),
            "bias": p(*YES),
        }

        def shape(n: int) -> tuple[int, ...]:
            return (n, d) if rows is None else ((rows, n, d) if first else (n, rows, d))

        mask = p(Given(None), Bools((t, t)))
        return options, [F(shape(t)), *([F(shape(s))] if decoder else []), mask]

    return case


def transformer(p: Pick) -> tuple[dict[str, Any], list[Any]]:
    options, (tgt, src, _) = encoder_layer(True)(p)
    options |= {"num_encoder_layers": p(1, 2), "num_decoder_layers": p(1, 2)}
    return options, [src, tgt]


REDUCTION = ("mean", "sum", "none", "average")


def loss(
    target: Callable[[Pick, tuple[int, ...]], list[Any]],
    low: float = -2.0,
    high: float = 2.0,
    shapes: tuple[tuple[int, ...], ...] = ((3, 4), (4,), (), (2, 3, 2)),
    **arguments: Any,
) -> Case:
    def case(p: Pick) -> tuple[dict[str, Any], list[Any]]:
        options = {k: p(*v) for k, v in arguments.items()} | {"reduction": p(*REDUCTION)}
        shape = p(*shapes)
        return options, [F(shape, low, high), *target(p, shape)]

    return case


def alike(low: float = -2.0, high: float = 2.0, grad: bool = True) -> Any:
    def target(p: Pick, shape: tuple[int, ...]) -> list[Any]:
        return [F(p(shape, shape, shape, (*shape[:-1], 1)), low, high, grad)]

    return target


def classes(p: Pick, options: dict[str, Any], low: float, high: float) -> Any:
    c, outer, rest = p(4, 2, 1), p((3,), ()), p((), (2,), (2, 3))
    if not outer:
        rest = ()
    options |= {
        "weight": p(None, F((c,), 0.1, 2.0, False)),
        "ignore_index": p(-100, 1, -1, 0),
        "reduction": p(*REDUCTION),
    }
    target = Ints((*outer, *rest), p(0, 0, 0, -1), c)
    return [F((*outer, c, *rest), low, high), target]


def cross_entropy(p: Pick) -> tuple[dict[str, Any], list[Any]]:
    options: dict[str, Any] = {"label_smoothing": p(0.0, 0.1, 1.0, 1.5)}
    inputs = classes(p, options, -2, 2)
    if p(*NO, False):
        inputs[1] = F(inputs[0].shape, 0.0, 1.0)
        options["ignore_index"] = p(-100, 1)
    return options, inputs


def nll(p: Pick) -> tuple[dict[str, Any], list[Any]]:
    options: dict[str, Any] = {}
    return options, classes(p, options, -2, 0)


def bce_with_logits(p: Pick) -> tuple[dict[str, Any], list[Any]]:
    shape = p((3, 4), (4,), ())
    options = {
        "weight": p(None, F(shape[-1:], 0.1, 2, False)),
        "pos_weight": p(None, F(shape[-1:], 0.1, 2, False)),
        "reduction": p(*REDUCTION),
    }
    return options, [F(shape), F(shape, 0, 1)]


def multi_margin(p: Pick) -> tuple[dict[str, Any], list[Any]]:
    c, outer = p(4, 1), p((3,), ())
    options = {
        "p": p(1, 2, 3),
        "margin": p(1.0, 0.5),
        "weight": p(None, F((c,), 0.1, 2, False)),
        "reduction": p(*REDUCTION),
    }
    return options, [F((*outer, c)), Ints(outer, 0, c)]


def pairs_of_three(p: Pick, shape: tuple[int, ...]) -> list[Any]:
    return [F(shape), F(shape)]


def padding(n: int, kind: str) -> Case:
    def case(p: Pick) -> tuple[dict[str, Any], list[Any]]:
        values = (1, 0, 2, 4, *([-1] if kind in ("Zero", "Constant") else []))
        options = {"padding": p(p(*values), tuple(p(*values) for _ in range(2 * n)))}
        if kind == "Constant":
            options["value"] = p(0.0, 1.5)
        return options, [F((*p((2,), ()), 2, *(p(4, 3, 5) for _ in range(n))))]

    return case


def shaped(*shapes: tuple[int, ...], **arguments: Any) -> Case:
    """A module of one tensor of one of these shapes."""

    def case(p: Pick) -> tuple[dict[str, Any], list[Any]]:
        return {k: p(*v) for k, v in arguments.items()}, [F(p(*shapes))]

    return case


def two(**arguments: Any) -> Case:
    def case(p: Pick) -> tuple[dict[str, Any], list[Any]]:
        shape = p((3, 4), (2, 3, 4), (4,))
        return {k: p(*v) for k, v in arguments.items()}, [F(shape), F(p(shape, (1, *shape[1:])))]

    return case


def upsample(p: Pick) -> tuple[dict[str, Any], list[Any]]:
    n = p(2, 1)
    mode = p("nearest", "bilinear", "linear", "bicubic", "nearest-exact", "area")
    options: dict[str, Any] = {"mode": mode}
    if p(*YES):
        options["scale_factor"] = p(2, 1.5, 0.5, tuple(2.0 for _ in range(n)))
    else:
        options["size"] = p(4, tuple(p(3, 7) for _ in range(n)))
    if p(*NO):
        options["align_corners"] = p(*NO)
    return options, [F((2, 2, *(p(4, 3) for _ in range(n))))]


def fold(p: Pick) -> tuple[dict[str, Any], list[Any]]:
    size, kernel, stride = (p(4, 5), p(4, 6)), p(2, 1, (2, 3)), p(1, 2)
    options = {"output_size": size, "kernel_size": kernel, "stride": stride, "padding": p(0, 1)}
    high, wide = (kernel, kernel) if isinstance(kernel, int) else kernel
    pad = 2 * options["padding"]
    blocks = ((size[0] + pad - high) // stride + 1) * ((size[1] + pad - wide) // stride + 1)
    return options, [F((*p((2,), ()), 2 * high * wide, blocks))]


def image(n: int) -> tuple[tuple[int, ...], ...]:
    return ((2, 8, 4, 2), (8, 4, 2), (2, 3, 4, 4))[:n]


CASES: dict[str, Case] = {
    "CELU": elementwise(alpha=(1.0, 0.5, 0)),
    "ELU": elementwise(alpha=(1.0, 0.5)),
    "GELU": elementwise(approximate=("none", "tanh", "erf")),
    "GLU": shaped((3, 4), (4,), (2, 6, 2), (3, 3), dim=(-1, 0, 1, 3)),
    "SELU": elementwise(),
    "Hardshrink": elementwise(lambd=(0.5, 1.0, 0.0)),
    "Hardsigmoid": elementwise(),
    "Hardswish": elementwise(),
    "Hardtanh": elementwise(min_val=(-1.0, 0.0, 1.0), max_val=(1.0, 0.5, 6)),
    "LeakyReLU": elementwise(negative_slope=(0.01, 0.2, 0, 1)),
    "LogSigmoid": elementwise(),
    "LogSoftmax": elementwise(dim=(None, -1, 0, 1, 3)),
    "Mish": elementwise(),
    "PReLU": shaped((2, 3, 4), (2, 3), (3,), (), num_parameters=(1, 3, 2), init=(0.25, 0.1)),
    "ReLU": elementwise(),
    "ReLU6": elementwise(),
    "RReLU": elementwise(lower=(0.125, 0.2), upper=(1.0 / 3, 0.1)),
    "Sigmoid": elementwise(),
    "SiLU": elementwise(),
    "Softmax": elementwise(dim=(None, -1, 0, 1, 3)),
    "Softmax2d": shaped((2, 3, 2, 2), (3, 2, 2), (2, 3)),
    "Softmin": elementwise(dim=(None, -1, 0, 1, 3)),
    "Softplus": elementwise(beta=(1.0, 2, 0.5), threshold=(20.0, 1)),
    "Softshrink": elementwise(lambd=(0.5, 1.0, 0.0, -1.0)),
    "Softsign": elementwise(),
    "Tanh": elementwise(),
    "Tanhshrink": elementwise(),
    "Threshold": elementwise(threshold=(0.5, 0, -1.0), value=(2.0, 0)),
    "MultiheadAttention": attention,
    "BatchNorm1d": batch_norm(1),
    "BatchNorm2d": batch_norm(2),
    "BatchNorm3d": batch_norm(3),
    "InstanceNorm1d": instance_norm(1),
    "InstanceNorm2d": instance_norm(2),
    "InstanceNorm3d": instance_norm(3),
    "Conv1d": conv(1),
    "Conv2d": conv(2),
    "ConvTranspose1d": conv(1, True),
    "ConvTranspose2d": conv(2, True),
    "AlphaDropout": dropout(1),
    "Dropout": dropout(1),
    "Dropout1d": dropout(1),
    "Dropout2d": dropout(2),
    "Dropout3d": dropout(3),
    "FeatureAlphaDropout": dropout(2),
    "Bilinear": bilinear,
    "Identity": elementwise(),
    "Linear": linear,
    "BCELoss": loss(alike(0, 1), 0.01, 0.99),
    "BCEWithLogitsLoss": bce_with_logits,
    "CosineEmbeddingLoss": loss(
        lambda p, s: [F(s), Signs(s[:-1])], shapes=((3, 4), (4,), (2, 3, 2)), margin=(0.0, 0.5)
    ),
    "CrossEntropyLoss": cross_entropy,
    "GaussianNLLLoss": loss(
        lambda p, s: [F(s), F(p(s, (*s[:-1], 1), s[:-1]), 0.1, 2.0)],
        shapes=((3, 4), (4,), (2, 3, 2)),
        full=NO,
        eps=(1e-6, 0.5),
    ),
    "HingeEmbeddingLoss": loss(lambda p, s: [Signs(s)], margin=(1.0, 0.3)),
    "HuberLoss": loss(alike(), delta=(1.0, 0.3, 0, -1.0)),
    "KLDivLoss": loss(alike(0.1, 1), -3, 0, log_target=NO),
    "L1Loss": loss(alike()),
    "MarginRankingLoss": loss(lambda p, s: [F(s), Signs(s)], margin=(0.0, 0.4)),
    "MSELoss": loss(alike()),
    "MultiLabelMarginLoss": loss(lambda p, s: [Ints(s, -1, s[-1])], shapes=((3, 4), (4,))),
    "MultiLabelSoftMarginLoss": loss(alike(0, 1), shapes=((3, 4), (4,), (2, 3, 2))),
    "MultiMarginLoss": multi_margin,
    "NLLLoss": nll,
    "PoissonNLLLoss": loss(alike(0.1, 4), 0.1, 2, log_input=YES, full=NO, eps=(1e-8, 0.1)),
    "SmoothL1Loss": loss(alike(), beta=(1.0, 0.3, 0, -1.0)),
    "SoftMarginLoss": loss(lambda p, s: [Signs(s)]),
    "TripletMarginLoss": loss(
        pairs_of_three,
        shapes=((3, 4), (4,), (2, 3, 2)),
        margin=(1.0, 0.5, -1),
        p=(2.0, 1, 3.0),
        swap=NO,
    ),
    "TripletMarginWithDistanceLoss": loss(
        pairs_of_three, shapes=((3, 4), (4,)), margin=(1.0, 0.5, 0), swap=NO
    ),
    "GroupNorm": group_norm,
    "LayerNorm": layer_norm(False),
    "LocalResponseNorm": local_response_norm,
    "RMSNorm": layer_norm(True),
    "AdaptiveAvgPool1d": adaptive(1, False),
    "AdaptiveAvgPool2d": adaptive(2, False),
    "AdaptiveMaxPool1d": adaptive(1, True),
    "AdaptiveMaxPool2d": adaptive(2, True),
    "AvgPool1d": pool(1, "Avg"),
    "AvgPool2d": pool(2, "Avg"),
    "LPPool1d": pool(1, "LP"),
    "LPPool2d": pool(2, "LP"),
    "MaxPool1d": pool(1, "Max"),
    "MaxPool2d": pool(2, "Max"),
    "MaxUnpool1d": unpool(1),
    "MaxUnpool2d": unpool(2),
    "GRU": recurrent("GRU"),
    "LSTM": recurrent("LSTM"),
    "RNN": recurrent("RNN"),
    "GRUCell": cell("GRU"),
    "LSTMCell": cell("LSTM"),
    "RNNCell": cell("RNN"),
    "ChannelShuffle": shaped((2, 6, 2, 2), (2, 4, 3), (4, 2, 2), groups=(2, 3, 1, 0)),
    "CircularPad1d": padding(1, "Circular"),
    "CircularPad2d": padding(2, "Circular"),
    "ConstantPad1d": padding(1, "Constant"),
    "ConstantPad2d": padding(2, "Constant"),
    "ConstantPad3d": padding(3, "Constant"),
    "CosineSimilarity": two(dim=(1, 0, -1, 2), eps=(1e-8, 10.0)),
    "Flatten": shaped((2, 3, 4), (2,), (), (2, 3), start_dim=(1, 0, -2), end_dim=(-1, 1, 2)),
    "Fold": fold,
    "PairwiseDistance": two(p=(2.0, 1, 3, 0.5), eps=(1e-6, 0.1), keepdim=NO),
    "PixelShuffle": shaped(*image(3), upscale_factor=(2, 1, 3, 0)),
    "PixelUnshuffle": shaped(*image(3), downscale_factor=(2, 1, 3, 0)),
    "ReflectionPad1d": padding(1, "Reflection"),
    "ReflectionPad2d": padding(2, "Reflection"),
    "ReplicationPad1d": padding(1, "Replication"),
    "ReplicationPad2d": padding(2, "Replication"),
    "Unflatten": shaped(
        (2, 6), (6,), (2, 6, 2), dim=(1, 0, -1), unflattened_size=((2, 3), (6,), (-1, 2), (4, 2))
    ),
    "Unfold": shaped(
        (2, 2, 4, 5), (2, 4, 5), kernel_size=(2, (1, 3), 6), dilation=(1, 2), padding=(0, 1),
        stride=(1, 2, 0),
    ),
    "Upsample": upsample,
    "UpsamplingBilinear2d": shaped((2, 2, 3, 4), (2, 3), scale_factor=(2, 1.5, (2, 3))),
    "UpsamplingNearest2d": shaped((2, 2, 3, 4), (2, 3), size=(4, (5, 3))),
    "ZeroPad1d": padding(1, "Zero"),
    "ZeroPad2d": padding(2, "Zero"),
    "ZeroPad3d": padding(3, "Zero"),
    "Embedding": embedding,
    "EmbeddingBag": embedding_bag,
    "Transformer": transformer,
    "TransformerDecoderLayer": encoder_layer(True),
    "TransformerEncoderLayer": encoder_layer(False),
}  # fmt: skip


# Where torch casts back to the input's dtype on the way, rnn promotes.
PROMOTES = {
    "L1Loss",
    "LocalResponseNorm",
    "MSELoss",
    "MultiheadAttention",
    "Transformer",
    "BCEWithLogitsLoss",
    "GaussianNLLLoss",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
}


class Drawn(NamedTuple):
    options: dict[str, Any]
    inputs: list[Any]
    dtypes: list[str]  # of the float inputs
    double: bool  # the module's weights
    training: bool
    scalar: bool
    seed: int


def drawn(name: str, p: Pick) -> tuple[Drawn, Drawn]:
    """A module and its inputs: as its row has them, and with one of another shape or dtype."""
    options, inputs = CASES[name](p)
    double = p(*NO)
    dtypes = ["float64" if double else "float32" for _ in inputs]
    draw = Drawn(options, inputs, dtypes, double, p(*YES), p(*NO), p(*range(9)))
    mistake, at = p(None, None, None, None, "shape", "dtype"), p(*range(len(inputs)))
    if mistake == "dtype" and name not in PROMOTES:
        other = p("int64", "float32" if double else "float64")
        dtypes = [other if i == at else d for i, d in enumerate(dtypes)]
        return draw, draw._replace(dtypes=dtypes)
    if mistake == "shape" and hasattr(inputs[at], "shape"):
        wrong = [reshaped(p, x) if i == at else x for i, x in enumerate(inputs)]
        return draw, draw._replace(inputs=wrong)
    return draw, draw


def reshaped(p: Pick, x: Any) -> Any:
    """An input of another shape."""
    shape = x.shape
    if len(shape) and p(*YES):
        at = p(*range(len(shape)))
        shape = (*shape[:at], max(shape[at] + p(1, -1), 1), *shape[at + 1 :])
    else:
        shape = p((*shape, 2), (2, *shape), shape[1:])
    return x._replace(shape=shape)


def array_of(x: Any, dtype: str, rng: np.random.Generator) -> Any:
    if isinstance(x, tuple) and type(x) is tuple:
        return tuple(array_of(part, dtype, rng) for part in x)
    if isinstance(x, F):
        return rng.uniform(x.low, x.high, x.shape).astype(dtype)
    if isinstance(x, Ints):
        return rng.integers(x.low, x.high, x.shape).astype(x.dtype)
    if isinstance(x, Signs):
        return np.where(rng.random(x.shape) < 0.5, -1.0, 1.0).astype(dtype)
    if isinstance(x, Bools):
        mask = rng.random(x.shape) < 0.4
        mask[..., :1] = False
        return mask
    return x.value


def tensor_of(m: Any, x: Any, a: Any, leaves: list[Any]) -> Any:
    if isinstance(a, tuple):
        return tuple(tensor_of(m, part, b, leaves) for part, b in zip(x, a))
    if not isinstance(a, np.ndarray):
        return a
    t = m.from_numpy(a.copy())
    if isinstance(x, F) and x.grad and a.dtype.kind == "f":
        leaves.append(t.requires_grad_())
    return t


class Result(NamedTuple):
    error: Any
    text: str
    keys: list[str]
    out: list[Any]
    grads: list[Any]
    buffers: list[Any]
    state: Any


def run(m: Any, name: str, draw: Drawn, state: Any) -> Result:
    """What the module of m gives, or how it fails."""
    rng = np.random.default_rng(draw.seed)
    leaves: list[Any] = []
    text, keys = "", []
    m.manual_seed(draw.seed)
    try:
        options = {
            k: m.from_numpy(array_of(v, "float64" if draw.double else "float32", rng))
            if isinstance(v, F)
            else v
            for k, v in draw.options.items()
        }
        module = getattr(m.nn, name)(**options)
        text, keys = repr(module), list(module.state_dict())
        module.train(draw.training)
        if draw.double:
            module.double()
        if state is not None:
            module.load_state_dict(state)
        state = {k: v.clone() for k, v in module.state_dict().items()}
        inputs = []
        for x, dtype in zip(draw.inputs, draw.dtypes):
            inputs.append(tensor_of(m, x, array_of(x, dtype, rng), leaves))
        m.manual_seed(draw.seed)
        out = flat(module(*inputs))
        roots = [t for t in out if t is not None and t.requires_grad]
        seeds = [m.from_numpy(rng.uniform(0.5, 1.5, tuple(t.shape))).to(t.dtype) for t in roots]
        if roots:
            m.autograd.backward(roots, seeds)
        grads = [t.grad for t in [*leaves, *module.parameters()]]
        return Result(None, text, keys, out, grads, list(module.buffers()), state)
    except Exception as error:
        return Result(error, text, keys, [], [], [], state)


def flat(x: Any) -> list[Any]:
    return [t for part in x for t in flat(part)] if isinstance(x, (tuple, list)) else [x]


# In torch's words where these depend on which of its kernels it has chosen: types only.
VAGUE = (
    "Sizes of tensors must match",
    "padding_mode must be one of",
    "MKLDNN",
    "mkldnn",
    "memory descriptor",
    "expected scalar type",
    "channels_last",
    "compute_indices_weights",
)


# An AttributeError, say, would be a mistake of rnn's own.
REFUSALS = (
    RuntimeError,
    ValueError,
    IndexError,
    TypeError,
    NotImplementedError,
    AssertionError,
)


def words(error: Any) -> str:
    return str(error).partition("\n")[0].replace("torch.", "rnn.")


def difference(theirs: Result, ours: Result, tolerance: float) -> str:
    """What is not the same; "" where all is."""
    if type(theirs.error) is not type(ours.error):
        return f"error {ours.error!r}, not {theirs.error!r}"
    said = words(theirs.error)
    if said != words(ours.error) and not any(w in said for w in VAGUE):
        return f"message {words(ours.error)!r}, not {said!r}"
    if theirs.text != ours.text:
        return f"repr {ours.text}, not {theirs.text}"
    if theirs.keys != ours.keys:
        return f"keys {ours.keys}, not {theirs.keys}"
    for what in ("out", "grads", "buffers"):
        a, b = getattr(theirs, what), getattr(ours, what)
        if len(a) != len(b):
            return f"{len(b)} {what}, not {len(a)}"
        for i, (x, y) in enumerate(zip(a, b)):
            text = not_alike(x, y, tolerance)
            if text:
                return f"{what} {i}: {text}"
    return ""


def not_alike(x: Any, y: Any, tolerance: float) -> str:
    if x is None or y is None:
        return "" if x is y else f"{y}, not {x}"
    if tuple(x.shape) != tuple(y.shape):
        return f"shape {tuple(y.shape)}, not {tuple(x.shape)}"
    if str(x.dtype)[6:] != str(y.dtype)[4:] or x.requires_grad != y.requires_grad:
        return f"{y.dtype}, {y.requires_grad}, not {x.dtype}, {x.requires_grad}"
    a, b = to_numpy(x), to_numpy(y)
    if not np.allclose(b, a, tolerance, tolerance, equal_nan=True):
        return f"{b}, not {a}"
    return ""


def check(name: str, right: Drawn, draw: Drawn) -> str:
    """How rnn differs from torch on `draw`. Arguments that are refused are so in the same words;
    of inputs that do not fit it is enough that they are refused, as torch may say so in many ways.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = run(torch, name, draw, None)
        with rnn.resolution("scalar" if draw.scalar else "tensor"):
            ours = run(rnn, name, draw, None if theirs.error is not None else theirs.state)
    if theirs.error is not None and draw is not right and isinstance(ours.error, REFUSALS):
        return ""
    single = set(draw.dtypes) != {"float64"} or not draw.double
    return difference(theirs, ours, 2e-4 if single else 1e-8)


@pytest.mark.parametrize("name", CASES)
def test_module_of_any_arguments(name: str) -> None:
    @settings(
        max_examples=15,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def test(data: Any) -> None:
        right, draw = drawn(name, lambda *choices: data.draw(st.sampled_from(choices)))
        text = check(name, right, draw)
        assert not text, f"{text}\n{draw}"

    test()

"""Losses against torch: functions and modules, every reduction, both resolutions, edges, errors."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import pytest
import torch
from helpers import compare, compare_errors, to_rnn
from hypothesis import given, settings
from hypothesis import strategies as st

import rnn

REDUCTIONS = ("mean", "sum", "none")


def ints(m, values):
    """int64 values as a tensor of the module m."""
    array = np.asarray(values, np.int64)
    return to_rnn(array) if m is rnn else torch.from_numpy(array)


def signs(*shape: int) -> np.ndarray:
    return np.where(np.random.default_rng(1).random(shape) < 0.5, -1.0, 1.0)


def check(fn, *inputs, **options) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compare(fn, *inputs, layouts=("contiguous", "transposed"), **options)


# name: call(functional, reduction, tensors), inputs, range
PAIRS = {
    "mse_loss": (lambda f, r, x, y: f.mse_loss(x, y, reduction=r), [(3, 4), (3, 4)], (-2, 2)),
    "mse_loss, broadcast": (
        lambda f, r, x, y: f.mse_loss(x, y, reduction=r),
        [(3, 4), (3, 1)],
        (-2, 2),
    ),
    "mse_loss, weight": (
        lambda f, r, x, y, w: f.mse_loss(x, y, reduction=r, weight=w),
        [(3, 4), (3, 4), (3, 4)],
        (0.1, 2),
    ),
    "l1_loss": (lambda f, r, x, y: f.l1_loss(x, y, reduction=r), [(3, 4), (3, 4)], (-2, 2)),
    "smooth_l1_loss": (
        lambda f, r, x, y: f.smooth_l1_loss(x, y, reduction=r, beta=0.7),
        [(3, 4), (3, 4)],
        (-2, 2),
    ),
    "smooth_l1_loss, 0": (
        lambda f, r, x, y: f.smooth_l1_loss(x, y, reduction=r, beta=0.0),
        [(3, 4), (3, 4)],
        (-2, 2),
    ),
    "huber_loss": (
        lambda f, r, x, y: f.huber_loss(x, y, reduction=r, delta=0.7),
        [(3, 4), (3, 4)],
        (-2, 2),
    ),
    "binary_cross_entropy": (
        lambda f, r, x, y: f.binary_cross_entropy(x, y, reduction=r),
        [(3, 4), (3, 4)],
        (0.05, 0.95),
    ),
    "binary_cross_entropy, weight": (
        lambda f, r, x, y, w: f.binary_cross_entropy(x, y, w.detach(), reduction=r),
        [(3, 4), (3, 4), (4,)],
        (0.05, 0.95),
    ),
    "binary_cross_entropy_with_logits": (
        lambda f, r, x, y: f.binary_cross_entropy_with_logits(x * 5, y, reduction=r),
        [(3, 4), (3, 4)],
        (-2, 2),
    ),
    "binary_cross_entropy_with_logits, weights": (
        lambda f, r, x, y, w, p: f.binary_cross_entropy_with_logits(
            x, y, w.detach(), reduction=r, pos_weight=p.detach()
        ),
        [(3, 4), (3, 4), (3, 4), (4,)],
        (0.1, 2),
    ),
    "kl_div": (lambda f, r, x, y: f.kl_div(x, y, reduction=r), [(3, 4), (3, 4)], (0.1, 2)),
    "kl_div, log_target": (
        lambda f, r, x, y: f.kl_div(x, y, reduction=r, log_target=True),
        [(3, 4), (3, 4)],
        (-2, 2),
    ),
    "poisson_nll_loss": (
        lambda f, r, x, y: f.poisson_nll_loss(x, y, reduction=r, full=True),
        [(3, 4), (3, 4)],
        (0.1, 3),
    ),
    "poisson_nll_loss, rates": (
        lambda f, r, x, y: f.poisson_nll_loss(x, y, log_input=False, reduction=r),
        [(3, 4), (3, 4)],
        (0.1, 3),
    ),
    "gaussian_nll_loss": (
        lambda f, r, x, y, v: f.gaussian_nll_loss(x, y, v, reduction=r, full=True),
        [(3, 4), (3, 4), (3, 4)],
        (0.1, 3),
    ),
    "gaussian_nll_loss, one variance a row": (
        lambda f, r, x, y, v: f.gaussian_nll_loss(x, y, v, reduction=r),
        [(3, 4), (3, 4), (3,)],
        (0.1, 3),
    ),
    "soft_margin_loss": (
        lambda f, r, x, y: f.soft_margin_loss(x, y, reduction=r),
        [(3, 4), signs(3, 4)],
        (-2, 2),
    ),
    "hinge_embedding_loss": (
        lambda f, r, x, y: f.hinge_embedding_loss(x, y, 0.7, reduction=r),
        [(3, 4), signs(3, 4)],
        (-2, 2),
    ),
    "margin_ranking_loss": (
        lambda f, r, x, y, t: f.margin_ranking_loss(x, y, t, 0.3, reduction=r),
        [(3, 4), (3, 4), signs(3, 4)],
        (-2, 2),
    ),
    "cosine_embedding_loss": (
        lambda f, r, x, y, t: f.cosine_embedding_loss(x, y, t, 0.1, reduction=r),
        [(3, 4), (3, 4), signs(3)],
        (-2, 2),
    ),
    "triplet_margin_loss": (
        lambda f, r, a, p, n: f.triplet_margin_loss(a, p, n, reduction=r, swap=True),
        [(3, 4), (3, 4), (3, 4)],
        (-2, 2),
    ),
    "triplet_margin_with_distance_loss": (
        lambda f, r, a, p, n: f.triplet_margin_with_distance_loss(
            a, p, n, distance_function=lambda x, y: (x - y).abs().sum(-1), reduction=r
        ),
        [(3, 4), (3, 4), (3, 4)],
        (-2, 2),
    ),
    "multilabel_soft_margin_loss": (
        lambda f, r, x, y, w: f.multilabel_soft_margin_loss(x, y, w, reduction=r),
        [(3, 4), (3, 4), (4,)],
        (0.1, 1),
    ),
}


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", PAIRS)
def test_loss(name: str, reduction: str) -> None:
    call, inputs, (low, high) = PAIRS[name]
    if name.startswith(("hinge", "margin", "cosine", "soft_m")):
        # the target is a constant
        def fn(m, *t):
            return call(m.nn.functional, reduction, *t[:-1], t[-1].detach())
    else:

        def fn(m, *t):
            return call(m.nn.functional, reduction, *t)

    check(fn, *inputs, low=low, high=high)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("p", [1, 2])
def test_margins_of_classes(p: int, reduction: str) -> None:
    check(
        lambda m, x, w: m.nn.functional.multi_margin_loss(
            x, ints(m, [1, 0, 3]), p, 0.8, w.detach(), reduction=reduction
        ),
        (3, 4),
        np.array([0.5, 1.0, 2.0, 1.5]),
    )
    check(
        lambda m, x: m.nn.functional.multilabel_margin_loss(
            x, ints(m, [[1, 0, -1, 2], [3, -1, 0, 0], [-1, 1, 1, 1]]), reduction=reduction
        ),
        (3, 4),
    )


def test_batchmean() -> None:
    check(
        lambda m, x, y: m.nn.functional.kl_div(x, y, reduction="batchmean"),
        (3, 4),
        (3, 4),
        low=0.1,
    )


def test_extremes_of_binary_cross_entropy() -> None:
    x = np.array([0.0, 1.0, 0.0, 1.0, 1e-30, 1 - 1e-7])
    y = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0])
    compare(
        lambda m, a: m.nn.functional.binary_cross_entropy(
            a, m.tensor(y.tolist(), dtype=a.dtype), reduction="none"
        ),
        x,
        layouts=("contiguous",),
        resolutions=("tensor",),  # at 0 and 1 the composition has another gradient
        edges=False,
        rtol={"float64": 1e-7},  # torch's 1e-12 is a float32
    )
    big = np.array([100.0, -100.0, 1000.0, -1000.0])
    compare(
        lambda m, a: m.nn.functional.binary_cross_entropy_with_logits(
            a, m.ones(4, dtype=a.dtype), reduction="none"
        ),
        big,
        layouts=("contiguous",),
    )


# ---- cross-entropy ------------------------------------------------------------------------------

WEIGHT = np.array([0.5, 1.0, 2.0, 1.5])
SHAPES = [
    ((3, 4), (3,)),
    ((4,), ()),
    ((2, 4, 3), (2, 3)),
    ((2, 4, 3, 2), (2, 3, 2)),
    ((0, 4), (0,)),
]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shapes", SHAPES)
def test_cross_entropy(shapes, weighted, smoothing, reduction) -> None:
    shape, target_shape = shapes
    target = np.random.default_rng(0).integers(0, 4, target_shape)
    target = np.where(target == 3, -7, target) if target.size > 1 else target

    def fn(m, x, *w):
        return m.nn.functional.cross_entropy(
            x,
            ints(m, target),
            *[t.detach() for t in w],
            ignore_index=-7,
            reduction=reduction,
            label_smoothing=smoothing,
        )

    check(fn, shape, *([WEIGHT] if weighted else []))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shapes", SHAPES)
def test_nll_loss(shapes, weighted, reduction) -> None:
    shape, target_shape = shapes
    target = np.random.default_rng(0).integers(0, 4, target_shape)

    def fn(m, x, *w):
        return m.nn.functional.nll_loss(
            x * 1.0, ints(m, target), *[t.detach() for t in w], ignore_index=2, reduction=reduction
        )

    if len(shape) == 4:  # torch's backward takes no other layout
        compare(fn, shape, *([WEIGHT] if weighted else []), layouts=("contiguous",))
        return
    check(fn, shape, *([WEIGHT] if weighted else []))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(3, 4), (4,), (2, 4, 3)])
def test_cross_entropy_of_probabilities(shape, weighted, smoothing, reduction) -> None:
    def fn(m, x, y, *w):
        return m.nn.functional.cross_entropy(
            x,
            y,
            *[t.detach() for t in w],
            reduction=reduction,
            label_smoothing=smoothing,
        )

    check(fn, shape, shape, *([WEIGHT] if weighted else []))


def test_all_targets_ignored() -> None:
    for reduction in REDUCTIONS:
        for smoothing in (0.0, 0.1):
            check(
                lambda m, x, r=reduction, s=smoothing: m.nn.functional.cross_entropy(
                    x, ints(m, [1, 1]), ignore_index=1, reduction=r, label_smoothing=s
                ),
                (2, 4),
            )


def test_large_logits() -> None:
    x = np.array([[1e4, -1e4, 0.0], [-1e9, -1e9, -1e9], [80.0, 90.0, 100.0]])
    check(
        lambda m, a: m.nn.functional.cross_entropy(a, ints(m, [1, 0, 0])), x, rtol={"float64": 1e-7}
    )


def test_byte_targets() -> None:
    x = rnn.tensor([[1.0, 2.0], [3.0, 0.0]])
    a = rnn.nn.functional.cross_entropy(x, rnn.tensor([0, 1], dtype=rnn.uint8))
    b = rnn.nn.functional.cross_entropy(x, rnn.tensor([0, 1]))
    assert a.item() == b.item()


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 5),
    st.integers(1, 6),
    st.sampled_from(REDUCTIONS),
    st.floats(0, 1),
    st.integers(-1, 5),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_cross_entropy_of_any_arguments(
    n, classes, reduction, smoothing, ignored, weighted, random
) -> None:
    target = [random.randrange(classes) for _ in range(n)]
    weight = [random.random() + 0.1 for _ in range(classes)]

    def fn(m, x):
        w = m.tensor(weight, dtype=x.dtype) if weighted else None
        return m.nn.functional.cross_entropy(
            x,
            ints(m, target),
            w,
            ignore_index=ignored,
            reduction=reduction,
            label_smoothing=smoothing,
        )

    compare(fn, (n, classes), layouts=("contiguous",), edges=False)


# ---- errors, warnings, modules ------------------------------------------------------------------

ERRORS = {
    "batch": (lambda m, x: m.nn.functional.cross_entropy(x, ints(m, [0, 1])), [(3, 4)]),
    "class": (lambda m, x: m.nn.functional.cross_entropy(x, ints(m, [0, 1, 4])), [(3, 4)]),
    "negative class": (
        lambda m, x: m.nn.functional.cross_entropy(x, ints(m, [0, 1, -1])),
        [(3, 4)],
    ),
    "float target": (lambda m, x, y: m.nn.functional.cross_entropy(x, y), [(3, 4), (3,)]),
    "no classes": (lambda m, x, y: m.nn.functional.cross_entropy(x, y), [(), ()]),
    "reduction of multilabel": (
        lambda m, x: m.nn.functional.multilabel_soft_margin_loss(x, x, reduction="all"),
        [(1, 4)],
    ),
    "reduction of gaussian": (
        lambda m, x: m.nn.functional.gaussian_nll_loss(x, x, 1.0, reduction="all"),
        [(1, 4)],
    ),
    "weights": (lambda m, x, w: m.nn.functional.huber_loss(x, x, weight=w), [(3, 4), (4,)]),
    "weights of mse": (lambda m, x, w: m.nn.functional.mse_loss(x, x, weight=w), [(3, 4), (4,)]),
    "cosine of vectors": (
        lambda m, x, y: m.nn.functional.cosine_embedding_loss(x, y, ints(m, [1])),
        [(4,), (4,)],
    ),
    "two targets": (lambda m, x: m.nn.functional.cross_entropy(x, ints(m, [[0, 1]] * 3)), [(3, 4)]),
    "one-hot": (lambda m, x: m.nn.functional.cross_entropy(x, ints(m, [[0, 1]] * 3)), [(3, 2)]),
    "places": (lambda m, x: m.nn.functional.cross_entropy(x, ints(m, [[0, 1]])), [(1, 4, 3)]),
    "smoothing": (
        lambda m, x: m.nn.functional.cross_entropy(x, ints(m, [0]), label_smoothing=2.0),
        [(1, 4)],
    ),
    "reduction": (
        lambda m, x: m.nn.functional.cross_entropy(x, ints(m, [0]), reduction="all"),
        [(1, 4)],
    ),
    "weight": (lambda m, x, w: m.nn.functional.cross_entropy(x, ints(m, [0]), w), [(1, 4), (3,)]),
    "nll batch": (lambda m, x: m.nn.functional.nll_loss(x, ints(m, [0, 1])), [(3, 4)]),
    "nll class": (lambda m, x: m.nn.functional.nll_loss(x, ints(m, [0, 1, 4])), [(3, 4)]),
    "bce shapes": (lambda m, x, y: m.nn.functional.binary_cross_entropy(x, y), [(3,), (2,)]),
    "bce range": (lambda m, x, y: m.nn.functional.binary_cross_entropy(x + 9, y), [(3,), (3,)]),
    "bce dtype": (
        lambda m, x: m.nn.functional.binary_cross_entropy(x * 0, ints(m, [0, 1, 1])),
        [(3,)],
    ),
    "logits shapes": (
        lambda m, x, y: m.nn.functional.binary_cross_entropy_with_logits(x, y),
        [(3,), (2,)],
    ),
    "mse": (lambda m, x, y: m.nn.functional.mse_loss(x, y), [(3, 4), (3, 5)]),
    "smooth_l1": (lambda m, x, y: m.nn.functional.smooth_l1_loss(x, y, beta=-1.0), [(3,), (3,)]),
    "huber": (lambda m, x, y: m.nn.functional.huber_loss(x, y, delta=0.0), [(3,), (3,)]),
    "gaussian": (
        lambda m, x, y: m.nn.functional.gaussian_nll_loss(x, y, x * 0 - 1),
        [(3,), (3,)],
    ),
    "cosine": (
        lambda m, x, y: m.nn.functional.cosine_embedding_loss(x, y, ints(m, 1)),
        [(3, 4), (3, 4)],
    ),
    "ranking": (
        lambda m, x, y: m.nn.functional.margin_ranking_loss(x, y, ints(m, [1])),
        [(3, 4), (3, 4)],
    ),
    "triplet": (
        lambda m, x: m.nn.functional.triplet_margin_loss(x, x, x, margin=-1.0),
        [(3, 4)],
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    call, inputs = ERRORS[name]
    compare_errors(call, *inputs)


def test_sizes_that_broadcast_warn() -> None:
    with pytest.warns(UserWarning, match="Using a target size"):
        rnn.nn.functional.mse_loss(rnn.ones(3, 4), rnn.ones(4))


MODULES = {
    "L1Loss": [(3, 4), (3, 4)],
    "MSELoss": [(3, 4), (3, 4)],
    "SmoothL1Loss": [(3, 4), (3, 4)],
    "HuberLoss": [(3, 4), (3, 4)],
    "BCEWithLogitsLoss": [(3, 4), (3, 4)],
    "KLDivLoss": [(3, 4), (3, 4)],
    "PoissonNLLLoss": [(3, 4), (3, 4)],
    "CrossEntropyLoss": [(3, 4), (3, 4)],
    "TripletMarginLoss": [(3, 4), (3, 4), (3, 4)],
    "MarginRankingLoss": [(3, 4), (3, 4), (3, 4)],
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODULES)
def test_module(name: str) -> None:
    for reduction in REDUCTIONS:
        compare(
            lambda m, *t, r=reduction: getattr(m.nn, name)(reduction=r)(*t),
            *MODULES[name],
            low=0.1,
            layouts=("contiguous",),
            edges=False,
        )


def test_modules_with_weights() -> None:
    weight = [0.5, 1.0, 2.0, 1.5]
    target = [1, 0, 3]
    cases = {
        "CrossEntropyLoss": {"ignore_index": 0, "label_smoothing": 0.1},
        "NLLLoss": {"ignore_index": 0},
        "MultiMarginLoss": {"p": 2},
    }
    for name, options in cases.items():

        def fn(m, x, name=name, options=options):
            module = getattr(m.nn, name)(weight=m.tensor(weight, dtype=x.dtype), **options)
            assert list(module.state_dict()) == ["weight"]
            return module(x, ints(m, target))

        compare(fn, (3, 4), layouts=("contiguous",), edges=False)


def test_old_arguments() -> None:
    x, y = rnn.tensor([1.0, 2.0]), rnn.tensor([0.0, 0.0])
    assert rnn.nn.MSELoss(size_average=False)(x, y).item() == 5.0
    assert rnn.nn.MSELoss(reduce=False)(x, y).tolist() == [1.0, 4.0]
    assert math.isnan(
        rnn.nn.CrossEntropyLoss(ignore_index=0)(rnn.ones(1, 2), rnn.tensor([0])).item()
    )


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_grad_fn_of_a_mean_loss_is_the_loss(reduction: str) -> None:
    for m in (torch, rnn):
        x = m.full((3,), 0.25, requires_grad=True)
        y, loss = m.ones(3), m.nn.functional
        names = [
            f(x, y, reduction=reduction).grad_fn.name()
            for f in (loss.mse_loss, loss.huber_loss, loss.binary_cross_entropy)
        ]
        assert names == ["MseLossBackward0", "HuberLossBackward0", "BinaryCrossEntropyBackward0"]
        assert ((x - y) ** 2).sum().grad_fn.name() == "SumBackward0"


# ---- dtypes -------------------------------------------------------------------------------------

DTYPES = ("float32", "float64", "int64", "bool")
OF_TWO = (
    "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "soft_margin_loss", "kl_div",
    "hinge_embedding_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits",
    "poisson_nll_loss", "multilabel_soft_margin_loss",
)  # fmt: skip
OF_CLASSES = ("cross_entropy", "nll_loss", "multi_margin_loss")
WEIGHTED = ("mse_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy")


def of_dtypes(m, name: str, arrays, weight):
    """dtype, value and the gradients' dtypes; or the error."""
    inputs = [m.tensor(array) for array in arrays]
    if inputs[0].is_floating_point():
        inputs[0].requires_grad_()
    options = {} if weight is None else {"weight": m.tensor(weight)}
    try:
        loss = getattr(m.nn.functional, name)(*inputs, **options)
    except Exception as error:
        return type(error), str(error).splitlines()[0]
    if loss.requires_grad and not (name == "huber_loss" and arrays[0].dtype != arrays[1].dtype):
        loss.backward()  # torch's huber_loss has no gradient of two dtypes
    kinds = [None if t.grad is None else str(t.grad.dtype).split(".")[1] for t in inputs]
    return str(loss.dtype).split(".")[1], pytest.approx(loss.item(), rel=1e-5, abs=1e-6), kinds


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", OF_TWO + OF_CLASSES)
def test_dtypes_that_differ(name: str) -> None:
    """Results, gradients and errors where input, target and weight have other dtypes."""
    rng = np.random.default_rng(2)
    for first, second in itertools.product(DTYPES, DTYPES):
        if name == "soft_margin_loss" and second == "bool":
            continue  # torch fails in backward only
        values = rng.uniform(0.1, 0.9, (3, 4)).astype(first)
        classes = name in OF_CLASSES
        target = rng.integers(0, 4, 3) if classes else rng.uniform(0.1, 0.9, (3, 4))
        arrays = [values, target.astype(second)]
        weights = [None]
        if name in WEIGHTED:
            size = 4 if name == "cross_entropy" else (3, 4)
            weights += [rng.uniform(0.5, 2, size).astype(kind) for kind in ("float32", "float64")]
        for weight in weights:
            ours = of_dtypes(rnn, name, arrays, weight)
            assert ours == of_dtypes(torch, name, arrays, weight), (first, second, weight)


# ---- connectionist temporal classification -------------------------------------------------------

# (T, N, C), targets, lengths of inputs and of targets
ALIGNED = {
    "padded": ((6, 3, 4), [[1, 2, 2], [3, 1, 0], [2, 3, 1]], (6, 5, 4), (3, 2, 0)),
    "in a row": ((6, 3, 4), [1, 2, 2, 3, 1], (6, 5, 4), (3, 2, 0)),
    "one": ((5, 4), [1, 1], (5,), (2,)),
}


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ALIGNED)
def test_ctc_loss(name: str, reduction: str) -> None:
    shape, targets, inputs, lengths = ALIGNED[name]

    def loss(m, x):
        logs = x.log_softmax(-1)
        return m.nn.functional.ctc_loss(
            logs, ints(m, targets), ints(m, inputs), ints(m, lengths), reduction=reduction
        )

    compare(loss, shape)
    assert repr(rnn.nn.CTCLoss()) == repr(torch.nn.CTCLoss())


def test_ctc_loss_of_an_input_that_is_too_short() -> None:
    values = np.random.default_rng(0).standard_normal((2, 2, 4))
    for zero in (False, True):
        found = []
        for m in (rnn, torch):
            x = m.tensor(values, requires_grad=True)
            losses = m.nn.CTCLoss(blank=3, reduction="none", zero_infinity=zero)(
                x.log_softmax(2), m.tensor([[1, 1], [0, 1]]), (2, 2), (2, 2)
            )
            losses[1 - zero :].sum().backward()
            grad = x.grad.numpy()[:, 1 - zero :]  # an infinite loss makes torch's NaN
            found.append((losses.tolist(), grad))
        (ours, grad), (theirs, expected) = found
        assert ours == pytest.approx(theirs)
        assert (ours[0] == 0) if zero else math.isinf(ours[0])
        np.testing.assert_allclose(grad, expected, atol=1e-7)


@pytest.mark.parametrize("arguments", [
    ([[1, 1], [1, 1]], (5, 4), (1, 1)), ([[1, 1], [1, 1]], (4, 4), (1, 3)),
    ([1, 1, 1], (4, 4), (1, 1)), ([[1, 1], [1, 1]], (4,), (1, 1)), ([[1], [1]], (4, 4), (1,)),
    ([[1], [1]], (4, 4), (1, 1), 7),
])  # fmt: skip
def test_errors_of_ctc_loss(arguments) -> None:
    targets, *rest = arguments
    compare_errors(lambda m, x: m.nn.functional.ctc_loss(x, ints(m, targets), *rest), (4, 2, 3))

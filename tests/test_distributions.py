"""rnn.distributions against torch.distributions: values, gradients, samples of one seed, errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from helpers import compare, compare_errors, to_numpy

import rnn

# name: a distribution of module m by two free tensors a, b of one shape, and a value in its support
CASES: dict[str, Any] = {
    "normal": (lambda m, a, b: m.distributions.Normal(a, b.exp()), [[0.3], [-1.2]]),
    "normal, broadcast": (lambda m, a, b: m.distributions.Normal(a[0], b.exp()), [[2.0], [0.5]]),
    "uniform": (lambda m, a, b: m.distributions.Uniform(a - 6, a + 3 + b.exp()), [[-2.5]]),
    "bernoulli, probs": (lambda m, a, b: m.distributions.Bernoulli(a.sigmoid()), [[1.0], [0.0]]),
    "bernoulli, logits": (lambda m, a, b: m.distributions.Bernoulli(logits=a - b), [[0.0], [1.0]]),
    "categorical, probs": (lambda m, a, b: m.distributions.Categorical(a.exp()), [[2, 0], [1, 1]]),
    "categorical, logits": (
        lambda m, a, b: m.distributions.Categorical(logits=a * b),
        [[[1, 0]], [[0, 2]]],
    ),
    "independent": (
        lambda m, a, b: m.distributions.Independent(m.distributions.Normal(a, b.exp()), 1),
        [[0.3], [-1.2]],
    ),
    "exponential": (lambda m, a, b: m.distributions.Exponential(a.exp() + b**2), [[0.3], [2.0]]),
    "laplace": (lambda m, a, b: m.distributions.Laplace(a, b.exp()), [[0.3], [-2.0]]),
    "log normal": (lambda m, a, b: m.distributions.LogNormal(a, b.exp()), [[0.3], [2.0]]),
    "half normal": (lambda m, a, b: m.distributions.HalfNormal((a + b).exp()), [[0.3], [2.0]]),
    "gumbel": (lambda m, a, b: m.distributions.Gumbel(a, b.exp()), [[0.3], [-2.0]]),
    "multivariate normal": (lambda m, a, b: gaussian(m, a, b), [[[0.3, -1.0, 2.0]], [[1.0, 0, 0]]]),
    "multivariate normal, scale": (
        lambda m, a, b: gaussian(m, a, b, "scale_tril"),
        [[[0.3, -1.0, 2.0]], [[1.0, 0.0, 0.0]]],
    ),
    "multivariate normal, precision": (
        lambda m, a, b: gaussian(m, a, b, "precision_matrix"),
        [[[0.3, -1.0, 2.0]], [[1.0, 0.0, 0.0]]],
    ),
    "one hot": (
        lambda m, a, b: m.distributions.OneHotCategorical(logits=a + b),
        [[[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]]],
    ),
    "one hot, probs": (
        lambda m, a, b: m.distributions.OneHotCategoricalStraightThrough((a + b).exp()),
        [[[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]]],
    ),
    "mixture": (
        lambda m, a, b: m.distributions.MixtureSameFamily(
            m.distributions.Categorical(logits=a), m.distributions.Normal(b, a.exp())
        ),
        [[0.3, -1.0], [2.0, 0.5]],
    ),
    "mixture of vectors": (
        lambda m, a, b: m.distributions.MixtureSameFamily(
            m.distributions.Categorical(logits=a[:, 0]), gaussian(m, a, b)
        ),
        [[0.3, -1.0, 0.5]],
    ),
}


def gaussian(m: Any, a: Any, b: Any, given: str = "covariance_matrix") -> Any:
    """Of three dimensions, a batch of two."""
    matrix = b.unsqueeze(-1) * a.unsqueeze(-2)
    if given == "scale_tril":
        matrix = matrix.tril(-1) + b.exp().diag_embed()
    else:
        matrix = matrix @ matrix.mT + m.eye(3, dtype=a.dtype)
    return m.distributions.MultivariateNormal(a, **{given: matrix})


KINDS = sorted(CASES)
ONE = ("contiguous",)


@pytest.mark.parametrize("name", KINDS)
def test_log_prob_entropy_and_moments(name: str) -> None:
    make, given = CASES[name]
    value = np.array(given, np.float32 if isinstance(given[0][0], float) else np.int64)

    def log_prob(m: Any, a: Any, b: Any) -> Any:
        return make(m, a, b).log_prob(m.from_numpy(value).to(a.dtype))

    edges = "multivariate" not in name and "vectors" not in name  # a Function has none
    one: dict[str, Any] = {"layouts": ONE, "dtypes": ("float64",), "edges": edges}
    compare(log_prob, (2, 3), (2, 3), **one)
    if not name.startswith("mixture"):  # has no entropy, in torch either
        compare(lambda m, a, b: make(m, a, b).entropy(), (2, 3), (2, 3), **one)
    for moment in ("mean", "variance", "stddev"):
        if not name.startswith("categorical"):
            moments = [(2, 3), (2, 3)]
            compare(lambda m, a, b: getattr(make(m, a, b), moment), *moments, **one)


@pytest.mark.parametrize("name", KINDS)
def test_samples_of_one_seed(name: str) -> None:
    make, _ = CASES[name]
    drawn = []
    for m in (torch, rnn):
        a = m.linspace(-1, 1, 6).view(2, 3).requires_grad_()
        d = make(m, a, m.ones(2, 3) / 3)
        m.manual_seed(3)
        samples = [d.sample(), d.sample((4,)), d.sample((2, 3))]
        samples.append(d.expand((5, *d.batch_shape)).sample())
        if d.has_rsample:
            samples.append(d.rsample((4,)))
            samples[-1].sum().backward()
            samples.append(a.grad)
        assert not samples[0].requires_grad
        drawn.append(samples)
    for ours, theirs in zip(drawn[1], drawn[0]):
        assert tuple(ours.shape) == tuple(theirs.shape)
        assert str(ours.dtype).removeprefix("rnn.") == str(theirs.dtype).removeprefix("torch.")
        np.testing.assert_allclose(to_numpy(ours), to_numpy(theirs), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", KINDS)
def test_shapes_and_repr(name: str) -> None:
    make, _ = CASES[name]
    seen = []
    for m in (torch, rnn):
        d = make(m, m.zeros(2, 3), m.zeros(2, 3))
        c = d.support
        seen.append(
            (
                tuple(d.batch_shape),
                tuple(d.event_shape),
                repr(d).replace("torch.", "rnn."),
                d.has_rsample,
                d.has_enumerate_support,
                c.is_discrete,
                c.event_dim,
            )
        )
        if d.has_enumerate_support:
            seen[-1] += (d.enumerate_support().tolist(), d.enumerate_support(False).tolist())
    assert seen[1] == seen[0]


@pytest.mark.parametrize("name", KINDS)
def test_expand(name: str) -> None:
    make, given = CASES[name]
    value = np.array(given)[0]  # of one batch

    def expanded(m: Any, a: Any, b: Any) -> Any:
        made = make(m, a, b)
        bigger = made.expand((4, *made.batch_shape))
        assert type(bigger) is type(made)
        assert tuple(bigger.batch_shape) == (4, *made.batch_shape)
        assert bigger.event_shape == made.event_shape
        moments = [] if name.startswith("categorical") else [bigger.mean, bigger.variance]
        return [bigger.log_prob(m.from_numpy(value).to(a.dtype)), *moments]

    compare(expanded, (2, 3), (2, 3), layouts=ONE, dtypes=("float64",), edges=False)


def test_what_is_expanded_checks_values_still() -> None:
    def run(m: Any) -> Any:
        d = m.distributions
        with pytest.raises(ValueError, match="within the support"):
            d.HalfNormal(1.0).expand((2,)).log_prob(m.tensor(-1.0))
        unchecked = d.HalfNormal(1.0, validate_args=False).expand((2,))
        return unchecked.log_prob(m.tensor(-1.0)).tolist()

    assert run(rnn) == run(torch)
    with pytest.raises(NotImplementedError):
        rnn.distributions.Distribution().expand((2,))


TRANSFORMS: dict[str, Any] = {
    "affine": lambda t, a: t.AffineTransform(a[:1], -a.exp()),
    "affine of numbers": lambda t, a: t.AffineTransform(1.0, -2.0),
    "affine of vectors": lambda t, a: t.AffineTransform(a, a.exp(), event_dim=1),
    "exp": lambda t, a: t.ExpTransform(),
    "power": lambda t, a: t.ComposeTransform([t.ExpTransform(), t.PowerTransform(a[0].exp())]),
    "sigmoid": lambda t, a: t.SigmoidTransform(),
    "softplus": lambda t, a: t.SoftplusTransform(cache_size=1),
    "tanh": lambda t, a: t.TanhTransform(cache_size=1),
    "inverse": lambda t, a: t.ComposeTransform([t.ExpTransform(), t.SigmoidTransform()]).inv.inv,
    "several": lambda t, a: t.ComposeTransform(
        [t.AffineTransform(a, 2.0, event_dim=1), t.TanhTransform(), t.AffineTransform(2.0, 1.0)]
    ),
    "none": lambda t, a: t.ComposeTransform([]),
}


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_transforms(name: str) -> None:
    def run(m: Any, x: Any, a: Any) -> Any:
        t = TRANSFORMS[name](m.distributions.transforms, a)
        y = t(x)
        base = m.distributions.Normal(m.zeros(3, dtype=x.dtype), 1.0)
        d = m.distributions.TransformedDistribution(base, [t])
        return [y, t.inv(y), t.log_abs_det_jacobian(x, y), d.log_prob(y.detach())]

    compare(run, (2, 3), (3,), dtypes=("float64",), layouts=ONE, edges=False)
    seen = []
    for m in (torch, rnn):
        t = TRANSFORMS[name](m.distributions.transforms, m.zeros(3))
        base = m.distributions.Normal(m.zeros(2, 3), 1.0)
        d = m.distributions.TransformedDistribution(base, [t])
        m.manual_seed(1)
        shapes = tuple(d.batch_shape), tuple(d.event_shape), d.has_rsample, t.bijective
        dims = t.domain.event_dim, t.codomain.event_dim, d.support.event_dim
        bigger = d.expand((4, *shapes[0]))
        drawn = d.rsample((2,)), d.sample(), bigger.sample()
        seen.append((shapes, dims, tuple(bigger.batch_shape), [to_numpy(x) for x in drawn]))
    assert seen[1][:3] == seen[0][:3]
    for ours, theirs in zip(seen[1][3], seen[0][3]):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_a_transform_of_one_s_own() -> None:
    for m in (torch, rnn):
        t = m.distributions.transforms

        class Turn(t.Transform):  # type: ignore[misc, name-defined]
            domain = codomain = m.distributions.constraints.real_vector
            bijective = True

            def _call(self, x: Any) -> Any:
                return x.flip(-1) * 2

            def _inverse(self, y: Any) -> Any:
                return y.flip(-1) / 2

            def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
                return m.full(x.shape[:-1], x.shape[-1] * math.log(2))

        base = m.distributions.MultivariateNormal(m.zeros(2), m.eye(2))
        d = m.distributions.TransformedDistribution(base, [Turn(), t.ExpTransform()])
        assert d.log_prob(m.ones(3, 2)).tolist() == pytest.approx([-math.log(2 * math.pi * 4)] * 3)
        assert tuple(d.event_shape) == (2,) and tuple(d.batch_shape) == ()
        kept = t.TanhTransform(cache_size=1)
        x = m.tensor([20.0])
        assert kept.inv(kept(x)) is x
        d = m.distributions
        assert d.kl_divergence(d.LogNormal(0.0, 1.0), d.LogNormal(1.0, 1.0)).item() == 0.5


def test_relaxed() -> None:
    """Samples of one seed, and densities, of one-hot vectors made smooth."""
    point = np.array([[0.2, 0.5, 0.3], [0.7, 0.1, 0.2]])

    def relaxed(m: Any, a: Any) -> Any:
        temperature = m.tensor(0.7, dtype=a.dtype)
        return m.distributions.RelaxedOneHotCategorical(temperature, logits=a)

    compare(
        lambda m, a: relaxed(m, a).log_prob(m.from_numpy(point).to(a.dtype)),
        (2, 3),
        dtypes=("float64",),
        layouts=ONE,
        edges=False,
    )
    drawn = []
    for m in (torch, rnn):
        a = m.linspace(-1, 1, 6).view(2, 3).requires_grad_()
        m.manual_seed(0)
        d = relaxed(m, a)
        y = d.rsample((4,))
        y.square().sum().backward()
        drawn.append([to_numpy(t) for t in (y, a.grad, d.expand((5, 2)).sample(), d.probs)])
    for ours, theirs in zip(drawn[1], drawn[0]):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_matrices_of_a_gaussian() -> None:
    for given in ("covariance_matrix", "scale_tril", "precision_matrix"):
        compare(
            lambda m, a, b: [
                getattr(gaussian(m, a, b, given), name)
                for name in ("covariance_matrix", "precision_matrix", "scale_tril", "variance")
            ],
            (2, 3),
            (2, 3),
            dtypes=("float64",),
            layouts=ONE,
            edges=False,
        )


def test_one_gaussian_of_many_vectors() -> None:
    def run(m: Any, a: Any, b: Any) -> Any:
        d = m.distributions.MultivariateNormal(a, scale_tril=b.tril(-1) + m.eye(3, dtype=a.dtype))
        return d.log_prob(m.linspace(0, 1, 24, dtype=a.dtype).view(2, 4, 3)), d.log_prob(a + 1)

    compare(run, (3,), (3, 3), dtypes=("float64",), layouts=ONE, edges=False)


def test_cdf() -> None:
    for kind in ("Laplace", "LogNormal", "Gumbel"):
        compare(
            lambda m, x, kind=kind: [
                getattr(m.distributions, kind)(x, 2.0).cdf(x.exp() + 0.1),
                getattr(m.distributions, kind)(x, 2.0).icdf(x.sigmoid()),
            ],
            (5,),
            edges=False,
            rtol=1e-4,
        )
    for kind in ("Exponential", "HalfNormal"):
        compare(
            lambda m, x, kind=kind: [
                getattr(m.distributions, kind)(x.exp()).cdf(x * x + 0.1),
                getattr(m.distributions, kind)(x.exp()).icdf(x.sigmoid()),
            ],
            (5,),
            edges=False,
            rtol=1e-4,
        )
    compare(lambda m, x: m.distributions.Normal(x, 2.0).cdf(x * x), (5,), edges=False)
    compare(lambda m, x: m.distributions.Normal(x, x.exp()).icdf(x.sigmoid()), (5,), edges=False)
    for m in (rnn, torch):
        ends = m.distributions.Normal(1.0, 2.0).icdf(m.tensor([0.0, 1.0, 1.5, 0.5])).tolist()
        assert ends == pytest.approx([-math.inf, math.inf, math.nan, 1.0], nan_ok=True)
    compare(lambda m, x: m.distributions.Uniform(-1.0, x.exp() + 1).cdf(x * 0 + 0.25), (5,))
    compare(lambda m, x: m.distributions.Uniform(-1.0, x.exp() + 1).icdf(x * 0 + 0.25), (5,))


def test_modes() -> None:
    compare(lambda m, x: m.distributions.Categorical(logits=x).mode, (2, 5))
    compare(lambda m, x: m.distributions.Bernoulli(logits=x).mode, (2, 5))
    compare(lambda m, x: m.distributions.Normal(x, 1.0).mode, (2, 5))


PAIRS: dict[str, Any] = {
    "normal": lambda d, a, b: (d.Normal(a, b.exp()), d.Normal(b, a.exp())),
    "bernoulli": lambda d, a, b: (d.Bernoulli(logits=a), d.Bernoulli(b.sigmoid())),
    "categorical": lambda d, a, b: (d.Categorical(logits=a), d.Categorical(b.exp())),
    "uniform": lambda d, a, b: (d.Uniform(0.0, a.exp()), d.Uniform(-1.0, a.exp() + b.exp())),
    "exponential": lambda d, a, b: (d.Exponential(a.exp()), d.Exponential(b.exp())),
    "laplace": lambda d, a, b: (d.Laplace(a, b.exp()), d.Laplace(b, a.exp())),
    "one hot": lambda d, a, b: (d.OneHotCategorical(logits=a), d.OneHotCategorical(b.exp())),
    "multivariate normal": lambda d, a, b: (
        d.MultivariateNormal(a, scale_tril=b.exp().diag_embed()),
        d.MultivariateNormal(b, a.exp().diag_embed()),
    ),
    "normal, uniform": lambda d, a, b: (d.Normal(a, 1.0), d.Uniform(b, b + 1)),
    "independent": lambda d, a, b: (
        d.Independent(d.Normal(a, 1.0), 1),
        d.Independent(d.Normal(b, 2.0), 1),
    ),
}


@pytest.mark.parametrize("name", sorted(PAIRS))
def test_kl_divergence(name: str) -> None:
    def kl(m: Any, a: Any, b: Any) -> Any:
        return m.distributions.kl_divergence(*PAIRS[name](m.distributions, a, b))

    compare(kl, (2, 3), (2, 3), layouts=ONE, dtypes=("float64",), edges=False)


def test_kl_divergence_where_a_probability_is_0() -> None:
    p, q = np.array([[0.5, 0.5, 0], [0.5, 0, 0.5]]), np.array([[0.5, 0.25, 0.25], [0.5, 0.5, 0]])
    for kind in ("Categorical", "Bernoulli"):
        compare(
            lambda m, p, q: m.distributions.kl_divergence(
                getattr(m.distributions, kind)(p), getattr(m.distributions, kind)(q)
            ),
            p,
            q,
            grad=False,
        )


def test_a_rule_of_ones_own() -> None:
    class Half(rnn.distributions.Normal):
        pass

    d = rnn.distributions

    @d.register_kl(Half, d.Normal)
    def rule(p: Half, q: Any) -> Any:
        return p.loc * 0 + 7

    assert d.kl_divergence(Half(0.0, 1.0), d.Normal(0.0, 1.0)).item() == 7
    assert d.kl_divergence(d.Normal(0.0, 1.0), Half(0.0, 1.0)).item() == 0
    with pytest.raises(NotImplementedError, match="p type Normal and q type Bernoulli"):
        d.kl_divergence(d.Normal(0.0, 1.0), d.Bernoulli(0.5))
    with pytest.raises(TypeError, match="Expected a Distribution subclass"):
        d.register_kl(int, d.Normal)


WRONG: dict[str, Any] = {
    "negative probability": lambda m, d: d.Categorical(m.tensor([0.5, -0.5])),
    "both": lambda m, d: d.Categorical(m.ones(2), m.ones(2)),
    "neither": lambda m, d: d.Bernoulli(),
    "0-d": lambda m, d: d.Categorical(m.tensor(1.0)),
    "nan": lambda m, d: d.Categorical(logits=m.tensor([float("nan"), 1])),
    "class out of range": lambda m, d: d.Categorical(m.ones(3)).log_prob(m.tensor(3)),
    "class of fraction": lambda m, d: d.Categorical(m.ones(3)).log_prob(m.tensor(0.5)),
    "no tensor": lambda m, d: d.Normal(0.0, 1.0).log_prob(0.3),
    "not broadcastable": lambda m, d: d.Categorical(m.ones(2, 3)).log_prob(m.zeros(3)),
    "scale": lambda m, d: d.Normal(m.zeros(2), m.zeros(2)),
    "shapes": lambda m, d: d.Normal(m.zeros(2), m.ones(3)),
    "probability": lambda m, d: d.Bernoulli(2.0),
    "value": lambda m, d: d.Bernoulli(0.2).log_prob(m.tensor(0.5)),
    "outside": lambda m, d: d.Uniform(0.0, 1.0).log_prob(m.tensor(2.0)),
    "bounds": lambda m, d: d.Uniform(1.0, 0.0),
    "rate": lambda m, d: d.Exponential(-1.0),
    "covariance": lambda m, d: d.MultivariateNormal(m.zeros(2), -m.eye(2)),
    "not symmetric": lambda m, d: d.MultivariateNormal(m.zeros(2), m.ones(2, 2).triu()),
    "not lower": lambda m, d: d.MultivariateNormal(m.zeros(2), scale_tril=m.ones(2, 2)),
    "two matrices": lambda m, d: d.MultivariateNormal(m.zeros(2), m.eye(2), m.eye(2)),
    "a number": lambda m, d: d.MultivariateNormal(m.tensor(0.0), m.eye(2)),
    "a vector": lambda m, d: d.MultivariateNormal(m.zeros(2), m.ones(2)),
    "no one-hot": lambda m, d: d.OneHotCategorical(m.ones(2)).log_prob(m.ones(2)),
    "no transform": lambda m, d: d.TransformedDistribution(d.Normal(0.0, 1.0), [3]),
    "no transforms": lambda m, d: d.TransformedDistribution(d.Normal(0.0, 1.0), 3),
    "mixed by": lambda m, d: d.MixtureSameFamily(d.Normal(0.0, 1.0), d.Normal(m.zeros(2), 1.0)),
    "mixed counts": lambda m, d: d.MixtureSameFamily(
        d.Categorical(m.ones(3)), d.Normal(m.zeros(2), 1.0)
    ),
    "too few dimensions": lambda m, d: d.Independent(d.Normal(m.zeros(2, 3), 1.0), 3),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_errors(name: str) -> None:
    compare_errors(lambda m: WRONG[name](m, m.distributions))


def test_validation_can_be_switched_off() -> None:
    d = rnn.distributions
    d.Normal(0.0, -1.0, validate_args=False)
    d.Distribution.set_default_validate_args(False)
    try:
        d.Bernoulli(2.0)
    finally:
        d.Distribution.set_default_validate_args(True)
    with pytest.raises(ValueError, match="True or False"):
        d.Distribution.set_default_validate_args(3)  # type: ignore[arg-type]


def test_what_is_not_there_says_so() -> None:
    d = rnn.distributions
    with pytest.raises(AttributeError, match="README"):
        d.Gamma  # noqa: B018
    with pytest.raises(NotImplementedError, match="Categorical has no rsample"):
        d.Categorical(rnn.ones(2)).rsample()

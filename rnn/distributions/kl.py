"""kl_divergence(p, q) = E_p[log p - log q], by a table of pairs (torch.distributions.kl)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import rnn
from rnn.distributions.bernoulli import Bernoulli
from rnn.distributions.categorical import Categorical
from rnn.distributions.distribution import Distribution
from rnn.distributions.exponential import Exponential
from rnn.distributions.independent import Independent
from rnn.distributions.laplace import Laplace
from rnn.distributions.multivariate_normal import MultivariateNormal, divergence
from rnn.distributions.normal import Normal
from rnn.distributions.one_hot_categorical import OneHotCategorical
from rnn.distributions.transformed_distribution import TransformedDistribution
from rnn.distributions.uniform import Uniform
from rnn.nn.functional import softplus
from rnn.tensor import Tensor

_rules: dict[tuple[type, type], Callable[[Any, Any], Tensor]] = {}


def register_kl(
    type_p: type[Distribution], type_q: type[Distribution]
) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """A decorator: the function gives kl_divergence of these two classes and their subclasses.

    TypeError where an argument is no Distribution class.
    """
    for t in (type_p, type_q):
        if not (isinstance(t, type) and issubclass(t, Distribution)):
            raise TypeError(f"Expected a Distribution subclass but got {t}")

    def register(rule: Callable[..., Tensor]) -> Callable[..., Tensor]:
        _rules[type_p, type_q] = rule
        return rule

    return register


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """The Kullback-Leibler divergence of q from p, of shape batch_shape.

    Raises:
        NotImplementedError: no rule is registered for this pair.

    >>> N = rnn.distributions.Normal
    >>> rnn.distributions.kl_divergence(N(0.0, 1.0), N(1.0, 1.0))
    tensor(0.5000)
    """
    for type_p in type(p).__mro__:  # the nearest base classes first
        for type_q in type(q).__mro__:
            if (type_p, type_q) in _rules:
                return _rules[type_p, type_q](p, q)
    raise NotImplementedError(
        f"No KL(p || q) is implemented for p type {type(p).__name__} and q type {type(q).__name__}"
    )


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Bernoulli, q: Bernoulli) -> Tensor:
    t1 = p.probs * (softplus(-q.logits) - softplus(-p.logits))
    t1 = t1.masked_fill(q.probs == 0, float("inf")).masked_fill(p.probs == 0, 0)
    t2 = (1 - p.probs) * (softplus(q.logits) - softplus(p.logits))
    t2 = t2.masked_fill(q.probs == 1, float("inf")).masked_fill(p.probs == 1, 0)
    return t1 + t2


@register_kl(Categorical, Categorical)
def _categorical(p: Categorical, q: Categorical) -> Tensor:
    t = p.probs * (p.logits - q.logits)
    where_q_is_0 = (q.probs == 0).expand_as(t)
    t = t.masked_fill(where_q_is_0, float("inf"))
    return t.masked_fill((p.probs == 0).expand_as(t), 0).sum(-1)


@register_kl(Normal, Normal)
def _normal(p: Normal, q: Normal) -> Tensor:
    ratio = (p.scale / q.scale).pow(2)
    distance = ((p.loc - q.loc) / q.scale).pow(2)
    return (ratio + distance - 1 - ratio.log()) * 0.5


@register_kl(Uniform, Uniform)
def _uniform(p: Uniform, q: Uniform) -> Tensor:
    divergence = ((q.high - q.low) / (p.high - p.low)).log()
    return divergence.masked_fill((q.low > p.low) | (q.high < p.high), float("inf"))


@register_kl(Normal, Uniform)
def _normal_uniform(p: Normal, q: Uniform) -> Tensor:
    return rnn.full_like(rnn.broadcast_tensors(p.loc, q.low)[0], float("inf"))


@register_kl(Independent, Independent)
def _independent(p: Independent, q: Independent) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError(
            "KL(p || q) of Independents of different reinterpreted_batch_ndims: "
            f"{p.reinterpreted_batch_ndims} and {q.reinterpreted_batch_ndims}"
        )
    return p.summed(kl_divergence(p.base_dist, q.base_dist))


@register_kl(Exponential, Exponential)
def _exponential(p: Exponential, q: Exponential) -> Tensor:
    ratio = q.rate / p.rate
    return -ratio.log() + ratio - 1


@register_kl(Laplace, Laplace)
def _laplace(p: Laplace, q: Laplace) -> Tensor:
    ratio, far = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + far / q.scale + ratio * (-far / p.scale).exp() - 1


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot_categorical(p: OneHotCategorical, q: OneHotCategorical) -> Tensor:
    return _categorical(p._categorical, q._categorical)


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p: TransformedDistribution, q: TransformedDistribution) -> Tensor:
    """Of the same maps: that of the bases."""
    same = list(map(type, p.transforms)) == list(map(type, q.transforms))
    plain = all(not vars(t).keys() - {"_cache_size", "_kept"} for t in p.transforms)
    if not same or not plain or p.event_shape != q.event_shape:
        raise NotImplementedError("KL(p || q) of distributions that are transformed differently")
    return kl_divergence(p.base_dist, q.base_dist)


register_kl(MultivariateNormal, MultivariateNormal)(divergence)

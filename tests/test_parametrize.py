"""Weights as functions of other tensors: norms by hooks, and parametrizations, beside torch's."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
from helpers import compare, compare_errors, compare_programs
from test_module import same

import rnn

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated:FutureWarning")

LAYERS = {
    "linear": (lambda m: m.nn.Linear(3, 4), (5, 3)),
    "conv": (lambda m: m.nn.Conv1d(2, 3, 2), (2, 2, 4)),
    "transposed": (lambda m: m.nn.ConvTranspose1d(2, 3, 2), (2, 2, 4)),
}
NORMS = {
    "weight": lambda m, u, layer: u.weight_norm(layer),
    "weight, last": lambda m, u, layer: u.weight_norm(layer, dim=layer.weight.ndim - 1),
    "weight, -2": lambda m, u, layer: u.weight_norm(layer, "weight", -2),
    "weight, whole": lambda m, u, layer: u.weight_norm(layer, dim=None),
    "weight, bias": lambda m, u, layer: u.weight_norm(layer, "bias"),
    "spectral": lambda m, u, layer: u.spectral_norm(layer),
    "spectral, more": lambda m, u, layer: u.spectral_norm(layer, n_power_iterations=3, eps=1e-6),
    "spectral, dim": lambda m, u, layer: u.spectral_norm(layer, dim=1),
}


def hooks(m):
    return m.nn.utils


def parametrizations(m):
    return m.nn.utils.parametrizations


def close(fn):
    compare_programs(fn, atol=2e-5)


def trained(m, layer, shape, steps=2):
    """What can be seen of a layer that trains, then runs in eval mode."""
    seen = {"repr": repr(layer), "train": repr(sorted(layer.state_dict()))}
    optimizer = m.optim.SGD(layer.parameters(), lr=0.1)
    for i in range(steps):
        optimizer.zero_grad()
        x = m.linspace(-1, 1, int(np.prod(shape))).reshape(shape)
        (layer(x) * layer(x + 0.5)).mean().backward()  # two uses in one graph
        for name, p in layer.named_parameters():
            seen[f"gradient of {name}, {i}"] = p.grad.clone()
        optimizer.step()
    seen["eval"] = layer.eval()(x)
    seen["again"] = layer(x)
    seen |= {name: t.clone() for name, t in layer.state_dict().items()}
    return seen


@pytest.mark.parametrize("where", [hooks, parametrizations])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("layer", LAYERS)
def test_norms(layer, norm, where):
    make, shape = LAYERS[layer]
    close(lambda m: trained(m, NORMS[norm](m, where(m), make(m)), shape))


@pytest.mark.parametrize("norm", ["weight", "spectral"])
def test_norms_by_hooks_are_removed(norm):
    def run(m):
        layer = NORMS[norm](m, m.nn.utils, m.nn.Linear(3, 2))
        layer(m.ones(1, 3))
        removed = getattr(m.nn.utils, f"remove_{norm}_norm")(layer)
        return {"repr": repr(removed), **removed.state_dict(), "out": removed(m.ones(1, 3))}

    close(run)
    remove = f"remove_{norm}_norm"
    same(lambda m: getattr(m.nn.utils, remove)(m.nn.Linear(1, 1)), may_fail=True)
    same(lambda m: NORMS[norm](m, m.nn.utils, NORMS[norm](m, m.nn.utils, m.nn.Linear(2, 1))), True)


WRONG = {
    "no such weight": lambda m, u: u.weight_norm(m.nn.Linear(2, 2), "w"),
    "no such weight, spectral": lambda m, u: u.spectral_norm(m.nn.Linear(2, 2), "w"),
    "no bias": lambda m, u: u.spectral_norm(m.nn.Linear(2, 2, bias=False), "bias"),
    "iterations": lambda m, u: u.spectral_norm(m.nn.Linear(2, 2), n_power_iterations=0),
}


@pytest.mark.parametrize("where", [hooks, parametrizations])
@pytest.mark.parametrize("name", WRONG)
def test_errors_of_norms(name, where):
    assert "Error" in same(lambda m: WRONG[name](m, where(m)), may_fail=True)


def test_dimensions_of_spectral_norm():
    def run(m):
        return m.nn.utils.parametrizations.spectral_norm(m.nn.Linear(2, 2), dim=2)

    assert "IndexError" in same(run, may_fail=True)
    for norm in ("weight", "spectral"):
        said = same(lambda m, n=norm: NORMS[n](m, m.nn.utils, m.nn.LazyLinear(2)), may_fail=True)
        assert "uninitialized" in said


def test_old_state_dicts_of_weight_norm_load():
    def run(m):
        old = m.nn.Sequential(m.nn.utils.weight_norm(m.nn.Linear(3, 2)))
        new = m.nn.Sequential(m.nn.utils.parametrizations.weight_norm(m.nn.Linear(3, 2)))
        return {"said": repr(new.load_state_dict(old.state_dict())), **new.state_dict()}

    close(run)


@pytest.mark.parametrize("dim", [0, 1, 2, -1, None])
def test_gradients_of_weight_norm(dim):
    from rnn.nn.utils.weight_norm import scaled

    def run(m, v, g):
        if m is torch:
            return torch._weight_norm(v, g, -1 if dim is None else dim)
        return scaled(v, g, -1 if dim is None else dim)

    shape = (3, 2, 4)
    whole = dim in (-1, None)
    of_norms = () if whole else tuple(n if d == dim else 1 for d, n in enumerate(shape))
    compare(run, shape, of_norms, layouts=("contiguous",))


def parts_of(m):
    class Symmetric(m.nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).T

        def right_inverse(self, a):
            return a.triu()

    class Twice(m.nn.Module):
        def forward(self, x):
            return 2 * x

    class Product(m.nn.Module):
        def forward(self, x, y):
            return x.unsqueeze(-1) * y.unsqueeze(-2)

        def right_inverse(self, z):
            return z[:, 0].clone(), z[0].clone()

    class Other(m.nn.Module):
        def __init__(self, forward=None, inverse=None):
            super().__init__()
            self.f = forward
            if inverse:
                self.right_inverse = inverse

        def forward(self, *x):
            return self.f(*x) if self.f else x[0]

    return Symmetric, Twice, Product, Other


def test_parametrizations_follow_each_other():
    def run(m):
        P = m.nn.utils.parametrize
        symmetric, twice, *_ = parts_of(m)
        layer = m.nn.Linear(3, 3)
        P.register_parametrization(layer, "weight", symmetric())
        P.register_parametrization(layer, "weight", twice())
        P.register_parametrization(layer, "bias", twice())
        return trained(m, layer, (2, 3))

    close(run)


def test_several_originals_and_assigning():
    def run(m):
        P = m.nn.utils.parametrize
        symmetric, _, product, _ = parts_of(m)
        layer = m.nn.Linear(3, 3)
        P.register_parametrization(layer, "weight", product())
        seen = trained(m, layer, (2, 3))
        layer.weight = m.arange(9.0).reshape(3, 3)
        seen |= {"assigned " + k: v.clone() for k, v in layer.state_dict().items()}
        other = P.register_parametrization(m.nn.Linear(3, 3), "weight", symmetric())
        other.weight = m.ones(3, 3)
        seen["ones"] = other.weight
        seen["kept"] = other.parametrizations.weight.original
        return seen

    close(run)


@pytest.mark.parametrize("leave", [True, False])
def test_removing(leave):
    def run(m):
        P = m.nn.utils.parametrize
        symmetric, twice, *_ = parts_of(m)
        layer = m.nn.Linear(2, 2)
        first = layer.weight
        for part in (symmetric(), twice()):
            P.register_parametrization(layer, "weight", part)
        P.register_parametrization(layer, "bias", twice())
        asked = [P.is_parametrized(layer), P.is_parametrized(layer, "weight")]
        asked += [P.is_parametrized(layer, "x"), P.type_before_parametrizations(layer).__name__]
        P.remove_parametrizations(layer, "weight", leave)
        asked += [type(layer).__name__, P.is_parametrized(layer), layer.weight is first]
        P.remove_parametrizations(layer, "bias", leave_parametrized=leave)
        asked += [type(layer).__name__, P.is_parametrized(layer), layer.weight.requires_grad]
        return {"asked": repr(asked), "repr": repr(layer), **layer.state_dict()}

    close(run)


def test_removing_several_originals():
    def run(m):
        P = m.nn.utils.parametrize
        layer = P.register_parametrization(m.nn.Linear(2, 2), "weight", parts_of(m)[2]())
        try:
            P.remove_parametrizations(layer, "weight", leave_parametrized=False)
        except ValueError as error:
            said = str(error)
        P.remove_parametrizations(layer, "weight")
        return {"said": said, **layer.state_dict()}

    close(run)


def registered(forward=None, inverse=None, before=(), **options):
    def run(m):
        P = m.nn.utils.parametrize
        other = parts_of(m)[3]
        layer = m.nn.Linear(2, 3)
        for f in before:
            P.register_parametrization(layer, "weight", other(f))
        fns = [f and (lambda *x, f=f: f(m, *x)) for f in (forward, inverse)]
        P.register_parametrization(layer, "weight", other(*fns), **options)
        return list(layer.state_dict()), tuple(layer.weight.shape)

    return run


REGISTERED = {
    "shape": registered(lambda m, x: x.T),
    "shape, unsafe": registered(lambda m, x: x.T, unsafe=True),
    "dtype": registered(lambda m, x: x.double()),
    "no tensor": registered(lambda m, x: 1),
    "inverse's dtype": registered(None, lambda m, x: x.double()),
    "inverse is no tensor": registered(None, lambda m, x: 1),
    "inverse has no tensors": registered(None, lambda m, x: (x, 1)),
    "next: shape": registered(lambda m, x: x.T, before=[None]),
    "next: dtype": registered(lambda m, x: x.double(), before=[None]),
    "next: no tensor": registered(lambda m, x: 1, before=[None]),
    "next: inverse's shape": registered(None, lambda m, x: x.T, before=[None]),
    "next: inverse's dtype": registered(None, lambda m, x: x.double(), before=[None]),
    "next: inverse's type": registered(None, lambda m, x: 1, before=[None]),
    "no such tensor": lambda m: m.nn.utils.parametrize.register_parametrization(
        m.nn.Linear(1, 1), "w", m.nn.ReLU()
    ),
    "not parametrized": lambda m: m.nn.utils.parametrize.remove_parametrizations(
        m.nn.Linear(1, 1), "weight"
    ),
}


@pytest.mark.parametrize("name", REGISTERED)
def test_errors(name):
    assert same(REGISTERED[name], may_fail=True)


def test_assigning_without_an_inverse():
    def run(m):
        P = m.nn.utils.parametrize
        layer = P.register_parametrization(m.nn.Linear(2, 2), "weight", parts_of(m)[1]())
        layer.weight = m.ones(2, 2)

    assert "right_inverse" in same(run, may_fail=True)


def test_a_buffer_is_parametrized():
    def run(m):
        P = m.nn.utils.parametrize
        layer = m.nn.BatchNorm1d(2)
        P.register_parametrization(layer, "running_var", parts_of(m)[1]())
        return [layer.running_var, sorted(layer.state_dict()), len(list(layer.parameters()))]

    same(run)


def test_the_cache():
    def run(m):
        P = m.nn.utils.parametrize
        layer = P.register_parametrization(m.nn.Linear(2, 2), "weight", parts_of(m)[1]())
        other = copy.deepcopy(layer)
        seen = [layer.weight is layer.weight]
        with P.cached():
            first = layer.weight
            with P.cached():
                seen.append(layer.weight is first)
            seen.append(layer.weight is first)
        seen.append(layer.weight is first)
        return seen, type(other).__name__

    same(run)


def test_copies_have_their_own_originals():
    P = rnn.nn.utils.parametrize
    layer = P.register_parametrization(rnn.nn.Linear(2, 2), "weight", parts_of(rnn)[1]())
    other = copy.deepcopy(layer)
    with rnn.no_grad():
        other.parametrizations.weight.original.zero_()
    assert (other.weight == 0).all() and (layer.weight != 0).any()
    with P.cached():
        assert layer.weight is not other.weight and (other.weight == 0).all()


def test_only_state_dicts_are_saved():
    def run(m):
        P = m.nn.utils.parametrize
        layer = P.register_parametrization(m.nn.Linear(2, 2), "weight", m.nn.Identity())
        pickle.dumps(layer)

    assert "state_dict" in same(run, may_fail=True)


def test_weight_norm_by_hooks_warns():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        rnn.nn.utils.weight_norm(rnn.nn.Linear(1, 1))
    assert [w.category for w in seen] == [FutureWarning]


# ---- orthogonal ----------------------------------------------------------------------------------


def _orthogonal(m, shape, kind, base):
    """All that is seen of an orthogonal weight."""
    layer = m.nn.Module()
    weight = np.random.default_rng(0).standard_normal(shape)
    layer.register_parameter("w", m.nn.Parameter(m.tensor(weight)))
    m.manual_seed(0)
    m.nn.utils.parametrizations.orthogonal(layer, "w", kind, use_trivialization=base)
    seen = [layer.w]
    (layer.w * m.tensor(weight) ** 2).sum().backward()
    seen.append(layer.parametrizations.w.original.grad)
    if base or kind == "householder":
        with m.no_grad():
            layer.w = m.tensor(weight[..., ::-1].copy())
        seen += [layer.w, layer.parametrizations.w.original]
    return repr(layer).replace("rnn.", "torch."), list(layer.state_dict()), seen


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (2, 3, 4)])
@pytest.mark.parametrize("kind", ["matrix_exp", "cayley", "householder", None])
@pytest.mark.parametrize("base", [True, False])
def test_orthogonal(shape, kind, base):
    want, got = (_orthogonal(m, shape, kind, base) for m in (torch, rnn))
    assert got[:2] == want[:2]
    for a, b in zip(got[2], want[2], strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), 1e-6, 1e-9)


def test_orthogonal_errors():
    orthogonal = "m.nn.utils.parametrizations.orthogonal"
    for call in (
        f"{orthogonal}(m.nn.Linear(2, 3), 'bias')",
        f"{orthogonal}(m.nn.Linear(2, 3), 'none')",
        f"{orthogonal}(m.nn.Linear(2, 3), orthogonal_map='x')",
        f"setattr({orthogonal}(m.nn.Linear(2, 2), 'weight', 'cayley', use_trivialization=False)"
        ", 'weight', m.eye(2))",
        f"setattr({orthogonal}(m.nn.Linear(2, 2)), 'weight', m.eye(3))",
    ):
        compare_errors(lambda m, call=call: eval(call, {"m": m}), text="none" not in call)

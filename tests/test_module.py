"""Module, Parameter, containers: what they find, save, load, print and refuse, as torch's do."""

from __future__ import annotations

import collections
import copy
import pickle
import re
import warnings

import numpy as np
import pytest
import torch

import rnn
from rnn.nn.module import _IncompatibleKeys

RUNS = (torch, rnn)


def plain(x):
    """A result of either library as plain Python, for comparison."""
    if isinstance(x, (torch.Tensor, rnn.Tensor)):
        return np.asarray(x.detach()).tolist()
    if isinstance(x, dict):
        return {plain(k): plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [plain(v) for v in x]
    if isinstance(x, (str, int, float, bool, type(None))):
        if isinstance(x, str):
            return re.sub(r"\btorch\b", "rnn", x).replace("nn.modules.container", "nn.container")
        return x
    return plain(repr(x))


def same(fn, may_fail=False, seed=0):
    """fn(m) gives the same result with either library as m (or the same error, if it may)."""
    results, failed = [], False
    for m in RUNS:
        m.manual_seed(seed)
        try:
            results.append(plain(fn(m)))
        except Exception as error:
            failed = True
            results.append(f"{type(error).__name__}: {plain(str(error))}")
    assert results[0] == results[1]
    assert may_fail or not failed, results[1]
    return results[1]


def scale(m, n=2, value=1.0):
    """A small layer: y = x * w + b, with a buffer that counts."""

    class Scale(m.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = m.nn.Parameter(m.full((n,), value))
            self.bias = m.nn.Parameter(m.zeros(n))
            self.register_buffer("count", m.tensor(0))

        def forward(self, x):
            return x * self.weight + self.bias

        def extra_repr(self):
            return f"n={n}"

    return Scale()


def net(m):
    class Net(m.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = scale(m, 2)
            self.tied = self.first
            self.layers = m.nn.ModuleList([scale(m, 3), scale(m, 3), m.nn.Sequential(scale(m, 4))])
            self.named = m.nn.ModuleDict({"a": scale(m, 1), "b": m.nn.Module()})
            self.top = m.nn.Parameter(m.ones(2, 2), requires_grad=False)
            self.shared = self.first.weight
            self.none = None
            self.register_parameter("absent", None)
            self.register_buffer("scratch", m.zeros(1), persistent=False)

        def forward(self, x):
            return self.first(x)

    return Net()


def test_what_is_found():
    for question in (
        lambda n: [name for name, _ in n.named_parameters()],
        lambda n: [name for name, _ in n.named_parameters(remove_duplicate=False)],
        lambda n: [name for name, _ in n.named_parameters("p", recurse=False)],
        lambda n: [name for name, _ in n.named_modules()],
        lambda n: [name for name, _ in n.named_modules(remove_duplicate=False)],
        lambda n: [name for name, _ in n.named_children()],
        lambda n: [name for name, _ in n.named_buffers()],
        lambda n: list(n.state_dict()),
        lambda n: list(n.state_dict(prefix="x.")),
        lambda n: len(list(n.parameters())) + len(list(n.modules())) + len(list(n.buffers())),
        lambda n: sum(p.numel() for p in n.parameters() if p.requires_grad),
        lambda n: n.state_dict(),
        lambda n: dict(n.state_dict()._metadata),
        lambda n: [p.requires_grad for p in n.state_dict(keep_vars=True).values()],
        lambda n: [p.requires_grad for p in n.state_dict().values()],
        lambda n: repr(n),
        lambda n: repr(n.layers[:2]) + repr(n.named) + repr(n.layers[2]),
        lambda n: n.get_parameter("layers.2.0.bias"),
        lambda n: n.get_submodule("layers.2.0").extra_repr(),
        lambda n: n.get_buffer("named.a.count"),
        lambda n: n.get_submodule("") is n,
        lambda n: n.absent,
        lambda n: [x for x in dir(n) if x in ("first", "top", "scratch", "none", "forward", "0")],
        lambda n: [x in dir(n.layers) for x in ("0", "1")],
        lambda n: n.tied is n.first and n.shared is n.first.weight,
        lambda n: n.eval().layers[0].training,
        lambda n: n.train(),
        lambda n: [p.requires_grad for p in n.requires_grad_(False).parameters()],
    ):
        same(lambda m, question=question: question(net(m)))


def test_errors():
    def uninitialised(m, **attributes):
        class Bad(m.nn.Module):
            def __init__(self):
                for name, value in attributes.items():
                    setattr(self, name, value(m))

        return Bad()

    for fn in (
        lambda m: uninitialised(m, w=lambda m: m.nn.Parameter(m.zeros(1))),
        lambda m: uninitialised(m, w=lambda m: m.nn.Module()),
        lambda m: uninitialised(m, w=lambda m: m.nn.Buffer(m.zeros(1))),
        lambda m: net(m).nothing,
        lambda m: m.nn.Module()(1),
        lambda m: m.nn.Module(1),
        lambda m: m.nn.Module(a=1),
        lambda m: net(m).register_parameter("first", m.nn.Parameter(m.zeros(1))),
        lambda m: net(m).register_parameter("a.b", None),
        lambda m: net(m).register_parameter("", None),
        lambda m: net(m).register_parameter(3, None),
        lambda m: net(m).register_parameter("z", m.zeros(1)),
        lambda m: net(m).register_parameter("z", [1]),
        lambda m: net(m).register_buffer("z", 3),
        lambda m: net(m).register_buffer("top", m.zeros(1)),
        lambda m: net(m).register_buffer("a.b", m.zeros(1)),
        lambda m: net(m).add_module("z", 3),
        lambda m: net(m).add_module("a.b", m.nn.Module()),
        lambda m: net(m).add_module("", m.nn.Module()),
        lambda m: net(m).add_module("top", m.nn.Module()),
        lambda m: setattr(net(m), "top", m.zeros(2)),
        lambda m: setattr(net(m), "top", 3),
        lambda m: setattr(net(m), "first", 3),
        lambda m: setattr(net(m), "scratch", 3),
        lambda m: delattr(net(m), "nothing"),
        lambda m: net(m).get_parameter("first.nothing"),
        lambda m: net(m).get_parameter("first.count"),
        lambda m: net(m).get_parameter("first"),
        lambda m: net(m).get_submodule("first.weight"),
        lambda m: net(m).get_submodule("x.y"),
        lambda m: net(m).get_buffer("first.weight"),
        lambda m: net(m).train("yes"),
        lambda m: net(m).to(m.int64),
        lambda m: m.nn.Parameter(m.tensor([1, 2])),
        lambda m: m.nn.Sequential(3),
        lambda m: m.nn.ModuleList([3]),
        lambda m: m.nn.ModuleList(3),
        lambda m: m.nn.ModuleDict(3),
        lambda m: m.nn.ModuleDict([3]),
        lambda m: m.nn.ModuleDict([(1, 2, 3)]),
        lambda m: m.nn.ParameterDict(3),
        lambda m: m.nn.ParameterDict([3]),
        lambda m: m.nn.ParameterDict({1: 2}),
        lambda m: m.nn.ParameterList(3),
        lambda m: m.nn.ParameterList(m.zeros(2)),
        lambda m: m.nn.ParameterList()(1),
        lambda m: m.nn.ParameterDict()(1),
        lambda m: m.nn.ModuleList()[0],
        lambda m: m.nn.Sequential()[-1],
        lambda m: m.nn.Sequential(m.nn.Module()) + 3,
        lambda m: m.nn.Sequential(m.nn.Module()) * 0,
        lambda m: m.nn.Sequential(m.nn.Module()) * 1.5,
        lambda m: net(m).load_state_dict([1]),
        lambda m: net(m).set_submodule("", m.nn.Module()),
        lambda m: net(m).set_submodule("q.w", m.nn.Module()),
        lambda m: net(m).set_submodule("top", m.nn.Module()),
    ):
        same(fn, may_fail=True)


def test_attributes_change_hands():
    def fn(m):
        n = net(m)
        n.first = None
        n.top = None
        n.scratch = m.ones(3)
        del n.named
        n.plain = m.zeros(1)  # no parameter: not found
        n.plain = m.nn.Parameter(m.zeros(1))  # now it is
        n.buffered = m.nn.Buffer(m.ones(2))
        n.unsaved = m.nn.Buffer(m.ones(2), persistent=False)
        n.none = m.nn.Module()
        n.set_submodule("layers.0", m.nn.Sequential())
        return [list(n.state_dict()), [k for k, _ in n.named_buffers()], n.first, n.top, repr(n)]

    same(fn)


def test_class_attributes_win():
    class Shadow(rnn.nn.Module):
        depth = 3

        @property
        def twice(self):
            return 2 * self.depth

    shadow = Shadow()
    assert (shadow.depth, shadow.twice, shadow.training) == (3, 6, True)


def test_getattr_of_subclasses():
    def fn(m):
        class Wrapper(m.nn.Module):
            def __init__(self, inner):
                super().__init__()
                self.inner = inner

            def __getattr__(self, name):
                try:
                    return super().__getattr__(name)
                except AttributeError:
                    return getattr(super().__getattr__("inner"), name)

        w = Wrapper(net(m))
        return [w.first.weight, w.inner.top, hasattr(w, "nothing"), list(w.state_dict())[:2]]

    same(fn)


# ---- parameters -------------------------------------------------------------------------------


def test_parameter():
    for fn in (
        lambda m: m.nn.Parameter(m.ones(2)),
        lambda m: m.nn.Parameter(m.ones(2), requires_grad=False),
        lambda m: m.nn.Parameter(m.tensor([1, 2]), False),
        lambda m: m.nn.Parameter(),
        lambda m: m.nn.Parameter(m.ones(2).double()),
        lambda m: isinstance(m.nn.Parameter(m.ones(2)), m.Tensor),
        lambda m: m.nn.Parameter(m.ones(2)).is_leaf,
        lambda m: type(m.nn.Parameter(m.ones(2)) * 2).__name__,
        lambda m: type(m.nn.Parameter(m.ones(2)).detach()).__name__,
        lambda m: type(m.nn.Parameter(m.ones(2)).data).__name__,
        lambda m: m.nn.Parameter(m.nn.Parameter(m.ones(2)) * 2),
        lambda m: m.nn.Buffer(m.ones(2)).persistent,
    ):
        same(fn)


def test_parameter_shares_memory_with_its_data():
    for m in RUNS:
        data = m.zeros(2, 3)
        p = m.nn.Parameter(data)
        data[0, 0] = 5
        assert p[0, 0].item() == 5
        with m.no_grad():
            p[1, 1] = 7
        assert data[1, 1].item() == 7
        assert not data.requires_grad
        (p * 2).sum().backward()
        assert p.grad.tolist() == [[2, 2, 2], [2, 2, 2]] and data.grad is None


def test_parameter_of_a_view():
    for m in RUNS:
        base = m.arange(12.0).reshape(3, 4)
        p = m.nn.Parameter(base.t())
        (p * p).sum().backward()
        assert p.grad.tolist() == (2 * base.t()).tolist()
        assert p.is_leaf and p.shape == (4, 3)


def test_copies():
    n = net(rnn)
    n.first.weight.grad = rnn.ones(2)
    parts = rnn.nn.ParameterList([rnn.ones(2), rnn.zeros(1)])
    for other in (copy.deepcopy(n), pickle.loads(pickle.dumps(parts)), copy.copy(n)):
        assert all(isinstance(p, rnn.nn.Parameter) for p in other.parameters())
    other = copy.deepcopy(n)
    assert other.tied is other.first and other.shared is other.first.weight
    assert other.shared is not n.shared
    assert other.shared.grad is None  # as torch's
    with rnn.no_grad():
        other.shared[0] = 9
    assert n.shared[0].item() == 1
    assert copy.deepcopy(n.top).requires_grad is False


def test_dtypes():
    n = net(rnn)
    before = list(n.parameters())
    n.first.weight.grad = rnn.ones(2)
    n.double()
    assert all(a is b for a, b in zip(before, n.parameters()))
    assert {p.dtype for p in n.parameters()} == {rnn.float64}
    assert n.first.weight.grad.dtype is rnn.float64
    assert n.first.count.dtype is rnn.int64 and n.scratch.dtype is rnn.float64
    assert n.first.weight.requires_grad and not n.top.requires_grad and n.first.weight.is_leaf
    assert {p.dtype for p in n.to("cpu").float().parameters()} == {rnn.float32}
    assert n.to(rnn.device("cpu"), rnn.float64).top.dtype is rnn.float64
    assert n.to(rnn.zeros(1)).top.dtype is rnn.float32
    assert n.to(dtype=rnn.float64, non_blocking=True).top.dtype is rnn.float64
    assert n.cpu() is n and n.share_memory() is n and n.compile() is n
    with pytest.raises((RuntimeError, AssertionError)):
        n.to("cuda")
    with pytest.raises((RuntimeError, AssertionError)):
        n.cuda()


def test_zero_grad():
    for m in RUNS:
        n = net(m)
        for p in n.parameters():
            p.grad = m.ones(*p.shape)
        n.zero_grad(set_to_none=False)
        assert all(p.grad.abs().sum().item() == 0 for p in n.parameters())
        n.zero_grad()
        assert all(p.grad is None for p in n.parameters())


def test_apply_goes_children_first():
    def fn(m):
        seen = []
        net(m).apply(lambda module: seen.append(type(module).__name__))
        return seen

    same(fn)


# ---- state dicts ------------------------------------------------------------------------------


def test_load_state_dict():
    def changed(m, change, **options):
        n = net(m)
        state = n.state_dict()
        change(m, state)
        result = n.load_state_dict(state, **options)
        return [
            repr(result),
            list(result.missing_keys),
            list(result.unexpected_keys),
            n.state_dict(),
        ]

    def missing(m, state):
        del state["first.weight"], state["top"]

    def unexpected(m, state):
        state["first.more"] = state["other"] = m.zeros(1)
        state["layers.2.0.x.y"] = m.zeros(1)

    def shaped(m, state):
        state["first.bias"] = m.zeros(5)
        state["top"] = m.zeros(2, 1)

    def wrong(m, state):
        state["top"] = [1]

    def all_wrong(m, state):
        for change in (missing, unexpected, shaped):
            change(m, state)

    def values(m, state):
        state["first.weight"] = m.tensor([3.0, 4.0], dtype=m.float64)
        state["first.count"] = m.tensor(7)

    def one(m, state):
        state["first.count"] = m.tensor([7])

    for change in (missing, unexpected, shaped, wrong, all_wrong, values, one):
        same(lambda m, change=change: changed(m, change), may_fail=True)
        same(lambda m, change=change: changed(m, change, strict=False), may_fail=True)
    same(lambda m: changed(m, values, assign=True))


def test_state_dict_shares_memory():
    for m in RUNS:
        n = net(m)
        state = n.state_dict()
        state["first.weight"][0] = 5
        assert n.first.weight[0].item() == 5
        other = net(m)
        other.load_state_dict(state)
        state["first.weight"][0] = 6
        assert other.first.weight[0].item() == 5


def test_load_from_torch_and_numpy():
    n, t = net(rnn), net(torch)
    with torch.no_grad():
        for p in t.parameters():
            p.uniform_()
        t.first.count += 3
    assert isinstance(n.load_state_dict(t.state_dict()), _IncompatibleKeys)
    assert plain(n.state_dict()) == plain(t.state_dict())
    state = {name: value.numpy() * 2 for name, value in t.state_dict().items()}
    n.load_state_dict(state)
    np.testing.assert_array_equal(n.top.numpy(), 2 * t.top.numpy())


def test_extra_state_and_versions():
    def fn(m):
        class Counting(m.nn.Module):
            _version = 2

            def __init__(self):
                super().__init__()
                self.steps = 3

            def get_extra_state(self):
                return {"steps": self.steps}

            def set_extra_state(self, state):
                self.steps = state["steps"]

        outer = m.nn.Sequential(Counting())
        state = outer.state_dict()
        state["0._extra_state"] = {"steps": 9}
        outer.load_state_dict(state)
        result = [outer[0].steps, list(state), dict(state._metadata)]
        del state["0._extra_state"]
        return [*result, repr(outer.load_state_dict(state, strict=False))]

    same(fn)


# ---- hooks ------------------------------------------------------------------------------------


def test_forward_hooks():
    def fn(m):
        s, seen = scale(m), []
        handles = [
            s.register_forward_pre_hook(lambda mod, args: seen.append("pre")),
            s.register_forward_pre_hook(lambda mod, args: (args[0] * 2,), prepend=True),
            s.register_forward_pre_hook(
                lambda mod, args, kwargs: (args, {}) if kwargs else None, with_kwargs=True
            ),
            s.register_forward_hook(lambda mod, args, out: seen.append((plain(args), plain(out)))),
            s.register_forward_hook(lambda mod, args, out: out + 1),
            s.register_forward_hook(
                lambda mod, args, kwargs, out: seen.append(sorted(kwargs)), with_kwargs=True
            ),
        ]
        results = [s(m.ones(2)), s(m.ones(2), extra=1)]
        for handle in handles:
            handle.remove()
        with s.register_forward_hook(lambda mod, args, out: 5):
            results.append(s(m.ones(2)))
        return [*results, s(m.ones(2)), seen]

    same(fn)


def test_hooks_that_must_run():
    def fn(m):
        class Fails(m.nn.Module):
            def forward(self, x):
                raise ValueError("forward failed")

        seen = []
        f = Fails()
        f.register_forward_hook(lambda mod, args, out: seen.append(out), always_call=True)
        f.register_forward_hook(lambda mod, args, out: seen.append("never"))
        with pytest.raises(ValueError, match="forward failed"):
            f(1)
        s = scale(m)
        s.register_forward_pre_hook(lambda mod, args, kwargs: 3, with_kwargs=True)
        with pytest.raises(RuntimeError, match="forward pre-hook must return None or a tuple"):
            s(m.ones(2))
        return seen

    same(fn)


def test_backward_hooks():
    def fn(m):
        s, seen = scale(m, 2, 3.0), []
        s.register_full_backward_hook(
            lambda mod, gin, gout: seen.append(("hook", plain(gin), plain(gout)))
        )
        s.register_full_backward_pre_hook(lambda mod, gout: (gout[0] * 10,))
        x = m.ones(2, requires_grad=True)
        (s(x) * 2).sum().backward()
        result = [x.grad, s.weight.grad, list(seen)]
        s(m.ones(2)).sum().backward()  # no input requires a gradient
        s.register_full_backward_hook(lambda mod, gin, gout: (gin[0] * 0,))
        x.grad = None
        (s(x) + x).sum().backward()
        return [*result, seen, x.grad]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns where no input requires a gradient
        same(fn)


def _without(state, key):
    del state[key]


def test_state_dict_hooks():
    def fn(m):
        n, seen = net(m), []
        n.register_state_dict_pre_hook(lambda mod, prefix, keep: seen.append((prefix, keep)))
        n.register_state_dict_post_hook(lambda mod, state, prefix, meta: _without(state, "top"))
        n._register_state_dict_hook(lambda mod, state, prefix, meta: dict(list(state.items())[:2]))
        state = n.state_dict()
        n.register_load_state_dict_pre_hook(
            lambda mod, state, prefix, *rest: state.update({"top": m.zeros(2, 2)})
        )
        n.register_load_state_dict_post_hook(lambda mod, keys: keys.missing_keys.clear())
        return [list(state), seen, repr(n.load_state_dict(state)), n.top]

    same(fn)


# ---- containers -------------------------------------------------------------------------------


def test_sequential():
    def fn(m):
        s = m.nn.Sequential(scale(m, 2), scale(m, 2, 2.0))
        s.append(scale(m, 2, 3.0)).insert(0, scale(m, 2, 4.0))
        s.extend([scale(m, 2, 5.0)])
        s += m.nn.Sequential(scale(m, 2, 6.0))
        s[1] = scale(m, 2, 7.0)
        del s[2]
        weights = [layer.weight for layer in s]
        named = m.nn.Sequential(collections.OrderedDict(a=scale(m), b=scale(m)))
        return [
            weights, s(m.ones(2)), len(s), list(s.state_dict()), repr(s[1:3]), s.pop(0).weight,
            list(named.state_dict()), named[0].n if hasattr(named[0], "n") else None, repr(named),
            repr(named[-1]), len(s + named), len(2 * s), list((s * 2).state_dict())[-1],
            [x.weight for x in s[::-2]], named.a.weight,
        ]  # fmt: skip

    same(fn)


def test_module_list_and_dict():
    def fn(m):
        items = m.nn.ModuleList([scale(m, 1)])
        items.append(scale(m, 2)).extend([scale(m, 3), scale(m, 4)])
        items.insert(1, scale(m, 5))
        items[0] = scale(m, 6)
        del items[-1]
        last = items.pop(-1)
        named = m.nn.ModuleDict({"x": scale(m, 1)})
        named["y"] = scale(m, 2)
        named.update([("z", scale(m, 3))])
        named.update(collections.OrderedDict(w=scale(m, 4)))
        popped = named.pop("x")
        return [
            list(items.state_dict()), len(items), repr(items), last.extra_repr(),
            repr(items + [scale(m, 9)]), repr(items[1:]), list(named), list(named.keys()),
            [k for k, _ in named.items()], len(list(named.values())), "y" in named, len(named),
            popped.extra_repr(), repr(named), repr(m.nn.ModuleList()), repr(m.nn.ModuleDict()),
            isinstance(items[0], m.nn.Module), [x.extra_repr() for x in items],
        ]  # fmt: skip

    same(fn)


def test_parameter_list_and_dict():
    def fn(m):
        items = m.nn.ParameterList([m.ones(2), m.nn.Parameter(m.zeros(1, 2)), "text"])
        items.append(m.ones(3)).extend([m.ones(())])
        items[0] = m.zeros(4)
        named = m.nn.ParameterDict({"b": m.ones(2), "a": m.zeros(1)})
        named["c"] = m.nn.Parameter(m.ones(2, 2))
        named.update([("d", m.ones(1))])
        more = named | m.nn.ParameterDict({"e": m.ones(5)})
        return [
            repr(items), len(items), [k for k, _ in items.named_parameters()], repr(items[1:3]),
            [type(x).__name__ for x in items], repr(named), list(named), len(named), "a" in named,
            list(named.state_dict()), named.get("zz", 3), named.setdefault("f", m.ones(1)),
            named.pop("f"), named.popitem()[0], list(more.keys()), list(reversed(named)),
            [k for k, _ in named.items()], len(list(named.values())), named.copy(),
            list(named.fromkeys(["q"], m.ones(1)).keys()),
        ]  # fmt: skip

    same(fn)


def test_a_call_without_hooks_is_one_function_call():
    seen = []

    class Echo(rnn.nn.Module):
        def forward(self, *args, **kwargs):
            seen.append((args, kwargs))

    echo = Echo()
    echo(1, 2, a=3)
    assert seen == [((1, 2), {"a": 3})] and not echo._hooked

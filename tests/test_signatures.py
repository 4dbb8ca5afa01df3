"""Names, order and defaults of arguments: those of every function and class that torch has too."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import pytest
import torch
import torch.distributions
import torch.nn.utils.prune

import rnn

MODULES = (
    "",
    "autograd",
    "autograd.functional",
    "distributions",
    "nn",
    "nn.functional",
    "nn.init",
    "nn.utils",
    "nn.utils.prune",
    "nn.utils.rnn",
    "optim",
    "optim.lr_scheduler",
    "testing",
    "utils.checkpoint",
    "utils.data",
)
# What differs, and why.
KNOWN = {
    "Sequential.extend": "its argument has ModuleList's name",
    "LBFGS.step": "closure is given by name or not; without one the error says so",
    "Size": "a tuple; torch shows no name",
    "Tensor": "a constructor of C",
    "UninitializedParameter": "torch's takes a device and a dtype",
    "autocast": "device_type may be left out",
    "compile": "options are ignored",
    "enable_grad": "torch shows its decorator's",
    "checkpoint": "context_fn: None is torch's default",
    "is_tensor": "positional",
    "random_split": "generator: None is torch's default generator",
    "save": "pickle_module: None is pickle",
    "set_default_dtype": "torch's is positional only",
    "set_default_tensor_type": "torch's is positional only",
    "split": "both of torch's names for the sizes are taken",
}


def arguments(f: Any) -> dict[str, inspect.Parameter]:
    found = inspect.signature(f).parameters.items()
    shown_in_c = [n for n, p in found if p.kind is p.POSITIONAL_ONLY and n != "self"]
    if shown_in_c == ["object"]:  # Python 3.13 says so of functions of C
        raise ValueError("no names are shown")
    return {n: p for n, p in found if n not in ("self", "args", "kwargs")}


def shown(p: inspect.Parameter) -> str:
    value = p.default
    if callable(value) and value is not inspect.Parameter.empty:
        return str(value.__name__)
    text = repr(value).replace("torch.", "rnn.")
    return "()" if text == "rnn.Size([])" else text


def pairs(path: str) -> list[tuple[str, Any, Any]]:
    """(name, torch's, ours) for every callable of a module, and the methods of its classes."""
    theirs, ours = torch, rnn
    for part in filter(None, path.split(".")):
        theirs, ours = getattr(theirs, part), getattr(ours, part)
    found = []
    for name in sorted(set(dir(theirs)) & set(vars(ours))):
        a, b = getattr(theirs, name), getattr(ours, name)
        if name.startswith("_") or inspect.ismodule(a) or not callable(a) or name in KNOWN:
            continue
        found.append((name, a, b))
        if inspect.isclass(a) and inspect.isclass(b):
            for method, f in vars(a).items():
                ours_too = getattr(b, method, None)
                full = f"{name}.{method}"
                if callable(f) and callable(ours_too) and method[0] != "_" and full not in KNOWN:
                    found.append((full, f, ours_too))
    return found


def difference(theirs: Any, ours: Any) -> str:
    """What a caller would notice; "" where nothing."""
    a, b = arguments(theirs), arguments(ours)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in inspect.signature(ours).parameters.values())
    for name, p in a.items():
        if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL):
            continue
        if name not in b:
            if not takes_any:
                return f"{name} is missing"
        elif shown(p) != shown(b[name]):
            return f"{name} = {shown(b[name])}, not {shown(p)}"
    orders = [
        [n for n, p in x.items() if p.kind is p.POSITIONAL_OR_KEYWORD and n in a and n in b]
        for x in (a, b)
    ]
    return "" if orders[0] == orders[1] else f"order {orders[1]}, not {orders[0]}"


@pytest.mark.parametrize("path", MODULES)
def test_signatures(path: str) -> None:
    wrong, compared = [], 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, theirs, ours in pairs(path):
            try:
                found = arguments(theirs)
            except (ValueError, TypeError):
                continue  # torch's functions of C show none
            if found:
                compared += 1
                text = difference(theirs, ours)
                wrong += [f"{name}: {text}"] if text else []
    assert not wrong, "\n".join(wrong)
    assert compared


def _accepts(f: Any, **options: Any) -> Any:
    """The result, or None where the call is refused."""
    try:
        return f(**options)
    except Exception:
        return None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("options", [{"axis": 1}, {"axis": 1, "keepdims": True}])
def test_numpy_names(options: dict[str, Any]) -> None:
    """Every function and method that takes `axis` and `keepdims` in torch does here."""
    data = [[3.0, 1.0, 2.0], [-1.0, 0.0, 5.0]]
    theirs, ours = torch.tensor(data), rnn.tensor(data)
    tried = 0
    for name in sorted({*dir(torch.Tensor), *dir(torch)}):
        if name.startswith("_") or name in ("size", "stride"):  # too often called
            continue
        for where, a, b in ((torch, rnn, None), (torch.Tensor, rnn.Tensor, 1)):
            known = getattr(where, name, None)
            have = getattr(a, name, None) if b is None else a.__dict__.get(name)
            if not callable(known) or not callable(have):
                continue
            expected = _accepts(lambda **o: known(theirs.clone(), **o), **options)
            if expected is None:
                continue
            tried += 1
            assert repr(have(ours.clone(), **options)).replace("rnn.", "torch.") == repr(expected)
    assert tried > 40
    with pytest.raises(TypeError, match=r"multiple values|unexpected"):
        ours.unsqueeze(1, axis=1)
    assert rnn.add(x=ours, x2=ours).tolist() == (ours + ours).tolist()


HUGE = 2**63
#: arguments that do not fit 64 bits: an error of dimensions, indices or values, never one of C's
TOO_LARGE = [
    (IndexError, lambda m, x: x.sum(HUGE)),
    (IndexError, lambda m, x: x.mean((0, -HUGE - 1))),
    (IndexError, lambda m, x: x.var(HUGE)),
    (IndexError, lambda m, x: x.softmax(HUGE)),
    (IndexError, lambda m, x: x.cumsum(-HUGE - 1)),
    (IndexError, lambda m, x: x.transpose(0, HUGE)),
    (IndexError, lambda m, x: x.permute(0, HUGE)),
    (IndexError, lambda m, x: x.unsqueeze(HUGE)),
    (IndexError, lambda m, x: x.squeeze(HUGE)),
    (IndexError, lambda m, x: m.cat([x, x], HUGE)),
    (IndexError, lambda m, x: m.stack([x, x], HUGE)),
    (IndexError, lambda m, x: x.select(0, HUGE)),
    (IndexError, lambda m, x: x[HUGE]),
    (IndexError, lambda m, x: x[0, -HUGE - 1]),
    (IndexError, lambda m, x: x[0:1, HUGE]),
    (ValueError, lambda m, x: m.linspace(0, 1, HUGE)),
    (ValueError, lambda m, x: m.randint(0, HUGE, (2,))),
    (RuntimeError, lambda m, x: x.long().fill_(HUGE)),
    (RuntimeError, lambda m, x: x.long() ** HUGE),
]


@pytest.mark.parametrize(("kind", "call"), TOO_LARGE)
def test_too_large_for_64_bits(kind: Any, call: Any) -> None:
    with pytest.raises(kind, match=r"9223372036854775808|9223372036854775809|overflow"):
        call(rnn, rnn.ones(2, 3))
    with pytest.raises((ValueError, TypeError, RuntimeError)):  # which says less
        call(torch, torch.ones(2, 3))


def test_slices_beyond_64_bits() -> None:
    x = rnn.ones(2, 3)
    assert x[HUGE:].shape == (0, 3) and x[:HUGE].shape == (2, 3)
    assert x[0:2, -HUGE - 7 :].shape == (2, 3)
    words = r"topk\(\): argument 'k' \(position 1\) must be int, not float"
    with pytest.raises(TypeError, match=words):
        x.topk(2.5)
    for call in (x.tril, x.triu, x.kthvalue, lambda n: x.select(0, n)):
        with pytest.raises(TypeError, match="must be int, not float"):
            call(1.5)
    for name, number in (("fill_", 300), ("fill_", float("nan"))):
        for m in (torch, rnn):
            with pytest.raises(RuntimeError, match="cannot be converted to type int8_t"):
                getattr(m.zeros(1, dtype=m.int8), name)(number)

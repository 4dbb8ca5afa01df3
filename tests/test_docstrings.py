"""Every public function and class says by an example how it is used, and every example runs."""

from __future__ import annotations

import doctest
import importlib
import inspect
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnn
import rnn.nn.functional as F

# The namespaces whose functions and classes are meant for users, as PyTorch has them.
NAMESPACES = """
    rnn rnn.autograd rnn.autograd.functional rnn.distributions rnn.func rnn.inspect rnn.linalg
    rnn.nn rnn.nn.functional rnn.nn.init rnn.nn.utils rnn.nn.utils.parametrizations
    rnn.nn.utils.parametrize rnn.nn.utils.prune rnn.nn.utils.rnn rnn.optim
    rnn.optim.lr_scheduler rnn.optim.swa_utils rnn.special rnn.utils.checkpoint rnn.utils.data
""".split()

# Names of PyTorch's that do nothing here, and bases that nobody uses alone.
WITHOUT = set(
    """
    GradScaler Tensor autocast backward_value is_anomaly_check_nan_enabled Distribution register_kl
    skipped
    """.split()
)


def defined(x: Any) -> Any:
    """The function or class behind a public name."""
    return inspect.unwrap(x) if inspect.isfunction(x) else x


def public() -> Iterator[tuple[str, Any]]:
    """(name, function or class) of all namespaces, in-place forms and what they only import left
    out.
    """
    for namespace in NAMESPACES:
        module = importlib.import_module(namespace)
        gathers = hasattr(module, "__path__")  # a package has its names from its modules
        for name, x in sorted(vars(module).items()):
            if not (inspect.isfunction(x) or inspect.isclass(x)) or name.strip("_") != name:
                continue
            home = defined(x).__module__ or ""
            known = home.startswith("rnn.") and not home.startswith("rnn._")
            if known and (gathers or home == namespace) and name not in WITHOUT:
                yield f"{namespace}.{name}", defined(x)


def test_every_public_name_has_an_example() -> None:
    without = [name for name, x in public() if ">>>" not in (x.__doc__ or "")]
    assert not without


def documented() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(name, docstring, the names of its module) of everything in rnn that has an example."""
    seen = set()
    for _, module in sorted(sys.modules.copy().items()):
        if not module.__name__.startswith("rnn"):
            continue
        for x in [*vars(module).values()]:
            if not (inspect.isfunction(x) or inspect.isclass(x)):
                continue
            members = [*vars(x).values()] if inspect.isclass(x) else []
            for each in [defined(x), *members]:
                text = getattr(each, "__doc__", None)
                home = getattr(each, "__module__", None) or x.__module__
                if not isinstance(text, str) or ">>>" not in text or id(each) in seen:
                    continue
                if home.split(".")[0] == "rnn":
                    seen.add(id(each))
                    name = f"{home}.{getattr(each, '__qualname__', x.__name__)}"
                    names = vars(sys.modules[home])
                    yield name, text, {**names, "rnn": rnn, "F": F, "np": np}


def test_every_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    said: list[str] = []
    for name, text, names in documented():
        test = doctest.DocTestParser().get_doctest(text, names, name, None, 0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            runner.run(test, out=said.append)
        rnn.set_default_dtype(rnn.float32)
        rnn.set_resolution("tensor")
        rnn.serialization.clear_safe_globals()
    assert runner.tries > 1200
    assert not runner.failures, "".join(said)

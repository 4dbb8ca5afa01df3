"""`python -m rnn program.py [args]` runs a PyTorch program on rnn: for it, `import torch` means
rnn.

Submodules follow (`torch.nn.functional` is `rnn.nn.functional`), and what is printed says `torch.`
as PyTorch does. `python -m rnn -c "code"` and `python -m rnn -m module` work as Python's own.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import re
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import rnn
from rnn import _dtypes

USAGE = "usage: python -m rnn program.py [args] | -m module [args] | -c code [args]"


class _Alias(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports `torch.x` as `rnn.x`: one module object under both names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "torch" and not fullname.startswith("torch."):
            return None
        if importlib.util.find_spec("rnn" + fullname.removeprefix("torch")) is None:
            raise ModuleNotFoundError(
                f"rnn has no {fullname}: the README lists what is there", name=fullname
            )
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> Any:
        return importlib.import_module("rnn" + spec.name.removeprefix("torch"))

    def exec_module(self, module: ModuleType) -> None:
        """The module has run already, under its own name."""


class _Version(str):
    """A version that compares by its numbers, with another or with a string, as torch's does."""

    __slots__ = ()
    __hash__ = str.__hash__

    @staticmethod
    def _numbers(text: str) -> list[int]:
        numbers = [int(n) for n in re.findall(r"\d+", text.partition("+")[0])]
        while numbers and not numbers[-1]:
            numbers.pop()  # 2.13 is 2.13.0
        return numbers

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self._numbers(self) == self._numbers(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __lt__(self, other: str) -> bool:
        return self._numbers(self) < self._numbers(other)

    def __le__(self, other: str) -> bool:
        return self._numbers(self) <= self._numbers(other)

    def __gt__(self, other: str) -> bool:
        return self._numbers(self) > self._numbers(other)

    def __ge__(self, other: str) -> bool:
        return self._numbers(self) >= self._numbers(other)


FOLLOWED = _Version("2.13.0")  # the PyTorch whose names and behaviour rnn has


def pretend() -> None:
    """From now on, in this process, `import torch` gives rnn, and its version is PyTorch's."""
    _dtypes.prefix = "torch."
    rnn.__version__ = rnn.version.__version__ = FOLLOWED
    sys.meta_path.insert(0, _Alias())
    sys.modules["torch"] = rnn


def main(arguments: list[str]) -> None:
    """Runs the program that the arguments name, as Python would.

    Raises:
        SystemExit: with 2 where they name none.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__ if arguments else USAGE, file=sys.stdout if arguments else sys.stderr)
        raise SystemExit(0 if arguments else 2)
    pretend()
    if arguments[0] in ("-m", "-c") and len(arguments) < 2:
        print(USAGE, file=sys.stderr)
        raise SystemExit(2)
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    elif arguments[0] == "-c":
        sys.argv = ["-c", *arguments[2:]]
        exec(compile(arguments[1], "<string>", "exec"), {"__name__": "__main__"})
    else:
        program = Path(arguments[0])
        if not program.exists():
            print(f"python -m rnn: there is no file {program}", file=sys.stderr)
            raise SystemExit(2)
        sys.argv = arguments
        sys.path[0] = str(program.parent.resolve())
        runpy.run_path(str(program), run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])

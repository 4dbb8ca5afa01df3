"""What the three programs share: bounds of options, the error that names a file, exit codes."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn


class InputError(ValueError):
    """What the user gave cannot be used: "file: field: what is wrong", in one line."""

    def __init__(self, file: object, field: str, problem: str) -> None:
        line = f"{file}: {field}: {problem}"
        super().__init__("".join(c if c.isprintable() else " " for c in line))


class Parser(argparse.ArgumentParser):
    """Options; what is wrong with them is one line too, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{InputError(self.prog, 'options', message)}\n")


def at_least(least: float, most: float = float("inf"), kind: type = float) -> Callable[[str], Any]:
    """A number of an option within bounds."""

    def number(text: str) -> Any:
        value = kind(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text} is not between {least} and {most}")
        return value

    number.__name__ = kind.__name__
    return number


def exit_code(program: Callable[[], None]) -> int:
    """Runs a program; returns its exit code: 0, 2 where something cannot be used, 130 after Ctrl-C,
    1 where the reader of its output has gone.
    """
    sys.stdin = sys.stdin or io.TextIOWrapper(io.BytesIO())  # None where the shell closed them
    sys.stdout = sys.stdout or io.StringIO()
    sys.stderr = sys.stderr or io.StringIO()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show every character
    try:
        program()
        sys.stdout.flush()
        return 0
    except InputError as problem:
        print(problem, file=sys.stderr)
    except ModuleNotFoundError as problem:
        print(f"{problem.name}: module: is not installed: pip install '.[gpt2]'", file=sys.stderr)
    except MemoryError as problem:
        print(f"memory: {str(problem) or 'there is not enough'}", file=sys.stderr)
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    except BrokenPipeError:
        _discard_output()
        return 1
    except OSError as problem:
        where = problem.filename or "output"
        print(f"{where}: file: {problem.strerror or problem}", file=sys.stderr)
        if problem.filename is None:
            _discard_output()
    return 2


def _discard_output() -> None:
    """What is left in standard output's buffer goes nowhere, so that leaving does not fail too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

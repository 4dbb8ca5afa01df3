"""Whole programs, tests/programs/*.py: each prints under `python -m rnn` what it prints with torch.

They are written in the styles of public teaching programs. Words must be the same; a number may
differ in its last printed digit, or by 2e-5 of itself where it is printed whole, since sums are
taken in another order.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent / "programs"
RUN_ALL = FOLDER / "run_all.py"
PROGRAMS = sorted(p.stem for p in FOLDER.glob("*.py") if p != RUN_ALL)
NUMBER = re.compile(r"-?\d+\.\d*(?:e[+-]?\d+)?|-?\d+e[+-]?\d+")


def numbers_and_words(text: str) -> tuple[list[str], str]:
    """The numbers with a fraction, as printed, and the text with `#` for each."""
    return NUMBER.findall(text), NUMBER.sub("#", text)


def close(ours: str, theirs: str) -> bool:
    """Whether two printed numbers differ by one in the last digit, or 2e-5, at most."""
    mantissa, _, exponent = theirs.partition("e")
    digits = len(mantissa.partition(".")[2])
    unit = 10.0 ** (int(exponent or 0) - digits)
    a, b = float(ours), float(theirs)
    return abs(a - b) <= max(1.01 * unit, 2e-5 * abs(b))


def same_text(ours: str, theirs: str) -> None:
    """AssertionError with the first line that differs."""
    for number, (a, b) in enumerate(zip(ours.splitlines(), theirs.splitlines()), 1):
        (x, words), (y, expected) = numbers_and_words(a), numbers_and_words(b)
        same = words == expected and all(map(close, x, y))
        assert same, f"line {number}:\n  rnn   {a}\n  torch {b}"
    assert len(ours.splitlines()) == len(theirs.splitlines()), ours[-500:]


def test_the_comparison_can_fail() -> None:
    same_text("loss 1.234567 at 3", "loss 1.234566 at 3")
    same_text("loss 123456.78", "loss 123457.21")
    for wrong in ("loss 1.234590 at 3", "loss 1.234566 at 4", "Loss 1.234566 at 3", "", "a\nb"):
        with pytest.raises(AssertionError):
            same_text(wrong, "loss 1.234510 at 3")


def run(*arguments: Any, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    path = os.pathsep.join(filter(None, sys.path))
    environment = dict(os.environ, PYTHONPATH=path, OMP_NUM_THREADS="1")
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What every program prints, by "torch" and "rnn": one process each."""
    folder = tmp_path_factory.mktemp("programs")
    texts = {}
    for name, option in (("torch", []), ("rnn", ["-m", "rnn"])):
        out = folder / f"{name}.json"
        programs = [FOLDER / f"{p}.py" for p in PROGRAMS]
        done = run(*option, RUN_ALL, out, *programs, cwd=folder)
        assert done.returncode == 0, done.stderr[-2000:]
        texts[name] = json.loads(out.read_text())
    return texts


@pytest.mark.parametrize("program", PROGRAMS)
def test_prints_the_same(program: str, printed: dict[str, dict[str, str]]) -> None:
    theirs, ours = printed["torch"][program], printed["rnn"][program]
    assert "Traceback" not in theirs, theirs[-2000:]
    assert theirs.strip()
    same_text(ours, theirs)


def test_as_a_process_with_arguments(tmp_path: Path) -> None:
    program, options = FOLDER / "mnist.py", ["--epochs", "1", "--dry-run", "--lr=0.5"]
    theirs = run(program, *options, cwd=tmp_path)
    ours = run("-m", "rnn", program, *options, cwd=tmp_path)
    assert theirs.returncode == ours.returncode == 0, ours.stderr
    assert "Train Epoch: 1 [0/256 (0%)]" in ours.stdout
    assert ours.stderr == ""
    same_text(ours.stdout, theirs.stdout)
    bad = run("-m", "rnn", program, "--no-such-option", cwd=tmp_path)
    assert bad.returncode == 2
    assert "unrecognized arguments: --no-such-option" in bad.stderr


@pytest.mark.parametrize("program", ["makemore_mlp", "gpt_lecture", "vae"])
def test_with_its_imports_changed(
    program: str, printed: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    """`import rnn as torch` instead of `import torch`, and so for its submodules."""
    text = (FOLDER / f"{program}.py").read_text()
    text = re.sub(r"^import torch$", "import rnn as torch", text, flags=re.M)
    text = re.sub(r"^(import|from) torch\b", r"\1 rnn", text, flags=re.M)
    path = tmp_path / "changed.py"
    path.write_text(text)
    done = run(path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    same_text(done.stdout.replace("rnn.", "torch."), printed["torch"][program])


def test_version_checks(tmp_path: Path) -> None:
    """Programs ask which PyTorch there is, by text and by numbers."""
    code = (
        "import torch; v = torch.__version__; print(v.split('+')[0], v >= '1.8', v < '2.0', "
        "v >= '2.9', v == '2.13', int(v.split('.')[0]) >= 2, torch.version.__version__[:4])"
    )
    theirs = run("-c", code, cwd=tmp_path)
    ours = run("-m", "rnn", "-c", code, cwd=tmp_path)
    assert theirs.stdout.startswith("2.13.0 True False True")
    assert ours.stdout.startswith("2.13.0 True False True True True 2.13"), ours.stderr

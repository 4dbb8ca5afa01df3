"""examples/microscope.py, run: every part prints what it promises, and writes its drawings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import microscope
import nbformat
import pytest
from pictures import run_notebook


def test_the_small_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    microscope.small(tmp_path)
    said = capsys.readouterr().out
    for part in range(1, 7):
        assert f"\n{part}. " in said
    assert "<Graph of 11 spans and 19 nodes>" in said
    assert "d loss / d hidden.weight[0, 1] = 14.0" in said
    assert "a dead ReLU" in said
    assert "mul made nan at index [1] of its result: 0 * inf" in said
    assert "is used only by the branch that is not taken" in said
    assert "analytic 6, numeric 12" in said
    assert "Computation graph of loss: 19 scalar nodes" in said
    assert (tmp_path / "network.html").stat().st_size > 50_000


def test_gpt2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    microscope.gpt2(tmp_path, "ROMEO:")
    said = capsys.readouterr().out
    assert "d logits[" in said and "the sum over" in said
    assert "1. h.2.ln_2.weight[7] = inf: it was written there in place" in said
    assert "numbers that come in: True" in said
    assert "\u25b8 h.1" in said  # folded by module
    assert (tmp_path / "gpt2.html").stat().st_size > 500_000


def _data(output: Any) -> dict[str, str]:
    """Without the drawing's own name, which is another each time."""
    data = output.get("data", {})
    return {kind: re.sub(r"\brnn-[0-9a-f]{10}\b", "rnn-name", x) for kind, x in data.items()}


def test_the_notebook_gives_what_it_shows() -> None:
    """examples/backprop.ipynb, run anew: the same words and drawings, but for the last digits of
    what was trained."""
    saved = nbformat.read(run_notebook.NOTEBOOK, as_version=4)
    cells = [c for c in zip(saved.cells, run_notebook.run().cells) if c[0].cell_type == "code"]
    drawings = 0
    for before, now in cells:
        assert len(before.outputs) == len(now.outputs)
        for old, new in zip(before.outputs, now.outputs):
            assert old.get("data", {}).keys() == new.get("data", {}).keys()
            drawings += "image/svg+xml" in new.get("data", {})
            if "Adam" not in before.source:
                assert old.get("text") == new.get("text")
                assert _data(old) == _data(new)
    assert drawings == 5

"""Runs examples/backprop.ipynb anew, and keeps of its results what is shown without JavaScript.

pip install nbclient ipykernel
python examples/pictures/run_notebook.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbclient
import nbformat

NOTEBOOK = Path(__file__).resolve().parent.parent / "backprop.ipynb"


def run() -> Any:
    """The notebook with what its cells give now: of a drawing the SVG alone, which GitHub shows."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/svg+xml" in data:
                data.pop("text/html", None)
    return notebook


def _joined(outputs: list[Any]) -> list[Any]:
    """What a cell prints is one text, however it arrived."""
    found: list[Any] = []
    for output in outputs:
        if found and output.get("name") == found[-1].get("name", ""):
            found[-1].text += output.text
        else:
            found.append(output)
    return found


if __name__ == "__main__":
    NOTEBOOK.write_text(nbformat.writes(run()) + "\n", encoding="utf-8")

"""Rules of the source that no linter knows."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_no_handle_of_a_temporary() -> None:
    """`f(x)._h` is the handle of a tensor that is gone before C sees it: the tensor needs a name.
    """
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted((ROOT / "rnn").rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"\)\._h\b", line)
    ]
    assert not found, "\n".join(found)

"""torch.version's names."""

from __future__ import annotations

from rnn._config import __version__ as __version__

cuda: str | None = None
hip: str | None = None
xpu: str | None = None
debug = False

"""Warnings that name the line of the user, however many functions of rnn lie between."""

from __future__ import annotations

import sys
import warnings
from typing import Any


def warn_user(text: str) -> None:
    """A UserWarning at the line outside of rnn that called it."""
    frame: Any = sys._getframe()
    level = 1
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "rnn":
        frame, level = frame.f_back, level + 1
    warnings.warn(text, stacklevel=level)

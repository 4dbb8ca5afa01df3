"""Hypothesis draws the same examples in every CI run, and none fails for being slow on a busy
machine.
"""

from __future__ import annotations

import gc
import os

from hypothesis import settings

settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_collection_finish() -> None:
    """What is there before the first test stays: later collections need not look at it again."""
    gc.collect()
    gc.freeze()

"""Hypothesis draws the same examples in every CI run, and none fails for being slow on a busy
machine.
"""

from __future__ import annotations

import gc
import os

import pytest
from hypothesis import settings

settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(scope="module", autouse=True)
def _what_is_there_stays() -> None:
    """A module's own collections need not look at PyTorch and at what earlier modules left."""
    gc.collect()
    gc.freeze()

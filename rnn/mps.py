"""torch.mps's probes: there is no such device here."""

from __future__ import annotations


def is_available() -> bool:
    """No."""
    return False


def device_count() -> int:
    """0."""
    return 0


def manual_seed(seed: int) -> None:
    """Does nothing: rnn.manual_seed seeds the CPU's generator."""


def empty_cache() -> None:
    """Does nothing."""

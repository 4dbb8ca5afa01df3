"""torch.accelerator's probes: there is none here."""

from __future__ import annotations

from typing import Any, NoReturn

from rnn import _config, _size


def is_available() -> bool:
    """No."""
    return False


def device_count() -> int:
    """0."""
    return 0


def current_accelerator(check_available: bool = False) -> _size.device | None:
    """None."""
    return None


def synchronize(device: Any = None) -> NoReturn:
    """RuntimeError: there is no accelerator."""
    raise RuntimeError("Cannot access accelerator device when none is available.")


current_device_index = set_device_index = synchronize


def __getattr__(name: str) -> Any:
    raise _config.absent(__name__, name)

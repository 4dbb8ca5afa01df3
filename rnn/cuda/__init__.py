"""torch.cuda's probes: there is no GPU here."""

from __future__ import annotations

from typing import Any, NoReturn

from rnn import _config
from rnn.cuda import amp as amp

_NONE = "rnn runs on the CPU only: there is no CUDA device"


def is_available() -> bool:
    """No.

    Example:
        >>> rnn.cuda.is_available()
        False
    """
    return False


def is_initialized() -> bool:
    """No."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """No."""
    return False


def device_count() -> int:
    """0.

    Example:
        >>> rnn.cuda.device_count()
        0
    """
    return 0


def manual_seed(seed: int) -> None:
    """Does nothing: rnn.manual_seed seeds the CPU's generator.

    Example:
        >>> rnn.cuda.manual_seed(0)
    """


def manual_seed_all(seed: int) -> None:
    """Does nothing: rnn.manual_seed seeds the CPU's generator."""


def empty_cache() -> None:
    """Does nothing; rnn.empty_cache is the CPU's."""


def memory_allocated(device: Any = None) -> int:
    """0.

    Example:
        >>> rnn.cuda.memory_allocated()
        0
    """
    return 0


def max_memory_allocated(device: Any = None) -> int:
    """0."""
    return 0


def memory_reserved(device: Any = None) -> int:
    """0."""
    return 0


def reset_peak_memory_stats(device: Any = None) -> None:
    """Does nothing."""


def synchronize(device: Any = None) -> NoReturn:
    """AssertionError: there is no device."""
    raise AssertionError(_NONE)


def current_device() -> NoReturn:
    """AssertionError: there is no device."""
    raise AssertionError(_NONE)


def set_device(device: Any) -> NoReturn:
    """AssertionError: there is no device."""
    raise AssertionError(_NONE)


def get_device_name(device: Any = None) -> NoReturn:
    """AssertionError: there is no device."""
    raise AssertionError(_NONE)


def get_device_properties(device: Any = None) -> NoReturn:
    """AssertionError: there is no device."""
    raise AssertionError(_NONE)


def __getattr__(name: str) -> Any:
    raise _config.absent(__name__, name)

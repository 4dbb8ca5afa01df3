"""What the engine runs with: threads, memory limit, versions; and probes that programs make."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from typing import Any

import numpy as np

from rnn import _dtypes, _size
from rnn._c import E, blas_name, check, ffi, lib
from rnn._size import CPU, check_device

__version__ = "0.1.0"

# ---- threads -------------------------------------------------------------------------------------


def get_num_threads() -> int:
    """How many threads a kernel may use (torch.get_num_threads).

    At the start that is RNN_NUM_THREADS or OMP_NUM_THREADS of the environment, else the number of
    processors.

    Example:
        >>> rnn.get_num_threads() >= 1
        True
    """
    return int(lib.rnn_threads(E))


def set_num_threads(num: int) -> None:
    """Sets how many threads a kernel may use (torch.set_num_threads).

    Raises:
        TypeError: num is no int. RuntimeError: it is not positive.

    Example:
        >>> threads = rnn.get_num_threads()
        >>> rnn.set_num_threads(1)
        >>> rnn.get_num_threads()
        1
        >>> rnn.set_num_threads(threads)
    """
    if not isinstance(num, (int, np.integer)) or isinstance(num, bool):
        raise TypeError(f"set_num_threads expects an int, but got {type(num).__name__}")
    check(lib.rnn_set_threads(E, min(num, 2**31 - 1) if num > 0 else 0))


def get_num_interop_threads() -> int:
    """1: operations do not run beside each other (torch.get_num_interop_threads).

    Example:
        >>> rnn.get_num_interop_threads() >= 1
        True
    """
    return 1


def set_num_interop_threads(num: int) -> None:
    """Accepted, without effect (torch.set_num_interop_threads)."""


def _threads_of_environment() -> None:
    for name in ("RNN_NUM_THREADS", "OMP_NUM_THREADS"):
        wish = os.environ.get(name, "").split(",")[0].strip()
        if wish.isdigit() and int(wish) > 0:
            set_num_threads(int(wish))
            return


_threads_of_environment()

# ---- memory --------------------------------------------------------------------------------------

_MEMORY = ("limit", "live", "peak", "kept", "spans", "nodes")


def memory_stats() -> dict[str, int]:
    """The memory of nodes.

    limit: bytes that nodes may take; live: that they take; peak: the most that they took; kept:
    free but kept for reuse; spans: of the graph, alive; nodes: ever made.

    Example:
        >>> sorted(rnn.memory_stats())
        ['kept', 'limit', 'live', 'nodes', 'peak', 'spans']
    """
    out = ffi.new("uint64_t[6]")
    lib.rnn_memory(E, out)
    return dict(zip(_MEMORY, [int(n) for n in out]))


def get_memory_limit() -> int:
    """The bytes that nodes may take before an operation raises MemoryError.

    Example:
        >>> rnn.get_memory_limit() > 0
        True
    """
    return memory_stats()["limit"]


_DEFAULT_LIMIT = get_memory_limit()


def set_memory_limit(limit: int | None) -> None:
    """Sets the bytes that nodes may take; None: 90 % of the machine's or the container's memory.

    Tensors of integers and bools are no nodes: each is held to the limit when it is made, beside
    the nodes that are alive then, but does not count for what is made later.

    Raises:
        ValueError: the limit is negative.

    Example:
        >>> rnn.set_memory_limit(1 << 30)
        >>> rnn.get_memory_limit()
        1073741824
        >>> rnn.set_memory_limit(None)
    """
    limit = _DEFAULT_LIMIT if limit is None else int(limit)
    if limit < 0:
        raise ValueError(f"a memory limit cannot be negative: {limit}")
    lib.rnn_set_memory_limit(E, min(limit, 2**64 - 1))


def reset_peak_memory() -> None:
    """Lets memory_stats()["peak"] start anew from what is alive now.

    Example:
        >>> rnn.reset_peak_memory()
    """
    lib.rnn_reset_peak(E)


def empty_cache() -> None:
    """Gives the memory that is kept for reuse back to the system. What was cut into blocks of a few
    kilobytes stays kept.

    Example:
        >>> rnn.empty_cache()
    """
    lib.rnn_trim(E)


# ---- what there is -------------------------------------------------------------------------------


def _bytes(n: int) -> str:
    return f"{n / 2**30:.1f} GiB" if n >= 2**30 else f"{n / 2**20:.1f} MiB"


def config() -> str:
    """What show_config prints."""
    memory = memory_stats()
    lines = {
        "rnn": __version__,
        "compiler": ffi.string(lib.rnn_compiler()).decode(),
        "instruction set": ffi.string(lib.rnn_isa(E)).decode(),
        "BLAS": blas_name or "none: the engine's own kernels",
        "threads": str(get_num_threads()),
        "memory limit": f"{_bytes(memory['limit'])} ({_bytes(memory['live'])} in use)",
        "Python": f"{platform.python_version()}, NumPy {np.__version__}",
        "system": f"{platform.system()} {platform.machine()}",
    }
    return "\n".join(f"{name + ':':<17}{text}" for name, text in lines.items())


def show_config() -> None:
    """Prints compiler, instruction set, BLAS, threads, memory limit and versions."""
    print(config())


# ---- probes --------------------------------------------------------------------------------------


def get_default_device() -> _size.device:
    """The CPU (torch.get_default_device).

    Example:
        >>> rnn.get_default_device()
        device(type='cpu')
    """
    return CPU


def set_default_device(device: Any) -> None:
    """Takes the CPU (torch.set_default_device). RuntimeError for any other."""
    check_device(device)


def set_default_tensor_type(t: Any) -> None:
    """The default dtype by the name of a tensor type (torch.set_default_tensor_type)."""
    _dtypes.set_default_dtype(_dtypes.as_dtype(getattr(t, "dtype", t)))


def compile(model: Any = None, **options: Any) -> Any:
    """Its argument: there is nothing to compile (torch.compile); also as a decorator."""
    if model is None:
        return _as_it_is
    return model


def _as_it_is(model: Callable[..., Any]) -> Callable[..., Any]:
    return model


_precision = "highest"


def get_float32_matmul_precision() -> str:
    """What was set: "highest" at first (torch.get_float32_matmul_precision).

    Example:
        >>> rnn.get_float32_matmul_precision()
        'highest'
    """
    return _precision


def set_float32_matmul_precision(precision: str) -> None:
    """Accepted; products of float32 are always computed in float32.

    Raises:
        RuntimeError: precision is not "highest", "high" or "medium".
    """
    global _precision
    if precision not in ("highest", "high", "medium"):
        raise RuntimeError(f'"highest", "high" or "medium" is expected, not {precision!r}')
    _precision = precision


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Accepted: all algorithms are deterministic (torch.use_deterministic_algorithms)."""


def are_deterministic_algorithms_enabled() -> bool:
    """Yes (torch.are_deterministic_algorithms_enabled).

    Example:
        >>> rnn.are_deterministic_algorithms_enabled()
        True
    """
    return True


def set_flush_denormal(mode: bool) -> bool:
    """No: denormal numbers stay what they are (torch.set_flush_denormal)."""
    return False


def absent(module: str, name: str) -> AttributeError:
    """What a module's __getattr__ raises for what it does not have."""
    return AttributeError(
        f"module '{module}' has no attribute '{name}'. If PyTorch has it: the README lists, under "
        '"What is there", what rnn has of PyTorch and what it leaves out.'
    )

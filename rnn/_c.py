"""The engine, loaded: the one place where Python meets C. Turns codes into exceptions.

Everything that calls into C does so through `lib` with the engine `E` first; what comes back is a
handle (adopted into a Tensor), a count, or a negative code for `fail`.
"""

from __future__ import annotations

import ctypes
import math
import os
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

try:
    from rnn import _engine
except ImportError:  # run from the source tree: the engine is where `pip install .` put it
    import rnn

    rnn.__path__ = pkgutil.extend_path(rnn.__path__, "rnn")
    from rnn import _engine

_module: Any = _engine
ffi: Any = _module.ffi
lib: Any = _module.lib

#: the engine; there is one a process
E: Any = lib.rnn_new()
if E == ffi.NULL:
    raise MemoryError("rnn: no address space for the engine")

_types: dict[str, Any] = ctypes.cast(
    int(ffi.cast("intptr_t", lib.rnn_python_types(E))), ctypes.py_object
).value
Handle: Any = _types["Handle"]
ValueBase: Any = _types["ValueBase"]
adopt: Any = _types["adopt"]
array_parts: Any = _types["array_parts"]
value_at: Any = _types["value_at"]
value_of: Any = _types["value_of"]
ref_of: Any = _types["ref_of"]
retain: Any = _types["retain"]
forget: Any = _types["forget"]
object_at: Any = _types["object_at"]
ModuleBase: Any = _types["ModuleBase"]
drain: Any = _types["drain"]
register_classes: Any = _types["register_classes"]
register_operators: Any = _types["register_operators"]
register_scopes: Any = _types["register_scopes"]
register_sites: Any = _types["register_sites"]

ETYPE = -5
COMPOSE = -100  # scalar resolution: record the composition instead
EDTYPE = -101  # the operands' dtypes differ: promote, then call again
EANOMALY = -103  # a NaN, under detect_anomaly
ERECORD = -102  # must be recorded: compute out of place, then rebind or assign

_EXCEPTIONS = {
    -1: MemoryError,
    -2: ValueError,
    -3: IndexError,
    -4: RuntimeError,
    -5: TypeError,
    EDTYPE: TypeError,
}


def fail(code: int) -> NoReturn:
    """Raises the exception that a negative code stands for, with the engine's message."""
    if code == EANOMALY:
        from rnn.inspect.anomaly import raise_forward

        raise_forward()
    if code == EDTYPE:
        raise RuntimeError("the dtypes or shapes of the operands do not match")
    raise _EXCEPTIONS.get(code, RuntimeError)(ffi.string(lib.rnn_message(E)).decode())


def check(code: int) -> int:
    """The code itself, or its exception where it is negative."""
    if code < 0:
        fail(code)
    return code


_SMALL = 65536  # an array of so many bytes is made without a question


def check_room(what: str, shape: Sequence[int], itemsize: int) -> None:
    """Whether the memory limit leaves room for a NumPy array, of integers or bools or of places:
    asked before it is made, where it may be much larger than what it is made from.

    Raises:
        MemoryError: it does not, beside the nodes that are alive.
    """
    count = math.prod(shape)
    need = count * itemsize
    if need <= _SMALL:
        return
    out = ffi.new("uint64_t[6]")
    lib.rnn_memory(E, out)
    limit, live = out[0], out[1]
    if need + live > limit:
        raise MemoryError(
            f"{what}: {count} numbers need {need} bytes, but {live} of the memory limit of "
            f"{limit} are in use"
        )


def check_copy_room(what: str, array: Any, itemsize: int = 0) -> Any:
    """The array, after check_room for a copy of it (or, with itemsize, for a result of as many
    numbers of that size): where it is expanded, those take more memory than the array itself.
    """
    if 0 in array.strides:
        check_room(what, array.shape, itemsize or array.itemsize)
    return array


def op(name: str) -> int:
    """The number of an operation in the engine's table.

    Raises:
        KeyError: there is no such operation.
    """
    number: int = lib.rnn_op_find(name.encode())
    if number < 0:
        raise KeyError(name)
    return number


def dims(shape: Any) -> Any:
    """A shape as the engine takes it: int64_t[].

    Raises:
        ValueError: a size does not fit 64 bits.
    """
    try:
        return ffi.new("int64_t[]", shape if isinstance(shape, (tuple, list)) else tuple(shape))
    except OverflowError:
        raise ValueError(f"a size in shape {list(shape)} does not fit 64 bits") from None


def handles(tensors: Sequence[Any]) -> Any:
    """The engine's handles of tensors, for a call that takes a list of them: rnn_ref[]; 0 for None
    and for integers.
    """
    return ffi.new("rnn_ref[]", [0 if t is None else t._h for t in tensors])


def gradient_of(t: Any) -> Any:
    """The gradient of a tensor's nodes as the engine keeps it, sharing its memory, or None."""
    h = check(lib.rnn_grad(E, t._h))
    return adopt(h) if h else None


def _load_blas() -> str | None:
    """Hands OpenBLAS to the engine; its own words about itself, or None where its wheel is not
    installed.
    """
    try:
        import scipy_openblas32 as wheel
    except ImportError:
        return None
    for path in sorted(Path(wheel.get_lib_dir()).glob("libscipy_openblas*")):
        try:
            blas = ctypes.CDLL(os.fspath(path))
            sgemm, dgemm = blas.scipy_cblas_sgemm, blas.scipy_cblas_dgemm
            blas.scipy_openblas_set_num_threads(1)  # the engine's own threads share the work
        except (OSError, AttributeError):
            continue
        blas.scipy_openblas_get_config.restype = ctypes.c_char_p
        _keep.append(blas)
        pointers = [ctypes.cast(f, ctypes.c_void_p).value for f in (sgemm, dgemm)]
        lib.rnn_set_blas(E, *[ffi.cast("void *", pointer) for pointer in pointers])
        config: bytes = blas.scipy_openblas_get_config() or b"OpenBLAS"
        return config.decode()
    return None


_keep: list[Any] = []
#: RNN_BLAS=none or RNN_BLAS=openblas in the environment decides; else OpenBLAS is used where it is
#: faster than the engine's own kernels, on processors without AVX2
_wish = os.environ.get("RNN_BLAS", "") or (
    "openblas" if ffi.string(lib.rnn_isa(E)) == b"base" else "none"
)
#: the BLAS in use, in its own words, or None
blas_name = None if _wish == "none" else _load_blas()

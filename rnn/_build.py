"""Builds the C engine: cffi in API mode, from csrc/rnn.h alone. setuptools calls it (see setup.py).
"""

import os
import re
from pathlib import Path

import cffi

ROOT = Path(__file__).resolve().parent.parent


def declarations(header: str) -> str:
    """The header's text without its preprocessor lines: what cffi parses."""
    return re.sub(r"^\s*#.*$", "", header, flags=re.MULTILINE)


def builder() -> cffi.FFI:
    """The module `rnn._engine`. RNN_CFLAGS and RNN_LDFLAGS add flags (sanitizers, warnings)."""
    ffi = cffi.FFI()
    ffi.cdef(declarations((ROOT / "csrc" / "rnn.h").read_text()))
    ffi.set_source(
        "rnn._engine",
        '#include "rnn.h"',
        sources=sorted(f"csrc/{path.name}" for path in (ROOT / "csrc").glob("*.c")),
        depends=sorted(f"csrc/{path.name}" for path in (ROOT / "csrc").glob("*.[hi]*")),
        include_dirs=["csrc"],
        libraries=["m", "pthread"],
        # no -ffp-contract=fast: with gnu11 it is GCC's default, and clang would not heed the pragma
        # of values.c under it, which keeps the digits of Python's floats
        extra_compile_args=[
            "-std=gnu11",
            "-O3",
            "-g0",
            "-fvisibility=hidden",
            "-fno-math-errno",
            "-fno-trapping-math",
            *os.environ.get("RNN_CFLAGS", "").split(),
        ],
        extra_link_args=os.environ.get("RNN_LDFLAGS", "").split(),
        py_limited_api=False,
    )
    return ffi


ffi = builder()

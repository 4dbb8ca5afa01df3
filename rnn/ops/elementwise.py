"""Elementwise arithmetic and functions, with broadcasting: one call into C each.

The way of `a * b`: Tensor.__mul__ is `mul` below; `mul` calls rnn_binary in csrc/elementwise.c; that runs the loop which
the row MUL of csrc/ops.h defines.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _c, _dtypes
from rnn._c import COMPOSE, E, Handle, adopt, fail, lib, op
from rnn.ops import _core, compose
from rnn.ops._core import as_node

if TYPE_CHECKING:
    from rnn.tensor import Tensor

# ---- the three ways into C ------------------------------------------------------------------------


def unary(number: int, a: Tensor, p0: float = 0.0, p1: float = 0.0) -> Tensor:
    """A unary operation of the table. Integer and boolean tensors become the default dtype first."""
    h = lib.rnn_unary(E, number, a._h, p0, p1)
    if h > 0:
        return adopt(h)  # type: ignore[no-any-return]
    if h == COMPOSE:
        return compose.unary[number](a, p0, p1)
    if not a._h:
        return unary(number, as_node(a, _core.float_code(a)), p0, p1)
    fail(h)


def binary(number: int, a: Any, b: Any, p0: float = 1.0) -> Tensor:
    """A binary operation of the table, on tensors or numbers, promoted to one float dtype."""
    if isinstance(a, Handle) and isinstance(b, Handle) and a._h and b._h:
        h = lib.rnn_binary(E, number, a._h, b._h, p0)
        if h > 0:
            return adopt(h)  # type: ignore[no-any-return]
        if h == COMPOSE:
            return compose.binary[number](a, b, p0)
        if h != _c.EDTYPE:
            fail(h)
    result = _core.result_dtype(a, b)
    if not result.is_floating_point:
        result = _dtypes.get_default_dtype()
    code = _core.CODES[result]
    return binary(number, as_node(a, code), as_node(b, code), p0)


def _arithmetic(
    number: int,
    scalar: Callable[[Any, Any], Tensor] | None,
    numpy: Callable[..., Any],
    a: Any,
    b: Any,
    p0: float = 1.0,
) -> Tensor:
    """add, sub, mul and their kind: floats in C, integers in NumPy. `scalar` does tensor-with-number in C."""
    if isinstance(a, Handle) and a._h:
        if isinstance(b, Handle):
            if b._h:
                h = lib.rnn_binary(E, number, a._h, b._h, p0)
                if h > 0:
                    return adopt(h)  # type: ignore[no-any-return]
                if h == COMPOSE:
                    return compose.binary[number](a, b, p0)
                if h != _c.EDTYPE:
                    fail(h)
        elif scalar is not None and isinstance(b, (int, float)):
            return scalar(a, b)
    result = _core.result_dtype(a, b)
    if result.is_floating_point:
        code = _core.CODES[result]
        return binary(number, as_node(a, code), as_node(b, code), p0)
    with np.errstate(all="ignore"):
        return _core.wrap(numpy(_core.as_array(a, result), _core.as_array(b, result)))

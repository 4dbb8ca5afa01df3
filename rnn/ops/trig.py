"""Sine, cosine and tangent, their inverses, and the hyperbolic ones: one call into C each, the row
of that name in ops.h. Integers and booleans become the default float dtype. Beside each function
stands its in-place form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rnn._c import op
from rnn.ops import _core
from rnn.ops.elementwise import unary, unary_in_place, write_out
from rnn.ops.selection import where
from rnn.ops.unary import square

if TYPE_CHECKING:
    from rnn.tensor import Tensor

_SIN = op("sin")
_COS = op("cos")
_TAN = op("tan")
_ASIN = op("asin")
_ACOS = op("acos")
_ATAN = op("atan")
_SINH = op("sinh")
_COSH = op("cosh")
_TANH = op("tanh")
_ASINH = op("asinh")
_ACOSH = op("acosh")
_ATANH = op("atanh")


def sin(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The sine, of radians (torch.sin).

    Example:
        >>> rnn.sin(rnn.tensor([0.0, 1.0]))
        tensor([0.0000, 0.8415])
    """
    return unary(_SIN, input) if out is None else write_out(out, sin, input)


def sin_(input: Tensor) -> Tensor:
    """sin, in place (torch.Tensor.sin_)."""
    return unary_in_place(_SIN, sin, input)


def cos(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The cosine, of radians (torch.cos).

    Example:
        >>> rnn.cos(rnn.tensor([0.0, 1.0]))
        tensor([1.0000, 0.5403])
    """
    return unary(_COS, input) if out is None else write_out(out, cos, input)


def cos_(input: Tensor) -> Tensor:
    """cos, in place (torch.Tensor.cos_)."""
    return unary_in_place(_COS, cos, input)


def tan(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The tangent, of radians (torch.tan).

    Example:
        >>> rnn.tan(rnn.tensor([0.0, 1.0]))
        tensor([0.0000, 1.5574])
    """
    return unary(_TAN, input) if out is None else write_out(out, tan, input)


def tan_(input: Tensor) -> Tensor:
    """tan, in place (torch.Tensor.tan_)."""
    return unary_in_place(_TAN, tan, input)


def asin(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The angle whose sine is x (torch.asin).

    Example:
        >>> rnn.asin(rnn.tensor([0.0, 1.0]))
        tensor([0.0000, 1.5708])
    """
    return unary(_ASIN, input) if out is None else write_out(out, asin, input)


def asin_(input: Tensor) -> Tensor:
    """asin, in place (torch.Tensor.asin_)."""
    return unary_in_place(_ASIN, asin, input)


def acos(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The angle whose cosine is x (torch.acos).

    Example:
        >>> rnn.acos(rnn.tensor([1.0, 0.0, -1.0]))
        tensor([0.0000, 1.5708, 3.1416])
    """
    return unary(_ACOS, input) if out is None else write_out(out, acos, input)


def acos_(input: Tensor) -> Tensor:
    """acos, in place (torch.Tensor.acos_)."""
    return unary_in_place(_ACOS, acos, input)


def atan(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The angle whose tangent is x (torch.atan).

    Example:
        >>> rnn.atan(rnn.tensor([0.0, 1.0]))
        tensor([0.0000, 0.7854])
    """
    return unary(_ATAN, input) if out is None else write_out(out, atan, input)


def atan_(input: Tensor) -> Tensor:
    """atan, in place (torch.Tensor.atan_)."""
    return unary_in_place(_ATAN, atan, input)


def sinh(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The hyperbolic sine (torch.sinh).

    Example:
        >>> rnn.sinh(rnn.tensor([0.0, 1.0]))
        tensor([0.0000, 1.1752])
    """
    return unary(_SINH, input) if out is None else write_out(out, sinh, input)


def sinh_(input: Tensor) -> Tensor:
    """sinh, in place (torch.Tensor.sinh_)."""
    return unary_in_place(_SINH, sinh, input)


def cosh(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The hyperbolic cosine (torch.cosh).

    Example:
        >>> rnn.cosh(rnn.tensor([0.0, 1.0]))
        tensor([1.0000, 1.5431])
    """
    return unary(_COSH, input) if out is None else write_out(out, cosh, input)


def cosh_(input: Tensor) -> Tensor:
    """cosh, in place (torch.Tensor.cosh_)."""
    return unary_in_place(_COSH, cosh, input)


def tanh(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The hyperbolic tangent (torch.tanh).

    Example:
        >>> rnn.tanh(rnn.tensor([0.0, 1.0]))
        tensor([0.0000, 0.7616])
    """
    return unary(_TANH, input) if out is None else write_out(out, tanh, input)


def tanh_(input: Tensor) -> Tensor:
    """tanh, in place (torch.Tensor.tanh_)."""
    return unary_in_place(_TANH, tanh, input)


def asinh(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The inverse of sinh (torch.asinh).

    Example:
        >>> rnn.asinh(rnn.tensor([0.0, 1.0]))
        tensor([0.0000, 0.8814])
    """
    return unary(_ASINH, input) if out is None else write_out(out, asinh, input)


def asinh_(input: Tensor) -> Tensor:
    """asinh, in place (torch.Tensor.asinh_)."""
    return unary_in_place(_ASINH, asinh, input)


def acosh(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The inverse of cosh (torch.acosh).

    Example:
        >>> rnn.acosh(rnn.tensor([1.0, 2.0]))
        tensor([0.0000, 1.3170])
    """
    return unary(_ACOSH, input) if out is None else write_out(out, acosh, input)


def acosh_(input: Tensor) -> Tensor:
    """acosh, in place (torch.Tensor.acosh_)."""
    return unary_in_place(_ACOSH, acosh, input)


def atanh(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The inverse of tanh (torch.atanh).

    Example:
        >>> rnn.atanh(rnn.tensor([0.0, 0.5]))
        tensor([0.0000, 0.5493])
    """
    return unary(_ATANH, input) if out is None else write_out(out, atanh, input)


def atanh_(input: Tensor) -> Tensor:
    """atanh, in place (torch.Tensor.atanh_)."""
    return unary_in_place(_ATANH, atanh, input)


def sinc(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """sin(pi x) / (pi x), 1 at 0 (torch.sinc).

    Example:
        >>> rnn.sinc(rnn.tensor([0.0, 0.5]))
        tensor([1.0000, 0.6366])
    """
    if out is not None:
        return write_out(out, sinc, input)
    scaled = _core.as_floats(input) * np.pi
    near = abs(scaled) < 3e-4  # where sin(y) / y is 1 - y^2 / 6, and has a derivative without noise
    far = where(near, 1.0, scaled)
    made = sin(far) / far
    if not near._array.any():
        return made
    return where(near, 1 - square(where(near, scaled, 0.0)) / 6, made)


def deg2rad(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Degrees to radians (torch.deg2rad).

    Example:
        >>> rnn.deg2rad(rnn.tensor([180.0]))
        tensor([3.1416])
    """
    return input * (np.pi / 180.0) if out is None else write_out(out, deg2rad, input)


def rad2deg(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Radians to degrees (torch.rad2deg).

    Example:
        >>> rnn.rad2deg(rnn.tensor([3.1415927]))
        tensor([180.])
    """
    return input * (180.0 / np.pi) if out is None else write_out(out, rad2deg, input)


# ---- other names ---------------------------------------------------------------------------------


def arcsin(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """asin (torch.arcsin).

    Example:
        >>> rnn.arcsin(rnn.tensor([0.0, 1.0]))
        tensor([0.0000, 1.5708])
    """
    return asin(input, out=out)


def arccos(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """acos (torch.arccos).

    Example:
        >>> rnn.arccos(rnn.tensor([1.0, 0.0, -1.0]))
        tensor([0.0000, 1.5708, 3.1416])
    """
    return acos(input, out=out)


def arctan(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """atan (torch.arctan).

    Example:
        >>> rnn.arctan(rnn.tensor([0.0, 1.0]))
        tensor([0.0000, 0.7854])
    """
    return atan(input, out=out)


def arcsinh(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """asinh (torch.arcsinh).

    Example:
        >>> rnn.arcsinh(rnn.tensor([0.0, 1.0]))
        tensor([0.0000, 0.8814])
    """
    return asinh(input, out=out)


def arccosh(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """acosh (torch.arccosh).

    Example:
        >>> rnn.arccosh(rnn.tensor([1.0, 2.0]))
        tensor([0.0000, 1.3170])
    """
    return acosh(input, out=out)


def arctanh(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """atanh (torch.arctanh).

    Example:
        >>> rnn.arctanh(rnn.tensor([0.0, 0.5]))
        tensor([0.0000, 0.5493])
    """
    return atanh(input, out=out)

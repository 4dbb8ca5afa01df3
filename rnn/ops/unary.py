"""Functions of one tensor, element by element: one call into C each, the row of that name in ops.h.
Those of angles are in trig.py.

Integers and booleans become the default float dtype, but where the function maps integers to
integers (neg, abs, floor, ...): those are NumPy's. Beside each function stands its in-place form.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _dtypes
from rnn._c import Handle, check_copy_room, check_room, op
from rnn._shown import show_as
from rnn.ops import _core
from rnn.ops.elementwise import in_place, unary, unary_in_place, write_out
from rnn.ops.selection import where

if TYPE_CHECKING:
    from rnn.tensor import Tensor

_EXP = op("exp")
_EXP2 = op("exp2")
_EXPM1 = op("expm1")
_LOG = op("log")
_LOG2 = op("log2")
_LOG10 = op("log10")
_LOG1P = op("log1p")
_SQRT = op("sqrt")
_RSQRT = op("rsqrt")
_RECIPROCAL = op("reciprocal")
_SIGMOID = op("sigmoid")
_ERF = op("erf")
_ERFC = op("erfc")
_ERFINV = op("erfinv")
_FRAC = op("frac")
_NEG = op("neg")
_ABS = op("abs")
_SIGN = op("sign")
_SQUARE = op("square")
_RELU = op("relu")
_FLOOR = op("floor")
_CEIL = op("ceil")
_TRUNC = op("trunc")
_ROUND = op("round")

# ---- floats in, floats out -----------------------------------------------------------------------


def exp(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """e to the power of each element (torch.exp).

    Example:
        >>> rnn.exp(rnn.tensor([0.0, 1.0]))
        tensor([1.0000, 2.7183])
    """
    return unary(_EXP, input) if out is None else write_out(out, exp, input)


def exp_(input: Tensor) -> Tensor:
    """exp, in place (torch.Tensor.exp_)."""
    return unary_in_place(_EXP, exp, input)


def exp2(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """2 to the power of each element (torch.exp2).

    Example:
        >>> rnn.exp2(rnn.tensor([0.0, 3.0]))
        tensor([1., 8.])
    """
    return unary(_EXP2, input) if out is None else write_out(out, exp2, input)


def exp2_(input: Tensor) -> Tensor:
    """exp2, in place (torch.Tensor.exp2_)."""
    return unary_in_place(_EXP2, exp2, input)


def expm1(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """exp(x) - 1, exact near 0 (torch.expm1).

    Example:
        >>> rnn.expm1(rnn.tensor([0.0, 1.0]))
        tensor([0.0000, 1.7183])
    """
    return unary(_EXPM1, input) if out is None else write_out(out, expm1, input)


def expm1_(input: Tensor) -> Tensor:
    """expm1, in place (torch.Tensor.expm1_)."""
    return unary_in_place(_EXPM1, expm1, input)


def log(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The natural logarithm of each element (torch.log).

    Example:
        >>> rnn.log(rnn.tensor([1.0, 2.0]))
        tensor([0.0000, 0.6931])
    """
    return unary(_LOG, input) if out is None else write_out(out, log, input)


def log_(input: Tensor) -> Tensor:
    """log, in place (torch.Tensor.log_)."""
    return unary_in_place(_LOG, log, input)


def log2(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The logarithm to base 2 (torch.log2).

    Example:
        >>> rnn.log2(rnn.tensor([1.0, 8.0]))
        tensor([0., 3.])
    """
    return unary(_LOG2, input) if out is None else write_out(out, log2, input)


def log2_(input: Tensor) -> Tensor:
    """log2, in place (torch.Tensor.log2_)."""
    return unary_in_place(_LOG2, log2, input)


def log10(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The logarithm to base 10 (torch.log10).

    Example:
        >>> rnn.log10(rnn.tensor([1.0, 1000.0]))
        tensor([0., 3.])
    """
    return unary(_LOG10, input) if out is None else write_out(out, log10, input)


def log10_(input: Tensor) -> Tensor:
    """log10, in place (torch.Tensor.log10_)."""
    return unary_in_place(_LOG10, log10, input)


def log1p(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """log(1 + x), exact near 0 (torch.log1p).

    Example:
        >>> rnn.log1p(rnn.tensor([0.0, 1.0]))
        tensor([0.0000, 0.6931])
    """
    return unary(_LOG1P, input) if out is None else write_out(out, log1p, input)


def log1p_(input: Tensor) -> Tensor:
    """log1p, in place (torch.Tensor.log1p_)."""
    return unary_in_place(_LOG1P, log1p, input)


def sqrt(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The square root; NaN of negative numbers (torch.sqrt).

    Example:
        >>> rnn.sqrt(rnn.tensor([4.0, 2.0]))
        tensor([2.0000, 1.4142])
    """
    return unary(_SQRT, input) if out is None else write_out(out, sqrt, input)


def sqrt_(input: Tensor) -> Tensor:
    """sqrt, in place (torch.Tensor.sqrt_)."""
    return unary_in_place(_SQRT, sqrt, input)


def rsqrt(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """1 / sqrt(x) (torch.rsqrt).

    Example:
        >>> rnn.rsqrt(rnn.tensor([4.0, 1.0]))
        tensor([0.5000, 1.0000])
    """
    return unary(_RSQRT, input) if out is None else write_out(out, rsqrt, input)


def rsqrt_(input: Tensor) -> Tensor:
    """rsqrt, in place (torch.Tensor.rsqrt_)."""
    return unary_in_place(_RSQRT, rsqrt, input)


def reciprocal(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """1 / x (torch.reciprocal).

    Example:
        >>> rnn.reciprocal(rnn.tensor([2.0, -4.0]))
        tensor([ 0.5000, -0.2500])
    """
    return unary(_RECIPROCAL, input) if out is None else write_out(out, reciprocal, input)


def reciprocal_(input: Tensor) -> Tensor:
    """reciprocal, in place (torch.Tensor.reciprocal_)."""
    return unary_in_place(_RECIPROCAL, reciprocal, input)


def sigmoid(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """1 / (1 + exp(-x)) (torch.sigmoid).

    Example:
        >>> rnn.sigmoid(rnn.tensor([0.0, 2.0]))
        tensor([0.5000, 0.8808])
    """
    return unary(_SIGMOID, input) if out is None else write_out(out, sigmoid, input)


def sigmoid_(input: Tensor) -> Tensor:
    """sigmoid, in place (torch.Tensor.sigmoid_)."""
    return unary_in_place(_SIGMOID, sigmoid, input)


def erf(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The error function (torch.erf).

    Example:
        >>> rnn.erf(rnn.tensor([0.0, 1.0]))
        tensor([0.0000, 0.8427])
    """
    return unary(_ERF, input) if out is None else write_out(out, erf, input)


def erf_(input: Tensor) -> Tensor:
    """erf, in place (torch.Tensor.erf_)."""
    return unary_in_place(_ERF, erf, input)


def erfc(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """1 - erf(x), exact where erf is near 1 (torch.erfc).

    Example:
        >>> rnn.erfc(rnn.tensor([0.0, 1.0]))
        tensor([1.0000, 0.1573])
    """
    return unary(_ERFC, input) if out is None else write_out(out, erfc, input)


def erfc_(input: Tensor) -> Tensor:
    """erfc, in place (torch.Tensor.erfc_)."""
    return unary_in_place(_ERFC, erfc, input)


def erfinv(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """What erf makes input of: infinite at -1 and 1, NaN beyond (torch.erfinv).

    Example:
        >>> rnn.erfinv(rnn.tensor([0.0, 0.5]))
        tensor([0.0000, 0.4769])
    """
    return unary(_ERFINV, input) if out is None else write_out(out, erfinv, input)


def erfinv_(input: Tensor) -> Tensor:
    """erfinv, in place (torch.Tensor.erfinv_)."""
    return unary_in_place(_ERFINV, erfinv, input)


def frac(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """x without its whole part (torch.frac).

    Example:
        >>> rnn.frac(rnn.tensor([-1.5, 2.25]))
        tensor([-0.5000,  0.2500])
    """
    return unary(_FRAC, input) if out is None else write_out(out, frac, input)


def frac_(input: Tensor) -> Tensor:
    """frac, in place (torch.Tensor.frac_)."""
    return unary_in_place(_FRAC, frac, input)


def logit(input: Tensor, eps: float | None = None, *, out: Tensor | None = None) -> Tensor:
    """log(x / (1 - x)), of x between eps and 1 - eps: the inverse of sigmoid (torch.logit).

    Example:
        >>> rnn.logit(rnn.tensor([0.5, 0.9]))
        tensor([0.0000, 2.1972])
    """
    if out is not None:
        return write_out(out, logit, input, eps)
    x = _core.as_floats(input)
    x = x if eps is None else x.clamp(eps, 1 - eps)
    rest: Any = 1 - x
    return show_as(log(x) - log(rest), "LogitBackward0")


# ---- integers stay integers ----------------------------------------------------------------------


def _relu(x: Any) -> Any:
    return np.maximum(x, 0)


def _keep(number: int, numpy: Callable[..., Any], input: Tensor) -> Tensor:
    """A function that maps integers to integers: of floats in C, of integers in NumPy."""
    if not isinstance(input, Handle) or input._h:
        return unary(number, input)
    x = input._array
    check_room(numpy.__name__, x.shape, x.itemsize)
    return _core.wrap(_of_bools(number, x) if x.dtype == np.bool_ else np.array(numpy(x)))


def _of_bools(number: int, x: Any) -> Any:
    """What the function makes of a bool array: most refuse."""
    if number == _NEG:
        raise RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to "
            "invert a mask, use the `~` or `logical_not()` operator instead."
        )
    if number == _RELU:
        raise RuntimeError("Boolean inputs not supported for relu")
    if number == _SQUARE:
        return x.astype(np.int64)
    if number == _SIGN:
        return x.copy()
    name = {_ABS: "abs_cpu", _FLOOR: "floor_vml_cpu", _CEIL: "ceil_vml_cpu"}.get(number)
    name = name or {_TRUNC: "trunc_vml_cpu", _ROUND: "round_vml_cpu"}[number]
    raise NotImplementedError(f"\"{name}\" not implemented for 'Bool'")


def neg(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """-x (torch.neg).

    Example:
        >>> rnn.neg(rnn.tensor([1.0, -2.0]))
        tensor([-1.,  2.])
    """
    return _keep(_NEG, np.negative, input) if out is None else write_out(out, neg, input)


def neg_(input: Tensor) -> Tensor:
    """neg, in place (torch.Tensor.neg_)."""
    return unary_in_place(_NEG, neg, input)


def abs(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The absolute value; its gradient at 0 is 0 (torch.abs).

    Example:
        >>> rnn.abs(rnn.tensor([-1.5, 2.0]))
        tensor([1.5000, 2.0000])
    """
    return _keep(_ABS, np.abs, input) if out is None else write_out(out, abs, input)


def abs_(input: Tensor) -> Tensor:
    """abs, in place (torch.Tensor.abs_)."""
    return unary_in_place(_ABS, abs, input)


def sign(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """1, 0 or -1 (torch.sign).

    Example:
        >>> rnn.sign(rnn.tensor([-3.0, 0.0, 2.0]))
        tensor([-1.,  0.,  1.])
    """
    return _keep(_SIGN, np.sign, input) if out is None else write_out(out, sign, input)


def sign_(input: Tensor) -> Tensor:
    """sign, in place (torch.Tensor.sign_)."""
    return unary_in_place(_SIGN, sign, input)


def square(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """x * x (torch.square).

    Example:
        >>> rnn.square(rnn.tensor([-3.0, 2.0]))
        tensor([9., 4.])
    """
    return _keep(_SQUARE, np.square, input) if out is None else write_out(out, square, input)


def square_(input: Tensor) -> Tensor:
    """square, in place (torch.Tensor.square_)."""
    return unary_in_place(_SQUARE, square, input)


def relu(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """x where it is positive, else 0; the gradient at 0 is 0 (torch.relu).

    Example:
        >>> rnn.relu(rnn.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """
    return _keep(_RELU, _relu, input) if out is None else write_out(out, relu, input)


def relu_(input: Tensor) -> Tensor:
    """relu, in place (torch.Tensor.relu_)."""
    return unary_in_place(_RELU, relu, input)


def floor(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The largest whole number up to x (torch.floor).

    Example:
        >>> rnn.floor(rnn.tensor([-1.5, 1.2]))
        tensor([-2.,  1.])
    """
    return _keep(_FLOOR, np.positive, input) if out is None else write_out(out, floor, input)


def floor_(input: Tensor) -> Tensor:
    """floor, in place (torch.Tensor.floor_)."""
    return unary_in_place(_FLOOR, floor, input)


def ceil(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The smallest whole number from x on (torch.ceil).

    Example:
        >>> rnn.ceil(rnn.tensor([-1.5, 1.2]))
        tensor([-1.,  2.])
    """
    return _keep(_CEIL, np.positive, input) if out is None else write_out(out, ceil, input)


def ceil_(input: Tensor) -> Tensor:
    """ceil, in place (torch.Tensor.ceil_)."""
    return unary_in_place(_CEIL, ceil, input)


def trunc(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """x without its fraction (torch.trunc).

    Example:
        >>> rnn.trunc(rnn.tensor([-1.5, 1.5]))
        tensor([-1.,  1.])
    """
    return _keep(_TRUNC, np.positive, input) if out is None else write_out(out, trunc, input)


def trunc_(input: Tensor) -> Tensor:
    """trunc, in place (torch.Tensor.trunc_)."""
    return unary_in_place(_TRUNC, trunc, input)


def round(input: Tensor, *, decimals: int = 0, out: Tensor | None = None) -> Tensor:
    """The nearest whole number, of two equally near ones the even (torch.round).

    Args:
        decimals: digits behind the point to keep; -1 rounds to tens.

    Example:
        >>> rnn.round(rnn.tensor([0.5, 1.5, 2.345]))
        tensor([0., 2., 2.])
        >>> rnn.round(rnn.tensor([2.345]), decimals=1)
        tensor([2.3000])
    """
    if out is not None:
        return write_out(out, round, input, decimals=decimals)
    if decimals == 0 or not input._h:
        return _keep(_ROUND, np.positive, input)
    scale = 10.0 ** builtins.abs(decimals)
    return (
        unary(_ROUND, input * scale) / scale
        if decimals > 0
        else unary(_ROUND, input / scale) * scale
    )


def round_(input: Tensor, *, decimals: int = 0) -> Tensor:
    """round, in place (torch.Tensor.round_)."""
    if decimals:
        return in_place(input, round(input, decimals=decimals))
    return unary_in_place(_ROUND, round, input)


def positive(input: Tensor) -> Tensor:
    """input itself (torch.positive).

    Raises:
        RuntimeError: input is bool.

    Example:
        >>> rnn.positive(rnn.tensor([1.0, -2.0]))
        tensor([ 1., -2.])
    """
    if not input._h and input._array.dtype == np.bool_:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


def nan_to_num(
    input: Tensor,
    nan: float | None = 0.0,
    posinf: float | None = None,
    neginf: float | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """NaN becomes nan, infinities the largest numbers or what is given (torch.nan_to_num).

    Example:
        >>> rnn.nan_to_num(rnn.tensor([1.0, float("nan")]), 0.5)
        tensor([1.0000, 0.5000])
    """
    if out is not None:
        return write_out(out, nan_to_num, input, nan, posinf, neginf)
    if not input._h:
        return _core.wrap(check_copy_room("nan_to_num", input._array).copy())
    x = check_copy_room("nan_to_num", _core.array_of(input))
    limits = _dtypes.finfo(_core.dtype_of(input))
    filled = np.nan_to_num(
        x,
        nan=nan or 0.0,
        posinf=limits.max if posinf is None else posinf,
        neginf=limits.min if neginf is None else neginf,
    )
    return where(_core.wrap(np.isfinite(x)), input, _core.nodes(np.asarray(filled, x.dtype)))


def nan_to_num_(
    input: Tensor, nan: float | None = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """nan_to_num, in place (torch.Tensor.nan_to_num_)."""
    return in_place(input, nan_to_num(input, nan, posinf, neginf))


# ---- other names ---------------------------------------------------------------------------------


def negative(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """neg (torch.negative).

    Example:
        >>> rnn.negative(rnn.tensor([1.0, -2.0]))
        tensor([-1.,  2.])
    """
    return neg(input, out=out)


def absolute(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """abs (torch.absolute).

    Example:
        >>> rnn.absolute(rnn.tensor([-1.5, 2.0]))
        tensor([1.5000, 2.0000])
    """
    return abs(input, out=out)


def fix(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """trunc (torch.fix).

    Example:
        >>> rnn.fix(rnn.tensor([-1.5, 1.5]))
        tensor([-1.,  1.])
    """
    return trunc(input, out=out)


def sgn(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """sign (torch.sgn).

    Example:
        >>> rnn.sgn(rnn.tensor([-3.0, 0.0, 2.0]))
        tensor([-1.,  0.,  1.])
    """
    return sign(input, out=out)

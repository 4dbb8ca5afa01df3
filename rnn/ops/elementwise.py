"""Elementwise arithmetic, with broadcasting and PyTorch's promotion, and what it stands on.

The way of `a * b`: csrc/operators.c calls rnn_binary in csrc/elementwise.c, which runs the loop
that the row MUL of csrc/ops.h defines; a Python number goes to the row MUL_SCALAR. What is less
simple (integers and booleans, which are NumPy's, dtypes that differ, scalar resolution) comes to
`op_mul` below. An in-place function writes memory where nothing is recorded, else it makes a span.

Functions of one tensor stand in unary.py (exp, ...) and trig.py (sin, ...), of several in pairs.py,
maximum, clamp and where in selection.py, comparisons in comparison.py, activations in
activation.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _c, _dtypes, _shapes
from rnn._c import COMPOSE, EDTYPE, ERECORD, ETYPE, E, Handle, adopt, check, fail, ffi, lib, op
from rnn._warn import warn_user
from rnn.ops import _core, compose
from rnn.ops._core import Number, as_node
from rnn.ops.create import held

if TYPE_CHECKING:
    from rnn.tensor import Tensor

# bound once: a name of this module is found faster than one of lib
_unary, _binary = lib.rnn_unary, lib.rnn_binary
_unary_into, _binary_into = lib.rnn_unary_into, lib.rnn_binary_into

_ADD, _ADD_SCALAR = op("add"), op("add_scalar")
_SUB, _SUB_SCALAR, _RSUB_SCALAR = op("sub"), op("sub_scalar"), op("rsub_scalar")
_MUL, _MUL_SCALAR = op("mul"), op("mul_scalar")
_DIV, _DIV_SCALAR, _RDIV_SCALAR = op("div"), op("div_scalar"), op("rdiv_scalar")
_DIV_TRUNC, _DIV_FLOOR = op("div_trunc"), op("div_floor")
_POW, _POW_SCALAR, _RPOW_SCALAR = op("pow"), op("pow_scalar"), op("rpow_scalar")
_POW_ROW: dict[float, int] = {2: op("square"), 3: op("cube")}  # exponents with a row of their own
_REMAINDER, _FMOD = op("remainder"), op("fmod")

# ---- the ways into C -----------------------------------------------------------------------------


def unary(number: int, a: Tensor, p0: float = 0.0, p1: float = 0.0) -> Tensor:
    """A unary operation of the table. Integer and boolean tensors become the default dtype first.

    Raises:
        TypeError: a is not a Tensor.
    """
    try:
        h = _unary(E, number, a._h, p0, p1)
    except AttributeError:
        name = ffi.string(lib.rnn_op_name(number)).decode()
        raise TypeError(
            f"{name}(): argument 'input' (position 1) must be Tensor, not {_core.kind_of(a)}"
        ) from None
    if h > 0:
        return adopt(h)
    if h == COMPOSE:
        return compose.unary[number](a, p0, p1)
    if a._h:
        fail(h)
    made = unary(number, as_node(a, _core.float_code(a)), p0, p1)
    return (
        _core.wrap(_core.array_of(made).astype(np.float16))
        if a._array.dtype == np.float16
        else made
    )


def binary(number: int, a: Any, b: Any, p0: float = 1.0) -> Tensor:
    """A binary operation of the table, on tensors or numbers, promoted to one float dtype."""
    if isinstance(a, Handle) and isinstance(b, Handle):
        h = _binary(E, number, a._h, b._h, p0)
        if h > 0:
            return adopt(h)
        if h == COMPOSE:
            _shapes.broadcast_shapes(a._shape, b._shape)
            return compose.binary[number](a, b, p0)
        if h not in (ETYPE, EDTYPE):
            fail(h)
    result = _core.result_dtype(a, b)
    code = _core.CODES.get(result) if result.is_floating_point else None
    if code is None:
        code = _core.CODES[_dtypes.get_default_dtype()]
    return binary(number, as_node(a, code), as_node(b, code), p0)


def _arithmetic(
    number: int,
    numpy: Callable[..., Any],
    a: Any,
    b: Any,
    scalar: int = -1,
    reflected: int = -1,
    p1: float = 0.0,
) -> Any:
    """a and b, tensors or numbers, under an operator; NotImplemented where one is neither.

    number: the row for two tensors; scalar, reflected: those where b or a is a Python number (-1:
    there is none, the number becomes a node); numpy: the same for integers; p1: of the scalar row.
    """
    h = 0
    if isinstance(a, Handle):
        if isinstance(b, Handle):
            h = _binary(E, number, a._h, b._h, 1.0)
        elif scalar >= 0 and isinstance(b, (float, int)):
            h = _unary(E, scalar, a._h, b, p1)
    if h > 0:
        return adopt(h)
    a, b = _operand(a), _operand(b)
    if a is NotImplemented or b is NotImplemented:
        return NotImplemented
    result = _core.result_dtype(a, b)
    if number == _DIV and not result.is_floating_point:
        result = _dtypes.get_default_dtype()
    code = _core.CODES.get(result)
    if code is None:
        return integers(numpy, a, b, result)
    if scalar >= 0 and not isinstance(b, Handle):
        return unary(scalar, as_node(a, code), b, p1)
    if reflected >= 0 and not isinstance(a, Handle):
        return unary(reflected, as_node(b, code), a, p1)
    return binary(number, as_node(a, code), as_node(b, code))


def _operand(x: Any) -> Any:
    """x as arithmetic takes it: a Tensor, a Python number; NotImplemented for anything else."""
    if isinstance(x, (Handle, int, float)):
        return x
    if isinstance(x, (np.number, np.bool_)) and x.dtype.kind in "fiub":
        return x.item()
    if isinstance(x, np.ndarray) and x.dtype.kind in "fiub":
        return _core.wrap(x)
    if isinstance(x, _c.ValueBase):
        return adopt(_c.ref_of(x))
    return NotImplemented


def integers(numpy: Callable[..., Any], a: Any, b: Any, result: _dtypes.dtype) -> Tensor:
    """numpy(a, b) in a dtype that is none of the engine's; broadcasting errors are PyTorch's."""
    x, y = _core.as_array(a, result), _core.as_array(b, result)
    shape = x.shape if x.shape == y.shape else _shapes.broadcast_shapes(x.shape, y.shape)
    _c.check_room(numpy.__name__, shape, result.itemsize)
    with np.errstate(all="ignore"):
        return _core.wrap(numpy(x, y))


def _function(name: str, operator: Callable[[Any, Any], Any], input: Any, other: Any) -> Tensor:
    """rnn.add(input, other) and its kind.

    Raises:
        TypeError: neither is a tensor, or one is no number.
    """
    made: Any = NotImplemented
    if isinstance(input, Handle) or isinstance(other, Handle):
        made = operator(input, other)
    if made is NotImplemented:
        raise TypeError(
            f"{name}(): argument 'other' (position 1) must be Tensor, not {_core.kind_of(other)}"
        )
    return made


def write_out(out: Tensor, function: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """function(*args), written into out (which takes its shape).

    Raises:
        RuntimeError: the result or out requires grad, out's dtype cannot hold the result, or out is
            an argument too and has another shape.
    """
    made = function(*args, **kwargs)
    if made._shape != out._shape and any(t is out for t in args):
        raise RuntimeError(
            f"output with shape {list(out._shape)} doesn't match the broadcast shape "
            f"{list(made._shape)}"
        )
    return _core.view_as_result(made, out, function.__name__)


def in_place(target: Tensor, made: Tensor) -> Tensor:
    """Puts the result of an in-place operation into target, recorded where it was recorded.

    Raises:
        RuntimeError: the result's shape is another, its dtype cannot be cast to target's, or target
            is a leaf that requires grad.
    """
    to = _core.dtype_of(target)
    _core.check_cast(_core.dtype_of(made), to)
    if target._shape != made._shape:
        raise RuntimeError(
            f"output with shape {list(target._shape)} doesn't match the broadcast shape "
            f"{list(made._shape)}"
        )
    if not target._h:
        _core.writable(target)[...] = _dtypes.cast(_core.array_of(made), to)
        return target
    made = as_node(made, _core.CODES[to])
    if made is target:
        return target
    check(lib.rnn_own(E, target._h) if made.requires_grad else 0)
    h, made._h = made._h, 0  # the engine takes it over
    check(lib.rnn_take_over(E, target._h, h))
    return target


def unary_in_place(
    number: int,
    function: Callable[..., Tensor],
    a: Tensor,
    *args: Any,
    p0: float = 0.0,
    p1: float = 0.0,
) -> Tensor:
    """A unary row into its own operand; function(a, *args) where that does not do."""
    if _unary_into(E, number, a._h, a._h, p0, p1) == 0:
        return a
    return in_place(a, function(a, *args))


def _binary_in_place(
    number: int, scalar: int, function: Callable[..., Tensor], a: Tensor, b: Any, alpha: Number = 1
) -> Tensor:
    """A binary row into its first operand; function(a, b) where that does not do."""
    code = -1
    if isinstance(b, Handle):
        code = _binary_into(E, number, a._h, a._h, b._h, alpha)
    elif scalar >= 0 and isinstance(b, (float, int)):
        code = _unary_into(E, scalar, a._h, a._h, b * alpha, 0.0)
    if code == 0:
        return a
    if code == ERECORD:
        check(lib.rnn_own(E, a._h))  # first, that the old values are kept for the operation
    return in_place(a, function(a, b) if alpha == 1 else function(a, b, alpha=alpha))


# ---- + - * / -------------------------------------------------------------------------------------
# The operators themselves are in csrc/operators.c, which calls these where it does not know.


def op_add(a: Any, b: Any) -> Any:
    """a + b"""
    return _arithmetic(_ADD, np.add, a, b, _ADD_SCALAR, _ADD_SCALAR)


def op_sub(a: Any, b: Any) -> Any:
    """a - b"""
    _refuse_bools(a, b)
    return _arithmetic(_SUB, np.subtract, a, b, _SUB_SCALAR, _RSUB_SCALAR)


def op_mul(a: Any, b: Any) -> Any:
    """a * b"""
    return _arithmetic(_MUL, np.multiply, a, b, _MUL_SCALAR, _MUL_SCALAR)


def op_truediv(a: Any, b: Any) -> Any:
    """a / b"""
    return _arithmetic(_DIV, np.true_divide, a, b, _DIV_SCALAR, _RDIV_SCALAR)


_c.register_operators(op_add, op_sub, op_mul, op_truediv)


def _refuse_bools(a: Any, b: Any) -> None:
    bools = [isinstance(x, Handle) and not x._h and x._array.dtype == np.bool_ for x in (a, b)]
    if all(bools):
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. "
            "Use the `^` or `logical_xor()` operator instead."
        )
    if any(bools):
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying "
            "to invert a mask, use the `~` or `logical_not()` operator instead."
        )


def _moved(name: str, given: tuple[Any, ...], other: Any) -> tuple[Any, Number]:
    """(other, alpha) of add(input, alpha, other), PyTorch's former order; or of (input, number,
    alpha).
    """
    if len(given) != 1:
        raise TypeError(f"{name}() takes 2 positional arguments but {2 + len(given)} were given")
    warn_user(f"{name}: give alpha by name; this order is deprecated")
    return (given[0], other) if isinstance(given[0], Handle) else (other, given[0])


def _alpha(a: Any, b: Any, alpha: Number) -> Any:
    """b * alpha, as a + alpha * b wants it: integers in the dtype of the result.

    Raises:
        RuntimeError: alpha is a float, a and b are integers.
        TypeError: b is no number and no tensor: it may have a product that takes all memory.
    """
    if _operand(b) is NotImplemented:
        raise TypeError(
            f"add(): argument 'other' (position 2) must be Tensor, not {type(b).__name__}"
        )
    if isinstance(alpha, float) and not _core.result_dtype(a, b).is_floating_point:
        raise RuntimeError(
            "For integral input tensors, argument alpha must not be a floating point number."
        )
    if isinstance(b, Handle) and not b._h:
        to = _core.result_dtype(a, b)
        if to is _dtypes.bool_:
            return b if alpha else b & False
        if to is not _core.dtype_of(b):
            b = _core.wrap(_core.as_array(b, to))
    return b * alpha


def add(
    input: Any, other: Any, *former: Any, alpha: Number = 1, out: Tensor | None = None
) -> Tensor:
    """input + alpha * other (torch.add).

    Args:
        input, other: tensors whose shapes broadcast, or numbers.
        alpha: a number.
        out: a tensor to write the result to.

    Raises:
        RuntimeError: the shapes do not broadcast.

    Example:
        >>> rnn.add(rnn.ones(2), rnn.ones(2), alpha=3)
        tensor([4., 4.])
    """
    if former:
        other, alpha = _moved("add", former, other)
    if out is not None:
        return write_out(out, add, input, other, alpha=alpha)
    if alpha == 1:
        return _function("add", op_add, input, other)
    if not lib.rnn_resolution() and isinstance(input, Handle) and isinstance(other, Handle):
        h = _binary(E, _ADD, input._h, other._h, alpha)
        if h > 0:
            return adopt(h)
    return _function("add", op_add, input, _alpha(input, other, alpha))


def sub(
    input: Any, other: Any, *former: Any, alpha: Number = 1, out: Tensor | None = None
) -> Tensor:
    """input - alpha * other (torch.sub).

    Example:
        >>> rnn.sub(rnn.tensor([5.0, 6.0]), rnn.tensor([1.0, 2.0]), alpha=2)
        tensor([3., 2.])
    """
    if former:
        other, alpha = _moved("sub", former, other)
    if out is not None:
        return write_out(out, sub, input, other, alpha=alpha)
    if alpha == 1:
        return _function("sub", op_sub, input, other)
    if not lib.rnn_resolution() and isinstance(input, Handle) and isinstance(other, Handle):
        h = _binary(E, _SUB, input._h, other._h, alpha)
        if h > 0:
            return adopt(h)
    return _function("sub", op_sub, input, _alpha(input, other, alpha))


def rsub(input: Tensor, other: Any, alpha: Number = 1) -> Tensor:
    """other - alpha * input (torch.rsub).

    Example:
        >>> rnn.rsub(rnn.tensor([1.0, 2.0]), 10)
        tensor([9., 8.])
    """
    return _function("rsub", op_sub, other, input if alpha == 1 else _alpha(other, input, alpha))


def mul(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
    """input * other (torch.mul).

    Example:
        >>> rnn.mul(rnn.tensor([1.0, 2.0]), 3)
        tensor([3., 6.])
    """
    if out is not None:
        return write_out(out, mul, input, other)
    return _function("mul", op_mul, input, other)


def div(
    input: Any, other: Any, *, rounding_mode: str | None = None, out: Tensor | None = None
) -> Tensor:
    """input / other, of integers too (torch.div).

    Args:
        rounding_mode: None; "trunc" rounds the quotient towards 0, "floor" down: then integers
            stay integers.

    Raises:
        RuntimeError: another rounding mode; or an integer divided by zero, and rounded.

    Example:
        >>> rnn.div(rnn.tensor([7.0, -7.0]), 2)
        tensor([ 3.5000, -3.5000])
        >>> rnn.div(rnn.tensor([7.0, -7.0]), 2, rounding_mode="floor")
        tensor([ 3., -4.])
    """
    if out is not None:
        return write_out(out, div, input, other, rounding_mode=rounding_mode)
    if rounding_mode is None:
        return _function("div", op_truediv, input, other)
    if rounding_mode == "floor":
        return _function("div", op_floordiv, input, other)
    if rounding_mode != "trunc":
        raise RuntimeError(
            "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found "
            f"'{rounding_mode}'"
        )
    return _function("div", lambda a, b: _arithmetic(_DIV_TRUNC, _trunc_divide, a, b), input, other)


def true_divide(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
    """input / other (torch.true_divide).

    Example:
        >>> rnn.true_divide(rnn.tensor([7, -7]), 2)
        tensor([ 3.5000, -3.5000])
    """
    return div(input, other, out=out)


def add_(input: Tensor, other: Any, *former: Any, alpha: Number = 1) -> Tensor:
    """add, in place (torch.Tensor.add_): nothing is recorded where no gradient is wanted.

    Raises:
        RuntimeError: input is a leaf that requires grad, or cannot hold the result.
    """
    if former:
        other, alpha = _moved("add_", former, other)
    return _binary_in_place(_ADD, _ADD_SCALAR, add, input, other, alpha)


def sub_(input: Tensor, other: Any, *former: Any, alpha: Number = 1) -> Tensor:
    """sub, in place (torch.Tensor.sub_)."""
    if former:
        other, alpha = _moved("sub_", former, other)
    return _binary_in_place(_SUB, _SUB_SCALAR, sub, input, other, alpha)


def mul_(input: Tensor, other: Any) -> Tensor:
    """mul, in place (torch.Tensor.mul_)."""
    return _binary_in_place(_MUL, _MUL_SCALAR, mul, input, other)


def div_(input: Tensor, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """div, in place (torch.Tensor.div_)."""
    if rounding_mode is not None:
        return in_place(input, div(input, other, rounding_mode=rounding_mode))
    return _binary_in_place(_DIV, _DIV_SCALAR, div, input, other)


def true_divide_(input: Tensor, other: Any) -> Tensor:
    """div, in place (torch.Tensor.true_divide_)."""
    return div_(input, other)


# ---- // % and powers -----------------------------------------------------------------------------


def _divisor(name: str, y: Any) -> Any:
    if y.dtype == np.bool_:
        raise NotImplementedError(f"\"{name}\" not implemented for 'Bool'")
    if y.dtype.kind != "f" and not np.all(y):
        raise RuntimeError("ZeroDivisionError")
    return y


def _floor_divide(x: Any, y: Any) -> Any:
    return np.floor_divide(x, _divisor("div_floor_cpu", y))


def _trunc_divide(x: Any, y: Any) -> Any:
    if x.dtype.kind == "f":
        return np.trunc(x / y)
    q = np.floor_divide(x, _divisor("div_trunc_cpu", y))
    return q + ((q < 0) & (q * y != x))


def _remainder(x: Any, y: Any) -> Any:
    return np.remainder(x, _divisor("remainder_cpu", y))


def _fmod(x: Any, y: Any) -> Any:
    return np.fmod(x, _divisor("fmod_cpu", y))


def _power(x: Any, y: Any) -> Any:
    """Integer powers: a negative exponent gives 0, but for 1 and -1."""
    if x.dtype == np.bool_:
        raise NotImplementedError("\"pow\" not implemented for 'Bool'")
    if x.dtype.kind == "f" or x.dtype.kind == "u" or not np.any(y < 0):
        return np.power(x, y)
    exact = np.power(x, np.where(y < 0, -y, y))
    return np.where((y < 0) & (np.abs(x) != 1), 0, exact).astype(x.dtype)


def op_floordiv(a: Any, b: Any) -> Any:
    """a // b: the quotient rounded down; its derivative is 0"""
    return _arithmetic(_DIV_FLOOR, _floor_divide, a, b)


def op_rfloordiv(a: Any, b: Any) -> Any:
    """b // a"""
    return _arithmetic(_DIV_FLOOR, _floor_divide, b, a)


def op_mod(a: Any, b: Any) -> Any:
    """a % b: with the sign of b"""
    return _arithmetic(_REMAINDER, _remainder, a, b)


def op_rmod(a: Any, b: Any) -> Any:
    """b % a"""
    return _arithmetic(_REMAINDER, _remainder, b, a)


def op_pow(a: Any, b: Any) -> Any:
    """a ** b"""
    row = _POW_SCALAR
    if isinstance(b, (float, int)):  # and a is a tensor
        row = _POW_ROW.get(b, _POW_SCALAR)
        if isinstance(b, int) and not a._h and a._array.dtype.kind != "f":
            if b < 0:
                raise RuntimeError("Integers to negative integer powers are not allowed.")
            held(b, _dtypes.int64)
    return _arithmetic(_POW, _power, a, b, row, _RPOW_SCALAR, 1.0)


def op_rpow(a: Any, b: Any) -> Any:
    """b ** a"""
    return _arithmetic(_POW, _power, b, a, _POW_SCALAR, _RPOW_SCALAR, 1.0)


def floor_divide(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
    """The quotient rounded down (torch.floor_divide).

    Example:
        >>> rnn.floor_divide(rnn.tensor([7, -7]), 2)
        tensor([ 3, -4])
    """
    if out is not None:
        return write_out(out, floor_divide, input, other)
    return _function("floor_divide", op_floordiv, input, other)


def remainder(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
    """What is left of the division, with the sign of other, as Python's % (torch.remainder).

    Example:
        >>> rnn.remainder(rnn.tensor([-3.0, 4.0]), 2.5)
        tensor([2.0000, 1.5000])
    """
    if out is not None:
        return write_out(out, remainder, input, other)
    return _function("remainder", op_mod, input, other)


def fmod(input: Tensor, other: Any, *, out: Tensor | None = None) -> Tensor:
    """What is left of the division, with the sign of input, as C's fmod (torch.fmod).

    Example:
        >>> rnn.fmod(rnn.tensor([-3.0, 4.0]), 2.5)
        tensor([-0.5000,  1.5000])
    """
    if out is not None:
        return write_out(out, fmod, input, other)
    return _function("fmod", lambda a, b: _arithmetic(_FMOD, _fmod, a, b), input, other)


def pow(input: Any, exponent: Any, *, out: Tensor | None = None) -> Tensor:
    """input ** exponent, either of them a number or a tensor (torch.pow).

    Raises:
        RuntimeError: integers to a negative integer power.

    Example:
        >>> rnn.pow(rnn.tensor([1.0, 2.0, 3.0]), 2)
        tensor([1., 4., 9.])
    """
    if out is not None:
        return write_out(out, pow, input, exponent)
    return _function("pow", op_pow, input, exponent)


def float_power(input: Any, exponent: Any, *, out: Tensor | None = None) -> Tensor:
    """input ** exponent in float64 (torch.float_power).

    Example:
        >>> rnn.float_power(rnn.tensor([2, 3]), 0.5)
        tensor([1.4142, 1.7321], dtype=rnn.float64)
    """
    if out is not None:
        return write_out(out, float_power, input, exponent)
    pair = [as_node(x, _core.F64) if isinstance(x, Handle) else x for x in (input, exponent)]
    return pow(pair[0], pair[1])


def floor_divide_(input: Tensor, other: Any) -> Tensor:
    """floor_divide, in place (torch.Tensor.floor_divide_)."""
    return _binary_in_place(_DIV_FLOOR, -1, floor_divide, input, other)


def remainder_(input: Tensor, other: Any) -> Tensor:
    """remainder, in place (torch.Tensor.remainder_)."""
    return _binary_in_place(_REMAINDER, -1, remainder, input, other)


def fmod_(input: Tensor, other: Any) -> Tensor:
    """fmod, in place (torch.Tensor.fmod_)."""
    return _binary_in_place(_FMOD, -1, fmod, input, other)


def pow_(input: Tensor, exponent: Any) -> Tensor:
    """pow, in place (torch.Tensor.pow_)."""
    if isinstance(exponent, (float, int)):
        row = _POW_ROW.get(exponent, _POW_SCALAR)
        return unary_in_place(row, pow, input, exponent, p0=exponent, p1=1.0)
    return _binary_in_place(_POW, -1, pow, input, exponent)


def of_tensors(
    name: str, number: int, numpy: Callable[..., Any] | None, input: Tensor, other: Tensor
) -> Tensor:
    """A function of two tensors; numpy: of integers, where they stay integers."""
    _core.check_tensors(name, input=input, other=other)
    if numpy is None or (input._h and other._h):
        return binary(number, input, other)
    return _arithmetic(number, numpy, input, other)


# ---- writing -------------------------------------------------------------------------------------


def copy_(input: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """input[...] = src, broadcast and converted to input's dtype; recorded (torch.Tensor.copy_).

    Raises:
        RuntimeError: src does not broadcast to input's shape; input is a leaf that requires grad.
    """
    given, src = src, _operand(src)
    if isinstance(src, (bool, int, float, np.number, np.bool_)):
        src = _core.wrap(np.asarray(src))
    if not isinstance(src, Handle):
        raise TypeError(
            f"copy_(): argument 'other' (position 1) must be Tensor, not {type(given).__name__}"
        )
    if src._shape != input._shape:
        shape = _shapes.broadcast_shapes(input._shape, src._shape)
        if shape != tuple(input._shape):
            raise RuntimeError(
                f"output with shape {list(input._shape)} doesn't match the broadcast shape "
                f"{list(shape)}"
            )
    if input._h:
        check(lib.rnn_check_inplace(E, input._h))
        src = as_node(src, lib.rnn_dtype(input._h))  # held: the call borrows its handle
        check(lib.rnn_assign(E, input._h, src._h))
    else:
        _core.writable(input)[...] = _dtypes.cast(_core.array_of(src), _core.dtype_of(input))
    return input


def fill_(input: Tensor, value: Any) -> Tensor:
    """Every element becomes value, a number or a 0-d tensor (torch.Tensor.fill_).

    A number may be written to an expanded tensor, whose elements share memory; a tensor may not.

    Raises:
        RuntimeError: input is a leaf that requires gradients, or value has dimensions.
        TypeError: value is neither.
    """
    if isinstance(value, Handle):
        if value._shape:
            raise RuntimeError(
                "fill_ only supports 0-dimension value tensor but got tensor with "
                f"{len(value._shape)} dimensions."
            )
        return copy_(input, value)
    if not isinstance(value, (int, float, np.number, np.bool_)):
        raise TypeError(f"fill_() takes a number or a 0-d tensor, not {type(value).__name__}")
    if input._h:
        once = _unexpanded(input) if 0 in input.stride() else input
        check(lib.rnn_fill(E, once._h, value))
    else:
        to = _core.dtype_of(input)
        if to.storage.kind in "iu":
            value = held(value, to)
        input._array[...] = _dtypes.cast(np.asarray(value), to)
    return input


def _unexpanded(input: Tensor) -> Tensor:
    """A view of the elements in which the dimensions that were expanded have size 1."""
    for d, (size, stride) in enumerate(zip(input._shape, input.stride())):
        if stride == 0 and size > 1:
            input = input.narrow(d, 0, 1)
    return input


def zero_(input: Tensor) -> Tensor:
    """Every element becomes 0 (torch.Tensor.zero_)."""
    return fill_(input, 0)

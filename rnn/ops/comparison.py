"""Comparisons, logic, bits, and questions about elements: all NumPy's, on the memory of the nodes.

Their results are bool tensors (bits: integers), which are no nodes: nothing here has a gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _dtypes, _shapes
from rnn._c import Handle, check_copy_room, check_room
from rnn.ops import _core
from rnn.ops.elementwise import _operand, in_place, integers, write_out

if TYPE_CHECKING:
    from rnn.ops._core import Number
    from rnn.tensor import Tensor

# ---- comparisons ---------------------------------------------------------------------------------


def _compare(numpy: Callable[..., Any], a: Any, b: Any) -> Any:
    """numpy(a, b) in the dtype that a and b promote to; NotImplemented where b is no number."""
    if isinstance(a, Handle) and a._h and isinstance(b, (float, int)):
        x = _core.array_of(a)
        check_room(numpy.__name__, x.shape, 1)
        return _core.wrap(numpy(x, x.dtype.type(b)))
    b = _operand(b)
    if b is NotImplemented:
        return NotImplemented
    return integers(numpy, a, b, _core.result_dtype(a, b))


def op_eq(a: Any, b: Any) -> Any:
    """a == b"""
    return _compare(np.equal, a, b)


def op_ne(a: Any, b: Any) -> Any:
    """a != b"""
    return _compare(np.not_equal, a, b)


def op_lt(a: Any, b: Any) -> Any:
    """a < b"""
    return _compare(np.less, a, b)


def op_le(a: Any, b: Any) -> Any:
    """a <= b"""
    return _compare(np.less_equal, a, b)


def op_gt(a: Any, b: Any) -> Any:
    """a > b"""
    return _compare(np.greater, a, b)


def op_ge(a: Any, b: Any) -> Any:
    """a >= b"""
    return _compare(np.greater_equal, a, b)


def _function(function: Callable[..., Any], made: Any, input: Any, other: Any) -> Tensor:
    if made is NotImplemented:
        raise TypeError(
            f"{function.__name__}() received an invalid combination of arguments - got "
            f"({type(input).__name__}, {type(other).__name__})"
        )
    return made


def eq(input: Tensor, other: Any, *, out: Tensor | None = None) -> Tensor:
    """input == other, element by element (torch.eq).

    Raises:
        RuntimeError: the shapes do not broadcast.
        TypeError: other is neither tensor nor number.

    Example:
        >>> rnn.eq(rnn.tensor([1, 2]), rnn.tensor([1, 3]))
        tensor([ True, False])
    """
    if out is not None:
        return write_out(out, eq, input, other)
    return _function(eq, op_eq(input, other), input, other)


def ne(input: Tensor, other: Any, *, out: Tensor | None = None) -> Tensor:
    """input != other, element by element (torch.ne).

    Example:
        >>> rnn.ne(rnn.tensor([1, 2]), 2)
        tensor([ True, False])
    """
    if out is not None:
        return write_out(out, ne, input, other)
    return _function(ne, op_ne(input, other), input, other)


def lt(input: Tensor, other: Any, *, out: Tensor | None = None) -> Tensor:
    """input < other, element by element (torch.lt).

    Example:
        >>> rnn.lt(rnn.tensor([1, 2]), 2)
        tensor([ True, False])
    """
    if out is not None:
        return write_out(out, lt, input, other)
    return _function(lt, op_lt(input, other), input, other)


def le(input: Tensor, other: Any, *, out: Tensor | None = None) -> Tensor:
    """input <= other, element by element (torch.le).

    Example:
        >>> rnn.le(rnn.tensor([1, 2]), 1)
        tensor([ True, False])
    """
    if out is not None:
        return write_out(out, le, input, other)
    return _function(le, op_le(input, other), input, other)


def gt(input: Tensor, other: Any, *, out: Tensor | None = None) -> Tensor:
    """input > other, element by element (torch.gt).

    Example:
        >>> rnn.gt(rnn.tensor([1, 2]), 1)
        tensor([False,  True])
    """
    if out is not None:
        return write_out(out, gt, input, other)
    return _function(gt, op_gt(input, other), input, other)


def ge(input: Tensor, other: Any, *, out: Tensor | None = None) -> Tensor:
    """input >= other, element by element (torch.ge).

    Example:
        >>> rnn.ge(rnn.tensor([1, 2]), 2)
        tensor([False,  True])
    """
    if out is not None:
        return write_out(out, ge, input, other)
    return _function(ge, op_ge(input, other), input, other)


def isclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Tensor:
    """|input - other| <= atol + rtol * |other|, element by element (torch.isclose).

    Raises:
        RuntimeError: the dtypes differ.

    Example:
        >>> rnn.isclose(rnn.tensor([1.0, 2.0]), rnn.tensor([1.0, 2.1]))
        tensor([ True, False])
    """
    _core.check_tensors("isclose", input=input, other=other)
    d, e = _core.dtype_of(input), _core.dtype_of(other)
    if d is not e:
        raise RuntimeError(f"{_core.type_name(d)} did not match {_core.type_name(e)}")
    for tolerance, what in ((rtol, "rtol"), (atol, "atol")):
        if tolerance < 0:
            raise RuntimeError(f"{what} must be greater than or equal to zero, but got {tolerance}")
    x, y = _core.array_of(input), _core.array_of(other)
    shape = _shapes.broadcast_shapes(x.shape, y.shape)
    check_room("isclose", shape, 2 * x.itemsize)
    if x.dtype.kind != "f":  # differences of bytes go round
        to = _dtypes.get_default_dtype().storage
        x, y = x.astype(to), y.astype(to)
    with np.errstate(all="ignore"):
        gap = np.abs(x - y)
        allowed = np.asarray(atol + np.abs(rtol * y), gap.dtype if gap.dtype.kind == "f" else None)
        close = (x == y) | (np.isfinite(gap) & (gap <= allowed))
        if equal_nan:
            close = close | ((x != x) & (y != y))
    return _core.wrap(close)


def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    """Whether all elements are close: see isclose (torch.allclose).

    Example:
        >>> rnn.allclose(rnn.tensor([1.0, 2.0]), rnn.tensor([1.0, 2.000001]))
        True
    """
    _core.check_tensors("allclose", input=input, other=other)
    return bool(isclose(input, other, rtol, atol, equal_nan)._array.all())


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether shape and all elements are the same (torch.equal).

    Example:
        >>> rnn.equal(rnn.tensor([1, 2]), rnn.tensor([1, 2]))
        True
    """
    _core.check_tensors("equal", input=input, other=other)
    x, y = _core.array_of(input), _core.array_of(other)
    return bool(np.array_equal(check_copy_room("equal", x, 1), check_copy_room("equal", y, 1)))


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether the shapes are the same (torch.is_same_size).

    Example:
        >>> rnn.is_same_size(rnn.ones(2, 3), rnn.ones(3, 2))
        False
    """
    return input._shape == other._shape


def is_nonzero(input: Tensor) -> bool:
    """Whether a tensor of one element is not 0 (torch.is_nonzero).

    Raises:
        RuntimeError: it has another number of elements.

    Example:
        >>> rnn.is_nonzero(rnn.tensor([0.0])), rnn.is_nonzero(rnn.tensor(2))
        (False, True)
    """
    return bool(input)


def isin(
    elements: Tensor | Number,
    test_elements: Tensor | Number,
    *,
    assume_unique: bool = False,
    invert: bool = False,
) -> Tensor:
    """Where an element is one of test_elements; tensors or numbers (torch.isin).

    Example:
        >>> rnn.isin(rnn.tensor([1, 2, 3]), rnn.tensor([3, 1]))
        tensor([ True, False,  True])
    """
    among, of = (
        check_copy_room("isin", _core.array_of(x), 8) if isinstance(x, Handle) else np.asarray(x)
        for x in (elements, test_elements)
    )
    return _core.wrap(np.asarray(np.isin(among, of, invert=invert)))


# ---- logic ---------------------------------------------------------------------------------------


def _logical(numpy: Callable[..., Any], input: Tensor, other: Tensor) -> Tensor:
    _core.check_tensors(numpy.__name__, input=input, other=other)
    x, y = _core.array_of(input), _core.array_of(other)
    check_room(numpy.__name__, _shapes.broadcast_shapes(x.shape, y.shape), 1)
    return _core.wrap(numpy(x, y))


def logical_and(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether both are nonzero (torch.logical_and).

    Example:
        >>> rnn.logical_and(rnn.tensor([0, 1, 2]), rnn.tensor([1, 0, 3]))
        tensor([False, False,  True])
    """
    if out is not None:
        return write_out(out, logical_and, input, other)
    return _logical(np.logical_and, input, other)


def logical_or(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether one is nonzero (torch.logical_or).

    Example:
        >>> rnn.logical_or(rnn.tensor([0, 0]), rnn.tensor([0, 3]))
        tensor([False,  True])
    """
    if out is not None:
        return write_out(out, logical_or, input, other)
    return _logical(np.logical_or, input, other)


def logical_xor(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether exactly one is nonzero (torch.logical_xor).

    Example:
        >>> rnn.logical_xor(rnn.tensor([0, 2]), rnn.tensor([1, 3]))
        tensor([ True, False])
    """
    if out is not None:
        return write_out(out, logical_xor, input, other)
    return _logical(np.logical_xor, input, other)


def logical_not(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether it is 0 (torch.logical_not).

    Example:
        >>> rnn.logical_not(rnn.tensor([0, 1]))
        tensor([ True, False])
    """
    if out is not None:
        return write_out(out, logical_not, input)
    return _core.wrap(np.logical_not(check_copy_room("logical_not", _core.array_of(input), 1)))


# ---- divisors and multiples ----------------------------------------------------------------------


def gcd(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The greatest common divisor of integers, which is not negative (torch.gcd).

    Raises:
        NotImplementedError: of floats or booleans.

    Example:
        >>> rnn.gcd(rnn.tensor([12, 9]), rnn.tensor(8))
        tensor([4, 1])
    """
    if out is not None:
        return write_out(out, gcd, input, other)
    return _of_integers("gcd", np.gcd, input, other)


def lcm(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The least common multiple of integers, which is not negative (torch.lcm).

    Raises:
        NotImplementedError: of floats or booleans.

    Example:
        >>> rnn.lcm(rnn.tensor([4, 6]), rnn.tensor(10))
        tensor([20, 30])
    """
    if out is not None:
        return write_out(out, lcm, input, other)
    return _of_integers("lcm", np.lcm, input, other)


def _of_integers(name: str, numpy: Callable[..., Any], a: Tensor, b: Tensor) -> Tensor:
    _core.check_tensors(name, input=a, other=b)
    result = _core.result_dtype(a, b)
    if result.is_floating_point or result is _dtypes.bool_:
        kind = _core.type_name(result)
        raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{kind}'")
    return integers(numpy, a, b, result)


# ---- bits ----------------------------------------------------------------------------------------


def _bits(name: str, numpy: Callable[..., Any], a: Any, b: Any) -> Any:
    b = _operand(b)
    if b is NotImplemented:
        return NotImplemented
    result = _core.result_dtype(a, b)
    if result.is_floating_point:
        raise NotImplementedError(f"\"{name}\" not implemented for '{_core.type_name(result)}'")
    if result is _dtypes.bool_ and "shift" in name:
        raise NotImplementedError(f"\"{name}\" not implemented for 'Bool'")
    return integers(numpy, a, b, result)


def op_and(a: Any, b: Any) -> Any:
    """a & b"""
    return _bits("bitwise_and_cpu", np.bitwise_and, a, b)


def op_or(a: Any, b: Any) -> Any:
    """a | b"""
    return _bits("bitwise_or_cpu", np.bitwise_or, a, b)


def op_xor(a: Any, b: Any) -> Any:
    """a ^ b"""
    return _bits("bitwise_xor_cpu", np.bitwise_xor, a, b)


def op_lshift(a: Any, b: Any) -> Any:
    """a << b"""
    return _bits("lshift_cpu", np.left_shift, a, b)


def op_rshift(a: Any, b: Any) -> Any:
    """a >> b"""
    return _bits("rshift_cpu", np.right_shift, a, b)


def op_rlshift(a: Any, b: Any) -> Any:
    """b << a"""
    return _bits("lshift_cpu", lambda x, y: np.left_shift(y, x), a, b)


def op_rrshift(a: Any, b: Any) -> Any:
    """b >> a"""
    return _bits("rshift_cpu", lambda x, y: np.right_shift(y, x), a, b)


def op_invert(a: Tensor) -> Tensor:
    """~a"""
    if a._h or a._array.dtype.kind == "f":
        raise TypeError(
            "~ (operator.invert) is only implemented on integer and Boolean-type tensors"
        )
    return _core.wrap(np.invert(check_copy_room("invert", a._array)))


def bitwise_and(input: Tensor, other: Any, *, out: Tensor | None = None) -> Tensor:
    """input & other, of integers or booleans (torch.bitwise_and).

    Raises:
        NotImplementedError: of floats.

    Example:
        >>> rnn.bitwise_and(rnn.tensor([6, 5]), 3)
        tensor([2, 1])
    """
    if out is not None:
        return write_out(out, bitwise_and, input, other)
    return _function(bitwise_and, op_and(input, other), input, other)


def bitwise_or(input: Tensor, other: Any, *, out: Tensor | None = None) -> Tensor:
    """input | other, of integers or booleans (torch.bitwise_or).

    Example:
        >>> rnn.bitwise_or(rnn.tensor([6, 5]), 3)
        tensor([7, 7])
    """
    if out is not None:
        return write_out(out, bitwise_or, input, other)
    return _function(bitwise_or, op_or(input, other), input, other)


def bitwise_xor(input: Tensor, other: Any, *, out: Tensor | None = None) -> Tensor:
    """input ^ other, of integers or booleans (torch.bitwise_xor).

    Example:
        >>> rnn.bitwise_xor(rnn.tensor([6, 5]), 3)
        tensor([5, 6])
    """
    if out is not None:
        return write_out(out, bitwise_xor, input, other)
    return _function(bitwise_xor, op_xor(input, other), input, other)


def bitwise_left_shift(input: Tensor, other: Any, *, out: Tensor | None = None) -> Tensor:
    """input << other (torch.bitwise_left_shift).

    Example:
        >>> rnn.bitwise_left_shift(rnn.tensor([1, 3]), 2)
        tensor([ 4, 12])
    """
    if out is not None:
        return write_out(out, bitwise_left_shift, input, other)
    return _function(bitwise_left_shift, op_lshift(input, other), input, other)


def bitwise_right_shift(input: Tensor, other: Any, *, out: Tensor | None = None) -> Tensor:
    """input >> other (torch.bitwise_right_shift).

    Example:
        >>> rnn.bitwise_right_shift(rnn.tensor([4, -5]), 1)
        tensor([ 2, -3])
    """
    if out is not None:
        return write_out(out, bitwise_right_shift, input, other)
    return _function(bitwise_right_shift, op_rshift(input, other), input, other)


def bitwise_not(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """~input (torch.bitwise_not).

    Example:
        >>> rnn.bitwise_not(rnn.tensor([0, 5]))
        tensor([-1, -6])
    """
    if isinstance(input, Handle) and _core.dtype_of(input).is_floating_point:
        name = _core.type_name(_core.dtype_of(input))
        raise NotImplementedError(f"\"bitwise_not_cpu\" not implemented for '{name}'")
    return op_invert(input) if out is None else write_out(out, bitwise_not, input)


def op_iand(a: Tensor, b: Any) -> Any:
    """a &= b"""
    return in_place(a, bitwise_and(a, b))


def op_ior(a: Tensor, b: Any) -> Any:
    """a |= b"""
    return in_place(a, bitwise_or(a, b))


def op_ixor(a: Tensor, b: Any) -> Any:
    """a ^= b"""
    return in_place(a, bitwise_xor(a, b))


def op_ilshift(a: Tensor, b: Any) -> Any:
    """a <<= b"""
    return in_place(a, bitwise_left_shift(a, b))


def op_irshift(a: Tensor, b: Any) -> Any:
    """a >>= b"""
    return in_place(a, bitwise_right_shift(a, b))


def logical_not_(input: Tensor) -> Tensor:
    """logical_not, in place, in input's dtype (torch.Tensor.logical_not_)."""
    return in_place(input, _core.wrap(_core.array_of(logical_not(input))))


# ---- questions -----------------------------------------------------------------------------------


def isnan(input: Tensor) -> Tensor:
    """Whether it is NaN (torch.isnan).

    Example:
        >>> rnn.isnan(rnn.tensor([1.0, float("inf"), float("nan")]))
        tensor([False, False,  True])
    """
    return _core.wrap(np.isnan(check_copy_room("isnan", _core.array_of(input), 1)))


def isinf(input: Tensor) -> Tensor:
    """Whether it is an infinity (torch.isinf).

    Example:
        >>> rnn.isinf(rnn.tensor([1.0, float("-inf"), float("nan")]))
        tensor([False,  True, False])
    """
    return _core.wrap(np.isinf(check_copy_room("isinf", _core.array_of(input), 1)))


def isfinite(input: Tensor) -> Tensor:
    """Whether it is neither NaN nor an infinity (torch.isfinite).

    Example:
        >>> rnn.isfinite(rnn.tensor([1.0, float("inf"), float("nan")]))
        tensor([ True, False, False])
    """
    return _core.wrap(np.isfinite(check_copy_room("isfinite", _core.array_of(input), 1)))


def isposinf(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether it is +infinity (torch.isposinf).

    Example:
        >>> rnn.isposinf(rnn.tensor([1.0, float("inf"), float("-inf")]))
        tensor([False,  True, False])
    """
    made = _core.wrap(check_copy_room("isposinf", _core.array_of(input), 1) == np.inf)
    return made if out is None else _core.view_as_result(made, out)


def isneginf(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether it is -infinity (torch.isneginf).

    Example:
        >>> rnn.isneginf(rnn.tensor([1.0, float("inf"), float("-inf")]))
        tensor([False, False,  True])
    """
    made = _core.wrap(check_copy_room("isneginf", _core.array_of(input), 1) == -np.inf)
    return made if out is None else _core.view_as_result(made, out)


def isreal(input: Tensor) -> Tensor:
    """True: there are no complex numbers (torch.isreal).

    Example:
        >>> rnn.isreal(rnn.tensor([1.0, 2.0]))
        tensor([True, True])
    """
    check_room("isreal", input._shape, 1)
    return _core.wrap(np.ones(input._shape, np.bool_))


def signbit(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether its sign is minus, -0 included (torch.signbit).

    Example:
        >>> rnn.signbit(rnn.tensor([-0.0, 0.0, -2.0]))
        tensor([ True, False,  True])
    """
    x = check_copy_room("signbit", _core.array_of(input), 1)
    made = _core.wrap(np.signbit(x) if x.dtype.kind == "f" else x < 0)
    return made if out is None else _core.view_as_result(made, out)

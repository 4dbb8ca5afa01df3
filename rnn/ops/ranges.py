"""Tensors of numbers in equal distances, or of their powers: arange, range, linspace, logspace."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _dtypes
from rnn._c import E, Handle, adopt, check_room, fail, lib
from rnn._dtypes import dtype as Dtype
from rnn._size import CPU, check_device
from rnn.autograd.graph import leaf
from rnn.ops import _core
from rnn.ops._core import CODES, array_of, dtype_of, view_as_result
from rnn.ops.create import held, integers, number, real_dtype

if TYPE_CHECKING:
    from rnn.tensor import Tensor

_EXACT = 2**52  # up to here NumPy's arange, which counts in doubles, is exact


def arange(
    *args: Any,
    start: Any = None,
    end: Any = None,
    step: Any = None,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, ... below end (torch.arange).

    arange(end), arange(start, end), arange(start, end, step); int64 where all of them are ints,
    else of the default dtype.

    Raises:
        RuntimeError: step is 0, leads away from end, or a bound is infinite or not a number.
        TypeError: one is no number.

    Example:
        >>> rnn.arange(0, 1, 0.25)
        tensor([0.0000, 0.2500, 0.5000, 0.7500])
        >>> rnn.arange(4)
        tensor([0, 1, 2, 3])
    """
    if device is not None and device is not CPU:
        check_device(device)
    if len(args) == 1 and end is None:
        end = args[0]
    elif args:
        if len(args) > 3 or start is not None or (len(args) > 1 and end is not None):
            raise TypeError("arange() takes (end), (start, end) or (start, end, step)")
        start, end = args[0], args[1] if len(args) > 1 else end
        step = args[2] if len(args) > 2 else step
        if len(args) == 3 and step is None:
            raise TypeError("arange(): argument 'step' (position 3) must be Number, not NoneType")
    if end is None and not args:
        raise TypeError('arange() missing 1 required positional arguments: "end"')
    first = 0 if start is None else number(start, "arange", "start", 1)
    last = number(end, "arange", "end", 1 if start is None else 2)
    by = 1 if step is None else number(step, "arange", "step", 3)
    if dtype is None:
        default = _dtypes.int64
        if isinstance(first, float) or isinstance(last, float) or isinstance(by, float):
            default = _dtypes.get_default_dtype()
        to = default if out is None else dtype_of(out)
    else:
        to = real_dtype(dtype)
    return view_as_result(_arange(first, last, by, to, requires_grad), out)


def _arange(first: Any, last: Any, by: Any, to: Dtype, requires_grad: bool) -> Tensor:
    code = CODES.get(to)
    if to is _dtypes.bool_:
        raise NotImplementedError("\"arange_cpu\" not implemented for 'Bool'")
    if code is None and int(by) == 0 and by:
        raise ValueError("step must be nonzero")
    if by == 0:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(first) and math.isfinite(last)):
        raise RuntimeError(f"unsupported range: {first:g} -> {last:g}")
    if first > last if by > 0 else first < last:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if to is _dtypes.int64:  # counted in integers
        first, last, by = int(first), int(last), int(by)
        n = -((first - last) // by)
    else:
        size = math.ceil((float(last) - float(first)) / by) if math.isfinite(by) else 0
        if not 0 <= size < 2**63:
            raise RuntimeError("invalid size, possible overflow?")
        n = int(size)
    if code is not None:
        h = lib.rnn_arange(E, code, n, first, by)
        if h < 0:
            fail(h)
        return leaf(adopt(h)) if requires_grad else adopt(h)
    first, by = int(first), int(by)
    check_room("arange", (n,), 8)  # NumPy's own count may overflow
    if -_EXACT < first < _EXACT and -_EXACT < first + n * by < _EXACT:
        array = np.arange(first, first + n * by, by, dtype=np.int64)
    else:  # NumPy counts in doubles
        array = np.array([first + i * by for i in range(n)], np.int64)
    return integers(array.astype(to.storage, copy=False), requires_grad)


def range_(start: Any = 0, end: Any = None, step: Any = 1, **options: Any) -> Tensor:
    """start, start + step, ... up to and with end (torch.range; deprecated there: see arange).

    Example:
        >>> rnn.range(0, 2)
        tensor([0., 1., 2.])
    """
    to = real_dtype(options.pop("dtype", None))
    if end is None:
        start, end = 0, start
    n = math.floor((end - start) / step) + 1
    return _arange(start, start + step * (n - 0.5), step, to, options.pop("requires_grad", False))


def linspace(
    start: Any,
    end: Any,
    steps: int,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """`steps` numbers in equal distances from start to end, both included (torch.linspace).

    Raises:
        RuntimeError: steps is negative, or start or end a tensor of more than one element.
        TypeError: start or end is no number, steps no int.

    Example:
        >>> rnn.linspace(0, 1, 5)
        tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    first, last, to = _line("linspace", start, end, steps, out, dtype, device)
    code = CODES.get(to)
    t = _line_of(first, last, steps, CODES[_dtypes.float64] if code is None else code)
    if code is None:
        t = integers(array_of(t).astype(to.storage), requires_grad)
    return view_as_result(t.requires_grad_() if requires_grad else t, out)


def _line_of(first: float, last: float, steps: int, code: int) -> Tensor:
    try:
        h = lib.rnn_linspace(E, code, steps, first, last)
    except OverflowError:
        raise ValueError(f"number of steps {steps} does not fit 64 bits") from None
    return adopt(h) if h > 0 else fail(h)


def _line(
    function: str, start: Any, end: Any, steps: Any, out: Tensor | None, dtype: Any, device: Any
) -> Any:
    """The checked arguments of linspace and logspace: start, end, dtype."""
    check_device(device)
    for x in (start, end):
        if isinstance(x, Handle) and x._shape:
            raise RuntimeError(
                f"{function} only supports 0-dimensional start and end tensors, but got start with "
                f"{len(x._shape)} dimension(s)."
            )
    if not isinstance(steps, (int, np.integer)) or isinstance(steps, bool):
        raise TypeError(
            f"{function}(): argument 'steps' (position 3) must be int, not {type(steps).__name__}"
        )
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    to = real_dtype(dtype, None if out is None else dtype_of(out))
    if to is _dtypes.bool_:
        raise NotImplementedError(f"\"{function}_cpu\" not implemented for 'Bool'")
    first, last = number(start, function, "start", 1), number(end, function, "end", 2)
    return (first, last, to) if to in CODES else (held(first, to), held(last, to), to)


def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """base to the power of linspace(start, end, steps) (torch.logspace).

    Example:
        >>> rnn.logspace(0, 2, 3)
        tensor([  1.,  10., 100.])
    """
    first, last, to = _line("logspace", start, end, steps, out, dtype, device)
    code = CODES.get(to, CODES[_dtypes.float64])
    exponents = array_of(_line_of(first, last, steps, code)).astype(np.float64)
    with np.errstate(all="ignore"):
        array = np.power(np.float64(base), exponents).astype(to.storage)
    if to not in CODES:
        return view_as_result(integers(array, requires_grad), out)
    t = _core.nodes(array)
    return view_as_result(t.requires_grad_() if requires_grad else t, out)

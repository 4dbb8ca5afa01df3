"""torch.testing.assert_close: tensors, numbers, lists and dictionaries, equal to tolerances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _config, _dtypes
from rnn._c import Handle, ValueBase
from rnn.ops import _core
from rnn.ops._core import array_of, dtype_of

_TOLERANCES = {_dtypes.float32: (1.3e-6, 1e-5), _dtypes.float64: (1e-7, 1e-7)}  # relative, absolute
_NUMBERS = (bool, int, float, ValueBase, np.number, np.bool_)


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: Any = None,
) -> None:
    """Raises where |actual - expected| > atol + rtol * |expected| (torch.testing.assert_close).

    Args:
        rtol, atol: both or neither; without them the dtypes say: 1.3e-6 and 1e-5 for float32, 1e-7
            and 1e-7 for float64, exactly equal for integers.
        msg: another message, or a function that makes it of this one.

    Raises:
        AssertionError: they are not close, or differ in shape, dtype or kind.
        ValueError: only one tolerance is given.

    Example:
        >>> assert_close(rnn.tensor([1.0]), rnn.tensor([1.0000001]))
    """
    if (rtol is None) != (atol is None):
        missing = "atol" if atol is None else "rtol"
        raise ValueError(
            f"Both 'rtol' and 'atol' must be either specified or omitted, but got no {missing}."
        )
    text = _difference(actual, expected, (rtol, atol), equal_nan, check_dtype)
    if text:
        raise AssertionError(text if msg is None else msg(text) if callable(msg) else msg)


def _difference(a: Any, b: Any, tolerances: Any, equal_nan: bool, check_dtype: bool) -> str:
    """What is wrong; "" where nothing is."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        if set(a) != set(b):
            return f"The keys of the mappings do not match: {sorted(a)} != {sorted(b)}"
        pairs = {key: (a[key], b[key]) for key in a}
    elif _is_list(a) and _is_list(b):
        if len(a) != len(b):
            return f"The length of the sequences mismatch: {len(a)} != {len(b)}"
        pairs = dict(enumerate(zip(a, b)))
    else:
        return _difference_of_one(a, b, tolerances, equal_nan, check_dtype)
    for key, (x, y) in pairs.items():
        text = _difference(x, y, tolerances, equal_nan, check_dtype)
        if text:
            return f"{text}\n\nThe failure occurred for item [{key!r}]"
    return ""


def _is_list(x: Any) -> bool:
    return isinstance(x, Sequence) and not isinstance(x, str)


def _as_tensor(x: Any) -> Any:
    return _core.wrap(x) if isinstance(x, np.ndarray) else x


def _difference_of_one(a: Any, b: Any, tolerances: Any, equal_nan: bool, check_dtype: bool) -> str:
    a, b = _as_tensor(a), _as_tensor(b)
    if isinstance(a, Handle) and isinstance(b, Handle):
        for name, x, y in (("shape", a.shape, b.shape), ("dtype", a.dtype, b.dtype)):
            if x != y and (check_dtype or name == "shape"):
                return f"The values for attribute '{name}' do not match: {x} != {y}."
        if tolerances[0] is None:
            pairs = [_TOLERANCES.get(dtype_of(t), (0.0, 0.0)) for t in (a, b)]
            tolerances = (max(p[0] for p in pairs), max(p[1] for p in pairs))
        return _report(array_of(a), array_of(b), tolerances, equal_nan)
    if isinstance(a, _NUMBERS) and isinstance(b, _NUMBERS):
        if tolerances[0] is None:
            exact = all(isinstance(x, (int, np.integer, np.bool_)) for x in (a, b))
            tolerances = (0.0, 0.0) if exact else (1e-7, 1e-7)
        return _report(np.asarray(float(a)), np.asarray(float(b)), tolerances, equal_nan)
    if a is None and b is None:
        return ""
    return f"{type(a).__name__} and {type(b).__name__} cannot be compared: {a!r}, {b!r}"


def _report(a: Any, b: Any, tolerances: tuple[float, float], equal_nan: bool) -> str:
    rtol, atol = tolerances
    with np.errstate(all="ignore"):
        if a.dtype.kind == "b":
            a, b = a.astype(np.int64), b.astype(np.int64)
        kind = np.result_type(a, b)
        a, b = a.astype(kind, copy=False), b.astype(kind, copy=False)
        absolute = np.abs(a - b)
        close = (a == b) | (np.isfinite(b) & (absolute <= atol + rtol * np.abs(b)))
        if equal_nan:
            close |= np.isnan(a) & np.isnan(b)
        if close.all():
            return ""
        relative = np.where(close, 0, absolute / np.abs(b))
        absolute = np.where(close, 0, absolute)
    exact = rtol == 0 and atol == 0
    said = "equal" if exact else "close"
    upto = [f" (up to {t:g} allowed)" if not exact else "" for t in (atol, rtol)]
    if a.ndim == 0:
        return (
            f"Scalars are not {said}!\n\nExpected {b.item()} but got {a.item()}.\n"
            f"Absolute difference: {absolute.item()}{upto[0]}\n"
            f"Relative difference: {relative.item()}{upto[1]}"
        )
    wrong, count = int(np.size(close) - np.count_nonzero(close)), close.size
    lines = [f"Mismatched elements: {wrong} / {count} ({wrong / count:.1%})"]
    for name, values, allowed in (
        ("absolute", absolute, upto[0]),
        ("relative", relative, upto[1]),
    ):
        at = tuple(int(i) for i in np.unravel_index(int(np.argmax(values)), values.shape))
        lines.append(f"Greatest {name} difference: {values[at].item()} at index {at}{allowed}")
    return f"Tensor-likes are not {said}!\n\n" + "\n".join(lines)


if not TYPE_CHECKING:  # type checkers are to see what is absent

    def __getattr__(name: str) -> Any:
        raise _config.absent(__name__, name)

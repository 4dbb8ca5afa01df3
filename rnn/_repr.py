"""How tensors print: PyTorch's rules, character for character.

This module is not: `Tensor.__repr__`, which calls `tensor_repr` here with its elements as a NumPy
array. Of a large array only the elements that will be printed are touched.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rnn import _dtypes

# ---- options -------------------------------------------------------------------------------------


@dataclass
class PrintOptions:
    """What `set_printoptions` sets; these are the defaults."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


options = PrintOptions()

_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Change how tensors print (`torch.set_printoptions`).

    precision  digits after the point
    threshold  tensors of more elements are summarised
    edgeitems  how many elements a summary shows at either end of a dimension
    linewidth  characters a line
    profile    "default", "short" or "full" sets all of the above; ValueError for other names
    sci_mode   scientific notation: True, False, or None to choose by the values

    What is None stays as it is, but for `sci_mode`, which each call sets.

    Example:
        >>> rnn.set_printoptions(precision=2)
        >>> rnn.tensor([1 / 3])
        tensor([0.33])
        >>> rnn.set_printoptions(profile="default")
    """
    if profile is not None:
        if profile not in _PROFILES:
            raise ValueError(f"profile must be one of {', '.join(_PROFILES)}, not {profile!r}")
        options.__dict__.update(_PROFILES[profile])
    if precision is not None:
        options.precision = precision
    if threshold is not None:
        options.threshold = threshold
    if edgeitems is not None:
        options.edgeitems = edgeitems
    if linewidth is not None:
        options.linewidth = linewidth
    options.sci_mode = sci_mode


def get_printoptions() -> dict[str, Any]:
    """The options as a dictionary that `set_printoptions(**...)` takes."""
    return asdict(options)


@contextmanager
def printoptions(**kwargs: Any) -> Iterator[None]:
    """`with printoptions(precision=2):` changes the options for a while."""
    before = get_printoptions()
    set_printoptions(**kwargs)
    try:
        yield
    finally:
        set_printoptions(**before)


# ---- the whole repr ------------------------------------------------------------------------------


def tensor_repr(
    array: np.ndarray[Any, Any],
    dtype: _dtypes.dtype,
    requires_grad: bool = False,
    grad_fn_name: str | None = None,
    *,
    class_name: str = "tensor",
    parameter: bool = False,
) -> str:
    """The repr of a tensor, as PyTorch prints it.

    array         the elements, of any shape and strides, in `dtype.storage`
    dtype         printed where the elements do not tell it
    grad_fn_name  e.g. "AddBackward0"; goes before `requires_grad`
    class_name    what stands before the bracket; a subclass of Tensor prints its own name
    parameter     starts with "Parameter containing:"

    >>> tensor_repr(np.array([1.0, 2.5]), _dtypes.float64, requires_grad=True)
    'tensor([1.0000, 2.5000], dtype=rnn.float64, requires_grad=True)'
    """
    indent = len(class_name) + 1
    text = f"{class_name}({_contents(array, indent)}"
    suffixes = _suffixes(array, dtype)
    if grad_fn_name is not None:
        suffixes.append(f"grad_fn=<{grad_fn_name}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")
    first_line = "Parameter containing:\n" if parameter else ""
    return first_line + _append(text, suffixes, indent) + ")"


def format_scalar(value: Any, dtype: _dtypes.dtype, format_spec: str) -> str:
    """`f"{t:.4f}"` of a tensor without dimensions: its element is formatted as a Python number.

    (A tensor with dimensions takes `object.__format__`: its repr, and a TypeError for any spec.)
    """
    if dtype is _dtypes.bool_:
        return format(bool(value), format_spec)
    return format(float(value) if dtype.is_floating_point else int(value), format_spec)


def _suffixes(array: np.ndarray[Any, Any], dtype: _dtypes.dtype) -> list[str]:
    """What has to be said about shape and dtype because the elements do not show it."""
    suffixes = []
    if array.size == 0:
        size_is_plain = array.ndim == 1
        dtype_is_plain = dtype is _dtypes.get_default_dtype()
    else:
        size_is_plain = options.edgeitems > 0
        plain = (_dtypes.get_default_dtype(), _dtypes.int64, _dtypes.bool_)
        dtype_is_plain = dtype in plain
    if not size_is_plain:
        suffixes.append(f"size={array.shape}")
    if not dtype_is_plain:
        suffixes.append(f"dtype={dtype}")
    return suffixes


def _append(text: str, suffixes: list[str], indent: int) -> str:
    """Add the suffixes, each on a new line if it does not fit on the last."""
    # PyTorch counts two characters more here than the line has; its line breaks depend on it
    line_length = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if line_length + len(suffix) + 2 > options.linewidth:
            text += ",\n" + " " * indent + suffix
            line_length = indent + len(suffix)
        else:
            text += ", " + suffix
            line_length += len(suffix) + 2
    return text


# ---- the elements --------------------------------------------------------------------------------


def _contents(array: np.ndarray[Any, Any], indent: int) -> str:
    """The elements in brackets; lines after the first are indented by `indent`."""
    if array.size == 0:
        return "[]"
    edge = options.edgeitems
    cut = [False] * array.ndim  # dimensions of which only the ends are shown
    if array.size > options.threshold and array.ndim > 0:
        if edge == 0:
            return "[...]"
        cut = [n > 2 * edge for n in array.shape]
        array = _ends(array, cut, edge)
    cells, width = _format_cells(array)
    return _brackets(cells, array.shape, cut, indent, width)


def _ends(array: np.ndarray[Any, Any], cut: list[bool], edge: int) -> np.ndarray[Any, Any]:
    """The first and last `edge` elements of each dimension that is cut, and all of the others."""
    places = (
        np.r_[:edge, n - edge : n] if c else np.arange(n)
        for n, c in zip(array.shape, cut, strict=True)
    )
    return np.asarray(array[np.ix_(*places)])


def _brackets(
    cells: list[str], shape: Sequence[int], cut: list[bool], indent: int, width: int
) -> str:
    """Nested brackets around the cells, of which there are as many as `shape` says."""
    if not shape:
        return cells[0]
    if len(shape) == 1:
        return _row(cells, cut[0], indent, width)
    step = len(cells) // shape[0]
    parts = [
        _brackets(cells[i : i + step], shape[1:], cut[1:], indent + 1, width)
        for i in range(0, len(cells), step)
    ]
    if cut[0]:
        parts.insert(options.edgeitems, "...")
    between = "," + "\n" * (len(shape) - 1) + " " * (indent + 1)
    return "[" + between.join(parts) + "]"


def _row(cells: list[str], cut: bool, indent: int, width: int) -> str:
    """One row, broken into lines of as many cells as fit."""
    if cut:
        edge = options.edgeitems
        cells = [*cells[:edge], " ...", *cells[edge:]]
    per_line = max(1, math.floor((options.linewidth - indent) / (width + 2)))
    lines = [", ".join(cells[i : i + per_line]) for i in range(0, len(cells), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


# ---- one element ---------------------------------------------------------------------------------


def _format_cells(array: np.ndarray[Any, Any]) -> tuple[list[str], int]:
    """Each element as text, in order and padded to one width, and that width."""
    values = array.ravel()
    if values.dtype.kind != "f":
        texts = [str(v) for v in values.tolist()]
        width = max(map(len, texts))
    else:
        texts, width = _format_floats(values.astype(np.float64))
    return [text.rjust(width) for text in texts], width


def _format_floats(values: np.ndarray[Any, Any]) -> tuple[list[str], int]:
    """float64 values in the one notation that suits them all: "1.", "1.0000" or "1.0000e+00".

    Zeros, infinities and NaN neither choose the notation nor count for the width.
    """
    counts = np.isfinite(values) & (values != 0)
    counted = values[counts]
    precision = options.precision
    if counted.size == 0:
        return [_whole(v) for v in values.tolist()], 1
    if _is_scientific(counted):
        texts = [f"{v:.{precision}e}" for v in values.tolist()]
    elif np.all(counted == np.ceil(counted)):
        texts = [_whole(v) for v in values.tolist()]
    else:
        texts = [f"{v:.{precision}f}" for v in values.tolist()]
    return texts, max(len(text) for text, c in zip(texts, counts, strict=True) if c)


def _is_scientific(counted: np.ndarray[Any, Any]) -> bool:
    if options.sci_mode is not None:
        return options.sci_mode
    sizes = np.abs(counted)
    low, high = float(sizes.min()), float(sizes.max())
    return high / low > 1000.0 or high > 1.0e8 or low < 1.0e-4


def _whole(value: float) -> str:
    """A float without a fraction, with the point which tells it from an int: "1.", "nan"."""
    return f"{value:.0f}" + ("." if math.isfinite(value) else "")

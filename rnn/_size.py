"""Size, device, layout and memory_format: the small objects that describe a tensor from outside.

This module is not: strides, storage or anything that the engine reads. There is one device, the
CPU; others can be named and compared, as programs do, and `check_device` refuses to compute there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any, SupportsIndex, overload

from rnn import _dtypes

# ---- Size ----------------------------------------------------------------------------------------


class Size(tuple[int, ...]):
    """The shape of a tensor (`torch.Size`): a tuple of ints; sliced or joined, it stays a Size.

    >>> Size([2, 3]) + (4,)
    rnn.Size([2, 3, 4])

    TypeError for items that are no integers. Where the items are known to be ints,
    `tuple.__new__(Size, items)` makes one without the check.
    """

    __slots__ = ()

    def __new__(cls, items: Iterable[SupportsIndex] = ()) -> Size:
        return tuple.__new__(cls, [_as_int(i, item) for i, item in enumerate(items)])

    def numel(self) -> int:
        """The number of elements of a tensor of this shape: 1 for ()."""
        return math.prod(self)

    @overload
    def __getitem__(self, key: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, key: slice) -> Size: ...
    def __getitem__(self, key: SupportsIndex | slice) -> int | Size:
        found = tuple.__getitem__(self, key)
        return tuple.__new__(Size, found) if isinstance(found, tuple) else found

    def __add__(self, other: Any) -> Size:
        if not isinstance(other, tuple):
            name = type(other).__name__
            raise TypeError(f"can only concatenate tuple (not {name}) to {_dtypes.prefix}Size")
        return Size(tuple.__add__(self, other))

    def __radd__(self, other: tuple[Any, ...]) -> Size:
        if not isinstance(other, tuple):
            return NotImplemented
        return Size(tuple.__add__(other, self))

    def __mul__(self, times: SupportsIndex) -> Size:
        return tuple.__new__(Size, tuple.__mul__(self, times))

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return f"{_dtypes.prefix}Size([{', '.join(map(repr, self))}])"

    __str__ = __repr__

    def __reduce__(self) -> tuple[type[Size], tuple[tuple[int, ...]]]:
        return Size, (tuple(self),)


def _as_int(place: int, item: SupportsIndex) -> int:
    try:
        return int(item.__index__())
    except (AttributeError, TypeError):
        raise TypeError(
            f"{_dtypes.prefix}Size() takes an iterable of 'int' "
            f"(item {place} is '{type(item).__name__}')"
        ) from None


# ---- device --------------------------------------------------------------------------------------

_DEVICE_TYPES = (
    *("cpu", "cuda", "ipu", "xpu", "mkldnn", "opengl", "opencl", "ideep", "hip", "ve", "fpga"),
    *("maia", "xla", "lazy", "vulkan", "mps", "meta", "hpu", "mtia", "privateuseone"),
)


class device:
    """A place to compute (`torch.device`): `device("cpu")`, `device("cuda:1")`, `device("mps", 0)`.

    type   "cpu", "cuda", "mps", ...
    index  an int or None

    Naming a device promises nothing about it: see `check_device`. RuntimeError for a type that
    PyTorch does not know and for a malformed string. A device is a context manager, as in PyTorch.

    Example:
        >>> rnn.device("cpu")
        device(type='cpu')
    """

    __slots__ = ("_index", "_type")

    _type: str
    _index: int | None

    def __new__(cls, type: str | device | int, index: int | None = None) -> device:
        if isinstance(type, device) and index is None:
            return type
        if isinstance(type, int):  # an accelerator's number
            raise RuntimeError("Cannot access accelerator device when none is available.")
        if not isinstance(type, str):
            given = type.__class__.__name__
            raise TypeError(f"device(): argument 'type' (position 1) must be str, not {given}")
        self: device = object.__new__(cls)
        self._type, self._index = _parse_device(type)
        if index is not None:
            if self._index is not None:
                raise RuntimeError(
                    "type (string) must not include an index because index was passed explicitly: "
                    + type
                )
            if index < 0:
                raise RuntimeError("Device index must not be negative")
            self._index = index
        return self

    @property
    def type(self) -> str:
        return self._type

    @property
    def index(self) -> int | None:
        return self._index

    def __str__(self) -> str:
        return self._type if self._index is None else f"{self._type}:{self._index}"

    def __repr__(self) -> str:
        index = "" if self._index is None else f", index={self._index}"
        return f"device(type='{self._type}'{index})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, device):
            return NotImplemented
        return self._type == other._type and self._index == other._index

    def __hash__(self) -> int:
        return hash((self._type, self._index))

    def __reduce__(self) -> tuple[Any, ...]:
        return device, (self._type,) if self._index is None else (self._type, self._index)

    def __enter__(self) -> device:
        check_device(self)
        return self

    def __exit__(self, *exception: object) -> None:
        pass


def _parse_device(text: str) -> tuple[str, int | None]:
    if not text:
        raise RuntimeError("Device string must not be empty")
    match = re.fullmatch(r"([a-z_]+)(?::(0|[1-9][0-9]*))?", text)
    if match is None:
        raise RuntimeError(f"Invalid device string: '{text}'")
    if match[1] not in _DEVICE_TYPES:
        raise RuntimeError(
            f"Expected one of {', '.join(_DEVICE_TYPES)} device type "
            f"at start of device string: {match[1]}"
        )
    return match[1], None if match[2] is None else int(match[2])


CPU = device("cpu")


def check_device(d: str | device | int | None) -> device:
    """The device that tensors asked for on `d` live on: the CPU, also for None and "cpu:0".

    RuntimeError for every other device: this engine computes on the CPU only.
    """
    if d is None or d is CPU:
        return CPU
    if (isinstance(d, int) and not isinstance(d, bool)) or device(d).type != "cpu":
        raise RuntimeError(f"rnn runs on the CPU only: there is no device {d!r} to compute on")
    return CPU


# ---- layout and memory_format --------------------------------------------------------------------


class _Name:
    """An object that is nothing but its name."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return _dtypes.prefix + self._name

    def __reduce__(self) -> str:
        return self._name  # the module's variable of this name


class layout(_Name):
    """How a tensor's elements lie in memory (`torch.layout`). There is one: `strided`."""

    __slots__ = ()


class memory_format(_Name):
    """What strides a new tensor should have (`torch.memory_format`)."""

    __slots__ = ()


strided = layout("strided")
channels_last = memory_format("channels_last")
contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")

"""Files of named tensors in the safetensors format: nothing in them is executed.

A file is the length of a header (8 bytes), the header (JSON: name, dtype, shape and place of each
tensor), and the tensors' memory.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn.ops import _core

if TYPE_CHECKING:
    from rnn.tensor import Tensor

_NUMPY = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16, "I64": np.int64,
    "I32": np.int32, "I16": np.int16, "I8": np.int8, "U8": np.uint8, "BOOL": np.bool_,
}  # fmt: skip
_NAMES = {np.dtype(kind): name for name, kind in _NUMPY.items() if name not in ("BF16", "F16")}
_LONGEST_HEADER = 100_000_000


def save_safetensors(
    tensors: Mapping[str, Tensor],
    path: str | os.PathLike[str],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes named tensors (a state dict) to a file.

    Args:
        metadata: names and texts that are kept with them.

    Raises:
        TypeError: a value is no tensor.

    Example:
        >>> rnn.save_safetensors({"w": rnn.ones(2)}, "model.safetensors")
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    arrays, end = [], 0
    for name, tensor in tensors.items():
        if not _core.is_tensor(tensor):
            raise TypeError(f"{name} is no tensor, but {type(tensor).__name__}")
        array = np.ascontiguousarray(_core.array_of(tensor)).reshape(tensor._shape)
        place = [end, end + array.nbytes]
        end = place[1]
        header[name] = {
            "dtype": _NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": place,
        }
        arrays.append(array)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with Path(path).open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for array in arrays:
            file.write(array.tobytes())


def load_safetensors(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Reads the named tensors of a file. float16 and bfloat16 become float32.

    Raises:
        ValueError: it is no such file, or its header is wrong.

    Example:
        >>> rnn.save_safetensors({"w": rnn.ones(2)}, "model.safetensors")
        >>> rnn.load_safetensors("model.safetensors")
        {'w': tensor([1., 1.])}
    """
    header, start = _header(path)
    header.pop("__metadata__", None)
    whole = Path(path).stat().st_size
    data: Any = np.memmap(path, np.uint8, "r") if start < whole else np.zeros(start, np.uint8)
    return {name: _tensor(name, entry, data[start:]) for name, entry in header.items()}


def _header(path: str | os.PathLike[str]) -> tuple[dict[str, Any], int]:
    """The header, and where the tensors begin."""
    with Path(path).open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > _LONGEST_HEADER:
            raise ValueError(f"{path} is no safetensors file: its header would have {size} bytes")
        text = file.read(size)
    try:
        header = json.loads(text)
    except ValueError:
        raise ValueError(f"{path} is no safetensors file: its header is not JSON") from None
    if len(text) < size or not isinstance(header, dict):
        raise ValueError(f"{path} is no safetensors file: its header is cut off")
    return header, 8 + size


def _tensor(name: str, entry: Any, data: Any) -> Tensor:
    try:
        kind, shape = np.dtype(_NUMPY[entry["dtype"]]), tuple(entry["shape"])
        begin, end = entry["data_offsets"]
        whole = 0 <= begin <= end <= len(data) and end - begin == math.prod(shape) * kind.itemsize
    except (KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise ValueError(
            f"tensor {name!r} is described wrongly, or its dtype is not known: {entry}"
        )
    array = data[begin:end].view(kind).reshape(shape)
    if entry["dtype"] == "BF16":
        array = (array.astype(np.uint32) << 16).view(np.float32)
    elif entry["dtype"] == "F16":
        array = array.astype(np.float32)  # rnn's tensors of floats are float32 and float64
    return _core.wrap(np.array(array))

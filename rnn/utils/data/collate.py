"""Samples to batches (torch.utils.data.default_collate, default_convert)."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

import rnn
from rnn._c import Handle

_TEXT = re.compile("[SaUO]")  # NumPy dtypes that make no tensor
_WHAT = (
    "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"
)


def _like_mapping(original: Any, values: dict[Any, Any]) -> Any:
    """A mapping of original's type with these values, or a dict where that cannot be made."""
    try:
        if isinstance(original, MutableMapping):
            made = copy.copy(original)
            made.update(values)
            return made
        return type(original)(values)
    except TypeError:
        return values


def _like_sequence(original: Any, values: list[Any]) -> Any:
    """A sequence of original's type with these values, or a list where that cannot be made."""
    try:
        if isinstance(original, MutableSequence):
            made = copy.copy(original)
            for i, value in enumerate(values):
                made[i] = value
            return made
        return type(original)(values)
    except TypeError:
        return values


def default_convert(data: Any) -> Any:
    """NumPy arrays become tensors, also inside of dicts, tuples and lists; everything else
    stays.

    Example:
        >>> default_convert({"x": np.array([1, 2])})
        {'x': tensor([1, 2])}
    """
    if isinstance(data, (Handle, str, bytes)):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        return data if _TEXT.search(data.dtype.str) else rnn.as_tensor(data)
    if isinstance(data, Mapping):
        return _like_mapping(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, tuple):
        values = [default_convert(value) for value in data]
        return type(data)(*values) if hasattr(data, "_fields") else values
    if isinstance(data, Sequence):
        return _like_sequence(data, [default_convert(value) for value in data])
    return data


def collate(batch: Any, *, collate_fn_map: Any = None) -> Any:
    """Samples to one batch, by a table of types and functions (of the batch, and of the table by
    name).

    Raises:
        TypeError: nothing is known of the samples' type.
        RuntimeError: samples are lists of different lengths.
    """
    sample = batch[0]
    if collate_fn_map is not None:
        known: Callable[..., Any] | None = collate_fn_map.get(type(sample))
        if known is None:
            found = (fn for kind, fn in collate_fn_map.items() if isinstance(sample, kind))
            known = next(found, None)
        if known is not None:
            return known(batch, collate_fn_map=collate_fn_map)
    if isinstance(sample, Mapping):
        values = {
            key: collate([d[key] for d in batch], collate_fn_map=collate_fn_map) for key in sample
        }
        return _like_mapping(sample, values)
    if not isinstance(sample, Sequence):
        raise TypeError(_WHAT.format(type(sample)))
    named = isinstance(sample, tuple) and hasattr(sample, "_fields")
    if not named and any(len(other) != len(sample) for other in batch):
        raise RuntimeError("each element in list of batch should be of equal size")
    columns = [collate(column, collate_fn_map=collate_fn_map) for column in zip(*batch)]
    if named:
        return type(sample)(*columns)
    return columns if isinstance(sample, tuple) else _like_sequence(sample, columns)


def _tensors(batch: Any, *, collate_fn_map: Any = None) -> Any:
    return rnn.stack(list(batch), 0)


def _arrays(batch: Any, *, collate_fn_map: Any = None) -> Any:
    if _TEXT.search(batch[0].dtype.str):
        raise TypeError(_WHAT.format(batch[0].dtype))
    return collate([rnn.as_tensor(array) for array in batch], collate_fn_map=collate_fn_map)


def _array_scalars(batch: Any, *, collate_fn_map: Any = None) -> Any:
    return rnn.as_tensor(np.asarray(batch))


def _floats(batch: Any, *, collate_fn_map: Any = None) -> Any:
    return rnn.tensor(list(batch), dtype=rnn.float64)


def _ints(batch: Any, *, collate_fn_map: Any = None) -> Any:
    return rnn.tensor(list(batch))


def _as_is(batch: Any, *, collate_fn_map: Any = None) -> Any:
    return batch


default_collate_fn_map: dict[Any, Callable[..., Any]] = {
    Handle: _tensors,
    np.ndarray: _arrays,
    (np.bool_, np.number, np.object_): _array_scalars,
    float: _floats,
    int: _ints,
    str: _as_is,
    bytes: _as_is,
}


def default_collate(batch: Any) -> Any:
    """Stacks tensors, arrays and numbers; dicts and tuples of them become dicts and lists of
    batches; text stays.

    Example:
        >>> default_collate([(rnn.ones(2), 3, "a"), (rnn.zeros(2), 4, "b")])
        [tensor([[1., 1.],
                [0., 0.]]), tensor([3, 4]), ('a', 'b')]
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)

"""Sequences of several lengths in one tensor (torch.nn.utils.rnn): padded, or packed step by
step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import rnn
from rnn import _config
from rnn._c import check_room
from rnn._warn import warn_user
from rnn.ops import _core
from rnn.tensor import Tensor

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class _Packed(NamedTuple):
    data: Any
    batch_sizes: Any
    sorted_indices: Any
    unsorted_indices: Any


class PackedSequence(_Packed):
    """Sequences without padding: the first steps of all of them, then the second steps, ...
    (longest first).

    data              (steps of all sequences, *)
    batch_sizes       how many sequences still run at each step, int64
    sorted_indices    which sequence stands at each place; None: as they came
    unsorted_indices  and back

    Example:
        >>> pack_sequence([rnn.tensor([1, 2, 3]), rnn.tensor([4])]).batch_sizes
        tensor([2, 1, 1])
    """

    __slots__ = ()

    def __new__(
        cls,
        data: Any,
        batch_sizes: Any = None,
        sorted_indices: Any = None,
        unsorted_indices: Any = None,
    ) -> PackedSequence:
        if batch_sizes is None and isinstance(data, (list, tuple)) and len(data) == 2:
            data, batch_sizes = data
        if batch_sizes is None:
            raise ValueError("batch_sizes should always be on CPU. Instead got None")
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def _with(self, data: Any) -> PackedSequence:
        if data is self.data:
            return self
        return type(self)(data, self.batch_sizes, self.sorted_indices, self.unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The same, its data moved or cast. See Tensor.to."""
        return self._with(self.data.to(*args, **kwargs))

    def cpu(self) -> PackedSequence:
        """The same: it is there already."""
        return self

    def cuda(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """Refused: there is only the CPU."""
        return self._with(self.data.cuda(*args, **kwargs))

    def pin_memory(self) -> PackedSequence:
        """The same."""
        return self

    def double(self) -> PackedSequence:
        """The same as float64."""
        return self.to(dtype=rnn.float64)

    def float(self) -> PackedSequence:
        """The same as float32."""
        return self.to(dtype=rnn.float32)

    def long(self) -> PackedSequence:
        """The same as int64."""
        return self.to(dtype=rnn.int64)

    def int(self) -> PackedSequence:
        """The same as int32."""
        return self.to(dtype=rnn.int32)

    @property
    def is_cuda(self) -> bool:
        """False."""
        return False

    def is_pinned(self) -> bool:
        """False."""
        return False


def invert_permutation(permutation: Any) -> Any:
    """Where each number stands in a permutation; None stays None.

    Example:
        >>> invert_permutation(rnn.tensor([2, 0, 1]))
        tensor([1, 2, 0])
    """
    if permutation is None:
        return None
    order = _core.array_of(permutation)
    inverse = np.empty_like(order)
    inverse[order] = np.arange(order.size)
    return _core.wrap(inverse)


def _lengths(lengths: Any) -> Any:
    values = _core.array_of(lengths) if isinstance(lengths, Tensor) else np.asarray(lengths)
    return values.astype(np.int64)


def pack_padded_sequence(
    input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Packs padded sequences.

    Args:
        input: (T, B, *), or (B, T, *) with batch_first.
        lengths: of each sequence, a list or a tensor.
        enforce_sorted: they come longest first; else they are sorted here.

    Raises:
        RuntimeError: a length is not above 0, or they are not sorted.
        ValueError: there is not one length for each sequence.

    Example:
        >>> pack_padded_sequence(rnn.tensor([[1, 4], [2, 0]]), [2, 1]).data
        tensor([1, 4, 2])
    """
    sizes, order = _lengths(lengths), None
    if not enforce_sorted:
        order = np.argsort(-sizes, kind="stable")
        sizes = sizes[order]
        dim = 0 if batch_first else 1
        input = input.index_select(dim, _core.wrap(order))
    if batch_first:
        input = input.transpose(0, 1)
    steps, count = input.shape[:2]
    if len(sizes) != count:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(sizes)} "
            f"(batch_size={count})"
        )
    if (sizes <= 0).any():
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' "
            "that is <= 0"
        )
    if (np.diff(sizes) > 0).any():
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You "
            "can pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to "
            "sidestep this requirement if you do not need ONNX exportability."
        )
    if sizes[0] > steps:
        raise RuntimeError(
            f"Expected sequence lengths of at most {steps}, the padded length, but got {sizes[0]}"
        )
    running = (sizes[None] > np.arange(sizes[0])[:, None]).sum(1)  # (T,)
    rows = np.concatenate([t * count + np.arange(n) for t, n in enumerate(running)])
    flat = input.reshape(steps * count, *input.shape[2:])
    sorted_indices = None if order is None else _core.wrap(order)
    return PackedSequence(
        flat.index_select(0, _core.wrap(rows)), _core.wrap(running.astype(np.int64)), sorted_indices
    )


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Pads packed sequences again: their tensor, and their lengths in the order in which they came.

    Args:
        total_length: at least as many steps.

    Raises:
        ValueError: total_length is less than the longest sequence.

    Example:
        >>> packed = pack_sequence([rnn.tensor([1, 2]), rnn.tensor([4])])
        >>> pad_packed_sequence(packed, batch_first=True)
        (tensor([[1, 2],
                [4, 0]]), tensor([2, 1]))
    """
    running = _core.array_of(sequence.batch_sizes)
    steps, count = len(running), int(running[0])
    if total_length is not None:
        if total_length < steps:
            raise ValueError(
                "Expected total_length to be at least the length of the longest sequence in input, "
                f"but got total_length={total_length} and max sequence length being {steps}"
            )
        steps = total_length
    sizes = (running[None] > np.arange(count)[:, None]).sum(1)
    check_room("pad_packed_sequence", (steps, count), 8)
    where = np.full((steps, count), sequence.data.shape[0])  # a last row holds the padding
    starts = np.concatenate([[0], np.cumsum(running)])
    for t, n in enumerate(running):
        where[t, :n] = starts[t] + np.arange(n)
    shape = sequence.data.shape[1:]
    padding = rnn.full((1, *shape), padding_value, dtype=sequence.data.dtype)
    rows = rnn.cat([sequence.data, padding])
    padded = rows.index_select(0, _core.wrap(where.ravel())).reshape(steps, count, *shape)
    if sequence.unsorted_indices is not None:
        padded = padded.index_select(1, sequence.unsorted_indices)
        sizes = sizes[_core.array_of(sequence.unsorted_indices)]
    return padded.transpose(0, 1) if batch_first else padded, _core.wrap(sizes.astype(np.int64))


def pad_sequence(
    sequences: Any,
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Stacks sequences (L, *) of several lengths: (longest, B, *), or (B, longest, *) with
    batch_first.

    Raises:
        RuntimeError: sequences is not iterable, or padding_side is neither "right" nor "left".

    Example:
        >>> pad_sequence([rnn.tensor([1, 2]), rnn.tensor([4])], batch_first=True)
        tensor([[1, 2],
                [4, 0]])
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            "pad_sequence: Expected iterable for input sequences, but got arg of type: "
            f"{type(sequences)}"
        )
    if padding_side not in ("right", "left"):
        raise ValueError(f"padding_side should be 'right' or 'left', but got {padding_side}")
    parts: list[Any] = list(sequences)
    if not parts:
        raise RuntimeError("received an empty list of sequences")
    for i, part in enumerate(parts):
        if not isinstance(part, Tensor):
            raise TypeError(
                f"expected Tensor as element {i} in argument 0, but got {type(part).__name__}"
            )
    longest = max(part.shape[0] for part in parts)
    check_room("pad_sequence", (len(parts), longest, *parts[0].shape[1:]), parts[0].element_size())
    padded = []
    for part in parts:
        missing = longest - part.shape[0]
        if missing:
            more = rnn.full((missing, *part.shape[1:]), padding_value, dtype=part.dtype)
            part = rnn.cat([part, more] if padding_side == "right" else [more, part])
        padded.append(part)
    return rnn.stack(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Any, lengths: Any, batch_first: bool = False) -> list[Tensor]:
    """The sequences of a padded tensor, without their padding.

    Example:
        >>> unpad_sequence(rnn.tensor([[1, 2], [4, 0]]), rnn.tensor([2, 1]), batch_first=True)
        [tensor([1, 2]), tensor([4])]
    """
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    return [padded_sequences[i][: int(n)] for i, n in enumerate(_lengths(lengths))]


def pack_sequence(sequences: Sequence[Any], enforce_sorted: bool = True) -> PackedSequence:
    """Packs sequences (L, *) of several lengths. See pack_padded_sequence.

    Example:
        >>> pack_sequence([rnn.tensor([1, 2, 3]), rnn.tensor([4])]).data
        tensor([1, 4, 2, 3])
    """
    if not sequences:
        warn_user("pack_sequence got no sequence")
    lengths = [part.shape[0] for part in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a PackedSequence, in the order in which they came.

    Example:
        >>> unpack_sequence(pack_sequence([rnn.tensor([1, 2]), rnn.tensor([4])]))
        [tensor([1, 2]), tensor([4])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


if not TYPE_CHECKING:  # type checkers are to see what is absent

    def __getattr__(name: str) -> Any:
        raise _config.absent(__name__, name)

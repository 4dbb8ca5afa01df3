"""Connectionist temporal classification (torch.nn.functional.ctc_loss): the probability of a
sequence over all its alignments with longer inputs, as sums over paths (Graves et al. 2006,
"Connectionist Temporal Classification: Labelling Unsegmented Sequence Data with Recurrent Neural
Networks").
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

import rnn
from rnn._c import check_room
from rnn.ops import _core

if TYPE_CHECKING:
    from rnn.tensor import Tensor

_CHECKED = "(while checking arguments for ctc_loss_allocate_outputs)"
_NEVER = -1e30  # a log-probability of nothing; infinities would make gradients NaN


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """Minus the log-probability of each target, over all ways to align it with its input.

    The gradient is the loss's derivative by log_probs; torch's has the derivative of a softmax in
    it, so that the two are the same from the logits on.

    Args:
        log_probs: (T, N, C) or (T, C): logarithms of probabilities (log_softmax).
        targets: (N, S), padded, or (sum of target_lengths,): classes other than blank.
        input_lengths, target_lengths: (N,) or (), or a tuple: how much of each counts.
        reduction: "mean" (each loss over its target's length, and over the batch), "sum" or "none".
        zero_infinity: 0 instead of the infinite loss of a target that its input is too short for.

    Returns:
        (), or (N,) for "none"

    Raises:
        RuntimeError: a length, a target or blank is out of range.

    Example:
        >>> logs = F.log_softmax(rnn.zeros(4, 1, 3), 2)
        >>> F.ctc_loss(logs, rnn.tensor([[1, 2]]), rnn.tensor([4]), rnn.tensor([2]))
        tensor(0.8432)
    """
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    _core.floats_only("ctc_loss_cpu", log_probs)
    single = len(log_probs._shape) == 2
    logs = log_probs.unsqueeze(1) if single else log_probs
    steps, batch, classes = logs._shape
    if not 0 <= blank < classes:
        raise RuntimeError("blank must be in label range")
    inputs = _lengths(input_lengths, batch, "input_lengths", steps)
    sizes = _lengths(target_lengths, batch, "target_lengths", None)
    padded = _padded(targets, sizes, batch)
    if padded.size and not 0 <= padded.min() <= padded.max() < classes:
        raise RuntimeError("targets must be in label range")
    losses = -_paths(logs, _with_blanks(padded, blank), inputs, sizes, blank)
    short = inputs < sizes + _repeats(padded, sizes)
    if short.any():
        losses = losses.masked_fill(_core.wrap(short), 0.0 if zero_infinity else math.inf)
    if single and reduction == "none":
        return losses.squeeze(0)
    if reduction == "mean":
        return (losses / _core.wrap(np.maximum(sizes, 1))).mean()
    return losses.sum() if reduction == "sum" else losses


def _lengths(given: Any, batch: int, name: str, most: int | None) -> Any:
    """(N,) int64, checked."""
    values = _core.array_of(given) if _core.is_tensor(given) else given
    lengths = np.asarray(values, np.int64).reshape(-1)
    if len(lengths) != batch:
        raise RuntimeError(f"{name} must be of size batch_size")
    for length in lengths:
        if length < 0:
            raise RuntimeError(
                f"Expected {name} to have value at least 0, but got value {length} {_CHECKED}"
            )
        if most is not None and length > most:
            raise RuntimeError(
                f"Expected {name} to have value at most {most}, but got value {length} {_CHECKED}"
            )
    return lengths


def _padded(targets: Tensor, sizes: Any, batch: int) -> Any:
    """(N, S): the targets that count, and 0."""
    if targets._h:
        raise RuntimeError("ctc_loss: targets must be integers")
    given, longest = targets._array, int(sizes.max(initial=0))
    rows = np.zeros((batch, longest), np.int64)
    if given.ndim == 2 and (given.shape[0] != batch or given.shape[1] < longest):
        raise RuntimeError(
            f"Expected tensor to have size at least {longest} at dimension 1, but got size "
            f"{given.shape[1]} for argument #2 'targets' {_CHECKED}"
        )
    if given.ndim == 1 and len(given) != sizes.sum() and batch > 1:
        raise RuntimeError(
            f"Expected tensor to have size {sizes.sum()} at dimension 0, but got size "
            f"{len(given)} for argument #2 'targets' {_CHECKED}"
        )
    start = 0
    for row, size, n in zip(rows, sizes, range(batch)):
        row[:size] = given[n, :size] if given.ndim == 2 else given[start : start + size]
        start += size
    return rows


def _with_blanks(padded: Any, blank: int) -> Any:
    """(N, 2 S + 1): a blank before, between and after the classes."""
    out = np.full((padded.shape[0], 2 * padded.shape[1] + 1), blank, np.int64)
    out[:, 1::2] = padded
    return out


def _repeats(padded: Any, sizes: Any) -> Any:
    """How often a class follows itself, which takes one more step each."""
    inside = np.arange(1, padded.shape[1]) < sizes[:, None]
    return ((padded[:, 1:] == padded[:, :-1]) & inside).sum(1)


def _paths(logs: Tensor, labels: Any, inputs: Any, sizes: Any, blank: int) -> Tensor:
    """(N,): the logarithm of the summed probability of all paths through labels."""
    batch, places = labels.shape
    check_room("ctc_loss", (logs._shape[0], batch, places), 8)
    index = _core.wrap(np.broadcast_to(labels, (logs._shape[0], batch, places)).copy())
    each = logs.clamp_min(_NEVER).gather(2, index)  # (T, N, 2 S + 1)
    skips = np.zeros((batch, places), np.bool_)  # from a class to another, over the blank
    skips[:, 2:] = (labels[:, 2:] != blank) & (labels[:, 2:] != labels[:, :-2])
    no_skip = _core.wrap(~skips)
    none = rnn.full((batch, 2), _NEVER, dtype=logs.dtype)
    begun = _core.wrap(np.broadcast_to(np.arange(places) > 1, (batch, places)).copy())
    paths = each[0].masked_fill(begun, _NEVER)
    for t in range(1, len(each)):
        before = rnn.cat([none, paths], 1)
        skipped = before[:, :places].masked_fill(no_skip, _NEVER)
        moved = rnn.stack([paths, before[:, 1 : places + 1], skipped]).logsumexp(0) + each[t]
        paths = rnn.where(_core.wrap((t < inputs)[:, None]), moved, paths)
    ends = np.stack([2 * sizes, np.maximum(2 * sizes - 1, 0)], 1)
    last: Tensor = paths.gather(1, _core.wrap(ends))
    last = last.masked_fill(_core.wrap(np.stack([sizes < 0, sizes == 0], 1)), _NEVER)
    return last.logsumexp(1)

"""Anomaly detection: the first NaN, forward or backward, stops the program and explains itself
(torch.autograd.anomaly_mode).

PyTorch looks at gradients only; rnn looks at every result too, and names the scalar.
"""

from __future__ import annotations

from rnn._c import lib
from rnn.autograd.modes import _Mode
from rnn.inspect.anomaly import AnomalyError as AnomalyError


class detect_anomaly(_Mode):
    """Stops at the first NaN that an operation or its backward makes, in this thread
    (torch.autograd.detect_anomaly). A context manager and a decorator.

    The error names the operation, its operands with their values, the index in the tensor, the line
    of Python and the module, and the path on which infinities and NaNs came there. Lines are traced
    meanwhile, as with rnn.trace(); the graph is kept until a backward pass has ended well.

    Infinities alone do not stop: masks are made of them. An infinity that leads to a NaN is named
    as its origin. Operations that only move values (indexing, cat, where, clone, masked_fill) do
    not stop at a NaN that was there before; whatever computes with it does.

    Args:
        check_nan: False only traces lines.

    Raises:
        AnomalyError: a NaN; a RuntimeError with the attributes phase ("forward" or "backward"), op,
            index, value, operands, line, module and path.

    Example:
        >>> x = rnn.tensor([1.0, -1.0], requires_grad=True)
        >>> with rnn.detect_anomaly():
        ...     y = x.log()
        Traceback (most recent call last):
        rnn.inspect.anomaly.AnomalyError: log made nan at index [1] ...
    """

    def __init__(self, check_nan: bool = True) -> None:
        self.check_nan = bool(check_nan)
        self._was: list[tuple[int, int]] = []

    def _again(self) -> _Mode:
        return detect_anomaly(self.check_nan)

    def __enter__(self) -> None:
        self._was.append(_set(True, self.check_nan))

    def __exit__(self, *exception: object) -> None:
        tracing, checking = self._was.pop()
        lib.rnn_set_tracing(tracing)
        lib.rnn_set_checking(checking)


class set_detect_anomaly(_Mode):
    """Switches anomaly detection at once; as a context manager, for its extent
    (torch.autograd.set_detect_anomaly).

    Args:
        mode: whether to detect.
        check_nan: see detect_anomaly.
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self.mode, self.check_nan = bool(mode), bool(check_nan)
        self._was = _set(self.mode, self.check_nan)

    def _again(self) -> _Mode:
        return set_detect_anomaly(self.mode, self.check_nan)

    def __enter__(self) -> None:
        _set(self.mode, self.check_nan)

    def __exit__(self, *exception: object) -> None:
        lib.rnn_set_tracing(self._was[0])
        lib.rnn_set_checking(self._was[1])


def _set(mode: bool, check_nan: bool) -> tuple[int, int]:
    """Sets both switches of the engine; returns what they were."""
    return lib.rnn_set_tracing(mode), lib.rnn_set_checking(mode and check_nan)


def is_anomaly_enabled() -> bool:
    """Whether anomalies are looked for, in this thread (torch.is_anomaly_enabled)."""
    return bool(lib.rnn_checking())


def is_anomaly_check_nan_enabled() -> bool:
    """The same: rnn looks for NaN alone (torch.is_anomaly_check_nan_enabled)."""
    return bool(lib.rnn_checking())

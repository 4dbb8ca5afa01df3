"""Anomaly detection: the first NaN, forward or backward, stops the program and explains itself
(torch.autograd.anomaly_mode).

PyTorch looks at gradients only; rnn looks at every result too, and names the scalar.
"""

from __future__ import annotations

import sys

from rnn._c import E, check, lib
from rnn.autograd.modes import _Mode
from rnn.inspect.anomaly import AnomalyError as AnomalyError


class detect_anomaly(_Mode):
    """Stops at the first NaN that an operation or its backward makes, in this thread
    (torch.autograd.detect_anomaly). A context manager and a decorator.

    The error names the operation that made it, its operands with their values, the index in the
    tensor, the line of Python and the module, and the path on which infinities and NaNs came there
    and went on. Lines are traced meanwhile, as with rnn.trace(); the graph is kept until a backward
    pass has ended well.

    A NaN in the branch that where() does not take harms no value, so the program goes on from it
    while that may be so: while it stays in its element. It stops at an operation that spreads a NaN
    to other elements (a sum, a matrix product, a softmax), at backward() of one, and at the end of
    the `with` block where one was made and nothing has read it. Where the branch that was not taken
    poisons the gradient (0 * inf, 0 / 0), the backward pass stops; the error then says that the
    operation's result is used by that branch alone, and what to do. A Value's NaN stops at once:
    there is no where() of Values.

    Infinities alone do not stop: masks are made of them. An infinity that leads to a NaN is named
    as its origin.

    Args:
        check_nan: False only traces lines.
        at_once: stop at the operation that makes a NaN, whether where() discards it later or not: a
            debugger then stands there. Operations that only move values (indexing, cat, where,
            clone, masked_fill) still do not stop at a NaN that was there before.

    Raises:
        AnomalyError: a NaN; a RuntimeError with the attributes phase ("forward" or "backward"), op,
            index, value, operands, line, module and path.

    Example:
        >>> x = rnn.tensor([1.0, -1.0], requires_grad=True)
        >>> with rnn.detect_anomaly():
        ...     y = x.log().sum()
        Traceback (most recent call last):
        rnn.inspect.anomaly.AnomalyError: log made nan at index [1]: ...
    """

    def __init__(self, check_nan: bool = True, *, at_once: bool = False) -> None:
        self.check_nan, self.at_once = bool(check_nan), bool(at_once)
        self._was: list[tuple[int, int]] = []

    def _again(self) -> _Mode:
        return detect_anomaly(self.check_nan, at_once=self.at_once)

    def __enter__(self) -> None:
        self._was.append(_set(True, self.check_nan, self.at_once))

    def __exit__(self, *exception: object) -> None:
        _back(self._was.pop(), any(exception))


class set_detect_anomaly(_Mode):
    """Switches anomaly detection at once; as a context manager, for its extent
    (torch.autograd.set_detect_anomaly).

    Args:
        mode: whether to detect. Switching it off ends it as a `with` block does.
        check_nan, at_once: see detect_anomaly.

    Example:
        >>> _ = rnn.autograd.set_detect_anomaly(True)
        >>> rnn.is_anomaly_enabled()
        True
        >>> _ = rnn.autograd.set_detect_anomaly(False)
    """

    def __init__(self, mode: bool, check_nan: bool = True, *, at_once: bool = False) -> None:
        self.mode, self.check_nan, self.at_once = bool(mode), bool(check_nan), bool(at_once)
        self._was = _set(self.mode, self.check_nan, self.at_once)
        _end(sys.exc_info()[0] is not None)

    def _again(self) -> _Mode:
        return set_detect_anomaly(self.mode, self.check_nan, at_once=self.at_once)

    def __enter__(self) -> None:
        _set(self.mode, self.check_nan, self.at_once)

    def __exit__(self, *exception: object) -> None:
        _back(self._was, any(exception))


def _set(mode: bool, check_nan: bool, at_once: bool) -> tuple[int, int]:
    """Sets both switches of the engine; returns what they were."""
    checks = lib.RNN_CHECK_ALL if at_once else lib.RNN_CHECK_USED
    checks = checks if mode and check_nan else lib.RNN_CHECK_NOTHING
    return lib.rnn_set_tracing(mode), lib.rnn_set_checking(checks)


def _back(was: tuple[int, int], failed: bool) -> None:
    lib.rnn_set_tracing(was[0])
    lib.rnn_set_checking(was[1])
    _end(failed)


def _end(failed: bool) -> None:
    """Where nothing is checked any more: what is left is an anomaly, unless one is on its way."""
    if lib.rnn_checking():
        return
    try:
        if not failed:
            check(lib.rnn_check_rest(E))
    finally:
        lib.rnn_forget_rest(E)


def is_anomaly_enabled() -> bool:
    """Whether anomalies are looked for, in this thread (torch.is_anomaly_enabled).

    Example:
        >>> rnn.is_anomaly_enabled()
        False
    """
    return bool(lib.rnn_checking())


def is_anomaly_check_nan_enabled() -> bool:
    """The same: rnn looks for NaN alone (torch.is_anomaly_check_nan_enabled)."""
    return bool(lib.rnn_checking())

"""Modules without their first values: parameters that are about to be loaded."""

from __future__ import annotations

import inspect
from typing import Any, TypeVar

from rnn import _size
from rnn.nn import init
from rnn.nn.module import Module

M = TypeVar("M", bound=Module)


def skip_init(module_cls: type[M], *args: Any, **kwargs: Any) -> M:
    """module_cls(*args, **kwargs) whose parameters are not filled and that draws no random numbers
    (torch.nn.utils.skip_init): what they hold is not said, and is to be loaded or filled.

    Raises:
        RuntimeError: it is no class of modules that takes a device.

    Example:
        >>> layer = rnn.nn.utils.skip_init(rnn.nn.Linear, 3, 2)
        >>> _ = rnn.nn.init.ones_(layer.weight)
    """
    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    if kwargs.get("device") is not None:
        _size.check_device(kwargs["device"])
    with init.skipped():
        return module_cls(*args, **kwargs)

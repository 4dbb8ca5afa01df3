"""torch.nn.parallel, as programs that also run on one CPU use it."""

from __future__ import annotations

from typing import Any

from rnn import _config
from rnn.nn.module import Module


class DataParallel(Module):
    """Its module, called as it is: there is one device (torch.nn.DataParallel on the CPU).

    Parameters are called `module.name`, as PyTorch calls them.

    Example:
        >>> DataParallel(rnn.nn.Linear(2, 3))(rnn.ones(4, 2)).shape
        rnn.Size([4, 3])
    """

    def __init__(
        self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0
    ) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)


def __getattr__(name: str) -> Any:
    raise _config.absent(__name__, name)

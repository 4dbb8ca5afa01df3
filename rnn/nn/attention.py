"""Which way scaled_dot_product_attention is computed (torch.nn.attention): here there is one."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class SDPBackend(enum.IntEnum):
    """PyTorch's ways. All are the same here: the numbers of MATH.

    >>> rnn.nn.attention.SDPBackend.MATH
    <SDPBackend.MATH: 0>
    """

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


@contextmanager
def sdpa_kernel(backends: Any, set_priority: bool = False) -> Iterator[None]:
    """A block in which one of the backends is to be used: accepted (torch.nn.attention).

    Raises:
        AssertionError: backends is neither a SDPBackend nor a list of them.

    >>> with rnn.nn.attention.sdpa_kernel(rnn.nn.attention.SDPBackend.MATH):
    ...     pass
    """
    listed = [backends] if isinstance(backends, SDPBackend) else backends
    assert isinstance(listed, list) and all(isinstance(b, SDPBackend) for b in listed), (
        "Backend must be an instance of SDPBackend or a list of SDPBackend instances"
    )
    yield

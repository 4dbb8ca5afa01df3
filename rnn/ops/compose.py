"""Scalar resolution: every composite function as the additions, multiplications, powers, exponentials, logarithms,
maxima, cumulative sums and gathers that it means.

The engine asks for a composition (code COMPOSE) where a row of csrc/ops.h says so and `rnn.resolution("scalar")` is on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnn.tensor import Tensor

#: by operation number
unary: dict[int, Callable[[Tensor, float, float], Tensor]] = {}
binary: dict[int, Callable[[Tensor, Tensor, float], Tensor]] = {}

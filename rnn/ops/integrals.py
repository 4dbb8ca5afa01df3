"""Integrals over samples by the trapezoid rule: compositions of sums and differences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnn import _dtypes, _shapes
from rnn._shown import show_as
from rnn.ops._core import dtype_of
from rnn.ops.elementwise import mul
from rnn.ops.parts import narrow
from rnn.ops.reduce import sum
from rnn.ops.scan import cumsum
from rnn.ops.shape import reshape

if TYPE_CHECKING:
    from rnn.tensor import Tensor


def _areas(name: str, y: Tensor, x: Tensor | None, dx: Any, dim: int) -> tuple[Tensor, Any, int]:
    """(sums of neighbours, the distances between them, dim from the front)"""
    at = _shapes.normalize_dim(dim, len(y._shape))
    if not y._shape:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    given = "`y`" if x is None else "`x` or `y`"
    if any(t is not None and dtype_of(t) is _dtypes.bool_ for t in (y, x)):
        raise RuntimeError(f"{name}: received a bool input for {given}, but bool is not supported")
    count = y._shape[at] - 1
    pairs = y if count < 0 else narrow(y, at, 0, count) + narrow(y, at, 1, count)
    if x is None:
        return pairs, 1 if dx is None else dx, at
    if dx is not None:
        raise TypeError(f"{name}() takes x or dx, not both")
    if len(x._shape) == 1:
        if x._shape[0] != count + 1:
            raise RuntimeError(f"{name}: There must be one `x` value for each sample point")
        x = reshape(x, [-1 if d == at else 1 for d in range(len(y._shape))])
    elif len(x._shape) < len(y._shape):
        x = reshape(x, (1,) * (len(y._shape) - len(x._shape)) + x._shape)
    along = x._shape[at] - 1
    if count < 0 or along < 0:
        return pairs, 1, at
    return pairs, narrow(x, at, 1, along) - narrow(x, at, 0, along), at


def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """The integral of samples along a dimension, between neighbours along straight lines
    (torch.trapezoid).

    Args:
        y: the samples.
        x: where they were taken: one number for each along dim, or a shape that broadcasts.
        dx: the distance between them where x is not given; 1 without.

    Raises:
        RuntimeError: x does not fit; booleans.

    Example:
        >>> rnn.trapezoid(rnn.tensor([1.0, 2.0, 4.0]))
        tensor(4.5000)
    """
    pairs, apart, at = _areas("trapezoid", y, x, dx, dim)
    if not y._shape[at]:
        pairs = pairs.detach()  # as PyTorch: of no samples, a constant
    return show_as(sum(mul(pairs, apart), at) / 2.0, "DivBackward0")


def trapz(y: Tensor, x: Tensor | None = None, *, dx: float = 1, dim: int = -1) -> Tensor:
    """trapezoid (torch.trapz).

    Example:
        >>> rnn.trapz(rnn.tensor([1.0, 2.0, 3.0]))
        tensor(4.)
    """
    return trapezoid(y, x, dx=dx if x is None else None, dim=dim)


def cumulative_trapezoid(
    y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1
) -> Tensor:
    """The integrals up to each sample but the first (torch.cumulative_trapezoid): see trapezoid.

    >>> rnn.cumulative_trapezoid(rnn.tensor([1.0, 2.0, 4.0]))
    tensor([1.5000, 4.5000])
    """
    pairs, apart, at = _areas("cumulative_trapezoid", y, x, dx, dim)
    return cumsum(mul(pairs, apart), at) / 2.0

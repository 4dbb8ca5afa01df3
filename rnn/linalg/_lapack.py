"""What the functions of rnn.linalg share: their checks, and calls of LAPACK through NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rnn.autograd.modes import is_grad_enabled
from rnn.ops import _core

if TYPE_CHECKING:
    from rnn.tensor import Tensor


class LinAlgError(RuntimeError):
    """A matrix that is singular, or not positive-definite (torch.linalg.LinAlgError).

    Example:
        >>> rnn.linalg.inv(rnn.zeros(2, 2))
        Traceback (most recent call last):
        rnn.linalg.LinAlgError: linalg.inv: Singular matrix
    """


def matrices(name: str, *tensors: Tensor, square: bool = False) -> None:
    """Checks what every function here takes.

    Raises:
        RuntimeError: a tensor is not floating-point, has less than two dimensions, or is not
            square where it must be.
    """
    for a in tensors:
        shape = tuple(a.shape)
        if not a._h:
            raise RuntimeError(
                f"linalg.{name}: Expected a floating point or complex tensor as input. "
                f"Got {a.dtype}"
            )
        if len(shape) < 2:
            raise RuntimeError(
                f"linalg.{name}: The input tensor A must have at least 2 dimensions."
            )
        if square and shape[-1] != shape[-2]:
            raise RuntimeError(
                f"linalg.{name}: A must be batches of square matrices, but they are "
                f"{shape[-2]} by {shape[-1]} matrices"
            )


def system(name: str, A: Tensor, B: Tensor, left: bool) -> tuple[Tensor, Tensor]:
    """(a, b), with one batch shape: a x = b is A X = B (x is X), or X A = B (x is X transposed).

    Raises:
        RuntimeError: shapes or dtypes do not fit.
    """
    if A.dtype != B.dtype:
        raise RuntimeError(
            f"linalg.{name}: Expected A and B to have the same dtype, but found A of type "
            f"{A.dtype} and B of type {B.dtype} instead"
        )
    if A.shape[-1] != B.shape[-2 if left else -1]:
        shapes = ["x".join(map(str, t.shape[-2:])) for t in (A, B)]
        raise RuntimeError(
            f"linalg.{name}: Incompatible shapes of A and B for the equation "
            f"{'AX' if left else 'XA'} = B ({shapes[0]} and {shapes[1]})"
        )
    a, b = (A, B) if left else (A.mT, B.mT)
    batch = np.broadcast_shapes(tuple(a.shape[:-2]), tuple(b.shape[:-2]))
    return a.expand(*batch, *a.shape[-2:]), b.expand(*batch, *b.shape[-2:])


def run(name: str, function: Any, *arrays: Any) -> Any:
    """The function's results, as tensors of the first array's dtype; LinAlgError where it fails."""
    try:
        made = function(*arrays)
    except np.linalg.LinAlgError as error:
        raise LinAlgError(f"linalg.{name}: {error}") from None
    dtype = arrays[0].dtype
    if isinstance(made, tuple):
        return tuple(_core.wrap(np.array(x, dtype, order="C")) for x in made)
    return _core.wrap(np.array(made, dtype, order="C"))


def constant(*tensors: Tensor) -> bool:
    """Whether no gradient is asked for."""
    return not (is_grad_enabled() and any(t.requires_grad for t in tensors))


def without_gradient(name: str, *tensors: Tensor) -> None:
    """NotImplementedError where a gradient is asked for."""
    if not constant(*tensors):
        raise NotImplementedError(
            f'linalg.{name} has no gradient in rnn (see the README, "What is there"): call it '
            "under no_grad() or on x.detach()"
        )

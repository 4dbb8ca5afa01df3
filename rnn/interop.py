"""Tensors from torch and to torch, where torch is installed. They share memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnn.ops import _core, from_data

if TYPE_CHECKING:
    from rnn.tensor import Tensor


def from_torch(tensor: Any) -> Tensor:
    """A tensor over the memory of a torch tensor; of no graph. float16 and bfloat16 are copied, to
    float32.

    Raises:
        TypeError: it is no torch tensor.

    Example:
        >>> import torch
        >>> rnn.from_torch(torch.ones(2))
        tensor([1., 1.])
    """
    if not (hasattr(tensor, "detach") and hasattr(tensor, "numpy")):
        raise TypeError(f"expected a torch tensor, but got {type(tensor).__name__}")
    plain = tensor.detach().cpu().resolve_conj().resolve_neg()
    if str(plain.dtype) in ("torch.bfloat16", "torch.float16"):
        plain = plain.float()
    return from_data.from_numpy(plain.numpy())


def to_torch(self: Tensor) -> Any:
    """A torch tensor over the memory of this one; of no graph. torch must be installed.

    Raises:
        ImportError: it is not.

    Example:
        >>> to_torch(rnn.ones(2)).shape
        torch.Size([2])
    """
    import torch

    return torch.from_numpy(_core.array_of(self))

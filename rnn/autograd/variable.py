"""Variable: the name that tensors with gradients had in PyTorch before 0.4."""

from __future__ import annotations

from typing import Any

from rnn._c import Handle


class _VariableType(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Handle)


class Variable(metaclass=_VariableType):
    """Variable(tensor, requires_grad=False) is the tensor; every tensor is an instance.

    torch.autograd.Variable. TypeError where it is given something else.

    >>> x = rnn.autograd.Variable(rnn.ones(2), requires_grad=True)
    >>> x.requires_grad, isinstance(x, rnn.autograd.Variable)
    (True, True)
    """

    def __new__(cls, data: Any, requires_grad: bool = False, volatile: bool = False) -> Any:
        if not isinstance(data, Handle):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        new: Any = data.detach()
        return new.requires_grad_() if requires_grad else new

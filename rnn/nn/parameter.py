"""Parameter and Buffer: tensors that a Module finds when they are assigned to it
(torch.nn.parameter)."""

from __future__ import annotations

from typing import Any

from rnn import _c, _dtypes
from rnn._c import E, Handle, check, lib
from rnn.autograd.graph import leaf
from rnn.ops import _core
from rnn.tensor import Tensor


def _share(made: Tensor, data: Tensor, requires_grad: bool) -> None:
    """Lets `made`, which is empty yet, look at the nodes of `data` as a leaf of its own."""
    if data._h:
        made._h = check(lib.rnn_detach(E, data._h, 0))
        leaf(made)  # with a gradient of its own
        if not requires_grad:
            check(lib.rnn_set_requires_grad(E, made._h, 0))
        return
    made._array = data._array
    if requires_grad:
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")


def _empty() -> Tensor:
    code = _core.CODES[_dtypes.get_default_dtype()]
    return _c.adopt(check(lib.rnn_empty(E, code, 1, _c.dims((0,)))))


class Parameter(Tensor):
    """A tensor that is to be trained (torch.nn.Parameter): it shares the memory of `data`, and is a
    leaf.

    Args:
        data: a tensor of any shape; float32 or float64 if it is to be trained.
        requires_grad: whether backward() computes its gradient.

    Raises:
        RuntimeError: an integer or boolean tensor is to require gradients.

    Example:
        >>> Parameter(rnn.zeros(2))
        Parameter containing:
        tensor([0., 0.], requires_grad=True)
    """

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Parameter:
        made: Parameter = Handle.__new__(cls)
        _share(made, _empty() if data is None else data, requires_grad)
        return made

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        pass

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        if id(self) not in memo:
            memo[id(self)] = type(self)(copy_of(self), self.requires_grad)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _rebuild_parameter, (type(self), _core.array_of(self).copy(), self.requires_grad)

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


class Buffer(Tensor):
    """A tensor that a Module keeps, and saves if `persistent`, but does not train
    (torch.nn.Buffer).

    Example:
        >>> m = rnn.nn.Module()
        >>> m.mean = Buffer(rnn.zeros(2))
        >>> list(m.state_dict().items())
        [('mean', tensor([0., 0.]))]
    """

    persistent: bool

    def __new__(cls, data: Any = None, *, persistent: bool = True) -> Buffer:
        made: Buffer = Handle.__new__(cls)
        data = _empty() if data is None else data
        _share(made, data, data.requires_grad)
        made.persistent = persistent
        return made

    def __init__(self, data: Any = None, *, persistent: bool = True) -> None:
        pass


def _rebuild_parameter(cls: type[Parameter], array: Any, requires_grad: bool) -> Parameter:
    return cls(_core.wrap(array), requires_grad)


def copy_of(t: Tensor) -> Tensor:
    """A copy that no graph knows of."""
    if not t._h:
        return _core.wrap(t._array.copy())
    was = lib.rnn_set_grad_mode(0)
    h = lib.rnn_clone(E, t._h)
    lib.rnn_set_grad_mode(was)
    return _c.adopt(check(h))


def cast_to(t: Tensor, dtype: Any) -> Tensor:
    """t in another dtype, outside of any graph; t itself where it has that dtype."""
    if _core.dtype_of(t) is dtype:
        return t
    if t._h and dtype in _core.CODES:
        was = lib.rnn_set_grad_mode(0)
        h = lib.rnn_cast(E, t._h, _core.CODES[dtype])
        lib.rnn_set_grad_mode(was)
        return _c.adopt(check(h))
    return t.detach().to(dtype)


def copy_into(t: Tensor, value: Tensor) -> None:
    """`t.copy_(value)` under no_grad, for any two dtypes.

    Raises:
        RuntimeError: value's shape does not broadcast to t's.
    """
    if t._h and value._h and lib.rnn_dtype(t._h) == lib.rnn_dtype(value._h):
        was = lib.rnn_set_grad_mode(0)
        code = lib.rnn_assign(E, t._h, value._h)
        lib.rnn_set_grad_mode(was)
        check(code)
        return
    _core.array_of(t)[...] = _core.array_of(value)
    if t._h:
        check(lib.rnn_touch(E, t._h))

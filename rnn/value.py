"""Value: one node of the graph, as in micrograd, with the arithmetic of Python's floats."""

from __future__ import annotations

from typing import Any

from rnn import _c, _dtypes
from rnn._c import ValueBase


class Value(ValueBase):  # type: ignore[misc]
    """One scalar with a gradient: a node of the graph (micrograd's and microgpt's `Value`).

    Operators: + - * / ** with Values and numbers in every mix, -v, abs(v), comparisons by value. Methods: exp, log (ln),
    relu, tanh, sigmoid, sin, cos, sqrt. Attributes: data and grad (floats, assignable), op, children, requires_grad, id.

    Args:
        data: the value, a number.
        dtype: rnn.float64 (default: Python's float) or rnn.float32.
        requires_grad: whether backward() computes its gradient (default: yes).
        label: a name for drawings; nothing else reads it.

    Raises:
        TypeError: data is not a number, or dtype is no float.

    Example:
        >>> a, b = Value(2.0), Value(-3.0)
        >>> c = (a * b + 10) ** 2
        >>> c.backward()
        >>> c.data, a.grad, b.grad
        (16.0, -24.0, 16.0)
    """

    __slots__ = ()

    def __init__(
        self,
        data: Any,
        _children: Any = (),
        _op: str = "",
        label: str = "",
        *,
        dtype: Any = None,
        requires_grad: bool = True,
    ) -> None:
        code = 1 if dtype is None else {_dtypes.float32: 0, _dtypes.float64: 1}.get(_dtypes.as_dtype(dtype), -1)
        if code < 0:
            raise TypeError(f"a Value is float32 or float64, not {dtype}")
        self._init(float(data), code, requires_grad)
        if label:
            self._label = label

    @property
    def label(self) -> str:
        """A name for drawings."""
        return self._label or ""

    @label.setter
    def label(self, name: str) -> None:
        self._label = name

    @property
    def dtype(self) -> _dtypes.dtype:
        """rnn.float64 or rnn.float32."""
        return (_dtypes.float32, _dtypes.float64)[self._dtype_code]

    @property
    def _prev(self) -> set[Value]:
        """micrograd's name for the children, as a set."""
        return set(self.children)

    @property
    def _op(self) -> str:
        """micrograd's name for the operation."""
        return str(self.op)

    def item(self) -> float:
        """The value, a Python float."""
        return float(self.data)

    def detach(self) -> Value:
        """A new leaf with this value that requires no gradient."""
        return Value(self.data, dtype=self.dtype, requires_grad=False)

    def zero_grad(self) -> None:
        """Sets the gradient to 0."""
        self.grad = 0.0

    def backward(self, gradient: float | None = None, retain_graph: bool = True) -> None:
        """Fills the gradient of every Value (and tensor) that this one was made from.

        Gradients of leaves add up over calls, as in PyTorch; those of other nodes are the last pass's. The graph is kept
        for another look unless retain_graph=False, and goes when the last Value that reaches it goes.

        Args:
            gradient: what to start from (default: 1).

        Raises:
            RuntimeError: this Value requires no gradient, or its graph was freed.
        """
        from rnn import autograd

        autograd.backward_value(self, gradient, retain_graph)

    def __repr__(self) -> str:
        return f"Value(data={self.data}, grad={self.grad})"

    def __format__(self, spec: str) -> str:
        return format(self.data, spec) if spec else repr(self)

    def __reduce__(self) -> Any:
        return _rebuild, (self.data, self.dtype.name, self.requires_grad, self.label)


def _rebuild(data: float, dtype: str, requires_grad: bool, label: str) -> Value:
    return Value(data, label=label, dtype=dtype, requires_grad=requires_grad)

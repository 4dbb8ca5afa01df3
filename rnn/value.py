"""Value: one node of the graph, as in micrograd, with the arithmetic of Python's floats."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rnn import _dtypes
from rnn._c import E, ValueBase, adopt, check, ffi, lib, ref_of
from rnn._shown import names

if TYPE_CHECKING:
    from rnn.inspect.explain import Ledger
    from rnn.inspect.node import Edge, Node
    from rnn.tensor import Tensor

NULL = ffi.NULL
_SIGNS = {
    "add": "+",
    "add_scalar": "+",
    "sub": "-",
    "rsub_scalar": "-",
    "mul": "*",
    "mul_scalar": "*",
}
_SIGNS |= {"pow": "**", "rpow_scalar": "**", "relu": "ReLU"}
_CUSTOM = lib.rnn_op_find(b"custom")


class Value(ValueBase):  # type: ignore[misc]
    """One scalar with a gradient: a node of the graph (micrograd's and microgpt's `Value`).

    Operators: + - * / ** with Values and numbers in every mix, -v, abs(v), comparisons by value.
    Methods: exp, log (ln), relu, tanh, sigmoid, sin, cos, sqrt, abs. Attributes: data and grad
    (floats, assignable), op, children, requires_grad, id. Where Python's math would raise (1 / 0,
    the logarithm of 0, an overflow) the result is infinity or NaN, as in NumPy and PyTorch.

    Args:
        data: the value, a number.
        dtype: rnn.float64 (default: Python's float) or rnn.float32.
        requires_grad: whether backward() computes its gradient (default: yes).
        label: a name for drawings; nothing else reads it.

    Raises:
        TypeError: data is not a number, dtype is no float, or children are given (micrograd's way
            of making an operation).

    Example:
        >>> a, b = Value(2.0), Value(-3.0)
        >>> c = (a * b + 10) ** 2
        >>> c.backward()
        >>> c.data, a.grad, b.grad
        (16.0, -24.0, 16.0)
    """

    __slots__ = ()

    #: a name for drawings
    label: str = ""

    if TYPE_CHECKING:  # what csrc/value_object.c makes

        @property
        def data(self) -> float: ...
        @data.setter
        def data(self, value: float) -> None: ...
        @property
        def grad(self) -> float: ...
        @grad.setter
        def grad(self, value: float) -> None: ...
        @property
        def requires_grad(self) -> bool: ...
        @requires_grad.setter
        def requires_grad(self, value: bool) -> None: ...
        @property
        def op(self) -> str: ...
        @property
        def children(self) -> tuple[Value, ...]: ...

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
        """micrograd's name for the operation: '+', '*', '**2', 'ReLU', 'tanh', ..."""
        name = str(self.op)
        if name == "pow_scalar":
            return f"**{self._info.p[0]:g}"
        return _SIGNS.get(name, name)

    @property
    def _info(self) -> Any:
        """What the engine knows of its span."""
        info = ffi.new("rnn_span_info *")
        lib.rnn_describe(E, self._node[0], info)
        return info

    @property
    def _backward(self) -> Callable[[], None]:
        """micrograd's name for the step of the chain rule: adds this node's part to its children's
        gradients."""
        return self._step_back

    @_backward.setter
    def _backward(self, step: Callable[[], None]) -> None:
        raise AttributeError(
            "the step of a Value is its operation's and cannot be replaced: build functions of "
            "Values from operators, or write an rnn.autograd.Function"
        )

    @property
    def _edges(self) -> tuple[Edge, ...]:
        """The edges of an element that an autograd.Function made, whose backward is asked."""
        from rnn.inspect.graph import Living, node_of

        return node_of(self, (), Living({})).operands

    def _function_children(self) -> tuple[Value, ...]:
        """`children` of such an element (csrc/value_object.c asks)."""
        return tuple(edge.node.as_value for edge in self._edges)

    def _function_op(self) -> str:
        """`op` of such an element: the Function's name."""
        return names[self._info.name].removesuffix("Backward")

    def _step_back(self) -> None:
        if self._info.op == _CUSTOM:
            for edge in self._edges:
                edge.node.as_value.grad += edge.local * self.grad
            return
        span, node = self._node
        count = check(lib.rnn_edges(E, span, node, 0, NULL, NULL, NULL, NULL))
        locals_, flows = ffi.new("double[]", count + 1), ffi.new("uint8_t[]", count + 1)
        spans, nodes = ffi.new("uint32_t[]", count + 1), ffi.new("int64_t[]", count + 1)
        lib.rnn_edges(E, span, node, count, spans, nodes, locals_, flows)
        for k, child in enumerate(self.children):
            if flows[k]:
                child.grad += locals_[k] * self.grad

    def item(self) -> float:
        """The value, a Python float."""
        return float(self.data)

    def detach(self) -> Value:
        """A new leaf with this value that requires no gradient.

        Example:
            >>> (rnn.Value(2.0) * 3).detach().op
            ''
        """
        return adopt(ref_of(self)).detach().clone().value()

    def node(self) -> Node:
        """This Value as a Node of rnn.inspect: its operands, local derivatives, users, line.

        Example:
            >>> a, b = Value(2.0), Value(-3.0)
            >>> [(edge.node.value, edge.local) for edge in (a * b).node().operands]
            [(2.0, -3.0), (-3.0, 2.0)]
        """
        from rnn.inspect.graph import Living, node_of
        from rnn.inspect.names import find_names

        return node_of(self, (), Living(find_names(None, None, sys._getframe(1))))

    def explain(self, loss: Value | Tensor, depth: int = 1) -> Ledger:
        """Why d loss / d self is what it is: rnn.inspect.explain(self, loss).

        Example:
            >>> a = Value(3.0)
            >>> [(e.user.op, e.contribution) for e in a.explain(a * a + a)]
            [('mul', 3.0), ('mul', 3.0), ('add', 1.0)]
        """
        from rnn.inspect.explain import explained

        return explained(self, loss, depth, None, (None, None, sys._getframe(1)))

    def graph_size(self) -> int:
        """How many scalar nodes are behind this Value, its own included.

        Example:
            >>> a = rnn.Value(2.0)
            >>> (a * a + a).graph_size()
            3
        """
        return adopt(ref_of(self)).graph_size()

    def zero_grad(self) -> None:
        """Sets the gradient to 0."""
        self.grad = 0.0

    def backward(self, gradient: float | None = None, retain_graph: bool = True) -> None:
        """Fills the gradient of every Value (and tensor) that this one was made from.

        Gradients of leaves add up over calls, as in PyTorch; those of other nodes are the last
        pass's. The graph is kept for another look unless retain_graph=False, and goes when the last
        Value that reaches it goes.

        Args:
            gradient: what to start from (default: 1).

        Raises:
            RuntimeError: this Value requires no gradient, or its graph was freed.

        Example:
            >>> a, b = rnn.Value(2.0), rnn.Value(-3.0)
            >>> (a * b).backward()
            >>> a.grad, b.grad
            (-3.0, 2.0)
        """
        from rnn.autograd import backward_value

        backward_value(self, gradient, retain_graph)

    def __repr__(self) -> str:
        return f"Value(data={self.data}, grad={self.grad})"

    def __format__(self, spec: str) -> str:
        return format(self.data, spec) if spec else repr(self)

    def __reduce__(self) -> Any:
        state = (self.data, self.dtype.name, self.requires_grad, self.grad, dict(self.__dict__))
        return _rebuild, (type(self), *state)


def _rebuild(
    cls: type[Value],
    data: float,
    dtype: str,
    requires_grad: bool,
    grad: float,
    attributes: dict[str, Any],
) -> Value:
    """Copies and pickles are leaves: the graph stays behind, as with PyTorch's tensors."""
    made = cls(data, dtype=getattr(_dtypes, dtype), requires_grad=requires_grad)
    made.grad = grad
    made.__dict__.update(attributes)
    return made


def dtype_code(dtype: Any) -> int:
    """The engine's code of a dtype, -1 for one that no node has (the C side of Value(dtype=...)
    asks)."""
    return {_dtypes.float32: 0, _dtypes.float64: 1}.get(_dtypes.as_dtype(dtype), -1)

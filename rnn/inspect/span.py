"""Span: one application of one operation, as public data; Operand: a view that it was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from rnn import _dtypes
from rnn._c import E, adopt, check, ffi, lib, object_at
from rnn._shown import names
from rnn.inspect.names import Names
from rnn.inspect.trace import line_of, module_of
from rnn.ops._core import NODE_DTYPES, Array, array_of

if TYPE_CHECKING:
    from rnn.inspect.node import Node


class Source(Protocol):
    """Where spans come from: a graph, or all that lives."""

    names: Names

    def _span(self, number: int) -> Span:
        """The span with an engine's number."""

    def _users_of(self, span: Span) -> list[Span]:
        """The spans that were made from it."""


class Operand(NamedTuple):
    """A view of the nodes that a span was computed from: element [i, j] of the operand is node
    `offset + i * strides[0] + j * strides[1]` of `span`.

    Example:
        >>> x = rnn.ones(2, 3, requires_grad=True)
        >>> y = x.t() * 2
        >>> [(o.shape, o.strides) for o in rnn.inspect.graph(y).spans[-1].operands]
        [((3, 2), (1, 3))]
    """

    span: Span
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    flows: bool
    """whether gradients go there: False for constants and detached tensors"""


class Span:
    """One application of one operation: a contiguous stretch of nodes.

    Attributes:
        id: its first node's id, unique for ever; an operand's is always below its user's.
        count: how many nodes it has.
        op: the operation, "mul"; "leaf" for parameters, inputs and constants.
        torch_name: PyTorch's name for it, "MulBackward0".
        shape, dtype: of the tensor that the operation made.
        requires_grad, is_leaf: as a tensor's.
        freed: backward() has freed what it was made from; its values and gradients are still there.
        overwritten: some of its nodes' memory was written in place since: `values` is what is there
            now. A later node has the new values, where that was recorded.
        parameters: the numbers that the operation was given, as (4.0,) for `x ** 4`.
        name: of a Parameter ("h.0.attn.c_attn.weight") or of the caller's variable, else None.
        module: the path of the module that it was made in, or that the Parameter belongs to.
        line: the Python line that made it, where rnn.trace(lines=True) was on.
        operands: what it was made from.
        users: the spans that were made from it (a running sum's own among them).

    Example:
        >>> x = rnn.ones(2, 3, requires_grad=True)
        >>> span = rnn.inspect.graph(x.exp()).spans[-1]
        >>> span.op, span.torch_name, span.shape, span.count
        ('exp', 'ExpBackward0', (2, 3), 6)
    """

    __slots__ = ("__weakref__", "_hold", "_info", "_number", "_operands", "_source")

    def __init__(self, number: int, source: Source) -> None:
        self._number = number
        self._source = source
        self._hold = adopt(check(lib.rnn_span_tensor(E, number, 0)))
        self._info = ffi.new("rnn_span_info *")
        check(lib.rnn_describe(E, number, self._info))
        self._operands: tuple[Operand, ...] | None = None

    # ---- what it is ------------------------------------------------------------------------------

    @property
    def id(self) -> int:
        return int(self._info.first)

    first = id

    @property
    def count(self) -> int:
        return int(self._info.nodes)

    @property
    def op(self) -> str:
        name: bytes = ffi.string(lib.rnn_op_name(self._info.op))
        if name == b"custom":
            return names[self._info.name].removesuffix("Backward")
        return name.decode()

    @property
    def torch_name(self) -> str:
        from rnn.autograd.graph import _span_name

        return "AccumulateGrad" if self.is_leaf else _span_name(self._number)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self._info.shape[0 : self._info.ndim])

    @property
    def dtype(self) -> _dtypes.dtype:
        return NODE_DTYPES[self._info.dtype]

    @property
    def requires_grad(self) -> bool:
        return bool(self._info.requires_grad)

    @property
    def is_leaf(self) -> bool:
        return bool(self._info.is_leaf)

    @property
    def freed(self) -> bool:
        info = ffi.new("rnn_span_info *")
        check(lib.rnn_describe(E, self._number, info))
        return bool(info.passed)

    @property
    def overwritten(self) -> bool:
        own = self.count if self.op == "assign" else 0  # which is such a write itself
        return not self.is_leaf and self.written_after(self.id + own)

    def written_after(self, id: int) -> bool:
        """Whether its values were written in place after the node with this id was made."""
        info = ffi.new("rnn_span_info *")
        check(lib.rnn_describe(E, self._number, info))
        return bool(info.version > id)

    @property
    def parameters(self) -> tuple[float, ...]:
        count = _PARAMETERS.get(self.op, 0)
        if self.op in ("add", "sub") and self._info.p[0] == 1:
            return ()
        return tuple(self._info.p[0:count])

    # ---- where it is -----------------------------------------------------------------------------

    @property
    def name(self) -> str | None:
        name = self._source.names.get(self.id)
        return name.text if name else None

    @property
    def module(self) -> str | None:
        name = self._source.names.get(self.id)
        if name and name.module is not None:
            return name.module
        return module_of(self._number)

    @property
    def line(self) -> str | None:
        return line_of(self._number)

    @property
    def place(self) -> str:
        """Module and line for a reader, what is known of them: "h.0.attn, model.py:9: y = ..."."""
        return ", ".join(text for text in (self.module, self.line) if text)

    # ---- what is in it ---------------------------------------------------------------------------

    def values(self) -> Array:
        """Its nodes' values in its shape: a read-only view of their memory."""
        return _read(self._hold, self.shape)

    def grads(self) -> Array | None:
        """Its nodes' gradients in its shape, read-only; None where it has none."""
        h = check(lib.rnn_span_tensor(E, self._number, 1))
        return _read(adopt(h), self.shape) if h else None

    @property
    def has_grad(self) -> bool:
        """Whether a backward pass has left a gradient here."""
        info = ffi.new("rnn_span_info *")
        check(lib.rnn_describe(E, self._number, info))
        return bool(info.has_grad)

    def node(self, *index: int) -> Node:
        """The node at an index of its shape, or (one int for any shape) its offset-th node.

        Raises:
            IndexError: there is no such node.
        """
        from rnn.inspect.node import Node

        if len(index) == 1 and len(self.shape) != 1:
            offset = index[0]
            if not 0 <= offset < self.count:
                raise IndexError(f"{self.op} has {self.count} nodes: there is no node {offset}")
            return Node(self, offset)
        return Node(self, position(index, self.shape))

    @property
    def operands(self) -> tuple[Operand, ...]:
        if self._operands is None:
            first = 1 if self._has_core() else 0
            self._operands = tuple(self._operand(k) for k in range(first, self._info.operands))
        return self._operands

    def _has_core(self) -> bool:
        """Is its first operand the inner span of an autograd.Function of several outputs?"""
        from rnn.autograd.function import _Output

        info = ffi.new("rnn_span_info *")
        check(lib.rnn_describe(E, self._number, info))
        return bool(info.key) and isinstance(object_at(info.key), _Output)

    def _operand(self, k: int) -> Operand:
        t = adopt(check(lib.rnn_operand_tensor(E, self._number, k)))
        span = self._source._span(lib.rnn_span_of(t._h))
        flows = bool(lib.rnn_requires_grad(E, t._h))
        return Operand(span, lib.rnn_offset(t._h), t._shape, t._strides, flows)

    @property
    def users(self) -> list[Span]:
        users = self._source._users_of(self)
        return [self, *users] if self.op in _RUNNING else users

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Span) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return f"<Span {self.id}{name}: {self.op} {list(self.shape)} {self.dtype}>"


#: operations whose nodes are made from earlier ones of the same span
_RUNNING = frozenset(("cumsum", "cumprod", "logcumsumexp", "rnn_tanh", "rnn_relu", "lstm", "gru"))
#: operations whose numbers mean something to a reader, and how many these are
_PARAMETERS = {
    "add_scalar": 1, "sub_scalar": 1, "rsub_scalar": 1, "mul_scalar": 1, "div_scalar": 1,
    "rdiv_scalar": 1, "pow_scalar": 1, "rpow_scalar": 1, "leaky_relu": 1, "elu": 2, "softplus": 2,
    "polygamma": 1, "hardshrink": 1, "softshrink": 1, "threshold": 2, "hardtanh": 2, "clamp": 2,
    "add": 1, "sub": 1, "lerp": 1, "smooth_l1_loss": 1, "huber_loss": 1,
}  # fmt: skip


def position(index: tuple[int, ...], shape: tuple[int, ...]) -> int:
    """The row-major position of an index.

    Raises:
        IndexError: it is out of range, or has another length than the shape.
    """
    if len(index) != len(shape):
        raise IndexError(f"shape {list(shape)} takes {len(shape)} indices, not {len(index)}")
    at = 0
    for d, (i, size) in enumerate(zip(index, shape)):
        if not -size <= i < size:
            raise IndexError(f"index {i} is out of bounds for dimension {d} with size {size}")
        at = at * size + i % size
    return at


def _read(flat: Any, shape: tuple[int, ...]) -> Array:
    array = array_of(flat).reshape(shape)
    array.flags.writeable = False
    return array

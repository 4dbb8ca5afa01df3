"""Tensor: a view of nodes, with PyTorch's names. Thin: each method is one of rnn/ops, or one call into C."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

from rnn import _c, _dtypes, _repr, autograd
from rnn._c import E, Handle, adopt, check, fail, lib
from rnn._size import CPU, Size, check_device, device, strided
from rnn.ops import _core, convert, create, elementwise, from_data
from rnn.value import Value


Bool: TypeAlias = bool  # what Tensor's own `bool`, `int` and `float` hide from its annotations
Int: TypeAlias = int
Float: TypeAlias = float


class Tensor(Handle):  # type: ignore[misc]
    """An n-dimensional tensor; every element of a floating-point one is a node of the graph (torch.Tensor).

    Made by rnn.tensor, rnn.zeros, rnn.randn and their kind, and by operations on other tensors.
    """

    __array_priority__ = 1000  # NumPy's operators leave mixed arithmetic to ours
    _h: Int
    _array: Any

    def __new__(cls, *args: Any, device: Any = None) -> Tensor:
        """Tensor(2, 3), Tensor([1, 2]): float32 of sizes or of data, PyTorch's old way; see rnn.tensor."""
        check_device(device)
        made = from_data.legacy(_dtypes.get_default_dtype(), args)
        if cls is Tensor:
            return made
        self: Tensor = Handle.__new__(cls)
        convert.exchange(self, made)
        return self

    # ---- what it is --------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        """Its sizes."""
        return tuple.__new__(Size, self._shape)

    @property
    def ndim(self) -> Int:
        """How many dimensions it has."""
        return len(self._shape)

    @property
    def dtype(self) -> _dtypes.dtype:
        """Its elements' type."""
        return _core.dtype_of(self)

    @property
    def device(self) -> device:
        """Always the CPU."""
        return CPU

    layout = strided
    is_cuda = False
    is_mps = False
    is_meta = False
    is_sparse = False
    is_quantized = False

    @property
    def itemsize(self) -> Int:
        """Bytes of one element."""
        return _core.dtype_of(self).itemsize

    @property
    def nbytes(self) -> Int:
        """Bytes of all elements."""
        return self.numel() * self.itemsize

    def get_device(self) -> Int:
        """-1: the CPU has no number."""
        return -1

    def numel(self) -> Int:
        """How many elements it has."""
        return int(lib.rnn_count(self._h)) if self._h else int(self._array.size)

    @property
    def requires_grad(self) -> Bool:
        """Whether backward() computes its gradient; assignable for leaves."""
        return bool(self._h) and bool(lib.rnn_requires_grad(E, self._h))

    @requires_grad.setter
    def requires_grad(self, on: Bool) -> None:
        self.requires_grad_(on)

    def requires_grad_(self, requires_grad: Bool = True) -> Tensor:
        """Asks for gradients (or not), in place.

        Raises:
            RuntimeError: the dtype is not a floating-point one, or it is no leaf.
        """
        if not self._h:
            if requires_grad:
                raise RuntimeError("only Tensors of floating point dtype can require gradients")
            return self
        check(lib.rnn_set_requires_grad(E, self._h, requires_grad))
        return self

    @property
    def is_leaf(self) -> Bool:
        """Whether no recorded operation made it."""
        return not self._h or bool(lib.rnn_is_leaf(E, self._h))

    # ---- conversions -------------------------------------------------------------------------------

    to = convert.to
    type = convert.type_
    type_as = convert.type_as
    double = convert.double
    float = convert.float_
    long = convert.long
    int = convert.int_
    short = convert.short
    char = convert.char
    byte = convert.byte
    bool = convert.bool_
    half = convert.half
    bfloat16 = convert.bfloat16
    is_floating_point = convert.is_floating_point
    is_complex = convert.is_complex
    element_size = convert.element_size
    cpu = convert.cpu
    cuda = convert.cuda
    pin_memory = convert.pin_memory
    data_ptr = convert.data_ptr
    data = property(convert.get_data, convert.set_data)
    detach = convert.detach
    detach_ = convert.detach_
    __copy__ = convert.__copy__
    __deepcopy__ = convert.__deepcopy__
    __reduce_ex__ = convert.__reduce_ex__
    new = from_data.new
    new_tensor = from_data.new_tensor
    new_zeros = create.new_zeros
    new_ones = create.new_ones
    new_empty = create.new_empty
    new_full = create.new_full

    # ---- gradients ---------------------------------------------------------------------------------

    @property
    def grad(self) -> Tensor | None:
        """Its gradient, sharing the memory that backward() adds to, or None. Assignable."""
        if not self._h:
            return None
        h = lib.rnn_grad(E, self._h)
        return adopt(h) if h > 0 else fail(h) if h < 0 else None

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None and not isinstance(value, Tensor):
            raise TypeError(f"assigned grad expected to be a Tensor or None but got {type(value).__name__}")
        if not self._h:
            if value is not None:
                raise RuntimeError("a tensor that is not floating-point has no grad")
            return
        code = lib.rnn_set_grad(E, self._h, value._h if value is not None else 0)
        if code == _c.EDTYPE:
            raise RuntimeError("assigned grad has data of a different type")
        check(code)

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: Bool | None = None,
        create_graph: Bool = False,
        inputs: Any = None,
    ) -> None:
        """Adds the gradient of this tensor to every leaf that it was made from (torch.Tensor.backward).

        Args:
            gradient: the gradient to start from, of this tensor's shape; one-element tensors need none.
            retain_graph: keep the graph for another pass.

        Raises:
            RuntimeError: it requires no gradient, its graph was freed, or a needed value was overwritten.
        """
        autograd.backward(self, gradient, retain_graph, create_graph, inputs)

    # ---- to Python and NumPy -----------------------------------------------------------------------

    item = convert.item
    tolist = convert.tolist
    numpy = convert.numpy
    __array__ = convert.__array__
    __array_wrap__ = convert.__array_wrap__
    __dlpack__ = convert.__dlpack__
    __dlpack_device__ = convert.__dlpack_device__
    __format__ = convert.__format__

    def value(self, *index: Int) -> Value:
        """The node of one element as a Value: the same node.

        Args:
            index: an int per dimension.

        Raises:
            IndexError: the index is out of range, or has another length than the shape.
            TypeError: the tensor is not floating-point.
        """
        shape = self._shape
        if not self._h:
            raise TypeError("elements of integer and boolean tensors are not nodes")
        if len(index) != len(shape):
            raise IndexError(f"value() takes {len(shape)} indices for shape {list(shape)}, not {len(index)}")
        position = 0
        for i, (at, size) in enumerate(zip(index, shape)):
            if not -size <= at < size:
                raise IndexError(f"index {at} is out of bounds for dimension {i} with size {size}")
            position = position * size + at % size
        return _c.value_at(self._h, position)  # type: ignore[no-any-return]

    def graph_size(self) -> Int:
        """How many scalar nodes are behind this tensor, its own included."""
        return int(check(lib.rnn_graph_size(E, 1, [self._h]))) if self._h else 0

    def __repr__(self) -> str:
        return _repr.tensor_repr(_core.array_of(self), self.dtype, self.requires_grad, self._grad_fn_name())

    def _grad_fn_name(self) -> str | None:
        return None

    def __len__(self) -> Int:
        if not self._shape:
            raise TypeError("len() of a 0-d tensor")
        return int(self._shape[0])

    def __iter__(self) -> Iterator[Any]:
        if not self._shape:
            raise TypeError("iteration over a 0-d tensor")
        return iter([self[i] for i in range(self._shape[0])])

    __hash__ = object.__hash__


_core.set_tensor_class(Tensor)
_c.register_classes(Tensor, Value)

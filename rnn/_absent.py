"""torch.Tensor's names that rnn.Tensor has not: asking for one says so and where the list is.

They are written out, since a `__getattr__` would make every attribute of every tensor slower.
"""

from __future__ import annotations

from typing import Any, NoReturn


class Absent:
    """A name that raises AttributeError, so that hasattr says no."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> NoReturn:
        raise AttributeError(
            f"'{owner.__name__}' object has no attribute '{self._name}': PyTorch has it; the "
            'README lists, under "What is there", what rnn has of PyTorch and what it leaves out.',
            name=self._name,
        )


class TensorNames:
    """A base class of Tensor."""

    __slots__ = ()

    angle = Absent()
    as_strided_ = Absent()
    as_strided_scatter = Absent()
    as_subclass = Absent()
    cdouble = Absent()
    cfloat = Absent()
    chalf = Absent()
    coalesce = Absent()
    dequantize = Absent()
    diagonal_scatter = Absent()
    dim_order = Absent()
    frexp = Absent()
    geqrf = Absent()
    hardshrink = Absent()
    i0 = Absent()
    i0_ = Absent()
    igamma = Absent()
    igamma_ = Absent()
    igammac = Absent()
    igammac_ = Absent()
    imag = Absent()
    indices = Absent()
    int_repr = Absent()
    is_coalesced = Absent()
    is_nested = Absent()
    is_sparse_csr = Absent()
    istft = Absent()
    narrow_copy = Absent()
    new_empty_strided = Absent()
    nextafter = Absent()
    nextafter_ = Absent()
    nonzero_static = Absent()
    orgqr = Absent()
    ormqr = Absent()
    prelu = Absent()
    q_per_channel_axis = Absent()
    q_per_channel_scales = Absent()
    q_per_channel_zero_points = Absent()
    q_scale = Absent()
    q_zero_point = Absent()
    qscheme = Absent()
    resize_as_ = Absent()
    select_scatter = Absent()
    set_ = Absent()
    slice_scatter = Absent()
    sparse_mask = Absent()
    stft = Absent()
    storage = Absent()
    to_dense = Absent()
    to_sparse = Absent()
    to_sparse_bsc = Absent()
    to_sparse_bsr = Absent()
    to_sparse_coo = Absent()
    to_sparse_csc = Absent()
    to_sparse_csr = Absent()
    unsafe_chunk = Absent()
    unsafe_split = Absent()
    unsafe_split_with_sizes = Absent()
    untyped_storage = Absent()
    values = Absent()

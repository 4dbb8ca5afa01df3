"""What functions of several results return: named tuples (torch.return_types).

values, indices = x.max(dim=1)
x.max(dim=1).indices
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rnn import _dtypes


class _Results(tuple[Any, ...]):
    """A tuple whose elements have names."""

    __slots__ = ()
    _fields: tuple[str, ...] = ("values", "indices")

    def __new__(cls, results: Iterable[Any]) -> _Results:
        return tuple.__new__(cls, results)

    def __repr__(self) -> str:
        parts = ",\n".join([f"{name}={t!r}" for name, t in zip(self._fields, self)])
        return f"{_dtypes.prefix}return_types.{type(self).__name__}(\n{parts})"

    def __reduce__(self) -> Any:
        return type(self), (tuple(self),)


class _Picked(_Results):
    """Elements of a tensor, and where they were."""

    __slots__ = ()

    @property
    def values(self) -> Any:
        """The elements."""
        return self[0]

    @property
    def indices(self) -> Any:
        """Their places along the dimension, int64."""
        return self[1]


class max(_Picked):
    """What rnn.max with a dimension returns."""

    __slots__ = ()


class min(_Picked):
    """What rnn.min with a dimension returns."""

    __slots__ = ()


class median(_Picked):
    """What rnn.median with a dimension returns."""

    __slots__ = ()


class nanmedian(_Picked):
    """What rnn.nanmedian with a dimension returns."""

    __slots__ = ()


class mode(_Picked):
    """What rnn.mode returns."""

    __slots__ = ()


class kthvalue(_Picked):
    """What rnn.kthvalue returns."""

    __slots__ = ()


class sort(_Picked):
    """What rnn.sort returns."""

    __slots__ = ()


class topk(_Picked):
    """What rnn.topk returns."""

    __slots__ = ()


class cummax(_Picked):
    """What rnn.cummax returns."""

    __slots__ = ()


class cummin(_Picked):
    """What rnn.cummin returns."""

    __slots__ = ()


class aminmax(_Results):
    """What rnn.aminmax returns."""

    __slots__ = ()
    _fields = ("min", "max")

    @property
    def min(self) -> Any:
        """The smallest elements."""
        return self[0]

    @property
    def max(self) -> Any:
        """The largest elements."""
        return self[1]


class histogram(_Results):
    """What rnn.histogram returns."""

    __slots__ = ()
    _fields = ("hist", "bin_edges")

    @property
    def hist(self) -> Any:
        """What is in each bin."""
        return self[0]

    @property
    def bin_edges(self) -> Any:
        """The bins' edges, one more than there are bins."""
        return self[1]


class slogdet(_Results):
    """What rnn.slogdet returns."""

    __slots__ = ()
    _fields = ("sign", "logabsdet")
    sign = property(lambda self: self[0])
    logabsdet = property(lambda self: self[1])


class linalg_slogdet(slogdet):
    """What rnn.linalg.slogdet returns."""

    __slots__ = ()


class linalg_svd(_Results):
    """What rnn.linalg.svd returns."""

    __slots__ = ()
    _fields = ("U", "S", "Vh")
    U = property(lambda self: self[0])
    S = property(lambda self: self[1])
    Vh = property(lambda self: self[2])


class linalg_qr(_Results):
    """What rnn.linalg.qr returns."""

    __slots__ = ()
    _fields = ("Q", "R")
    Q = property(lambda self: self[0])
    R = property(lambda self: self[1])


class linalg_eigh(_Results):
    """What rnn.linalg.eigh returns."""

    __slots__ = ()
    _fields = ("eigenvalues", "eigenvectors")
    eigenvalues = property(lambda self: self[0])
    eigenvectors = property(lambda self: self[1])


class linalg_lstsq(_Results):
    """What rnn.linalg.lstsq returns."""

    __slots__ = ()
    _fields = ("solution", "residuals", "rank", "singular_values")
    solution = property(lambda self: self[0])
    residuals = property(lambda self: self[1])
    rank = property(lambda self: self[2])
    singular_values = property(lambda self: self[3])


class linalg_lu(_Results):
    """What rnn.linalg.lu returns."""

    __slots__ = ()
    _fields = ("P", "L", "U")
    P = property(lambda self: self[0])
    L = property(lambda self: self[1])
    U = property(lambda self: self[2])


class linalg_lu_factor(_Results):
    """What rnn.linalg.lu_factor returns."""

    __slots__ = ()
    _fields = ("LU", "pivots")
    LU = property(lambda self: self[0])
    pivots = property(lambda self: self[1])


class lu_unpack(linalg_lu):
    """What rnn.lu_unpack returns."""

    __slots__ = ()


class svd(_Results):
    """What rnn.svd returns."""

    __slots__ = ()
    _fields = ("U", "S", "V")
    U = property(lambda self: self[0])
    S = property(lambda self: self[1])
    V = property(lambda self: self[2])


class qr(linalg_qr):
    """What rnn.qr returns."""

    __slots__ = ()


class triangular_solve(_Results):
    """What rnn.triangular_solve returns."""

    __slots__ = ()
    _fields = ("solution", "cloned_coefficient")
    solution = property(lambda self: self[0])
    cloned_coefficient = property(lambda self: self[1])

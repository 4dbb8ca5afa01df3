"""Norms of vectors and matrices, covariances. The powers are one fold in C (csrc/statistics.c)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _dtypes, _shapes
from rnn._c import op
from rnn._shown import show_as
from rnn.ops import _core, extremes, reduce, selection
from rnn.ops._core import array_of, dtype_of, type_name
from rnn.ops.axes import t
from rnn.ops.convert import cast
from rnn.ops.elementwise import write_out
from rnn.ops.linalg import matmul
from rnn.ops.shape import squeeze, unsqueeze
from rnn.ops.triangles import diag

if TYPE_CHECKING:
    from rnn.tensor import Tensor

_VECTOR_NORM = op("vector_norm")


def vector_norm(
    x: Tensor,
    ord: Any = 2,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    out: Tensor | None = None,
) -> Tensor:
    """(sum |x| ** ord) ** (1 / ord) over dimensions (torch.linalg.vector_norm).

    Args:
        x: a float tensor.
        ord: a number; inf is the largest |x|, -inf the smallest; 0 counts what is not 0.
        dim: an int, several, or None: all.

    Raises:
        RuntimeError: of integers; or of nothing, where ord is infinite or negative.

    Where a norm of finite order is 0, no gradient flows.

    Example:
        >>> vector_norm(rnn.tensor([3.0, -4.0]), 1)
        tensor(7.)
    """
    if out is not None:
        return write_out(out, vector_norm, x, ord, dim, keepdim, dtype=dtype)
    x = _floats("linalg.vector_norm", x, dtype)
    dim = None if isinstance(dim, (tuple, list)) and not dim else dim
    p = float(ord)
    if p < 0 or math.isinf(p):
        _refuse_empty(x, ord, dim)
    if math.isinf(p):
        largest = extremes.amax if p > 0 else extremes.amin
        return largest(abs(x), () if dim is None else dim, keepdim)
    if p == 0:
        ones = cast(_core.wrap(array_of(x) != 0), dtype_of(x))
        nowhere = _core.wrap(np.zeros(x._shape, np.bool_))
        return reduce.sum(selection.where(nowhere, x, ones), dim, keepdim)
    return reduce.reduce(_VECTOR_NORM, x, dim, keepdim, p, "linalg_vector_norm")


def _floats(name: str, x: Tensor, dtype: Any) -> Tensor:
    if not dtype_of(x).is_floating_point:
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. "
            f"Got {type_name(dtype_of(x))}"
        )
    return x if dtype is None else cast(x, _dtypes.dtype_argument(dtype))


def _refuse_empty(x: Tensor, ord: Any, dim: Any) -> None:
    text = f"linalg.vector_norm cannot compute the {ord} norm on "
    if dim is None and x.numel() == 0:
        raise RuntimeError(text + "an empty tensor because the operation does not have an identity")
    for d in _shapes.reduce_dims(dim, x._shape)[0]:
        if x._shape[d] == 0:
            raise RuntimeError(
                f"{text}the dimension {d}because this dimension is empty and the operation does "
                "not have an identity"
            )


def matrix_norm(
    A: Tensor,
    ord: Any = "fro",
    dim: Any = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: Any = None,
    out: Tensor | None = None,
) -> Tensor:
    """A norm of matrices (torch.linalg.matrix_norm): "fro", 1, -1 (columns), inf, -inf (rows).

    Raises:
        RuntimeError: A is no matrix, or of integers.
        NotImplementedError: ord is "nuc", 2 or -2, which need singular values.

    Example:
        >>> matrix_norm(rnn.tensor([[3.0, 0.0], [0.0, 4.0]]))
        tensor(5.)
    """
    if out is not None:
        return write_out(out, matrix_norm, A, ord, dim, keepdim, dtype=dtype)
    A = _floats("linalg.matrix_norm", A, dtype)
    if len(A._shape) < 2:
        raise RuntimeError(
            "linalg.matrix_norm: The input tensor A must have at least 2 dimensions."
        )
    if len(dim) != 2:
        raise RuntimeError(
            f"linalg.matrix_norm: dim must be a 2-tuple. Got {' '.join(map(str, dim))}"
        )
    rows, columns = _shapes.normalize_dims(tuple(dim), len(A._shape))
    if ord == "fro":
        return vector_norm(A, 2, (rows, columns), keepdim)
    if ord not in (1, -1, math.inf, -math.inf):
        raise NotImplementedError(f"linalg.matrix_norm: no norm of order {ord} here")
    summed, kept = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = vector_norm(A, 1, summed, keepdim)
    if not keepdim and summed < kept:
        kept -= 1
    return (extremes.amax if ord > 0 else extremes.amin)(sums, kept, keepdim)


def linalg_norm(
    A: Tensor,
    ord: Any = None,
    dim: Any = None,
    keepdim: bool = False,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
) -> Tensor:
    """A vector's or a matrix's norm (torch.linalg.norm).

    Without ord: the 2-norm of all elements, or over dim. With ord: of a vector (A has one
    dimension, or dim is an int) or of a matrix (two): see vector_norm and matrix_norm.

    Example:
        >>> norm(rnn.tensor([3.0, 4.0]))
        tensor(5.)
    """
    if out is not None:
        return write_out(out, linalg_norm, A, ord, dim, keepdim, dtype=dtype)
    A = _floats("linalg.norm", A, dtype)
    if ord is None:
        return vector_norm(A, 2, dim, keepdim)
    if isinstance(dim, (tuple, list)) and len(dim) == 2:
        return matrix_norm(A, ord, dim, keepdim)
    if dim is None and len(A._shape) == 2:
        return matrix_norm(A, ord, (0, 1), keepdim)
    if dim is None and len(A._shape) != 1:
        raise RuntimeError(
            "linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. "
            f"Got {len(A._shape)}D."
        )
    return vector_norm(A, ord, dim, keepdim)


def norm(
    input: Tensor,
    p: Any = "fro",
    dim: Any = None,
    keepdim: bool = False,
    out: Tensor | None = None,
    dtype: Any = None,
) -> Tensor:
    """The p-norm of all elements, or over dimensions (torch.norm).

    Args:
        input: a float tensor.
        p: a number, inf, -inf, or "fro": 2.

    Raises:
        RuntimeError: of integers.
        NotImplementedError: p is "nuc".

    Example:
        >>> rnn.tensor([3.0, 4.0]).norm()
        tensor(5.)
    """
    if p == "nuc":
        raise NotImplementedError("norm: no nuclear norm here")
    if isinstance(p, str) and p != "fro":
        raise RuntimeError(f"only valid string values are 'fro' and 'nuc', found {p}")
    return vector_norm(
        input, 2 if p is None or p == "fro" else p, dim, keepdim, dtype=dtype, out=out
    )


def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of input - other (torch.dist).

    Example:
        >>> rnn.dist(rnn.tensor([0.0, 0.0]), rnn.tensor([3.0, 4.0]))
        tensor(5.)
    """
    _core.check_tensors("dist", input=input, other=other)
    return vector_norm(input - other, p)


def cdist(
    x1: Tensor,
    x2: Tensor,
    p: float = 2.0,
    compute_mode: str = "use_mm_for_euclid_dist_if_necessary",
) -> Tensor:
    """The p-norm distances of rows, (..., P, M) and (..., R, M) -> (..., P, R) (torch.cdist).

    compute_mode changes nothing: the differences themselves are always taken.

    Raises:
        RuntimeError: an input has fewer than two dimensions, the rows differ in length, or
            p is negative.

    >>> rnn.cdist(rnn.tensor([[0.0, 0.0]]), rnn.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[5., 1.]])
    """
    _core.check_tensors("cdist", x1=x1, x2=x2)
    a, b = x1._shape, x2._shape
    if len(a) < 2 or len(b) < 2:
        which, ndim = ("X1", len(a)) if len(a) < 2 else ("X2", len(b))
        raise RuntimeError(
            f"cdist only supports at least 2D tensors, {which} got: {ndim}D"
        )
    if a[-1] != b[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {a[-1]} X2: {b[-1]}"
        )
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    return show_as(vector_norm(unsqueeze(x1, -2) - unsqueeze(x2, -3), p, -1), "CdistBackward0")


def renorm(
    input: Tensor, p: float, dim: int, maxnorm: float, *, out: Tensor | None = None
) -> Tensor:
    """input with each slice along dim scaled to a p-norm of at most maxnorm (torch.renorm).

    Raises:
        RuntimeError: p is not positive, or input has fewer than two dimensions.

    Example:
        >>> rnn.renorm(rnn.tensor([[3.0, 4.0], [0.3, 0.4]]), 2, 0, 1.0)
        tensor([[0.6000, 0.8000],
                [0.3000, 0.4000]])
    """
    if out is not None:
        return write_out(out, renorm, input, p, dim, maxnorm)
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    ndim = len(input._shape)
    if ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {ndim} dimensions")
    kept = _shapes.normalize_dim(dim, ndim)
    norms = vector_norm(input, p, tuple([d for d in range(ndim) if d != kept]), True)
    scale = selection.where(norms > maxnorm, maxnorm / (norms + 1e-7), 1.0)
    return input * scale


# ---- covariances ---------------------------------------------------------------------------------


def _check_weights(name: str, weights: Tensor | None, floats: bool, count: int) -> None:
    """Whether they are what cov takes.

    Raises:
        RuntimeError: they are of another shape or kind, or one is negative.
    """
    if weights is None:
        return
    to, shape = dtype_of(weights), weights._shape
    if len(shape) > 1:
        raise RuntimeError(
            f"cov(): expected {name} to have one or fewer dimensions but got {name} with "
            f"{len(shape)} dimensions"
        )
    if to.is_floating_point is not floats:
        kind = "floating point" if floats else "integral"
        raise RuntimeError(
            f"cov(): expected {name} to have {kind} dtype but got {name} with "
            f"{_core.type_name(to)} dtype"
        )
    if weights.numel() != count:
        raise RuntimeError(
            f"cov(): expected {name} to have the same numel as there are observations in the input "
            f"but got {weights.numel()} != {count}"
        )
    if count and _core.array_of(weights).min() < 0:
        raise RuntimeError(f"cov(): {name} cannot be negative")


def cov(
    input: Tensor,
    *,
    correction: int = 1,
    fweights: Tensor | None = None,
    aweights: Tensor | None = None,
) -> Tensor:
    """The covariances of variables (rows), from observations (columns) (torch.cov).

    Args:
        input: (variables, observations), or 1-d: one variable.
        correction: the divisor is the observations' number (or weight) less this.
        fweights: how often each observation counts, integers.
        aweights: how much each observation counts.

    Returns:
        (variables, variables), or a 0-d variance.

    Raises:
        RuntimeError: input has more dimensions, or is boolean.

    Example:
        >>> rnn.cov(rnn.tensor([[0.0, 2.0], [1.0, 5.0]]))
        tensor([[2., 4.],
                [4., 8.]])
    """
    ndim = len(input._shape)
    if ndim > 2:
        raise RuntimeError(
            "cov(): expected input to have two or fewer dimensions but got an input with "
            f"{ndim} dimensions"
        )
    x = _core.as_floats(input)
    x = x if ndim == 2 else unsqueeze(x if ndim else unsqueeze(x, 0), 0)
    _check_weights("fweights", fweights, False, x._shape[1])
    _check_weights("aweights", aweights, True, x._shape[1])
    weights = fweights
    if aweights is not None:
        weights = aweights if fweights is None else fweights * aweights
    if weights is None:
        total: Any = x._shape[1]
        mean = reduce.mean(x, 1, True)
        divisor = total - correction
    else:
        weights = cast(weights, dtype_of(x))
        total = reduce.sum(weights)
        mean = reduce.sum(x * weights, 1, True) / total
        divisor = total - correction
        if aweights is not None and correction:
            divisor = total - correction * reduce.sum(weights * aweights) / total
    away = x - mean
    weighted = away if weights is None else away * weights
    divisor = max(divisor, 0) if weights is None else divisor.clamp(min=0)
    return squeeze(matmul(away, t(weighted)) * _inverse(divisor))


def _inverse(divisor: Any) -> Any:
    return 1 / divisor if divisor else math.inf


def corrcoef(input: Tensor) -> Tensor:
    """The correlations of variables, given as cov takes them (torch.corrcoef).

    Example:
        >>> rnn.corrcoef(rnn.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
        tensor([[ 1., -1.],
                [-1.,  1.]])
    """
    if len(input._shape) > 2:
        raise RuntimeError(
            "corrcoef(): expected input to have two or fewer dimensions but got an input with "
            f"{len(input._shape)} dimensions"
        )
    c = cov(input)
    if not c._shape:
        return c / c
    deviation = diag(c).sqrt()
    return (c / unsqueeze(deviation, 1) / unsqueeze(deviation, 0)).clamp(-1, 1)

"""Matrix products of every kind. Floats: one call into C (csrc/matmul.c); integers: NumPy.

At scalar resolution a product is recorded as the multiplications and running sums that it means
(compose_linalg.py);
everything here is made of `matmul` and so needs no composition of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _dtypes
from rnn._c import COMPOSE, E, Handle, adopt, check_room, fail, lib, op
from rnn._einsum import plan_einsum, run_einsum
from rnn._shapes import broadcast_shapes, normalize_dim, normalize_dims
from rnn._shown import show_as
from rnn.ops import _core, compose_linalg, elementwise
from rnn.ops._core import dtype_of, wrap
from rnn.ops.axes import permute
from rnn.ops.gather import index_select
from rnn.ops.masks import masked_fill
from rnn.ops.parts import diagonal
from rnn.ops.shape import expand, reshape, unsqueeze

if TYPE_CHECKING:
    from rnn.tensor import Tensor

_ADD, _MUL, _MUL_SCALAR = op("add"), op("mul"), op("mul_scalar")


def _kinds(name: Callable[[_dtypes.dtype], str], *tensors: Tensor) -> list[str]:
    """What the messages call the dtypes of tensors."""
    return [name(dtype_of(t)) for t in tensors]


def _want_tensor(x: Any, function: str, name: str, position: int) -> None:
    if not isinstance(x, Handle):
        raise TypeError(
            f"{function}(): argument '{name}' (position {position}) must be Tensor, not "
            f"{type(x).__name__}"
        )


# ---- matmul --------------------------------------------------------------------------------------


def _check_product(a: Tensor, b: Tensor) -> None:
    """Raises what PyTorch raises where a @ b has no meaning; the fast path is not here."""
    x, y = a._shape, b._shape
    if not x or not y:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {len(x)}D and {len(y)}D"
        )
    if len(x) == 1 and len(y) == 1:
        _check_dot(a, b)
    elif len(y) == 1:
        if x[-1] != y[0]:
            rows = math.prod(x[:-1])
            raise RuntimeError(
                f"size mismatch, got input ({rows}), mat ({rows}x{x[-1]}), vec ({y[0]})"
            )
    elif len(y) == 2:
        if x[-1] != y[0]:
            raise RuntimeError(
                f"mat1 and mat2 shapes cannot be multiplied ({math.prod(x[:-1])}x{x[-1]} and "
                f"{y[0]}x{y[1]})"
            )
    else:
        batch = broadcast_shapes(x[:-2], y[:-2])
        if x[-1] != y[-2]:
            n = math.prod(batch)
            raise RuntimeError(
                f"Expected size for first two dimensions of batch2 tensor to be: [{n}, {x[-1]}] "
                f"but got: [{n}, {y[-2]}]."
            )
    if dtype_of(a) is not dtype_of(b):
        have, given = _kinds(_core.c_name, a, b)
        raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {have} != {given}")


def _check_dot(a: Tensor, b: Tensor) -> None:
    if dtype_of(a) is not dtype_of(b):
        have, given = _kinds(_core.type_name, a, b)
        raise RuntimeError(
            f"dot : expected both vectors to have same dtype, but found {have} and {given}"
        )
    m, n = a._shape[0], b._shape[0]
    if m != n:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor [{m}] and src [{n}] to have the same "
            f"number of elements, but got {m} and {n} elements respectively"
        )


def matmul(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The product of vectors, matrices and batches of matrices, which broadcast: input @ other
    (torch.matmul).

    Shapes: (k) (k) -> (); (m, k) (k) -> (m); (k) (k, n) -> (n); (..., m, k) (..., k, n) -> (..., m,
        n).

    Raises:
        RuntimeError: the shapes do not fit, or the dtypes differ.

    Example:
        >>> (rnn.ones(2, 3) @ rnn.ones(3, 4)).shape
        rnn.Size([2, 4])
    """
    _want_tensor(other, "matmul", "other", 2)
    if out is not None:
        return _into(matmul(input, other), out)
    h = lib.rnn_matmul(E, input._h, other._h)
    if h > 0:
        return adopt(h)
    if h == COMPOSE and input._shape[-1]:
        return compose_linalg.matmul(input, other)
    _check_product(input, other)
    if not input._h:
        return _integer_product(input, other)
    if h != COMPOSE:
        fail(h)
    was = lib.rnn_set_resolution(0)  # a sum of nothing: there is nothing to write out
    h = lib.rnn_matmul(E, input._h, other._h)
    lib.rnn_set_resolution(was)
    return adopt(h) if h > 0 else fail(h)


def _integer_product(a: Tensor, b: Tensor) -> Tensor:
    if dtype_of(a) is _dtypes.bool_:
        raise NotImplementedError("\"addmm_impl_cpu_\" not implemented for 'Bool'")
    x, y = a._array, b._array
    outer = broadcast_shapes(x.shape[:-2], y.shape[:-2])
    check_room("matmul", (*outer, *x.shape[-2:-1], *y.shape[1:][-1:]), x.itemsize)
    return wrap(np.matmul(x, y))


def _into(made: Tensor, out: Tensor | None) -> Tensor:
    """`out=` of a product, which must have its dtype."""
    if out is not None and dtype_of(out) is not dtype_of(made):
        have, given = _kinds(_core.c_name, made, out)
        raise RuntimeError(f"Expected out tensor to have dtype {have}, but got {given} instead")
    return _core.view_as_result(made, out)


def matmul_operator(input: Tensor, other: Any) -> Any:
    """input @ other."""
    return matmul(input, other) if isinstance(other, Handle) else NotImplemented


def rmatmul_operator(input: Tensor, other: Any) -> Any:
    """other @ input, where other is no tensor."""
    return matmul(other, input) if isinstance(other, Handle) else NotImplemented


def mm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The product of two matrices (torch.mm).

    Example:
        >>> rnn.mm(rnn.tensor([[1.0, 2.0]]), rnn.tensor([[3.0], [4.0]]))
        tensor([[11.]])
    """
    _want_tensor(mat2, "mm", "mat2", 2)
    for t, name in ((input, "self"), (mat2, "mat2")):
        if len(t._shape) != 2:
            raise RuntimeError(f"{name} must be a matrix")
    return _into(matmul(input, mat2), out)


def bmm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The products of two batches of matrices, (b, m, k) (b, k, n) (torch.bmm).

    Example:
        >>> rnn.bmm(rnn.ones(2, 1, 3), rnn.ones(2, 3, 1)).shape
        rnn.Size([2, 1, 1])
    """
    _check_batches(input, mat2)
    return _into(matmul(input, mat2), out)


def _check_batches(a: Tensor, b: Tensor) -> None:
    _want_tensor(b, "bmm", "mat2", 2)
    for t, name in ((a, "batch1"), (b, "batch2")):
        if len(t._shape) != 3:
            raise RuntimeError(f"{name} must be a 3D tensor")
    x, y = a._shape, b._shape
    if (x[0], x[2]) != y[:2]:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{x[0]}, {x[2]}] but "
            f"got: [{y[0]}, {y[1]}]."
        )
    if dtype_of(a) is not dtype_of(b):
        have, given = _kinds(_core.type_name, a, b)
        raise RuntimeError(f"expected scalar type {have} but found {given}")


def mv(input: Tensor, vec: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The product of a matrix and a vector (torch.mv).

    Example:
        >>> rnn.mv(rnn.tensor([[1.0, 2.0], [3.0, 4.0]]), rnn.ones(2))
        tensor([3., 7.])
    """
    if len(input._shape) != 2 or len(vec._shape) != 1:
        raise RuntimeError(
            f"vector + matrix @ vector expected, got 1, {len(input._shape)}, {len(vec._shape)}"
        )
    return _into(matmul(input, vec), out)


def dot(input: Tensor, tensor: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The sum of the products of two vectors (torch.dot).

    Example:
        >>> rnn.dot(rnn.tensor([1.0, 2.0]), rnn.tensor([3.0, 4.0]))
        tensor(11.)
    """
    _want_tensor(tensor, "dot", "tensor", 2)
    if len(input._shape) != 1 or len(tensor._shape) != 1:
        raise RuntimeError(
            f"1D tensors expected, but got {len(input._shape)}D and {len(tensor._shape)}D tensors"
        )
    _check_dot(input, tensor)
    return _into(matmul(input, tensor), out)


def vdot(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """dot: there are no complex numbers to conjugate (torch.vdot).

    Example:
        >>> rnn.vdot(rnn.tensor([1.0, 2.0]), rnn.tensor([3.0, 4.0]))
        tensor(11.)
    """
    return dot(input, other, out=out)


# ---- products in other shapes --------------------------------------------------------------------


def _times(a: Tensor, b: Any) -> Tensor:
    """The elementwise product, with broadcasting and promotion."""
    to = _core.result_dtype(a, b)
    if to in _core.CODES:
        return elementwise.binary(_MUL, a, b)
    return elementwise.integers(np.multiply, a, b, to)


def _scaled(a: Tensor, factor: Any) -> Tensor:
    if factor == 1:
        return a
    return (
        elementwise.unary(_MUL_SCALAR, a, factor)
        if a._h
        else wrap(a._array * a._array.dtype.type(factor))
    )


def inner(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Products summed over the last dimension of both (torch.inner).

    Example:
        >>> rnn.inner(rnn.tensor([1.0, 2.0]), rnn.tensor([3.0, 4.0]))
        tensor(11.)
    """
    if not input._shape or not other._shape:
        return _core.view_as_result(_times(input, other), out)
    if input._shape[-1] != other._shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(input._shape)} and {list(other._shape)}"
        )
    if len(input._shape) == 1 and len(other._shape) == 1:
        return dot(input, other, out=out)
    return _into(tensordot(input, other, ([-1], [-1])), out)


def outer(input: Tensor, vec2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """All products of an element of one vector and one of another (torch.outer).

    Example:
        >>> rnn.outer(rnn.tensor([1.0, 2.0]), rnn.tensor([3.0, 4.0]))
        tensor([[3., 4.],
                [6., 8.]])
    """
    for t, name in ((input, "self"), (vec2, "vec2")):
        if len(t._shape) != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {len(t._shape)}-D")
    return _core.view_as_result(_times(unsqueeze(input, 1), vec2), out)


def tensordot(a: Tensor, b: Tensor, dims: Any = 2, out: Tensor | None = None) -> Tensor:
    """Products summed over several dimensions of both (torch.tensordot).

    Args:
        dims: how many of a's last and b's first dimensions, or a list for each.

    Example:
        >>> rnn.tensordot(rnn.ones(2, 3, 4), rnn.ones(3, 4, 5), 2).shape
        rnn.Size([2, 5])
    """
    if isinstance(dims, Handle):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(len(a._shape), len(b._shape)):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        dims = (list(range(-dims, 0)), list(range(dims)))
    given = [[d] if isinstance(d, int) else list(d) for d in dims]
    if len(given[0]) != len(given[1]):
        raise RuntimeError("both dimension lists should have same length")
    if dtype_of(a) is not dtype_of(b):
        raise RuntimeError("both inputs should have same dtype")
    for d, e in zip(*given):
        m, n = a._shape[normalize_dim(d, len(a._shape))], b._shape[normalize_dim(e, len(b._shape))]
        if m == 1 and n != 1:  # broadcast
            b = b.sum(e, keepdim=True)
        elif n == 1 and m != 1:
            a = a.sum(d, keepdim=True)
        elif m != n:
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {m} in dim {d} and "
                f"second has size {n} in dim {e}"
            )
    summed = normalize_dims(given[0], len(a._shape)), normalize_dims(given[1], len(b._shape))
    rows = [d for d in range(len(a._shape)) if d not in summed[0]]
    columns = [d for d in range(len(b._shape)) if d not in summed[1]]
    shape = tuple([a._shape[d] for d in rows] + [b._shape[d] for d in columns])
    k = math.prod([a._shape[d] for d in summed[0]])
    m, n = math.prod([a._shape[d] for d in rows]), math.prod([b._shape[d] for d in columns])
    left = reshape(permute(a, [*rows, *summed[0]]), m, k)
    right = reshape(permute(b, [*summed[1], *columns]), k, n)
    return _into(reshape(matmul(left, right), shape), out)


def kron(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The Kronecker product: other, times each element of input (torch.kron).

    Example:
        >>> rnn.kron(rnn.tensor([1, 10]), rnn.tensor([1, 2, 3]))
        tensor([ 1,  2,  3, 10, 20, 30])
    """
    ndim = max(len(input._shape), len(other._shape))
    a = (1,) * (ndim - len(input._shape)) + input._shape
    b = (1,) * (ndim - len(other._shape)) + other._shape
    left = reshape(input, [n for size in a for n in (size, 1)])
    right = reshape(other, [n for size in b for n in (1, size)])
    return _core.view_as_result(reshape(_times(left, right), [m * n for m, n in zip(a, b)]), out)


def cross(
    input: Tensor, other: Tensor, dim: int | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The vector product along a dimension of size 3, by default the first such (torch.cross).

    Example:
        >>> rnn.cross(rnn.tensor([1.0, 0.0, 0.0]), rnn.tensor([0.0, 1.0, 0.0]))
        tensor([0., 0., 1.])
    """
    if len(input._shape) != len(other._shape):
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    shape = broadcast_shapes(input._shape, other._shape)
    if dim is None:
        if 3 not in shape:
            raise RuntimeError("no dimension of size 3 in input")
        dim = shape.index(3)
    at = normalize_dim(dim, len(shape))
    for t in (input, other):
        if t._shape[at] != 3:
            raise RuntimeError(
                f"linalg.cross: inputs dimension {dim} must have length 3. Got {input._shape[at]} "
                f"and {other._shape[at]}"
            )
    a, b = expand(input, shape), expand(other, shape)
    once, twice = wrap(np.array([1, 2, 0])), wrap(np.array([2, 0, 1]))
    forward = _times(index_select(a, at, once), index_select(b, at, twice))
    back = _times(index_select(a, at, twice), index_select(b, at, once))
    made = _plus(forward, back, -1) if forward._h and back._h else forward - back
    return _core.view_as_result(made, out)


# ---- products with something added ---------------------------------------------------------------


def _plus(a: Tensor, b: Tensor, factor: Any = 1) -> Tensor:
    """a + factor b."""
    if a._h and b._h:
        return elementwise.binary(_ADD, a, b, factor)
    return elementwise.integers(np.add, a, _scaled(b, factor), dtype_of(a))


def _added(input: Tensor, product: Tensor, beta: Any, alpha: Any, out: Tensor | None) -> Tensor:
    """beta * input + alpha * product, of product's shape."""
    if not product._h:
        alpha, beta = int(alpha), int(beta)
    wide = expand(input, product._shape)
    if beta == 0:  # whatever it is, NaN included: zeros, and a gradient of zeros
        wide = masked_fill(wide, wrap(np.array(True)), 0)
        beta = 1
    return _into(_plus(_scaled(wide, beta), product, alpha), out)


def _same_dtype(input: Tensor, b: Tensor) -> None:
    if dtype_of(input) is not dtype_of(b):
        have, given = _kinds(_core.type_name, input, b)
        raise RuntimeError(f"self and mat2 must have the same dtype, but got {have} and {given}")


def addmm(
    input: Tensor,
    mat1: Tensor,
    mat2: Tensor,
    *,
    beta: Any = 1,
    alpha: Any = 1,
    out: Tensor | None = None,
) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2), input broadcast (torch.addmm).

    Example:
        >>> rnn.addmm(rnn.ones(1, 1), rnn.ones(1, 3), rnn.ones(3, 1), beta=2)
        tensor([[5.]])
    """
    for t, name in ((mat1, "mat1"), (mat2, "mat2")):
        if len(t._shape) != 2:
            raise RuntimeError(f"{name} must be a matrix, got {len(t._shape)}-D tensor")
    _same_dtype(input, mat2)
    return show_as(_added(input, matmul(mat1, mat2), beta, alpha, out), "AddmmBackward0")


def addmv(
    input: Tensor,
    mat: Tensor,
    vec: Tensor,
    *,
    beta: Any = 1,
    alpha: Any = 1,
    out: Tensor | None = None,
) -> Tensor:
    """beta * input + alpha * (mat @ vec), input broadcast (torch.addmv).

    Example:
        >>> rnn.addmv(rnn.ones(2), rnn.tensor([[1.0, 2.0], [3.0, 4.0]]), rnn.ones(2))
        tensor([4., 8.])
    """
    shapes = input._shape, mat._shape, vec._shape
    if len(shapes[1]) != 2 or len(shapes[2]) != 1 or len(shapes[0]) > 1:
        raise RuntimeError(
            f"vector + matrix @ vector expected, got {len(shapes[0])}, {len(shapes[1])}, "
            f"{len(shapes[2])}"
        )
    m, k = shapes[1]
    have = math.prod(shapes[0])
    if k != shapes[2][0] or have not in (1, m):
        raise RuntimeError(
            f"size mismatch, got input ({have}), mat ({m}x{k}), vec ({shapes[2][0]})"
        )
    return show_as(_added(input, matmul(mat, vec), beta, alpha, out), "AddmvBackward0")


def addr(
    input: Tensor,
    vec1: Tensor,
    vec2: Tensor,
    *,
    beta: Any = 1,
    alpha: Any = 1,
    out: Tensor | None = None,
) -> Tensor:
    """beta * input + alpha * outer(vec1, vec2), input broadcast (torch.addr).

    Example:
        >>> rnn.addr(rnn.zeros(2, 2), rnn.tensor([1.0, 2.0]), rnn.tensor([3.0, 4.0]))
        tensor([[3., 4.],
                [6., 8.]])
    """
    return _added(input, outer(vec1, vec2), beta, alpha, out)


def baddbmm(
    input: Tensor,
    batch1: Tensor,
    batch2: Tensor,
    *,
    beta: Any = 1,
    alpha: Any = 1,
    out: Tensor | None = None,
) -> Tensor:
    """beta * input + alpha * bmm(batch1, batch2), input broadcast (torch.baddbmm).

    Example:
        >>> rnn.baddbmm(rnn.ones(2, 1, 1), rnn.ones(2, 1, 3), rnn.ones(2, 3, 1)).flatten()
        tensor([4., 4.])
    """
    _check_batches(batch1, batch2)
    return show_as(_added(input, matmul(batch1, batch2), beta, alpha, out), "BaddbmmBackward0")


def addbmm(
    input: Tensor,
    batch1: Tensor,
    batch2: Tensor,
    *,
    beta: Any = 1,
    alpha: Any = 1,
    out: Tensor | None = None,
) -> Tensor:
    """beta * input + alpha * the sum of bmm(batch1, batch2) over the batch (torch.addbmm).

    Example:
        >>> rnn.addbmm(rnn.zeros(1, 1), rnn.ones(2, 1, 3), rnn.ones(2, 3, 1))
        tensor([[6.]])
    """
    _check_batches(batch1, batch2)
    b, m, k = batch1._shape
    left = reshape(permute(batch1, 1, 0, 2), m, b * k)
    return _added(
        input,
        matmul(left, reshape(batch2, b * k, -1 if b * k else batch2._shape[2])),
        beta,
        alpha,
        out,
    )


# ---- einsum, chains and powers -------------------------------------------------------------------


def _letters(operands: Sequence[Any]) -> tuple[str, list[Any]]:
    """einsum's other form, op, [0, 1], op, [1, 2], [0, 2], as an equation and operands."""

    def term(labels: Sequence[Any]) -> str:
        return "".join(
            ["..." if n is Ellipsis else chr((65 if n < 26 else 71) + n) for n in labels]
        )

    pairs = list(zip(operands[0::2], operands[1::2]))
    equation = ",".join([term(labels) for _, labels in pairs])
    if len(operands) % 2:
        equation += "->" + term(operands[-1])
    return equation, [t for t, _ in pairs]


def einsum(*args: Any) -> Tensor:
    """Sums of products in Einstein's notation: einsum("ij,jk->ik", a, b) (torch.einsum).

    Raises:
        RuntimeError: the equation is wrong or does not fit the shapes.

    Example:
        >>> rnn.einsum("bi,bi->b", rnn.ones(2, 3), rnn.ones(2, 3))
        tensor([3., 3.])
    """
    equation, operands = (
        (args[0], list(args[1:])) if args and isinstance(args[0], str) else _letters(args)
    )
    if len(operands) == 1 and isinstance(operands[0], (tuple, list)):
        operands = list(operands[0])
    for t in operands[1:]:
        if dtype_of(t) is not dtype_of(operands[0]):
            have, given = _kinds(_core.type_name, operands[0], t)
            raise RuntimeError(f"expected scalar type {have} but found {given}")
    steps = plan_einsum(equation, tuple([t._shape for t in operands]))
    return run_einsum(steps, operands, _EINSUM)


_EINSUM: dict[str, Any] = {
    "diagonal": lambda a, first, second: diagonal(a, 0, first, second),
    "permute": permute,
    "reshape": reshape,
    "sum": lambda a, dims: a.sum(dims),
    "mul": _times,
    "matmul": matmul,
}


def multi_dot(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """A chain of matrix products, the cheapest pair first (torch.linalg.multi_dot)."""
    every = list(tensors)
    if len(every) < 2:
        raise RuntimeError("multi_dot(): expected at least 2 tensors but got " + str(len(every)))
    while len(every) > 2:
        costs = [
            math.prod(every[i]._shape) * every[i + 1]._shape[-1] for i in range(len(every) - 1)
        ]
        at = costs.index(min(costs))
        every[at : at + 2] = [matmul(every[at], every[at + 1])]
    return _into(matmul(*every), out)


def chain_matmul(*matrices: Tensor, out: Tensor | None = None) -> Tensor:
    """multi_dot by its old name (torch.chain_matmul).

    Example:
        >>> rnn.chain_matmul(rnn.ones(2, 3), rnn.ones(3, 4), rnn.ones(4, 1)).shape
        rnn.Size([2, 1])
    """
    return multi_dot(_core.check_elements(matrices), out=out)


def matrix_power(input: Tensor, n: int, *, out: Tensor | None = None) -> Tensor:
    """A square matrix multiplied with itself, n times; its inverse, -n times, where n < 0
    (torch.matrix_power).

    Example:
        >>> rnn.matrix_power(rnn.tensor([[1.0, 1.0], [0.0, 1.0]]), 3)
        tensor([[1., 3.],
                [0., 1.]])
    """
    if n < 0:
        from rnn.linalg import inv

        return matrix_power(inv(input), -n, out=out)
    if len(input._shape) < 2:
        raise RuntimeError(
            "linalg.matrix_power: The input tensor A must have at least 2 dimensions."
        )
    if n == 0:
        check_room("matrix_power", input._shape, dtype_of(input).itemsize)
        eye = np.broadcast_to(np.eye(input._shape[-1], dtype=dtype_of(input).storage), input._shape)
        return _core.view_as_result(wrap(eye.copy()), out)
    power, square = None, input if n > 1 else input.clone()
    while n:
        if n & 1:
            power = square if power is None else matmul(power, square)
        n >>= 1
        square = matmul(square, square) if n else square
    assert power is not None
    return _core.view_as_result(power, out)

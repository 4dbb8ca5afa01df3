"""In-place forms that are their function, written into its first argument: comparisons, logic,
bits, products and others; and the diagonal, filled.

Where memory can be written directly (add_, exp_, ...), the in-place form stands by its function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnn.ops import comparison, elementwise, linalg, norms, pairs, trig, unary
from rnn.ops._core import Number
from rnn.ops.elementwise import fill_, in_place
from rnn.ops.parts import as_strided
from rnn.ops.shape import strides_of

if TYPE_CHECKING:
    from rnn.tensor import Tensor

# ---- comparisons, as 0 and 1 in input's dtype ----------------------------------------------------


def eq_(input: Tensor, other: Any) -> Tensor:
    """eq, in place (torch.Tensor.eq_)."""
    return in_place(input, comparison.eq(input, other))


def ne_(input: Tensor, other: Any) -> Tensor:
    """ne, in place (torch.Tensor.ne_)."""
    return in_place(input, comparison.ne(input, other))


def lt_(input: Tensor, other: Any) -> Tensor:
    """lt, in place (torch.Tensor.lt_)."""
    return in_place(input, comparison.lt(input, other))


def le_(input: Tensor, other: Any) -> Tensor:
    """le, in place (torch.Tensor.le_)."""
    return in_place(input, comparison.le(input, other))


def gt_(input: Tensor, other: Any) -> Tensor:
    """gt, in place (torch.Tensor.gt_)."""
    return in_place(input, comparison.gt(input, other))


def ge_(input: Tensor, other: Any) -> Tensor:
    """ge, in place (torch.Tensor.ge_)."""
    return in_place(input, comparison.ge(input, other))


# ---- logic and bits ------------------------------------------------------------------------------


def logical_and_(input: Tensor, other: Tensor) -> Tensor:
    """logical_and, in place (torch.Tensor.logical_and_)."""
    return in_place(input, comparison.logical_and(input, other))


def logical_or_(input: Tensor, other: Tensor) -> Tensor:
    """logical_or, in place (torch.Tensor.logical_or_)."""
    return in_place(input, comparison.logical_or(input, other))


def logical_xor_(input: Tensor, other: Tensor) -> Tensor:
    """logical_xor, in place (torch.Tensor.logical_xor_)."""
    return in_place(input, comparison.logical_xor(input, other))


def bitwise_and_(input: Tensor, other: Any) -> Tensor:
    """bitwise_and, in place (torch.Tensor.bitwise_and_)."""
    return in_place(input, comparison.bitwise_and(input, other))


def bitwise_or_(input: Tensor, other: Any) -> Tensor:
    """bitwise_or, in place (torch.Tensor.bitwise_or_)."""
    return in_place(input, comparison.bitwise_or(input, other))


def bitwise_xor_(input: Tensor, other: Any) -> Tensor:
    """bitwise_xor, in place (torch.Tensor.bitwise_xor_)."""
    return in_place(input, comparison.bitwise_xor(input, other))


def bitwise_left_shift_(input: Tensor, other: Any) -> Tensor:
    """bitwise_left_shift, in place (torch.Tensor.bitwise_left_shift_)."""
    return in_place(input, comparison.bitwise_left_shift(input, other))


def bitwise_right_shift_(input: Tensor, other: Any) -> Tensor:
    """bitwise_right_shift, in place (torch.Tensor.bitwise_right_shift_)."""
    return in_place(input, comparison.bitwise_right_shift(input, other))


def bitwise_not_(input: Tensor) -> Tensor:
    """bitwise_not, in place (torch.Tensor.bitwise_not_)."""
    return in_place(input, comparison.bitwise_not(input))


# ---- two tensors ---------------------------------------------------------------------------------


def gcd_(input: Tensor, other: Tensor) -> Tensor:
    """gcd, in place (torch.Tensor.gcd_)."""
    return in_place(input, comparison.gcd(input, other))


def lcm_(input: Tensor, other: Tensor) -> Tensor:
    """lcm, in place (torch.Tensor.lcm_)."""
    return in_place(input, comparison.lcm(input, other))


def atan2_(input: Tensor, other: Tensor) -> Tensor:
    """atan2, in place (torch.Tensor.atan2_)."""
    return in_place(input, pairs.atan2(input, other))


def hypot_(input: Tensor, other: Tensor) -> Tensor:
    """hypot, in place (torch.Tensor.hypot_)."""
    return in_place(input, pairs.hypot(input, other))


def xlogy_(input: Tensor, other: Any) -> Tensor:
    """xlogy, in place (torch.Tensor.xlogy_)."""
    return in_place(input, pairs.xlogy(input, other))


def copysign_(input: Tensor, other: Any) -> Tensor:
    """copysign, in place (torch.Tensor.copysign_)."""
    return in_place(input, pairs.copysign(input, other))


def ldexp_(input: Tensor, other: Any) -> Tensor:
    """ldexp, in place (torch.Tensor.ldexp_)."""
    return in_place(input, pairs.ldexp(input, other))


def heaviside_(input: Tensor, values: Tensor) -> Tensor:
    """heaviside, in place (torch.Tensor.heaviside_)."""
    return in_place(input, pairs.heaviside(input, values))


def float_power_(input: Tensor, exponent: Any) -> Tensor:
    """float_power, in place (torch.Tensor.float_power_)."""
    return in_place(input, elementwise.float_power(input, exponent))


# ---- one tensor ----------------------------------------------------------------------------------


def logit_(input: Tensor, eps: float | None = None) -> Tensor:
    """logit, in place (torch.Tensor.logit_)."""
    return in_place(input, unary.logit(input, eps))


def sinc_(input: Tensor) -> Tensor:
    """sinc, in place (torch.Tensor.sinc_)."""
    return in_place(input, trig.sinc(input))


def deg2rad_(input: Tensor) -> Tensor:
    """deg2rad, in place (torch.Tensor.deg2rad_)."""
    return in_place(input, trig.deg2rad(input))


def rad2deg_(input: Tensor) -> Tensor:
    """rad2deg, in place (torch.Tensor.rad2deg_)."""
    return in_place(input, trig.rad2deg(input))


def renorm_(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """renorm, in place (torch.Tensor.renorm_)."""
    return in_place(input, norms.renorm(input, p, dim, maxnorm))


# ---- products: beta * input + alpha * (a product) ------------------------------------------------


def addmm_(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Number = 1, alpha: Number = 1
) -> Tensor:
    """addmm, in place (torch.Tensor.addmm_)."""
    return in_place(input, linalg.addmm(input, mat1, mat2, beta=beta, alpha=alpha))


def addmv_(
    input: Tensor, mat: Tensor, vec: Tensor, *, beta: Number = 1, alpha: Number = 1
) -> Tensor:
    """addmv, in place (torch.Tensor.addmv_)."""
    return in_place(input, linalg.addmv(input, mat, vec, beta=beta, alpha=alpha))


def addr_(
    input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Number = 1, alpha: Number = 1
) -> Tensor:
    """addr, in place (torch.Tensor.addr_)."""
    return in_place(input, linalg.addr(input, vec1, vec2, beta=beta, alpha=alpha))


def addbmm_(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Number = 1, alpha: Number = 1
) -> Tensor:
    """addbmm, in place (torch.Tensor.addbmm_)."""
    return in_place(input, linalg.addbmm(input, batch1, batch2, beta=beta, alpha=alpha))


def baddbmm_(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Number = 1, alpha: Number = 1
) -> Tensor:
    """baddbmm, in place (torch.Tensor.baddbmm_)."""
    return in_place(input, linalg.baddbmm(input, batch1, batch2, beta=beta, alpha=alpha))


# ---- the diagonal --------------------------------------------------------------------------------


def fill_diagonal_(input: Tensor, fill_value: Number, wrap: bool = False) -> Tensor:
    """The main diagonal becomes fill_value, in place (torch.Tensor.fill_diagonal_).

    Args:
        input: of two dimensions or more, which are equal where there are more than two.
        wrap: whether the diagonal begins again below, in a matrix that is taller than wide.

    Raises:
        RuntimeError: input has another shape.

    Example:
        >>> rnn.zeros(2, 3).fill_diagonal_(5)
        tensor([[5., 0., 0.],
                [0., 5., 0.]])
    """
    shape, strides = input._shape, strides_of(input)
    if len(shape) < 2:
        raise RuntimeError("dimensions must larger than 1")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    starts = [0]
    if wrap and len(shape) == 2 and shape[0] > shape[1] + 1:
        starts = list(range(0, shape[0], shape[1] + 1))
    for start in starts:
        count = min(shape[0] - start, *shape[1:])
        rows = input.narrow(0, start, shape[0] - start) if start else input
        fill_(as_strided(rows, (count,), (sum(strides),), rows.storage_offset()), fill_value)
    return input

"""What parameters and samples must satisfy (torch.distributions.constraints): each constraint has
check(value), which says where a tensor does, and prints itself into the error where it does not.
"""

from __future__ import annotations

from typing import Any

from rnn.linalg import eigvalsh
from rnn.tensor import Tensor


class Constraint:
    """A region of values; event_dim says how many last dimensions one check spans."""

    is_discrete = False
    event_dim = 0

    def check(self, value: Tensor) -> Tensor:
        """A bool tensor: where value is inside.

        Raises:
            NotImplementedError: always; each constraint overrides it.
        """
        raise NotImplementedError

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value}" for name, value in vars(self).items())
        return f"{type(self).__name__.lstrip('_')}({fields})"


class _Real(Constraint):
    def check(self, value: Tensor) -> Tensor:
        return value == value  # false for NaN only


class _Boolean(Constraint):
    is_discrete = True

    def check(self, value: Tensor) -> Tensor:
        return (value == 0) | (value == 1)


class _Simplex(Constraint):
    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        return (value >= 0).all(-1) & ((value.sum(-1) - 1).abs() < 1e-6)


class IntegerInterval(Constraint):
    """Whole numbers from lower_bound to upper_bound, both included."""

    is_discrete = True

    def __init__(self, lower_bound: Any, upper_bound: Any) -> None:
        self.lower_bound = lower_bound
        self.upper_bound = upper_bound

    def check(self, value: Tensor) -> Tensor:
        inside = (value >= self.lower_bound) & (value <= self.upper_bound)
        return (value % 1 == 0) & inside


class Interval(Constraint):
    """From lower_bound to upper_bound, both included."""

    def __init__(self, lower_bound: Any, upper_bound: Any) -> None:
        self.lower_bound = lower_bound
        self.upper_bound = upper_bound

    def check(self, value: Tensor) -> Tensor:
        return (value >= self.lower_bound) & (value <= self.upper_bound)


class GreaterThan(Constraint):
    """Above lower_bound."""

    def __init__(self, lower_bound: Any) -> None:
        self.lower_bound = lower_bound

    def check(self, value: Tensor) -> Tensor:
        return value > self.lower_bound


class LessThan(Constraint):
    """Below upper_bound."""

    def __init__(self, upper_bound: Any) -> None:
        self.upper_bound = upper_bound

    def check(self, value: Tensor) -> Tensor:
        return value < self.upper_bound


class GreaterThanEq(Constraint):
    """lower_bound and above."""

    def __init__(self, lower_bound: Any) -> None:
        self.lower_bound = lower_bound

    def check(self, value: Tensor) -> Tensor:
        return value >= self.lower_bound


class _OneHot(Constraint):
    is_discrete = True
    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        return ((value == 0) | (value == 1)).all(-1) & (value.sum(-1) == 1)


class _PositiveDefinite(Constraint):
    event_dim = 2

    def check(self, value: Tensor) -> Tensor:
        value = value.detach()
        symmetric = ((value - value.mT).abs() <= 1e-6 + 1e-5 * value.mT.abs()).all(-1).all(-1)
        if not symmetric.all():
            return symmetric
        return eigvalsh(value)[..., 0] > 0


class _LowerCholesky(Constraint):
    event_dim = 2

    def check(self, value: Tensor) -> Tensor:
        lower = (value.tril() == value).all(-1).all(-1)
        return lower & (value.diagonal(dim1=-2, dim2=-1) > 0).all(-1)


class IndependentConstraint(Constraint):
    """base for all entries of the last reinterpreted_batch_ndims dimensions together."""

    def __init__(self, base: Constraint, reinterpreted_batch_ndims: int) -> None:
        self.base_constraint = base
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims
        self.is_discrete = base.is_discrete
        self.event_dim = base.event_dim + reinterpreted_batch_ndims

    def check(self, value: Tensor) -> Tensor:
        inside = self.base_constraint.check(value)
        return inside.flatten(inside.dim() - self.reinterpreted_batch_ndims).all(-1)

    def __repr__(self) -> str:
        base, ndims = self.base_constraint, self.reinterpreted_batch_ndims
        return f"IndependentConstraint({base!r}, {ndims})"


independent = IndependentConstraint
integer_interval = IntegerInterval
interval = Interval
greater_than = GreaterThan
less_than = LessThan
boolean: Constraint = _Boolean()
real: Constraint = _Real()
real_vector: Constraint = IndependentConstraint(real, 1)
simplex: Constraint = _Simplex()
unit_interval: Constraint = Interval(0.0, 1.0)
positive: Constraint = GreaterThan(0.0)
greater_than_eq = GreaterThanEq
nonnegative: Constraint = GreaterThanEq(0.0)
one_hot: Constraint = _OneHot()
positive_definite: Constraint = _PositiveDefinite()
lower_cholesky: Constraint = _LowerCholesky()

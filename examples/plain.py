"""What rnn is, in plain Python: numbers that can go back to what they were made from, and tables.

`Value` is all of backpropagation. `rnn.Value` is the same class with its graph in C: the same
numbers to the last digit, more than ten times as fast. `Matrix` is what a tensor means, one Value
at a time; it takes either class. Nothing is printed here: `microgpt.py` runs on both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import chain
from operator import add, mul
from typing import Any


class Value:
    """A number that remembers the numbers it was made from, and its derivative by each of them."""

    __slots__ = ("data", "grad", "operands", "slopes")

    def __init__(
        self, data: float, operands: tuple[Value, ...] = (), slopes: tuple[float, ...] = ()
    ) -> None:
        self.data = data
        self.grad = 0.0
        self.operands = operands
        self.slopes = slopes

    def __add__(self, other: Value | float) -> Value:
        if not isinstance(other, Value):
            other = Value(other)
        return Value(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other: Value | float) -> Value:
        if not isinstance(other, Value):
            other = Value(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def __pow__(self, power: float) -> Value:
        return Value(self.data**power, (self,), (power * self.data ** (power - 1),))

    def exp(self) -> Value:
        result = math.exp(self.data)
        return Value(result, (self,), (result,))

    def log(self) -> Value:
        return Value(math.log(self.data), (self,), (1 / self.data,))

    def relu(self) -> Value:
        positive = self.data > 0
        return Value(self.data if positive else 0.0, (self,), (float(positive),))

    def __neg__(self) -> Value:
        return self * -1.0

    def __radd__(self, other: float) -> Value:
        return self + other

    def __sub__(self, other: Value | float) -> Value:
        return self + -other

    def __rsub__(self, other: float) -> Value:
        return other + -self

    def __rmul__(self, other: float) -> Value:
        return self * other

    def __truediv__(self, other: Value | float) -> Value:
        return self * other**-1

    def __rtruediv__(self, other: float) -> Value:
        return other * self**-1

    def __repr__(self) -> str:
        return f"Value(data={self.data}, grad={self.grad})"

    def backward(self) -> None:
        """Adds this value's derivative by each value it was made from to that one's `grad`."""
        self.grad = 1.0
        for value in reversed(self.graph()):
            grad = value.grad
            for operand, slope in zip(value.operands, value.slopes, strict=True):
                operand.grad += slope * grad

    def graph_size(self) -> int:
        """How many values are behind this one, itself included."""
        return len(self.graph())

    def graph(self) -> list[Value]:
        """All that this value was made from, operands first: depth first, without recursion."""
        order: list[Value] = []
        seen: set[Value] = set()
        # Below None lies a value whose operands are all in order; others are to be looked into.
        stack: list[Any] = [self]
        while stack:
            top = stack.pop()
            if top is None:
                order.append(stack.pop())
            elif top not in seen:
                seen.add(top)
                if top.operands:
                    stack.append(top)
                    stack.append(None)
                    stack.extend(top.operands[::-1])
                else:
                    order.append(top)
        return order


class Matrix:
    """Rows of Values. Its methods are a tensor's, and say which scalar operations those stand for.

    `rnn.resolution("scalar")` records tensors as the same operations.
    """

    def __init__(self, rows: Iterable[Iterable[Any]]) -> None:
        self.rows = [list(row) for row in rows]

    def __getitem__(self, key: Any) -> Matrix:
        """m[[2, 0]], m[:3]: rows. m[:, 4:8]: columns. m[[0, 1], [5, 6]]: an element a row."""
        if isinstance(key, slice):
            return Matrix(self.rows[key])
        if isinstance(key, list):
            return Matrix(self.rows[i] for i in key)
        which, columns = key
        if isinstance(columns, slice):
            return Matrix(row[columns] for row in self.rows[which])
        return Matrix([[self.rows[i][j] for i, j in zip(which, columns, strict=True)]])

    @property
    def T(self) -> Matrix:
        return Matrix(zip(*self.rows, strict=True))

    def __matmul__(self, other: Matrix) -> Matrix:
        columns = other.T.rows
        return Matrix([sum(map(mul, row, column)) for column in columns] for row in self.rows)

    def __add__(self, other: Matrix | float) -> Matrix:
        return self._each(add, other)

    def __mul__(self, other: Matrix | float) -> Matrix:
        return self._each(mul, other)

    def _each(self, function: Callable[[Any, Any], Any], other: Matrix | float) -> Matrix:
        """function of each element and a number, or another matrix's element at the same place.

        A matrix of one column serves every column.
        """
        if not isinstance(other, Matrix):
            return Matrix([function(x, other) for x in row] for row in self.rows)
        pairs = zip(self.rows, other.rows, strict=True)
        return Matrix(
            map(function, row, beside * (len(row) // len(beside))) for row, beside in pairs
        )

    def __pow__(self, power: float) -> Matrix:
        return Matrix([x**power for x in row] for row in self.rows)

    def relu(self) -> Matrix:
        return Matrix([x.relu() for x in row] for row in self.rows)

    def mean(self, dim: int, keepdim: bool = False) -> Any:
        """Of each row: a column of means with keepdim, and without it the first row's."""
        means = [sum(row) * (1 / len(row)) for row in self.rows]
        return Matrix([mean] for mean in means) if keepdim else means[0]

    def softmax(self, dim: int) -> Matrix:
        """Of each row: e to the power of each element, over the sum of them."""
        powers = [[x.exp() for x in row] for row in self._below_largest()]
        return Matrix(map(mul, row, [sum(row) ** -1] * len(row)) for row in powers)

    def log_softmax(self, dim: int) -> Matrix:
        """The logarithm of softmax, without a power's overflow."""
        rows = self._below_largest()
        totals = [sum(x.exp() for x in row).log() for row in rows]
        return Matrix([x - total for x in row] for row, total in zip(rows, totals, strict=True))

    def _below_largest(self) -> list[list[Any]]:
        """Rows whose largest element was taken from each."""
        largest = [max(x.data for x in row) for row in self.rows]
        return [[x - top for x in row] for row, top in zip(self.rows, largest, strict=True)]


def cat(parts: list[Matrix], dim: int) -> Matrix:
    """Matrices side by side."""
    return Matrix(chain(*rows) for rows in zip(*(part.rows for part in parts), strict=True))


class Adam:
    """rnn.optim.Adam for Matrices: two moving averages, both freed of their bias."""

    def __init__(
        self, parameters: Iterable[Matrix], lr: float, betas: tuple[float, float], eps: float = 1e-8
    ) -> None:
        self.values = [value for matrix in parameters for row in matrix.rows for value in row]
        self.param_groups = [{"lr": lr}]
        self.betas, self.eps = betas, eps
        self.means = [0.0] * len(self.values)
        self.squares = [0.0] * len(self.values)
        self.steps = 0

    def step(self) -> None:
        """Moves every parameter against its gradient."""
        self.steps += 1
        slow, slower = self.betas
        rate = self.param_groups[0]["lr"] / (1 - slow**self.steps)
        unbias = 1 - slower**self.steps
        for i, value in enumerate(self.values):
            grad = value.grad
            self.means[i] = mean = slow * self.means[i] + (1 - slow) * grad
            self.squares[i] = square = slower * self.squares[i] + (1 - slower) * grad * grad
            value.data -= rate * mean / (math.sqrt(square / unbias) + self.eps)

    def zero_grad(self) -> None:
        for value in self.values:
            value.grad = 0.0

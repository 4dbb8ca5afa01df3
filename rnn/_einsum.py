"""einsum: from the equation and the shapes to the few tensor operations that compute it.

This is the planner. It computes nothing: `plan_einsum` returns steps, `run_einsum` hands them to
functions of the caller's. Those are differentiable, so einsum needs no derivative of its own.

Two operands are contracted at a time, as one batched matrix product. Each subscript of the pair
has one of four parts to play: in both and needed later (batch), in both and not needed (summed
over by the product), in the left one only (its rows) or in the right one only (its columns)::

    "bhqd,bhkd->bhqk"       batch b h, rows q, columns k, summed d
    permute, matmul         a: (b, h, q, d)    b: (b, h, k, d) -> (b, h, d, k)

Subscripts are kept as numbers: a letter is its code point, and the dimensions under an ellipsis
are -1, -2, ... from the right, so that they broadcast as any operands do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Any, NamedTuple, TypeVar

__all__ = ["Step", "plan_einsum", "run_einsum"]

Shape = tuple[int, ...]
Labels = tuple[int, ...]
#: A value on the way: (register, its subscripts). Sizes are looked up by subscript.
Operand = tuple[int, Labels]

T = TypeVar("T")

_ELLIPSIS = 0  # the label that stands for an ellipsis until the shape says what it covers
_NO_ELLIPSIS = "that is not part of any ellipsis"
_WRONG_COUNT = "einsum(): {} operands were provided than specified in the equation"


class Step(NamedTuple):
    """``operation(*operands, *arguments)``; the result is the next register.

    operation  "diagonal" (a, dim1, dim2: PyTorch's, the diagonal becomes the last dimension),
               "permute" (a, dims), "reshape" (a, shape), "sum" (a, dims),
               "mul" (a, b: broadcast) or "matmul" (a, b: batch dimensions are equal)
    operands   registers: the operands of einsum come first, then one for each step
    """

    operation: str
    operands: tuple[int, ...]
    arguments: tuple[Any, ...]


def run_einsum(
    steps: Iterable[Step], operands: Sequence[T], functions: Mapping[str, Callable[..., T]]
) -> T:
    """Carries out the steps; each register is dropped when its only use is over.

    >>> steps = plan_einsum("ij->j", ((2, 3),))
    >>> run_einsum(steps, ["a"], {"sum": lambda a, dims: f"sum({a}, {dims})"})
    'sum(a, (0,))'
    """
    registers: dict[int, T] = dict(enumerate(operands))
    last = len(registers) - 1
    for step in steps:
        inputs = [registers.pop(place) for place in step.operands]
        last += 1
        registers[last] = functions[step.operation](*inputs, *step.arguments)
    return registers[last]


@lru_cache(maxsize=512)
def plan_einsum(equation: str, shapes: tuple[Shape, ...]) -> tuple[Step, ...]:
    """The steps that compute ``einsum(equation, *operands)`` for operands of these shapes.

    The last step makes the result; without any step the result is the operand itself. Pairs are
    taken in the order that needs the fewest multiplications at each step, the leftmost of equals.
    Raises RuntimeError for a wrong equation, in PyTorch's words.

    >>> [step.operation for step in plan_einsum("ij,jk->ki", ((2, 3), (3, 4)))]
    ['matmul', 'permute']

    PyTorch: ``torch.einsum``.
    """
    if not shapes:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one "
            "operand and its subscripts list"
        )
    written, output = _read(equation, len(shapes))
    terms = [_unfold(*term, n) for n, term in enumerate(zip(written, shapes))]
    sizes = _sizes(terms, shapes)
    result = _implicit_output(terms) if output is None else _explicit_output(output, terms)
    return _Planner(sizes).plan(terms, shapes, result)


def _read(equation: str, count: int) -> tuple[list[list[int]], list[int] | None]:
    """The symbols of each operand and of the output (None: there is no arrow)."""
    terms: list[list[int]] = [[]]
    output: list[int] | None = None
    place = 0
    while place < len(equation):
        letter = equation[place]
        term = terms[-1] if output is None else output
        if letter.isascii() and letter.isalpha():
            term.append(ord(letter))
        elif equation.startswith("...", place) and _ELLIPSIS not in term:
            term.append(_ELLIPSIS)
            place += 2
        elif letter == ".":
            raise RuntimeError(_stray_dot(len(terms) - 1, output is not None, _ELLIPSIS in term))
        elif output is None and equation.startswith("->", place):
            output = []
            place += 1
        elif output is None and letter == ",":
            if len(terms) == count:
                raise RuntimeError(_WRONG_COUNT.format("fewer"))
            terms.append([])
        elif letter != " ":
            raise RuntimeError(
                f"einsum(): invalid subscript given at index {place} in the equation string, "
                "subscripts must be in [a-zA-Z]"
            )
        place += 1
    if len(terms) < count:
        raise RuntimeError(_WRONG_COUNT.format("more"))
    return terms, output


def _stray_dot(operand: int, in_output: bool, again: bool) -> str:
    """The message for a dot that is not part of the term's one ellipsis."""
    if in_output:
        why = "but an ellipsis (...) was already found"
        return f"einsum(): found '.' for output {why if again else _NO_ELLIPSIS + ' (...)'}"
    why = "for which an ellipsis was already found" if again else _NO_ELLIPSIS
    return f"einsum(): found '.' for operand {operand} {why}"


def _unfold(term: list[int], shape: Shape, operand: int) -> Labels:
    """One label a dimension: the ellipsis becomes the dimensions that it covers."""
    named = sum(label != _ELLIPSIS for label in term)
    covered = len(shape) - named
    if named == len(term) and covered:
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({named}) does not match the "
            f"number of dimensions ({len(shape)}) for operand {operand} and no ellipsis was given"
        )
    if covered < 0:
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({named}) is more than the "
            f"number of dimensions ({len(shape)}) for operand {operand}"
        )
    return _with_ellipsis(term, covered)


def _with_ellipsis(term: list[int], covered: int) -> Labels:
    labels: list[int] = []
    for label in term:
        labels += range(-covered, 0) if label == _ELLIPSIS else (label,)
    return tuple(labels)


def _sizes(terms: list[Labels], shapes: tuple[Shape, ...]) -> dict[int, int]:
    """The size of every label; 1 broadcasts, but not along a diagonal."""
    sizes: dict[int, int] = {}
    for n, (term, shape) in enumerate(zip(terms, shapes)):
        here: dict[int, int] = {}
        for label, size in zip(term, shape):
            if here.setdefault(label, size) != size:
                raise RuntimeError(
                    f"einsum(): subscript {chr(label)} is repeated for operand {n} but the sizes "
                    f"don't match, {size} != {here[label]}"
                )
            seen = sizes.get(label, 1)
            if seen == 1:
                sizes[label] = size
            elif size not in (1, seen):
                what = f"subscript {chr(label)} has" if label > 0 else "the ellipsis covers a"
                raise RuntimeError(
                    f"einsum(): {what} size {size} for operand {n} which does not broadcast with "
                    f"previously seen size {seen}"
                )
    return sizes


def _covered(labels: Iterable[int]) -> int:
    """How many dimensions the ellipsis stands for in the operand that has most of them."""
    return max([0, *[-label for label in labels]])


def _implicit_output(terms: list[Labels]) -> Labels:
    """Without an arrow: the ellipsis, then what occurs once, capitals before small letters."""
    every = [label for term in terms for label in term]
    once = [label for label in set(every) if label > 0 and every.count(label) == 1]
    return (*range(-_covered(every), 0), *sorted(once))


def _explicit_output(output: list[int], terms: list[Labels]) -> Labels:
    """The labels after the arrow, each one once and known from an operand."""
    every = {label for term in terms for label in term}
    for label in output:
        if label == _ELLIPSIS:
            continue
        if output.count(label) > 1:
            raise RuntimeError(
                f"einsum(): output subscript {chr(label)} appears more than once in the output"
            )
        if label not in every:
            raise RuntimeError(
                f"einsum(): output subscript {chr(label)} does not appear in the equation for any "
                "input operand"
            )
    return _with_ellipsis(output, _covered(every))


class _Planner:
    """Collects the steps. Every operand's labels are unique and have the sizes of `sizes`."""

    def __init__(self, sizes: dict[int, int]) -> None:
        self.sizes = sizes
        self.steps: list[Step] = []
        self.registers = 0

    def plan(self, terms: list[Labels], shapes: tuple[Shape, ...], out: Labels) -> tuple[Step, ...]:
        self.registers = len(terms)
        work = [self.tidy(n, *term) for n, term in enumerate(zip(terms, shapes))]
        while len(work) > 1:
            i, j = min(combinations(range(len(work)), 2), key=lambda ij: self.cost(work, *ij))
            right, left = work.pop(j), work.pop(i)
            needed = {label for _, labels in work for label in labels} | set(out)
            work.insert(i, self.contract(left, right, needed))
        self.permute(self.sum(work[0], set(out)), out)
        return tuple(self.steps)

    def cost(self, work: list[Operand], i: int, j: int) -> int:
        """Multiplications that contracting these two takes."""
        return math.prod(self.shape(set(work[i][1]) | set(work[j][1])))

    def shape(self, labels: Iterable[int]) -> Shape:
        return tuple([self.sizes[label] for label in labels])

    def step(self, operation: str, operands: tuple[int, ...], *arguments: Any) -> int:
        """Appends a step; the register of its result."""
        self.steps.append(Step(operation, operands, arguments))
        self.registers += 1
        return self.registers - 1

    def tidy(self, register: int, term: Labels, shape: Shape) -> Operand:
        """Diagonals taken, and broadcast dimensions of size 1 removed."""
        size_of = dict(zip(term, shape))
        while repeated := [label for label in term if term.count(label) > 1]:
            label = repeated[0]
            first = term.index(label)
            second = term.index(label, first + 1)
            register = self.step("diagonal", (register,), first, second)
            term = (*term[:first], *term[first + 1 : second], *term[second + 1 :], label)
        kept = tuple([label for label in term if size_of[label] == self.sizes[label]])
        if kept != term:
            register = self.step("reshape", (register,), self.shape(kept))
        return register, kept

    def contract(self, a: Operand, b: Operand, needed: set[int]) -> Operand:
        """The product of two operands, summed over what neither the rest nor the output needs."""
        a = self.sum(a, needed | set(b[1]))
        b = self.sum(b, needed | set(a[1]))
        both = [label for label in a[1] if label in b[1]]
        batch = [label for label in both if label in needed]
        summed = [label for label in both if label not in needed]
        rows = [label for label in a[1] if label not in b[1]]
        columns = [label for label in b[1] if label not in a[1]]
        if not summed or (batch and not rows and not columns):
            return self.sum(self.multiply(a, b, columns), needed)
        left = self.matrix(a, batch, rows, summed)
        right = self.matrix(b, batch, summed, columns)
        register = self.step("matmul", (left, right))
        merged = self.merged(batch, rows) + self.merged(batch, columns)[len(batch) :]
        labels = (*batch, *rows, *columns)
        if merged != self.shape(labels):
            register = self.step("reshape", (register,), self.shape(labels))
        return register, labels

    def multiply(self, a: Operand, b: Operand, columns: list[int]) -> Operand:
        """The elementwise product: the labels of a, then those that only b has."""
        labels = (*a[1], *columns)
        left = a[0]
        if columns:
            left = self.step("reshape", (left,), self.shape(a[1]) + (1,) * len(columns))
        order = [label for label in labels if label in b[1]]
        right = self.permute(b, order)
        if order:  # leading dimensions of size 1 come by broadcasting
            behind = labels[labels.index(order[0]) :]
            shape = tuple([self.sizes[label] if label in order else 1 for label in behind])
            if len(shape) > len(order):
                right = self.step("reshape", (right,), shape)
        return self.step("mul", (left, right)), labels

    def matrix(self, a: Operand, batch: list[int], rows: list[int], columns: list[int]) -> int:
        """An operand of matmul: (*batch, rows, columns). A vector where there is no batch."""
        order = [*batch, *rows, *columns]
        register = self.permute(a, order)
        shape = self.merged(batch, rows) + self.merged(batch, columns)[len(batch) :]
        if shape != self.shape(order):
            register = self.step("reshape", (register,), shape)
        return register

    def merged(self, batch: list[int], labels: list[int]) -> Shape:
        """The sizes of the batch, and the labels as one dimension (none only without a batch)."""
        return self.shape(batch) + ((math.prod(self.shape(labels)),) if labels or batch else ())

    def sum(self, a: Operand, needed: set[int]) -> Operand:
        """Summed over the labels that are not needed any more."""
        register, labels = a
        dims = tuple([d for d, label in enumerate(labels) if label not in needed])
        if dims:
            register = self.step("sum", (register,), dims)
        return register, tuple([label for label in labels if label in needed])

    def permute(self, a: Operand, order: Sequence[int]) -> int:
        register, labels = a
        dims = tuple([labels.index(label) for label in order])
        if dims != tuple(range(len(labels))):
            register = self.step("permute", (register,), dims)
        return register

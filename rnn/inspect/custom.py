"""The edges of an autograd.Function, of which nothing is known but its backward: products of its
outputs' gradients with its local derivatives.

The derivatives of one output are what backward gives for a gradient of 1 there and 0 elsewhere;
those of many are found together (sparse.py). The derivatives by one input are the gradient of that
product by the outputs' gradients, where the operations of backward can be differentiated.

What it is not: it opens nothing, and it does not know a derivative better than backward does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _c
from rnn._c import E, adopt, check, lib
from rnn.autograd.function import _fit, _Output, _version, _zeros
from rnn.inspect import sparse
from rnn.ops._core import Array, array_of, nodes, places_of
from rnn.random import fork_rng

if TYPE_CHECKING:
    from rnn.inspect.span import Span

#: entries that are kept of the rows of one output that were asked for
KEPT = 1 << 20
#: outputs whose derivative by one input is nan that are asked again, one by one
MOST_NAN = 64


# ---- one output of a Function --------------------------------------------------------------------


class Derivatives:
    """The local derivatives of one output of a Function by the nodes that it was made from.

    Attributes:
        spans, nodes: the columns: node nodes[c] of the span whose number is spans[c].
    """

    def __init__(self, span: Span, turn: Any) -> None:
        output = isinstance(turn, _Output)
        self.turn = turn.core if output else turn
        self.index = turn.i if output else turn.only
        self.name: str = turn.name
        self.shape, self.count = span.shape, span.count
        self.double = bool(span._info.dtype)
        first = 1 if output else 0  # of several outputs the first operand is the core
        number, count = span._number, len(self.turn.operands)
        to = [adopt(check(lib.rnn_operand_tensor(E, number, first + k))) for k in range(count)]
        self._operands = to
        self._stamp = self.stamp()
        self._known: dict[int, tuple[Array, Array]] = {}
        self._kept = 0
        self._all: sparse.Entries | None = None
        spans = [np.full(math.prod(t._shape), lib.rnn_span_of(t._h), np.int64) for t in to]
        which = np.concatenate([np.empty(0, np.int64), *spans])
        places = np.concatenate([np.empty(0, np.int64), *[places_of(t).ravel() for t in to]])
        order = np.lexsort((places, which))
        new = np.ones(len(order), bool)
        new[1:] = (np.diff(which[order]) != 0) | (np.diff(places[order]) != 0)
        self._column = np.empty(len(order), np.int64)  # of each element of the arguments
        self._column[order] = np.cumsum(new) - 1
        self._apart = bool(new.all())
        self.spans, self.nodes = which[order][new], places[order][new]

    def stamp(self) -> Any:
        """What changes when a value that it needs is overwritten.

        Raises:
            RuntimeError: a saved tensor was.
        """
        saved = self.turn.ctx.saved_tensors  # which are compared with what they were
        return len(saved), [_version(t) for t in self._operands]

    def column_of(self, number: int, node: int) -> int | None:
        """Where a node is among the columns."""
        low = int(np.searchsorted(self.spans, number))
        high = int(np.searchsorted(self.spans, number, "right"))
        at = low + int(np.searchsorted(self.nodes[low:high], node))
        return at if at < high and self.nodes[at] == node else None

    # ---- backward --------------------------------------------------------------------------------

    def product(self, seed: Array) -> Array:
        """What backward gives for these gradients of the output: a number for each column."""
        parts = self._run(nodes(_typed(seed, self.double).reshape(self.shape)))
        flat = [np.zeros(math.prod(t._shape)) for t in self._operands]
        for k, g in parts:
            flat[k] = flat[k] + array_of(g).astype(np.float64).ravel()
        every = np.concatenate([np.empty(0), *flat])
        if self._apart:
            out = np.empty(len(every))
            out[self._column] = every
            return out
        return np.bincount(self._column, every, len(self.nodes))

    def _run(self, seed: Any) -> list[tuple[int, Any]]:
        """The gradients of the operands, in their shapes."""
        turn = self.turn
        grads = [None if isinstance(like, tuple) and not isinstance(like[1], int) else _zeros(like)
                 for like in turn.like]  # fmt: skip
        grads[self.index] = seed
        try:
            return [
                (k, _fit(self.name, turn.operands[k], g, self._operands[k]))
                for k, g in turn.gradients(grads)
            ]
        except (MemoryError, sparse.TooMuch):
            raise
        except Exception as error:
            raise RuntimeError(
                f"the local derivatives of {self.name} are what its backward gives for one "
                f"output, but that raised {type(error).__name__}: {error}"
            ) from error

    def column(self, c: int, work: sparse.Allowance) -> Array | None:
        """The derivatives of every output by one column, found by differentiating backward; None
        where its results do not depend on the gradient by operations that are recorded."""
        work.spend(4 * (self.count + len(self.nodes)) + sparse.ONCE)
        seed = np.random.default_rng(c).uniform(1, 2, self.count)
        start = nodes(_typed(seed, self.double).reshape(self.shape)).requires_grad_(True)
        was = lib.rnn_set_grad_mode(1)
        try:
            gained = self._sum_of(self._run(start.clone()), np.flatnonzero(self._column == c))
            if gained is None:
                return np.zeros(self.count)
            if not lib.rnn_requires_grad(E, gained._h):
                return None
            from rnn.autograd.passes import grad

            [found] = grad(gained, start, retain_graph=True, allow_unused=True)
        except RuntimeError:  # once_differentiable, or NumPy in it
            return None
        finally:
            lib.rnn_set_grad_mode(was)
        column = np.zeros(self.count) if found is None else array_of(found).astype(np.float64)
        column = column.ravel()
        parts = column * array_of(start.detach()).astype(np.float64).ravel()
        bound = float(np.abs(parts).sum()) * (1e-8 if self.double else 1e-3)
        bound += sparse.rounding(column, self.double)
        close = abs(float(gained) - float(parts.sum())) <= bound
        odd = np.flatnonzero(np.isnan(column))
        for row in odd[:MOST_NAN]:  # 0 times an infinity on the way? the row itself knows
            work.spend(self.count + len(self.nodes) + sparse.ONCE)
            one = np.zeros(self.count)
            one[row] = 1.0
            column[row] = self.product(one)[c]
        return column if close or len(odd) or not np.isfinite(column).all() else None

    def _sum_of(self, parts: list[tuple[int, Any]], elements: Array) -> Any:
        """What some elements of the arguments gain, recorded; None where that is 0 for sure."""
        begin, total = 0, None
        starts = []
        for t in self._operands:
            starts.append(begin)
            begin += math.prod(t._shape)
        for k, g in parts:
            here = elements[(elements >= starts[k])] - starts[k]
            for i in here[here < math.prod(g._shape)].tolist():
                part = g.reshape(-1)[i]
                total = part if total is None else total + part
        return total

    # ---- asking ----------------------------------------------------------------------------------

    def rows(self, offsets: Array, columns: Array | None = None) -> sparse.Entries:
        """The derivatives of some nodes of the output, ascending, that are not 0.

        Args:
            columns: by which columns alone they are wanted; they are then numbered in that order.
        """
        if columns is not None:
            return self._find(offsets, columns)
        known = self._remembered(offsets)
        if known is not None:
            return known
        found = self._find(offsets, None)
        if len(offsets) == self.count:
            self._all = found
        elif self._kept + len(found.values) <= KEPT:
            self._kept += len(found.values)
            for at, i, j in zip(offsets.tolist(), found.begin[:-1], found.begin[1:]):
                self._known[at] = found.columns[i:j], found.values[i:j]
        return found

    def _remembered(self, offsets: Array) -> sparse.Entries | None:
        if self._all is not None:
            begin, end = self._all.begin[offsets], self._all.begin[offsets + 1]
            at = sparse.ranges(begin, end)
            sizes = np.concatenate([[0], np.cumsum(end - begin)])
            return sparse.Entries(sizes, self._all.columns[at], self._all.values[at])
        found = [self._known.get(at) for at in offsets.tolist()] if self._known else [None]
        if not len(offsets) or any(f is None for f in found):
            return None
        sizes = np.cumsum([0, *(len(f[0]) for f in found if f)])
        return sparse.Entries(
            sizes,
            np.concatenate([f[0] for f in found if f]),
            np.concatenate([f[1] for f in found if f]),
        )

    def _find(self, offsets: Array, columns: Array | None) -> sparse.Entries:
        work = sparse.allowance()

        def product(seed: Array) -> Array:
            found = self.product(seed)
            return found if columns is None else found[columns]

        def column(c: int) -> Array | None:
            return self.column(c if columns is None else int(columns[c]), work)

        with self._asking():
            return sparse.entries(product, self.count, offsets, work, self.double, column)

    def uses(self, c: int) -> tuple[Array, Array]:
        """(nodes of the output, their derivatives by a column) that are not 0."""
        if self._all is None and self.count > sparse.FEW:
            with self._asking():
                found = self.column(c, sparse.allowance())
            if found is None:
                entries = self._find(np.arange(self.count), np.array([c]))
                users = np.repeat(np.arange(self.count), np.diff(entries.begin))
                return users, entries.values
        else:
            entries = self.rows(np.arange(self.count))
            users = np.repeat(np.arange(self.count), np.diff(entries.begin))
            mine = entries.columns == c
            return users[mine], entries.values[mine]
        at = np.flatnonzero(found)
        return at, found[at]

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """What is set while backward runs; the errors of the search in words."""
        modes: list[tuple[Callable[[int], int], int]] = [
            (f, f(0)) for f in (lib.rnn_set_grad_mode, lib.rnn_set_resolution, lib.rnn_set_checking)
        ]
        try:
            with fork_rng():
                yield
        except sparse.TooMuch:
            raise RuntimeError(
                f"the local derivatives of {self.name}, an autograd.Function of {self.count:,} "
                f"outputs by {len(self.nodes):,} inputs, are too many to be found one by one: its "
                f"backward would have to run too often (more than {sparse.ENTRIES:,} derivatives, "
                f"or 2^{sparse.WORK.bit_length() - 1} numbers on the way to them)"
            ) from None
        except sparse.NotLinear:
            raise RuntimeError(
                f"{self.name} has no local derivatives one by one: what its backward gives for "
                "several outputs together is not the sum of what it gives for each. It is not "
                "linear in the outputs' gradients (it clips them, say), or it differs from run to "
                "run"
            ) from None
        finally:
            for f, was in modes:
                f(was)


def _typed(seed: Array, double: bool) -> Array:
    return seed if double else seed.astype(np.float32)


# ---- what others ask for -------------------------------------------------------------------------


def derivatives(span: Span) -> Derivatives:
    """Those of a span that an autograd.Function made, kept with it.

    Raises:
        RuntimeError: the graph was freed, or a saved tensor overwritten.
    """
    check(lib.rnn_describe(E, span._number, span._info))
    turn: Any = _c.object_at(span._info.key) if span._info.key else None
    if turn is None:
        raise RuntimeError(
            f"the local derivatives of {span.torch_name} are gone: the graph behind it was freed "
            "by backward(); call backward(retain_graph=True) to keep it"
        )
    known: Derivatives | None = getattr(turn, "derivatives", None)
    if known is None or known._stamp != known.stamp():
        known = turn.derivatives = Derivatives(span, turn)
    return known


def row(span: Span, offset: int) -> tuple[Array, Array, Array]:
    """(numbers of operands' spans, nodes, local derivatives) of one output.

    Raises:
        RuntimeError: the graph was freed; backward raised; or it is not linear.
    """
    known = derivatives(span)
    found = known.rows(np.array([offset]))
    return known.spans[found.columns], known.nodes[found.columns], found.values


def uses(user: Span, number: int, offset: int) -> tuple[Array, Array, Array]:
    """As node.uses, for a user that is an autograd.Function.

    Raises:
        RuntimeError: as `row`; or it would take too much work.
    """
    known = derivatives(user)
    c = known.column_of(number, offset)
    if c is None:
        return np.empty(0, np.int64), np.empty(0), np.empty(0, bool)
    at, found = known.uses(c)
    return at, found, np.ones(len(at), bool)


def find_all(span: Span) -> None:
    """Finds the derivatives of all nodes together, so that `row` has them.

    Raises:
        RuntimeError: as `uses`.
    """
    derivatives(span).rows(np.arange(span.count))

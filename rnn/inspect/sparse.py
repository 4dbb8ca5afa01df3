"""The entries of a matrix of which only products with rows of numbers can be had: the local
derivatives of an autograd.Function, whose backward is such a product.

What it is not: it knows nothing of graphs and of Functions (custom.py does).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from rnn.ops._core import Array

#: entries that are found at most, and numbers that are computed on the way
ENTRIES, WORK = 1 << 24, 1 << 29
#: what one product costs beside its numbers, in numbers
ONCE = 10_000
#: rows that are found one by one
FEW = 16

#: entries of a column in one level from which it is worth finding whole, where that can be done
LONG = 8

Product = Callable[[Array], Array]  # a number for each row -> one for each column
Column = Callable[[int], "Array | None"]  # a column whole; None: that cannot be done


class Entries(NamedTuple):
    """What is not zero, by rows: those of the i-th are begin[i] to begin[i + 1] - 1."""

    begin: Array
    columns: Array
    values: Array


class TooMuch(RuntimeError):
    """The work that is allowed does not suffice."""


class NotLinear(RuntimeError):
    """The products are not those of one matrix."""


class Allowance:
    """The work that is left."""

    def __init__(self, work: int) -> None:
        self.left = work

    def spend(self, work: int) -> None:
        """Takes some of it.

        Raises:
            TooMuch: there is not enough.
        """
        self.must_have(work)
        self.left -= work

    def must_have(self, work: int) -> None:
        """Ends what could not be ended."""
        if work > self.left:
            raise TooMuch


def entries(
    product: Product,
    of: int,
    rows: Array,
    work: Allowance,
    double: bool,
    column: Column | None = None,
) -> Entries:
    """The rows that are asked for, exactly, each entry as the product gives it for that row alone.

    Few rows are found one by one. Of many, halves are tried, quarters, and so on, always as many at
    once as have no column in common; so what a product finds is known to be of one of them. A
    matrix of r rows with c of them in a column takes about 4 c log2(r) products or less: one that
    works element by element 2 log2(r) to 4 log2(r), a full one 2 r. Numbers that a half's entries
    might cancel with are random; in the end all that was found is tried against one more product.

    An entry that is an infinity or nan makes nan of what every product gives for its column (0
    times it included): where the column cannot be found whole, nan is what each row has there.

    Args:
        of: how many rows there are.
        rows: which are asked for, ascending.
        double: the products are of float64.
        column: finds a column whole, which serves for the few that reach very many rows.

    Raises:
        TooMuch: the work, or more than ENTRIES entries.
        NotLinear: the products are not those of one matrix.
    """
    rng = np.random.default_rng(len(rows))

    def apply(places: Array, weights: Array | float) -> Array:
        seed = np.zeros(of)
        seed[places] = weights
        work.spend(of + ONCE)
        found = product(seed)
        work.spend(len(found))
        return found

    for last in (False, True):
        if len(rows) <= FEW:
            found = _few(apply, rows, column)
        else:
            found = _many(apply, of, rows, work, rng, double, column)
        if _adds_up(apply, rows, found, rng, double):
            return found
        if last or len(rows) <= FEW:
            break
    raise NotLinear


def _few(apply: Callable[..., Array], rows: Array, column: Column | None) -> Entries:
    columns, values = [np.empty(0, np.int64)], [np.empty(0)]
    every = [apply([row], 1.0) for row in rows]
    hidden = np.flatnonzero(np.any([np.isnan(found) for found in every], 0)) if every else ()
    for c, whole in _whole(hidden, column):
        for row, found in zip(rows, every):
            found[c] = whole[row]
    for found in every:
        kept = np.flatnonzero(found)  # nan is kept
        columns.append(kept)
        values.append(found[kept])
    begin = np.cumsum([len(c) for c in columns])
    return Entries(begin, np.concatenate(columns), np.concatenate(values))


def _many(
    apply: Callable[..., Array],
    of: int,
    rows: Array,
    work: Allowance,
    rng: np.random.Generator,
    double: bool,
    column: Column | None,
) -> Entries:
    count = len(rows)
    levels = max(1, (count - 1).bit_length())
    base = apply(rows, 0.0)
    hidden = np.flatnonzero(base)  # an infinity or a nan in this column makes nan of all
    if not np.isnan(base[hidden]).all():
        raise NotLinear
    long: list[tuple[Array, int, Array]] = []  # rows, column, values
    for c, whole in _whole(hidden, column):
        where = np.flatnonzero(whole[rows])
        long.append((where, c, whole[rows][where]))
        hidden = hidden[hidden != c]
    columns = np.flatnonzero(base == 0)
    blocks = np.zeros(len(columns), np.int64)  # (block, column): something there is not zero
    groups = np.zeros(len(columns), np.int64)  # blocks of one group have no column in common
    values = np.empty(0)
    for level in range(1, levels + 1):
        last = level == levels
        places = np.arange(count) >> (levels - level)  # the block of each row
        found = _halves(
            apply, rows, places, blocks, columns, groups, rng, 1 if double or last else 2, last
        )
        blocks, columns, groups, values = found
        if column and not last:
            kept = _without_long(columns, column, rows, long)
            blocks, columns, groups = blocks[kept], columns[kept], groups[kept]
        if len(blocks) + len(hidden) * count > ENTRIES:
            raise TooMuch
        work.spend(8 * len(blocks))
        if not last and len(columns):  # at least as many products will be needed
            work.must_have(int(np.bincount(columns).max()) * (of + len(base) + ONCE))
        groups = _regrouped(blocks, columns, groups, work, rng)
    if len(hidden):
        blocks = np.concatenate([blocks, np.repeat(np.arange(count), len(hidden))])
        columns = np.concatenate([columns, np.tile(hidden, count)])
        values = np.concatenate([values, np.full(count * len(hidden), np.nan)])
    for where, c, numbers in long:
        blocks = np.concatenate([blocks, where])
        columns = np.concatenate([columns, np.full(len(where), c)])
        values = np.concatenate([values, numbers])
    order = np.lexsort((columns, blocks))
    begin = np.searchsorted(blocks[order], np.arange(count + 1))
    return Entries(begin, columns[order], values[order])


def _whole(columns: Iterable[int], column: Column | None) -> Iterator[tuple[int, Array]]:
    """Those of the columns that can be found whole."""
    for c in columns if column else ():
        assert column
        found = column(int(c))
        if found is None:
            return
        yield int(c), found


def _halves(
    apply: Callable[..., Array],
    rows: Array,
    places: Array,
    blocks: Array,
    columns: Array,
    groups: Array,
    rng: np.random.Generator,
    tries: int,
    last: bool,
) -> tuple[Array, Array, Array, Array]:
    """Each block's halves: (block, column), group, and what was found there."""
    order = np.argsort(groups, kind="stable")
    blocks, columns, groups = blocks[order], columns[order], groups[order]
    bounds = np.flatnonzero(np.diff(groups, prepend=-1, append=-1))
    out: list[list[Array]] = [[], [], [], []]
    by_place = np.searchsorted(places, np.arange(int(places[-1]) + 2))
    for g, (i, j) in enumerate(pairwise(bounds)):
        parents = np.unique(blocks[i:j])
        for side in (0, 1):
            halves = 2 * parents + side
            halves = halves[halves < len(by_place) - 1]
            which = ranges(by_place[halves], by_place[halves + 1])
            if not len(which):
                continue
            found = np.zeros(j - i)
            for _ in range(tries):
                weights = 1.0 if last else rng.uniform(1, 2, len(which))
                again = apply(rows[which], weights)[columns[i:j]]
                found = np.where(found == 0, again, found)
            kept = np.flatnonzero(found)
            out[0].append(2 * blocks[i:j][kept] + side)
            out[1].append(columns[i:j][kept])
            out[2].append(np.full(len(kept), 2 * g + side))
            out[3].append(found[kept])
    empty = np.empty(0, np.int64)
    return (
        np.concatenate([empty, *out[0]]),
        np.concatenate([empty, *out[1]]),
        np.concatenate([empty, *out[2]]),
        np.concatenate([np.empty(0), *out[3]]),
    )


def _without_long(
    columns: Array, column: Column, rows: Array, long: list[tuple[Array, int, Array]]
) -> Array:
    """Which pairs are left when the few columns that are in very many blocks are found whole."""
    blocks = np.bincount(columns)
    most = np.flatnonzero(blocks > LONG)
    kept = np.ones(len(columns), bool)
    if not 0 < len(most) <= blocks.max():
        return kept
    for c, whole in _whole(most, column):
        where = np.flatnonzero(whole[rows])
        long.append((where, c, whole[rows][where]))
        kept[columns == c] = False
    return kept


def ranges(begin: Array, end: Array) -> Array:
    """All of begin[i] to end[i] - 1, one after another."""
    sizes = end - begin
    at = np.repeat(begin - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes)
    return at + np.arange(len(at))


def _regrouped(
    blocks: Array, columns: Array, groups: Array, work: Allowance, rng: np.random.Generator
) -> Array:
    """Fewer groups of blocks that have no column in common, where there are many more than must be:
    those in one column are of different groups."""
    if not len(blocks):
        return groups
    most = int(np.bincount(columns).max())
    if len(np.unique(groups)) <= 2 * most:
        return groups
    _, blocks = np.unique(blocks, return_inverse=True)
    blocks = blocks.reshape(-1)
    count = int(blocks.max()) + 1
    group_of = np.full(count, -1)
    rank = rng.permutation(count)
    group, left = 0, np.arange(len(blocks))
    while len(left):
        free = left  # pairs whose blocks may still join this group
        while len(free):
            work.spend(4 * len(free))
            first = np.full(int(columns[free].max()) + 1, count)
            np.minimum.at(first, columns[free], rank[blocks[free]])
            beaten = np.zeros(count, bool)
            beaten[blocks[free][first[columns[free]] != rank[blocks[free]]]] = True
            joins = np.zeros(count, bool)
            joins[blocks[free]] = True
            joins &= ~beaten
            group_of[joins] = group
            taken = np.zeros(len(first), bool)
            taken[columns[free][joins[blocks[free]]]] = True
            out = joins.copy()
            out[blocks[free][taken[columns[free]]]] = True
            free = free[~out[blocks[free]]]
        group += 1
        left = left[group_of[blocks[left]] < 0]
    return group_of[blocks]


def rounding(values: Array, double: bool) -> float:
    """What may be rounded off where large parts cancel, as in a saturated softmax: an entry below
    this may be nothing else."""
    finite = values[np.isfinite(values)]
    return (1e-13 if double else 1e-5) * max(1.0, float(np.abs(finite).max(initial=0.0)))


def _adds_up(
    apply: Callable[..., Array],
    rows: Array,
    found: Entries,
    rng: np.random.Generator,
    double: bool,
) -> bool:
    """Whether a product with random numbers is what the entries say."""
    weights = rng.uniform(1, 2, len(rows)) * rng.choice([-1.0, 1.0], len(rows))
    if not double:
        weights = weights.astype(np.float32).astype(np.float64)
    got = apply(rows, weights)
    with np.errstate(invalid="ignore", over="ignore"):
        parts = np.repeat(weights, np.diff(found.begin)) * found.values
        expected = np.bincount(found.columns, parts, len(got))
        size = np.bincount(found.columns, np.abs(parts), len(got))
        bound = size * (1e-8 if double else 1e-3) + rounding(found.values, double)
        fine = np.abs(got - expected) <= bound
    return bool((fine | ~np.isfinite(expected) | np.isnan(got)).all())  # 0 * inf is nan


_shared: ContextVar[Allowance | None] = ContextVar("_shared", default=None)


@contextmanager
def allowed(work: int) -> Iterator[Allowance]:
    """What is found within has together no more than this work."""
    mine = Allowance(work)
    token = _shared.set(mine)
    try:
        yield mine
    finally:
        _shared.reset(token)


def allowance() -> Allowance:
    """A new one, or the rest of what is shared."""
    return _shared.get() or Allowance(WORK)

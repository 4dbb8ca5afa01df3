"""A layered drawing in tape order: where each box of a graph goes, in time linear in its edges.

What it is: ranks by longest path, boxes of a rank ordered and placed by sweeps of weighted
averages (pool adjacent violators: the nearest places that keep the order and the distances).
What it is not: it knows nothing of operations, text or SVG. `assets/show.js` holds the same
algorithm, line for line, for what is opened in the page; a test holds one to the other.

After Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system
structures" (1981).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: sweeps over all ranks, down and up: the first may change the order within a rank; those that
#: follow look both ways; the last two draw straight what flows, then place sources beside it
ORDERING, SWEEPS = 4, 10
#: an edge over more ranks than this is drawn without bends of its own: the time stays linear
LONGEST_ROUTE = 24
#: between a rank of nothing but entries or exits and the next
BORDER = 18.0
#: the breadth that a bend of an edge takes in a rank
BEND = 10.0


@dataclass
class Link:
    """An edge to lay out: from box `a` to the later box `b`, and where it touches them, across."""

    a: int
    b: int
    at_a: float = 0.0
    at_b: float = 0.0
    weak: bool = False  # from a source to a box that something flows through


@dataclass
class Placed:
    """Centres of the boxes along the ranks (`along`) and across them, sizes, and the bends of each
    edge: (where the rank that it passes begins, where it ends, the place across)."""

    along: list[float]
    across: list[float]
    length: float
    breadth: float
    rank: list[int]
    bends: list[list[tuple[float, float, float]]]
    first: float  # where the first rank ends
    last: float  # where the last one begins


def layered(
    sizes: Sequence[tuple[float, float]],
    links: Sequence[Link],
    gap: float,
    space: float,
    entries: int = 0,
    exits: int = 0,
) -> Placed:
    """Places boxes whose order is topological: each link goes from an earlier box to a later one.

    Args:
        sizes: (length along the ranks, breadth across them) of each box.
        links: the edges.
        gap: between two ranks.
        space: between two boxes of one rank.
        entries: the first so many boxes are where edges come in: they stay in the first rank.
        exits: the last so many are where edges go out: they stand in the last rank.

    Example:
        >>> layered([(10, 10), (10, 10)], [Link(0, 1)], 20, 5).along
        [5.0, 35.0]
    """
    n = len(sizes)
    rank = _ranks(n, links, entries, exits)
    breadths = [size[1] for size in sizes]
    joints, chains = _joints(n, links, rank, breadths, entries)
    layers: list[list[int]] = [[] for _ in range(max(rank, default=-1) + 1)]
    for box in _first_order(n, links, chains):
        layers[rank[box]].append(box)
    across = _across(n, layers, joints, breadths, space, entries)
    start, end, length = _along(sizes, layers, n, gap)
    low = min((across[i] - breadths[i] / 2 for i in range(n)), default=0.0)
    high = max((across[i] + breadths[i] / 2 for i in range(n)), default=0.0)
    for chain in chains:
        for bend in chain:
            low, high = min(low, across[bend]), max(high, across[bend])
    return Placed(
        [end[rank[i]] - sizes[i][0] / 2 for i in range(n)],
        [across[i] - low for i in range(n)],
        length,
        high - low,
        rank[:n],
        [
            [(start[rank[bend]], end[rank[bend]], across[bend] - low) for bend in chain]
            for chain in chains
        ],
        end[0] if end else 0.0,
        start[-1] if start else 0.0,
    )


def _ranks(n: int, links: Sequence[Link], entries: int, exits: int) -> list[int]:
    """The longest path to each box; a box without operands stands next to its first user."""
    rank, has_operands, nearest = [0] * n, [False] * n, [-1] * n
    into: list[list[int]] = [[] for _ in range(n)]
    for link in links:
        into[link.b].append(link.a)
        has_operands[link.b] = True
    for b in range(n):
        for a in into[b]:
            rank[b] = max(rank[b], rank[a] + 1)
    last = max(rank, default=0)
    for b in range(n - exits, n):
        rank[b] = last
    for link in links:
        if not has_operands[link.a] and link.a >= entries:
            near = nearest[link.a]
            nearest[link.a] = rank[link.b] - 1 if near < 0 else min(near, rank[link.b] - 1)
    return [near if near >= 0 else rank[i] for i, near in enumerate(nearest)]


def _joints(
    n: int, links: Sequence[Link], rank: list[int], breadths: list[float], entries: int
) -> tuple[list[Link], list[list[int]]]:
    """The links cut at every rank that they pass: the pieces, and the bends of each link."""
    joints: list[Link] = []
    chains: list[list[int]] = []
    source, flowing = [i >= entries for i in range(n)], [False] * n
    for link in links:
        source[link.b] = False
    for link in links:
        flowing[link.b] = flowing[link.b] or not source[link.a]
    for link in links:
        chain: list[int] = []
        last, at = link.a, link.at_a
        if rank[link.b] - rank[link.a] <= LONGEST_ROUTE:
            for between in range(rank[link.a] + 1, rank[link.b]):
                chain.append(len(rank))
                joints.append(Link(last, len(rank), at, 0.0))
                last, at = len(rank), 0.0
                rank.append(between)
                breadths.append(BEND)
        weak = source[link.a] and flowing[link.b]
        joints.append(Link(last, link.b, at, link.at_b, weak))
        chains.append(chain)
    return joints, chains


def _first_order(n: int, links: Sequence[Link], chains: list[list[int]]) -> list[int]:
    """Depth first from the last boxes, operands in their order: an expression reads as written."""
    into: list[list[int]] = [[] for _ in range(n)]
    for k, link in enumerate(links):
        into[link.b].append(k)
    order: list[int] = []
    seen, next_operand, used = [False] * n, [0] * n, [False] * n
    for link in links:
        used[link.a] = True
    for last in range(n):
        if used[last]:
            continue
        seen[last] = True
        stack = [last]
        while stack:
            box = stack[-1]
            if next_operand[box] < len(into[box]):
                k = into[box][next_operand[box]]
                next_operand[box] += 1
                if not seen[links[k].a]:
                    seen[links[k].a] = True
                    stack.append(links[k].a)
                order.extend(chains[k])
            else:
                order.append(box)
                stack.pop()
    return order


def _across(
    n: int,
    layers: list[list[int]],
    joints: Sequence[Link],
    breadths: list[float],
    space: float,
    entries: int,
) -> list[float]:
    """Centres across the ranks, by sweeps up and down. What flows through a box pulls it straight;
    a source beside it does not, and makes room."""
    back: list[list[int]] = [[] for _ in breadths]
    ahead: list[list[int]] = [[] for _ in breadths]
    for k, joint in enumerate(joints):
        back[joint.b].append(k)
        ahead[joint.a].append(k)
    source = [i >= entries and not found for i, found in enumerate(back)]
    back = [[k for k in found if not joints[k].weak] for found in back]
    across = [0.0] * len(breadths)
    for layer in layers:
        _place(layer, [0.0] * len(layer), [1.0] * len(layer), across, breadths, n, space)
    for sweep in range(SWEEPS + 2):
        forward = sweep % 2 == 0
        both = ORDERING <= sweep < SWEEPS
        for layer in layers if forward else reversed(layers):
            wanted, weights = [], []
            for box in layer:
                total, count = 0.0, 0
                if forward or both:
                    for k in back[box]:
                        total += across[joints[k].a] + joints[k].at_a - joints[k].at_b
                        count += 1
                if (not forward or both) and (sweep < SWEEPS or source[box]):
                    for k in ahead[box]:
                        total += across[joints[k].b] + joints[k].at_b - joints[k].at_a
                        count += 1
                wanted.append(total / count if count else across[box])
                aside = 0.05 if sweep < SWEEPS else 1e-6
                weights.append(aside if source[box] else 1.0 + count if box < n else 2.0)
            if sweep < ORDERING:
                by = _in_order(wanted)
                layer[:] = [layer[i] for i in by]
                wanted = [wanted[i] for i in by]
                weights = [weights[i] for i in by]
            _place(layer, wanted, weights, across, breadths, n, space)
    return across


def _in_order(wanted: list[float]) -> list[int]:
    """Which of the places comes first, second, ...: a radix sort of three digits, so that a rank is
    ordered in linear time. Places that the digits do not tell apart keep their order."""
    n, low, high = len(wanted), min(wanted), max(wanted)
    if all(wanted[i - 1] <= wanted[i] for i in range(1, n)):
        return list(range(n))
    base = max(16, n)
    scale = (base**3 - 1) / (high - low)
    keys = [int((place - low) * scale) for place in wanted]
    order = list(range(n))
    for digit in (1, base, base * base):
        buckets: list[list[int]] = [[] for _ in range(base)]
        for i in order:
            buckets[keys[i] // digit % base].append(i)
        order = [i for bucket in buckets for i in bucket]
    return order


def _place(
    layer: list[int],
    wanted: list[float],
    weights: list[float],
    across: list[float],
    breadths: list[float],
    n: int,
    space: float,
) -> None:
    """The places nearest to the wanted ones, by weighted squares, in this order and no closer than
    the boxes allow: isotonic regression by pooling adjacent violators."""
    shift, last = 0.0, -1
    pools: list[list[float]] = []  # mean, weight, how many
    shifts: list[float] = []
    for i, box in enumerate(layer):
        if last >= 0:
            apart = space if box < n and last < n else space / 2
            shift += breadths[last] / 2 + breadths[box] / 2 + apart
        last = box
        shifts.append(shift)
        pools.append([wanted[i] - shift, weights[i], 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, weight, count = pools.pop()
            pool = pools[-1]
            pool[0] = (pool[0] * pool[1] + mean * weight) / (pool[1] + weight)
            pool[1] += weight
            pool[2] += count
    i = 0
    for mean, _, count in pools:
        for _ in range(int(count)):
            across[layer[i]] = mean + shifts[i]
            i += 1


def _along(
    sizes: Sequence[tuple[float, float]], layers: list[list[int]], n: int, gap: float
) -> tuple[list[float], list[float], float]:
    """Where each rank begins and ends, and the whole length."""
    lengths = [max((sizes[box][0] for box in layer if box < n), default=0.0) for layer in layers]
    start: list[float] = []
    end: list[float] = []
    at = 0.0
    for k, length in enumerate(lengths):
        start.append(at)
        at += length
        end.append(at)
        if k + 1 < len(lengths):
            at += gap if length and lengths[k + 1] else min(gap, BORDER)
    return start, end, at

"""Why a gradient is what it is: a ledger of every use of a scalar, and what each contributes.

d loss / d x is the sum, over the nodes that x was used in, of d loss / d use times d use / d x. The
gradients of the uses are found by a private backward pass, which leaves every value, gradient and
version as it was and calls no hook; so the ledger is of this loss alone, whatever .grad holds.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from rnn._c import E, Handle, adopt, check, lib
from rnn.autograd.passes import run
from rnn.inspect.causes import CHOICES, STEPS
from rnn.inspect.graph import Graph, handle, node_of
from rnn.inspect.names import find_names
from rnn.inspect.node import Node, uses
from rnn.inspect.span import Span, position
from rnn.inspect.tables import Table, number, percent
from rnn.inspect.why import reason
from rnn.ops._core import Array, array_of

RETAIN_GRAPH, KEEP, PRIVATE = 1, 2, 4


def explain(
    x: Any,
    loss: Any,
    depth: int = 1,
    *,
    index: Sequence[int] | None = None,
    names: Mapping[str, Any] | None = None,
    modules: Any = None,
) -> Ledger:
    """Why d loss / d x is what it is: every use of x, and what it contributes.

    Args:
        x: a Value, a one-element Tensor (`w[0, 1]` is one), a Node; or any Tensor, with `index`. An
            integer gets a ledger without entries, whose reason says so.
        loss: a Value or a one-element Tensor whose graph is kept (retain_graph=True).
        depth: how far `children` go: 2 explains the gradients of the uses too, and so on.
        index: which element of x.
        names, modules: what nodes are called, as for rnn.inspect.graph.

    An autograd.Function that x was used in is asked by running its backward. Where that consists of
    operations that are recorded, it is differentiated: two passes in all, whatever the number of
    outputs. Elsewhere (NumPy in it, once_differentiable) the outputs that x reaches are sought by
    halves: about 2 log2(outputs) runs of backward for each of them. What backward does beside
    returning gradients, it does then too; the random stream is put back.

    Raises:
        RuntimeError: the graph behind loss was freed by backward(), or a part of it by that of
            another loss; a value that a derivative needs was overwritten; the backward of an
            autograd.Function that x was used in raised, or is not linear in the outputs'
            gradients, or would have to run so often that it computes more than 2^29 numbers.
        ValueError: x or loss has more than one element; depth is less than 1.
        TypeError: x or loss is no Tensor, Value or Node.

    Example:
        >>> a = rnn.Value(3.0)
        >>> loss = a * a + a
        >>> ledger = rnn.inspect.explain(a, loss)
        >>> [(entry.user.op, entry.user_grad, entry.local) for entry in ledger]
        [('mul', 1.0, 3.0), ('mul', 1.0, 3.0), ('add', 1.0, 1.0)]
        >>> ledger.gradient
        7.0
    """
    return explained(x, loss, depth, index, (names, modules, sys._getframe(1)))


def explained(
    x: Any, loss: Any, depth: int, index: Sequence[int] | None, naming: tuple[Any, Any, Any]
) -> Ledger:
    """explain(), with the arguments of find_names."""
    if depth < 1:
        raise ValueError(f"depth must be at least 1, not {depth}")
    root = _one(loss, "loss")
    g = Graph([root], find_names(*naming))
    if is_integer(x):
        return _of_integers(x, index, node_of(loss, (), g), g)
    target = _element(x, index, g)
    end = node_of(loss, (), g)
    if end.span.freed:
        raise RuntimeError(
            "explain needs the graph behind the loss, which backward() has freed; call "
            "loss.backward(retain_graph=True) to keep it, or explain before backward()"
        )
    if target.span not in g.spans:
        g._refuse_freed(target.name or "x")
    ledger = _ledger(target, end, root, depth, g)
    if not ledger.gradient:
        ledger.reason = str(reason(x if index is None else x[tuple(index)], loss, g.names))
    return ledger


def is_integer(x: Any) -> bool:
    """A Tensor whose elements are not nodes."""
    return isinstance(x, Handle) and not x._h


def _of_integers(x: Any, index: Sequence[int] | None, end: Node, g: Graph) -> Ledger:
    """The ledger of a number that has no gradient."""
    position(tuple(index or (0,) * len(x._shape)), x._shape)
    ledger = Ledger(None, end, _Gradients(), 1)
    ledger.reason = str(reason(x, end, g.names))
    return ledger


def _one(x: Any, what: str) -> Any:
    t = handle(x)
    if t.numel() != 1:
        raise ValueError(f"{what} must have one element, but its shape is {list(t._shape)}")
    return t


def _element(x: Any, index: Sequence[int] | None, g: Graph) -> Node:
    if index is None and not isinstance(x, Node) and handle(x).numel() != 1:
        raise ValueError(
            f"a tensor of shape {list(handle(x)._shape)} has many gradients: explain one of them, "
            "as in explain(t[i, j], loss) or explain(t, loss, index=(i, j))"
        )
    return node_of(x, tuple(index or ()), g)


# ---- gathering -----------------------------------------------------------------------------------


class _Gradients:
    """d loss / d node for the nodes of some spans, as the private pass finds them."""

    def __init__(self) -> None:
        self._kept: dict[int, Array | None] = {}

    def read(self, span: Span) -> Array | None:
        """A span's gradients, flat; None where none comes. Within the pass, or kept from it."""
        if span._number in self._kept:
            return self._kept[span._number]
        h = check(lib.rnn_span_tensor(E, span._number, 1))
        return array_of(adopt(h)).reshape(-1) if h else None

    def keep(self, span: Span) -> None:
        """Copies them, for after the pass."""
        found = self.read(span)
        self._kept[span._number] = None if found is None else found.copy()

    def forget(self, span: Span) -> None:
        """No gradient comes to this span."""
        self._kept[span._number] = None

    def of(self, span: Span, nodes: Array) -> Array:
        """The gradients of some of its nodes, float64; 0 where none comes."""
        whole = self.read(span)
        return np.zeros(len(nodes)) if whole is None else whole[nodes].astype(np.float64)


def _ledger(target: Node, end: Node, root: Any, depth: int, g: Graph) -> Ledger:
    """Runs the private pass, and reads what it finds before it is undone."""
    levels = _levels(target.span, depth)
    spans = list({span._number: span for level in levels for span in level}.values())
    wanted = [span._hold for span in spans if span.requires_grad]
    found = _Gradients()

    def collect() -> Ledger:
        for span in spans if depth > 1 else []:
            found.keep(span)
        return Ledger(target, end, found, depth)

    if lib.rnn_requires_grad(E, root._h) and target.requires_grad and target.span in g.spans:
        ledger: Ledger = run([root], [None], wanted, RETAIN_GRAPH | KEEP | PRIVATE, collect)
        return ledger
    for span in spans:
        found.forget(span)
    return Ledger(target, end, found, depth)


def _levels(span: Span, depth: int) -> list[list[Span]]:
    """The span, its users, their users, ... as far as the ledger goes."""
    levels = [[span]]
    for _ in range(depth):
        after = {user._number: user for s in levels[-1] for user in s.users if user != s}
        levels.append(list(after.values()))
    return levels


# ---- the ledger ----------------------------------------------------------------------------------


#: operations that pass nothing on where their derivative is 0, not even of an infinite gradient:
#: csrc/ops.h says `0` there, not dz times 0
_CUTTING = (STEPS | CHOICES).union(
    "relu rnn_relu hardtanh hardsigmoid hardswish hardshrink softshrink threshold clamp".split()
)


class Entry:
    """One use of the explained node.

    Attributes:
        user: the node that was made from it.
        user_grad: d loss / d user.
        local: d user / d x, within the operation.
        flows: False where the user was made from x detached: then nothing is contributed.
        contribution: user_grad * local; 0 where the operation passes nothing on, as relu of -1,
            even if user_grad is not finite.
        share: of the gradient; None where that is 0.
        children: the Ledger of the user, where the depth that was asked for goes on; else None.

    Example:
        >>> a = rnn.Value(3.0)
        >>> L = a * a
        >>> L.backward()
        >>> [(e.user_grad, e.local, e.contribution) for e in rnn.inspect.explain(a, L)]
        [(1.0, 3.0, 3.0), (1.0, 3.0, 3.0)]
    """

    __slots__ = ("_ledger", "flows", "local", "user", "user_grad")

    def __init__(
        self, ledger: Ledger, user: Node, user_grad: float, local: float, flows: bool
    ) -> None:
        self._ledger = ledger
        self.user, self.user_grad, self.local, self.flows = user, user_grad, local, flows

    @property
    def contribution(self) -> float:
        if not self.flows or (self.local == 0 and self.user.op in _CUTTING):
            return 0.0
        return self.user_grad * self.local

    @property
    def share(self) -> float | None:
        total = self._ledger.total
        return self.contribution / total if total else None

    @property
    def children(self) -> Ledger | None:
        return self._ledger._of(self.user)

    def __repr__(self) -> str:
        product = f"{number(self.user_grad)} * {number(self.local)}"
        return f"<{self.user.label}: {product} = {number(self.contribution)}>"


class _Uses:
    """The uses in one span, as columns."""

    __slots__ = ("flows", "grads", "locals", "nodes", "span")

    def __init__(self, span: Span, n: Node, found: _Gradients) -> None:
        self.span = span
        self.nodes, self.locals, self.flows = uses(span, n, through=True)
        self.grads = found.of(span, self.nodes)

    def contributions(self) -> Array:
        passed = self.flows & (self.locals != 0) if self.span.op in _CUTTING else self.flows
        with np.errstate(invalid="ignore", over="ignore"):
            return np.where(passed, self.grads * self.locals, 0.0)


def _uses_of(n: Node, found: _Gradients) -> list[_Uses]:
    users = [s for s in n.span.users if s != n.span or not lib.rnn_is_running(E, s._number)]
    every = [_Uses(span, n, found) for span in users]
    return [u for u in every if len(u.nodes)]


class Ledger:
    """Every use of a node, in tape order, and what each contributes to its gradient.

    len(ledger), ledger[i] and iteration give Entries. The contributions, the rounding and the seed
    add up to the gradient exactly (math.fsum).

    Attributes:
        node: the explained node, None of an integer; loss: the node that is differentiated.
        gradient: d loss / d node, as the engine's kernels find it, in the node's dtype; None where
            the loss does not reach the node.
        total: the sum of the contributions, in float64.
        rounding: gradient - total: what float32 kernels rounded away, 0.0 where nothing.
        seed: 1.0 where the node is the loss itself, else 0.0.
        stored: node.grad, which may hold more than this: passes add up.
        reason: why the gradient is None or 0, in words; else None.

    Example:
        >>> a, b = rnn.Value(2.0), rnn.Value(-3.0)
        >>> L = a * b + a
        >>> L.backward()
        >>> ledger = rnn.inspect.explain(a, L)
        >>> [entry.contribution for entry in ledger], ledger.gradient
        ([-3.0, 1.0], -2.0)
    """

    def __init__(self, n: Node | None, loss: Node, found: _Gradients, depth: int) -> None:
        self.node, self.loss, self._depth, self._found = n, loss, depth, found
        self._uses = [] if n is None else _uses_of(n, found)
        self._parts = [x for u in self._uses for x in u.contributions().tolist()]
        whole = None if n is None else found.read(n.span)
        self.gradient = None if whole is None or n is None else float(whole[n.offset])
        self.seed = 1.0 if n == loss else 0.0
        self.reason: str | None = None
        self.total = _sum([self.seed, *self._parts])
        self.rounding = 0.0
        if self.gradient is not None and not _same_beyond_numbers(self.gradient, self.total):
            self.rounding = _sum([self.gradient, -self.seed, *(-x for x in self._parts)])

    @property
    def stored(self) -> float | None:
        return None if self.node is None else self.node.grad

    # ---- entries ---------------------------------------------------------------------------------

    def __len__(self) -> int:
        return sum(len(u.nodes) for u in self._uses)

    def __iter__(self) -> Iterator[Entry]:
        for u in self._uses:
            for i in range(len(u.nodes)):
                yield self._entry(u, i)

    def __getitem__(self, i: int) -> Entry:
        at = i + len(self) if i < 0 else i
        for u in self._uses:
            if 0 <= at < len(u.nodes):
                return self._entry(u, at)
            at -= len(u.nodes)
        raise IndexError(f"the ledger has {len(self)} entries: there is no entry {i}")

    def _entry(self, u: _Uses, i: int) -> Entry:
        user = Node(u.span, int(u.nodes[i]))
        return Entry(self, user, float(u.grads[i]), float(u.locals[i]), bool(u.flows[i]))

    def largest(self, count: int) -> list[Entry]:
        """The entries that contribute most, largest first.

        Example:
            >>> a = rnn.Value(3.0)
            >>> L = a * a + 0.5 * a
            >>> L.backward()
            >>> [entry.contribution for entry in rnn.inspect.explain(a, L).largest(2)]
            [3.0, 3.0]
        """
        every = np.abs(np.array(self._parts))
        order = np.argsort(-np.nan_to_num(every, nan=np.inf), kind="stable")[:count]
        return [self[int(i)] for i in order]

    def _of(self, user: Node) -> Ledger | None:
        if self._depth < 2:
            return None
        return Ledger(user, self.loss, self._found, self._depth - 1)

    # ---- for people ------------------------------------------------------------------------------

    def table(self, limit: int = 12) -> Table:
        """The entries that contribute most, and below the line what they add up to."""
        x, loss = "x" if self.node is None else self.node.label, self.loss.label
        title = f"d {loss} / d {x} = {number(self.gradient)}"
        if self.node is not None:
            title += f"   where {x} = {number(self.node.value)}"
        out = Table(title, ("use", "made by", f"d {loss} / d use", "times d use / d " + x,
                            "contributes", "share"), left=range(2))  # fmt: skip
        shown = self.largest(limit) if len(self) > limit else list(self)
        for entry in shown:
            out.add(*_cells(entry))
        if len(shown) < len(self):
            rest = _sum([self.total, -self.seed, *(-entry.contribution for entry in shown)])
            share = percent(rest / self.total if self.total else None)
            out.add(f"... and {len(self) - len(shown):,} more", "", "", "", number(rest), share)
        if self.seed:
            out.add(f"{x} is the loss itself", "", "", "", number(self.seed), "")
        if self.rounding:
            out.add_foot("sum", "", "", "", number(self.total), "")
            kind = self.node.dtype.name if self.node is not None else ""
            out.add_foot(f"{kind} rounding", "", "", "", number(self.rounding), "")
        if self.node is not None:
            out.add_foot(f"d {loss} / d {x}", "", "", "", number(self.gradient), "")
        out.notes += self._notes(x)
        return out

    def _notes(self, x: str) -> list[str]:
        notes = [self.reason] if self.reason else []
        if self.stored is None or self.gradient is None:
            return notes
        other = self.stored - self.gradient
        if abs(other) > 1e-4 * max(abs(self.stored), abs(self.gradient)):
            notes.append(
                f"{x}.grad is {number(self.stored)}, which is not of this loss alone: other passes "
                f"or hooks make a difference of {number(other)}"
            )
        return notes

    def text(self, limit: int = 12) -> str:
        """The table as text, and below it those of the largest entries, as deep as was asked."""
        parts = [self.table(limit).text()]
        for entry in self.largest(3) if self._depth > 1 else []:
            inner = entry.children
            if inner is not None and len(inner):
                lines = inner.text(limit).splitlines()
                parts.append("\n".join("    " + line for line in lines))
        return "\n\n".join(parts)

    def html(self, limit: int = 12) -> str:
        """The table as HTML; below it, to be unfolded, those of the largest entries."""
        parts = [self.table(limit).html()]
        for entry in self.largest(3) if self._depth > 1 else []:
            inner = entry.children
            if inner is not None and len(inner):
                summary = escape(f"d {self.loss.label} / d {entry.user.label}")
                style = 'style="margin-left:2em"'
                below = inner.html(limit)
                parts.append(f"<details {style}><summary>{summary}</summary>{below}</details>")
        return "".join(parts)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return self.html()


def _cells(entry: Entry) -> tuple[str, ...]:
    user = entry.user
    by = user.span.place or user.span.torch_name
    name = f"{user.label} = {number(user.value)}"
    if not entry.flows:
        return name, by, number(entry.user_grad), "detached", "0.0", ""
    return (
        name, by, number(entry.user_grad), number(entry.local), number(entry.contribution),
        percent(entry.share),
    )  # fmt: skip


def _sum(parts: list[float]) -> float:
    """math.fsum, where inf and nan have their places."""
    try:
        return math.fsum(parts)
    except (OverflowError, ValueError):
        with np.errstate(all="ignore"):
            return float(np.sum(parts))


def _same_beyond_numbers(a: float, b: float) -> bool:
    """Whether both are nan, or the same infinity: no difference, where subtraction says nan."""
    return (math.isinf(a) and a == b) or (math.isnan(a) and math.isnan(b))

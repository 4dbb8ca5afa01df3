"""The paths between two scalars: which carry most of a gradient."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rnn._c import E, check, fail, ffi, lib
from rnn.autograd.passes import SLICE
from rnn.inspect.custom import derivatives
from rnn.inspect.explain import _element, _one, is_integer
from rnn.inspect.graph import Graph, node_of
from rnn.inspect.names import find_names
from rnn.inspect.node import Node
from rnn.inspect.tables import Table, number, percent
from rnn.inspect.why import reason


def paths(
    source: Any,
    target: Any,
    k: int = 5,
    *,
    names: Mapping[str, Any] | None = None,
    modules: Any = None,
) -> Paths:
    """The k paths from source to target with the largest |product of local derivatives|, exactly.

    A path is a sequence of nodes, each an operand of the next. d target / d source is the sum of
    the products over all paths; `total` is that sum, over all of them, not only over the k.

    Args:
        source, target: a Value, a one-element Tensor (`logits[0, -1, 5]` is one) or a Node.
        k: how many, 1 to 255.
        names, modules: what nodes are called, as for rnn.inspect.graph.

    Raises:
        RuntimeError: the graph between them was freed by backward(); a value that a derivative
            needs was overwritten; or an autograd.Function between them cannot be asked for its
            local derivatives, as in `explain`.
        MemoryError: the memory limit would be exceeded; k best ways are kept for each node between.
        ValueError: k is out of range, or source or target has more than one element.
        TypeError: source is a tensor of integers, which have no gradient.

    Example:
        >>> x = rnn.Value(3.0)
        >>> y = x * 2 + x.exp()
        >>> found = rnn.inspect.paths(x, y)
        >>> [([n.op for n in path.nodes], round(path.product, 4)) for path in found]
        [(['leaf', 'exp', 'add'], 20.0855), (['leaf', 'mul_scalar', 'add'], 2.0)]
        >>> round(found.total, 4), found.count
        (22.0855, 2.0)
    """
    if not 1 <= k <= 255:
        raise ValueError(f"k must be between 1 and 255, not {k}")
    if is_integer(source):
        raise TypeError(str(reason(source, target, {})))
    root = _one(target, "target")
    g = Graph([root], find_names(names, modules, sys._getframe(1)))
    start, end = _element(source, None, g), node_of(target, (), g)
    if end.span.freed:
        raise RuntimeError(
            "paths needs the graph behind the target, which backward() has freed; call "
            "backward(retain_graph=True) to keep it"
        )
    if start.span not in g.spans:
        g._refuse_freed(start.name or "the source")
    found = _search(g, start, end, k)
    if not found:
        found.reason = str(reason(source, target, g.names))
    return found


def _search(g: Graph, start: Node, end: Node, k: int) -> Paths:
    here = start.span._number, start.offset, end.span._number, end.offset
    numbers = ffi.from_buffer("uint32_t[]", g._numbers)
    begun = lib.rnn_paths_begin(E, len(g), numbers, *here, k)
    if begun == ffi.NULL:
        fail(lib.rnn_failure())
    try:
        held: list[Any] = []
        code = 1
        while code:
            code = check(lib.rnn_paths_step(E, begun, SLICE))
            if code == lib.RNN_PATHS_ASK:
                held[:] = _answer(g, begun)
        total, count = ffi.new("double *"), ffi.new("double *")
        many = lib.rnn_paths_found(begun, total, count)
        every = [_path(g, begun, i, total[0]) for i in range(many)]
        return Paths(start, end, every, total[0], count[0])
    finally:
        lib.rnn_paths_end(E, begun)


def _answer(g: Graph, begun: Any) -> list[Any]:
    """Tells the search the edges of the nodes of an autograd.Function that it has come to. What is
    returned is read by the engine until the next answer."""
    number = ffi.new("uint32_t *")
    count = lib.rnn_paths_asked(E, begun, number, 0, ffi.NULL)
    offsets = np.empty(count, np.int64)
    lib.rnn_paths_asked(E, begun, number, count, ffi.from_buffer("int64_t[]", offsets))
    known = derivatives(g._span(number[0]))
    leads = [n for n in np.unique(known.spans) if lib.rnn_paths_lead(begun, int(n))]
    wanted = np.isin(known.spans, leads)
    columns = None if wanted.all() else np.flatnonzero(wanted)
    found = known.rows(offsets, columns)
    at = found.columns if columns is None else columns[found.columns]
    arrays = (
        found.begin.astype(np.int64),
        known.spans[at].astype(np.uint32),
        known.nodes[at].astype(np.int64),
        found.values,
    )
    kinds = ("int64_t[]", "uint32_t[]", "int64_t[]", "double[]")
    held = [ffi.from_buffer(kind, a) for kind, a in zip(kinds, arrays)]
    lib.rnn_paths_answer(begun, *held)
    return held


def _path(g: Graph, begun: Any, i: int, total: float) -> Path:
    product, room = ffi.new("double *"), 256
    while True:
        spans, nodes = ffi.new("uint32_t[]", room), ffi.new("int64_t[]", room)
        count = lib.rnn_paths_get(begun, i, product, room, spans, nodes)
        if count <= room:
            break
        room = count
    every = tuple(Node(g._span(spans[j]), nodes[j]) for j in range(count))
    return Path(every, product[0], total)


class Path:
    """One way from the source to the target.

    Attributes:
        nodes: from the source to the target, both included.
        product: of the local derivatives along it.
        share: product / d target / d source; None where that is 0.
        locals: d node / d the one before it, for each node but the first.

    Example:
        >>> a, b = rnn.Value(2.0), rnn.Value(-3.0)
        >>> L = (a * b).tanh() * 2
        >>> path = rnn.inspect.paths(a, L)[0]
        >>> [n.op for n in path.nodes], len(path.locals)
        (['leaf', 'mul', 'tanh', 'mul_scalar'], 3)
    """

    __slots__ = ("_total", "nodes", "product")

    def __init__(self, nodes: tuple[Node, ...], product: float, total: float) -> None:
        self.nodes, self.product, self._total = nodes, product, total

    @property
    def share(self) -> float | None:
        return self.product / self._total if self._total else None

    @property
    def locals(self) -> tuple[float, ...]:
        return tuple(
            sum(edge.local for edge in user.operands if edge.node == n)
            for n, user in zip(self.nodes, self.nodes[1:])
        )

    def __len__(self) -> int:
        return len(self.nodes)

    def table(self) -> Table:
        """Its nodes, one a line, with what each step multiplies by."""
        title = f"{self._ends()}: product {number(self.product)}, {percent(self.share)}"
        out = Table(title, ("node", "made by", "value", "times", "product"), left=range(2))
        product = 1.0
        for n, local in zip(self.nodes, (None, *self.locals)):
            product *= 1.0 if local is None else local
            times = "" if local is None else number(local)
            out.add(n.label, _maker(n), number(n.value), times, number(product))
        return out

    def _ends(self) -> str:
        return f"{self.nodes[0].label} -> {self.nodes[-1].label}"

    def __str__(self) -> str:
        return self.table().text()

    def __repr__(self) -> str:
        steps = " -> ".join(n.label for n in self.nodes)
        return f"<{steps}: {number(self.product)}>"

    def _repr_html_(self) -> str:
        return self.table().html()


def _maker(n: Node) -> str:
    return n.span.place or ("" if n.is_leaf else n.op)


class Paths:
    """The best paths from source to target, the largest first.

    Attributes:
        source, target: their ends.
        total: the sum of the products over all paths: d target / d source. A path with a derivative
            of 0 on it adds 0, where one of infinity stands beside it too: backward() has nan there.
        count: how many paths there are (a float: there may be 1e30), those with a derivative of 0
            on them left out.
        reason: why there are none, in words, else None.

    Example:
        >>> a = rnn.Value(3.0)
        >>> L = a * a + a
        >>> paths = rnn.inspect.paths(a, L)
        >>> paths.count, paths.total, [path.product for path in paths]
        (2.0, 7.0, [6.0, 1.0])
    """

    def __init__(
        self, source: Node, target: Node, found: list[Path], total: float, count: float
    ) -> None:
        self.source, self.target, self._found = source, target, found
        self.total, self.count = float(total), float(count)
        self.reason: str | None = None

    def __len__(self) -> int:
        return len(self._found)

    def __getitem__(self, i: int) -> Path:
        return self._found[i]

    def __iter__(self) -> Iterator[Path]:
        return iter(self._found)

    def table(self) -> Table:
        """A path a line."""
        x, y = self.source.label, self.target.label
        many = f"{self.count:,.0f}" if self.count < 1e6 else f"{self.count:.3g}"
        title = f"d {y} / d {x} = {number(self.total)}, the sum over {many} paths"
        if self.count == 1:
            title = f"d {y} / d {x} = {number(self.total)}, by one path"
        out = Table(title, ("product", "share", "path"), left=(2,))
        for path in self:
            out.add(number(path.product), percent(path.share), _steps(path))
        if self.reason:
            out.notes.append(self.reason)
        return out

    def text(self) -> str:
        """The table as text."""
        return self.table().text()

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return self.table().html()


def _steps(path: Path) -> str:
    """Its nodes' labels; of a long one the first and last, and the operations between."""
    labels = [n.label for n in path.nodes]
    if len(labels) > 8:
        labels[2:-2] = [n.op for n in path.nodes[2:-2]]
    return " -> ".join(labels)

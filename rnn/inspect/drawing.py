"""rnn.show: a drawing of the graph behind a result, for notebooks, files and terminals."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rnn.inspect.graph import Graph, handle
from rnn.inspect.names import find_names
from rnn.inspect.node import Node
from rnn.inspect.paths import Path
from rnn.inspect.words import printable

if TYPE_CHECKING:
    from rnn.inspect.inside import Inside
    from rnn.inspect.scene import Scene

Reasons = dict[int, str]


def show(
    *roots: Any,
    focus: Iterable[Any] = (),
    paths: Iterable[Path] = (),
    names: Mapping[str, Any] | None = None,
    modules: Any = None,
) -> Drawing:
    """Draws the computation graph behind results: every number, where it came from and where its
    gradient goes.

    A notebook shows the drawing as the value of a cell; `save("graph.html")` writes one
    self-contained file; printed, it is text. It is folded by module and tensor, and opens down to
    single scalars. What it shows is what the values and gradients were when it was made.

    Args:
        roots: float Tensors and Values.
        focus: scalars that a drawing of a large graph must hold with all that concerns them:
            Nodes, Values, one-element Tensors, tuples (tensor, i, j), or ids as a drawing writes
            them (123 for #123). The page opens at the first. Graphs of up to some ten thousand
            scalars are held whole; of a graph of very many Values, those around the ones in focus
            have a box each and the others share boxes in stretches of the tape.
        paths: what `rnn.inspect.paths` found, to be marked where the graph is large. In a small one
            the paths that carry most of any scalar's gradient are marked when it is selected.
        names: {"x": x}: what nodes are called; by default the caller's variables are looked at.
        modules: a Module, or a dict of them, whose Parameters name their nodes by their paths.

    Raises:
        TypeError: a root is no Tensor or Value, or an integer one.
        RuntimeError: backward() has freed the graph; backward(retain_graph=True) keeps it.
        KeyError: a focus or a path is not in the graph.

    Example:
        >>> a, b = rnn.Value(2.0), rnn.Value(-3.0)
        >>> L = a * b
        >>> L.backward()
        >>> print(rnn.show(L))  # doctest: +ELLIPSIS
        Computation graph of L: 3 scalar nodes in 3 operations and leaves
        ...
    """
    from rnn.inspect.inside import insides, openable
    from rnn.inspect.scene import Marked, make_scene

    graph = Graph([handle(x) for x in roots], find_names(names, modules, sys._getframe(1)))
    for t in graph.roots:
        span = graph.node(t, *(0,) * len(t.shape)).span if t.numel() else None
        if span is not None and span.freed and not span.is_leaf:
            raise RuntimeError(
                f"the graph behind this {span.torch_name} was freed by backward(); "
                "call backward(retain_graph=True) to keep it"
            )
    wanted = [_node(graph, x) for x in focus]
    marked = list(paths)
    ways = [[graph.node(n.id) for n in _ends(path.nodes)] for path in marked]
    scene = make_scene(graph, wanted, [n for way in ways for n in way])
    scene.paths = [
        Marked([n.id for n in way], path.product, path.share) for way, path in zip(ways, marked)
    ]
    scene.reasons = _reasons(graph, scene, wanted, roots)
    opened: list[Inside] = []
    if not scene.freed:
        opened = insides(scene, wanted)
        scene.openable = openable(scene, opened)
    scene.let_go()
    return Drawing(scene, opened)


#: nodes of a path's beginning and of its end that a drawing holds
ENDS = 1_000


def _ends(nodes: Sequence[Node]) -> Sequence[Node]:
    return nodes if len(nodes) <= 2 * ENDS else [*nodes[:ENDS], *nodes[-ENDS:]]


#: zero gradients whose reasons a drawing holds, and up to which size of the graph it seeks them
REASONS, SOUGHT = 8, 500


def _reasons(graph: Graph, scene: Scene, wanted: list[Node], roots: tuple[Any, ...]) -> Reasons:
    """Why gradients are zero, in words, by node: of what is in focus, and of a small graph's
    leaves."""
    from rnn.inspect.why import reason

    found: Reasons = {}
    if len(roots) != 1 or not scene.root_nodes:
        return found
    leaves = (row.span for row in scene.rows if row.leaf and row.span is not None)
    if graph.nodes <= SOUGHT:
        wanted = [*wanted, *(Node(span, k) for span in leaves for k in range(span.count))]
    for n in wanted:
        if len(found) < REASONS and n.requires_grad and n.grad == 0:
            with contextlib.suppress(RuntimeError):  # a value that backward needs was overwritten
                found[n.id] = str(reason(n, roots[0], graph.names))
    return found


def _node(graph: Graph, x: Any) -> Node:
    if isinstance(x, (Node, int)) and not isinstance(x, bool):
        return graph.node(x if isinstance(x, int) else x.id)
    return graph.node(*x) if isinstance(x, tuple) else graph.node(x)


class Drawing:
    """A graph, drawn. Made by `rnn.show`.

    Example:
        >>> a, b = rnn.Value(2.0), rnn.Value(-3.0)
        >>> drawing = rnn.show(a * b)
        >>> drawing.save("product.html")
        PosixPath('product.html')
        >>> drawing.to_dot().splitlines()[0]
        'digraph graph_ {'
    """

    def __init__(self, scene: Any, insides: Any = ()) -> None:
        self._scene, self._insides = scene, insides
        self._known_view: Any = None

    @property
    def _view(self) -> Any:
        from rnn.inspect.view import make_view

        if self._known_view is None:
            self._known_view = make_view(self._scene)
        return self._known_view

    def to_svg(self) -> str:
        """A static SVG, folded as the drawing is at first; light or dark as the reader's system."""
        from rnn.inspect.svg import to_svg

        return to_svg(self._view)

    def to_html(self) -> str:
        """One self-contained HTML page: no network, no server."""
        from rnn.inspect.page import page

        return page(self._view, self._insides)

    def to_dot(self) -> str:
        """The graph in the DOT language, modules as clusters."""
        from rnn.inspect.dot import to_dot

        return to_dot(self._scene)

    def text(self) -> str:
        """The tape as lines of text: names, operations, values, gradients."""
        from rnn.inspect.text import to_text

        return printable(to_text(self._scene))

    def save(self, path: str | os.PathLike[str]) -> pathlib.Path:
        """Writes the drawing to a file; the ending says how: .html, .svg, .dot (.gv) or .txt.

        Returns:
            The path.

        Raises:
            ValueError: another ending.
        """
        target = pathlib.Path(path)
        writers = {
            ".html": self.to_html, ".htm": self.to_html, ".svg": self.to_svg, ".dot": self.to_dot,
            ".gv": self.to_dot, ".txt": self.text,
        }  # fmt: skip
        if target.suffix.lower() not in writers:
            raise ValueError(f"save() writes .html, .svg, .dot, .gv and .txt, not {target.name!r}")
        target.write_text(writers[target.suffix.lower()](), encoding="utf-8")
        return target

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        from rnn.inspect.page import fragment

        return {
            "text/html": fragment(self._view, self._insides),
            "image/svg+xml": self.to_svg(),
            "text/plain": self.text(),
        }

    def __repr__(self) -> str:
        return self.text()

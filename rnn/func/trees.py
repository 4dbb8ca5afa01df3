"""Nested lists, tuples and dicts: their leaves in order, and the same nest with other leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any


def is_nest(x: Any) -> bool:
    return isinstance(x, (list, tuple, dict))


def leaves(tree: Any) -> list[Any]:
    """All that is in it and is no list, tuple or dict."""
    if not is_nest(tree):
        return [tree]
    parts = tree.values() if isinstance(tree, dict) else tree
    return [leaf for part in parts for leaf in leaves(part)]


def rebuilt(tree: Any, new: Sequence[Any]) -> Any:
    """The same nest with these leaves."""
    return _rebuilt(tree, iter(new))


def _rebuilt(tree: Any, new: Iterator[Any]) -> Any:
    if isinstance(tree, dict):
        made = tree.copy()  # keeps the class: an OrderedDict, a defaultdict
        made.update({key: _rebuilt(part, new) for key, part in tree.items()})
        return made
    if isinstance(tree, tuple):
        parts = [_rebuilt(part, new) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    if isinstance(tree, list):
        return [_rebuilt(part, new) for part in tree]
    return next(new)


def mapped(function: Callable[[Any], Any], tree: Any) -> Any:
    """The same nest with function(leaf) for every leaf."""
    return rebuilt(tree, [function(leaf) for leaf in leaves(tree)])


def structure(tree: Any) -> str:
    """What it is like, leaves left out: "(*, {'a': *})". Equal for nests of one form."""
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key!r}: {structure(tree[key])}" for key in tree) + "}"
    if isinstance(tree, (list, tuple)):
        inner = ", ".join(map(structure, tree))
        return f"[{inner}]" if isinstance(tree, list) else f"({inner})"
    return "*"


def spread(prefix: Any, tree: Any) -> list[Any] | None:
    """For each leaf of tree, the leaf of prefix that stands at its place or above it; None where
    they do not fit."""
    if not is_nest(prefix):
        return [prefix] * len(leaves(tree))
    if isinstance(prefix, dict):
        if not isinstance(tree, dict) or prefix.keys() != tree.keys():
            return None
        pairs = [(prefix[key], part) for key, part in tree.items()]
    else:
        if not isinstance(tree, (list, tuple)) or len(prefix) != len(tree):
            return None
        pairs = list(zip(prefix, tree))
    found: list[Any] = []
    for one, part in pairs:
        inner = spread(one, part)
        if inner is None:
            return None
        found += inner
    return found

"""Scopes: which module is being called, as a number that the engine keeps with every span.

A scope stands for a path from the outermost module whose call is running ("h.0.attn.c_proj"). It is
found once for each module that is called from each scope, at the first such call; from then on
csrc/module_object.c remembers it. Modules are known by weak references alone.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rnn import _c

if TYPE_CHECKING:
    from rnn.nn.module import Module


class Scope:
    """One path of modules.

    Attributes:
        path: the dotted name from the root; "" for the root itself.
        kind: the class name of the module that is called there.
        root: the class name of the root.
        outer: the scope in which it is called, None for a root.
    """

    __slots__ = ("_modules", "kind", "number", "outer", "path", "root")

    def __init__(self, number: int, path: str, kind: str, root: str, outer: Scope | None) -> None:
        self.number, self.path, self.kind, self.root, self.outer = number, path, kind, root, outer
        self._modules: list[weakref.ref[Module]] = []

    def modules(self) -> Iterator[Module]:
        """The modules that were called here and still live."""
        for known in self._modules:
            module = known()
            if module is not None:
                yield module

    def remember(self, module: Module) -> None:
        """Adds a module to those that were called here."""
        self._modules = [known for known in self._modules if known() not in (None, module)]
        self._modules.append(weakref.ref(module))

    def __str__(self) -> str:
        return self.path or self.root


#: scope n is _scopes[n - 1]
_scopes: list[Scope] = []
_known: dict[tuple[str, str, str], Scope] = {}


def scope(number: int) -> Scope | None:
    """The scope of a number that the engine kept; None for 0."""
    return _scopes[number - 1] if 0 < number <= len(_scopes) else None


def roots() -> Iterator[Module]:
    """The outermost modules that were called and still live, in the order of their first calls."""
    for known in _scopes:
        if known.outer is None:
            yield from known.modules()


def _find(module: Module, outer: Scope) -> str | None:
    """The path of a module that is called within `outer`: its name below the innermost of the
    running modules that owns it.
    """
    caller: Scope | None = outer
    while caller is not None:
        for owner in caller.modules():
            for name, child in owner.named_modules():
                if child is module:
                    return f"{caller.path}.{name}" if caller.path and name else caller.path or name
        caller = caller.outer
    return None


def _name(module: Module, outer_number: int) -> int:
    """The scope of a call, where module_object.c does not know it yet."""
    outer, kind = scope(outer_number), type(module).__name__
    if outer is None:
        path, root = "", kind
    else:
        found = _find(module, outer)
        path = found if found is not None else f"{outer.path}.{kind}".lstrip(".")
        root = outer.root
    key = (root, path, kind)
    known = _known.get(key)
    if known is None:
        known = _known[key] = Scope(len(_scopes) + 1, path, kind, root, outer)
        _scopes.append(known)
    known.remember(module)
    return known.number


_c.register_scopes(_name)

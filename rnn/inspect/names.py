"""Names for nodes: of Parameters by their modules, of other tensors by the caller's variables.

What it is not: names are for readers only; nothing is found by them but what `where` is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import FrameType
from typing import Any, NamedTuple

from rnn import _c
from rnn._c import E, Handle, ValueBase, ffi, lib


class Name(NamedTuple):
    """What a tensor's nodes are called, and how they lie in their span."""

    text: str
    module: str | None  # the path of the module that a Parameter belongs to
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def index_of(self, offset: int) -> tuple[int, ...] | None:
        """The index of the span's node `offset` in the named tensor, None where it is not in it."""
        rest = offset - self.offset
        index = [0] * len(self.shape)
        for d in sorted(range(len(self.shape)), key=lambda d: -self.strides[d]):
            if self.strides[d] <= 0:
                continue
            index[d] = min(rest // self.strides[d], self.shape[d] - 1)
            rest -= index[d] * self.strides[d]
        return None if rest or min(index, default=0) < 0 or 0 in self.shape else tuple(index)


#: a span's first id -> its name
Names = dict[int, Name]


def find_names(
    names: Mapping[str, Any] | None, modules: Any = None, frame: FrameType | None = None
) -> Names:
    """The names to use: those given, then the modules' Parameters, then the caller's variables.

    Args:
        names: {"x": a Tensor or a Value}; given, the caller's variables are not looked at.
        modules: a Module or a dict of them; their Parameters and buffers are named by their paths.
        frame: the caller's.
    """
    found: Names = {}
    for text, x in (names or {}).items():
        _add(found, text, x)
    if modules is not None:
        given = modules if isinstance(modules, Mapping) else {"": modules}
        _add_modules(found, given)
    elif frame is not None:
        _add_modules(found, _single_prefix(dict(_variables(frame, _is_module))))
    if names is None and frame is not None:
        for text, x in _variables(frame, _is_node):
            _add(found, text, x)
    return found


def _is_module(x: object) -> bool:
    return isinstance(x, _c.ModuleBase)


def _is_node(x: object) -> bool:
    return isinstance(x, ValueBase) or (isinstance(x, Handle) and bool(x._h))


def _variables(frame: FrameType, wanted: Any) -> Iterator[tuple[str, Any]]:
    """The caller's variables, local ones first; lists and dicts of a few are looked into."""
    for scope in (frame.f_locals, frame.f_globals):
        for name, x in list(scope.items()):
            if name.startswith("_") or not name.isidentifier():
                continue
            if wanted(x):
                yield name, x
            elif isinstance(x, (list, tuple)) and 0 < len(x) <= 64:
                yield from ((f"{name}[{i}]", y) for i, y in enumerate(x) if wanted(y))
        if frame.f_locals is frame.f_globals:
            return


def _single_prefix(modules: dict[str, Any]) -> dict[str, Any]:
    """One model among the variables needs no name before its Parameters' paths; several do."""
    roots: dict[str, Any] = {}
    for name, module in modules.items():
        inside = {id(m) for other in modules.values() if other is not module
                  for m in other.modules()}  # fmt: skip
        if id(module) not in inside and id(module) not in map(id, roots.values()):
            roots[name] = module
    return {"": next(iter(roots.values()))} if len(roots) == 1 else roots


def _add_modules(found: Names, modules: Mapping[str, Any]) -> None:
    for prefix, module in modules.items():
        members: Iterable[tuple[str, Any]] = [*module.named_parameters(), *module.named_buffers()]
        for path, x in members:  # the module's path is that of its operations, without the prefix
            _add(found, f"{prefix}.{path}" if prefix else path, x, path.rpartition(".")[0])


def _add(found: Names, text: str, x: Any, module: str | None = None) -> None:
    if isinstance(x, ValueBase):
        span, offset = x._node
        first = first_of(span)
        found.setdefault(first, Name(x.label or text, module, offset, (), ()))
        return
    if not isinstance(x, Handle) or not x._h:
        return
    name = Name(text, module, lib.rnn_offset(x._h), x._shape, x._strides)
    first = first_of(lib.rnn_span_of(x._h))
    known = found.get(first)
    # a view names its span only where nothing names more of it
    if known is None or _size(known.shape) < _size(name.shape):
        found[first] = name


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for n in shape:
        size *= n
    return size


def first_of(span: int) -> int:
    """The id of a living span's first node."""
    info = ffi.new("rnn_span_info *")
    _c.check(lib.rnn_describe(E, span, info))
    return int(info.first)

"""Why a gradient is None or zero, in words."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn._c import E, Handle, check, ffi, gradient_of, lib
from rnn.autograd.passes import run
from rnn.inspect import causes, trace
from rnn.inspect.graph import Graph, Living, handle, node_of
from rnn.inspect.names import Names, find_names
from rnn.inspect.node import Node
from rnn.inspect.span import Span
from rnn.ops._core import array_of

RETAIN_GRAPH, KEEP, PRIVATE = 1, 2, 4
_KINDS = {1: "no_grad", 2: "detached", 3: "data"}
_HOW = {1: "under no_grad", 2: "with detach()", 3: "through .data"}
_NO_OPERATION = lib.rnn_op_find(b"leaf")


@dataclass(frozen=True)
class Reason:
    """Why a gradient is what it is. str() gives the words, with the line where it was traced.

    Attributes:
        kind: one word for programs:
            "integer", "no_requires_grad", "no_grad", "detached", "data", "shares_memory",
            "unused", "not_connected", "loss_has_no_graph", "freed", "no_backward" (the gradient is
            not zero: backward() has not been called), "nonzero", "nan"; of gradients that are
            exactly zero: "dead_relu", "masked", "dropout", "saturated", "multiplied_by_zero",
            "out_of_range", "not_chosen", "not_gathered", "not_used", "ignored", "overwritten",
            "padding", "cancelled", "underflow", "flat", "function" (an autograd.Function's
            backward).
        text: the words, without the line.
        node: where it happens, where that is a node; else None.
        line: the line of Python where it happens, where it was traced; else None.
        module: the path of the module in which it happens; None outside of modules.

    Example:
        >>> x = rnn.tensor([-1.0], requires_grad=True)
        >>> loss = x.relu().sum()
        >>> loss.backward()
        >>> rnn.inspect.why(x[0], loss).kind
        'freed'
    """

    kind: str
    text: str
    node: Node | None = None
    line: str | None = None
    module: str | None = None

    def __str__(self) -> str:
        module = f" [in {self.module}]" if self.module else ""
        return f"{self.text}{module}" + (f" ({self.line})" if self.line else "")


def why(
    x: Any, loss: Any, *, names: Mapping[str, Any] | None = None, modules: Any = None
) -> Reason:
    """Why the gradient of x is None or zero.

    Args:
        x: a Value, Tensor or Node. Of a Tensor with many elements the first one whose gradient is
            zero is looked at.
        loss: the Value or one-element Tensor that backward() is called on, its graph still there.
        names, modules: what nodes are called, as for rnn.inspect.graph.

    Raises:
        TypeError: x or loss is no Tensor, Value or Node.
        ValueError: loss has more than one element.
        RuntimeError: a value that a derivative needs was overwritten.

    Example:
        >>> x = rnn.tensor([-1.0, 2.0], requires_grad=True)
        >>> reason = rnn.inspect.why(x[0], x.relu().sum())
        >>> reason.kind
        'dead_relu'
        >>> print(reason)
        a dead ReLU: x[0] is -1, and relu passes no gradient to what is not above 0
    """
    return reason(x, loss, find_names(names, modules, sys._getframe(1)))


def reason(x: Any, loss: Any, names: Names) -> Reason:
    """why(), where names were found already."""
    if isinstance(x, Handle) and not x._h:
        made = "bool" if str(x.dtype) == "rnn.bool" else "an integer"
        return Reason(
            "integer",
            f"x is a tensor of dtype {x.dtype}, and {made} has no gradient, only floats have one: "
            "make it one first, as x.float().requires_grad_() does",
        )
    root = handle(loss)
    if root.numel() != 1:
        raise ValueError(f"loss must have one element, but its shape is {list(root._shape)}")
    t = handle(x)
    if not lib.rnn_requires_grad(E, t._h):
        return _constant(t, _called(t, Living(names)))
    g = Graph([root], names)
    if not lib.rnn_requires_grad(E, root._h):
        return _no_graph(root)
    if g._span(lib.rnn_span_of(root._h)).freed:
        return Reason(
            "freed",
            "the graph behind the loss was freed by backward(); call "
            "loss.backward(retain_graph=True) to keep it, then ask again",
        )
    span = Span(lib.rnn_span_of(t._h), g)
    if span._number not in g._numbers:
        try:
            g._refuse_freed(_called(t, g))
        except RuntimeError as error:
            return Reason("freed", str(error))
        return _not_there(t, span, g, _called(t, g))
    if not _leads(span, g):
        return _blocked(span, g, _called(t, g))
    return _gradient(x, t, root, g)


def _called(t: Any, source: Any) -> str:
    """The name of x, or "x"."""
    if t.numel() == 1:
        return node_of(t, (), source).name or "x"
    return Span(lib.rnn_span_of(t._h), source).name or "x"


# ---- x takes no gradient -------------------------------------------------------------------------


def _at(kind: str, text: str, site: int, node: Node | None = None) -> Reason:
    line = trace.line(site)
    return Reason(kind, text, node, None if line is None else str(line))


def _operation(info: Any) -> str:
    name: bytes = ffi.string(lib.rnn_op_name(info.made))
    return name.decode()


def _constant(t: Any, what: str) -> Reason:
    info = trace.describe(lib.rnn_span_of(t._h))
    if info.requires_grad:
        return Reason(
            "detached",
            f"{what} is a detached view (made by detach(), .data, or under no_grad) of a tensor "
            "that requires grad: ask for that one's gradient",
        )
    if info.lost:
        text = f"{what} does not require grad: {_ended(info)}"
        return _at(_KINDS[info.lost], text, info.cut_site)
    return Reason(
        "no_requires_grad",
        f"{what} does not require grad: nothing that it was made from does, and "
        "requires_grad=True was not asked for",
    )


def _ended(info: Any) -> str:
    """How the graph ended in an unrecorded span."""
    if info.made == _NO_OPERATION:
        return f"it was made {_HOW[info.lost]} and given nodes of its own (requires_grad_())"
    if info.lost == 1:
        return f"it comes from {_operation(info)}, which was computed under no_grad"
    return f"it comes from {_operation(info)} of a tensor that was detached {_HOW[info.lost]}"


def _no_graph(root: Any) -> Reason:
    info = trace.describe(lib.rnn_span_of(root._h))
    if info.lost:
        text = f"the loss has no graph: {_ended(info)}"
        return _at(_KINDS[info.lost], text, info.cut_site)
    if info.requires_grad:
        return Reason("detached", "the loss is a detached view: its graph is not asked")
    return Reason(
        "loss_has_no_graph", "the loss has no graph: nothing that it was made from requires grad"
    )


def _cuts(leaf: Span) -> list[int]:
    """The ids of the spans that a value without a graph was cut from."""
    count = check(lib.rnn_span_cuts(E, leaf._number, 0, ffi.NULL))
    ids = ffi.new("int64_t[]", count)
    check(lib.rnn_span_cuts(E, leaf._number, count, ids))
    return list(ids)


# ---- x is not behind the loss --------------------------------------------------------------------


def _not_there(t: Any, span: Span, g: Graph, what: str) -> Reason:
    """No operand of anything behind the loss is x."""
    users = [user for user in Living(g.names)._users_of(span) if user._number not in g._numbers]
    ids = {span.id, *_descendants(users)}
    doubtful = None
    for leaf in _leaves(g):
        info = leaf._info
        if not info.lost:
            continue
        if ids.intersection(_cuts(leaf)):
            return _at(
                _KINDS[info.lost],
                f"{what} does not reach the loss: a value that was made from it lost its graph: "
                + _ended(info),
                info.cut_site,
                leaf.node(0),
            )
        doubtful = doubtful or leaf
    shares = _sharing(t, g)
    if shares is not None:
        name = causes.name(shares.node(0))
        return Reason(
            "shares_memory",
            f"the loss is made from another leaf ({name}) over the memory of {what} (from numpy(), "
            "from_numpy(), or detach().requires_grad_()): the values are the same, but no gradient "
            "leads from it",
            shares.node(0),
        )
    text = f"the loss does not depend on {what}: "
    if users:
        text += (
            f"it was used by {users[0].op}, but that does not lead to the loss. Comparisons, "
            "argmax(), casts to integers and item() end the graph: nothing leads through them"
        )
    else:
        text += (
            "it was never used, or what was made from it is gone, or it was read as a number "
            "(item(), float(), tolist()) or as integers (a comparison, argmax(), long()), which "
            "are not part of a graph"
        )
    if doubtful is not None:
        text += ". The loss uses a value whose graph had ended, which may be why: "
        text += _ended(doubtful._info)
        return _at(
            "not_connected" if users else "unused", text, doubtful._info.cut_site, doubtful.node(0)
        )
    if span.is_leaf or users:
        if not users:
            return Reason("unused", text)
        return Reason("not_connected", text, users[0].node(0), users[0].line, users[0].module)
    made = [o.span for o in span.operands if o.span._number in g._numbers]
    if made:
        text += (
            f". The loss used what it was made from before {span.op} made it (in place, or as "
            "another tensor): it is a later node"
        )
    return Reason("unused", text, span.node(0), span.line, span.module)


def _descendants(users: list[Span], most: int = 200) -> Iterator[int]:
    """The ids of what was made from x and lives; of the first ones."""
    seen: dict[int, Span] = {}
    queue = list(users)
    while queue and len(seen) < most:
        span = queue.pop(0)
        if span.id not in seen:
            seen[span.id] = span
            queue += span.users
    return iter(seen)


def _leaves(g: Graph) -> Iterator[Span]:
    return (g._span(int(n)) for n in g._numbers[g._flags & lib.RNN_C_LEAF != 0])


def _sharing(t: Any, g: Graph) -> Span | None:
    """A leaf behind the loss that looks at x's memory."""
    low = int(ffi.cast("intptr_t", lib.rnn_data(E, t._h)))
    high = low + max(t.numel(), 1) * (8 if lib.rnn_dtype(t._h) else 4)
    for leaf in _leaves(g):
        if low <= int(ffi.cast("intptr_t", lib.rnn_data(E, leaf._hold._h))) < high:
            return leaf
    return None


def _leads(span: Span, g: Graph) -> bool:
    """Whether a gradient can flow from the loss to the span."""
    end: int = lib.rnn_span_of(g.roots[0]._h)
    return end == span._number or end in _between(span)


def _between(span: Span) -> dict[int, Span]:
    """What gradients come through on their way to the span, by number."""
    seen: dict[int, Span] = {}
    queue = [span]
    while queue:
        here = queue.pop()
        for user in here.users:
            flows = any(o.flows for o in user.operands if o.span == here)
            if flows and user._number not in seen:
                seen[user._number] = user
                queue.append(user)
    return seen


def _blocked(span: Span, g: Graph, what: str) -> Reason:
    """x is behind the loss, but only through operands that were detached."""
    seen, queue = {span._number}, [span]
    while queue:
        here = queue.pop(0)
        for user in here.users:
            for k, operand in enumerate(user.operands):
                if operand.span != here or operand.flows:
                    continue
                site = ffi.new("uint32_t *")
                lost = lib.rnn_operand_lost(E, user._number, k, site)
                if not lost:
                    continue
                label = what if here is span else f"the result of {here.op}"
                text = (
                    f"{label} was detached {_HOW[lost]} before {user.op} used it: no "
                    "gradient goes through"
                )
                line = trace.line(site[0])
                return Reason(
                    _KINDS[lost], text, user.node(0), str(line) if line else user.line, user.module
                )
            if user._number not in seen:
                seen.add(user._number)
                queue.append(user)
    text = f"{what} is used behind the loss, but no gradient flows to it"
    return Reason("not_connected", text)


# ---- x is behind the loss ------------------------------------------------------------------------


def _pass(root: Any, wanted: list[Any], collect: Any) -> Any:
    """Runs a private pass, which changes nothing, and reads the gradients of some tensors in it."""
    return run([root], [None], wanted, RETAIN_GRAPH | KEEP | PRIVATE, collect)


def _gradient(x: Any, t: Any, root: Any, g: Graph) -> Reason:
    def read() -> Any:
        grad = gradient_of(t)
        return np.zeros(t._shape) if grad is None else array_of(grad).copy()

    grads = _pass(root, [t], read)
    zeros = np.argwhere(grads == 0)
    if not len(zeros):
        return _not_zero(x, grads, _called(t, g))
    index = tuple(int(i) for i in zeros[0])

    def collect() -> Reason:
        cause = causes.zero(node_of(x, (), g) if isinstance(x, Node) else node_of(t, index, g))
        text = cause.text
        if grads.size > 1:
            which = f"{len(zeros)} of {grads.size} gradients are 0; the first, at {list(index)}"
            text = f"{which}: {text}"
        return Reason(cause.kind, text, cause.node, cause.node.line, cause.node.module)

    span = Span(lib.rnn_span_of(t._h), g)
    found: Reason = _pass(root, [t, *(s._hold for s in _between(span).values())], collect)
    return found


def _not_zero(x: Any, grads: Any, what: str) -> Reason:
    if np.isnan(grads).any():
        return Reason(
            "nan",
            f"the gradient of the loss by {what} is nan: run the program within "
            "rnn.detect_anomaly(), which stops where it begins",
        )
    if grads.size == 1:
        text = f"the gradient of the loss by {what} is {float(grads.reshape(-1)[0]):.6g}, not zero"
    else:
        text = f"no element of the gradient of the loss by {what} is zero"
    if not isinstance(x, Handle) or x.grad is not None:
        return Reason("nonzero", text)
    return Reason(
        "no_backward",
        f"{text}; its .grad is None because backward() has not been called "
        "(or the gradient was cleared since)",
    )

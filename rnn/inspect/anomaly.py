"""AnomalyError: where a NaN came from, in words.

The engine stops at it (csrc/check.c). Here its way is followed back, over the first operand that is
not finite, to the operation that made that from finite ones.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, NamedTuple, NoReturn

import numpy as np

from rnn._c import E, adopt, ffi, lib, object_at
from rnn.inspect import causes
from rnn.inspect.graph import Living, node_of
from rnn.inspect.names import Names, _add_modules, find_names
from rnn.inspect.node import CUSTOM, Edge, Node, edges, subscript, uses
from rnn.inspect.span import Span
from rnn.inspect.trace import line
from rnn.nn import scopes
from rnn.ops._core import Array, array_of

_NAN = float("nan")
_GIVEN = "it was there from the start"
_WRITTEN = "it was written there in place: by an optimiser's step, under no_grad() or by .data"
MOST, KEPT = 8, 64  # operands that a message shows, and that a Step keeps


class Operand(NamedTuple):
    """What an operation read: a name, as "x[1]" or "exp[0, 1]", and its value."""

    name: str
    value: float

    def __str__(self) -> str:
        return f"{self.name} = {_number(self.value)}"


@dataclass(frozen=True)
class Step:
    """One operation on the way of a NaN: forwards what it made, backwards what it passed on."""

    op: str
    index: tuple[int, ...]
    value: float
    operands: tuple[Operand, ...]
    cause: str
    line: str | None
    module: str | None

    def __str__(self) -> str:
        read = ", ".join(map(str, self.operands[:MOST]))
        more = ", ..." if len(self.operands) > MOST else ""
        text = f"{subscript(self.op, self.index)} = {_number(self.value)}"
        if read:
            text += f" from {read}{more}"
        if self.cause:
            text += f": {self.cause}"
        module = f"  [in {self.module}]" if self.module else ""
        return text + module + (f"  ({self.line})" if self.line else "")


class AnomalyError(RuntimeError):
    """A NaN under rnn.detect_anomaly().

    Attributes:
        phase: "forward" or "backward".
        op: the operation that made it; backwards, the one whose derivative did.
        index: the place of the NaN: in the operation's result; backwards, in the tensor whose
            gradient it is.
        value: nan.
        operands: (name, value) of what the operation read there, of many the first 64; backwards
            also the gradient that came in and the derivative.
        line, module: of the operation, where they are known.
        path: the Steps on which it came, from its origin to where it stopped.

    Example:
        >>> x = rnn.tensor([1.0, -1.0], requires_grad=True)
        >>> try:
        ...     with rnn.detect_anomaly():
        ...         y = x.log().sum()
        ... except rnn.autograd.AnomalyError as error:
        ...     print(error.op, error.index, error.phase)
        log (1,) forward
    """

    def __init__(self, phase: str, message: str, path: Sequence[Step], at: int = -1) -> None:
        self.path = list(path)
        self.phase = phase
        made = self.path[at]
        self.op, self.index, self.value = made.op, made.index, made.value
        self.operands, self.line, self.module = made.operands, made.line, made.module
        steps = "".join(f"\n  {i}. {step}" for i, step in enumerate(self.path, 1))
        super().__init__(f"{message}\nThe path, from its origin:{steps}")


def _number(x: float) -> str:
    return f"{x:.6g}"


# ---- names --------------------------------------------------------------------------------------


def _callers(most: int = 12) -> list[FrameType]:
    """The innermost frames outside the rnn package."""
    ours = __file__[: -len("inspect/anomaly.py")]
    frames: list[FrameType] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and len(frames) < most:
        if not frame.f_code.co_filename.startswith(ours):
            frames.append(frame)
        frame = frame.f_back
    return frames


def _names() -> Names:
    found: Names = {}
    for root in scopes.roots():
        _add_modules(found, {"": root})
    for frame in _callers()[::-1]:
        found = find_names(None, None, frame) | found
    return found


# ---- why an operation makes a NaN ----------------------------------------------------------------

_NEGATIVE = {
    "log": "the logarithm", "log2": "the logarithm", "log10": "the logarithm",
    "sqrt": "the square root", "rsqrt": "the square root",
}  # fmt: skip
_ROWS = frozenset({"softmax", "log_softmax", "attention", "logsumexp", "cross_entropy"})


def _cause(op: str, operands: Sequence[float], count: int) -> str:
    """Why the operation makes NaN of these values; "" where there is nothing to say."""
    a = operands[0] if operands else _NAN
    if op in ("mean", "mean_dim") and not count:
        return "0 / 0: the mean of no element"
    if op in ("cross_entropy", "nll_loss") and not count:
        return "0 / 0: the mean over no row, as the target of every row is ignore_index"
    if op.endswith("_scalar") and len(operands) > count and math.isnan(operands[-1]):
        return "the number is nan: it was computed outside the graph"
    if any(math.isnan(x) for x in operands):
        return "an operand is nan already"
    if op in _NEGATIVE and a < 0:
        return f"{_NEGATIVE[op]} of a negative number"
    if op == "log1p" and a < -1:
        return "the logarithm of a negative number"
    if op in ("asin", "acos", "atanh", "erfinv") and abs(a) > 1:
        return f"{op} is defined from -1 to 1"
    if op == "acosh" and a < 1:
        return "acosh is defined from 1 upwards"
    if op in ("pow", "pow_scalar") and a < 0:
        return "a power of a negative number whose exponent is no integer"
    if op in _ROWS and operands and all(x == -math.inf for x in operands[:count]):
        return "every element of the row is -inf (all of it is masked): 0 / 0"
    if op in ("div", "div_scalar", "rdiv_scalar"):
        return "0 / 0" if not any(map(math.isinf, operands)) else "inf / inf"
    if op in ("mul", "mul_scalar"):
        return "0 * inf"
    if op in ("std", "var") and all(map(math.isfinite, operands)):
        return f"0 / 0: the {op} of no more elements than its correction"
    if any(math.isinf(x) for x in operands):
        if op in ("sin", "cos", "tan"):
            return f"the {op} of an infinity"
        return "inf - inf, or 0 * inf" if op in causes.PRODUCTS else "inf - inf"
    return ""


def _read_by(n: Node) -> tuple[list[Node], list[float]]:
    """What a node was made from; of very many, those that are not finite, then the first."""
    if n.is_leaf:
        return [], []
    try:
        made_from, _, _ = edges(n)
    except RuntimeError:  # freed, or an autograd.Function that cannot be asked
        return [], []
    values = np.empty(len(made_from.nodes))
    for i, span in enumerate(made_from.spans):
        mine = made_from.which == i
        values[mine] = span.values().reshape(-1)[made_from.nodes[mine]]
    order = np.arange(len(values))
    if len(values) > KEPT:
        order = np.argsort(np.isfinite(values), kind="stable")[:KEPT]
    return [made_from.node(int(i)) for i in order], values[order].tolist()


def _step(n: Node) -> tuple[Step, Node | None]:
    """One node on a forward path, and the operand from which the path comes."""
    nodes, values = _read_by(n)
    bad = [i for i, x in enumerate(values) if not math.isfinite(x)]
    worst = next((i for i in bad if math.isnan(values[i])), bad[0] if bad else None)
    cause = ""
    number = n.span.parameters[:1] if n.op.endswith("_scalar") else ()
    if math.isnan(n.value) and not n.is_leaf:
        cause = _cause(n.op, [*values, *number], len(values))
    elif n.is_leaf and not math.isfinite(n.value):
        cause = _WRITTEN if n.span.written_after(n.span.id + n.span.count) else _GIVEN
    elif n.op == "log" and values == [0.0]:
        cause = "the logarithm of 0"
    # of a long row, what is not finite comes first
    order = sorted(range(len(nodes)), key=lambda i: math.isfinite(values[i]))
    shown = (
        *(Operand(causes.name(nodes[i]), values[i]) for i in order),
        *(Operand("the number", x) for x in number),
    )
    op = n.span.name or n.op if n.is_leaf else n.op
    step = Step(op, n.index, n.value, shown, cause, n.line, n.module)
    return step, None if worst is None else nodes[worst]


def _forward_path(n: Node, most: int = 100) -> list[Step]:
    """From the origin of what is not finite in n to n."""
    path: list[Step] = []
    at: Node | None = n
    while at is not None and len(path) < most:
        step, at = _step(at)
        path.append(step)
    return path[::-1]


# ---- forward -------------------------------------------------------------------------------------


def _take() -> tuple[Any, Any, list[Any]]:
    """What the engine stopped at: the record, its result, the operands."""
    found = ffi.new("rnn_anomaly *")
    lib.rnn_take_anomaly(found)
    made = adopt(found.made) if found.made else None
    return found, made, [adopt(h) for h in found.read[0 : min(found.operands, 4)] if h]


def _op_name(op: int) -> str:
    name: bytes = ffi.string(lib.rnn_op_name(op))
    return name.decode()


def _unrecorded(found: Any, n: Node, operands: list[Any], source: Living) -> list[Step]:
    """The path of a result that was not recorded: its operands are known, and what they come from
    where they were recorded.
    """
    op = found.op
    kept = [t for t in operands if not lib.rnn_same_memory(E, t._h, n.span._hold._h)]
    nodes = [_read(op, t, n, source) for t in kept]
    name = _op_name(op)
    shown = tuple(Operand(causes.name(node), node.value) for node in nodes)
    if len(kept) == len(operands):
        cause = _cause(name, [node.value for node in nodes], 1)
    else:
        cause = "in place: what it read is overwritten"
    last = Step(name, n.index, n.value, shown, cause, _line(found), n.module)
    bad = next((node for node in nodes if not math.isfinite(node.value)), None)
    return [*([] if bad is None else _forward_path(bad)), last]


def _line(found: Any) -> str | None:
    traced = line(found.site)
    return None if traced is None else str(traced)


def _read(op: int, t: Any, n: Node, source: Living) -> Node:
    """The element of an operand that the result's element was made from; of operations that read
    many, the first that is not finite.
    """
    shape = t._shape
    if lib.rnn_op_elementwise(op):
        index = n.index[len(n.index) - len(shape) :] if shape else ()
        return node_of(t, tuple(i if s > 1 else 0 for i, s in zip(index, shape)), source)
    bad = np.argwhere(~np.isfinite(array_of(t)))
    return node_of(t, tuple(int(i) for i in bad[0]) if len(bad) else (0,) * len(shape), source)


_HINT = (
    "\nWhere a later where() discards this element, its value does no harm, but its gradient may "
    "be killed: 0 * nan is nan. Mask the operand before the operation, not its result after it."
)


def _came_from(origin: Any, source: Living) -> list[Step]:
    """The path to an operation whose result no graph leads to: made under no_grad."""
    made = adopt(origin.made)
    operands = [adopt(h) for h in origin.read[0 : min(origin.operands, 4)] if h]
    n = Node(source._span(lib.rnn_span_of(made._h)), int(origin.node))
    if n.span._info.op == origin.op and not n.is_leaf:
        return _forward_path(n)
    return _unrecorded(origin, n, operands, source)


def forward_error(at_once: bool) -> AnomalyError:
    """The error of a NaN in a value, from what the engine kept of it."""
    found, made, operands = _take()
    origin = ffi.new("rnn_anomaly *")
    lib.rnn_take_origin(origin)
    source = Living(_names())
    n = Node(source._span(lib.rnn_span_of(made._h)), int(found.node))
    born = _came_from(origin, source) if origin.made else []
    if n.span._info.op == found.op and not n.is_leaf:
        path = _forward_path(n)
    elif found.where == lib.RNN_AT_OPERATION:
        path = _unrecorded(found, n, operands, source)
    else:
        path, born = born or _forward_path(n), []
    if born and any(_same(step, born[-1]) for step in path):
        born = []
    if born and _is_given(path[0]):
        if math.isnan(path[0].value):  # the graph begins after it
            path = [*born, *path[1:]]
    elif born and lib.rnn_op_find(path[0].op.encode()) < 0:  # it is within a Function
        path = [*born, *path]
    at = next((i for i, s in enumerate(path) if math.isnan(s.value) and not _is_given(s)), -1)
    message = _made(path[at], n.shape if at in (-1, len(path) - 1) else None)
    message += _went_on(path, at, found.where)
    hint = _HINT if at_once and len(path) == 1 and path[0].op in _NEGATIVE else ""
    return AnomalyError("forward", message + hint, path, at)


def _same(a: Step, b: Step) -> bool:
    return (a.op, a.index, a.line) == (b.op, b.index, b.line)


def _is_given(step: Step) -> bool:
    """It made nothing: a leaf."""
    return step.cause in (_GIVEN, _WRITTEN)


def _made(step: Step, shape: tuple[int, ...] | None) -> str:
    where = f" at index {list(step.index)} of its result" if step.index else ""
    if where and shape is not None:
        where += f" of shape {list(shape)}"
    message = f"{step.op} made nan{where}"
    if step.cause:
        message += f": {step.cause}"
    if step.line:
        message += f"\n  line: {step.line}"
    if step.module:
        message += f"\n  module: {step.module}"
    return message


def _went_on(path: Sequence[Step], at: int, where: int) -> str:
    """What came of the NaN, where that is not where it was made."""
    last = path[-1]
    line = f" ({last.line})" if last.line else ""
    if where == lib.RNN_AT_END:
        return "\nNo where() had discarded it when detect_anomaly() ended."
    if where == lib.RNN_AT_ROOT:
        return "\nbackward() was called on it: a gradient of a NaN means nothing."
    if at in (-1, len(path) - 1):
        return ""
    return f"\nNo where() has discarded it: {last.op} has computed with it{line}."


def raise_forward() -> NoReturn:
    """Raises it; what is done to find the words is not checked."""
    was = lib.rnn_set_checking(0)
    try:
        raise forward_error(was == lib.RNN_CHECK_ALL) from None
    finally:
        lib.rnn_forget_rest(E)
        lib.rnn_set_checking(was)


# ---- backward ------------------------------------------------------------------------------------


def _gradient(n: Node) -> float:
    grad = n.grad
    return 0.0 if grad is None else grad


_DISCARDED = frozenset({"masked", "overwritten", "not_gathered", "not_used", "not_chosen"})


def _discards(n: Node, most: int = 200) -> bool:
    """Whether all that is made from n ends where it is not chosen."""
    queue, seen = [n], {n}
    while queue and len(seen) < most:
        here = queue.pop()
        for user in here.span.users:
            found, passed = causes.uses_of(here, user) if user.requires_grad else ([], [])
            if passed:
                return False
            for use in found:
                if use.cause is None and use.user not in seen:
                    seen.add(use.user)
                    queue.append(use.user)
                elif use.cause is not None and use.cause.kind not in _DISCARDED:
                    return False
    return not queue


def _dead_branch(at: Node, n: Node, local: float) -> str:
    """Why the gradient 0 of `at` that meets a derivative (by n) which is not finite is 0."""
    cause = causes.zero(at)
    if cause.kind not in _DISCARDED:
        return f"The gradient that came in is 0 because {cause.text}"
    line = f" ({cause.node.line})" if cause.node.line else ""
    name, x = causes.name(at), causes.name(n)
    if cause.kind == "masked":
        taken = "the branch that is not taken"
        made = f"{name} = {_number(at.value)}, made from {x} = {_number(n.value)}, is used"
        only = f"{made} only by {taken}" if _discards(at) else f"{made} by {taken}"
    else:
        only = f"{name} = {_number(at.value)}, made from {x} = {_number(n.value)}, is thrown away"
    product = f"{_number(0.0)} * {_number(local)}" if not math.isnan(local) else "0 * nan"
    return (
        f"{only}: {cause.text}{line}. There it does no harm to the value, but it poisons the "
        f"gradient, which comes back through {at.op} as {product} = nan.\n"
        f"What to do: mask what {at.op} reads, not what it gives (the 'double where'): "
        f"safe = where(mask, x, 1); where(mask, {at.op}(safe), ...), with a number in place of 1 "
        f"at which {at.op} is smooth"
    )


def _inf_gradient(n: Node, most: int = 100) -> list[Step]:
    """From where a gradient became infinite to where it is n's."""
    path: list[Step] = []
    for _ in range(most):
        up = None
        for user in n.span.users:
            if not user.requires_grad or user.grads() is None:
                continue
            nodes, locals_, _flows = uses(user, n)
            for at, local in zip(nodes, locals_):
                above = Node(user, int(at))
                if math.isinf(_gradient(above)) or math.isinf(local):
                    up = (above, float(local))
        if up is None:
            break
        above, local = up
        read = (Operand("its gradient", _gradient(above)), Operand("its derivative", local))
        path.append(Step(f"the gradient of {causes.name(n)}", (), _gradient(n), read, "",
                         above.line, above.module))  # fmt: skip
        if math.isinf(local):
            break
        n = above
    return path[::-1]


def _flat(user: Span) -> Array:
    grads = user.grads()
    return np.zeros(user.count) if grads is None else grads.reshape(-1).astype(np.float64)


def _poisoned(n: Node, user: Span) -> tuple[Span, Array, Array]:
    """Where n is used in a span, and the local derivatives there; of an autograd.Function of
    several outputs, in the first output whose gradient makes n's NaN.
    """
    outputs = [above for above in user.users if above._has_core()] if _is_core(user) else []
    found = []
    for output in outputs or [user]:
        try:
            nodes, locals_, _ = uses(output, n)
        except RuntimeError:  # its backward raised
            continue
        found.append((output, nodes, locals_))
        with np.errstate(all="ignore"):
            if not np.isfinite(_flat(output)[nodes] * locals_).all():
                return found[-1]
    return found[0] if found else (user, np.empty(0, np.int64), np.empty(0))


def _is_core(span: Span) -> bool:
    """Whether it is what several outputs of an autograd.Function share."""
    key = span._info.key if span._info.op == CUSTOM else 0
    return bool(key) and bool(getattr(object_at(key), "is_core", False))


def backward_error(found: Any, gone: bool = False) -> AnomalyError:
    """The error of a gradient that has become NaN. Called while the pass still stands there.

    Args:
        gone: the gradients that led there are not there any more, so nothing is known of them.
    """
    source = Living(_names())
    n = Node(source._span(found.span), int(found.node))
    user = source._span(found.user)
    label = causes.name(n)
    text = f"the gradient of {label} is nan after the backward of {user.op}"
    if gone:
        text += "; there is no memory to make the gradients that led to it again, and to say why"
        return AnomalyError("backward", text, [_stopped(n, user, label)])
    try:
        user, nodes, locals_ = _poisoned(n, user)
    except RuntimeError:  # an autograd.Function whose backward raised
        nodes, locals_ = np.empty(0, np.int64), np.empty(0)
    flat = _flat(user)
    with np.errstate(all="ignore"):
        products = flat[nodes] * locals_
    bad = np.flatnonzero(np.isnan(products))
    if not len(bad):
        bad = np.flatnonzero(~np.isfinite(products))
    if not len(bad):
        if n.is_leaf and len(products):
            text += ", which added nothing that is not finite: it was nan before (an earlier pass, "
            text += "or .grad was set); clear it first, as zero_grad() does"
        return AnomalyError("backward", text, [_stopped(n, user, label)])
    at = user.node(int(nodes[bad[0]]))
    grad, local = float(flat[at.offset]), float(locals_[bad[0]])
    read = (
        *(Operand(causes.name(e.node), e.node.value) for e in _edges(at)),
        Operand("the gradient that came in", grad),
        Operand("the derivative", local),
    )
    path, why = _explained(n, at, grad, local)
    product = f"{_number(grad)} * {_number(local)}"
    if math.isnan(products[bad[0]]):
        sums = f"{product} = nan"
        text = f"the gradient {_number(grad)} that came in times the derivative {_number(local)}"
    else:  # the other infinity was there from another use
        sums = f"{product} was added to {_number(-products[bad[0]])}: inf - inf"
        text = f"its uses contribute inf and -inf ({sums})"
    step = Step(user.op, n.index, _NAN, read, sums, user.line, user.module)
    message = f"the backward of {user.op} made the gradient of {label} nan: {text}"
    if user.line:
        message += f"\n  line: {user.line}"
    if user.module:
        message += f"\n  module: {user.module}"
    if why:
        message += f"\n{why}."
    return AnomalyError("backward", message, [*path, step])


def _stopped(n: Node, user: Span, label: str) -> Step:
    return Step(user.op, n.index, _NAN, (Operand(label, n.value),), "", user.line, user.module)


def _edges(n: Node) -> Sequence[Any]:
    try:
        made_from, locals_, flows = edges(n)
    except RuntimeError:
        return ()
    return [Edge(made_from.node(i), float(locals_[i]), bool(flows[i]))
            for i in range(min(MOST, len(locals_)))]  # fmt: skip


def _explained(n: Node, at: Node, grad: float, local: float) -> tuple[list[Step], str]:
    """What comes before: how an operand or a gradient became what it is."""
    if math.isnan(grad):
        return [], "The gradient was nan as it came: it was given to backward() so, or by a hook"
    values = [at.value, n.value, *(e.node.value for e in _edges(at))]
    if math.isnan(local) or not all(map(math.isfinite, values)):
        path = _forward_path(at if not math.isfinite(at.value) else n)
        if grad == 0:
            return path, _dead_branch(at, n, local)
        if all(map(math.isfinite, values)):
            return path, f"All values are finite: it is the backward of {at.op} that made the nan"
        return path, "The value was not finite in the forward pass already"
    if grad == 0:
        path = _forward_path(at) if not math.isfinite(at.value) else []
        return path, _dead_branch(at, n, local)
    if math.isinf(grad):
        return _inf_gradient(at), "The gradient had become infinite before"
    return [], ""

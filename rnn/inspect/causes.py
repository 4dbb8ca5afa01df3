"""Why a number passes no gradient on: the words for derivatives that are zero, and the walk from a
node with a zero gradient towards the loss, to where the zero begins.

It reads gradients as they are in the spans now: within a backward pass, or a private one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rnn._shown import DROPOUT
from rnn.inspect.names import Name
from rnn.inspect.node import CUSTOM, Node, uses
from rnn.inspect.span import Span
from rnn.inspect.trace import describe
from rnn.nn import scopes

SATURATED = frozenset({
    "tanh", "sigmoid", "logsigmoid", "gelu", "gelu_tanh", "silu", "mish", "softplus", "elu", "exp",
    "exp2", "expm1", "erf", "erfc", "softmax", "log_softmax", "logsumexp", "lstm", "gru",
    "rnn_tanh", "binary_cross_entropy_with_logits", "atan", "pow_scalar", "rpow_scalar",
})  # fmt: skip
PRODUCTS = frozenset({
    "mul", "mul_scalar", "matmul", "linear", "conv2d", "div", "prod", "prod_dim", "cumprod",
    "prelu",
})  # fmt: skip
PIECES = frozenset({
    "clamp", "hardtanh", "hardsigmoid", "hardswish", "hardshrink", "softshrink", "threshold",
    "smooth_l1_loss", "huber_loss",
})  # fmt: skip
CHOICES: frozenset[str] = frozenset({
    "maximum", "minimum", "fmax", "fmin", "amax", "amin", "max", "min", "max_dim", "min_dim",
    "max_pool2d", "median", "median_dim", "nanmedian", "nanmedian_dim", "mode", "kthvalue", "topk",
    "cummax", "cummin",
})  # fmt: skip
STEPS: frozenset[str] = frozenset({
    "sign", "floor", "ceil", "round", "trunc", "div_trunc", "div_floor",
})  # fmt: skip
MASKS = frozenset({"where", "masked_fill"})
#: kinds of causes that are no use at all: the operation read the tensor, but not this element
LEFT_OUT = frozenset({
    "masked", "not_chosen", "not_gathered", "not_used", "ignored", "overwritten", "not_connected",
})  # fmt: skip


class Cause(NamedTuple):
    """Why a derivative is zero: a kind, the words, and the node where it is so."""

    kind: str
    text: str
    node: Node


def name(n: Node) -> str:
    """'w[0, 1]', or the operation that made it: 'relu[0, 1]', or 'a constant'."""
    constant = n.is_leaf and not n.requires_grad and not n.name
    return "a constant" if constant else n.label


def _factor(user: Node, n: Node) -> str:
    """The other factor of a product, which is 0."""
    if user.op == "mul_scalar":
        return "the number 0"
    for edge in user.operands:
        if edge.node != n and edge.node.value == 0 and edge.local == n.value:
            return f"{name(edge.node)}, which is 0"
    return "a factor that is 0"


def _is_dropout(user: Node) -> bool:
    info = describe(user.span._number)
    scope = scopes.scope(info.scope)
    constant = any(e.node.is_leaf and not e.node.requires_grad for e in user.operands)
    known = constant and scope is not None and "Dropout" in scope.kind  # an AlphaDropout
    return info.shown == DROPOUT or known


def flat(n: Node, user: Node) -> Cause:
    """d user / d n is 0: why."""
    op, value = user.op, f"{n.value:.6g}"
    if op in ("relu", "rnn_relu", "leaky_relu"):
        return Cause(
            "dead_relu",
            f"a dead ReLU: {name(n)} is {value}, and relu passes no "
            "gradient to what is not above 0",
            user,
        )
    if op in ("mul", "mul_scalar") and _is_dropout(user):
        return Cause("dropout", f"dropout zeroed {name(n)} in this pass", user)
    if op == "mul" and n.value == 0 and any(e.node == n for e in user.operands[1:]):
        both = all(e.node == n for e in user.operands)
        if both:
            return Cause("flat", f"{name(n)} is 0, where the derivative of its square is 0", user)
    if op == "prelu" and user.operands[0].node.value > 0:
        taken = name(user.operands[0].node)
        text = f"prelu takes {taken}, which is above 0, as it is, not its product with {name(n)}"
        return Cause("flat", text, user)
    if op in PRODUCTS:
        return Cause("multiplied_by_zero", f"{op} multiplies {name(n)} by {_factor(user, n)}", user)
    if op in PIECES:
        return Cause(
            "out_of_range",
            f"{op} cut {name(n)} off: {value} is outside of its range, where it is constant",
            user,
        )
    if op in STEPS:
        return Cause(
            "flat", f"{op} is constant around every point: it never passes a gradient", user
        )
    if op in CHOICES:
        return Cause("not_chosen", f"{op} chose another element than {name(n)} ({value})", user)
    if op == "cross_entropy":
        return _cross_entropy(n, user)
    if op == "attention":
        return Cause(
            "saturated",
            f"the weights of attention do not move with {name(n)}: all weight is on one key "
            "(the others are masked, or the softmax is saturated)",
            user,
        )
    if op in SATURATED and not (op == "pow_scalar" and n.value == 0):
        return Cause(
            "saturated",
            f"{op} is saturated: at {value} its derivative is 0 in "
            f"{str(n.dtype).removeprefix('rnn.')}",
            user,
        )
    return Cause("flat", f"at {value} the derivative of {op} is 0", user)


def _cross_entropy(n: Node, user: Node) -> Cause:
    """Its derivative is the softmax minus 1 at the target: 0 where that is certain, or ignored."""
    logits = user.span.operands[0]
    first = n.offset - _class_and_row(n, user)[0] * logits.strides[-1]
    row = n.span.values().ravel()[first + np.arange(logits.shape[-1]) * logits.strides[-1]]
    with np.errstate(all="ignore"):
        powers = np.exp(row.astype(np.float64) - row.max())
        probability = float(np.exp(np.float64(n.value) - row.max()) / powers.sum())
    fine = np.finfo(row.dtype)
    if fine.tiny < probability < 1 - fine.eps:
        return _ignored(n, user)
    return Cause(
        "saturated",
        f"the softmax within cross_entropy gives {name(n)} ({n.value:.6g}) a probability of "
        f"{round(probability)}",
        user,
    )


def _class_and_row(n: Node, user: Node) -> tuple[int, int]:
    """Where a logit is in what cross_entropy read: (rows, classes), or (classes)."""
    _, offset, shape, strides, _ = user.span.operands[0]
    place = Name("", None, offset, shape, strides).index_of(n.offset) or (0,)
    return place[-1], place[0] if len(place) > 1 else 0


def _ignored(n: Node, user: Node) -> Cause:
    _, row = _class_and_row(n, user)
    return Cause(
        "ignored",
        f"the target of row {row} is ignore_index: cross_entropy takes nothing from that row",
        user,
    )


def unused(n: Node, user: Span) -> Cause:
    """The operation read n's tensor, but none of its results was made from n."""
    at, op = user.node(0) if user.count else n, user.op
    if user._info.op == CUSTOM:
        text = f"the backward of {op}, an autograd.Function, gives {name(n)} no gradient: None or 0"
        return Cause("function", text, at)
    if op in MASKS:
        other = "the other branch" if op == "where" else "the fill value"
        return Cause("masked", f"{op} does not choose {name(n)}: its mask takes {other} there", at)
    if op in CHOICES:
        return Cause("not_chosen", f"{op} chose other elements than {name(n)}", at)
    if op in ("gather", "sort", "stable_sort"):
        what = n.span.name or f"the result of {n.op}"
        place = f"row {n.index[0]}" if len(n.shape) > 1 else f"element {n.index[0]}"
        return Cause(
            "not_gathered", f"{place} of {what} is not among the indices that were looked up", at
        )
    if op == "cross_entropy":
        return _ignored(n, at)
    if op in ("assign", "scatter"):
        return Cause("overwritten", f"{name(n)} was overwritten in place before it was used", at)
    if op == "attention":
        return Cause("masked", f"no query attends to {name(n)}", at)
    return Cause(
        "not_used", f"{op} read its tensor, but not {name(n)} (a slice or a view leaves it out)", at
    )


class Use(NamedTuple):
    cause: Cause | None  # None: the zero comes from above
    user: Node


def _withheld(user: Span) -> Cause | None:
    """The span got no gradient, but an autograd.Function that used it did."""
    if user.grads() is not None:
        return None
    for above in user.users:
        if above._info.op == CUSTOM and above.count and above.grads() is not None:
            text = f"the backward of {above.op}, an autograd.Function, gives {user.op} no gradient"
            return Cause("function", f"{text}: None", above.node(0))
    return None


def _detached(n: Node, user: Span, at: Node) -> Cause:
    took_both = any(o.flows and o.span == n.span for o in user.operands)
    if user.op == "where" and n.op == "gather" and took_both:
        text = f"{name(n)} was looked up at padding_idx, whose row an embedding gives no gradient"
        return Cause("padding", text, at)
    return Cause("detached", f"{user.op} used {name(n)} detached", at)


def uses_of(n: Node, user: Span) -> tuple[list[Use], list[float]]:
    """Why each use in a span passes nothing, and what the others contribute."""
    nodes, locals_, flows = uses(user, n)
    if not len(nodes):
        return [Use(unused(n, user), n)], []
    withheld = _withheld(user)
    if withheld is not None:
        return [Use(withheld, user.node(int(nodes[0])))], []
    grads = user.grads()
    if grads is None:
        at = user.node(int(nodes[0]))
        text = f"{name(n)} was used by {user.op}, but that does not lead to the loss"
        return [Use(Cause("not_connected", text, at), at)], []
    flat_grads = grads.reshape(-1)[nodes].astype(np.float64)
    with np.errstate(all="ignore"):
        products = flat_grads * locals_
    found: list[Use] = []
    detached, is_flat = ~flows, flows & (locals_ == 0)
    above = flows & (flat_grads == 0) & ~is_flat
    # of thousands of uses in one span, one of each sort speaks for all, if there is one that a
    # gradient came to; of those that pass on what comes from above the last one too, as a running
    # sum's is its total
    for sort in (detached, is_flat, above):
        if not sort.any():
            continue
        reached = sort & (flat_grads != 0)
        at = user.node(int(nodes[int(np.argmax(reached if reached.any() else sort))]))
        if sort is detached:
            found.append(Use(_detached(n, user, at), at))
        elif sort is is_flat:
            found.append(Use(flat(n, at), at))
        else:
            last = user.node(int(nodes[int(np.flatnonzero(sort)[-1])]))
            found += [Use(None, node) for node in dict.fromkeys((at, last))]
    return found, [float(p) for p, f in zip(products, flows) if f and p != 0]


def zero(n: Node, limit: int = 1000) -> Cause:
    """Why the gradient of n is 0, where n leads to the loss: the nearest use that lets nothing
    through. Where an operation only left n out, another use may say more."""
    queue, seen, left_out = [n], {n}, None
    for n in queue:
        found: list[Use] = []
        parts: list[float] = []
        for user in n.span.users:
            if user.requires_grad:
                causes, products = uses_of(n, user)
                found += causes
                parts += products
        if len(parts) > 1:
            return _cancelled(n, parts)
        here = [use.cause for use in found if use.cause is not None]
        real = [cause for cause in here if cause.kind not in LEFT_OUT]
        # a detached use is the reason only where no other use could have passed something on
        flowing = [cause for cause in real if cause.kind != "detached"]
        if flowing or (real and None not in [use.cause for use in found]):
            return (flowing or real)[0]
        if not found and not parts:
            text = f"{name(n)} is not part of the loss: other elements of its tensor are"
            left_out = left_out or Cause("not_connected", text, n)
            continue
        if not found:
            text = f"the product of derivatives behind {name(n)} is too small for its dtype"
            return Cause("underflow", text, n)
        if left_out is None or left_out.kind == "not_used":  # which says least
            last = [c for c in here if c.kind not in ("not_connected", left_out and "not_used")]
            left_out = last[0] if last else left_out
        unconnected = here[0] if here else None
        above = [use.user for use in found if use.cause is None and use.user not in seen]
        if len(seen) < limit:
            queue += above
            seen.update(above)
    return left_out or unconnected or Cause("flat", "the zero comes from far above", n)


def _cancelled(n: Node, parts: list[float]) -> Cause:
    listed = ", ".join(f"{p:.6g}" for p in parts[:6]) + (", ..." if len(parts) > 6 else "")
    text = f"the contributions of the uses of {name(n)} cancel: {listed} sum to {sum(parts):.6g}"
    return Cause("cancelled", text, n)

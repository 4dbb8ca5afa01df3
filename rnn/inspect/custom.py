"""The edges of an autograd.Function: its backward is run with a gradient of 1 for one output.

What it is not: it opens nothing. A Function of several outputs has no edges one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rnn import _c
from rnn._c import E, adopt, check, lib
from rnn.autograd.function import _checked, _fit, _Turn
from rnn.ops._core import Array, array_of, nodes

if TYPE_CHECKING:
    from rnn.inspect.span import Span

#: outputs of a Function for which its backward is run one by one
MOST = 4096

Row = list[tuple[int, Array, Array]]  # for each operand: its number, its nodes, their derivatives


def row(span: Span, offset: int) -> Row:
    """The local derivatives of one output by every operand.

    Raises:
        RuntimeError: the graph was freed, or the Function has several outputs.
    """
    check(lib.rnn_describe(E, span._number, span._info))
    turn: Any = _c.object_at(span._info.key) if span._info.key else None
    if not isinstance(turn, _Turn) or turn.is_core:
        what = "was freed by backward()" if span.freed else "has several outputs"
        raise RuntimeError(
            f"the local derivatives of {span.torch_name} are not known one by one: it is an "
            f"autograd.Function that {what}"
        )
    seed = np.zeros(span.count, (np.float32, np.float64)[span._info.dtype])
    seed[offset] = 1
    found = _run(turn, nodes(seed.reshape(span.shape)))
    out: Row = []
    for k, i in enumerate(turn.operands):
        if found[i] is None:
            continue
        to = adopt(check(lib.rnn_operand_tensor(E, span._number, k)))
        local = array_of(_fit(turn.name, i, found[i], to)).astype(np.float64)
        out.append((k, _places(to), local.ravel()))
    return out


def _run(turn: Any, seed: Any) -> Any:
    was = lib.rnn_set_grad_mode(0)
    try:
        found = turn.function.backward(turn.ctx, seed)
    finally:
        lib.rnn_set_grad_mode(was)
    found = found if isinstance(found, tuple) else (found,)
    return _checked(turn.name, found, len(turn.shapes))


def _places(t: Any) -> Array:
    """The node behind each element of a view, row-major."""
    at = np.full(t._shape, lib.rnn_offset(t._h), np.int64)
    for d, (size, stride) in enumerate(zip(t._shape, t._strides)):
        shape = [1] * len(t._shape)
        shape[d] = size
        at = at + (np.arange(size) * stride).reshape(shape)
    return at.ravel()


def uses(user: Span, number: int, offset: int) -> tuple[Array, Array, Array]:
    """As node.uses, for a user that is an autograd.Function.

    Raises:
        RuntimeError: as `row`; or the Function has more than 4096 outputs.
    """
    if user.count > MOST:
        raise RuntimeError(
            f"the local derivatives of {user.torch_name} are not known one by one: its backward "
            f"would have to run once for each of its {user.count} outputs (at most {MOST})"
        )
    mine = [k for k, o in enumerate(user.operands) if o.span._number == number]
    found, locals_ = [], []
    for at in range(user.count):
        for k, places, local in row(user, at):
            if k not in mine:
                continue
            for i in np.flatnonzero((places == offset) & (local != 0)):
                found.append(at)
                locals_.append(local[i])
    return np.array(found, np.int64), np.array(locals_), np.ones(len(found), bool)

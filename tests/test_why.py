"""rnn.inspect.why: the words for a gradient that is None or zero."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rnn
from rnn import nn

F = nn.functional
why = rnn.inspect.why


def _x(*values: float) -> Any:
    return rnn.tensor(list(values or (-1.0, 2.0, 0.5)), requires_grad=True)


W = _x(1.0, 2.0, 3.0)

#: kind, words, and what makes (x, loss)
ZEROS: list[tuple[str, str, Callable[[], tuple[Any, Any]]]] = []


def _zero(kind: str, words: str) -> Callable[[Any], Any]:
    def add(make: Any) -> Any:
        ZEROS.append((kind, words, make))
        return make

    return add


def _of(make: Callable[[Any], Any], i: int = 0, x: Any = None) -> tuple[Any, Any]:
    x = _x() if x is None else x
    return x[i], make(x)


_zero("dead_relu", "a dead ReLU: x[0] is -1")(lambda: _of(lambda x: x.relu().sum()))
_zero("dead_relu", "a dead ReLU")(lambda: _of(lambda x: (x.relu() * W).exp().sum()))
_zero("masked", "where does not choose mul_scalar[0]: its mask takes the other branch")(
    lambda: _of(lambda x: rnn.where(x > 0, x * 2, rnn.zeros(3)).sum())
)
_zero("masked", "masked_fill does not choose")(
    lambda: _of(lambda x: x.masked_fill(x < 0, 0.0).sum())
)
_zero("masked", "where does not choose")(
    lambda: _of(lambda x: rnn.where(x > 0, x.exp() * 3, rnn.zeros(3)).sum())
)
_zero("saturated", "tanh is saturated: at 20000 its derivative is 0 in float32")(
    lambda: _of(lambda x: (x * 1e4).tanh().sum(), 1)
)
_zero("saturated", "sigmoid is saturated")(lambda: _of(lambda x: (x * 1e4).sigmoid().sum(), 1))
_zero("multiplied_by_zero", "mul_scalar multiplies x[0] by the number 0")(
    lambda: _of(lambda x: (x * 0).sum())
)
_zero("multiplied_by_zero", "mul multiplies x[0] by a constant, which is 0")(
    lambda: _of(lambda x: (x * rnn.tensor([0.0, 1.0, 1.0])).sum())
)
_zero("multiplied_by_zero", "by a constant, which is 0")(
    lambda: _of(lambda x: (rnn.tensor([[0.0, 1.0, 2.0]]) @ x).sum())
)
_zero("flat", "0, where the derivative of its square is 0")(
    lambda: _of(lambda x: (x * x).sum(), x=_x(0.0, 1.0))
)
_zero("flat", "floor is constant around every point")(lambda: _of(lambda x: x.floor().sum()))
_zero("flat", "the derivative of abs is 0")(lambda: _of(lambda x: x.abs().sum(), x=_x(0.0)))
_zero("out_of_range", "clamp cut x[1] off: 2 is outside of its range")(
    lambda: _of(lambda x: x.clamp(-1, 1).sum(), 1)
)
_zero("out_of_range", "softshrink cut x[2] off: 0.5 is outside")(
    lambda: _of(lambda x: rnn.nn.functional.softshrink(x, 1.0).sum(), 2)
)
_zero("flat", "prelu takes leaf[1], which is above 0, as it is, not its product with x[0]")(
    lambda: _of(lambda w: F.prelu(_x(1.0, 2.0), w)[1], x=_x(0.25))
)
_zero("flat", "at 0 the derivative of square is 0")(
    lambda: _of(lambda x: (x - x.detach()).square().sum())
)
_zero("dead_relu", "a dead ReLU: add[0] is -2")(
    lambda: _of(lambda x: (x.detach() + x).relu().sum())
)
_zero("multiplied_by_zero", "multiplies x[0] by the number 0")(
    lambda: _of(lambda x: x.detach().mul(x.detach()).add(x * 0).sum())
)
_zero("not_connected", "x[1] is not part of the loss: other elements of its tensor are")(
    lambda: _of(lambda x: x[0], 1)
)
_zero("not_connected", "mul_scalar[1] is not part of the loss")(
    lambda: _of(lambda x: (x * 2)[0], 1)
)
_zero("not_chosen", "max chose another element than x[0] (-1)")(lambda: _of(lambda x: x.max()))
_zero("not_chosen", "max_dim chose other elements")(lambda: _of(lambda x: x.max(0)[0]))
_zero("not_gathered", "element 0 of x is not among the indices")(
    lambda: _of(lambda x: x[rnn.tensor([1, 2])].sum())
)
_zero("cancelled", "cancel: 1, -1 sum to 0")(lambda: _of(lambda x: (x - x).sum()))
_zero("not_used", "sum read its tensor, but not x[0]")(lambda: _of(lambda x: x[1:].sum()))


@pytest.mark.parametrize(("kind", "words", "make"), ZEROS)
def test_zero_gradients(kind: str, words: str, make: Callable[[], tuple[Any, Any]]) -> None:
    with rnn.trace():
        element, loss = make()
    x = element
    before = rnn.autograd.grad(loss, x, retain_graph=True, allow_unused=True)[0]
    assert before is None or not before.any()
    reason = why(x, loss, names={"x": _base(element)})
    assert reason.kind == kind, reason
    assert words in str(reason)
    assert reason.node is not None
    assert reason.line is not None and reason.line.startswith("test_why.py:")
    loss.backward()  # why() has left the graph as it was


def _base(element: Any) -> Any:
    """The leaf that an element was taken from: its whole span."""
    number = rnn._c.lib.rnn_span_of(element._h)
    return rnn._c.adopt(rnn._c.lib.rnn_span_tensor(rnn._c.E, number, 0))


def test_embedding_rows() -> None:
    embedding = nn.Embedding(5, 3)
    loss = embedding(rnn.tensor([1, 2])).sum()
    reason = why(embedding.weight[4, 0], loss)
    assert reason.kind == "not_gathered" and reason.module == "Embedding"
    assert "row 4 of embedding.weight is not among" in reason.text or "row 4 of weight" in str(
        reason
    )
    assert "9 of 15 gradients are 0; the first, at [0, 0]" in str(why(embedding.weight, loss))


def test_ignored_targets() -> None:
    logits = rnn.randn(3, 4, requires_grad=True)
    loss = F.cross_entropy(logits, rnn.tensor([1, -100, 2]))
    reason = why(logits[1, 0], loss)
    assert reason.kind == "ignored" and "row 1 is ignore_index" in reason.text


@pytest.mark.parametrize("dtype", [rnn.float32, rnn.float64])
def test_a_certain_target_is_not_an_ignored_one(dtype: Any) -> None:
    logits = rnn.tensor([[1000.0, 1.0], [2000.0, 2.0]], dtype=dtype, requires_grad=True)
    loss = F.cross_entropy(logits.t(), rnn.tensor([1, -100]))
    for i, probability in ((0, 0), (1, 1)):
        reason = why(logits[i, 0], loss)
        assert reason.kind == "saturated" and f"a probability of {probability}" in reason.text
    reason = why(logits[1, 1], loss)
    assert reason.kind == "ignored" and "row 1 is ignore_index" in reason.text
    batch = rnn.randn(1, 3, 4, dtype=dtype, requires_grad=True)
    loss = F.cross_entropy(batch.view(-1, 4), rnn.tensor([1, 2, -100]))
    assert "row 2 is ignore_index" in why(batch[0, 2, 3], loss).text


def test_attention_to_one_key_alone() -> None:
    q, k = (rnn.randn(1, 2, 4, requires_grad=True) for _ in range(2))
    out = F.scaled_dot_product_attention(q, k, rnn.ones(1, 2, 4), is_causal=True)
    reason = why(q[0, 0, 0], out[0, 0].sum())
    assert reason.kind == "saturated" and "all weight is on one key" in reason.text


@pytest.mark.parametrize("resolution", ["tensor", "scalar"])
def test_padding_at_both_resolutions(resolution: str) -> None:
    table = rnn.randn(3, 2, requires_grad=True)
    with rnn.resolution(resolution):
        loss = F.embedding(rnn.tensor([0, 1]), table, padding_idx=0).sum()
        assert why(table[0, 0], loss).kind == "padding"
        logits = rnn.randn(1, 2, requires_grad=True)
        ignored = F.cross_entropy(logits, rnn.tensor([-100]), reduction="sum")
        assert why(logits[0, 0], ignored).kind in ("ignored", "masked")


def test_a_detached_value() -> None:
    v = rnn.Value(2.0)
    with rnn.trace():
        fixed = v.detach()
    assert (fixed.data, fixed.requires_grad, fixed.dtype) == (2.0, False, rnn.float64)
    fixed.data = 3.0
    assert v.data == 2.0
    reason = why(v, fixed * rnn.Value(5.0))
    assert reason.kind == "detached" and "fixed = v.detach()" in str(reason)


@pytest.mark.parametrize(
    "drop",
    [nn.Dropout(0.5), lambda x: F.dropout(x, 0.5), lambda x: F.dropout(x, 1.0),
     lambda x: F.dropout(x, 0.5, inplace=True)],
)  # fmt: skip
def test_dropout(drop: Callable[[Any], Any]) -> None:
    rnn.manual_seed(0)
    x = rnn.ones(64, requires_grad=True)
    y = drop(x * 1)
    dropped = int((y == 0).nonzero()[0])
    assert why(x[dropped], y.sum()).kind == "dropout"


def test_a_layer_behind_a_dead_unit() -> None:
    hidden, out = nn.Linear(2, 1), nn.Linear(1, 1)
    with rnn.no_grad():
        hidden.weight.fill_(-1.0)
        hidden.bias.fill_(0.0)
    loss = out(hidden(rnn.ones(1, 2)).relu()).sum()
    reason = why(hidden.weight[0, 1], loss)
    assert reason.kind == "dead_relu" and reason.node is not None and reason.node.op == "relu"
    assert why(out.weight, loss).kind == "multiplied_by_zero"


def test_of_several_uses_the_one_that_explains() -> None:
    """A running sum that was read at its end only; a branch not taken beside one that is flat."""
    x = _x()
    with rnn.resolution("scalar"):
        layer = nn.Linear(3, 2)
        with rnn.no_grad():
            layer.bias.fill_(-100.0)
        assert why(layer.weight[0, 0], layer(x).relu().sum()).kind == "dead_relu"
        reason = why(x[1], (x * 1e4).sigmoid().sum())
        assert (reason.kind, reason.text[:16]) == ("saturated", "exp is saturated")
    both = rnn.where(x > 0, (x * 1e4).tanh(), x)
    assert why(x[1], both.sum()).kind == "saturated"


def test_padding() -> None:
    layer = nn.Embedding(3, 2, padding_idx=1)
    reason = why(layer.weight[1, 0], layer(rnn.tensor([0, 1])).sum())
    assert reason.kind == "padding" and "padding_idx" in reason.text
    assert why(layer.weight[2, 0], layer(rnn.tensor([0, 1])).sum()).kind == "not_gathered"


def test_values() -> None:
    v = rnn.Value(-2.0)
    assert why(v, v.relu() * 3).kind == "dead_relu"
    assert why(v, rnn.Value(1.0) * 2).kind == "unused"
    with rnn.no_grad():
        u = v * 2
    reason = why(v, u * rnn.Value(1.0))
    assert reason.kind == "no_grad" and "mul_scalar, which was computed under no_grad" in str(
        reason
    )


# ---- no gradient at all -------------------------------------------------------------------------


def test_integers_and_constants() -> None:
    loss = W.sum()
    assert why(rnn.tensor([1, 2]), loss).kind == "integer"
    assert why(rnn.ones(2), loss).kind == "no_requires_grad"
    assert why(W, rnn.ones(2).sum()).kind == "loss_has_no_graph"
    assert why(W.detach(), loss).kind == "detached"


def test_not_connected() -> None:
    x = _x()
    assert why(x, W.sum()).kind == "unused"
    y = x * 2
    reason = why(x, W.sum())
    assert reason.kind == "not_connected" and "x: it was used by mul_scalar" in str(reason)
    del y


def test_detached_where() -> None:
    x = _x()
    with rnn.trace():
        d = x.detach()
        loss = (d * W).sum()
    reason = why(x, loss)
    assert reason.kind == "detached" and "x was detached with detach() before mul used it" in str(
        reason
    )
    assert "d = x.detach()" in str(reason.line)
    assert why(x, (x.data * W).sum()).kind == "data"


def test_detached_earlier() -> None:
    """Nothing behind the loss is a view of x: the spans in between were never recorded."""
    x = _x()
    with rnn.trace():
        d = x.detach()
        y = (d * 2).exp() + 1
    reason = why(x, (y * W).sum())
    assert reason.kind == "detached" and "d = x.detach()" in str(reason.line)
    h = x * 2
    with rnn.trace():
        late = h.detach() * 3
    reason = why(x, (late * W).sum())
    assert reason.kind == "detached" and "late = h.detach() * 3" in str(reason.line)


def test_under_no_grad() -> None:
    x = _x()
    with rnn.trace(), rnn.no_grad():
        q = x * 3
        r = q + 1
    reason = why(x, (r * W).sum())
    assert reason.kind == "no_grad" and "mul_scalar, which was computed under no_grad" in str(
        reason
    )
    assert "q = x * 3" in str(reason.line)
    assert why(x, r.sum()).text.startswith("the loss has no graph: it comes from mul_scalar")
    assert why(r, W.sum()).kind == "no_grad"
    with rnn.no_grad():
        view = x[1:]
    assert why(x, (view * 2 + W[1:]).sum()).kind == "no_grad"


def test_without_lines_the_words_are_the_same() -> None:
    x = _x()
    with rnn.no_grad():
        q = x * 3
    reason = why(x, (q * W).sum())
    assert reason.kind == "no_grad" and reason.line is None
    assert str(reason) == reason.text


def test_memory_that_went_through_numpy() -> None:
    x = _x()
    loss = (rnn.from_numpy(x.detach().numpy()) * W).sum()
    assert why(x, loss).kind == "shares_memory"
    again = x.detach().requires_grad_()
    assert why(x, (again * 2).sum()).kind == "detached"


def test_replaced_in_place() -> None:
    y = W * 2
    loss = y.exp().sum()
    y.add_(1)
    reason = why(y, loss)
    assert reason.kind == "unused" and "it is a later node" in str(reason)


def test_backward_is_missing_or_was() -> None:
    x = _x()
    loss = (x * W).sum()
    assert why(x, loss).kind == "no_backward"
    loss.backward()
    assert why(x, loss).kind == "freed"
    loss = (x * W).sum()
    loss.backward(retain_graph=True)
    assert why(x, loss).kind == "nonzero"
    assert why(x, x.sqrt().sum()).kind == "nan"


def test_nothing_changes() -> None:
    x = _x()
    y = x.relu()
    loss = (y * W).sum()
    loss.backward(retain_graph=True)
    assert x.grad is not None and y.grad is not None
    before = x.grad.tolist(), y.grad.tolist(), x.tolist()
    why(x, loss)
    assert (x.grad.tolist(), y.grad.tolist(), x.tolist()) == before


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"loss must have one element, but its shape is \[3\]"):
        why(W, W * 2)
    with pytest.raises(TypeError, match="expected a Tensor, a Value or a Node, but got float"):
        why(W, 1.0)
    with pytest.raises(TypeError, match="got ndarray"):
        why(np.ones(2), W.sum())


# ---- everything that was cut off is remembered ---------------------------------------------------


def test_every_parameter_behind_a_value_without_a_graph():
    """Six layers under no_grad: twelve parameters, each of which is told of."""
    rnn.manual_seed(0)
    net = nn.Sequential(*[layer for _ in range(6) for layer in (nn.Linear(3, 3), nn.Tanh())])
    with rnn.no_grad():
        features = net(rnn.randn(2, 3))
    head = nn.Linear(3, 1)
    loss = head(features).sum()
    loss.backward(retain_graph=True)
    for parameter in net.parameters():
        reason = why(parameter, loss)
        assert reason.kind == "no_grad", reason
        assert "lost its graph" in str(reason)


def test_values_without_a_graph():
    a, b, c = rnn.Value(2.0), rnn.Value(3.0), rnn.Value(4.0)
    with rnn.no_grad():
        d = a * b * c
    loss = d * rnn.Value(1.0)
    loss.backward(retain_graph=True)
    assert [why(v, loss).kind for v in (a, b, c)] == ["no_grad"] * 3


def test_a_long_loop_remembers_the_oldest():
    """A sum of detached losses: what is remembered of it does not grow for ever."""
    w = _x()
    total = rnn.zeros(())
    for _ in range(3000):
        total = total + (w * w).sum().detach()
    loss = (_x() * total).sum()
    graph = rnn.inspect.graph(loss)
    lost = [s for s in graph.spans if s.is_leaf and s._info.lost]
    count = rnn._c.lib.rnn_span_cuts(rnn._c.E, lost[0]._number, 0, rnn._c.ffi.NULL)
    assert count == 1024
    assert lost[0]._info.cut_more

"""rnn.show without a browser: layout, scenes of bounded size, SVG, DOT, text, files."""

from __future__ import annotations

import gc
import json
import math
import re
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rnn
from rnn import Value
from rnn.inspect import rows, scalars, words
from rnn.inspect import scene as scenes
from rnn.inspect.graph import Graph
from rnn.inspect.labels import _Field, _meet, place_labels
from rnn.inspect.layout import Link, _in_order, layered
from rnn.inspect.page import scene_data
from rnn.inspect.scene import Group, make_scene
from rnn.inspect.span import Span
from rnn.inspect.view import make_view


def lecture() -> rnn.inspect.Drawing:
    """micrograd's lecture: L = (a * b + c) * f."""
    a, b, c, f = Value(2.0), Value(-3.0), Value(10.0), Value(-2.0)
    e = a * b
    d = e + c
    L = d * f
    L.backward()
    return rnn.show(L)


def network(n: int = 4) -> tuple[rnn.Tensor, rnn.nn.Sequential]:
    rnn.manual_seed(0)
    model = rnn.nn.Sequential(rnn.nn.Linear(3, n), rnn.nn.Tanh(), rnn.nn.Linear(n, 2))
    loss = model(rnn.randn(5, 3)).square().mean()
    loss.backward(retain_graph=True)
    return loss, model


# ---- layout -------------------------------------------------------------------------------------


@st.composite
def graphs(draw: Any) -> tuple[list[tuple[float, float]], list[Link]]:
    n = draw(st.integers(1, 30))
    size = st.floats(4, 200)
    sizes = draw(st.lists(st.tuples(size, size), min_size=n, max_size=n))
    pairs = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda p: p[0] != p[1])
    links = [Link(min(p), max(p)) for p in draw(st.lists(pairs, max_size=3 * n))]
    return sizes, links


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_boxes_of_a_layout_keep_apart_and_edges_go_forward(
    graph: tuple[list[tuple[float, float]], list[Link]],
) -> None:
    sizes, links = graph
    placed = layered(sizes, links, 40, 10)
    for i, (length, breadth) in enumerate(sizes):
        assert placed.along[i] - length / 2 >= -1e-6
        assert placed.along[i] + length / 2 <= placed.length + 1e-6
        assert placed.across[i] - breadth / 2 >= -1e-6
        assert placed.across[i] + breadth / 2 <= placed.breadth + 1e-6
        for j in range(i):
            if placed.rank[i] == placed.rank[j]:
                apart = abs(placed.across[i] - placed.across[j])
                assert apart >= (breadth + sizes[j][1]) / 2 + 10 - 1e-6
    for link, bends in zip(links, placed.bends):
        start = placed.along[link.a] + sizes[link.a][0] / 2
        assert start < placed.along[link.b] - sizes[link.b][0] / 2
        passed = placed.rank[link.b] - placed.rank[link.a] - 1
        assert len(bends) == (passed if passed < 24 else 0)


def test_what_flows_is_straight_and_sources_stand_beside_it() -> None:
    # a -> b -> c -> d, and a source for each of c and d
    links = [Link(0, 1), Link(1, 2), Link(4, 2), Link(2, 3), Link(5, 3)]
    links = sorted(links, key=lambda link: link.b)
    placed = layered([(100, 50)] * 4 + [(100, 50)] * 2, _ordered(links), 40, 10)
    main = [placed.across[_ORDER.index(i)] for i in (0, 1, 2, 3)]
    assert max(main) - min(main) < 1e-3
    assert placed.rank[_ORDER.index(4)] == placed.rank[_ORDER.index(1)]
    assert placed.rank[_ORDER.index(5)] == placed.rank[_ORDER.index(2)]


_ORDER = [0, 4, 5, 1, 2, 3]  # sources come first on a tape


def _ordered(links: list[Link]) -> list[Link]:
    return [Link(_ORDER.index(link.a), _ORDER.index(link.b)) for link in links]


def test_a_long_chain_is_laid_out_without_recursion() -> None:
    n = 10_000
    placed = layered([(10, 10)] * n, [Link(i, i + 1) for i in range(n - 1)], 5, 5)
    assert placed.length == 15 * n - 5
    assert placed.breadth == 10


def mesh(n: int) -> list[Link]:
    """Ranks of eight boxes, each used by three of the next and by one far behind."""
    links = [Link(a, b) for a in range(n) for b in (a + 5, a + 8, a + 11, a + 40) if b < n]
    return sorted(links, key=lambda link: link.b)


SHAPES = {
    "chain": lambda n: [Link(i, i + 1) for i in range(n - 1)],
    "wide": lambda n: [Link((i * 7919) % (n - 9), n - 9 + i % 9) for i in range(n - 9)],
    "crossed": lambda n: [Link(i, n - 1 - i) for i in range(n // 2)],
    "star": lambda n: [Link(0, i) for i in range(1, n)],
    "mesh": mesh,
    "parallel": lambda n: [Link(0, 1)] * n,
}  # fmt: skip


def work(n: int, links: list[Link]) -> int:
    """The steps of Python's machine that a layout takes. What is written in C and is not linear
    would hide from them: sorting is not allowed."""
    steps = 0

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal steps
        if not frame.f_code.co_filename.endswith("layout.py"):
            return None
        frame.f_trace_opcodes = True
        steps += event == "opcode"
        return trace

    def profile(_: Any, event: str, called: Any) -> None:
        if event == "c_call":
            assert called.__name__ not in ("sorted", "sort", "insert", "index", "remove")

    before = sys.gettrace(), sys.getprofile()
    sys._getframe().f_trace_opcodes = True  # Python 3.12 looks for one at settrace
    sys.settrace(trace)
    sys.setprofile(profile)
    try:
        layered([(10.0, 10.0)] * n, links, 20, 5)
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
    return steps


@pytest.mark.parametrize("shape", SHAPES)
def test_the_work_of_a_layout_is_linear(shape: str) -> None:
    small, middle, large = (work(n, SHAPES[shape](n)) for n in (100, 200, 400))
    assert small > 10_000 and large - middle < 2.1 * (middle - small)


def test_a_rank_is_ordered_as_sorting_would() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, 30, 700):
        places = [float(x) for x in rng.standard_normal(n) * 10.0 ** rng.integers(-3, 4)]
        places += places[: n // 2]  # equal ones keep their order
        assert _in_order(places) == sorted(range(len(places)), key=places.__getitem__)


# ---- scenes -------------------------------------------------------------------------------------


def test_a_small_graph_is_held_whole_and_its_edges_explain_every_gradient() -> None:
    loss, _ = network()
    scene = make_scene(rnn.inspect.graph(loss))
    assert scene.edges is not None and not scene.chosen
    assert scene.nodes == loss.graph_size() == len(scene.values)
    sums = np.zeros(scene.nodes)
    flows = scene.edges.flows.astype(bool)
    gains = scene.edges.local * scene.grads[scene.edges.user]
    np.add.at(sums, scene.edges.operand[flows], gains[flows])
    root = scene.rows[scene.roots[0]]
    sums[root.dense] += 1
    has = ~np.isnan(scene.grads)
    np.testing.assert_allclose(sums[has], scene.grads[has], rtol=1e-5, atol=1e-7)


def test_the_edges_of_running_sums_explain_every_gradient() -> None:
    rnn.manual_seed(0)
    x, w = rnn.randn(4, requires_grad=True), rnn.randn(3, requires_grad=True)
    cell = rnn.nn.LSTM(1, 2)
    states, _ = cell(x.cumsum(0).reshape(2, 2, 1))
    loss = (states.square().sum() + (w.cumprod(0) * w).sum()).tanh()
    loss.backward(retain_graph=True)
    scene = make_scene(rnn.inspect.graph(loss))
    assert scene.edges is not None
    sums = np.zeros(scene.nodes)
    flows = scene.edges.flows.astype(bool)
    gains = scene.edges.local * scene.grads[scene.edges.user]
    np.add.at(sums, scene.edges.operand[flows], gains[flows])
    for row in scene.rows:
        if row.leaf and row.requires_grad:
            here = slice(row.dense, row.dense + row.count)
            np.testing.assert_allclose(sums[here], scene.grads[here], rtol=1e-4, atol=1e-6)


def test_a_graph_of_sixteen_million_nodes_is_a_small_page() -> None:
    rnn.manual_seed(0)
    a, b = rnn.randn(200, 200, requires_grad=True), rnn.randn(200, 200, requires_grad=True)
    with rnn.resolution("scalar"):
        loss = (a @ b).sum()
    loss.backward(retain_graph=True)
    drawing = rnn.show(loss, focus=[(a, 3, 5)])
    assert drawing._scene.nodes > 16_000_000
    assert drawing._scene.edges is None
    assert len(drawing.to_html()) < 1_200_000
    focus = drawing._scene.chosen[rnn.inspect.node(a, 3, 5).id]
    assert focus.use_count == 200  # row 3 of a meets every column of b
    assert len(focus.uses) == scalars.CHOSEN_EDGES


def test_very_many_values_share_rows_in_stretches_of_the_tape() -> None:
    x = v = Value(1.0)
    for _ in range(6_000):
        v = v * 1.0001 + 0.5
    v.backward()
    drawing = rnn.show(v, focus=[x])
    scene = drawing._scene
    assert scene.spans == 12_001 and len(scene.rows) <= rows.ROWS
    assert sum(row.count for row in scene.rows) == 12_001
    assert all(a < b for a, b in scene.links)
    assert any(row.spans > 1 for row in scene.rows)
    assert scene.rows[0].id == rnn.inspect.node(x).id and scene.rows[0].spans == 1
    assert len(drawing.to_svg()) < 400_000


def test_a_crowd_is_cut_into_runs_that_hold_everything_once() -> None:
    v = Value(1.0)
    for _ in range(1_000):
        v = v.tanh()
    scene = make_scene(rnn.inspect.graph(v))

    def rows(group: Group) -> list[int]:
        assert len(group.members) <= scenes.CROWD
        return [
            i
            for member in group.members
            for i in ([member] if isinstance(member, int) else rows(member))
        ]

    assert sorted(rows(scene.top)) == list(range(1_001))


class Block(rnn.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = rnn.nn.LayerNorm(4)
        self.mlp = rnn.nn.Sequential(rnn.nn.Linear(4, 8), rnn.nn.ReLU(), rnn.nn.Linear(8, 4))

    def forward(self, x: rnn.Tensor) -> rnn.Tensor:
        return x + self.mlp(self.norm(x))


class Twice(rnn.nn.Module):
    """A block that is called twice, with operations of this module before and between."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = rnn.nn.ModuleList([Block(), Block()])

    def forward(self, x: rnn.Tensor) -> rnn.Tensor:
        x = self.blocks[0](x * 2)
        x = self.blocks[0](x * 3)
        return self.blocks[1](x).sum()


def tree(group: Group, scene: scenes.Scene) -> list[object]:
    return [
        (m.name, m.kind, tree(m, scene)) if isinstance(m, Group) else scene.rows[m].short
        for m in group.members
    ]


def test_modules_fold_by_call_with_their_parameters_and_their_classes() -> None:
    model, x = Twice(), rnn.ones(2, 4, requires_grad=True)
    scene = make_scene(rnn.inspect.graph(model(x), names={"x": x}, modules=model))
    top = tree(scene.top, scene)
    names = [m if isinstance(m, str) else m[0] for m in top]
    assert names[0] == "x" and names.count("blocks.0") == 2 and names.count("blocks.1") == 1
    first, second = (m for m in top if m[0] == "blocks.0")
    assert first[1] == "Block"
    assert [m[0] for m in first[2] if isinstance(m, tuple)] == ["norm", "mlp"]
    [mlp] = [m for m in first[2] if m[0] == "mlp"]
    assert [m[:2] for m in mlp[2] if isinstance(m, tuple)] == [("0", "Linear"), ("2", "Linear")]
    assert mlp[2][0][2][:2] == ["weight", "bias"]  # of the first call, which uses them first
    [again] = [m for m in second[2] if m[0] == "mlp"]
    assert not any(isinstance(m, tuple) for m in again[2])
    assert sorted(scene.top.rows) == list(range(len(scene.rows)))


def test_the_blocks_of_a_deep_model_fold_into_one_box() -> None:
    model = rnn.nn.Sequential(
        rnn.nn.Linear(4, 4), *(Block() for _ in range(8)), rnn.nn.Linear(4, 1)
    )
    loss = model(rnn.ones(2, 4)).sum()
    loss.backward(retain_graph=True)
    scene = make_scene(rnn.inspect.graph(loss, names={}, modules=model))
    groups = [m for m in scene.top.members if isinstance(m, Group)]
    assert [g.name for g in groups] == ["0", "1 \u2026 8", "9"]
    blocks = groups[1]
    assert blocks.kind == "8 calls of Block"
    assert [m.name for m in blocks.members if isinstance(m, Group)] == [str(i) for i in range(1, 9)]
    assert sorted(scene.top.rows) == list(range(len(scene.rows)))
    few = rnn.nn.Sequential(*(Block() for _ in range(3)))(rnn.ones(2, 4)).sum()
    scene = make_scene(rnn.inspect.graph(few, names={}))
    assert [m.name for m in scene.top.members if isinstance(m, Group)] == ["0", "1", "2"]


def test_two_models_are_told_apart() -> None:
    class Generator(rnn.nn.Linear):
        pass

    class Critic(rnn.nn.Linear):
        pass

    generator, critic = Generator(3, 4), Critic(4, 1)
    loss = critic(generator(rnn.ones(2, 3))).sum()
    scene = make_scene(rnn.inspect.graph(loss))
    assert {m.name for m in scene.top.members if isinstance(m, Group)} == {"Generator", "Critic"}


def test_opened_scalars_hand_their_gradient_to_their_operands() -> None:
    rnn.manual_seed(0)
    x, w = rnn.randn(2, 3, requires_grad=True), rnn.randn(3, 2, requires_grad=True)
    h = (x @ w).softmax(-1)
    loss = h.square().sum()
    loss.backward(retain_graph=True)
    drawing = rnn.show(loss)
    assert {inside.op for inside in drawing._insides} == {"matmul", "softmax", "sum"}
    graph = rnn.inspect.graph(loss)
    for inside in drawing._insides:
        node, scene = graph.node(inside.id), inside.scene
        root = scene.rows[scene.roots[0]]
        assert scene.values[root.dense] == pytest.approx(node.value, rel=1e-5)
        assert scene.grads[root.dense] == pytest.approx(node.grad, rel=1e-5)
        gains = {edge.node.label: edge.local * node.grad for edge in node.operands}
        inner = {row.name: scene.grads[row.dense] for row in scene.rows if row.name in gains}
        assert inner == {name: pytest.approx(gain, rel=1e-4) for name, gain in gains.items()}
    size = loss.graph_size()
    rnn.show(loss)
    assert loss.graph_size() == size  # the graph gains nothing


def test_what_a_page_says_can_be_opened_is() -> None:
    rnn.manual_seed(0)
    model = rnn.nn.Sequential(rnn.nn.LayerNorm(6), rnn.nn.LSTM(6, 3))
    loss = rnn.nn.functional.gelu(model(rnn.randn(4, 2, 6))[0]).clone().square().cumsum(0).mean()
    loss.backward(retain_graph=True)
    scene = rnn.show(loss)._scene
    rows = {scene.rows[i].op: scene.rows[i] for i in scene.openable}
    assert {"layer_norm", "linear", "lstm", "gelu", "cumsum", "mean"} == set(rows)
    for row in rows.values():
        last = row.id + row.count - 1
        assert last in [inside.id for inside in rnn.show(loss, focus=[last])._insides]


def test_looking_changes_nothing_and_a_drawing_keeps_what_was_then() -> None:
    loss, model = network()
    weight = model[0].weight
    before = weight.detach().clone(), weight.grad.clone()
    drawing = rnn.show(loss)
    drawing.to_html()
    assert bool((weight == before[0]).all()) and bool((weight.grad == before[1]).all())
    text = drawing.text()
    with rnn.no_grad():
        weight.zero_()
    assert drawing.text() == text


# ---- what is written ----------------------------------------------------------------------------


def test_the_svg_of_the_lecture() -> None:
    text = lecture().to_svg()
    root = ElementTree.fromstring(text)  # well-formed
    words = ["".join(t.itertext()) for t in root.iter("{http://www.w3.org/2000/svg}text")]
    for expected in ("a", "b", "c", "d", "e", "f", "L", "e + c", "6.0", "\u22124.0", "\u22128.0"):
        assert expected in words, expected
    assert words.count("\u22122.0") == 4  # f's value; the gradients of c, d and e
    assert "\u00d7\u22123.0" in words  # the local derivative of e by a
    assert "prefers-color-scheme:dark" in text
    assert "Computation graph of L: 7 scalar nodes" in text
    assert not re.search(r"\sid=|<script|href|url\(|@import", text)


def test_two_svgs_share_no_class_that_styles_the_other() -> None:
    drawing = lecture()
    first, second = (set(re.findall(r"\.(rnn-\w+)", drawing.to_svg())) for _ in range(2))
    assert len(first) == len(second) == 1 and first != second


def used_twice() -> Value:
    x = Value(0.5)
    return ((x * 3.0).exp() + 1) * (x * 0.5)


def used_thrice() -> Value:
    x = Value(1.5)
    return x * x + x * 2.0 + x.exp()


def used_again() -> Value:
    a, b = Value(2.0), Value(-3.0)
    return (a * b).tanh() + a * 1.0 + a


def cubed() -> Value:
    x = Value(1.5)
    return (x * x * x).log() - x


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("make", [used_twice, used_thrice, used_again, cubed])
def test_a_local_derivative_stands_beside_its_own_edge(make: Any, down: bool) -> None:
    root = make()
    root.backward()
    view = make_view(make_scene(rnn.inspect.graph(root, names={})), down)
    field = _Field(view)
    texts = {k: f"\u00d7{k}.25" for k in range(len(view.wires))}
    labels = place_labels(view, texts)
    assert list(labels) == list(texts)
    for k, label in labels.items():
        for area in (*field.boxes, *(labels[i].area for i in labels if i != k)):
            assert not _meet(label.area, area), texts[k]
        left, top, right, bottom = label.area
        x, y = (left + right) / 2, (top + bottom) / 2
        far: dict[bool, float] = {}  # to its own edge, or to another between the same boxes
        for other, way in zip(view.wires, field.ways):
            own = (other.a, other.b) == (view.wires[k].a, view.wires[k].b)
            here = min(math.hypot(x - px, y - py) for px, py in way)
            far[own] = min(here, far.get(own, math.inf))
            assert own or not any(left < px < right and top < py < bottom for px, py in way)
        assert far[True] < 30 and far[True] < far.get(False, math.inf)


def test_the_local_derivatives_of_two_uses_stand_as_their_operations_do() -> None:
    root = used_twice()
    root.backward()
    svg = rnn.show(root, names={}).to_svg()
    texts = re.findall(r'<text class="(glyph|local)[^>]* y="([-\d.]+)">(\u00d7[35.0]+)<', svg)
    places = {(kind, text): float(y) for kind, y, text in texts}
    above = places["glyph", "\u00d73.0"] < places["glyph", "\u00d70.5"]
    assert (places["local", "\u00d73.0"] < places["local", "\u00d70.5"]) == above


def test_the_labels_of_a_crowded_drawing_take_no_second() -> None:
    values = [Value(1.0 + i / 8) for i in range(4)]
    for i in range(38):
        values.append((values[i] * values[-1] - values[i // 2]).tanh())
    root = values[19]
    root.backward()
    view = make_view(make_scene(rnn.inspect.graph(root, names={})))
    texts = dict.fromkeys(range(len(view.wires)), "\u00d71.234e\u22124")
    assert len(texts) > 50
    start = time.process_time()
    assert len(place_labels(view, texts)) == len(texts)
    assert time.process_time() - start < 1.0


HOSTILE = '</script><script>alert("1")</script>&amp;'


def test_hostile_names_are_only_text() -> None:
    x = Value(1.0, label=HOSTILE)
    drawing = rnn.show(x * 2.0, names={HOSTILE: x})
    svg, page = drawing.to_svg(), drawing.to_html()
    assert "<script" not in svg and "&lt;/script&gt;" in svg
    ElementTree.fromstring(svg)
    [data] = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, flags=re.S)
    assert json.loads(data)["rows"][0]["title"] == HOSTILE
    assert page.count("<script") == 2
    assert '\\"1\\"' in drawing.to_dot() and "\\<script\\>" in drawing.to_dot()


@pytest.mark.parametrize("name, shown", [
    ("\x1b[31mred", "\u241b[31mred"), ("a\x01b", "a\u2401b"), ("form\x0cfeed", "form\u240cfeed"),
    ("half\ud800pair", "half\ufffdpair"), ("del\x7f\x9b\uffff", "del\u2421\ufffd\ufffd"),
])  # fmt: skip
def test_names_with_what_no_file_can_hold_are_well_formed(
    name: str, shown: str, tmp_path: Path
) -> None:
    x = Value(1.0, label=name)
    root = x * 2.0
    root.backward()
    for drawing in (rnn.show(root), rnn.show(x)):  # the second is named so as a whole
        svg = ElementTree.fromstring(drawing.to_svg())
        assert shown in "".join(svg.itertext())
        for ending in ("html", "svg", "dot", "txt"):
            text = drawing.save(tmp_path / f"graph.{ending}").read_text(encoding="utf-8")
            assert ending == "html" or shown in text
            assert all(c in "\t\n\r" or ord(c) > 31 for c in text)
        json.dumps(drawing._repr_mimebundle_(), ensure_ascii=False).encode()


def test_dot_and_text() -> None:
    drawing = lecture()
    dot = drawing.to_dot()
    assert len(re.findall(r"n\d+ -> n\d+;", dot)) == 6
    assert "| data 2.0 | grad 6.0" in dot
    lines = str(drawing).splitlines()
    assert re.search(r"d = add\(e, c\) +4\.0 +\u22122\.0", lines[-2])
    assert len(lines) == 9


@pytest.mark.parametrize("ending", ["html", "svg", "dot", "gv", "txt"])
def test_save(ending: str, tmp_path: Path) -> None:
    path = lecture().save(tmp_path / f"graph.{ending}")
    assert "\u22124.0" in path.read_text(encoding="utf-8") or ending == "html"
    if ending == "html":
        text = path.read_text(encoding="utf-8")
        assert "default-src 'none'" in text
        assert not re.search(r"(src|href)=.?(http|//)", text)


def test_save_says_what_it_can_write() -> None:
    with pytest.raises(ValueError, match=r"\.html, \.svg, \.dot, \.gv and \.txt, not 'a\.png'"):
        lecture().save("a.png")


def test_mime_bundle_has_a_picture_for_where_scripts_do_not_run() -> None:
    bundle = lecture()._repr_mimebundle_()
    assert sorted(bundle) == ["image/svg+xml", "text/html", "text/plain"]
    assert '<img alt="Computation graph of L' in bundle["text/html"]
    assert "data:image/svg+xml;base64," in bundle["text/html"]


def test_what_cannot_be_drawn_says_why() -> None:
    w = rnn.ones(3, requires_grad=True)
    loss = (w * w).sum()
    loss.backward()
    with pytest.raises(RuntimeError, match=r"freed by backward\(\).*retain_graph=True"):
        rnn.show(loss)
    with pytest.raises(TypeError, match="int64"):
        rnn.show(rnn.tensor([1, 2]))
    with pytest.raises(TypeError, match="str"):
        rnn.show("loss")
    with pytest.raises(KeyError, match="not in this graph"):
        rnn.show(rnn.ones(2, requires_grad=True).sum(), focus=[w.value(0)])


@pytest.mark.parametrize("make", [
    lambda: rnn.tensor([float("nan"), float("inf"), 1.0], requires_grad=True).sum(),
    lambda: rnn.zeros(0, 3, requires_grad=True).sum(),
    lambda: rnn.ones(2, 2, requires_grad=True),
    lambda: Value(1e-300) * Value(float("-inf")),
    lambda: rnn.ones(3, requires_grad=True).cumsum(0).sum(),
])  # fmt: skip
def test_odd_graphs_are_drawn(make: Any) -> None:
    x = make()
    x.backward(*([rnn.ones(2, 2)] if getattr(x, "shape", ()) else []), retain_graph=True)
    drawing = rnn.show(x)
    ElementTree.fromstring(drawing.to_svg())
    assert drawing.text() and drawing.to_dot() and drawing.to_html()
    json.dumps(scene_data(drawing._scene), allow_nan=False)


def test_a_drawing_does_not_keep_the_graph() -> None:
    x = rnn.ones(100, 100, requires_grad=True)

    def draw() -> rnn.inspect.Drawing:
        loss = (x * 2).exp().sum()
        loss.backward(retain_graph=True)
        return rnn.show(loss, focus=[(x, 0, 1)], paths=rnn.inspect.paths(x[0, 1], loss))

    before = rnn.memory_stats()["spans"]
    drawing = draw()
    gc.collect()
    assert rnn.memory_stats()["spans"] <= before
    assert drawing.to_html()


class Squares(rnn.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: rnn.Tensor) -> rnn.Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, grad: rnn.Tensor) -> rnn.Tensor:
        (x,) = ctx.saved_tensors
        return 2 * x * grad


@pytest.mark.parametrize("n", [2, 300])
def test_functions_are_drawn_as_far_as_their_derivatives_are_known(n: int) -> None:
    x = rnn.ones(n, n, requires_grad=True)
    loss = Squares.apply(x).sum()
    loss.backward(retain_graph=True)
    drawing = rnn.show(loss, focus=[(x, 0, 1)])
    assert "Squares" in drawing.text() and drawing.to_html()
    assert (drawing._scene.edges is not None) == (n == 2)


def test_before_backward_there_are_values_only() -> None:
    a, b = Value(2.0), Value(3.0)
    c = a * b
    drawing = rnn.show(c)
    assert drawing._scene.largest_grad == 0
    assert re.search(r"c = mul\(a, b\) +6\.0 +(\u2013|0\.0)", drawing.text())


@pytest.mark.parametrize("down", [False, True])
def test_open_tensors_and_groups_stay_within_their_boxes(down: bool) -> None:
    loss, _ = network()
    view = make_view(make_scene(rnn.inspect.graph(loss)), down)
    for item in view.items[1:]:
        parent = item.parent
        assert parent is not None
        assert item.x >= parent.x - 1e-6 and item.y >= parent.y - 1e-6
        assert item.x + item.w <= parent.x + parent.w + 1e-6
        assert item.y + item.h <= parent.y + parent.h + 1e-6


@pytest.mark.parametrize("made, title", [
    (lambda a, b, c: a * b + c * a, "a\u00b7b + c\u00b7a"),
    (lambda a, b, c: (a + b) * c, "(a+b) \u00b7 c"),
    (lambda a, b, c: a - (b - c), "a \u2212 (b\u2212c)"),
    (lambda a, b, c: a - b - c, "a\u2212b \u2212 c"),
    (lambda a, b, c: (a - 1.0) ** 2, "(a\u22121.0)\u00b2"),
    (lambda a, b, c: (a * b).tanh() * c, "tanh(a \u00b7 b) \u00b7 c"),
    (lambda a, b, c: a / (b * c), "a \u00b7 (b\u00b7c)\u207b\u00b9"),
    (lambda a, b, c: (a * b + c).exp() * (a * b), None),  # too long: its number
])  # fmt: skip
def test_what_has_no_name_is_called_by_what_it_is(made: Any, title: str | None) -> None:
    a, b, c = Value(2.0), Value(3.0), Value(5.0)
    x = made(a, b, c)
    scene = make_scene(rnn.inspect.graph(x, names={"a": a, "b": b, "c": c}))
    assert scene.rows[-1].title == (title or f"#{rnn.inspect.node(x).id}")


def test_an_expression_says_which_view_it_reads() -> None:
    x, b = rnn.randn(3, 4, requires_grad=True), rnn.randn(4, requires_grad=True)
    wanted = {
        "x @ x\u1d40": x @ x.T, "x + b": x + b, "b \u00b7 b": b * b,
        "b[0] \u00b7 b[2]": b[0] * b[2], "log(x)": x.view(-1).log(), "x\u1d40 \u00b7 2.0": x.T * 2,
    }  # fmt: skip
    for text, y in wanted.items():
        scene = make_scene(rnn.inspect.graph(y, names={"x": x, "b": b}))
        assert [row.title for row in scene.rows if not row.leaf] == [text]
    for y in (x[1:].log(), x[:, 0] * b[:3], x.reshape(4, 3) @ x):
        scene = make_scene(rnn.inspect.graph(y, names={"x": x, "b": b}))
        made = [row for row in scene.rows if not row.leaf][-1]
        assert made.title in (f"#{made.id}", "x @ x")


def test_numbers_are_cut_to_the_room_there_is() -> None:
    for x in (-1e-30, -123456.789, 1.5e300, -0.00012345, 0.0, float("nan"), float("-inf")):
        text = words.fitting(x, 52.0, 12)
        assert words.width(text, 12) <= 52.0, text


def test_calls_of_modules_cut_a_long_tape() -> None:
    """Of very many spans rows follow the calls of modules; their parameters are named."""

    class Step(rnn.nn.Module):
        def forward(self, x: Any) -> Any:
            for _ in range(1_500):
                x = x * 0.999
            return x

    model = rnn.nn.Sequential(*(Step() for _ in range(4)))
    x = rnn.ones(1, requires_grad=True)
    loss = model(x).sum()
    loss.backward(retain_graph=True)
    scene = make_scene(rnn.inspect.graph(loss, names={"x": x}, modules=model))
    assert scene.spans == 6_002 and len(scene.rows) <= rows.ROWS
    groups = [m for m in scene.top.members if isinstance(m, Group)]
    assert [(g.name, g.kind) for g in groups] == [(str(i), "Step") for i in range(4)]
    for g in groups:
        assert sum(scene.rows[i].spans for i in g.rows) == 1_500
    assert scene.rows[0].name == "x" and scene.rows[-1].name is None


def test_what_a_drawing_takes_does_not_grow_with_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of very many spans the engine makes the summary: no object a span, no column over all."""
    made, read = 0, []
    init, column = Span.__init__, Graph._column

    def counted(self: Span, *args: Any) -> None:
        nonlocal made
        made += 1
        init(self, *args)

    def noted(self: Graph, which: str, dtype: Any) -> Any:
        read.append(which)
        return column(self, which, dtype)

    monkeypatch.setattr(Span, "__init__", counted)
    monkeypatch.setattr(Graph, "_column", noted)
    counts = []
    for operations in (20_000, 80_000):
        x = v = Value(1.0)
        for _ in range(operations):
            v = v * 0.999
        v.backward(retain_graph=True)
        made = 0
        drawing = rnn.show(v, focus=[x])
        assert drawing._scene.spans == operations + 1 and len(drawing.to_html()) < 1_500_000
        counts.append(made)
    assert counts[0] == counts[1] < 6_000 and not read

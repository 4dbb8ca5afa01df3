"""rnn.show in a real browser (Debian's chromium, headless) and in executed notebooks.

The browser is the system's own; playwright only drives it. Without one these tests are skipped,
except where RNN_NEEDS_CHROMIUM is set, as .ci/run does.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from playwright import sync_api

import rnn
from rnn import Value
from rnn.inspect.scene import make_scene
from rnn.inspect.svg import to_svg
from rnn.inspect.view import Item, make_view

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip

if CHROMIUM is None and not os.environ.get("RNN_NEEDS_CHROMIUM"):
    pytest.skip("no chromium on this machine (apt-get install chromium)", allow_module_level=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    assert CHROMIUM, "no chromium on this machine (apt-get install chromium)"
    with sync_api.sync_playwright() as p:
        started = p.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """Opens HTML (a Drawing, or text) in a page; at the end there were no errors, no requests."""
    problems: list[str] = []
    contexts: list[Any] = []

    def open_page(drawing: Any, **options: Any) -> Any:
        options.setdefault("viewport", {"width": 1400, "height": 800})
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)  # a busy machine takes its time
        page.on("console", lambda m: problems.append(f"console: {m.text}"))
        page.on("pageerror", lambda error: problems.append(f"error: {error}"))
        path = tmp_path / f"{len(contexts)}.html"
        path.write_text(drawing if isinstance(drawing, str) else drawing.to_html())
        page.on(
            "request",
            lambda r: (
                None
                if r.url.startswith((path.as_uri(), "data:"))
                else problems.append(f"request: {r.url}")
            ),
        )
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems


def lecture() -> Any:
    a, b, c, f = Value(2.0), Value(-3.0), Value(10.0), Value(-2.0)
    e = a * b
    d = e + c
    L = d * f
    L.backward()
    return rnn.show(L)


def perceptron(n: int = 4) -> tuple[Any, Any, Any]:
    rnn.manual_seed(0)
    x, w = rnn.randn(5, 3), rnn.randn(3, n, requires_grad=True)
    h = (x @ w).tanh()
    loss = h.square().mean()
    loss.backward(retain_graph=True)
    return rnn.show(loss), w, h


#: the first drawing of a page
DRAWING = "document.querySelector('[data-rnn-drawing]').rnnDrawing"


def wait_until(page: Any, condition: str) -> None:
    """Polls from outside: the page's own policy forbids it to evaluate text."""
    end = time.monotonic() + 5
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(20)


def box(page: Any, name: str) -> Any:
    return page.locator(f'.box[aria-label^="{name}, "]')


def numbers(text: str) -> list[float]:
    found = re.findall(r"[-\u2212]?\d+(?:\.\d+)?(?:e[-\u2212]?\d+)?", text)
    return [float(x.replace("\u2212", "-")) for x in found]


# ---- one page -----------------------------------------------------------------------------------


def test_ten_nodes_show_values_gradients_and_the_ledger(opened: Any) -> None:
    page = opened(lecture())
    assert page.locator(".box").count() == 7
    expected = {
        "a": (2, 6),
        "b": (-3, -4),
        "c": (10, -2),
        "f": (-2, 4),
        "e": (-6, -2),
        "L": (-8, 1),
    }
    for name, (value, grad) in expected.items():
        assert numbers(box(page, name).locator(".value").text_content()) == [value]
        assert numbers(box(page, name).locator(".grad").text_content()) == [grad]
    box(page, "a").click()
    ledger = page.locator(".ledger tbody tr")
    assert ledger.count() == 2
    assert ledger.nth(0).locator("button").inner_text() == "e"
    assert numbers(ledger.nth(0).inner_text()) == [-2, -3, 6]
    assert numbers(ledger.nth(1).inner_text()) == [6]
    assert "a \u2192 e \u2192 d \u2192 L" in page.locator(".paths").inner_text()
    assert page.locator(".box.onpath").count() == 4 and page.locator(".wire.trail").count() == 3
    page.locator(".ledger button").click()  # to the user
    assert page.locator(".panel h2").inner_text() == "e"


def test_the_slider_plays_both_passes_and_shows_every_addition(opened: Any) -> None:
    page = opened(lecture())
    slider = page.locator("input[type=range]")
    assert slider.get_attribute("max") == str(3 + 1 + 6 + 1)
    said = page.locator(".said")
    slider.fill("0")
    assert box(page, "L").locator(".value").text_content() == "\u00b7"  # not computed yet
    slider.fill("1")
    assert said.inner_text() == "e = a \u00d7 b = 2.0 \u00d7 (\u22123.0) = \u22126.0"
    assert box(page, "d").locator(".value").text_content() == "\u00b7"
    slider.fill("4")
    assert said.inner_text() == "backward starts: L.grad = 1.0"
    slider.fill("11")
    assert said.inner_text() == "after both passes"
    slider.fill("10")
    assert "b.grad +=" in said.inner_text() and numbers(said.inner_text())[-3:] == [-4, 0, -4]
    assert numbers(box(page, "b").locator(".grad").text_content()) == [-4]
    slider.fill("9")
    assert "+=" in said.inner_text() and numbers(said.inner_text())[-3:] == [6, 0, 6]
    assert numbers(box(page, "a").locator(".grad").text_content()) == [6]
    assert numbers(box(page, "b").locator(".grad").text_content()) == [0]
    page.get_by_role("button", name="A step back").click()
    assert "c.grad += " in said.inner_text()
    page.get_by_role("button", name="To the beginning").click()
    page.keyboard.press("Escape")
    page.locator(".stage").press("Space")
    wait_until(page, f"{DRAWING}.tape.at > 0")


def test_no_step_of_the_slider_is_left_unsaid(opened: Any) -> None:
    a, b = Value(2.0), Value(-3.0)
    product = a * b
    for backward in (False, True):
        if backward:
            product.backward()
        page = opened(rnn.show(product))
        slider, texts = page.locator("input[type=range]"), []
        for step in range(int(slider.get_attribute("max")) + 1):
            slider.fill(str(step))
            texts.append(page.locator(".said").inner_text())
        assert texts[1].startswith("product = a \u00d7 b = ")
        names = [text.split(".grad +=")[0] for text in texts if "+=" in text]
        assert names == ["a", "b"] * backward


def test_a_value_used_twice_adds_up_step_by_step(opened: Any) -> None:
    a = Value(3.0)
    b = a * a
    b.backward()
    page = opened(rnn.show(b))
    slider, said = page.locator("input[type=range]"), page.locator(".said")
    assert page.locator(".wires .wire").count() == 2
    box(page, "a").click()
    ways = page.locator(".wire.trail").evaluate_all("found => found.map(w => w.getAttribute('d'))")
    assert len(set(ways)) == 2  # each path takes an edge of its own
    page.keyboard.press("Escape")
    slider.fill("3")
    assert numbers(said.inner_text())[-2:] == [0, 3]
    assert numbers(box(page, "a").locator(".grad").text_content()) == [3]
    slider.fill("4")
    assert numbers(box(page, "a").locator(".grad").text_content()) == [6]


def test_names_that_are_expressions_stand_in_brackets(opened: Any) -> None:
    a, b, c = Value(2.0), Value(3.0), Value(4.0)
    loss = (a + b) * c
    loss.backward()
    page = opened(rnn.show(loss))
    slider, said = page.locator("input[type=range]"), page.locator(".said")
    slider.fill("2")
    assert said.inner_text() == "loss = (a + b) \u00d7 c = 5.0 \u00d7 4.0 = 20.0"
    said_then = []
    for step in "45":
        slider.fill(step)
        said_then.append(said.inner_text())
    assert any(text.startswith("(a + b).grad += \u2202loss/\u2202(a + b)") for text in said_then)


def test_a_nan_can_be_read_on_its_colour(opened: Any) -> None:
    x = Value(float("nan"))
    loss = x * x
    loss.backward()
    for scheme in ("light", "dark"):
        page = opened(rnn.show(loss), color_scheme=scheme)
        colours = page.evaluate(
            """() => {
              const root = document.querySelector("[data-rnn-drawing]").shadowRoot || document;
              const fill = (e) => getComputedStyle(e).fill.match(/[\\d.]+/g).map(Number);
              const read = (e) => fill(e).slice(0, 3);
              const bad = root.querySelector(".boxes .bad, path.bad");
              const card = root.querySelector(".card");
              const part = Number(bad.getAttribute("fill-opacity"));
              const under = read(card).map((c, i) => c * (1 - part) + read(bad)[i] * part);
              return [read(root.querySelector("text.gbad")), under];
            }"""
        )
        lights = sorted(luminance(c) for c in colours)
        assert (lights[1] + 0.05) / (lights[0] + 0.05) >= 4.5


def luminance(colour: list[float]) -> float:
    """As WCAG 2 defines it."""
    parts = [c / 255 for c in colour]
    r, g, b = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def test_search_finds_names_operations_numbers_and_elements(opened: Any) -> None:
    drawing, w, h = perceptron()
    page = opened(drawing)
    search = page.get_by_role("searchbox")
    page.locator(".stage").press("/")
    search.fill("tanh")
    assert page.get_by_role("option").count() == 1
    search.press("Enter")
    assert page.locator(".panel h2").inner_text() == "h"
    search.fill("w[2, 3]")
    search.press("Enter")
    assert page.locator(".panel h2").inner_text() == "w[2, 3]"
    shown = page.locator(".panel dd")
    assert float(shown.nth(0).inner_text().replace("\u2212", "-")) == float(w[2, 3])
    assert float(shown.nth(1).inner_text().replace("\u2212", "-")) == float(w.grad[2, 3])
    assert page.locator(".cell.picked").get_attribute("data-node") == str(
        rnn.inspect.node(w, 2, 3).id
    )
    id = rnn.inspect.node(h, 4, 1).id
    search.fill(f"#{id}")
    search.press("Enter")
    assert page.locator(".panel h2").inner_text() == "h[4, 1]"
    search.fill("tanh[4, 1]")  # by the operation, as labels without a name are
    search.press("Enter")
    assert page.locator(".panel h2").inner_text() == "h[4, 1]"
    search.fill("no such thing")
    assert "0 matches" in page.locator(".found").inner_text()


def test_a_tensor_opens_to_its_numbers_and_to_single_scalars(opened: Any) -> None:
    drawing, _, h = perceptron(n=10)
    page = opened(drawing)
    assert page.locator(".cell").count() == 0  # folded
    box(page, "h").locator(".sign-button").click()
    assert page.locator(".cell").count() == 5 * 8
    page.get_by_label("Columns after").click()
    last = page.locator(f'[data-node="{rnn.inspect.node(h, 4, 9).id}"]')
    assert numbers(last.locator("text").nth(0).text_content()) == [
        pytest.approx(float(h[4, 9]), rel=1e-2)
    ]
    page.locator(".stage").press("Escape")
    box(page, "loss").click()
    box(page, "h").locator(".title, .math").click()
    page.get_by_role("button", name="Open to scalars").click()
    assert page.locator('.box[data-key^="n"]').count() == 50
    one = box(page, "h[1, 2]")
    assert numbers(one.locator(".value").text_content()) == [
        pytest.approx(float(h[1, 2]), rel=1e-3)
    ]
    assert page.evaluate(f"{DRAWING}.k") > 0.6  # not all at once, but large enough to be read
    page.get_by_role("searchbox").fill("h[1, 2]")
    page.get_by_role("searchbox").press("Enter")
    one.click()  # it was brought to sight
    ledger = page.locator(".ledger tbody tr")
    total = numbers(ledger.nth(ledger.count() - 1).inner_text())
    assert total == [pytest.approx(float(h.grad[1, 2]), rel=1e-3)]


def test_a_selected_scalar_is_in_sight_when_its_tensor_opens_to_scalars(opened: Any) -> None:
    rnn.manual_seed(0)
    x, w = rnn.randn(5, 3), rnn.randn(3, 50, requires_grad=True)
    loss = (x @ w).square().mean()
    loss.backward(retain_graph=True)
    page = opened(rnn.show(loss))
    search, heading = page.get_by_role("searchbox"), page.locator(".panel h2")

    def in_sight(name: str) -> bool:
        assert heading.inner_text() == name
        shown = box(page, name).bounding_box()
        room, panel = page.locator(".stage").bounding_box(), page.locator(".panel").bounding_box()
        beside = room["x"] <= shown["x"] and shown["x"] + shown["width"] <= panel["x"]
        above = room["y"] <= shown["y"]
        return beside and above and shown["y"] + shown["height"] <= room["y"] + room["height"]

    search.fill("w[2, 30]")
    search.press("Enter")
    page.get_by_role("button", name="Open the tensor to scalars").click()
    assert page.locator('.box[data-key^="n"]').count() == 64  # of 150
    assert in_sight("w[2, 30]") and box(page, "w[0, 0]").count() == 0
    search.fill("w[0, 7]")  # out of the row, and brought in
    search.press("Enter")
    assert in_sight("w[0, 7]") and box(page, "w[2, 30]").count() == 0
    search.fill("w[0, 9]")
    search.press("Enter")
    assert in_sight("w[0, 9]") and box(page, "w[0, 0]").count() == 1  # the row stays


def test_a_fused_scalar_opens_into_its_operations_and_closes(opened: Any) -> None:
    rnn.manual_seed(0)
    x = rnn.randn(2, 3, requires_grad=True)
    h = x.softmax(-1)
    loss = h.square().sum()
    loss.backward(retain_graph=True)
    page = opened(rnn.show(loss))
    page.get_by_role("searchbox").fill("h[1, 2]")
    page.get_by_role("searchbox").press("Enter")
    page.get_by_role("button", name="Open into").click()
    assert "h[1, 2], opened" in page.locator(".summary").inner_text()
    glyphs = page.locator(".glyph").all_text_contents()
    assert glyphs.count("exp") == 3 and "x\u207b\u00b9" in glyphs  # exponentials, a power of -1
    result = box(page, "h[1, 2]")
    assert numbers(result.locator(".value").text_content()) == [
        pytest.approx(float(h[1, 2]), rel=1e-3)
    ]
    assert numbers(result.locator(".grad").text_content()) == [
        pytest.approx(float(h.grad[1, 2]), rel=1e-3)
    ]
    page.locator("input[type=range]").fill("1")
    assert page.locator(".said").inner_text()
    page.get_by_role("button", name="Back to the graph").click()
    assert page.locator(".panel h2").inner_text() == "h[1, 2]"
    assert box(page, "loss").count() == 1


def test_a_fused_scalar_that_a_page_does_not_open_says_which_call_draws_it_so(opened: Any) -> None:
    rnn.manual_seed(0)
    x = rnn.randn(10, 10, requires_grad=True)
    h = x.softmax(1)
    loss = (h * h).sum()
    loss.backward(retain_graph=True)
    page = opened(rnn.show(loss))
    search, panel = page.get_by_role("searchbox"), page.locator(".panel")
    button = page.get_by_role("button", name="Open into")

    def select(name: str) -> None:
        search.fill(name)
        search.press("Enter")

    for i in range(10):
        select(f"h[{i}, {9 - i}]")
        assert button.count() + panel.locator("code").count() == 1
        assert button.count() or "It stands for several scalar operations" in panel.inner_text()
    for name in ("x[1, 2]", "h \u00b7 h[1, 2]"):  # a leaf; a product is one operation
        select(name)
        assert button.count() + panel.locator("code").count() == 0
    select("h[3, 6]")
    code = panel.locator("code").inner_text()
    assert code == f"rnn.show(loss, focus=[{rnn.inspect.node(h, 3, 6).id}])"
    page = opened(eval(code))  # and it does
    assert page.locator(".panel h2").inner_text() == "h[3, 6]"
    page.get_by_role("button", name="Open into").click()
    assert "h[3, 6], opened" in page.locator(".summary").inner_text()
    assert page.locator(".panel").is_hidden()


def test_a_zero_gradient_says_why(opened: Any) -> None:
    x = rnn.tensor([-1.0, 2.0], requires_grad=True)
    loss = (x.relu() * rnn.tensor([1.0, 3.0])).sum()
    loss.backward(retain_graph=True)
    page = opened(rnn.show(loss))
    page.locator(f'[data-node="{rnn.inspect.node(x, 0).id}"]').click()
    assert "a dead ReLU: x[0] is -1" in page.locator(".panel").inner_text()


def test_a_ledger_says_what_it_does_not_explain(opened: Any) -> None:
    a = Value(3.0)
    b = a * 2.0
    b.backward()
    b.backward()  # adds up
    page = opened(rnn.show(b))
    box(page, "a").click()
    ledger = page.locator(".ledger tbody tr")
    assert numbers(ledger.nth(0).inner_text())[-1] == 2
    assert "from elsewhere" in ledger.nth(1).inner_text()
    assert numbers(ledger.nth(1).inner_text()) == [2]
    assert "earlier backward passes" in page.locator(".panel").inner_text()


def test_keys_move_open_zoom_turn_and_close(opened: Any) -> None:
    page = opened(lecture())
    stage = page.locator(".stage")
    box(page, "a").click()
    heading = page.locator(".panel h2")
    for key, name in [("ArrowRight", "e"), ("ArrowRight", "d"), ("ArrowDown", "f")]:
        page.keyboard.press(key)
        assert heading.inner_text() == name
    before = page.evaluate(f"{DRAWING}.k")
    stage.press("+")
    assert page.evaluate(f"{DRAWING}.k") == pytest.approx(before * 1.25)
    stage.press("0")
    down = page.evaluate(f"{DRAWING}.state.down")
    stage.press("r")
    assert page.evaluate(f"{DRAWING}.state.down") != down
    stage.press("Escape")
    assert page.locator(".panel").is_hidden()
    stage.press("?")
    assert "Keys" in page.locator(".panel").inner_text()


def test_pan_and_wheel(opened: Any) -> None:
    page = opened(lecture())
    x = page.evaluate(f"{DRAWING}.x")
    page.mouse.move(700, 650)
    page.mouse.down()
    page.mouse.move(760, 620, steps=3)
    page.mouse.up()
    assert page.evaluate(f"{DRAWING}.x") == pytest.approx(x + 60)
    k = page.evaluate(f"{DRAWING}.k")
    page.mouse.wheel(0, -200)
    wait_until(page, f"{DRAWING}.k > {k}")


def test_dark_follows_the_system_and_the_button(opened: Any) -> None:
    page = opened(lecture(), color_scheme="dark")
    paper = "getComputedStyle(document.querySelector('[data-rnn-drawing]').shadowRoot" \
        ".querySelector('.app')).backgroundColor"  # fmt: skip
    dark = page.evaluate(paper)
    assert sum(numbers(dark)) < 120
    page.get_by_role("button", name="Light or dark").click()
    assert sum(numbers(page.evaluate(paper))) > 700


HOSTILE = "</script><script>window.stolen = 1</script><img src=x onerror='window.stolen = 2'>"


def test_hostile_names_stay_text(opened: Any) -> None:
    x = Value(1.0)
    y = x * 2.0
    y.backward()
    page = opened(rnn.show(y, names={HOSTILE: x}))
    page.locator('.box[data-key="r0"]').click()
    assert page.locator(".panel h2").inner_text() == HOSTILE
    page.get_by_role("searchbox").fill("script")
    assert HOSTILE in page.locator(".found").inner_text()
    assert page.evaluate("window.stolen") is None


def test_two_drawings_in_one_page_do_not_meet(opened: Any) -> None:
    first, second = lecture(), perceptron()[0]
    html = "".join(d._repr_mimebundle_()["text/html"] for d in (first, second, first))
    svgs = first.to_svg() + second.to_svg()
    page = opened(f"<!doctype html><meta charset=utf-8><body>{html}{svgs}</body>")
    hosts = page.locator("[data-rnn-drawing]")
    assert hosts.count() == 3
    assert [hosts.nth(i).locator(".box").count() for i in range(3)] == [7, 6, 7]
    hosts.nth(0).locator(".box").nth(0).click()
    assert hosts.nth(0).locator(".panel").is_visible()
    assert hosts.nth(2).locator(".panel").is_hidden()
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))


def test_without_scripts_the_picture_is_shown(opened: Any) -> None:
    page = opened(lecture(), java_script_enabled=False)
    image = page.locator("img")
    assert image.is_visible() and image.bounding_box()["width"] > 500


def values_graph() -> Any:
    values = [Value(float(i)) for i in range(4)]
    for i in range(40):
        values.append((values[i % len(values)] * values[-1] + values[(7 * i) % len(values)]).tanh())
    values[-1].backward()
    return values[-1]


class Block(rnn.nn.Module):
    """Modules within modules, with a residual stream around them and a weight used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = rnn.nn.LayerNorm(6)
        self.mlp = rnn.nn.Sequential(rnn.nn.Linear(6, 8), rnn.nn.ReLU(), rnn.nn.Linear(8, 6))

    def forward(self, x: Any) -> Any:
        return (
            x + self.mlp(self.norm(x)) + rnn.nn.functional.linear(x, self.mlp[2].weight.T[:6, :6])
        )


class Net(rnn.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = rnn.nn.ModuleList([Block(), Block()])

    def forward(self, x: Any) -> Any:
        for block in self.blocks:
            x = block(x)
        return x.square().mean()


def modules_graph() -> Any:
    rnn.manual_seed(0)
    loss = Net()(rnn.randn(5, 6, requires_grad=True))
    loss.backward(retain_graph=True)
    return loss


@pytest.mark.parametrize("make", [values_graph, modules_graph])
def test_python_and_the_page_agree_on_every_place(opened: Any, make: Any) -> None:
    root = make()
    page = opened(rnn.show(root, names={}))
    groups = f"{DRAWING}.data.tree.members.filter(m => m.id)"
    page.evaluate(f"{groups}.forEach(m => {DRAWING}.state.open.add(m.id))")
    for down in (False, True):
        scene = make_scene(rnn.inspect.graph(root, names={}))
        scene.open |= {id(m) for m in scene.top.members if not isinstance(m, int)}
        view = make_view(scene, down)
        page.evaluate(f"{DRAWING}.state.down = {str(down).lower()}; {DRAWING}.layOut()")
        places = page.evaluate(f"{DRAWING}.view.items.map(i => [i.x, i.y, i.w, i.h])")
        assert len(places) == len(view.items) > 14
        assert rounded(places) == rounded([place(item) for item in view.items])
        wires = page.evaluate(f"{DRAWING}.view.wires.map(w => w.points)")
        assert rounded(p for w in wires for p in w) == rounded(
            p for w in view.wires for p in w.points
        )


def crowded_graph() -> Any:
    a, b, c = Value(2.0), Value(-3.0), Value(0.5)
    root = ((a * b + c * a) * (b + c)).tanh() + a * c + a * a + (c * 3.0).exp()
    root.backward()
    return root


def test_python_and_the_page_agree_on_the_labels(opened: Any) -> None:
    root = crowded_graph()
    page = opened(rnn.show(root, names={}))
    for down in (False, True):
        view = make_view(make_scene(rnn.inspect.graph(root, names={})), down)
        svg = to_svg(view)
        texts = re.findall(r'<text class="local ?(\w*)" x="(.*?)" y="(.*?)">(.*?)<', svg)
        page.evaluate(f"{DRAWING}.state.down = {str(down).lower()}; {DRAWING}.layOut()")
        found = page.evaluate(
            f"[...{DRAWING}.view.labels.values()].map(l => [l.anchor, l.x, l.y, l.says])"
        )
        assert len(texts) == len(view.wires) > 14
        assert page.locator("text.local").all_text_contents() == [text[3] for text in texts]
        for (anchor, x, y, says), expected in zip(found, texts):
            assert (anchor, says) == (expected[0], expected[3])
            assert [x, y] == pytest.approx([float(t) for t in expected[1:3]], abs=0.051)


def rounded(places: Any) -> list[tuple[float, ...]]:
    return sorted(tuple(round(x, 4) for x in place) for place in places)


def place(item: Item) -> tuple[float, float, float, float]:
    return item.x, item.y, item.w, item.h


def test_sixteen_million_nodes_open_folded_and_in_focus(opened: Any) -> None:
    rnn.manual_seed(0)
    a, b = rnn.randn(200, 200, requires_grad=True), rnn.randn(200, 200, requires_grad=True)
    with rnn.resolution("scalar"):
        loss = (a @ b).tanh().mean()
    loss.backward(retain_graph=True)
    page = opened(rnn.show(loss, focus=[(a, 3, 5)]))
    assert "nodes in" in page.locator(".summary").inner_text()
    search = page.get_by_role("searchbox")
    search.fill("a[3, 5]")
    search.press("Enter")
    ledger = page.locator(".ledger tbody tr")
    assert "176 more" in ledger.nth(ledger.count() - 2).inner_text()
    total = numbers(ledger.nth(ledger.count() - 1).inner_text())
    assert total == [pytest.approx(float(a.grad[3, 5]), rel=1e-3)]


# ---- notebooks ----------------------------------------------------------------------------------


def test_a_notebook_shows_svg_and_html(opened: Any) -> None:
    cells = [
        "import rnn\nfrom rnn import Value\na, b = Value(2.0), Value(-3.0)\nc = (a * b).tanh()\n"
        "c.backward()",
        "rnn.show(c)",
        "rnn.show(a * b)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    shown = [cell.outputs[0].data for cell in notebook.cells[1:]]
    for data in shown:
        assert (
            data["image/svg+xml"].startswith("<svg") and "Computation graph" in data["text/plain"]
        )
    html = "".join(data["text/html"] for data in shown)
    page = opened(f'<body data-jp-theme-light="false">{html}</body>')
    assert page.locator("[data-rnn-drawing] .box").count() == 4 + 3
    assert page.locator(".app.dark").count() == 2  # as the notebook's theme


# ---- large graphs, small pages, odd names -------------------------------------------------------


def many_values() -> tuple[Any, Any]:
    x = v = Value(1.0)
    for _ in range(6_000):
        v = v * 1.0001 + 0.0001
    v.backward(retain_graph=True)
    return v, x


def test_a_scalar_that_a_page_does_not_hold_says_which_call_draws_it(opened: Any) -> None:
    v, _ = many_values()
    page = opened(rnn.show(v))
    run = page.evaluate(f"{DRAWING}.graph.rows.find(row => row.spans > 1)")
    wanted = run["id"] + run["n"] // 2
    search = page.get_by_role("searchbox")
    search.fill(f"#{wanted}")
    search.press("Enter")
    panel = page.locator(".panel")
    assert panel.locator("h2").inner_text() == f"#{wanted}"
    code = panel.locator("code").inner_text()
    assert code == f"rnn.show(v, focus=[{wanted}])"
    page = opened(eval(code))  # and it does
    panel = page.locator(".panel")
    assert f"#{wanted}" in panel.inner_text() and "why this gradient" in panel.inner_text()
    node = rnn.inspect.graph(v).node(wanted)
    total = numbers(panel.locator(".ledger tbody tr").last.inner_text())
    assert total == [pytest.approx(node.grad, rel=1e-3)]
    panel.locator(".ledger button").first.click()  # its user is there as well
    assert "why this gradient" in panel.inner_text()
    panel.locator("table").last.locator("button").first.click()  # and what it was made from
    assert f"#{wanted}" in panel.inner_text()


def test_an_element_that_a_page_does_not_hold_says_which_call_draws_it(opened: Any) -> None:
    rnn.manual_seed(0)
    w, x = rnn.randn(300, 400, requires_grad=True), rnn.randn(400)
    loss = (w @ x).tanh().mean()
    loss.backward(retain_graph=True)
    page = opened(rnn.show(loss))
    search, panel = page.get_by_role("searchbox"), page.locator(".panel")
    search.fill("w[123, 45]")
    search.press("Enter")
    assert panel.locator("h2").inner_text() == "w[123, 45]"
    assert "value" not in panel.locator("dl").inner_text()
    code = panel.locator("code").inner_text()
    assert code == f"rnn.show(loss, focus=[{rnn.inspect.node(w, 123, 45).id}])"
    page = opened(eval(code))
    panel = page.locator(".panel")
    assert panel.locator("h2").inner_text() == "w[123, 45]"
    total = numbers(panel.locator(".ledger tbody tr").last.inner_text())
    assert total == [pytest.approx(float(w.grad[123, 45]), rel=1e-3)]


def test_a_search_without_a_match_says_what_can_be_found(opened: Any) -> None:
    page = opened(lecture())
    search, found = page.get_by_role("searchbox"), page.locator(".found")
    search.fill("nothing like it")
    assert "0 matches: names, operations, modules" in found.inner_text()
    search.fill("#999999999999")
    assert "is not in this graph, whose nodes are #" in found.inner_text()
    search.press("Enter")
    search.press("ArrowDown")
    assert page.locator(".panel").is_hidden()


def test_what_is_in_focus_is_what_the_page_opens_at(opened: Any) -> None:
    v, x = many_values()
    page = opened(rnn.show(v, focus=[x]))
    wait_until(page, f"{DRAWING}.selected !== null")
    assert page.locator(".panel h2").inner_text() == "x"
    assert box(page, "x").is_visible()


@pytest.mark.parametrize("width", [380, 700, 1240, 1920])
def test_panel_and_drawing_stand_beside_each_other_on_any_page(opened: Any, width: int) -> None:
    page = opened(lecture(), viewport={"width": width, "height": 700})
    box(page, "a").click()
    panel = page.locator(".panel").bounding_box()
    for name in "abcdefL":
        shown = box(page, name).locator(".card").bounding_box()
        assert shown["x"] >= 0 and shown["x"] + shown["width"] <= width
        beside = shown["x"] + shown["width"] <= panel["x"]
        assert beside or shown["y"] + shown["height"] <= panel["y"]
    page.locator("input[type=range]").fill("3")
    said = page.locator(".said").bounding_box()
    assert said["width"] > 150 and said["x"] + said["width"] <= width


def test_the_drawing_cannot_be_lost(opened: Any) -> None:
    page = opened(lecture())
    page.mouse.move(700, 600)
    page.mouse.down()
    page.mouse.move(5_000, 5_000, steps=3)
    page.mouse.up()
    shown = box(page, "a").locator(".card").bounding_box()
    assert shown["x"] < 1_400 and shown["y"] < 800
    for key, limit in (("+", 6), ("-", 0.02)):
        for _ in range(60):
            page.locator(".stage").press(key)
        assert page.evaluate(f"{DRAWING}.k") == pytest.approx(limit)
    page.get_by_role("button", name="Fit to the page").click()
    assert box(page, "a").is_visible()


def texts_overlap(page: Any) -> list[list[str]]:
    """Texts of one box that lie upon each other, or reach out of it."""
    return page.evaluate("""() => {
      const root = document.querySelector('[data-rnn-drawing]').shadowRoot, found = [];
      for (const box of root.querySelectorAll('.box')) {
        const card = box.querySelector(':scope > .card');
        if (!card) continue;
        const edge = card.getBoundingClientRect();
        const texts = [...box.querySelectorAll('text:not(.glyph)')].map(
          (t) => [t.textContent, t.getBoundingClientRect()]);
        for (const [words, r] of texts) {
          if (r.left < edge.left - 0.5 || r.right > edge.right + 0.5) found.push([words, 'out']);
          for (const [other, q] of texts)
            if (r !== q && r.left < q.left && r.right > q.left + 1 && Math.abs(r.top - q.top) < 4)
              found.push([words, other]);
        }
      }
      return found;
    }""")


def odd_graph() -> Any:
    long = Value(-1.2345e-30, label="a_name_that_is_much_longer_than_any_box_can_ever_show_at_once")
    wide = Value(-123456.789, label="WWWWWWWWWWWWWWWWWWWWWWWW")
    nan = Value(float("nan"), label="<b>&amp;</b>" * 8)
    a, b = long * wide, wide * Value(1.5e300)
    y = (a + b * nan) * Value(float("-inf"), label="x")
    y.backward()
    return rnn.show(y)


def test_texts_keep_within_their_boxes(opened: Any) -> None:
    rnn.manual_seed(0)
    t = rnn.randn(4, 5, requires_grad=True) * rnn.tensor([1.0, 1e-30, -1e20, 1e-5, -100.0])
    loss = (t.softmax(-1) * -1e-7).sum().tanh()
    loss.backward(retain_graph=True)
    for drawing in (lecture(), odd_graph(), rnn.show(loss), rnn.show(many_values()[0])):
        page = opened(drawing)
        wait_until(page, f"{DRAWING}.fitted !== undefined")
        assert texts_overlap(page) == []


def test_an_empty_tensor_and_thousands_of_edges_between_two_boxes(opened: Any) -> None:
    v = Value(2.0)
    loss = rnn.tensor([v] * 3_000).sum() + rnn.zeros(0, 3, requires_grad=True).sum()
    loss.backward(retain_graph=True)
    page = opened(rnn.show(loss))
    assert page.locator(".wires .wire").count() < 8
    box(page, "v").click()
    assert numbers(page.locator(".ledger tbody tr").last.inner_text()) == [3_000]
    page.locator('.box[aria-label*="shape 0 by 3"]').locator(".title").click()
    assert "It has no elements" in page.locator(".panel").inner_text()
    assert "null" not in page.locator(".panel").inner_text()


def test_a_drawing_follows_the_size_of_its_page(opened: Any) -> None:
    page = opened(lecture())
    before = page.evaluate(f"{DRAWING}.k")
    for size in ((700, 800), (1400, 240), (1400, 800)):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        wait_until(page, f"{DRAWING}.lastSize.startsWith('{size[0]} ')")
        page.wait_for_timeout(100)
        for name in "abL":
            shown = box(page, name).locator(".card").bounding_box()
            assert shown["x"] > 0 and shown["x"] + shown["width"] < size[0]
            assert shown["y"] > 0 and shown["y"] + shown["height"] < size[1] - 40
    assert page.evaluate(f"{DRAWING}.k") == pytest.approx(before)

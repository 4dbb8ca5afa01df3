"""The README's pictures, taken in a headless chromium of pages that rnn.show wrote.

pip install playwright pillow
python examples/pictures/make.py     # writes lecture.png and gpt2.png
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from microscope import gpt2
from PIL import Image
from playwright.sync_api import sync_playwright

import rnn
from rnn import Value

HERE = Path(__file__).resolve().parent


def lecture(folder: Path) -> Path:
    a, b, c, f = Value(2.0), Value(-3.0), Value(10.0), Value(-2.0)
    e = a * b
    d = e + c
    L = d * f
    L.backward()
    return rnn.show(L).save(folder / "lecture.html")


def photograph(browser: Any, path: Path, dark: bool, size: tuple[int, int], act: Any) -> None:
    page = browser.new_page(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        device_scale_factor=1.25,
    )
    page.goto(path.as_uri())
    page.wait_for_timeout(300)
    act(page)
    page.wait_for_timeout(200)
    picture = Image.open(io.BytesIO(page.screenshot()))
    colours = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    colours.save(HERE / path.with_suffix(".png").name, optimize=True)
    page.close()


def select_a(page: Any) -> None:
    page.locator('.box[aria-label^="a, "]').click()
    page.mouse.move(5, 300)


def open_block(page: Any) -> None:
    drawing = "document.querySelector('[data-rnn-drawing]').rnnDrawing"
    page.evaluate(f"""() => {{
        const d = {drawing};
        for (const m of d.data.tree.members) if (m.id) d.state.open.delete(m.id);
        const block = d.data.tree.members.find((m) => m.name === "h.0");
        d.state.open.add(block.id);
        d.state.down = true;
        d.reveal({{id: d.data.focus[0]}});
        const shown = d.byKey.get("g" + block.id);
        d.k = Math.min(0.62, (d.size().height - 40) / (shown.y + shown.h));
        d.x = 480 - (shown.x + shown.w / 2) * d.k;
        d.y = 20;
        d.place();
    }}""")


def main() -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as p:
        folder = Path(name)
        browser = p.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        photograph(browser, lecture(folder), False, (1240, 440), select_a)
        gpt2(folder)
        photograph(browser, folder / "gpt2.html", True, (1120, 960), open_block)
        browser.close()


if __name__ == "__main__":
    main()

"""A page in headless Chromium, with all that it says and asks for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request

WIDE, NARROW = 1440, 390
HEIGHT = 900
# As `allocsearch.report.figures.theme` has them.
_INK = {"light": "#1b1f24", "dark": "#e6e8ea"}
_DRAWN = """ink => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  return [...document.querySelectorAll(".plot")].every(plot =>
    plot.layout?.template.layout.font.color === (dark ? ink.dark : ink.light) &&
    [plot._fullLayout, plot.querySelector(".main-svg").getBoundingClientRect()].every(size =>
      Math.abs(size.width - plot.clientWidth) < 2));
}"""
_LOCAL = ("file:", "data:", "blob:")
# What Chromium says of plotly's use of WebGL and of canvases, which nobody can mend here.
_OF_CHROMIUM = ("GL Driver Message", "willReadFrequently")
_LAYOUT = (Path(__file__).parent / "layout.js").read_text()
_SCREENSHOTS = os.environ.get("ALLOCSEARCH_SCREENSHOTS")
_PAINTED = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


@dataclass
class Visit:
    """An open page.

    Attributes:
        page: The tab.
        said: Errors and warnings in its console, and exceptions.
        asked: Addresses that it asked for outside of what is allowed.
    """

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def layout(self) -> dict[str, Any]:
        """What `layout.js` finds."""
        return self.page.evaluate(_LAYOUT)

    def look(self, scheme: str) -> None:
        """Change to the light or the dark scheme, and wait until all figures have it."""
        self.page.emulate_media(color_scheme=scheme)
        self.wait_until_drawn()

    def resize(self, width: int) -> None:
        """Make the window so many pixels wide, and wait until all figures fit it."""
        self.page.set_viewport_size({"width": width, "height": HEIGHT})
        self.wait_until_drawn()

    def wait_until_drawn(self) -> None:
        """Wait until all figures have the colours of the scheme and the size of their place."""
        self.page.wait_for_function(_DRAWN, arg=_INK)
        # Plotly moves margins, and what is in them, in the frames after the first.
        self.page.evaluate(_PAINTED)

    def save(self, name: str) -> None:
        """Keep a picture of the whole page, where a folder is named that people look into."""
        if _SCREENSHOTS is None:
            return
        folder = Path(_SCREENSHOTS)
        folder.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=folder / f"{name}.png", full_page=True)


@contextmanager
def visit(
    browser: Browser,
    address: str,
    width: int = WIDE,
    scheme: str = "light",
    allowed: tuple[str, ...] = _LOCAL,
) -> Iterator[Visit]:
    """Open a page.

    Args:
        browser: In which.
        address: Its URL.
        width: Of the window, in pixels.
        scheme: What the system of the reader prefers, `light` or `dark`.
        allowed: How the addresses begin that it may ask for.
    """
    context = browser.new_context(
        viewport={"width": width, "height": HEIGHT},
        color_scheme=scheme,
        permissions=["clipboard-read", "clipboard-write"],
    )
    # Slow machines are slow, not wrong.
    context.set_default_timeout(240_000)
    found = Visit(context.new_page())

    def hear(message: ConsoleMessage) -> None:
        known = any(part in message.text for part in _OF_CHROMIUM)
        if message.type in ("error", "warning") and not known:
            found.said.append(f"{message.type}: {message.text}")

    def note(request: Request) -> None:
        if not request.url.startswith(allowed):
            found.asked.append(request.url)

    found.page.on("console", hear)
    found.page.on("pageerror", lambda error: found.said.append(f"exception: {error}"))
    found.page.on("request", note)
    found.page.goto(address)
    try:
        yield found
    finally:
        context.close()

"""How long a page takes in a headless Chromium until it can be used."""

from __future__ import annotations

import asyncio
import base64
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from choreographer import Browser

_PAINTED = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
_DRAWN = """
(async () => {
  const left = () => document.querySelectorAll(".plot:not(.js-plotly-plot)").length;
  while (left()) await new Promise(resume => setTimeout(resume, 20));
})()
"""
_ELEMENTS = 'document.getElementsByTagName("*").length'


@dataclass(frozen=True)
class PageLoad:
    """What opening a page took.

    Attributes:
        readable: Seconds of the main thread's processor time until the page was painted first.
        drawn: The same until all figures were drawn and painted.
        wall: Seconds of the clock until then, the start of the browser not included.
        elements: Elements of the document then.
        errors: What the page's scripts raised.
    """

    readable: float
    drawn: float
    wall: float
    elements: int
    errors: tuple[str, ...]


def load_page(page: Path, screenshot: Path | None = None) -> PageLoad:
    """Open a page in a window of 1,280 x 900 pixels, and save a picture of it where wanted."""
    return asyncio.run(_load(page, screenshot))


async def _load(page: Path, screenshot: Path | None) -> PageLoad:
    async with Browser(headless=True) as browser:
        tab = await browser.create_tab("about:blank", width=1280, height=900, window=True)

        async def send(command: str, **params: object) -> Any:  # noqa: ANN401
            return (await tab.send_command(command, params=params))["result"]

        async def value(expression: str) -> Any:  # noqa: ANN401
            found = await send(
                "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
            )
            return found["result"].get("value")

        async def used() -> float:
            found = await send("Performance.getMetrics")
            return next(m["value"] for m in found["metrics"] if m["name"] == "TaskDuration")

        errors: list[str] = []

        async def note(message: Any) -> None:  # noqa: ANN401
            errors.append(message["params"]["exceptionDetails"]["text"])

        tab.subscribe("Runtime.exceptionThrown", note)
        await send("Runtime.enable")
        await send("Page.enable")
        await send("Performance.enable", timeDomain="threadTicks")
        start, loaded = time.perf_counter(), tab.subscribe_once("Page.loadEventFired")
        await send("Page.navigate", url=page.resolve().as_uri())
        await loaded
        await value(_PAINTED)
        readable = await used()
        await value(_DRAWN)
        await value(_PAINTED)
        drawn, wall = await used(), time.perf_counter() - start
        elements = await value(_ELEMENTS)
        if screenshot is not None:
            picture = await send("Page.captureScreenshot", format="png")
            screenshot.write_bytes(base64.b64decode(picture["data"]))
    return PageLoad(readable, drawn, wall, elements, tuple(errors))

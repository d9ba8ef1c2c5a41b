"""The figures of the page as image files, each beside the table that it is drawn from."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from allocsearch.config import InputError
from allocsearch.report.figures import theme
from allocsearch.report.figures.image_format import ImageFormat
from allocsearch.report.panels.panel import Panel

FIGURES_NAME = "figures"

# In pixels of the layout; a PNG has twice as many each way.
_SIZE, _WIDE = (700, 440), (1000, 600)


def check_browser() -> None:
    """Draw nothing with kaleido and its browser, before anything that takes long.

    Raises:
        InputError: If kaleido or a browser for it is missing; it says what to install.
        RuntimeError: If the browser fails.
    """
    _render([])


def write_figures(
    panels: Sequence[Panel], folder: Path, formats: Sequence[ImageFormat]
) -> tuple[Path, ...]:
    """Write `figures/NAME.FORMAT` and `figures/NAME.csv` for each figure into the run folder.

    A name is that of the panel, so that it stays the same from report to report. All files are
    made before the first one takes its place; one of the same name is replaced.

    Args:
        panels: The figures.
        folder: The run folder.
        formats: One or more.

    Returns:
        The paths, in the order of the panels.

    Raises:
        InputError: If kaleido or a browser for it is missing; it says what to install.
        RuntimeError: If the browser fails.
    """
    wanted = [*dict.fromkeys(formats)]
    named = list(zip(_names(panels), panels, strict=True))
    with _waiting_room(folder) as room:
        tables = {name: _table(panel) for name, panel in named}
        for name, table in tables.items():
            if table is not None:
                table.to_csv(room / f"{name}.csv", index=False, lineterminator="\n")
        _render(
            [
                _image(panel, room / f"{name}.{each}", each)
                for name, panel in named
                for each in wanted
            ]
        )
        target = folder / FIGURES_NAME
        target.mkdir(parents=True, exist_ok=True)
        paths = []
        for name, table in tables.items():
            for ending in [*wanted, *([] if table is None else ["csv"])]:
                path = target / f"{name}.{ending}"
                os.replace(room / path.name, path)
                paths.append(path)
    return tuple(paths)


def _names(panels: Sequence[Panel]) -> Iterator[str]:
    """The name of each panel, with a number where another one has it already."""
    taken: set[str] = set()
    for panel in panels:
        names = chain([panel.name], (f"{panel.name}-{i}" for i in count(2)))
        # A set of data can be called as the second one of a name.
        name = next(name for name in names if name not in taken)
        taken.add(name)
        yield name


def _table(panel: Panel) -> pd.DataFrame | None:
    if panel.frame is not None:
        return panel.frame
    return None if panel.data is None else pd.DataFrame(panel.data.rows, columns=panel.data.header)


@contextmanager
def _waiting_room(folder: Path) -> Iterator[Path]:
    """A folder beside the place of the files, which is gone in the end."""
    folder.mkdir(parents=True, exist_ok=True)
    room = Path(tempfile.mkdtemp(dir=folder, prefix=f".{FIGURES_NAME}."))
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _image(panel: Panel, path: Path, ending: ImageFormat) -> dict[str, Any]:
    """What kaleido makes one file of."""
    # On the page the background is that of the page.
    figure = go.Figure(panel.figure).update_layout(paper_bgcolor=theme.PAPER)
    width, height = _WIDE if panel.wide else _SIZE
    scale = 2 if ending is ImageFormat.PNG else 1
    opts = {"format": ending.value, "width": width, "height": height, "scale": scale}
    return {"fig": figure.to_dict(), "path": path, "opts": opts}


def _render(images: Sequence[dict[str, Any]]) -> None:
    """Write all images by one browser.

    Raises:
        InputError: If kaleido or the browser is missing.
        RuntimeError: If the browser fails.
    """
    try:
        import kaleido
        from kaleido.errors import ChromeNotFoundError
    except ImportError:
        raise InputError("--figures: needs kaleido; pip install 'allocsearch[figures]'") from None
    try:
        # No figure has formulas, whose fonts would be asked from the network.
        kaleido.write_fig_from_object_sync(images, kopts={"mathjax": False})
    except ChromeNotFoundError:
        raise InputError(
            "--figures: needs Chrome or Chromium; apt-get install chromium, or plotly_get_chrome, "
            "or name one in BROWSER_PATH"
        ) from None
    # Kaleido and its browser fail in many ways, and not all of their errors have a common base.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise RuntimeError(f"--figures: the browser failed: {reason}") from error
    for image in images:
        if not image["path"].is_file():
            raise RuntimeError(f"--figures: the browser left out {image['path'].name}")

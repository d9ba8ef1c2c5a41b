from __future__ import annotations

import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import kaleido
import pandas as pd
import plotly.graph_objects as go
import pytest
from PIL import Image

from allocsearch.config import InputError
from allocsearch.report.figures.image_format import ImageFormat
from allocsearch.report.panels.figure_files import check_browser, write_figures
from allocsearch.report.panels.report_panels import panels

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PNG, SVG, PDF = ImageFormat.PNG, ImageFormat.SVG, ImageFormat.PDF


@pytest.fixture
def figures(study):
    study.folder.mkdir(parents=True)
    return panels(study)[0]


def _files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_every_figure_has_a_name_and_numbers_of_its_own(replicated):
    made = panels(replicated)[0]
    assert len({panel.name for panel in made}) == len(made) > 8
    for panel in made:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", panel.name)
        assert panel.frame is not None or panel.data is not None
    assert panels(replicated)[0][0].name == "front-attenuation-against-retention"


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (apt-get install chromium)")
def test_images_and_tables_of_figures(study, figures):
    first = figures[0]
    paths = write_figures([first, replace(first, wide=True)], study.folder, [SVG, PNG, SVG, PDF])
    folder = study.folder / "figures"
    endings = ("svg", "png", "pdf", "csv")
    names = (first.name, f"{first.name}-2")
    assert [*paths] == [folder / f"{name}.{ending}" for name in names for ending in endings]
    assert sorted(study.folder.rglob("*")) == sorted([folder, *paths])
    assert "attenuation, lower is better" in (folder / f"{first.name}.svg").read_text()
    with Image.open(folder / f"{first.name}.png") as image:
        assert image.size == (1400, 880)
        assert image.convert("RGB").getpixel((2, 2)) == (255, 255, 255)
        assert len(image.convert("RGB").getcolors(1 << 20)) > 50
    with Image.open(folder / f"{first.name}-2.png") as image:
        assert image.size == (2000, 1200)
    assert (folder / f"{first.name}.pdf").read_bytes().startswith(b"%PDF")
    table = pd.read_csv(folder / f"{first.name}.csv")
    drawn = {x for trace in first.figure.data if trace.name != "edge" for x in trace.x}
    assert {*table["retention"]} >= drawn
    assert [*table["number"]] == [trial.number for trial in study.complete]


def test_sets_of_like_names_have_a_file_each(study, figures, monkeypatch):
    def write(images, kopts):
        for image in images:
            image["path"].write_text(image["fig"]["layout"]["title"]["text"])

    monkeypatch.setattr(kaleido, "write_fig_from_object_sync", write)
    titles = ["digits", "digits!", "digits 2", "Digits", "digits-2"]
    made = [
        replace(figures[0], title=title, figure=go.Figure(layout={"title": {"text": title}}))
        for title in titles
    ]
    images = [path for path in write_figures(made, study.folder, [SVG]) if path.suffix == ".svg"]
    assert [path.read_text() for path in images] == titles


def _without_module(monkeypatch):
    monkeypatch.setitem(sys.modules, "kaleido", None)


def _without_browser(monkeypatch):
    monkeypatch.setenv("BROWSER_PATH", "/no/such/browser")


def _broken(monkeypatch):
    def fail(images, kopts):
        images[0]["path"].write_bytes(b"half an ima")
        raise OSError("the browser died\nat line 3")

    monkeypatch.setattr(kaleido, "write_fig_from_object_sync", fail)


def _forgetful(monkeypatch):
    def forget(images, kopts):
        for image in images[1:]:
            image["path"].write_bytes(b"an image")

    monkeypatch.setattr(kaleido, "write_fig_from_object_sync", forget)


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (_without_module, InputError, r"needs kaleido; pip install 'allocsearch\[figures\]'"),
        (_without_browser, InputError, "needs Chrome or Chromium; apt-get install chromium"),
        (_broken, RuntimeError, "the browser failed: the browser died$"),
        (_forgetful, RuntimeError, "the browser left out front-.*svg"),
    ],
)
def test_what_fails_is_one_line_and_leaves_what_was_there(
    study, figures, monkeypatch, spoil, error, words
):
    old = study.folder / "figures" / f"{figures[0].name}.svg"
    old.parent.mkdir()
    old.write_text("old")
    before = _files(study.folder)
    spoil(monkeypatch)
    with pytest.raises(error, match=words) as caught:
        write_figures(figures[:2], study.folder, [SVG])
    assert "\n" not in str(caught.value)
    assert _files(study.folder) == before
    if error is InputError:
        with pytest.raises(InputError, match=words):
            check_browser()
    assert [path.name for path in study.folder.iterdir()] == ["figures"]

"""The dashboard of a study that goes on, as a browser shows it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from visits import NARROW, WIDE, Visit, visit

from allocsearch.config import load
from allocsearch.search.storage import open_study

COMMAND = Path(sys.executable).with_name("allocsearch")


@pytest.fixture
def study(tmp_path, write_study, end_trial):
    sections = {
        "study": {"name": "live", "objectives": ["max:bottom", "max:top"], "trials": 9},
        "trainer": {"kind": "callable", "function": "own:train"},
    }
    folder = tmp_path / "runs" / "live"
    folder.mkdir(parents=True)
    config = load(write_study(tmp_path / "live.toml", **sections))
    (folder / "study.toml").write_text(config.to_toml())
    found = open_study(config, folder, create=True)
    end_trial(found, 0, (9, 3))
    end_trial(found, 1, (4, 8))
    return found


@pytest.fixture
def address(study, tmp_path):
    """Where the command serves the study."""
    process = subprocess.Popen(
        [COMMAND, "dashboard", "runs/live", "--port", "0"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process.stdout.readline().split()[0]
    process.kill()
    process.communicate()


def front(opened: Visit):
    """The plot of the front that is ours."""
    title = opened.page.locator(".gtitle", has_text="Top against bottom")
    return opened.page.locator(".js-plotly-plot", has=title)


def test_trials_and_our_plots_appear_while_it_is_open(study, address, browser, end_trial):
    from playwright.sync_api import expect

    patience = 240_000
    origin = address.partition("/dashboard")[0]
    allowed = (origin, "data:", "blob:")
    with (
        visit(browser, address, WIDE, "light", allowed) as wide,
        visit(browser, address, NARROW, "dark", allowed) as narrow,
    ):
        both = {"1440-light": wide, "390-dark": narrow}
        for opened in both.values():
            expect(front(opened).locator("path.point")).to_have_count(2, timeout=patience)
        # The page asks for news by itself.
        end_trial(study, 2, (6, 6))
        for name, opened in both.items():
            expect(front(opened).locator("path.point")).to_have_count(3, timeout=patience)
            # Dark ink on white paper, on a dark page, too.
            expect(front(opened).locator(".gtitle")).to_have_css("fill", "rgb(27, 31, 36)")
            paper = front(opened).locator(".main-svg").first
            expect(paper).to_have_css("background-color", "rgb(255, 255, 255)")
            opened.save(f"dashboard-{name}")
        for name, opened in both.items():
            opened.page.goto(f"{address}/trials")
            opened.page.get_by_role("button", name="Trial 2").click()
            note = opened.page.get_by_text("6-6, ratio 1.00, on the front")
            expect(note).to_be_visible(timeout=patience)
            opened.save(f"dashboard-trials-{name}")
            # Chromium says there which requests have failed.
            assert (opened.said, opened.asked) == ([], [])

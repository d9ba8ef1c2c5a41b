"""Debian's Chromium, and pages for it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from invented_studies import study, study_config, with_files

from allocsearch.report.page import write_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


# Of a module, not of the session: while it is open no other test can run an event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium, driven by Playwright."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="needs playwright (pip install -e '.[test]')"
    )
    if CHROMIUM is None:
        pytest.skip("needs chromium (apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=CHROMIUM,
            # WebGL by the processor, as there is no other here.
            args=["--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader"],
        )
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def studies(tmp_path_factory) -> Mapping[str, object]:
    """Studies by what is special about them."""
    root = tmp_path_factory.mktemp("runs")
    rungs = {"mode": "auto", "rungs": [0.25, 0.5], "schedule": "full"}
    return {
        "whole": with_files(
            study(
                root / "whole",
                study_config(early_stopping=rungs),
                complete=30,
                again=8,
                failed=2,
                others=("interrupted", "pruned", "running"),
            )
        ),
        "empty": study(root / "empty", study_config()),
        "failed": study(root / "failed", study_config(), failed=3),
        "one-objective": study(
            root / "one-objective",
            study_config(study={"objectives": ["max:auroc"]}, search_space={"layers": 2}),
            complete=12,
            failed=1,
        ),
        "no-ood": study(
            root / "no-ood",
            study_config(
                study={"objectives": ["max:retention", "min:attenuation"]},
                data={"ood_validation": []},
            ),
            complete=12,
        ),
        "many": study(
            root / "many",
            study_config(study={"trials": 10_000}, search_space={"budget": 64, "layers": 4}),
            complete=9_700,
            failed=300,
        ),
    }


@pytest.fixture(scope="session")
def page_of(studies, finished_run):
    """The report of one of the studies, or of one that was run."""
    written: dict[str, Path] = {"run": finished_run.folder / "report.html"}

    def page(name: str) -> Path:
        if name not in written:
            studies[name].folder.mkdir(parents=True, exist_ok=True)
            written[name] = write_page(studies[name])
        return written[name]

    return page

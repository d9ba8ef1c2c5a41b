"""Debian's Chromium, and pages for it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from invented_studies import study, study_config, with_files

from allocsearch.report.page import write_page
from allocsearch.search.records import StudyRecord

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


class Studies(Mapping[str, StudyRecord]):
    """Studies by what is special about them, each made when it is asked for."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: dict[str, StudyRecord] = {}

    def __getitem__(self, name: str) -> StudyRecord:
        if name not in self._made:
            self._made[name] = _STUDIES[name](self._root / name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_STUDIES)

    def __len__(self) -> int:
        return len(_STUDIES)


def _whole(folder: Path) -> StudyRecord:
    rungs = {"mode": "auto", "rungs": [0.25, 0.5], "schedule": "full"}
    others = ("interrupted", "pruned", "running")
    config = study_config(early_stopping=rungs)
    return with_files(study(folder, config, complete=30, again=8, failed=2, others=others))


def _one_objective(folder: Path) -> StudyRecord:
    config = study_config(study={"objectives": ["max:auroc"]}, search_space={"layers": 2})
    return study(folder, config, complete=12, failed=1)


def _no_ood(folder: Path) -> StudyRecord:
    objectives = ["max:retention", "min:attenuation"]
    config = study_config(study={"objectives": objectives}, data={"ood_validation": []})
    return study(folder, config, complete=12)


def _many(folder: Path) -> StudyRecord:
    config = study_config(study={"trials": 10_000}, search_space={"budget": 64, "layers": 4})
    return study(folder, config, complete=9_700, failed=300)


_STUDIES: Mapping[str, Callable[[Path], StudyRecord]] = {
    "whole": _whole,
    "empty": lambda folder: study(folder, study_config()),
    "failed": lambda folder: study(folder, study_config(), failed=3),
    "one-objective": _one_objective,
    "no-ood": _no_ood,
    "many": _many,
}


@pytest.fixture(scope="session")
def studies(tmp_path_factory) -> Studies:
    return Studies(tmp_path_factory.mktemp("runs"))


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

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from allocsearch.report.page import write_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="needs chromium (apt-get install chromium)"
)


def rendered(page: Path, profile: Path) -> tuple[str, str]:
    """The page's DOM after its scripts ran, and what the browser logged."""
    command = [
        str(CHROMIUM),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={profile}",
        "--enable-logging=stderr",
        "--virtual-time-budget=20000",
        "--dump-dom",
        page.as_uri(),
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
        env={**os.environ, "HOME": str(profile)},
    )
    return done.stdout, done.stderr


def test_the_page_draws_its_figures_in_a_browser_without_errors(study, tmp_path):
    page = write_page(study)
    dom, log = rendered(page, tmp_path / "profile")
    assert len(re.findall(r'class="main-svg"', dom)) >= 6
    errors = [line for line in log.splitlines() if "CONSOLE" in line and "rror" in line]
    assert not errors

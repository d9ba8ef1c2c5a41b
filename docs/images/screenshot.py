"""Make report.png, the picture of a report in README and docs.

It runs the quickstart study with a third of its trials for replicates, so that means have
intervals (or goes on with it, or finds it finished), and has Chromium draw the first screen.

Run: python docs/images/screenshot.py
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]
PICTURE = Path(__file__).with_name("report.png")
RUN = ROOT / "runs" / "report-picture"
CHANGES = ("study.name=report-picture", "study.trials=36", "study.replicate_share=0.34")
WIDTH, HEIGHT = 1280, 1500
COLOURS = 128


def main() -> None:
    """Run the study, draw its report, and write the picture."""
    program = Path(sys.executable).with_name("allocsearch")
    changes = [word for change in CHANGES for word in ("--set", change)]
    run = [str(program), "run", "studies/quickstart.toml", *changes, "--workers", "2"]
    subprocess.run(run, cwd=ROOT, check=True)
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("no chromium here")
    look = ["--hide-scrollbars", "--blink-settings=preferredColorScheme=1"]
    shot = [f"--screenshot={PICTURE}", f"--window-size={WIDTH},{HEIGHT}"]
    look.append("--virtual-time-budget=20000")
    page = (RUN / "report.html").as_uri()
    draw = [browser, "--headless=new", "--no-sandbox", *look, *shot, page]
    subprocess.run(draw, check=True, capture_output=True)
    with Image.open(PICTURE) as full:
        few = full.convert("RGB").quantize(COLOURS)
    few.save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()

"""How long `allocsearch report` takes, and how large its page is.

Invented studies (`invented_trials`) of three layers without rungs in SQLite. Processor time
and wall time are of the whole command, Python's start included. Prints a Markdown table.

Run: python benchmarks/report_time.py
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from invented_trials import invented_config, invented_study

from allocsearch.report.page import REPORT_NAME


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[24, 1000, 10_000])
    print("| trials | processor, s | wall, s | page, MB |\n|---|---|---|---|")
    for size in parser.parse_args().sizes:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "study"
            folder.mkdir()
            # Its early stopping is off: a replay of many trials takes a time of its own.
            config = invented_config(size, 3, None, "study", "off")
            invented_study(config, size, folder)
            wall, before = time.perf_counter(), os.times()
            program = "from allocsearch.cli import main; main()"
            command = [sys.executable, "-c", program, "report", str(folder)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            wall, after = time.perf_counter() - wall, os.times()
            used = after.children_user + after.children_system
            used -= before.children_user + before.children_system
            pages = (folder / REPORT_NAME).stat().st_size / 1e6
            print(f"| {size:,} | {used:.1f} | {wall:.1f} | {pages:.1f} |", flush=True)


if __name__ == "__main__":
    main()

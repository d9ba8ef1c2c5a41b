"""What a study costs beside its trainings when it has thousands of finished trials.

Invented studies (`invented_trials`) of two sizes are asked for trials, told their results, and
reported, as a run does it. Times are processor times, so that other load of the machine does not
count; of a database server, whose work is in other processes, the wall time stands beside them.
The unit of the last column is a product of two 1,000 x 1,000 matrices on this machine. The page
is opened in a headless Chromium, whose main thread counts. Prints a Markdown table.

Run: python benchmarks/many_trials.py [--storage postgresql+psycopg://user@host/database]
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from invented_trials import invented_config, invented_metrics, invented_study
from page_load import load_page

from allocsearch.config import StudyConfig
from allocsearch.report.page import REPORT_NAME
from allocsearch.search.slots import claim
from allocsearch.search.storage import open_study
from allocsearch.search.trainer import Hooks, Result, Task
from allocsearch.search.worker import run_trials
from allocsearch.spaces import build_space

_WORKER = "host:1:2.00"


@dataclass(frozen=True)
class Cost:
    """Seconds of work, of the processor and of the clock."""

    processor: float
    wall: float


Costs = dict[str, list[Cost]]


class InstantTrainer:
    """Invents the result of a training."""

    together = 1

    def run(self, tasks: Sequence[Task], hooks: Hooks) -> Iterator[tuple[int, Result | Exception]]:
        """One result for each task."""
        for i, task in enumerate(tasks):
            metrics = invented_metrics(task.allocation, random.Random(task.seed))
            yield i, Result(metrics, "llr_1", provenance={"python": "3.11"})


@contextmanager
def timed(costs: Costs, what: str) -> Iterator[None]:
    """Add what the block costs, its ended child processes included."""
    wall, before = time.perf_counter(), _used()
    yield
    costs.setdefault(what, []).append(Cost(_used() - before, time.perf_counter() - wall))


def _used() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def product() -> float:
    """Seconds of a product of two 1,000 x 1,000 matrices of doubles, the median of 9."""
    a, b = np.random.default_rng(0).standard_normal((2, 1000, 1000))
    found = []
    for _ in range(9):
        start = time.process_time()
        a @ b
        found.append(time.process_time() - start)
    return median(found)


def measure(config: StudyConfig, finished: int, folder: Path, trials: int) -> Costs:
    """Costs by what is done, in a study with so many finished trials."""
    costs: Costs = {}
    invented_study(config, finished, folder)
    space = build_space(config.search_space)
    for sampler in ("random", "tpe", "lattice_gp"):
        section = config.study.model_copy(update={"sampler": sampler})
        own = config.model_copy(update={"study": section})
        study = open_study(config, folder)
        for turn in range(trials + 1):
            # A worker's first trial pays for reading the whole study.
            name = f"ask, {sampler}" if turn else "a worker's first ask, with its reading"
            with timed({} if not turn and sampler != "random" else costs, name):
                trial = claim(study, own, space, _WORKER)
                assert trial is not None
                allocation = space.suggest(trial)
            with timed(costs if turn else {}, "tell"):
                run_trials(
                    [(trial, allocation)], study, own, folder, InstantTrainer(), lambda: None
                )
    for command in ("status", "report"):
        with timed(costs, f"allocsearch {command}"):
            program = "from allocsearch.cli import main; main()"
            arguments = [sys.executable, "-c", program, command, str(folder)]
            subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
    return costs


def opened(costs: Costs, page: Path, rounds: int) -> str:
    """Add what opening a page costs; its size and elements in words."""
    for _ in range(rounds):
        found = load_page(page, page.with_suffix(".png"))
        if found.errors:
            raise RuntimeError(f"{page}: {found.errors}")
        costs.setdefault("page: text readable", []).append(Cost(found.readable, found.wall))
        costs.setdefault("page: all figures drawn", []).append(Cost(found.drawn, found.wall))
    return f"{page.stat().st_size / 1e6:.1f} MB, {found.elements:,} elements"


def _text(costs: Sequence[Cost], part: Callable[[Cost], float]) -> str:
    values = sorted(map(part, costs))
    if len(values) == 1:
        return f"{values[0]:.2f}"
    return f"{median(values):.2f} ({values[0]:.2f}-{values[-1]:.2f})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--storage", help="URL; without it SQLite in the run folder")
    parser.add_argument("--early-stopping", choices=("off", "auto"), default="off")
    parser.add_argument("--asks", type=int, default=3, help="trials asked for with each sampler")
    parser.add_argument("--loads", type=int, default=3, help="how often the page is opened")
    parser.add_argument("--keep", type=Path, help="folder for the runs; without it none is kept")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as temporary:
        found, pages = {}, {}
        for size in arguments.sizes:
            name = f"many-{size}-{os.getpid()}"
            waiting = 3 * (arguments.asks + 1)
            config = invented_config(
                size + waiting, arguments.layers, arguments.storage, name, arguments.early_stopping
            )
            folder = (arguments.keep or Path(temporary)) / name
            folder.mkdir(parents=True)
            found[size] = measure(config, size, folder, arguments.asks)
            pages[size] = opened(found[size], folder / REPORT_NAME, arguments.loads)
    unit = product()
    print(f"A product takes {1000 * unit:.1f} ms ({2 / unit:.0f} Gflop/s).\n")
    columns = [f"{size:,} trials, s | wall, s" for size in arguments.sizes]
    print(f"| | {' | '.join(columns)} | ratio | products |")
    print(f"|---|{'---|---|' * len(columns)}---|---|")
    first, last = found[arguments.sizes[0]], found[arguments.sizes[-1]]
    for what in last:
        cells = [
            _text(costs[what], part)
            for costs in found.values()
            for part in (lambda cost: cost.processor, lambda cost: cost.wall)
        ]
        least, most = (median(c.processor for c in costs[what]) for costs in (first, last))
        print(f"| {what} | {' | '.join(cells)} | {most / least:.1f} | {most / unit:,.0f} |")
    for size, text in pages.items():
        print(f"\nThe page of {size:,} trials has {text}.")


if __name__ == "__main__":
    main()

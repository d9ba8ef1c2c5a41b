"""Train every allocation of a lattice with several seeds, and measure it at rungs of the training.

The rows are what search strategies are compared on without training (benchmarks/search.py). Two
kinds of schedule: `full` measures one training at each rung, with KL warm-up and free bits by its
whole length; `own` trains anew for each rung, with the schedules by the rung's own length. Every
finished training is kept: a stopped run goes on where it was. No test set is opened.

Run: ALLOCSEARCH_DATA=... python benchmarks/lattices.py fashion_mnist --processes 2
     python benchmarks/lattices.py digits --processes 2
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import pandas as pd
import torch
from table_rows import append_rows

from allocsearch.allocation import Allocation, Lattice
from allocsearch.config import StudyConfig, load
from allocsearch.data.splits import SearchData, load_search_data
from allocsearch.metrics.evaluation import measure
from allocsearch.models.build import build_model
from allocsearch.models.hvae import HVAE
from allocsearch.search.objective import measurement_settings
from allocsearch.training.epoch import Epoch
from allocsearch.training.loop import train

ROOT = Path(__file__).resolve().parents[1]
TABLES = ROOT / "benchmarks" / "tables"
# Shares of the training.
RUNGS = (0.125, 0.25, 0.5, 1.0)
# The metrics of a row that are kept; of 60 and more, those that anyone searches for.
_KEPT = re.compile(
    r"elbo|retention|attenuation|auroc|(rate|information|active_units)_\d+"
    r"|auroc\.\w+\.(negative_elbo|llr_1|kl_1)"
)


@dataclass(frozen=True)
class Table:
    """What is tabulated: the whole lattice of a study, and what is changed in it."""

    study: str
    changes: tuple[str, ...]

    @property
    def lattice(self) -> Lattice:
        """The allocations."""
        [lattice] = self.config().search_space.lattices().values()
        return lattice

    def config(self, *more: str) -> StudyConfig:
        """The study with the changes."""
        return load(ROOT / "studies" / self.study, [*self.changes, *more])


# Epochs that have an eighth.
KINDS = {
    "fashion_mnist": Table(
        "fashion_mnist.toml",
        (
            "training.epochs=16",
            "data.validation_size=2000",
            "data.ood_test=[]",
            "search_space.step=8",
            "search_space.min_dim=8",
        ),
    ),
    "digits": Table(
        "quickstart.toml",
        (
            "training.epochs=96",
            "data.ood_test=[]",
            "search_space.budget=30",
            "search_space.layers=4",
            "search_space.step=3",
            "search_space.min_dim=3",
        ),
    ),
}


@dataclass(frozen=True)
class Job:
    """One training and the rungs that it is measured at, as shares of the whole one."""

    kind: str
    schedule: str
    allocation: str
    seed: int
    rungs: tuple[float, ...]


@cache
def prepared(kind: str) -> tuple[StudyConfig, SearchData]:
    """The study and its data; loaded once in each process."""
    torch.set_num_threads(1)
    config = KINDS[kind].config()
    return config, load_search_data(config.data)


def rows_of(job: Job) -> Iterator[dict[str, object]]:
    """Train and measure; one row for each rung.

    `seconds` is the time of the training up to the rung, `measuring` that of the measurement.
    """
    config, data = prepared(job.kind)
    whole = config.training.epochs
    if job.schedule == "own":
        (rung,) = job.rungs
        config = KINDS[job.kind].config(f"training.epochs={round(rung * whole)}")
    ends = {round(rung * whole): rung for rung in job.rungs}
    allocation = Allocation.parse(job.allocation)
    model = build_model(allocation, data.train.shape, config.model, job.seed)
    found: list[dict[str, object]] = []
    measured = 0.0
    start = time.perf_counter()

    def at_rung(epoch: Epoch, model: HVAE) -> None:
        nonlocal measured
        if epoch.epoch not in ends:
            return
        seconds = time.perf_counter() - start - measured
        model.eval()
        began = time.perf_counter()
        measurement = measure(model, data, measurement_settings(config.evaluation, job.seed))
        model.train()
        took = time.perf_counter() - began
        measured += took
        found.append(
            {
                "schedule": job.schedule,
                "allocation": job.allocation,
                "seed": job.seed,
                "rung": ends[epoch.epoch],
                "epochs": epoch.epoch,
                "seconds": round(seconds, 2),
                "measuring": round(took, 2),
                **{
                    name: float(f"{value:.6g}")
                    for name, value in measurement.metrics.items()
                    if _KEPT.fullmatch(name)
                },
            }
        )

    train(model, data.train.values, config.training, job.seed, partial(at_rung, model=model))
    yield from found


def run_job(job: Job, path: Path) -> None:
    """Append the rows of a job to the table once all of them are there."""
    append_rows(path, list(rows_of(job)))


def jobs(kind: str, seeds: int, own_seeds: int) -> list[Job]:
    """Every training of a table: full lengths first, seed by seed, then those of own length."""
    allocations = [str(allocation) for allocation in KINDS[kind].lattice]
    full = [Job(kind, "full", a, seed, RUNGS) for seed in range(seeds) for a in allocations]
    own = [
        Job(kind, "own", a, seed, (rung,))
        for seed in range(own_seeds)
        for rung in RUNGS[-2:0:-1]
        for a in allocations
    ]
    return full + own


def main() -> None:
    """Train what the table lacks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=list(KINDS))
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--own-seeds", type=int, default=1)
    arguments = parser.parse_args()
    path = TABLES / f"{arguments.kind}_lattice.csv"
    done = set()
    if path.exists():
        columns = pd.read_csv(path)[["schedule", "allocation", "seed", "rung"]]
        done = set(columns.itertuples(index=False, name=None))
    wanted = [
        job
        for job in jobs(arguments.kind, arguments.seeds, arguments.own_seeds)
        if (job.schedule, job.allocation, job.seed, job.rungs[-1]) not in done
    ]
    context = multiprocessing.get_context("spawn")
    with context.Pool(arguments.processes) as pool:
        for count, _ in enumerate(pool.imap(partial(run_job, path=path), wanted), 1):
            print(f"{count} of {len(wanted)} trainings", flush=True)


if __name__ == "__main__":
    main()

"""How often allocations are on the front that are called members with a probability.

A study of a table trains a random part of its allocations: half of the studies train each one to
three times, the others each once and then, one by one, the allocation whose membership is least
certain (`replication.least_certain`). The truth is the front of the table's means over its seeds.
What a training tells:

- `seeds`: a row of the table that this allocation has not told yet (three of three are the truth);
- `again`: any row of the table for this allocation, perhaps one that it has told before;
- `residuals`: the table's mean with the deviation of any row of the table from its mean, scaled
  so that it has the variance within allocations.

`smooth` is a made-up table: three smooth objectives and normal noise.

Run: python benchmarks/calibration.py --studies 200
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import moocore
import numpy as np
import pandas as pd
from lattices import TABLES
from numpy.typing import NDArray

from allocsearch.allocation import Allocation, Lattice
from allocsearch.config import StudySection
from allocsearch.search.records import TrialRecord
from allocsearch.search.sampling.front_probability import front_probability
from allocsearch.search.sampling.replicates import by_allocation, pooled_spread
from allocsearch.search.sampling.replication import least_certain
from allocsearch.search.sampling.surrogate import log_ratio_coordinates

OBJECTIVES = {"retention": -1.0, "attenuation": 1.0, "auroc": -1.0}
STUDY = StudySection(objectives=("min:a", "min:b", "min:c"), replicates=3)
# The last bin has what is certain, too.
BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.01)


@dataclass(frozen=True, eq=False)
class Trainings:
    """Losses of every training of a table: `(n, seeds, m)`."""

    allocations: tuple[Allocation, ...]
    losses: NDArray[np.float64]


def tabulated(name: str) -> Trainings:
    """The full trainings of the allocations of a table that have every seed."""
    rows = pd.read_csv(TABLES / f"{name}_lattice.csv")
    rows = rows[(rows["rung"] == 1.0) & (rows["schedule"] == "full")]
    groups = {Allocation.parse(text): group for text, group in rows.groupby("allocation")}
    seeds = rows["seed"].nunique()
    whole = [allocation for allocation, group in groups.items() if len(group) == seeds]
    signs = list(OBJECTIVES.values())
    values = [groups[allocation][list(OBJECTIVES)].to_numpy() * signs for allocation in whole]
    return Trainings(tuple(whole), np.array(values))


def smooth(seed: int) -> Trainings:
    """Sums of random waves over the log-ratio coordinates; noise is a fifth of their deviation."""
    rng = np.random.default_rng(seed)
    allocations = tuple(Lattice(88, 3, 8, 8))
    points = log_ratio_coordinates(allocations, 3)
    waves = points @ rng.normal(0, 0.5, (2, 30)) + rng.uniform(0, 2 * np.pi, 30)
    means = np.cos(waves) @ rng.normal(size=(30, 3))
    means /= means.std(axis=0)
    return Trainings(allocations, means[:, None] + 0.2 * rng.normal(size=(len(means), 3, 3)))


def told(
    table: Trainings, i: int, trials: Sequence[TrialRecord], how: str, rng: np.random.Generator
) -> NDArray[np.float64]:
    """What the next training of an allocation tells, `(m,)`."""
    own = table.losses[i]
    if how == "again":
        return own[rng.integers(len(own))]
    if how == "residuals":
        means = table.losses.mean(axis=1)
        deviations = (table.losses - means[:, None]).reshape(-1, own.shape[1])
        scale = np.sqrt(len(own) / (len(own) - 1))
        return means[i] + scale * deviations[rng.integers(len(deviations))]
    before = {t.values for t in trials if t.allocation == table.allocations[i]}
    left = [row for row in own if tuple(row) not in before]
    return left[rng.integers(len(left))]


def studied(
    table: Trainings, how: str, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Probabilities that one study finds with and without the regression, and the truth.

    Returns:
        `(n, 2)` and `(n,)`.
    """
    rng = np.random.default_rng(seed)
    n = len(table.allocations)
    chosen = rng.permutation(n)[: rng.integers(n // 3, n + 1)]
    trials: list[TrialRecord] = []

    def train(i: int) -> None:
        values = told(table, i, trials, how, rng)
        trials.append(
            TrialRecord(
                number=len(trials),
                state="complete",
                allocation=table.allocations[i],
                seed=len(trials),
                values=tuple(values),
            )
        )

    adaptive = seed % 2 == 1
    for i in chosen:
        for _ in range(1 if adaptive else rng.integers(1, 4)):
            train(i)
    if adaptive:
        place = {allocation: i for i, allocation in enumerate(table.allocations)}
        for number in range(len(chosen) // 3):
            given: dict[Allocation, set[int]] = {}
            for trial in trials:
                given.setdefault(trial.allocation, set()).add(trial.number)
            again = least_certain(trials, given, STUDY, number)
            if again is None:
                break
            train(place[again])
    groups = by_allocation(trials)
    spread = pooled_spread(groups)
    losses = np.array([group.mean for group in groups])
    counts = np.array([group.count for group in groups])
    known = [group.allocation for group in groups]
    found = [
        front_probability(losses, counts, spread, allocations, seed=seed)
        for allocations in (known, ())
    ]
    true = table.losses[chosen].mean(axis=1)
    return np.transpose(found), moocore.is_nondominated(true, keep_weakly=True)


def report(name: str, tables: Sequence[Trainings], how: str, studies: int) -> None:
    """Print the bins of one table."""
    every = [studied(tables[seed % len(tables)], how, seed) for seed in range(studies)]
    found = np.concatenate([each for each, _ in every])
    truth = np.concatenate([each for _, each in every])
    for column, method in enumerate(("regression", "flat prior")):
        cells = []
        for low, high in pairwise(BINS):
            inside = (found[:, column] >= low) & (found[:, column] < high)
            cells.append(
                f"{found[inside, column].mean():.2f} {truth[inside].mean():.2f} ({inside.sum()})"
            )
        brier = ((found[:, column] - truth) ** 2).mean()
        print(f"| {name} | {how} | {method} | {' | '.join(cells)} | {brier:.3f} |", flush=True)


def main() -> None:
    """Measure the tables that are there."""
    parser = argparse.ArgumentParser(description=__doc__)
    every = ["smooth", "digits", "fashion_mnist"]
    parser.add_argument("--tables", nargs="+", choices=every, default=every)
    parser.add_argument("--studies", type=int, default=200)
    arguments = parser.parse_args()
    print("Mean probability, share on the front and number of allocations, by probability.")
    print(
        "| table | trainings | draws | 0 to 0.2 | to 0.4 | to 0.6 | to 0.8 | to 1 | Brier score |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name in arguments.tables:
        made_up = name == "smooth"
        tables = [smooth(seed) for seed in range(20)] if made_up else [tabulated(name)]
        for how in ("seeds", "again", "residuals"):
            report(name, tables, how, arguments.studies)


if __name__ == "__main__":
    main()

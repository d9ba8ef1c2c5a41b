"""What the rungs of the tabulated trainings tell of their ends, and what they would have stopped.

Reads the tables that benchmarks/lattices.py makes and prints Markdown. Kendall's tau of each rung
with the end, over all allocations: of the same training, and of the mean of the other seeds, which
has no luck in common with it. The ends of two seeds with each other are the ceiling of the latter.
`full` are rungs of whole trainings, `own` are short trainings with their schedules by their own
length. The replay takes the trainings of a seed in random orders, as if a study had just run them.

Run: python benchmarks/rungs.py --tables benchmarks/tables
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from pathlib import Path

import moocore
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from allocsearch.allocation import Allocation
from allocsearch.config import EarlyStoppingSection, Objective, RungSchedule
from allocsearch.search.records import RungRecord, TrialRecord
from allocsearch.search.rungs.judging import calibrate
from allocsearch.search.rungs.rank_correlation import rank_correlation
from allocsearch.search.rungs.rung_cost import trial_cost
from allocsearch.search.rungs.rung_replay import replay
from allocsearch.search.sampling.losses import losses

TABLES = Path(__file__).resolve().parent / "tables"
OBJECTIVES = ("max:retention", "min:attenuation", "max:auroc")
SCHEDULES: tuple[RungSchedule, ...] = ("full", "own")
Objectives = Sequence[Objective]
# By seed: for each allocation a row with the metrics of the objectives.
Values = dict[int, pd.DataFrame]


def values(rows: pd.DataFrame, objectives: Objectives, schedule: str, rung: float) -> Values:
    """What every allocation was at a rung."""
    chosen = rows[(rows["schedule"] == schedule) & (rows["rung"] == rung)]
    metrics = [objective.metric for objective in objectives]
    return {
        int(seed): part.set_index("allocation")[metrics] for seed, part in chosen.groupby("seed")
    }


def taus(objectives: Objectives, first: pd.DataFrame, second: pd.DataFrame) -> list[float]:
    """Kendall's tau of each objective and of the non-domination rank, over shared allocations."""
    both = first.merge(second, left_index=True, right_index=True, suffixes=("_1", "_2"))
    pair = [both[[f"{o.metric}_{i}" for o in objectives]].to_numpy() for i in (1, 2)]
    columns = [*zip(*(side.T for side in pair), strict=True)]
    columns.append(tuple(moocore.pareto_rank(losses(side, objectives)) for side in pair))
    found = [rank_correlation(*column) for column in columns]
    return [np.nan if tau is None else tau.tau for tau in found]


def others(ends: Values, seed: int) -> pd.DataFrame | None:
    """The mean of the ends of the other seeds, over the allocations that all of them have."""
    frames = [frame for other, frame in ends.items() if other != seed]
    if not frames:
        return None
    joined = pd.concat(frames)
    counts = joined.groupby(level=0).size()
    means: pd.DataFrame = joined.groupby(level=0).mean()[counts == len(frames)]
    return means if len(means) > 1 else None


def line(name: str, found: Sequence[Sequence[float]]) -> str:
    """A row of the table: for each objective the tau of every seed, or of every two."""
    cells = [", ".join(f"{tau:.2f}" for tau in column) for column in zip(*found, strict=True)]
    return f"| {name} | " + " | ".join(cells) + " |"


def agreement_lines(rows: pd.DataFrame, objectives: Objectives) -> Iterator[str]:
    """How the rungs agree with the ends."""
    ends = values(rows, objectives, "full", 1.0)
    for schedule in SCHEDULES:
        for rung in sorted(rows.loc[rows["schedule"] == schedule, "rung"].unique()):
            seen = values(rows, objectives, schedule, rung)
            if rung == 1.0:
                continue
            same = [taus(objectives, seen[s], ends[s]) for s in seen if s in ends]
            yield line(f"{schedule}, rung {rung:g}, same seed", same)
            rest = [
                taus(objectives, seen[s], mean)
                for s in seen
                if (mean := others(ends, s)) is not None
            ]
            if rest:
                yield line(f"{schedule}, rung {rung:g}, mean of the other seeds", rest)
    pairs = [taus(objectives, ends[a], ends[b]) for a, b in combinations(ends, 2)]
    if pairs:
        yield line("end, another seed", pairs)
    rest = [taus(objectives, ends[s], mean) for s in ends if (mean := others(ends, s)) is not None]
    if len(ends) > 2:
        yield line("end, mean of the other seeds", rest)


def trials(
    rows: pd.DataFrame,
    objectives: Objectives,
    seed: int,
    rungs: Sequence[float],
    schedule: RungSchedule,
) -> list[TrialRecord]:
    """The full trainings of one seed as the trials of a study, with rungs of the same seed."""
    ends = values(rows, objectives, "full", 1.0)[seed]
    seen = {rung: values(rows, objectives, schedule, rung)[seed].loc[ends.index] for rung in rungs}
    return [
        TrialRecord(
            number=number,
            state="complete",
            allocation=Allocation.parse(str(allocation)),
            seed=seed,
            values=tuple(ends.loc[allocation]),
            rungs=tuple(
                RungRecord(rung, tuple(frame.loc[allocation]), False)
                for rung, frame in seen.items()
            ),
        )
        for number, allocation in enumerate(ends.index)
    ]


def in_order(trained: Sequence[TrialRecord], order: NDArray[np.int64]) -> list[TrialRecord]:
    """The same trainings under other numbers."""
    return [
        TrialRecord(
            number=number,
            state="complete",
            allocation=trained[i].allocation,
            values=trained[i].values,
            rungs=trained[i].rungs,
        )
        for number, i in enumerate(order)
    ]


def net_saved(
    stopped: Mapping[int, float],
    n: int,
    rungs: Sequence[float],
    schedule: RungSchedule,
    measuring: float,
) -> float:
    """What is saved of n trainings with a measurement each, where one at a rung has its cost.

    Args:
        stopped: The rung that stopped a trial, by its number.
        n: All trials.
        rungs: At which trials are measured, ascending.
        schedule: What the rungs are.
        measuring: What a measurement costs, in full trainings.
    """
    cost = 0.0
    for number in range(n):
        end = stopped.get(number)
        reached = [rung for rung in rungs if end is None or rung <= end]
        complete = end is None
        cost += trial_cost(reached, complete, schedule) + (len(reached) + complete) * measuring
    return 1 - cost / (n * (1 + measuring))


def replay_lines(
    rows: pd.DataFrame, objectives: Objectives, section: EarlyStoppingSection, orders: int
) -> Iterator[str]:
    """What the rungs would have stopped, for each seed that has them."""
    end = rows[(rows["schedule"] == "full") & (rows["rung"] == 1.0)]
    measuring = float(end["measuring"].median() / end["seconds"].median())
    choices = dict.fromkeys([*((rung,) for rung in section.rungs), section.rungs])
    for schedule, rungs, mode in product(SCHEDULES, choices, ("auto", "forced")):
        stopping = section.model_copy(update={"mode": mode})
        cells: list[list[str]] = []
        for seed in sorted(end["seed"].unique()):
            if not all(int(seed) in values(rows, objectives, schedule, rung) for rung in rungs):
                continue
            trained = trials(rows, objectives, int(seed), rungs, schedule)
            rng = np.random.default_rng(0)
            drawn = [in_order(trained, rng.permutation(len(trained))) for _ in range(orders)]
            found = [replay(each, objectives, rungs, stopping, schedule) for each in drawn]
            trust = [
                all(calibrate(each, objectives, rung, section).trusted for rung in rungs)
                for each in drawn
            ]
            net = [
                net_saved(each.stopped, each.trials, rungs, schedule, measuring) for each in found
            ]
            cells.append(
                [
                    f"{100 * np.mean(trust):.0f} %",
                    f"{100 * np.mean([each.saved for each in found]):.0f} %",
                    f"{100 * np.mean(net):.0f} %",
                    f"{np.mean([each.lost for each in found]):.1f} of {found[0].front}",
                ]
            )
        if cells:
            names = ", ".join(f"{rung:g}" for rung in rungs)
            texts = [", ".join(column) for column in zip(*cells, strict=True)]
            yield f"| {schedule} | {names} | {mode} | " + " | ".join(texts) + " |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, default=TABLES)
    parser.add_argument("--orders", type=int, default=20)
    parser.add_argument("--objectives", nargs="+", default=OBJECTIVES)
    parser.add_argument("--rungs", nargs="+", type=float, default=[0.25, 0.5])
    parser.add_argument(
        "--calibration-trials",
        type=int,
        default=EarlyStoppingSection.model_fields["calibration_trials"].default,
        help="full trainings before a rung may be trusted",
    )
    arguments = parser.parse_args()
    objectives = [Objective.parse(text) for text in arguments.objectives]
    section = EarlyStoppingSection(
        mode="auto",
        rungs=tuple(arguments.rungs),
        calibration_trials=arguments.calibration_trials,
    )
    paths = sorted(arguments.tables.glob("*_lattice.csv"))
    if not paths:
        parser.error(
            f"{arguments.tables} has no table *_lattice.csv: benchmarks/lattices.py makes them"
        )
    for path in paths:
        # A training that was stopped and done again is there twice.
        rows = pd.read_csv(path).drop_duplicates(["schedule", "allocation", "seed", "rung"])
        ends = values(rows, objectives, "full", 1.0)
        counts = ", ".join(str(len(frame)) for frame in ends.values())
        print(f"\n### {path.stem}\n\nAllocations of each seed: {counts}.")
        print(
            "\n| rung against end | "
            + " | ".join(objective.metric for objective in objectives)
            + " | rank |"
        )
        print("|---" * (len(objectives) + 2) + "|")
        for text in agreement_lines(rows, objectives):
            print(text)
        print(f"\n{arguments.orders} random orders; values of each seed.")
        print(
            "\n| schedule | rungs | mode | trusted | saved | with measurements "
            "| lost of the front |"
        )
        print("|---|---|---|---|---|---|---|")
        for text in replay_lines(rows, objectives, section, arguments.orders):
            print(text)


if __name__ == "__main__":
    main()

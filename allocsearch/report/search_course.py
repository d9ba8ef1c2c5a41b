"""How good the front was after each trial, beside what the trials had cost by then."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from allocsearch.report.front import comparable, objective_box
from allocsearch.search.records import StudyRecord, TrialRecord
from allocsearch.search.sampling.front_probability import front_volume
from allocsearch.search.sampling.losses import losses, signs
from allocsearch.search.sampling.replicates import by_allocation

# A curve of more steps looks the same, and each step takes a hypervolume of all allocations.
MOST_STEPS = 250


def course_frame(record: StudyRecord, always: Collection[int] = ()) -> pd.DataFrame:
    """The hypervolume of the front of what had ended, from the first to the last trial.

    The front is that of the means over the trainings that each allocation had by then. The
    hypervolume is the share of the box between the worst and the best value that any training of
    the whole study has had in each objective, as for `StudyFront.volume`: the last one is that.

    Args:
        record: The study.
        always: Numbers of trials that have a row in any case, if they ended.

    Returns:
        A row for each trial that ended, by the time of its end; of more than 250 as many, evenly,
        with the last one, and those of `always`. Columns: `number`, `allocation` (text),
        `trials` (that had ended), `seconds` (their durations summed; missing where one is
        unknown), `hypervolume` and, with one objective, `best` (the best mean so far). The latter
        two are missing before the first complete trial. No rows where no trial has finite
        objectives.
    """
    objectives = record.config.study.parsed_objectives
    groups = by_allocation(comparable(record))
    ended = in_order_of_end(trial for trial in record.trials if _ended(trial))
    columns = ["number", "allocation", "trials", "seconds", "hypervolume", "best"]
    if not groups:
        return pd.DataFrame(columns=columns)
    reference, ideal = objective_box(groups, objectives)
    place = {trial.number: i for i, group in enumerate(groups) for trial in group.trials}
    means = np.full((len(groups), len(objectives)), np.nan)
    counts = np.zeros(len(groups), dtype=np.int64)
    steps = {*_steps(len(ended))}
    seconds, rows = 0.0, []
    for i, trial in enumerate(ended):
        seconds += math.nan if trial.duration is None else trial.duration
        if (group := place.get(trial.number)) is not None:
            counts[group] += 1
            means[group] = _extended(means[group], trial.values, int(counts[group]))
        if i in steps or trial.number in always:
            known = losses(means[counts > 0], objectives)
            found = _volume_and_best(known, reference, ideal)
            rows.append((trial.number, str(trial.allocation or ""), i + 1, seconds, *found))
    frame = pd.DataFrame(rows, columns=columns)
    # Losses are turned back into the objective's own direction.
    frame["best"] = frame["best"] * signs(objectives)[0] if len(objectives) == 1 else math.nan
    return frame


def in_order_of_end(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Trials that ended, in the order in which the rows of `course_frame` count them."""
    return sorted(trials, key=_when)


def _ended(trial: TrialRecord) -> bool:
    return trial.finished or trial.state == "interrupted"


def _when(trial: TrialRecord) -> tuple[float, int]:
    return (-math.inf if trial.ended is None else trial.ended.timestamp(), trial.number)


def _steps(count: int) -> list[int]:
    if count <= MOST_STEPS:
        return [*range(count)]
    return [*np.linspace(0, count - 1, MOST_STEPS).round().astype(int).tolist()]


def _extended(
    mean: NDArray[np.float64], values: Sequence[float], count: int
) -> NDArray[np.float64]:
    """The mean of `count` rows, of which `mean` has all but the last."""
    # Divided first: the sum of two finite values can overflow.
    new = np.asarray(values, dtype=np.float64) / count
    return new if count == 1 else mean * ((count - 1) / count) + new


def _volume_and_best(
    known: NDArray[np.float64], reference: NDArray[np.float64], ideal: NDArray[np.float64]
) -> tuple[float, float]:
    if not len(known):
        return math.nan, math.nan
    counts = np.ones(len(known), dtype=np.int64)
    return front_volume(known, counts, None, reference, ideal).value, float(known[:, 0].min())

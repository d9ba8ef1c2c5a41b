"""The language of `--pick`: which trial of a study to take."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from allocsearch.config import InputError, Objective, hint, suggestion
from allocsearch.report.front import knee, pareto_front
from allocsearch.search.records import StudyRecord, TrialRecord

_FORMS = "knee, max:METRIC, min:METRIC or trial:N"


def pick(record: StudyRecord, text: str) -> TrialRecord:
    """The complete trial that `text` names.

    Args:
        record: The study.
        text: `knee` (the recommended member of the front), `max:METRIC` or `min:METRIC` (the best
            complete trial in any recorded metric; ties go to the lowest number), or `trial:N`.

    Raises:
        InputError: If `text` has another form, the metric or trial does not exist, or there is no
            trial to pick from.
    """
    if text == "knee":
        front = pareto_front(record)
        if not front:
            raise _nothing(record, text)
        return knee(front, record.config.study.parsed_objectives)
    if match := re.fullmatch(r"trial:([0-9]{1,18})", text):
        return _numbered(record, text, int(match[1]))
    if re.fullmatch(r"(max|min):\S+", text):
        return _best(record, text, Objective.parse(text))
    near = hint(text.partition(":")[0], ("knee", "max", "min", "trial"))
    raise InputError(f"--pick: found {text!r}.{near} Allowed: {_FORMS}.")


def _best(record: StudyRecord, text: str, objective: Objective) -> TrialRecord:
    trials = record.complete
    if not trials:
        raise _nothing(record, text)
    known = sorted({name for trial in trials for name in trial.metrics})
    metric = objective.metric
    if metric not in known:
        raise InputError(suggestion(metric, known, f"--pick {text}: unknown metric {metric!r}"))
    # Trials of other layer counts lack some metrics, and a NaN is no best.
    measured = [t for t in trials if not math.isnan(t.metrics.get(metric, math.nan))]
    if not measured:
        raise InputError(f"--pick {text}: no trial has a number for {metric}")
    sign = -1.0 if objective.direction == "maximize" else 1.0
    return min(measured, key=lambda trial: (sign * trial.metrics[metric], trial.number))


def _numbered(record: StudyRecord, text: str, number: int) -> TrialRecord:
    trials = record.complete
    if not trials:
        raise _nothing(record, text)
    for trial in record.trials:
        if trial.number == number and trial.state == "complete":
            return trial
        if trial.number == number:
            reason = f" ({' '.join(trial.reason.split())})" if trial.reason else ""
            found = f"trial {number} is {trial.state}{reason}"
            break
    else:
        found = f"there is no trial {number}"
    allowed = _listed([trial.number for trial in trials])
    raise InputError(f"--pick {text}: {found}. Allowed: the complete trials {allowed}.")


def _nothing(record: StudyRecord, text: str) -> InputError:
    count = len(record.trials)
    problem = f"none of the {count} trials is complete" if count else "the study has no trial yet"
    return InputError(f"{record.folder}: --pick {text}: {problem}")


def _listed(numbers: Sequence[int]) -> str:
    """Numbers in ascending order, runs of them joined: `0-4, 6`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    return ", ".join("-".join(map(str, run)) for run in runs)

"""What a study has found, as text for the terminal."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path
from typing import get_args

from rich.console import Group, RenderableType
from rich.text import Text

from allocsearch.report.candidate_text import (
    probability_text,
    uncertainty_lines,
    value_text,
)
from allocsearch.report.comparison import uniform_line
from allocsearch.report.front import Candidate, StudyFront, knee, study_front
from allocsearch.report.labels import (
    format_duration,
    metric_name,
    with_unit,
)
from allocsearch.report.proxy import proxy_check
from allocsearch.report.proxy_text import proxy_lines, warning_lines
from allocsearch.report.rung_text import early_stopping_lines
from allocsearch.report.score_choice import score_choice
from allocsearch.report.terminal.fitting import Fitting
from allocsearch.report.terminal.front_table import front_entries, front_table
from allocsearch.search.records import State, StudyRecord, TrialRecord

_STATES: tuple[State, ...] = get_args(State)


def export_command(record: StudyRecord) -> str:
    """The command that exports the recommended allocation, quoted for a shell."""
    return f"allocsearch export {shlex.quote(str(record.folder))} --pick knee --format toml"


def progress_text(record: StudyRecord) -> str:
    """How many trials are finished, and how many are in any other state than complete."""
    text = f"{record.finished} of {record.wanted} trials"
    states = Counter(trial.state for trial in record.trials)
    others = [f"{states[s]} {s}" for s in _STATES[1:] if states[s]]
    return f"{text} ({', '.join(others)})" if others else text


def used_up_lines(record: StudyRecord) -> list[str]:
    """Why a study ends with fewer trials than `study.trials`, where it does."""
    if record.most is None:
        return []
    study = record.config.study
    each = "training" if study.replicates == 1 else f"{study.replicates} trainings"
    return [
        f"The search space is used up by {record.most} of {study.trials} trials: every "
        f"allocation has its {each} then (study.replicates)."
    ]


def front_text(front: StudyFront) -> str:
    """How many of the trained allocations are on the front."""
    trained = len(front.candidates)
    noun = "allocation" if trained == 1 else "allocations"
    return f"front: {len(front.members)} of {trained} {noun}"


def summary(
    record: StudyRecord, *, elapsed: float | None = None, report: Path | None = None
) -> RenderableType:
    """What stands on the screen when a run ends: the front, what to take, what to do next.

    A line warns of every doubtful OOD validation set. Print it all with `crop=False`: a path that
    is too long for the terminal is left to the terminal.

    Args:
        record: The study.
        elapsed: Seconds that the run took, where known.
        report: Path of the report, where one was written.
    """
    study = record.config.study
    parts = [study.name, progress_text(record)]
    if elapsed is not None:
        parts.append(format_duration(elapsed))
    parts.append(f"{study.workers} worker{'' if study.workers == 1 else 's'}")
    front = study_front(record)
    blocks: list[RenderableType] = []
    if front.members:
        chosen = knee(front.members, study.parsed_objectives)
        blocks = [
            Fitting((front_table(record, front, chosen), front_entries(record, front, chosen))),
            *map(Text, uncertainty_lines(front, study.parsed_objectives)),
            *map(Text, warning_lines(proxy_check(record))),
            Text.assemble(
                "Recommended (knee): ",
                (str(chosen.allocation), "bold"),
                f" ({_which(chosen)}).",
            ),
            *map(Text, filter(None, [uniform_line(record, front, chosen)])),
            *map(Text, filter(None, [score_choice(record, chosen.trial)])),
            _command("Export:", export_command(record)),
        ]
    else:
        blocks = [Text("No complete trial, so no front and no recommendation.")]
        blocks += [Text(f"Last failure: {reason}") for reason in _last_failure(record)]
    if report is not None:
        blocks.append(_whole(f"Report:  {report}"))
    head = "  ".join(parts)
    found = front_text(front) if front.members else ""
    heads = Text(f"{head}  {found}".rstrip()), Text(f"{head}\n{found}".rstrip())
    return Group(Fitting(heads), *map(Text, used_up_lines(record)), *blocks)


def _command(name: str, command: str) -> Fitting:
    """A command to copy; where it is too long, in two lines that a shell takes as one."""
    program, _, options = command.partition(" --")
    return Fitting(
        (_whole(f"{name}  {command}"), _whole(f"{name}\n{program} \\\n    --{options}"))
    )


def _whole(text: str) -> Text:
    """A text whose lines are broken by nobody but the terminal."""
    return Text(text, no_wrap=True, overflow="ignore")


def _which(candidate: Candidate) -> str:
    """Which trial is exported for an allocation, and why that one."""
    count = candidate.replicates.count
    number = f"trial {candidate.trial.number}"
    return number if count == 1 else f"{number}, the one of {count} nearest to their mean"


def _last_failure(record: StudyRecord) -> list[str]:
    """The reason of the latest failure on one line, if there is one."""
    reasons = [
        " ".join(trial.reason.split())
        for trial in record.trials
        if trial.state == "failed" and trial.reason
    ]
    return reasons[-1:]


def status_lines(record: StudyRecord) -> tuple[str, ...]:
    """How a study stands, in lines: counts, running trials, rungs, the front, validation sets."""
    study = record.config.study
    states = Counter(trial.state for trial in record.trials)
    counts = ", ".join(f"{states[s]} {s}" for s in _STATES if states[s]) or "none started"
    lines = [f"{study.name}: {record.finished} of {record.wanted} trials; {counts}"]
    lines += used_up_lines(record)
    for trial in record.trials:
        if trial.state == "running":
            lines.append(f"  running: {_running(trial)}")
    lines += early_stopping_lines(record)
    front = study_front(record)
    if not front.members:
        return (*lines, "no front yet: no trial is complete")
    chosen = knee(front.members, study.parsed_objectives)
    lines.append(front_text(front))
    metrics = [objective.metric for objective in study.parsed_objectives]
    for member in front.members:
        trial = member.trial
        values = ", ".join(
            f"{metric_name(metric)} {value_text(member, i, metric)}"
            for i, metric in enumerate(metrics)
        )
        if front.spread:
            certainty = probability_text(member.probability)
            values += f", n {member.replicates.count}, on the front {certainty}"
        marks = ["knee"] if member is chosen else []
        marks += [f"predicted {trial.warm_start}"] if trial.warm_start else []
        mark = f"  ({', '.join(marks)})" if marks else ""
        lines.append(f"  trial {trial.number}  {trial.allocation}  {values}{mark}")
    lines += uncertainty_lines(front, study.parsed_objectives)
    lines.append(f"recommended (knee): {chosen.allocation} ({_which(chosen)})")
    lines += filter(None, [uniform_line(record, front, chosen)])
    choice = score_choice(record, chosen.trial)
    return (*lines, *([choice] if choice else []), *proxy_lines(record))


def _running(trial: TrialRecord) -> str:
    parts = [f"trial {trial.number}"]
    if trial.allocation is not None:
        parts.append(str(trial.allocation))
    if trial.warm_start:
        parts.append(f"(predicted {trial.warm_start})")
    if "epoch" in trial.progress:
        of = f" of {trial.progress['epochs']:.0f}" if "epochs" in trial.progress else ""
        parts.append(f"epoch {trial.progress['epoch']:.0f}{of}")
    elif "pretrain_epoch" in trial.progress:
        of = f" of {trial.progress['pretrain_epochs']:.0f}"
        parts.append(f"pretraining {trial.progress['pretrain_epoch']:.0f}{of}")
    elif "progress" in trial.progress:
        parts.append(f"{trial.progress['progress']:.0%}")
    if "elbo" in trial.progress:
        parts.append(f"ELBO {with_unit('elbo', trial.progress['elbo'])}")
    return "  ".join(parts)

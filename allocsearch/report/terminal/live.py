"""A run under way, as text for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from allocsearch.report.front import study_front
from allocsearch.report.labels import format_duration, metric_name, with_unit
from allocsearch.report.terminal.fitting import Fitting
from allocsearch.report.terminal.summary import front_text, progress_text
from allocsearch.search.records import StudyRecord, TrialRecord

_FRONT_ROWS = 8


def time_left(record: StudyRecord) -> float | None:
    """Seconds until the study ends, from the mean duration of its finished trials.

    The part of a running trial that is done is taken off. None before a trial has finished.
    """
    durations = [trial.duration for trial in record.trials if trial.finished and trial.duration]
    if not durations:
        return None
    study = record.config.study
    done = sum(_share(trial.progress) for trial in record.trials if trial.state == "running")
    left = max(0.0, record.wanted - record.finished - done)
    return fmean(durations) * left / min(study.workers, record.wanted)


def live_view(record: StudyRecord, elapsed: float) -> RenderableType:
    """The whole live display: progress, running trials and the front so far.

    Args:
        record: The study as it stands.
        elapsed: Seconds since this run began.
    """
    study = record.config.study
    left = time_left(record)
    remaining = "" if left is None else f", about {format_duration(left)} left"
    counts, times = progress_text(record), f"{format_duration(elapsed)}{remaining}"
    bar = ProgressBar(total=record.wanted, completed=record.finished, width=24)
    head = Text(study.name, style="bold"), bar
    grid = _row(*head, Text(f"{counts}  {times}"))
    narrow = Group(_row(*head), Text(counts), Text(times))
    return Group(Fitting((grid, narrow)), *_running(record), *_front(record))


def _row(*cells: RenderableType) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_row(*cells)
    return grid


def _running(record: StudyRecord) -> list[RenderableType]:
    trials = [trial for trial in record.trials if trial.state == "running"]
    if not trials:
        return [Text("starting the workers ...", style="dim")] if not record.finished else []
    table = Table.grid(padding=(0, 2))
    for trial in trials:
        progress = trial.progress
        table.add_row(
            f"trial {trial.number}",
            str(trial.allocation or ""),
            _stage(progress),
            f"ELBO {with_unit('elbo', progress['elbo'])}" if "elbo" in progress else "",
        )
    return [table]


def _share(progress: Mapping[str, float]) -> float:
    """The share of a training that is done, by what its trainer tells of it."""
    if "progress" in progress or not progress:
        return progress.get("progress", 0.0)
    # A pretraining has no epoch yet.
    return progress.get("epoch", 0) / progress["epochs"]


def _stage(progress: Mapping[str, float]) -> str:
    if not progress:
        return "starting"
    if "progress" in progress:
        return f"{progress['progress']:.0%}"
    if "epoch" not in progress:
        return f"pretraining {progress['pretrain_epoch']:.0f}/{progress['pretrain_epochs']:.0f}"
    return f"epoch {progress['epoch']:.0f}/{progress['epochs']:.0f}"


def _front(record: StudyRecord) -> list[RenderableType]:
    # Probabilities would take longer than the display waits between two looks.
    front = study_front(record, resample=False)
    if not front.members:
        return []
    metrics = [objective.metric for objective in record.config.study.parsed_objectives]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("allocation", *map(metric_name, metrics)):
        # Brackets in a name are no markup.
        table.add_column(Text(name), justify="left" if name == "allocation" else "right")
    for member in front.members[:_FRONT_ROWS]:
        values = map(with_unit, metrics, member.mean)
        table.add_row(str(member.allocation), *values)
    more = len(front.members) - _FRONT_ROWS
    return [Text(front_text(front)), table, *([Text(f"and {more} more")] if more > 0 else [])]


def _finished_line(record: StudyRecord, trial: TrialRecord, finished: int) -> str:
    study = record.config.study
    head = f"{finished} of {record.wanted}  trial {trial.number}  {trial.allocation}"
    if trial.state != "complete":
        return f"{head}  {trial.state}: {' '.join((trial.reason or '').split())}"
    values = "  ".join(
        f"{metric_name(objective.metric)} {with_unit(objective.metric, value)}"
        for objective, value in zip(study.parsed_objectives, trial.values, strict=True)
    )
    return f"{head}  {values}  {format_duration(trial.duration)}"


class PlainProgress:
    """Lines for output that is no terminal: how the run starts, each trial as it ends."""

    def __init__(self) -> None:
        self._told: set[int] | None = None

    def lines(self, record: StudyRecord) -> list[str]:
        """What is new since the last call."""
        ended = [t for t in record.trials if t.finished or t.state == "interrupted"]
        if self._told is None:
            # Trials of an earlier run are told by their count alone.
            self._told = {trial.number for trial in ended}
            study = record.config.study
            return [f"{study.name}: {record.finished} of {record.wanted} trials"]
        new = [trial for trial in ended if trial.number not in self._told]
        self._told |= {trial.number for trial in new}
        finished = record.finished - sum(trial.finished for trial in new)
        lines = []
        for trial in new:
            finished += trial.finished
            lines.append(_finished_line(record, trial, finished))
        return lines

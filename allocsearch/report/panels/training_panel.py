"""The figure of the training curves of chosen allocations, with its words."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from allocsearch.config import InputError, TrainingSection
from allocsearch.report.figures.training_figures import training_curves
from allocsearch.report.front import StudyFront
from allocsearch.report.labels import format_metric
from allocsearch.report.panels.missing_files import missing_text
from allocsearch.report.panels.panel import Grid, Panel
from allocsearch.report.representatives import chosen_trainings
from allocsearch.search.artifacts.at_hand import FilesAtHand
from allocsearch.search.history import METRICS_NAME, read_history
from allocsearch.search.records import StudyRecord, TrialRecord

_SHARES = (0.25, 0.5, 0.75, 1.0)
_COLUMNS = ["allocation", "number", "again", "epoch", "elbo", "validation_elbo"]


def training_panel(
    record: StudyRecord, front: StudyFront, files: FilesAtHand
) -> tuple[Panel | None, tuple[str, ...]]:
    """The training curves of the representatives and of their other trainings.

    Args:
        record: The study.
        front: Its front.
        files: Theirs.

    Returns:
        The panel, and a sentence for each part that is not shown.
    """
    if record.config.trainer.foreign:
        return None, ("Training curves: a trainer of your own keeps none.",)
    parts, missing, problems = [], [], []
    for trial, again in chosen_trainings(record, front):
        path = files.paths.get((trial.number, METRICS_NAME))
        if path is None:
            missing.append(trial)
            continue
        try:
            history = read_history(path)
        except InputError as error:
            problems.append(f"Training curve of trial {trial.number}: {error}.")
            continue
        if history:
            parts.append(_part(trial, again, history))
        else:
            problems.append(f"Training curve of trial {trial.number}: {path} has no epochs.")
    if missing:
        # Whatever is kept, the metrics are.
        keeping = (record.config.evaluation.keep,)
        problems.append(missing_text("Training curves", record, missing, files, keeping))
    if not parts:
        return None, tuple(problems)
    frame = pd.concat(parts, ignore_index=True)
    grid = _grid(frame)
    return Panel(
        "training",
        "Training curves",
        "Mean ELBO of the training batches in each epoch, for the recommended allocation and the "
        "best one in each objective; thin lines are other trainings of the same ones. "
        f"{_late_gain(frame)} Hollow marks are the ELBO of the validation data at the end: far "
        f"below their line they tell of overfitting. {_schedule_text(record.config.training)}",
        "Lines of the ELBO over the epochs for "
        f"{', '.join(row[0] for row in grid.rows)}. A table with the numbers follows.",
        training_curves(frame, _phases(record.config.training, int(frame["epoch"].max()))),
        grid,
        frame=frame,
    ), tuple(problems)


def _part(trial: TrialRecord, again: bool, history: dict[int, float]) -> pd.DataFrame:
    ends = trial.metrics.get("elbo", math.nan)
    text = str(trial.allocation)
    rows = [(text, trial.number, again, epoch, elbo, ends) for epoch, elbo in history.items()]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _late_gain(frame: pd.DataFrame) -> str:
    """By how much the ELBO still rose at the end."""
    epochs = int(frame["epoch"].max())
    tenth = epochs // 10
    if not tenth:
        return "Lines that still rise at the end ask for more epochs."
    last = frame[frame["epoch"] > epochs - tenth].groupby("number")["elbo"].mean()
    before = frame[frame["epoch"].between(epochs - 2 * tenth + 1, epochs - tenth)]
    gains = last - before.groupby("number")["elbo"].mean()
    low, high = (f"{each:+.2f}" for each in (gains.min(), gains.max()))
    span = low if low == high else f"{low} to {high}"
    return (
        f"From one to the other of the last two tenths of the epochs the mean changed by {span} "
        "nats."
    )


def _phases(training: TrainingSection, epochs: int) -> dict[str, float]:
    """What the schedules do, at the epochs where they do it."""
    shares = {}
    if 0 < training.kl_warmup < 1:
        shares["KL weight is 1"] = training.kl_warmup
    if training.free_nats > 0:
        if 0 < training.free_nats_hold < 1:
            shares["free nats fall"] = training.free_nats_hold
        if training.free_nats_hold < training.free_nats_end < 1:
            shares["free nats are 0"] = training.free_nats_end
    # The line of an epoch is at its end.
    return {text: share * epochs for text, share in shares.items()}


def _schedule_text(training: TrainingSection) -> str:
    words = []
    if training.kl_warmup > 0:
        words.append("while the weight of the KL terms is below 1")
    if training.free_nats > 0:
        words.append("while nats are free")
    if not words:
        return ""
    return f"The loss is not the negative ELBO {' or '.join(words)}."


def _grid(frame: pd.DataFrame) -> Grid:
    rows = []
    for number, part in frame.groupby("number", sort=False):
        elbos: Sequence[float] = part["elbo"].tolist()
        at = (elbos[max(0, math.ceil(share * len(elbos)) - 1)] for share in _SHARES)
        rows.append(
            (
                f"{part['allocation'].iloc[0]} (trial {number})",
                str(len(elbos)),
                *(format_metric("elbo", value) for value in at),
                format_metric("elbo", part["validation_elbo"].iloc[0]),
            )
        )
    header = (f"ELBO at {share:.0%}".replace("%", " %") for share in _SHARES)
    return Grid(("allocation", "epochs", *header, "validation ELBO"), tuple(rows))

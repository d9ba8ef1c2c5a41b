"""The figures of how the chosen allocations were trained, with their words."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from allocsearch.config import InputError, TrainingSection
from allocsearch.report.figures.training_figures import rate_curves, training_curves
from allocsearch.report.front import StudyFront
from allocsearch.report.labels import format_metric
from allocsearch.report.panels.missing_files import missing_text
from allocsearch.report.panels.panel import Grid, Panel
from allocsearch.report.representatives import chosen_trainings, representatives
from allocsearch.search.artifacts.at_hand import FilesAtHand
from allocsearch.search.history import METRICS_NAME, History, read_history
from allocsearch.search.records import StudyRecord, TrialRecord

_SHARES = (0.25, 0.5, 0.75, 1.0)
_COLUMNS = ["allocation", "number", "again", "epoch", "elbo", "validation_elbo"]
_RATE_COLUMNS = ["layer", "number", "again", "epoch", "rate", "validation_rate"]


def training_panels(
    record: StudyRecord, front: StudyFront, files: FilesAtHand
) -> tuple[tuple[Panel, ...], tuple[str, ...]]:
    """The ELBO of the representatives, and the rates of the recommended one, while they train.

    Other trainings of the same allocations are among them.

    Args:
        record: The study.
        front: Its front.
        files: Theirs.

    Returns:
        The panels, and a sentence for each part that is not shown.
    """
    if record.config.trainer.foreign:
        return (), ("Training curves: a trainer of your own keeps none.",)
    kept: list[tuple[TrialRecord, bool, History]] = []
    missing, problems = [], []
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
            kept.append((trial, again, history))
        else:
            problems.append(f"Training curve of trial {trial.number}: {path} has no epochs.")
    if missing:
        # Whatever is kept, the metrics are.
        keeping = (record.config.evaluation.keep,)
        problems.append(missing_text("Training curves", record, missing, files, keeping))
    if not kept:
        return (), tuple(problems)
    panels = [_elbo_panel(record, kept)]
    recommended = representatives(record, front)[0]
    own = [each for each in kept if each[0].allocation == recommended.allocation]
    if any(epoch.rates for _, _, history in own for epoch in history):
        panels.append(_rate_panel(record, own))
    elif own:
        problems.append(
            f"Rates of {recommended.allocation} while it trains: its trainings have kept none."
        )
    return tuple(panels), tuple(problems)


def _elbo_panel(record: StudyRecord, kept: Sequence[tuple[TrialRecord, bool, History]]) -> Panel:
    frame = pd.concat([_elbos(*each) for each in kept], ignore_index=True)
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
    )


def _elbos(trial: TrialRecord, again: bool, history: History) -> pd.DataFrame:
    ends = trial.metrics.get("elbo", math.nan)
    text = str(trial.allocation)
    rows = [(text, trial.number, again, each.epoch, each.elbo, ends) for each in history]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _rate_panel(record: StudyRecord, kept: Sequence[tuple[TrialRecord, bool, History]]) -> Panel:
    allocation, training = kept[0][0].allocation, record.config.training
    frame = pd.concat([_rates(*each) for each in kept], ignore_index=True)
    return Panel(
        "training",
        "Rates while training",
        f"Mean KL term of each layer over the training batches, for the recommended {allocation}; "
        "thin lines are other trainings of it. A layer that falls to 0 and stays there has "
        "collapsed. Layer 1 is next to x. Hollow marks are the rates of the validation data.",
        f"Lines of the rate of each layer of {allocation} over the epochs. A table with the "
        "numbers follows.",
        rate_curves(frame, _phases(training, int(frame["epoch"].max()))),
        _rate_grid(frame),
        frame=frame,
    )


def _rates(trial: TrialRecord, again: bool, history: History) -> pd.DataFrame:
    layers = max(len(each.rates) for each in history)
    ends = {layer: trial.metrics.get(f"rate_{layer}", math.nan) for layer in range(1, layers + 1)}
    rows = [
        (layer, trial.number, again, each.epoch, rate, ends[layer])
        for layer in ends
        for each in history
        for rate in each.rates[layer - 1 : layer]
    ]
    return pd.DataFrame(rows, columns=_RATE_COLUMNS)


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
    rows = (
        (f"{part['allocation'].iloc[0]} (trial {number})", str(len(part)), *_row(part, "elbo"))
        for number, part in frame.groupby("number", sort=False)
    )
    return Grid(("allocation", "epochs", *_header("ELBO"), "validation ELBO"), tuple(rows))


def _rate_grid(frame: pd.DataFrame) -> Grid:
    rows = (
        (f"layer {layer} (trial {number})", *_row(part, "rate"))
        for (number, layer), part in frame.groupby(["number", "layer"], sort=False)
    )
    return Grid(("layer", *_header("rate"), "validation rate"), tuple(rows))


def _header(name: str) -> list[str]:
    return [f"{name} at {share:.0%}".replace("%", " %") for share in _SHARES]


def _row(part: pd.DataFrame, metric: str) -> list[str]:
    """A metric at some shares of a training, and on the validation data at its end."""
    values: Sequence[float] = part[metric].tolist()
    at = (values[max(0, math.ceil(share * len(values)) - 1)] for share in _SHARES)
    ends = part[f"validation_{metric}"].iloc[0]
    return [format_metric(metric, value) for value in (*at, ends)]

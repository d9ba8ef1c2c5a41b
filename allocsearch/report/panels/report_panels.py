"""Which figures the page of a study has, each with its words; and which it has to leave out."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from allocsearch.report.figures.proxy_figures import auroc_strips, tau_matrix
from allocsearch.report.figures.rung_figures import rung_scatter
from allocsearch.report.front import StudyFront, study_front
from allocsearch.report.labels import format_metric, heading, metric_label, metric_name
from allocsearch.report.panels.chosen_files import chosen_files
from allocsearch.report.panels.detection_panels import detection_panels, evaluation_panels
from allocsearch.report.panels.panel import Grid, Panel
from allocsearch.report.panels.training_panels import training_panels
from allocsearch.report.panels.trial_panels import trial_panels
from allocsearch.report.proxy import proxy_check
from allocsearch.report.proxy_frames import auroc_frame, tau_frame
from allocsearch.report.proxy_text import (
    omission,
    proxy_warnings,
    score_text,
    spread_texts,
    tau_text,
)
from allocsearch.report.representatives import representatives
from allocsearch.report.rung_frames import at_rung, rung_frame
from allocsearch.report.thinning import MOST, sampled
from allocsearch.search.artifacts.at_hand import FilesAtHand
from allocsearch.search.evaluation.evaluations import read_openings
from allocsearch.search.records import StudyRecord


def panels(
    record: StudyRecord,
    front: StudyFront | None = None,
    frame: pd.DataFrame | None = None,
    files: FilesAtHand | None = None,
) -> tuple[tuple[Panel, ...], tuple[str, ...]]:
    """The figures of a study, and a sentence for each part that it has too little for.

    Args:
        record: The study.
        front: Its front, where that is known already.
        frame: Its `trials_frame`, where that is known already.
        files: Its `chosen_files`, where they are known already.
    """
    front = front or study_front(record)
    made, omitted = trial_panels(record, front, frame)
    absent = (*_no_rungs(record), *_no_evaluation(record))
    if not front.candidates:
        return made, (*omitted, *absent)
    files = files or chosen_files(record, front)
    validation, left_out = _validation_sets(record)
    detection, no_scores = detection_panels(record, representatives(record, front), files)
    training, no_training = training_panels(record, front, files)
    tested, no_test_scores = evaluation_panels(record)
    shown = [*validation, *detection, *training, *tested, *_rungs(record)]
    missing = (*left_out, *no_scores, *no_test_scores, *no_training)
    return (*made, *shown), (*omitted, *missing, *absent)


def _no_rungs(record: StudyRecord) -> Iterator[str]:
    if not record.config.early_stopping.measured:
        yield "Early stopping: it is off."
    elif rung_frame(record).empty:
        yield "Metrics at the rungs: no complete trial has been measured at one."


def _no_evaluation(record: StudyRecord) -> Iterator[str]:
    if not read_openings(record.folder):
        yield "Final evaluation: no test set was opened."


def _validation_sets(record: StudyRecord) -> tuple[tuple[Panel, ...], tuple[str, ...]]:
    """How the OOD validation sets rank the allocations, or why that is left out."""
    if not record.config.ood_validation:
        return (), ()
    check = proxy_check(record)
    warnings = proxy_warnings(check) if check else ()
    left_out = omission(record, check)
    if check is None or left_out:
        return (), (*((left_out,) if left_out else ()), *warnings)
    taus = tuple(
        (f"{first}, {second}", tau_text(tau)) for (first, second), tau in check.agreements.items()
    )
    spreads = tuple(
        (entry.name, *spread_texts(entry), tau_text(entry.others)) for entry in check.sets
    )
    over = f"{len(check.allocations)} allocations, {score_text(check)}"
    agreement, aurocs = tau_frame(check), auroc_frame(check)
    return (
        Panel(
            "validation",
            "How far the sets agree",
            f"Kendall's tau over {over}: 1 for the same order, 0 for unrelated ones, -1 for the "
            "opposite one. The sets judge the same trainings, so part of their agreement is the "
            "luck of those.",
            "Matrix of Kendall's tau of every two OOD validation sets. A table with the numbers "
            "follows.",
            tau_matrix(agreement),
            Grid(("sets", "tau (95 % bootstrap)"), taus),
            warnings=warnings,
            frame=agreement,
        ),
        Panel(
            "validation",
            "AUROC on each set",
            f"{_strips_text(over, len(check.allocations))} The wider a set spreads them, the more "
            "it tells.",
            "Strips of the AUROC of all allocations, one for each OOD validation set. A table "
            "with the numbers follows.",
            auroc_strips(aurocs),
            Grid(("set", "min", "median", "max", "tau with the others"), spreads),
            frame=aurocs,
        ),
    ), ()


def _strips_text(over: str, count: int) -> str:
    if count <= MOST:
        return f"A mark for each of {over}; boxes show median and quartiles."
    return f"Median, quartiles and outliers of {over}."


def _rungs(record: StudyRecord) -> Iterator[Panel]:
    """What the trials were at the rungs, where they were measured there."""
    everything = rung_frame(record)
    if everything.empty:
        return
    frame = everything[sampled(everything["number"])]
    trials, shown = everything["number"].nunique(), frame["number"].nunique()
    left_out = f" Shown are {shown:,} of {trials:,} trials, at random." if shown < trials else ""
    for metric in dict.fromkeys(o.metric for o in record.config.study.parsed_objectives):
        yield Panel(
            "rungs",
            heading(f"{metric_name(metric)} at the rungs"),
            "Hollow marks do not count for tau: a rung could have stopped the trial, or another "
            f"one of the allocation came before.{left_out}",
            f"Scatter plot of {metric_label(metric)} at the end of each complete trial against "
            "that at each rung. A table with the numbers follows.",
            rung_scatter(frame, metric),
            _rung_grid(frame, metric),
            frame=frame[["number", "allocation", "rung", "counts", at_rung(metric), metric]],
        )


def _rung_grid(frame: pd.DataFrame, metric: str) -> Grid:
    wide = frame.pivot_table(index="number", columns="rung", values=at_rung(metric), dropna=False)
    first = frame.drop_duplicates("number").set_index("number")
    rows = tuple(
        (
            f"{first['allocation'][number]} (trial {number})",
            *(format_metric(metric, value) for value in values),
            format_metric(metric, first[metric][number]),
        )
        for number, *values in wide.itertuples()
    )
    return Grid(("allocation", *(f"rung {rung:g}" for rung in wide.columns), "end"), rows)

"""The figures of OOD scores of a real run, against its recorded metrics."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from allocsearch.config import HELD_OUT
from allocsearch.report.front import study_front
from allocsearch.report.panels.chosen_files import chosen_files
from allocsearch.report.panels.detection_panels import detection_panels, evaluation_panels
from allocsearch.report.panels.panel import Panel
from allocsearch.report.panels.report_panels import panels
from allocsearch.report.representatives import representatives
from allocsearch.search.evaluation.evaluations import (
    Detected,
    Evaluated,
    Evaluation,
    Opening,
    append_opening,
    evaluation_folder,
    write_evaluation,
)
from allocsearch.search.evaluation.final_scores import save_scores, scores_path
from allocsearch.search.records import StudyRecord, TrialRecord, read_run
from allocsearch.search.score_files import read_scores, write_scores
from allocsearch.search.storage import trial_folder


@pytest.fixture
def record(finished_run, tmp_path) -> StudyRecord:
    shutil.copytree(finished_run.folder, tmp_path / "run")
    return read_run(tmp_path / "run")


def chosen(record: StudyRecord) -> tuple[TrialRecord, ...]:
    return representatives(record)


def made(record: StudyRecord) -> tuple[tuple[Panel, ...], tuple[str, ...]]:
    files = chosen_files(record, study_front(record))
    return detection_panels(record, chosen(record), files)


def scores_file(record: StudyRecord, trial: TrialRecord) -> Path:
    return trial_folder(record.folder, trial.number) / "scores.npz"


def test_curves_are_those_of_the_recorded_aurocs(record: StudyRecord) -> None:
    found, omitted = made(record)
    assert omitted == ()
    roc, *histograms = found
    assert roc.title == "ROC on inversion"
    _, *curves = roc.figure.data
    assert len(curves) == len(chosen(record))
    for trial, curve, row in zip(chosen(record), curves, roc.data.rows, strict=True):
        auroc = trial.metrics[f"auroc.inversion.{trial.score}"]
        assert np.trapezoid(curve.y, curve.x) == pytest.approx(auroc, abs=1e-3)
        ends = (trial.metrics[f"auroc_{end}.inversion"] for end in ("low", "high"))
        text = "{:.3f} ({:.3f}-{:.3f})".format(auroc, *ends)
        name = f"{trial.allocation} (trial {trial.number})"
        assert curve.name == f"{name}: {text}"
        assert row[:3] == (name, trial.score, text)
        assert row[4] == f"{trial.metrics['fpr95.inversion']:.3f}"
        assert text in roc.description
        drawn = roc.frame[roc.frame["curve"] == f"{name}: {text}"]
        assert curve.x == pytest.approx(drawn["false_positive_rate"].tolist(), abs=1e-5)
    assert len(histograms) == len(chosen(record))
    for trial, panel in zip(chosen(record), histograms, strict=True):
        of_id, of_ood = panel.figure.data
        assert (of_id.name, of_ood.name) == ("ID validation", "inversion")
        assert list(of_id.x) == list(of_ood.x)
        assert sum(of_ood.y[:-1]) == pytest.approx(1, abs=1e-4)
        assert panel.figure.layout.xaxis.title.text == trial.score
        scores = read_scores(scores_file(record, trial), trial.score, ["inversion"])
        row = panel.data.rows[1]
        assert row[1] == "64"
        assert float(row[3]) == pytest.approx(np.median(scores["inversion"]), rel=1e-3)


def test_all_figures_of_the_page_have_them(record: StudyRecord) -> None:
    sections = [panel.section for panel in panels(record)[0]]
    assert sections.count("detection") == 1 + len(chosen(record))
    assert "evaluation" not in sections


def test_what_is_missing_is_said(record: StudyRecord) -> None:
    first, *others = chosen(record)
    scores_file(record, first).unlink()
    found, omitted = made(record)
    assert len(found) == (1 + len(others) if others else 0)
    assert omitted == (
        f"ROC curves and histograms of trial {first.number}: the files are not in this run "
        "folder.",
    )
    kept = record.config.evaluation.model_copy(update={"keep": "models"})
    config = record.config.model_copy(update={"evaluation": kept})
    assert "evaluation.keep is 'models'" in made(dataclasses.replace(record, config=config))[1][0]


def test_scores_of_another_training_are_not_shown(record: StudyRecord) -> None:
    first = chosen(record)[0]
    path = scores_file(record, first)
    found = read_scores(path, first.score, [HELD_OUT, "inversion"])
    # As if a file had been taken from another run.
    tables = {name: {first.score: values} for name, values in found.items()}
    tables["inversion"][first.score] = tables[HELD_OUT][first.score]
    write_scores(path, tables)
    [told] = made(record)[1]
    assert f"trial {first.number}: {path}: the scores give an AUROC of 0.500 on inversion" in told
    path.write_bytes(b"damaged")
    assert "cannot be read as scores" in made(record)[1][0]


def test_a_study_without_scores_says_nothing_twice(study_of) -> None:
    # Its one sentence, that there is no OOD validation set, is that of the other figures.
    assert made(study_of([[1.0, 0.5], [2.0, 0.6]])) == ((), ())


def test_many_sets_are_spread_over_figures(record: StudyRecord) -> None:
    names = [f"set <{i}>" for i in range(6)]
    opening = Opening(1, "2026-01-02", ("6-6",), ("6-6",), (1, 2), dict.fromkeys(names, "f"), "i")
    append_opening(record.folder, opening)
    assert evaluation_panels(record) == ((), ())
    place = evaluation_folder(record.folder, opening)
    for seed in (1, 2):
        # Separated but for one example in four of the second training.
        of_id = {"kl_1": np.arange(4.0)}
        of_ood = {"kl_1": np.array([5.0, 6.0, 7.0, 2.5 if seed == 2 else 8.0])}
        save_scores(of_id, dict.fromkeys(names, of_ood), scores_path(place, "6-6", seed))
    auroc = (1 + 15 / 16) / 2
    sets = tuple(Detected(n, auroc, 0.1, 0.8, 1.0, 0.9, 0.9, 0.1, 0.2, 0.5) for n in names)
    each = Evaluated("6-6", ("knee",), "kl_1", "chosen", (1, 2), sets=sets)
    failed = Evaluated("3-9", ("uniform split",), None, "all failed", ())
    evaluation = Evaluation(opening, "tiny", ("inversion",), {}, (each, failed))
    write_evaluation(record.folder, evaluation)
    found, omitted = evaluation_panels(record)
    assert omitted == ()
    assert {panel.section for panel in found} == {"evaluation"}
    rocs, histograms = found[:6], found[6:]
    for panel in rocs:
        [_, curve] = panel.figure.data
        assert curve.name == "6-6: 0.969 (0.800-1.000)"
        assert np.trapezoid(curve.y, curve.x) == pytest.approx(auroc, abs=1e-9)
    shown = [trace.name for panel in histograms for trace in panel.figure.data]
    assert [name for name in shown if name != "ID test"] == [f"set &lt;{i}&gt;" for i in range(6)]
    assert [len(panel.figure.data) for panel in histograms] == [5, 3]
    assert [panel.title for panel in histograms] == [
        "Scores of 6-6, 1 of 2",
        "Scores of 6-6, 2 of 2",
    ]
    assert histograms[1].frame["set"].unique().tolist() == ["validation", *names[4:]]
    # A training that is another one.
    save_scores(of_id, dict.fromkeys(names, of_ood), scores_path(place, "6-6", 1))
    [told] = evaluation_panels(record)[1]
    assert "the scores give an AUROC of 0.938" in told

from __future__ import annotations

import dataclasses

import pytest

from allocsearch.report.recommendation import recommendation
from allocsearch.report.score_choice import score_choice
from allocsearch.report.terminal.summary import status_lines

METRICS = {
    "auroc.inversion.kl_1": 0.9,
    "auroc.inversion.llr_1": 0.8,
    "auroc.inversion.typicality": 0.99,
    "auroc.segment_deletion.kl_1": 0.7,
    "auroc.segment_deletion.llr_1": 0.75,
    "auroc.inversion.complexity_png": 1.0,
    "auroc.segment_deletion.complexity_png": 1.0,
}


@pytest.fixture
def trial(study):
    return dataclasses.replace(study.trials[0], score="kl_1", metrics=METRICS)


def named(study, score):
    evaluation = study.config.evaluation.model_copy(update={"score": score})
    config = study.config.model_copy(update={"evaluation": evaluation})
    return dataclasses.replace(study, config=config)


def test_a_named_score(study, trial):
    assert score_choice(named(study, "kl_1"), trial) == (
        "AUROC is that of the score kl_1, which the study names."
    )


def test_a_chosen_score_says_by_what_and_what_came_next(study, trial):
    # Of a score that one set lacks there is no mean.
    assert score_choice(named(study, "auto"), trial) == (
        "AUROC is that of the score kl_1, the best of 2 for this trial on inversion and "
        "segment_deletion (0.800 in the mean; next llr_1, 0.775)."
    )


def test_without_ood_sets_there_is_no_score(study, trial):
    assert score_choice(study, dataclasses.replace(trial, score=None)) is None


def test_status_and_page_say_it(study):
    trials = [dataclasses.replace(t, score="kl_1") if t.values else t for t in study.trials]
    record = named(dataclasses.replace(study, trials=tuple(trials)), "kl_1")
    text = "AUROC is that of the score kl_1, which the study names."
    assert text in status_lines(record)
    found = recommendation(record)
    assert found is not None
    assert found.score == text

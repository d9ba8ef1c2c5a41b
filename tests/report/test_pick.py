from __future__ import annotations

import dataclasses
import math

import pytest

from allocsearch.config import InputError
from allocsearch.report.front import knee, pareto_front
from allocsearch.report.pick import pick
from allocsearch.search.records import TrialRecord


def test_knee(study):
    expected = knee(pareto_front(study), study.config.study.parsed_objectives)
    assert pick(study, "knee") is expected


@pytest.mark.parametrize("metric", ["retention", "elbo", "information_3", "active_units_1"])
def test_best_of_any_metric(study, metric):
    values = {trial.number: trial.metrics[metric] for trial in study.complete}
    assert pick(study, f"max:{metric}").metrics[metric] == max(values.values())
    assert pick(study, f"min:{metric}").metrics[metric] == min(values.values())


def test_ties_go_to_the_lowest_number(study_of):
    assert pick(study_of([[1.0], [2.0], [2.0]]), "max:retention").number == 1


def test_trials_without_the_metric_are_passed_over(study):
    first, *rest = study.trials
    odd = dataclasses.replace(first, metrics={"information_4": 1.0, "elbo": math.nan})
    record = dataclasses.replace(study, trials=(odd, *rest))
    assert pick(record, "min:information_4").number == first.number
    assert pick(record, "max:elbo").number != first.number


def test_by_number(study):
    assert pick(study, "trial:7").number == 7


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kneee", ["Did you mean knee?", "max:METRIC"]),
        ("maxi:auroc", ["Did you mean max?", "trial:N"]),
        ("", ["Allowed: knee"]),
        ("trial:-1", ["trial:N"]),
        ("max:aurocc", ["Did you mean auroc?", "attenuation"]),
        ("trial:5", ["trial 5 is failed", "loss is", "0-4, 6-10, 12-13, 15-22"]),
        ("trial:23", ["trial 23 is running"]),
        ("trial:99", ["there is no trial 99"]),
    ],
)
def test_mistakes_are_one_line_that_says_what_is_allowed(study, text, words):
    with pytest.raises(InputError) as caught:
        pick(study, text)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("text", ["knee", "max:auroc", "trial:0"])
def test_nothing_to_pick_from(study, text):
    empty = dataclasses.replace(study, trials=())
    with pytest.raises(InputError, match="no trial yet"):
        pick(empty, text)
    failed = dataclasses.replace(study, trials=(TrialRecord(0, "failed"),))
    with pytest.raises(InputError, match="none of the 1 trials is complete"):
        pick(failed, text)

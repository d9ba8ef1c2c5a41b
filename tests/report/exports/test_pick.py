from __future__ import annotations

import dataclasses
import math

import pytest

from allocsearch.config import InputError
from allocsearch.report.exports.pick import pick, picks
from allocsearch.report.front import knee, study_front
from allocsearch.search.records import TrialRecord


def test_knee(study):
    expected = knee(study_front(study).members, study.config.study.parsed_objectives)
    assert pick(study, "knee") is expected.trial


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
        ("front", ["found 'front'. Allowed: knee"]),
        ("best:", ["found 'best:'. Allowed: knee"]),
        ("trial:-1", ["trial:N"]),
        ("max:aurocc", ["Did you mean auroc?", "attenuation"]),
        ("trial:5", ["trial 5 is failed", "loss is", "0-4, 6-10, 12-13, 15-22"]),
        ("trial:23", ["trial 23 is running"]),
        ("trial:99", ["there is no trial 99"]),
        ("weights:auroc=1,elbo=2", ["'elbo' is no objective", "retention, attenuation, auroc"]),
        ("weights:aurocc=1", ["Did you mean auroc?"]),
        ("weights:auroc", ["auroc has the weight ''", "a number from 0 on"]),
        ("weights:auroc=-1", ["has the weight '-1'"]),
        ("weights:auroc=nan", ["has the weight 'nan'"]),
        ("weights:auroc=1,auroc=2", ["auroc is named twice"]),
        ("weights:auroc=0", ["all weights are 0"]),
        ("weight:auroc=1", ["Did you mean weights?"]),
        ("allocation:99-1-1", ["no complete trial has this allocation", "trials.csv"]),
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


def _cheapest(record, weights):
    """The member of least weighted cost, by the definition."""
    front = study_front(record).members
    objectives = record.config.study.parsed_objectives
    columns = list(zip(*(member.mean for member in front), strict=True))
    costs = [0.0] * len(front)
    for weight, column, objective in zip(weights, columns, objectives, strict=True):
        worst, best = min(column), max(column)
        if objective.direction == "minimize":
            worst, best = best, worst
        for i, value in enumerate(column):
            costs[i] += weight * (best - value) / (best - worst)
    return front[costs.index(min(costs))].trial


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("weights:retention=1,attenuation=2,auroc=3", (1, 2, 3)),
        ("weights:attenuation=1", (0, 1, 0)),
        ("weights:auroc=0.5,retention=0.5", (0.5, 0, 0.5)),
    ],
)
def test_weights(study, text, weights):
    assert pick(study, text) is _cheapest(study, weights)


def test_all_weight_on_one_objective_is_its_best_member(study):
    assert pick(study, "weights:auroc=1") is pick(study, "max:auroc")


def test_weights_prefer_certain_members(replicated):
    members = study_front(replicated).members
    chosen = pick(replicated, "weights:attenuation=1")
    certain = [member for member in members if member.probability >= 0.5]
    assert 0 < len(certain) < len(members)
    assert chosen is min(certain, key=lambda member: member.mean[1]).trial


def test_by_allocation(study, replicated):
    trial = study.trials[7]
    assert pick(study, f"allocation:{trial.allocation}") is trial
    (several,) = (c for c in study_front(replicated).candidates if c.replicates.count == 3)
    assert pick(replicated, f"allocation:{several.allocation}") is several.trial


def test_complete_trials_without_a_finite_objective(study_of):
    with pytest.raises(InputError, match="none of the 1 complete trials has finite objectives"):
        pick(study_of([[math.inf]]), "knee")


def test_best_is_the_member_with_the_best_mean(replicated):
    members = study_front(replicated).members
    for i, objective in enumerate(replicated.config.study.parsed_objectives):
        best = max if objective.direction == "maximize" else min
        expected = best(member.mean[i] for member in members)
        found = pick(replicated, f"best:{objective.metric}")
        assert expected == next(m.mean[i] for m in members if m.trial is found)
    with pytest.raises(InputError, match=r"'elbo' is no objective of the study.*retention"):
        pick(replicated, "best:elbo")


def test_best_is_on_the_front_where_others_are_as_good(study_of):
    # The first is as good in retention and worse in attenuation.
    assert pick(study_of([[2.0, 0.5], [2.0, 0.1], [1.0, 0.0]]), "best:retention").number == 1


def test_several_picks_keep_their_order_and_texts(study):
    texts = ["best:auroc", "knee", "best:auroc"]
    found = picks(study, texts)
    assert [each.text for each in found] == texts[:2]
    assert [each.trial for each in found] == [pick(study, text) for text in texts[:2]]
    front = picks(study, ["front"], ["retention>=10"])
    assert [f.trial for f in front] == [
        m.trial for m in study_front(study).members if m.mean[0] >= 10
    ]
    with pytest.raises(InputError, match="Did you mean knee"):
        picks(study, ["knee", "kneee"])

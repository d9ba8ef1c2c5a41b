from __future__ import annotations

import dataclasses

import pytest

from allocsearch.config import InputError
from allocsearch.report.exports.pick import pick
from allocsearch.report.front import study_front


def _on_front(record):
    return {member.trial.number: member.mean for member in study_front(record).members}


def test_a_constraint_on_an_objective_narrows_the_front(study):
    trial = pick(study, "knee", ["attenuation<=0.5"])
    assert trial.number in _on_front(study)
    assert trial.metrics["attenuation"] <= 0.5
    assert pick(study, "max:auroc", ["attenuation<=0.5"]).metrics["auroc"] == max(
        t.metrics["auroc"] for t in study.complete if t.metrics["attenuation"] <= 0.5
    )


def test_the_front_is_that_of_what_satisfies_a_constraint(study_of):
    # The first dominates the second, and is ruled out by a metric that is no objective.
    record = study_of([[2.0, 0.1], [1.0, 0.2]])
    trials = tuple(
        dataclasses.replace(t, metrics={**t.metrics, "elbo": -10.0 - t.number})
        for t in record.trials
    )
    record = dataclasses.replace(record, trials=trials)
    assert pick(record, "knee").number == 0
    assert pick(record, "knee", ["elbo<-10"]).number == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("retention<2", {0}),
        ("retention<=2", {0, 1}),
        ("retention > 2", {2}),
        ("retention>=2e0", {1, 2}),
    ],
)
def test_operators(study_of, text, expected):
    record = study_of([[1.0], [2.0], [3.0]])
    for number in range(3):
        if number in expected:
            assert pick(record, f"trial:{number}", [text]).number == number
            continue
        with pytest.raises(InputError, match="has retention"):
            pick(record, f"trial:{number}", [text])


def test_all_constraints_hold_together(study):
    where = ["attenuation<=0.6", "auroc>=0.6", "retention>8"]
    trial = pick(study, "min:rate", where)
    assert trial.metrics["attenuation"] <= 0.6
    assert trial.metrics["auroc"] >= 0.6
    assert trial.metrics["retention"] > 8


def test_what_nothing_satisfies_names_the_nearest(study):
    lowest = pick(study, "min:attenuation")
    with pytest.raises(InputError) as caught:
        pick(study, "knee", ["attenuation<=0.01"])
    message = str(caught.value)
    assert "none of 20 allocations satisfies this" in message
    assert f"the nearest is {lowest.allocation} with" in message
    assert message.endswith(f"attenuation {lowest.metrics['attenuation']:.3f}")
    assert "\n" not in message


def test_the_nearest_weighs_excesses_by_their_ranges(study_of):
    # Ranges 10 and 1: the second misses by 0.1 of a range, the first by 0.5.
    record = study_of([[15.0, 0.0], [19.0, 0.5], [10.0, 1.0]])
    with pytest.raises(InputError, match=r"nearest is 9-8-8 with retention 19\.00"):
        pick(record, "knee", ["retention>=20"])
    with pytest.raises(InputError, match=r"retention>=16 and attenuation<=0\.1: .* is 8-8-8 with"):
        pick(record, "knee", ["retention>=16", "attenuation<=0.1"])


def test_means_are_what_counts(study_of):
    record = study_of([[1.0], [5.0], [3.5]])
    first, second, third = record.trials
    second = dataclasses.replace(second, allocation=first.allocation)
    record = dataclasses.replace(record, trials=(first, second, third))
    assert pick(record, "max:retention").number == 2
    with pytest.raises(InputError, match="none of 2 allocations"):
        pick(record, "knee", ["retention>4"])
    # One training that is named stands for itself.
    assert pick(record, "trial:1", ["retention>4"]).number == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("attenuation", ["found 'attenuation'", "METRIC<=NUMBER"]),
        ("attenuation=0.5", ["METRIC<=NUMBER"]),
        ("attenuation<=low", ["found 'attenuation<=low'"]),
        ("attenuation<=nan", ["METRIC<=NUMBER"]),
        ("atenuation<=0.5", ["unknown metric 'atenuation'", "Did you mean attenuation?"]),
    ],
)
def test_mistakes_are_one_line(study, text, words):
    with pytest.raises(InputError) as caught:
        pick(study, "knee", [text])
    message = str(caught.value)
    assert message.startswith("--where")
    assert "\n" not in message
    for word in words:
        assert word in message

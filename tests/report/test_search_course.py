from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta

import numpy as np
import pytest
from optuna._hypervolume.wfg import compute_hypervolume
from pandas.testing import assert_frame_equal

from allocsearch.allocation import Allocation
from allocsearch.report.front import study_front
from allocsearch.report.search_course import MOST_STEPS, course_frame

START = datetime(2026, 3, 1, 12)


def timed(record, order=None):
    """The study, whose trials ended in an order, a second after each other."""
    order = range(len(record.trials)) if order is None else order
    ends = {number: START + timedelta(seconds=i) for i, number in enumerate(order)}
    trials = (dataclasses.replace(t, ended=ends[t.number]) for t in record.trials)
    return dataclasses.replace(record, trials=tuple(trials))


@pytest.mark.parametrize("objectives", [2, 3])
def test_hypervolume_is_that_of_another_library_after_every_trial(study_of, objectives):
    rng = np.random.default_rng(1)
    values = rng.normal(size=(12, objectives))
    order = [*map(int, rng.permutation(12))]
    frame = course_frame(timed(study_of(values.tolist()), order))
    cost = values * [-1.0, 1.0, -1.0][:objectives]
    scaled = (cost - cost.min(axis=0)) / np.ptp(cost, axis=0)
    truth = [compute_hypervolume(scaled[order[: i + 1]], np.ones(objectives)) for i in range(12)]
    assert frame["hypervolume"].tolist() == pytest.approx(truth)
    assert frame["number"].tolist() == order
    assert frame["trials"].tolist() == [*range(1, 13)]
    assert frame["seconds"].tolist() == pytest.approx(range(1, 13))


def test_the_last_one_is_that_of_the_front(replicated):
    frame = course_frame(replicated)
    assert frame["hypervolume"].iloc[-1] == pytest.approx(study_front(replicated).volume.value)
    ended = [t for t in replicated.trials if t.finished or t.state == "interrupted"]
    assert len(frame) == len(ended) == frame["trials"].iloc[-1]


def test_another_training_can_lower_it_and_what_failed_costs_time(study_of):
    record = study_of([(1.0, 0.9), (3.0, 0.1), (1.0, 0.5), (2.0, 0.3)])
    worst, lucky, failed, again = record.trials
    failed = dataclasses.replace(failed, state="failed", values=(), duration=5.0)
    again = dataclasses.replace(again, allocation=lucky.allocation)
    frame = course_frame(timed(dataclasses.replace(record, trials=(worst, lucky, failed, again))))
    # Retention from 1 to 3, attenuation from 0.9 to 0.1; the mean of 3 and 2 is 2.5, of 0.1 and
    # 0.3 it is 0.2.
    assert frame["hypervolume"].tolist() == pytest.approx([0, 1, 1, 1.5 / 2 * 0.7 / 0.8])
    assert frame["seconds"].tolist() == [1, 2, 7, 8]


def test_one_objective_has_the_best_so_far(study_of):
    frame = course_frame(timed(study_of([(3.0,), (1.0,), (4.0,), (2.0,)])))
    assert frame["best"].tolist() == [3, 3, 4, 4]


def test_nothing_is_known_before_the_first_complete_trial(study):
    first = dataclasses.replace(study.trials[0], state="failed", values=())
    frame = course_frame(dataclasses.replace(study, trials=(first, *study.trials[1:])))
    assert frame["hypervolume"].isna().tolist() == [True] + [False] * (len(frame) - 1)


def test_an_unknown_duration_makes_the_sum_unknown(study_of):
    record = study_of([(1.0, 0.9), (3.0, 0.1)])
    second = dataclasses.replace(record.trials[1], duration=None)
    frame = course_frame(dataclasses.replace(record, trials=(record.trials[0], second)))
    assert frame["seconds"].isna().tolist() == [False, True]


def test_a_large_study_has_some_steps_and_the_last_is_among_them(study_of):
    rng = np.random.default_rng(0)
    record = study_of(rng.normal(size=(2000, 3)).tolist())
    frame = course_frame(record)
    assert len(frame) == MOST_STEPS
    assert frame["trials"].iloc[[0, -1]].tolist() == [1, 2000]
    [left_out, *_] = {*range(2000)} - {*frame["number"]}
    with_it = course_frame(record, always=[left_out])
    assert [*with_it["number"]] == sorted([*frame["number"], left_out])
    without = with_it[with_it["number"] != left_out].reset_index(drop=True)
    assert_frame_equal(without, frame)
    trials = tuple(
        dataclasses.replace(t, allocation=Allocation((1 + t.number % 7, 8, 8)))
        for t in record.trials
    )
    again = course_frame(dataclasses.replace(record, trials=trials))
    means = {
        a: np.mean([t.values for t in trials if t.allocation == a], axis=0)
        for a in {t.allocation for t in trials}
    }
    cost = np.array([*means.values()]) * [-1, 1, -1]
    told = np.array([t.values for t in trials]) * [-1, 1, -1]
    scaled = (cost - told.min(axis=0)) / np.ptp(told, axis=0)
    truth = compute_hypervolume(scaled, np.ones(3))
    assert again["hypervolume"].iloc[-1] == pytest.approx(truth)

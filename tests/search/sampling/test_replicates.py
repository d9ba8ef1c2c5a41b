from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from allocsearch.allocation import Allocation
from allocsearch.search.records import TrialRecord
from allocsearch.search.sampling.replicates import Replicates, by_allocation, pooled_spread


def _trial(number, allocation, *values, seed=None, **metrics):
    seed = number if seed is None else seed
    return TrialRecord(
        number, "complete", Allocation(allocation), seed, values=values, metrics=metrics
    )


def test_trials_are_grouped_by_allocation_in_order():
    trials = [
        _trial(3, (4, 2), 3.0),
        _trial(0, (2, 4), 1.0),
        _trial(2, (4, 2), 5.0),
        TrialRecord(1, "failed", Allocation((4, 2))),
    ]
    groups = by_allocation(trials)
    assert [[t.number for t in g.trials] for g in groups] == [[0], [2, 3]]
    assert [g.count for g in groups] == [1, 2]
    assert groups[1].mean == (4.0,)


def test_the_same_training_twice_is_one():
    groups = by_allocation([_trial(0, (2, 4), 1.0, seed=7), _trial(1, (2, 4), 1.0, seed=7)])
    assert [g.count for g in groups] == [1]
    assert pooled_spread(groups) is None


def test_trials_of_unknown_allocation_stay_apart():
    trials = [TrialRecord(i, "complete", values=(1.0,)) for i in range(3)]
    assert [g.count for g in by_allocation(trials)] == [1, 1, 1]


def test_mean_of_a_metric_passes_over_what_is_no_number():
    group = Replicates(
        None,
        (
            _trial(0, (1,), 0.0, elbo=-4.0),
            _trial(1, (1,), 0.0, elbo=math.nan),
            _trial(2, (1,), 0.0),
        ),
    )
    assert group.mean_of("elbo") == -4.0
    assert math.isnan(group.mean_of("rate"))


def test_means_of_huge_values_stay_finite():
    group = Replicates(None, (_trial(0, (1,), 1.5e308), _trial(1, (1,), 1.5e308)))
    assert group.mean == (1.5e308,)


@settings(derandomize=True, max_examples=30, deadline=None)
@given(counts=st.lists(st.integers(1, 4), min_size=2, max_size=8), seed=st.integers(0, 100))
def test_variances_are_the_mean_square_within_groups(counts, seed):
    rng = np.random.default_rng(seed)
    groups = [
        Replicates(None, tuple(_trial(i, (1,), *rng.normal(size=2)) for i in range(count)))
        for count in counts
    ]
    spread = pooled_spread(groups)
    repeated = [group.values for group in groups if group.count > 1]
    if not repeated:
        assert spread is None
        return
    assert spread.freedom == sum(counts) - len(counts)
    # Bartlett's pooled variance, as the analysis of variance has it.
    for column in range(2):
        squares = [(len(v) - 1) * v[:, column].var(ddof=1) for v in repeated]
        expected = sum(squares) / spread.freedom
        assert spread.covariance[column, column] == pytest.approx(expected)
        assert spread.errors(3)[column] == pytest.approx(math.sqrt(expected / 3))
    correlation = spread.covariance[0, 1] / math.sqrt(np.prod(np.diag(spread.covariance)))
    assert abs(correlation) <= spread.freedom / (spread.freedom + 3) + 1e-12


def test_correlation_is_found_where_there_are_many_replicates():
    truth = np.array([[1.0, -0.6], [-0.6, 2.0]])
    draws = stats.multivariate_normal([0, 0], truth).rvs((2000, 2), random_state=0)
    groups = [
        Replicates(None, tuple(_trial(i, (1,), *(row + 10 * k)) for i, row in enumerate(pair)))
        for k, pair in enumerate(draws)
    ]
    spread = pooled_spread(groups)
    assert spread.freedom == 2000
    # Standard errors of the entries are at most 0.07.
    assert spread.covariance == pytest.approx(truth, abs=0.2)


def test_a_frozen_group_is_its_own_key():
    group = Replicates(None, (_trial(0, (1,), 0.0),))
    assert {group: 1}[group] == 1
    assert dataclasses.replace(group) != group

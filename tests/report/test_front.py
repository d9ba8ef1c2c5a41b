from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocsearch.config import Objective
from allocsearch.report.front import Candidate, knee, non_dominated, pareto_front
from allocsearch.search.records import TrialRecord
from allocsearch.search.sampling.replicates import Replicates

# Few distinct values, so that ties and duplicates are common; both zeros among them.
_VALUES = st.sampled_from([-1.5, -0.0, 0.0, 0.25, 1.0, 1e-300, 1e300])


def _points(columns: int) -> st.SearchStrategy[list[list[float]]]:
    row = st.lists(_VALUES, min_size=columns, max_size=columns)
    return st.lists(row, min_size=0, max_size=25)


def _brute_force(points: np.ndarray) -> list[bool]:
    def dominates(a: np.ndarray, b: np.ndarray) -> bool:
        return bool((a <= b).all() and (a < b).any())

    return [not any(dominates(a, b) for a in points) for b in points]


@settings(derandomize=True, max_examples=100)
@given(st.integers(1, 4).flatmap(lambda m: st.tuples(st.just(m), _points(m))))
def test_non_dominated_is_the_definition(case):
    columns, rows = case
    points = np.array(rows, dtype=float).reshape(-1, columns)
    assert non_dominated(points).tolist() == _brute_force(points)


def test_many_random_points_as_by_definition():
    points = np.random.default_rng(0).normal(size=(400, 3)).round(1)
    mask = non_dominated(points)
    assert mask.tolist() == _brute_force(points)
    assert 0 < mask.sum() < 400


def test_front_is_that_of_optuna(study_of):
    import optuna

    values = np.random.default_rng(1).normal(size=(60, 3)).round(1)
    record = study_of(values.tolist())
    directions = [o.direction for o in record.config.study.parsed_objectives]
    truth = optuna.create_study(directions=directions)
    for row in values:
        truth.add_trial(optuna.trial.create_trial(values=row.tolist()))
    expected = {trial.number for trial in truth.best_trials}
    assert {trial.number for trial in pareto_front(record)} == expected


def test_front_keeps_equal_trials_and_is_ordered(study_of):
    record = study_of([[1, 0.5], [3, 0.9], [1, 0.5], [2, 0.9], [0, 0.6]])
    assert [trial.number for trial in pareto_front(record)] == [1, 0, 2]


def test_values_that_are_not_finite_are_left_out(study_of):
    record = study_of([[math.inf, 0.5], [3, 0.9]])
    assert [trial.number for trial in pareto_front(record)] == [1]
    assert pareto_front(study_of([])) == ()


def _members(*rows: tuple[float, ...]) -> list[Candidate]:
    trials = [TrialRecord(i, "complete", values=row) for i, row in enumerate(rows)]
    return [Candidate(Replicates(None, (t,)), t, t.values) for t in trials]


_TWO = (Objective.parse("max:retention"), Objective.parse("min:attenuation"))


def test_knee_is_the_corner_of_a_front():
    # Scaled: (0, 1), (0.9, 0.2) and (1, 0); distances to the ideal 1, 0.22 and 1.
    assert knee(_members((0, 0), (90, 0.2), (100, 1)), _TWO).trial.number == 1


def test_knee_does_not_depend_on_units_or_order():
    rows = [(0.0, 0.0), (5.0, 0.3), (8.0, 0.5), (10.0, 1.0)]
    trials = _members(*rows)
    chosen = knee(trials, _TWO).trial.number
    assert knee(trials[::-1], _TWO).trial.number == chosen
    scaled = _members(*((1e6 * a - 3, 1e-6 * b) for a, b in rows))
    assert knee(scaled, _TWO).trial.number == chosen


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(1.0, 0.0), (0.0, -1.0)], 0),  # the two ends are equally near
        ([(2.0, 0.5), (2.0, 0.5)], 0),  # equal values
        ([(2.0, 0.5)], 0),  # one member
        ([(1e308, 0.0), (-1e308, -1.0), (9e307, -0.9)], 2),  # a range that overflows
    ],
)
def test_knee_of_degenerate_fronts(rows, expected):
    assert knee(_members(*rows), _TWO).trial.number == expected


def test_knee_with_one_objective_is_the_best():
    assert knee(_members((1.0,), (4.0,), (4.0,), (3.0,)), _TWO[:1]).trial.number == 1


def test_knee_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="empty front"):
        knee([], _TWO)

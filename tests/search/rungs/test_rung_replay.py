from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from allocsearch.allocation import Allocation
from allocsearch.config import EarlyStoppingSection, Objective
from allocsearch.search.records import RungRecord, TrialRecord
from allocsearch.search.rungs.rung_replay import Replay, replay

AUTO = EarlyStoppingSection(mode="auto", rungs=(0.25, 0.5))
FORCED = AUTO.model_copy(update={"mode": "forced"})
THREE = tuple(map(Objective.parse, ("max:retention", "min:attenuation", "max:auroc")))


def measured(number, rungs, final, *, judged=False):
    return TrialRecord(
        number=number,
        state="complete",
        allocation=Allocation((number + 1, 1)),
        values=tuple(final),
        rungs=tuple(RungRecord(rung, tuple(values), judged) for rung, values in rungs.items()),
    )


def perfect(values):
    """Full trainings of which every rung shows the end."""
    return [measured(i, dict.fromkeys(AUTO.rungs, row), row) for i, row in enumerate(values)]


def test_a_perfect_rung_saves_two_fifths_of_the_cost_and_nothing_of_the_front():
    rng = np.random.default_rng(0)
    saved = []
    for _ in range(20):
        trials = perfect(rng.normal(size=(60, 3)).tolist())
        found = replay(trials, THREE, AUTO.rungs, AUTO, "full")
        assert found.trials == 60
        assert min(found.stopped) >= AUTO.calibration_trials
        assert found.lost == 0
        saved.append(found.saved)
    assert np.mean(saved) >= 0.4


@pytest.mark.parametrize("objectives", [THREE[:1], THREE[:2]])
def test_with_fewer_objectives_it_saves_more(objectives):
    rng = np.random.default_rng(1)
    trials = [perfect(rng.normal(size=(60, len(objectives))).tolist()) for _ in range(10)]
    found = [replay(each, objectives, AUTO.rungs, AUTO, "full") for each in trials]
    assert not any(each.lost for each in found)
    assert np.mean([each.saved for each in found]) >= 0.45


def test_a_useless_rung_stops_nothing_unless_it_is_forced():
    rng = np.random.default_rng(2)
    for _ in range(5):
        final = rng.normal(size=(60, 3)).tolist()
        trials = [
            measured(i, {rung: tuple(rng.normal(size=3)) for rung in AUTO.rungs}, row)
            for i, row in enumerate(final)
        ]
        assert replay(trials, THREE, AUTO.rungs, AUTO, "full").stopped == {}
        forced = replay(trials, THREE, AUTO.rungs, FORCED, "full")
        assert forced.saved > 0.3
        assert forced.lost > 0


def test_a_replay_by_hand():
    # With a factor of 3 the third is judged first: among the best of three. One objective.
    values = [(5.0,), (4.0,), (3.0,), (6.0,), (1.0,), (5.5,)]
    trials = [measured(i, {0.25: row}, row) for i, row in enumerate(values)]
    found = replay(reversed(trials), THREE[:1], (0.25,), FORCED, "full")
    # Numbers 0, 1: too few. 2: third of three. 3: the best. 4: fifth of five. 5: second of six.
    assert found == Replay(6, {2: 0.25, 4: 0.25}, pytest.approx(2 * 0.75 / 6), 1, 0)


def test_rungs_of_their_own_schedules_cost_what_they_train():
    values = [(5.0,), (4.0,), (3.0,), (6.0,), (1.0,), (5.5,)]
    trials = [measured(i, {0.25: row, 0.5: row}, row) for i, row in enumerate(values)]
    found = replay(trials, THREE[:1], (0.25, 0.5), FORCED, "own")
    assert found.stopped == {2: 0.25, 4: 0.25}
    # Four trainings of 1 + 1/4 + 1/2, and two of a quarter.
    assert found.saved == pytest.approx(1 - (4 * 1.75 + 2 * 0.25) / 6)
    alone = replay(trials, THREE[:1], (0.25,), FORCED, "own")
    assert alone.saved == pytest.approx(1 - (4 * 1.25 + 2 * 0.25) / 6)


def test_what_was_judged_or_lacks_a_rung_is_no_part_of_it():
    trials = perfect(np.random.default_rng(3).normal(size=(12, 3)).tolist())
    others = [
        measured(20, {0.25: (9.0, 0.0, 9.0)}, (9.0, 0.0, 9.0)),
        measured(21, dict.fromkeys(AUTO.rungs, (9.0, 0.0, 9.0)), (9.0, 0.0, 9.0), judged=True),
        dataclasses.replace(trials[0], number=22, state="running"),
    ]
    expected = replay(trials, THREE, AUTO.rungs, FORCED, "full")
    assert replay([*trials, *others], THREE, AUTO.rungs, FORCED, "full") == expected
    assert replay([*trials, *others], THREE, (0.25,), FORCED, "full").trials == 13
    assert replay(others, THREE, AUTO.rungs, AUTO, "full") == Replay(0, {}, 0.0, 0, 0)

from __future__ import annotations

import moocore
import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from allocsearch.allocation import Allocation
from allocsearch.config import SearchSpaceSection
from allocsearch.search.records import ALLOCATION
from allocsearch.search.sampling import lattice_sampler
from allocsearch.search.sampling.lattice_sampler import propose_allocation
from allocsearch.search.sampling.surrogate import Surrogate, fit_surrogate
from allocsearch.spaces import Space, build_space

DIRECTIONS = [optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE]


def values(allocation: Allocation) -> tuple[float, float]:
    """The front is where the middle layer is as narrow as can be: 18 allocations."""
    bottom, middle, top = allocation.dims
    return bottom - 0.4 * middle, -top + 0.4 * middle


def trained(space: Space, count: int) -> list[FrozenTrial]:
    found = []
    for number, rank in enumerate(np.random.default_rng(0).permutation(space.size)[:count]):
        allocation = space[int(rank)]
        trial = create_trial(
            state=TrialState.COMPLETE,
            values=values(allocation),
            user_attrs={ALLOCATION: str(allocation)},
        )
        trial.number = number
        found.append(trial)
    return found


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[set[Allocation]]:
    """What regressions are fitted to."""
    seen: list[set[Allocation]] = []

    def spy(allocations, losses, counts, *rest) -> Surrogate:
        assert len(allocations) == len(losses) == len(counts)
        np.testing.assert_allclose(np.ptp(losses, axis=0) <= 1 + 1e-9, True)
        seen.append({*allocations})
        return fit_surrogate(allocations, losses, counts, *rest)

    monkeypatch.setattr(lattice_sampler, "fit_surrogate", spy)
    return seen


def test_a_regression_is_of_the_best_and_of_some_others(monkeypatch, fitted) -> None:
    monkeypatch.setattr(lattice_sampler, "_MOST", 60)
    space = build_space(SearchSpaceSection(budget=24, min_dim=2))
    trials = trained(space, 120)
    known = {Allocation.parse(trial.user_attrs[ALLOCATION]) for trial in trials}
    losses = np.array([(-a, b) for a, b in map(values, sorted(known))])
    front = {a for a, on in zip(sorted(known), moocore.is_nondominated(losses), strict=True) if on}
    assert 5 <= len(front) <= 30
    proposed = [propose_allocation(trials, space, DIRECTIONS, seed) for seed in range(3)]
    assert all(len(each) == 60 for each in fitted)
    assert all(front <= each <= known for each in fitted)
    assert len({frozenset(each) for each in fitted}) == 3
    assert not known.intersection(proposed)


def test_few_allocations_are_all_fitted(fitted) -> None:
    space = build_space(SearchSpaceSection(budget=24, min_dim=2))
    propose_allocation(trained(space, 60), space, DIRECTIONS, 0)
    assert [len(each) for each in fitted] == [60]


def test_where_few_allocations_are_left_each_of_them_can_be_proposed(monkeypatch) -> None:
    """In a space above the number of candidates that is all but used up."""
    monkeypatch.setattr(lattice_sampler, "_ALL", 30)
    monkeypatch.setattr(lattice_sampler, "_MOST", 40)
    space = build_space(SearchSpaceSection(budget=24, min_dim=2))
    trials = trained(space, space.size - 3)
    known = {Allocation.parse(trial.user_attrs[ALLOCATION]) for trial in trials}
    left = {space[rank] for rank in range(space.size)} - known
    assert len(left) == 3
    assert {propose_allocation(trials, space, DIRECTIONS, seed) for seed in range(2)} <= left

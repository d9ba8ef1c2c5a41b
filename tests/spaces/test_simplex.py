from __future__ import annotations

from collections import Counter

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import FixedTrial
from scipy import stats

from allocsearch.allocation import Allocation, Lattice
from allocsearch.config import SearchSpaceSection
from allocsearch.spaces import SimplexSpace, build_space

LATTICES = [
    Lattice(9, 3),
    Lattice(32, 3, step=4),
    Lattice(12, 4, min_dim=2),
    Lattice(12, 3, max_dim=(4, 9, 6)),
    Lattice(30, 3, step=(6, 4, 1), max_dim=(18, 30, 30)),
    Lattice(7, 1),
]


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
def test_params_lead_back_to_every_allocation(lattice: Lattice) -> None:
    space = SimplexSpace(lattice)
    for allocation in lattice:
        assert space.suggest(FixedTrial(space.params(allocation))) == allocation


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
def test_it_numbers_the_whole_lattice(lattice: Lattice) -> None:
    space = SimplexSpace(lattice)
    assert [space[rank] for rank in range(space.size)] == list(lattice)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_every_point_gives_an_allocation_of_the_budget(point: list[float]) -> None:
    section = SearchSpaceSection(budget=32, layers=(3,), step=(4,), min_dim=4, max_dim=(24, 16, 8))
    trial = FixedTrial({"simplex_1": point[0], "simplex_2": point[1]})
    allocation = build_space(section).suggest(trial)
    assert allocation.budget == 32
    caps = zip(allocation.dims, (24, 16, 8), strict=True)
    assert all(4 <= d <= most and d % 4 == 0 for d, most in caps)


@pytest.mark.parametrize("lattice", [Lattice(9, 3), Lattice(30, 3, step=(6, 4, 1))], ids=str)
def test_the_random_sampler_is_uniform_over_the_lattice(lattice: Lattice) -> None:
    space = SimplexSpace(lattice)
    assert space.size < 30
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=5))
    counts = Counter(space.suggest(study.ask()) for _ in range(3_000))
    assert set(counts) == set(space.lattice)
    assert stats.chisquare(list(counts.values())).pvalue > 0.001


def test_ranges_are_fixed_and_named_by_layer() -> None:
    trial = FixedTrial({f"simplex_{layer}": 0.5 for layer in (1, 2, 3)})
    SimplexSpace(Lattice(20, 4)).suggest(trial)
    unit = optuna.distributions.FloatDistribution(0.0, 1.0)
    assert trial.distributions == {f"simplex_{layer}": unit for layer in (1, 2, 3)}


def test_an_enqueued_allocation_is_what_the_trial_gets() -> None:
    space = SimplexSpace(Lattice(88, 3))
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.enqueue_trial(space.params(Allocation((64, 18, 6))))
    assert space.suggest(study.ask()) == Allocation((64, 18, 6))


@pytest.mark.parametrize("text", ["8-8", "9-9-9", "4-4-1"])
def test_an_allocation_off_the_lattice_has_no_params(text: str) -> None:
    with pytest.raises(ValueError):
        SimplexSpace(Lattice(9, 3, max_dim=(3, 9, 9))).params(Allocation.parse(text))

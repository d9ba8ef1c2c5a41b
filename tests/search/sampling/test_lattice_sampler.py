from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from allocsearch.allocation import Allocation
from allocsearch.config import SearchSpaceSection, StudyConfig
from allocsearch.search.records import ALLOCATION, REPLICATE
from allocsearch.search.sampling.lattice_sampler import START, LatticeGPSampler, propose_allocation
from allocsearch.search.sampling.surrogate import log_ratio_coordinates
from allocsearch.search.slots import claim, fill
from allocsearch.spaces import build_space

DIRECTIONS = ["maximize", "minimize"]


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def config_of(trials: int, sampler: str = "lattice_gp", **space) -> StudyConfig:
    return StudyConfig.model_validate(
        {
            "study": {
                "trials": trials,
                "sampler": sampler,
                "objectives": ["max:retention", "min:rate"],
            },
            "search_space": {"budget": 12, **space},
            "data": {"id": "digits"},
        }
    )


def values(allocation: Allocation) -> list[float]:
    return [float(allocation.dims[0]), allocation.dims[0] / allocation.dims[-1]]


def test_every_training_is_of_another_allocation() -> None:
    config = config_of(12)
    space = build_space(config.search_space)
    study = optuna.create_study(directions=DIRECTIONS)
    fill(study, config, space)
    while (trial := claim(study, config, space, "worker")) is not None:
        study.tell(trial, values(space.suggest(trial)))
    assert len({t.user_attrs[ALLOCATION] for t in study.trials}) == 12
    assert study.trials[0].user_attrs[ALLOCATION] == "4-4-4"
    assert {t.user_attrs[REPLICATE] for t in study.trials} == {0}


def test_the_first_trials_are_farther_apart_than_random_ones_and_not_at_the_ends() -> None:
    space = build_space(SearchSpaceSection(budget=88, min_dim=2))

    def starts(sampler: str, seed: int) -> list[Allocation]:
        config = config_of(START, sampler, budget=88, min_dim=2)
        config = config.model_copy(
            update={"study": config.study.model_copy(update={"seed": seed})}
        )
        study = optuna.create_study(directions=DIRECTIONS)
        fill(study, config, space)
        found = []
        while (trial := claim(study, config, space, "worker")) is not None:
            found.append(space.suggest(trial))
        return found

    def least_distance(found: list[Allocation]) -> float:
        points = log_ratio_coordinates(found, 3)
        apart = np.linalg.norm(points[:, None] - points[None], axis=2)
        return float(apart[~np.eye(START, dtype=bool)].min())

    ours = [starts("lattice_gp", seed) for seed in range(8)]
    random = [starts("random", seed) for seed in range(8)]
    distances = [np.mean([least_distance(each) for each in found]) for found in (ours, random)]
    assert distances[0] > 1.4 * distances[1]
    assert {str(found[0]) for found in ours} <= {"29-29-30", "29-30-29", "30-29-29"}
    # The farthest of all 3,486 have two dims in a layer or two; most of these do not.
    ends = [min(allocation.dims) == 2 for found in ours for allocation in found[1:]]
    assert np.mean(ends) < 0.4


def test_it_finds_the_optimum_of_one_objective() -> None:
    space = build_space(SearchSpaceSection(budget=60, step=2))
    target = log_ratio_coordinates([Allocation((40, 14, 6))], 3)

    def score(allocation: Allocation) -> float:
        return float(((log_ratio_coordinates([allocation], 3) - target) ** 2).sum())

    study = optuna.create_study(direction="minimize")
    found = []
    for number in range(20):
        study.sampler = LatticeGPSampler(space, number)
        trial = study.ask()
        allocation = space.suggest(trial)
        found.append(score(allocation))
        study.tell(trial, found[-1])
    # The nearest of all 406 is the target itself; 20 random ones miss it by about 0.1.
    assert min(found) < 0.02


@pytest.mark.parametrize("objectives", [2, 3, 5])
def test_any_number_of_objectives(objectives: int) -> None:
    space = build_space(SearchSpaceSection(budget=12))
    study = optuna.create_study(directions=["minimize"] * objectives)
    found = set()
    for number in range(START + 2):
        study.sampler = LatticeGPSampler(space, number)
        trial = study.ask()
        dims = space.suggest(trial).dims
        found.add(dims)
        study.tell(trial, [float((dims[i % 3] - i) ** 2) for i in range(objectives)])
    assert len(found) == START + 2


def test_what_runs_or_failed_is_not_proposed() -> None:
    config = config_of(20, budget=6)
    space = build_space(config.search_space)
    study = optuna.create_study(directions=DIRECTIONS)
    fill(study, config, space)
    for number in range(10):
        trial = claim(study, config, space, f"worker {number}")
        assert trial is not None
        allocation = space.suggest(trial)
        if number % 3 == 0:
            study.tell(trial, values(allocation))
        elif number % 3 == 1:
            study.tell(trial, state=TrialState.FAIL)
    assert len({t.user_attrs[ALLOCATION] for t in study.trials[:10]}) == space.size == 10
    # All have been trained or run: the next are replicates.
    trial = claim(study, config, space, "worker")
    assert trial is not None
    assert trial.user_attrs[REPLICATE] == 1


def test_a_population_gets_different_allocations() -> None:
    space = build_space(SearchSpaceSection(budget=60, step=4))
    study = optuna.create_study(directions=DIRECTIONS)
    for number in range(START):
        study.sampler = LatticeGPSampler(space, number)
        trial = study.ask()
        study.tell(trial, values(space.suggest(trial)))
    together = []
    for number in range(3):
        study.sampler = LatticeGPSampler(space, number)
        together.append(space.suggest(study.ask()))
    alone = propose_allocation(study.trials[:START], space, study.directions, 0)
    assert together[0] == alone
    assert len(set(together)) == 3


def test_a_proposal_follows_from_seed_and_history() -> None:
    space = build_space(SearchSpaceSection(budget=40))
    study = optuna.create_study(directions=DIRECTIONS)
    for number in range(START):
        study.sampler = LatticeGPSampler(space, number)
        trial = study.ask()
        study.tell(trial, values(space.suggest(trial)))
    trials, directions = study.trials, study.directions
    proposed = [propose_allocation(trials, space, directions, seed) for seed in (1, 1)]
    assert proposed[0] == proposed[1]
    assert len({propose_allocation(trials, space, directions, seed) for seed in range(4)}) > 1


@pytest.mark.parametrize("value", [float("inf"), 0.0])
def test_trials_without_use_do_not_stop_it(value: float) -> None:
    """Infinite or constant values."""
    space = build_space(SearchSpaceSection(budget=12))
    study = optuna.create_study(directions=DIRECTIONS)
    for number in range(START + 2):
        study.sampler = LatticeGPSampler(space, number)
        trial = study.ask()
        space.suggest(trial)
        study.tell(trial, [value, 1.0])
    found = {space.suggest(optuna.trial.FixedTrial(trial.params)) for trial in study.trials}
    assert len(found) == START + 2


def test_a_space_too_large_to_list_is_searched() -> None:
    space = build_space(SearchSpaceSection(budget=1000, layers=6))
    assert space.size > 10**12
    study = optuna.create_study(directions=DIRECTIONS)
    found = set()
    for number in range(START + 2):
        study.sampler = LatticeGPSampler(space, number)
        trial = study.ask()
        allocation = space.suggest(trial)
        assert allocation.budget == 1000
        found.add(allocation)
        study.tell(trial, values(allocation))
    assert len(found) == START + 2


def test_qmc_is_one_sequence_over_all_workers(tmp_path: Path) -> None:
    config = config_of(32, "qmc", budget=60)
    space = build_space(config.search_space)
    url = f"sqlite:///{tmp_path / 's.db'}"
    study = optuna.create_study(study_name="s", storage=url, directions=DIRECTIONS)
    fill(study, config, space)
    # Each with its own view of the storage, as in processes of their own; none has ended a trial.
    workers = [optuna.load_study(study_name="s", storage=url) for _ in range(2)]
    for number in range(32):
        assert claim(workers[number % 2], config, space, str(number % 2)) is not None
    points = [space.params(Allocation.parse(t.user_attrs[ALLOCATION])) for t in study.trials]
    for name in ("simplex_1", "simplex_2"):
        # The first 32 of a scrambled Sobol sequence have four in each eighth, but for rounding to
        # the lattice and for neighbours that take the place of what is there already.
        counts, _ = np.histogram([point[name] for point in points], bins=8, range=(0, 1))
        assert counts.min() >= 3
        assert counts.max() <= 5

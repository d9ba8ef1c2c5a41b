from __future__ import annotations

import multiprocessing
import random
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import get_args

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import FixedTrial

from allocsearch.allocation import Allocation
from allocsearch.config import SamplerName, SearchSpaceSection, StudyConfig, StudySection
from allocsearch.search.records import ALLOCATION, INTERRUPTED, REPLICATE, SEED, read_study
from allocsearch.search.sampling.repeats import candidates, next_replicate, training_seed
from allocsearch.search.slots import STOPPED, claim, fill, requeue
from allocsearch.spaces import Space, build_space
from allocsearch.spaces.nearest import distance

SPACES = {
    "simplex": {"budget": 6},
    "ratio": {"budget": 6, "kind": "ratio"},
    "table": {"budget": 6, "kind": "table", "allocations": ["2-2-2", "3-3", "4-1-1"]},
    "layers": {"budget": 5, "layers": [2, 3]},
}
DIRECTIONS = ["maximize", "minimize"]


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def config_of(space: dict, trials: int = 100, sampler: str = "random", **study) -> StudyConfig:
    objectives = ["max:retention", "min:attenuation"]
    section = {"trials": trials, "sampler": sampler, "objectives": objectives, "seed": 5, **study}
    return StudyConfig.model_validate(
        {"study": section, "search_space": space, "data": {"id": "digits"}}
    )


@lru_cache
def _built(section: str) -> Space:
    return build_space(SearchSpaceSection.model_validate_json(section))


def space_of(config: StudyConfig) -> Space:
    """The space of a study; what a ratio space reaches takes a second to find."""
    return _built(config.search_space.model_dump_json())


def run_all(config: StudyConfig, study: optuna.Study | None = None) -> optuna.Study:
    """Run a study to its end, by a made-up trade-off instead of trainings."""
    space = space_of(config)
    study = study or optuna.create_study(directions=DIRECTIONS)
    fill(study, config, space)
    while (trial := claim(study, config, space, "worker")) is not None:
        dims = space.suggest(trial).dims
        study.tell(trial, [float(dims[0]), dims[0] / dims[-1]])
    return study


def trainings(study: optuna.Study) -> list[tuple[str, int]]:
    return [
        (trial.user_attrs[ALLOCATION], trial.user_attrs[REPLICATE])
        for trial in study.trials
        if not trial.user_attrs.get(INTERRUPTED)
    ]


@pytest.mark.parametrize(
    ("sampler", "repeats"),
    [("tpe", "neighbour"), ("random", "replicate"), ("grid", "neighbour"), ("grid", "replicate")],
)
@pytest.mark.parametrize("name", SPACES)
def test_a_small_space_is_trained_to_its_last_replicate(
    tmp_path: Path, sampler: str, name: str, repeats: str
) -> None:
    config = config_of(SPACES[name], 100, sampler, repeats=repeats, replicates=2)
    space = space_of(config)
    study = run_all(config)
    everything = {(str(space[rank]), r) for rank in range(space.size) for r in range(2)}
    assert Counter(trainings(study)) == dict.fromkeys(everything, 1)
    record = read_study(study, config, tmp_path)
    assert record.finished == record.wanted == 2 * space.size < 100
    if repeats == "neighbour":
        # No allocation has a second training before each has its first.
        assert [replicate for _, replicate in trainings(study)] == sorted(
            replicate for _, replicate in everything
        )


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("sampler", get_args(SamplerName))
def test_every_sampler_sees_what_was_trained(sampler: str, name: str) -> None:
    # Past ten trials samplers propose by their models.
    config = config_of(SPACES[name], 14, sampler, replicates=5)
    space = space_of(config)
    study = run_all(config)
    for trial in study.trials:
        decoded = space.suggest(FixedTrial(trial.params))
        assert str(decoded) == trial.user_attrs[ALLOCATION]
        assert trial.values[0] == decoded.dims[0]
        assert trial.user_attrs[SEED] == training_seed(5, decoded, trial.user_attrs[REPLICATE])


def test_nsga2_knows_the_generation_of_every_trial() -> None:
    study = run_all(config_of({"budget": 12}, 20, "nsga2"))
    assert all(
        any(key.startswith("NSGAIISampler:generation") for key in trial.system_attrs)
        for trial in study.trials
    )


def test_a_study_of_the_number_of_allocations_trains_each_once(tmp_path: Path) -> None:
    config = config_of({"budget": 8}, 21)
    study = run_all(config)
    assert Counter(replicate for _, replicate in trainings(study)) == {0: 21}
    assert read_study(study, config, tmp_path).most is None


def test_repeated_proposals_become_replicates_up_to_their_number() -> None:
    table = {"budget": 6, "kind": "table", "allocations": ["2-2-2", "3-3", "4-1-1", "1-4-1"]}
    config = config_of(table, 4, repeats="replicate", replicates=2)
    space = space_of(config)
    study = optuna.create_study(directions=DIRECTIONS)
    fill(study, config, space)
    # Each of the waiting trials is to propose the same.
    for trial in study.trials:
        fixed = space.params(Allocation((2, 2, 2)))
        study._storage.set_trial_system_attr(trial._trial_id, "fixed_params", fixed)
    study = run_all(config, study)
    found = trainings(study)
    assert found[:2] == [("2-2-2", 0), ("2-2-2", 1)]
    # 4-1-1, 1-4-1 and 3-3 are all 4 dims away.
    assert {replicate for _, replicate in found[2:]} == {0}
    assert len(set(found)) == 4


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    st.dictionaries(st.integers(0, 20), st.integers(1, 4), max_size=21),
    st.integers(0, 20),
    st.integers(1, 3),
    st.sampled_from(["neighbour", "replicate"]),
)
def test_candidates_against_brute_force(
    given_counts: dict[int, int], rank: int, replicates: int, repeats: str
) -> None:
    space = space_of(config_of({"budget": 8}))
    every = [space[n] for n in range(space.size)]
    counts = {every[n]: count for n, count in given_counts.items()}
    trained = {each: set(range(count)) for each, count in counts.items()}
    section = StudySection(repeats=repeats, replicates=replicates)
    proposed = every[rank]
    found = list(candidates(proposed, trained, space, section, random.Random(0)))
    room = [each for each in every if counts.get(each, 0) < replicates]
    assert set(found) == set(room)
    if not room:
        return
    if repeats == "replicate" and proposed in room:
        assert found[0] == proposed
        return
    fewest = min(counts.get(each, 0) for each in room)
    best = min(distance(each, proposed) for each in room if counts.get(each, 0) == fewest)
    assert (counts.get(found[0], 0), distance(found[0], proposed)) == (fewest, best)


def test_a_replicate_that_was_taken_back_is_given_again() -> None:
    one = Allocation((4, 4))
    assert next_replicate({}, one) == 0
    assert next_replicate({one: {0, 1}}, one) == 2
    assert next_replicate({one: {0, 2}}, one) == 1


def test_seeds_depend_on_study_allocation_and_replicate_alone() -> None:
    allocations = [Allocation(dims) for dims in [(8,), (4, 4), (2, 6), (2, 2, 4), (1, 8)]]
    arguments = [(s, a, r) for s in range(20) for a in allocations for r in range(20)]
    seeds = [training_seed(*each) for each in arguments]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert seeds == [training_seed(*each) for each in arguments]


@pytest.mark.parametrize("sampler", ["random", "nsga2"])
def test_stops_change_nothing_of_what_is_trained(sampler: str) -> None:
    config = config_of({"budget": 6}, 25, sampler)
    whole = run_all(config)
    space = space_of(config)
    study = optuna.create_study(directions=DIRECTIONS)
    fill(study, config, space)
    settled = []
    for _ in range(5):
        trial = claim(study, config, space, "worker")
        assert trial is not None
        settled.append((str(space.suggest(trial)), trial.user_attrs[REPLICATE]))
        requeue(study, config, lambda worker: True, STOPPED)
    stopped = run_all(config, study)
    assert set(settled) <= set(trainings(stopped))
    assert len(set(trainings(stopped))) == len(trainings(stopped)) == 25
    if sampler == "random":
        assert set(trainings(stopped)) == set(trainings(whole))


def test_one_killed_before_all_is_recorded_is_settled_anew() -> None:
    config = config_of({"budget": 6}, 3)
    space = space_of(config)
    study = optuna.create_study(directions=DIRECTIONS)
    fill(study, config, space)
    # What the storage holds when the worker dies right before it records the allocation.
    first = study.trials[0]
    study._storage.set_trial_state_values(first._trial_id, optuna.trial.TrialState.RUNNING)
    params = space.params(Allocation((4, 1, 1)))
    study._storage.set_trial_system_attr(first._trial_id, "fixed_params", params)
    study._storage.set_trial_user_attr(first._trial_id, REPLICATE, 0)
    study._storage.set_trial_user_attr(first._trial_id, SEED, 1)
    other = claim(study, config, space, "other")
    assert other is not None
    requeue(study, config, lambda worker: worker is None, "the worker died")
    run_all(config, study)
    ended = [t for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE]
    repeated = ended[-1]
    assert repeated.user_attrs[ALLOCATION] == "4-1-1"
    assert repeated.user_attrs[SEED] == training_seed(5, Allocation((4, 1, 1)), 0)


@pytest.mark.parametrize(
    "space", [{"budget": 400_000, "layers": 2}, {"budget": 900, "layers": 12}]
)
def test_neighbours_in_a_huge_space_decode_to_themselves(space: dict) -> None:
    config = config_of(space, 6)
    built = space_of(config)
    study = optuna.create_study(directions=DIRECTIONS)
    fill(study, config, built)
    fixed = built.params(built[built.size // 2])
    for trial in study.trials:
        study._storage.set_trial_system_attr(trial._trial_id, "fixed_params", fixed)
    run_all(config, study)
    assert len({allocation for allocation, _ in trainings(study)}) == 6
    proposed = built.suggest(FixedTrial(fixed))
    for trial in study.trials:
        decoded = built.suggest(FixedTrial(trial.params))
        assert str(decoded) == trial.user_attrs[ALLOCATION]
        assert distance(decoded, proposed) <= 6


def _work(url: str, config: StudyConfig, name: str) -> None:
    study = optuna.load_study(study_name="shared", storage=url)
    space = space_of(config)
    while (trial := claim(study, config, space, name)) is not None:
        dims = space.suggest(trial).dims
        study.tell(trial, [float(dims[0]), dims[0] / dims[-1]])


def test_processes_never_train_the_same_twice(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.create_study(study_name="shared", storage=url, directions=DIRECTIONS)
    config = config_of({"budget": 5}, 100, replicates=3, repeats="replicate")
    space = space_of(config)
    fill(study, config, space)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_work, args=(url, config, name)) for name in ("a", "b")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    found = trainings(study)
    assert len(found) == len(set(found)) == 3 * space.size
    assert all(trial.state.is_finished() for trial in study.trials)

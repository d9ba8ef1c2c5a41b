from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
import pytest

from allocsearch.allocation import Allocation
from allocsearch.config import InputError, StudyConfig, StudySection, load
from allocsearch.search.records import ALLOCATION, REPLICATE, SEED, TrialRecord
from allocsearch.search.sampling.replication import is_replicating, least_certain
from allocsearch.search.slots import claim, fill
from allocsearch.spaces import build_space

STUDY = StudySection(objectives=("max:retention", "min:rate"), replicates=3)
SURE, DOUBTFUL, HOPELESS = (Allocation(dims) for dims in [(6, 2), (4, 4), (2, 6)])
# Trainings of one allocation differ by about 0.1; the doubtful one is dominated by 0.05 only.
VALUES = {
    SURE: [(5.0, 1.0), (5.1, 1.1), (4.9, 0.9)],
    DOUBTFUL: [(4.95, 1.05)],
    HOPELESS: [(1.0, 9.0)],
}


def trials(values: dict) -> list[TrialRecord]:
    every = [(allocation, each) for allocation, own in values.items() for each in own]
    return [
        TrialRecord(number=n, state="complete", allocation=allocation, seed=n, values=each)
        for n, (allocation, each) in enumerate(every)
    ]


def trained(values: dict) -> dict:
    return {allocation: set(range(len(own))) for allocation, own in values.items()}


def test_the_doubtful_allocation_is_trained_again() -> None:
    assert least_certain(trials(VALUES), trained(VALUES), STUDY, 0) == DOUBTFUL


def test_what_has_all_its_replicates_is_left() -> None:
    given = {**trained(VALUES), DOUBTFUL: {0, 1, 2}}
    # The sure one has all of its own, and there is no doubt of the hopeless one.
    assert least_certain(trials(VALUES), given, STUDY, 0) is None


def test_a_running_replicate_comes_before_a_second_one_of_the_same() -> None:
    values = {**VALUES, Allocation((5, 3)): [(4.8, 1.2)]}
    first = least_certain(trials(values), trained(values), STUDY, 0)
    assert first == DOUBTFUL
    given = {**trained(values), DOUBTFUL: {0, 1}}
    assert least_certain(trials(values), given, STUDY, 0) == Allocation((5, 3))


def test_with_an_unknown_spread_members_of_the_front_come_first() -> None:
    values = {HOPELESS: [(1.0, 9.0)], SURE: [(5.0, 1.0)], DOUBTFUL: [(4.95, 1.05)]}
    assert least_certain(trials(values), trained(values), STUDY, 0) == SURE
    assert least_certain([], {}, STUDY, 0) is None


def test_it_does_not_matter_which_way_an_objective_is_written() -> None:
    """Noise that two objectives share is one sign or the other; the choice is the same."""
    turned = StudySection(objectives=("min:loss", "min:rate"), replicates=3)
    rng = np.random.default_rng(0)
    chosen = set()
    for seed in range(12):
        values, others = {}, {}
        for bottom in range(1, 9):
            true, count = rng.normal(size=2), int(rng.integers(1, 3))
            noise = rng.normal(scale=0.7, size=(count, 1)) + rng.normal(scale=0.1, size=(count, 2))
            allocation = Allocation((bottom, 9 - bottom))
            values[allocation] = [(float(a), float(b)) for a, b in true + noise]
            others[allocation] = [(-a, b) for a, b in values[allocation]]
        found = least_certain(trials(values), trained(values), STUDY, seed)
        assert found == least_certain(trials(others), trained(others), turned, seed)
        chosen.add(found)
    assert len(chosen) > 3


@pytest.mark.parametrize(
    ("share", "given", "expected"),
    [(0.0, 19, False), (0.25, 14, False), (0.25, 15, True), (0.25, 19, True)],
)
def test_the_last_part_of_the_trials_replicates(share: float, given: int, expected: bool) -> None:
    study = StudySection(replicate_share=share)
    assert is_replicating(study, {SURE: set(range(given))}, 20) is expected


def test_a_share_of_replicates_needs_replicates(tmp_path: Path, write_study) -> None:
    study = write_study(tmp_path / "s.toml", study={"replicate_share": 0.25, "replicates": 1})
    with pytest.raises(InputError, match=r"study\.replicate_share: found 0\.25 with replicates"):
        load(study)


def test_a_study_spends_its_share_where_the_front_is_uncertain() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    section = {"trials": 20, "sampler": "random", "replicate_share": 0.25, "replicates": 2}
    config = StudyConfig.model_validate(
        {
            "study": {**section, "objectives": ["max:retention", "min:rate"]},
            "search_space": {"budget": 8},
            "data": {"id": "digits"},
        }
    )
    space = build_space(config.search_space)
    study = optuna.create_study(directions=["maximize", "minimize"])
    fill(study, config, space)
    front: set[str] = set()
    while (trial := claim(study, config, space, "worker")) is not None:
        allocation = space.suggest(trial)
        noise = np.random.default_rng(trial.user_attrs[SEED]).normal(0, 0.01, 2)
        # Only allocations with two dims on top or less are not dominated.
        dims = allocation.dims
        worse = 10.0 * max(0, dims[2] - 2)
        study.tell(trial, [dims[0] - worse + noise[0], dims[0] + worse + noise[1]])
        if dims[2] <= 2:
            front.add(str(allocation))
    replicates = [t.user_attrs for t in study.trials if t.user_attrs[REPLICATE]]
    assert [t.user_attrs[REPLICATE] for t in study.trials] == [0] * 15 + [1] * 5
    assert {found[ALLOCATION] for found in replicates} <= front

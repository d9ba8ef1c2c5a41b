from __future__ import annotations

from collections import Counter

import optuna
import pytest

from allocsearch.allocation import Allocation
from allocsearch.config import SearchSpaceSection
from allocsearch.spaces import LayerCountSpace, SimplexSpace, Space, build_space


def space_of(kind: str = "simplex", layers: tuple[int, ...] = (2, 3)) -> Space:
    content = {"kind": kind, "budget": 8, "layers": list(layers)}
    return build_space(SearchSpaceSection.model_validate(content))


@pytest.mark.parametrize(
    ("kind", "layers"),
    [("simplex", (2, 3)), ("simplex", (4, 2, 3)), ("simplex", (1, 2)), ("ratio", (1, 2))],
)
def test_params_lead_back_to_every_allocation(kind: str, layers: tuple[int, ...]) -> None:
    space = space_of(kind, layers)
    allocations = [space[rank] for rank in range(space.size)]
    assert len(set(allocations)) == space.size
    assert {allocation.layers for allocation in allocations} == set(layers)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for allocation in allocations:
        study.enqueue_trial(space.params(allocation))
        assert space.suggest(study.ask()) == allocation


def test_there_are_as_many_allocations_as_in_the_parts() -> None:
    space = space_of()
    assert space.size == 7 + 21
    with pytest.raises(IndexError):
        space[28]


def test_parameters_and_ranges_are_the_same_for_every_trial() -> None:
    space = space_of("simplex", (1, 2, 4))
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0, n_startup_trials=3))
    seen = Counter()
    for _ in range(20):
        trial = study.ask()
        allocation = space.suggest(trial)
        seen[allocation.layers] += 1
        study.tell(trial, float(allocation.dims[0]))
    assert len(seen) > 1
    unit = optuna.distributions.FloatDistribution(0.0, 1.0)
    expected = {
        "layers": optuna.distributions.CategoricalDistribution([1, 2, 4]),
        **{f"simplex_{layer}": unit for layer in (1, 2, 3)},
    }
    assert all(trial.distributions == expected for trial in study.trials)


def test_one_number_of_layers_needs_no_parameter_for_it() -> None:
    assert isinstance(space_of(layers=(3,)), SimplexSpace)
    assert isinstance(space_of(layers=(2, 3)), LayerCountSpace)


def test_another_number_of_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="2-2-2-2 does not have one of 2, 3 layers"):
        space_of().params(Allocation((2, 2, 2, 2)))


def test_a_step_for_each_layer_needs_one_number_of_layers() -> None:
    content = {"budget": 30, "step": [6, 4, 1]}
    space = build_space(SearchSpaceSection.model_validate({**content, "layers": 3}))
    assert {space[rank].dims[0] % 6 for rank in range(space.size)} == {0}
    with pytest.raises(ValueError, match="step has 3 values for 2 layers"):
        SearchSpaceSection.model_validate({**content, "layers": [2, 3]})

from __future__ import annotations

import logging
import typing
import warnings

import optuna
import pytest

from allocsearch.config import SamplerName, SearchSpaceSection
from allocsearch.search.sampling.lattice_sampler import LatticeGPSampler
from allocsearch.search.sampling.samplers import SobolSampler, build_sampler
from allocsearch.spaces import Space, build_space

NAMES = typing.get_args(SamplerName)
SPACES = {
    "simplex": {"budget": 12},
    "ratio": {"budget": 12, "kind": "ratio"},
    "table": {"budget": 12, "kind": "table", "allocations": ["4-4-4", "6-6", "10-1-1"]},
    "layers": {"budget": 12, "layers": [2, 3]},
}


def search(name: SamplerName, space: Space, trials: int, seed: int = 3) -> list[str]:
    """The allocations that a sampler proposes, with a trade-off between the objectives."""
    study = optuna.create_study(directions=["maximize", "minimize"])
    proposed = []
    for number in range(trials):
        study.sampler = build_sampler(name, seed + number, space, seed)
        trial = study.ask()
        allocation = space.suggest(trial)
        proposed.append(str(allocation))
        study.tell(trial, [float(allocation.dims[0]), allocation.dims[0] / allocation.dims[-1]])
    return proposed


@pytest.fixture
def optuna_warnings(caplog: pytest.LogCaptureFixture):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.logging.enable_propagation()
    with caplog.at_level(logging.WARNING, "optuna"):
        yield caplog.records
    optuna.logging.disable_propagation()


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", NAMES)
def test_every_sampler_searches_every_space_without_a_warning(
    name: SamplerName, space: str, optuna_warnings: list[logging.LogRecord]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        proposed = search(name, build_space(SearchSpaceSection.model_validate(SPACES[space])), 14)
    # Ten trials are drawn at random before a model of the results proposes any.
    assert len(proposed) == 14
    assert len(set(proposed)) > 1
    assert [record.getMessage() for record in optuna_warnings] == []


@pytest.mark.parametrize("name", NAMES)
def test_proposals_repeat_with_the_seed(name: SamplerName) -> None:
    space = build_space(SearchSpaceSection(budget=40))
    assert search(name, space, 4, seed=1) == search(name, space, 4, seed=1)
    assert search(name, space, 4, seed=1) != search(name, space, 4, seed=100)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tpe", optuna.samplers.TPESampler),
        ("nsga2", optuna.samplers.NSGAIISampler),
        ("nsga3", optuna.samplers.NSGAIIISampler),
        ("gp", optuna.samplers.GPSampler),
        ("qmc", SobolSampler),
        ("lattice_gp", LatticeGPSampler),
        ("random", optuna.samplers.RandomSampler),
    ],
)
def test_names_stand_for_samplers(name: SamplerName, expected: type) -> None:
    space = build_space(SearchSpaceSection(budget=12))
    assert type(build_sampler(name, 0, space, 0)) is expected


def test_tpe_learns_where_random_search_does_not() -> None:
    space = build_space(SearchSpaceSection(budget=60))
    target = (40, 15, 5)

    def later_mean(name: SamplerName) -> float:
        study = optuna.create_study(direction="minimize")
        distances = []
        for number in range(60):
            study.sampler = build_sampler(name, number, space, 0)
            trial = study.ask()
            dims = space.suggest(trial).dims
            distances.append(sum(abs(d - t) for d, t in zip(dims, target, strict=True)))
            study.tell(trial, float(distances[-1]))
        return sum(distances[30:]) / 30

    assert later_mean("tpe") < 0.6 * later_mean("random")

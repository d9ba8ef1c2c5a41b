from __future__ import annotations

import optuna
import pytest
from optuna.trial import FixedTrial

from allocsearch.allocation import Allocation
from allocsearch.config import SearchSpaceSection
from allocsearch.spaces import TableSpace, build_space

TEXTS = ("64-18-6", "8-80", "29-30-29", "88")


def table() -> TableSpace:
    return TableSpace([Allocation.parse(text) for text in TEXTS])


def test_params_lead_back_to_every_allocation_in_its_order() -> None:
    space = table()
    assert space.size == 4
    assert [str(space[rank]) for rank in range(4)] == list(TEXTS)
    for text in TEXTS:
        params = space.params(Allocation.parse(text))
        assert params == {"allocation": text}
        assert str(space.suggest(FixedTrial(params))) == text


def test_a_section_of_kind_table_lists_its_allocations() -> None:
    section = SearchSpaceSection(kind="table", budget=88, allocations=TEXTS)
    trial = FixedTrial({"allocation": "8-80"})
    assert build_space(section).suggest(trial) == Allocation((8, 80))
    choices = optuna.distributions.CategoricalDistribution(list(TEXTS))
    assert trial.distributions == {"allocation": choices}


def test_the_random_sampler_reaches_all() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    space = table()
    assert {str(space.suggest(study.ask())) for _ in range(60)} == set(TEXTS)


def test_an_allocation_that_is_not_in_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="44-4-40 is not in the table 64-18-6, 8-80"):
        table().params(Allocation((44, 4, 40)))

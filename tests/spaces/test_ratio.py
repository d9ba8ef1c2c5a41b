from __future__ import annotations

import math
from itertools import pairwise

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import FixedTrial

from allocsearch.allocation import Allocation, Lattice
from allocsearch.config import SearchSpaceSection
from allocsearch.spaces import RatioSpace, build_space

fixed = settings(derandomize=True, deadline=None)
SPACES = [
    RatioSpace(Lattice(12, 3), 0.1, 10.0),
    RatioSpace(Lattice(24, 2, step=2), 0.2, 3.0),
    RatioSpace(Lattice(20, 4, min_dim=2, max_dim=(9, 9, 9, 9)), 0.01, 100.0),
    RatioSpace(Lattice(30, 3, step=(6, 4, 1)), 0.1, 10.0),
    RatioSpace(Lattice(5, 1), 0.5, 2.0),
]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: str(space.lattice))
def test_params_lead_back_to_every_allocation(space: RatioSpace) -> None:
    allocations = [space[rank] for rank in range(space.size)]
    assert len(set(allocations)) == space.size
    for allocation in allocations:
        assert allocation in space.lattice
        params = space.params(allocation)
        assert space.low <= params["ratio"] <= space.high
        assert space.suggest(FixedTrial(params)) == allocation


@pytest.mark.parametrize("space", SPACES, ids=lambda space: str(space.lattice))
def test_every_allocation_that_the_range_reaches_is_numbered(space: RatioSpace) -> None:
    reached = {space[rank] for rank in range(space.size)}
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    assert {space.suggest(study.ask()) for _ in range(500)} <= reached


@fixed
@given(st.floats(0.1, 10))
def test_dims_fall_below_ratio_one_and_rise_above(ratio: float) -> None:
    space = RatioSpace(Lattice(88, 3), 0.1, 10.0)
    dims = space.suggest(FixedTrial({"ratio": ratio})).dims
    assert sum(dims) == 88
    expected = [ratio**layer / sum(ratio**i for i in range(3)) * 88 for layer in range(3)]
    if min(expected) >= 1:
        assert all(abs(d - share) < 1 for d, share in zip(dims, expected, strict=True))
    # Rounding may turn neighbours round by one where they are nearly equal.
    steps = [later - earlier for earlier, later in pairwise(dims)]
    assert all(step <= 1 for step in steps) if ratio < 1 else all(step >= -1 for step in steps)


def test_the_parameter_is_logarithmic_over_the_range_of_the_file() -> None:
    section = SearchSpaceSection(kind="ratio", budget=24, ratio_range=(0.25, 4.0))
    space = build_space(section)
    trial = FixedTrial({"ratio": 1.0})
    assert space.suggest(trial) == Allocation((8, 8, 8))
    expected = optuna.distributions.FloatDistribution(0.25, 4.0, log=True)
    assert trial.distributions == {"ratio": expected}


def test_the_enqueued_ratio_is_in_the_middle_of_those_that_give_the_allocation() -> None:
    space = RatioSpace(Lattice(24, 2), 0.1, 10.0)
    # d_1 = 12 for shares 24 / (1 + r) from 11.5 to 12.5.
    low, high = 24 / 12.5 - 1, 24 / 11.5 - 1
    found = space.params(Allocation((12, 12)))["ratio"]
    assert math.log(found) == pytest.approx((math.log(low) + math.log(high)) / 2, abs=2e-3)


def test_an_allocation_that_no_ratio_gives_has_no_params() -> None:
    with pytest.raises(ValueError, match=r"no ratio from 0\.1 to 10\.0 gives 5-2-5"):
        SPACES[0].params(Allocation((5, 2, 5)))

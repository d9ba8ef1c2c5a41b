from __future__ import annotations

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocsearch.allocation import Allocation, Lattice

fixed = settings(derandomize=True, deadline=None, max_examples=150)


@fixed
@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=12))
def test_text_round_trip(dims):
    allocation = Allocation(tuple(dims))
    assert str(allocation) == "-".join(str(d) for d in dims)
    assert Allocation.parse(str(allocation)) == allocation


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "64-",
        "-64",
        "64--6",
        "0-4",
        "64-06",
        "64 - 6",
        "64-6\n",
        "1.5-2",
        "6e1-4",
        "٣-٤",
        "64,18,6",
        "+64-6",
        "six-4",
        "64_0-6",
    ],
)
def test_parse_refuses_other_text(text):
    with pytest.raises(ValueError, match=r"not an allocation.*write dims bottom to top"):
        Allocation.parse(text)


@fixed
@given(st.text(alphabet="0123456789-+. \n", max_size=12))
def test_parse_accepts_only_what_str_writes(text):
    try:
        allocation = Allocation.parse(text)
    except ValueError:
        return
    assert str(allocation) == text


@pytest.mark.parametrize("dims", [(0,), (3, -1), (2.0,), (True, 2), ("3",), (None,)])
def test_dims_that_are_no_positive_integers_are_refused(dims):
    with pytest.raises(ValueError, match="integers of 1 or more"):
        Allocation(dims)


def test_no_layer_is_refused():
    with pytest.raises(ValueError, match="at least one layer"):
        Allocation(())


def test_an_allocation_is_immutable_ordered_and_hashable():
    allocation = Allocation([4, 2])
    assert allocation.dims == (4, 2)
    assert {allocation: 1}[Allocation.parse("4-2")] == 1
    assert Allocation((3, 3)) < allocation < Allocation((5, 1))
    with pytest.raises(FrozenInstanceError):
        allocation.dims = (1, 5)


@fixed
@given(st.lists(st.integers(1, 10_000), min_size=2, max_size=10))
def test_ratio_is_the_least_squares_fit(dims):
    slope, _ = np.polyfit(np.arange(1, len(dims) + 1), np.log(dims), 1)
    assert Allocation(tuple(dims)).ratio == pytest.approx(math.exp(slope), rel=1e-9)


@pytest.mark.parametrize(
    ("dims", "ratio"), [((7,), 1.0), ((5, 5, 5), 1.0), ((2, 4, 8), 2.0), ((27, 9, 3, 1), 1 / 3)]
)
def test_ratio_of_geometric_dims(dims, ratio):
    assert Allocation(dims).ratio == pytest.approx(ratio)


def test_from_weights_is_from_ratio_for_a_geometric_series():
    lattice = Lattice(88, 3, min_dim=2)
    for ratio in (0.1, 0.5, 1.0, 3.0):
        weights = [ratio**layer for layer in range(3)]
        assert Allocation.from_weights(weights, lattice) == Allocation.from_ratio(ratio, lattice)


def test_from_weights_is_the_nearest_allocation():
    lattice = Lattice(30, 3, step=2, min_dim=2)
    weights = (1.0, 2.0, 1.0)
    ideal = [30 * weight / sum(weights) for weight in weights]
    least = min(sum((d - i) ** 2 for d, i in zip(a.dims, ideal, strict=True)) for a in lattice)
    found = Allocation.from_weights(weights, lattice)
    assert sum((d - i) ** 2 for d, i in zip(found.dims, ideal, strict=True)) == least
    assert str(Allocation.from_weights((8, 16, 8), Lattice(32, 3))) == "8-16-8"


@pytest.mark.parametrize("weights", [(1.0, 2.0), (1.0, 0.0, 1.0), (1.0, float("inf"), 1.0)])
def test_weights_that_are_none(weights):
    with pytest.raises(ValueError, match="weights"):
        Allocation.from_weights(weights, Lattice(30, 3))

from __future__ import annotations

import random
from itertools import islice

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from allocsearch.allocation import Allocation, Lattice
from allocsearch.config import SearchSpaceSection
from allocsearch.spaces import build_space
from allocsearch.spaces.nearest import distance, lattice_outwards


@st.composite
def lattices(draw: st.DrawFn) -> Lattice:
    layers = draw(st.integers(1, 4))
    step = draw(st.one_of(st.integers(1, 3), st.lists(st.integers(1, 4), min_size=layers)))
    caps = draw(st.none() | st.lists(st.integers(1, 14), min_size=layers, max_size=layers))
    try:
        lattice = Lattice(
            draw(st.integers(1, 18)),
            layers,
            step if isinstance(step, int) else tuple(step[:layers]),
            draw(st.integers(1, 3)),
            None if caps is None else tuple(caps),
        )
    except ValueError:
        assume(False)
    return lattice


def brute_distance(one: Allocation, other: Allocation) -> int:
    length = max(one.layers, other.layers)
    padded = [(*each.dims, *[0] * (length - each.layers)) for each in (one, other)]
    return sum(abs(padded[0][i] - padded[1][i]) for i in range(length))


@settings(derandomize=True, deadline=None, max_examples=120)
@given(lattices(), st.data())
def test_the_order_is_that_of_the_sorted_list_of_all(lattice: Lattice, data) -> None:
    every = list(lattice)
    center = data.draw(st.sampled_from(every))
    found = list(lattice_outwards(lattice, center, random.Random(data.draw(st.integers(0, 9)))))
    assert found[0] == center
    assert sorted(found) == every
    distances = [brute_distance(each, center) for each in found]
    assert distances == sorted(distances)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(lattices(), st.data())
def test_the_first_that_is_left_is_as_near_as_any(lattice: Lattice, data) -> None:
    every = list(lattice)
    taken = data.draw(st.sets(st.sampled_from(every), max_size=len(every) - 1))
    center = data.draw(st.sampled_from(every))
    outwards = lattice_outwards(lattice, center, random.Random(0))
    found = next(each for each in outwards if each not in taken)
    least = min(brute_distance(each, center) for each in every if each not in taken)
    assert distance(found, center) == least


def test_ties_follow_the_seed() -> None:
    lattice = Lattice(30, 4)
    center = Allocation((9, 8, 7, 6))

    def second(seed: int) -> Allocation:
        return next(islice(lattice_outwards(lattice, center, random.Random(seed)), 1, None))

    assert all(second(seed) == second(seed) for seed in range(5))
    seconds = {second(seed) for seed in range(200)}
    # All twelve ways to move one dim.
    assert len(seconds) == 12
    assert {distance(each, center) for each in seconds} == {2}


def test_a_huge_lattice_is_not_listed() -> None:
    lattice = Lattice(4_000, 12)
    center = lattice[lattice.size // 3]
    found = list(islice(lattice_outwards(lattice, center, random.Random(1)), 3_000))
    assert len(set(found)) == 3_000
    assert all(each in lattice for each in found)
    # 132 ways to move one dim, and more than the rest to move two.
    assert [distance(each, center) for each in found] == [0] + [2] * 132 + [4] * 2_867


@pytest.mark.parametrize(
    "section",
    [
        {"budget": 10},
        {"budget": 12, "step": 2, "max_dim": 8},
        {"budget": 30, "kind": "ratio"},
        {"budget": 8, "kind": "table", "allocations": ["4-4", "2-2-4", "6-1-1", "8", "1-7"]},
    ],
    ids=str,
)
def test_a_space_gives_each_of_its_allocations_nearest_first(section: dict) -> None:
    space = build_space(SearchSpaceSection.model_validate(section))
    every = [space[rank] for rank in range(space.size)]
    for center in every:
        found = list(space.outwards(center, random.Random(2)))
        assert found[0] == center
        assert sorted(found) == sorted(every)
        distances = [brute_distance(each, center) for each in found]
        assert distances == sorted(distances)


@pytest.mark.parametrize("kind", ["simplex", "ratio"])
def test_other_numbers_of_layers_come_after_all_of_one(kind: str) -> None:
    section = {"budget": 12, "kind": kind, "layers": [1, 2, 3, 4]}
    space = build_space(SearchSpaceSection.model_validate(section))
    every = [space[rank] for rank in range(space.size)]
    found = list(space.outwards(Allocation((2, 4, 6)), random.Random(2)))
    assert sorted(found) == sorted(every)
    counts = [each.layers for each in found]
    assert list(dict.fromkeys(counts)) == [3, 2, 4, 1]
    assert counts == sorted(counts, key=[3, 2, 4, 1].index)
    # Another number of layers begins where its allocation has the same ratio.
    assert found[counts.index(2)] == Allocation((4, 8))


def test_what_the_scan_of_a_ratio_space_misses_has_neighbours_too() -> None:
    space = build_space(SearchSpaceSection(budget=30, kind="ratio"))
    every = [space[rank] for rank in range(space.size)]
    off = Allocation((1, 28, 1))
    assert off not in every
    nearest = next(iter(space.outwards(off, random.Random(0))))
    assert brute_distance(nearest, off) == min(brute_distance(each, off) for each in every)

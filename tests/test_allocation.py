from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import FrozenInstanceError
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from allocsearch.allocation import Allocation, Lattice

fixed = settings(derandomize=True, deadline=None, max_examples=150)
few = settings(fixed, max_examples=60)


@st.composite
def lattices(draw, units=200, layers=8, capped=True):
    """Lattices that are not empty, by construction and not by filtering."""
    count = draw(st.integers(1, layers))
    step = draw(st.integers(1, 7))
    floor = draw(st.integers(1, 5))
    min_dim = draw(st.integers((floor - 1) * step + 1, floor * step))
    total = draw(st.integers(count * floor, max(units, count * floor)))
    caps = None
    if capped and draw(st.booleans()):
        # Some allocation that fits, with room added, is under every cap.
        cuts = draw(st.lists(st.integers(0, total - count * floor), min_size=count - 1))[
            : count - 1
        ]
        cuts = [0, *sorted(cuts), total - count * floor]
        fitting = [b - a + floor for a, b in itertools.pairwise(cuts)]
        room = draw(st.lists(st.integers(0, total * step), min_size=count, max_size=count))
        caps = tuple(u * step + more for u, more in zip(fitting, room, strict=True))
    return Lattice(total * step, count, step, min_dim, caps)


small_lattices = lattices(units=12, layers=4)
ratios = st.floats(1e-300, 1e300) | st.floats(-3, 3).map(lambda x: 10**x)


def brute_force(lattice):
    """Every tuple of dims, kept where budget, floor, step and caps hold."""
    caps = lattice.max_dim or (lattice.budget,) * lattice.layers
    multiples = range(0, lattice.budget + 1, lattice.step)
    return [
        dims
        for dims in itertools.product(*([d for d in multiples if d <= cap] for cap in caps))
        if sum(dims) == lattice.budget and min(dims) >= lattice.min_dim
    ]


def holds(allocation, lattice):
    caps = lattice.max_dim or (lattice.budget,) * lattice.layers
    return (
        allocation.layers == len(allocation.dims) == lattice.layers
        and allocation.budget == sum(allocation.dims) == lattice.budget
        and all(d >= lattice.min_dim and d % lattice.step == 0 for d in allocation.dims)
        and all(d <= cap for d, cap in zip(allocation.dims, caps, strict=True))
    )


@fixed
@given(lattices(), ratios)
def test_from_ratio_keeps_budget_step_floor_and_caps(lattice, ratio):
    allocation = Allocation.from_ratio(ratio, lattice)
    assert holds(allocation, lattice)
    assert allocation in lattice


@fixed
@given(lattices(), st.data())
def test_from_simplex_keeps_budget_step_floor_and_caps(lattice, data):
    n = lattice.layers - 1
    point = data.draw(st.lists(st.floats(0, 1), min_size=n, max_size=n))
    allocation = lattice.from_simplex(point)
    assert holds(allocation, lattice)
    assert allocation in lattice


def largest_remainder(ratio, budget, layers):
    """Hamilton's method in exact arithmetic, with the remainders."""
    weights = [ratio**layer for layer in range(layers)]
    quotas = [budget * weight / sum(weights) for weight in weights]
    dims = [math.floor(quota) for quota in quotas]
    remainders = [quota - d for quota, d in zip(quotas, dims, strict=True)]
    order = sorted(range(layers), key=lambda i: -remainders[i])
    for i in order[: budget - sum(dims)]:
        dims[i] += 1
    return tuple(dims), remainders


@fixed
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 6), st.integers(6, 500))
def test_from_ratio_is_largest_remainder_where_no_floor_binds(top, bottom, layers, budget):
    dims, remainders = largest_remainder(Fraction(top, bottom), budget, layers)
    assume(min(dims) >= 1)
    gaps = [abs(a - b) for a, b in itertools.combinations(remainders, 2)]
    # Which of two equal remainders wins is the subject of another test.
    assume(min(gaps, default=1) > 1e-6 and max(remainders) < 1 - 1e-6)
    assert Allocation.from_ratio(top / bottom, Lattice(budget, layers)).dims == dims


def shares_with_floor(ratio, budget, layers, floor):
    """Fix the layers below the floor, share the rest anew, until none is below."""
    free = set(range(layers))
    while True:
        rest = budget - floor * (layers - len(free))
        total = sum(ratio**layer for layer in free)
        shares = {layer: rest * ratio**layer / total for layer in free}
        low = {layer for layer, share in shares.items() if share < floor}
        if not low:
            return [shares.get(layer, floor) for layer in range(layers)]
        free -= low


@fixed
@given(st.floats(0.02, 50), st.integers(1, 6), st.integers(1, 9), st.integers(0, 200))
def test_from_ratio_shares_anew_what_a_floor_takes(ratio, layers, floor, room):
    budget = floor * layers + room
    found = Allocation.from_ratio(ratio, Lattice(budget, layers, min_dim=floor)).dims
    shares = shares_with_floor(ratio, budget, layers, floor)
    assert all(abs(d - share) < 1 + 1e-6 for d, share in zip(found, shares, strict=True))


@pytest.mark.parametrize(
    ("ratio", "lattice", "dims"),
    [
        (1.0, Lattice(88, 3), (30, 29, 29)),
        (1.0, Lattice(9, 3), (3, 3, 3)),
        (2.0, Lattice(7, 3), (1, 2, 4)),
        (0.5, Lattice(56, 3, step=8), (32, 16, 8)),
        (10.0, Lattice(100, 3, max_dim=(100, 100, 50)), (5, 45, 50)),
        (1e-300, Lattice(88, 3, min_dim=2), (84, 2, 2)),
        (1e300, Lattice(88, 3, min_dim=2), (2, 2, 84)),
        (1e300, Lattice(88, 3, max_dim=(80, 20, 30)), (38, 20, 30)),
        (3.0, Lattice(5, 1), (5,)),
    ],
)
def test_from_ratio_of_known_cases(ratio, lattice, dims):
    assert Allocation.from_ratio(ratio, lattice).dims == dims


@fixed
@given(st.integers(2, 6), st.integers(6, 300), st.floats(0.05, 20), st.floats(1.01, 3))
def test_a_larger_ratio_is_never_more_bottom_heavy(layers, budget, ratio, factor):
    lattice = Lattice(budget, layers)
    below = Allocation.from_ratio(ratio, lattice).dims
    above = Allocation.from_ratio(ratio * factor, lattice).dims
    # Rounding may move a partial sum by less than one dim per layer it holds.
    for n in range(1, layers):
        assert sum(above[:n]) <= sum(below[:n]) + n


@pytest.mark.parametrize("ratio", [0.0, -1.0, math.inf, math.nan])
def test_from_ratio_refuses_what_is_no_ratio(ratio):
    with pytest.raises(ValueError, match="positive and finite"):
        Allocation.from_ratio(ratio, Lattice(88, 3))


@pytest.mark.parametrize("ratio", [1e-300, 0.3, 1.0, 3.0, 1e300])
@pytest.mark.parametrize(
    ("budget", "layers"), [(5_000, 30), (10**4, 100), (10**6 // 3, 3), (10**3, 10**3)]
)
def test_from_ratio_of_large_budgets(ratio, budget, layers):
    lattice = Lattice(budget, layers)
    assert holds(Allocation.from_ratio(ratio, lattice), lattice)


def test_simplex_of_large_lattices():
    lattice = Lattice(4_000, 8)
    assert lattice.size == math.comb(3_999, 7)
    middle = lattice.from_simplex([0.5] * 7)
    assert holds(middle, lattice)
    assert lattice.from_simplex(lattice.to_simplex(middle)) == middle
    assert lattice.from_simplex([0.0] * 7).dims == (1,) * 7 + (3_993,)
    assert lattice.from_simplex([1.0] * 7).dims == (3_993,) + (1,) * 7
    assert lattice[lattice.size // 2] in lattice


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


@few
@given(small_lattices)
def test_enumeration_count_and_membership_against_brute_force(lattice):
    expected = brute_force(lattice)
    found = [allocation.dims for allocation in lattice]
    assert found == sorted(expected)
    assert len(lattice) == lattice.size == len(expected)
    members = set(expected)
    span = range(1, min(lattice.budget, 12) + 1)
    for dims in itertools.islice(itertools.product(span, repeat=lattice.layers), 500):
        assert (Allocation(dims) in lattice) == (dims in members)
    assert all(Allocation(dims) in lattice for dims in expected)


@few
@given(small_lattices)
def test_position_in_the_enumeration(lattice):
    assert [lattice[rank] for rank in range(len(lattice))] == list(lattice)
    for rank in (-1, len(lattice)):
        with pytest.raises(IndexError):
            lattice[rank]


@few
@given(small_lattices)
def test_simplex_round_trip(lattice):
    for allocation in lattice:
        point = lattice.to_simplex(allocation)
        assert len(point) == lattice.layers - 1
        assert all(0 <= coordinate <= 1 for coordinate in point)
        assert lattice.from_simplex(point) == allocation


def test_other_things_are_not_on_a_lattice():
    lattice = Lattice(12, 3, step=2)
    others = [Allocation((6, 6)), Allocation((2, 2, 2)), Allocation((3, 3, 6)), "4-4-4", (4, 4, 4)]
    assert all(other not in lattice for other in others)
    with pytest.raises(ValueError, match="3-3-6 is not on the lattice D = 12, L = 3, step 2"):
        lattice.to_simplex(Allocation((3, 3, 6)))


def cell(lattice, dims):
    """The volume of the points that map to `dims`, from conditional counts by brute force."""
    members = brute_force(lattice)
    volume = Fraction(1)
    for n in range(len(dims) - 1):
        sharing = [other for other in members if other[:n] == dims[:n]]
        volume *= Fraction(sum(other[n] == dims[n] for other in sharing), len(sharing))
    return volume


@few
@given(lattices(units=10, layers=3))
def test_every_cell_of_the_simplex_has_the_same_volume(lattice):
    """Each cell's edges lie where the conditional counts say, and the volumes are equal."""
    members = brute_force(lattice)
    for dims in members:
        assert cell(lattice, dims) == Fraction(1, len(members))
    for first in sorted({dims[0] for dims in members} if lattice.layers > 1 else ()):
        below = Fraction(sum(dims[0] < first for dims in members), len(members))
        inside = float(below) + 0.5 / len(members)
        rest = [0.5] * (lattice.layers - 2)
        assert lattice.from_simplex([inside, *rest]).dims[0] == first
        if below:
            outside = float(below) - 0.5 / len(members)
            assert lattice.from_simplex([outside, *rest]).dims[0] < first


@pytest.mark.parametrize(
    "lattice",
    [Lattice(9, 3), Lattice(24, 4, step=3), Lattice(20, 3, min_dim=3, max_dim=(12, 8, 9))],
)
def test_uniform_points_give_uniform_allocations(lattice):
    points = np.random.default_rng(0).random((6_000, lattice.layers - 1))
    counts = Counter(lattice.from_simplex(point) for point in points.tolist())
    assert set(counts) == set(lattice)
    assert stats.chisquare(list(counts.values())).pvalue > 0.01


@pytest.mark.parametrize("point", [[], [0.5], [0.5] * 3])
def test_from_simplex_refuses_another_number_of_coordinates(point):
    with pytest.raises(ValueError, match="3 layers take 2 coordinates"):
        Lattice(88, 3).from_simplex(point)


@pytest.mark.parametrize("coordinate", [-1e-9, 1 + 1e-9, math.inf, math.nan])
def test_from_simplex_refuses_coordinates_outside_the_cube(coordinate):
    with pytest.raises(ValueError, match=r"lies in \[0, 1\]"):
        Lattice(88, 3).from_simplex([0.5, coordinate])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budget": 0}, "budget is 0; it must be 1 or more"),
        ({"layers": 0}, "layers is 0; it must be 1 or more"),
        ({"step": -2}, "step is -2; it must be 1 or more"),
        ({"min_dim": 0}, "min_dim is 0; it must be 1 or more"),
        ({"budget": 2}, "budget 2 is less than 3 layers * 1 dims = 3; raise budget or lower min"),
        ({"budget": 88, "min_dim": 30}, "budget 88 is less than 3 layers * 30 dims = 90"),
        ({"budget": 88, "step": 16}, "budget 88 is not a multiple of step 16; "),
        ({"budget": 88, "step": 16}, "nearest possible: 80 or 96"),
        ({"budget": 15, "step": 4, "min_dim": 5}, "nearest possible: 24"),
        ({"budget": 10**6, "step": 2}, "allowed: 333333 steps; raise step"),
        ({"max_dim": (8, 8)}, "max_dim has 2 caps for 3 layers"),
        ({"max_dim": (80, 80, 0)}, "max_dim [80, 80, 0] leaves no multiple of 1 that is 1 or"),
        ({"max_dim": (80, 80, 7), "step": 8}, "leaves no multiple of 8 that is 1 or more"),
        ({"max_dim": (20, 20, 20)}, "max_dim [20, 20, 20] holds at most 60 in steps of 1, less"),
        ({"max_dim": (31, 31, 31), "step": 8}, "holds at most 72 in steps of 8, less than the bu"),
    ],
)
def test_an_empty_lattice_says_why(arguments, message):
    with pytest.raises(ValueError) as caught:
        Lattice(**{"budget": 88, "layers": 3, **arguments})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@fixed
@given(st.integers(1, 40), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), st.data())
def test_a_lattice_is_refused_exactly_where_it_would_be_empty(budget, layers, step, floor, data):
    caps = data.draw(
        st.none() | st.lists(st.integers(1, budget), min_size=layers, max_size=layers).map(tuple)
    )
    highest = caps or (budget,) * layers
    ranges = [range(-(-floor // step) * step, cap + 1, step) for cap in highest]
    possible = any(sum(dims) == budget for dims in itertools.product(*ranges))
    try:
        lattice = Lattice(budget, layers, step, floor, caps)
    except ValueError:
        assert not possible
    else:
        assert possible
        assert len(lattice) > 0


@fixed
@given(st.integers(1, 200), st.integers(1, 4), st.integers(2, 9), st.integers(1, 9))
def test_the_nearest_budgets_that_an_error_names_are_possible(budget, layers, step, floor):
    assume(budget % step)
    with pytest.raises(ValueError, match="nearest possible: ") as caught:
        Lattice(budget, layers, step, floor)
    for near in str(caught.value).partition("possible: ")[2].split(" or "):
        assert len(Lattice(int(near), layers, step, floor)) > 0


def test_a_lattice_describes_itself():
    assert str(Lattice(88, 3, step=4, min_dim=2)) == "D = 88, L = 3, step 4, min_dim 2"
    assert str(Lattice(8, 2, max_dim=(5, 6))) == "D = 8, L = 2, step 1, min_dim 1, max_dim [5, 6]"

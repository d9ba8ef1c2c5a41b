from __future__ import annotations

import itertools
import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from allocsearch.allocation import Allocation, Lattice

fixed = settings(derandomize=True, deadline=None, max_examples=150)
few = settings(fixed, max_examples=60)


@st.composite
def lattices(draw, units=60, layers=8, capped=True):
    """Lattices that are not empty, by construction and not by filtering."""
    count = draw(st.integers(1, layers))
    # Mixed steps, often with divisors in common and often equal.
    step = draw(st.integers(1, 7))
    scales = draw(st.lists(st.sampled_from([1, 1, 2, 3, 6]), min_size=count, max_size=count))
    steps = [step * scale for scale in scales]
    min_dim = draw(st.integers(1, 5 * step))
    floors = [-(-min_dim // own) for own in steps]
    more = draw(st.lists(st.integers(0, units // count), min_size=count, max_size=count))
    fitting = [(f + u) * own for f, u, own in zip(floors, more, steps, strict=True)]
    budget = sum(fitting)
    caps = None
    if capped and draw(st.booleans()):
        # The allocation that fits, with room added, is under every cap.
        room = draw(st.lists(st.integers(0, budget), min_size=count, max_size=count))
        caps = tuple(d + extra for d, extra in zip(fitting, room, strict=True))
    uniform = len(set(steps)) == 1 and draw(st.booleans())
    return Lattice(budget, count, steps[0] if uniform else steps, min_dim, caps)


small_lattices = lattices(units=12, layers=4)
ratios = st.floats(1e-300, 1e300) | st.floats(-3, 3).map(lambda x: 10**x)


def steps_of(lattice):
    one = isinstance(lattice.step, int)
    return (lattice.step,) * lattice.layers if one else lattice.step


def brute_force(lattice):
    """Every tuple of dims, kept where budget, floor, steps and caps hold."""
    caps = lattice.max_dim or (lattice.budget,) * lattice.layers
    ranges = [
        [d for d in range(0, cap + 1, step) if lattice.min_dim <= d <= lattice.budget]
        for cap, step in zip(caps, steps_of(lattice), strict=True)
    ]
    return [dims for dims in itertools.product(*ranges) if sum(dims) == lattice.budget]


def holds(allocation, lattice):
    caps = lattice.max_dim or (lattice.budget,) * lattice.layers
    return (
        allocation.layers == len(allocation.dims) == lattice.layers
        and allocation.budget == sum(allocation.dims) == lattice.budget
        and all(
            lattice.min_dim <= d <= cap and d % step == 0
            for d, cap, step in zip(allocation.dims, caps, steps_of(lattice), strict=True)
        )
    )


@fixed
@given(lattices(), ratios)
def test_from_ratio_keeps_budget_step_floor_and_caps(lattice, ratio):
    allocation = Allocation.from_ratio(ratio, lattice)
    assert holds(allocation, lattice)
    assert allocation in lattice


def ideal_shares(ratio, lattice):
    """The shares ratio^(l-1) between the bounds, by bisection of their common factor."""
    members = brute_force(lattice)
    low = [-(-lattice.min_dim // step) * step for step in steps_of(lattice)]
    caps = lattice.max_dim or (lattice.budget,) * lattice.layers
    free = lattice.budget - sum(low)
    high = [
        min(cap, floor + free) // step * step
        for cap, floor, step in zip(caps, low, steps_of(lattice), strict=True)
    ]
    assert all(low[i] <= dims[i] <= high[i] for dims in members for i in range(lattice.layers))
    weights = [ratio**layer for layer in range(lattice.layers)]

    def excess(log):
        return sum(np.clip(np.multiply(weights, math.exp(log)), low, high)) - lattice.budget

    log = optimize.bisect(excess, -60, 60, xtol=1e-13) if excess(-60) < 0 < excess(60) else 60
    return np.clip(np.multiply(weights, math.exp(log)), low, high)


@settings(fixed, max_examples=100)
@given(lattices(units=12, layers=4), st.floats(0.05, 20))
def test_from_ratio_is_the_nearest_allocation_of_the_lattice(lattice, ratio):
    shares = ideal_shares(ratio, lattice)
    found = Allocation.from_ratio(ratio, lattice)
    assert holds(found, lattice)
    distances = np.square(np.subtract(brute_force(lattice), shares)).sum(1)
    own = np.square(np.subtract(found.dims, shares)).sum()
    assert own == pytest.approx(distances.min(), rel=1e-6, abs=1e-6)


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
        # A third of 1592 is 530.67, and 588 the nearest multiple of 196.
        (1.0, Lattice(1592, 3, step=(196, 1, 1)), (588, 502, 502)),
        (1.0, Lattice(1592, 3, step=(1, 1, 196)), (502, 502, 588)),
        (0.1, Lattice(1592, 3, step=(196, 1, 1)), (1372, 175, 45)),
        (1e-300, Lattice(1592, 3, step=(196, 1, 1)), (1568, 23, 1)),
        (1e300, Lattice(1592, 3, step=(196, 1, 1)), (196, 1, 1395)),
        (1.0, Lattice(17, 2, step=(5, 6)), (5, 12)),
    ],
)
def test_from_ratio_of_known_cases(ratio, lattice, dims):
    assert Allocation.from_ratio(ratio, lattice).dims == dims


def test_one_step_for_all_layers_is_the_same_as_a_list_of_it():
    one, listed = Lattice(56, 3, step=8), Lattice(56, 3, step=[8, 8, 8])
    assert one == listed
    assert hash(one) == hash(listed)
    assert str(one) == str(listed)
    assert one.steps == (8, 8, 8)
    assert Lattice(60, 2, step=[4, 8]) == Lattice(60, 2, step=(4, 8))


def test_a_spatial_layer_takes_multiples_of_its_positions():
    lattice = Lattice(1592, 3, step=(196, 1, 1))
    # For each multiple of 196 the rest is split between two layers in every way.
    assert lattice.size == sum(1592 - d - 1 for d in range(196, 1592, 196))
    assert set(lattice.choices(0, 1592)) == set(range(196, 1569, 196))
    assert lattice.choices(1, 24) == list(range(1, 24))
    assert lattice.choices(2, 7) == [7]
    assert lattice.choices(2, 0) == lattice.choices(0, 195) == []
    assert Lattice(24, 3, step=(8, 4, 4)).choices(1, 15) == []
    assert Lattice(1592, 3, step=(1, 1, 196)).choices(1, 397) == [5, 201]


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
    ("budget", "layers", "step"),
    [
        (5_000, 30, 1),
        (10**4, 100, 1),
        (10**6 // 3, 3, 1),
        (10**3, 10**3, 1),
        (4_000, 8, (97, 89, 83, 79, 73, 71, 67, 61)),
        (10**5, 3, (40_000, 1, 1)),
    ],
)
def test_from_ratio_of_large_budgets(ratio, budget, layers, step):
    lattice = Lattice(budget, layers, step)
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


def test_simplex_of_large_lattices_of_mixed_steps():
    lattice = Lattice(4_000, 8, step=(196, 196, 49, 49, 16, 16, 1, 1))
    for rank in (0, 1, lattice.size // 3, lattice.size - 1):
        allocation = lattice[rank]
        assert holds(allocation, lattice)
        assert lattice.from_simplex(lattice.to_simplex(allocation)) == allocation
    assert lattice[0].dims == (196, 196, 49, 49, 16, 16, 1, 3_477)
    assert lattice.from_simplex([1.0] * 7) == lattice[lattice.size - 1]


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
@given(lattices(units=12, layers=3))
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
    [
        Lattice(9, 3),
        Lattice(24, 4, step=3),
        Lattice(20, 3, min_dim=3, max_dim=(12, 8, 9)),
        Lattice(31, 4, step=(5, 1, 4, 3), min_dim=2, max_dim=(20, 20, 12, 20)),
        Lattice(40, 3, step=(8, 6, 2)),
    ],
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
        ({"budget": 15, "step": 4, "min_dim": 5}, "less than 3 layers * 8 dims = 24; raise budg"),
        ({"budget": 97, "step": (98, 1, 1)}, "budget 97 is less than 98 + 1 + 1 dims = 100; ra"),
        ({"step": (8, 8)}, "step has 2 values for 3 layers"),
        ({"step": ()}, "step has 0 values for 3 layers"),
        ({"step": (8, 0, 1)}, "step is 0; it must be 1 or more"),
        (
            {"budget": 1590, "step": (196, 8, 8)},
            "budget 1590 is not a sum of multiples of step [196, 8, 8]; nearest possible: 1588 or",
        ),
        ({"budget": 1590, "step": (196, 8, 8)}, "1588 or 1592"),
        (
            {"budget": 300, "step": (196, 1, 1), "max_dim": (400, 10, 10)},
            "step [196, 1, 1] from min_dim 1 to max_dim [400, 10, 10]; nearest possible: 216 or 3",
        ),
        ({"max_dim": (40, 9, 9), "step": (20, 9, 1)}, "[40, 9, 9] holds at most 58 in steps of ["),
        ({"budget": 10**6, "step": 2}, "allowed: 333333 steps; raise step"),
        ({"max_dim": (8, 8)}, "max_dim has 2 caps for 3 layers"),
        ({"max_dim": (80, 80, 0)}, "max_dim [80, 80, 0] leaves layer 3 no multiple of 1 that"),
        ({"max_dim": (80, 80, 7), "step": 8}, "leaves layer 3 no multiple of 8 that is 1 or mo"),
        ({"max_dim": (20, 20, 20)}, "max_dim [20, 20, 20] holds at most 60 in steps of 1, less"),
        ({"max_dim": (31, 31, 31), "step": 8}, "holds at most 72 in steps of 8, less than the bu"),
    ],
)
def test_an_empty_lattice_says_why(arguments, message):
    with pytest.raises(ValueError) as caught:
        Lattice(**{"budget": 88, "layers": 3, **arguments})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@st.composite
def requests(draw):
    """Arguments of lattices, possible or not."""
    layers = draw(st.integers(1, 4))
    steps = st.integers(1, 9)
    mixed = st.lists(steps, min_size=layers, max_size=layers).map(tuple)
    caps = st.lists(st.integers(1, 40), min_size=layers, max_size=layers).map(tuple)
    return {
        "layers": layers,
        "step": draw(mixed | steps),
        "min_dim": draw(st.integers(1, 9)),
        "max_dim": draw(st.none() | caps),
    }


def possible_budgets(most, layers, step, min_dim, max_dim):
    """Every budget up to `most` that some allocation has."""
    steps = (step,) * layers if isinstance(step, int) else step
    caps = max_dim or (most,) * layers
    sums = {0}
    for own, cap in zip(steps, caps, strict=True):
        multiples = [d for d in range(own, min(cap, most) + 1, own) if d >= min_dim]
        sums = {total + d for total in sums for d in multiples if total + d <= most}
    return sums


@settings(fixed, max_examples=250)
@given(st.integers(1, 90), requests())
def test_a_lattice_is_refused_exactly_where_it_would_be_empty(budget, request):
    possible = possible_budgets(budget + 40, **request)
    if budget in possible:
        assert Lattice(budget, **request).size > 0
        return
    with pytest.raises(ValueError) as caught:
        Lattice(budget, **request)
    message = str(caught.value)
    below = [b for b in possible if b < budget]
    above = [b for b in possible if b > budget]
    if " leaves layer " in message:
        assert not possible
    elif message.startswith("max_dim"):
        assert not above
        assert f"holds at most {max(below)} " in message
    elif "is less than" in message:
        assert not below
        assert f" = {min(possible_budgets(200, **request))}; " in message
    else:
        near = " or ".join(map(str, [*sorted(below)[-1:], *sorted(above)[:1]]))
        assert message.endswith(f"nearest possible: {near}")


def test_a_lattice_describes_itself():
    assert str(Lattice(88, 3, step=4, min_dim=2)) == "D = 88, L = 3, step 4, min_dim 2"
    assert str(Lattice(90, 2, step=(4, 6))) == "D = 90, L = 2, step [4, 6], min_dim 1"
    assert str(Lattice(8, 2, max_dim=(5, 6))) == "D = 8, L = 2, step 1, min_dim 1, max_dim [5, 6]"

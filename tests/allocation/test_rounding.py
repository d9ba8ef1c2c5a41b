from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from allocsearch.allocation.rounding import bounded_shares, nearest_dims

fixed = settings(derandomize=True, deadline=None, max_examples=150)


@st.composite
def problems(draw):
    """Steps, bounds and a budget that some dims sum to."""
    layers = draw(st.integers(1, 4))
    steps = draw(st.lists(st.integers(1, 9), min_size=layers, max_size=layers))
    lowest = [step * draw(st.integers(0, 2)) for step in steps]
    highest = [
        low + step * draw(st.integers(0, 5)) for low, step in zip(lowest, steps, strict=True)
    ]
    ranges = [range(a, b + 1, s) for a, b, s in zip(lowest, highest, steps, strict=True)]
    budget = sum(draw(st.sampled_from(values)) for values in ranges)
    return steps, lowest, highest, budget


@fixed
@given(problems(), st.data())
def test_no_other_dims_are_nearer_to_any_ideal(problem, data):
    steps, lowest, highest, budget = problem
    # Ideal shares far outside the bounds too, where the search goes furthest.
    free = st.floats(-30, 90)
    head = data.draw(st.lists(free, min_size=len(steps) - 1, max_size=len(steps) - 1))
    ideal = [*head, budget - sum(head)]
    found = nearest_dims(ideal, steps, lowest, highest, budget)
    ranges = [range(a, b + 1, s) for a, b, s in zip(lowest, highest, steps, strict=True)]
    every = [dims for dims in itertools.product(*ranges) if sum(dims) == budget]
    assert found in every
    distances = np.square(np.subtract(every, ideal)).sum(1)
    own = np.square(np.subtract(found, ideal)).sum()
    assert own == pytest.approx(distances.min(), rel=1e-9, abs=1e-9)


@fixed
@given(problems(), st.integers(1, 200))
def test_a_sum_that_no_dims_have_is_refused(problem, budget):
    steps, lowest, highest, _ = problem
    ranges = [range(a, b + 1, s) for a, b, s in zip(lowest, highest, steps, strict=True)]
    assume(all(sum(dims) != budget for dims in itertools.product(*ranges)))
    with pytest.raises(ValueError, match=f"in these bounds sum to {budget}$"):
        nearest_dims([budget / len(steps)] * len(steps), steps, lowest, highest, budget)


@fixed
@given(st.lists(st.floats(-700, 700), min_size=1, max_size=6), st.data())
def test_shares_are_proportional_between_their_bounds(logs, data):
    lowest = [data.draw(st.integers(1, 20)) for _ in logs]
    highest = [low + data.draw(st.integers(0, 500)) for low in lowest]
    budget = data.draw(st.integers(sum(lowest), sum(highest)))
    shares = bounded_shares(logs, lowest, highest, budget)
    assert sum(shares) == pytest.approx(budget, rel=1e-9)
    free = [
        np.log(share) - log
        for share, log, low, high in zip(shares, logs, lowest, highest, strict=True)
        if low < share < high
    ]
    assert np.ptp(free or [0.0]) == pytest.approx(0, abs=1e-9)
    rows = zip(shares, lowest, highest, strict=True)
    assert all(low <= share <= high for share, low, high in rows)

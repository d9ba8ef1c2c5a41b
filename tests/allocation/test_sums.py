from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from allocsearch.allocation.sums import possible_sums

rows = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 3), st.integers(0, 5)), max_size=4)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(rows, st.integers(0, 60))
def test_the_bits_are_the_sums_of_every_combination(rows, most):
    lowest = [step * first for step, first, _ in rows]
    highest = [low + step * more for low, (step, _, more) in zip(lowest, rows, strict=True)]
    steps = [step for step, _, _ in rows]
    ranges = [range(a, b + 1, s) for a, b, s in zip(lowest, highest, steps, strict=True)]
    expected = {sum(dims) for dims in itertools.product(*ranges) if sum(dims) <= most}
    bits = possible_sums(steps, lowest, highest, most)
    assert {total for total in range(most + 1) if bits >> total & 1} == expected
    assert bits >> (most + 1) == 0

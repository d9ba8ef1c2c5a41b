from __future__ import annotations

import pytest

from allocsearch.allocation import Allocation
from allocsearch.report.figures.allocation_bar import allocation_bars


def eighths(line):
    """The length of a line's bar: U+258F is an eighth of a character, U+2588 a whole one."""
    return sum(0x2590 - ord(letter) for letter in line.split()[2])


@pytest.mark.parametrize("text", ["12-8-4", "24", "88-1-1", "3-5-7-9-11-13-15-17"])
def test_bars_are_as_long_as_the_share_of_each_layer(text):
    allocation = Allocation.parse(text)
    lines = allocation_bars(allocation)
    assert [line.split()[:2] for line in lines] == [
        ["layer", str(layer)] for layer in range(1, allocation.layers + 1)
    ]
    assert [int(line.split()[3]) for line in lines] == list(allocation.dims)
    for line, d in zip(lines, allocation.dims, strict=True):
        assert eighths(line) == pytest.approx(128 * d / allocation.budget, abs=0.5 + 1e-9)
    assert sum(map(eighths, lines)) == pytest.approx(128, abs=allocation.layers / 2)


def test_a_layer_of_next_to_nothing_still_has_a_bar():
    assert eighths(allocation_bars(Allocation((9999, 1)))[1]) == 1


def test_an_allocation_of_many_layers_has_no_bars():
    assert allocation_bars(Allocation((1,) * 9)) == ()

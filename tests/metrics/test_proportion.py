from __future__ import annotations

import pytest
from scipy.stats import binomtest

from allocsearch.metrics.proportion import clopper_pearson


@pytest.mark.parametrize(("hits", "n"), [(0, 7), (7, 7), (3, 7), (1, 500), (250, 500)])
@pytest.mark.parametrize("level", [0.5, 0.95])
def test_it_is_the_exact_interval(hits: int, n: int, level: float) -> None:
    exact = binomtest(hits, n).proportion_ci(level, "exact")
    assert clopper_pearson(hits / n, n, level) == pytest.approx((exact.low, exact.high))


def test_the_ends_move_with_the_share() -> None:
    low, high = clopper_pearson([0.0, 0.01, 0.5, 0.99, 1.0], 10)
    assert list(low) == sorted(low)
    assert list(high) == sorted(high)
    assert low[0] == 0
    assert high[-1] == 1

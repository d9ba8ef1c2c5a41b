from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from allocsearch.report.agreement import agreement_text, rank_agreement


def by_hand(first: list[float], second: list[float]) -> float:
    """Kendall's tau without ties."""
    pairs = list(combinations(range(len(first)), 2))
    agree = [np.sign((first[i] - first[j]) * (second[i] - second[j])) for i, j in pairs]
    return float(np.sum(agree)) / len(pairs)


@pytest.mark.parametrize("n", [5, 9, 16])
def test_tau_is_the_share_of_agreeing_pairs_less_the_others(n):
    rng = np.random.default_rng(n)
    first, second = rng.standard_normal((2, n)).tolist()
    found = rank_agreement(first, second)
    assert found is not None
    assert found.n == n
    assert found.tau == pytest.approx(by_hand(first, second))
    assert -1 <= found.low <= found.tau <= found.high <= 1
    assert rank_agreement(first, second) == found


def test_equal_orders_agree_and_opposite_ones_do_not():
    values = [1.0, 2.0, 4.0, 8.0, 9.0, 30.0]
    up, down = rank_agreement(values, values), rank_agreement(values, values[::-1])
    assert up is not None
    assert down is not None
    assert (up.tau, up.low, up.high) == pytest.approx((1, 1, 1))
    assert (down.tau, down.low, down.high) == pytest.approx((-1, -1, -1))


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    # Of a bivariate normal, tau = 2 / pi asin(rho) (Kruskal 1958).
    rho, covered = 0.6, 0
    for seed in range(16):
        rng = np.random.default_rng(seed)
        first = rng.standard_normal(40)
        second = rho * first + np.sqrt(1 - rho**2) * rng.standard_normal(40)
        found = rank_agreement(first, second, seed)
        assert found is not None
        covered += found.low <= 2 / np.pi * np.arcsin(rho) <= found.high
    assert covered >= 12


def test_too_few_or_equal_values_have_no_tau():
    assert rank_agreement([1, 2, 3, 4], [1, 2, 3, 4]) is None
    assert rank_agreement([1, 1, 1, 1, 1], [1, 2, 3, 4, 5]) is None
    assert "not enough trials" in agreement_text(None)
    text = agreement_text(rank_agreement([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]))
    assert "1.00 (1.00 to 1.00, 95 % bootstrap) over 5 allocations" in text

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from allocsearch.search.rungs import rank_correlation as module
from allocsearch.search.rungs.rank_correlation import rank_correlation

# Few different values, so that there are ties.
VALUES = st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=2, max_size=30)
FIXED = settings(derandomize=True, deadline=None)


def sides(pairs):
    return [float(a) for a, _ in pairs], [float(b) for _, b in pairs]


@FIXED
@given(VALUES)
def test_tau_is_that_of_scipy(pairs):
    first, second = sides(pairs)
    truth = scipy.stats.kendalltau(first, second).statistic
    found = rank_correlation(first, second)
    if found is None:
        assert math.isnan(truth)
    else:
        assert found.tau == pytest.approx(truth, abs=1e-12)
        assert found.n == len(pairs)


@FIXED
@given(VALUES)
def test_only_the_orders_count_and_neither_side_is_special(pairs):
    first, second = sides(pairs)
    found = rank_correlation(first, second)
    assert found == rank_correlation(second, first)
    assert found == rank_correlation([math.exp(v) for v in first], [v**3 for v in second])
    turned = rank_correlation([-v for v in first], second)
    if found is None:
        assert turned is None
        return
    assert -1 <= found.low <= found.tau <= found.high <= 1
    # The ends swap with the sign: the two bounds are made alike.
    assert [turned.tau, turned.low, turned.high] == pytest.approx(
        [-found.tau, -found.high, -found.low], abs=1e-9
    )
    surer = rank_correlation(first, second, 0.001)
    assert surer.low <= found.low
    assert found.high <= surer.high


def test_bounds_have_the_larger_of_the_normal_variance_and_the_jackknifes():
    rng = np.random.default_rng(1)
    normal = rng.normal(size=20)
    noisy = normal + 2 * rng.normal(size=20)
    # Half are equal, half unrelated: further apart from sample to sample than normal pairs.
    mixed = np.where(np.arange(20) < 10, normal, rng.permutation(normal))
    for second, larger in ((noisy, "normal"), (mixed, "jackknife")):
        tau = scipy.stats.kendalltau(normal, second).statistic
        without = [
            scipy.stats.kendalltau(np.delete(normal, i), np.delete(second, i)).statistic
            for i in range(20)
        ]
        spread = {
            "normal": math.sqrt(0.437 / 16),
            "jackknife": math.sqrt(19 * np.var(without)) / (1 - tau**2),
        }
        assert max(spread, key=spread.__getitem__) == larger
        half = scipy.stats.norm.ppf(0.99) * spread[larger]
        found = rank_correlation(normal, second, 0.01)
        assert found.low == pytest.approx(math.tanh(math.atanh(tau - 1 / 190) - half))
        assert found.high == pytest.approx(math.tanh(math.atanh(tau + 1 / 190) + half))


@pytest.mark.parametrize("n", [2, 4])
def test_few_pairs_bound_nothing(n):
    found = rank_correlation(range(n), range(n))
    assert (found.tau, found.low, found.high) == (1.0, -1.0, 1.0)


def test_a_perfect_order_of_few_pairs_is_no_certainty():
    bounds = [rank_correlation(range(n), range(n)).low for n in (5, 8, 20, 40)]
    assert bounds == sorted(bounds)
    assert 0.8 < bounds[1] < 0.9
    assert rank_correlation(range(8), range(8)).high == 1.0


def test_what_has_no_order_has_no_tau():
    assert rank_correlation([], []) is None
    assert rank_correlation([1.0], [2.0]) is None
    assert rank_correlation([1.0] * 9, range(9)) is None
    # Without the one that differs no order is left: that one decides nothing.
    assert rank_correlation([1.0] * 8 + [2.0], range(9)).low < 0


def test_infinite_values_have_their_order():
    values = [-math.inf, 0.0, 1.0, 2.0, 3.0, math.inf]
    assert rank_correlation(values, range(6)).tau == 1.0


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    first, second = rng.integers(9, size=(2, 50)).astype(float)
    whole = rank_correlation(first, second)
    module._rank_correlation.cache_clear()
    monkeypatch.setattr(module, "_BLOCK", 60)
    assert rank_correlation(first, second) == whole


@pytest.mark.parametrize("n", [8, 20])
@pytest.mark.parametrize("kind", ["normal", "heavy tailed", "mixture"])
def test_bounds_miss_the_truth_as_rarely_as_they_say(kind, n):
    """A true tau of 0.3, 400 samples: 0.05 each is 20, and 33 has a probability of 0.004."""
    rng = np.random.default_rng(5)
    missed = np.zeros(2)
    for _ in range(400):
        if kind == "mixture":
            # tau = p^2 / 3 + 2 p / 3 for a share p of equal pairs.
            share = math.sqrt(1 + 0.9) - 1
            first = rng.uniform(size=n)
            second = np.where(rng.uniform(size=n) < share, first, rng.uniform(size=n))
        else:
            rho = math.sin(math.pi * 0.3 / 2)
            first, other = rng.normal(size=(2, n))
            second = rho * first + math.sqrt(1 - rho**2) * other
            if kind == "heavy tailed":
                tails = np.sqrt(2 / rng.chisquare(2, size=n))
                first, second = first * tails, second * tails
        found = rank_correlation(first, second, 0.05)
        missed += (found.low > 0.3, found.high < 0.3)
    assert (missed <= 33).all()

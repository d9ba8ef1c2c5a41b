from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, norm, poisson
from torch import Tensor

from allocsearch.metrics.auroc import auroc
from allocsearch.metrics.intervals import auroc_interval, seeds_interval

fixed = settings(derandomize=True, deadline=None)
tied = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=12)
REPETITIONS = 1000


def _normal(auroc: float, spread: float = 1.0) -> tuple[float, Callable[..., Tensor]]:
    shift = norm.ppf(auroc) * math.hypot(1, spread)
    return auroc, lambda g, n, m: (
        torch.randn(REPETITIONS, n, generator=g, dtype=torch.float64),
        torch.randn(REPETITIONS, m, generator=g, dtype=torch.float64) * spread + shift,
    )


def _exponential(auroc: float) -> tuple[float, Callable[..., Tensor]]:
    ratio = auroc / (1 - auroc)
    return auroc, lambda g, n, m: (
        torch.empty(REPETITIONS, n).exponential_(generator=g),
        torch.empty(REPETITIONS, m).exponential_(generator=g) * ratio,
    )


def _poisson(rate: float) -> tuple[float, Callable[..., Tensor]]:
    counts = range(60)
    low = poisson.pmf(counts, 1)
    truth = sum(poisson.pmf(k, rate) * (low[:k].sum() + low[k] / 2) for k in counts)
    return float(truth), lambda g, n, m: (
        torch.poisson(torch.full((REPETITIONS, n), 1.0), generator=g),
        torch.poisson(torch.full((REPETITIONS, m), rate), generator=g),
    )


@pytest.mark.parametrize(
    ("truth", "draw"),
    [
        _normal(0.5),
        _normal(0.75),
        _normal(0.95),
        _normal(0.99),
        _normal(0.2),
        _normal(0.9, spread=4),
        _normal(0.9, spread=0.25),
        _exponential(0.8),
        _poisson(1.0),
        _poisson(3.0),
    ],
)
@pytest.mark.parametrize(("n", "m"), [(150, 100), (400, 200)])
def test_coverage(truth: float, draw: Callable[..., Tensor], n: int, m: int) -> None:
    low, high = auroc_interval(*draw(torch.Generator().manual_seed(n), n, m))
    assert low.shape == high.shape == (REPETITIONS,)
    assert 0.93 <= float(((low <= truth) & (truth <= high)).double().mean()) <= 0.97


@pytest.mark.parametrize(
    ("truth", "draw"), [_normal(0.6), _normal(0.9), _normal(0.99), _normal(0.9, 4), _poisson(1.0)]
)
def test_coverage_of_few_examples_is_not_too_small(
    truth: float, draw: Callable[..., Tensor]
) -> None:
    low, high = auroc_interval(*draw(torch.Generator().manual_seed(1), 20, 20))
    assert 0.93 <= float(((low <= truth) & (truth <= high)).double().mean()) <= 0.99


def test_coverage_of_the_mean_over_sets_that_share_the_id_examples() -> None:
    generator = torch.Generator().manual_seed(0)
    low = torch.randn(REPETITIONS, 80, generator=generator)
    near = torch.randn(REPETITIONS, 60, generator=generator) + norm.ppf(0.8) * 2**0.5
    far = torch.randn(REPETITIONS, 120, generator=generator) + norm.ppf(0.95) * 2**0.5
    bottom, top = auroc_interval(low, near, far)
    truth = (0.8 + 0.95) / 2
    assert 0.93 <= float(((bottom <= truth) & (truth <= top)).double().mean()) <= 0.97
    # Sets that are copies of one another say as much on the ID examples, no less.
    both, once = auroc_interval(low[0], near[0], near[0]), auroc_interval(low[0], near[0])
    assert both[1] - both[0] < once[1] - once[0]


@pytest.mark.parametrize("examples", [20, 200])
def test_separated_scores_have_the_exact_interval_of_independent_pairs(examples: int) -> None:
    small = min(examples, 50)
    exact = binomtest(small, small).proportion_ci(0.95, "exact")
    low, high = auroc_interval(torch.zeros(examples), torch.ones(50))
    assert (float(low), float(high)) == pytest.approx((exact.low, exact.high))
    low, high = auroc_interval(torch.ones(examples), torch.zeros(50))
    assert (float(low), float(high)) == pytest.approx((1 - exact.high, 1 - exact.low))


def test_constant_scores_have_the_exact_interval_around_a_half() -> None:
    exact = binomtest(20, 40).proportion_ci(0.95, "exact")
    low, high = auroc_interval(torch.full((70,), 3.0), torch.full((40,), 3.0))
    assert (float(low), float(high)) == pytest.approx((exact.low, exact.high))


@fixed
@given(tied, tied)
def test_the_interval_contains_the_auroc_and_mirrors(low: list[float], high: list[float]) -> None:
    first, second = torch.tensor(low), torch.tensor(high)
    bottom, top = map(float, auroc_interval(first, second))
    assert 0 <= bottom < top <= 1
    assert bottom - 1e-9 <= auroc(first, second) <= top + 1e-9
    narrow = tuple(map(float, auroc_interval(first, second, level=0.5)))
    assert bottom <= narrow[0] <= narrow[1] <= top
    if auroc(first, second) != 0.5:
        mirrored = tuple(map(float, auroc_interval(second, first)))
        assert mirrored == pytest.approx((1 - top, 1 - bottom))


def test_an_interval_over_seeds_counts_seeds_and_examples() -> None:
    """Scores with effects of the seed, the example and both, and a mean AUROC in closed form."""
    generator = torch.Generator().manual_seed(3)
    for seeds, seed_sd in ((3, 0.02), (5, 0.3), (3, 0.6)):

        def score(n: int, seeds: int = seeds) -> Tensor:
            example = torch.randn(REPETITIONS, 1, n, generator=generator) * 0.8**0.5
            return example + torch.randn(REPETITIONS, seeds, n, generator=generator) * 0.2**0.5

        shift = torch.randn(REPETITIONS, seeds, 1, generator=generator) * seed_sd + 1.8
        truth = norm.cdf(1.8 / (2 + seed_sd**2) ** 0.5)
        low, high = seeds_interval(score(100), score(100) + shift)
        coverage = float(((low <= truth) & (truth <= high)).double().mean())
        assert 0.93 <= coverage <= 0.99, (seeds, seed_sd)


def test_equal_seeds_add_nothing_to_the_interval_of_examples() -> None:
    generator = torch.Generator().manual_seed(4)
    low, high = torch.randn(50, generator=generator), torch.randn(40, generator=generator) + 1
    found = seeds_interval(low.expand(3, 50), high.expand(3, 40))
    torch.testing.assert_close(found, auroc_interval(low, high))


def test_one_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="two or more"):
        seeds_interval(torch.zeros(1, 5), torch.ones(1, 5))

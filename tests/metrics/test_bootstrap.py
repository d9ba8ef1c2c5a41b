from __future__ import annotations

from dataclasses import asdict, astuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from allocsearch.metrics.bootstrap import detection_intervals, weighted_detection
from allocsearch.metrics.detection import detection
from allocsearch.metrics.intervals import auroc_interval

fixed = settings(derandomize=True, deadline=None, max_examples=50)
# Scores that are often tied, each with how often it was drawn.
counted = st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 3)), min_size=1, max_size=12)
counted = counted.filter(lambda pairs: any(count for _, count in pairs))


@fixed
@given(counted, counted)
def test_weights_count_as_copies(low: list[tuple[int, int]], high: list[tuple[int, int]]) -> None:
    scores = [torch.tensor([float(s) for s, _ in pairs]) for pairs in (low, high)]
    weights = [torch.tensor([[c for _, c in pairs]]) for pairs in (low, high)]
    found = weighted_detection(*scores, *weights)
    copies = [s.repeat_interleave(w[0]) for s, w in zip(scores, weights, strict=True)]
    assert found[0].tolist() == pytest.approx(astuple(detection(*copies)))


def test_separated_scores_do_not_have_intervals_of_no_width() -> None:
    found = detection_intervals(torch.zeros(40), torch.ones(60), resamples=50)
    unseen = 1 - 0.025 ** (1 / 40)
    for name in ("auroc", "aupr_ood", "aupr_id"):
        assert found[name] == pytest.approx((1 - unseen, 1))
    for name in ("fpr80", "fpr95"):
        assert found[name] == pytest.approx((0, unseen))


def test_the_seed_fixes_the_intervals() -> None:
    scores = torch.arange(30.0), torch.arange(30.0) + 5
    once = detection_intervals(*scores, resamples=100, seed=3)
    assert once == detection_intervals(*scores, resamples=100, seed=3)
    other = detection_intervals(*scores, resamples=100, seed=4)
    assert once["auroc"] == other["auroc"]
    assert once["aupr_ood"] != other["aupr_ood"]


def test_constant_scores_have_the_intervals_of_proportions() -> None:
    found = detection_intervals(torch.zeros(60), torch.zeros(20), resamples=50)
    exact = binomtest(5, 20).proportion_ci(0.95, "exact")
    assert found["aupr_ood"] == pytest.approx((exact.low, exact.high))
    assert found["fpr95"] == pytest.approx((0.025 ** (1 / 20), 1))


@pytest.mark.parametrize("truth", [0.75, 0.95])
def test_coverage(truth: float) -> None:
    """Against the metrics of so many examples that their own error does not matter."""
    shift = norm.ppf(truth) * 2**0.5
    generator = torch.Generator().manual_seed(0)
    many = torch.randn(2, 200_000, generator=generator)
    expected = asdict(detection(many[0], many[1] + shift))
    repetitions = 100
    missed = dict.fromkeys(expected, 0)
    for i in range(repetitions):
        low, high = torch.randn(2, 80, generator=generator)
        found = detection_intervals(low, high + shift, resamples=150, seed=i)
        for name, (bottom, top) in found.items():
            missed[name] += not bottom <= expected[name] <= top
    # 5 % are 5, and their standard deviation is 2.2.
    assert all(1 <= count <= 12 for count in missed.values()), missed


def test_the_auroc_has_the_interval_of_delong() -> None:
    low, high = torch.arange(30.0), torch.arange(25.0) + 9
    found = detection_intervals(low, high, resamples=20)
    assert found["auroc"] == tuple(map(float, auroc_interval(low, high)))

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from allocsearch.metrics.threshold import threshold


def test_threshold_is_the_order_statistic():
    scores = torch.arange(1.0, 100.0)[torch.randperm(99, generator=torch.Generator())]
    # Of 100 examples that are alike, the 5 largest scores are above or at it.
    assert threshold(scores, 0.05) == 95.0
    assert threshold(scores, 0.01) == 99.0
    assert threshold(scores, 0.2) == 80.0
    assert threshold(scores, 0.059) == 95.0


@pytest.mark.parametrize("fpr", [0.0099, 0.0, -0.1, 1.0, 1.5])
def test_rates_that_cannot_be_promised_are_refused(fpr):
    with pytest.raises(ValueError, match=r"is not between 0\.01 and 1"):
        threshold(torch.arange(99.0), fpr)


@settings(derandomize=True, max_examples=50, deadline=None)
@given(
    scores=st.lists(st.integers(0, 9), min_size=20, max_size=200),
    fpr=st.sampled_from([0.05, 0.1, 0.2, 0.5]),
)
def test_no_more_than_the_rate_exceed_it_leaving_one_out(scores, fpr):
    """The promise by brute force: each of n + 1 examples in turn is the further one."""
    values = torch.tensor(scores, dtype=torch.float32)
    exceeded = sum(
        float(values[i]) > threshold(torch.cat([values[:i], values[i + 1 :]]), fpr)
        for i in range(len(values))
    )
    assert exceeded <= fpr * len(values) + 1e-9


def test_the_rate_is_met_on_average():
    generator = torch.Generator().manual_seed(0)
    held_out = torch.randn(4_000, 59, generator=generator)
    others = torch.randn(4_000, generator=generator)
    exceed = [float(o) > threshold(h, 0.1) for h, o in zip(held_out, others, strict=True)]
    # 0.1 exactly in expectation, with a standard error of 0.005.
    assert abs(sum(exceed) / len(exceed) - 0.1) < 0.015

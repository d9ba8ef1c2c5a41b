from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from allocsearch.metrics.delong import placements, variance_of_sum_of_means

fixed = settings(derandomize=True, deadline=None)
tied = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=12)


@fixed
@given(tied, tied)
def test_placements_are_shares_of_pairs(low: list[float], high: list[float]) -> None:
    of_id, of_ood = placements(torch.tensor(low), torch.tensor(high))
    wins = [[(o > i) + 0.5 * (o == i) for o in high] for i in low]
    table = torch.tensor(wins, dtype=torch.float64)
    torch.testing.assert_close(of_id, table.mean(1))
    torch.testing.assert_close(of_ood, table.mean(0))


def test_a_batch_is_its_parts() -> None:
    generator = torch.Generator().manual_seed(0)
    low = torch.randn(3, 2, 30, generator=generator)
    high = torch.randn(3, 2, 20, generator=generator) + 1
    of_id, of_ood = placements(low, high)
    one_id, one_ood = placements(low[2, 1], high[2, 1])
    assert torch.equal(of_id[2, 1], one_id)
    assert torch.equal(of_ood[2, 1], one_ood)
    assert float(one_id.mean()) == pytest.approx(
        roc_auc_score([0] * 30 + [1] * 20, torch.cat([low[2, 1], high[2, 1]]).numpy())
    )


def test_the_variance_is_that_of_the_auroc_over_repetitions() -> None:
    generator = torch.Generator().manual_seed(1)
    low = torch.randn(4000, 60, generator=generator)
    high = torch.randn(4000, 40, generator=generator) * 2 + 1.5
    of_id, of_ood = placements(low, high)
    variance, _ = variance_of_sum_of_means(of_id, of_ood)
    # Both sides have a relative error of about 2 %.
    assert float(variance.mean()) == pytest.approx(float(of_id.mean(1).var()), rel=0.07)


def test_degrees_of_freedom_of_a_normal_sample_are_those_of_its_variance() -> None:
    sample = torch.randn(100_000, generator=torch.Generator().manual_seed(2))
    variance, freedom = variance_of_sum_of_means(sample)
    assert float(variance) == pytest.approx(1e-5, rel=0.02)
    assert float(freedom) == pytest.approx(100_000, rel=0.05)


def test_one_far_example_leaves_few_degrees_of_freedom() -> None:
    sample = torch.zeros(100)
    sample[7] = 1
    _, freedom = variance_of_sum_of_means(sample)
    assert 1 <= float(freedom) < 3


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [([], [1.0], "of ID"), ([1.0], [], "of OOD"), ([1.0], [torch.nan], "OOD example is NaN")],
)
def test_missing_scores_are_refused(low: list[float], high: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        placements(torch.tensor(low), torch.tensor(high))

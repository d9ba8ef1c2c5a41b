from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from allocsearch.metrics.detection import detection

fixed = settings(derandomize=True, deadline=None, max_examples=40)
random = st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=24)
tied = st.lists(st.integers(-2, 2).map(float), min_size=1, max_size=24)
constant = st.integers(1, 24).map(lambda n: [1.0] * n)
scores = st.one_of(random, tied, constant)


def _false_positive_rate(low: list[float], high: list[float], percent: int) -> float:
    """By trying every score as the threshold, in integers."""
    enough = [t for t in high + low if 100 * sum(s >= t for s in high) >= percent * len(high)]
    return sum(s >= max(enough) for s in low) / len(low)


@fixed
@given(scores, scores)
def test_metrics_are_those_of_scikit_learn(low: list[float], high: list[float]) -> None:
    found = detection(torch.tensor(low), torch.tensor(high))
    labels, both = np.repeat([0, 1], [len(low), len(high)]), np.array(low + high)
    assert found.auroc == roc_auc_score(labels, both)
    assert found.aupr_ood == average_precision_score(labels, both)
    assert found.aupr_id == average_precision_score(1 - labels, -both)
    fpr, tpr, _ = roc_curve(labels, both, drop_intermediate=False)
    assert found.fpr80 == fpr[tpr >= 0.8].min()
    assert found.fpr95 == fpr[tpr >= 0.95].min()


@fixed
@given(scores, scores)
def test_false_positive_rates_are_those_of_the_best_threshold(
    low: list[float], high: list[float]
) -> None:
    found = detection(torch.tensor(low), torch.tensor(high))
    assert found.fpr80 == pytest.approx(_false_positive_rate(low, high, 80))
    assert found.fpr95 == pytest.approx(_false_positive_rate(low, high, 95))


def test_separated_and_constant_scores() -> None:
    low, high = torch.arange(5.0), torch.arange(10.0, 13.0)
    best, worst = detection(low, high), detection(high, low)
    assert (best.auroc, best.aupr_ood, best.aupr_id, best.fpr80, best.fpr95) == (1, 1, 1, 0, 0)
    assert (worst.auroc, worst.fpr80, worst.fpr95) == (0, 1, 1)
    same = detection(torch.zeros(6), torch.zeros(2))
    assert (same.auroc, same.aupr_ood, same.aupr_id, same.fpr95) == (0.5, 0.25, 0.75, 1)


def test_the_threshold_detects_exactly_the_share() -> None:
    # 19 of 20 OOD examples lie above 2 of 4 ID ones, all 20 above none.
    high = torch.tensor([0.0, *[3.0] * 19])
    assert detection(torch.tensor([1.0, 2.0, 4.0, 5.0]), high).fpr95 == 0.5
    assert detection(torch.tensor([1.0, 2.0, 4.0, 5.0]), high[:-1]).fpr95 == 1.0


def test_an_empty_set_and_nan_are_refused() -> None:
    with pytest.raises(ValueError, match="both ID and OOD"):
        detection(torch.ones(3), torch.ones(0))
    with pytest.raises(ValueError, match="NaN"):
        detection(torch.ones(3), torch.tensor([1.0, torch.nan]))

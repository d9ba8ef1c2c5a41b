from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score

from allocsearch.metrics.auroc import auroc, best_score

fixed = settings(derandomize=True, deadline=None)
# Few different values, so that ties are common.
tied = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=12)


@fixed
@given(tied, tied)
def test_it_is_the_share_of_pairs_in_the_right_order(low: list[float], high: list[float]) -> None:
    pairs = [(o > i) + 0.5 * (o == i) for i, o in product(low, high)]
    found = auroc(torch.tensor(low), torch.tensor(high))
    assert found == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)


@fixed
@given(tied, tied)
def test_swapping_the_sets_gives_the_complement(first: list[float], second: list[float]) -> None:
    one, other = torch.tensor(first), torch.tensor(second)
    assert auroc(one, other) + auroc(other, one) == pytest.approx(1, abs=1e-12)
    assert auroc(one, other) == pytest.approx(auroc(-other, -one), abs=1e-12)
    assert auroc(one, one) == 0.5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_equals_scikit_learn_and_the_rank_sum_statistic(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    low = torch.randn(400, generator=generator, dtype=dtype).mul(4).round().div(4)
    high = torch.randn(300, generator=generator, dtype=dtype).add(0.7).mul(4).round().div(4)
    labels = [0] * 400 + [1] * 300
    found = auroc(low, high)
    assert found == pytest.approx(roc_auc_score(labels, torch.cat([low, high]).numpy()))
    rank_sum = mannwhitneyu(high.numpy(), low.numpy()).statistic
    assert found == pytest.approx(float(rank_sum) / (400 * 300))


def test_separated_sets_give_one_and_zero() -> None:
    low, high = torch.tensor([-1.0, 0.0]), torch.tensor([0.5, 2.0, 3.0])
    assert auroc(low, high) == 1.0
    assert auroc(high, low) == 0.0


def test_large_scores_that_differ_little_are_told_apart() -> None:
    assert auroc(torch.tensor([1e6]), torch.tensor([1e6 + 0.0625])) == 1.0


def test_the_best_score_has_the_highest_mean_over_the_sets() -> None:
    aurocs = {
        "near": {"a": 0.9, "b": 0.6, "c": 0.7},
        "far": {"a": 0.2, "b": 0.7, "c": 0.7},
    }
    assert best_score(aurocs) == "c"
    assert best_score({"near": aurocs["near"]}) == "a"


def test_what_hardly_depends_on_the_model_is_not_chosen() -> None:
    table = {"kl_1": 0.6, "complexity_png": 0.9, "complexity_zlib": 0.99, "llr_1": 0.7}
    assert best_score({"only": table}) == "llr_1"


def test_the_first_of_equally_good_scores_is_chosen() -> None:
    assert best_score({"only": {"b": 0.5, "a": 0.7, "c": 0.7}}) == "a"

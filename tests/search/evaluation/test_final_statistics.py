from __future__ import annotations

from statistics import fmean, stdev

import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from allocsearch.metrics.comparison import compare_aurocs
from allocsearch.metrics.intervals import auroc_interval, seeds_interval
from allocsearch.metrics.seed_comparison import compare_seeds
from allocsearch.search.evaluation.final_statistics import Scored, detected


def scored(seed, seeds=3, shift=1.0):
    generator = torch.Generator().manual_seed(seed)
    of_id = torch.randn(seeds, 50, generator=generator)
    return Scored(of_id, {"far": torch.randn(seeds, 40, generator=generator) + shift})


def by_sklearn(function, each, name="far"):
    labels = [0] * each.of_id.shape[1] + [1] * each.of_ood[name].shape[1]
    rows = torch.cat([each.of_id, each.of_ood[name]], 1).tolist()
    return [function(labels, row) for row in rows]


def test_means_and_intervals_over_seeds():
    ours, elbo, uniform = scored(0), scored(1, shift=-0.5), scored(2, shift=0.5)
    found = detected("far", ours, elbo, uniform)
    aurocs = by_sklearn(roc_auc_score, ours)
    assert found.auroc == pytest.approx(fmean(aurocs), abs=1e-6)
    assert found.sd == pytest.approx(stdev(aurocs), abs=1e-6)
    assert found.aupr_ood == pytest.approx(fmean(by_sklearn(average_precision_score, ours)))
    assert found.negative_elbo == pytest.approx(fmean(by_sklearn(roc_auc_score, elbo)))
    low, high = seeds_interval(ours.of_id, ours.of_ood["far"])
    assert (found.low, found.high) == (float(low), float(high))
    truth = compare_seeds((ours.of_id, ours.of_ood["far"]), (uniform.of_id, uniform.of_ood["far"]))
    assert found.difference == float(truth.difference)
    assert found.difference == pytest.approx(
        fmean(aurocs) - fmean(by_sklearn(roc_auc_score, uniform)), abs=1e-6
    )
    assert (found.difference_low, found.difference_high) == (float(truth.low), float(truth.high))
    assert found.p_value == float(truth.p_value)


def test_one_seed_has_intervals_over_the_examples():
    ours, uniform = scored(0, 1), scored(1, 1)
    found = detected("far", ours, ours, uniform)
    assert found.sd is None
    low, high = auroc_interval(ours.of_id[0], ours.of_ood["far"][0])
    assert (found.low, found.high) == (float(low), float(high))
    truth = compare_aurocs(
        (ours.of_id[0], ours.of_ood["far"][0]), (uniform.of_id[0], uniform.of_ood["far"][0])
    )
    assert found.p_value == float(truth.p_value)


def test_no_difference_where_there_is_nothing_to_compare():
    ours = scored(0)
    for uniform in (None, scored(1, 1)):
        found = detected("far", ours, ours, uniform)
        assert found.difference is found.difference_low is found.p_value is None

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import roc_auc_score

from allocsearch.data import splits
from allocsearch.data.dataset import Dataset
from allocsearch.metrics.plain import composition_score, length_score
from allocsearch.search.evaluation.plain_baselines import plain_baselines


def tokens(name, n, length, kinds, seed):
    source = torch.Generator().manual_seed(seed)
    values = torch.randint(1, kinds + 1, (n, 20), generator=source)
    values[torch.arange(20) >= torch.randint(length, 21, (n, 1), generator=source)] = 0
    return Dataset(name, values.to(torch.uint8), kind="tokens")


def test_aurocs_are_those_of_the_scores_on_test_data():
    train, test = tokens("t", 300, 15, 20, 0), tokens("i", 100, 15, 20, 1)
    sets = (tokens("short", 60, 5, 20, 2), tokens("poor", 60, 15, 6, 3))
    found = plain_baselines(train, splits.TestData(test, sets))
    assert [each.name for each in found] == ["sequence length", "composition"]
    for each, score in zip(found, (length_score, composition_score), strict=True):
        for result, ood in zip(each.sets, sets, strict=True):
            scores = torch.cat([score(train.values, s.values) for s in (test, ood)])
            truth = [0] * 100 + [1] * 60
            assert result.name == ood.name
            assert result.auroc == pytest.approx(roc_auc_score(truth, scores), abs=1e-6)
            assert result.low <= result.auroc <= result.high
            assert (result.negative_elbo, result.sd, result.difference) == (None, None, None)
    assert found[0].sets[0].auroc > 0.7
    assert found[1].sets[1].auroc > 0.99


def test_there_are_none_for_pixels():
    pixels = Dataset("p", torch.zeros(4, 20, dtype=torch.uint8))
    assert plain_baselines(pixels, splits.TestData(pixels, (pixels,))) == ()

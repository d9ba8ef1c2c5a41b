from __future__ import annotations

from math import log

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import ledoit_wolf

from allocsearch.data.alphabet import PAD
from allocsearch.metrics.plain import composition_score, length_score


def sequences(lengths, width=12, seed=0, low=1, high=22):
    tokens = torch.randint(
        low, high, (len(lengths), width), generator=torch.Generator().manual_seed(seed)
    )
    inside = torch.arange(width) < torch.tensor(lengths)[:, None]
    return torch.where(inside, tokens, PAD).to(torch.uint8)


def test_length_is_scored_by_how_rare_it_is():
    train = sequences([12] * 6 + [10] * 3)
    found = length_score(train, sequences([12, 10, 3, 0]))
    # 9 sequences, and one more of each of the 13 lengths.
    assert found.tolist() == pytest.approx([-log(n / 22) for n in (7, 4, 1, 1)])


def test_composition_is_a_mahalanobis_distance_that_neither_pads_nor_unknowns_change():
    train, values = sequences([12] * 80), sequences([5, 9, 12], seed=1)

    def shares(tokens):
        counts = np.array([np.bincount(row, minlength=22)[1:21] for row in tokens.numpy()])
        return counts / counts.sum(1, keepdims=True)

    covariance, _ = ledoit_wolf(shares(train))
    inverse, mean = np.linalg.inv(covariance), shares(train).mean(0)
    expected = [mahalanobis(row, mean, inverse) ** 2 for row in shares(values)]
    found = composition_score(train, values)
    assert found.tolist() == pytest.approx(expected)
    longer = torch.nn.functional.pad(values, (0, 4))
    longer[2, 12:14] = 21
    wide = torch.nn.functional.pad(train, (0, 4))
    assert torch.allclose(composition_score(wide, longer), found)

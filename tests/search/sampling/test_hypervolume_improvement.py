from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from allocsearch.search.sampling.hypervolume_improvement import expected_improvement


@pytest.mark.parametrize("mean", [-0.5, 0.0, 0.7])
def test_one_objective_is_the_expected_improvement(mean):
    draws = 200_000
    each = np.random.default_rng(0).normal(mean, 0.4, size=(draws, 1, 1))
    best = np.full((draws, 1, 1), 0.2)
    (found,) = expected_improvement(best[:20_000], each[:20_000], np.array([50.0]))
    z = (0.2 - mean) / 0.4
    expected = 0.4 * (z * stats.norm.cdf(z) + stats.norm.pdf(z))
    assert found == pytest.approx(expected, abs=4 * 0.4 / math.sqrt(20_000))


def test_rectangles_by_hand():
    trained = np.array([[[0.2, 0.5], [0.6, 0.1], [0.7, 0.7]]])
    others = np.array([[[0.4, 0.3], [0.6, 0.6], [0.1, 2.0], [0.0, 0.0], [0.2, 0.5]]])
    found = expected_improvement(trained, others, np.ones(2))
    # The first fills the corner between two rectangles; the box of the fourth is all there is.
    assert found == pytest.approx([0.2 * 0.2, 0, 0, 1 - 0.56, 0])


@pytest.mark.parametrize("m", [1, 2, 3, 5])
def test_as_the_share_of_random_points_that_become_dominated(m):
    rng = np.random.default_rng(m)
    trained, others = rng.uniform(size=(3, 6, m)), rng.uniform(size=(3, 4, m)) * 0.7
    points = rng.uniform(size=(40_000, m))
    expected = np.zeros(4)
    for own, each in zip(trained, others, strict=True):
        old = (own[None] <= points[:, None]).all(-1).any(-1)
        new = (each[None] <= points[:, None]).all(-1)
        expected += (new & ~old[:, None]).mean(axis=0) / 3
    found = expected_improvement(trained, others, np.ones(m))
    assert found == pytest.approx(expected, abs=4 * 0.5 / math.sqrt(40_000))


def test_trained_points_beyond_the_reference_count_for_nothing():
    found = expected_improvement(np.full((2, 1, 2), 3.0), np.full((2, 1, 2), 0.5), np.ones(2))
    assert found == pytest.approx([0.25])

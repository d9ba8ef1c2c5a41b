from __future__ import annotations

import numpy as np
import pytest

from allocsearch.report.panels.histograms import shared_histogram

SOURCE = np.random.default_rng(0)
OF_ID = SOURCE.normal(size=1000)


def test_shares_are_those_of_counting() -> None:
    found = shared_histogram(OF_ID, {"near": OF_ID[:500] + 1})
    assert len(found.edges) == 21
    np.testing.assert_allclose(np.diff(found.edges), np.diff(found.edges)[0])
    for name, scores in (("validation", OF_ID), ("near", OF_ID[:500] + 1)):
        inside = (scores >= found.edges[0]) & (scores <= found.edges[-1])
        assert found.beyond[name] == pytest.approx(1 - inside.mean())
        assert 0 < found.beyond[name] <= 0.01
        assert found.shares[name].sum() == pytest.approx(1)
        for i in range(1, 19):
            low, high = found.edges[i : i + 2]
            expected = ((scores >= low) & (scores < high)).mean()
            assert found.shares[name][i] == pytest.approx(expected)


def test_a_far_set_does_not_squeeze_the_id_examples_into_a_bin() -> None:
    found = shared_histogram(OF_ID, {"far": 1e6 + OF_ID, "near": OF_ID})
    assert (found.shares["validation"] > 0).sum() >= 5
    assert found.shares["far"].tolist() == [0] * (len(found.edges) - 2) + [1]
    assert found.beyond["far"] == 1


def test_outliers_are_counted_at_the_ends() -> None:
    of_id = np.concatenate((OF_ID, [-1e9, 1e9]))
    found = shared_histogram(of_id, {})
    assert abs(found.edges).max() < 4
    assert found.shares["validation"].sum() == pytest.approx(1)
    assert found.shares["validation"][[0, -1]].min() > 1 / len(of_id)


@pytest.mark.parametrize("value", [0.0, -7.25, 1e20])
def test_constant_scores_have_bins_too(value: float) -> None:
    of_id = np.full(9, value, dtype=np.float32)
    found = shared_histogram(of_id, {"same": of_id[:4]})
    assert (np.diff(found.edges) > 0).all()
    assert found.shares["validation"].max() == found.shares["same"].max() == 1
    assert found.beyond == {"validation": 0, "same": 0}


@pytest.mark.parametrize(("n", "bins"), [(1, 20), (1000, 20), (8000, 40), (100_000, 50)])
def test_the_smallest_set_says_how_many_bins(n: int, bins: int) -> None:
    found = shared_histogram(np.resize(OF_ID, 200_000), {"x": np.resize(OF_ID, n)})
    assert len(found.edges) == bins + 1

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from allocsearch.report.panels.roc import MOST_POINTS, Roc, mean_roc, roc

# Few values, so that there are ties.
scores = st.lists(st.integers(0, 9), min_size=1, max_size=30).map(
    lambda found: np.array(found, dtype=np.float32)
)


def reference(of_id: np.ndarray, of_ood: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    both = np.concatenate((of_id, of_ood))
    is_ood = np.arange(len(both)) >= len(of_id)
    x, y, _ = roc_curve(is_ood, both, drop_intermediate=False)
    return x, y, float(roc_auc_score(is_ood, both))


@settings(derandomize=True, max_examples=60, deadline=None)
@given(of_id=scores, of_ood=scores)
def test_it_is_scikit_learns(of_id: np.ndarray, of_ood: np.ndarray) -> None:
    found = roc(of_id, of_ood)
    x, y, area = reference(of_id, of_ood)
    np.testing.assert_allclose(found.false_positive_rate, x, atol=1e-12)
    np.testing.assert_allclose(found.true_positive_rate, y, atol=1e-12)
    assert found.area == pytest.approx(area, abs=1e-12)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(pairs=st.lists(st.tuples(scores, scores), min_size=1, max_size=4))
def test_the_mean_curve_has_the_mean_area(pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    curves = [roc(*pair) for pair in pairs]
    mean = mean_roc(curves)
    assert mean.area == pytest.approx(np.mean([reference(*pair)[2] for pair in pairs]), abs=1e-12)
    for rates in (mean.false_positive_rate, mean.true_positive_rate):
        assert rates[0] == 0
        assert rates[-1] == pytest.approx(1)
        assert (np.diff(rates) >= -1e-12).all()


def test_the_mean_curve_is_the_mean_at_every_rate() -> None:
    # One jumps to 1 at the rate 0, the other is the diagonal.
    perfect, chance = (
        Roc(np.array([0.0, 0, 1]), np.array([0.0, 1, 1])),
        Roc(*[np.array([0.0, 1])] * 2),
    )
    mean = mean_roc([perfect, chance])
    assert mean.false_positive_rate.tolist() == [0, 0, 1, 1]
    assert mean.true_positive_rate.tolist() == [0, 0.5, 1, 1]


@pytest.mark.parametrize("shift", [-1.0, 0.0, 0.5, 2.0, 9.0])
def test_a_thinned_curve_has_few_points_and_nearly_the_area(shift: float) -> None:
    source = np.random.default_rng(0)
    curve = roc(source.normal(size=5000), shift + source.normal(size=5000))
    thinned = curve.thinned()
    assert len(curve.false_positive_rate) > MOST_POINTS
    assert len(thinned.false_positive_rate) <= MOST_POINTS
    assert thinned.area == pytest.approx(curve.area, abs=1e-3)
    for whole, part in (
        (curve.false_positive_rate, thinned.false_positive_rate),
        (curve.true_positive_rate, thinned.true_positive_rate),
    ):
        assert np.isin(part, whole).all()
        assert (part[0], part[-1]) == (0, 1)


def test_a_short_curve_keeps_all_its_points() -> None:
    curve = roc(np.arange(5), np.arange(3, 9))
    assert curve.thinned() is curve

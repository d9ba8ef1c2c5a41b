from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from allocsearch.config import score_names
from allocsearch.metrics.evidence import Evidence
from allocsearch.metrics.reference import Reference
from allocsearch.metrics.scores import score_all

LOG_LIKELIHOOD = torch.tensor([[-10.0, -12.0, -15.0], [-20.0, -20.5, -31.0]])
IMPORTANCE = torch.tensor([[-15.5, -14.0, -15.0], [-30.0, -32.0, -38.5]])
KL = torch.tensor([[3.0, 2.0, 1.0], [0.5, 4.0, 8.0]])
DIVERGENCE = torch.tensor([[3.25, 2.5, 0.75], [1.0, 4.5, 8.0]])
COMPLEXITY = torch.tensor([[5.0, 7.0], [40.0, 30.0]])


def by_hand() -> Evidence:
    return Evidence(LOG_LIKELIHOOD, IMPORTANCE, KL, DIVERGENCE, COMPLEXITY)


def random_evidence(n: int, layers: int, seed: int = 0, columns: int = 2) -> Evidence:
    generator = torch.Generator().manual_seed(seed)

    def normal(width: int) -> Tensor:
        return torch.randn(n, width, generator=generator) + torch.arange(width)

    return Evidence(
        normal(layers), normal(layers), normal(layers), normal(layers), normal(columns)
    )


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.fit(random_evidence(400, 3))


def test_scores_by_hand(reference: Reference) -> None:
    scores = score_all(by_hand(), reference)
    expected = {
        "negative_elbo": [16.0, 32.5],
        "negative_bound_1": [15.0, 32.5],
        "negative_bound_2": [16.0, 39.0],
        "llr_1": [-1.0, 0.0],
        "llr_2": [0.0, 6.5],
        "negative_iw_elbo": [15.5, 30.0],
        "negative_iw_bound_1": [14.0, 32.0],
        "negative_iw_bound_2": [15.0, 38.5],
        "iw_llr_1": [-1.5, 2.0],
        "iw_llr_2": [-0.5, 8.5],
        "kl_1": [3.25, 1.0],
        "kl_2": [2.5, 4.5],
        "kl_3": [0.75, 8.0],
        "complexity_png": [11.0, -7.5],
        "complexity_zlib": [9.0, 2.5],
    }
    assert {name: scores[name].tolist() for name in expected} == expected
    elbo = float(reference.elbo)
    assert scores["typicality"].tolist() == pytest.approx([abs(-16 - elbo), abs(-32.5 - elbo)])
    for layer in range(3):
        signed = (DIVERGENCE[:, layer].double() - reference.mean[layer]) / reference.sd[layer]
        assert scores[f"kl_z_{layer + 1}"].tolist() == pytest.approx(signed.tolist(), rel=1e-4)
        assert scores[f"kl_abs_z_{layer + 1}"].tolist() == pytest.approx(
            signed.abs().tolist(), rel=1e-4
        )
    sds = reference.ratio_sd
    steps = [[-1.0, 1.0], [0.0, 6.5]]
    expected_steps = [float(one / sds[0] + two / sds[1]) for one, two in steps]
    assert scores["weighted_llr"].tolist() == pytest.approx(expected_steps, rel=1e-4)


@pytest.mark.parametrize("layers", [1, 2, 3, 5])
@pytest.mark.parametrize("columns", [0, 2])
def test_every_score_that_a_study_can_name_is_computed(layers: int, columns: int) -> None:
    evidence = random_evidence(40, layers, columns=columns)
    scores = score_all(evidence, Reference.fit(evidence))
    assert tuple(scores) == score_names(layers, compressed=columns > 0)
    assert all(score.shape == (40,) for score in scores.values())
    assert all(bool(score.isfinite().all()) for score in scores.values())


def test_the_reference_is_not_moved_by_what_is_scored(reference: Reference) -> None:
    one = score_all(by_hand(), reference)
    both = score_all(
        Evidence(*(torch.cat([part, part + 9]) for part in vars(by_hand()).values())), reference
    )
    for name, score in one.items():
        torch.testing.assert_close(both[name][:2], score)


def test_far_from_id_data_two_sided_scores_rise_on_both_sides(reference: Reference) -> None:
    for sign in (-1, 1):
        near, far = (
            Evidence(*(part + sign * by for part in vars(random_evidence(50, 3, 7)).values()))
            for by in (1.0, 10.0)
        )
        close, distant = score_all(near, reference), score_all(far, reference)
        for name in ("kl_abs_z_3", "mahalanobis", "density", "typicality"):
            assert distant[name].mean() > close[name].mean(), name
        assert math.copysign(1, float((distant["kl_z_3"] - close["kl_z_3"]).mean())) == sign

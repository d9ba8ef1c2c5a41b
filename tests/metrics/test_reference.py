from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chi2, multivariate_normal
from torch import Tensor

from allocsearch.metrics.evidence import Evidence
from allocsearch.metrics.reference import Reference, summary


def evidence_of(vectors: Tensor) -> Evidence:
    """Evidence of two layers whose summary is the given vectors, `(n, 4)`."""
    divergence, negative_bounds = vectors[:, :2], vectors[:, 2:]
    return Evidence(
        log_likelihood=-negative_bounds,
        importance=torch.zeros(len(vectors), 2),
        kl=torch.zeros(len(vectors), 2),
        divergence=divergence,
        complexity=torch.empty(len(vectors), 0),
    )


def normal_vectors(n: int, seed: int) -> tuple[Tensor, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    factor = rng.normal(size=(4, 4)) * [1, 5, 20, 50]
    mean, covariance = np.array([1.0, -4.0, 100.0, 200.0]), factor @ factor.T
    drawn = np.random.default_rng(seed).multivariate_normal(mean, covariance, n)
    return torch.from_numpy(drawn), mean, covariance


def test_the_summary_holds_divergences_and_negative_bounds() -> None:
    vectors = torch.randn(5, 4).double()
    torch.testing.assert_close(summary(evidence_of(vectors)), vectors)


def test_squared_distances_of_normal_vectors_follow_chi_square() -> None:
    vectors, mean, covariance = normal_vectors(6_000, 0)
    reference = Reference.fit(evidence_of(vectors))
    fresh, _, _ = normal_vectors(4_000, 1)
    found = reference.mahalanobis(evidence_of(fresh)).numpy() ** 2
    centred = fresh.numpy() - mean
    exact = np.einsum("ni,ij,nj->n", centred, np.linalg.inv(covariance), centred)
    # Shrinkage and estimation move the distances little.
    assert np.corrcoef(found, exact)[0, 1] > 0.98
    assert found.mean() == pytest.approx(4, rel=0.1)
    assert (found > chi2.ppf(0.95, 4)).mean() == pytest.approx(0.05, abs=0.015)


def test_the_density_of_one_component_is_that_of_scipy() -> None:
    vectors, _, _ = normal_vectors(2_000, 0)
    reference = Reference.fit(evidence_of(vectors))
    assert len(reference.weights) == 1
    law = multivariate_normal(reference.means[0].numpy(), reference.covariances[0].numpy())
    found = reference.negative_log_density(evidence_of(vectors[:50]))
    expected = -law.logpdf(reference.standardised(evidence_of(vectors[:50])).numpy())
    np.testing.assert_allclose(found.numpy(), expected)


def test_the_density_sees_a_gap_that_the_distance_does_not() -> None:
    generator = torch.Generator().manual_seed(0)
    sides = torch.randint(0, 2, (1_500, 1), generator=generator) * 2.0 - 1.0
    vectors = 10 * sides + torch.randn(1_500, 4, generator=generator)
    reference = Reference.fit(evidence_of(vectors.double()))
    assert len(reference.weights) > 1
    middle, inside = (evidence_of(torch.full((1, 4), at).double()) for at in (0.0, 10.0))
    assert reference.negative_log_density(middle) > reference.negative_log_density(inside) + 5
    assert reference.mahalanobis(middle) < reference.mahalanobis(inside)


def test_collapsed_layers_and_few_examples_give_finite_numbers() -> None:
    vectors = torch.randn(20, 4).double()
    vectors[:, 1] = 0.0
    reference = Reference.fit(evidence_of(vectors))
    for evidence in (evidence_of(vectors), evidence_of(vectors + 5)):
        assert reference.mahalanobis(evidence).isfinite().all()
        assert reference.negative_log_density(evidence).isfinite().all()


def test_equal_evidence_gives_equal_references() -> None:
    vectors, _, _ = normal_vectors(500, 0)
    one, two = (Reference.fit(evidence_of(vectors)) for _ in range(2))
    for first, second in zip(vars(one).values(), vars(two).values(), strict=True):
        assert torch.equal(first, second)

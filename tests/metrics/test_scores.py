from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection, score_names
from allocsearch.metrics.scores import Evidence, collect_evidence, score_all
from allocsearch.models.build import build_model
from allocsearch.models.hvae import HVAE

LOG_LIKELIHOOD = torch.tensor([[-10.0, -12.0, -15.0], [-20.0, -20.5, -31.0]])
KL = torch.tensor([[3.0, 2.0, 1.0], [0.5, 4.0, 8.0]])
DIVERGENCE = torch.tensor([[3.25, 2.5, 0.75], [1.0, 4.5, 8.0]])


def model_of(text: str, features: int = 12, *, skip: bool = True) -> HVAE:
    section = ModelSection(hidden=8, depth=1, skip=skip)
    return build_model(Allocation.parse(text), (features,), section, 1).eval()


def pictures(n: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, 4), generator=generator, dtype=torch.uint8)


def test_scores_by_hand() -> None:
    scores = score_all(Evidence(LOG_LIKELIHOOD, KL, DIVERGENCE))
    expected = {
        "negative_elbo": [16.0, 32.5],
        "negative_bound_1": [15.0, 32.5],
        "negative_bound_2": [16.0, 39.0],
        "llr_1": [-1.0, 0.0],
        "llr_2": [0.0, 6.5],
        "kl_1": [3.25, 1.0],
        "kl_2": [2.5, 4.5],
        "kl_3": [0.75, 8.0],
    }
    assert {name: score.tolist() for name, score in scores.items()} == expected


@pytest.mark.parametrize("layers", [1, 2, 3, 5])
def test_every_score_that_a_study_can_name_is_computed(layers: int) -> None:
    evidence = Evidence(torch.zeros(4, layers), torch.ones(4, layers), torch.ones(4, layers))
    scores = score_all(evidence)
    assert tuple(scores) == score_names(layers)
    assert all(score.shape == (4,) for score in scores.values())


def test_the_likelihood_ratio_is_the_difference_of_the_bounds() -> None:
    evidence = collect_evidence(model_of("4-3-2"), pictures(6), 3, 4, 0)
    scores = score_all(evidence)
    for k in (1, 2):
        difference = scores[f"negative_bound_{k}"] - scores["negative_elbo"]
        torch.testing.assert_close(scores[f"llr_{k}"], difference)
    elbo = evidence.log_likelihood[:, 0] - evidence.kl.sum(1)
    torch.testing.assert_close(-scores["negative_elbo"], elbo)


@pytest.mark.parametrize("skip", [True, False])
def test_evidence_equals_the_mean_over_single_draws(skip: bool) -> None:
    model, values = model_of("4-3-2", skip=skip), pictures(5)
    evidence = collect_evidence(model, values, samples=6, batch_size=5, seed=3)
    # The same randomness, read draw by draw and example by example.
    generator = torch.Generator().manual_seed(3)
    x = model.likelihood.prepare(values, generator)
    noise = model.draw_noise(5, generator, 6)
    for i, k in itertools.product(range(5), range(3)):
        terms = [
            model.bound_terms(x[i], model.infer(x[i], [e[s, i] for e in noise]), k)
            for s in range(6)
        ]
        log_likelihood = torch.stack([each.log_likelihood for each in terms]).mean()
        torch.testing.assert_close(evidence.log_likelihood[i, k], log_likelihood)
        kl = torch.stack([torch.stack([layer.sum() for layer in each.kl]) for each in terms])
        torch.testing.assert_close(evidence.kl[i, k:], kl.mean(0))
        if k == 0:
            closed = [
                model.bound_terms(
                    x[i], model.infer(x[i], [e[s, i] for e in noise]), analytic=True
                ).kl
                for s in range(6)
            ]
            divergence = torch.stack([torch.stack([kl.sum() for kl in each]) for each in closed])
            torch.testing.assert_close(evidence.divergence[i], divergence.mean(0))
        bound = torch.stack([each.bound() for each in terms]).mean()
        torch.testing.assert_close(evidence.bound(k)[i], bound)


def test_evidence_keeps_the_order_of_the_examples_over_batches() -> None:
    # Without noise in x or z there is no randomness left for the batches to share out.
    model = model_of("4-3-2")
    with torch.no_grad():
        for head, d in zip(model.posteriors, (4, 3, 2), strict=True):
            head.weight[d:].zero_()
            head.bias[d:] = -60.0
    values = (pictures(11) // 128) * 255
    whole = collect_evidence(model, values, 2, 11, 0)
    for batch_size in (1, 4, 100):
        parts = collect_evidence(model, values, 2, batch_size, 0)
        torch.testing.assert_close(parts.log_likelihood, whole.log_likelihood)


def test_the_score_of_a_single_layer_is_its_closed_form() -> None:
    model, values = model_of("4"), pictures(5)
    evidence = collect_evidence(model, values, samples=3, batch_size=2, seed=0)
    generator = torch.Generator().manual_seed(0)
    for batch, found in zip(values.split(2), evidence.divergence.split(2), strict=True):
        x = model.likelihood.prepare(batch, generator)
        posterior = model.infer(x, model.draw_noise(len(x), generator, 3))[0].posterior
        q = Normal(posterior.mean, torch.exp(0.5 * posterior.log_var))
        expected = kl_divergence(q, Normal(torch.zeros(()), torch.ones(()))).sum(-1)
        torch.testing.assert_close(found[:, 0], expected)


def test_equal_seeds_give_equal_evidence_and_passes_are_announced() -> None:
    model, values = model_of("4-2"), pictures(10)
    calls: list[None] = []
    first = collect_evidence(model, values, 2, 4, 7, lambda: calls.append(None))
    assert len(calls) == 3
    assert first.log_likelihood.shape == first.kl.shape == (10, 2)
    again = collect_evidence(model, values, 2, 4, 7)
    assert torch.equal(first.kl, again.kl)
    assert torch.equal(first.log_likelihood, again.log_likelihood)
    assert not torch.equal(first.kl, collect_evidence(model, values, 2, 4, 8).kl)


def test_more_draws_bring_less_noise() -> None:
    model, values = model_of("4-2"), pictures(4)

    def spread(samples: int) -> float:
        runs = [collect_evidence(model, values, samples, 4, seed).kl for seed in range(30)]
        return float(torch.stack(runs).var(0).mean())

    # 16 times the draws give a 16th of the variance, but for the binarisation of x.
    assert spread(16) < spread(1) / 4

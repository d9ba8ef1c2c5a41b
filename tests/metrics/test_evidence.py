from __future__ import annotations

import itertools
import math
from typing import Literal

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection
from allocsearch.metrics.complexity import complexity
from allocsearch.metrics.evidence import collect_evidence, evidence_of_inputs
from allocsearch.metrics.reference import Reference
from allocsearch.metrics.scores import cheap_scores
from allocsearch.models.build import build_model
from allocsearch.models.hvae import HVAE


def model_of(text: str, features: int = 12, *, skip: bool = True) -> HVAE:
    section = ModelSection(hidden=8, depth=1, skip=skip)
    return build_model(Allocation.parse(text), (features,), section, 1).eval()


def pictures(n: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, 4), generator=generator, dtype=torch.uint8)


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
        bounds = torch.stack([each.bound() for each in terms])
        torch.testing.assert_close(evidence.bound(k)[i], bounds.mean())
        weighted = torch.logsumexp(bounds, 0) - math.log(6)
        torch.testing.assert_close(evidence.importance[i, k], weighted)


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


def stage(layers: torch.nn.Module, inputs: Tensor) -> Tensor:
    return layers[1](torch.nn.functional.linear(inputs, layers[0].weight, layers[0].bias))


def normal(head: torch.nn.Module, inputs: Tensor) -> Normal:
    mean, log_var = torch.nn.functional.linear(inputs, head.weight, head.bias).chunk(2, -1)
    return Normal(mean, torch.exp(log_var / 2))


def straightforward_bound(model: HVAE, x: Tensor, noise: list[Tensor], k: int) -> Tensor:
    """L^{>k} of one example with one draw, written with torch.distributions (three layers)."""
    hidden, z, q = x, [], []
    for layer in range(3):
        hidden = stage(model.encoder[layer], hidden)
        seen = hidden if layer == 0 else torch.cat([hidden, z[-1]])
        q.append(normal(model.posteriors[layer], seen))
        z.append(q[-1].loc + q[-1].scale * noise[layer])
    bound = Normal(0.0, 1.0).log_prob(z[2]).sum() - q[2].log_prob(z[2]).sum()
    above = stage(model.decoder[2], z[2])
    for layer in (1, 0):
        p = normal(model.priors[layer], above)
        if layer >= k:
            bound = bound + (p.log_prob(z[layer]) - q[layer].log_prob(z[layer])).sum()
        used = z[layer] if layer >= k else p.mode
        above = stage(model.decoder[layer], torch.cat([used, above]))
    logits = torch.nn.functional.linear(above, model.output.weight, model.output.bias)
    return bound + Bernoulli(logits=logits).log_prob(x).sum()


def test_likelihood_ratios_equal_those_written_out_sample_by_sample() -> None:
    model, values = model_of("4-3-2"), pictures(7)
    generator = torch.Generator().manual_seed(3)
    x = model.likelihood.prepare(values, generator)
    noise = model.draw_noise(7, generator, 5)
    evidence = collect_evidence(model, values, samples=5, batch_size=7, seed=3)
    for i, k in itertools.product(range(7), (1, 2)):
        differences = []
        for s in range(5):
            own = [epsilon[s, i] for epsilon in noise]
            full, skipped = (straightforward_bound(model, x[i], own, j) for j in (0, k))
            differences.append(full - skipped)
        expected = torch.stack(differences).mean()
        found = (evidence.bound(0) - evidence.bound(k))[i]
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_importance_weighted_bounds_lie_above_the_mean_and_rise_with_the_draws() -> None:
    model, values = model_of("4-3-2"), pictures(40)
    evidence = collect_evidence(model, values, 16, 40, 0)
    for k in range(3):
        assert (evidence.importance[:, k] >= evidence.bound(k) - 1e-4).all()
    few = collect_evidence(model, values, 2, 40, 0)
    assert evidence.importance[:, 0].mean() > few.importance[:, 0].mean()


@pytest.mark.parametrize("likelihood", ["bernoulli", "categorical"])
@pytest.mark.parametrize("inference", ["bottom_up", "top_down"])
def test_scores_of_the_passes_that_they_name_equal_those_of_all(
    inference: Literal["bottom_up", "top_down"], likelihood: Literal["bernoulli", "categorical"]
) -> None:
    section = ModelSection(hidden=8, depth=1, inference=inference, likelihood=likelihood)
    model = build_model(Allocation.parse("4-3-2"), (3, 4), section, 1).eval()
    values = pictures(30)
    generator = torch.Generator().manual_seed(5)
    x = model.likelihood.prepare(values, generator)
    noise, lengths = model.draw_noise(30, generator, 2), complexity(values)
    with torch.inference_mode():
        everything = evidence_of_inputs(model, x, noise, lengths)
        reference = Reference.fit(everything)
        for score in cheap_scores(3, compressed=True).values():
            known = lengths if score.compressed else lengths[:, :0]
            part = evidence_of_inputs(model, x, noise, known, score.passes)
            expected = score.compute(everything, reference)
            assert bool(expected.isfinite().all())
            torch.testing.assert_close(score.compute(part, reference), expected, rtol=0, atol=0)
        # What was not asked for is not made up.
        assert (
            evidence_of_inputs(model, x, noise, lengths, (1,)).log_likelihood[:, 0].isnan().all()
        )

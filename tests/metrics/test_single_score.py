from __future__ import annotations

import dataclasses

import pytest
import torch

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection, score_names
from allocsearch.metrics.evidence import collect_evidence
from allocsearch.metrics.fixed_noise import FixedNoise
from allocsearch.metrics.scorer import Passes
from allocsearch.metrics.single_score import SingleScorer
from allocsearch.models.build import build_model

PASSES = Passes(samples=3, batch_size=20, seed=4)


def model_of(likelihood="bernoulli", inference="bottom_up"):
    section = ModelSection(hidden=8, depth=1, likelihood=likelihood, inference=inference)
    return build_model(Allocation.parse("4-3"), (3, 4), section, 1).eval()


def pictures(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, 4), generator=generator, dtype=torch.uint8)


def test_one_example_gets_what_any_batch_of_one_is_given():
    """For one example the shared noise is that of the likelihood itself and of `draw_noise`."""
    model = model_of()
    noise = FixedNoise.draw(model, 3, seed=4)
    values = pictures(50)
    found = noise.inputs(model, values)
    for one, x in zip(values, found, strict=True):
        expected = model.likelihood.prepare(one[None], torch.Generator().manual_seed(4))
        assert torch.equal(x[None], expected)
    drawn = model.draw_noise(1, torch.Generator().manual_seed(4), 3)
    for each, shared in zip(drawn, noise.of_batch(7), strict=True):
        assert shared.shape == (3, 7, each.shape[-1])
        assert torch.equal(shared, each.expand(-1, 7, -1))


def test_extreme_bytes_are_never_and_always_one():
    model = model_of()
    for seed in range(5):
        noise = FixedNoise.draw(model, 1, seed)
        ends = torch.tensor([0, 255], dtype=torch.uint8)[:, None, None].expand(2, 3, 4)
        assert noise.inputs(model, ends).tolist() == [[0.0] * 12, [1.0] * 12]


@pytest.mark.parametrize("likelihood", ["bernoulli", "categorical"])
@pytest.mark.parametrize("inference", ["bottom_up", "top_down"])
def test_a_score_depends_on_the_example_alone(likelihood, inference):
    model, values = model_of(likelihood, inference), pictures(45)
    order = torch.randperm(45, generator=torch.Generator().manual_seed(1))
    for name in score_names(2):
        scorer = SingleScorer.fit(model, pictures(60, 1), PASSES, name)
        scores = scorer.score(values)
        assert scores.shape == (45,)
        assert scores.std() > 0, name
        close = {"rtol": 1e-4, "atol": 1e-4, "msg": name}
        torch.testing.assert_close(scorer.score(values[order]), scores[order], **close)
        torch.testing.assert_close(scorer.score(values, 7), scores, **close)
        alone = torch.cat([scorer.score(one[None]) for one in values])
        torch.testing.assert_close(alone, scores, **close)
        assert torch.equal(scorer.score(values), scores)


def test_scores_average_to_those_of_fresh_noise():
    """Over many draws, shared noise and fresh noise have the same mean for each example."""
    model, values = model_of(), pictures(4)
    scorer = SingleScorer.fit(model, pictures(60, 1), PASSES, "negative_elbo")
    shared = torch.stack(
        [
            dataclasses.replace(
                scorer, passes=dataclasses.replace(PASSES, seed=seed, samples=16)
            ).score(values)
            for seed in range(150)
        ]
    )
    fresh = torch.stack(
        [-collect_evidence(model, values, 16, 4, seed).bound(0) for seed in range(150)]
    )
    error = (shared.var(0) / 150 + fresh.var(0) / 150).sqrt()
    assert ((shared.mean(0) - fresh.mean(0)).abs() < 4 * error).all()


def test_the_regret_repeats():
    model, values = model_of(), pictures(12)
    passes = dataclasses.replace(PASSES, regret_steps=3, samples=1)
    scorer = SingleScorer.fit(model, pictures(60, 1), passes, "likelihood_regret")
    scores = scorer.score(values)
    assert scores.shape == (12,)
    assert scores.max() > 0
    assert torch.equal(scorer.score(values), scores)


def test_no_examples():
    scorer = SingleScorer.fit(model_of(), pictures(60, 1), PASSES, "llr_1")
    assert scorer.score(pictures(0)).shape == (0,)

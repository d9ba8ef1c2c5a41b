from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection
from allocsearch.models.gaussian import Gaussian
from allocsearch.models.top_down import TopDownHVAE

FEATURES = 6
TEXTS = ["3", "4-2", "2-3-1", "1-2-1-3"]


def random_model(text: str, *, skip: bool) -> TopDownHVAE:
    torch.manual_seed(0)
    section = ModelSection(inference="top_down", hidden=8, skip=skip)
    model = TopDownHVAE(Allocation.parse(text), (FEATURES,), section).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    return model.eval()


def inputs(model: TopDownHVAE, *lead: int) -> tuple[Tensor, tuple[Tensor, ...]]:
    source = torch.Generator().manual_seed(1)
    x = torch.randint(0, 2, (lead[-1], FEATURES), generator=source).double()
    dims = model.allocation.dims
    return x, tuple(torch.randn((*lead, d), generator=source).double() for d in dims)


def merged(estimate: Gaussian, prior: Gaussian) -> Normal:
    """The product of two densities, by their precisions."""
    precisions = torch.exp(-estimate.log_var), torch.exp(-prior.log_var)
    total = precisions[0] + precisions[1]
    mean = (precisions[0] * estimate.mean + precisions[1] * prior.mean) / total
    return Normal(mean, total.rsqrt())


def walk(
    model: TopDownHVAE, x: Tensor, noise: tuple[Tensor, ...], k: int
) -> tuple[Tensor, dict[int, Tensor], dict[int, Normal]]:
    """Log p(x | z), KL terms above k and posteriors of one example, written out."""
    hidden, estimates = x, []
    for stage, head in zip(model.encoder, model.posteriors, strict=True):
        hidden = stage(hidden)
        estimates.append(Gaussian(*head(hidden).chunk(2, dim=-1)))
    kl, posteriors, above = {}, {}, None
    for layer in reversed(range(len(noise))):
        prior = Gaussian(torch.zeros_like(noise[layer]), torch.zeros_like(noise[layer]))
        q = Normal(estimates[layer].mean, torch.exp(estimates[layer].log_var / 2))
        if above is not None:
            prior = Gaussian(*model.priors[layer](above).chunk(2, dim=-1))
            q = merged(estimates[layer], prior)
        p = Normal(prior.mean, torch.exp(prior.log_var / 2))
        z = q.mean + q.stddev * noise[layer]
        posteriors[layer] = q
        if layer >= k:
            kl[layer] = q.log_prob(z) - p.log_prob(z)
        else:
            z = prior.mean
        joined = z if above is None or not model.skip else torch.cat([z, above], dim=-1)
        above = model.decoder[layer](joined)
    logits = model.output(above)
    return torch.distributions.Bernoulli(logits=logits).log_prob(x).sum(), kl, posteriors


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("text", TEXTS)
def test_bounds_equal_those_written_out_example_by_example(text: str, skip: bool) -> None:
    model = random_model(text, skip=skip)
    x, noise = inputs(model, 5)
    latents = model.infer(x, noise)
    whole = model(x, noise)
    assert model.order == tuple(reversed(range(len(noise))))
    for k, i in itertools.product(range(len(noise)), range(5)):
        terms = model.bound_terms(x, latents, k)
        log_likelihood, kl, posteriors = walk(model, x[i], tuple(e[i] for e in noise), k)
        torch.testing.assert_close(terms.log_likelihood[i], log_likelihood)
        for found, layer in zip(terms.kl, range(k, len(noise)), strict=True):
            torch.testing.assert_close(found[i], kl[layer])
        if k == 0:
            torch.testing.assert_close(whole.bound()[i], terms.bound()[i])
            for layer, latent in enumerate(latents):
                torch.testing.assert_close(latent.posterior.mean[i], posteriors[layer].mean)


@pytest.mark.parametrize("skip", [True, False])
def test_leading_dimensions_are_independent_draws(skip: bool) -> None:
    model = random_model("2-3-1", skip=skip)
    x, noise = inputs(model, 3, 4)
    latents = model.infer(x, noise)
    # The layer that is drawn first sees x alone.
    assert [latent.posterior.mean.shape for latent in latents] == [(3, 4, 2), (3, 4, 3), (4, 1)]
    terms = model.bound_terms(x, latents)
    for s in range(3):
        single = model(x, tuple(e[s] for e in noise))
        torch.testing.assert_close(terms.bound()[s], single.bound())


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_posteriors_at_given_latents_are_those_of_the_walk_that_drew_them(layers: int) -> None:
    model = random_model("2-3-1", skip=True)
    x, noise = inputs(model, 3, 4)
    latents = model.infer(x, noise)
    given = [latents[index].z for index in model.order[:layers]]
    given[-1] = torch.full_like(given[-1], math.nan)
    found = model.posteriors_given(x, given)
    assert len(found) == layers
    for posterior, index in zip(found, model.order, strict=False):
        torch.testing.assert_close(posterior.mean, latents[index].posterior.mean)
        torch.testing.assert_close(posterior.log_var, latents[index].posterior.log_var)


def test_a_layer_does_not_depend_on_those_below() -> None:
    model = random_model("2-3-1", skip=True)
    x, noise = inputs(model, 4)
    other = (torch.zeros_like(noise[0]), *noise[1:])
    for first, second in zip(model.infer(x, noise)[1:], model.infer(x, other)[1:], strict=True):
        assert torch.equal(first.z, second.z)


@pytest.mark.parametrize("difference", [-20.0, 0.0, 20.0])
def test_a_product_of_densities_is_right_for_unlike_variances(difference: float) -> None:
    source = torch.Generator().manual_seed(0)
    means = torch.randn(2, 5, generator=source).double()
    one = Gaussian(means[0], torch.full((5,), difference).double())
    two = Gaussian(means[1], torch.zeros(5).double())
    expected = merged(one, two)
    found = one.product(two)
    torch.testing.assert_close(found.mean, expected.mean)
    torch.testing.assert_close(torch.exp(found.log_var / 2), expected.stddev)

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, MultivariateNormal, Normal, kl_divergence
from torch.nn import functional

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection
from allocsearch.models.bottom_up import BottomUpHVAE
from allocsearch.models.hvae import HVAE

FEATURES = 6


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_model(text: str, *, skip: bool, seed: int = 0) -> HVAE:
    """A model with random weights, large enough that no layer is nearly constant."""
    torch.manual_seed(seed)
    section = ModelSection(hidden=8, depth=2, skip=skip, activation="silu")
    model = BottomUpHVAE(Allocation.parse(text), (FEATURES,), section).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    return model.eval()


def binary(n: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 2, (n, FEATURES), generator=generator(seed)).double()


def draw_noise(model: HVAE, *lead: int, seed: int = 0) -> tuple[Tensor, ...]:
    source = generator(seed)
    dims = model.allocation.dims
    return tuple(torch.randn((*lead, d), generator=source, dtype=torch.float64) for d in dims)


def affine(weights: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return functional.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


def stage(weights: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    for layer in (0, 2):
        x = functional.silu(affine(weights, f"{name}.{layer}", x))
    return x


def normal(weights: dict[str, Tensor], name: str, hidden: Tensor) -> Normal:
    mean, log_var = affine(weights, name, hidden).chunk(2)
    return Normal(mean, torch.exp(log_var / 2))


def infer_layer(
    model: HVAE, weights: dict[str, Tensor], layer: int, hidden: Tensor, z: Tensor | None
) -> tuple[Tensor, Tensor]:
    """What the posterior of a layer is an affine map of, and the units passed on upwards."""
    if z is None or model.skip:
        hidden = stage(weights, f"encoder.{layer}", hidden)
        return (hidden if z is None else torch.cat([hidden, z])), hidden
    hidden = stage(weights, f"encoder.{layer}", z)
    return hidden, hidden


def reference_bound(
    model: HVAE, x: Tensor, noise: Sequence[Tensor], k: int
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """log p(x | z), KL terms above k and draws of one example, written out layer by layer."""
    weights = dict(model.state_dict())
    posteriors, draws = [], []
    hidden = x
    for layer, epsilon in enumerate(noise):
        seen, hidden = infer_layer(model, weights, layer, hidden, draws[-1] if draws else None)
        posteriors.append(normal(weights, f"posteriors.{layer}", seen))
        draws.append(posteriors[-1].mean + posteriors[-1].stddev * epsilon)
    top = len(noise) - 1
    prior = Normal(torch.zeros_like(draws[top]), torch.ones_like(draws[top]))
    kls: list[Tensor] = []
    z, hidden = draws[top], None
    for layer in range(top, -1, -1):
        if layer < top:
            prior = normal(weights, f"priors.{layer}", hidden)
        z = draws[layer] if layer >= k else prior.mode
        if layer >= k:
            kls.insert(0, posteriors[layer].log_prob(z) - prior.log_prob(z))
        inputs = torch.cat([z, hidden]) if model.skip and layer < top else z
        hidden = stage(weights, f"decoder.{layer}", inputs)
    logits = affine(weights, "output", hidden)
    return Bernoulli(logits=logits).log_prob(x).sum(), kls, draws


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("text", ["3", "4-2", "2-3-1", "1-2-1-3"])
def test_bounds_equal_those_written_out_example_by_example(text: str, skip: bool) -> None:
    model = random_model(text, skip=skip)
    x, noise = binary(5), draw_noise(model, 5)
    latents = model.infer(x, noise)
    for k, i in itertools.product(range(len(noise)), range(5)):
        terms = model.bound_terms(x, latents, k)
        log_likelihood, kls, draws = reference_bound(model, x[i], [e[i] for e in noise], k)
        torch.testing.assert_close(terms.log_likelihood[i], log_likelihood)
        assert len(terms.kl) == len(kls) == model.allocation.layers - k
        for found, expected in zip(terms.kl, kls, strict=True):
            torch.testing.assert_close(found[i], expected)
        for latent, z in zip(latents, draws, strict=True):
            torch.testing.assert_close(latent.z[i], z)
        bound = log_likelihood - sum(kl.sum() for kl in kls)
        torch.testing.assert_close(terms.bound()[i], bound)


@pytest.mark.parametrize("skip", [True, False])
def test_leading_dimensions_are_independent_draws(skip: bool) -> None:
    model = random_model("2-3-1", skip=skip)
    x, noise = binary(4), draw_noise(model, 3, 2, 4)
    latents = model.infer(x, noise)
    assert latents[0].posterior.mean.shape == (4, 2)
    for k in range(3):
        terms = model.bound_terms(x, latents, k)
        assert terms.bound().shape == (3, 2, 4)
        for s, t in itertools.product(range(3), range(2)):
            single = model.bound_terms(x, model.infer(x, [e[s, t] for e in noise]), k)
            torch.testing.assert_close(terms.log_likelihood[s, t], single.log_likelihood)
            for found, expected in zip(terms.kl, single.kl, strict=True):
                torch.testing.assert_close(found[s, t], expected)


def test_without_skips_a_posterior_depends_on_the_layer_below_alone() -> None:
    # The noise that gives two inputs the same z_1 differs; what follows from z_1 must not.
    for skip in (True, False):
        model = random_model("3-2-2", skip=skip)
        noise = draw_noise(model, 1)
        first = model.infer(binary(1, seed=1), noise)
        other = model.infer(binary(1, seed=2), noise)[0].posterior
        epsilon = (first[0].z - other.mean) * torch.exp(-0.5 * other.log_var)
        second = model.infer(binary(1, seed=2), [epsilon, *noise[1:]])
        torch.testing.assert_close(first[0].z, second[0].z)
        for below, above in zip(first[1:], second[1:], strict=True):
            same = torch.allclose(below.posterior.mean, above.posterior.mean)
            assert same is not skip


def test_generation_ignores_the_layers_that_are_skipped() -> None:
    model = random_model("2-3-1", skip=True)
    draws = draw_noise(model, 4)
    for k in range(3):
        generated = model.generate(draws, k)
        elsewhere = model.generate(
            [torch.full_like(z, math.nan) for z in draws[:k]] + list(draws[k:]), k
        )
        assert torch.equal(generated.parameters, elsewhere.parameters)
        for layer, (prior, z) in enumerate(zip(generated.priors, generated.latents, strict=True)):
            assert torch.equal(z, prior.mean if layer < k else draws[layer])
            assert (prior is None) == (layer == 2)


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_posteriors_at_given_latents_follow_the_chain(layers: int, skip: bool) -> None:
    model = random_model("2-3-1", skip=skip)
    weights = dict(model.state_dict())
    x, path = binary(4), draw_noise(model, 3, 4)[:layers]
    found = model.posteriors_given(x, path)
    assert len(found) == layers
    for s, i in itertools.product(range(3), range(4)):
        hidden, below = x[i], None
        for layer, z in enumerate(path):
            seen, hidden = infer_layer(model, weights, layer, hidden, below)
            expected = normal(weights, f"posteriors.{layer}", seen)
            below = z[s, i]
            at = (i,) if layer == 0 else (s, i)
            torch.testing.assert_close(found[layer].mean[at], expected.mean)
            torch.testing.assert_close(found[layer].log_var[at], 2 * expected.scale.log())


def test_noise_is_standard_normal_seeded_and_shaped() -> None:
    model = random_model("3-2", skip=True)
    assert [e.shape for e in model.draw_noise(5, generator())] == [(5, 3), (5, 2)]
    noise = model.draw_noise(500, generator(), samples=20)
    assert [e.shape for e in noise] == [(20, 500, 3), (20, 500, 2)]
    again = model.draw_noise(500, generator(), samples=20)
    for epsilon, repeated in zip(noise, again, strict=True):
        assert torch.equal(epsilon, repeated)
        assert abs(float(epsilon.mean())) < 4 / math.sqrt(epsilon.numel())
        assert abs(float(epsilon.var()) - 1) < 4 * math.sqrt(2 / epsilon.numel())


def test_kl_terms_average_to_the_closed_form_in_a_single_layer() -> None:
    model = random_model("3", skip=True)
    x = binary(2)
    latents = model.infer(x, draw_noise(model, 20_000, 2))
    drawn = model.bound_terms(x, latents).kl[0]
    posterior = latents[0].posterior
    q = Normal(posterior.mean, torch.exp(0.5 * posterior.log_var))
    expected = kl_divergence(q, Normal(torch.zeros(()).double(), torch.ones(()).double()))
    error = drawn.std(0) / math.sqrt(len(drawn))
    assert ((drawn.mean(0) - expected).abs() < 4 * error).all()


def test_the_kl_term_of_the_top_layer_averages_to_the_closed_form() -> None:
    model = random_model("2-3", skip=False)
    x = binary(2)
    latents = model.infer(x, draw_noise(model, 20_000, 2))
    drawn = model.bound_terms(x, latents).kl[1]
    top = latents[1].posterior
    q = Normal(top.mean, torch.exp(0.5 * top.log_var))
    closed = kl_divergence(q, Normal(torch.zeros(()).double(), torch.ones(()).double()))
    difference = drawn - closed
    error = difference.std(0) / math.sqrt(len(difference))
    assert (difference.mean(0).abs() < 4 * error).all()


@pytest.mark.parametrize("skip", [True, False])
def test_analytic_kl_terms_equal_those_of_torch_distributions(skip: bool) -> None:
    model = random_model("2-3-1", skip=skip)
    x = binary(5)
    latents = model.infer(x, draw_noise(model, 4, 5))
    generated = model.generate([latent.z for latent in latents])
    for k in range(3):
        terms = model.bound_terms(x, latents, k, analytic=True)
        assert torch.equal(terms.log_likelihood, model.bound_terms(x, latents, k).log_likelihood)
        assert len(terms.kl) == 3 - k
        for layer, found in enumerate(terms.kl, k):
            posterior, prior = latents[layer].posterior, generated.priors[layer]
            q = Normal(posterior.mean, torch.exp(0.5 * posterior.log_var))
            p = Normal(torch.zeros(()).double(), torch.ones(()).double())
            if prior is not None:
                p = Normal(prior.mean, torch.exp(0.5 * prior.log_var))
            expected = kl_divergence(q, p)
            torch.testing.assert_close(found.expand_as(expected), expected)


# A linear Gaussian model: pairs of rectified units let an affine map through unchanged.


def linear_model(allocation: Allocation, features: int) -> HVAE:
    section = ModelSection(hidden=2 * features, depth=1, skip=False, activation="relu")
    model = BottomUpHVAE(allocation, (features,), section).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        for each in (*model.encoder, *model.decoder):
            inputs = each[0].weight.shape[1]
            each[0].weight[:inputs] = torch.eye(inputs)
            each[0].weight[features : features + inputs] = -torch.eye(inputs)
    return model.eval()


def set_affine(head: torch.nn.Linear, weight: Tensor, bias: Tensor) -> None:
    """Make a head the affine map of what entered its stage."""
    half = head.weight.shape[1] // 2
    with torch.no_grad():
        rows, columns = weight.shape
        head.weight[:rows, :columns] = weight
        head.weight[:rows, half : half + columns] = -weight
        head.bias.copy_(bias)


def gaussian_head(
    head: torch.nn.Linear,
    weight: Sequence[Sequence[float]],
    mean: Sequence[float],
    variance: Sequence[float],
) -> None:
    bias = torch.tensor([*mean, *map(math.log, variance)], dtype=torch.float64)
    set_affine(head, torch.tensor(weight, dtype=torch.float64), bias)


A, B, S = 0.8, 0.3, 0.5  # p(z_1 | z_2) = N(A z_2 + B, S)


def two_layer_model() -> HVAE:
    model = linear_model(Allocation((1, 1)), 3)
    gaussian_head(model.priors[0], [[A]], [B], [S])
    output = torch.tensor([[1.5], [-0.7], [0.4]], dtype=torch.float64)
    set_affine(model.output, output, torch.tensor([0.2, -0.5, 0.1], dtype=torch.float64))
    return model


EVERY_X = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3)), dtype=torch.float64)


def log_evidence(model: HVAE, x: Tensor) -> Tensor:
    """log p(x) by Gauss-Hermite quadrature over z_1, whose marginal is N(B, A^2 + S)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    z1 = torch.from_numpy(nodes)[:, None] * math.sqrt(A**2 + S) + B
    logits = functional.linear(z1, model.output.weight[:, :1], model.output.bias)
    log_p = Bernoulli(logits=logits[:, None]).log_prob(x).sum(-1)
    log_w = torch.from_numpy(np.log(weights / weights.sum()))
    return torch.logsumexp(log_w[:, None] + log_p, 0)


def test_the_elbo_is_below_the_evidence_and_an_importance_bound_reaches_it() -> None:
    model = two_layer_model()
    gaussian_head(model.posteriors[0], [[0.9, -0.4, 0.2]], [0.1], [0.6])
    gaussian_head(model.posteriors[1], [[0.5]], [-0.2], [0.7])
    evidence = log_evidence(model, EVERY_X)
    torch.testing.assert_close(evidence.exp().sum(), torch.ones(()).double())
    terms = model.bound_terms(EVERY_X, model.infer(EVERY_X, draw_noise(model, 40_000, 8)))
    log_weights = terms.bound()
    elbo = log_weights.mean(0)
    assert (elbo + 4 * log_weights.std(0) / 200 < evidence).all()
    # The weights p(x, z) / q(z | x) are unbiased for p(x), whatever q is.
    relative = (log_weights - evidence).exp()
    assert ((relative.mean(0) - 1).abs() < 4 * relative.std(0) / 200).all()


def test_the_elbo_is_the_evidence_where_the_posterior_is_exact() -> None:
    model = two_layer_model()
    with torch.no_grad():
        model.output.weight.zero_()
    # x is independent of z: the exact posterior is the prior, turned round by Bayes' rule.
    gain = A / (A**2 + S)
    gaussian_head(model.posteriors[0], [[0.0, 0.0, 0.0]], [B], [A**2 + S])
    gaussian_head(model.posteriors[1], [[gain]], [-gain * B], [1 - gain * A])
    expected = Bernoulli(logits=model.output.bias).log_prob(EVERY_X).sum(-1)
    torch.testing.assert_close(log_evidence(model, EVERY_X), expected)
    terms = model.bound_terms(EVERY_X, model.infer(EVERY_X, draw_noise(model, 50, 8)))
    torch.testing.assert_close(terms.bound(), expected.expand(50, 8))
    assert terms.kl[0].abs().max() > 0.1


def test_the_rate_is_the_kl_divergence_of_the_joint_gaussians() -> None:
    model = two_layer_model()
    c, v1, v2 = 0.5, 0.6, 0.7
    gaussian_head(model.posteriors[0], [[0.9, -0.4, 0.2]], [0.1], [v1])
    gaussian_head(model.posteriors[1], [[c]], [-0.2], [v2])
    m1 = EVERY_X @ torch.tensor([0.9, -0.4, 0.2], dtype=torch.float64) + 0.1
    q = MultivariateNormal(
        torch.stack([m1, c * m1 - 0.2], 1),
        torch.tensor([[v1, c * v1], [c * v1, c**2 * v1 + v2]], dtype=torch.float64),
    )
    p = MultivariateNormal(
        torch.tensor([B, 0.0], dtype=torch.float64),
        torch.tensor([[A**2 + S, A], [A, 1.0]], dtype=torch.float64),
    )
    terms = model.bound_terms(EVERY_X, model.infer(EVERY_X, draw_noise(model, 40_000, 8)))
    drawn = sum(kl.sum(-1) for kl in terms.kl)
    error = drawn.std(0) / 200
    assert ((drawn.mean(0) - kl_divergence(q, p)).abs() < 4 * error).all()


def test_sizes_follow_the_allocation() -> None:
    for skip, carried, seen in ((True, 8, (5 + 8, 3 + 8)), (False, 0, (8, 8))):
        model = random_model("5-3-2", skip=skip)
        below = [8, 8] if skip else [5, 3]
        assert [each[0].in_features for each in model.encoder] == [FEATURES, *below]
        assert [head.in_features for head in model.posteriors] == [8, *seen]
        assert [head.out_features for head in model.posteriors] == [10, 6, 4]
        assert [each[0].in_features for each in model.decoder] == [5 + carried, 3 + carried, 2]
        assert [head.out_features for head in model.priors] == [10, 6]
        assert model.output.out_features == FEATURES


def test_the_elbo_trains_every_parameter() -> None:
    model = random_model("2-3-1", skip=True)
    x = binary(8)
    model.bound_terms(x, model.infer(x, draw_noise(model, 8))).bound().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("extreme", [500.0, -500.0])
def test_variances_that_would_overflow_give_finite_terms(extreme: float) -> None:
    model = random_model("3-2-2", skip=True).float()
    with torch.no_grad():
        for head in (*model.posteriors, *model.priors):
            head.bias[head.out_features // 2 :] = extreme
    x = binary(4).float()
    latents = model.infer(x, model.draw_noise(4, generator(0)))
    for k in range(3):
        terms = model.bound_terms(x, latents, k)
        assert torch.isfinite(terms.bound()).all()
    for latent, prior in zip(latents, terms.priors, strict=True):
        assert torch.isfinite(latent.analytic_kl(prior)).all()

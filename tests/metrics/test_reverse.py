from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from allocsearch.allocation import Allocation
from allocsearch.metrics.information import InformationBracket, information_bracket
from allocsearch.metrics.mixture import component_log_density
from allocsearch.metrics.reverse import LayerDraws, least_examples, reverse_log_density
from allocsearch.theory import GaussianChain, sample

WIDE = GaussianChain(tuple([3.0] * 20), noise=0.5, kappa=0.9)


def chain_brackets(
    chain: GaussianChain, dims: tuple[int, ...], n: int, *, reverse: bool
) -> list[InformationBracket]:
    allocation = Allocation(dims)
    drawn = sample(chain, allocation, n, samples=8, seed=0)
    layers = [[torch.from_numpy(a) for a in (k.mean, k.log_var, k.z)] for k in drawn.layers]

    def path_log_density(latents: list[Tensor], examples: Tensor) -> Tensor:
        below = drawn.x[examples.numpy()][:, None].repeat(latents[0].shape[1], 1)
        total = 0
        for layer, z in enumerate(latents, 1):
            mean, log_var = chain.conditional(allocation, layer, below)
            total += component_log_density(z, torch.from_numpy(mean), torch.from_numpy(log_var))
            below = z.numpy()
        return total

    brackets = []
    for index, (mean, log_var, z) in enumerate(layers):
        density = None
        if reverse and index:
            path = [LayerDraws(*layer) for layer in layers[: index + 1]]
            density = reverse_log_density(path, path_log_density)
        brackets.append(information_bracket(mean, log_var, z, log_posterior=density))
    return brackets


def test_it_tightens_the_upper_bound_where_samples_cannot():
    truths = WIDE.information((20, 16))
    plain = chain_brackets(WIDE, (20, 16), 1500, reverse=False)
    tight = chain_brackets(WIDE, (20, 16), 1500, reverse=True)
    for truth, loose, bracket in list(zip(truths, plain, tight, strict=True))[1:]:
        assert loose.upper > truth + 1
        assert bracket.upper == pytest.approx(truth, rel=0.03)
        assert truth <= bracket.upper + 3 * bracket.upper_se


@pytest.mark.parametrize("seed", [1, 2, 14])
def test_random_chains_lie_within_their_brackets(seed):
    generator = torch.Generator().manual_seed(seed)
    layers = int(torch.randint(2, 6, (), generator=generator))
    dims = tuple(torch.randint(1, 13, (layers,), generator=generator).tolist())
    spectrum = torch.rand(12, generator=generator).sort(descending=True).values.tolist()
    noise = 10 ** (-4 * float(torch.rand((), generator=generator)))
    chain = GaussianChain(tuple(spectrum), noise, 0.3 + 0.6 * spectrum[5])
    found = chain_brackets(chain, dims, 2000, reverse=True)
    for truth, bracket in zip(chain.information(dims), found, strict=True):
        assert bracket.lower - 3 * bracket.lower_se <= truth
        assert truth <= bracket.upper + 3 * bracket.upper_se
        assert bracket.upper == pytest.approx(truth, rel=0.03, abs=0.05)


def test_it_bounds_a_nonlinear_encoder_too():
    # z_2 given x is a mixture of two Gaussians, which no linear reverse model proposes well.
    generator = torch.Generator().manual_seed(0)
    z1 = torch.randn(2000, 4, 1, generator=generator, dtype=torch.float64)
    mean = 3 * z1.sign()
    z2 = mean + torch.randn(mean.shape, generator=generator, dtype=torch.float64)

    def path_log_density(latents, examples):
        below, top = latents
        unit = torch.zeros_like(below)
        return component_log_density(below, unit, unit) + component_log_density(
            top, 3 * below.sign(), unit
        )

    zero = torch.zeros_like(z1)
    layers = [LayerDraws(zero[:, :1], zero[:, :1], z1), LayerDraws(mean, zero, z2)]
    found = reverse_log_density(layers, path_log_density)
    halves = torch.stack([component_log_density(z2, m + 0 * z2, 0 * z2) for m in (-3.0, 3.0)])
    exact = torch.logsumexp(halves, 0) - math.log(2)
    assert 0 < float((found - exact).mean()) < math.log(5)


def test_bad_input_is_refused():
    def layers(n: int, samples: int) -> list[LayerDraws]:
        z = torch.zeros(n, samples, 3)
        return [LayerDraws(z, z, z)] * 2

    def density(latents, examples):
        return torch.zeros(latents[0].shape[:2])

    with pytest.raises(ValueError, match="closed form"):
        reverse_log_density(layers(40, 4)[:1], density)
    least = least_examples((3, 3), samples=4)
    with pytest.raises(ValueError, match="too few"):
        reverse_log_density(layers(least - 1, 4), density)
    for samples, used in ((2, 2), (4, 5), (4, 0)):
        with pytest.raises(ValueError, match="draws of"):
            reverse_log_density(layers(40, samples), density, used_draws=used)
    ones = torch.zeros(9, 2, 3)
    with pytest.raises(ValueError, match="log_posterior"):
        information_bracket(ones, ones, ones, log_posterior=torch.zeros(9, 5))


def test_the_least_examples_are_enough():
    generator = torch.Generator().manual_seed(0)
    for dims, samples in (((3, 3), 4), ((7, 2, 1), 3), ((1, 1), 16)):
        n = least_examples(dims, samples)
        layers = []
        for d in dims:
            mean, noise = torch.randn(2, n, samples, d, generator=generator).double()
            layers.append(LayerDraws(mean, torch.zeros_like(mean), mean + noise))

        def density(latents, examples):
            return sum(-0.5 * z.square().sum(-1) for z in latents)

        assert torch.isfinite(reverse_log_density(layers, density, used_draws=2)).all()


def test_it_leaves_the_draws_as_they_are():
    generator = torch.Generator().manual_seed(0)
    draws = [
        LayerDraws(*torch.randn(3, 40, 4, 2, generator=generator, dtype=torch.float64))
        for _ in range(2)
    ]
    before = [t.clone() for d in draws for t in (d.mean, d.log_var, d.z)]
    reverse_log_density(draws, lambda z, examples: z[-1].sum(-1), used_draws=2)
    after = [t for d in draws for t in (d.mean, d.log_var, d.z)]
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from allocsearch.allocation import Allocation
from allocsearch.metrics.information import InformationBracket, information_bracket
from allocsearch.metrics.mixture import component_log_density
from allocsearch.metrics.reverse import reverse_log_density
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
            path = [layer[2] for layer in layers[: index + 1]]
            density = reverse_log_density(path, layers[0][0][:, 0], path_log_density)
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

    found = reverse_log_density([z1, z2], torch.zeros(2000, 1), path_log_density)
    halves = torch.stack([component_log_density(z2, m + 0 * z2, 0 * z2) for m in (-3.0, 3.0)])
    exact = torch.logsumexp(halves, 0) - math.log(2)
    assert 0 < float((found - exact).mean()) < math.log(5)


def test_bad_input_is_refused():
    z = torch.zeros(4, 2, 3)
    with pytest.raises(ValueError, match="closed form"):
        reverse_log_density([z], torch.zeros(4, 1), lambda *_: z)
    with pytest.raises(ValueError, match="too few"):
        reverse_log_density([z, z], torch.zeros(4, 1), lambda *_: z, used_draws=2)
    with pytest.raises(ValueError, match="used_draws"):
        reverse_log_density([z, z], torch.zeros(4, 1), lambda *_: z, used_draws=3)
    ones = torch.zeros(9, 2, 3)
    with pytest.raises(ValueError, match="log_posterior"):
        information_bracket(ones, ones, ones, log_posterior=torch.zeros(9, 5))

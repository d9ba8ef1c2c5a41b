"""The information brackets against the closed forms of random Gaussian chains.

Prints a Markdown table; exits with 1 where a bracket misses the truth by more than it may.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import brentq
from torch import Tensor

from allocsearch.allocation import Allocation
from allocsearch.metrics.information import InformationBracket, information_bracket
from allocsearch.metrics.mixture import component_log_density
from allocsearch.metrics.reverse import LayerDraws, reverse_log_density
from allocsearch.theory import GaussianChain, sample


@dataclass(frozen=True)
class Case:
    """A chain and how its layers split a budget."""

    chain: GaussianChain
    allocation: Allocation


def random_case(seed: int) -> Case:
    """A chain of 2 to 5 layers, 1 to 64 dims and 0.1 to 60 nats in its first layer."""
    rng = np.random.default_rng(seed)
    widths = np.exp(rng.uniform(0, math.log(65), rng.integers(2, 6))).astype(int)
    # Every other chain has layers of like widths, so that its upper layers hold much, too.
    like = np.maximum(1, (widths[0] * rng.uniform(0.5, 1, len(widths))).astype(int))
    dims = tuple((like if seed % 2 else widths).tolist())
    # No direction of more than 6 nats: beyond, float32 draws cannot tell z from its mean.
    target = math.exp(rng.uniform(math.log(0.1), math.log(min(60.0, 6.0 * dims[0]))))
    eigenvalues = np.sort(rng.gamma(2.0, size=dims[0] + 4))[::-1]

    def excess(log_noise: float) -> float:
        chain = GaussianChain(tuple(eigenvalues), math.exp(log_noise), 0.5)
        return float(chain.information(dims[:1])[0]) - target

    noise = math.exp(brentq(excess, -40, 40))
    chain = GaussianChain(tuple(eigenvalues), noise, float(rng.uniform(0.2, 0.98)))
    return Case(chain, Allocation(dims))


def brackets(
    case: Case, n: int, samples: int, seed: int, *, reverse: bool = True
) -> list[InformationBracket]:
    """The bracket of every layer, from `n` examples and S draws of each."""
    drawn = sample(case.chain, case.allocation, n, samples, seed)
    layers = [tuple(map(torch.from_numpy, (k.mean, k.log_var, k.z))) for k in drawn.layers]
    found = []
    for layer, (mean, log_var, z) in enumerate(layers, 1):

        def path_log_density(latents: Sequence[Tensor], examples: Tensor) -> Tensor:
            draws = latents[0].shape[1]
            below = drawn.x[examples.numpy()][:, None].repeat(draws, 1)
            total = torch.zeros(len(examples), draws, dtype=torch.float64)
            for index, latent in enumerate(latents, 1):
                parameters = case.chain.conditional(case.allocation, index, below)
                total += component_log_density(latent, *map(torch.from_numpy, parameters))
                below = latent.numpy()
            return total

        log_posterior = None
        if reverse and layer > 1:
            path = [LayerDraws(*parts) for parts in layers[:layer]]
            log_posterior = reverse_log_density(path, path_log_density)
        found.append(information_bracket(mean, log_var, z, None, log_posterior))
    return found


def main() -> int:
    """Run all cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=24)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--samples", type=int, default=16)
    options = parser.parse_args()
    print("| allocation | kappa | layer | truth | lower | upper | upper error | saturated | s |")
    print("|---|---|---|---|---|---|---|---|---|")
    misses = 0
    for seed in range(options.cases):
        case = random_case(seed)
        start = time.perf_counter()
        found = brackets(case, options.n, options.samples, seed)
        seconds = time.perf_counter() - start
        truths = case.chain.information(case.allocation.dims)
        for layer, (truth, bracket) in enumerate(zip(truths, found, strict=True), 1):
            error = bracket.upper - truth
            within = abs(error) <= max(0.03 * truth, 0.05)
            below = bracket.lower <= truth + 3 * bracket.lower_se
            above = truth <= bracket.upper + 3 * bracket.upper_se
            misses += not (within and below and above)
            print(
                f"| {case.allocation} | {case.chain.kappa:.2f} | {layer} | {truth:.3f} "
                f"| {bracket.lower:.3f} ± {bracket.lower_se:.3f} "
                f"| {bracket.upper:.3f} ± {bracket.upper_se:.3f} "
                f"| {error:+.3f}{'' if within and below and above else ' **miss**'} "
                f"| {'yes' if bracket.saturated else ''} | {seconds:.1f} |"
            )
    print(f"\n{misses} misses in {options.cases} chains, N = {options.n}, S = {options.samples}.")
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())

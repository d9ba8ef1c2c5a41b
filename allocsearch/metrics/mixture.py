"""Log densities of diagonal Gaussian mixtures, and the entropy of z_l given x by Monte Carlo."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Entries of a block of log densities: 2 MB of float64, so that it stays in the cache.
_BLOCK = 1 << 18
# What is smaller than exp(-80) of the largest term is nothing in a sum.
_NEGLIGIBLE = -80.0
# Below this size of its terms, the expanded square is exact to about 1e-3 nats in float32.
_FLOAT32_TERMS = 1e-3 / torch.finfo(torch.float32).eps


def _log_sum_exp(values: Tensor) -> Tensor:
    """Logarithm of the sum of exponentials over the last dim, `(..., k)` to `(...)`.

    Like `torch.logsumexp`, which takes thirty times as long where exponentials are subnormal. The
    values are overwritten.
    """
    most = values.amax(-1, keepdim=True)
    terms = values.sub_(most).clamp_(min=_NEGLIGIBLE).exp_()
    return terms.sum(-1).log_().add_(most[..., 0])


def component_log_density(z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """Log density of each draw under its own component.

    Args:
        z: Draws, `(..., d_l)`.
        mean: Component means, `(..., d_l)`.
        log_var: Component log variances, `(..., d_l)`.

    Returns:
        `(...)`, nats.
    """
    squares = (z - mean).square() * torch.exp(-log_var)
    return -0.5 * (squares + log_var + math.log(2 * math.pi)).sum(-1)


def mixture_log_density(z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """Log density of draws under the equally weighted mixture of all components.

    Memory is bounded: densities are computed in blocks. float32 is used where its rounding stays
    below about 1e-3 nats, else float64.

    Args:
        z: Draws, `(q, d_l)`.
        mean: Component means, `(k, d_l)`.
        log_var: Component log variances, `(k, d_l)`.

    Returns:
        `(q)`, float64, nats.
    """
    center = mean.mean(0, dtype=torch.float64)
    spread = (z - center).square().mean(0) + torch.exp(log_var).mean(0)
    scale = spread.sqrt()
    log_scale = scale.log().sum()
    z, mean = (z - center) / scale, (mean - center) / scale
    log_var = log_var - 2 * scale.log()
    precision = torch.exp(-log_var)
    offset = -0.5 * ((mean.square() * precision) + log_var + math.log(2 * math.pi)).sum(-1)
    # (z - m)^2 / v expanded, so that all pairs are one matrix product.
    weights = torch.cat((-0.5 * precision, mean * precision), -1)
    features = torch.cat((z.square(), z), -1)
    terms = (z.square().mean(0) + mean.square().mean(0)) @ precision.mean(0)
    dtype = torch.float32 if terms < _FLOAT32_TERMS else torch.float64
    weights, features, offset = weights.to(dtype).T, features.to(dtype), offset.to(dtype)
    rows = max(1, min(len(z), 64))
    columns = max(1, _BLOCK // rows)
    densities = torch.empty(len(z), dtype=torch.float64)
    for start in range(0, len(z), rows):
        block = features[start : start + rows]
        partial = [
            _log_sum_exp(torch.addmm(offset[k : k + columns], block, weights[:, k : k + columns]))
            for k in range(0, len(mean), columns)
        ]
        densities[start : start + rows] = torch.logsumexp(torch.stack(partial).double(), 0)
    return densities - math.log(len(mean)) - log_scale


def posterior_log_density(mean: Tensor, log_var: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Log q(z_l given x) of each draw, from the components of its own example.

    With the generating component among the S, the mean of -log q is the entropy of z_l given x
    *and* the components, so at most h(z_l given x). Over the S - 1 others, the mean of -log q is
    at least h(z_l given x), by Jensen's inequality.

    Args:
        mean: Component means, `(n, S, d_l)`.
        log_var: Component log variances, `(n, S, d_l)`.
        z: One draw from each component, `(n, S, d_l)`.

    Returns:
        With and without the generating component, each `(n, S)`, nats.

    Raises:
        ValueError: If S is 1.

    Reference: Yin and Zhou (2018); Sobolev and Vetrov (2019), theorem 1.
    """
    n, samples, d = z.shape
    if samples < 2:
        raise ValueError("leaving out the generating component takes 2 samples or more, not 1")
    included, excluded = torch.empty(n, samples).double(), torch.empty(n, samples).double()
    diagonal = torch.eye(samples, dtype=torch.bool)
    rows = max(1, _BLOCK // (samples * max(samples, 2 * d)))
    for start in range(0, n, rows):
        chunk = slice(start, start + rows)
        center = mean[chunk].mean(1, keepdim=True)
        m, v, draws = mean[chunk] - center, log_var[chunk], z[chunk] - center
        precision = torch.exp(-v)
        offset = -0.5 * (m.square() * precision + v + math.log(2 * math.pi)).sum(-1)
        weights = torch.cat((-0.5 * precision, m * precision), -1)
        pairs = offset[:, None] + torch.cat((draws.square(), draws), -1) @ weights.mT
        own = component_log_density(draws, m, v)
        pairs = torch.where(diagonal, own[:, None], pairs)
        others = pairs.masked_fill(diagonal, -torch.inf)
        included[chunk] = _log_sum_exp(pairs) - math.log(samples)
        excluded[chunk] = _log_sum_exp(others) - math.log(samples - 1)
    return included, excluded

"""The density of an upper layer given x, by importance sampling of the layers below it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

PathLogDensity = Callable[[Sequence[Tensor], Tensor], Tensor]

# Numbers of one block of proposals: 32 MB of float64.
_BLOCK = 1 << 22


@dataclass(frozen=True)
class LayerDraws:
    """One layer of S inference passes over n examples.

    Attributes:
        mean: Means of q(z_l given z_{<l}, x), `(n, S, d_l)`; `(n, 1, d_1)` for layer 1.
        log_var: Log variances, of the same shape.
        z: Draws, `(n, S, d_l)`.
    """

    mean: Tensor
    log_var: Tensor
    z: Tensor

    def first(self, samples: int) -> LayerDraws:
        """The first passes alone."""
        return LayerDraws(self.mean[:, :samples], self.log_var[:, :samples], self.z[:, :samples])


@dataclass(frozen=True)
class _Reverse:
    """A linear Gaussian model of the layers below given z_l.

    Attributes:
        weight: `(inputs, p)`.
        factor: Cholesky factor of the residual covariance, `(p, p)`.
    """

    weight: Tensor
    factor: Tensor

    @classmethod
    def fit(cls, inputs: Tensor, below: Tensor) -> _Reverse:
        weight = _regression(inputs, below)
        residuals = below - inputs @ weight
        freedom = len(inputs) - inputs.shape[1]
        return cls(weight, torch.linalg.cholesky(residuals.T @ residuals / freedom))

    def log_density(self, standard: Tensor) -> Tensor:
        """Log density where the standardised residuals are `(..., p)`."""
        log_det = self.factor.diagonal().log().sum()
        constant = 0.5 * standard.shape[-1] * math.log(2 * math.pi)
        density: Tensor = -0.5 * standard.square().sum(-1) - log_det - constant
        return density


def least_examples(dims: Sequence[int], samples: int) -> int:
    """The examples that `reverse_log_density` takes for layers of these dims and S samples."""
    return 2 * ((sum(dims) + 1) // samples + 1)


def reverse_log_density(
    layers: Sequence[LayerDraws],
    path_log_density: PathLogDensity,
    used_draws: int = 4,
    proposals: int = 4,
    seed: int = 0,
) -> Tensor:
    """Estimate of log q(z_l given x) that in the mean is not below it, nor far above.

    The mixture over S samples of the layers below cannot see more than log S nats of
    I(z_l; z_{<l} given x). Here a reverse model r(z_{<l} given z_l, x) proposes layers below that
    fit z_l, and with k = 0 for those that generated it

        log 1/(K + 1) sum_k q(z_{<l}^k, z_l given x) / r(z_{<l}^k given z_l, x).

    The model is a linear regression with Gaussian residuals, of latents that are standardised by
    their mean and variance given x: those of q(z_1 given x), and above, those of the components
    of the other draws. It is fitted on one half of the examples and used on the other, so that
    this is an upper bound in the mean always, and nearly exact where the encoder is linear in the
    latents.

    Args:
        layers: Layers 1 to l, drawn together.
        path_log_density: Given latents z_1, ..., z_l of some examples, each `(m, T, d_k)`, and the
            indices of these examples `(m,)`, log q(z_1, ..., z_l given x), nats, `(m, T)`.
        used_draws: The first draws of each example, for which the density is estimated.
        proposals: K, per draw of z_l.
        seed: Of the proposals.

    Returns:
        `(n, used_draws)`, float64, nats.

    Raises:
        ValueError: If there are fewer than 2 layers, fewer than 3 draws or than are to be used, or
            fewer than `least_examples`.

    Reference: Sobolev and Vetrov (2019), theorem 1.
    """
    if len(layers) < 2:
        raise ValueError("layer 1 has no layers below: its density given x is a closed form")
    n, samples, _ = layers[-1].z.shape
    if samples < 3 or not 1 <= used_draws <= samples:
        raise ValueError(f"{used_draws} draws of {samples}: allowed are 1 to S, of 3 or more")
    widths = [layer.z.shape[-1] for layer in layers]
    if n < least_examples(widths, samples):
        raise ValueError(f"{n} examples with {samples} draws are too few to fit {widths} dims")
    p = sum(widths[:-1])
    ones = torch.ones(n, samples, 1).double()
    generator = torch.Generator().manual_seed(seed)
    estimate = torch.empty(n, used_draws, dtype=torch.float64)
    rows = max(1, _BLOCK // ((proposals + 1) * used_draws * sum(widths)))
    for half in range(2):
        other = torch.arange(1 - half, n, 2)
        paths, location, scale = _standardised(layers, other, used_draws)
        inputs = torch.cat((paths[..., p:], ones), -1)
        reverse = _Reverse.fit(inputs[other].flatten(0, 1), paths[other, :, :p].flatten(0, 1))
        for used in torch.split(torch.arange(half, n, 2), rows):
            center = (inputs[used, :used_draws] @ reverse.weight)[:, None]
            generating = paths[used, :used_draws, :p][:, None]
            residuals = (generating - center).flatten(0, 2)
            standard = torch.linalg.solve_triangular(reverse.factor, residuals.T, upper=False).T
            shape = (len(used), proposals, used_draws, p)
            drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
            proposed = center + drawn @ reverse.factor.T
            top = paths[used, None, :used_draws, p:].expand(-1, proposals + 1, -1, -1)
            path = torch.cat((torch.cat((generating, proposed), 1), top), -1)
            s, m = scale[used, None], location[used, None]
            latents = torch.split((path * s + m).flatten(1, 2), widths, -1)
            joint = path_log_density(latents, used).double()
            standard = torch.cat((standard.reshape_as(generating), drawn), 1)
            # Of standardised latents: their density is that of z_{<l} times the scales.
            density = reverse.log_density(standard) - s[..., :p].log().sum(-1)
            weights = joint.reshape(density.shape) - density
            estimate[used] = torch.logsumexp(weights, 1) - math.log(proposals + 1)
    return estimate


def _standardised(
    layers: Sequence[LayerDraws], fitted: Tensor, used: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The draws of all layers, standardised by their moments given x.

    The moments of layer 1 are those of q(z_1 given x). Those of the layers above are estimated
    from all draws but the one they are for; that the components depend on the draws below is
    taken off by a linear control variate.

    Args:
        layers: Layers 1 to l.
        fitted: Indices of the examples that the control variate is fitted to.
        used: The first draws, whose moments are given.

    Returns:
        Standardised draws, `(n, S, d_1 + ... + d_l)`, and means and standard deviations of the
        used ones, each `(n, used, d_1 + ... + d_l)`; float64.
    """
    samples = layers[-1].z.shape[1]
    others = samples - 1
    standard: list[Tensor] = []
    moments: list[tuple[Tensor, Tensor]] = []
    for layer in layers:
        mean, variance = layer.mean.double(), layer.log_var.double().exp()
        if not moments:
            location = mean.expand(-1, samples, -1)
            scale = variance.sqrt().expand(-1, samples, -1)
        else:
            below = torch.cat(standard, -1) if len(standard) > 1 else standard[0]
            inputs = (below - below.mean(1, keepdim=True))[fitted].flatten(0, 1)
            centered = mean - mean.mean(1, keepdim=True)
            weight = _regression(inputs, centered[fitted].flatten(0, 1))
            # The standardised draws below have the mean 0 given x.
            corrected = mean - below @ weight
            location = (corrected.sum(1, keepdim=True) - corrected) / others
            between = _others_variance(centered, fitted)
            within = (variance.sum(1, keepdim=True) - variance) / others
            scale = (between + within).sqrt()
        moments.append((location, scale))
        standard.append((layer.z.double() - location) / scale)
    means, scales = zip(*((m[:, :used], s[:, :used]) for m, s in moments), strict=True)
    return torch.cat(standard, -1), torch.cat(means, -1), torch.cat(scales, -1)


def _others_variance(centered: Tensor, fitted: Tensor) -> Tensor:
    """The variance of component means given x, from all draws but one.

    A variance from so few draws is shrunk towards the mean one of all examples, the more so the
    less the examples differ by more than chance (empirical Bayes, linear in the variance).

    Args:
        centered: Component means less their mean over the draws of an example, `(n, S, d_l)`.
        fitted: Indices of the examples that the shrinkage is estimated from.

    Returns:
        `(n, S, d_l)`.
    """
    others = centered.shape[1] - 1
    squares = centered.square()
    total = squares.sum(1, keepdim=True)
    # Welford's update, backwards: without one draw the mean moves, too.
    left = (total - squares * (1 + 1 / others)).clamp_min(0) / (others - 1)
    every = (total / others)[fitted, 0]
    chance = every.square().mean(0) * 2 / (others + 2)
    spread = every.var(0, correction=0)
    shrinkage = torch.where(chance < spread, chance / spread, 1.0)
    return left + shrinkage * (every.mean(0) - left)


def _regression(inputs: Tensor, targets: Tensor) -> Tensor:
    """Weights `(i, t)` of the least squares fit of targets `(r, t)` to inputs `(r, i)`."""
    gram = inputs.T @ inputs
    # Inputs may be constant or repeated: the ridge picks one of the solutions.
    ridge = 1e-10 * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    weights: Tensor = torch.linalg.solve(gram + ridge, inputs.T @ targets)
    return weights

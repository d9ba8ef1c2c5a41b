"""The density of an upper layer given x, by importance sampling of the layers below it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor

PathLogDensity = Callable[[Sequence[Tensor], Tensor], Tensor]

# Numbers of one block of proposals: 2 MB of float64, so that it stays in the cache.
_BLOCK = 1 << 18


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
    moments = [_Moments.of(layer) for layer in layers]
    for half in range(2):
        other = torch.arange(1 - half, n, 2)
        paths, location, scale = _standardised(moments, other, used_draws)
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


@dataclass(frozen=True)
class _Moments:
    """What the draws of one layer say of its moments given x, whichever examples are fitted to.

    Attributes:
        mean: Component means, `(n, S, d_l)`; `(n, 1, d_1)` for layer 1, as all but `z`.
        z: Draws, `(n, S, d_l)`.
        centered: Component means less their mean over the draws of an example.
        between: The variance of the component means of all draws but this one.
        within: The mean variance of the components of all draws but this one.
        total: The variance of the component means of all draws, `(n, d_l)`.
    """

    mean: Tensor
    z: Tensor
    centered: Tensor
    between: Tensor
    within: Tensor
    total: Tensor

    @classmethod
    def of(cls, layer: LayerDraws) -> _Moments:
        mean, variance = layer.mean.double(), layer.log_var.double().exp()
        others = layer.z.shape[1] - 1
        centered = mean - mean.mean(1, keepdim=True)
        squares = centered.square()
        total = squares.sum(1, keepdim=True)
        # Welford's update, backwards: without one draw the mean moves, too.
        left = squares.mul_(-(1 + 1 / others)).add_(total).clamp_(min=0).div_(others - 1)
        if mean.shape[1] > 1:
            variance = (variance.sum(1, keepdim=True) - variance).div_(others)
        return cls(mean, layer.z.double(), centered, left, variance, total[:, 0] / others)

    def scale(self, fitted: Tensor) -> Tensor:
        """Standard deviations given x from all draws but one, `(n, S, d_l)`.

        A variance from so few draws is shrunk towards the mean one of all examples, the more so
        the less the examples differ by more than chance (empirical Bayes, linear in the variance).

        Args:
            fitted: Indices of the examples that the shrinkage is estimated from.
        """
        every = self.total[fitted]
        chance = every.square().mean(0) * 2 / (self.z.shape[1] + 1)
        spread = every.var(0, correction=0)
        shrinkage = torch.where(chance < spread, chance / spread, 1.0)
        variance = self.between * (1 - shrinkage)
        return variance.add_(self.within).add_(shrinkage * every.mean(0)).sqrt_()


def _standardised(
    layers: Sequence[_Moments], fitted: Tensor, used: int
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
    n, samples, _ = layers[-1].z.shape
    edges = [0, *accumulate(layer.z.shape[-1] for layer in layers)]
    standard = torch.empty(n, samples, edges[-1], dtype=torch.float64)
    means, scales = torch.empty(2, n, used, edges[-1], dtype=torch.float64)
    for layer, (start, end) in zip(layers, pairwise(edges), strict=True):
        if start == 0:
            location, scale = layer.mean, layer.within.sqrt()
        else:
            below = standard[..., :start]
            inputs = below[fitted] - below[fitted].mean(1, keepdim=True)
            weight = _regression(inputs.flatten(0, 1), layer.centered[fitted].flatten(0, 1))
            # The standardised draws below have the mean 0 given x.
            corrected = layer.mean - below @ weight
            total = corrected.sum(1, keepdim=True)
            location = corrected.neg_().add_(total).div_(samples - 1)
            scale = layer.scale(fitted)
        means[..., start:end] = location[:, :used]
        scales[..., start:end] = scale[:, :used]
        torch.sub(layer.z, location, out=standard[..., start:end]).div_(scale)
    return standard, means, scales


def _regression(inputs: Tensor, targets: Tensor) -> Tensor:
    """Weights `(i, t)` of the least squares fit of targets `(r, t)` to inputs `(r, i)`."""
    gram = inputs.T @ inputs
    # Inputs may be constant or repeated: the ridge picks one of the solutions.
    ridge = 1e-10 * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    weights: Tensor = torch.linalg.solve(gram + ridge, inputs.T @ targets)
    return weights

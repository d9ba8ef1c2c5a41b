"""The discretised logistic mixture likelihood of 256 grey values, grey or RGB."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from allocsearch.models.likelihoods.counts import value_counts
from allocsearch.models.likelihoods.likelihood import Likelihood, channels_and_grid
from allocsearch.models.likelihoods.moments import smoothed_moments

# Half the width of a bin, where the 256 values are scaled to [-1, 1].
_HALF_BIN = 1 / 255
# Of the logistic: at the lower end it has 99.97 % of its mass in one bin, at the upper one it is
# flat over all of them.
MIN_LOG_SCALE, MAX_LOG_SCALE = -7.0, 7.0


class LogisticMixture(Likelihood):
    """A mixture of logistic densities at each position, each integrated over the bin of a value.

    The bins of 0 and 255 are open to the outside. The values of a colour pixel share the
    component, and within one the mean of g is linear in r, that of b in r and g. The decoder
    gives for each position m logits, then means, then log scales (channel by channel, m each)
    and, for RGB, m coefficients each of r for g, of r for b and of g for b, before their tanh.

    Args:
        shape: Of one example: `(d,)`, `(H, W)` or `(3, H, W)`.
        mixtures: m, components of the mixture.

    Raises:
        ValueError: If an example has neither 1 nor 3 channels.

    Reference: Salimans et al. (2017), "PixelCNN++: Improving the PixelCNN with discretized
    logistic mixture likelihood and other modifications", sections 2.1 and 2.2.
    """

    def __init__(self, shape: tuple[int, ...], mixtures: int) -> None:
        self.channels, self.grid = channels_and_grid(shape)
        if self.channels not in (1, 3):
            raise ValueError("1 or 3 channels")
        self._mixtures = mixtures
        self.inputs = self.channels
        self._coefficients = self.channels * (self.channels - 1) // 2
        self.outputs = mixtures * (1 + 2 * self.channels + self._coefficients)

    def prepare(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """Values scaled to [-1, 1], `(batch, features)`; nothing is drawn."""
        return values.flatten(1).float() / 127.5 - 1

    def encode(self, x: Tensor) -> Tensor:
        """X as it is, `(batch, features)`."""
        return x

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Nats, `(..., batch)`, from `(..., batch, outputs * positions)`."""
        logits, means, log_scales, coefficients = self._blocks(parameters)
        pixels = x.reshape(len(x), self.channels, 1, -1)
        if self.channels == 3:
            means = _dependent(means, coefficients.tanh(), pixels)
        within = _log_bin(pixels, means, log_scales.clamp(MIN_LOG_SCALE, MAX_LOG_SCALE)).sum(-3)
        weights = logits.squeeze(-3).log_softmax(-2)
        return torch.logsumexp(weights + within, -2).sum(-1)

    def mean(self, parameters: Tensor) -> Tensor:
        """Means of the mixtures, `(..., batch, features)`; a component's is kept within 0 to 255.

        The mean of g is that at the component's mean of r, that of b at those of r and g.
        """
        logits, means, _, coefficients = self._blocks(parameters)
        pixels = means.clamp(-1, 1)
        # First g follows from r, then b from both.
        for _ in range(self.channels - 1):
            pixels = _dependent(means, coefficients.tanh(), pixels).clamp(-1, 1)
        mean = (logits.softmax(-2) * pixels).sum(-2)
        return ((mean + 1) * 127.5).flatten(-2)

    def _blocks(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits, means, log scales and coefficients, each `(..., blocks, m, positions)`."""
        m, c = self._mixtures, self.channels
        blocks = parameters.reshape(*parameters.shape[:-1], self.outputs // m, m, -1)
        logits, means, scales, rest = torch.split(blocks, [1, c, c, self._coefficients], -3)
        return logits, means, scales, rest

    def marginal_parameters(self, values: Tensor) -> Tensor:
        """One logistic for each feature, with its mean and variance, half an example added.

        The half examples are at 0 and at 255. All components are this one, and no channel depends
        on another. It is the best fit by moments, not by likelihood.
        """
        counts = value_counts(values, 256).double()
        value = torch.arange(256, dtype=torch.float64, device=values.device)[:, None] / 127.5 - 1
        moments = (counts * value).sum(0), (counts * value.square()).sum(0)
        mean, variance = smoothed_moments(len(values), *moments)
        log_scale = 0.5 * variance.log() + math.log(math.sqrt(3) / math.pi)
        features = torch.stack((mean, log_scale)).reshape(2 * self.channels, 1, -1)
        positions = features.shape[-1]
        zeros = [features.new_zeros(count, 1, positions) for count in (1, self._coefficients)]
        blocks = torch.cat((zeros[0], features, zeros[1])).expand(-1, self._mixtures, -1)
        return blocks.flatten().float()


def _dependent(means: Tensor, coefficients: Tensor, pixels: Tensor) -> Tensor:
    """The means given the channels before.

    Args:
        means: `(..., 3, m, positions)`.
        coefficients: In [-1, 1], `(..., 3, m, positions)`: of r for g, of r for b, of g for b.
        pixels: In [-1, 1], `(batch, 3, 1, positions)`.
    """
    r, g, _ = pixels.unbind(-3)
    r_for_g, r_for_b, g_for_b = coefficients.unbind(-3)
    green, blue = r_for_g * r, r_for_b * r + g_for_b * g
    return means + torch.stack((torch.zeros_like(green), green, blue), -3)


def _log_bin(pixels: Tensor, means: Tensor, log_scales: Tensor) -> Tensor:
    """Log of the mass of a logistic in the bin of a pixel, `(..., channels, m, positions)`.

    With a and b the ends of the bin in units of the scale, it is sigmoid(a) - sigmoid(b)
    = sigmoid(a) sigmoid(-b) (1 - exp(b - a)), of which no factor underflows in logarithms: not
    even where the difference of the sigmoids does, and density times width would be needed.
    """
    rate = (-log_scales).exp()
    distance = pixels - means
    below = functional.logsigmoid(rate * (distance + _HALF_BIN))
    above = functional.logsigmoid(-rate * (distance - _HALF_BIN))
    width = (-torch.expm1(-2 * _HALF_BIN * rate)).log()
    # Halfway between the outer bins and the next ones.
    lowest, highest = pixels < _HALF_BIN - 1, pixels > 1 - _HALF_BIN
    return (
        below.masked_fill(highest, 0)
        + above.masked_fill(lowest, 0)
        + width.masked_fill(lowest | highest, 0)
    )

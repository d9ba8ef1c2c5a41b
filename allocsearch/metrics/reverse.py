"""The density of an upper layer given x, by importance sampling of the layers below it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

PathLogDensity = Callable[[Sequence[Tensor], Tensor], Tensor]


@dataclass(frozen=True)
class _Reverse:
    """A linear Gaussian model of the layers below given z_l and context.

    Attributes:
        weight: `(inputs, p)`.
        factor: Cholesky factor of the residual covariance, `(p, p)`.
    """

    weight: Tensor
    factor: Tensor

    @classmethod
    def fit(cls, inputs: Tensor, below: Tensor) -> _Reverse:
        gram = inputs.T @ inputs
        # Inputs may be constant or repeated: the ridge picks one of the solutions.
        ridge = 1e-10 * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
        weight = torch.linalg.solve(gram + ridge, inputs.T @ below)
        residuals = below - inputs @ weight
        freedom = len(inputs) - inputs.shape[1]
        return cls(weight, torch.linalg.cholesky(residuals.T @ residuals / freedom))

    def log_density(self, standard: Tensor) -> Tensor:
        """Log density where the standardised residuals are `(..., p)`."""
        log_det = self.factor.diagonal().log().sum()
        constant = 0.5 * standard.shape[-1] * math.log(2 * math.pi)
        density: Tensor = -0.5 * standard.square().sum(-1) - log_det - constant
        return density


def reverse_log_density(
    latents: Sequence[Tensor],
    context: Tensor,
    path_log_density: PathLogDensity,
    used_draws: int = 4,
    proposals: int = 4,
    seed: int = 0,
) -> Tensor:
    """Estimate of log q(z_l given x) that in the mean is not below it, nor far above.

    The mixture over S samples of the layers below cannot see more than log S nats of
    I(z_l; z_{<l} given x). Here a reverse model r(z_{<l} given z_l, x), a linear regression with
    Gaussian residuals, proposes layers below that fit z_l, and with k = 0 for those that
    generated it

        log 1/(K + 1) sum_k q(z_{<l}^k, z_l given x) / r(z_{<l}^k given z_l, x).

    It is exact where the encoder is linear and Gaussian, and an upper bound in the mean always:
    the model is fitted on one half of the examples and used on the other.

    Args:
        latents: z_1, ..., z_l, drawn together, each `(n, S, d_k)`. All draws fit the model.
        context: What the reverse model sees of x, such as the means of q(z_1 given x), `(n, c)`.
        path_log_density: Given latents as above of some examples, and the indices of these
            examples `(m,)`, log q(z_1, ..., z_l given x), nats, `(m, T)`.
        used_draws: T, the first draws of each example, for which the density is estimated.
        proposals: K, per draw of z_l.
        seed: Of the proposals.

    Returns:
        `(n, T)`, float64, nats.

    Raises:
        ValueError: If there are fewer than 2 layers, too few examples to fit the regression, or
            fewer draws than are to be used.

    Reference: Sobolev and Vetrov (2019), theorem 1.
    """
    if len(latents) < 2:
        raise ValueError("layer 1 has no layers below: its density given x is a closed form")
    paths = torch.cat(list(latents), -1).double()
    n, samples, _ = paths.shape
    p = paths.shape[-1] - latents[-1].shape[-1]
    if not 1 <= used_draws <= samples:
        raise ValueError(f"used_draws lies between 1 and {samples}, not {used_draws}")
    shared = torch.cat((context.double(), torch.ones(n, 1, dtype=torch.float64)), -1)
    inputs = torch.cat((paths[..., p:], shared[:, None].expand(-1, samples, -1)), -1)
    if n // 2 * samples <= p + inputs.shape[-1]:
        raise ValueError(f"{n} examples with {samples} draws are too few to fit {p} latent dims")
    widths = [latent.shape[-1] for latent in latents]
    generator = torch.Generator().manual_seed(seed)
    estimate = torch.empty(n, used_draws, dtype=torch.float64)
    for half in range(2):
        other, used = torch.arange(1 - half, n, 2), torch.arange(half, n, 2)
        reverse = _Reverse.fit(inputs[other].flatten(0, 1), paths[other, :, :p].flatten(0, 1))
        center = inputs[used, :used_draws] @ reverse.weight
        generating, top = torch.split(paths[used, :used_draws], [p, widths[-1]], -1)
        residuals = (generating - center).flatten(0, 1)
        standard = torch.linalg.solve_triangular(reverse.factor, residuals.T, upper=False).T
        standard = standard.reshape(center.shape)
        log_weights = []
        for k in range(proposals + 1):
            if k:
                standard = torch.randn(center.shape, generator=generator, dtype=torch.float64)
            below = center + standard @ reverse.factor.T if k else generating
            path = torch.split(torch.cat((below, top), -1), widths, -1)
            density = path_log_density(path, used).double()
            log_weights.append(density - reverse.log_density(standard))
        estimate[used] = torch.logsumexp(torch.stack(log_weights), 0) - math.log(proposals + 1)
    return estimate

"""A hierarchical VAE in plain PyTorch, for studies/callable.toml.

The model knows nothing of allocsearch but the three methods that its measurements ask for; see
docs/trainers.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.distributions import Normal

from allocsearch.allocation import Allocation
from allocsearch.config import StudyConfig
from allocsearch.metrics.foreign import measure_foreign


class ChainVAE(nn.Module):
    """q(z_l given z_{l-1}) upwards from x, p(z_l given z_{l+1}) downwards from a standard normal.

    Args:
        features: Of x, `(batch, features)`, from 0 to 1.
        dims: (d_1, ..., d_L), bottom to top.
    """

    def __init__(self, features: int, dims: Sequence[int]) -> None:
        super().__init__()
        below = [features, *dims[:-1]]
        self.posteriors = nn.ModuleList(
            _network(n, 2 * d) for n, d in zip(below, dims, strict=True)
        )
        self.priors = nn.ModuleList(_network(n, 2 * d) for d, n in pairwise(dims))
        self.output = _network(dims[0], features)

    def draw(self, x: Tensor) -> tuple[list[Normal], list[Tensor]]:
        """The posteriors of one upward pass and a draw from each."""
        posteriors, latents = [], [x]
        for network in self.posteriors:
            posteriors.append(_normal(network(latents[-1])))
            latents.append(posteriors[-1].rsample())
        return posteriors, latents[1:]

    def prior(self, layer: int, latents: Sequence[Tensor]) -> Normal:
        """P(z given the layer above) of the layer at index `layer`."""
        if layer == len(self.priors):
            return Normal(torch.zeros_like(latents[layer]), torch.ones_like(latents[layer]))
        return _normal(self.priors[layer](latents[layer + 1]))

    def per_layer_posteriors(self, x: Tensor) -> list[Normal]:
        """The posteriors of all layers at one draw, bottom to top, each `(batch, d_l)`."""
        return self.draw(x)[0]

    def log_likelihood(self, x: Tensor, skip: int = 0) -> Tensor:
        """Log p(x given z), `(batch,)`, the `skip` lowest layers at the mode of their prior."""
        latents = self.draw(x)[1]
        for layer in reversed(range(skip)):
            latents[layer] = self.prior(layer, latents).mean
        logits = self.output(latents[0])
        return -nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)

    def kl(self, x: Tensor) -> Tensor:
        """Log q - log p of one draw of each layer, bottom to top, `(batch, L)`."""
        posteriors, latents = self.draw(x)
        terms = [
            posterior.log_prob(z) - self.prior(layer, latents).log_prob(z)
            for layer, (posterior, z) in enumerate(zip(posteriors, latents, strict=True))
        ]
        return torch.stack([term.sum(1) for term in terms], 1)


def _network(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 64), nn.SiLU(), nn.Linear(64, outputs))


def _normal(parameters: Tensor) -> Normal:
    mean, log_deviation = parameters.chunk(2, dim=-1)
    return Normal(mean, log_deviation.clamp(-6, 6).exp())


def train(
    allocation: Allocation, config: StudyConfig, seed: int, report: Callable[..., None]
) -> dict[str, float]:
    """Train on the digits 0 to 6, and measure with 7 and 8 as OOD validation set."""
    torch.manual_seed(seed)
    torch.set_num_threads(config.training.threads)
    digits = load_digits()
    x = torch.from_numpy(digits.data / 16).float()
    inside, outside = x[digits.target < 7], x[(digits.target == 7) | (digits.target == 8)]
    training, validation = inside[:900], inside[900:]

    model = ChainVAE(x.shape[1], allocation.dims)
    optimizer = torch.optim.Adam(model.parameters(), config.training.learning_rate)
    free = config.training.free_nats * torch.tensor(allocation.dims)
    for epoch in range(1, config.training.epochs + 1):
        for batch in training[torch.randperm(len(training))].split(config.training.batch_size):
            # Free nats keep the upper layers from emptying before they are of use.
            rates = torch.maximum(model.kl(batch).mean(0), free)
            loss = rates.sum() - model.log_likelihood(batch).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        report(epoch / config.training.epochs, epoch=epoch, loss=float(loss.detach()))

    torch.save(model.state_dict(), report.folder / "model.pt")
    return measure_foreign(
        model.eval(),
        training,
        validation,
        {"other_digits": outside},
        score="mahalanobis",
        seed=seed,
    )

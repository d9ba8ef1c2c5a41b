"""What a torch model that is not ours has to offer, and its passes over a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.distributions import Normal

from allocsearch.metrics.finite import NotFiniteError
from allocsearch.metrics.reverse import LayerDraws


class ForeignModel(Protocol):
    """A hierarchical VAE; it draws what it needs from torch's global generator."""

    def per_layer_posteriors(self, x: Tensor) -> Sequence[Normal]:
        """q(z_l given x and the layers drawn before), bottom to top.

        Args:
            x: Examples, `(batch, *shape)`.

        Returns:
            For each layer a Normal whose mean is `(batch, d_l)`. Those that depend on other
            layers are given at one draw of these, a new one in every call.
        """

    def log_likelihood(self, x: Tensor, skip: int = 0) -> Tensor:
        """Log p(x given z) at one draw of the latents, nats, `(batch,)`.

        Args:
            x: Examples, `(batch, *shape)`.
            skip: k; the k lowest latents come from their prior given those above, as its mode.
        """


@runtime_checkable
class ModelWithRates(ForeignModel, Protocol):
    """A model that knows the rates of its layers."""

    def kl(self, x: Tensor) -> Tensor:
        """Log q - log p of each layer at one draw of all, bottom to top, nats, `(batch, L)`.

        The closed form of the KL divergence may stand for a layer whose prior does not depend on
        draws that depend on the layer's own; its noise is smaller, which helps the scores.
        """


def draw_posteriors(
    model: ForeignModel, x: Tensor, samples: int, batch_size: int
) -> tuple[LayerDraws, ...]:
    """Posteriors of S passes over n examples, and a draw from each, bottom to top.

    Args:
        model: The model, in eval mode.
        x: Examples, `(n, *shape)`.
        samples: S.
        batch_size: Examples in one pass.

    Raises:
        ValueError: If the model gives something else than the protocol says.
        NotFiniteError: If it gives NaN or infinity.
    """
    batches = []
    for batch in torch.split(x, batch_size):
        passes = [_posteriors(model, batch) for _ in range(samples)]
        batches.append([_stacked(normals) for normals in zip(*passes, strict=True)])
    return tuple(
        LayerDraws(*(torch.cat(parts) for parts in zip(*layer, strict=True)))
        for layer in zip(*batches, strict=True)
    )


def _posteriors(model: ForeignModel, batch: Tensor) -> Sequence[Normal]:
    normals = model.per_layer_posteriors(batch)
    for number, normal in enumerate(normals, 1):
        what = f"per_layer_posteriors: layer {number}"
        if not isinstance(normal, Normal):
            raise ValueError(f"{what} is {type(normal).__name__}; allowed: Normal")
        if normal.mean.dim() != 2 or len(normal.mean) != len(batch):
            wanted = f"({len(batch)}, d_l)"
            raise ValueError(f"{what} has the shape {tuple(normal.mean.shape)}; allowed: {wanted}")
        _check_finite(normal.mean, what)
        _check_finite(normal.stddev.log(), what)
    if not normals:
        raise ValueError("per_layer_posteriors gives no layer")
    return normals


def _stacked(normals: Sequence[Normal]) -> tuple[Tensor, Tensor, Tensor]:
    """Means, log variances and draws of one layer, `(batch, S, d_l)`."""
    mean = torch.stack([normal.mean for normal in normals], 1)
    deviation = torch.stack([normal.stddev for normal in normals], 1)
    draws = mean + deviation * torch.randn_like(mean)
    return mean.cpu(), 2 * deviation.log().cpu(), draws.cpu()


@dataclass(frozen=True)
class ForeignTerms:
    """What the passes over a data set gave, mean over the draws.

    Attributes:
        log_likelihood: log p(x given z) with the k lowest latents from their prior,
            k = 0, ..., L - 1, nats, `(n, L)`.
        kl: KL of each layer, bottom to top, nats, `(n, L)`; None for a model without rates.
    """

    log_likelihood: Tensor
    kl: Tensor | None


def collect_terms(
    model: ForeignModel, x: Tensor, layers: int, samples: int, batch_size: int, seed: int
) -> ForeignTerms:
    """The terms of all bounds.

    Every term of one draw begins with the same state of torch's global generators, so that a
    model that draws its latents in the same order has the same ones in all of them, and their
    noise goes out of the differences of bounds.

    Args:
        model: The model, in eval mode.
        x: Examples, `(n, *shape)`.
        layers: L.
        samples: Draws of which the mean is taken.
        batch_size: Examples in one pass.
        seed: Of all draws.

    Raises:
        ValueError: If the model gives something else than the protocol says.
        NotFiniteError: If it gives NaN or infinity.
    """
    seeds = torch.Generator().manual_seed(seed)
    likelihoods, rates = [], []
    for batch in torch.split(x, batch_size):
        numbers = torch.randint(2**62, (samples,), generator=seeds).tolist()
        draws = [_likelihoods(model, batch, layers, number) for number in numbers]
        likelihoods.append(torch.stack(draws).mean(0))
        if isinstance(model, ModelWithRates):
            draws = [_rates(model, batch, layers, number) for number in numbers]
            rates.append(torch.stack(draws).mean(0))
    return ForeignTerms(torch.cat(likelihoods).cpu(), torch.cat(rates).cpu() if rates else None)


def _likelihoods(model: ForeignModel, batch: Tensor, layers: int, seed: int) -> Tensor:
    found = []
    for k in range(layers):
        torch.manual_seed(seed)
        found.append(model.log_likelihood(batch, skip=k))
        _check(found[-1], (len(batch),), f"log_likelihood with skip={k}")
    return torch.stack(found, 1)


def _rates(model: ModelWithRates, batch: Tensor, layers: int, seed: int) -> Tensor:
    torch.manual_seed(seed)
    found = model.kl(batch)
    _check(found, (len(batch), layers), "kl")
    return found


def _check(found: object, shape: tuple[int, ...], what: str) -> None:
    if not isinstance(found, Tensor) or tuple(found.shape) != shape:
        shown = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ValueError(f"{what} gives {shown}; allowed: a tensor of the shape {shape}")
    _check_finite(found, what)


def _check_finite(found: Tensor, what: str) -> None:
    if not torch.isfinite(found).all():
        raise NotFiniteError(f"{what} gives a value that is not finite")

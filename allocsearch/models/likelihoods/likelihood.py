"""What the model, the trainer and the measurements need of a likelihood."""

from __future__ import annotations

from math import prod
from typing import Protocol

import torch
from torch import Tensor


def channels_and_grid(shape: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """Channels and positions of an example: 1 and `(d,)` or `(H, W)`, C and `(H, W)`."""
    return (shape[0], shape[1:]) if len(shape) == 3 else (1, shape)


class Likelihood(Protocol):
    """A likelihood p(x | z) of examples that lie on a grid of positions, with channels at each.

    Attributes:
        channels: Features of x at each position.
        grid: The positions, `(d,)` or `(H, W)`.
        inputs: Numbers that the encoder sees at each position.
        outputs: Numbers that the decoder gives at each position.
    """

    channels: int
    grid: tuple[int, ...]
    inputs: int
    outputs: int

    @property
    def features(self) -> int:
        """Numbers of one x, channels * positions."""
        return self.channels * prod(self.grid)

    def prepare(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """Draw x from stored values.

        Args:
            values: Stored examples, `(batch, *shape)`.
            generator: Source of the randomness, where there is any.

        Returns:
            x, `(batch, features)`, float32, channels first.
        """

    def encode(self, x: Tensor) -> Tensor:
        """What the encoder sees of x, `(batch, inputs * positions)`, from `(batch, features)`."""

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Log p(x | z).

        Args:
            parameters: What the decoder gives, `(..., batch, outputs * positions)`, outputs first.
            x: From `prepare`, `(batch, features)`.

        Returns:
            Nats, `(..., batch)`.
        """

    def modelled(self, x: Tensor) -> Tensor:
        """How many features of each x log p(x | z) is of: all but what only fills up.

        Args:
            x: From `prepare`, `(batch, features)`.

        Returns:
            int64, `(batch,)`.
        """
        return torch.full((len(x),), self.features)

    def mean(self, parameters: Tensor) -> Tensor:
        """The mean of p(x | z), as a picture of it shows it.

        Args:
            parameters: What the decoder gives, `(..., batch, outputs * positions)`, outputs first.

        Returns:
            On the scale of the stored values, 0 to 255 for pixels, `(..., batch, features)`.

        Raises:
            ValueError: If stored values are ids, which have no mean.
        """

    def marginal_parameters(self, values: Tensor) -> Tensor:
        """The parameters of the marginal model: independent features, no latent.

        Args:
            values: Stored examples that the model is fitted to, `(n, *shape)`.

        Returns:
            `(outputs * positions,)`, as `log_prob` takes them.
        """

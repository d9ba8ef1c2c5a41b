"""What an HVAE is built from: the modules that blocks of a kind make for it."""

from __future__ import annotations

from typing import Protocol

from torch import nn


class Blocks(Protocol):
    """Makes the modules of one model. Hidden units have whatever shape the blocks give them.

    Latents are flat, `(..., batch, d_l)`, in and out, whatever the blocks make of them inside.
    Where a module takes two tensors, one may have more leading dimensions than the other.
    """

    def encoder(self, layer: int, *, reads_latent: bool) -> nn.Module:
        """The encoder stage of the layer at index `layer`.

        Its module takes the hidden units of the layer below (the encoded x, `(batch, inputs *
        positions)`, for the first one), or z of the layer below where `reads_latent`, and gives
        the hidden units of this layer.
        """

    def posterior(self, layer: int, *, joins_latent: bool) -> nn.Module:
        """The head of q(z_l | ...), index `layer`.

        Its module takes the hidden units of the layer and, where `joins_latent`, z of the layer
        below; it gives means and log variances, `(..., batch, 2 d_l)`.
        """

    def decoder(self, layer: int, *, joins_hidden: bool) -> nn.Module:
        """The decoder stage of the layer at index `layer`.

        Its module takes z_l and, where `joins_hidden`, the hidden units of the stage above; it
        gives its own.
        """

    def prior(self, layer: int) -> nn.Module:
        """The head of p(z_l | z_{>l}), index `layer`.

        Its module takes the hidden units of the decoder stage above and gives means and log
        variances, `(..., batch, 2 d_l)`.
        """

    def output(self) -> nn.Module:
        """The last module of the decoder.

        It takes the hidden units of the lowest decoder stage and gives the parameters of the
        likelihood, `(..., batch, outputs * positions)`.
        """

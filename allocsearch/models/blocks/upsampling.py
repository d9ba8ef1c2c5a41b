"""Upsampling of maps by a factor, to a size."""

from __future__ import annotations

from torch import Tensor, nn

from allocsearch.models.blocks.maps import Size


class SubpixelConvolution(nn.Linear):
    """A pointwise convolution that gives every position values for each channel, one per factor.

    They are laid out as that many positions, and what lies beyond `size` is cut off. It is a
    transposed convolution whose kernel is its stride.

    Args:
        inputs: Channels in.
        channels: Channels out.
        factor: Positions out for each one in, along height and width.
        size: Height and width out, at most `factor` times those in.

    Reference: Shi et al. (2016), "Real-time single image and video super-resolution using an
    efficient sub-pixel convolutional neural network", section 3.2.
    """

    def __init__(self, inputs: int, channels: int, factor: Size, size: Size) -> None:
        super().__init__(inputs, channels * factor[0] * factor[1])
        self.factor, self.size = factor, size

    def forward(self, maps: Tensor) -> Tensor:
        """From `(..., batch, h, w, inputs)` to `(..., batch, H, W, channels)`."""
        values = super().forward(maps)
        if self.factor == (1, 1):
            return values
        *lead, h, w, _ = values.shape
        (down, right), (height, width) = self.factor, self.size
        # (h, w, down, right, channels) to (h, down, w, right, channels)
        split = values.view(*lead, h, w, down, right, -1).transpose(-4, -3)
        return split.reshape(*lead, h * down, w * right, -1)[..., :height, :width, :]

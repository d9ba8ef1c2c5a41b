"""The residual block of convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from allocsearch.models.blocks.maps import Size


class ResidualBlock(nn.Module):
    """Convolution, activation, pointwise convolution, and a shortcut; no normalisation.

    With a stride the shortcut takes every stride-th position; where the channels change there is
    none. Maps have their channels last, so that pointwise convolutions are matrix products.

    Args:
        inputs: Channels in.
        channels: Channels out.
        kernel: Height and width of the first convolution, odd.
        stride: Of the first convolution, down and right; a size becomes ceil(size / stride).
        activation: Between the convolutions.

    Reference: Lim et al. (2017), "Enhanced deep residual networks for single image
    super-resolution", section 3.1 (no normalisation, no activation outside the branch); van den
    Oord et al. (2017), "Neural discrete representation learning", section 4.1 (the second
    convolution is pointwise); He et al. (2016), "Deep residual learning for image recognition",
    section 3.3 (the shortcut with a stride).
    """

    def __init__(
        self, inputs: int, channels: int, kernel: Size, stride: Size, activation: type[nn.Module]
    ) -> None:
        super().__init__()
        self.shortcut, self.stride = inputs == channels, stride
        padding = (kernel[0] // 2, kernel[1] // 2)
        self.convolution = nn.Conv2d(inputs, channels, kernel, stride, padding)
        self.activation = activation()
        # What the next layer sees of it has a bias of its own.
        self.pointwise = nn.Linear(channels, channels, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """From `(..., batch, H, W, inputs)` to `(..., batch, H', W', channels)`."""
        # Such a view is torch's memory format channels_last, in which convolutions run fastest.
        planes = self.convolution(maps.flatten(0, -4).movedim(-1, -3))
        hidden = self.activation(planes.movedim(-3, -1))
        if self.shortcut:
            down, right = self.stride
            passed = maps[..., ::down, ::right, :].flatten(0, -2)
            # One pass over the maps for product and sum.
            branch = torch.addmm(passed, hidden.flatten(0, -2), self.pointwise.weight.t())
        else:
            branch = self.pointwise(hidden)
        return branch.view(*maps.shape[:-3], *hidden.shape[-3:])

"""The learned embedding of tokens."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from allocsearch.config import ModelSection
from allocsearch.models.likelihoods import Likelihood


class TokenEmbedding(nn.Module):
    """A learned vector for each token, the same at all positions.

    It takes the indicators of the tokens, which are 0 at pads: the vector of a pad is 0, and its
    row of the weight is neither read nor trained.

    Args:
        levels: Tokens.
        dims: Of a vector.
        channels: Tokens at each position.
        pad: The id that fills up; its row is 0. None where there is none.

    Attributes:
        inputs: Numbers that the encoder sees at each position, channels * dims.
    """

    def __init__(self, levels: int, dims: int, channels: int, pad: int | None) -> None:
        super().__init__()
        self.inputs = channels * dims
        self._channels = channels
        self.weight = nn.Parameter(torch.randn(levels, dims))
        if pad is not None:
            with torch.no_grad():
                self.weight[pad] = 0

    def forward(self, indicators: Tensor) -> Tensor:
        """From `(batch, channels * levels * positions)` to `(batch, inputs * positions)`."""
        hot = indicators.view(len(indicators), self._channels, len(self.weight), -1)
        return torch.matmul(self.weight.t(), hot).flatten(1)


def token_embedding(likelihood: Likelihood, section: ModelSection) -> TokenEmbedding | None:
    """The embedding that `model.embedding` asks for, or None.

    Args:
        likelihood: Whose tokens are embedded.
        section: The model.
    """
    if section.embedding is None:
        return None
    return TokenEmbedding(section.levels, section.embedding, likelihood.channels, section.pad)

"""The categorical likelihood of grey levels and tokens."""

from __future__ import annotations

import torch
from torch import Tensor

from allocsearch.models.likelihoods.counts import value_counts
from allocsearch.models.likelihoods.likelihood import Likelihood, channels_and_grid


class Categorical(Likelihood):
    """One of `levels` unordered values for each feature, by a softmax of its own logits.

    Stored values v are grey, 0..255, and x is the level v * levels // 256; or, with `one_hot`,
    they are the ids of tokens, 0..levels - 1, and x is the id. The decoder gives one logit for
    each channel and level: those of the first channel first.

    Where sequences are filled up with pads, x is the sequence given which positions are pads:
    log p(x | z) sums over the others, no token that is drawn there can be a pad, and the decoder
    has no logit for it.

    Args:
        shape: Of one example: `(d,)`, `(H, W)` or `(C, H, W)`.
        levels: Values that a feature can have, 2 to 256.
        one_hot: Whether stored values are ids, of which the encoder sees an indicator per level.
            Otherwise it sees the level, scaled to [-1, 1].
        pad: The id that fills up; all its indicators are 0. None where there is none.
    """

    def __init__(
        self, shape: tuple[int, ...], levels: int, *, one_hot: bool, pad: int | None = None
    ) -> None:
        self.channels, self.grid = channels_and_grid(shape)
        self._logits = levels - (pad is not None)
        self.outputs = self.channels * self._logits
        self.inputs = self.channels * levels if one_hot else self.channels
        self._levels, self._one_hot, self._pad = levels, one_hot, pad

    def prepare(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """Levels `(batch, features)`, as float32; nothing is drawn."""
        return self._level(values.flatten(1)).float()

    def encode(self, x: Tensor) -> Tensor:
        """Scaled levels, `(batch, features)`, or indicators, `(batch, features * levels)`."""
        if not self._one_hot:
            return x * (2 / (self._levels - 1)) - 1
        level = torch.arange(self._levels, device=x.device)
        if self._pad is not None:
            # No id is below 0.
            level = torch.where(level == self._pad, -1, level)
        hot = x.reshape(len(x), self.channels, 1, -1) == level[:, None]
        return hot.flatten(1).to(x.dtype)

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Nats, `(..., batch)`, from logits `(..., batch, outputs * positions)`."""
        given = parameters if parameters.dim() > 1 else parameters[None]
        logits = given.reshape(*given.shape[:-1], self.channels, self._logits, -1)
        level = x.long().reshape(len(x), self.channels, 1, -1)
        pads = None if self._pad is None else (level == self._pad).squeeze(-2)
        if self._pad is not None:
            # What follows the pad moves up; whatever a pad chooses is not counted.
            level = torch.where(level > self._pad, level - 1, level).clamp(max=self._logits - 1)
        level = level.expand(*logits.shape[:-4], -1, -1, -1, -1)
        chosen = torch.take_along_dim(logits, level, -2).squeeze(-2)
        log_probs = chosen - logits.logsumexp(-2)
        if pads is not None:
            log_probs = torch.where(pads, 0, log_probs)
        return log_probs.sum((-2, -1))

    def modelled(self, x: Tensor) -> Tensor:
        """Features of each x that are no pads, int64 `(batch,)`."""
        return super().modelled(x) if self._pad is None else (x != self._pad).sum(1)

    def mean(self, parameters: Tensor) -> Tensor:
        """Mean levels, the highest of which is 255, `(..., batch, features)`."""
        if self._one_hot:
            raise ValueError("the ids of tokens have no mean")
        logits = parameters.reshape(*parameters.shape[:-1], self.channels, self._levels, -1)
        level = torch.arange(self._levels, device=parameters.device)[:, None]
        mean = torch.sum(logits.softmax(-2) * level, -2)
        return 255 / (self._levels - 1) * mean.flatten(-2)

    def marginal_parameters(self, values: Tensor) -> Tensor:
        """Log of how often each feature has each level, half an example of each added.

        Pads are not counted, and no feature has them.

        Reference: Krichevsky and Trofimov (1981), "The performance of universal encoding".
        """
        counts = value_counts(self._level(values), self._levels)
        if self._pad is not None:
            counts = torch.cat((counts[: self._pad], counts[self._pad + 1 :]))
        logits = (counts + 0.5).log().reshape(self._logits, self.channels, -1)
        return logits.transpose(0, 1).flatten()

    def _level(self, values: Tensor) -> Tensor:
        return values if self._one_hot else values.int() * self._levels // 256

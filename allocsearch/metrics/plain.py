"""Plain detectors of token sequences, without a model of the kind that is searched.

Each is fitted to the ID train part; what they reach, a model has to beat to be worth its training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from allocsearch.data.alphabet import PAD, RESIDUES

PlainScore = Callable[[Tensor, Tensor], Tensor]
"""From train tokens `(m, T)` and other tokens `(n, T)` to scores `(n,)`, larger = more OOD."""


def length_score(train: Tensor, values: Tensor) -> Tensor:
    """The negative log share of sequences of the same length in the train part, nats, `(n,)`.

    Every length from 0 to T counts once more, so that none has the share 0.
    """
    counts = torch.bincount((train != PAD).sum(1), minlength=train.shape[1] + 1) + 1.0
    return -(counts / counts.sum()).log()[(values != PAD).sum(1)]


def composition_score(train: Tensor, values: Tensor) -> Tensor:
    """The squared Mahalanobis distance of the amino-acid composition, `(n,)`.

    The composition is the share of each of the 20 amino acids among the known residues; the
    Gaussian has the mean and the Ledoit-Wolf covariance of the train part.
    """
    from sklearn.covariance import LedoitWolf

    gaussian = LedoitWolf().fit(_composition(train).numpy())
    return torch.from_numpy(gaussian.mahalanobis(_composition(values).numpy()))


def _composition(tokens: Tensor) -> Tensor:
    """Shares, float64 `(n, 20)`; all 0 without known residues."""
    counts = [(tokens == token).sum(1) for token in range(1, len(RESIDUES) + 1)]
    table = torch.stack(counts, 1).double()
    return table / table.sum(1, keepdim=True).clamp(min=1)


PLAIN_SCORES: Mapping[str, PlainScore] = {
    "sequence length": length_score,
    "composition": composition_score,
}

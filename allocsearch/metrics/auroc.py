"""Areas under the ROC curve of OOD scores, and the choice of a score by them."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor


def auroc(in_distribution: Tensor, out_of_distribution: Tensor) -> float:
    """The probability that an OOD example scores higher than an ID example, ties half.

    Args:
        in_distribution: Scores of ID examples, `(n,)`.
        out_of_distribution: Scores of OOD examples, `(m,)`.
    """
    scores = torch.cat([in_distribution, out_of_distribution])
    labels = torch.zeros(len(scores))
    labels[len(in_distribution) :] = 1
    return float(roc_auc_score(labels.numpy(), scores.double().numpy()))


def takes_part(score: str) -> bool:
    """Whether a score is among those that `auto` chooses from.

    The complexity scores are not: they compare data sets by a general compressor, hardly by the
    model, and would make all allocations alike.
    """
    return not score.startswith("complexity_")


def best_score(aurocs: Mapping[str, Mapping[str, float]]) -> str:
    """The score with the highest mean AUROC over OOD *validation* sets, the first where they tie.

    Args:
        aurocs: For each set, the AUROC of each score; only those that take part are compared.
    """
    names = filter(takes_part, next(iter(aurocs.values())))
    return max(names, key=lambda name: fmean(table[name] for table in aurocs.values()))

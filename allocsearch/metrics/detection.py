"""How well a score tells OOD from ID examples: areas under curves and false-positive rates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from torch import Tensor


@dataclass(frozen=True)
class Detection:
    """Detection metrics of one score on ID and OOD examples, each in [0, 1].

    Attributes:
        auroc: Area under the ROC curve.
        aupr_ood: Average precision with OOD as the positive class; by chance the share of OOD.
        aupr_id: Average precision with ID as the positive class, and the score negated.
        fpr80: Share of ID examples at or above the highest threshold that detects at least 80 %
            of the OOD examples. OOD is the positive class, as in Havtorn et al. (2021); papers
            that take ID as the positive class report another number by the same name.
        fpr95: The same for 95 %.
    """

    auroc: float
    aupr_ood: float
    aupr_id: float
    fpr80: float
    fpr95: float


def detection(in_distribution: Tensor, out_of_distribution: Tensor) -> Detection:
    """Every detection metric of one score, larger = more OOD, ties as in scikit-learn.

    Args:
        in_distribution: Scores of ID examples, `(n,)`.
        out_of_distribution: Scores of OOD examples, `(m,)`.

    Raises:
        ValueError: If there are no scores of a kind, or one is NaN or infinite.
    """
    if not (len(in_distribution) and len(out_of_distribution)):
        raise ValueError("scores of both ID and OOD examples are needed")
    scores = torch.cat([in_distribution.double(), out_of_distribution.double()]).numpy()
    is_ood = np.arange(len(scores)) >= len(in_distribution)
    # Without the intermediate points the first that detects enough could be left out.
    false_positives, true_positives, _ = roc_curve(is_ood, scores, drop_intermediate=False)
    return Detection(
        auroc=float(roc_auc_score(is_ood, scores)),
        aupr_ood=float(average_precision_score(is_ood, scores)),
        aupr_id=float(average_precision_score(~is_ood, -scores)),
        fpr80=float(false_positives[np.argmax(true_positives >= 0.80)]),
        fpr95=float(false_positives[np.argmax(true_positives >= 0.95)]),
    )

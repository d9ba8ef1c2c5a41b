"""The tables that come with scikit-learn."""

from __future__ import annotations

import torch
from torch import Tensor

TABLES = ("breast_cancer", "wine")


def read_table(name: str) -> tuple[Tensor, Tensor]:
    """A table of continuous features.

    Args:
        name: One of `TABLES`: `breast_cancer` (569 examples of 30 features; class 0 malignant,
            1 benign) or `wine` (178 of 13; classes 0, 1, 2).

    Returns:
        Values in the units of the table, float32 `(n, d)`, and labels `(n,)`.
    """
    # Seconds of imports, for those alone who have such a table.
    from sklearn import datasets

    table = getattr(datasets, f"load_{name}")()
    return torch.from_numpy(table.data).float(), torch.from_numpy(table.target).long()

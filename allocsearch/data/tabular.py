"""The tables that come with scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.utils import Bunch
from torch import Tensor

TABLES: Mapping[str, Callable[[], Bunch]] = {
    "breast_cancer": load_breast_cancer,
    "wine": load_wine,
}


def read_table(name: str) -> tuple[Tensor, Tensor]:
    """A table of continuous features.

    Args:
        name: A key of `TABLES`: `breast_cancer` (569 examples of 30 features; class 0 malignant,
            1 benign) or `wine` (178 of 13; classes 0, 1, 2).

    Returns:
        Values in the units of the table, float32 `(n, d)`, and labels `(n,)`.
    """
    table = TABLES[name]()
    return torch.from_numpy(table.data).float(), torch.from_numpy(table.target).long()

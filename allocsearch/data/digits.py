"""The digits that come with scikit-learn."""

from __future__ import annotations

import torch
from torch import Tensor


def read_digits() -> tuple[Tensor, Tensor]:
    """The 1,797 handwritten digits of the UCI test set.

    Returns:
        Values, uint8 `(1797, 8, 8)`, the file's 0..16 rescaled to 0..255, and labels `(1797,)`.
    """
    # Seconds of imports, which other data can do without.
    from sklearn.datasets import load_digits

    digits = load_digits()
    values = torch.from_numpy(digits.images) * (255 / 16)
    return values.round().to(torch.uint8), torch.from_numpy(digits.target).long()

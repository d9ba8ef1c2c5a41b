"""A data set held in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples in memory as one tensor of bytes.

    Args:
        name: The title under which results of this set are stored.
        values: uint8, `(n, *shape)`; images are `(n, H, W)` (grey) or `(n, 3, H, W)` (colour).
        labels: int64 classes, `(n,)`, or None where the set has none.

    Raises:
        ValueError: If dtypes or lengths are others than these.
    """

    name: str
    values: Tensor
    labels: Tensor | None = None

    def __post_init__(self) -> None:
        if self.values.dtype != torch.uint8 or self.values.ndim < 2:
            found = f"{self.values.dtype} of shape {tuple(self.values.shape)}"
            raise ValueError(f"values are uint8 of shape (n, *shape), not {found}")
        if self.labels is not None and (
            self.labels.dtype != torch.int64 or self.labels.shape != self.values.shape[:1]
        ):
            found = f"{self.labels.dtype} of shape {tuple(self.labels.shape)}"
            raise ValueError(f"labels are int64 of shape ({len(self.values)},), not {found}")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return tuple(self.values.shape[1:])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the shape and the bytes of the values, in hexadecimal."""
        digest = hashlib.sha256(repr(tuple(self.values.shape)).encode())
        digest.update(self.values.contiguous().numpy().data)
        return digest.hexdigest()

    def take(self, indices: Tensor) -> Dataset:
        """The examples at `indices`, int64 `(m,)`, in that order."""
        labels = None if self.labels is None else self.labels[indices]
        return Dataset(self.name, self.values[indices], labels)

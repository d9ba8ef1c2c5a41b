"""A data set held in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples in memory as one tensor, of pixels or tokens (bytes) or of continuous values.

    Args:
        name: The title under which results of this set are stored.
        values: uint8 `(n, *shape)`, where images are `(n, H, W)` (grey) or `(n, 3, H, W)`
            (colour), or continuous, float32 of the same shapes.
        labels: int64 classes, `(n,)`, or None where the set has none.

    Raises:
        ValueError: If dtypes or lengths are others than these.
    """

    name: str
    values: Tensor
    labels: Tensor | None = None

    def __post_init__(self) -> None:
        if self.values.dtype not in (torch.uint8, torch.float32) or self.values.ndim < 2:
            found = f"{self.values.dtype} of shape {tuple(self.values.shape)}"
            raise ValueError(f"values are uint8 or float32 of shape (n, *shape), not {found}")
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

    @property
    def continuous(self) -> bool:
        """Whether the values are continuous."""
        return self.values.is_floating_point()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the shape, the type if it is not uint8, and the bytes, in hexadecimal."""
        kind = " float32" if self.continuous else ""
        digest = hashlib.sha256(f"{tuple(self.values.shape)}{kind}".encode())
        digest.update(self.values.contiguous().numpy().data)
        return digest.hexdigest()

    def take(self, indices: Tensor) -> Dataset:
        """The examples at `indices`, int64 `(m,)`, in that order."""
        labels = None if self.labels is None else self.labels[indices]
        return Dataset(self.name, self.values[indices], labels)

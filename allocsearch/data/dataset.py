"""A data set held in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

# `metrics` takes the name from here, as it may not import `config`.
from allocsearch.config import HELD_OUT as HELD_OUT

Kind = Literal["pixels", "tokens", "continuous"]
"""What values are: bytes of brightness, ids of tokens (0 is the pad), or features."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples in memory as one tensor, of pixels or tokens (bytes) or of continuous values.

    Args:
        name: The title under which results of this set are stored.
        values: uint8 `(n, *shape)`, where images are `(n, H, W)` (grey) or `(n, 3, H, W)`
            (colour) and tokens `(n, T)`, or continuous, float32 of the same shapes.
        labels: int64 classes, `(n,)`, or None where the set has none.
        kind: What the values are; without it pixels for uint8, continuous for float32.
        class_names: The name of each class, by its label; empty where classes are numbers.
        clusters: int64, `(n,)`: near-identical examples are in one; None where nobody has looked.

    Raises:
        ValueError: If dtypes or lengths are others than these.
    """

    name: str
    values: Tensor
    labels: Tensor | None = None
    # Never None once the set is made.
    kind: Kind = None  # type: ignore[assignment]
    class_names: tuple[str, ...] = ()
    clusters: Tensor | None = None

    def __post_init__(self) -> None:
        if self.values.dtype not in (torch.uint8, torch.float32) or self.values.ndim < 2:
            found = f"{self.values.dtype} of shape {tuple(self.values.shape)}"
            raise ValueError(f"values are uint8 or float32 of shape (n, *shape), not {found}")
        for name, each in (("labels", self.labels), ("clusters", self.clusters)):
            if each is None or (each.dtype, each.shape) == (torch.int64, self.values.shape[:1]):
                continue
            found = f"{each.dtype} of shape {tuple(each.shape)}"
            raise ValueError(f"{name} are int64 of shape ({len(self.values)},), not {found}")
        if self.kind is None:
            derived = "continuous" if self.values.is_floating_point() else "pixels"
            object.__setattr__(self, "kind", derived)
        if (self.kind == "continuous") != self.values.is_floating_point():
            raise ValueError(f"values of kind {self.kind!r} are not {self.values.dtype}")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return tuple(self.values.shape[1:])

    @property
    def continuous(self) -> bool:
        """Whether the values are continuous."""
        return self.kind == "continuous"

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the shape, the kind if it is not pixels, and the bytes, in hexadecimal."""
        kind = {"pixels": "", "tokens": " tokens", "continuous": " float32"}[self.kind]
        digest = hashlib.sha256(f"{tuple(self.values.shape)}{kind}".encode())
        digest.update(self.values.contiguous().numpy().data)
        return digest.hexdigest()

    @cached_property
    def labels_fingerprint(self) -> str | None:
        """SHA-256 of the labels, in hexadecimal; None where there are none."""
        if self.labels is None:
            return None
        return hashlib.sha256(self.labels.contiguous().numpy().data).hexdigest()

    def class_name(self, label: int) -> str:
        """How a class is called: by its name, or its number where it has none."""
        return self.class_names[label] if label < len(self.class_names) else str(label)

    def take(self, indices: Tensor) -> Dataset:
        """The examples at `indices`, int64 `(m,)`, in that order."""
        labels, clusters = (
            None if each is None else each[indices] for each in (self.labels, self.clusters)
        )
        return replace(self, values=self.values[indices], labels=labels, clusters=clusters)

"""Random generators that depend on a seed and on what they are for, and on nothing else."""

from __future__ import annotations

import hashlib

import torch


def generator(seed: int, *purpose: str) -> torch.Generator:
    """A CPU generator for one purpose: other purposes draw from it neither more nor less.

    Args:
        seed: The seed of the whole.
        purpose: Words that tell this use of the seed from every other one.
    """
    digest = hashlib.sha256(repr((seed, purpose)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))

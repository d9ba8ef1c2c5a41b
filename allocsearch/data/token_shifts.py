"""The shifts of token sequences: the pretext tasks on proteins.

Each is a `ShiftFunction` of tokens, uint8 `(n, T)`, as `allocsearch.data.alphabet` numbers them.
Pads stand at the end only, before as after, and strength 0 returns the batch bit for bit.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from allocsearch.data.alphabet import PAD, RESIDUES, UNKNOWN

_SEGMENTS = 16


def corruption(values: Tensor, strength: float, generator: Generator) -> Tensor:
    """The share `strength` of the residues of each sequence, chosen at random, replaced.

    By one of the other amino acids, each as likely, so that exactly this share differs; an
    unknown residue by any.
    """
    lengths = _lengths(values)
    chosen = _ranks(values != PAD, generator) < _share(strength, lengths)
    kinds = len(RESIDUES)
    step = torch.randint(1, kinds, values.shape, generator=generator)
    other = (values.long() - 1 + step) % kinds + 1
    any_one = torch.randint(1, kinds + 1, values.shape, generator=generator)
    new = torch.where(values == UNKNOWN, any_one, other).to(torch.uint8)
    return torch.where(chosen, new, values)


def segment_shuffling(values: Tensor, strength: float, generator: Generator) -> Tensor:
    """The share `strength` of the segments of each sequence permuted in one random cycle.

    A sequence has 16 segments, as equal as its own length allows, one for each residue where it
    is shorter; so no pad moves, and the composition stays. A single chosen one stays in place.
    """
    positions = torch.arange(values.shape[1])
    lengths = _lengths(values)
    counts = lengths.clamp(max=_SEGMENTS)
    order = _ranks(torch.arange(_SEGMENTS) < counts, generator).argsort(1)
    many = _share(strength, counts)
    # The content of each chosen segment goes to the place of the next chosen one.
    following = (torch.arange(_SEGMENTS) + 1).expand_as(order)
    following = torch.where(following < many, following, 0)
    target = torch.where(torch.arange(_SEGMENTS) < many, order.gather(1, following), order)
    place = torch.empty_like(order).scatter_(1, order, target)
    segment = (positions * counts // lengths.clamp(min=1)).clamp(max=_SEGMENTS - 1)
    behind = torch.where(values == PAD, _SEGMENTS, place.gather(1, segment))
    return values.gather(1, behind.argsort(dim=1, stable=True))


def segment_deletion(values: Tensor, strength: float, generator: Generator) -> Tensor:
    """A run of the share `strength` of the residues of each sequence removed, the rest closed up.

    The run starts at random and ends within the sequence; at least one residue stays. Pads fill
    up the end.
    """
    positions = torch.arange(values.shape[1])
    lengths = _lengths(values)
    removed = _share(strength, lengths).minimum((lengths - 1).clamp(min=0))
    start = (torch.rand(len(values), 1, generator=generator) * (lengths - removed + 1)).long()
    gone = (positions >= start) & (positions < start + removed)
    kept = torch.where(gone, PAD, values)
    return kept.gather(1, gone.byte().argsort(dim=1, stable=True))


def _lengths(values: Tensor) -> Tensor:
    """Residues of each sequence, int64 `(n, 1)`."""
    return (values != PAD).sum(1, keepdim=True)


def _share(strength: float, counts: Tensor) -> Tensor:
    """The share of each count, int64 `(n, 1)`."""
    return (strength * counts.double()).round().long()


def _ranks(where: Tensor, generator: Generator) -> Tensor:
    """The places in a random order of those that are True, and then of the others, `(n, T)`."""
    keys = torch.rand(where.shape, generator=generator) + (~where).float()
    return keys.argsort(dim=1, stable=True).argsort(dim=1, stable=True)

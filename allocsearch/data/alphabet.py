"""The amino acids, as tokens."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PAD = 0
"""Fills a sequence up to its length; at its end only."""
RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
"""The 20 amino acids by their one-letter codes; their tokens are 1 to 20, in this order."""
UNKNOWN = 21
"""Any residue that is not one of the 20: X, and those of `AMBIGUOUS`."""
AMBIGUOUS = "BJOUXZ"
"""Letters of IUPAC that stand for several amino acids, for rare ones, or for any (X)."""
LEVELS = 22
"""How many tokens there are, the pad among them."""

_ILLEGAL = 255
_TOKENS = np.full(256, _ILLEGAL, dtype=np.uint8)
for _token, _letter in enumerate(RESIDUES, start=1):
    _TOKENS[[ord(_letter), ord(_letter.lower())]] = _token
for _letter in AMBIGUOUS:
    _TOKENS[[ord(_letter), ord(_letter.lower())]] = UNKNOWN
_LEGAL = bytes(np.flatnonzero(_TOKENS != _ILLEGAL).astype(np.uint8))
_LETTERS = np.frombuffer(f"-{RESIDUES}X".encode(), dtype=np.uint8)


def encode(residues: bytes) -> NDArray[np.uint8]:
    """The tokens of a sequence, `(length,)`.

    Args:
        residues: One-letter codes in ASCII, in upper or lower case, without pads.

    Raises:
        ValueError: If one is no letter of `RESIDUES` or `AMBIGUOUS`. `first_illegal` finds it.
    """
    if (at := first_illegal(residues)) is not None:
        raise ValueError(f"position {at + 1}: {chr(residues[at])!r} is no residue")
    return _TOKENS[np.frombuffer(residues, dtype=np.uint8)]


def first_illegal(residues: bytes) -> int | None:
    """The place, from 0, of the first byte that is no residue; None where all are."""
    if not residues.translate(None, _LEGAL):
        return None
    return int((_TOKENS[np.frombuffer(residues, dtype=np.uint8)] == _ILLEGAL).argmax())


def decode(tokens: NDArray[np.uint8]) -> str:
    """The one-letter codes of tokens `(length,)`: X for `UNKNOWN`, without the pads at the end.

    Raises:
        ValueError: If a token is `LEVELS` or more, or a pad stands before a residue.
    """
    if (tokens >= LEVELS).any():
        raise ValueError(f"found token {int(tokens.max())}; allowed: 0 to {LEVELS - 1}")
    length = int((tokens != PAD).sum())
    if (tokens[:length] == PAD).any():
        raise ValueError("found a pad before a residue")
    return _LETTERS[tokens[:length]].tobytes().decode()

"""The sums that bounded multiples of several steps can have."""

from __future__ import annotations

from collections.abc import Sequence


def possible_sums(
    steps: Sequence[int], lowest: Sequence[int], highest: Sequence[int], most: int
) -> int:
    """The set of all sums d_1 + ... + d_L up to `most`, as bits.

    Args:
        steps: What each d_l is a multiple of, `(L,)`.
        lowest: The least value of each d_l, a multiple of its step, `(L,)`.
        highest: The greatest value of each d_l, at least its least one, `(L,)`.
        most: The largest sum asked for.

    Returns:
        An integer whose bit s is set where s is such a sum.
    """
    mask = (1 << (most + 1)) - 1
    sums = 1
    for step, low, high in zip(steps, lowest, highest, strict=True):
        if low > most:
            return 0
        sums <<= low
        more, covered = (min(high, most) - low) // step, 0
        # Each round doubles the number of multiples that are covered.
        while covered < more:
            added = min(covered + 1, more - covered)
            sums |= sums << (added * step)
            covered += added
        sums &= mask
    return sums

"""By how much an allocation is expected to enlarge the hypervolume of a front."""

from __future__ import annotations

import moocore
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def expected_improvement(trained: Floats, others: Floats, reference: Floats) -> Floats:
    """The mean over draws of the hypervolume that each point adds to the front of the draw.

    The front of a draw is that of the drawn means, not of the measured ones, so that a lucky
    measurement does not hide what is better. With one objective it is the expected improvement.

    Args:
        trained: Drawn losses of what is trained, smaller is better, `(draws, n, m)`, n >= 1.
        others: Losses drawn with those for what might be trained next, `(draws, k, m)`.
        reference: Reference point, `(m,)`: what is worse in any objective adds nothing.

    Returns:
        `(k,)`, in the product of the units of the objectives.

    Reference: Daulton, Balandat and Bakshy (2021), "Parallel Bayesian optimization of multiple
    noisy objectives with expected hypervolume improvement".
    """
    volume = moocore.Hypervolume(ref=reference)
    added = np.zeros(others.shape[1])
    for own, each in zip(trained, others, strict=True):
        front = own[(own < reference).all(axis=1)]
        front = front[moocore.is_nondominated(front)] if len(front) else front
        better = (each < reference).all(axis=1)
        better &= ~(front[None] <= each[:, None]).all(axis=2).any(axis=1)
        for i in np.flatnonzero(better):
            # Of the point's box, what the front does not have already.
            shared = volume(np.maximum(front, each[i])) if len(front) else 0.0
            added[i] += np.prod(reference - each[i]) - shared
    gain: Floats = added / len(trained)
    return gain

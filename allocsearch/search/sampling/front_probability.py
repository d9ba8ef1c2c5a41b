"""How probable it is that an allocation is on the front, and how large the front is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import moocore
import numpy as np
from numpy.typing import NDArray

from allocsearch.allocation import Allocation
from allocsearch.search.sampling.replicates import Spread
from allocsearch.search.sampling.surrogate import fit_surrogate

DRAWS = 1000
LEVEL = 0.95
# Beyond so many standard errors of the widest draw nothing is drawn: 2 * Phi(-6) = 2e-9.
_REACH = 6.0
_BLOCK = 1_000_000
# Allocations that a regression can be fitted to, and in a second.
_FEWEST, _MOST = 5, 500


@dataclass(frozen=True)
class Volume:
    """The hypervolume of a front as a share of the box from the reference to the ideal point.

    Attributes:
        value: That of the means.
        low, high: Ends of the 95 % interval; None where the spread is unknown.
    """

    value: float
    low: float | None = None
    high: float | None = None


def front_probability(
    losses: NDArray[np.float64],
    counts: NDArray[np.int64],
    spread: Spread,
    allocations: Sequence[Allocation | None] = (),
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Probability that each allocation is on the front, over what its true means may be.

    The means of all allocations are drawn together, again and again; the share of draws in which
    no other dominates is the probability. Its own standard error is at most `0.5 / sqrt(draws)`.

    Five to 500 allocations are drawn given a regression on them (`surrogate`): neighbours tell
    about each other, and what is measured best is less good than it looks. The errors of the
    objectives have the correlations of the spread. benchmarks/RESULTS.md says how well the
    probabilities are calibrated.

    Other numbers, or unknown allocations, are drawn from a multivariate t with the degrees of
    freedom of the spread, centred at the measured means, with the covariance of one training
    divided by the number of trainings. For one objective and two allocations that is
    `T(d / se)`, with T Student's distribution function, d the distance of the means and se the
    standard error of their difference. It is cautious: members have less than they should.

    Args:
        losses: Means of which smaller is better, `(n, m)`, finite.
        counts: Trainings behind each, `(n,)`.
        spread: How far trainings of one allocation differ, in the units of `losses`.
        allocations: What the losses are of, n or none.
        draws: How often to draw.
        seed: Seed of the draws.

    Returns:
        `(n,)`, in [0, 1]. Allocations with equal means and no spread are all in or all out.

    Reference: the posterior of means under a flat prior, Box and Tiao (1973), section 8.4.
    """
    probability = np.zeros(len(losses))
    if not len(losses):
        return probability
    rng = np.random.default_rng(seed)
    known = [allocation for allocation in allocations if allocation is not None]
    if len(known) == len(losses) and _FEWEST <= len(losses) <= _MOST:
        near = np.arange(len(losses))
        blocks = iter([_regressed(known, losses, counts, spread, draws, rng)])
    else:
        widths = _widths(spread, draws, rng)
        near = np.flatnonzero(_within_reach(losses, counts, spread, float(widths.max())))
        blocks = _blocks(losses[near], counts[near], spread, widths, rng)
    hits = np.zeros(len(near))
    for means in blocks:
        for drawn in means:
            hits += moocore.is_nondominated(drawn, keep_weakly=True)
    probability[near] = hits / draws
    return probability


def _regressed(
    allocations: Sequence[Allocation],
    losses: NDArray[np.float64],
    counts: NDArray[np.int64],
    spread: Spread,
    draws: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Drawn means given a regression, `(draws, n, m)`."""
    variances = np.diag(spread.covariance)
    surrogate = fit_surrogate(allocations, losses, counts, variances, spread.freedom)
    deviations = np.sqrt(np.where(variances > 0, variances, 1.0))
    correlation = spread.covariance / np.outer(deviations, deviations)
    np.fill_diagonal(correlation, 1.0)
    drawn, _ = surrogate.draw(allocations, (), draws, rng, correlation)
    return drawn


def front_volume(
    losses: NDArray[np.float64],
    counts: NDArray[np.int64],
    spread: Spread | None,
    reference: NDArray[np.float64],
    ideal: NDArray[np.float64],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Volume:
    """Hypervolume of the front of the means, with an interval by the draws of `front_probability`.

    The interval is the basic one of the bootstrap: the quantiles of the draws, reflected at the
    value of the means. The front of drawn means is larger than that of the measured ones for the
    reason that makes this one larger than that of the true ones: the best of many noisy values
    is too good. Unreflected quantiles double that error instead of taking it off.

    Args:
        losses: Means of which smaller is better, `(n, m)`, finite, at least one.
        counts: Trainings behind each, `(n,)`.
        spread: How far trainings of one allocation differ; None if unknown.
        reference: Reference point, `(m,)`: what is worse in any objective counts for nothing.
        ideal: The best value of each objective, `(m,)`; an objective with `ideal == reference` is
            left out.
        draws: How often to draw.
        seed: Seed of the draws.

    Returns:
        The share of the box between `reference` and `ideal`: within [0, 1] but for an upper end
        above 1, where draws are better than the ideal point.

    Reference: Zitzler and Thiele (1998); the basic interval, Davison and Hinkley (1997), 5.2.
    """
    scale = reference / 2 - ideal / 2
    used = scale > 0
    if not used.any():
        return Volume(0.0)
    volume = moocore.Hypervolume(ref=np.ones(used.sum()))

    def share(points: NDArray[np.float64]) -> float:
        return float(volume((points[:, used] / 2 - ideal[used] / 2) / scale[used]))

    value = share(losses)
    if spread is None:
        return Volume(value)
    rng = np.random.default_rng(seed)
    widths = _widths(spread, draws, rng)
    near = np.flatnonzero(_within_reach(losses, counts, spread, float(widths.max())))
    drawn = [
        share(means)
        for block in _blocks(losses[near], counts[near], spread, widths, rng)
        for means in block
    ]
    tail = (1 - LEVEL) / 2
    above, below = np.quantile(drawn, [1 - tail, tail])
    return Volume(value, max(0.0, 2 * value - float(above)), max(0.0, 2 * value - float(below)))


def _widths(spread: Spread, draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """By how much each draw's spread exceeds the estimated one, `(draws,)`."""
    freedom = spread.freedom
    # A t of one degree has no mean; a ratio of a million is as wide as makes any difference.
    widths: NDArray[np.float64] = np.sqrt(freedom / rng.chisquare(freedom, draws)).clip(max=1e6)
    return widths


def _within_reach(
    losses: NDArray[np.float64], counts: NDArray[np.int64], spread: Spread, width: float
) -> NDArray[np.bool_]:
    """Which allocations may be on the front of some draw, `(n,)`."""
    errors = np.sqrt(np.diag(spread.covariance) / counts[:, None])
    worst, best = losses + _REACH * width * errors, losses - _REACH * width * errors
    near = np.ones(len(losses), dtype=np.bool_)
    for point in np.unique(worst[moocore.is_nondominated(worst, keep_weakly=True)], axis=0):
        near &= ~((point <= best).all(axis=1) & (point < best).any(axis=1))
    return near


def _blocks(
    losses: NDArray[np.float64],
    counts: NDArray[np.int64],
    spread: Spread,
    widths: NDArray[np.float64],
    rng: np.random.Generator,
) -> Iterator[NDArray[np.float64]]:
    """Drawn means, one for each width, `(some, n, m)` at a time."""
    # Of the correlations, so that units do not matter; Cholesky refuses what has no spread.
    deviations = np.sqrt(np.diag(spread.covariance))
    safe = np.where(deviations > 0, deviations, 1.0)
    values, vectors = np.linalg.eigh(spread.covariance / np.outer(safe, safe))
    root = (vectors * np.sqrt(values.clip(min=0))).T * deviations
    size = max(1, _BLOCK // losses.size)
    for start in range(0, len(widths), size):
        width = widths[start : start + size, None, None]
        noise = rng.standard_normal((len(width), *losses.shape)) @ root
        yield losses + width * noise / np.sqrt(counts)[:, None]

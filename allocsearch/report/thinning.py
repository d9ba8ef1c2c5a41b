"""Which trials a page shows where there are too many to show all."""

from __future__ import annotations

from collections.abc import Sequence

import moocore
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from allocsearch.config import Objective
from allocsearch.search.sampling.losses import losses

# More marks in a figure, or rows in a table, make the page slow and the figure no clearer.
MOST = 1000
_LEAST_OTHERS = MOST // 4


def drawn(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows to draw: all on the front, and as many others, at random, as there is room for.

    Args:
        frame: Trials or allocations with `on_front`.

    Returns:
        The rows in their order; all of them up to 1,000. What is not on the front has a quarter of
        the room at least.
    """
    if len(frame) <= MOST:
        return frame
    on_front = frame["on_front"].to_numpy(dtype=bool)
    kept = on_front | _sampled(~on_front, max(MOST - int(on_front.sum()), _LEAST_OTHERS))
    rows: pd.DataFrame = frame.loc[kept]
    return rows


def sampled(numbers: pd.Series) -> pd.Series:
    """Which rows belong to the trials that are kept, at random, where there are too many.

    Args:
        numbers: Number of the trial of each row.
    """
    known = numbers.unique()
    return numbers.isin(known[_sampled(np.ones(len(known), dtype=bool), MOST)])


def _sampled(among: NDArray[np.bool_], room: int) -> NDArray[np.bool_]:
    places = np.flatnonzero(among)
    if len(places) > room:
        places = np.random.default_rng(0).choice(places, room, replace=False)
    kept = np.zeros(len(among), dtype=bool)
    kept[places] = True
    return kept


def listed(frame: pd.DataFrame, objectives: tuple[Objective, ...]) -> pd.DataFrame:
    """The rows to list: the best by non-domination rank where there are too many.

    Args:
        frame: Trials with `on_front` and the objectives. What has none is behind all that have.
        objectives: The objectives.

    Returns:
        The rows in their order; all of them up to 1,000. All that are on the front are among
        them, then come the lower ranks, then the lower rows.

    Reference: Goldberg (1989), "Genetic algorithms in search, optimization and machine learning".
    """
    if len(frame) <= MOST:
        return frame
    values = frame[[objective.metric for objective in objectives]].to_numpy(dtype="float64")
    cost = losses(values, objectives)
    finite = np.isfinite(cost).all(axis=1)
    ranks = np.full(len(frame), np.inf)
    if finite.any():
        ranks[finite] = moocore.pareto_rank(cost[finite])
    on_front = frame["on_front"].to_numpy(dtype=bool)
    order = np.lexsort((ranks, ~on_front))
    rows: pd.DataFrame = frame.iloc[np.sort(order[: max(MOST, int(on_front.sum()))])]
    return rows


def drawn_text(shown: pd.DataFrame, frame: pd.DataFrame, noun: str) -> str:
    """A sentence on what is not drawn, or nothing where all is.

    Args:
        shown: What `drawn` gave.
        frame: What it was given.
        noun: What a row is, in the plural.
    """
    if len(shown) == len(frame):
        return ""
    some, every = (int((~rows["on_front"]).sum()) for rows in (shown, frame))
    return f" Of {every:,} {noun} that are not on the front {some:,} are drawn, at random."


def listed_text(rows: pd.DataFrame, frame: pd.DataFrame) -> str:
    """A sentence on what is not listed, or nothing where all is.

    Args:
        rows: What `listed` gave.
        frame: What it was given.
    """
    if len(rows) == len(frame):
        return ""
    return (
        f"Of {len(frame):,} trials these are the {len(rows):,} on the front or of the lowest "
        "non-domination rank. "
    )


def latest_text(failures: Sequence[object]) -> str:
    """A sentence on failures that are too many to list, or nothing where they are not."""
    if len(failures) <= MOST:
        return ""
    return f"The latest {MOST:,} of {len(failures):,}; trials.csv has all."

"""What plots of scores are drawn from, as data frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from allocsearch.report.panels.histograms import Histogram
from allocsearch.report.panels.roc import Roc


def roc_frame(curves: Mapping[str, Roc]) -> pd.DataFrame:
    """The points of ROC curves, 200 of each at most.

    Columns: `curve` (its name), `false_positive_rate` and `true_positive_rate`.

    Args:
        curves: By name, one or more.
    """
    thinned = {name: curve.thinned() for name, curve in curves.items()}
    parts = [
        pd.DataFrame(
            {
                "curve": name,
                "false_positive_rate": curve.false_positive_rate,
                "true_positive_rate": curve.true_positive_rate,
            }
        )
        for name, curve in thinned.items()
    ]
    return pd.concat(parts, ignore_index=True)


def histogram_frame(found: Histogram, names: Sequence[str]) -> pd.DataFrame:
    """A row for each bin of each set.

    Columns: `set` (its name; `validation` is that of the ID examples), `low` and `high` (ends of
    the bin) and `share` (of the set's examples in the bin).

    Args:
        found: The histograms.
        names: Of the sets, one or more.
    """
    low, high = found.edges[:-1], found.edges[1:]
    parts = [
        pd.DataFrame({"set": name, "low": low, "high": high, "share": found.shares[name]})
        for name in names
    ]
    return pd.concat(parts, ignore_index=True)

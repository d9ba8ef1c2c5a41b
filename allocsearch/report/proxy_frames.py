"""What the OOD validation sets of a study say of its allocations, as data frames."""

from __future__ import annotations

import math

import pandas as pd

from allocsearch.report.proxy import ProxyCheck


def tau_frame(check: ProxyCheck) -> pd.DataFrame:
    """A row for each pair of sets, in the order of the study file.

    Columns: `set` and `other` (names), `tau` (Kendall's tau-b over the allocations), `low` and
    `high` (its 95 % interval); the numbers are missing where all AUROCs of a set are equal.
    """
    columns = ["set", "other", "tau", "low", "high"]
    rows = [
        (*names, *((math.nan,) * 3 if found is None else (found.tau, found.low, found.high)))
        for names, found in check.agreements.items()
    ]
    return pd.DataFrame(rows, columns=columns)


def auroc_frame(check: ProxyCheck) -> pd.DataFrame:
    """A row for each allocation and set: `set`, `allocation` (text) and `auroc`."""
    names = [str(allocation) for allocation in check.allocations]
    parts = [
        pd.DataFrame({"set": entry.name, "allocation": names, "auroc": entry.aurocs})
        for entry in check.sets
    ]
    return pd.concat(parts, ignore_index=True)

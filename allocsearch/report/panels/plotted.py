"""The columns of a table of trials that a figure is drawn from."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

_ENDS = ("low", "high", "half_width")
_MARKS = ("number", "allocation", "ratio", "on_front", "recommended")
_CERTAINTY = ("trainings", "front_probability")


def plotted(frame: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """The rows with what marks them, their dims, and some metrics with their intervals.

    Args:
        frame: That of `trials_frame` or `allocations_frame`, or some of its rows.
        metrics: Names of metrics.
    """
    dims = [name for name in map(str, frame) if re.fullmatch(r"d_[0-9]+", name)]
    ends = [f"{metric}_{end}" for metric in metrics for end in _ENDS]
    names = dict.fromkeys([*_MARKS[:2], *dims, *_MARKS[2:], *metrics, *ends, *_CERTAINTY])
    rows: pd.DataFrame = frame[[name for name in names if name in frame]]
    return rows.reset_index(drop=True)

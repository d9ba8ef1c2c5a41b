"""What was predicted for a study beside what its trials measured."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean

import pandas as pd

from allocsearch.allocation import Allocation
from allocsearch.report.agreement import Agreement, rank_agreement
from allocsearch.search.prediction import StudyPrediction
from allocsearch.search.records import StudyRecord

PREDICTED = ("retention", "attenuation")


def prediction_curves(prediction: StudyPrediction) -> dict[str, pd.DataFrame]:
    """The ratio family of each number of layers, by the name of its line.

    Columns: `allocation` (text), `ratio` in rising order, `retention` (nats), `attenuation`.
    """
    counts = prediction.layer_counts
    return {
        "predicted" if len(counts) == 1 else f"predicted, {count.layers} layers": pd.DataFrame(
            count.curve
        )
        for count in counts
    }


def trial_agreement(
    record: StudyRecord, prediction: StudyPrediction, metric: str
) -> Agreement | None:
    """Rank correlation of predictions with the mean over the trials of each allocation.

    Args:
        record: The study.
        prediction: What was predicted for it.
        metric: One of `PREDICTED`.

    Returns:
        None where there are too few allocations.
    """
    measured: defaultdict[Allocation, list[float]] = defaultdict(list)
    for trial in record.complete:
        if trial.allocation is not None and metric in trial.metrics:
            measured[trial.allocation].append(trial.metrics[metric])
    predicted = prediction.of(list(measured))
    return rank_agreement(
        [getattr(item, metric) for item in predicted], [fmean(v) for v in measured.values()]
    )

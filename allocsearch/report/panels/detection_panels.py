"""Which figures of OOD scores the page of a study has."""

from __future__ import annotations

from collections.abc import Sequence

from allocsearch.report.panels.chosen_scores import test_scores, validation_scores
from allocsearch.report.panels.detection import histogram_panels, roc_panels
from allocsearch.report.panels.panel import Panel
from allocsearch.search.artifacts.at_hand import FilesAtHand
from allocsearch.search.evaluation.evaluations import latest_evaluation
from allocsearch.search.records import StudyRecord, TrialRecord

Made = tuple[tuple[Panel, ...], tuple[str, ...]]


def detection_panels(
    record: StudyRecord, trials: Sequence[TrialRecord], files: FilesAtHand
) -> Made:
    """ROC curves and histograms on the OOD validation sets, and a sentence for what is missing.

    Args:
        record: The study.
        trials: Those to show.
        files: Theirs.
    """
    detectors, omitted = validation_scores(record, trials, files)
    if not detectors:
        return (), omitted
    caption = (
        "The recommended allocation and the best one in each objective, each by the score of its "
        "trial; one training each. The interval is over the examples."
    )
    made = (
        *roc_panels(detectors, "detection", caption),
        *histogram_panels(detectors, "detection", "ID validation"),
    )
    return made, omitted


def evaluation_panels(record: StudyRecord) -> Made:
    """The same for the last final evaluation on the OOD test sets; nothing where there is none.

    Args:
        record: The study.

    Raises:
        InputError: If a file of the evaluation cannot be read.
    """
    evaluation = latest_evaluation(record.folder)
    if evaluation is None:
        return (), ()
    detectors, omitted = test_scores(record, evaluation)
    if not detectors:
        return (), omitted
    several = len(evaluation.opening.seeds) > 1
    caption = "Each allocation by the score that was chosen for it on validation data"
    caption += "; the mean curve of its trainings." if several else "; one training each."
    made = (
        *roc_panels(detectors, "evaluation", caption),
        *histogram_panels(detectors, "evaluation", "ID test"),
    )
    return made, omitted

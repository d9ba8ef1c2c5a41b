"""The files of the trials that a page shows where it cannot show all."""

from __future__ import annotations

from allocsearch.report.front import StudyFront
from allocsearch.report.representatives import chosen_trainings
from allocsearch.search.artifacts.at_hand import FilesAtHand, files_at_hand
from allocsearch.search.depths import DEPTHS_NAME
from allocsearch.search.history import METRICS_NAME
from allocsearch.search.records import StudyRecord
from allocsearch.search.score_files import SCORES_NAME


def chosen_files(record: StudyRecord, front: StudyFront) -> FilesAtHand:
    """What is shown of the representatives, from the run folder or the artifact store.

    Of the other trainings of their allocations the metrics, which have the training curve.

    Args:
        record: The study.
        front: Its front.
    """
    if record.config.trainer.foreign:
        # It may have files of these names that are something else.
        return FilesAtHand()
    wanted = [
        (trial.number, name)
        for trial, again in chosen_trainings(record, front)
        for name in ((METRICS_NAME,) if again else (SCORES_NAME, DEPTHS_NAME, METRICS_NAME))
    ]
    return files_at_hand(record, wanted)

"""Why a page lacks what it would have shown of the files of trials."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from allocsearch.report.labels import trials_text
from allocsearch.search.artifacts.at_hand import FilesAtHand
from allocsearch.search.records import StudyRecord, TrialRecord


def missing_text(
    what: str,
    record: StudyRecord,
    trials: Sequence[TrialRecord],
    files: FilesAtHand,
    keeping: Collection[str],
) -> str:
    """Why something is not shown whose files are not at hand, in a sentence.

    Args:
        what: What is not shown.
        record: The study.
        trials: Whose files are missing.
        files: What was found.
        keeping: The values of `evaluation.keep` with which trials have such files.
    """
    if files.problem is not None:
        reason = files.problem
    elif (keep := record.config.evaluation.keep) not in keeping:
        reason = f"evaluation.keep is {keep!r}"
    else:
        reason = "the files are not in this run folder"
        if record.config.study.artifacts is not None:
            reason += " nor in the artifact store"
    return f"{what} of {numbers_text(trials)}: {reason}."


def numbers_text(trials: Sequence[TrialRecord]) -> str:
    """The numbers of trials, as `trials_text` tells them."""
    return trials_text(tuple(sorted(trial.number for trial in trials)))

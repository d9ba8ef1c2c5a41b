"""Which OOD score stands behind a trial's AUROC, and why."""

from __future__ import annotations

from statistics import fmean

from allocsearch.report.labels import names_text
from allocsearch.search.records import StudyRecord, TrialRecord


def score_choice(record: StudyRecord, trial: TrialRecord) -> str | None:
    """The score of a complete trial in a sentence, or None where it has none.

    Args:
        record: Its study, which says whether the score was named or chosen.
        trial: The trial.
    """
    if trial.score is None:
        return None
    sets = [entry.title for entry in record.config.ood_validation]
    if record.config.evaluation.score != "auto":
        return f"AUROC is that of the score {trial.score}, which the study names."
    means = _means(trial, sets)
    if trial.score not in means:
        return f"AUROC is that of the score {trial.score}, chosen on {names_text(sets)}."
    others = {name: mean for name, mean in means.items() if name != trial.score}
    text = (
        f"AUROC is that of the score {trial.score}, the best of {len(means)} for this trial on "
        f"{names_text(sets)} ({means[trial.score]:.3f} in the mean"
    )
    if not others:
        return f"{text})."
    next_best = max(others, key=others.__getitem__)
    return f"{text}; next {next_best}, {others[next_best]:.3f})."


def _means(trial: TrialRecord, sets: list[str]) -> dict[str, float]:
    """The mean AUROC over the sets of every score that was measured on all of them."""
    tables = [
        {
            name.removeprefix(prefix): value
            for name, value in trial.metrics.items()
            # These are not in the choice.
            if name.startswith(prefix) and ".complexity_" not in name
        }
        for prefix in (f"auroc.{title}." for title in sets)
    ]
    if not tables:
        return {}
    shared = set.intersection(*map(set, tables))
    return {name: fmean(table[name] for table in tables) for name in sorted(shared)}

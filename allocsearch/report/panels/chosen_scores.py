"""The scores behind the page's ROC curves: of chosen trials, and of a final evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from allocsearch.config import HELD_OUT, InputError
from allocsearch.report.labels import format_metric
from allocsearch.report.panels.detection import Detector
from allocsearch.report.panels.missing_files import missing_text
from allocsearch.search.artifacts.at_hand import FilesAtHand
from allocsearch.search.evaluation.evaluations import Evaluated, Evaluation, evaluation_folder
from allocsearch.search.evaluation.final_scores import load_scores, scores_path
from allocsearch.search.records import StudyRecord, TrialRecord
from allocsearch.search.score_files import SCORES_NAME, read_scores

# Scores are kept in single precision; ties that this makes move an AUROC by less.
_TOLERANCE = 1e-3

Found = tuple[tuple[Detector, ...], tuple[str, ...]]


def validation_scores(
    record: StudyRecord, trials: Sequence[TrialRecord], files: FilesAtHand
) -> Found:
    """The scores of trials on the ID validation part and the OOD validation sets.

    Args:
        record: The study.
        trials: The chosen ones.
        files: Theirs.

    Returns:
        Those that were found, and a sentence for each part that was not.
    """
    if not record.config.ood_validation or not trials:
        return (), ()
    if record.config.trainer.foreign:
        return (), ("ROC curves and histograms: a trainer of your own keeps no scores.",)
    detectors: list[Detector] = []
    problems: list[str] = []
    missing = [trial for trial in trials if (trial.number, SCORES_NAME) not in files.paths]
    for trial in trials:
        if trial in missing:
            continue
        try:
            detectors.append(_of_trial(record, trial, files))
        except InputError as error:
            problems.append(f"ROC curves and histograms of trial {trial.number}: {error}.")
    if missing:
        keeping = ("scores", "all")
        problems.append(missing_text("ROC curves and histograms", record, missing, files, keeping))
    return tuple(detectors), tuple(problems)


def _of_trial(record: StudyRecord, trial: TrialRecord, files: FilesAtHand) -> Detector:
    path = files.paths[trial.number, SCORES_NAME]
    sets = tuple(entry.title for entry in record.config.ood_validation)
    if trial.score is None:
        raise InputError("the storage does not say which score its AUROC is of")
    found = read_scores(path, trial.score, (HELD_OUT, *sets))
    metrics = trial.metrics
    aurocs = {name: metrics.get(f"auroc.{name}.{trial.score}") for name in sets}
    detector = Detector(
        name=f"{trial.allocation} (trial {trial.number})",
        score=trial.score,
        of_id=found[HELD_OUT][None],
        of_ood={name: found[name][None] for name in sets},
        aurocs={
            name: _with_interval(
                aurocs[name], metrics.get(f"auroc_low.{name}"), metrics.get(f"auroc_high.{name}")
            )
            for name in sets
        },
        others={
            f"FPR at {share} % TPR": {
                name: format_metric(f"fpr{share}", metrics.get(f"fpr{share}.{name}"))
                for name in sets
            }
            for share in (80, 95)
        },
    )
    _check(detector, aurocs, f"{path}")
    return detector


def test_scores(record: StudyRecord, evaluation: Evaluation) -> Found:
    """The scores of a final evaluation on the ID test part and the OOD test sets.

    Args:
        record: The study.
        evaluation: An evaluation of it that has ended.

    Returns:
        Those that were found, and a sentence for each allocation whose were not.
    """
    detectors: list[Detector] = []
    problems: list[str] = []
    for each in evaluation.evaluated:
        if each.score is None or not each.sets:
            # The table says that its trainings failed.
            continue
        try:
            detectors.append(_of_evaluated(record, evaluation, each, each.score))
        except InputError as error:
            problems.append(f"ROC curves and histograms of test data, {each.allocation}: {error}.")
    return tuple(detectors), tuple(problems)


def _of_evaluated(
    record: StudyRecord, evaluation: Evaluation, each: Evaluated, score: str
) -> Detector:
    place = evaluation_folder(record.folder, evaluation.opening)
    paths = [scores_path(place, each.allocation, seed) for seed in each.seeds]
    of_id, of_ood = load_scores(paths, score, [found.name for found in each.sets])
    detector = Detector(
        name=each.allocation,
        score=score,
        of_id=of_id,
        of_ood=of_ood,
        aurocs={f.name: _with_interval(f.auroc, f.low, f.high) for f in each.sets},
        others={
            "FPR at 80 % TPR": {f.name: f"{f.fpr80:.3f}" for f in each.sets},
            "FPR at 95 % TPR": {f.name: f"{f.fpr95:.3f}" for f in each.sets},
        },
    )
    _check(detector, {found.name: found.auroc for found in each.sets}, f"{place}")
    return detector


def _with_interval(auroc: float | None, low: float | None, high: float | None) -> str:
    text = format_metric("auroc", auroc)
    ends = (format_metric("auroc", end) for end in (low, high))
    return text if low is None or high is None else f"{text} ({'-'.join(ends)})"


def _check(detector: Detector, aurocs: Mapping[str, float | None], where: str) -> None:
    """Refuse scores that are not those which the recorded AUROCs were computed from."""
    for name, recorded in aurocs.items():
        area = detector.area(name)
        if recorded is None or abs(area - recorded) > _TOLERANCE:
            raise InputError(
                f"{where}: the scores give an AUROC of {area:.3f} on {name}, and "
                f"{format_metric('auroc', recorded)} is recorded"
            )

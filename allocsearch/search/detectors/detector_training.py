"""From a trained and measured model to a detector."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import fmean

from torch import Tensor

from allocsearch.allocation import Allocation
from allocsearch.config import DataSection, EvaluationSection, ModelSection, TrainingSection
from allocsearch.data.splits import SearchData, load_search_data
from allocsearch.metrics.auroc import takes_part
from allocsearch.metrics.detection import detection
from allocsearch.metrics.intervals import auroc_interval
from allocsearch.metrics.single_score import SingleScorer
from allocsearch.metrics.threshold import threshold
from allocsearch.search.detectors.detector import Detector
from allocsearch.search.detectors.detector_card import (
    RATES,
    Choice,
    DetectorCard,
    SetResult,
    Standardisation,
    Threshold,
)
from allocsearch.search.detectors.detector_files import DetectorFiles, write_detector
from allocsearch.search.objective import Outcome, measurement_settings, save_outcome
from allocsearch.search.retrain import retrain
from allocsearch.training.epoch import Epoch
from allocsearch.training.pretraining import PretrainingEpoch


def train_detector(
    folder: Path,
    allocation: Allocation,
    seed: int,
    data: DataSection,
    model: ModelSection,
    training: TrainingSection,
    evaluation: EvaluationSection,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_pretrain: Callable[[PretrainingEpoch], None] = lambda epoch: None,
) -> tuple[Outcome, DetectorCard | None]:
    """Train an allocation as `retrain` does, and write outcome and detector to a folder.

    Args:
        folder: Made where it is missing.
        allocation: What to train.
        seed: Seed of the training, the measurement and the noise of the detector.
        data: The data; its test sets are not opened.
        model: Everything about the model but its allocation.
        training: The training.
        evaluation: The measurement.
        on_epoch: Called after every epoch.
        on_pretrain: Called after every epoch of a pretraining.

    Returns:
        The outcome and the card; no card where `evaluation.score` is `auto`, and there is no OOD
        validation set to choose a score on.

    Raises:
        InputError: If data is missing, broken or not for the likelihood.
        DivergedError: If the loss became NaN or infinite.
        NotFiniteError: If a metric is NaN or infinite.
    """
    loaded = load_search_data(data)
    told = (on_epoch, on_pretrain)
    outcome = retrain(allocation, seed, loaded, model, training, evaluation, *told)
    save_outcome(outcome, folder, "all")
    choice = choose_score(outcome, evaluation.score, loaded)
    if choice is None:
        return outcome, None
    detector = fit_detector(outcome, loaded, evaluation, *choice)
    write_detector(detector.files, folder)
    return outcome, detector.card


def choose_score(outcome: Outcome, named: str, data: SearchData) -> tuple[str, Choice] | None:
    """The score of a detector, from OOD validation data where the study names none.

    Args:
        outcome: A finished trial.
        named: As `evaluation.score`.
        data: What it was measured on.

    Returns:
        The score and how it was chosen, or None where there is nothing to choose it by.
    """
    found = outcome.measurement
    means = {
        score: fmean(found.metrics[f"auroc.{each.name}.{score}"] for each in data.ood_validation)
        for score in (found.scores["validation"] if data.ood_validation else ())
    }
    if named != "auto":
        return named, Choice(by="study", mean_auroc=means.get(named))
    if found.score is None:
        return None
    others = [score for score in means if score != found.score and takes_part(score)]
    second = max(others, key=means.__getitem__)
    return found.score, Choice(
        by="validation",
        mean_auroc=means[found.score],
        runner_up=second,
        runner_up_auroc=means[second],
    )


def fit_detector(
    outcome: Outcome, data: SearchData, evaluation: EvaluationSection, score: str, choice: Choice
) -> Detector:
    """A detector of a trained model: reference from training, thresholds from validation data.

    Args:
        outcome: The training.
        data: The data that it was trained and measured on.
        evaluation: How scores are computed.
        score: The OOD score.
        choice: How it was chosen.

    Raises:
        NotFiniteError: If the model gives NaN or infinity for a training example.
    """
    passes = measurement_settings(evaluation, outcome.seed).passes
    scorer = SingleScorer.fit(outcome.model, data.train.values, passes, score)
    scores = scorer.score(data.validation.values).sort().values
    card = DetectorCard(
        allocation=str(outcome.allocation),
        shape=data.train.shape,
        dtype="float32" if data.train.continuous else "uint8",
        kind=data.train.kind,
        model=outcome.model.section,
        data=data.train.name,
        data_fingerprint=data.fingerprint,
        score=score,
        choice=choice,
        thresholds=_thresholds(scores),
        samples=passes.samples,
        batch_size=passes.batch_size,
        seed=passes.seed,
        regret_steps=passes.regret_steps,
        standardisation=_standardisation(data),
        validation_size=len(scores),
        results=tuple(
            _result(each.name, scores, scorer.score(each.values)) for each in data.ood_validation
        ),
        metrics=dict(outcome.measurement.metrics),
        versions={k: v for k, v in outcome.provenance.items() if k not in ("data", "labels")},
    )
    return Detector(DetectorFiles(card, outcome.model, scorer.reference, scores))


def _thresholds(scores: Tensor) -> tuple[Threshold, ...]:
    """Those at the usual rates, without the rates that so few scores cannot promise."""
    found = []
    for fpr in RATES:
        if fpr * (len(scores) + 1) >= 1:
            at = threshold(scores, fpr)
            share = float((scores > at).double().mean())
            found.append(Threshold(fpr=fpr, threshold=at, validation_fpr=share))
    return tuple(found)


def _standardisation(data: SearchData) -> Standardisation | None:
    if data.scale is None:
        return None
    mean, scale = data.scale.mean.tolist(), data.scale.scale.tolist()
    return Standardisation(mean=tuple(mean), scale=tuple(scale))


def _result(name: str, in_distribution: Tensor, scores: Tensor) -> SetResult:
    low, high = auroc_interval(in_distribution, scores)
    found = vars(detection(in_distribution, scores))
    return SetResult(
        set=name, n=len(scores), auroc_low=float(low), auroc_high=float(high), **found
    )

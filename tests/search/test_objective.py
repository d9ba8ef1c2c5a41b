from __future__ import annotations

import importlib.metadata
import json
import math
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from allocsearch.allocation import Allocation
from allocsearch.config import EvaluationSection, ModelSection, TrainingSection
from allocsearch.data.dataset import Dataset
from allocsearch.data.splits import SearchData
from allocsearch.metrics.evaluation import Measurement, measure
from allocsearch.metrics.finite import NotFiniteError
from allocsearch.models.hvae import HVAE
from allocsearch.search.history import read_history
from allocsearch.search.objective import (
    Candidate,
    Outcome,
    rung_epochs,
    save_outcome,
    train_and_measure,
)
from allocsearch.search.trainer import PrunedError
from allocsearch.training.divergence import DivergedError
from allocsearch.training.epoch import Epoch

ALLOCATION = Allocation((4, 2))
MODEL = ModelSection(hidden=12, depth=1)
TRAINING = TrainingSection(epochs=2, batch_size=16)
EVALUATION = EvaluationSection(samples=3, score_samples=2, batch_size=20)


def pictures(n: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 4, 4), generator=generator, dtype=torch.uint8)


@pytest.fixture(scope="module")
def data() -> SearchData:
    return SearchData(
        Dataset("id", pictures(48, 0)),
        Dataset("id", pictures(40, 1)),
        (Dataset("dark", pictures(30, 2) // 4),),
    )


def outcome_of(data: SearchData, seed: int = 5, **kwargs) -> Outcome:
    candidates = [Candidate(ALLOCATION, seed)]
    [(index, found)] = train_and_measure(candidates, data, MODEL, TRAINING, EVALUATION, **kwargs)
    assert index == 0
    return found


@pytest.fixture(scope="module")
def outcome(data: SearchData) -> Outcome:
    return outcome_of(data)


def test_equal_arguments_give_equal_bits(data: SearchData, outcome: Outcome) -> None:
    again = outcome_of(data)
    assert again.history == outcome.history
    assert again.measurement.metrics == outcome.measurement.metrics
    assert again.measurement.score == outcome.measurement.score
    for name, weights in outcome.model.state_dict().items():
        assert torch.equal(weights, again.model.state_dict()[name])
    for name, scores in outcome.measurement.scores.items():
        for score, values in scores.items():
            assert torch.equal(values, again.measurement.scores[name][score])


def test_another_seed_gives_another_result(data: SearchData, outcome: Outcome) -> None:
    other = outcome_of(data, seed=6)
    assert other.measurement.metrics["elbo"] != outcome.measurement.metrics["elbo"]


def test_the_outcome_says_where_it_came_from(data: SearchData, outcome: Outcome) -> None:
    assert (outcome.allocation, outcome.seed) == (ALLOCATION, 5)
    assert not outcome.model.training
    assert outcome.provenance["data"] == data.fingerprint
    assert outcome.provenance["torch"] == torch.__version__.partition("+")[0]
    assert {"python", "allocsearch", "numpy", "optuna"} <= set(outcome.provenance)
    assert {"platform", "processor"} <= set(outcome.provenance)
    assert outcome.provenance["device"] == "cpu" or torch.cuda.is_available()
    assert outcome.provenance["threads"] == "1"


def test_a_pretraining_tells_the_version_of_its_loss(
    data: SearchData, outcome: Outcome, tmp_path: Path
) -> None:
    library = "pytorch-metric-learning"
    training = TRAINING.model_validate({"epochs": 1, "pretrain": {"epochs": 1}})
    trained = train_and_measure([Candidate(ALLOCATION, 5)], data, MODEL, training, EVALUATION)
    [(_, found)] = trained
    assert isinstance(found, Outcome)
    save_outcome(found, tmp_path, "nothing")
    kept = json.loads((tmp_path / "metrics.json").read_text())["provenance"]
    assert kept == {**outcome.provenance, library: importlib.metadata.version(library)}
    assert library not in outcome.provenance


def test_epochs_and_steps_are_announced(data: SearchData) -> None:
    epochs: list[tuple[int, Epoch]] = []
    steps: list[None] = []
    outcome = outcome_of(
        data,
        on_epoch=lambda index, epoch: epochs.append((index, epoch)),
        on_step=lambda: steps.append(None),
    )
    assert epochs == [(0, epoch) for epoch in outcome.history]
    # 3 batches in each of 2 epochs, then the passes of the measurement.
    assert len(steps) > 6


@pytest.mark.parametrize("last", [3, 7, 8])
def test_what_on_step_raises_ends_the_trial_in_training_and_measurement(
    data: SearchData, last: int
) -> None:
    calls = 0

    def stop() -> None:
        nonlocal calls
        calls += 1
        if calls == last:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        outcome_of(data, on_step=stop)
    assert calls == last


def test_a_divergence_is_passed_on(data: SearchData) -> None:
    training = TRAINING.model_copy(update={"learning_rate": 1e30, "epochs": 10})
    candidates = [Candidate(ALLOCATION, 0)]
    [(_, found)] = train_and_measure(candidates, data, MODEL, training, EVALUATION)
    assert isinstance(found, DivergedError)


def test_candidates_of_all_depths_have_their_outcomes(data: SearchData) -> None:
    training = TRAINING.model_copy(update={"batch_seed": 3})
    texts = ["4-2", "2-2-2", "1-5", "6", "3-1-2"]
    candidates = [Candidate(Allocation.parse(text), 7 + i) for i, text in enumerate(texts)]
    found = dict(train_and_measure(candidates, data, MODEL, training, EVALUATION))
    assert sorted(found) == list(range(5))
    for index, candidate in enumerate(candidates):
        outcome = found[index]
        assert isinstance(outcome, Outcome)
        assert (outcome.allocation, outcome.seed) == (candidate.allocation, candidate.seed)
        [(_, alone)] = train_and_measure([candidate], data, MODEL, training, EVALUATION)
        assert isinstance(alone, Outcome)
        for name, value in alone.measurement.metrics.items():
            assert outcome.measurement.metrics[name] == pytest.approx(value, rel=0.02, abs=0.02)


def test_a_measurement_that_fails_leaves_the_others(
    data: SearchData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(model: HVAE, *arguments: object) -> Measurement:
        if str(model.allocation) == "2-4":
            torch.linalg.cholesky(-torch.eye(2))
        return measure(model, *arguments)

    monkeypatch.setattr("allocsearch.search.objective.measure", failing)
    training = TRAINING.model_copy(update={"batch_seed": 3})
    candidates = [Candidate(Allocation.parse(text), 7) for text in ("4-2", "2-4", "5-1")]
    found = dict(train_and_measure(candidates, data, MODEL, training, EVALUATION))
    assert isinstance(found[1], torch.linalg.LinAlgError)
    assert "not positive-definite" in str(found[1])
    assert isinstance(found[0], Outcome)
    assert isinstance(found[2], Outcome)


@pytest.mark.parametrize(
    ("rungs", "epochs", "expected"),
    [
        ((0.25, 0.5), 20, {5: 0.25, 10: 0.5}),
        ((0.125, 0.5), 20, {3: 0.125, 10: 0.5}),
        ((0.07,), 100, {7: 0.07}),
        ((0.1, 0.2, 0.9), 4, {1: 0.2}),
        ((0.01,), 1, {}),
        ((), 20, {}),
    ],
)
def test_rungs_are_at_the_ends_of_epochs(
    rungs: tuple[float, ...], epochs: int, expected: dict[int, float]
) -> None:
    assert rung_epochs(rungs, epochs) == expected


def test_a_rung_measures_what_a_training_of_that_length_would_give(data: SearchData) -> None:
    """Without schedules a training of 6 epochs is, after 3 of them, one of 3 epochs."""
    still = {"free_nats_hold": 1.0, "free_nats_end": 1.0, "kl_warmup": 0.0}
    training = TRAINING.model_copy(update={"epochs": 6, **still})
    candidates = [Candidate(ALLOCATION, 5)]
    seen: list[tuple[int, float, dict[str, float]]] = []
    [(_, found)] = train_and_measure(
        candidates,
        data,
        MODEL,
        training,
        EVALUATION,
        rungs=(0.5,),
        at_rung=lambda *a: seen.append(a),
    )
    half = training.model_copy(update={"epochs": 3})
    [(_, short)] = train_and_measure(candidates, data, MODEL, half, EVALUATION)
    [(_, whole)] = train_and_measure(candidates, data, MODEL, training, EVALUATION)
    assert isinstance(found, Outcome)
    assert isinstance(short, Outcome)
    assert isinstance(whole, Outcome)
    assert seen == [(0, 0.5, short.measurement.metrics)]
    # The training does not notice.
    assert found.measurement.metrics == whole.measurement.metrics
    assert not found.model.training
    for name, weights in whole.model.state_dict().items():
        assert torch.equal(found.model.state_dict()[name], weights)


def test_a_rung_stops_the_training(data: SearchData) -> None:
    training = TRAINING.model_copy(update={"epochs": 4})
    epochs: list[int] = []

    def at_rung(index: int, rung: float, metrics: object) -> None:
        if rung == 0.5:
            raise PrunedError("too bad")

    [(_, found)] = train_and_measure(
        [Candidate(ALLOCATION, 5)],
        data,
        MODEL,
        training,
        EVALUATION,
        lambda index, epoch: epochs.append(epoch.epoch),
        rungs=(0.25, 0.5, 0.75),
        at_rung=at_rung,
    )
    assert isinstance(found, PrunedError)
    assert epochs == [1, 2]


def test_a_measurement_that_fails_at_a_rung_is_the_candidates_failure(
    data: SearchData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*arguments: object) -> Measurement:
        raise NotFiniteError("elbo is nan")

    monkeypatch.setattr("allocsearch.search.objective.measure", failing)
    found = outcome_of(data, rungs=(0.5,))
    assert isinstance(found, NotFiniteError)


def test_rungs_are_for_candidates_that_are_trained_alone(data: SearchData) -> None:
    training = TRAINING.model_copy(update={"batch_seed": 3})
    candidates = [Candidate(ALLOCATION, seed) for seed in (1, 2)]
    with pytest.raises(ValueError, match="trained with others"):
        next(train_and_measure(candidates, data, MODEL, training, EVALUATION, rungs=(0.5,)))


@pytest.mark.parametrize(
    ("keep", "files"),
    [
        ("none", set()),
        ("scores", {"scores.npz"}),
        ("models", {"model.safetensors"}),
        ("all", {"scores.npz", "model.safetensors"}),
    ],
)
def test_what_is_kept(outcome: Outcome, tmp_path: Path, keep: str, files: set[str]) -> None:
    save_outcome(outcome, tmp_path / "trials" / "3", keep)
    found = {path.name for path in (tmp_path / "trials" / "3").iterdir()}
    assert found == files | {"metrics.json"}


def test_metrics_are_read_back_exactly(outcome: Outcome, tmp_path: Path) -> None:
    save_outcome(outcome, tmp_path, "none")
    content = json.loads((tmp_path / "metrics.json").read_text())
    assert content["metrics"] == outcome.measurement.metrics
    assert content["allocation"] == "4-2"
    assert content["seed"] == 5
    assert content["score"] == outcome.measurement.score
    assert content["provenance"] == outcome.provenance
    last = outcome.history[-1]
    assert content["history"][-1] == {**vars(last), "rates": [*last.rates]}
    assert read_history(tmp_path / "metrics.json") == outcome.history


def test_scores_and_weights_are_read_back_without_pickle(outcome: Outcome, tmp_path: Path) -> None:
    save_outcome(outcome, tmp_path, "all")
    with np.load(tmp_path / "scores.npz", allow_pickle=False) as archive:
        expected = {
            f"{name}.{score}": values.numpy()
            for name, scores in outcome.measurement.scores.items()
            for score, values in scores.items()
        }
        assert set(archive) == set(expected)
        for key, values in expected.items():
            np.testing.assert_array_equal(archive[key], values)
    weights = safetensors.torch.load_file(tmp_path / "model.safetensors")
    assert set(weights) == set(outcome.model.state_dict())
    for name, values in outcome.model.state_dict().items():
        assert torch.equal(weights[name], values)


def test_a_folder_has_metrics_only_once_all_else_is_there(
    outcome: Outcome, tmp_path: Path, written: list[str]
) -> None:
    save_outcome(outcome, tmp_path, "all")
    assert written[-1] == "metrics.json"
    assert len(written) == 3


def test_metrics_are_finite(outcome: Outcome) -> None:
    assert all(math.isfinite(value) for value in outcome.measurement.metrics.values())

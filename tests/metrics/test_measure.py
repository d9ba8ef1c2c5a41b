from __future__ import annotations

import dataclasses
import math
from statistics import fmean

import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from allocsearch.allocation import Allocation
from allocsearch.config import (
    ModelSection,
    StudyConfig,
    TrainingSection,
    metric_names,
    score_names,
)
from allocsearch.data.dataset import Dataset
from allocsearch.data.digits import read_digits
from allocsearch.data.splits import SearchData
from allocsearch.metrics.detection import detection
from allocsearch.metrics.evaluation import Measurement, Settings, measure
from allocsearch.metrics.finite import NotFiniteError
from allocsearch.metrics.intervals import auroc_interval
from allocsearch.models.build import INFERENCE_KINDS, build_model
from allocsearch.models.hvae import HVAE
from allocsearch.training.loop import train

SETTINGS = Settings(score="auto", samples=4, score_samples=2, batch_size=64, seed=3)


@pytest.fixture(scope="module")
def digits() -> Tensor:
    values, _ = read_digits()
    return values[torch.randperm(len(values), generator=torch.Generator().manual_seed(0))]


@pytest.fixture(scope="module")
def data(digits: Tensor) -> SearchData:
    return SearchData(
        Dataset("digits", digits[:300]),
        Dataset("digits", digits[300:450]),
        (
            Dataset("inverted", 255 - digits[450:550]),
            Dataset("turned", digits[550:650].transpose(1, 2).contiguous()),
        ),
    )


def model_of(text: str, *, skip: bool = True, inference: str = "bottom_up") -> HVAE:
    section = ModelSection.model_validate(
        {"hidden": 24, "depth": 1, "skip": skip, "inference": inference}
    )
    return build_model(Allocation.parse(text), (64,), section, 0).eval()


@pytest.fixture(scope="module")
def model(data: SearchData) -> HVAE:
    model = model_of("6-3-2")
    train(model, data.train.values, TrainingSection(epochs=4, batch_size=50), 0)
    return model


@pytest.fixture(scope="module")
def measurement(model: HVAE, data: SearchData) -> Measurement:
    return measure(model, data, SETTINGS)


def with_ood(data: SearchData, *sets: Dataset) -> SearchData:
    return SearchData(data.train, data.validation, sets)


def config_of(text: str, ood: list[str]) -> StudyConfig:
    allocation = Allocation.parse(text)
    return StudyConfig.model_validate(
        {
            "study": {"objectives": ["max:retention"]},
            "search_space": {"budget": allocation.budget, "layers": allocation.layers},
            "data": {
                "id": "digits",
                "ood_validation": [{"shift": "inversion", "name": name} for name in ood],
            },
        }
    )


def test_every_metric_that_a_study_can_name_is_measured(measurement: Measurement) -> None:
    names = metric_names(config_of("6-3-2", ["inverted", "turned"]))
    assert set(names) <= set(measurement.metrics)
    assert all(math.isfinite(value) for value in measurement.metrics.values())


@pytest.mark.parametrize("text", ["5", "4-3", "2-2-2-2"])
@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("inference", INFERENCE_KINDS)
def test_every_depth_is_measured(data: SearchData, text: str, skip: bool, inference: str) -> None:
    small = with_ood(data, data.ood_validation[0])
    found = measure(model_of(text, skip=skip, inference=inference), small, SETTINGS)
    assert set(metric_names(config_of(text, ["inverted"]))) <= set(found.metrics)
    assert found.broken_invariants == ()
    if text == "5":
        assert found.metrics["attenuation"] == 0


@pytest.mark.parametrize("samples", [2, 3])
def test_the_fewest_draws_that_a_study_may_ask_for_are_enough(
    data: SearchData, samples: int
) -> None:
    settings = dataclasses.replace(SETTINGS, samples=samples, score_samples=1)
    found = measure(model_of("4-3-2"), data, settings)
    assert found.metrics["information_3"] >= 0


def test_scores_of_every_set_are_kept(measurement: Measurement) -> None:
    sizes = {"validation": 150, "inverted": 100, "turned": 100}
    assert set(measurement.scores) == set(sizes)
    for name, scores in measurement.scores.items():
        assert tuple(scores) == score_names(3)
        assert all(values.shape == (sizes[name],) for values in scores.values())


def test_bounds_agree_with_each_other_and_with_the_scores(measurement: Measurement) -> None:
    metrics = measurement.metrics
    scores = measurement.scores["validation"]
    assert metrics["elbo"] == pytest.approx(-(metrics["distortion"] + metrics["rate"]), rel=1e-5)
    assert metrics["rate"] == pytest.approx(sum(metrics[f"rate_{k}"] for k in (1, 2, 3)))
    assert metrics["elbo"] == pytest.approx(-float(scores["negative_elbo"].mean()), rel=1e-5)
    for layer in (1, 2, 3):
        # The score is the closed form, of which the rate's drawn terms are a noisy estimate.
        assert metrics[f"rate_{layer}"] == pytest.approx(
            float(scores[f"kl_{layer}"].mean()), abs=1
        )
    for k in (1, 2):
        rates = sum(metrics[f"rate_{layer}"] for layer in range(k + 1, 4))
        bound = -(metrics[f"distortion_skip_{k}"] + rates)
        assert bound == pytest.approx(-float(scores[f"negative_bound_{k}"].mean()), rel=1e-5)


def test_retention_and_attenuation_follow_from_the_information(measurement: Measurement) -> None:
    metrics = measurement.metrics
    information = [metrics[f"information_{layer}"] for layer in (1, 2, 3)]
    assert metrics["retention"] == information[0]
    assert metrics["attenuation"] == pytest.approx(1 - information[2] / max(information))
    for layer, (upper, d) in enumerate(zip(information, (6, 3, 2), strict=True), 1):
        lower = metrics[f"information_lower_{layer}"]
        noise = 3 * math.hypot(
            metrics[f"information_se_{layer}"], metrics[f"information_lower_se_{layer}"]
        )
        assert 0 <= lower <= min(upper + noise, math.log(150))
        assert upper <= metrics["rate"] + 1e-3
        assert 0 <= metrics[f"active_units_{layer}"] <= d


def test_areas_equal_those_of_scikit_learn(measurement: Measurement) -> None:
    held_out = measurement.scores["validation"]
    for name in ("inverted", "turned"):
        for score, values in measurement.scores[name].items():
            labels = [0] * len(held_out[score]) + [1] * len(values)
            expected = roc_auc_score(labels, torch.cat([held_out[score], values]).numpy())
            assert measurement.metrics[f"auroc.{name}.{score}"] == pytest.approx(expected)


def test_auto_takes_the_best_mean_and_auroc_is_that_mean(measurement: Measurement) -> None:
    metrics = measurement.metrics
    tables = {
        score: [metrics[f"auroc.{name}.{score}"] for name in ("inverted", "turned")]
        for score in score_names(3)
    }
    assert measurement.score is not None
    best = tables[measurement.score]
    assert fmean(best) == max(
        fmean(table) for score, table in tables.items() if not score.startswith("complexity_")
    )
    assert metrics["auroc"] == fmean(best)
    assert metrics["auroc_worst"] == min(best)


def test_detection_metrics_are_those_of_the_score_behind_auroc(measurement: Measurement) -> None:
    assert measurement.score is not None
    held_out, *ood = (
        measurement.scores[name][measurement.score]
        for name in ("validation", "inverted", "turned")
    )
    for name, scores in zip(("inverted", "turned"), ood, strict=True):
        expected = dataclasses.asdict(detection(held_out, scores))
        low, high = map(float, auroc_interval(held_out, scores))
        expected |= {"auroc_low": low, "auroc_high": high}
        assert low <= expected.pop("auroc") <= high
        for key, value in expected.items():
            assert measurement.metrics[f"{key}.{name}"] == value
    found = tuple(measurement.metrics[f"auroc_{end}"] for end in ("low", "high"))
    assert found == tuple(map(float, auroc_interval(held_out, *ood)))
    assert found[0] < measurement.metrics["auroc"] < found[1]


@pytest.mark.parametrize("score", ["negative_elbo", "kl_3"])
def test_a_named_score_is_used_whether_it_is_good_or_not(
    model: HVAE, data: SearchData, measurement: Measurement, score: str
) -> None:
    found = measure(model, data, dataclasses.replace(SETTINGS, score=score))
    assert found.score == score
    both = [measurement.metrics[f"auroc.{name}.{score}"] for name in ("inverted", "turned")]
    assert found.metrics["auroc"] == pytest.approx(fmean(both))
    assert found.metrics["auroc_worst"] == pytest.approx(min(both))


def test_the_same_examples_as_ood_data_are_not_told_apart(model: HVAE, data: SearchData) -> None:
    same = Dataset("same", data.validation.values)
    found = measure(model, with_ood(data, same), SETTINGS)
    for score in score_names(3):
        assert torch.equal(found.scores["same"][score], found.scores["validation"][score])
        assert found.metrics[f"auroc.same.{score}"] == pytest.approx(0.5, abs=1e-12)


def test_other_examples_of_the_same_kind_are_hardly_told_apart(
    model: HVAE, data: SearchData, digits: Tensor
) -> None:
    m, n = 600, len(data.validation)
    found = measure(model, with_ood(data, Dataset("other", digits[700 : 700 + m])), SETTINGS)
    # The standard error of the rank sum statistic where both sets are alike.
    error = math.sqrt((m + n + 1) / (12 * m * n))
    for score in score_names(3):
        assert abs(found.metrics[f"auroc.other.{score}"] - 0.5) < 4 * error


def test_without_ood_sets_there_is_no_auroc(model: HVAE, data: SearchData) -> None:
    found = measure(model, with_ood(data), SETTINGS)
    assert found.score is None
    assert not [name for name in found.metrics if name.startswith("auroc")]
    assert set(metric_names(config_of("6-3-2", []))) <= set(found.metrics)


def test_another_seed_draws_anew(model: HVAE, data: SearchData, measurement: Measurement) -> None:
    other = measure(model, data, dataclasses.replace(SETTINGS, seed=4))
    assert other.metrics["elbo"] != measurement.metrics["elbo"]
    assert other.metrics["elbo"] == pytest.approx(measurement.metrics["elbo"], abs=1)


@pytest.mark.parametrize("poison", [math.nan, math.inf])
@pytest.mark.parametrize("where", ["posteriors.0.bias", "priors.0.bias", "output.bias"])
def test_a_model_that_is_not_finite_is_refused(
    data: SearchData, where: str, poison: float
) -> None:
    model = model_of("6-3-2")
    with torch.no_grad():
        model.get_parameter(where)[0] = poison
    with pytest.raises(NotFiniteError, match=r" is -?(nan|inf) on "):
        measure(model, data, SETTINGS)


def test_a_model_that_is_not_finite_on_ood_data_alone_is_refused(data: SearchData) -> None:
    # One pixel is dark in all ID examples; where it is bright, the posterior overflows.
    model = model_of("4-2")
    with torch.no_grad():
        model.encoder[0][0].weight[:, 0] = 1e30
        model.posteriors[0].weight.abs_()
    dark = data.validation.values.clone()
    dark[:, 0, 0] = 0
    bright = dark.clone()
    bright[:, 0, 0] = 255
    poisoned = SearchData(data.train, Dataset("digits", dark), (Dataset("bright", bright),))
    with pytest.raises(NotFiniteError, match="bright"):
        measure(model, poisoned, SETTINGS)


def test_what_on_batch_raises_ends_the_measurement(model: HVAE, data: SearchData) -> None:
    class StopError(Exception):
        pass

    calls = 0

    def stop() -> None:
        nonlocal calls
        calls += 1
        if calls == 9:
            raise StopError

    with pytest.raises(StopError):
        measure(model, data, SETTINGS, stop)
    assert calls == 9

from __future__ import annotations

from dataclasses import replace

import pytest
from scipy.stats import kendalltau

from allocsearch.allocation import Allocation
from allocsearch.report.panels.report_panels import panels
from allocsearch.report.predictions import prediction_curves, trial_agreement
from allocsearch.search.prediction import (
    LayerCountPrediction,
    StudyPrediction,
    listed,
    write_prediction,
)
from allocsearch.theory import GaussianChain, predict

EIGENVALUES = tuple(5 / i for i in range(1, 25))


@pytest.fixture
def prediction() -> StudyPrediction:
    chain = GaussianChain(EIGENVALUES, noise=0.3, kappa=0.8, directions=7.0)
    dims = [(20, 3, 1), (12, 7, 5), (8, 8, 8), (5, 8, 11)]
    points = listed(predict(chain, dims), range(4))
    count = LayerCountPrediction(3, 253, 4, points[1], points[1], points[:3], points)
    return StudyPrediction(200, 64, 18.9, 7.0, 19, 0.3, 0.8, 1.0, EIGENVALUES, (count,))


def test_ratio_panels_show_the_prediction_and_how_well_it_ranks(study, prediction):
    study.folder.mkdir(parents=True)
    write_prediction(prediction, study.folder)
    made, omitted = panels(study)
    assert not any("Prediction" in sentence for sentence in omitted)
    by_title = {panel.title: panel for panel in made if panel.section == "ratio"}
    for title, metric in (
        ("Retention against ratio", "retention"),
        ("Attenuation against ratio", "attenuation"),
    ):
        (curve,) = [t for t in by_title[title].figure.data if t.name == "predicted"]
        points = prediction.layer_counts[0].curve
        assert list(curve.x) == pytest.approx([p.ratio for p in points])
        assert list(curve.y) == pytest.approx([getattr(p, metric) for p in points])
        assert "predicted from the data alone" in by_title[title].caption
        assert "Kendall's tau" in by_title[title].caption
    assert [t.name for t in by_title["AUROC against ratio"].figure.data if "pred" in t.name] == []


def test_agreement_is_over_the_means_of_distinct_allocations(study, prediction):
    found = trial_agreement(study, prediction, "retention")
    means: dict[Allocation, list[float]] = {}
    for trial in study.complete:
        means.setdefault(trial.allocation, []).append(trial.metrics["retention"])
    measured = [sum(v) / len(v) for v in means.values()]
    predicted = [predict(prediction.chain, [a.dims]).retention[0] for a in means]
    assert found is not None
    assert found.n == len(means)
    assert found.tau == pytest.approx(kendalltau(predicted, measured).statistic)


def test_few_trials_are_said_to_be_too_few(study, prediction):
    few = replace(study, trials=study.trials[:4])
    few.folder.mkdir(parents=True)
    write_prediction(prediction, few.folder)
    assert trial_agreement(few, prediction, "attenuation") is None
    made, _ = panels(few)
    assert any("not enough trials" in panel.caption for panel in made)


def test_a_broken_prediction_is_left_out_with_its_reason(study):
    study.folder.mkdir(parents=True)
    (study.folder / "theory.json").write_text("{}")
    made, omitted = panels(study)
    assert any(panel.section == "ratio" for panel in made)
    assert any("theory.json" in sentence for sentence in omitted)


def test_each_number_of_layers_has_its_line(prediction):
    count = prediction.layer_counts[0]
    both = replace(prediction, layer_counts=(count, replace(count, layers=4)))
    assert list(prediction_curves(both)) == ["predicted, 3 layers", "predicted, 4 layers"]
    assert prediction_curves(both)["predicted, 3 layers"]["allocation"].iloc[0] == "20-3-1"

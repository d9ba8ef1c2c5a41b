from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from allocsearch.allocation import Allocation
from allocsearch.config import Objective
from allocsearch.report.exports.pick import pick
from allocsearch.report.figures.allocation_bar import allocation_bars
from allocsearch.report.figures.allocation_figures import (
    layer_bars,
    metric_by_ratio,
    pareto_3d,
    pareto_pair,
)
from allocsearch.report.front import pareto_front
from allocsearch.report.panels.report_panels import panels
from allocsearch.report.representatives import representatives
from allocsearch.report.tables import trials_frame

RETENTION, ATTENUATION, AUROC = map(
    Objective.parse, ("max:retention", "min:attenuation", "max:auroc")
)


def _traces(figure):
    return {trace.name: trace for trace in figure.data}


def _numbers(trace):
    return [number for _, number, _ in trace.customdata]


def test_pair_shows_every_complete_trial_once_in_its_group(study):
    traces = _traces(pareto_pair(trials_frame(study), RETENTION, ATTENUATION))
    front = {trial.number for trial in pareto_front(study)}
    knee = pick(study, "knee")
    assert _numbers(traces["recommended"]) == [knee.number]
    assert set(_numbers(traces["front"])) == front - {knee.number}
    complete = {trial.number for trial in study.complete}
    assert set(_numbers(traces["dominated"])) == complete - front
    for name in ("recommended", "front", "dominated"):
        for allocation, number, _, x, y in (
            (*custom, x, y)
            for custom, x, y in zip(
                traces[name].customdata, traces[name].x, traces[name].y, strict=True
            )
        ):
            trial = study.trials[number]
            assert allocation == str(trial.allocation)
            assert (x, y) == (trial.metrics["retention"], trial.metrics["attenuation"])


def test_hovering_shows_the_interval_of_a_trial_that_has_one(study):
    first, *others = study.trials
    ends = {"auroc_low": 0.625, "auroc_high": 0.75}
    known = replace(first, metrics={**first.metrics, **ends})
    figure = pareto_pair(trials_frame(replace(study, trials=(known, *others))), RETENTION, AUROC)
    lines = {n: text for trace in figure.data[1:] for _, n, text in trace.customdata}
    assert lines.pop(first.number).startswith("<br>AUROC, 95 %: 0.625-0.750<br>layer 1 ")
    assert not any("95 %" in text for text in lines.values())
    assert all("%{customdata[2]}" in trace.hovertemplate for trace in figure.data[1:])


@pytest.mark.parametrize("dimensions", [2, 3])
def test_hovering_shows_the_allocation_as_bars(study, dimensions):
    frame = trials_frame(study)
    objectives = RETENTION, ATTENUATION, AUROC
    figure = (
        pareto_pair(frame, *objectives[:2]) if dimensions == 2 else pareto_3d(frame, objectives)
    )
    traces = _traces(figure)
    found = {
        number: text
        for name in ("recommended", "front", "dominated")
        for _, number, text in traces[name].customdata
    }
    assert found == {
        trial.number: "".join(f"<br>{line}" for line in allocation_bars(trial.allocation))
        for trial in study.complete
    }


@pytest.mark.parametrize(
    ("x", "y"), [(RETENTION, ATTENUATION), (RETENTION, AUROC), (ATTENUATION, AUROC)]
)
def test_edge_bounds_what_is_dominated(study, x, y):
    frame = trials_frame(study)
    edge = _traces(pareto_pair(frame, x, y))["edge"]
    assert edge.line.shape == "hv"

    def cost(objective: Objective, values) -> np.ndarray:
        sign = -1 if objective.direction == "maximize" else 1
        return sign * np.asarray(values, dtype=float)

    ex, ey = cost(x, edge.x), cost(y, edge.y)
    assert (np.diff(ex) > 0).all()
    assert (np.diff(ey) < 0).all()
    for trial in study.complete:
        px, py = (cost(o, trial.metrics[o.metric]) for o in (x, y))
        assert ((ex <= px) & (ey <= py)).any()


def test_space_has_all_complete_trials(study):
    figure = pareto_3d(trials_frame(study), (RETENTION, ATTENUATION, AUROC))
    shown = [number for trace in figure.data for number in _numbers(trace)]
    assert sorted(shown) == [trial.number for trial in study.complete]
    assert figure.layout.scene.zaxis.title.text == "AUROC"


def test_ratio_axis_is_log_with_round_ticks(study):
    figure = metric_by_ratio(trials_frame(study), "auroc")
    assert figure.layout.xaxis.type == "log"
    ratios = [x for trace in figure.data for x in trace.x]
    assert len(ratios) == len(study.complete)
    assert {0.5, 1.0, 2.0} <= set(figure.layout.xaxis.tickvals)
    assert min(ratios) / 1.05 <= min(figure.layout.xaxis.tickvals)


def test_layer_bars_show_the_layers_a_trial_has(study):
    frame = trials_frame(study)
    frame["information_4"] = float("nan")
    figure = layer_bars(frame, "information", [7, 0])
    assert [trace.name for trace in figure.data] == [
        f"{study.trials[n].allocation} (trial {n})" for n in (7, 0)
    ]
    for trace, number in zip(figure.data, (7, 0), strict=True):
        assert list(trace.x) == ["layer 1", "layer 2", "layer 3"]
        metrics = study.trials[number].metrics
        assert list(trace.y) == [metrics[f"information_{layer}"] for layer in (1, 2, 3)]


def test_information_is_a_bracket_where_there_is_a_lower_bound(study):
    frame = trials_frame(study).assign(information_lower_1=1.0, information_lower_2=float("nan"))
    bars = layer_bars(frame, "information", [7]).data[0]
    assert bars.error_y.arrayminus[0] == pytest.approx(bars.y[0] - 1)
    assert math.isnan(bars.error_y.arrayminus[1])
    assert bars.error_y.array == (0, 0, 0)
    assert layer_bars(trials_frame(study), "information", [7]).data[0].error_y.arrayminus is None


def test_the_numbers_of_layers_have_both_bounds(study):
    bounds = {"information_lower_1": 1.0, "information_saturated_1": 1.0, "information_lower_2": 2}
    trials = [replace(t, metrics={**t.metrics, **bounds}) for t in study.trials]
    made, _ = panels(replace(study, trials=tuple(trials)))
    grid = next(panel.data for panel in made if panel.title == "Information of each layer")
    row = next(row for row in grid.rows if "(trial 9)" in row[0])
    upper = [trials[9].metrics[f"information_{layer}"] for layer in (1, 2, 3)]
    assert row[1:] == (
        f"1.00 (saturated) to {upper[0]:.2f}",
        f"2.00 to {upper[1]:.2f}",
        f"{upper[2]:.2f}",
    )


def test_rate_of_the_whole_is_no_layer(study):
    figure = layer_bars(trials_frame(study), "rate", [0])
    assert len(figure.data[0].x) == 3


def test_representatives_are_the_knee_and_the_best_in_each_objective(study):
    chosen = representatives(study)
    assert chosen[0] is pick(study, "knee")
    wanted = {"knee", "max:retention", "min:attenuation", "max:auroc"}
    assert {trial.number for trial in chosen} == {pick(study, text).number for text in wanted}


def test_whole_study_has_every_panel(study):
    made, omitted = panels(study)
    sections = [panel.section for panel in made]
    before = ["front"] * 4 + ["ratio"] * 3 + ["splits"] * 3 + ["layers"] * 3
    assert sections == [*before, "cost", "cost", "importance"]
    assert [sentence.partition(":")[0] for sentence in omitted] == [
        "Prediction from the data",
        "Agreement of the OOD validation sets",
        "ROC curves and histograms of trials 1, 9, 18",
        "Training curves of trials 1, 9, 18",
        "Early stopping",
        "Final evaluation",
    ]
    assert all(panel.description and panel.title and panel.caption for panel in made)


def test_more_than_three_objectives_have_pairs_only(study_of):
    values = np.random.default_rng(3).uniform(0.1, 1, size=(12, 4)).tolist()
    made, omitted = panels(study_of(values))
    assert sum(panel.section == "front" for panel in made) == 6
    assert "Information per layer: no trial has recorded it." in omitted


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([], "no trial is complete"),
        ([[1.0], [2.0]], "one objective"),
        ([[1.0, 2.0]], "two trials"),
        ([[1.0, 2.0], [1.0, 2.0]], "two trials with different objectives"),
        ([[1.0, 2.0]], "same ratio"),
        ([[1.0, 2.0], [2.0, 1.0]], "no OOD validation set"),
        ([[1.0, 2.0]], "all trials have the same allocation"),
        ([[1.0, 2.0]], "Early stopping: it is off."),
        ([], "Early stopping: it is off."),
        ([[1.0, 2.0]], "Final evaluation: no test set was opened."),
    ],
)
def test_what_is_left_out_is_said(study_of, values, sentence):
    made, omitted = panels(study_of(values))
    assert any(sentence in text for text in omitted)
    assert all(len(panel.figure.data) for panel in made)


def of_allocations(record, *dims):
    trials = zip(record.trials, map(Allocation, dims), strict=True)
    changed = tuple(replace(trial, allocation=each) for trial, each in trials)
    return replace(record, trials=changed)


def test_splits_of_one_ratio_that_differ_are_drawn(study_of):
    record = of_allocations(
        study_of([[1.0, 0.5], [2.0, 0.4], [3.0, 0.9]]), (6, 12, 6), (8, 8, 8), (4, 16, 4)
    )
    made, omitted = panels(record)
    assert [panel.section for panel in made].count("splits") == 2
    assert "ratio" not in {panel.section for panel in made}
    assert not any(sentence.startswith("Objectives over the splits") for sentence in omitted)


def test_two_layers_have_no_map_of_splits_but_a_word(study_of):
    made, omitted = panels(of_allocations(study_of([[1.0, 0.5], [2.0, 0.4]]), (16, 8), (12, 12)))
    sections = {panel.section for panel in made}
    assert "ratio" in sections
    assert "splits" not in sections
    [sentence] = [text for text in omitted if text.startswith("Objectives over the splits")]
    assert "three layers" in sentence


def test_rungs_that_nothing_was_measured_at_are_left_out_with_a_word(study):
    section = study.config.early_stopping.model_copy(update={"mode": "auto"})
    config = study.config.model_copy(update={"early_stopping": section})
    _, omitted = panels(replace(study, config=config))
    assert "Metrics at the rungs: no complete trial has been measured at one." in omitted

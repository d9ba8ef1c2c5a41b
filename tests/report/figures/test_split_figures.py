from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from allocsearch.allocation import Allocation
from allocsearch.config import Objective
from allocsearch.report.figures.split_figures import parallel_splits, ternary_map
from allocsearch.report.page import render_page
from allocsearch.report.panels.report_panels import panels
from allocsearch.report.tables import trials_frame

OBJECTIVES = tuple(map(Objective.parse, ("max:retention", "min:attenuation")))


def test_a_map_has_every_complete_trial_at_its_dims_in_its_colour(study):
    figure = ternary_map(trials_frame(study), "attenuation")
    found = {}
    for trace in figure.data:
        for a, b, c, value, (text, number, _) in zip(
            trace.a, trace.b, trace.c, trace.marker.color, trace.customdata, strict=True
        ):
            found[number] = (text, (b, c, a), value)
    assert found == {
        trial.number: (str(trial.allocation), trial.allocation.dims, trial.metrics["attenuation"])
        for trial in study.complete
    }
    assert figure.layout.ternary.sum == 24
    titles = [figure.layout.ternary[axis].title.text for axis in ("baxis", "caxis", "aaxis")]
    assert titles == ["layer 1", "layer 2", "layer 3"]


def of_layers(study, *texts):
    trials = tuple(
        dataclasses.replace(trial, allocation=Allocation.parse(text))
        for trial, text in zip(study.complete, texts, strict=False)
    )
    return dataclasses.replace(study, trials=trials)


def test_lines_have_the_dims_of_each_layer_and_0_for_one_that_is_not_there(study):
    record = of_layers(study, "10-8-4-2", "6-6-6-6", "12-8-4")
    figure = parallel_splits(trials_frame(record), OBJECTIVES, "retention")
    [lines] = figure.data
    axes = {axis.label: axis["values"] for axis in lines.dimensions}
    dims = np.array([axes[f"layer {i}"] for i in range(1, 5)]).T
    assert dims.tolist() == [[10, 8, 4, 2], [6, 6, 6, 6], [12, 8, 4, 0]]
    values = [trial.metrics["retention"] for trial in record.trials]
    assert axes["retention (nats)"].tolist() == values == lines.line.color.tolist()
    assert len(axes) == 4 + 2


@pytest.mark.parametrize(
    ("texts", "titles"),
    [
        (("12-8-4", "4-8-12"), ["Retention over the splits", "Attenuation over the splits"]),
        (("10-8-4-2", "12-8-4"), ["Dims of each layer and objectives"]),
        (("16-8", "8-16"), []),
        (("12-8-4", "16-8"), ["Dims of each layer and objectives"]),
    ],
)
def test_the_number_of_layers_decides_which_is_drawn(study, texts, titles):
    record = of_layers(study, *texts)
    made, _ = panels(record)
    found = [panel.title for panel in made if panel.section == "splits"]
    assert found[: len(titles)] == titles
    assert bool(found) == bool(titles)
    assert ('id="splits"' in render_page(record)) == bool(titles)


@pytest.mark.parametrize(
    ("dims", "ticks"), [((12, 8, 4), (5, 10, 15, 20)), ((64, 18, 6), (20, 40, 60, 80))]
)
def test_ticks_are_even_and_not_at_the_corners(study, dims, ticks):
    record = of_layers(study, "-".join(map(str, dims)))
    ternary = ternary_map(trials_frame(record), "retention").layout.ternary
    assert ternary.sum == sum(dims)
    assert {axis.tickvals for axis in (ternary.aaxis, ternary.baxis, ternary.caxis)} == {ticks}


def test_colours_span_the_values_alone(study):
    frame = trials_frame(study)
    axis = ternary_map(frame, "attenuation").layout.coloraxis
    values = [trial.metrics["attenuation"] for trial in study.complete]
    assert (axis.cmin, axis.cmax) == (min(values), max(values))

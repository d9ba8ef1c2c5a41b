from __future__ import annotations

import dataclasses
import json

import pytest

from allocsearch.report.front import study_front
from allocsearch.report.page import render_page
from allocsearch.report.panels.chosen_files import chosen_files
from allocsearch.report.panels.training_panels import training_panels
from allocsearch.report.representatives import representatives
from allocsearch.search.storage import trial_folder


def elbo(number, epoch):
    """An ELBO that rises to -20 less the trial's number; far below in the first epoch."""
    return -20.0 - number - 200 / epoch**2


def rates(number, epoch):
    """Those of three layers, of which the third collapses."""
    return [8.0 + number - 1 / epoch, 3.0, 1.0 / epoch]


def keep(record, number, epochs=20, rates=rates):
    folder = trial_folder(record.folder, number)
    folder.mkdir(parents=True, exist_ok=True)
    history = [
        {"epoch": i, "epochs": epochs, "elbo": elbo(number, i), "rates": rates(number, i)}
        for i in range(1, epochs + 1)
    ]
    (folder / "metrics.json").write_text(json.dumps({"history": history}))


@pytest.fixture
def kept(study):
    for trial in study.complete:
        keep(study, trial.number)
    return study


def found(record):
    front = study_front(record)
    return training_panels(record, front, chosen_files(record, front))


def lines(panel):
    return [trace for trace in panel.figure.data if trace.mode == "lines"]


def test_the_representatives_have_a_line_each_and_their_validation_at_its_end(kept):
    (panel, _), omitted = found(kept)
    assert omitted == ()
    chosen = representatives(kept)
    assert [trace.name for trace in lines(panel)] == [
        f"{trial.allocation} (trial {trial.number})" for trial in chosen
    ]
    for trial, trace in zip(chosen, lines(panel), strict=True):
        assert list(trace.x) == [*range(1, 21)]
        assert list(trace.y) == [elbo(trial.number, i) for i in trace.x]
    marks = [trace for trace in panel.figure.data if trace.mode == "markers"]
    assert [(*trace.x, *trace.y) for trace in marks] == [
        (20, trial.metrics["elbo"]) for trial in chosen
    ]
    first = chosen[0].number
    at = [f"{elbo(first, i):.2f}" for i in (5, 10, 15, 20)]
    validation = f"{chosen[0].metrics['elbo']:.2f}"
    assert panel.data.rows[0] == (lines(panel)[0].name, "20", *at, validation)
    assert 'id="training"' in render_page(kept)


def test_the_first_epochs_do_not_flatten_the_rest(kept):
    (panel, _), _ = found(kept)
    low, high = panel.figure.layout.yaxis.range
    late = [y for trace in lines(panel) for y in trace.y[3:]]
    assert low <= min(late)
    assert high >= max(late)
    assert low > max(trace.y[0] for trace in lines(panel))


def test_other_trainings_of_the_same_allocation_are_thin_lines_of_its_colour(replicated):
    front = study_front(replicated)
    for trial in replicated.complete:
        keep(replicated, trial.number)
    drawn = lines(found(replicated)[0][0])
    groups = {
        member.trial.number: {trial.number for trial in member.replicates.trials}
        for member in front.members
    }
    shown = set().union(*(groups[trial.number] for trial in representatives(replicated, front)))
    assert {int(trace.name.split()[-1].rstrip(")")) for trace in drawn} == shown
    colors: dict[str, set] = {}
    for trace in drawn:
        colors.setdefault(trace.legendgroup, set()).add(trace.line.color)
        assert (trace.line.width == 1) == (not trace.showlegend)
    assert all(len(found) == 1 for found in colors.values())
    assert any(trace.line.width == 1 for trace in drawn)


def test_the_rates_of_the_recommended_allocation_have_a_line_for_each_layer(kept):
    (_, panel), _ = found(kept)
    recommended = representatives(kept)[0]
    number = recommended.number
    assert [trace.name for trace in lines(panel)] == [
        f"layer {layer} (trial {number})" for layer in (1, 2, 3)
    ]
    assert str(recommended.allocation) in panel.caption
    for layer, trace in enumerate(lines(panel)):
        assert list(trace.x) == [*range(1, 21)]
        assert list(trace.y) == [rates(number, i)[layer] for i in trace.x]
    assert len({trace.line.color for trace in lines(panel)}) == 3
    marks = {trace.name: trace.y[0] for trace in panel.figure.data if trace.mode == "markers"}
    measured = {f"rate_{layer}": marks.get(f"layer {layer} (trial {number})") for layer in (1, 2)}
    assert measured == {name: recommended.metrics.get(name) for name in measured}
    assert [row[0] for row in panel.data.rows] == [trace.name for trace in lines(panel)]
    at = [f"{rates(number, i)[0]:.2f}" for i in (5, 10, 15, 20)]
    assert list(panel.data.rows[0][1:5]) == at


def test_other_trainings_have_the_colours_of_their_layers(replicated):
    for trial in replicated.complete:
        keep(replicated, trial.number)
    drawn = lines(found(replicated)[0][1])
    assert {trace.line.width for trace in drawn} == {1, 2}
    for layer in (1, 2, 3):
        own = [trace for trace in drawn if trace.legendgroup == f"layer {layer}"]
        assert len({trace.line.color for trace in own}) == 1
        assert [trace.showlegend for trace in own] == [True, *[False] * (len(own) - 1)]


def test_more_layers_than_colours_are_told_apart_by_dashes(study_of):
    record = study_of([(1.0, 0.9)])
    keep(record, 0, rates=lambda number, epoch: [1.0] * 9)
    (_, panel), _ = found(record)
    assert len({(trace.line.color, trace.line.dash) for trace in lines(panel)}) == 9


def test_trials_of_before_the_rates_were_kept_have_none(study_of):
    record = study_of([(1.0, 0.9)])
    keep(record, 0, rates=lambda number, epoch: [])
    panels, [omitted] = found(record)
    assert [panel.title for panel in panels] == ["Training curves"]
    allocation = representatives(record)[0].allocation
    assert omitted == f"Rates of {allocation} while it trains: its trainings have kept none."


def test_what_the_schedules_do_is_where_they_do_it(kept):
    (panel, _), _ = found(kept)
    assert {(note.text, note.x) for note in panel.figure.layout.annotations} == {
        ("KL weight is 1", 0.25 * 20),
        ("free nats fall", 0.42 * 20),
        ("free nats are 0", 0.83 * 20),
    }


def test_the_gain_at_the_end_is_that_of_the_last_two_tenths(study_of):
    record = study_of([(1.0, 0.9)])
    keep(record, 0, epochs=20)
    mean = [(elbo(0, i) + elbo(0, i + 1)) / 2 for i in (17, 19)]
    assert f"changed by {mean[1] - mean[0]:+.2f} nats" in found(record)[0][0].caption


def test_long_trainings_have_few_points_and_the_whole_in_the_table(study_of):
    record = study_of([(1.0, 0.9)])
    keep(record, 0, epochs=1000)
    (panel, _), _ = found(record)
    assert len(lines(panel)[0].x) <= 300
    assert panel.data.rows[0][1] == "1000"


def test_what_is_not_in_the_run_folder_is_named(study_of):
    record = study_of([(1.0, 0.9), (2.0, 0.95)])
    keep(record, 0)
    (panel, _), omitted = found(record)
    assert len(lines(panel)) == 1
    assert omitted == ("Training curves of trial 1: the files are not in this run folder.",)
    page = render_page(record)
    assert omitted[0] in page


def test_without_any_there_is_no_figure(study):
    panels, [omitted] = found(study)
    assert panels == ()
    assert omitted.startswith("Training curves of trial")
    assert 'id="training"' not in render_page(study)


def test_a_damaged_file_costs_its_line_alone(study_of):
    record = study_of([(1.0, 0.9), (2.0, 0.95)])
    for number in (0, 1):
        keep(record, number)
    path = trial_folder(record.folder, 1) / "metrics.json"
    path.write_text("{")
    (panel, _), [omitted] = found(record)
    assert len(lines(panel)) == 1
    assert omitted.startswith(f"Training curve of trial 1: {path}: ")


def test_a_file_without_epochs_is_named(study_of):
    record = study_of([(1.0, 0.9)])
    keep(record, 0, epochs=0)
    path = trial_folder(record.folder, 0) / "metrics.json"
    assert found(record) == ((), (f"Training curve of trial 0: {path} has no epochs.",))


def test_a_trainer_of_ones_own_keeps_none(study):
    section = study.config.trainer.model_copy(update={"kind": "callable"})
    config = study.config.model_copy(update={"trainer": section})
    assert found(dataclasses.replace(study, config=config)) == (
        (),
        ("Training curves: a trainer of your own keeps none.",),
    )

from __future__ import annotations

import dataclasses
from datetime import datetime

import pytest

from allocsearch.report.front import study_front
from allocsearch.report.page import render_page
from allocsearch.report.panels.cost_panels import cost_panels
from allocsearch.report.search_course import course_frame


def made(record):
    return cost_panels(record, study_front(record))


def test_the_reference_point_and_the_end_are_told(study_of):
    panels, omitted = made(study_of([(1.0, 0.9), (2.0, 0.5), (3.0, 0.1)]))
    assert omitted is None
    over_time, over_trials = panels
    assert [panel.title for panel in panels] == [
        "Hypervolume over training time",
        "Hypervolume over trials",
    ]
    assert "the reference point is retention 1.00 nats, attenuation 0.900." in over_time.caption
    assert (
        "95 % of the last value was reached for good after 3 trials (3.0 s)." in over_time.caption
    )
    line = over_trials.figure.data[0]
    assert (list(line.x), list(line.y)) == ([1, 2, 3], pytest.approx([0, 0.25, 1]))
    assert list(over_time.figure.data[0].x) == [1, 2, 3]
    assert over_time.data.rows[1] == ("2", "2.0 s", "9-8-8", "0.250")
    assert 'id="cost"' in render_page(study_of([(1.0, 0.9), (3.0, 0.1)]))


def test_the_last_one_has_the_interval_of_the_front(replicated):
    volume = study_front(replicated).volume
    for panel in made(replicated)[0]:
        [interval] = [trace for trace in panel.figure.data if "95 %" in trace.name]
        assert list(interval.y) == [volume.low, volume.value, volume.high]
        assert {*interval.x} == {panel.figure.data[0].x[-1]}


def test_the_recommended_allocation_is_marked_where_it_came_first(study_of):
    record = study_of([(1.0, 0.9), (3.0, 0.1), (2.0, 0.5)])
    mark = made(record)[0][1].figure.data[-1]
    assert (mark.name, [*mark.x]) == ("9-8-8 first trained", [2])


def test_an_attempt_that_failed_is_not_where_the_recommended_allocation_came_first(study_of):
    record = study_of([(1.0, 0.9), (1.5, 0.8), (2.0, 0.5), (3.0, 0.1)])
    worst, failed, middle, best = record.trials
    lost = {"values": (), "allocation": best.allocation}
    for state in ("failed", "interrupted"):
        attempt = dataclasses.replace(failed, state=state, **lost)
        trials = (worst, attempt, middle, best)
        for panel in made(dataclasses.replace(record, trials=trials))[0]:
            mark = panel.figure.data[-1]
            assert (mark.name, [*mark.x], [*mark.y]) == ("11-8-8 first trained", [4], [1])


def test_the_recommended_allocation_is_marked_among_any_number_of_trials(study_of):
    values = [(1 + i / 2000, 0.9 - i / 2000) for i in range(1000)]
    # The row of trial 500 is none of 250 that are spread evenly.
    values[500] = (3.0, 0.1)
    record = study_of(values)
    assert 500 not in [*course_frame(record)["number"]]
    for panel in made(record)[0]:
        mark = panel.figure.data[-1]
        assert (mark.name, [*mark.x]) == ("508-8-8 first trained", [501 / panel_unit(panel)])


def panel_unit(panel):
    return 60 if "(minutes)" in panel.figure.layout.xaxis.title.text else 1


def test_of_several_trainings_the_one_that_ended_first_is_marked(study_of):
    record = study_of([(1.0, 0.9), (3.0, 0.1), (3.0, 0.1)])
    ends = [datetime(2026, 3, 1, 12, minute) for minute in (0, 2, 1)]
    again = {"allocation": record.trials[1].allocation}
    trials = tuple(
        dataclasses.replace(trial, ended=end, **(again if trial.number else {}))
        for trial, end in zip(record.trials, ends, strict=True)
    )
    panel = made(dataclasses.replace(record, trials=trials))[0][1]
    assert [*panel.figure.data[-1].x] == [2]
    assert [*panel.frame["number"]] == [0, 2, 1]


def test_where_a_duration_is_unknown_the_line_over_time_ends_with_a_word(study_of):
    record = study_of([(1.0, 0.9), (3.0, 0.1), (2.0, 0.5)])
    last = dataclasses.replace(record.trials[2], duration=None)
    record = dataclasses.replace(record, trials=(*record.trials[:2], last))
    over_time, over_trials = made(record)[0]
    assert [*over_time.figure.data[0].x] == [1, 2]
    assert "ends before the first trial whose duration is unknown." in over_time.caption
    assert "unknown" not in over_trials.caption


def test_one_objective_is_drawn_in_its_own_unit(study_of):
    panels, _ = made(study_of([(3.0,), (1.0,), (4.0,)]))
    assert [panel.title for panel in panels] == [
        "Retention over training time",
        "Retention over trials",
    ]
    assert [*panels[0].figure.data[0].y] == [3, 3, 4]
    assert "of the gain over the first was reached for good after 3 trials" in panels[0].caption


def test_trials_without_durations_have_one_figure_with_its_table(study_of):
    record = study_of([(1.0, 0.9), (3.0, 0.1)])
    trials = tuple(dataclasses.replace(trial, duration=None) for trial in record.trials)
    [panel], _ = made(dataclasses.replace(record, trials=trials))
    assert panel.title == "Hypervolume over trials"
    assert [row[1] for row in panel.data.rows] == ["–", "–"]  # noqa: RUF001


def test_what_has_no_hypervolume_is_left_out_with_a_word(study_of):
    assert made(study_of([(1.0, 0.9)])) == (
        (),
        "Hypervolume over cost: it takes two complete trials.",
    )
    alike = study_of([(1.0, 0.9), (1.0, 0.9)])
    assert made(alike) == ((), "Hypervolume over cost: all trials have the same objectives.")
    page = render_page(alike)
    assert "Hypervolume over cost: all" in page
    assert 'id="cost"' not in page

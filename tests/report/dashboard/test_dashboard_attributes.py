from __future__ import annotations

import dataclasses

import pytest

from allocsearch.report.dashboard import attributes as dashboard_attributes
from allocsearch.report.dashboard.attributes import attributes, note
from allocsearch.report.exports.pick import pick
from allocsearch.report.front import study_front


@pytest.fixture
def ids(study):
    return {trial.number: 100 + trial.number for trial in study.trials}


def noted(found):
    return {int(key.split(":")[1]) - 100 for key in found if key.endswith(":note_str:0")}


def test_every_trial_that_ended_has_a_note(study, ids):
    found = attributes(study, ids)
    assert noted(found) == {trial.number for trial in study.trials if trial.finished}
    failed = next(trial for trial in study.trials if trial.state == "failed")
    text = found[f"dashboard:{100 + failed.number}:note_str:0"]
    assert text.splitlines()[-1] == r"- failed: loss is \<script\>nan\</script\>"
    knee = pick(study, "knee")
    assert note(study, knee, on_front=True).splitlines()[0] == (
        f"**`{knee.allocation}`**, ratio {knee.allocation.ratio:.2f}, on the front"
    )


def test_of_many_trials_the_front_and_the_latest_have_notes(study, ids, monkeypatch):
    members = {member.trial.number for member in study_front(study).members}
    ended = sorted(trial.number for trial in study.trials if trial.finished)
    monkeypatch.setattr(dashboard_attributes, "_MOST_LOOKS", 0)
    monkeypatch.setattr(dashboard_attributes, "_LEAST_NOTES", len(members) + 1)
    latest = max(number for number in ended if number not in members)
    assert noted(attributes(study, ids)) == {*members, latest}


def test_plots_take_so_much_room_at_most(study, ids, monkeypatch):
    def plots():
        found = attributes(study, ids).items()
        return [len(text) for key, text in found if key.startswith("dashboard:plot_data:")]

    whole = plots()
    assert len(whole) > 3
    monkeypatch.setattr(dashboard_attributes, "_MOST_PLOTS", sum(whole[:2]))
    assert plots() == whole[:2]


def test_no_file_is_read_for_them(study, ids):
    evaluation = study.folder / "evaluations" / "1" / "evaluation.json"
    evaluation.parent.mkdir(parents=True)
    evaluation.write_text("no JSON")
    (study.folder / "test_evaluations.json").write_text("no JSON")
    found = attributes(study, ids)
    shown = {key.split(":")[2].partition("-")[0] for key in found if ":plot_data:" in key}
    assert shown == {"front", "ratio", "splits", "layers", "cost", "importance"} & shown
    assert {"front", "ratio", "layers", "cost"} <= shown


def test_a_study_that_has_not_begun_has_none(study):
    assert attributes(dataclasses.replace(study, trials=()), {}) == {}

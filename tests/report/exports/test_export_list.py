from __future__ import annotations

import pytest
from rich.console import Console

from allocsearch.config import InputError
from allocsearch.report.candidate_text import probability_text, value_text
from allocsearch.report.exports.export_list import export_list
from allocsearch.report.exports.pick import FORMS, pick
from allocsearch.report.front import study_front


def _lines(record, where=()):
    console = Console(width=200, color_system=None)
    with console.capture() as capture:
        console.print(export_list(record, where), soft_wrap=True)
    return capture.get().splitlines()


def test_every_member_is_listed_with_the_pick_that_names_it(replicated):
    lines = _lines(replicated)
    front = study_front(replicated)
    assert lines[0].startswith(f"front: {len(front.members)} of ")
    rows = lines[2 : 2 + len(front.members)]
    metrics = [o.metric for o in replicated.config.study.parsed_objectives]
    for row, member in zip(rows, front.members, strict=True):
        for i, metric in enumerate(metrics):
            assert value_text(member, i, metric) in row
        assert f" {probability_text(member.probability)} " in row
        named, _, rest = row.partition("  ")
        assert str(member.allocation) in rest.split()[0]
        for text in named.split(", "):
            assert pick(replicated, text) is member.trial
    named = ", ".join(row.partition("  ")[0] for row in rows).split(", ")
    assert {"knee", *(f"best:{metric}" for metric in metrics)} <= {*named}


def test_every_form_is_told_and_metrics_of_sets_come_last(study):
    text = "\n".join(_lines(study))
    for form, meaning in FORMS.items():
        assert form in text
        assert meaning in text
    assert "OBJECTIVE: retention, attenuation, auroc\n" in text
    assert "METRIC: active_units_1, " in text


def test_constraints_narrow_the_list(study):
    values = sorted(trial.metrics["retention"] for trial in study.complete)
    lines = _lines(study, [f"retention>={values[-1]}"])
    assert lines[0] == "front: 1 of 1 allocation"
    with pytest.raises(InputError, match="none of 20 allocations satisfies this"):
        _lines(study, ["retention>=1000"])

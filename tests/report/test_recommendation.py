from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console
from scipy import stats

from allocsearch.allocation import Allocation
from allocsearch.config import StudyConfig
from allocsearch.report.comparison import uniform_line
from allocsearch.report.front import knee, study_front
from allocsearch.report.page import render_page
from allocsearch.report.recommendation import recommendation
from allocsearch.report.terminal.summary import status_lines, summary
from allocsearch.search.records import StudyRecord, TrialRecord

DEFAULT = (
    "The default is the 1:2:1 split, widest in the middle, as the 8-16-8 of Havtorn et al. (2021) "
    "is."
)


def study(tmp_path, *trainings, **space):
    """A study of trainings: an allocation with its retention and attenuation each."""
    config = StudyConfig.model_validate(
        {
            "study": {"objectives": ["max:retention", "min:attenuation"]},
            "search_space": {"budget": 24, **space},
            "data": {"id": "digits"},
        }
    )
    trials = tuple(
        TrialRecord(
            number=number,
            state="complete",
            allocation=Allocation.parse(text),
            seed=number,
            values=values,
            metrics=dict(zip(("retention", "attenuation"), values, strict=True)),
        )
        for number, (text, values) in enumerate(trainings)
    )
    return StudyRecord(tmp_path / "runs" / "given", config, trials)


def test_a_runner_up_that_is_a_baseline_is_compared_once(tmp_path):
    trainings = (("12-8-4", (7.25, 0.5)), ("8-8-8", (5.0, 0.25)), ("6-12-6", (4.0, 0.75)))
    found = recommendation(study(tmp_path, *trainings))
    assert str(found.allocation) == "12-8-4"
    assert [(row.role, row.allocation) for row in found.comparisons] == [
        ("runner-up, uniform split", "8-8-8"),
        ("1:2:1 split", "6-12-6"),
    ]


def test_it_is_compared_with_the_runner_up_and_the_baselines(tmp_path):
    record = study(
        tmp_path,
        ("8-8-8", (5.0, 0.75)),
        ("12-8-4", (7.25, 0.5)),
        ("14-6-4", (8.0, 0.875)),
        ("4-12-8", (4.0, 0.25)),
        ("6-12-6", (5.5, 0.5)),
    )
    found = recommendation(record)
    assert str(found.allocation) == "12-8-4"
    assert [(row.role, row.allocation) for row in found.comparisons] == [
        ("runner-up", "14-6-4"),
        ("uniform split", "8-8-8"),
        ("1:2:1 split", "6-12-6"),
    ]
    assert [row.differences for row in found.comparisons] == [
        ("-0.75", "-0.375"),
        ("+2.25", "-0.250"),
        ("+1.75", "0.000"),
    ]
    assert [row.verdicts for row in found.comparisons] == [
        ("worse", "better"),
        ("better", "better"),
        ("better", "equal"),
    ]
    assert found.baselines == DEFAULT
    page = render_page(record)
    assert "What it has more (+) or less (-) than others, of one training each<" in page
    assert '<td class="number">+2.25 <span>better</span></td>' in page


def test_the_runner_up_of_what_is_best_in_everything_is_of_the_next_front(tmp_path):
    record = study(
        tmp_path,
        ("12-8-4", (9.0, 0.1)),
        ("14-6-4", (5.0, 0.5)),
        ("16-4-4", (8.0, 0.2)),
        ("4-12-8", (4.0, 0.15)),
        ("2-12-10", (3.0, 0.9)),
    )
    [runner_up] = recommendation(record).comparisons
    # The knee of 16-4-4 and 4-12-8, which are equally near: the first one.
    assert (runner_up.role, runner_up.allocation) == ("runner-up", "16-4-4")
    assert runner_up.differences == ("+1.00", "-0.100")


def test_one_objective_has_a_runner_up_too(study_of):
    record = study_of([[1.0], [3.0], [2.5]], ["max:retention"])
    [runner_up, *_] = recommendation(record).comparisons
    assert (runner_up.role, runner_up.differences) == ("runner-up", ("+0.50",))
    assert [each.label for each in recommendation(record).standings] == [
        "retention (nats), higher is better"
    ]


def test_what_an_interval_is_over_is_said(study):
    one = "without an interval over trainings"
    examples = "What stands in brackets is over the examples alone."
    page = render_page(study)
    assert one in page
    assert examples not in page
    trials = tuple(
        dataclasses.replace(trial, metrics={**trial.metrics, "auroc_low": 0.4, "auroc_high": 0.99})
        for trial in study.trials
    )
    page = render_page(dataclasses.replace(study, trials=trials))
    assert one in page
    assert examples in page


@pytest.mark.parametrize(("retention", "verdict"), [(5.0, "better"), (6.0, "unclear")])
def test_differences_have_the_interval_of_two_means(tmp_path, retention, verdict):
    record = study(
        tmp_path,
        ("8-8-8", (retention, 0.75)),
        ("12-8-4", (7.0, 0.5)),
        ("12-8-4", (7.5, 0.5)),
        ("12-8-4", (8.0, 0.5)),
    )
    found = recommendation(record)
    [uniform] = found.comparisons
    # Pooled over one allocation with three trainings: a deviation of 0.5 with 2 degrees.
    half = stats.t(2).ppf(0.975) * 0.5 * (1 / 3 + 1) ** 0.5
    more = 7.5 - retention
    assert uniform.differences[0] == f"{more:+.2f} ({more - half:+.2f} to {more + half:+.2f})"
    assert uniform.verdicts == (verdict, "better")
    assert "than others, 95 % intervals; unclear is what may be either<" in render_page(record)


def test_what_was_not_trained_is_named(tmp_path):
    record = study(tmp_path, ("12-8-4", (7.25, 0.5)))
    found = recommendation(record)
    assert found.comparisons == ()
    assert found.baselines == (
        f"{DEFAULT} Not trained in this study: the uniform split 8-8-8, the 1:2:1 split 6-12-6."
    )
    assert "What it has more" not in render_page(record)


def test_the_uniform_split_in_any_order(tmp_path):
    record = study(tmp_path, ("8-9-8", (5.0, 0.75)), ("13-8-4", (7.25, 0.5)), budget=25)
    assert [row.allocation for row in recommendation(record).comparisons] == ["8-9-8"]


def test_a_baseline_that_is_recommended_is_not_compared_with_itself(tmp_path):
    record = study(tmp_path, ("8-8-8", (9.0, 0.1)), ("12-8-4", (7.25, 0.5)))
    found = recommendation(record)
    assert str(found.allocation) == "8-8-8"
    assert [row.role for row in found.comparisons] == ["runner-up"]
    assert "uniform" not in found.baselines


def test_a_table_has_the_baselines_of_its_budget(tmp_path):
    table = {"kind": "table", "allocations": ["12-8-4", "8-8-8"]}
    record = study(tmp_path, ("12-8-4", (7.25, 0.5)), ("8-8-8", (5.0, 0.75)), **table)
    [both] = recommendation(record).comparisons
    assert both.role == "runner-up, uniform split"


@pytest.mark.parametrize("text", ["24", "10-14", "8-4-4-4-4"])
def test_any_number_of_layers(tmp_path, text):
    record = study(tmp_path, (text, (7.25, 0.5)), layers=text.count("-") + 1)
    assert str(recommendation(record).allocation) == text
    assert render_page(record)


def uniform_text(record):
    front = study_front(record)
    chosen = knee(front.members, record.config.study.parsed_objectives)
    line = uniform_line(record, front, chosen)
    console = Console(file=io.StringIO())
    console.print(summary(record), soft_wrap=True)
    assert line in console.file.getvalue().splitlines()
    assert line in status_lines(record)
    return line


def test_the_terminal_tells_the_gain_over_the_uniform_split(tmp_path):
    record = study(tmp_path, ("8-8-8", (5.0, 0.75)), ("12-8-4", (7.25, 0.5)))
    assert uniform_text(record) == (
        "Against the uniform split 8-8-8: retention (nats) +2.25, attenuation -0.250."
    )
    again = study(tmp_path, ("8-8-8", (5.0, 0.75)), ("12-8-4", (7.0, 0.5)), ("12-8-4", (7.5, 0.5)))
    half = stats.t(1).ppf(0.975) * 0.125**0.5 * (1 / 2 + 1) ** 0.5
    assert uniform_text(again).startswith(
        "Against the uniform split 8-8-8, 95 %: "
        f"retention (nats) +2.25 ({2.25 - half:+.2f} to {2.25 + half:+.2f}), "
    )


def test_the_terminal_says_why_no_gain_over_the_uniform_split_is_told(tmp_path):
    assert uniform_text(study(tmp_path, ("12-8-4", (7.25, 0.5)))) == (
        "No gain over the uniform split 8-8-8 is known: it was not trained in this study."
    )
    record = study(tmp_path, ("8-8-8", (9.0, 0.1)), ("12-8-4", (7.25, 0.5)))
    assert uniform_text(record) == "It is the uniform split itself."

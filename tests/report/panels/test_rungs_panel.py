from __future__ import annotations

import dataclasses
import io
import re

import numpy as np
import pytest
from rich.console import Console

from allocsearch.config import EarlyStoppingSection
from allocsearch.report.early_stopping import rung_replay, rung_standings
from allocsearch.report.page import render_page
from allocsearch.report.panels.report_panels import panels
from allocsearch.report.rung_frames import rung_frame
from allocsearch.report.rung_text import early_stopping_lines, rung_table
from allocsearch.report.tables import front_frame, trials_frame
from allocsearch.report.terminal.live import PlainProgress, live_view
from allocsearch.report.terminal.summary import progress_text, status_lines
from allocsearch.search.records import RungRecord
from allocsearch.search.rungs.judging import calibrate

REASON = "not among the best 1/3 at the rung 0.25"


def with_rungs(record, seen, *, mode="auto", schedule="full", **section):
    """The study with early stopping; `seen(trial, rung)` gives its values at a rung."""
    stopping = EarlyStoppingSection(mode=mode, schedule=schedule, rungs=(0.25, 0.5), **section)
    config = record.config.model_copy(update={"early_stopping": stopping})
    trials = tuple(
        dataclasses.replace(
            trial,
            rungs=tuple(RungRecord(rung, seen(trial, rung), False) for rung in stopping.rungs),
        )
        if trial.state == "complete"
        else trial
        for trial in record.trials
    )
    return dataclasses.replace(record, config=config, trials=trials)


def with_pruned(record, *rungs):
    """The study with further trials, each stopped at one of the rungs."""
    section = record.config.early_stopping
    first = record.complete[0]
    pruned = tuple(
        dataclasses.replace(
            first,
            number=len(record.trials) + i,
            state="pruned",
            values=(),
            metrics={},
            reason=REASON,
            rungs=tuple(
                RungRecord(reached, first.values, reached == rung)
                for reached in section.rungs
                if reached <= rung
            ),
        )
        for i, rung in enumerate(rungs)
    )
    return dataclasses.replace(record, trials=(*record.trials, *pruned))


def perfect(trial, rung):
    return trial.values


@pytest.fixture
def shuffled(study):
    """A study whose first rung has the values of other trials."""
    order = np.random.default_rng(0).permutation(len(study.trials))
    complete = {trial.number: trial for trial in study.complete}
    others = iter([complete[i] for i in order if i in complete])
    drawn = {number: next(others).values for number in complete}
    return with_rungs(study, lambda t, rung: drawn[t.number] if rung == 0.25 else t.values)


def rungs_of(text):
    return text[text.index('<section id="rungs">') :].split("</section>")[0]


def test_a_study_without_early_stopping_says_that_it_is_off_and_no_more(study):
    assert rung_standings(study) == ()
    assert rung_table(study) is None
    assert early_stopping_lines(study) == ()
    assert not any("early stopping" in line for line in status_lines(study))
    assert not any(panel.section == "rungs" for panel in panels(study)[0])
    text = render_page(study)
    assert 'id="rungs"' not in text
    assert text.count("Early stopping") == text.count("Early stopping: it is off.") == 1


def test_a_trusted_and_a_useless_rung(shuffled):
    objectives = shuffled.config.study.parsed_objectives
    table = rung_table(shuffled)
    assert table.header[:5] == (
        "rung",
        "n",
        "tau, retention",
        "tau, attenuation",
        "tau, AUROC",
    )
    useless, trusted = table.rows
    section = shuffled.config.early_stopping
    found = calibrate(shuffled.trials, objectives, 0.25, section)
    assert found.verdict in ("not proven", "contradicted")
    assert useless[:2] == ("0.25", "20")
    assert useless[2].startswith(f"{found.taus[0].tau:.2f} ({found.taus[0].low:.2f} to ")
    assert useless[-3:] == (found.verdict, "0", "0.0")
    assert trusted[:3] == ("0.5", "20", "1.00 (0.99 to 1.00)")
    assert trusted[-3:] == ("trusted", "0", "0.0")
    first, second = table.lines
    assert first.startswith("Rung 0.25 stops no trial: ")
    assert "0.3 (early_stopping.min_correlation)" in first
    assert second.startswith("Rung 0.5 is trusted: a tau above 0.9")
    line = f"early stopping (auto): rung 0.25 {found.verdict}, rung 0.5 trusted"
    assert line in status_lines(shuffled)


def test_the_replay_is_of_each_rung_alone(shuffled):
    first, second = rung_table(shuffled).lines
    for rung, line in ((0.25, first), (0.5, second)):
        found = rung_replay(shuffled, rung)
        assert found.trials == 20
        assert found.saved == pytest.approx(len(found.stopped) * (1 - rung) / 20)
        counts = (len(found.stopped), f"{100 * found.saved:.0f} %", found.lost, found.front)
        words = "stopped {} of them, saved {} of their cost, and lost {} of the {} on their front."
        assert line.endswith(words.format(*counts))
    assert rung_replay(shuffled, 0.5).lost == 0
    assert rung_replay(shuffled, 0.25).lost > 0


def test_too_few_full_trainings(study):
    record = with_rungs(study, perfect, calibration_trials=21)
    assert [row[-3] for row in rung_table(record).rows] == ["too few", "too few"]
    assert rung_table(record).lines[0] == (
        "Rung 0.25 stops no trial yet: it has 20 of the 21 full trainings that a first look takes "
        "(early_stopping.calibration_trials)."
    )
    text = "rung 0.25 too few (20 of 21 full trainings)"
    assert any(text in line for line in status_lines(record))


def test_a_study_that_has_not_begun_has_rungs_too(study):
    record = with_rungs(dataclasses.replace(study, trials=()), perfect)
    assert [row[1:6] for row in rung_table(record).rows] == [("0", *"––––")] * 2  # noqa: RUF001
    assert "rung 0.5 too few (0 of 8 full trainings)" in status_lines(record)[1]
    assert "Early stopping" in render_page(record)


def test_a_contradicted_rung_names_what_it_turns_round(study):
    def turned(trial, rung):
        retention, attenuation, auroc = trial.values
        return retention, attenuation, -auroc

    record = with_rungs(study, turned)
    assert {row[-3] for row in rung_table(record).rows} == {"contradicted"}
    line = rung_table(record).lines[0]
    assert line.startswith("Rung 0.25 stops no trial: its tau is below 0.3 ")
    assert "(early_stopping.min_correlation) for AUROC. Had it" in line


def test_forced_rungs_are_said_to_be_forced(study):
    record = with_rungs(study, perfect, mode="forced")
    assert {row[-3] for row in rung_table(record).rows} == {"forced"}
    assert rung_table(record).lines[0].startswith("Rung 0.25 stops trials whatever it is worth")
    rungs = ", ".join(f"rung {rung} judges from the start" for rung in (0.25, 0.5))
    assert f"early stopping (forced): {rungs}" in status_lines(record)


def test_pruned_trials_are_counted_with_what_they_saved(study):
    record = with_pruned(with_rungs(study, perfect), 0.25, 0.25, 0.5)
    first, second = rung_table(record).rows
    assert first[-2:] == ("2", "1.5")
    assert second[-2:] == ("1", "0.5")
    assert any(x.endswith("; 3 pruned, 2.0 full trainings saved") for x in status_lines(record))
    # Trust is not lost with the trials by which it was proven.
    kept = tuple(trial for trial in record.trials if trial.state != "complete")
    lines = rung_table(dataclasses.replace(record, trials=kept)).lines
    assert "trusted by the full trainings that had ended before it first judged" in lines[0]


def test_rungs_of_their_own_schedules_are_taken_off_what_they_save(study):
    record = with_rungs(study, perfect, schedule="own")
    assert [row[-1] for row in rung_table(record).rows] == ["-5.0", "-10.0"]
    assert any(
        x.endswith("; 0 pruned, 15.0 full trainings spent on rungs") for x in status_lines(record)
    )
    # 20 and 57 trainings of a quarter, 20 and 3 of a half.
    pruned = with_pruned(record, *[0.25] * 34, *[0.5] * 3)
    assert [row[-1] for row in rung_table(pruned).rows] == ["19.8", "-8.5"]
    assert any(x.endswith("; 37 pruned, 11.2 full trainings saved") for x in status_lines(pruned))
    for rung, line in zip((0.25, 0.5), rung_table(record).lines, strict=True):
        found = rung_replay(record, rung)
        assert found.saved == pytest.approx(len(found.stopped) / 20 - rung)
        word = "saved" if found.saved > 0 else "added"
        assert f"{word} {100 * abs(found.saved):.0f} % of their cost" in line


def test_pruned_trials_are_no_failures_and_not_on_the_front(study):
    record = with_rungs(study, perfect)
    pruned = with_pruned(record, 0.25, 0.5)
    assert progress_text(pruned) == (
        "24 of 24 trials (2 pruned, 2 failed, 1 interrupted, 1 running)"
    )
    assert "20 complete, 2 pruned, 2 failed" in status_lines(pruned)[0]
    assert front_frame(pruned).equals(front_frame(record))
    rows = trials_frame(pruned).tail(2)
    assert [*rows["state"]] == ["pruned", "pruned"]
    assert not rows["on_front"].any()
    assert rows["retention"].isna().all()
    assert [*rows["reason"]] == [REASON, REASON]
    text = render_page(pruned)
    trials, rest = text[text.index('<section id="trials">') :].split('<section id="failures">')
    assert trials.count('<tr class="pruned">') == 2
    assert "pruned" not in rest.split("</section>")[0]
    console = Console(file=io.StringIO(), width=120)
    console.print(live_view(pruned, 1.0))
    assert "2 pruned" in console.file.getvalue()


def test_a_pruned_trial_is_told_with_its_reason(study):
    record = with_rungs(study, perfect)
    progress = PlainProgress()
    progress.lines(record)
    (line,) = progress.lines(with_pruned(record, 0.5))
    assert line.endswith(f"pruned: {REASON}")


def test_frame_and_figures_show_what_counts(shuffled):
    first, *rest = shuffled.trials
    judged = tuple(dataclasses.replace(r, judged=r.rung == 0.5) for r in first.rungs)
    record = dataclasses.replace(
        shuffled, trials=(dataclasses.replace(first, rungs=judged), *rest)
    )
    frame = rung_frame(record)
    assert len(frame) == 2 * len(record.complete)
    assert frame.loc[~frame["counts"], ["number", "rung"]].to_numpy().tolist() == [[0, 0.5]]
    exact = frame[frame["rung"] == 0.5]
    for metric in ("retention", "attenuation", "auroc"):
        assert (exact[f"{metric}_at_rung"] == exact[metric]).all()
    made = [panel for panel in panels(record)[0] if panel.section == "rungs"]
    assert [panel.title for panel in made] == [
        "Retention at the rungs",
        "Attenuation at the rungs",
        "AUROC at the rungs",
    ]
    early, late = made[0].figure.data
    assert (early.name, late.name) == ("rung 0.25", "rung 0.5")
    assert list(late.x) == list(late.y) == [trial.values[0] for trial in record.complete]
    assert [s for s in (*early.marker.symbol, *late.marker.symbol) if s != "circle"] == [
        "circle-open"
    ]
    assert late.marker.symbol[0] == "circle-open"
    grid = made[0].data
    assert grid.header == ("allocation", "rung 0.25", "rung 0.5", "end")
    trial = record.complete[3]
    row = next(row for row in grid.rows if row[0] == f"{trial.allocation} (trial {trial.number})")
    assert row[2] == row[3] == f"{trial.values[0]:.2f}"


def test_page_has_the_table_the_reasons_and_the_figures(shuffled):
    text = render_page(shuffled)
    assert '<a href="#rungs">Early stopping</a>' in text
    section = rungs_of(text)
    table = rung_table(shuffled)
    for words in (*table.header, *(cell for row in table.rows for cell in row)):
        assert f">{words}</t" in section
    assert section.count("<li>") == 2
    assert len(re.findall("data-figure", section)) == 3

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

from rich.console import Console

from allocsearch.report.exports.pick import pick
from allocsearch.report.front import pareto_front
from allocsearch.report.terminal.summary import status_lines, summary


def _printed(renderable, width: int = 200) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(renderable, crop=False)
    return console.file.getvalue().splitlines()


def _words(lines: list[str]) -> set[str]:
    return {word.strip(",") for line in lines for word in line.split()}


def test_summary_of_a_study(study):
    report = study.folder / "report.html"
    head, *lines = _printed(summary(study, elapsed=112.0, report=report), 200)
    assert head.startswith("synthetic-24  22 of 24 trials (2 failed, 1 interrupted, 1 running)")
    front = pareto_front(study)
    members = len({trial.allocation for trial in front})
    trained = len({trial.allocation for trial in study.complete})
    assert head.endswith(f"1 m 52 s  2 workers  front: {members} of {trained} allocations")
    table = lines[: len(front) + 1]
    assert table[0].split() == [
        "allocation",
        "ratio",
        "retention",
        "attenuation",
        "AUROC",
        "trial",
    ]
    for row, trial in zip(table[1:], front, strict=True):
        cells = row.split()
        assert cells[0] == str(trial.allocation)
        assert cells[2] == f"{trial.metrics['retention']:.2f}"
        assert cells[-1] == str(trial.number)
    knee = pick(study, "knee")
    assert lines[len(front) + 1 :] == [
        f"Recommended (knee): {knee.allocation} (trial {knee.number}).",
        "No gain over the uniform split 8-8-8 is known: it was not trained in this study.",
        f"Export:  allocsearch export {study.folder} --pick knee --format toml",
        f"Report:  {report}",
    ]


def test_summary_in_a_narrow_terminal(study):
    record = dataclasses.replace(study, folder=Path("runs/synthetic"))
    report = record.folder / "report.html"
    lines = _printed(summary(record, elapsed=112.0, report=report), 40)
    assert max(map(len, lines)) <= 40
    knee = pick(study, "knee")
    place = lines.index(str(knee.allocation))
    assert lines[place + 1].startswith(f"  ratio {knee.allocation.ratio:.2f}, retention ")
    details = " ".join(lines[place + 1 : place + 3]).split(", ")
    assert f"AUROC {knee.metrics['auroc']:.3f}" in [part.strip() for part in details]
    # A shell takes the two for one.
    assert lines[-4:] == [
        "Export:",
        "allocsearch export runs/synthetic \\",
        "    --pick knee --format toml",
        "Report:  runs/synthetic/report.html",
    ]
    words = {
        word for line in _printed(summary(record, elapsed=112.0), 200) for word in line.split()
    }
    found = {word.strip(",") for line in lines[:-1] for word in line.split()}
    assert found - {word.strip(",") for word in words} == {"\\"}


def test_values_have_the_intervals_that_were_recorded(study):
    def recorded(trial):
        auroc = trial.metrics["auroc"]
        ends = {"auroc_low": auroc - 0.02, "auroc_high": auroc + 0.01}
        return dataclasses.replace(trial, metrics={**trial.metrics, **ends})

    trials = tuple(recorded(t) if t.state == "complete" else t for t in study.trials)
    record = dataclasses.replace(study, trials=trials)
    knee = pick(record, "knee")
    auroc = knee.metrics["auroc"]
    text = f"{auroc:.3f} ({auroc - 0.02:.3f}-{auroc + 0.01:.3f})"
    lines = _printed(summary(record))
    assert "AUROC (95 %)" in lines[1]
    assert "retention (95 %)" not in lines[1]
    assert [text in line for line in lines if line.startswith(f"{knee.allocation} ")] == [True]
    assert [f"AUROC {text}" in x for x in status_lines(record) if x.endswith("(knee)")] == [True]


def test_command_is_quoted_for_the_shell(study):
    record = dataclasses.replace(study, folder=Path("my runs/a b"))
    assert any("allocsearch export 'my runs/a b' --pick" in x for x in _printed(summary(record)))


def test_summary_without_a_complete_trial(study):
    failed = tuple(trial for trial in study.trials if trial.state != "complete")
    lines = _printed(summary(dataclasses.replace(study, trials=failed)))
    assert lines == [
        "synthetic-24  2 of 24 trials (2 failed, 1 interrupted, 1 running)  2 workers",
        "No complete trial, so no front and no recommendation.",
        "Last failure: loss is <script>nan</script>",
    ]


def test_failure_reasons_are_no_markup(study):
    trial = dataclasses.replace(study.trials[5], reason="[bold]odd[/nothing]\nsecond line")
    lines = _printed(summary(dataclasses.replace(study, trials=(trial,))))
    assert lines[-1] == "Last failure: [bold]odd[/nothing] second line"


def test_status(study):
    lines = status_lines(study)
    head = "synthetic-24: 22 of 24 trials; 20 complete, 2 failed, 1 interrupted, 1 running"
    assert lines[0] == head
    allocation = study.trials[23].allocation
    assert lines[1] == f"  running: trial 23  {allocation}  epoch 3 of 20  ELBO -31.25 nats"
    assert len(lines) == 6 + len(pareto_front(study))
    knee = pick(study, "knee")
    assert lines[-3] == f"recommended (knee): {knee.allocation} (trial {knee.number})"
    assert lines[-1].startswith("Agreement of the OOD validation sets: it takes 5 allocations")
    assert sum(line.endswith("(knee)") for line in lines) == 1


def test_status_of_a_study_that_has_not_begun(study):
    empty = dataclasses.replace(study, trials=())
    assert status_lines(empty) == (
        "synthetic-24: 0 of 24 trials; none started",
        "no front yet: no trial is complete",
    )

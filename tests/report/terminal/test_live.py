from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from allocsearch.report.front import pareto_front
from allocsearch.report.terminal.live import PlainProgress, live_view, time_left


def _shown(record, width):
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(live_view(record, elapsed=75.0))
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 200])
def test_view_fits_the_terminal(study, width):
    lines = _shown(study, width)
    assert lines
    assert all(len(line) <= width for line in lines)
    text = " ".join(" ".join(lines).split())
    assert "synthetic-24" in text
    assert "3/20" in text


def test_view_at_an_ordinary_width(study):
    lines = _shown(study, 200)
    assert "22 of 24 trials" in lines[0]
    assert "1 m 15 s" in lines[0]
    assert "left" in lines[0]
    running = study.trials[23]
    assert lines[1].split() == [
        *("trial", "23", str(running.allocation)),
        *("epoch", "3/20", "ELBO", "-31.25", "nats"),
    ]
    front = pareto_front(study)
    rows = [line.split()[0] for line in lines[4 : 4 + len(front)]]
    assert rows[:8] == [str(trial.allocation) for trial in front[:8]]
    assert (lines[-1] == f"and {len(front) - 8} more") == (len(front) > 8)


def test_view_before_the_first_trial(study):
    lines = _shown(dataclasses.replace(study, trials=()), 100)
    assert lines[0].startswith("synthetic-24")
    assert "0 of 24 trials" in lines[0]
    assert lines[1:] == ["starting the workers ..."]


def test_time_left(study):
    ended = tuple(
        dataclasses.replace(trial, duration=10.0) for trial in study.trials if trial.finished
    )
    running = study.trials[23]
    record = dataclasses.replace(study, trials=ended)
    # 22 of 24 are finished; 2 workers do the other two side by side.
    assert time_left(record) == pytest.approx(10.0)
    halfway = dataclasses.replace(running, progress={"epoch": 10, "epochs": 20, "elbo": -30.0})
    record = dataclasses.replace(study, trials=(*ended, halfway))
    assert time_left(record) == pytest.approx(10.0 * 1.5 / 2)
    assert time_left(dataclasses.replace(study, trials=(running,))) is None


def test_a_pretraining_is_no_part_of_the_epochs(study):
    told = {"pretrain_epoch": 3, "pretrain_epochs": 5, "epochs": 20, "contrastive_loss": 4.0}
    ended = tuple(
        dataclasses.replace(trial, duration=10.0) for trial in study.trials if trial.finished
    )
    running = dataclasses.replace(study.trials[23], progress=told, state="running")
    record = dataclasses.replace(study, trials=(*ended, running))
    assert time_left(record) == pytest.approx(10.0)
    console = Console(width=100, file=io.StringIO())
    console.print(live_view(record, 1.0))
    assert "pretraining 3/5" in console.file.getvalue()


def test_plain_lines_tell_each_trial_once(study):
    first = dataclasses.replace(study, trials=study.trials[:2])
    plain = PlainProgress()
    assert plain.lines(dataclasses.replace(study, trials=())) == ["synthetic-24: 0 of 24 trials"]
    lines = plain.lines(first)
    assert [line.split("  ")[0] for line in lines] == ["1 of 24", "2 of 24"]
    assert lines[0].startswith(f"1 of 24  trial 0  {study.trials[0].allocation}  retention ")
    assert f"{study.trials[0].metrics['retention']:.2f} nats" in lines[0]
    assert plain.lines(first) == []
    odd = dataclasses.replace(study.trials[5], reason="two\nlines")
    (failed,) = plain.lines(dataclasses.replace(study, trials=(*first.trials, odd)))
    assert failed.startswith("3 of 24  trial 5")
    assert failed.endswith("failed: two lines")


def test_plain_lines_count_the_trials_of_an_earlier_run(study):
    lines = PlainProgress().lines(study)
    assert lines == ["synthetic-24: 22 of 24 trials"]


def test_view_of_a_foreign_trainer(study):
    progress = {"progress": 0.25, "epoch": 3.0, "loss": 2.0}
    running = dataclasses.replace(study.trials[23], progress=progress)
    ended = tuple(dataclasses.replace(t, duration=10.0) for t in study.trials if t.finished)
    record = dataclasses.replace(study, trials=(*ended, running))
    assert _shown(record, 200)[1].split() == ["trial", "23", str(running.allocation), "25%"]
    assert time_left(record) == pytest.approx(10.0 * 1.75 / 2)

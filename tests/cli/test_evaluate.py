"""The final evaluation as the real command."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from allocsearch.config import load
from allocsearch.search.evaluation.evaluations import read_evaluation, read_openings
from allocsearch.search.hvae_trainer import HVAETrainer
from allocsearch.search.records import read_run
from allocsearch.search.run import prepare
from allocsearch.search.slots import fill
from allocsearch.search.storage import open_study
from allocsearch.search.worker import work
from allocsearch.spaces import build_space

COMMAND = Path(sys.executable).with_name("allocsearch")
PATIENCE = 120.0
TEST_SETS = [
    {"shift": "segment_deletion", "strength": 0.5},
    {"shift": "additive_noise", "strength": 0.3},
]


@pytest.fixture(scope="module")
def searched(tmp_path_factory, write_study):
    """The folder of a tiny study with test sets that has been run, in this process."""
    folder = tmp_path_factory.mktemp("searched")
    data = {"ood_test": TEST_SETS, "test_size": 64}
    study = write_study(folder / "tiny.toml", data=data, evaluation={"score": "llr_1"})
    run = folder / "runs" / "tiny"
    config = prepare(load(study), run)
    opened = open_study(config, run, create=True)
    fill(opened, config, build_space(config.search_space))
    work(opened, config, run, HVAETrainer(config))
    return run


@pytest.fixture
def run(searched, tmp_path):
    """A copy of its run folder."""
    return Path(shutil.copytree(searched, tmp_path / "runs" / "tiny"))


ONE = ("evaluate", "--pick", "trial:0", "--seeds", "1")


@pytest.fixture(scope="module")
def evaluated_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("evaluated") / "tiny"


@pytest.fixture
def evaluated(searched, evaluated_folder, main_here, tmp_path):
    """A copy of the run folder with an evaluation of one seed, and what that has said."""
    said = evaluated_folder.with_name("out.txt")
    if not said.exists():
        shutil.copytree(searched, evaluated_folder)
        ended = main_here(*ONE, evaluated_folder)
        assert (ended.code, ended.err) == (0, "")
        said.write_text(ended.out)
    return Path(shutil.copytree(evaluated_folder, tmp_path / "runs" / "tiny")), said.read_text()


def test_evaluation_of_two_picks(run, main_here):
    picks = ("--pick", "trial:0", "--pick", "max:elbo")
    ended = main_here("evaluate", run, *picks, "--seeds", "2", "--workers", "2")
    assert (ended.code, ended.err) == (0, "")
    record = read_run(run)
    (opening,) = read_openings(run)
    best = max(record.complete, key=lambda trial: trial.metrics["elbo"])
    assert {*opening.picked} == {str(record.trials[0].allocation), str(best.allocation)}
    evaluation = read_evaluation(run, opening)
    total = 2 * len(evaluation.evaluated)
    lines = ended.out.splitlines()
    assert lines[0] == f"0 of {total} trainings"
    assert lines[2 * total + 1] == f"{total} of {total} tests"
    assert lines[2 * total + 2] == "tiny  test sets opened 1 time in this run"
    table = run / "evaluations" / "1" / "evaluation.csv"
    assert lines[-2:] == [str(table), str(run / "report.html")]
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * len(evaluation.evaluated)
    for row in rows:
        assert 0 <= float(row["low"]) <= float(row["auroc"]) <= float(row["high"]) <= 1
        shown = f"{float(row['auroc']):.3f} ({float(row['low']):.3f}-{float(row['high']):.3f})"
        assert any(
            line.startswith(row["allocation"]) and row["set"] in line and shown in line
            for line in lines
        )
    assert sum("uniform split" in line for line in lines) == 1
    assert sum("score llr_1: named by the study" in line for line in lines) == len(rows) / 2
    assert record.trials == read_run(run).trials


def test_other_picks_are_refused_and_counted_with_again(evaluated, main_here):
    run, _ = evaluated
    other = next(
        str(trial.number)
        for trial in read_run(run).trials
        if trial.allocation != read_run(run).trials[0].allocation
    )
    refused = main_here("evaluate", run, "--pick", f"trial:{other}", "--seeds", "1")
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert "opened 1 time in this run" in refused.err
    assert "choosing among allocations by repeated test evaluation is the mistake" in refused.err
    again = main_here("evaluate", run, "--pick", f"trial:{other}", "--seeds", "1", "--again")
    assert (again.code, again.err) == (0, "")
    assert "test sets opened 2 times in this run, for different picks" in again.out
    assert "opened 2 times" in (run / "report.html").read_text()
    assert [opening.again for opening in read_openings(run)] == [False, True]


def test_what_is_there_already_is_shown_and_not_done_again(evaluated, main_here):
    run, said = evaluated
    second = main_here(*ONE, run)
    assert second.code == 0
    shown = said[said.index("tiny  test sets") :]
    assert second.out == shown.replace(
        said.splitlines()[-1].removesuffix("/report.html"), str(run)
    )
    assert len(read_openings(run)) == 1


UNBROKEN = ("evaluate", "--pick", "trial:0", "--seeds", "2")


@pytest.fixture(scope="module")
def unbroken_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("unbroken") / "tiny"


@pytest.fixture
def unbroken(searched, unbroken_folder, main_here):
    """The run folder with an evaluation that nothing has stopped, once for all tests."""
    if not unbroken_folder.exists():
        shutil.copytree(searched, unbroken_folder)
        assert main_here(*UNBROKEN, unbroken_folder).code == 0
    return unbroken_folder


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_stopped_at_work_it_goes_on(number, unbroken, run, main_here, tmp_path):
    output = tmp_path / "output"
    with output.open("wb") as file:
        process = psutil.Popen(
            [COMMAND, *UNBROKEN, run, "--workers", "2"],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    trainings = run / "evaluations" / "trainings"
    deadline = time.monotonic() + PATIENCE
    while not list(trainings.glob("*/metrics.json")):
        assert time.monotonic() < deadline
        assert process.poll() is None, output.read_text()
        time.sleep(0.02)
    workers = process.children(recursive=True)
    process.send_signal(number)
    code = process.wait(PATIENCE)
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    if number != signal.SIGKILL:
        assert output.read_text().endswith(
            "Interrupted; what had finished is kept. The same command goes on.\n"
        )
    _, alive = psutil.wait_procs(workers, PATIENCE)
    assert not alive
    kept = {path: path.stat().st_mtime_ns for path in trainings.glob("*/metrics.json")}
    assert kept
    ended = main_here(*UNBROKEN, run)
    assert (ended.code, ended.err) == (0, "")
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    (opening,) = read_openings(run)
    (other,) = read_openings(unbroken)
    expected = read_evaluation(unbroken, other).evaluated
    assert read_evaluation(run, opening).evaluated == expected


def test_study_without_test_sets(finished_run, main_here):
    ended = main_here("evaluate", finished_run.folder)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "data.ood_test: found no set; allowed for a final evaluation: one or more" in ended.err
    assert not (finished_run.folder / "evaluations").exists()


def test_no_pick_by_a_test_metric(evaluated, main_here):
    run, _ = evaluated
    written = json.loads((run / "evaluations" / "1" / "evaluation.json").read_text())
    names = [found["name"] for found in written["evaluated"][0]["sets"]]
    assert names == ["segment_deletion", "additive_noise"]
    for name in names:
        ended = main_here("evaluate", run, "--pick", f"max:auroc.{name}.llr_1")
        assert (ended.code, ended.out) == (2, "")
        assert "unknown metric" in ended.err

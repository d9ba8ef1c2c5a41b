"""Whole studies of programs and functions that are not ours, by the real command."""

from __future__ import annotations

import json
import os
import signal
import stat
import sys

import psutil
import pytest
import tomli_w

from allocsearch.config import load
from allocsearch.report.exports.export import load_export
from allocsearch.search.records import read_run, read_study
from allocsearch.search.run import prepare
from allocsearch.search.slots import fill
from allocsearch.search.storage import open_study
from allocsearch.search.trainers import build_trainer
from allocsearch.search.worker import work
from allocsearch.spaces import build_space

# What it does depends on the first dim of the allocation.
BAD = """#!{python} -IS
import json, os, signal, subprocess, sys, time
allocation, out = sys.argv[1:3]
first = int(allocation.split("-")[0])
print("training", allocation, flush=True)
if first == 1:
    subprocess.Popen(["sleep", "1000"], start_new_session=True)
    time.sleep(1000)
if first == 2:
    os.kill(os.getpid(), signal.SIGSEGV)
if first == 3:
    print("out of memory")
    sys.exit(7)
if first == 4:
    open(out, "w").write("garbage")
    sys.exit()
if first == 5:
    open(out, "w").write('{{"good": 1, "cheap": ')
    sys.exit()
if first == 6:
    open(out, "w").write('{{"good": NaN, "cheap": 1}}')
    sys.exit()
if first == 7:
    for _ in range(3):
        subprocess.Popen(["sleep", "1001"])
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(1002)
        os._exit(0)
json.dump({{"good": first, "cheap": -first}}, open(out, "w"))
"""
REASONS = {
    1: "over its time limit of 10 s; the end of log.txt: training 1-9",
    2: "killed by SIGSEGV; the end of log.txt: training 2-8",
    3: "exit code 7; the end of log.txt: out of memory",
    4: "its metrics: out.json is not JSON: Expecting value: line 1 column 1 (char 0); the end",
    5: "its metrics: out.json is not JSON: Expecting value: line 1 column 22 (char 21); the end",
    6: "its metrics: good is nan; allowed: a finite number; the end of log.txt: training 6-4",
}


@pytest.fixture
def write(tmp_path):
    """Write a study without data, and a program beside it."""

    def call(trainer, program="", **study):
        content = {
            "study": {
                "name": "foreign",
                "objectives": ["max:good", "min:cheap"],
                "sampler": "grid",
                **study,
            },
            "search_space": {"budget": 10, "layers": 2},
            "trainer": trainer,
        }
        (tmp_path / "study.toml").write_text(tomli_w.dumps(content))
        path = tmp_path / "train"
        path.write_text(program)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return tmp_path

    return call


def train_here(config, run):
    """Train the trials of a study in this process, where `run` would start workers for it."""
    config = prepare(config, run)
    study = open_study(config, run, create=True)
    fill(study, config, build_space(config.search_space))
    work(study, config, run, build_trainer(config))
    return read_study(study, config, run)


def test_whatever_a_program_does_the_study_goes_on(write, command, main_here, monkeypatch, family):
    # Long enough for an interpreter to start on a machine that has other things to do.
    trainer = {
        "kind": "command",
        "command": ["./train", "{allocation}", "{out}"],
        "time_limit": 10,
    }
    folder = write(trainer, BAD.format(python=sys.executable), trials=9, workers=2)
    ended = command("run", "study.toml", cwd=folder)
    assert ended.code == 0, ended.err
    assert family() == []
    record = read_run(folder / "runs" / "foreign")
    assert record.finished == 9
    by_first = {trial.allocation.dims[0]: trial for trial in record.trials}
    assert sorted(by_first) == [*range(1, 10)]
    for first, trial in by_first.items():
        place = record.folder / "trials" / str(trial.number)
        assert (place / "log.txt").read_text().startswith(f"training {first}-{10 - first}\n")
        if first in REASONS:
            assert trial.state == "failed"
            assert trial.reason.startswith(REASONS[first])
            assert f"failed: {REASONS[first]}" in ended.out
        else:
            assert trial.state == "complete"
            assert trial.values == (first, -first)
            assert json.loads((place / "metrics.json").read_text())["metrics"] == trial.metrics
    assert "9-1" in ended.out
    assert (record.folder / "report.html").is_file()
    monkeypatch.chdir(folder)
    assert main_here("status", "runs/foreign").code == 0
    for arguments in (("evaluate", "runs/foreign"), ("theory", "study.toml")):
        refused = main_here(*arguments)
        assert refused.code == 2
        assert refused.err.count("\n") == 1


def test_an_export_is_trained_again_by_its_program(write, main_here, monkeypatch, family):
    trainer = {"kind": "command", "command": ["./train", "{allocation}", "{out}"]}
    folder = write(trainer, BAD.format(python=sys.executable), trials=9)
    monkeypatch.chdir(folder)
    (folder / "study.toml").write_text(
        (folder / "study.toml").read_text().replace("layers = 2", "layers = 2\nmin_dim = 4")
    )
    program = (folder / "train").read_text()
    for first in (4, 5, 6):
        program = program.replace(f"if first == {first}:", "if False:")
    (folder / "train").write_text(program)
    train_here(load(folder / "study.toml"), folder / "runs" / "foreign")
    written = main_here("export", "runs/foreign", "--pick", "max:good", "--out", "b.toml")
    assert written.code == 0, written.err
    exported = load_export(folder / "b.toml")
    assert exported.data is None
    assert exported.trainer.command == ("./train", "{allocation}", "{out}")
    assert exported.metrics == {"good": 6.0, "cheap": -6.0}
    again = main_here("train", "b.toml")
    assert again.code == 0, again.err
    assert "All 2 metrics equal the exported ones exactly." in again.out
    assert "No detector" in again.out
    assert (folder / "b" / "log.txt").read_text() == "training 6-4\n"
    refused = main_here("score", "b", "--data", "digits")
    assert refused.code == 2
    assert refused.err.count("\n") == 1
    (folder / "train").write_text(program.replace('"cheap": -first', '"cheap": 3'))
    other = main_here("train", "b.toml", "--out", "c")
    assert "1 of 2 metrics differ:" in other.out
    (folder / "train").write_text("#!/bin/sh\nexit 9\n")
    failed = main_here("train", "b.toml", "--out", "d")
    assert (failed.code, failed.err) == (1, "exit code 9\n")
    assert family() == []


FUNCTION = """
import os, signal
def train(allocation, config, seed, report):
    print("a line of the function")
    first = allocation.dims[0]
    if first == 2:
        raise RuntimeError("no luck")
    if first == 3 and not os.path.exists("killed"):
        open("killed", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    for step in range(1, 5):
        report(step / 4, {"good": first, "cheap": -first}, step=step)
    return {"good": first, "cheap": -first, "seed": seed % 1000}
"""


def test_a_function_of_the_current_folder(write, command, main_here, monkeypatch):
    folder = write(
        {"kind": "callable", "function": "function_of_a_study:train"}, trials=9, workers=2
    )
    (folder / "function_of_a_study.py").write_text(FUNCTION)
    ended = command("run", "study.toml", cwd=folder)
    assert ended.code == 0, ended.err
    record = read_run(folder / "runs" / "foreign")
    states = [trial.state for trial in record.trials]
    assert (states.count("complete"), states.count("failed")) == (8, 1)
    # The worker that was killed is repeated.
    assert states.count("interrupted") == 1
    [failed] = [trial for trial in record.trials if trial.state == "failed"]
    assert failed.reason == "RuntimeError: no luck"
    log = (record.folder / "workers.log").read_text()
    assert "a line of the function" in log
    assert "raise RuntimeError" in log
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    exported = main_here("export", "runs/foreign", "--out", "b.json")
    assert exported.code == 0, exported.err
    again = main_here("train", "b.json")
    assert "All 3 metrics equal the exported ones exactly." in again.out, again.err


STAGED = """
def train(allocation, config, seed, report):
    good = allocation.dims[0]
    report(0.3, {"good": good, "cheap": -good})
    return {"good": good, "cheap": 0}
"""


def test_rungs_stop_a_foreign_trainer(write, monkeypatch):
    """The first to come are not judged; then none goes on that is among the worst."""
    folder = write({"kind": "callable", "function": "stages_of_a_study:train"}, trials=9)
    (folder / "stages_of_a_study.py").write_text(STAGED)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    settings = ["early_stopping.mode=forced", "early_stopping.rungs=0.25"]
    config = load(folder / "study.toml", [*settings, "study.objectives=max:good"])
    run = folder / "runs" / "foreign"
    trials = train_here(config, run).trials
    assert len(trials) == 9
    for place, trial in enumerate(trials):
        [rung] = trial.rungs
        assert (rung.rung, rung.values) == (0.25, (trial.allocation.dims[0],))
        better = sum(t.allocation.dims[0] > rung.values[0] for t in trials[:place])
        stopped = place >= 2 and better >= -(-(place + 1) // 3)
        assert trial.state == ("pruned" if stopped else "complete")
    assert {trial.state for trial in trials} == {"pruned", "complete"}


@pytest.mark.parametrize(
    ("trainer", "message"),
    [
        (
            {"kind": "callable", "function": "function_of_no_study:trane"},
            "trainer.function: found 'function_of_no_study:trane': ",
        ),
        (
            {"kind": "command", "command": ["./trane", "{allocation}", "{out}"]},
            "trainer.command: found no program './trane' that runs in ",
        ),
    ],
)
def test_what_cannot_be_run_is_found_before_anything_is_written(
    write, main_here, monkeypatch, trainer, message
):
    folder = write(trainer)
    (folder / "function_of_no_study.py").write_text(FUNCTION)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    ended = main_here("run", "study.toml")
    assert ended.code == 2
    assert ended.err.startswith(message)
    assert ended.err.count("\n") == 1
    assert not (folder / "runs").exists()


HANGING = """#!/bin/sh
setsid sleep 1000 &
touch "$2.begun"
sleep 1001
"""


def begun(folder):
    return [*folder.glob("runs/foreign/trials/*/out.json.begun")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_interrupted_or_killed_leaves_no_process(write, family, wait_for, number):
    """Killed are the run and all its workers; what they had started ends by itself."""
    trainer = {"kind": "command", "command": ["./train", "{allocation}", "{out}"]}
    folder = write(trainer, HANGING, trials=4, workers=2)
    command = [os.path.join(os.path.dirname(sys.executable), "allocsearch"), "run", "study.toml"]
    with open(folder / "output", "wb") as output:
        run = psutil.Popen(
            command, cwd=folder, stdout=output, stderr=output, start_new_session=True
        )
    wait_for(lambda: len(begun(folder)) == 2)
    if number == signal.SIGKILL:
        workers = [p for p in run.children(recursive=True) if os.getsid(p.pid) == run.pid]
        for process in (*workers, run):
            process.kill()
    else:
        run.send_signal(number)
    run.wait()
    wait_for(lambda: family() == [])
    states = [trial.state for trial in read_run(folder / "runs" / "foreign").trials]
    if number == signal.SIGINT:
        assert states.count("interrupted") == 2
        assert states.count("waiting") == 4

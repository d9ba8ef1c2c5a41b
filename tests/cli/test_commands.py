"""The commands on a small study: examples, output, exit codes, what they import."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import allocsearch
from allocsearch.config import InputError
from allocsearch.report.exports.export import load_export
from allocsearch.search.records import PROGRESS, WORKER, read_run
from allocsearch.search.storage import StorageError, load_run_config, open_study

COMMANDS = ("run", "status", "report", "export", "train", "score")


def _copied(finished_run, tmp_path):
    shutil.copytree(finished_run.folder, tmp_path / "runs" / "quickstart")
    return tmp_path / "runs" / "quickstart"


def _examples(main_here, verb):
    """The arguments of the examples in the help of a command."""
    ended = main_here(verb, "--help")
    assert (ended.code, ended.err) == (0, "")
    text = " ".join(ended.out.split()).partition("╭")[0]
    found = re.findall(r"Example: allocsearch (.*?)(?= Example:|$)", text)
    assert found, ended.out
    return [shlex.split(example) for example in found]


def test_help_lists_every_command(command, tmp_path):
    ended = command("--help", cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert all(f" {verb} " in ended.out for verb in COMMANDS)
    assert "\x1b" not in ended.out


def test_version(main_here):
    assert main_here("--version").out == f"allocsearch {allocsearch.__version__}\n"


def test_output_of_a_run_without_a_terminal(finished_run):
    ended = finished_run.ended
    assert (ended.code, ended.err) == (0, "")
    assert "\x1b" not in ended.out
    assert "\r" not in ended.out
    record = read_run(finished_run.folder)
    head, *lines = ended.out.splitlines()
    assert head == "quickstart: 0 of 3 trials"
    for trial in record.trials:
        told = [x for x in lines if re.match(rf"\d of 3  trial {trial.number}  ", x)]
        assert len(told) == 1
        assert f"  {trial.allocation}  retention " in told[0]
    assert lines[3].startswith("quickstart  3 of 3 trials")
    assert lines[-2] == "Export:  allocsearch export runs/quickstart --pick knee --format toml"
    assert lines[-1] == "Report:  runs/quickstart/report.html"
    assert (finished_run.folder / "report.html").read_text().startswith("<!DOCTYPE html>")
    with (finished_run.folder / "trials.csv").open() as file:
        assert [int(row["number"]) for row in csv.DictReader(file)] == [0, 1, 2]
    assert (finished_run.folder / "workers.log").read_text() == ""


def test_examples_work_as_they_stand(finished_run, tmp_path, main_here, monkeypatch):
    """In the order of a user's work; the study of the examples has been run here."""
    _copied(finished_run, tmp_path)
    shutil.copytree(finished_run.study.parent, tmp_path / "studies")
    monkeypatch.chdir(tmp_path)
    said = {}
    for verb in COMMANDS:
        for arguments in _examples(main_here, verb):
            assert arguments[0] == verb
            said[verb] = main_here(*arguments)
            assert (said[verb].code, said[verb].err) == (0, ""), arguments
    assert said["run"].out.splitlines()[0] == "quickstart: 3 of 3 trials"
    assert said["status"].out.startswith("quickstart: 3 of 3 trials; 3 complete\n")
    assert said["report"].out.splitlines() == [
        f"runs/quickstart/{name}" for name in ("report.html", "trials.csv", "front.csv")
    ]
    assert said["train"].out.splitlines()[-1] == "best"
    assert (tmp_path / "best" / "metrics.json").is_file()


def test_exports_of_one_trial_are_equal_and_train_to_the_same(finished_run, tmp_path, main_here):
    exports = []
    for ending in ("toml", "yaml", "json"):
        path = tmp_path / f"best.{ending}"
        pick = ("--pick", "trial:1", "--format", ending, "--out", path)
        assert main_here("export", finished_run.folder, *pick).out == f"{path}\n"
        exports.append(load_export(path))
    assert exports[0] == exports[1] == exports[2]
    (trial,) = (t for t in read_run(finished_run.folder).trials if t.number == 1)
    assert exports[0].metrics == trial.metrics
    ended = main_here("train", tmp_path / "best.yaml", "--out", tmp_path / "again")
    assert (ended.code, ended.err) == (0, "")
    count = len(trial.metrics)
    assert ended.out.splitlines()[0] == f"All {count} metrics equal the exported ones exactly."
    again = json.loads((tmp_path / "again" / "metrics.json").read_text())
    first = json.loads((finished_run.folder / "trials" / "1" / "metrics.json").read_text())
    assert again == first
    assert (tmp_path / "again" / "model.safetensors").is_file()


def test_train_tells_what_differs(finished_run, tmp_path, main_here):
    path = tmp_path / "best.json"
    main_here("export", finished_run.folder, "--format", "json", "--out", path)
    content = json.loads(path.read_text())
    content["metrics"]["retention"] += 1.0
    path.write_text(json.dumps(content))
    ended = main_here("train", path)
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0] == f"1 of {len(content['metrics'])} metrics differ:"
    assert lines[1].startswith("retention: exported ")


def test_format_of_an_export_follows_its_name(finished_run, main_here, tmp_path):
    for name, start in (("a.json", "{"), ("a.yml", "schema_version: "), ("a.toml", "schema_")):
        assert main_here("export", finished_run.folder, "--out", tmp_path / name).code == 0
        assert (tmp_path / name).read_text().startswith(start)
        assert load_export(tmp_path / name).allocation
    odd = ("--format", "yaml", "--out", tmp_path / "b.toml")
    ended = main_here("export", finished_run.folder, *odd)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "the ending says toml, and --format is yaml" in ended.err
    assert not (tmp_path / "b.toml").exists()


def test_export_to_the_terminal(finished_run, main_here, tmp_path):
    ended = main_here("export", finished_run.folder, "--out", "-")
    (tmp_path / "typed.toml").write_text(ended.out)
    trials = {str(trial.allocation) for trial in read_run(finished_run.folder).trials}
    assert load_export(tmp_path / "typed.toml").allocation in trials


def test_export_is_named_by_its_allocation(finished_run, main_here, tmp_path):
    folder = _copied(finished_run, tmp_path)
    ended = main_here("export", folder, "--pick", "max:elbo", "--format", "yaml")
    best = max(read_run(folder).complete, key=lambda trial: trial.metrics["elbo"])
    assert ended.out == f"{folder / str(best.allocation)}.yaml\n"


def test_more_trials_for_a_finished_run(finished_run, main_here, tmp_path):
    folder = _copied(finished_run, tmp_path)
    before = read_run(folder).trials
    ended = main_here(
        "run", finished_run.study, "--set", "study.trials=5", "--runs", tmp_path / "runs"
    )
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[0] == "quickstart: 3 of 5 trials"
    record = read_run(folder)
    assert record.trials[:3] == before
    assert [trial.state for trial in record.trials] == ["complete"] * 5
    assert record.config.study.trials == 5


def test_a_worker_that_is_killed_in_the_middle_of_a_training(
    write_study, tmp_path, main_here, wait_for
):
    study = write_study(tmp_path / "tiny.toml", study={"trials": 1}, training={"epochs": 60})
    folder = tmp_path / "runs" / "tiny"

    def begun():
        """The attributes of a trial that tells of its training."""
        with suppress(StorageError, InputError):
            trials = open_study(load_run_config(folder), folder).trials
            return next((t.user_attrs for t in trials if PROGRESS in t.user_attrs), None)

    def kill_in_the_middle():
        wait_for(begun)
        os.kill(int(begun()[WORKER].split(":")[1]), signal.SIGKILL)

    with ThreadPoolExecutor(1) as other:
        killed = other.submit(kill_in_the_middle)
        ended = main_here("run", study, "--runs", tmp_path / "runs")
        killed.result()
    assert ended.code == 0
    [lost, repeated] = read_run(folder).trials
    assert (lost.state, lost.reason) == ("interrupted", "the worker died")
    assert (repeated.state, repeated.retry_of) == ("complete", lost.number)
    exported = main_here("export", folder, "--out", tmp_path / "best.toml")
    assert exported.code == 0
    again = main_here("train", tmp_path / "best.toml")
    assert f"All {len(repeated.metrics)} metrics equal the exported ones exactly." in again.out


def test_study_whose_trials_all_diverge(write_study, tmp_path, main_here):
    study = write_study(
        tmp_path / "wild.toml",
        study={"name": "wild", "trials": 2},
        training={"learning_rate": 1e30, "gradient_clip": 1e30},
    )
    ended = main_here("run", study, "--runs", tmp_path / "runs")
    assert (ended.code, ended.err) == (1, "")
    record = read_run(tmp_path / "runs" / "wild")
    assert [trial.state for trial in record.trials] == ["failed", "failed"]
    for trial in record.trials:
        assert re.search("nan|inf", trial.reason)
        assert trial.reason in ended.out
    assert "No complete trial" in ended.out
    page = (tmp_path / "runs" / "wild" / "report.html").read_text()
    assert record.trials[0].reason in page
    exported = main_here("export", tmp_path / "runs" / "wild")
    assert exported.code == 2
    assert "none of the 2 trials is complete" in exported.err


def loaded(script, cwd, *arguments):
    """The heavy libraries that a script in a process of its own has imported."""
    names = {"torch", "torchvision", "sklearn", "scipy", "pandas", "plotly", "boto3"}
    done = subprocess.run(
        [sys.executable, "-c", f"{script}\nprint(*{names} & {{*sys.modules}})", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.splitlines()[-1].split())


def test_quick_commands_import_no_torch(finished_run, tmp_path):
    # One process for all: what none of them imports, each does not.
    script = """
import sys
from allocsearch.cli import main
folder, out = sys.argv[1:]
export = ["export", folder, "--out", out]
for arguments in (["--help"], ["run", "--help"], ["status", folder], export):
    sys.argv[1:] = arguments
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, ended.code
"""
    best = tmp_path / "best.toml"
    assert not loaded(script, tmp_path, str(finished_run.folder), str(best))
    assert best.exists()


def test_what_trains_nothing_of_ours_imports_no_torch(tmp_path):
    rooms = "executors.supervisor, run, joining, worker, foreign.callable_trainer"
    modules = ", ".join(f"allocsearch.search.{name}" for name in rooms.split(", "))
    assert not loaded(f"import sys, {modules}", tmp_path)
    assert "torch" in loaded("import sys, allocsearch.search.hvae_trainer", tmp_path)

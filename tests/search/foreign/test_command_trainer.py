"""Real programs as trainers, good ones and bad ones."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from allocsearch.allocation import Allocation
from allocsearch.config import InputError, StudyConfig
from allocsearch.search.foreign.checked_metrics import MetricsError
from allocsearch.search.foreign.command_trainer import CommandTrainer
from allocsearch.search.foreign.guarded_program import ProgramError
from allocsearch.search.trainer import Hooks, PrunedError, Result, Task


class StoppedError(Exception):
    """As a worker raises it."""


def study(command, time_limit=None, model=None, **early_stopping):
    return StudyConfig.model_validate(
        {
            "study": {"objectives": ["max:good"]},
            "search_space": {"budget": 12},
            "model": model or {},
            "early_stopping": early_stopping,
            "trainer": {"kind": "command", "command": command, "time_limit": time_limit},
        }
    )


@pytest.fixture
def run(tmp_path, family):
    """Run a command for 6-4-2 with seed 7; what it gave, and its folder."""

    def call(command, hooks=None, **sections):
        config = study(command, **sections)
        task = Task(Allocation((6, 4, 2)), 7, tmp_path / "trials" / "3")
        [(index, found)] = CommandTrainer(config, grace=0.3).run([task], hooks or Hooks())
        assert index == 0
        assert family() == []
        return found, task.folder

    return call


def shell(script, *arguments):
    """A command that is a shell script, with the metrics file as $1."""
    return ["sh", "-c", script, "{allocation}", "{out}", *arguments]


def test_all_placeholders_are_filled_in(run):
    script = """
import json, sys
out, *arguments = sys.argv[1:]
json.dump({"good": 1, "n": len(arguments)}, open(out, "w"))
print(json.dumps(arguments))
"""
    names = ["{allocation}", "x{allocation_json}", "{seed}", "{reports}", "{{seed}}", "{python}"]
    found, folder = run(["{python}", "-c", script, "{out}", *names, "{hvae_oodd_config}"])
    assert isinstance(found, Result)
    assert found.metrics == {"good": 1.0, "n": 7.0}
    *arguments, oodd = json.loads((folder / "log.txt").read_text())
    reports = str(folder / "reports.jsonl")
    assert arguments == ["6-4-2", "x[6, 4, 2]", "7", reports, "{seed}", sys.executable]
    config = json.loads(Path(oodd).read_text())
    assert [layer["latent_features"] for layer in config["config_stochastic"]] == [6, 4, 2]
    assert len(config["config_deterministic"]) == 3
    kept = json.loads((folder / "metrics.json").read_text())
    assert kept["metrics"] == found.metrics
    assert (kept["allocation"], kept["seed"]) == ("6-4-2", 7)
    assert kept["provenance"]["trainer"].startswith("{python} -c")


def test_it_runs_where_the_study_was_started(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train").write_text('#!/bin/sh\npwd\necho \'{"good": 2}\' > "$2"\n')
    (tmp_path / "train").chmod(0o755)
    found, folder = run(["./train", "{allocation}", "{out}"])
    assert found.metrics == {"good": 2.0}
    assert (folder / "log.txt").read_text() == f"{tmp_path}\n"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (
            "echo trying; echo 'no  memory' >&2; exit 3",
            "exit code 3; the end of log.txt: no memory",
        ),
        ("exit 3", "exit code 3"),
        ("kill -KILL $$", "killed by SIGKILL"),
        ("echo bad; kill -ABRT $$", "killed by SIGABRT; the end of log.txt: bad"),
        ("echo '{\"good\": 1}' > $1; exit 1", "exit code 1"),
        (
            "echo done",
            "its metrics: found no file out.json, which is {out}; the end of log.txt: do",
        ),
        ("mkfifo $1", "its metrics: found no file out.json"),
        ("mkdir $1", "its metrics: found no file out.json"),
        (": > $1", "its metrics: out.json is not JSON: Expecting value"),
        ("echo garbage > $1", "its metrics: out.json is not JSON: Expecting value"),
        ("printf '{\"good\": 1' > $1", "its metrics: out.json is not JSON: Expecting ',' delim"),
        ("printf '\\377\\376' > $1", "its metrics: out.json is not JSON: "),
        ("echo '[1, 2]' > $1", "its metrics: found [1, 2]; allowed: an object of metrics by name"),
        ("echo '{\"good\": NaN}' > $1", "its metrics: good is nan; allowed: a finite number"),
        ("echo '{\"good\": 1e999}' > $1", "its metrics: good is inf; allowed: a finite number"),
        ("echo '{\"good\": null}' > $1", "its metrics: good is None; allowed: a number"),
        (
            'echo \'{"god": 1, "elbo": 2}\' > $1',
            "its metrics: no good, which is an objective; found god, elbo",
        ),
        ("head -c 3000000 /dev/zero > $1", "its metrics: out.json has more than 1048576 bytes"),
        ("head -c 100000 /dev/zero | tr '\\0' '[' > $1", "its metrics: out.json is not JSON"),
        ("head -c 100000 /dev/zero; printf '\\033[31m\\n'; exit 1", "exit code 1; the end of log"),
    ],
)
def test_what_goes_wrong_is_one_line(run, script, reason):
    found, folder = run(shell(script))
    assert isinstance(found, ProgramError | MetricsError)
    assert str(found).startswith(reason)
    assert str(found).isprintable()
    assert len(str(found)) < 400
    assert (folder / "log.txt").is_file()
    assert not (folder / "metrics.json").exists()


def test_over_its_time_limit(run):
    # A child that hangs in a session of its own, and a parent that does not listen.
    script = "trap '' TERM; echo begun; setsid sleep 1000 & sleep 1001"
    found, _ = run(shell(script), time_limit=5)
    assert str(found) == "over its time limit of 5 s; the end of log.txt: begun"


def test_children_that_are_left_do_no_harm(run):
    found, _ = run(shell("setsid sleep 1000 & sleep 1001 & echo '{\"good\": 1}' > $1"))
    assert found.metrics == {"good": 1.0}


def test_a_stop_ends_the_program(tmp_path, family, wait_for):
    ready = tmp_path / "ready"
    config = study(shell(f"setsid sleep 1000 & touch {ready}; sleep 1001"))

    def check():
        if ready.exists():
            raise StoppedError

    task = Task(Allocation((6, 4, 2)), 7, tmp_path / "trial")
    with pytest.raises(StoppedError):
        list(CommandTrainer(config, grace=0.3).run([task], Hooks(check=check)))
    assert family() == []


def test_files_of_an_attempt_before_do_not_count(run):
    found, _ = run(shell("echo '{\"good\": 1}' > $1; echo '{\"progress\": 1}' > $2", "{reports}"))
    assert found.metrics == {"good": 1.0}
    found, _ = run(shell("test ! -e $2 || exit 5", "{reports}"))
    assert str(found) == "its metrics: found no file out.json, which is {out}"


REPORTING = """
for share in 0.1 0.25 0.6; do
    echo "{\\"progress\\": $share, \\"loss\\": 3, \\"metrics\\": {\\"good\\": $share}}" >> $2
    while [ -e $2.hold ]; do sleep 0.01; done
done
echo '{"good": 1}' > $1
"""


def test_reports_reach_the_rungs(run):
    heard, shown = [], []
    hooks = Hooks(
        progress=lambda index, found: shown.append(found),
        rungs=(0.25, 0.5),
        rung=lambda index, rung, metrics: heard.append((rung, dict(metrics))),
    )
    found, _ = run(shell(REPORTING, "{reports}"), hooks)
    assert found.metrics == {"good": 1.0}
    assert heard == [(0.25, {"good": 0.25}), (0.5, {"good": 0.6})]
    assert shown == [{"progress": share, "loss": 3.0} for share in (0.1, 0.25, 0.6)]


def test_without_early_stopping_there_are_no_rungs(run):
    def rung(*_):
        raise AssertionError

    found, _ = run(shell(REPORTING, "{reports}"), Hooks(rung=rung))
    assert found.metrics == {"good": 1.0}


def test_a_rung_ends_the_program_while_it_runs(run):
    def rung(index, share, metrics):
        raise PrunedError(f"not among the best at {share}")

    script = """
echo '{"progress": 0.3, "metrics": {"good": 0}}' > $2
setsid sleep 1000 &
sleep 1001
"""
    found, _ = run(shell(script, "{reports}"), Hooks(rungs=(0.25,), rung=rung))
    assert isinstance(found, PrunedError)
    assert str(found) == "not among the best at 0.25"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("garbage", "its reports: line 1: not JSON: "),
        ('{"progress": 7}', "its reports: line 1: progress is 7.0; allowed: from 0 to 1"),
        ('{"metrics": {"good": 1}}', "its reports: line 1: progress is None; allowed: a number"),
        (
            '{"progress": 0.5, "metrics": {}}',
            "its reports: line 1: no good, which is an objective",
        ),
    ],
)
def test_reports_that_are_none_end_the_program(run, line, reason):
    found, _ = run(shell(f"echo '{line}' > $2; sleep 1000", "{reports}"))
    assert str(found).startswith(reason)


def test_one_bad_program_does_not_end_the_others(tmp_path, family):
    config = study(shell("test $0 = 6-4-2 && echo '{\"good\": 1}' > $1"))
    tasks = [
        Task(Allocation(dims), 0, tmp_path / str(place))
        for place, dims in enumerate([(4, 4, 4), (6, 4, 2), (8, 2, 2)])
    ]
    found = dict(CommandTrainer(config).run(tasks, Hooks()))
    assert str(found[0]) == str(found[2]) == "exit code 1"
    assert found[1].metrics == {"good": 1.0}
    assert family() == []


@pytest.mark.parametrize(
    ("program", "where"),
    [("no-such-program-here", "PATH"), ("./train", "{here}"), ("sub/train", "{here}")],
)
def test_no_such_program(tmp_path, monkeypatch, program, where):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        CommandTrainer(study([program, "{allocation}", "{out}"]))
    where = where.format(here=tmp_path)
    assert (
        str(caught.value) == f"trainer.command: found no program {program!r} that runs in {where}"
    )


def test_a_folder_that_cannot_be_written(tmp_path, family):
    (tmp_path / "trials").write_text("a file")
    task = Task(Allocation((6, 4, 2)), 7, tmp_path / "trials" / "3")
    [(_, found)] = CommandTrainer(study(shell("true"))).run([task], Hooks())
    assert str(found) == f"{task.folder}: Not a directory"

"""Real programs under a guard; whatever they do, none of their processes is left."""

from __future__ import annotations

import signal
import subprocess
import sys

import psutil
import pytest

from allocsearch.search.foreign.guarded_program import GuardedProgram, ProgramError

# Leaves the session and the parent behind, as a daemon does.
DAEMON = """
import os, signal, sys, time
def daemon(depth):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if depth:
                daemon(depth - 1)
            open(sys.argv[1] + str(depth), 'w').close()
            time.sleep(1000)
        os._exit(0)
daemon(2)
while not all(os.path.exists(sys.argv[1] + str(depth)) for depth in range(3)):
    time.sleep(0.01)
"""


@pytest.fixture
def run(tmp_path, family):
    """Run a program to its end; its exit code and its output."""

    def call(*command, grace=0.3):
        with GuardedProgram(command, tmp_path / "log.txt", grace) as program:
            while not program.ended(10.0):
                pass
            code = program.exit_code()
        assert family() == []
        return code, (tmp_path / "log.txt").read_text()

    return call


def python(script, *arguments):
    return (sys.executable, "-I", "-S", "-c", script, *map(str, arguments))


def test_exit_code_and_output(run):
    assert run("sh", "-c", "echo out; echo err >&2; exit 3") == (3, "out\nerr\n")
    assert run("sh", "-c", "kill -SEGV $$")[0] == -signal.SIGSEGV
    assert run("true") == (0, "")


def test_arguments_are_not_read_by_a_shell(run):
    assert run("printf", "%s\n", "a b", "$HOME", "*", "")[1] == "a b\n$HOME\n*\n\n"


def test_it_begins_as_in_a_shell(run):
    """Nothing of what workers do to their signals and files is inherited."""
    script = (
        "import os, signal, sys;"
        "assert signal.getsignal(signal.SIGINT) == signal.default_int_handler;"
        "assert not signal.pthread_sigmask(signal.SIG_BLOCK, ());"
        "assert sys.stdin.read() == '';"
        "assert os.getsid(0) == os.getpid();"
        "print(sorted(map(int, os.listdir('/proc/self/fd')))[:3], os.getcwd())"
    )
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        code, output = run(*python(script))
    finally:
        signal.signal(signal.SIGINT, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    assert code == 0, output


def test_a_program_that_is_none(run, tmp_path):
    with pytest.raises(ProgramError, match="nothing-of-that-name cannot be started: No such file"):
        run("nothing-of-that-name")
    (tmp_path / "text").write_text("no program")
    with pytest.raises(ProgramError, match="text cannot be started: Permission denied"):
        run(str(tmp_path / "text"))


def test_daemons_that_are_left_do_not_outlive_it(run, tmp_path):
    code, _ = run(*python(DAEMON, tmp_path / "daemon"))
    assert code == 0
    assert (tmp_path / "daemon0").exists()


def test_what_hangs_is_ended_with_all_it_has_started(tmp_path, family, wait_for):
    ready = tmp_path / "ready"
    script = f"trap '' TERM; sleep 1000 & setsid sleep 1001 & touch {ready}; sleep 1002"
    with GuardedProgram(["sh", "-c", script], tmp_path / "log.txt", 0.2) as program:
        wait_for(ready.exists)
        wait_for(lambda: len(family()) == 5)
        assert not program.ended(0.0)
    assert family() == []


def test_it_gets_the_time_to_end_by_itself(tmp_path, family, wait_for):
    script = "trap 'echo saved; exit' TERM; echo ready; while :; do sleep 0.01; done"
    log = tmp_path / "log.txt"
    with GuardedProgram(["sh", "-c", script], log, 60.0):
        wait_for(lambda: log.read_text() == "ready\n")
    assert log.read_text().splitlines()[-1] == "saved"


def test_a_killed_owner_leaves_nothing(tmp_path, family, wait_for):
    """The process that holds the guard is killed outright, as by the system out of memory."""
    script = f"""
from pathlib import Path
from allocsearch.search.foreign.guarded_program import GuardedProgram
folder = Path({str(tmp_path)!r})
command = ["sh", "-c", "setsid sleep 1000 & touch ready; exec sleep 1001"]
with GuardedProgram(command, folder / "log.txt", 0.2) as program:
    program.ended(1000)
"""
    with subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path) as owner:
        wait_for((tmp_path / "ready").exists)
        wait_for(lambda: len(family()) == 4)
        owner.kill()
    wait_for(lambda: family() == [])


def test_a_killed_guard_takes_the_program_with_it(tmp_path, family, wait_for):
    ready = tmp_path / "ready"
    command = ["sh", "-c", f"touch {ready}; exec sleep 1000"]
    with GuardedProgram(command, tmp_path / "log.txt", 0.2) as program:
        wait_for(ready.exists)
        (guard,) = psutil.Process().children()
        guard.kill()
        wait_for(lambda: program.ended(1.0))
        with pytest.raises(ProgramError, match="its guard was killed"):
            program.exit_code()
        wait_for(lambda: family() == [])


def test_a_terminated_guard_ends_all(tmp_path, family, wait_for):
    ready = tmp_path / "ready"
    command = ["sh", "-c", f"setsid sleep 1001 & touch {ready}; exec sleep 1000"]
    with GuardedProgram(command, tmp_path / "log.txt", 0.2) as program:
        wait_for(ready.exists)
        (guard,) = psutil.Process().children()
        guard.terminate()
        wait_for(lambda: program.ended(1.0))
        assert program.exit_code() == -signal.SIGTERM
        assert family() == []


def test_files_of_the_current_folder_are_not_the_libraries_of_the_guard(
    run, tmp_path, monkeypatch
):
    for name in ("psutil", "json", "subprocess"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    assert run("true") == (0, "")

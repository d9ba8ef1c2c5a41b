"""Runs one program and leaves none of its processes behind. It is a process of its own.

    python -P process_guard.py GRACE PROGRAM ARGUMENT ...

Standard input is a pipe. When its other end is closed, on purpose or because whoever held it is
dead, the program is ended. So is everything that the program has left when it ends by itself:
SIGTERM, after GRACE seconds SIGKILL. On Linux this process adopts orphans (prctl(2),
PR_SET_CHILD_SUBREAPER), so that daemons in sessions of their own are found, too; elsewhere those
that were seen while their parents lived.

What the program writes goes to standard error. Standard output gets one line of JSON, once no
process is left: {"exit": code}, negative for a signal, or {"problem": text}.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

import psutil

# Seconds that the system gets to bury what was killed.
PATIENCE = 10.0
# Seconds between two looks at the family; deaths wake this process at once.
_LOOK = 0.5
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def main(grace: float, command: Sequence[str]) -> None:
    """Run a program to its end, or until standard input is closed."""
    on_linux = sys.platform == "linux"
    if on_linux:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    # The program begins as one does in a shell, whatever this process has inherited.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    guard = _Guard()
    try:
        program = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
            stderr=sys.stderr.fileno(),
            start_new_session=True,
            # Nothing else runs in this process that the fork could disturb.
            preexec_fn=_die_with_parent if on_linux else None,
        )
    except OSError as error:
        _tell({"problem": f"{command[0]} cannot be started: {error.strerror}"})
        return
    guard.watch(program.pid)
    guard.end(grace)
    # Its exit status has been collected already.
    program.returncode = guard.exit_code
    _tell({"exit": guard.exit_code})


class _Guard:
    """Watches a program and all that comes from it."""

    def __init__(self) -> None:
        self.exit_code: int | None = None
        self._program: int | None = None
        self._stopping = False
        self._seen: set[psutil.Process] = set()
        self._wakeup, writing = os.pipe()
        for descriptor in (self._wakeup, writing):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.signal(signal.SIGTERM, self._stop)

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def watch(self, program: int) -> None:
        """Return when the program has ended, or is to be."""
        self._program = program
        while not self._stopping:
            self._reap()
            if self.exit_code is not None:
                return
            self._family()
            if sys.stdin.fileno() in self._sleep(_LOOK, sys.stdin.fileno()):
                return

    def end(self, grace: float) -> None:
        """End all that is left."""
        for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, PATIENCE)):
            deadline = time.monotonic() + patience
            told: set[psutil.Process] = set()
            while left := self._family():
                for process in left - told:
                    _send(process, number)
                # One that is forking away is killed again and again.
                told = left if number == signal.SIGTERM else set()
                if time.monotonic() > deadline:
                    break
                self._sleep(min(0.05, patience))
                self._reap()
        self._reap()
        for process in self._family():
            sys.stderr.write(f"process {process.pid} of the program cannot be ended\n")

    def _family(self) -> set[psutil.Process]:
        """Every process that comes from the program and has not ended."""
        self._seen |= set(psutil.Process().children(recursive=True))
        self._seen = {process for process in self._seen if _lives(process)}
        return self._seen

    def _reap(self) -> None:
        """Collect the exit statuses of children, born or adopted."""
        while True:
            try:
                process, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if process == 0:
                return
            if process == self._program:
                self.exit_code = os.waitstatus_to_exitcode(status)

    def _sleep(self, seconds: float, *descriptors: int) -> list[int]:
        """The descriptors that can be read, as soon as one can or a signal has come."""
        ready, _, _ = select.select([self._wakeup, *descriptors], [], [], seconds)
        if self._wakeup in ready:
            os.read(self._wakeup, 4096)
        return ready


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _send(process: psutil.Process, number: int) -> None:
    # One of another user is still there once the patience is over.
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        process.send_signal(number)


def _die_with_parent() -> None:
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _tell(content: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(content) + "\n")


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2:])

"""The trainer that runs a program."""

from __future__ import annotations

import errno
import json
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from allocsearch.config import InputError, StudyConfig, filled, hvae_oodd_config
from allocsearch.search.foreign.checked_metrics import MetricsError, checked_metrics
from allocsearch.search.foreign.guarded_program import GuardedProgram, ProgramError
from allocsearch.search.foreign.kept_result import kept_result
from allocsearch.search.foreign.report_lines import ReportLines
from allocsearch.search.foreign.reports import ForeignReports
from allocsearch.search.storage import write_atomically
from allocsearch.search.trainer import Hooks, PrunedError, Result, Task

LOG_NAME = "log.txt"
# No fault of the program.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}

# Seconds between two looks at a running program.
_POLL = 0.2
# Seconds between SIGTERM and SIGKILL.
_GRACE = 5.0
# Bytes of metrics; more is something else.
_MOST = 1 << 20
# Bytes from the end of a log in which its last line is looked for, and characters of it to show.
_TAIL, _SHOWN = 4096, 200


class CommandTrainer:
    """Runs the program of a study, which writes its metrics to a file.

    Args:
        config: The study.
        wanted: Metrics that there have to be; None for those of the objectives.
        grace: Seconds that a program gets to end after SIGTERM.

    Raises:
        InputError: If there is no such program.
    """

    together = 1
    fingerprint = None

    def __init__(
        self, config: StudyConfig, wanted: Sequence[str] | None = None, grace: float = _GRACE
    ) -> None:
        self._config = config
        self._grace = grace
        objectives = [objective.metric for objective in config.study.parsed_objectives]
        self._wanted = objectives if wanted is None else wanted
        program = filled(config.trainer.command[0], {"python": sys.executable})
        if shutil.which(program) is None:
            where = "PATH" if Path(program).name == program else str(Path.cwd())
            raise InputError(f"trainer.command: found no program {program!r} that runs in {where}")

    def run(self, tasks: Sequence[Task], hooks: Hooks) -> Iterator[tuple[int, Result | Exception]]:
        """Run the program for one task after the other; see `Trainer`."""
        for index, task in enumerate(tasks):
            hooks.check()
            yield index, self._outcome(index, task, hooks)

    def _outcome(self, index: int, task: Task, hooks: Hooks) -> Result | Exception:
        try:
            metrics = self._train(index, task, hooks)
        except (ProgramError, MetricsError, PrunedError) as error:
            return error
        except OSError as error:
            if error.errno in _FULL:
                raise
            return ProgramError(f"{error.filename or 'system'}: {error.strerror or error}")
        return kept_result(task, metrics, " ".join(self._config.trainer.command))

    def _train(self, index: int, task: Task, hooks: Hooks) -> dict[str, float]:
        folder = task.folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        out, reports = folder / "out.json", folder / "reports.jsonl"
        for left in (out, reports):
            # Of an attempt that was broken off.
            left.unlink(missing_ok=True)
        command = self._command(task, folder, out, reports)
        log = folder / LOG_NAME
        taker = ForeignReports(index, self._wanted, hooks)
        lines = ReportLines(reports)
        limit = self._config.trainer.time_limit
        deadline = None if limit is None else time.monotonic() + limit
        with GuardedProgram(command, log, self._grace) as program:
            while not program.ended(_POLL if deadline is None else _left(deadline)):
                hooks.check()
                _take(lines, taker)
                if deadline is not None and time.monotonic() >= deadline:
                    raise ProgramError(f"over its time limit of {limit:g} s{_last_line(log)}")
            code = program.exit_code()
        if code:
            how = f"killed by {_signal_name(-code)}" if code < 0 else f"exit code {code}"
            raise ProgramError(f"{how}{_last_line(log)}")
        _take(lines, taker)
        try:
            return checked_metrics(_read_json(out), self._wanted)
        except MetricsError as error:
            raise MetricsError(f"its metrics: {error}{_last_line(log)}") from None

    def _command(self, task: Task, folder: Path, out: Path, reports: Path) -> list[str]:
        """The command, all placeholders filled in."""
        dims = task.allocation.dims
        oodd = folder / "hvae_oodd.json"
        if "hvae_oodd_config" in self._config.trainer.placeholders:
            content = hvae_oodd_config(dims, self._config.model)
            write_atomically(oodd, json.dumps(content, indent=1))
        values = {
            "allocation": str(task.allocation),
            "allocation_json": json.dumps(list(dims)),
            "hvae_oodd_config": str(oodd),
            "seed": str(task.seed),
            "out": str(out),
            "reports": str(reports),
            "python": sys.executable,
        }
        return [filled(argument, values) for argument in self._config.trainer.command]


def _left(deadline: float) -> float:
    return min(_POLL, deadline - time.monotonic())


def _take(lines: ReportLines, taker: ForeignReports) -> None:
    """Pass on what the program has reported since the last time."""
    try:
        for number, line in lines.new():
            progress, metrics = line.pop("progress", None), line.pop("metrics", None)
            try:
                taker.take(progress, metrics, line)
            except MetricsError as error:
                raise MetricsError(f"its reports: line {number}: {error}") from None
    except ValueError as error:
        raise MetricsError(f"its reports: {error}") from None


def _read_json(path: Path) -> object:
    # A pipe of that name would never end.
    if not path.is_file():
        raise MetricsError(f"found no file {path.name}, which is {{out}}")
    with path.open("rb") as file:
        content = file.read(_MOST + 1)
    if len(content) > _MOST:
        raise MetricsError(f"{path.name} has more than {_MOST} bytes")
    try:
        found: object = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise MetricsError(f"{path.name} is not JSON: {error}") from None
    return found


def _last_line(log: Path) -> str:
    """The end of a log for a line of text; "" for an empty one."""
    with log.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL))
        lines = file.read().decode(errors="replace").split("\n")
    shown = next((" ".join(line.split()) for line in reversed(lines) if line.strip()), "")
    printable = "".join(c if c.isprintable() else "?" for c in shown[:_SHOWN])
    return f"; the end of {log.name}: {printable}" if printable else ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

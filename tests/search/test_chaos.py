"""Studies whose workers are killed and whose servers are restarted while they run."""

from __future__ import annotations

import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from quick_study import PATIENCE, Study


def test_200_trials_by_8_workers_of_which_3_are_killed_and_a_restarted_database(
    postgres, tmp_path: Path
) -> None:
    url = postgres.database()._replace(password=None).render_as_string()
    study = Study(tmp_path, url, trials=200, workers=8)
    moments = sorted(study.source.sample(range(20, 180), 4))

    def restart() -> None:
        postgres.stop()
        postgres.start()

    with study.command("run", study.file.name) as process:
        study.at(dict(zip(moments, [study.kill_one, restart, *[study.kill_one] * 2], strict=True)))
        assert process.wait(PATIENCE) == 0, study.output()
    study.check_ended()


def work_together(study: Study, url: str, *others: Callable[[], object]) -> None:
    """Let three `worker` commands end a study; two of them are killed, and replaced."""
    study.begin()
    with ExitStack() as started:

        def start() -> subprocess.Popen[bytes]:
            return started.enter_context(study.command("worker", "chaos", "--storage", url))

        workers = [start() for _ in range(3)]

        def replace_one() -> None:
            killed = study.kill_one()
            # A process of which nobody has noticed the end is there, and holds what it held.
            next(worker for worker in workers if worker.pid == killed).wait(PATIENCE)
            workers.append(start())

        events = [replace_one, *others, replace_one]
        moments = sorted(study.source.sample(range(8, 45), len(events)))
        study.at(dict(zip(moments, events, strict=True)))
        codes = Counter(worker.wait(PATIENCE) for worker in workers)
    assert codes == {0: 3, -signal.SIGKILL: 2}, study.output()
    study.check_ended()


def test_workers_that_are_killed_over_a_journal(tmp_path: Path) -> None:
    url = f"journal:///{tmp_path}/journal.log"
    work_together(Study(tmp_path, url, trials=60, workers=3), url)


def test_workers_and_the_proxy_between_them_and_the_database_are_killed(
    postgres, proxy, tmp_path: Path
) -> None:
    database = postgres.database()
    url = database._replace(password=None).render_as_string()
    between = proxy(database.render_as_string(hide_password=False))

    def restart() -> None:
        between.kill()
        between.start()

    # grpc does not survive a fork: this process asks the database itself.
    work_together(Study(tmp_path, url, trials=60, workers=3), between.url, restart)

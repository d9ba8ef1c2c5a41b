"""Studies whose workers are killed and whose servers are restarted while they run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import tomli_w
from optuna.trial import FrozenTrial, TrialState

from allocsearch.config import StudyConfig, load
from allocsearch.search.abandoned import DEAD
from allocsearch.search.executors.executor import LOG_NAME
from allocsearch.search.published import publish
from allocsearch.search.records import ALLOCATION, INTERRUPTED, REASON, REPLICATE, SLOT
from allocsearch.search.slots import STOPPED, fill
from allocsearch.search.storage import open_study
from allocsearch.spaces import build_space

COMMAND = Path(sys.executable).with_name("allocsearch")
PATIENCE = 240.0
BEGUN = "begun.txt"
# Says that it begins, and takes as long as its seed wants.
TRAINER = f"""
import os, random, time

def train(allocation, config, seed, report):
    with open("{BEGUN}", "a") as log:
        log.write(f"{{os.getpid()}} {{allocation}} {{seed}}\\n")
    report(0.5)
    time.sleep(random.Random(seed).uniform(0, 0.05))
    return {{"bottom": allocation.dims[0], "top": allocation.dims[-1]}}
"""
Values = dict[int, list[float]]


class Study:
    """A study of quick trials in a folder of its own, and what disturbs it."""

    def __init__(self, folder: Path, storage: str, trials: int, workers: int) -> None:
        self.home = folder
        self.file = folder / "chaos.toml"
        self.file.write_text(
            tomli_w.dumps(
                {
                    "study": {
                        "name": "chaos",
                        "trials": trials,
                        "workers": workers,
                        "sampler": "random",
                        "objectives": ["max:bottom", "max:top"],
                        "storage": storage,
                    },
                    "search_space": {"budget": 40, "layers": 3},
                    "trainer": {"kind": "callable", "function": "quick:train"},
                }
            )
        )
        (folder / "quick.py").write_text(TRAINER)
        self.config: StudyConfig = load(self.file)
        self.source = random.Random(trials)
        self.kills = 0

    def begin(self) -> None:
        """As `run` does it, but without workers."""
        study = open_study(self.config, self.home, create=True)
        publish(study, self.config)
        fill(study, self.config, build_space(self.config.search_space))

    @contextmanager
    def command(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """The real command; its output goes to a file, and none of its processes outlives it."""
        with (self.home / "output.txt").open("ab") as output:
            process = subprocess.Popen(
                [COMMAND, *arguments],
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def begun(self) -> list[tuple[int, str]]:
        """The process and the seed of each training that has begun."""
        path = self.home / BEGUN
        lines = path.read_text().splitlines() if path.exists() else []
        return [(int(pid), seed) for pid, _, seed in map(str.split, lines)]

    def kill_one(self) -> None:
        """Kill a worker that has begun a training, whatever it does at that moment."""
        time.sleep(self.source.uniform(0, 0.2))
        living = sorted(pid for pid in {pid for pid, _ in self.begun()} if psutil.pid_exists(pid))
        os.kill(self.source.choice(living), signal.SIGKILL)
        self.kills += 1

    def trials(self) -> list[FrozenTrial]:
        return open_study(self.config, self.home).trials

    def complete(self) -> Values:
        return {t.number: t.values for t in self.trials() if t.state == TrialState.COMPLETE}

    def at(self, moments: dict[int, Callable[[], object]]) -> None:
        """Do something at each of some numbers of trainings that have begun.

        What is complete before it has to be so after it, with the same values.
        """
        kept: Values = {}
        for moment, disturb in sorted(moments.items()):
            deadline = time.monotonic() + PATIENCE
            while len(self.begun()) < moment:
                assert time.monotonic() < deadline, self.output()
                time.sleep(0.02)
            now = self.complete()
            assert kept.items() <= now.items()
            kept = now
            disturb()
        self.kept = kept

    def output(self) -> str:
        paths = (self.home / "output.txt", *self.home.glob(f"runs/*/{LOG_NAME}"))
        return "".join(path.read_text() for path in paths if path.exists())

    def check_ended(self) -> None:
        """Exactly its trials, each of them whole and once, and nothing left over."""
        trials, wanted = self.trials(), self.config.study.trials
        live = [trial for trial in trials if not trial.user_attrs.get(INTERRUPTED)]
        assert Counter(trial.state for trial in live) == {TrialState.COMPLETE: wanted}
        assert sorted(trial.user_attrs[SLOT] for trial in live) == list(range(wanted))
        settled = {(trial.user_attrs[ALLOCATION], trial.user_attrs[REPLICATE]) for trial in live}
        assert len(settled) == wanted
        for trial in live:
            dims = [float(dim) for dim in trial.user_attrs[ALLOCATION].split("-")]
            assert trial.values == [dims[0], dims[-1]]
        assert self.kept
        assert self.kept.items() <= self.complete().items()
        gone = [trial for trial in trials if trial.user_attrs.get(INTERRUPTED)]
        assert {trial.state for trial in gone} <= {TrialState.FAIL}
        reasons = Counter(trial.user_attrs[REASON] for trial in gone)
        assert reasons[DEAD] <= self.kills
        # Nobody but the dead had to train anything again.
        again = len(self.begun()) - wanted
        assert 0 <= again <= self.kills
        assert set(reasons) <= {DEAD, STOPPED}
        assert "Traceback" not in self.output()


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
    """Let four `worker` commands end a study; two of them are killed, and replaced."""
    study.begin()
    with ExitStack() as started:

        def start() -> subprocess.Popen[bytes]:
            return started.enter_context(study.command("worker", "chaos", "--storage", url))

        workers = [start() for _ in range(4)]

        def replace_one() -> None:
            study.kill_one()
            workers.append(start())

        events = [replace_one, *others, replace_one]
        moments = sorted(study.source.sample(range(8, 45), len(events)))
        study.at(dict(zip(moments, events, strict=True)))
        codes = Counter(worker.wait(PATIENCE) for worker in workers)
    assert codes == {0: 4, -signal.SIGKILL: 2}, study.output()
    study.check_ended()


def test_workers_that_are_killed_over_a_journal(tmp_path: Path) -> None:
    url = f"journal:///{tmp_path}/journal.log"
    work_together(Study(tmp_path, url, trials=60, workers=4), url)


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
    work_together(Study(tmp_path, url, trials=60, workers=4), between.url, restart)

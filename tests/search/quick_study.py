"""A study of quick trials, run by real commands in a folder of its own, and what disturbs it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import tomli_w
from optuna.trial import FrozenTrial, TrialState

from allocsearch.config import StudyConfig, load
from allocsearch.search.abandoned import DEAD
from allocsearch.search.executors.executor import LOG_NAME
from allocsearch.search.identity import is_dead
from allocsearch.search.published import publish
from allocsearch.search.records import ALLOCATION, REASON, REPLICATE, SLOT, WORKER, read_trial
from allocsearch.search.slots import STOPPED, fill
from allocsearch.search.storage import open_study
from allocsearch.spaces import build_space

COMMAND = Path(sys.executable).with_name("allocsearch")
PATIENCE = 240.0
BEGUN = "begun.txt"
HELD = "held"
# Says that it begins, and takes as long as its seed wants; none goes on while it is held.
TRAINER = f"""
import os, random, time

def train(allocation, config, seed, report):
    with open("{BEGUN}", "a") as log:
        log.write(f"{{os.getpid()}} {{allocation}} {{seed}}\\n")
    epochs = config.training.epochs
    for epoch in range(epochs):
        report(epoch / epochs)
        time.sleep(random.Random(seed).uniform(0, 0.05))
        while os.path.exists("{HELD}"):
            time.sleep(0.01)
    return {{"bottom": allocation.dims[0], "top": allocation.dims[-1]}}
"""
Values = dict[int, list[float]]


class Study:
    """A study of quick trials in a folder of its own, and what disturbs it."""

    def __init__(
        self,
        folder: Path,
        storage: str | None,
        trials: int,
        workers: int,
        epochs: int = 1,
        heartbeat: float = 15.0,
        held: bool = False,
    ) -> None:
        """Write its files; one that is `held` comes to no end before it is disturbed."""
        self.home = folder
        self.file = folder / "chaos.toml"
        study = {
            "name": "chaos",
            "trials": trials,
            "workers": workers,
            "heartbeat": heartbeat,
            "sampler": "random",
            "objectives": ["max:bottom", "max:top"],
        }
        sections = {
            "study": study if storage is None else {**study, "storage": storage},
            "search_space": {"budget": 40, "layers": 3},
            "training": {"epochs": epochs},
            "trainer": {"kind": "callable", "function": "quick:train"},
        }
        self.file.write_text(tomli_w.dumps(sections))
        (folder / "quick.py").write_text(TRAINER)
        if held:
            (folder / HELD).touch()
        self.config: StudyConfig = load(self.file)
        self.run_folder = folder / "runs" / "chaos"
        self.source = random.Random(trials)
        self.kills = 0
        self.kept: Values = {}

    def begin(self) -> None:
        """As `run` does it, but without workers."""
        study = open_study(self.config, self.run_folder, create=True)
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

    def kill_one(self) -> int:
        """Kill a worker that has a trial in hand, whatever it does at that moment."""
        time.sleep(self.source.uniform(0, 0.2))
        killed = self.source.choice(self.workers())
        os.kill(killed, signal.SIGKILL)
        self.kills += 1
        return killed

    def workers(self) -> list[int]:
        """The processes that have a trial in hand, of which there must be one before long."""
        deadline = time.monotonic() + PATIENCE
        while True:
            running = [trial for trial in self.trials() if trial.state == TrialState.RUNNING]
            names = sorted({trial.user_attrs[WORKER] for trial in running})
            if found := [int(name.split(":")[1]) for name in names if not is_dead(name)]:
                return found
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.02)

    def trials(self) -> list[FrozenTrial]:
        return open_study(self.config, self.run_folder).trials

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
        (self.home / HELD).unlink(missing_ok=True)
        self.kept = kept

    def output(self) -> str:
        paths = (self.home / "output.txt", *self.home.glob(f"runs/*/{LOG_NAME}"))
        return "".join(path.read_text() for path in paths if path.exists())

    def check_ended(self, deaths: int | None = None) -> None:
        """Exactly its trials, each of them whole and once, and nothing left over.

        What was begun again is as much as was killed, or `deaths` at most.
        """
        most = self.kills if deaths is None else deaths
        trials, wanted = self.trials(), self.config.study.trials
        live = [trial for trial in trials if read_trial(trial).state != "interrupted"]
        assert Counter(trial.state for trial in live) == {TrialState.COMPLETE: wanted}
        assert sorted(trial.user_attrs[SLOT] for trial in live) == list(range(wanted))
        settled = {(trial.user_attrs[ALLOCATION], trial.user_attrs[REPLICATE]) for trial in live}
        assert len(settled) == wanted
        for trial in live:
            dims = [float(dim) for dim in trial.user_attrs[ALLOCATION].split("-")]
            assert trial.values == [dims[0], dims[-1]]
        assert self.kept.items() <= self.complete().items()
        gone = [trial for trial in trials if read_trial(trial).state == "interrupted"]
        reasons = Counter(trial.user_attrs[REASON] for trial in gone)
        assert set(reasons) <= {DEAD, STOPPED, "enqueued twice"}
        assert reasons[DEAD] <= most
        # Nobody but the dead had to train anything again.
        again = len(self.begun()) - wanted
        assert 0 <= again <= most
        assert "Traceback" not in self.output()

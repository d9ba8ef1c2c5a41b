"""A real search with both of its halves on this machine: a study of ours beside plain Optuna TPE.

Both train the same models on the same data with the same objectives, two worker processes each,
at the same time: what else the machine does slows both. `ours` is `allocsearch run` on
studies/fashion_mnist.toml; `plain` is the loop one would write around Optuna's TPESampler, with
the simplex decoded, repeats and all, in as many processes. The plain loop is stopped when ours
has ended, and both when the time is up. Neither opens a test set.

Run: ALLOCSEARCH_DATA=... python benchmarks/hour.py run --minutes 120 --trials 90
     ALLOCSEARCH_DATA=... python benchmarks/hour.py judge --seeds 1 --processes 2
     python benchmarks/hour.py table, to keep the trainings in benchmarks/tables
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import moocore
import numpy as np
import optuna
import pandas as pd
import psutil
import torch
from lattices import ROOT, TABLES
from numpy.typing import NDArray
from optuna.trial import TrialState
from scipy.stats import t as student_t
from table_rows import append_rows

from allocsearch.allocation import Allocation
from allocsearch.config import Objective, StudyConfig, load
from allocsearch.search.records import TrialRecord, read_run
from allocsearch.search.sampling.front_probability import front_probability
from allocsearch.search.sampling.losses import losses, signs
from allocsearch.search.sampling.replicates import Spread, by_allocation, pooled_spread
from allocsearch.search.sampling.surrogate import Surrogate, fit_surrogate
from allocsearch.search.trainer import Hooks, Result, Task, Trainer
from allocsearch.search.trainers import build_trainer

STUDY = ROOT / "studies" / "fashion_mnist.toml"
RUNS = ROOT / "runs" / "benchmarks" / "hour"
# Of the trials of ours, the last ones: without replicates nothing is known of the noise.
REPLICATES = "study.replicate_share=0.2"
WORKERS = 2
# Seeds that neither arm trains with.
FRESH = 1_000_000
DRAWS = 1000
# Trainings after which the hypervolumes are compared.
COUNTS = (5, 10, 15, 20, 30, 45, 60)
_POLL = 5.0


@cache
def prepared() -> tuple[StudyConfig, Trainer]:
    """The study and its trainer; data is loaded once in each process."""
    torch.set_num_threads(1)
    config = load(STUDY, ["data.ood_test=[]"])
    return config, build_trainer(config)


def measured(allocation: Allocation, seed: int, folder: Path) -> list[float]:
    """The objectives of one training."""
    config, trainer = prepared()
    [(_, result)] = trainer.run([Task(allocation, seed, folder)], Hooks())
    if not isinstance(result, Result):
        raise result
    return [result.metrics[each.metric] for each in config.study.parsed_objectives]


def plain_worker(index: int, storage: str, folder: Path) -> None:
    """Ask, train, tell until stopped."""
    config, _ = prepared()
    [lattice] = config.search_space.lattices().values()
    study = optuna.create_study(
        study_name="plain",
        storage=storage,
        sampler=optuna.samplers.TPESampler(seed=index),
        directions=[each.direction for each in config.study.parsed_objectives],
        load_if_exists=True,
    )
    while True:
        trial = study.ask()
        point = [trial.suggest_float(f"x{i}", 0, 1) for i in range(1, lattice.layers)]
        allocation = lattice.from_simplex(point)
        trial.set_user_attr("allocation", str(allocation))
        values = measured(allocation, trial.number, folder / str(trial.number))
        study.tell(trial, values)


def plain(runs: Path) -> None:
    """The loop in its processes."""
    folder = runs / "plain"
    folder.mkdir(parents=True)
    storage = f"sqlite:///{folder / 'study.db'}"
    optuna.storages.RDBStorage(storage)
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=plain_worker, args=(index, storage, folder), daemon=True)
        for index in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    for worker in workers:
        worker.join()


def run(minutes: float, trials: int, runs: Path) -> None:
    """Both at once, each in a session of its own, so that each has its share of the machine."""
    runs.mkdir(parents=True)
    command = [str(Path(sys.executable).with_name("allocsearch")), "run", str(STUDY)]
    command += ["--workers", str(WORKERS), "--runs", str(runs), "--set", REPLICATES]
    command += ["--set", f"study.trials={trials}", "--set", "study.name=ours"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    start = time.monotonic()
    with (runs / "ours.log").open("w") as first, (runs / "plain.log").open("w") as second:
        loop = [sys.executable, __file__, "plain", "--runs", str(runs)]
        arms = {
            "ours": subprocess.Popen(
                command, stdout=first, stderr=first, env=environment, start_new_session=True
            ),
            "plain": subprocess.Popen(
                loop, stdout=second, stderr=second, env=environment, start_new_session=True
            ),
        }
        used = dict.fromkeys(arms, 0.0)
        while arms["ours"].poll() is None and time.monotonic() - start < minutes * 60:
            used = {name: max(used[name], core_seconds(arm.pid)) for name, arm in arms.items()}
            time.sleep(_POLL)
        arms["ours"].send_signal(signal.SIGINT)
        arms["plain"].terminate()
        for name, arm in arms.items():
            print(f"{name}: {used[name] / 60:.1f} core-minutes, exit status {arm.wait()}")
        print(f"{(time.monotonic() - start) / 60:.1f} minutes")


def core_seconds(session: int) -> float:
    """What the processes of a session have had of the processor."""
    found = 0.0
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session:
                times = process.cpu_times()
                found += times.user + times.system
        except (psutil.Error, ProcessLookupError):
            continue
    return found


def told(runs: Path) -> dict[str, list[TrialRecord]]:
    """The complete trials of both."""
    stored = optuna.load_study(
        study_name="plain", storage=f"sqlite:///{runs / 'plain' / 'study.db'}"
    )
    loop = [
        TrialRecord(
            number=trial.number,
            state="complete",
            allocation=Allocation.parse(trial.user_attrs["allocation"]),
            seed=trial.number,
            values=tuple(trial.values),
        )
        for trial in stored.get_trials(states=[TrialState.COMPLETE])
    ]
    ours = [trial for trial in read_run(runs / "ours").trials if trial.state == "complete"]
    return {"ours": ours, "plain": loop}


def retrain(job: tuple[str, int], table: Path) -> None:
    """Append one training with a fresh seed."""
    text, seed = job
    config, _ = prepared()
    values = measured(Allocation.parse(text), seed, table.parent / "fresh" / f"{text}-{seed}")
    metrics = [each.metric for each in config.study.parsed_objectives]
    append_rows(
        table, [{"allocation": text, "seed": seed, **dict(zip(metrics, values, strict=True))}]
    )


@dataclass(frozen=True, eq=False)
class Found:
    """The allocations that some trials trained.

    Attributes:
        allocations: Each of them once.
        losses: Means over the trainings of each, `(n, m)`.
        counts: Trainings of each, `(n,)`.
        spread: How far trainings of one allocation differ; None without replicates.
    """

    allocations: tuple[Allocation, ...]
    losses: NDArray[np.float64]
    counts: NDArray[np.int64]
    spread: Spread | None

    @classmethod
    def of(cls, trials: Sequence[TrialRecord], objectives: Sequence[Objective]) -> Found:
        """What the trials found."""
        groups = by_allocation(trials)
        spread = pooled_spread(groups)
        return cls(
            tuple(group.allocation for group in groups if group.allocation is not None),
            losses(np.array([group.mean for group in groups]), objectives),
            np.array([group.count for group in groups]),
            spread.turned(signs(objectives)) if spread else None,
        )

    @property
    def front(self) -> list[Allocation]:
        """The allocations that no other's mean dominates."""
        kept = moocore.is_nondominated(self.losses, keep_weakly=True)
        return [a for a, member in zip(self.allocations, kept, strict=True) if member]

    def surrogate(self) -> Surrogate:
        """The regression on them."""
        variances = None if self.spread is None else np.diag(self.spread.covariance)
        freedom = 0 if self.spread is None else self.spread.freedom
        return fit_surrogate(self.allocations, self.losses, self.counts, variances, freedom)


def interval(values: NDArray[np.float64]) -> str:
    """A mean with its central 95 %."""
    low, high = np.quantile(values, (0.025, 0.975))
    return f"{values.mean():.3f} ({low:.3f} to {high:.3f})"


def judge(runs: Path, seeds: int, most: int, processes: int) -> None:
    """Compare what both found: by one regression on all trainings, and by fresh trainings."""
    config, _ = prepared()
    objectives = config.study.parsed_objectives
    arms = told(runs)
    found = {name: Found.of(trials, objectives) for name, trials in arms.items()}
    rng = np.random.default_rng(0)
    chosen = {
        name: [each.front[i] for i in rng.permutation(len(each.front))[:most]]
        for name, each in found.items()
    }
    table = runs / "fresh.csv"
    wanted = {
        (str(a), FRESH + seed) for each in chosen.values() for a in each for seed in range(seeds)
    }
    if table.exists():
        known = pd.read_csv(table)[["allocation", "seed"]]
        wanted -= set(known.itertuples(index=False, name=None))
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        pool.map(partial(retrain, table=table), sorted(wanted), chunksize=1)
    metrics = [each.metric for each in objectives]
    fresh = {
        Allocation.parse(str(text)): losses(rows[metrics].to_numpy(), objectives)
        for text, rows in pd.read_csv(table).groupby("allocation")
    }

    # Trials of both under other numbers; the loop repeats allocations with further seeds.
    every = [
        replace(trial, number=number, seed=number)
        for number, trial in enumerate(trial for trials in arms.values() for trial in trials)
    ]
    union = Found.of(every, objectives)
    low, high = union.losses.min(axis=0), union.losses.max(axis=0)
    hypervolume = moocore.Hypervolume(ref=np.ones(len(objectives)))

    def volume(points: NDArray[np.float64]) -> float:
        return float(hypervolume((points - low) / (high - low)))

    drawn, _ = union.surrogate().draw(union.allocations, (), DRAWS, rng)
    place = {allocation: i for i, allocation in enumerate(union.allocations)}
    print("| | ours | plain |\n|---|---|---|")
    volumes = {}
    cells: dict[str, list[str]] = {}
    for name, each in found.items():
        rows = [place[allocation] for allocation in each.allocations]
        volumes[name] = np.array([volume(means[rows]) for means in drawn])
        again = np.array([fresh[allocation].mean(axis=0) for allocation in chosen[name]])
        before = np.array(
            [each.losses[each.allocations.index(allocation)] for allocation in chosen[name]]
        )
        worse = ((again - before) / (high - low)).mean(axis=0)
        cells[name] = [
            str(len(arms[name])),
            str(len(each.allocations)),
            str(len(each.front)),
            f"{volume(each.losses):.3f}",
            interval(volumes[name]),
            str(len(chosen[name])),
            f"{volume(before):.3f}",
            f"{volume(again):.3f}",
            ", ".join(f"{value:+.3f}" for value in worse),
        ]
    heads = (
        "complete trainings",
        "different allocations",
        "allocations on its front",
        "hypervolume, as measured",
        "hypervolume, true means by the regression on both (95 %)",
        f"of its front, trained again ({seeds} fresh seeds each)",
        "their hypervolume, as measured in the search",
        "their hypervolume, fresh",
        "mean worsening, shares of the range: " + ", ".join(metrics),
    )
    for head, ours, loop in zip(heads, cells["ours"], cells["plain"], strict=True):
        print(f"| {head} | {ours} | {loop} |")
    difference = volumes["ours"] - volumes["plain"]
    print(f"\nDifference of the hypervolumes by the regression: {interval(difference)}")
    print("\n| trainings | ours | plain | difference (95 %) |\n|---|---|---|---|")
    for count in COUNTS:
        early = {}
        for name, trials in arms.items():
            begun = sorted(trials, key=lambda trial: trial.number)[:count]
            rows = sorted({place[trial.allocation] for trial in begun if trial.allocation})
            early[name] = np.array([volume(means[rows]) for means in drawn])
        cells_at = [interval(each) for each in early.values()]
        print(f"| {count} | {' | '.join(cells_at)} | {interval(early['ours'] - early['plain'])} |")
    calibration(found["ours"], fresh, seeds)


def calibration(ours: Found, fresh: Mapping[Allocation, NDArray[np.float64]], seeds: int) -> None:
    """Where fresh trainings of our front lie in what the study alone expects of them."""
    if ours.spread is None:
        print("No replicates, so nothing is known of the noise.")
        return
    again = [allocation for allocation in ours.front if allocation in fresh]
    mean, covariance = ours.surrogate().posterior(again)
    noise = np.diag(ours.spread.covariance) / seeds
    deviation = np.sqrt(np.array([np.diag(each) for each in covariance]).T + noise)
    scores = (np.array([fresh[each].mean(axis=0) for each in again]) - mean) / deviation
    inside = (np.abs(scores) < student_t(ours.spread.freedom).ppf(0.975)).mean(axis=0)
    print(f"Fresh means of {len(again)} members, within the 95 % expected of them: {inside}")
    print(
        f"Mean and deviation of their standardised errors: {scores.mean(axis=0)}, "
        f"{scores.std(axis=0)}"
    )
    probability = front_probability(ours.losses, ours.counts, ours.spread, ours.allocations)
    members = [probability[ours.allocations.index(each)] for each in ours.front]
    print(
        "Front probabilities:",
        ", ".join(f"{a} {p:.2f}" for a, p in zip(ours.front, members, strict=True)),
    )


def tabulate(runs: Path, table: Path) -> None:
    """Write every training there is, for benchmarks/simulated.py."""
    config, _ = prepared()
    metrics = [each.metric for each in config.study.parsed_objectives]
    rows = [
        {
            "arm": name,
            "number": trial.number,
            "allocation": str(trial.allocation),
            "seed": trial.seed,
            **dict(zip(metrics, trial.values, strict=True)),
        }
        for name, trials in told(runs).items()
        for trial in trials
    ]
    fresh = pd.read_csv(runs / "fresh.csv").sort_values(["allocation", "seed"])
    rows += fresh.assign(arm="fresh", number=range(len(fresh))).to_dict("records")
    pd.DataFrame(rows).to_csv(table, index=False, float_format="%.6g")


def main() -> None:
    """Run both, judge what they found, or keep their trainings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["run", "plain", "judge", "table"])
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--trials", type=int, default=90)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--most", type=int, default=10, help="of each front, trained again")
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.what == "run":
        run(arguments.minutes, arguments.trials, arguments.runs)
    elif arguments.what == "plain":
        plain(arguments.runs)
    elif arguments.what == "table":
        tabulate(arguments.runs, TABLES / "fashion_mnist_trainings.csv")
    else:
        judge(arguments.runs, arguments.seeds, arguments.most, arguments.processes)


if __name__ == "__main__":
    main()

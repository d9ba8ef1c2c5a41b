"""Compare search strategies on tabulated trainings: hypervolume of the front against cost.

Cost is in full trainings, each with one measurement. The hypervolume is that of the true values
(means over the table's seeds) of the allocations that were trained to the end, as a share of that
of the whole table; the reference point is the worst value of each objective in the table. Nothing
is trained. `plain_*` are samplers in a loop of suggest and tell, as one would write it without
this package: the simplex decoded, repeats and all. Every other strategy is a study of ours.

Run: python benchmarks/search.py fashion_mnist --repetitions 200 --processes 2
     python benchmarks/search.py digits --repetitions 200 --processes 2
     python benchmarks/search.py fashion_mnist_fine --repetitions 50 --processes 2
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property, partial
from itertools import accumulate
from pathlib import Path

import moocore
import numpy as np
import optuna
import pandas as pd
import torch
from lattices import KINDS, ROOT, TABLES
from numpy.typing import NDArray
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from scipy.stats import bootstrap
from simulated import FINE
from simulated import table as simulated_table

from allocsearch.allocation import Allocation
from allocsearch.config import Objective
from allocsearch.data.splits import load_search_data
from allocsearch.search.predictor import predict_study
from allocsearch.search.sampling.losses import losses
from allocsearch.search.sampling.warm_start import WarmStart, warm_starts
from allocsearch.search.slots import fill
from allocsearch.search.tabulated import Answer, TabulatedObjective
from allocsearch.search.trainer import Hooks, PrunedError, Result, Task
from allocsearch.search.worker import StoppedError, work
from allocsearch.spaces import build_space

SHARES = (0.9, 0.95)
# What a strategy may spend: full trainings for each allocation of the table, and at most.
CAP, MOST = 2, 170
# Costs at which the hypervolume is given.
GRID = (5, 10, 15, 20, 30, 45)
# What is tabulated; the simulated table is far larger than what anyone would train.
SIMULATED = "fashion_mnist_fine"
KNOWN = {**KINDS, SIMULATED: FINE}
NOWHERE = Path("nowhere")
RUNS = ROOT / "runs" / "benchmarks" / "search"


@dataclass(frozen=True)
class Truth:
    """What a table knows.

    Attributes:
        rows: Its trainings with schedules of the whole length.
        every: Those and the trainings of rungs with schedules of their own length.
        objectives: Of the study.
        losses: Of each allocation, means over seeds, scaled to 0 (best) and 1 (worst), `(m,)`.
    """

    rows: pd.DataFrame
    every: pd.DataFrame
    objectives: tuple[Objective, ...]
    losses: dict[Allocation, NDArray[np.float64]]

    @classmethod
    def read(cls, kind: str, folder: Path) -> Truth:
        """The truth of a table."""
        every = (
            simulated_table(folder)
            if kind == SIMULATED
            else pd.read_csv(folder / f"{kind}_lattice.csv")
        )
        rows = every[every["schedule"] == "full"]
        objectives = KNOWN[kind].config().study.parsed_objectives
        metrics = [objective.metric for objective in objectives]
        means = rows[rows["rung"] == 1.0].groupby("allocation")[metrics].mean()
        values = losses(means.to_numpy(), objectives)
        low, high = values.min(axis=0), values.max(axis=0)
        names = map(Allocation.parse, means.index)
        return cls(
            rows, every, objectives, dict(zip(names, (values - low) / (high - low), strict=True))
        )

    @cached_property
    def whole(self) -> float:
        """The hypervolume of all."""
        return self.volume(self.losses)

    @property
    def cap(self) -> int:
        """What a strategy may spend, in full trainings."""
        return min(CAP * len(self.losses), MOST)

    def volume(self, allocations: Iterable[Allocation]) -> float:
        """The hypervolume of allocations."""
        points = np.array([self.losses[each] for each in allocations])
        return float(moocore.hypervolume(points, ref=np.ones(len(self.objectives))))

    def share(self, answers: Iterable[Answer]) -> float:
        """The hypervolume of what was trained to the end, as a share of the table's."""
        complete = {answer.allocation for answer in answers if answer.complete}
        return self.volume(complete) / self.whole if complete else 0.0

    def found(self, answers: Sequence[Answer]) -> bool:
        """Whether there is nothing left to measure."""
        spent = sum(answer.cost for answer in answers)
        return spent >= self.cap or self.share(answers) >= max(SHARES)


@cache
def prepared(kind: str, folder: Path) -> Truth:
    """Loaded once in each process."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", ExperimentalWarning)
    return Truth.read(kind, folder)


Warm = Sequence[tuple[str, dict[str, float], str]]
Trace = list[tuple[float, float]]
# From kind of table, its folder, the warm start and a seed to the answers of one study.
Strategy = Callable[[str, Path, Warm, int], Sequence[Answer]]


def study_of(
    kind: str, folder: Path, warm: Warm, seed: int, *, changes: Sequence[str]
) -> Sequence[Answer]:
    """A study of ours with changes to its file, in memory, with one worker."""
    truth = prepared(kind, folder)
    trials = 3 * truth.cap
    config = KNOWN[kind].config(f"study.trials={trials}", f"study.seed={seed}", *changes)
    space = build_space(config.search_space)
    objective = TabulatedObjective(truth.every, seed=seed, schedule=config.early_stopping.schedule)
    study = optuna.create_study(directions=[each.direction for each in truth.objectives])
    first = [WarmStart(Allocation.parse(text), params, mark) for text, params, mark in warm]
    fill(study, config, space, first if config.study.warm_start == "theory" else [])

    def check() -> None:
        if truth.found(objective.answers):
            raise StoppedError

    with tempfile.TemporaryDirectory() as run:
        work(study, config, Path(run), objective, check)
    return objective.answers


def plain(
    kind: str, folder: Path, warm: Warm, seed: int, *, sampler: Callable[[int], BaseSampler | None]
) -> Sequence[Answer]:
    """A loop around one of Optuna's samplers."""
    truth = prepared(kind, folder)
    lattice = KNOWN[kind].lattice
    objective = TabulatedObjective(truth.rows, seed=seed)
    directions = [each.direction for each in truth.objectives]
    study = optuna.create_study(sampler=sampler(seed), directions=directions)
    while not truth.found(objective.answers):
        trial = study.ask()
        point = [trial.suggest_float(f"x{i}", 0, 1) for i in range(1, lattice.layers)]
        study.tell(trial, values_of(truth, objective, lattice.from_simplex(point)))
    return objective.answers


def values_of(truth: Truth, objective: TabulatedObjective, allocation: Allocation) -> list[float]:
    """The objectives of one training."""
    [(_, result)] = objective.run([Task(allocation, 0, NOWHERE)], Hooks())
    assert isinstance(result, Result)
    return [result.metrics[each.metric] for each in truth.objectives]


def ax(kind: str, folder: Path, warm: Warm, seed: int) -> Sequence[Answer]:
    """Ax's client with its defaults."""
    import logging

    from ax.api.client import Client
    from ax.api.configs import RangeParameterConfig

    logging.disable(logging.WARNING)
    truth = prepared(kind, folder)
    lattice = KNOWN[kind].lattice
    objective = TabulatedObjective(truth.rows, seed=seed)
    names = [f"x{i}" for i in range(1, lattice.layers)]
    client = Client(random_seed=seed)
    client.configure_experiment(
        parameters=[
            RangeParameterConfig(name=name, parameter_type="float", bounds=(0.0, 1.0))
            for name in names
        ]
    )
    signs = ["-" if each.direction == "minimize" else "" for each in truth.objectives]
    client.configure_optimization(
        objective=", ".join(
            sign + each.metric for sign, each in zip(signs, truth.objectives, strict=True)
        )
    )
    while not truth.found(objective.answers):
        for index, parameters in client.get_next_trials(max_trials=1).items():
            allocation = lattice.from_simplex([parameters[name] for name in names])
            values = values_of(truth, objective, allocation)
            metrics = [each.metric for each in truth.objectives]
            client.complete_trial(
                trial_index=index, raw_data=dict(zip(metrics, values, strict=True))
            )
    return objective.answers


def moasha(kind: str, folder: Path, warm: Warm, seed: int) -> Sequence[Answer]:
    """Syne Tune's MO-ASHA, with rungs at 1/8, 1/4 and 1/2 of the training."""
    from syne_tune.backend.trial_status import Trial
    from syne_tune.config_space import uniform
    from syne_tune.optimizer.scheduler import SchedulerDecision
    from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA

    # It draws from numpy's global generator.
    np.random.seed(seed)
    truth = prepared(kind, folder)
    lattice = KNOWN[kind].lattice
    objective = TabulatedObjective(truth.rows, seed=seed)
    names = [f"x{i}" for i in range(1, lattice.layers)]
    scheduler = MOASHA(
        {name: uniform(0.0, 1.0) for name in names},
        metrics=[each.metric for each in truth.objectives],
        max_t=8,
        reduction_factor=2,
        random_seed=seed,
    )
    signs = {o.metric: 1 if o.direction == "minimize" else -1 for o in truth.objectives}
    while not truth.found(objective.answers):
        config = scheduler.suggest().config
        trial = Trial(len(objective.answers), config, datetime.now())
        scheduler.on_trial_add(trial)

        def rung(
            index: int, share: float, metrics: Mapping[str, float], trial: Trial = trial
        ) -> None:
            result = {name: sign * metrics[name] for name, sign in signs.items()}
            result["training_iteration"] = round(8 * share)
            if scheduler.on_trial_result(trial, result) == SchedulerDecision.STOP:
                raise PrunedError

        allocation = lattice.from_simplex([config[name] for name in names])
        list(
            objective.run(
                [Task(allocation, 0, NOWHERE)], Hooks(rungs=(0.125, 0.25, 0.5), rung=rung)
            )
        )
    return objective.answers


SAMPLERS: dict[str, Callable[[int], BaseSampler | None]] = {
    "optuna_default": lambda seed: None,
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "nsga2": lambda seed: optuna.samplers.NSGAIISampler(seed=seed),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "qmc": lambda seed: optuna.samplers.QMCSampler(seed=seed, scramble=True),
    "gp": lambda seed: optuna.samplers.GPSampler(seed=seed, deterministic_objective=False),
}
FULL_RUNGS = ("early_stopping.schedule=full", "early_stopping.rungs=[0.25,0.5]")
# Ours with one part changed or switched off.
CHANGES: dict[str, tuple[str, ...]] = {
    "random": ("study.sampler=random",),
    "qmc": ("study.sampler=qmc",),
    "nsga2": ("study.sampler=nsga2",),
    "nsga3": ("study.sampler=nsga3",),
    "tpe": ("study.sampler=tpe",),
    "tpe_warm": ("study.sampler=tpe", "study.warm_start=theory"),
    "gp": ("study.sampler=gp",),
    "lattice_gp": ("study.sampler=lattice_gp",),
    "lattice_gp_warm": ("study.sampler=lattice_gp", "study.warm_start=theory"),
    "lattice_gp_rungs": (*FULL_RUNGS, "early_stopping.mode=auto"),
    "lattice_gp_forced_rungs": (*FULL_RUNGS, "early_stopping.mode=forced"),
    "lattice_gp_own_rungs": ("early_stopping.mode=auto",),
    "lattice_gp_forced_own_rungs": ("early_stopping.mode=forced",),
}
STRATEGIES: dict[str, Strategy] = {
    **{f"plain_{name}": partial(plain, sampler=sampler) for name, sampler in SAMPLERS.items()},
    **{name: partial(study_of, changes=changes) for name, changes in CHANGES.items()},
    **({"ax": ax} if importlib.util.find_spec("ax") else {}),
    **({"moasha": moasha} if importlib.util.find_spec("syne_tune") else {}),
}
BASELINE = "plain_optuna_default"


def warm_start(kind: str) -> Warm:
    """What the theory says to begin with, from the data of the study."""
    config = KNOWN[kind].config()
    prediction = predict_study(config, load_search_data(config.data).train.values)
    starts = warm_starts(prediction, build_space(config.search_space))
    return [(str(start.allocation), dict(start.params), start.mark) for start in starts]


def run_one(job: tuple[str, str, Path, Warm, int]) -> tuple[int, Trace]:
    """Seed of one study; cumulative cost and share of the hypervolume after each training."""
    kind, name, folder, warm, seed = job
    truth = prepared(kind, folder)
    answers = STRATEGIES[name](kind, folder, warm, seed)
    costs = accumulate(answer.cost for answer in answers)
    return seed, [(cost, truth.share(answers[: n + 1])) for n, cost in enumerate(costs)]


def kept(path: Path) -> dict[int, Trace]:
    """The studies of a file by their seeds; a line for each, the last one may be cut short."""
    found: dict[int, Trace] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        with suppress(json.JSONDecodeError):
            seed, trace = json.loads(line)
            found[seed] = trace
    return found


def cost_to(trace: Trace, share: float, cap: float) -> float:
    """What it cost to reach a share of the hypervolume; the cap where it was not reached."""
    return next((min(cost, cap) for cost, found in trace if found >= share), cap)


def interval(values: NDArray[np.float64]) -> str:
    """A mean with its 95 % bootstrap interval."""
    if np.ptp(values) == 0:
        return f"{values.mean():.3g}"
    ends = bootstrap((values,), np.mean, n_resamples=2000, rng=0).confidence_interval
    return f"{values.mean():.3g} ({ends.low:.3g} to {ends.high:.3g})"


def ratio(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> str:
    """The ratio of two means with its 95 % bootstrap interval."""
    if np.ptp(ours) == 0 and np.ptp(theirs) == 0:
        return f"{ours.mean() / theirs.mean():.2f}"
    ends = bootstrap(
        (ours, theirs),
        lambda a, b, axis=-1: a.mean(axis=axis) / b.mean(axis=axis),
        n_resamples=2000,
        method="percentile",
        rng=0,
    ).confidence_interval
    return f"{ours.mean() / theirs.mean():.2f} ({ends.low:.2f} to {ends.high:.2f})"


def print_table(traces: dict[str, list[Trace]], cap: float) -> None:
    """What each strategy costs, as a Markdown table."""
    costs = {
        name: {
            share: np.array([cost_to(trace, share, cap) for trace in found]) for share in SHARES
        }
        for name, found in traces.items()
    }
    heads = [
        "strategy",
        "studies",
        *(f"cost to {share:.0%}" for share in SHARES),
        "not reached",
        f"cost to {SHARES[-1]:.0%} / Optuna's default",
        *(f"share after {cost}" for cost in GRID),
    ]
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for name, found in traces.items():
        own = costs[name]
        missed = np.mean(own[SHARES[-1]] >= cap)
        base = costs.get(BASELINE)
        curve = [
            np.mean([max((s for c, s in trace if c <= cost + 1e-9), default=0) for trace in found])
            for cost in GRID
        ]
        cells = [
            name,
            str(len(found)),
            *(interval(own[share]) for share in SHARES),
            f"{missed:.0%}",
            ratio(own[SHARES[-1]], base[SHARES[-1]]) if base else "",
            *(f"{value:.3f}" for value in curve),
        ]
        print("| " + " | ".join(cells) + " |")


def main() -> None:
    """Run what is not kept of an earlier run, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=list(KNOWN))
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--tables", type=Path, default=TABLES)
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES), choices=[*STRATEGIES])
    parser.add_argument("--runs", type=Path, default=RUNS, help="where finished studies are kept")
    arguments = parser.parse_args()
    truth = prepared(arguments.kind, arguments.tables)
    print(f"{len(truth.losses)} allocations, {len(truth.rows)} rows", flush=True)
    warm = warm_start(arguments.kind)
    print("theory:", ", ".join(text for text, _, _ in warm), flush=True)
    traces = {}
    arguments.runs.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        for name in arguments.strategies:
            path = arguments.runs / f"{arguments.kind}-{name}.jsonl"
            seeds = range(arguments.repetitions)
            missing = sorted(set(seeds) - set(kept(path)))
            jobs = [(arguments.kind, name, arguments.tables, warm, seed) for seed in missing]
            for ended in pool.imap_unordered(run_one, jobs):
                with path.open("a") as file:
                    file.write("\n" + json.dumps(ended))
            found = kept(path)
            traces[name] = [found[seed] for seed in seeds]
            print(f"{name}: done", flush=True)
    print_table(traces, float(truth.cap))


if __name__ == "__main__":
    main()

"""Hundreds of studies from claim to end, by trainers that take no time."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import optuna
import pytest

from allocsearch.config import StudyConfig
from allocsearch.search.records import read_study
from allocsearch.search.slots import fill
from allocsearch.search.trainer import Hooks, PrunedError, Result, Task
from allocsearch.search.worker import work
from allocsearch.spaces import build_space

STUDIES = 400
# The last one is slow: a tenth of the others' share.
SAMPLERS = ["random", "tpe", "nsga2", "nsga3", "qmc", "grid"]


class Moody:
    """Trains by a formula; now and then a training fails, or a rung stops it."""

    def __init__(self, source: random.Random) -> None:
        self.source = source
        self.together = source.choice([1, 1, 1, 3])

    def run(self, tasks: Sequence[Task], hooks: Hooks) -> Iterator[tuple[int, Result | Exception]]:
        for index, task in enumerate(tasks):
            mood = self.source.random()
            if mood < 0.1:
                yield index, RuntimeError("a bad day")
            elif mood < 0.2:
                yield index, PrunedError("enough")
            else:
                dims = task.allocation.dims
                noise = self.source.gauss(0, 0.1)
                yield index, Result({"a": dims[0] + noise, "b": dims[-1] - noise})


def study_of(source: random.Random, sampler: str) -> StudyConfig:
    layers = source.randint(2, 4)
    step = source.choice([1, 1, 2, 3])
    budget = step * (layers + source.randint(0, 6))
    kind = source.choice(["simplex", "simplex", "ratio"]) if step == 1 else "simplex"
    space = {"kind": kind, "budget": budget, "layers": layers, "step": step, "min_dim": step}
    if kind == "ratio":
        # Few spaces: to find what each one reaches takes a second.
        space = {"kind": kind, "budget": 6 + layers, "layers": layers}
    return StudyConfig.model_validate(
        {
            "study": {
                "trials": source.randint(1, 14),
                "seed": source.randrange(1000),
                "sampler": sampler,
                "objectives": ["max:a", "min:b"][: source.randint(1, 2)],
                "repeats": source.choice(["neighbour", "replicate"]),
                "replicates": source.randint(1, 3),
            },
            "search_space": space,
            "trainer": {"kind": "callable", "function": "nothing:here"},
        }
    )


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_no_allocation_is_trained_twice_unless_asked_for(tmp_path: Path) -> None:
    source = random.Random(0)
    trials = repeated = used_up = 0
    for number in range(STUDIES):
        sampler = "lattice_gp" if number % 50 == 0 else source.choice(SAMPLERS)
        config = study_of(source, sampler)
        space = build_space(config.search_space)
        directions = [each.direction for each in config.study.parsed_objectives]
        study = optuna.create_study(directions=directions)
        fill(study, config, space)
        work(study, config, tmp_path, Moody(source))
        record = read_study(study, config, tmp_path)
        assert record.finished == len(record.trials) == record.wanted
        given = [trial.allocation for trial in record.trials]
        counts = Counter(given)
        assert all(allocation.budget == config.search_space.budget for allocation in given)
        assert counts.keys() <= {*map(space.__getitem__, range(space.size))}
        assert max(counts.values()) <= config.study.replicates
        # The replicates of an allocation are numbered, and no two have a seed in common.
        assert len({(trial.allocation, trial.seed) for trial in record.trials}) == len(given)
        again = [trial for trial in record.trials if trial.replicate]
        if config.study.repeats == "neighbour" and again:
            # Not before every allocation of the space has a training.
            assert len(counts) == space.size
            first = min(trial.number for trial in again)
            assert len(set(given[:first])) == space.size
        if record.most is not None:
            assert set(counts.values()) == {config.study.replicates}
            used_up += 1
        trials += len(given)
        repeated += len(again)
    # All of it was there to be seen.
    assert trials > 5 * STUDIES
    assert repeated > STUDIES / 4
    assert used_up > STUDIES / 50

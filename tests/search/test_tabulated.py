from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from allocsearch.allocation import Allocation
from allocsearch.search.tabulated import TabulatedObjective
from allocsearch.search.trainer import Hooks, PrunedError, Result, Task

RUNGS = (0.25, 0.5)


@pytest.fixture
def rows() -> pd.DataFrame:
    """Two allocations, three seeds; a full training takes 8 s, a measurement 2 s."""
    return pd.DataFrame(
        {
            "allocation": allocation,
            "schedule": "full",
            "seed": seed,
            "rung": rung,
            "epochs": int(4 * rung),
            "seconds": 8 * rung,
            "measuring": 2.0,
            "auroc": seed + rung,
        }
        for allocation in ("4-2", "3-3")
        for seed in range(3)
        for rung in (*RUNGS, 1.0)
    )


def task(text: str) -> Task:
    return Task(Allocation.parse(text), 0, Path("nowhere"))


def answer(objective: TabulatedObjective, text: str, hooks: Hooks | None = None) -> object:
    [(index, found)] = objective.run([task(text)], hooks or Hooks())
    assert index == 0
    return found


def test_every_seed_of_an_allocation_comes_once_before_any_comes_again(rows):
    firsts = Counter()
    for seed in range(60):
        objective = TabulatedObjective(rows, seed=seed)
        given = [answer(objective, "4-2").metrics["auroc"] for _ in range(6)]
        assert sorted(given[:3]) == sorted(given[3:]) == [1.0, 2.0, 3.0]
        firsts[given[0]] += 1
        assert answer(objective, "3-3").metrics["auroc"] in (1.0, 2.0, 3.0)
    assert min(firsts.values()) > 8
    again = TabulatedObjective(rows, seed=59)
    assert [answer(again, "4-2").metrics["auroc"] for _ in range(6)] == given


def test_a_training_costs_one_and_a_rung_its_share(rows):
    objective = TabulatedObjective(rows, seed=0)
    assert isinstance(answer(objective, "4-2"), Result)
    measured = TabulatedObjective(rows, seed=0)
    seen = []
    answer(measured, "4-2", Hooks(rungs=RUNGS, rung=lambda *each: seen.append(each)))
    assert [rung for _, rung, _ in seen] == [0.25, 0.5]
    seed = seen[0][2]["auroc"] - 0.25
    assert seen[1][2]["auroc"] == seed + 0.5

    def stop(index: int, rung: float, metrics: object) -> None:
        if rung == 0.5:
            raise PrunedError("bad")

    assert isinstance(answer(measured, "3-3", Hooks(rungs=RUNGS, rung=stop)), PrunedError)
    [whole] = objective.answers
    assert (whole.allocation, whole.cost, whole.complete) == (Allocation((4, 2)), 1.0, True)
    # Of 10 s: 8 s and three measurements of 2 s; half of 8 s and two measurements.
    assert [each.cost for each in measured.answers] == pytest.approx([1.4, 0.8])
    assert [each.complete for each in measured.answers] == [True, False]


def test_rungs_of_their_own_schedules_come_on_top(rows):
    """Only seed 1 has them; they stand for the other seeds, too."""
    own = rows[(rows["seed"] == 1) & (rows["rung"] < 1)].assign(schedule="own")
    own["auroc"] += 100
    objective = TabulatedObjective(pd.concat([rows, own]), seed=0, schedule="own")
    seen = []
    hooks = Hooks(rungs=RUNGS, rung=lambda *each: seen.append(each))
    ends = [answer(objective, "4-2", hooks).metrics["auroc"] for _ in range(3)]
    assert sorted(ends) == [1.0, 2.0, 3.0]
    assert [(rung, metrics["auroc"]) for _, rung, metrics in seen] == [
        (0.25, 101.25),
        (0.5, 101.5),
    ] * 3

    def stop(index: int, rung: float, metrics: object) -> None:
        raise PrunedError("bad")

    assert isinstance(answer(objective, "3-3", Hooks(rungs=RUNGS, rung=stop)), PrunedError)
    # Of 10 s: 1 + 1/4 + 1/2 trainings of 8 s and three measurements of 2 s; a quarter and one.
    assert [each.cost for each in objective.answers] == pytest.approx([2.0, 2.0, 2.0, 0.4])


def test_a_table_with_holes_is_refused(rows):
    with pytest.raises(KeyError):
        answer(TabulatedObjective(rows, seed=0), "4-2", Hooks(rungs=(0.125,)))
    with pytest.raises(ValueError, match="4-2, seed 0: no row for the end"):
        TabulatedObjective(rows.drop(index=2), seed=0)

from __future__ import annotations

import pytest

from allocsearch.allocation import Allocation
from allocsearch.config import InputError, StudyConfig
from allocsearch.search.evaluation.baselines import UNIFORM
from allocsearch.search.evaluation.entrants import PREDICTED, Pick, entrants
from allocsearch.search.prediction import (
    LayerCountPrediction,
    PredictedAllocation,
    StudyPrediction,
)
from allocsearch.search.records import TrialRecord


def config(**space):
    return StudyConfig.model_validate(
        {
            "search_space": {"budget": 32, **space},
            "data": {"id": "digits", "ood_validation": ["inversion"]},
        }
    )


def pick(number, dims, text="knee"):
    return Pick(text, TrialRecord(number, "complete", Allocation(dims), score="llr_1"))


def roles(found):
    return {str(each.allocation): each.roles for each in found}


def prediction(*texts):
    chosen = [PredictedAllocation(text, 1.0, 1.0, 0.5) for text in texts]
    counts = [LayerCountPrediction(c.parsed.layers, 9, 9, c, c, (c,), (c,)) for c in chosen]
    return StudyPrediction(9, 64, 1.0, 3.0, 3, 0.1, 0.9, 0.5, (1.0,) * 32, tuple(counts))


def test_picked_first_then_the_baselines():
    picks = [pick(3, (20, 8, 4)), pick(5, (4, 8, 20), "trial:5")]
    found = entrants(picks, config(), prediction("18-10-4"))
    assert roles(found) == {
        "20-8-4": ("knee (trial 3)",),
        "4-8-20": ("trial 5",),
        "11-11-10": (UNIFORM,),
        "8-16-8": ("1:2:1 split",),
        "18-10-4": (PREDICTED,),
    }
    assert [each.trial is not None for each in found] == [True, True, False, False, False]


def test_one_allocation_is_evaluated_once():
    picks = [pick(3, (8, 16, 8)), pick(4, (8, 16, 8), "max:elbo"), pick(3, (8, 16, 8))]
    found = entrants(picks, config(), prediction("11-11-10"))
    assert roles(found) == {
        "8-16-8": ("knee (trial 3)", "max:elbo (trial 4)", "1:2:1 split"),
        "11-11-10": (UNIFORM, PREDICTED),
    }
    assert found[0].trial.number == 3


def test_baselines_are_on_the_lattice():
    """With steps, floors and caps, for as many layers as the picked ones have."""
    section = {"layers": [2, 4], "step": 2, "min_dim": 4, "max_dim": [12]}
    section |= {"budget": 24}
    found = entrants([pick(0, (12, 4, 4, 4))], config(**section), prediction("12-12"))
    lattice = config(**section).search_space.lattices()[4]
    assert len(found) == 3
    assert all(each.allocation in lattice for each in found)
    assert roles(found)["4-8-8-4"] == ("1:2:2:1 split",)


def test_table_without_the_uniform_split_has_it_as_a_baseline():
    found = entrants(
        [pick(0, (20, 8, 4))], config(kind="table", allocations=["20-8-4", "4-8-20"]), None
    )
    assert (UNIFORM,) in roles(found).values()


def test_trial_without_an_allocation():
    with pytest.raises(InputError, match="trial 2 never got as far"):
        entrants([Pick("trial:2", TrialRecord(2, "failed"))], config(), None)

from __future__ import annotations

import numpy as np
import optuna
import pytest

from allocsearch.allocation import Allocation, Lattice
from allocsearch.config import Objective
from allocsearch.report.importance import importance

OBJECTIVES = tuple(map(Objective.parse, ("max:retention", "min:attenuation")))
ALLOCATIONS = [*Lattice(24, 3, min_dim=1)]


def test_the_layer_that_decides_has_the_largest_share():
    dims = np.array([each.dims for each in ALLOCATIONS], dtype=float)
    # Retention by the dims of layer 1 alone, attenuation by those of layer 3.
    found = importance(ALLOCATIONS, dims[:, [0, 2]] * [1, -1], OBJECTIVES)
    assert found.allocations == len(ALLOCATIONS)
    assert found.quantile == 0.1
    for metric, decides in (("retention", "d_1"), ("attenuation", "d_3")):
        shares = found.shares[metric]
        assert list(shares) == ["d_1", "d_2", "d_3"]
        assert sum(shares.values()) == pytest.approx(1)
        assert max(shares, key=shares.__getitem__) == decides
        assert shares[decides] > 0.5


def test_shares_are_those_of_optuna_for_a_study_with_the_dims_as_parameters():
    rng = np.random.default_rng(3)
    chosen = [ALLOCATIONS[i] for i in rng.permutation(len(ALLOCATIONS))[:40]]
    values = rng.normal(size=(40, 1)) + np.array([[each.dims[1]] for each in chosen])
    study = optuna.create_study(direction="maximize")
    ranges = np.array([each.dims for each in chosen])
    for each, value in zip(chosen, values[:, 0], strict=True):
        study.enqueue_trial({f"d_{i}": d for i, d in enumerate(each.dims, 1)})
        trial = study.ask()
        for i in range(3):
            trial.suggest_int(f"d_{i + 1}", int(ranges[:, i].min()), int(ranges[:, i].max()))
        study.tell(trial, value)
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=5 / 40)
    truth = optuna.importance.get_param_importances(study, evaluator=evaluator)
    found = importance(chosen, values, OBJECTIVES[:1])
    assert found.quantile == 5 / 40
    assert found.shares["retention"] == pytest.approx(truth)


def test_the_number_of_layers_counts_where_it_varies():
    several = [each for layers in (2, 3) for each in Lattice(12, layers, min_dim=1)]
    values = np.array([[float(each.layers), 0.5] for each in several])
    shares = importance(several, values, OBJECTIVES).shares
    assert [*shares] == ["retention"]
    assert [*shares["retention"]] == ["layers", "d_1", "d_2", "d_3"]
    assert max(shares["retention"], key=shares["retention"].__getitem__) == "layers"


@pytest.mark.filterwarnings("error")
def test_a_number_of_layers_of_one_allocation_alone_warns_of_nothing():
    several = [*Lattice(12, 3, min_dim=1), Allocation((6, 6))]
    values = np.array([[float(each.dims[0])] for each in several])
    [shares] = importance(several, values, OBJECTIVES[:1]).shares.values()
    assert max(shares, key=shares.__getitem__) == "d_1"


def test_of_very_many_allocations_some_are_taken():
    many = [*Lattice(60, 3, min_dim=1)]
    assert len(many) > 1000
    values = np.array([[float(each.dims[0])] for each in many])
    found = importance(many, values, OBJECTIVES[:1])
    assert found.allocations == 1000
    assert max(found.shares["retention"], key=found.shares["retention"].__getitem__) == "d_1"


def test_a_layer_that_never_changes_is_left_out():
    fixed = [Allocation((i, 30 - i, 4)) for i in range(1, 30)]
    values = np.array([[float(each.dims[0])] for each in fixed])
    assert [*importance(fixed, values, OBJECTIVES[:1]).shares["retention"]] == ["d_1", "d_2"]

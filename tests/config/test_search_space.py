from __future__ import annotations

import pytest

from allocsearch.allocation import Allocation
from allocsearch.config import load


@pytest.mark.parametrize(
    ("space", "fragment"),
    [
        ("allocations = ['12-12', '12-x']", "not an allocation: '12-x'"),
        ("allocations = ['12-12', '8-8']", "8-8 sums to 16, not to the budget 24"),
        ("allocations = ['12-12', '12-12']", "stands twice"),
        ("allocations = ['12-12']\nlayers = 3", "12-12 does not have 3 layers"),
        (
            "allocations = ['12-12', '16-8']\nstep = 12",
            "16-8 gives layer 1 16 dims, no multiple of",
        ),
        ("allocations = ['12-12']\nstep = [4, 5]", "gives layer 2 12 dims, no multiple of step 5"),
    ],
)
def test_a_table_is_checked(tmp_path, space, fragment, message_of, minimal):
    path = tmp_path / "study.toml"
    path.write_text(minimal.replace("budget = 24", f"budget = 24\nkind = 'table'\n{space}"))
    message = message_of(path)
    assert message.startswith(f"{path}: search_space.allocations: ")
    assert fragment in message


def test_a_table_states_its_numbers_of_layers(study, message_of):
    overrides = ["search_space.kind=table", "search_space.allocations=['12-12', '8-8-4-4']"]
    loaded = load(study, overrides)
    assert loaded.search_space.layers == loaded.search_space.layer_counts == (2, 4)
    # The scores of the shallowest model are those that every trial has.
    assert "llr_1" in message_of(study, [*overrides, "evaluation.score=llr_2"])


def test_lattices_of_a_searched_number_of_layers(study):
    overrides = ["search_space.layers=[4, 2]", "search_space.step=2", "search_space.max_dim=12"]
    space = load(study, overrides).search_space
    assert space.layer_counts == (2, 4)
    assert list(space.lattices()) == [2, 4]
    assert list(space.lattices()[2]) == [Allocation((12, 12))]
    assert space.lattices()[4].max_dim == (12,) * 4


def test_a_table_takes_a_step_for_each_layer(study, message_of):
    overrides = ["search_space.kind=table", "search_space.step=[4, 1]"]
    loaded = load(study, [*overrides, "search_space.allocations=['20-4', '4-20', '8-16']"])
    assert loaded.search_space.step == (4, 1)
    message = message_of(study, [*overrides, "search_space.allocations=['20-4', '8-8-8']"])
    assert message.endswith("search_space.step: step has 2 values, and 8-8-8 3 layers")


@pytest.mark.parametrize(("value", "steps"), [("4", (4, 4, 4)), ("[8, 1, 2]", (8, 1, 2))])
def test_a_step_for_all_layers_or_for_each(study, value, steps):
    space = load(study, [f"search_space.step={value}"]).search_space
    assert space.lattices()[3].steps == steps


@pytest.mark.parametrize(
    ("overrides", "ending"),
    [
        (["step=[8, 4]"], "search_space.step: step has 2 values for 3 layers; allowed: one for "),
        (["step=[8, 4]", "layers=[2, 3]"], "search_space.step: step has 2 values for 3 layers"),
        (["step=[]"], "search_space.step: found []; "),
        (["step=[8, 0, 1]"], "search_space.step.1: found 0; input should be greater than or eq"),
        (
            ["step=[10, 4, 4]", "budget=25"],
            "search_space.budget: budget 25 is not a sum of multiples of step [10, 4, 4]; "
            "nearest possible: 22 or 26",
        ),
    ],
)
def test_steps_that_no_allocation_has_are_refused(study, message_of, overrides, ending):
    message = message_of(study, [f"search_space.{text}" for text in overrides])
    assert message.startswith(f"{study}: {ending}")

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

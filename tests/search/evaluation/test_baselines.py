from __future__ import annotations

import pytest

from allocsearch.allocation import Allocation
from allocsearch.config import SearchSpaceSection
from allocsearch.search.evaluation.baselines import baselines


@pytest.mark.parametrize(
    ("space", "of", "expected"),
    [
        ({"budget": 88}, "80-6-2", {"uniform split": "30-29-29", "1:2:1 split": "22-44-22"}),
        ({"budget": 88, "step": 8, "min_dim": 8}, "8-8-72", {"1:2:1 split": "24-40-24"}),
        ({"budget": 12, "layers": [2, 3]}, "7-5", {"uniform split": "6-6"}),
        ({"budget": 12, "layers": [2, 3]}, "7-4-1", {"uniform split": "4-4-4"}),
        (
            {"kind": "table", "budget": 20, "allocations": ["4-16", "10-5-5"]},
            "10-5-5",
            {"uniform split": "7-7-6", "1:2:1 split": "5-10-5"},
        ),
        # Whoever has edited the database.
        ({"budget": 12, "layers": [2, 3]}, "4-3-2-1", {"uniform split": "3-3-2-2"}),
    ],
)
def test_they_have_the_budget_and_the_layers_of_the_allocation(space, of, expected):
    allocation = Allocation.parse(of)
    found = baselines(allocation, SearchSpaceSection.model_validate(space))
    for _, baseline in found:
        assert (baseline.budget, baseline.layers) == (allocation.budget, allocation.layers)
    named = {name: str(baseline) for name, baseline in found}
    assert {name: named[name] for name in expected} == expected
    # Of two layers none is in the middle.
    assert len(found) == (1 if allocation.layers == 2 else 2)

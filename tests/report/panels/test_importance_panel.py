from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from allocsearch.allocation import Allocation, Lattice
from allocsearch.report.front import study_front
from allocsearch.report.page import render_page
from allocsearch.report.panels.importance_panel import importance_panel


def of(study_of, allocations):
    """A study of these allocations, in which layer 1 decides retention and layer L attenuation."""
    values = [(float(a.dims[0]), 1 - a.dims[-1] / a.budget) for a in allocations]
    record = study_of(values)
    trials = (
        dataclasses.replace(trial, allocation=allocation)
        for trial, allocation in zip(record.trials, allocations, strict=True)
    )
    return dataclasses.replace(record, trials=tuple(trials))


def found(record):
    return importance_panel(record, study_front(record))


def test_bars_are_the_numbers_of_the_table(study_of):
    lattice = [*Lattice(24, 3, min_dim=1)]
    chosen = np.random.default_rng(0).permutation(len(lattice))[:30]
    record = of(study_of, [lattice[i] for i in chosen])
    panel, omitted = found(record)
    assert omitted is None
    assert panel.data.header == ("dims of", "retention", "attenuation")
    assert [row[0] for row in panel.data.rows] == ["layer 1", "layer 2", "layer 3"]
    for column, bars in enumerate(panel.figure.data, 1):
        assert [f"{y:.2f}" for y in bars.y] == [row[column] for row in panel.data.rows]
        assert sum(bars.y) == pytest.approx(1)
    assert "How differently the best 5 of 30 allocations split" in panel.caption
    assert "With so few" in panel.caption
    assert 'id="importance"' in render_page(record)


@pytest.mark.parametrize(
    ("allocations", "reason"),
    [
        (
            [Allocation((i, 24 - i - 4, 4)) for i in range(1, 11)],
            "it takes 20 allocations, and 10 are complete",
        ),
        ([Allocation((i, 30 - i)) for i in range(1, 30)], "those of one layer decide all"),
    ],
)
def test_what_says_nothing_is_left_out_with_a_word(study_of, allocations, reason):
    record = of(study_of, allocations)
    assert found(record) == (None, f"Importance of the dims: {reason}.")
    page = render_page(record)
    assert reason in page
    assert 'id="importance"' not in page


def test_a_ratio_decides_all_dims(study_of):
    record = of(study_of, [*Lattice(24, 3, min_dim=1)][:25])
    space = record.config.search_space.model_copy(update={"kind": "ratio"})
    config = record.config.model_copy(update={"search_space": space})
    _, omitted = found(dataclasses.replace(record, config=config))
    assert omitted == "Importance of the dims: the ratio alone decides all of them."


def test_objectives_that_never_change_have_none(study_of):
    record = of(study_of, [*Lattice(24, 3, min_dim=1)][:25])
    trials = tuple(dataclasses.replace(t, values=(1.0, 0.5)) for t in record.trials)
    _, omitted = found(dataclasses.replace(record, trials=trials))
    assert omitted == "Importance of the dims: all allocations have the same objectives."

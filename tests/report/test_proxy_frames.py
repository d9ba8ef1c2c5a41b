from __future__ import annotations

import math

import pytest

from allocsearch.allocation import Allocation
from allocsearch.report.agreement import Agreement
from allocsearch.report.figures.proxy_figures import auroc_strips, tau_matrix
from allocsearch.report.proxy import ProxyCheck, ValidationSet
from allocsearch.report.proxy_frames import auroc_frame, tau_frame


@pytest.fixture
def check():
    sets = tuple(
        ValidationSet(name, None, aurocs)
        for name, aurocs in (("a", (0.5, 0.6)), ("b", (0.7, 0.8)), ("c", (0.9, 0.9)))
    )
    agreements = {("a", "b"): Agreement(0.5, 0.1, 0.8, 2), ("a", "c"): None, ("b", "c"): None}
    allocations = (Allocation((1, 2)), Allocation((2, 1)))
    return ProxyCheck("kl_1", None, allocations, sets, agreements)


def test_the_matrix_has_every_pair_on_both_sides(check):
    frame = tau_frame(check)
    assert frame.iloc[0].tolist() == ["a", "b", 0.5, 0.1, 0.8]
    assert frame[["tau", "low", "high"]].iloc[1:].isna().all(axis=None)
    (trace,) = tau_matrix(frame).data
    assert [*trace.x] == [*trace.y] == ["a", "b", "c"]
    assert trace.z[0][1] == trace.z[1][0] == 0.5
    assert sum(math.isnan(value) for row in trace.z for value in row) == 7


def test_the_strips_have_every_allocation_in_each_set(check):
    frame = auroc_frame(check)
    assert len(frame) == 6
    traces = auroc_strips(frame).data
    assert [trace.name for trace in traces] == ["a", "b", "c"]
    assert [*traces[1].x] == [0.7, 0.8]
    assert [*traces[1].customdata] == ["1-2", "2-1"]

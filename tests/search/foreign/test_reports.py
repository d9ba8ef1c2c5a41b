from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocsearch.search.foreign.checked_metrics import MetricsError
from allocsearch.search.foreign.reports import ForeignReports
from allocsearch.search.trainer import Hooks, PrunedError


class Heard:
    """What the hooks are told."""

    def __init__(self, stop_at=None, rungs=(0.25, 0.5)):
        self.progress, self.rungs, self.stop_at = [], [], stop_at
        self.hooks = Hooks(
            lambda index, found: self.progress.append((index, found)), rungs, self.rung
        )

    def rung(self, index, rung, metrics):
        self.rungs.append((index, rung, dict(metrics)))
        if rung == self.stop_at:
            raise PrunedError("not among the best")


def reports(heard):
    return ForeignReports(3, ("a",), heard.hooks)


def test_progress_is_passed_on_with_what_else_there_is():
    heard = Heard()
    reports(heard).take(0.1, None, {"elbo": -3})
    assert heard.progress == [(3, {"progress": 0.1, "elbo": -3.0})]
    assert heard.rungs == []


def test_the_first_report_with_metrics_after_a_rung_is_judged_there():
    heard = Heard()
    taker = reports(heard)
    for share in (0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0):
        taker.take(share, {"a": share} if share != 0.3 else None, {})
    assert heard.rungs == [(3, 0.25, {"a": 0.4}), (3, 0.5, {"a": 0.6})]


def test_of_several_rungs_at_once_the_last_counts_and_none_at_the_end():
    heard = Heard()
    reports(heard).take(0.7, {"a": 1.0}, {})
    assert heard.rungs == [(3, 0.5, {"a": 1.0})]
    heard = Heard()
    reports(heard).take(1.0, {"a": 1.0}, {})
    assert heard.rungs == []


@settings(derandomize=True, max_examples=100)
@given(st.integers(1, 200), st.integers(1, 199))
def test_shares_that_are_added_up_reach_their_rung(steps, wanted):
    wanted = min(wanted, steps - 1)
    heard, share = Heard(rungs=(wanted / steps,) if wanted else (1e-6,)), 0.0
    taker = reports(heard)
    for _ in range(wanted or 1):
        share += 1 / steps
    taker.take(min(share, 1.0), {"a": 1.0}, {})
    assert len(heard.rungs) == (steps > 1)


def test_a_rung_may_stop_the_training():
    heard = Heard(stop_at=0.25)
    with pytest.raises(PrunedError):
        reports(heard).take(0.25, {"a": 1.0}, {})


@pytest.mark.parametrize(
    ("progress", "metrics", "numbers", "message"),
    [
        (None, None, {}, "progress is None; allowed: a number"),
        (1.5, None, {}, "progress is 1.5; allowed: from 0 to 1"),
        (-0.1, None, {}, "progress is -0.1; allowed: from 0 to 1"),
        (float("nan"), None, {}, "progress is nan; allowed: a finite number"),
        (0.5, {"b": 1.0}, {}, "no a, which is an objective; found b"),
        (0.5, {"a": float("nan")}, {}, "a is nan; allowed: a finite number"),
        (0.5, 3, {}, "found 3; allowed: an object of metrics by name"),
        (0.5, None, {"elbo": "low"}, "elbo is 'low'; allowed: a number"),
    ],
)
def test_reports_are_checked(progress, metrics, numbers, message):
    with pytest.raises(MetricsError) as caught:
        reports(Heard()).take(progress, metrics, numbers)
    assert str(caught.value) == message

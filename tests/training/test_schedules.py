from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocsearch.config import TrainingSection
from allocsearch.training.schedules import free_nats, kl_weight

fixed = settings(derandomize=True, deadline=None)
shares = st.floats(0, 1)


@st.composite
def sections(draw) -> TrainingSection:
    hold, end = sorted(draw(st.tuples(shares, shares)))
    return TrainingSection(
        kl_warmup=draw(shares),
        free_nats=draw(st.floats(0, 100)),
        free_nats_hold=hold,
        free_nats_end=end,
    )


@pytest.mark.parametrize(
    ("progress", "expected"), [(0, 0), (0.1, 0.4), (0.25, 1), (0.26, 1), (1, 1)]
)
def test_the_kl_weight_rises_linearly_over_the_warmup(progress: float, expected: float) -> None:
    assert kl_weight(progress, TrainingSection(kl_warmup=0.25)) == pytest.approx(expected)


def test_without_a_warmup_the_kl_weight_is_one_from_the_start() -> None:
    assert kl_weight(0.0, TrainingSection(kl_warmup=0.0)) == 1.0


@pytest.mark.parametrize(
    ("progress", "expected"),
    [(0, 2), (0.4, 2), (0.5, 1.5), (0.6, 1), (0.7, 0.5), (0.8, 0), (1, 0)],
)
def test_free_nats_are_held_then_fall_linearly(progress: float, expected: float) -> None:
    section = TrainingSection(free_nats=2.0, free_nats_hold=0.4, free_nats_end=0.8)
    assert free_nats(progress, section) == pytest.approx(expected)


def test_free_nats_can_end_at_once_or_never_fall() -> None:
    at_once = TrainingSection(free_nats=2.0, free_nats_hold=0.5, free_nats_end=0.5)
    assert [free_nats(p, at_once) for p in (0.0, 0.49, 0.5, 1.0)] == [2.0, 2.0, 0.0, 0.0]
    never = TrainingSection(free_nats=2.0, free_nats_hold=1.0, free_nats_end=1.0)
    assert free_nats(0.999, never) == 2.0


@fixed
@given(sections(), shares)
def test_schedules_equal_interpolation_between_their_corners(
    section: TrainingSection, progress: float
) -> None:
    if section.kl_warmup > 0:
        expected = np.interp(progress, [0, section.kl_warmup], [0, 1])
        assert math.isclose(kl_weight(progress, section), expected, rel_tol=1e-9, abs_tol=1e-300)
    hold, end = section.free_nats_hold, section.free_nats_end
    if end - hold > 1e-6:
        expected = np.interp(progress, [hold, end], [section.free_nats, 0])
        found = free_nats(progress, section)
        assert math.isclose(found, expected, rel_tol=1e-6, abs_tol=1e-6 * section.free_nats)


@fixed
@given(sections(), shares, shares)
def test_the_kl_weight_never_falls_and_the_free_nats_never_rise(
    section: TrainingSection, first: float, second: float
) -> None:
    first, second = sorted((first, second))
    assert 0 <= kl_weight(first, section) <= kl_weight(second, section) <= 1
    assert 0 <= free_nats(second, section) <= free_nats(first, section) <= section.free_nats

from __future__ import annotations

import math

import pytest

from allocsearch.metrics.information import InformationBracket
from allocsearch.metrics.invariants import broken_invariants


def bracket(lower: float, upper: float, se: float = 0.1) -> InformationBracket:
    return InformationBracket(lower, upper, se, se, saturated=False, n=1000, samples=16)


SOUND = [bracket(5.0, 6.0), bracket(2.0, 3.0)]


def test_a_sound_model_breaks_nothing():
    assert broken_invariants(SOUND, 7.0, 0.5, markov=True) == ()


@pytest.mark.parametrize(
    ("brackets", "rate", "attenuation", "expected"),
    [
        ([bracket(7.0, 6.0), bracket(2.0, 3.0)], 7.0, 0.5, "lower_above_upper_1"),
        ([bracket(0.5, 1.0), bracket(2.0, 3.0)], 7.0, 0.5, "data_processing_2"),
        (SOUND, 4.0, 0.5, "rate_below_information_1"),
        (SOUND, 7.0, 1.1, "attenuation"),
        (SOUND, 7.0, -0.1, "attenuation"),
        (SOUND, 7.0, math.nan, "attenuation"),
        ([bracket(math.nan, 6.0), bracket(2.0, 3.0)], 7.0, 0.5, "lower_above_upper_1"),
    ],
)
def test_each_broken_invariant_is_named(brackets, rate, attenuation, expected):
    assert expected in broken_invariants(brackets, rate, attenuation, markov=True)


def test_skip_connections_lift_the_data_processing_inequality():
    brackets = [bracket(0.5, 1.0), bracket(2.0, 3.0)]
    assert broken_invariants(brackets, 7.0, 0.5, markov=False) == ()


def test_noise_within_three_standard_errors_is_no_breach():
    noisy = [bracket(6.0, 5.8, se=0.1)]
    assert broken_invariants(noisy, 7.0, 0.0, markov=False) == ()
    assert broken_invariants(noisy, 7.0, 0.0, markov=False, sigmas=1.0) == ("lower_above_upper_1",)

from __future__ import annotations

import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

from allocsearch.metrics.auroc import auroc
from allocsearch.metrics.comparison import compare_aurocs
from allocsearch.metrics.delong import placements

REPETITIONS = 1000


def _two_scores(shifts: tuple[float, float], n: int, m: int, seed: int) -> list[list[Tensor]]:
    """Two scores that share half of their variance, `(REPETITIONS, n)` and `(..., m)` each."""
    generator = torch.Generator().manual_seed(seed)

    def draw(size: int) -> list[Tensor]:
        common, *own = torch.randn(3, REPETITIONS, size, generator=generator)
        return [common + part for part in own]

    low, high = draw(n), draw(m)
    return [[i, o + shift] for i, o, shift in zip(low, high, shifts, strict=True)]


@pytest.mark.parametrize(("shift", "n", "m"), [(0.5, 100, 100), (3.0, 300, 200), (2.0, 40, 200)])
def test_size_under_the_null(shift: float, n: int, m: int) -> None:
    first, second = _two_scores((shift, shift), n, m, seed=n)
    found = compare_aurocs(tuple(first), tuple(second))
    assert 0.03 <= float((found.p_value < 0.05).double().mean()) <= 0.07
    # The interval leaves out 0 exactly where the test rejects.
    outside = (found.low > 0) | (found.high < 0)
    assert torch.equal(outside, found.p_value < 0.05)
    assert kstest(found.p_value.numpy(), "uniform").statistic < 0.05


def test_the_interval_covers_a_difference() -> None:
    first, second = _two_scores((2.0, 1.0), 150, 100, seed=5)
    found = compare_aurocs(tuple(first), tuple(second))
    truth = float(torch.special.ndtr(torch.tensor(1.0)) - torch.special.ndtr(torch.tensor(0.5)))
    covered = (found.low <= truth) & (truth <= found.high)
    assert 0.93 <= float(covered.double().mean()) <= 0.97
    assert float((found.p_value < 0.05).double().mean()) > 0.8


def test_the_standard_error_is_that_of_the_bootstrap() -> None:
    generator = torch.Generator().manual_seed(6)
    n, m = 150, 100
    (low_1, high_1), (low_2, high_2) = (
        (low[0], high[0]) for low, high in _two_scores((1.5, 1.0), n, m, seed=6)
    )
    found = compare_aurocs((low_1, high_1), (low_2, high_2))
    i = torch.randint(n, (600, n), generator=generator)
    o = torch.randint(m, (600, m), generator=generator)
    of_first, _ = placements(low_1[i], high_1[o])
    of_second, _ = placements(low_2[i], high_2[o])
    # The bootstrap's own relative error is 3 %.
    spread = float((of_first.mean(1) - of_second.mean(1)).std())
    assert float(found.standard_error) == pytest.approx(spread, rel=0.12)
    assert float(found.difference) == pytest.approx(auroc(low_1, high_1) - auroc(low_2, high_2))
    # Taking no notice of the pairs would give a larger error.
    unpaired = compare_aurocs((low_1, high_1), (low_2.flip(0), high_2.flip(0)))
    assert found.standard_error < 0.9 * unpaired.standard_error


def test_swapping_the_scores_mirrors_and_sets_average() -> None:
    first, second = (
        tuple(part[0] for part in [*score, score[1] + 0.5])
        for score in _two_scores((1.5, 1.0), 50, 60, seed=7)
    )
    one, other = compare_aurocs(first, second), compare_aurocs(second, first)
    assert float(one.difference) == pytest.approx(-float(other.difference))
    assert float(one.low) == pytest.approx(-float(other.high))
    assert float(one.p_value) == pytest.approx(float(other.p_value))
    means = [sum(auroc(s[0], part) for part in s[1:]) / 2 for s in (first, second)]
    assert float(one.difference) == pytest.approx(means[0] - means[1])


def test_scores_in_the_same_order_do_not_differ() -> None:
    low, high = torch.arange(30.0), torch.arange(20.0) + 15
    found = compare_aurocs((low, high), (low.exp(), high.exp()))
    assert float(found.difference) == float(found.standard_error) == 0
    assert float(found.p_value) == 1
    assert float(found.high) == pytest.approx(1 - 0.025 ** (1 / 20))
    assert float(found.low) == -float(found.high)


def test_scores_of_other_examples_are_refused() -> None:
    pair = (torch.arange(3.0), torch.arange(4.0))
    with pytest.raises(ValueError, match="same examples"):
        compare_aurocs(pair, (torch.arange(4.0), torch.arange(4.0)))
    with pytest.raises(ValueError, match="two or more"):
        compare_aurocs((torch.zeros(1), torch.ones(4)), (torch.zeros(1), torch.ones(4)))

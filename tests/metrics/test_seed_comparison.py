"""Differences between allocations over seeds and examples, against simulation and closed forms."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import ttest_ind

from allocsearch.metrics.auroc import auroc
from allocsearch.metrics.seed_comparison import compare_seeds


def drawn(generator, seeds, shift, examples=None, n=60, m=50, spread=0.3):
    """Scores of one allocation: what the examples are, what the seed does, and noise."""
    of_id, of_ood = examples or (torch.randn(n, generator=generator),) * 2
    moved = shift + spread * torch.randn(seeds, 1, generator=generator)
    noise = [torch.randn(seeds, len(part), generator=generator) for part in (of_id, of_ood)]
    return of_id + noise[0], of_ood + moved + noise[1]


def test_difference_is_that_of_the_mean_aurocs():
    generator = torch.Generator().manual_seed(0)
    examples = torch.randn(40, generator=generator), torch.randn(30, generator=generator)
    first = drawn(generator, 3, 1.0, examples)
    second = drawn(generator, 4, 0.2, examples)
    means = [
        sum(auroc(a, b) for a, b in zip(*scores, strict=True)) / len(scores[0])
        for scores in (first, second)
    ]
    result = compare_seeds(first, second)
    assert float(result.difference) == pytest.approx(means[0] - means[1], abs=1e-12)
    back = compare_seeds(second, first)
    assert float(back.p_value) == pytest.approx(float(result.p_value), rel=1e-12)
    assert float(back.low) == pytest.approx(-float(result.high), abs=1e-12)


def test_welch_where_the_examples_do_not_differ():
    """Each seed moves all examples alike: of two ID and two OOD values, only the seeds vary."""
    of_id = torch.tensor([[0.0, 0.0]])
    levels = {0.5: 0.0, 1.0: 1.0, 0.0: -1.0}

    def of(aurocs):
        rows = torch.tensor([[levels[a]] * 2 for a in aurocs])
        return of_id.repeat(len(aurocs), 1), rows

    first, second = [1.0, 0.5, 1.0, 1.0], [0.5, 0.0, 0.5]
    result = compare_seeds(of(first), of(second))
    truth = ttest_ind(first, second, equal_var=False)
    assert float(result.p_value) == pytest.approx(truth.pvalue, rel=1e-9)
    interval = truth.confidence_interval(0.95)
    assert float(result.low) == pytest.approx(max(interval.low, -1), rel=1e-9)
    assert float(result.high) == pytest.approx(min(interval.high, 1), rel=1e-9)


def test_false_alarms_are_at_most_as_many_as_promised():
    """Two allocations of equal quality, 3 seeds each, the same examples."""
    generator = torch.Generator().manual_seed(1)
    repetitions, alarms, missed = 400, 0, 0
    for _ in range(repetitions):
        examples = torch.randn(60, generator=generator), torch.randn(50, generator=generator)
        pair = [drawn(generator, 3, 1.0, examples) for _ in range(2)]
        result = compare_seeds(*pair)
        alarms += bool(result.p_value < 0.05)
        missed += bool((result.low > 0) | (result.high < 0))
    assert alarms == missed
    # At most 5 %, with four standard errors of 400 repetitions.
    assert alarms / repetitions <= 0.05 + 4 * (0.05 * 0.95 / repetitions) ** 0.5
    # Not useless either: it is conservative by less than an order of magnitude.
    assert alarms / repetitions >= 0.005


def test_a_large_difference_is_found():
    generator = torch.Generator().manual_seed(2)
    examples = torch.randn(200, generator=generator), torch.randn(200, generator=generator)
    first, second = (drawn(generator, 3, s, examples, spread=0.1) for s in (2.0, 0.0))
    result = compare_seeds(first, second)
    assert result.low > 0
    assert result.p_value < 0.01


def test_nothing_differs():
    scores = torch.arange(10.0).repeat(2, 1), torch.arange(10.0).repeat(2, 1) + 3
    result = compare_seeds(scores, scores)
    assert (float(result.difference), float(result.p_value)) == (0, 1)
    assert result.low < 0 < result.high


def test_refused():
    one = torch.randn(1, 5), torch.randn(1, 5)
    two = torch.randn(2, 5), torch.randn(2, 5)
    with pytest.raises(ValueError, match="two or more of each"):
        compare_seeds(one, two)
    with pytest.raises(ValueError, match="the same examples"):
        compare_seeds(two, (torch.randn(2, 5), torch.randn(2, 6)))
    with pytest.raises(ValueError, match="two or more examples"):
        compare_seeds((two[0], torch.randn(2, 1)), (two[0], torch.randn(2, 1)))

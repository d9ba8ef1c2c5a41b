"""What a trained model's scores say of synthetic shifts, from none to the strongest."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from allocsearch.allocation import Allocation
from allocsearch.config import DataSection, ModelSection, TrainingSection
from allocsearch.data.shifts import SHIFT_FUNCTIONS
from allocsearch.data.splits import load_search_data
from allocsearch.metrics.auroc import auroc
from allocsearch.metrics.intervals import auroc_interval
from allocsearch.metrics.scorer import Passes, Scorer
from allocsearch.models.build import build_model
from allocsearch.training.loop import train

STRENGTHS = (0.0, 0.25, 0.5, 1.0)


@pytest.fixture(scope="module")
def scorer_and_halves():
    """A scorer of the digits, and two disjoint halves of held-out ones."""
    section = DataSection(id={"source": "digits"}, train_size=1000, validation_size=500)
    data = load_search_data(section)
    model = build_model(Allocation((12, 6)), (8, 8), ModelSection(hidden=64, depth=1), 0)
    training = TrainingSection(epochs=25, batch_size=50, learning_rate=3e-3, free_nats=0.5)
    train(model, data.train.values, training, 0)
    scorer = Scorer.fit(model, data.train.values, Passes(4, 500, 0))
    return scorer, data.validation.values[:250], data.validation.values[250:]


@pytest.fixture(scope="module")
def scores_of(scorer_and_halves):
    """For each shift and strength, every score of the one half as it is and the other shifted."""
    scorer, plain, other = scorer_and_halves
    of_id = scorer.score(plain)

    def shifted(name, strength):
        source = torch.Generator().manual_seed(3)
        return of_id, scorer.score(SHIFT_FUNCTIONS[name](other, strength, source))

    return shifted


@pytest.mark.parametrize("shift", list(SHIFT_FUNCTIONS))
def test_strength_zero_is_chance(shift, scores_of):
    of_id, of_shifted = scores_of(shift, 0.0)
    for name in ("negative_elbo", "llr_1", "kl_1", "kl_2", "mahalanobis", "typicality"):
        low, high = auroc_interval(of_id[name], of_shifted[name])
        assert low < 0.5 < high, name


@pytest.mark.parametrize("shift", list(SHIFT_FUNCTIONS))
def test_auroc_grows_with_the_strength(shift, scores_of):
    rows = [scores_of(shift, strength) for strength in STRENGTHS]
    growing = []
    # A compressor knows most shifts without any model.
    for name in (name for name in rows[0][0] if not name.startswith("complexity_")):
        aurocs = [auroc(of_id[name], of_shifted[name]) for of_id, of_shifted in rows]
        steps = list(pairwise(aurocs))
        # The strongest step may find a score saturated.
        if all(a < b for a, b in steps[:-1]) and aurocs[-1] >= aurocs[-2]:
            low, _ = auroc_interval(rows[-1][0][name], rows[-1][1][name])
            growing += [name] if low > 0.5 else []
    assert growing

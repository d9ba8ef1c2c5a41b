from __future__ import annotations

from allocsearch.config import Objective
from allocsearch.search.sampling.losses import losses


def test_losses_flip_what_is_maximised():
    objectives = (Objective.parse("max:retention"), Objective.parse("min:attenuation"))
    assert losses([[3.0, 0.5]], objectives).tolist() == [[-3.0, 0.5]]

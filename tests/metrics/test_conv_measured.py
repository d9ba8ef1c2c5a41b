from __future__ import annotations

import math

import pytest

from allocsearch.allocation import Allocation
from allocsearch.config import ModelSection, TrainingSection
from allocsearch.data.dataset import Dataset
from allocsearch.data.digits import read_digits
from allocsearch.data.splits import SearchData
from allocsearch.metrics.evaluation import Settings, measure
from allocsearch.models.build import build_model
from allocsearch.training.loop import train


@pytest.mark.parametrize("inference", ["bottom_up", "top_down"])
def test_a_convolutional_model_with_a_spatial_layer_is_measured(inference) -> None:
    values, _ = read_digits()
    data = SearchData(
        Dataset("digits", values[:256]),
        Dataset("digits", values[256:356]),
        (Dataset("inverted", 255 - values[356:420]),),
    )
    section = ModelSection.model_validate(
        {
            "blocks": "conv",
            "channels": 8,
            "depth": 1,
            "latents": ["spatial", "dense"],
            "inference": inference,
        }
    )
    model = build_model(Allocation((32, 4)), (8, 8), section, 0)
    train(model, data.train.values, TrainingSection(epochs=6, batch_size=32), 0)
    settings = Settings(score="auto", samples=4, score_samples=2, batch_size=50, seed=0)
    measured = measure(model, data, settings)
    assert not measured.broken_invariants
    assert all(math.isfinite(value) for value in measured.metrics.values())
    # Inverted digits are nothing like digits.
    assert measured.metrics["auroc"] > 0.9

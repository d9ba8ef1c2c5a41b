from __future__ import annotations

import pytest
import torch

from allocsearch.config import InputError, ModelSection
from allocsearch.models.likelihoods.stored import check_stored

PIXELS = torch.tensor([[0, 4], [7, 255]], dtype=torch.uint8)
DISCRETE = ["bernoulli", "categorical", "logistic_mixture"]


@pytest.mark.parametrize("likelihood", DISCRETE)
def test_discrete_likelihoods_take_pixels_alone(likelihood):
    section = ModelSection(likelihood=likelihood)
    check_stored(PIXELS, section, "wine")
    with pytest.raises(InputError) as error:
        check_stored(PIXELS.float(), section, "wine")
    assert str(error.value) == (
        f"model.likelihood: found {likelihood!r}, and wine has continuous values; allowed: "
        f"'gaussian' for them"
    )


def test_the_gaussian_takes_continuous_values_alone():
    check_stored(PIXELS.float(), ModelSection(likelihood="gaussian"), "digits")
    with pytest.raises(InputError, match=r"'gaussian', and digits has pixels.*'bernoulli'"):
        check_stored(PIXELS, ModelSection(likelihood="gaussian"), "digits")


def test_ids_of_tokens_lie_below_the_levels():
    section = ModelSection(likelihood="categorical", one_hot=True, levels=8)
    check_stored(PIXELS % 8, section, "text")
    with pytest.raises(InputError, match=r"found 255 in text; allowed: ids of tokens, 0 to 7"):
        check_stored(PIXELS, section, "text")
    check_stored(PIXELS, section.model_copy(update={"one_hot": False}), "text")

"""Whether the data of a search and a model fit each other."""

from __future__ import annotations

from allocsearch.config import ModelSection
from allocsearch.data.splits import SearchData
from allocsearch.models.likelihoods import build_likelihood
from allocsearch.models.likelihoods.stored import check_stored


def check_compatibility(data: SearchData, section: ModelSection) -> None:
    """Refuse data that the likelihood of the model is not for.

    Args:
        data: The data.
        section: The model.

    Raises:
        InputError: If shape or values of a part are not those that the likelihood takes.
    """
    build_likelihood(data.train.shape, section)
    for part in (data.train, data.validation, *data.ood_validation):
        check_stored(part.values, section, part.name)

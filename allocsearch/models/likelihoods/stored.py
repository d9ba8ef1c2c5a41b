"""Which stored values a likelihood is for."""

from __future__ import annotations

from torch import Tensor

from allocsearch.config import InputError, ModelSection

# All others take uint8.
_CONTINUOUS = "gaussian"


def check_stored(values: Tensor, section: ModelSection, name: str) -> None:
    """Refuse stored values that the likelihood of a study is not for.

    Args:
        values: Stored examples, `(n, *shape)`.
        section: The model.
        name: Of the data set, for errors.

    Raises:
        InputError: If the values are continuous and the likelihood is discrete, or the other way
            round, or if they are to be tokens and some are no ids below `model.levels`.
    """
    if values.is_floating_point() != (section.likelihood == _CONTINUOUS):
        found, allowed = (
            ("continuous values", f"{_CONTINUOUS!r} for them")
            if values.is_floating_point()
            else ("pixels (uint8)", "'bernoulli', 'categorical' or 'logistic_mixture' for them")
        )
        raise InputError(
            f"model.likelihood: found {section.likelihood!r}, and {name} has {found}; "
            f"allowed: {allowed}"
        )
    if section.one_hot and (most := int(values.max())) >= section.levels:
        raise InputError(
            f"model.one_hot: found {most} in {name}; allowed: ids of tokens, 0 to "
            f"{section.levels - 1}, below model.levels = {section.levels}"
        )

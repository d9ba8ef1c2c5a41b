"""Likelihoods p(x | z), by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from allocsearch.config import InputError, ModelSection
from allocsearch.models.likelihoods.bernoulli import Bernoulli
from allocsearch.models.likelihoods.categorical import Categorical
from allocsearch.models.likelihoods.gaussian import Gaussian
from allocsearch.models.likelihoods.likelihood import Likelihood
from allocsearch.models.likelihoods.logistic_mixture import LogisticMixture

LIKELIHOODS: Mapping[str, Callable[[tuple[int, ...], ModelSection], Likelihood]] = {
    "bernoulli": lambda shape, section: Bernoulli(shape),
    "categorical": lambda shape, section: Categorical(
        shape, section.levels, one_hot=section.one_hot, pad=section.pad
    ),
    "logistic_mixture": lambda shape, section: LogisticMixture(shape, section.mixtures),
    "gaussian": lambda shape, section: Gaussian(shape),
}


def build_likelihood(shape: tuple[int, ...], section: ModelSection) -> Likelihood:
    """The likelihood that `model.likelihood` names.

    Args:
        shape: Of one example: `(d,)`, `(H, W)` or `(C, H, W)`.
        section: The model.

    Raises:
        InputError: If the likelihood is not one for examples of this shape.
    """
    try:
        return LIKELIHOODS[section.likelihood](shape, section)
    except ValueError as error:
        raise InputError(
            f"model.likelihood: found {section.likelihood!r} for examples of shape {shape}; "
            f"allowed: {error}"
        ) from None


__all__ = ["LIKELIHOODS", "Likelihood", "build_likelihood"]

"""Likelihoods p(x | z), by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from allocsearch.config import ModelSection
from allocsearch.models.likelihoods.bernoulli import Bernoulli
from allocsearch.models.likelihoods.likelihood import Likelihood

LIKELIHOODS: Mapping[str, Callable[[tuple[int, ...], ModelSection], Likelihood]] = {
    "bernoulli": lambda shape, section: Bernoulli(shape),
}


def build_likelihood(shape: tuple[int, ...], section: ModelSection) -> Likelihood:
    """The likelihood that `model.likelihood` names.

    Args:
        shape: Of one example: `(d,)`, `(H, W)` or `(C, H, W)`.
        section: The model.

    Raises:
        InputError: If the likelihood is not one for examples of this shape.
    """
    return LIKELIHOODS[section.likelihood](shape, section)


__all__ = ["LIKELIHOODS", "Likelihood", "build_likelihood"]

"""The section `model`: the HVAE, but for its allocation."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from allocsearch.config.errors import mistake
from allocsearch.config.section import Count, Section

# A resolved study states every key, so those that go unused are there, with their defaults.
_ONLY_FOR = {
    ("likelihood", "categorical"): ("levels", "one_hot"),
    ("likelihood", "logistic_mixture"): ("mixtures",),
}


class ModelSection(Section):
    """The HVAE, but for its allocation."""

    inference: Literal["bottom_up", "top_down"] = "bottom_up"
    blocks: Literal["dense"] = "dense"
    hidden: Count = 256
    depth: Count = 2
    skip: bool = True
    activation: Literal["silu", "relu", "elu", "gelu", "leaky_relu", "tanh"] = "silu"
    likelihood: Literal["bernoulli", "categorical", "logistic_mixture", "gaussian"] = "bernoulli"
    levels: Annotated[int, Field(ge=2, le=256)] = 256
    one_hot: bool = False
    mixtures: Count = 10

    @model_validator(mode="after")
    def _check(self) -> Self:
        for (choice, wanted), keys in _ONLY_FOR.items():
            for key in keys:
                found = getattr(self, key)
                default = type(self).model_fields[key].default
                if (chosen := getattr(self, choice)) != wanted and found != default:
                    message = (
                        f"found {found}; allowed only with {choice} {wanted!r}, and it is "
                        f"{chosen!r}"
                    )
                    raise mistake(key, message)
        return self

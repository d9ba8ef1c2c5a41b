"""The section `model`: the HVAE, but for its allocation."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from allocsearch.config.errors import mistake
from allocsearch.config.section import Count, Counts, Section, one_or_more

# A resolved study states every key, so those that go unused are there, with their defaults.
_ONLY_FOR = {
    ("likelihood", "categorical"): ("levels", "one_hot"),
    ("likelihood", "logistic_mixture"): ("mixtures",),
    ("blocks", "dense"): ("hidden",),
    ("blocks", "conv"): ("channels", "kernels", "strides", "latents"),
}


def _odd(sizes: tuple[int, ...]) -> tuple[int, ...]:
    for size in sizes:
        if size % 2 == 0:
            raise ValueError(f"found {size}; allowed: odd sizes, such as 3 and 5")
    return sizes


_LatentKinds = Annotated[
    tuple[Literal["spatial", "dense"], ...], BeforeValidator(one_or_more), Field(min_length=1)
]


class ModelSection(Section):
    """The HVAE, but for its allocation."""

    inference: Literal["bottom_up", "top_down"] = "bottom_up"
    blocks: Literal["dense", "conv"] = "dense"
    hidden: Count = 256
    channels: Count = 64
    kernels: Annotated[Counts, AfterValidator(_odd)] = (3,)
    strides: Counts = (2,)
    latents: _LatentKinds = ("dense",)
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
                    shown = list(found) if isinstance(found, tuple) else found
                    message = (
                        f"found {shown}; allowed only with {choice} {wanted!r}, and it is "
                        f"{chosen!r}"
                    )
                    raise mistake(key, message)
        return self

    def check_layers(self, layers: int) -> None:
        """Check that the lists of convolution blocks have one value, or one for each layer.

        Raises:
            PydanticCustomError: If not; for the validator of what holds this section.
        """
        for key in ("kernels", "strides", "latents"):
            if len(found := getattr(self, key)) not in (1, layers):
                allowed = f"one for all layers, or {layers}, one for each"
                message = f"found {len(found)} values for {layers} layers; allowed: {allowed}"
                raise mistake(f"model.{key}", message)

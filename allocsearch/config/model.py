"""The section `model`: the HVAE, but for its allocation."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from allocsearch.config.errors import mistake
from allocsearch.config.section import Count, Counts, Section, one_or_more

# A resolved study states every key, so those that go unused are there, with their defaults.
_ONLY_FOR: dict[tuple[str, tuple[object, ...]], tuple[str, ...]] = {
    ("likelihood", ("categorical",)): ("levels", "one_hot", "pad", "embedding"),
    ("one_hot", (True,)): ("pad", "embedding"),
    ("likelihood", ("logistic_mixture",)): ("mixtures",),
    ("blocks", ("dense",)): ("hidden",),
    ("blocks", ("conv", "conv1d")): ("channels", "kernels", "strides", "latents"),
}


def _odd(sizes: tuple[int, ...]) -> tuple[int, ...]:
    for size in sizes:
        if size % 2 == 0:
            raise ValueError(f"found {size}; allowed: odd sizes, such as 3 and 5")
    return sizes


def _written(choices: tuple[object, ...]) -> str:
    """As a study file has them."""
    return " or ".join(str(c).lower() if isinstance(c, bool) else repr(c) for c in choices)


_LatentKinds = Annotated[
    tuple[Literal["spatial", "dense"], ...], BeforeValidator(one_or_more), Field(min_length=1)
]


class ModelSection(Section):
    """The HVAE, but for its allocation."""

    inference: Literal["bottom_up", "top_down"] = "bottom_up"
    """Each layer is drawn given the one below, or top down as in a ladder VAE."""
    blocks: Literal["dense", "conv", "conv1d"] = "dense"
    """Dense layers, or residual convolutions: `conv` for images, `conv1d` along sequences."""
    hidden: Count = 256
    """Units of a dense layer."""
    channels: Count = 64
    """Channels of a convolution."""
    kernels: Annotated[Counts, AfterValidator(_odd)] = (3,)
    """Kernel sizes, odd; one for all layers or one for each, bottom to top."""
    strides: Counts = (2,)
    """Strides, in the same form."""
    latents: _LatentKinds = ("dense",)
    """Whether latents have a value at each position of a map; in the same form."""
    depth: Count = 2
    """Dense layers, or residual blocks, of one stage."""
    skip: bool = True
    """Whether deterministic features pass from stage to stage beside the latents."""
    activation: Literal["silu", "relu", "elu", "gelu", "leaky_relu", "tanh"] = "silu"
    """Between the layers."""
    likelihood: Literal["bernoulli", "categorical", "logistic_mixture", "gaussian"] = "bernoulli"
    """What the data is: binarised pixels, grey levels or tokens, 256 grey or RGB values, or
    continuous features."""
    levels: Annotated[int, Field(ge=2, le=256)] = 256
    """Values that a feature can have, for `categorical`."""
    one_hot: bool = False
    """Whether values are ids of tokens, for `categorical`."""
    pad: Annotated[int, Field(ge=0, le=255)] | None = None
    """The id that fills up short sequences, for `one_hot`: no score and no gradient counts it.
    Left out, there is none."""
    embedding: Count | None = None
    """Dims of a learned embedding of each token, for `one_hot`. Left out, indicators are seen."""
    mixtures: Count = 10
    """Components of the mixture, for `logistic_mixture`."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for (choice, wanted), keys in _ONLY_FOR.items():
            for key in keys:
                found = getattr(self, key)
                default = type(self).model_fields[key].default
                if (chosen := getattr(self, choice)) not in wanted and found != default:
                    shown = list(found) if isinstance(found, tuple) else found
                    message = (
                        f"found {shown}; allowed only with {choice} {_written(wanted)}, and it is "
                        f"{_written((chosen,))}"
                    )
                    raise mistake(key, message)
        if self.pad is not None and self.pad >= self.levels:
            allowed = f"ids below model.levels = {self.levels}"
            raise mistake("pad", f"found {self.pad}; allowed: {allowed}")
        return self

    @property
    def compressible(self) -> bool:
        """Whether stored values are bytes whose length under a compressor means something."""
        return self.likelihood != "gaussian" and not self.one_hot

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

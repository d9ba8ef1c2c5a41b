"""The section `model`: the HVAE, but for its allocation."""

from __future__ import annotations

from typing import Literal

from allocsearch.config.section import Count, Section


class ModelSection(Section):
    """The HVAE, but for its allocation."""

    inference: Literal["bottom_up", "top_down"] = "bottom_up"
    blocks: Literal["dense"] = "dense"
    hidden: Count = 256
    depth: Count = 2
    skip: bool = True
    activation: Literal["silu", "relu", "elu", "gelu", "leaky_relu", "tanh"] = "silu"
    likelihood: Literal["bernoulli"] = "bernoulli"

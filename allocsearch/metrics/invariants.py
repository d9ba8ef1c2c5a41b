"""What must hold between the information measures of one model, whatever the model."""

from __future__ import annotations

import math
from collections.abc import Sequence

from allocsearch.metrics.information import InformationBracket

# Rounding of float32 components in the measurements, nats.
_ROUNDING = 1e-3


def broken_invariants(
    brackets: Sequence[InformationBracket],
    total_rate: float,
    attenuation: float,
    *,
    markov: bool,
    total_rate_se: float = 0.0,
    sigmas: float = 3.0,
) -> tuple[str, ...]:
    """The invariants that do not hold beyond the noise, by name.

    `lower_above_upper_l`: lower bound of layer l above its upper bound.
    `data_processing_l`: lower bound of layer l above the upper bound of layer l - 1; only where
    x, z_1, ..., z_L is a Markov chain.
    `rate_below_information_l`: lower bound of layer l above the total rate.
    `attenuation`: outside [0, 1].

    Args:
        brackets: One per layer, bottom to top.
        total_rate: Sum of the rates of all layers, nats.
        attenuation: What the study records.
        markov: Whether x, z_1, ..., z_L is a Markov chain under q.
        total_rate_se: Standard error of the total rate, nats.
        sigmas: Standard errors of a difference that count as noise.

    Returns:
        The names, in the order above; empty where all hold. What is NaN does not hold.

    Reference: Cover and Thomas (2006), theorem 2.8.1 (data processing).
    """

    def exceeds(lower: InformationBracket, bound: float, bound_se: float) -> bool:
        noise = sigmas * math.hypot(lower.lower_se, bound_se) + _ROUNDING
        return not lower.lower <= bound + noise

    layers = list(enumerate(brackets, 1))
    broken = [f"lower_above_upper_{i}" for i, b in layers if exceeds(b, b.upper, b.upper_se)]
    if markov:
        broken += [
            f"data_processing_{i}"
            for (i, b), below in zip(layers[1:], brackets, strict=False)
            if exceeds(b, below.upper, below.upper_se)
        ]
    broken += [
        f"rate_below_information_{i}" for i, b in layers if exceeds(b, total_rate, total_rate_se)
    ]
    if not 0 <= attenuation <= 1:
        broken.append("attenuation")
    return tuple(broken)

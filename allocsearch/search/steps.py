"""The steps of a search space, made to fit what the layers of the model can take."""

from __future__ import annotations

from math import lcm

from pydantic import ValidationError

from allocsearch.allocation import Allocation
from allocsearch.config import InputError, SearchSpaceSection, StudyConfig, first_mistake
from allocsearch.models.granularity import granularity


def with_steps(config: StudyConfig, shape: tuple[int, ...]) -> StudyConfig:
    """The study with steps that its model's layers can take; the same one where they fit.

    A study that states no step gets the granularity of each layer; where the number of layers is
    searched, the least common multiple for all.

    Args:
        config: The study.
        shape: Of one example.

    Raises:
        InputError: If the blocks are not for such examples, or if a step, an allocation or the
            budget is none that the layers can take.
    """
    space = config.search_space
    units = {n: granularity(shape, config.model, n) for n in space.layer_counts}
    if space.kind == "table":
        for text in space.allocations:
            dims = Allocation.parse(text).dims
            _check(dims, units[len(dims)], f"search_space.allocations: {text} has", "dims")
        return config
    least = lcm(*(unit for layers in units.values() for unit in layers))
    if least == 1:
        return config
    if space.step != (1,):
        for layers, found in units.items():
            steps = space.step * layers if len(space.step) == 1 else space.step
            _check(steps, found, "search_space.step: found", "as step")
        return config
    fitting = units[space.layers[0]] if len(units) == 1 else (least,)
    try:
        fitted = SearchSpaceSection.model_validate({**space.model_dump(), "step": fitting})
    except ValidationError as error:
        key, message = first_mistake(error, SearchSpaceSection)
        reason = "a spatial latent takes multiples of the positions of its map"
        raise InputError(f"search_space.{key}: {message}; {reason}") from None
    return config.model_copy(update={"search_space": fitted})


def _check(found: tuple[int, ...], units: tuple[int, ...], start: str, what: str) -> None:
    for layer, (number, unit) in enumerate(zip(found, units, strict=True), 1):
        if number % unit:
            raise InputError(
                f"{start} {number} {what} in layer {layer}; allowed: multiples of {unit}, the "
                "positions of its map"
            )

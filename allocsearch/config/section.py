"""What the sections of a study file have in common: the rules and the types of their values."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Section(BaseModel):
    """Unknown keys and silent conversions are refused; a loaded study never changes.

    Attributes:
        file_keys: Keys that a file may have here and that are resolved before validation.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    file_keys: ClassVar[tuple[str, ...]] = ()


def listed(value: object) -> object:
    """A list as a tuple, anything else as it is."""
    return tuple(value) if isinstance(value, list) else value


def one_or_more(value: object) -> object:
    """A list as a tuple, anything else as a tuple of it alone."""
    return listed(value) if isinstance(value, list | tuple) else (value,)


# Counts are far below what an integer of TOML can be.
Count = Annotated[int, Field(ge=1, lt=2**31)]
Size = Annotated[int, Field(ge=2, lt=2**31)]

# In canonical form; no model has as many layers, or layers as wide, as a longer one.
AllocationText = Annotated[str, Field(max_length=2000)]

# TOML and YAML have lists; the sections hold tuples, which cannot change.
Counts = Annotated[tuple[Count, ...], BeforeValidator(one_or_more), Field(min_length=1)]
Floats2 = Annotated[tuple[float, float], BeforeValidator(listed)]

# Of the length of a training.
Share = Annotated[float, Field(ge=0, le=1)]

"""The attributes of a trial as its storage holds them, checked: anybody may have edited them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from allocsearch.allocation import Allocation
from allocsearch.config import InputError, first_problem, printable

# Of characters. What a trainer said before it failed can be long, but nobody reads more.
_LONGEST = 10_000


def _shown_as_it_is(text: str) -> str:
    """The text without what a terminal would take for a command, and of a length to be read."""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST - 3]}..."
    return printable(text, kept="\n\t")


def _names(found: dict[str, Any]) -> dict[str, Any]:
    if "".join(found).isprintable():
        return found
    return {_shown_as_it_is(name): value for name, value in found.items()}


def _listed(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _allocation(value: object) -> object:
    return Allocation.parse(value) if isinstance(value, str) else value


_Text = Annotated[str, AfterValidator(_shown_as_it_is)]
_Numbers = Annotated[dict[str, float], AfterValidator(_names)]
_Whole = Annotated[int, Field(ge=0)]


class RungAttribute(BaseModel):
    """An entry of `rungs`."""

    model_config = ConfigDict(strict=True, frozen=True)

    rung: float
    values: Annotated[tuple[float, ...], BeforeValidator(_listed)]
    judged: bool


class TrialAttributes(BaseModel):
    """What a trial has recorded, by the names of `allocsearch.search.records`.

    Text has no control characters but line ends and tabs. Attributes of other names are left out.
    """

    model_config = ConfigDict(strict=True, frozen=True, arbitrary_types_allowed=True)

    allocation: Annotated[Allocation | None, BeforeValidator(_allocation)] = None
    seed: _Whole | None = None
    replicate: _Whole | None = None
    metrics: _Numbers = Field(default_factory=dict)
    score: _Text | None = None
    broken_invariants: Annotated[tuple[_Text, ...], BeforeValidator(_listed)] = ()
    provenance: Annotated[dict[str, _Text], AfterValidator(_names)] = Field(default_factory=dict)
    reason: _Text | None = None
    retry_of: _Whole | None = None
    progress: _Numbers = Field(default_factory=dict)
    warm_start: _Text | None = None
    rungs: Annotated[tuple[RungAttribute, ...], BeforeValidator(_listed)] = ()
    interrupted: bool = False
    slot: _Whole | None = None


def checked_attributes(number: int, attributes: Mapping[str, Any]) -> TrialAttributes:
    """The attributes of a trial.

    Args:
        number: Of the trial.
        attributes: As the storage holds them.

    Raises:
        InputError: If one is not what a trial records.
    """
    try:
        return TrialAttributes.model_validate(attributes)
    except ValidationError as error:
        problem = first_problem(error)
        where = f"attribute {problem.key} of trial {number} in the storage"
        raise InputError(f"{where}: {problem.text}") from None

"""The section `training.pretrain`: contrastive pretraining of the encoder."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from allocsearch.config.data import SHIFTS, Shift, ShiftName
from allocsearch.config.errors import suggestion
from allocsearch.config.section import Count, Section, one_or_more


def _shift(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value not in SHIFTS:
        raise ValueError(suggestion(value, SHIFTS, f"unknown shift {value!r}"))
    return {"shift": value}


_Augmentation = Annotated[Shift, BeforeValidator(_shift, json_schema_input_type=ShiftName | Shift)]


class PretrainingSection(Section):
    """Contrastive pretraining of the encoder path, before the training by the ELBO."""

    epochs: Count = 20
    """Passes over the ID training examples."""
    augmentations: Annotated[
        tuple[_Augmentation, ...], BeforeValidator(one_or_more), Field(min_length=1)
    ] = (
        Shift(shift="corruption", strength=0.25),
        Shift(shift="segment_shuffling", strength=0.25),
        Shift(shift="segment_deletion", strength=0.25),
    )
    """Shifts that views are made by, one for each view at random."""
    temperature: Annotated[float, Field(gt=0)] = 0.5
    """Of NT-Xent."""
    projection: Count = 128
    """Dims in which views are compared; the projection is thrown away afterwards."""
    frozen_epochs: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Epochs of the training by the ELBO in which the weights of the encoder path stay."""

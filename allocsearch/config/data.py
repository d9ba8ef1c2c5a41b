"""The section `data`: ID and OOD data, each with its role."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from allocsearch.config.errors import mistake, suggestion
from allocsearch.config.section import Section, Size, one_or_more

SourceName = Literal[
    "digits",
    "breast_cancer",
    "wine",
    "idx",
    "images",
    "numpy",
    "MNIST",
    "FashionMNIST",
    "KMNIST",
    "EMNIST",
    "Omniglot",
    "SVHN",
    "CIFAR10",
]
ShiftName = Literal[
    "additive_noise",
    "inversion",
    "rotation",
    "pixel_permutation",
    "corruption",
    "segment_shuffling",
    "segment_deletion",
]

SOURCES: tuple[str, ...] = typing.get_args(SourceName)
SHIFTS: tuple[str, ...] = typing.get_args(ShiftName)
FILE_SOURCES = ("idx", "images", "numpy")
# Under this name the results of the ID examples stand beside those of the OOD sets.
HELD_OUT = "validation"

_Classes = Annotated[
    tuple[Annotated[int, Field(ge=0, lt=2**31)], ...], BeforeValidator(one_or_more)
]


class Source(Section):
    """Where the values of one data set come from."""

    source: SourceName
    """A set by name, or a kind of files."""
    name: str | None = None
    """What results call it; without it the source."""
    path: Annotated[tuple[str, ...], BeforeValidator(one_or_more)] = ()
    """Files or folders of `idx`, `images` and `numpy`, joined in order."""
    labels: str | None = None
    """File of the classes; for .npz files also the name of an array beside the values."""
    array: str | None = None
    """Array of a .npz file that holds the values."""
    split: Literal["train", "test"] | None = None
    """Official part of a named set; without it both."""
    continuous: bool = False
    """Whether the values of `numpy` are features, to be standardised, and no pixels."""
    invert: bool = False
    """Whether pixels become 255 - x, as for sets that are dark on light."""
    classes: _Classes | None = None
    """Classes to keep; without it all."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.source in FILE_SOURCES) != bool(self.path):
            verb = "needs" if self.source in FILE_SOURCES else "takes no"
            raise mistake("path", f"source {self.source!r} {verb} path")
        if self.continuous and self.source != "numpy":
            raise mistake("continuous", f"found true for source {self.source!r}; only for 'numpy'")
        return self

    @property
    def title(self) -> str:
        """The name under which results of this set are stored."""
        return self.name or self.source


class Shift(Section):
    """A synthetic OOD set: a shift of held-out ID data."""

    shift: ShiftName
    """What is done to held-out ID examples."""
    name: str | None = None
    """What results call it; without it the shift."""
    strength: Annotated[float, Field(ge=0, le=1)] = 0.5
    """From 0, which changes nothing, to 1."""

    @property
    def title(self) -> str:
        """The name under which results of this set are stored."""
        return self.name or self.shift


def _source(value: object) -> object:
    return {"source": value} if isinstance(value, str) else value


def _ood(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value not in (*SOURCES, *SHIFTS):
        problem = f"unknown data set {value!r}"
        raise ValueError(suggestion(value, (*SOURCES, *SHIFTS), problem))
    return {"shift" if value in SHIFTS else "source": value}


def _tag(value: object) -> str:
    shift = "shift" in value if isinstance(value, Mapping) else isinstance(value, Shift)
    return "Shift" if shift else "Source"


_OodSet = Annotated[
    Annotated[Source, Tag("Source")] | Annotated[Shift, Tag("Shift")],
    Discriminator(_tag),
    BeforeValidator(_ood, json_schema_input_type=SourceName | ShiftName | Source | Shift),
]
OodSets = tuple[Source | Shift, ...]
_OodSets = Annotated[tuple[_OodSet, ...], BeforeValidator(one_or_more)]
_SetName = re.compile(r"[A-Za-z0-9_-]+")


class DataSection(Section):
    """ID and OOD data, each with its role. Only the final evaluation reads `ood_test`."""

    id: Annotated[Source, BeforeValidator(_source, json_schema_input_type=SourceName | Source)]
    """The ID data: the name of a set, or a table with `source`."""
    ood_validation: _OodSets = ()
    """OOD sets and shifts that drive the search."""
    ood_test: _OodSets = ()
    """OOD sets and shifts that the final evaluation alone opens."""
    train_size: Size | None = None
    """ID training examples; without it all that is left."""
    validation_size: Size | None = None
    """ID validation examples; without it 15 %, at most 5,000."""
    test_size: Size | None = None
    """ID test examples; without it 15 %, or the official test part, at most 5,000."""
    ood_size: Size | None = None
    """Examples of each OOD set; without it at most 5,000."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Of the parts that are drawn."""
    download: bool = False
    """Whether torchvision may download a named set that is found nowhere."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for key in ("ood_validation", "ood_test"):
            titles = [entry.title for entry in getattr(self, key)]
            for title in titles:
                if not _SetName.fullmatch(title):
                    raise mistake(key, f"name {title!r}: allowed are letters, digits, _ and -")
            if HELD_OUT in titles:
                raise mistake(key, f"name {HELD_OUT!r} is that of the ID part; choose another")
            twice = sorted({t for t in titles if titles.count(t) > 1})
            if twice:
                raise mistake(key, f"{twice[0]!r} stands twice; give each set its own `name`")
        return self

"""The section `data`: ID and OOD data, each with its role."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, PlainValidator, Tag, model_validator

from allocsearch.config.errors import mistake, shown, suggestion
from allocsearch.config.section import Count, Section, Size, one_or_more

SourceName = Literal[
    "digits",
    "breast_cancer",
    "wine",
    "idx",
    "images",
    "numpy",
    "fasta",
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
FILE_SOURCES = ("idx", "images", "numpy", "fasta")
# Under this name the results of the ID examples stand beside those of the OOD sets.
HELD_OUT = "validation"


def _class(value: object) -> int | str:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31:
        return value
    allowed = "integers greater than or equal to 0, or for 'fasta' names"
    raise ValueError(f"found {shown(value)}; allowed: {allowed}")


_ClassInput = Annotated[int, Field(ge=0, lt=2**31)] | Annotated[str, Field(min_length=1)]
_Class = Annotated[int | str, PlainValidator(_class, json_schema_input_type=_ClassInput)]
_Classes = Annotated[tuple[_Class, ...], BeforeValidator(one_or_more)]


class Source(Section):
    """Where the values of one data set come from."""

    source: SourceName
    """A set by name, or a kind of files."""
    name: str | None = None
    """What results call it; without it the source."""
    path: Annotated[tuple[str, ...], BeforeValidator(one_or_more)] = ()
    """Files or folders of `idx`, `images`, `numpy` and `fasta`, joined in order."""
    labels: str | None = None
    """File of the classes; for .npz files also the name of an array beside the values. For `fasta`
    the field of the headers, `family` without it."""
    array: str | None = None
    """Array of a .npz file that holds the values."""
    split: Literal["train", "test"] | None = None
    """Official part of a named set; without it both."""
    continuous: bool = False
    """Whether the values of `numpy` are features, to be standardised, and no pixels."""
    invert: bool = False
    """Whether pixels become 255 - x, as for sets that are dark on light."""
    classes: _Classes | None = None
    """Classes to keep, numbers or for `fasta` names; without it all."""
    length: Count | None = None
    """Tokens of a sequence of `fasta`, which is cropped or padded; for OOD sets that of the ID."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.source in FILE_SOURCES) != bool(self.path):
            verb = "needs" if self.source in FILE_SOURCES else "takes no"
            raise mistake("path", f"source {self.source!r} {verb} path")
        if self.continuous and self.source != "numpy":
            raise mistake("continuous", f"found true for source {self.source!r}; only for 'numpy'")
        if self.length is not None and self.source != "fasta":
            raise mistake(
                "length", f"found {self.length} for source {self.source!r}; only for 'fasta'"
            )
        wanted, kind = (str, "names") if self.source == "fasta" else (int, "integers")
        for found in self.classes or ():
            if not isinstance(found, wanted):
                message = f"found {shown(found)} for source {self.source!r}; allowed: {kind}"
                raise mistake("classes", message)
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
    probe: (
        Annotated[Source, BeforeValidator(_source, json_schema_input_type=SourceName | Source)]
        | None
    ) = None
    """Labelled set behind `evaluation.probe`; without it the ID validation part."""
    train_size: Size | None = None
    """ID training examples; without it all that is left."""
    validation_size: Size | None = None
    """ID validation examples; without it 15 %, at most 5,000."""
    test_size: Size | None = None
    """ID test examples; without it 15 %, or the official test part, at most 5,000."""
    ood_size: Size | None = None
    """Examples of each OOD set; without it at most 5,000."""
    identity: Annotated[float, Field(gt=0, le=1)] | None = None
    """Identity, in shared k-mers, from which on two sequences of `fasta` stay in one part."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Of the parts that are drawn."""
    download: bool = False
    """Whether torchvision may download a named set that is found nowhere."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_sequences()
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

    def _check_sequences(self) -> None:
        """Sequences have the length that the ID data states; clusters are for sequences."""
        if self.id.source == "fasta" and self.id.length is None:
            raise mistake("id.length", "missing; source 'fasta' needs it, in tokens")
        if self.identity is not None and self.id.source != "fasta":
            message = f"found {self.identity} for data.id of {self.id.source!r}; only for 'fasta'"
            raise mistake("identity", message)
        entries: dict[str, Source | Shift | None] = {"probe": self.probe}
        for key in ("ood_validation", "ood_test"):
            entries |= {f"{key}.{i}": entry for i, entry in enumerate(getattr(self, key))}
        for key, entry in entries.items():
            if isinstance(entry, Source) and entry.source == "fasta" != self.id.source:
                message = f"found 'fasta' beside data.id of {self.id.source!r}; allowed: "
                raise mistake(f"{key}.source", f"{message}only beside 'fasta'")
            found = entry.length if isinstance(entry, Source) else None
            if found not in (None, self.id.length):
                allowed = f"{self.id.length}, that of the ID data, or none"
                raise mistake(f"{key}.length", f"found {found}; allowed: {allowed}")

    @property
    def shifts(self) -> dict[str, str]:
        """The shifts among the OOD sets of both roles, by the key of each."""
        return {
            f"{role}.{i}": entry.shift
            for role in ("ood_validation", "ood_test")
            for i, entry in enumerate(getattr(self, role))
            if isinstance(entry, Shift)
        }

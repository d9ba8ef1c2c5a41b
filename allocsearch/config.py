"""The schema of study files: loading, overrides, and errors that name file, field and allowed."""

from __future__ import annotations

import difflib
import re
import reprlib
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import tomli_w
import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from allocsearch.allocation import Allocation, Lattice

SourceName = Literal[
    "digits",
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
SamplerName = Literal["tpe", "nsga2", "gp", "random", "grid"]

SOURCES: tuple[str, ...] = typing.get_args(SourceName)
SHIFTS: tuple[str, ...] = typing.get_args(ShiftName)
FILE_SOURCES = ("idx", "images", "numpy")
# Under this name the results of the ID examples stand beside those of the OOD sets.
HELD_OUT = "validation"


class InputError(ValueError):
    """What the user gave cannot be used; the message is one line that says how to mend it."""

    def __init__(self, message: str) -> None:
        # Names of files and keys come from the user, and may hold line ends or worse.
        super().__init__("".join(c if c.isprintable() else repr(c)[1:-1] for c in message))


class _Section(BaseModel):
    """Unknown keys and silent conversions are refused; a loaded study never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _mistake(key: str, message: str) -> PydanticCustomError:
    """A validation error about `key` of the section that is being validated."""
    return PydanticCustomError("mistake", "{message}", {"key": key, "message": message})


def _listed(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _one_or_more(value: object) -> object:
    return _listed(value) if isinstance(value, list | tuple) else (value,)


# Counts are far below what an integer of TOML can be.
_Count = Annotated[int, Field(ge=1, lt=2**31)]
_Size = Annotated[int, Field(ge=2, lt=2**31)]

# TOML and YAML have lists; the sections hold tuples, which cannot change.
_Counts = Annotated[tuple[_Count, ...], BeforeValidator(_one_or_more), Field(min_length=1)]
_Floats2 = Annotated[tuple[float, float], BeforeValidator(_listed)]


class Objective(_Section):
    """A metric and the direction in which it is better, written `max:auroc` or `min:rate`."""

    metric: str
    direction: Literal["maximize", "minimize"]

    _directions: ClassVar[dict[str, str]] = {"max": "maximize", "min": "minimize"}

    @classmethod
    def parse(cls, text: str) -> Objective:
        """Read `max:METRIC` or `min:METRIC`.

        Raises:
            ValueError: If `text` has another form.
        """
        match = re.fullmatch(r"(max|min):(\S+)", text)
        if not match:
            raise ValueError(f"found {_shown(text)}; allowed: max:METRIC or min:METRIC")
        direction: Any = cls._directions[match[1]]
        return cls(metric=match[2], direction=direction)

    def __str__(self) -> str:
        return f"{self.direction[:3]}:{self.metric}"


def _objective(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"found {_shown(value)}; allowed: max:METRIC or min:METRIC")
    return str(Objective.parse(value))


class StudySection(_Section):
    """What is searched for, and how long."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] = "study"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    trials: _Count = 50
    objectives: Annotated[
        tuple[Annotated[str, BeforeValidator(_objective)], ...],
        BeforeValidator(_one_or_more),
        Field(min_length=1),
    ] = ("max:retention", "min:attenuation", "max:auroc")
    sampler: SamplerName = "tpe"
    warm_start: Literal["none", "theory"] = "none"
    workers: _Count = 1
    retries: Annotated[int, Field(ge=0, lt=2**31)] = 3
    storage: str | None = None

    @property
    def parsed_objectives(self) -> tuple[Objective, ...]:
        """The objectives with metric and direction apart."""
        return tuple(Objective.parse(text) for text in self.objectives)


class SearchSpaceSection(_Section):
    """Which allocations can be proposed."""

    kind: Literal["ratio", "simplex", "table"] = "simplex"
    budget: _Count
    layers: _Counts = (3,)
    min_dim: _Count = 1
    step: _Count = 1
    max_dim: _Counts | None = None
    ratio_range: _Floats2 = (0.1, 10.0)
    allocations: Annotated[tuple[str, ...], BeforeValidator(_one_or_more)] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.layers)) != len(self.layers):
            raise _mistake("layers", f"found {list(self.layers)}; each number of layers once")
        if self.kind == "table":
            self._check_table()
            # A resolved study states what follows from its table.
            object.__setattr__(self, "layers", self.layer_counts)
            return self
        if self.allocations:
            raise _mistake("allocations", f"only a table has these, and kind is {self.kind!r}")
        low, high = self.ratio_range
        if not 0 < low < high:
            raise _mistake("ratio_range", f"found [{low}, {high}]; allowed: 0 < low < high")
        try:
            self.lattices()
        except ValueError as error:
            key = str(error).split()[0]
            raise _mistake(
                key if key in type(self).model_fields else "budget", str(error)
            ) from None
        return self

    def _check_table(self) -> None:
        if not self.allocations:
            raise _mistake("allocations", "a table needs at least one, for example ['64-18-6']")
        for text in self.allocations:
            try:
                found = Allocation.parse(text)
            except ValueError as error:
                raise _mistake("allocations", str(error)) from None
            if found.budget != self.budget:
                message = f"{text} sums to {found.budget}, not to the budget {self.budget}"
                raise _mistake("allocations", message)
        if len(set(self.allocations)) != len(self.allocations):
            raise _mistake("allocations", "an allocation stands twice")
        if "layers" in self.model_fields_set:
            for text in self.allocations:
                if text.count("-") + 1 not in self.layers:
                    message = f"{text} does not have {' or '.join(map(str, self.layers))} layers"
                    raise _mistake("allocations", message)

    @property
    def layer_counts(self) -> tuple[int, ...]:
        """Every number of layers that an allocation of this space can have, ascending."""
        if self.kind == "table":
            return tuple(sorted({text.count("-") + 1 for text in self.allocations}))
        return tuple(sorted(self.layers))

    def lattices(self) -> dict[int, Lattice]:
        """The lattice of allocations for each number of layers (not for a table).

        Raises:
            ValueError: If one of them is empty.
        """
        return {n: self._lattice(n) for n in sorted(self.layers)}

    def _lattice(self, layers: int) -> Lattice:
        caps = self.max_dim
        if caps is not None and len(caps) == 1:
            caps = caps * layers
        return Lattice(self.budget, layers, self.step, self.min_dim, caps)


_Classes = Annotated[
    tuple[Annotated[int, Field(ge=0, lt=2**31)], ...], BeforeValidator(_one_or_more)
]


class Source(_Section):
    """Where the values of one data set come from."""

    source: SourceName
    name: str | None = None
    path: Annotated[tuple[str, ...], BeforeValidator(_one_or_more)] = ()
    labels: str | None = None
    array: str | None = None
    split: Literal["train", "test"] | None = None
    invert: bool = False
    classes: _Classes | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.source in FILE_SOURCES) != bool(self.path):
            verb = "needs" if self.source in FILE_SOURCES else "takes no"
            raise _mistake("path", f"source {self.source!r} {verb} path")
        return self

    @property
    def title(self) -> str:
        """The name under which results of this set are stored."""
        return self.name or self.source


class Shift(_Section):
    """A synthetic OOD set: a shift of held-out ID data."""

    shift: ShiftName
    name: str | None = None
    strength: Annotated[float, Field(ge=0, le=1)] = 0.5

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
        raise ValueError(_suggestion(value, (*SOURCES, *SHIFTS), problem))
    return {"shift" if value in SHIFTS else "source": value}


def _tag(value: object) -> str:
    shift = "shift" in value if isinstance(value, Mapping) else isinstance(value, Shift)
    return "Shift" if shift else "Source"


_OodSet = Annotated[
    Annotated[Source, Tag("Source")] | Annotated[Shift, Tag("Shift")],
    Discriminator(_tag),
    BeforeValidator(_ood),
]
_OodSets = Annotated[tuple[_OodSet, ...], BeforeValidator(_one_or_more)]
_TAGS: dict[str, type[BaseModel]] = {"Source": Source, "Shift": Shift}
_SetName = re.compile(r"[A-Za-z0-9_-]+")


class DataSection(_Section):
    """ID and OOD data, each with its role. Only the final evaluation reads `ood_test`."""

    id: Annotated[Source, BeforeValidator(_source)]
    ood_validation: _OodSets = ()
    ood_test: _OodSets = ()
    train_size: _Size | None = None
    validation_size: _Size | None = None
    test_size: _Size | None = None
    ood_size: _Size | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    download: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        for key in ("ood_validation", "ood_test"):
            titles = [entry.title for entry in getattr(self, key)]
            for title in titles:
                if not _SetName.fullmatch(title):
                    raise _mistake(key, f"name {title!r}: allowed are letters, digits, _ and -")
            if HELD_OUT in titles:
                raise _mistake(key, f"name {HELD_OUT!r} is that of the ID part; choose another")
            twice = sorted({t for t in titles if titles.count(t) > 1})
            if twice:
                raise _mistake(key, f"{twice[0]!r} stands twice; give each set its own `name`")
        return self


class ModelSection(_Section):
    """The HVAE, but for its allocation."""

    inference: Literal["bottom_up"] = "bottom_up"
    blocks: Literal["dense"] = "dense"
    hidden: _Count = 256
    depth: _Count = 2
    skip: bool = True
    activation: Literal["silu", "relu", "elu", "gelu", "leaky_relu", "tanh"] = "silu"
    likelihood: Literal["bernoulli"] = "bernoulli"


_Share = Annotated[float, Field(ge=0, le=1)]


class TrainingSection(_Section):
    """One training. Shares are of its whole length."""

    epochs: _Count = 20
    batch_size: _Size = 128
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    kl: Literal["sampled", "analytic"] = "sampled"
    kl_warmup: _Share = 0.25
    free_nats: Annotated[float, Field(ge=0)] = 2.0
    free_nats_hold: _Share = 0.42
    free_nats_end: _Share = 0.83
    gradient_clip: Annotated[float, Field(gt=0)] = 200.0
    threads: _Count = 1

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.free_nats_end < self.free_nats_hold:
            message = f"{self.free_nats_end} is before free_nats_hold {self.free_nats_hold}"
            raise _mistake("free_nats_end", message)
        return self


class EvaluationSection(_Section):
    """How a trained model is measured."""

    score: str = "auto"
    samples: _Size = 16
    score_samples: _Count = 4
    batch_size: _Count = 500
    keep: Literal["none", "scores", "models", "all"] = "scores"


class StudyConfig(_Section):
    """A whole study file, resolved: every field has its value."""

    study: StudySection = StudySection()
    search_space: SearchSpaceSection
    data: DataSection
    model: ModelSection = ModelSection()
    training: TrainingSection = TrainingSection()
    evaluation: EvaluationSection = EvaluationSection()

    @model_validator(mode="after")
    def _check(self) -> Self:
        layers = min(self.search_space.layer_counts)
        scores = score_names(layers)
        if self.evaluation.score not in ("auto", *scores):
            found = self.evaluation.score
            message = _suggestion(found, ("auto", *scores), f"unknown score {found!r}")
            raise _mistake("evaluation.score", message)
        allowed = metric_names(self)
        for objective in self.study.parsed_objectives:
            if objective.metric not in allowed:
                found = f"unknown objective {objective.metric!r}"
                message = _suggestion(objective.metric, allowed, found)
                if objective.metric.startswith("auroc") and not self.data.ood_validation:
                    message = f"{found}: AUROC needs a set in data.ood_validation"
                raise _mistake("study.objectives", message)
        return self

    def to_toml(self) -> str:
        """The resolved study as TOML; `load` of it gives an equal object."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


def score_names(layers: int) -> tuple[str, ...]:
    """The OOD scores of a model with `layers` layers (design: larger is more OOD)."""
    return (
        "negative_elbo",
        *(f"negative_bound_{k}" for k in range(1, layers)),
        *(f"llr_{k}" for k in range(1, layers)),
        *(f"kl_{layer}" for layer in range(1, layers + 1)),
    )


def metric_names(config: StudyConfig) -> tuple[str, ...]:
    """Every metric that each trial of the study records, and so may be an objective."""
    layers = min(config.search_space.layer_counts)
    names = ["retention", "attenuation", "elbo", "distortion", "rate"]
    for layer in range(1, layers + 1):
        names += [f"{kind}_{layer}" for kind in ("rate", "information", "active_units")]
    names += [f"distortion_skip_{k}" for k in range(1, layers)]
    names += [f"explained_skip_{k}" for k in range(layers)]
    if config.data.ood_validation:
        names += ["auroc", "auroc_worst"]
    for entry in config.data.ood_validation:
        names += [f"auroc.{entry.title}.{score}" for score in score_names(layers)]
    return tuple(names)


def load(path: Path, overrides: Sequence[str] = ()) -> StudyConfig:
    """Read a study file (TOML; YAML by the ending .yaml or .yml) and apply overrides.

    Args:
        path: The study file. Its `search_space.file` is taken relative to its folder.
        overrides: Texts `section.key=value`, value as in TOML (quotes optional for strings).

    Raises:
        InputError: With one line that names the file, the key, what was found and what is allowed.
    """
    # YAML reads a section whose keys are all commented out as null.
    content = {
        key: {} if value is None and key in StudyConfig.model_fields else value
        for key, value in _read(path).items()
    }
    space_file: Path | None = None
    # Overrides come first so that one of them can name another file.
    for override in overrides:
        _override(content, override)
    space = content.get("search_space")
    inherited: dict[str, Any] = {}
    if isinstance(space, dict) and "file" in space:
        name = space.pop("file")
        if not isinstance(name, str):
            found = _shown(name)
            raise InputError(f"{path}: search_space.file: found {found}; allowed: a file name")
        space_file = path.parent / name
        inherited = {k: v for k, v in _read(space_file).items() if k not in space}
        if "file" in inherited:
            raise InputError(f"{space_file}: file: only a study file can name a search space")
        content["search_space"] = {**inherited, **space}
    try:
        return StudyConfig.model_validate(content)
    except ValidationError as error:
        key, message = _first_mistake(error)
        own = key.removeprefix("search_space.")
        if space_file is not None and key != own and own.split(".")[0] in inherited:
            message = message.replace("Did you mean search_space.", "Did you mean ")
            raise InputError(f"{space_file}: {own}: {message}") from None
        raise InputError(f"{path}: {key}: {message}") from None


class _YamlLoader(yaml.SafeLoader):
    """Reads 1e-3 as a number, as YAML 1.2 and TOML do; PyYAML alone takes it for text."""


_YamlLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+"),
    list("-+0123456789"),
)


def _read(path: Path) -> dict[str, Any]:
    """The content of a TOML or YAML file, by its ending."""
    allowed = "allowed: a readable .toml, .yaml or .yml file"
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", error)
        raise InputError(f"{path}: {problem}; {allowed}") from None
    if path.suffix not in (".toml", ".yaml", ".yml"):
        raise InputError(f"{path}: found {path.suffix or 'no ending'}; {allowed}")
    kind = "TOML" if path.suffix == ".toml" else "YAML"
    try:
        # Some editors begin a file with a byte order mark.
        text = data.decode("utf-8-sig")
        content = tomllib.loads(text) if kind == "TOML" else _YamlLoader(text).get_single_data()
    except UnicodeDecodeError:
        raise InputError(f"{path}: not text (UTF-8); {allowed}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        problem = " ".join(str(error).split())
        raise InputError(f"{path}: not valid {kind}: {problem}") from None
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise InputError(f"{path}: found {_shown(content)}; allowed: sections with keys")
    return content


def _override(content: dict[str, Any], text: str) -> None:
    """Set one `section.key=value` in place."""
    name, equals, value = text.partition("=")
    *sections, key = name.strip().split(".")
    if not equals or not sections or not all((*sections, key)):
        raise InputError(f"--set {text}: allowed: section.key=value")
    try:
        table = tomllib.loads(f"value = {value}")
    except (RecursionError, ValueError):
        table = {}
    # More than one key: the text went on after the value.
    parsed = table["value"] if len(table) == 1 else value.strip()
    target = content
    for section in sections:
        target = target.setdefault(section, {})
        if not isinstance(target, dict):
            raise InputError(f"--set {text}: {section} is not a section")
    target[key] = parsed


def _first_mistake(error: ValidationError) -> tuple[str, str]:
    """The key and the message of the first thing that is wrong."""
    # An unknown key is named first: it is often the cause of a missing one.
    details = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    first = details[0]
    path = [str(part) for part in first["loc"]]
    # The name of a union's member, which follows the position in a list, is no key.
    pairs = zip(["", *path], path, strict=False)
    where = [part for before, part in pairs if not (part in _TAGS and before.isdigit())]
    context = first.get("ctx", {})
    if first["type"] == "mistake":
        where += [context["key"]]
        message = context["message"]
    elif first["type"] == "extra_forbidden":
        allowed = _keys(StudyConfig, path[:-1])
        names = [".".join((*where[:-1], key)) for key in allowed]
        near = difflib.get_close_matches(".".join(where), names, 1, 0.6)
        hint = f" Did you mean {near[0]}?" if near else ""
        message = f"unknown key.{hint} Allowed: {', '.join(allowed)}."
    elif first["type"] == "missing":
        message = "missing; it has no default"
    elif first["type"] == "value_error":
        message = str(context["error"])
    elif first["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        found = _shown(first["input"])
        message = _suggestion(found.strip("'"), choices, f"found {found}")
    elif first["type"] == "model_type":
        keys = ", ".join(_keys(StudyConfig, path))
        message = f"found {_shown(first['input'])}; allowed: a section with {keys}"
    else:
        rule = first["msg"][0].lower() + first["msg"][1:]
        # A list of the file is a tuple here.
        message = f"found {_shown(first['input'])}; {rule.replace('tuple', 'list')}"
    more = f" ({len(details) - 1} more)" if len(details) > 1 else ""
    return ".".join(where), " ".join(f"{message}{more}".split())


_SHORT = reprlib.Repr()
_SHORT.maxlevel = 2
_SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = 80


def _shown(value: object) -> str:
    try:
        # Unlike repr, this ends soon for lists in lists in lists.
        text = _SHORT.repr(value)
    except ValueError:
        return "a number of too many digits"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _keys(section: type[BaseModel], where: Sequence[str]) -> list[str]:
    """The keys that are allowed at `where`."""
    for part in where:
        if part in section.model_fields:
            annotation = section.model_fields[part].annotation
            section = next(_models(annotation), section)
        elif not part.isdigit():
            section = _TAGS.get(part, section)
    return [*section.model_fields, *(["file"] if section is SearchSpaceSection else [])]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401
    """The sections that a type annotation mentions."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        if issubclass(annotation, BaseModel):
            yield annotation
        return
    for argument in typing.get_args(annotation):
        yield from _models(argument)


def _suggestion(found: str, allowed: Sequence[str], problem: str) -> str:
    near = difflib.get_close_matches(found, allowed, 1, 0.6)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"{problem}.{hint} Allowed: {', '.join(allowed)}."

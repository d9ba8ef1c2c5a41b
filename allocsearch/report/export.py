"""The exported allocation: all that is needed to train it again, and where it came from."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import tomli_w
import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from allocsearch.allocation import Allocation
from allocsearch.config import (
    DataSection,
    EvaluationSection,
    InputError,
    ModelSection,
    TrainingSection,
    score_names,
)
from allocsearch.search.records import StudyRecord, TrialRecord

Format = Literal["toml", "yaml", "json"]


class _Exported(BaseModel):
    """Unknown keys and silent conversions are refused, as in study files."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Provenance(_Exported):
    """Where an exported allocation came from.

    Attributes:
        study: Name of the study.
        trial: Number of the trial.
        versions: Versions of the packages that trained it, by name.
        data_fingerprint: Fingerprint of the data it was trained on, where known.
    """

    study: str
    trial: Annotated[int, Field(ge=0)]
    versions: dict[str, str] = {}
    data_fingerprint: str | None = None


class ExportedAllocation(_Exported):
    """An allocation with all that trains it again bit for bit on the same machine.

    Attributes:
        schema_version: Version of this format.
        allocation: The canonical text form, bottom to top.
        dims: The same as numbers, (d_1, ..., d_L).
        seed: Seed of the training.
        data, model, training, evaluation: The sections of the study file.
        provenance: Where it came from.
        metrics: The trial's metrics by name (nats or without unit), all finite.
    """

    schema_version: Literal[1] = 1
    allocation: str
    dims: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...],
        BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value),
    ]
    seed: Annotated[int, Field(ge=0)]
    data: DataSection
    model: ModelSection
    training: TrainingSection
    evaluation: EvaluationSection
    provenance: Provenance
    metrics: dict[str, float] = {}

    @model_validator(mode="after")
    def _check(self) -> Self:
        parsed = Allocation.parse(self.allocation)
        if parsed.dims != self.dims:
            raise ValueError(f"allocation {self.allocation} has other dims than {[*self.dims]}")
        scores = ("auto", *score_names(parsed.layers))
        if self.evaluation.score not in scores:
            found = f"evaluation.score: unknown score {self.evaluation.score!r}"
            raise ValueError(f"{found}. Allowed: {', '.join(scores)}.")
        return self

    @property
    def parsed_allocation(self) -> Allocation:
        """The allocation as a value."""
        return Allocation(self.dims)

    def _content(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_none=True)

    def to_toml(self) -> str:
        """As TOML; `load_export` of it gives an equal object."""
        return tomli_w.dumps(self._content())

    def to_yaml(self) -> str:
        """As YAML; `load_export` of it gives an equal object."""
        return yaml.safe_dump(self._content(), sort_keys=False)

    def to_json(self) -> str:
        """As JSON; `load_export` of it gives an equal object."""
        return json.dumps(self._content(), indent=2, allow_nan=False) + "\n"

    def to_text(self, format: Format) -> str:  # noqa: A002
        """In the format of that name."""
        writers = {"toml": self.to_toml, "yaml": self.to_yaml, "json": self.to_json}
        return writers[format]()


def export_trial(
    record: StudyRecord,
    trial: TrialRecord,
) -> ExportedAllocation:
    """The export of one trial of a study.

    Metrics that are not finite are left out.

    Args:
        record: The study.
        trial: One of its trials.

    Raises:
        InputError: If the trial never got as far as an allocation and a seed.
    """
    if trial.allocation is None or trial.seed is None:
        message = f"trial {trial.number} ({trial.state}) has no allocation and seed to export"
        raise InputError(f"{record.folder}: {message}")
    config = record.config
    return ExportedAllocation(
        allocation=str(trial.allocation),
        dims=trial.allocation.dims,
        seed=trial.seed,
        data=config.data,
        model=config.model,
        training=config.training,
        evaluation=config.evaluation,
        provenance=Provenance(
            study=config.study.name,
            trial=trial.number,
            versions={k: v for k, v in trial.provenance.items() if k != "data"},
            data_fingerprint=trial.provenance.get("data"),
        ),
        metrics={k: float(v) for k, v in trial.metrics.items() if math.isfinite(v)},
    )


_READERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    ".toml": ("TOML", tomllib.loads),
    ".yaml": ("YAML", yaml.safe_load),
    ".yml": ("YAML", yaml.safe_load),
    ".json": ("JSON", json.loads),
}


def load_export(path: Path) -> ExportedAllocation:
    """Read an exported allocation; the ending says whether it is TOML, YAML or JSON.

    Raises:
        InputError: With one line that names the file, the key, what was found and what is allowed.
    """
    try:
        return ExportedAllocation.model_validate(_read(path))
    except ValidationError as error:
        raise InputError(f"{path}: {_first_mistake(error)}") from None


def _read(path: Path) -> dict[str, Any]:
    if path.suffix not in _READERS:
        found = path.suffix or "no ending"
        raise InputError(f"{path}: found {found}; allowed: {', '.join(_READERS)}")
    kind, read = _READERS[path.suffix]
    try:
        content = read(path.read_bytes().decode())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; allowed: a readable file") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not text (UTF-8)") from None
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{path}: not valid {kind}: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise InputError(f"{path}: found {type(content).__name__}; allowed: an export's keys")
    return content


def _first_mistake(error: ValidationError) -> str:
    """Key and message of the first thing that is wrong, in one line."""
    # An unknown key is named first: it is often the cause of a missing one.
    details = sorted(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
    first = details[0]
    context = first.get("ctx", {})
    where = [str(part) for part in first["loc"] if part not in ("Source", "Shift")]
    found = repr(first["input"])
    found = found if len(found) <= 80 else f"{found[:77]}..."
    if first["type"] == "mistake":
        where.append(context["key"])
        message = context["message"]
    elif first["type"] == "extra_forbidden":
        message = "unknown key"
    elif first["type"] == "missing":
        message = "missing"
    elif first["type"] == "value_error":
        message = str(context["error"])
    elif first["type"] == "literal_error":
        message = f"found {found}; allowed: {context['expected']}"
    else:
        message = f"found {found}; {first['msg'][0].lower()}{first['msg'][1:]}"
    text = f"{'.'.join(where)}: {message}" if where else message
    return " ".join(text.split())

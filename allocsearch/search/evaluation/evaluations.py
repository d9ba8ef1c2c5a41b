"""The final evaluations of a run, as its files hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter
from pydantic_core import from_json

from allocsearch.config import InputError, first_problem, shown
from allocsearch.config.migration import EVALUATION, OPENING, migrated, migrated_json
from allocsearch.search.storage import write_atomically

OPENINGS_NAME = "test_evaluations.json"
EVALUATION_NAME = "evaluation.json"
_FOLDER = "evaluations"


@dataclass(frozen=True)
class Opening:
    """One evaluation on the test sets, recorded before they are looked at.

    Attributes:
        number: 1 for the first one of the run.
        when: Time, UTC, ISO 8601.
        picked: The picked allocations in text form.
        allocations: These and the baselines.
        seeds: Seeds of the trainings of each.
        sets: Fingerprint of each OOD test set by name.
        id_test: Fingerprint of the ID test part.
        again: Whether it was asked for although other picks had been evaluated on the same sets.
        schema_version: Version of this format.
    """

    number: int
    when: str
    picked: tuple[str, ...]
    allocations: tuple[str, ...]
    seeds: tuple[int, ...]
    sets: Mapping[str, str]
    id_test: str
    again: bool = False
    schema_version: Literal[1] = 1

    def repeats(self, other: Opening) -> bool:
        """Whether both are the same trainings on the same data."""
        names = ("picked", "allocations", "seeds", "sets", "id_test")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def shares_sets(self, other: Opening) -> bool:
        """Whether both are on one test set at least."""
        return not {*self.sets.values()}.isdisjoint(other.sets.values())


@dataclass(frozen=True)
class Detected:
    """How well one allocation detects one OOD test set; means over its seeds.

    Attributes:
        name: Of the set.
        auroc: AUROC of the allocation's score.
        sd: Standard deviation of the AUROC over seeds; None for one seed.
        low: Lower end of the 95 % interval over seeds and examples; of one seed, over examples.
        high: Its upper end.
        aupr_ood: Average precision with OOD as the positive class.
        aupr_id: The same with ID as the positive class.
        fpr80: Share of ID examples above the threshold that detects 80 % of the OOD examples.
        fpr95: The same for 95 %.
        negative_elbo: AUROC of the negative ELBO, the field's baseline; None for what has no
            model.
        difference: AUROC less that of the uniform split with the same number of layers, each by
            its own score; None for the uniform split itself.
        difference_low: Lower end of its 95 % interval.
        difference_high: Upper end.
        p_value: Two-sided, for no difference, not corrected for the number of comparisons.

    Raises:
        ValueError: If the difference has no interval, or there is an interval of none.
    """

    name: str
    auroc: float
    sd: float | None
    low: float
    high: float
    aupr_ood: float
    aupr_id: float
    fpr80: float
    fpr95: float
    negative_elbo: float | None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    p_value: float | None = None

    def __post_init__(self) -> None:
        compared = (self.difference, self.difference_low, self.difference_high)
        if len({each is None for each in compared}) > 1:
            raise ValueError(f"difference on {shown(self.name)}: it and its interval go together")


@dataclass(frozen=True)
class Evaluated:
    """What was found for one allocation.

    Attributes:
        allocation: In text form.
        roles: Why it was evaluated, as `knee (trial 3)` or `uniform split`.
        score: Its OOD score; None where no training ended well.
        chosen: How that score was chosen.
        seeds: Seeds of the trainings that ended well.
        failures: Why the others did not, by seed.
        elbo: Mean ELBO of the ID test part over seeds, nats.
        elbo_sd: Its standard deviation over seeds, nats; None for one seed.
        retention: Mean over seeds, of ID validation data, nats.
        attenuation: Mean over seeds, of ID validation data.
        probe_accuracy: Of the ID test part, mean over seeds; None where nothing was probed.
        probe_accuracy_knn: The same of k-nearest neighbours.
        probe_chance: Share of the largest class.
        sets: One entry for each OOD test set.

    Raises:
        ValueError: If there are results without a training, or two of one set.
    """

    allocation: str
    roles: tuple[str, ...]
    score: str | None
    chosen: str
    seeds: tuple[int, ...]
    failures: Mapping[str, str] = field(default_factory=dict)
    elbo: float | None = None
    elbo_sd: float | None = None
    retention: float | None = None
    attenuation: float | None = None
    probe_accuracy: float | None = None
    probe_accuracy_knn: float | None = None
    probe_chance: float | None = None
    sets: tuple[Detected, ...] = ()

    def __post_init__(self) -> None:
        if self.sets and not self.seeds:
            raise ValueError(f"{shown(self.allocation)}: results of no training")
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"{shown(self.allocation)}: two results of one test set")

    @property
    def names(self) -> tuple[str, ...]:
        """The OOD test sets that there are results of."""
        return tuple(found.name for found in self.sets)

    @property
    def worst(self) -> Detected | None:
        """The OOD test set with the lowest AUROC."""
        return min(self.sets, key=lambda found: found.auroc, default=None)


@dataclass(frozen=True)
class PlainBaseline:
    """What a plain detector reached, which is fitted to the ID train part and has no model.

    Attributes:
        name: As `sequence length`.
        sets: One entry for each OOD test set; of one fit, as it has no seed.
    """

    name: str
    sets: tuple[Detected, ...]


@dataclass(frozen=True)
class Evaluation:
    """A final evaluation that ended.

    Attributes:
        opening: What was evaluated, and when.
        study: Name of the study.
        validation_sets: Names of the OOD validation sets, which all choices were made on.
        provenance: Package versions by name, the machine, and `data`, the fingerprint of the
            search data.
        evaluated: The picked allocations, then the baselines.
        plain: What plain detectors reached on the same sets; none but for tokens.
        schema_version: Version of this format.

    Raises:
        ValueError: If there are results of one allocation twice, or of different test sets.
    """

    opening: Opening
    study: str
    validation_sets: tuple[str, ...]
    provenance: Mapping[str, str]
    evaluated: tuple[Evaluated, ...]
    plain: tuple[PlainBaseline, ...] = ()
    schema_version: Literal[1] = 1

    def __post_init__(self) -> None:
        allocations = [each.allocation for each in self.evaluated]
        if len({*allocations}) < len(allocations):
            raise ValueError("results of one allocation twice")
        if len({each.names for each in self.evaluated if each.sets}) > 1:
            raise ValueError("results of different test sets")


_OPENINGS = TypeAdapter(tuple[Opening, ...])
_EVALUATION = TypeAdapter(Evaluation)


def evaluations_folder(folder: Path) -> Path:
    """Where a run folder keeps its final evaluations."""
    return folder / _FOLDER


def evaluation_folder(folder: Path, opening: Opening) -> Path:
    """Where a run folder keeps one of its final evaluations."""
    return evaluations_folder(folder) / str(opening.number)


def read_openings(folder: Path) -> tuple[Opening, ...]:
    """Every evaluation on test sets that a run folder has seen, in order.

    Raises:
        InputError: If the record of them cannot be read; it counts them, so it is not replaced.
    """
    path = folder / OPENINGS_NAME
    try:
        content = from_json(path.read_bytes())
        if isinstance(content, list):
            content = [migrated(x, OPENING) if isinstance(x, dict) else x for x in content]
        return _OPENINGS.validate_python(content)
    except FileNotFoundError:
        return ()
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except ValueError as error:
        raise InputError(f"{path}: {first_problem(error)}; put it back as it was") from None


def append_opening(folder: Path, opening: Opening) -> None:
    """Add an evaluation to the record of them; what stands there stays."""
    openings = (*read_openings(folder), opening)
    write_atomically(folder / OPENINGS_NAME, _OPENINGS.dump_json(openings, indent=1))


def write_evaluation(folder: Path, evaluation: Evaluation) -> Path:
    """Write `evaluation.json` for a run folder, and return its path."""
    path = evaluation_folder(folder, evaluation.opening) / EVALUATION_NAME
    write_atomically(path, _EVALUATION.dump_json(evaluation, indent=1))
    return path


def read_evaluation(folder: Path, opening: Opening) -> Evaluation | None:
    """The evaluation of a run folder for an entry of its record; None where it never ended.

    Raises:
        InputError: If its file cannot be read.
    """
    path = evaluation_folder(folder, opening) / EVALUATION_NAME
    try:
        return _EVALUATION.validate_python(migrated_json(path.read_bytes(), EVALUATION))
    except FileNotFoundError:
        return None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except ValueError as error:
        message = f"{path}: {first_problem(error)}; remove the file, and evaluate again"
        raise InputError(message) from None


def latest_evaluation(folder: Path) -> Evaluation | None:
    """The last final evaluation of a run folder that ended; None where none did.

    Raises:
        InputError: If a file of it cannot be read.
    """
    for opening in reversed(read_openings(folder)):
        found = read_evaluation(folder, opening)
        if found is not None:
            return found
    return None

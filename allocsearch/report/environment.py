"""Where the trials of a study were trained, and whether that was the same for all."""

from __future__ import annotations

from dataclasses import dataclass

from allocsearch.search.records import StudyRecord

_NAMES = {
    "python": "Python",
    "commit": "commit of allocsearch",
    "data": "fingerprint of the data",
    "labels": "fingerprint of the classes that are probed",
    "threads": "threads of a worker",
}
_DATA = "data"


@dataclass(frozen=True)
class Setting:
    """What trials have recorded of where they were trained.

    Attributes:
        key: As in `TrialRecord.provenance`.
        name: How it reads.
        values: Each value, with the numbers of the trials that have it.
    """

    key: str
    name: str
    values: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def differs(self) -> bool:
        """Whether not all trials that tell of it have the same."""
        return len(self.values) > 1


def settings(record: StudyRecord) -> tuple[Setting, ...]:
    """What the complete trials have recorded of where they were trained, in their order."""
    found: dict[str, dict[str, list[int]]] = {}
    for trial in record.complete:
        for key, value in trial.provenance.items():
            found.setdefault(key, {}).setdefault(value, []).append(trial.number)
    return tuple(
        Setting(
            key,
            _NAMES.get(key, key),
            tuple((value, tuple(numbers)) for value, numbers in values.items()),
        )
        for key, values in found.items()
    )


def difference_lines(found: tuple[Setting, ...]) -> tuple[str, ...]:
    """What the differences between trials mean, a sentence or two each."""
    lines = []
    if any(each.differs for each in found if each.key == _DATA):
        lines.append(
            "The trials were trained on data that differ: their values cannot be compared."
        )
    others = [each.name for each in found if each.differs and each.key != _DATA]
    if others:
        lines.append(
            f"Trials differ in {', '.join(others)}. Training one of them again elsewhere gives "
            "other bits, and small differences between them may come from that."
        )
    return tuple(lines)

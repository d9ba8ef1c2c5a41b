"""Whether test sets may be opened: once for all that is compared on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from allocsearch.config import InputError
from allocsearch.search.evaluation.entrants import Entrant
from allocsearch.search.evaluation.evaluations import Opening, read_openings


def next_opening(
    folder: Path,
    chosen: Sequence[Entrant],
    seeds: tuple[int, ...],
    sets: Mapping[str, str],
    id_test: str,
    *,
    again: bool,
) -> Opening:
    """The entry of an evaluation in the record: the one that it goes on with, or the next one.

    Args:
        folder: The run folder.
        chosen: The picked allocations and the baselines.
        seeds: Seeds of the trainings of each.
        sets: Fingerprint of each OOD test set by name.
        id_test: Fingerprint of the ID test part.
        again: Whether other picks may be evaluated on sets that were opened before.

    Raises:
        InputError: If other picks were evaluated on one of the sets before, and not `again`.
    """
    known = read_openings(folder)
    opening = Opening(
        number=len(known) + 1,
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        picked=tuple(sorted(str(each.allocation) for each in chosen if each.trial is not None)),
        allocations=tuple(str(entrant.allocation) for entrant in chosen),
        seeds=seeds,
        sets=dict(sets),
        id_test=id_test,
        again=again,
    )
    for earlier in known:
        if opening.repeats(earlier):
            return earlier
    others = [old for old in known if old.shares_sets(opening) and old.picked != opening.picked]
    if others and not again:
        seen = ", ".join(dict.fromkeys(text for old in others for text in old.picked))
        count = f"{len(known)} time{'' if len(known) == 1 else 's'}"
        raise InputError(
            f"{folder}: the test sets {', '.join(sets)} were opened {count} in this run, for "
            f"{seen}; choosing among allocations by repeated test evaluation is the mistake that "
            f"test sets guard against; allowed: the same picks, or --again, which is counted and "
            f"shown with the results"
        )
    return opening

"""What can be exported of a study, as text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from allocsearch.report.candidate_text import uncertainty_lines
from allocsearch.report.exports.pick import FORMS, FRONT, picked_front
from allocsearch.report.front import best_members, knee
from allocsearch.report.terminal.front_table import front_table
from allocsearch.report.terminal.summary import front_text
from allocsearch.search.records import StudyRecord

# More names of metrics fill the screen; the header of trials.csv has them all.
_MOST_NAMES = 20


def export_list(record: StudyRecord, where: Sequence[str] = ()) -> RenderableType:
    """The members of the front with the picks that name them, and all forms of `--pick`.

    Print it with `soft_wrap=True`, so that a member stays one line.

    Args:
        record: The study.
        where: Constraints, as for `pick`; the front is that of the allocations that satisfy them.

    Raises:
        InputError: If a constraint is wrong, or there is nothing to pick from.
    """
    objectives = record.config.study.parsed_objectives
    front = picked_front(record, FRONT, where)
    named: dict[int, list[str]] = {member.trial.number: [] for member in front.members}
    chosen = knee(front.members, objectives)
    named[chosen.trial.number].append("knee")
    best = best_members(front.members, objectives)
    for metric, member in {o.metric: m for o, m in zip(objectives, best, strict=True)}.items():
        named[member.trial.number].append(f"best:{metric}")
    # Every member has a name; the shortest is that of its dims.
    texts = [
        ", ".join(named[member.trial.number]) or f"allocation:{member.allocation}"
        for member in front.members
    ]
    width = max(map(len, FORMS))
    known = {name for trial in record.complete for name in trial.metrics}
    # Those of single sets and scores come last.
    names = sorted(known, key=lambda name: (name.count("."), name))
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return Group(
        Text(front_text(front)),
        front_table(record, front, chosen, ("--pick", texts)),
        *map(Text, uncertainty_lines(front, objectives)),
        Text("\nForms of --pick:"),
        *(Text(f"  {form:{width}}  {meaning}") for form, meaning in FORMS.items()),
        Text(f"  {FRONT:{width}}  every member of the front, a file each"),
        Text(f"\nOBJECTIVE: {', '.join(dict.fromkeys(o.metric for o in objectives))}"),
        Text(f"METRIC: {', '.join(names[:_MOST_NAMES])}{more}"),
    )

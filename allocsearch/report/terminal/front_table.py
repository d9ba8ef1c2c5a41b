"""The members of a front, as text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from allocsearch.report.candidate_text import has_interval, probability_text, value_text
from allocsearch.report.front import Candidate, StudyFront
from allocsearch.report.labels import metric_name
from allocsearch.search.records import StudyRecord


def front_table(
    record: StudyRecord,
    front: StudyFront,
    chosen: Candidate,
    more: tuple[str, Sequence[str]] | None = None,
) -> Table:
    """The members of a front, one row each.

    Args:
        record: The study.
        front: Its front.
        chosen: The member that is recommended.
        more: Heading and texts of a first column, in the order of the members.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    if more is not None:
        table.add_column(Text(more[0]), no_wrap=True)
    table.add_column("allocation", no_wrap=True)
    for name in _names(record, front):
        # Brackets in a name are no markup.
        table.add_column(Text(name), justify="right", overflow="fold")
    for i, member in enumerate(front.members):
        # Text, as brackets in a name are no markup.
        first = [] if more is None else [Text(more[1][i])]
        row = [str(member.allocation or ""), *_values(record, front, member)]
        table.add_row(*first, *row, style="bold" if member is chosen else "")
    return table


def front_entries(record: StudyRecord, front: StudyFront, chosen: Candidate) -> RenderableType:
    """The members of a front, a paragraph each, for terminals that its table is too wide for.

    Args:
        record: The study.
        front: Its front.
        chosen: The member that is recommended.
    """
    names = _names(record, front)
    entries: list[RenderableType] = []
    for member in front.members:
        style = "bold" if member is chosen else ""
        values = zip(names, _values(record, front, member), strict=True)
        details = Text(", ".join(f"{name} {value}" for name, value in values if value))
        entries += [Text(str(member.allocation or ""), style), Padding(details, (0, 0, 0, 2))]
    return Group(*entries)


def _metrics(record: StudyRecord) -> list[str]:
    return [objective.metric for objective in record.config.study.parsed_objectives]


def _names(record: StudyRecord, front: StudyFront) -> list[str]:
    """The headings beside that of the allocation."""
    names = [
        f"{metric_name(metric)} (95 %)"
        if has_interval(front.members, i, metric)
        else metric_name(metric)
        for i, metric in enumerate(_metrics(record))
    ]
    return ["ratio", *names, *(("n", "on the front") if front.spread else ()), "trial"]


def _values(record: StudyRecord, front: StudyFront, member: Candidate) -> list[str]:
    """What stands under them."""
    values = [value_text(member, i, metric) for i, metric in enumerate(_metrics(record))]
    ratio = f"{member.allocation.ratio:.2f}" if member.allocation else ""
    certainty = [str(member.replicates.count), probability_text(member.probability)]
    known = certainty if front.spread else []
    return [ratio, *values, *known, str(member.trial.number)]

"""A final evaluation, as text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from allocsearch.report.evaluation_table import HEADER, EvaluationRow, evaluation_cells
from allocsearch.search.evaluation.evaluations import Evaluation, Opening


def opened_text(openings: Sequence[Opening]) -> str:
    """How often the test sets of a run were opened, and what that means for the numbers."""
    text = f"test sets opened {_counted(len(openings), 'time')} in this run"
    if len({opening.picked for opening in openings}) > 1:
        text += (
            ", for different picks: the best of several evaluations on the same test sets is "
            "too good on average"
        )
    return text


def choice_lines(evaluation: Evaluation) -> tuple[str, ...]:
    """What was chosen for each allocation, and where; and what failed."""
    lines = []
    for each in evaluation.evaluated:
        score = f"score {each.score}: {each.chosen}" if each.score else each.chosen
        elbo = "" if each.elbo is None else f"; ELBO of the ID test part {each.elbo:.1f} nats"
        lines.append(f"{each.allocation}: {', '.join(each.roles)}; {score}{elbo}")
        lines += [f"  seed {seed} failed: {reason}" for seed, reason in each.failures.items()]
    return tuple(lines)


def method_text(evaluation: Evaluation) -> str:
    """What the intervals and p values are of."""
    seeds = len(evaluation.opening.seeds)
    over = "examples alone (one seed)" if seeds == 1 else f"{seeds} fresh seeds and the examples"
    others = len(evaluation.evaluated) - 1
    return (
        f"Intervals (95 %) and p values are over {over}; p values are not corrected for "
        f"{_counted(others, 'comparison')} per test set. FPR95 is of the test scores "
        "themselves; no threshold was chosen. AUPR has OOD as the positive class. -ELBO is the "
        "AUROC of the negative ELBO."
    )


def evaluation_text(evaluation: Evaluation, openings: Sequence[Opening]) -> RenderableType:
    """A final evaluation: the table, what was chosen where, and how often tests were opened.

    Print it with `soft_wrap=True`: a row is wider than a narrow terminal, which then wraps it.

    Args:
        evaluation: The evaluation.
        openings: Every evaluation on test sets of the run.
    """
    return Group(
        Text(f"{evaluation.study}  {opened_text(openings)}"),
        *_aligned(evaluation_cells(evaluation)),
        *map(Text, choice_lines(evaluation)),
        Text(method_text(evaluation)),
    )


def _aligned(rows: Sequence[EvaluationRow]) -> list[Text]:
    """The table with no cell cut, whatever the terminal: allocation and set to the left."""
    table = [HEADER, *(row.cells for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]

    def line(cells: Sequence[str]) -> str:
        pairs = enumerate(zip(cells, widths, strict=True))
        return "  ".join(f"{c:<{w}}" if i < 2 else f"{c:>{w}}" for i, (c, w) in pairs).rstrip()

    styled = [Text(line(row.cells), style="bold" if row.picked else "") for row in rows]
    return [Text(line(HEADER), style="bold"), *styled]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

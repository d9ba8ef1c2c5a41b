"""A final evaluation, as text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from rich.console import Group, RenderableType
from rich.text import Text

from allocsearch.report.evaluation_table import HEADER, EvaluationRow, evaluation_cells
from allocsearch.search.evaluation.evaluations import (
    Detected,
    Evaluated,
    Evaluation,
    Opening,
    PlainBaseline,
)


def opened_text(openings: Sequence[Opening]) -> str:
    """How often the test sets of a run were opened, and what that means for the numbers."""
    text = f"test sets opened {_counted(len(openings), 'time')} in this run"
    if len({opening.picked for opening in openings}) > 1:
        text += (
            ", for different picks: the best of several evaluations on the same test sets is "
            "too good on average"
        )
    return text


def mean_text(evaluation: Evaluation) -> str | None:
    """The mean over the test sets of everything that was tested; None where there is one set.

    It says nothing that the table does not, which many sets make longer than a screen.
    """
    tested = [
        *((each.allocation, each.sets) for each in evaluation.evaluated),
        *((plain.name, plain.sets) for plain in evaluation.plain),
    ]
    sets = max((len(found) for _, found in tested), default=0)
    if sets < 2:
        return None
    means = "; ".join(f"{name} {_mean(found)}" for name, found in tested if found)
    return f"AUROC in the mean over {sets} test sets (the lowest): {means}."


def _mean(sets: Sequence[Detected]) -> str:
    aurocs = [found.auroc for found in sets]
    return f"{fmean(aurocs):.3f} ({min(aurocs):.3f})"


def choice_lines(evaluation: Evaluation) -> tuple[str, ...]:
    """What was chosen for each allocation, and where; and what failed."""
    lines = []
    for each in evaluation.evaluated:
        score = f"score {each.score}: {each.chosen}" if each.score else each.chosen
        elbo = "" if each.elbo is None else f"; ELBO of the ID test part {each.elbo:.1f} nats"
        lines.append(f"{each.allocation}: {', '.join(each.roles)}; {score}{elbo}{_probed(each)}")
        lines += [f"  seed {seed} failed: {reason}" for seed, reason in each.failures.items()]
    return tuple(lines)


def _probed(each: Evaluated) -> str:
    """What a probe of the ID test part found, where there was one."""
    if each.probe_accuracy is None:
        return ""
    found = f"{each.probe_accuracy:.3f}, k-NN {each.probe_accuracy_knn:.3f}"
    return f"; probe accuracy of the ID test part {found} (chance {each.probe_chance:.3f})"


def plain_lines(evaluation: Evaluation) -> tuple[str, ...]:
    """On which test sets a plain detector does better than a picked allocation."""
    if not evaluation.plain:
        return ()
    names = " and ".join(plain.name for plain in evaluation.plain)
    fitted = f"Plain detectors, fitted to the ID train part: {names}"
    lines = [f"{fitted}; their intervals are over the examples alone."]
    for each in evaluation.evaluated:
        if each.allocation in evaluation.opening.picked and each.sets:
            lines.append(_against_plain(each, evaluation.plain))
    return tuple(lines)


def _against_plain(each: Evaluated, plain: Sequence[PlainBaseline]) -> str:
    beaten = []
    for i, own in enumerate(each.sets):
        best = max(plain, key=lambda baseline: baseline.sets[i].auroc)
        # As they are shown, so that no difference is told that nobody sees.
        theirs, ours = (round(found.auroc, 3) for found in (best.sets[i], own))
        if theirs > ours:
            beaten.append(f"{own.name} ({best.name} {theirs:.3f} against {ours:.3f})")
    sets = _counted(len(each.sets), "test set")
    if not beaten:
        return f"No plain detector does better than {each.allocation} on any of {sets}."
    return (
        f"A plain detector does better than {each.allocation} on {len(beaten)} of {sets}: "
        f"{', '.join(beaten)}."
    )


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
    mean = mean_text(evaluation)
    lines = (*choice_lines(evaluation), *plain_lines(evaluation), method_text(evaluation))
    return Group(
        Text(f"{evaluation.study}  {opened_text(openings)}"),
        *_aligned(evaluation_cells(evaluation)),
        *map(Text, lines if mean is None else (mean, *lines)),
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

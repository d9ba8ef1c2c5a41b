"""The agreement of OOD validation sets, in words."""

from __future__ import annotations

from statistics import median

from allocsearch.report.agreement import LEAST_PAIRS, Agreement
from allocsearch.report.labels import format_metric
from allocsearch.report.proxy import (
    SATURATED_HIGH,
    SATURATED_LOW,
    ProxyCheck,
    ValidationSet,
    proxy_check,
)
from allocsearch.search.records import StudyRecord

_TITLE = "Agreement of the OOD validation sets"


def omission(record: StudyRecord, check: ProxyCheck | None) -> str | None:
    """Why no OOD validation sets are compared, in a sentence, where none are.

    Args:
        record: The study.
        check: What `proxy_check` gives for it.
    """
    if len(record.config.ood_validation) < 2:
        return f"{_TITLE}: it takes two sets."
    if check is None:
        return (
            f"{_TITLE}: it takes {LEAST_PAIRS} allocations whose AUROC on every set is known for "
            "the same score."
        )
    return None


def proxy_warnings(check: ProxyCheck) -> tuple[str, ...]:
    """A line for each set that is saturated or contradicts the others, with what to do."""
    lines = [_saturation(check, entry) for entry in check.sets if entry.saturated]
    contradicting = [entry for entry in check.sets if entry.contradicts]
    unsaturated = [entry.name for entry in check.sets if not entry.saturated]
    if len(unsaturated) == 2 and contradicting:
        # Of two sets that contradict each other nothing tells which one misleads.
        lines.append(
            f"OOD validation sets {unsaturated[0]} and {unsaturated[1]} contradict each other: "
            f"Kendall's tau of their AUROC is {tau_text(contradicting[0].others)}, 95 % "
            "bootstrap. Keep the one that is more like the OOD data you expect."
        )
    else:
        lines += [
            f"OOD validation set {entry.name} contradicts the others: Kendall's tau with their "
            f"mean AUROC is {tau_text(entry.others)}, 95 % bootstrap. Drop it, or the "
            "others if it is the one that is like the OOD data you expect."
            for entry in contradicting
        ]
    return tuple(lines)


def _saturation(check: ProxyCheck, entry: ValidationSet) -> str:
    high = entry.saturated == "high"
    where = f"above {SATURATED_HIGH}" if high else f"below {SATURATED_LOW}"
    advice = "Replace it by a harder one"
    if high and entry.strength is not None:
        advice += f" or lower its strength, which is {entry.strength:g}"
    if not high:
        advice = f"Replace it, or name another score than {check.score}"
    return (
        f"OOD validation set {entry.name} is saturated: AUROC {where} for "
        f"{entry.above if high else entry.below} of {len(entry.aurocs)} allocations, so it hardly "
        f"tells them apart. {advice}."
    )


def score_text(check: ProxyCheck) -> str:
    """Which score the sets are compared by, and why."""
    if check.chosen_by is None:
        return f"by {check.score}"
    count, trials = check.chosen_by
    return f"by {check.score}, the score chosen most often ({count} of {trials} trials)"


def tau_text(agreement: Agreement | None) -> str:
    """A rank correlation with its interval: `0.52 (0.10 to 0.81)`; a dash for none."""
    if agreement is None:
        return "–"  # noqa: RUF001
    return f"{agreement.tau:.2f} ({agreement.low:.2f} to {agreement.high:.2f})"


def spread_texts(entry: ValidationSet) -> tuple[str, str, str]:
    """The lowest, the median and the highest AUROC."""
    values = entry.aurocs
    low, middle, high = (
        format_metric("auroc", v) for v in (min(values), median(values), max(values))
    )
    return low, middle, high


def proxy_lines(record: StudyRecord) -> tuple[str, ...]:
    """The comparison in plain lines for the terminal: spreads, taus, warnings.

    Empty for a study without OOD validation sets; for one with a single set, its warning alone.
    """
    sets = record.config.ood_validation
    if not sets:
        return ()
    check = proxy_check(record)
    left_out = omission(record, check)
    if check is None:
        return (left_out,) if left_out and len(sets) > 1 else ()
    warnings = warning_lines(check)
    if left_out:
        return warnings
    lines = [
        f"OOD validation sets over {len(check.allocations)} allocations, {score_text(check)}; "
        "Kendall's tau with its 95 % bootstrap interval:"
    ]
    for entry in check.sets:
        low, middle, high = spread_texts(entry)
        lines.append(f"  {entry.name}  AUROC {low} to {high}, median {middle}")
    lines += [
        f"  {first}, {second}  "
        + (f"tau {tau_text(agreement)}" if agreement else "no tau: all AUROCs of one are equal")
        for (first, second), agreement in check.agreements.items()
    ]
    return (*lines, *warnings)


def warning_lines(check: ProxyCheck | None) -> tuple[str, ...]:
    """The warnings as lines for the terminal."""
    return () if check is None else tuple(f"Warning: {text}" for text in proxy_warnings(check))

"""The rungs of a study, in words and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from allocsearch.config import EarlyStoppingSection
from allocsearch.report.early_stopping import RungStanding, rung_replay, rung_standings
from allocsearch.report.labels import metric_name, names_text
from allocsearch.search.records import StudyRecord
from allocsearch.search.rungs.rank_correlation import RankCorrelation
from allocsearch.search.rungs.rung_replay import Replay


@dataclass(frozen=True)
class RungTable:
    """The rungs of a study as texts: one row for each, and sentences below."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[str, ...]


def rung_table(record: StudyRecord) -> RungTable | None:
    """What the report shows of the rungs, or None where early stopping is off."""
    standings = rung_standings(record)
    if not standings:
        return None
    section = record.config.early_stopping
    names = [metric_name(o.metric) for o in record.config.study.parsed_objectives]
    header = (
        *("rung", "n"),
        *(f"tau, {name}" for name in names),
        *("tau, rank", "verdict", "pruned", "saved"),
    )
    rows = tuple(_row(standing, section) for standing in standings)
    lines = tuple(
        " ".join(filter(None, (_reason(standing, names, section), _replay(record, standing))))
        for standing in standings
    )
    return RungTable(header, rows, lines)


def early_stopping_lines(record: StudyRecord) -> tuple[str, ...]:
    """The rungs in a line for the terminal; none where early stopping is off."""
    standings = rung_standings(record)
    if not standings:
        return ()
    section = record.config.early_stopping
    verdicts = ", ".join(
        f"rung {standing.calibration.rung:g} {_verdict(standing, section)}"
        for standing in standings
    )
    pruned = sum(standing.pruned for standing in standings)
    saved = sum(standing.saved for standing in standings)
    balance = f"{abs(saved):.1f} full trainings {'saved' if saved >= 0 else 'spent on rungs'}"
    result = f"; {pruned} pruned, {balance}" if pruned or saved else ""
    return (f"early stopping ({section.mode}): {verdicts}{result}",)


def _verdict(standing: RungStanding, section: EarlyStoppingSection) -> str:
    found = standing.calibration
    if section.mode == "forced":
        return "judges from the start"
    if found.verdict == "too few":
        return f"too few ({found.n} of {section.calibration_trials} full trainings)"
    return found.verdict


def _row(standing: RungStanding, section: EarlyStoppingSection) -> tuple[str, ...]:
    found = standing.calibration
    return (
        f"{found.rung:g}",
        str(found.n),
        *(_tau(tau) for tau in (*found.taus, found.rank_tau)),
        "forced" if section.mode == "forced" else found.verdict,
        str(standing.pruned),
        f"{standing.saved:.1f}",
    )


def _tau(tau: RankCorrelation | None) -> str:
    return "–" if tau is None else f"{tau.tau:.2f} ({tau.low:.2f} to {tau.high:.2f})"  # noqa: RUF001


def _reason(standing: RungStanding, names: Sequence[str], section: EarlyStoppingSection) -> str:
    """Why a rung may stop trials, or may not."""
    found, least = standing.calibration, section.min_correlation
    head = f"Rung {found.rung:g}"
    if section.mode == "forced":
        return f'{head} stops trials whatever it is worth: early_stopping.mode is "forced".'
    if found.verdict == "too few":
        return (
            f"{head} stops no trial yet: it has {found.n} of the {section.calibration_trials} "
            "full trainings that a first look takes (early_stopping.calibration_trials)."
        )
    pairs = [*zip(names, found.proven, found.taus, strict=True)]
    lacking = [name for name, proven, _ in pairs if proven <= least]
    if found.verdict == "contradicted":
        low = [name for name, _, tau in pairs if tau is not None and tau.high < least]
        return (
            f"{head} stops no trial: its tau is below {least:g} (early_stopping.min_correlation) "
            f"for {names_text(low)}."
        )
    if found.verdict == "not proven":
        return (
            f"{head} stops no trial: a tau above {least:g} (early_stopping.min_correlation) is "
            f"not proven for {names_text(lacking)}."
        )
    if lacking:
        return f"{head} is trusted by the full trainings that had ended before it first judged."
    weakest, proven, _ = min(pairs, key=lambda pair: pair[1])
    which = f", the least of all for {weakest}" if len(pairs) > 1 else ""
    return f"{head} is trusted: a tau above {proven:.2f} is proven{which}."


def _replay(record: StudyRecord, standing: RungStanding) -> str:
    """What the rung would have done to the full trainings, where that says anything."""
    if standing.calibration.n < record.config.early_stopping.calibration_trials:
        return ""
    found: Replay = rung_replay(record, standing.calibration.rung)
    balance = f"{'saved' if found.saved >= 0 else 'added'} {100 * abs(found.saved):.0f} %"
    return (
        f"Had it judged these {found.trials} full trainings from the first on, it would have "
        f"stopped {len(found.stopped)} of them, {balance} of their cost, "
        f"and lost {found.lost} of the {found.front} on their front."
    )

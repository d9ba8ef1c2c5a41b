"""The table of a final evaluation: for people, and as CSV."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from allocsearch.search.evaluation.evaluations import (
    Detected,
    Evaluated,
    Evaluation,
    evaluation_folder,
)
from allocsearch.search.storage import write_atomically

CSV_NAME = "evaluation.csv"
HEADER = (
    "allocation",
    "test set",
    "AUROC (95 %)",
    "sd",
    "FPR95",
    "AUPR",
    "-ELBO",
    "less uniform (95 %)",
    "p",
)
_MISSING = "-"


@dataclass(frozen=True)
class EvaluationRow:
    """One row of the table, as texts; those of picked allocations are set off."""

    cells: tuple[str, ...]
    picked: bool


def evaluation_cells(evaluation: Evaluation) -> tuple[EvaluationRow, ...]:
    """A row for each allocation, then each plain detector, and test set.

    The worst set is marked where there are several.
    """
    rows = []
    for each in evaluation.evaluated:
        picked = each.allocation in evaluation.opening.picked
        if not each.sets:
            failed = (each.allocation, "all trainings failed", *[""] * (len(HEADER) - 2))
            rows.append(EvaluationRow(failed, picked))
        for found in each.sets:
            worst = len(each.sets) > 1 and found == each.worst
            rows.append(EvaluationRow(_cells(each.allocation, found, worst=worst), picked))
    for plain in evaluation.plain:
        rows += [EvaluationRow(_cells(plain.name, found), picked=False) for found in plain.sets]
    return tuple(rows)


def _cells(name: str, found: Detected, *, worst: bool = False) -> tuple[str, ...]:
    difference, p_value = _MISSING, _MISSING
    if found.difference is not None:
        low, high = found.difference_low, found.difference_high
        difference = f"{found.difference:+.3f} ({low:+.3f} to {high:+.3f})"
    if found.p_value is not None:
        p_value = "<0.001" if found.p_value < 0.001 else f"{found.p_value:.3f}"
    return (
        name,
        f"{found.name} (worst)" if worst else found.name,
        f"{found.auroc:.3f} ({found.low:.3f}-{found.high:.3f})",
        _MISSING if found.sd is None else f"{found.sd:.3f}",
        f"{found.fpr95:.3f}",
        f"{found.aupr_ood:.3f}",
        _MISSING if found.negative_elbo is None else f"{found.negative_elbo:.3f}",
        difference,
        p_value,
    )


def evaluation_frame(evaluation: Evaluation) -> pd.DataFrame:
    """Every number of an evaluation, one row for each allocation and test set.

    Columns: `allocation`, `roles`, `picked`, `score`, `chosen`, `seeds` (how many), `elbo`,
    `elbo_sd`, `retention` (nats), `attenuation`, the metrics of a
    probe where there was one, `set`, `worst` (whether it has the lowest AUROC
    of the allocation's sets), and the values of `Detected` by name; a missing one is empty. A
    plain detector has its name as `allocation`, and the role `plain detector`.
    """
    rows = []
    for each in evaluation.evaluated:
        own: dict[str, object] = {
            "allocation": each.allocation,
            "roles": "; ".join(each.roles),
            "picked": each.allocation in evaluation.opening.picked,
            "score": each.score,
            "chosen": each.chosen,
            "seeds": len(each.seeds),
            "elbo": each.elbo,
            "elbo_sd": each.elbo_sd,
            "retention": each.retention,
            "attenuation": each.attenuation,
            **_probed(each),
        }
        for found in each.sets:
            values = asdict(found)
            name = values.pop("name")
            rows.append({**own, "set": name, "worst": found == each.worst, **values})
        if not each.sets:
            rows.append(own)
    for plain in evaluation.plain:
        own = {"allocation": plain.name, "roles": "plain detector", "picked": False}
        for found in plain.sets:
            values = asdict(found)
            name = values.pop("name")
            rows.append({**own, "set": name, **values})
    return pd.DataFrame(rows)


def _probed(each: Evaluated) -> dict[str, float | None]:
    """The columns of a probe; none where there was none, so that tables stay as they were."""
    if each.probe_accuracy is None:
        return {}
    names = ("probe_accuracy", "probe_accuracy_knn", "probe_chance")
    return {name: getattr(each, name) for name in names}


def write_evaluation_table(evaluation: Evaluation, run: Path) -> Path:
    """Write `evaluation.csv` beside `evaluation.json` in a run folder, and return its path."""
    path = evaluation_folder(run, evaluation.opening) / CSV_NAME
    frame = evaluation_frame(evaluation)
    write_atomically(path, frame.to_csv(index=False, lineterminator="\n"))
    return path

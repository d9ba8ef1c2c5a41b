"""The figure of the importance of each layer's dims, with its words."""

from __future__ import annotations

import math

import pandas as pd

from allocsearch.report.figures.importance_figures import importance_bars
from allocsearch.report.front import StudyFront
from allocsearch.report.importance import FEWEST, LAYERS, importance
from allocsearch.report.labels import metric_name
from allocsearch.report.panels.panel import Grid, Panel
from allocsearch.search.records import StudyRecord


def importance_panel(record: StudyRecord, front: StudyFront) -> tuple[Panel | None, str | None]:
    """The importance of dims, or why that is left out.

    Args:
        record: The study.
        front: Its front.
    """
    known = [c for c in front.candidates if c.allocation is not None]
    allocations = [c.allocation for c in known if c.allocation is not None]
    if problem := _problem(record, {each.layers for each in allocations}, len(allocations)):
        return None, f"Importance of the dims: {problem}."
    means = pd.DataFrame([c.mean for c in known]).to_numpy(dtype="float64")
    found = importance(allocations, means, record.config.study.parsed_objectives)
    if not found.shares:
        return None, "Importance of the dims: all allocations have the same objectives."
    metrics = [*found.shares]
    rows: list[tuple[str, list[float]]] = [
        (_label(name), [found.shares[metric][name] for metric in metrics])
        for name in found.shares[metrics[0]]
    ]
    frame = pd.DataFrame(
        [(name, *shares) for name, shares in rows], columns=["parameter", *metrics]
    )
    best = math.ceil(found.quantile * found.allocations)
    drawn = f", drawn at random of {len(known):,}," if found.allocations < len(known) else ""
    return (
        Panel(
            "importance",
            "Importance of the dims of each layer",
            f"How differently the best {best:,} of {found.allocations:,} allocations{drawn} "
            "split, by Optuna's PED-ANOVA, for each layer alone. The shares of an objective sum "
            "to 1; on the dotted line all would be equal. Dims sum to the budget: what one layer "
            "gets others lack, so a layer has some of the importance of the others. Which way it "
            f"works is seen where the objectives are drawn over the splits.{_rough(best)}",
            f"Bar chart of the share of each layer's dims in the importance for "
            f"{', '.join(map(metric_name, metrics))}. A table with the numbers follows.",
            importance_bars(frame),
            Grid(
                ("dims of", *map(metric_name, metrics)),
                tuple((name, *(f"{share:.2f}" for share in shares)) for name, shares in rows),
            ),
            frame=frame,
        ),
        None,
    )


def _problem(record: StudyRecord, layers: set[int], count: int) -> str | None:
    """Why nothing can be said, or would say nothing."""
    if record.config.search_space.kind == "ratio" and len(layers) == 1:
        return "the ratio alone decides all of them"
    if layers <= {1, 2} and len(layers) == 1:
        return "those of one layer decide all"
    if count < FEWEST:
        return f"it takes {FEWEST} allocations, and {count} are complete"
    return None


def _label(name: str) -> str:
    return "number of layers" if name == LAYERS else f"layer {name.removeprefix('d_')}"


def _rough(best: int) -> str:
    return " With so few of them take it as a hint." if best < 10 else ""

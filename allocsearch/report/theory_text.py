"""The prediction of a study, as text for the terminal."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table

from allocsearch.report.labels import with_unit
from allocsearch.search.prediction import (
    LayerCountPrediction,
    PredictedAllocation,
    StudyPrediction,
)

_RATIO_ROWS = 9
_FRONT_ROWS = 8


def prediction_text(prediction: StudyPrediction, name: str) -> RenderableType:
    """Spectrum, the ratio and r*, and members of the predicted front from end to end.

    Args:
        prediction: What was predicted.
        name: Name of the study.
    """
    spectrum = (
        f"{name}: predicted from {prediction.examples} training examples of "
        f"{prediction.features} features, without training\n"
        f"spectrum  variance {prediction.total_variance:.4g}, 90 % of it in "
        f"{prediction.directions_90} directions, {prediction.effective_directions:.1f} effective "
        f"ones; sigma^2 {prediction.noise:.4g}, kappa {prediction.kappa:.3f}, "
        f"gamma {prediction.gamma:.3g}"
    )
    parts: list[RenderableType] = [spectrum]
    for count in prediction.layer_counts:
        parts += _layer_count(count)
    return Group(*parts)


def _layer_count(count: LayerCountPrediction) -> list[RenderableType]:
    layers = f"{count.layers} layers" if count.layers > 1 else "1 layer"
    of = f"{count.size}" if count.size < 10**12 else f"{count.size:.1e}"
    compared = of if count.compared == count.size else f"{count.compared} of {of}"
    best = count.optimum
    head = (
        f"\n{layers}: r* = {best.ratio:.2f} ({best.allocation}), the largest retention * "
        f"(1 - attenuation)^(1/2) of {compared} allocations"
    )
    rows = {point.allocation: point for point in (*_spread(count.curve, _RATIO_ROWS - 1), best)}
    along = _table(sorted(rows.values(), key=lambda point: point.ratio), count)
    members = count.front
    if len(members) > _FRONT_ROWS:
        chosen = {*np.linspace(0, len(members) - 1, _FRONT_ROWS - 1).astype(int).tolist()}
        members = tuple(members[i] for i in sorted({*chosen, members.index(count.knee)}))
    title = f"\npredicted front, {len(count.front)} allocations"
    title += f", {len(members)} of them" if len(members) < len(count.front) else ""
    return [head, along, title, _table(members, count)]


def _spread(
    points: tuple[PredictedAllocation, ...], wanted: int
) -> tuple[PredictedAllocation, ...]:
    """Points at about evenly spaced logarithms of the ratio, both ends among them."""
    logs = np.log([point.ratio for point in points])
    targets = np.linspace(logs[0], logs[-1], wanted)
    nearest = np.unique(np.abs(logs - targets[:, None]).argmin(1))
    return tuple(points[i] for i in nearest)


def _table(points: Iterable[PredictedAllocation], count: LayerCountPrediction) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 1), header_style="bold")
    for name in ("allocation", "ratio", "retention", "attenuation", ""):
        table.add_column(name, justify="left" if name in ("allocation", "") else "right")
    for point in points:
        marks = [
            mark
            for mark, marked in (
                ("r*", count.optimum),
                ("knee of the front", count.knee),
                ("end of the front", count.front[0]),
                ("end of the front", count.front[-1]),
            )
            if marked.allocation == point.allocation
        ]
        table.add_row(
            point.allocation,
            f"{point.ratio:.2f}",
            with_unit("retention", point.retention),
            with_unit("attenuation", point.attenuation),
            ", ".join(dict.fromkeys(marks)),
        )
    return table

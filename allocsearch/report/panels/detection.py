"""How well chosen allocations tell OOD examples: ROC curves and score histograms, with words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from allocsearch.config import HELD_OUT
from allocsearch.report.figures.score_figures import roc_curves, score_histograms
from allocsearch.report.panels.histograms import Histogram, shared_histogram
from allocsearch.report.panels.panel import Grid, Panel
from allocsearch.report.panels.roc import Roc, mean_roc, roc
from allocsearch.report.panels.score_frames import histogram_frame, roc_frame

# Histograms of more sets in one figure hide each other.
_SETS_IN_A_FIGURE = 4

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Detector:
    """One OOD score of the examples, by each training of an allocation.

    Attributes:
        name: Of the allocation, in a legend.
        score: Name of the score.
        of_id: Of the ID examples, `(trainings, n)`.
        of_ood: Of each OOD set by name, `(trainings, m)`.
        aurocs: What a legend says of each set by name: the AUROC and its interval.
        others: More texts for the table of each set, by their headings.
    """

    name: str
    score: str
    of_id: Scores
    of_ood: Mapping[str, Scores]
    aurocs: Mapping[str, str]
    others: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def curve(self, name: str) -> Roc:
        """The ROC curve on a set, averaged over the trainings."""
        pairs = zip(self.of_id, self.of_ood[name], strict=True)
        return mean_roc([roc(*pair) for pair in pairs])

    def area(self, name: str) -> float:
        """The AUROC on a set, averaged over the trainings."""
        return self.curve(name).area


def roc_panels(detectors: Sequence[Detector], section: str, caption: str) -> Iterator[Panel]:
    """A figure with the ROC curves of all detectors for each OOD set.

    Args:
        detectors: One or more, all of the same sets.
        section: As `Panel.section`.
        caption: What the curves are of.
    """
    for name in detectors[0].of_ood:
        curves = {f"{each.name}: {each.aurocs[name]}": each.curve(name) for each in detectors}
        rows = tuple(
            (
                each.name,
                each.score,
                each.aurocs[name],
                *(texts[name] for texts in each.others.values()),
            )
            for each in detectors
        )
        frame = roc_frame(curves)
        yield Panel(
            section,
            f"ROC on {name}",
            caption,
            f"ROC curves on {name}, with their AUROC: {_listed(rows)}. A table with the numbers "
            "follows.",
            roc_curves(frame),
            Grid(("allocation", "score", "AUROC (95 %)", *detectors[0].others), rows),
            frame=frame,
        )


def _listed(rows: Sequence[tuple[str, ...]]) -> str:
    return "; ".join(f"{row[0]} {row[2]}" for row in rows)


def histogram_panels(detectors: Sequence[Detector], section: str, id_name: str) -> Iterator[Panel]:
    """A figure with the histograms of the ID examples and the OOD sets for each detector.

    Args:
        detectors: Any number.
        section: As `Panel.section`.
        id_name: What to call the ID examples.
    """
    for each in detectors:
        # All trainings have the same weight, and those of one have the same examples.
        of_ood = {name: scores.ravel() for name, scores in each.of_ood.items()}
        found = shared_histogram(each.of_id.ravel(), of_ood)
        parts = list(_parts(tuple(each.of_ood)))
        for i, names in enumerate(parts, 1):
            frame = histogram_frame(found, (HELD_OUT, *names))
            yield Panel(
                section,
                f"Scores of {each.name}{f', {i} of {len(parts)}' if len(parts) > 1 else ''}",
                f"Larger is more OOD. {_trainings(each)}{_beyond(found, names)}",
                f"Histograms of the score {each.score} of {each.name}: {id_name} and "
                f"{', '.join(names)}. A table with the numbers follows.",
                score_histograms(frame, each.score, id_name),
                Grid(
                    ("examples", "n", "5 %", "median", "95 %"),
                    tuple(_quantiles(each, name, id_name) for name in (HELD_OUT, *names)),
                ),
                frame=frame,
            )


def _parts(names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    rest = iter(names)
    while part := tuple(islice(rest, _SETS_IN_A_FIGURE)):
        yield part


def _trainings(each: Detector) -> str:
    count = len(each.of_id)
    return "" if count == 1 else f"{count} trainings together. "


def _beyond(found: Histogram, names: Sequence[str]) -> str:
    """What is said of the examples that the bins do not reach."""
    shares = {name: found.beyond[name] for name in (HELD_OUT, *names) if found.beyond[name] > 0}
    if not shares:
        return "The bins reach over all examples."
    most = max(shares.values())
    return (
        f"Scores beyond the axis are counted in its first and last bin: up to {most:.1%} of a set."
    )


def _quantiles(each: Detector, name: str, id_name: str) -> tuple[str, ...]:
    scores = each.of_id if name == HELD_OUT else each.of_ood[name]
    values = np.quantile(scores, (0.05, 0.5, 0.95))
    texts = (f"{value:.4g}" for value in values)
    return (id_name if name == HELD_OUT else name, f"{scores.shape[1]:,}", *texts)

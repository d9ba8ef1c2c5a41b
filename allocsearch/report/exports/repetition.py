"""How the metrics of a repeated training compare with the exported ones."""

from __future__ import annotations

from collections.abc import Mapping

from allocsearch.config import printable
from allocsearch.report.exports.export import ExportedAllocation
from allocsearch.report.labels import metric_name, with_unit


def repetition_lines(
    exported: ExportedAllocation, metrics: Mapping[str, float], provenance: Mapping[str, str]
) -> tuple[str, ...]:
    """Whether the metrics are equal bit for bit; if not, which differ, and what may be the cause.

    Args:
        exported: The allocation that was trained again.
        metrics: The metrics of the repetition.
        provenance: Package versions by name, and `data`, the data fingerprint, of the repetition.
    """
    then = {**exported.provenance.versions, "data": exported.provenance.data_fingerprint}
    causes = [
        f"{name} was {printable(str(then[name]))} and is {now}"
        for name, now in provenance.items()
        if then.get(name) not in (None, now)
    ]
    shared = [name for name in exported.metrics if name in metrics]
    differing = [name for name in shared if exported.metrics[name] != metrics[name]]
    if not shared:
        return ("Nothing to compare: the export holds no metrics.",)
    if not differing:
        return (f"All {len(shared)} metrics equal the exported ones exactly.", *causes)
    if exported.trainer is None and exported.training.population != 1:
        causes.append("it was trained in a population, whose rounding differs from that of one")
    lines = [
        f"{metric_name(name)}: exported {with_unit(name, exported.metrics[name])}, "
        f"now {with_unit(name, metrics[name])}"
        for name in differing
    ]
    return (f"{len(differing)} of {len(shared)} metrics differ:", *lines, *causes)

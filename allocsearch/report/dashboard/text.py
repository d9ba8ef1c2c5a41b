"""What is said about a dashboard before it serves."""

from __future__ import annotations

from collections.abc import Iterator

from allocsearch.report.dashboard.server import Dashboard


def dashboard_lines(dashboard: Dashboard) -> Iterator[str]:
    """Where it is, and what whoever reaches it can do."""
    yield f"{dashboard.url}  (Ctrl-C ends it)"
    several = f"all {dashboard.studies} studies" if dashboard.studies > 1 else "the one study"
    files = f", and files of trials in {dashboard.artifacts}" if dashboard.artifacts else ""
    yield (
        f"Whoever reaches this address can read {several} of the storage{files}, and write "
        "notes; there is no password. Nothing else can be changed or deleted."
    )


def warning(dashboard: Dashboard) -> str | None:
    """A line for one that other machines reach."""
    if dashboard.is_private:
        return None
    return "Other machines reach this address: it is not of this machine alone (127.0.0.1)."

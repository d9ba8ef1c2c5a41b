"""The report of a study: one HTML file that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from allocsearch.report.candidate_text import (
    has_interval,
    probability_text,
    uncertainty_lines,
    value_text,
)
from allocsearch.report.content import Content, content_of
from allocsearch.report.environment import difference_lines, settings
from allocsearch.report.evaluation_table import HEADER, EvaluationRow, evaluation_cells
from allocsearch.report.evaluation_text import (
    choice_lines,
    mean_text,
    method_text,
    opened_text,
    plain_lines,
)
from allocsearch.report.figures import theme
from allocsearch.report.front import (
    StudyFront,
    knee,
    study_front,
)
from allocsearch.report.labels import (
    column_label,
    format_duration,
    format_metric,
    interval_text,
    metric_label,
    trials_text,
    with_interval,
)
from allocsearch.report.recommendation import recommendation
from allocsearch.report.reproduction import reproduction_steps
from allocsearch.report.rung_text import rung_table
from allocsearch.report.tables import trials_frame
from allocsearch.report.terminal.summary import front_text, progress_text
from allocsearch.report.thinning import MOST, latest_text, listed, listed_text
from allocsearch.search.evaluation.evaluations import latest_evaluation, read_openings
from allocsearch.search.records import StudyRecord
from allocsearch.search.storage import write_atomically

REPORT_NAME = "report.html"


@dataclass(frozen=True)
class Cell:
    """A cell of a table: what is shown, and the number to sort by where it is one."""

    text: str
    key: float | None = None


@dataclass(frozen=True)
class Row:
    """A row of the table of trials; `warm_start` says where on the predicted front it lies."""

    cells: tuple[Cell, ...]
    on_front: bool
    recommended: bool
    warm_start: str


@dataclass(frozen=True)
class FinalEvaluation:
    """The last final evaluation that ended, as texts, and how often test sets were opened."""

    opened: str
    when: str
    mean: str | None
    header: tuple[str, ...]
    rows: tuple[EvaluationRow, ...]
    lines: tuple[str, ...]


def write_page(
    record: StudyRecord,
    front: StudyFront | None = None,
    refresh: float | None = None,
    content: Content | None = None,
) -> Path:
    """Write `report.html` into the run folder, and return its path.

    Args:
        record: The study.
        front: Its front, where that is known already.
        refresh: As for `render_page`.
        content: What there is to show, where that is made already.
    """
    path = record.folder / REPORT_NAME
    write_atomically(path, render_page(record, front, refresh, content))
    return path


def render_page(
    record: StudyRecord,
    front: StudyFront | None = None,
    refresh: float | None = None,
    content: Content | None = None,
) -> str:
    """The report of a study as one HTML document that makes no request.

    Args:
        record: The study.
        front: Its front, where that is known already.
        refresh: Seconds after which an open page reads itself again, for as long as somebody
            writes it again; None for never.
        content: What there is to show, where that is made already.
    """
    environment = Environment(
        loader=PackageLoader("allocsearch", "report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    front = front or study_front(record)
    frame = trials_frame(record, front)
    content = content or content_of(record, front, frame)
    trials = listed(frame, record.config.study.parsed_objectives)
    header, rows = _rows(record, trials)
    found = settings(record)
    failures = [t for t in record.trials if t.state in ("failed", "interrupted")]
    by_number = {row.cells[0].key: row for row in rows}
    front_header, front_rows = header, [by_number[m.trial.number] for m in front.members]
    if front.spread is not None:
        front_header, front_rows = _replicated_rows(record, front)
    return environment.get_template("page.html.jinja").render(
        name=record.config.study.name,
        progress=progress_text(record),
        front_text=front_text(front),
        ended=record.finished >= record.wanted,
        refresh=refresh,
        made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        recommendation=recommendation(record, front),
        # The best in one objective is no knee.
        several=len(record.config.study.parsed_objectives) > 1,
        evaluation=final_evaluation(record),
        header=header,
        rows=rows,
        front_header=front_header,
        front_rows=front_rows,
        replicated=front.spread is not None,
        recorded_intervals=any(
            has_interval(front.members, i, objective.metric)
            for i, objective in enumerate(record.config.study.parsed_objectives)
        ),
        uncertainty=uncertainty_lines(front, record.config.study.parsed_objectives),
        panels=content.panels,
        pictures=content.pictures,
        rungs=rung_table(record),
        omitted=content.omitted,
        trials_text=listed_text(trials, frame),
        failures=failures[-MOST:],
        failures_text=latest_text(failures),
        config=record.config.to_toml(),
        environment=found,
        differences=difference_lines(found),
        trials_of=trials_text,
        steps=reproduction_steps(record, found),
        figure_json=[json.loads(panel.figure.to_json()) for panel in content.panels],
        templates={scheme: theme.template(scheme).to_plotly_json() for scheme in _SCHEMES},
        plotly_js=Markup(get_plotlyjs()) if content.panels else None,  # noqa: S704
    )


_SCHEMES: tuple[theme.Scheme, ...] = ("light", "dark")


def _replicated_rows(record: StudyRecord, front: StudyFront) -> tuple[tuple[str, ...], list[Row]]:
    """Header and rows of the front where trainings have been repeated: means and certainties."""
    objectives = record.config.study.parsed_objectives
    metrics = [objective.metric for objective in objectives]
    chosen = knee(front.members, objectives)
    labels = [column_label(metric_label(metric), True) for metric in metrics]
    header = ("trial", "allocation", "ratio", *labels, "n", "on the front", "state")
    rows = []
    for member in front.members:
        trial, count = member.trial, member.replicates.count
        ratio = trial.allocation.ratio if trial.allocation else None
        values = (value_text(member, i, metric, unit=False) for i, metric in enumerate(metrics))
        cells = (
            Cell(str(trial.number), trial.number),
            Cell(str(trial.allocation or "")),
            Cell("" if ratio is None else f"{ratio:.2f}", ratio),
            *(Cell(text, mean) for text, mean in zip(values, member.mean, strict=True)),
            Cell(str(count), count),
            Cell(probability_text(member.probability), member.probability),
            Cell(trial.state),
        )
        warm_start = f"predicted {trial.warm_start}" if trial.warm_start else ""
        rows.append(Row(cells, True, member is chosen, warm_start))
    return header, rows


def final_evaluation(record: StudyRecord) -> FinalEvaluation | None:
    """What to show of the final evaluations, or None where the test sets were never opened."""
    openings = read_openings(record.folder)
    if not openings:
        return None
    opened = opened_text(openings)
    latest = latest_evaluation(record.folder)
    if latest is None:
        none = ("None of them has ended.",)
        return FinalEvaluation(opened, openings[-1].when, None, (), (), none)
    lines = (*choice_lines(latest), *plain_lines(latest), method_text(latest))
    rows = evaluation_cells(latest)
    mean = mean_text(latest)
    return FinalEvaluation(opened, latest.opening.when, mean, HEADER, rows, lines)


def _rows(record: StudyRecord, frame: pd.DataFrame) -> tuple[tuple[str, ...], list[Row]]:
    """Header and rows of the table of trials: what tells them apart; the CSV has the rest."""
    objectives = [objective.metric for objective in record.config.study.parsed_objectives]
    told = [*objectives, "elbo", "auroc_worst", "probe_accuracy", "probe_accuracy_knn"]
    metrics = [metric for metric in dict.fromkeys(told) if metric in frame]
    # Plain dicts: a data frame's rows cost a thousand times more to walk through.
    rows = frame.to_dict("records")
    labels = [_label(metric, rows) for metric in metrics]
    header = ("trial", "allocation", "ratio", *labels, "time", "state")
    return header, [_row(values, metrics) for values in rows]


def _label(metric: str, rows: Sequence[Mapping[Any, Any]]) -> str:
    """A metric as it reads above values that have an interval in some of the rows."""
    return column_label(metric_label(metric), any(interval_text(metric, row) for row in rows))


def _row(values: Mapping[Any, Any], metrics: list[str]) -> Row:
    allocation = values["allocation"]
    cells = (
        Cell(str(values["number"]), values["number"]),
        Cell("" if pd.isna(allocation) else allocation),
        _number(values["ratio"], "" if pd.isna(allocation) else f"{values['ratio']:.2f}"),
        *(
            _number(values[m], with_interval(format_metric(m, values[m]), m, values))
            for m in metrics
        ),
        _number(values["duration_s"], format_duration(values["duration_s"])),
        Cell(values["state"]),
    )
    warm_start = "" if pd.isna(values["warm_start"]) else f"predicted {values['warm_start']}"
    return Row(cells, values["on_front"], values["recommended"], warm_start)


def _number(value: float, text: str) -> Cell:
    return Cell(text, None if pd.isna(value) else float(value))

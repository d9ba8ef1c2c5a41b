"""What Optuna's dashboard reads as plots and notes, made from a study and stored nowhere."""

from __future__ import annotations

from collections.abc import Iterator

from allocsearch.report.figures import theme
from allocsearch.report.front import StudyFront, study_front
from allocsearch.report.labels import metric_name, with_unit
from allocsearch.report.panels.trial_panels import trial_panels
from allocsearch.search.records import StudyRecord, TrialRecord

# Characters of all plots together: they are sent again and again.
_MOST_PLOTS = 1_000_000
# The dashboard looks at all attributes for each trial.
_MOST_LOOKS, _LEAST_NOTES = 200_000, 20


def attributes(record: StudyRecord, ids: dict[int, int]) -> dict[str, str | int]:
    """Attributes of the study, by the keys of optuna-dashboard.

    They are those of its `save_plotly_graph_object` and `save_note`. Notes have version 0, so that
    one of a user takes the place of ours.

    Args:
        record: The study.
        ids: The ids of its trials in the storage, by their numbers.
    """
    front = study_front(record)
    return {**dict(_plots(record, front)), **dict(_notes(record, front, ids))}


def _plots(record: StudyRecord, front: StudyFront) -> Iterator[tuple[str, str]]:
    """The figures of the report that need no files, the first ones first, while there is room."""
    room = _MOST_PLOTS
    for panel in trial_panels(record, front)[0]:
        figure = panel.figure
        # Over the legend; the buttons of the dashboard are on the right.
        title = {"text": panel.title, "x": 0, "xref": "paper", "y": 0.97, "yref": "container"}
        # It does not tell its own colours to the plots of others, and may be dark.
        figure.update_layout(title=title, margin={"t": 112}, paper_bgcolor=theme.PAPER)
        text = figure.to_json()
        room -= len(text)
        if room < 0:
            return
        yield f"dashboard:plot_data:{panel.name}:0", text


def _notes(
    record: StudyRecord, front: StudyFront, ids: dict[int, int]
) -> Iterator[tuple[str, str | int]]:
    """A note for each trial that has ended; of very many, for the front and the latest."""
    members = {member.trial.number for member in front.members}
    ended = [trial for trial in record.trials if trial.finished]
    ended.sort(key=lambda trial: (trial.number in members, trial.number), reverse=True)
    most = max(_LEAST_NOTES, _MOST_LOOKS // max(1, len(record.trials)))
    for trial in ended[:most]:
        if trial.number in ids:
            key = ids[trial.number]
            yield f"dashboard:{key}:note_ver", 0
            yield (
                f"dashboard:{key}:note_str:0",
                note(record, trial, on_front=trial.number in members),
            )


def note(record: StudyRecord, trial: TrialRecord, *, on_front: bool) -> str:
    """What is said of a trial, in Markdown.

    Args:
        record: The study.
        trial: One of its trials.
        on_front: Whether it is the member of the front that stands for its allocation.
    """
    allocation = trial.allocation
    head = "no allocation" if allocation is None else f"`{allocation}`"
    ratio = "" if allocation is None else f", ratio {allocation.ratio:.2f}"
    lines = [f"**{head}**{ratio}{', on the front' if on_front else ''}"]
    objectives = {o.metric for o in record.config.study.parsed_objectives}
    lines += [
        f"- {_plain(metric_name(name))}: {with_unit(name, trial.metrics[name])}"
        for name in sorted(objectives & trial.metrics.keys())
    ]
    if trial.score:
        lines.append(f"- OOD score: {_plain(trial.score)}")
    if trial.reason:
        lines.append(f"- {trial.state}: {_plain(' '.join(trial.reason.split()))}")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Text that Markdown takes as it is: names and reasons come from anybody."""
    return "".join(f"\\{mark}" if mark in "\\`*_{}[]<>()#+!|~&" else mark for mark in text)

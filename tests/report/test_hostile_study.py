"""A database that anybody may have edited: shown as text, or refused in a line."""

from __future__ import annotations

import io
import json
import re
import shutil
import sqlite3
from html.parser import HTMLParser

import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState, create_trial
from rich.console import Console

from allocsearch.config import StudyConfig
from allocsearch.report.page import render_page
from allocsearch.report.terminal.live import live_view
from allocsearch.report.terminal.summary import summary
from allocsearch.search import records
from allocsearch.search.records import read_run
from allocsearch.search.storage import CONFIG_NAME, DATABASE_NAME, open_study, write_atomically

MARKUP = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><svg/onload=alert(1)>",
    "'-alert(1)-'",
    "<!--<script>",
    "<a href='javascript:alert(1)'>x</a>",
    "{{7*7}}{%x%}",
    "[bold][/red][link=http://evil]",
    "%{x}<b>b</b>&lt;i&gt;",
)
CONTROL = ("a\0b", "\x1b[2J\x1b]0;title\x07", "\u202eevil", "\x9b31m", "\r\n\v\f\x85", "\ud800")
PATHS = ("../../x", "/etc/passwd", "..\\..\\x", "a/../../../b")
# What plotly's pseudo-HTML is allowed to be: the figures' own.
_OWN_TAGS = re.compile(r"</?(b|br|extra)>")


class _Page(HTMLParser):
    """The tags with their attributes, the scripts, and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self._inside: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        while self._inside.pop() != tag:
            pass

    def handle_data(self, data):
        if self._inside and self._inside[-1] == "script":
            self.scripts[-1] += data
        else:
            self.text += data


def hostile_names(text: str) -> list[str]:
    """Metric names with the text in them: neither spaces nor control characters are taken."""
    return ["".join(c for c in text[:150] if c.isprintable() and not c.isspace())]


def write_study(folder, metric="loss", **attributes):
    """A run folder of five trials with the attributes; one has failed, one is running."""
    config = StudyConfig.model_validate(
        {
            "study": {"name": "given", "objectives": [f"min:{metric}", "max:auroc"], "trials": 5},
            "search_space": {"budget": 12, "layers": 2},
            "data": {"id": "digits", "ood_validation": ["inversion", "rotation"]},
            "trainer": {"kind": "callable", "function": "training:train"},
        }
    )
    folder.mkdir(parents=True)
    write_atomically(folder / CONFIG_NAME, config.to_toml())
    study = open_study(config, folder, create=True)
    # Such texts can be written by a client of the database alone.
    add = {
        "user_attrs": attributes,
        "params": {"x": "../../x"},
        "distributions": {"x": CategoricalDistribution(["../../x", MARKUP[0]])},
    }
    for i, d in enumerate((3, 6, 9)):
        own = {
            records.ALLOCATION: f"{d}-{12 - d}",
            records.SEED: i,
            records.METRICS: {metric: 1.0 + i, "auroc": 0.5 + i / 10, "information_1": 1.0},
        }
        merged = {**add, "user_attrs": {**own, **attributes}}
        study.add_trial(create_trial(values=[1.0 + i, 0.5 + i / 10], **merged))
    study.add_trial(create_trial(state=TrialState.FAIL, **add))
    study.add_trial(create_trial(state=TrialState.RUNNING, **add))
    return folder


def check_terminal(ended, code=0):
    assert ended.code == code, ended
    for line in (ended.out + ended.err).split("\n"):
        assert line.isprintable()


def check_page(page: str, harmless: str) -> _Page:
    """No tag, handler or script but those of a page of a study with harmless texts."""
    found, known = _Page(page), _Page(harmless)
    assert {tag for tag, _ in found.tags} <= {tag for tag, _ in known.tags}
    attributes = {name for _, values in found.tags for name in values}
    assert attributes <= {name for _, values in known.tags for name in values}
    assert not any(name.startswith("on") for name in attributes)
    addresses = [v for _, values in found.tags for k, v in values.items() if k in ("href", "src")]
    assert all(address == "data:," or address.startswith("#") for address in addresses)
    assert len(found.scripts) == len(known.scripts)
    for script, own in zip(found.scripts, known.scripts, strict=True):
        if not own.lstrip().startswith(("{", "[")):
            assert script == own
            continue
        for text in _strings(json.loads(script)):
            assert "<" not in _OWN_TAGS.sub("", text), text
    return found


def _strings(node):
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _strings(child)


def change(folder, statement):
    """Change the database as any program can."""
    with sqlite3.connect(folder / DATABASE_NAME) as database:
        database.execute(statement)
    database.close()


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def made(folder):
    """What the commands may make, in the run folder alone."""
    names = ("report.html", "trials.csv", "front.csv", CONFIG_NAME, DATABASE_NAME)
    return {f"runs/given/{name}" for name in names}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_study(
        tmp_path_factory.mktemp("whole") / "runs" / "given", score="kl_1", reason="why"
    )


EVERYWHERE = "".join((*MARKUP, *CONTROL, *PATHS))


def test_texts_everywhere_are_shown_as_texts(tmp_path, main_here, whole):
    text = EVERYWHERE
    folder = write_study(
        tmp_path / "home" / "runs" / "given",
        metric=hostile_names(text)[0],
        score=text,
        reason=text,
        worker=text,
        warm_start=text,
        provenance={"data": text, text: text},
        broken_invariants=[text],
        other={text: [text]},
    )
    for verb in ("status", "report", "export"):
        check_terminal(main_here(verb, folder))
    page = check_page((folder / "report.html").read_text(), render_page(read_run(whole)))
    for shown in MARKUP:
        assert shown in page.text
    allocations = {"3-9.toml", "6-6.toml", "9-3.toml"}
    made_files = files(tmp_path / "home")
    assert len(made_files) == 6
    assert made_files <= made(folder) | {f"runs/given/{name}" for name in allocations}


@pytest.mark.parametrize("text", ["[bold]", "[/red]", "[link=http://evil]x[/link]", "[@click]"])
def test_brackets_in_a_metric_are_no_markup(tmp_path, text):
    record = read_run(write_study(tmp_path / "runs" / "given", metric=text))
    for view in (summary(record), live_view(record, 1.0)):
        console = Console(file=io.StringIO(), width=300, force_terminal=True, color_system=None)
        console.print(view)
        assert text in console.file.getvalue()
        assert "http" not in console.file.getvalue().replace(text, "")


@pytest.mark.parametrize("verb", ["status", "report", "export"])
def test_the_line_is_all_that_a_command_says(tmp_path, main_here, whole, verb):
    folder = shutil.copytree(whole, tmp_path / "runs" / "given")
    change(
        folder,
        """UPDATE trial_user_attributes SET value_json = '"../../x"' WHERE key = 'allocation'""",
    )
    ended = main_here(verb, folder)
    check_terminal(ended, code=2)
    assert ended.out == ""
    assert ended.err.count("\n") == 1
    assert "attribute allocation of trial 0" in ended.err
    assert files(tmp_path) == {f"runs/given/{name}" for name in (CONFIG_NAME, DATABASE_NAME)}


STATEMENTS = {
    "a value too few": "DELETE FROM trial_values WHERE objective = 1",
    "no value": "DELETE FROM trial_values",
    "a text for a value": "UPDATE trial_values SET value = '<script>'",
    "a value that is none": "UPDATE trial_values SET value = NULL",
    "an attribute that is no JSON": "UPDATE trial_user_attributes SET value_json = '{\x1b'",
    "an attribute of no type": "UPDATE trial_user_attributes SET value_json = NULL",
    "a blob": "UPDATE trial_user_attributes SET value_json = x'ff00'",
    "a distribution that is none": "UPDATE trial_params SET distribution_json = '[]'",
    "a parameter that is none": "UPDATE trial_params SET param_value = 'x'",
    "a choice that is none": "UPDATE trial_params SET param_value = 99",
    "a state that is none": "UPDATE trials SET state = 'x'",
    "a time that is none": "UPDATE trials SET datetime_start = 'x'",
    "no time": "UPDATE trials SET datetime_start = NULL, datetime_complete = NULL",
    "a number that is none": "UPDATE trials SET number = NULL",
    "one direction": "DELETE FROM study_directions WHERE objective = 1",
    "no study": "DELETE FROM studies",
    "another name": "UPDATE studies SET study_name = '../../x'",
    "a count that is none": "INSERT INTO study_user_attributes (study_id, key, value_json) "
    "VALUES (1, 'most_trials', '\"<script>\"')",
    "a study attribute that is none": "INSERT INTO study_user_attributes "
    "(study_id, key, value_json) VALUES (1, 'most_trials', 'x')",
    "no table": "DROP TABLE trial_values",
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_an_edited_database(tmp_path, main_here, whole, name):
    folder = shutil.copytree(whole, tmp_path / "runs" / "given")
    change(folder, STATEMENTS[name])
    ended = main_here("status", folder)
    check_terminal(ended, ended.code)
    assert ended.code in (0, 2)
    if ended.code:
        assert ended.out == ""
        assert ended.err.count("\n") == 1
        assert str(folder) in ended.err
    assert files(tmp_path) == {f"runs/given/{name}" for name in (CONFIG_NAME, DATABASE_NAME)}

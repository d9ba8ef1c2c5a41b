from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from allocsearch.report.exports.pick import pick
from allocsearch.report.front import pareto_front
from allocsearch.report.page import render_page, write_page
from allocsearch.report.panels.report_panels import panels
from allocsearch.report.recommendation import recommendation
from allocsearch.search.evaluation.evaluations import (
    Detected,
    Evaluated,
    Evaluation,
    Opening,
    append_opening,
    write_evaluation,
)

_VOID = {"meta", "link", "br", "hr", "img", "input"}


class _Page(HTMLParser):
    """Checks that tags are balanced, and keeps what the tests ask about."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.attributes.append((tag, values))
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "action")]
        if tag not in _VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append((values, ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            attributes, text = self.scripts[-1]
            self.scripts[-1] = attributes, text + data
        elif self.open and self.open[-1] == "style":
            assert "url(" not in data
            assert "@import" not in data
        else:
            self.text += data

    def ids(self) -> set[str | None]:
        return {values["id"] for _, values in self.attributes if "id" in values}

    def plots(self) -> list[dict[str, str | None]]:
        return [values for _, values in self.attributes if values.get("class") == "plot"]

    def figures(self) -> list[dict[str, object]]:
        texts = [text for values, text in self.scripts if values.get("id") == "figures"]
        return json.loads(texts[0])


@pytest.fixture
def page(study):
    return _Page(render_page(study))


def test_page_asks_for_nothing(page):
    # Links within the page, and an empty icon that keeps browsers from asking for one.
    assert page.addresses
    assert all(address.startswith("#") or address == "data:," for address in page.addresses)
    assert {address[1:] for address in page.addresses if address[0] == "#"} <= page.ids()
    policy = [v["content"] for tag, v in page.attributes if tag == "meta" and "http-equiv" in v]
    assert policy[0].startswith("default-src 'none'")
    assert "http" not in policy[0]
    own = [text for _, text in page.scripts if len(text) < 1_000_000]
    assert len(own) == len(page.scripts) - 1
    assert not any(re.search(r"https?://", text) for text in own)


def test_page_has_every_part(study, page):
    assert {
        "recommended",
        "front",
        "ratio",
        "splits",
        "layers",
        "cost",
        "trials",
        "failures",
    } <= page.ids()
    made, _ = panels(study)
    assert len(page.plots()) == len(page.figures()) == len(made)
    assert all(plot["role"] == "img" and plot["aria-label"] for plot in page.plots())
    knee = pick(study, "knee")
    for words in (
        "synthetic-24",
        "22 of 24 trials (2 failed, 1 interrupted, 1 running)",
        f"trial {knee.number}, ratio {knee.allocation.ratio:.2f}",
        "--pick knee --format toml",
        "worker 2 died",
        "budget = 24",
    ):
        assert words in page.text
    for trial in study.trials:
        assert str(trial.allocation) in page.text


def test_an_auroc_is_shown_with_the_interval_that_was_recorded(study, page):
    assert "95 %)" not in page.text
    knee = pick(study, "knee")
    ends = {"auroc_low": 0.125, "auroc_high": 0.875}
    known = dataclasses.replace(knee, metrics={**knee.metrics, **ends})
    trials = tuple(known if t.number == knee.number else t for t in study.trials)
    other = _Page(render_page(dataclasses.replace(study, trials=trials)))
    # The first screen, the table of the front and that of all trials.
    assert other.text.count(f"{knee.metrics['auroc']:.3f} (0.125-0.875)") == 3
    assert other.text.count("AUROC (95 %)") == 3


def test_what_failed_cannot_inject(study, page):
    assert "loss is <script>nan</script>" in page.text
    assert not any(text == "nan" for _, text in page.scripts)
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    first, *rest = study.trials
    trials = (*rest, dataclasses.replace(first, state="failed", reason=evil, metrics={}))
    other = _Page(render_page(dataclasses.replace(study, trials=trials)))
    assert evil in other.text
    assert len(other.scripts) == len(page.scripts)
    assert not any(tag == "img" for tag, _ in other.attributes)


def test_metric_names_cannot_inject(study):
    evil = "</script><b>x"
    first = study.trials[0]
    odd = dataclasses.replace(first, metrics={**first.metrics, evil: 1.0})
    section = study.config.study.model_copy(update={"objectives": (f"max:{evil}", "min:elbo")})
    config = study.config.model_copy(update={"study": section})
    trials = [dataclasses.replace(odd, values=(1.0, 2.0)), dataclasses.replace(odd, number=30)]
    trials[1] = dataclasses.replace(trials[1], values=(2.0, 3.0))
    text = render_page(dataclasses.replace(study, config=config, trials=tuple(trials)))
    assert len(_Page(text).figures()) > 0
    assert evil not in text


def test_recommendation_says_what_the_front_spans(study):
    front = pareto_front(study)
    found = recommendation(study)
    assert found.trial is pick(study, "knee")
    assert found.members == len(front)
    attenuation = found.standings[1]
    values = [trial.metrics["attenuation"] for trial in front]
    assert attenuation.best == f"{min(values):.3f}"
    assert attenuation.worst == f"{max(values):.3f}"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([[1.0, 0.5]], "only complete trial"),
        ([[1.0], [3.0]], "highest retention of 2 complete trials"),
        ([[1.0, 0.5], [3.0, 0.4]], "No other of the 2 complete trials is better"),
        ([[1.0, 0.5], [3.0, 0.6], [0.5, 0.6]], "Of the 2 trials on the front of 3 complete"),
    ],
)
def test_reason_fits_the_study(study_of, values, words):
    record = study_of(values)
    assert words in recommendation(record).reason
    assert words in _Page(render_page(record)).text


def test_study_without_trials(study):
    text = render_page(dataclasses.replace(study, trials=()))
    page = _Page(text)
    assert page.plots() == []
    assert len(text) < 100_000  # no plots, so no plotly
    assert "No trial is complete" in page.text
    assert {"front", "ratio", "splits", "layers", "trials", "failures"}.isdisjoint(page.ids())


def test_study_in_which_all_failed(study):
    failed = tuple(trial for trial in study.trials if trial.state == "failed")
    page = _Page(render_page(dataclasses.replace(study, trials=failed)))
    assert page.plots() == []
    assert "failures" in page.ids()
    assert "reasons are below" in page.text


def test_one_objective_has_no_front_plot(study_of):
    page = _Page(render_page(study_of([[1.0], [2.0], [3.0]])))
    assert "the study has one objective" in page.text
    assert "Recommended allocation" in page.text
    assert "knee of" not in page.text
    # The metric against ratio and over the splits, and over the cost by time and by trials.
    assert len(page.plots()) == 4


def test_page_is_written_into_the_run_folder(study):
    path = write_page(study)
    assert path == study.folder / "report.html"
    assert path.read_text().startswith("<!DOCTYPE html>")
    assert [file.name for file in study.folder.iterdir()] == ["report.html"]


def test_report_needs_no_torch():
    code = (
        "import sys, allocsearch.report.page; "
        "import allocsearch.report.exports.export, allocsearch.report.exports.pick; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_final_evaluation_is_shown_with_the_number_of_openings(study):
    assert 'id="evaluation"' not in render_page(study)
    opening = Opening(
        1, "2026-01-02T03:04:05+00:00", ("20-2-2",), ("20-2-2",), (1,), {"<far>": "f"}, "i"
    )
    append_opening(study.folder, opening)
    page = render_page(study)
    assert "test sets opened 1 time in this run" in page
    assert "None of them has ended." in page
    found = Detected("<far>", 0.9, None, 0.85, 0.95, 0.8, 0.7, 0.4, 0.5, 0.25)
    chosen = "chosen on validation set inversion (trial 3)"
    each = Evaluated("20-2-2", ("knee (trial 3)",), "kl_1", chosen, (1,), sets=(found,))
    write_evaluation(study.folder, Evaluation(opening, "given", ("inversion",), {}, (each,)))
    append_opening(study.folder, dataclasses.replace(opening, number=2, picked=("8-8-8",)))
    page = render_page(study)
    assert "test sets opened 2 times in this run, for different picks" in page
    assert "0.900 (0.850-0.950)" in page
    assert f"score kl_1: {chosen}" in page
    assert "&lt;far&gt;" in page
    assert "<far>" not in page

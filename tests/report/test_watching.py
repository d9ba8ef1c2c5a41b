"""A report that is watched: a real storage, which changes and goes away while it is looked at."""

from __future__ import annotations

import csv
import os
import re
import shutil
import signal
import subprocess

import pytest

from allocsearch.config import InputError, load
from allocsearch.report.page import write_page
from allocsearch.report.watching import news, watch_report
from allocsearch.search.storage import open_study

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture
def folder(tmp_path, write_study):
    """A run of three trials of a model that is not ours, none of them begun."""
    sections = {
        "study": {"name": "watched", "objectives": ["min:loss"], "trials": 3},
        "trainer": {"kind": "callable", "function": "own:train"},
    }
    config = load(write_study(tmp_path / "tiny.toml", **sections))
    made = tmp_path / "runs" / "watched"
    made.mkdir(parents=True)
    (made / "study.toml").write_text(config.to_toml())
    open_study(config, made, create=True)
    return made


def _study(folder):
    return open_study(load(folder / "study.toml"), folder)


def _begin(folder):
    trial = _study(folder).ask()
    trial.set_user_attr("allocation", "3-9")
    trial.set_user_attr("seed", 1)
    trial.set_user_attr("metrics", {"loss": 0.5})
    return trial


def _end(folder):
    _study(folder).tell(_begin(folder), 0.5)


def _waiting(*events):
    """What does one of the events in each wait, where it stands."""
    left = [*events]

    def wait(seconds):
        assert seconds == 7
        left.pop(0)()

    return wait


def _listed(folder):
    with (folder / "trials.csv").open() as file:
        return [row["state"] for row in csv.DictReader(file)]


def _reads_itself(folder):
    return re.findall(r"location\.reload\(\);\n\}, (\d+)\);", (folder / "report.html").read_text())


def test_the_report_follows_the_study_to_its_end(folder):
    told = []

    def tell(record):
        told.append((record.finished, _listed(folder), _reads_itself(folder)))

    events = (lambda: _end(folder), lambda: _begin(folder), lambda: _end(folder))
    record = watch_report(folder, 7, tell, _waiting(*events, lambda: _end(folder)))
    assert record.finished == 3
    one, running = "complete", "running"
    assert told == [
        (0, [], ["7000"]),
        (1, [one], ["7000"]),
        (1, [one, running], ["7000"]),
        (2, [one, running, one], ["7000"]),
        (3, [one, running, one, one], []),
    ]


def test_what_is_no_news_is_not_written_again(folder):
    trial = _begin(folder)
    events = (
        lambda: trial.set_user_attr("progress", {"epoch": 1, "epochs": 9, "elbo": -1.0}),
        lambda: None,
        lambda: [_end(folder) for _ in range(3)],
    )
    assert [record.finished for record in news(folder, 7, _waiting(*events))] == [0, 3]


def test_a_storage_that_is_away_is_looked_at_again(folder, caplog):
    database, aside = folder / "study.db", folder / "aside"

    def away():
        database.rename(aside)

    def back():
        aside.rename(database)
        _end(folder)

    def damaged():
        shutil.copy(database, aside)
        database.write_bytes(b"no database at all" * 100)

    def mended():
        aside.rename(database)
        for _ in range(2):
            _end(folder)

    events = (away, lambda: None, back, damaged, lambda: None, mended)
    assert [r.finished for r in news(folder, 7, _waiting(*events))] == [0, 1, 3]
    messages = [record.getMessage() for record in caplog.records if "watching" in record.name]
    assert [text.partition(";")[2] for text in messages[::2]] == [" looking again every 7 s"] * 2
    assert messages[1::2] == ["the storage is back"] * 2


def test_a_run_folder_that_is_removed_ends_it_and_stays_away(folder):
    with pytest.raises(InputError, match="not a run folder"):
        watch_report(folder, 7, lambda record: None, _waiting(lambda: shutil.rmtree(folder)))
    assert not folder.exists()


def test_ctrl_c_leaves_a_page_that_reads_itself_no_more(folder, main_here, monkeypatch):
    _end(folder)
    seen = []

    def interrupted(seconds):
        seen.append((seconds, _reads_itself(folder)))
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(watch_report, "__defaults__", (interrupted,))
    ended = main_here("report", folder, "--watch", "--every", "2.5")
    assert (ended.code, ended.out) == (130, f"{folder / 'report.html'}: 1 of 3 trials\n")
    assert ended.err == "The report stands as it is; the same command goes on.\n"
    assert seen == [(2.5, ["2500"])]
    assert _reads_itself(folder) == []
    assert _listed(folder) == ["complete"]


def test_a_study_that_has_ended_is_not_waited_for(folder, main_here):
    for _ in range(3):
        _end(folder)
    ended = main_here("report", folder, "--watch")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"{folder / 'report.html'}: 3 of 3 trials\n"
    assert main_here("report", folder, "--every", "5").err == "--every: allowed with --watch\n"


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (apt-get install chromium)")
def test_the_open_page_reads_itself_and_stays_where_it_was(study, tmp_path):
    page = write_page(study, refresh=1)
    # The first time it is read it is scrolled, and a table opened.
    probe = """<script>
if (!sessionStorage.getItem("probe")) {
  sessionStorage.setItem("probe", "1");
  scrollTo(0, 700);
  document.querySelectorAll("details")[1].open = true;
} else {
  // Virtual time has no end while pages go on reading themselves.
  for (let i = 0; i < 10000; i++) clearInterval(i);
  const open = [...document.querySelectorAll("details")].map(details => details.open);
  const count = open.filter(Boolean).length;
  document.title = `again at ${scrollY} with ${open.indexOf(true)} of ${count}`;
}
</script></body>"""
    page.write_text(page.read_text().replace("</body>", probe))
    done = subprocess.run(
        [
            str(CHROMIUM),
            *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
            *("--disable-background-networking", "--disable-component-update"),
            f"--user-data-dir={tmp_path / 'profile'}",
            *("--virtual-time-budget=4000", "--dump-dom", page.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, "HOME": str(tmp_path / "profile")},
    )
    assert "<title>again at 700 with 1 of 1</title>" in done.stdout

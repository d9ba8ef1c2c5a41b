"""What `run` shows in real terminals, and where there is none."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

COMMAND = Path(sys.executable).with_name("allocsearch")
TMUX = shutil.which("tmux")
pytestmark = pytest.mark.skipif(TMUX is None, reason="needs tmux (apt-get install tmux)")

# The second training is held until it has been seen.
TRAINER = """
import pathlib, time

def train(allocation, config, seed, report):
    report(0.5, elbo=-31.25)
    count = len(list(pathlib.Path().glob("trained-*")))
    while count == 1 and not pathlib.Path("seen").exists():
        time.sleep(0.01)
    pathlib.Path(f"trained-{seed}").touch()
    bottom = allocation.dims[0] / allocation.budget
    auroc = 0.5 + bottom / 3
    ends = {"auroc_low": auroc - 0.03, "auroc_high": auroc + 0.02}
    return {"retention": 9 * bottom, "attenuation": bottom, "auroc": auroc, **ends}
"""
COLOR = re.compile(rb"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9\d|10[0-7])[;m]")


class Shown(NamedTuple):
    """What was on the screen while the study ran and when it had ended, and all that was sent."""

    live: str
    end: str
    sent: bytes

    def words(self) -> set[str]:
        return {word.strip(",") for word in self.end.split()}


def study(home: Path, write_study) -> list[str]:
    home.mkdir()
    (home / "own.py").write_text(TRAINER)
    write_study(
        home / "quick.toml",
        study={"name": "quick", "sampler": "random"},
        search_space={"budget": 96, "layers": 3},
        trainer={"kind": "callable", "function": "own:train"},
    )
    return [str(COMMAND), "run", "quick.toml"]


@pytest.fixture(scope="module")
def run_in(tmp_path_factory, write_study):
    """Run the study in a terminal of a server of its own."""
    home = tmp_path_factory.mktemp("terminals")
    # Paths of sockets are short.
    server = [TMUX, "-u", "-L", f"allocsearch-{os.getpid()}", "-f", os.devnull]
    # A width that the tests' own terminal has would count for more than that of these.
    ours = ("NO_COLOR", "TMUX", "COLUMNS", "LINES")
    plain = {key: text for key, text in os.environ.items() if key not in ours}
    plain |= {"LC_ALL": "C.UTF-8", "TERM": "xterm-256color", "OMP_NUM_THREADS": "1"}

    def tmux(*arguments):
        done = subprocess.run(
            [*server, *arguments], capture_output=True, env=plain, check=True, timeout=60
        )
        return done.stdout.decode()

    def run(name, width, wait_for, **environment):
        place, sent = home / name, home / f"{name}.sent"
        command = study(place, write_study)
        given = {"PYTHONPATH": f"{place}:{os.environ.get('PYTHONPATH', '')}", **environment}
        words = ["env", *(f"{key}={text}" for key, text in given.items()), *command]
        # All that is sent is kept, from the first byte on.
        waiting = ["sh", "-c", 'read line; exec "$@"', "sh", *words]
        size = ("-x", str(width), "-y", "60", "-c", str(place))
        tmux("new-session", "-d", "-s", name, *size, *waiting, ";", "set", "remain-on-exit", "on")
        tmux("pipe-pane", "-t", name, f"exec cat > '{sent}'")
        tmux("send-keys", "-t", name, "Enter")
        screen = ("capture-pane", "-p", "-S", "-", "-t", name)
        dead = ("display-message", "-p", "-t", name, "#{pane_dead} #{pane_dead_status}")
        # The second training is not told of in a dumb terminal before its end.
        shown = rb"1 of 3 " if environment.get("TERM") == "dumb" else rb"1 of 3 .*50%"
        wait_for(lambda: sent.exists() and re.search(shown, sent.read_bytes(), re.DOTALL))
        live = tmux(*screen)
        (place / "seen").touch()
        wait_for(lambda: b"Report:" in sent.read_bytes())
        wait_for(lambda: tmux(*dead).startswith("1"))
        assert tmux(*dead).split() == ["1", "0"], tmux(*screen)
        end = tmux(*screen).partition("Pane is dead")[0]
        return Shown(live.strip("\n"), end.strip("\n"), sent.read_bytes())

    yield run
    subprocess.run([*server, "kill-server"], capture_output=True, check=False)


@pytest.fixture(scope="module")
def shown():
    """What the terminals have shown that an earlier test has asked for."""
    return {}


@pytest.fixture
def narrow(run_in, shown, wait_for):
    """60 columns, in a locale without UTF-8."""
    if "narrow" not in shown:
        shown["narrow"] = run_in("narrow", 60, wait_for, LC_ALL="C")
    return shown["narrow"]


@pytest.fixture
def wide(run_in, shown, wait_for):
    """200 columns, without colour."""
    if "wide" not in shown:
        shown["wide"] = run_in("wide", 200, wait_for, NO_COLOR="1")
    return shown["wide"]


def test_a_wide_terminal(wide):
    head, running, *front = wide.live.splitlines()
    assert re.fullmatch(
        r"quick ━+╸?━* +1 of 3 trials \(1 running, 1 waiting\)  .* left", head.strip()
    )
    assert re.fullmatch(r"trial 1 +\d+-\d+-\d+ +50% +ELBO -31.25 nats", running.strip())
    assert front[0] == "front: 1 of 1 allocation"
    lines = wide.end.splitlines()
    # The live view has gone.
    assert re.fullmatch(
        r"quick  3 of 3 trials  .*  1 worker  front: \d of 3 allocations", lines[0]
    )
    assert lines[1].split()[:4] == ["allocation", "ratio", "retention", "attenuation"]
    assert "Export:  allocsearch export runs/quick --pick knee --format toml" in lines


def test_a_narrow_terminal_breaks_no_word(narrow, wide):
    counts = "1 of 3 trials (1 running, 1 waiting)"
    assert counts in [line.strip() for line in narrow.live.splitlines()]
    assert max(map(len, narrow.end.splitlines())) <= 60
    # Times differ.
    new = {word for word in narrow.words() - wide.words() if not re.fullmatch(r"[\d.]+", word)}
    assert new == {"\\"}
    command = "allocsearch export runs/quick \\\n    --pick knee --format toml\n"
    assert command in narrow.end or command.replace(" \\\n    ", " ") in narrow.end


def test_a_locale_without_utf_8(narrow, wide):
    assert narrow.live.isascii()
    assert narrow.sent.isascii()
    assert re.search(r"^quick -+ -+$", narrow.live, re.MULTILINE)
    assert not wide.live.isascii()


def test_no_colour(narrow, wide):
    assert COLOR.search(narrow.sent)
    assert not COLOR.search(wide.sent)


def test_a_dumb_terminal(run_in, wait_for):
    shown = run_in("dumb", 60, wait_for, TERM="dumb")
    assert b"\x1b" not in shown.sent
    lines = shown.end.splitlines()
    # Only between words, at 60 columns and not at 80.
    assert re.search(r"^1 of 3  trial 0  .{,50}\n\w.* s$", shown.end, re.MULTILINE)
    assert "Recommended (knee)" in shown.end
    told = [line for line in lines if re.match(r"\d of 3  trial \d  \d", line)]
    assert [line[0] for line in told] == ["1", "2", "3"]
    assert "quick: 0 of 3 trials" in lines
    assert lines.index(told[-1]) < lines.index("Report:  runs/quick/report.html")


def test_a_file(finished_run):
    """Nothing but text, and no line is broken."""
    text = finished_run.ended.out
    assert all(character.isprintable() or character == "\n" for character in text)
    lines = text.splitlines()
    assert lines[0] == "quickstart: 0 of 3 trials"
    assert [line[:6] for line in lines[1:4]] == ["1 of 3", "2 of 3", "3 of 3"]
    assert lines[5].split()[:4] == ["allocation", "ratio", "retention", "attenuation"]
    assert "Export:  allocsearch export runs/quickstart --pick knee --format toml" in lines
    # It has been told of a terminal of 100 columns, and is none.
    assert max(map(len, lines)) > 100

"""An interruption that a library swallows or turns into another error still ends the command."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import pytest

from allocsearch.search import run

INTERRUPTED = "Interrupted; what had finished is kept. The same command goes on.\n"


def swallowed(number):
    with suppress(KeyboardInterrupt):
        os.kill(os.getpid(), number)


def turned(number):
    try:
        os.kill(os.getpid(), number)
    except KeyboardInterrupt as error:
        raise ImportError("half imported") from error


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("fate", [swallowed, turned])
def test_unheard_interruption(fate, number, main_here, write_study, tmp_path, monkeypatch):
    study = write_study(tmp_path / "tiny.toml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "prepare", lambda config, folder: fate(number))
    monkeypatch.setattr(run, "run_study", lambda *_: pytest.fail("the study began"))
    ended = main_here("run", study.name)
    assert (ended.code, ended.out, ended.err) == (130, "", INTERRUPTED)

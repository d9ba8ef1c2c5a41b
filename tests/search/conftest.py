"""Programs that tests start, and the processes that come from them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

_PATIENCE = 60.0


@pytest.fixture
def wait_for() -> Callable[[Callable[[], object]], None]:
    """Wait for a condition that comes true, however slow the machine."""

    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    return wait


@pytest.fixture
def family(tmp_path: Path, monkeypatch) -> Iterator[Callable[[], list[psutil.Process]]]:
    """The living processes that this test has started, wherever they have gone to."""
    monkeypatch.setenv("ALLOCSEARCH_TEST_FAMILY", str(tmp_path))

    def living() -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                marked = process.environ().get("ALLOCSEARCH_TEST_FAMILY") == str(tmp_path)
                if marked and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                # Gone by now, or of another user.
                continue
        return [process for process in found if process.pid != os.getpid()]

    yield living
    for process in living():
        process.kill()

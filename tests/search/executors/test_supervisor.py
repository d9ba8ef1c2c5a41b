from __future__ import annotations

import pytest

from allocsearch.config import load
from allocsearch.search.executors.supervisor import Supervisor


class Lingering:
    """A worker that never ends; the user presses Ctrl-C while it is waited for."""

    def __init__(self, interrupts):
        self._interrupts = interrupts
        self.waits = 0

    def __len__(self):
        return 1

    def wait(self, seconds):
        self.waits += 1
        self._interrupts.append(2)

    def ended(self):
        return []


@pytest.mark.parametrize("earlier", [[], [2]])
def test_a_signal_ends_the_waiting_for_workers_of_a_finished_study(tmp_path, write_study, earlier):
    config = load(write_study(tmp_path / "tiny.toml"))
    interrupts = [*earlier]
    executor = Lingering(interrupts)
    Supervisor(config, tmp_path, None, executor, interrupts).see_off()
    assert executor.waits == 1

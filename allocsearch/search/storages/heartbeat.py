"""Signs of life of those that other machines cannot see."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from allocsearch.search.storages.errors import StorageLostError

HEARTBEAT = "heartbeat"
# A worker that has missed so many heartbeats is taken for dead.
MISSED = 4
# Seconds.
_LAST_WORDS = 5.0


@contextmanager
def beating(storage: BaseStorage, trials: Collection[int], every: float) -> Iterator[None]:
    """Record a sign of life with each of the trials, again and again, until the block ends.

    Optuna's own heartbeat is one of SQL databases alone. This is an attribute that changes, in any
    storage; what it says is of no matter, so machines need not agree on the time.

    Args:
        storage: The storage.
        trials: Ids of those that this process has, as in `FrozenTrial._trial_id`; may change.
        every: Seconds between two signs.
    """
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(every):
            for trial in tuple(trials):
                try:
                    storage.set_trial_user_attr(trial, HEARTBEAT, time.monotonic_ns())
                except UpdateFinishedTrialError:
                    continue
                except StorageLostError:
                    # The worker itself will notice.
                    return

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        # It may wait for a storage that is away, and ends with the process in any case.
        thread.join(timeout=_LAST_WORDS)


class Watch:
    """Which running trials have given no sign of life for too long, as seen from this process.

    The silence between two looks counts as one missed sign at most: after an outage of the
    storage, or of this process, the others have time to be heard again.

    Args:
        every: Seconds between two signs of a trial.
        clock: Seconds since any fixed moment.
    """

    def __init__(self, every: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._every = every
        self._clock = clock
        self._looked = clock()
        # The last sign of each trial, by number, and the seconds since.
        self._silence: dict[int, tuple[object, float]] = {}

    def silent(self, running: Iterable[FrozenTrial]) -> Collection[int]:
        """The numbers of those that have missed more than `MISSED` signs.

        Args:
            running: All running trials as they stand now.
        """
        now = self._clock()
        passed, self._looked = min(now - self._looked, self._every), now
        silence = {}
        for trial in running:
            sign = trial.user_attrs.get(HEARTBEAT)
            before, seconds = self._silence.get(trial.number, (None, -passed))
            heard = trial.number in self._silence and before != sign
            silence[trial.number] = (sign, 0.0 if heard else seconds + passed)
        self._silence = silence
        return {n for n, (_, seconds) in silence.items() if seconds > MISSED * self._every}

"""A storage that outlives a lost connection, a restarted server, a full disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from allocsearch.search.storages.patience import Patience

_PATIENCE = "_allocsearch_patience"


def patience_of(storage: BaseStorage) -> Patience:
    """The patience that a storage was given."""
    found = getattr(storage, _PATIENCE, None)
    return found if isinstance(found, Patience) else Patience()


def with_retries(storage: BaseStorage, patience: Patience) -> BaseStorage:
    """The same storage; each of its calls is tried again while its error may pass.

    The answer to a call can be lost after the storage has done it. To do it again changes nothing,
    but for three calls. One that ends a trial finds it ended as it wanted: that is success. One
    that takes a waiting trial finds it running: that is False, as if another had taken it. One
    that creates a trial creates a second one, which `slots` leaves aside.

    Once patience ends, its calls raise StorageLostError.
    """
    setattr(storage, _PATIENCE, patience)
    set_state = storage.set_trial_state_values
    for name in BaseStorage.__abstractmethods__:
        setattr(storage, name, _retried(getattr(storage, name), patience))

    @wraps(set_state)
    def set_state_once(
        trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        failed = False

        def attempt() -> bool:
            nonlocal failed
            try:
                return set_state(trial_id, state, values)
            except UpdateFinishedTrialError:
                if failed and _ended_as(storage.get_trial(trial_id), state, values):
                    return True
                raise
            except Exception:
                failed = True
                raise

        return patience.call(attempt)

    setattr(storage, set_state.__name__, set_state_once)
    return storage


def _retried(call: Callable[..., Any], patience: Patience) -> Callable[..., Any]:
    @wraps(call)
    def retried(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401
        return patience.call(partial(call, *arguments, **named))

    return retried


def _ended_as(trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> bool:
    return trial.state == state and (values is None or trial.values == list(values))

"""Trying again what a storage could not do, for as long as it may come back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import SQLAlchemyError
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from allocsearch.search.storages.errors import StorageLostError, in_one_line
from allocsearch.search.storages.transient import is_transient

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """How long to wait for a storage that does not answer.

    Attributes:
        seconds: From the start of a call to its last attempt.
        give_up: Ends the attempts early, once it says so.
        secret: What must not appear in the log.
        lost: What is raised in the end.
    """

    seconds: float = 600.0
    give_up: Callable[[], bool] = lambda: False
    secret: str | None = None
    lost: type[StorageLostError] = StorageLostError

    def call(self, attempt: Callable[[], T]) -> T:
        """Call until it succeeds, fails for good, or patience ends.

        Attempts are apart by random times that grow to 5 seconds (full jitter: Brooker,
        "Exponential Backoff and Jitter", 2015).

        Raises:
            StorageLostError: For any error of the storage's driver, in place of it.
        """
        retrying = Retrying(
            retry=retry_if_exception(is_transient),
            wait=wait_random_exponential(multiplier=0.1, max=5),
            stop=self._is_over,
            before_sleep=self._tell,
            reraise=True,
        )
        try:
            return retrying(attempt)
        except Exception as error:
            internal = isinstance(error, StorageInternalError | SQLAlchemyError)
            if not internal and not is_transient(error):
                raise
            cause = in_one_line(error, self.secret)
        # Outside of the handler: a traceback has nothing of what the driver said.
        raise self.lost(cause)

    def _is_over(self, state: RetryCallState) -> bool:
        return (state.seconds_since_start or 0.0) >= self.seconds or self.give_up()

    def _tell(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if state.attempt_number == 1 and error is not None:
            cause = in_one_line(error, self.secret)
            logger.warning("%s fails (%s); trying for %g s", self.lost.what, cause, self.seconds)

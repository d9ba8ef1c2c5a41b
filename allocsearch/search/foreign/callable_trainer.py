"""The trainer that calls a function of the user."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from allocsearch.config import StudyConfig
from allocsearch.search.foreign.checked_metrics import MetricsError, checked_metrics
from allocsearch.search.foreign.function import load_function
from allocsearch.search.foreign.kept_result import kept_result
from allocsearch.search.foreign.reports import ForeignReports
from allocsearch.search.trainer import Hooks, PrunedError, Result, Task

logger = logging.getLogger(__name__)


class FunctionError(RuntimeError):
    """The function of the user raised something."""


class Report:
    """What a function tells of its training while it runs.

    Attributes:
        folder: Where files of this trial may be kept; it exists.
    """

    def __init__(self, folder: Path, reports: ForeignReports) -> None:
        self.folder = folder
        self._reports = reports
        self.raised: Exception | None = None

    def __call__(
        self, progress: float, metrics: Mapping[str, float] | None = None, **numbers: float
    ) -> None:
        """Tell how far the training is; call it often, as a study can stop only here.

        Args:
            progress: Share of the training that is done, from 0 to 1.
            metrics: The metrics as they stand, for the rungs of early stopping.
            **numbers: What else is shown while the training runs, as `elbo`.

        Raises:
            Exception: When the training is to end; let it pass.
        """
        try:
            self._reports.hooks.check()
            self._reports.take(progress, metrics, numbers)
        except Exception as error:
            # The function may swallow it, and the training has to end all the same.
            self.raised = self.raised or error
            raise


class CallableTrainer:
    """Calls `function(allocation, config, seed, report)`, which returns metrics, in this process.

    Args:
        config: The study; the function gets it as it is.
        wanted: Metrics that there have to be; None for those of the objectives.

    Raises:
        InputError: If there is no such function.
    """

    together = 1
    fingerprint = None

    def __init__(self, config: StudyConfig, wanted: Sequence[str] | None = None) -> None:
        self._config = config
        self._name = config.trainer.function or ""
        self._function = load_function(self._name)
        objectives = [objective.metric for objective in config.study.parsed_objectives]
        self._wanted = objectives if wanted is None else wanted

    def run(self, tasks: Sequence[Task], hooks: Hooks) -> Iterator[tuple[int, Result | Exception]]:
        """Call the function for one task after the other; see `Trainer`."""
        for index, task in enumerate(tasks):
            hooks.check()
            yield index, self._outcome(index, task, hooks)

    def _outcome(self, index: int, task: Task, hooks: Hooks) -> Result | Exception:
        task.folder.mkdir(parents=True, exist_ok=True)
        report = Report(task.folder, ForeignReports(index, self._wanted, hooks))
        failure: Exception | None = None
        found: object = None
        try:
            found = self._function(task.allocation, self._config, task.seed, report)
        # A study goes on whatever a function raises; `sys.exit` is meant for scripts.
        except (Exception, SystemExit) as error:
            # That the training is to stop is no mistake of the function.
            if error is not report.raised or isinstance(error, MetricsError):
                logger.exception("%s with %s", self._name, task.allocation)
            failure = FunctionError(f"{type(error).__name__}: {error}")
        if isinstance(report.raised, PrunedError | MetricsError):
            return report.raised
        if report.raised is not None:
            raise report.raised
        if failure is not None:
            return failure
        try:
            metrics = checked_metrics(found, self._wanted)
        except MetricsError as error:
            return MetricsError(f"what {self._name} returned: {error}")
        return kept_result(task, metrics, self._name)

"""The section `tracking`: which experiment trackers are told of the trials."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from allocsearch.config.section import Section
from allocsearch.config.tracking_uri import checked_tracking_uri


class TrackingSection(Section):
    """Which experiment trackers are told of the trials; of no matter for the results."""

    tensorboard: bool = False
    """Whether curves and final metrics are written for TensorBoard, into `RUN/tensorboard`."""
    mlflow: Annotated[str, AfterValidator(checked_tracking_uri)] | None = None
    """Tracking server or database that gets an MLflow run for each trial, as
    `http://localhost:5000`; without a password."""

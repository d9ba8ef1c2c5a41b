"""The schema of study files: loading, overrides, and errors that name file, field and allowed."""

from __future__ import annotations

from allocsearch.config.artifacts_url import checked_artifacts_url, split_s3
from allocsearch.config.data import (
    FILE_SOURCES,
    HELD_OUT,
    SHIFTS,
    SOURCES,
    DataSection,
    Shift,
    ShiftName,
    Source,
    SourceName,
)
from allocsearch.config.early_stopping import EarlyStoppingSection, RungSchedule
from allocsearch.config.errors import InputError, hint, mistake, printable, shown, suggestion
from allocsearch.config.evaluation import EvaluationSection
from allocsearch.config.files import read_file
from allocsearch.config.hvae_oodd import hvae_oodd_config, is_hvae_oodd
from allocsearch.config.loading import load, loads
from allocsearch.config.mistakes import first_mistake, first_problem
from allocsearch.config.model import ModelSection
from allocsearch.config.names import metric_names, score_names
from allocsearch.config.objective import Objective
from allocsearch.config.placeholders import filled
from allocsearch.config.pretraining import PretrainingSection
from allocsearch.config.ray import RaySection, checked_ray_address
from allocsearch.config.resolved import StudyConfig
from allocsearch.config.search_space import SearchSpaceSection
from allocsearch.config.section import Counts, Section
from allocsearch.config.storage_url import (
    PASSWORD_FILE_VARIABLE,
    PASSWORD_VARIABLE,
    checked_storage_url,
    split_password,
)
from allocsearch.config.study import ExecutorName, SamplerName, StudySection
from allocsearch.config.tracking import TrackingSection
from allocsearch.config.trainer import PLACEHOLDERS, TrainerSection
from allocsearch.config.training import TrainingSection
from allocsearch.config.yaml_text import format_yaml

__all__ = [
    "FILE_SOURCES",
    "HELD_OUT",
    "PASSWORD_FILE_VARIABLE",
    "PASSWORD_VARIABLE",
    "PLACEHOLDERS",
    "SHIFTS",
    "SOURCES",
    "Counts",
    "DataSection",
    "EarlyStoppingSection",
    "EvaluationSection",
    "ExecutorName",
    "InputError",
    "ModelSection",
    "Objective",
    "PretrainingSection",
    "RaySection",
    "RungSchedule",
    "SamplerName",
    "SearchSpaceSection",
    "Section",
    "Shift",
    "ShiftName",
    "Source",
    "SourceName",
    "StudyConfig",
    "StudySection",
    "TrackingSection",
    "TrainerSection",
    "TrainingSection",
    "checked_artifacts_url",
    "checked_ray_address",
    "checked_storage_url",
    "filled",
    "first_mistake",
    "first_problem",
    "format_yaml",
    "hint",
    "hvae_oodd_config",
    "is_hvae_oodd",
    "load",
    "loads",
    "metric_names",
    "mistake",
    "printable",
    "read_file",
    "score_names",
    "shown",
    "split_password",
    "split_s3",
    "suggestion",
]

"""Whether what the trackers of a study need is installed."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from allocsearch.config import InputError, TrackingSection


def check_trackers(section: TrackingSection) -> None:
    """Find out before anything is written.

    Raises:
        InputError: If a package is missing.
    """
    needed = {
        "tensorboard": ("tensorboard",) if section.tensorboard else (),
        "mlflow": ("mlflow", "optuna_integration") if section.mlflow else (),
    }
    for key, modules in needed.items():
        for module in modules:
            # One of them has no spec any more once it is imported.
            if module not in sys.modules and find_spec(module) is None:
                raise InputError(
                    f"tracking.{key}: needs {module}; pip install 'allocsearch[{key}]'"
                )

"""An exported allocation as a Python module that builds its model and trains it again."""

from __future__ import annotations

from pprint import pformat
from string import Template
from textwrap import indent
from typing import Any

from allocsearch.config import InputError, Section
from allocsearch.report.exports.export import ExportedAllocation

_MODULE = Template('''\
"""One allocation of a search: builds its model, and trains it again.

Written by `allocsearch export`. It needs the package allocsearch and the data of the study. As a
program it builds the model and shows it; `build` and `train` are there to be imported.
"""

from __future__ import annotations

from allocsearch.allocation import Allocation
from allocsearch.config import DataSection, EvaluationSection, ModelSection, TrainingSection
from allocsearch.data.splits import SearchData, load_search_data
from allocsearch.models.build import build_model
from allocsearch.models.hvae import HVAE
from allocsearch.search.objective import Outcome
from allocsearch.search.retrain import retrain

SCHEMA_VERSION = $schema_version

# Latent dims of the layers, bottom to top.
ALLOCATION = Allocation($dims)
SEED = $seed

MODEL = ModelSection.model_validate(
$model
)

DATA = DataSection.model_validate(
$data
)

TRAINING = TrainingSection.model_validate(
$training
)

EVALUATION = EvaluationSection.model_validate(
$evaluation
)

# Where it came from, and what was measured there.
PROVENANCE = $provenance

METRICS = $metrics


def build(data: SearchData) -> HVAE:
    """The model with the weights that its training begins with."""
    return build_model(ALLOCATION, data.train.shape, MODEL, SEED)


def train(data: SearchData) -> Outcome:
    """Train and measure it: `.model`, `.measurement.metrics`."""
    return retrain(ALLOCATION, SEED, data, MODEL, TRAINING, EVALUATION)


if __name__ == "__main__":
    print(build(load_search_data(DATA)))
''')


def python_text(exported: ExportedAllocation) -> str:
    """The module; every value is a literal, whatever text it holds.

    Raises:
        InputError: If the allocation is not of our own HVAE.
    """
    if exported.trainer is not None and exported.trainer.foreign:
        raise InputError(
            f"--format python: trainer.kind is {exported.trainer.kind!r}; allowed for "
            "allocsearch's own models"
        )
    return _MODULE.substitute(
        schema_version=exported.schema_version,
        dims=exported.dims,
        seed=exported.seed,
        model=_literal(exported.model),
        data=_literal(exported.own_data),
        training=_literal(exported.training),
        evaluation=_literal(exported.evaluation),
        provenance=_literal(exported.provenance).strip(),
        metrics=_pretty(exported.metrics).strip(),
    )


def _literal(section: Section) -> str:
    return _pretty(section.model_dump(mode="json", exclude_none=True))


def _pretty(content: dict[str, Any]) -> str:
    return indent(pformat(content, width=95, sort_dicts=False), "    ")

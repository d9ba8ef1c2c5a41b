"""What the Gaussian channel chain predicts for a study, as the file theory.json holds it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, TypeAdapter

from allocsearch.allocation import Allocation
from allocsearch.config import InputError, first_problem
from allocsearch.config.migration import PREDICTION, migrated_json
from allocsearch.search.storage import write_atomically
from allocsearch.theory import GaussianChain, Prediction, predict

THEORY_NAME = "theory.json"


def _canonical(text: str) -> str:
    return str(Allocation.parse(text))


@dataclass(frozen=True)
class PredictedAllocation:
    """An allocation in text form with its ratio, retention (nats) and attenuation."""

    allocation: Annotated[str, AfterValidator(_canonical)]
    ratio: float
    retention: float
    attenuation: float

    @property
    def parsed(self) -> Allocation:
        """The allocation."""
        return Allocation.parse(self.allocation)


@dataclass(frozen=True)
class LayerCountPrediction:
    """The predictions for one number of layers.

    Attributes:
        layers: L.
        size: Allocations of the search space with L layers; for a table or a ratio space those
            that were compared.
        compared: How many of them optimum and front were chosen from: all, or of a huge lattice
            the ratio family, many widths of the bottom and top layers with the rest shared
            equally, and a seeded sample.
        optimum: The largest retention * (1 - attenuation)^(1/2); its ratio is r*.
        knee: The member of the front nearest to the ideal point, both scaled to the front.
        front: Most retention, least attenuation; in falling order of retention.
        curve: The ratio family, in rising order of ratio.
    """

    layers: int
    size: int
    compared: int
    optimum: PredictedAllocation
    knee: PredictedAllocation
    front: tuple[PredictedAllocation, ...]
    curve: tuple[PredictedAllocation, ...]


@dataclass(frozen=True)
class StudyPrediction:
    """The chain of a study's data, and what follows from it.

    Attributes:
        examples: Training examples that the spectrum was computed from.
        features: Features of one example.
        total_variance: Sum of all eigenvalues of the covariance of the pixels in [0, 1].
        effective_directions: Participation ratio of the eigenvalues, k of the chain.
        directions_90: The fewest directions with 90 % of the variance.
        noise: sigma^2 of the chain.
        kappa: Share of rho^2 that a layer passes on.
        gamma: How fast a top layer of more than k dims loses what it receives.
        eigenvalues: The largest ones, as many as the budget has dims.
        layer_counts: The predictions for each number of layers.
        schema_version: Version of this format.
    """

    examples: int
    features: int
    total_variance: float
    effective_directions: float
    directions_90: int
    noise: float
    kappa: float
    gamma: float
    eigenvalues: tuple[float, ...]
    layer_counts: tuple[LayerCountPrediction, ...]
    schema_version: Literal[1] = 1

    @property
    def chain(self) -> GaussianChain:
        """The chain. No layer has more dims than it has eigenvalues."""
        return GaussianChain(
            self.eigenvalues, self.noise, self.kappa, self.effective_directions, self.gamma
        )

    def of(self, allocations: Sequence[Allocation]) -> tuple[PredictedAllocation, ...]:
        """The predictions for any allocations of the budget."""
        chain = self.chain
        return tuple(listed(predict(chain, [a.dims]), [0])[0] for a in allocations)


_ADAPTER = TypeAdapter(StudyPrediction)


def listed(prediction: Prediction, rows: Iterable[int]) -> tuple[PredictedAllocation, ...]:
    """The allocations at some rows of a prediction."""
    found = []
    for row in rows:
        allocation = Allocation(tuple(int(d) for d in prediction.dims[row]))
        retention, attenuation = prediction.retention[row], prediction.attenuation[row]
        found.append(
            PredictedAllocation(
                str(allocation), allocation.ratio, float(retention), float(attenuation)
            )
        )
    return tuple(found)


def write_prediction(prediction: StudyPrediction, folder: Path) -> Path:
    """Write `theory.json` into a folder, and return its path."""
    path = folder / THEORY_NAME
    write_atomically(path, _ADAPTER.dump_json(prediction, indent=1))
    return path


def read_prediction(folder: Path) -> StudyPrediction | None:
    """The prediction of a run folder, or None where there is none.

    Raises:
        InputError: If `theory.json` cannot be read.
    """
    path = folder / THEORY_NAME
    try:
        prediction = _ADAPTER.validate_python(migrated_json(path.read_bytes(), PREDICTION))
        # Numbers that make no chain are found here, not when they are drawn.
        _ = prediction.chain
    except FileNotFoundError:
        return None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except ValueError as error:
        message = f"{path}: {first_problem(error)}; remove the file, a run writes it anew"
        raise InputError(message) from None
    return prediction

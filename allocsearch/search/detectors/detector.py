"""The detector: a trained model that scores examples and decides whether they are OOD."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from allocsearch.config import InputError
from allocsearch.data.continuous import to_continuous
from allocsearch.data.fitting import fit
from allocsearch.data.pixels import to_values
from allocsearch.data.sequences import filled_up
from allocsearch.data.standardisation import Standardiser
from allocsearch.data.streams import Block
from allocsearch.metrics.scorer import Passes
from allocsearch.metrics.single_score import SingleScorer
from allocsearch.metrics.threshold import threshold
from allocsearch.models.likelihoods.stored import check_stored
from allocsearch.search.detectors.detector_card import DetectorCard
from allocsearch.search.detectors.detector_files import DetectorFiles, read_detector


@dataclass(frozen=True)
class Detector:
    """Scores examples, larger = more OOD, and decides which are OOD.

    The score of an example is a function of the example alone: binarisation and latents take
    noise that all examples share. It depends neither on the examples around it, nor on the order
    or the size of the batches, but for rounding (some 1e-6 of the ELBO); equal calls give equal
    bits. The score `likelihood_regret` is the exception: its noise depends on the place of the
    example in its batch.

    Attributes:
        files: What its folder holds.
    """

    files: DetectorFiles

    @classmethod
    def load(cls, folder: str | Path) -> Detector:
        """Load the detector that `allocsearch train` wrote to a folder.

        Raises:
            InputError: If a file is missing, broken, or another one than the card names.
        """
        return cls(read_detector(Path(folder)))

    @property
    def card(self) -> DetectorCard:
        """What it is, and how it did on validation data."""
        return self.files.card

    def score(self, x: NDArray[np.generic] | Tensor) -> NDArray[np.float32]:
        """The OOD score of each example, float32 `(n,)`, nats or standard deviations.

        Args:
            x: `(n, *shape)`: uint8 or floats in [0, 1] for a detector of pixels, ids as uint8
                for one of tokens, numbers in the units of the training data for one of continuous
                data. A memory-mapped array is read batch by batch.

        Raises:
            InputError: If shape, type or range are others.
        """
        values, size = _array(x, "x"), self.card.batch_size
        starts = range(0, len(values) if values.ndim else 1, size) or (0,)
        scores = []
        for start in starts:
            batch = values[start : start + size] if values.ndim else values
            scores.append(self.score_prepared(self.prepare(batch, "x")))
        return np.concatenate(scores)

    def score_batches(self, batches: Iterable[Block]) -> Iterator[NDArray[np.float32]]:
        """The scores of each batch, as `score`; one batch is in memory at a time."""
        for number, batch in enumerate(batches):
            yield self.score_prepared(self.prepare(batch, f"batch {number} of x"))

    def decide(self, x: NDArray[np.generic] | Tensor, fpr: float = 0.05) -> NDArray[np.bool_]:
        """Whether each example is OOD, `(n,)`: whether its score is above `threshold(fpr)`.

        Raises:
            InputError: As `score` and `threshold`.
        """
        least = self.threshold(fpr)
        return self.score(x) > least

    def threshold(self, fpr: float = 0.05) -> float:
        """The threshold that a further ID example exceeds with probability `fpr` at most.

        It is an order statistic of the scores of the ID validation examples.

        Raises:
            InputError: If `fpr` is not between 1 / (n + 1) and 1, for n validation examples.
        """
        try:
            return threshold(self.files.validation_scores, fpr)
        except ValueError:
            n = len(self.files.validation_scores)
            raise InputError(
                f"fpr: found {fpr}; allowed: from {1 / (n + 1):.2g} to below 1, as {n} ID "
                f"validation examples can promise"
            ) from None

    def prepare(self, x: Block, origin: str, *, resize: bool = False) -> Tensor:
        """Stored values of examples as the model was trained on them, `(n, *shape)`.

        Args:
            x: As for `score`, or a list of images, `(H, W)` or `(3, H, W)`, or of sequences of
                tokens of any length, `(length,)`: they are cropped at the end, or filled up with
                pads.
            origin: What errors name.
            resize: Whether images of other size or colours are converted.

        Raises:
            InputError: If shape, type or range are others than the detector is for.
        """
        if not isinstance(x, np.ndarray | Tensor):
            examples = (self._filled_up(np.asarray(each)) for each in x)
            parts = [self._checked(each[None], origin, resize=resize) for each in examples]
            return torch.cat(parts)
        return self._checked(_array(x, origin), origin, resize=resize)

    def _filled_up(self, tokens: NDArray[np.generic]) -> NDArray[np.generic]:
        """A sequence of tokens in the detector's length; anything else as it is."""
        pad, shape = self.card.model.pad, self.card.shape
        if pad is None or not tokens.ndim == len(shape) == 1:
            return tokens
        return filled_up(tokens, shape[0], pad)

    def _checked(self, values: NDArray[np.generic], origin: str, *, resize: bool) -> Tensor:
        card = self.card
        if values.shape == (0, *card.shape):
            return torch.empty(values.shape, dtype=getattr(torch, card.dtype))
        if card.model.one_hot and values.dtype.kind == "f":
            raise InputError(
                f"{origin}: found values of type {values.dtype}; the detector takes "
                f"{self._expected}"
            )
        convert = to_values if card.dtype == "uint8" else to_continuous
        try:
            tensor = convert(values, origin)
        except InputError as error:
            raise InputError(f"{error}; the detector takes {self._expected}") from None
        if resize:
            tensor = fit(tensor, card.shape, origin)
        if tensor.shape[1:] != card.shape:
            images = min(tensor.dim() - 1, len(card.shape)) > 1
            more = " (--resize, or prepare(..., resize=True), converts images)" if images else ""
            raise InputError(
                f"{origin}: found examples of shape {values.shape[1:]}; the detector takes "
                f"{self._expected}{more}"
            )
        check_stored(tensor, card.model, origin)
        return tensor if self._standardiser is None else self._standardiser(tensor)

    @property
    def _expected(self) -> str:
        sizes = ", ".join(map(str, self.card.shape))
        kinds = {"uint8": "uint8, or floats in [0, 1],", "float32": "finite numbers"}
        tokens = self.card.model.one_hot
        kind = "ids of tokens, uint8," if tokens else kinds[self.card.dtype]
        return f"{kind} of shape (n, {sizes})"

    def score_prepared(self, values: Tensor, batch_size: int | None = None) -> NDArray[np.float32]:
        """The scores of what `prepare` gave, float32 `(n,)`, in passes of `batch_size`.

        Raises:
            InputError: If a score is NaN or infinite.
        """
        scores = self._scorer.score(values, batch_size)
        if not scores.isfinite().all():
            row = int(scores.isfinite().int().argmin())
            raise InputError(
                f"{self.card.score} is {float(scores[row])} for the example at place {row} of a "
                f"batch; allowed: examples for which it is finite"
            )
        found: NDArray[np.float32] = scores.numpy()
        return found

    @cached_property
    def _scorer(self) -> SingleScorer:
        card = self.card
        passes = Passes(card.samples, card.batch_size, card.seed, card.regret_steps)
        return SingleScorer(self.files.model, self.files.reference, passes, card.score)

    @cached_property
    def _standardiser(self) -> Standardiser | None:
        found = self.card.standardisation
        if found is None:
            return None
        mean, scale = (torch.tensor(v, dtype=torch.float64) for v in (found.mean, found.scale))
        return Standardiser(mean, scale)


def _array(x: object, origin: str) -> NDArray[np.generic]:
    if isinstance(x, Tensor):
        x = x.detach().cpu().numpy()
    if not isinstance(x, np.ndarray):
        raise InputError(f"{origin}: found {type(x).__name__}; allowed: a NumPy array or a tensor")
    return x

"""One OOD score of a trained model, computed by no more passes than it needs."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from allocsearch.metrics.complexity import complexity
from allocsearch.metrics.evidence import Evidence, evidence_of_inputs
from allocsearch.metrics.fixed_noise import FixedNoise
from allocsearch.metrics.reference import Reference
from allocsearch.metrics.regret import likelihood_regret
from allocsearch.metrics.scorer import REFERENCE_MOST, Passes
from allocsearch.metrics.scores import Score, cheap_scores
from allocsearch.models.hvae import HVAE


@dataclass(frozen=True)
class SingleScorer:
    """Computes one OOD score with noise that all examples share.

    Attributes:
        model: A trained model, in eval mode.
        reference: Of its ID training examples.
        passes: How; `batch_size` is the default.
        name: The score.
    """

    model: HVAE
    reference: Reference
    passes: Passes
    name: str

    @classmethod
    def fit(
        cls,
        model: HVAE,
        train: Tensor,
        passes: Passes,
        name: str,
        on_batch: Callable[[], None] = lambda: None,
    ) -> SingleScorer:
        """A scorer whose reference are ID training examples, at most 5,000, with the same noise.

        Args:
            model: A trained model, in eval mode.
            train: ID training examples, `(n, *shape)`; nothing else is learnt from.
            passes: How.
            name: The score.
            on_batch: Called before every pass; what it raises ends the work.

        Raises:
            NotFiniteError: If the model gives NaN or infinity for a training example.
        """
        noise = FixedNoise.draw(model, passes.samples, passes.seed)
        parts = []
        for batch in torch.split(train[:REFERENCE_MOST], passes.batch_size):
            on_batch()
            parts.append(_evidence(model, batch, noise))
        return cls(model, Reference.fit(Evidence.joined(parts)), passes, name)

    def score(self, values: Tensor, batch_size: int | None = None) -> Tensor:
        """The score of examples; larger is more OOD.

        That of an example depends on nothing else, but for rounding, which depends on the size of
        the batches. `likelihood_regret` is the exception: its noise depends on the place of the
        example in its batch.

        Args:
            values: Stored examples, `(n, *shape)`.
            batch_size: Examples in one pass.

        Returns:
            Nats or standard deviations, float32 `(n,)`.
        """
        how, size = self.passes, batch_size or self.passes.batch_size
        if not len(values):
            return torch.empty(0)
        return torch.cat([self._of_batch(batch, how) for batch in torch.split(values, size)])

    def _of_batch(self, batch: Tensor, how: Passes) -> Tensor:
        if self._score is None:
            steps, samples = how.regret_steps, how.samples
            return likelihood_regret(self.model, batch, steps, samples, len(batch), how.seed)
        evidence = _evidence(
            self.model,
            batch,
            self._noise,
            self._score.passes,
            compressed=self._score.compressed,
        )
        with torch.inference_mode():
            return self._score.compute(evidence, self.reference).float()

    @cached_property
    def _score(self) -> Score | None:
        """None for the likelihood regret, which is not made of evidence."""
        layers = self.model.allocation.layers
        if self.name == "likelihood_regret" and self.passes.regret_steps:
            return None
        return cheap_scores(layers, compressed=True)[self.name]

    @cached_property
    def _noise(self) -> FixedNoise:
        return FixedNoise.draw(self.model, self.passes.samples, self.passes.seed)


def _evidence(
    model: HVAE,
    values: Tensor,
    noise: FixedNoise,
    passes: Collection[int] | None = None,
    *,
    compressed: bool = False,
) -> Evidence:
    with torch.inference_mode():
        x = noise.inputs(model, values)
        lengths = complexity(values) if compressed else torch.empty(len(x), 0)
        return evidence_of_inputs(model, x, noise.of_batch(len(x)), lengths, passes)

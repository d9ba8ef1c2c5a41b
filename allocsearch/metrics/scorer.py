"""A trained model with what its OOD scores need besides it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from allocsearch.metrics.evidence import Evidence, collect_evidence
from allocsearch.metrics.reference import Reference
from allocsearch.metrics.regret import likelihood_regret
from allocsearch.metrics.scores import score_all
from allocsearch.models.hvae import HVAE

# Training examples behind the reference; more change it by less than a standard error.
REFERENCE_MOST = 5_000


@dataclass(frozen=True)
class Passes:
    """How examples are passed through a model.

    Attributes:
        samples: Draws of the latents for each example.
        batch_size: Examples in one pass.
        seed: Seed of binarisation and latents; equal seeds give equal scores.
        regret_steps: Steps of the fit behind the likelihood regret; 0 leaves that score out.
    """

    samples: int
    batch_size: int
    seed: int
    regret_steps: int = 0


@dataclass(frozen=True)
class Scorer:
    """Computes OOD scores.

    Attributes:
        model: A trained model, in eval mode.
        reference: Of its ID training examples.
        passes: How.
    """

    model: HVAE
    reference: Reference
    passes: Passes

    @classmethod
    def fit(
        cls,
        model: HVAE,
        train: Tensor,
        passes: Passes,
        on_batch: Callable[[], None] = lambda: None,
    ) -> Scorer:
        """A scorer whose reference are ID training examples, at most 5,000 of them.

        Args:
            model: A trained model, in eval mode.
            train: ID training examples, `(n, *shape)`; nothing else is learnt from.
            passes: How.
            on_batch: Called before every pass; what it raises ends the work.

        Raises:
            NotFiniteError: If the model gives NaN or infinity for a training example.
        """
        how = (passes.samples, passes.batch_size, passes.seed, on_batch)
        evidence = collect_evidence(model, train[:REFERENCE_MOST], *how, compressed=False)
        return cls(model, Reference.fit(evidence), passes)

    def score(
        self,
        values: Tensor,
        on_batch: Callable[[], None] = lambda: None,
        evidence: Evidence | None = None,
    ) -> dict[str, Tensor]:
        """Every score of examples by name, each `(n,)`; larger is more OOD.

        Args:
            values: Stored examples, `(n, *shape)`.
            on_batch: Called before every pass; what it raises ends the work.
            evidence: Of the same examples and passes, where it is known already.
        """
        how = self.passes
        passes = (how.samples, how.batch_size, how.seed, on_batch)
        known = evidence or collect_evidence(self.model, values, *passes)
        scores = score_all(known, self.reference)
        if how.regret_steps:
            scores["likelihood_regret"] = likelihood_regret(
                self.model, values, how.regret_steps, *passes
            )
        return scores

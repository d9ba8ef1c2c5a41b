"""The section `training`: how long and how one model is trained."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from allocsearch.config.errors import mistake
from allocsearch.config.pretraining import PretrainingSection
from allocsearch.config.section import Count, Section, Share, Size


class TrainingSection(Section):
    """One training. Shares are of its whole length."""

    epochs: Count = 20
    """Passes over the ID training examples."""
    batch_size: Size = 128
    """Examples in one step."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Of Adam."""
    kl: Literal["sampled", "analytic"] = "sampled"
    """Whether KL terms are drawn or in closed form."""
    kl_warmup: Share = 0.25
    """Share of the training over which the KL terms get their full weight."""
    free_nats: Annotated[float, Field(ge=0)] = 2.0
    """Nats of KL divergence that each latent dim has for free, in the batch mean."""
    free_nats_hold: Share = 0.42
    """Share of the training after which they are taken away."""
    free_nats_end: Share = 0.83
    """Share by which they are gone."""
    gradient_clip: Annotated[float, Field(gt=0)] = 200.0
    """Largest norm of the gradient."""
    threads: Count = 1
    """Of one worker."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes a GPU where there is one."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of products; `auto` is bfloat16 on a GPU and float32 on a CPU."""
    compile: bool | Literal["auto"] = "auto"
    """Whether torch compiles the step; `auto` does so only for long trainings alone on a GPU."""
    population: Count | Literal["auto"] = 1
    """Allocations trained in one pass; `auto` is as many as fit into a GPU, and 1 on a CPU."""
    batch_seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    """Of batches that all trainings share; without it each has its own."""
    common_noise: bool = False
    """Whether trainings with `batch_seed` share the noise of their latents, too."""

    pretrain: PretrainingSection | None = None
    """Contrastive pretraining of the encoder; without the section there is none."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.population != 1 and self.batch_seed is None:
            # Candidates that are trained together share their batches; a resolved study says so.
            object.__setattr__(self, "batch_seed", 0)
        if self.common_noise and self.batch_seed is None:
            raise mistake("common_noise", "found true; allowed only with training.batch_seed")
        if self.compile is True and self.population != 1:
            message = f"found true; allowed only with population 1, and it is {self.population!r}"
            raise mistake("compile", message)
        if self.free_nats_end < self.free_nats_hold:
            message = f"{self.free_nats_end} is before free_nats_hold {self.free_nats_hold}"
            raise mistake("free_nats_end", message)
        if self.pretrain is not None and self.pretrain.frozen_epochs > self.epochs:
            found = f"found {self.pretrain.frozen_epochs}"
            message = f"{found}; allowed: at most {self.epochs}, training.epochs"
            raise mistake("pretrain.frozen_epochs", message)
        return self

    def shortened(self, epochs: int) -> TrainingSection:
        """A short training by itself: all that counts epochs is as much shorter, rounded up.

        Args:
            epochs: Of the short training, from 1 to `epochs`.
        """
        changes: dict[str, object] = {"epochs": epochs}
        if self.pretrain is not None:
            counts = {"epochs": self.pretrain.epochs, "frozen_epochs": self.pretrain.frozen_epochs}
            fewer = {key: -(-count * epochs // self.epochs) for key, count in counts.items()}
            changes["pretrain"] = self.pretrain.model_copy(update=fewer)
        return self.model_copy(update=changes)

"""The section `training`: how long and how one model is trained."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from allocsearch.config.errors import mistake
from allocsearch.config.section import Count, Section, Share, Size


class TrainingSection(Section):
    """One training. Shares are of its whole length."""

    epochs: Count = 20
    batch_size: Size = 128
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    kl: Literal["sampled", "analytic"] = "sampled"
    kl_warmup: Share = 0.25
    free_nats: Annotated[float, Field(ge=0)] = 2.0
    free_nats_hold: Share = 0.42
    free_nats_end: Share = 0.83
    gradient_clip: Annotated[float, Field(gt=0)] = 200.0
    threads: Count = 1
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: bool | Literal["auto"] = "auto"
    population: Count | Literal["auto"] = 1
    batch_seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    common_noise: bool = False

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
        return self

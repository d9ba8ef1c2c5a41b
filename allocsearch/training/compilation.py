"""Compilation of a training step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from allocsearch.config import InputError, TrainingSection

_Result = TypeVar("_Result")

# Compiling takes a minute or so on one core and saves 2 to 3 ms a step.
_GPU_STEPS = 20_000


def compiles(section: TrainingSection, device: torch.device, steps: int) -> bool:
    """Whether a training is compiled: `training.compile`, `auto` resolved.

    `auto` compiles long trainings on a GPU. Never on a CPU: there it takes longer than it saves
    in most trainings, and not every machine has the compiler (benchmarks/RESULTS.md).

    Args:
        section: The training.
        device: Where it runs.
        steps: How many steps it has.
    """
    if section.compile == "auto":
        return device.type == "cuda" and steps >= _GPU_STEPS
    return section.compile


def check_compiler(section: TrainingSection, device: torch.device) -> None:
    """Refuse `training.compile = true` where this machine cannot compile, by compiling a sum.

    Args:
        section: The training.
        device: Where it runs.

    Raises:
        InputError: If it asks for a compiler that is not there.
    """
    if section.compile is True:
        compiled(torch.add)(torch.ones(2, device=device), torch.ones(2, device=device))


def compiled(function: Callable[..., _Result]) -> Callable[..., _Result]:
    """A compiled form of a function of tensors whose shapes stay what they are.

    Raises:
        InputError: On the first call, if this machine cannot compile.
    """
    # It takes seconds to import.
    from torch._dynamo.exc import BackendCompilerFailed

    # Every model compiles anew; after a few, torch would stop compiling without a word.
    torch.compiler.reset()
    compiled_function = torch.compile(function, dynamic=False)

    def call(*arguments: object) -> _Result:
        try:
            return compiled_function(*arguments)
        except BackendCompilerFailed as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(
                f"training.compile: found true, but torch cannot compile here ({reason}); "
                "allowed without a compiler: false, auto"
            ) from error

    return call

"""Where a training runs, and in which precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from allocsearch.config import InputError, TrainingSection


def device_of(section: TrainingSection) -> torch.device:
    """The device that `training.device` names; `auto` is a GPU where there is one.

    Raises:
        InputError: If a GPU is asked for and there is none.
    """
    found = torch.cuda.is_available()
    if section.device == "cuda" and not found:
        raise InputError("training.device: found 'cuda', but no GPU is usable; allowed: auto, cpu")
    return torch.device("cuda" if found and section.device != "cpu" else "cpu")


def product_precision(section: TrainingSection, device: torch.device) -> torch.dtype:
    """The type that matrix products and convolutions are computed in; `auto` resolved.

    On a GPU `auto` is bfloat16, on a CPU float32.
    """
    if section.precision == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    return torch.bfloat16 if section.precision == "bfloat16" else torch.float32


def products_in(dtype: torch.dtype, device: torch.device) -> AbstractContextManager[object]:
    """A context in which matrix products and convolutions on `device` are computed in `dtype`."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype)

"""Where a training stands between two epochs, so that another process can go on from there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from allocsearch.training.epoch import Epoch
from allocsearch.training.randomness import Randomness

_HISTORY, _OF, _DIGEST = "history", "of", "sha256"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A training after some of its epochs.

    Attributes:
        history: The epochs so far.
        tensors: Weights, the optimiser's moments and steps, and the states of the generators of
            random numbers, by name.
    """

    history: tuple[Epoch, ...]
    tensors: Mapping[str, Tensor]


def capture(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    source: Randomness,
    history: tuple[Epoch, ...],
) -> Checkpoint:
    """A copy of a training as it stands after an epoch.

    Args:
        model: The model.
        optimizer: Of its parameters.
        source: Where the training's random numbers come from.
        history: The epochs so far.
    """
    tensors = {f"model.{name}": each for name, each in model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": each for name, each in state.items()}
    tensors |= {f"random.{name}": each for name, each in source.state().items()}
    copies = {name: each.detach().cpu().clone() for name, each in tensors.items()}
    return Checkpoint(history, copies)


def restore(
    checkpoint: Checkpoint,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    source: Randomness,
) -> None:
    """Put a training where a checkpoint of it was taken; on a CPU its next epoch is the same.

    Args:
        checkpoint: The checkpoint.
        model: The model, as it was built; changed in place.
        optimizer: Of its parameters, new; changed in place.
        source: Where the training's random numbers come from, new; changed in place.
    """
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "optimizer": {}, "random": {}}
    for name, tensor in checkpoint.tensors.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = tensor
    model.load_state_dict(parts["model"])
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in parts["optimizer"].items():
        index, _, key = name.partition(".")
        moments.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    source.set_state(parts["random"])


def dump(checkpoint: Checkpoint, of: str) -> bytes:
    """A checkpoint as the content of a safetensors file.

    Args:
        checkpoint: The checkpoint.
        of: What it is a checkpoint of; `parse` asks for the same.
    """
    tensors = dict(checkpoint.tensors)
    history = json.dumps([asdict(epoch) for epoch in checkpoint.history])
    metadata = {_HISTORY: history, _OF: of, _DIGEST: _digest(tensors, history)}
    return safetensors.torch.save(tensors, metadata)


def parse(content: bytes, of: str) -> Checkpoint | None:
    """The checkpoint that a file holds; None where it is damaged, or one of something else."""
    try:
        tensors = safetensors.torch.load(content)
        # Eight bytes with the length of the header, the header as JSON, then the values.
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        metadata = header["__metadata__"]
        if (metadata[_OF], metadata[_DIGEST]) != (of, _digest(tensors, metadata[_HISTORY])):
            return None
        epochs = json.loads(metadata[_HISTORY])
        history = (Epoch(**{**epoch, "rates": tuple(epoch["rates"])}) for epoch in epochs)
        return Checkpoint(tuple(history), tensors)
    except (SafetensorError, ValueError, KeyError, TypeError):
        return None


def _digest(tensors: Mapping[str, Tensor], history: str) -> str:
    found = hashlib.sha256(history.encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()

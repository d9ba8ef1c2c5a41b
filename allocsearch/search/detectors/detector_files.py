"""The folder of a detector: its card, the weights, and the tensors that its score refers to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from pydantic import ValidationError
from torch import Tensor

from allocsearch.config import InputError, first_mistake
from allocsearch.config.migration import DETECTOR, read_migrated
from allocsearch.metrics.reference import Reference
from allocsearch.models.build import build_model
from allocsearch.models.hvae import HVAE
from allocsearch.search.detectors.detector_card import DetectorCard
from allocsearch.search.storage import write_atomically

CARD, WEIGHTS, REFERENCE = "detector.json", "model.safetensors", "reference.safetensors"
_SCORES = "validation_scores"
_AGAIN = "train it again, or copy the whole folder"


@dataclass(frozen=True)
class DetectorFiles:
    """What the folder of a detector holds.

    Attributes:
        card: The card.
        model: The trained model, in eval mode.
        reference: Of ID training examples.
        validation_scores: Of the ID validation examples, ascending, float32 `(n,)`.
    """

    card: DetectorCard
    model: HVAE
    reference: Reference
    validation_scores: Tensor


def write_detector(files: DetectorFiles, folder: Path) -> None:
    """Write detector.json, model.safetensors and reference.safetensors.

    Args:
        files: What to write.
        folder: Made where it is missing.
    """
    tensors = {**vars(files.reference), _SCORES: files.validation_scores}
    contents = {
        WEIGHTS: safetensors.torch.save(files.model.state_dict()),
        REFERENCE: safetensors.torch.save({k: t.contiguous() for k, t in tensors.items()}),
    }
    for name, content in contents.items():
        write_atomically(folder / name, content)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    card = files.card.model_copy(update={"sha256": digests})
    # The card comes last: a folder that has it is complete.
    write_atomically(folder / CARD, card.model_dump_json(indent=1) + "\n")


def read_detector(folder: Path) -> DetectorFiles:
    """Read what `write_detector` wrote.

    Raises:
        InputError: If a file is missing, broken, or another one than the card was written with.
    """
    path = folder / CARD
    if not path.is_file():
        raise InputError(
            f"{folder}: not a detector (no {CARD} in it); make one: allocsearch train"
        )
    try:
        card = DetectorCard.model_validate(read_migrated(path, DETECTOR))
    except ValidationError as error:
        key, message = first_mistake(error, DetectorCard)
        raise InputError(f"{path}: {key}: {message}") from None
    weights = _tensors(folder / WEIGHTS, card)
    tensors = _tensors(folder / REFERENCE, card)
    try:
        model = build_model(card.parsed_allocation, card.shape, card.model, seed=0).eval()
        model.load_state_dict(weights)
        scores = tensors[_SCORES]
        reference = Reference(*(tensors[field.name] for field in fields(Reference)))
    except (RuntimeError, TypeError, KeyError) as error:
        # A size that is no 64-bit number is a type to torch.
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: does not fit the tensors beside it: {reason}") from None
    if len(scores) != card.validation_size:
        found = f"found {card.validation_size}; the file of scores has {len(scores)}"
        raise InputError(f"{path}: validation_size: {found}")
    model.requires_grad_(requires_grad=False)
    return DetectorFiles(card, model, reference, scores)


def _tensors(path: Path, card: DetectorCard) -> dict[str, Tensor]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; {_AGAIN}") from None
    if hashlib.sha256(content).hexdigest() != card.sha256.get(path.name):
        raise InputError(f"{path}: not the file that {CARD} was written with; {_AGAIN}")
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(content)
    except safetensors.SafetensorError as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
        raise InputError(f"{path}: found NaN or infinity; {_AGAIN}")
    return tensors

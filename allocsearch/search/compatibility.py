"""Whether the data of a search, a model and its measurement fit each other."""

from __future__ import annotations

import logging

import torch

from allocsearch.config import EvaluationSection, InputError, ModelSection, TrainingSection
from allocsearch.data.alphabet import LEVELS, PAD
from allocsearch.data.augmentation import augmented
from allocsearch.data.dataset import Dataset
from allocsearch.data.splits import SearchData
from allocsearch.metrics.probe import FOLDS, class_sizes
from allocsearch.models.blocks.maps import map_size
from allocsearch.models.likelihoods import build_likelihood
from allocsearch.models.likelihoods.stored import check_stored
from allocsearch.training.pretraining import check_installed

logger = logging.getLogger(__name__)


def check_all(
    data: SearchData,
    model: ModelSection,
    training: TrainingSection,
    evaluation: EvaluationSection,
) -> None:
    """Refuse data that model, pretraining or probe are not for, before anything is trained.

    Args:
        data: The data.
        model: The model.
        training: The training.
        evaluation: The measurement.

    Raises:
        InputError: As `check_compatibility`, `check_pretraining` and `check_probe`.
    """
    check_compatibility(data, model)
    check_pretraining(data, model, training)
    check_probe(data, evaluation)


def check_compatibility(data: SearchData, section: ModelSection) -> None:
    """Refuse data that likelihood or blocks of the model are not for.

    Args:
        data: The data.
        section: The model.

    Raises:
        InputError: If kind, shape or values of a part are not those that the model takes.
    """
    probed = () if data.probe_set is None else (data.probe_set,)
    parts = (data.train, data.validation, *data.ood_validation, *probed)
    for part in parts:
        if part.kind == "tokens":
            _check_tokens(part, section)
    likelihood = build_likelihood(data.train.shape, section)
    if section.blocks != "dense":
        map_size(likelihood.grid, section)
    for part in parts:
        check_stored(part.values, section, part.name)


def check_pretraining(data: SearchData, model: ModelSection, section: TrainingSection) -> None:
    """Refuse a pretraining by augmentations that are not for the data, or without its library.

    Args:
        data: The data.
        model: The model.
        section: The training; without a pretraining nothing is checked.

    Raises:
        InputError: If so.
    """
    if section.pretrain is None:
        return
    check_installed()
    if model.one_hot and data.train.kind != "tokens":
        raise InputError(
            f"training.pretrain: found a section with model.one_hot, and {data.train.name} has "
            "ids of unknown meaning, which no augmentation is for; allowed: source 'fasta'"
        )
    few = data.train.values[:2]
    for index, entry in enumerate(section.pretrain.augmentations):
        try:
            augmented(few, (entry,), torch.Generator().manual_seed(0), data.train.kind)
        except InputError as error:
            key = f"training.pretrain.augmentations.{index}"
            raise InputError(f"{key}: {data.train.name}: {error}") from None


def check_probe(data: SearchData, section: EvaluationSection) -> None:
    """Refuse a probe of data that has no classes to tell apart, and warn of classes left out.

    Args:
        data: The data.
        section: The measurement; without a probe nothing is checked.

    Raises:
        InputError: If there are no labels, or fewer than two classes with as many examples (or
            clusters of near-identical ones) as there are folds.
    """
    if section.probe is None:
        return
    probed = data.probed
    asked = f"evaluation.probe: found {section.probe!r}"
    allowed = "allowed: with two classes or more, in data.probe or in data.id"
    if probed.labels is None:
        raise InputError(f"{asked}, but {probed.name} has no labels; {allowed}")
    sizes, left_out = class_sizes(probed.labels, probed.clusters)
    examples = "examples" if probed.clusters is None else "clusters of near-identical sequences"
    if len(sizes) < 2:
        what = "one class" if len(sizes) == 1 else "no class"
        raise InputError(
            f"{asked}, but the {len(probed)} examples of {probed.name} have {what} with {FOLDS} "
            f"{examples} or more, the folds of a probe; {allowed}"
        )
    if left_out:
        logger.warning(
            "evaluation.probe: %d of %d classes of %s have fewer than %d %s and are left out: %s",
            len(left_out),
            len(left_out) + len(sizes),
            probed.name,
            FOLDS,
            examples,
            ", ".join(probed.class_name(label) for label in left_out),
        )


def _check_tokens(part: Dataset, section: ModelSection) -> None:
    """Refuse a model that takes token ids for brightness, or pads for residues."""
    wanted = f'likelihood = "categorical", one_hot = true, levels = {LEVELS}, pad = {PAD}'
    pad = "none" if section.pad is None else section.pad
    found = {
        "likelihood": (repr(section.likelihood), section.likelihood == "categorical"),
        "one_hot": (str(section.one_hot).lower(), section.one_hot),
        "levels": (section.levels, section.levels >= LEVELS),
        "pad": (pad, section.pad == PAD),
    }
    for key, (value, fits) in found.items():
        if not fits:
            raise InputError(
                f"model.{key}: found {value}, and {part.name} has tokens; allowed: {wanted}"
            )

"""What the trials of a study take of the machine that runs them."""

from __future__ import annotations

import torch

from allocsearch.allocation import Allocation
from allocsearch.config import SearchSpaceSection, StudyConfig
from allocsearch.data.splits import SearchData
from allocsearch.models.build import build_model
from allocsearch.training.compilation import check_compiler
from allocsearch.training.device import device_of
from allocsearch.training.memory import (
    MemoryNeed,
    available_memory,
    check_memory,
    memory_need,
    weights_need,
)

# More candidates at once than this bring nothing on any GPU we know of.
_MOST_TOGETHER = 64


def study_need(config: StudyConfig, data: SearchData, population: int = 1) -> MemoryNeed:
    """The memory that one worker takes, for the depth that takes most.

    Args:
        config: The study.
        data: The data of its search.
        population: Candidates that are trained together.
    """
    return max(_needs(config, data, population), key=lambda need: need.total)


def _needs(config: StudyConfig, data: SearchData, population: int) -> list[MemoryNeed]:
    """The memory that one worker takes for each depth."""
    return [
        memory_need(
            build_model(allocation, data.train.shape, config.model, 0),
            config.training,
            config.evaluation,
            train=len(data.train),
            validation=len(data.validation),
            data=_data_size(data),
            population=population,
        )
        for allocation in _one_of_each_depth(config.search_space)
    ]


def _data_size(data: SearchData) -> int:
    """Bytes of all the examples."""
    sets = [data.train, data.validation, *data.ood_validation]
    if data.probe_set is not None:
        sets.append(data.probe_set)
    return sum(dataset.values.nbytes for dataset in sets)


def _weights_need(config: StudyConfig, data: SearchData) -> int:
    """Bytes of the weights of the largest candidate, which is not built for it."""
    with torch.device("meta"):
        return max(
            weights_need(build_model(allocation, data.train.shape, config.model, 0))
            for allocation in _one_of_each_depth(config.search_space)
        )


def _one_of_each_depth(space: SearchSpaceSection) -> list[Allocation]:
    if space.kind == "table":
        return list(
            {text.count("-"): Allocation.parse(text) for text in space.allocations}.values()
        )
    return [Allocation.from_ratio(1.0, lattice) for lattice in space.lattices().values()]


def check_resources(config: StudyConfig, data: SearchData) -> None:
    """Refuse a study that does not fit into the free memory, or asks for what is not there.

    Args:
        config: The study.
        data: The data of its search.

    Raises:
        InputError: If it does not fit, or there is no such device or no compiler.
    """
    device = device_of(config.training)
    workers, available = config.study.workers, available_memory(device)
    together = 1 if config.training.population == "auto" else config.training.population
    # A model that does not fit must not be built to find out.
    weights = _weights_need(config, data) * together
    check_memory(MemoryNeed(_data_size(data), weights, 0, 0), workers, available)
    check_memory(study_need(config, data, together), workers, available)
    # It takes seconds, where the rest takes none.
    check_compiler(config.training, device)


def population_size(config: StudyConfig, data: SearchData) -> int:
    """The candidates that are trained together: `training.population`, `auto` resolved.

    On a CPU `auto` is 1: batched products of masked weights are slower there than one narrow
    model after the other (benchmarks/RESULTS.md). On a GPU it is what half of each worker's share
    of the free memory holds, at most 64.

    Args:
        config: The study.
        data: The data of its search.
    """
    population = config.training.population
    if population != "auto":
        return population
    device = device_of(config.training)
    if device.type == "cpu":
        return 1
    spare = available_memory(device) / config.study.workers / 2 - _data_size(data)
    each = max(need.weights + need.activations for need in _needs(config, data, 1))
    return int(min(max(spare // each, 1), _MOST_TOGETHER))
